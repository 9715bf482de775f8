//! The figures of the study of what groups survive.

use super::chart;
use crate::figure::axis::Axis;
use crate::figure::chart::{Point, Series};
use crate::figure::theme::{self, Style};
use crate::figure::{Error, Picture};
use crate::study::tolerance::{ABOUT, CASES, Placement, Row, Scheme};

/// Points of the simulation are drawn for every so many Byzantine nodes.
const EVERY: u64 = 5;

/// Names of the figures of these rows: one for each way of dividing the nodes.
pub fn names(rows: &[Row]) -> Vec<String> {
    let layouts = layouts(rows).into_iter();
    layouts
        .map(|(groups, size)| format!("tolerance-{groups}x{size}"))
        .collect()
}

/// The figures, or those of these names, as files.
///
/// # Errors
/// If a name is unknown, or a picture cannot be turned into an image.
pub fn files(rows: &[Row], wanted: Option<&[String]>) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let names = names(rows);
    let pictures = layouts(rows).into_iter().map(|layout| draw(rows, layout));
    let drawn = names.iter().map(String::as_str).zip(pictures);
    super::files(drawn.collect(), wanted)
}

/// The ways of dividing the nodes, in order of appearance: groups, and nodes in each.
fn layouts(rows: &[Row]) -> Vec<(u64, u64)> {
    let mut layouts = Vec::new();
    for row in rows {
        if !layouts.contains(&(row.groups, row.size)) {
            layouts.push((row.groups, row.size));
        }
    }
    layouts
}

fn draw(rows: &[Row], (groups, size): (u64, u64)) -> Picture {
    let mut series = Vec::new();
    for (scheme, placement) in CASES {
        let (label, style) = looks(scheme, placement);
        let case = |row: &&Row| {
            let layout = (row.groups, row.size) == (groups, size);
            layout && (row.scheme, row.placement) == (scheme, placement)
        };
        let rows: Vec<&Row> = rows.iter().filter(case).collect();
        // Marks of a simulation stand alone; a step has some upon its line.
        let every = match placement {
            Placement::Random if scheme != Scheme::Flat => usize::MAX / 100,
            Placement::Random | Placement::Adversarial => EVERY as usize,
        };
        let lines = |label: &str, points| Series {
            label: label.to_owned(),
            style,
            joined: !label.is_empty(),
            points,
            every: if label.is_empty() { 1 } else { every },
            marks: Vec::new(),
        };
        series.push(lines(label, steps(&rows)));
        if every > rows.len() {
            series.push(lines("", simulated(&rows)));
        }
    }
    let xs = rows.iter().map(|row| row.byzantine as f64);
    let nodes = groups * size;
    let title = format!("What {groups} groups of {size} nodes survive");
    let trials = rows.iter().map(|row| row.trials).max().unwrap_or(0);
    let note = format!(
        "Lines: exact. Marks by chance: {trials} simulated placements; 95% intervals are smaller."
    );
    chart(
        ABOUT,
        (&title, &note),
        Axis::tight(
            &format!("Byzantine nodes of {nodes}"),
            &xs.collect::<Vec<_>>(),
        ),
        Axis::share("probability that safety or liveness is lost"),
        (series, Vec::new()),
    )
}

fn looks(scheme: Scheme, placement: Placement) -> (&'static str, Style) {
    match (scheme, placement) {
        (Scheme::Flat, _) => ("PBFT, no groups", theme::style("pbft", 0, 1)),
        (Scheme::Leaders, Placement::Random) => {
            ("RBFT as published, by chance", theme::style("raft", 0, 1))
        }
        (Scheme::Leaders, Placement::Adversarial) => (
            "RBFT as published, worst case",
            theme::style("hotstuff", 0, 1),
        ),
        (Scheme::Certified, Placement::Random) => {
            ("with certificates, by chance", theme::style("mbft", 0, 1))
        }
        (Scheme::Certified, Placement::Adversarial) => {
            ("with certificates, worst case", theme::style("krbft", 0, 1))
        }
    }
}

/// The probabilities as a line, with an upright step where they leap from nothing to certainty.
fn steps(rows: &[&Row]) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for row in rows {
        let x = row.byzantine as f64;
        if points.last().is_some_and(|last| row.exact - last.y >= 1.0) {
            points.push(point(x, 0.0));
        }
        points.push(point(x, row.exact));
    }
    points
}

fn simulated(rows: &[&Row]) -> Vec<Point> {
    let shown = rows.iter().filter(|row| row.byzantine % EVERY == 0);
    let points = shown.map(|row| point(row.byzantine as f64, row.simulated));
    points.collect()
}

fn point(x: f64, y: f64) -> Point {
    Point {
        x,
        y,
        low: y,
        high: y,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::tolerance::{Plan, study};

    #[test]
    fn there_is_a_figure_for_each_way_of_dividing_the_nodes() {
        let rows = study(&Plan {
            trials: 50,
            ..Plan::default()
        });
        assert_eq!(names(&rows), ["tolerance-4x25", "tolerance-10x10"]);
        let all = files(&rows, None).unwrap();
        assert_eq!(all.len(), 4);
        let one = files(&rows, Some(&["tolerance-4x25".to_owned()])).unwrap();
        assert_eq!(one[..], all[..2]);
        assert!(files(&rows, Some(&["tolerance".to_owned()])).is_err());
        let svg = String::from_utf8(all[1].1.clone()).unwrap();
        for label in [
            "PBFT, no groups",
            "with certificates, worst case",
            "Byzantine nodes of 100",
        ] {
            assert!(svg.contains(label), "{label}");
        }
        assert!(!svg.contains("NaN"));
    }
}
