//! Rewrites what a dishonest replica is about to do.

use super::behaviour::Behaviour;
use super::{Adversary, Moment, Part};
use crate::base::crypto::Signer;
use crate::base::node::{Committee, NodeId};
use crate::base::random::Random;
use crate::base::time::{Span, Time};
use crate::protocol::{Effect, To, Wire};

/// No timer of a restless node is shorter: time must pass between its storms.
const IMPATIENCE_MIN: Span = Span::from_millis(1);

impl<M: Wire> Adversary<M> {
    /// Rewrites what the replica is about to do, by one behaviour after the other, each on what
    /// the one before has left.
    pub fn bend<T: Copy>(
        &mut self,
        moment: Moment,
        signer: &Signer,
        effects: &mut Vec<Effect<M, T>>,
    ) {
        self.keep_sent(moment.now, effects);
        for place in 0..self.parts.len() {
            let part = &self.parts[place];
            if !part.is_active(moment) {
                continue;
            }
            if part.act.behaviour == Behaviour::Restless {
                for effect in effects.iter_mut() {
                    if let Effect::SetTimer { after, .. } = effect
                        && part.happens(&mut self.random)
                    {
                        *after = Span::from_nanos(after.nanos() / 10).max(IMPATIENCE_MIN);
                    }
                }
            } else if part.act.behaviour.bends() {
                for effect in std::mem::take(effects) {
                    self.rewrite(place, (moment.now, signer), effect, effects);
                }
            }
        }
    }

    /// Rewrites one effect by one behaviour.
    fn rewrite<T>(
        &mut self,
        place: usize,
        (now, signer): (Time, &Signer),
        effect: Effect<M, T>,
        effects: &mut Vec<Effect<M, T>>,
    ) {
        let Effect::Send { to, message } = effect else {
            effects.push(effect);
            return;
        };
        let part = &self.parts[place];
        // Whether a message is late is decided when it is sent.
        let late = matches!(part.act.behaviour, Behaviour::Late { .. });
        let concerned = part.concerns(message.kind()) && (late || part.happens(&mut self.random));
        if concerned && part.act.behaviour == Behaviour::Selective {
            if let Some(to) = part.chosen(&to, signer.node(), &mut self.random) {
                effects.push(Effect::Send { to, message });
            }
            return;
        }
        let told = concerned
            .then(|| self.told(place, (now, signer), &message))
            .flatten();
        let Some(told) = told else {
            effects.push(Effect::Send { to, message });
            return;
        };
        let (spared, meant) = self.parts[place].split(to, signer.node());
        if let Some(to) = spared {
            effects.push(Effect::Send { to, message });
        }
        if let Some(to) = meant {
            effects.extend(told.into_iter().map(|message| Effect::Send {
                to: to.clone(),
                message,
            }));
        }
    }

    /// What those who are meant hear in place of a message; nothing if it stays as it is.
    fn told(
        &mut self,
        place: usize,
        (now, signer): (Time, &Signer),
        message: &M,
    ) -> Option<Vec<M>> {
        let Self {
            parts,
            random,
            memory,
            nodes,
            ..
        } = self;
        let part = &parts[place];
        let with = |other: M| vec![message.clone(), other];
        match part.act.behaviour {
            Behaviour::Silent | Behaviour::Withhold => Some(Vec::new()),
            Behaviour::Equivocate => Some(vec![message.contradict(signer)?]),
            Behaviour::DoubleTalk => message.contradict(signer).map(with),
            Behaviour::Garble => Some(vec![message.forge(signer, signer.node())?]),
            Behaviour::Impersonate => {
                let victim = another(signer.node(), *nodes, random)?;
                message.forge(signer, victim).map(with)
            }
            Behaviour::Inflate { by } => Some(vec![message.inflate(signer, by)?]),
            Behaviour::Flood { copies } => Some(vec![message.clone(); copies as usize]),
            Behaviour::Replay { after } => {
                let wanted = |old: &M| part.names(old.kind());
                memory.draw((now, after), wanted, random).map(with)
            }
            // Held back when it is sent: those who are meant get a copy of their own.
            Behaviour::Late { .. } => part.targets.is_some().then(|| vec![message.clone()]),
            Behaviour::Selective
            | Behaviour::Restless
            | Behaviour::ForgeEndorsement
            | Behaviour::Careless
            | Behaviour::Deaf
            | Behaviour::Amnesia
            | Behaviour::NoSync
            | Behaviour::Twins
            | Behaviour::FalseReply => None,
        }
    }

    /// Keeps what the replica means to send, if it is ever to be said again.
    fn keep_sent<T>(&mut self, now: Time, effects: &[Effect<M, T>]) {
        if !self.replays {
            return;
        }
        for effect in effects {
            if let Effect::Send { message, .. } = effect {
                self.hear(now, message);
            }
        }
    }
}

/// Any node but this one.
fn another(me: NodeId, nodes: usize, random: &mut Random) -> Option<NodeId> {
    let others = nodes.checked_sub(1).filter(|others| *others > 0)?;
    let place = random.below(others as u64) as usize;
    Some(NodeId::at(place + usize::from(place >= me.index())))
}

impl Part {
    /// Those who are spared, and those who are meant.
    fn split(&self, to: To, me: NodeId) -> (Option<To>, Option<To>) {
        let Some(targets) = &self.targets else {
            return (None, Some(to));
        };
        let is_meant = |node: &NodeId| targets[node.index()];
        match to {
            To::One(node) if is_meant(&node) => (None, Some(to)),
            To::One(_) => (Some(to), None),
            To::All(committee) => {
                let others = committee.members().iter().filter(|&&node| node != me);
                let (meant, spared) = others.partition(|node| is_meant(node));
                (some(spared), some(meant))
            }
        }
    }

    /// Those to whom a selective node speaks: its targets, or a half of all by chance.
    fn chosen(&self, to: &To, me: NodeId, random: &mut Random) -> Option<To> {
        if self.targets.is_some() {
            return self.split(to.clone(), me).1;
        }
        let mut others = match to {
            To::One(node) => vec![*node],
            To::All(committee) => committee.members().to_vec(),
        };
        others.retain(|node| *node != me);
        let odd = others.len() as u64 % 2;
        let mut left_out = others.len() as u64 / 2 + random.below(odd + 1);
        while left_out > 0 {
            others.remove(random.below(others.len() as u64) as usize);
            left_out -= 1;
        }
        some(others)
    }
}

fn some(members: Vec<NodeId>) -> Option<To> {
    (!members.is_empty()).then(|| To::All(Committee::new(members)))
}
