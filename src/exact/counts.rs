//! Messages per block, exactly.

use super::{FREE, ONE_BY_ONE, ONE_THREAD, constant, outcome, scenario, yaml};
use crate::observe::checks::Word;
use crate::scenario::run::Outcome;

/// A calm run that ends long after its last transaction was answered and before the next comes.
fn calm(nodes: usize, protocol: &str) -> Outcome {
    let load = "workload: { rate: 10/s, even: true, patients: 8, doctors: 2 }";
    let lines = [ONE_BY_ONE, FREE, &constant("1ms"), load];
    let scenario = scenario(&yaml(nodes, protocol, "2050ms", &lines), 3);
    let outcome = outcome(&scenario, ONE_THREAD, None);
    assert_eq!(outcome.summary.pending, 0, "the run ends at rest");
    assert_eq!(outcome.verdict.safety, Word::Holds);
    outcome
}

/// Copies of one kind in the whole run.
fn copies(outcome: &Outcome, kind: &str) -> u64 {
    let found = outcome
        .totals
        .by_kind
        .iter()
        .find(|(name, _)| *name == kind);
    found.map_or(0, |(_, volume)| volume.count)
}

#[test]
fn a_block_of_pbft_costs_exactly_two_n_times_n_less_one() {
    for (nodes, total) in [(4, 24), (5, 40), (6, 60), (7, 84), (10, 180), (31, 1_860)] {
        let outcome = calm(nodes, "pbft");
        let blocks = outcome.summary.blocks;
        assert_eq!(blocks, 21, "one block for each transaction");
        let n = nodes as u64;
        let kinds: Vec<(&str, u64)> = outcome
            .totals
            .by_kind
            .iter()
            .map(|(kind, volume)| (*kind, volume.count))
            .collect();
        let expected = [
            ("commit", n * (n - 1) * blocks),
            ("pre-prepare", (n - 1) * blocks),
            ("prepare", (n - 1) * (n - 1) * blocks),
        ];
        assert_eq!(kinds, expected, "{nodes} nodes send nothing else");
        let sum: u64 = expected.iter().map(|(_, count)| count).sum();
        assert_eq!(sum, total * blocks, "{nodes} nodes");
        assert_eq!(outcome.summary.messages_per_block, Some(total as f64));
    }
}

#[test]
fn a_checkpoint_of_pbft_costs_n_times_n_less_one() {
    for nodes in [4, 7] {
        let config = "{ pbft: { checkpoint_interval: 5, window: 10 } }";
        let outcome = calm(nodes, config);
        let n = nodes as u64;
        let checkpoints = outcome.summary.blocks / 5;
        assert_eq!(copies(&outcome, "checkpoint"), n * (n - 1) * checkpoints);
        assert_eq!(checkpoints, 4);
    }
}

#[test]
fn an_entry_of_raft_costs_exactly_two_for_each_follower() {
    for nodes in [1, 2, 3, 4, 5, 7, 10] {
        let outcome = calm(nodes, "{ raft: { append_max: 1 } }");
        let followers = nodes as u64 - 1;
        // The first entry of the leader is empty, and costs as much as any other.
        let entries = outcome.summary.blocks;
        assert_eq!(entries, 22, "{nodes} nodes");
        assert_eq!(outcome.summary.leader_changes, 0);
        for kind in ["append", "append-reply"] {
            assert_eq!(
                copies(&outcome, kind),
                followers * entries,
                "{nodes}: {kind}"
            );
        }
        for kind in ["pre-vote", "pre-vote-reply", "vote", "vote-reply"] {
            let count = copies(&outcome, kind);
            assert_eq!(count, followers, "{nodes} nodes, undisturbed: {kind}");
        }
        let beats = copies(&outcome, "heartbeat");
        assert_eq!(copies(&outcome, "heartbeat-reply"), beats);
        // At most one each fifty milliseconds.
        assert!(beats <= followers * 41, "{nodes} nodes: {beats}");
    }
}

#[test]
fn clients_that_stop_asking_still_wait_for_what_they_asked() {
    for (load, most) in [("rate: 10/s, even: true", 10), ("clients: 3", u64::MAX)] {
        let load = format!("workload: {{ {load}, until: 1s, patients: 8, doctors: 2 }}");
        let lines = [ONE_BY_ONE, FREE, &constant("1ms"), &load];
        let scenario = scenario(&yaml(4, "pbft", "2s", &lines), 3);
        let summary = outcome(&scenario, ONE_THREAD, None).summary;
        assert!(summary.submitted >= 10 && summary.submitted <= most);
        // Three clients that went on would be waiting for something at any time.
        assert_eq!((summary.pending, summary.committed), (0, summary.submitted));
    }
}
