//! Dishonest nodes: what a scenario says of them, how it is read, and how it is written.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::draws::{led, named};
use super::reader::{Fields, Reader};
use super::schema::{Behaviour, Draw, Heights, Scope, Target, Targets};
use super::tree::{Node, Step, Value, shorten};
use super::trouble::{Chosen, Leaders, bounded, chosen};
use super::whole::{Around, during};
use crate::base::node::NodeId;
use crate::base::time::{Span, Window};
use crate::base::units::Ratio;
use crate::chain::Height;

/// Dishonest nodes; written as a map whose key is the behaviour.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Adversary {
    /// What they do.
    pub behaviour: Behaviour,
    /// To which of their messages.
    pub scope: Scope,
    /// Which nodes, as far as they are known before the run.
    pub nodes: Vec<NodeId>,
    /// How many more: whoever leads when the window opens, and others that chance chooses.
    pub led: usize,
    /// Whether those are whoever leads, one after another, each while it leads.
    pub moving: bool,
    /// When.
    pub during: Window,
    /// Whether they act on one plan.
    pub collude: bool,
}

/// The keys of what is about messages to others, without those of its own.
const TOLD: [&str; 8] = [
    "kinds",
    "targets",
    "probability",
    "leading",
    "heights",
    "nodes",
    "during",
    "collude",
];
/// The same of what concerns every kind of message.
const OF_ANY_KIND: &[&str] = TOLD.split_at(1).1;
/// The keys of what is about the node itself.
const OWN: &[&str] = TOLD.split_at(2).1;
/// The keys of what has a measure.
const BY: &[&str] = &told("by");
/// The keys of what concerns the disk.
const DISK: &[&str] = &["nodes", "during", "collude"];

/// The keys of what is about messages, with one of its own.
const fn told(own: &'static str) -> [&'static str; 9] {
    let [a, b, c, d, e, f, g, h] = TOLD;
    [own, a, b, c, d, e, f, g, h]
}

/// The keys of each behaviour, in the order of [`Behaviour::NAMES`].
pub const KEYS: [&[&str]; 19] = [
    OF_ANY_KIND,
    &TOLD,
    &TOLD,
    BY,
    OWN,
    OWN,
    OWN,
    &TOLD,
    &TOLD,
    &TOLD,
    &told("after"),
    &told("copies"),
    &TOLD,
    &TOLD,
    BY,
    DISK,
    DISK,
    &["targets", "nodes", "during", "collude"],
    OWN,
];
/// Behaviours at most.
const BEHAVIOURS_MAX: usize = 1_000;
/// Copies that a flood makes of each message at most.
const COPIES_MAX: u64 = 1_000;
/// How far ahead a term or view may be claimed to be.
const AHEAD_MAX: u64 = 1_000_000_000_000;

/// Reads `adversaries`, and what of them chance chooses.
pub fn adversaries<'t>(
    reader: &mut Reader<'t>,
    fields: Fields<'t>,
    around: Around,
) -> (Vec<Adversary>, Vec<Draw>) {
    let (mut all, mut draws): (Vec<Adversary>, Vec<Draw>) = Default::default();
    reader.field(fields, "adversaries", |reader, node| {
        bounded(reader, node, BEHAVIOURS_MAX)?;
        let mut places = Vec::new();
        let mut index = 0;
        reader.list(node, "a list of behaviours", |reader, node| {
            index += 1;
            let (adversary, counts) = adversary(reader, node, around)?;
            let place = all.len();
            let targets = [Target::Adversary(place), Target::Targets(place)];
            for (target, count) in targets.into_iter().zip(counts) {
                draws.extend(count.map(|count| Draw { target, count }));
            }
            all.push(adversary);
            places.push(index - 1);
            Some(())
        })?;
        contradictions(reader, &all, &places);
        enough_nodes(reader, &all, &draws, around)
    });
    (all, draws)
}

/// Reads one behaviour, and how many of its nodes and of its targets chance chooses.
fn adversary<'t>(
    reader: &mut Reader<'t>,
    node: &'t Node,
    around: Around,
) -> Option<(Adversary, [Option<usize>; 2])> {
    let (entry, index) = reader.tagged(node, &Behaviour::NAMES)?;
    reader.inside(Step::Key(entry.key.clone()), |reader| {
        let fields = reader.fields(&entry.node, KEYS[index])?;
        let behaviour = behaviour(reader, fields, Behaviour::NAMES[index]);
        let (scope, aimed) = scope(reader, fields, &behaviour, around);
        let nodes = reader.require(fields, "nodes", "[3]", |r, n| {
            chosen(r, n, around, Leaders::AndOthers)
        });
        let during = during(reader, fields, around);
        if behaviour == Some(Behaviour::Amnesia) && during.until.is_none() {
            let rule = "must have an end: the node forgets when the window closes";
            let help = "write `during: [5s, 10s]`";
            reader.refuse_at(&[Step::Key("during".into())], rule, Some(help.into()));
        }
        let collude = reader.or(fields, "collude", false, Reader::flag);
        let (nodes, led, draw, moving) = match nodes? {
            Chosen::Nodes(nodes) => (nodes, 0, None, false),
            Chosen::Random(count) => (Vec::new(), 0, Some(count), false),
            Chosen::Leader(count) => (Vec::new(), count, None, false),
            Chosen::Moving(count) => (Vec::new(), count, None, true),
        };
        let adversary = Adversary {
            behaviour: behaviour?,
            scope,
            nodes,
            led,
            moving,
            during,
            collude,
        };
        Some((adversary, [draw, aimed]))
    })
}

/// Reads what a behaviour of this name needs to know.
fn behaviour<'t>(reader: &mut Reader<'t>, fields: Fields<'t>, name: &str) -> Option<Behaviour> {
    let span =
        |reader: &mut Reader<'t>, key| reader.require(fields, key, "200ms", Reader::positive);
    Some(match name {
        "silent" => Behaviour::Silent,
        "equivocate" => Behaviour::Equivocate,
        "withhold" => Behaviour::Withhold,
        "late" => Behaviour::Late {
            by: span(reader, "by")?,
        },
        "restless" => Behaviour::Restless,
        "forge-endorsement" => Behaviour::ForgeEndorsement,
        "careless" => Behaviour::Careless,
        "deaf" => Behaviour::Deaf,
        "selective" => Behaviour::Selective,
        "double-talk" => Behaviour::DoubleTalk,
        "replay" => Behaviour::Replay {
            after: span(reader, "after")?,
        },
        "flood" => {
            let copies = reader.require(fields, "copies", "10", |r, n| r.count(n, 2, COPIES_MAX));
            Behaviour::Flood {
                copies: copies?.try_into().ok()?,
            }
        }
        "garble" => Behaviour::Garble,
        "impersonate" => Behaviour::Impersonate,
        "inflate" => Behaviour::Inflate {
            by: reader.require(fields, "by", "1000", |r, n| r.count(n, 1, AHEAD_MAX))?,
        },
        "amnesia" => Behaviour::Amnesia,
        "no-sync" => Behaviour::NoSync,
        "twins" => Behaviour::Twins,
        _ => Behaviour::FalseReply,
    })
}

/// Reads to which messages a behaviour applies, and how many of the targets chance chooses.
fn scope<'t>(
    reader: &mut Reader<'t>,
    fields: Fields<'t>,
    behaviour: &Option<Behaviour>,
    around: Around,
) -> (Scope, Option<usize>) {
    let picky = [Behaviour::Withhold, Behaviour::Deaf].map(Some);
    let kinds = if picky.contains(behaviour) {
        let example = match behaviour {
            Some(Behaviour::Deaf) => "[forward]",
            _ => "[prepare]",
        };
        reader.require(fields, "kinds", example, kinds)
    } else {
        reader.field(fields, "kinds", kinds)
    };
    let mut drawn = None;
    let targets = reader.or(fields, "targets", Targets::Usual, |reader, node| {
        let (targets, count) = targets(reader, node, around)?;
        drawn = count;
        Some(targets)
    });
    let probability = reader.or(fields, "probability", Ratio::ONE, share);
    let scope = Scope {
        kinds: kinds.unwrap_or_default(),
        targets,
        probability,
        leading: reader.or(fields, "leading", false, Reader::flag),
        heights: reader.field(fields, "heights", heights),
    };
    (scope, drawn)
}

/// Reads `[from, until]`, or `[from]` for all that follow.
fn heights<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Heights> {
    let what = "heights `[from, until]`, like `[100, 200]`";
    let (from, until) = reader.ends(node, what, |r, n| r.count(n, 0, u64::MAX))?;
    if until.is_some_and(|until| until <= from) {
        let rule = "the second height is not above the first";
        reader.refuse_with(rule, "write the lower height first");
        return None;
    }
    Some(Heights { from, until })
}

/// Reads `all`, `half`, `[0, 3]` or `{ random: 2 }`.
fn targets<'t>(
    reader: &mut Reader<'t>,
    node: &'t Node,
    around: Around,
) -> Option<(Targets, Option<usize>)> {
    if let Value::Scalar { .. } = &node.value {
        let choices = [("all", 0), ("half", 1)];
        let choice = reader.choice(node, &choices)?;
        return Some(([Targets::All, Targets::Half][choice].clone(), None));
    }
    match chosen(reader, node, around, Leaders::None)? {
        Chosen::Nodes(nodes) => Some((Targets::Nodes(nodes), None)),
        Chosen::Random(count) => Some((Targets::Nodes(Vec::new()), Some(count))),
        Chosen::Leader(_) | Chosen::Moving(_) => None,
    }
}

/// A share above zero.
pub(super) fn share<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Ratio> {
    let share: Ratio = reader.quantity(node)?;
    if share == Ratio::ZERO {
        reader.refuse_with(
            "0% never happens",
            "leave the whole entry out, or write a share",
        );
    }
    Some(share)
}

/// Names of message kinds, at least one.
pub(super) fn kinds<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Vec<String>> {
    let what = "kinds of messages, like `[prepare, commit]`";
    let before = reader.noted();
    let kinds = reader.list(node, what, |reader, node| {
        let kind = reader.text(node)?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if kind.len() > 64 || !kind.bytes().all(plain) {
            let rule = format!("`{}` is not the kind of a message", shorten(&kind));
            reader.refuse_with(rule, "kinds are lower-case words, like `pre-prepare`");
            return None;
        }
        Some(kind.to_string())
    })?;
    if reader.noted() == before && kinds.is_empty() {
        reader.refuse(format!("must be {what}: at least one"));
    }
    Some(kinds)
}

/// A node that sends nothing cannot at the same time send something false, late or in part.
fn contradictions(reader: &mut Reader<'_>, adversaries: &[Adversary], places: &[usize]) {
    let mut silent: BTreeMap<NodeId, Vec<Window>> = BTreeMap::new();
    for adversary in adversaries {
        if adversary.behaviour == Behaviour::Silent && adversary.scope == Scope::default() {
            for node in &adversary.nodes {
                silent.entry(*node).or_default().push(adversary.during);
            }
        }
    }
    for (adversary, place) in adversaries.iter().zip(places) {
        let name = adversary.behaviour.name();
        if !adversary.behaviour.speaks() {
            continue;
        }
        let contradicts = |node: &&NodeId| {
            let windows = silent.get(node).into_iter().flatten();
            windows
                .into_iter()
                .any(|window| overlap(window, &adversary.during))
        };
        if let Some(node) = adversary.nodes.iter().find(contradicts) {
            let steps = [Step::Index(*place), Step::Key(name.into())];
            let rule = format!(
                "node {} is `silent` at the same time: it sends nothing it could {name}",
                node.0
            );
            let help = "give the two behaviours different nodes or windows";
            reader.refuse_at(&steps, rule, Some(help.into()));
        }
    }
}

fn overlap(a: &Window, b: &Window) -> bool {
    let before = |x: &Window, y: &Window| x.until.is_some_and(|until| until <= y.from);
    !before(a, b) && !before(b, a)
}

/// Randomly chosen dishonest nodes are others than those named.
fn enough_nodes(
    reader: &mut Reader<'_>,
    adversaries: &[Adversary],
    draws: &[Draw],
    around: Around,
) -> Option<()> {
    let drawn = draws
        .iter()
        .filter(|draw| matches!(draw.target, Target::Adversary(_)));
    let drawn = drawn.map(|draw| draw.count).sum::<usize>();
    let wanted = named(adversaries).len() + drawn + led(adversaries);
    let nodes = around.nodes?;
    if wanted > nodes {
        reader.refuse_with(
            format!("need {wanted} different nodes, but there are {nodes}"),
            "nodes chosen at random are others than those named or chosen before",
        );
    }
    Some(())
}

/// Dishonest nodes as they are written.
#[derive(Serialize)]
#[serde(untagged)]
enum Named<'a> {
    Nodes(&'a [NodeId]),
    Leader { leader: usize },
    Moving { moving: usize },
}

/// By how much, as it is written.
#[derive(Serialize)]
#[serde(untagged)]
enum By {
    Span(Span),
    Count(u64),
}

/// Those who are meant, as they are written.
#[derive(Serialize)]
#[serde(untagged)]
enum Meant<'a> {
    Name(&'static str),
    Nodes(&'a [NodeId]),
}

/// A behaviour as it is written.
#[derive(Serialize)]
struct Terms<'a> {
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    kinds: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<By>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    copies: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    targets: Option<Meant<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<Ratio>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leading: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heights: Option<Vec<Height>>,
    nodes: Named<'a>,
    during: Window,
    collude: bool,
}

impl Serialize for Adversary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let scope = &self.scope;
        let mut terms = Terms {
            kinds: &scope.kinds,
            by: None,
            after: None,
            copies: None,
            targets: match &scope.targets {
                Targets::Usual => None,
                Targets::All => Some(Meant::Name("all")),
                Targets::Half => Some(Meant::Name("half")),
                Targets::Nodes(nodes) => Some(Meant::Nodes(nodes)),
            },
            probability: Some(scope.probability).filter(|share| *share != Ratio::ONE),
            leading: Some(true).filter(|_| scope.leading),
            heights: scope.heights.map(|heights| {
                let ends = [Some(heights.from), heights.until];
                ends.into_iter().flatten().collect()
            }),
            nodes: match (self.led, self.moving) {
                (0, _) => Named::Nodes(&self.nodes),
                (leader, false) => Named::Leader { leader },
                (moving, true) => Named::Moving { moving },
            },
            during: self.during,
            collude: self.collude,
        };
        match self.behaviour {
            Behaviour::Late { by } => terms.by = Some(By::Span(by)),
            Behaviour::Inflate { by } => terms.by = Some(By::Count(by)),
            Behaviour::Replay { after } => terms.after = Some(after),
            Behaviour::Flood { copies } => terms.copies = Some(copies),
            Behaviour::Silent
            | Behaviour::Equivocate
            | Behaviour::Withhold
            | Behaviour::Restless
            | Behaviour::ForgeEndorsement
            | Behaviour::Careless
            | Behaviour::Deaf
            | Behaviour::Selective
            | Behaviour::DoubleTalk
            | Behaviour::Garble
            | Behaviour::Impersonate
            | Behaviour::Amnesia
            | Behaviour::NoSync
            | Behaviour::Twins
            | Behaviour::FalseReply => {}
        }
        serializer.collect_map([(self.behaviour.name(), terms)])
    }
}
