//! The accounts of patients: keys that change, and custodians.

use super::*;

/// Patients 8 to 12 and their records, of which the last one is told: just enough to be found.
fn five_patients(stage: &mut Stage) -> RecordId {
    let rids: Vec<RecordId> = (8..13).map(|patient| stage.record(0, patient)).collect();
    rids[0]
}

fn find(stage: &mut Stage) -> Receipt {
    let query = Query {
        conditions: vec![Condition::Ages(0, 18)],
        purpose: Purpose::Care,
        page: 0,
    };
    let call = stage.by_doctor(0, Act::Search(query));
    stage.apply(&call)
}

#[test]
fn a_new_key_speaks_for_the_old_records() {
    let mut stage = Stage::new();
    let rid = five_patients(&mut stage);
    let terms = stage.care(1, Scope::All);
    let gid = stage.granted(8, terms);
    let (old, new) = (stage.patient(8), patient_with(&newcomer(70)));
    let call = stage.rotation(&old, 70, false);
    stage.accept(&call);
    // The old name is at its end, and says who came after.
    let hide = stage.order(&old, Act::Hide(rid));
    stage.refuse(&hide, Code::PatientClosed);
    let record = stage.submission(0, 8, |_| {});
    stage.refuse(&record, Code::PatientClosed);
    let (Party::Patient(was), Party::Patient(is)) = (old.0, new.0) else {
        unreachable!()
    };
    assert_eq!(stage.state.patient_key(&was), Some(&old.1.public()));
    assert_eq!(stage.state.patient_key(&is), Some(&new.1.public()));
    assert_eq!(stage.state.successor(&was), Some(is));
    assert_eq!(stage.state.successor(&is), None);
    let root = stage.state.root();
    for key in [Key::Patient(was), Key::Patient(is)] {
        let (proof, entry) = (stage.state.prove(&key).unwrap(), stage.state.entry(&key));
        assert!(entry.is_some() && verify(&root, &key.digest(), entry, &proof));
    }
    // Records follow, and grants stay.
    let read = stage.by_doctor(1, Act::Access(gid, rid, Purpose::Care));
    stage.accept(&read);
    for act in [Act::Hide(rid), Act::Unhide(rid), Act::Revoke(gid)] {
        let call = stage.order(&new, act);
        stage.accept(&call);
    }
    let terms = stage.care(2, Scope::Records(vec![rid]));
    let grant = stage.order(&new, Act::Grant(terms));
    stage.accept(&grant);
    let read = stage.by_doctor(2, Act::Access(super::gid(&grant), rid, Purpose::Care));
    stage.accept(&read);
}

#[test]
fn a_patient_with_a_new_key_is_still_one_patient() {
    let mut stage = Stage::new();
    for patient in 8..12 {
        stage.record(0, patient);
    }
    assert_eq!(find(&mut stage), Receipt::Refused(Code::TooFewResults));
    let (old, new) = (stage.patient(8), newcomer(70));
    let call = stage.rotation(&old, 70, false);
    stage.accept(&call);
    let mut content = stage.content(0, 8);
    content.pid = PatientId::of(&new.public());
    let doctor = stage.doctor(0).1;
    let call = SignedCall::signed(Call::Submit(Draft::new(content)), &doctor, Some(&new));
    stage.accept(&call);
    // Four people have five records under five names.
    assert_eq!(find(&mut stage), Receipt::Refused(Code::TooFewResults));
    stage.record(0, 12);
    assert!(matches!(find(&mut stage), Receipt::Found(_)));
}

#[test]
fn a_doctor_does_not_become_somebody_else_by_a_new_key() {
    let mut stage = Stage::new();
    let own = stage.patient(3);
    for (by, to) in [(own, 70), (patient_with(&newcomer(70)), 71)] {
        let call = stage.rotation(&by, to, false);
        stage.accept(&call);
        let new = newcomer(to);
        let mut content = stage.content(3, 8);
        content.pid = PatientId::of(&new.public());
        let doctor = stage.doctor(3).1;
        let call = SignedCall::signed(Call::Submit(Draft::new(content)), &doctor, Some(&new));
        stage.refuse(&call, Code::SelfDealing);
    }
}

#[test]
fn all_grants_can_end_with_the_old_key() {
    let mut stage = Stage::new();
    let rid = stage.record(0, 8);
    let terms = stage.care(1, Scope::All);
    let gid = stage.granted(8, terms);
    let delegable = stage.delegable(1, Scope::All);
    let parent = stage.granted(8, delegable);
    let child = stage.care(5, Scope::All);
    let child = stage.by_hospital(1, Act::Delegate(parent, child));
    stage.accept(&child);
    let others = stage.care(1, Scope::All);
    let others = stage.granted(9, others);
    let old = stage.patient(8);
    let call = stage.rotation(&old, 70, true);
    stage.accept(&call);
    for (doctor, gid) in [(1, gid), (5, super::gid(&child))] {
        let read = stage.by_doctor(doctor, Act::Access(gid, rid, Purpose::Care));
        stage.refuse(&read, Code::GrantRevoked);
        assert!(stage.state.is_revoked(&gid));
    }
    let new = patient_with(&newcomer(70));
    let revoke = stage.order(&new, Act::Revoke(gid));
    stage.refuse(&revoke, Code::NothingToRevoke);
    // What the new key grants counts, and what others granted.
    let terms = stage.care(1, Scope::All);
    let grant = stage.order(&new, Act::Grant(terms));
    stage.accept(&grant);
    let read = stage.by_doctor(1, Act::Access(super::gid(&grant), rid, Purpose::Care));
    stage.accept(&read);
    assert!(!stage.state.is_revoked(&others));
}

#[test]
fn a_lost_key_is_replaced_by_authority_and_custodians_together() {
    let mut stage = Stage::new();
    let rid = stage.record(0, 8);
    let alone = stage.recovery(8, 70, &[]);
    stage.refuse(&alone, Code::QuorumNotReached);
    for custodian in 9..13 {
        stage.entrust(8, custodian);
    }
    // Strictly more than half of four are three, each counted once.
    for few in [&[9][..], &[9, 10], &[9, 10, 10], &[9, 10, 20]] {
        let call = stage.recovery(8, 70, few);
        stage.refuse(&call, Code::QuorumNotReached);
    }
    let strangers = stage.recovery(8, 70, &[9, 10, 11, 20]);
    stage.refuse(&strangers, Code::WrongSigner);
    // Of two who are enabled both are needed.
    for custodian in [11, 12] {
        let pid = stage.people.patient(custodian).id;
        let call = stage.entrusting(8, Custody::Disable(pid));
        stage.accept(&call);
    }
    for few in [&[9][..], &[9, 11, 12]] {
        let call = stage.recovery(8, 70, few);
        stage.refuse(&call, Code::QuorumNotReached);
    }
    let call = stage.recovery(8, 70, &[9, 10]);
    stage.accept(&call);
    let new = patient_with(&newcomer(70));
    let hide = stage.order(&new, Act::Hide(rid));
    stage.accept(&hide);
    // The custodians are the same for the new name.
    let by = (new.0, stage.patient(9).1);
    let call = Call::Order(Order::new(stage.terms(by.0, Act::Unhide(rid))));
    let call = SignedCall::entrusted(call, None, stage.people.patient(9).id, &by.1);
    stage.accept(&call);
}

#[test]
fn an_account_that_the_authority_has_frozen_the_authority_thaws() {
    let mut stage = Stage::new();
    let whom = stage.patient(8).0;
    let by = stage.authority(2);
    let freeze = stage.order(&by, Act::SetStanding(whom, Standing::Suspended));
    stage.accept(&freeze);
    // Whoever has stolen the key can neither thaw the account nor take it along.
    let thaw = stage.by_patient(8, Act::SetStanding(whom, Standing::Active));
    stage.refuse(&thaw, Code::PatientFrozen);
    let thief = stage.patient(8);
    let rotate = stage.rotation(&thief, 70, false);
    stage.refuse(&rotate, Code::PatientFrozen);
    let thaw = stage.order(&by, Act::SetStanding(whom, Standing::Active));
    stage.accept(&thaw);
    // What the patient has frozen the patient thaws.
    for standing in [Standing::Suspended, Standing::Active] {
        let call = stage.by_patient(8, Act::SetStanding(whom, standing));
        stage.accept(&call);
    }
}

#[test]
fn custodians_sign_for_their_patient_and_are_named() {
    let mut stage = Stage::new();
    stage.entrust(8, 9);
    let custodian = stage.people.patient(9).id;
    let call = stage.submission_for(8, 9);
    assert_eq!(call.signatures(), 2);
    stage.accept(&call);
    let (_, record) = stage.state.records.find(&rid(&call)).unwrap();
    assert_eq!(record.custodian, Some(custodian));
    let signed = record.draft.for_patient();
    let key = stage.people.patient(9).keys.public();
    assert!(key.verify(&signed.0, &record.by_patient.as_ref().unwrap().signature()));
    // A proposal is confirmed, and a grant given, in the same way.
    let draft = stage.proposal(0, 8);
    let confirm = Call::Confirm {
        rid: draft.content().rid,
        pid: draft.content().pid,
        signed: draft.for_patient(),
    };
    let keys = stage.patient(9).1;
    let confirm = SignedCall::entrusted(confirm, None, custodian, &keys);
    stage.accept(&confirm);
    let (_, record) = stage.state.records.find(&draft.content().rid).unwrap();
    assert_eq!(record.custodian, Some(custodian));
    let terms = stage.care(1, Scope::All);
    let grant = stage.for_patient(8, 9, Act::Grant(terms));
    stage.accept(&grant);
    let (by, terms) = (stage.patient(8), stage.care(1, Scope::All));
    let own = stage.order(&by, Act::Grant(terms));
    stage.accept(&own);
    let entry = |call| stage.state.grants.find(&gid(call)).unwrap().1.custodian();
    assert_eq!((entry(&grant), entry(&own)), (Some(custodian), None));
    let revoke = stage.for_patient(8, 9, Act::Revoke(gid(&grant)));
    stage.accept(&revoke);
}

#[test]
fn only_the_patient_decides_on_custodians() {
    let mut stage = Stage::new();
    stage.entrust(8, 9);
    let (friend, other) = (stage.people.patient(9).id, stage.people.patient(10).id);
    for custody in [
        Custody::Add(other),
        Custody::Disable(friend),
        Custody::Remove(friend),
    ] {
        // Neither the custodian in the patient's name, nor a stranger with the own key.
        let act = Act::Affair(Affair::Entrust(custody));
        let call = stage.for_patient(8, 9, act.clone());
        stage.refuse(&call, Code::PatientSignatureMissing);
        let stranger = (stage.patient(8).0, stage.patient(10).1);
        let call = stage.order(&stranger, act);
        stage.refuse(&call, Code::PatientSignatureInvalid);
    }
    // A custodian's own list is another list.
    let call = stage.entrusting(9, Custody::Remove(friend));
    stage.refuse(&call, Code::NoCustodianLeft);
    let call = stage.entrusting(8, Custody::Remove(friend));
    stage.accept(&call);
    let call = stage.for_patient(8, 9, Act::Hide(RecordId(Digest::ZERO)));
    stage.refuse(&call, Code::CustodianNotEnabled);
    let again = stage.entrusting(8, Custody::Remove(friend));
    stage.refuse(&again, Code::CustodianNotEnabled);
}

#[test]
fn a_custodian_who_has_a_new_key_stays_a_custodian() {
    let mut stage = Stage::new();
    stage.entrust(8, 9);
    let rid = stage.record(0, 8);
    let old = stage.patient(9);
    let call = stage.rotation(&old, 70, false);
    stage.accept(&call);
    let call = stage.for_patient(8, 9, Act::Hide(rid));
    stage.refuse(&call, Code::UnknownSigner);
    let by = stage.patient(8).0;
    let call = Call::Order(Order::new(stage.terms(by, Act::Hide(rid))));
    let pid = PatientId::of(&newcomer(70).public());
    let call = SignedCall::entrusted(call, None, pid, &newcomer(70));
    stage.accept(&call);
    // Either name leads to the same place on the list.
    let again = stage.entrusting(8, Custody::Add(pid));
    stage.refuse(&again, Code::IdTaken);
    let remove = stage.entrusting(8, Custody::Remove(stage.people.patient(9).id));
    stage.accept(&remove);
}
