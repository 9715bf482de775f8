//! `consilium reproduce`: published measurements against ours.

use std::path::PathBuf;

use clap::Args;

use super::say::{note, say};
use super::{Failure, clock, results, threads};
use crate::catalog::{Names, PROTOCOLS, TARGETS};
use crate::experiment::manifest::Manifest;
use crate::experiment::reproduce::fit::{Fit, refit};
use crate::experiment::reproduce::rows::Row;
use crate::experiment::reproduce::{Conduct, Finding, Series, Target, Texts};
use crate::scenario::nearest;
use crate::scenario::read::read_file;

/// Arguments of `reproduce`.
#[derive(Args, Debug)]
pub struct ReproduceArguments {
    /// Which publications, as `consilium list targets` names them; all if none is given.
    targets: Vec<String>,
    /// Where to write `reproduce.csv`, the figures and the manifest.
    #[arg(short, long)]
    out: Option<PathBuf>,
    /// Threads; results do not depend on it.
    #[arg(short, long)]
    jobs: Option<usize>,
    /// Find the fitted constants again instead, and compare them with those in the scenarios.
    #[arg(long, conflicts_with = "out")]
    fit: bool,
    /// A folder whose scenarios stand in for those of the same name that are built in.
    #[arg(long, value_name = "DIR")]
    scenarios: Option<PathBuf>,
}

/// Runs targets and prints what they show.
pub fn reproduce(arguments: &ReproduceArguments, quiet: bool) -> Result<(), Failure> {
    let targets = chosen(&arguments.targets)?;
    let texts = texts(&targets, arguments)?;
    let names = Names::all();
    let known = names.known();
    let points: usize = targets.iter().map(|target| target.points()).sum();
    let bar = super::sweep::progress(points as u64, quiet || arguments.fit);
    let conduct = Conduct {
        entries: PROTOCOLS,
        known: &known,
        texts: &texts,
        done: &|| bar.inc(1),
    };
    for target in &targets {
        target.scenarios(&conduct)?; // All is judged before anything runs.
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads(arguments.jobs)?)
        .build()
        .expect("the system grants the threads asked for");
    if arguments.fit {
        return pool.install(|| fit(&targets, &conduct));
    }
    let mut rows: Vec<Row> = Vec::new();
    let mut scenarios = Vec::new();
    let mut all_within = true;
    for target in &targets {
        let (findings, wall_s) = clock::stopwatch(|| pool.install(|| target.reproduce(&conduct)));
        let findings = findings?;
        bar.suspend(|| print(target, &findings));
        if !quiet {
            bar.suspend(|| note(format_args!("  {wall_s:.1} s")));
        }
        all_within &= !findings.iter().any(Finding::misses);
        rows.extend(findings.into_iter().map(|finding| finding.row));
        scenarios.extend(target.resolved(&conduct)?);
    }
    bar.finish_and_clear();
    if let Some(out) = &arguments.out {
        let manifest = manifest(&targets, points, scenarios);
        let _held = crate::experiment::store::hold(out)?;
        let written = crate::figure::publish_reproduction(out, &targets, &rows, &manifest)?;
        results::print_written(out, &written);
    }
    if all_within {
        Ok(())
    } else {
        Err(Failure::Unexpected)
    }
}

/// The targets of these names, each once, or all.
fn chosen(names: &[String]) -> Result<Vec<&'static Target>, Failure> {
    if names.is_empty() {
        return Ok(TARGETS.iter().collect());
    }
    for name in names {
        if TARGETS.iter().all(|target| target.name != name) {
            let near = nearest(name, TARGETS.iter().map(|target| target.name));
            let hint = near.map_or_else(
                || "; `consilium list targets` names them".to_owned(),
                |near| format!("; did you mean `{near}`?"),
            );
            return Err(Failure::Usage(format!("there is no target `{name}`{hint}")));
        }
    }
    let chosen = TARGETS
        .iter()
        .filter(|target| names.iter().any(|name| name == target.name));
    Ok(chosen.collect())
}

/// The scenarios of the given folder that stand in for those built in.
fn texts(targets: &[&Target], arguments: &ReproduceArguments) -> Result<Texts, Failure> {
    let mut texts = Texts::new();
    let Some(dir) = &arguments.scenarios else {
        return Ok(texts);
    };
    for template in targets.iter().flat_map(|target| target.templates()) {
        let path = dir.join(format!("{}.yaml", template.name));
        if path.exists() {
            let text = read_file(&path)?;
            texts.insert(template.name, (path.display().to_string(), text));
        }
    }
    if texts.is_empty() {
        let place = dir.display();
        let rule = "holds no scenario of these targets; copy some of scenarios/reproduce there";
        return Err(Failure::Usage(format!("{place} {rule}")));
    }
    Ok(texts)
}

fn manifest(
    targets: &[&Target],
    points: usize,
    scenarios: Vec<crate::experiment::manifest::Resolved>,
) -> Manifest {
    let names: Vec<&str> = targets.iter().map(|target| target.name).collect();
    let about: Vec<&str> = targets.iter().map(|target| target.about).collect();
    let panels = targets.iter().flat_map(|target| target.panels);
    Manifest {
        command: format!("consilium reproduce {}", names.join(" ")),
        version: env!("CARGO_PKG_VERSION").into(),
        commit: super::run::commit(),
        experiment: names.join(" "),
        about: about.join(" "),
        figures: panels.map(|panel| panel.name.to_owned()).collect(),
        runs: points as u64,
        scenarios,
    }
}

/// Prints a target: a table for each series, then the quotients.
fn print(target: &Target, findings: &[Finding]) {
    say(format_args!("{}: {}", target.name, target.about));
    let mut rest = findings;
    for series in target.series {
        let (mine, others) = rest.split_at(series.points.len());
        rest = others;
        print_series(series, mine);
    }
    for finding in rest {
        let row = &finding.row;
        say(format_args!(
            "  {}, latency at {} nodes: published {:.2}, ours {}, error {}",
            row.series,
            row.x,
            row.published,
            number(row.ours),
            percent(row.error_pct)
        ));
        verdict(std::slice::from_ref(finding));
    }
}

fn print_series(series: &Series, findings: &[Finding]) {
    let (quantity, unit) = (series.quantity.name(), series.quantity.unit());
    say(format_args!("\n  {}: {quantity} in {unit}", series.name));
    say(format_args!("    {}", series.source));
    say(format_args!(
        "    {:>6} {:>12} {:>10} {:>12} {:>9}",
        "nodes", "published", "(sd)", "ours", "error"
    ));
    for finding in findings {
        let row = &finding.row;
        say(format_args!(
            "    {:>6} {:>12.2} {:>10} {:>12} {:>9}{}",
            row.x,
            row.published,
            number(finding.deviation),
            number(row.ours),
            percent(row.error_pct),
            if row.fitted { "  fitted" } else { "" }
        ));
    }
    let predicted = findings.iter().filter(|finding| !finding.row.fitted);
    let errors: Vec<(f64, f64)> = predicted
        .filter_map(|finding| Some((finding.row.x, finding.row.error_pct?)))
        .collect();
    if let Some((x, worst)) = errors.iter().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())) {
        let mean = errors.iter().map(|(_, error)| error.abs()).sum::<f64>() / errors.len() as f64;
        say(format_args!(
            "    {} predicted: mean absolute error {mean:.1} %, worst {worst:+.1} % (n = {x})",
            errors.len()
        ));
    }
    verdict(findings);
}

/// Says which findings are farther away than they may be, if it matters.
fn verdict(findings: &[Finding]) {
    for finding in findings.iter().filter(|finding| finding.misses()) {
        let (row, within) = (&finding.row, finding.within.unwrap_or_default());
        let error = percent(row.error_pct);
        say(format_args!(
            "    not as expected: {error} at {} nodes, where {within} % are allowed",
            row.x
        ));
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:.2}"))
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:+.1} %"))
}

/// Finds all constants again and prints them.
fn fit(targets: &[&Target], conduct: &Conduct<'_>) -> Result<(), Failure> {
    let mut drifted = false;
    for target in targets {
        for fit in refit(target, conduct)? {
            drifted |= fit.drifted;
            print_fit(&fit);
        }
    }
    if drifted {
        Err(Failure::Unexpected)
    } else {
        Ok(())
    }
}

fn print_fit(fit: &Fit) {
    let word = if fit.drifted { "another" } else { "the same" };
    say(format_args!(
        "{}: {} is {}; found again: {}us, {word}",
        fit.template, fit.key, fit.frozen, fit.found_us
    ));
    for (series, x, error) in &fit.errors {
        say(format_args!(
            "  {series}, n = {x}: {}",
            percent(Some(*error))
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn targets_are_chosen_by_name_each_once() {
        assert_eq!(chosen(&[]).unwrap().len(), TARGETS.len());
        let twice = chosen(&names(&["huang2021", "huang2021"])).unwrap();
        assert_eq!(twice.len(), 1);
    }

    #[test]
    fn an_unknown_target_is_refused_with_the_nearest() {
        let failure = chosen(&names(&["huang2012"])).unwrap_err();
        assert_eq!(failure.exit_code(), 2);
        assert!(failure.to_string().contains("did you mean `huang2021`?"));
        let failure = chosen(&names(&["nothing-like-it"])).unwrap_err();
        assert!(failure.to_string().contains("consilium list targets"));
    }
}
