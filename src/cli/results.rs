//! What commands print of results.

use super::say::say;
use std::path::{Path, PathBuf};

use crate::experiment::table::RunRecord;
use crate::observe::forensics::{Forensics, Fork};
use crate::observe::metrics::KindSummary;
use crate::scenario::Scenario;
use crate::scenario::run::Outcome;

/// Prints a short summary of one run.
pub fn print_summary(name: &str, scenario: &Scenario, outcome: &Outcome) {
    let summary = &outcome.summary;
    let or_dash = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.3}"));
    say(format_args!(
        "{name}: {} with {} nodes, seed {}",
        scenario.protocol.name, scenario.nodes, scenario.seed
    ));
    say(format_args!("  {}", scenario.about.trim()));
    say(format_args!(
        "  throughput   {:.1} tx/s  (goodput {:.1}; {} submitted, {} committed, {} refused)",
        summary.throughput_tps,
        summary.goodput_tps,
        summary.submitted,
        summary.committed,
        summary.refused
    ));
    say(format_args!(
        "  latency      p50 {} ms, p99 {} ms, max {} ms",
        or_dash(summary.latency_p50_ms),
        or_dash(summary.latency_p99_ms),
        or_dash(summary.latency_max_ms)
    ));
    say(format_args!(
        "  consensus    {} blocks, {} messages a block, {} leader changes",
        summary.blocks,
        summary
            .messages_per_block
            .map_or("–".into(), |value| format!("{value:.1}")),
        summary.leader_changes
    ));
    print_kinds(&summary.kinds);
    let bound = match outcome.verdict.liveness {
        crate::observe::checks::Word::Inconclusive => format!(
            " (the run ends before {:.1} s after the last fault)",
            outcome.liveness_bound.nanos() as f64 / 1e9
        ),
        crate::observe::checks::Word::Holds
        | crate::observe::checks::Word::Violated
        | crate::observe::checks::Word::OutsideModel => String::new(),
    };
    say(format_args!(
        "  checks       safety {}, liveness {}{bound}",
        outcome.verdict.safety.name(),
        outcome.verdict.liveness.name()
    ));
    for violation in outcome.verdict.violations.iter().take(5) {
        say(format_args!("    violated: {violation}"));
    }
    if outcome.verdict.total > 5 {
        say(format_args!("    and {} more", outcome.verdict.total - 5));
    }
    say(format_args!("  fingerprint  {}", outcome.fingerprint));
}

/// Prints who is guilty of a fork, and why.
pub fn print_guilt(forensics: &Forensics) {
    let proofs = forensics.proofs();
    let names: Vec<String> = proofs.iter().map(|p| p.culprit().to_string()).collect();
    let names = match names.as_slice() {
        [] => "unknown: honest nodes hold no signed statements that can be compared".to_owned(),
        names => names.join(", "),
    };
    say(format_args!("  guilty       {names}"));
    if let Some(Fork { height, nodes }) = forensics.fork() {
        let [first, second] = nodes;
        say(format_args!(
            "    of the fork at height {height} between {first} and {second}"
        ));
    }
    for proof in proofs {
        say(format_args!("    {proof}"));
    }
}

/// Prints a line a kind of call, if there are several.
fn print_kinds(kinds: &[KindSummary]) {
    if kinds.len() < 2 {
        return;
    }
    for (index, kind) in kinds.iter().enumerate() {
        let title = if index == 0 { "by kind" } else { "" };
        let latency = match (kind.latency_p50_ms, kind.latency_p99_ms) {
            (Some(p50), Some(p99)) => format!("p50 {p50:.3} ms, p99 {p99:.3} ms"),
            _ => "no answer".to_owned(),
        };
        let mut refusals = String::new();
        for (code, count) in &kind.refusals {
            refusals.push_str(&format!("; {count} × {code}"));
        }
        say(format_args!(
            "  {title:<12} {:<10} {:>8.1}/s  {latency}{refusals}",
            kind.kind, kind.goodput_tps
        ));
    }
}

/// Prints a line a point: medians over seeds.
pub fn print_points(records: &[RunRecord]) {
    say(format_args!(
        "{:<8} {:>6} {:>12} {:>14} {:>14} {:>14}  swept",
        "protocol", "nodes", "tx/s", "p50 ms", "p99 ms", "msgs/block"
    ));
    let mut rest = records;
    while let Some(first) = rest.first() {
        let seeds = rest.partition_point(|record| record.row.point == first.row.point);
        let (point, others) = rest.split_at(seeds);
        rest = others;
        let median = |column: &str| {
            let values = point.iter().filter_map(|record| record.row.number(column));
            let sorted = crate::experiment::stats::sorted(values);
            let median = crate::experiment::stats::median(&sorted);
            median.map_or("–".to_owned(), |value| format!("{value:.2}"))
        };
        let swept: Vec<String> = first
            .row
            .swept
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        say(format_args!(
            "{:<8} {:>6} {:>12} {:>14} {:>14} {:>14}  {}",
            first.row.protocol,
            first.row.nodes,
            median("throughput_tps"),
            median("latency_p50_ms"),
            median("latency_p99_ms"),
            median("messages_per_block"),
            swept.join(" ")
        ));
    }
}

/// Prints where results went.
pub fn print_written(dir: &Path, written: &[PathBuf]) {
    let figures = written
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "svg"));
    for figure in figures {
        say(format_args!("figure  {}", figure.display()));
    }
    let report = dir.join("report.html");
    if written.contains(&report) {
        say(format_args!("report  {}", report.display()));
    }
}
