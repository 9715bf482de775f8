//! Counts and times a run: what becomes its row in the results.
//!
//! Everything is kept in whole nanoseconds and wide sums; quantiles are taken over all values,
//! never from a histogram.

mod contacts;
mod deceit;
mod kinds;
mod leadership;
mod measures;
mod summary;

#[cfg(test)]
mod tests;

use crate::base::node::{NodeId, PositionSet};
use crate::base::time::Time;
use crate::chain::{Block, Executed, Transaction, TransactionId};
use crate::protocol::Report;
use crate::sim::event::{Event, Observer, Totals};

use super::{Answer, is_conflict, verdict};
use crate::chain::by_transaction::ByTransaction;
pub use contacts::ContactSummary;
use contacts::Contacts;
use deceit::Deceit;
pub use kinds::KindSummary;
use kinds::{Kind, Kinds};
pub use leadership::Election;
use leadership::Leadership;
pub use measures::Measure;
use measures::Measures;
pub use summary::{Second, Summary};

/// What is measured of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Measured {
    /// Consensus nodes, `n0` on; client hosts follow them.
    pub nodes: usize,
    /// The nodes that follow a behaviour instead of their protocol.
    pub dishonest: PositionSet,
    /// When the first of them begins to; identification is timed from here.
    pub misbehaving_from: Time,
    /// The beginning of the measured window.
    pub warmup: Time,
    /// Its end, which is the end of the run.
    pub until: Time,
    /// The chain that each node keeps; empty if all keep the same.
    pub chains: Vec<Option<usize>>,
}

/// A transaction on its way.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    submitted: Time,
    kind: Kind,
    decided: bool,
}

/// One second of the run, in nanoseconds.
#[derive(Clone, Debug)]
struct Row {
    committed: u64,
    p50: Option<u64>,
    p99: Option<u64>,
    leader: Option<NodeId>,
    view: u64,
}

/// Counts and times a run.
#[derive(Clone, Debug)]
pub struct Metrics {
    measured: Measured,
    pending: ByTransaction<Waiting>,
    kinds: Kinds,
    contacts: Contacts,
    /// The sum of the latencies of all that were answered in the window.
    residence: u128,
    /// Sum and number of the times to the first decision.
    consensus: (u128, u64),
    /// The submitted transactions that endorsed ones stand for.
    endorsed: ByTransaction<TransactionId>,
    /// In the window: endorsed transactions sent to be ordered, those of them that were endorsed
    /// before, and the ones that others got in the way of.
    endorsements: u64,
    retries: u64,
    conflicts: u64,
    decided: PositionSet,
    blocks: u64,
    /// The number pending, integrated over the window up to `since`.
    area: u128,
    since: Time,
    rows: Vec<Row>,
    /// The latencies of what was answered in the second that is going on.
    this_second: Vec<u64>,
    leadership: Leadership,
    deceit: Deceit,
    measures: Measures,
}

impl Metrics {
    /// Nothing has happened yet.
    pub fn new(measured: Measured) -> Self {
        Self {
            measured,
            pending: ByTransaction::new(),
            kinds: Kinds::default(),
            contacts: Contacts::default(),
            residence: 0,
            consensus: (0, 0),
            endorsed: ByTransaction::new(),
            endorsements: 0,
            retries: 0,
            conflicts: 0,
            decided: PositionSet::new(),
            blocks: 0,
            area: 0,
            since: Time::ZERO,
            rows: Vec::new(),
            this_second: Vec::new(),
            leadership: Leadership::default(),
            deceit: Deceit::default(),
            measures: Measures::default(),
        }
    }

    /// The run in numbers, given what its nodes counted.
    pub fn finish(mut self, totals: &Totals) -> Summary {
        let until = self.measured.until;
        self.integrate(until);
        let seconds = until.nanos().div_ceil(1_000_000_000);
        self.roll_to(seconds);
        if !self.this_second.is_empty() {
            self.close_second();
        }
        summary::summarise(self, totals)
    }

    fn inside(&self, time: Time) -> bool {
        time >= self.measured.warmup && time < self.measured.until
    }

    fn honest(&self, node: NodeId) -> bool {
        node.index() < self.measured.nodes && !self.measured.dishonest.contains(node.index())
    }

    /// Adds what was pending since the last change; to be called before the number changes.
    fn integrate(&mut self, now: Time) {
        let (from, until) = (self.measured.warmup, self.measured.until);
        let span = now.min(until).since(self.since.max(from));
        self.area += u128::from(span.nanos()) * self.pending.len() as u128;
        self.since = now;
    }

    /// Closes all seconds before this one.
    fn roll_to(&mut self, second: u64) {
        while (self.rows.len() as u64) < second {
            self.close_second();
        }
    }

    fn close_second(&mut self) {
        self.this_second.sort_unstable();
        self.rows.push(Row {
            committed: self.this_second.len() as u64,
            p50: summary::nearest_rank(&self.this_second, 50),
            p99: summary::nearest_rank(&self.this_second, 99),
            leader: self.leadership.leader,
            view: self.leadership.view,
        });
        self.this_second.clear();
    }

    fn submit(&mut self, now: Time, transaction: &Transaction) {
        self.integrate(now);
        let kind = self.kinds.of(transaction.call.kind());
        if self.inside(now) {
            self.kinds.submit(kind);
        }
        let waiting = Waiting {
            submitted: now,
            kind,
            decided: false,
        };
        self.pending.insert(transaction.id, waiting);
    }

    fn answer(&mut self, now: Time, transaction: TransactionId, executed: &Executed) {
        self.integrate(now);
        let Some(waiting) = self.pending.remove(transaction) else {
            return;
        };
        let latency = now.since(waiting.submitted).nanos();
        self.this_second.push(latency);
        if !self.inside(now) {
            return;
        }
        let refusal = match verdict(executed) {
            Answer::Accepted | Answer::Repeated => None,
            Answer::Refused(code) => Some(code),
        };
        self.kinds.answer(waiting.kind, refusal);
        self.residence += u128::from(latency);
        if self.inside(waiting.submitted) {
            self.kinds.time(waiting.kind, latency);
        }
    }

    fn decide(&mut self, now: Time, node: NodeId, block: &Block) {
        let chain = self.measured.chains.get(node.index());
        self.deceit.decide(chain.copied().flatten(), block);
        let height = usize::try_from(block.height).expect("a chain fits into memory");
        if !self.decided.insert(height) {
            return;
        }
        let inside = self.inside(now);
        self.blocks += u64::from(inside);
        for (transaction, executed) in block.batch.transactions().iter().zip(&block.executed) {
            self.conflicts += u64::from(inside && is_conflict(executed));
            let submitted = self.endorsed.get(transaction.id);
            let id = submitted.unwrap_or(transaction.id);
            let Some(waiting) = self.pending.get_mut(id) else {
                continue;
            };
            let first = !std::mem::replace(&mut waiting.decided, true);
            if first && inside && waiting.submitted >= self.measured.warmup {
                let span = now.since(waiting.submitted);
                self.consensus.0 += u128::from(span.nanos());
                self.consensus.1 += 1;
            }
        }
    }

    fn endorse(&mut self, now: Time, (id, of): (TransactionId, TransactionId), round: u32) {
        self.endorsed.insert(id, of);
        let inside = self.inside(now);
        self.endorsements += u64::from(inside);
        self.retries += u64::from(inside && round > 0);
    }

    fn report(&mut self, now: Time, node: NodeId, report: &Report) {
        match report {
            Report::Leads { view } => self.leadership.leads(now, node, *view),
            Report::Enters { view } => self.leadership.enters(now, node, *view),
            Report::Accuses { culprit, offence } => {
                self.deceit
                    .accuse(&self.measured, (now, node), (*culprit, *offence));
            }
            Report::Prepared { .. }
            | Report::Logged { .. }
            | Report::Restarted { .. }
            | Report::Reached(_) => {}
            Report::Shared(fact) => self.measures.learn(now, node, fact),
        }
    }
}

impl Observer for Metrics {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        self.roll_to(now.second());
        match event {
            Event::Submitted { transaction } => self.submit(now, transaction),
            Event::Endorsed {
                transaction,
                of,
                round,
            } => self.endorse(now, (transaction.id, *of), *round),
            Event::Answered {
                transaction,
                endorsed,
                executed,
                ..
            } => {
                if let Some(endorsed) = endorsed {
                    self.endorsed.remove(*endorsed);
                }
                self.answer(now, *transaction, executed);
            }
            Event::Contacted { asked, .. } => {
                if self.inside(now) {
                    let latency = now.since(*asked).nanos();
                    self.contacts.begin(self.inside(*asked).then_some(latency));
                }
            }
            Event::Decided { block } => {
                if self.honest(node) {
                    self.decide(now, node, block);
                }
            }
            // Only the words of the honest count. A leader that lies still leads.
            Event::Reported { report } => {
                let leadership = matches!(report, Report::Leads { .. } | Report::Enters { .. });
                if leadership || self.honest(node) {
                    self.report(now, node, report);
                }
            }
            Event::Crashed => self.leadership.loses(now, node),
            Event::Doubled { .. }
            | Event::Installed { .. }
            | Event::Restarted { .. }
            | Event::Sent { .. }
            | Event::Delivered { .. }
            | Event::Stated { .. }
            | Event::Heard { .. }
            | Event::Fired { .. } => {}
        }
    }
}
