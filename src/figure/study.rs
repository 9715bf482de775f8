//! The figures of the study of searches.

use super::axis::Axis;
use super::chart::{Chart, Point, Series, Theory};
use super::theme::{self, SOFT_INK, Style};
use super::{Error, Picture, series};
use crate::contract::search::{CONDITIONS_MAX, MATCHES_MAX};
use crate::study::search::{ABOUT, FLOORS, Method, Study, TIMED_MAX};

/// The figures, by the names of their files.
pub const NAMES: [&str; 3] = [
    "search-time-by-records",
    "search-matches-by-records",
    "search-refused-by-conditions",
];

/// Names and bytes of the figures, or of those with these names.
///
/// # Errors
/// If a name is unknown, or a picture cannot be turned into an image.
pub fn files(study: &Study, names: Option<&[String]>) -> Result<Vec<(String, Vec<u8>)>, Error> {
    for name in names.unwrap_or_default() {
        if !NAMES.contains(&name.as_str()) {
            let (name, nearest) = (name.clone(), None);
            return Err(Error::Unknown { name, nearest });
        }
    }
    let wanted = |name: &str| names.is_none_or(|names| names.iter().any(|n| n == name));
    let drawn = [time(study), matches(study), refused(study)];
    let mut files = Vec::new();
    for (name, picture) in NAMES
        .into_iter()
        .zip(drawn)
        .filter(|(name, _)| wanted(name))
    {
        files.push((format!("{name}.png"), picture.png()?));
        files.push((format!("{name}.svg"), picture.svg.into_bytes()));
    }
    Ok(files)
}

/// The time of the median question: measured if it was, modelled always.
fn time(study: &Study) -> Picture {
    let mut series = Vec::new();
    let mut theory = Vec::new();
    for (method, index) in [(Method::Scan, 2), (Method::Index, 0)] {
        for conditions in 1..=TIMED_MAX {
            let style = shade(index, conditions, TIMED_MAX);
            let modelled = study.findings.iter();
            let modelled = modelled.filter(|f| f.method == method && f.conditions == conditions);
            let modelled = modelled.map(|f| (f64::from(f.records), f.modelled_us_p50));
            let modelled = series::points(modelled.collect());
            let measured = study.speeds.iter();
            let measured = measured.filter(|s| s.method == method && s.conditions == conditions);
            let measured = measured.map(|s| (f64::from(s.records), s.measured_us_p50));
            let measured = series::points(measured.collect());
            let name = match method {
                Method::Index => "index",
                Method::Scan => "scan",
            };
            let label = format!("{name}, {}", counted(conditions));
            if measured.is_empty() {
                series.push(line(label, style, modelled));
            } else {
                theory.push(dashed(String::new(), style, &modelled));
                series.push(line(label, style, measured));
            }
        }
    }
    let what = if theory.is_empty() {
        "Modelled time of the median question; band: least to greatest of 5 registers."
    } else {
        "Median question, five registers. Solid: measured, band from least to greatest. \
         Dashed: modelled."
    };
    let ys = values(&series, &theory);
    chart(
        ("How long a search takes", what),
        records(&series),
        Axis::log("time of a search (µs)", &ys),
        (series, theory),
    )
}

/// How many records match the median question.
fn matches(study: &Study) -> Picture {
    let mut series = Vec::new();
    for conditions in 1..=TIMED_MAX {
        let rows = study.findings.iter();
        let rows = rows.filter(|f| f.method == Method::Index && f.conditions == conditions);
        let rows = rows.map(|f| (f64::from(f.records), f64::from(f.matches_p50)));
        let label = counted(conditions);
        let style = shade(0, conditions, TIMED_MAX);
        series.push(line(label, style, series::points(rows.collect())));
    }
    let records = records(&series);
    let level = |label: &str, y: f64| Theory {
        label: label.to_owned(),
        colour: SOFT_INK,
        points: vec![(records.from, y), (records.to, y)],
    };
    let theory = vec![level("most for an answer", MATCHES_MAX as f64)];
    let ys = values(&series, &theory);
    chart(
        (
            "How much a search finds",
            "Records that match the median question; median of five registers, band from least \
             to greatest.",
        ),
        records,
        Axis::log("matching records", &ys),
        (series, theory),
    )
}

/// The share of questions that match too few patients, in the largest register.
fn refused(study: &Study) -> Picture {
    let records = study.floors.iter().map(|f| f.records).max().unwrap_or(0);
    let mut series = Vec::new();
    for (index, k_min) in FLOORS.into_iter().enumerate() {
        let rows = study.floors.iter();
        let rows = rows.filter(|f| f.k_min == k_min && f.records == records);
        let rows = rows.map(|f| (f.conditions as f64, f.share));
        let label = format!("k_min = {k_min}");
        series.push(line(
            label,
            theme::any("", index),
            series::points(rows.collect()),
        ));
    }
    let conditions: Vec<f64> = (1..=CONDITIONS_MAX).map(|n| n as f64).collect();
    chart(
        (
            "How many searches are refused for too few patients",
            "Median of five registers, band from least to greatest.",
        ),
        Axis::at_values("conditions in the query", &conditions),
        Axis::share("refused searches"),
        (series, Vec::new()),
    )
}

fn chart(
    (title, note): (&str, &str),
    x: Axis,
    y: Axis,
    (series, theory): (Vec<Series>, Vec<Theory>),
) -> Picture {
    let chart = Chart {
        title: title.to_owned(),
        subtitle: ABOUT.to_owned(),
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

fn dashed(label: String, style: Style, points: &[Point]) -> Theory {
    Theory {
        label,
        colour: style.colour.darker(),
        points: points.iter().map(|p| (p.x, p.y)).collect(),
    }
}

/// One of several looks that belong together.
fn shade(family: usize, number: usize, of: usize) -> Style {
    let name = ["raft", "mbft", "pbft"][family];
    theme::style(name, number - 1, of)
}

fn counted(conditions: usize) -> String {
    match conditions {
        1 => "1 condition".to_owned(),
        more => format!("{more} conditions"),
    }
}

fn records(series: &[Series]) -> Axis {
    let xs = series.iter().flat_map(|series| &series.points);
    let xs: Vec<f64> = xs.map(|point| point.x).collect();
    Axis::at_values("records on the chain", &xs)
}

fn values(series: &[Series], theory: &[Theory]) -> Vec<f64> {
    let points = series.iter().flat_map(|series| &series.points);
    let points = points.flat_map(|point| [point.low, point.y, point.high]);
    let dashed = theory.iter().flat_map(|theory| &theory.points);
    points.chain(dashed.map(|(_, y)| *y)).collect()
}
