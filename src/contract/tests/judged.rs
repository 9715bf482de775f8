//! Random calls of all kinds, judged by rules written apart from the contract.

use super::chaos::Chaos;
use crate::contract::State;
use crate::exact::oracle::Oracle;

/// Lets anybody ask for anything, a call after another, until somebody objects or enough was
/// asked. The oracle judges the answers, the invariants every change and the last state.
fn objection(seed: u64, calls: u64) -> Option<String> {
    let mut chaos = Chaos::new(seed);
    let state = &chaos.stage.state;
    let mut oracle = Oracle::new(&chaos.stage.people, *state.rules());
    for turn in 0..calls {
        let call = chaos.next();
        let height = chaos.stage.height;
        let (receipt, writes) = chaos.stage.state.plan(height, &call);
        let state = &chaos.stage.state;
        let broken = state.wrong_writes(height, &call, (&receipt, &writes));
        if let Some((invariant, detail)) = broken.first() {
            return Some(format!("turn {turn}: {invariant}: {detail}"));
        }
        if let Err(objection) = oracle.check(height, &call, &receipt) {
            return Some(format!("turn {turn}: {objection}\n{call:?}"));
        }
        chaos.stage.state.commit(height, &writes);
        chaos.learn(&call, &receipt);
        chaos.stage.height += u64::from(turn % 5 == 0) + u64::from(chaos.below(300) == 0) * 700;
    }
    let state = &chaos.stage.state;
    let broken = state.violated_invariants(usize::MAX);
    let broken = broken
        .into_iter()
        .map(|(invariant, detail)| format!("in the end: {invariant}: {detail}"));
    broken.chain(unlike(state, &oracle)).next()
}

/// In what the lists of a state are not what the oracle expects.
fn unlike(state: &State, oracle: &Oracle) -> Option<String> {
    let listed = state.audit().iter();
    let listed = listed.map(|access| (access.by, access.rid, access.gid, access.height));
    let due = oracle.readings().iter();
    let due = due.map(|reading| (reading.by, reading.rid, reading.gid, reading.height));
    if !listed.eq(due) {
        return Some("the list of readings is another".into());
    }
    let told: usize = state.mailboxes.values().map(Vec::len).sum();
    if told != oracle.told_in_all() {
        return Some(format!("{told} things were told to patients"));
    }
    let counts = [state.grants.len(), state.records.len(), state.shares.len()];
    (counts != oracle.counts()).then(|| format!("there are {counts:?} things"))
}

#[test]
fn whatever_anybody_asks_is_answered_by_the_rules() {
    for seed in 0..12 {
        if let Some(objection) = objection(seed, 500) {
            panic!("seed {seed}, {objection}");
        }
    }
}
