//! Judges a run while it goes on, always: safety at every event, liveness at the end.
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
//! The contract's invariants are part of it. Every block of the canonical chain is executed once
//! more on a state that no node knows; each change is judged before it is made, each answer when a
//! client is told it, and the state as a whole when the run ends:
//!
//! | | what always holds | where | as |
//! |---|---|---|---|
//! | P1 | what entered has two genuine signatures | change, end | `both-signatures` |
//! | P2 | just what can be found is indexed, under all features | end | `exact-index` |
//! | P3 | grants are kept to; else only emergencies read | change, end | `consent` |
//! | P4 | things change only in the ways that there are | change, end | `legal-transitions` |
//! | P5 | executing all blocks again leads to the nodes' state roots | block | `replay` |
//! | P6 | what is refused changes nothing | change | `refusals-change-nothing` |
//! | P7 | what a search tells contains no name | answer | `answers-name-nobody` |
//! | P8 | readings are as many as uses and emergencies | end | `readings-add-up` |
//! | P9 | what was delivered is what the record commits to | change, end | `true-deliveries` |
//! | P10 | the index is as if everything were indexed anew | end | `exact-index` |
//! | P11 | what is done under aliases names no institution | change, end | `aliases-name-nobody` |
//!
//! Besides, the root commits to every entry as it is stored (`root-commits`), and what is valid
//! although it was executed before it was ordered is what the contract does (`endorsement`).
//!
//! Reads that are answered without an entry have to fit among what clients were told: together, all
//! answers are *linearizable* (`linearizability`).
//!
//! Every honest node stands by its words (`self-consistency`): it states one thing in each place of
//! a view, and nothing new in a view that it has asked to leave. What it takes for proven was said
//! by as many as it takes (`certificate-soundness`), whatever its own counting says.
//!
//! **Liveness** is judged after healing (see [`LivenessJudge`]), in this order:
//! `outside-model` if nothing is promised; `inconclusive` if the run ended before the bound had
//! passed, or nobody asked for anything; `violated` if clients or nodes were left waiting;
//! `holds` otherwise.

mod certificates;
mod chain;
mod logs;
mod progress;
mod promise;
mod reads;
mod replay;
mod sharing;
mod submitted;
mod unplaced;
mod verdict;
mod violation;
mod words;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::base::node::{NodeId, PositionSet};
use crate::base::time::Time;
use crate::chain::ledger::{Audit, Executor};
use crate::chain::{Block, Executed, TransactionId};
use crate::protocol::{Inspector, Offence, Quorums, Report};
use crate::sim::event::{Event, Observer, Totals};
use certificates::Witnesses;
use chain::{Answered, Arrival, Chain};
use logs::{Entry, Logs};
use progress::Progress;
use reads::Reads;
use replay::Replay;
use sharing::Sharing;
use unplaced::Unplaced;
use verdict::{accounting, before, miscounts};
use violation::Findings;
use words::Words;

pub use verdict::{LivenessJudge, Verdict};
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
    /// Whether parts of the nodes agree among themselves: what they report of leaders and logs is
    /// judged as long as nobody deviates, since a part may survive fewer than all do.
    pub in_parts: bool,
    /// How many must have said so before a replica takes something for proven.
    pub quorums: Quorums,
}

/// Watches a run for breaches of what was promised.
#[derive(Debug)]
pub struct Checks {
    setup: CheckSetup,
    /// The dishonest, and those that came back without their disk.
    deviating: PositionSet,
    up: Vec<bool>,
    /// One for each chain that nodes keep: nearly always there is one.
    strands: Vec<Strand>,
    /// Which of them each node keeps.
    kept: Vec<Option<usize>>,
    sharing: Sharing,
    logs: Logs,
    words: Words,
    progress: Progress,
    reads: Reads,
    /// Answers that fit no chain yet, of several.
    unplaced: Vec<Unplaced>,
    /// Looks at what the protocol writes beside transactions, if it does; of the first chain.
    inspector: Option<Box<dyn Inspector>>,
    accused: PositionSet,
    findings: Findings,
    /// The height at which forgetting is next worth its while.
    forget_at: u64,
}

/// One chain, and those who follow it.
#[derive(Clone, Debug)]
struct Strand {
    chain: Chain,
    /// Executes the chain again, if it is told where to begin.
    replay: Option<Box<Replay>>,
    /// Simulates again what was endorsed, if anything is.
    audit: Option<Box<Audit>>,
}

impl Strand {
    /// Simulates again what is new of the canonical chain and was endorsed.
    fn audit(&mut self, findings: &mut Findings) {
        let Some(audit) = &mut self.audit else {
            return;
        };
        while let Some((time, node, block)) = self.chain.decided(audit.height() + 1) {
            let Some(false_ones) = audit.follow(block) else {
                return; // A fork, which is a violation of its own.
            };
            for id in false_ones {
                findings.add(Violation {
                    time,
                    property: Property::Endorsement,
                    nodes: vec![node],
                    height: Some(block.height),
                    detail: format!("{id:?} is valid but not what the contract does"),
                });
            }
        }
    }

    /// Executes what is new of the canonical chain, as far as nothing is missing of it.
    fn follow(&mut self, findings: &mut Findings) {
        let Some(replay) = &mut self.replay else {
            return;
        };
        while let Some(height) = replay.next()
            && let Some((time, node, block)) = self.chain.decided(height)
        {
            replay.execute(block, (time, node), findings);
        }
    }
}

/// Blocks between two rounds of forgetting what every node has.
const FORGET_EVERY: u64 = 256;

impl Checks {
    /// Nothing has happened yet.
    pub fn new(setup: CheckSetup) -> Self {
        Self {
            deviating: setup.dishonest.clone(),
            up: vec![true; setup.nodes],
            strands: vec![Strand {
                chain: Chain::new(setup.nodes),
                replay: None,
                audit: None,
            }],
            kept: vec![Some(0); setup.nodes],
            sharing: Sharing::default(),
            logs: Logs::new(setup.nodes),
            words: Words::new(setup.nodes),
            progress: Progress::new(),
            reads: Reads::default(),
            unplaced: Vec::new(),
            inspector: None,
            accused: PositionSet::new(),
            findings: Findings::default(),
            forget_at: FORGET_EVERY,
            setup,
        }
    }

    /// Nodes that keep different chains, or none, are not compared. Comes before
    /// [`Self::replaying`].
    #[must_use]
    pub fn along(mut self, kept: Vec<Option<usize>>) -> Self {
        let chains = kept.iter().flatten().max().map_or(1, |last| last + 1);
        self.strands.resize(chains, self.strands[0].clone());
        self.setup.flat &= chains == 1;
        self.kept = kept;
        self
    }

    /// Looks at every block of the first chain as the protocol wants it looked at.
    #[must_use]
    pub fn inspecting(self, inspector: Option<Box<dyn Inspector>>) -> Self {
        Self { inspector, ..self }
    }

    /// Looks at what is new of the canonical chain.
    fn inspect(&mut self) {
        let Some(inspector) = &mut self.inspector else {
            return;
        };
        let chain = &self.strands[0].chain;
        while let Some((time, node, block)) = chain.decided(inspector.height() + 1) {
            for detail in inspector.inspect(block) {
                self.findings.add(Violation {
                    time,
                    property: Property::Layers,
                    nodes: vec![node],
                    height: Some(block.height),
                    detail,
                });
            }
        }
    }

    /// Executes the chain once more from what this executor starts from, and judges every change.
    #[must_use]
    pub fn replaying(mut self, executor: &Executor) -> Self {
        for strand in &mut self.strands {
            strand.audit = Audit::new(executor).map(Box::new);
            strand.replay = Some(Box::new(Replay::new(executor)));
        }
        // Of several chains nobody can tell from which one a read was answered.
        if self.strands.len() == 1 && self.deviating.is_empty() {
            self.reads = Reads::from(Replay::new(executor));
        }
        self
    }

    /// The chain of a node, if it keeps one.
    fn strand_of(&self, node: NodeId) -> Option<&Strand> {
        let kept = self.kept.get(node.index()).copied().flatten()?;
        self.strands.get(kept)
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
        let Some(kept) = self.kept[node.index()] else {
            return;
        };
        let strand = &mut self.strands[kept];
        let fresh = strand.chain.arrive(&arrival, &mut self.findings);
        if fresh {
            strand.follow(&mut self.findings);
            strand.audit(&mut self.findings);
            self.inspect();
        }
        if fresh && !installed {
            if let Some(unproven) = self.witnesses().judge_block((now, node), block) {
                self.findings.add(unproven);
            }
            self.logs.commit(node, block.height);
        }
        let top = self.strands[kept].chain.top();
        if fresh && top >= self.forget_at && self.setup.flat {
            self.forget_at = top + FORGET_EVERY;
            let chain = &self.strands[kept].chain;
            let heights = self.all_honest().map(|node| chain.height(node));
            let lowest = heights.min().unwrap_or(0);
            self.logs.forget_below(lowest);
        }
    }

    fn report(&mut self, now: Time, node: NodeId, report: &Report) {
        if let Report::Accuses { culprit, offence } = *report {
            self.accuse((now, node), culprit, offence);
            return;
        }
        if let Report::Shared(fact) = report {
            self.sharing.learn((now, node), fact, &mut self.findings);
            return;
        }
        if !self.setup.flat || self.setup.in_parts && !self.deviating.is_empty() {
            return;
        }
        if let Some(unproven) = self.witnesses().judge((now, node), report) {
            self.findings.add(unproven);
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
            Report::Accuses { .. } | Report::Reached(_) | Report::Shared(_) => {}
        }
    }

    fn witnesses(&self) -> Witnesses<'_> {
        Witnesses {
            quorums: &self.setup.quorums,
            nodes: self.setup.nodes,
            deviating: &self.deviating,
            words: &self.words,
            logs: &self.logs,
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
        if let Some(kept) = self.kept[node.index()] {
            self.strands[kept].chain.restart(node, height);
        }
        if amnesia {
            self.deviating.insert(node.index());
            self.sharing.forget(node);
            self.reads.give_up();
        }
    }

    fn answer(
        &mut self,
        (now, client, transaction): (Time, NodeId, TransactionId),
        height: Option<u64>,
        executed: &Executed,
    ) {
        let Some(height) = height else {
            // A read that was answered without an entry stands nowhere in the chain.
            let top = self.strands[0].chain.top();
            self.reads.answer((now, client, transaction), top, executed);
            return;
        };
        self.reads.told(transaction, height);
        let answered = Answered {
            now,
            client,
            transaction,
            height,
            executed,
        };
        let several = self.strands.len() > 1;
        if !several {
            self.strands[0].chain.answer(&answered, &mut self.findings);
        } else if let Some(chain) = unplaced::chain_of(&mut self.strands, &answered) {
            chain.answer(&answered, &mut self.findings);
        } else {
            self.unplaced.push(Unplaced::of(&answered));
        }
    }

    /// Looks at what a search told a client.
    fn told(&mut self, (time, client, id): (Time, NodeId, TransactionId), executed: &Executed) {
        let replays = self.strands.iter_mut().filter_map(|s| s.replay.as_mut());
        let told = replays
            .filter_map(|replay| replay.told(id, executed))
            .next();
        let Some((invariant, detail)) = told else {
            return;
        };
        self.findings.add(Violation {
            time,
            property: Property::Contract(invariant),
            nodes: vec![client],
            height: None,
            detail,
        });
    }

    /// The judgement. `end` is when the run ended, `totals` what its nodes counted.
    pub fn finish(mut self, end: Time, judge: &LivenessJudge, totals: &Totals) -> Verdict {
        self.reads
            .finish(&self.strands[0].chain, &mut self.findings);
        for replay in self.strands.iter().filter_map(|s| s.replay.as_ref()) {
            replay.finish(end, &mut self.findings);
        }
        for detail in miscounts(totals) {
            self.findings.add(accounting(end, detail));
        }
        let judge = &self.patience(end, judge);
        let due = judge.healed_at + judge.bound;
        let judged = judge.recoverable && due <= end;
        let settled = judged.then(|| before(end, judge.bound));
        for answer in std::mem::take(&mut self.unplaced) {
            answer.settle(&mut self.strands, settled, &mut self.findings);
        }
        if let Some(settled) = settled {
            for strand in &self.strands {
                strand.chain.finish(settled, &mut self.findings);
            }
        }
        let stalls = self.progress.finish(end, judge.healed_at, judge.bound);
        let stalled = !stalls.is_empty();
        let present = self.present();
        self.sharing
            .finish((end, judge, judged), &present, &mut self.findings);
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
}

impl Observer for Checks {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        match event {
            Event::Submitted { transaction } => {
                for strand in &mut self.strands {
                    strand.chain.submitted.submit(transaction);
                    if let Some(replay) = &mut strand.replay {
                        replay.asked(transaction);
                    }
                }
                self.reads.ask(transaction);
                self.progress.submit(now, transaction.id);
            }
            Event::Doubled { transaction } => {
                let strands = self.strands.iter_mut();
                strands.for_each(|s| s.chain.submitted.double(transaction));
            }
            Event::Endorsed {
                transaction, of, ..
            } => {
                let strands = self.strands.iter_mut();
                strands.for_each(|s| s.chain.endorse(transaction, *of));
            }
            Event::Answered {
                transaction,
                endorsed,
                height,
                executed,
                ..
            } => {
                self.progress.answer(now, *transaction);
                self.told((now, node, *transaction), executed);
                let ordered = endorsed.unwrap_or(*transaction);
                self.answer((now, node, ordered), *height, executed);
            }
            Event::Decided { block } => self.arrive(now, node, block, false),
            Event::Installed { block } => self.arrive(now, node, block, true),
            Event::Reported { report } => {
                if self.honest(node) {
                    self.report(now, node, report);
                } else if let Report::Shared(fact) = report {
                    self.sharing.claim(fact);
                }
            }
            Event::Stated { statement } => {
                if self.honest(node) {
                    self.words.hear((now, node), *statement, &mut self.findings);
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
            | Event::Heard { .. }
            | Event::Fired { .. } => {}
        }
    }
}
