//! What MBFT costs and survives, as its formulas say.

use std::collections::{BTreeMap, BTreeSet};

use super::{FREE, ONE_THREAD, constant, outcome, scenario, yaml};
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::base::random::{Random, Stream};
use crate::base::time::Time;
use crate::observe::checks::{Property, Word};
use crate::protocol::Report;
use crate::protocol::mbft::{Config, Large, Mbft, Mutant, Phase};
use crate::scenario::run::{Outcome, run_with};
use crate::sim::event::{Event, Observer};

/// A run in which every group has one transaction for each large block: as many come at once as the
/// groups take, and nothing more until they are answered.
fn calm(nodes: usize, config: &str, lines: &[&str]) -> Outcome {
    let load = "workload: { rate: 10/s, even: true, patients: 8, doctors: 2 }";
    let wire = constant("1ms");
    let mut all = vec!["batch: { max: 1, wait: 0ms }", FREE, &wire, load];
    all.extend(lines);
    let scenario = scenario(&yaml(nodes, config, "2050ms", &all), 3);
    let outcome = outcome(&scenario, ONE_THREAD, None);
    assert_eq!(outcome.summary.pending, 0, "the run ends at rest");
    assert_eq!(outcome.verdict.safety, Word::Holds, "{:?}", outcome.verdict);
    outcome
}

/// All copies by kind.
fn copies(outcome: &Outcome) -> Vec<(&'static str, u64)> {
    let kinds = outcome.totals.by_kind.iter();
    let sent = kinds.map(|(kind, volume)| (*kind, volume.count));
    sent.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn a_large_block_of_one_group_costs_exactly_its_formula() {
    for (m, h, backups) in [
        (4, 4, 0),
        (4, 4, 3),
        (5, 4, 1),
        (6, 7, 2),
        (1, 1, 1),
        (7, 10, 5),
    ] {
        let nodes = m + h + backups;
        let config = format!("{{ mbft: {{ groups: 1, group_size: {m}, upper_size: {h} }} }}");
        let outcome = calm(nodes, &config, &[]);
        let blocks = outcome.summary.blocks;
        assert_eq!(blocks, 21, "one block for each transaction");
        let (n, m, h) = (nodes as u64, m as u64, h as u64);
        let mut expected = vec![
            ("commit", h * (h - 1) * blocks),
            ("forward", blocks),
            ("large-block", (n - h) * blocks),
            ("mini-block", h * blocks),
            ("order-request", (m - 1) * blocks),
            ("pre-prepare", (h - 1) * blocks),
            ("prepare", (h - 1) * (h - 1) * blocks),
            ("speculative-reply", (m - 1) * blocks),
        ];
        expected.retain(|(_, count)| *count > 0);
        assert_eq!(copies(&outcome), expected, "{n} nodes send nothing else");
        let each = 2 * (m - 1) + h + 2 * h * (h - 1) + (n - h) + 1;
        assert_eq!(outcome.summary.messages_per_block, Some(each as f64));
    }
}

/// A group that is never at rest, and links on which mini-blocks and blocks take as long.
fn busy(window: usize) -> (f64, Seen) {
    let load = "workload: { clients: 400, patients: 400, doctors: 10, gateways: last }";
    let wire = constant("20ms");
    let batch = "batch: { max: 10, wait: 1ms }";
    let config = format!("{{ mbft: {{ groups: 1, gather: 1ms, window: {window} }} }}");
    let scenario = scenario(&yaml(9, &config, "6s", &[load, FREE, &wire, batch]), 3);
    let mut seen = Seen::default();
    let outcome = outcome(&scenario, ONE_THREAD, Some(&mut seen));
    assert_eq!(outcome.verdict.violations, [], "{window}");
    (outcome.summary.throughput_tps, seen)
}

#[test]
fn a_window_saves_the_way_through_the_chain() {
    let (one, _) = busy(1);
    // Order, answer; to the upper group, three rounds there, and back: two delays of six remain.
    for (window, least, most) in [(2, 1.9, 2.1), (3, 2.0, 3.1)] {
        let (more, seen) = busy(window);
        let factor = more / one;
        println!("{window}: {more} of {one}: {factor}");
        assert!((least..most).contains(&factor), "{window}: {factor}");
        assert_eq!(seen.slow, 0);
        assert_eq!(seen.reached.get("group-view-change"), None);
    }
}

/// Primaries of groups and of the upper one that crash while mini-blocks are under way.
const CRASHES: &str = "faults:\n  \
    - crash: { nodes: [4], during: [2s, 2200ms] }\n  \
    - crash: { nodes: [8], during: [3s, 3100ms] }\n  \
    - crash: { nodes: [0], during: [4s, 5s] }\n  \
    - crash: { nodes: [12], during: [5s, 5050ms] }\n  \
    - crash: { nodes: [5], during: [6s, 6010ms] }\n  \
    - crash: { nodes: [9], during: [7s, 7300ms] }\n  \
    - loss: { rate: 3%, during: [2s, 8s] }";

#[test]
fn what_is_under_way_survives_crashes_and_nobody_orders_twice() {
    let quick = "batch: { max: 3, wait: 1ms }";
    for window in [2, 4] {
        let config = format!("gather: 20ms, window: {window}");
        let (outcome, seen) = trouble(&config, None, &[quick, CRASHES]);
        let verdict = &outcome.verdict;
        assert_eq!(verdict.violations, [], "{window}: {:?}", seen.reached);
        assert_eq!(verdict.safety, Word::Holds);
    }
    let forgets = Some(Mutant::ForgetUnderWay);
    let (broken, seen) = trouble("gather: 20ms, window: 4", forgets, &[quick, CRASHES]);
    let found = broken.verdict.violations.iter();
    let unjust = found.filter(|v| v.property == Property::AccountabilitySoundness);
    assert!(unjust.count() > 0, "{:?}", seen.reached);
}

/// What a run of MBFT leads to, as its nodes report it and its chain shows it.
#[derive(Default)]
struct Seen {
    reached: BTreeMap<&'static str, u64>,
    /// The mini-blocks in the chain of the first node that decided each height, by certificate.
    fast: u64,
    slow: u64,
    /// The committees of the epochs in the chain, as far as their certificates show.
    blocks: BTreeSet<u64>,
    /// The digests of the annexes of the first blocks of epochs.
    epochs: BTreeMap<u32, Digest>,
}

impl Observer for Seen {
    fn on_event(&mut self, _: Time, _: NodeId, event: &Event) {
        match event {
            Event::Reported {
                report: Report::Reached(what),
            } => *self.reached.entry(what).or_default() += 1,
            Event::Decided { block } if self.blocks.insert(block.height) => {
                let Some(large) = block.batch.annex::<Large>() else {
                    return;
                };
                let fast = large.minis.iter().filter(|m| m.phase == Phase::Speculative);
                let fast = fast.count() as u64;
                self.fast += fast;
                self.slow += large.minis.len() as u64 - fast;
                self.epochs.entry(large.epoch).or_insert(block.digest);
            }
            _ => {}
        }
    }
}

/// Runs MBFT on eighteen nodes in three groups, with one guard left out if one is named.
fn trouble(config: &str, mutant: Option<Mutant>, lines: &[&str]) -> (Outcome, Seen) {
    let load = "workload: { rate: 100/s, patients: 100, doctors: 10, invalid: 5% }";
    let mut all = vec![load];
    all.extend(lines);
    let protocol = format!("{{ mbft: {{ groups: 3, {config} }} }}");
    let scenario = scenario(&yaml(18, &protocol, "12s", &all), 5);
    let config: Config = serde_json::from_value(scenario.protocol.config.clone()).unwrap();
    let config = Config { mutant, ..config };
    let mut seen = Seen::default();
    let outcome = run_with::<Mbft>(&scenario, config, ONE_THREAD, Some(&mut seen));
    (outcome, seen)
}

fn reached(seen: &Seen, what: &str) -> u64 {
    seen.reached.get(what).copied().unwrap_or(0)
}

#[test]
fn one_silent_member_costs_the_fast_path_of_its_group_and_of_no_other() {
    let silent = "adversaries:\n  - silent: { nodes: [6] }";
    let (calm, seen) = trouble("gather: 100ms", None, &[]);
    assert_eq!(calm.verdict.safety, Word::Holds);
    assert_eq!(seen.slow, 0);
    let all = seen.fast;
    let (slow, seen) = trouble("gather: 100ms", None, &[silent]);
    assert_eq!(slow.verdict.safety, Word::Holds);
    let share = seen.slow * 100 / (seen.fast + seen.slow);
    assert!((25..=40).contains(&share), "{share} % of {all}");
}

#[test]
fn elections_draw_new_roles_from_committed_secrets_only() {
    let (outcome, seen) = trouble("cycle: 20, election: 6", None, &[]);
    assert_eq!(outcome.verdict.safety, Word::Holds, "{:?}", outcome.verdict);
    let epochs = seen.epochs.len() as u64;
    assert!(epochs >= 4, "{epochs} epochs");
    // Every node reports the end of each epoch.
    let drawn = reached(&seen, "roles-drawn");
    assert!(
        (18 * (epochs - 2)..=18 * epochs).contains(&drawn),
        "{drawn} of {epochs}"
    );
    assert_eq!(reached(&seen, "election-failed"), 0);
    // Without the others' shares a withheld secret is missing from the beacon: another draw.
    let withhold = "adversaries:\n  - withhold: { nodes: [9], kinds: [disclosure] }";
    let (_, shares) = trouble("cycle: 20, election: 6", None, &[withhold]);
    assert!(reached(&shares, "roles-drawn") >= 18 * 3);
}

#[test]
fn a_forgery_is_caught_by_whoever_looks_again_and_by_nobody_else() {
    let forgers = "adversaries:\n  - careless: { nodes: [4, 5, 6] }";
    let (passes, _) = trouble("audit: 0%", None, &[forgers]);
    assert_eq!(passes.verdict.safety, Word::Violated);
    let layers = passes.verdict.violations.iter();
    assert!(layers.map(|v| v.property).any(|p| p == Property::Layers));
    let (audited, seen) = trouble("audit: 100%", None, &[forgers]);
    assert_eq!(audited.verdict.safety, Word::Holds, "{:?}", audited.verdict);
    assert!(
        reached(&seen, "forged-mini-block-refused") >= 18,
        "every node learns of it"
    );
    assert!(
        reached(&seen, "group-suspended") >= 18,
        "and others take its patients"
    );
    let (audited, seen) = trouble("audit: 100%, window: 3", None, &[forgers]);
    assert_eq!(audited.verdict.safety, Word::Holds, "{:?}", audited.verdict);
    assert!(reached(&seen, "forged-mini-block-refused") >= 18);
    let (verified, _) = trouble("verification: everyone", None, &[forgers]);
    assert_eq!(verified.verdict.safety, Word::Holds);
    // A third of a group forges nothing: one of the signers is honest.
    let few = "adversaries:\n  - careless: { nodes: [4, 5] }";
    let (few, _) = trouble("audit: 0%", None, &[few]);
    assert_eq!(few.verdict.safety, Word::Holds);
}

#[test]
fn certificates_that_are_not_whole_are_refused_and_pass_if_nobody_looks() {
    let silent = "adversaries:\n  - silent: { nodes: [6] }";
    let hasty = Some(Mutant::FastWithoutOne);
    let (broken, seen) = trouble("gather: 100ms", hasty, &[silent]);
    assert_eq!(broken.verdict.safety, Word::Holds, "the upper group looks");
    assert!(reached(&seen, "refuses-certificate") > 0);
    let (broken, _) = trouble("gather: 100ms", Some(Mutant::NoMiniCertificate), &[silent]);
    assert_eq!(
        broken.verdict.safety,
        Word::Violated,
        "{:?}",
        broken.verdict
    );
    assert_eq!(broken.verdict.violations[0].property, Property::Layers);
}

#[test]
fn large_blocks_without_their_certificate_are_refused_and_fork_if_nobody_looks() {
    let liar = "adversaries:\n  - equivocate: { nodes: [1] }";
    let (whole, seen) = trouble("gather: 100ms", None, &[liar]);
    assert_eq!(whole.verdict.safety, Word::Holds, "{:?}", whole.verdict);
    assert!(reached(&seen, "refuses-large-block") > 0);
    let (broken, _) = trouble("gather: 100ms", Some(Mutant::NoUpperCertificate), &[liar]);
    assert_eq!(broken.verdict.safety, Word::Violated);
    assert_eq!(broken.verdict.violations[0].property, Property::Agreement);
}

#[test]
fn a_primary_of_the_upper_group_that_proposes_two_blocks_loses_its_credit() {
    let liar = "adversaries:\n  - equivocate: { nodes: [0], kinds: [pre-prepare] }";
    let (whole, seen) = trouble("gather: 100ms", None, &[liar]);
    assert_eq!(whole.verdict.safety, Word::Holds, "{:?}", whole.verdict);
    assert!(reached(&seen, "proposal-doubted") > 0);
    assert!(reached(&seen, "equivocator-of-the-upper-group-jailed") > 0);
    let summary = &whole.summary;
    assert_eq!((summary.convicted, summary.convicted_wrongly), (1, 0));
}

#[test]
fn secrets_that_were_not_committed_to_are_refused_and_pass_if_nobody_looks() {
    let liar = "adversaries:\n  - equivocate: { nodes: [9] }";
    let (whole, seen) = trouble("cycle: 20, election: 6", None, &[liar]);
    assert_eq!(whole.verdict.safety, Word::Holds, "{:?}", whole.verdict);
    assert!(reached(&seen, "roles-drawn") > 0);
    let unchecked = Some(Mutant::NoRevealCheck);
    let (broken, _) = trouble("cycle: 20, election: 6", unchecked, &[liar]);
    assert_eq!(
        broken.verdict.safety,
        Word::Violated,
        "{:?}",
        broken.verdict
    );
    assert_eq!(broken.verdict.violations[0].property, Property::Layers);
}

/// Crashes that lose what is not written, a partition, losses and duplicates; and either elections
/// among the honest or a liar in every committee.
fn random_trouble(seed: u64) -> String {
    let mut random = Random::new(seed, Stream::Test);
    let mut below = |bound: u64| random.below(bound);
    let mut faults = Vec::new();
    for _ in 0..3 {
        let (node, from) = (below(14), 500 + below(6_000));
        let until = from + 50 + below(2_000);
        faults.push(format!(
            "crash: {{ nodes: [{node}], during: [{from}ms, {until}ms], disk: unsynced }}"
        ));
    }
    let (cut, from) = (1 + below(12), 500 + below(5_000));
    let (here, there): (Vec<u64>, Vec<u64>) = (0..14).partition(|node| (node * 5) % 14 < cut);
    let until = from + 100 + below(1_500);
    faults.push(format!(
        "partition: {{ groups: [{here:?}, {there:?}], during: [{from}ms, {until}ms] }}"
    ));
    faults.push(format!(
        "loss: {{ rate: {}%, during: [1s, 7s] }}",
        1 + below(5)
    ));
    faults.push("duplicate: { rate: 2% }".to_owned());
    let lies = [
        "equivocate: {",
        "restless: {",
        "withhold: { kinds: [large-block, mini-block],",
    ];
    let lie = lies[below(3) as usize];
    let liars = [below(4), 4 + below(4), 8 + below(4)];
    let (config, liars) = match seed % 4 {
        0 => ("cycle: 15, election: 6", String::new()),
        2 => ("cycle: 15, election: 6, window: 3", String::new()),
        3 => (
            "selection: fixed, window: 2",
            format!("adversaries:\n  - {lie} nodes: {liars:?} }}"),
        ),
        _ => (
            "selection: fixed",
            format!("adversaries:\n  - {lie} nodes: {liars:?} }}"),
        ),
    };
    let load = "workload: { rate: 60/s, patients: 40, doctors: 4, retry: 500ms }";
    let faults = format!("faults:\n  - {}", faults.join("\n  - "));
    let protocol = format!("{{ mbft: {{ groups: 2, {config} }} }}");
    yaml(14, &protocol, "9s", &[load, &faults, &liars])
}

#[test]
fn no_random_trouble_breaks_a_rule() {
    let mut blocks = 0;
    for seed in 0..24 {
        let scenario = scenario(&random_trouble(seed), seed);
        let outcome = outcome(&scenario, ONE_THREAD, None);
        let verdict = &outcome.verdict;
        assert_eq!(verdict.safety, Word::Holds, "seed {seed}: {verdict:?}");
        blocks += outcome.summary.blocks;
    }
    assert!(
        blocks > 24 * 20,
        "they make progress in spite of it: {blocks}"
    );
}
