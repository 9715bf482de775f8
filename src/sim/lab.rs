//! Replicas with nothing between them but delays, for studies of single attacks: who holds the lab
//! sees into messages, bends those of one node, and turns its clock. There is no machine, no client
//! and no disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::crypto::{Crypto, Keyring, Signer};
use crate::base::node::{Committee, NodeId};
use crate::base::random::{Random, Stream};
use crate::base::time::{Span, Time};
use crate::base::units::Bytes;
use crate::chain::ledger::{Executor, Ledger};
use crate::chain::{Block, Transaction};
use crate::contract::State;
use crate::protocol::mempool::BatchRule;
use crate::protocol::{Context, Effect, Input, Protocol, Report, Setup, Surroundings, To};

/// What is due at some time.
enum Due<P: Protocol> {
    Message {
        from: NodeId,
        to: NodeId,
        message: Arc<P::Message>,
    },
    Timer {
        node: NodeId,
        timer: P::Timer,
        /// Timers that were set later replace this one.
        number: u64,
    },
}

/// One node.
struct Actor<P: Protocol> {
    replica: P,
    ledger: Ledger,
    signer: Signer,
    random: Random,
    timers: BTreeMap<P::Timer, u64>,
    /// How far its clock is ahead; such a node does not wait for timers either.
    ahead: Span,
    bend: Option<Bend<P::Message>>,
}

/// What a replica told, or was told.
#[derive(Debug)]
pub enum Seen<'a, P: Protocol> {
    /// A message arrived.
    Arrived {
        /// From whom.
        from: NodeId,
        /// What it says.
        message: &'a P::Message,
    },
    /// A replica reported something.
    Reported(&'a Report),
    /// A replica executed a block.
    Executed(&'a Block),
}

/// Hears of everything: when, at which node, and what.
pub type Witness<'a, P> = dyn FnMut(Time, NodeId, Seen<'_, P>) + 'a;

/// What becomes of a message that a dishonest node is about to send.
pub type Bend<M> = Box<dyn Fn(&Signer, M) -> M>;

/// Replicas and what is on its way between them.
pub struct Lab<P: Protocol> {
    actors: Vec<Actor<P>>,
    keyring: Keyring,
    executor: Executor,
    due: BTreeMap<(Time, u64), Due<P>>,
    count: u64,
    now: Time,
    delay: [Span; 2],
    chance: Random,
}

/// A timer of a node that does not wait fires after this.
const AT_ONCE: Span = Span::from_micros(100);

impl<P: Protocol> Lab<P> {
    /// Replicas that have just started. Every message takes a time from this range, and every
    /// transaction is a batch.
    pub fn new(
        config: &P::Config,
        n: usize,
        delay: [Span; 2],
        (genesis, seed): (State, u64),
    ) -> Self {
        let (signers, keyring) = Signer::mint(n, Crypto::Modelled, seed);
        let batch = BatchRule {
            max: 1,
            bytes: Bytes(1 << 20),
            wait: Span::ZERO,
        };
        let actor = |signer: Signer| {
            let me = signer.node();
            let setup = Setup {
                committee: Committee::first(n),
                me,
                batch,
            };
            Actor {
                replica: P::new(config, setup),
                ledger: Ledger::new(),
                random: Random::new(seed, Stream::Replica(me)),
                signer,
                timers: BTreeMap::new(),
                ahead: Span::ZERO,
                bend: None,
            }
        };
        let mut lab = Self {
            actors: signers.into_iter().map(actor).collect(),
            keyring,
            executor: Executor::new(genesis),
            due: BTreeMap::new(),
            count: 0,
            now: Time::ZERO,
            delay,
            chance: Random::new(seed, Stream::Latency),
        };
        for node in 0..n {
            lab.step(NodeId::at(node), Input::Start, &mut |_, _, _| {});
        }
        lab
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Who leads, by the word of the replica itself.
    pub fn leader(&self) -> Option<NodeId> {
        let leads = |actor: &Actor<P>| actor.replica.status().leads;
        self.actors.iter().position(leads).map(NodeId::at)
    }

    /// Lets everything happen that is due within this time.
    pub fn run(&mut self, span: Span, witness: &mut Witness<'_, P>) {
        let until = self.now + span;
        while let Some(entry) = self.due.first_entry()
            && entry.key().0 <= until
        {
            let ((now, _), due) = entry.remove_entry();
            self.now = now;
            match due {
                Due::Message { from, to, message } => {
                    let message = &*message;
                    witness(now, to, Seen::Arrived { from, message });
                    self.step(to, Input::Deliver { from, message }, witness);
                }
                Due::Timer {
                    node,
                    timer,
                    number,
                } => {
                    let timers = &mut self.actors[node.index()].timers;
                    if timers.get(&timer) == Some(&number) {
                        timers.remove(&timer);
                        self.step(node, Input::Timeout(timer), witness);
                    }
                }
            }
        }
        self.now = until;
    }

    /// Hands a transaction to a replica.
    pub fn submit(
        &mut self,
        node: NodeId,
        transaction: Arc<Transaction>,
        witness: &mut Witness<'_, P>,
    ) {
        self.step(node, Input::Submit(transaction), witness);
    }

    /// Makes a node dishonest: everything it sends from now on is bent.
    pub fn bend(&mut self, node: NodeId, bend: Bend<P::Message>) {
        self.actors[node.index()].bend = Some(bend);
    }

    /// Turns the clock of a node forward, for good: whatever it waits for has taken too long.
    pub fn turn_clock(&mut self, node: NodeId, ahead: Span, witness: &mut Witness<'_, P>) {
        let actor = &mut self.actors[node.index()];
        actor.ahead = ahead;
        for timer in std::mem::take(&mut actor.timers).into_keys() {
            self.step(node, Input::Timeout(timer), witness);
        }
    }

    fn step(
        &mut self,
        node: NodeId,
        input: Input<'_, P::Message, P::Timer>,
        witness: &mut Witness<'_, P>,
    ) {
        let actor = &mut self.actors[node.index()];
        let mut effects = Vec::new();
        let around = Surroundings {
            signer: &actor.signer,
            keyring: &self.keyring,
            random: &mut actor.random,
            ledger: &mut actor.ledger,
            executor: &mut self.executor,
            careless: false,
        };
        let mut cx = Context::new(node, self.now + actor.ahead, around, &mut effects);
        actor.replica.step(input, &mut cx);
        for effect in effects {
            match effect {
                Effect::Send { to, message } => self.send(node, &to, message),
                Effect::SetTimer { timer, after } => self.set_timer(node, timer, after),
                Effect::CancelTimer { timer } => {
                    self.actors[node.index()].timers.remove(&timer);
                }
                Effect::Report(report) => witness(self.now, node, Seen::Reported(&report)),
                Effect::Execute(block) => witness(self.now, node, Seen::Executed(&block)),
                Effect::Sign(_)
                | Effect::Verify(_)
                | Effect::Persist
                | Effect::Install(_)
                | Effect::Answer(..) => {}
            }
        }
    }

    fn send(&mut self, from: NodeId, to: &To, message: P::Message) {
        let actor = &self.actors[from.index()];
        let message = Arc::new(match &actor.bend {
            Some(bend) => bend(&actor.signer, message),
            None => message,
        });
        let receivers = match to {
            To::One(node) => vec![*node],
            To::All(committee) => committee.members().to_vec(),
        };
        for to in receivers.into_iter().filter(|to| *to != from) {
            let at = self.now + self.chance.between(self.delay[0], self.delay[1]);
            let message = Arc::clone(&message);
            self.plan(at, |_| Due::Message { from, to, message });
        }
    }

    fn set_timer(&mut self, node: NodeId, timer: P::Timer, after: Span) {
        let waits = self.actors[node.index()].ahead == Span::ZERO;
        let at = self.now + if waits { after } else { after.min(AT_ONCE) };
        let number = self.plan(at, |number| Due::Timer {
            node,
            timer,
            number,
        });
        self.actors[node.index()].timers.insert(timer, number);
    }

    fn plan(&mut self, at: Time, due: impl FnOnce(u64) -> Due<P>) -> u64 {
        self.count += 1;
        self.due.insert((at, self.count), due(self.count));
        self.count
    }
}
