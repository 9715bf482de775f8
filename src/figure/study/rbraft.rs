//! The figures of the study of the attacks of RB-Raft.

use super::chart;
use crate::figure::axis::{Axis, Spread, Tick};
use crate::figure::chart::{Point, Series, Theory};
use crate::figure::theme::{self, SOFT_INK, Style};
use crate::figure::{Error, Picture, series};
use crate::study::rbraft::{ABOUT, Alteration, Ballots, Study, Tampering};

/// The figures, by the names of their files.
pub const NAMES: [&str; 3] = [
    "tampering-found",
    "votes-against-a-leader",
    "audit-by-round",
];

/// The figures, or those of these names, as files.
///
/// # Errors
/// If a name is unknown, or a picture cannot be turned into an image.
pub fn files(study: &Study, names: Option<&[String]>) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let drawn = [tampering(study), votes(study), audit(study)];
    super::files(NAMES.into_iter().zip(drawn).collect(), names)
}

/// How our Raft, our improved Raft, and the measurements of the publication look.
fn ours(protocol: &str) -> Style {
    theme::style(protocol, 0, 1)
}

fn published() -> Style {
    Style {
        hollow: true,
        ..theme::style("layers", 0, 1)
    }
}

fn marks(label: &str, style: Style, points: Vec<Point>) -> Series {
    Series {
        label: label.to_owned(),
        style,
        joined: false,
        points,
        every: 1,
        marks: Vec::new(),
    }
}

/// The altered entries that were found, by protocol and way of altering.
fn tampering(study: &Study) -> Picture {
    let rows = &study.tampering;
    let share = |count: u64, row: &Tampering| count as f64 / row.altered.max(1) as f64;
    let points = |of: &dyn Fn(&Tampering) -> Option<f64>| {
        let places = rows.iter().zip(1_u32..);
        let known = places.filter_map(|(row, place)| Some((f64::from(place), of(row)?)));
        series::points(known.collect())
    };
    let found = points(&|row| Some(share(row.found, row)));
    let accepted = points(&|row| Some(share(row.accepted, row)));
    let theirs = points(&|row| Some(row.published_found? as f64 / 10.0));
    let ticks = rows.iter().zip(1_u32..).map(|(row, place)| Tick {
        at: f64::from(place),
        name: Some(named(row)),
    });
    let x = Axis {
        label: "protocol, and how the leader alters an entry".to_owned(),
        spread: Spread::Linear,
        from: 0.5,
        to: rows.len() as f64 + 0.5,
        ticks: ticks.collect(),
    };
    let (altered, entries) = rows
        .first()
        .map_or((0, 0), |row| (row.altered, row.entries));
    let note = format!(
        "{altered} altered entries, each one of {entries}. Published: Table 1, Raft and RB-Raft."
    );
    chart(
        ABOUT,
        ("Altered entries that are found", &note),
        x,
        Axis::share("share of the altered entries"),
        (
            vec![
                marks("published: found", published(), theirs),
                marks("leader convicted", ours("iraft"), found),
                marks("accepted by the contract", ours("pbft"), accepted),
            ],
            Vec::new(),
        ),
    )
}

fn named(row: &Tampering) -> String {
    let how = match row.alteration {
        Alteration::Unsigned => "unsigned",
        Alteration::Forged => "forged",
    };
    format!("{}, {how}", theme::display(&row.protocol))
}

/// The votes that a candidate gets against a leader that lives, by number of nodes.
fn votes(study: &Study) -> Picture {
    let share = |count: u64, row: &Ballots| 100.0 * count as f64 / row.nodes as f64;
    let points = |protocol: &str, of: &dyn Fn(&Ballots) -> Option<u64>| {
        let rows = study.ballots.iter().filter(|row| row.protocol == protocol);
        let known = rows.filter_map(|row| Some((row.nodes as f64, share(of(row)?, row))));
        series::points(known.collect())
    };
    let plain = "raft-without-pre-vote";
    let lines = [
        (
            "Raft without pre-votes",
            ours("raft"),
            points(plain, &|row| Some(row.votes)),
        ),
        ("Raft", ours("mbft"), points("raft", &|row| Some(row.votes))),
        (
            "Improved Raft, shares",
            ours("iraft"),
            points("iraft", &|row| Some(row.shares)),
        ),
        (
            "Improved Raft, votes",
            ours("hotstuff"),
            points("iraft", &|row| Some(row.votes)),
        ),
    ];
    let theirs = [
        ("published: Raft", points(plain, &|row| row.published_votes)),
        (
            "published: RB-Raft, shares",
            points("iraft", &|row| row.published_shares),
        ),
    ];
    let mut all: Vec<Series> = Vec::new();
    for ((label, points), marker) in theirs.into_iter().zip(["layers", "pbft"]) {
        let style = Style {
            hollow: true,
            ..theme::style(marker, 0, 1)
        };
        all.push(marks(label, style, points));
    }
    all.extend(lines.map(|(label, style, points)| marks(label, style, points)));
    let xs: Vec<f64> = study.ballots.iter().map(|row| row.nodes as f64).collect();
    let y = Axis {
        label: "nodes that give it (%)".to_owned(),
        from: -2.0,
        ..Axis::from_zero("", &[100.0], 1.0)
    };
    chart(
        ABOUT,
        (
            "Votes for a candidate while the leader lives",
            "Within 20 ms. Median of the seeds. Published: one run each, Tables 2 and 3.",
        ),
        Axis::at_values("nodes, n", &xs),
        y,
        (all, Vec::new()),
    )
}

/// The interval of audits by round.
fn audit(study: &Study) -> Picture {
    let points = |of: fn(&crate::study::rbraft::Interval) -> u64| {
        let rows = study.audit.iter();
        let values = rows.map(|row| (row.round as f64, of(row) as f64));
        series::points(values.collect())
    };
    let (honest, liar) = (points(|row| row.honest), points(|row| row.liar));
    let xs: Vec<f64> = honest.iter().map(|point| point.x).collect();
    let ticks = (0..=6).map(|power| Tick {
        at: f64::from(1 << power),
        name: Some((1 << power).to_string()),
    });
    let y = Axis {
        label: "T, entries from one audit to the next".to_owned(),
        spread: Spread::Log,
        from: 0.8,
        to: 80.0,
        ticks: ticks.collect(),
    };
    let trusted = Theory {
        label: "not trusted any more".to_owned(),
        colour: SOFT_INK,
        points: xs.iter().map(|x| (*x, 1.0)).collect(),
    };
    let theirs = series::points(vec![(11.0, 16.0)]);
    chart(
        ABOUT,
        (
            "The interval of audits under an honest and a lying leader",
            "The liar alters entries from the second round on. Published: Figure 5, round 11.",
        ),
        Axis::tight("round", &xs),
        y,
        (
            vec![
                marks("published: honest leader", published(), theirs),
                super::line("honest leader".to_owned(), ours("iraft"), honest),
                super::line("lying leader".to_owned(), ours("pbft"), liar),
            ],
            vec![trusted],
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::rbraft::{Plan, study};

    #[test]
    fn every_figure_has_its_lines() {
        let plan = Plan {
            nodes: vec![4, 100],
            seeds: 1,
            entries: 3,
            altered: 1,
            rounds: 3,
        };
        let study = study(&plan, &|_| {});
        assert_eq!(files(&study, None).unwrap().len(), 2 * NAMES.len());
        assert!(files(&study, Some(&["votes".to_owned()])).is_err());
        let pictures = [tampering(&study), votes(&study), audit(&study)];
        let words = ["Improved Raft, forged", "published: Raft", "honest leader"];
        for (picture, word) in pictures.iter().zip(words) {
            assert!(picture.svg.contains(word), "{word}");
            assert!(!picture.svg.contains("NaN"));
        }
    }
}
