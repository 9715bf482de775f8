//! What replicas sign. Everything that can convict a liar is a statement of one of these kinds.

use std::sync::Arc;

use crate::base::crypto::{Body, Certificate, Digest, Hasher};
use crate::base::node::NodeId;

/// A place of the log with everything before it: equal chains, equal logs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    /// The term: of the entry where a log is meant, of the votes where a certificate is.
    pub term: u64,
    /// The place, from 1; 0 is before the first entry.
    pub index: u64,
    /// The hash over the log up to and including the place.
    pub chain: Digest,
}

impl Mark {
    /// Whether this is at least as recent as the other: a later term, or the same and as far.
    pub fn is_up_to_date_with(&self, other: &Self) -> bool {
        (self.term, self.index) >= (other.term, other.index)
    }

    /// Adds it to a digest.
    pub(super) fn write(&self, hasher: Hasher) -> Hasher {
        let hasher = hasher.number(self.term).number(self.index);
        hasher.digest(&self.chain)
    }
}

/// The hash over a log that is one entry longer: h = H(h' ‖ term ‖ content).
pub fn link(previous: &Digest, term: u64, content: &Digest) -> Digest {
    let hasher = Hasher::new("iraft link").digest(previous);
    hasher.number(term).digest(content).finish()
}

/// A leader puts a content at a place. An honest leader of a term signs one header a place, and
/// each refers to the one before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The leader's term, and so the entry's.
    pub term: u64,
    /// The place.
    pub index: u64,
    /// The chain up to the place before.
    pub previous: Digest,
    /// The digest of what stands here.
    pub content: Digest,
}

impl Header {
    /// The chain up to and including this place.
    pub fn chain(&self) -> Digest {
        link(&self.previous, self.term, &self.content)
    }

    /// The place with everything before it.
    pub fn mark(&self) -> Mark {
        Mark {
            term: self.term,
            index: self.index,
            chain: self.chain(),
        }
    }
}

impl Body for Header {
    fn digest(&self) -> Digest {
        Hasher::new("iraft header")
            .number(self.term)
            .number(self.index)
            .digest(&self.previous)
            .digest(&self.content)
            .finish()
    }
}

/// "I have heard no leader for two thirds of an election time-out": a share of the evidence that
/// a later term may begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    /// The term that may begin.
    pub term: u64,
}

impl Body for Share {
    fn digest(&self) -> Digest {
        Hasher::new("iraft share").number(self.term).finish()
    }
}

/// A vote: "nothing that I know to be certified is beyond this mark". The candidate's own is its
/// request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ballot {
    /// The term to be led.
    pub term: u64,
    /// By whom.
    pub candidate: NodeId,
    /// How far the candidate has come, which binds it.
    pub mark: Mark,
}

impl Body for Ballot {
    fn digest(&self) -> Digest {
        let hasher = Hasher::new("iraft ballot").number(self.term);
        let hasher = hasher.number(u64::from(self.candidate.0));
        self.mark.write(hasher).finish()
    }
}

/// How far the voter itself had come when it voted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The term it voted in.
    pub term: u64,
    /// How far it had come.
    pub mark: Mark,
}

impl Body for Standing {
    fn digest(&self) -> Digest {
        let hasher = Hasher::new("iraft standing").number(self.term);
        self.mark.write(hasher).finish()
    }
}

/// The two rounds of votes on an entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    /// It is in my log, on disk.
    Prepare,
    /// I know that a quorum has said so, and will hold to it.
    Commit,
}

/// A follower's vote on an entry of the present leader's own term.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ack {
    /// In which round.
    pub stage: Stage,
    /// The term of the entry and of the leader.
    pub term: u64,
    /// The place.
    pub index: u64,
    /// The voter's log up to and including it.
    pub chain: Digest,
}

impl Ack {
    /// The place it speaks of.
    pub fn mark(&self) -> Mark {
        Mark {
            term: self.term,
            index: self.index,
            chain: self.chain,
        }
    }
}

impl Body for Ack {
    fn digest(&self) -> Digest {
        let domain = match self.stage {
            Stage::Prepare => "iraft prepare",
            Stage::Commit => "iraft commit",
        };
        self.mark().write(Hasher::new(domain)).finish()
    }
}

/// "This proves it": whoever says so of what proves nothing is convicted.
#[derive(Clone, PartialEq, Debug)]
pub struct Claim {
    /// The proof.
    pub certificate: Arc<Certificate<Ack>>,
}

impl Body for Claim {
    fn digest(&self) -> Digest {
        let certificate = &self.certificate;
        let hasher = Hasher::new("iraft claim").digest(&certificate.body().digest());
        let positions = certificate.positions().iter();
        positions.fold(hasher, |h, p| h.number(p as u64)).finish()
    }
}

/// "Requests wait and nothing happens": a suspicion, never a proof.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Complaint {
    /// The term.
    pub term: u64,
    /// Its leader.
    pub leader: NodeId,
    /// Whether an audit of the log led to it instead.
    pub audit: bool,
}

impl Body for Complaint {
    fn digest(&self) -> Digest {
        Hasher::new("iraft complaint")
            .number(self.term)
            .number(u64::from(self.leader.0))
            .number(u64::from(self.audit))
            .finish()
    }
}
