//! Deliveries: the leader of a network sends each block's header to everybody and each record to
//! those listed, repeats what is not acknowledged, and tells whoever compares what it lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::config::{Auth, Mutant};
use super::edge::{Unacked, item_rid};
use super::fact::Fact;
use super::header::Header;
use super::message::{End, Item, TransactionRef};
use super::patience::Waiting;
use super::recover::VAIN_MAX;
use super::table::{Change, Ended, Sum};
use super::{Cx, Layers, Message, Timer};
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::chain::{Block, Height, Transaction};
use crate::contract::message::RecordId;
use crate::protocol::Report;

/// Headers in one answer at most.
pub(super) const HEADERS_MAX: Height = 256;

impl Layers {
    /// Sends every record node the header, and the records that are for it.
    pub(super) fn deliver(&mut self, block: &Arc<Block>, changes: &[Change], cx: &mut Cx<'_>) {
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
            for item in &items {
                self.report_handed(item, node, cx);
            }
            let rids: Vec<RecordId> = items.iter().map(item_rid).collect();
            self.owe_ack(node, &rids, block.height, cx);
            if self.config.auth == Auth::PerTransfer {
                bare.push(node);
                self.ask_for_each(node, block.height, items, cx);
                continue;
            }
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

    /// Delivers records of a block as soon as their patients approve, each by itself.
    fn ask_for_each(&mut self, to: NodeId, height: Height, items: Vec<Item>, cx: &mut Cx<'_>) {
        let headers: Vec<Arc<Header>> = self.header_at(height, cx).into_iter().collect();
        for item in items {
            let entry = self.desk().table.record(&item_rid(&item));
            let Some(user) = entry.map(|entry| entry.content().pid.0) else {
                continue;
            };
            let (headers, items) = (headers.clone(), vec![item]);
            self.transfer(user, to, vec![Message::Deliver { headers, items }], cx);
        }
    }

    /// Tells observers who is sent a patient's records.
    fn report_handed(&mut self, item: &Item, to: NodeId, cx: &mut Cx<'_>) {
        if let Some(entry) = self.desk().table.record(&item_rid(item)) {
            let user = entry.content().pid.0;
            cx.report(Report::Shared(Box::new(Fact::Handed { user, to })));
        }
    }

    /// Whether a record is for a node.
    fn is_for(&mut self, rid: &RecordId, node: NodeId) -> bool {
        let all = self.mutant(Mutant::DeliverToAll);
        let desk = self.desk();
        let Some(entry) = desk.table.record(rid) else {
            return false;
        };
        let user = entry.content().pid.0;
        entry.nodes.contains(&node) || desk.trusted.contains(&(node, user)) || all
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
            body: desk.body(rid)?,
            place: (net, entry.height),
            header: None,
        })
    }

    fn owe_ack(&mut self, node: NodeId, rids: &[RecordId], height: Height, cx: &mut Cx<'_>) {
        let approval = self.config.approval();
        let (after, now) = (self.config.ack_timeout + approval, cx.now() + approval);
        let desk = self.desk();
        for rid in rids {
            let unacked = Unacked {
                height,
                waiting: Waiting::new(now),
            };
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

    /// Sends a node of the network the headers up to now that it was not sent yet, and that of what
    /// it asks for, which it may have had before it asked.
    pub(super) fn tell_headers(&mut self, node: NodeId, asked: Height, cx: &mut Cx<'_>) {
        let top = cx.ledger().height();
        if self.leads() && self.topology.edge(self.net).records.contains(node) {
            let from = self.desk().through.get(&node).copied().unwrap_or(0);
            self.desk()
                .through
                .insert(node, from.min(top.saturating_sub(1)));
            let mut headers = self.headers_for(node, top, cx);
            if headers.iter().all(|header| header.height != asked) {
                headers.extend(self.header_at(asked, cx));
            }
            cx.send(node, Message::Header(headers));
        }
    }

    /// Tells a record node that what it asks for has a name that is taken; says whether it has.
    pub(super) fn tell_taken(
        &mut self,
        node: NodeId,
        asked: &Arc<Transaction>,
        cx: &mut Cx<'_>,
    ) -> bool {
        let height = cx.height_of(asked.id);
        let block = height.and_then(|height| cx.ledger().block(height));
        let mut named = block.iter().flat_map(|block| block.batch.transactions());
        let named = named.find(|other| other.id == asked.id);
        let Some(by) = named.filter(|by| by.digest != asked.digest).cloned() else {
            return false;
        };
        let height = height.expect("what has the name stands in a block");
        match self.header_at(height, cx) {
            Some(header) if self.topology.edge(self.net).records.contains(node) => {
                let by = TransactionRef(by);
                cx.send(node, Message::Taken { by, header });
            }
            Some(_) => {}
            None => self.ask_for_header(height, cx),
        }
        true
    }

    /// Records have arrived at a record node, or at the index.
    pub(super) fn on_ack_to_edge(&mut self, from: NodeId, rids: &[RecordId], cx: &mut Cx<'_>) {
        let index = self.topology.edge(self.net).index.contains(&from);
        let desk = self.desk();
        let mut safe = Vec::new();
        for rid in rids {
            if index {
                desk.relays.retain(|(waiting, _)| waiting != rid);
            } else {
                desk.unacked.remove(&(*rid, from));
                // Somebody here has it on disk: the index node need not keep it.
                safe.extend(desk.injected.remove(rid).map(|by| (by, *rid)));
            }
            desk.forget_body(rid);
        }
        for (by, rid) in safe {
            cx.send(by, Message::Ack(vec![rid]));
        }
    }

    /// Sends a record that was decided before to those who are to keep it.
    pub(super) fn deliver_again(&mut self, rid: &RecordId, cx: &mut Cx<'_>) {
        let Some(item) = self.item(rid) else {
            return;
        };
        let Some(header) = self.header_at(item.place.1, cx) else {
            self.ask_for_header(item.place.1, cx);
            return;
        };
        let nodes = match self.desk().table.record(rid) {
            Some(entry) => entry.nodes.clone(),
            None => Vec::new(),
        };
        for node in nodes {
            self.owe_ack(node, &[*rid], item.place.1, cx);
            let (headers, items) = (vec![header.clone()], vec![item.clone()]);
            cx.send(node, Message::Deliver { headers, items });
        }
    }

    /// A record node has all that it should have.
    fn settle(&mut self, node: NodeId, cx: &mut Cx<'_>) {
        let desk = self.desk();
        let settled = desk.unacked.keys().filter(|(_, to)| *to == node);
        let settled: Vec<RecordId> = settled.map(|(rid, _)| *rid).collect();
        desk.unacked.retain(|(_, to), _| *to != node);
        desk.abroad.retain(|(_, to)| *to != node);
        let mut safe = Vec::new();
        for rid in &settled {
            safe.extend(desk.injected.remove(rid).map(|by| (by, *rid)));
            desk.forget_body(rid);
        }
        for (by, rid) in safe {
            cx.send(by, Message::Ack(vec![rid]));
        }
    }

    /// A registration has ended: what was on its way to the node is not sent again.
    pub(super) fn recall(&mut self, user: &Digest, node: NodeId) {
        self.take_back(user, node);
        let desk = self.desk();
        let rids = desk.table.records_of(user).to_vec();
        for rid in &rids {
            desk.unacked.remove(&(*rid, node));
            desk.forget_body(rid);
        }
    }

    /// Repeats deliveries, and leaves those repeated often enough to the receivers.
    pub(super) fn on_ack_overdue(&mut self, cx: &mut Cx<'_>) {
        let retries = self.config.ack_retries;
        let (after, now) = (self.config.ack_timeout, cx.now());
        let desk = self.desk();
        desk.acking = false;
        let mut again: BTreeMap<NodeId, Vec<(RecordId, Height)>> = BTreeMap::new();
        for ((rid, node), unacked) in &mut desk.unacked {
            if unacked.waiting.is_late(after, now) && unacked.waiting.tries <= retries {
                again.entry(*node).or_default().push((*rid, unacked.height));
            }
        }
        for (node, rids) in again {
            let items: Vec<Item> = rids.iter().filter_map(|(rid, _)| self.item(rid)).collect();
            let heights: BTreeSet<Height> = rids.iter().map(|(_, height)| *height).collect();
            let mut headers = Vec::new();
            for height in heights {
                headers.extend(self.header_at(height, cx));
            }
            cx.send(node, Message::Deliver { headers, items });
        }
        let desk = self.desk();
        let mut repeated = desk.unacked.values();
        if repeated.any(|unacked| unacked.waiting.tries <= retries) {
            desk.acking = true;
            cx.set_timer(Timer::Ack, after);
        }
    }

    /// Tells a record node that a patient's authorisation has ended.
    pub(super) fn tell_end(&mut self, node: NodeId, ended: &Ended, cx: &mut Cx<'_>) {
        let Some(header) = self.header_at(ended.height, cx) else {
            self.ask_for_header(ended.height, cx);
            return;
        };
        let by = TransactionRef(ended.by.clone());
        let grant = TransactionRef(ended.grant.clone());
        cx.send(node, Message::Erase(Box::new(End { by, grant, header })));
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
        let settled = due == sum;
        let (rids, ended) = if settled {
            (&[][..], Vec::new())
        } else {
            (rids, desk.table.ended(from).to_vec())
        };
        let others = |rid: &RecordId| {
            let entry = desk.table.record(rid).expect("what is due is known");
            let nodes = entry.nodes.iter().filter(|node| **node != from);
            (*rid, entry.height, nodes.copied().collect::<Vec<_>>())
        };
        let records: Vec<_> = rids.iter().map(others).collect();
        let last = top.min(through + HEADERS_MAX);
        let mut headers = Vec::new();
        for height in through + 1..=last {
            headers.extend(self.header_at(height, cx));
        }
        if settled {
            self.settle(from, cx);
        }
        let desk = self.desk();
        let grants = match settled {
            true => desk.table.pending(from).to_vec(),
            false => desk.table.granted(from), // It may have lost its disk, and know of none.
        };
        if !(headers.is_empty() && records.is_empty() && grants.is_empty()) {
            let due = Message::Due {
                headers,
                records,
                grants,
            };
            cx.send(from, due);
        }
        for end in &ended {
            self.tell_end(from, end, cx);
        }
    }

    /// Somebody wants a body that this node may still have, and that another network has if nobody
    /// here does.
    pub(super) fn on_fetch_from_edge(
        &mut self,
        from: NodeId,
        (rid, tried): (&RecordId, u32),
        cx: &mut Cx<'_>,
    ) {
        let anybody = self.mutant(Mutant::FetchUnlisted);
        let listed = self.desk().table.record(rid);
        let Some(entry) = listed.filter(|entry| anybody || entry.nodes.contains(&from)) else {
            return;
        };
        let origin = entry.from.filter(|_| tried >= VAIN_MAX);
        if let Some(item) = self.item(rid) {
            self.hand_item(from, item, cx);
        } else if let Some(origin) = origin {
            self.ask_abroad((*rid, from), origin, cx);
        }
    }
}
