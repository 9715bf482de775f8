//! Client hosts: the application servers of the hospitals. They submit transactions at a given
//! rate (open loop) or keep a number outstanding (closed loop), collect replies, and ask again
//! when an answer is overdue. Their own work is free: each stands for many machines.

mod endorsing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::contact::Contacts;
use super::event::Event;
use super::message::{Answer, Payload, Post, Reply, Stored};
use super::{Desk, Execution, Local, World};
use crate::base::crypto::Digest;
use crate::base::distribution::{Distribution, Law};
use crate::base::node::{NodeId, PositionSet};
use crate::base::random::{Random, Stream};
use crate::base::time::{Span, Time};
use crate::base::units::{Rate, Ratio};
use crate::chain::{Executed, Height, Transaction, TransactionId};
use crate::contract::author::Author;
use crate::contract::{Receipt, SignedCall};
use crate::network::{Departure, Egress};
use crate::protocol::{Protocol, Retry};
use endorsing::{Endorsers, Gathering};

/// When transactions are submitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrivals {
    /// At a rate that does not depend on the answers.
    Open {
        /// Of all client hosts together.
        rate: Rate,
        /// Regularly instead of as a Poisson process.
        even: bool,
    },
    /// A number of clients, each with one transaction outstanding.
    Closed {
        /// Of all client hosts together.
        clients: u32,
        /// The pause between an answer and the next transaction.
        think: Span,
    },
}

/// A transaction without an answer.
#[derive(Clone, Debug)]
struct Pending {
    /// What the client wants.
    transaction: Arc<Transaction>,
    /// What a client of two faces wants of others under the same name.
    other: Option<Arc<Transaction>>,
    submitted: Time,
    /// How often it has been endorsed to no avail.
    round: u32,
    /// Which endorsers are asked next.
    turn: u64,
    /// When the client asks again, if it has heard nothing until then.
    deadline: Time,
    stage: Stage,
}

/// A transaction, and another one of the same name.
type Faces = (Arc<Transaction>, Option<Arc<Transaction>>);

/// Where a transaction is on its way.
#[derive(Clone, Debug)]
enum Stage {
    /// It is to be ordered.
    Ordering {
        /// As it was sent; what was endorsed has a name of its own.
        sent: Arc<Transaction>,
        attempt: u32,
    },
    /// Endorsers were asked.
    Endorsing(Gathering),
    /// It came to nothing, and the client waits before it has it endorsed again.
    Waiting,
}

/// One client host.
#[derive(Debug)]
pub struct ClientHost {
    id: NodeId,
    author: Author,
    random: Random,
    /// The time between two arrivals of this host, in an open loop.
    interval: Option<Distribution>,
    think: Span,
    /// Submissions to come, in order of time.
    due: VecDeque<Time>,
    /// When to ask again, in order of time; entries of answered transactions are passed over.
    overdue: VecDeque<(Time, u64)>,
    pending: BTreeMap<u64, Pending>,
    /// The transactions that endorsed ones stand for, by number.
    endorsed: BTreeMap<u64, u64>,
    /// When to have transactions endorsed again.
    again: BTreeSet<(Time, u64)>,
    endorsers: Endorsers,
    /// The highest height this host has heard of.
    height: Height,
    /// Who has replied with which block.
    replies: BTreeMap<(Height, Digest), Replies>,
    contacts: Contacts,
    /// Whom this host asks first.
    target: NodeId,
    /// Names given out.
    named: u64,
    egress: Egress,
    sent: u64,
    events: u32,
    /// Counted like a replica's, but as client traffic.
    pub(super) counters: super::counters::Counters,
    pub(super) hash: u64,
}

#[derive(Clone, Debug)]
enum Replies {
    Waiting(PositionSet),
    Enough,
}

/// Blocks below the highest one seen whose replies are still told apart.
const REPLY_HORIZON: Height = 4_096;

impl ClientHost {
    /// The host `id` of all client hosts of a run.
    pub(super) fn new<P: Protocol>(id: NodeId, author: Author, world: &World<P>) -> Self {
        let index = (id.index() - world.nodes) as u64;
        let hosts = world.client_hosts as u64;
        let mut due = VecDeque::new();
        let mut random = Random::new(world.seed, Stream::Workload(id));
        let mut think = Span::ZERO;
        let interval = match world.workload.arrivals {
            Arrivals::Open { rate, even } => {
                let mean = rate.interval() * hosts;
                let floor = Span::ZERO;
                let law = match even {
                    true => Law::Constant(mean),
                    false => Law::Exponential { mean, floor },
                };
                let interval = Distribution::new(&law);
                let first = if even {
                    rate.interval() * index
                } else {
                    interval.at(random.bits())
                };
                due.push_back(Time::ZERO + first);
                Some(interval)
            }
            Arrivals::Closed {
                clients,
                think: pause,
            } => {
                think = pause;
                let mine = (u64::from(clients) + hosts - 1 - index) / hosts;
                due.extend((0..mine).map(|_| Time::ZERO));
                None
            }
        };
        let gateways = &world.workload.gateways;
        Self {
            id,
            author,
            random,
            interval,
            think,
            due,
            overdue: VecDeque::new(),
            pending: BTreeMap::new(),
            endorsed: BTreeMap::new(),
            again: BTreeSet::new(),
            endorsers: Endorsers::starting(index),
            height: 0,
            replies: BTreeMap::new(),
            contacts: Contacts::new(world.seed, id),
            target: gateways[0],
            named: 0,
            egress: Egress::default(),
            sent: 0,
            events: 0,
            counters: super::counters::Counters::default(),
            hash: 0,
        }
    }

    /// When this host next does something by itself.
    pub(super) fn next_internal(&self) -> Time {
        let due = self.due.front().copied().unwrap_or(Time::MAX);
        let overdue = self.overdue.front().map_or(Time::MAX, |(at, _)| *at);
        let again = self.again.first().map_or(Time::MAX, |(at, _)| *at);
        due.min(overdue).min(again).min(self.contacts.next())
    }

    /// Does what is due first.
    pub(super) fn run_internal<P: Protocol, S: Post<P::Message>>(
        &mut self,
        desk: &mut Desk<'_, P, S>,
    ) {
        let now = self.next_internal();
        self.counters.events += 1;
        if self.due.front() == Some(&now) {
            self.due.pop_front();
            if now >= desk.world.workload.until {
                return;
            }
            if let Some(interval) = &self.interval {
                self.due.push_back(now + interval.at(self.random.bits()));
            }
            self.submit(now, desk);
        } else if let Some(&(at, number)) = self.again.first()
            && at == now
        {
            self.again.pop_first();
            self.propose(now, number, desk);
        } else if let Some((transaction, asked)) = self.contacts.begin(now) {
            self.observe(now, desk.local, Event::Contacted { transaction, asked });
        } else {
            let (_, number) = self.overdue.pop_front().expect("something is due");
            self.remind(now, number, desk);
        }
    }

    /// Asks again for a transaction of which nothing was heard.
    fn remind<P: Protocol, S: Post<P::Message>>(
        &mut self,
        now: Time,
        number: u64,
        desk: &mut Desk<'_, P, S>,
    ) {
        let Some(pending) = self.pending.get_mut(&number) else {
            return;
        };
        if pending.deadline > now {
            let deadline = pending.deadline;
            self.watch(deadline, number);
            return;
        }
        pending.deadline = now + desk.world.workload.retry;
        let deadline = pending.deadline;
        match &mut pending.stage {
            Stage::Ordering { sent, attempt } => {
                *attempt += 1;
                let (faces, attempt) = ((sent.clone(), pending.other.clone()), *attempt);
                self.watch(deadline, number);
                self.ask_again(now, faces, attempt, desk);
            }
            Stage::Endorsing(_) => {
                self.watch(deadline, number);
                self.propose(now, number, desk);
            }
            Stage::Waiting => self.watch(deadline, number),
        }
    }

    /// Sends a request again to whom the protocol's clients turn then.
    fn ask_again<P: Protocol, S: Post<P::Message>>(
        &mut self,
        now: Time,
        faces: Faces,
        attempt: u32,
        desk: &mut Desk<'_, P, S>,
    ) {
        let gateways = &desk.world.workload.gateways;
        match P::RETRY {
            // Answers to others set the target back to who leads, so that only the node after that
            // one is asked: what comes to nothing there goes round by itself in the end.
            Retry::Next if attempt as usize > gateways.len() => {
                let turn = faces.0.id.number() + u64::from(attempt);
                let to = [gateways[(turn % gateways.len() as u64) as usize]];
                self.ask(now, faces, attempt, &to, desk);
            }
            Retry::Next => {
                self.target = self.next_gateway(gateways);
                let to = [self.target];
                self.ask(now, faces, attempt, &to, desk);
            }
            Retry::All => {
                let to: Vec<NodeId> = (0..desk.world.nodes).map(NodeId::at).collect();
                self.ask(now, faces, attempt, &to, desk);
            }
        }
    }

    /// The one after the gateway that this host asks first.
    fn next_gateway(&self, gateways: &[NodeId]) -> NodeId {
        let at = gateways.iter().position(|&node| node == self.target);
        gateways[(at.unwrap_or(0) + 1) % gateways.len()]
    }

    /// Sends a request; if there are two of one name, each to one half of those who are asked, and
    /// the other way round the next time.
    fn ask<P: Protocol, S: Post<P::Message>>(
        &mut self,
        now: Time,
        (transaction, other): Faces,
        attempt: u32,
        to: &[NodeId],
        desk: &mut Desk<'_, P, S>,
    ) {
        let Some(other) = other else {
            self.request(now, transaction, attempt, to, desk);
            return;
        };
        let second = |node: &NodeId| (node.index() + attempt as usize) % 2 == 1;
        let (second, first): (Vec<NodeId>, Vec<NodeId>) = to.iter().partition(|node| second(node));
        for (face, to) in [(transaction, first), (other, second)] {
            if !to.is_empty() {
                self.request(now, face, attempt, &to, desk);
            }
        }
    }

    /// What this client also calls by the name of a transaction, if it has two faces. Nothing is
    /// gained by asking two questions.
    fn double<P: Protocol>(
        &mut self,
        transaction: &Transaction,
        world: &World<P>,
    ) -> Option<Arc<Transaction>> {
        let share = world.workload.two_faced;
        let doubles = share > Ratio::ZERO && self.random.chance(share);
        if !doubles || transaction.call.reads_only() {
            return None;
        }
        let call = self.author.next(&mut self.random, self.height);
        let other = Transaction::new(transaction.id, call);
        let differs = other.digest != transaction.digest && !other.call.reads_only();
        differs.then_some(other)
    }

    /// Looks after a transaction again at a time.
    fn watch(&mut self, at: Time, number: u64) {
        let place = self.overdue.partition_point(|(time, _)| *time <= at);
        self.overdue.insert(place, (at, number));
    }

    /// The number of the next name.
    fn name(&mut self) -> u64 {
        self.named += 1;
        self.named - 1
    }

    /// Submits a new transaction.
    fn submit<P: Protocol, S: Post<P::Message>>(&mut self, now: Time, desk: &mut Desk<'_, P, S>) {
        let call: SignedCall = self.author.next(&mut self.random, self.height);
        let number = self.name();
        let transaction = Transaction::new(TransactionId::new(self.id, number), call);
        let submitted = Event::Submitted {
            transaction: transaction.clone(),
        };
        self.observe(now, desk.local, submitted);
        let other = self.double(&transaction, desk.world);
        if let Some(transaction) = &other {
            let transaction = transaction.clone();
            self.observe(now, desk.local, Event::Doubled { transaction });
        }
        let deadline = now + desk.world.workload.retry;
        self.endorsers.turn += desk.world.client_hosts as u64;
        let pending = Pending {
            transaction: transaction.clone(),
            other: other.clone(),
            submitted: now,
            round: 0,
            turn: self.endorsers.turn,
            deadline,
            stage: Stage::Ordering {
                sent: transaction.clone(),
                attempt: 0,
            },
        };
        self.pending.insert(number, pending);
        self.watch(deadline, number);
        match desk.world.execution {
            Execution::OrderExecute => {
                let target = self.target;
                if other.is_none() {
                    self.request(now, transaction, 0, &[target], desk);
                } else {
                    let to = [target, self.next_gateway(&desk.world.workload.gateways)];
                    self.ask(now, (transaction, other), 0, &to, desk);
                }
            }
            Execution::Validate { .. } => self.propose(now, number, desk),
        }
    }

    fn request<P: Protocol, S: Post<P::Message>>(
        &mut self,
        now: Time,
        transaction: Arc<Transaction>,
        attempt: u32,
        to: &[NodeId],
        desk: &mut Desk<'_, P, S>,
    ) {
        let size = 32 + transaction.size();
        let payload = Payload::Request {
            transaction,
            attempt,
        };
        self.send(now, (payload, size, 0), to, desk);
    }

    /// Sends a payload of a size to nodes, which verify so many signatures before they act.
    fn send<P: Protocol, S: Post<P::Message>>(
        &mut self,
        now: Time,
        (payload, size, signatures): (Payload<P::Message>, u32, u32),
        to: &[NodeId],
        desk: &mut Desk<'_, P, S>,
    ) {
        let stored = Stored {
            payload,
            size,
            signatures,
            receive_ns: desk.world.network.receive(size).nanos(),
            handle_ns: desk.world.machine.request(size, signatures).nanos(),
            last: Time::ZERO,
            second: false,
        };
        let departure = Departure {
            from: self.id,
            count: self.sent,
            at: now,
            size,
        };
        self.sent += 1;
        self.counters.send_client(now, desk.world, to.len(), size);
        let (id, trace, kind) = (self.id, desk.world.trace, stored.kind());
        let mut last = Time::ZERO;
        let losses = desk.world.network.route(
            &departure,
            to.iter().copied(),
            &mut self.egress,
            |to, arrival| {
                last = last.max(arrival);
                desk.post.copy(id, departure.count, to, arrival);
                if trace {
                    let sent = Event::Sent {
                        to,
                        kind,
                        bytes: size,
                        arrival: Some(arrival),
                    };
                    desk.local.events.push((now, id, self.events, sent));
                    self.events += 1;
                }
            },
        );
        self.counters.lose(losses);
        desk.post.message(self.id, Stored { last, ..stored });
    }

    /// Receives an answer of a node.
    pub(super) fn deliver<P: Protocol, S: Post<P::Message>>(
        &mut self,
        now: Time,
        from: NodeId,
        stored: &Stored<P::Message>,
        desk: &mut Desk<'_, P, S>,
    ) {
        self.counters.events += 1;
        self.counters.delivered += 1;
        match &stored.payload {
            Payload::Reply(reply) => self.replied(now, from, reply, desk),
            Payload::Endorsement {
                proposal,
                endorsement,
                head,
            } => self.gather(now, proposal, endorsement, *head, desk),
            // Only nodes take anything else; nobody sends it here.
            Payload::Protocol(_) | Payload::Request { .. } | Payload::Proposal(_) => {}
        }
    }

    /// Counts a node's reply.
    fn replied<P: Protocol, S: Post<P::Message>>(
        &mut self,
        now: Time,
        from: NodeId,
        reply: &Reply,
        desk: &mut Desk<'_, P, S>,
    ) {
        let Reply { leader, content } = reply;
        let workload = &desk.world.workload;
        if let Some(leader) = leader
            && workload.gateways.contains(leader)
        {
            self.target = *leader;
        }
        let block = match content {
            Answer::Read {
                transaction,
                executed,
            } => {
                self.answer(now, transaction.number(), None, executed, desk);
                return;
            }
            Answer::Block(block) => block,
        };
        let key = (block.height, block.digest);
        let replies = self
            .replies
            .entry(key)
            .or_insert_with(|| Replies::Waiting(PositionSet::new()));
        self.height = self.height.max(block.height);
        let Replies::Waiting(nodes) = replies else {
            return;
        };
        nodes.insert(from.index());
        if nodes.len() < workload.replies {
            return;
        }
        *replies = Replies::Enough;
        for (transaction, executed) in block.batch.transactions().iter().zip(&block.executed) {
            if transaction.id.client() == self.id {
                let number = transaction.id.number();
                self.answer(now, number, Some(block.height), executed, desk);
            }
        }
        let horizon = block.height.saturating_sub(REPLY_HORIZON);
        if self.replies.len() > 2 * REPLY_HORIZON as usize {
            self.replies.retain(|(height, _), _| *height >= horizon);
        }
    }

    /// Takes what became of a transaction under the name under which it was ordered.
    fn answer<P: Protocol, S: Post<P::Message>>(
        &mut self,
        now: Time,
        ordered: u64,
        height: Option<Height>,
        executed: &Executed,
        desk: &mut Desk<'_, P, S>,
    ) {
        let submitted = self.endorsed.remove(&ordered);
        let number = submitted.unwrap_or(ordered);
        if submitted.is_some()
            && let Executed::Now(Receipt::Refused(code)) = executed
            && self.postpone(now, number, *code, desk.world)
        {
            return;
        }
        let endorsed = submitted.map(|_| TransactionId::new(self.id, ordered));
        self.finish(now, number, (endorsed, height, executed), desk);
    }

    /// Takes an answer, if it is the first one for this transaction.
    fn finish<P: Protocol, S: Post<P::Message>>(
        &mut self,
        now: Time,
        number: u64,
        (endorsed, height, executed): (Option<TransactionId>, Option<Height>, &Executed),
        desk: &mut Desk<'_, P, S>,
    ) {
        let Some(pending) = self.pending.remove(&number) else {
            return;
        };
        if let Executed::Now(receipt) = executed {
            self.author.learn(&pending.transaction.call, receipt);
            let transaction = &pending.transaction;
            if *receipt == Receipt::Accepted && transaction.call.asks_contact() {
                let channel = &desk.world.workload.contact;
                self.contacts
                    .posted(now, pending.submitted, transaction.id, channel);
            }
        }
        let answered = Event::Answered {
            transaction: pending.transaction.id,
            endorsed,
            submitted: pending.submitted,
            height: height.filter(|_| *executed != Executed::Before),
            executed: executed.clone(),
        };
        self.observe(now, desk.local, answered);
        while let Some((_, front)) = self.overdue.front()
            && !self.pending.contains_key(front)
        {
            self.overdue.pop_front();
        }
        if self.interval.is_none() {
            let next = now + self.think;
            let place = self.due.partition_point(|at| *at <= next);
            self.due.insert(place, next);
        }
    }

    fn observe(&mut self, now: Time, local: &mut Local, event: Event) {
        local.events.push((now, self.id, self.events, event));
        self.events += 1;
    }
}
