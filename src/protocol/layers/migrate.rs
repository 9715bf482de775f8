//! Migration: a patient registers at a further record node, which gets the earlier records from one
//! that has them, in the same network or, through the index, in another one.

use std::sync::Arc;

use super::config::Route;
use super::edge::item_rid;
use super::fact::Fact;
use super::header::Note;
use super::message::{Chunk, Ticket, TransactionRef};
use super::record::Wanted;
use super::table::{Meaning, Stage};
use super::topology::Role;
use super::{Cx, Layers, Message, Timer};
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::base::random::mix;
use crate::chain::Transaction;
use crate::contract::access::Scope;
use crate::contract::message::RecordId;
use crate::protocol::Report;

/// Times that records are asked for before those that nobody sends are given up.
const ROUNDS_MAX: u32 = 6;

/// The patient and the receiver of a grant.
fn parties(auth: &Transaction) -> Option<(Digest, Digest)> {
    match Meaning::of(auth) {
        Meaning::Registration { user, party, .. } => Some((user, party)),
        Meaning::Record(_) | Meaning::Revocation { .. } | Meaning::Nothing => None,
    }
}

/// Whether a grant covers a record.
fn covers(auth: &Transaction, record: &Transaction) -> bool {
    let (Meaning::Registration { terms, user, .. }, Meaning::Record(content)) =
        (Meaning::of(auth), Meaning::of(record))
    else {
        return false;
    };
    content.pid.0 == user
        && match &terms.scope {
            Scope::All => true,
            Scope::Kinds(kinds) => kinds.contains(&content.kind),
            Scope::Records(rids) => rids.contains(&content.rid),
        }
}

impl Layers {
    /// A patient registers here.
    pub(super) fn register(&mut self, auth: &Arc<Transaction>, cx: &mut Cx<'_>) {
        let Some((user, _)) = parties(auth) else {
            return;
        };
        let began = self.topology.row(&user, self.net).contains(&cx.me());
        let wanted = Wanted {
            auth: auth.clone(),
            decided: began,
            tried: Vec::new(),
            have: Vec::new(),
            rounds: 0,
        };
        if !began {
            self.durable
                .store
                .registrations
                .entry(auth.id)
                .or_insert(wanted);
            cx.persist();
        }
        self.tell_leader(Message::Register(auth.clone()), cx);
        cx.set_timer(Timer::Request, self.config.relay_timeout);
    }

    /// The registration is in the chain: the earlier records are asked for.
    pub(super) fn begin_migration(&mut self, auth: &Arc<Transaction>, cx: &mut Cx<'_>) {
        if let Some(wanted) = self.durable.store.registrations.get_mut(&auth.id) {
            wanted.decided = true;
            cx.persist();
            self.ask_for_records(auth, cx);
        }
    }

    fn ask_for_records(&mut self, auth: &Arc<Transaction>, cx: &mut Cx<'_>) {
        let Some(wanted) = self.durable.store.registrations.get_mut(&auth.id) else {
            return;
        };
        wanted.rounds += 1;
        let (tried, given_up) = (wanted.tried.clone(), wanted.rounds > ROUNDS_MAX);
        let have = wanted.have.clone();
        let auth = auth.clone();
        let message = if given_up {
            Message::MigDone { auth, have, tried }
        } else {
            Message::MigRequest { auth, tried }
        };
        self.tell_leader(message, cx);
        cx.set_timer(Timer::Migrate, self.config.migration_timeout);
    }

    /// Nothing has come for long: the next source is asked.
    pub(super) fn on_migration_overdue(&mut self, cx: &mut Cx<'_>) {
        let waiting = self.durable.store.registrations.values();
        let waiting: Vec<_> = waiting
            .filter(|wanted| wanted.decided && wanted.rounds <= ROUNDS_MAX * 4)
            .map(|wanted| wanted.auth.clone())
            .collect();
        for auth in waiting {
            self.ask_for_records(&auth, cx);
        }
    }

    /// A record node wants the earlier records of a patient: whoever leads finds a source.
    pub(super) fn on_mig_request(
        &mut self,
        from: NodeId,
        (auth, tried): (&Arc<Transaction>, &[NodeId]),
        cx: &mut Cx<'_>,
    ) {
        let Some((user, _)) = parties(auth) else {
            return;
        };
        let row = self.desk().table.row(&user);
        let Some(registration) = row.get(&from) else {
            self.refuse_migration(from, auth, cx);
            return;
        };
        if !registration.waits_by(auth) {
            self.refuse_migration(from, auth, cx);
            return;
        }
        let Some(header) = self.header_at(registration.since, cx) else {
            return;
        };
        let ticket = Ticket {
            user,
            node: from,
            auth: TransactionRef(auth.clone()),
            header,
            tried: tried.to_vec(),
        };
        if let Some(source) = self.source(&ticket) {
            cx.send(source, Message::MigForward(Box::new(ticket)));
            return;
        }
        let others = row
            .iter()
            .any(|(n, r)| *n != from && r.stage == Stage::Active);
        if others || self.topology.edges() == 1 {
            return; // All were asked; the node says what it has in the end.
        }
        let index = self.topology.relay(self.net, &user, tried.len() as u32);
        cx.send(index, Message::MigForward(Box::new(ticket)));
    }

    /// A registration that is over, or was never made, needs no records.
    fn refuse_migration(&mut self, to: NodeId, auth: &Arc<Transaction>, cx: &mut Cx<'_>) {
        if cx.includes(auth.id) {
            cx.send(to, Message::MigRefuse(auth.id));
        }
    }

    /// Who of this network is asked for a patient's records: the one that the patient's name and
    /// the receiver's number choose, of those who were not asked.
    fn source(&mut self, ticket: &Ticket) -> Option<NodeId> {
        let row = self.desk().table.row(&ticket.user);
        let able = row
            .iter()
            .filter(|(node, r)| **node != ticket.node && r.stage == Stage::Active)
            .map(|(node, _)| *node)
            .filter(|node| !ticket.tried.contains(node));
        let order = |node: &NodeId| mix(ticket.user.prefix(), u64::from(node.0));
        able.min_by_key(order)
    }

    /// Whether a ticket gives its holder the right to a patient's records.
    fn is_valid(&self, ticket: &Ticket, cx: &Cx<'_>) -> bool {
        let auth = &ticket.auth.0;
        let Some((user, party)) = parties(auth) else {
            return false;
        };
        let net = self.topology.net_of(ticket.node);
        user == ticket.user
            && self.topology.serves(&party) == ticket.node
            && ticket.header.net == net
            && ticket.header.position(auth).is_some()
            && ticket
                .header
                .verify(&self.topology, &self.config, cx.keyring())
    }

    /// A ticket, on its way to somebody who has the records.
    pub(super) fn on_mig_forward(&mut self, from: NodeId, ticket: &Ticket, cx: &mut Cx<'_>) {
        if !self.is_valid(ticket, cx) {
            cx.report(Report::Reached("ticket-invalid"));
            return;
        }
        match self.role {
            Role::Record => self.hand_over(from, ticket, cx),
            Role::Index => self.forward_ticket(ticket, cx),
            Role::Consensus => {
                if let Some(source) = self.source(ticket) {
                    cx.send(source, Message::MigForward(Box::new(ticket.clone())));
                } else {
                    cx.report(Report::Reached("no-source"));
                }
            }
        }
    }

    /// Sends everything of a patient that a grant covers, part by part.
    fn hand_over(&mut self, from: NodeId, ticket: &Ticket, cx: &mut Cx<'_>) {
        let consensus = self.topology.edge(self.net).consensus.contains(from);
        if !consensus {
            return; // Only one's own network names sources.
        }
        let records = self.durable.store.records.values();
        let covered = records.filter(|item| covers(&ticket.auth.0, &item.transaction.0));
        let mut items: Vec<_> = covered.cloned().collect();
        items.sort_by_key(|item| (item.place, item_rid(item)));
        let abroad = self.topology.net_of(ticket.node) != self.net;
        for item in &mut items {
            if abroad || item.place.0 != self.net {
                item.header = self.durable.headers.get(&item.place).cloned();
            }
        }
        let (user, node) = (ticket.user, ticket.node);
        cx.report(Report::Shared(Box::new(Fact::Handed { user, to: node })));
        let to = match self.config.route {
            Route::ViaIndex if abroad => self.topology.relay(self.net, &user, 0),
            Route::ViaIndex | Route::Direct => node,
        };
        let parts = items.chunks(self.config.chunk).collect::<Vec<_>>();
        let count = parts.len().max(1);
        for at in 0..count {
            let chunk = Chunk {
                user,
                node,
                source: cx.me(),
                items: parts.get(at).map_or(Vec::new(), |items| items.to_vec()),
                last: at + 1 == count,
            };
            cx.send(to, Message::MigChunk(Box::new(chunk)));
        }
    }

    /// Records of a migration arrive, or pass through the index.
    pub(super) fn on_mig_chunk(&mut self, chunk: &Chunk, cx: &mut Cx<'_>) {
        if self.role == Role::Index {
            let net = self.topology.net_of(chunk.node);
            let next = if net == self.net {
                chunk.node
            } else {
                self.topology.relay(net, &chunk.user, 0)
            };
            cx.send(next, Message::MigChunk(Box::new(chunk.clone())));
            return;
        }
        let wanted = self.durable.store.registrations.values();
        let wanted: Vec<_> = wanted
            .filter(|wanted| {
                wanted.decided && parties(&wanted.auth).is_some_and(|(user, _)| user == chunk.user)
            })
            .map(|wanted| wanted.auth.clone())
            .collect();
        for auth in wanted {
            self.take_chunk(&auth, chunk, cx);
        }
    }

    fn take_chunk(&mut self, auth: &Arc<Transaction>, chunk: &Chunk, cx: &mut Cx<'_>) {
        let mut sound = true;
        let mut have = Vec::new();
        for item in &chunk.items {
            if let Some(header) = item.header.clone().filter(|h| h.net != self.net)
                && self.is_foreign_proof(item, &header, cx)
            {
                self.durable
                    .headers
                    .insert((header.net, header.height), header);
            }
            if covers(auth, &item.transaction.0) && self.accept(item, cx) {
                have.push(item_rid(item));
            } else {
                sound = false;
            }
        }
        let Some(wanted) = self.durable.store.registrations.get_mut(&auth.id) else {
            return;
        };
        for rid in have {
            if !wanted.have.contains(&rid) {
                wanted.have.push(rid);
            }
        }
        let known = wanted.tried.contains(&chunk.source);
        if !known && (chunk.last || !sound) {
            wanted.tried.push(chunk.source);
        }
        let (have, tried) = (wanted.have.clone(), wanted.tried.clone());
        if !sound {
            self.ask_for_records(auth, cx);
        } else if chunk.last {
            let auth = auth.clone();
            self.tell_leader(Message::MigDone { auth, have, tried }, cx);
        }
    }

    /// A record node has everything that it could get.
    pub(super) fn on_mig_done(
        &mut self,
        from: NodeId,
        auth: &Arc<Transaction>,
        (have, tried): (&[RecordId], &[NodeId]),
        cx: &mut Cx<'_>,
    ) {
        let Some((user, _)) = parties(auth) else {
            return;
        };
        let desk = self.desk();
        let row = desk.table.row(&user);
        let Some(registration) = row.get(&from).filter(|r| r.waits_by(auth)) else {
            self.refuse_migration(from, auth, cx);
            return;
        };
        let since = registration.since;
        let earlier = |rid: &RecordId| {
            let entry = desk.table.record(rid);
            entry.is_some_and(|entry| entry.height <= since)
        };
        let entitled = desk.table.entitled(&user, from);
        let lost: Vec<RecordId> = entitled
            .into_iter()
            .filter(|rid| earlier(rid) && !have.contains(rid))
            .collect();
        let untried = row
            .iter()
            .any(|(node, r)| *node != from && r.stage == Stage::Active && !tried.contains(node));
        if !lost.is_empty() && untried {
            self.on_mig_request(from, (auth, tried), cx);
            return;
        }
        let node = from;
        self.note(Note::Moved { user, node, lost });
    }
}
