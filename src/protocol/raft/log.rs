//! The replicated log: entries from just after a base, which is the last entry a snapshot or a
//! compaction has replaced.

use std::collections::VecDeque;

use super::message::{Entry, Position};
use crate::base::random::mix;

/// One place of the log.
#[derive(Clone, Debug)]
struct Slot {
    entry: Entry,
    /// A digest of the whole log up to and including this entry.
    prefix: u64,
}

/// Entries `base + 1` to `last`, without a gap.
#[derive(Clone, Debug, Default)]
pub struct Log {
    base: Position,
    base_prefix: u64,
    slots: VecDeque<Slot>,
}

impl Log {
    /// The last entry that is no longer held.
    pub fn base(&self) -> Position {
        self.base
    }

    /// The last entry.
    pub fn last(&self) -> Position {
        let term = self.slots.back().map_or(self.base.term, |s| s.entry.term);
        Position {
            index: self.last_index(),
            term,
        }
    }

    /// The index of the last entry.
    pub fn last_index(&self) -> u64 {
        self.base.index + self.slots.len() as u64
    }

    fn slot(&self, index: u64) -> Option<&Slot> {
        let offset = index.checked_sub(self.base.index + 1)?;
        self.slots.get(usize::try_from(offset).ok()?)
    }

    /// The entry at this index, if it is held.
    pub fn entry(&self, index: u64) -> Option<&Entry> {
        Some(&self.slot(index)?.entry)
    }

    /// The term of the entry at this index, of the base as well.
    pub fn term(&self, index: u64) -> Option<u64> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        Some(self.slot(index)?.entry.term)
    }

    /// The digest of the log up to this index, of the base as well.
    pub fn prefix(&self, index: u64) -> Option<u64> {
        if index == self.base.index {
            return Some(self.base_prefix);
        }
        Some(self.slot(index)?.prefix)
    }

    /// At most `count` entries, and about a mebibyte, from this index on, which is held.
    pub fn entries(&self, from: u64, count: usize) -> Vec<Entry> {
        assert!(from > self.base.index, "entries up to the base are gone");
        let offset = usize::try_from(from - self.base.index - 1).expect("a log fits in memory");
        let mut room = 1_u64 << 20;
        let mut entries = Vec::new();
        for slot in self.slots.range(offset.min(self.slots.len())..).take(count) {
            let size = u64::from(slot.entry.batch.size());
            if !entries.is_empty() && size > room {
                break;
            }
            room = room.saturating_sub(size);
            entries.push(slot.entry.clone());
        }
        entries
    }

    /// Appends an entry; returns its index and the digest of the log that ends with it.
    pub fn push(&mut self, entry: Entry) -> (u64, u64) {
        let before = self.slots.back().map_or(self.base_prefix, |s| s.prefix);
        let prefix = extend(before, &entry);
        self.slots.push_back(Slot { entry, prefix });
        (self.last_index(), prefix)
    }

    /// Removes the entries from this index on and returns them in order.
    pub fn truncate(&mut self, from: u64) -> Vec<Entry> {
        assert!(from > self.base.index, "the base is decided for ever");
        let offset = usize::try_from(from - self.base.index - 1).expect("a log fits in memory");
        let gone = self.slots.drain(offset.min(self.slots.len())..);
        gone.map(|slot| slot.entry).collect()
    }

    /// The first entry of the term that the entry at `index` has.
    pub fn first_of_term(&self, index: u64) -> u64 {
        let Some(term) = self.term(index) else {
            return index;
        };
        let mut first = index;
        while first > self.base.index + 1 && self.term(first - 1) == Some(term) {
            first -= 1;
        }
        first
    }

    /// Forgets the entries up to this index, which are decided.
    pub fn compact(&mut self, to: u64) {
        while self.base.index < to {
            let slot = self.slots.pop_front().expect("what is decided is held");
            self.base.index += 1;
            self.base.term = slot.entry.term;
            self.base_prefix = slot.prefix;
        }
    }

    /// Starts after a snapshot that ends with this entry; keeps what follows the same entry.
    /// Returns what it replaces.
    pub fn restart(&mut self, base: Position, prefix: u64) -> Replaced {
        let holds = self.term(base.index) == Some(base.term);
        let kept = if holds && base.index < self.last_index() {
            self.truncate(base.index + 1)
        } else {
            Vec::new()
        };
        let gone = self.slots.drain(..).map(|slot| slot.entry).collect();
        self.base = base;
        self.base_prefix = prefix;
        for entry in kept {
            self.push(entry);
        }
        if holds {
            Replaced::Decided(gone)
        } else {
            Replaced::Unknown(gone)
        }
    }
}

/// The entries that a snapshot replaces.
#[derive(Debug)]
pub enum Replaced {
    /// They lead up to the snapshot, which includes them.
    Decided(Vec<Entry>),
    /// They may be of other leaders, and not be included.
    Unknown(Vec<Entry>),
}

/// The digest of a log that is one entry longer.
fn extend(prefix: u64, entry: &Entry) -> u64 {
    mix(mix(prefix, entry.term), entry.batch.digest().prefix())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Batch;

    fn log(terms: &[u64]) -> Log {
        let mut log = Log::default();
        for &term in terms {
            log.push(Entry {
                term,
                batch: Batch::empty(),
            });
        }
        log
    }

    #[test]
    fn the_first_entry_of_a_term_is_where_a_conflict_begins() {
        let mut log = log(&[1, 1, 4, 4, 4]);
        assert_eq!(log.first_of_term(5), 3);
        assert_eq!(log.first_of_term(2), 1);
        assert_eq!(log.first_of_term(9), 9, "beyond the end");
        log.compact(3);
        assert_eq!(log.first_of_term(5), 4, "never reaches below the base");
    }

    #[test]
    fn compaction_changes_nothing_about_what_is_left() {
        let whole = log(&[1, 2, 2, 3]);
        let mut rest = whole.clone();
        rest.compact(2);
        assert_eq!(rest.last(), whole.last());
        assert_eq!((rest.term(2), rest.term(1)), (Some(2), None));
        for index in 2..=4 {
            assert_eq!(rest.prefix(index), whole.prefix(index));
        }
        assert_eq!(rest.entries(3, 9).len(), 2);
    }

    #[test]
    fn a_snapshot_keeps_the_entries_that_follow_it() {
        let whole = log(&[1, 1, 2]);
        let base = Position { index: 2, term: 1 };
        let prefix = whole.prefix(2).unwrap();
        let mut same = whole.clone();
        same.restart(base, prefix);
        assert_eq!(same.last(), whole.last());
        assert_eq!(same.prefix(3), whole.prefix(3));
        let mut other = log(&[3, 3, 3]);
        other.restart(base, prefix);
        assert_eq!(other.last(), base);
    }

    #[test]
    fn logs_with_one_digest_are_equal() {
        assert_eq!(log(&[1, 2]).prefix(2), log(&[1, 2]).prefix(2));
        assert_ne!(log(&[1, 2]).prefix(2), log(&[2, 2]).prefix(2));
        let mut cut = log(&[1, 2, 3]);
        assert_eq!(cut.truncate(3).len(), 1);
        assert_eq!(cut.prefix(2), log(&[1, 2]).prefix(2));
    }
}
