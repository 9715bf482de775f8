//! What a node does otherwise if it is dishonest, but for what it says to other nodes.

use super::{Control, ReplicaHost};
use crate::base::node::NodeId;
use crate::base::time::{Span, Time};
use crate::chain::Height;
use crate::chain::ledger::Ledger;
use crate::protocol::{Protocol, To, Wire};
use crate::sim::Desk;
use crate::sim::adversary::{Behaviour, Moment};
use crate::sim::event::Event;
use crate::sim::message::{Answer, Post};

/// A node with its disk as it was once.
#[derive(Clone, Debug)]
pub(super) struct Copy<P> {
    protocol: P,
    ledger: Ledger,
    executed: Height,
}

impl<P: Protocol> ReplicaHost<P> {
    /// Now, whether this node leads, and how far its chain reaches: what decides whether it lies.
    pub(super) fn moment(&self, now: Time) -> Moment {
        let leads = self.adversary.is_some() && self.protocol.status().leads;
        let height = self.ledger.height();
        Moment { now, leads, height }
    }

    /// Whether a dishonest node does not hear a message of another one. What it hears it may say
    /// again.
    pub(super) fn misses(&mut self, now: Time, from: NodeId, message: &P::Message) -> bool {
        let deaf = self.ignores(now, from, message.kind());
        if let Some(adversary) = &mut self.adversary
            && !deaf
        {
            adversary.hear(now, message);
        }
        deaf
    }

    /// Whether a dishonest node does not hear something of this kind.
    pub(super) fn ignores(&mut self, now: Time, from: NodeId, kind: &str) -> bool {
        let moment = self.moment(now);
        let adversary = self.adversary.as_mut();
        adversary.is_some_and(|adversary| adversary.is_deaf(moment, from, kind))
    }

    /// Whether it answers for signatures without looking.
    pub(super) fn is_careless(&mut self, now: Time) -> bool {
        let moment = self.moment(now);
        let adversary = self.adversary.as_mut();
        adversary.is_some_and(|adversary| adversary.is_careless(moment))
    }

    /// Whether it endorses something false.
    pub(super) fn forges(&mut self, now: Time) -> bool {
        let moment = self.moment(now);
        let adversary = self.adversary.as_mut();
        adversary.is_some_and(|adversary| adversary.forges(moment))
    }

    /// Whether it keeps an answer of this kind from a client.
    pub(super) fn is_mute(&mut self, now: Time, kind: &str) -> bool {
        let moment = self.moment(now);
        let adversary = self.adversary.as_mut();
        adversary.is_some_and(|adversary| adversary.is_mute(moment, kind))
    }

    /// How long it holds a message.
    pub(super) fn holds(&mut self, now: Time, kind: &str, to: &To) -> Span {
        let moment = self.moment(now);
        let adversary = self.adversary.as_mut();
        adversary.map_or(Span::ZERO, |adversary| adversary.holds(moment, kind, to))
    }

    /// Whether it only pretends to write to its disk.
    pub(super) fn skips_writes(&self, now: Time) -> bool {
        let adversary = self.adversary.as_ref();
        adversary.is_some_and(|adversary| adversary.skips_writes(now))
    }

    /// What it answers a client; nothing if it does not.
    pub(super) fn bent(&mut self, now: Time, answer: Answer) -> Option<Answer> {
        if self.is_mute(now, "reply") {
            return None;
        }
        let moment = self.moment(now);
        let adversary = self.adversary.as_mut();
        let deceives = adversary.is_some_and(|adversary| adversary.deceives(moment));
        Some(if deceives { answer.opposite() } else { answer })
    }

    /// Plans when the node stops to keep what it writes, and what happens afterwards.
    pub(super) fn plan_lapses(&mut self) {
        let Some(adversary) = &self.adversary else {
            return;
        };
        let mut plan = Vec::new();
        for (during, behaviour) in adversary.lapses() {
            let (before, after) = if *behaviour == Behaviour::Amnesia {
                (Control::Lapse, Control::Forget)
            } else if *behaviour == Behaviour::Twins {
                (Control::Part, Control::Unite)
            } else {
                (Control::Lapse, Control::Recover)
            };
            plan.push((during.from, before));
            plan.extend(during.until.map(|until| (until, after)));
        }
        for (at, control) in plan {
            let place = self.controls.partition_point(|(time, _)| *time <= at);
            self.controls.insert(place, (at, control));
        }
        self.look_ahead();
    }

    /// From now on nothing that is written is kept.
    pub(super) fn lapse(&mut self) {
        self.copy = Some(Box::new(Copy {
            protocol: self.protocol.clone(),
            ledger: self.ledger.clone(),
            executed: self.executed,
        }));
    }

    /// Becomes what the copy is.
    fn restore(&mut self, copy: Copy<P>) {
        self.protocol = copy.protocol;
        self.ledger = copy.ledger;
        self.executed = copy.executed;
        self.synced = copy.executed;
        self.image = None;
        self.amnesia = true;
    }

    /// The machine is restored from its copy, and starts.
    pub(super) fn forget<S: Post<P::Message>>(&mut self, at: Time, desk: &mut Desk<'_, P, S>) {
        let Some(copy) = self.copy.take() else {
            return;
        };
        self.restore(*copy);
        if self.up {
            self.timers.clear();
            self.halted = false;
            self.look_ahead();
            self.observe(at, desk.local, Event::Crashed);
            self.restart(at, desk);
        }
    }

    /// Whether a crash shows that nothing was written; what is there then is restored.
    pub(super) fn comes_back_as_copied(&mut self) -> bool {
        let Some(copy) = self.copy.clone() else {
            return false;
        };
        self.restore(*copy);
        true
    }
}
