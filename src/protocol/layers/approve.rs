//! Approvals: what brings a patient's records to another node leaves at once, by the patient's
//! grant; or, with `auth: per-transfer`, when the patient has approved of this very transfer. A
//! repetition is no other transfer. A crash forgets whom one has asked: what is missing then is
//! asked for by those who lack it.

use super::config::{Auth, Mutant};
use super::fact::Fact;
use super::message::Ticket;
use super::{Cx, Layers, Message, Timer};
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::protocol::Report;

/// Messages that wait for a patient.
#[derive(Clone, Debug)]
pub(super) struct Awaited {
    due: Time,
    user: Digest,
    to: NodeId,
    messages: Vec<Message>,
}

/// Tickets that a record node remembers.
const HANDED_MAX: usize = 64;

impl Layers {
    /// Whether a ticket is the last one once more, of somebody else or by the network: whoever has
    /// not got what it asked for asks for the next time.
    pub(super) fn is_repeated(&mut self, ticket: &Ticket) -> bool {
        let (whose, attempt) = ((ticket.auth.0.id, ticket.node), ticket.attempt);
        let handed = &mut self.volatile.handed;
        let before = handed.iter().position(|(who, _)| *who == whose);
        let before = before.and_then(|place| handed.remove(place));
        if before.is_none() && handed.len() == HANDED_MAX {
            handed.pop_front();
        }
        handed.push_back((whose, attempt));
        before == Some((whose, attempt))
    }

    /// Sends what brings a patient's records to another node, as soon as it may leave.
    pub(super) fn transfer(
        &mut self,
        user: Digest,
        to: NodeId,
        messages: Vec<Message>,
        cx: &mut Cx<'_>,
    ) {
        if self.config.auth == Auth::Reuse || self.mutant(Mutant::NoApproval) {
            for message in messages {
                cx.send(to, message);
            }
            return;
        }
        cx.report(Report::Shared(Box::new(Fact::Asked { user, to })));
        let due = cx.now() + self.config.approval;
        let awaited = &mut self.volatile.awaited;
        if awaited.is_empty() {
            cx.set_timer(Timer::Approval, self.config.approval);
        }
        awaited.push_back(Awaited {
            due,
            user,
            to,
            messages,
        });
    }

    /// A patient has approved of the transfer that has waited longest, and perhaps of others.
    pub(super) fn on_approved(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        while let Some(first) = self.volatile.awaited.front() {
            if first.due > now {
                let rest = first.due.since(now);
                cx.set_timer(Timer::Approval, rest);
                return;
            }
            let Some(approved) = self.volatile.awaited.pop_front() else {
                return;
            };
            for message in approved.messages {
                cx.send(approved.to, message);
            }
        }
    }

    /// A patient has taken back the right by which a node would have been sent records.
    pub(super) fn take_back(&mut self, user: &Digest, node: NodeId) {
        let awaited = &mut self.volatile.awaited;
        awaited.retain(|one| (one.user, one.to) != (*user, node));
    }
}
