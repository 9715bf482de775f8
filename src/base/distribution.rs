//! Distributions of delays as tables of quantiles in nanoseconds, read with integers only.
//!
//! A law is evaluated once, when a scenario is loaded, with the `libm` crate (whose results are
//! the same on every platform, which those of the standard library are not). From then on a draw
//! is a look-up and a linear interpolation. The body of the table has equally spaced quantiles;
//! the upper tail is refined again and again, because a plain table would cut it off and with it
//! a part of the mean.

use super::time::Span;

/// A law of non-negative delays.
#[derive(Clone, PartialEq, Debug)]
pub enum Law {
    /// Always the same.
    Constant(Span),
    /// Every value from the first to the second equally likely.
    Uniform(Span, Span),
    /// Normal with this mean and standard deviation, never below the floor.
    Normal {
        /// The mean before the floor applies.
        mean: Span,
        /// The standard deviation.
        deviation: Span,
        /// No draw is smaller.
        floor: Span,
    },
    /// Log-normal with this median and 99th percentile.
    Lognormal {
        /// Half of all draws are smaller.
        median: Span,
        /// 99 % of all draws are smaller.
        p99: Span,
    },
    /// Exponential with this mean, added to a floor.
    Exponential {
        /// The mean of the exponential part.
        mean: Span,
        /// The least value.
        floor: Span,
    },
    /// Pareto from a least value with this shape in thousandths, cut off at the greatest value.
    Pareto {
        /// The least value.
        least: Span,
        /// The shape times a thousand; the smaller, the heavier the tail.
        shape_thousandths: u32,
        /// No draw is greater: a shape of one or less has no mean otherwise.
        greatest: Span,
    },
    /// Equally spaced quantiles: the first is the least value, the last the greatest.
    Quantiles(Vec<Span>),
}

/// A law ready to be drawn from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Distribution {
    /// `levels[0]` has the quantiles of the whole, each further level those of the last cell of
    /// the one before.
    levels: Vec<Vec<u64>>,
}

/// Cells in the body of a table, a power of two.
const BODY_CELLS: u64 = 1024;
/// Cells in each refinement of the tail, a power of two.
const TAIL_CELLS: u64 = 64;
/// Refinements of the tail: the last one resolves one draw in 2^34.
const TAIL_LEVELS: u32 = 4;

impl Distribution {
    /// The table of a law.
    pub fn new(law: &Law) -> Self {
        let levels = match law {
            Law::Constant(span) => vec![vec![span.nanos()]],
            Law::Uniform(low, high) => vec![vec![low.nanos(), high.nanos()]],
            Law::Quantiles(spans) => vec![spans.iter().map(|span| span.nanos()).collect()],
            Law::Normal { .. }
            | Law::Lognormal { .. }
            | Law::Exponential { .. }
            | Law::Pareto { .. } => refined(|p, q| quantile(law, p, q)),
        };
        assert!(
            levels.iter().all(|level| level.is_sorted()),
            "quantiles ascend"
        );
        Self { levels }
    }

    /// The value for a fair draw of sixty-four bits.
    #[inline(always)]
    pub fn at(&self, bits: u64) -> Span {
        let body = &self.levels[0];
        if self.levels.len() == 1 {
            return interpolate(body, bits);
        }
        let cell = (bits >> (64 - BODY_CELLS.trailing_zeros())) as usize;
        if cell + 2 < body.len() {
            let (low, high) = (body[cell], body[cell + 1]);
            let fraction = bits << BODY_CELLS.trailing_zeros();
            let part = u128::from(high - low) * u128::from(fraction);
            return Span::from_nanos(low + (part >> 64) as u64);
        }
        self.in_tail(bits)
    }

    /// The value for a draw that fell in the last cell of the body: its remaining bits choose
    /// within the refinements.
    #[cold]
    fn in_tail(&self, bits: u64) -> Span {
        let mut bits = bits << BODY_CELLS.trailing_zeros();
        let last = self.levels.len() - 1;
        for level in &self.levels[1..last] {
            let cells = level.len() as u64 - 1;
            let cell = bits >> (64 - cells.trailing_zeros());
            if cell + 1 < cells {
                return interpolate(level, bits);
            }
            bits <<= cells.trailing_zeros();
        }
        interpolate(&self.levels[last], bits)
    }

    /// The least value a draw can give.
    pub fn least(&self) -> Span {
        Span::from_nanos(self.levels[0][0])
    }

    /// The greatest value a draw can give.
    pub fn greatest(&self) -> Span {
        let tail = self.levels.last().and_then(|level| level.last());
        Span::from_nanos(*tail.expect("a table has a value"))
    }

    /// The median, which also weighs links when paths are chosen.
    pub fn median(&self) -> Span {
        self.at(1 << 63)
    }

    /// The value when every draw is the same.
    pub fn constant(&self) -> Option<Span> {
        (self.least() == self.greatest()).then(|| self.least())
    }
}

/// Linear interpolation between the two quantiles around the draw.
#[inline]
fn interpolate(table: &[u64], bits: u64) -> Span {
    let position = u128::from(bits) * (table.len() as u128 - 1);
    let cell = (position >> 64) as usize;
    let low = table[cell];
    let Some(&high) = table.get(cell + 1) else {
        return Span::from_nanos(low);
    };
    let fraction = u128::from(position as u64);
    Span::from_nanos(low + ((u128::from(high - low) * fraction) >> 64) as u64)
}

/// The levels of a law given by its quantile function of (p, 1 − p).
fn refined(quantile: impl Fn(f64, f64) -> u64) -> Vec<Vec<u64>> {
    let mut levels = Vec::new();
    let mut upper = 1.0; // The share of draws that the present level covers.
    for depth in 0..=TAIL_LEVELS {
        let cells = if depth == 0 { BODY_CELLS } else { TAIL_CELLS };
        let share = upper / cells as f64;
        let last = depth == TAIL_LEVELS;
        let table: Vec<u64> = (0..=cells)
            .map(|cell| {
                // The end of the last tail is placed half a cell in: it must be finite.
                let above = if cell == cells {
                    if last { 0.5 } else { 0.0 }
                } else {
                    (cells - cell) as f64
                };
                let q = above * share;
                if q == 0.0 {
                    u64::MAX
                } else {
                    quantile(1.0 - q, q)
                }
            })
            .collect();
        levels.push(table);
        upper = share;
    }
    // The end of each inner level is never interpolated to, but it is shown as the greatest.
    let greatest = *levels
        .last()
        .and_then(|level| level.last())
        .expect("there is a tail");
    for level in &mut levels {
        *level.last_mut().expect("a level has cells") = greatest;
    }
    levels
}

/// The quantile at p of a smooth law, in nanoseconds; q = 1 − p keeps its precision in the tail.
fn quantile(law: &Law, p: f64, q: f64) -> u64 {
    let value = match law {
        Law::Normal {
            mean,
            deviation,
            floor,
        } => {
            let value = mean.nanos() as f64 + deviation.nanos() as f64 * standard_normal(p, q);
            value.max(floor.nanos() as f64)
        }
        Law::Lognormal { median, p99 } => {
            let sigma =
                libm::log(p99.nanos() as f64 / median.nanos() as f64) / standard_normal(0.99, 0.01);
            median.nanos() as f64 * libm::exp(sigma * standard_normal(p, q))
        }
        Law::Exponential { mean, floor } => {
            floor.nanos() as f64 - mean.nanos() as f64 * libm::log(q)
        }
        Law::Pareto {
            least,
            shape_thousandths,
            greatest,
        } => {
            let shape = f64::from(*shape_thousandths) / 1000.0;
            let value = least.nanos() as f64 * libm::pow(q, -1.0 / shape);
            value.min(greatest.nanos() as f64)
        }
        Law::Constant(_) | Law::Uniform(..) | Law::Quantiles(_) => {
            unreachable!("these laws are tables already")
        }
    };
    // Delays of more than a century are cut there; the arithmetic of time saturates anyway.
    libm::round(value.clamp(0.0, 3.0e18)) as u64
}

/// The quantile of the standard normal law, by Acklam's rational approximation refined with one
/// step of Halley's method on the complementary error function.
fn standard_normal(p: f64, q: f64) -> f64 {
    if p <= 0.0 {
        return -standard_normal(
            1.0 - 0.5 / BODY_CELLS as f64 / 64.0,
            0.5 / BODY_CELLS as f64 / 64.0,
        );
    }
    if p < 0.5 {
        return -standard_normal(q, p);
    }
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 5] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 4] = [
        7.784695709041462e-3,
        3.224671290700398e-1,
        2.445134137142996,
        3.754408661907416,
    ];
    let horner = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    let start = if q > 0.02425 {
        let centred = p - 0.5;
        let square = centred * centred;
        horner(&A, square) * centred / (horner(&B, square) * square + 1.0)
    } else {
        let root = libm::sqrt(-2.0 * libm::log(q));
        -horner(&C, root) / (horner(&D, root) * root + 1.0)
    };
    let excess = q - 0.5 * libm::erfc(start / std::f64::consts::SQRT_2);
    let step = -excess * libm::sqrt(2.0 * std::f64::consts::PI) * libm::exp(start * start / 2.0);
    start + step / (1.0 - start * step / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::{Random, Stream};

    const MS: f64 = 1e6;

    /// Mean and 99th percentile of a million draws, in milliseconds.
    fn moments(law: &Law) -> (f64, f64) {
        let distribution = Distribution::new(law);
        let mut random = Random::new(11, Stream::Test);
        let mut draws: Vec<u64> = (0..1_000_000)
            .map(|_| distribution.at(random.bits()).nanos())
            .collect();
        let mean = draws.iter().map(|&x| x as f64).sum::<f64>() / draws.len() as f64;
        draws.sort_unstable();
        (mean / MS, draws[990_000] as f64 / MS)
    }

    #[test]
    fn tables_reproduce_the_laws_they_stand_for() {
        let ms = Span::from_millis;
        let near = |(a, b): (f64, f64), (x, y): (f64, f64)| {
            assert!((a / x - 1.0).abs() < 0.005, "mean {a} against {x}");
            assert!((b / y - 1.0).abs() < 0.01, "p99 {b} against {y}");
        };
        near(moments(&Law::Constant(ms(3))), (3.0, 3.0));
        near(moments(&Law::Uniform(ms(30), ms(40))), (35.0, 39.9));
        near(
            moments(&Law::Exponential {
                mean: ms(10),
                floor: ms(0),
            }),
            (10.0, 46.05),
        );
        near(
            moments(&Law::Normal {
                mean: ms(50),
                deviation: ms(5),
                floor: ms(1),
            }),
            (50.0, 61.63),
        );
        // sigma = ln(40/12)/2.3263 = 0.5175; mean = median exp(sigma²/2).
        near(
            moments(&Law::Lognormal {
                median: ms(12),
                p99: ms(40),
            }),
            (13.72, 40.0),
        );
        // Shape 3: mean = least·3/2, p99 = least·100^(1/3).
        let pareto = Law::Pareto {
            least: ms(1),
            shape_thousandths: 3000,
            greatest: ms(100_000),
        };
        near(moments(&pareto), (1.5, 4.642));
    }

    #[test]
    fn a_quantile_list_is_read_as_equally_spaced() {
        let quantiles = Law::Quantiles([1, 2, 10].map(Span::from_millis).to_vec());
        let table = Distribution::new(&quantiles);
        assert_eq!(table.at(0), Span::from_millis(1));
        assert_eq!(table.at(1 << 63), Span::from_millis(2));
        assert_eq!(table.at(3 << 62), Span::from_millis(6));
        assert_eq!(
            (table.least(), table.greatest()),
            (Span::from_millis(1), Span::from_millis(10))
        );
        assert_eq!(
            Distribution::new(&Law::Constant(Span::from_millis(4))).constant(),
            Some(Span::from_millis(4))
        );
    }

    #[test]
    fn the_normal_quantile_is_accurate_in_body_and_tail() {
        for (p, q, z) in [
            (0.5, 0.5, 0.0),
            (0.975, 0.025, 1.959_963_985),
            (1.0 - 1e-9, 1e-9, 5.997_807),
        ] {
            assert!((standard_normal(p, q) - z).abs() < 1e-6, "{p}");
            assert!((standard_normal(q, p) + z).abs() < 1e-6, "{q}");
        }
    }
}
