//! Records, grants and people from beginning to end.

use std::sync::Arc;

use super::*;
use crate::base::crypto::Digest;
use crate::contract::identity::Standing;
use crate::contract::records::Status;
use crate::contract::rules::Authentication;
use crate::contract::search::{Answer, Condition, Query};

/// Everybody of any age, asked by doctor 0.
fn everybody(stage: &mut Stage) -> Result<Answer, Code> {
    let query = Query {
        conditions: vec![Condition::Ages(0, 18)],
        purpose: Purpose::Care,
        page: 0,
    };
    let call = stage.by_doctor(0, Act::Search(query));
    let (before, height) = (stage.state.root(), stage.height);
    let asked = stage.state.query(height, &call);
    assert_eq!(stage.apply(&call), asked, "on the chain or beside it");
    assert_eq!(stage.state.root(), before, "a search only reads");
    match asked {
        Receipt::Found(answer) => Ok(Answer::clone(&answer)),
        Receipt::Refused(code) => Err(code),
        Receipt::Accepted | Receipt::Suggested(_) => panic!("a search finds or is refused"),
    }
}

/// A stage with records of just enough patients for an answer, and the last of the records.
fn just_enough() -> (Stage, RecordId) {
    let mut stage = Stage::new();
    let rids: Vec<RecordId> = (8..13).map(|patient| stage.record(0, patient)).collect();
    (stage, rids[4])
}

#[test]
fn one_step_and_two_steps_end_in_the_same_state() {
    let mut one = Stage::new();
    let mut two = Stage::new();
    let submission = one.submission(0, 8, |_| {});
    one.accept(&submission);
    let draft = two.proposal(0, 8);
    assert_ne!(one.state.root(), two.state.root());
    let confirmation = two.confirmation(&draft, 8);
    two.accept(&confirmation);
    assert_eq!(one.state.entries(), two.state.entries());
    assert_ne!(one.state.root(), two.state.root(), "by other calls");
    assert_eq!(two.state.status(&draft.content().rid), Some(Status::Active));
    two.refuse(&submission, Code::NonceUsed);
}

#[test]
fn where_the_doctor_alone_decides_nobody_asks_the_patient() {
    let mut stage = Stage::new();
    let rules = Rules {
        authentication: Authentication::DoctorOnly,
        ..Rules::default()
    };
    let dual = stage.state.clone();
    stage.state = State::genesis(&stage.people, rules);
    let both = stage.submission(0, 8, |_| {});
    let alone = SignedCall::new(both.call().clone(), both.first().cloned(), None);
    assert_eq!((both.signatures(), alone.signatures()), (2, 1));
    assert_eq!(both.size() - alone.size(), 64);
    assert_eq!(
        dual.query(10, &alone),
        Receipt::Refused(Code::PatientSignatureMissing)
    );
    let nobody = SignedCall::new(both.call().clone(), None, both.second().cloned());
    stage.refuse(&nobody, Code::DoctorSignatureMissing);
    stage.accept(&alone);
}

#[test]
fn what_only_one_party_wants_is_not_found() {
    let (mut stage, rid) = just_enough();
    assert_eq!(everybody(&mut stage).unwrap().rows.len(), 5);
    let draft = stage.proposal(0, 13);
    assert_eq!(everybody(&mut stage).unwrap().rows.len(), 5, "proposed");
    let withdraw = stage.by_doctor(0, Act::Withdraw(draft.content().rid));
    stage.accept(&withdraw);
    assert_eq!(everybody(&mut stage).unwrap().rows.len(), 5, "withdrawn");
    let hide = stage.by_patient(12, Act::Hide(rid));
    stage.accept(&hide);
    assert_eq!(everybody(&mut stage), Err(Code::TooFewResults), "hidden");
    let unhide = stage.by_patient(12, Act::Unhide(rid));
    stage.accept(&unhide);
    assert_eq!(everybody(&mut stage).unwrap().rows.len(), 5, "back");
}

#[test]
fn an_amended_record_gives_way_to_its_successor() {
    let (mut stage, rid) = just_enough();
    let call = stage.submission(4, 12, |content| content.supersedes = Some(rid));
    stage.accept(&call);
    let successor = super::rid(&call);
    assert_eq!(stage.state.status(&rid), Some(Status::Amended(successor)));
    assert_eq!(everybody(&mut stage).unwrap().rows.len(), 5);
}

#[test]
fn the_order_in_a_block_decides_between_use_and_revocation() {
    for revoked_first in [false, true] {
        let mut stage = Stage::new();
        let rid = stage.record(0, 8);
        let terms = stage.care(1, Scope::Records(vec![rid]));
        let gid = stage.granted(8, terms);
        let access = stage.by_doctor(1, Act::Access(gid, rid, Purpose::Care));
        let revoke = stage.by_patient(8, Act::Revoke(gid));
        if revoked_first {
            stage.accept(&revoke);
            stage.refuse(&access, Code::GrantRevoked);
        } else {
            stage.accept(&access);
            stage.accept(&revoke);
        }
        let readings = usize::from(!revoked_first);
        assert_eq!(stage.state.audit().len(), readings, "past readings stay");
    }
}

#[test]
fn everybody_a_grant_means_can_use_it_and_nobody_else() {
    let mut stage = Stage::new();
    let rid = stage.record(0, 8);
    let (third, sixth) = (stage.people.hospital(3).id, stage.people.patient(20).id);
    // Doctor 3 works at hospital 3 with specialty 0, doctor 7 there too with specialty 1.
    let cases = [
        (
            Grantee::Doctor(stage.people.doctor(3).id),
            [true, false, false, false],
        ),
        (Grantee::Specialty(1, third), [false, true, false, false]),
        (Grantee::Hospital(third), [false, false, true, false]),
        (Grantee::Patient(sixth), [false, false, false, true]),
    ];
    for (grantee, expected) in cases {
        let mut terms = stage.care(0, Scope::All);
        terms.grantee = grantee;
        let gid = stage.granted(8, terms);
        let askers = [
            stage.doctor(3),
            stage.doctor(7),
            stage.hospital(3),
            stage.patient(20),
        ];
        for (asker, may) in askers.iter().zip(expected) {
            let call = stage.order(asker, Act::Access(gid, rid, Purpose::Care));
            if may {
                stage.accept(&call);
            } else {
                stage.refuse(&call, Code::GrantNotYours);
            }
        }
    }
}

#[test]
fn what_was_signed_before_a_revocation_stays_and_is_shown_as_such() {
    let (mut stage, _) = just_enough();
    let (by, whom) = (stage.authority(1), stage.doctor(4).0);
    (20..25).for_each(|patient| {
        stage.record(4, patient);
    });
    let end = stage.order(&by, Act::SetStanding(whom, Standing::Ended));
    stage.accept(&end);
    let answer = everybody(&mut stage).unwrap();
    let verified = answer.rows.iter().filter(|row| row.verified).count();
    assert_eq!((answer.rows.len(), verified), (10, 5));
    stage.record(0, 25);
    let answer = everybody(&mut stage).unwrap();
    assert_eq!(
        answer.about, 10,
        "eleven, rounded down to a multiple of five"
    );
}

#[test]
fn a_frozen_patient_can_take_back_and_thaw_but_not_give() {
    let mut stage = Stage::new();
    let (me, terms) = (stage.patient(8).0, stage.care(1, Scope::All));
    let gid = stage.granted(8, terms.clone());
    let freeze = stage.by_patient(8, Act::SetStanding(me, Standing::Suspended));
    stage.accept(&freeze);
    let give = stage.by_patient(8, Act::Grant(terms.clone()));
    stage.refuse(&give, Code::PatientFrozen);
    let revoke = stage.by_patient(8, Act::Revoke(gid));
    stage.accept(&revoke);
    let thaw = stage.by_patient(8, Act::SetStanding(me, Standing::Active));
    stage.accept(&thaw);
    stage.granted(8, terms);
}

#[test]
fn research_needs_more_patients_than_care() {
    let mut stage = Stage::new();
    let ask = |stage: &mut Stage| {
        let query = Query {
            conditions: vec![Condition::Ages(0, 18)],
            purpose: Purpose::Research,
            page: 0,
        };
        let call = stage.by_doctor(0, Act::Search(query));
        stage.apply(&call)
    };
    for patient in 8..18 {
        stage.record(0, patient);
    }
    assert_eq!(ask(&mut stage), Receipt::Refused(Code::TooFewResults));
    stage.record(0, 18);
    assert!(matches!(ask(&mut stage), Receipt::Found(_)));
}

/// A proposal after a change to its content, by the doctor it names.
fn proposed(stage: &mut Stage, doctor: u32, content: Content) -> (SignedCall, Arc<Draft>) {
    let draft = Draft::new(content);
    let keys = stage.doctor(doctor).1;
    (
        SignedCall::signed(Call::Propose(draft.clone()), &keys, None),
        draft,
    )
}

#[test]
fn a_proposal_is_held_to_the_same_rule_as_a_submission() {
    let mut stage = Stage::new();
    let entered = stage.submission(0, 8, |content| {
        content.nonce = 500;
        content.payload_hash = Digest([4; 32]);
    });
    stage.accept(&entered);
    type Damage = fn(&mut Content, &Stage);
    let cases: [(Damage, Code); 7] = [
        (|c, _| c.chain += 1, Code::WrongChain),
        (|c, s| c.pid = s.people.patient(0).id, Code::SelfDealing),
        (|c, _| c.nonce = 500, Code::NonceUsed),
        (
            |c, s| {
                c.rid = s.state.records.at(0).draft.content().rid;
            },
            Code::DuplicateRid,
        ),
        (
            |c, _| c.payload_hash = Digest([4; 32]),
            Code::DuplicatePayload,
        ),
        (
            |c, s| c.hid = s.people.hospital(1).id,
            Code::DoctorNotOfHospital,
        ),
        (
            |c, _| c.supersedes = Some(RecordId(Digest([6; 32]))),
            Code::SupersedesNotFound,
        ),
    ];
    for (damage, code) in cases {
        let mut content = stage.content(0, 8);
        damage(&mut content, &stage);
        let (call, _) = proposed(&mut stage, 0, content);
        stage.refuse(&call, code);
    }
    let content = stage.content(0, 8);
    let (call, _) = proposed(&mut stage, 1, content);
    stage.refuse(&call, Code::DoctorSignatureInvalid);
}

#[test]
fn a_confirmation_looks_at_the_world_as_it_is_by_then() {
    type Meanwhile = fn(&mut Stage, &Content);
    let cases: [(Meanwhile, Code); 7] = [
        (
            |stage, _| {
                let (by, whom) = (stage.authority(1), stage.doctor(0).0);
                let end = stage.order(&by, Act::SetStanding(whom, Standing::Ended));
                stage.accept(&end);
            },
            Code::DoctorRevoked,
        ),
        (
            |stage, proposal| {
                let nonce = proposal.nonce;
                let call = stage.submission(1, 8, |content| content.nonce = nonce);
                stage.accept(&call);
            },
            Code::NonceUsed,
        ),
        (
            |stage, proposal| {
                let payload = proposal.payload_hash;
                let call = stage.submission(0, 8, |content| content.payload_hash = payload);
                stage.accept(&call);
            },
            Code::DuplicatePayload,
        ),
        (
            |stage, proposal| {
                let old = proposal.supersedes;
                let call = stage.submission(0, 8, |content| content.supersedes = old);
                stage.accept(&call);
            },
            Code::AlreadyAmended,
        ),
        (
            |stage, proposal| {
                let withdraw = stage.by_doctor(0, Act::Withdraw(proposal.rid));
                stage.accept(&withdraw);
            },
            Code::IllegalTransition,
        ),
        (
            |stage, proposal| stage.height = proposal.valid_until + 1,
            Code::Expired,
        ),
        (|stage, _| stage.height += 1001, Code::ProposalExpired),
    ];
    for (meanwhile, code) in cases {
        let mut stage = Stage::new();
        let old = stage.record(0, 8);
        let mut content = stage.content(0, 8);
        content.supersedes = Some(old);
        content.valid_until = 1_000_000;
        let (call, draft) = proposed(&mut stage, 0, content);
        stage.accept(&call);
        meanwhile(&mut stage, draft.content());
        let confirmation = stage.confirmation(&draft, 8);
        stage.refuse(&confirmation, code);
    }
}

#[test]
fn a_decided_proposal_is_decided() {
    let mut stage = Stage::new();
    let draft = stage.proposal(0, 8);
    let rid = draft.content().rid;
    let stranger = stage.by_patient(9, Act::Reject(rid));
    stage.refuse(&stranger, Code::RecordNotOfPatient);
    let confirmation = stage.confirmation(&draft, 8);
    stage.accept(&confirmation);
    for call in [
        stage.by_patient(8, Act::Reject(rid)),
        stage.by_doctor(0, Act::Withdraw(rid)),
    ] {
        stage.refuse(&call, Code::IllegalTransition);
    }
}

#[test]
fn who_may_not_act_may_not_use_what_was_granted() {
    let mut stage = Stage::new();
    let (rid, terms) = (stage.record(0, 8), stage.care(1, Scope::All));
    let gid = stage.granted(8, terms);
    let access = stage.by_doctor(1, Act::Access(gid, rid, Purpose::Care));
    let (employer, doctor) = (stage.hospital(1), stage.doctor(1).0);
    let suspend = stage.order(&employer, Act::SetStanding(doctor, Standing::Suspended));
    stage.accept(&suspend);
    stage.refuse(&access, Code::DoctorSuspended);
    let back = stage.order(&employer, Act::SetStanding(doctor, Standing::Active));
    stage.accept(&back);
    stage.accept(&access);
}
