//! What the root of a state commits to, and what it proves.

use std::collections::BTreeSet;
use std::mem::{Discriminant, discriminant};

use super::laws::author;
use super::*;
use crate::base::crypto::Digest;
use crate::base::random::{Random, Stream};
use crate::contract::call::Order;
use crate::contract::identity::{
    Doctor, DoctorId, Hospital, HospitalId, Identity, Patient, PatientId, Standing,
};
use crate::contract::tree::{verify, verify_call};
use crate::contract::view::Key;

/// Applies a call that is accepted, and checks that the root has changed and proves everything
/// that the call has written. Tells the kinds of entries it wrote.
fn proven(state: &mut State, height: u64, call: &SignedCall) -> Vec<Discriminant<Key>> {
    let writes = state.simulate(height, call).writes;
    let keys: Vec<Key> = writes.iter().map(|write| write.key()).collect();
    let entries = keys.iter().filter(|key| key.is_entry());
    let before: Vec<Option<Digest>> = entries.clone().map(|k| state.entry(k).copied()).collect();
    let (root, calls) = (state.root(), state.calls());
    assert_eq!(state.apply(height, call), Receipt::Accepted, "{call:?}");
    assert_ne!(state.root(), root);
    assert_eq!(state.calls(), calls + 1);
    let proof = state.prove_call(calls).unwrap();
    assert!(verify_call(&state.root(), calls, &call.digest(), &proof));
    for (key, before) in entries.clone().zip(before) {
        let (name, entry) = (key.digest(), state.entry(key).unwrap());
        assert_ne!(Some(*entry), before, "{key:?} has changed");
        let proof = state.prove(key).unwrap();
        assert!(verify(&state.root(), &name, Some(entry), &proof));
        assert!(!verify(&root, &name, Some(entry), &proof), "the old root");
        assert!(!verify(&state.root(), &name, before.as_ref(), &proof));
    }
    entries.map(discriminant).collect()
}

#[test]
fn whatever_is_written_changes_the_root_and_is_proven_by_it() {
    let mut kinds = Vec::new();
    for seed in 0..3 {
        let mut random = Random::new(seed, Stream::Test);
        let people = Population::with_aliases(3, 5, 12);
        let mut state = State::genesis(&people, Rules::default());
        let mut author = author(&people, 0);
        for turn in 0..150 {
            let height = 1 + turn / 4;
            let call = author.next(&mut random, height);
            let receipt = state.query(height, &call);
            if receipt == Receipt::Accepted {
                kinds.extend(proven(&mut state, height, &call));
            }
            author.learn(&call, &receipt);
            if turn % 4 == 3 {
                state.seal();
            }
        }
    }
    let mut stage = Stage::new();
    let calls = people_come_and_go(&mut stage);
    for call in calls {
        kinds.extend(proven(&mut stage.state, stage.height, &call));
    }
    let names = [Digest::ZERO; 4];
    let expected = [
        Key::Hospital(HospitalId(names[0])),
        Key::Doctor(DoctorId(names[1])),
        Key::Patient(PatientId(names[2])),
        Key::Record(RecordId(names[3])),
        Key::Grant(GrantId(names[0])),
        Key::Access(names[0]),
    ];
    for key in expected {
        assert!(kinds.contains(&discriminant(&key)), "{key:?}");
    }
}

/// Enrolments of each kind, and another standing for each of the newcomers.
fn people_come_and_go(stage: &mut Stage) -> Vec<SignedCall> {
    let keys = |number| KeyPair::from_seed(Digest([number; 32]));
    let hospital = Hospital {
        key: keys(1).public(),
        name: "New Hospital".into(),
        region: 9,
    };
    let doctor = Doctor {
        key: keys(2).public(),
        real_name: "Ada Newcomer".into(),
        licence: "L-new".into(),
        hid: stage.people.hospital(0).id,
        specialty: 1,
        own: Digest::ZERO,
    };
    let patient = Patient {
        key: keys(3).public(),
    };
    let pid = PatientId::of(&patient.key);
    let identities = [
        Identity::Hospital(hospital),
        Identity::Doctor(doctor),
        Identity::Patient(pid, patient),
    ];
    let mut calls = Vec::new();
    for (identity, number) in identities.into_iter().zip(0_u8..) {
        let (by, authority) = stage.authority(u32::from(number));
        let party = identity.party();
        let enrol = Order::new(stage.terms(by, enrol(identity)));
        let subject = keys(number + 1);
        calls.push(SignedCall::signed(
            Call::Order(enrol),
            &authority,
            Some(&subject),
        ));
        let suspend = Act::SetStanding(party, Standing::Suspended);
        calls.push(stage.order(&(by, authority), suspend));
    }
    calls
}

#[test]
fn everybody_of_the_genesis_is_proven_and_nobody_else() {
    let stage = Stage::new();
    let root = stage.state.root();
    let here = [
        Key::Authority(stage.people.authority(2).id),
        Key::Hospital(stage.people.hospital(3).id),
        Key::Doctor(stage.people.doctor(7).id),
        Key::Patient(stage.people.patient(39).id),
    ];
    for key in here {
        let proof = stage.state.prove(&key).unwrap();
        let entry = stage.state.entry(&key);
        assert!(entry.is_some() && verify(&root, &key.digest(), entry, &proof));
        assert!(!verify(&root, &key.digest(), None, &proof));
    }
    let stranger = Key::Patient(PatientId(stage.people.doctor(0).id.0));
    let proof = stage.state.prove(&stranger).unwrap();
    assert_eq!(stage.state.entry(&stranger), None);
    assert!(verify(&root, &stranger.digest(), None, &proof));
    for key in here {
        assert!(!verify(&root, &key.digest(), None, &proof));
    }
}

#[test]
fn what_is_no_entry_has_no_proof_of_its_own() {
    let mut stage = Stage::new();
    let call = stage.submission(0, 8, |_| {});
    let writes = stage.state.simulate(stage.height, &call).writes;
    stage.accept(&call);
    for write in writes.iter() {
        let key = write.key();
        assert_eq!(stage.state.prove(&key).is_some(), key.is_entry());
    }
    let without = writes.iter().filter(|write| !write.key().is_entry());
    assert_eq!(without.count(), 3, "a number, a document and the call");
}

#[test]
fn a_record_is_proven_as_what_it_is_at_the_time() {
    let mut stage = Stage::new();
    let rid = stage.record(0, 8);
    let key = Key::Record(rid);
    let (_, record) = stage.state.records.find(&rid).unwrap();
    let active = record.entry();
    let (root, proof) = (stage.state.root(), stage.state.prove(&key).unwrap());
    assert!(verify(&root, &key.digest(), Some(&active), &proof));
    let hide = stage.by_patient(8, Act::Hide(rid));
    stage.accept(&hide);
    let (_, record) = stage.state.records.find(&rid).unwrap();
    let (hidden, after) = (record.entry(), stage.state.prove(&key).unwrap());
    let root_after = stage.state.root();
    assert!(verify(&root_after, &key.digest(), Some(&hidden), &after));
    assert!(!verify(&root_after, &key.digest(), Some(&active), &after));
    assert!(!verify(&root_after, &key.digest(), Some(&active), &proof));
    assert!(verify(&root, &key.digest(), Some(&active), &proof));
}

#[test]
fn replaying_the_calls_leads_to_the_same_root_however_often_it_is_sealed() {
    let mut random = Random::new(3, Stream::Test);
    let people = Population::with_aliases(3, 5, 12);
    let genesis = State::genesis(&people, Rules::default());
    let mut state = genesis.clone();
    let mut author = author(&people, 0);
    let mut calls = Vec::new();
    for turn in 0..300 {
        let call = author.next(&mut random, 1 + turn / 10);
        let receipt = state.apply(1 + turn / 10, &call);
        author.learn(&call, &receipt);
        calls.push((1 + turn / 10, call));
    }
    let unsealed = state.root();
    state.seal();
    assert_eq!(state.root(), unsealed);
    for rhythm in [1, 7, 1000] {
        let mut again = genesis.clone();
        for ((height, call), number) in calls.iter().zip(1..) {
            again.apply(*height, call);
            if number % rhythm == 0 {
                again.seal();
            }
        }
        assert_eq!(again.root(), unsealed, "{rhythm}");
    }
    let roots: BTreeSet<Digest> = [genesis.root(), unsealed].into();
    assert_eq!(roots.len(), 2);
}
