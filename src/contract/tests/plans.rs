//! Planning and committing, apart and together.

use super::laws::author;
use super::*;
use crate::base::crypto::Digest;
use crate::base::random::{Random, Stream};
use crate::contract::search::{Condition, Query};
use crate::contract::view::{Key, Scan};

/// The keys that a plan read.
fn reads(stage: &Stage, call: &SignedCall) -> Vec<Key> {
    stage.state.simulate(stage.height, call).reads
}

#[test]
fn a_plan_committed_is_the_call_executed() {
    let mut random = Random::new(11, Stream::Test);
    let people = Population::with_aliases(3, 5, 12);
    let mut state = State::genesis(&people, Rules::default());
    let mut author = author(&people, 0);
    for turn in 0..400 {
        let height = 1 + turn / 4;
        let call = author.next(&mut random, height);
        let before = fingerprint(&state);
        let plan = state.simulate(height, &call);
        assert_eq!(state.query(height, &call), plan.receipt);
        assert_eq!(fingerprint(&state), before, "a plan changes nothing");
        assert_eq!(plan.writes.is_empty(), plan.receipt != Receipt::Accepted);
        assert!(plan.reads.is_sorted_by(|one, next| one < next));
        let mut other = state.clone();
        other.commit(height, &plan.writes);
        assert_eq!(state.apply(height, &call), plan.receipt);
        assert_eq!(fingerprint(&state), fingerprint(&other));
        author.learn(&call, &plan.receipt);
    }
}

#[test]
fn plans_made_at_different_heights_are_the_same() {
    let mut stage = Stage::new();
    let rid = stage.record(0, 8);
    let terms = stage.care(1, Scope::All);
    let gid = stage.granted(8, terms);
    let calls = [
        stage.submission(0, 8, |content| content.supersedes = Some(rid)),
        stage.by_patient(8, Act::Hide(rid)),
        stage.by_doctor(1, Act::Access(gid, rid, Purpose::Care)),
    ];
    for call in calls {
        let digests = |height| {
            let plan = stage.state.simulate(height, &call);
            let writes = plan.writes.iter();
            writes.map(|write| write.digest()).collect::<Vec<Digest>>()
        };
        assert_eq!(digests(stage.height), digests(stage.height + 7));
        assert!(!digests(stage.height).is_empty());
    }
}

#[test]
fn whatever_two_calls_cannot_both_do_one_writes_and_the_other_reads() {
    let mut stage = Stage::new();
    let rid = stage.record(0, 8);
    let terms = stage.care(1, Scope::All);
    let gid = stage.granted(8, terms);
    let again = |content: &mut Content| content.payload_hash = Digest([7; 32]);
    let pairs = [
        (
            stage.submission(0, 8, |content| content.nonce = 900),
            stage.submission(1, 8, |content| content.nonce = 900),
        ),
        (stage.submission(0, 8, again), stage.submission(0, 8, again)),
        (
            stage.submission(0, 8, |content| content.supersedes = Some(rid)),
            stage.by_patient(8, Act::Hide(rid)),
        ),
        (
            stage.by_patient(8, Act::Revoke(gid)),
            stage.by_doctor(1, Act::Access(gid, rid, Purpose::Care)),
        ),
    ];
    for (one, other) in pairs {
        let plan = stage.state.simulate(stage.height, &one);
        assert_eq!(plan.receipt, Receipt::Accepted);
        let read = reads(&stage, &other);
        let shared = plan.writes.iter().filter(|w| read.contains(&w.key()));
        assert!(shared.count() > 0, "{one:?} {other:?}");
    }
    let (mine, yours) = (
        stage.submission(0, 8, |_| {}),
        stage.submission(1, 8, |_| {}),
    );
    let written = stage.state.simulate(stage.height, &mine).writes;
    let read = reads(&stage, &yours);
    let shared = written.iter().filter(|w| read.contains(&w.key()));
    assert_eq!(shared.count(), 0, "two records of one patient go together");
}

#[test]
fn a_scan_notices_what_comes_and_goes() {
    let mut stage = Stage::new();
    let rids: Vec<RecordId> = (8..14).map(|patient| stage.record(0, patient)).collect();
    let query = Query {
        conditions: vec![Condition::Ages(0, 18)],
        purpose: Purpose::Care,
        page: 0,
    };
    let search = stage.by_doctor(0, Act::Search(query));
    let scans: Vec<Scan> = stage.state.simulate(stage.height, &search).scans;
    let same = |stage: &Stage| scans.iter().all(|scan| stage.state.rescan(scan));
    assert_eq!(scans.len(), 1);
    assert!(same(&stage));
    let hide = stage.by_patient(8, Act::Hide(rids[0]));
    stage.accept(&hide);
    assert!(!same(&stage), "one has gone");
    let unhide = stage.by_patient(8, Act::Unhide(rids[0]));
    stage.accept(&unhide);
    assert!(same(&stage), "it is back, elsewhere in the index");
    stage.record(0, 20);
    assert!(!same(&stage), "one has come");
}
