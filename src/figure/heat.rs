//! What liars of each kind do to each protocol: a field for each behaviour and number of liars.

use super::canvas::{Align, Canvas, Place, Type, paint};
use super::chart::{header, header_height};
use super::series::behaviour;
use super::theme::{self, INK, PAPER, Rgb, SOFT_INK};
use super::{Context, Picture};
use crate::experiment::stats;
use crate::experiment::table::{RunRecord, Tables};

const WIDTH: u32 = 1600;
const EDGE: f64 = 40.0;
const NAME: Type = Type::new(26, INK);
const NUMBER: Type = Type::new(22, INK).align(Align::Centre);
const COUNT: Type = Type::new(22, SOFT_INK).align(Align::Centre);
/// The height of a field, and the gap between protocols.
const FIELD: f64 = 46.0;
const GAP: f64 = 24.0;
/// The colour of what is always lost.
const LOST: Rgb = Rgb(213, 94, 0);

/// The runs of one field.
struct Field<'a> {
    column: (usize, String, u64),
    behaviour: &'a str,
    run: &'a RunRecord,
}

/// Draws the figure, if several kinds of liars were tried.
pub(super) fn draw(tables: &Tables, context: &Context<'_>) -> Option<Picture> {
    let fields: Vec<Field<'_>> = tables.records().iter().filter_map(field).collect();
    let mut behaviours: Vec<&str> = Vec::new();
    let mut columns: Vec<(usize, String, u64)> = Vec::new();
    for field in &fields {
        if !behaviours.contains(&field.behaviour) {
            behaviours.push(field.behaviour);
        }
        if !columns.contains(&field.column) {
            columns.push(field.column.clone());
        }
    }
    columns.sort();
    if behaviours.len() < 2 {
        return None;
    }
    let title = "What liars do to each protocol";
    let note = "Colour: the share of runs in which safety is lost, from none to all. Numbers: \
                median throughput in transactions a second. Columns: how many of the nodes lie.";
    let about = &context.manifest.about;
    let top = header_height(about, note) + 80.0;
    let height = top + FIELD * behaviours.len() as f64 + 30.0;
    let svg = paint((WIDTH, height as u32), title, |canvas| {
        header(canvas, title, about, note);
        let widest = behaviours.iter().map(|name| NAME.width(name));
        let left = EDGE + widest.fold(0.0, f64::max) + 16.0;
        for (row, name) in behaviours.iter().enumerate() {
            let middle = top + FIELD * (row as f64 + 0.5);
            canvas.text(name, (left - 16.0, middle), NAME.align(Align::Right));
        }
        let places = places(&columns, left);
        heads(canvas, &columns, &places, top);
        for (column, place) in columns.iter().zip(&places) {
            for (row, name) in behaviours.iter().enumerate() {
                let here = |field: &&Field<'_>| field.column == *column && field.behaviour == *name;
                let runs: Vec<&RunRecord> = fields.iter().filter(here).map(|f| f.run).collect();
                let upper = top + FIELD * row as f64;
                paint_field(canvas, &runs, ((place.0, upper), place.1));
            }
        }
    });
    Some(Picture::new(svg, note))
}

/// The field a run belongs to, if anybody lies in it.
fn field(run: &RunRecord) -> Option<Field<'_>> {
    let behaviour = behaviour(run.row.swept("adversaries")?)?;
    let settings = run.row.swept("protocol.value").unwrap_or_default();
    let mut label = theme::display(&run.row.protocol).to_owned();
    if settings.replace(' ', "").contains("profile:paper") {
        label.push_str(", paper");
    }
    let order = 2 * theme::rank(&run.row.protocol) + usize::from(label.contains(','));
    Some(Field {
        column: (order, label, run.row.byzantine),
        behaviour,
        run,
    })
}

/// The left edge and the width of each column.
fn places(columns: &[(usize, String, u64)], left: f64) -> Vec<(f64, f64)> {
    let is_new = |at: usize| at > 0 && columns[at].1 != columns[at - 1].1;
    let gaps = (0..columns.len()).filter(|at| is_new(*at)).count() as f64;
    let room = f64::from(WIDTH) - EDGE - left - gaps * GAP;
    let width = room / columns.len() as f64;
    let mut x = left;
    let mut places = Vec::new();
    for at in 0..columns.len() {
        x += if is_new(at) { GAP } else { 0.0 };
        places.push((x, width));
        x += width;
    }
    places
}

/// The names of the protocols and the numbers of liars.
fn heads(
    canvas: &mut Canvas<'_>,
    columns: &[(usize, String, u64)],
    places: &[(f64, f64)],
    top: f64,
) {
    for (at, ((_, label, count), (x, width))) in columns.iter().zip(places).enumerate() {
        canvas.text(&count.to_string(), (x + width / 2.0, top - 18.0), COUNT);
        if at == 0 || columns[at - 1].1 != *label {
            let members = columns.iter().filter(|other| other.1 == *label).count() as f64;
            let room = width * members + GAP / 2.0;
            canvas.text(&NAME.fit(label, room), (*x, top - 54.0), NAME);
        }
    }
}

/// One field: how often safety is lost, and how much is done.
fn paint_field(canvas: &mut Canvas<'_>, runs: &[&RunRecord], ((x, y), width): (Place, f64)) {
    if runs.is_empty() {
        return;
    }
    let lost = runs
        .iter()
        .filter(|run| run.row.safety == "violated")
        .count();
    let share = lost as f64 / runs.len() as f64;
    let light = Rgb(232, 244, 238);
    let colour = if lost == 0 {
        light
    } else {
        PAPER.mix(LOST, 0.25 + 0.75 * share)
    };
    canvas.rectangle((x, y), (x + width - 2.0, y + FIELD - 2.0), colour, 1.0);
    let throughputs = runs.iter().filter_map(|run| run.row.throughput_tps);
    if let Some(median) = stats::median(&stats::sorted(throughputs)) {
        let number = format!("{}", libm::round(median));
        canvas.text(&number, (x + width / 2.0, y + FIELD / 2.0), NUMBER);
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{manifest, tables};
    use super::*;

    fn drawn(behaviours: &[&str]) -> Option<Picture> {
        let tables = tables(&["pbft", "raft"], ("adversaries", behaviours), 4);
        let manifest = manifest(4);
        let context = Context {
            manifest: &manifest,
        };
        draw(&tables, &context)
    }

    #[test]
    fn there_is_a_field_for_each_behaviour_and_protocol() {
        let silent = "[{ silent: { nodes: [0] } }]";
        let liar = "[{ double-talk: { nodes: [0] } }]";
        assert!(drawn(&[silent, "[]"]).is_none(), "one behaviour is no map");
        let svg = drawn(&[silent, liar, "[]"]).expect("two are").svg;
        for word in ["silent", "double-talk", "Raft", "PBFT"] {
            assert!(svg.contains(word), "{word}");
        }
        // The sample has a violation of Raft in one run of four: a colour of its own.
        let share = PAPER.mix(LOST, 0.25 + 0.75 / 4.0);
        let colour = format!("#{:02X}{:02X}{:02X}", share.0, share.1, share.2);
        assert_eq!(svg.matches(&colour).count(), 2, "{colour}");
    }
}
