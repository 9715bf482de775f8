//! What the messages of each protocol are: one bar for each kind.

use std::collections::BTreeMap;

use crate::experiment::stats;
use crate::experiment::table::Tables;

use super::axis::show;
use super::canvas::{Align, Canvas, Type, paint};
use super::chart::{header, header_height};
use super::series::{self, Group};
use super::theme::{INK, SOFT_INK};
use super::{Context, Picture};

const WIDTH: u32 = 1600;
const NAME: Type = Type::new(28, INK);
const KIND: Type = Type::new(24, INK);
const NUMBER: Type = Type::new(24, SOFT_INK);
/// The height of a bar with the gap below it, and of the name of a protocol.
const BAR: f64 = 38.0;
const HEAD: f64 = 56.0;

/// The bars of one protocol: kind, and messages for each block.
struct Bars<'a> {
    group: Group<'a>,
    kinds: Vec<(String, f64)>,
}

/// Draws the figure, if any message was counted.
pub(super) fn draw(tables: &Tables, context: &Context<'_>) -> Option<Picture> {
    let (groups, shown) = series::few_groups(tables, None);
    let bars = groups.into_iter().map(|group| Bars {
        kinds: per_block(&group),
        group,
    });
    let bars: Vec<Bars<'_>> = bars.filter(|bars| !bars.kinds.is_empty()).collect();
    let values = bars
        .iter()
        .flat_map(|bars| &bars.kinds)
        .map(|(_, value)| *value);
    let greatest = values.fold(0.0, f64::max);
    if greatest <= 0.0 {
        return None;
    }
    let note =
        format!("Consensus messages of each kind for each block; medians over seeds. {shown}");
    let note = note.trim();
    let about = &context.manifest.about;
    let top = header_height(about, note);
    let rows: usize = bars.iter().map(|bars| bars.kinds.len()).sum();
    let height = top + rows as f64 * BAR + bars.len() as f64 * HEAD + 30.0;
    let title = "Messages by kind";
    let svg = paint((WIDTH, height as u32), title, |canvas| {
        header(canvas, title, about, note);
        paint_bars(canvas, &bars, top, greatest);
    });
    Some(Picture::new(svg, note))
}

fn paint_bars(canvas: &mut Canvas<'_>, bars: &[Bars<'_>], top: f64, greatest: f64) {
    let kinds = bars.iter().flat_map(|bars| &bars.kinds);
    let widest = kinds
        .map(|(kind, _)| KIND.width(kind))
        .fold(0.0, f64::max)
        .min(420.0);
    let left = 40.0 + 24.0 + widest + 20.0;
    let room = f64::from(WIDTH) - left - 200.0;
    let mut y = top;
    for Bars { group, kinds } in bars {
        canvas.text(&group.label(), (40.0, y + 24.0), NAME);
        y += HEAD;
        let foot = y + BAR * kinds.len() as f64 - 8.0;
        for (kind, value) in kinds {
            let name = KIND.fit(kind, widest + 2.0);
            canvas.text(&name, (left - 16.0, y + 14.0), KIND.align(Align::Right));
            let end = left + (value / greatest * room).max(2.0);
            canvas.rectangle((left, y), (end, y + BAR - 9.0), group.style.colour, 1.0);
            let digits = if *value >= 100.0 { 1.0 } else { 100.0 };
            let number = show(libm::round(value * digits) / digits);
            canvas.text(&number, (end + 14.0, y + 14.0), NUMBER);
            y += BAR;
        }
        canvas.line(
            &[
                (left, foot - BAR * kinds.len() as f64 + 2.0),
                (left, foot + 4.0),
            ],
            INK,
            2,
            1.0,
        );
    }
}

/// Messages of each kind for each block, the most frequent first: the messages for each block by
/// the share of the kind in the whole run.
fn per_block(group: &Group<'_>) -> Vec<(String, f64)> {
    let mut by_kind: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for run in &group.runs {
        let all: u64 = run.messages.iter().map(|row| row.count).sum();
        let Some(per_block) = run.row.messages_per_block.filter(|_| all > 0) else {
            continue;
        };
        for row in &run.messages {
            let share = row.count as f64 / all as f64;
            by_kind
                .entry(&row.kind)
                .or_default()
                .push(per_block * share);
        }
    }
    let medians = by_kind.into_iter().filter_map(|(kind, values)| {
        Some((kind.to_owned(), stats::median(&stats::sorted(values))?))
    });
    let mut medians: Vec<(String, f64)> = medians.collect();
    medians.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    medians
}
