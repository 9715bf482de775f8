//! What replicas say to one another, and what it weighs.

use std::sync::Arc;

use super::evidence::Exposure;
use super::memory::{Memory, Support};
use super::oaths;
use super::supervise::Finding;
use crate::base::crypto::{
    Body, Certificate, DIGEST_BYTES, Digest, Hasher, SIGNATURE_BYTES, Signed, Signer, Voice,
};
use crate::base::node::NodeId;
use crate::chain::{Batch, Height, Transaction};
use crate::protocol::oath::{Notary, Registrar};
use crate::protocol::{Holding, Listener, Statement, To, Wire, iraft, pbft};

/// A leader's word that the committee has decided a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Which group it leads.
    pub group: u64,
    /// The place.
    pub height: Height,
    /// The batch.
    pub digest: Digest,
    /// The digest of the certificate that comes with it; not on the wire, where that is.
    pub proof: Option<Digest>,
}

impl Body for Delivery {
    fn digest(&self) -> Digest {
        Hasher::new("krbft delivery")
            .number(self.group)
            .number(self.height)
            .digest(&self.digest)
            .part(self.proof.as_ref().map_or(&[][..], |proof| &proof.0))
            .finish()
    }
}

/// A decided batch with the committee's commit certificate, if there is one.
#[derive(Clone, Debug)]
pub struct Proven {
    /// What was decided.
    pub batch: Batch,
    /// Commits of a quorum of the committee.
    pub proof: Option<Arc<Certificate<pbft::Vote>>>,
}

/// A leader hands a decided batch to its group.
#[derive(Clone, Debug)]
pub struct GroupBlock {
    /// The leader's word.
    pub statement: Signed<Delivery>,
    /// The view of the committee, which tells who leads it.
    pub view: u64,
    /// The batch.
    pub block: Proven,
}

/// A leader takes its group's place in the committee, or repeats that it has it.
#[derive(Clone, Debug)]
pub struct CouncilUpdate {
    /// Which group it leads.
    pub group: usize,
    /// In which term of the group.
    pub term: u64,
    /// The votes of the group.
    pub election: Arc<iraft::Election>,
    /// How far its chain reaches.
    pub height: Height,
    /// The view of the committee, as far as it knows.
    pub view: u64,
}

/// Every message of the protocol.
#[derive(Clone, Debug)]
pub enum Message {
    /// Within a group.
    Group(Box<iraft::Message>),
    /// Among the leaders.
    Committee {
        /// Whose seat speaks.
        seat: NodeId,
        /// What it says.
        message: Box<pbft::Message>,
    },
    /// Clients asked a member; its leader has a voice in the committee.
    Request(Vec<Arc<Transaction>>),
    /// The committee has decided this.
    GroupBlock(Box<GroupBlock>),
    /// A member has it on disk.
    GroupAck {
        /// The place.
        height: Height,
        /// The batch.
        digest: Digest,
    },
    /// A majority of the group has it on disk.
    GroupCommit {
        /// The place.
        height: Height,
        /// The batch.
        digest: Digest,
        /// What stands there; not on the wire, and never read by a receiver: a liar needs it.
        told: Batch,
    },
    /// A member that missed something asks.
    GroupFetch {
        /// How far its chain reaches.
        above: Height,
    },
    /// And is answered.
    GroupBlocks {
        /// The height before the first one.
        above: Height,
        /// How far the sender's chain reaches.
        height: Height,
        /// In order.
        blocks: Vec<Proven>,
    },
    /// I lead this group.
    CouncilUpdate(Box<CouncilUpdate>),
    /// A leader asks its members to lend their voices.
    Voice {
        /// Counts what this leader says.
        number: u64,
        /// What it wants to say in the committee.
        message: Arc<pbft::Message>,
        /// Why it may.
        support: Box<Support>,
    },
    /// A member does.
    VoiceShare {
        /// To what.
        number: u64,
        /// One for each statement in it.
        voices: Vec<Voice>,
    },
    /// A supervisor has found a liar.
    Finding(Box<Finding>),
    /// Somebody has signed what nobody signs who is honest.
    Exposure(Box<Exposure>),
    /// A seat has said this, in a draft or against what was decided: has it said another thing?
    Echo(Box<Signed<pbft::Vote>>),
    /// A new leader asks what the group has said.
    HandOver,
    /// What a member remembers.
    HandOverReply(Box<Memory>),
    /// A leader knows what stands at some places by the digest only.
    BatchFetch(Vec<(Height, Digest)>),
    /// And is told what it is.
    Batches(Vec<(Height, Batch)>),
    /// The groups are others already.
    Regrouped,
    /// What is said in an epoch after the first.
    Later {
        /// The epoch.
        epoch: u64,
        /// What is said.
        message: Box<Message>,
    },
}

impl Message {
    /// What is said, and in which epoch.
    pub(super) fn opened(&self) -> (u64, &Self) {
        if let Self::Later { epoch, message } = self {
            return (*epoch, message);
        }
        (0, self)
    }

    /// Whether it means nothing in another epoch. What concerns a block names its height.
    pub(super) fn is_bound(&self) -> bool {
        match self {
            Self::Group(_)
            | Self::Committee { .. }
            | Self::GroupBlock(_)
            | Self::CouncilUpdate(_)
            | Self::Voice { .. }
            | Self::VoiceShare { .. }
            | Self::Finding(_)
            | Self::Exposure(_)
            | Self::Echo(_)
            | Self::HandOver
            | Self::HandOverReply(_)
            | Self::BatchFetch(_)
            | Self::Batches(_)
            | Self::Regrouped
            | Self::Later { .. } => true,
            Self::Request(_)
            | Self::GroupAck { .. }
            | Self::GroupCommit { .. }
            | Self::GroupFetch { .. }
            | Self::GroupBlocks { .. } => false,
        }
    }
}

/// Bytes of a message without content: frame, addresses, and two numbers.
const HEADER_BYTES: u32 = 48;

/// Bytes of a leader's signed word.
const WORD_BYTES: u32 = 18 + DIGEST_BYTES + SIGNATURE_BYTES;
/// Bytes of a vote without signatures.
const VOTE_BYTES: u32 = pbft::VOTE_BYTES - SIGNATURE_BYTES;

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn proof_size(proof: &Certificate<pbft::Vote>) -> u32 {
    17 + DIGEST_BYTES + count(proof.signers()) * (2 + SIGNATURE_BYTES)
}

impl Exposure {
    fn size(&self) -> u32 {
        match self {
            Self::Words(_) => 2 * WORD_BYTES,
            Self::Certificate(_, proof) => WORD_BYTES + DIGEST_BYTES + proof_size(proof),
            Self::Votes(votes) => votes.iter().map(vote_size).sum(),
        }
    }

    fn signatures(&self) -> u32 {
        match self {
            Self::Words(_) => 2,
            Self::Certificate(_, proof) => 1 + count(proof.signers()),
            Self::Votes(votes) => votes.iter().map(Signed::signatures).sum(),
        }
    }
}

fn vote_size(vote: &Signed<pbft::Vote>) -> u32 {
    VOTE_BYTES + vote.signatures() * (2 + SIGNATURE_BYTES)
}

impl Proven {
    fn size(&self) -> u32 {
        let proof = self.proof.as_ref().map_or(0, |proof| proof_size(proof));
        self.batch.size().saturating_add(proof)
    }

    fn signatures(&self) -> u32 {
        self.proof
            .as_ref()
            .map_or(0, |proof| count(proof.signers()))
    }
}

impl GroupBlock {
    /// The opposite batch, with the certificate of the true one.
    fn contradict(&self, liar: &Signer) -> Option<Self> {
        let batch = pbft::opposite(&self.block.batch)?;
        let digest = batch.digest();
        let statement = liar.sign(Delivery {
            digest,
            ..*self.statement.body()
        });
        let proof = self.block.proof.clone();
        Some(Self {
            statement,
            view: self.view,
            block: Proven { batch, proof },
        })
    }
}

impl Wire for Message {
    /// What is said in a group, in the committee, and of blocks that a group stores.
    fn statements(&self, me: NodeId, to: &To, say: Listener<'_>) {
        match self.opened().1 {
            Self::Group(message) => message.statements(me, to, say),
            Self::Committee { message, .. } => message.statements(me, to, say),
            Self::GroupAck { height, digest } => say(Statement::Holds(Holding {
                by: me,
                kind: "group-ack",
                view: Statement::ANY_VIEW,
                place: *height,
                what: digest.prefix(),
            })),
            _ => {}
        }
    }

    fn oaths(&self, notary: &Notary<'_>, swear: Registrar<'_>) {
        oaths::read(self.opened().1, notary, swear);
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Group(message) => message.kind(),
            Self::Committee { message, .. } => message.kind(),
            Self::Request(_) => "forward",
            Self::GroupBlock(_) => "group-block",
            Self::GroupAck { .. } => "group-ack",
            Self::GroupCommit { .. } => "group-commit",
            Self::GroupFetch { .. } => "group-fetch",
            Self::GroupBlocks { .. } => "group-blocks",
            Self::CouncilUpdate(_) => "council-update",
            Self::Voice { .. } => "voice",
            Self::VoiceShare { .. } => "voice-share",
            Self::Finding(_) => "finding",
            Self::Exposure(_) => "exposure",
            Self::Echo(_) => "echo",
            Self::HandOver => "hand-over",
            Self::HandOverReply(_) => "hand-over-reply",
            Self::BatchFetch(_) => "batch-fetch",
            Self::Batches(_) => "batches",
            Self::Regrouped => "regrouped",
            Self::Later { message, .. } => message.kind(),
        }
    }

    fn kinds() -> Vec<&'static str> {
        let own = [
            "forward",
            "group-block",
            "group-ack",
            "group-commit",
            "group-fetch",
            "group-blocks",
            "council-update",
            "voice",
            "voice-share",
            "finding",
            "exposure",
            "echo",
            "hand-over",
            "hand-over-reply",
            "batch-fetch",
            "batches",
            "regrouped",
        ];
        [
            iraft::Message::kinds(),
            pbft::Message::kinds(),
            own.to_vec(),
        ]
        .concat()
    }

    fn size(&self) -> u32 {
        let content = match self {
            Self::Group(message) => return message.size(),
            Self::Committee { message, .. } => return message.size().saturating_add(2),
            Self::Request(transactions) => transactions.iter().map(|t| t.size()).sum(),
            Self::GroupBlock(block) => {
                (DIGEST_BYTES + SIGNATURE_BYTES + 26).saturating_add(block.block.size())
            }
            Self::GroupAck { .. } | Self::GroupCommit { .. } => DIGEST_BYTES + SIGNATURE_BYTES,
            Self::GroupFetch { .. } => 8,
            Self::GroupBlocks { blocks, .. } => blocks
                .iter()
                .fold(16, |sum: u32, block| sum.saturating_add(block.size())),
            Self::CouncilUpdate(update) => 32 + update.election.size(),
            Self::Voice {
                message, support, ..
            } => message.size().saturating_add(support.size()),
            Self::VoiceShare { voices, .. } => {
                8 + count(voices.len()) * (DIGEST_BYTES + SIGNATURE_BYTES)
            }
            Self::Finding(finding) => count(finding.true_words.len() + 1) * WORD_BYTES,
            Self::Exposure(exposure) => exposure.size(),
            Self::Echo(vote) => vote_size(vote),
            Self::HandOver | Self::Regrouped => 0,
            Self::Later { message, .. } => return message.size().saturating_add(8),
            Self::HandOverReply(memory) => memory.size(),
            Self::BatchFetch(wanted) => count(wanted.len()) * (8 + DIGEST_BYTES),
            Self::Batches(batches) => batches.iter().fold(0, |sum: u32, (_, batch)| {
                sum.saturating_add(8 + batch.size())
            }),
        };
        HEADER_BYTES.saturating_add(content)
    }

    fn signatures(&self) -> u32 {
        match self {
            Self::Group(message) => message.signatures(),
            Self::Committee { message, .. } => message.signatures(),
            Self::Request(_)
            | Self::GroupFetch { .. }
            | Self::GroupAck { .. }
            | Self::GroupCommit { .. }
            | Self::HandOver
            | Self::BatchFetch(_)
            | Self::Batches(_)
            | Self::Regrouped => 0,
            Self::Later { message, .. } => message.signatures(),
            Self::GroupBlock(block) => 1 + block.block.signatures(),
            Self::GroupBlocks { blocks, .. } => blocks.iter().map(Proven::signatures).sum(),
            Self::CouncilUpdate(update) => count(update.election.certificate.signers()),
            Self::Voice {
                message, support, ..
            } => message.signatures().saturating_add(support.signatures()),
            Self::VoiceShare { voices, .. } => count(voices.len()),
            Self::Finding(finding) => count(finding.true_words.len() + 1),
            Self::Exposure(exposure) => exposure.signatures(),
            Self::Echo(vote) => vote.signatures(),
            Self::HandOverReply(memory) => memory.signatures(),
        }
    }

    fn contradict(&self, liar: &Signer) -> Option<Self> {
        match self {
            Self::Group(message) => Some(Self::Group(Box::new(message.contradict(liar)?))),
            Self::Committee { seat, message } => Some(Self::Committee {
                seat: *seat,
                message: Box::new(message.contradict(&liar.for_seat(*seat))?),
            }),
            Self::GroupBlock(told) => Some(Self::GroupBlock(Box::new(told.contradict(liar)?))),
            // Each is told to apply what it was handed.
            Self::GroupCommit { height, told, .. } => {
                let told = pbft::opposite(told)?;
                Some(Self::GroupCommit {
                    height: *height,
                    digest: told.digest(),
                    told,
                })
            }
            Self::Voice {
                number,
                message,
                support,
            } => Some(Self::Voice {
                number: *number,
                message: Arc::new(message.contradict(&liar.for_seat(message.speaker()?))?),
                support: Box::new(Support {
                    batch: support.batch.as_ref().and_then(pbft::opposite),
                    ..(**support).clone()
                }),
            }),
            // Claims another group's seat in a term that nobody has come to.
            Self::CouncilUpdate(update) => Some(Self::CouncilUpdate(Box::new(CouncilUpdate {
                group: usize::from(update.group == 0),
                term: update.term + 1_000,
                ..(**update).clone()
            }))),
            // These state nothing that another of the kind contradicts.
            Self::Request(_)
            | Self::GroupAck { .. }
            | Self::GroupFetch { .. }
            | Self::GroupBlocks { .. }
            | Self::VoiceShare { .. }
            | Self::Finding(_)
            | Self::Exposure(_)
            | Self::Echo(_)
            | Self::HandOver
            | Self::HandOverReply(_)
            | Self::BatchFetch(_)
            | Self::Batches(_)
            | Self::Regrouped => None,
            Self::Later { epoch, message } => Some(Self::Later {
                epoch: *epoch,
                message: Box::new(message.contradict(liar)?),
            }),
        }
    }

    fn forge(&self, liar: &Signer, victim: NodeId) -> Option<Self> {
        Some(match self {
            Self::Group(message) => Self::Group(Box::new(message.forge(liar, victim)?)),
            Self::Committee { seat, message } => Self::Committee {
                seat: *seat,
                message: Box::new(message.forge(liar, *seat)?),
            },
            Self::GroupBlock(told) => Self::GroupBlock(Box::new(GroupBlock {
                statement: liar.garbage(*told.statement.body(), victim),
                ..(**told).clone()
            })),
            Self::Later { epoch, message } => Self::Later {
                epoch: *epoch,
                message: Box::new(message.forge(liar, victim)?),
            },
            Self::Request(_)
            | Self::GroupAck { .. }
            | Self::GroupCommit { .. }
            | Self::GroupFetch { .. }
            | Self::GroupBlocks { .. }
            | Self::CouncilUpdate(_)
            | Self::Voice { .. }
            | Self::VoiceShare { .. }
            | Self::Finding(_)
            | Self::Exposure(_)
            | Self::Echo(_)
            | Self::HandOver
            | Self::HandOverReply(_)
            | Self::BatchFetch(_)
            | Self::Batches(_)
            | Self::Regrouped => return None,
        })
    }

    fn inflate(&self, liar: &Signer, by: u64) -> Option<Self> {
        Some(match self {
            Self::Group(message) => Self::Group(Box::new(message.inflate(liar, by)?)),
            Self::Committee { seat, message } => Self::Committee {
                seat: *seat,
                message: Box::new(message.inflate(&liar.for_seat(*seat), by)?),
            },
            Self::CouncilUpdate(update) => Self::CouncilUpdate(Box::new(CouncilUpdate {
                term: update.term.saturating_add(by),
                view: update.view.saturating_add(by),
                ..(**update).clone()
            })),
            Self::Later { epoch, message } => Self::Later {
                epoch: *epoch,
                message: Box::new(message.inflate(liar, by)?),
            },
            Self::Request(_)
            | Self::GroupBlock(_)
            | Self::GroupAck { .. }
            | Self::GroupCommit { .. }
            | Self::GroupFetch { .. }
            | Self::GroupBlocks { .. }
            | Self::Voice { .. }
            | Self::VoiceShare { .. }
            | Self::Finding(_)
            | Self::Exposure(_)
            | Self::Echo(_)
            | Self::HandOver
            | Self::HandOverReply(_)
            | Self::BatchFetch(_)
            | Self::Batches(_)
            | Self::Regrouped => return None,
        })
    }
}
