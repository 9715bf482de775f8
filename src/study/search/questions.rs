//! Questions as somebody asks who has a case at hand and looks for others like it.

use crate::base::random::Random;
use crate::contract::access::Purpose;
use crate::contract::search::{CONDITIONS_MAX, Coding, Condition, Feature, Query};
use crate::contract::summary::{AGE_BAND_MAX, Summary, Term};

/// A question with so many conditions, at most [`CONDITIONS_MAX`], all of which the case fulfils.
/// The first names a code; the others come in any order.
pub fn question(random: &mut Random, like: &Summary, conditions: usize) -> Query {
    assert!(conditions <= CONDITIONS_MAX, "a query has a bounded length");
    let code = like.diagnoses[random.below(like.diagnoses.len() as u64) as usize];
    let mut all = further(random, like);
    while all.len() >= conditions {
        all.swap_remove(random.below(all.len() as u64) as usize);
    }
    let lead = match random.below(3) {
        0 => Condition::Begins(Coding::Diagnosis, code.group()),
        1 => Condition::Has(Feature::Diagnosis(code)),
        _ => coded(random, Coding::Drug, &like.drugs)
            .unwrap_or(Condition::Has(Feature::Diagnosis(code))),
    };
    all.insert(0, lead);
    Query {
        conditions: all,
        purpose: Purpose::Care,
        page: 0,
    }
}

/// What can be asked of a case besides its diagnosis, in any order.
fn further(random: &mut Random, like: &Summary) -> Vec<Condition> {
    let (age, quarter) = (like.age_band, like.quarter);
    let ages = random.below(3) as u8;
    let quarters = random.below(4) as u16;
    let mut all = vec![
        Condition::Has(Feature::Sex(like.sex)),
        Condition::Ages(age.saturating_sub(ages), (age + ages).min(AGE_BAND_MAX)),
        Condition::Quarters(quarter - quarters, quarter + quarters),
        Condition::Has(Feature::Outcome(like.outcome)),
        Condition::Has(Feature::Department(like.department)),
    ];
    all.extend(coded(random, Coding::Drug, &like.drugs));
    all.extend(coded(random, Coding::Procedure, &like.procedures));
    all
}

/// That a case has one of these codes, or one that begins like it.
fn coded(random: &mut Random, coding: Coding, codes: &[Term]) -> Option<Condition> {
    let code = *codes.first()?;
    Some(match (coding, random.below(2)) {
        (Coding::Diagnosis, 0) => Condition::Has(Feature::Diagnosis(code)),
        (Coding::Procedure, 0) => Condition::Has(Feature::Procedure(code)),
        (Coding::Drug, 0) => Condition::Has(Feature::Drug(code)),
        (coding, _) => Condition::Begins(coding, code.group()),
    })
}
