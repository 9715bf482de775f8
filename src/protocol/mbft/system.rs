//! What nodes say to the chain itself: secrets for the next draw, evidence, and which groups are
//! missed.

use super::large::Certified;
use super::mini::Vote;
use super::register::epoch_of;
use super::shamir::{Dealing, Share};
use crate::base::crypto::{Body, DIGEST_BYTES, Digest, Hasher, SIGNATURE_BYTES, Signed};
use crate::base::node::NodeId;
use crate::protocol::pbft;

/// A statement for the chain.
#[derive(Clone, PartialEq, Debug)]
pub enum System {
    /// The signer has chosen a secret, and deals it to all.
    Commit {
        /// The epoch that ends with the draw.
        epoch: u32,
        /// The digest of the secret.
        commitment: Digest,
        /// Shares of the secret, if they are to restore it.
        dealing: Option<Dealing>,
        /// How many nodes are dealt a share.
        holders: u16,
    },
    /// The signer's secret.
    Reveal {
        /// The epoch.
        epoch: u32,
        /// The secret.
        secret: Digest,
    },
    /// The signer's share of somebody else's secret.
    Share {
        /// The epoch.
        epoch: u32,
        /// Whose secret it is.
        of: NodeId,
        /// The share.
        share: Share,
    },
    /// A group answers for signatures that do not hold.
    Forged(Box<Certified>),
    /// A member of a group has signed two mini-blocks of one slot in one view.
    Conflict(Box<(Signed<Vote>, Signed<Vote>)>),
    /// A member of the upper group has cast two votes for one place in one view and phase.
    DoubleVote(Box<(Signed<pbft::Vote>, Signed<pbft::Vote>)>),
    /// Requests for a group wait, and its mini-blocks do not come.
    Backlog {
        /// The epoch.
        epoch: u32,
        /// The group.
        group: u16,
    },
    /// The signer's group was suspended, and the signer is there.
    Ready {
        /// The epoch.
        epoch: u32,
        /// The group.
        group: u16,
    },
}

/// What makes two statements of one signer the same.
pub type Key = (u8, NodeId, u64);

impl System {
    /// The epoch it is made for.
    pub fn epoch(&self) -> u32 {
        match self {
            Self::Commit { epoch, .. }
            | Self::Reveal { epoch, .. }
            | Self::Share { epoch, .. }
            | Self::Backlog { epoch, .. }
            | Self::Ready { epoch, .. } => *epoch,
            Self::Forged(proven) => proven.0.epoch,
            Self::Conflict(votes) => votes.0.body().epoch,
            Self::DoubleVote(votes) => epoch_of(votes.0.body().view),
        }
    }

    /// What it is about: a signer says each once, and evidence counts once whoever shows it.
    pub fn key(&self, by: NodeId) -> Key {
        match self {
            Self::Commit { .. } => (0, by, 0),
            Self::Reveal { .. } => (1, by, 0),
            Self::Share { of, .. } => (2, by, u64::from(of.0)),
            Self::Forged(proven) => (3, NodeId(proven.0.group), proven.0.slot),
            Self::Conflict(votes) => (6, votes.0.by(), 0),
            Self::DoubleVote(votes) => (7, votes.0.by(), 0),
            Self::Backlog { group, .. } => (4, by, u64::from(*group)),
            Self::Ready { .. } => (5, by, 0),
        }
    }

    /// The name of the message that carries it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Commit { .. } => "commitment",
            Self::Reveal { .. } => "disclosure",
            Self::Share { .. } => "extra-disclosure",
            Self::Forged(_) | Self::Conflict(_) | Self::DoubleVote(_) => "evidence",
            Self::Backlog { .. } => "backlog",
            Self::Ready { .. } => "ready",
        }
    }

    /// All of them.
    pub const KINDS: [&'static str; 6] = [
        "commitment",
        "disclosure",
        "extra-disclosure",
        "evidence",
        "backlog",
        "ready",
    ];

    /// Bytes on the wire, with a signature.
    pub fn size(&self) -> u32 {
        let content = match self {
            Self::Commit {
                dealing, holders, ..
            } => {
                let share = 3 * DIGEST_BYTES;
                let shares = dealing.as_ref().map_or(0, |_| u32::from(*holders) * share);
                DIGEST_BYTES + shares
            }
            Self::Reveal { .. } => DIGEST_BYTES,
            Self::Share { .. } => 2 + DIGEST_BYTES,
            Self::Forged(proven) => {
                let signers = u32::try_from(proven.1.signers()).unwrap_or(u32::MAX);
                let proof = 72 + SIGNATURE_BYTES * signers;
                proven.0.size().saturating_add(proof)
            }
            Self::Conflict(_) => 280,
            Self::DoubleVote(_) => 2 * pbft::VOTE_BYTES,
            Self::Backlog { .. } | Self::Ready { .. } => 2,
        };
        content.saturating_add(8 + SIGNATURE_BYTES)
    }

    /// Signatures in it besides the signer's.
    pub fn signatures(&self) -> u32 {
        match self {
            Self::Forged(forged) => {
                let (proven, proof) = &**forged;
                let signers = u32::try_from(proof.signers()).unwrap_or(u32::MAX);
                signers + proven.batch.signatures()
            }
            Self::Conflict(_) | Self::DoubleVote(_) => 2,
            Self::Commit { .. }
            | Self::Reveal { .. }
            | Self::Share { .. }
            | Self::Backlog { .. }
            | Self::Ready { .. } => 0,
        }
    }
}

impl Body for System {
    fn digest(&self) -> Digest {
        let hasher = Hasher::new("mbft system").part(self.kind().as_bytes());
        let hasher = hasher.number(u64::from(self.epoch()));
        match self {
            Self::Commit {
                commitment,
                dealing,
                holders,
                ..
            } => {
                let threshold = dealing.as_ref().map_or(0, Dealing::threshold);
                hasher
                    .digest(commitment)
                    .number(threshold as u64)
                    .number(u64::from(*holders))
                    .finish()
            }
            Self::Reveal { secret, .. } => hasher.digest(secret).finish(),
            Self::Share { of, share, .. } => {
                let hasher = hasher.number(u64::from(of.0));
                hasher.digest(&share.digest()).finish()
            }
            Self::Forged(proven) => hasher.digest(&proven.0.digest).finish(),
            Self::Conflict(votes) => pair(hasher, &votes.0, &votes.1),
            Self::DoubleVote(votes) => pair(hasher, &votes.0, &votes.1),
            Self::Backlog { group, .. } | Self::Ready { group, .. } => {
                hasher.number(u64::from(*group)).finish()
            }
        }
    }
}

/// The digest of two statements.
fn pair<B: Body>(hasher: Hasher, one: &Signed<B>, other: &Signed<B>) -> Digest {
    let hasher = hasher.digest(&one.body().digest());
    hasher.digest(&other.body().digest()).finish()
}
