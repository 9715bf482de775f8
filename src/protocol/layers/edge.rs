//! The consensus nodes of an edge network: they ask who has a patient, decide records, deliver
//! them, and lead migrations. Only their leader acts; the others know what it should do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::config::{Mutant, Presence};
use super::fact::Fact;
use super::header::{Note, Notes};
use super::meaning::{Meaning, announces};
use super::message::{Body, Item, Ticket};
use super::overdue::Overdue;
use super::patience::Waiting;
use super::table::{Change, Table};
use super::topology::Net;
use super::{Cx, Layers, Message, Timer};
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::chain::{Batch, Block, Height, Transaction, TransactionId};
use crate::contract::message::RecordId;
use crate::protocol::Report;

/// A record that is to be entered.
#[derive(Clone, Debug)]
pub struct Ask {
    transaction: Arc<Transaction>,
    /// Another call by the same name, which takes its place if its own body comes first.
    other: Option<Arc<Transaction>>,
    body: Option<Body>,
    /// Who has said whether it has the patient.
    answers: BTreeSet<NodeId>,
    /// Whether enough was heard, or waited.
    polled: bool,
    queued: bool,
}

/// A delivery that was not acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Unacked {
    pub(super) height: Height,
    pub(super) waiting: Waiting,
}

/// What arrived before the request it belongs to.
#[derive(Clone, Debug, Default)]
struct Early {
    answers: Vec<(NodeId, (bool, Vec<Net>))>,
    body: Option<Body>,
}

/// Requests of which something came early, and records that are to be decided, at most.
const EARLY_MAX: usize = 1_000;

/// What a consensus node remembers until it crashes.
#[derive(Clone, Debug)]
pub struct Desk {
    /// What follows from the chain.
    pub table: Table,
    asks: BTreeMap<TransactionId, Ask>,
    early: BTreeMap<TransactionId, Early>,
    /// What is ready to be decided, and from which network it comes.
    queue: VecDeque<(Arc<Transaction>, Option<Net>)>,
    notes: Vec<Note>,
    /// What is proposed and not decided, and at which place if it may be passed over.
    proposed: BTreeMap<TransactionId, Option<Height>>,
    /// Bodies that others still need from here, by the names of the records and the digests that
    /// they should have: others may call themselves like a record, and are refused.
    pub bodies: BTreeMap<(RecordId, Digest), Body>,
    /// The last header that each record node was sent.
    pub(super) through: BTreeMap<NodeId, Height>,
    pub(super) unacked: BTreeMap<(RecordId, NodeId), Unacked>,
    /// Records on their way to the index.
    pub relays: VecDeque<(RecordId, Waiting)>,
    /// Networks that were sent a record and have lost it.
    pub lacking: BTreeSet<(RecordId, Net)>,
    /// Records that another network was asked for, and who lacks them.
    pub(super) abroad: BTreeSet<(RecordId, NodeId)>,
    /// Who brought a record from another network.
    pub injected: BTreeMap<RecordId, NodeId>,
    /// What comes from other networks and has to be decided, the view in which this node that does
    /// not lead has heard of it, and how often. The body is for whoever leads.
    wanted: BTreeMap<RecordId, (TransactionId, u64, u32)>,
    /// Notes that this node does not write and waits for, and in which view.
    pub(super) overdue: BTreeMap<Overdue, u64>,
    /// Tickets of other networks, until this one knows that its patients are there too.
    pub held: Vec<Ticket>,
    /// Whether the others know that this node leads.
    announced: Option<u64>,
    ripe: bool,
    batching: bool,
    pub(super) acking: bool,
    pub(super) relaying: bool,
    awaited: bool,
    /// Who claimed a patient without being listed.
    accused: BTreeSet<NodeId>,
    /// Whose claim is believed, where nobody looks at the table.
    pub(super) trusted: BTreeSet<(NodeId, Digest)>,
}

impl Desk {
    /// Nothing has happened since the chain.
    pub fn new(table: Table) -> Self {
        Self {
            table,
            asks: BTreeMap::new(),
            early: BTreeMap::new(),
            queue: VecDeque::new(),
            notes: Vec::new(),
            proposed: BTreeMap::new(),
            bodies: BTreeMap::new(),
            through: BTreeMap::new(),
            unacked: BTreeMap::new(),
            relays: VecDeque::new(),
            lacking: BTreeSet::new(),
            abroad: BTreeSet::new(),
            injected: BTreeMap::new(),
            wanted: BTreeMap::new(),
            overdue: BTreeMap::new(),
            held: Vec::new(),
            announced: None,
            ripe: false,
            batching: false,
            acking: false,
            relaying: false,
            awaited: false,
            accused: BTreeSet::new(),
            trusted: BTreeSet::new(),
        }
    }

    fn knows(&self, id: TransactionId) -> bool {
        self.proposed.contains_key(&id) || self.queue.iter().any(|(t, _)| t.id == id)
    }

    /// Forgets the body of a record that nobody needs from here any more.
    pub(super) fn forget_body(&mut self, rid: &RecordId) {
        if self.table.lacks(Mutant::ForgetUnacked) {
            self.drop_bodies(rid);
            return;
        }
        let needed = self.owes(rid) || self.relays.iter().any(|(waits, _)| waits == rid);
        if !needed {
            self.drop_bodies(rid);
        }
    }

    /// Forgets the bodies of all that has this name.
    pub(super) fn drop_bodies(&mut self, rid: &RecordId) {
        let next = |desk: &Self| {
            let mut from = desk.bodies.range((*rid, Digest::ZERO)..);
            from.next().map(|(key, _)| *key)
        };
        while let Some(key) = next(self).filter(|(named, _)| named == rid) {
            self.bodies.remove(&key);
        }
    }

    /// The body of a record that is decided, if it is here.
    pub(super) fn body(&self, rid: &RecordId) -> Option<Body> {
        let hash = self.table.record(rid)?.content().payload_hash;
        self.bodies.get(&(*rid, hash)).copied()
    }

    /// Whether a record was delivered to somebody who has not acknowledged it.
    pub(super) fn owes(&self, rid: &RecordId) -> bool {
        let all = (*rid, NodeId(0))..=(*rid, NodeId(u16::MAX));
        self.unacked.range(all).next().is_some()
    }

    /// Whether anything waits to be decided. What comes from another network is waited for when it
    /// has come again, and no longer than the view lasts: the next leader has to be brought it.
    fn waits(&self, view: u64) -> bool {
        let mut wanted = self.wanted.values();
        let late = wanted.any(|(_, heard_in, times)| *heard_in == view && *times > 1);
        let late = late || self.overdue.values().any(|heard_in| *heard_in == view);
        late || !self.asks.is_empty() || !self.queue.is_empty() || !self.proposed.is_empty()
    }

    /// A record of another network, which whoever leads is to have decided.
    pub(super) fn want(&mut self, rid: RecordId, id: TransactionId, view: u64) {
        if self.wanted.len() < EARLY_MAX || self.wanted.contains_key(&rid) {
            let (_, heard_in, times) = self.wanted.entry(rid).or_insert((id, view, 0));
            if *heard_in != view {
                (*heard_in, *times) = (view, 0);
            }
            *times += 1;
        }
    }
}

impl Layers {
    /// A record is to be entered: everybody of the network hears it.
    pub(super) fn on_add_request(
        &mut self,
        from: NodeId,
        transaction: &Arc<Transaction>,
        cx: &mut Cx<'_>,
    ) {
        if let Some(height) = cx.height_of(transaction.id) {
            if !self.tell_taken(from, transaction, cx) {
                self.tell_headers(from, height, cx);
            }
            return;
        }
        let first_stays = self.mutant(Mutant::FirstVersionStays);
        if let Some(ask) = self.desk().asks.get_mut(&transaction.id) {
            // A client may give one name to two calls, and whoever entered the first may lie.
            if ask.transaction.digest != transaction.digest && !first_stays {
                ask.other = Some(transaction.clone());
            }
            // Who asks again may take somebody else for the leader, who has the body then.
            self.name_leader(from, cx);
            return;
        }
        let ask = Ask {
            transaction: transaction.clone(),
            other: None,
            body: None,
            answers: BTreeSet::new(),
            polled: false,
            queued: false,
        };
        self.desk().asks.insert(transaction.id, ask);
        if self.leads() && self.config.presence == Presence::Poll {
            let after = self.config.presence_timeout;
            cx.set_timer(Timer::Presence(transaction.id), after);
        }
        let early = self.desk().early.remove(&transaction.id);
        let Early { answers, body } = early.unwrap_or_default();
        for (from, (present, remote)) in answers {
            self.on_presence(from, transaction.id, (present, &remote), cx);
        }
        if let Some(body) = body {
            self.on_payload(transaction.id, body, cx);
        }
        self.look_at(transaction.id, cx);
    }

    /// Keeps what belongs to a request that has not come yet, unless it is long over.
    fn keep_early(&mut self, id: TransactionId, keep: impl FnOnce(&mut Early), cx: &Cx<'_>) {
        let desk = self.desk();
        if !cx.includes(id) && (desk.early.len() < EARLY_MAX || desk.early.contains_key(&id)) {
            keep(desk.early.entry(id).or_default());
        }
    }

    /// Somebody says whether it has the patient of a request. A hint only: the table decides.
    pub(super) fn on_presence(
        &mut self,
        from: NodeId,
        id: TransactionId,
        (present, remote): (bool, &[Net]),
        cx: &mut Cx<'_>,
    ) {
        let trust = self.mutant(Mutant::TrustPresence);
        let others = self.topology.edge(self.net).others.n();
        let desk = self.desk();
        let Some(ask) = desk.asks.get_mut(&id) else {
            let said = (from, (present, remote.to_vec()));
            self.keep_early(id, |early| early.answers.push(said), cx);
            return;
        };
        let Meaning::Record(content) = Meaning::of(&ask.transaction) else {
            return;
        };
        let user = content.pid.0;
        ask.answers.insert(from);
        // All but the origin answer.
        ask.polled |= ask.answers.len() + 1 >= others;
        let record_node = self.topology.edge(self.net).records.contains(from);
        let desk = self.desk();
        if record_node && present && !desk.table.lists(&user, from) {
            if trust {
                desk.trusted.insert((from, user));
            }
            if desk.accused.insert(from) {
                cx.report(Report::Reached("presence-without-registration"));
            }
        }
        let known = desk.table.elsewhere(&user);
        for net in remote.iter().filter(|net| !known.contains(net)) {
            self.note(Note::Remote { user, net: *net });
        }
        self.look_at(id, cx);
    }

    /// The body of a record that is to be entered.
    pub(super) fn on_payload(&mut self, id: TransactionId, body: Body, cx: &mut Cx<'_>) {
        let unchecked = self.mutant(Mutant::NoBodyCheck);
        let Some(ask) = self.desk().asks.get_mut(&id) else {
            self.keep_early(id, |early| early.body = Some(body), cx);
            return;
        };
        let announced = |by: &Transaction| announces(by, &body.digest);
        if ask.body.is_none()
            && let Some(other) = ask.other.take_if(|other| announced(other))
        {
            cx.report(Report::Reached("other-version"));
            ask.other = Some(std::mem::replace(&mut ask.transaction, other));
        }
        if !announced(&ask.transaction) && !unchecked {
            cx.report(Report::Reached("digest-mismatch"));
            return;
        }
        ask.body = Some(body);
        self.look_at(id, cx);
    }

    /// Nobody waits longer for answers.
    pub(super) fn on_presence_over(&mut self, id: TransactionId, cx: &mut Cx<'_>) {
        let waits = self.mutant(Mutant::WaitForAll);
        if let Some(ask) = self.desk().asks.get_mut(&id).filter(|_| !waits) {
            ask.polled = true;
            self.look_at(id, cx);
        }
    }

    /// Queues a request of which enough is known.
    fn look_at(&mut self, id: TransactionId, cx: &mut Cx<'_>) {
        let table_only = self.config.presence == Presence::Table;
        let leads = self.leads();
        let desk = self.desk();
        let Some(ask) = desk.asks.get_mut(&id) else {
            return;
        };
        let ready = (ask.polled || table_only) && ask.body.is_some() && !ask.queued;
        if !leads || !ready {
            return;
        }
        ask.queued = true;
        let transaction = ask.transaction.clone();
        if let (Meaning::Record(content), Some(body)) = (Meaning::of(&transaction), ask.body) {
            desk.bodies
                .insert((content.rid, content.payload_hash), body);
        }
        self.enqueue(transaction.clone(), None, cx);
    }

    /// Puts a transaction into the queue of what is decided next.
    pub(super) fn enqueue(
        &mut self,
        transaction: Arc<Transaction>,
        from: Option<Net>,
        cx: &mut Cx<'_>,
    ) {
        let decided = cx.includes(transaction.id) && !self.mutant(Mutant::DecideAgain);
        if !self.desk().knows(transaction.id) && !decided {
            self.desk().queue.push_back((transaction, from));
        }
    }

    /// Writes a note into the next block, once.
    pub(super) fn note(&mut self, note: Note) {
        let desk = self.desk();
        if !desk.notes.contains(&note) {
            desk.notes.push(note);
        }
    }

    /// Proposes what is ripe, if this node leads.
    pub(super) fn cut(&mut self, cx: &mut Cx<'_>) {
        let rule = self.setup.batch;
        loop {
            let leads = self.leads();
            let desk = self.desk();
            let full = desk.queue.len() >= rule.max;
            let ripe = desk.ripe || rule.wait == crate::base::time::Span::ZERO;
            let empty = desk.queue.is_empty() && desk.notes.is_empty();
            if !leads || empty || !(full || ripe) {
                break;
            }
            let count = desk.queue.len().min(rule.max);
            let taken: Vec<_> = desk.queue.iter().take(count).cloned().collect();
            let notes = desk.notes.clone();
            let batch = batch_of(&taken, notes);
            let group = self.durable.group.as_mut().expect("it takes part");
            let Some(blocks) = group.propose(&batch, cx) else {
                break;
            };
            let place = group.place_of(&batch);
            let desk = self.desk();
            desk.queue.drain(..count);
            desk.notes.clear();
            desk.ripe = false;
            let proposed = taken.iter().map(|(t, _)| (t.id, place));
            desk.proposed.extend(proposed);
            self.take(&blocks, cx);
        }
        let (leads, view) = (self.leads(), self.group_status().view);
        let desk = self.desk();
        let waits = !desk.queue.is_empty() || !desk.notes.is_empty();
        if leads && waits && !desk.ripe && !desk.batching {
            desk.batching = true;
            cx.set_timer(Timer::Batch, rule.wait);
        }
        let waits = desk.waits(view);
        if desk.awaited != waits {
            desk.awaited = waits;
            let group = self.durable.group.as_mut().expect("it takes part");
            let blocks = group.await_decision(waits, cx);
            self.take(&blocks, cx);
        }
    }

    pub(super) fn on_batch_ripe(&mut self) {
        let desk = self.desk();
        desk.batching = false;
        desk.ripe = true;
    }

    /// Follows decisions of the edge network.
    pub(super) fn take_blocks(&mut self, blocks: &[Arc<Block>], cx: &mut Cx<'_>) {
        for block in blocks {
            self.keep_header(block, cx);
            let changes = self.desk().table.apply(block);
            self.forget_asked(block);
            self.forget_noted();
            self.report_changes(block, &changes, cx);
            if self.leads() {
                self.act_on(block, &changes, cx);
            }
        }
    }

    /// What was decided is asked for no longer.
    fn forget_asked(&mut self, block: &Block) {
        let desk = self.desk();
        let ids = block.batch.transactions().iter().map(|t| t.id);
        let decided: BTreeSet<TransactionId> = ids.collect();
        for id in &decided {
            desk.asks.remove(id);
            desk.early.remove(id);
            desk.proposed.remove(id);
        }
        desk.queue
            .retain(|(queued, _)| !decided.contains(&queued.id));
        // Something else stands where this was proposed: everything is asked for again.
        let mut places = desk.proposed.values().flatten();
        if places.any(|place| *place <= block.height) {
            desk.announced = None;
        }
        let table = &desk.table;
        desk.wanted
            .retain(|rid, (id, ..)| !decided.contains(id) && table.record(rid).is_none());
    }

    /// Tells observers.
    pub(super) fn report_changes(&mut self, block: &Block, changes: &[Change], cx: &mut Cx<'_>) {
        let (net, height) = (self.net, block.height);
        let desk = self.desk();
        let table = Fact::Table {
            chain: usize::from(net),
            height,
            root: desk.table.root,
        };
        let mut facts = vec![table];
        for change in changes {
            match change {
                Change::Record(rid) => {
                    let entry = desk.table.record(rid).expect("it was just entered");
                    facts.push(Fact::Listed {
                        net,
                        height,
                        user: entry.content().pid.0,
                        rid: *rid,
                        body: entry.content().payload_hash,
                        nodes: entry.nodes.clone(),
                        from: entry.from,
                    });
                }
                Change::Registered { user, node, first } => facts.push(Fact::Registered {
                    net,
                    height,
                    user: *user,
                    node: *node,
                    first: *first,
                }),
                Change::Closed { user, node, .. } => facts.push(Fact::Closed {
                    net,
                    height,
                    user: *user,
                    node: *node,
                }),
                Change::Moved {
                    user,
                    node,
                    records,
                    lost,
                } => {
                    let (user, node) = (*user, *node);
                    facts.push(Fact::Moved {
                        net,
                        user,
                        node,
                        records: records.clone(),
                    });
                    let lost = lost.iter().map(|rid| Fact::Lost { node, rid: *rid });
                    facts.extend(lost);
                }
            }
        }
        for fact in facts {
            cx.report(Report::Shared(Box::new(fact)));
        }
    }

    /// What the leader does about a block.
    fn act_on(&mut self, block: &Arc<Block>, changes: &[Change], cx: &mut Cx<'_>) {
        self.deliver(block, changes, cx);
        let held = std::mem::take(&mut self.desk().held);
        for ticket in held {
            self.name_source(ticket, cx);
        }
        for change in changes {
            match change {
                Change::Record(rid) => {
                    self.send_on(*rid, cx);
                    self.desk().forget_body(rid);
                    self.confirm_unkept(rid, cx);
                }
                Change::Closed { user, node, ended } => {
                    self.recall(user, *node);
                    self.tell_end(*node, ended, cx);
                }
                Change::Registered { .. } | Change::Moved { .. } => {}
            }
        }
    }

    /// Tells somebody who leads this network, if somebody else does.
    pub(super) fn name_leader(&mut self, to: NodeId, cx: &mut Cx<'_>) {
        let leader = self.group_status().leader;
        if let Some(leader) = leader.filter(|leader| *leader != cx.me()) {
            cx.send(to, Message::Leader(leader));
        }
    }

    /// Tells the network who leads it, once for every view.
    pub(super) fn announce(&mut self, cx: &mut Cx<'_>) {
        let status = self.group_status();
        let desk = self.desk();
        if !status.leads {
            desk.announced = None;
            return;
        }
        if desk.announced == Some(status.view) {
            return;
        }
        desk.announced = Some(status.view);
        // What another leader proposed may be lost; what was heard is asked again. What was noted
        // in an earlier view may be over, and whoever waits for it asks again.
        desk.proposed.clear();
        desk.notes.clear();
        desk.held.clear();
        let ids: Vec<TransactionId> = desk.asks.keys().copied().collect();
        for ask in desk.asks.values_mut() {
            ask.queued = false;
        }
        let top = cx.ledger().height();
        let records = self.topology.edge(self.net).records.clone();
        for node in records.members() {
            self.desk().through.insert(*node, top);
        }
        let others = self.topology.edge(self.net).others.clone();
        let me = cx.me();
        cx.broadcast(&others, Message::Leader(me));
        let after = self.config.presence_timeout;
        for id in ids {
            cx.set_timer(Timer::Presence(id), after);
        }
    }
}

/// The record of an item.
pub(super) fn item_rid(item: &Item) -> RecordId {
    match Meaning::of(&item.transaction.0) {
        Meaning::Record(content) => content.rid,
        Meaning::Registration { .. } | Meaning::Revocation { .. } | Meaning::Nothing => {
            RecordId(Digest::ZERO)
        }
    }
}

/// The batch of these transactions with these notes.
fn batch_of(taken: &[(Arc<Transaction>, Option<Net>)], notes: Vec<Note>) -> Batch {
    let mut notes = notes;
    for (position, (_, from)) in taken.iter().enumerate() {
        let position = position as u32;
        notes.extend(from.map(|from| Note::Foreign { position, from }));
    }
    let transactions = taken.iter().map(|(t, _)| t.clone()).collect();
    if notes.is_empty() {
        Batch::new(transactions)
    } else {
        Batch::with_annex(transactions, Arc::new(Notes(notes)))
    }
}
