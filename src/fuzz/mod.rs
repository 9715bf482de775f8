//! L7: searches for violations. From each seed a whole scenario is drawn: a network, a protocol
//! and its settings, a load, and two phases, trouble and healing. It is run under every check:
//! safety must hold throughout, and after healing everything must be answered.
//!
//! A drawn scenario is data: written as YAML it reads back as itself, and running that file is the
//! same run. What fails is made smaller as long as it fails in the same way.
//!
//! The search is deterministic: the same seeds find the same, whatever the number of threads.

mod dice;
pub mod draw;
pub mod marks;
#[cfg(any(test, feature = "mutants"))]
pub mod mutants;
pub mod shrink;
mod switches;
#[cfg(test)]
mod tests;
mod trouble;
mod weather;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rayon::prelude::*;

use crate::base::node::NodeId;
use crate::base::time::{Span, Time, Window};
use crate::observe::checks::{Verdict, Word};
use crate::observe::diagram::Diagram;
use crate::observe::trace::Filter;
use crate::scenario::run::{Entry, Outcome};
use crate::scenario::schema::{Liveness, Safety, Scenario};
use crate::scenario::{Known, Overrides, Refusal};
use crate::sim::Kernel;
use draw::Case;
use marks::{Counts, Marks};

/// How a run fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Which property is violated.
    pub property: &'static str,
    /// What was seen.
    pub detail: String,
    /// When, if it was seen at one time.
    pub time: Option<Time>,
    /// Who is involved, if anybody in particular.
    pub nodes: Vec<NodeId>,
}

impl Failure {
    /// Of no particular node, at no particular time.
    fn plain(property: &'static str, detail: String) -> Self {
        Self {
            property,
            detail,
            time: None,
            nodes: Vec::new(),
        }
    }
}

/// What a property is called that is none: the program itself gives up.
pub const PANIC: &str = "panic";

/// One run, judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// How it fails, if it does.
    pub failure: Option<Failure>,
    /// Inputs handled.
    pub events: u64,
    /// Rare situations.
    pub marks: Marks,
    /// Whether the run took too much and was given up: what is promised for its end is not judged.
    pub exhausted: bool,
}

thread_local! {
    /// Whether a panic of this thread is a finding.
    static JUDGING: Cell<bool> = const { Cell::new(false) };
}

/// Says nothing about panics in runs that are judged: they are findings like any other, and told
/// with the others. A panic of the search itself is told as usual.
pub fn tell_panics_as_findings() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !JUDGING.get() {
            usual(panic);
        }
    }));
}

/// Runs something of which a panic is a finding.
fn caught<R>(run: impl FnOnce() -> R) -> std::thread::Result<R> {
    JUDGING.set(true);
    // Whatever a run leaves half done is thrown away with it.
    let result = catch_unwind(AssertUnwindSafe(run));
    JUDGING.set(false);
    result
}

/// Runs a scenario and judges it by what it expects.
pub fn judge(entry: &Entry, scenario: &Scenario) -> Judged {
    let mut marks = Marks::default();
    let kernel = Kernel::Windows { threads: 1 };
    let (failure, events, exhausted) =
        match caught(|| (entry.run)(scenario, kernel, Some(&mut marks))) {
            Ok(outcome) => (
                failure(scenario, &outcome),
                outcome.totals.events,
                outcome.exhausted.is_some(),
            ),
            Err(panic) => {
                let said = panic.downcast_ref::<String>().cloned();
                let said = said.or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                let detail = said.unwrap_or_else(|| "without a word".into());
                (Some(Failure::plain(PANIC, detail)), 0, false)
            }
        };
    Judged {
        failure,
        events,
        marks,
        exhausted,
    }
}

/// How an outcome fails what its scenario expects.
fn failure(scenario: &Scenario, outcome: &Outcome) -> Option<Failure> {
    let verdict = &outcome.verdict;
    if scenario.expect.safety == Some(Safety::Holds) && verdict.safety == Word::Violated {
        return first(verdict, false);
    }
    if scenario.expect.liveness != Liveness::Holds || outcome.exhausted.is_some() {
        return None;
    }
    match verdict.liveness {
        Word::Holds => None,
        Word::Violated => first(verdict, true),
        // A load may end before anybody has asked for anything.
        Word::Inconclusive if outcome.summary.submitted == 0 => None,
        word @ (Word::Inconclusive | Word::OutsideModel) => {
            let (healed, bound) = (outcome.healed_at, outcome.liveness_bound);
            let detail = format!("healed at {healed}, bound {bound}");
            Some(Failure::plain(word.name(), detail))
        }
    }
}

/// The first violation of liveness, or of safety.
fn first(verdict: &Verdict, liveness: bool) -> Option<Failure> {
    let mut violations = verdict.violations.iter();
    let found = violations.find(|violation| violation.property.is_liveness() == liveness);
    let failure = found.map(|violation| Failure {
        property: violation.property.name(),
        detail: violation.to_string(),
        time: Some(violation.time),
        nodes: violation.nodes.clone(),
    });
    // More violations than are kept came before it.
    let unkept = || Failure::plain("unkept", format!("one of {} violations", verdict.total));
    Some(failure.unwrap_or_else(unkept))
}

/// A seed whose scenario fails.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Of which protocol.
    pub protocol: &'static str,
    /// The seed.
    pub seed: u64,
    /// As it was drawn.
    pub scenario: Scenario,
    /// How it fails.
    pub failure: Failure,
}

/// Steps of a diagram at most.
const STEPS: usize = 40;

/// The last that the nodes involved heard and did before a scenario fails, as a diagram.
pub fn diagram(entry: &Entry, scenario: &Scenario, failure: &Failure) -> String {
    let until = failure.time.map(|time| time + Span::from_nanos(1));
    let hosts = failure
        .nodes
        .iter()
        .filter(|node| node.index() < scenario.nodes);
    let filter = Filter {
        during: Window {
            from: Time::ZERO,
            until,
        },
        nodes: hosts.copied().collect(),
    };
    let mut diagram = Diagram::new(filter, Some(STEPS));
    let kernel = Kernel::Windows { threads: 1 };
    // A run that panics has drawn what came before.
    drop(caught(|| (entry.run)(scenario, kernel, Some(&mut diagram))));
    diagram.draw()
}

/// What is known of one protocol.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Seeds that were run.
    pub seeds: u64,
    /// Seeds after whose trouble something is promised, and judged.
    pub judged: u64,
    /// Seeds that took too much and were given up.
    pub exhausted: u64,
    /// Inputs handled.
    pub events: u64,
    /// Simulated time.
    pub simulated: Span,
    /// In how many seeds each rare situation was reached.
    pub marks: Counts,
    /// In how many seeds each feature was switched on.
    pub features: Counts,
    /// What fails, in the order of seeds.
    pub findings: Vec<Finding>,
}

/// What a search has found, by protocol.
pub type Report = BTreeMap<&'static str, Tally>;

/// What to search.
#[derive(Clone)]
pub struct Search<'a> {
    /// Protocols; each seed is tried with every one.
    pub entries: Vec<&'a Entry>,
    /// What scenarios may refer to.
    pub known: Known<'a>,
    /// The first seed.
    pub first: u64,
    /// How many seeds.
    pub seeds: u64,
    /// Values that replace what is drawn.
    pub overrides: Overrides<'a>,
    /// Threads, at least one.
    pub jobs: usize,
}

/// Cases that a thread runs between two looks at the clock.
const CASES: u64 = 16;

impl Search<'_> {
    /// Runs the cases in their order; after every few `more` is shown what is known, and says
    /// whether to go on.
    ///
    /// # Errors
    /// If the overrides do not fit what is drawn.
    pub fn run(&self, more: &mut dyn FnMut(&Report) -> bool) -> Result<Report, Refusal> {
        let mut report = Report::new();
        let kinds = self.entries.len() as u64;
        let all = self.seeds.saturating_mul(kinds);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.jobs)
            .build()
            .expect("the system grants the threads asked for");
        let mut at = 0;
        while at < all {
            let until = all.min(at + CASES * self.jobs as u64);
            let done: Result<Vec<_>, Refusal> = pool.install(|| {
                let cases = (at..until).into_par_iter();
                cases.map(|case| self.one(case, kinds)).collect()
            });
            for (case, judged) in done?.into_iter().zip(at..) {
                let entry = self.entries[(judged % kinds) as usize];
                let seed = self.first.wrapping_add(judged / kinds);
                add(
                    report.entry(entry.spec.name).or_default(),
                    seed,
                    entry,
                    case,
                );
            }
            at = until;
            if !more(&report) {
                break;
            }
        }
        Ok(report)
    }

    /// Draws and runs one case.
    fn one(&self, case: u64, kinds: u64) -> Result<(Case, Judged), Refusal> {
        let entry = self.entries[(case % kinds) as usize];
        let seed = self.first.wrapping_add(case / kinds);
        let case = draw::draw(entry, &self.known, seed, self.overrides)?;
        let judged = judge(entry, &case.scenario);
        Ok((case, judged))
    }
}

/// Adds a case to what is known of its protocol.
fn add(tally: &mut Tally, seed: u64, entry: &Entry, (case, judged): (Case, Judged)) {
    let Case { scenario, features } = case;
    tally.seeds += 1;
    let promised = scenario.expect.liveness == Liveness::Holds;
    tally.judged += u64::from(promised && !judged.exhausted);
    tally.exhausted += u64::from(judged.exhausted);
    tally.events += judged.events;
    tally.simulated = tally.simulated.saturating_add(scenario.duration);
    for feature in features {
        *tally.features.entry(feature).or_default() += 1;
    }
    for mark in judged.marks.counts.keys() {
        *tally.marks.entry(mark).or_default() += 1;
    }
    if let Some(failure) = judged.failure {
        tally.findings.push(Finding {
            protocol: entry.spec.name,
            seed,
            scenario,
            failure,
        });
    }
}
