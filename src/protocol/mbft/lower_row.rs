//! What a group has under way: with a window, its primary orders the next mini-block as soon as the
//! last one is certified, and does not wait for the chain.
//!
//! Each mini-block names the one before, and the upper group includes only the next slot upon the
//! last mini-block in the chain. So if another one is included in a slot than the group went on
//! from, all that follows is void: its transactions wait again, and whoever had accepted it asks
//! for the next view, for the primary of this one has used up these slots. A change of view carries
//! on what the first open slot has; later ones are ordered anew.

use std::collections::VecDeque;
use std::sync::Arc;

use super::head::large_of;
use super::large::Certified;
use super::lower::{Member, Stage};
use super::mini::{Mini, Vote, is_certified};
use super::{Cx, Mbft, Message, Mutant, Timer};
use crate::base::crypto::{Certificate, Digest, Signed};
use crate::base::node::NodeId;
use crate::chain::{Batch, TransactionId};
use crate::protocol::Report;

/// A mini-block that others follow and the chain does not have yet.
#[derive(Clone, Debug)]
pub(super) struct UnderWay {
    /// The primary's word for it.
    vote: Signed<Vote>,
    mini: Arc<Mini>,
    /// The proof that a quorum has accepted it, if it is here.
    proof: Option<Arc<Certificate<Vote>>>,
}

/// The mini-blocks under way before the last one, each upon the one before.
#[derive(Clone, Debug, Default)]
pub(super) struct Row(VecDeque<UnderWay>);

impl Row {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of which there is a proof.
    pub fn certified(&self) -> impl Iterator<Item = Certified> + '_ {
        self.0.iter().filter_map(|one| {
            let proof = one.proof.clone()?;
            Some((one.mini.clone(), proof))
        })
    }

    /// All of them.
    pub fn minis(&self) -> impl Iterator<Item = &Arc<Mini>> {
        self.0.iter().map(|one| &one.mini)
    }

    /// Takes out everything from a slot on.
    pub fn cut_from(&mut self, slot: u64) -> Vec<Arc<Mini>> {
        let stays = self.0.iter().filter(|one| one.mini.slot < slot).count();
        self.0.drain(stays..).map(|one| one.mini).collect()
    }

    /// Takes out everything up to a slot.
    fn cut_to(&mut self, slot: u64) -> Vec<Arc<Mini>> {
        let goes = self.0.iter().filter(|one| one.mini.slot <= slot).count();
        self.0.drain(..goes).map(|one| one.mini).collect()
    }
}

impl Member {
    /// What it accepted last becomes one of those under way, if the next slot is this one.
    pub fn pass_on(&mut self, slot: u64) {
        let passed = self.accepted.take_if(|(_, mini)| mini.slot + 1 == slot);
        if let Some((vote, mini)) = passed {
            let own = |(proven, _): &Certified| proven.digest == mini.digest;
            let proof = self.proven.take().filter(own).map(|(_, proof)| proof);
            self.row.0.push_back(UnderWay { vote, mini, proof });
        }
    }

    /// What it accepted in a slot, with the primary's word for it.
    pub fn accepted_in(&self, slot: u64) -> Option<(Signed<Vote>, Arc<Mini>)> {
        let earlier = self.row.0.iter().find(|one| one.mini.slot == slot);
        let earlier = earlier.map(|one| (one.vote.clone(), one.mini.clone()));
        let last = self.accepted.clone();
        earlier.or_else(|| last.filter(|(_, mini)| mini.slot == slot))
    }

    /// What it can prove that a quorum accepted in a slot.
    pub fn proven_in(&self, slot: u64) -> Option<Certified> {
        let mut earlier = self.row.certified();
        let earlier = earlier.find(|(mini, _)| mini.slot == slot);
        let last = self.proven.clone();
        earlier.or_else(|| last.filter(|(mini, _)| mini.slot == slot))
    }
}

impl Mbft {
    /// The slot and the digest of what the next mini-block of the group follows, if what was
    /// accepted last is not counted.
    pub(super) fn tip(&self) -> (u64, Digest) {
        let Some(member) = &self.durable.member else {
            return (0, Digest::ZERO);
        };
        let standing = &self.volatile.register.groups[usize::from(member.group)];
        let last = member.row.0.back();
        last.map_or((standing.slot, standing.last), |one| {
            (one.mini.slot, one.mini.digest)
        })
    }

    /// Whether one more mini-block may be under way.
    fn has_room(&self, member: &Member) -> bool {
        member.row.0.len() + 1 < self.config.window
    }

    /// The latest slot for which this member can accept a mini-block.
    pub(super) fn next_slot(&self) -> u64 {
        let (tip, _) = self.tip();
        let goes_on = self.durable.member.as_ref().is_some_and(|member| {
            let accepted = member.accepted.as_ref();
            accepted.is_some_and(|(vote, _)| vote.body().view == member.view)
                && self.has_room(member)
        });
        tip + 1 + u64::from(goes_on)
    }

    /// The vote of a view's primary for a slot, if this member has accepted it.
    pub(super) fn known_vote(&self, slot: u64, view: u64) -> Option<Signed<Vote>> {
        let (vote, _) = self.durable.member.as_ref()?.accepted_in(slot)?;
        (vote.body().view == view).then_some(vote)
    }

    /// Whether a mini-block follows what this member has before its slot.
    pub(super) fn has_its_place(&self, mini: &Mini) -> bool {
        let Some(member) = &self.durable.member else {
            return false;
        };
        let before = member.accepted_in(mini.slot.saturating_sub(1));
        match before {
            Some((_, before)) if self.config.window > 1 => {
                mini.epoch == member.epoch && mini.previous == before.digest
            }
            Some(_) | None => self.volatile.register.is_next(mini),
        }
    }

    /// Whether a transaction is in a mini-block under way before a slot.
    pub(super) fn is_under_way(&self, id: TransactionId, slot: u64) -> bool {
        let Some(member) = &self.durable.member else {
            return false;
        };
        let last = member.accepted.iter().map(|(_, mini)| mini);
        let mut before = member.row.minis().chain(last);
        before.any(|mini| {
            let mut transactions = mini.batch.transactions().iter();
            mini.slot < slot && transactions.any(|transaction| transaction.id == id)
        })
    }

    /// The primary goes on to the next slot once the last one is certified, if there is room.
    pub(super) fn make_room(&mut self) {
        let certified = self.volatile.desk.stage == Stage::Certified;
        let room = self
            .durable
            .member
            .as_ref()
            .is_some_and(|m| self.has_room(m));
        let (true, Some(member)) = (certified && room, &mut self.durable.member) else {
            return;
        };
        if let Some((_, mini)) = &member.accepted {
            member.pass_on(mini.slot + 1);
            self.volatile.desk.stage = Stage::Free;
        }
    }

    /// The chain has grown: open slots may be settled.
    pub(super) fn group_follows(&mut self, batch: &Batch, cx: &mut Cx<'_>) {
        let settled = self.settled_by(batch);
        let desk = &mut self.volatile.desk;
        if desk.mempool.has_unsettled() {
            desk.mempool.settle(&settled);
        }
        let Some(member) = &mut self.durable.member else {
            return;
        };
        let standing = &self.volatile.register.groups[usize::from(member.group)];
        let (slot, last) = (standing.slot, standing.last);
        let mut minis = large_of(batch).into_iter().flat_map(|large| &large.minis);
        let grown = minis.any(|mini| mini.group == member.group);
        let mut gone = member.row.cut_to(slot);
        if let Some((_, mini)) = member.accepted.take_if(|(_, mini)| mini.slot <= slot) {
            gone.push(mini);
            member.proven = None;
            desk.stage = Stage::Free;
            cx.cancel_timer(Timer::Fast);
        }
        member.proven.take_if(|(mini, _)| mini.slot <= slot);
        if grown {
            desk.attempts = 0;
        }
        if gone.is_empty() {
            // A member that had no part in it may have waited all the same.
            self.watch_group(grown, cx);
        } else {
            self.settle_slots(&gone, last, cx);
        }
        self.follow_group_view(cx);
        self.hear_early_order(cx);
    }

    /// Slots up to the last one in the chain are settled.
    fn settle_slots(&mut self, gone: &[Arc<Mini>], last: Digest, cx: &mut Cx<'_>) {
        let desk = &mut self.volatile.desk;
        let Some(member) = &mut self.durable.member else {
            return;
        };
        for mini in gone {
            desk.mempool.restore(&mini.batch);
        }
        if gone.last().is_some_and(|mini| mini.digest != last) {
            cx.report(Report::Reached("another-mini-block-was-included"));
        }
        let accepted = member.accepted.iter().map(|(_, mini)| mini);
        let next = member.row.minis().chain(accepted).next();
        let void = next.is_some_and(|next| next.previous != last);
        let waits = !member.row.is_empty();
        if void {
            self.give_up_row(cx);
            return;
        }
        if !waits {
            cx.cancel_timer(Timer::Include);
        } else if self.is_primary() {
            cx.set_timer(Timer::Include, self.config.inclusion_timeout);
        }
        self.watch_group(true, cx);
        self.make_room();
    }

    /// What is under way follows a mini-block that is not in the chain and never will be.
    fn give_up_row(&mut self, cx: &mut Cx<'_>) {
        cx.report(Report::Reached("mini-blocks-under-way-are-void"));
        self.drop_row();
        self.volatile.desk.stage = Stage::Free;
        self.leave_group_view(cx);
    }

    /// Takes everything under way back to what waits.
    pub(super) fn drop_row(&mut self) {
        let Some(member) = &mut self.durable.member else {
            return;
        };
        let mempool = &mut self.volatile.desk.mempool;
        let last = member.accepted.take().map(|(_, mini)| mini);
        member.proven = None;
        let row = member.row.cut_from(0);
        for mini in last.iter().chain(row.iter().rev()) {
            mempool.restore(&mini.batch);
        }
    }

    /// Keeps an order until its slot and its view are open here.
    pub(super) fn hold_order(&mut self, from: NodeId, vote: &Signed<Vote>, mini: &Arc<Mini>) {
        let early = &mut self.volatile.desk.early;
        let known = early.get(&vote.by());
        if known.is_none_or(|(_, known, _)| known.body().view <= vote.body().view) {
            early.insert(vote.by(), (from, vote.clone(), mini.clone()));
        }
    }

    /// An order that came too early may be in time now.
    pub(super) fn hear_early_order(&mut self, cx: &mut Cx<'_>) {
        let Some(primary) = self.primary() else {
            return;
        };
        if let Some((from, vote, mini)) = self.volatile.desk.early.remove(&primary) {
            self.on_order(from, &vote, &mini, cx);
        }
    }

    /// Returns from a crash: says again what was said before.
    pub(super) fn resume_group(&mut self, cx: &mut Cx<'_>) {
        let forgets = self.mutant(Mutant::ForgetUnderWay);
        let Some(member) = &mut self.durable.member else {
            return;
        };
        let slot = self.volatile.register.groups[usize::from(member.group)].slot;
        member.row.cut_to(slot);
        if forgets {
            member.row = Row::default();
            member.accepted = None;
        }
        member.accepted.take_if(|(_, mini)| mini.slot <= slot);
        member.proven.take_if(|(mini, _)| mini.slot <= slot);
        let (view, changing) = (member.view, member.change.is_some());
        if changing {
            self.resume_group_change(cx);
            self.follow_group_view(cx);
            return;
        }
        let primary = self.is_primary();
        let Some(member) = &self.durable.member else {
            return;
        };
        for mini in member.row.minis() {
            self.volatile.desk.mempool.note_proposed(&mini.batch);
        }
        let waits = !member.row.is_empty();
        if let Some((vote, mini)) = member.accepted.clone()
            && vote.body().view == view
        {
            self.volatile.desk.mempool.note_proposed(&mini.batch);
            if primary {
                self.put_again(&vote, mini, cx);
            } else {
                self.accept(&vote, cx);
            }
        }
        if primary && waits && self.volatile.desk.stage != Stage::Certified {
            self.submit(true, cx);
        }
        self.make_room();
        self.watch_group(true, cx);
        self.follow_group_view(cx);
    }

    /// The primary has ordered this before it crashed.
    fn put_again(&mut self, vote: &Signed<Vote>, mini: Arc<Mini>, cx: &mut Cx<'_>) {
        let proven = self.durable.member.as_ref().and_then(|m| m.proven.clone());
        let roles = &self.volatile.register.roles;
        if proven.is_some_and(|(mini, proof)| is_certified(&mini, &proof, roles, cx.keyring())) {
            self.volatile.desk.stage = Stage::Certified;
            self.submit(true, cx);
            return;
        }
        let group = self.group().expect("a primary is in a group").clone();
        self.volatile.desk.stage = Stage::Fast;
        self.volatile.desk.accepts.count(vote, &group);
        cx.set_timer(Timer::Fast, self.config.fast_timeout);
        let vote = vote.clone();
        cx.broadcast(&group, Message::Order { vote, mini });
    }
}
