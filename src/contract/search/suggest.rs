//! Which condition to add next, to come to a small answer in few steps.
//!
//! Of the kinds of features, the one whose values tell the present cases apart best, by entropy;
//! of its values, the one that the fewest patients have who are still enough for an answer. Values
//! of fewer patients count together as one, so that what is suggested is a function of what could
//! be asked, and a value too rare to be told makes no difference by what it is.
//!
//! Numbers are of distinct patients, as the floor is. Of very many cases only the first are looked
//! at; what enough of these patients have, enough of all have.

use std::ops::Range;

use super::index::{Case, Index};
use super::query::{CONDITIONS_MAX, Coding, Condition, Feature, Query};
use crate::contract::error::Code;
use crate::contract::summary::{Summary, Term};

/// Cases that a suggestion is drawn from.
pub const CASES_MAX: usize = 4096;

/// The kinds of features: what a case has one of, codes as they are, and groups of diagnoses.
const KINDS: usize = 9;

/// A value of a feature: the number of the kind, and that of the value among its kind.
type Value = (usize, u64);

impl Index {
    /// The condition to add to a query; `summary` tells what is public of the record at a place.
    /// Refuses a query whose cases are of too few patients, and one to which no condition can be
    /// added that leaves out some of its patients and keeps at least `floor`.
    pub fn suggest<'a>(
        &self,
        query: &Query,
        floor: u32,
        summary: impl Fn(u32) -> &'a Summary,
    ) -> Result<Condition, Code> {
        query.check_features()?;
        let (places, _) = self.matching(query, CASES_MAX);
        let floor = floor.max(1);
        let mut patients: Vec<u32> = places.iter().map(|place| self.patient(*place)).collect();
        patients.sort_unstable();
        patients.dedup();
        let all = patients.len() as u32;
        if all < floor {
            return Err(Code::TooFewResults);
        }
        let mut kinds: [Vec<(u64, u32)>; KINDS] = Default::default();
        for place in &places {
            each(self.case(*place), summary(*place), |(kind, value), _| {
                kinds[kind].push((value, self.patient(*place)));
            });
        }
        let best = best(kinds, floor..all).ok_or(Code::TooFewResults)?;
        let mut condition = None;
        for place in &places {
            each(self.case(*place), summary(*place), |value, has| {
                if value == best {
                    condition = Some(has);
                }
            });
            if condition.is_some() {
                break;
            }
        }
        Ok(condition.expect("the value was found in one of these cases"))
    }
}

/// Of the kind whose values tell most apart, the value with the fewest patients within a range, if
/// any has as many. All values that the patients have are given by kind.
fn best(kinds: [Vec<(u64, u32)>; KINDS], range: Range<u32>) -> Option<Value> {
    let mut best: Option<(u64, u32, Value)> = None;
    for (kind, mut pairs) in kinds.into_iter().enumerate() {
        pairs.sort_unstable();
        pairs.dedup();
        let values = pairs.chunk_by(|(one, _), (other, _)| one == other);
        let values = values.map(|of| (of.len() as u32, of[0].0));
        let narrower = values.clone().filter(|(of, _)| range.contains(of));
        let Some((of, value)) = narrower.min() else {
            continue;
        };
        let entropy = entropy(values.map(|(of, _)| of), range.start);
        // Of kinds that tell equally much, the one whose best value is narrower.
        let better = |(most, least, _): &(u64, u32, Value)| {
            entropy > *most || entropy == *most && of < *least
        };
        if best.as_ref().is_none_or(better) {
            best = Some((entropy, of, (kind, value)));
        }
    }
    best.map(|(_, _, value)| value)
}

impl Query {
    /// Whether another condition could be added.
    pub(in crate::contract) fn check_room(&self) -> Result<(), Code> {
        if self.conditions.len() < CONDITIONS_MAX {
            return Ok(());
        }
        Err(Code::FieldTooLong)
    }
}

/// Calls with every value that a case has, and with the condition that asks for it.
fn each(case: &Case, summary: &Summary, mut visit: impl FnMut(Value, Condition)) {
    let mut has = |kind, value, feature| visit((kind, value), Condition::Has(feature));
    has(0, case.sex as u64, Feature::Sex(case.sex));
    has(1, case.age_band.into(), Feature::Age(case.age_band));
    has(2, case.quarter.into(), Feature::Quarter(case.quarter));
    has(3, case.outcome as u64, Feature::Outcome(case.outcome));
    has(
        4,
        case.department.into(),
        Feature::Department(case.department),
    );
    for &term in &summary.diagnoses {
        has(5, term.key(), Feature::Diagnosis(term));
    }
    for &term in &summary.procedures {
        has(6, term.key(), Feature::Procedure(term));
    }
    for &term in &summary.drugs {
        has(7, term.key(), Feature::Drug(term));
    }
    for group in summary.diagnoses.iter().map(Term::group) {
        visit(
            (8, group.key()),
            Condition::Begins(Coding::Diagnosis, group),
        );
    }
}

/// The entropy of a distribution with these weights, in 2^-16 bits; weights below the floor count
/// as one weight together.
fn entropy(weights: impl Iterator<Item = u32>, floor: u32) -> u64 {
    let (mut sum, mut weighted, mut rare) = (0, 0, 0);
    let mut count = |weight: u64| {
        sum += weight;
        weighted += weight * log2(weight);
    };
    for weight in weights {
        if weight < floor {
            rare += u64::from(weight);
        } else {
            count(u64::from(weight));
        }
    }
    count(rare);
    // The sum of p log 1/p, where p is weight / sum.
    log2(sum).saturating_sub(weighted.checked_div(sum).unwrap_or(0))
}

/// The binary logarithm of 1 + i/256 in units of 2^-16, rounded down, for i from 0 to 256.
const LOGARITHMS: [u32; 257] = {
    let mut table = [0; 257];
    let mut i = 0;
    while i <= 256 {
        // Squaring a number doubles its logarithm: each time it passes two, the next binary digit
        // of the logarithm is one. The number has 32 binary places.
        let mut number = (256 + i as u64) << 24;
        let mut log = 0;
        if number >> 33 == 1 {
            number >>= 1;
            log = 1;
        }
        let mut digit = 0;
        while digit < 16 {
            number = ((number as u128 * number as u128) >> 32) as u64;
            log <<= 1;
            if number >> 33 == 1 {
                number >>= 1;
                log |= 1;
            }
            digit += 1;
        }
        table[i] = log;
        i += 1;
    }
    table
};

/// The binary logarithm of a number in units of 2^-16, interpolated from [`LOGARITHMS`]; zero for
/// zero.
fn log2(number: u64) -> u64 {
    let Some(whole) = number.checked_ilog2() else {
        return 0;
    };
    // Eight binary places pick the entry, sixteen more lie between it and the next.
    let places = ((u128::from(number) << 24 >> whole) as u64) & 0xff_ffff;
    let (at, between) = ((places >> 16) as usize, places & 0xffff);
    let (low, high) = (u64::from(LOGARITHMS[at]), u64::from(LOGARITHMS[at + 1]));
    (u64::from(whole) << 16) + low + (((high - low) * between) >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_those_of_arithmetic() {
        for number in (1..3000).chain((1..60).map(|bit| 3_u64.rotate_left(bit))) {
            let exact = libm::log2(number as f64) * 65_536.0;
            let off = log2(number) as f64 - exact;
            assert!((-3.0..=0.01).contains(&off), "{number}: {off}");
        }
        assert_eq!((log2(0), log2(1), log2(1 << 20)), (0, 0, 20 << 16));
    }

    #[test]
    fn entropy_is_greatest_where_values_tell_most_apart() {
        let of = |weights: &[u32]| entropy(weights.iter().copied(), 1);
        assert_eq!(of(&[8, 8, 8, 8]), 2 << 16, "four equal values are two bits");
        assert_eq!(of(&[32]), 0);
        assert_eq!(of(&[]), 0);
        assert!(of(&[20, 4, 4, 4]) < of(&[8, 8, 8, 8]));
        let exact = -(0.25 * libm::log2(0.25) + 0.75 * libm::log2(0.75)) * 65_536.0;
        assert!((of(&[10, 30]) as f64 - exact).abs() < 4.0);
    }

    #[test]
    fn rare_values_count_as_one() {
        let of = |weights: &[u32]| entropy(weights.iter().copied(), 5);
        assert_eq!(of(&[20, 4, 4]), of(&[20, 2, 2, 2, 2]));
        assert!(of(&[20, 4, 4]) > 0);
    }
}
