//! What MBFT puts on the wire for each transaction, in full and without bodies, and what nodes that
//! lack the bodies still notice.

use std::collections::BTreeMap;

use super::{FREE, ONE_THREAD, constant, outcome, scenario, yaml};
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::chain::Annex;
use crate::observe::checks::{Property, Word};
use crate::protocol::Report;
use crate::protocol::mbft::{Config, Head, Large, Mbft, Mutant};
use crate::scenario::run::{Outcome, run_with};
use crate::sim::event::{Event, Observer};

const SPARSE: &str = "publish: sparse, selection: fixed";

/// What is in the chain of the upper group, and what the others decide.
#[derive(Default)]
struct Chain {
    /// By height: bytes of transactions, mini-blocks, and the bytes of the annex.
    blocks: BTreeMap<u64, [u64; 3]>,
    /// Blocks with transactions that nodes outside the upper group of four decide.
    bodies_outside: u64,
    reached: BTreeMap<&'static str, u64>,
}

impl Observer for Chain {
    fn on_event(&mut self, _: Time, node: NodeId, event: &Event) {
        match event {
            Event::Decided { block } => {
                let batch = &block.batch;
                if let Some(large) = batch.annex::<Large>() {
                    let bytes = u64::from(batch.size() - large.size());
                    let annex = u64::from(large.size());
                    let shape = [bytes, large.minis.len() as u64, annex];
                    self.blocks.insert(block.height, shape);
                }
                let outside = node.0 >= 4 && !batch.is_empty();
                self.bodies_outside += u64::from(outside);
                assert!(batch.annex::<Head>().is_none() || batch.is_empty());
            }
            Event::Reported {
                report: Report::Reached(what),
            } => *self.reached.entry(what).or_default() += 1,
            _ => {}
        }
    }
}

/// Runs MBFT without any trouble on free machines until it rests: a request every 50 ms, in a block
/// of its own.
fn calm(nodes: usize, config: &str) -> (Outcome, Chain) {
    let load = "workload: { rate: 20/s, even: true, patients: 50, doctors: 8 }";
    let wire = constant("1ms");
    let lines = ["batch: { max: 20, wait: 1ms }", FREE, &wire, load];
    let scenario = scenario(&yaml(nodes, config, "4040ms", &lines), 3);
    let mut chain = Chain::default();
    let outcome = outcome(&scenario, ONE_THREAD, Some(&mut chain));
    assert_eq!(outcome.verdict.safety, Word::Holds, "{:?}", outcome.verdict);
    (outcome, chain)
}

/// Bytes of a signature, a statement with its bitmap, a vote, and the heads of a mini-block and of
/// a message.
const SIGNED: u64 = 64;
const STATED: u64 = 72;
const VOTE: u64 = 140;
const MINI: u64 = 140;
const HEADER: u64 = 8;

#[test]
fn each_transaction_crosses_the_wire_as_often_as_the_formula_says() {
    for (nodes, m, h) in [(12, 4, 4), (21, 4, 4), (18, 7, 4)] {
        for sparse in [false, true] {
            let publish = if sparse { SPARSE } else { "publish: full" };
            let sizes = format!("group_size: {m}, upper_size: {h}");
            let config = format!("{{ mbft: {{ {sizes}, {publish}, gather: 10ms }} }}");
            let (outcome, chain) = calm(nodes, &config);
            let blocks = chain.blocks.len() as u64;
            let sum = |part: usize| chain.blocks.values().map(|block| block[part]).sum::<u64>();
            let [bodies, minis, annexes] = [0, 1, 2].map(sum);
            let bytes = |wanted: &str| {
                let mut kinds = outcome.totals.by_kind.iter();
                let kind = kinds.find(|(kind, _)| *kind == wanted);
                kind.map_or(0, |(_, volume)| volume.bytes)
            };
            let (n, m, h) = (nodes as u64, m as u64, h as u64);
            let in_group = (m - 1) * (bodies + minis * (HEADER + VOTE + MINI));
            assert_eq!(bytes("order-request"), in_group, "{config}");
            let mini = HEADER + STATED + SIGNED * m + MINI;
            assert_eq!(bytes("mini-block"), h * (bodies + minis * mini), "{config}");
            let proof = HEADER + STATED + SIGNED * 3;
            let told = if sparse { 32 * blocks } else { bodies };
            let published = (n - h) * (told + annexes + blocks * proof);
            assert_eq!(bytes("large-block"), published, "{config}");
            // A proposal names mini-blocks and repeats no body.
            assert!(bytes("pre-prepare") < (h - 1) * (annexes + 500 * blocks));
            assert_eq!(chain.bodies_outside == 0, sparse, "{config}");
        }
    }
}

#[test]
fn what_is_published_without_bodies_leads_to_the_same_answers() {
    let (full, _) = calm(21, "{ mbft: { selection: fixed } }");
    let (sparse, chain) = calm(21, &format!("{{ mbft: {{ {SPARSE} }} }}"));
    assert_eq!(chain.bodies_outside, 0);
    assert_eq!(sparse.summary.submitted, full.summary.submitted);
    assert_eq!(sparse.summary.misapplied, 0, "heads are no forks");
    let (few, many) = (sparse.summary.committed, full.summary.committed);
    assert!(few.abs_diff(many) <= 10, "{few} and {many}");
    let volume = |outcome: &Outcome| {
        outcome
            .totals
            .by_kind
            .iter()
            .map(|k| k.1.count)
            .sum::<u64>()
    };
    let (few, many) = (volume(&sparse), volume(&full));
    assert!(few.abs_diff(many) * 20 < many, "{few} and {many} messages");
}

/// Runs MBFT on eighteen nodes in three groups, without bodies and with one guard left out if one
/// is named.
fn trouble(mutant: Option<Mutant>, lines: &[&str]) -> (Outcome, Chain) {
    let load = "workload: { rate: 100/s, patients: 100, doctors: 10, invalid: 5% }";
    let mut all = vec![load];
    all.extend(lines);
    let protocol = format!("{{ mbft: {{ groups: 3, {SPARSE} }} }}");
    let scenario = scenario(&yaml(18, &protocol, "12s", &all), 5);
    let config: Config = serde_json::from_value(scenario.protocol.config.clone()).unwrap();
    let config = Config { mutant, ..config };
    let mut chain = Chain::default();
    let outcome = run_with::<Mbft>(&scenario, config, ONE_THREAD, Some(&mut chain));
    (outcome, chain)
}

#[test]
fn who_was_away_fetches_the_bodies_of_its_own_group() {
    let crash = "faults:\n  - crash: { nodes: [6], during: [2s, 4s] }\n  - \
                 crash: { nodes: [11], during: [5s, 6s], disk: unsynced }";
    let (outcome, chain) = trouble(None, &[crash]);
    assert_eq!(outcome.verdict.safety, Word::Holds, "{:?}", outcome.verdict);
    let fetched = chain.reached.get("body-fetched").copied();
    assert!(fetched.is_some_and(|bodies| bodies > 20), "{fetched:?}");
    assert_eq!(chain.bodies_outside, 0);
}

#[test]
fn heads_without_their_certificate_are_refused_and_fork_if_nobody_looks() {
    let liar = "adversaries:\n  - equivocate: { nodes: [1] }";
    let (whole, chain) = trouble(None, &[liar]);
    assert_eq!(whole.verdict.safety, Word::Holds, "{:?}", whole.verdict);
    assert!(chain.reached["refuses-large-block"] > 0);
    let (broken, _) = trouble(Some(Mutant::NoUpperCertificate), &[liar]);
    assert_eq!(broken.verdict.safety, Word::Violated);
    assert_eq!(broken.verdict.violations[0].property, Property::Agreement);
}
