//! Changes of view: how replicas leave a leader that makes no progress, and how the next one
//! takes over.

use std::sync::Arc;

use crate::base::crypto::{Certificate, Digest, Signed};
use crate::base::node::{NodeId, PositionSet};
use crate::base::time::Span;
use crate::chain::Batch;
use crate::protocol::Report;

use super::justify::{Consequence, Rules, is_sound};
use super::log::Places;
use super::message::{Message, NewView, ViewChange, Vote};
use super::{Cx, Mutant, Patience, Pbft, Ripeness, Timer};

/// How often the pause between two requests for the same view is doubled.
pub(super) const REPEATS_DOUBLED: u32 = 2;

impl Pbft {
    /// The view timer fired.
    pub(super) fn on_overdue(&mut self, cx: &mut Cx<'_>) {
        match self.volatile.patience {
            Patience::Idle => {}
            Patience::FirstHalf => {
                self.volatile.patience = Patience::SecondHalf;
                cx.set_timer(Timer::View, Span::from_nanos(self.timeout().nanos() / 2));
                self.repeat(cx);
            }
            Patience::SecondHalf if self.is_behind() => {
                // The others are proven to make progress: we are behind, not the leader.
                self.volatile.patience = Patience::Idle;
                self.watch(true, cx);
            }
            Patience::Gathering => {
                // A request is long and has many signatures: if all repeated theirs faster than
                // they can be checked, nobody would ever get to the new view.
                self.volatile.repeated = (self.volatile.repeated + 1).min(REPEATS_DOUBLED);
                let pause = self.config.view_timeout * (1 << self.volatile.repeated);
                cx.set_timer(Timer::View, pause);
                let waiting = self.volatile.mempool.oldest(self.setup.batch.max);
                self.forward(waiting, cx);
                self.ask_for_view_again();
                // The others may be content with their leader: then nobody joins, and what they
                // decide meanwhile must be fetched.
                self.ask(cx);
            }
            Patience::Awaiting | Patience::Outrun if cx.now() < self.volatile.awaits_until => {
                // This replica has a quorum and others may not, for want of its request; or the
                // new view was lost.
                self.ask_for_view_again();
                self.wait_for_view(cx);
            }
            Patience::SecondHalf | Patience::Awaiting | Patience::Outrun => {
                self.leave(self.durable.view + 1, cx);
            }
        }
    }

    /// Sends the request for the view once more.
    fn ask_for_view_again(&mut self) {
        if let Some(change) = self.durable.change.clone() {
            let again = true;
            self.volatile
                .outbox
                .push(Message::ViewChange { change, again });
        }
    }

    /// Waits for the view until its leader has had its time, or until it is asked for again.
    fn wait_for_view(&self, cx: &mut Cx<'_>) {
        let left = self.volatile.awaits_until - cx.now();
        let pause = self.config.view_timeout * (1 << REPEATS_DOUBLED);
        let silent = self.mutant(Mutant::SilentWhileAwaiting);
        cx.set_timer(Timer::View, if silent { left } else { left.min(pause) });
    }

    /// Half the wait is over: repeats what may have been lost, and asks whether the others have
    /// decided what this replica could not.
    fn repeat(&mut self, cx: &mut Cx<'_>) {
        let top = self.durable.records.low() + self.config.window;
        let full = self.volatile.executed >= top;
        if full {
            // Nothing more is proposed before a checkpoint is stable, and all that were announced
            // may have been lost. If they were lost only here, the others can prove one.
            for mark in self.volatile.marks.clone() {
                self.announce(mark, cx);
            }
        }
        let waiting = self.volatile.mempool.oldest(self.setup.batch.max);
        self.forward(waiting, cx);
        if full || self.volatile.accepted > self.volatile.executed || self.others_commit() {
            self.ask(cx);
        }
    }

    /// Stops voting in the present view and asks for a higher one.
    pub(super) fn leave(&mut self, view: u64, cx: &mut Cx<'_>) {
        assert!(
            view > self.durable.view,
            "a view that was left is not entered again"
        );
        self.stand_down(cx);
        if !self.mutant(Mutant::KeepVotingAfterViewChange) {
            self.volatile.active = None;
        }
        self.volatile.attempts += 1;
        self.volatile.early.forget_before(view);
        let records = self.durable.records.iter();
        let accepted = records
            .filter(|(height, _)| *height > self.volatile.executed)
            .filter_map(|(_, record)| record.accepted.clone());
        let records = self.durable.records.iter();
        let change = Arc::new(
            cx.sign(ViewChange {
                view,
                stable: self.durable.stable.last().cloned(),
                prepared: records
                    .filter_map(|(_, record)| record.proof.clone())
                    .collect(),
                accepted: accepted.collect(),
            }),
        );
        self.durable.view = view;
        self.durable.change = Some(change.clone());
        self.volatile.dirty = true;
        let again = false;
        self.volatile.outbox.push(Message::ViewChange {
            change: change.clone(),
            again,
        });
        self.gather(change, cx);
    }

    /// Leads no longer: puts what was proposed in vain back among what waits.
    fn stand_down(&mut self, cx: &mut Cx<'_>) {
        if !self.leads() {
            return;
        }
        if self.volatile.ripe == Ripeness::Waiting {
            cx.cancel_timer(Timer::Batch);
        }
        self.volatile.ripe = Ripeness::Idle;
        for draft in std::mem::take(&mut self.volatile.drafts).iter().rev() {
            self.volatile.mempool.restore(draft);
        }
        let settled = self.durable.floor.max(self.volatile.executed);
        for (height, record) in self.durable.records.iter().rev() {
            let own = |vote: &&Signed<Vote>| vote.body().view == self.durable.view;
            if height > settled
                && let Some(vote) = record.accepted.as_ref().filter(own)
                && let Some(batch) = record.batch(&vote.body().digest)
            {
                self.volatile.mempool.restore(batch);
            }
        }
    }

    /// Waits for a quorum that wants the view this replica asks for with `change`.
    pub(super) fn gather(&mut self, change: Arc<Signed<ViewChange>>, cx: &mut Cx<'_>) {
        self.volatile.patience = Patience::Gathering;
        self.volatile.repeated = 0;
        cx.set_timer(Timer::View, self.config.view_timeout);
        if !self.voiced {
            self.store_change(change);
        }
        self.recount();
        self.join(cx);
        self.check_changes(cx);
    }

    /// Keeps the latest request of each member.
    fn store_change(&mut self, change: Arc<Signed<ViewChange>>) {
        let Some(position) = self.setup.committee.position(change.by()) else {
            return;
        };
        let changes = &mut self.volatile.changes;
        changes.resize(self.setup.committee.n(), None);
        changes[position] = Some(change);
    }

    /// Counts who wants which view, after this replica's own has changed.
    fn recount(&mut self) {
        let view = self.durable.view;
        let wanted = self
            .volatile
            .changes
            .iter()
            .flatten()
            .map(|c| c.body().view);
        let (mut companions, mut higher) = (0, 0);
        for wanted in wanted {
            companions += usize::from(wanted == view);
            higher += usize::from(wanted > view);
        }
        (self.volatile.companions, self.volatile.higher) = (companions, higher);
    }

    /// Another replica wants a view.
    pub(super) fn on_view_change(
        &mut self,
        change: &Arc<Signed<ViewChange>>,
        again: bool,
        cx: &mut Cx<'_>,
    ) {
        let Some(position) = self.setup.committee.position(change.by()) else {
            return;
        };
        let body = change.body();
        if body.view < self.durable.view
            || (body.view == self.durable.view && self.durable.change.is_none())
        {
            if again && self.guards(change.by()) {
                self.show_view(change.by(), body.view, cx);
            }
            return;
        }
        let known = self.volatile.changes.get(position).and_then(Option::as_ref);
        let before = known.map_or(0, |known| known.body().view);
        if before >= body.view || !self.is_valid_change(change, cx) {
            return;
        }
        self.compare_accepted(body, cx);
        if let Some(stable) = &body.stable {
            self.on_stable(stable.clone(), cx);
        }
        self.store_change(change.clone());
        if body.view == self.durable.view {
            self.volatile.companions += 1;
        } else if before <= self.durable.view {
            self.volatile.higher += 1;
            let left = before == self.durable.view && self.durable.change.is_some();
            self.volatile.companions -= usize::from(left);
        }
        self.join(cx);
        self.check_changes(cx);
    }

    /// So many replicas want a higher view that an honest one does: joins the smallest.
    fn join(&mut self, cx: &mut Cx<'_>) {
        let enough = self.volatile.higher >= self.setup.committee.one_honest();
        if !enough || self.mutant(Mutant::NoJoinRule) {
            return;
        }
        let wanted = self
            .volatile
            .changes
            .iter()
            .flatten()
            .map(|c| c.body().view);
        if let Some(view) = wanted.filter(|view| *view > self.durable.view).min() {
            cx.report(Report::Reached("joins-view-change"));
            self.leave(view, cx);
        }
    }

    /// A quorum wants the view this replica asks for: its leader opens it, the others give the
    /// leader a time. Those who want a higher view have given this one up already, and do not ask
    /// for it again if their request was lost: with them a quorum waits no longer, either.
    fn check_changes(&mut self, cx: &mut Cx<'_>) {
        let state = &self.volatile;
        let here = state.companions >= self.quorum;
        let gone = state.companions + state.higher >= self.quorum;
        match state.patience {
            Patience::Gathering if here || gone => {
                self.volatile.awaits_until = cx.now() + self.timeout();
                self.wait_for_view(cx);
            }
            Patience::Outrun if here => {}
            Patience::Idle
            | Patience::FirstHalf
            | Patience::SecondHalf
            | Patience::Gathering
            | Patience::Outrun
            | Patience::Awaiting => return,
        }
        if !here {
            self.volatile.patience = Patience::Outrun;
            return;
        }
        self.volatile.patience = Patience::Awaiting;
        if self.leader(self.durable.view) == self.setup.me {
            self.open_view(cx);
        }
    }

    /// The new leader opens its view.
    fn open_view(&mut self, cx: &mut Cx<'_>) {
        let view = self.durable.view;
        let wanted = self.volatile.changes.iter().flatten();
        let companions = wanted.filter(|change| change.body().view == view);
        let changes: Vec<_> = companions.take(self.quorum).cloned().collect();
        let consequence = self.consequence(&changes);
        let proposals = consequence
            .votes(view)
            .into_iter()
            .map(|vote| cx.sign(vote));
        let proposals = proposals.collect();
        let new_view = Arc::new(cx.sign(NewView {
            view,
            changes,
            proposals,
        }));
        self.volatile
            .outbox
            .push(Message::NewView(new_view.clone()));
        if self.voiced {
            return;
        }
        self.enter(&new_view, &consequence, cx);
    }

    fn consequence(&self, changes: &[Arc<Signed<ViewChange>>]) -> Consequence {
        let mut consequence = Consequence::of(changes);
        if self.mutant(Mutant::NewViewIgnoresPrepared) {
            let nothing = Batch::empty().digest();
            for vote in consequence.prepared.values_mut() {
                vote.digest = nothing;
            }
        }
        consequence
    }

    /// A new leader opens its view.
    pub(super) fn on_new_view(&mut self, new_view: &Arc<Signed<NewView>>, cx: &mut Cx<'_>) {
        let body = new_view.body();
        let left = body.view < self.durable.view;
        let entered = body.view == self.durable.view && self.durable.change.is_none();
        if left || entered {
            return;
        }
        let consequence = self
            .is_justified(new_view, cx)
            .then(|| self.consequence(&body.changes));
        let follows = |consequence: &Consequence| {
            let proposals = body.proposals.iter().map(|vote| *vote.body());
            proposals.eq(consequence.votes(body.view)) || self.mutant(Mutant::NoNewViewVerify)
        };
        match consequence.filter(follows) {
            Some(consequence) => self.enter(new_view, &consequence, cx),
            None => cx.report(Report::Reached("refuses-new-view")),
        }
    }

    /// Whether a quorum wants a view, and its leader signed all that is said in its name.
    fn is_justified(&self, new_view: &Signed<NewView>, cx: &Cx<'_>) -> bool {
        let body = new_view.body();
        let mut members = PositionSet::new();
        let distinct = body.changes.iter().all(|change| {
            let position = self.setup.committee.position(change.by());
            position.is_some_and(|position| members.insert(position))
        });
        let leader = self.leader(body.view);
        let signed = |vote: &Signed<Vote>| vote.by() == leader && vote.verify(cx.keyring());
        let justified = |change: &Arc<Signed<ViewChange>>| {
            change.body().view == body.view
                && (self.has_checked(change) || self.is_valid_change(change, cx))
        };
        distinct
            && members.len() >= self.quorum
            && new_view.by() == leader
            && new_view.verify(cx.keyring())
            && body.proposals.iter().all(signed)
            && body.changes.iter().all(justified)
    }

    /// Whether this very request was received and checked before.
    fn has_checked(&self, change: &Arc<Signed<ViewChange>>) -> bool {
        let position = self.setup.committee.position(change.by());
        let known = position.and_then(|position| self.volatile.changes.get(position));
        known.is_some_and(|known| {
            known
                .as_ref()
                .is_some_and(|known| Arc::ptr_eq(known, change))
        })
    }

    /// Whether a request is signed and everything in it is proven.
    fn is_valid_change(&self, change: &Signed<ViewChange>, cx: &Cx<'_>) -> bool {
        let rules = Rules {
            committee: &self.setup.committee,
            keyring: cx.keyring(),
            quorum: self.quorum,
            phases: [self.prepare_quorum, self.commit_quorum],
            interval: self.config.checkpoint_interval,
            window: self.config.window,
            views: self.views,
        };
        is_sound(change.body(), &rules) && change.verify(cx.keyring())
    }

    /// Two proposals of one leader for one place, shown by two replicas, convict the leader.
    fn compare_accepted(&mut self, change: &ViewChange, cx: &mut Cx<'_>) {
        let mut culprits: Vec<NodeId> = Vec::new();
        for theirs in &change.accepted {
            let record = self.durable.records.get(theirs.body().height);
            let Some(ours) = record.and_then(|record| record.accepted.as_ref()) else {
                continue;
            };
            let (one, other) = (ours.body(), theirs.body());
            let same_place = (one.phase, one.view) == (other.phase, other.view);
            let conflict = same_place && one.digest != other.digest && ours.by() == theirs.by();
            if conflict && theirs.verify(cx.keyring()) {
                culprits.push(ours.by());
            }
        }
        for culprit in culprits {
            self.accuse(culprit, cx);
        }
    }

    /// Enters a view whose proof was checked.
    fn enter(&mut self, proof: &Arc<Signed<NewView>>, from: &Consequence, cx: &mut Cx<'_>) {
        let body = proof.body();
        self.stand_down(cx);
        self.durable.view = body.view;
        self.durable.change = None;
        self.durable.new_view = Some(proof.clone());
        self.durable.floor = from.top();
        // Before anything can make this replica propose, as a stable checkpoint does.
        self.volatile.next = self.durable.floor.max(self.volatile.executed) + 1;
        self.volatile.dirty = true;
        self.volatile.active = Some(body.view);
        self.volatile.accepted = 0;
        self.volatile.ballots = Places::above(self.durable.records.low());
        self.volatile.patience = Patience::Idle;
        cx.cancel_timer(Timer::View);
        self.recount_after_entering();
        self.report_view(cx);
        if let Some(stable) = &from.stable {
            self.on_stable(stable.clone(), cx);
        }
        if !from.prepared.is_empty() {
            cx.report(Report::Reached("view-change-preserves-prepared"));
        }
        for proposal in &body.proposals {
            self.accept_again(proposal, cx);
        }
        self.watch(true, cx);
        self.ask_for_batches(body, cx);
        for (position, message) in self.volatile.early.take(body.view) {
            let from = self.setup.committee.members()[position];
            self.on_message(from, &message, cx);
        }
        self.propose(cx);
    }

    /// Forgets requests for views that are entered or left.
    fn recount_after_entering(&mut self) {
        let view = self.durable.view;
        for change in &mut self.volatile.changes {
            change.take_if(|change| change.body().view <= view);
        }
        self.recount();
        if self.volatile.higher == 0 {
            self.volatile.changes = Vec::new();
        }
    }

    /// Treats a proposal of a new view like a pre-prepare.
    fn accept_again(&mut self, proposal: &Signed<Vote>, cx: &mut Cx<'_>) {
        let body = *proposal.body();
        if !self.in_window(body.height) {
            return;
        }
        let contradicts = |digest: Digest| digest != body.digest;
        let executed = body.height <= self.volatile.executed;
        let block = self.block_at(body.height, cx).filter(|_| executed);
        if block.is_some_and(|block| contradicts(block.batch.digest()))
            && !self.mutant(Mutant::NoNewViewVerify)
            && !self.mutant(Mutant::NewViewIgnoresPrepared)
        {
            // Only more liars than the protocol tolerates bring this about.
            cx.report(Report::Reached("new-view-contradicts-ledger"));
            return;
        }
        let nothing = Batch::empty();
        let known = self.durable.records.get(body.height);
        let known = known.and_then(|record| record.batch(&body.digest)).cloned();
        let batch = known.or((body.digest == nothing.digest()).then_some(nothing));
        self.count_prepare(proposal, cx);
        self.accept(proposal, batch.as_ref(), cx);
        self.check_prepared(body.height, cx);
    }

    /// Asks for batches that a new view proposes and that are not known here: first one of those
    /// who have shown a proof for them.
    fn ask_for_batches(&mut self, view: &NewView, cx: &mut Cx<'_>) {
        let Some((height, digest)) = self.missing().first().copied() else {
            return;
        };
        let shown = view.changes.iter().find(|change| {
            let mut proofs = change.body().prepared.iter().map(Certificate::body);
            let own = change.by() == self.setup.me;
            !own && proofs.any(|vote| (vote.height, vote.digest) == (height, digest))
        });
        if let Some(change) = shown {
            self.fetch_from(change.by(), cx);
        }
    }
}
