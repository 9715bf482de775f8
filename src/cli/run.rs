//! Single scenarios: run, check, validate, trace.

use super::say::{note, say};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use rayon::prelude::*;

use super::idle::idle_parts;
use super::{Failure, clock, key_value, results, span, threads};
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::base::time::{Span, Time, Window};
use crate::catalog::{self, Names};
use crate::experiment::manifest::Manifest;
use crate::experiment::plan::Plan;
use crate::experiment::record::{Label, record, resolved};
use crate::experiment::table::{RunRecord, SpeedRow, Tables};
use crate::observe::checks::{Property, Violation};
use crate::observe::diagram::Diagram;
use crate::observe::forensics::Forensics;
use crate::observe::perfetto::Timeline;
use crate::observe::shiviz::Causes;
use crate::observe::trace::{Filter, Trace};
use crate::scenario::run::{Entry, Outcome};
use crate::scenario::{Prediction, Refusal, Scenario, unmet};
use crate::sim::Kernel;
use crate::sim::event::Observer;

/// Arguments of `run`.
#[derive(Args, Debug)]
pub struct RunArguments {
    /// Scenario files.
    #[arg(required = true)]
    scenarios: Vec<PathBuf>,
    /// The seed, in place of the scenario's.
    #[arg(long)]
    seed: Option<u64>,
    /// Changes a value, like `network.within.latency=5ms`; may be repeated.
    #[arg(short, long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
    /// Where to write CSV files, manifest and figures.
    #[arg(short, long)]
    out: Option<PathBuf>,
    /// Threads of one run; the result does not depend on it.
    #[arg(short, long)]
    jobs: Option<usize>,
    /// Use the reference kernel, which is slow and obvious; the result does not depend on it.
    #[arg(long)]
    reference: bool,
}

/// Arguments of `trace`.
#[derive(Args, Debug)]
pub struct TraceArguments {
    /// A scenario file.
    scenario: PathBuf,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// From when, like `1s`.
    #[arg(long, value_parser = span)]
    from: Option<Span>,
    /// Until when.
    #[arg(long, value_parser = span)]
    until: Option<Span>,
    /// Only what happens at these nodes, like `0,3`.
    #[arg(long, value_delimiter = ',')]
    nodes: Vec<u16>,
    /// The seed, in place of the scenario's.
    #[arg(long)]
    seed: Option<u64>,
    /// Changes a value; may be repeated.
    #[arg(short, long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
    /// A file instead of standard output.
    #[arg(short, long)]
    out: Option<PathBuf>,
}

/// How a trace is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    /// One line an event.
    Text,
    /// A sequence diagram for Mermaid.
    Mermaid,
    /// A timeline for viewers such as Perfetto's, in the trace event format of Chrome.
    Perfetto,
    /// A log with vector clocks for ShiViz.
    Shiviz,
}

fn entry(scenario: &Scenario) -> &'static Entry {
    let entry = catalog::protocol(&scenario.protocol.name);
    entry.expect("a validated scenario names a known protocol")
}

pub(super) fn execute(
    scenario: &Scenario,
    kernel: Kernel,
    guest: Option<&mut dyn Observer>,
) -> Outcome {
    (entry(scenario).run)(scenario, kernel, guest)
}

/// Messages and memory from which on it is said before a run that it will be long.
const LONG: (u128, u64) = (30_000_000, 1 << 30);

/// Says how long a long run will be.
fn foretell(name: &str, scenario: &Scenario) {
    let predicted = Prediction::of(scenario, entry(scenario).spec.byzantine);
    let memory = predicted.memory(scenario).0;
    if predicted.messages >= LONG.0 || memory >= LONG.1 {
        note(format_args!(
            "{name}: up to {} transactions, {} million messages and about {:.1} GiB of memory",
            predicted.transactions,
            predicted.messages / 1_000_000,
            memory as f64 / (1_u64 << 30) as f64,
        ));
    }
}

/// Runs a scenario to its end, and takes the time.
fn timed(
    name: &str,
    scenario: &Scenario,
    kernel: Kernel,
    quiet: bool,
) -> Result<(Outcome, SpeedRow), Failure> {
    if !quiet {
        foretell(name, scenario);
    }
    let (outcome, speed) = clock::timed(&|| execute(scenario, kernel, None));
    whole(name, &outcome)?;
    Ok((outcome, speed))
}

/// Refuses what was given up before its end.
fn whole(name: &str, outcome: &Outcome) -> Result<(), crate::experiment::Error> {
    outcome.exhausted.map_or(Ok(()), |why| {
        let run = name.to_owned();
        Err(crate::experiment::Error::Exhausted { run, why })
    })
}

/// Runs a scenario once more, to the same end, and keeps what honest nodes can prove of others.
fn investigate(scenario: &Scenario, kernel: Kernel) -> Forensics {
    let mut forensics = entry(scenario).forensics(scenario);
    execute(scenario, kernel, Some(&mut forensics));
    forensics
}

/// Reads all files before anything runs, and refuses all that is wrong with any of them.
fn load_all(
    paths: &[PathBuf],
    set: &[(String, String)],
    seed: Option<u64>,
) -> Result<Vec<Scenario>, Refusal> {
    let names = Names::all();
    let mut scenarios = Vec::new();
    let mut problems = Vec::new();
    let mut more = 0;
    for path in paths {
        match Scenario::load(path, set, seed, &names.known()) {
            Ok(scenario) => scenarios.push(scenario),
            Err(refusal) => {
                problems.extend(refusal.problems);
                more += refusal.more;
            }
        }
    }
    if problems.is_empty() {
        Ok(scenarios)
    } else {
        Err(Refusal::new(problems, more))
    }
}

/// A scenario's name: its file's, without folder and extension.
pub(super) fn name_of(path: &Path) -> String {
    path.file_stem().map_or("scenario".into(), |stem| {
        stem.to_string_lossy().into_owned()
    })
}

/// Runs scenarios once each.
pub fn run(arguments: &RunArguments, quiet: bool) -> Result<(), Failure> {
    let scenarios = load_all(&arguments.scenarios, &arguments.set, arguments.seed)?;
    let kernel = if arguments.reference {
        Kernel::Heap
    } else {
        Kernel::Windows {
            threads: threads(arguments.jobs)?,
        }
    };
    let mut records = Vec::new();
    let mut manifest = Manifest {
        command: command(arguments),
        version: env!("CARGO_PKG_VERSION").into(),
        commit: commit(),
        runs: scenarios.len() as u64,
        ..Manifest::default()
    };
    let mut as_expected = true;
    for (index, (path, scenario)) in arguments.scenarios.iter().zip(&scenarios).enumerate() {
        let name = name_of(path);
        let (outcome, speed) = timed(&name, scenario, kernel, quiet)?;
        results::print_summary(&name, scenario, &outcome);
        let forked = |violation: &Violation| violation.property == Property::Agreement;
        if outcome.verdict.violations.iter().any(forked) {
            results::print_guilt(&investigate(scenario, kernel));
        }
        if !quiet {
            let rate = speed.events_per_s.unwrap_or(0.0) / 1e6;
            note(format_args!(
                "  {:.2} s for {} events ({rate:.1} M/s)",
                speed.wall_s, speed.events
            ));
        }
        let label = Label {
            experiment: name.clone(),
            point: index as u64,
            swept: Vec::new(),
        };
        manifest.experiment = name;
        manifest.about = scenario.about.clone();
        manifest.scenarios.push(resolved(&label, scenario));
        let record = record(&label, scenario, &outcome, Some(speed));
        for sentence in judge(scenario, &outcome, &record) {
            say(format_args!("  not as expected: {sentence}"));
            as_expected = false;
        }
        records.push(record);
    }
    if let Some(out) = &arguments.out {
        let tables = Tables::new(records)?;
        let _held = crate::experiment::store::hold(out)?;
        let written = crate::figure::publish(out, &tables, &manifest)?;
        results::print_written(out, &written);
    }
    if as_expected {
        Ok(())
    } else {
        Err(Failure::Unexpected)
    }
}

/// What a scenario expects and a run did not show.
fn judge(scenario: &Scenario, outcome: &Outcome, record: &RunRecord) -> Vec<String> {
    unmet(&scenario.expect, &outcome.verdict, |column| {
        record.row.number(column)
    })
}

/// What to type to get the same results.
fn command(arguments: &RunArguments) -> String {
    let mut words = vec!["consilium".to_owned(), "run".into()];
    words.extend(
        arguments
            .scenarios
            .iter()
            .map(|path| path.display().to_string()),
    );
    if let Some(seed) = arguments.seed {
        words.push(format!("--seed {seed}"));
    }
    words.extend(
        arguments
            .set
            .iter()
            .map(|(key, value)| format!("--set {key}={value}")),
    );
    words.join(" ")
}

/// The commit the program was built from, if the build was told.
pub fn commit() -> String {
    option_env!("CONSILIUM_COMMIT")
        .unwrap_or("unknown")
        .to_owned()
}

/// Every YAML file below the paths, in order.
pub(super) fn yaml_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let unreadable = |source| Failure::Io {
            action: "read",
            path: path.clone(),
            source,
        };
        let mut inner = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?.path();
            let yaml = entry.extension().is_some_and(|e| e == "yaml" || e == "yml");
            if entry.is_dir() || yaml {
                inner.push(entry);
            }
        }
        inner.sort();
        files.extend(yaml_files(&inner)?);
    }
    Ok(files)
}

/// Whether a file is an experiment: it names the scenario it varies.
fn is_experiment(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().any(|line| line.starts_with("scenario:"))
}

/// A scenario that was run, the fingerprint of the run, and what is not as expected.
type Judged = (PathBuf, Digest, Vec<String>);

/// Runs the scenarios below the paths and judges them; also each of their faults and behaviours, if
/// asked to.
pub(super) fn judge_all(
    paths: &[PathBuf],
    jobs: usize,
    each: bool,
) -> Result<Vec<Judged>, Failure> {
    let mut files = yaml_files(paths)?;
    files.retain(|path| !is_experiment(path));
    if files.is_empty() {
        return Err(Failure::Usage(
            "there is no scenario at these places".into(),
        ));
    }
    let scenarios = load_all(&files, &[], None)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build();
    let pool = pool.expect("the system grants the threads asked for");
    let judged = |(path, scenario): (PathBuf, &Scenario)| {
        let outcome = execute(scenario, Kernel::Windows { threads: 1 }, None);
        let label = Label {
            experiment: name_of(&path),
            point: 0,
            swept: Vec::new(),
        };
        let record = record(&label, scenario, &outcome, None);
        let mut unmet = judge(scenario, &outcome, &record);
        unmet.extend(outcome.exhausted.map(|why| why.to_string()));
        if each {
            unmet.extend(idle_parts(scenario, outcome.fingerprint));
        }
        (path, outcome.fingerprint, unmet)
    };
    let all = || files.into_par_iter().zip(&scenarios).map(judged).collect();
    Ok(pool.install(all))
}

/// Runs scenarios and judges them, a line each.
pub fn check(paths: &[PathBuf], jobs: usize, each: bool, quiet: bool) -> Result<(), Failure> {
    let judged = judge_all(paths, jobs, each)?;
    let (mut failed, all) = (0, judged.len());
    for (path, _, unmet) in judged {
        let word = if unmet.is_empty() { "ok  " } else { "FAIL" };
        say(format_args!("{word} {}", path.display()));
        for sentence in &unmet {
            say(format_args!("       {sentence}"));
        }
        failed += usize::from(!unmet.is_empty());
    }
    if failed > 0 {
        say(format_args!(
            "{failed} of {all} scenarios are not as expected"
        ));
        return Err(Failure::Unexpected);
    }
    if !quiet {
        note(format_args!("{all} scenarios are as expected"));
    }
    Ok(())
}

/// Reads files and says what is wrong with them.
pub fn validate(paths: &[PathBuf]) -> Result<(), Failure> {
    let files = yaml_files(paths)?;
    let names = Names::all();
    let mut worst: Option<Refusal> = None;
    for path in &files {
        let result = if is_experiment(path) {
            Plan::load(path, &names.known()).map(|plan| {
                let runs = plan.points().len() * plan.seeds as usize;
                format!(
                    "experiment of {} points and {runs} runs",
                    plan.points().len()
                )
            })
        } else {
            Scenario::load(path, &[], None, &names.known())
                .map(|scenario| format!("{} with {} nodes", scenario.protocol.name, scenario.nodes))
        };
        match result {
            Ok(what) => say(format_args!("ok   {}: {what}", path.display())),
            Err(refusal) => {
                say(format_args!("BAD  {}", path.display()));
                if worst
                    .as_ref()
                    .is_none_or(|w| w.exit_code() < refusal.exit_code())
                {
                    if let Some(previous) = worst.replace(refusal) {
                        note(format_args!("{previous}"));
                    }
                } else {
                    note(format_args!("{refusal}"));
                }
            }
        }
    }
    worst.map_or(Ok(()), |refusal| Err(refusal.into()))
}

/// A run in a format that is complete at its end only; nothing for lines of text.
fn drawn(scenario: &Scenario, format: Format, filter: &Filter) -> Option<(String, Outcome)> {
    let kernel = Kernel::Windows { threads: 1 };
    let filter = filter.clone();
    match format {
        Format::Text => None,
        Format::Mermaid => {
            let mut diagram = Diagram::new(filter, None);
            let outcome = execute(scenario, kernel, Some(&mut diagram));
            Some((diagram.draw(), outcome))
        }
        Format::Perfetto => {
            let mut timeline = Timeline::new(filter);
            let outcome = execute(scenario, kernel, Some(&mut timeline));
            Some((timeline.draw(), outcome))
        }
        Format::Shiviz => {
            let mut causes = Causes::new(filter);
            let outcome = execute(scenario, kernel, Some(&mut causes));
            Some((causes.log(), outcome))
        }
    }
}

/// Prints what happens in a run.
pub fn trace(arguments: &TraceArguments) -> Result<(), Failure> {
    let paths = [arguments.scenario.clone()];
    let mut scenarios = load_all(&paths, &arguments.set, arguments.seed)?;
    let scenario = scenarios.pop().expect("one file was read");
    let at = |span: Span| Time::ZERO + span;
    let filter = Filter {
        during: Window {
            from: arguments.from.map_or(Time::ZERO, at),
            until: arguments.until.map(at),
        },
        nodes: arguments.nodes.iter().copied().map(NodeId).collect(),
    };
    let kernel = Kernel::Windows { threads: 1 };
    let name = name_of(&arguments.scenario);
    if let Some((drawn, outcome)) = drawn(&scenario, arguments.format, &filter) {
        match &arguments.out {
            Some(path) => crate::experiment::store::put_one(path, drawn.as_bytes())?,
            None => say(format_args!("{}", drawn.trim_end())),
        }
        return Ok(whole(&name, &outcome)?);
    }
    let Some(path) = &arguments.out else {
        let out = std::io::BufWriter::new(std::io::stdout().lock());
        let mut trace = Trace::new(out, filter);
        let outcome = execute(&scenario, kernel, Some(&mut trace));
        // Who reads the trace may stop reading: that is no failure.
        return match trace.finish().and_then(|mut out| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::Io {
                action: "write",
                path: "standard output".into(),
                source: error,
            }),
            Ok(()) | Err(_) => Ok(whole(&name, &outcome)?),
        };
    };
    let mut trace = Trace::new(Vec::new(), filter);
    let outcome = execute(&scenario, kernel, Some(&mut trace));
    let text = trace.finish().expect("memory takes everything");
    crate::experiment::store::put_one(path, &text)?;
    Ok(whole(&name, &outcome)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every scenario from its beginning to its end, on one thread, with its fingerprint on record.
    #[test]
    fn every_scenario_shows_what_it_expects_and_is_the_run_on_record() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let judged = judge_all(std::slice::from_ref(&root), 2, false).expect("all can be read");
        let mut told = String::new();
        for (path, fingerprint, unmet) in judged {
            let path = path.strip_prefix(&root).expect("it is below");
            assert_eq!(unmet, Vec::<String>::new(), "{}", path.display());
            told.push_str(&format!("{fingerprint} {}\n", path.display()));
        }
        expect_test::expect_file!["../../scenarios/fingerprints.txt"].assert_eq(&told);
    }
}
