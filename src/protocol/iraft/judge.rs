//! Identification: what is signed is compared with what was signed before, and what contradicts
//! itself convicts.

use std::sync::Arc;

use super::evidence::{
    Evidence, Witness, acks_conflict, ballots_conflict, headers_conflict_by, verify_evidence,
};
use super::message::{Election, Message};
use super::statement::{Ack, Ballot, Header, Stage, Standing};
use super::{Config, Content, Cx, Iraft, Mutant, Profile, Role, Timer};
use crate::base::crypto::{Body, Certificate, Keyring, Signed};
use crate::base::node::{Committee, NodeId};
use crate::base::time::Span;
use crate::protocol::Report;
use crate::protocol::places::Places;
use crate::protocol::tally::{Counted, Tally};

/// What members have signed in the present term, by place.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    headers: Places<Signed<Header>>,
    pub prepares: Places<Tally<Ack>>,
    pub commits: Places<Tally<Ack>>,
}

/// Decided places that are still watched: a contradiction may come late.
const WATCHED: u64 = 64;
/// Places beyond those held that are watched at most: nobody fills a memory with votes.
const AHEAD_MAX: u64 = 4096;

impl Watch {
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Everything up to here is decided.
    pub fn decided(&mut self, index: u64) {
        let from = index.saturating_sub(WATCHED);
        self.headers.forget_before(from);
        self.prepares.forget_before(from);
        self.commits.forget_before(from);
    }

    /// The votes of a round.
    pub fn votes(&self, stage: Stage) -> &Places<Tally<Ack>> {
        match stage {
            Stage::Prepare => &self.prepares,
            Stage::Commit => &self.commits,
        }
    }

    fn votes_mut(&mut self, stage: Stage) -> &mut Places<Tally<Ack>> {
        match stage {
            Stage::Prepare => &mut self.prepares,
            Stage::Commit => &mut self.commits,
        }
    }
}

/// What it takes to weigh signatures.
pub(super) struct Judge<'a> {
    pub config: &'a Config,
    pub committee: &'a Committee,
    pub keyring: &'a Keyring,
}

impl Judge<'_> {
    /// Whether the signers are a quorum. Those who are proven to lie need not be among them: their
    /// exclusion may be committed where the certificate was made. That is safe, because among the
    /// others there are as many fewer who may lie.
    pub fn suffices<B: Body>(
        &self,
        certificate: &Certificate<B>,
        convicted: impl Iterator<Item = NodeId>,
    ) -> bool {
        let n = self.committee.n();
        let positions = certificate.positions();
        let (mut absent, mut present) = (0, 0);
        for position in convicted.filter_map(|node| self.committee.position(node)) {
            if positions.contains(position) {
                present += 1;
            } else {
                absent += 1;
            }
        }
        let least = self.config.members_min(n).min(n);
        let quorum = |without: usize| self.config.quorum_of((n - without).max(least));
        let signers = certificate.signers();
        let enough = signers >= quorum(absent) || signers - present >= quorum(absent + present);
        enough && certificate.verify(self.committee, 1, self.keyring)
    }
}

impl Iraft {
    pub(super) fn judge<'a>(&'a self, cx: &'a Cx<'_>) -> Judge<'a> {
        Judge {
            config: &self.config,
            committee: &self.setup.committee,
            keyring: cx.keyring(),
        }
    }

    /// Compares a leader's header, whose signature is verified, with those seen before and with
    /// the log.
    pub(super) fn judge_header(&mut self, header: &Signed<Header>, cx: &mut Cx<'_>) {
        let index = header.body().index;
        let present = header.body().term == self.durable.term;
        let near = index.saturating_sub(1)..=index.saturating_add(1);
        let seen = self.volatile.watch.headers.from(*near.start());
        let seen = seen.take_while(|(place, _)| near.contains(place));
        let held = near
            .clone()
            .filter_map(|place| self.durable.log.header(place));
        let liar = |other: &&Signed<Header>| {
            other.by() == header.by() && self.conflict(other.body(), header.body())
        };
        let contradiction = seen.map(|(_, seen)| seen).chain(held).find(liar).cloned();
        if let Some(other) = contradiction {
            self.accuse(Evidence::Equivocation(other, header.clone()), cx);
        }
        if present && index <= self.watched_to() {
            let headers = &mut self.volatile.watch.headers;
            headers.get_or_insert_with(index, || header.clone());
        }
    }

    /// The last place that is watched. After a crash a nested replica holds more than it knows to
    /// be decided, and that is decided by what follows on it.
    fn watched_to(&self) -> u64 {
        self.durable.log.last_index() + AHEAD_MAX
    }

    fn conflict(&self, a: &Header, b: &Header) -> bool {
        if self.broken(Mutant::EvidenceWrongTerm) && a.index == b.index && a != b {
            return true;
        }
        headers_conflict_by(|header| self.durable.log.chain_of(header), a, b)
    }

    /// Counts a vote on an entry, whose signature is verified, and compares it with those before.
    /// Whether it is news.
    pub(super) fn judge_ack(&mut self, ack: &Signed<Ack>, cx: &mut Cx<'_>) -> bool {
        let Ack {
            stage, term, index, ..
        } = *ack.body();
        let first = self.volatile.commit.saturating_sub(WATCHED);
        let known = (first..=self.watched_to()).contains(&index);
        if term != self.durable.term || !known || !self.is_member(ack.by()) {
            return false;
        }
        let votes = self.volatile.watch.votes_mut(stage);
        let tally = votes.get_or_insert_with(index, Tally::default);
        match tally.count(ack, &self.setup.committee) {
            Counted::Fresh(_) => true,
            Counted::Repeated | Counted::Stranger => false,
            Counted::Conflict => {
                let position = self.setup.committee.position(ack.by());
                let given = position.and_then(|position| tally.given_by(position));
                let given = given.expect("a conflict is with an earlier vote").clone();
                if acks_conflict(given.body(), ack.body()) {
                    let given = Witness::Part(Arc::new(given), ack.by());
                    self.accuse(Evidence::DoubleAck(given, Witness::Word(ack.clone())), cx);
                }
                false
            }
        }
    }

    /// Compares the votes that a certificate, which is verified, stands for with those that were
    /// given here.
    pub(super) fn judge_certificate(
        &mut self,
        certificate: &Arc<Certificate<Ack>>,
        cx: &mut Cx<'_>,
    ) {
        let claimed = *certificate.body();
        let votes = self.volatile.watch.votes(claimed.stage);
        let Some(tally) = votes.get(claimed.index) else {
            return;
        };
        let mut twice = Vec::new();
        for position in certificate.positions().iter() {
            let given = tally.given_by(position);
            if let Some(given) = given.filter(|given| acks_conflict(given.body(), &claimed))
                && let Some(&voter) = self.setup.committee.members().get(position)
            {
                let given = Witness::Part(Arc::new(given.clone()), voter);
                let part = Witness::Part(certificate.clone(), voter);
                twice.push(Evidence::DoubleAck(given, part));
            }
        }
        for evidence in twice {
            self.accuse(evidence, cx);
        }
    }

    /// Compares a vote for this replica with what its voter says of itself, with its promises, and
    /// with the votes for whoever was elected.
    pub(super) fn judge_ballot(
        &mut self,
        ballot: &Signed<Ballot>,
        standing: Option<&Signed<Standing>>,
        cx: &mut Cx<'_>,
    ) {
        let word = Witness::Word(ballot.clone());
        if let Some(standing) = standing {
            let (given, own) = (ballot.body(), standing.body());
            if given.term == own.term && !given.mark.is_up_to_date_with(&own.mark) {
                self.accuse(Evidence::BlindVote(word.clone(), standing.clone()), cx);
            }
        }
        let Some(position) = self.setup.committee.position(ballot.by()) else {
            return;
        };
        if let Some(lock) = self.durable.lock.clone() {
            let promised = lock.body().stage == Stage::Commit
                && lock.positions().contains(position)
                && ballot.body().term > lock.body().term
                && !ballot.body().mark.is_up_to_date_with(&lock.body().mark());
            if promised {
                let promise = Witness::Part(lock, ballot.by());
                self.accuse(Evidence::BrokenLock(promise, word.clone()), cx);
            }
        }
        if let Some(election) = self.volatile.election.clone() {
            let elected = &election.certificate;
            if elected.positions().contains(position)
                && ballots_conflict(elected.body(), ballot.body())
            {
                let part = Witness::Part(Arc::new(elected.clone()), ballot.by());
                self.accuse(Evidence::DoubleVote(word, part), cx);
            }
        }
    }

    /// Compares the votes for whoever was elected with those for this replica, and with those for
    /// another leader of the same term.
    pub(super) fn judge_election(&mut self, election: &Arc<Election>, cx: &mut Cx<'_>) {
        let certificate = Arc::new(election.certificate.clone());
        let mut twice = Vec::new();
        for position in certificate.positions().iter() {
            let Some(&voter) = self.setup.committee.members().get(position) else {
                continue;
            };
            let part = Witness::Part(certificate.clone(), voter);
            let word = self.volatile.ballots.get(&voter).cloned();
            let word = word.map(Witness::Word);
            let other = self
                .volatile
                .election
                .as_ref()
                .filter(|other| other.certificate.positions().contains(position));
            let other = other.map(|o| Witness::Part(Arc::new(o.certificate.clone()), voter));
            for witness in word.into_iter().chain(other) {
                if ballots_conflict(witness.body(), part.body()) {
                    twice.push(Evidence::DoubleVote(witness, part.clone()));
                }
            }
        }
        for evidence in twice {
            self.accuse(evidence, cx);
        }
    }

    /// An entry of a header that no honest leader signs convicts its leader.
    pub(super) fn judge_content(
        &mut self,
        header: &Signed<Header>,
        content: &Content,
        cx: &mut Cx<'_>,
    ) -> bool {
        let flawed = content.is_flawed(cx.keyring(), &self.setup.committee);
        if flawed {
            let evidence = Evidence::BadPayload(header.clone(), content.clone());
            self.accuse(evidence, cx);
        }
        flawed
    }

    pub(super) fn on_evidence(&mut self, evidence: &Arc<Evidence>, cx: &mut Cx<'_>) {
        self.learn(std::slice::from_ref(evidence), cx);
    }

    /// Takes note of proofs that others found.
    pub(super) fn learn(&mut self, proofs: &[Arc<Evidence>], cx: &mut Cx<'_>) {
        for evidence in proofs {
            self.weigh(evidence, cx);
        }
    }

    fn accuse(&mut self, evidence: Evidence, cx: &mut Cx<'_>) {
        self.weigh(&Arc::new(evidence), cx);
    }

    /// Convicts whom the evidence proves to lie, once, and passes it on.
    fn weigh(&mut self, evidence: &Arc<Evidence>, cx: &mut Cx<'_>) {
        let known = self.durable.convicted.contains_key(&evidence.culprit());
        if known || !self.config.identify || self.broken(Mutant::NeverConvict) {
            return;
        }
        let Some(culprit) = self.verdict(evidence, cx) else {
            return;
        };
        self.durable.convicted.insert(culprit, evidence.clone());
        self.volatile.dirty = true;
        if culprit == cx.me() {
            // Nobody passes on what convicts himself, but counts as the others will.
            return;
        }
        self.sync(cx);
        let offence = evidence.offence();
        cx.report(Report::Accuses { culprit, offence });
        cx.broadcast(&self.setup.committee, Message::Evidence(evidence.clone()));
        self.shun(culprit, cx);
    }

    /// Shows everybody again who of the present members is convicted: others may have missed it.
    pub(super) fn pass_proofs_on(&self, cx: &mut Cx<'_>) {
        for (culprit, evidence) in &self.durable.convicted {
            let other = self.is_member(*culprit) && *culprit != cx.me();
            if other && !self.broken(Mutant::ShowProofsOnce) {
                cx.broadcast(&self.setup.committee, Message::Evidence(evidence.clone()));
            }
        }
    }

    /// Whether evidence is of statements made in this instance: of others it may be nothing more
    /// than that its members were others.
    fn concerns(&self, evidence: &Evidence) -> bool {
        let mut terms = evidence.terms().into_iter();
        terms.all(|term| self.terms.contains(&term))
    }

    #[cfg(any(test, feature = "mutants"))]
    fn verdict(&self, evidence: &Evidence, cx: &Cx<'_>) -> Option<NodeId> {
        let committee = &self.setup.committee;
        if self.broken(Mutant::ConvictWithoutSignatureCheck) {
            return super::evidence::believe_evidence(evidence, cx.keyring(), committee);
        }
        if self.broken(Mutant::EvidenceWrongTerm)
            && let Evidence::Equivocation(a, b) = evidence
        {
            return (a.by() == b.by()).then_some(a.by());
        }
        let own = self.concerns(evidence);
        verify_evidence(evidence, cx.keyring(), committee).filter(|_| own)
    }

    #[cfg(not(any(test, feature = "mutants")))]
    fn verdict(&self, evidence: &Evidence, cx: &Cx<'_>) -> Option<NodeId> {
        let own = self.concerns(evidence);
        verify_evidence(evidence, cx.keyring(), &self.setup.committee).filter(|_| own)
    }

    /// Follows the convicted no more: what it leads, another one has to.
    fn shun(&mut self, culprit: NodeId, cx: &mut Cx<'_>) {
        if self
            .volatile
            .lazy
            .as_ref()
            .is_some_and(|vote| vote.ballot.by() == culprit)
        {
            self.volatile.lazy = None;
        }
        if self.volatile.leader == Some(culprit) {
            self.abandon_leader(cx);
        } else if self.leads() {
            self.volatile.room_grew = true;
        }
    }

    /// Gives up this term's leader, and stands or votes for another one soon.
    pub(super) fn abandon_leader(&mut self, cx: &mut Cx<'_>) {
        if self.leads() {
            self.follow(self.durable.term, None, cx);
        }
        self.volatile.role = Role::Follower;
        self.volatile.leader = None;
        self.volatile.abandoned = true;
        self.volatile.dead_from = cx.now();
        if self.config.profile == Profile::Sync {
            // Nothing of this leader is decided any more by waiting.
            self.volatile.acked.clear();
        }
        let high = self.config.election_timeout[0];
        let low = Span::from_nanos(high.nanos() / 10);
        self.volatile.rested = cx.now();
        self.volatile.timeout = cx.between(low, high);
        cx.set_timer(Timer::Election, self.volatile.timeout);
    }

    /// A content that excludes the first of the convicted who still belongs to the group, if the
    /// group can spare it and the time has come: after an entry of this leader's own term is
    /// decided, and one exclusion at a time.
    pub(super) fn next_exclusion(&self) -> Option<Content> {
        let n = self.setup.committee.n();
        let left = n - self.durable.excluded.len();
        if !self.config.exclude || left <= self.config.members_min(n) {
            return None;
        }
        let log = &self.durable.log;
        let commit = self.volatile.commit;
        if log.term(commit) != Some(self.durable.term) {
            return None;
        }
        let excludes = |index| {
            log.entry(index)
                .is_some_and(|e| e.content.exclude.is_some())
        };
        if (commit + 1..=log.last_index()).any(excludes) {
            return None;
        }
        let mut convicted = self.durable.convicted.iter();
        let next = convicted.find(|(node, _)| self.is_member(**node))?;
        Some(Content::excluding(next.1.clone()))
    }

    /// An exclusion is committed: from here on it counts.
    pub(super) fn exclude(&mut self, evidence: &Arc<Evidence>, cx: &mut Cx<'_>) {
        let n = self.setup.committee.n();
        let left = n - self.durable.excluded.len();
        let culprit = evidence.culprit();
        if !self.is_member(culprit) || left <= self.config.members_min(n) {
            return;
        }
        self.learn(std::slice::from_ref(evidence), cx);
        self.durable.excluded.push(culprit);
        self.volatile.dirty = true;
        self.volatile.audience = None;
        cx.report(Report::Reached("a convicted member is excluded"));
        if culprit == cx.me() && self.leads() {
            self.follow(self.durable.term, None, cx);
        }
    }
}
