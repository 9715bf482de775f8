//! Between networks: records whose patients are registered elsewhere too leave through the index
//! nodes, are ordered once for each network, and are decided there anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::config::Mutant;
use super::edge::item_rid;
use super::fact::Fact;
use super::index::{Inter, Line};
use super::meaning::{Meaning, announces};
use super::message::{Item, Parcel, Ticket, TransactionRef};
use super::patience::Waiting;
use super::topology::Net;
use super::{Cx, Layers, Message, Timer};
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::chain::{Height, Transaction};
use crate::contract::message::{Content, RecordId};
use crate::protocol::Report;

/// What an index node has on disk.
#[derive(Clone, Debug, Default)]
pub struct Depot {
    /// Requests heard in the edge network, whose records other networks should have.
    pub(super) heard: BTreeMap<RecordId, Heard>,
    /// On the way to another network.
    leaving: BTreeMap<(RecordId, Net), (Parcel, Waiting)>,
    /// For this network, until it has decided them.
    pub(super) arriving: BTreeMap<RecordId, Arriving>,
    /// Entries that are to be ordered.
    pub(super) lines: BTreeMap<Line, Waiting>,
}

/// A record from another network.
#[derive(Clone, Debug)]
pub struct Arriving {
    parcel: Parcel,
    waiting: Waiting,
    /// Who keeps it until this network has it.
    senders: BTreeSet<NodeId>,
}

/// A request whose record should come.
#[derive(Clone, Debug)]
pub struct Heard {
    pub(super) waiting: Waiting,
    /// Who has said that there is nothing to send.
    pub(super) denied: BTreeSet<NodeId>,
}

/// What an index node remembers until it crashes.
#[derive(Clone, Debug)]
pub struct Counter {
    /// What follows from the index chain.
    pub inter: Inter,
    /// What is proposed and not decided, and at which place if it may be passed over.
    pub(super) proposed: BTreeMap<Line, Option<Height>>,
    /// The view in which it is proposed.
    pub(super) proposed_in: u64,
    /// Consensus nodes that have asked for a record which came once and was lost.
    pub(super) asked: BTreeSet<(RecordId, NodeId)>,
    /// Tickets of patients whose network the index has not yet.
    pub(super) held: Vec<Ticket>,
    pub(super) waiting: bool,
    pub(super) ripe: bool,
    pub(super) batching: bool,
    pub(super) awaited: bool,
}

impl Counter {
    /// Nothing has happened since the chain.
    pub fn new(inter: Inter) -> Self {
        Self {
            inter,
            proposed: BTreeMap::new(),
            proposed_in: 0,
            asked: BTreeSet::new(),
            held: Vec::new(),
            waiting: false,
            ripe: false,
            batching: false,
            awaited: false,
        }
    }
}

/// Times that a request is missed, at least, before it is taken for refused.
pub(super) const MISSED_MAX: u32 = 5;

/// Tickets that wait for the index, at most.
const HELD_MAX: usize = 1_000;

/// What a record is about.
fn content(transaction: &Transaction) -> Option<&Content> {
    match Meaning::of(transaction) {
        Meaning::Record(content) => Some(content),
        Meaning::Registration { .. } | Meaning::Revocation { .. } | Meaning::Nothing => None,
    }
}

/// The consensus nodes' part.
impl Layers {
    /// Sends a record that was just decided on its way to other networks, if there are any.
    pub(super) fn send_on(&mut self, rid: RecordId, cx: &mut Cx<'_>) {
        let again = self.mutant(Mutant::RelayAgain);
        let (room, now) = (self.config.relay_queue, cx.now());
        let approval = self.config.approval();
        let desk = self.desk();
        let Some(entry) = desk.table.record(&rid) else {
            return;
        };
        let foreign = entry.from.is_some() && !again;
        let remote = !desk.table.elsewhere(&entry.content().pid.0).is_empty();
        let has_body = desk.body(&rid).is_some();
        let known = desk.relays.iter().any(|(waiting, _)| *waiting == rid);
        if foreign || !remote || !has_body || known {
            return;
        }
        desk.relays.push_back((rid, Waiting::new(now + approval)));
        if desk.relays.len() > room
            && let Some((rid, _)) = desk.relays.pop_front()
        {
            desk.drop_bodies(&rid);
            cx.report(Report::Reached("relay-queue-full"));
            cx.report(Report::Shared(Box::new(Fact::Overflow { rid })));
        }
        self.relay(rid, 0, cx);
        // Setting it anew for each record would put off what is late for as long as more come.
        let desk = self.desk();
        if !desk.relaying {
            desk.relaying = true;
            cx.set_timer(Timer::Relay, self.config.relay_timeout + approval);
        }
    }

    fn relay(&mut self, rid: RecordId, attempt: u32, cx: &mut Cx<'_>) {
        let Some(parcel) = self.parcel(&rid, self.net, cx) else {
            return;
        };
        let user = content(&parcel.item.transaction.0).map(|content| content.pid.0);
        let to = self.topology.relay(self.net, &rid.0, attempt);
        let message = Message::Relay(Box::new(parcel));
        match user.filter(|_| attempt == 0) {
            Some(user) => self.transfer(user, to, vec![message], cx),
            None => cx.send(to, message),
        }
    }

    /// A record of this network with what proves it, if this node has all of it.
    pub(super) fn parcel(&mut self, rid: &RecordId, to: Net, cx: &mut Cx<'_>) -> Option<Parcel> {
        let net = self.net;
        let desk = self.desk();
        let (entry, body) = (desk.table.record(rid)?, desk.body(rid)?);
        let (transaction, height) = (entry.transaction.clone(), entry.height);
        let nets = desk.table.elsewhere(&entry.content().pid.0);
        let Some(header) = self.header_at(height, cx) else {
            self.ask_for_header(height, cx);
            return None;
        };
        let item = Item {
            transaction: TransactionRef(transaction),
            body,
            place: (net, height),
            header: Some(header),
        };
        let nets = nets.into_iter().collect();
        Some(Parcel { item, to, nets })
    }

    /// The index has not confirmed some records: the next index node gets them.
    fn repeat_relays(&mut self, cx: &mut Cx<'_>) {
        let (patience, now) = (self.config.relay_timeout, cx.now());
        let leads = self.leads();
        let desk = self.desk();
        desk.relaying = leads && !desk.relays.is_empty();
        if !leads {
            // It has sent once what the index missed, and leaves the rest to the leader.
            let relays = std::mem::take(&mut desk.relays);
            relays.iter().for_each(|(rid, _)| desk.forget_body(rid));
            return;
        }
        let mut late = Vec::new();
        for (rid, waiting) in &mut desk.relays {
            if waiting.is_late(patience, now) {
                late.push((*rid, waiting.tries));
            }
        }
        let waits = desk.relaying;
        for (rid, attempt) in late {
            self.relay(rid, attempt, cx);
        }
        if waits {
            cx.set_timer(Timer::Relay, self.config.relay_timeout);
        }
    }

    /// A record comes from another network.
    pub(super) fn on_inject(&mut self, from: NodeId, parcel: &Parcel, cx: &mut Cx<'_>) {
        let item = &parcel.item;
        let rid = item_rid(item);
        if !self.is_sound(item, cx) {
            cx.report(Report::Reached("bad-foreign-cert"));
            return;
        }
        let body = item.body;
        let transaction = item.transaction.0.clone();
        let decided = cx.includes(transaction.id);
        let desk = self.desk();
        let entry = desk.table.record(&rid);
        let entered = entry.is_some_and(|entry| entry.transaction.digest == transaction.digest);
        if !entered && (decided || entry.is_some()) {
            // The contract here has refused it, or will: nobody here ever keeps it.
            if let Some(content) = content(&transaction).filter(|_| entry.is_none()) {
                desk.bodies.remove(&(rid, content.payload_hash));
            }
            desk.injected.remove(&rid);
            cx.send(from, Message::Ack(vec![rid]));
            return;
        }
        desk.injected.insert(rid, from);
        if let Some(content) = content(&transaction) {
            desk.bodies.insert((rid, content.payload_hash), body);
        }
        if entered {
            // It may never have arrived, if another one led then, or this one could not prove it.
            if !desk.owes(&rid) {
                self.deliver_again(&rid, cx);
            }
            self.confirm_unkept(&rid, cx);
            return;
        }
        self.enqueue(transaction, Some(item.place.0), cx);
    }

    /// A record that was brought still waits at an index node, where its body is as well.
    pub(super) fn on_waits(&mut self, from: NodeId, parcel: &Parcel, cx: &mut Cx<'_>) {
        let (rid, id) = (item_rid(&parcel.item), parcel.item.transaction.0.id);
        let desk = self.desk();
        let here = desk.bodies.contains_key(&(rid, parcel.item.body.digest));
        let refused = cx.includes(id) && desk.table.record(&rid).is_none();
        if here || refused {
            self.on_inject(from, parcel, cx);
        } else {
            cx.send(from, Message::Fetch { rid, tried: 0 });
        }
    }

    /// A record comes from another network to a node that does not lead.
    pub(super) fn miss_injected(&mut self, parcel: &Parcel, cx: &mut Cx<'_>) {
        let (rid, id) = (item_rid(&parcel.item), parcel.item.transaction.0.id);
        let entered = self.desk().table.record(&rid).is_some();
        if !entered && !cx.includes(id) && self.is_sound(&parcel.item, cx) {
            let view = self.group_status().view;
            self.desk().want(rid, id, view);
        }
    }

    /// A record of another network that nobody is to keep here, or that somebody has acknowledged
    /// already, is confirmed at once; others are when somebody has them.
    pub(super) fn confirm_unkept(&mut self, rid: &RecordId, cx: &mut Cx<'_>) {
        let desk = self.desk();
        let lacks = |node: &NodeId| desk.unacked.contains_key(&(*rid, *node));
        let safe = desk.table.record(rid).is_some_and(|entry| {
            let one = desk.owes(rid) && !entry.nodes.iter().all(lacks);
            entry.nodes.is_empty() || one
        });
        if safe {
            if let Some(by) = desk.injected.remove(rid) {
                cx.send(by, Message::Ack(vec![*rid]));
            }
            desk.forget_body(rid);
        }
    }

    /// Whether a record from another network is what that network has decided.
    fn is_sound(&self, item: &Item, cx: &Cx<'_>) -> bool {
        let header = item.header.as_ref();
        let proven = header.is_some_and(|header| self.is_foreign_proof(item, header, cx));
        let whole = announces(&item.transaction.0, &item.body.digest);
        proven && (whole || self.mutant(Mutant::NoBodyCheck))
    }
}

/// The index nodes' part.
impl Layers {
    /// A record is to be entered in the edge network.
    pub(super) fn hear_request(&mut self, transaction: &Arc<Transaction>, cx: &mut Cx<'_>) {
        let Some(content) = content(transaction) else {
            return;
        };
        let (user, rid) = (content.pid.0, content.rid);
        let (remote, home) = (self.elsewhere(&user), self.net);
        // What is told again may have left long ago: nothing would ever tell that it has.
        let inter = &self.counter().inter;
        let left = |net: &Net| inter.has(&Line::relay(rid, home, *net));
        let leaves = !remote.iter().all(left);
        let heard = &mut self.durable.depot.heard;
        let news = Heard {
            waiting: Waiting::new(cx.now() + self.config.approval()),
            denied: BTreeSet::new(),
        };
        if leaves && heard.insert(rid, news).is_none() {
            cx.persist();
            self.wait_for_relays(cx);
        }
        let homes = self.topology.homes(&user);
        let news = remote.iter().any(|net| !homes.contains(net));
        let polled = self.config.presence == super::config::Presence::Poll;
        // Where nobody is polled, only what the others cannot know is said.
        if polled || news {
            let answer = Message::Presence {
                id: transaction.id,
                present: false,
                remote,
            };
            self.tell_leader(answer, cx);
        }
    }

    /// The other networks in which a patient is registered.
    fn elsewhere(&self, user: &Digest) -> Vec<Net> {
        let Some(counter) = &self.counter else {
            return Vec::new();
        };
        let row = counter.inter.row(user);
        row.into_iter().filter(|net| *net != self.net).collect()
    }

    pub(super) fn wait_for_relays(&mut self, cx: &mut Cx<'_>) {
        let after = self.config.relay_timeout;
        let counter = self.counter();
        if !counter.waiting {
            counter.waiting = true;
            cx.set_timer(Timer::Relay, after);
        }
    }

    /// A record leaves the edge network.
    pub(super) fn on_relay(&mut self, from: NodeId, parcel: &Parcel, cx: &mut Cx<'_>) {
        let item = &parcel.item;
        let (Some(content), Some(header)) = (content(&item.transaction.0), &item.header) else {
            return;
        };
        let (user, rid) = (content.pid.0, content.rid);
        let position = header.position(&item.transaction.0).unwrap_or(usize::MAX);
        let loops = header.foreign(position).is_some() && !self.mutant(Mutant::RelayAgain);
        if !self.is_sound(item, cx) || loops {
            let why = if loops {
                "loop-rejected"
            } else {
                "bad-foreign-cert"
            };
            cx.report(Report::Reached(why));
            return;
        }
        self.durable.depot.heard.remove(&rid);
        let mut nets = self.elsewhere(&user);
        nets.extend(parcel.nets.iter().filter(|net| **net != self.net));
        nets.sort_unstable();
        nets.dedup();
        nets.retain(|net| self.topology.find(*net).is_some());
        let mut fresh = false;
        for to in nets {
            let line = Line::relay(rid, self.net, to);
            // What waits already is on disk: another copy costs nothing but an answer. What has
            // arrived goes there again only if it was lost there.
            let waits = self.durable.depot.leaving.contains_key(&(rid, to));
            if waits || self.counter().inter.has(&line) && parcel.to != to {
                continue;
            }
            let parcel = Parcel {
                item: item.clone(),
                to,
                nets: Vec::new(),
            };
            let leaving = &mut self.durable.depot.leaving;
            let waiting = Waiting::new(cx.now() + self.config.approval());
            leaving.insert((rid, to), (parcel.clone(), waiting));
            let node = self.topology.relay(to, &rid.0, 0);
            cx.send(node, Message::RelayIc(Box::new(parcel)));
            fresh = true;
        }
        if fresh {
            cx.persist();
        }
        cx.send(from, Message::Ack(vec![rid]));
        self.wait_for_relays(cx);
    }

    /// A record for this network comes from another one's index node.
    pub(super) fn on_relay_ic(&mut self, from: NodeId, parcel: &Parcel, cx: &mut Cx<'_>) {
        if parcel.to != self.net || !self.is_sound(&parcel.item, cx) {
            cx.report(Report::Reached("bad-foreign-cert"));
            return;
        }
        let rid = item_rid(&parcel.item);
        if let Some(arriving) = self.durable.depot.arriving.get_mut(&rid) {
            // On disk, and seen to: if copies cost as much as what is new, an index node that is
            // behind is sent more of them, and never catches up.
            arriving.senders.insert(from);
            return;
        }
        let user = content(&parcel.item.transaction.0).map(|content| content.pid.0);
        let inter = &self.counter().inter;
        if !user.is_some_and(|user| inter.row(&user).contains(&parcel.to)) {
            // It will come again, should the patient be registered here.
            cx.report(Report::Reached("unknown-here"));
            return;
        }
        let line = Line::relay(rid, parcel.item.place.0, self.net);
        let ordered = self.counter().inter.has(&line);
        let arriving = Arriving {
            parcel: parcel.clone(),
            waiting: Waiting::new(cx.now()),
            senders: BTreeSet::from([from]),
        };
        self.durable.depot.arriving.insert(rid, arriving);
        cx.persist();
        if ordered {
            self.inject(rid, cx);
        } else {
            self.order(line, cx);
        }
        self.wait_for_relays(cx);
    }

    pub(super) fn inject(&mut self, rid: RecordId, cx: &mut Cx<'_>) {
        if let Some(arriving) = self.durable.depot.arriving.get_mut(&rid) {
            // What waited for the index was not sent before.
            arriving.waiting = Waiting::new(cx.now() + self.config.approval());
            let parcel = arriving.parcel.clone();
            if self.config.lacks(Mutant::DropUnconfirmed) {
                self.durable.depot.arriving.remove(&rid);
            }
            let all = (rid, NodeId(0))..=(rid, NodeId(u16::MAX));
            let asked: Vec<_> = self.counter().asked.range(all).copied().collect();
            for (_, node) in asked {
                self.counter().asked.remove(&(rid, node));
                cx.send(node, Message::Inject(Box::new(parcel.clone())));
            }
            self.tell_leader(Message::Inject(Box::new(parcel)), cx);
        }
    }

    /// Whoever leads lacks the body of what waits here.
    pub(super) fn on_fetch_from_depot(&self, from: NodeId, rid: &RecordId, cx: &mut Cx<'_>) {
        let inside = self.topology.edge(self.net).consensus.contains(from);
        let arriving = self.durable.depot.arriving.get(rid);
        if let Some(arriving) = arriving.filter(|_| inside) {
            cx.send(from, Message::Inject(Box::new(arriving.parcel.clone())));
        }
    }

    /// A record has arrived where it was sent. Only then do those who sent it here hear of it: what
    /// is on this node's disk alone may be lost.
    pub(super) fn on_ack_to_index(&mut self, from: NodeId, rids: &[RecordId], cx: &mut Cx<'_>) {
        let net = self.topology.net_of(from);
        for rid in rids {
            if net == self.net {
                let arrived = self.durable.depot.arriving.remove(rid);
                for sender in arrived.into_iter().flat_map(|arrived| arrived.senders) {
                    cx.send(sender, Message::Ack(vec![*rid]));
                }
            } else {
                self.durable.depot.leaving.remove(&(*rid, net));
            }
        }
    }

    /// What is still on its way is sent again.
    pub(super) fn on_relay_overdue(&mut self, cx: &mut Cx<'_>) {
        if self.desk.is_some() {
            self.repeat_relays(cx);
            return;
        }
        self.counter().waiting = false;
        let (patience, now) = (self.config.relay_timeout, cx.now());
        self.remind_of_heard(cx);
        let depot = &mut self.durable.depot;
        let mut again = Vec::new();
        for ((rid, to), (parcel, waiting)) in &mut depot.leaving {
            if waiting.is_later_each_time(patience, now) {
                let node = self.topology.relay(*to, &rid.0, waiting.tries);
                again.push((node, parcel.clone()));
            }
        }
        let arriving = depot.arriving.iter_mut();
        let arriving = arriving
            .filter_map(|(rid, a)| a.waiting.is_later_each_time(patience, now).then_some(*rid));
        let arriving: Vec<RecordId> = arriving.collect();
        let lines = depot.lines.iter_mut();
        let lines = lines.filter_map(|(line, w)| w.is_late(patience, now).then_some(*line));
        let lines: Vec<Line> = lines.collect();
        for (node, parcel) in again {
            cx.send(node, Message::RelayIc(Box::new(parcel)));
        }
        for line in lines {
            // Everybody waits for it then, and replaces a leader that does nothing.
            cx.broadcast(&self.topology.index().clone(), Message::Line(line));
        }
        let consensus = self.topology.edge(self.net).consensus.clone();
        for rid in arriving {
            // So for what waits in the edge network.
            if let Some(arriving) = self.durable.depot.arriving.get(&rid) {
                let parcel = Box::new(arriving.parcel.clone());
                cx.broadcast(&consensus, Message::Waits(parcel));
            }
        }
        let depot = &self.durable.depot;
        let rest = depot.heard.is_empty() && depot.leaving.is_empty();
        if !(rest && depot.lines.is_empty() && depot.arriving.is_empty()) {
            self.wait_for_relays(cx);
        }
    }

    /// A ticket on its way to another network, or from one. It goes on once the index has the
    /// network that it comes from: all later records come by themselves then.
    pub(super) fn forward_ticket(&mut self, ticket: &Ticket, cx: &mut Cx<'_>) {
        let (user, home) = (ticket.user, self.topology.net_of(ticket.node));
        let line = Line::Add { user, net: home };
        let early = self.mutant(Mutant::TicketBeforeIndex);
        if !self.counter().inter.has(&line) && !early {
            let held = &mut self.counter().held;
            held.retain(|other| other.auth != ticket.auth); // Its last attempt is enough.
            if held.len() < HELD_MAX {
                held.push(ticket.clone());
            }
            if home == self.net {
                self.order(line, cx);
            }
            return;
        }
        if home != self.net {
            let message = Message::MigForward(Box::new(ticket.clone()));
            self.tell_leader_again(message, ticket.attempt, cx);
            return;
        }
        let others = self.elsewhere(&user);
        let ticket = &Ticket {
            sources: ticket.sources + others.len(),
            ..ticket.clone()
        };
        let turn = user.prefix().wrapping_add(u64::from(ticket.attempt));
        let Some(to) = others.get((turn % others.len().max(1) as u64) as usize) else {
            cx.report(Report::Reached("no-source"));
            return;
        };
        let node = self.topology.relay(*to, &user, ticket.attempt / 2);
        cx.send(node, Message::MigForward(Box::new(ticket.clone())));
    }
}
