//! Where clients come in: any node takes a request, passes it to the primary of the group it
//! belongs to, and to all members of the group if that does not help.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::roles::{Role, shard};
use super::{Cx, Mbft, Message, Timer};
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::chain::{Transaction, TransactionId};

/// A request that this node answers for.
#[derive(Clone, Debug)]
struct Waiting {
    transaction: Arc<Transaction>,
    /// When its group is told again.
    due: Time,
    /// How often it was told.
    told: u32,
}

/// The requests that this node answers for.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    /// The first is due first: a new one may have to wait less than an old one that was told often.
    waiting: VecDeque<Waiting>,
    /// What was passed on and cannot be looked up in the chain, because it is kept without bodies.
    passed: BTreeSet<TransactionId>,
    /// When the timer for the first of them fires, if it runs.
    timed: Option<Time>,
}

impl Entry {
    /// Puts a request among the others, in the order in which they are due.
    fn put(&mut self, request: Waiting) {
        let place = self
            .waiting
            .partition_point(|other| other.due <= request.due);
        self.waiting.insert(place, request);
    }
}

/// Requests that one node answers for at most; what comes beyond is told once.
const WAITING_MAX: usize = 50_000;

impl Mbft {
    /// The group a transaction belongs to just now.
    pub(super) fn shard(&self, transaction: &Transaction) -> u16 {
        let register = &self.volatile.register;
        shard(transaction, register.roles.epoch, &register.active)
    }

    /// A client asks this node. What is in the chain already came late: if it waited in the group
    /// once more, its primary would order it, and nobody votes for that.
    pub(super) fn on_submit(&mut self, transaction: &Arc<Transaction>, cx: &mut Cx<'_>) {
        if self.has(transaction.id, cx) {
            return;
        }
        if self.keeps_heads() {
            self.pass_on_unseen(transaction, cx);
            return;
        }
        self.pass_on(transaction, cx);
        if self.volatile.entry.waiting.len() < WAITING_MAX {
            let due = cx.now() + self.config.forward_timeout;
            self.volatile.entry.put(Waiting {
                transaction: transaction.clone(),
                due,
                told: 1,
            });
        }
        self.watch_entry(cx);
    }

    /// Passes on a request that this node cannot find in the chain later. If its client asks again,
    /// it was not answered in time, and every member of the group is told.
    fn pass_on_unseen(&mut self, transaction: &Arc<Transaction>, cx: &mut Cx<'_>) {
        let passed = &mut self.volatile.entry.passed;
        if passed.len() >= WAITING_MAX {
            passed.clear();
        }
        if passed.insert(transaction.id) {
            self.pass_on(transaction, cx);
        } else {
            self.tell_all(transaction, cx);
            self.report_backlog(self.shard(transaction), cx);
        }
        self.watch_group(false, cx);
    }

    /// A transaction of this group waits from now on; false if it did before. A primary uses the
    /// time until it orders it to verify its signatures.
    pub(super) fn take_in(&mut self, transaction: &Arc<Transaction>, cx: &mut Cx<'_>) -> bool {
        let fresh = self.volatile.desk.mempool.insert(transaction.clone());
        if fresh && self.is_primary() {
            cx.verified(transaction.signatures());
            self.volatile.desk.verified.insert(transaction.id);
        }
        fresh
    }

    /// Gives a transaction to whoever should order it: the primary of its group, as far as the
    /// chain tells who that is.
    pub(super) fn pass_on(&mut self, transaction: &Arc<Transaction>, cx: &mut Cx<'_>) {
        let group = self.shard(transaction);
        if self.role() == Role::Member(group) {
            if self.take_in(transaction, cx) && !self.is_primary() {
                self.tell_primary(transaction, cx);
            }
            return;
        }
        let register = &self.volatile.register;
        let view = register.groups[usize::from(group)].view;
        let primary = register.roles.groups[usize::from(group)].leader(view);
        cx.send(primary, Message::Forward(vec![transaction.clone()]));
    }

    /// Tells the primary of this node's own group.
    fn tell_primary(&mut self, transaction: &Arc<Transaction>, cx: &mut Cx<'_>) {
        if let Some(primary) = self.primary().filter(|primary| *primary != cx.me()) {
            cx.send(primary, Message::Forward(vec![transaction.clone()]));
        }
    }

    /// Another node passes on what clients asked it.
    pub(super) fn on_forward(&mut self, transactions: &[Arc<Transaction>], cx: &mut Cx<'_>) {
        let Role::Member(group) = self.role() else {
            return;
        };
        for transaction in transactions {
            let belongs = self.shard(transaction) == group && !self.has(transaction.id, cx);
            if belongs && self.take_in(transaction, cx) && self.has_moved_on() {
                // Whoever sent it may not know the primary of this view. It was new to us, so
                // this ends.
                self.tell_primary(transaction, cx);
            }
        }
    }

    /// Some requests are overdue: every member of their groups is told, and waits for them too.
    pub(super) fn on_forward_due(&mut self, cx: &mut Cx<'_>) {
        self.volatile.entry.timed = None;
        let now = cx.now();
        let waiting = &mut self.volatile.entry.waiting;
        let overdue = waiting.iter().take_while(|waiting| waiting.due <= now);
        let overdue = overdue.count();
        let overdue: Vec<Waiting> = waiting.drain(..overdue).collect();
        for mut waiting in overdue {
            if self.has(waiting.transaction.id, cx) {
                continue;
            }
            self.tell_all(&waiting.transaction, cx);
            let group = self.shard(&waiting.transaction);
            self.report_backlog(group, cx);
            let pause = self.config.forward_timeout * (1 << waiting.told.min(5));
            waiting.told += 1;
            waiting.due = now + pause;
            self.volatile.entry.put(waiting);
        }
        self.watch_entry(cx);
    }

    fn tell_all(&mut self, transaction: &Arc<Transaction>, cx: &mut Cx<'_>) {
        let group = self.shard(transaction);
        if self.role() == Role::Member(group) {
            self.take_in(transaction, cx);
        }
        let members = self.volatile.register.roles.groups[usize::from(group)].clone();
        cx.broadcast(&members, Message::Forward(vec![transaction.clone()]));
    }

    /// Keeps the timer running while requests wait; what stands in the chain waits no more.
    pub(super) fn watch_entry(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        while let Some(first) = self.volatile.entry.waiting.front() {
            if !self.has(first.transaction.id, cx) {
                break;
            }
            self.volatile.entry.waiting.pop_front();
        }
        let entry = &mut self.volatile.entry;
        match entry.waiting.front() {
            Some(first) if entry.timed.is_none_or(|due| first.due < due) => {
                entry.timed = Some(first.due);
                cx.set_timer(Timer::Forward, first.due.since(now));
            }
            None if entry.timed.is_some() => {
                entry.timed = None;
                cx.cancel_timer(Timer::Forward);
            }
            Some(_) | None => {}
        }
    }

    /// What this node does in the present epoch.
    pub(super) fn role(&self) -> Role {
        self.volatile.register.roles.of(self.setup.me)
    }

    /// The primary of this node's group, if it is in one.
    pub(super) fn primary(&self) -> Option<NodeId> {
        let member = self.durable.member.as_ref()?;
        self.primary_of(member.view)
    }

    /// The primary of this node's group in a view, if it is in one.
    pub(super) fn primary_of(&self, view: u64) -> Option<NodeId> {
        Some(self.group()?.leader(view))
    }
}
