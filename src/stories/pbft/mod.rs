//! The stories of PBFT, and PBFT in rough weather among liars.

use std::collections::BTreeMap;

use super::stage::{Post, Volume};
use super::{AT_ONCE, Chaos, Stage, Weather, check};
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

#[test]
fn decides() {
    check::<Pbft>(near(), 4, "pbft/decides.txt");
}

#[test]
fn decides_without_one() {
    check::<Pbft>(near(), 4, "pbft/decides-without-one.txt");
}

#[test]
fn leader_silent() {
    check::<Pbft>(near(), 4, "pbft/leader-silent.txt");
}

#[test]
fn equivocating_leader() {
    check::<Pbft>(near(), 4, "pbft/equivocating-leader.txt");
}

#[test]
fn preserves_decided() {
    check::<Pbft>(near(), 4, "pbft/preserves-decided.txt");
}

#[test]
fn overtaken_new_view() {
    check::<Pbft>(near(), 4, "pbft/overtaken-new-view.txt");
}

#[test]
fn state_transfer() {
    check::<Pbft>(near(), 4, "pbft/state-transfer.txt");
}

#[test]
fn lagging_by_checkpoint() {
    check::<Pbft>(near(), 4, "pbft/lagging-by-checkpoint.txt");
}

#[test]
fn returns_from_a_crash() {
    check::<Pbft>(near(), 4, "pbft/returns-from-a-crash.txt");
}

#[test]
fn crash_while_writing() {
    check::<Pbft>(near(), 4, "pbft/crash-while-writing.txt");
}

#[test]
fn forged_new_view() {
    check::<Pbft>(near(), 4, "pbft/forged-new-view.txt");
}

#[test]
fn f_silent() {
    check::<Pbft>(near(), 7, "pbft/f-silent.txt");
}

#[test]
fn one_lie_too_many() {
    check::<Pbft>(near(), 4, "pbft/one-lie-too-many.txt");
}

#[test]
fn small_quorum() {
    check::<Pbft>(near(), 5, "pbft/small-quorum.txt");
}

#[test]
fn join() {
    check::<Pbft>(near(), 4, "pbft/join.txt");
}

#[test]
fn gap() {
    check::<Pbft>(near(), 4, "pbft/gap.txt");
}

#[test]
fn leaders_in_a_row() {
    check::<Pbft>(near(), 7, "pbft/leaders-in-a-row.txt");
}

#[test]
fn left_view() {
    check::<Pbft>(near(), 4, "pbft/left-view.txt");
}

#[test]
fn small_quorum_broken() {
    let config = broken(Mutant::QuorumTwoFPlusOne);
    check::<Pbft>(config, 5, "pbft/small-quorum-broken.txt");
}

#[test]
fn join_broken() {
    check::<Pbft>(broken(Mutant::NoJoinRule), 4, "pbft/join-broken.txt");
}

/// How many messages of each kind one batch takes, in the order of the alphabet.
fn messages_of_a_batch(n: usize, batches: usize) -> Vec<(String, usize)> {
    let mut stage: Stage<Pbft> = Stage::new(near(), n, AT_ONCE);
    for _ in 1..batches {
        stage.submit(NodeId(0));
        stage.settle(&[]);
    }
    stage.set_volume(Volume::Plain);
    stage.take_output();
    stage.submit(NodeId(0));
    stage.settle(&[]);
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for line in stage
        .take_output()
        .lines()
        .filter(|line| line.contains("->"))
    {
        let kind = line.rsplit(' ').next().unwrap_or_default();
        *count.entry(kind.to_owned()).or_default() += 1;
    }
    count.into_iter().collect()
}

#[test]
fn a_batch_takes_two_n_times_n_minus_one_messages() {
    for n in 2..=20 {
        let mut expected = vec![
            ("commit".to_owned(), n * (n - 1)),
            ("pre-prepare".to_owned(), n - 1),
            ("prepare".to_owned(), (n - 1) * (n - 1)),
        ];
        assert_eq!(messages_of_a_batch(n, 1), expected);
        assert_eq!(messages_of_a_batch(n, 2), expected);
        expected.insert(0, ("checkpoint".to_owned(), n * (n - 1)));
        assert_eq!(messages_of_a_batch(n, 3), expected);
    }
    assert_eq!(messages_of_a_batch(1, 1), []);
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

/// Liars who conspire: they tell some of the honest nodes the truth and the others the opposite,
/// or even both, while chance decides what arrives, who is cut off and who is impatient.
struct Conspiracy {
    liars: Vec<bool>,
    fooled: Vec<bool>,
    random: Random,
    stage: Stage<Pbft>,
    /// Nothing reaches or leaves this node.
    cut: NodeId,
    /// For so long timers fire often.
    unrest: u32,
}

impl Conspiracy {
    const STEPS: usize = 1200;

    fn new(config: &Config, n: usize, liars: usize, seed: u64) -> Self {
        let mut random = Random::new(seed, Stream::Test);
        let first = random.below(n as u64) as usize;
        let everybody = random.below(3) == 0;
        let mut stage = Stage::seeded(config.clone(), n, AT_ONCE, seed);
        stage.set_volume(Volume::Quiet);
        Self {
            liars: (0..n).map(|node| (node + n - first) % n < liars).collect(),
            fooled: (0..n).map(|_| everybody || random.below(2) == 0).collect(),
            random,
            stage,
            cut: NodeId::at(n),
            unrest: 0,
        }
    }

    /// Plays; what went wrong first, if anything did.
    fn play(mut self) -> Option<String> {
        for _ in 0..Self::STEPS {
            let before = self.act();
            self.bend(before);
            self.unrest = self.unrest.saturating_sub(1);
            let told = self.stage.take_output();
            if let Some(accusation) = self.slander(&told) {
                return Some(accusation);
            }
            if let Some(violation) = self.stage.violation() {
                return Some(violation.to_owned());
            }
        }
        None
    }

    /// An accusation of an honest node.
    fn slander(&self, told: &str) -> Option<String> {
        let slander = |line: &&str| {
            let culprit = line.split_once(" accuses n")?.1.split_once(':')?.0;
            (!self.liars[culprit.parse::<usize>().ok()?]).then(|| (*line).to_owned())
        };
        told.lines().find_map(|line| slander(&line))
    }

    fn any_node(&mut self) -> NodeId {
        NodeId::at(self.random.below(self.liars.len() as u64) as usize)
    }

    /// One thing happens; how many letters are left of those that were on their way.
    fn act(&mut self) -> usize {
        let before = self.stage.pending();
        let node = self.any_node();
        match self.random.below(400) {
            0 => {
                // Whoever was cut off gets its letters; often somebody else does not now.
                self.cut = NodeId::at(self.random.below(self.liars.len() as u64 + 1) as usize);
                self.unrest = 60;
                before
            }
            1 => self.stop(node),
            2..=4 => self.fire(node),
            5..=14 if self.unrest > 0 => self.fire(node),
            15..=19 => {
                if self.stage.is_up(node) {
                    self.stage.submit(node);
                }
                before
            }
            draw if before > 0 => before - usize::from(self.deliver(draw % 4 == 0)),
            _ => self.fire(node),
        }
    }

    /// A node returns, or stops: now, or when it writes next.
    fn stop(&mut self, node: NodeId) -> usize {
        let up = self.stage.is_up(node);
        if up && self.random.below(2) == 0 {
            self.stage.doom(node);
            return self.stage.pending();
        }
        if up {
            self.stage.crash(node);
        }
        let before = self.stage.pending();
        self.stage.restart(node, false);
        before
    }

    fn fire(&mut self, node: NodeId) -> usize {
        if !self.stage.is_up(node) {
            return self.stop(node);
        }
        let before = self.stage.pending();
        if let Some((timer, _)) = self.stage.timers(node).first() {
            self.stage.fire(node, *timer);
        }
        before
    }

    /// Delivers one of the oldest messages, or any; what goes to or from the node that is cut
    /// off waits. Whether anything was delivered.
    fn deliver(&mut self, any: bool) -> bool {
        let pending = self.stage.pending() as u64;
        let among = if any { pending } else { pending.min(3) };
        let mut places = self.random.below(among) as usize..self.stage.pending();
        let stage = &mut self.stage;
        let open = places.find(|&place| {
            stage.sender_at(place) != self.cut && stage.receiver_at(place) != self.cut
        });
        if let Some(place) = open {
            stage.post_at(Post::Deliver, place);
        }
        open.is_some()
    }

    /// Turns what a liar has just sent to a node that is to be fooled, sometimes only a copy.
    fn bend(&mut self, before: usize) {
        let mut place = before.min(self.stage.pending());
        let fresh = self.stage.pending() - place;
        for _ in 0..fresh {
            let liar = self.liars[self.stage.sender_at(place).index()];
            if !liar || !self.fooled[self.stage.receiver_at(place).index()] {
                place += 1;
            } else if self.random.below(8) == 0 {
                self.stage.post_at(Post::Duplicate, place);
                self.stage.post_at(Post::Lie, self.stage.pending() - 1);
            } else {
                self.stage.post_at(Post::Lie, place);
            }
        }
    }
}

/// The first of so many seeds that shows a fork or a slander.
fn fork(config: &Config, n: usize, liars: usize, seeds: u64) -> Option<u64> {
    (0..seeds).find(|&seed| {
        let violation = Conspiracy::new(config, n, liars, seed).play();
        violation.is_some()
    })
}

#[test]
fn f_conspirators_never_fork_the_chain() {
    for n in [4, 5, 6, 7] {
        assert_eq!(fork(&near(), n, (n - 1) / 3, 300), None, "n = {n}");
    }
}

#[test]
fn conspirators_find_every_missing_guard() {
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
        assert!(fork(&broken(mutant), 4, 1, 3000).is_some(), "{mutant:?}");
    }
}

#[test]
fn quorums_of_2f_plus_1_are_too_small_unless_n_is_3f_plus_1() {
    let config = broken(Mutant::QuorumTwoFPlusOne);
    for n in [5, 6] {
        assert!(fork(&config, n, 1, 200).is_some(), "n = {n}");
    }
    assert_eq!(fork(&config, 4, 1, 200), None);
}

#[test]
fn one_conspirator_too_many_forks_the_chain() {
    for n in [4, 7] {
        assert!(fork(&near(), n, (n - 1) / 3 + 1, 500).is_some(), "n = {n}");
    }
}
