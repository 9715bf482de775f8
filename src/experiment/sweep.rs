//! All runs of an experiment, on all cores. Rows come out in the order of points and seeds,
//! whatever the number of threads; finished runs are kept on disk until the sweep is complete, so
//! that an interrupted one can be resumed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::Error;
use super::manifest::{Manifest, Resolved, sha256};
use super::plan::Plan;
use super::record::{Label, record, resolved};
use super::store;
use super::table::{RunRecord, SpeedRow, Tables};
use crate::scenario::Scenario;
use crate::scenario::run::{Entry, Outcome};
use crate::sim::Kernel;

/// Which part of all runs: the `index`th of `count`, from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shard {
    /// From 1 to `count`.
    pub index: usize,
    /// At least 1.
    pub count: usize,
}

impl Shard {
    /// The only part.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    fn holds(self, run: usize) -> bool {
        run % self.count == self.index - 1
    }
}

/// Runs what it is given once and says how long that took and how much memory.
pub type Clock = dyn Fn(&dyn Fn() -> Outcome) -> (Outcome, SpeedRow) + Sync;

/// How to run a sweep; none of it changes a row.
pub struct Conduct<'a> {
    /// Threads, at least one.
    pub jobs: usize,
    /// Which runs.
    pub shard: Shard,
    /// Where finished runs are kept until all are done.
    pub keep: Option<&'a Path>,
    /// What tells this program from one that might give other rows: only its own runs are used.
    pub build: &'a str,
    /// Whether runs kept there are used instead of running them again.
    pub resume: bool,
    /// Set from outside to stop before the next run.
    pub stop: &'a AtomicBool,
    /// Called whenever a run is done.
    pub done: &'a (dyn Fn() + Sync),
    /// Times a run: wall time and memory, which are not part of the results.
    pub clock: &'a Clock,
}

/// One run to do.
struct Run {
    label: Label,
    scenario: Scenario,
}

/// How many runs a shard of a plan has.
pub fn count(plan: &Plan, shard: Shard) -> usize {
    let all = plan.points().len() * plan.seeds as usize;
    (0..all).filter(|&run| shard.holds(run)).count()
}

/// Runs a plan. Nothing if it was stopped before the end.
///
/// # Errors
/// If finished runs cannot be kept or read.
///
/// # Panics
/// If a protocol of the plan is not among the entries, which validation refuses.
pub fn sweep(
    plan: &Plan,
    entries: &[Entry],
    conduct: &Conduct<'_>,
) -> Result<Option<Tables>, Error> {
    let runs: Vec<Run> = plan
        .points()
        .iter()
        .flat_map(|point| {
            (0..plan.seeds).map(|number| Run {
                label: Label {
                    experiment: plan.name.clone(),
                    point: point.index as u64,
                    swept: point.labels.clone(),
                },
                scenario: point.run(number),
            })
        })
        .enumerate()
        .filter_map(|(index, run)| conduct.shard.holds(index).then_some(run))
        .collect();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(conduct.jobs)
        .build()
        .expect("the system grants the threads asked for");
    let records: Result<Vec<Option<RunRecord>>, Error> = pool.install(|| {
        runs.par_iter()
            .map(|run| one(run, entries, conduct))
            .collect()
    });
    let records: Option<Vec<RunRecord>> = records?.into_iter().collect();
    let Some(records) = records else {
        return Ok(None);
    };
    Tables::new(records).map(Some)
}

/// One run, or nothing if the sweep was stopped before it began.
fn one(run: &Run, entries: &[Entry], conduct: &Conduct<'_>) -> Result<Option<RunRecord>, Error> {
    if conduct.stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let place = conduct.keep.map(|folder| kept(folder, run, conduct.build));
    if let (true, Some(place)) = (conduct.resume, &place)
        && let Some(record) = reuse(place)
    {
        (conduct.done)();
        return Ok(Some(record));
    }
    let entry = entries
        .iter()
        .find(|entry| entry.spec.name == run.scenario.protocol.name);
    let entry = entry.expect("a validated scenario names a known protocol");
    let kernel = Kernel::Windows { threads: 1 };
    let (outcome, speed) = (conduct.clock)(&|| (entry.run)(&run.scenario, kernel, None));
    if let Some(why) = outcome.exhausted {
        let run = format!("point {}, seed {}", run.label.point, run.scenario.seed);
        return Err(Error::Exhausted { run, why });
    }
    let record = record(&run.label, &run.scenario, &outcome, Some(speed));
    if let Some(place) = &place {
        let tables = Tables::new(vec![record.clone()])?;
        store::put_one(place, &tables.to_archive())?;
    }
    (conduct.done)();
    Ok(Some(record))
}

/// Where a finished run is kept: named after everything that determines its rows.
fn kept(folder: &Path, run: &Run, build: &str) -> PathBuf {
    let text = format!(
        "{build}\n{}\n{:?}\n{}",
        run.label.experiment,
        (run.label.point, &run.label.swept),
        run.scenario.to_yaml()
    );
    folder.join(format!("{}.run", &sha256(text.as_bytes())[..32]))
}

/// A run kept earlier; nothing if it is not there or damaged, and then it is run again.
fn reuse(place: &Path) -> Option<RunRecord> {
    let bytes = store::get(place).ok()??;
    let tables = Tables::from_archive(place, &bytes).ok()?;
    let [record] = <[RunRecord; 1]>::try_from(tables.into_records()).ok()?;
    Some(record)
}

/// The manifest of a plan.
pub fn manifest(plan: &Plan, command: String, commit: String) -> Manifest {
    let scenarios: Vec<Resolved> = plan
        .points()
        .iter()
        .map(|point| {
            let label = Label {
                experiment: plan.name.clone(),
                point: point.index as u64,
                swept: point.labels.clone(),
            };
            resolved(&label, &point.scenario)
        })
        .collect();
    Manifest {
        command,
        version: env!("CARGO_PKG_VERSION").into(),
        commit,
        experiment: plan.name.clone(),
        about: plan.about.clone(),
        figures: plan.figures.clone(),
        runs: plan.points().len() as u64 * u64::from(plan.seeds),
        scenarios,
    }
}
