//! From votes to decisions, in each of the three profiles.
//!
//! One round: the leader counts votes on its own entries and says how far they go (`paper`), or
//! everybody counts and waits for a contradiction (`sync`). Two rounds (`hardened`): a certificate
//! of the first round is what followers hold to, one of the second decides.

use std::sync::Arc;

use super::evidence::Evidence;
use super::message::{HeartbeatReply, Message, Prepared, Reply};
use super::statement::{Ack, Claim, Mark, Stage};
use super::{Cx, Iraft, Mutant, Profile, Timer};
use crate::base::crypto::{Certificate, Signed};
use crate::base::node::NodeId;
use crate::base::time::Span;
use crate::protocol::Report;

impl Iraft {
    /// Whether this replica decides on proofs, and not on its leader's word.
    fn certifies(&self) -> bool {
        self.config.two_rounds() || self.config.profile == Profile::Sync
    }

    /// This replica's vote on an entry of its present leader's own term.
    pub(super) fn vote_on(&mut self, stage: Stage, mark: Mark, cx: &mut Cx<'_>) -> Signed<Ack> {
        let ack = cx.sign(Ack {
            stage,
            term: mark.term,
            index: mark.index,
            chain: mark.chain,
        });
        if stage == Stage::Prepare && self.config.profile == Profile::Sync {
            let acked = &mut self.volatile.acked;
            if acked.back().is_none_or(|(index, _)| *index < mark.index) {
                acked.push_back((mark.index, cx.now()));
            }
        }
        if self.certifies() {
            self.judge_ack(&ack, cx);
        }
        ack
    }

    /// A leader votes for what it has just written.
    pub(super) fn vote_for_own(&mut self, index: u64, cx: &mut Cx<'_>) {
        if self.certifies()
            && let Some(mark) = self.durable.log.mark(index)
        {
            self.vote_on(Stage::Prepare, mark, cx);
        }
        self.advance(cx);
    }

    /// Counts what came along with an answer; everybody does.
    pub(super) fn read_words(&mut self, from: NodeId, reply: &Reply, cx: &mut Cx<'_>) {
        if let Some(echo) = &reply.echo
            && self.setup.committee.contains(echo.by())
            && echo.verify(cx.keyring())
        {
            self.judge_header(echo, cx);
        }
        for ack in &reply.acks {
            if ack.by() == from && ack.verify(cx.keyring()) {
                self.judge_ack(ack, cx);
            }
        }
        if self.config.profile == Profile::Sync && !reply.acks.is_empty() {
            self.note_quorum(cx);
        }
    }

    /// The highest place above this one that enough members have voted for in a round, if the log
    /// holds what they voted for.
    fn reached(&self, stage: Stage, above: u64, enough: usize) -> Option<&Certificate<Ack>> {
        let from_above = self.volatile.watch.votes(stage).from(above + 1).rev();
        let mut certificates = from_above.filter_map(|(index, tally)| {
            let mark = self.durable.log.mark(index)?;
            let body = Ack {
                stage,
                term: self.durable.term,
                index,
                chain: mark.chain,
            };
            tally.certificate(&body).filter(|_| mark.term == body.term)
        });
        certificates.find(|certificate| self.counted(certificate) >= enough)
    }

    /// How many of the signers still belong to the group.
    fn counted(&self, certificate: &Certificate<Ack>) -> usize {
        let gone = self.durable.excluded.iter().filter(|node| {
            let position = self.position(**node);
            certificate.positions().contains(position)
        });
        certificate.signers() - gone.count()
    }

    /// A leader looks how far the votes go.
    pub(super) fn advance(&mut self, cx: &mut Cx<'_>) {
        if !self.leads() {
            return;
        }
        if self.config.two_rounds() {
            self.advance_first_round(cx);
            self.advance_second_round(cx);
        } else if self.config.profile == Profile::Sync {
            self.note_quorum(cx);
        } else {
            self.advance_by_count(cx);
        }
    }

    /// One round: a quorum, this leader included, holds an entry of its term.
    fn advance_by_count(&mut self, cx: &mut Cx<'_>) {
        let others = self.quorum() - 1;
        let commit = self.volatile.commit;
        let held = if others == 0 {
            self.durable.log.last_index()
        } else {
            let found = self.reached(Stage::Prepare, commit, others);
            found.map_or(commit, |certificate| certificate.body().index)
        };
        if held == commit {
            return;
        }
        self.commit_to(held, cx);
        if self.config.commit_notice
            && let Some(commit) = self.durable.log.mark(held)
        {
            let term = self.durable.term;
            let notice = Message::CommitNotice { term, commit };
            cx.broadcast(&self.setup.committee, notice);
        }
    }

    /// A quorum holds entries of this leader's term: it holds to them, and tells everybody why.
    fn advance_first_round(&mut self, cx: &mut Cx<'_>) {
        let above = self.volatile.locked.max(self.volatile.commit);
        let found = self.reached(Stage::Prepare, above, self.quorum());
        let Some(certificate) = found.map(|c| Arc::new(c.clone())) else {
            return;
        };
        let index = certificate.body().index;
        let header = self.durable.log.header(index).cloned();
        let header = header.expect("what is voted for is in the log");
        self.hold_to(&certificate, cx);
        self.volatile.locked = index;
        self.sync(cx);
        let claim = cx.sign(Claim { certificate });
        let prepared = Box::new(Prepared { claim, header });
        self.volatile.prepared = Some(prepared.clone());
        cx.broadcast(&self.setup.committee, Message::Prepared(prepared));
        let mark = self.durable.log.mark(index).expect("it is in the log");
        self.vote_on(Stage::Commit, mark, cx);
    }

    /// A quorum holds to entries of this leader's term: they are decided.
    fn advance_second_round(&mut self, cx: &mut Cx<'_>) {
        let commit = self.volatile.commit;
        let found = self.reached(Stage::Commit, commit, self.quorum());
        let Some(certificate) = found.map(|c| Arc::new(c.clone())) else {
            return;
        };
        let claim = cx.sign(Claim {
            certificate: certificate.clone(),
        });
        self.volatile.decision = Some(certificate);
        // Decided first: whoever hears of it may ask this replica for an answer.
        self.decide_what_is_proven(cx);
        cx.broadcast(&self.setup.committee, Message::Committed(claim));
    }

    /// Profile `sync`: everybody counts the votes that everybody hears.
    pub(super) fn note_quorum(&mut self, cx: &mut Cx<'_>) {
        let above = self.proven_index().max(self.volatile.commit);
        let found = self.reached(Stage::Prepare, above, self.quorum());
        if let Some(certificate) = found.map(|c| Arc::new(c.clone())) {
            self.volatile.decision = Some(certificate);
        }
        self.decide_what_is_proven(cx);
    }

    /// Up to where there is proof of a decision.
    pub(super) fn decided_index(&self) -> u64 {
        let decision = self.volatile.decision.as_ref();
        decision.map_or(0, |certificate| certificate.body().index)
    }

    /// The same, if the log holds what is proven: under another leader it may have come to hold
    /// something else there.
    fn proven_index(&self) -> u64 {
        let decision = self.volatile.decision.as_ref();
        let held = decision.map(|certificate| certificate.body().mark());
        let held = held.filter(|mark| self.durable.log.chain(mark.index) == Some(mark.chain));
        held.map_or(0, |mark| mark.index)
    }

    /// Notes the proof that a quorum holds the log up to a place that is in the log.
    fn hold_to(&mut self, certificate: &Arc<Certificate<Ack>>, cx: &mut Cx<'_>) {
        let mark = certificate.body().mark();
        let old = self.durable.lock.as_ref().map(|lock| lock.body().mark());
        let newer = old.is_none_or(|old| !old.is_up_to_date_with(&mark));
        let decides = certificate.body().stage == Stage::Commit && old == Some(mark);
        if newer || decides {
            self.durable.lock = Some(certificate.clone());
            self.durable.branch.forget();
            self.volatile.dirty = true;
        }
        if newer && certificate.body().stage == Stage::Prepare {
            cx.report(Report::Prepared {
                view: mark.term,
                height: mark.index,
                digest: mark.chain,
            });
        }
    }

    pub(super) fn on_prepared(&mut self, from: NodeId, prepared: &Prepared, cx: &mut Cx<'_>) {
        let Some(certificate) = self.read_claim(from, &prepared.claim, cx) else {
            return;
        };
        let header = &prepared.header;
        if header.by() == from && header.verify(cx.keyring()) {
            self.judge_header(header, cx);
        }
        let body = *certificate.body();
        let concerns = self.volatile.leader == Some(from)
            && body.stage == Stage::Prepare
            && body.term == self.durable.term
            && self.config.two_rounds();
        if !concerns || !self.suffices(&certificate, cx) {
            return;
        }
        let pending = self.volatile.prepared.as_ref();
        let known = pending.map_or(0, |p| p.claim.body().certificate.body().index);
        if body.index >= known {
            self.volatile.prepared = Some(Box::new(prepared.clone()));
        }
        self.vote_for_prepared(cx);
    }

    /// Votes in the second round, once the log holds what the first one was about.
    pub(super) fn vote_for_prepared(&mut self, cx: &mut Cx<'_>) {
        let Some(prepared) = &self.volatile.prepared else {
            return;
        };
        let certificate = prepared.claim.body().certificate.clone();
        let ack = *certificate.body();
        let held = self.durable.log.chain(ack.index) == Some(ack.chain);
        let Some(leader) = self.volatile.leader.filter(|_| held) else {
            return;
        };
        self.volatile.prepared = None;
        self.hold_to(&certificate, cx);
        self.volatile.locked = self.volatile.locked.max(ack.index);
        if !self.broken(Mutant::VotePersistLate) {
            self.sync(cx);
        }
        let told = self.told(ack.index);
        let vote = self.vote_on(Stage::Commit, ack.mark(), cx);
        cx.send(leader, Message::CommitVote { ack: vote, told });
    }

    pub(super) fn on_commit_vote(&mut self, from: NodeId, ack: &Signed<Ack>, cx: &mut Cx<'_>) {
        let genuine = ack.by() == from && ack.verify(cx.keyring());
        if genuine && ack.body().stage == Stage::Commit && self.judge_ack(ack, cx) {
            self.advance(cx);
        }
    }

    pub(super) fn on_committed(&mut self, from: NodeId, claim: &Signed<Claim>, cx: &mut Cx<'_>) {
        let Some(certificate) = self.read_claim(from, claim, cx) else {
            return;
        };
        let stage = match self.config.profile {
            Profile::Hardened => Stage::Commit,
            Profile::Paper | Profile::Sync => Stage::Prepare,
        };
        let news = certificate.body().index > self.decided_index().max(self.volatile.commit);
        if news
            && self.certifies()
            && certificate.body().stage == stage
            && self.suffices(&certificate, cx)
        {
            self.volatile.decision = Some(certificate);
            self.decide_what_is_proven(cx);
        }
    }

    /// What somebody claims to be proven; a claim that cannot be true convicts.
    fn read_claim(
        &mut self,
        from: NodeId,
        claim: &Signed<Claim>,
        cx: &mut Cx<'_>,
    ) -> Option<Arc<Certificate<Ack>>> {
        if claim.by() != from || !claim.verify(cx.keyring()) {
            return None;
        }
        let certificate = claim.body().certificate.clone();
        let least = super::evidence::least_quorum(self.setup.committee.n());
        if certificate.verify(&self.setup.committee, least, cx.keyring()) {
            self.judge_certificate(&certificate, cx);
            return Some(certificate);
        }
        self.learn(&[Arc::new(Evidence::FalseClaim(claim.clone()))], cx);
        None
    }

    /// The word of a leader, where the profile takes it.
    pub(super) fn on_commit_notice(
        &mut self,
        from: NodeId,
        term: u64,
        commit: Mark,
        cx: &mut Cx<'_>,
    ) {
        if term == self.durable.term && self.volatile.leader == Some(from) {
            self.take_word(commit, cx);
        }
    }

    /// Decides up to a place that the leader says is committed, if the log holds it.
    pub(super) fn take_word(&mut self, commit: Mark, cx: &mut Cx<'_>) {
        let holds = self.durable.log.chain(commit.index) == Some(commit.chain);
        if holds && !self.leads() && !self.certifies() {
            self.commit_to(commit.index, cx);
        }
    }

    /// Decides what there is proof for and the log holds.
    pub(super) fn decide_what_is_proven(&mut self, cx: &mut Cx<'_>) {
        if self.config.profile == Profile::Sync {
            self.decide_what_has_waited(cx);
            return;
        }
        if !self.config.two_rounds() {
            return;
        }
        let decides = |c: &&Arc<Certificate<Ack>>| c.body().stage == Stage::Commit;
        let known = self
            .volatile
            .decision
            .as_ref()
            .or(self.durable.lock.as_ref());
        let Some(certificate) = known.filter(decides).cloned() else {
            return;
        };
        self.decide_by(&certificate, cx);
    }

    /// Decides up to the place of a certificate of the second round, if the log holds it.
    pub(super) fn decide_by(&mut self, certificate: &Arc<Certificate<Ack>>, cx: &mut Cx<'_>) {
        let body = *certificate.body();
        let held = self.durable.log.chain(body.index) == Some(body.chain);
        if held && body.index > self.volatile.commit {
            self.hold_to(certificate, cx);
            self.durable.log.prove(certificate);
            self.commit_to(body.index, cx);
        }
    }

    /// Profile `sync`: decides the votes of a quorum on which were cast so long ago that a
    /// contradiction of their leader would have arrived.
    fn decide_what_has_waited(&mut self, cx: &mut Cx<'_>) {
        let wait = if self.broken(Mutant::NoEquivocationWait) {
            Span::ZERO
        } else {
            self.config.delta * 2
        };
        let proven = self.proven_index();
        let mut reached = 0;
        while let Some(&(index, at)) = self.volatile.acked.front() {
            if index > proven {
                break;
            }
            if at + wait > cx.now() {
                cx.set_timer(Timer::Wait, at + wait - cx.now());
                break;
            }
            reached = index;
            self.volatile.acked.pop_front();
        }
        if reached > self.volatile.commit {
            self.commit_to(reached, cx);
            self.show_decision(reached, cx);
        }
    }

    /// Profile `sync`: a leader, whose own votes nobody hears, shows what it has decided by to
    /// followers of whom too few have voted to be a quorum without it.
    fn show_decision(&mut self, index: u64, cx: &mut Cx<'_>) {
        let Some(certificate) = self.volatile.decision.clone().filter(|_| self.leads()) else {
            return;
        };
        let me = self.position(cx.me());
        let votes = self.volatile.watch.prepares.get(index);
        let votes = votes.and_then(|tally| tally.given_by(me));
        let others = votes.map_or(0, |votes| self.counted(votes).saturating_sub(1));
        if others < self.quorum() && self.setup.committee.n() > 1 {
            let claim = cx.sign(Claim { certificate });
            cx.broadcast(&self.setup.committee, Message::Committed(claim));
        }
    }

    pub(super) fn on_wait_over(&mut self, cx: &mut Cx<'_>) {
        self.decide_what_is_proven(cx);
    }

    /// Repeats what a follower has missed, once it has stayed behind from one heartbeat to the
    /// next: also if it says that it has voted and its vote has been lost.
    pub(super) fn repeat_proofs(&mut self, from: NodeId, reply: &HeartbeatReply, cx: &mut Cx<'_>) {
        let (locked, commit) = (self.volatile.locked, self.volatile.commit);
        let given = self.volatile.watch.commits.get(locked);
        let voted = given.is_some_and(|given| given.given_by(self.position(from)).is_some());
        let votes = self.config.two_rounds() && locked > commit && !voted;
        let lacks = self.certifies() && reply.decided < commit;
        let Some(peer) = self.peer(from) else { return };
        if !votes && !lacks {
            peer.own.behind = None;
            return;
        }
        if !peer.own.stays_behind(reply.locked, reply.decided) {
            return;
        }
        if let Some(certificate) = self.volatile.decision.clone().filter(|_| lacks) {
            let claim = cx.sign(Claim { certificate });
            cx.send(from, Message::Committed(claim));
        }
        if let Some(prepared) = self.volatile.prepared.clone().filter(|_| votes) {
            cx.send(from, Message::Prepared(prepared));
        }
    }

    /// Decides everything up to this index, in order.
    pub(super) fn commit_to(&mut self, index: u64, cx: &mut Cx<'_>) {
        if index <= self.volatile.commit {
            return;
        }
        while self.volatile.commit < index {
            let next = self.volatile.commit + 1;
            let batch = self.batch_at(next);
            cx.decide(next, &batch);
            self.volatile.mempool.settle(&batch);
            self.volatile.commit = next;
            if !self.nested {
                self.praise_leader();
            }
            let entry = self.durable.log.entry(next);
            if let Some(evidence) = entry.and_then(|entry| entry.content.exclude.clone()) {
                self.exclude(&evidence, cx);
            }
        }
        self.volatile.failed = 0;
        self.volatile.progressed = cx.now();
        self.volatile.watch.decided(index);
        self.volatile.room_grew = true;
        if self.config.profile == Profile::Sync {
            let decided = |(acked, _): &(u64, _)| *acked <= index;
            while self.volatile.acked.front().is_some_and(decided) {
                self.volatile.acked.pop_front();
            }
            let first = self
                .leader()
                .is_some_and(|l| !std::mem::replace(&mut l.confirmed, true));
            if first {
                self.report_lead(cx);
            }
        }
    }

    /// Compacts the log. What a compaction forgets is in the ledger, and on disk there: nothing
    /// needs to be written for it. It is done before a step, and never in the step that decides:
    /// a crash may end that step before all that it has decided is executed.
    pub(super) fn forget(&mut self) {
        let keep = self.config.compact_after;
        let spare = self.volatile.commit.saturating_sub(keep);
        let spare = spare.min(self.volatile.written);
        if !self.nested && keep > 0 && spare > self.durable.log.base().index {
            self.durable.log.compact(spare);
        }
    }
}
