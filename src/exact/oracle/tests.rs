//! Whole simulations, of which the oracle judges every transaction on the chain.
//!
//! Every kind of call is asked for, a third of the calls are wrong in some way, messages come late
//! and twice, nodes crash and lose what they had not written, and one node is away so long that it
//! comes back by a snapshot, or by what it missed. The checks of every run execute the chain once
//! more; here the oracle looks at the answers, and at all nodes' states as far as their blocks
//! show them.

use std::collections::{BTreeMap, BTreeSet};

use super::judge::Judge;
use crate::base::random::{Random, Stream};
use crate::base::time::Span;
use crate::contract::invariants::Invariant;
use crate::contract::rules::Mutant;
use crate::contract::{Code, Wish};
use crate::exact::{ONE_THREAD, outcome, scenario, yaml};
use crate::observe::checks::{Property, Word};
use crate::scenario::Scenario;

/// How calls take effect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// They are executed where they are ordered.
    Ordered,
    /// They are endorsed by two of the nodes before.
    Endorsed,
}

/// A run in which everything happens that a network and disks can do, four seconds long. Node 3
/// is away for long.
fn troubled(protocol: &str, way: Way, seed: u64) -> Scenario {
    let nodes = 4 + seed as usize % 2;
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
    let mix = Wish::ALL.map(|(wish, name)| match wish {
        Wish::Submit | Wish::Propose | Wish::Access => format!("{name}: 6"),
        Wish::Grant | Wish::Share | Wish::Search | Wish::Contact => format!("{name}: 3"),
        _ => format!("{name}: 1"),
    });
    let workload = format!(
        "workload: {{ rate: 200/s, patients: 9, doctors: 5, invalid: 30%, retry: 150ms, mix: {{ \
         {} }} }}",
        mix.join(", ")
    );
    let rules = match seed % 3 {
        0 => "contract: { query_budget: 20, difference_guard: true }",
        _ => "contract: { floor: 3 }",
    };
    let execution = match way {
        Way::Ordered => "execution: order-execute",
        Way::Endorsed => {
            "execution: { execute-order-validate: { policy: \"OutOf(2, n0, n1, n2)\", \
             retries: 3, backoff: 20ms } }"
        }
    };
    let lines = [
        &workload,
        rules,
        execution,
        "batch: { max: 8, wait: 4ms }",
        "network: { within: { latency: { uniform: [1ms, 12ms] } } }",
        "machine: { sync: 3ms }",
        &faults,
    ];
    scenario(&yaml(nodes, protocol, "4s", &lines), seed)
}

/// What became of many runs.
#[derive(Default, Debug)]
struct Sum {
    repeated: u64,
    readings: usize,
    installed: usize,
    level: usize,
    accepted: BTreeMap<&'static str, u64>,
    refused: BTreeMap<u16, u64>,
}

impl Sum {
    fn add(&mut self, judge: &Judge) {
        let top = judge.roots.len() as u64;
        self.repeated += judge.repeated;
        self.readings += judge.readings();
        self.installed += judge.installed.len();
        let level = judge.heights.values().filter(|height| **height + 5 > top);
        self.level += level.count();
        for (kind, count) in &judge.accepted {
            *self.accepted.entry(kind).or_default() += count;
        }
        for (code, count) in &judge.refused {
            *self.refused.entry(*code).or_default() += count;
        }
    }

    fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }

    fn judged(&self) -> u64 {
        self.accepted.values().sum::<u64>() + self.refusals()
    }
}

/// Runs all seeds and holds the answers against the oracle.
fn judge_runs(protocol: &str, way: Way, seeds: std::ops::Range<u64>) -> Sum {
    let mut sum = Sum::default();
    for seed in seeds {
        let scenario = troubled(protocol, way, seed);
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
    let (judged, refused) = (sum.judged(), sum.refusals());
    assert!(judged > 2_000 && sum.readings > 50, "{sum:?}");
    let kinds = match way {
        Way::Ordered => {
            assert!((judged / 10..judged / 2).contains(&refused), "{sum:?}");
            assert!(sum.refused.len() >= 16, "{sum:?}");
            25
        }
        Way::Endorsed => 20,
    };
    assert!(sum.accepted.len() >= kinds, "{sum:?}");
    assert!(sum.repeated > 0, "some transactions come twice");
    assert!(sum.level > 20, "who was away catches up: {}", sum.level);
    sum
}

const PBFT: &str = "{ pbft: { checkpoint_interval: 16, window: 64 } }";

#[test]
fn every_transaction_that_raft_orders_is_answered_by_the_rules() {
    let sum = judge_runs("raft", Way::Ordered, 0..8);
    assert_eq!(sum.installed, 0, "a short log is kept whole");
}

#[test]
fn who_comes_back_by_a_snapshot_goes_on_in_the_same_state() {
    let sum = judge_runs("{ raft: { compact_after: 20 } }", Way::Ordered, 20..28);
    assert!(sum.installed > 5, "{} snapshots", sum.installed);
}

#[test]
fn every_transaction_that_pbft_orders_is_answered_by_the_rules() {
    judge_runs(PBFT, Way::Ordered, 40..48);
}

#[test]
fn what_was_endorsed_and_is_valid_is_what_the_rules_say() {
    let by_raft = judge_runs("raft", Way::Endorsed, 60..68);
    let by_pbft = judge_runs(PBFT, Way::Endorsed, 80..88);
    for sum in [by_raft, by_pbft] {
        let conflicts = [Code::MvccConflict, Code::PhantomConflict].map(Code::number);
        let seen = conflicts.map(|code| sum.refused.get(&code).copied().unwrap_or(0));
        assert!(seen[0] > 50 && seen[1] > 0, "{sum:?}");
        assert_eq!(sum.refused.len(), 2, "the others are not ordered: {sum:?}");
    }
}

#[test]
fn whoever_asks_under_an_alias_is_answered_by_the_rules() {
    let day = include_str!("../../../scenarios/calm/anonymous-sharing.yaml");
    let mut scenario = scenario(day, 42);
    scenario.duration = Span::from_secs(8);
    let mut judge = Judge::new(&scenario);
    let outcome = outcome(&scenario, ONE_THREAD, Some(&mut judge));
    let violations = &outcome.verdict.violations;
    assert_eq!(outcome.verdict.safety, Word::Holds, "{violations:?}");
    assert!(judge.objections.is_empty(), "{:#?}", judge.objections);
    for kind in ["enrol", "set-standing", "request-share", "confirm-share"] {
        assert!(judge.accepted[kind] > 20, "{kind}: {:?}", judge.accepted);
    }
    // Not certified, forged, ended; searches, confirms for others, delivered without consent.
    for code in [
        Code::UnknownSigner,
        Code::CertSignatureInvalid,
        Code::CertExpired,
        Code::WrongRole,
        Code::NotRequester,
        Code::ApprovalMissing,
    ] {
        let refused = judge.refused.get(&code.number());
        assert!(refused > Some(&2), "{code}: {:?}", judge.refused);
    }
}

/// Checks that can be left out, whether somebody gets an answer for it that the oracle would not
/// give, and what does not hold then.
const MUTANTS: [(Mutant, bool, Invariant); 9] = [
    (Mutant::PatientUnchecked, true, Invariant::Signatures),
    (Mutant::NonceAgain, true, Invariant::Transitions),
    (Mutant::RevokedUsable, true, Invariant::Transitions),
    (Mutant::ReadingUnlisted, true, Invariant::Readings),
    (Mutant::HandleTells, true, Invariant::Privacy),
    (Mutant::AliasAsksAll, true, Invariant::Anonymity),
    (Mutant::UnapprovedDelivered, true, Invariant::Transitions),
    (Mutant::UsesUncounted, false, Invariant::Transitions),
    (Mutant::RefusalSpends, false, Invariant::Refusals),
];

#[test]
fn a_contract_that_leaves_a_check_out_is_noticed_on_the_chain() {
    for (mutant, answers, invariant) in MUTANTS {
        let (mut objections, mut seen) = (0, BTreeSet::new());
        for seed in 100..106 {
            let mut scenario = troubled("raft", Way::Ordered, seed);
            scenario.contract.mutant = Some(mutant);
            let mut judge = Judge::new(&scenario);
            let outcome = outcome(&scenario, ONE_THREAD, Some(&mut judge));
            objections += judge.objections.len();
            seen.extend(outcome.verdict.violations.iter().map(|seen| seen.property));
            if seen.contains(&Property::Contract(invariant)) && (objections > 0 || !answers) {
                break;
            }
        }
        assert_eq!(objections > 0, answers, "{mutant:?}");
        let noticed = seen.contains(&Property::Contract(invariant));
        assert!(noticed, "{mutant:?}: {seen:?}");
    }
}
