//! What holds after any calls.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::base::crypto::{Digest, Signature};
use crate::base::random::{Random, Stream};
use crate::base::units::Ratio;
use crate::contract::access::Grant;
use crate::contract::call::{Order, Proof};
use crate::contract::message::RecordKind;
use crate::contract::records::{Record, Status};
use crate::contract::search::Index;
use crate::contract::{Author, AuthorSettings, Key, Mix};

/// An author who errs in a third of the calls.
pub(super) fn author(people: &Population, me: u16) -> Author {
    let settings = AuthorSettings {
        mix: Mix {
            submit: 4,
            propose: 4,
            search: 2,
            grant: 3,
            revoke: 2,
            access: 3,
            share: 2,
        },
        invalid: Ratio::from_parts_per_billion(333_333_333),
        ..AuthorSettings::default()
    };
    Author::new(people, settings, me, 2)
}

#[test]
fn a_refusal_changes_nothing_and_every_change_changes_the_root() {
    for seed in 0..4 {
        let mut random = Random::new(seed, Stream::Test);
        let people = Population::new(3, 5, 12);
        let mut state = State::genesis(&people, Rules::default());
        let mut author = author(&people, 0);
        let mut refused = 0;
        for turn in 0..250 {
            let height = 1 + turn / 4;
            let call = author.next(&mut random, height);
            let (root, before) = (state.root(), fingerprint(&state));
            let receipt = state.apply(height, &call);
            let changed = receipt == Receipt::Accepted;
            assert_eq!(state.root() != root, changed, "{receipt:?} {call:?}");
            assert_eq!(
                fingerprint(&state) != before,
                changed,
                "{receipt:?} {call:?}"
            );
            refused += u32::from(matches!(receipt, Receipt::Refused(_)));
            author.learn(&call, &receipt);
        }
        assert!((50..200).contains(&refused), "some of each: {refused}");
        check_records(&state);
        check_sums(&state);
        check_entries(&state, &people);
    }
}

/// Both signatures of every entered record verify, and exactly the active ones are in the index.
fn check_records(state: &State) {
    let mut index = Index::default();
    for (at, record) in state.records.iter().enumerate() {
        let doctor = &state.directory.doctor_at(record.doctor).key;
        let message = record.draft.for_doctor();
        assert!(doctor.verify(&message.0, &record.by_doctor));
        match (record.status, &record.by_patient) {
            (Status::Proposed | Status::Rejected | Status::Withdrawn, signed) => {
                assert!(signed.is_none());
            }
            (Status::Active | Status::Amended(_) | Status::Hidden, signed) => {
                let patient = &state.directory.patient_at(record.patient).key;
                let message = record.draft.for_patient();
                assert!(patient.verify(&message.0, &signed.unwrap()));
            }
        }
        if record.status == Status::Active {
            let (rid, summary) = (&record.draft.content().rid, &record.draft.content().summary);
            index.insert(at as u32, rid, record.patient, summary);
        }
    }
    assert_eq!(index.places(), state.index.places());
}

/// Readings are as many as uses of grants.
fn check_sums(state: &State) {
    let uses = state.grants.iter().map(Grant::uses).sum::<u64>();
    assert_eq!(state.audit().len() as u64, uses);
    assert!(!state.audit().is_empty());
}

/// The digest of the entries is that of the entries as they are now, made afresh.
fn check_entries(state: &State, people: &Population) {
    let mut root = people.root();
    for record in state.records.iter() {
        let key = Key::Record(record.draft.content().rid);
        root.set(&key, || None, &record.entry());
    }
    for grant in state.grants.iter() {
        root.set(&Key::Grant(grant.gid()), || None, &grant.entry());
    }
    for reading in state.audit() {
        root.set(&Key::Access(reading.order), || None, &reading.entry());
    }
    for (place, usage) in &state.usage {
        let key = Key::Usage(state.directory.party(*place));
        root.set(&key, || None, &usage.entry());
    }
    assert_eq!(root.entries(), state.entries());
}

#[test]
fn everything_in_a_record_is_part_of_the_state() {
    let mut stage = Stage::new();
    stage.record(0, 8);
    let record = stage.state.records.at(0);
    type Change = fn(&mut Record);
    let changes: [Change; 7] = [
        |_| {},
        |record| record.by_doctor.0[9] ^= 1,
        |record| record.by_patient = None,
        |record| record.since += 1,
        |record| record.status = Status::Hidden,
        |record| record.status = Status::Proposed,
        |record| record.status = Status::Amended(RecordId(Digest::ZERO)),
    ];
    let mut entries = BTreeSet::new();
    for change in changes {
        let mut changed = record.clone();
        change(&mut changed);
        assert!(entries.insert(changed.entry()));
    }
}

#[test]
fn every_field_is_signed() {
    let people = Population::new(2, 2, 4);
    let content = people.content(0, 2, 1);
    type Change = fn(&mut Content);
    let changes: [Change; 13] = [
        |c| c.chain += 1,
        |c| c.rid.0.0[0] ^= 1,
        |c| c.pid.0.0[0] ^= 1,
        |c| c.did.0.0[0] ^= 1,
        |c| c.hid.0.0[0] ^= 1,
        |c| c.kind = RecordKind::Imaging,
        |c| Arc::make_mut(&mut c.summary).quarter += 1,
        |c| c.payload_hash.0[31] ^= 1,
        |c| c.payload_bytes += 1,
        |c| c.supersedes = Some(c.rid),
        |c| c.contact.0[31] ^= 1,
        |c| c.nonce += 1,
        |c| c.valid_until -= 1,
    ];
    let mut signed = BTreeSet::new();
    let mut sign = |content: Content| {
        let draft = Draft::new(content);
        assert!(signed.insert(draft.for_doctor()) && signed.insert(draft.for_patient()));
    };
    sign(content.clone());
    for change in changes {
        let mut content = content.clone();
        change(&mut content);
        sign(content);
    }
}

#[test]
fn everything_in_an_order_is_signed() {
    let stage = Stage::new();
    let base = stage.care(1, Scope::All);
    let hid = stage.people.hospital(0).id;
    let rid = RecordId(Digest::ZERO);
    let gid = GrantId(Digest::ZERO);
    type Change = Box<dyn Fn(&mut GrantTerms)>;
    let changes: Vec<Change> = vec![
        Box::new(|_| {}),
        Box::new(move |g| g.grantee = Grantee::Hospital(hid)),
        Box::new(move |g| g.grantee = Grantee::Specialty(1, hid)),
        Box::new(move |g| g.grantee = Grantee::Specialty(2, hid)),
        Box::new(move |g| g.scope = Scope::Records(vec![rid])),
        Box::new(|g| g.scope = Scope::Kinds(vec![RecordKind::Imaging])),
        Box::new(|g| g.scope = Scope::Kinds(vec![RecordKind::Admission])),
        Box::new(|g| g.purpose = Purpose::Research),
        Box::new(|g| g.from += 1),
        Box::new(|g| g.until += 1),
        Box::new(|g| g.max_uses = Some(1)),
    ];
    let mut acts: Vec<Act> = changes
        .iter()
        .map(|change| {
            let mut terms = base.clone();
            change(&mut terms);
            Act::Grant(terms)
        })
        .collect();
    acts.extend([
        Act::Reject(rid),
        Act::Withdraw(rid),
        Act::Hide(rid),
        Act::Unhide(rid),
    ]);
    acts.extend([Act::Revoke(gid), Act::Access(gid, rid, Purpose::Care)]);
    acts.push(Act::Access(gid, rid, Purpose::Research));
    let mut signed = BTreeSet::new();
    for act in acts {
        for (chain, nonce, valid_until) in [(1, 1, 9), (2, 1, 9), (1, 2, 9), (1, 1, 8)] {
            for by in [
                stage.patient(8).0,
                stage.patient(9).0,
                stage.doctor(8 - 1).0,
            ] {
                let act = act.clone();
                let terms = Terms {
                    chain,
                    by,
                    act,
                    nonce,
                    valid_until,
                };
                assert!(signed.insert(Order::new(terms).message()));
            }
        }
    }
}

#[test]
fn nothing_is_executed_twice() {
    let mut random = Random::new(5, Stream::Test);
    let people = Population::new(3, 5, 12);
    let mut state = State::genesis(&people, Rules::default());
    let mut author = author(&people, 0);
    for height in 1..300 {
        let call = author.next(&mut random, height);
        let receipt = state.apply(height, &call);
        author.learn(&call, &receipt);
        if receipt == Receipt::Accepted {
            let again = state.apply(height, &call);
            assert!(matches!(again, Receipt::Refused(_)), "{call:?}");
        }
    }
}

#[test]
fn the_entries_do_not_depend_on_the_order_of_independent_calls() {
    let mut stage = Stage::new();
    let calls: Vec<SignedCall> = (8..40)
        .map(|p| stage.submission(p % 8, p, |_| {}))
        .collect();
    let root = |order: &[usize]| {
        let mut state = State::genesis(&stage.people, Rules::default());
        for &place in order {
            assert_eq!(state.apply(3, &calls[place]), Receipt::Accepted);
        }
        state.entries()
    };
    let mut order: Vec<usize> = (0..calls.len()).collect();
    let forward = root(&order);
    let mut random = Random::new(1, Stream::Test);
    for _ in 0..5 {
        for place in (1..order.len()).rev() {
            order.swap(place, random.below(place as u64 + 1) as usize);
        }
        assert_eq!(root(&order), forward);
    }
    assert_ne!(root(&order[1..]), forward);
}

#[test]
fn what_is_known_of_a_signature_is_what_verifying_it_tells() {
    let mut random = Random::new(2, Stream::Test);
    let people = Population::new(3, 5, 12);
    let mut state = State::genesis(&people, Rules::default());
    let mut author = author(&people, 0);
    for height in 1..200 {
        let call = author.next(&mut random, height);
        // The same call as it would arrive from outside, nothing known of its signatures.
        let strip = |proof: Option<&Proof>| proof.map(|p| Proof::received(*p.signature()));
        let arrived = SignedCall::new(
            call.call().clone(),
            strip(call.first()),
            strip(call.second()),
        );
        assert_eq!(arrived.digest(), call.digest());
        let mut other = state.clone();
        let receipt = state.apply(height, &call);
        // A found answer shows handles salted by the digest, which is the same.
        assert_eq!(other.apply(height, &arrived), receipt);
        assert_eq!(other.root(), state.root());
        author.learn(&call, &receipt);
    }
}

#[test]
fn a_tampered_call_does_not_inherit_what_is_known() {
    let stage = Stage::new();
    let (doctor, patient) = (stage.people.doctor(0), stage.people.patient(8));
    let honest = Draft::new(stage.people.content(0, 8, 1));
    let mut content = honest.content().clone();
    content.payload_hash = Digest([1; 32]);
    let tampered = Draft::new(content);
    let proof = Proof::sign(&doctor.keys, honest.for_doctor());
    let key = doctor.keys.public();
    assert!(proof.verifies(&key, &honest.for_doctor()));
    assert!(!proof.verifies(&key, &tampered.for_doctor()), "other bytes");
    assert!(
        !proof.verifies(&patient.keys.public(), &honest.for_doctor()),
        "another key"
    );
    let call = stage.people.submission(honest.content().clone(), 0, 8);
    let (first, second) = (call.first().cloned(), call.second().cloned());
    let moved = SignedCall::new(Call::Submit(tampered), first, second);
    let mut state = stage.state.clone();
    assert_eq!(
        state.apply(1, &moved),
        Receipt::Refused(Code::DoctorSignatureInvalid)
    );
    let mut broken = *proof.signature();
    broken.0[0] ^= 1;
    assert!(!Proof::received(broken).verifies(&key, &honest.for_doctor()));
    assert!(!Proof::received(Signature([0; 64])).verifies(&key, &honest.for_doctor()));
}
