//! Whether clients are answered in time once all faults have ended.
//!
//! A run that is merely overloaded is not stalled: its queue grows while answers keep coming. So
//! two things count. Silence: something is pending, and for longer than the bound nobody is
//! answered. Starvation: a transaction is pending at the end although others, submitted after its
//! time was up, have been answered.

use crate::base::time::{Span, Time};
use crate::chain::TransactionId;
use crate::chain::by_transaction::ByTransaction;

/// A time without answers while something was pending.
#[derive(Clone, Copy, Debug)]
struct Gap {
    from: Time,
    until: Time,
}

/// What clients wait for.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    pending: ByTransaction<Time>,
    /// Since when nobody was answered while something was pending.
    since: Time,
    /// Gaps worth remembering: each longer than all that follow it.
    gaps: Vec<Gap>,
    /// The latest time at which an answered transaction was submitted.
    served: Option<Time>,
    /// Transactions ever submitted.
    pub submitted: u64,
}

/// What progress leaves to say after a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stall {
    /// Nobody was answered from this instant on, for this long.
    Silence(Time, Span),
    /// Transactions were passed over.
    Starved {
        /// One of them.
        first: TransactionId,
        /// When it should have been answered.
        due: Time,
        /// How many there are.
        count: usize,
    },
}

impl Progress {
    /// Nothing asked for yet.
    pub fn new() -> Self {
        Self {
            pending: ByTransaction::new(),
            since: Time::ZERO,
            gaps: Vec::new(),
            served: None,
            submitted: 0,
        }
    }

    /// A client submitted a transaction.
    pub fn submit(&mut self, now: Time, transaction: TransactionId) {
        self.submitted += 1;
        if self.pending.len() == 0 {
            self.since = now;
        }
        self.pending.insert(transaction, now);
    }

    /// A client got its answer.
    pub fn answer(&mut self, now: Time, transaction: TransactionId) {
        let Some(submitted) = self.pending.remove(transaction) else {
            return;
        };
        self.served = self.served.max(Some(submitted));
        self.close(now);
        self.since = now;
    }

    /// How many wait.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    fn close(&mut self, until: Time) {
        let gap = Gap {
            from: self.since,
            until,
        };
        let length = until.since(gap.from);
        while self
            .gaps
            .last()
            .is_some_and(|last| last.until.since(last.from) <= length)
        {
            self.gaps.pop();
        }
        self.gaps.push(gap);
    }

    /// What went wrong after `healed`, given that nothing should take longer than `bound`.
    pub fn finish(&mut self, end: Time, healed: Time, bound: Span) -> Vec<Stall> {
        if self.pending.len() > 0 {
            self.close(end);
        }
        let clipped = |gap: &Gap| (gap.from.max(healed), gap.until.since(gap.from.max(healed)));
        let worst = self.gaps.iter().map(clipped).max_by_key(|(_, span)| *span);
        let silence = worst
            .filter(|(_, length)| *length > bound)
            .map(|(from, length)| Stall::Silence(from, length));
        let starved = self.starved(healed, bound);
        silence.into_iter().chain(starved).collect()
    }

    /// The transactions that later ones overtook by more than the bound.
    fn starved(&self, healed: Time, bound: Span) -> Option<Stall> {
        let due = |submitted: Time| submitted.max(healed) + bound;
        let mut overdue = self
            .pending
            .iter()
            .filter(|(_, submitted)| self.served > Some(due(*submitted)));
        let (first, submitted) = overdue.next()?;
        Some(Stall::Starved {
            first,
            due: due(submitted),
            count: overdue.count() + 1,
        })
    }
}
