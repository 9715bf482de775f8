//! How often people who asked the contract for contact came to talk, and after how long.

use super::summary::{in_ms, mean, nearest_rank};

/// Conversations outside the chain, while they are counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Contacts {
    count: u64,
    /// Of those asked for in the window.
    latencies: Vec<u64>,
}

/// Conversations outside the chain in numbers.
#[derive(Clone, PartialEq, Debug)]
pub struct ContactSummary {
    /// Begun in the window.
    pub count: u64,
    /// The mean time from asking the contract to talking, over those both asked for and begun in
    /// the window.
    pub mean_ms: Option<f64>,
    /// Half of them took no longer.
    pub p50_ms: Option<f64>,
    /// 99 % of them took no longer.
    pub p99_ms: Option<f64>,
}

impl Contacts {
    /// One has begun in the window, so many nanoseconds after it was asked for, if that was in
    /// the window too.
    pub(super) fn begin(&mut self, latency: Option<u64>) {
        self.count += 1;
        self.latencies.extend(latency);
    }

    pub(super) fn summarise(mut self) -> ContactSummary {
        self.latencies.sort_unstable();
        let sum: u128 = self.latencies.iter().copied().map(u128::from).sum();
        let quantile = |percent| nearest_rank(&self.latencies, percent).map(in_ms);
        ContactSummary {
            count: self.count,
            mean_ms: mean(sum, self.latencies.len() as u64).map(|nanos| nanos / 1e6),
            p50_ms: quantile(50),
            p99_ms: quantile(99),
        }
    }
}
