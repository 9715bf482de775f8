//! Whole simulations, of which the oracle judges every transaction on the chain.
//!
//! A third of the calls are wrong in some way, messages come late and twice, nodes crash and lose
//! what they had not written, and one node is away so long that it comes back by a snapshot, or
//! by what it missed. The checks of every run execute the chain once more; here the oracle looks
//! at the answers, and at all nodes' states as far as their blocks show them.

use std::collections::{BTreeMap, BTreeSet};

use super::Oracle;
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::base::random::{Random, Stream};
use crate::base::time::Time;
use crate::chain::{Block, Executed};
use crate::contract::{Receipt, Rules};
use crate::exact::{ONE_THREAD, outcome, scenario, yaml};
use crate::observe::checks::Word;
use crate::scenario::Scenario;
use crate::scenario::run::plan;
use crate::sim::event::{Event, Observer};

/// Judges the chain block by block, each height once, and compares what the nodes have.
struct Judge {
    oracle: Oracle,
    /// The root after every height that was judged.
    roots: Vec<Digest>,
    /// How far each node has come, and who came there by a snapshot.
    heights: BTreeMap<NodeId, u64>,
    installed: BTreeSet<NodeId>,
    accepted: BTreeMap<&'static str, u64>,
    refused: BTreeMap<u16, u64>,
    repeated: u64,
    objections: Vec<String>,
}

impl Judge {
    fn new(scenario: &Scenario) -> Self {
        let plan = plan(scenario, false).expect("the network is connected");
        Self {
            oracle: Oracle::new(&plan.population, Rules::default()),
            roots: Vec::new(),
            heights: BTreeMap::new(),
            installed: BTreeSet::new(),
            accepted: BTreeMap::new(),
            refused: BTreeMap::new(),
            repeated: 0,
            objections: Vec::new(),
        }
    }

    fn arrive(&mut self, node: NodeId, block: &Block) {
        self.heights.insert(node, block.height);
        let at = block.height as usize - 1;
        match self.roots.get(at) {
            Some(root) if *root == block.state => {}
            Some(_) => self
                .objections
                .push(format!("{node} is in another state at {}", block.height)),
            None if at == self.roots.len() => self.judge(block),
            None => self.objections.push(format!("nobody decided before {at}")),
        }
    }

    fn judge(&mut self, block: &Block) {
        self.roots.push(block.state);
        let transactions = block.batch.transactions().iter();
        for (transaction, executed) in transactions.zip(&block.executed) {
            let call = &transaction.call;
            let receipt = match executed {
                Executed::Now(receipt) => receipt,
                Executed::Before => {
                    self.repeated += 1;
                    continue;
                }
            };
            match receipt {
                Receipt::Refused(code) => *self.refused.entry(code.number()).or_default() += 1,
                Receipt::Accepted | Receipt::Found(_) | Receipt::Suggested(_) => {
                    *self.accepted.entry(call.kind()).or_default() += 1;
                }
            }
            let judged = self.oracle.check(block.height, call, receipt);
            self.objections.extend(judged.err());
        }
    }
}

impl Observer for Judge {
    fn on_event(&mut self, _: Time, node: NodeId, event: &Event) {
        match event {
            Event::Decided { block } => self.arrive(node, block),
            Event::Installed { block } => {
                self.installed.insert(node);
                self.arrive(node, block);
            }
            _ => {}
        }
    }
}

/// A run in which everything happens that a network and disks can do, four seconds long. Node 3
/// is away for long.
fn troubled(protocol: &str, nodes: usize, seed: u64) -> Scenario {
    let mut dice = Random::new(seed, Stream::Test);
    let mut faults = vec![
        format!("duplicate: {{ rate: {}% }}", 5 + dice.below(20)),
        format!("reorder: {{ rate: {}%, by: 30ms }}", 5 + dice.below(20)),
    ];
    let from = 200 + dice.below(300);
    let until = 2_500 + dice.below(500);
    faults.push(format!(
        "crash: {{ nodes: [3], during: [{from}ms, {until}ms], disk: keep }}"
    ));
    let mut at = 100 + dice.below(400);
    while at < 3_300 {
        let (node, back) = (dice.below(3), at + 20 + dice.below(150));
        let disk = ["keep", "unsynced"][dice.below(2) as usize];
        faults.push(format!(
            "crash: {{ nodes: [{node}], during: [{at}ms, {back}ms], disk: {disk} }}"
        ));
        at = back + 150 + dice.below(500);
    }
    let faults = format!("faults:\n  - {}", faults.join("\n  - "));
    let lines = [
        "workload: { rate: 200/s, patients: 9, doctors: 5, invalid: 30%, retry: 150ms, mix: { \
         submit: 5, propose: 6, search: 2, grant: 4, revoke: 3, access: 6, share: 3 } }",
        "batch: { max: 8, wait: 4ms }",
        "network: { within: { latency: { uniform: [1ms, 12ms] } } }",
        "machine: { sync: 3ms }",
        &faults,
    ];
    scenario(&yaml(nodes, protocol, "4s", &lines), seed)
}

/// What became of many runs.
#[derive(Default)]
struct Sum {
    judged: u64,
    repeated: u64,
    installed: usize,
    level: usize,
    accepted: BTreeMap<&'static str, u64>,
    refused: BTreeMap<u16, u64>,
}

impl Sum {
    fn add(&mut self, judge: &Judge) {
        let top = judge.roots.len() as u64;
        self.repeated += judge.repeated;
        self.installed += judge.installed.len();
        let level = judge.heights.values().filter(|height| **height + 5 > top);
        self.level += level.count();
        for (kind, count) in &judge.accepted {
            *self.accepted.entry(kind).or_default() += count;
            self.judged += count;
        }
        for (code, count) in &judge.refused {
            *self.refused.entry(*code).or_default() += count;
            self.judged += count;
        }
    }
}

/// Runs all seeds and holds the answers against the oracle.
fn judge_runs(protocol: &str, seeds: std::ops::Range<u64>) -> Sum {
    let mut sum = Sum::default();
    for seed in seeds {
        let scenario = troubled(protocol, 4 + seed as usize % 2, seed);
        let mut judge = Judge::new(&scenario);
        let outcome = outcome(&scenario, ONE_THREAD, Some(&mut judge));
        let (verdict, objections) = (outcome.verdict, &judge.objections);
        assert_eq!(
            verdict.safety,
            Word::Holds,
            "seed {seed}: {:?}",
            verdict.violations
        );
        assert!(objections.is_empty(), "seed {seed}: {objections:#?}");
        sum.add(&judge);
    }
    let (judged, kinds, codes) = (sum.judged, &sum.accepted, &sum.refused);
    let refused: u64 = codes.values().sum();
    assert!(judged > 3_000, "{judged}");
    assert!(
        (judged / 10..judged / 2).contains(&refused),
        "{refused} of {judged}"
    );
    assert!(kinds.len() >= 7 && codes.len() >= 8, "{kinds:?} {codes:?}");
    assert!(sum.repeated > 0, "some transactions come twice");
    sum
}

#[test]
fn every_transaction_that_raft_orders_is_answered_by_the_rules() {
    let sum = judge_runs("raft", 0..12);
    assert_eq!(sum.installed, 0, "a short log is kept whole");
    assert!(sum.level > 36, "who was away catches up: {}", sum.level);
}

#[test]
fn who_comes_back_by_a_snapshot_goes_on_in_the_same_state() {
    let sum = judge_runs("{ raft: { compact_after: 20 } }", 20..30);
    assert!(sum.installed > 5, "{} snapshots", sum.installed);
    assert!(sum.level > 30, "who was away catches up: {}", sum.level);
}

#[test]
fn every_transaction_that_pbft_orders_is_answered_by_the_rules() {
    let sum = judge_runs("{ pbft: { checkpoint_interval: 16, window: 64 } }", 40..52);
    assert!(sum.level > 30, "who was away catches up: {}", sum.level);
}
