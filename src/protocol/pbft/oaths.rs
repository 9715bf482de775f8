//! What messages prove of whoever has signed something in them.

use std::sync::Arc;

use super::message::{Blocks, Checkpoint, Message, NewView, Phase, ViewChange, Vote};
use crate::base::crypto::{Certificate, Signed};
use crate::base::node::NodeId;
use crate::protocol::oath::{Binding, Notary, Oath, Reader, Recall, Registrar};
use crate::protocol::{Holding, Statement};

impl Binding for Vote {
    fn holding(&self, by: NodeId) -> Holding {
        Holding {
            by,
            kind: match self.phase {
                Phase::Prepare => "prepare",
                Phase::Commit => "commit",
            },
            view: self.view,
            place: self.height,
            what: self.digest.prefix(),
        }
    }
}

impl Binding for Checkpoint {
    fn holding(&self, by: NodeId) -> Holding {
        Holding {
            by,
            kind: "checkpoint",
            view: Statement::ANY_VIEW,
            place: self.since + self.height,
            what: self.block.prefix(),
        }
    }
}

/// Tells what a message proves.
pub(super) fn read(message: &Message, notary: &Notary<'_>, swear: Registrar<'_>) {
    let mut reader = Reader { notary, swear };
    match message {
        Message::PrePrepare { vote, .. }
        | Message::Prepare { vote, .. }
        | Message::Commit { vote, .. } => reader.word(vote),
        Message::Checkpoint(checkpoint) => reader.word(checkpoint),
        Message::ViewChange { change, .. } => read_change(change, &mut reader),
        Message::NewView(view) => read_new_view(view, &mut reader),
        Message::Blocks(blocks) => read_blocks(blocks, &mut reader),
        Message::Forward(_) | Message::Status { .. } | Message::Fetch(_) => {}
    }
}

fn read_change(signed: &Signed<ViewChange>, reader: &mut Reader<'_, '_>) {
    let Some(by) = reader.notary.signer(signed) else {
        return;
    };
    let change = signed.body();
    change.stable.iter().for_each(|proof| reader.words(proof));
    change.prepared.iter().for_each(|proof| reader.words(proof));
    change.accepted.iter().for_each(|vote| reader.word(vote));
    let proven = change.prepared.iter().map(Certificate::body);
    let proven = proven.map(|vote| (vote.height, vote.view, vote.digest.prefix()));
    (reader.swear)(Oath::Recalls(Arc::new(Recall {
        by,
        view: change.view,
        settled: change.low(),
        proven: proven.collect(),
    })));
}

fn read_new_view(view: &Signed<NewView>, reader: &mut Reader<'_, '_>) {
    if reader.notary.signer(view).is_none() {
        return;
    }
    for change in &view.body().changes {
        read_change(change, reader);
    }
    for proposal in &view.body().proposals {
        reader.word(proposal);
    }
}

fn read_blocks(blocks: &Blocks, reader: &mut Reader<'_, '_>) {
    let proofs = blocks
        .blocks
        .iter()
        .filter_map(|block| block.proof.as_ref());
    proofs.for_each(|proof| reader.words(proof));
    blocks
        .checkpoint
        .iter()
        .for_each(|proof| reader.words(proof));
    blocks
        .new_view
        .iter()
        .for_each(|view| read_new_view(view, reader));
}
