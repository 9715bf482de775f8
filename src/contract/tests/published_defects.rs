//! Defects that published contracts for medical records have, each as a story that must not end
//! well: who may act is taken from an argument, nobody checks who asks, what does nothing
//! succeeds, a majority is half, consent is looked at too early or in part, and names run together.

use std::collections::BTreeSet;

use super::affairs::newcomer;
use super::*;
use crate::contract::affair::{Affair, Custody};
use crate::contract::call::{Order, Proof};
use crate::contract::identity::{Patient, PatientId, Standing};
use crate::contract::message::{Message, RecordKind};
use crate::contract::search::{Condition, Query};
use crate::contract::{Key, wire};

/// A defect in a few words, the check that stands against it, and the attempt.
type Attempt = (&'static str, Code, fn(&mut Stage) -> SignedCall);

/// An order in one party's name that another one signs.
fn forged(stage: &mut Stage, name: Party, keys: &KeyPair, act: Act) -> SignedCall {
    let terms = stage.terms(name, act);
    SignedCall::order(terms, keys)
}

/// Two patients, of whom the second is the only enabled custodian of the first, or one of so many.
fn recovery_by(stage: &mut Stage, enabled: u32, signing: u32) -> SignedCall {
    (10..10 + enabled).for_each(|custodian| stage.entrust(8, custodian));
    let custodians: Vec<u32> = (10..10 + signing).collect();
    stage.recovery(8, 70, &custodians)
}

/// A hospital's wish to expel an authority, with the voices of so many of so many hospitals.
fn vote_of(stage: &mut Stage, active: u32, voices: u32) -> SignedCall {
    for hospital in active..4 {
        let (by, whom) = (stage.authority(0), stage.hospital(hospital).0);
        let leave = stage.order(&by, Act::SetStanding(whom, Standing::Ended));
        stage.accept(&leave);
    }
    let id = stage.people.authority(1).id;
    let hospitals: Vec<u32> = (0..voices).collect();
    stage.decision(Affair::Expel(id), &hospitals)
}

const WHO_ASKS: &[Attempt] = &[
    (
        "the doctor is an argument, and whoever calls is believed",
        Code::DoctorSignatureInvalid,
        |s| {
            let content = s.content(0, 8);
            s.people.submission(content, 1, 8)
        },
    ),
    (
        "any client grants itself access",
        Code::PatientSignatureInvalid,
        |s| {
            let (name, keys) = (s.patient(8).0, s.doctor(0).1);
            let terms = s.care(0, Scope::All);
            forged(s, name, &keys, Act::Grant(terms))
        },
    ),
    (
        "a doctor grants access in the own name",
        Code::WrongRole,
        |s| {
            let terms = s.care(0, Scope::All);
            s.by_doctor(0, Act::Grant(terms))
        },
    ),
    (
        "anybody enables or disables a custodian",
        Code::PatientSignatureInvalid,
        |s| {
            s.entrust(8, 9);
            let (name, keys) = (s.patient(8).0, s.patient(9).1);
            let whom = s.people.patient(9).id;
            let act = Act::Affair(Affair::Entrust(Custody::Disable(whom)));
            forged(s, name, &keys, act)
        },
    ),
    (
        "anybody renames who provides for a patient",
        Code::WrongRole,
        |s| {
            let whom = s.doctor(0).0;
            s.by_patient(8, Act::SetStanding(whom, Standing::Suspended))
        },
    ),
    ("anybody removes a patient", Code::WrongRole, |s| {
        let whom = s.patient(8).0;
        s.by_doctor(0, Act::SetStanding(whom, Standing::Ended))
    }),
    (
        "registering again overwrites a patient",
        Code::IdTaken,
        |s| {
            let by = s.authority(2);
            let keys = newcomer(71);
            let patient = Patient { key: keys.public() };
            let identity = Identity::Patient(PatientId::of(&keys.public()), patient);
            let always = (0, u64::MAX);
            let first = s.enrolment(&by, identity.clone(), always, 71);
            s.accept(&first);
            s.enrolment(&by, identity, always, 71)
        },
    ),
    (
        "the patient never signs that a record is made",
        Code::PatientSignatureMissing,
        |s| {
            let draft = Draft::new(s.content(0, 8));
            let proof = Proof::sign(&s.doctor(0).1, draft.for_doctor());
            SignedCall::new(Call::Submit(draft), Some(proof), None)
        },
    ),
    (
        "the doctor alone replaces what is recorded",
        Code::PatientSignatureMissing,
        |s| {
            let rid = s.record(0, 8);
            let mut content = s.content(0, 8);
            content.supersedes = Some(rid);
            let draft = Draft::new(content);
            let proof = Proof::sign(&s.doctor(0).1, draft.for_doctor());
            SignedCall::new(Call::Submit(draft), Some(proof), None)
        },
    ),
    (
        "a treatment begins without consent",
        Code::IllegalTransition,
        |s| {
            let rid = s.proposal(0, 8).content().rid;
            let (by, second) = (0, 4);
            s.emergency([by, second], rid)
        },
    ),
];

const NO_SILENT_SUCCESS: &[Attempt] = &[
    (
        "taking back what nobody was given succeeds",
        Code::GrantNotFound,
        |s| s.by_patient(8, Act::Revoke(GrantId(Digest([1; 32])))),
    ),
    (
        "taking it back again succeeds",
        Code::NothingToRevoke,
        |s| {
            let terms = s.care(0, Scope::All);
            let gid = s.granted(8, terms);
            let revoke = s.by_patient(8, Act::Revoke(gid));
            s.accept(&revoke);
            s.by_patient(8, Act::Revoke(gid))
        },
    ),
    (
        "removing somebody who is no custodian drops the last one",
        Code::CustodianNotEnabled,
        |s| {
            s.entrust(8, 9);
            let nobody = s.people.patient(12).id;
            s.entrusting(8, Custody::Remove(nobody))
        },
    ),
    (
        "the last who may act removes the own account from the list",
        Code::NoCustodianLeft,
        |s| {
            let me = s.people.patient(8).id;
            s.entrusting(8, Custody::Remove(me))
        },
    ),
    (
        "the state is looked at before what is asked for says anything",
        Code::EmptyField,
        |s| {
            let by = s.authority(2);
            let whom = s.patient(8).0;
            let freeze = s.order(&by, Act::SetStanding(whom, Standing::Suspended));
            s.accept(&freeze);
            let terms = s.care(0, Scope::Records(Vec::new()));
            s.by_patient(8, Act::Grant(terms))
        },
    ),
    ("a list is read before its bounds", Code::BadPage, |s| {
        (8..20).for_each(|patient| _ = s.record(0, patient));
        let query = Query {
            conditions: vec![Condition::Ages(0, 18)],
            purpose: Purpose::Care,
            page: u16::MAX,
        };
        s.by_doctor(0, Act::Search(query))
    }),
];

const MAJORITIES: &[Attempt] = &[
    (
        "one of two hospitals is a majority",
        Code::QuorumNotReached,
        |s| vote_of(s, 2, 1),
    ),
    (
        "two of three hospitals are more than two thirds",
        Code::QuorumNotReached,
        |s| vote_of(s, 3, 2),
    ),
    (
        "two of four hospitals are a majority",
        Code::QuorumNotReached,
        |s| vote_of(s, 4, 2),
    ),
    (
        "one of two custodians is a majority",
        Code::QuorumNotReached,
        |s| recovery_by(s, 2, 1),
    ),
    (
        "two of four custodians are a majority",
        Code::QuorumNotReached,
        |s| recovery_by(s, 4, 2),
    ),
    (
        "nobody is a majority of nobody",
        Code::QuorumNotReached,
        |s| recovery_by(s, 0, 0),
    ),
];

const CONSENT: &[Attempt] = &[
    (
        "a remnant of a grant outlives it",
        Code::GrantRevoked,
        |s| {
            let rid = s.record(0, 8);
            let terms = s.delegable(1, Scope::All);
            let gid = s.granted(8, terms.clone());
            let part = GrantTerms {
                grantee: Grantee::Doctor(s.people.doctor(1).id),
                delegable: false,
                ..terms
            };
            let passed_on = s.by_hospital(1, Act::Delegate(gid, part));
            s.accept(&passed_on);
            let revoke = s.by_patient(8, Act::Revoke(gid));
            s.accept(&revoke);
            let part = super::gid(&passed_on);
            s.by_doctor(1, Act::Access(part, rid, Purpose::Care))
        },
    ),
    (
        "consent is looked at when it is given and not when it is used",
        Code::GrantExpired,
        |s| {
            let rid = s.record(0, 8);
            let terms = s.care(1, Scope::All);
            let gid = s.granted(8, terms);
            s.height += 101;
            s.by_doctor(1, Act::Access(gid, rid, Purpose::Care))
        },
    ),
    (
        "consent to one of several things makes the whole request pass",
        Code::RecordNotOfPatient,
        |s| {
            let (mine, another) = (s.record(0, 8), s.record(0, 9));
            let terms = s.care(1, Scope::Records(vec![mine, another]));
            s.by_patient(8, Act::Grant(terms))
        },
    ),
    (
        "consent to one record opens another",
        Code::OutOfScope,
        |s| {
            let (given, other) = (s.record(0, 8), s.record(0, 8));
            let terms = s.care(1, Scope::Records(vec![given]));
            let gid = s.granted(8, terms);
            s.by_doctor(1, Act::Access(gid, other, Purpose::Care))
        },
    ),
    (
        "one kind of document needs no consent",
        Code::OutOfScope,
        |s| {
            let call = s.submission(0, 8, |content| content.kind = RecordKind::Laboratory);
            s.accept(&call);
            let terms = s.care(1, Scope::Kinds(vec![RecordKind::Consultation]));
            let gid = s.granted(8, terms);
            s.by_doctor(1, Act::Access(gid, rid(&call), Purpose::Care))
        },
    ),
    (
        "the names of things of one kind are names of another",
        Code::RecordNotFound,
        |s| {
            let terms = s.care(1, Scope::All);
            let gid = s.granted(8, terms);
            s.by_doctor(1, Act::Access(gid, RecordId(gid.0), Purpose::Care))
        },
    ),
    (
        "a name is made of the time and so comes again",
        Code::NonceUsed,
        |s| {
            let terms = s.care(1, Scope::All);
            let call = s.by_patient(8, Act::Grant(terms));
            s.accept(&call);
            call
        },
    ),
];

#[test]
fn no_published_defect_is_one_of_this_contract() {
    let attempts = [WHO_ASKS, NO_SILENT_SUCCESS, MAJORITIES, CONSENT];
    for (defect, code, attempt) in attempts.into_iter().flatten() {
        let mut stage = Stage::new();
        let call = attempt(&mut stage);
        let before = fingerprint(&stage.state);
        assert_eq!(stage.apply(&call), Receipt::Refused(*code), "{defect}");
        assert_eq!(fingerprint(&stage.state), before, "{defect}");
    }
}

#[test]
fn consent_that_was_given_works_for_every_kind_of_document() {
    let mut stage = Stage::new();
    let terms = stage.care(1, Scope::All);
    let gid = stage.granted(8, terms);
    for kind in [
        RecordKind::Consultation,
        RecordKind::Laboratory,
        RecordKind::Prescription,
    ] {
        let call = stage.submission(0, 8, |content| content.kind = kind);
        stage.accept(&call);
        let read = stage.by_doctor(1, Act::Access(gid, rid(&call), Purpose::Care));
        stage.accept(&read);
    }
    let told: Vec<&[u8]> = vec![b"ab", b"c", b"a", b"bc"];
    let joined = |at: usize| {
        Message::empty()
            .part(told[at])
            .part(told[at + 1])
            .into_bytes()
    };
    assert_ne!(joined(0), joined(2), "names do not run together");
}

#[test]
fn what_nobody_can_ask_for_is_refused_and_not_passed_over() {
    let whole = wire::tests::hiding();
    let told = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        wire::decode(&bytes).map(|call| call.digest())
    };
    assert_eq!(told(4, b'x'), Err(Code::UnknownTx), "an action");
    assert_eq!(told(8 + 12 + 11, 9), Err(Code::BadEnum), "a kind of caller");
}

#[test]
fn one_name_is_another_key_for_every_kind_of_thing() {
    let name = Digest([7; 32]);
    let keys = [
        Key::Record(RecordId(name)),
        Key::Grant(GrantId(name)),
        Key::Share(ShareId(name)),
        Key::Access(name),
        Key::Patient(PatientId(name)),
    ];
    let digests: BTreeSet<Digest> = keys.iter().map(Key::digest).collect();
    assert_eq!(digests.len(), keys.len());
}

#[test]
fn whoever_executes_a_call_plans_the_same() {
    let (mut one, mut other) = (Stage::new(), Stage::new());
    let call = one.submission(0, 8, |_| {});
    let terms = one.care(0, Scope::All);
    let grant = Order::new(one.terms(one.patient(8).0, Act::Grant(terms)));
    let grant = SignedCall::signed(Call::Order(grant), &one.patient(8).1, None);
    for call in [call, grant] {
        let plans = [&one.state, &other.state].map(|state| state.simulate(12, &call));
        let digests = plans.map(|plan| {
            let writes = plan.writes.iter().map(crate::contract::Write::digest);
            (plan.receipt, plan.reads, writes.collect::<Vec<_>>())
        });
        assert_eq!(
            digests[0], digests[1],
            "no clock, no chance, no order of maps"
        );
        one.accept(&call);
        other.accept(&call);
    }
    assert_eq!(one.state.root(), other.state.root());
}
