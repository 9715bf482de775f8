//! What MBFT replicas say to one another, and what they sign.

use std::sync::Arc;

use super::head::Head;
use super::large::{Certified, Large};
use super::mini::{Mini, Phase, Vote};
use super::register::views_of;
use super::system::System;
use crate::base::crypto::{
    Body, Certificate, DIGEST_BYTES, Digest, Hasher, SIGNATURE_BYTES, Signed, Signer,
};
use crate::base::node::NodeId;
use crate::chain::{Batch, Height, Transaction};
use crate::protocol::oath::{Notary, Reader, Registrar};
use crate::protocol::pbft::{self, opposite};
use crate::protocol::{Holding, Listener, Statement, To, Wire};

/// A member of a group wants the next primary, and says what it knows of the open slot.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupChange {
    /// The epoch.
    pub epoch: u32,
    /// The group.
    pub group: u16,
    /// The view it wants.
    pub view: u64,
    /// The open slot: the one after the last in its chain.
    pub slot: u64,
    /// What it accepted there last: the primary's signed word and the mini-block.
    pub accepted: Option<(Signed<Vote>, Arc<Mini>)>,
    /// The mini-block of which it can prove that a quorum accepted it there in the latest view.
    pub proven: Option<Certified>,
}

impl GroupChange {
    fn size(&self) -> u32 {
        let accepted = self.accepted.iter();
        let accepted = accepted.map(|(_, mini)| VOTE_BYTES.saturating_add(mini.size()));
        let proven = self.proven.iter();
        let proven = proven.map(certified_size);
        accepted
            .chain(proven)
            .fold(24 + SIGNATURE_BYTES, u32::saturating_add)
    }

    fn signatures(&self) -> u32 {
        let proven = self.proven.as_ref();
        let proven = proven.map_or(0, |(_, proof)| proof.signers());
        1 + u32::from(self.accepted.is_some()) + count(proven)
    }
}

impl Body for GroupChange {
    fn digest(&self) -> Digest {
        let mut hasher = Hasher::new("mbft group change")
            .number(u64::from(self.epoch))
            .number(u64::from(self.group))
            .number(self.view)
            .number(self.slot);
        if let Some((vote, _)) = &self.accepted {
            hasher = hasher.part(b"accepted").digest(&vote.body().digest());
        }
        if let Some((_, proof)) = &self.proven {
            hasher = hasher.part(b"proof").digest(&proof.body().digest());
        }
        hasher.finish()
    }
}

/// The new primary of a group opens its view: why it may. What it orders first follows from that.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupView {
    /// The epoch.
    pub epoch: u32,
    /// The group.
    pub group: u16,
    /// The view.
    pub view: u64,
    /// A quorum that wants it.
    pub changes: Vec<Arc<Signed<GroupChange>>>,
}

impl Body for GroupView {
    fn digest(&self) -> Digest {
        let hasher = Hasher::new("mbft group view")
            .number(u64::from(self.epoch))
            .number(u64::from(self.group))
            .number(self.view);
        let changes = self.changes.iter();
        changes
            .fold(hasher, |hasher, change| {
                let by = u64::from(change.by().0);
                hasher.number(by).digest(&change.body().digest())
            })
            .finish()
    }
}

/// A large block with the proof that the upper group agreed on it.
#[derive(Clone, Debug)]
pub struct Published {
    /// The block.
    pub batch: Batch,
    /// A quorum of the upper group's commits.
    pub proof: Arc<Certificate<pbft::Vote>>,
}

/// What replicas say.
#[derive(Clone, Debug)]
pub enum Message {
    /// Transactions of clients, for the group they belong to.
    Forward(Vec<Arc<Transaction>>),
    /// The primary of a group puts a mini-block at its next slot.
    Order {
        /// The primary's vote for it.
        vote: Signed<Vote>,
        /// The mini-block.
        mini: Arc<Mini>,
    },
    /// A member accepts a mini-block.
    Accept(Signed<Vote>),
    /// The primary shows that a quorum has accepted, because not all answered in time.
    CommitRequest(Arc<Certificate<Vote>>),
    /// A member has seen that.
    LocalCommit(Signed<Vote>),
    /// A certified mini-block, for the upper group.
    MiniBlock {
        /// The mini-block.
        mini: Arc<Mini>,
        /// Its certificate.
        proof: Arc<Certificate<Vote>>,
    },
    /// The primary of a group is overdue.
    GroupChange(Arc<Signed<GroupChange>>),
    /// The new primary of a group opens its view.
    GroupView(Arc<Signed<GroupView>>),
    /// The upper group agrees on a large block.
    Upper {
        /// The epoch of the upper group.
        epoch: u32,
        /// What its PBFT says.
        message: pbft::Message,
        /// With a proposal, the mini-blocks in it if not all members have been sent them.
        carried: Vec<Certified>,
    },
    /// A primary's vote for its proposal, which somebody else contradicts.
    Echo(Box<Signed<pbft::Vote>>),
    /// A large block, for those outside the upper group.
    Large(Published),
    /// Something for the chain itself.
    System(Signed<System>),
    /// A member of the upper group lacks mini-blocks of a proposal.
    FetchMinis(Vec<Digest>),
    /// A node lacks what follows this height.
    Fetch {
        /// The height it has reached.
        above: Height,
    },
    /// What a node lacks, in order.
    Blocks(Vec<Published>),
    /// A mini-block that another member of its group lacks.
    Body(Arc<Mini>),
}

/// A vote with its signature.
const VOTE_BYTES: u32 = 140;
/// The type of a message and its length.
const HEADER_BYTES: u32 = 8;

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A statement, a bitmap of who signed it, and the signatures.
fn certificate_size<B: Body>(certificate: &Certificate<B>) -> u32 {
    40 + DIGEST_BYTES + SIGNATURE_BYTES * count(certificate.signers())
}

impl Published {
    fn size(&self) -> u32 {
        let proof = certificate_size(&*self.proof);
        proof.saturating_add(self.batch.size())
    }

    fn signatures(&self) -> u32 {
        count(self.proof.signers())
    }
}

/// A message of the upper group's PBFT: a proposal names mini-blocks in place of their bodies,
/// which the members have or fetch, unless it carries them.
fn upper_size(message: &pbft::Message, carried: &[Certified]) -> u32 {
    let mut size = message.size();
    if let pbft::Message::PrePrepare { batch, .. } = message {
        let transactions = batch.transactions().iter();
        size -= transactions
            .map(|transaction| transaction.size())
            .sum::<u32>();
    }
    carried
        .iter()
        .fold(size, |size, mini| size.saturating_add(certified_size(mini)))
}

/// Signatures in the annex of a proposal.
fn large_signatures(message: &pbft::Message) -> u32 {
    let pbft::Message::PrePrepare { batch, .. } = message else {
        return 0;
    };
    batch.annex::<Large>().map_or(0, Large::signatures)
}

fn certified_size((mini, proof): &Certified) -> u32 {
    certificate_size(&**proof).saturating_add(mini.size())
}

/// A view of a group, with the epoch above.
fn view_in(epoch: u32, view: u64) -> u64 {
    views_of(epoch).first + view
}

impl Wire for Message {
    /// A member accepts one mini-block at a slot of a view, in each round, and none in a view that
    /// it has asked to leave; the upper group speaks as in PBFT.
    fn statements(&self, me: NodeId, to: &To, say: Listener<'_>) {
        match self {
            Self::Order { vote, .. } | Self::Accept(vote) | Self::LocalCommit(vote) => {
                let body = vote.body();
                let kind = match body.phase {
                    Phase::Speculative => "speculative",
                    Phase::Local => "local",
                };
                say(Statement::Holds(Holding {
                    by: vote.by(),
                    kind,
                    view: view_in(body.epoch, body.view),
                    place: body.slot,
                    what: body.mini.prefix(),
                }));
            }
            Self::GroupChange(change) => say(Statement::Leaves {
                by: change.by(),
                view: view_in(change.body().epoch, change.body().view),
            }),
            Self::Upper { message, .. } => message.statements(me, to, say),
            _ => {}
        }
    }

    /// What the upper group says decides blocks, and what is said within a group none.
    fn oaths(&self, notary: &Notary<'_>, swear: Registrar<'_>) {
        let notary = notary.among_some();
        match self {
            Self::Upper { message, .. } => message.oaths(&notary, swear),
            Self::Echo(vote) => {
                let notary = &notary;
                Reader { notary, swear }.word(vote);
            }
            _ => {}
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Forward(_) => "forward",
            Self::Order { .. } => "order-request",
            Self::Accept(_) => "speculative-reply",
            Self::CommitRequest(_) => "commit-request",
            Self::LocalCommit(_) => "local-commit",
            Self::MiniBlock { .. } => "mini-block",
            Self::GroupChange(_) => "group-view-change",
            Self::GroupView(_) => "group-new-view",
            Self::Upper { message, .. } => message.kind(),
            Self::Echo(_) => "echo",
            Self::Large(_) => "large-block",
            Self::System(signed) => signed.body().kind(),
            Self::FetchMinis(_) => "fetch-mini-blocks",
            Self::Fetch { .. } => "fetch-large-blocks",
            Self::Blocks(_) => "large-blocks",
            Self::Body(_) => "missed-mini-block",
        }
    }

    fn kinds() -> Vec<&'static str> {
        let own = [
            "forward",
            "order-request",
            "speculative-reply",
            "commit-request",
            "local-commit",
            "mini-block",
            "group-view-change",
            "group-new-view",
            "echo",
            "large-block",
            "fetch-mini-blocks",
            "fetch-large-blocks",
            "large-blocks",
            "missed-mini-block",
        ];
        [&own[..], &System::KINDS, &pbft::Message::kinds()].concat()
    }

    fn size(&self) -> u32 {
        let content = match self {
            Self::Forward(transactions) => transactions.iter().map(|t| t.size()).sum(),
            Self::Order { mini, .. } => VOTE_BYTES.saturating_add(mini.size()),
            Self::Accept(_) | Self::LocalCommit(_) => VOTE_BYTES,
            Self::CommitRequest(proof) => certificate_size(proof),
            Self::MiniBlock { mini, proof } => certificate_size(proof).saturating_add(mini.size()),
            Self::GroupChange(change) => change.body().size(),
            Self::GroupView(view) => {
                let changes = view
                    .body()
                    .changes
                    .iter()
                    .map(|change| change.body().size());
                changes.fold(24 + SIGNATURE_BYTES, u32::saturating_add)
            }
            Self::Upper {
                message, carried, ..
            } => 4 + upper_size(message, carried),
            Self::Echo(_) => pbft::VOTE_BYTES,
            Self::Large(published) => published.size(),
            Self::System(signed) => signed.body().size(),
            Self::Body(mini) => mini.size(),
            Self::FetchMinis(digests) => DIGEST_BYTES * count(digests.len()),
            Self::Fetch { .. } => 8,
            Self::Blocks(blocks) => {
                let sizes = blocks.iter().map(Published::size);
                sizes.fold(8, u32::saturating_add)
            }
        };
        HEADER_BYTES.saturating_add(content)
    }

    fn signatures(&self) -> u32 {
        match self {
            Self::Forward(_) | Self::FetchMinis(_) | Self::Fetch { .. } | Self::Body(_) => 0,
            Self::Order { mini, .. } => 1 + mini.batch.signatures(),
            Self::Accept(_) | Self::LocalCommit(_) | Self::Echo(_) => 1,
            Self::CommitRequest(proof) | Self::MiniBlock { proof, .. } => count(proof.signers()),
            Self::GroupChange(change) => change.body().signatures(),
            Self::GroupView(view) => {
                let changes = view.body().changes.iter();
                1 + changes
                    .map(|change| change.body().signatures())
                    .sum::<u32>()
            }
            Self::Upper {
                message, carried, ..
            } => {
                let signers = carried.iter().map(|(_, proof)| proof.signers());
                message.signatures() + count(signers.sum()) + large_signatures(message)
            }
            Self::Large(published) => published.signatures(),
            Self::System(signed) => 1 + signed.body().signatures(),
            Self::Blocks(blocks) => blocks.iter().map(Published::signatures).sum(),
        }
    }

    fn contradict(&self, liar: &Signer) -> Option<Self> {
        match self {
            Self::Order { vote, mini } => {
                let mini = backwards(mini)?;
                let vote = liar.sign(mini.vote(vote.body().phase, vote.body().view));
                Some(Self::Order { vote, mini })
            }
            Self::GroupChange(change) => {
                let body = change.body();
                body.accepted.as_ref()?;
                let forgetful = GroupChange {
                    accepted: None,
                    proven: None,
                    ..body.clone()
                };
                Some(Self::GroupChange(Arc::new(liar.sign(forgetful))))
            }
            Self::Upper {
                epoch,
                message,
                carried,
            } => Some(Self::Upper {
                epoch: *epoch,
                message: contradicted(message, liar)?,
                carried: carried.clone(),
            }),
            Self::Large(published) => {
                let batch = match published.batch.annex::<Head>() {
                    Some(head) => head.twin(),
                    None => published.batch.annex::<Large>()?.twin(&published.batch),
                };
                let proof = published.proof.clone();
                Some(Self::Large(Published { batch, proof }))
            }
            Self::System(signed) => match signed.body() {
                System::Reveal { epoch, secret } => {
                    let secret = Hasher::new("lie").digest(secret).finish();
                    let epoch = *epoch;
                    let lie = System::Reveal { epoch, secret };
                    Some(Self::System(liar.sign(lie)))
                }
                System::Commit { .. }
                | System::Share { .. }
                | System::Forged(_)
                | System::Conflict(_)
                | System::DoubleVote(_)
                | System::Backlog { .. }
                | System::Ready { .. } => None,
            },
            // Certificates cannot be contradicted, votes for what was never sent count for
            // nothing, and the rest states nothing.
            Self::Forward(_)
            | Self::Accept(_)
            | Self::CommitRequest(_)
            | Self::LocalCommit(_)
            | Self::MiniBlock { .. }
            | Self::GroupView(_)
            | Self::Echo(_)
            | Self::FetchMinis(_)
            | Self::Fetch { .. }
            | Self::Blocks(_)
            | Self::Body(_) => None,
        }
    }

    fn forge(&self, liar: &Signer, victim: NodeId) -> Option<Self> {
        Some(match self {
            Self::Order { vote, mini } => Self::Order {
                vote: liar.garbage(*vote.body(), victim),
                mini: mini.clone(),
            },
            Self::Accept(vote) => Self::Accept(liar.garbage(*vote.body(), victim)),
            Self::LocalCommit(vote) => Self::LocalCommit(liar.garbage(*vote.body(), victim)),
            Self::GroupChange(change) => {
                Self::GroupChange(Arc::new(liar.garbage(change.body().clone(), victim)))
            }
            Self::GroupView(view) => {
                Self::GroupView(Arc::new(liar.garbage(view.body().clone(), victim)))
            }
            Self::Upper {
                epoch,
                message,
                carried,
            } => Self::Upper {
                epoch: *epoch,
                message: message.forge(liar, victim)?,
                carried: carried.clone(),
            },
            Self::System(signed) => Self::System(liar.garbage(signed.body().clone(), victim)),
            Self::Forward(_)
            | Self::CommitRequest(_)
            | Self::MiniBlock { .. }
            | Self::Large(_)
            | Self::Echo(_)
            | Self::FetchMinis(_)
            | Self::Fetch { .. }
            | Self::Blocks(_)
            | Self::Body(_) => return None,
        })
    }

    fn inflate(&self, liar: &Signer, by: u64) -> Option<Self> {
        let later = |vote: &Signed<Vote>| {
            let view = vote.body().view.saturating_add(by);
            liar.sign(Vote {
                view,
                ..*vote.body()
            })
        };
        Some(match self {
            Self::Order { vote, mini } => Self::Order {
                vote: later(vote),
                mini: mini.clone(),
            },
            Self::Accept(vote) => Self::Accept(later(vote)),
            Self::LocalCommit(vote) => Self::LocalCommit(later(vote)),
            Self::GroupChange(change) => Self::GroupChange(Arc::new(liar.sign(GroupChange {
                view: change.body().view.saturating_add(by),
                ..change.body().clone()
            }))),
            Self::GroupView(view) => Self::GroupView(Arc::new(liar.sign(GroupView {
                view: view.body().view.saturating_add(by),
                ..view.body().clone()
            }))),
            Self::Upper {
                epoch,
                message,
                carried,
            } => Self::Upper {
                epoch: *epoch,
                message: message.inflate(liar, by)?,
                carried: carried.clone(),
            },
            Self::Forward(_)
            | Self::CommitRequest(_)
            | Self::MiniBlock { .. }
            | Self::Large(_)
            | Self::System(_)
            | Self::Echo(_)
            | Self::FetchMinis(_)
            | Self::Fetch { .. }
            | Self::Blocks(_)
            | Self::Body(_) => return None,
        })
    }
}

/// The mini-block that a lying primary sends to the others: the same transactions backwards.
fn backwards(mini: &Mini) -> Option<Arc<Mini>> {
    let last = u32::try_from(mini.batch.len()).ok()?.checked_sub(1)?;
    let doubtful = mini.doubtful.iter().rev();
    let doubtful = doubtful.map(|place| last - place).collect();
    let mini = Mini {
        batch: opposite(&mini.batch)?,
        doubtful,
        ..mini.clone()
    };
    Some(mini.sealed())
}

/// The lie of a member of the upper group: its votes are for the twin of the block.
fn contradicted(message: &pbft::Message, liar: &Signer) -> Option<pbft::Message> {
    let twin = |batch: &Batch| Some(batch.annex::<Large>()?.twin(batch));
    let revoted = |vote: &Signed<pbft::Vote>, batch: &Batch| {
        liar.sign(pbft::Vote {
            digest: batch.digest(),
            ..*vote.body()
        })
    };
    match message {
        pbft::Message::PrePrepare { vote, batch } => {
            let batch = twin(batch)?;
            let vote = revoted(vote, &batch);
            Some(pbft::Message::PrePrepare { vote, batch })
        }
        pbft::Message::Prepare { vote, batch } => {
            let batch = twin(batch.as_ref()?)?;
            let vote = revoted(vote, &batch);
            let batch = Some(batch);
            Some(pbft::Message::Prepare { vote, batch })
        }
        pbft::Message::Commit { vote, batch } => {
            let batch = twin(batch.as_ref()?)?;
            let vote = revoted(vote, &batch);
            let batch = Some(batch);
            Some(pbft::Message::Commit { vote, batch })
        }
        pbft::Message::Checkpoint(_)
        | pbft::Message::ViewChange { .. }
        | pbft::Message::NewView(_)
        | pbft::Message::Forward(_)
        | pbft::Message::Status { .. }
        | pbft::Message::Fetch(_)
        | pbft::Message::Blocks(_) => message.contradict(liar),
    }
}
