//! Statistics over seeds: medians with distribution-free intervals.
//!
//! Latencies are skewed and seeds are few, so nothing here assumes a normal law. The interval of
//! a median comes from order statistics alone: of n independent runs, the k-th least and the k-th
//! greatest enclose the true median with probability 1 − 2·P(B < k), B binomial in n and ½.

/// An interval, and how surely it encloses what it is an interval of.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The probability that the median lies inside, from 0 to 1. Below 0.95 when there are fewer
    /// than six values: then the interval is from the least to the greatest, and no wider one
    /// exists.
    pub coverage: f64,
}

/// A median over seeds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Summary {
    /// The median.
    pub median: f64,
    /// Its interval.
    pub band: Interval,
    /// Of how many values.
    pub count: usize,
}

/// The finite values in ascending order.
pub fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().filter(|x| x.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The arithmetic mean; nothing of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The nearest-rank percentile of ascending values: the least one that at least `percent` of a
/// hundred do not exceed. Nothing of nothing.
pub fn percentile(ascending: &[f64], percent: f64) -> Option<f64> {
    let rank = libm::ceil(percent.clamp(0.0, 100.0) / 100.0 * ascending.len() as f64);
    let index = (rank as usize).max(1) - 1;
    ascending
        .get(index.min(ascending.len().saturating_sub(1)))
        .copied()
}

/// The median of ascending values, the mean of the middle two when their number is even.
pub fn median(ascending: &[f64]) -> Option<f64> {
    let middle = ascending.len() / 2;
    let upper = *ascending.get(middle)?;
    if ascending.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = ascending[middle - 1];
    Some(lower + (upper - lower) / 2.0)
}

/// The interval of the median of ascending values at 95 %, or the widest there is.
pub fn median_interval(ascending: &[f64]) -> Option<Interval> {
    let (first, last) = (0, ascending.len().checked_sub(1)?);
    let (cut, coverage) = cut_for(ascending.len());
    Some(Interval {
        low: ascending[first + cut],
        high: ascending[last - cut],
        coverage,
    })
}

/// The median with its interval; nothing if no value is finite.
pub fn summarise(values: impl IntoIterator<Item = f64>) -> Option<Summary> {
    let ascending = sorted(values);
    Some(Summary {
        median: median(&ascending)?,
        band: median_interval(&ascending)?,
        count: ascending.len(),
    })
}

/// How many values to leave out at each end, and the coverage that remains.
fn cut_for(count: usize) -> (usize, f64) {
    /// More seeds than this are treated as infinitely many: the normal law is then exact enough,
    /// and the binomial terms would underflow.
    const LARGE: usize = 1000;
    let n = count as f64;
    if count > LARGE {
        let cut = libm::floor(n / 2.0 - 1.96 * libm::sqrt(n) / 2.0);
        return (cut as usize, 0.95);
    }
    let mut term = libm::exp2(-n);
    let mut below = term; // P(B ≤ cut)
    let mut cut = 0;
    loop {
        let next = term * (n - cut as f64) / (cut as f64 + 1.0);
        if 2.0 * (below + next) > 0.05 {
            return (cut, (1.0 - 2.0 * below).max(0.0));
        }
        term = next;
        below += next;
        cut += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values = sorted([15.0, 20.0, 35.0, 40.0, 50.0]);
        for (percent, value) in [(0.0, 15.0), (30.0, 20.0), (40.0, 20.0), (50.0, 35.0)] {
            assert_eq!(percentile(&values, percent), Some(value), "{percent}");
        }
        assert_eq!(percentile(&values, 100.0), Some(50.0));
        assert_eq!(percentile(&[], 50.0), None);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median(&sorted([4.0, 1.0, 3.0, 2.0])), Some(2.5));
        assert_eq!(median(&sorted([3.0, 1.0, 2.0])), Some(2.0));
        assert_eq!((median(&[]), mean(&[])), (None, None));
        assert_eq!(mean(&[1.0, 2.0, 6.0]), Some(3.0));
    }

    #[test]
    fn what_is_not_a_number_is_left_out() {
        assert_eq!(sorted([f64::NAN, 2.0, f64::INFINITY, 1.0]), [1.0, 2.0]);
        assert_eq!(summarise([f64::NAN]), None);
    }

    /// The cuts of the classical tables of the sign test at 5 %.
    #[test]
    fn intervals_of_the_median_agree_with_the_sign_test() {
        for (count, cut) in [(5, 0), (6, 0), (8, 0), (9, 1), (20, 5), (50, 17), (100, 39)] {
            assert_eq!(cut_for(count).0, cut, "{count} values");
        }
        assert_eq!(cut_for(5).1, 1.0 - 2.0 / 32.0);
        assert_eq!(cut_for(1).1, 0.0, "one value says nothing of the median");
        let interval = median_interval(&[1.0, 2.0, 3.0]).expect("there are values");
        assert_eq!(
            (interval.low, interval.high, interval.coverage),
            (1.0, 3.0, 0.75)
        );
        assert!((cut_for(1000).0 as i64 - cut_for(1001).0 as i64).abs() <= 1);
    }
}
