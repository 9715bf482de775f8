//! Groups that are dealt anew while everybody goes on.

use super::super::stage::Post;
use super::super::{Chaos, Stage};
use super::{among, hardened, of};
use crate::base::node::{Committee, NodeId};
use crate::base::time::Span;
use crate::protocol::krbft::grouping::{Grouping, groups};
use crate::protocol::krbft::{Config, Krbft, Mutant, Profile};
use crate::stories::{AT_ONCE, Weather};

/// New groups after so many blocks.
fn every(blocks: u64, grouping: Grouping) -> Config {
    Config {
        regroup_every_blocks: blocks,
        grouping,
        ..hardened()
    }
}

/// The four groups of an epoch.
fn dealt(grouping: Grouping, n: usize, epoch: u64) -> Vec<Committee> {
    groups(grouping, &Committee::first(n), 4, epoch, |_, _| Span::ZERO)
}

/// Has every group of an epoch elect somebody who is there.
fn elect(stage: &mut Stage<Krbft>, grouping: Grouping, epoch: u64) {
    for group in dealt(grouping, stage.n(), epoch) {
        let there = group.members().iter().find(|node| stage.is_up(**node));
        stage.fire_named(*there.expect("somebody is there"), "Group(Election");
        stage.settle(&[]);
    }
}

#[test]
fn everybody_regroups_and_goes_on() {
    let paper = Config {
        carry_commit_cert: Some(true),
        ..of(Profile::Paper)
    };
    for (grouping, config) in [
        (Grouping::ConsistentHash, hardened()),
        (Grouping::Kademlia, hardened()),
        (Grouping::ConsistentHash, paper),
    ] {
        let config = Config {
            regroup_every_blocks: 2,
            grouping,
            supervision: true,
            ..config
        };
        let mut stage: Stage<Krbft> = Stage::new(config, 16, AT_ONCE);
        for epoch in 0..4 {
            elect(&mut stage, grouping, epoch);
            for _ in 0..2 {
                stage.submit(NodeId(0));
                stage.settle(&[]);
            }
            for node in 0..16 {
                let height = stage.ledger(NodeId(node)).height();
                assert_eq!(height, 2 * (epoch + 1), "n{node}, {grouping:?}");
            }
        }
        assert_ne!(dealt(grouping, 16, 0), dealt(grouping, 16, 1));
        assert_eq!(stage.violation(), None);
    }
}

#[test]
fn who_was_away_for_two_epochs_follows_the_certificates_through_both() {
    let grouping = Grouping::ConsistentHash;
    let mut stage: Stage<Krbft> = Stage::new(every(2, grouping), 16, AT_ONCE);
    elect(&mut stage, grouping, 0);
    let leaders = dealt(grouping, 16, 0);
    let away = leaders[1].members()[2];
    stage.submit(NodeId(0));
    stage.settle(&[]);
    stage.crash(away);
    stage.submit(NodeId(0));
    stage.settle(&[]);
    for epoch in 1..3 {
        elect(&mut stage, grouping, epoch);
        for _ in 0..2 {
            stage.submit(NodeId(0));
            stage.settle(&[]);
        }
    }
    assert!(stage.ledger(away).height() < 2);
    stage.restart(away, false);
    elect(&mut stage, grouping, 3);
    stage.settle(&[]);
    assert_eq!(
        stage.ledger(away).height(),
        6,
        "it has heard of the new leaders"
    );
    stage.submit(away);
    stage.settle(&[]);
    assert_eq!(stage.ledger(away).height(), 7);
    assert_eq!(stage.violation(), None);
}

#[test]
fn a_leader_that_misses_the_last_block_of_its_epoch_is_told() {
    let grouping = Grouping::ConsistentHash;
    let mut stage: Stage<Krbft> = Stage::new(every(1, grouping), 16, AT_ONCE);
    elect(&mut stage, grouping, 0);
    let late = dealt(grouping, 16, 0)[3].clone();
    let leader = late.members()[0];
    stage.submit(dealt(grouping, 16, 0)[0].members()[0]);
    let others: Vec<NodeId> = (0..16).map(NodeId).filter(|n| *n != leader).collect();
    stage.settle(&others);
    while stage.pending() > 0 {
        stage.post_at(Post::Drop, 0);
    }
    assert_eq!(stage.ledger(leader).height(), 0, "it hears nothing");
    stage.fire_named(leader, "Council");
    stage.settle(&[]);
    for node in 0..16 {
        let node = NodeId(node);
        if !late.contains(node) || node == leader {
            assert_eq!(stage.ledger(node).height(), 1, "{node}");
        }
    }
    for epoch in 1..3 {
        elect(&mut stage, grouping, epoch);
        stage.submit(NodeId(0));
        stage.settle(&[]);
    }
    elect(&mut stage, grouping, 3);
    for node in 0..16 {
        assert_eq!(stage.ledger(NodeId(node)).height(), 3, "n{node}");
    }
    assert_eq!(stage.violation(), None);
}

#[test]
fn no_schedule_forks_groups_that_change() {
    for seed in 0..40 {
        let grouping = [Grouping::ConsistentHash, Grouping::Kademlia][(seed % 2) as usize];
        let blocks = 1 + seed % 4;
        Chaos::rough(12, seed).survive::<Krbft>(every(blocks, grouping));
        Chaos::rough(16, seed).survive::<Krbft>(every(blocks, grouping));
    }
}

/// Long bad weather, in which there is time for many epochs.
fn long(seed: u64) -> Chaos {
    Chaos {
        steps: 6_000,
        weather: Weather {
            deliver: 300,
            ..Weather::ROUGH
        },
        ..Chaos::rough(12, seed)
    }
}

#[test]
fn epochs_begin_in_bad_weather_and_everybody_comes_along() {
    let mut epochs = 0;
    for seed in 0..40 {
        let config = every(2 + seed % 3, Grouping::ConsistentHash);
        let (violation, stage) = long(seed).play::<Krbft>(config.clone());
        assert_eq!(violation, None, "seed {seed}");
        let heights = (0..12).map(|node| stage.ledger(NodeId(node)).height());
        epochs += heights.max().unwrap_or(0) / config.regroup_every_blocks;
        long(seed).survive::<Krbft>(config);
    }
    assert!(epochs > 10, "{epochs} epochs");
}

#[test]
fn liars_fork_nothing_across_epochs() {
    for seed in 0..20 {
        let liars = [[0, 4, 8], [0, 1, 5], [1, 6, 11]][(seed % 3) as usize];
        let config = every(2, Grouping::ConsistentHash);
        let stage = among(&liars, 16, seed).endure::<Krbft>(config);
        assert_eq!(stage.violation(), None, "seed {seed}");
    }
}

#[test]
fn a_committee_that_goes_on_behind_its_epoch_forks() {
    let config = Config {
        mutant: Some(Mutant::NoLastPlace),
        ..every(2, Grouping::ConsistentHash)
    };
    let forks = (0..200).any(|seed| long(seed).play::<Krbft>(config.clone()).0.is_some());
    assert!(forks);
}
