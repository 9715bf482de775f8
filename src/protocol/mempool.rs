//! Transactions waiting to be proposed: kept in the order they came, each once, and cut into
//! batches by one rule that all protocols share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base::time::Span;
use crate::base::units::Bytes;
use crate::chain::{Batch, Transaction, TransactionId};

/// When a leader cuts a batch: as soon as it is full, or when the oldest transaction has waited
/// long enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchRule {
    /// Transactions in a batch at most.
    pub max: usize,
    /// Bytes in a batch at most; a single larger transaction makes a batch of its own.
    pub bytes: Bytes,
    /// How long a transaction waits for company at most; zero cuts at once.
    pub wait: Span,
}

impl Default for BatchRule {
    fn default() -> Self {
        Self {
            max: 200,
            bytes: Bytes(256 << 10),
            wait: Span::from_millis(50),
        }
    }
}

/// Pending transactions of one replica.
#[derive(Clone, Debug, Default)]
pub struct Mempool {
    queue: VecDeque<Arc<Transaction>>,
    bytes: u64,
    /// Everything that waits (true), and everything proposed and not yet settled (false).
    known: BTreeMap<TransactionId, bool>,
}

/// Pending transactions at most; what comes beyond is dropped and retried by its client.
const PENDING_MAX: usize = 200_000;

impl Mempool {
    /// Nothing pending.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a transaction; false if it is pending already or there is no room.
    pub fn insert(&mut self, transaction: Arc<Transaction>) -> bool {
        if self.queue.len() >= PENDING_MAX || self.knows(transaction.id) {
            return false;
        }
        self.bytes += u64::from(transaction.size());
        self.known.insert(transaction.id, true);
        self.queue.push_back(transaction);
        true
    }

    /// How many transactions wait to be proposed.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing waits to be proposed.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether anything is known that has not been settled, waiting or proposed.
    pub fn has_unsettled(&self) -> bool {
        !self.known.is_empty()
    }

    /// Whether this transaction is waiting or proposed.
    pub fn knows(&self, id: TransactionId) -> bool {
        self.known.contains_key(&id)
    }

    /// Whether a batch would be full.
    pub fn is_full(&self, rule: &BatchRule) -> bool {
        self.queue.len() >= rule.max || self.bytes >= rule.bytes.0
    }

    /// Takes the oldest transactions that fit one batch; nothing if none wait. They stay known,
    /// so that a retry does not queue them again, until they are settled.
    pub fn take(&mut self, rule: &BatchRule) -> Option<Batch> {
        let mut taken: Vec<Arc<Transaction>> = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.queue.front() {
            let size = u64::from(next.size());
            let fits = taken.is_empty() || (taken.len() < rule.max && bytes + size <= rule.bytes.0);
            if !fits {
                break;
            }
            bytes += size;
            self.known.insert(next.id, false);
            taken.extend(self.queue.pop_front());
        }
        self.bytes -= bytes;
        (!taken.is_empty()).then(|| Batch::new(taken))
    }

    /// The transaction that has waited longest.
    pub fn first(&self) -> Option<&Arc<Transaction>> {
        self.queue.front()
    }

    /// The transactions that have waited longest, at most so many; they stay where they are.
    pub fn oldest(&self, most: usize) -> Vec<Arc<Transaction>> {
        self.queue.iter().take(most).cloned().collect()
    }

    /// Notes that another leader proposed a batch: its transactions wait no longer, and are not
    /// queued again until they are settled or restored.
    pub fn note_proposed(&mut self, batch: &Batch) {
        let mut waited = false;
        for transaction in batch.transactions() {
            waited |= self.known.insert(transaction.id, false) == Some(true);
        }
        self.drop_from_queue(waited);
    }

    /// Forgets transactions that were decided, wherever they were proposed.
    pub fn settle(&mut self, batch: &Batch) {
        let mut waited = false;
        for transaction in batch.transactions() {
            waited |= self.known.remove(&transaction.id) == Some(true);
        }
        self.drop_from_queue(waited);
    }

    /// Takes what no longer waits out of the queue. Most of what is decided was taken from the
    /// front long ago: the queue is looked through only if something in it is concerned.
    fn drop_from_queue(&mut self, concerned: bool) {
        if !concerned {
            return;
        }
        let known = &self.known;
        let bytes = &mut self.bytes;
        self.queue.retain(|transaction| {
            let keep = known.get(&transaction.id) == Some(&true);
            if !keep {
                *bytes -= u64::from(transaction.size());
            }
            keep
        });
    }

    /// Takes out everything that waits to be proposed, and forgets it.
    pub fn drain(&mut self) -> Vec<Arc<Transaction>> {
        self.bytes = 0;
        let waiting: Vec<_> = self.queue.drain(..).collect();
        for transaction in &waiting {
            self.known.remove(&transaction.id);
        }
        waiting
    }

    /// Puts transactions that were proposed in vain back to the front, in their order.
    pub fn restore(&mut self, batch: &Batch) {
        for transaction in batch.transactions().iter().rev() {
            if self.known.get(&transaction.id) == Some(&false) {
                self.known.insert(transaction.id, true);
                self.bytes += u64::from(transaction.size());
                self.queue.push_front(transaction.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::node::NodeId;
    use crate::contract::SignedCall;

    fn transaction(number: u64) -> Arc<Transaction> {
        Transaction::new(
            TransactionId::new(NodeId(9), number),
            SignedCall::sample(number),
        )
    }

    #[test]
    fn each_transaction_is_proposed_once_until_it_is_restored() {
        let rule = BatchRule {
            max: 2,
            ..BatchRule::default()
        };
        let mut mempool = Mempool::new();
        for number in [0, 1, 2, 1] {
            mempool.insert(transaction(number));
        }
        assert!(mempool.is_full(&rule));
        let first = mempool.take(&rule).unwrap();
        assert_eq!(format!("{first:?}"), "[n9#0, n9#1]");
        assert!(!mempool.insert(transaction(0)), "proposed and not settled");
        mempool.restore(&first);
        assert_eq!(mempool.take(&rule).unwrap(), first);
        mempool.settle(&first);
        assert!(
            mempool.insert(transaction(0)),
            "the kernel answers repeats; the pool may retry"
        );
        assert_eq!(
            format!("{:?}", mempool.take(&rule).unwrap()),
            "[n9#2, n9#0]"
        );
        assert!(mempool.take(&rule).is_none());
    }

    #[test]
    fn what_another_leader_proposed_waits_only_if_it_is_restored() {
        let rule = BatchRule::default();
        let mut mempool = Mempool::new();
        mempool.insert(transaction(0));
        mempool.insert(transaction(1));
        let proposed = Batch::new(vec![transaction(1), transaction(2)]);
        mempool.note_proposed(&proposed);
        assert!(!mempool.insert(transaction(2)));
        mempool.restore(&proposed);
        assert_eq!(
            format!("{:?}", mempool.take(&rule).unwrap()),
            "[n9#1, n9#2, n9#0]"
        );
    }

    #[test]
    fn what_another_leader_decided_is_no_longer_waiting() {
        let rule = BatchRule::default();
        let mut mempool = Mempool::new();
        mempool.insert(transaction(0));
        mempool.insert(transaction(1));
        mempool.settle(&Batch::new(vec![transaction(0)]));
        assert_eq!(format!("{:?}", mempool.take(&rule).unwrap()), "[n9#1]");
    }
}
