//! Lies about who speaks and about the view, in well-formed messages.

use std::sync::Arc;

use super::message::{Message, NewView, ViewChange, Vote};
use crate::base::crypto::{Body, Signed, Signer};
use crate::base::node::NodeId;

/// The same statement in the name of `victim`, with a signature that is not theirs.
pub(super) fn forge(message: &Message, liar: &Signer, victim: NodeId) -> Option<Message> {
    Some(match message {
        Message::PrePrepare { vote, batch } => Message::PrePrepare {
            vote: forged(vote, liar, victim),
            batch: batch.clone(),
        },
        Message::Prepare { vote, batch } => Message::Prepare {
            vote: forged(vote, liar, victim),
            batch: batch.clone(),
        },
        Message::Commit { vote, batch } => Message::Commit {
            vote: forged(vote, liar, victim),
            batch: batch.clone(),
        },
        Message::Checkpoint(checkpoint) => Message::Checkpoint(forged(checkpoint, liar, victim)),
        Message::ViewChange { change, again } => Message::ViewChange {
            change: Arc::new(forged(change, liar, victim)),
            again: *again,
        },
        Message::NewView(view) => Message::NewView(Arc::new(forged(view, liar, victim))),
        Message::Forward(_) | Message::Status { .. } | Message::Fetch(_) | Message::Blocks(_) => {
            return None;
        }
    })
}

fn forged<B: Body>(statement: &Signed<B>, liar: &Signer, victim: NodeId) -> Signed<B> {
    liar.garbage(statement.body().clone(), victim)
}

/// The same of a view that is so much later.
pub(super) fn inflate(message: &Message, liar: &Signer, by: u64) -> Option<Message> {
    let later = |vote: &Signed<Vote>| {
        let view = vote.body().view.saturating_add(by);
        liar.sign(Vote {
            view,
            ..*vote.body()
        })
    };
    Some(match message {
        Message::PrePrepare { vote, batch } => Message::PrePrepare {
            vote: later(vote),
            batch: batch.clone(),
        },
        Message::Prepare { vote, batch } => Message::Prepare {
            vote: later(vote),
            batch: batch.clone(),
        },
        Message::Commit { vote, batch } => Message::Commit {
            vote: later(vote),
            batch: batch.clone(),
        },
        Message::ViewChange { change, again } => {
            let change = ViewChange {
                view: change.body().view.saturating_add(by),
                ..change.body().clone()
            };
            Message::ViewChange {
                change: Arc::new(liar.sign(change)),
                again: *again,
            }
        }
        Message::NewView(view) => Message::NewView(Arc::new(liar.sign(NewView {
            view: view.body().view.saturating_add(by),
            ..view.body().clone()
        }))),
        Message::Status { height, view, ask } => Message::Status {
            height: *height,
            view: view.saturating_add(by),
            ask: *ask,
        },
        Message::Checkpoint(_) | Message::Forward(_) | Message::Fetch(_) | Message::Blocks(_) => {
            return None;
        }
    })
}
