//! Sets of places of records, such that any few of them intersect fast and one place comes or goes
//! at little cost, however large the set.
//!
//! A set is cut into chunks of 65,536 places. A chunk that holds few of them is an ascending list
//! of its low halves, a chunk that holds many is a bitmap: the layout of Roaring bitmaps (Chambi,
//! Lemire, Kaser and Godin, "Better bitmap performance with Roaring bitmaps", Software: Practice
//! and Experience 46, 2016). The layout depends on the content alone, so equal sets are equal.

/// Places that one chunk covers.
const CHUNK: usize = 1 << 16;
/// Words of a bitmap over a chunk.
const WORDS: usize = CHUNK / 64;
/// Places up to which a chunk is a list: a quarter of those that take the bytes of a bitmap,
/// because bitmaps intersect faster, and most chunks are larger or much smaller than this.
const FEW_MAX: usize = CHUNK / 64;

/// A set of places.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Postings {
    /// In ascending order of their keys; none is empty.
    chunks: Vec<(u16, Chunk)>,
    len: u32,
}

/// The low halves of the places in one chunk of a set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Chunk {
    /// An ascending list of at most [`FEW_MAX`].
    Few(Vec<u16>),
    /// A bitmap of more, and how many.
    Many(Box<Block>, u32),
}

/// One bit for each place of a chunk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Block([u64; WORDS]);

/// The key of the chunk of a place, and the place's low half.
pub(super) const fn split(place: u32) -> (u16, u16) {
    ((place >> 16) as u16, place as u16)
}

/// The place with this low half in the chunk of a key.
pub(super) const fn join(key: u16, low: u16) -> u32 {
    (key as u32) << 16 | low as u32
}

impl Postings {
    /// How many places are in the set.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Adds a place. False if it was there.
    pub(super) fn insert(&mut self, place: u32) -> bool {
        let (key, low) = split(place);
        let at = match self.chunks.last() {
            Some((last, _)) if *last == key => self.chunks.len() - 1,
            Some((last, _)) if *last > key => match self.find(key) {
                Ok(at) => at,
                Err(at) => {
                    self.chunks.insert(at, (key, Chunk::Few(Vec::new())));
                    at
                }
            },
            Some(_) | None => {
                self.chunks.push((key, Chunk::Few(Vec::new())));
                self.chunks.len() - 1
            }
        };
        let inserted = self.chunks[at].1.insert(low);
        self.len += u32::from(inserted);
        inserted
    }

    /// Removes a place. False if it was not there.
    pub(super) fn remove(&mut self, place: u32) -> bool {
        let (key, low) = split(place);
        let Ok(at) = self.find(key) else {
            return false;
        };
        let removed = self.chunks[at].1.remove(low);
        self.len -= u32::from(removed);
        if self.chunks[at].1.len() == 0 {
            self.chunks.remove(at);
        }
        removed
    }

    /// The part of the set in the chunk of a key, if there is any.
    pub(super) fn chunk(&self, key: u16) -> Option<&Chunk> {
        let at = self.find(key).ok()?;
        Some(&self.chunks[at].1)
    }

    /// All places, ascending.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.chunks.iter().flat_map(|(key, chunk)| {
            let mut lows = Vec::with_capacity(chunk.len());
            chunk.list(&mut lows);
            lows.into_iter().map(|low| join(*key, low))
        })
    }

    /// Bytes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        let of = |chunk: &Chunk| match chunk {
            Chunk::Few(list) => 2 * list.capacity(),
            Chunk::Many(..) => size_of::<Block>(),
        };
        let chunks = self.chunks.iter().map(|(_, chunk)| of(chunk));
        size_of::<Self>() + chunks.sum::<usize>() + 40 * self.chunks.capacity()
    }

    fn find(&self, key: u16) -> Result<usize, usize> {
        self.chunks.binary_search_by_key(&key, |(key, _)| *key)
    }
}

impl Chunk {
    /// How many places are in it.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(list) => list.len(),
            Self::Many(_, count) => *count as usize,
        }
    }

    /// Whether a place is in it.
    #[inline]
    pub(super) fn contains(&self, low: u16) -> bool {
        match self {
            Self::Few(list) => list.binary_search(&low).is_ok(),
            Self::Many(block, _) => block.contains(low),
        }
    }

    /// Appends its places, ascending.
    pub(super) fn list(&self, lows: &mut Vec<u16>) {
        match self {
            Self::Few(list) => lows.extend_from_slice(list),
            Self::Many(block, _) => lows.extend(block.iter()),
        }
    }

    fn insert(&mut self, low: u16) -> bool {
        match self {
            Self::Few(list) => {
                // Most places are larger than all before them.
                let at = match list.last() {
                    Some(last) if *last >= low => match list.binary_search(&low) {
                        Ok(_) => return false,
                        Err(at) => at,
                    },
                    Some(_) | None => list.len(),
                };
                list.insert(at, low);
                if list.len() > FEW_MAX {
                    let mut block = Box::new(Block::EMPTY);
                    list.iter().for_each(|&low| block.set(low));
                    *self = Self::Many(block, FEW_MAX as u32 + 1);
                }
                true
            }
            Self::Many(block, count) => {
                let new = !block.contains(low);
                block.set(low);
                *count += u32::from(new);
                new
            }
        }
    }

    fn remove(&mut self, low: u16) -> bool {
        match self {
            Self::Few(list) => {
                let found = list.binary_search(&low);
                found.map(|at| list.remove(at)).is_ok()
            }
            Self::Many(block, count) => {
                if !block.contains(low) {
                    return false;
                }
                block.clear(low);
                *count -= 1;
                if *count as usize <= FEW_MAX {
                    *self = Self::Few(block.iter().collect());
                }
                true
            }
        }
    }
}

impl Block {
    /// No place.
    pub(super) const EMPTY: Self = Self([0; WORDS]);

    /// Whether a place is in it.
    #[inline]
    pub(super) fn contains(&self, low: u16) -> bool {
        self.0[usize::from(low >> 6)] >> (low & 63) & 1 == 1
    }

    #[inline]
    fn set(&mut self, low: u16) {
        self.0[usize::from(low >> 6)] |= 1 << (low & 63);
    }

    fn clear(&mut self, low: u16) {
        self.0[usize::from(low >> 6)] &= !(1 << (low & 63));
    }

    /// Adds the places of a chunk.
    pub(super) fn add(&mut self, chunk: &Chunk) {
        match chunk {
            Chunk::Few(list) => list.iter().for_each(|low| self.set(*low)),
            Chunk::Many(block, _) => {
                for (word, more) in self.0.iter_mut().zip(&block.0) {
                    *word |= more;
                }
            }
        }
    }

    /// Keeps only the places of another block.
    pub(super) fn keep(&mut self, other: &Self) {
        for (word, kept) in self.0.iter_mut().zip(&other.0) {
            *word &= kept;
        }
    }

    /// Keeps only the places that are in one of two other blocks.
    pub(super) fn keep_either(&mut self, one: &Self, other: &Self) {
        let others = one.0.iter().zip(&other.0);
        for (word, (one, other)) in self.0.iter_mut().zip(others) {
            *word &= one | other;
        }
    }

    /// Its places, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u16> {
        self.0.iter().zip(0..).flat_map(|(&word, at)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as u16)?;
                rest &= rest - 1;
                Some(at << 6 | bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::base::random::{Random, Stream};

    #[test]
    fn a_set_is_what_a_plain_set_would_be() {
        let mut random = Random::new(1, Stream::Test);
        // Bounds around which chunks are lists, bitmaps and both by turns.
        for bound in [300, 9_000, 70_000, 200_000] {
            let mut postings = Postings::default();
            let mut plain = BTreeSet::new();
            for turn in 0..40_000_u64 {
                let place = random.below(bound) as u32;
                // Grows for half of the turns and shrinks for the rest.
                if random.below(4) < 1 + 2 * u64::from(turn < 20_000) {
                    assert_eq!(postings.insert(place), plain.insert(place));
                } else {
                    assert_eq!(postings.remove(place), plain.remove(&place));
                }
                assert_eq!(postings.len() as usize, plain.len());
            }
            assert!(postings.iter().eq(plain.iter().copied()));
            let mut ascending = Postings::default();
            plain.iter().for_each(|&place| {
                ascending.insert(place);
            });
            assert_eq!(postings, ascending, "the way here leaves no trace");
            for place in plain {
                assert!(postings.remove(place));
            }
            assert_eq!(postings, Postings::default());
        }
    }

    #[test]
    fn blocks_intersect_lists_and_bitmaps_alike() {
        let mut random = Random::new(2, Stream::Test);
        let mut draw = |count: u32| -> (Chunk, BTreeSet<u16>) {
            let mut postings = Postings::default();
            let lows: BTreeSet<u16> = (0..count).map(|_| random.below(1 << 16) as u16).collect();
            lows.iter().for_each(|&low| {
                postings.insert(join(3, low));
            });
            (postings.chunks.remove(0).1, lows)
        };
        let block = |chunk: &Chunk| {
            let mut block = Block::EMPTY;
            block.add(chunk);
            block
        };
        for (one, other) in [(50, 90), (20_000, 900), (900, 20_000), (30_000, 20_000)] {
            let ((one, first), (other, second)) = (draw(one), draw(other));
            let mut both = block(&one);
            both.keep(&block(&other));
            assert!(both.iter().eq(first.intersection(&second).copied()));
            both.add(&one);
            both.add(&other);
            assert!(both.iter().eq(first.union(&second).copied()));
        }
    }
}
