//! What an author remembers, within bounds.

use std::collections::BTreeMap;

use crate::base::random::Random;
use crate::contract::access::{GrantId, Purpose};
use crate::contract::message::RecordId;

/// A record that exists, with its parties by number.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownRecord {
    pub(super) rid: RecordId,
    pub(super) doctor: u32,
    pub(super) patient: u32,
    pub(super) nonce: u64,
}

/// Who received a grant, by number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Receiver {
    Doctor(u32),
    Hospital(u32),
}

/// A grant that exists.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownGrant {
    pub(super) gid: GrantId,
    pub(super) rid: RecordId,
    pub(super) patient: u32,
    pub(super) receiver: Receiver,
    pub(super) purpose: Purpose,
}

/// The latest things of one kind.
#[derive(Debug)]
pub(super) struct Memory<T> {
    items: Vec<T>,
    oldest: usize,
    max: usize,
}

impl<T> Memory<T> {
    /// Nothing yet, and never more than `max`.
    pub(super) fn new(max: usize) -> Self {
        Self {
            items: Vec::new(),
            oldest: 0,
            max,
        }
    }

    /// Remembers one more, in the place of an old one if there are too many.
    pub(super) fn add(&mut self, item: T) {
        if self.items.len() < self.max {
            self.items.push(item);
            return;
        }
        self.items[self.oldest] = item;
        self.oldest = (self.oldest + 1) % self.max;
    }

    /// One of them.
    pub(super) fn pick(&self, random: &mut Random) -> Option<&T> {
        let place = self.place(random)?;
        self.items.get(place)
    }

    /// One of them, which is then forgotten.
    pub(super) fn take(&mut self, random: &mut Random) -> Option<T> {
        let place = self.place(random)?;
        Some(self.items.swap_remove(place))
    }

    /// Forgets those of which this is true.
    pub(super) fn forget(&mut self, of: impl Fn(&T) -> bool) {
        self.items.retain(|item| !of(item));
    }

    fn place(&self, random: &mut Random) -> Option<usize> {
        let count = self.items.len() as u64;
        (count > 0).then(|| random.below(count) as usize)
    }
}

/// Calls without an answer that are remembered; answers may be lost for ever.
const UNANSWERED_MAX: usize = 4096;

/// Makes room for one more.
pub(super) fn bound<K: Ord, V>(unanswered: &mut BTreeMap<K, V>) {
    if unanswered.len() >= UNANSWERED_MAX {
        unanswered.pop_first();
    }
}
