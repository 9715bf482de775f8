//! Elections: time-outs, pre-votes, votes, and a leader that checks whether it is still heard.

use super::leader::Leader;
use super::{Cx, Message, Mutant, Raft, Role, Timer, Vote, VoteReply};
use crate::base::node::{NodeId, PositionSet};
use crate::protocol::Report;

impl Raft {
    pub(super) fn on_election_timeout(&mut self, cx: &mut Cx<'_>) {
        if matches!(self.volatile.role, Role::Leader(_)) {
            self.check_quorum(cx);
            return;
        }
        let due = self.volatile.rested + self.volatile.timeout;
        if cx.now() < due {
            cx.set_timer(Timer::Election, due - cx.now());
            return;
        }
        self.volatile.leader = None;
        if self.config.pre_vote {
            self.ask(cx);
        } else {
            self.stand(cx);
        }
    }

    /// Asks everybody for a pre-vote.
    fn ask(&mut self, cx: &mut Cx<'_>) {
        self.rest(cx);
        self.volatile.role = Role::PreCandidate(PositionSet::new());
        let vote = Vote {
            term: self.durable.term + 1,
            last: self.durable.log.last(),
        };
        cx.broadcast(&self.setup.committee, Message::PreVote(vote));
        // Our own pre-vote.
        self.count(cx.me(), cx);
    }

    /// Enters the next term and asks everybody for a vote.
    fn stand(&mut self, cx: &mut Cx<'_>) {
        self.follow(self.durable.term + 1, cx);
        self.rest(cx);
        self.durable.voted_for = Some(cx.me());
        self.ballot_changed();
        self.sync(cx);
        self.volatile.role = Role::Candidate(PositionSet::new());
        let vote = Vote {
            term: self.durable.term,
            last: self.durable.log.last(),
        };
        cx.broadcast(&self.setup.committee, Message::Vote(vote));
        // Our own vote.
        self.count(cx.me(), cx);
    }

    pub(super) fn on_pre_vote(&mut self, from: NodeId, vote: &Vote, cx: &mut Cx<'_>) {
        let granted = vote.term > self.durable.term
            && !self.hears_leader(cx)
            && vote.last.is_up_to_date_with(self.durable.log.last());
        let reply = VoteReply {
            term: self.durable.term,
            asked: vote.term,
            granted,
        };
        cx.send(from, Message::PreVoteReply(reply));
    }

    pub(super) fn on_vote(&mut self, from: NodeId, vote: &Vote, cx: &mut Cx<'_>) {
        if vote.term > self.durable.term && !self.clings() {
            let sticks = self.config.pre_vote || self.config.check_quorum;
            if sticks && self.hears_leader(cx) {
                return;
            }
            self.follow(vote.term, cx);
        }
        let free = self.durable.voted_for.is_none_or(|voted| voted == from)
            || self.broken(Mutant::DoubleVote);
        let last = self.durable.log.last();
        let up_to_date = vote.last.is_up_to_date_with(last)
            || self.broken(Mutant::NoUpToDate)
            || (self.broken(Mutant::UpToDateIndexOnly) && vote.last.index >= last.index);
        let granted = vote.term == self.durable.term && free && up_to_date;
        if granted {
            self.volatile.rested = cx.now();
            if self.durable.voted_for != Some(from) {
                self.durable.voted_for = Some(from);
                self.ballot_changed();
                self.rest(cx);
            }
        }
        let reply = VoteReply {
            term: self.durable.term,
            asked: vote.term,
            granted,
        };
        if !self.broken(Mutant::VotePersistLate) {
            self.sync(cx);
        }
        cx.send(from, Message::VoteReply(reply));
    }

    pub(super) fn on_pre_vote_reply(&mut self, from: NodeId, reply: &VoteReply, cx: &mut Cx<'_>) {
        let asks = matches!(self.volatile.role, Role::PreCandidate(_));
        if !reply.granted && reply.term > self.durable.term && !self.clings() {
            self.follow(reply.term, cx);
        } else if reply.granted && asks && reply.asked == self.durable.term + 1 {
            self.count(from, cx);
        }
    }

    pub(super) fn on_vote_reply(&mut self, from: NodeId, reply: &VoteReply, cx: &mut Cx<'_>) {
        let stands = matches!(self.volatile.role, Role::Candidate(_));
        if !reply.granted && reply.term > self.durable.term {
            self.follow(reply.term, cx);
        } else if reply.granted && stands && reply.asked == self.durable.term {
            self.count(from, cx);
        }
    }

    /// Counts a vote or a pre-vote, each voter once.
    fn count(&mut self, voter: NodeId, cx: &mut Cx<'_>) {
        let position = self.position(voter);
        let low = usize::from(self.broken(Mutant::ElectQuorumLow));
        let quorum = self.setup.committee.majority() - low;
        match &mut self.volatile.role {
            Role::PreCandidate(votes) => {
                votes.insert(position);
                if votes.len() >= quorum {
                    self.stand(cx);
                }
            }
            Role::Candidate(votes) => {
                votes.insert(position);
                if votes.len() >= quorum {
                    self.lead(cx);
                }
            }
            Role::Follower | Role::Leader(_) => {}
        }
    }

    /// Leads the term it was elected in.
    fn lead(&mut self, cx: &mut Cx<'_>) {
        let last = self.durable.log.last_index();
        let leader = Leader::new(&self.setup.committee, last, cx.now());
        self.volatile.role = Role::Leader(Box::new(leader));
        self.volatile.leader = Some(cx.me());
        cx.report(Report::Leads {
            view: self.durable.term,
        });
        // What earlier leaders proposed is not proposed again.
        for index in self.volatile.commit + 1..=last {
            let batch = self.batch_at(index);
            self.volatile.mempool.note_proposed(&batch);
        }
        if self.config.check_quorum {
            cx.set_timer(Timer::Election, self.config.election_timeout[1]);
        } else {
            cx.cancel_timer(Timer::Election);
        }
        cx.set_timer(Timer::Heartbeat, self.config.heartbeat);
        self.greet(cx);
    }

    /// Steps down if no majority was heard within the longest election time-out.
    fn check_quorum(&mut self, cx: &mut Cx<'_>) {
        let me = self.position(cx.me());
        let others = self.setup.committee.majority() - 1;
        let Role::Leader(leader) = &self.volatile.role else {
            return;
        };
        let heard = leader.majority_heard(me, others, cx.now());
        let due = heard + self.config.election_timeout[1];
        if cx.now() < due {
            cx.set_timer(Timer::Election, due - cx.now());
            return;
        }
        cx.report(Report::Reached(
            "a leader that hears no majority steps down",
        ));
        self.follow(self.durable.term, cx);
    }

    /// Whether a leader lives, as far as this replica can know.
    fn hears_leader(&self, cx: &Cx<'_>) -> bool {
        let lease = self.volatile.rested + self.config.election_timeout[0];
        match (&self.volatile.role, self.volatile.leader) {
            // Without check-quorum a leader cannot tell whether it is alone.
            (Role::Leader(_), _) => self.config.check_quorum,
            (Role::Follower, Some(_)) => cx.now() < lease,
            (Role::Follower | Role::PreCandidate(_) | Role::Candidate(_), _) => false,
        }
    }
}
