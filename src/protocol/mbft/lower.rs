//! A low-level group: its primary orders the next mini-block, the members accept it, and their
//! answers make a certificate at once if all answer, or after a second round if a quorum does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::large::Certified;
use super::lower_row::Row;
use super::message::{GroupChange, GroupView};
use super::mini::{Mini, Phase, Vote, is_certified};
use super::system::System;
use super::{Cx, Mbft, Message, Mutant, Timer};
use crate::base::crypto::{Certificate, Digest, Signed};
use crate::base::node::{Committee, NodeId};
use crate::base::time::{Span, Time};
use crate::chain::{Batch, TransactionId};
use crate::protocol::mempool::Mempool;
use crate::protocol::tally::{Counted, Tally};
use crate::protocol::{Offence, Report};

/// What a member of a group must not forget.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub epoch: u32,
    pub group: u16,
    /// The view it is in, or asks for.
    pub view: u64,
    /// The request for that view, while it is not in it.
    pub change: Option<Arc<Signed<GroupChange>>>,
    /// What it accepted before that, and is not in the chain yet; nothing unless the group has a
    /// window.
    pub row: Row,
    /// What it accepted last, with the primary's word for it.
    pub accepted: Option<(Signed<Vote>, Arc<Mini>)>,
    /// What it can prove that a quorum accepted last.
    pub proven: Option<Certified>,
}

impl Member {
    pub fn new(epoch: u32, group: u16) -> Self {
        Self {
            epoch,
            group,
            view: 0,
            change: None,
            row: Row::default(),
            accepted: None,
            proven: None,
        }
    }
}

/// How far the primary has come with the open slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Stage {
    /// Nothing was ordered.
    #[default]
    Free,
    /// It waits for the answers of all.
    Fast,
    /// Not all answered in time: a quorum is enough to ask a second time.
    Patient,
    /// It has asked a second time.
    Asked,
    /// The mini-block is certified.
    Certified,
}

/// Whether it is time to cut a batch that is not full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Ripeness {
    #[default]
    Idle,
    Waiting,
    Ripe,
}

/// What a crash makes a member of a group forget.
#[derive(Clone, Debug, Default)]
pub(super) struct Desk {
    pub mempool: Mempool,
    /// Those of them whose signatures the primary has verified.
    pub verified: BTreeSet<TransactionId>,
    ripe: Ripeness,
    pub stage: Stage,
    /// Whether it was asked for the block that should include it.
    nudged: bool,
    pub accepts: Tally<Vote>,
    locals: Tally<Vote>,
    /// The latest request of each member for a view, by position.
    pub changes: Vec<Option<Arc<Signed<GroupChange>>>>,
    /// The proof of the view this member is in, for those who missed it.
    pub opened: Option<Arc<Signed<GroupView>>>,
    /// What the first order of the view must be, if it is for this slot.
    pub duty: Option<(u64, Digest)>,
    /// Views in a row without progress.
    pub attempts: u32,
    /// Whether the timer runs that ends the member's patience.
    pub timed: bool,
    /// Until when the primary of a view that a quorum wants has time to open it.
    pub awaits_until: Option<Time>,
    /// Orders for a slot or a view that is not open here yet: the last one of each primary.
    pub early: BTreeMap<NodeId, (NodeId, Signed<Vote>, Arc<Mini>)>,
}

impl Mbft {
    /// The group of this node, if it is in one.
    pub(super) fn group(&self) -> Option<&Committee> {
        let member = self.durable.member.as_ref()?;
        self.volatile.register.roles.group(member.group)
    }

    /// Whether this node is the primary of its group, in a view that is open.
    pub(super) fn is_primary(&self) -> bool {
        let member = self.durable.member.as_ref();
        member.is_some_and(|member| member.change.is_none())
            && self.primary() == Some(self.setup.me)
    }

    /// Whether the group is in a later view than the chain tells.
    pub(super) fn has_moved_on(&self) -> bool {
        self.durable.member.as_ref().is_some_and(|member| {
            let standing = &self.volatile.register.groups[usize::from(member.group)];
            member.view > standing.view
        })
    }

    /// The oldest transaction has waited long enough.
    pub(super) fn on_ripe(&mut self) {
        self.volatile.desk.ripe = Ripeness::Ripe;
    }

    /// Orders the next mini-block if this is the primary, the slot is free, and there is reason to.
    pub(super) fn order(&mut self, cx: &mut Cx<'_>) {
        let whole = self.durable.shelf.is_whole();
        if !self.is_primary() || self.volatile.desk.mempool.is_empty() || !whole {
            return;
        }
        let rule = self.setup.batch;
        let desk = &mut self.volatile.desk;
        let ripe = desk.ripe == Ripeness::Ripe || rule.wait == Span::ZERO;
        let free = self.durable.member.as_ref();
        let free = free.is_some_and(|member| member.accepted.is_none());
        if free
            && (ripe || desk.mempool.is_full(&rule))
            && let Some(batch) = desk.mempool.take(&rule)
        {
            if desk.ripe == Ripeness::Waiting {
                cx.cancel_timer(Timer::Batch);
            }
            desk.ripe = Ripeness::Idle;
            let fresh = batch.transactions().iter();
            let fresh = fresh.filter(|t| !desk.verified.remove(&t.id));
            cx.verified(fresh.map(|t| t.signatures()).sum());
            let mini = self.next_mini(batch, cx);
            self.put(mini, cx);
        }
        let desk = &mut self.volatile.desk;
        if !desk.mempool.is_empty() && rule.wait > Span::ZERO && desk.ripe == Ripeness::Idle {
            desk.ripe = Ripeness::Waiting;
            cx.set_timer(Timer::Batch, rule.wait);
        }
    }

    /// A mini-block of these transactions for the open slot.
    fn next_mini(&self, batch: Batch, cx: &Cx<'_>) -> Arc<Mini> {
        let member = self.durable.member.as_ref().expect("a primary is a member");
        let (slot, previous) = self.tip();
        let doubtful = (0..).zip(batch.transactions());
        let doubtful = doubtful.filter(|(_, transaction)| !cx.vouches(transaction));
        Mini {
            epoch: member.epoch,
            group: member.group,
            slot: slot + 1,
            previous,
            base: self.volatile.register.height,
            doubtful: doubtful.map(|(place, _)| place).collect(),
            batch,
            digest: Digest::ZERO,
        }
        .sealed()
    }

    /// Puts a mini-block at the open slot, as the primary.
    pub(super) fn put(&mut self, mini: Arc<Mini>, cx: &mut Cx<'_>) {
        let member = self.durable.member.as_mut().expect("a primary is a member");
        let vote = cx.sign(mini.vote(Phase::Speculative, member.view));
        member.accepted = Some((vote.clone(), mini.clone()));
        self.keep_pending(&mini);
        cx.persist();
        self.volatile.desk.stage = Stage::Fast;
        self.volatile.desk.accepts = Tally::new();
        self.volatile.desk.locals = Tally::new();
        cx.set_timer(Timer::Fast, self.config.fast_timeout);
        let group = self.group().expect("a primary is in a group").clone();
        self.volatile.desk.accepts.count(&vote, &group);
        cx.broadcast(&group, Message::Order { vote, mini });
        self.check_accepts(cx);
        self.watch_group(false, cx);
    }

    /// The primary puts a mini-block at the open slot.
    pub(super) fn on_order(
        &mut self,
        from: NodeId,
        vote: &Signed<Vote>,
        mini: &Arc<Mini>,
        cx: &mut Cx<'_>,
    ) {
        let Some(member) = &self.durable.member else {
            return;
        };
        let (body, view) = (vote.body(), member.view);
        // What this node has ordered itself can only come back from somebody who repeats it.
        let mine = vote.by() != cx.me()
            && (mini.epoch, mini.group) == (member.epoch, member.group)
            && *body == mini.vote(Phase::Speculative, body.view)
            && body.view >= view
            && Some(vote.by()) == self.primary_of(body.view);
        if !mine || !vote.verify(cx.keyring()) {
            return;
        }
        if body.view > view || member.change.is_some() {
            // The primary has opened its view, and this member has not heard of that.
            self.hold_order(from, vote, mini);
            return;
        }
        let settled = self.volatile.register.groups[usize::from(member.group)].slot;
        if mini.slot > self.next_slot() {
            // The primary has seen a block, or a mini-block, that this member has not.
            self.hold_order(from, vote, mini);
            self.fetch_from(from, cx);
            return;
        }
        if !self.durable.shelf.is_whole() {
            // What is in the chain already is not known yet.
            self.hold_order(from, vote, mini);
            return;
        }
        if mini.slot <= settled {
            return;
        }
        if let Some(known) = self.known_vote(mini.slot, member.view) {
            if known.body() == body {
                self.accept(vote, cx);
            } else {
                let conflict = Box::new((known, vote.clone()));
                self.accuse(vote.by(), Offence::Equivocation, cx);
                self.say(System::Conflict(conflict), cx);
                self.leave_group_view(cx);
            }
            return;
        }
        if let Some(reason) = self.objection(mini, cx) {
            cx.report(Report::Reached(reason));
            return;
        }
        self.replace(vote, mini);
        self.accept(vote, cx);
        self.watch_group(false, cx);
        if self.config.window > 1 {
            self.hear_early_order(cx);
        }
    }

    /// What is wrong with a mini-block that a primary orders, if anything. What the proof of a view
    /// demands was looked at before; only who answers for which signatures is never believed.
    pub(super) fn objection(&self, mini: &Mini, cx: &Cx<'_>) -> Option<&'static str> {
        if !self.has_its_place(mini) {
            return Some("refuses-other-slot");
        }
        let transactions = mini.batch.transactions();
        let doubts = (0..).zip(transactions).filter(|(_, t)| !cx.vouches(t));
        let doubtful: Vec<u32> = doubts.map(|(place, _)| place).collect();
        if mini.doubtful != doubtful {
            return Some("refuses-vouching");
        }
        match self
            .volatile
            .desk
            .duty
            .filter(|(slot, _)| *slot == mini.slot)
        {
            Some((_, digest)) if digest == mini.digest => None,
            Some(_) => Some("refuses-neglected-duty"),
            None => self.objection_to_content(mini, cx),
        }
    }

    fn objection_to_content(&self, mini: &Mini, cx: &Cx<'_>) -> Option<&'static str> {
        let transactions = mini.batch.transactions();
        let rule = &self.setup.batch;
        let fits = transactions.len() <= rule.max
            && (u64::from(mini.batch.size()) <= rule.bytes.0 || transactions.len() == 1);
        let mut ids: Vec<_> = transactions.iter().map(|t| t.id).collect();
        ids.sort_unstable();
        let once = ids.windows(2).all(|pair| pair[0] != pair[1]);
        if !fits || transactions.is_empty() {
            return Some("refuses-size");
        }
        let before = |id| self.has(id, cx) || self.is_under_way(id, mini.slot);
        if !once || ids.iter().any(|id| before(*id)) {
            return Some("refuses-duplicate");
        }
        let own = transactions.iter().all(|t| self.shard(t) == mini.group);
        (!own).then_some("refuses-wrong-shard")
    }

    /// Takes a mini-block as the one accepted in the open slot.
    fn replace(&mut self, vote: &Signed<Vote>, mini: &Arc<Mini>) {
        let Some(member) = &mut self.durable.member else {
            return;
        };
        let mempool = &mut self.volatile.desk.mempool;
        member.pass_on(mini.slot);
        for dropped in member.row.cut_from(mini.slot) {
            mempool.restore(&dropped.batch);
        }
        let before = member.accepted.replace((vote.clone(), mini.clone()));
        if let Some((_, before)) = before.filter(|(_, before)| before != mini) {
            mempool.restore(&before.batch);
        }
        mempool.note_proposed(&mini.batch);
        self.keep_pending(mini);
    }

    /// Tells the primary that this member has accepted what it voted for.
    pub(super) fn accept(&mut self, vote: &Signed<Vote>, cx: &mut Cx<'_>) {
        let (primary, body) = (vote.by(), *vote.body());
        let vote = cx.sign(body);
        cx.persist();
        cx.send(primary, Message::Accept(vote));
    }

    /// What this primary has ordered, as its members vote for it in a round.
    fn ordered(&self, phase: Phase) -> Option<Vote> {
        if !self.is_primary() {
            return None;
        }
        let member = self.durable.member.as_ref()?;
        let (_, mini) = member.accepted.as_ref()?;
        Some(mini.vote(phase, member.view))
    }

    /// A member has accepted.
    pub(super) fn on_accept(&mut self, vote: &Signed<Vote>, cx: &mut Cx<'_>) {
        let Some(group) = self.group().cloned() else {
            return;
        };
        if self.ordered(Phase::Speculative) != Some(*vote.body()) || !vote.verify(cx.keyring()) {
            return;
        }
        if let Counted::Fresh(_) = self.volatile.desk.accepts.count(vote, &group) {
            self.check_accepts(cx);
        }
    }

    /// Not all have answered in time.
    pub(super) fn on_fast_over(&mut self, cx: &mut Cx<'_>) {
        if self.volatile.desk.stage == Stage::Fast {
            self.volatile.desk.stage = Stage::Patient;
            self.check_accepts(cx);
        }
    }

    /// All have accepted, or a quorum has and no more are waited for.
    fn check_accepts(&mut self, cx: &mut Cx<'_>) {
        let (Some(body), Some(group)) = (self.ordered(Phase::Speculative), self.group()) else {
            return;
        };
        let mut all = group.n();
        if self.mutant(Mutant::FastWithoutOne) || self.mutant(Mutant::NoMiniCertificate) {
            all -= 1;
        }
        let (votes, quorum) = (self.volatile.desk.accepts.votes(&body), group.quorum());
        let certificate = self.volatile.desk.accepts.certificate(&body).cloned();
        let Some(certificate) = certificate.map(Arc::new) else {
            return;
        };
        let stage = self.volatile.desk.stage;
        if votes >= all && stage != Stage::Certified {
            self.certify(certificate, cx);
        } else if votes >= quorum && stage == Stage::Patient {
            self.volatile.desk.stage = Stage::Asked;
            self.ask_again(certificate, cx);
        }
    }

    /// Shows the members that a quorum has accepted.
    fn ask_again(&mut self, proof: Arc<Certificate<Vote>>, cx: &mut Cx<'_>) {
        let group = self.group().expect("a primary is in a group").clone();
        self.prove(proof.clone());
        let vote = cx.sign(Vote {
            phase: Phase::Local,
            ..*proof.body()
        });
        cx.persist();
        cx.broadcast(&group, Message::CommitRequest(proof));
        self.volatile.desk.locals.count(&vote, &group);
        self.check_locals(cx);
    }

    /// Remembers the best proof for the open slot.
    fn prove(&mut self, proof: Arc<Certificate<Vote>>) {
        let Some(member) = &mut self.durable.member else {
            return;
        };
        if let Some((_, mini)) = &member.accepted {
            member.proven = Some((mini.clone(), proof));
        }
    }

    /// The primary shows that a quorum has accepted. Only who has accepted too says that it has
    /// seen so: it answers for what it signs.
    pub(super) fn on_commit_request(&mut self, proof: &Arc<Certificate<Vote>>, cx: &mut Cx<'_>) {
        let (Some(member), Some(group)) = (&self.durable.member, self.group()) else {
            return;
        };
        let accepted = member.accepted.as_ref().map(|(vote, _)| *vote.body());
        let fits = accepted == Some(*proof.body())
            && proof.body().view == member.view
            && member.change.is_none();
        if !fits || !proof.verify(group, group.quorum(), cx.keyring()) {
            return;
        }
        self.prove(proof.clone());
        let vote = cx.sign(Vote {
            phase: Phase::Local,
            ..*proof.body()
        });
        cx.persist();
        if let Some(primary) = self.primary().filter(|primary| *primary != cx.me()) {
            cx.send(primary, Message::LocalCommit(vote));
        }
    }

    /// A member has seen that a quorum accepted.
    pub(super) fn on_local_commit(&mut self, vote: &Signed<Vote>, cx: &mut Cx<'_>) {
        let Some(group) = self.group().cloned() else {
            return;
        };
        if self.ordered(Phase::Local) != Some(*vote.body()) || !vote.verify(cx.keyring()) {
            return;
        }
        if let Counted::Fresh(_) = self.volatile.desk.locals.count(vote, &group) {
            self.check_locals(cx);
        }
    }

    fn check_locals(&mut self, cx: &mut Cx<'_>) {
        let (Some(body), Some(group)) = (self.ordered(Phase::Local), self.group()) else {
            return;
        };
        let enough = self.volatile.desk.locals.votes(&body) >= group.quorum();
        if enough && self.volatile.desk.stage == Stage::Asked {
            let proof = self.volatile.desk.locals.certificate(&body).cloned();
            self.certify(Arc::new(proof.expect("it was just counted")), cx);
        }
    }

    /// The mini-block is certified: the upper group is to include it.
    pub(super) fn certify(&mut self, proof: Arc<Certificate<Vote>>, cx: &mut Cx<'_>) {
        self.volatile.desk.stage = Stage::Certified;
        self.prove(proof);
        cx.persist();
        cx.cancel_timer(Timer::Fast);
        self.submit(false, cx);
        self.make_room();
    }

    /// Sends the certified mini-block to the upper group; `again` if it should be there by now.
    pub(super) fn submit(&mut self, again: bool, cx: &mut Cx<'_>) {
        let Some(member) = &self.durable.member else {
            return;
        };
        let earlier = member.row.certified().filter(|_| again);
        let certified: Vec<Certified> = earlier.chain(member.proven.clone()).collect();
        let roles = &self.volatile.register.roles;
        let broken = self.mutant(Mutant::FastWithoutOne) || self.mutant(Mutant::NoMiniCertificate);
        let whole =
            |(mini, proof): &Certified| broken || is_certified(mini, proof, roles, cx.keyring());
        let certified: Vec<Certified> = certified.into_iter().filter(whole).collect();
        if certified.is_empty() {
            return;
        }
        // A block that was missed is asked for before anything is said again.
        let first = self
            .config
            .publish_timeout
            .min(self.config.inclusion_timeout);
        self.volatile.desk.nudged = again;
        let wait = if again {
            self.config.inclusion_timeout
        } else {
            first
        };
        cx.set_timer(Timer::Include, wait);
        let upper = self.audience(again);
        for (mini, proof) in certified {
            cx.broadcast(&upper, Message::MiniBlock { mini, proof });
        }
    }

    /// Certified and not included in time: whoever should have included it may be dead.
    pub(super) fn on_inclusion_overdue(&mut self, cx: &mut Cx<'_>) {
        let waits = self
            .durable
            .member
            .as_ref()
            .is_some_and(|m| !m.row.is_empty());
        if self.volatile.desk.stage != Stage::Certified && !waits {
            return;
        }
        if std::mem::replace(&mut self.volatile.desk.nudged, true) {
            self.submit(true, cx);
        } else {
            cx.set_timer(Timer::Include, self.config.inclusion_timeout);
            self.ask_for_blocks(cx);
        }
    }

    /// Keeps the timer running exactly while something waits; `anew` restarts it.
    pub(super) fn watch_group(&mut self, anew: bool, cx: &mut Cx<'_>) {
        let Some(member) = &self.durable.member else {
            return;
        };
        if member.change.is_some() {
            return;
        }
        let waits = member.accepted.is_some() || !member.row.is_empty();
        let pending = waits || !self.volatile.desk.mempool.is_empty();
        let timed = std::mem::replace(&mut self.volatile.desk.timed, pending);
        if pending && (anew || !timed) {
            cx.set_timer(Timer::Group, self.group_patience());
        } else if !pending && timed {
            cx.cancel_timer(Timer::Group);
        }
    }
}
