//! The layers: messages for each record, exactly, and bytes on each node.

use super::{FREE, ONE_BY_ONE, ONE_THREAD, constant, outcome, scenario, yaml};
use crate::observe::checks::Word;
use crate::scenario::run::Outcome;

/// A calm run in which every record is a block of its own, and ends at rest.
fn calm(nodes: usize, config: &str, seed: u64) -> Outcome {
    let load = "workload: { rate: 4/s, even: true, patients: 40, doctors: 4, mix: { submit: 1 } }";
    let lines = [ONE_BY_ONE, FREE, &constant("1ms"), load];
    let protocol = format!("{{ layers: {{ {config} }} }}");
    let scenario = scenario(&yaml(nodes, &protocol, "5100ms", &lines), seed);
    let outcome = outcome(&scenario, ONE_THREAD, None);
    assert_eq!(outcome.summary.pending, 0, "the run ends at rest");
    assert_eq!(outcome.verdict.violations, [], "{config}");
    assert_eq!(outcome.verdict.safety, Word::Holds);
    outcome
}

/// Copies of one kind in the whole run.
fn copies(outcome: &Outcome, kind: &str) -> u64 {
    let by_kind = &outcome.totals.by_kind;
    let found = by_kind.iter().find(|(name, _)| *name == kind);
    found.map_or(0, |(_, volume)| volume.count)
}

#[test]
fn a_record_kept_in_one_network_costs_what_theory_says() {
    for (c, i, r, k) in [(4, 1, 5, 2), (4, 2, 4, 1), (7, 1, 3, 3), (1, 1, 2, 2)] {
        for poll in [true, false] {
            let presence = if poll { "poll" } else { "table" };
            let config = format!(
                "edges: 1, consensus: {c}, index: {i}, hospitals: {k}, remote: 0, \
                 presence: {presence}"
            );
            let outcome = calm((c + i + r) as usize, &config, 3);
            let records = 21;
            println!("{:?}", outcome.totals.by_kind);
            let answers = if poll { r - 1 + i } else { 0 };
            let expected = [
                ("add-request", r - 1 + c + i),
                ("presence", answers),
                ("payload", 1),
                ("deliver", k - 1),
                ("header", r - k),
                ("ack", k - 1),
                ("pre-prepare", c - 1),
                ("prepare", (c - 1) * (c - 1)),
                ("commit", c * (c - 1)),
            ];
            for (kind, each) in expected {
                assert_eq!(copies(&outcome, kind), each * records, "{config}: {kind}");
            }
        }
    }
}
