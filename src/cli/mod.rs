//! The command line: arguments in, files and a summary out, an exit code at the end.
//!
//! Results go to files and standard output; progress and warnings to standard error. Exit codes:
//! 0 done and every expectation met; 1 an expectation failed or a violation was found where none
//! was expected; 2 command line; 3 scenario or experiment refused; 4 a resource limit; 5 reading
//! or writing; 130 interrupted.

mod begin;
mod clock;
mod explain;
mod fuzz;
mod gauge;
mod idle;
mod reproduce;
mod results;
mod run;
mod say;
mod study;
mod sweep;

use say::note;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Parser, Subcommand, ValueEnum};

use crate::base::time::Span;
use crate::experiment::sweep::Shard;
use crate::{catalog, experiment, figure};

/// Set when the user interrupts; sweeps look at it before each run.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Simulate consensus in a medical-records consortium, deterministically: a scenario and a seed
/// give the same bytes on every machine.
#[derive(Parser, Debug)]
#[command(
    name = "consilium",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
#[command(
    after_help = "Exit codes: 0 done; 1 an expectation failed or a violation was found; \
    2 wrong usage; 3 scenario refused; 4 resource limit; 5 reading or writing; 130 interrupted.\n\
    Start with `consilium run scenarios/calm/pbft.yaml`."
)]
struct Arguments {
    /// No progress and no warnings.
    #[arg(short, long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Write a small scenario and an experiment to start from.
    Init {
        /// The folder, made if it is missing.
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Run scenarios once each and print a summary.
    Run(run::RunArguments),
    /// Run every point and seed of an experiment, on all cores.
    Sweep(sweep::SweepArguments),
    /// Join the shards of one sweep.
    Merge {
        /// The folders of all shards.
        #[arg(required = true)]
        shards: Vec<PathBuf>,
        /// Where the whole goes.
        #[arg(long)]
        out: PathBuf,
    },
    /// Redraw the figures and the report of a folder from its CSV files alone.
    Plot {
        /// A folder of results.
        dir: PathBuf,
        /// Only these figures.
        #[arg(long)]
        figure: Vec<String>,
    },
    /// Run scenarios and judge what they expect; a folder means every scenario in it.
    Check {
        /// Scenarios or folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Threads.
        #[arg(short, long)]
        jobs: Option<usize>,
        /// Also runs each scenario without each of its faults and behaviours: one that changes
        /// nothing is not as expected.
        #[arg(long)]
        each: bool,
    },
    /// Read scenarios and experiments and say all that is wrong with them.
    Validate {
        /// Scenarios, experiments or folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Run random scenarios, first troubled and then healed, and say which fail.
    Fuzz(fuzz::FuzzArguments),
    /// Run published measurements and print ours, theirs and the error.
    Reproduce(reproduce::ReproduceArguments),
    /// Print what happens in a run, in order.
    Trace(run::TraceArguments),
    /// Measure the kernel and the protocols, also as ratios to a heap-based kernel.
    Bench {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        /// Smaller networks and shorter runs.
        #[arg(long)]
        fast: bool,
    },
    /// Study a single part, without consensus around it.
    Study {
        /// Which part.
        part: study::Part,
        /// Where to write CSV files, manifest and figures.
        #[arg(short, long)]
        out: Option<PathBuf>,
        /// Less of everything.
        #[arg(long)]
        fast: bool,
    },
    /// List what can be named.
    List {
        /// Of which kind; all of them if not given.
        kind: Option<ListKind>,
    },
    /// Explain one protocol, figure, fault, behaviour, latency, target, key or column.
    Explain {
        /// Its name.
        name: String,
    },
}

/// What can be listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ListKind {
    Protocols,
    Figures,
    Faults,
    Behaviours,
    Latencies,
    Targets,
    Refusals,
    Keys,
    Columns,
}

/// Why a command did not end well.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Refused(#[from] crate::scenario::Refusal),
    #[error(transparent)]
    Results(#[from] experiment::Error),
    #[error(transparent)]
    Figures(#[from] figure::Error),
    #[error("cannot {action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{0}")]
    Usage(String),
    #[error("interrupted{0}")]
    Interrupted(String),
    /// Everything was done, and something is not as expected; it has been printed.
    #[error("not as expected")]
    Unexpected,
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Unexpected => 1,
            Self::Usage(_) | Self::Figures(figure::Error::Unknown { .. }) => 2,
            Self::Refused(refusal) => refusal.exit_code(),
            Self::Results(experiment::Error::Exhausted { .. }) => 4,
            Self::Results(_) | Self::Figures(_) | Self::Io { .. } => 5,
            Self::Interrupted(_) => 130,
        }
    }
}

/// Parses the arguments of the process, does what they say, and returns its exit code.
pub fn main() -> u8 {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            // A closed pipe is the reader's choice and no failure of ours.
            let _ = error.print();
            return code;
        }
    };
    #[cfg(feature = "mutants")]
    if !matches!(&arguments.command, Command::Fuzz(fuzz) if fuzz.breaks()) {
        let why = "this program was built with guards that can be left out: it runs nothing but \
                   tests and `fuzz` with `--mutant` or `--mutants`";
        note(format_args!("error: {why}"));
        return 2;
    }
    let stops_by_itself = matches!(arguments.command, Command::Sweep(_));
    let handler = move || {
        if !stops_by_itself || INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    };
    if ctrlc::set_handler(handler).is_err() && !arguments.quiet {
        note(format_args!("warning: interrupts end the program at once"));
    }
    match dispatch(arguments) {
        Ok(()) if say::results_were_lost() => {
            note(format_args!("error: cannot write to standard output"));
            5
        }
        Ok(()) => 0,
        Err(failure) => {
            report(&failure);
            failure.exit_code()
        }
    }
}

/// Prints a failure with its causes.
fn report(failure: &Failure) {
    match failure {
        Failure::Unexpected => {}
        Failure::Refused(refusal) => note(format_args!("{refusal}")),
        Failure::Results(_)
        | Failure::Figures(_)
        | Failure::Io { .. }
        | Failure::Usage(_)
        | Failure::Interrupted(_) => {
            let mut text = failure.to_string();
            let mut source = std::error::Error::source(failure);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            note(format_args!("error: {text}"));
        }
    }
}

fn dispatch(arguments: Arguments) -> Result<(), Failure> {
    let quiet = arguments.quiet;
    match arguments.command {
        Command::Init { dir } => begin::begin(&dir),
        Command::Run(arguments) => run::run(&arguments, quiet),
        Command::Sweep(arguments) => sweep::sweep(&arguments, quiet),
        Command::Merge { shards, out } => sweep::merge(&shards, &out),
        Command::Plot { dir, figure } => {
            let names = (!figure.is_empty()).then_some(&figure[..]);
            if let Some(part) = study::held(&dir) {
                return study::redraw(part, &dir, names);
            }
            let written = match crate::figure::redraw_reproduction(&dir, catalog::TARGETS, names)? {
                Some(written) => written,
                None => crate::figure::redraw(&dir, names)?,
            };
            results::print_written(&dir, &written);
            Ok(())
        }
        Command::Check { paths, jobs, each } => run::check(&paths, threads(jobs)?, each, quiet),
        Command::Validate { paths } => run::validate(&paths),
        Command::Fuzz(arguments) => fuzz::fuzz(&arguments, quiet),
        Command::Reproduce(arguments) => reproduce::reproduce(&arguments, quiet),
        Command::Trace(arguments) => run::trace(&arguments),
        Command::Bench { json, fast } => {
            gauge::gauge(json, fast, quiet);
            Ok(())
        }
        Command::Study { part, out, fast } => study::study(part, out.as_deref(), fast, quiet),
        Command::List { kind } => {
            explain::list(kind);
            Ok(())
        }
        Command::Explain { name } => explain::explain(&name),
    }
}

/// As many threads as asked for, or as there are cores.
fn threads(jobs: Option<usize>) -> Result<usize, Failure> {
    match jobs {
        Some(0) => Err(Failure::Usage("`--jobs` is at least 1".into())),
        Some(jobs) if jobs > 1024 => Err(Failure::Usage("`--jobs` is at most 1024".into())),
        Some(jobs) => Ok(jobs),
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
    }
}

/// Reads `KEY=VALUE`.
fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("write KEY=VALUE, like nodes=7")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Reads `I/N`.
fn shard(text: &str) -> Result<Shard, String> {
    let numbers = text.split_once('/').and_then(|(index, count)| {
        Some((index.parse::<usize>().ok()?, count.parse::<usize>().ok()?))
    });
    match numbers {
        Some((index, count)) if (1..=count).contains(&index) => Ok(Shard { index, count }),
        Some((index, count)) => Err(format!("shard {index} is not one of 1 to {count}")),
        None => Err("write I/N, like 1/4".into()),
    }
}

/// Reads a duration.
fn span(text: &str) -> Result<Span, String> {
    text.parse()
        .map_err(|error: crate::base::units::UnitError| error.to_string())
}
