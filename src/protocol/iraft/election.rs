//! Elections: time-outs, shares of the evidence that no leader lives, votes, and a leader that
//! checks whether it is still heard.

use std::sync::Arc;

use super::evidence::Evidence;
use super::leader::Leader;
use super::message::{
    Backed, Backing, Message, Opening, PreVote, PreVoteReply, Vote, VoteReply, Warrant,
};
use super::rank::{is_candidate, rank};
use super::statement::{Ballot, Mark, Share, Standing};
use super::trust::Class;
use super::{Cx, Iraft, Mutant, Profile, Role, Timer};
use crate::base::crypto::{Certificate, Signed};
use crate::base::node::NodeId;
use crate::base::time::Span;
use crate::protocol::tally::{Counted, Tally};
use crate::protocol::{Offence, Report};

impl Iraft {
    pub(super) fn on_election_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.leads() {
            self.check_quorum(cx);
            return;
        }
        let term = self.next_term();
        let wait = self.turn_of(term, &self.standing(), cx.me());
        let due = self.volatile.rested + self.volatile.timeout + wait;
        if cx.now() < due {
            cx.set_timer(Timer::Election, due - cx.now());
            self.look_behind(cx);
            return;
        }
        if let Some(leader) = self.volatile.leader.take() {
            self.suspect(leader, Offence::Silence, cx);
        }
        if let Some(vote) = self.volatile.lazy.take() {
            self.rest(cx);
            self.vote_at_last(&vote, cx);
            return;
        }
        let stands = self.is_member(cx.me()) && self.may_be_candidate(term, cx.me());
        let asked = matches!(self.volatile.role, Role::PreCandidate(..));
        if asked || !stands {
            // The others still follow the leader that was given up: rather him than nobody. In
            // `sync` he is not followed again, and they have to be convinced.
            if self.config.profile != Profile::Sync {
                self.volatile.abandoned = false;
            } else if self.volatile.abandoned {
                self.pass_complaints_on(cx);
            }
            self.ask_in_vain(cx);
        }
        if !stands {
            self.volatile.skipped += 1;
            self.rest(cx);
            return;
        }
        self.ask(term, cx);
    }

    /// The term this replica would stand for.
    fn next_term(&self) -> u64 {
        let mut hints = self.volatile.hints.clone();
        hints.sort_unstable_by(|a, b| b.cmp(a));
        // One honest member at least has spoken of this term.
        let trusted = (hints.len() - 1) / 3;
        self.durable.term.max(hints[trusted]) + 1 + self.volatile.skipped
    }

    /// Asks everybody whether the term may begin.
    fn ask(&mut self, term: u64, cx: &mut Cx<'_>) {
        self.rest(cx);
        self.volatile.role = Role::PreCandidate(term, Tally::new());
        let mark = self.standing();
        let ask = PreVote { term, mark };
        cx.broadcast(&self.setup.committee, Message::PreVote(ask));
        let own = cx.sign(Share { term });
        self.count_share(&own, cx);
    }

    pub(super) fn on_pre_vote(&mut self, from: NodeId, vote: &PreVote, cx: &mut Cx<'_>) {
        let given = (self.durable.term + 1..self.terms.end).contains(&vote.term)
            && self.is_electable(from)
            && self.misses_leader(vote.term, &vote.mark, from, cx)
            && self.binds(&vote.mark);
        let share = given.then(|| cx.sign(Share { term: vote.term }));
        // Too few may be in this term for others to believe their words, and too many to do
        // without.
        let stale = vote.term <= self.durable.term && !self.broken(Mutant::RefuseWithoutReason);
        let reply = PreVoteReply {
            term: self.durable.term,
            asked: vote.term,
            share,
            warrant: self.durable.warrant.clone().filter(|_| stale),
        };
        cx.send(from, Message::PreVoteReply(reply));
    }

    pub(super) fn on_pre_vote_reply(
        &mut self,
        from: NodeId,
        reply: &PreVoteReply,
        cx: &mut Cx<'_>,
    ) {
        let Some(share) = &reply.share else {
            self.on_warrant(from, reply.term, reply.warrant.as_ref(), cx);
            return;
        };
        if share.by() == from && share.verify(cx.keyring()) {
            self.count_share(share, cx);
        }
    }

    fn count_share(&mut self, share: &Signed<Share>, cx: &mut Cx<'_>) {
        let quorum = self.quorum();
        let member = self.is_member(share.by());
        let Role::PreCandidate(term, shares) = &mut self.volatile.role else {
            return;
        };
        if !member || share.body().term != *term {
            return;
        }
        if shares.count(share, &self.setup.committee) == Counted::Fresh(quorum) {
            let opening = shares.take(share.body());
            let opening = self.backed(opening.expect("it was just counted"));
            self.stand(opening, cx);
        }
    }

    /// Enters the next term and asks everybody for a vote.
    fn stand(&mut self, opening: Arc<Opening>, cx: &mut Cx<'_>) {
        let term = opening.certificate.body().term;
        self.follow(term, Some(Warrant::Dead(opening.clone())), cx);
        self.return_to_branch(cx);
        let mark = self.standing();
        let ballot = cx.sign(Ballot {
            term,
            candidate: cx.me(),
            mark,
        });
        let standing = cx.sign(Standing { term, mark });
        self.durable.voted = Some((ballot.clone(), standing));
        self.volatile.dirty = true;
        self.sync(cx);
        self.volatile.role = Role::Candidate(Tally::new());
        let vote = Vote {
            ballot: ballot.clone(),
            opening: self.config.dead_proof.then_some(opening),
            backing: self.backing(),
        };
        cx.broadcast(&self.setup.committee, Message::Vote(Box::new(vote)));
        self.count_ballot(&ballot, cx);
    }

    /// What proves how far this replica has come.
    fn backing(&self) -> Backing {
        if self.config.two_rounds() {
            let lock = self.durable.lock.clone();
            return lock.map_or(Backing::Genesis, Backing::Certified);
        }
        let head = self.durable.log.last_header().cloned();
        head.map_or(Backing::Genesis, Backing::Head)
    }

    /// Whether a mark is what its backing says.
    fn proves(&self, backing: &Backing, ballot: &Ballot, cx: &Cx<'_>) -> bool {
        let mark = &ballot.mark;
        match backing {
            Backing::Genesis => *mark == self.origin(),
            Backing::Head(header) => {
                !self.config.two_rounds()
                    && header.body().mark() == *mark
                    && mark.term < ballot.term
                    && self.setup.committee.contains(header.by())
                    && header.verify(cx.keyring())
            }
            Backing::Certified(certificate) => {
                certificate.body().mark() == *mark
                    && mark.term < ballot.term
                    && self.suffices(certificate, cx)
            }
        }
    }

    pub(super) fn on_vote(&mut self, from: NodeId, vote: &Vote, cx: &mut Cx<'_>) {
        let ballot = *vote.ballot.body();
        let own = vote.ballot.by() == from && ballot.candidate == from;
        if !own || !self.is_electable(from) || !vote.ballot.verify(cx.keyring()) {
            return;
        }
        if ballot.term < self.durable.term {
            self.answer_vote(vote, cx);
            return;
        }
        if let Some(opening) = &vote.opening {
            self.learn(&opening.evidence, cx);
        }
        if !self.opens(vote, cx) || !self.proves(&vote.backing, &ballot, cx) {
            self.suspect(from, Offence::Disruption, cx);
            return;
        }
        if ballot.term > self.durable.term
            && !self.misses_leader(ballot.term, &ballot.mark, from, cx)
        {
            let kept = self.volatile.lazy.as_ref().map(|vote| *vote.ballot.body());
            if self.config.lazy_votes && kept.is_none_or(|kept| kept.term < ballot.term) {
                self.volatile.lazy = Some(Box::new(vote.clone()));
            }
            self.answer_vote(vote, cx);
            return;
        }
        self.enter_and_vote(vote, cx);
    }

    /// Whether the request proves that its term may begin.
    fn opens(&self, vote: &Vote, cx: &Cx<'_>) -> bool {
        let proof = vote.opening.as_ref();
        let proof = proof.map(|proof| &proof.certificate);
        let proof = proof.filter(|proof| proof.body().term == vote.ballot.body().term);
        !self.config.dead_proof || proof.is_some_and(|proof| self.suffices(proof, cx))
    }

    /// Gives a vote that was kept until this replica missed its leader too.
    fn vote_at_last(&mut self, vote: &Vote, cx: &mut Cx<'_>) {
        if self.is_electable(vote.ballot.by()) {
            cx.report(Report::Reached("a lazy vote is given"));
            self.enter_and_vote(vote, cx);
        }
    }

    fn enter_and_vote(&mut self, vote: &Vote, cx: &mut Cx<'_>) {
        let term = vote.ballot.body().term;
        if term > self.durable.term {
            self.follow(term, vote.opening.clone().map(Warrant::Dead), cx);
        }
        self.answer_vote(vote, cx);
    }

    fn answer_vote(&mut self, vote: &Vote, cx: &mut Cx<'_>) {
        let asked = *vote.ballot.body();
        let free = asked.term == self.durable.term && self.is_member(cx.me());
        let given = self
            .durable
            .voted
            .as_ref()
            .map(|(ballot, _)| *ballot.body());
        if free && given.is_none() && self.binds(&asked.mark) {
            let ignores = self.broken(Mutant::IgnorePreparedCertificate);
            let mark = if ignores { asked.mark } else { self.standing() };
            let term = asked.term;
            let ballot = cx.sign(asked);
            self.durable.voted = Some((ballot, cx.sign(Standing { term, mark })));
            self.volatile.dirty = true;
            self.volatile.rested = cx.now();
        }
        // The same words as before, if it was given before: what is said twice is said alike.
        let grant = self
            .durable
            .voted
            .clone()
            .filter(|(ballot, _)| asked.term == self.durable.term && *ballot.body() == asked);
        let reply = VoteReply {
            term: self.durable.term,
            asked,
            grant,
        };
        if !self.broken(Mutant::VotePersistLate) {
            self.sync(cx);
        }
        cx.send(asked.candidate, Message::VoteReply(Box::new(reply)));
    }

    pub(super) fn on_vote_reply(&mut self, from: NodeId, reply: &VoteReply, cx: &mut Cx<'_>) {
        let Some((ballot, standing)) = &reply.grant else {
            self.on_warrant(from, reply.term, None, cx);
            return;
        };
        let genuine = ballot.by() == from
            && standing.by() == from
            && ballot.verify(cx.keyring())
            && standing.verify(cx.keyring());
        if !genuine || ballot.body().candidate != cx.me() {
            return;
        }
        self.judge_ballot(ballot, Some(standing), cx);
        if ballot.body().term == self.durable.term {
            self.volatile.ballots.insert(from, ballot.clone());
            self.count_ballot(ballot, cx);
        }
    }

    /// Counts a vote, each voter once.
    fn count_ballot(&mut self, ballot: &Signed<Ballot>, cx: &mut Cx<'_>) {
        let quorum = self.quorum();
        let asked = self.durable.voted.as_ref().map(|(own, _)| *own.body());
        let counts = self.is_member(ballot.by()) && asked == Some(*ballot.body());
        let Role::Candidate(votes) = &mut self.volatile.role else {
            return;
        };
        if !counts {
            return;
        }
        if votes.count(ballot, &self.setup.committee) == Counted::Fresh(quorum) {
            let certificate = votes.take(ballot.body());
            self.lead(certificate.expect("it was just counted"), cx);
        }
    }

    /// Leads the term it was elected in.
    fn lead(&mut self, certificate: Certificate<Ballot>, cx: &mut Cx<'_>) {
        let election = self.backed(certificate);
        let last = self.durable.log.last_index();
        let leader = Leader::new(&self.setup.committee, last, cx.now());
        self.volatile.role = Role::Leader(Box::new(leader));
        self.volatile.leader = Some(cx.me());
        self.durable.warrant = Some(Warrant::Elected(election.clone()));
        self.volatile.election = Some(election);
        self.volatile.dirty = true;
        self.volatile.audience = None;
        if self.config.profile != Profile::Sync {
            self.report_lead(cx);
        }
        // What earlier leaders proposed is not proposed again.
        for index in self.volatile.commit + 1..=last {
            let batch = self.batch_at(index);
            self.volatile.mempool.note_proposed(&batch);
        }
        cx.set_timer(Timer::Election, self.config.election_timeout[1]);
        cx.set_timer(Timer::Heartbeat, self.config.heartbeat);
        self.greet(cx);
    }

    /// A certificate that was just counted, with the proofs against those who were not.
    fn backed<B>(&self, certificate: Certificate<B>) -> Arc<Backed<B>> {
        Arc::new(Backed {
            evidence: self.exclusions(),
            certificate,
        })
    }

    /// The proofs against those who were excluded, in order.
    pub(super) fn exclusions(&self) -> Vec<Arc<Evidence>> {
        let excluded = self.durable.excluded.iter();
        let proofs = excluded.filter_map(|node| self.durable.convicted.get(node).cloned());
        proofs.collect()
    }

    /// In profile `sync` two leaders of one term may be elected, by a voter that lies: only one
    /// that has decided something is told.
    pub(super) fn report_lead(&self, cx: &mut Cx<'_>) {
        let view = self.durable.term;
        cx.report(Report::Leads { view });
    }

    /// Steps down if no quorum was heard within the longest election time-out.
    fn check_quorum(&mut self, cx: &mut Cx<'_>) {
        let me = self.position(cx.me());
        let others = self.quorum() - 1;
        let Role::Leader(leader) = &self.volatile.role else {
            return;
        };
        let heard = leader.quorum_heard(me, others, cx.now());
        let due = heard + self.config.election_timeout[1];
        if cx.now() < due {
            cx.set_timer(Timer::Election, due - cx.now());
            return;
        }
        cx.report(Report::Reached("a leader that hears no quorum steps down"));
        self.follow(self.durable.term, None, cx);
    }

    /// Whether a leader that comes as far is one that this replica may elect and follow.
    fn binds(&self, mark: &Mark) -> bool {
        mark.is_up_to_date_with(&self.standing()) || self.broken(Mutant::IgnorePreparedCertificate)
    }

    /// Whether this replica misses a leader, and has done so long enough for it to be the
    /// candidate's turn.
    fn misses_leader(&self, term: u64, mark: &Mark, candidate: NodeId, cx: &Cx<'_>) -> bool {
        if self.leads() {
            return false;
        }
        let turn = self.turn_of(term, mark, candidate);
        self.may_be_candidate(term, candidate) && cx.now() >= self.volatile.dead_from + turn
    }

    /// How long after the first one a candidate may stand.
    fn turn_of(&self, term: u64, mark: &Mark, candidate: NodeId) -> Span {
        if self.config.reputation {
            return self.turn_by_trust(term, mark, candidate);
        }
        let strikes = self.volatile.strikes[self.position(candidate)];
        let last = strikes >= self.config.strikes && candidate != self.setup.me;
        let [_, patience] = self.config.election_timeout;
        // The others draw a time-out before they stand, which a liar does not wait for.
        let patience = patience * u64::from(last);
        if self.config.rank_slot == Span::ZERO {
            return patience;
        }
        let members = self.members();
        let place = rank(term, &mark.chain, &members, candidate);
        let behind = if last { members.len() as u64 } else { 0 };
        self.config.rank_slot * (place + behind) + patience
    }

    /// The same by what this replica thinks of the members. What the others think of itself it
    /// does not know.
    fn turn_by_trust(&self, term: u64, mark: &Mark, candidate: NodeId) -> Span {
        let class = |node: NodeId| self.volatile.trust.class(self.position(node));
        let own = class(candidate);
        let (peers, before) =
            self.members()
                .into_iter()
                .fold((Vec::new(), 0), |(mut peers, before), node| {
                    if class(node) == own {
                        peers.push(node);
                    }
                    (peers, before + u64::from(class(node) < own))
                });
        let place = before + rank(term, &mark.chain, &peers, candidate);
        let distrusted = own == Class::Untrusted && candidate != self.setup.me;
        let [_, patience] = self.config.election_timeout;
        self.config.rank_slot * place + patience * u64::from(distrusted)
    }

    fn may_be_candidate(&self, term: u64, candidate: NodeId) -> bool {
        let most = self.config.candidates_max;
        most == 0 || is_candidate(term, &self.members(), candidate, most)
    }

    /// Whether this replica would vote for the node at all.
    fn is_electable(&self, node: NodeId) -> bool {
        self.is_member(node) && !self.is_distrusted(node)
    }

    /// Notes a term that a member speaks of without proof.
    fn hint(&mut self, from: NodeId, term: u64) {
        let position = self.position(from);
        let known = &mut self.volatile.hints[position];
        *known = (*known).max(term).min(TERM_MAX);
    }

    /// Enters a later term if it is proven that it has begun, or if proofs are not asked for.
    pub(super) fn on_warrant(
        &mut self,
        from: NodeId,
        term: u64,
        warrant: Option<&Warrant>,
        cx: &mut Cx<'_>,
    ) {
        self.hint(from, term);
        if term <= self.durable.term || term >= self.terms.end {
            return;
        }
        let trusts = self.config.believes_terms();
        let proven = warrant.is_some_and(|warrant| match warrant {
            Warrant::Dead(opening) => {
                self.learn(&opening.evidence, cx);
                self.suffices(&opening.certificate, cx)
            }
            Warrant::Elected(election) => {
                self.learn(&election.evidence, cx);
                self.suffices(&election.certificate, cx)
            }
        });
        if trusts || (proven && warrant.is_some_and(|warrant| warrant.term() == term)) {
            self.follow(term, warrant.cloned(), cx);
        }
    }

    /// Whether enough members have signed, of those who may count.
    pub(super) fn suffices<B: crate::base::crypto::Body>(
        &self,
        certificate: &Certificate<B>,
        cx: &Cx<'_>,
    ) -> bool {
        let convicted = self.durable.convicted.keys().copied();
        self.judge(cx).suffices(certificate, convicted)
    }
}

/// Terms beyond this are nonsense: nobody counts so far.
pub(super) const TERM_MAX: u64 = 1 << 60;
