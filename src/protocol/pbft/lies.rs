//! Lies about batches, about who speaks and about the view, in well-formed messages.

use std::sync::Arc;

use super::message::{Checkpoint, Message, NewView, ViewChange, Vote};
use crate::base::crypto::{Body, Hasher, Signed, Signer};
use crate::base::node::NodeId;
use crate::chain::Batch;

/// The same message with a batch that contradicts it.
pub(super) fn contradict(message: &Message, liar: &Signer) -> Option<Message> {
    match message {
        Message::PrePrepare { vote, batch } => {
            let batch = opposite(batch)?;
            let vote = contradicted(vote, &batch, liar);
            Some(Message::PrePrepare { vote, batch })
        }
        Message::Prepare { vote, batch } => {
            let batch = opposite(batch.as_ref()?)?;
            let vote = contradicted(vote, &batch, liar);
            let batch = Some(batch);
            Some(Message::Prepare { vote, batch })
        }
        Message::Commit { vote, batch } => {
            let batch = opposite(batch.as_ref()?)?;
            let vote = contradicted(vote, &batch, liar);
            let batch = Some(batch);
            Some(Message::Commit { vote, batch })
        }
        Message::Checkpoint(checkpoint) => {
            let body = *checkpoint.body();
            let chain = Hasher::new("lie").digest(&body.chain).finish();
            Some(Message::Checkpoint(liar.sign(Checkpoint { chain, ..body })))
        }
        Message::ViewChange { change, again } => {
            let change = Arc::new(liar.sign(forgetful(change.body())?));
            let again = *again;
            Some(Message::ViewChange { change, again })
        }
        Message::NewView(view) => {
            let view = unfounded(view.body(), liar)?;
            Some(Message::NewView(Arc::new(liar.sign(view))))
        }
        Message::Blocks(blocks) => {
            let mut blocks = blocks.clone();
            let first = blocks.blocks.first_mut()?;
            first.batch = opposite(&first.batch)?;
            Some(Message::Blocks(blocks))
        }
        // These state nothing: a lie in them is no more than silence or noise.
        Message::Forward(_) | Message::Status { .. } | Message::Fetch(_) => None,
    }
}

/// The batch a liar puts in the place of another: the same transactions backwards; of a single
/// transaction, the same twice. The opposite of the opposite is the batch itself, so liars who
/// were told different batches still agree on which two there are. An empty batch has none.
pub fn opposite(batch: &Batch) -> Option<Batch> {
    let first = batch.transactions().first()?;
    let backwards = Batch::new(batch.transactions().iter().rev().cloned().collect());
    if backwards != *batch {
        return Some(backwards);
    }
    let copies = if batch.len() == 1 { 2 } else { 1 };
    Some(Batch::new(vec![first.clone(); copies]))
}

fn contradicted(vote: &Signed<Vote>, batch: &Batch, liar: &Signer) -> Signed<Vote> {
    let digest = batch.digest();
    liar.sign(Vote {
        digest,
        ..*vote.body()
    })
}

/// A view change that hides what was prepared.
fn forgetful(change: &ViewChange) -> Option<ViewChange> {
    (!change.prepared.is_empty()).then(|| ViewChange {
        prepared: Vec::new(),
        accepted: Vec::new(),
        ..change.clone()
    })
}

/// A new view that proposes nothing where something was prepared.
fn unfounded(view: &NewView, liar: &Signer) -> Option<NewView> {
    let nothing = Batch::empty();
    let lie = |vote: &Signed<Vote>| contradicted(vote, &nothing, liar);
    (!view.proposals.is_empty()).then(|| NewView {
        proposals: view.proposals.iter().map(lie).collect(),
        ..view.clone()
    })
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::crypto::Crypto;
    use crate::chain::{Transaction, TransactionId};
    use crate::contract::SignedCall;
    use crate::protocol::Wire;
    use crate::protocol::pbft::Phase;

    fn batch(numbers: &[u64]) -> Batch {
        let transaction =
            |&n: &u64| Transaction::new(TransactionId::new(NodeId(9), n), SignedCall::sample(n));
        Batch::new(numbers.iter().map(transaction).collect())
    }

    #[test]
    fn liars_agree_on_the_two_sides_of_a_lie() {
        for numbers in [&[1][..], &[1, 2], &[1, 2, 3]] {
            let truth = batch(numbers);
            let lie = opposite(&truth).unwrap();
            assert_ne!(truth, lie);
            assert_eq!(opposite(&lie).unwrap(), truth);
        }
        assert_eq!(opposite(&batch(&[])), None);
    }

    #[test]
    fn the_lie_of_a_vote_is_a_vote_for_the_lie_of_the_batch() {
        let (signers, keyring) = Signer::mint(2, Crypto::Ed25519, 1);
        let batch = batch(&[1, 2]);
        let vote = |phase| Vote {
            phase,
            view: 3,
            height: 5,
            digest: batch.digest(),
        };
        let lie = opposite(&batch).unwrap().digest();
        let truths = [
            Message::PrePrepare {
                vote: signers[0].sign(vote(Phase::Prepare)),
                batch: batch.clone(),
            },
            Message::Prepare {
                vote: signers[0].sign(vote(Phase::Prepare)),
                batch: Some(batch.clone()),
            },
            Message::Commit {
                vote: signers[0].sign(vote(Phase::Commit)),
                batch: Some(batch.clone()),
            },
        ];
        for truth in truths {
            let told = truth.contradict(&signers[1]).unwrap();
            let (Message::PrePrepare { vote, .. }
            | Message::Prepare { vote, .. }
            | Message::Commit { vote, .. }) = told
            else {
                panic!("a lie has the kind of the truth");
            };
            assert!(vote.verify(&keyring));
            assert_eq!((vote.by(), vote.body().digest), (NodeId(1), lie));
            assert_eq!((vote.body().view, vote.body().height), (3, 5));
        }
    }
}
