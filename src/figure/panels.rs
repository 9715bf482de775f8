//! Charts side by side that share their vertical axis and their legend, to be compared.

use super::canvas::{Align, Canvas, Type, paint};
use super::chart::{self, Chart, Frame};
use super::theme::INK;

/// Several charts in one picture. The vertical axes are the same.
pub(super) struct Panels {
    pub(super) title: String,
    /// What the experiment is about.
    pub(super) subtitle: String,
    /// What the lines and bands are, under the subtitle.
    pub(super) note: String,
    /// Each with its name.
    pub(super) panels: Vec<(String, Chart)>,
}

const SIZE: (u32, u32) = (1600, 900);
const NAME: Type = Type::new(29, INK);
const HEADING: Type = Type::new(25, INK);
/// Between two panels.
const GAP: f64 = 84.0;
/// Above the data, for the name of the panel.
const HEAD: f64 = 76.0;
const LINE: f64 = 32.0;

impl Panels {
    /// The picture as SVG.
    pub(super) fn paint(mut self) -> String {
        // Only the first panel names the values of the axis that all share.
        for (_, panel) in self.panels.iter_mut().skip(1) {
            panel.y.label.clear();
            panel.y.ticks.iter_mut().for_each(|tick| tick.name = None);
        }
        let frames = self.frames();
        let below = self
            .panels
            .first()
            .map_or(String::new(), |(_, p)| p.x.label.clone());
        self.panels
            .iter_mut()
            .for_each(|(_, panel)| panel.x.label.clear());
        for ((_, panel), frame) in self.panels.iter_mut().zip(&frames) {
            panel.thin(*frame);
        }
        paint(SIZE, &self.title, |canvas| {
            chart::header(canvas, &self.title, &self.subtitle, &self.note);
            for ((name, panel), frame) in self.panels.iter().zip(&frames) {
                let middle = (frame.left + frame.right) / 2.0;
                let lines = HEADING.wrap(name, frame.right - frame.left + GAP / 2.0, 2);
                for (index, line) in lines.iter().rev().enumerate() {
                    let place = (middle, frame.top - 24.0 - LINE * index as f64);
                    canvas.text(line, place, HEADING.align(Align::Centre));
                }
                panel.paint_data(canvas, *frame);
            }
            if let (Some(first), Some(last)) = (frames.first(), frames.last()) {
                let middle = ((first.left + last.right) / 2.0, last.bottom + 82.0);
                canvas.text(&below, middle, NAME.align(Align::Centre));
            }
            self.legend(canvas, &frames);
        })
    }

    /// Where the data of each panel go.
    fn frames(&self) -> Vec<Frame> {
        let Some((_, first)) = self.panels.first() else {
            return Vec::new();
        };
        let legend = self.panels.iter().map(|(_, panel)| panel.legend_width());
        let legend = legend.fold(0.0, f64::max);
        let whole = first.frame_in(SIZE, legend, (&self.subtitle, &self.note));
        let count = self.panels.len() as f64;
        let width = (whole.right - whole.left - GAP * (count - 1.0)) / count;
        let frame = |index: usize| {
            let left = whole.left + index as f64 * (width + GAP);
            Frame {
                left,
                right: left + width,
                top: whole.top + HEAD,
                ..whole
            }
        };
        (0..self.panels.len()).map(frame).collect()
    }

    /// The legend of the panel with the most lines, to the right of the last.
    fn legend(&self, canvas: &mut Canvas<'_>, frames: &[Frame]) {
        let panels = self.panels.iter().map(|(_, panel)| panel);
        if let (Some(fullest), Some(last)) = (panels.max_by_key(|p| p.series.len()), frames.last())
        {
            fullest.legend(canvas, *last, SIZE);
        }
    }
}
