//! Chance: named ChaCha streams of one seed, and keyed draws that do not depend on who asks first.
//!
//! What a node draws in its own order (workload, election timers, adversaries) comes from a
//! [`Random`], one stream per purpose and node. What must not depend on order (the delay or loss
//! of a message) comes from a [`Keyed`] function of (source, the source's count, destination),
//! whose key is the first words of a stream. Neither ever touches a floating-point number.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest as _, Sha256};

use super::node::NodeId;
use super::time::Span;
use super::units::Ratio;

/// A purpose that chance serves. A new draw for one purpose never shifts those of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// Link delays: the key of the keyed draws.
    Latency,
    /// The fault listed at this place in the scenario: the key of its keyed draws.
    Fault(u16),
    /// What a replica draws for itself, such as election time-outs.
    Replica(NodeId),
    /// What a client host draws: arrivals, patients, calls.
    Workload(NodeId),
    /// What the second of two replicas draws that are one node.
    Twin(NodeId),
    /// When a node stops in the middle of what it does.
    Crash(NodeId),
    /// What happens between people outside the chain, of those whom a client host serves.
    Contact(NodeId),
    /// What the adversary in a node draws.
    Adversary(NodeId),
    /// Where randomly placed things are put, once, before the run.
    Placement,
    /// Cases of a randomised test.
    Test,
}

impl Stream {
    /// A number of its own for each purpose and index.
    fn label(self) -> u64 {
        let (purpose, index) = match self {
            Self::Latency => (1, 0),
            Self::Fault(index) => (2, index),
            Self::Replica(node) => (3, node.0),
            Self::Workload(node) => (4, node.0),
            Self::Adversary(node) => (5, node.0),
            Self::Placement => (6, 0),
            Self::Test => (7, 0),
            Self::Contact(node) => (8, node.0),
            Self::Crash(node) => (9, node.0),
            Self::Twin(node) => (10, node.0),
        };
        purpose << 32 | u64::from(index)
    }
}

/// One stream of one seed. Never cloned: a copied stream would repeat itself unseen. Only tests do,
/// that go on from one state in several ways.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Random(ChaCha12Rng);

impl Random {
    /// The stream for one purpose of the run with this seed.
    pub fn new(seed: u64, stream: Stream) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"consilium stream");
        hasher.update(seed.to_le_bytes());
        hasher.update(stream.label().to_le_bytes());
        Self(ChaCha12Rng::from_seed(hasher.finalize().into()))
    }

    /// Sixty-four fair bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A fair number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below zero");
        // Lemire's multiplication, with the rejection that makes it exactly fair.
        let mut product = u128::from(self.bits()) * u128::from(bound);
        let threshold = bound.wrapping_neg() % bound;
        while (product as u64) < threshold {
            product = u128::from(self.bits()) * u128::from(bound);
        }
        (product >> 64) as u64
    }

    /// A span from `low` up to but not including `high`, in whole nanoseconds; `low` if they meet.
    pub fn between(&mut self, low: Span, high: Span) -> Span {
        let width = high.nanos().saturating_sub(low.nanos());
        if width == 0 {
            return low;
        }
        low + Span::from_nanos(self.below(width))
    }

    /// True in this share of cases.
    pub fn chance(&mut self, ratio: Ratio) -> bool {
        happens(self.bits(), ratio)
    }
}

/// Whether an event of this probability happens when the draw is `bits`.
pub fn happens(bits: u64, ratio: Ratio) -> bool {
    let scaled = (u128::from(bits) * u128::from(Ratio::ONE.parts_per_billion())) >> 64;
    scaled < u128::from(ratio.parts_per_billion())
}

/// A keyed function from (source, the source's count, destination) to sixty-four fair bits.
#[derive(Clone, Copy, Debug)]
pub struct Keyed {
    key: [u64; 4],
}

impl Keyed {
    /// The function for one purpose of the run with this seed.
    pub fn new(seed: u64, stream: Stream) -> Self {
        let mut random = Random::new(seed, stream);
        Self {
            key: std::array::from_fn(|_| random.bits() | 1),
        }
    }

    /// The part of the draw that all destinations of one message share.
    #[inline]
    pub fn message(&self, source: NodeId, count: u64) -> u64 {
        fold(
            count ^ self.key[0],
            self.key[1] ^ (u64::from(source.0) << 24),
        )
    }

    /// The draw for one copy of that message; `hop` tells several draws for one copy apart.
    #[inline]
    pub fn draw(&self, message: u64, destination: NodeId, hop: u32) -> u64 {
        let place = u64::from(destination.0) | u64::from(hop) << 32;
        let mixed = fold(
            message ^ self.key[2],
            place.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        );
        fold(
            mixed ^ self.key[3],
            message.rotate_left(32) ^ place ^ 0xd6e8_feb8_6659_fd93,
        )
    }
}

/// Multiplies to 128 bits and folds the halves together.
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    (product as u64) ^ (product >> 64) as u64
}

/// Mixes one more word into a running 64-bit digest; used where speed matters and forgery is no
/// concern, as in fingerprints.
#[inline]
pub const fn mix(state: u64, word: u64) -> u64 {
    fold(state ^ 0x9e37_79b9_7f4a_7c15, word ^ 0xbf58_476d_1ce4_e5b9).wrapping_add(state << 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_algorithm_is_part_of_the_format() {
        let mut random = Random::new(7, Stream::Latency);
        let first = [random.bits(), random.below(1000), random.below(1000)];
        expect_test::expect!["[4691721814828324757, 114, 937]"].assert_eq(&format!("{first:?}"));
        let keyed = Keyed::new(7, Stream::Latency);
        let draw = keyed.draw(keyed.message(NodeId(3), 9), NodeId(5), 0);
        expect_test::expect!["14334868162404267462"].assert_eq(&draw.to_string());
    }

    #[test]
    fn streams_of_one_seed_are_unrelated() {
        let streams = [
            Stream::Latency,
            Stream::Fault(0),
            Stream::Fault(1),
            Stream::Replica(NodeId(0)),
            Stream::Replica(NodeId(1)),
            Stream::Workload(NodeId(0)),
            Stream::Adversary(NodeId(0)),
        ];
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..50 {
            for stream in streams {
                assert!(seen.insert(Random::new(seed, stream).bits()));
            }
        }
    }

    /// Chi-square over 256 cells of some eight bits of the draws in one direction of the key.
    fn chi_square(draws: impl Iterator<Item = u64>, shift: u32) -> f64 {
        let mut cells = [0_u32; 256];
        let mut count = 0_u32;
        for draw in draws {
            cells[(draw >> shift & 255) as usize] += 1;
            count += 1;
        }
        let expected = f64::from(count) / 256.0;
        cells
            .iter()
            .map(|&cell| libm::pow(f64::from(cell) - expected, 2.0) / expected)
            .sum()
    }

    #[test]
    fn keyed_draws_are_uniform_along_every_argument() {
        // 255 degrees of freedom: below 400 with probability far above 0.999999.
        for seed in 0..4 {
            let keyed = Keyed::new(seed, Stream::Latency);
            let draw = |source, count, to, hop| {
                keyed.draw(keyed.message(NodeId(source), count), NodeId(to), hop)
            };
            for shift in [0, 8, 24, 40, 56] {
                let along = [
                    chi_square((0..40_000).map(|i| draw(3, i, 4, 0)), shift),
                    chi_square((0..40_000).map(|i| draw(3, 77, i as u16, 0)), shift),
                    chi_square((0..40_000).map(|i| draw(i as u16, 77, 3, 0)), shift),
                    chi_square((0..40_000).map(|i| draw(3, 77, 3, i)), shift),
                ];
                assert!(
                    along.iter().all(|&x| x < 400.0),
                    "seed {seed} shift {shift}: {along:?}"
                );
            }
        }
    }

    #[test]
    fn neighbouring_keyed_draws_are_uncorrelated() {
        let keyed = Keyed::new(1, Stream::Latency);
        let draw = |count, to| {
            let bits = keyed.draw(keyed.message(NodeId(1), count), NodeId(to), 0);
            (bits >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
        };
        let samples = 100_000;
        let mut serial = 0.0;
        let mut across = 0.0;
        for i in 0..samples {
            serial += draw(i, 2) * draw(i + 1, 2);
            across += draw(i, 2) * draw(i, 3);
        }
        // The product of two independent uniforms has variance 1/144.
        let bound = 5.0 * (samples as f64 / 144.0).sqrt();
        assert!(
            serial.abs() < bound && across.abs() < bound,
            "{serial} {across} {bound}"
        );
    }

    #[test]
    fn a_chance_happens_as_often_as_it_says() {
        let mut random = Random::new(3, Stream::Test);
        let ratio: Ratio = "12.5%".parse().unwrap();
        let hits = (0..80_000).filter(|_| random.chance(ratio)).count();
        assert!((9_600..10_400).contains(&hits), "{hits}");
        assert!(!happens(u64::MAX, Ratio::ZERO));
        assert!(happens(u64::MAX, Ratio::ONE));
    }
}
