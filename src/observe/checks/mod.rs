//! Judges a run while it goes on: safety at every event, liveness at the end. Always on, and
//! passive.
//!
//! Every check quantifies over honest nodes. Who is dishonest is known beforehand; a node that
//! comes back without its disk counts as dishonest from then on, because it may contradict what
//! it promised. What dishonest nodes decide or report is not looked at; what clients are told is,
//! whoever told them.
//!
//! **Safety** is `violated` once any check but those of liveness finds a breach, and `holds`
//! otherwise. It is judged whatever the faults: a crash-tolerant protocol under a liar shows
//! violations, and they are a result.
//!
//! **Liveness** is judged after healing (see [`LivenessJudge`]), in this order:
//! `outside-model` if nothing is promised; `inconclusive` if the run ended before the bound had
//! passed, or nobody asked for anything; `violated` if clients or nodes were left waiting;
//! `holds` otherwise.

mod chain;
mod logs;
mod progress;
mod replay;
mod violation;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::base::node::{NodeId, PositionSet};
use crate::base::time::{Span, Time};
use crate::chain::ledger::{Audit, Executor};
use crate::chain::{Block, Executed, TransactionId};
use crate::protocol::{Offence, Report};
use crate::sim::event::{Event, Observer, Totals};
use chain::{Answered, Arrival, Chain};
use logs::{Entry, Logs};
use progress::{Progress, Stall};
use replay::Replay;
use violation::Findings;

pub use violation::{KEPT_MAX, Property, Violation, Word};

/// What must be known of a run before it begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckSetup {
    /// Consensus nodes, `n0` on; client hosts follow them.
    pub nodes: usize,
    /// The nodes that follow a behaviour instead of their protocol, at any time of the run.
    pub dishonest: PositionSet,
    /// Whether all reports of leadership, preparation and logs come from one committee of all
    /// nodes. Where nested instances report too, their views and places are not comparable and
    /// these reports are not judged.
    pub flat: bool,
}

/// What a protocol promises after healing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LivenessJudge {
    /// When the last fault, outage and misbehaviour ends that stands in the way of progress;
    /// [`Time::MAX`] if one never does.
    pub healed_at: Time,
    /// The longest an answer may take from then on, for a client and for the slowest honest node:
    /// the bound of the protocol, and the client's retry and way there and back.
    pub bound: Span,
    /// Whether after healing the protocol promises progress at all: enough honest nodes are up
    /// and connected, and hold what was decided.
    pub recoverable: bool,
}

/// The judgement of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Whether something happened that must never happen.
    pub safety: Word,
    /// Whether what must happen did.
    pub liveness: Word,
    /// Whether after healing clients were left waiting, promised or not. Where nothing is
    /// promised this is no violation, but a scenario that shows how progress ends expects it.
    pub stalled: bool,
    /// The first violations, in the order they were seen: at most [`KEPT_MAX`].
    pub violations: Vec<Violation>,
    /// All violations.
    pub total: u64,
}

impl Verdict {
    /// Adds a disagreement between two countings of the same thing, if there is one.
    pub fn account(&mut self, end: Time, disagreement: Option<String>) {
        let Some(detail) = disagreement else { return };
        self.safety = Word::Violated;
        self.total += 1;
        if self.violations.len() < KEPT_MAX {
            self.violations.push(accounting(end, detail));
        }
    }
}

/// Watches a run for breaches of what was promised.
#[derive(Clone, Debug)]
pub struct Checks {
    setup: CheckSetup,
    /// The dishonest, and those that came back without their disk.
    deviating: PositionSet,
    up: Vec<bool>,
    chain: Chain,
    logs: Logs,
    progress: Progress,
    /// Executes the chain again, if it is told where to begin.
    replay: Option<Box<Replay>>,
    /// Simulates again what was endorsed, if anything is.
    audit: Option<Box<Audit>>,
    accused: PositionSet,
    findings: Findings,
    /// The height at which forgetting is next worth its while.
    forget_at: u64,
}

/// Blocks between two rounds of forgetting what every node has.
const FORGET_EVERY: u64 = 256;

impl Checks {
    /// Nothing has happened yet.
    pub fn new(setup: CheckSetup) -> Self {
        Self {
            deviating: setup.dishonest.clone(),
            up: vec![true; setup.nodes],
            chain: Chain::new(setup.nodes),
            logs: Logs::new(setup.nodes),
            progress: Progress::new(),
            replay: None,
            audit: None,
            accused: PositionSet::new(),
            findings: Findings::default(),
            forget_at: FORGET_EVERY,
            setup,
        }
    }

    /// Executes the chain again from what this executor starts from, and looks at every state.
    #[must_use]
    pub fn replaying(mut self, executor: Executor) -> Self {
        self.audit = Audit::new(&executor).map(Box::new);
        self.replay = Some(Box::new(Replay::new(executor)));
        self
    }

    /// Simulates again what is new of the canonical chain and was endorsed.
    fn audit(&mut self) {
        let Some(audit) = &mut self.audit else {
            return;
        };
        while let Some((time, node, block)) = self.chain.decided(audit.height() + 1) {
            let Some(false_ones) = audit.follow(block) else {
                return; // A fork, which is a violation of its own.
            };
            for id in false_ones {
                self.findings.add(Violation {
                    time,
                    property: Property::Endorsement,
                    nodes: vec![node],
                    height: Some(block.height),
                    detail: format!("{id:?} is valid but not what the contract does"),
                });
            }
        }
    }

    /// Executes again what has become part of the canonical chain.
    fn follow(&mut self) {
        let Some(replay) = &mut self.replay else {
            return;
        };
        while replay.goes_on()
            && let Some((time, node, block)) = self.chain.decided(replay.height() + 1)
        {
            replay.follow(time, node, block, &mut self.findings);
        }
    }

    fn honest(&self, node: NodeId) -> bool {
        node.index() < self.setup.nodes && !self.deviating.contains(node.index())
    }

    /// Nodes that never deviated.
    fn all_honest(&self) -> impl Iterator<Item = NodeId> + '_ {
        let nodes = (0..self.setup.nodes).map(NodeId::at);
        nodes.filter(|node| self.honest(*node))
    }

    /// A node decided a block, or adopted a snapshot that ends with one.
    fn arrive(&mut self, now: Time, node: NodeId, block: &Arc<Block>, installed: bool) {
        if !self.honest(node) {
            return;
        }
        let arrival = Arrival {
            now,
            node,
            block,
            installed,
        };
        let fresh = self.chain.arrive(&arrival, &mut self.findings);
        if fresh {
            self.follow();
            self.audit();
        }
        if fresh && !installed {
            self.logs.commit(node, block.height);
        }
        if fresh && self.chain.top() >= self.forget_at {
            self.forget_at = self.chain.top() + FORGET_EVERY;
            let heights = self.all_honest().map(|node| self.chain.height(node));
            let lowest = heights.min().unwrap_or(0);
            self.logs.forget_below(lowest);
        }
    }

    fn report(&mut self, now: Time, node: NodeId, report: &Report) {
        if let Report::Accuses { culprit, offence } = *report {
            self.accuse((now, node), culprit, offence);
            return;
        }
        if !self.setup.flat {
            return;
        }
        let out = &mut self.findings;
        match *report {
            Report::Leads { view } => self.logs.lead(now, node, view, out),
            Report::Enters { view } => self.logs.enter(node, view),
            Report::Prepared {
                view,
                height,
                digest,
            } => self.logs.prepare((now, node), (view, height), digest, out),
            Report::Logged {
                index,
                term,
                prefix,
            }
            | Report::Restarted {
                index,
                term,
                prefix,
            } => {
                let entry = Entry {
                    index,
                    term,
                    prefix,
                };
                let starts = matches!(report, Report::Restarted { .. });
                self.logs.log((now, node), entry, starts, out);
            }
            Report::Accuses { .. } | Report::Reached(_) => {}
        }
    }

    fn accuse(&mut self, (time, node): (Time, NodeId), culprit: NodeId, offence: Offence) {
        let unjust = offence.is_proof() && !self.deviating.contains(culprit.index());
        if unjust && self.accused.insert(culprit.index()) {
            self.findings.add(Violation {
                time,
                property: Property::AccountabilitySoundness,
                nodes: vec![node, culprit],
                height: None,
                detail: format!("{node} accuses {culprit} of {offence:?} though it is honest"),
            });
        }
    }

    fn restart(&mut self, node: NodeId, height: u64, amnesia: bool) {
        if node.index() >= self.setup.nodes {
            return;
        }
        self.up[node.index()] = true;
        self.chain.restart(node, height);
        if amnesia {
            self.deviating.insert(node.index());
        }
    }

    fn answer(
        &mut self,
        (now, client, transaction): (Time, NodeId, TransactionId),
        height: Option<u64>,
        executed: &Executed,
    ) {
        // A read that was answered without an entry stands nowhere in the chain.
        let Some(height) = height else { return };
        let answered = Answered {
            now,
            client,
            transaction,
            height,
            executed,
        };
        self.chain.answer(&answered, &mut self.findings);
    }

    /// The judgement. `end` is when the run ended, `totals` what its nodes counted.
    pub fn finish(mut self, end: Time, judge: &LivenessJudge, totals: &Totals) -> Verdict {
        if let Some(replay) = self.replay.take() {
            replay.finish(end, &mut self.findings);
        }
        for detail in miscounts(totals) {
            self.findings.add(accounting(end, detail));
        }
        let due = judge.healed_at + judge.bound;
        let judged = judge.recoverable && due <= end;
        if judged {
            self.chain
                .finish(before(end, judge.bound), &mut self.findings);
        }
        let stalls = self.progress.finish(end, judge.healed_at, judge.bound);
        let stalled = !stalls.is_empty();
        if judged {
            self.add_stalls(judge.bound, &stalls);
            self.add_lagging(end, judge.bound);
        }
        let liveness = if !judge.recoverable {
            Word::OutsideModel
        } else if !judged || self.progress.submitted == 0 {
            Word::Inconclusive
        } else if self.findings.total > self.findings.safety {
            Word::Violated
        } else {
            Word::Holds
        };
        let safety = if self.findings.safety == 0 {
            Word::Holds
        } else {
            Word::Violated
        };
        Verdict {
            safety,
            liveness,
            stalled,
            violations: self.findings.kept,
            total: self.findings.total,
        }
    }

    fn add_stalls(&mut self, bound: Span, stalls: &[Stall]) {
        let pending = self.progress.pending();
        for stall in stalls {
            let (time, detail) = match stall {
                Stall::Silence(from, length) => (
                    *from + bound,
                    format!("no client was answered for {length}; {pending} wait at the end"),
                ),
                Stall::Starved { first, due, count } => (
                    *due,
                    format!("{first:?} waits while later ones were answered; {count} such"),
                ),
            };
            self.findings.add(Violation {
                time,
                property: Property::Stall,
                nodes: Vec::new(),
                height: None,
                detail,
            });
        }
    }

    /// Names the honest nodes that are up and lack what was decided a bound before the end. A node
    /// off the canonical chain has its own violation already.
    fn add_lagging(&mut self, end: Time, bound: Span) {
        let due = self.chain.top_at(before(end, bound));
        let lagging: Vec<NodeId> = self
            .all_honest()
            .filter(|node| self.up[node.index()] && self.chain.follows(*node))
            .filter(|node| self.chain.height(*node) < due)
            .collect();
        for node in lagging {
            let height = self.chain.height(node);
            self.findings.add(Violation {
                time: end,
                property: Property::Lagging,
                nodes: vec![node],
                height: Some(height),
                detail: format!("{node} is at height {height} but {due} was decided {bound} ago"),
            });
        }
    }
}

impl Observer for Checks {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        match event {
            Event::Submitted { transaction } => {
                self.chain.submit(transaction);
                self.progress.submit(now, transaction.id);
            }
            Event::Endorsed {
                transaction, of, ..
            } => self.chain.endorse(transaction, *of),
            Event::Answered {
                transaction,
                endorsed,
                height,
                executed,
                ..
            } => {
                self.progress.answer(now, *transaction);
                let ordered = endorsed.unwrap_or(*transaction);
                self.answer((now, node, ordered), *height, executed);
            }
            Event::Decided { block } => self.arrive(now, node, block, false),
            Event::Installed { block } => self.arrive(now, node, block, true),
            Event::Reported { report } => {
                if self.honest(node) {
                    self.report(now, node, report);
                }
            }
            Event::Crashed => {
                if let Some(up) = self.up.get_mut(node.index()) {
                    *up = false;
                }
            }
            Event::Restarted { height, amnesia } => self.restart(node, *height, *amnesia),
            Event::Contacted { .. }
            | Event::Sent { .. }
            | Event::Delivered { .. }
            | Event::Fired { .. } => {}
        }
    }
}

fn accounting(end: Time, detail: String) -> Violation {
    Violation {
        time: end,
        property: Property::Accounting,
        nodes: Vec::new(),
        height: None,
        detail,
    }
}

/// The instant `span` before `end`, or the beginning.
fn before(end: Time, span: Span) -> Time {
    Time::ZERO + end.since(Time::ZERO + span)
}

/// Where the countings of messages contradict one another.
fn miscounts(totals: &Totals) -> Vec<String> {
    let made = totals.sent + totals.duplicated;
    let gone = totals.delivered + totals.dropped + totals.lost + totals.in_flight;
    let by_kind: u64 = totals.by_kind.iter().map(|(_, volume)| volume.count).sum();
    let by_second: u64 = totals.per_second.iter().sum();
    let mut found = Vec::new();
    if made != gone {
        found.push(format!("{made} copies were made but {gone} accounted for"));
    }
    if by_kind != by_second {
        found.push(format!(
            "{by_kind} messages by kind but {by_second} by second"
        ));
    }
    found
}
