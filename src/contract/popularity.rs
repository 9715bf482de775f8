//! How often each patient is treated: the law of Zipf, in integers from beginning to end, so that
//! it is the same on every platform.

use crate::base::random::Random;

/// Ranks drawn with a probability proportional to 1 / rank^exponent. Rank 0 is the most frequent.
#[derive(Clone, Debug)]
pub(super) struct Popularity {
    /// The sum of the weights up to and including each rank.
    cumulative: Vec<u64>,
}

/// The weight of the first rank is two to this power: eight million ranks of such weights still
/// have a sum of sixty-four bits.
const ONE_BITS: u32 = 40;

impl Popularity {
    /// The law for this many ranks, with the exponent in thousandths.
    pub(super) fn new(ranks: u32, thousandths: u32) -> Self {
        assert!(ranks > 0, "there is somebody to draw");
        let roots = roots_of_half();
        let weight = |rank: u64| {
            let exponent = u128::from(log2(rank)) * u128::from(thousandths) / 1000;
            half_to(&roots, u64::try_from(exponent).unwrap_or(u64::MAX))
        };
        let mut sum = 0_u64;
        let cumulative = (1..=u64::from(ranks))
            .map(|rank| {
                // Every rank keeps a chance, however steep the law.
                sum = sum.saturating_add(weight(rank).max(1));
                sum
            })
            .collect();
        Self { cumulative }
    }

    /// A rank.
    pub(super) fn draw(&self, random: &mut Random) -> u32 {
        let total = *self.cumulative.last().expect("there is a rank");
        let point = random.below(total);
        self.cumulative.partition_point(|&sum| sum <= point) as u32
    }
}

/// The binary logarithm in units of 2^-32, by repeated squaring; `number` is not zero.
fn log2(number: u64) -> u64 {
    let whole = u64::from(number.ilog2());
    // The number scaled into [1, 2) in units of 2^-63.
    let mut mantissa = number << number.leading_zeros();
    let mut fraction = 0;
    for _ in 0..32 {
        let square = (u128::from(mantissa) * u128::from(mantissa)) >> 63;
        fraction <<= 1;
        if square >= 1 << 64 {
            fraction |= 1;
            mantissa = (square >> 1) as u64;
        } else {
            mantissa = square as u64;
        }
    }
    whole << 32 | fraction
}

/// (1/2)^(1/2), (1/2)^(1/4), and so on, in units of 2^-62.
fn roots_of_half() -> [u64; 32] {
    let mut root = 1_u64 << 61;
    std::array::from_fn(|_| {
        root = (u128::from(root) << 62).isqrt() as u64;
        root
    })
}

/// The weight of the first rank times one half to an exponent in units of 2^-32.
fn half_to(roots: &[u64; 32], exponent: u64) -> u64 {
    let whole = exponent >> 32;
    let mut power = 1_u64 << 62;
    for (bit, &root) in roots.iter().enumerate() {
        if exponent >> (31 - bit) & 1 == 1 {
            power = ((u128::from(power) * u128::from(root)) >> 62) as u64;
        }
    }
    let shift = u32::try_from(whole)
        .unwrap_or(u32::MAX)
        .saturating_add(62 - ONE_BITS);
    power.checked_shr(shift).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Stream;

    #[test]
    fn weights_follow_the_power_law() {
        for thousandths in [0, 500, 800, 1000, 2300] {
            let law = Popularity::new(10_000, thousandths);
            let mut before = 0;
            for (rank, &sum) in law.cumulative.iter().enumerate() {
                let exact = libm::pow((rank + 1) as f64, -f64::from(thousandths) / 1000.0);
                let weight = (sum - before) as f64 / (1_u64 << ONE_BITS) as f64;
                let error = libm::fabs(weight / exact - 1.0);
                assert!(error < 1e-2, "{thousandths}: {rank} {weight} {exact}");
                before = sum;
            }
        }
    }

    #[test]
    fn draws_are_as_frequent_as_their_weights() {
        let law = Popularity::new(100, 800);
        let mut random = Random::new(1, Stream::Test);
        let mut counts = [0_u32; 100];
        for _ in 0..200_000 {
            counts[law.draw(&mut random) as usize] += 1;
        }
        // 1 / (sum of k^-0.8 for k up to 100) is 0.1233.
        assert!((24_000..25_400).contains(&counts[0]), "{}", counts[0]);
        assert!(counts[0] > counts[9] && counts[9] > counts[99] && counts[99] > 0);
    }

    #[test]
    fn a_steep_law_still_gives_everybody_a_chance() {
        let law = Popularity::new(1000, u32::MAX);
        assert!(law.cumulative.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
