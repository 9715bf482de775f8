//! What PBFT replicas say to one another, and what they sign.

use std::sync::Arc;

use super::{lies, oaths};
use crate::base::crypto::{
    Body, Certificate, DIGEST_BYTES, Digest, Hasher, SIGNATURE_BYTES, Signed, Signer,
};
use crate::base::node::NodeId;
use crate::chain::{Batch, Height, Transaction};
use crate::protocol::oath::{Binding, Notary, Registrar};
use crate::protocol::{Listener, Statement, To, Wire};

/// The two phases in which replicas vote.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// This batch, and no other, stands at this place in this view. The leader says so by
    /// proposing it.
    Prepare,
    /// A quorum has said so.
    Commit,
}

/// One replica's vote for the batch with this digest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vote {
    /// In which phase.
    pub phase: Phase,
    /// In which view.
    pub view: u64,
    /// At which place.
    pub height: Height,
    /// For which batch.
    pub digest: Digest,
}

impl Vote {
    /// Whether this is about the same place, view and phase as another vote, and for something
    /// else: nobody who is honest casts both.
    pub fn contradicts(&self, other: &Self) -> bool {
        let subject = |vote: &Self| (vote.phase, vote.view, vote.height);
        subject(self) == subject(other) && self.digest != other.digest
    }
}

impl Body for Vote {
    fn digest(&self) -> Digest {
        let domain = match self.phase {
            Phase::Prepare => "pbft prepare",
            Phase::Commit => "pbft commit",
        };
        Hasher::new(domain)
            .number(self.view)
            .number(self.height)
            .digest(&self.digest)
            .finish()
    }
}

/// One replica's word that it has executed the chain up to here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// The first view of the instance: of two committees of the same members, one after the other,
    /// each has its own checkpoints. Not on the wire, since it is known to all.
    pub since: u64,
    /// The last height that is included.
    pub height: Height,
    /// All batches up to here, one hash over the other: a replica that is behind checks the
    /// batches it is given against it before it executes the first of them.
    pub chain: Digest,
    /// The digest of the block here, and in it the state root.
    pub block: Digest,
}

impl Body for Checkpoint {
    fn digest(&self) -> Digest {
        Hasher::new("pbft checkpoint")
            .number(self.since)
            .number(self.height)
            .digest(&self.chain)
            .digest(&self.block)
            .finish()
    }
}

/// A replica wants the next leader, and says what it knows of the places that are not settled.
#[derive(Clone, PartialEq, Debug)]
pub struct ViewChange {
    /// The view it wants to enter.
    pub view: u64,
    /// The proof of its last stable checkpoint; nothing before the first one.
    pub stable: Option<Certificate<Checkpoint>>,
    /// For each place above that has one, the proof that a quorum prepared or committed a batch
    /// there; ascending.
    pub prepared: Vec<Certificate<Vote>>,
    /// Proposals accepted and not executed. They decide nothing; they convict a leader that has
    /// proposed something else to others.
    pub accepted: Vec<Signed<Vote>>,
}

impl ViewChange {
    /// The height of its stable checkpoint.
    pub fn low(&self) -> Height {
        self.stable.as_ref().map_or(0, |c| c.body().height)
    }

    fn size(&self) -> u32 {
        let proofs = self.stable.iter().map(certificate_size).sum::<u32>()
            + self.prepared.iter().map(certificate_size).sum::<u32>();
        8 + proofs + count(self.accepted.len()) * VOTE_BYTES + SIGNATURE_BYTES
    }

    fn signatures(&self) -> u32 {
        let stable = self.stable.iter().map(Certificate::signatures);
        let prepared = self.prepared.iter().map(Certificate::signatures);
        let accepted = self.accepted.iter().map(Signed::signatures);
        1 + stable.chain(prepared).chain(accepted).sum::<u32>()
    }
}

impl Body for ViewChange {
    fn digest(&self) -> Digest {
        let mut hasher = Hasher::new("pbft view-change").number(self.view);
        if let Some(certificate) = &self.stable {
            hasher = hasher.digest(&certificate.body().digest());
        }
        hasher = hasher.number(self.prepared.len() as u64);
        for certificate in &self.prepared {
            hasher = hasher.digest(&certificate.body().digest());
        }
        for proposal in &self.accepted {
            hasher = hasher.digest(&proposal.body().digest());
        }
        hasher.finish()
    }
}

/// The new leader opens its view: why it may, and what follows from that.
#[derive(Clone, PartialEq, Debug)]
pub struct NewView {
    /// The view.
    pub view: u64,
    /// A quorum that wants it.
    pub changes: Vec<Arc<Signed<ViewChange>>>,
    /// What must be proposed again, as the leader's votes, in order and without a gap.
    pub proposals: Vec<Signed<Vote>>,
}

impl Body for NewView {
    fn digest(&self) -> Digest {
        let mut hasher = Hasher::new("pbft new-view").number(self.view);
        for change in &self.changes {
            let by = u64::from(change.by().0);
            hasher = hasher.number(by).digest(&change.body().digest());
        }
        for proposal in &self.proposals {
            hasher = hasher.digest(&proposal.body().digest());
        }
        hasher.finish()
    }
}

/// A decided batch with the proof that it was; nothing if a checkpoint proves it.
#[derive(Clone, PartialEq, Debug)]
pub struct Decided {
    /// What was decided.
    pub batch: Batch,
    /// A quorum of commits for it.
    pub proof: Option<Certificate<Vote>>,
}

/// What a replica asks of another.
#[derive(Clone, PartialEq, Debug)]
pub struct Fetch {
    /// The height it has reached: it wants what follows.
    pub above: Height,
    /// The last stable checkpoint it can prove; it wants the proof of a later one.
    pub low: Height,
    /// The view it is in; it wants the proof of a later one.
    pub view: u64,
    /// Batches it knows by their digest only.
    pub batches: Vec<(Height, Digest)>,
}

/// What a replica answers to one that is behind.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Blocks {
    /// The height the sender has reached.
    pub height: Height,
    /// The height before the first block given here.
    pub above: Height,
    /// Decided batches in order.
    pub blocks: Vec<Decided>,
    /// A proof of all blocks up to its height; those above have their own.
    pub checkpoint: Option<Certificate<Checkpoint>>,
    /// The proof of the sender's view.
    pub new_view: Option<Arc<Signed<NewView>>>,
    /// Batches that were asked for by digest.
    pub batches: Vec<(Height, Batch)>,
}

/// What replicas say.
#[derive(Clone, Debug)]
pub enum Message {
    /// The leader puts a batch at a place.
    PrePrepare {
        /// The leader's vote for it.
        vote: Signed<Vote>,
        /// The batch.
        batch: Batch,
    },
    /// A vote of the first phase.
    Prepare {
        /// The vote.
        vote: Signed<Vote>,
        /// What the digest stands for, if the voter knows. Not on the wire and never read by a
        /// receiver: a liar needs it to find the digest of the opposite.
        batch: Option<Batch>,
    },
    /// A vote of the second phase.
    Commit {
        /// The vote.
        vote: Signed<Vote>,
        /// As in a prepare.
        batch: Option<Batch>,
    },
    /// The chain was executed up to here.
    Checkpoint(Signed<Checkpoint>),
    /// The leader is overdue.
    ViewChange {
        /// What is stated.
        change: Arc<Signed<ViewChange>>,
        /// Whether it was sent before, so that its sender may have missed the answer.
        again: bool,
    },
    /// The new leader opens its view.
    NewView(Arc<Signed<NewView>>),
    /// Transactions of clients, for the leader.
    Forward(Vec<Arc<Transaction>>),
    /// How far the sender has come.
    Status {
        /// The height it has reached.
        height: Height,
        /// The view it is in.
        view: u64,
        /// Whether it wants to hear the same of the receiver.
        ask: bool,
    },
    /// A replica that is behind asks.
    Fetch(Fetch),
    /// A replica that is not answers.
    Blocks(Box<Blocks>),
}

/// A vote with its signature: phase, view, height, digest, voter.
pub const VOTE_BYTES: u32 = 1 + 8 + 8 + DIGEST_BYTES + 2 + SIGNATURE_BYTES;
/// The type of a message and its length.
const HEADER_BYTES: u32 = 8;

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A statement, and of each signer its name and signature.
fn certificate_size<B: Body>(certificate: &Certificate<B>) -> u32 {
    17 + DIGEST_BYTES + certificate.signatures() * (2 + SIGNATURE_BYTES)
}

impl Blocks {
    fn size(&self) -> u32 {
        let block = |block: &Decided| {
            let proof = block.proof.iter().map(certificate_size).sum::<u32>();
            8_u32
                .saturating_add(block.batch.size())
                .saturating_add(proof)
        };
        let blocks = self.blocks.iter().map(block);
        let batches = self.batches.iter().map(|(_, batch)| 8 + batch.size());
        let view = self.new_view.iter().map(|view| new_view_size(view.body()));
        let checkpoint = self.checkpoint.iter().map(certificate_size);
        let parts = blocks.chain(batches).chain(view).chain(checkpoint);
        parts.fold(16, u32::saturating_add)
    }

    fn signatures(&self) -> u32 {
        let proofs = self.blocks.iter().flat_map(|block| &block.proof);
        let signers = proofs.map(Certificate::signatures).sum::<u32>();
        let checkpoint = self.checkpoint.iter().map(Certificate::signatures);
        let views = self
            .new_view
            .iter()
            .map(|view| new_view_signatures(view.body()));
        signers + checkpoint.sum::<u32>() + views.sum::<u32>()
    }
}

fn new_view_size(view: &NewView) -> u32 {
    let changes = view.changes.iter().map(|change| 2 + change.body().size());
    8 + changes.sum::<u32>() + count(view.proposals.len()) * VOTE_BYTES + SIGNATURE_BYTES
}

fn new_view_signatures(view: &NewView) -> u32 {
    let changes = view.changes.iter().map(|change| change.body().signatures());
    let proposals = view.proposals.iter().map(Signed::signatures);
    1 + changes.sum::<u32>() + proposals.sum::<u32>()
}

impl Message {
    /// In whose name this states something, if it does.
    pub fn speaker(&self) -> Option<NodeId> {
        match self {
            Self::PrePrepare { vote, .. }
            | Self::Prepare { vote, .. }
            | Self::Commit { vote, .. } => Some(vote.by()),
            Self::Checkpoint(checkpoint) => Some(checkpoint.by()),
            Self::ViewChange { change, .. } => Some(change.by()),
            Self::NewView(view) => Some(view.by()),
            Self::Forward(_) | Self::Status { .. } | Self::Fetch(_) | Self::Blocks(_) => None,
        }
    }

    /// The votes that its sender casts with it.
    pub fn votes(&self) -> &[Signed<Vote>] {
        match self {
            Self::PrePrepare { vote, .. }
            | Self::Prepare { vote, .. }
            | Self::Commit { vote, .. } => std::slice::from_ref(vote),
            Self::NewView(view) => &view.body().proposals,
            Self::Checkpoint(_)
            | Self::ViewChange { .. }
            | Self::Forward(_)
            | Self::Status { .. }
            | Self::Fetch(_)
            | Self::Blocks(_) => &[],
        }
    }

    /// Signatures under what this message states in its sender's name.
    fn own_signatures(&self) -> u32 {
        match self {
            Self::PrePrepare { vote, .. }
            | Self::Prepare { vote, .. }
            | Self::Commit { vote, .. } => vote.signatures(),
            Self::Checkpoint(checkpoint) => checkpoint.signatures(),
            Self::ViewChange { change, .. } => change.signatures(),
            Self::NewView(view) => view.signatures(),
            Self::Forward(_) | Self::Status { .. } | Self::Fetch(_) | Self::Blocks(_) => 0,
        }
    }
}

impl Wire for Message {
    /// A replica votes for one batch at a place of a view, in each phase, and no more in a view
    /// that it has asked to leave; the chain up to a checkpoint is one.
    fn statements(&self, me: NodeId, _to: &To, say: Listener<'_>) {
        let shown = match self {
            Self::Blocks(blocks) => blocks.new_view.as_ref(),
            _ => None,
        };
        let own = shown.filter(|view| view.by() == me && view.signatures() == 1);
        let proposals = own.map_or(&[][..], |view| &view.body().proposals);
        let opens = own.is_some() || matches!(self, Self::NewView(_));
        for vote in self.votes().iter().chain(proposals) {
            let holding = vote.body().holding(vote.by());
            say(match opens {
                true => Statement::Shows(holding),
                false => Statement::Holds(holding),
            });
        }
        match self {
            Self::Checkpoint(checkpoint) => {
                say(Statement::Holds(checkpoint.body().holding(checkpoint.by())));
            }
            Self::ViewChange { change, .. } => say(Statement::Leaves {
                by: change.by(),
                view: change.body().view,
            }),
            Self::PrePrepare { .. }
            | Self::Prepare { .. }
            | Self::Commit { .. }
            | Self::NewView(_)
            | Self::Forward(_)
            | Self::Status { .. }
            | Self::Fetch(_)
            | Self::Blocks(_) => {}
        }
    }

    fn oaths(&self, notary: &Notary<'_>, swear: Registrar<'_>) {
        oaths::read(self, notary, swear);
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::PrePrepare { .. } => "pre-prepare",
            Self::Prepare { .. } => "prepare",
            Self::Commit { .. } => "commit",
            Self::Checkpoint(_) => "checkpoint",
            Self::ViewChange { .. } => "view-change",
            Self::NewView(_) => "new-view",
            Self::Forward(_) => "forward",
            Self::Status { .. } => "status",
            Self::Fetch(_) => "fetch",
            Self::Blocks(_) => "blocks",
        }
    }

    fn kinds() -> Vec<&'static str> {
        vec![
            "pre-prepare",
            "prepare",
            "commit",
            "checkpoint",
            "view-change",
            "new-view",
            "forward",
            "status",
            "fetch",
            "blocks",
        ]
    }

    fn size(&self) -> u32 {
        let content = match self {
            Self::PrePrepare { batch, .. } => VOTE_BYTES.saturating_add(batch.size()),
            Self::Prepare { .. } | Self::Commit { .. } => VOTE_BYTES,
            Self::Checkpoint(_) => 8 + 2 * DIGEST_BYTES + 2 + SIGNATURE_BYTES,
            Self::ViewChange { change, .. } => 2 + change.body().size(),
            Self::NewView(view) => new_view_size(view.body()),
            Self::Forward(transactions) => transactions.iter().map(|t| t.size()).sum(),
            Self::Status { .. } => 17,
            Self::Fetch(fetch) => 24 + count(fetch.batches.len()) * (8 + DIGEST_BYTES),
            Self::Blocks(blocks) => blocks.size(),
        };
        // Whoever speaks for a group shows more signatures than the one that is counted in.
        let more = self.own_signatures().saturating_sub(1) * (2 + SIGNATURE_BYTES);
        HEADER_BYTES.saturating_add(content).saturating_add(more)
    }

    fn signatures(&self) -> u32 {
        match self {
            Self::PrePrepare { vote, .. }
            | Self::Prepare { vote, .. }
            | Self::Commit { vote, .. } => vote.signatures(),
            Self::Checkpoint(checkpoint) => checkpoint.signatures(),
            Self::ViewChange { change, .. } => change.body().signatures() + change.signatures() - 1,
            Self::NewView(view) => new_view_signatures(view.body()) + view.signatures() - 1,
            Self::Forward(_) | Self::Status { .. } | Self::Fetch(_) => 0,
            Self::Blocks(blocks) => blocks.signatures(),
        }
    }

    fn contradict(&self, liar: &Signer) -> Option<Self> {
        lies::contradict(self, liar)
    }

    fn forge(&self, liar: &Signer, victim: NodeId) -> Option<Self> {
        lies::forge(self, liar, victim)
    }

    fn inflate(&self, liar: &Signer, by: u64) -> Option<Self> {
        lies::inflate(self, liar, by)
    }
}
