//! The figures of the study of what a draw of MBFT risks.

use super::chart;
use crate::figure::axis::Axis;
use crate::figure::chart::{Point, Series};
use crate::figure::theme;
use crate::figure::{Error, Picture};
use crate::study::draw::{ABOUT, Loss, Row};

/// The names of the figures.
pub const NAMES: [&str; 2] = ["draw-liveness", "draw-safety"];

/// Draws are shown for every so many Byzantine nodes.
const EVERY: usize = 4;

/// The figures, or those of these names, as files.
///
/// # Errors
/// If a name is unknown, or a picture cannot be turned into an image.
pub fn files(rows: &[Row], wanted: Option<&[String]>) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let pictures = [Loss::Liveness, Loss::Safety].map(|loss| draw(rows, loss));
    super::files(NAMES.into_iter().zip(pictures).collect(), wanted)
}

fn draw(rows: &[Row], loss: Loss) -> Picture {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.loss == loss).collect();
    let same = |a: &&Row, b: &&Row| (a.group, a.upper) == (b.group, b.upper);
    let nodes = rows.first().map_or(0, |row| row.nodes);
    let mut series = Vec::new();
    let line = |label: &str, style, points, every| Series {
        label: label.to_owned(),
        style,
        joined: !label.is_empty(),
        points,
        every,
        marks: Vec::new(),
    };
    for (place, layout) in rows.chunk_by(same).enumerate() {
        let (group, upper) = (layout[0].group, layout[0].upper);
        let label = format!("{} groups of {group}, upper {upper}", layout[0].groups);
        let style = theme::any("", place);
        let exact = layout.iter().map(|row| point(row.byzantine, row.exact));
        series.push(line(&label, style, exact.collect(), usize::MAX / 100));
        let shown = layout.iter().filter(|row| row.byzantine % EVERY == 0);
        let drawn = shown.map(|row| point(row.byzantine, row.simulated));
        series.push(line("", style, drawn.collect(), 1));
    }
    let most = (nodes.max(1) - 1) / 3;
    let last = rows.iter().map(|row| row.byzantine).max().unwrap_or(0);
    let step = [(0, 0.0), (most, 0.0), (most + 1, 1.0), (last, 1.0)];
    let step = step.map(|(at, share)| point(at, share)).to_vec();
    let flat = theme::any("", 6);
    series.push(line("one committee of all", flat, step, usize::MAX / 100));
    let trials = rows.iter().map(|row| row.trials).max().unwrap_or(0);
    let (what, title) = match loss {
        Loss::Liveness => (
            "probability that some group cannot go on",
            "What a draw risks: progress",
        ),
        Loss::Safety => (
            "probability that safety is lost",
            "What a draw risks: safety",
        ),
    };
    let note = format!("Lines: exact. Marks: {trials} draws of the protocol.");
    let xs: Vec<f64> = rows.iter().map(|row| row.byzantine as f64).collect();
    chart(
        ABOUT,
        (title, &note),
        Axis::tight(&format!("Byzantine nodes of {nodes}, by chance"), &xs),
        Axis::share(what),
        (series, Vec::new()),
    )
}

fn point(x: usize, y: f64) -> Point {
    Point {
        x: x as f64,
        y,
        low: y,
        high: y,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::draw::{Plan, study};

    #[test]
    fn there_is_a_figure_for_what_can_be_lost() {
        let rows = study(&Plan {
            trials: 20,
            ..Plan::default()
        });
        let all = files(&rows, None).unwrap();
        assert_eq!(all.len(), 4);
        assert!(files(&rows, Some(&["draw".to_owned()])).is_err());
        let svg = String::from_utf8(all[1].1.clone()).unwrap();
        for label in ["24 groups of 4, upper 4", "one committee of all"] {
            assert!(svg.contains(label), "{label}");
        }
        assert!(!svg.contains("NaN"));
    }
}
