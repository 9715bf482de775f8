//! Liars: fatal to RAFT, survived by PBFT up to a third, and fatal beyond.

use std::collections::{BTreeMap, BTreeSet};

use super::{ONE_THREAD, PBFT_SIZES, outcome, scenario, yaml};
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::chain::TransactionId;
use crate::observe::checks::Word;
use crate::scenario::run::Outcome;
use crate::sim::event::{Event, Observer};

const LOAD: &str = "workload: { rate: 20/s, even: true, patients: 8, doctors: 2, retry: 300ms }";

/// A run with the first `liars` nodes dishonest; views begin with node 0.
fn lied_to(nodes: usize, protocol: &str, behaviour: &str, liars: usize, seed: u64) -> Outcome {
    let names: Vec<String> = (0..liars).map(|node| node.to_string()).collect();
    let adversaries = format!(
        "adversaries:\n  - {behaviour}: {{ nodes: [{}], collude: true }}",
        names.join(", ")
    );
    let lines = ["batch: { max: 5, wait: 5ms }", LOAD, &adversaries];
    let scenario = scenario(&yaml(nodes, protocol, "14s", &lines), seed);
    outcome(&scenario, ONE_THREAD, None)
}

/// The names of what was violated.
fn violated(outcome: &Outcome) -> BTreeSet<&'static str> {
    let violations = outcome.verdict.violations.iter();
    violations
        .map(|violation| violation.property.name())
        .collect()
}

#[test]
fn one_leader_that_lies_breaks_agreement_in_raft() {
    for nodes in [3, 5] {
        // Some seeds elect the liar.
        let broken = (0..10).find_map(|seed| {
            let outcome = lied_to(nodes, "raft", "equivocate", 1, seed);
            assert_eq!(outcome.verdict.liveness, Word::OutsideModel);
            let found = violated(&outcome);
            (outcome.verdict.safety == Word::Violated).then_some((seed, found))
        });
        let (seed, found) = broken.expect("ten seeds elect the liar once");
        println!("raft, {nodes} nodes: seed {seed}: {found:?}");
        assert!(found.contains("agreement"), "{nodes} nodes: {found:?}");
        assert!(found.contains("log-matching"), "{nodes} nodes: {found:?}");
    }
}

const PBFT: &str = "{ pbft: { view_timeout: 50ms } }";

#[test]
fn pbft_survives_every_number_of_liars_it_promises_to() {
    for (nodes, faulty, _) in PBFT_SIZES {
        for behaviour in ["equivocate", "silent"] {
            let outcome = lied_to(nodes, PBFT, behaviour, faulty, 1);
            let what = format!("{nodes} nodes, {faulty} {behaviour}");
            let (verdict, summary) = (&outcome.verdict, &outcome.summary);
            let words = (verdict.safety, verdict.liveness);
            let seen = &verdict.violations;
            assert_eq!(words, (Word::Holds, Word::Holds), "{what}: {seen:?}");
            assert_eq!(summary.convicted_wrongly, 0, "{what}");
            match behaviour {
                // A liar may keep its lead where half of the honest and the liars are a quorum.
                "equivocate" => assert!(summary.convicted > 0, "{what}: it signed both"),
                _ => assert!(
                    summary.leader_changes > 0,
                    "{what}: the first leader was one"
                ),
            }
        }
    }
}

/// Two quorums of `quorum` have `2·quorum − nodes` members in common: if all of them lie, both may
/// decide. For n = 3f+1 that is one more than f.
#[test]
fn pbft_breaks_when_all_that_two_quorums_share_lie() {
    for (nodes, faulty, quorum) in PBFT_SIZES {
        let liars = 2 * quorum - nodes;
        assert!(liars > faulty);
        let broken = (0..5).find_map(|seed| {
            let outcome = lied_to(nodes, PBFT, "equivocate", liars, seed);
            assert_eq!(outcome.verdict.liveness, Word::OutsideModel);
            let found = violated(&outcome);
            (outcome.verdict.safety == Word::Violated).then_some((seed, found))
        });
        let (seed, found) = broken.unwrap_or_else(|| panic!("{nodes} nodes agree"));
        println!("pbft, {nodes} nodes, {liars} liars: seed {seed}: {found:?}");
        assert!(found.contains("agreement"), "{nodes} nodes: {found:?}");
    }
}

/// With five nodes quorums share three: two liars are more than PBFT promises to survive, and can
/// stop it, but not deceive it.
#[test]
fn two_liars_of_five_cannot_split_pbft() {
    for seed in 0..5 {
        let outcome = lied_to(5, PBFT, "equivocate", 2, seed);
        assert_eq!(outcome.verdict.liveness, Word::OutsideModel);
        assert_eq!(violated(&outcome), BTreeSet::new(), "seed {seed}");
    }
}

/// Whoever leads when the window opens is the one meant, whatever the seed, and the run up to there
/// is the run without.
#[test]
fn a_leader_that_is_to_lie_is_the_one_that_leads() {
    for protocol in ["raft", "iraft", "pbft"] {
        for seed in 0..6 {
            for count in [1, 2] {
                let silent = format!(
                    "adversaries:\n  - silent: {{ nodes: {{ leader: {count} }}, during: [3s] }}"
                );
                let text = yaml(7, protocol, "6s", &[LOAD, &silent]);
                let scenario = scenario(&text, seed);
                assert_eq!(scenario.dishonest_count(), count);
                let outcome = outcome(&scenario, ONE_THREAD, None);
                let what = format!("{protocol}, seed {seed}");
                let leaders = outcome.summary.timeline.iter();
                let leaders: Vec<_> = leaders.map(|second| second.leader).collect();
                assert!(leaders[1].is_some() && leaders[1] == leaders[2], "{what}");
                assert_ne!(leaders[1], leaders[5], "{what}: it fell silent");
            }
        }
    }
}

/// What was decided under names that clients have used twice.
#[derive(Default)]
struct Faces {
    /// The second content of each name.
    other: BTreeMap<TransactionId, Digest>,
    /// What each name was decided with first, as one node has it.
    decided: BTreeMap<TransactionId, Digest>,
}

impl Observer for Faces {
    fn on_event(&mut self, _: Time, node: NodeId, event: &Event) {
        match event {
            Event::Doubled { transaction } => {
                self.other.insert(transaction.id, transaction.digest);
            }
            Event::Decided { block } if node == NodeId(0) => {
                for transaction in block.batch.transactions() {
                    let first = self.decided.entry(transaction.id);
                    first.or_insert(transaction.digest);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn of_what_a_client_says_under_one_name_one_thing_counts() {
    let mut counted = (0, 0);
    for (nodes, protocol) in [(3, "raft"), (4, "pbft"), (4, "iraft"), (16, "krbft")] {
        let load =
            "workload: { rate: 40/s, patients: 40, doctors: 2, retry: 300ms, two_faced: 30% }";
        let scenario = scenario(&yaml(nodes, protocol, "14s", &[load]), 1);
        let mut faces = Faces::default();
        let outcome = outcome(&scenario, ONE_THREAD, Some(&mut faces));
        let verdict = &outcome.verdict;
        assert_eq!(verdict.violations, [], "{protocol}");
        let ends = |other: bool| {
            let decided = |(id, digest): (&TransactionId, &Digest)| {
                faces
                    .decided
                    .get(id)
                    .is_some_and(|first| (first == digest) == other)
            };
            faces.other.iter().filter(|face| decided(*face)).count()
        };
        let all = ends(false) + ends(true);
        assert!(all > 50, "{protocol}: {all} of {}", faces.other.len());
        counted.0 += ends(false);
        counted.1 += ends(true);
    }
    // Whichever comes to the leader first; which one goes to whom has to do with neither.
    assert!(counted.0 > 50 && counted.1 > 50, "{counted:?}");
}
