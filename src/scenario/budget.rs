//! How much may go wrong at one time, by the scenario's own word: faults and adversaries that
//! exceed it are refused, so that who adds one more does not leave the model unseen.

use std::collections::BTreeSet;

use serde::Serialize;

use super::reader::Reader;
use super::schema::{Fault, Scenario, Victims};
use super::tree::{Node, Step, Value};
use super::whole::Around;
use crate::base::node::NodeId;
use crate::base::time::{Time, Window};

/// How much may go wrong at one time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Budget {
    /// Nodes that are dishonest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liars: Option<usize>,
    /// Nodes that are down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crashes: Option<usize>,
}

/// The keys of `budget`.
pub const KEYS: &[&str] = &["liars", "crashes"];

/// Reads `budget`.
pub fn budget<'t>(reader: &mut Reader<'t>, node: &'t Node, around: Around) -> Option<Budget> {
    let fields = reader.fields(node, KEYS)?;
    let mut most = |key| reader.field(fields, key, |r, n| count(r, n, around));
    let (liars, crashes) = (most("liars"), most("crashes"));
    Some(Budget { liars, crashes })
}

/// Reads so many nodes; `f` is fewer than a third of them.
fn count<'t>(reader: &mut Reader<'t>, node: &'t Node, around: Around) -> Option<usize> {
    let nodes = around.nodes.unwrap_or(usize::from(u16::MAX));
    match &node.value {
        Value::Scalar { text, .. } if &**text == "f" => Some((nodes - 1) / 3),
        Value::Scalar { .. } | Value::Null | Value::List(_) | Value::Map(_) => {
            let count = reader.count(node, 0, nodes as u64)?;
            usize::try_from(count).ok()
        }
    }
}

/// Something that befalls nodes for some time: those that are known, and so many that are not.
type Spell = (Window, BTreeSet<NodeId>, usize);

/// Refuses what exceeds the budget of the scenario.
pub fn within(reader: &mut Reader<'_>, scenario: &Scenario) {
    let Some(budget) = &scenario.budget else {
        return;
    };
    let lies = scenario.adversaries.iter().map(|adversary| {
        let known = adversary.nodes.iter().copied().collect();
        (adversary.during, known, adversary.led)
    });
    refuse(
        reader,
        ("liars", "dishonest"),
        budget.liars,
        &lies.collect::<Vec<_>>(),
    );
    let crashes = scenario.faults.iter().filter_map(|fault| match fault {
        Fault::Crash { nodes, during, .. } | Fault::CrashPoint { nodes, during, .. } => {
            Some(match nodes {
                Victims::Leader => (*during, BTreeSet::new(), 1),
                Victims::Nodes(nodes) => (*during, nodes.iter().copied().collect(), 0),
            })
        }
        Fault::Partition { .. }
        | Fault::Loss { .. }
        | Fault::Delay { .. }
        | Fault::Duplicate { .. }
        | Fault::Reorder { .. }
        | Fault::Clock { .. }
        | Fault::Slow { .. } => None,
    });
    refuse(
        reader,
        ("crashes", "down"),
        budget.crashes,
        &crashes.collect::<Vec<_>>(),
    );
}

/// Refuses spells that befall more nodes at one time than there may be. Most are reached when
/// one of them begins.
fn refuse(reader: &mut Reader<'_>, (key, what): (&str, &str), most: Option<usize>, all: &[Spell]) {
    let Some(most) = most else {
        return;
    };
    let at = |now: Time| {
        let mut known: BTreeSet<NodeId> = BTreeSet::new();
        let mut more = 0;
        for (_, nodes, others) in all.iter().filter(|(during, ..)| during.contains(now)) {
            known.extend(nodes);
            more += others;
        }
        known.len() + more
    };
    let begins = all.iter().map(|(during, ..)| during.from);
    let exceeded = begins
        .map(|now| (now, at(now)))
        .find(|(_, count)| *count > most);
    if let Some((now, count)) = exceeded {
        let since = now.since(Time::ZERO);
        let steps = [Step::Key("budget".into()), Step::Key(key.into())];
        let rule = format!("is exceeded: from {since} on {count} nodes are {what}, not {most}");
        let help = format!("write `{key}: {count}`, or shorten the windows of some");
        reader.refuse_at(&steps, rule, Some(help));
    }
}
