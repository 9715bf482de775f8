//! The figures of studies.

mod bars;
pub mod draw;
pub mod rbraft;
pub mod search;
pub mod tolerance;

use super::axis::Axis;
use super::chart::{Chart, Point, Series, Theory};
use super::theme::Style;
use super::{Error, Picture};

/// Names and bytes of drawn figures, or of those with these names.
fn files(
    drawn: Vec<(&str, Picture)>,
    names: Option<&[String]>,
) -> Result<Vec<(String, Vec<u8>)>, Error> {
    for name in names.unwrap_or_default() {
        if drawn.iter().all(|(known, _)| known != name) {
            let (name, nearest) = (name.clone(), None);
            return Err(Error::Unknown { name, nearest });
        }
    }
    let wanted = |name: &str| names.is_none_or(|names| names.iter().any(|n| n == name));
    let mut files = Vec::new();
    for (name, picture) in drawn.into_iter().filter(|(name, _)| wanted(name)) {
        files.push((format!("{name}.png"), picture.png()?));
        files.push((format!("{name}.svg"), picture.svg.into_bytes()));
    }
    Ok(files)
}

fn chart(
    about: &str,
    (title, note): (&str, &str),
    x: Axis,
    y: Axis,
    (series, theory): (Vec<Series>, Vec<Theory>),
) -> Picture {
    let chart = Chart {
        title: title.to_owned(),
        subtitle: about.to_owned(),
        note: note.to_owned(),
        x,
        y,
        series,
        theory,
        shades: Vec::new(),
        marks: None,
    };
    Picture::new(chart.paint(), &format!("{title}. {note}"))
}

fn line(label: String, style: Style, points: Vec<Point>) -> Series {
    Series {
        label,
        style,
        joined: true,
        points,
        every: 1,
        marks: Vec::new(),
    }
}

fn values(series: &[Series], theory: &[Theory]) -> Vec<f64> {
    let points = series.iter().flat_map(|series| &series.points);
    let points = points.flat_map(|point| [point.low, point.y, point.high]);
    let dashed = theory.iter().flat_map(|theory| &theory.points);
    points.chain(dashed.map(|(_, y)| *y)).collect()
}
