//! Migration: a patient registers at a further record node, which gets the earlier records from one
//! that has them, in the same network or, through the index, in another one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::config::{Mutant, ROUNDS_MIN, Route};
use super::edge::item_rid;
use super::fact::Fact;
use super::header::Note;
use super::meaning::Meaning;
use super::message::{Chunk, Ticket, TransactionRef};
use super::record::Wanted;
use super::table::{Stage, Sum, Table};
use super::topology::{Net, Role};
use super::{Cx, Layers, Message, Timer};
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::base::random::mix;
use crate::base::time::Time;
use crate::chain::{Height, Transaction};
use crate::contract::access::Scope;
use crate::contract::message::RecordId;
use crate::protocol::Report;

/// Who of a row is asked for a patient's records: the one that the patient's name, the receiver's
/// number and the attempt choose, first of those who were not asked and are to keep the most of
/// what is due.
fn source(table: &Table, ticket: &Ticket) -> Option<NodeId> {
    let (row, attempt) = (table.row(&ticket.user), ticket.attempt);
    let able = row
        .iter()
        .filter(|(node, r)| **node != ticket.node && r.stage == Stage::Active)
        .map(|(node, _)| *node);
    let lacks = |node: &NodeId| {
        let due = ticket.due.iter().filter_map(|rid| table.record(rid));
        due.filter(|entry| !entry.nodes.contains(node)).count()
    };
    let mut able: Vec<NodeId> = able.collect();
    able.sort_by_cached_key(|node| {
        let order = mix(ticket.user.prefix(), u64::from(node.0));
        (ticket.tried.contains(node), lacks(node), order)
    });
    let fresh = able.iter().filter(|node| !ticket.tried.contains(node));
    let among = match fresh.count() {
        0 => able.len(),
        some => some,
    };
    able.get(attempt as usize % among.max(1)).copied()
}

impl Wanted {
    /// A registration that somebody has asked for.
    pub fn new(auth: &Arc<Transaction>) -> Self {
        Self {
            auth: auth.clone(),
            decided: false,
            tried: Vec::new(),
            have: BTreeSet::new(),
            due: None,
            rounds: 0,
            asked: None,
            heard_after: 0,
            heard: BTreeSet::new(),
            sources: 1,
        }
    }

    /// What there should be and has not come; nothing as long as nobody has said what there is.
    fn lacks(&self) -> Option<Vec<RecordId>> {
        let due = self.due.as_ref()?;
        Some(due.difference(&self.have).copied().collect())
    }

    /// Whether somebody has said what there should be, and nothing of it is lacking.
    fn is_whole(&self) -> bool {
        let due = self.due.as_ref();
        due.is_some_and(|due| due.is_subset(&self.have))
    }

    /// Whether every network has said what it has, and all of it is here.
    fn is_complete(&self) -> bool {
        let all = self.heard.len() >= self.sources || self.rounds > self.heard_after + ROUNDS_MIN;
        all && self.is_whole()
    }

    /// What is here, for a network that is asked after another one.
    fn known(&self) -> Option<Sum> {
        if self.sources < 2 || !self.is_whole() {
            return None;
        }
        let mut sum = Sum::default();
        self.have.iter().for_each(|rid| sum.add(rid));
        Some(sum)
    }

    /// What is said to whoever leads: that all is here, that the rest is given up after so many
    /// rounds, or that more should come.
    fn next(&self, attempt: u32, rounds: u32) -> Message {
        let (auth, tried) = (self.auth.clone(), self.tried.clone());
        let lost = match attempt < self.heard_after + rounds {
            true => None,
            false => self.lacks(),
        };
        if lost.is_some() || self.is_complete() {
            let have = self.have.iter().copied().collect();
            Message::MigDone {
                auth,
                have,
                tried,
                attempt,
                lost,
            }
        } else {
            Message::MigRequest {
                auth,
                tried,
                attempt,
                known: self.known(),
            }
        }
    }
}

/// The patient and the receiver of a grant.
pub(super) fn parties(auth: &Transaction) -> Option<(Digest, Digest)> {
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

/// Whether a network asks those inside it that have a patient's records, rather than those
/// elsewhere, and for what time; given who has any, and whether all that was named has come. What
/// is lacking may be what either of them has named: both are asked in turn. If nothing is, those
/// inside have said what they have.
fn turn((inside, elsewhere): (bool, bool), whole: bool, attempt: u32) -> (bool, u32) {
    match (inside, elsewhere) {
        (true, true) if whole => (false, attempt),
        (true, true) => (attempt.is_multiple_of(2), attempt / 2),
        (_, _) => (inside, attempt),
    }
}

/// Which index node takes a ticket, and what comes by it. It is not the next one each time: the
/// networks are asked in turn, and if there are as many, one that is down would always be the one
/// for the same network.
fn by_chance(user: &Digest, attempt: u32) -> u32 {
    match attempt {
        0 => 0,
        later => mix(user.prefix(), u64::from(later)) as u32,
    }
}

/// The last part of what a ticket asks for, without records.
fn last_chunk(ticket: &Ticket, source: NodeId) -> Chunk {
    Chunk {
        user: ticket.user,
        node: ticket.node,
        source,
        items: Vec::new(),
        due: ticket.due.clone(),
        attempt: ticket.attempt,
        last: true,
        sources: ticket.sources,
    }
}

impl Layers {
    pub(super) fn ask_for_records(&mut self, auth: &Arc<Transaction>, cx: &mut Cx<'_>) {
        let rounds = self.config.rounds();
        let Some(wanted) = self.durable.store.registrations.get_mut(&auth.id) else {
            return;
        };
        let attempt = wanted.rounds;
        wanted.rounds += 1;
        wanted.asked = Some(cx.now());
        let message = wanted.next(attempt, rounds);
        self.tell_leader_again(message, attempt, cx);
        self.watch_migrations(cx);
    }

    /// Wakes up when the first of the migrations under way is late: one does not wait for another.
    fn watch_migrations(&mut self, cx: &mut Cx<'_>) {
        let due = self.migrations_due(cx.now()).map(|(due, _)| due);
        if let Some(due) = due.min() {
            let rest = due.max(cx.now()).since(cx.now());
            cx.set_timer(Timer::Migrate, rest);
        }
    }

    /// The migrations under way, and when each is late: at once if nobody was asked.
    fn migrations_due(&self, now: Time) -> impl Iterator<Item = (Time, &Wanted)> {
        let wait = self.config.round();
        let registrations = self.durable.store.registrations.values();
        let decided = registrations.filter(|wanted| wanted.decided);
        decided.map(move |wanted| (wanted.asked.map_or(now, |asked| asked + wait), wanted))
    }

    /// Nothing has come for long: the next source is asked.
    pub(super) fn on_migration_overdue(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        let late = self.migrations_due(now).filter(|(due, _)| *due <= now);
        let waiting: Vec<_> = late.map(|(_, wanted)| wanted.auth.clone()).collect();
        for auth in waiting {
            self.ask_for_records(&auth, cx);
        }
        self.watch_migrations(cx);
    }

    /// A record node wants the earlier records of a patient: whoever leads finds a source.
    pub(super) fn on_mig_request(
        &mut self,
        from: NodeId,
        auth: &Arc<Transaction>,
        (tried, attempt, known): (&[NodeId], u32, Option<Sum>),
        cx: &mut Cx<'_>,
    ) {
        let Some((user, _)) = parties(auth) else {
            return;
        };
        let row = self.desk().table.row(&user);
        let registration = row.get(&from);
        let Some(registration) = registration.filter(|r| r.waits_by(auth)) else {
            if !registration.is_some_and(|r| r.is_open_by(auth)) {
                self.refuse_migration(from, auth, cx);
            }
            return;
        };
        let Some(header) = self.header_at(registration.since, cx) else {
            self.ask_for_header(registration.since, cx);
            return;
        };
        let inside = row
            .iter()
            .any(|(n, r)| *n != from && r.stage == Stage::Active);
        let elsewhere = self.desk().table.elsewhere(&user).len();
        let single = self.topology.edges() == 1;
        let (home, attempt) = if single {
            (true, attempt)
        } else {
            turn((inside, elsewhere > 0), known.is_some(), attempt)
        };
        let mut ticket = Ticket {
            user,
            node: from,
            auth: TransactionRef(auth.clone()),
            header,
            tried: tried.to_vec(),
            attempt,
            due: Vec::new(),
            sources: 1,
            known,
        };
        if home {
            ticket.sources = 1 + elsewhere;
            self.name_source(ticket, cx);
        } else {
            // The index knows how many other networks there are.
            ticket.sources = usize::from(inside);
            let turn = by_chance(&user, attempt);
            let index = self.topology.relay(self.net, &user, turn);
            cx.send(index, Message::MigForward(Box::new(ticket)));
        }
    }

    /// A registration that is over, or was never made, needs no records.
    fn refuse_migration(&mut self, to: NodeId, auth: &Arc<Transaction>, cx: &mut Cx<'_>) {
        if cx.includes(auth.id) {
            cx.send(to, Message::MigRefuse(auth.id));
        }
    }

    /// Sends a ticket to whoever of this network is asked for a patient's records, with a list of
    /// what there should be. Another network's waits until this one knows that the patient is there
    /// too: what is decided later is relayed then, and what was decided before is in the list.
    pub(super) fn name_source(&mut self, mut ticket: Ticket, cx: &mut Cx<'_>) {
        let net = self.topology.net_of(ticket.node);
        let user = ticket.user;
        if !self.knows(&user, net) {
            self.note(Note::Remote { user, net });
            let held = &mut self.desk().held;
            held.retain(|other| other.auth != ticket.auth);
            held.push(ticket);
            return;
        }
        let desk = self.desk();
        let earlier = desk.table.earlier(&user, ticket.node);
        let due = desk.table.records_of(&user).iter().filter(|rid| {
            let entry = desk
                .table
                .record(rid)
                .filter(|entry| entry.height <= earlier);
            entry.is_some_and(|entry| covers(&ticket.auth.0, &entry.transaction))
        });
        ticket.due = due.copied().collect();
        let mut sum = Sum::default();
        ticket.due.iter().for_each(|rid| sum.add(rid));
        if ticket.known == Some(sum) {
            // All that this network has came from another one.
            let to = self.way_back(&ticket);
            cx.send(
                to,
                Message::MigChunk(Box::new(last_chunk(&ticket, cx.me()))),
            );
            return;
        }
        let Some(source) = source(&self.desk().table, &ticket) else {
            cx.report(Report::Reached("no-source"));
            return;
        };
        cx.send(source, Message::MigForward(Box::new(ticket)));
    }

    /// Whether this network knows that a patient is registered in a network.
    pub(super) fn knows(&mut self, user: &Digest, net: Net) -> bool {
        net == self.net || self.desk().table.elsewhere(user).contains(&net)
    }

    /// Whether a ticket gives its holder the right to a patient's records.
    pub(super) fn is_valid(&self, ticket: &Ticket, cx: &Cx<'_>) -> bool {
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
        if !self.is_valid(ticket, cx) && !self.mutant(Mutant::NoTicketCheck) {
            cx.report(Report::Reached("ticket-invalid"));
            return;
        }
        match self.role {
            Role::Record => self.hand_over(from, ticket, cx),
            Role::Index => self.forward_ticket(ticket, cx),
            Role::Consensus => self.name_source(ticket.clone(), cx),
        }
    }

    /// Sends everything of a patient that a grant covers, part by part.
    fn hand_over(&mut self, from: NodeId, ticket: &Ticket, cx: &mut Cx<'_>) {
        let consensus = self.topology.edge(self.net).consensus.contains(from);
        if !consensus && !self.mutant(Mutant::AnyoneNamesSources) {
            return; // Only one's own network names sources.
        }
        if ticket.node == cx.me() {
            return; // A ticket that was sent before, to somebody else.
        }
        if self.is_repeated(ticket) && !self.mutant(Mutant::HandOverAgain) {
            return;
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
        let to = self.way_back(ticket);
        let parts = items.chunks(self.config.chunk).collect::<Vec<_>>();
        let count = parts.len().max(1);
        let mut messages = Vec::new();
        for at in 0..count {
            let mut chunk = last_chunk(ticket, cx.me());
            chunk.items = parts.get(at).map_or(Vec::new(), |items| items.to_vec());
            chunk.last = at + 1 == count;
            if !chunk.last {
                chunk.due.clear();
            }
            messages.push(Message::MigChunk(Box::new(chunk)));
        }
        self.transfer(user, to, messages, cx);
    }

    /// To whom goes what a ticket asks for: whoever is to have it, or an index node on the way.
    fn way_back(&self, ticket: &Ticket) -> NodeId {
        let abroad = self.topology.net_of(ticket.node) != self.net;
        match self.config.route {
            Route::ViaIndex if abroad => {
                let turn = ticket.attempt / 2;
                self.topology.relay(self.net, &ticket.user, turn)
            }
            Route::ViaIndex | Route::Direct => ticket.node,
        }
    }

    /// Records of a migration arrive, or pass through the index.
    pub(super) fn on_mig_chunk(&mut self, chunk: &Chunk, cx: &mut Cx<'_>) {
        if self.role == Role::Index {
            let net = self.topology.net_of(chunk.node);
            let next = if net == self.net {
                chunk.node
            } else {
                let turn = by_chance(&chunk.user, chunk.attempt);
                self.topology.relay(net, &chunk.user, turn)
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
        let (from, rounds) = (self.topology.net_of(chunk.source), self.config.rounds());
        let asks = self.mutant(Mutant::AskWhileItComes);
        let Some(wanted) = self.durable.store.registrations.get_mut(&auth.id) else {
            return;
        };
        let had = wanted.have.len();
        wanted.have.extend(have);
        let mut news = wanted.have.len() > had;
        if chunk.last {
            if wanted.heard.insert(from) {
                wanted.heard_after = wanted.rounds;
                news = true;
            }
            wanted.sources = wanted.sources.max(chunk.sources);
            wanted.due.get_or_insert_default().extend(&chunk.due);
        }
        if news && !asks {
            wanted.asked = Some(cx.now()); // Whoever sends is not silent.
        }
        let (complete, whole) = (wanted.is_complete(), wanted.is_whole());
        if (chunk.last || !sound) && !wanted.tried.contains(&chunk.source) {
            wanted.tried.push(chunk.source);
            news = true;
        }
        // An answer to what brought nothing new would bring all of it once more, for every part
        // that there is of it; what was lost is asked for again in time.
        if complete && news {
            let message = wanted.next(wanted.rounds, rounds);
            self.tell_leader(message, cx);
        } else if !complete && news && (!sound || (chunk.last && whole)) {
            self.ask_for_records(auth, cx);
        }
    }

    /// What somebody who waits for earlier records by a grant still lacks, and since when.
    pub(super) fn lacks_of(
        &mut self,
        node: NodeId,
        auth: &Transaction,
        have: &[RecordId],
    ) -> Option<(Height, Vec<RecordId>)> {
        let (user, _) = parties(auth)?;
        let believed = self.mutant(Mutant::BelieveDone);
        let table = &self.desk().table;
        let row = table.row(&user);
        let registration = row.get(&node)?;
        if !registration.waits_by(auth) {
            return None;
        }
        let since = registration.since;
        let have: BTreeSet<&RecordId> = have.iter().collect();
        let earlier = |rid: &RecordId| table.record(rid).is_some_and(|e| e.height <= since);
        let entitled = table.entitled(&user, node).into_iter();
        let lacks = entitled.filter(|rid| earlier(rid) && !have.contains(rid) && !believed);
        Some((since, lacks.collect()))
    }

    /// A record node has everything, or gives up what it could not get.
    pub(super) fn on_mig_done(
        &mut self,
        from: NodeId,
        auth: &Arc<Transaction>,
        have: &[RecordId],
        (tried, attempt, lost): (&[NodeId], u32, Option<&[RecordId]>),
        cx: &mut Cx<'_>,
    ) {
        let Some((user, _)) = parties(auth) else {
            return;
        };
        let Some((since, lacks)) = self.lacks_of(from, auth, have) else {
            let row = self.desk().table.row(&user);
            if !row.get(&from).is_some_and(|r| r.is_open_by(auth)) {
                self.refuse_migration(from, auth, cx);
            }
            return;
        };
        let Some(lost) = lost else {
            if lacks.is_empty() {
                self.note(Note::Moved {
                    user,
                    node: from,
                    since,
                    lost: Vec::new(),
                });
            } else {
                self.on_mig_request(from, auth, (tried, attempt, None), cx);
            }
            return;
        };
        let mut lost = lost.to_vec();
        let more = lacks.into_iter().filter(|rid| !lost.contains(rid));
        let more: Vec<RecordId> = more.collect();
        lost.extend(more);
        self.note(Note::Moved {
            user,
            node: from,
            since,
            lost,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{BTreeSet, Digest, by_chance, turn};

    #[test]
    fn what_is_lacking_is_asked_for_inside_and_elsewhere_in_turn() {
        let turns = |there, whole| (0..4).map(move |attempt| turn(there, whole, attempt));
        let both = [(true, 0), (false, 0), (true, 1), (false, 1)];
        assert!(turns((true, true), false).eq(both));
        let of = |inside| (0..4).map(move |attempt| (inside, attempt));
        assert!(turns((true, true), true).eq(of(false)));
        assert!(turns((true, false), false).eq(of(true)));
        assert!(turns((false, true), false).eq(of(false)));
        assert!(turns((false, false), false).eq(of(false)));
    }

    #[test]
    fn every_index_node_takes_tickets_for_every_network() {
        let user = Digest::ZERO;
        for (nodes, networks) in [(2, 2), (2, 3), (3, 2), (4, 2), (4, 4)] {
            let ways = (0..80_u32).map(|at| (by_chance(&user, at) % nodes, at % networks));
            let ways: BTreeSet<(u32, u32)> = ways.collect();
            assert_eq!(ways.len() as u32, nodes * networks);
        }
    }
}
