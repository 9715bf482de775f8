//! One node: a replica with its ledger, processor, disk, links, timers, outages and, if it is
//! dishonest, its adversary. Kernels decide the order of what arrives; everything else is here,
//! so that every kernel gives the same result.

mod dishonest;
mod endorser;
mod fragile;
mod outage;
mod sending;
#[cfg(test)]
mod tests;
mod twin;

use std::collections::VecDeque;
use std::sync::Arc;

use super::adversary::Adversary;
use super::counters::Counters;
use super::drift::Drift;
use super::event::Event;
use super::message::{Answer, Payload, Post, Stored};
use super::{Desk, Disk, Local, World};
use crate::base::crypto::Signer;
use crate::base::node::NodeId;
use crate::base::random::{Random, Stream, mix};
use crate::base::time::{Span, Time};
use crate::chain::ledger::{Ledger, Peer};
use crate::chain::{Executed, Height, Transaction};
use crate::network::Egress;
use crate::protocol::{Context, Effect, Input, Protocol, Setup, Surroundings};

/// A change from outside that a node undergoes at a time.
#[derive(Clone, Copy, Debug)]
enum Control {
    Boot,
    Down(Disk),
    Up,
    /// From here on a dishonest node does not keep what it writes.
    Lapse,
    /// Here it forgets everything since.
    Forget,
    /// From here on it keeps what it writes, and what it wrote.
    Recover,
    /// From here on a dishonest node runs twice.
    Part,
    /// From here on it runs once.
    Unite,
}

/// One node.
#[derive(Debug)]
pub(super) struct ReplicaHost<P: Protocol> {
    id: NodeId,
    /// The position of this node's processor among those of its group.
    processor: usize,
    protocol: P,
    ledger: Ledger,
    /// The state on which this node simulates, if it endorses.
    peer: Peer,
    random: Random,
    signer: Signer,
    adversary: Option<Box<Adversary<P::Message>>>,
    /// What a dishonest node was when it stopped to keep what it writes.
    copy: Option<Box<dishonest::Copy<P>>>,
    /// The other of the two that a dishonest node is.
    twin: Option<Box<twin::Twin<P>>>,
    /// When this node computes more slowly.
    slow: Drift,
    controls: VecDeque<(Time, Control)>,
    up: bool,
    /// Whether the next crash has interrupted work: until then nothing more is done.
    halted: bool,
    /// Outages that are going on; the node returns when the last one is over.
    outages: u32,
    /// Whether the disk was lost since the node was last up.
    amnesia: bool,
    /// When this node crashes next; what would be done only then is never done.
    down_at: Time,
    /// The time of the latest step, and how many there were at that time.
    instant: (Time, u32),
    /// How far what it was asked to do is carried out.
    worked_until: Time,
    /// Where this node stops in the middle of its work, if it does.
    fragile: Option<Box<fragile::Fragile>>,
    /// When its clock runs fast or slow.
    drift: Drift,
    /// The replica as the disk has it, if the next crash may find more in memory: as it was before
    /// the first step after the last write.
    image: Option<P>,
    /// Whether a snapshot has replaced the chain in a step that is not on disk yet.
    adopting: bool,
    /// The height whose blocks are on disk for sure.
    synced: Height,
    /// The height whose execution has been accounted for.
    executed: Height,
    timers: Vec<(Time, u64, P::Timer)>,
    timers_set: u64,
    /// The earliest timer or control.
    next_internal: Time,
    egress: Egress,
    ingress_free: Time,
    sent: u64,
    events: u32,
    effects: Vec<Effect<P::Message, P::Timer>>,
    /// By client host, how many answers of a block are for it; empty between blocks.
    answered: Vec<u32>,
    pub(super) counters: Counters,
    /// Folds everything this node handled, in order.
    pub(super) hash: u64,
}

/// Durable writes in one step at most, and how long ago something may have been forgotten to be
/// written: how far ahead of a crash an image is taken.
const WRITES_IN_A_STEP_MAX: u64 = 16;
const MEMORY: Span = Span::from_millis(500);

/// Steps of one replica in one instant at most. More are a replica that waits for no time at all,
/// again and again: the run would never end.
const STEPS_IN_AN_INSTANT_MAX: u32 = 1_000_000;

impl<P: Protocol> ReplicaHost<P> {
    pub(super) fn new(id: NodeId, processor: usize, signer: Signer, world: &World<P>) -> Self {
        let mut host = Self {
            id,
            processor,
            protocol: world.replica(id),
            ledger: Ledger::new(),
            peer: Peer::default(),
            random: Random::new(world.seed, Stream::Replica(id)),
            signer,
            adversary: world.adversary(id).map(Box::new),
            copy: None,
            twin: None,
            fragile: fragile::Fragile::of(id, world).map(Box::new),
            drift: Drift::new(
                world
                    .clocks
                    .iter()
                    .filter(|clock| clock.node == id)
                    .map(|clock| (clock.during, (clock.speed_thousandths, 1_000)))
                    .collect(),
            ),
            slow: Drift::new(
                world
                    .slow
                    .iter()
                    .filter(|slow| slow.node == id)
                    .map(|slow| (slow.during, (1, slow.factor.max(1))))
                    .collect(),
            ),
            controls: VecDeque::from([(Time::ZERO, Control::Boot)]),
            up: false,
            halted: false,
            outages: 0,
            amnesia: false,
            down_at: Time::MAX,
            instant: (Time::ZERO, 0),
            worked_until: Time::ZERO,
            image: None,
            adopting: false,
            synced: 0,
            executed: 0,
            timers: Vec::new(),
            timers_set: 0,
            next_internal: Time::ZERO,
            egress: Egress::default(),
            ingress_free: Time::ZERO,
            sent: 0,
            events: 0,
            effects: Vec::new(),
            answered: Vec::new(),
            counters: Counters::default(),
            hash: u64::from(id.0),
        };
        host.plan_lapses();
        host
    }

    pub(super) fn id(&self) -> NodeId {
        self.id
    }

    pub(super) fn status(&self) -> Option<crate::protocol::Status> {
        self.up.then(|| self.protocol.status())
    }

    /// When this node next does something by itself.
    #[inline]
    pub(super) fn next_internal(&self) -> Time {
        self.next_internal
    }

    /// Whether what is due at `next_internal` comes before a message from `source` at `time`:
    /// changes from outside come first, timers count as messages of the node to itself.
    #[inline]
    pub(super) fn internal_precedes(&self, time: Time, source: NodeId) -> bool {
        self.next_internal < time
            || (self.next_internal == time && (self.control_is_due() || self.id < source))
    }

    fn control_is_due(&self) -> bool {
        self.controls
            .front()
            .is_some_and(|(at, _)| *at == self.next_internal)
    }

    fn look_ahead(&mut self) {
        let control = self.controls.front().map_or(Time::MAX, |(at, _)| *at);
        let timer = self
            .timers
            .iter()
            .map(|(at, _, _)| *at)
            .min()
            .unwrap_or(Time::MAX);
        self.next_internal = control.min(timer).min(self.next_of_twin());
        let down = self
            .controls
            .iter()
            .find(|(_, c)| matches!(c, Control::Down(_)));
        self.down_at = down.map_or(Time::MAX, |(at, _)| *at);
    }

    /// Does what is due first.
    pub(super) fn run_internal<S: Post<P::Message>>(&mut self, desk: &mut Desk<'_, P, S>) {
        let at = self.next_internal;
        self.counters.events += 1;
        if self.control_is_due() {
            let (_, control) = self.controls.pop_front().expect("a control is due");
            self.look_ahead();
            self.hash = mix(self.hash, at.nanos() ^ 0xc0);
            match control {
                Control::Boot => {
                    self.up = true;
                    self.step(at, Input::Start, desk);
                }
                Control::Down(disk) => self.go_down(at, disk, desk),
                Control::Up => self.come_back(at, desk),
                Control::Lapse => self.lapse(),
                Control::Forget => self.forget(at, desk),
                Control::Recover => self.copy = None,
                Control::Part => self.part(desk.world.seed),
                Control::Unite => self.unite(),
            }
            return;
        }
        self.turn(self.second_is_due());
        let due = (0..self.timers.len()).min_by_key(|&i| (self.timers[i].0, self.timers[i].1));
        let (_, _, timer) = self.timers.swap_remove(due.expect("a timer is due"));
        self.look_ahead();
        if self.halted {
            self.turn(false);
            return;
        }
        if desk.world.trace {
            self.observe(
                at,
                desk.local,
                Event::Fired {
                    timer: format!("{timer:?}"),
                },
            );
        }
        self.hash = mix(self.hash, at.nanos() ^ 0x71);
        self.step(at, Input::Timeout(timer), desk);
        self.turn(false);
    }

    /// Receives one copy of a message that arrives at `at`.
    #[inline]
    pub(super) fn deliver<S: Post<P::Message>>(
        &mut self,
        at: Time,
        from: NodeId,
        stored: &Stored<P::Message>,
        desk: &mut Desk<'_, P, S>,
    ) {
        self.counters.events += 1;
        if !self.up || self.halted {
            self.counters.dropped += 1;
            return;
        }
        self.ingress_free = self.ingress_free.max(at) + Span::from_nanos(stored.receive_ns);
        let cost = |begins| self.priced(Span::from_nanos(stored.handle_ns), begins);
        let processor = &mut desk.local.processors[self.processor];
        let (now, core) = processor.take(self.ingress_free, cost);
        if now >= self.down_at {
            self.counters.dropped += 1;
            return;
        }
        self.counters.delivered += 1;
        if now >= desk.world.warmup {
            self.counters.verifications += u64::from(stored.signatures);
        }
        self.hash = mix(self.hash, at.nanos() ^ u64::from(from.0) << 48);
        if desk.world.trace {
            self.observe(
                now,
                desk.local,
                Event::Delivered {
                    from,
                    kind: stored.kind(),
                },
            );
        }
        match &stored.payload {
            Payload::Protocol(message) => {
                if self.adversary.is_some() && self.misses(now, from, message) {
                    return;
                }
                if desk.world.trace {
                    self.note_oaths(now, message, desk);
                }
                let input = Input::Deliver { from, message };
                self.turn(self.second_hears(from, stored.second));
                self.step_on(core, now, input, desk);
                self.turn(false);
            }
            Payload::Request {
                transaction,
                attempt,
            } => {
                if self.adversary.is_some() && self.ignores(now, from, stored.kind()) {
                    return;
                }
                self.turn(self.second_is_asked(transaction.id));
                self.request(core, now, transaction, *attempt, desk);
                self.turn(false);
            }
            Payload::Proposal(proposal) => self.endorse(core, now, proposal, desk),
            // Only clients take these; nobody sends one here.
            Payload::Reply(_) | Payload::Endorsement { .. } => {}
        }
    }

    /// A client asks: what was executed before is answered again, the rest is for the protocol.
    fn request<S: Post<P::Message>>(
        &mut self,
        core: usize,
        now: Time,
        transaction: &Arc<Transaction>,
        attempt: u32,
        desk: &mut Desk<'_, P, S>,
    ) {
        if attempt > 0
            && let Some(block) = self.ledger.find(transaction.id, &desk.local.executor)
        {
            let answer = Answer::Block(block);
            self.reply(now, transaction.id.client(), answer, 32, desk);
            return;
        }
        self.step_on(core, now, Input::Submit(transaction.clone()), desk);
    }

    /// What work costs on this node that begins now.
    #[inline]
    fn priced(&self, cost: Span, now: Time) -> Span {
        self.slow.wait(cost, now)
    }

    /// One step for an input that needs the processor first.
    fn step<S: Post<P::Message>>(
        &mut self,
        at: Time,
        input: Input<'_, P::Message, P::Timer>,
        desk: &mut Desk<'_, P, S>,
    ) {
        let (now, core) = desk.local.processors[self.processor].take(at, |_| Span::ZERO);
        if now < self.down_at {
            self.step_on(core, now, input, desk);
        }
    }

    /// Whether the node may crash in this step, or before long: until then what the disk holds is
    /// told from what the replica knows.
    #[inline]
    fn may_stop_soon(&self, now: Time, sync: Span) -> bool {
        if let Some(fragile) = &self.fragile
            && fragile.is_near(now)
        {
            return true;
        }
        if self.down_at == Time::MAX {
            return false;
        }
        let writes = self.priced(sync, now) * WRITES_IN_A_STEP_MAX;
        now + writes + MEMORY >= self.down_at
    }

    /// One step of the protocol at `now`, on a core that is free from then on.
    #[inline]
    fn step_on<S: Post<P::Message>>(
        &mut self,
        core: usize,
        now: Time,
        input: Input<'_, P::Message, P::Timer>,
        desk: &mut Desk<'_, P, S>,
    ) {
        self.instant = match self.instant {
            (at, steps) if at == now => (at, steps + 1),
            _ => (now, 1),
        };
        assert!(
            self.instant.1 < STEPS_IN_AN_INSTANT_MAX,
            "time stands still: {} does nothing but wait for no time",
            self.id
        );
        if self.image.is_none() && self.may_stop_soon(now, desk.world.machine.sync) {
            // What is not written when the node crashes is lost: remember what the disk holds.
            self.image = Some(self.protocol.clone());
        }
        let careless = self.adversary.is_some() && self.is_careless(now);
        let reading = self.drift.reading(now);
        let around = Surroundings {
            signer: &self.signer,
            keyring: &desk.world.keyring,
            random: &mut self.random,
            ledger: &mut self.ledger,
            executor: &mut desk.local.executor,
            careless,
        };
        let begins = around.ledger.base_height();
        let mut cx = Context::new(self.id, reading, around, &mut self.effects);
        self.protocol.step(input, &mut cx);
        self.adopting |= self.ledger.base_height() > begins;
        if !self.effects.is_empty() {
            self.act(core, now, desk);
        }
    }

    /// Carries out what the replica wants, in order; work delays what follows it.
    fn act<S: Post<P::Message>>(&mut self, core: usize, start: Time, desk: &mut Desk<'_, P, S>) {
        let mut effects = std::mem::take(&mut self.effects);
        let moment = self.moment(start);
        if let Some(adversary) = &mut self.adversary {
            adversary.bend(moment, &self.signer, &mut effects);
        }
        let mut now = start;
        self.count_writes(&effects);
        for effect in effects.drain(..) {
            let end = now + self.cost(&effect, now, desk.world);
            if end >= self.down_at {
                self.halted = true;
                break; // The machine stops in the middle of this work.
            }
            let point = self
                .fragile
                .is_some()
                .then(|| fragile::point(&effect))
                .flatten();
            if self.stops(point, now, fragile::Side::Before) {
                break;
            }
            now = end;
            self.perform(effect, now, desk);
            if self.stops(point, now, fragile::Side::After) {
                break;
            }
        }
        self.effects = effects;
        if !self.halted && now + Span::from_nanos(1) < self.down_at {
            // Everything this step wrote is on disk. What it did not write is not: the image of
            // an earlier state stands until the next write.
            self.adopting = false;
        }
        desk.local.processors[self.processor].extend(core, start, now);
        self.worked_until = self.worked_until.max(now);
    }

    /// How long an effect keeps the node from doing anything else.
    fn cost(&self, effect: &Effect<P::Message, P::Timer>, now: Time, world: &World<P>) -> Span {
        let machine = &world.machine;
        let cost = match effect {
            Effect::Sign(count) => machine.sign * u64::from(*count),
            Effect::Verify(count) => machine.verify * u64::from(*count),
            Effect::Persist | Effect::Install(_) if self.skips_writes(now) => Span::ZERO,
            Effect::Persist | Effect::Install(_) => machine.sync,
            Effect::Execute(block) => {
                machine.execute * u64::from(block.batch.executions())
                    + machine.verify * u64::from(block.batch.signatures())
            }
            Effect::Answer(..) => machine.execute,
            Effect::Send { .. }
            | Effect::SetTimer { .. }
            | Effect::CancelTimer { .. }
            | Effect::Report(_) => return Span::ZERO,
        };
        self.priced(cost, now)
    }

    fn perform<S: Post<P::Message>>(
        &mut self,
        effect: Effect<P::Message, P::Timer>,
        now: Time,
        desk: &mut Desk<'_, P, S>,
    ) {
        match effect {
            Effect::Send { to, message } => {
                if let Some(to) = self.audience(to) {
                    self.note_statements(now, &to, &message, desk.local);
                    self.send(now, &to, message, desk);
                }
            }
            Effect::SetTimer { timer, after } => {
                self.timers.retain(|(_, _, live)| *live != timer);
                let after = self.drift.wait(after, now);
                self.timers.push((now + after, self.timers_set, timer));
                self.timers_set += 1;
                self.look_ahead();
            }
            Effect::CancelTimer { timer } => {
                self.timers.retain(|(_, _, live)| *live != timer);
                self.look_ahead();
            }
            Effect::Sign(count) => {
                if now >= desk.world.warmup {
                    self.counters.signatures += u64::from(count);
                }
            }
            Effect::Verify(count) => {
                if now >= desk.world.warmup {
                    self.counters.verifications += u64::from(count);
                }
            }
            Effect::Persist => {
                self.synced = self.executed;
                // What follows in this step relies on this write: it is not undone by a crash, and
                // a later write of the same step counts as written with it.
                self.image = None;
            }
            Effect::Execute(block) => self.executed(now, &block, desk),
            Effect::Install(block) => {
                self.executed = block.height;
                self.synced = block.height;
                // It is a write like any other.
                self.image = None;
                self.observe(now, desk.local, Event::Installed { block });
            }
            Effect::Answer(transaction, receipt) => {
                let executed = Executed::Now(receipt);
                let client = transaction.client();
                let answer = Answer::Read {
                    transaction,
                    executed,
                };
                self.reply(now, client, answer, 64, desk);
            }
            Effect::Report(report) => self.observe(now, desk.local, Event::Reported { report }),
        }
    }

    fn observe(&mut self, now: Time, local: &mut Local, event: Event) {
        if self.is_second() {
            return; // Observers hear of the first of two.
        }
        local.events.push((now, self.id, self.events, event));
        self.events += 1;
    }
}

impl<P: Protocol> World<P> {
    /// A replica before its first start.
    fn replica(&self, id: NodeId) -> P {
        let setup = Setup {
            committee: self.committee.clone(),
            me: id,
            batch: self.batch,
        };
        P::new(&self.config, setup)
    }
}
