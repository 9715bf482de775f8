//! The figures of the study of the attacks of RB-Raft.

use super::bars::{self, Bar, Group};
use super::chart;
use crate::experiment::stats;
use crate::figure::axis::{Axis, Spread, Tick};
use crate::figure::chart::{Series, Theory};
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

/// How a protocol looks.
fn ours(protocol: &str) -> Style {
    theme::style(protocol, 0, 1)
}

/// The altered entries that were found, by way of altering and protocol.
fn tampering(study: &Study) -> Picture {
    let ways = [
        (Alteration::Unsigned, "another call without a signature"),
        (Alteration::Forged, "another call with forged signatures"),
    ];
    let groups = ways.map(|(alteration, heading)| {
        let rows = study.tampering.iter();
        let rows = rows.filter(|row| row.alteration == alteration);
        Group {
            heading: heading.to_owned(),
            bars: rows.flat_map(|row| [found(row), accepted(row)]).collect(),
        }
    });
    let entries = study.tampering.first().map_or(0, |row| row.entries);
    let note = format!(
        "Each altered entry is one of {entries}, in a run of its own. Published: Table 1, Raft and \
         RB-Raft."
    );
    bars::draw(ABOUT, ("Altered entries that are found", &note), &groups)
}

fn found(row: &Tampering) -> Bar {
    Bar {
        label: format!("{}: leader convicted", theme::display(&row.protocol)),
        colour: ours(&row.protocol).colour,
        ours: part(row.found, row.altered),
        published: row.published_found.map(|found| part(found, 10)),
    }
}

fn accepted(row: &Tampering) -> Bar {
    Bar {
        label: "accepted by the contract".to_owned(),
        colour: ours(&row.protocol).colour,
        ours: part(row.accepted, row.altered),
        published: None,
    }
}

fn part(count: u64, all: u64) -> (f64, String) {
    (
        count as f64 / all.max(1) as f64,
        format!("{count} of {all}"),
    )
}

/// The votes that a candidate gets against a leader that lives, by number of nodes.
fn votes(study: &Study) -> Picture {
    let mut sizes: Vec<usize> = study.ballots.iter().map(|row| row.nodes).collect();
    sizes.dedup();
    let groups: Vec<Group> = sizes
        .into_iter()
        .map(|nodes| election(study, nodes))
        .collect();
    let note = "Within 20 ms; medians of the seeds. Published: one run each, Tables 2 and 3.";
    let title = "Votes for a candidate while the leader lives";
    bars::draw(ABOUT, (title, note), &groups)
}

/// What a candidate among so many nodes gets.
fn election(study: &Study, nodes: usize) -> Group {
    let all = nodes as u64;
    let bar = |protocol: &str, label: &str, of: fn(&Ballots) -> (u64, Option<u64>)| {
        let rows = study.ballots.iter();
        let rows = rows.filter(|row| row.nodes == nodes && row.protocol == protocol);
        let told: Vec<(u64, Option<u64>)> = rows.map(of).collect();
        let counts = stats::sorted(told.iter().map(|(count, _)| *count as f64));
        let median = stats::median(&counts).unwrap_or(0.0);
        let published = told.first().and_then(|(_, published)| *published);
        let colour = protocol.split('-').next().unwrap_or(protocol);
        Bar {
            label: label.to_owned(),
            colour: ours(colour).colour,
            ours: part(median as u64, all),
            published: published.map(|count| part(count, all)),
        }
    };
    Group {
        heading: format!("{nodes} nodes"),
        bars: vec![
            bar(
                "raft-without-pre-vote",
                "Raft without pre-votes: votes",
                |row| (row.votes, row.published_votes),
            ),
            bar("raft", "Raft: votes", |row| (row.votes, None)),
            bar("raft", "Raft: pre-votes", |row| (row.shares, None)),
            bar("iraft", "Improved Raft: votes", |row| {
                (row.votes, row.published_votes)
            }),
            bar("iraft", "Improved Raft: shares", |row| {
                (row.shares, row.published_shares)
            }),
        ],
    }
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
                Series {
                    joined: false,
                    ..super::line(
                        "published: honest leader".to_owned(),
                        theme::style("layers", 0, 1),
                        theirs,
                    )
                },
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
        let words = [
            "forged signatures",
            "Improved Raft: shares",
            "honest leader",
        ];
        for (picture, word) in pictures.iter().zip(words) {
            assert!(picture.svg.contains(word), "{word}");
            assert!(!picture.svg.contains("NaN"));
        }
    }
}
