//! `consilium study`: studies of single parts.

use std::path::{Path, PathBuf};

use super::say::{note, say};
use super::{Failure, clock, results, run};
use crate::experiment::manifest::{self, Manifest};
use crate::experiment::store;
use crate::figure;
use crate::study::draw;
use crate::study::rbraft;
use crate::study::search::{self, Method, Study};
use crate::study::tolerance::{self, Placement, Row, Scheme};

/// Which part is studied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Part {
    /// How long searches take, how much they find, and how many are refused.
    Search,
    /// How many Byzantine nodes groups survive, by chance and in the worst case.
    Tolerance,
    /// How likely a draw of MBFT ends progress or safety, by formula and by drawing.
    Draw,
    /// What altered entries and calls for elections come to, as RB-Raft was tried.
    RbRaft,
}

/// What a study leaves behind.
struct Published {
    name: &'static str,
    about: &'static str,
    figures: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
}

/// Studies a part, prints what comes out, and writes the files.
pub fn study(part: Part, out: Option<&Path>, fast: bool, quiet: bool) -> Result<(), Failure> {
    let published = match part {
        Part::Search => study_searches(fast, quiet)?,
        Part::Tolerance => study_tolerance(fast)?,
        Part::Draw => study_draw(fast)?,
        Part::RbRaft => study_rbraft(fast, quiet)?,
    };
    out.map_or(Ok(()), |out| publish(out, published, fast))
}

fn study_searches(fast: bool, quiet: bool) -> Result<Published, Failure> {
    let mut plan = search::Plan::default();
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
    print_searches(&study);
    let mut files = study.files();
    files.extend(figure::study::search::files(&study, None)?);
    Ok(Published {
        name: "search",
        about: search::ABOUT,
        figures: figure::study::search::NAMES.map(str::to_owned).to_vec(),
        files,
    })
}

fn study_tolerance(fast: bool) -> Result<Published, Failure> {
    let mut plan = tolerance::Plan::default();
    if fast {
        plan.trials /= 10;
    }
    let rows = tolerance::study(&plan);
    print_tolerance(&rows);
    let mut files = tolerance::files::files(&rows);
    files.extend(figure::study::tolerance::files(&rows, None)?);
    Ok(Published {
        name: "tolerance",
        about: tolerance::ABOUT,
        figures: figure::study::tolerance::names(&rows),
        files,
    })
}

fn study_draw(fast: bool) -> Result<Published, Failure> {
    let mut plan = draw::Plan::default();
    if fast {
        plan.trials /= 10;
    }
    let rows = draw::study(&plan);
    print_draw(&rows);
    let mut files = draw::files(&rows);
    files.extend(figure::study::draw::files(&rows, None)?);
    Ok(Published {
        name: "draw",
        about: draw::ABOUT,
        figures: figure::study::draw::NAMES.map(str::to_owned).to_vec(),
        files,
    })
}

fn study_rbraft(fast: bool, quiet: bool) -> Result<Published, Failure> {
    let mut plan = rbraft::Plan::default();
    if fast {
        plan.seeds = 1;
    }
    let tell = |what: &str| {
        if !quiet {
            note(format_args!("{what}"));
        }
    };
    let study = rbraft::study(&plan, &tell);
    print_rbraft(&study);
    let mut files = study.files();
    files.extend(figure::study::rbraft::files(&study, None)?);
    Ok(Published {
        name: "rb-raft",
        about: rbraft::ABOUT,
        figures: figure::study::rbraft::NAMES.map(str::to_owned).to_vec(),
        files,
    })
}

/// The study that a folder holds, if it holds one rather than runs.
pub fn held(dir: &Path) -> Option<Part> {
    let parts = [
        (search::files::FINDINGS, Part::Search),
        (tolerance::files::ROWS, Part::Tolerance),
        (draw::ROWS, Part::Draw),
        (rbraft::TAMPERING, Part::RbRaft),
    ];
    let found = parts.into_iter().find(|(file, _)| dir.join(file).exists());
    found.map(|(_, part)| part)
}

/// Draws the figures of a study again from its CSV files alone.
pub fn redraw(part: Part, dir: &Path, names: Option<&[String]>) -> Result<(), Failure> {
    let read = |name: &str| store::get(&dir.join(name));
    let wrong = |why: String| Failure::Usage(format!("{}: {why}", dir.display()));
    let drawn = match part {
        Part::Search => {
            use search::files::{FINDINGS, FLOORS, SPEEDS};
            let (findings, floors, speeds) = (read(FINDINGS)?, read(FLOORS)?, read(SPEEDS)?);
            let study = Study::read(|name| match name {
                FINDINGS => findings.clone(),
                FLOORS => floors.clone(),
                _ => speeds.clone(),
            });
            figure::study::search::files(&study.map_err(wrong)?, names)?
        }
        Part::Tolerance => {
            let rows = tolerance::files::read(read(tolerance::files::ROWS)?);
            figure::study::tolerance::files(&rows.map_err(wrong)?, names)?
        }
        Part::Draw => {
            let rows = draw::read(read(draw::ROWS)?);
            figure::study::draw::files(&rows.map_err(wrong)?, names)?
        }
        Part::RbRaft => {
            use rbraft::{AUDIT, BALLOTS, TAMPERING};
            let study = rbraft::Study::read([read(TAMPERING)?, read(BALLOTS)?, read(AUDIT)?]);
            figure::study::rbraft::files(&study.map_err(wrong)?, names)?
        }
    };
    results::print_written(dir, &store::put(dir, &drawn)?);
    Ok(())
}

fn publish(out: &Path, published: Published, fast: bool) -> Result<(), Failure> {
    let _held = store::hold(out)?;
    store::remove(&out.join(manifest::FILE))?;
    let written: Vec<PathBuf> = store::put(out, &published.files)?;
    let name = published.name;
    let manifest = Manifest {
        command: format!(
            "consilium study {name}{}",
            if fast { " --fast" } else { "" }
        ),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: run::commit(),
        experiment: name.to_owned(),
        about: published.about.to_owned(),
        figures: published.figures,
        ..Manifest::default()
    };
    manifest.write_dir(out)?;
    results::print_written(out, &written);
    Ok(())
}

/// Prints what came of each attack, with what was published.
fn print_rbraft(study: &rbraft::Study) {
    let known = |number: Option<u64>| number.map_or("-".to_owned(), |n| n.to_string());
    for row in &study.tampering {
        say(format_args!(
            "{:>6}: {:>2} of {} altered entries found ({:?}); published {}; accepted {}",
            row.protocol,
            row.found,
            row.altered,
            row.alteration,
            known(row.published_found),
            row.accepted,
        ));
    }
    for row in study.ballots.iter().filter(|row| row.seed == 1) {
        say(format_args!(
            "{:>22}, {} nodes: {} votes (published {}), {} shares (published {}){}",
            row.protocol,
            row.nodes,
            row.votes,
            known(row.published_votes),
            row.shares,
            known(row.published_shares),
            if row.elected { "; elected" } else { "" },
        ));
    }
    for row in &study.audit {
        let (round, honest, liar) = (row.round, row.honest, row.liar);
        say(format_args!(
            "round {round:>2}: T = {honest} of an honest leader, {liar} of a liar"
        ));
    }
}

/// Prints a line for every tenth number of Byzantine nodes.
fn print_tolerance(rows: &[Row]) {
    say(format_args!(
        "{:>8} {:>10} {:>12} {:>10} {:>9} {:>10}",
        "groups", "scheme", "placement", "byzantine", "exact", "simulated"
    ));
    for row in rows.iter().filter(|row| row.byzantine % 10 == 0) {
        let scheme = match row.scheme {
            Scheme::Flat => "flat",
            Scheme::Leaders => "leaders",
            Scheme::Certified => "certified",
        };
        let placement = match row.placement {
            Placement::Random => "random",
            Placement::Adversarial => "adversarial",
        };
        say(format_args!(
            "{:>8} {:>10} {:>12} {:>10} {:>8.2}% {:>9.2}%",
            format!("{}x{}", row.groups, row.size),
            scheme,
            placement,
            row.byzantine,
            100.0 * row.exact,
            100.0 * row.simulated,
        ));
    }
}

/// Prints a line for every fifth number of Byzantine nodes.
fn print_draw(rows: &[draw::Row]) {
    say(format_args!(
        "{:>12} {:>9} {:>10} {:>9} {:>10}",
        "groups", "loses", "byzantine", "exact", "drawn"
    ));
    for row in rows.iter().filter(|row| row.byzantine % 5 == 0) {
        let loses = match row.loss {
            draw::Loss::Liveness => "liveness",
            draw::Loss::Safety => "safety",
        };
        say(format_args!(
            "{:>12} {loses:>9} {:>10} {:>8.2}% {:>9.2}%",
            format!("{}x{} + {}", row.groups, row.group, row.upper),
            row.byzantine,
            100.0 * row.exact,
            100.0 * row.simulated,
        ));
    }
}

/// Prints a line for each kind of question: the registers of one size together.
fn print_searches(study: &Study) {
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
