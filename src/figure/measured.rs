//! Measures that only some protocols have, drawn along what they are taken at.

use crate::experiment::table::Tables;

use super::axis::{self, Axis};
use super::chart::{Chart, Series, Theory};
use super::series::{self, Group};
use super::theme::{self, SOFT_INK};
use super::{Context, Picture};

/// A line of theory: its name, and what it says of x.
pub(super) type Formula = (&'static str, fn(f64) -> f64);

/// A figure of some measures.
pub(super) struct Measured {
    pub(super) title: &'static str,
    /// The measures, and what tells them apart in the legend if there are several.
    pub(super) measures: &'static [(&'static str, &'static str)],
    pub(super) x: &'static str,
    pub(super) y: &'static str,
    /// Whether both axes are by ratios.
    pub(super) log: bool,
    /// Lines of theory.
    pub(super) theory: &'static [Formula],
    /// What the dashed lines are, as a sentence; nothing without.
    pub(super) explains: &'static str,
}

impl Measured {
    /// Draws the figure, if the runs have what it needs.
    pub(super) fn draw(&self, tables: &Tables, context: &Context<'_>) -> Option<Picture> {
        let (groups, shown) = series::few_groups(tables, None);
        let mut lines = Vec::new();
        for (measure, what) in self.measures {
            lines.extend(groups.iter().map(|group| self.line(group, measure, what)));
        }
        lines.retain(|line| line.points.len() > 1);
        if self.measures.len() > 1 {
            for (index, line) in lines.iter_mut().enumerate() {
                line.style = theme::any("", 2 * index);
            }
        }
        let points = lines.iter().flat_map(|line| &line.points);
        let (xs, ys): (Vec<f64>, Vec<f64>) = points.map(|point| (point.x, point.high)).unzip();
        if lines.is_empty() {
            return None;
        }
        let (least, greatest) = axis::extent(&xs);
        let theory = self.theory.iter().map(|(label, formula)| Theory {
            label: (*label).to_owned(),
            colour: SOFT_INK,
            points: (0..=60)
                .map(|step| {
                    let share = f64::from(step) / 60.0;
                    least * libm::pow(greatest / least.max(1e-9), share)
                })
                .map(|x| (x, formula(x)))
                .collect(),
        });
        let seeds = series::about_seeds(groups.into_iter().map(|group| group.runs));
        let note = format!("{seeds} {shown}");
        let (x, y) = match self.log {
            true => (Axis::log(self.x, &xs), Axis::log(self.y, &ys)),
            false => (Axis::tight(self.x, &xs), Axis::from_zero(self.y, &ys, 1.04)),
        };
        let chart = Chart {
            title: self.title.to_owned(),
            subtitle: context.manifest.about.clone(),
            note: note.trim().to_owned(),
            x,
            y,
            series: lines,
            theory: theory.collect(),
            shades: Vec::new(),
            marks: None,
        };
        let caption = format!("{}: {} {}", self.title, note.trim(), self.explains);
        Some(Picture::new(chart.paint(), caption.trim()))
    }

    fn line(&self, group: &Group<'_>, measure: &str, what: &str) -> Series {
        let rows = group.runs.iter().flat_map(|run| &run.measures);
        let rows = rows.filter(|row| row.measure == measure);
        let values = rows.filter_map(|row| Some((row.at?, row.value)));
        let values = values.filter(|(x, y)| !self.log || (*x > 0.0 && *y > 0.0));
        let values: Vec<(f64, f64)> = values.collect();
        let points = series::points(often(values, group.runs.len()));
        let label = [group.label(), what.to_owned()];
        let label: Vec<String> = label.into_iter().filter(|part| !part.is_empty()).collect();
        Series {
            label: label.join(", "),
            style: group.style,
            joined: true,
            every: points.len() / 12 + 1,
            points,
            marks: Vec::new(),
        }
    }
}

/// Leaves out what fewer than half of the runs have come to.
fn often(values: Vec<(f64, f64)>, runs: usize) -> Vec<(f64, f64)> {
    let count = |x: f64| values.iter().filter(|(at, _)| *at == x).count();
    let enough: Vec<bool> = values.iter().map(|(x, _)| 2 * count(*x) >= runs).collect();
    let kept = values.into_iter().zip(enough).filter(|(_, enough)| *enough);
    kept.map(|(value, _)| value).collect()
}
