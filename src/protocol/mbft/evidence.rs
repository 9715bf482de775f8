//! Members of the upper group that vote twice: whoever has heard both votes shows them to the
//! chain.

use super::register::views_of;
use super::system::System;
use super::{Cx, Mbft, Message};
use crate::base::crypto::Signed;
use crate::protocol::{Offence, Report, pbft};

impl Mbft {
    /// A member of the upper group votes. What it has said before is compared, and a proposal that
    /// another one contradicts is shown to all.
    pub(super) fn judge_votes(&mut self, message: &pbft::Message, cx: &mut Cx<'_>) {
        for vote in message.votes() {
            if self.hear_vote(vote, cx) {
                let upper = &self.volatile.register.roles.upper;
                let doubtful = self.volatile.table.heard.doubtful_proposal(vote, upper);
                if let Some(proposal) = doubtful {
                    cx.report(Report::Reached("proposal-doubted"));
                    cx.broadcast(upper, Message::Echo(Box::new(proposal)));
                }
            }
        }
    }

    /// Somebody asks whether the primary has proposed another block.
    pub(super) fn on_echo(&mut self, vote: &Signed<pbft::Vote>, cx: &mut Cx<'_>) {
        if self.durable.upper.is_some() {
            self.hear_vote(vote, cx);
        }
    }

    /// Compares a vote with what was heard before, and shows the chain two that do not agree;
    /// whether it is news.
    fn hear_vote(&mut self, vote: &Signed<pbft::Vote>, cx: &mut Cx<'_>) -> bool {
        let register = &self.volatile.register;
        let executed = register.height - register.epoch_base();
        let (upper, window) = (&register.roles.upper, self.config.upper.window);
        let own = views_of(register.roles.epoch).contains(vote.body().view);
        if !own || !upper.contains(vote.by()) || !vote.verify(cx.keyring()) {
            return false;
        }
        let heard = &mut self.volatile.table.heard;
        if !heard.hear(vote, executed, window, upper.n()) {
            return false;
        }
        let other = heard.contradicting(vote).next().cloned();
        if let Some(other) = other {
            self.accuse(vote.by(), Offence::Equivocation, cx);
            let votes = Box::new((other, vote.clone()));
            self.say(System::DoubleVote(votes), cx);
        }
        true
    }
}
