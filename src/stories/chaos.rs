//! Chaos: a stage driven by chance. Messages arrive in any order, twice or never, timers fire when
//! they like, nodes crash between and during writes. Nothing may ever fork, and once the weather
//! clears everything pending is decided everywhere.

use super::stage::{AT_ONCE, Post, Stage, Volume};
use crate::base::node::NodeId;
use crate::base::random::{Random, Stream};
use crate::protocol::Protocol;

/// How often each thing happens, as weights.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// One of the oldest messages arrives, nearly in the order of sending.
    pub deliver: u64,
    /// Any message arrives.
    pub overtake: u64,
    /// A message is lost.
    pub lose: u64,
    /// A message will arrive twice.
    pub duplicate: u64,
    /// A message becomes its contradiction, if a liar sent it.
    pub lie: u64,
    /// The timer that is due first fires.
    pub fire: u64,
    /// Any timer fires.
    pub fire_any: u64,
    /// A client submits a transaction somewhere.
    pub submit: u64,
    /// A node crashes, or will in its next write.
    pub crash: u64,
    /// A crashed node returns.
    pub restart: u64,
}

impl Weather {
    /// Everything honest that can go wrong.
    pub const ROUGH: Self = Self {
        deliver: 60,
        overtake: 6,
        lose: 4,
        duplicate: 2,
        lie: 0,
        fire: 5,
        fire_any: 2,
        submit: 4,
        crash: 1,
        restart: 4,
    };

    fn weights(&self) -> [u64; 10] {
        [
            self.deliver,
            self.overtake,
            self.lose,
            self.duplicate,
            self.lie,
            self.fire,
            self.fire_any,
            self.submit,
            self.crash,
            self.restart,
        ]
    }
}

/// A random schedule.
#[derive(Clone, Debug)]
pub struct Chaos {
    /// Replicas.
    pub n: usize,
    /// Draws the schedule and the replicas' own streams.
    pub seed: u64,
    /// How many things happen.
    pub steps: usize,
    /// How often each.
    pub weather: Weather,
    /// Dishonest nodes; the others' messages are never bent.
    pub liars: Vec<NodeId>,
}

impl Chaos {
    /// A schedule in rough weather without liars.
    pub fn rough(n: usize, seed: u64) -> Self {
        Self {
            n,
            seed,
            steps: 400,
            weather: Weather::ROUGH,
            liars: Vec::new(),
        }
    }

    /// Plays the schedule; what went wrong first, if anything did, and the stage as it is then.
    pub fn play<P: Protocol>(&self, config: P::Config) -> (Option<String>, Stage<P>) {
        let mut stage: Stage<P> = Stage::seeded(config, self.n, AT_ONCE, self.seed);
        stage.set_volume(Volume::Quiet);
        let mut random = Random::new(self.seed, Stream::Test);
        for _ in 0..self.steps {
            self.act(&mut stage, &mut random);
            if let Some(violation) = stage.violation() {
                return (Some(violation.to_owned()), stage);
            }
        }
        (None, stage)
    }

    /// How many were convicted on a stage where this schedule was played: liars only.
    pub fn convictions<P: Protocol>(&self, stage: &Stage<P>) -> usize {
        let seed = self.seed;
        for (by, culprit) in stage.convictions() {
            let guilty = self.liars.contains(culprit);
            assert!(
                guilty,
                "seed {seed}: {by} convicts {culprit}, which is honest"
            );
        }
        stage.convictions().len()
    }

    /// Plays the whole schedule, whatever goes wrong: for replicas whose own assertions must hold
    /// among liars.
    pub fn endure<P: Protocol>(&self, config: P::Config) -> Stage<P> {
        let mut stage: Stage<P> = Stage::seeded(config, self.n, AT_ONCE, self.seed);
        stage.set_volume(Volume::Quiet);
        let mut random = Random::new(self.seed, Stream::Test);
        for _ in 0..self.steps {
            self.act(&mut stage, &mut random);
        }
        stage
    }

    /// Plays the schedule, then lets the weather clear and demands that every node executes
    /// every transaction.
    pub fn survive<P: Protocol>(&self, config: P::Config) {
        let (violation, mut stage) = self.play::<P>(config);
        assert_eq!(
            violation,
            None,
            "seed {}:\n{}",
            self.seed,
            stage.take_output()
        );
        heal(&mut stage);
        assert_eq!(stage.violation(), None, "seed {}, healed", self.seed);
        let told = stage.take_output();
        for node in (0..self.n).map(NodeId::at) {
            let missing = stage.unexecuted(node);
            let none: [usize; 0] = [];
            assert_eq!(missing, none, "seed {}, {node} after:\n{told}", self.seed);
        }
    }

    fn act<P: Protocol>(&self, stage: &mut Stage<P>, random: &mut Random) {
        let node = NodeId::at(random.below(self.n as u64) as usize);
        let pending = stage.pending() as u64;
        match (pick(random, &self.weather.weights()), pending) {
            (0..=4, 0) => {}
            (0, _) => {
                let place = random.below(pending.min(4)) as usize;
                stage.post_at(Post::Deliver, place);
            }
            (1, _) => stage.post_at(Post::Deliver, random.below(pending) as usize),
            (2, _) => stage.post_at(Post::Drop, random.below(pending) as usize),
            (3, _) => stage.post_at(Post::Duplicate, random.below(pending) as usize),
            (4, _) => self.lie(stage, random.below(pending) as usize),
            (5, _) => fire_first(stage),
            (6, _) => {
                let timers = stage.timers(node);
                if !timers.is_empty() {
                    let (timer, _) = timers[random.below(timers.len() as u64) as usize];
                    stage.fire(node, timer);
                }
            }
            (7, _) if stage.is_up(node) => stage.submit(node),
            (8, _) if stage.is_up(node) && random.below(2) == 0 => stage.crash(node),
            (8, _) if stage.is_up(node) => stage.doom(node),
            (9, _) if !stage.is_up(node) => stage.restart(node, false),
            _ => {}
        }
    }

    fn lie<P: Protocol>(&self, stage: &mut Stage<P>, place: usize) {
        if self.liars.contains(&stage.letter_at(place).0) {
            stage.post_at(Post::Lie, place);
        }
    }
}

/// An index drawn in proportion to its weight.
fn pick(random: &mut Random, weights: &[u64]) -> usize {
    let mut left = random.below(weights.iter().sum());
    for (index, weight) in weights.iter().enumerate() {
        if left < *weight {
            return index;
        }
        left -= weight;
    }
    unreachable!("the draw is below the sum of the weights")
}

/// Fires the timer that is due first on the whole stage.
pub(super) fn fire_first<P: Protocol>(stage: &mut Stage<P>) {
    let nodes = (0..stage.n()).map(NodeId::at);
    let first = nodes
        .filter(|node| stage.is_up(*node))
        .flat_map(|node| {
            let timers = stage.timers(node).into_iter();
            timers.map(move |(timer, due)| (due, node, timer))
        })
        .min();
    if let Some((_, node, timer)) = first {
        stage.fire_once(node, timer);
    }
}

/// Restarts who is down, then delivers everything and fires timers as they are due, with clients
/// that ask again, until all nodes have executed the same transactions or time is up.
fn heal<P: Protocol>(stage: &mut Stage<P>) {
    for node in (0..stage.n()).map(NodeId::at) {
        stage.undoom(node);
        if !stage.is_up(node) {
            stage.restart(node, false);
        }
    }
    // Every node has timers of its own, and one fires in a round.
    let rounds = if stage.n() > 8 { 400 * stage.n() } else { 600 };
    for round in 0..rounds {
        stage.settle(&[]);
        if round % 50 == 0 && round < 500 {
            let at = NodeId::at(round / 50 % stage.n());
            for number in stage.unexecuted(at) {
                stage.retry(at, number);
            }
            stage.submit(at);
        }
        stage.settle(&[]);
        fire_first(stage);
    }
    stage.settle(&[]);
}
