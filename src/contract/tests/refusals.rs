//! Every refusal, each by a call in which exactly one thing is wrong.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::base::crypto::Digest;
use crate::contract::call::{Order, Proof};
use crate::contract::identity::{
    AuthorityId, Doctor, DoctorId, Hospital, HospitalId, Identity, Patient, PatientId, Standing,
};
use crate::contract::message::RecordKind;
use crate::contract::records::{PAYLOAD_MAX, PROPOSAL_BLOCKS};
use crate::contract::search::{Condition, Feature, Query};
use crate::contract::summary::{Sex, Summary, Term};

/// Prepares a stage and makes the call that it has to refuse.
type Story = fn(&mut Stage) -> SignedCall;

fn summarised(stage: &mut Stage, change: fn(&mut Summary)) -> SignedCall {
    stage.submission(0, 8, |content| {
        let mut summary = Summary::clone(&content.summary);
        change(&mut summary);
        content.summary = Arc::new(summary);
    })
}

const FORM: &[(Code, Story)] = &[
    (Code::EmptyField, |s| summarised(s, |x| x.diagnoses.clear())),
    (Code::EmptyField, |s| {
        let terms = s.care(0, Scope::Records(vec![]));
        s.by_patient(8, Act::Grant(terms))
    }),
    (Code::EmptyField, |s| {
        enrolment(s, |doctor| doctor.real_name.clear())
    }),
    (Code::FieldTooLong, |s| {
        enrolment(s, |doctor| doctor.licence = "L".repeat(129))
    }),
    (Code::FieldTooLong, |s| {
        let terms = s.care(0, Scope::Records(vec![RecordId(Digest::ZERO); 65]));
        s.by_patient(8, Act::Grant(terms))
    }),
    (Code::BadCode, |s| {
        summarised(s, |x| x.diagnoses[0] = Term::new("flu"))
    }),
    (Code::BadCode, |s| {
        let term = Term::new("E119");
        search(s, vec![Condition::Has(Feature::DiagnosisGroup(term))])
    }),
    (Code::TooManyCodes, |s| {
        summarised(s, |x| x.drugs = vec![Term::new("A10BA02"); 17])
    }),
    (Code::BadAgeBand, |s| summarised(s, |x| x.age_band = 19)),
    (Code::DuplicateCode, |s| {
        summarised(s, |x| x.diagnoses = vec![Term::new("I10"); 2])
    }),
    (Code::BodyTooLarge, |s| {
        s.submission(0, 8, |c| c.payload_bytes = PAYLOAD_MAX + 1)
    }),
    (Code::WrongChain, |s| {
        s.submission(0, 8, |c| c.chain = CHAIN + 1)
    }),
    (Code::WrongChain, |s| {
        let (by, keys) = s.patient(8);
        let mut terms = s.terms(by, Act::Hide(RecordId(Digest::ZERO)));
        terms.chain = CHAIN + 1;
        SignedCall::order(terms, &keys)
    }),
    (Code::Expired, |s| s.submission(0, 8, |c| c.valid_until = 9)),
    (Code::Expired, |s| {
        let (by, keys) = s.patient(8);
        let mut terms = s.terms(by, Act::Hide(RecordId(Digest::ZERO)));
        terms.valid_until = 9;
        SignedCall::order(terms, &keys)
    }),
    (Code::NotYetValid, |s| {
        let mut terms = s.care(1, Scope::All);
        terms.from += 5;
        let (rid, gid) = (s.record(0, 8), s.granted(8, terms));
        s.by_doctor(1, Act::Access(gid, rid, Purpose::Care))
    }),
    (Code::GrantTooLong, |s| {
        let mut terms = s.care(1, Scope::All);
        terms.until = s.height + 100_001;
        s.by_patient(8, Act::Grant(terms))
    }),
    (Code::BadInterval, |s| {
        let mut terms = s.care(1, Scope::All);
        terms.until = terms.from;
        s.by_patient(8, Act::Grant(terms))
    }),
    (Code::BadInterval, |s| {
        search(s, vec![Condition::Ages(5, 4)])
    }),
];

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
        standing: Standing::Active,
    };
    change(&mut doctor);
    let act = Act::Enrol(Box::new(Identity::Doctor(doctor)));
    let call = Call::Order(Order::new(stage.terms(by, act)));
    SignedCall::signed(call, &keys, Some(&subject))
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

const IDENTITY: &[(Code, Story)] = &[
    (Code::UnknownCa, |s| {
        let by = (Party::Authority(AuthorityId(NOBODY)), s.authority(0).1);
        let whom = s.doctor(0).0;
        s.order(&by, Act::SetStanding(whom, Standing::Ended))
    }),
    (Code::CertSignatureInvalid, |s| {
        let call = enrolment(s, |_| {});
        let forged = Proof::sign(&s.doctor(0).1, call.call().for_subject().unwrap());
        SignedCall::new(call.call().clone(), Some(forged), call.second().cloned())
    }),
    (Code::UnknownDoctor, |s| {
        s.submission(0, 8, |c| c.did = DoctorId(NOBODY))
    }),
    (Code::DoctorSuspended, |s| {
        let whom = s.doctor(0).0;
        after_standing(s, 1, whom, Standing::Suspended)
    }),
    (Code::DoctorRevoked, |s| {
        let whom = s.doctor(0).0;
        after_standing(s, 1, whom, Standing::Ended)
    }),
    (Code::UnknownPatient, |s| {
        s.submission(0, 8, |c| c.pid = PatientId(NOBODY))
    }),
    (Code::PatientFrozen, |s| {
        let whom = s.patient(8).0;
        let freeze = s.by_patient(8, Act::SetStanding(whom, Standing::Suspended));
        s.accept(&freeze);
        s.submission(0, 8, |_| {})
    }),
    (Code::PatientFrozen, |s| {
        let (rid, terms) = (s.record(0, 8), s.care(1, Scope::All));
        let (gid, whom) = (s.granted(8, terms), s.patient(8).0);
        let freeze = s.by_patient(8, Act::SetStanding(whom, Standing::Suspended));
        s.accept(&freeze);
        s.by_doctor(1, Act::Access(gid, rid, Purpose::Care))
    }),
    (Code::PatientClosed, |s| {
        let whom = s.patient(8).0;
        after_standing(s, 2, whom, Standing::Ended)
    }),
    (Code::UnknownHospital, |s| {
        s.submission(0, 8, |c| c.hid = HospitalId(NOBODY))
    }),
    (Code::UnknownHospital, |s| {
        enrolment(s, |doctor| doctor.hid = HospitalId(NOBODY))
    }),
    (Code::HospitalSuspended, |s| {
        let whom = s.hospital(0).0;
        after_standing(s, 0, whom, Standing::Suspended)
    }),
    (Code::HospitalClosed, |s| {
        let whom = s.hospital(0).0;
        after_standing(s, 0, whom, Standing::Ended)
    }),
    (Code::WrongRole, |s| {
        s.by_doctor(0, Act::Hide(RecordId(NOBODY)))
    }),
    (Code::WrongRole, |s| {
        let whom = s.patient(8).0;
        s.by_patient(9, Act::SetStanding(whom, Standing::Ended))
    }),
    (Code::WrongRole, |s| {
        let whom = s.doctor(0).0;
        standing(s, 2, whom, Standing::Ended)
    }),
    (Code::WrongRole, |s| {
        let (by, whom) = (s.hospital(1), s.doctor(0).0);
        s.order(&by, Act::SetStanding(whom, Standing::Ended))
    }),
    (Code::PidKeyMismatch, |s| {
        enrolled_patient(s, |pid| PatientId(pid.own_commitment()))
    }),
    (Code::LicenceTaken, |s| {
        enrolment(s, |doctor| doctor.licence = "L-000003".into())
    }),
    (Code::IdTaken, |s| {
        let call = enrolled_patient(s, |pid| pid);
        s.accept(&call);
        enrolled_patient(s, |pid| pid)
    }),
];

fn enrolled_patient(stage: &mut Stage, claim: fn(PatientId) -> PatientId) -> SignedCall {
    let (by, keys) = stage.authority(2);
    let subject = KeyPair::from_seed(Digest([9; 32]));
    let patient = Patient {
        key: subject.public(),
        // A newcomer is active, whatever the description says.
        standing: Standing::Ended,
    };
    let pid = claim(PatientId::of(&subject.public()));
    let act = Act::Enrol(Box::new(Identity::Patient(pid, patient)));
    let call = Call::Order(Order::new(stage.terms(by, act)));
    SignedCall::signed(call, &keys, Some(&subject))
}

/// The doctor's and the patient's signature, if there.
type Proofs = (Option<Proof>, Option<Proof>);

/// A submission with signatures put in by hand.
fn resigned(stage: &mut Stage, sign: fn(&Stage, &Draft) -> Proofs) -> SignedCall {
    let draft = Draft::new(stage.content(0, 8));
    let (first, second) = sign(stage, &draft);
    SignedCall::new(Call::Submit(draft), first, second)
}

fn by_doctor(stage: &Stage, message: Digest) -> Option<Proof> {
    Some(Proof::sign(&stage.doctor(0).1, message))
}

fn by_patient(stage: &Stage, message: Digest) -> Option<Proof> {
    Some(Proof::sign(&stage.patient(8).1, message))
}

const SIGNATURES: &[(Code, Story)] = &[
    (Code::DoctorSignatureMissing, |s| {
        resigned(s, |s, draft| (None, by_patient(s, draft.for_patient())))
    }),
    (Code::DoctorSignatureInvalid, |s| {
        // A signature made as a patient does not count as a doctor's, whoever made it.
        resigned(s, |s, draft| {
            let patient = by_patient(s, draft.for_patient());
            (by_doctor(s, draft.for_patient()), patient)
        })
    }),
    (Code::DoctorSignatureInvalid, |s| {
        resigned(s, |s, draft| {
            let swapped = by_doctor(s, draft.for_doctor());
            (by_patient(s, draft.for_patient()), swapped)
        })
    }),
    (Code::PatientSignatureMissing, |s| {
        resigned(s, |s, draft| (by_doctor(s, draft.for_doctor()), None))
    }),
    (Code::PatientSignatureInvalid, |s| {
        resigned(s, |s, draft| {
            let doctor = by_doctor(s, draft.for_doctor());
            (doctor, by_patient(s, draft.for_doctor()))
        })
    }),
    (Code::PatientSignatureInvalid, |s| {
        let (by, _) = s.patient(8);
        let thief = s.patient(9).1;
        s.order(&(by, thief), Act::Hide(RecordId(NOBODY)))
    }),
    (Code::SignedDifferentContent, |s| {
        let (one, other) = (s.proposal(0, 8), s.proposal(0, 8));
        let call = Call::Confirm {
            rid: one.content().rid,
            pid: one.content().pid,
            signed: other.for_patient(),
        };
        SignedCall::signed(call, &s.patient(8).1, None)
    }),
    (Code::SelfDealing, |s| s.submission(3, 3, |_| {})),
    (Code::WrongSigner, |s| {
        let by = (s.hospital(0).0, s.hospital(1).1);
        s.order(&by, Act::Revoke(GrantId(NOBODY)))
    }),
    (Code::WrongSigner, |s| {
        let call = enrolment(s, |_| {});
        SignedCall::new(call.call().clone(), call.first().cloned(), None)
    }),
    (Code::WrongSigner, |s| {
        let call = enrolment(s, |_| {});
        let message = call.call().for_subject().unwrap();
        let stranger = Proof::sign(&s.doctor(0).1, message);
        SignedCall::new(call.call().clone(), call.first().cloned(), Some(stranger))
    }),
    (Code::NonceUsed, |s| {
        let first = s.submission(0, 8, |c| c.nonce = 77);
        s.accept(&first);
        s.submission(1, 8, |c| c.nonce = 77)
    }),
    (Code::NonceUsed, |s| {
        let terms = s.care(1, Scope::All);
        let call = s.by_patient(8, Act::Grant(terms));
        s.accept(&call);
        call
    }),
    (Code::DuplicateRid, |s| {
        let rid = s.record(0, 8);
        s.submission(1, 9, |c| c.rid = rid)
    }),
    (Code::DuplicatePayload, |s| {
        let first = s.submission(0, 8, |c| c.payload_hash = Digest([5; 32]));
        s.accept(&first);
        s.submission(0, 8, |c| c.payload_hash = Digest([5; 32]))
    }),
];

const RELATIONS: &[(Code, Story)] = &[
    (Code::DoctorNotOfHospital, |s| {
        let elsewhere = s.people.hospital(1).id;
        s.submission(0, 8, |c| c.hid = elsewhere)
    }),
    (Code::RecordNotFound, |s| {
        s.by_patient(8, Act::Hide(RecordId(NOBODY)))
    }),
    (Code::RecordNotOfPatient, |s| {
        let rid = s.record(0, 8);
        s.by_patient(9, Act::Hide(rid))
    }),
    (Code::RecordNotOfPatient, |s| {
        let rid = s.record(0, 8);
        let terms = s.care(1, Scope::Records(vec![rid]));
        s.by_patient(9, Act::Grant(terms))
    }),
    (Code::RecordNotOfPatient, |s| {
        let draft = s.proposal(0, 8);
        let call = Call::Confirm {
            rid: draft.content().rid,
            pid: s.people.patient(9).id,
            signed: draft.for_patient(),
        };
        SignedCall::signed(call, &s.patient(9).1, None)
    }),
    (Code::RecordNotOfDoctor, |s| {
        let draft = s.proposal(0, 8);
        s.by_doctor(1, Act::Withdraw(draft.content().rid))
    }),
    (Code::ProposalNotFound, |s| {
        let draft = Draft::new(s.content(0, 8));
        s.confirmation(&draft, 8)
    }),
    (Code::ProposalExpired, |s| {
        let draft = s.proposal(0, 8);
        s.height += PROPOSAL_BLOCKS + 1;
        s.confirmation(&draft, 8)
    }),
    (Code::IllegalTransition, |s| {
        let rid = s.record(0, 8);
        s.by_patient(8, Act::Unhide(rid))
    }),
    (Code::IllegalTransition, |s| {
        let draft = s.proposal(0, 8);
        let reject = s.by_patient(8, Act::Reject(draft.content().rid));
        s.accept(&reject);
        s.confirmation(&draft, 8)
    }),
    (Code::IllegalTransition, |s| {
        // What only one party signed cannot be granted.
        let scope = Scope::Records(vec![s.proposal(0, 8).content().rid]);
        let terms = s.care(1, scope);
        s.by_patient(8, Act::Grant(terms))
    }),
    (Code::IllegalTransition, |s| {
        let whom = s.doctor(0).0;
        standing(s, 1, whom, Standing::Active)
    }),
    (Code::SupersedesNotFound, |s| {
        s.submission(0, 8, |c| c.supersedes = Some(RecordId(Digest([3; 32]))))
    }),
    (Code::SupersedesOtherPatient, |s| {
        let rid = s.record(0, 9);
        s.submission(0, 8, |c| c.supersedes = Some(rid))
    }),
    (Code::AlreadyAmended, |s| {
        let rid = s.record(0, 8);
        let amended = s.submission(0, 8, |c| c.supersedes = Some(rid));
        s.accept(&amended);
        s.submission(0, 8, |c| c.supersedes = Some(rid))
    }),
];

/// A record of patient 8, a changed grant to doctor 1, and the access by doctor 1.
fn accessed(stage: &mut Stage, change: fn(&mut GrantTerms)) -> SignedCall {
    let rid = stage.record(0, 8);
    let mut terms = stage.care(1, Scope::All);
    change(&mut terms);
    let gid = stage.granted(8, terms);
    stage.by_doctor(1, Act::Access(gid, rid, Purpose::Care))
}

const ACCESS: &[(Code, Story)] = &[
    (Code::GrantNotFound, |s| {
        s.by_patient(8, Act::Revoke(GrantId(NOBODY)))
    }),
    (Code::GrantNotYours, |s| {
        let terms = s.care(1, Scope::All);
        let gid = s.granted(8, terms);
        s.by_patient(9, Act::Revoke(gid))
    }),
    (Code::GrantNotYours, |s| {
        let (rid, terms) = (s.record(0, 8), s.care(1, Scope::All));
        let gid = s.granted(8, terms);
        s.by_doctor(2, Act::Access(gid, rid, Purpose::Care))
    }),
    (Code::GrantRevoked, |s| {
        let (rid, terms) = (s.record(0, 8), s.care(1, Scope::All));
        let gid = s.granted(8, terms);
        let revoke = s.by_patient(8, Act::Revoke(gid));
        s.accept(&revoke);
        s.by_doctor(1, Act::Access(gid, rid, Purpose::Care))
    }),
    (Code::GrantExpired, |s| {
        let call = accessed(s, |_| {});
        s.height += 101;
        call
    }),
    (Code::GrantExhausted, |s| {
        accessed(s, |terms| terms.max_uses = Some(0))
    }),
    (Code::OutOfScope, |s| {
        accessed(s, |terms| {
            terms.scope = Scope::Kinds(vec![RecordKind::Imaging]);
        })
    }),
    (Code::OutOfScope, |s| {
        // A grant of all records means all records of the one who grants.
        let (rid, terms) = (s.record(0, 9), s.care(1, Scope::All));
        let gid = s.granted(8, terms);
        s.by_doctor(1, Act::Access(gid, rid, Purpose::Care))
    }),
    (Code::WrongPurpose, |s| {
        accessed(s, |terms| terms.purpose = Purpose::Research)
    }),
    (Code::GranteeNotFound, |s| {
        let mut terms = s.care(1, Scope::All);
        terms.grantee = Grantee::Specialty(1, HospitalId(NOBODY));
        s.by_patient(8, Act::Grant(terms))
    }),
    (Code::NothingToRevoke, |s| {
        let terms = s.care(1, Scope::All);
        let gid = s.granted(8, terms);
        let revoke = s.by_doctor(1, Act::Revoke(gid));
        s.accept(&revoke);
        s.by_patient(8, Act::Revoke(gid))
    }),
    (Code::EmptyQuery, |s| search(s, vec![])),
    (Code::TooBroad, |s| {
        for _ in 0..=crate::contract::search::MATCHES_MAX {
            s.record(0, 8);
        }
        search(s, vec![Condition::Ages(0, 18)])
    }),
    (Code::TooFewResults, |s| {
        // Many records, but of four patients only.
        for number in 0..40 {
            s.record(0, 8 + number % 4);
        }
        search(s, vec![Condition::Ages(0, 18)])
    }),
    (Code::TooFewResults, |s| {
        search(s, vec![Condition::Has(Feature::Sex(Sex::Other))])
    }),
    (Code::BadPage, |s| {
        for patient in 8..16 {
            s.record(0, patient);
        }
        let query = Query {
            conditions: vec![Condition::Ages(0, 18)],
            purpose: Purpose::Care,
            page: 1,
        };
        s.by_doctor(0, Act::Search(query))
    }),
];

#[test]
fn every_refusal_names_its_check_and_leaves_no_trace() {
    let groups = [FORM, IDENTITY, SIGNATURES, RELATIONS, ACCESS];
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
    assert_eq!(told, numbers(), "every code has its story");
}

/// The numbers of all codes, read from their definition.
fn numbers() -> BTreeSet<u16> {
    let source = include_str!("../error.rs");
    source
        .lines()
        .filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = "))
        .map(|(_, number)| number.parse().unwrap())
        .collect()
}

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
        standing: Standing::Ended,
    };
    let act = Act::Enrol(Box::new(Identity::Hospital(hospital)));
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
