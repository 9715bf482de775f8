//! What whoever leads should have seen to for long. Everybody hears of it then: one of the others
//! sees to what any of them can, and all wait for what has to be decided, and so replace a leader
//! who does nothing.

use std::sync::Arc;

use super::migrate::parties;
use super::topology::Net;
use super::{Cx, Layers, Message};
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::chain::{Height, Transaction};
use crate::contract::message::RecordId;

/// Every which time that the same is asked for everybody hears it. Sources are asked in turn, by
/// twos or fours perhaps, and none is to be the one for such times.
const TOLD_ALL: u32 = 5;

/// Notes that others than the leader wait for, at most.
const OVERDUE_MAX: usize = 1_000;

/// A note that the chain should have by now.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Overdue {
    /// A patient is registered in another network too.
    Remote {
        /// The patient.
        user: Digest,
        /// The network.
        net: Net,
    },
    /// A record node has a patient's earlier records.
    Moved {
        /// The patient.
        user: Digest,
        /// The record node.
        node: NodeId,
        /// Where in the chain the patient has registered there.
        since: Height,
    },
}

/// Whether everybody hears what is asked for once more.
pub(super) fn for_all(attempt: u32) -> bool {
    attempt % TOLD_ALL == TOLD_ALL - 1
}

impl Layers {
    /// Sends once more what whoever leads should see to. It may be somebody else by now, of whom
    /// this node has not heard, or nobody: every fifth time all consensus nodes hear it, and those
    /// that do not lead say who does.
    pub(super) fn tell_leader_again(&mut self, message: Message, tries: u32, cx: &mut Cx<'_>) {
        if for_all(tries) {
            let consensus = self.topology.edge(self.net).consensus.clone();
            cx.broadcast(&consensus, message);
        } else {
            self.tell_leader(message, cx);
        }
    }

    /// What a consensus node that does not lead does about what the leader should see to.
    pub(super) fn stand_in(&mut self, from: NodeId, message: &Message, cx: &mut Cx<'_>) {
        match message {
            // What still waits at an index node, whoever leads has seen to for long, unless it is
            // down.
            Message::Inject(parcel) | Message::Waits(parcel) => {
                if matches!(message, Message::Inject(_)) {
                    self.on_brought_again(parcel, cx);
                }
                self.miss_injected(parcel, cx);
            }
            Message::Register(auth) if !self.tell_taken(from, auth, cx) => {
                self.enqueue(auth.clone(), None, cx);
            }
            Message::MigRequest {
                auth,
                tried,
                attempt,
                known,
            } if self.is_next(*attempt, cx) => {
                self.on_mig_request(from, auth, (tried, *attempt, *known), cx);
            }
            Message::MigForward(ticket) if for_all(ticket.attempt) => {
                let (user, net) = (ticket.user, self.topology.net_of(ticket.node));
                if !self.knows(&user, net) {
                    if self.is_valid(ticket, cx) {
                        self.await_note(Overdue::Remote { user, net });
                    }
                } else if self.is_next(ticket.attempt, cx) {
                    self.on_mig_forward(from, ticket, cx);
                }
            }
            Message::MigDone {
                auth,
                have,
                attempt,
                lost,
                ..
            } if for_all(*attempt) => self.miss_done(from, auth, (have, lost.is_some())),
            _ => {}
        }
    }

    /// Whether it is this node's turn to do what needs no decision.
    fn is_next(&self, attempt: u32, cx: &Cx<'_>) -> bool {
        let consensus = &self.topology.edge(self.net).consensus;
        for_all(attempt) && consensus.leader(u64::from(attempt / TOLD_ALL + 1)) == cx.me()
    }

    /// A record node has a patient's records, or gives them up, and it is not noted.
    fn miss_done(
        &mut self,
        from: NodeId,
        auth: &Arc<Transaction>,
        (have, gives_up): (&[RecordId], bool),
    ) {
        let lacks = self.lacks_of(from, auth, have);
        if let (Some((user, _)), Some((since, lacks))) = (parties(auth), lacks)
            && (gives_up || lacks.is_empty())
        {
            let node = from;
            self.await_note(Overdue::Moved { user, node, since });
        }
    }

    /// Waits for a note to be decided as long as this view lasts: the next leader has to hear of
    /// it first.
    fn await_note(&mut self, note: Overdue) {
        let view = self.group_status().view;
        let overdue = &mut self.desk().overdue;
        if overdue.len() < OVERDUE_MAX || overdue.contains_key(&note) {
            overdue.insert(note, view);
        }
    }

    /// Forgets what was noted.
    pub(super) fn forget_noted(&mut self) {
        let desk = self.desk();
        let table = &desk.table;
        desk.overdue.retain(|note, _| match note {
            Overdue::Remote { user, net } => !table.elsewhere(user).contains(net),
            Overdue::Moved { user, node, since } => {
                let row = table.row(user);
                row.get(node)
                    .is_some_and(|r| r.is_pending() && r.since == *since)
            }
        });
    }
}
