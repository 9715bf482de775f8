//! Searches, against looking at every record.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::base::crypto::Digest;
use crate::base::random::{Random, Stream};
use crate::contract::search::{Coding, Condition, Feature, PAGE, Query, Row};
use crate::contract::summary::{Summary, Term};

/// A condition that an example fulfils, with a second account of when a case does.
type Account = (Condition, Box<dyn Fn(&Summary) -> bool>);

/// Whether one of the codes begins with a text.
fn begins(codes: &[Term], text: &[u8]) -> bool {
    codes.iter().any(|code| code.text().starts_with(text))
}

/// Conditions that fit the example, but for the ages, which lie anywhere. Beginnings of codes have
/// this length, as far as the code has.
fn accounts(example: &Summary, (low, high): (u8, u8), length: usize) -> Vec<Account> {
    let like = example.clone();
    let (code, drug) = (like.diagnoses[0], like.drugs[0]);
    let quarter = like.quarter;
    let cut = |term: Term| {
        let text = String::from_utf8_lossy(term.text()).into_owned();
        Term::new(&text[..length.min(text.len())])
    };
    let (sex, outcome, department) = (like.sex, like.outcome, like.department);
    let (begun, drugged) = (cut(code), cut(drug));
    let mut accounts: Vec<Account> = vec![
        (
            Condition::Has(Feature::Diagnosis(code)),
            Box::new(move |case| case.diagnoses.contains(&code)),
        ),
        (
            Condition::Begins(Coding::Diagnosis, begun),
            Box::new(move |case| begins(&case.diagnoses, begun.text())),
        ),
        (
            Condition::Has(Feature::Drug(drug)),
            Box::new(move |case| case.drugs.contains(&drug)),
        ),
        (
            Condition::Begins(Coding::Drug, drugged),
            Box::new(move |case| begins(&case.drugs, drugged.text())),
        ),
        (
            Condition::Has(Feature::Sex(sex)),
            Box::new(move |case| case.sex == sex),
        ),
        (
            Condition::Has(Feature::Outcome(outcome)),
            Box::new(move |case| case.outcome == outcome),
        ),
        (
            Condition::Has(Feature::Department(department)),
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
    ];
    if let Some(&procedure) = like.procedures.first() {
        let begun = cut(procedure);
        let account = move |case: &Summary| begins(&case.procedures, begun.text());
        accounts.push((
            Condition::Begins(Coding::Procedure, begun),
            Box::new(account),
        ));
    }
    accounts
}

fn care(conditions: Vec<Condition>) -> Query {
    Query {
        conditions,
        purpose: Purpose::Care,
        page: 0,
    }
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
    for _ in 0..3000 {
        let example = cases[random.below(400) as usize].1;
        let ages = (random.below(12) as u8, 6 + random.below(13) as u8);
        let mut chosen = accounts(example, ages, 3 + random.below(5) as usize);
        chosen.retain(|_| random.below(4) == 0);
        chosen.truncate(6);
        let query = care(chosen.iter().map(|(condition, _)| *condition).collect());
        let fits = |(_, case): &&(u32, &Summary)| chosen.iter().all(|(_, holds)| holds(case));
        let expected: Vec<u32> = cases.iter().filter(fits).map(|(whose, _)| *whose).collect();
        let patients: BTreeSet<u32> = expected.iter().copied().collect();
        let enough = patients.len() >= 5 && !query.conditions.is_empty();
        let matches = state.matches(&query);
        assert_eq!(matches.is_ok(), enough, "{query:?}");
        counts[usize::from(enough)] += 1;
        if let Ok(matches) = matches {
            let answer = state.answer(&query, &matches, &Digest::ZERO).unwrap();
            let told = expected.len() / 5 * 5;
            assert_eq!(matches.places().len(), expected.len(), "{query:?}");
            assert_eq!(answer.about as usize, told, "{query:?}");
            assert_eq!(answer.rows.len(), told.min(PAGE));
            let fit = |case: &Summary| chosen.iter().all(|(_, holds)| holds(case));
            assert!(answer.rows.iter().all(|row| fit(&row.summary)));
            let held = query.conditions.iter();
            let mut held = held.map(|condition| condition.holds(&answer.rows[0].summary));
            assert!(held.all(|holds| holds));
        }
    }
    assert!(counts.iter().all(|&count| count > 300), "{counts:?}");
}

#[test]
fn two_diagnoses_of_one_group_are_one_case() {
    let mut stage = Stage::new();
    let mut rids = Vec::new();
    for patient in 8..18 {
        let call = stage.submission(0, patient, |content| {
            let mut summary = Summary::clone(&content.summary);
            summary.diagnoses = vec![Term::new("E1190"), Term::new("E1191")];
            content.summary = Arc::new(summary);
        });
        stage.accept(&call);
        rids.push(rid(&call));
    }
    for text in ["E11", "E119", "E1191"] {
        let begins = Condition::Begins(Coding::Diagnosis, Term::new(text));
        let matches = stage.state.matches(&care(vec![begins])).unwrap();
        assert_eq!(matches.places().len(), 10, "{text}");
    }
    let hide = stage.by_patient(8, Act::Hide(rids[0]));
    stage.accept(&hide);
    let begins = Condition::Begins(Coding::Diagnosis, Term::new("E119"));
    let matches = stage.state.matches(&care(vec![begins])).unwrap();
    assert_eq!(matches.places().len(), 9);
}

/// The rows of one page.
fn rows(stage: &mut Stage, query: &Query, page: u16) -> Result<Vec<Row>, Code> {
    let query = Query {
        page,
        ..query.clone()
    };
    let call = stage.by_doctor(0, Act::Search(query));
    match stage.apply(&call) {
        Receipt::Found(answer) => Ok(answer.rows.clone()),
        Receipt::Refused(code) => Err(code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_pages_of_an_answer_are_in_one_order_and_tell_a_rounded_count() {
    let mut stage = Stage::new();
    for number in 0..98 {
        stage.record(0, 8 + number % 32);
    }
    let query = care(vec![Condition::Ages(0, 18)]);
    let mut all = Vec::new();
    for page in 0..5 {
        let rows = rows(&mut stage, &query, page).unwrap();
        assert_eq!(rows.len(), if page < 4 { PAGE } else { 15 }, "{page}");
        all.extend(rows);
    }
    assert!(all.is_sorted_by(|one, next| one.handle < next.handle));
    assert_eq!(all.len(), 95, "of 98 records in steps of five");
    assert_eq!(rows(&mut stage, &query, 5), Err(Code::BadPage));
    assert_eq!(rows(&mut stage, &query, u16::MAX), Err(Code::BadPage));
}

#[test]
fn a_handle_leads_whoever_has_the_search_back_to_the_record() {
    let mut stage = Stage::new();
    for number in 0..48 {
        stage.record(0, 8 + number % 32);
    }
    let query = care(vec![Condition::Ages(0, 18)]);
    let call = stage.by_doctor(0, Act::Search(query.clone()));
    let Call::Order(order) = call.call() else {
        panic!("a search is an order");
    };
    let mut named = BTreeSet::new();
    for page in 0..3 {
        for row in rows(&mut stage, &query, page).unwrap() {
            let rid = stage.state.found_as(order, &row.handle).unwrap();
            let (_, record) = stage.state.records.find(&rid).unwrap();
            assert_eq!(record.draft.content().summary, row.summary);
            assert!(named.insert(rid));
        }
    }
    assert_eq!(named.len(), 45);
    let all = stage.state.matches(&query).unwrap();
    let rest = all
        .places()
        .iter()
        .map(|&place| stage.state.records.at(place));
    let untold = rest.filter(|record| !named.contains(&record.draft.content().rid));
    assert_eq!(
        untold.count(),
        3,
        "left out by the rounding, without a handle"
    );
    let nobody = Err(Code::RecordNotFound);
    assert_eq!(stage.state.found_as(order, &[7; 16]), nobody);
    let other = stage.by_doctor(1, Act::Search(query.clone()));
    let Call::Order(other) = other.call() else {
        panic!("a search is an order");
    };
    let row = rows(&mut stage, &query, 0).unwrap().remove(0);
    let named = stage.state.found_as(order, &row.handle);
    (10..14).for_each(|patient| {
        stage.record(1, patient);
    });
    assert_eq!(stage.state.found_as(order, &row.handle), named, "later");
    assert_eq!(stage.state.found_as(other, &row.handle), nobody);
}
