//! Suspicions: what may be a lie and may be a slow network. They bring about elections and cost
//! a member its place in the order of candidates, and convict nobody.

use super::message::Message;
use super::statement::Complaint;
use super::{Cx, Iraft, Mutant, Timer};
use crate::base::crypto::Signed;
use crate::base::node::NodeId;
use crate::base::time::Span;
use crate::chain::Batch;
use crate::protocol::{Offence, Report};

impl Iraft {
    /// The parent has waited too long for the leader.
    pub fn denounce(&mut self, cx: &mut Cx<'_>) {
        self.complain(true, cx);
        self.finish(cx);
    }

    /// Whether the parent waits for a decision: while it does, the leader is to bring one about.
    /// The parent proposes by itself, so that no requests wait here that would say as much.
    pub fn await_decision(&mut self, awaited: bool, cx: &mut Cx<'_>) {
        self.volatile.awaited = awaited;
        self.finish(cx);
    }

    /// The parent has seen a member lie: until the next start this replica neither follows it nor
    /// votes for it. It stays a member, for the group has no proof to exclude it by.
    pub fn bar(&mut self, member: NodeId, cx: &mut Cx<'_>) {
        if member == cx.me() || self.is_distrusted(member) {
            return;
        }
        self.volatile.barred.push(member);
        if self.volatile.leader == Some(member) {
            self.complain(true, cx);
            // The others may need more complaints than this one.
            if self.volatile.leader == Some(member) {
                self.abandon_leader(cx);
            }
        }
        self.finish(cx);
    }

    /// Whether a member has lied, as this replica or its parent knows.
    pub(super) fn is_distrusted(&self, member: NodeId) -> bool {
        self.durable.convicted.contains_key(&member) || self.volatile.barred.contains(&member)
    }

    /// Notes that a member may be dishonest.
    pub(super) fn suspect(&mut self, member: NodeId, offence: Offence, cx: &mut Cx<'_>) {
        let offence = if self.broken(Mutant::ConvictOnSilence) {
            Offence::Equivocation
        } else {
            offence
        };
        cx.report(Report::Accuses {
            culprit: member,
            offence,
        });
        let position = self.position(member);
        self.volatile.trust.blame(position);
        if offence != Offence::Silence {
            let strikes = &mut self.volatile.strikes[position];
            *strikes = strikes.saturating_add(1);
        }
    }

    /// Something was decided that the leader has brought about: for the parent to say.
    pub fn praise_leader(&mut self) {
        if let Some(leader) = self.volatile.leader {
            let position = self.position(leader);
            self.volatile.trust.praise(position);
        }
    }

    /// Whether something waits for somebody else.
    fn waits(&self) -> bool {
        let something = self.volatile.mempool.has_unsettled() || self.volatile.awaited;
        something && !self.leads()
    }

    /// Starts the progress timer if something waits for somebody else.
    pub(super) fn be_impatient(&mut self, cx: &mut Cx<'_>) {
        let patience = self.config.progress_timeout;
        if self.waits() && !self.volatile.impatient && patience > Span::ZERO {
            self.volatile.impatient = true;
            // What came just now has not waited yet.
            self.volatile.progressed = cx.now();
            cx.set_timer(Timer::Progress, patience);
        }
    }

    pub(super) fn on_progress_timeout(&mut self, cx: &mut Cx<'_>) {
        self.volatile.impatient = false;
        if !self.waits() {
            return;
        }
        let due = self.volatile.progressed + self.config.progress_timeout;
        self.volatile.impatient = true;
        if cx.now() < due {
            cx.set_timer(Timer::Progress, due - cx.now());
            self.mind_the_first(cx);
            return;
        }
        cx.set_timer(Timer::Progress, self.config.progress_timeout);
        self.complain(false, cx);
        // Perhaps it does nothing for this replica only.
        if self.volatile.leader.is_some() {
            self.fetch(cx);
        }
    }

    /// Notes what the leader of this term proposes. A leader does so in the order in which it is
    /// told, which is that in which requests wait here, however many others it was told of
    /// meanwhile: if one leaves this queue that is not the first, the first is passed over.
    pub(super) fn note_served(&mut self, batch: &Batch, cx: &Cx<'_>) {
        let mempool = &mut self.volatile.mempool;
        let first = mempool.first().map(|first| first.id);
        let waiting = mempool.len();
        mempool.note_proposed(batch);
        let stays = mempool.first().map(|first| first.id) == first;
        let known = self.volatile.passed_over.map(|(id, _)| id);
        if stays && mempool.len() < waiting && known != first {
            self.volatile.passed_over = first.map(|id| (id, cx.now()));
        }
    }

    /// Others are served while what has waited longest here is passed over. Perhaps the leader has
    /// not heard of it: it is told again, after which it knows what else waits here already, and
    /// complained of if later requests come first even so.
    fn mind_the_first(&mut self, cx: &mut Cx<'_>) {
        let first = self.volatile.mempool.first().cloned();
        let (Some(first), Some(leader)) = (first, self.volatile.leader) else {
            return;
        };
        let passed = self.volatile.passed_over.filter(|(id, _)| *id == first.id);
        if passed.is_none_or(|(_, since)| cx.now() < since + self.config.progress_timeout) {
            return;
        }
        self.volatile.passed_over = None;
        let mempool = &mut self.volatile.mempool;
        self.volatile.told_again.retain(|id| mempool.knows(*id));
        if !self.volatile.told_again.insert(first.id) {
            cx.report(Report::Reached("a follower is passed over again and again"));
            self.complain(false, cx);
            return;
        }
        // Its place in the leader's queue may be the last, and so it is here.
        mempool.settle(&Batch::new(vec![first.clone()]));
        mempool.insert(first.clone());
        cx.send(leader, Message::Forward(vec![first]));
    }

    /// Tells everybody that the leader lives and does nothing, or nothing that is right.
    pub(super) fn complain(&mut self, audit: bool, cx: &mut Cx<'_>) {
        let Some(leader) = self.volatile.leader.filter(|leader| *leader != cx.me()) else {
            return;
        };
        let complaint = cx.sign(Complaint {
            term: self.durable.term,
            leader,
            audit,
        });
        cx.broadcast(&self.setup.committee, Message::Complaint(complaint.clone()));
        self.on_complaint(&complaint, cx);
    }

    /// Shows everybody why the leader was given up: others may have missed a complaint, and all of
    /// these convince each of them.
    pub(super) fn pass_complaints_on(&self, cx: &mut Cx<'_>) {
        for complaint in self.volatile.complaints.values() {
            cx.broadcast(&self.setup.committee, Message::Complaint(complaint.clone()));
        }
    }

    /// Gives the leader up once so many complain that one of them is honest.
    pub(super) fn on_complaint(&mut self, complaint: &Signed<Complaint>, cx: &mut Cx<'_>) {
        let Complaint { term, leader, .. } = *complaint.body();
        let concerns = term == self.durable.term && self.volatile.leader == Some(leader);
        let by = complaint.by();
        if !concerns || !self.is_member(by) || !complaint.verify(cx.keyring()) {
            return;
        }
        let position = self.position(by);
        self.volatile.complaints.insert(position, complaint.clone());
        let members = self.setup.committee.n() - self.durable.excluded.len();
        if self.volatile.complaints.len() < self.config.one_honest_of(members) {
            return;
        }
        let offence = if complaint.body().audit {
            Offence::Audit
        } else {
            Offence::Stalling
        };
        if leader != cx.me() {
            self.suspect(leader, offence, cx);
        }
        cx.report(Report::Reached("a leader is given up for lack of progress"));
        self.abandon_leader(cx);
    }
}
