//! What searches must not tell.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::base::crypto::Digest;
use crate::base::random::{Random, Stream};
use crate::contract::search::{Answer, Coding, Condition, Feature, Query};
use crate::contract::summary::{Outcome, Sex, Summary, Term};

fn care(conditions: &[Condition]) -> Query {
    Query {
        conditions: conditions.to_vec(),
        purpose: Purpose::Care,
        page: 0,
    }
}

/// A stage whose rules differ.
fn ruled(change: fn(&mut Rules)) -> Stage {
    let mut stage = Stage::new();
    change(&mut stage.state.rules);
    stage
}

/// Enters a record of a patient with a summary after a change.
fn enter(stage: &mut Stage, patient: u32, change: impl FnOnce(&mut Summary)) -> RecordId {
    let call = stage.submission(0, patient, |content| {
        let mut summary = Summary::clone(&content.summary);
        change(&mut summary);
        content.summary = Arc::new(summary);
    });
    stage.accept(&call);
    rid(&call)
}

fn found(receipt: Receipt) -> Result<Arc<Answer>, Code> {
    match receipt {
        Receipt::Found(answer) => Ok(answer),
        Receipt::Refused(code) => Err(code),
        other => panic!("{other:?}"),
    }
}

/// An answer to doctor 0, with handles of this number.
fn audited(stage: &mut Stage, doctor: u32, query: &Query, salt: u64) -> Result<Arc<Answer>, Code> {
    let (by, keys) = stage.doctor(doctor);
    let mut terms = stage.terms(by, Act::AuditedSearch(query.clone()));
    terms.valid_until += salt;
    found(stage.apply(&SignedCall::order(terms, &keys)))
}

/// Fourteen patients who take a drug, and one who does not. All are told apart by department.
fn one_without_a_drug(stage: &mut Stage) -> (Query, Query) {
    let (drug, diagnosis) = (Term::new("A10BA02"), Term::new("E119"));
    for patient in 8..23 {
        enter(stage, patient, |summary| {
            summary.diagnoses = vec![diagnosis];
            summary.drugs = if patient == 13 { vec![] } else { vec![drug] };
            summary.department = patient as u8;
        });
    }
    let all = Condition::Has(Feature::Diagnosis(diagnosis));
    let but_one = Condition::Has(Feature::Drug(drug));
    (care(&[all]), care(&[all, but_one]))
}

/// The departments in all rows that a doctor gets to see by asking often.
fn departments(stage: &mut Stage, query: &Query) -> BTreeSet<u8> {
    (0..40)
        .flat_map(|salt| {
            let answer = audited(stage, 0, query, salt).unwrap();
            let rows = answer.rows.iter();
            rows.map(|row| row.summary.department).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn two_answers_isolate_a_patient_where_nothing_guards() {
    let mut stage = Stage::new();
    let (all, but_one) = one_without_a_drug(&mut stage);
    let whole = departments(&mut stage, &all);
    let rest = departments(&mut stage, &but_one);
    let isolated: Vec<u8> = whole.difference(&rest).copied().collect();
    assert_eq!(isolated, [13], "the one who does not take the drug");
}

#[test]
fn the_difference_guard_refuses_the_second_of_two_near_questions() {
    let mut stage = ruled(|rules| rules.difference_guard = true);
    let (all, but_one) = one_without_a_drug(&mut stage);
    let (first, second) = (&all, &but_one);
    for (one, other) in [(first, second), (second, first)] {
        let mut stage = stage.clone();
        assert!(audited(&mut stage, 0, one, 0).is_ok());
        let root = stage.state.root();
        assert_eq!(audited(&mut stage, 0, other, 0), Err(Code::TooFewResults));
        assert_eq!(stage.state.root(), root);
        assert!(audited(&mut stage, 0, one, 1).is_ok(), "the same set again");
        assert!(
            audited(&mut stage, 1, other, 0).is_ok(),
            "by another doctor"
        );
    }
    // One patient more, and the same question is another one.
    assert!(audited(&mut stage, 0, first, 0).is_ok());
    let rid = enter(&mut stage, 30, |summary| {
        summary.diagnoses = vec![Term::new("E119")];
    });
    assert_eq!(audited(&mut stage, 0, first, 0), Err(Code::TooFewResults));
    let hide = stage.by_patient(30, Act::Hide(rid));
    stage.accept(&hide);
    assert!(audited(&mut stage, 0, first, 0).is_ok());
}

#[test]
fn the_guard_forgets_a_set_after_a_hundred_others() {
    let mut stage = ruled(|rules| rules.difference_guard = true);
    let (all, but_one) = one_without_a_drug(&mut stage);
    for number in 0..110_u16 {
        for patient in 24..29 {
            enter(&mut stage, patient, |summary| summary.quarter = number);
        }
    }
    let other = |number| care(&[Condition::Has(Feature::Quarter(number))]);
    assert!(audited(&mut stage, 0, &all, 0).is_ok());
    for number in 0..99 {
        assert!(audited(&mut stage, 0, &other(number), 0).is_ok());
    }
    assert_eq!(
        audited(&mut stage, 0, &but_one, 0),
        Err(Code::TooFewResults)
    );
    assert!(audited(&mut stage, 0, &other(99), 0).is_ok());
    assert!(audited(&mut stage, 0, &but_one, 0).is_ok());
}

#[test]
fn a_budget_is_spent_by_answers_and_comes_back_with_time() {
    let mut stage = ruled(|rules| rules.query_budget = Some(3));
    let (all, but_one) = one_without_a_drug(&mut stage);
    let nothing = care(&[Condition::Has(Feature::Sex(Sex::Other))]);
    for _ in 0..3 {
        assert_eq!(
            audited(&mut stage, 0, &nothing, 0),
            Err(Code::TooFewResults)
        );
        assert!(audited(&mut stage, 0, &all, 0).is_ok());
    }
    let spent = Err(Code::QueryBudgetExceeded);
    assert_eq!(audited(&mut stage, 0, &but_one, 0), spent);
    assert!(
        audited(&mut stage, 1, &all, 0).is_ok(),
        "each has an own one"
    );
    stage.height += 999;
    assert_eq!(audited(&mut stage, 0, &all, 0), spent);
    stage.height += 1;
    assert!(audited(&mut stage, 0, &all, 0).is_ok());
}

#[test]
fn what_has_to_be_counted_is_not_told_before() {
    let mut stage = ruled(|rules| rules.query_budget = Some(3));
    let (all, _) = one_without_a_drug(&mut stage);
    for act in [Act::Search(all.clone()), Act::Suggest(all.clone())] {
        let call = stage.by_doctor(0, act);
        stage.refuse(&call, Code::QueryBudgetExceeded);
        let asked = stage.state.query(stage.height, &call);
        assert_eq!(asked, Receipt::Refused(Code::QueryBudgetExceeded));
    }
    let call = stage.by_doctor(0, Act::AuditedSearch(all));
    let asked = stage.state.query(stage.height, &call);
    assert_eq!(asked, Receipt::Accepted, "without the answer");
    assert!(found(stage.apply(&call)).is_ok());
    stage.refuse(&call, Code::NonceUsed);
}

/// Conditions as somebody might think of them who knows a case.
fn conditions(random: &mut Random, like: &Summary) -> Vec<Condition> {
    let mut all = vec![
        Condition::Has(Feature::Diagnosis(like.diagnoses[0])),
        Condition::Begins(Coding::Diagnosis, like.diagnoses[0].group()),
        Condition::Has(Feature::Drug(like.drugs[0])),
        Condition::Has(Feature::Sex(like.sex)),
        Condition::Has(Feature::Outcome(like.outcome)),
        Condition::Ages(like.age_band.saturating_sub(4), like.age_band + 4),
        Condition::Quarters(like.quarter - 3, like.quarter + 3),
    ];
    all.retain(|_| random.below(3) == 0);
    all
}

#[test]
fn no_answer_holds_a_name_of_anything() {
    let mut stage = Stage::new();
    for number in 0..150 {
        stage.record(number % 8, 8 + number % 32);
    }
    let mut secrets: BTreeSet<[u8; 8]> = BTreeSet::new();
    for record in stage.state.records.iter() {
        let content = record.draft.content();
        let key = stage.state.directory.patient_at(record.patient).key;
        let names = [content.rid.0, content.pid.0, content.did.0, content.hid.0];
        let more = [content.payload_hash, content.contact, Digest(key.0)];
        for secret in names.into_iter().chain(more) {
            // A quarter of a name would be one too.
            let parts = secret.0.chunks_exact(8);
            secrets.extend(parts.map(|part| <[u8; 8]>::try_from(part).unwrap()));
        }
    }
    let mut random = Random::new(3, Stream::Test);
    let (mut answers, mut handles) = (0, BTreeSet::new());
    for turn in 0..400_u64 {
        let place = random.below(150) as u32;
        let like = stage
            .state
            .records
            .at(place)
            .draft
            .content()
            .summary
            .clone();
        let query = care(&conditions(&mut random, &like));
        let (by, keys) = stage.doctor((turn % 8) as u32);
        let mut terms = stage.terms(by, Act::Search(query));
        terms.valid_until += turn;
        let Ok(answer) = found(stage.apply(&SignedCall::order(terms, &keys))) else {
            continue;
        };
        answers += 1;
        let mut bytes = answer.about.to_be_bytes().to_vec();
        for row in &answer.rows {
            assert!(handles.insert(row.handle), "no handle comes twice");
            bytes.extend_from_slice(&row.handle);
            bytes.extend_from_slice(row.summary.message().bytes());
            bytes.extend_from_slice(&[row.region, row.verified.into(), row.disputed.into()]);
        }
        let leak = bytes.windows(8).find(|window| secrets.contains(*window));
        assert_eq!(leak, None, "{answer:?}");
        let text = format!("{answer:?}");
        let leaks = |part: &[u8; 8]| text.contains(&format!("{part:02x?}").replace(", ", ""));
        assert!(!secrets.iter().any(leaks));
    }
    assert!(answers > 100, "{answers}");
}

/// Asks what to add and adds it, until nothing can be added; tells the sizes on the way.
fn narrowed(stage: &mut Stage, mut query: Query) -> (Query, Vec<usize>) {
    let size = |stage: &Stage, query: &Query| {
        let (places, _) = stage.state.index.matching(query, usize::MAX);
        let whose = |place: &u32| stage.state.records.at(*place).patient;
        places.iter().map(whose).collect::<BTreeSet<u32>>().len()
    };
    let mut sizes = vec![size(stage, &query)];
    loop {
        let call = stage.by_doctor(0, Act::Suggest(query.clone()));
        match stage.apply(&call) {
            Receipt::Suggested(condition) => query.conditions.push(condition),
            Receipt::Refused(Code::TooFewResults | Code::FieldTooLong) => return (query, sizes),
            other => panic!("{other:?}"),
        }
        sizes.push(size(stage, &query));
    }
}

#[test]
fn suggestions_lead_to_a_small_answer_in_few_steps() {
    let mut stage = Stage::new();
    for number in 0..600 {
        stage.record(0, 8 + number * 7 % 32);
    }
    for start in [
        Condition::Ages(0, 18),
        Condition::Has(Feature::Sex(Sex::Female)),
        Condition::Begins(Coding::Diagnosis, Term::new("I10")),
    ] {
        let (query, sizes) = narrowed(&mut stage, care(&[start]));
        assert!(sizes.is_sorted_by(|one, next| one > next), "{sizes:?}");
        assert!(query.conditions.len() <= 3, "{query:?}");
        let last = *sizes.last().unwrap();
        assert!((5..=7).contains(&last), "{sizes:?} {query:?}");
    }
}

#[test]
fn suggestions_pass_over_what_too_few_have() {
    let mut stage = Stage::new();
    // Every case has a department of its own; only the outcome tells groups apart.
    for patient in 8..24 {
        enter(&mut stage, patient, |summary| {
            *summary = Summary {
                diagnoses: vec![Term::new("E119")],
                procedures: vec![],
                drugs: vec![],
                sex: Sex::Female,
                age_band: 3,
                quarter: 8100,
                outcome: if patient < 18 {
                    Outcome::Cured
                } else {
                    Outcome::Worse
                },
                department: patient as u8,
            };
        });
    }
    let mut suggest = |conditions: &[Condition]| {
        let call = stage.by_doctor(0, Act::Suggest(care(conditions)));
        stage.apply(&call)
    };
    let all = Condition::Has(Feature::Age(3));
    let worse = Condition::Has(Feature::Outcome(Outcome::Worse));
    assert_eq!(suggest(&[all]), Receipt::Suggested(worse), "six of sixteen");
    let refused = |code| Receipt::Refused(code);
    assert_eq!(suggest(&[all, worse]), refused(Code::TooFewResults));
    let nobody = Condition::Has(Feature::Age(4));
    assert_eq!(suggest(&[nobody]), refused(Code::TooFewResults));
    assert_eq!(suggest(&[]), refused(Code::EmptyQuery));
    assert_eq!(suggest(&[all; 6]), refused(Code::FieldTooLong));
    let short = Condition::Begins(Coding::Drug, Term::new("A1"));
    assert_eq!(suggest(&[short]), refused(Code::UnknownFeature));
}
