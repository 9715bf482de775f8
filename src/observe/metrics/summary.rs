//! What a run comes to, in the units people read. The only place of this layer with floats: all
//! sums are whole numbers until here.

use super::contacts::ContactSummary;
use super::kinds::KindSummary;
use super::leadership::Election;
use super::measures::Measure;
use super::{Metrics, Row};
use crate::base::node::NodeId;
use crate::base::time::{Span, Time};
use crate::sim::event::Totals;

/// A run in numbers. "The window" is the measured one, from the end of the warm-up to the end of
/// the measurement. Values that have nothing to be computed from are absent.
#[derive(Clone, PartialEq, Debug)]
pub struct Summary {
    /// Transactions that clients sent for the first time in the window.
    pub submitted: u64,
    /// Transactions answered in the window: accepted and refused ones.
    pub committed: u64,
    /// Of these, the ones the contract accepted. A client that only learns that its transaction
    /// was executed earlier counts here too.
    pub accepted: u64,
    /// Of these, the ones the contract refused.
    pub refused: u64,
    /// Committed per second of the window.
    pub throughput_tps: f64,
    /// Accepted per second of the window.
    pub goodput_tps: f64,
    /// The mean time from submission to the client's reply quorum, over the transactions that
    /// were both submitted and answered in the window. Those submitted before would carry the
    /// start-up into the measurement; those not answered in it have no latency yet, and show in
    /// `pending` instead.
    pub latency_mean_ms: Option<f64>,
    /// Half of those transactions took no longer. Nearest rank over all values, as all quantiles.
    pub latency_p50_ms: Option<f64>,
    /// 90 % took no longer.
    pub latency_p90_ms: Option<f64>,
    /// 99 % took no longer.
    pub latency_p99_ms: Option<f64>,
    /// None took longer.
    pub latency_max_ms: Option<f64>,
    /// The quantiles 0 % to 100 % of the same values; empty without any.
    pub latency_quantiles_ms: Vec<f64>,
    /// The mean time from submission to the first decision at any honest node, over the
    /// transactions that were submitted in the window and first decided in it.
    pub consensus_latency_mean_ms: Option<f64>,
    /// Heights first decided in the window by any honest node.
    pub blocks: u64,
    /// Consensus messages sent in the window, a copy to each receiver counting one.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages over blocks.
    pub messages_per_block: Option<f64>,
    /// Messages between clients and nodes in the window.
    pub client_messages: u64,
    /// Their bytes.
    pub client_bytes: u64,
    /// Signatures that replicas made in the window.
    pub signatures: u64,
    /// Signatures that replicas verified in the window.
    pub verifications: u64,
    /// Endorsed transactions that clients sent to be ordered in the window.
    pub endorsements: u64,
    /// Of these, the ones whose transaction had been endorsed before.
    pub retries: u64,
    /// Endorsed transactions decided in the window that others had got in the way of.
    pub conflicts: u64,
    /// Conflicts over endorsements; 0 without any.
    pub conflict_rate: f64,
    /// How often in the whole run another node took over leadership, after the first leader.
    pub leader_changes: u64,
    /// Dishonest nodes that an honest one accused of something provable: not of silence.
    pub convicted: u64,
    /// Honest nodes that an honest one so accused.
    pub convicted_wrongly: u64,
    /// From the beginning of the misbehaviour to the first right accusation.
    pub identified_after_ms: Option<f64>,
    /// The same until every honest node had so accused one and the same dishonest node.
    pub identified_by_all_ms: Option<f64>,
    /// Transactions that honest nodes executed in other blocks than the first that was decided at
    /// the same height, or should have executed there, each node for itself: what a fork damaged.
    pub misapplied: u64,
    /// Transactions without an answer when the run ended.
    pub pending: u64,
    /// N: how many transactions were waiting for their answer, averaged over the window.
    pub in_system_mean: f64,
    /// X·W: throughput times the mean latency of all that were answered in the window, whenever
    /// they were submitted. By Little's law equal to `in_system_mean`, but for what crosses the
    /// edges of the window: at most the pending ones at either edge, each for its whole latency.
    pub little_product: f64,
    /// The times without a leader in the whole run.
    pub elections: Vec<Election>,
    /// Their sum; one that is still open is counted to the end of the run.
    pub leaderless_ms: f64,
    /// The length of the window.
    pub window_s: f64,
    /// The same for each kind of call that was submitted in the run, in alphabetical order.
    pub kinds: Vec<KindSummary>,
    /// Conversations that calls led to outside the chain.
    pub contacts: ContactSummary,
    /// What only some protocols are measured by.
    pub measures: Vec<Measure>,
    /// The run second by second, warm-up included.
    pub timeline: Vec<Second>,
}

/// One second of a run.
#[derive(Clone, PartialEq, Debug)]
pub struct Second {
    /// Counted from 0; the last one may be cut short.
    pub second: u64,
    /// Transactions answered in it.
    pub committed: u64,
    /// Half of them took no longer.
    pub latency_p50_ms: Option<f64>,
    /// 99 % of them took no longer.
    pub latency_p99_ms: Option<f64>,
    /// Consensus messages sent in it.
    pub messages: u64,
    /// Who led when it ended.
    pub leader: Option<NodeId>,
    /// The latest view that was led when it ended.
    pub view: u64,
}

impl Summary {
    /// Where the numbers contradict one another, as a sentence; nothing if they do not.
    pub fn disagreement(&self) -> Option<String> {
        let committed = self.committed;
        if self.accepted + self.refused != committed {
            return Some(format!("{committed} are not the accepted and the refused"));
        }
        let implied = self.throughput_tps * self.window_s;
        if (implied - committed as f64).abs() > 0.5 {
            return Some(format!(
                "throughput times window is {implied} but {committed} are committed"
            ));
        }
        let by_kind: u64 = self.kinds.iter().map(|k| k.accepted + k.refused).sum();
        if by_kind != committed {
            return Some(format!("{committed} are committed but {by_kind} by kind"));
        }
        let by_second: u64 = self.timeline.iter().map(|second| second.committed).sum();
        (by_second < committed)
            .then(|| format!("{committed} are committed but {by_second} by second"))
    }
}

/// The value of nearest rank: the smallest that at least `percent` of all do not exceed.
pub(super) fn nearest_rank(sorted: &[u64], percent: u64) -> Option<u64> {
    let rank = (u128::from(percent) * sorted.len() as u128).div_ceil(100);
    let index = usize::try_from(rank).expect("at most as many as there are values");
    sorted.get(index.saturating_sub(1)).copied()
}

pub(super) fn in_ms(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

pub(super) fn mean(sum: u128, count: u64) -> Option<f64> {
    (count > 0).then(|| sum as f64 / count as f64)
}

fn timeline(rows: &[Row], totals: &Totals) -> Vec<Second> {
    let second = |(index, row): (usize, &Row)| Second {
        second: index as u64,
        committed: row.committed,
        latency_p50_ms: row.p50.map(in_ms),
        latency_p99_ms: row.p99.map(in_ms),
        messages: totals.per_second.get(index).copied().unwrap_or(0),
        leader: row.leader,
        view: row.view,
    };
    rows.iter().enumerate().map(second).collect()
}

/// The sum of all times without a leader.
fn leaderless(elections: &[Election], until: Time) -> Span {
    let length = |election: &Election| election.until.unwrap_or(until).since(election.from);
    elections.iter().map(length).fold(Span::ZERO, |a, b| a + b)
}

/// Puts together what was counted.
pub(super) fn summarise(metrics: Metrics, totals: &Totals) -> Summary {
    let mut sorted = metrics.kinds.latencies();
    sorted.sort_unstable();
    let quantile = |percent| nearest_rank(&sorted, percent).map(in_ms);
    let sum: u128 = sorted.iter().copied().map(u128::from).sum();
    let measured = &metrics.measured;
    let window = measured.until.since(measured.warmup).nanos();
    let window_s = window as f64 / 1e9;
    let per_second = |count: u64| match window {
        0 => 0.0,
        _ => count as f64 / window_s,
    };
    let (accepted, refused) = (metrics.kinds.accepted(), metrics.kinds.refused());
    let committed = accepted + refused;
    let throughput_tps = per_second(committed);
    let residence_s = mean(metrics.residence, committed).unwrap_or(0.0) / 1e9;
    let (consensus, decided) = metrics.consensus;
    Summary {
        submitted: metrics.kinds.submitted(),
        committed,
        accepted,
        refused,
        throughput_tps,
        goodput_tps: per_second(accepted),
        latency_mean_ms: mean(sum, sorted.len() as u64).map(|nanos| nanos / 1e6),
        latency_p50_ms: quantile(50),
        latency_p90_ms: quantile(90),
        latency_p99_ms: quantile(99),
        latency_max_ms: quantile(100),
        latency_quantiles_ms: (0..=100).filter_map(quantile).collect(),
        consensus_latency_mean_ms: mean(consensus, decided).map(|nanos| nanos / 1e6),
        blocks: metrics.blocks,
        messages: totals.measured.count,
        bytes: totals.measured.bytes,
        messages_per_block: mean(u128::from(totals.measured.count), metrics.blocks),
        client_messages: totals.client_measured.count,
        client_bytes: totals.client_measured.bytes,
        signatures: totals.signatures,
        verifications: totals.verifications,
        endorsements: metrics.endorsements,
        retries: metrics.retries,
        conflicts: metrics.conflicts,
        conflict_rate: mean(u128::from(metrics.conflicts), metrics.endorsements).unwrap_or(0.0),
        leader_changes: metrics.leadership.changes,
        convicted: metrics.deceit.convicted.len() as u64,
        convicted_wrongly: metrics.deceit.convicted_wrongly.len() as u64,
        identified_after_ms: metrics.deceit.first.map(|span| in_ms(span.nanos())),
        identified_by_all_ms: metrics.deceit.all.map(|span| in_ms(span.nanos())),
        misapplied: metrics.deceit.misapplied,
        pending: metrics.pending.len() as u64,
        in_system_mean: mean(metrics.area, window).unwrap_or(0.0),
        little_product: throughput_tps * residence_s,
        leaderless_ms: in_ms(leaderless(&metrics.leadership.elections, measured.until).nanos()),
        window_s,
        kinds: metrics.kinds.summarise(per_second),
        contacts: metrics.contacts.summarise(),
        measures: metrics.measures.summarise(measured),
        timeline: timeline(&metrics.rows, totals),
        elections: metrics.leadership.elections,
    }
}
