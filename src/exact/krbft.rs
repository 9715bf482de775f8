//! K-RBFT: what a block costs.

use std::collections::BTreeMap;

use super::{FREE, ONE_BY_ONE, ONE_THREAD, constant, outcome, scenario, yaml};
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::observe::checks::Word;
use crate::scenario::run::Outcome;
use crate::sim::event::{Event, Observer};

/// A calm run in which every transaction is answered before the next comes.
fn calm(nodes: usize, config: &str) -> Outcome {
    let load = "workload: { rate: 4/s, even: true, patients: 8, doctors: 2, replies: one }";
    let lines = [ONE_BY_ONE, FREE, &constant("7ms"), load];
    let rare = "committee: { checkpoint_interval: 100, window: 200 }";
    let config = if config.is_empty() {
        rare.to_owned()
    } else {
        format!("{config}, {rare}")
    };
    let protocol = format!("{{ krbft: {{ {config} }} }}");
    let scenario = scenario(&yaml(nodes, &protocol, "5120ms", &lines), 3);
    let outcome = outcome(&scenario, ONE_THREAD, None);
    assert_eq!(outcome.summary.pending, 0, "the run ends at rest");
    let words = (outcome.verdict.safety, outcome.verdict.liveness);
    assert_eq!(words.0, Word::Holds, "{:?}", outcome.verdict.violations);
    assert_ne!(words.1, Word::Violated, "{:?}", outcome.verdict.violations);
    outcome
}

/// What keeps the groups and the council going, whether anything is decided or not.
const UPKEEP: [&str; 13] = [
    "pre-vote",
    "pre-vote-reply",
    "vote",
    "vote-reply",
    "heartbeat",
    "heartbeat-reply",
    "append",
    "append-reply",
    "prepared",
    "commit-vote",
    "committed",
    "council-update",
    "forward",
];

/// Copies of each kind that a block costs.
fn copies(outcome: &Outcome) -> BTreeMap<&'static str, u64> {
    let kinds = outcome.totals.by_kind.iter();
    let counted = kinds.filter(|(kind, _)| !UPKEEP.contains(kind));
    counted
        .map(|(kind, volume)| (*kind, volume.count))
        .collect()
}

#[test]
fn a_block_costs_two_k_times_k_less_one_and_three_for_each_member() {
    for (k, m) in [(4, 3), (4, 5), (4, 10), (5, 4), (7, 3)] {
        for grouping in ["static", "consistent_hash", "kademlia"] {
            let config = format!("profile: paper, groups: {k}, grouping: {grouping}");
            let outcome = calm((k * m) as usize, &config);
            let blocks = outcome.summary.blocks;
            assert_eq!(blocks, 21, "one for each transaction: {config}");
            let members = k * (m - 1) * blocks;
            let expected = BTreeMap::from([
                ("pre-prepare", (k - 1) * blocks),
                ("prepare", (k - 1) * (k - 1) * blocks),
                ("commit", k * (k - 1) * blocks),
                ("group-block", members),
                ("group-ack", members),
                ("group-commit", members),
            ]);
            assert_eq!(copies(&outcome), expected, "{k} groups of {m}");
            let sum: u64 = expected.values().sum();
            assert_eq!(sum, (2 * k * (k - 1) + 3 * k * (m - 1)) * blocks);
        }
    }
}

#[test]
fn certified_votes_cost_four_more_for_each_member() {
    for (k, m) in [(4, 3), (4, 5), (5, 4), (7, 4)] {
        let config = format!("groups: {k}, grouping: static");
        let outcome = calm((k * m) as usize, &config);
        let blocks = outcome.summary.blocks;
        assert_eq!(blocks, 21, "one for each transaction: {config}");
        let members = k * (m - 1) * blocks;
        let expected = BTreeMap::from([
            ("pre-prepare", (k - 1) * blocks),
            ("prepare", (k - 1) * (k - 1) * blocks),
            ("commit", k * (k - 1) * blocks),
            ("voice", 2 * members),
            ("voice-share", 2 * members),
            ("group-block", members),
            ("group-ack", members),
            ("group-commit", members),
        ]);
        assert_eq!(copies(&outcome), expected, "{k} groups of {m}");
        let sum: u64 = expected.values().sum();
        assert_eq!(sum, (2 * k * (k - 1) + 7 * k * (m - 1)) * blocks);
    }
}

#[test]
fn a_witness_costs_two_echoes_of_each_member_but_itself() {
    for (k, m, witnesses, count) in [
        (4, 4, "one-honest", 2),
        (4, 7, "one-honest", 3),
        (5, 4, "all", 3),
    ] {
        let config = format!("groups: {k}, grouping: static, witnesses: {witnesses}");
        let outcome = calm((k * m) as usize, &config);
        let echoes = copies(&outcome).get("echo").copied();
        let expected = 2 * k * count * (m - 2) * outcome.summary.blocks;
        assert_eq!(echoes, Some(expected), "{config}");
    }
}

/// A run in some trouble.
fn troubled(nodes: usize, config: &str, lines: &[&str], seed: u64) -> Outcome {
    let load = "workload: { rate: 50/s, patients: 100, retry: 500ms }";
    let lines: Vec<&str> = lines.iter().copied().chain([load]).collect();
    let protocol = format!("{{ krbft: {{ {config} }} }}");
    let scenario = scenario(&yaml(nodes, &protocol, "40s", &lines), seed);
    outcome(&scenario, ONE_THREAD, None)
}

/// Counts messages of a kind that leave their sender's side: whether both numbers are even or odd.
struct Crossings(u64, u64);

impl Observer for Crossings {
    fn on_event(&mut self, _: Time, node: NodeId, event: &Event) {
        if let Event::Sent { to, kind, .. } = event
            && *kind == "group-ack"
        {
            self.0 += 1;
            self.1 += u64::from(node.0 % 2 != to.0 % 2);
        }
    }
}

#[test]
fn groups_around_medoids_follow_the_sites() {
    let sites = "network: { sites: [east, west], within: { latency: 1ms }, \
                 links: [ { between: [east, west], latency: 40ms } ] }";
    let crossings = |grouping: &str| {
        let protocol = format!("{{ krbft: {{ grouping: {grouping} }} }}");
        let load = "workload: { rate: 4/s, patients: 8, doctors: 2 }";
        let scenario = scenario(&yaml(16, &protocol, "5s", &[sites, load]), 3);
        let mut seen = Crossings(0, 0);
        outcome(&scenario, ONE_THREAD, Some(&mut seen));
        (seen.0 > 0, seen.1 > 0)
    };
    assert_eq!(
        crossings("kmedoids"),
        (true, false),
        "nobody leaves its site"
    );
    assert_eq!(crossings("static"), (true, true));
}

#[test]
fn checkpoints_become_stable_and_the_chain_outgrows_the_window() {
    for config in ["profile: paper", "profile: hardened"] {
        let outcome = troubled(16, config, &[], 2);
        assert_eq!(outcome.verdict.safety, Word::Holds);
        let told = (outcome.summary.blocks, outcome.summary.pending);
        assert!(told.0 > 500 && told.1 < 20, "{config}: {told:?}");
    }
}

#[test]
fn crashed_leaders_are_replaced() {
    let crash = "faults: [ { crash: { nodes: leader, during: [5s, 15s] } } ]";
    for (nodes, seed) in [(12, 1), (16, 2), (16, 3), (20, 4)] {
        let outcome = troubled(nodes, "", &[crash], seed);
        let verdict = &outcome.verdict;
        assert_eq!(verdict.safety, Word::Holds, "{:?}", verdict.violations);
        assert_ne!(verdict.liveness, Word::Violated, "{:?}", verdict.violations);
        assert!(outcome.summary.pending < 50, "it goes on to the end");
    }
}

#[test]
fn real_signatures_of_groups_are_checked() {
    let lines = [
        "crypto: ed25519",
        "workload: { rate: 5/s, patients: 8, doctors: 2 }",
    ];
    for config in ["profile: paper", "profile: hardened"] {
        let protocol = format!("{{ krbft: {{ {config} }} }}");
        let scenario = scenario(&yaml(16, &protocol, "3s", &lines), 1);
        let outcome = outcome(&scenario, ONE_THREAD, None);
        assert_eq!(outcome.verdict.safety, Word::Holds);
        assert!(outcome.summary.blocks >= 8, "{}", outcome.summary.blocks);
    }
}
