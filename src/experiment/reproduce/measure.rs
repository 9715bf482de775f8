//! What is taken from a run to be compared with a publication.

use std::collections::{BTreeMap, BTreeSet};

use super::Quantity;
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::chain::{Block, Height, TransactionId};
use crate::scenario::Scenario;
use crate::scenario::run::Entry;
use crate::sim::Kernel;
use crate::sim::event::{Event, Observer};

/// Runs a scenario and takes a quantity from it, in its unit; nothing if the run has none.
pub fn measure(quantity: Quantity, scenario: &Scenario, entry: &Entry) -> Option<f64> {
    let kernel = Kernel::Windows { threads: 1 };
    match quantity {
        Quantity::Latency => {
            let outcome = (entry.run)(scenario, kernel, None);
            let latency = outcome.summary.latency_mean_ms;
            latency.filter(|_| outcome.exhausted.is_none())
        }
        Quantity::BurstTps => {
            let mut bursts = Bursts::new(Time::ZERO + scenario.warmup);
            let outcome = (entry.run)(scenario, kernel, Some(&mut bursts));
            bursts.mean().filter(|_| outcome.exhausted.is_none())
        }
        Quantity::LatencyRatio => None, // It is taken from two runs.
    }
}

/// Watches how long each block takes from its last transaction to its first decision.
#[derive(Debug)]
struct Bursts {
    /// Blocks decided earlier do not count.
    warmup: Time,
    submitted: BTreeMap<TransactionId, Time>,
    decided: BTreeSet<Height>,
    /// Transactions a second of each block.
    rates: Vec<f64>,
}

impl Bursts {
    fn new(warmup: Time) -> Self {
        Self {
            warmup,
            submitted: BTreeMap::new(),
            decided: BTreeSet::new(),
            rates: Vec::new(),
        }
    }

    fn decide(&mut self, now: Time, block: &Block) {
        if !self.decided.insert(block.height) {
            return;
        }
        let transactions = block.batch.transactions();
        let submitted = transactions
            .iter()
            .filter_map(|transaction| self.submitted.remove(&transaction.id));
        let Some(last) = submitted.max().filter(|_| now >= self.warmup) else {
            return;
        };
        let seconds = now.since(last).nanos() as f64 / 1e9;
        if seconds > 0.0 {
            self.rates.push(transactions.len() as f64 / seconds);
        }
    }

    fn mean(&self) -> Option<f64> {
        let count = self.rates.len() as f64;
        (count > 0.0).then(|| self.rates.iter().sum::<f64>() / count)
    }
}

impl Observer for Bursts {
    fn on_event(&mut self, now: Time, _: NodeId, event: &Event) {
        match event {
            Event::Submitted { transaction } => {
                self.submitted.insert(transaction.id, now);
            }
            Event::Decided { block } => self.decide(now, block),
            Event::Doubled { .. }
            | Event::Endorsed { .. }
            | Event::Answered { .. }
            | Event::Contacted { .. }
            | Event::Installed { .. }
            | Event::Reported { .. }
            | Event::Stated { .. }
            | Event::Crashed
            | Event::Restarted { .. }
            | Event::Sent { .. }
            | Event::Delivered { .. }
            | Event::Heard { .. }
            | Event::Fired { .. } => {}
        }
    }
}
