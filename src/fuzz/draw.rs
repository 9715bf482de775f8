//! Draws a scenario from a seed: a network, its load, how its protocol is set, and what goes
//! wrong. Every feature is switched on by the toss of a coin, so that no feature hides another.

use std::collections::BTreeSet;

use super::dice::Dice;
use super::switches::{self, Setting};
use super::{trouble, weather};
use crate::base::distribution::Law;
use crate::base::time::{Span, Time};
use crate::base::units::{Rate, Ratio};
use crate::chain::policy::Policy;
use crate::contract::{Mix, Wish};
use crate::scenario::run::Entry;
use crate::scenario::schema::{
    Execution, Gateways, Link, Liveness, Load, Replies, Safety, Scenario, Site, SiteLink,
};
use crate::scenario::{Known, Latency, Overrides, Refusal};

/// A scenario, and what was switched on in it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The scenario.
    pub scenario: Scenario,
    /// The features that were drawn.
    pub features: BTreeSet<&'static str>,
}

/// How long a run goes on after everything should have been answered, at least.
const REST: Span = Span::from_secs(1);

/// Draws the scenario of a protocol for a seed. It is written as text and read back, so that a
/// file with that text is the same scenario. Overrides replace values by dotted key.
///
/// # Errors
/// If the overrides do not fit what was drawn.
pub fn draw(
    entry: &Entry,
    known: &Known<'_>,
    seed: u64,
    overrides: Overrides<'_>,
) -> Result<Case, Refusal> {
    let mut dice = Dice::new(seed);
    let pace = dice.one_of(&[300, 300, 1_000, 1_000, 5_000, 15_000].map(Span::from_micros));
    let sites = dice.rarely("several sites", 4);
    let reach = pace * if sites { 8 } else { 4 };
    let setting = switches::setting(&mut dice, entry.spec.name, reach);
    let text = bare(entry.spec.name, seed, &setting);
    let mut scenario = Scenario::parse("fuzz", &text, &[], None, known)?;
    network(&mut dice, &mut scenario, pace, sites);
    machine(&mut dice, &mut scenario, pace);
    workload(&mut dice, &mut scenario);
    if setting.endorses && dice.rarely("endorsed before ordered", 6) {
        scenario.execution = endorsed(&mut dice, scenario.nodes);
    }
    let end = Time::ZERO + dice.millis(500, 4_000);
    trouble::add(&mut dice, &mut scenario, &setting, end);
    let text = scenario.to_yaml();
    let mut scenario = Scenario::parse("fuzz", &text, overrides, None, known)?;
    // Waiting for what is promised takes most of the time: most runs end soon after their trouble,
    // and only what must never happen is looked for.
    let judged = dice.once_in(4);
    if judged {
        dice.features.insert("liveness judged");
        scenario = settle(entry, known, &scenario)?;
    } else {
        scenario.duration = end.since(Time::ZERO) + REST * 2;
        scenario.expect.safety = Some(Safety::Holds);
        scenario.expect.liveness = Liveness::Any;
    }
    // Drawn last, so that without it a seed means what it meant before there were aliases.
    if scenario.nodes > 2 && dice.rarely("anonymous sharing", 4) {
        let mix = &mut scenario.workload.mix;
        *mix = mix.with(Wish::AnonymousShare, mix.total() as u32);
    }
    // So are clients of two faces.
    let one_by_one = scenario.execution == Execution::OrderExecute;
    if one_by_one && dice.rarely("two-faced clients", 4) {
        scenario.workload.two_faced = Ratio::from_parts_per_billion(100_000_000);
    }
    // And a load that ends, after which nobody is told what it lacks by what comes next.
    if dice.rarely("a load that ends", 3) {
        let last = end.since(Time::ZERO).nanos() / 1_000_000;
        scenario.workload.until = Some(dice.millis(200, last));
    }
    if dice.rarely("kinds said seldom", 4) {
        trouble::pick_seldom(&mut dice, &mut scenario);
    }
    if dice.rarely("swizzled clogging", 6) {
        weather::swizzle(&mut dice, &mut scenario, end);
        if judged {
            scenario = settle(entry, known, &scenario)?;
        }
    }
    scenario = Scenario::parse("fuzz", &scenario.to_yaml(), &[], None, known)?;
    let features = dice.features;
    Ok(Case { scenario, features })
}

/// The scenario with as long a time after its trouble as it takes to be judged, and with what is
/// promised as its expectation; as it reads back.
///
/// # Errors
/// If it is refused.
pub fn settle(entry: &Entry, known: &Known<'_>, scenario: &Scenario) -> Result<Scenario, Refusal> {
    let mut scenario = scenario.clone();
    // What lasts to the end of the run is no passing trouble: first there is no end.
    scenario.duration = FOREVER;
    scenario.expect.liveness = Liveness::Any;
    // Nothing is promised for what is refused.
    let mut scenario = Scenario::parse("fuzz", &scenario.to_yaml(), &[], None, known)?;
    let outlook = (entry.outlook)(&scenario);
    let healed = outlook.healed_at.since(Time::ZERO);
    let judged = outlook.bound * if outlook.recoverable { 2 } else { 1 };
    scenario.duration = healed + judged + REST;
    scenario.expect.safety = Some(Safety::Holds);
    scenario.expect.liveness = if outlook.recoverable && !outlook.hurried {
        Liveness::Holds
    } else {
        Liveness::Any
    };
    Scenario::parse("fuzz", &scenario.to_yaml(), &[], None, known)
}

/// Longer than any trouble.
const FOREVER: Span = Span::from_secs(3_600);

/// A scenario in which nothing goes wrong yet.
fn bare(protocol: &str, seed: u64, setting: &Setting) -> String {
    format!(
        "about: Drawn from seed {seed}.\nseed: {seed}\nduration: {FOREVER}\nnodes: {}\n\
         protocol: {{ {protocol}: {} }}\nworkload: {{ rate: 20/s, patients: 10 }}\n",
        setting.nodes, setting.config
    )
}

/// A law whose draws are mostly between a quarter of the pace and four times as much.
fn latency(dice: &mut Dice, pace: Span) -> Latency {
    let least = Span::from_nanos(pace.nanos() / 4);
    let law = match dice.within(0, 6) {
        0 => Law::Constant(pace),
        1 => Law::Uniform(least, pace * 2),
        2 => Law::Lognormal {
            median: pace,
            p99: pace * 4,
        },
        3 => Law::Exponential {
            mean: pace,
            floor: least,
        },
        4 => Law::Quantiles(vec![least, pace, pace * 4]),
        5 => Law::Pareto {
            least,
            shape_thousandths: 1_500,
            greatest: pace * 8,
        },
        _ => Law::Normal {
            mean: pace,
            deviation: least,
            floor: least,
        },
    };
    Latency { law }
}

/// One site, or two or three with longer ways between them.
fn network(dice: &mut Dice, scenario: &mut Scenario, pace: Span, sites: bool) {
    let network = &mut scenario.network;
    network.ordered = dice.on("ordered links");
    network.within.latency = latency(dice, pace);
    if !sites || scenario.nodes < 3 {
        return;
    }
    let names = ["east", "west", "north"];
    let count = dice.within(2, 3) as usize;
    let all = std::mem::take(&mut network.sites);
    let nodes: Vec<_> = all.into_iter().flat_map(|site| site.nodes).collect();
    let bandwidth = Link::clone(&network.within).bandwidth;
    for (place, name) in names.iter().take(count).enumerate() {
        let nodes = nodes.iter().skip(place).step_by(count).copied().collect();
        network.sites.push(Site {
            name: (*name).into(),
            nodes,
        });
        if place > 0 {
            network.links.push(SiteLink {
                between: [names[place - 1].into(), (*name).into()],
                latency: latency(dice, pace * 2),
                bandwidth,
            });
        }
    }
}

/// Disks slow enough that a crash falls into a write.
fn machine(dice: &mut Dice, scenario: &mut Scenario, pace: Span) {
    let (sync, wait) = dice.one_of(&[(0, 2), (250, 2), (250, 20), (1_000, 5), (5_000, 20)]);
    scenario.machine.sync = Span::from_micros(sync);
    scenario.machine.cores = dice.one_of(&[1, 1, 4]);
    scenario.batch.wait = Span::from_millis(wait);
    // Small batches where they are enough for the load: not if they are long under way.
    let flat = matches!(&*scenario.protocol.name, "raft" | "iraft" | "pbft");
    scenario.batch.max = if flat && pace <= Span::from_millis(1) {
        dice.one_of(&[1, 2, 4, 200])
    } else {
        dice.one_of(&[20, 200])
    };
}

/// A load that is far from what the nodes can do.
fn workload(dice: &mut Dice, scenario: &mut Scenario) {
    let byzantine = scenario.workload.replies == Replies::OneHonest;
    let workload = &mut scenario.workload;
    if dice.on("closed loop") {
        workload.load = Load::Closed {
            clients: dice.one_of(&[1, 3, 8]),
            think: dice.millis(50, 400),
        };
    } else {
        workload.load = Load::Open {
            rate: Rate::from_per_kilosecond(1_000 * dice.within(3, 30)),
            even: dice.once_in(2),
        };
    }
    if dice.on("other calls") {
        let weights: Vec<(Wish, u32)> = Wish::ALL
            .iter()
            .filter(|(wish, _)| *wish != Wish::AnonymousShare)
            .filter_map(|(wish, _)| dice.once_in(2).then_some((*wish, 1)))
            .collect();
        if !weights.is_empty() {
            workload.mix = Mix::of(&weights);
        }
    }
    workload.patients = dice.one_of(&[2, 6, 40]);
    workload.doctors = dice.one_of(&[1, 3, 10]);
    if dice.on("invalid calls") {
        workload.invalid = Ratio::from_parts_per_billion(200_000_000);
    }
    workload.retry = dice.one_of(&[200, 300, 500].map(Span::from_millis));
    if dice.on("liars as gateways") {
        workload.gateways = Gateways::All;
    }
    if byzantine && dice.rarely("a quorum of answers", 4) {
        workload.replies = Replies::Quorum;
    }
}

/// Calls endorsed by two nodes, or by one of several.
fn endorsed(dice: &mut Dice, nodes: usize) -> Execution {
    let some = nodes.min(3);
    Execution::ExecuteOrderValidate {
        policy: if dice.once_in(2) {
            Policy::all(some.min(2))
        } else {
            Policy::any(some)
        },
        retries: 2,
        backoff: Span::from_millis(50),
    }
}
