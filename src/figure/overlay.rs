//! What was published against what we measure.

use super::Picture;
use super::axis::{self, Axis};
use super::chart::{Chart, Point, Series, Theory};
use super::theme::{self, Style};

/// One published series with our measurements of the same.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Overlay {
    /// Its name in the publication.
    pub series: String,
    /// The protocol whose colour it has; several series of one go from dark to light.
    pub protocol: String,
    /// What was published: (x, value).
    pub published: Vec<(f64, f64)>,
    /// What we measure: (x, value).
    pub ours: Vec<(f64, f64)>,
}

/// Series of one quantity in one picture: published values dashed with hollow markers, ours solid
/// with filled ones. The axes are named with their units. Nothing if there is no value.
pub fn overlay(
    title: &str,
    about: &str,
    (x, y): (&str, &str),
    series: &[Overlay],
) -> Option<Picture> {
    let mut lines = Vec::new();
    let mut dashed = Vec::new();
    for (index, overlay) in series.iter().enumerate() {
        let of_protocol = |other: &&Overlay| other.protocol == overlay.protocol;
        let place = series[..index].iter().filter(of_protocol).count();
        let look = match series.iter().filter(of_protocol).count() {
            1 => theme::any(&overlay.protocol, index),
            count => theme::style(&overlay.protocol, place, count),
        };
        let (published, ours) = (points(&overlay.published), points(&overlay.ours));
        dashed.push(Theory {
            label: String::new(),
            colour: look.colour,
            points: published.iter().map(|p| (p.x, p.y)).collect(),
        });
        let named = |whose: &str| match overlay.series.as_str() {
            "" => whose.to_owned(),
            name => format!("{name}, {whose}"),
        };
        lines.push(line(named("published"), look, true, published));
        lines.push(line(named("ours"), look, false, ours));
    }
    lines.retain(|line| !line.points.is_empty());
    let all = || lines.iter().flat_map(|line| &line.points);
    let (xs, ys): (Vec<f64>, Vec<f64>) = all().map(|point| (point.x, point.y)).unzip();
    if xs.is_empty() {
        return None;
    }
    let note = "Hollow and dashed: as published. Filled: as simulated.";
    let chart = Chart {
        title: title.to_owned(),
        subtitle: about.to_owned(),
        note: note.to_owned(),
        x: Axis::at_values(x, &xs),
        y: spread(y, &ys, |label, values| Axis::from_zero(label, values, 1.04)),
        series: lines,
        theory: dashed,
        shades: Vec::new(),
        marks: None,
    };
    Some(Picture::new(
        chart.paint(),
        &format!("{title}. {about} {note}"),
    ))
}

/// By ratios if the values are positive and far apart, else as `linear` says.
fn spread(label: &str, values: &[f64], linear: impl Fn(&str, &[f64]) -> Axis) -> Axis {
    let (least, greatest) = axis::extent(values);
    if least > 0.0 && greatest / least > 25.0 {
        Axis::log(label, values)
    } else {
        linear(label, values)
    }
}

fn line(label: String, look: Style, hollow: bool, points: Vec<Point>) -> Series {
    Series {
        label,
        style: Style { hollow, ..look },
        joined: !hollow,
        points,
        every: 1,
        marks: Vec::new(),
    }
}

fn points(values: &[(f64, f64)]) -> Vec<Point> {
    let finite = values
        .iter()
        .filter(|(x, y)| x.is_finite() && y.is_finite());
    let mut points: Vec<Point> = finite
        .map(|(x, y)| Point {
            x: *x,
            y: *y,
            low: *y,
            high: *y,
        })
        .collect();
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_and_measured_values_share_a_colour_and_differ_in_shape() {
        let overlays = [("PBFT", 1.1), ("etcd", 0.9)].map(|(series, ratio)| Overlay {
            series: series.into(),
            protocol: series.to_lowercase(),
            published: vec![(4.0, 100.0), (7.0, 80.0), (10.0, f64::NAN)],
            ours: vec![(7.0, 80.0 * ratio), (4.0, 100.0 * ratio)],
        });
        let axes = ("nodes, n", "throughput (transactions/s)");
        let picture = overlay("A target", "From a paper.", axes, &overlays).unwrap();
        for word in [
            "PBFT, published",
            "PBFT, ours",
            "etcd, ours",
            "Filled: as simulated",
        ] {
            assert!(picture.svg.contains(word), "{word}");
        }
        assert!(!picture.svg.contains("NaN"));
        assert_eq!(overlay("A target", "", axes, &[Overlay::default()]), None);
    }
}
