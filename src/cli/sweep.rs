//! Whole experiments: sweep and merge.

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Failure, INTERRUPTED, clock, results, shard, threads};
use crate::catalog::{Names, PROTOCOLS};
use crate::experiment::manifest::{Manifest, sha256};
use crate::experiment::plan::Plan;
use crate::experiment::store;
use crate::experiment::sweep::{self, Conduct, Shard};
use crate::experiment::table::Tables;

/// Arguments of `sweep`.
#[derive(Args, Debug)]
pub struct SweepArguments {
    /// An experiment file.
    experiment: PathBuf,
    /// Where to write CSV files, manifest, figures and report.
    #[arg(short, long)]
    out: Option<PathBuf>,
    /// Threads; results do not depend on it.
    #[arg(short, long)]
    jobs: Option<usize>,
    /// Only the Ith of N parts of all runs.
    #[arg(long, value_name = "I/N", value_parser = shard, requires = "out")]
    shard: Option<Shard>,
    /// Keep the runs an interrupted sweep has finished.
    #[arg(long, requires = "out")]
    resume: bool,
}

/// Runs an experiment.
pub fn sweep(arguments: &SweepArguments, quiet: bool) -> Result<(), Failure> {
    let names = Names::all();
    let plan = Plan::load(&arguments.experiment, &names.known())?;
    let jobs = threads(arguments.jobs)?;
    let shard = arguments.shard.unwrap_or(Shard::WHOLE);
    let held = arguments.out.as_deref().map(store::hold).transpose()?;
    let build = held.as_ref().map_or(String::new(), |_| build());
    let bar = progress(sweep::count(&plan, shard) as u64, quiet);
    let keep = arguments.out.as_ref().map(|out| out.join("unfinished"));
    let conduct = Conduct {
        jobs,
        shard,
        keep: keep.as_deref(),
        build: &build,
        resume: arguments.resume,
        stop: &INTERRUPTED,
        done: &|| bar.inc(1),
        clock: &clock::timed,
    };
    let tables = sweep::sweep(&plan, PROTOCOLS, &conduct)?;
    bar.finish_and_clear();
    let Some(tables) = tables else {
        let hint = match &arguments.out {
            Some(_) => "; finished runs are kept: add --resume to go on",
            None => "",
        };
        return Err(Failure::Interrupted(hint.into()));
    };
    results::print_points(tables.records());
    let Some(out) = &arguments.out else {
        return Ok(());
    };
    let command = format!("consilium sweep {}", arguments.experiment.display());
    let manifest = sweep::manifest(&plan, command, super::run::commit());
    let written = crate::figure::publish(out, &tables, &manifest)?;
    if let Some(keep) = &keep {
        discard(keep)?;
    }
    drop(held);
    results::print_written(out, &written);
    Ok(())
}

/// The digest of this very program: another build may give other rows. Without one, as if it were
/// the only one of its version.
fn build() -> String {
    let program = std::env::current_exe().and_then(std::fs::read);
    program.map_or(env!("CARGO_PKG_VERSION").into(), |bytes| sha256(&bytes))
}

/// Removes the folder of finished runs, which are in the tables now.
fn discard(keep: &Path) -> Result<(), Failure> {
    match std::fs::remove_dir_all(keep) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Failure::Io {
            action: "remove",
            path: keep.to_owned(),
            source,
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A bar on a terminal, nothing elsewhere.
pub fn progress(runs: u64, quiet: bool) -> ProgressBar {
    let target = if quiet {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let bar = ProgressBar::with_draw_target(Some(runs), target);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left");
    bar.set_style(style.expect("the template is well formed"));
    bar
}

/// Joins the shards of one sweep.
pub fn merge(shards: &[PathBuf], out: &Path) -> Result<(), Failure> {
    let mut records = Vec::new();
    let mut whole: Option<Manifest> = None;
    for dir in shards {
        let manifest = Manifest::read_dir(dir)?.ok_or_else(|| {
            Failure::Usage(format!(
                "{} has no manifest: its shard did not finish",
                dir.display()
            ))
        })?;
        match &whole {
            Some(first) if *first != manifest => {
                let rule = "is not a shard of the same sweep, version and commit as the first";
                return Err(Failure::Usage(format!("{} {rule}", dir.display())));
            }
            Some(_) => {}
            None => whole = Some(manifest),
        }
        records.extend(Tables::read_dir(dir)?.into_records());
    }
    let manifest = whole.expect("there is a shard");
    let tables = Tables::new(records)?;
    let runs = tables.records().len() as u64;
    if runs != manifest.runs {
        let rule = "merge all shards, each once";
        return Err(Failure::Usage(format!(
            "{runs} of {} runs are here: {rule}",
            manifest.runs
        )));
    }
    let _held = store::hold(out)?;
    let written = crate::figure::publish(out, &tables, &manifest)?;
    results::print_written(out, &written);
    Ok(())
}
