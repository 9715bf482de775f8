//! What a node sends: messages to other nodes, and answers to clients.

use std::sync::Arc;

use super::ReplicaHost;
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::chain::Block;
use crate::network::Departure;
use crate::protocol::oath::Notary;
use crate::protocol::{Protocol, To, Wire};
use crate::sim::event::Event;
use crate::sim::message::{Answer, Payload, Post, Reply, Stored};
use crate::sim::{Desk, Local};

impl<P: Protocol> ReplicaHost<P> {
    /// A block was executed: observers are told, and clients if it is this node's part.
    pub(super) fn executed<S: Post<P::Message>>(
        &mut self,
        now: Time,
        block: &Arc<Block>,
        desk: &mut Desk<'_, P, S>,
    ) {
        self.executed = block.height;
        if now >= desk.world.warmup {
            self.counters.verifications += u64::from(block.batch.signatures());
        }
        self.observe(
            now,
            desk.local,
            Event::Decided {
                block: block.clone(),
            },
        );
        if desk.world.leader_answers && !self.protocol.status().leads {
            return;
        }
        let mut clients = std::mem::take(&mut self.answered);
        clients.resize(desk.world.client_hosts, 0);
        for transaction in block.batch.transactions() {
            clients[transaction.id.client().index() - desk.world.nodes] += 1;
        }
        for (host, &count) in clients.iter().enumerate().filter(|(_, count)| **count > 0) {
            let client = NodeId::at(desk.world.nodes + host);
            let answer = Answer::Block(block.clone());
            self.reply(now, client, answer, 32 * count, desk);
        }
        clients.clear();
        self.answered = clients;
    }

    pub(super) fn reply<S: Post<P::Message>>(
        &mut self,
        now: Time,
        client: NodeId,
        content: Answer,
        size: u32,
        desk: &mut Desk<'_, P, S>,
    ) {
        if self.is_second() {
            return; // Clients know the first of two.
        }
        let Some(content) = self.bent(now, content) else {
            return;
        };
        let size = 96 + size;
        let leader = self.protocol.status().leader;
        let stored = Stored {
            payload: Payload::Reply(Reply { leader, content }),
            size,
            signatures: 0,
            receive_ns: 0,
            handle_ns: 0,
            last: Time::ZERO,
            second: false,
        };
        self.counters.send_client(now, desk.world, 1, size);
        self.post(now, std::iter::once(client), stored, desk);
    }

    /// Observers hear what an honest node states; of two copies of one, nobody is held to it.
    pub(super) fn note_statements(
        &mut self,
        now: Time,
        to: &To,
        message: &P::Message,
        local: &mut Local,
    ) {
        if self.adversary.is_some() || self.is_second() {
            return;
        }
        let (id, events) = (self.id, &mut self.events);
        message.statements(id, to, &mut |statement| {
            let event = Event::Stated { statement };
            local.events.push((now, id, *events, event));
            *events += 1;
        });
    }

    /// Observers who want to know every message hear what an honest node can prove of others.
    pub(super) fn note_oaths<S>(
        &mut self,
        now: Time,
        message: &P::Message,
        desk: &mut Desk<'_, P, S>,
    ) {
        if self.adversary.is_some() || self.is_second() {
            return;
        }
        let notary = Notary {
            keyring: &desk.world.keyring,
            committee: Some(&desk.world.committee),
        };
        let (id, events) = (self.id, &mut self.events);
        message.oaths(&notary, &mut |oath| {
            let event = Event::Heard { oath };
            desk.local.events.push((now, id, *events, event));
            *events += 1;
        });
    }

    pub(super) fn send<S: Post<P::Message>>(
        &mut self,
        now: Time,
        to: &To,
        message: P::Message,
        desk: &mut Desk<'_, P, S>,
    ) {
        let kind = message.kind();
        let now = now + self.holds(now, kind, to);
        let (size, signatures) = (message.size(), message.signatures());
        let stored = Stored {
            payload: Payload::Protocol(message),
            size,
            signatures,
            receive_ns: desk.world.network.receive(size).nanos(),
            handle_ns: desk.world.machine.receive(size, signatures).nanos(),
            last: Time::ZERO,
            second: self.is_second(),
        };
        match to {
            To::One(node) => {
                self.counters.send(now, desk.world, kind, 1, size);
                self.post(now, std::iter::once(*node), stored, desk);
            }
            To::All(committee) => {
                // Members in order from the one after the sender: nobody is always last.
                let members = committee.members();
                let after = committee
                    .position(self.id)
                    .map_or(0, |position| position + 1);
                let (before, rest) = members.split_at(after);
                let me = self.id;
                let copies = members.len() - usize::from(committee.contains(me));
                self.counters.send(now, desk.world, kind, copies, size);
                let others = rest
                    .iter()
                    .chain(before)
                    .copied()
                    .filter(move |&node| node != me);
                self.post(now, others, stored, desk);
            }
        }
    }

    #[inline]
    pub(super) fn post<S: Post<P::Message>>(
        &mut self,
        now: Time,
        to: impl Iterator<Item = NodeId>,
        mut stored: Stored<P::Message>,
        desk: &mut Desk<'_, P, S>,
    ) {
        let departure = Departure {
            from: self.id,
            count: self.sent,
            at: now,
            size: stored.size,
        };
        self.sent += 1;
        let id = self.id;
        let mut last = Time::ZERO;
        if desk.world.trace {
            let (kind, bytes) = (stored.kind(), stored.size);
            let to: Vec<NodeId> = to.collect();
            let losses = desk.world.network.route(
                &departure,
                to.into_iter(),
                &mut self.egress,
                |to, arrival| {
                    last = last.max(arrival);
                    desk.post.copy(id, departure.count, to, arrival);
                    let sent = Event::Sent {
                        to,
                        kind,
                        bytes,
                        arrival: Some(arrival),
                    };
                    desk.local.events.push((now, id, self.events, sent));
                    self.events += 1;
                },
            );
            self.counters.lose(losses);
        } else {
            let losses =
                desk.world
                    .network
                    .route(&departure, to, &mut self.egress, |to, arrival| {
                        last = last.max(arrival);
                        desk.post.copy(id, departure.count, to, arrival);
                    });
            self.counters.lose(losses);
        }
        stored.last = last;
        desk.post.message(id, stored);
    }
}
