//! The dice: everything that is left to chance when a scenario is drawn.

use std::collections::BTreeSet;

use crate::base::node::NodeId;
use crate::base::random::{Random, Stream};
use crate::base::time::{Span, Time, Window};

/// Draws from one seed, and remembers which features are switched on.
#[derive(Debug)]
pub struct Dice {
    random: Random,
    /// What the drawn scenario has.
    pub features: BTreeSet<&'static str>,
}

impl Dice {
    /// The dice of a seed.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed, Stream::Test),
            features: BTreeSet::new(),
        }
    }

    /// A number from the first to the second, both possible.
    pub fn within(&mut self, least: u64, most: u64) -> u64 {
        least + self.random.below(most - least + 1)
    }

    /// One of these.
    pub fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        let last = of.len() as u64 - 1;
        of[usize::try_from(self.within(0, last)).expect("an index fits")].clone()
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.random.below(times) == 0
    }

    /// Whether a feature is switched on, by the toss of a coin.
    pub fn on(&mut self, feature: &'static str) -> bool {
        self.rarely(feature, 2)
    }

    /// Whether a feature is switched on, once in so many times.
    pub fn rarely(&mut self, feature: &'static str, times: u64) -> bool {
        let on = self.once_in(times);
        if on {
            self.features.insert(feature);
        }
        on
    }

    /// So many milliseconds, from the first to the second.
    pub fn millis(&mut self, least: u64, most: u64) -> Span {
        Span::from_millis(self.within(least, most))
    }

    /// One of the nodes.
    pub fn node(&mut self, nodes: usize) -> NodeId {
        let last = nodes as u64 - 1;
        NodeId::at(usize::try_from(self.within(0, last)).expect("an index fits"))
    }

    /// Some of the nodes, at least one and at most so many, in ascending order.
    pub fn some_nodes(&mut self, nodes: usize, most: usize) -> Vec<NodeId> {
        let count = self.within(1, most.clamp(1, nodes) as u64);
        let drawn = (0..count).map(|_| self.node(nodes));
        let drawn: BTreeSet<NodeId> = drawn.collect();
        drawn.into_iter().collect()
    }

    /// A window that opens and closes before `end`, in whole milliseconds, and lasts for so many
    /// of them at most.
    pub fn window(&mut self, end: Time, longest: u64) -> Window {
        let end = end.nanos() / 1_000_000;
        let from = self.within(0, end - 1);
        let until = end.min(from + self.within(1, longest));
        let at = |millis| Time::ZERO + Span::from_millis(millis);
        Window {
            from: at(from),
            until: Some(at(until)),
        }
    }
}
