//! Dishonest replicas. They run the honest code and lie on the way out: a behaviour rewrites what
//! the replica is about to do. A behaviour knows no protocol; what lies it needs are the messages'
//! own: [`Wire::contradict`], [`Wire::forge`] and [`Wire::inflate`].
//!
//! What chance decides comes from a stream of the node's own, in the order in which the node acts,
//! so that it is the same whichever kernel runs.

mod behaviour;
mod bend;
mod memory;
#[cfg(test)]
mod tests;

use crate::base::node::{Committee, NodeId};
use crate::base::random::Random;
use crate::base::time::{Span, Time, Window};
use crate::base::units::Ratio;
use crate::chain::Height;
use crate::protocol::{To, Wire};
pub use behaviour::{Act, Behaviour, Heights, Scope, Targets};
use memory::Memory;

/// When a dishonest node acts, and as what.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The time.
    pub now: Time,
    /// Whether the node leads.
    pub leads: bool,
    /// How far the node's own chain reaches.
    pub height: Height,
}

/// One behaviour with those it means.
#[derive(Debug)]
struct Part {
    act: Act,
    /// Whether each node is meant; nothing if everybody is.
    targets: Option<Vec<bool>>,
}

impl Part {
    fn is_active(&self, moment: Moment) -> bool {
        let scope = &self.act.scope;
        self.act.during.contains(moment.now)
            && (moment.leads || !scope.leading)
            && scope
                .heights
                .is_none_or(|heights| heights.contains(moment.height))
    }

    /// Whether it names messages of a kind.
    fn names(&self, kind: &str) -> bool {
        let kinds = &self.act.scope.kinds;
        kinds.is_empty() || kinds.iter().any(|name| name == kind)
    }

    /// Whether it applies when messages of a kind are sent. Old messages are sent again with new
    /// ones of any kind.
    fn concerns(&self, kind: &str) -> bool {
        matches!(self.act.behaviour, Behaviour::Replay { .. }) || self.names(kind)
    }

    /// Whether it applies in this case, as chance has it.
    fn happens(&self, random: &mut Random) -> bool {
        let probability = self.act.scope.probability;
        probability == Ratio::ONE || random.chance(probability)
    }

    /// Whether all of these are meant.
    fn means(&self, to: &To) -> bool {
        let Some(targets) = &self.targets else {
            return true;
        };
        let is_meant = |node: &NodeId| targets.get(node.index()).copied().unwrap_or(false);
        match to {
            To::One(node) => is_meant(node),
            To::All(committee) => committee.members().iter().all(is_meant),
        }
    }
}

/// The dishonest part of one node.
#[derive(Debug)]
pub struct Adversary<M> {
    parts: Vec<Part>,
    /// Who acts on the same plan, this node included.
    accomplices: Vec<NodeId>,
    nodes: usize,
    random: Random,
    /// Whether anything is ever said again.
    replays: bool,
    memory: Memory<M>,
}

impl<M: Wire> Adversary<M> {
    /// What a node does, in the order of the scenario, in a network of `nodes` replicas;
    /// `accomplices` are all dishonest nodes that act together, this one included. Chance comes
    /// from `random`.
    pub fn new(acts: Vec<Act>, accomplices: &[NodeId], nodes: usize, random: Random) -> Self {
        let part = |act: Act| Part {
            targets: meant(&act, accomplices, nodes),
            act,
        };
        let parts: Vec<Part> = acts.into_iter().map(part).collect();
        let replay = |part: &Part| matches!(part.act.behaviour, Behaviour::Replay { .. });
        Self {
            replays: parts.iter().any(replay),
            accomplices: accomplices.to_vec(),
            parts,
            nodes,
            random,
            memory: Memory::new(),
        }
    }

    /// Whether some act that `wanted` takes applies now; chance is asked at most once an act.
    fn any(&mut self, moment: Moment, wanted: impl Fn(&Part) -> bool) -> bool {
        let random = &mut self.random;
        self.parts
            .iter()
            .any(|part| part.is_active(moment) && wanted(part) && part.happens(random))
    }

    /// Whether the node keeps an answer of this kind from a client.
    pub fn is_mute(&mut self, moment: Moment, kind: &str) -> bool {
        self.any(moment, |part| {
            let silent = part.act.behaviour == Behaviour::Silent && part.targets.is_none();
            silent || (part.act.behaviour == Behaviour::Withhold && part.names(kind))
        })
    }

    /// How long the node holds a message to these.
    pub fn holds(&mut self, moment: Moment, kind: &str, to: &To) -> Span {
        let mut held = Span::ZERO;
        for part in &self.parts {
            if let Behaviour::Late { by } = part.act.behaviour
                && part.is_active(moment)
                && part.names(kind)
                && part.means(to)
                && part.happens(&mut self.random)
            {
                held += by;
            }
        }
        held
    }

    /// Whether the node endorses something false.
    pub fn forges(&mut self, moment: Moment) -> bool {
        self.any(moment, |part| {
            part.act.behaviour == Behaviour::ForgeEndorsement
        })
    }

    /// Whether the node answers for signatures without looking.
    pub fn is_careless(&mut self, moment: Moment) -> bool {
        self.any(moment, |part| part.act.behaviour == Behaviour::Careless)
    }

    /// Whether the node tells a client something false.
    pub fn deceives(&mut self, moment: Moment) -> bool {
        self.any(moment, |part| part.act.behaviour == Behaviour::FalseReply)
    }

    /// Whether the node only pretends to write to its disk.
    pub fn skips_writes(&self, now: Time) -> bool {
        let no_sync = |part: &&Part| part.act.behaviour == Behaviour::NoSync;
        let mut parts = self.parts.iter().filter(no_sync);
        parts.any(|part| part.act.during.contains(now))
    }

    /// Whether the node does not hear a message of a kind.
    pub fn is_deaf(&mut self, moment: Moment, from: NodeId, kind: &str) -> bool {
        self.any(moment, |part| {
            part.act.behaviour == Behaviour::Deaf && part.names(kind) && part.means(&To::One(from))
        })
    }

    fn twins(&self) -> Option<&Part> {
        let mut parts = self.parts.iter();
        parts.find(|part| part.act.behaviour == Behaviour::Twins)
    }

    /// Whether it is the second of two whom this node hears and speaks to.
    pub fn shows_second_face(&self, node: NodeId) -> bool {
        self.twins().is_some_and(|part| part.means(&To::One(node)))
    }

    /// To whom of the receivers the second of two speaks, or the first. Accomplices hear both.
    pub fn audience(&self, to: To, me: NodeId, second: bool) -> Option<To> {
        let Some(part) = self.twins() else {
            return Some(to);
        };
        let hears = |node: &NodeId| {
            *node != me
                && (self.accomplices.contains(node) || part.means(&To::One(*node)) == second)
        };
        match to {
            To::One(node) => hears(&node).then_some(to),
            To::All(committee) => {
                let members = committee.members().iter().copied().filter(hears);
                let members: Vec<NodeId> = members.collect();
                (!members.is_empty()).then(|| To::All(Committee::new(members)))
            }
        }
    }

    /// Hears a message, and keeps it if it is ever to be said again.
    pub fn hear(&mut self, now: Time, message: &M) {
        let wanted = |part: &Part| {
            matches!(part.act.behaviour, Behaviour::Replay { .. }) && part.names(message.kind())
        };
        if self.replays && self.parts.iter().any(wanted) {
            self.memory.keep(now, message, &mut self.random);
        }
    }

    /// When the node does not keep what it writes, or runs twice, and which of them it is.
    pub fn lapses(&self) -> impl Iterator<Item = (Window, &Behaviour)> {
        let lapses = [Behaviour::Amnesia, Behaviour::NoSync, Behaviour::Twins];
        let lapse = move |part: &&Part| lapses.contains(&part.act.behaviour);
        let parts = self.parts.iter().filter(lapse);
        parts.map(|part| (part.act.during, &part.act.behaviour))
    }
}

/// Whether each node is meant by an act; nothing if everybody is.
fn meant(act: &Act, accomplices: &[NodeId], nodes: usize) -> Option<Vec<bool>> {
    let mut table = vec![false; nodes];
    match &act.scope.targets {
        Targets::All => return None,
        Targets::Usual
            if act.behaviour != Behaviour::Equivocate && act.behaviour != Behaviour::Twins =>
        {
            return None;
        }
        Targets::Usual | Targets::Half => {
            let honest = (0..nodes).filter(|&node| !accomplices.contains(&NodeId::at(node)));
            for node in honest.skip(1).step_by(2) {
                table[node] = true;
            }
        }
        Targets::Nodes(these) => {
            for node in these {
                table[node.index()] = true;
            }
        }
    }
    Some(table)
}
