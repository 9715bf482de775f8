//! What holds after any calls.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::base::crypto::{Digest, Signature};
use crate::base::random::{Random, Stream};
use crate::base::units::Ratio;
use crate::contract::access::Grant;
use crate::contract::affair::{Affair, Custody, KeyChange};
use crate::contract::call::{Order, Proof};
use crate::contract::identity::{
    Alias, AliasId, Authority, Doctor, DoctorId, Hospital, Identity, Patient, PatientId, Standing,
    Vouches,
};
use crate::contract::message::RecordKind;
use crate::contract::records::{Record, Status};
use crate::contract::search::{Condition, Index, Query};
use crate::contract::share::ShareId;
use crate::contract::{Author, AuthorSettings, Key, Mix, Wish};

/// An author who errs in a third of the calls.
pub(in crate::contract) fn author(people: &Population, me: u16) -> Author {
    let settings = AuthorSettings {
        mix: Mix::of(&Wish::ALL.map(|(wish, _)| (wish, if wish == Wish::Submit { 4 } else { 2 }))),
        invalid: Ratio::from_parts_per_billion(333_333_333),
        ..AuthorSettings::default()
    };
    Author::new(people, settings, me, 2)
}

#[test]
fn a_refusal_changes_nothing_and_every_change_changes_the_root() {
    for seed in 0..4 {
        let mut random = Random::new(seed, Stream::Test);
        let people = Population::with_aliases(3, 5, 12);
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
pub(super) fn check_records(state: &State) {
    let mut index = Index::default();
    for (at, record) in state.records.iter().enumerate() {
        let doctor = &state.directory.doctor_at(record.doctor).key;
        let message = record.draft.for_doctor();
        assert!(doctor.verify(&message.0, &record.by_doctor.signature()));
        match (record.status, &record.by_patient) {
            (Status::Proposed | Status::Rejected | Status::Withdrawn, signed) => {
                assert!(signed.is_none());
            }
            (Status::Active | Status::Amended(_) | Status::Hidden | Status::Disputed, signed) => {
                let pid = record.custodian.unwrap_or(record.draft.content().pid);
                let patient = state.patient_key(&pid).unwrap();
                let message = record.draft.for_patient();
                assert!(patient.verify(&message.0, &signed.as_ref().unwrap().signature()));
            }
        }
        if record.status.is_found() {
            let content = record.draft.content();
            index.insert(at as u32, &content.rid, record.patient, &content.summary);
        }
    }
    assert_eq!(index.places(), state.index.places());
}

/// Readings are as many as uses of grants, and emergencies.
fn check_sums(state: &State) {
    let uses = state.grants.iter().map(Grant::uses).sum::<u64>();
    let audit = state.audit().iter();
    let emergencies = audit.filter(|reading| reading.gid.is_none()).count() as u64;
    assert_eq!(state.audit().len() as u64, uses + emergencies);
    assert!(!state.audit().is_empty());
}

/// The digest of the entries is that of the entries as they are now, made afresh.
pub(super) fn check_entries(state: &State, people: &Population) {
    let mut tree = people.tree();
    for (party, entry) in state.directory.entries() {
        tree.set(&Key::party(&party).digest(), &entry);
    }
    for record in state.records.iter() {
        let key = Key::Record(record.draft.content().rid);
        tree.set(&key.digest(), &record.entry());
    }
    for grant in state.grants.iter() {
        tree.set(&Key::Grant(grant.gid()).digest(), &grant.entry());
    }
    for reading in state.audit() {
        tree.set(&Key::Access(reading.order).digest(), &reading.entry());
    }
    for (place, usage) in &state.usage {
        let key = Key::Usage(state.directory.party(*place));
        tree.set(&key.digest(), &usage.entry());
    }
    for share in state.shares.iter() {
        tree.set(&Key::Share(share.sid()).digest(), &share.entry());
    }
    for mail in state.mailboxes.values().flatten() {
        let key = Key::Mail(mail.to, mail.order);
        tree.set(&key.digest(), &mail.entry());
    }
    for (&doctor, claimed) in &state.emergencies {
        let did = DoctorId::of(&state.directory.doctor_at(doctor).key);
        tree.set(&Key::Emergencies(did).digest(), &claimed.entry());
    }
    assert_eq!(tree.entries(), state.entries());
}

#[test]
fn everything_in_a_record_is_part_of_the_state() {
    let mut stage = Stage::new();
    stage.record(0, 8);
    let record = stage.state.records.at(0);
    type Change = fn(&mut Record);
    let changes: [Change; 9] = [
        |_| {},
        |record| {
            let mut broken = record.by_doctor.signature();
            broken.0[9] ^= 1;
            record.by_doctor = Proof::received(*record.by_doctor.by(), broken);
        },
        |record| record.by_patient = None,
        |record| record.since += 1,
        |record| record.status = Status::Hidden,
        |record| record.status = Status::Proposed,
        |record| record.status = Status::Disputed,
        |record| record.suspect = true,
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

/// Searches, and what can be asked for by one.
fn searches(stage: &Stage) -> Vec<Act> {
    let query = Query {
        conditions: vec![Condition::Ages(0, 18)],
        purpose: Purpose::Care,
        page: 0,
    };
    let asked = |nonce| {
        Order::new(Terms {
            chain: 1,
            by: stage.patient(8).0,
            act: Act::Search(query.clone()),
            nonce,
            valid_until: 9,
        })
    };
    let contact = |nonce, handle| Act::AskContact {
        search: asked(nonce),
        handle,
    };
    vec![
        Act::Search(query.clone()),
        Act::AuditedSearch(query.clone()),
        Act::Suggest(query.clone()),
        contact(1, [0; 16]),
        contact(2, [0; 16]),
        contact(1, [1; 16]),
    ]
}

/// Grants that differ in one thing each.
fn grants(stage: &Stage) -> Vec<Act> {
    let base = stage.care(1, Scope::All);
    let hid = stage.people.hospital(0).id;
    let rid = RecordId(Digest::ZERO);
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
        Box::new(|g| g.delegable = true),
    ];
    changes
        .iter()
        .map(|change| {
            let mut terms = base.clone();
            change(&mut terms);
            Act::Grant(terms)
        })
        .collect()
}

/// Orders about people that differ in one thing each.
fn identities(stage: &Stage) -> Vec<Act> {
    let key = stage.doctor(0).1.public();
    let hid = stage.people.hospital(0).id;
    let hospital = |region| {
        Identity::Hospital(Hospital {
            key,
            name: "A".into(),
            region,
        })
    };
    let doctor = |real_name: &str, licence: &str, specialty| {
        Identity::Doctor(Doctor {
            key,
            real_name: real_name.into(),
            licence: licence.into(),
            hid,
            specialty,
            own: Digest::ZERO,
        })
    };
    let patient = |pid| Identity::Patient(PatientId(pid), Patient { key });
    let other = stage.doctor(1).1.public();
    let identities = [
        hospital(0),
        hospital(1),
        doctor("ab", "c", 0),
        doctor("a", "bc", 0),
        doctor("a", "bc", 1),
        patient(Digest::ZERO),
        patient(Digest([1; 32])),
        Identity::Alias(Alias { key }),
        Identity::Alias(Alias { key: other }),
    ];
    let mut acts: Vec<Act> = identities.into_iter().map(enrol).collect();
    acts.extend(affairs(stage).into_iter().map(Act::Affair));
    let alias = Party::Alias(AliasId::of(&key));
    for party in [
        stage.hospital(0).0,
        stage.doctor(0).0,
        stage.patient(0).0,
        alias,
    ] {
        acts.push(Act::SetStanding(party, Standing::Suspended));
        acts.push(Act::SetStanding(party, Standing::Ended));
    }
    acts
}

/// Affairs that differ in one thing each.
fn affairs(stage: &Stage) -> Vec<Affair> {
    let (one, other) = (stage.people.patient(8).id, stage.people.patient(9).id);
    let key = stage.doctor(0).1.public();
    let valid = |from, until| Validity { from, until };
    let admit = |vouches, valid| {
        Affair::Admit(Authority {
            key,
            vouches,
            valid,
        })
    };
    let rotate = |of, to, revoke_all| {
        Affair::Rotate(KeyChange {
            of,
            to,
            key,
            revoke_all,
        })
    };
    vec![
        admit(Vouches::Doctors, valid(1, 2)),
        admit(Vouches::Hospitals, valid(1, 2)),
        admit(Vouches::Patients, valid(1, 3)),
        Affair::Expel(stage.people.authority(0).id),
        Affair::Expel(stage.people.authority(1).id),
        Affair::Certify(stage.doctor(0).0, valid(1, 2)),
        Affair::Certify(stage.doctor(0).0, valid(1, 3)),
        Affair::Certify(stage.hospital(0).0, valid(1, 2)),
        Affair::Certify(Party::Alias(AliasId::of(&key)), valid(1, 2)),
        admit(Vouches::Aliases, valid(1, 2)),
        rotate(one, other, false),
        rotate(other, one, false),
        rotate(one, other, true),
        Affair::Entrust(Custody::Add(one)),
        Affair::Entrust(Custody::Add(other)),
        Affair::Entrust(Custody::Enable(one)),
        Affair::Entrust(Custody::Disable(one)),
        Affair::Entrust(Custody::Remove(one)),
    ]
}

/// Orders that differ in one thing each.
pub(in crate::contract) fn acts(stage: &Stage) -> Vec<Act> {
    let base = stage.care(1, Scope::All);
    let rid = RecordId(Digest::ZERO);
    let gid = GrantId(Digest::ZERO);
    let mut acts = grants(stage);
    acts.extend(identities(stage));
    acts.extend([
        Act::Reject(rid),
        Act::Withdraw(rid),
        Act::Hide(rid),
        Act::Unhide(rid),
        Act::Dispute(rid),
        Act::Resolve {
            rid,
            suspect: false,
        },
        Act::Resolve { rid, suspect: true },
    ]);
    acts.extend([Act::Revoke(gid), Act::Access(gid, rid, Purpose::Care)]);
    acts.push(Act::Access(gid, rid, Purpose::Research));
    acts.extend([
        Act::Delegate(gid, base.clone()),
        Act::Delegate(GrantId(Digest([1; 32])), base),
    ]);
    for second in [0, 1] {
        let second = stage.people.doctor(second).id;
        acts.push(Act::Emergency { rid, second });
    }
    let sid = ShareId(Digest::ZERO);
    acts.extend([
        Act::RequestShare(rid),
        Act::ApproveShare(sid),
        Act::DenyShare(sid),
        Act::DeliverShare(sid, Digest::ZERO),
        Act::DeliverShare(sid, Digest([1; 32])),
        Act::ConfirmShare(sid, Digest::ZERO),
    ]);
    acts.extend(searches(stage));
    acts
}

#[test]
fn everything_in_an_order_is_signed() {
    let stage = Stage::new();
    let mut signed = BTreeSet::new();
    for act in acts(&stage) {
        for (chain, nonce, valid_until) in [(1, 1, 9), (2, 1, 9), (1, 2, 9), (1, 1, 8)] {
            for by in [
                stage.patient(8).0,
                stage.patient(9).0,
                stage.doctor(8 - 1).0,
                Party::Alias(AliasId(Digest([8; 32]))),
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
    let people = Population::with_aliases(3, 5, 12);
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
    let people = Population::with_aliases(3, 5, 12);
    let mut state = State::genesis(&people, Rules::default());
    let mut author = author(&people, 0);
    for height in 1..200 {
        let call = author.next(&mut random, height);
        // The same call as it would arrive from outside, nothing known of its signatures.
        let strange = |proof: &Proof| Proof::received(*proof.by(), proof.signature());
        let strip = |proof: Option<&Proof>| proof.map(strange);
        let further = call.further().iter();
        let further = further.map(|(by, proof)| (*by, strange(proof)));
        let arrived = SignedCall::with_further(
            call.call().clone(),
            strip(call.first()),
            strip(call.second()),
            further.collect(),
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
    let mut broken = proof.signature();
    broken.0[0] ^= 1;
    assert!(!Proof::received(key, broken).verifies(&key, &honest.for_doctor()));
    assert!(!Proof::received(key, Signature([0; 64])).verifies(&key, &honest.for_doctor()));
}
