//! Searches, against looking at every record.

use std::collections::BTreeSet;

use super::*;
use crate::base::crypto::Digest;
use crate::base::random::{Random, Stream};
use crate::contract::search::{Condition, Feature, Query};
use crate::contract::summary::{Summary, Term};

/// A condition that an example fulfils, with a second account of when a case does.
type Account = (Condition, Box<dyn Fn(&Summary) -> bool>);

/// Conditions that fit the example, but for the ages, which lie anywhere.
fn accounts(example: &Summary, low: u8, high: u8) -> Vec<Account> {
    let like = example.clone();
    let code = like.diagnoses[0];
    let drug = like.drugs[0];
    let quarter = like.quarter;
    let group = code.text()[..3].to_vec();
    let (sex, outcome, department) = (like.sex, like.outcome, like.department);
    let has = Condition::Has;
    vec![
        (
            has(Feature::Diagnosis(code)),
            Box::new(move |case| case.diagnoses.contains(&code)),
        ),
        (
            has(Feature::DiagnosisGroup(code.group())),
            Box::new(move |case| {
                let mut codes = case.diagnoses.iter();
                codes.any(|own| own.text().starts_with(&group))
            }),
        ),
        (
            has(Feature::Drug(drug)),
            Box::new(move |case| case.drugs.contains(&drug)),
        ),
        (
            has(Feature::Sex(sex)),
            Box::new(move |case| case.sex == sex),
        ),
        (
            has(Feature::Outcome(outcome)),
            Box::new(move |case| case.outcome == outcome),
        ),
        (
            has(Feature::Department(department)),
            Box::new(move |case| case.department == department),
        ),
        (
            Condition::Ages(low, high),
            Box::new(move |case| low <= case.age_band && case.age_band <= high),
        ),
        (
            Condition::Quarters(quarter, quarter + 2),
            Box::new(move |case| case.quarter >= quarter && case.quarter - quarter <= 2),
        ),
    ]
}

#[test]
fn a_search_finds_what_looking_at_every_record_finds() {
    let mut random = Random::new(9, Stream::Test);
    let people = Population::new(3, 5, 40);
    let mut state = State::genesis(&people, Rules::default());
    for number in 0..400 {
        let patient = 5 + random.below(35) as u32;
        let content = people.content(0, patient, number);
        state.apply(1, &people.submission(content, 0, patient));
    }
    let cases: Vec<(u32, &Summary)> = state
        .records
        .iter()
        .map(|record| (record.patient, &*record.draft.content().summary))
        .collect();
    let mut counts = [0; 2];
    for _ in 0..2000 {
        let example = cases[random.below(400) as usize].1;
        let (low, high) = (random.below(12) as u8, 6 + random.below(13) as u8);
        let chosen: Vec<Account> = accounts(example, low, high)
            .into_iter()
            .filter(|_| random.below(3) == 0)
            .collect();
        let query = Query {
            conditions: chosen.iter().map(|(condition, _)| *condition).collect(),
            purpose: Purpose::Care,
            page: 0,
        };
        let fits = |(_, case): &&(u32, &Summary)| chosen.iter().all(|(_, holds)| holds(case));
        let expected: Vec<u32> = cases
            .iter()
            .filter(fits)
            .map(|(patient, _)| *patient)
            .collect();
        let patients: BTreeSet<u32> = expected.iter().copied().collect();
        let enough = patients.len() >= 5 && !query.conditions.is_empty();
        let answer = state.search(&query, &Digest::ZERO);
        assert_eq!(answer.is_ok(), enough, "{query:?}");
        counts[usize::from(enough)] += 1;
        if let Ok(answer) = answer {
            assert_eq!(answer.about as usize, expected.len() / 5 * 5, "{query:?}");
            assert_eq!(answer.rows.len(), expected.len().min(20));
            let fit = |case: &Summary| chosen.iter().all(|(_, holds)| holds(case));
            assert!(answer.rows.iter().all(|row| fit(&row.summary)));
        }
    }
    assert!(counts.iter().all(|&count| count > 200), "{counts:?}");
}

#[test]
fn two_diagnoses_of_one_group_are_one_case() {
    let mut stage = Stage::new();
    let mut rids = Vec::new();
    for patient in 8..14 {
        let call = stage.submission(0, patient, |content| {
            let mut summary = Summary::clone(&content.summary);
            summary.diagnoses = vec![Term::new("E119"), Term::new("E118")];
            content.summary = std::sync::Arc::new(summary);
        });
        stage.accept(&call);
        rids.push(rid(&call));
    }
    let query = Query {
        conditions: vec![Condition::Has(Feature::DiagnosisGroup(Term::new("E11")))],
        purpose: Purpose::Care,
        page: 0,
    };
    let rows = |stage: &Stage| {
        stage
            .state
            .search(&query, &Digest::ZERO)
            .unwrap()
            .rows
            .len()
    };
    assert_eq!(rows(&stage), 6);
    let hide = stage.by_patient(8, Act::Hide(rids[0]));
    stage.accept(&hide);
    assert_eq!(rows(&stage), 5);
}
