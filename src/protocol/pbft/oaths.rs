//! What messages prove of whoever has signed something in them.

use std::sync::Arc;

use super::message::{Blocks, Checkpoint, Message, NewView, Phase, ViewChange, Vote};
use crate::base::crypto::{Certificate, Signed};
use crate::base::node::NodeId;
use crate::protocol::oath::{Notary, Oath, Recall, Registrar};
use crate::protocol::{Holding, Statement};

impl Vote {
    /// What whoever casts it says.
    pub(super) fn holding(&self, by: NodeId) -> Holding {
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

impl Checkpoint {
    /// What whoever announces it says.
    pub(super) fn holding(&self, by: NodeId) -> Holding {
        Holding {
            by,
            kind: "checkpoint",
            view: Statement::ANY_VIEW,
            place: self.since + self.height,
            what: self.block.prefix(),
        }
    }
}

/// Reads messages.
struct Reader<'r, 'n> {
    notary: &'r Notary<'n>,
    swear: Registrar<'r>,
}

/// Tells what a message proves.
pub(super) fn read(message: &Message, notary: &Notary<'_>, swear: Registrar<'_>) {
    let mut reader = Reader { notary, swear };
    match message {
        Message::PrePrepare { vote, .. }
        | Message::Prepare { vote, .. }
        | Message::Commit { vote, .. } => reader.vote(vote),
        Message::Checkpoint(checkpoint) => {
            if let Some(by) = notary.signer(checkpoint) {
                (reader.swear)(Oath::Holds(checkpoint.body().holding(by)));
            }
        }
        Message::ViewChange { change, .. } => reader.change(change),
        Message::NewView(view) => reader.new_view(view),
        Message::Blocks(blocks) => reader.blocks(blocks),
        Message::Forward(_) | Message::Status { .. } | Message::Fetch(_) => {}
    }
}

impl Reader<'_, '_> {
    fn vote(&mut self, vote: &Signed<Vote>) {
        if let Some(by) = self.notary.signer(vote) {
            (self.swear)(Oath::Holds(vote.body().holding(by)));
        }
    }

    fn votes(&mut self, certificate: &Certificate<Vote>) {
        for by in self.notary.signers(certificate) {
            (self.swear)(Oath::Holds(certificate.body().holding(by)));
        }
    }

    fn checkpoints(&mut self, certificate: &Certificate<Checkpoint>) {
        for by in self.notary.signers(certificate) {
            (self.swear)(Oath::Holds(certificate.body().holding(by)));
        }
    }

    fn change(&mut self, signed: &Signed<ViewChange>) {
        let Some(by) = self.notary.signer(signed) else {
            return;
        };
        let change = signed.body();
        change.stable.iter().for_each(|c| self.checkpoints(c));
        change.prepared.iter().for_each(|c| self.votes(c));
        change.accepted.iter().for_each(|vote| self.vote(vote));
        let proven = change.prepared.iter().map(Certificate::body);
        let proven = proven.map(|vote| (vote.height, vote.view, vote.digest.prefix()));
        (self.swear)(Oath::Recalls(Arc::new(Recall {
            by,
            view: change.view,
            settled: change.low(),
            proven: proven.collect(),
        })));
    }

    fn new_view(&mut self, view: &Signed<NewView>) {
        if self.notary.signer(view).is_none() {
            return;
        }
        for change in &view.body().changes {
            self.change(change);
        }
        for proposal in &view.body().proposals {
            self.vote(proposal);
        }
    }

    fn blocks(&mut self, blocks: &Blocks) {
        let proofs = blocks
            .blocks
            .iter()
            .filter_map(|block| block.proof.as_ref());
        proofs.for_each(|proof| self.votes(proof));
        blocks.checkpoint.iter().for_each(|c| self.checkpoints(c));
        blocks.new_view.iter().for_each(|view| self.new_view(view));
    }
}
