//! Measures along a swept key: one line for each protocol, medians with bands over seeds.

use std::collections::BTreeSet;

use crate::experiment::table::{RunRecord, Tables};

use super::axis::Axis;
use super::chart::{Chart, Point, Series, Theory};
use super::series::{self, Group};
use super::theme::SOFT_INK;
use super::{Context, Picture};

/// A figure of one measure along one key.
pub(super) struct Curve {
    pub(super) title: &'static str,
    /// The kind of key it runs along.
    pub(super) along: Along,
    pub(super) y: &'static str,
    pub(super) y_axis: YAxis,
    pub(super) measure: fn(&RunRecord) -> Option<f64>,
    /// What a formula says of one line.
    pub(super) theory: fn(&Line<'_>) -> Vec<Theory>,
    /// What the dashed lines are, as a sentence; nothing without.
    pub(super) explains: &'static str,
}

/// What is swept along the horizontal axis.
#[derive(Clone, Copy)]
pub(super) enum Along {
    Nodes,
    Load,
    Delay,
    Batch,
    /// Not a key but a measure: the throughput reached, along the load offered.
    Throughput,
    /// Any other key.
    Key(Key),
}

/// A key that a figure runs along.
#[derive(Clone, Copy)]
pub(super) struct Key {
    /// How the key ends.
    pub(super) ends: &'static str,
    /// What it is, with the unit.
    pub(super) label: &'static str,
    /// So many of the unit on the axis are one of [`series::quantity`].
    pub(super) scale: f64,
    /// Whether the values are few numbers that follow one another, like 1 to 5.
    pub(super) steps: bool,
}

/// How the vertical axis is spread.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum YAxis {
    /// From zero.
    Zero,
    /// By ratios.
    Log,
    /// By ratios if the values differ by more than a factor of twenty-five, else from zero.
    Fit,
}

/// One line as measured.
pub(super) struct Line<'a> {
    pub(super) group: &'a Group<'a>,
    pub(super) key: &'a str,
    pub(super) points: &'a [Point],
}

impl Along {
    /// The swept key of the experiment that is of this kind, if it takes at least two values.
    fn key(self, tables: &Tables) -> Option<String> {
        let fits = |key: &str| match self {
            Self::Nodes => key == "nodes",
            Self::Load | Self::Throughput => key.ends_with(".rate") || key.ends_with(".clients"),
            Self::Delay => key.ends_with("latency") || key.contains("delay"),
            Self::Batch => key == "batch.max" || key == "batch",
            Self::Key(wanted) => key.ends_with(wanted.ends),
        };
        let keys = std::iter::once("nodes").chain(tables.swept_keys());
        let mut fitting = keys.filter(|key| fits(key) && series::distinct(tables, key) > 1);
        fitting.next().map(str::to_owned)
    }

    /// The first kind of key that the experiment sweeps, with the key.
    pub(super) fn any(tables: &Tables) -> Option<(Self, String)> {
        let kinds = [Self::Load, Self::Nodes, Self::Batch, Self::Delay];
        let mut kinds = kinds.into_iter();
        kinds.find_map(|kind| Some((kind, kind.key(tables)?)))
    }

    fn label(self, key: &str) -> &'static str {
        match self {
            Self::Nodes => "nodes, n",
            Self::Load if key.ends_with(".clients") => "clients, each waiting for its answer",
            Self::Load => "offered load (transactions/s)",
            Self::Delay => "one-way delay (ms)",
            Self::Batch => "largest batch (transactions)",
            Self::Throughput => "throughput (transactions/s)",
            Self::Key(wanted) => wanted.label,
        }
    }

    /// The axis that holds these values; where they are sizes, they are the ticks themselves.
    pub(super) fn axis(self, key: &str, values: &[f64]) -> Axis {
        if let Self::Key(Key { steps: true, .. }) = self {
            return Axis::at_steps(self.label(key), values);
        }
        let chosen = match self {
            Self::Nodes | Self::Batch | Self::Delay | Self::Key(_) => true,
            Self::Load => key.ends_with(".clients"),
            Self::Throughput => false,
        };
        if chosen {
            Axis::at_values(self.label(key), values)
        } else {
            Axis::tight(self.label(key), values)
        }
    }
}

impl Curve {
    /// Draws the figure, if the runs have what it needs.
    pub(super) fn draw(&self, tables: &Tables, context: &Context<'_>) -> Option<Picture> {
        let key = self.along.key(tables)?;
        let (groups, shown) = series::few_groups(tables, Some(&key));
        let mut series = Vec::new();
        let mut theory = Vec::new();
        for group in &groups {
            let points = self.points(group, &key);
            if points.is_empty() {
                continue;
            }
            theory.extend((self.theory)(&Line {
                group,
                key: &key,
                points: &points,
            }));
            series.push(Series {
                label: group.label(),
                style: group.style,
                joined: true,
                points,
                every: 1,
                marks: Vec::new(),
            });
        }
        let xs = series.iter().flat_map(|series| &series.points).map(|p| p.x);
        let xs: Vec<f64> = xs.collect();
        if xs
            .iter()
            .map(|x| x.to_bits())
            .collect::<BTreeSet<_>>()
            .len()
            < 2
        {
            return None;
        }
        dedup(&mut theory);
        let note = if matches!(self.along, Along::Throughput) {
            "Medians over seeds; the load offered grows along each line.".to_owned()
        } else {
            series::about_seeds(groups.into_iter().map(|group| group.runs))
        };
        let note = format!("{note} {shown}").trim().to_owned();
        let explains = if theory.is_empty() { "" } else { self.explains };
        let chart = Chart {
            title: self.title.to_owned(),
            subtitle: context.manifest.about.clone(),
            note: note.clone(),
            x: self.along.axis(&key, &xs),
            y: self.y_axis(&series, &theory),
            series,
            theory,
            shades: Vec::new(),
            marks: None,
        };
        let caption = format!("{}: {note} {explains}", self.title);
        Some(Picture::new(chart.paint(), &caption))
    }

    fn points(&self, group: &Group<'_>, key: &str) -> Vec<Point> {
        let mut points = group.points(key, self.measure);
        if let Along::Key(wanted) = self.along {
            points.iter_mut().for_each(|point| point.x *= wanted.scale);
        }
        if matches!(self.along, Along::Throughput) {
            let reached = group.points(key, |run| run.row.throughput_tps);
            points = reached
                .iter()
                .filter_map(|tps| {
                    let same = points.iter().find(|point| point.x == tps.x)?;
                    Some(Point {
                        x: tps.y,
                        low: same.y,
                        high: same.y,
                        ..*same
                    })
                })
                .collect();
        }
        let log = self.y_axis == YAxis::Log;
        points.retain(|point| !log || point.low > 0.0);
        points
    }

    fn y_axis(&self, series: &[Series], theory: &[Theory]) -> Axis {
        let points = series.iter().flat_map(|series| &series.points);
        let mut values: Vec<f64> = points.flat_map(|p| [p.low, p.y, p.high]).collect();
        let (least, greatest) = super::axis::extent(&values);
        let log = match self.y_axis {
            YAxis::Zero => false,
            YAxis::Log => true,
            YAxis::Fit => least > 0.0 && greatest / least > 25.0,
        };
        // Theory may leave the chart, where it says what cannot be reached.
        let near = theory
            .iter()
            .flat_map(|theory| &theory.points)
            .map(|(_, y)| *y);
        values.extend(near.filter(|y| *y <= greatest * 1.3 && (!log || *y >= least / 2.0)));
        if log {
            Axis::log(self.y, &values)
        } else {
            Axis::from_zero(self.y, &values, 1.04)
        }
    }
}

/// Leaves one of several equal dashed lines.
fn dedup(theory: &mut Vec<Theory>) {
    let mut kept: Vec<Theory> = Vec::new();
    for line in theory.drain(..) {
        let same = |other: &Theory| other.label == line.label && other.points == line.points;
        if !kept.iter().any(same) {
            kept.push(line);
        }
    }
    *theory = kept;
}

/// No formula.
pub(super) fn none(_: &Line<'_>) -> Vec<Theory> {
    Vec::new()
}

/// A smooth dashed line over the extent of a measured one.
fn formula(line: &Line<'_>, label: &str, y: impl Fn(f64) -> f64) -> Vec<Theory> {
    const STEPS: u32 = 60;
    let (Some(first), Some(last)) = (line.points.first(), line.points.last()) else {
        return Vec::new();
    };
    let steps = (0..=STEPS).map(|step| {
        let share = f64::from(step) / f64::from(STEPS);
        let x = first.x + (last.x - first.x) * share * share;
        (x, y(x))
    });
    vec![Theory {
        label: label.to_owned(),
        colour: line.group.style.colour.darker(),
        points: steps.collect(),
    }]
}

/// Messages that agree on one block when nothing goes wrong.
pub(super) fn messages(line: &Line<'_>) -> Vec<Theory> {
    match line.group.protocol {
        "raft" => formula(line, "Raft: 2(n \u{2212} 1)", |n| 2.0 * (n - 1.0)),
        "pbft" => formula(line, "PBFT: 2n(n \u{2212} 1)", |n| 2.0 * n * (n - 1.0)),
        _ => Vec::new(),
    }
}

/// Delays that an answer takes at the least, the client's two included.
pub(super) fn delays(line: &Line<'_>) -> Vec<Theory> {
    match line.group.protocol {
        "raft" => formula(line, "Raft: 4 delays", |delay| 4.0 * delay),
        "pbft" => formula(line, "PBFT: 5 delays", |delay| 5.0 * delay),
        _ => Vec::new(),
    }
}

/// What verifying the signatures of submissions leaves of one processor's time, along the time for
/// one of them in microseconds.
pub(super) fn signatures(line: &Line<'_>) -> Vec<Theory> {
    let mut variant = line.group.variant.iter();
    let (label, each) = match variant.find(|(key, _)| key.ends_with("authentication")) {
        Some((_, value)) if value == "doctor-only" => ("1 / verify", 1.0),
        Some(_) => ("1 / (2 verify)", 2.0),
        None => return Vec::new(),
    };
    let mut bound = formula(line, label, |verify| 1e6 / (each * verify));
    bound.iter_mut().for_each(|line| line.colour = SOFT_INK);
    bound
}

/// What is offered is accepted, as long as nothing is saturated.
pub(super) fn offered(line: &Line<'_>) -> Vec<Theory> {
    if line.key.ends_with(".clients") {
        return Vec::new();
    }
    let mut ideal = formula(line, "all that is offered", |rate| rate);
    ideal.iter_mut().for_each(|line| line.colour = SOFT_INK);
    ideal
}

/// Little's law: clients that wait for their answers are as many as throughput times latency.
pub(super) fn little(line: &Line<'_>) -> Vec<Theory> {
    if !line.key.ends_with(".clients") {
        return Vec::new();
    }
    let reached = line.group.points(line.key, |run| run.row.throughput_tps);
    let waits = reached.iter().filter(|point| point.y > 0.0);
    vec![Theory {
        label: "clients / throughput".to_owned(),
        colour: line.group.style.colour.darker(),
        points: waits
            .map(|point| (point.x, point.x / point.y * 1e3))
            .collect(),
    }]
}

/// Parts of the names of messages that keep a committee together rather than agree on a block.
const UPKEEP: &[&str] = &[
    "heartbeat",
    "checkpoint",
    "view-change",
    "new-view",
    "pre-vote",
    "elect",
    "fetch",
    "blocks",
    "snapshot",
    "catch",
    "status",
    "forward",
];

/// Whether a message keeps the committee together. A vote is for a block everywhere but in Raft,
/// where it is for a leader.
fn is_upkeep(protocol: &str, kind: &str) -> bool {
    let elects = protocol.ends_with("raft") && kind.contains("vote");
    elects || UPKEEP.iter().any(|part| kind.contains(part))
}

/// Consensus messages for each block without upkeep: the messages of the measured window, by the
/// share that agreement has in the whole run.
pub(super) fn agreement_per_block(run: &RunRecord) -> Option<f64> {
    let counted = |upkeep: bool| {
        let kinds = run.messages.iter();
        let wanted = kinds.filter(|row| upkeep || !is_upkeep(&run.row.protocol, &row.kind));
        wanted.map(|row| row.count).sum::<u64>() as f64
    };
    let (agreement, all) = (counted(false), counted(true));
    let per_block = run.row.messages_per_block?;
    Some(if all > 0.0 {
        per_block * agreement / all
    } else {
        per_block
    })
}
