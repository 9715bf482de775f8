//! The stories of K-RBFT, and K-RBFT in rough weather among liars.

use super::{AT_ONCE, Chaos, Conspiracy, Stage, Weather};
use crate::base::node::NodeId;
use crate::protocol::krbft::grouping::Grouping;
use crate::protocol::krbft::{Config, Krbft, Mutant, Profile};

/// Groups in the order of the nodes: n0 to n3, n4 to n7, and so on.
fn of(profile: Profile) -> Config {
    Config {
        profile,
        grouping: Grouping::Static,
        ..Config::default()
    }
}

fn paper() -> Config {
    of(Profile::Paper)
}

fn hardened() -> Config {
    of(Profile::Hardened)
}

/// Rough weather in which liars lie a lot.
const LYING: Weather = Weather {
    deliver: 300,
    overtake: 25,
    lose: 4,
    duplicate: 4,
    lie: 40,
    fire: 6,
    fire_any: 1,
    submit: 5,
    crash: 0,
    restart: 4,
};

fn among(liars: &[usize], n: usize, seed: u64) -> Chaos {
    Chaos {
        steps: 6_000,
        weather: LYING,
        liars: liars.iter().map(|node| NodeId::at(*node)).collect(),
        ..Chaos::rough(n, seed)
    }
}

/// Elects the first member of every group of m.
fn settled(config: Config, k: usize, m: usize) -> Stage<Krbft> {
    let mut stage: Stage<Krbft> = Stage::new(config, k * m, AT_ONCE);
    for group in 0..k {
        stage.fire_named(NodeId::at(group * m), "Group(Election");
        stage.settle(&[]);
    }
    stage
}

#[test]
fn everybody_executes_what_the_leaders_decide() {
    for config in [paper(), hardened()] {
        let mut stage = settled(config, 4, 4);
        for _ in 0..3 {
            stage.submit(NodeId(0));
            stage.settle(&[]);
        }
        for node in 0..16 {
            assert_eq!(stage.ledger(NodeId(node)).height(), 3, "n{node}");
        }
        assert_eq!(stage.violation(), None);
    }
}

#[test]
fn a_crashed_leader_is_replaced_and_its_group_goes_on_from_what_it_said() {
    let mut stage = settled(hardened(), 4, 4);
    stage.submit(NodeId(0));
    stage.settle(&[]);
    stage.crash(NodeId(4));
    stage.fire_named(NodeId(5), "Group(Election");
    stage.settle(&[]);
    stage.submit(NodeId(0));
    stage.settle(&[]);
    for node in (0..16).filter(|node| *node != 4) {
        assert_eq!(stage.ledger(NodeId(node)).height(), 2, "n{node}");
    }
    assert_eq!(stage.violation(), None);
}

#[test]
fn no_schedule_forks_and_every_one_heals() {
    for seed in 0..40 {
        Chaos::rough(12, seed).survive::<Krbft>(hardened());
        Chaos::rough(16, seed).survive::<Krbft>(hardened());
    }
}

#[test]
fn liars_in_three_of_four_groups_fork_nothing_certified() {
    for seed in 0..30 {
        let liars = [[0, 4, 8], [0, 1, 5], [1, 6, 11]][(seed % 3) as usize];
        let stage = among(&liars, 16, seed).endure::<Krbft>(hardened());
        assert_eq!(stage.violation(), None, "seed {seed}");
    }
}

fn broken(mutant: Mutant) -> Config {
    Config {
        mutant: Some(mutant),
        ..hardened()
    }
}

/// The first schedule among liars that a mutant does not survive.
fn caught(config: &Config) -> Option<String> {
    (0..100).find_map(|seed| {
        let (violation, _) = among(&[0, 4, 8], 16, seed).play::<Krbft>(config.clone());
        violation
    })
}

#[test]
fn members_that_trust_their_leader_are_forked() {
    assert!(caught(&broken(Mutant::FollowersTrustLeader)).is_some());
}

#[test]
fn lone_voices_are_caught() {
    assert!(caught(&broken(Mutant::LoneVoice)).is_some());
}

#[test]
fn conspirators_within_the_bound_fork_nothing() {
    for seed in 0..20 {
        let conspiracy = Conspiracy::<Krbft>::new(hardened(), 16, 3, seed);
        assert_eq!(conspiracy.play(), None, "seed {seed}");
    }
}
