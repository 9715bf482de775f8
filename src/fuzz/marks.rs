//! Marks of rare situations: what a search that finds nothing has been through.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::chain::Height;
use crate::protocol::Report;
use crate::sim::event::{Event, Observer};

/// How often what happened.
pub type Counts = BTreeMap<&'static str, u64>;

/// Watches one run for rare situations.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// What was reached, and how often.
    pub counts: Counts,
    /// When a client was answered last.
    pub answered: Option<Time>,
    /// Who led last, and the view.
    led: Option<(u64, NodeId)>,
    /// Who leads which view and was not heard to enter another one.
    leads: BTreeMap<NodeId, u64>,
    /// Who is down.
    down: BTreeSet<NodeId>,
    /// How far each node has come.
    heights: BTreeMap<NodeId, Height>,
}

impl Marks {
    fn reach(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn report(&mut self, node: NodeId, report: &Report) {
        match report {
            Report::Leads { view } => {
                self.leads.insert(node, *view);
                if self.led.is_some_and(|(_, leader)| leader != node) {
                    self.reach("the leader changes");
                }
                if self.led.is_none_or(|(last, _)| last < *view) {
                    self.led = Some((*view, node));
                }
                if self.leads.len() > 1 {
                    self.reach("two lead at once");
                }
            }
            Report::Enters { view } => {
                if self.leads.get(&node).is_some_and(|led| led < view) {
                    self.leads.remove(&node);
                }
            }
            Report::Accuses { offence, .. } => self.reach(if offence.is_proof() {
                "a liar is convicted"
            } else {
                "a node is suspected"
            }),
            Report::Reached(what) => self.reach(what),
            Report::Prepared { .. }
            | Report::Logged { .. }
            | Report::Restarted { .. }
            | Report::Shared(_) => {}
        }
    }

    fn crash(&mut self, node: NodeId) {
        self.down.insert(node);
        let led = self.leads.remove(&node).is_some();
        self.reach(if led {
            "a leader crashes"
        } else {
            "a follower crashes"
        });
        if self.down.len() > 1 {
            self.reach("several are down at once");
        }
    }

    fn restart(&mut self, node: NodeId, height: Height, amnesia: bool) {
        self.down.remove(&node);
        let before = self.heights.insert(node, height).unwrap_or(0);
        if amnesia {
            self.reach("a node returns without its disk");
        } else if height < before {
            self.reach("a crash undoes a block that was not on disk yet");
        } else {
            self.reach("a node returns");
        }
    }
}

impl Observer for Marks {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        match event {
            Event::Reported { report } => self.report(node, report),
            Event::Crashed => self.crash(node),
            Event::Restarted { height, amnesia } => self.restart(node, *height, *amnesia),
            Event::Decided { block } => {
                self.heights.insert(node, block.height);
            }
            Event::Installed { block } => {
                self.heights.insert(node, block.height);
                self.reach("a node adopts a snapshot");
            }
            Event::Answered { .. } => self.answered = Some(now),
            Event::Contacted { .. } => self.reach("patients are in contact"),
            Event::Endorsed { round, .. } => {
                if *round > 0 {
                    self.reach("a call is endorsed again");
                }
            }
            Event::Doubled { .. } => self.reach("a client is of two faces"),
            Event::Submitted { .. }
            | Event::Sent { .. }
            | Event::Delivered { .. }
            | Event::Stated { .. }
            | Event::Heard { .. }
            | Event::Fired { .. } => {}
        }
    }

    fn wants_messages(&self) -> bool {
        false
    }
}
