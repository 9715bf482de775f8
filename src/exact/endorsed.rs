//! Endorsed transactions in whole runs: through storms, past clients that were cut off, and with
//! endorsers that lie.

use super::{FREE, ONE_THREAD, outcome, scenario, yaml};
use crate::base::random::{Random, Stream};
use crate::observe::checks::{Property, Word};
use crate::scenario::Scenario;
use crate::scenario::run::Outcome;
use crate::sim::Kernel;

const PROTOCOLS: [(&str, usize); 3] = [
    (
        "{ raft: { election_timeout: [150ms, 300ms], heartbeat: 50ms } }",
        5,
    ),
    (
        "{ iraft: { election_timeout: [150ms, 300ms], heartbeat: 50ms } }",
        7,
    ),
    ("{ pbft: { view_timeout: 300ms } }", 4),
];
const POLICIES: [&str; 5] = [
    "policy: and, endorsers: 2",
    "policy: or, endorsers: 3",
    "policy: \"OutOf(2, n0, n1, n2)\"",
    "policy: \"AND(n1, OR(n2, n3))\"",
    "policy: \"OR(AND(n0, n1), AND(n2, n3))\"",
];
/// Few people, so that calls get in one another's way, and every kind of call that can.
const HOT: &str = "workload: { rate: 60/s, patients: 8, doctors: 4, retry: 300ms, invalid: 2%, \
                   mix: { submit: 4, propose: 2, amend: 1, grant: 2, revoke: 1, access: 6, \
                   share: 2, search: 2 } }";

/// Six seconds of crashes that lose what was not on disk, partitions, loss and duplicates, and
/// as much time as it takes at most until everything is well again.
fn storm(seed: u64) -> Scenario {
    let mut random = Random::new(seed, Stream::Test);
    let mut below = |bound: u64| random.below(bound);
    let (protocol, nodes) = PROTOCOLS[below(3) as usize];
    let policy = POLICIES[below(POLICIES.len() as u64) as usize];
    let mut faults = Vec::new();
    for _ in 0..2 + below(3) {
        let from = 500 + below(4_000);
        let until = from + 50 + below(1_400);
        faults.push(match below(4) {
            0 => {
                format!("crash: {{ nodes: leader, during: [{from}ms, {until}ms], disk: unsynced }}")
            }
            1 | 2 => {
                let node = below(nodes as u64);
                format!(
                    "crash: {{ nodes: [{node}], during: [{from}ms, {until}ms], disk: unsynced }}"
                )
            }
            _ => {
                let cut = below(nodes as u64 - 1);
                let here: Vec<u64> = (0..=cut).collect();
                let there: Vec<u64> = (cut + 1..nodes as u64).collect();
                format!(
                    "partition: {{ groups: [{here:?}, {there:?}], during: [{from}ms, {until}ms] }}"
                )
            }
        });
    }
    faults.push("loss: { rate: 3%, during: [0s, 6s] }".into());
    faults.push("duplicate: { rate: 3%, during: [0s, 6s] }".into());
    let execution = format!(
        "execution: {{ execute-order-validate: {{ {policy}, retries: 3, backoff: 20ms }} }}"
    );
    let faults = format!("faults:\n  - {}", faults.join("\n  - "));
    let crypto = if seed.is_multiple_of(8) {
        "crypto: ed25519"
    } else {
        ""
    };
    let lines = [
        "batch: { max: 20, wait: 20ms }",
        HOT,
        &execution,
        &faults,
        crypto,
    ];
    scenario(&yaml(nodes, protocol, "40s", &lines), seed)
}

fn assert_sound(outcome: &Outcome, name: &str) {
    let verdict = &outcome.verdict;
    assert_eq!(
        verdict.safety,
        Word::Holds,
        "{name}: {:?}",
        verdict.violations
    );
    assert_eq!(
        verdict.liveness,
        Word::Holds,
        "{name}: {:?}",
        verdict.violations
    );
}

#[test]
fn storms_lead_to_the_same_state_everywhere_and_to_an_answer_for_everybody() {
    let (mut accepted, mut conflicts) = (0, 0);
    for seed in 0..16 {
        let scenario = storm(seed);
        let windows = outcome(&scenario, ONE_THREAD, None);
        assert_sound(&windows, &format!("seed {seed}"));
        if seed < 4 {
            let heap = outcome(&scenario, Kernel::Heap, None);
            let threads = outcome(&scenario, Kernel::Windows { threads: 3 }, None);
            assert_eq!(heap.fingerprint, windows.fingerprint, "seed {seed}");
            assert_eq!(heap.fingerprint, threads.fingerprint, "seed {seed}");
        }
        let summary = &windows.summary;
        assert!(summary.accepted > 300, "seed {seed}: {}", summary.accepted);
        assert!(summary.endorsements > 300, "seed {seed}");
        accepted += summary.accepted;
        conflicts += summary.conflicts;
    }
    assert!(accepted > 8_000, "{accepted}");
    assert!(conflicts > 40, "{conflicts} conflicts say little");
}

#[test]
fn who_was_cut_off_for_a_thousand_blocks_is_served_again() {
    let network = "network: { sites: { here: [0, 1, 2], away: [] }, \
                   links: [{ between: [here, away], latency: 1ms }] }";
    let load = "workload: { rate: 1000/s, patients: 2000, doctors: 50, retry: 200ms, \
                mix: { submit: 1 } }";
    let faults = "faults:\n  - loss: { rate: 100%, links: [[here, away]], during: [500ms, 4s] }";
    let lines = [
        FREE,
        "batch: { wait: 1ms }",
        network,
        load,
        "execution: { execute-order-validate: { policy: and, endorsers: 2 } }",
        faults,
    ];
    for protocol in ["raft", "pbft"] {
        let lines = &lines[..];
        let text = yaml(3, protocol, "25s", lines);
        let outcome = outcome(&scenario(&text, 1), ONE_THREAD, None);
        let blocks = outcome.summary.blocks as f64 / outcome.summary.window_s * 3.5;
        assert!(
            blocks > 1_000.0,
            "{protocol}: only {blocks} blocks were missed"
        );
        assert_sound(&outcome, protocol);
        let unanswered = outcome.summary.submitted - outcome.summary.committed;
        assert!(
            unanswered < 100,
            "{protocol}: {unanswered} without an answer"
        );
    }
}

/// A run in which n1 lies from the beginning.
fn forged(policy: &str) -> Outcome {
    let execution =
        format!("execution: {{ execute-order-validate: {{ {policy}, backoff: 20ms }} }}");
    let lines = [
        "workload: { rate: 100/s, patients: 200, doctors: 20, retry: 300ms, mix: { submit: 1 } }",
        &execution,
        "adversaries:\n  - forge-endorsement: { nodes: [1] }",
    ];
    outcome(
        &scenario(&yaml(4, "pbft", "40s", &lines), 3),
        ONE_THREAD,
        None,
    )
}

#[test]
fn one_lying_endorser_is_passed_by_if_two_must_agree() {
    let outcome = forged("policy: \"OutOf(2, n0, n1, n2)\"");
    assert_sound(&outcome, "two of three");
    let summary = &outcome.summary;
    assert_eq!(summary.refused, 0, "everybody finds two who agree");
    assert!(
        summary.retries > summary.endorsements / 4,
        "but not at once"
    );
}

#[test]
fn a_liar_that_must_endorse_stops_those_who_need_it_and_does_no_other_harm() {
    let outcome = forged("policy: \"AND(n0, n1)\", retries: 2");
    assert_eq!(
        outcome.verdict.safety,
        Word::Holds,
        "{:?}",
        outcome.verdict.violations
    );
    assert_eq!(
        (outcome.summary.accepted, outcome.summary.endorsements),
        (0, 0)
    );
    assert!(
        outcome.summary.refused > 500,
        "told that endorsers disagree"
    );
}

#[test]
fn a_liar_whose_word_is_enough_writes_what_is_not_so() {
    let outcome = forged("policy: or, endorsers: 3");
    assert_eq!(outcome.verdict.safety, Word::Violated);
    let mut properties = outcome.verdict.violations.iter().map(|v| v.property);
    assert!(properties.all(|property| property == Property::Endorsement));
    let share = outcome.verdict.total as f64 / outcome.summary.accepted as f64;
    assert!(
        (0.25..0.45).contains(&share),
        "a third of all endorsements: {share}"
    );
}

#[test]
fn only_what_all_nodes_execute_is_endorsed() {
    let one_chain = |name: &str, config: serde_json::Value, nodes| {
        let entry = crate::catalog::protocol(name).expect("it is in the catalogue");
        entry.spec.one_chain(&config, nodes)
    };
    let json = |text: &str| serde_json::from_str(text).unwrap();
    for name in ["raft", "pbft", "iraft", "krbft", "mbft"] {
        assert!(one_chain(name, json("{}"), 16), "{name}");
    }
    let sparse = json(r#"{ "publish": "sparse", "selection": "fixed" }"#);
    assert!(!one_chain("mbft", sparse, 16));
    assert!(!one_chain("layers", json("{}"), 18));
}
