//! `consilium study`: studies of single parts.

use std::path::{Path, PathBuf};

use super::say::{note, say};
use super::{Failure, clock, results, run};
use crate::experiment::manifest::{self, Manifest};
use crate::experiment::store;
use crate::figure;
use crate::study::search::{self, Method, Plan, Study, files};

/// Which part is studied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Part {
    /// How long searches take, how much they find, and how many are refused.
    Search,
}

/// Studies a part, prints a line for each kind of question, and writes the files.
pub fn study(part: Part, out: Option<&Path>, fast: bool, quiet: bool) -> Result<(), Failure> {
    match part {
        Part::Search => {
            let mut plan = Plan::default();
            if fast {
                plan.records.retain(|records| *records <= 100_000);
                plan.questions /= 4;
            }
            let tell = |what: &str| {
                if !quiet {
                    note(format_args!("{what}"));
                }
            };
            let stopwatch = |run: &mut dyn FnMut()| clock::stopwatch(run).1;
            let study = search::study(&plan, &stopwatch, &tell);
            print(&study);
            out.map_or(Ok(()), |out| publish(out, &study, fast))
        }
    }
}

/// Whether a folder holds a study rather than runs.
pub fn is_study(dir: &Path) -> bool {
    dir.join(files::FINDINGS).exists()
}

/// Draws the figures of a study again from its CSV files alone.
pub fn redraw(dir: &Path, names: Option<&[String]>) -> Result<(), Failure> {
    let read = |name: &str| store::get(&dir.join(name));
    let (findings, floors) = (read(files::FINDINGS)?, read(files::FLOORS)?);
    let speeds = read(files::SPEEDS)?;
    let study = Study::read(|name| match name {
        files::FINDINGS => findings.clone(),
        files::FLOORS => floors.clone(),
        _ => speeds.clone(),
    });
    let study = study.map_err(|why| Failure::Usage(format!("{}: {why}", dir.display())))?;
    let drawn = figure::study::files(&study, names)?;
    results::print_written(dir, &store::put(dir, &drawn)?);
    Ok(())
}

fn publish(out: &Path, study: &Study, fast: bool) -> Result<(), Failure> {
    let drawn = figure::study::files(study, None)?;
    store::remove(&out.join(manifest::FILE))?;
    let mut all = study.files();
    all.extend(drawn);
    let written: Vec<PathBuf> = store::put(out, &all)?;
    let manifest = Manifest {
        command: format!(
            "consilium study search{}",
            if fast { " --fast" } else { "" }
        ),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: run::commit(),
        experiment: "search".to_owned(),
        about: search::ABOUT.to_owned(),
        figures: figure::study::NAMES.map(str::to_owned).to_vec(),
        ..Manifest::default()
    };
    manifest.write_dir(out)?;
    results::print_written(out, &written);
    Ok(())
}

/// Prints a line for each kind of question: the registers of one size together.
fn print(study: &Study) {
    say(format_args!(
        "{:>9} {:>10} {:>6} {:>9} {:>10} {:>12} {:>12} {:>12} {:>12}",
        "records",
        "conditions",
        "by",
        "answered",
        "matches",
        "model us",
        "p50 us",
        "p99 us",
        "max us"
    ));
    for row in study.findings.iter().filter(|row| row.seed == 1) {
        let speed = study.speeds.iter().find(|speed| {
            let kind = (speed.records, speed.conditions, speed.method);
            speed.seed == 1 && kind == (row.records, row.conditions, row.method)
        });
        let micros = |of: fn(&search::Speed) -> f64| speed.map_or(0.0, of);
        let method = match row.method {
            Method::Index => "index",
            Method::Scan => "scan",
        };
        say(format_args!(
            "{:>9} {:>10} {:>6} {:>8.1}% {:>10} {:>12.2} {:>12.2} {:>12.2} {:>12.2}",
            row.records,
            row.conditions,
            method,
            100.0 * f64::from(row.answered) / f64::from(row.questions),
            row.matches_p50,
            row.modelled_us_p50,
            micros(|speed| speed.measured_us_p50),
            micros(|speed| speed.measured_us_p99),
            micros(|speed| speed.measured_us_max),
        ));
    }
}
