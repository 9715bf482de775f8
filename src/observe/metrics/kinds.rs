//! Counts and times for each kind of call, because a mean over kinds hides them: a search is
//! answered by one node, a record by all of them.

use std::collections::BTreeMap;

use super::summary::{in_ms, mean, nearest_rank};
use crate::contract::Code;

/// A kind by its place in the list of kinds seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kind(u8);

/// One kind of call, while it is counted.
#[derive(Clone, Debug)]
struct Tally {
    name: &'static str,
    submitted: u64,
    accepted: u64,
    /// How often each check refused one.
    refusals: BTreeMap<Code, u64>,
    /// Of the calls submitted and answered in the window.
    latencies: Vec<u64>,
}

/// All kinds of call, in the order in which they were first seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Kinds(Vec<Tally>);

/// One kind of call in numbers; "the window" is the measured one, and what is counted is what
/// [`Summary`](super::Summary) counts for all kinds together.
#[derive(Clone, PartialEq, Debug)]
pub struct KindSummary {
    /// The kind, as the contract names it.
    pub kind: &'static str,
    /// Sent for the first time in the window.
    pub submitted: u64,
    /// Answered in the window and accepted; of searches, answered with what they found.
    pub accepted: u64,
    /// Answered in the window and refused.
    pub refused: u64,
    /// Accepted per second of the window.
    pub goodput_tps: f64,
    /// The mean latency of those both submitted and answered in the window.
    pub latency_mean_ms: Option<f64>,
    /// Half of them took no longer.
    pub latency_p50_ms: Option<f64>,
    /// 99 % of them took no longer.
    pub latency_p99_ms: Option<f64>,
    /// How often each check refused one, in the order of the checks.
    pub refusals: Vec<(Code, u64)>,
}

impl Kinds {
    /// The kind of this name, which comes to the end of the list if it is new.
    pub(super) fn of(&mut self, name: &'static str) -> Kind {
        let known = self.0.iter().position(|tally| tally.name == name);
        let place = known.unwrap_or_else(|| {
            self.0.push(Tally {
                name,
                submitted: 0,
                accepted: 0,
                refusals: BTreeMap::new(),
                latencies: Vec::new(),
            });
            self.0.len() - 1
        });
        Kind(u8::try_from(place).expect("there are fewer than 256 kinds of call"))
    }

    fn tally(&mut self, kind: Kind) -> &mut Tally {
        &mut self.0[usize::from(kind.0)]
    }

    /// One was submitted in the window.
    pub(super) fn submit(&mut self, kind: Kind) {
        self.tally(kind).submitted += 1;
    }

    /// One was accepted in the window, or refused by a check.
    pub(super) fn answer(&mut self, kind: Kind, refusal: Option<Code>) {
        let tally = self.tally(kind);
        match refusal {
            None => tally.accepted += 1,
            Some(code) => *tally.refusals.entry(code).or_default() += 1,
        }
    }

    /// One was both submitted and answered in the window, after so many nanoseconds.
    pub(super) fn time(&mut self, kind: Kind, latency: u64) {
        self.tally(kind).latencies.push(latency);
    }

    /// How many were refused.
    pub(super) fn refused(&self) -> u64 {
        self.0.iter().map(Tally::refused).sum()
    }

    /// How many were accepted.
    pub(super) fn accepted(&self) -> u64 {
        self.0.iter().map(|tally| tally.accepted).sum()
    }

    /// How many were submitted.
    pub(super) fn submitted(&self) -> u64 {
        self.0.iter().map(|tally| tally.submitted).sum()
    }

    /// The latencies of all kinds, in no order that means anything.
    pub(super) fn latencies(&self) -> Vec<u64> {
        let all = self.0.iter().flat_map(|tally| &tally.latencies);
        all.copied().collect()
    }

    /// All kinds in alphabetical order, given how much a count is per second.
    pub(super) fn summarise(self, per_second: impl Fn(u64) -> f64) -> Vec<KindSummary> {
        let mut kinds: Vec<KindSummary> = self
            .0
            .into_iter()
            .map(|tally| tally.summarise(&per_second))
            .collect();
        kinds.sort_by_key(|kind| kind.kind);
        kinds
    }
}

impl Tally {
    fn refused(&self) -> u64 {
        self.refusals.values().sum()
    }

    fn summarise(mut self, per_second: impl Fn(u64) -> f64) -> KindSummary {
        self.latencies.sort_unstable();
        let sum: u128 = self.latencies.iter().copied().map(u128::from).sum();
        let quantile = |percent| nearest_rank(&self.latencies, percent).map(in_ms);
        KindSummary {
            kind: self.name,
            submitted: self.submitted,
            accepted: self.accepted,
            refused: self.refused(),
            goodput_tps: per_second(self.accepted),
            latency_mean_ms: mean(sum, self.latencies.len() as u64).map(|nanos| nanos / 1e6),
            latency_p50_ms: quantile(50),
            latency_p99_ms: quantile(99),
            refusals: self.refusals.into_iter().collect(),
        }
    }
}
