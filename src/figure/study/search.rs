//! The figures of the study of searches.

use super::{chart, line, values};
use crate::contract::search::{CONDITIONS_MAX, MATCHES_MAX};
use crate::figure::axis::{self, Axis, Spread, Tick};
use crate::figure::chart::{Point, Series, Theory};
use crate::figure::theme::{self, SOFT_INK, Style};
use crate::figure::{Error, Picture, series};
use crate::study::search::{ABOUT, FLOORS, Finding, Method, Speed, Study, TIMED_MAX};

/// The figures, by the names of their files.
pub const NAMES: [&str; 3] = [
    "search-time-by-records",
    "search-matches-by-records",
    "search-refused-by-conditions",
];

/// The figures, or those of these names, as files.
///
/// # Errors
/// If a name is unknown, or a picture cannot be turned into an image.
pub fn files(study: &Study, names: Option<&[String]>) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let drawn = [time(study), matches(study), refused(study)];
    super::files(NAMES.into_iter().zip(drawn).collect(), names)
}

/// What a line of the figure of times shows.
struct Timed {
    label: String,
    style: Style,
    method: Method,
    conditions: usize,
    modelled: fn(&Finding) -> f64,
    measured: fn(&Speed) -> f64,
}

/// The lines of the figure of times: a scan, the median question by the index, and the slowest of
/// a hundred.
fn timed() -> Vec<Timed> {
    let mut lines = vec![Timed {
        label: "scan".to_owned(),
        style: theme::style("pbft", 0, 1),
        method: Method::Scan,
        conditions: TIMED_MAX,
        modelled: |finding| finding.modelled_us_p50,
        measured: |speed| speed.measured_us_p50,
    }];
    lines.push(Timed {
        label: "index, 99th percentile".to_owned(),
        style: theme::style("mbft", 0, 1),
        method: Method::Index,
        conditions: TIMED_MAX,
        modelled: |finding| finding.modelled_us_p99,
        measured: |speed| speed.measured_us_p99,
    });
    lines.extend((1..=TIMED_MAX).rev().map(|conditions| Timed {
        label: format!("index, {}", counted(conditions)),
        style: shade(conditions),
        method: Method::Index,
        conditions,
        modelled: |finding| finding.modelled_us_p50,
        measured: |speed| speed.measured_us_p50,
    }));
    lines
}

/// The time of a question: measured if it was, modelled always.
fn time(study: &Study) -> Picture {
    let mut series = Vec::new();
    let mut theory = Vec::new();
    for timed in timed() {
        let kind = (timed.method, timed.conditions);
        let modelled = study.findings.iter();
        let modelled = modelled.filter(|f| (f.method, f.conditions) == kind);
        let modelled = modelled.map(|f| (f64::from(f.records), (timed.modelled)(f)));
        let modelled = series::points(modelled.collect());
        let measured = study.speeds.iter();
        let measured = measured.filter(|s| (s.method, s.conditions) == kind);
        let measured = measured.map(|s| (f64::from(s.records), (timed.measured)(s)));
        let measured = series::points(measured.collect());
        if measured.is_empty() {
            series.push(line(timed.label, timed.style, modelled));
        } else {
            theory.push(dashed(timed.style, &modelled));
            series.push(line(timed.label, timed.style, measured));
        }
    }
    let what = if theory.is_empty() {
        "Modelled. Median question; percentile and scan: 3 conditions. Band: five registers."
    } else {
        "Median question; percentile and scan: 3 conditions. Solid: measured. Dashed: modelled."
    };
    let ys = values(&series, &theory);
    chart(
        ABOUT,
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
        let style = shade(conditions);
        series.push(line(label, style, series::points(rows.collect())));
    }
    let records = records(&series);
    let level = |label: &str, y: f64| Theory {
        label: label.to_owned(),
        colour: SOFT_INK,
        points: vec![(records.from, y), (records.to, y)],
    };
    let theory = vec![level("most for an answer, 500", MATCHES_MAX as f64)];
    let ys = values(&series, &theory);
    chart(
        ABOUT,
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
        let label = format!("floor of {k_min} patients");
        series.push(line(
            label,
            theme::any("", index),
            series::points(rows.collect()),
        ));
    }
    let note = format!(
        "Registers of {} records; median of five, band from least to greatest.",
        axis::show(f64::from(records))
    );
    chart(
        ABOUT,
        ("How many searches are refused for too few patients", &note),
        counts("conditions in the query", CONDITIONS_MAX),
        Axis::share("refused searches"),
        (series, Vec::new()),
    )
}

fn dashed(style: Style, points: &[Point]) -> Theory {
    Theory {
        label: String::new(),
        colour: style.colour.darker(),
        points: points.iter().map(|p| (p.x, p.y)).collect(),
    }
}

/// The looks of questions with so many conditions.
fn shade(conditions: usize) -> Style {
    theme::style("raft", conditions - 1, TIMED_MAX)
}

/// An axis from one to a number, each with its mark.
fn counts(label: &str, last: usize) -> Axis {
    let ticks = (1..=last).map(|count| Tick {
        at: count as f64,
        name: Some(count.to_string()),
    });
    Axis {
        label: label.to_owned(),
        spread: Spread::Linear,
        from: 0.8,
        to: last as f64 + 0.2,
        ticks: ticks.collect(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::search::{Plan, study};

    fn small() -> Study {
        let plan = Plan {
            seeds: 2,
            records: vec![300, 3_000],
            questions: 60,
            scanned: 2,
        };
        study(
            &plan,
            &|run| {
                run();
                1e-6
            },
            &|_| {},
        )
    }

    #[test]
    fn every_figure_has_its_lines_and_both_files() {
        let study = small();
        let names = |names: Option<&[String]>| -> Vec<String> {
            let files = files(&study, names).unwrap();
            files.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(None).len(), 2 * NAMES.len());
        let one = [NAMES[1].to_owned()];
        assert_eq!(
            names(Some(&one)),
            [
                "search-matches-by-records.png",
                "search-matches-by-records.svg"
            ]
        );
        assert!(files(&study, Some(&["search".to_owned()])).is_err());
        let pictures = [time(&study), matches(&study), refused(&study)];
        let words = ["index, 2 conditions", "1 condition", "floor of 11 patients"];
        for (picture, word) in pictures.iter().zip(words) {
            assert!(picture.svg.contains(word), "{word}");
            assert!(!picture.svg.contains("NaN"));
        }
    }

    #[test]
    fn without_measurements_the_model_is_drawn() {
        let measured = small();
        let modelled = Study {
            speeds: Vec::new(),
            ..measured.clone()
        };
        assert!(time(&measured).caption.contains("Solid: measured"));
        assert!(!time(&modelled).caption.contains("measured"));
        assert_eq!(matches(&measured), matches(&modelled));
    }
}
