//! `consilium fuzz`: random scenarios, judged.

use std::path::PathBuf;

use clap::Args;

use super::say::{note, say};
use super::{Failure, clock, key_value, span, threads};
use crate::base::time::Span;
use crate::catalog::{self, Names, PROTOCOLS};
use crate::fuzz::{self, Report, Search, Tally};
use crate::scenario::nearest;
use crate::scenario::run::Entry;

/// Arguments of `fuzz`.
#[derive(Args, Debug)]
pub struct FuzzArguments {
    /// A protocol; all of them if not given.
    #[arg(long)]
    protocol: Vec<String>,
    /// How many seeds, each with every protocol.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Begin no further runs after so much time, like `10min`.
    #[arg(long, value_parser = span)]
    time: Option<Span>,
    /// Sets a value in every scenario, like `protocol.iraft.profile=paper`; may be repeated.
    #[arg(short, long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
    /// Where to write the scenarios that fail.
    #[arg(short, long)]
    out: Option<PathBuf>,
    /// Print the scenario of the first seed and run nothing.
    #[arg(long)]
    print: bool,
    /// Threads; the result does not depend on it.
    #[arg(short, long)]
    jobs: Option<usize>,
}

/// Draws scenarios, runs them, and says which fail.
pub fn fuzz(arguments: &FuzzArguments, quiet: bool) -> Result<(), Failure> {
    let names = Names::all();
    let search = Search {
        entries: entries(&arguments.protocol)?,
        known: names.known(),
        first: arguments.seed,
        seeds: arguments.seeds,
        overrides: &arguments.set,
        jobs: threads(arguments.jobs)?,
    };
    if arguments.print {
        return print(&search);
    }
    // A panic is a finding like any other, and is told with the others.
    std::panic::set_hook(Box::new(|_| {}));
    let clock = clock::Clock::start();
    let mut told = 0.0;
    let report = search.run(&mut |report| {
        let passed = clock.seconds();
        if !quiet && passed - told >= TELL_EVERY_S {
            told = passed;
            progress(report, passed);
        }
        arguments
            .time
            .is_none_or(|time| passed * 1e9 < time.nanos() as f64)
    })?;
    let passed = clock.seconds();
    for (name, tally) in &report {
        print_tally(name, tally);
    }
    if !quiet {
        progress(&report, passed);
    }
    conclude(&report)
}

/// Seconds between two lines of progress.
const TELL_EVERY_S: f64 = 10.0;

/// The protocols of these names.
fn entries(names: &[String]) -> Result<Vec<&'static Entry>, Failure> {
    if names.is_empty() {
        return Ok(PROTOCOLS.iter().collect());
    }
    let entry = |name: &String| {
        catalog::protocol(name).ok_or_else(|| {
            let known = PROTOCOLS.iter().map(|entry| entry.spec.name);
            let near = nearest(name, known);
            let help = near.map_or(String::new(), |near| format!(": did you mean `{near}`?"));
            Failure::Usage(format!("there is no protocol `{name}`{help}"))
        })
    };
    names.iter().map(entry).collect()
}

/// The scenario of the first seed, of each protocol.
fn print(search: &Search<'_>) -> Result<(), Failure> {
    for entry in &search.entries {
        let case = fuzz::draw::draw(entry, &search.known, search.first, search.overrides)?;
        let features: Vec<&str> = case.features.into_iter().collect();
        say(format_args!("# {}", features.join(", ")));
        say(format_args!("{}", case.scenario.to_yaml().trim_end()));
    }
    Ok(())
}

/// A line about how far the search is.
fn progress(report: &Report, passed: f64) {
    let sum = |of: fn(&Tally) -> u64| report.values().map(of).sum::<u64>();
    let runs = sum(|tally| tally.seeds);
    let found = sum(|tally| tally.findings.len() as u64);
    let simulated: f64 = report
        .values()
        .map(|tally| tally.simulated.nanos() as f64 / 1e9)
        .sum();
    let passed = passed.max(1e-9);
    note(format_args!(
        "  {runs} runs, {found} fail; {passed:.0} s, {:.1} runs/s, {:.2} M events/s, {:.0} times \
         real time",
        runs as f64 / passed,
        sum(|tally| tally.events) as f64 / passed / 1e6,
        simulated / passed,
    ));
}

/// What is known of a protocol: rare situations and features with the seeds that had them.
fn print_tally(name: &str, tally: &Tally) {
    let failing = tally.findings.len();
    say(format_args!(
        "{name}: {} seeds, {} of them with liveness promised; {failing} fail",
        tally.seeds, tally.judged
    ));
    for (mark, seeds) in &tally.marks {
        say(format_args!("  {seeds:>7}  {mark}"));
    }
    let features: Vec<String> = tally
        .features
        .iter()
        .map(|(feature, seeds)| format!("{feature} {seeds}"))
        .collect();
    say(format_args!("  drawn: {}", features.join(", ")));
    for finding in &tally.findings {
        let (seed, failure) = (finding.seed, &finding.failure);
        say(format_args!(
            "  FAIL seed {seed}: {}: {}",
            failure.property, failure.detail
        ));
    }
}

/// Whether nothing was found.
fn conclude(report: &Report) -> Result<(), Failure> {
    if report.values().all(|tally| tally.findings.is_empty()) {
        Ok(())
    } else {
        Err(Failure::Unexpected)
    }
}
