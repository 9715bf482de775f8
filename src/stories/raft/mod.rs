//! The stories of RAFT, and RAFT in rough weather.

use super::{Chaos, Weather, check};
use crate::base::node::NodeId;
use crate::protocol::raft::{Config, Mutant, Raft};

fn plain() -> Config {
    Config::default()
}

fn broken(mutant: Mutant) -> Config {
    Config {
        mutant: Some(mutant),
        ..plain()
    }
}

#[test]
fn elects() {
    check::<Raft>(plain(), 3, "raft/elects.txt");
}

#[test]
fn decides() {
    check::<Raft>(plain(), 3, "raft/decides.txt");
}

#[test]
fn no_schedule_forks_and_every_one_heals() {
    for seed in 0..300 {
        let n = 3 + (seed % 3) as usize;
        Chaos::rough(n, seed).survive::<Raft>(plain());
    }
}

/// The first seed whose schedule shows that something is broken.
fn first_caught(config: &Config, n: usize, weather: Weather, seeds: u64) -> Option<u64> {
    (0..seeds).find(|&seed| {
        let chaos = Chaos {
            weather,
            ..Chaos::rough(n, seed)
        };
        chaos.play::<Raft>(config.clone()).0.is_some()
    })
}

#[test]
fn probe_mutants() {
    for mutant in [
        Mutant::CommitQuorumLow,
        Mutant::ElectQuorumLow,
        Mutant::VotePersistLate,
        Mutant::CommitOldTerm,
        Mutant::NoUpToDate,
        Mutant::NoPrevCheck,
        Mutant::DoubleVote,
        Mutant::TermNotPersisted,
    ] {
        for n in [3, 4, 5] {
            let t = std::time::Instant::now();
            let c: Vec<_> = (0..600)
                .filter(|&seed| {
                    Chaos::rough(n, seed)
                        .play::<Raft>(broken(mutant))
                        .0
                        .is_some()
                })
                .collect();
            println!(
                "{mutant:?} {n} {} {:?} {:?}",
                c.len(),
                c.first(),
                t.elapsed()
            );
        }
    }
}
