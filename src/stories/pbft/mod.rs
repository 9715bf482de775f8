//! The stories of PBFT, and PBFT in rough weather among liars.

use super::stage::{Post, Volume};
use super::{AT_ONCE, Chaos, Stage, Weather};
use crate::base::node::NodeId;
use crate::base::random::{Random, Stream};
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

/// Liars who conspire: they tell one half of the honest nodes the truth and the other half the
/// opposite, while chance decides what arrives, who is cut off and who is impatient.
struct Conspiracy {
    n: usize,
    liars: usize,
    seed: u64,
}

impl Conspiracy {
    const STEPS: usize = 1200;

    /// Plays; what went wrong first, if anything did.
    fn play(&self, config: &Config) -> Option<String> {
        let mut random = Random::new(self.seed, Stream::Test);
        let mut stage: Stage<Pbft> = Stage::seeded(config.clone(), self.n, AT_ONCE, self.seed);
        stage.set_volume(Volume::Silent);
        let mut cut = NodeId::at(self.n);
        let mut patience = 0_u32;
        for _ in 0..Self::STEPS {
            let mut before = stage.pending();
            match random.below(400) {
                0 => {
                    // Whoever was cut off finds its letters; often somebody else is now.
                    cut = NodeId::at(random.below(self.n as u64 + 1) as usize);
                    patience = 60;
                }
                1 => {
                    let node = NodeId::at(random.below(self.n as u64) as usize);
                    if stage.is_up(node) {
                        stage.crash(node);
                    }
                    before = stage.pending();
                    stage.restart(node, false);
                }
                2..=4 => fire_any(&mut stage, &mut random),
                5..=14 if patience > 0 => fire_any(&mut stage, &mut random),
                15..=19 => submit(&mut stage, &mut random),
                draw if before > 0 => {
                    let delivered = deliver(&mut stage, &mut random, cut, draw % 4 == 0);
                    before -= usize::from(delivered);
                }
                _ => fire_any(&mut stage, &mut random),
            }
            patience = patience.saturating_sub(1);
            self.bend(&mut stage, before);
            if let Some(violation) = stage.violation() {
                return Some(violation.to_owned());
            }
        }
        None
    }

    /// Turns what a liar has just sent to a node that is to be fooled.
    fn bend(&self, stage: &mut Stage<Pbft>, before: usize) {
        let fooled = |node: NodeId| node.index() >= self.liars + (self.n - self.liars) / 2;
        let mut place = before;
        for _ in before..stage.pending() {
            let liar = stage.sender_at(place).index() < self.liars;
            if liar && fooled(stage.receiver_at(place)) {
                stage.post_at(Post::Lie, place);
            } else {
                place += 1;
            }
        }
    }
}

fn submit(stage: &mut Stage<Pbft>, random: &mut Random) {
    let first = random.below(stage.n() as u64) as usize;
    stage.submit(NodeId::at(first));
}

fn fire_any(stage: &mut Stage<Pbft>, random: &mut Random) {
    let node = NodeId::at(random.below(stage.n() as u64) as usize);
    let timers = stage.timers(node);
    if let Some((timer, _)) = timers.first() {
        stage.fire(node, *timer);
    }
}

/// Delivers one of the oldest messages, or any; what goes to or from the node that is cut off
/// waits. Whether anything was.
fn deliver(stage: &mut Stage<Pbft>, random: &mut Random, cut: NodeId, any: bool) -> bool {
    let pending = stage.pending() as u64;
    let among = if any { pending } else { pending.min(3) };
    let mut place = random.below(among) as usize;
    while place < stage.pending() {
        if stage.sender_at(place) != cut && stage.receiver_at(place) != cut {
            stage.post_at(Post::Deliver, place);
            return true;
        }
        place += 1;
    }
    false
}

/// The first of so many seeds that shows a fork.
fn fork(config: &Config, n: usize, liars: usize, seeds: u64) -> Option<u64> {
    (0..seeds).find(|&seed| {
        let conspiracy = Conspiracy { n, liars, seed };
        conspiracy.play(config).is_some()
    })
}

#[test]
fn f_conspirators_never_fork_the_chain() {
    for n in [4, 5, 6, 7] {
        assert_eq!(fork(&near(), n, (n - 1) / 3, 300), None, "n = {n}");
    }
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
    for n in [4, 7] {
        let found = fork(&near(), n, (n - 1) / 3 + 1, 1000);
        eprintln!("f+1 of {n}: {found:?}");
    }
}
