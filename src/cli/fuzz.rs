//! `consilium fuzz`: random scenarios, judged.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;

use super::say::{note, say, shell_word};
use super::{Failure, clock, key_value, results, span, threads};
use crate::base::time::Span;
use crate::catalog::{self, Names, PROTOCOLS};
use crate::experiment::store;
use crate::fuzz::shrink::Shrink;
use crate::fuzz::{self, Finding, Report, Search, Tally};
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
    /// Begin no further runs after so much time, like `10min`; of each guard if guards are left
    /// out one at a time.
    #[arg(long, value_parser = span)]
    time: Option<Span>,
    /// Sets a value in every scenario, like `protocol.iraft.profile=paper`; may be repeated.
    #[arg(short, long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
    /// Where to write the scenarios that fail.
    #[arg(short, long)]
    out: Option<PathBuf>,
    /// Leave out this guard of every protocol that is given, like `commit-quorum-low`; with
    /// `--mutants`, make only its rows anew.
    #[cfg(feature = "mutants")]
    #[arg(long)]
    mutant: Option<String>,
    /// Leave out every guard of every protocol, one at a time, until a seed shows it, and write
    /// what was noticed into the folder given with `--out`.
    #[cfg(feature = "mutants")]
    #[arg(long)]
    mutants: bool,
    /// Scenarios, or folders of them, in which a guard that no seed shows is left out as well.
    #[cfg(feature = "mutants")]
    #[arg(long)]
    scenarios: Vec<PathBuf>,
    /// Print the scenario of the first seed and run nothing.
    #[arg(long)]
    print: bool,
    /// Runs at most to make a failing scenario smaller.
    #[arg(long, default_value_t = 500)]
    effort: u64,
    /// Threads; the result does not depend on it.
    #[arg(short, long)]
    jobs: Option<usize>,
}

#[cfg(feature = "mutants")]
impl FuzzArguments {
    /// Whether guards are left out.
    pub fn breaks(&self) -> bool {
        self.mutants || self.mutant.is_some()
    }
}

/// What is set in every scenario: of guards that are left out, too.
fn settings(arguments: &FuzzArguments) -> Vec<(String, String)> {
    #[cfg_attr(not(feature = "mutants"), expect(unused_mut))]
    let mut set = arguments.set.clone();
    #[cfg(feature = "mutants")]
    if let Some(mutant) = arguments.mutant.as_ref().filter(|_| !arguments.mutants) {
        let key = |protocol| format!("protocol.{protocol}.mutant");
        let protocols = arguments.protocol.iter();
        set.extend(protocols.map(|protocol| (key(protocol), mutant.clone())));
    }
    set
}

/// Draws scenarios, runs them, and says which fail.
pub fn fuzz(arguments: &FuzzArguments, quiet: bool) -> Result<(), Failure> {
    let names = Names::all();
    let set = settings(arguments);
    let search = Search {
        entries: entries(&arguments.protocol)?,
        known: names.known(),
        first: arguments.seed,
        seeds: arguments.seeds,
        overrides: &set,
        jobs: threads(arguments.jobs)?,
    };
    if arguments.print {
        return print(&search);
    }
    fuzz::tell_panics_as_findings();
    #[cfg(feature = "mutants")]
    if arguments.mutants {
        return hunt_all(&search, arguments, quiet);
    }
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
    let found = report.values().flat_map(|tally| &tally.findings);
    let found = one_of_each(found);
    for finding in &found {
        minimise(&search, finding, arguments)?;
    }
    if found.is_empty() {
        Ok(())
    } else {
        Err(Failure::Unexpected)
    }
}

/// The first finding of each property of each protocol.
fn one_of_each<'f>(findings: impl Iterator<Item = &'f Finding>) -> Vec<&'f Finding> {
    let mut seen = BTreeSet::new();
    findings
        .filter(|finding| seen.insert((finding.protocol, finding.failure.property)))
        .collect()
}

/// Makes a finding smaller, prints what is left, and writes it down.
fn minimise(
    search: &Search<'_>,
    finding: &Finding,
    arguments: &FuzzArguments,
) -> Result<(), Failure> {
    let entry = catalog::protocol(finding.protocol).expect("it was searched");
    let shrink = Shrink {
        entry,
        known: search.known,
        runs_max: arguments.effort,
    };
    let mut small = shrink.shrink(&finding.scenario, &finding.failure);
    let property = small.failure.property;
    let command = command(finding.protocol, finding.seed, search.overrides);
    small.scenario.about = format!("Found by `{command}`: {property}.");
    say(format_args!(
        "{} {property}, made smaller in {} runs: {} nodes, {} faults, {} adversaries: {}",
        finding.protocol,
        small.runs,
        small.scenario.nodes,
        small.scenario.faults.len(),
        small.scenario.adversaries.len(),
        small.failure.detail
    ));
    let Some(out) = &arguments.out else {
        say(format_args!("{}", small.scenario.to_yaml().trim_end()));
        return Ok(());
    };
    let stem = format!("{}-{property}-{}", finding.protocol, finding.seed);
    let path = out.join(format!("{stem}.yaml"));
    let text = format!(
        "# Replay: consilium run {}\n# Fails: {}\n{}",
        path.display(),
        small.failure.detail.replace('\n', " "),
        small.scenario.to_yaml()
    );
    let diagram = fuzz::diagram(entry, &small.scenario, &small.failure);
    let files = [
        (format!("{stem}.yaml"), text.into_bytes()),
        (format!("{stem}.mmd"), diagram.into_bytes()),
    ];
    results::print_written(out, &store::put(out, &files)?);
    Ok(())
}

/// The line that finds what fails again, as one types it into a shell.
fn command(protocol: &str, seed: u64, overrides: &[(String, String)]) -> String {
    let mut line = format!("consilium fuzz --protocol {protocol} --seed {seed} --seeds 1");
    for (key, value) in overrides {
        line += " --set ";
        line += &shell_word(&format!("{key}={value}"));
    }
    line
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
    if tally.exhausted > 0 {
        let seeds = tally.exhausted;
        say(format_args!(
            "  {seeds} were given up when messages on their way took too much memory"
        ));
    }
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

/// Tries every mutant of every protocol, those of the contract with RAFT. The table is written
/// after each: what was in it of other protocols stays.
#[cfg(feature = "mutants")]
fn hunt_all(search: &Search<'_>, arguments: &FuzzArguments, quiet: bool) -> Result<(), Failure> {
    use crate::fuzz::mutants;
    let mut rows = Vec::new();
    let files = directed(&arguments.scenarios)?;
    for entry in &search.entries {
        let directed = mutants::directed(entry, &search.known, &files);
        let mut all = mutants::of(entry);
        if entry.spec.name == "raft" {
            all.extend(mutants::of_contract());
        }
        all.retain(|mutant| arguments.mutant.iter().all(|wanted| *wanted == mutant.name));
        for mutant in all {
            let clock = clock::Clock::start();
            let mut left = || {
                let most = arguments.time.map(|time| time.nanos() as f64 / 1e9);
                most.is_none_or(|most| clock.seconds() < most)
            };
            let row = mutants::hunt(search, entry, (&mutant, &directed), &mut left);
            if !quiet {
                let by = if row.property.is_empty() {
                    "nothing"
                } else {
                    &row.property
                };
                note(format_args!(
                    "  {} {}: {by} after {} seeds {}",
                    row.key, row.mutant, row.seeds, row.scenario
                ));
            }
            rows.push(row);
            record(arguments, &rows)?;
        }
    }
    Ok(())
}

/// The scenarios at these places, as their files have them.
#[cfg(feature = "mutants")]
fn directed(places: &[PathBuf]) -> Result<Vec<crate::fuzz::mutants::Directed>, Failure> {
    let files = super::run::yaml_files(places)?;
    let read = |path: PathBuf| {
        let bytes = store::get(&path)?.unwrap_or_default();
        Ok(crate::fuzz::mutants::Directed {
            name: super::run::name_of(&path),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        })
    };
    files.into_iter().map(read).collect()
}

/// Writes the table of mutants, if it is wanted.
#[cfg(feature = "mutants")]
fn record(arguments: &FuzzArguments, rows: &[crate::fuzz::mutants::Row]) -> Result<(), Failure> {
    use crate::fuzz::mutants;
    let Some(out) = &arguments.out else {
        return Ok(());
    };
    let known = store::get(&out.join("mutants.csv"))?.unwrap_or_default();
    let mut all = mutants::others(&known, rows);
    all.extend(rows.iter().cloned());
    let place = |row: &mutants::Row| PROTOCOLS.iter().position(|e| e.spec.name == row.protocol);
    all.sort_by_key(place);
    store::put(out, &mutants::files(all))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn what_was_set_is_in_the_line_that_finds_a_failure_again() {
        let set = [
            ("nodes", "7"),
            ("workload.rate", "5/s"),
            ("faults", "[{ crash: { node: 'o' } }]"),
        ];
        let set = set.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let expected = [
            "consilium fuzz --protocol raft --seed 12 --seeds 1",
            "--set nodes=7",
            "--set workload.rate=5/s",
            r"--set 'faults=[{ crash: { node: '\''o'\'' } }]'",
        ];
        assert_eq!(command("raft", 12, &set), expected.join(" "));
    }
}
