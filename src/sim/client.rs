//! Client hosts: the application servers of the hospitals. They submit transactions at a given
//! rate (open loop) or keep a number outstanding (closed loop), collect replies, and ask again
//! when an answer is overdue. Their own work is free: each stands for many machines.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::event::Event;
use super::message::{Answer, Payload, Post, Reply, Stored};
use super::{Desk, Local, World};
use crate::base::crypto::Digest;
use crate::base::distribution::{Distribution, Law};
use crate::base::node::{NodeId, PositionSet};
use crate::base::random::{Random, Stream};
use crate::base::time::{Span, Time};
use crate::base::units::Rate;
use crate::chain::{Executed, Height, Transaction, TransactionId};
use crate::contract::SignedCall;
use crate::contract::author::Author;
use crate::network::{Departure, Egress};
use crate::protocol::{Protocol, Retry};

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
    transaction: Arc<Transaction>,
    submitted: Time,
    attempt: u32,
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
    /// Who has replied with which block.
    replies: BTreeMap<(Height, Digest), Replies>,
    /// Whom this host asks first.
    target: NodeId,
    submitted: u64,
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
                let law = if even {
                    Law::Constant(mean)
                } else {
                    Law::Exponential {
                        mean,
                        floor: Span::ZERO,
                    }
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
            replies: BTreeMap::new(),
            target: gateways[0],
            submitted: 0,
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
        due.min(overdue)
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
            if let Some(interval) = &self.interval {
                self.due.push_back(now + interval.at(self.random.bits()));
            }
            self.submit(now, desk);
            return;
        }
        let (_, number) = self.overdue.pop_front().expect("something is due");
        let Some(pending) = self.pending.get_mut(&number) else {
            return;
        };
        pending.attempt += 1;
        let (transaction, attempt) = (pending.transaction.clone(), pending.attempt);
        self.overdue
            .push_back((now + desk.world.workload.retry, number));
        let gateways = &desk.world.workload.gateways;
        match P::RETRY {
            Retry::Next => {
                let at = gateways.iter().position(|&node| node == self.target);
                self.target = gateways[(at.unwrap_or(0) + 1) % gateways.len()];
                let to = [self.target];
                self.request(now, transaction, attempt, &to, desk);
            }
            Retry::All => {
                let to: Vec<NodeId> = (0..desk.world.nodes).map(NodeId::at).collect();
                self.request(now, transaction, attempt, &to, desk);
            }
        }
    }

    /// Submits a new transaction.
    fn submit<P: Protocol, S: Post<P::Message>>(&mut self, now: Time, desk: &mut Desk<'_, P, S>) {
        let height = self
            .replies
            .last_key_value()
            .map_or(0, |((height, _), _)| *height);
        let call: SignedCall = self.author.next(&mut self.random, height);
        let number = self.submitted;
        self.submitted += 1;
        let transaction = Transaction::new(TransactionId::new(self.id, number), call);
        let submitted = Event::Submitted {
            transaction: transaction.clone(),
        };
        self.observe(now, desk.local, submitted);
        let pending = Pending {
            transaction: transaction.clone(),
            submitted: now,
            attempt: 0,
        };
        self.pending.insert(number, pending);
        self.overdue
            .push_back((now + desk.world.workload.retry, number));
        let to = [self.target];
        self.request(now, transaction, 0, &to, desk);
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
        let stored = Stored {
            payload: Payload::Request {
                transaction,
                attempt,
            },
            size,
            signatures: 0,
            receive_ns: desk.world.network.receive(size).nanos(),
            handle_ns: desk.world.machine.request(size).nanos(),
            last: Time::ZERO,
        };
        let departure = Departure {
            from: self.id,
            count: self.sent,
            at: now,
            size,
        };
        self.sent += 1;
        self.counters.send_client(now, desk.world, to.len(), size);
        let (id, trace) = (self.id, desk.world.trace);
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
                        kind: "request",
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

    /// Receives a reply.
    pub(super) fn deliver<P: Protocol>(
        &mut self,
        now: Time,
        from: NodeId,
        stored: &Stored<P::Message>,
        world: &World<P>,
        local: &mut Local,
    ) {
        self.counters.events += 1;
        self.counters.delivered += 1;
        let Payload::Reply(Reply { leader, content }) = &stored.payload else {
            return; // Only nodes take anything else; nobody sends it here.
        };
        if let Some(leader) = leader
            && world.workload.gateways.contains(leader)
        {
            self.target = *leader;
        }
        match content {
            Answer::Read {
                transaction,
                executed,
            } => {
                self.answer(now, transaction.number(), None, executed, local);
            }
            Answer::Block(block) => {
                let key = (block.height, block.digest);
                let replies = self
                    .replies
                    .entry(key)
                    .or_insert_with(|| Replies::Waiting(PositionSet::new()));
                let Replies::Waiting(nodes) = replies else {
                    return;
                };
                nodes.insert(from.index());
                if nodes.len() < world.workload.replies {
                    return;
                }
                *replies = Replies::Enough;
                for (transaction, executed) in
                    block.batch.transactions().iter().zip(&block.executed)
                {
                    if transaction.id.client() == self.id {
                        let number = transaction.id.number();
                        self.answer(now, number, Some(block.height), executed, local);
                    }
                }
                let horizon = block.height.saturating_sub(REPLY_HORIZON);
                if self.replies.len() > 2 * REPLY_HORIZON as usize {
                    self.replies.retain(|(height, _), _| *height >= horizon);
                }
            }
        }
    }

    /// Takes an answer, if it is the first one for this transaction.
    fn answer(
        &mut self,
        now: Time,
        number: u64,
        height: Option<Height>,
        executed: &Executed,
        local: &mut Local,
    ) {
        let Some(pending) = self.pending.remove(&number) else {
            return;
        };
        if let Executed::Now(receipt) = executed {
            self.author.learn(&pending.transaction.call, receipt);
        }
        let answered = Event::Answered {
            transaction: pending.transaction.id,
            submitted: pending.submitted,
            height: height.filter(|_| *executed != Executed::Before),
            executed: executed.clone(),
        };
        self.observe(now, local, answered);
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
