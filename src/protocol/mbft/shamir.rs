//! Secrets that outlive their owners: shared among many so that any few of them restore the secret,
//! and fewer learn nothing (A. Shamir, How to share a secret, CACM 22(11), 1979).
//!
//! A secret of 256 bits is sixteen words of the field GF(2^16); each has a polynomial of its own.
//!
//! Dealings stand for publicly verifiable ones (B. Schoenmakers, CRYPTO 1999): that all shares
//! belong to the committed secret is certain, because there is no way to make another dealing, as
//! there is no way to forge a signature; and only whom a share is for can take it out.

use crate::base::crypto::{Digest, Hasher};
use crate::base::node::NodeId;

/// Words of a secret.
const WORDS: usize = 16;

/// A value of the polynomials at the point of one holder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Share {
    /// The point, which is never zero.
    at: u16,
    words: [u16; WORDS],
}

impl Share {
    /// The digest of the share.
    pub fn digest(&self) -> Digest {
        let hasher = Hasher::new("mbft share").number(u64::from(self.at));
        let words = self.words.iter();
        words
            .fold(hasher, |hasher, word| hasher.number(u64::from(*word)))
            .finish()
    }
}

/// The product in GF(2^16) modulo x^16 + x^12 + x^3 + x + 1.
fn multiply(a: u16, b: u16) -> u16 {
    let (mut a, mut product) = (u32::from(a), 0_u32);
    for bit in 0..16 {
        if b >> bit & 1 == 1 {
            product ^= a;
        }
        a <<= 1;
        if a & 0x1_0000 != 0 {
            a ^= 0x1_100b;
        }
    }
    product as u16
}

/// The inverse of a number that is not zero: its power 2^16 − 2.
fn invert(a: u16) -> u16 {
    let (mut square, mut product) = (a, 1);
    for _ in 1..16 {
        square = multiply(square, square);
        product = multiply(product, square);
    }
    product
}

fn words(digest: &Digest) -> [u16; WORDS] {
    std::array::from_fn(|at| u16::from_be_bytes([digest.0[2 * at], digest.0[2 * at + 1]]))
}

/// A secret dealt to holders, any `threshold` of whom restore it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dealing {
    secret: Digest,
    threshold: usize,
}

impl Dealing {
    /// Deals a secret.
    pub fn new(secret: Digest, threshold: usize) -> Self {
        let threshold = threshold.max(1);
        Self { secret, threshold }
    }

    /// How many shares restore the secret.
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// The point of a holder.
    pub fn point(holder: NodeId) -> u16 {
        holder.0.checked_add(1).expect("a point is not zero")
    }

    /// The share of one holder; it opens for nobody else.
    pub fn open(&self, me: NodeId) -> Share {
        let at = Self::point(me);
        let coefficient = |degree: usize| {
            let hasher = Hasher::new("mbft polynomial").digest(&self.secret);
            words(&hasher.number(degree as u64).finish())
        };
        // Horner's rule, from the highest degree down to the secret itself.
        let mut value = [0; WORDS];
        for degree in (0..self.threshold).rev() {
            let add = match degree {
                0 => words(&self.secret),
                _ => coefficient(degree),
            };
            for (value, add) in value.iter_mut().zip(add) {
                *value = multiply(*value, at) ^ add;
            }
        }
        Share { at, words: value }
    }

    /// Whether a share is the one that a holder was dealt.
    pub fn is_share_of(&self, holder: NodeId, share: &Share) -> bool {
        *share == self.open(holder)
    }
}

/// The secret of which these are shares of different holders, if they are enough.
pub fn restore(shares: &[Share]) -> Digest {
    let mut secret = [0_u16; WORDS];
    for (place, share) in shares.iter().enumerate() {
        // Lagrange's polynomial of this point, at zero.
        let mut weight = 1;
        for (other, point) in shares.iter().enumerate() {
            if other != place {
                let distance = invert(point.at ^ share.at);
                weight = multiply(weight, multiply(point.at, distance));
            }
        }
        for (sum, word) in secret.iter_mut().zip(share.words) {
            *sum ^= multiply(weight, word);
        }
    }
    let mut digest = Digest::ZERO;
    for (bytes, word) in digest.0.chunks_exact_mut(2).zip(secret) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_but_zero_has_an_inverse() {
        for a in 1..=u16::MAX {
            assert_eq!(multiply(a, invert(a)), 1, "{a}");
        }
    }

    #[test]
    fn any_few_holders_restore_the_secret_and_fewer_do_not() {
        let secret = Hasher::new("test").number(7).finish();
        for threshold in [1, 2, 5, 34] {
            let dealing = Dealing::new(secret, threshold);
            for first in [0, 3, 60] {
                let holders = (first..first + threshold as u16).map(NodeId);
                let shares: Vec<Share> = holders.map(|holder| dealing.open(holder)).collect();
                assert_eq!(restore(&shares), secret, "{threshold} from {first}");
                assert_ne!(restore(&shares[1..]), secret, "one fewer");
            }
        }
        let dealing = Dealing::new(secret, 3);
        let share = dealing.open(NodeId(4));
        assert!(dealing.is_share_of(NodeId(4), &share));
        assert!(!dealing.is_share_of(NodeId(5), &share));
    }
}
