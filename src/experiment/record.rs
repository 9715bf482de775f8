//! What one run leaves behind, as rows.

use super::manifest::{FaultWindow, Resolved};
use super::table::{
    CallRow, ElectionRow, LatencyRow, MeasureRow, MessageRow, RefusalRow, Row, RunRecord, SpeedRow,
    TimelineRow, ViolationRow,
};
use crate::base::time::{Time, Window};
use crate::observe::metrics::{KindSummary, Measure, Summary};
use crate::scenario::Scenario;
use crate::scenario::run::Outcome;

/// Which run of which experiment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// The experiment, or the scenario that was run by itself.
    pub experiment: String,
    /// The point, from 0.
    pub point: u64,
    /// The swept keys with their values.
    pub swept: Vec<(String, String)>,
}

/// The rows of a run.
pub fn record(
    label: &Label,
    scenario: &Scenario,
    outcome: &Outcome,
    speed: Option<SpeedRow>,
) -> RunRecord {
    let summary = &outcome.summary;
    RunRecord {
        row: row(label, scenario, outcome),
        timeline: summary
            .timeline
            .iter()
            .map(|second| TimelineRow {
                second: second.second,
                committed: second.committed,
                latency_p50_ms: second.latency_p50_ms,
                latency_p99_ms: second.latency_p99_ms,
                messages: second.messages,
                leader: second.leader.map(|node| u64::from(node.0)),
                view: Some(second.view),
            })
            .collect(),
        messages: outcome
            .totals
            .by_kind
            .iter()
            .map(|(kind, volume)| MessageRow {
                kind: (*kind).to_owned(),
                count: volume.count,
                bytes: volume.bytes,
            })
            .collect(),
        calls: summary.kinds.iter().map(call).collect(),
        refusals: summary.kinds.iter().flat_map(refusals).collect(),
        latencies: quantiles(summary),
        elections: summary
            .elections
            .iter()
            .map(|election| ElectionRow {
                start_ms: millis(election.from),
                downtime_ms: election
                    .until
                    .map(|until| millis(until) - millis(election.from)),
            })
            .collect(),
        violations: violations(outcome),
        measures: summary.measures.iter().map(measure).collect(),
        speed,
    }
}

fn call(kind: &KindSummary) -> CallRow {
    CallRow {
        kind: kind.kind.to_owned(),
        submitted: kind.submitted,
        accepted: kind.accepted,
        refused: kind.refused,
        goodput_tps: Some(kind.goodput_tps),
        latency_mean_ms: kind.latency_mean_ms,
        latency_p50_ms: kind.latency_p50_ms,
        latency_p99_ms: kind.latency_p99_ms,
    }
}

fn measure(measure: &Measure) -> MeasureRow {
    MeasureRow {
        measure: measure.name.to_owned(),
        at: measure.at,
        value: measure.value,
    }
}

fn refusals(kind: &KindSummary) -> impl Iterator<Item = RefusalRow> + '_ {
    kind.refusals.iter().map(|(code, count)| RefusalRow {
        kind: kind.kind.to_owned(),
        code: format!("E{}", code.number()),
        count: *count,
        reason: format!("{code:?}"),
    })
}

fn row(label: &Label, scenario: &Scenario, outcome: &Outcome) -> Row {
    let summary = &outcome.summary;
    Row {
        experiment: label.experiment.clone(),
        point: label.point,
        protocol: scenario.protocol.name.clone(),
        nodes: scenario.nodes as u64,
        seed: scenario.seed,
        status: "done".into(),
        fingerprint: outcome.fingerprint.to_string(),
        safety: outcome.verdict.safety.name().into(),
        liveness: outcome.verdict.liveness.name().into(),
        submitted: summary.submitted,
        committed: summary.committed,
        accepted: summary.accepted,
        refused: summary.refused,
        throughput_tps: Some(summary.throughput_tps),
        goodput_tps: Some(summary.goodput_tps),
        latency_mean_ms: summary.latency_mean_ms,
        latency_p50_ms: summary.latency_p50_ms,
        latency_p90_ms: summary.latency_p90_ms,
        latency_p99_ms: summary.latency_p99_ms,
        latency_max_ms: summary.latency_max_ms,
        consensus_latency_mean_ms: summary.consensus_latency_mean_ms,
        blocks: summary.blocks,
        messages: summary.messages,
        bytes: summary.bytes,
        messages_per_block: summary.messages_per_block,
        signatures: summary.signatures,
        verifications: summary.verifications,
        leader_changes: summary.leader_changes,
        violations: outcome.verdict.total,
        byzantine: scenario.dishonest_count() as u64,
        convicted: summary.convicted,
        convicted_wrongly: summary.convicted_wrongly,
        identified_after_ms: summary.identified_after_ms,
        simulated_s: Some(seconds(Time::ZERO + scenario.duration)),
        client_messages: summary.client_messages,
        client_bytes: summary.client_bytes,
        events: outcome.totals.events,
        endorsements: summary.endorsements,
        retries: summary.retries,
        conflicts: summary.conflicts,
        conflict_rate: Some(summary.conflict_rate),
        contacts: summary.contacts.count,
        contact_latency_mean_ms: summary.contacts.mean_ms,
        contact_latency_p50_ms: summary.contacts.p50_ms,
        contact_latency_p99_ms: summary.contacts.p99_ms,
        identified_by_all_ms: summary.identified_by_all_ms,
        misapplied: summary.misapplied,
        swept: label.swept.clone(),
    }
}

fn quantiles(summary: &Summary) -> Vec<LatencyRow> {
    let steps = summary.latency_quantiles_ms.len().saturating_sub(1).max(1) as f64;
    let values = summary.latency_quantiles_ms.iter().enumerate();
    values
        .map(|(step, &latency_ms)| LatencyRow {
            quantile: step as f64 / steps,
            latency_ms,
        })
        .collect()
}

fn violations(outcome: &Outcome) -> Vec<ViolationRow> {
    let names = |nodes: &[crate::base::node::NodeId]| {
        nodes
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let all = outcome.verdict.violations.iter();
    all.map(|violation| ViolationRow {
        time_ms: millis(violation.time),
        property: violation.property.name().into(),
        nodes: names(&violation.nodes),
        height: violation.height,
        detail: violation.detail.clone(),
    })
    .collect()
}

/// The scenario of a point as the manifest keeps it, with the times at which something is wrong.
pub fn resolved(label: &Label, scenario: &Scenario) -> Resolved {
    let window = |fault: &str, during: &Window| FaultWindow {
        fault: fault.to_owned(),
        from_s: seconds(during.from),
        until_s: during.until.map(seconds),
    };
    let faults = scenario
        .faults
        .iter()
        .map(|fault| window(fault.name(), &fault.during()));
    let lies = scenario
        .adversaries
        .iter()
        .map(|a| window(a.behaviour.name(), &a.during));
    let windows = faults.chain(lies).collect();
    Resolved::new(&label.experiment, label.point, scenario.to_yaml(), windows)
}

fn millis(time: Time) -> f64 {
    time.nanos() as f64 / 1e6
}

fn seconds(time: Time) -> f64 {
    time.nanos() as f64 / 1e9
}
