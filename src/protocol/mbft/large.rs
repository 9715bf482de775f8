//! Large blocks: the mini-blocks of all groups merged into one batch, with an annex that says where
//! each comes from.

use std::sync::Arc;

use super::mini::{Mini, Phase, Vote};
use super::system::System;
use crate::base::crypto::{Body, Certificate, Digest, Hasher, SIGNATURE_BYTES, Signed};
use crate::base::node::PositionSet;
use crate::base::time::Time;
use crate::chain::{Annex, Batch, Height};
use crate::protocol::pbft;

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

/// A certified mini-block.
pub type Certified = (Arc<Mini>, Arc<Certificate<Vote>>);

/// What the upper group writes beside the transactions of a large block.
#[derive(Clone, PartialEq, Debug)]
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
    /// The digest of everybody's credit before this block.
    pub credit: Digest,
    /// What nodes have said to the chain itself.
    pub system: Vec<Signed<System>>,
    /// Who of the upper group has committed to the block before, with their signatures; none in the
    /// first block of an epoch.
    pub last: Option<Arc<Certificate<pbft::Vote>>>,
    /// Whether the groups answer for the signatures in their mini-blocks.
    pub vouched: bool,
    /// Positions in the block that nobody answers for, ascending. Made with the content.
    pub doubtful: Vec<u32>,
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
        let hasher = hasher.digest(&self.credit).number(self.system.len() as u64);
        let hasher = self.system.iter().fold(hasher, |hasher, signed| {
            let hasher = hasher
                .number(u64::from(signed.by().0))
                .number(signed.mark());
            hasher.digest(&signed.body().digest())
        });
        let hasher = match &self.last {
            None => hasher.part(b"first"),
            Some(proof) => {
                let hasher = hasher.digest(&proof.body().digest());
                let signers = proof.positions().iter();
                signers.fold(hasher, |hasher, position| hasher.number(position as u64))
            }
        };
        let doubtful = self.doubtful.iter();
        doubtful
            .fold(hasher, |hasher, place| hasher.number(u64::from(*place)))
            .finish()
    }

    fn size(&self) -> u32 {
        let minis = u32::try_from(self.minis.len()).unwrap_or(u32::MAX);
        let last = self.last.as_ref().map_or(0, |proof| proof.signers());
        let system = self.system.iter().map(|signed| signed.body().size());
        system.fold(
            HEAD_BYTES
                + REFERENCE_BYTES * minis
                + SIGNATURE_BYTES * last as u32
                + 4 * self.doubtful.len() as u32,
            u32::saturating_add,
        )
    }

    fn vouches(&self, position: usize) -> bool {
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        self.vouched && self.doubtful.binary_search(&position).is_err()
    }
}

impl Large {
    /// When it was proposed.
    pub fn time(&self) -> Time {
        Time::from_nanos(self.micros.saturating_mul(1_000))
    }

    /// Signatures that whoever votes for the block verifies: those of statements, and those of the
    /// block before.
    pub fn signatures(&self) -> u32 {
        let system = self
            .system
            .iter()
            .map(|signed| 1 + signed.body().signatures());
        let last = self.last.as_ref().map_or(0, |proof| proof.signers());
        system.sum::<u32>() + last as u32
    }

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
