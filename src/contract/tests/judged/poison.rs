//! Calls that nobody in good faith makes: far too long, at the ends of all numbers, of nothing.

use std::sync::Arc;

use super::super::*;
use super::{By, Judges};
use crate::contract::affair::{Affair, Custody};
use crate::contract::call::{Order, Proof};
use crate::contract::identity::{DoctorId, PatientId, Standing};
use crate::contract::message::RecordKind;
use crate::contract::search::{Coding, Condition, Feature, Query};
use crate::contract::summary::{Summary, Term};

/// Far more than anything may list.
const MANY: usize = 20_000;

fn summaries() -> Vec<Summary> {
    let sound = Stage::new().people.content(0, 8, 1).summary;
    let sound = Summary::clone(&sound);
    let with = |change: fn(&mut Summary)| {
        let mut summary = sound.clone();
        change(&mut summary);
        summary
    };
    vec![
        with(|s| s.diagnoses = vec![Term::new("E119"); MANY]),
        with(|s| s.drugs = vec![Term::new("A10BA02"); MANY]),
        with(|s| s.procedures = (0..MANY).map(|n| Term::new(&format!("{n:07}"))).collect()),
        with(|s| s.diagnoses.clear()),
        with(|s| s.diagnoses = vec![Term::new("")]),
        with(|s| s.diagnoses = vec![Term::new("\u{0}\u{ffff}")]),
        with(|s| s.age_band = u8::MAX),
        with(|s| (s.quarter, s.department) = (u16::MAX, u8::MAX)),
    ]
}

fn queries() -> Vec<Query> {
    let query = |conditions: Vec<Condition>, page| Query {
        conditions,
        purpose: Purpose::Care,
        page,
    };
    vec![
        query(vec![], 0),
        query(vec![Condition::Ages(0, u8::MAX); MANY], 0),
        query(vec![Condition::Ages(0, u8::MAX)], u16::MAX),
        query(vec![Condition::Ages(u8::MAX, 0)], 0),
        query(vec![Condition::Quarters(u16::MAX, 0)], 0),
        query(vec![Condition::Quarters(0, u16::MAX); 6], 1),
        query(vec![Condition::Begins(Coding::Drug, Term::new(""))], 0),
        query(
            vec![Condition::Begins(Coding::Diagnosis, Term::new("A0000000"))],
            0,
        ),
        query(vec![Condition::Has(Feature::Department(u8::MAX))], 0),
        query(
            vec![Condition::Has(Feature::Diagnosis(Term::new("\u{1}")))],
            0,
        ),
    ]
}

fn grants(stage: &Stage) -> Vec<GrantTerms> {
    let care = stage.care(0, Scope::All);
    let nothing = RecordId(Digest::ZERO);
    vec![
        GrantTerms {
            scope: Scope::Records(vec![nothing; MANY]),
            ..care.clone()
        },
        GrantTerms {
            scope: Scope::Kinds(vec![RecordKind::Imaging; MANY]),
            ..care.clone()
        },
        GrantTerms {
            scope: Scope::Records(Vec::new()),
            ..care.clone()
        },
        GrantTerms {
            until: u64::MAX,
            ..care.clone()
        },
        GrantTerms {
            from: u64::MAX,
            until: u64::MAX,
            ..care.clone()
        },
        GrantTerms {
            from: u64::MAX,
            until: 0,
            ..care.clone()
        },
        GrantTerms {
            max_uses: Some(0),
            ..care.clone()
        },
        GrantTerms {
            max_uses: Some(u32::MAX),
            ..care
        },
    ]
}

/// What somebody may ask for, at its worst.
fn acts(stage: &Stage, rid: RecordId, gid: GrantId) -> Vec<Act> {
    let nothing = Digest::ZERO;
    let mut acts: Vec<Act> = grants(stage).into_iter().map(Act::Grant).collect();
    acts.extend(
        grants(stage)
            .into_iter()
            .map(|terms| Act::Delegate(gid, terms)),
    );
    for query in queries() {
        acts.push(Act::Search(query.clone()));
        acts.push(Act::AuditedSearch(query.clone()));
        acts.push(Act::Suggest(query.clone()));
        let search = Order::new(Terms {
            chain: 1,
            by: stage.patient(8).0,
            act: Act::Search(query),
            nonce: u64::MAX,
            valid_until: u64::MAX,
        });
        // A search for a search, and so on.
        let ask = |search| Act::AskContact {
            search,
            handle: [0xff; 16],
        };
        let nested = Order::new(Terms {
            act: ask(search.clone()),
            ..search.terms().clone()
        });
        acts.extend([ask(search), ask(nested)]);
    }
    acts.extend([
        Act::Access(gid, rid, Purpose::Research),
        Act::Access(gid, RecordId(nothing), Purpose::Care),
        Act::Access(GrantId(rid.0), RecordId(gid.0), Purpose::Emergency),
        Act::Emergency {
            rid: RecordId(nothing),
            second: DoctorId(nothing),
        },
        Act::DeliverShare(ShareId(gid.0), nothing),
        Act::SetStanding(Party::Patient(PatientId(nothing)), Standing::Ended),
        Act::Affair(Affair::Entrust(Custody::Remove(PatientId(nothing)))),
        Act::Affair(Affair::Certify(
            stage.patient(8).0,
            Validity {
                from: u64::MAX,
                until: 0,
            },
        )),
    ]);
    acts
}

/// All of these calls, by anybody, with the worst numbers and with far too many signatures.
fn poison(stage: &mut Stage, rid: RecordId, gid: GrantId) -> Vec<SignedCall> {
    let mut calls = Vec::new();
    for summary in summaries() {
        calls.push(stage.submission(0, 8, |content| content.summary = Arc::new(summary)));
    }
    let worst: [fn(&mut Content); 5] = [
        |content| content.nonce = u64::MAX,
        |content| content.payload_bytes = u64::MAX,
        |content| (content.valid_until, content.chain) = (0, u32::MAX),
        |content| content.supersedes = Some(content.rid),
        |content| content.hid.0 = Digest([0xff; 32]),
    ];
    calls.extend(worst.map(|change| stage.submission(0, 8, change)));
    for act in acts(stage, rid, gid) {
        for by in [stage.patient(8), stage.hospital(0), stage.authority(0)] {
            let terms = Terms {
                valid_until: u64::MAX,
                ..stage.terms(by.0, act.clone())
            };
            calls.push(SignedCall::order(terms, &by.1));
        }
    }
    let (party, keys) = stage.patient(9);
    let proof = Proof::sign(&keys, Digest::ZERO);
    let crowd = vec![(party, proof.clone()); 2_000];
    let small = stage.submission(0, 8, |_| {}).call().clone();
    calls.push(SignedCall::with_further(
        small.clone(),
        None,
        None,
        crowd.clone(),
    ));
    calls.push(SignedCall::with_further(small, Some(proof), None, crowd));
    calls
}

#[test]
fn no_call_and_no_height_makes_the_contract_fail() {
    for height in [0, 1, 10, u64::MAX - 1, u64::MAX] {
        let mut stage = Stage::new();
        let mut judges = Judges::new(&stage, By::All);
        let mut run = |stage: &mut Stage, call: &SignedCall| {
            let done = judges.execute(&mut stage.state, height, call);
            done.unwrap_or_else(|objection| panic!("{objection:?}"))
        };
        let record = stage.submission(0, 8, |_| {});
        run(&mut stage, &record);
        let terms = GrantTerms {
            from: height.saturating_sub(1),
            until: height,
            ..stage.delegable(0, Scope::All)
        };
        let grant = stage.by_patient(8, Act::Grant(terms));
        run(&mut stage, &grant);
        let mut refused = 0;
        let calls = poison(&mut stage, rid(&record), gid(&grant));
        for call in &calls {
            refused += u32::from(matches!(run(&mut stage, call), Receipt::Refused(_)));
        }
        assert!(
            refused as usize * 10 > calls.len() * 8,
            "{refused} of {}",
            calls.len()
        );
        assert!(judges.finish(&stage.state).is_none());
    }
}
