//! The consensus nodes of an edge network: they ask who has a patient, decide records, deliver
//! them, and lead migrations. Only their leader acts; the others know what it should do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::config::{Mutant, Presence};
use super::fact::Fact;
use super::header::{Header, Note, Notes};
use super::inner::Word;
use super::message::{Body, Item, TransactionRef};
use super::table::{Change, Meaning, Sum, Table};
use super::topology::Net;
use super::{Cx, Layers, Message, Timer};
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::chain::{Batch, Block, Height, Transaction, TransactionId};
use crate::contract::message::RecordId;
use crate::protocol::{Decision, Report};

/// A record that is to be entered.
#[derive(Clone, Debug)]
pub struct Ask {
    transaction: Arc<Transaction>,
    body: Option<Body>,
    /// Who has said whether it has the patient.
    answers: BTreeSet<NodeId>,
    /// Whether enough was heard, or waited.
    polled: bool,
    queued: bool,
}

/// A delivery that was not acknowledged.
#[derive(Clone, Debug)]
struct Unacked {
    height: Height,
    tries: u32,
}

/// What a consensus node remembers until it crashes.
#[derive(Clone, Debug)]
pub struct Desk {
    /// What follows from the chain.
    pub table: Table,
    asks: BTreeMap<TransactionId, Ask>,
    /// What is ready to be decided, and from which network it comes.
    queue: VecDeque<(Arc<Transaction>, Option<Net>)>,
    notes: Vec<Note>,
    /// What is proposed and not decided.
    proposed: BTreeSet<TransactionId>,
    /// Bodies that others still need from here.
    pub bodies: BTreeMap<RecordId, Body>,
    /// The last header that each record node was sent.
    through: BTreeMap<NodeId, Height>,
    unacked: BTreeMap<(RecordId, NodeId), Unacked>,
    /// Records on their way to the index, and how often they were sent.
    pub relays: VecDeque<(RecordId, u32)>,
    /// Who brought a record from another network.
    pub injected: BTreeMap<RecordId, NodeId>,
    /// Whether the others know that this node leads.
    announced: Option<u64>,
    ripe: bool,
    batching: bool,
    acking: bool,
    awaited: bool,
    /// Who claimed a patient without being listed.
    accused: BTreeSet<NodeId>,
    /// Whose claim is believed, where nobody looks at the table.
    trusted: BTreeSet<(NodeId, Digest)>,
}

impl Desk {
    /// Nothing has happened since the chain.
    pub fn new(table: Table) -> Self {
        Self {
            table,
            asks: BTreeMap::new(),
            queue: VecDeque::new(),
            notes: Vec::new(),
            proposed: BTreeSet::new(),
            bodies: BTreeMap::new(),
            through: BTreeMap::new(),
            unacked: BTreeMap::new(),
            relays: VecDeque::new(),
            injected: BTreeMap::new(),
            announced: None,
            ripe: false,
            batching: false,
            acking: false,
            awaited: false,
            accused: BTreeSet::new(),
            trusted: BTreeSet::new(),
        }
    }

    fn knows(&self, id: TransactionId) -> bool {
        self.proposed.contains(&id) || self.queue.iter().any(|(t, _)| t.id == id)
    }

    /// Forgets the body of a record that nobody needs from here any more.
    fn forget_body(&mut self, rid: &RecordId) {
        let mut due = self
            .unacked
            .range((*rid, NodeId(0))..=(*rid, NodeId(u16::MAX)));
        let needed = due.next().is_some() || self.relays.iter().any(|(waits, _)| waits == rid);
        if !needed {
            self.bodies.remove(rid);
        }
    }

    /// Whether anything waits to be decided.
    fn waits(&self) -> bool {
        !self.asks.is_empty() || !self.queue.is_empty() || !self.proposed.is_empty()
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
        let desk = self.desk();
        if cx.includes(transaction.id) {
            self.tell_headers(from, cx);
            return;
        }
        if desk.asks.contains_key(&transaction.id) {
            return;
        }
        let ask = Ask {
            transaction: transaction.clone(),
            body: None,
            answers: BTreeSet::new(),
            polled: false,
            queued: false,
        };
        desk.asks.insert(transaction.id, ask);
        if self.leads() && self.config.presence == Presence::Poll {
            let after = self.config.presence_timeout;
            cx.set_timer(Timer::Presence(transaction.id), after);
        }
        self.look_at(transaction.id, cx);
    }

    /// Somebody says whether it has the patient of a request. A hint only: the table decides.
    pub(super) fn on_presence(
        &mut self,
        from: NodeId,
        id: TransactionId,
        (present, remote): (bool, bool),
        cx: &mut Cx<'_>,
    ) {
        let trust = self.mutant(Mutant::TrustPresence);
        let others = self.topology.edge(self.net).others.n();
        let desk = self.desk();
        let Some(ask) = desk.asks.get_mut(&id) else {
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
        if remote && !desk.table.is_remote(&user) {
            self.note(Note::Remote { user });
        }
        self.look_at(id, cx);
    }

    /// The body of a record that is to be entered.
    pub(super) fn on_payload(&mut self, id: TransactionId, body: Body, cx: &mut Cx<'_>) {
        let unchecked = self.mutant(Mutant::NoBodyCheck);
        let Some(ask) = self.desk().asks.get_mut(&id) else {
            return;
        };
        let Meaning::Record(content) = Meaning::of(&ask.transaction) else {
            return;
        };
        if body.digest != content.payload_hash && !unchecked {
            cx.report(Report::Reached("digest-mismatch"));
            return;
        }
        ask.body = Some(body);
        self.look_at(id, cx);
    }

    /// Nobody waits longer for answers.
    pub(super) fn on_presence_over(&mut self, id: TransactionId, cx: &mut Cx<'_>) {
        if let Some(ask) = self.desk().asks.get_mut(&id) {
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
            desk.bodies.insert(content.rid, body);
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
        if !self.desk().knows(transaction.id) && !cx.includes(transaction.id) {
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
            let Some(decisions) = group.propose(&batch, cx) else {
                break;
            };
            let desk = self.desk();
            desk.queue.drain(..count);
            desk.notes.clear();
            desk.ripe = false;
            desk.proposed.extend(taken.iter().map(|(t, _)| t.id));
            self.take(decisions, cx);
        }
        let leads = self.leads();
        let desk = self.desk();
        let waits = !desk.queue.is_empty() || !desk.notes.is_empty();
        if leads && waits && !desk.ripe && !desk.batching {
            desk.batching = true;
            cx.set_timer(Timer::Batch, rule.wait);
        }
        let waits = desk.waits();
        if desk.awaited != waits {
            desk.awaited = waits;
            let group = self.durable.group.as_mut().expect("it takes part");
            let decisions = group.await_decision(waits, cx);
            self.take(decisions, cx);
        }
    }

    pub(super) fn on_batch_ripe(&mut self) {
        let desk = self.desk();
        desk.batching = false;
        desk.ripe = true;
    }

    /// Follows decisions of the edge network.
    pub(super) fn take_blocks(&mut self, decisions: Vec<Decision>, cx: &mut Cx<'_>) {
        for Decision { height, batch } in decisions {
            if height <= cx.ledger().height() {
                continue; // Decided before a crash.
            }
            cx.decide(height, &batch);
            let block = cx
                .ledger()
                .block(height)
                .expect("it was just added")
                .clone();
            self.keep_header(&block, cx);
            let changes = self.desk().table.apply(&block);
            self.forget_asked(&block);
            self.report_changes(&block, &changes, cx);
            if self.leads() {
                self.act_on(&block, &changes, cx);
            }
        }
    }

    /// Keeps the proof while the agreement still has it.
    fn keep_header(&mut self, block: &Arc<Block>, cx: &mut Cx<'_>) {
        let lazy = matches!(self.durable.group, Some(super::inner::Inner::Raft(_)));
        if !lazy {
            self.header_at(block.height, cx);
        }
    }

    /// The header of a block of this network, if this node can prove it.
    pub(super) fn header_at(&mut self, height: Height, cx: &mut Cx<'_>) -> Option<Arc<Header>> {
        if let Some(header) = self.durable.headers.get(&(self.net, height)) {
            return Some(header.clone());
        }
        let batch = cx.ledger().block(height)?.batch.clone();
        let word = Word {
            height,
            digest: batch.digest(),
        };
        let group = self.durable.group.as_mut()?;
        let header = Header::of(self.net, height, &batch, group.proof_of(word, cx)?);
        let key = (self.net, height);
        self.durable.headers.insert(key, header.clone());
        Some(header)
    }

    /// What was decided is asked for no longer.
    fn forget_asked(&mut self, block: &Block) {
        let desk = self.desk();
        for transaction in block.batch.transactions() {
            desk.asks.remove(&transaction.id);
            desk.proposed.remove(&transaction.id);
            desk.queue.retain(|(queued, _)| queued.id != transaction.id);
        }
    }

    /// Tells observers.
    fn report_changes(&mut self, block: &Block, changes: &[Change], cx: &mut Cx<'_>) {
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
                Change::Closed { user, node } => facts.push(Fact::Closed {
                    net,
                    height,
                    user: *user,
                    node: *node,
                }),
                Change::Moved { user, node, lost } => {
                    let (user, node) = (*user, *node);
                    facts.push(Fact::Moved { net, user, node });
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
        for change in changes {
            match change {
                Change::Record(rid) => {
                    self.send_on(*rid, cx);
                    self.desk().forget_body(rid);
                    if let Some(by) = self.desk().injected.remove(rid) {
                        cx.send(by, Message::Ack(vec![*rid]));
                    }
                }
                Change::Closed { user, node } => cx.send(*node, Message::Erase(*user)),
                Change::Registered { .. } | Change::Moved { .. } => {}
            }
        }
    }

    /// Sends every record node the header, and the records that are for it.
    fn deliver(&mut self, block: &Arc<Block>, changes: &[Change], cx: &mut Cx<'_>) {
        let mut bare = Vec::new();
        let records = self.topology.edge(self.net).records.clone();
        for &node in records.members() {
            let mut items = Vec::new();
            let mut entered_there = false;
            for change in changes {
                if let Change::Record(rid) = change {
                    let origin = self.is_origin(node, rid);
                    entered_there |= origin;
                    if self.is_for(rid, node) && !origin {
                        items.extend(self.item(rid));
                    }
                }
            }
            if items.is_empty() {
                // Who entered the record is told with the next block, or when it asks.
                if !entered_there {
                    bare.push(node);
                }
                continue;
            }
            let rids: Vec<RecordId> = items.iter().map(|item| item_rid(item)).collect();
            self.owe_ack(node, &rids, block.height, cx);
            let headers = self.headers_for(node, block.height, cx);
            cx.send(node, Message::Deliver { headers, items });
        }
        for node in bare {
            let headers = self.headers_for(node, block.height, cx);
            if !headers.is_empty() {
                cx.send(node, Message::Header(headers));
            }
        }
    }

    /// Whether a record is for a node.
    fn is_for(&mut self, rid: &RecordId, node: NodeId) -> bool {
        let desk = self.desk();
        let Some(entry) = desk.table.record(rid) else {
            return false;
        };
        let user = entry.content().pid.0;
        entry.nodes.contains(&node) || desk.trusted.contains(&(node, user))
    }

    /// Whether a record was entered at a node.
    fn is_origin(&mut self, node: NodeId, rid: &RecordId) -> bool {
        let Some(entry) = self.desk().table.record(rid) else {
            return false;
        };
        let user = entry.content().pid.0;
        entry.from.is_none() && self.topology.origin(&user, &rid.0) == node
    }

    /// A record with its body, if it is here.
    fn item(&mut self, rid: &RecordId) -> Option<Item> {
        let net = self.net;
        let desk = self.desk();
        let entry = desk.table.record(rid)?;
        Some(Item {
            transaction: TransactionRef(entry.transaction.clone()),
            body: *desk.bodies.get(rid)?,
            place: (net, entry.height),
            header: None,
        })
    }

    fn owe_ack(&mut self, node: NodeId, rids: &[RecordId], height: Height, cx: &mut Cx<'_>) {
        let after = self.config.ack_timeout;
        let desk = self.desk();
        for rid in rids {
            let unacked = Unacked { height, tries: 0 };
            desk.unacked.insert((*rid, node), unacked);
        }
        if !desk.acking {
            desk.acking = true;
            cx.set_timer(Timer::Ack, after);
        }
    }

    /// The headers up to a height that a record node was not sent yet.
    fn headers_for(&mut self, node: NodeId, to: Height, cx: &mut Cx<'_>) -> Vec<Arc<Header>> {
        let from = self.desk().through.get(&node).copied().unwrap_or(to - 1);
        self.desk().through.insert(node, to);
        let heights = from + 1..=to;
        heights
            .filter_map(|height| self.header_at(height, cx))
            .collect()
    }

    /// Sends a node of the network the headers up to now that it was not sent yet.
    fn tell_headers(&mut self, node: NodeId, cx: &mut Cx<'_>) {
        let top = cx.ledger().height();
        if self.leads() && self.topology.edge(self.net).records.contains(node) {
            let from = self.desk().through.get(&node).copied().unwrap_or(0);
            self.desk()
                .through
                .insert(node, from.min(top.saturating_sub(1)));
            let headers = self.headers_for(node, top, cx);
            cx.send(node, Message::Header(headers));
        }
    }

    /// Records have arrived at a record node, or at the index.
    pub(super) fn on_ack_to_edge(&mut self, from: NodeId, rids: &[RecordId]) {
        let index = self.topology.edge(self.net).index.contains(&from);
        let desk = self.desk();
        for rid in rids {
            if index {
                desk.relays.retain(|(waiting, _)| waiting != rid);
            } else {
                desk.unacked.remove(&(*rid, from));
            }
            desk.forget_body(rid);
        }
    }

    /// Repeats deliveries, and leaves those repeated often enough to the receivers.
    pub(super) fn on_ack_overdue(&mut self, cx: &mut Cx<'_>) {
        let retries = self.config.ack_retries;
        let never = self.mutant(Mutant::NeverRepeat);
        let desk = self.desk();
        desk.acking = false;
        let mut again: BTreeMap<NodeId, Vec<(RecordId, Height)>> = BTreeMap::new();
        for ((rid, node), unacked) in &mut desk.unacked {
            unacked.tries += 1;
            if unacked.tries <= retries && !never {
                again.entry(*node).or_default().push((*rid, unacked.height));
            }
        }
        desk.unacked
            .retain(|_, unacked| unacked.tries <= retries && !never);
        for (node, rids) in again {
            let items: Vec<Item> = rids.iter().filter_map(|(rid, _)| self.item(rid)).collect();
            let heights: BTreeSet<Height> = rids.iter().map(|(_, height)| *height).collect();
            let mut headers = Vec::new();
            for height in heights {
                headers.extend(self.header_at(height, cx));
            }
            cx.send(node, Message::Deliver { headers, items });
        }
        let after = self.config.ack_timeout;
        let desk = self.desk();
        if !desk.unacked.is_empty() {
            desk.acking = true;
            cx.set_timer(Timer::Ack, after);
        }
    }

    /// A record node says what it has; it is told what it lacks.
    pub(super) fn on_compare(
        &mut self,
        from: NodeId,
        (through, sum): (Height, Sum),
        cx: &mut Cx<'_>,
    ) {
        let top = cx.ledger().height();
        let desk = self.desk.as_ref().expect("only consensus nodes compare");
        let (due, rids) = desk.table.due(from);
        let rids = if due == sum { &[][..] } else { rids };
        let others = |rid: &RecordId| {
            let entry = desk.table.record(rid).expect("what is due is known");
            let nodes = entry.nodes.iter().filter(|node| **node != from);
            (*rid, nodes.copied().collect::<Vec<_>>())
        };
        let records: Vec<_> = rids.iter().map(others).collect();
        let last = top.min(through + HEADERS_MAX);
        let mut headers = Vec::new();
        for height in through + 1..=last {
            headers.extend(self.header_at(height, cx));
        }
        if !headers.is_empty() || !records.is_empty() {
            cx.send(from, Message::Due { headers, records });
        }
    }

    /// Somebody wants a body that this node may still have.
    pub(super) fn on_fetch_from_edge(&mut self, from: NodeId, rid: &RecordId, cx: &mut Cx<'_>) {
        let listed = self.desk().table.record(rid);
        let listed = listed.is_some_and(|entry| entry.nodes.contains(&from));
        if listed && let Some(item) = self.item(rid) {
            cx.send(from, Message::Fetched(Box::new(item)));
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
        // What another leader proposed may be lost; what was heard is asked again.
        desk.proposed.clear();
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

/// Headers in one answer at most.
const HEADERS_MAX: Height = 256;

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
