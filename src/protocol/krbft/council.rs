//! Who holds which seat of the committee: whoever leads the seat's group in its newest term.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::config::Mutant;
use super::message::{CouncilUpdate, Message};
use super::{Cx, Krbft, Timer};
use crate::base::crypto::Seats;
use crate::base::node::{Committee, NodeId};
use crate::chain::Height;
use crate::protocol::{Protocol, Report, iraft, pbft};

/// Who holds a seat.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Holder {
    /// The leader of the group.
    pub node: NodeId,
    /// In this term of the group.
    pub term: u64,
}

/// What a leader has said last.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// How far it is.
    pub height: Height,
    /// Whether somebody was asked in vain since: one who lies about it keeps nobody busy.
    pub vain: bool,
}

/// The seats and their holders, as far as they are known.
#[derive(Clone, Debug, Default)]
pub(super) struct Council {
    holders: Vec<Option<Holder>>,
    /// No holder is of this term or one before.
    floor: u64,
}

impl Council {
    pub fn new(groups: usize, floor: u64) -> Self {
        Self {
            holders: vec![None; groups],
            floor,
        }
    }

    /// Who holds the seat of a group.
    pub fn holder(&self, group: usize) -> Option<NodeId> {
        Some(self.holders.get(group)?.as_ref()?.node)
    }

    /// In which term of the group.
    fn term(&self, group: usize) -> u64 {
        let holder = self.holders.get(group).and_then(Option::as_ref);
        holder.map_or(self.floor, |holder| holder.term)
    }

    /// Whether anybody has ever held the seat of a group.
    pub fn was_held(&self, group: usize) -> bool {
        self.holders.get(group).is_some_and(Option::is_some)
    }

    /// The groups whose seats nobody has held yet.
    pub fn vacant(&self) -> Vec<usize> {
        let groups = 0..self.holders.len();
        groups.filter(|group| !self.was_held(*group)).collect()
    }

    /// A later term of a group has this leader.
    pub fn replace(&mut self, group: usize, holder: Holder) {
        self.holders[group] = Some(holder);
    }

    /// All holders there are.
    pub fn committee(&self) -> Option<Committee> {
        let nodes: Vec<NodeId> = self.holders.iter().flatten().map(|h| h.node).collect();
        (!nodes.is_empty()).then(|| Committee::new(nodes))
    }
}

impl Krbft {
    /// Takes the group's seat once this replica leads the group, and leaves it once it does not.
    pub(super) fn follow_group(&mut self, cx: &mut Cx<'_>) {
        let status = self.group.status();
        let led = self.volatile.seated;
        if led == Some(status.view) && status.leads {
            return;
        }
        if led.is_some() && !status.leads {
            self.leave_seat(cx);
        }
        if status.leads {
            self.take_seat(status.view, cx);
        } else if let Some(leader) = status.leader {
            self.tell_what_waits(leader, status.view, cx);
        }
    }

    /// Whoever leads the group from now on knows nothing of what its members' clients wait for.
    fn tell_what_waits(&mut self, leader: NodeId, term: u64, cx: &mut Cx<'_>) {
        let told = self.volatile.told.replace((leader, term));
        let mut waiting = std::mem::take(&mut self.volatile.requests);
        if told != Some((leader, term)) {
            let known: Vec<_> = waiting.iter().map(|transaction| transaction.id).collect();
            let pending = self.volatile.pending.oldest(super::REQUESTS_MAX);
            waiting.extend(pending.into_iter().filter(|t| !known.contains(&t.id)));
        }
        if !waiting.is_empty() {
            cx.send(leader, Message::Request(waiting));
        }
    }

    fn take_seat(&mut self, term: u64, cx: &mut Cx<'_>) {
        let again = self.volatile.seated.replace(term).is_some();
        let fresh = self.is_first_holder(term, cx);
        let node = cx.me();
        self.durable
            .council
            .replace(self.mine, Holder { node, term });
        self.volatile.stored.clear();
        cx.persist();
        self.announce(cx);
        cx.set_timer(Timer::Council, self.config.council_refresh);
        if again {
            return;
        }
        for transaction in self.volatile.pending.oldest(super::REQUESTS_MAX) {
            self.keep_request(transaction);
        }
        if self.committee.is_none() {
            let seat = self.new_seat();
            self.committee = Some(if fresh { seat } else { seat.succeeding() });
        }
        if fresh || !(self.config.certifies() || self.is_short(cx)) {
            self.sit_down(&pbft::Legacy::default(), cx);
        } else {
            self.volatile.taking = Some(BTreeMap::new());
            self.ask_for_memories(cx);
        }
    }

    /// Whether nobody can have led the group before: to have heard of nobody proves nothing.
    fn is_first_holder(&self, term: u64, cx: &Cx<'_>) -> bool {
        self.durable.epoch == 0
            && cx.ledger().height() == 0
            && term == self.config.terms(0).start + 1
    }

    pub(super) fn leave_seat(&mut self, cx: &mut Cx<'_>) {
        self.volatile.seated = None;
        self.volatile.spreads.clear();
        self.volatile.drafts.clear();
        self.volatile.said.clear();
        self.volatile.lacking.clear();
        self.volatile.taking = None;
        cx.cancel_timer(Timer::Voice);
        for timer in [
            pbft::Timer::Batch,
            pbft::Timer::View,
            pbft::Timer::CatchUp,
            pbft::Timer::Status,
        ] {
            cx.cancel_timer(Timer::Committee(timer));
        }
        cx.cancel_timer(Timer::Council);
        cx.report(Report::Enters { view: 0 });
    }

    /// Time to repeat that this replica leads.
    pub(super) fn on_refresh(&mut self, cx: &mut Cx<'_>) {
        if self.volatile.seated.is_some() {
            self.announce(cx);
            self.look_for_batches(cx);
            cx.set_timer(Timer::Council, self.config.council_refresh);
        }
    }

    fn announce(&mut self, cx: &mut Cx<'_>) {
        let (Some(term), Some((_, election))) = (self.volatile.seated, self.group.election())
        else {
            return;
        };
        let update = CouncilUpdate {
            group: self.mine,
            term,
            election: Arc::clone(election),
            height: cx.ledger().height(),
            view: self.volatile.view,
        };
        let message = self.bound(Message::CouncilUpdate(Box::new(update)));
        cx.broadcast(&self.setup.committee, message);
    }

    /// Somebody says that it leads a group.
    pub(super) fn on_council_update(
        &mut self,
        from: NodeId,
        update: &CouncilUpdate,
        cx: &mut Cx<'_>,
    ) {
        let Some(group) = self.seats.groups().get(update.group) else {
            return;
        };
        let known = self.durable.council.term(update.group);
        if self.durable.disowned.contains(&from) {
            if update.term >= known {
                self.remind(update.group, from, cx);
            }
            return;
        }
        // The members of a group know best who leads it.
        let concerns = update.group != self.mine || self.is_leader(from);
        let own = self.config.terms(self.durable.epoch).contains(&update.term);
        if update.term > known && own && concerns {
            let config = self.config.inner();
            let elected = iraft::verify_election(&update.election, group, &config, cx.keyring());
            if !self.believes(elected, from, update.term) {
                cx.report(Report::Reached("refuses a forged election"));
                return;
            }
            let (node, term) = (from, update.term);
            self.durable
                .council
                .replace(update.group, Holder { node, term });
            cx.persist();
            self.greet(update.group, from, cx);
        }
        if self.durable.council.holder(update.group) == Some(from) {
            self.note_lag(from, update, cx);
        }
    }

    /// Tells the first holder of a seat what was said before there was one.
    fn greet(&mut self, group: usize, holder: NodeId, cx: &mut Cx<'_>) {
        let unsent = std::mem::take(&mut self.volatile.unsent);
        for (to, message) in unsent {
            if to == group && self.volatile.seated.is_some() {
                cx.send(holder, message);
            } else if to != group {
                self.volatile.unsent.push((to, message));
            }
        }
    }

    /// Whether somebody leads a term: as its group's votes prove, or as it says itself.
    fn believes(&self, elected: Option<(u64, NodeId)>, from: NodeId, term: u64) -> bool {
        self.config.profile == super::Profile::Paper
            || self.config.broken(Mutant::AnyoneLeads)
            || elected == Some((term, from))
    }

    /// A leader says how far it has come: whoever is still behind that when it speaks again has
    /// missed something. The others' seats believe that a seat knows what its last holder knew, so
    /// a new holder that has missed it is told nowhere else.
    fn note_lag(&mut self, from: NodeId, update: &CouncilUpdate, cx: &mut Cx<'_>) {
        let seated = self.volatile.seated.is_some();
        let own = update.group == self.mine;
        // Blocks are believed only of the own leader unless they prove themselves: if they do, a
        // leader that keeps its members in the dark keeps nothing from them.
        let proves = self.config.carries();
        if !(own || proves || seated) {
            return;
        }
        let believed = own || (proves && self.group.status().leader.is_none());
        if believed && !seated {
            self.volatile.view = self.volatile.view.max(update.view);
        }
        let height = cx.ledger().height();
        let told = self.volatile.heard.insert(
            from,
            Heard {
                height: update.height,
                vain: false,
            },
        );
        if update.height <= height || told.is_none_or(|told| told.height <= height) {
            return;
        }
        if seated {
            self.inquire(cx);
        } else {
            self.fetch(from, cx);
        }
    }

    /// The leader of the committee, as far as this replica knows.
    pub(super) fn primary(&self) -> Option<NodeId> {
        let group = self.volatile.view % self.seats.groups().len() as u64;
        self.durable.council.holder(group as usize)
    }

    /// The node behind a seat.
    pub(super) fn holder_of(&self, seat: NodeId) -> Option<NodeId> {
        self.durable.council.holder(self.seats.group(seat)?)
    }

    /// The place of this replica's group.
    pub(super) fn seat(&self) -> NodeId {
        Seats::name(self.mine)
    }

    /// How far this replica's chain reaches.
    pub(super) fn height(cx: &Cx<'_>) -> Height {
        cx.ledger().height()
    }
}
