//! An append-only Merkle log of digests: a range of perfect binary trees, one for each one in the
//! binary form of the length.
//!
//! Appending adds a leaf and joins trees of one size, so it costs two hashes on average. The root
//! commits to the length and to the peak of every tree.

use std::fmt;

use crate::base::crypto::{Digest, Hasher, Joint};

/// The log with all digests that proofs need.
#[derive(Clone)]
pub struct Log {
    joint: Joint,
    /// By height, the digests of the whole perfect trees of that height, leaves first.
    levels: Vec<Vec<Digest>>,
}

/// A proof that the log with a certain root and length holds a digest at a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogProof {
    /// From the leaf up, the other child of each node on the way to the peak.
    pub(super) way: Vec<Digest>,
    /// The other peaks, the highest first.
    pub(super) peaks: Vec<Digest>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            joint: joint(),
            levels: Vec::new(),
        }
    }
}

impl Log {
    /// How many digests there are.
    pub fn len(&self) -> u64 {
        self.levels.first().map_or(0, Vec::len) as u64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// Appends a digest and tells its place, from 0.
    pub fn append(&mut self, digest: &Digest) -> u64 {
        let place = self.len();
        let mut node = leaf(&self.joint, digest);
        for height in 0.. {
            if height == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let level = &mut self.levels[height];
            level.push(node);
            let [.., left, right] = &level[..] else { break };
            if level.len() % 2 == 1 {
                break;
            }
            node = self.joint.join(height as u32 + 1, left, right);
        }
        place
    }

    /// The root.
    pub fn root(&self) -> Digest {
        let heights = (0..self.levels.len()).rev();
        whole(self.len(), heights.filter_map(|height| self.peak(height)))
    }

    /// Proves what stands at a place; nothing where nothing does.
    pub fn prove(&self, place: u64) -> Option<LogProof> {
        let (height, _) = mountain(self.len(), place)?;
        let at = usize::try_from(place).expect("a place in memory");
        let way = (0..height as usize).map(|level| self.levels[level][at >> level ^ 1]);
        let others = (0..self.levels.len()).rev();
        let others = others.filter(|&other| other != height as usize);
        Some(LogProof {
            way: way.collect(),
            peaks: others.filter_map(|other| self.peak(other)).collect(),
        })
    }

    /// Bytes of memory that digests take, spare room not counted.
    pub fn memory(&self) -> usize {
        let digests: usize = self.levels.iter().map(Vec::len).sum();
        digests * size_of::<Digest>()
    }

    /// The peak of a height, if there is one: the last tree, unless it is part of a higher one.
    fn peak(&self, height: usize) -> Option<Digest> {
        let level = &self.levels[height];
        level.last().copied().filter(|_| level.len() % 2 == 1)
    }
}

impl LogProof {
    /// The root of the log of this length that, by this proof, holds the digest at the place; none
    /// if the proof is not of the shape that length and place require.
    pub fn root(&self, length: u64, place: u64, digest: &Digest) -> Option<Digest> {
        let (height, before) = mountain(length, place)?;
        let peaks = length.count_ones() as usize;
        if self.way.len() != height as usize || self.peaks.len() + 1 != peaks {
            return None;
        }
        let joint = joint();
        let mut node = leaf(&joint, digest);
        for (other, level) in self.way.iter().zip(0..) {
            node = if place >> level & 1 == 0 {
                joint.join(level + 1, &node, other)
            } else {
                joint.join(level + 1, other, &node)
            };
        }
        let (higher, lower) = self.peaks.split_at(before);
        let peaks = higher.iter().chain([&node]).chain(lower);
        Some(whole(length, peaks.copied()))
    }

    /// Bytes on the wire.
    pub fn size(&self) -> usize {
        4 + 32 * (self.way.len() + self.peaks.len())
    }
}

impl fmt::Debug for Log {
    /// The root says everything that the digests do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Log {{ len: {}, root: {} }}", self.len(), self.root())
    }
}

/// How leaves and nodes are hashed; the number is the height.
fn joint() -> Joint {
    Joint::new("log")
}

/// A leaf is no node of two children: it has the number zero, and nothing at its right.
fn leaf(joint: &Joint, digest: &Digest) -> Digest {
    joint.join(0, digest, &Digest::ZERO)
}

fn whole(length: u64, peaks: impl Iterator<Item = Digest>) -> Digest {
    let hasher = Hasher::new("log").number(length);
    peaks
        .fold(hasher, |hasher, peak| hasher.digest(&peak))
        .finish()
}

/// The height of the tree that a place of a log of this length lies in, and how many higher trees
/// there are.
fn mountain(length: u64, place: u64) -> Option<(u32, usize)> {
    if place >= length {
        return None;
    }
    // The highest bit that differs is one in the length: it is the tree in which the place lies.
    let height = (length ^ place).ilog2();
    Some((height, (length >> height >> 1).count_ones() as usize))
}
