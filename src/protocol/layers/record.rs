//! The record nodes: they enter records, keep the headers of every block, and the bodies of those
//! records that are theirs. What they lack they notice by comparing.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::config::{Auth, Mutant};
use super::delivery::HEADERS_MAX;
use super::edge::item_rid;
use super::fact::Fact;
use super::header::{Header, Note};
use super::meaning::Meaning;
use super::message::{Body, Item, TransactionRef};
use super::table::Sum;
use super::topology::{Net, Role};
use super::{Cx, Layers, Message, Timer};
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::base::random::mix;
use crate::base::time::{Span, Time};
use crate::chain::{Height, Transaction, TransactionId};
use crate::contract::message::RecordId;
use crate::protocol::Report;

/// What a record node has on disk.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// The records, with their bodies.
    pub records: BTreeMap<RecordId, Item>,
    /// The sum of those that its own network has decided or that came by migration inside it.
    pub sum: Sum,
    /// What is counted in the sum.
    pub(super) counted: BTreeSet<RecordId>,
    /// What was entered here and, as a header says, the contract refused, or another one has the
    /// name of, and where that was.
    refused: BTreeMap<(RecordId, Height), Item>,
    /// Requests of its own that are not decided yet, with the bodies.
    pub open: BTreeMap<TransactionId, (Arc<Transaction>, Body)>,
    /// Registrations that it has asked for: not decided yet, or without the earlier records.
    pub registrations: BTreeMap<TransactionId, Wanted>,
    /// Grants by which patients register here, that have not ended, and whose they are.
    pub grants: BTreeMap<Digest, Digest>,
    /// Patients whose last grant has ended.
    pub ended: BTreeSet<Digest>,
    /// Grants of which it is known that they have ended, and whose: they count in the sum.
    pub(super) ends: BTreeMap<Digest, Digest>,
    /// The last header without a gap.
    pub through: Height,
}

impl Store {
    /// The grants by which patients are to be registered here, as long as the chain has them not.
    pub(super) fn undecided(&self) -> Vec<Arc<Transaction>> {
        let wanted = self.registrations.values();
        let wanted = wanted.filter(|wanted| !wanted.decided);
        wanted.map(|wanted| wanted.auth.clone()).collect()
    }

    /// Keeps aside what was entered here and, as far as is known, is no record.
    pub(super) fn set_aside(&mut self, item: Item) {
        self.refused.insert((item_rid(&item), item.place.1), item);
    }

    /// Takes back what was set aside if a header shows that it was decided.
    fn take_back(&mut self, rid: &RecordId, header: &Header) -> Option<Item> {
        let mut named = self.refused.range((*rid, 0)..=(*rid, Height::MAX));
        let (key, _) = named.find(|(_, item)| header.position(&item.transaction.0).is_some())?;
        let key = *key;
        let item = self.refused.remove(&key)?;
        let place = (header.net, header.height);
        Some(Item { place, ..item })
    }

    /// Whether a call is among those that the contract refused.
    pub(super) fn has_refused(&self, rid: &RecordId, id: TransactionId) -> bool {
        let mut named = self.refused.range((*rid, 0)..=(*rid, Height::MAX));
        named.any(|(_, item)| item.transaction.0.id == id)
    }
}

/// A registration under way.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The grant.
    pub auth: Arc<Transaction>,
    /// Whether the chain has it.
    pub decided: bool,
    /// Who has been asked for records in vain.
    pub tried: Vec<NodeId>,
    /// What there should be, as far as sources have said.
    pub due: Option<BTreeSet<RecordId>>,
    /// What has come of them.
    pub have: BTreeSet<RecordId>,
    /// Times that the records were asked for, and when last.
    pub rounds: u32,
    pub asked: Option<Time>,
    /// How many times that was when another network was last heard: before, nobody may have been
    /// able to hear this node, and patience begins anew.
    pub heard_after: u32,
    /// The networks that have said what they have, and how many there are to ask.
    pub heard: BTreeSet<Net>,
    pub sources: usize,
}

/// A record that is missed.
#[derive(Clone, Debug)]
pub struct Missed {
    /// Who has it.
    holders: Vec<NodeId>,
    /// How often it was asked for.
    turns: usize,
    /// When it is asked for next: what is on its way is not asked for again because another record
    /// is missed as well.
    due: Time,
}

/// What a record node remembers until it crashes.
#[derive(Clone, Debug, Default)]
pub struct Clerk {
    /// Which consensus node is asked to compare next.
    turn: usize,
    /// Records that are missed.
    pub(super) missing: BTreeMap<RecordId, Missed>,
    /// Whether a gap was asked about.
    asked: bool,
    pub(super) requesting: bool,
    /// When each request was made last.
    pub(super) asked_at: BTreeMap<TransactionId, Time>,
    /// When a leader was sent all that is open.
    pub(super) told_at: Option<Time>,
}

/// The name of a grant, and the patient.
pub(super) fn grant_of(transaction: &Transaction) -> Option<(Digest, Digest)> {
    match Meaning::of(transaction) {
        Meaning::Registration { auth, user, .. } => Some((auth, user)),
        Meaning::Record(_) | Meaning::Revocation { .. } | Meaning::Nothing => None,
    }
}

/// Whether a record or a registration is a patient's.
pub(super) fn is_of(transaction: &Transaction, user: &Digest) -> bool {
    match Meaning::of(transaction) {
        Meaning::Record(content) => content.pid.0 == *user,
        Meaning::Registration { user: of, .. } => of == *user,
        Meaning::Revocation { .. } | Meaning::Nothing => false,
    }
}

impl Layers {
    /// Whether the patient of a request is registered here.
    pub(super) fn answer_presence(&mut self, transaction: &Arc<Transaction>, cx: &mut Cx<'_>) {
        let Meaning::Record(content) = Meaning::of(transaction) else {
            return;
        };
        let user = content.pid.0;
        let me = cx.me();
        let began = self.topology.row(&user, self.net).contains(&me);
        let since = self.durable.store.registrations.values();
        let present = began || since.into_iter().any(|wanted| is_of(&wanted.auth, &user));
        let id = transaction.id;
        let answer = Message::Presence {
            id,
            present,
            remote: Vec::new(),
        };
        self.tell_leader(answer, cx);
    }

    /// Sends to whoever leads the network, as far as is known.
    pub(super) fn tell_leader(&mut self, message: Message, cx: &mut Cx<'_>) {
        let consensus = &self.topology.edge(self.net).consensus;
        // After a crash any of them says who leads; another one is asked each time.
        let guess = || consensus.leader(mix(9, cx.now().nanos()));
        let leader = self.volatile.leader.unwrap_or_else(guess);
        cx.send(leader, message);
    }

    /// Headers of this network's blocks.
    pub(super) fn on_headers(&mut self, headers: &[Arc<Header>], cx: &mut Cx<'_>) {
        let mut fresh = false;
        let net = self.net;
        for header in headers.iter().filter(|header| header.net == net) {
            let key = (header.net, header.height);
            if let Some(known) = self.durable.headers.get(&key).cloned() {
                if header.height <= self.durable.store.through {
                    self.conclude(&known, cx);
                }
                continue;
            }
            if self.admit(header, cx) {
                fresh = true;
            } else {
                cx.report(Report::Reached("bad-header"));
            }
        }
        if !fresh {
            return;
        }
        let store = &mut self.durable.store;
        let before = store.through;
        while self
            .durable
            .headers
            .contains_key(&(self.net, store.through + 1))
        {
            store.through += 1;
        }
        let through = store.through;
        cx.persist();
        for height in before + 1..=through {
            let header = self.durable.headers[&(self.net, height)].clone();
            self.follow(&header, cx);
        }
        let last = self
            .durable
            .headers
            .range((self.net, 0)..=(self.net, Height::MAX));
        let last = last.last().map_or(0, |((_, height), _)| *height);
        if last > through && !self.volatile.clerk.asked {
            self.volatile.clerk.asked = true;
            self.compare(cx);
        }
    }

    /// What a block means for what was asked for here, perhaps after the block was known.
    fn conclude(&mut self, header: &Arc<Header>, cx: &mut Cx<'_>) {
        let aside = &mut self.volatile.aside;
        aside.retain(|_, (transaction, _)| header.position(transaction).is_none());
        let open = self.durable.store.open.values();
        let decided = open.filter_map(|(transaction, body)| {
            let position = header.position(transaction)?;
            Some((transaction.clone(), *body, position))
        });
        let decided: Vec<_> = decided.collect();
        for (transaction, body, position) in decided {
            self.durable.store.open.remove(&transaction.id);
            self.volatile.clerk.asked_at.remove(&transaction.id);
            let item = Item {
                transaction: TransactionRef(transaction),
                body,
                place: (header.net, header.height),
                header: None,
            };
            if header.refuses(position) && !self.mutant(Mutant::RefusedKept) {
                // It is no record, and must not stand in the way of one that has its name. But
                // this may be the only copy, and nobody has proven that it was refused.
                if !self.mutant(Mutant::RefusedForgotten) {
                    self.durable.store.set_aside(item);
                }
                cx.persist();
            } else {
                self.keep(item, true, cx);
            }
        }
        for auth in self.durable.store.undecided() {
            if header.position(&auth).is_some() {
                self.begin_migration(&auth, cx);
            }
        }
    }

    /// Follows the next block.
    fn follow(&mut self, header: &Arc<Header>, cx: &mut Cx<'_>) {
        self.conclude(header, cx);
        let me = cx.me();
        for note in header.notes.iter().flat_map(|notes| &notes.0) {
            if let Note::Moved {
                user, node, since, ..
            } = note
                && *node == me
            {
                // What is decided later than the grant that is meant is another registration.
                let headers = &self.durable.headers;
                let by_then = |auth: &Transaction| {
                    let mut headers = headers.range((self.net, 0)..=(self.net, *since));
                    headers.any(|(_, header)| header.position(auth).is_some())
                };
                let over = |w: &Wanted| w.decided && is_of(&w.auth, user) && by_then(&w.auth);
                let registrations = &mut self.durable.store.registrations;
                registrations.retain(|_, wanted| !over(wanted));
            }
        }
    }

    /// Keeps a record, the body of which is as the chain says.
    fn keep(&mut self, item: Item, entered: bool, cx: &mut Cx<'_>) {
        let Meaning::Record(content) = Meaning::of(&item.transaction.0) else {
            return;
        };
        let (rid, user) = (content.rid, content.pid.0);
        let again = self.mutant(Mutant::CountAgain);
        let replaces = self.mutant(Mutant::NamesakeReplaces);
        let store = &mut self.durable.store;
        if item.place.0 == self.net && (store.counted.insert(rid) || again) {
            store.sum.add(&rid);
        }
        let body = item.body;
        if replaces {
            store.records.remove(&rid);
        }
        // The contract refuses all that call themselves like an earlier one.
        if let Entry::Vacant(place) = store.records.entry(rid) {
            place.insert(item);
            cx.report(Report::Shared(Box::new(Fact::Kept {
                user,
                rid,
                body: body.digest,
                bytes: body.bytes,
                entered,
            })));
            cx.persist();
        }
        self.volatile.clerk.missing.remove(&rid);
    }

    /// Tells observers what is here after a crash.
    pub(super) fn report_found(&self, cx: &mut Cx<'_>) {
        for (rid, item) in &self.durable.store.records {
            if let Meaning::Record(content) = Meaning::of(&item.transaction.0) {
                let (user, body) = (content.pid.0, item.body);
                cx.report(Report::Shared(Box::new(Fact::Found {
                    user,
                    rid: *rid,
                    body: body.digest,
                    bytes: body.bytes,
                    entered: self.topology.row(&user, self.net).contains(&cx.me()),
                })));
            }
        }
    }

    /// Takes a record if the chain and the body agree; says whether it did.
    pub(super) fn accept(&mut self, item: &Item, cx: &mut Cx<'_>) -> bool {
        let Meaning::Record(content) = Meaning::of(&item.transaction.0) else {
            return false;
        };
        if item.body.digest != content.payload_hash && !self.mutant(Mutant::NoBodyCheck) {
            cx.report(Report::Reached("digest-mismatch"));
            return false;
        }
        let ended = self.durable.store.ended.contains(&content.pid.0);
        if ended && !self.mutant(Mutant::TakeAfterEnd) {
            cx.report(Report::Reached("right-ended"));
            return false;
        }
        let own = self.durable.headers.get(&item.place);
        let proven = match (own, &item.header) {
            (Some(header), _) => header.position(&item.transaction.0).is_some(),
            (None, Some(header)) => self.is_foreign_proof(item, header, cx),
            (None, None) => false,
        };
        if !proven && !self.mutant(Mutant::NoInclusionCheck) {
            cx.report(Report::Reached("bad-inclusion-proof"));
            return false;
        }
        self.keep(item.clone(), false, cx);
        true
    }

    /// Whether another network's header shows that it has decided a record.
    pub(super) fn is_foreign_proof(&self, item: &Item, header: &Header, cx: &Cx<'_>) -> bool {
        (header.net, header.height) == item.place
            && header.position(&item.transaction.0).is_some()
            && header.verify(&self.topology, &self.config, cx.keyring())
    }

    /// Records come from the leader.
    pub(super) fn on_deliver(
        &mut self,
        from: NodeId,
        (headers, items): (&[Arc<Header>], &[Item]),
        cx: &mut Cx<'_>,
    ) {
        self.hear_leader(from);
        self.on_headers(headers, cx);
        let mut taken = Vec::new();
        for item in items {
            if self.accept(item, cx) {
                taken.push(item_rid(item));
            }
        }
        if !taken.is_empty() {
            cx.send(from, Message::Ack(taken));
        }
    }

    /// Tells one consensus node after the other what is here.
    pub(super) fn compare(&mut self, cx: &mut Cx<'_>) {
        if self.mutant(Mutant::NeverCompare) {
            return;
        }
        let consensus = &self.topology.edge(self.net).consensus;
        let clerk = &mut self.volatile.clerk;
        let to = consensus.leader(clerk.turn as u64);
        clerk.turn += 1;
        let store = &self.durable.store;
        let (through, sum) = (store.through, store.sum);
        cx.send(to, Message::Compare { through, sum });
    }

    pub(super) fn on_compare_due(&mut self, cx: &mut Cx<'_>) {
        cx.set_timer(Timer::Compare, self.config.compare_every);
        self.volatile.clerk.asked = false;
        self.compare(cx);
        self.fetch_missing(cx);
    }

    /// A consensus node says what should be here.
    pub(super) fn on_due(
        &mut self,
        from: NodeId,
        headers: &[Arc<Header>],
        records: &[(RecordId, Height, Vec<NodeId>)],
        cx: &mut Cx<'_>,
    ) {
        self.volatile.clerk.asked = false;
        let before = self.durable.store.through;
        self.on_headers(headers, cx);
        if headers.len() as Height >= HEADERS_MAX && self.durable.store.through > before {
            self.compare(cx); // There are more, and the next block may be long in coming.
        }
        // With an approval it may be on its way, and wait for its patient.
        let on_its_way = match self.config.auth {
            Auth::Reuse => Span::ZERO,
            Auth::PerTransfer => self.config.ack_timeout + self.config.approval,
        };
        let mut fresh = false;
        for (rid, height, nodes) in records {
            if let Some(item) = self.durable.store.records.get(rid) {
                // What came by another network's chain counts since this one has decided it too.
                let own = self.durable.headers.get(&(self.net, *height));
                let here = own.is_some_and(|own| own.position(&item.transaction.0).is_some());
                if here && self.durable.store.counted.insert(*rid) {
                    self.durable.store.sum.add(rid);
                    cx.persist();
                }
                continue;
            }
            let own = self.durable.headers.get(&(self.net, *height));
            if let Some(item) = own.and_then(|own| self.durable.store.take_back(rid, own)) {
                self.keep(item, true, cx); // Whoever said that it was refused was wrong.
                continue;
            }
            let missing = &mut self.volatile.clerk.missing;
            if let Some(missed) = missing.get_mut(rid) {
                if !missed.holders.contains(&from) {
                    missed.holders.push(from);
                }
                continue;
            }
            // Whoever says so may have it too.
            let holders = nodes.iter().copied().chain([from]);
            let missed = Missed {
                holders: holders.filter(|node| *node != cx.me()).collect(),
                turns: 0,
                due: cx.now() + on_its_way,
            };
            missing.insert(*rid, missed);
            fresh = true;
        }
        if fresh {
            self.fetch_missing(cx);
        }
    }

    /// Asks the next holder of everything that is missed and was not asked for lately.
    fn fetch_missing(&mut self, cx: &mut Cx<'_>) {
        let (now, approval) = (cx.now(), self.config.approval());
        let (first, most) = (self.config.ack_timeout, self.config.compare_every);
        for (rid, missed) in &mut self.volatile.clerk.missing {
            if missed.due > now {
                continue;
            }
            // Whoever has sent nothing good so often will hardly do so now.
            let factor = 1_u64 << missed.turns.min(8);
            missed.due = now + (first * factor).min(most) + approval;
            let next = missed
                .holders
                .get(missed.turns % missed.holders.len().max(1));
            let (rid, tried) = (*rid, missed.turns as u32);
            missed.turns += 1;
            if let Some(&to) = next {
                cx.send(to, Message::Fetch { rid, tried });
            }
        }
        let missing = self.volatile.clerk.missing.values();
        if let Some(due) = missing.map(|missed| missed.due).min() {
            cx.set_timer(Timer::Missing, due.since(now));
        }
    }

    pub(super) fn on_still_missing(&mut self, cx: &mut Cx<'_>) {
        self.fetch_missing(cx);
    }

    /// A node of the network wants a record that is here: it is asked for by those whom a
    /// consensus node has told that they should have it.
    pub(super) fn on_fetch_from_store(&mut self, from: NodeId, rid: &RecordId, cx: &mut Cx<'_>) {
        let edge = self.topology.edge(self.net);
        if !edge.all.contains(from) && !self.mutant(Mutant::AnyoneFetches) {
            return;
        }
        let Some(mut item) = self.durable.store.records.get(rid).cloned() else {
            return;
        };
        item.header = self.foreign_header(item.place);
        let user = match Meaning::of(&item.transaction.0) {
            Meaning::Record(content) => content.pid.0,
            Meaning::Registration { .. } | Meaning::Revocation { .. } | Meaning::Nothing => return,
        };
        if self.topology.role(from) == Role::Record {
            let fact = Fact::Handed { user, to: from };
            cx.report(Report::Shared(Box::new(fact)));
            self.hand_item(from, item, cx);
        } else {
            cx.send(from, Message::Fetched(Box::new(item)));
        }
    }

    /// Sends a record node a record that it has asked for.
    pub(super) fn hand_item(&mut self, to: NodeId, item: Item, cx: &mut Cx<'_>) {
        if let Meaning::Record(content) = Meaning::of(&item.transaction.0) {
            let user = content.pid.0;
            self.transfer(user, to, vec![Message::Fetched(Box::new(item))], cx);
        }
    }

    /// The header of another network's block, for those who do not have it.
    pub(super) fn foreign_header(&self, place: (Net, Height)) -> Option<Arc<Header>> {
        let foreign = place.0 != self.net;
        self.durable
            .headers
            .get(&place)
            .filter(|_| foreign)
            .cloned()
    }
}
