//! What a caller may still ask, given what was answered before.
//!
//! Two answers that differ in one patient tell about that patient what neither tells by itself.
//! Where the rules say so, the state keeps of every caller the result sets of the last answers,
//! and a query whose result set differs from one of them in too few patients is refused as one
//! with too few results: the difference has too few. Two sets differ in
//!
//! * the patients who have records in one and none in the other, and
//! * the patients who have other records in one than in the other,
//!
//! of whom the first are some of the second; if either are fewer than the floor, but not none, the
//! query is refused. The sets are kept exactly, so nothing passes by mistake. What this does not
//! stop: refusals change nothing, so they cost no budget and are not remembered, and each tells
//! its asker one bit; two callers can put their answers together; and what an answer beyond the
//! last hundred told is forgotten here, but not by the caller.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::sync::Arc;

use super::answer::Matches;
use super::index::Index;
use crate::base::crypto::{Digest, Hasher};
use crate::contract::rules::WINDOW;

/// Result sets of a caller that are kept.
pub const SEEN_MAX: usize = 100;

/// The records that an answer was drawn from, and whose they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// The records patient by patient: how much further the patient is than the one before, how
    /// many records follow, and of each how much further it is than the one before.
    bytes: Arc<[u8]>,
    digest: Digest,
}

/// What the state keeps of the searches of one caller.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Usage {
    /// The heights of the answers that still count, ascending, and how many there were at each.
    answered: VecDeque<(u64, u32)>,
    /// The last result sets, the latest at the end.
    seen: VecDeque<Seen>,
}

impl Seen {
    /// What an answer from these records shows.
    pub(super) fn of(index: &Index, matches: &Matches) -> Self {
        let places = matches.places().iter();
        let mut pairs: Vec<(u32, u32)> =
            places.map(|&place| (index.patient(place), place)).collect();
        pairs.sort_unstable();
        Self::encode(&pairs)
    }

    /// The set of these pairs of patient and place, ascending.
    fn encode(pairs: &[(u32, u32)]) -> Self {
        let mut bytes = Vec::with_capacity(4 * pairs.len());
        let mut last = 0;
        for records in pairs.chunk_by(|(one, _), (other, _)| one == other) {
            let patient = records[0].0;
            put(&mut bytes, patient - last);
            put(&mut bytes, records.len() as u32);
            last = patient;
            let mut place = 0;
            for (_, next) in records {
                put(&mut bytes, next - place);
                place = *next;
            }
        }
        Self {
            digest: Hasher::new("result set").part(&bytes).finish(),
            bytes: bytes.into(),
        }
    }

    /// The patients, ascending, each with the bytes that tell the records.
    fn patients(&self) -> Peekable<impl Iterator<Item = (u32, &[u8])>> {
        let (mut rest, mut patient) = (&self.bytes[..], 0);
        let next = move || {
            patient += take(&mut rest)?;
            let records = rest;
            let count = take(&mut rest)?;
            for _ in 0..count {
                take(&mut rest)?;
            }
            Some((patient, &records[..records.len() - rest.len()]))
        };
        std::iter::from_fn(next).peekable()
    }

    /// Whether this set and another differ, but in fewer than `floor` patients.
    fn nearly(&self, other: &Self, floor: usize) -> bool {
        if self.digest == other.digest {
            return false;
        }
        let (mut ours, mut theirs) = (self.patients(), other.patients());
        // Patients in one set only, and those in both with other records.
        let (mut apart, mut changed) = (0, 0);
        while apart < floor {
            match (ours.peek(), theirs.peek()) {
                (None, None) => break,
                (Some((one, records)), Some((another, others))) if one == another => {
                    changed += usize::from(records != others);
                    ours.next();
                    theirs.next();
                }
                (Some((one, _)), Some((another, _))) if one > another => {
                    apart += 1;
                    theirs.next();
                }
                (Some(_), _) => {
                    apart += 1;
                    ours.next();
                }
                (None, Some(_)) => {
                    apart += 1;
                    theirs.next();
                }
            }
        }
        let few = |patients: usize| (1..floor).contains(&patients);
        few(apart) || few(apart + changed)
    }
}

impl Usage {
    /// Whether the caller may not be answered with this set of records: it differs from one of the
    /// last answers, but in fewer patients than the floor of the query.
    pub(in crate::contract) fn is_near(&self, seen: &Seen, matches: &Matches) -> bool {
        let floor = matches.floor();
        self.seen.iter().any(|past| past.nearly(seen, floor))
    }

    /// Whether the caller was answered `budget` times within the last [`WINDOW`] blocks, the one
    /// of this height included.
    pub(in crate::contract) fn is_spent(&self, height: u64, budget: u32) -> bool {
        let counting = self.answered.iter().filter(|(at, _)| counts(*at, height));
        let answers: u64 = counting.map(|(_, answers)| u64::from(*answers)).sum();
        answers >= u64::from(budget)
    }

    /// Notes an answer, and the result set if differences are guarded.
    pub(in crate::contract) fn note(&mut self, height: u64, seen: Option<&Seen>) {
        while self
            .answered
            .front()
            .is_some_and(|(at, _)| !counts(*at, height))
        {
            self.answered.pop_front();
        }
        match self.answered.back_mut() {
            Some((at, answers)) if *at == height => *answers += 1,
            Some(_) | None => self.answered.push_back((height, 1)),
        }
        let Some(seen) = seen else { return };
        // What is seen again is not kept twice.
        self.seen.retain(|past| past != seen);
        self.seen.push_back(seen.clone());
        if self.seen.len() > SEEN_MAX {
            self.seen.pop_front();
        }
    }

    /// The digest under which this is part of the state.
    pub(in crate::contract) fn entry(&self) -> Digest {
        let hasher = Hasher::new("usage entry").number(self.answered.len() as u64);
        let hasher = self.answered.iter().fold(hasher, |hasher, (at, answers)| {
            hasher.number(*at).number(u64::from(*answers))
        });
        let seen = self.seen.iter();
        seen.fold(hasher, |hasher, seen| hasher.digest(&seen.digest))
            .finish()
    }

    /// Bytes that this takes in a snapshot.
    pub(in crate::contract) fn bytes(&self) -> u64 {
        let seen = self.seen.iter().map(|seen| seen.bytes.len() as u64);
        seen.sum::<u64>() + 12 * self.answered.len() as u64
    }
}

impl Seen {
    /// The digest of the set.
    pub(in crate::contract) fn digest(&self) -> Digest {
        self.digest
    }
}

/// Whether an answer at one height counts at another.
fn counts(at: u64, height: u64) -> bool {
    at + WINDOW > height
}

/// Appends a number, seven bits to a byte, the lowest first; all bytes but the last have their
/// highest bit set.
fn put(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes a number off the front, if there is one.
fn take(bytes: &mut &[u8]) -> Option<u32> {
    let length = bytes.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let (number, rest) = bytes.split_at(length);
    *bytes = rest;
    let number = number.iter().rev();
    Some(number.fold(0, |sum, byte| sum << 7 | u32::from(byte & 0x7f)))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::base::random::{Random, Stream};

    type Pairs = BTreeSet<(u32, u32)>;

    fn seen(pairs: &Pairs) -> Seen {
        Seen::encode(&pairs.iter().copied().collect::<Vec<_>>())
    }

    /// Both readings of the difference, from the definition.
    fn is_near(one: &Pairs, other: &Pairs, floor: usize) -> bool {
        let patients = |pairs: &Pairs| -> BTreeSet<u32> { pairs.iter().map(|p| p.0).collect() };
        let apart = patients(one).symmetric_difference(&patients(other)).count();
        let differing: Pairs = one.symmetric_difference(other).copied().collect();
        let few = |count: usize| count > 0 && count < floor;
        few(apart) || few(patients(&differing).len())
    }

    #[test]
    fn sets_are_near_exactly_if_few_patients_make_the_difference() {
        let mut random = Random::new(4, Stream::Test);
        let mut told = BTreeMap::new();
        for _ in 0..20_000 {
            let spread = 1 << random.below(20);
            let mut pair = || {
                (
                    random.below(1 + spread / 3) as u32,
                    random.below(spread) as u32,
                )
            };
            let one: Pairs = (0..1 + spread % 30).map(|_| pair()).collect();
            let mut other = one.clone();
            for _ in 0..random.below(9) {
                let change = (random.below(40) as u32, random.below(60) as u32);
                if !other.remove(&change) {
                    other.insert(change);
                }
            }
            if random.below(3) == 0 {
                other.pop_first();
            }
            for floor in [1, 3, 5, 11] {
                let expected = is_near(&one, &other, floor);
                assert_eq!(seen(&one).nearly(&seen(&other), floor), expected);
                assert_eq!(seen(&other).nearly(&seen(&one), floor), expected);
                *told.entry((floor, expected)).or_insert(0) += 1;
            }
        }
        assert_eq!(
            told.len(),
            7,
            "with a floor of one nothing is near: {told:?}"
        );
        assert!(told.values().all(|&count| count > 500), "{told:?}");
    }

    #[test]
    fn another_record_of_the_same_patients_is_a_difference() {
        let base: Pairs = (0..20).map(|patient| (patient, 10 * patient)).collect();
        let mut more = base.clone();
        more.insert((7, 3));
        assert!(seen(&base).nearly(&seen(&more), 5));
        assert!(!seen(&base).nearly(&seen(&base), 5));
    }

    #[test]
    fn a_budget_is_for_any_window_of_blocks() {
        let mut usage = Usage::default();
        let some = seen(&Pairs::from([(1, 1)]));
        for (height, spent) in [(10, false), (10, false), (700, false), (1_009, true)] {
            assert_eq!(usage.is_spent(height, 3), spent, "{height}");
            if !spent {
                usage.note(height, Some(&some));
            }
        }
        assert!(!usage.is_spent(1_010, 3), "what was asked at 10 has lapsed");
        assert!(
            usage.is_spent(10, 0),
            "without a budget nothing is answered"
        );
        assert_eq!(usage.seen.len(), 1, "all answers were the same");
    }

    #[test]
    fn the_last_hundred_are_kept_and_everything_kept_is_in_the_digest() {
        let mut usage = Usage::default();
        let mut entries = BTreeSet::new();
        let set = |number: u32| seen(&(0..9).map(|p| (p, number * 9 + p)).collect());
        for number in 0..150 {
            assert!(entries.insert(usage.entry()));
            usage.note(5, Some(&set(number)));
        }
        assert_eq!(usage.seen.len(), SEEN_MAX);
        let remembers = |number| usage.seen.contains(&set(number));
        assert!(remembers(50) && remembers(149) && !remembers(49));
        let mut moved = usage.clone();
        moved.note(5, Some(&set(60)));
        assert_eq!(moved.seen.len(), SEEN_MAX);
        assert!(entries.insert(moved.entry()));
        assert!(moved.bytes() < 100 * 40, "{}", moved.bytes());
    }
}
