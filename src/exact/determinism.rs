//! Equal scenarios give equal runs: whatever the kernel, with any number of threads, and as they
//! did when the fingerprints of this folder were written.

use std::path::Path;

use super::{FREE, PROTOCOLS, outcome, scenario, yaml};
use crate::base::crypto::{Crypto, Digest};
use crate::base::node::NodeId;
use crate::base::time::{Span, Time};
use crate::scenario::Scenario;
use crate::sim::Kernel;
use crate::sim::event::{Event, Observer};

/// Scenarios that between them use everything the kernels treat apart.
fn composed() -> Vec<(String, Scenario)> {
    let sites = "network: { sites: [north, south], links: [{ between: [north, south], \
                 latency: { lognormal: { median: 12ms, p99: 40ms } } }], ordered: true }";
    let weather = "faults:\n  \
                   - crash: { nodes: leader, during: [600ms, 1200ms], disk: unsynced }\n  \
                   - partition: { groups: [[0, 1], [2, 3]], during: [1500ms, 1800ms] }\n  \
                   - loss: { rate: 1% }\n  - duplicate: { rate: 1% }\n  \
                   - reorder: { rate: 5%, by: 10ms, during: [200ms, 2s] }\n  \
                   - slow: { nodes: [3], factor: 10 }\n  \
                   - crash: { nodes: [2], during: [2s, 2500ms], disk: lost }";
    let shared = "machine: { shared: true, cores: 4 }";
    let closed = "workload: { clients: 20, patients: 30, doctors: 3, zipf: 0.8 }";
    let open = "workload: { rate: 200/s, patients: 30, doctors: 3, retry: 300ms, invalid: 5% }";
    let liars = "adversaries:\n  - equivocate: { nodes: [0], collude: true }\n  \
                 - late: { nodes: [1], by: 20ms }";
    let endorsed = "execution: { execute-order-validate: { policy: \"OutOf(2, n0, n1, n2)\", \
                    retries: 2, backoff: 20ms } }";
    let forgers = "adversaries:\n  - forge-endorsement: { nodes: [1], during: [500ms, 2s] }\n  \
                   - late: { nodes: [2], by: 20ms }";
    let scoped = "adversaries:\n  \
                  - equivocate: { nodes: [0], probability: 20%, during: [500ms] }\n  \
                  - replay: { nodes: [0], after: 300ms, probability: 10%, targets: half }\n  \
                  - selective: { nodes: [1], leading: true }\n  \
                  - impersonate: { nodes: [1], targets: { random: 2 }, during: [1s] }\n  \
                  - flood: { nodes: [1], copies: 2, during: [1500ms, 2s] }";
    let fragile = "faults:\n  \
                   - crash: { at: before-write, nodes: [2], probability: 2%, down: 30ms }\n  \
                   - crash: { at: after-send, nodes: leader, probability: 1%, down: 100ms, \
                   during: [1s, 2s] }\n  - clock: { nodes: [3], speed: 1.7 }\n  \
                   - partition: { groups: [[0], [2]], every: 500ms, for: 100ms }";
    let two_faced = "adversaries:\n  - twins: { nodes: [0], during: [500ms, 1500ms] }\n  \
                     - amnesia: { nodes: [1], during: [1s, 2s] }\n  - false-reply: { nodes: [1] }";
    let mut all = Vec::new();
    for (protocol, nodes) in [
        ("raft", 5),
        ("iraft", 7),
        ("pbft", 7),
        ("krbft", 16),
        ("mbft", 14),
    ] {
        for (name, lines) in [
            ("calm", &[closed][..]),
            ("sites", &[sites, open]),
            ("weather", &[weather, open]),
            ("shared", &[shared, closed]),
            ("liars", &[liars, open]),
            ("endorsed", &[weather, open, endorsed]),
            ("forged", &[closed, endorsed, forgers]),
            ("scoped", &[open, scoped]),
            ("fragile", &[sites, open, fragile]),
            ("two-faced", &[closed, two_faced]),
        ] {
            let text = yaml(nodes, protocol, "3s", lines);
            all.push((format!("{protocol}-{name}"), scenario(&text, 42)));
        }
    }
    // More hosts than one group of the kernel holds.
    let slow = "network: { within: { latency: { uniform: [5ms, 9ms] } } }";
    let text = yaml(40, "pbft", "400ms", &[slow, open]);
    all.push(("pbft-crowd".into(), scenario(&text, 42)));
    all
}

/// The scenarios that come with the project, shortened, of the protocols that are known here.
fn shipped() -> Vec<(String, Scenario)> {
    let mut all = Vec::new();
    for folder in ["calm", "weather", "byzantine"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("scenarios")
            .join(folder);
        let Ok(entries) = std::fs::read_dir(path) else {
            continue;
        };
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let text = std::fs::read_to_string(&path).unwrap();
            let choice = text.lines().find(|line| line.starts_with("protocol:"));
            let known = |line: &str| PROTOCOLS.iter().any(|spec| line.contains(spec.name));
            if path.extension().is_some_and(|end| end == "yaml") && choice.is_some_and(known) {
                let name = path.file_stem().unwrap().to_string_lossy();
                let mut scenario = scenario(&text, 42);
                let seconds = Span::from_nanos(30_000_000_000 / scenario.nodes.max(10) as u64);
                scenario.duration = scenario.duration.min(seconds);
                scenario.warmup = scenario.warmup.min(Span::from_nanos(seconds.nanos() / 2));
                all.push((format!("{folder}/{name}"), scenario));
            }
        }
    }
    all
}

#[test]
fn every_kernel_gives_the_fingerprints_on_record() {
    let mut told = String::new();
    for (name, scenario) in composed().into_iter().chain(shipped()) {
        let heap = outcome(&scenario, Kernel::Heap, None);
        for threads in [1, 2, 8] {
            let windows = outcome(&scenario, Kernel::Windows { threads }, None);
            assert_eq!(
                windows.fingerprint, heap.fingerprint,
                "{name}, {threads} threads"
            );
            assert_eq!(windows.totals, heap.totals, "{name}, {threads} threads");
            assert_eq!(windows.summary, heap.summary, "{name}, {threads} threads");
        }
        assert!(heap.summary.blocks > 0, "{name} decides something");
        told.push_str(&format!("{} {name}\n", heap.fingerprint));
    }
    expect_test::expect_file!["fingerprints.txt"].assert_eq(&told);
}

#[test]
fn another_seed_is_another_run() {
    for (name, scenario) in composed() {
        let mut scenario = scenario;
        scenario.duration = scenario.duration.min(Span::from_millis(700));
        let runs = [42, 43].map(|seed| {
            let kernel = Kernel::Windows { threads: 1 };
            outcome(&scenario.with_seed(seed), kernel, None).fingerprint
        });
        assert_ne!(runs[0], runs[1], "{name}");
    }
}

/// What was decided, by whom and when.
#[derive(Default, PartialEq, Debug)]
struct Decided(Vec<(Time, NodeId, Digest)>);

impl Observer for Decided {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        if let Event::Decided { block } = event {
            self.0.push((now, node, block.digest));
        }
    }
}

#[test]
fn real_signatures_change_nothing_but_the_work() {
    let load = "workload: { rate: 100/s, patients: 30, doctors: 3 }";
    let liar = "adversaries:\n  - equivocate: { nodes: [0] }";
    let config = "{ pbft: { view_timeout: 200ms } }";
    let text = yaml(4, config, "1500ms", &[FREE, load, liar]);
    let decided = [Crypto::Modelled, Crypto::Ed25519].map(|crypto| {
        let mut scenario = scenario(&text, 9);
        scenario.crypto = crypto;
        let mut decided = Decided::default();
        let kernel = Kernel::Windows { threads: 2 };
        let outcome = outcome(&scenario, kernel, Some(&mut decided));
        assert_eq!(outcome.summary.convicted, 1, "the liar signed both");
        decided
    });
    assert!(decided[0].0.len() > 20);
    assert_eq!(decided[0], decided[1]);
}
