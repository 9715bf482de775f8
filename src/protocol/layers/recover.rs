//! Records that have to be sent once more: those of which the index has heard and that do not come,
//! and those that another network was sent and has lost, perhaps with the only node that had them.

use super::between::MISSED_MAX;
use super::config::Mutant;
use super::edge::item_rid;
use super::index::Line;
use super::message::{Item, Parcel, TransactionRef};
use super::table::Entry;
use super::topology::{Net, Role};
use super::{Cx, Layers, Message};
use crate::base::node::NodeId;
use crate::contract::message::RecordId;

/// Times that a record node asks in vain before another network is asked for a record.
pub(super) const VAIN_MAX: u32 = 3;

/// Another one is asked each second, because some may be down.
fn turn(cx: &Cx<'_>) -> u32 {
    (cx.now().nanos() / 1_000_000_000) as u32
}

impl Layers {
    /// Nobody here has a record of another network, which is asked for it through the index.
    pub(super) fn ask_abroad(
        &mut self,
        (rid, lacks): (RecordId, NodeId),
        origin: Net,
        cx: &mut Cx<'_>,
    ) {
        if self.mutant(Mutant::NeverAskAbroad) {
            return;
        }
        self.desk().abroad.insert((rid, lacks));
        let between = Some((origin, self.net));
        let index = self.topology.relay(self.net, &rid.0, turn(cx));
        cx.send(index, Message::Remind { rid, between });
    }

    /// An index node hears that a network lacks what came from another one: if it is of the first,
    /// it tells the second, and if it is of that, a consensus node there.
    pub(super) fn pass_reminder(
        &mut self,
        from: NodeId,
        rid: RecordId,
        between: Option<(Net, Net)>,
        cx: &mut Cx<'_>,
    ) {
        let Some((origin, lacking)) = between else {
            self.hear_denial(from, rid);
            return;
        };
        let here = self.topology.edge(self.net).consensus.contains(from);
        let abroad = self.topology.role(from) == Role::Index;
        let reminder = Message::Remind { rid, between };
        if lacking == self.net && here && self.topology.find(origin).is_some() {
            if self.durable.depot.arriving.contains_key(&rid) {
                self.on_fetch_from_depot(from, &rid, cx);
                return;
            }
            // Only what once came: who lies cannot have this node remember more than that.
            if self.counter().inter.has(&Line::relay(rid, origin, lacking)) {
                self.counter().asked.insert((rid, from));
            }
            let node = self.topology.relay(origin, &rid.0, turn(cx));
            cx.send(node, reminder);
        } else if origin == self.net && abroad && self.topology.net_of(from) == lacking {
            let consensus = &self.topology.edge(self.net).consensus;
            cx.send(consensus.leader(u64::from(turn(cx))), reminder);
        }
    }

    /// The index misses a record, or another network does. Whoever is asked may have no body of
    /// it, and may not lead. If there is nothing to send, it says so by the same words.
    pub(super) fn on_remind(
        &mut self,
        from: NodeId,
        (rid, between): (RecordId, Option<(Net, Net)>),
        cx: &mut Cx<'_>,
    ) {
        if !self.topology.edge(self.net).index.contains(&from) {
            return;
        }
        let desk = self.desk();
        let elsewhere = |entry: &Entry| desk.table.elsewhere(&entry.content().pid.0);
        let entry = desk.table.record(&rid);
        let sent = |entry: &&Entry| entry.from.is_none() && !elsewhere(entry).is_empty();
        let Some(entry) = entry.filter(sent) else {
            if between.is_none() {
                cx.send(from, Message::Remind { rid, between });
            }
            return;
        };
        let nodes = entry.nodes.clone();
        if let Some((_, net)) = between {
            if !elsewhere(entry).contains(&net) {
                return;
            }
            desk.lacking.insert((rid, net));
        }
        if desk.body(&rid).is_some() {
            self.send_again(rid, cx);
        } else if !nodes.is_empty() {
            let holder = nodes[turn(cx) as usize % nodes.len()];
            cx.send(holder, Message::Fetch { rid, tried: 0 });
        }
    }

    /// What this node has asked another network for has come. It goes straight to who lacks it:
    /// whoever leads here may have lost it on purpose, and would again.
    pub(super) fn on_brought_again(&mut self, parcel: &Parcel, cx: &mut Cx<'_>) {
        if self.mutant(Mutant::ToTheLeaderOnly) {
            return;
        }
        let rid = item_rid(&parcel.item);
        let desk = self.desk();
        let lacking = desk
            .abroad
            .range((rid, NodeId(0))..=(rid, NodeId(u16::MAX)));
        let lacking: Vec<NodeId> = lacking.map(|(_, node)| *node).collect();
        let body = parcel.item.body;
        let same = |entry: &&Entry| entry.content().payload_hash == body.digest;
        let Some(entry) = desk.table.record(&rid).filter(same) else {
            return;
        };
        let (height, nodes) = (entry.height, entry.nodes.clone());
        let item = Item {
            transaction: TransactionRef(entry.transaction.clone()),
            body,
            place: (self.net, height),
            header: None,
        };
        for node in lacking {
            self.desk().abroad.remove(&(rid, node));
            if nodes.contains(&node) {
                self.hand_item(node, item.clone(), cx);
            }
        }
    }

    /// A body that this node has asked for.
    pub(super) fn on_fetched_at_edge(&mut self, item: &Item, cx: &mut Cx<'_>) {
        let rid = item_rid(item);
        let desk = self.desk();
        let Some(entry) = desk.table.record(&rid) else {
            return;
        };
        let hash = entry.content().payload_hash;
        if hash == item.body.digest {
            desk.bodies.insert((rid, hash), item.body);
            self.send_again(rid, cx);
        }
    }

    /// Sends a record to those networks that have lost it, or else to all that should have it.
    fn send_again(&mut self, rid: RecordId, cx: &mut Cx<'_>) {
        let desk = self.desk();
        let lacking = desk.lacking.range((rid, 0)..=(rid, Net::MAX));
        let lacking: Vec<Net> = lacking.map(|(_, net)| *net).collect();
        if lacking.is_empty() {
            self.send_on(rid, cx);
            return;
        }
        for net in lacking {
            self.desk().lacking.remove(&(rid, net));
            if let Some(parcel) = self.parcel(&rid, net, cx) {
                let index = self.topology.relay(self.net, &rid.0, turn(cx));
                cx.send(index, Message::Relay(Box::new(parcel)));
            }
        }
        self.desk().forget_body(&rid);
    }

    /// What was heard of and does not come is asked for: of whoever leads, and then of one
    /// consensus node after the other, because the leader may be down, or has sent it in vain.
    /// So many have to say that there is nothing to send that one of them is honest.
    pub(super) fn remind_of_heard(&mut self, cx: &mut Cx<'_>) {
        let (patience, now) = (self.config.relay_timeout, cx.now());
        let consensus = self.topology.edge(self.net).consensus.clone();
        let mut remind = Vec::new();
        self.durable.depot.heard.retain(|rid, heard| {
            if heard.waiting.is_late(patience, now) {
                remind.push((*rid, heard.waiting.tries));
            }
            heard.waiting.tries < MISSED_MAX || heard.denied.len() < consensus.one_honest()
        });
        for (rid, tries) in remind {
            let between = None;
            let message = Message::Remind { rid, between };
            if tries == 1 {
                self.tell_leader(message, cx);
            } else {
                cx.send(consensus.leader(u64::from(tries)), message);
            }
        }
    }

    /// A consensus node has nothing to send of what this node has heard of.
    pub(super) fn hear_denial(&mut self, from: NodeId, rid: RecordId) {
        let consensus = self.topology.edge(self.net).consensus.contains(from);
        if let Some(heard) = self.durable.depot.heard.get_mut(&rid)
            && consensus
        {
            heard.denied.insert(from);
        }
    }
}
