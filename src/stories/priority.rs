//! Schedules by priority: every link between two nodes has a priority drawn by chance, and what is
//! on its way on the highest one arrives first. At a few steps, drawn as well, the link whose turn
//! it is falls below all others. A fault that takes `d` deliveries in an unusual order is found in
//! one of about w·k^(d−1) schedules, of k deliveries on w links, however rare it is by pure chance.
//!
//! # Source
//!
//! S. Burckhardt et al.: A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs,
//! ASPLOS 2010; chains of messages after B. K. Ozkan et al., OOPSLA 2018.

use std::collections::BTreeMap;

use super::chaos::fire_first;
use super::stage::{AT_ONCE, Post, Stage, Volume};
use crate::base::node::NodeId;
use crate::base::random::{Random, Stream};
use crate::protocol::Protocol;
use crate::protocol::pbft::{self, Pbft};
use crate::protocol::raft::{self, Raft};

/// A schedule by priority.
#[derive(Clone, Debug)]
pub struct Priority {
    /// Replicas.
    pub n: usize,
    /// Draws the priorities and the replicas' own streams.
    pub seed: u64,
    /// How many times a link falls below all others.
    pub changes: u64,
    /// How many things happen.
    pub steps: u64,
    /// Dishonest nodes: what comes from them is a lie every other time.
    pub liars: Vec<NodeId>,
}

impl Priority {
    /// Plays the schedule; what went wrong first, if anything did.
    pub fn play<P: Protocol>(&self, config: P::Config) -> (Option<String>, Stage<P>) {
        let mut stage: Stage<P> = Stage::seeded(config, self.n, AT_ONCE, self.seed);
        stage.set_volume(Volume::Quiet);
        let mut random = Random::new(self.seed, Stream::Test);
        let changes: Vec<u64> = (0..self.changes)
            .map(|_| random.below(self.steps))
            .collect();
        let mut priorities: BTreeMap<(NodeId, NodeId), u64> = BTreeMap::new();
        for step in 0..self.steps {
            if random.below(12) == 0 {
                stage.submit(NodeId::at(random.below(self.n as u64) as usize));
            }
            let links = (0..stage.pending()).map(|at| {
                let (from, to, _) = stage.letter_at(at);
                (from, to)
            });
            let links: Vec<_> = links.collect();
            for link in &links {
                let drawn = 1 + random.below(1 << 40);
                priorities.entry(*link).or_insert(drawn);
            }
            // Of one link the oldest first.
            let best = links
                .iter()
                .enumerate()
                .max_by_key(|(at, link)| (priorities[*link], std::cmp::Reverse(*at)));
            let Some((place, link)) = best else {
                fire_first(&mut stage);
                continue;
            };
            if changes.contains(&step) {
                priorities.insert(*link, self.steps - step);
                fire_any(&mut stage, &mut random);
                continue;
            }
            if self.liars.contains(&link.0) && random.below(2) == 0 {
                stage.post_at(Post::Lie, place);
                let last = stage.pending() - 1;
                stage.post_at(Post::Deliver, last);
            } else {
                stage.post_at(Post::Deliver, place);
            }
            if let Some(violation) = stage.violation() {
                return (Some(violation.to_owned()), stage);
            }
        }
        (None, stage)
    }
}

/// Fires any timer of any node.
fn fire_any<P: Protocol>(stage: &mut Stage<P>, random: &mut Random) {
    let node = NodeId::at(random.below(stage.n() as u64) as usize);
    let timers = stage.timers(node);
    if !timers.is_empty() {
        let (timer, _) = timers[random.below(timers.len() as u64) as usize];
        stage.fire(node, timer);
    }
}

/// A schedule for the seed: of so many replicas, the first of which lie.
fn schedule(n: usize, liars: usize, seed: u64) -> Priority {
    Priority {
        n,
        seed,
        changes: 2 + seed % 24,
        steps: 600,
        liars: (0..liars).map(NodeId::at).collect(),
    }
}

/// The first of so many seeds that shows that something is wrong.
fn first<P: Protocol>(config: &P::Config, (n, liars): (usize, usize), seeds: u64) -> Option<u64> {
    (0..seeds).find(|&seed| {
        let (violation, _) = schedule(n, liars, seed).play::<P>(config.clone());
        violation.is_some()
    })
}

#[test]
fn no_schedule_by_priority_forks_raft() {
    for n in [3, 4, 5] {
        assert_eq!(first::<Raft>(&raft::Config::default(), (n, 0), 150), None);
    }
}

#[test]
fn no_schedule_by_priority_forks_pbft_among_liars() {
    for n in [4, 5, 7] {
        let liars = (n - 1) / 3;
        assert_eq!(
            first::<Pbft>(&pbft::Config::default(), (n, liars), 150),
            None
        );
    }
}

#[test]
fn schedules_by_priority_find_broken_guards() {
    for mutant in [
        raft::Mutant::CommitQuorumLow,
        raft::Mutant::ElectQuorumLow,
        raft::Mutant::DoubleVote,
        raft::Mutant::NoUpToDate,
    ] {
        let config = raft::Config {
            mutant: Some(mutant),
            ..raft::Config::default()
        };
        let found = first::<Raft>(&config, (3, 0), 2_000);
        assert!(found.is_some(), "{mutant:?}");
    }
    for mutant in [pbft::Mutant::SkipPrepare, pbft::Mutant::CommitQuorumLow] {
        let config = pbft::Config {
            mutant: Some(mutant),
            ..pbft::Config::default()
        };
        let found = first::<Pbft>(&config, (4, 1), 2_000);
        assert!(found.is_some(), "{mutant:?}");
    }
}
