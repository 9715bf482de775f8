//! The wall clock and the memory of the process: what depends on the machine and never reaches a
//! result.

use crate::experiment::table::SpeedRow;
use crate::scenario::run::Outcome;

/// Runs something and says how many seconds it took.
#[expect(
    clippy::disallowed_types,
    reason = "speed is measured here and kept apart from results"
)]
pub fn stopwatch<T>(run: impl FnOnce() -> T) -> (T, f64) {
    let start = std::time::Instant::now();
    let result = run();
    (result, start.elapsed().as_secs_f64())
}

/// Tells how much time has passed.
#[derive(Debug)]
#[expect(
    clippy::disallowed_types,
    reason = "how long a search lasts may depend on the clock"
)]
pub struct Clock(std::time::Instant);

impl Clock {
    /// Begins to count.
    #[expect(
        clippy::disallowed_types,
        reason = "how long a search lasts may depend on the clock"
    )]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Seconds since then.
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// Runs a scenario and measures it.
pub fn timed(run: &dyn Fn() -> Outcome) -> (Outcome, SpeedRow) {
    let (outcome, wall_s) = stopwatch(run);
    let events = outcome.totals.events;
    let speed = SpeedRow {
        wall_s,
        events,
        events_per_s: (wall_s > 0.0).then(|| events as f64 / wall_s),
        peak_mib: peak_mib(),
    };
    (outcome, speed)
}

/// The most memory this process has held so far, where the system tells.
pub fn peak_mib() -> Option<f64> {
    memory_mib("VmHWM:")
}

/// The memory this process holds now, where the system tells.
pub fn resident_mib() -> Option<f64> {
    memory_mib("VmRSS:")
}

fn memory_mib(name: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}
