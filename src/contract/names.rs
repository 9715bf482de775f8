//! Places by name, for names that are digests or made like them, and the numbers that parties
//! have used.
//!
//! A name that is a digest is as good as drawn by lot, and its beginning leads to it. Whoever
//! makes a record chooses its name freely, so of such names a digest is made first: otherwise
//! somebody could choose many that begin alike.

use std::fmt;

use super::identity::Place;
use crate::base::crypto::{Digest, Joint};

/// Places by name, in an open table.
#[derive(Clone)]
pub(super) struct Names<Name> {
    /// What makes digests of names that are chosen.
    chosen: Option<Joint>,
    /// All names with their places, in the order in which they came.
    all: Vec<(Name, u32)>,
    /// A power of two of slots, of which at least a quarter is free. A name is in the first free
    /// slot from the one that its digest leads to.
    slots: Vec<Slot>,
}

/// A slot of the table.
#[derive(Clone, Copy)]
struct Slot {
    /// The beginning of the name or of its digest, whose first bits lead to the slot.
    digest: u32,
    /// Which of all names it is, counted from one; zero where none is.
    number: u32,
}

const FREE: Slot = Slot {
    digest: 0,
    number: 0,
};

impl<Name> Default for Names<Name> {
    fn default() -> Self {
        Self {
            chosen: None,
            all: Vec::new(),
            slots: vec![FREE; 4],
        }
    }
}

impl<Name: Copy + Eq + AsRef<Digest>> Names<Name> {
    /// For names that are no digests.
    pub(super) fn of_chosen() -> Self {
        Self {
            chosen: Some(Joint::new("names")),
            ..Self::default()
        }
    }

    /// The place of a name.
    pub(super) fn get(&self, name: &Name) -> Option<u32> {
        let digest = self.digest(name);
        let mut slot = self.first(digest);
        loop {
            let Slot { digest: at, number } = self.slots[slot];
            let (known, place) = self.all.get((number as usize).checked_sub(1)?)?;
            if at == digest && known == name {
                return Some(*place);
            }
            slot = self.after(slot);
        }
    }

    /// Gives a place to a name that has none.
    pub(super) fn insert(&mut self, name: Name, place: u32) {
        self.all.push((name, place));
        let number = u32::try_from(self.all.len()).expect("2^32 names are enough");
        if self.all.len() * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let digest = self.digest(&name);
        self.settle(Slot { digest, number });
    }

    /// How many names there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// All names, in the order in which they came.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Name> {
        self.all.iter().map(|(name, _)| name)
    }

    /// The beginning of a name that is a digest, or of its digest.
    #[inline]
    fn digest(&self, name: &Name) -> u32 {
        let name = name.as_ref();
        let prefix = match &self.chosen {
            Some(joint) => joint.join(0, name, &Digest::ZERO).prefix(),
            None => name.prefix(),
        };
        (prefix >> 32) as u32
    }

    /// The slot that a digest leads to.
    fn first(&self, digest: u32) -> usize {
        let bits = self.slots.len().ilog2();
        (u64::from(digest) << bits >> 32) as usize
    }

    fn after(&self, slot: usize) -> usize {
        (slot + 1) % self.slots.len()
    }

    /// Puts a name where it belongs.
    fn settle(&mut self, name: Slot) {
        let mut slot = self.first(name.digest);
        while self.slots[slot].number != 0 {
            slot = self.after(slot);
        }
        self.slots[slot] = name;
    }

    /// Doubles the number of slots.
    fn grow(&mut self) {
        let free = vec![FREE; self.slots.len() * 2];
        let slots = std::mem::replace(&mut self.slots, free);
        for slot in slots.into_iter().filter(|slot| slot.number != 0) {
            self.settle(slot);
        }
    }
}

impl<Name: fmt::Debug> fmt::Debug for Names<Name> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.all.iter().map(|(name, place)| (name, place));
        f.debug_map().entries(all).finish()
    }
}

impl AsRef<Digest> for Digest {
    fn as_ref(&self) -> &Digest {
        self
    }
}

/// The numbers that each party has used, by kind and place of the party.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    /// Of each party in ascending order: most are greater than all before.
    used: [Vec<Vec<u64>>; 5],
    len: usize,
}

impl Numbers {
    /// Whether a party has used a number.
    pub(super) fn contains(&self, place: Place, number: u64) -> bool {
        let (kind, at) = parts(place);
        let used = self.used[kind].get(at);
        used.is_some_and(|used| used.binary_search(&number).is_ok())
    }

    /// Notes that a party has used a number.
    pub(super) fn insert(&mut self, place: Place, number: u64) {
        let (kind, at) = parts(place);
        let parties = &mut self.used[kind];
        if at >= parties.len() {
            parties.resize(at + 1, Vec::new());
        }
        if let Err(place) = parties[at].binary_search(&number) {
            parties[at].insert(place, number);
            self.len += 1;
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

/// A place as two indices.
fn parts(place: Place) -> (usize, usize) {
    match place {
        Place::Authority(at) => (0, at as usize),
        Place::Hospital(at) => (1, at as usize),
        Place::Doctor(at) => (2, at as usize),
        Place::Patient(at) => (3, at as usize),
        Place::Alias(at) => (4, at as usize),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::btree_map::Entry;
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::base::random::{Random, Stream};

    #[test]
    fn every_name_leads_to_its_place() {
        for names in [Names::default(), Names::of_chosen()] {
            every_one_of(names);
        }
    }

    fn every_one_of(mut names: Names<Digest>) {
        let mut random = Random::new(1, Stream::Test);
        let mut model = BTreeMap::new();
        for turn in 0..3000 {
            // Names that look alike are as good as any.
            let mut name = Digest::ZERO;
            name.0[31] = random.below(64) as u8;
            name.0[random.below(2) as usize * 30] = random.below(64) as u8;
            assert_eq!(names.get(&name), model.get(&name).copied());
            if let Entry::Vacant(free) = model.entry(name) {
                names.insert(name, *free.insert(turn));
            }
        }
        assert_eq!(names.len(), model.len());
        assert!(model.len() > 1000);
        assert!(model.iter().all(|(name, at)| names.get(name) == Some(*at)));
    }

    #[test]
    fn a_number_is_used_by_one_party() {
        let mut random = Random::new(2, Stream::Test);
        let (mut numbers, mut model) = (Numbers::default(), BTreeSet::new());
        for _ in 0..2000 {
            let at = random.below(5) as u32;
            let places = [
                Place::Authority(at),
                Place::Hospital(at),
                Place::Doctor(at),
                Place::Patient(at),
                Place::Alias(at),
            ];
            let place = places[random.below(5) as usize];
            let number = random.below(100);
            assert_eq!(
                numbers.contains(place, number),
                model.contains(&(place, number))
            );
            numbers.insert(place, number);
            model.insert((place, number));
            assert_eq!(numbers.len(), model.len());
        }
    }
}
