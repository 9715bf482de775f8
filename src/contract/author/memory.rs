//! What an author remembers, within bounds.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::super::popularity::Popularity;
use crate::base::crypto::Digest;
use crate::base::random::Random;
use crate::contract::access::{GrantId, Purpose};
use crate::contract::call::Order;
use crate::contract::message::{Draft, RecordId};
use crate::contract::search::Handle;
use crate::contract::share::ShareId;

/// A patient by number, under the genesis's name or that of a later enrolment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Owner {
    pub(super) patient: u32,
    pub(super) pseudonym: Option<u64>,
}

impl Owner {
    /// The patient as registered at genesis.
    pub(super) fn plain(patient: u32) -> Self {
        Self {
            patient,
            pseudonym: None,
        }
    }
}

/// A record that exists, with its parties by number.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownRecord {
    pub(super) rid: RecordId,
    pub(super) doctor: u32,
    pub(super) owner: Owner,
    pub(super) nonce: u64,
    pub(super) document: Digest,
}

/// Who received a grant, by number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Receiver {
    Doctor(u32),
    Hospital(u32),
}

/// A grant that exists, and a record that it covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownGrant {
    pub(super) gid: GrantId,
    pub(super) rid: RecordId,
    pub(super) owner: Owner,
    pub(super) receiver: Receiver,
    pub(super) purpose: Purpose,
    /// The last block at which it counts.
    pub(super) until: u64,
    /// Whether it may be passed on.
    pub(super) delegable: bool,
    /// The one it was passed on from.
    pub(super) parent: Option<GrantId>,
}

/// An alias of a hospital, by number, and a number by which its keys are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct KnownAlias {
    pub(super) hospital: u32,
    pub(super) number: u64,
}

/// Who asks for a record: a hospital through a doctor of its own, or one under an alias.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    Hospital(u32),
    Alias(KnownAlias),
}

/// A sharing under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownShare {
    pub(super) sid: ShareId,
    pub(super) record: KnownRecord,
    pub(super) to: Asker,
    /// Whether the patient agrees before the holder does.
    pub(super) patient_first: bool,
    /// Steps done: asked for, agreed, agreed, delivered, confirmed.
    pub(super) done: u8,
}

/// A case that somebody found.
#[derive(Clone, Debug)]
pub(super) struct KnownCase {
    pub(super) search: Arc<Order>,
    pub(super) handle: Handle,
}

/// Whom a newcomer has named as custodian, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Custodian {
    None,
    Listed(u32),
    Enabled(u32),
    Disabled(u32),
}

/// A newcomer with an account.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownMember {
    pub(super) owner: Owner,
    pub(super) frozen: bool,
    pub(super) custodian: Custodian,
}

/// What will be true once a call is accepted.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// A pseudonym exists, for a record that is entered at once or proposed.
    Enrol {
        owner: Owner,
        propose: bool,
    },
    Member(KnownMember),
    Enter(KnownRecord),
    Propose(Arc<Draft>, KnownRecord),
    Amend {
        old: KnownRecord,
        new: KnownRecord,
    },
    Hide(KnownRecord),
    Unhide(KnownRecord),
    Dispute(KnownRecord),
    Resolve(KnownRecord),
    Grant(KnownGrant),
    Revoke(KnownGrant),
    Access(KnownGrant),
    Share(KnownShare),
    /// A hospital has an alias.
    Alias(KnownAlias),
    /// An alias is at its end.
    EndAlias(KnownAlias),
    /// Somebody has asked this, and hears the answer.
    Search(Arc<Order>),
}

/// Things that belong to patients, so many of each patient and in all. Those of patients who are
/// often treated are touched often.
#[derive(Debug)]
pub(super) struct ByPatient<T> {
    /// Of each patient the latest come last.
    items: BTreeMap<u32, VecDeque<T>>,
    len: usize,
    max: usize,
    max_each: usize,
    /// Where the next thing is forgotten when there are too many.
    cursor: u32,
}

impl<T> ByPatient<T> {
    /// Nothing yet.
    pub(super) fn new(max: usize, max_each: usize) -> Self {
        Self {
            items: BTreeMap::new(),
            len: 0,
            max,
            max_each,
            cursor: 0,
        }
    }

    /// Remembers one more, in the place of an old one if there are too many.
    pub(super) fn add(&mut self, patient: u32, item: T) {
        let list = self.items.entry(patient).or_default();
        list.push_back(item);
        self.len += 1;
        if list.len() > self.max_each {
            self.drop_oldest(patient);
        } else if self.len > self.max {
            let after = self.near(self.cursor).expect("there are some");
            self.cursor = after + 1;
            self.drop_oldest(after);
        }
    }

    fn drop_oldest(&mut self, patient: u32) {
        self.remove(patient, 0);
    }

    fn remove(&mut self, patient: u32, place: usize) -> Option<T> {
        let list = self.items.get_mut(&patient)?;
        let item = list.remove(place)?;
        self.len -= 1;
        if list.is_empty() {
            self.items.remove(&patient);
        }
        Some(item)
    }

    /// The first patient from this one on who has something.
    fn near(&self, patient: u32) -> Option<u32> {
        let mut after = self.items.range(patient..);
        let found = after.next().or_else(|| self.items.iter().next());
        found.map(|(patient, _)| *patient)
    }

    fn place(&self, popularity: &Popularity, random: &mut Random) -> Option<(u32, usize)> {
        let patient = self.near(popularity.draw(random))?;
        let count = self.items[&patient].len() as u64;
        Some((patient, random.below(count) as usize))
    }

    /// Everything of a patient, the latest last.
    pub(super) fn of(&self, patient: u32) -> impl Iterator<Item = &T> {
        self.items.get(&patient).into_iter().flatten()
    }

    /// One thing of a patient, drawn by popularity from those who have something.
    pub(super) fn pick(&self, popularity: &Popularity, random: &mut Random) -> Option<&T> {
        let (patient, place) = self.place(popularity, random)?;
        self.items[&patient].get(place)
    }

    /// One of them, which is then forgotten.
    pub(super) fn take(&mut self, popularity: &Popularity, random: &mut Random) -> Option<T> {
        let (patient, place) = self.place(popularity, random)?;
        self.remove(patient, place)
    }

    /// Forgets those of a patient of which this is true.
    pub(super) fn forget(&mut self, patient: u32, of: impl Fn(&T) -> bool) {
        let Some(list) = self.items.get_mut(&patient) else {
            return;
        };
        let before = list.len();
        list.retain(|item| !of(item));
        self.len -= before - list.len();
        if list.is_empty() {
            self.items.remove(&patient);
        }
    }
}

/// The latest things of one kind.
#[derive(Debug)]
pub(super) struct Latest<T> {
    items: VecDeque<T>,
    max: usize,
}

impl<T> Latest<T> {
    /// Nothing yet, and never more than `max`.
    pub(super) fn new(max: usize) -> Self {
        Self {
            items: VecDeque::new(),
            max,
        }
    }

    /// Remembers one more and forgets the oldest if there are too many.
    pub(super) fn add(&mut self, item: T) {
        if self.items.len() == self.max {
            self.items.pop_front();
        }
        self.items.push_back(item);
    }

    /// The oldest, which is then forgotten.
    pub(super) fn next(&mut self) -> Option<T> {
        self.items.pop_front()
    }

    /// One of them.
    pub(super) fn pick(&self, random: &mut Random) -> Option<&T> {
        let count = self.items.len() as u64;
        let place = (count > 0).then(|| random.below(count) as usize);
        self.items.get(place?)
    }
}

/// Calls without an answer that are remembered; answers may be lost for ever.
const UNANSWERED_MAX: usize = 1 << 16;

/// What calls without an answer will have done, by the digest of the call.
#[derive(Debug, Default)]
pub(super) struct Unanswered(BTreeMap<Digest, Deed>);

impl Unanswered {
    /// A call is on its way.
    pub(super) fn add(&mut self, call: Digest, deed: Deed) {
        if self.0.len() >= UNANSWERED_MAX {
            self.0.pop_first();
        }
        self.0.insert(call, deed);
    }

    /// A call is answered.
    pub(super) fn remove(&mut self, call: &Digest) -> Option<Deed> {
        self.0.remove(call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Stream;

    #[test]
    fn what_belongs_to_busy_patients_is_touched_most() {
        let popularity = Popularity::new(100, 1_000);
        let mut random = Random::new(1, Stream::Test);
        let mut known = ByPatient::new(1_000, 3);
        for patient in 0..100 {
            (0..5).for_each(|thing| known.add(patient, (patient, thing)));
        }
        assert_eq!(known.len, 300, "three of each");
        let mut first = 0;
        for _ in 0..10_000 {
            let (patient, thing) = *known.pick(&popularity, &mut random).unwrap();
            assert!((2..5).contains(&thing), "the latest");
            first += u32::from(patient == 0);
        }
        // 1 / (sum of 1/k for k up to 100) is 0.193.
        assert!((1_750..2_100).contains(&first), "{first}");
    }

    #[test]
    fn memories_keep_their_bounds_whatever_is_taken_and_forgotten() {
        let popularity = Popularity::new(50, 500);
        let mut random = Random::new(2, Stream::Test);
        let mut known = ByPatient::new(20, 2);
        for step in 0..5_000_u32 {
            let patient = random.below(50) as u32;
            match random.below(4) {
                0 => drop(known.take(&popularity, &mut random)),
                1 => known.forget(patient, |thing| thing % 3 == 0),
                _ => known.add(patient, step),
            }
            let lists = known.items.values();
            assert!(lists.clone().all(|list| (1..=2).contains(&list.len())));
            assert_eq!(known.len, lists.map(VecDeque::len).sum::<usize>());
            assert!(known.len <= 20);
        }
    }

    #[test]
    fn the_oldest_give_way_and_come_first() {
        let mut latest = Latest::new(3);
        (0..5).for_each(|item| latest.add(item));
        assert_eq!([latest.next(), latest.next()], [Some(2), Some(3)]);
        let mut random = Random::new(1, Stream::Test);
        assert_eq!(latest.pick(&mut random), Some(&4));
        latest.next();
        assert_eq!(latest.pick(&mut random), None);
    }
}
