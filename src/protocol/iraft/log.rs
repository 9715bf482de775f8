//! The hash-chained log: entries from just after a base, which is the last entry that a snapshot
//! or a compaction has replaced, and the branch that a certificate holds this replica to while its
//! log follows a leader who was elected without it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::content::Entry;
use super::statement::{Ack, Header, Mark};
use crate::base::crypto::{Certificate, Digest, Signed};

/// One place of the log.
#[derive(Clone, Debug)]
struct Slot {
    entry: Entry,
    chain: Digest,
    /// What has decided the log up to here, if this very place was proven to be decided.
    proof: Option<Arc<Certificate<Ack>>>,
}

/// Entries `base + 1` to `last`, without a gap.
#[derive(Clone, Debug, Default)]
pub struct Log {
    base: Mark,
    /// The header of the base; nothing before the first entry.
    base_header: Option<Signed<Header>>,
    slots: VecDeque<Slot>,
}

impl Log {
    /// An empty log whose first entry follows this mark.
    pub fn above(base: Mark) -> Self {
        Self {
            base,
            ..Self::default()
        }
    }

    /// The last entry that is no longer held.
    pub fn base(&self) -> Mark {
        self.base
    }

    /// The index of the last entry.
    pub fn last_index(&self) -> u64 {
        self.base.index + self.slots.len() as u64
    }

    /// The last entry.
    pub fn last(&self) -> Mark {
        let last = self.mark(self.last_index());
        last.expect("the last entry is held, or is the base")
    }

    fn slot(&self, index: u64) -> Option<&Slot> {
        self.slots.get(self.offset(index)?)
    }

    /// How many entries are held before this index, unless it is below them all.
    fn offset(&self, index: u64) -> Option<usize> {
        let offset = index.checked_sub(self.base.index + 1)?;
        usize::try_from(offset).ok()
    }

    /// The entry at this index, if it is held.
    pub fn entry(&self, index: u64) -> Option<&Entry> {
        Some(&self.slot(index)?.entry)
    }

    /// The header of the last entry, held or not; nothing before the first.
    pub fn last_header(&self) -> Option<&Signed<Header>> {
        let last = self.slots.back().map(|slot| &slot.entry.header);
        last.or(self.base_header.as_ref())
    }

    /// The header of the entry at this index, of the base as well.
    pub fn header(&self, index: u64) -> Option<&Signed<Header>> {
        if index == self.base.index {
            return self.base_header.as_ref();
        }
        Some(&self.slot(index)?.entry.header)
    }

    /// The place with this index, of the base as well.
    pub fn mark(&self, index: u64) -> Option<Mark> {
        if index == self.base.index {
            return Some(self.base);
        }
        let slot = self.slot(index)?;
        Some(Mark {
            term: slot.entry.term(),
            index,
            chain: slot.chain,
        })
    }

    /// The term of the entry at this index, of the base as well.
    pub fn term(&self, index: u64) -> Option<u64> {
        Some(self.mark(index)?.term)
    }

    /// The chain up to this index, of the base as well.
    pub fn chain(&self, index: u64) -> Option<Digest> {
        Some(self.mark(index)?.chain)
    }

    /// The chain up to and including a header, which is known where the header is held.
    pub fn chain_of(&self, header: &Header) -> Digest {
        let held = self.slot(header.index);
        match held.filter(|slot| slot.entry.header.body() == header) {
            Some(slot) => slot.chain,
            None => header.chain(),
        }
    }

    /// At most `count` entries, and about a mebibyte, from this index on, which is held.
    pub fn entries(&self, from: u64, count: usize) -> Vec<Entry> {
        assert!(from > self.base.index, "entries up to the base are gone");
        let offset = usize::try_from(from - self.base.index - 1).expect("a log fits in memory");
        let mut room = 1_u64 << 20;
        let mut entries = Vec::new();
        for slot in self.slots.range(offset.min(self.slots.len())..).take(count) {
            let size = u64::from(slot.entry.size());
            if !entries.is_empty() && size > room {
                break;
            }
            room = room.saturating_sub(size);
            entries.push(slot.entry.clone());
        }
        entries
    }

    /// Keeps what decides the log up to the place that it is about, which is held.
    pub fn prove(&mut self, certificate: &Arc<Certificate<Ack>>) {
        let offset = self.offset(certificate.body().index);
        if let Some(slot) = offset.and_then(|offset| self.slots.get_mut(offset)) {
            assert_eq!(slot.chain, certificate.body().chain, "it is about this log");
            slot.proof = Some(certificate.clone());
        }
    }

    /// Decided entries from this one on, with what decides the last of them: at most `count`, or as
    /// many as the next proof is about. Nothing if no proof reaches so far.
    pub fn proven(&self, from: u64, count: usize) -> Option<(Vec<Entry>, Arc<Certificate<Ack>>)> {
        let offset = self.offset(from)?;
        let mut entries = Vec::new();
        let mut proven = None;
        for slot in self.slots.range(offset.min(self.slots.len())..) {
            if proven.is_some() && entries.len() >= count {
                break;
            }
            entries.push(slot.entry.clone());
            if let Some(proof) = &slot.proof {
                proven = Some((entries.len(), proof.clone()));
            }
        }
        let (end, proof) = proven?;
        entries.truncate(end);
        Some((entries, proof))
    }

    /// Appends an entry whose header follows on the last one; the log then ends here.
    pub fn push(&mut self, entry: Entry) -> Mark {
        let header = entry.header.body();
        assert_eq!(header.index, self.last_index() + 1, "the next place");
        assert_eq!(header.previous, self.last().chain, "one chain");
        let chain = header.chain();
        self.slots.push_back(Slot {
            entry,
            chain,
            proof: None,
        });
        self.last()
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
            self.base = Mark {
                term: slot.entry.term(),
                index: self.base.index + 1,
                chain: slot.chain,
            };
            self.base_header = Some(slot.entry.header);
        }
    }

    /// Starts after a snapshot that ends with this entry; keeps what follows the same entry.
    /// Returns what it replaces, and whether that led up to the snapshot.
    pub fn restart(&mut self, header: &Signed<Header>) -> (Vec<Entry>, bool) {
        let base = header.body().mark();
        let holds = self.chain(base.index) == Some(base.chain);
        let kept = if holds && base.index < self.last_index() {
            self.truncate(base.index + 1)
        } else {
            Vec::new()
        };
        let gone = self.slots.drain(..).map(|slot| slot.entry).collect();
        self.base = base;
        self.base_header = Some(header.clone());
        for entry in kept {
            self.push(entry);
        }
        (gone, holds)
    }
}

/// The end of the branch that a certificate speaks of, while the log holds another.
#[derive(Clone, Debug, Default)]
pub struct Branch {
    /// The first place where the log has parted from the branch.
    from: u64,
    /// What stood there and beyond, up to the certified place; nothing while the log holds it.
    entries: Vec<Entry>,
}

impl Branch {
    /// The log has lost these entries from `from` on; the certified place is `locked`.
    pub fn keep(&mut self, from: u64, gone: &[Entry], locked: u64) {
        let until = if self.entries.is_empty() {
            locked + 1
        } else {
            self.from
        };
        if from >= until {
            return;
        }
        let count = usize::try_from(until - from).expect("a log fits in memory");
        let lost = gone.iter().take(count).cloned();
        self.entries = lost.chain(std::mem::take(&mut self.entries)).collect();
        self.from = from;
    }

    /// The certified place is in the log again, or matters no more.
    pub fn forget(&mut self) {
        self.entries.clear();
    }

    /// Hands out what has to replace the log from an index on, if it has parted.
    pub fn take(&mut self) -> Option<(u64, Vec<Entry>)> {
        let entries = std::mem::take(&mut self.entries);
        (!entries.is_empty()).then_some((self.from, entries))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::content::Content;
    use super::super::statement::Header;
    use super::*;
    use crate::base::crypto::{Body, Crypto, Signer};
    use crate::chain::Batch;

    /// Entries of these terms that follow on a place.
    pub fn entries(after: Mark, terms: &[u64]) -> Vec<Entry> {
        let (signers, _) = Signer::mint(1, Crypto::Modelled, 1);
        let mut previous = after.chain;
        let mut made = Vec::new();
        for (index, &term) in (after.index + 1..).zip(terms) {
            let content = Content::of(Batch::empty());
            let header = Header {
                term,
                index,
                previous,
                content: content.digest(),
            };
            previous = header.chain();
            let header = signers[0].sign(header);
            made.push(Entry { header, content });
        }
        made
    }

    fn log(terms: &[u64]) -> Log {
        let mut log = Log::default();
        for entry in entries(Mark::default(), terms) {
            log.push(entry);
        }
        log
    }

    #[test]
    fn equal_chains_are_equal_logs() {
        assert_eq!(log(&[1, 2]).last(), log(&[1, 2]).last());
        assert_ne!(log(&[1, 2]).last().chain, log(&[2, 2]).last().chain);
        let header = *log(&[1]).entry(1).unwrap().header.body();
        let moved = Header { index: 2, ..header };
        assert_eq!(header.chain(), moved.chain(), "a place is its depth");
        assert_ne!(header.digest(), moved.digest(), "but it is signed as well");
    }

    #[test]
    fn compaction_changes_nothing_about_what_is_left() {
        let whole = log(&[1, 2, 2, 3]);
        let mut rest = whole.clone();
        rest.compact(2);
        assert_eq!(rest.last(), whole.last());
        assert_eq!((rest.term(2), rest.term(1)), (Some(2), None));
        assert_eq!(rest.entries(3, 9).len(), 2);
        assert_eq!((whole.first_of_term(3), rest.first_of_term(3)), (2, 3));
    }

    #[test]
    fn what_is_shown_ends_where_something_proves_it() {
        let mut log = log(&[1, 1, 1, 1, 1]);
        let shown = |log: &Log, from, count| {
            let (entries, proof) = log.proven(from, count)?;
            Some((entries.len(), proof.body().index))
        };
        assert_eq!(shown(&log, 1, 9), None);
        for index in [1, 4] {
            let mark = log.mark(index).unwrap();
            let ack = Ack {
                stage: super::super::Stage::Commit,
                term: mark.term,
                index,
                chain: mark.chain,
            };
            log.prove(&Arc::new(Certificate::open(ack)));
        }
        assert_eq!(shown(&log, 1, 2), Some((1, 1)), "two end without a proof");
        assert_eq!(shown(&log, 1, 4), Some((4, 4)));
        assert_eq!(shown(&log, 2, 1), Some((3, 4)), "no proof is nearer");
        assert_eq!(shown(&log, 5, 9), None);
        assert_eq!(shown(&log, 9, 9), None);
        log.compact(2);
        assert_eq!((shown(&log, 2, 9), shown(&log, 3, 9)), (None, Some((2, 4))));
    }

    #[test]
    fn a_snapshot_keeps_the_entries_that_follow_it() {
        let whole = log(&[1, 1, 2]);
        let header = whole.header(2).unwrap();
        let mut same = whole.clone();
        assert!(same.restart(header).1);
        assert_eq!(same.last(), whole.last());
        let mut other = log(&[3, 3, 3]);
        assert!(!other.restart(header).1);
        assert_eq!(other.last(), whole.mark(2).unwrap());
        assert_eq!(other.last_header(), Some(header));
    }

    #[test]
    fn a_branch_is_what_the_log_has_to_hold_again() {
        let locked = log(&[1, 1, 2, 2, 2]);
        let mut log = locked.clone();
        let mut branch = Branch::default();
        assert!(branch.take().is_none());
        // Place 4 is certified. Another leader replaces 4 and 5, a third one 3 as well.
        branch.keep(4, &log.truncate(4), 4);
        for entry in entries(log.last(), &[3, 3, 3]) {
            log.push(entry);
        }
        branch.keep(6, &log.truncate(6), 4);
        branch.keep(3, &log.truncate(3), 4);
        let (from, entries) = branch.take().unwrap();
        assert_eq!((from, entries.len()), (3, 2));
        for entry in entries {
            log.push(entry);
        }
        assert_eq!(log.last(), locked.mark(4).unwrap());
    }
}
