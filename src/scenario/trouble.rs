//! Reads what goes wrong: faults, which are honest, and adversaries, which are not.

use std::collections::{BTreeMap, BTreeSet};

use super::adversary;
use super::network::pair_of_sites;
use super::reader::{Fields, Reader};
use super::schema::{Adversary, Disk, Draw, Fault, Network, Point, Target, Victims};
use super::tree::{Node, Step, Value, shorten};
use super::whole::{Around, during};
use crate::base::node::NodeId;
use crate::base::time::{Span, Window};
use crate::base::units::Ratio;

/// Everything that goes wrong.
#[derive(Default)]
pub struct Trouble {
    /// Honest trouble.
    pub faults: Vec<Fault>,
    /// Dishonest nodes.
    pub adversaries: Vec<Adversary>,
    /// The choices of nodes left to chance.
    pub draws: Vec<Draw>,
}

/// The faults, and the keys of each.
pub const FAULTS: [(&str, &[&str]); 8] = [
    (
        "partition",
        &["groups", "during", "one_way", "held", "every", "for"],
    ),
    ("loss", &["rate", "nodes", "links", "during"]),
    ("delay", &["by", "nodes", "during"]),
    ("duplicate", &["rate", "during"]),
    ("reorder", &["rate", "by", "during"]),
    (
        "crash",
        &[
            "nodes",
            "during",
            "disk",
            "at",
            "kinds",
            "probability",
            "down",
        ],
    ),
    ("clock", &["nodes", "speed", "during"]),
    ("slow", &["nodes", "factor", "during"]),
];
/// Faults at most.
const FAULTS_MAX: usize = 100_000;
/// Nodes that chance chooses at most, over all faults.
const DRAWN_MAX: usize = 250_000;

/// Which nodes something befalls.
pub(super) enum Chosen {
    /// Whoever leads, and others to make up so many.
    Leader(usize),
    /// Whoever leads, one after another, up to so many.
    Moving(usize),
    Nodes(Vec<NodeId>),
    Random(usize),
}

/// Reads `faults` and `adversaries`.
pub fn trouble<'t>(
    reader: &mut Reader<'t>,
    fields: Fields<'t>,
    around: Around,
    network: Option<&Network>,
) -> Trouble {
    let mut trouble = Trouble::default();
    reader.field(fields, "faults", |reader, node| {
        bounded(reader, node, FAULTS_MAX)?;
        reader.list(node, "a list of faults", |reader, node| {
            let fault = fault(reader, node, around, network);
            let (fault, count) = fault?;
            let target = Target::Fault(trouble.faults.len());
            trouble
                .draws
                .extend(count.map(|count| Draw { target, count }));
            trouble.faults.push(fault);
            Some(())
        })
    });
    let drawn: usize = trouble.draws.iter().map(|draw| draw.count).sum();
    if drawn > DRAWN_MAX {
        let rule = format!("choose {drawn} nodes at random in all: at most {DRAWN_MAX}");
        reader.refuse_at(&[Step::Key("faults".into())], rule, None);
        trouble.draws.clear();
    }
    let (adversaries, draws) = adversary::adversaries(reader, fields, around);
    trouble.adversaries = adversaries;
    trouble.draws.extend(draws);
    trouble
}

/// Refuses a list that is too long before it is read.
pub(super) fn bounded(reader: &mut Reader<'_>, node: &Node, most: usize) -> Option<()> {
    let count = match &node.value {
        Value::List(items) => items.len(),
        Value::Null | Value::Scalar { .. } | Value::Map(_) => 0,
    };
    if count > most {
        reader.refuse(format!("has {count} entries: at most {most} are possible"));
        return None;
    }
    Some(())
}

/// Reads one fault, and how many of its nodes chance chooses.
fn fault<'t>(
    reader: &mut Reader<'t>,
    node: &'t Node,
    around: Around,
    network: Option<&Network>,
) -> Option<(Fault, Option<usize>)> {
    let names: Vec<&str> = FAULTS.iter().map(|(name, _)| *name).collect();
    let (entry, index) = reader.tagged(node, &names)?;
    let (name, keys) = FAULTS[index];
    reader.inside(Step::Key(entry.key.clone()), |reader| {
        let fields = reader.fields(&entry.node, keys)?;
        let during = during(reader, fields, around);
        match name {
            "crash" if fields.has("at") => crash_point(reader, fields, around, during),
            "crash" | "slow" | "clock" => failing(reader, fields, around, during, name),
            "partition" => {
                let flaps = flaps(reader, fields);
                let one_way = reader.or(fields, "one_way", false, Reader::flag);
                let held = reader.or(fields, "held", false, Reader::flag);
                let groups = reader.require(fields, "groups", "[[0, 1], [2, 3]]", |r, n| {
                    groups(r, n, around)
                });
                let fault = Fault::Partition {
                    groups: groups?,
                    one_way,
                    held,
                    every: flaps.map(|(every, _)| every),
                    lasts: flaps.map(|(_, lasts)| lasts),
                    during,
                };
                Some((fault, None))
            }
            _ => weather(reader, fields, around, during, (name, network)),
        }
    })
}

/// Reads a fault of single messages.
fn weather<'t>(
    reader: &mut Reader<'t>,
    fields: Fields<'t>,
    around: Around,
    during: Window,
    (name, network): (&str, Option<&Network>),
) -> Option<(Fault, Option<usize>)> {
    let rate = |reader: &mut Reader<'t>| {
        reader.require(fields, "rate", "1%", |reader, node| {
            let rate: Ratio = reader.quantity(node)?;
            if rate == Ratio::ZERO {
                reader.refuse_with("0% never happens", "remove the fault, or write a rate");
            }
            Some(rate)
        })
    };
    let by = |reader: &mut Reader<'t>| reader.require(fields, "by", "30ms", Reader::positive);
    let some = |reader: &mut Reader<'t>| match fields.has("nodes") {
        true => nodes_of(reader, fields, around),
        false => Some((Vec::new(), None)),
    };
    match name {
        "loss" => {
            let (rate, nodes) = (rate(reader), some(reader));
            let sites = network.map(|network| &network.sites[..]);
            let links = reader.or(fields, "links", Vec::new(), |reader, node| {
                let before = reader.noted();
                let links = reader.list(node, "pairs of sites", |reader, node| {
                    pair_of_sites(reader, node, sites)
                })?;
                if links.is_empty() && reader.noted() == before {
                    reader.refuse("is empty: remove the key for all links");
                }
                Some(links)
            });
            let (nodes, draw) = nodes?;
            let fault = Fault::Loss {
                rate: rate?,
                nodes,
                links,
                during,
            };
            Some((fault, draw))
        }
        "delay" => {
            let (by, nodes) = (by(reader), some(reader));
            let (nodes, draw) = nodes?;
            let by = by?;
            Some((Fault::Delay { by, nodes, during }, draw))
        }
        "duplicate" => {
            let rate = rate(reader)?;
            Some((Fault::Duplicate { rate, during }, None))
        }
        _ => {
            let (rate, by) = (rate(reader), by(reader));
            let (rate, by) = (rate?, by?);
            Some((Fault::Reorder { rate, by, during }, None))
        }
    }
}

/// Reads how often a partition comes and how long it stays, if it comes and goes.
fn flaps<'t>(reader: &mut Reader<'t>, fields: Fields<'t>) -> Option<(Span, Span)> {
    if !fields.has("every") && !fields.has("for") {
        return None;
    }
    let every = reader.require(fields, "every", "2s", Reader::positive);
    let lasts = reader.require(fields, "for", "500ms", Reader::positive);
    let (every, lasts) = (every?, lasts?);
    if lasts >= every {
        let rule = format!("must be shorter than `every`, {every}: else it never ends");
        reader.refuse_at(&[Step::Key("for".into())], rule, None);
    }
    Some((every, lasts))
}

/// Reads a crash in the middle of something.
fn crash_point<'t>(
    reader: &mut Reader<'t>,
    fields: Fields<'t>,
    around: Around,
    during: Window,
) -> Option<(Fault, Option<usize>)> {
    let points = Point::ALL.map(|point| (point.name(), point));
    let at = reader.require(fields, "at", "before-write", |r, n| r.choice(n, &points));
    if fields.has("disk") {
        let rule = "is decided by where the node stops: what was written is kept, and no more";
        let help = "remove `disk`, or `at`";
        reader.refuse_key_at(&[Step::Key("disk".into())], rule.into(), Some(help.into()));
    }
    if fields.has("kinds") && at.is_some_and(|at| !at.is_sending()) {
        let rule = "has no meaning here: writes have no kinds";
        let help = "write `at: before-send` or `at: after-send`";
        reader.refuse_key_at(&[Step::Key("kinds".into())], rule.into(), Some(help.into()));
    }
    let kinds = reader.or(fields, "kinds", Vec::new(), adversary::kinds);
    let probability = reader.or(fields, "probability", Ratio::ONE, adversary::share);
    let down = reader.require(fields, "down", "30ms", Reader::positive);
    let (nodes, draw) = victims(reader, fields, around)?;
    let fault = Fault::CrashPoint {
        at: at?,
        kinds,
        probability,
        down: down?,
        nodes,
        during,
    };
    Some((fault, draw))
}

/// The required `nodes` of a crash, and how many of them chance chooses.
fn victims<'t>(
    reader: &mut Reader<'t>,
    fields: Fields<'t>,
    around: Around,
) -> Option<(Victims, Option<usize>)> {
    let chosen = reader.require(fields, "nodes", "[3]", |r, n| {
        chosen(r, n, around, Leaders::One)
    });
    Some(match chosen? {
        Chosen::Leader(_) | Chosen::Moving(_) => (Victims::Leader, None),
        Chosen::Nodes(nodes) => (Victims::Nodes(nodes), None),
        Chosen::Random(count) => (Victims::Nodes(Vec::new()), Some(count)),
    })
}

/// Reads a fault of nodes.
fn failing<'t>(
    reader: &mut Reader<'t>,
    fields: Fields<'t>,
    around: Around,
    during: Window,
    name: &str,
) -> Option<(Fault, Option<usize>)> {
    if name == "slow" {
        let factor = reader.require(fields, "factor", "10", |r, n| r.count(n, 1, 1_000_000));
        let nodes = nodes_of(reader, fields, around);
        let (nodes, draw) = nodes?;
        let factor = factor?.try_into().ok()?;
        let fault = Fault::Slow {
            nodes,
            factor,
            during,
        };
        return Some((fault, draw));
    }
    if name == "clock" {
        let speed = reader.require(fields, "speed", "1.5", |r, n| {
            r.thousandths(n, 1, 1_000_000)
        });
        let (nodes, draw) = nodes_of(reader, fields, around)?;
        let fault = Fault::Clock {
            nodes,
            speed: speed?.try_into().ok()?,
            during,
        };
        return Some((fault, draw));
    }
    for key in ["kinds", "probability", "down"] {
        if fields.has(key) {
            let rule = "belongs to a crash in the middle of something";
            let help = "write `at: before-write`, or what else the node is doing";
            reader.refuse_key_at(&[Step::Key(key.into())], rule.into(), Some(help.into()));
        }
    }
    let disks = [
        ("keep", Disk::Keep),
        ("unsynced", Disk::Unsynced),
        ("lost", Disk::Lost),
    ];
    let disk = reader.or(fields, "disk", Disk::Keep, |r, n| r.choice(n, &disks));
    let (nodes, draw) = victims(reader, fields, around)?;
    let fault = Fault::Crash {
        nodes,
        during,
        disk,
    };
    Some((fault, draw))
}

/// Reads disjoint groups of nodes, at least two.
fn groups<'t>(reader: &mut Reader<'t>, node: &'t Node, around: Around) -> Option<Vec<Vec<NodeId>>> {
    let what = "groups of nodes, like `[[0, 1], [2, 3]]`";
    let mut homes: BTreeMap<NodeId, usize> = BTreeMap::new();
    let mut number = 0;
    let groups = reader.list(node, what, |reader, node| {
        number += 1;
        let group = reader.list(node, "a group of nodes, like `[0, 1]`", |reader, node| {
            let id = node_id(reader, node, around)?;
            if let Some(home) = homes.insert(id, number - 1) {
                reader.refuse(format!("node {} is in group {home} already", id.0));
            }
            Some(id)
        })?;
        if let Value::List(items) = &node.value
            && items.is_empty()
        {
            reader.refuse("is an empty group: name its nodes, or remove it");
        }
        Some(group)
    })?;
    if let Value::List(items) = &node.value
        && items.len() < 2
    {
        let count = items.len();
        reader.refuse(format!(
            "must be {what}: at least two, but there is {count}"
        ));
        return None;
    }
    Some(groups)
}

/// A node by its number.
pub fn node_id<'t>(reader: &mut Reader<'t>, node: &'t Node, around: Around) -> Option<NodeId> {
    let Some(nodes) = around.nodes else {
        let number = reader.count(node, 0, u64::from(u16::MAX))?;
        return u16::try_from(number).ok().map(NodeId);
    };
    if let Value::Scalar { text, plain: true } = &node.value
        && let Ok(number) = text.parse::<u64>()
        && number >= nodes as u64
        && !text.starts_with(['0', '+'])
    {
        let last = nodes - 1;
        reader.refuse(match last {
            0 => format!("there is no node {number}: the only node is 0"),
            last => format!("there is no node {number}: nodes are numbered from 0 to {last}"),
        });
        return None;
    }
    let number = reader.count(node, 0, nodes as u64 - 1)?;
    u16::try_from(number).ok().map(NodeId)
}

/// The required `nodes` of something that cannot befall the leader by that name: those listed,
/// and how many chance chooses.
fn nodes_of<'t>(
    reader: &mut Reader<'t>,
    fields: Fields<'t>,
    around: Around,
) -> Option<(Vec<NodeId>, Option<usize>)> {
    let chosen = reader.require(fields, "nodes", "[3]", |r, n| {
        chosen(r, n, around, Leaders::None)
    });
    match chosen? {
        Chosen::Nodes(nodes) => Some((nodes, None)),
        Chosen::Random(count) => Some((Vec::new(), Some(count))),
        Chosen::Leader(_) | Chosen::Moving(_) => None,
    }
}

/// How leaders may be meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaders {
    /// Not at all.
    None,
    /// Alone.
    One,
    /// Alone or among others.
    AndOthers,
}

/// Reads `[0, 3]`, `{ random: 2 }`, or, where it makes sense, `leader` or `{ leader: 2 }`.
pub(super) fn chosen<'t>(
    reader: &mut Reader<'t>,
    node: &'t Node,
    around: Around,
    leaders: Leaders,
) -> Option<Chosen> {
    let (what, counted): (&str, &[&str]) = match leaders {
        Leaders::None => (
            "a list of nodes like `[0, 3]`, or `{ random: 2 }`",
            &["random"],
        ),
        Leaders::One => (
            "`leader`, a list of nodes like `[0, 3]`, or `{ random: 2 }`",
            &["random"],
        ),
        Leaders::AndOthers => (
            "`leader`, a list of nodes like `[0, 3]`, `{ random: 2 }`, `{ leader: 2 }`, or \
             `{ moving: 2 }`",
            &["random", "leader", "moving"],
        ),
    };
    match &node.value {
        Value::Scalar { text, .. } if leaders != Leaders::None && &**text == "leader" => {
            Some(Chosen::Leader(1))
        }
        Value::Scalar { text, .. } if text.parse::<u16>().is_ok() => {
            let rule = format!("must be {what}, but here stands `{}`", shorten(text));
            reader.refuse_with(rule, format!("write `[{text}]`"));
            None
        }
        Value::Scalar { .. } | Value::Null => {
            reader.expected(node, what);
            None
        }
        Value::Map(_) => {
            let (entry, index) = reader.tagged(node, counted)?;
            let most = around.nodes.map_or(u64::MAX, |nodes| nodes as u64);
            let count = reader.inside(Step::Key(entry.key.clone()), |reader| {
                reader.count(&entry.node, 1, most)
            })?;
            let count = usize::try_from(count).ok()?;
            Some(match index {
                0 => Chosen::Random(count),
                1 => Chosen::Leader(count),
                _ => Chosen::Moving(count),
            })
        }
        Value::List(items) => {
            let mut seen = BTreeSet::new();
            let mut nodes = reader.list(node, what, |reader, node| {
                let id = node_id(reader, node, around)?;
                if !seen.insert(id) {
                    reader.refuse(format!("node {} is named twice", id.0));
                }
                Some(id)
            })?;
            if items.is_empty() {
                reader.refuse(format!("names no node: write {what}"));
            }
            nodes.sort_unstable();
            (nodes.len() == items.len()).then_some(Chosen::Nodes(nodes))
        }
    }
}

impl Fault {
    /// As written in a scenario.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Partition { .. } => "partition",
            Self::Loss { .. } => "loss",
            Self::Delay { .. } => "delay",
            Self::Duplicate { .. } => "duplicate",
            Self::Reorder { .. } => "reorder",
            Self::Crash { .. } | Self::CrashPoint { .. } => "crash",
            Self::Clock { .. } => "clock",
            Self::Slow { .. } => "slow",
        }
    }

    /// When the fault is active.
    pub fn during(&self) -> Window {
        match self {
            Self::Partition { during, .. }
            | Self::Loss { during, .. }
            | Self::Delay { during, .. }
            | Self::Duplicate { during, .. }
            | Self::Reorder { during, .. }
            | Self::Crash { during, .. }
            | Self::CrashPoint { during, .. }
            | Self::Clock { during, .. }
            | Self::Slow { during, .. } => *during,
        }
    }
}
