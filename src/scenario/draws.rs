//! Which nodes fail or lie: those that are named, that chance chooses, and that lead.

use std::collections::BTreeSet;

use super::schema::{Adversary, Behaviour, Fault, Scenario, Target, Targets, Victims};
use crate::base::node::NodeId;
use crate::base::random::{Random, Stream};

/// The nodes that adversaries name.
pub(super) fn named(adversaries: &[Adversary]) -> BTreeSet<NodeId> {
    let nodes = adversaries.iter().flat_map(|adversary| &adversary.nodes);
    nodes.copied().collect()
}

/// Nodes that are dishonest because they lead, or go with those who do.
pub(super) fn led(adversaries: &[Adversary]) -> usize {
    adversaries.iter().map(|adversary| adversary.led).sum()
}

impl Scenario {
    /// How many nodes are dishonest at some time.
    pub fn dishonest_count(&self) -> usize {
        self.dishonest().len() + led(&self.adversaries)
    }

    /// The nodes that are known before the run to be dishonest at some time.
    pub fn dishonest(&self) -> BTreeSet<NodeId> {
        named(&self.adversaries)
    }

    /// The nodes that endorse false results at some time.
    pub fn forgers(&self) -> BTreeSet<NodeId> {
        let forging = |adversary: &&Adversary| adversary.behaviour == Behaviour::ForgeEndorsement;
        let forgers = self.adversaries.iter().filter(forging);
        forgers
            .flat_map(|adversary| adversary.nodes.iter().copied())
            .collect()
    }

    /// The scenario as it stands: nodes chosen by chance stay chosen, whatever the seed. For
    /// whoever edits the lists of faults or adversaries.
    #[must_use]
    pub fn settled(mut self) -> Self {
        self.draws.clear();
        self
    }

    /// Makes the choices of nodes that are left to chance, from the seed.
    pub(super) fn draw(&mut self) {
        let mut random = Random::new(self.seed, Stream::Placement);
        let draws = std::mem::take(&mut self.draws);
        for draw in &draws {
            if let Target::Adversary(index) = draw.target {
                self.adversaries[index].nodes.clear();
            }
        }
        let mut taken = self.dishonest();
        for draw in &draws {
            let everybody = (0..self.nodes).map(NodeId::at);
            match draw.target {
                Target::Fault(index) => {
                    let chosen = choose(&mut random, everybody.collect(), draw.count);
                    befall(&mut self.faults[index], chosen);
                }
                Target::Adversary(index) => {
                    let honest = everybody.filter(|node| !taken.contains(node)).collect();
                    let chosen = choose(&mut random, honest, draw.count);
                    taken.extend(&chosen);
                    self.adversaries[index].nodes = chosen;
                }
                Target::Targets(index) => {
                    let honest = everybody.filter(|node| !taken.contains(node)).collect();
                    let chosen = choose(&mut random, honest, draw.count);
                    self.adversaries[index].scope.targets = Targets::Nodes(chosen);
                }
            }
        }
        self.draws = draws;
    }
}

/// Puts the chosen nodes into a fault that names nodes.
fn befall(fault: &mut Fault, chosen: Vec<NodeId>) {
    match fault {
        Fault::Crash { nodes, .. } | Fault::CrashPoint { nodes, .. } => {
            *nodes = Victims::Nodes(chosen);
        }
        Fault::Loss { nodes, .. }
        | Fault::Delay { nodes, .. }
        | Fault::Clock { nodes, .. }
        | Fault::Slow { nodes, .. } => {
            *nodes = chosen;
        }
        Fault::Partition { .. } | Fault::Duplicate { .. } | Fault::Reorder { .. } => {
            unreachable!("these name no nodes")
        }
    }
}

/// So many of the pool, or all of it, each set equally likely, in ascending order.
pub(super) fn choose(random: &mut Random, mut pool: Vec<NodeId>, count: usize) -> Vec<NodeId> {
    let count = count.min(pool.len());
    for place in 0..count {
        let rest = (pool.len() - place) as u64;
        let other = usize::try_from(random.below(rest)).expect("an index fits");
        pool.swap(place, place + other);
    }
    pool.truncate(count);
    pool.sort_unstable();
    pool
}
