//! Every refusal, each by a call in which exactly one thing is wrong.

mod access;
mod affairs;
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
use crate::contract::call::{Order, Proof};
use crate::contract::identity::{
    AuthorityId, Doctor, DoctorId, Hospital, HospitalId, Identity, Patient, PatientId, Standing,
};
use crate::contract::message::RecordKind;
use crate::contract::order::NONCE_MAX;
use crate::contract::records::{PAYLOAD_MAX, PROPOSAL_BLOCKS};
use crate::contract::search::{Coding, Condition, Feature, Query};
use crate::contract::summary::{Sex, Summary, Term};

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
    ];
    for (code, story) in groups.into_iter().flatten() {
        let mut stage = Stage::new();
        let call = story(&mut stage);
        stage.refuse(&call, *code);
        let asked = stage.state.query(stage.height, &call);
        assert_eq!(asked, Receipt::Refused(*code));
    }
    let told: BTreeSet<u16> = groups
        .into_iter()
        .flatten()
        .map(|(code, _)| code.number())
        .collect();
    let untold: Vec<Code> = Code::ALL
        .iter()
        .copied()
        .filter(|code| !told.contains(&code.number()))
        .collect();
    assert_eq!(untold, UNREACHED, "every code has its story");
}

/// Codes that no call meets: of decoding, and of the ledger.
const UNREACHED: [Code; 10] = [
    Code::UnknownTx,
    Code::BadHashLength,
    Code::BadEnum,
    Code::TrailingBytes,
    Code::DuplicateTx,
    Code::MvccConflict,
    Code::PhantomConflict,
    Code::EndorsementMissing,
    Code::EndorsementMismatch,
    Code::WrongShard,
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
