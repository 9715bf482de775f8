//! A Merkle map from the digest of a key to the digest of its entry.
//!
//! What the root commits to is a binary trie without nodes of one child: a fork names the first
//! bit in which the keys below it differ; those with a zero there lie left, those with a one
//! right. A set of keys has one such trie, so the root tells nothing of the order in which
//! entries came and went. Whoever follows the bits of a key from the root ends at that key or at
//! another one, which then proves that the key is absent.
//!
//! In memory the lower parts of the trie are buckets: the few entries whose keys share their first
//! bits lie side by side and are hashed afresh when one of them changes. Above the buckets the
//! trie is a pyramid of digests, one list a level, in which a node of a single child is that
//! child. A write costs one visit to a bucket; sealing renews what is above the buckets written,
//! so nodes near the root are hashed once for many writes. Keys are digests, so filling a bucket
//! on purpose takes as many tries a key as there are buckets.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::base::crypto::{Digest, Joint};

/// The map with the digests of its nodes. Copies share the entries.
#[derive(Clone)]
pub struct Map {
    joints: Joints,
    len: usize,
    /// By the first bits of the key, the entries in the order of keys.
    buckets: Vec<Arc<[Leaf]>>,
    /// By depth, the digests of all nodes there as they were when last sealed: the root alone
    /// first, those of the buckets last. Where no key is, zero.
    levels: Vec<Vec<Digest>>,
    /// The buckets written since then, some of them twice.
    stale: Vec<u32>,
}

/// What the map holds under one key.
#[derive(Clone, Copy)]
struct Leaf {
    key: Digest,
    entry: Digest,
}

/// Entries a bucket has on average when their number is doubled.
const LOAD: usize = 4;

/// How the nodes of the map are hashed: a leaf joins key and entry, a fork its children under the
/// number of its bit.
#[derive(Clone, Copy)]
struct Joints {
    leaf: Joint,
    fork: Joint,
}

/// A proof that the map with a certain root holds an entry under a key, or holds none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MapProof {
    /// From the root down, the bit of each fork on the way and the digest of its other child.
    pub(super) way: Vec<(u8, Digest)>,
    /// The key and the entry at which the way of an absent key ends.
    pub(super) end: Option<(Digest, Digest)>,
}

impl Default for Map {
    fn default() -> Self {
        Self {
            joints: Joints::new(),
            len: 0,
            buckets: vec![Arc::default()],
            levels: vec![vec![Digest::ZERO]],
            stale: Vec::new(),
        }
    }
}

impl Map {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entry under a key.
    pub fn get(&self, key: &Digest) -> Option<&Digest> {
        let bucket = &self.buckets[self.bucket(key)];
        let at = place(bucket, key).ok()?;
        Some(&bucket[at].entry)
    }

    /// Puts an entry under a key, whether there was one or not.
    pub fn set(&mut self, key: &Digest, entry: &Digest) {
        let number = self.bucket(key);
        let bucket = &mut self.buckets[number];
        match place(bucket, key) {
            Ok(at) if bucket[at].entry == *entry => return,
            Ok(at) => Arc::make_mut(bucket)[at].entry = *entry,
            Err(at) => {
                let leaf = Leaf {
                    key: *key,
                    entry: *entry,
                };
                let (before, after) = bucket.split_at(at);
                *bucket = before.iter().chain([&leaf]).chain(after).copied().collect();
                self.len += 1;
            }
        }
        self.stale.push(number as u32);
        if self.len > LOAD * self.buckets.len() {
            self.grow();
        }
    }

    /// Takes the entry under a key away; false if there is none.
    pub fn remove(&mut self, key: &Digest) -> bool {
        let number = self.bucket(key);
        let bucket = &mut self.buckets[number];
        let Ok(at) = place(bucket, key) else {
            return false;
        };
        let (before, after) = (&bucket[..at], &bucket[at + 1..]);
        *bucket = before.iter().chain(after).copied().collect();
        self.len -= 1;
        self.stale.push(number as u32);
        true
    }

    /// Hashes everything written since the last time.
    pub fn seal(&mut self) {
        let mut stale = std::mem::take(&mut self.stale);
        stale.sort_unstable();
        stale.dedup();
        let lowest = &mut self.levels[self.buckets.len().ilog2() as usize];
        for at in stale.iter().map(|at| *at as usize) {
            lowest[at] = self.joints.trie(&self.buckets[at]);
        }
        for depth in (0..self.depth()).rev() {
            let (above, below) = self.levels.split_at_mut(depth + 1);
            let (parents, children) = (&mut above[depth], &below[0]);
            stale.iter_mut().for_each(|at| *at /= 2);
            stale.dedup();
            for at in stale.iter().map(|at| *at as usize) {
                let pair = [&children[2 * at], &children[2 * at + 1]];
                parents[at] = self.joints.above(depth as u8, pair);
            }
        }
        stale.clear();
        // Its memory is used again.
        self.stale = stale;
    }

    /// The root, zero of an empty map. Quick if nothing was written since the map was sealed.
    pub fn root(&self) -> Digest {
        self.sealed().levels[0][0]
    }

    /// Proves what the map holds under a key, or that it holds nothing.
    pub fn prove(&self, key: &Digest) -> MapProof {
        let sealed = self.sealed();
        let mut way = Vec::new();
        let mut at = 0;
        for (depth, level) in sealed.levels[1..].iter().enumerate() {
            let children = [level[2 * at], level[2 * at + 1]];
            let side = match children {
                [Digest::ZERO, _] => 1,
                [_, Digest::ZERO] => 0,
                [_, _] => {
                    let side = side(key, depth as u8);
                    way.push((depth as u8, children[1 - side]));
                    side
                }
            };
            at = 2 * at + side;
        }
        let mut leaves = &sealed.buckets[at][..];
        while let Some((bit, parts)) = parted(leaves) {
            let side = side(key, bit);
            way.push((bit, self.joints.trie(parts[1 - side])));
            leaves = parts[side];
        }
        let others = leaves.first().filter(|leaf| leaf.key != *key);
        MapProof {
            way,
            end: others.map(|leaf| (leaf.key, leaf.entry)),
        }
    }

    /// The map with all digests as they are now: a copy if something was written since the last
    /// time, which takes long, and happens where a block is not over yet.
    fn sealed(&self) -> Cow<'_, Self> {
        if self.stale.is_empty() {
            return Cow::Borrowed(self);
        }
        let mut copy = self.clone();
        copy.seal();
        Cow::Owned(copy)
    }

    /// Bytes of memory that the map takes, spare room not counted.
    pub fn memory(&self) -> usize {
        let digests: usize = self.levels.iter().map(Vec::len).sum();
        // Before the entries of a bucket stand two counters.
        let bucket = size_of::<Arc<[Leaf]>>() + 2 * size_of::<usize>();
        self.len * size_of::<Leaf>() + self.buckets.len() * bucket + digests * size_of::<Digest>()
    }

    /// How many bits of a key name its bucket.
    fn depth(&self) -> usize {
        self.levels.len() - 1
    }

    /// The bucket of a key.
    #[inline]
    fn bucket(&self, key: &Digest) -> usize {
        (key.prefix() >> 1 >> (63 - self.depth())) as usize
    }

    /// Doubles the number of buckets.
    fn grow(&mut self) {
        let bit = self.depth() as u8;
        let split = |bucket: &Arc<[Leaf]>| {
            let ones = bucket.partition_point(|leaf| side(&leaf.key, bit) == 0);
            [bucket[..ones].into(), bucket[ones..].into()]
        };
        self.buckets = self.buckets.iter().flat_map(split).collect();
        self.levels.push(vec![Digest::ZERO; self.buckets.len()]);
        self.stale = (0..self.buckets.len() as u32).collect();
    }
}

impl Joints {
    fn new() -> Self {
        Self {
            leaf: Joint::new("map leaf"),
            fork: Joint::new("map fork"),
        }
    }

    fn leaf(&self, key: &Digest, entry: &Digest) -> Digest {
        self.leaf.join(0, key, entry)
    }

    fn fork(&self, bit: u8, children: [&Digest; 2]) -> Digest {
        self.fork.join(u32::from(bit), children[0], children[1])
    }

    /// The digest of the part of the trie above two others; a single child has no fork above it.
    #[inline]
    fn above(&self, bit: u8, children: [&Digest; 2]) -> Digest {
        match children {
            [&Digest::ZERO, only] | [only, &Digest::ZERO] => *only,
            [_, _] => self.fork(bit, children),
        }
    }

    /// The digest of the trie of these entries.
    fn trie(&self, leaves: &[Leaf]) -> Digest {
        match (leaves, parted(leaves)) {
            ([], _) => Digest::ZERO,
            ([first, ..], None) => self.leaf(&first.key, &first.entry),
            (_, Some((bit, [zeros, ones]))) => {
                self.fork(bit, [&self.trie(zeros), &self.trie(ones)])
            }
        }
    }
}

impl MapProof {
    /// The root of the map that, by this proof, holds this entry under the key, or nothing; none
    /// if the proof proves no such thing.
    pub fn root(&self, key: &Digest, entry: Option<&Digest>) -> Option<Digest> {
        // The bits of a way grow: anything else is no trie.
        if !self
            .way
            .is_sorted_by(|(above, _), (below, _)| above < below)
        {
            return None;
        }
        let (key_there, entry) = match (entry, &self.end) {
            (Some(entry), None) => (key, entry),
            (None, Some((other, entry))) if other != key => (other, entry),
            (None, None) if self.way.is_empty() => return Some(Digest::ZERO),
            (None, None) | (Some(_) | None, Some(_)) => return None,
        };
        let joints = Joints::new();
        let mut digest = joints.leaf(key_there, entry);
        for (bit, other) in self.way.iter().rev() {
            // Where the bits of the key lead must be where this leaf lies.
            let mut children = [other; 2];
            children[side(key, *bit)] = &digest;
            digest = joints.fork(*bit, children);
        }
        Some(digest)
    }

    /// Bytes on the wire.
    pub fn size(&self) -> usize {
        2 + 33 * self.way.len() + if self.end.is_some() { 64 } else { 0 }
    }
}

impl fmt::Debug for Map {
    /// The root says everything that the entries do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = self.root();
        write!(f, "Map {{ len: {}, root: {root} }}", self.len)
    }
}

/// Where a key is in a bucket, or where it would be.
fn place(bucket: &[Leaf], key: &Digest) -> Result<usize, usize> {
    let prefix = key.prefix();
    bucket.binary_search_by(|leaf| {
        // The first bytes nearly always tell, and comparing them is a single instruction.
        let order = leaf.key.prefix().cmp(&prefix);
        order.then_with(|| leaf.key.cmp(key))
    })
}

/// Entries in the order of keys, parted at the first bit in which they differ; nothing of fewer
/// than two.
fn parted(leaves: &[Leaf]) -> Option<(u8, [&[Leaf]; 2])> {
    let (first, last) = (leaves.first()?, leaves.last()?);
    let bit = first_difference(&first.key, &last.key)?;
    let ones = leaves.partition_point(|leaf| side(&leaf.key, bit) == 0);
    let (zeros, ones) = leaves.split_at(ones);
    Some((bit, [zeros, ones]))
}

/// To which side of a fork at this bit a key lies.
#[inline]
fn side(key: &Digest, bit: u8) -> usize {
    usize::from(key.0[usize::from(bit / 8)] >> (7 - bit % 8) & 1)
}

/// The first bit in which two keys differ.
#[inline]
fn first_difference(a: &Digest, b: &Digest) -> Option<u8> {
    let words = a.0.chunks_exact(8).zip(b.0.chunks_exact(8)).zip(0_u8..);
    let mut differing = words.map(|((a, b), word)| {
        let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
        (number(a) ^ number(b), word)
    });
    let (bits, word) = differing.find(|(bits, _)| *bits != 0)?;
    Some(word * 64 + bits.leading_zeros() as u8)
}
