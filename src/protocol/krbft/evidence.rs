//! What convicts a leader by its own signatures, so that anybody can check it who knows the keys
//! and the groups. Each proof rests on the culprit's words alone: however many lie with or against
//! it, who has kept to the protocol has never signed them.

use std::sync::Arc;

use super::config::Mutant;
use super::message::{Delivery, GroupBlock, Message, Proven};
use super::{Cx, Krbft};
use crate::base::crypto::{Certificate, Signed, Voice};
use crate::base::node::{Committee, NodeId};
use crate::protocol::pbft::{Phase, Vote};
use crate::protocol::{Offence, Report, pbft};

/// Two signed things that nobody says who is honest.
#[derive(Clone, Debug)]
pub enum Exposure {
    /// Two words of one leader about one place.
    Words([Signed<Delivery>; 2]),
    /// A leader's word that names a certificate, and that certificate, which proves another thing.
    Certificate(Signed<Delivery>, Arc<Certificate<Vote>>),
    /// Two votes of one seat for one place in one view and phase, with the same member's voice in
    /// both.
    Votes([Signed<Vote>; 2]),
}

impl Exposure {
    /// Whether this is said of a node by itself.
    fn proves(&self, culprit: NodeId, replica: &Krbft, cx: &Cx<'_>) -> bool {
        let keyring = cx.keyring();
        match self {
            Self::Words([one, other]) => {
                one.by() == culprit
                    && contradicts(one, other)
                    && one.verify(keyring)
                    && other.verify(keyring)
            }
            Self::Certificate(word, proof) => {
                let body = word.body();
                word.by() == culprit
                    && body.proof == Some(proof.digest())
                    && word.verify(keyring)
                    && !replica.is_certified(body.height, &body.digest, proof, cx)
            }
            Self::Votes([one, other]) => {
                one.body().contradicts(other.body())
                    && keyring.hears_in(culprit, one)
                    && (keyring.hears_in(culprit, other)
                        || replica.config.broken(Mutant::SeatsAreGuilty))
            }
        }
    }

    /// Whom it is about.
    fn culprit(&self) -> Option<NodeId> {
        match self {
            Self::Words([word, _]) | Self::Certificate(word, _) => Some(word.by()),
            Self::Votes([vote, _]) => Some(vote.voices().first()?.by()),
        }
    }

    const fn offence(&self) -> Offence {
        match self {
            Self::Words(_) => Offence::Equivocation,
            Self::Certificate(..) => Offence::FalseCertificate,
            Self::Votes(_) => Offence::FalseVote,
        }
    }
}

impl Krbft {
    /// Shows everybody what convicts a liar, and acts upon it.
    pub(super) fn expose(&mut self, exposure: &Exposure, cx: &mut Cx<'_>) {
        if let Some(culprit) = self.proven_culprit(exposure, cx) {
            let told = self.bound(Message::Exposure(Box::new(exposure.clone())));
            cx.broadcast(&self.setup.committee, told);
            self.convict(culprit, exposure, cx);
        }
    }

    /// Somebody shows that a leader or a member has lied.
    pub(super) fn on_exposure(&mut self, exposure: &Exposure, cx: &mut Cx<'_>) {
        if let Some(culprit) = self.proven_culprit(exposure, cx) {
            self.convict(culprit, exposure, cx);
        }
    }

    /// Who is convicted by something, and was not before.
    fn proven_culprit(&self, exposure: &Exposure, cx: &Cx<'_>) -> Option<NodeId> {
        let fresh = |node: &NodeId| !self.durable.convicted.contains_key(node);
        let culprit = exposure.culprit().filter(fresh)?;
        exposure.proves(culprit, self, cx).then_some(culprit)
    }

    fn convict(&mut self, culprit: NodeId, exposure: &Exposure, cx: &mut Cx<'_>) {
        self.durable.convicted.insert(culprit, exposure.clone());
        self.disown(culprit, exposure.offence(), cx);
    }

    /// Somebody convicted or found leads all the same, perhaps because members of its group
    /// were down when the proof or the finding was shown: they are shown it again.
    pub(super) fn remind(&mut self, group: usize, leader: NodeId, cx: &mut Cx<'_>) {
        let convicted = self.durable.convicted.get(&leader);
        let proof = convicted.map(|proof| Message::Exposure(Box::new(proof.clone())));
        let found = self.durable.found.get(&leader);
        let finding = found.map(|finding| Message::Finding(Box::new(finding.clone())));
        let Some(told) = proof.or(finding) else {
            return;
        };
        let last = self.volatile.reminded.get(&leader);
        let lately = last.is_some_and(|last| cx.now() < *last + self.config.council_refresh);
        if lately || self.config.broken(Mutant::NeverRemind) {
            return;
        }
        self.volatile.reminded.insert(leader, cx.now());
        cx.report(Report::Reached(
            "a group is reminded that its leader has lied",
        ));
        cx.broadcast(&self.seats.groups()[group], self.bound(told));
    }

    /// Names a leader, and has its group choose another one. Nobody lets it lead again.
    pub(super) fn disown(&mut self, culprit: NodeId, offence: Offence, cx: &mut Cx<'_>) {
        let known = self.durable.disowned.contains(&culprit);
        if known && !offence.is_proof() {
            return;
        }
        if !known {
            self.durable.disowned.push(culprit);
        }
        cx.report(Report::Accuses { culprit, offence });
        cx.persist();
        self.bar(culprit, cx);
    }

    /// A leader hands over a block: its word names the certificate that comes with it, so if that
    /// proves another block, the word convicts the leader. Whether it proves this one.
    pub(super) fn judge_block(&mut self, told: &GroupBlock, cx: &mut Cx<'_>) -> bool {
        let body = told.statement.body();
        let Some(proof) = &told.block.proof else {
            return false;
        };
        let certified = self.is_certified(body.height, &body.digest, proof, cx);
        if !certified && !self.config.broken(Mutant::FollowersTrustLeader) {
            let exposure = Exposure::Certificate(told.statement.clone(), proof.clone());
            self.expose(&exposure, cx);
        }
        certified
    }

    /// A leader speaks in the committee: its seat's votes are compared with those heard before.
    /// One without the voices that it needs is a draft, and drafts go to members only. Whoever is
    /// sent one asks all that may have heard another.
    pub(super) fn judge_votes(&mut self, from: NodeId, message: &pbft::Message, cx: &mut Cx<'_>) {
        for vote in message.votes() {
            let Some(group) = self.seats.group(vote.by()) else {
                continue;
            };
            if !self.hear_vote(vote, cx) {
                continue;
            }
            if vote.voices().len() < self.seats.voices(group) {
                if cx.keyring().hears_in(from, vote) {
                    self.echo(group, vote, cx);
                }
                continue;
            }
            if !(self.config.certifies() || self.config.supervision) {
                continue;
            }
            let committee = self.seats.committee();
            let doubtful = self.volatile.votes.doubtful_proposal(vote, &committee);
            if let Some(proposal) = doubtful {
                let primary = self.seats.group(proposal.by()).unwrap_or(0);
                self.echo(primary, &proposal, cx);
            }
        }
    }

    /// This replica's leader asks for a voice: witnesses are told first what for.
    pub(super) fn hear_draft(&mut self, leader: NodeId, vote: &Signed<Vote>, cx: &mut Cx<'_>) {
        let fresh = self.hear_vote(vote, cx);
        let witnesses = self.witnesses(leader);
        if let Some(word) = vote
            .voiced_by(leader)
            .filter(|_| fresh && !witnesses.is_empty())
        {
            let told = self.bound(Message::Echo(Box::new(word)));
            cx.broadcast(&Committee::new(witnesses), told);
        }
    }

    /// The members after the leader who are told by this one what the leader says.
    fn witnesses(&self, leader: NodeId) -> Vec<NodeId> {
        let members = self.members();
        let one_honest = members.one_honest();
        let witnesses = self.config.witnesses;
        let mut witnesses = witnesses.after(leader, members.members(), one_honest);
        witnesses.retain(|node| *node != self.setup.me);
        witnesses.sort_unstable();
        witnesses
    }

    /// Compares a seat's vote with what was heard before; whether it is news.
    pub(super) fn hear_vote(&mut self, vote: &Signed<Vote>, cx: &mut Cx<'_>) -> bool {
        let executed = Self::height(cx).saturating_sub(self.base());
        let window = self.config.committee.window;
        let seats = self.seats.groups().len();
        let votes = &mut self.volatile.votes;
        if !votes.hear(vote, executed, window, seats) {
            return false;
        }
        let others = self.volatile.votes.contradicting(vote);
        let proofs: Vec<Exposure> = others.flat_map(|other| self.common(other, vote)).collect();
        for exposure in proofs {
            self.expose(&exposure, cx);
        }
        true
    }

    /// What two votes prove against each member that has put its voice to both.
    fn common(&self, one: &Signed<Vote>, other: &Signed<Vote>) -> Vec<Exposure> {
        if self.config.broken(Mutant::SeatsAreGuilty) {
            return vec![Exposure::Votes([one.clone(), other.clone()])];
        }
        let by = one.voices().iter().map(Voice::by);
        let both = |node| Some([one.voiced_by(node)?, other.voiced_by(node)?]);
        by.filter_map(both).map(Exposure::Votes).collect()
    }

    /// The committee has decided something else in a view than this replica's leader has said
    /// there. Nobody has to have lied but the leader of the view; but if the group's leader has
    /// said both, another member knows.
    pub(super) fn doubt_leader(&mut self, block: &Proven, cx: &mut Cx<'_>) {
        let Some(decided) = block.proof.as_ref().map(|proof| *proof.body()) else {
            return;
        };
        if self.config.broken(Mutant::FollowersTrustLeader) {
            return;
        }
        let votes = &self.volatile.votes;
        let said = |phase| votes.said(self.seat(), (decided.height, decided.view, phase));
        let mut said = [Phase::Prepare, Phase::Commit].into_iter().flat_map(said);
        let other = said.find(|vote| vote.body().digest != decided.digest);
        if let Some(vote) = other.cloned() {
            self.echo(self.mine, &vote, cx);
        }
    }

    /// Somebody asks whether a seat has said another thing.
    pub(super) fn on_echo(&mut self, vote: &Signed<Vote>, cx: &mut Cx<'_>) {
        let group = self.seats.group(vote.by());
        let Some(members) = group.map(|group| &self.seats.groups()[group]) else {
            return;
        };
        let mut voices = vote.voices().iter().map(Voice::by);
        let genuine = |node| members.contains(node) && cx.keyring().hears_in(node, vote);
        if voices.len() > 0 && voices.all(genuine) {
            self.hear_vote(vote, cx);
        }
    }

    /// Asks those who lead, and the members of a group, whether its seat has said another thing.
    fn echo(&self, group: usize, vote: &Signed<Vote>, cx: &mut Cx<'_>) {
        cx.report(Report::Reached("a seat's vote is doubted"));
        let members = self.seats.groups()[group].members().iter();
        let holders = self.durable.council.committee();
        let holders = holders.iter().flat_map(|holders| holders.members());
        let mut asked: Vec<NodeId> = members.chain(holders).copied().collect();
        asked.sort_unstable();
        asked.dedup();
        let told = self.bound(Message::Echo(Box::new(vote.clone())));
        cx.broadcast(&Committee::new(asked), told);
    }
}

/// Whether one leader has said two things of one place.
pub(super) fn contradicts(one: &Signed<Delivery>, other: &Signed<Delivery>) -> bool {
    let (a, b) = (one.body(), other.body());
    one.by() == other.by() && a.group == b.group && a.height == b.height && a.digest != b.digest
}
