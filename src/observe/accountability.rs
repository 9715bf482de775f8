//! Who could have been convicted and was not: an honest node that holds two statements of somebody
//! which contradict each other names the author soon, if its protocol says that it does
//! (accountability completeness; the improved RAFT with `identify`).

use std::collections::BTreeMap;

use super::forensics::{Place, place};
use crate::base::node::NodeId;
use crate::base::time::{Span, Time};
use crate::protocol::Report;
use crate::protocol::oath::Oath;
use crate::sim::event::{Event, Observer};

/// What honest nodes hold, and whom they have accused.
#[derive(Clone, Debug, Default)]
pub struct Accountability {
    /// What each holder was told first of each place.
    held: BTreeMap<(NodeId, Place), u64>,
    /// Since when a holder has had two statements of somebody that contradict each other.
    since: BTreeMap<(NodeId, NodeId), Time>,
    /// When a node named a culprit first.
    named: BTreeMap<(NodeId, NodeId), Time>,
    /// When a node stopped last.
    stopped: BTreeMap<NodeId, Time>,
}

/// An honest node that could have proven something and has not said so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Omission {
    /// Who holds the proof.
    pub holder: NodeId,
    /// Against whom.
    pub culprit: NodeId,
    /// Since when.
    pub since: Time,
}

impl Accountability {
    /// How many have held a proof, one for each holder and culprit.
    pub fn proven(&self) -> usize {
        self.since.len()
    }

    /// Who has held a proof for so long at the end of a run and was not stopped since, and has not
    /// named the culprit in time.
    pub fn omissions(&self, end: Time, within: Span) -> Vec<Omission> {
        let late = |pair: &(NodeId, NodeId), since: Time| {
            let named = self.named.get(pair);
            let stopped = self.stopped.get(&pair.0);
            named.is_none_or(|at| *at > since + within)
                && stopped.is_none_or(|at| *at < since)
                && since + within <= end
        };
        let omitted = self
            .since
            .iter()
            .filter(|(pair, since)| late(pair, **since));
        let omitted = omitted.map(|(&(holder, culprit), &since)| Omission {
            holder,
            culprit,
            since,
        });
        omitted.collect()
    }
}

impl Observer for Accountability {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        match event {
            Event::Heard {
                oath: Oath::Holds(it),
            } => {
                let first = *self.held.entry((node, place(it))).or_insert(it.what);
                if first != it.what {
                    self.since.entry((node, it.by)).or_insert(now);
                }
            }
            Event::Reported {
                report: Report::Accuses { culprit, offence },
            } if offence.is_proof() => {
                self.named.entry((node, *culprit)).or_insert(now);
            }
            Event::Crashed => {
                self.stopped.insert(node, now);
            }
            _ => {}
        }
    }
}
