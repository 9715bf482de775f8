//! The authenticated digest of a state, kept up to date entry by entry.
//!
//! Every entry of the state (an identity, a record, a grant, an access) and every accepted call
//! has a digest of its name and value; what a call has used up needs none besides. Their sum modulo 2^256 does not depend on the order in which the
//! entries came, and replacing one costs one subtraction and one addition. Who can choose entries
//! freely can find two sets with one sum in less than 2^128 steps (Wagner's generalised birthday),
//! so this protects against error and drift between nodes; proofs of single entries need a tree.

use super::view::Key;
use crate::base::crypto::{Digest, Hasher};

/// What commits to a state: to its live entries, and to the list of all accepted calls.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Root {
    entries: Sum,
    calls: Sum,
}

impl Root {
    /// Gives an entry another content; `was` tells the present one, if there is any.
    pub(super) fn set(&mut self, _: &Key, was: impl FnOnce() -> Option<Digest>, is: &Digest) {
        if let Some(was) = was() {
            self.entries.remove(&was);
        }
        self.entries.add(is);
    }

    /// Appends an accepted call.
    pub(super) fn append(&mut self, call: &Digest) {
        self.calls.add(call);
    }

    /// The digest of the live entries alone: equal for equal entries, however they came about.
    pub(super) fn entries(&self) -> Digest {
        self.entries.digest()
    }

    /// The digest of everything.
    pub(super) fn digest(&self) -> Digest {
        let hasher = Hasher::new("root").digest(&self.entries.digest());
        hasher.digest(&self.calls.digest()).finish()
    }
}

/// A sum of digests modulo 2^256, least significant word first.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Sum([u64; 4]);

impl Sum {
    /// Counts an entry in.
    pub(super) fn add(&mut self, entry: &Digest) {
        let mut carry = false;
        for (word, more) in self.0.iter_mut().zip(words(entry)) {
            let (sum, first) = word.overflowing_add(more);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            *word = sum;
            carry = first | second;
        }
    }

    /// Counts an entry out.
    pub(super) fn remove(&mut self, entry: &Digest) {
        let mut borrow = false;
        for (word, less) in self.0.iter_mut().zip(words(entry)) {
            let (rest, first) = word.overflowing_sub(less);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            *word = rest;
            borrow = first | second;
        }
    }

    /// The digest of the whole set.
    pub(super) fn digest(&self) -> Digest {
        let hasher = Hasher::new("state");
        self.0
            .iter()
            .fold(hasher, |hasher, &word| hasher.number(word))
            .finish()
    }
}

/// The words of a digest.
fn words(digest: &Digest) -> [u64; 4] {
    std::array::from_fn(|word| {
        let bytes = &digest.0[word * 8..word * 8 + 8];
        u64::from_le_bytes(bytes.try_into().expect("a digest has four words"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64) -> Digest {
        Hasher::new("entry").number(number).finish()
    }

    #[test]
    fn the_order_in_which_entries_came_and_went_leaves_no_trace() {
        let mut forward = Sum::default();
        let mut backward = Sum::default();
        for number in 0..100 {
            forward.add(&entry(number));
            backward.add(&entry(99 - number));
            backward.add(&entry(1000 + number));
        }
        assert_ne!(forward, backward);
        for number in 0..100 {
            backward.remove(&entry(1000 + number));
        }
        assert_eq!(forward.digest(), backward.digest());
    }

    #[test]
    fn carries_and_borrows_run_through_all_words() {
        let mut sum = Sum::default();
        sum.add(&Digest([0xff; 32]));
        let mut one = Digest::ZERO;
        one.0[0] = 1;
        sum.add(&one);
        assert_eq!(sum, Sum::default(), "2^256 is zero");
        sum.remove(&one);
        assert_eq!(sum, Sum([u64::MAX; 4]), "and one less is all ones");
    }
}
