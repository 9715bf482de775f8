//! The places between the watermarks: what a replica has accepted and can prove there, and the
//! votes it is counting.

use std::collections::VecDeque;

use crate::base::crypto::{Certificate, Digest, Signed};
use crate::chain::{Batch, Height};
use crate::protocol::tally::Tally;

use super::message::{Phase, Vote};

/// What a replica must not forget of one place.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// The proposal accepted last. Its view and digest are also those of the replica's own
    /// prepare: it never signs another one for that view.
    pub accepted: Option<Signed<Vote>>,
    /// The best proof that this place is taken: commits once there are enough, before that the
    /// prepares of the latest view in which there were.
    pub proof: Option<Certificate<Vote>>,
    /// The batches accepted here and not yet executed, of whatever view: others may need them.
    batches: Vec<Batch>,
}

impl Record {
    /// Keeps a batch that was accepted here.
    pub fn keep(&mut self, batch: &Batch) {
        if !self.batches.contains(batch) {
            self.batches.push(batch.clone());
        }
    }

    /// The batch of this digest, if it is known.
    pub fn batch(&self, digest: &Digest) -> Option<&Batch> {
        self.batches.iter().find(|batch| batch.digest() == *digest)
    }

    /// Forgets the batches: the ledger has the one that counts.
    pub fn executed(&mut self) {
        self.batches = Vec::new();
    }

    /// The proof that a quorum committed here, if there is one.
    pub fn decided(&self) -> Option<&Certificate<Vote>> {
        let decided = |proof: &&Certificate<Vote>| proof.body().phase == Phase::Commit;
        self.proof.as_ref().filter(decided)
    }

    /// The digest of a batch that should be here and is not known.
    pub fn missing(&self) -> Option<Digest> {
        let proven = self.decided().map(|proof| proof.body().digest);
        let digest = proven.or(self.accepted.as_ref().map(|vote| vote.body().digest))?;
        self.batch(&digest).is_none().then_some(digest)
    }
}

/// How far a place has come in the present view.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Stage {
    /// Prepares are counted.
    #[default]
    Open,
    /// A quorum prepared; our commit was sent.
    Prepared,
    /// A quorum committed.
    Committed,
}

/// The votes of the present view at one place.
#[derive(Clone, Debug, Default)]
pub(super) struct Ballot {
    /// What the prepares have led to.
    pub stage: Stage,
    /// Prepares, the leader's proposal among them.
    pub prepares: Tally<Vote>,
    /// Commits.
    pub commits: Tally<Vote>,
    /// Prepares that came again and are counted, where a test leaves that guard out.
    pub again: usize,
}

/// Something kept for each place above the low watermark. Places come into being as they are
/// asked for, and go when the watermark passes them.
#[derive(Clone, Debug)]
pub(super) struct Places<T> {
    low: Height,
    places: VecDeque<T>,
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self {
            low: 0,
            places: VecDeque::new(),
        }
    }
}

impl<T: Default> Places<T> {
    /// No places above `low`.
    pub fn above(low: Height) -> Self {
        Self {
            low,
            places: VecDeque::new(),
        }
    }

    /// The low watermark.
    pub fn low(&self) -> Height {
        self.low
    }

    /// The highest place there is, or the watermark.
    pub fn top(&self) -> Height {
        self.low + self.places.len() as u64
    }

    #[inline]
    fn index(&self, height: Height) -> Option<usize> {
        usize::try_from(height.checked_sub(self.low)?.checked_sub(1)?).ok()
    }

    /// The place at a height, if it exists.
    #[inline]
    pub fn get(&self, height: Height) -> Option<&T> {
        self.places.get(self.index(height)?)
    }

    /// The place at a height, if it exists.
    #[inline]
    pub fn get_mut(&mut self, height: Height) -> Option<&mut T> {
        let index = self.index(height)?;
        self.places.get_mut(index)
    }

    /// The place at a height, made if it does not exist. The caller has checked the watermarks.
    pub fn at(&mut self, height: Height) -> &mut T {
        let index = self.index(height).expect("a place is above the watermark");
        while self.places.len() <= index {
            self.places.push_back(T::default());
        }
        &mut self.places[index]
    }

    /// All places with their heights, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Height, &T)> {
        let low = self.low;
        let places = self.places.iter().enumerate();
        places.map(move |(index, place)| (low + 1 + index as u64, place))
    }

    /// Raises the low watermark and forgets what is not above it.
    pub fn forget(&mut self, low: Height) {
        assert!(low >= self.low, "the low watermark never falls");
        let passed = usize::try_from(low - self.low).unwrap_or(usize::MAX);
        self.places.drain(..passed.min(self.places.len()));
        self.low = low;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_by_height_until_the_watermark_passes() {
        let mut places: Places<u64> = Places::above(10);
        *places.at(13) = 3;
        assert_eq!((places.get(13), places.get(11)), (Some(&3), Some(&0)));
        assert_eq!((places.get(10), places.get(14)), (None, None));
        assert_eq!((places.low(), places.top()), (10, 13));
        places.forget(12);
        assert_eq!((places.get(12), places.get(13)), (None, Some(&3)));
        assert_eq!(places.iter().collect::<Vec<_>>(), [(13, &3)]);
        places.forget(40);
        assert_eq!((places.low(), places.top()), (40, 40));
    }
}
