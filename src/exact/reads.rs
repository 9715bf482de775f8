//! Reads that a leader answers by itself, against what clients were told before.

use super::{FREE, ONE_THREAD, outcome, scenario, yaml};
use crate::observe::checks::{Property, Word};

/// Five hospitals whose first two are cut off time and again, among clients that mostly search.
fn cut_off(mutant: &str, seed: u64) -> Vec<Property> {
    let network = "network: { within: { latency: 5ms, bandwidth: unlimited } }";
    let load = "workload: { rate: 200/s, patients: 40, doctors: 4, retry: 300ms, \
                mix: { submit: 2, search: 3 } }";
    let faults = "faults:\n  - partition: { groups: [[0, 1], [2, 3, 4]], \
                  during: [1s, 9s], every: 2s, for: 1s }";
    let protocol = format!("{{ raft: {{ reads: index{mutant} }} }}");
    let text = yaml(5, &protocol, "10s", &[FREE, network, load, faults]);
    let verdict = outcome(&scenario(&text, seed), ONE_THREAD, None).verdict;
    let properties: Vec<Property> = verdict.violations.iter().map(|v| v.property).collect();
    assert_eq!(verdict.safety == Word::Holds, properties.is_empty());
    properties
}

#[test]
fn a_leader_that_was_deposed_unawares_tells_nobody_what_was_true_once() {
    for seed in 0..8 {
        assert_eq!(cut_off("", seed), [], "seed {seed}");
    }
}

#[test]
fn reads_that_nobody_confirms_are_found_out() {
    let stale = |seed| cut_off(", mutant: stale-read", seed);
    let mut noticed = 0;
    for seed in 0..12 {
        let properties = stale(seed);
        let only = |property: &Property| *property == Property::Linearizability;
        assert!(properties.iter().all(only), "seed {seed}: {properties:?}");
        noticed += usize::from(!properties.is_empty());
    }
    assert!(noticed > 2, "noticed in {noticed} of 12 runs");
}
