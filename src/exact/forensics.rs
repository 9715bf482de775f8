//! Who is guilty of a fork: as many as the theory says, and nobody else.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{ONE_THREAD, outcome, scenario, yaml};
use crate::base::node::NodeId;
use crate::base::time::{Span, Time};
use crate::catalog;
use crate::observe::accountability::Accountability;
use crate::observe::checks::{Property, Violation};
use crate::observe::forensics::Proof;

/// What a run leaves to prove: whether it forked, and the proofs. Nodes of parts fork if those of
/// one part decide different blocks.
fn investigated(text: &str, seed: u64) -> (bool, Vec<Proof>) {
    let scenario = scenario(text, seed);
    let entry = catalog::protocol(&scenario.protocol.name).expect("it is known");
    let mut forensics = entry.forensics(&scenario);
    let verdict = outcome(&scenario, ONE_THREAD, Some(&mut forensics)).verdict;
    let forked = forensics.fork().is_some();
    let apart = |v: &Violation| v.property == Property::Agreement;
    let apart = verdict.violations.iter().any(apart);
    assert!(apart || !forked, "{text}");
    (forked, forensics.proofs())
}

fn culprits(proofs: &[Proof]) -> BTreeSet<NodeId> {
    proofs.iter().map(Proof::culprit).collect()
}

/// These nodes do this from the first moment.
fn lied_to(nodes: usize, protocol: &str, liars: Range<usize>, act: &str) -> String {
    let names: Vec<String> = liars.map(|node| node.to_string()).collect();
    let (behaviour, more) = act.split_once(' ').unwrap_or((act, ""));
    let adversaries = format!(
        "adversaries:\n  - {behaviour}: {{ nodes: [{}], collude: true{more} }}",
        names.join(", ")
    );
    let load = "workload: { rate: 20/s, patients: 8, doctors: 2, retry: 300ms }";
    let lines = ["batch: { max: 5, wait: 5ms }", load, &adversaries];
    yaml(nodes, protocol, "4s", &lines)
}

const TANGAROA: &str = include_str!("../../scenarios/known/iraft-tangaroa-fork.yaml");
const CAPTURED: &str = include_str!("../../scenarios/known/krbft-two-captured-leaders.yaml");
const VOICES: &str = include_str!("../../scenarios/known/krbft-two-leaders-with-voices.yaml");
const PBFT: &str = "{ pbft: { view_timeout: 50ms } }";

/// How many runs of twelve fork, and how many votes of the second phase were kept back. In all,
/// more than `faulty` are proven guilty if there is a fork, and nobody who is honest.
fn forks_of_pbft(text: &str, faulty: usize, liars: &Range<usize>) -> (usize, usize) {
    let (mut forks, mut kept_back) = (0, 0);
    for seed in 0..12 {
        let (forked, proofs) = investigated(text, seed);
        let guilty = culprits(&proofs);
        let what = format!("{text}\nseed {seed}");
        assert!(
            guilty.iter().all(|node| liars.contains(&node.index())),
            "{what}: {proofs:?}"
        );
        if forked {
            forks += 1;
            assert!(guilty.len() > faulty, "{what}: only {guilty:?}");
        }
        let keeps_back = |proof: &&Proof| matches!(proof, Proof::KeptBack(..));
        kept_back += proofs.iter().filter(keeps_back).count();
    }
    (forks, kept_back)
}

/// The theorem of the paper for PBFT: with more than f liars and no more than 2f, whenever two
/// honest nodes decide differently more than f are proven guilty.
#[test]
fn whenever_pbft_forks_in_a_view_more_than_f_are_proven_guilty() {
    for (nodes, faulty) in [(4, 1), (7, 2)] {
        let mut forks = 0;
        for liars in faulty + 1..=2 * faulty {
            for act in ["equivocate", "twins , targets: [2]", "twins , targets: [3]"] {
                let text = lied_to(nodes, PBFT, 0..liars, act);
                forks += forks_of_pbft(&text, faulty, &(0..liars)).0;
            }
        }
        println!("{nodes} nodes: {forks} forks");
        assert!(forks > 10, "{nodes} nodes: {forks} forks");
    }
}

/// The first leader is honest and decides with one face of the liars; the last node misses him, and
/// decides in a later view with the other, which has never heard of his block.
#[test]
fn whenever_pbft_forks_across_views_more_than_f_are_proven_guilty() {
    for (nodes, faulty, last, others) in [(4, 1, 3, "0"), (7, 2, 6, "0, 5")] {
        let liars = 1..1 + 2 * faulty;
        let text = lied_to(
            nodes,
            PBFT,
            liars.clone(),
            &format!("twins , targets: [{last}]"),
        );
        // A client that wants all answers asks everybody again: so the cut one learns of it.
        let text = text.replace("retry", "replies: all, retry");
        let cut = format!("faults:\n  - partition: {{ groups: [[{others}], [{last}]] }}");
        let (forks, kept_back) = forks_of_pbft(&format!("{text}\n{cut}"), faulty, &liars);
        println!("{nodes} nodes: {forks} forks, {kept_back} votes kept back");
        assert!(forks > 5, "{nodes} nodes: {forks} forks");
        assert!(
            kept_back > faulty,
            "{nodes} nodes: {kept_back} votes kept back"
        );
    }
}

/// The same of the upper group of MBFT, and of a network of the layers: both agree by PBFT.
#[test]
fn whenever_a_part_of_the_nodes_forks_more_than_f_of_them_are_proven_guilty() {
    let layers = "{ layers: { edges: 2, consensus: 4, index: 1, hospitals: 1, \
                  pbft: { view_timeout: 50ms } } }";
    let mbft = "{ mbft: { upper_size: 4 } }";
    for (nodes, protocol) in [(8, mbft), (14, layers)] {
        let mut forks = 0;
        for act in ["equivocate", "twins , targets: [2]", "twins , targets: [3]"] {
            let text = lied_to(nodes, protocol, 0..2, act);
            forks += forks_of_pbft(&text, 1, &(0..2)).0;
        }
        println!("{protocol}: {forks} forks");
        assert!(forks > 5, "{protocol}: {forks} forks");
    }
}

/// Who signs nothing can deny everything.
#[test]
fn whoever_lies_in_raft_is_never_proven_guilty() {
    let seeds = 0..20;
    let runs = seeds.map(|seed| investigated(&lied_to(3, "raft", 0..1, "equivocate"), seed));
    let proofs: usize = runs.map(|(_, proofs)| proofs.len()).sum();
    assert_eq!(proofs, 0);
}

/// Where two logs of one term are told apart, so are the leader who told both and his accomplice.
#[test]
fn whoever_lies_in_tangaroa_is_proven_guilty() {
    let (_, proofs) = investigated(TANGAROA, 1);
    let guilty: Vec<usize> = culprits(&proofs).iter().map(|node| node.index()).collect();
    assert_eq!(guilty, [3, 6], "{proofs:?}");
}

/// Two leaders of four that nobody in their groups has to agree with vote for two things; where
/// groups lend their voices there is no fork, and they are convicted all the same.
#[test]
fn whoever_speaks_with_two_tongues_for_a_group_is_proven_guilty() {
    for (text, forks) in [(CAPTURED, true), (VOICES, false)] {
        let (forked, proofs) = investigated(text, 1);
        let guilty: Vec<usize> = culprits(&proofs).iter().map(|node| node.index()).collect();
        assert_eq!((forked, guilty), (forks, vec![1, 6]), "{proofs:?}");
    }
}

/// Rough weather and liars within the bound: no honest node ever signs what would convict it.
#[test]
fn whoever_is_honest_is_never_proven_guilty() {
    let weather = "faults:\n  - loss: { rate: 20%, during: [0s, 2s] }\n  \
                   - crash: { nodes: [2], during: [700ms, 1500ms] }";
    for (protocol, act) in [
        (PBFT, "equivocate"),
        (PBFT, "twins"),
        ("iraft", "equivocate"),
        ("{ iraft: { profile: sync } }", "double-talk"),
        ("{ iraft: { profile: paper } }", "garble"),
        ("krbft", "equivocate"),
        ("{ krbft: { group_certified_votes: false } }", "double-talk"),
        ("{ krbft: { profile: paper } }", "equivocate"),
        ("mbft", "equivocate"),
        ("mbft", "double-talk"),
        (
            "{ layers: { edges: 1, remote: 0, consensus: 4, index: 1, hospitals: 1 } }",
            "equivocate",
        ),
    ] {
        let mut convicted = 0;
        let nodes = match protocol {
            of if of.contains("krbft") => 12,
            of if of.contains("mbft") || of.contains("layers") => 8,
            _ => 4,
        };
        for seed in 0..10 {
            let text = format!("{}\n{weather}", lied_to(nodes, protocol, 0..1, act));
            let (_, proofs) = investigated(&text, seed);
            let guilty = culprits(&proofs);
            assert!(
                guilty.iter().all(|node| node.index() < 1),
                "{protocol} {act} {seed}: {proofs:?}"
            );
            convicted += guilty.len();
        }
        println!("{protocol} {act}: {convicted} of 10");
    }
}

/// In ten runs of rough weather with a liar: how often an honest node held two statements of his
/// that contradict each other, and how often it did not name him as soon as that was on disk.
fn proofs_held(nodes: usize, protocol: &str, act: &str) -> (usize, usize) {
    let weather = "faults:\n  - loss: { rate: 20%, during: [0s, 2s] }\n  \
                   - crash: { nodes: [2], during: [700ms, 1500ms] }";
    let (mut proven, mut omitted) = (0, 0);
    for seed in 0..10 {
        let text = format!("{}\n{weather}", lied_to(nodes, protocol, 0..1, act));
        let mut held = Accountability::default();
        outcome(&scenario(&text, seed), ONE_THREAD, Some(&mut held));
        proven += held.proven();
        let end = Time::ZERO + Span::from_secs(4);
        omitted += held.omissions(end, Span::from_millis(1)).len();
    }
    (proven, omitted)
}

/// What its authors say of the improved RAFT: whoever can prove that somebody lies says so.
#[test]
fn whoever_holds_a_proof_in_the_improved_raft_convicts_at_once() {
    for nodes in [4, 7] {
        for act in ["equivocate", "double-talk"] {
            let (proven, omitted) = proofs_held(nodes, "iraft", act);
            println!("{nodes} nodes, {act}: {proven} proofs held, {omitted} not used");
            assert!(proven > 10, "{nodes} nodes, {act}: {proven}");
            assert_eq!(omitted, 0, "{nodes} nodes, {act}, of {proven}");
        }
    }
    let blind = "{ iraft: { mutant: never-convict } }";
    let (proven, omitted) = proofs_held(4, blind, "double-talk");
    assert!(omitted > 10, "{omitted} of {proven}");
}
