//! The normal case: from a client's transaction through the three phases to execution.

use std::sync::Arc;

use crate::base::crypto::{Certificate, Digest, Hasher, Signed};
use crate::base::node::{Committee, NodeId};
use crate::base::time::Span;
use crate::chain::{Batch, Height, Transaction};
use crate::protocol::Report;
use crate::protocol::tally::Counted;

use super::log::{Ballot, Stage};
use super::message::{Message, Phase, Vote};
use super::{Cx, Mutant, Oldest, Patience, Pbft, Ripeness, Timer};

/// The hash over all batches of a chain, with one more.
pub fn extend_chain(chain: &Digest, batch: &Digest) -> Digest {
    Hasher::new("pbft chain")
        .digest(chain)
        .digest(batch)
        .finish()
}

/// What comes of a vote at a place whose certificate is complete: nothing, or evidence.
fn late(
    certificate: Option<&Certificate<Vote>>,
    vote: &Signed<Vote>,
    committee: &Committee,
) -> Counted {
    let Some(certificate) = certificate else {
        return Counted::Repeated;
    };
    let (proven, stated) = (certificate.body(), vote.body());
    let same_place = (proven.phase, proven.view) == (stated.phase, stated.view);
    let signed = committee
        .position(vote.by())
        .is_some_and(|position| certificate.positions().contains(position));
    if same_place && signed && proven.digest != stated.digest {
        return Counted::Conflict;
    }
    Counted::Repeated
}

impl Pbft {
    /// A client asks this replica.
    pub(super) fn on_submit(&mut self, transaction: &Arc<Transaction>, cx: &mut Cx<'_>) {
        self.volatile.mempool.insert(transaction.clone());
        if !self.leads() {
            self.forward(vec![transaction.clone()], cx);
        }
        self.propose(cx);
        self.watch(false, cx);
    }

    /// Another replica passes on what a client asked it.
    pub(super) fn on_forward(&mut self, transactions: &[Arc<Transaction>], cx: &mut Cx<'_>) {
        let mempool = &mut self.volatile.mempool;
        let mut fresh = transactions.to_vec();
        fresh.retain(|transaction| mempool.insert(transaction.clone()));
        if fresh.is_empty() {
            return;
        }
        if !self.leads() {
            // The sender is in another view. What was known is not passed on, so this ends.
            self.forward(fresh, cx);
        }
        self.propose(cx);
        self.watch(false, cx);
    }

    /// Tells the leader what it should propose. A replica that has left its view tells members in
    /// turn: it may be the only one that has, and they pass on what is new to them.
    pub(super) fn forward(&mut self, transactions: Vec<Arc<Transaction>>, cx: &mut Cx<'_>) {
        let leader = if self.durable.change.is_some() {
            self.next_in_turn()
        } else {
            self.leader(self.durable.view)
        };
        if leader != self.setup.me && !transactions.is_empty() {
            cx.send(leader, Message::Forward(transactions));
        }
    }

    /// The oldest transaction has waited long enough.
    pub(super) fn on_ripe(&mut self, cx: &mut Cx<'_>) {
        self.volatile.ripe = Ripeness::Ripe;
        self.propose(cx);
    }

    /// Cuts and proposes as many batches as are due and allowed.
    pub(super) fn propose(&mut self, cx: &mut Cx<'_>) {
        while !self.volatile.mempool.is_empty() && self.may_propose() {
            let rule = self.setup.batch;
            let ripe = self.volatile.ripe == Ripeness::Ripe || rule.wait == Span::ZERO;
            if !ripe && !self.volatile.mempool.is_full(&rule) {
                break;
            }
            let Some(batch) = self.volatile.mempool.take(&rule) else {
                break;
            };
            if self.volatile.ripe == Ripeness::Waiting {
                cx.cancel_timer(Timer::Batch);
            }
            self.volatile.ripe = Ripeness::Idle;
            self.pre_prepare(&batch, cx);
        }
        let waits = self.leads() && !self.volatile.mempool.is_empty();
        let wait = self.setup.batch.wait;
        if waits && wait > Span::ZERO && self.volatile.ripe == Ripeness::Idle {
            self.volatile.ripe = Ripeness::Waiting;
            cx.set_timer(Timer::Batch, wait);
        }
    }

    /// Whether the leader may put a batch at the next height: everything proposed again by its
    /// view is executed, not too much is in progress, and the watermark is not reached.
    pub(super) fn may_propose(&self) -> bool {
        let state = &self.volatile;
        let settled = state.executed >= self.durable.floor;
        let in_progress = state.next.saturating_sub(state.executed + 1);
        let room = in_progress < self.config.pipeline && self.in_window(state.next);
        self.leads() && settled && room
    }

    pub(super) fn pre_prepare(&mut self, batch: &Batch, cx: &mut Cx<'_>) {
        let height = self.volatile.next;
        self.volatile.next += 1;
        let vote = cx.sign(Vote {
            phase: Phase::Prepare,
            view: self.durable.view,
            height,
            digest: batch.digest(),
        });
        let batch = batch.clone();
        let shared = batch.clone();
        self.volatile.outbox.push(Message::PrePrepare {
            vote: vote.clone(),
            batch,
        });
        if self.voiced {
            self.volatile.drafts.push(shared);
            return;
        }
        // Our own vote.
        self.count_prepare(&vote, cx);
        self.accept(&vote, Some(&shared), cx);
        self.check_prepared(height, cx);
    }

    /// The leader puts a batch at a place.
    pub(super) fn on_pre_prepare(
        &mut self,
        from: NodeId,
        (vote, batch): (&Signed<Vote>, &Batch),
        message: &Message,
        cx: &mut Cx<'_>,
    ) {
        let body = vote.body();
        if Some(body.view) != self.volatile.active {
            self.keep_early(from, body.view, message, cx);
            return;
        }
        if vote.by() != self.leader(body.view)
            || body.phase != Phase::Prepare
            || (body.digest != batch.digest() && !self.mutant(Mutant::NoDigestCheck))
            || !self.in_reach(from, body.height, cx)
            || !vote.verify(cx.keyring())
        {
            return;
        }
        if self.voiced && vote.by() == self.setup.me {
            self.volatile.drafts.retain(|draft| draft != batch);
        }
        if self.count_prepare(vote, cx) == Counted::Conflict
            && self.mutant(Mutant::AcceptSecondPrePrepare)
        {
            *self.volatile.ballots.at(body.height) = Ballot::default();
            self.count_prepare(vote, cx);
        } else if !self.may_accept(body, cx) {
            return;
        }
        self.accept(vote, Some(batch), cx);
        self.check_prepared(body.height, cx);
    }

    /// Whether a proposal of the present view is the first for its place, and does not contradict
    /// what this replica has executed.
    fn may_accept(&self, body: &Vote, cx: &Cx<'_>) -> bool {
        if body.height <= self.durable.floor {
            return false;
        }
        if let Some(block) = self.block_at(body.height, cx)
            && body.height <= self.volatile.executed
            && block.batch.digest() != body.digest
        {
            return false;
        }
        let record = self.durable.records.get(body.height);
        let accepted = record.and_then(|record| record.accepted.as_ref());
        accepted.is_none_or(|accepted| accepted.body().view < body.view)
    }

    /// Accepts a proposal: remembers it and, unless it is our own, votes for it.
    pub(super) fn accept(&mut self, vote: &Signed<Vote>, batch: Option<&Batch>, cx: &mut Cx<'_>) {
        let body = *vote.body();
        let executed = self.volatile.executed;
        let record = self.durable.records.at(body.height);
        record.accepted = Some(vote.clone());
        if let Some(batch) = batch
            && body.height > executed
        {
            record.keep(batch);
        }
        self.volatile.dirty = true;
        self.volatile.accepted = self.volatile.accepted.max(body.height);
        if vote.by() != self.setup.me {
            let vote = cx.sign(body);
            // Our own vote.
            if !self.voiced {
                self.count_prepare(&vote, cx);
            }
            let batch = batch.cloned();
            self.volatile.outbox.push(Message::Prepare { vote, batch });
        }
        self.watch(false, cx);
    }

    /// A vote of the first phase; false if nothing has changed but a count.
    #[inline]
    pub(super) fn on_prepare(
        &mut self,
        from: NodeId,
        vote: &Signed<Vote>,
        message: &Message,
        cx: &mut Cx<'_>,
    ) -> bool {
        let body = vote.body();
        if Some(body.view) != self.volatile.active {
            self.keep_early(from, body.view, message, cx);
            return false;
        }
        let enough = body.phase == Phase::Prepare
            && self.in_reach(from, body.height, cx)
            && self.is_signed(vote, cx)
            && matches!(self.count_prepare(vote, cx),
                Counted::Fresh(votes) if votes >= self.prepare_quorum);
        if enough {
            self.check_prepared(body.height, cx);
        }
        enough
    }

    /// A vote of the second phase; false if nothing has changed but a count.
    #[inline]
    pub(super) fn on_commit(
        &mut self,
        from: NodeId,
        vote: &Signed<Vote>,
        message: &Message,
        cx: &mut Cx<'_>,
    ) -> bool {
        let body = vote.body();
        if Some(body.view) != self.volatile.active {
            self.keep_early(from, body.view, message, cx);
            return false;
        }
        let enough = body.phase == Phase::Commit
            && self.in_reach(from, body.height, cx)
            && self.is_signed(vote, cx)
            && self.count_commit(vote, cx);
        if enough {
            self.check_committed(body.height);
        }
        enough
    }

    #[inline]
    fn is_signed(&self, vote: &Signed<Vote>, cx: &Cx<'_>) -> bool {
        vote.verify(cx.keyring()) || self.mutant(Mutant::NoSignatureCheck)
    }

    /// Whether a height lies between the watermarks; who speaks of one above is ahead of us.
    #[inline]
    fn in_reach(&mut self, from: NodeId, height: Height, cx: &mut Cx<'_>) -> bool {
        if self.in_window(height) {
            return true;
        }
        if height > self.durable.records.low() {
            self.note_ahead(from, cx);
        }
        false
    }

    /// Counts a prepare, and uses evidence against its voter.
    #[inline]
    pub(super) fn count_prepare(&mut self, vote: &Signed<Vote>, cx: &mut Cx<'_>) -> Counted {
        let height = vote.body().height;
        let committee = &self.setup.committee;
        let ballot = self.volatile.ballots.at(height);
        let counted = if ballot.stage == Stage::Open {
            ballot.prepares.count(vote, committee)
        } else {
            let record = self.durable.records.get(height);
            late(
                record.and_then(|record| record.proof.as_ref()),
                vote,
                committee,
            )
        };
        if counted == Counted::Conflict {
            self.accuse(vote.by(), cx);
        }
        if counted == Counted::Repeated && self.mutant(Mutant::NoSenderDedup) {
            let ballot = self.volatile.ballots.at(height);
            ballot.again += 1;
            return Counted::Fresh(self.prepare_quorum);
        }
        counted
    }

    /// Counts a commit; whether there may now be enough.
    #[inline]
    fn count_commit(&mut self, vote: &Signed<Vote>, cx: &mut Cx<'_>) -> bool {
        let height = vote.body().height;
        let committee = &self.setup.committee;
        let ballot = self.volatile.ballots.at(height);
        let counted = if ballot.stage == Stage::Committed {
            let record = self.durable.records.get_mut(height);
            let mut proof = record.and_then(|record| record.proof.as_mut());
            // Late commits still tell who has come this far.
            if let Some(proof) = &mut proof
                && proof.add(vote, committee)
            {
                return false;
            }
            late(proof.as_deref(), vote, committee)
        } else {
            ballot.commits.count(vote, committee)
        };
        match counted {
            Counted::Fresh(votes) => votes >= self.commit_quorum,
            Counted::Conflict => {
                self.accuse(vote.by(), cx);
                false
            }
            Counted::Repeated | Counted::Stranger => false,
        }
    }

    /// The proposal accepted at a height in the present view.
    fn accepted_at(&self, height: Height) -> Option<Vote> {
        let accepted = self.durable.records.get(height)?.accepted.as_ref()?;
        let body = accepted.body();
        (Some(body.view) == self.volatile.active).then_some(*body)
    }

    /// Prepared: the proposal and a quorum of equal prepares, the leader's among them.
    pub(super) fn check_prepared(&mut self, height: Height, cx: &mut Cx<'_>) {
        let Some(body) = self.accepted_at(height) else {
            return;
        };
        let ballot = self.volatile.ballots.at(height);
        let votes = ballot.prepares.votes(&body) + ballot.again;
        if ballot.stage != Stage::Open || votes < self.prepare_quorum {
            return;
        }
        ballot.stage = Stage::Prepared;
        let proof = ballot.prepares.take(&body);
        let record = self.durable.records.at(height);
        if record.decided().is_none() {
            record.proof = proof;
        }
        self.volatile.dirty = true;
        self.volatile.prepared.push(Report::Prepared {
            view: body.view,
            height,
            digest: body.digest,
        });
        self.commit(&body, cx);
        self.check_committed(height);
    }

    /// Votes in the second phase.
    pub(super) fn commit(&mut self, prepared: &Vote, cx: &mut Cx<'_>) {
        let vote = cx.sign(Vote {
            phase: Phase::Commit,
            ..*prepared
        });
        // Our own vote.
        if !self.voiced {
            self.count_commit(&vote, cx);
        }
        let record = self.durable.records.get(prepared.height);
        let known = record.and_then(|record| record.batch(&prepared.digest));
        let batch = known.cloned();
        self.volatile.outbox.push(Message::Commit { vote, batch });
    }

    /// Committed: prepared, and a quorum of equal commits, ours among them.
    pub(super) fn check_committed(&mut self, height: Height) {
        let Some(prepared) = self.accepted_at(height) else {
            return;
        };
        let body = Vote {
            phase: Phase::Commit,
            ..prepared
        };
        let ballot = self.volatile.ballots.at(height);
        if ballot.stage != Stage::Prepared || ballot.commits.votes(&body) < self.commit_quorum {
            return;
        }
        ballot.stage = Stage::Committed;
        let proof = ballot.commits.take(&body);
        let record = self.durable.records.at(height);
        if record.decided().is_none() {
            record.proof = proof;
        }
        self.volatile.ready = true;
    }

    /// Executes what is committed and known, in the order of heights.
    pub(super) fn advance(&mut self, cx: &mut Cx<'_>) {
        let before = self.volatile.executed;
        loop {
            let mut height = self.volatile.executed + 1;
            if self.mutant(Mutant::ExecOutOfOrder) && self.is_gap(height) {
                height += 1;
                self.volatile.executed += 1;
            }
            let record = self.durable.records.get(height);
            let Some(proof) = record.and_then(|record| record.decided()) else {
                break;
            };
            let digest = proof.body().digest;
            let known = record.and_then(|record| record.batch(&digest));
            let Some(batch) = known.cloned() else {
                break;
            };
            if !batch.is_empty() {
                self.volatile.attempts = 0;
            }
            self.execute(&batch, cx);
        }
        if self.volatile.executed > before {
            self.progressed(cx);
        }
    }

    /// Whether a place is open and the one after it is not.
    fn is_gap(&self, height: Height) -> bool {
        let records = &self.durable.records;
        let decided = |height| records.get(height).is_some_and(|r| r.decided().is_some());
        !decided(height) && decided(height + 1)
    }

    /// Executes the next batch.
    pub(super) fn execute(&mut self, batch: &Batch, cx: &mut Cx<'_>) {
        let height = self.volatile.executed + 1;
        if self.nested
            && let Some(proof) = self.durable.records.get(height).and_then(|r| r.decided())
        {
            self.volatile.proofs.push(proof.clone());
        }
        let block = cx.decide(height, batch);
        self.volatile.executed = height;
        self.volatile.next = self.volatile.next.max(height + 1);
        self.volatile.chain = extend_chain(&self.volatile.chain, &batch.digest());
        self.volatile.unsynced.push(height);
        if self.volatile.mempool.has_unsettled() {
            self.take_back(height, batch);
            self.volatile.mempool.settle(batch);
        }
        if height.is_multiple_of(self.config.checkpoint_interval) {
            self.mark(height, block, cx);
        }
    }

    /// What this leader has proposed at a place where something else is executed waits again: it
    /// has forgotten how far it was.
    fn take_back(&mut self, height: Height, executed: &Batch) {
        let view = self.durable.view;
        let record = self.durable.records.get(height);
        let vote = record.and_then(|record| record.accepted.as_ref());
        let own = |vote: &&Signed<Vote>| vote.by() == self.setup.me && vote.body().view == view;
        if let Some(vote) = vote.filter(own)
            && let Some(batch) = record.and_then(|record| record.batch(&vote.body().digest))
            && batch != executed
        {
            self.volatile.mempool.restore(batch);
        }
    }

    /// Something was executed: patience begins anew, and there may be room for more.
    pub(super) fn progressed(&mut self, cx: &mut Cx<'_>) {
        self.volatile.level.clear();
        self.volatile.asked = 0;
        self.check_target(cx);
        cx.set_timer(Timer::Status, self.config.view_timeout * 2);
        self.propose(cx);
        self.mind_the_oldest(cx);
        self.watch(true, cx);
    }

    /// Others are served while the transaction that has waited longest here is not. A leader
    /// proposes in the order in which it was told, so that what is first in this queue is not far
    /// from the front of the leader's, however long that is: one timeout there is long enough to
    /// tell the leader again, and another one to leave it.
    fn mind_the_oldest(&mut self, cx: &mut Cx<'_>) {
        let view = self.durable.view;
        let oldest = self.volatile.mempool.first().map(|first| first.id);
        let Some(id) = oldest.filter(|_| self.volatile.active == Some(view) && !self.leads())
        else {
            self.volatile.oldest = None;
            return;
        };
        let since = cx.now();
        let fresh = Oldest {
            id,
            view,
            since,
            told: false,
        };
        let known = self
            .volatile
            .oldest
            .filter(|known| (known.id, known.view) == (id, view));
        let known = known.unwrap_or(fresh);
        self.volatile.oldest = Some(known);
        let ignored = self.mutant(Mutant::NoFairness) || self.is_behind();
        if ignored || since < known.since + self.timeout() {
            return;
        }
        if known.told {
            cx.report(Report::Reached("leaves-an-unfair-leader"));
            self.leave(view + 1, cx);
            return;
        }
        self.volatile.oldest = Some(Oldest {
            told: true,
            ..fresh
        });
        let waiting = self.volatile.mempool.oldest(self.setup.batch.max);
        self.forward(waiting, cx);
    }

    /// Keeps the view timer running exactly while something is pending; `anew` restarts it.
    pub(super) fn watch(&mut self, anew: bool, cx: &mut Cx<'_>) {
        if self.durable.change.is_some() {
            return;
        }
        let state = &mut self.volatile;
        let pending =
            state.awaited || state.mempool.has_unsettled() || state.accepted > state.executed;
        let idle = state.patience == Patience::Idle;
        if pending && (anew || idle) {
            state.patience = Patience::FirstHalf;
            let half = self.timeout().nanos() / 2;
            cx.set_timer(Timer::View, Span::from_nanos(half));
        } else if !pending && !idle {
            state.patience = Patience::Idle;
            cx.cancel_timer(Timer::View);
        }
    }

    /// How long to wait for progress: twice as long after each view change in a row.
    pub(super) fn timeout(&self) -> Span {
        if self.mutant(Mutant::NoTimerBackoff) {
            return self.config.view_timeout;
        }
        self.config.view_timeout * (1 << self.volatile.attempts.min(32))
    }

    /// Whether a place has commits of so many members that one of them is honest: somebody has
    /// prepared what this replica cannot execute.
    pub(super) fn others_commit(&self) -> bool {
        let enough = |(height, ballot): (Height, &Ballot)| {
            height > self.volatile.executed
                && ballot.commits.most() >= self.setup.committee.one_honest()
        };
        self.volatile.ballots.iter().any(enough)
    }
}
