//! Every refusal, each by a call in which exactly one thing is wrong.

mod access;
mod affairs;
mod aliases;
mod delegation;
mod form;
mod identity;
mod relations;
mod sharing;
mod signatures;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::base::crypto::Digest;
use crate::chain::validation_tests::found_by_the_ledger;
use crate::contract::call::{Order, Proof};
use crate::contract::identity::{
    AuthorityId, Doctor, DoctorId, Hospital, HospitalId, Identity, Patient, PatientId, Standing,
};
use crate::contract::message::RecordKind;
use crate::contract::order::NONCE_MAX;
use crate::contract::records::{PAYLOAD_MAX, PROPOSAL_BLOCKS};
use crate::contract::search::{Coding, Condition, Feature, Query};
use crate::contract::summary::{Sex, Summary, Term};
use crate::contract::wire;

/// Prepares a stage and makes the call that it has to refuse.
type Story = fn(&mut Stage) -> SignedCall;

fn search(stage: &mut Stage, conditions: Vec<Condition>) -> SignedCall {
    let query = Query {
        conditions,
        purpose: Purpose::Care,
        page: 0,
    };
    stage.by_doctor(0, Act::Search(query))
}

/// An enrolment of a doctor by the right authority, after a change to the doctor.
fn enrolment(stage: &mut Stage, change: fn(&mut Doctor)) -> SignedCall {
    let (by, keys) = stage.authority(1);
    let subject = KeyPair::from_seed(Digest([7; 32]));
    let mut doctor = Doctor {
        key: subject.public(),
        real_name: "Ada Newcomer".into(),
        licence: "L-new".into(),
        hid: stage.people.hospital(0).id,
        specialty: 1,
        own: Digest::ZERO,
    };
    change(&mut doctor);
    let act = enrol(Identity::Doctor(doctor));
    let call = Call::Order(Order::new(stage.terms(by, act)));
    SignedCall::signed(call, &keys, Some(&subject))
}

/// A search by a patient for everybody, not signed yet, whose handles live.
fn everybody(stage: &mut Stage, patient: u32) -> Terms {
    let query = Query {
        conditions: vec![Condition::Ages(0, 18)],
        purpose: Purpose::Care,
        page: 0,
    };
    let by = stage.patient(patient).0;
    Terms {
        valid_until: stage.height + 1000,
        ..stage.terms(by, Act::Search(query))
    }
}

/// A record by doctor 0 that patient 8 disputes.
fn disputed(stage: &mut Stage) -> RecordId {
    let rid = stage.record(0, 8);
    let dispute = stage.by_patient(8, Act::Dispute(rid));
    stage.accept(&dispute);
    rid
}

/// Changes a standing by authority.
fn standing(stage: &mut Stage, authority: u32, whom: Party, to: Standing) -> SignedCall {
    let by = stage.authority(authority);
    stage.order(&by, Act::SetStanding(whom, to))
}

fn after_standing(stage: &mut Stage, authority: u32, whom: Party, to: Standing) -> SignedCall {
    let call = standing(stage, authority, whom, to);
    stage.accept(&call);
    stage.submission(0, 8, |_| {})
}

const NOBODY: Digest = Digest::ZERO;

fn enrolled_patient(stage: &mut Stage, claim: fn(PatientId) -> PatientId) -> SignedCall {
    let (by, keys) = stage.authority(2);
    let subject = KeyPair::from_seed(Digest([9; 32]));
    let patient = Patient {
        key: subject.public(),
    };
    let pid = claim(PatientId::of(&subject.public()));
    let act = enrol(Identity::Patient(pid, patient));
    let call = Call::Order(Order::new(stage.terms(by, act)));
    SignedCall::signed(call, &keys, Some(&subject))
}

#[test]
fn every_refusal_names_its_check_and_leaves_no_trace() {
    let groups = [
        form::FORM,
        identity::IDENTITY,
        affairs::AFFAIRS,
        signatures::SIGNATURES,
        relations::RELATIONS,
        access::ACCESS,
        delegation::DELEGATION,
        sharing::SHARING,
        aliases::ALIASES,
    ];
    for (code, story) in groups.into_iter().flatten() {
        let mut stage = Stage::new();
        let call = story(&mut stage);
        stage.refuse(&call, *code);
        let asked = stage.state.query(stage.height, &call);
        assert_eq!(asked, Receipt::Refused(*code));
    }
    let by_contract = groups.into_iter().flatten().map(|(code, _)| *code);
    let by_decoder = BYTES.iter().map(|(damage, code)| {
        let mut bytes = wire::tests::hiding();
        damage(&mut bytes);
        let told = wire::decode(&bytes).map(|call| call.digest());
        assert_eq!(told, Err(*code));
        *code
    });
    let told = by_contract.chain(by_decoder).chain(found_by_the_ledger());
    let told: BTreeSet<Code> = told.collect();
    let all: BTreeSet<Code> = Code::ALL.iter().copied().collect();
    assert_eq!(told, all, "every code has its story");
}

/// What is done to the bytes of a call.
type Damage = fn(&mut Vec<u8>);

/// Bytes that no call can have, so that only reading them can be refused.
const BYTES: [(Damage, Code); 5] = [
    (|bytes| bytes[4] = b'H', Code::UnknownTx),
    (|bytes| bytes.truncate(30), Code::Malformed),
    (
        |bytes| {
            // The name of the caller comes after the word, the chain and the kind of the caller.
            bytes[8 + 24 + 3] = 31;
            bytes.remove(8 + 24 + 4);
        },
        Code::BadHashLength,
    ),
    (|bytes| bytes[8 + 12 + 11] = 9, Code::BadEnum),
    (|bytes| bytes.push(0), Code::TrailingBytes),
];

#[test]
fn of_several_failing_checks_the_first_answers() {
    let mut stage = Stage::new();
    // All at once: a bad code, lapsed, an unknown doctor, and nobody signed.
    let mut content = stage.content(0, 8);
    content.summary = Arc::new(Summary {
        diagnoses: vec![Term::new("flu")],
        ..Summary::clone(&content.summary)
    });
    content.valid_until = 1;
    content.did = DoctorId(NOBODY);
    let unsigned =
        |content: &Content| SignedCall::new(Call::Submit(Draft::new(content.clone())), None, None);
    stage.refuse(&unsigned(&content), Code::BadCode);
    content.summary = stage.content(0, 8).summary;
    stage.refuse(&unsigned(&content), Code::Expired);
    content.valid_until = 100;
    stage.refuse(&unsigned(&content), Code::UnknownDoctor);
    content.did = stage.people.doctor(0).id;
    stage.refuse(&unsigned(&content), Code::DoctorSignatureMissing);
    assert_eq!(Code::BadCode.to_string(), "E105 BadCode");
}

#[test]
fn a_hospital_enrols_and_then_employs() {
    let mut stage = Stage::new();
    let (by, keys) = stage.authority(0);
    let subject = KeyPair::from_seed(Digest([8; 32]));
    let hospital = Hospital {
        key: subject.public(),
        name: "New Hospital".into(),
        region: 9,
    };
    let act = enrol(Identity::Hospital(hospital));
    let call = Call::Order(Order::new(stage.terms(by, act)));
    let call = SignedCall::signed(call, &keys, Some(&subject));
    assert_eq!(call.signatures(), 2);
    stage.accept(&call);
    let doctor = enrolment(&mut stage, |doctor| {
        doctor.hid = HospitalId::of(&KeyPair::from_seed(Digest([8; 32])).public());
    });
    stage.accept(&doctor);
    let patient = enrolled_patient(&mut stage, |pid| pid);
    stage.accept(&patient);
    let keys = KeyPair::from_seed(Digest([9; 32]));
    let by = (Party::Patient(PatientId::of(&keys.public())), keys);
    let terms = stage.care(0, Scope::All);
    let grant = stage.order(&by, Act::Grant(terms));
    stage.accept(&grant);
}
