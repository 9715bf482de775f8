//! What is known of the places of a log.

use std::collections::VecDeque;

/// Things by place, most of which follow on one another: the last ones come and the first ones go
/// with every decision, which a ring does without moving the rest.
#[derive(Clone, Debug)]
pub struct Places<T>(VecDeque<(u64, T)>);

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Places<T> {
    /// What is known of a place.
    pub fn get(&self, place: u64) -> Option<&T> {
        let at = self.find(place).ok()?;
        Some(&self.0[at].1)
    }

    /// What is known of a place, which is made if nothing is.
    pub fn get_or_insert_with(&mut self, place: u64, make: impl FnOnce() -> T) -> &mut T {
        let at = self.find(place).unwrap_or_else(|at| {
            self.0.insert(at, (place, make()));
            at
        });
        &mut self.0[at].1
    }

    /// What is known from a place on, in the order of places.
    pub fn from(&self, place: u64) -> impl DoubleEndedIterator<Item = (u64, &T)> {
        let (Ok(at) | Err(at)) = self.find(place);
        self.0.range(at..).map(|(place, known)| (*place, known))
    }

    /// Forgets what is known of the places before one.
    pub fn forget_before(&mut self, place: u64) {
        while self.0.front().is_some_and(|(first, _)| *first < place) {
            self.0.pop_front();
        }
    }

    /// Where a place stands, or where it would.
    fn find(&self, place: u64) -> Result<usize, usize> {
        let first = self.0.front().map_or(0, |(first, _)| *first);
        // Where none is left out between, the distance tells.
        let at = place.wrapping_sub(first) as usize;
        if self.0.get(at).is_some_and(|(there, _)| *there == place) {
            return Ok(at);
        }
        if self.0.back().is_none_or(|(last, _)| *last < place) {
            return Err(self.0.len());
        }
        self.0.binary_search_by_key(&place, |(there, _)| *there)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::base::random::{Random, Stream};

    /// Places that come in order, leave gaps, come late and go are found as in a plain map.
    #[test]
    fn places_are_what_a_plain_map_would_be() {
        let mut random = Random::new(1, Stream::Test);
        for gaps in [1, 2, 40] {
            let mut places = Places::default();
            let mut plain = BTreeMap::new();
            for turn in 0..4_000_u64 {
                let place = turn / 2 * gaps + random.below(2 * gaps);
                let known = *places.get_or_insert_with(place, || turn);
                assert_eq!(known, *plain.entry(place).or_insert(turn));
                let before = (turn / 2 * gaps).saturating_sub(random.below(90));
                places.forget_before(before);
                plain = plain.split_off(&before);
                let looked = turn / 2 * gaps + random.below(3 * gaps);
                assert_eq!(places.get(looked), plain.get(&looked));
                let from = plain.range(looked..).map(|(place, known)| (*place, known));
                assert!(places.from(looked).rev().eq(from.rev()));
            }
            assert!(!plain.is_empty());
        }
    }
}
