//! Bars in groups: a number of ours above the published one.

use crate::figure::Picture;
use crate::figure::canvas::{Align, Canvas, Type, paint};
use crate::figure::chart::{header, header_height};
use crate::figure::theme::{GRID, INK, Rgb, SOFT_INK};

const WIDTH: u32 = 1600;
const HEAD: Type = Type::new(28, INK);
const LABEL: Type = Type::new(24, INK);
const NUMBER: Type = Type::new(24, SOFT_INK);
/// The height of a bar, and of the heading of a group, each with the gap below it.
const BAR: f64 = 36.0;
const HEADING: f64 = 54.0;

/// Bars under one heading.
pub(super) struct Group {
    pub(super) heading: String,
    pub(super) bars: Vec<Bar>,
}

/// One number of ours, and one that was published.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) colour: Rgb,
    /// Its share of the whole, from 0 to 1, and how it is told.
    pub(super) ours: (f64, String),
    pub(super) published: Option<(f64, String)>,
}

/// Draws bars whose whole length is the whole.
pub(super) fn draw(about: &str, (title, note): (&str, &str), groups: &[Group]) -> Picture {
    let top = header_height(about, note);
    let rows = |bar: &Bar| 1 + usize::from(bar.published.is_some());
    let all = groups.iter().flat_map(|group| &group.bars);
    let rows: usize = all.map(rows).sum();
    let height = top + rows as f64 * BAR + groups.len() as f64 * HEADING + 30.0;
    let svg = paint((WIDTH, height as u32), title, |canvas| {
        header(canvas, title, about, note);
        paint_groups(canvas, groups, top);
    });
    Picture::new(svg, &format!("{title}. {note}"))
}

fn paint_groups(canvas: &mut Canvas<'_>, groups: &[Group], top: f64) {
    let labels = groups.iter().flat_map(|group| &group.bars);
    let widest = labels
        .map(|bar| LABEL.width(&bar.label))
        .fold(0.0, f64::max);
    let left = 40.0 + 24.0 + widest + 20.0;
    let mut y = top;
    for group in groups {
        canvas.text(&group.heading, (40.0, y + 22.0), HEAD);
        y += HEADING;
        let head = y;
        for bar in &group.bars {
            let place = (left - 16.0, y + 13.0);
            canvas.text(&bar.label, place, LABEL.align(Align::Right));
            paint_bar(canvas, (left, y), &bar.ours, bar.colour);
            y += BAR;
            if let Some((share, text)) = &bar.published {
                let told = (*share, format!("{text} published"));
                paint_bar(canvas, (left, y - 6.0), &told, GRID.mix(SOFT_INK, 0.4));
                y += BAR;
            }
        }
        canvas.line(&[(left, head - 4.0), (left, y - 4.0)], INK, 2, 1.0);
    }
}

fn paint_bar(canvas: &mut Canvas<'_>, (left, y): (f64, f64), told: &(f64, String), colour: Rgb) {
    let room = f64::from(WIDTH) - left - 260.0;
    let end = left + (told.0 * room).max(2.0);
    canvas.rectangle((left, y), (end, y + BAR - 9.0), colour, 1.0);
    canvas.text(&told.1, (end + 14.0, y + 13.0), NUMBER);
}
