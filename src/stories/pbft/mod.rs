//! The stories of PBFT, and PBFT in rough weather among liars.

use super::{Chaos, Weather};
use crate::base::node::NodeId;
use crate::protocol::pbft::{Config, Mutant, Pbft};

/// Checkpoints so close together that a story reaches them.
fn near() -> Config {
    Config {
        checkpoint_interval: 3,
        window: 6,
        pipeline: 4,
        ..Config::default()
    }
}

fn broken(mutant: Mutant) -> Config {
    Config {
        mutant: Some(mutant),
        ..near()
    }
}

const ROUGH: Weather = Weather {
    deliver: 300,
    overtake: 25,
    lose: 6,
    duplicate: 4,
    lie: 40,
    fire: 6,
    fire_any: 2,
    submit: 5,
    crash: 1,
    restart: 4,
};

/// A schedule among `liars` dishonest members, who lead first.
fn chaos(n: usize, liars: usize, seed: u64) -> Chaos {
    Chaos {
        steps: 1500,
        weather: ROUGH,
        liars: (0..liars).map(NodeId::at).collect(),
        ..Chaos::rough(n, seed)
    }
}

#[test]
fn honest_replicas_survive_rough_weather() {
    for seed in 0..150 {
        chaos(1 + (seed % 7) as usize, 0, seed).survive::<Pbft>(near());
    }
}

#[test]
fn replicas_survive_rough_weather_among_liars() {
    for seed in 0..200 {
        let n = 4 + (seed % 4) as usize;
        chaos(n, (n - 1) / 3, seed).survive::<Pbft>(near());
    }
}

/// The first of so many seeds that shows a fork.
fn fork(config: &Config, n: usize, liars: usize, seeds: u64) -> Option<u64> {
    (0..seeds).find(|seed| {
        let (violation, _) = chaos(n, liars, *seed).play::<Pbft>(config.clone());
        violation.is_some()
    })
}

#[test]
fn chaos_finds_what_missing_guards_let_through() {
    for mutant in [
        Mutant::SkipPrepare,
        Mutant::NewViewIgnoresPrepared,
        Mutant::CommitQuorumLow,
        Mutant::PrepareQuorumLow,
        Mutant::AcceptSecondPrePrepare,
        Mutant::NoNewViewVerify,
        Mutant::KeepVotingAfterViewChange,
        Mutant::PersistLate,
    ] {
        let found = fork(&broken(mutant), 4, 1, 1000);
        eprintln!("{mutant:?}: {found:?}");
    }
    for n in [5, 6] {
        let found = fork(&broken(Mutant::QuorumTwoFPlusOne), n, 1, 1000);
        eprintln!("2f+1 at {n}: {found:?}");
    }
    eprintln!("two liars of four: {:?}", fork(&near(), 4, 2, 1000));
}
