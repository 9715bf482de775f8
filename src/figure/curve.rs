//! Measures along a swept key: one line for each protocol, medians with bands over seeds.

use crate::experiment::table::{RunRecord, Tables};

use super::axis::{Axis, Tick};
use super::bounds;
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
    /// How many nodes are adversaries.
    Byzantine,
    /// Not a key but a measure: the throughput reached, along the load offered.
    Throughput,
    /// How many nodes have crashed.
    Crashes,
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
    /// By ratios, as far as theory goes.
    LogAll,
    /// By ratios, with a place for nothing at the foot.
    LogOrNone,
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
            Self::Byzantine => key == "byzantine",
            Self::Crashes => key == "faults",
            Self::Key(wanted) => key.ends_with(wanted.ends),
        };
        let keys = ["nodes", "byzantine"]
            .into_iter()
            .chain(tables.swept_keys());
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
            Self::Byzantine => "Byzantine nodes, the leader first",
            Self::Crashes => "crashed nodes",
            Self::Throughput => "throughput (transactions/s)",
            Self::Key(wanted) => wanted.label,
        }
    }

    /// The axis that holds these values; where they are sizes, they are the ticks themselves.
    pub(super) fn axis(self, key: &str, values: &[f64]) -> Axis {
        if let Self::Byzantine | Self::Crashes | Self::Key(Key { steps: true, .. }) = self {
            return Axis::at_steps(self.label(key), values);
        }
        let chosen = match self {
            Self::Nodes
            | Self::Batch
            | Self::Delay
            | Self::Byzantine
            | Self::Crashes
            | Self::Key(_) => true,
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
        let mut without = Vec::new();
        for group in &groups {
            let points = self.points(group, &key);
            if points.is_empty() {
                without.push(group.label());
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
        if xs.iter().all(|x| *x == xs[0]) {
            return None;
        }
        dedup(&mut theory);
        let none = match self.y_axis {
            YAxis::LogOrNone => Some(lift(&mut series)?),
            YAxis::Zero | YAxis::Log | YAxis::LogAll | YAxis::Fit => None,
        };
        let seeds = series::about_seeds(groups.into_iter().map(|group| group.runs));
        let note = self.note(&[&seeds, &shown, &never(&without)]);
        let explains = if theory.is_empty() { "" } else { self.explains };
        let chart = Chart {
            title: self.title.to_owned(),
            subtitle: context.manifest.about.clone(),
            note: note.clone(),
            x: self.along.axis(&key, &xs),
            y: self.y_axis(&series, &theory, none),
            series,
            theory,
            shades: Vec::new(),
            marks: None,
        };
        let caption = format!("{}: {note} {explains}", self.title);
        Some(Picture::new(chart.paint(), &caption))
    }

    /// What the lines and bands are, from what is known of the seeds and of what is shown.
    fn note(&self, [seeds, shown, never]: &[&str; 3]) -> String {
        let seeds = match self.along {
            Along::Throughput => "Medians over seeds; the load offered grows along each line.",
            Along::Nodes
            | Along::Load
            | Along::Delay
            | Along::Batch
            | Along::Byzantine
            | Along::Crashes
            | Along::Key(_) => seeds,
        };
        let parts = [seeds, shown, never].into_iter();
        let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        parts.join(" ")
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

    fn y_axis(&self, series: &[Series], theory: &[Theory], none: Option<f64>) -> Axis {
        let points = series.iter().flat_map(|series| &series.points);
        let mut values: Vec<f64> = points.flat_map(|p| [p.low, p.y, p.high]).collect();
        let (least, greatest) = super::axis::extent(&values);
        let log = match self.y_axis {
            YAxis::Zero => false,
            YAxis::Log | YAxis::LogAll | YAxis::LogOrNone => true,
            YAxis::Fit => least > 0.0 && greatest / least > 25.0,
        };
        // Theory may leave the chart, where it says what cannot be reached.
        let near = theory
            .iter()
            .flat_map(|theory| &theory.points)
            .map(|(_, y)| *y);
        let all = self.y_axis == YAxis::LogAll;
        values
            .extend(near.filter(|y| all || (*y <= greatest * 1.3 && (!log || *y >= least / 2.0))));
        if let Some(none) = none {
            values.retain(|value| *value > none);
            let mut axis = Axis::log(self.y, &values);
            axis.ticks.retain(|tick| tick.at > none * 1.5);
            axis.ticks.push(Tick {
                at: none,
                name: Some("none".to_owned()),
            });
            axis.from = none / 1.3;
            return axis;
        }
        if log {
            Axis::log(self.y, &values)
        } else {
            Axis::from_zero(self.y, &values, 1.04)
        }
    }
}

/// Names the lines that have no point.
fn never(labels: &[String]) -> String {
    match labels {
        [] => String::new(),
        labels => format!("Never: {}.", labels.join("; ")),
    }
}

/// Lifts what is zero to a place below all that is not, and tells it; nothing if all is zero.
fn lift(series: &mut [Series]) -> Option<f64> {
    let points = || series.iter().flat_map(|series| &series.points);
    let values = points().flat_map(|point| [point.low, point.y, point.high]);
    let least = values.filter(|value| *value > 0.0).fold(f64::MAX, f64::min);
    let floor = (least < f64::MAX).then_some(least / 3.0)?;
    for point in series.iter_mut().flat_map(|series| &mut series.points) {
        for value in [&mut point.low, &mut point.y, &mut point.high] {
            *value = value.max(floor);
        }
    }
    Some(floor)
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

/// What each would store if all stored everything.
pub(super) fn all_of_it(line: &Line<'_>) -> Vec<Theory> {
    let whole = line
        .group
        .points(line.key, |run| run.measure("records-kib"));
    vec![Theory {
        label: "all of it".to_owned(),
        colour: SOFT_INK,
        points: whole.iter().map(|point| (point.x, point.y)).collect(),
    }]
}

/// A smooth dashed line over the extent of a measured one.
pub(super) fn formula(line: &Line<'_>, label: &str, y: impl Fn(f64) -> f64) -> Vec<Theory> {
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
        "iraft" => improved(line),
        "krbft" => grouped(line),
        "mbft" if line.key == "nodes" => {
            let label = "MBFT: g(2(m \u{2212} 1) + h) + 2h(h \u{2212} 1) + n \u{2212} h";
            formula(line, label, bounds::large_block)
        }
        _ => Vec::new(),
    }
}

/// The messages of the improved Raft: so many for each follower, and copies for monitors.
fn improved(line: &Line<'_>) -> Vec<Theory> {
    let runs = &line.group.runs;
    let config = runs.first().and_then(|run| run.row.swept("protocol.value"));
    let config = config.unwrap_or_default().replace(' ', "");
    let each = match (
        config.contains("paper"),
        config.contains("commit_notice:true"),
    ) {
        (true, false) => 2.0,
        (true, true) => 3.0,
        (false, _) => 5.0,
    };
    // What is counted otherwise has no line.
    if config.contains("sync") || config.contains("monitors:all") {
        return Vec::new();
    }
    let copied = !config.contains("monitors:none");
    let copies = if copied { " + copies" } else { "" };
    let label = format!("Improved Raft: {each}(n \u{2212} 1){copies}");
    formula(line, &label, |n| {
        let monitors = libm::floor((n - 1.0) / 3.0) + 1.0;
        each * (n - 1.0) + if copied { monitors * (n - 2.0) } else { 0.0 }
    })
}

/// Groups unless the scenario names another number.
const GROUPS: f64 = 4.0;

/// The messages of K-RBFT, along the number of nodes or of groups: the committee's, those that
/// hand a block to the groups, and the voices behind two votes of each leader.
fn grouped(line: &Line<'_>) -> Vec<Theory> {
    let runs = &line.group.runs;
    let Some(first) = runs.first() else {
        return Vec::new();
    };
    let config = first.row.swept("protocol.value").unwrap_or_default();
    let config = config.replace(' ', "");
    // What is counted otherwise has no line.
    let counted = !["groups:", "supervision:true", "_cert", "_certified"]
        .iter()
        .any(|key| config.contains(key));
    if !counted {
        return Vec::new();
    }
    let each = if config.contains("paper") { 3.0 } else { 7.0 };
    let count = |k: f64, n: f64| 2.0 * k * (k - 1.0) + each * (n - k);
    let label = format!("K-RBFT: 2k(k \u{2212} 1) + {each}(n \u{2212} k)");
    if line.key.ends_with("groups") {
        let n = first.row.nodes as f64;
        formula(line, &label, |k| count(k, n))
    } else {
        formula(line, &label, |n| count(GROUPS, n))
    }
}

/// Two delays after a lie somebody holds a proof.
pub(super) fn first_proof(line: &Line<'_>) -> Vec<Theory> {
    after_delays(line, 2.0)
}

/// Three delays after a lie everybody does.
pub(super) fn last_proof(line: &Line<'_>) -> Vec<Theory> {
    after_delays(line, 3.0)
}

/// So many delays of the network, if the experiment names the one it has.
fn after_delays(line: &Line<'_>, count: f64) -> Vec<Theory> {
    let delay = line.group.runs.first().and_then(|run| {
        let mut swept = run.row.swept.iter();
        let (key, _) = swept.find(|(key, _)| key.ends_with("latency"))?;
        series::coordinate(run, key)
    });
    let Some(delay) = delay else {
        return Vec::new();
    };
    let mut level = formula(line, &format!("{count} message delays"), |_| count * delay);
    level.iter_mut().for_each(|line| line.colour = SOFT_INK);
    level
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

/// Messages of K-RBFT that its groups elect their leaders with, which log nothing but that a term
/// has begun, and that tell of these.
const COUNCIL: &[&str] = &[
    "vote",
    "vote-reply",
    "append",
    "append-reply",
    "prepared",
    "commit-vote",
    "committed",
    "council-update",
    "hand-over",
    "hand-over-reply",
];

/// Whether a message keeps the committee together. A vote is for a block everywhere but in Raft,
/// where it is for a leader, unless it says otherwise.
fn is_upkeep(protocol: &str, kind: &str) -> bool {
    let raft = protocol.ends_with("raft") && kind.contains("vote") && kind != "commit-vote";
    let elects = raft || (protocol == "krbft" && COUNCIL.contains(&kind));
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
