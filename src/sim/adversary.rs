//! Dishonest replicas. They run the honest code and lie on the way out: a behaviour rewrites what
//! the replica is about to do. A behaviour knows no protocol; the one lie it needs is the
//! message's own [`Wire::contradict`].

use crate::base::crypto::Signer;
use crate::base::node::{Committee, NodeId};
use crate::base::time::{Span, Time, Window};
use crate::protocol::{Effect, To, Wire};

/// How a dishonest replica departs from its protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Behaviour {
    /// Sends nothing, to replicas and clients alike.
    Silent,
    /// Swallows some kinds of messages.
    Withhold {
        /// The kinds, as messages name themselves.
        kinds: Vec<String>,
    },
    /// Holds everything it sends.
    Late {
        /// For so long.
        by: Span,
    },
    /// Tells the truth to every other honest replica and its contradiction to the rest.
    /// Accomplices hear the truth, so that they vote for it and lie about it alike.
    Equivocate,
    /// Its timers fire after a tenth of their time: it calls for elections and view changes.
    Restless,
    /// Endorses that a call is accepted and leaves out what the call was made for.
    ForgeEndorsement,
    /// Answers for signatures of clients without looking at them.
    Careless,
    /// Hears nothing of some kinds of messages.
    Deaf {
        /// The kinds, as messages name themselves.
        kinds: Vec<String>,
    },
}

/// One behaviour of one node for some time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Act {
    /// What the node does.
    pub behaviour: Behaviour,
    /// When.
    pub during: Window,
}

/// The dishonest part of one node.
#[derive(Clone, Debug)]
pub struct Adversary {
    acts: Vec<Act>,
    /// Whether each node is one that hears lies: every second one of the honest.
    deceived: Vec<bool>,
}

impl Adversary {
    /// What a node does, in the order of the scenario, in a network of `nodes` replicas;
    /// `accomplices` are all dishonest nodes that act together, this one included.
    pub fn new(acts: Vec<Act>, accomplices: &[NodeId], nodes: usize) -> Self {
        let mut deceived = vec![false; nodes];
        let honest = (0..nodes).filter(|&node| !accomplices.contains(&NodeId::at(node)));
        for node in honest.skip(1).step_by(2) {
            deceived[node] = true;
        }
        Self { acts, deceived }
    }

    /// Whether the node says nothing at all just now.
    pub fn is_mute(&self, now: Time) -> bool {
        self.acts
            .iter()
            .any(|act| act.behaviour == Behaviour::Silent && act.during.contains(now))
    }

    /// How long the node holds what it sends just now.
    pub fn holds(&self, now: Time) -> Span {
        let holds = self.acts.iter().filter(|act| act.during.contains(now));
        holds.fold(Span::ZERO, |sum, act| match act.behaviour {
            Behaviour::Late { by } => sum + by,
            Behaviour::Silent
            | Behaviour::Withhold { .. }
            | Behaviour::Equivocate
            | Behaviour::Restless
            | Behaviour::ForgeEndorsement
            | Behaviour::Careless
            | Behaviour::Deaf { .. } => sum,
        })
    }

    /// Whether the node endorses something false just now.
    pub fn forges(&self, now: Time) -> bool {
        self.acts
            .iter()
            .any(|act| act.behaviour == Behaviour::ForgeEndorsement && act.during.contains(now))
    }

    /// Whether the node answers for signatures without looking just now.
    pub fn is_careless(&self, now: Time) -> bool {
        self.acts
            .iter()
            .any(|act| act.behaviour == Behaviour::Careless && act.during.contains(now))
    }

    /// Whether the node does not hear messages of a kind just now.
    pub fn is_deaf(&self, now: Time, kind: &str) -> bool {
        let acts = self.acts.iter().filter(|act| act.during.contains(now));
        acts.into_iter().any(|act| match &act.behaviour {
            Behaviour::Deaf { kinds } => kinds.iter().any(|deaf| deaf == kind),
            Behaviour::Silent
            | Behaviour::Withhold { .. }
            | Behaviour::Late { .. }
            | Behaviour::Equivocate
            | Behaviour::Restless
            | Behaviour::ForgeEndorsement
            | Behaviour::Careless => false,
        })
    }

    /// Rewrites what the replica is about to do.
    pub fn bend<M: Wire, T: Copy>(
        &self,
        now: Time,
        signer: &Signer,
        effects: &mut Vec<Effect<M, T>>,
    ) {
        for act in self.acts.iter().filter(|act| act.during.contains(now)) {
            match &act.behaviour {
                Behaviour::Silent => {
                    effects.retain(|effect| !matches!(effect, Effect::Send { .. }));
                }
                Behaviour::Withhold { kinds } => effects.retain(|effect| match effect {
                    Effect::Send { message, .. } => !kinds.iter().any(|k| k == message.kind()),
                    _ => true,
                }),
                // Held back when it is sent; the others change what the replica knows.
                Behaviour::Late { .. }
                | Behaviour::ForgeEndorsement
                | Behaviour::Careless
                | Behaviour::Deaf { .. } => {}
                Behaviour::Equivocate => {
                    let honest = std::mem::take(effects);
                    for effect in honest {
                        self.equivocate(effect, signer, effects);
                    }
                }
                Behaviour::Restless => {
                    for effect in effects.iter_mut() {
                        if let Effect::SetTimer { after, .. } = effect {
                            *after = Span::from_nanos(after.nanos() / 10).max(IMPATIENCE_MIN);
                        }
                    }
                }
            }
        }
    }

    /// Splits one message into the truth for some and its contradiction for the others.
    fn equivocate<M: Wire, T>(
        &self,
        effect: Effect<M, T>,
        signer: &Signer,
        effects: &mut Vec<Effect<M, T>>,
    ) {
        let Effect::Send { to, message } = effect else {
            effects.push(effect);
            return;
        };
        let Some(lie) = message.contradict(signer) else {
            effects.push(Effect::Send { to, message });
            return;
        };
        let (truthful, deceived) = match to {
            To::All(committee) => self.halves(&committee, signer.node()),
            To::One(node) => {
                let alone = Some(Committee::new(vec![node]));
                if self.deceived[node.index()] {
                    (None, alone)
                } else {
                    (alone, None)
                }
            }
        };
        if let Some(to) = truthful {
            effects.push(Effect::Send {
                to: To::All(to),
                message,
            });
        }
        if let Some(to) = deceived {
            effects.push(Effect::Send {
                to: To::All(to),
                message: lie,
            });
        }
    }

    /// The members that hear the truth and those that hear the lie.
    fn halves(&self, committee: &Committee, me: NodeId) -> (Option<Committee>, Option<Committee>) {
        let others = committee.members().iter().filter(|&&node| node != me);
        let (deceived, truthful): (Vec<NodeId>, Vec<NodeId>) =
            others.partition(|node| self.deceived[node.index()]);
        let some = |members: Vec<NodeId>| (!members.is_empty()).then(|| Committee::new(members));
        (some(truthful), some(deceived))
    }
}

/// No timer of a restless node is shorter: time must pass between its storms.
const IMPATIENCE_MIN: Span = Span::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::crypto::Crypto;

    #[derive(Clone, Debug, PartialEq)]
    struct Say(&'static str);
    impl Wire for Say {
        fn kind(&self) -> &'static str {
            self.0
        }
        fn size(&self) -> u32 {
            1
        }
        fn contradict(&self, _liar: &Signer) -> Option<Self> {
            (self.0 == "yes").then_some(Self("no"))
        }
    }

    fn bent(behaviour: Behaviour, accomplices: &[u16], said: &'static str) -> Vec<String> {
        let act = Act {
            behaviour,
            during: Window::ALWAYS,
        };
        let accomplices: Vec<NodeId> = accomplices.iter().copied().map(NodeId).collect();
        let adversary = Adversary::new(vec![act], &accomplices, 5);
        let (signers, _) = Signer::mint(5, Crypto::Modelled, 1);
        let mut effects: Vec<Effect<Say, ()>> = vec![
            Effect::Send {
                to: To::All(Committee::first(5)),
                message: Say(said),
            },
            Effect::SetTimer {
                timer: (),
                after: Span::from_millis(50),
            },
        ];
        adversary.bend(Time::ZERO, &signers[0], &mut effects);
        let show = |effect: &Effect<Say, ()>| match effect {
            Effect::Send {
                to: To::All(to),
                message,
            } => {
                format!("{} to {:?}", message.0, to.members())
            }
            Effect::SetTimer { after, .. } => format!("timer {after}"),
            other => format!("{other:?}"),
        };
        effects.iter().map(show).collect()
    }

    #[test]
    fn a_behaviour_bends_what_the_replica_says_and_nothing_else() {
        let timer = "timer 50ms";
        let everyone = "yes to [n0, n1, n2, n3, n4]";
        assert_eq!(bent(Behaviour::Silent, &[0], "yes"), [timer]);
        let withhold = |kind: &str| Behaviour::Withhold {
            kinds: vec![kind.into()],
        };
        assert_eq!(bent(withhold("yes"), &[0], "yes"), [timer]);
        assert_eq!(bent(withhold("no"), &[0], "yes"), [everyone, timer]);
        assert_eq!(
            bent(Behaviour::Restless, &[0], "yes"),
            [everyone, "timer 5ms"]
        );
        let halves = ["yes to [n1, n3]", "no to [n2, n4]", timer];
        assert_eq!(bent(Behaviour::Equivocate, &[0], "yes"), halves);
        let with_friend = ["yes to [n1, n2, n4]", "no to [n3]", timer];
        assert_eq!(bent(Behaviour::Equivocate, &[0, 1], "yes"), with_friend);
        assert_eq!(
            bent(Behaviour::ForgeEndorsement, &[0], "yes"),
            [everyone, timer]
        );
        let no_lie = ["maybe to [n0, n1, n2, n3, n4]", timer];
        assert_eq!(bent(Behaviour::Equivocate, &[0], "maybe"), no_lie);
    }
}
