//! What record nodes have asked for, or another node is to see to: records that are to be entered,
//! and registrations. It is asked again until it is decided, and never faster than it can be.

use std::sync::Arc;

use super::header::Header;
use super::meaning::Meaning;
use super::message::{Body, Item, TransactionRef};
use super::patience::Waiting;
use super::topology::Role;
use super::{Cx, Layers, Message, Timer};
use crate::base::node::NodeId;
use crate::chain::{Transaction, TransactionId};
use crate::protocol::Report;

impl Layers {
    /// A patient's record is entered here.
    pub(super) fn enter_record(&mut self, transaction: &Arc<Transaction>, cx: &mut Cx<'_>) {
        let Meaning::Record(content) = Meaning::of(transaction) else {
            return;
        };
        let body = Body {
            digest: content.payload_hash,
            bytes: u32::try_from(content.payload_bytes).unwrap_or(u32::MAX),
        };
        let store = &self.durable.store;
        let open = store.open.get(&transaction.id).cloned();
        let kept = store.records.get(&content.rid);
        let known = open.is_some()
            || kept.is_some_and(|item| item.transaction.0.id == transaction.id)
            || store.has_refused(&content.rid, transaction.id);
        // A client may give one name to two calls. What is asked for is on disk here, or nobody
        // would have it once it is decided.
        let (transaction, body) = open.unwrap_or_else(|| (transaction.clone(), body));
        if !known {
            let open = (transaction.clone(), body);
            self.durable.store.open.insert(transaction.id, open);
            cx.persist();
        }
        // Every gateway passes on what a client asks again: it is on its way already.
        if !self.is_asked(transaction.id, cx) {
            self.ask_to_enter(&transaction, body, cx);
        }
        self.watch_requests(cx);
    }

    /// Whether a request was made so lately that its answer may still come.
    pub(super) fn is_asked(&self, id: TransactionId, cx: &Cx<'_>) -> bool {
        let asked = self.volatile.clerk.asked_at.get(&id);
        asked.is_some_and(|asked| *asked + self.config.relay_timeout > cx.now())
    }

    /// A request is made now.
    pub(super) fn note_asked(&mut self, id: TransactionId, cx: &Cx<'_>) {
        let (patience, now) = (self.config.relay_timeout, cx.now());
        let asked_at = &mut self.volatile.clerk.asked_at;
        asked_at.retain(|_, asked| *asked + patience > now);
        asked_at.insert(id, now);
    }

    fn ask_to_enter(&mut self, transaction: &Arc<Transaction>, body: Body, cx: &mut Cx<'_>) {
        self.note_asked(transaction.id, cx);
        let all = self.topology.edge(self.net).all.clone();
        cx.broadcast(&all, Message::AddRequest(transaction.clone()));
        let id = transaction.id;
        self.tell_leader(Message::Payload { id, body }, cx);
    }

    /// Another node is to see to what a client asks for. If it does not, this one does: a record
    /// is entered wherever its patient is registered, a registration goes to whoever leads.
    pub(super) fn stand_by(&mut self, transaction: &Arc<Transaction>, cx: &mut Cx<'_>) {
        let can = match (self.role, Meaning::of(transaction)) {
            (Role::Record, Meaning::Record(content)) => {
                let user = content.pid.0;
                let home = self.topology.home(&user) == self.net;
                home && self.topology.row(&user, self.net).contains(&cx.me())
            }
            (Role::Consensus, Meaning::Registration { party, .. }) => {
                self.topology.net_of(self.topology.serves(&party)) == self.net
            }
            (Role::Record | Role::Consensus | Role::Index, _) => false,
        };
        if can && !cx.includes(transaction.id) {
            let aside = &mut self.volatile.aside;
            let waits = (transaction.clone(), Waiting::new(cx.now()));
            aside.entry(transaction.id).or_insert(waits);
            self.watch_requests(cx);
        }
    }

    /// Sees to what another node has not seen to.
    pub(super) fn on_aside_overdue(&mut self, cx: &mut Cx<'_>) {
        self.volatile.clerk.requesting = false;
        let (patience, now) = (self.config.relay_timeout, cx.now());
        let aside = &mut self.volatile.aside;
        let mut late = Vec::new();
        aside.retain(|_, (transaction, waiting)| {
            let is_late = waiting.is_late(patience, now);
            if is_late {
                late.push(transaction.clone());
            }
            !is_late
        });
        for transaction in late {
            if !cx.includes(transaction.id) {
                self.on_forward(cx.me(), &transaction, cx);
            }
        }
        self.watch_requests(cx);
    }

    pub(super) fn watch_requests(&mut self, cx: &mut Cx<'_>) {
        let waits = !self.volatile.aside.is_empty()
            || !self.durable.store.open.is_empty()
            || self
                .durable
                .store
                .registrations
                .values()
                .any(|w| !w.decided);
        let clerk = &mut self.volatile.clerk;
        if waits && !clerk.requesting {
            clerk.requesting = true;
            cx.set_timer(Timer::Request, self.config.relay_timeout);
        }
    }

    /// What was asked for long ago and is not decided is asked for again.
    pub(super) fn on_request_overdue(&mut self, cx: &mut Cx<'_>) {
        self.volatile.clerk.requesting = false;
        let open: Vec<_> = self.durable.store.open.values().cloned().collect();
        for (transaction, body) in open {
            if !self.is_asked(transaction.id, cx) {
                self.ask_to_enter(&transaction, body, cx);
            }
        }
        let consensus = self.topology.edge(self.net).consensus.clone();
        for auth in self.durable.store.undecided() {
            if self.is_asked(auth.id, cx) {
                continue;
            }
            self.note_asked(auth.id, cx);
            // Everybody waits for it then, and replaces a leader that does nothing.
            cx.broadcast(&consensus, Message::Register(auth));
        }
        self.on_aside_overdue(cx);
    }

    /// Something else was decided by the name of what was asked for here, which comes to nothing.
    /// It may still be decided without its name: this may be the only copy then.
    pub(super) fn on_taken(&mut self, by: &Transaction, header: &Header, cx: &mut Cx<'_>) {
        let proven = header.net == self.net
            && header.position(by).is_some()
            && header.verify(&self.topology, &self.config, cx.keyring());
        if !proven {
            cx.report(Report::Reached("bad-header"));
            return;
        }
        let store = &mut self.durable.store;
        let other = |transaction: &Transaction| transaction.digest != by.digest;
        if let Some(wanted) = store.registrations.get(&by.id)
            && other(&wanted.auth)
            && !wanted.decided
        {
            store.registrations.remove(&by.id);
            cx.persist();
        }
        if store.open.get(&by.id).is_some_and(|(open, _)| other(open))
            && let Some((transaction, body)) = store.open.remove(&by.id)
        {
            let place = (header.net, header.height);
            let item = Item {
                transaction: TransactionRef(transaction),
                body,
                place,
                header: None,
            };
            store.set_aside(item);
            cx.persist();
        }
    }

    /// Somebody leads the network from now on: it needs the bodies of what is open.
    pub(super) fn on_leader(&mut self, by: NodeId, leader: NodeId, cx: &mut Cx<'_>) {
        let consensus = &self.topology.edge(self.net).consensus;
        if !(consensus.contains(by) && consensus.contains(leader)) {
            return;
        }
        let known = self.volatile.leader == Some(leader);
        self.hear_leader(leader);
        // Whoever does not lead says so to each message. It is enough to heed that once: two who
        // take each other for the leader would have everything sent to and fro without end.
        let told = self.volatile.clerk.told_at;
        let lately = told.is_some_and(|told| told + self.config.relay_timeout > cx.now());
        if by != leader && (known || lately) {
            return;
        }
        self.volatile.clerk.told_at = Some(cx.now());
        let open: Vec<_> = self.durable.store.open.values().cloned().collect();
        for (transaction, body) in open {
            let id = transaction.id;
            cx.send(leader, Message::AddRequest(transaction));
            cx.send(leader, Message::Payload { id, body });
        }
        for auth in self.durable.store.undecided() {
            cx.send(leader, Message::Register(auth));
        }
    }
}
