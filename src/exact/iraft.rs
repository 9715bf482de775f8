//! The improved RAFT: what it costs, how fast it identifies, and whom it never convicts.

use std::collections::BTreeMap;

use super::{FREE, ONE_BY_ONE, ONE_THREAD, constant, outcome, scenario, yaml};
use crate::base::crypto::{Crypto, Digest};
use crate::base::node::NodeId;
use crate::base::time::{Span, Time};
use crate::observe::checks::Word;
use crate::protocol::Report;
use crate::protocol::iraft::Iraft;
use crate::protocol::layers::Layers;
use crate::scenario::run::{Entry, Outcome};
use crate::sim::event::{Event, Observer};

/// A calm run in which every transaction is answered before the next comes.
fn calm(nodes: usize, config: &str, guest: Option<&mut dyn Observer>) -> Outcome {
    let load = "workload: { rate: 4/s, even: true, patients: 8, doctors: 2, replies: one }";
    let lines = [ONE_BY_ONE, FREE, &constant("7ms"), load];
    let protocol = format!("{{ iraft: {{ append_max: 1, {config} }} }}");
    let scenario = scenario(&yaml(nodes, &protocol, "4120ms", &lines), 3);
    let outcome = outcome(&scenario, ONE_THREAD, guest);
    assert_eq!(outcome.summary.pending, 0, "the run ends at rest");
    let words = (outcome.verdict.safety, outcome.verdict.liveness);
    assert_eq!(words.0, Word::Holds, "{:?}", outcome.verdict.violations);
    assert_ne!(words.1, Word::Violated, "{:?}", outcome.verdict.violations);
    outcome
}

/// Copies of each kind in a run, but for heartbeats, what followers hand to their leader, and
/// questions about an election: more than one may ask, and one is elected.
fn copies(outcome: &Outcome) -> BTreeMap<&'static str, u64> {
    let kinds = outcome.totals.by_kind.iter();
    let by_chance = [
        "pre-vote",
        "pre-vote-reply",
        "heartbeat",
        "heartbeat-reply",
        "forward",
    ];
    let counted = kinds.filter(|(kind, _)| !by_chance.contains(kind));
    counted
        .map(|(kind, volume)| (*kind, volume.count))
        .collect()
}

/// What a run costs in which every entry is sent and answered so often, by kind.
fn expected(followers: u64, entries: u64, kinds: &[&'static str]) -> BTreeMap<&'static str, u64> {
    let votes = ["vote", "vote-reply"].map(|kind| (kind, followers));
    let rounds = kinds.iter().map(|kind| (*kind, followers * entries));
    votes.into_iter().chain(rounds).collect()
}

#[test]
fn an_entry_costs_two_three_or_five_for_each_follower() {
    let plain = ["append", "append-reply"];
    let notice = ["append", "append-reply", "commit-notice"];
    let twice = [
        "append",
        "append-reply",
        "prepared",
        "commit-vote",
        "committed",
    ];
    for nodes in [2, 3, 4, 5, 7, 10] {
        for (config, kinds) in [
            ("profile: paper, monitors: none", &plain[..]),
            (
                "profile: paper, monitors: none, commit_notice: true",
                &notice,
            ),
            ("profile: hardened, monitors: none", &twice),
        ] {
            let outcome = calm(nodes, config, None);
            let (followers, entries) = (nodes as u64 - 1, outcome.summary.blocks);
            assert_eq!(outcome.summary.leader_changes, 0);
            assert!(entries >= 17, "an empty one, and one for each transaction");
            let expected = expected(followers, entries, kinds);
            assert_eq!(copies(&outcome), expected, "{nodes} nodes, {config}");
        }
    }
}

#[test]
fn monitors_get_a_copy_of_every_answer() {
    for nodes in [4, 7] {
        let followers = nodes as u64 - 1;
        for (monitors, copied) in [
            ("one-honest", (followers / 3 + 1) * (followers - 1)),
            ("all", followers * (followers - 1)),
        ] {
            let outcome = calm(nodes, &format!("monitors: {monitors}"), None);
            let answers = copies(&outcome)["append-reply"];
            let entries = outcome.summary.blocks;
            assert_eq!(answers, (followers + copied) * entries, "{monitors}");
        }
        let outcome = calm(nodes, "profile: sync", None);
        let answers = copies(&outcome)["append-reply"];
        assert_eq!(answers, followers * followers * outcome.summary.blocks);
    }
}

/// How long each client waited, leaving out those who did not know the leader yet.
#[derive(Default)]
struct Waits(Vec<Span>);

impl Observer for Waits {
    fn on_event(&mut self, now: Time, _: NodeId, event: &Event) {
        if let Event::Answered { submitted, .. } = event
            && submitted.second() >= 2
        {
            self.0.push(now.since(*submitted));
        }
    }
}

#[test]
fn an_answer_takes_four_delays_or_six_or_a_wait_as_well() {
    let delay = Span::from_millis(7);
    for (config, expected) in [
        ("profile: paper", delay * 4),
        ("profile: hardened", delay * 6),
        // The leader's wait begins when it proposes.
        (
            "profile: sync, delta: 30ms",
            delay * 2 + Span::from_millis(60),
        ),
    ] {
        for nodes in [4, 7] {
            let mut waits = Waits::default();
            calm(nodes, config, Some(&mut waits));
            let shortest = waits.0.iter().min().unwrap();
            assert_eq!(*shortest, expected, "{config}, {nodes} nodes");
        }
    }
}

/// When the first leader sent appends, and when each node convicted somebody.
#[derive(Default)]
struct Watch {
    leader: Option<NodeId>,
    sent: Vec<Time>,
    convictions: Vec<(Time, NodeId, NodeId)>,
}

impl Observer for Watch {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        match event {
            Event::Sent { kind: "append", .. } if self.leader == Some(node) => {
                self.sent.push(now);
            }
            Event::Reported {
                report: Report::Leads { .. },
            } => {
                self.leader.get_or_insert(node);
            }
            Event::Reported {
                report: Report::Accuses { culprit, offence },
            } if offence.is_proof() => self.convictions.push((now, node, *culprit)),
            Event::Sent { .. }
            | Event::Reported { .. }
            | Event::Submitted { .. }
            | Event::Doubled { .. }
            | Event::Endorsed { .. }
            | Event::Answered { .. }
            | Event::Contacted { .. }
            | Event::Decided { .. }
            | Event::Installed { .. }
            | Event::Stated { .. }
            | Event::Crashed
            | Event::Restarted { .. }
            | Event::Delivered { .. }
            | Event::Heard { .. }
            | Event::Fired { .. } => {}
        }
    }
}

/// A run in which the first leader tells two stories from the second second on.
fn lied_to(nodes: usize, protocol: &str, seed: u64) -> (Watch, Outcome) {
    let load = "workload: { rate: 4/s, even: true, patients: 8, doctors: 2, retry: 2s }";
    let liar = "adversaries:\n  - equivocate: { nodes: leader, during: [2s] }";
    let lines = [ONE_BY_ONE, FREE, &constant("10ms"), load, liar];
    let text = yaml(nodes, protocol, "8s", &lines);
    let mut watch = Watch::default();
    let outcome = outcome(&scenario(&text, seed), ONE_THREAD, Some(&mut watch));
    (watch, outcome)
}

/// The claim of the source, in numbers: two delays after the act the first honest node holds a
/// proof, three delays after it all do, however many they are.
#[test]
fn a_leader_that_lies_is_known_to_all_within_three_delays() {
    let delay = Span::from_millis(10);
    for nodes in [3, 4, 5, 7, 10, 25] {
        for profile in ["paper", "hardened", "sync"] {
            let protocol = format!("{{ iraft: {{ profile: {profile} }} }}");
            let (watch, outcome) = lied_to(nodes, &protocol, 5);
            let what = format!("{nodes} nodes, {profile}");
            let liar = watch.leader.unwrap();
            let first = watch.convictions.first().expect(&what).0;
            let last = watch.convictions.last().unwrap().0;
            let act = watch.sent.iter().rfind(|sent| **sent + delay <= first);
            let act = *act.expect("it was sent before");
            assert!(first <= act + delay * 2, "{what}: {first} after {act}");
            assert!(last <= act + delay * 3, "{what}: {last} after {act}");
            assert!(
                watch
                    .convictions
                    .iter()
                    .all(|(_, _, culprit)| *culprit == liar)
            );
            assert_eq!(watch.convictions.len(), nodes - 1, "{what}: everybody else");
            let summary = &outcome.summary;
            let convicted = (summary.convicted, summary.convicted_wrongly);
            assert_eq!(convicted, (1, 0), "{what}");
            // The columns count from when the liar might have begun, which is before it acts.
            let since = |time: Time| time.since(Time::ZERO + Span::from_secs(2)).nanos() as f64;
            let columns = [summary.identified_after_ms, summary.identified_by_all_ms];
            assert_eq!(columns, [first, last].map(|at| Some(since(at) / 1e6)));
            // A decision is heard of no sooner than the proof against it.
            assert_eq!(summary.misapplied, 0, "{what}");
        }
    }
}

#[test]
fn raft_identifies_nobody() {
    for nodes in [3, 4, 7] {
        let (watch, outcome) = lied_to(nodes, "raft", 5);
        assert_eq!(watch.convictions, []);
        assert_eq!(outcome.summary.convicted, 0);
        assert!(outcome.summary.misapplied > 0, "{nodes} nodes fork");
    }
}

/// As many liars as two certificates survive, whoever of them leads first.
#[test]
fn hardened_survives_every_number_of_liars_it_promises_to() {
    let load = "workload: { rate: 20/s, even: true, patients: 8, doctors: 2, retry: 300ms }";
    for (nodes, liars) in [(4, 1), (5, 1), (7, 2), (10, 3)] {
        for behaviour in ["equivocate", "silent", "restless"] {
            for seed in 0..4 {
                let names: Vec<String> = (0..liars).map(|node: u64| node.to_string()).collect();
                let names = names.join(", ");
                let adversaries =
                    format!("adversaries:\n  - {behaviour}: {{ nodes: [{names}], collude: true }}");
                let lines = ["batch: { max: 5, wait: 5ms }", load, &adversaries];
                let scenario = scenario(&yaml(nodes, "iraft", "24s", &lines), seed);
                let outcome = outcome(&scenario, ONE_THREAD, None);
                let what = format!("{nodes} nodes, {liars} {behaviour}, seed {seed}");
                let verdict = &outcome.verdict;
                let words = (verdict.safety, verdict.liveness);
                let seen = &verdict.violations;
                assert_eq!(words, (Word::Holds, Word::Holds), "{what}: {seen:?}");
                assert_eq!(outcome.summary.convicted_wrongly, 0, "{what}");
            }
        }
    }
}

/// What was decided, by whom and when.
#[derive(Default, PartialEq, Debug)]
struct Decided(Vec<(Time, NodeId, Digest)>);

impl Observer for Decided {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        if let Event::Decided { block } = event {
            self.0.push((now, node, block.digest));
        }
    }
}

#[test]
fn real_signatures_change_nothing_but_the_work() {
    let load = "workload: { rate: 100/s, patients: 30, doctors: 3, retry: 300ms }";
    for profile in ["paper", "hardened", "sync"] {
        let config = format!("{{ iraft: {{ profile: {profile}, delta: 20ms }} }}");
        let liars = "adversaries:\n  - equivocate: { nodes: [0, 1], during: [600ms] }";
        let text = yaml(7, &config, "2s", &[FREE, load, liars]);
        let decided = [Crypto::Modelled, Crypto::Ed25519].map(|crypto| {
            let mut scenario = scenario(&text, 9);
            scenario.crypto = crypto;
            let mut decided = Decided::default();
            let outcome = outcome(&scenario, ONE_THREAD, Some(&mut decided));
            assert_eq!(outcome.summary.convicted_wrongly, 0);
            decided
        });
        assert!(decided[0].0.len() > 20);
        assert_eq!(decided[0], decided[1], "{profile}");
    }
}

#[test]
fn whoever_believes_in_terms_without_proof_promises_nothing_beside_a_liar_who_invents_them() {
    let promised = |config: &str, during: &str| {
        let liar = format!("adversaries: [{{ inflate: {{ nodes: [3], by: 9{during} }} }}]");
        let lines = ["workload: { rate: 4/s }", FREE, &constant("7ms"), &liar];
        let alone = format!("{{ iraft: {{ {config} }} }}");
        let alone = scenario(&yaml(4, &alone, "9s", &lines), 3);
        let layers = format!("{{ layers: {{ edge_protocol: iraft, iraft: {{ {config} }} }} }}");
        let layers = scenario(&yaml(18, &layers, "9s", &lines), 3);
        let promised = (Entry::of::<Iraft>().outlook)(&alone).recoverable;
        // What a network cannot promise, nobody can who needs it.
        let with_layers = (Entry::of::<Layers>().outlook)(&layers).recoverable;
        assert_eq!(promised, with_layers, "{config}");
        promised
    };
    for (config, believes) in [
        ("profile: hardened", false),
        ("profile: hardened, dead_proof: false", true),
        ("profile: hardened, election_proof: false", true),
    ] {
        assert_eq!(promised(config, ""), !believes, "{config}");
        assert!(
            promised(config, ", during: [1s, 2s]"),
            "it passes: {config}"
        );
    }
}
