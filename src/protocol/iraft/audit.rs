//! The dynamic credit of RB-Raft: how many entries go by from one look at the log to the next.
//! Each look that finds nothing wrong lengthens the interval in the end, each that does shortens
//! it; a leader in whose term it falls to one is not trusted.

use super::{Cx, Iraft};
use crate::base::crypto::Signed;

use super::content::Content;
use super::statement::Header;

/// The interval and the credit behind it.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// T: entries from one look to the next.
    interval: u64,
    /// x, in tenths: one at first, a tenth less for each error, a tenth more for each success.
    credit: u64,
    most: u64,
    /// Entries since the last look.
    entries: u64,
    /// Whether one of them is wrong.
    error: bool,
}

impl Audit {
    /// Before the first look: the interval at first, and at most.
    pub fn new(start: u64, most: u64) -> Self {
        Self {
            interval: start,
            credit: 10,
            most,
            entries: 0,
            error: false,
        }
    }

    /// T: entries from one look at the log to the next.
    pub fn interval(&self) -> u64 {
        self.interval
    }

    /// A look at the log that found it right or wrong. The interval is multiplied by 2^⌈log₂ x⌉
    /// after an error if x ≤ 1, and by 2^⌊log₂ x⌋ after a success if x > 1.
    pub fn round(&mut self, error: bool) {
        self.credit = if error {
            self.credit.saturating_sub(1)
        } else {
            self.credit + 1
        };
        if error && self.credit <= 10 {
            let mut halvings = 0;
            // ⌈log₂ x⌉ for x = credit / 10: how often x doubles and stays at most one.
            while self.credit > 0 && (self.credit << (halvings + 1)) <= 10 {
                halvings += 1;
            }
            let lost = self.credit == 0;
            self.interval = if lost {
                1
            } else {
                (self.interval >> halvings).max(1)
            };
        } else if !error && self.credit > 10 {
            let doublings = (self.credit / 10).ilog2();
            let grown = self.interval.saturating_mul(1 << doublings.min(32));
            self.interval = grown.min(self.most);
        }
    }

    /// Notes an entry; whether a look is due, and has found the interval down to one.
    fn entry(&mut self, error: bool) -> bool {
        self.entries += 1;
        self.error |= error;
        if self.entries < self.interval {
            return false;
        }
        self.entries = 0;
        let error = std::mem::take(&mut self.error);
        self.round(error);
        error && self.interval == 1
    }
}

impl Iraft {
    /// Takes an entry for the next audit instead of judging it; complains of a leader that an audit
    /// trusts no more.
    pub(super) fn audit(&mut self, header: &Signed<Header>, content: &Content, cx: &mut Cx<'_>) {
        let error = content.is_flawed(cx.keyring(), &self.setup.committee);
        let own = header.body().term == self.durable.term;
        if self.volatile.audit.entry(error) && own {
            self.complain(true, cx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figure 5 of the source: the interval of an honest leader's followers, and of a liar's.
    #[test]
    fn ten_successes_double_the_interval_and_seven_errors_end_it() {
        let mut honest = Audit::new(8, 64);
        let mut liar = honest.clone();
        let intervals = |audit: &mut Audit, error| {
            let round = |_| {
                audit.round(error);
                audit.interval
            };
            (1..=12).map(round).collect::<Vec<u64>>()
        };
        let doubled = [8, 8, 8, 8, 8, 8, 8, 8, 8, 16, 32, 64];
        assert_eq!(intervals(&mut honest, false), doubled);
        let ended = [8, 8, 8, 8, 4, 2, 1, 1, 1, 1, 1, 1];
        assert_eq!(intervals(&mut liar, true), ended);
    }

    #[test]
    fn an_audit_looks_at_all_entries_since_the_last() {
        let mut audit = Audit::new(2, 4);
        let mut distrusts = |error| audit.entry(error);
        // One wrong entry of two is an error; so are seven in a row, at ever shorter intervals.
        let rounds: Vec<bool> = (0..16).map(|entry| distrusts(entry % 2 == 0)).collect();
        let first = rounds.iter().position(|distrusts| *distrusts);
        assert_eq!(first, Some(9));
    }
}
