//! What MBFT costs and survives, as its formulas say.

use super::{FREE, ONE_THREAD, constant, outcome, scenario, yaml};
use crate::observe::checks::Word;
use crate::scenario::run::Outcome;

/// A run in which every group has one transaction for each large block: as many come at once as the
/// groups take, and nothing more until they are answered.
fn calm(nodes: usize, config: &str, lines: &[&str]) -> Outcome {
    let load = "workload: { rate: 10/s, even: true, patients: 8, doctors: 2 }";
    let wire = constant("1ms");
    let mut all = vec!["batch: { max: 1, wait: 0ms }", FREE, &wire, load];
    all.extend(lines);
    let scenario = scenario(&yaml(nodes, config, "2050ms", &all), 3);
    let outcome = outcome(&scenario, ONE_THREAD, None);
    assert_eq!(outcome.summary.pending, 0, "the run ends at rest");
    assert_eq!(outcome.verdict.safety, Word::Holds, "{:?}", outcome.verdict);
    outcome
}

/// All copies by kind.
fn copies(outcome: &Outcome) -> Vec<(&'static str, u64)> {
    let kinds = outcome.totals.by_kind.iter();
    let sent = kinds.map(|(kind, volume)| (*kind, volume.count));
    sent.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn a_large_block_of_one_group_costs_exactly_its_formula() {
    for (m, h, backups) in [
        (4, 4, 0),
        (4, 4, 3),
        (5, 4, 1),
        (6, 7, 2),
        (1, 1, 1),
        (7, 10, 5),
    ] {
        let nodes = m + h + backups;
        let config = format!("{{ mbft: {{ groups: 1, group_size: {m}, upper_size: {h} }} }}");
        let outcome = calm(nodes, &config, &[]);
        let blocks = outcome.summary.blocks;
        assert_eq!(blocks, 21, "one block for each transaction");
        let (n, m, h) = (nodes as u64, m as u64, h as u64);
        let mut expected = vec![
            ("commit", h * (h - 1) * blocks),
            ("forward", blocks),
            ("large-block", (n - h) * blocks),
            ("mini-block", h * blocks),
            ("order-request", (m - 1) * blocks),
            ("pre-prepare", (h - 1) * blocks),
            ("prepare", (h - 1) * (h - 1) * blocks),
            ("speculative-reply", (m - 1) * blocks),
        ];
        expected.retain(|(_, count)| *count > 0);
        assert_eq!(copies(&outcome), expected, "{n} nodes send nothing else");
        let each = 2 * (m - 1) + h + 2 * h * (h - 1) + (n - h) + 1;
        assert_eq!(outcome.summary.messages_per_block, Some(each as f64));
    }
}
