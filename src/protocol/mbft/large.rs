//! Large blocks: the mini-blocks of all groups merged into one batch, with an annex that says where
//! each comes from.

use std::sync::Arc;

use super::mini::{Mini, Phase, Vote};
use crate::base::crypto::{Certificate, Digest, Hasher};
use crate::base::node::PositionSet;
use crate::base::time::Time;
use crate::chain::{Annex, Batch, Height};

/// A mini-block in a large block. The body is known to whoever agrees on the block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MiniRef {
    /// The group.
    pub group: u16,
    /// Its slot.
    pub slot: u64,
    /// The digest of the mini-block.
    pub mini: Digest,
    /// The view of the group in which it was certified.
    pub view: u64,
    /// By which of the two certificates.
    pub phase: Phase,
    /// Who signed it.
    pub signers: PositionSet,
    /// How many transactions it has.
    pub count: u32,
}

impl MiniRef {
    /// The reference to a certified mini-block.
    pub fn of(mini: &Mini, proof: &Certificate<Vote>) -> Self {
        Self {
            group: mini.group,
            slot: mini.slot,
            mini: mini.digest,
            view: proof.body().view,
            phase: proof.body().phase,
            signers: proof.positions().clone(),
            count: u32::try_from(mini.batch.len()).unwrap_or(u32::MAX),
        }
    }

    fn digest(&self) -> Digest {
        let phase = match self.phase {
            Phase::Speculative => 0,
            Phase::Local => 1,
        };
        let hasher = Hasher::new("mbft reference")
            .number(u64::from(self.group))
            .number(self.slot)
            .digest(&self.mini)
            .number(self.view)
            .number(phase)
            .number(u64::from(self.count));
        let signers = self.signers.iter();
        let hasher = signers.fold(hasher, |hasher, position| hasher.number(position as u64));
        hasher.finish()
    }
}

/// What the upper group writes beside the transactions of a large block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Large {
    /// The height of the block.
    pub height: Height,
    /// The epoch whose upper group agrees on it.
    pub epoch: u32,
    /// The digest of the block before.
    pub previous: Digest,
    /// When it was proposed, in microseconds; later than the block before.
    pub micros: u64,
    /// The mini-blocks in it, in the order of groups, one of each at most.
    pub minis: Vec<MiniRef>,
    /// Whether the groups answer for the signatures in their mini-blocks.
    pub vouched: bool,
    /// Positions in the block that nobody answers for, ascending.
    doubtful: Vec<u32>,
}

/// The head of a large block on the wire, and each reference in it.
const HEAD_BYTES: u32 = 240;
const REFERENCE_BYTES: u32 = 88;

impl Annex for Large {
    fn digest(&self) -> Digest {
        let hasher = Hasher::new("mbft large block")
            .number(self.height)
            .number(u64::from(self.epoch))
            .digest(&self.previous)
            .number(self.micros)
            .number(u64::from(self.vouched));
        let minis = self.minis.iter();
        let hasher = minis.fold(hasher, |hasher, mini| hasher.digest(&mini.digest()));
        let doubtful = self.doubtful.iter();
        doubtful
            .fold(hasher, |hasher, place| hasher.number(u64::from(*place)))
            .finish()
    }

    fn size(&self) -> u32 {
        let minis = u32::try_from(self.minis.len()).unwrap_or(u32::MAX);
        HEAD_BYTES + REFERENCE_BYTES * minis + 4 * self.doubtful.len() as u32
    }

    fn vouches(&self, position: usize) -> bool {
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        self.vouched && self.doubtful.binary_search(&position).is_err()
    }
}

/// A certified mini-block.
pub type Certified = (Arc<Mini>, Arc<Certificate<Vote>>);

/// The place of a large block: height, epoch and the digest of the block before.
pub type Place = (Height, u32, Digest);

/// Merges mini-blocks, in the order of their groups, into a large block.
pub fn merge(place: Place, now: Time, vouched: bool, minis: &[Certified]) -> Batch {
    let (height, epoch, previous) = place;
    let large = Large {
        height,
        epoch,
        previous,
        micros: now.nanos() / 1_000,
        minis: minis
            .iter()
            .map(|(mini, proof)| MiniRef::of(mini, proof))
            .collect(),
        vouched,
        doubtful: Vec::new(),
    };
    let bodies = minis.iter().map(|(mini, _)| mini);
    large.with(bodies)
}

impl Large {
    /// The batch of this annex and these bodies, one for each reference.
    pub fn with<'m>(mut self, bodies: impl Iterator<Item = &'m Arc<Mini>>) -> Batch {
        let mut transactions = Vec::new();
        self.doubtful.clear();
        for body in bodies {
            let before = transactions.len() as u32;
            let doubtful = body.doubtful.iter();
            self.doubtful.extend(doubtful.map(|place| before + place));
            transactions.extend(body.batch.transactions().iter().cloned());
        }
        Batch::with_annex(transactions, Arc::new(self))
    }

    /// The nearest other block of the same content: proposed in the microsecond beside. Its own
    /// twin is this one again.
    #[must_use]
    pub fn twin(&self, batch: &Batch) -> Batch {
        let large = Self {
            micros: self.micros ^ 1,
            ..self.clone()
        };
        Batch::with_annex(batch.transactions().to_vec(), Arc::new(large))
    }
}
