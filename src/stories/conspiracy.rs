//! A conspiracy: a stage driven by chance on which liars agree what to tell whom.

use super::stage::{AT_ONCE, Post, Stage, Volume};
use crate::base::node::NodeId;
use crate::base::random::{Random, Stream};
use crate::protocol::Protocol;

/// Liars who conspire: they tell some of the honest nodes the truth and the others the opposite,
/// or even both, while chance decides what arrives, who is cut off and who is impatient.
pub struct Conspiracy<P: Protocol> {
    liars: Vec<bool>,
    fooled: Vec<bool>,
    random: Random,
    stage: Stage<P>,
    /// Nothing reaches or leaves this node.
    cut: NodeId,
    /// For so long timers fire often.
    unrest: u32,
}

impl<P: Protocol> Conspiracy<P> {
    const STEPS: usize = 1200;

    /// A schedule among so many liars, the first of whom is drawn.
    pub fn new(config: P::Config, n: usize, liars: usize, seed: u64) -> Self {
        let mut random = Random::new(seed, Stream::Test);
        let first = random.below(n as u64) as usize;
        let everybody = random.below(3) == 0;
        let mut stage = Stage::seeded(config, n, AT_ONCE, seed);
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
    pub fn play(mut self) -> Option<String> {
        for _ in 0..Self::STEPS {
            let before = self.act();
            self.bend(before);
            self.unrest = self.unrest.saturating_sub(1);
            if let Some(slander) = self.slander() {
                return Some(slander);
            }
            if let Some(violation) = self.stage.violation() {
                return Some(violation.to_owned());
            }
        }
        None
    }

    /// The conviction of an honest node.
    fn slander(&self) -> Option<String> {
        let honest = |(_, culprit): &&(NodeId, NodeId)| !self.liars[culprit.index()];
        let (by, culprit) = self.stage.convictions().iter().find(honest)?;
        Some(format!("{by} convicts {culprit}, which is honest"))
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
            let (from, to, _) = stage.letter_at(place);
            from != self.cut && to != self.cut
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
            let (from, to, _) = self.stage.letter_at(place);
            if !self.liars[from.index()] || !self.fooled[to.index()] {
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
