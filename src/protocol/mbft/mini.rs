//! Mini-blocks: what a group agrees on, and the two certificates that prove it.

use std::sync::Arc;

use super::roles::Roles;
use crate::base::crypto::{Body, Certificate, Digest, Hasher, Keyring};
use crate::base::node::Committee;
use crate::chain::{Batch, Height};

/// Transactions of one group at its next slot.
#[derive(Clone, Debug)]
pub struct Mini {
    /// The epoch in whose roles the group exists.
    pub epoch: u32,
    /// The group.
    pub group: u16,
    /// The place among the group's mini-blocks of the epoch, from 1.
    pub slot: u64,
    /// The digest of the mini-block in the slot before; zero for the first.
    pub previous: Digest,
    /// The height of the chain at which it was put together.
    pub base: Height,
    /// The transactions.
    pub batch: Batch,
    /// Positions of transactions whose signatures the group does not answer for, ascending: whoever
    /// executes them verifies them.
    pub doubtful: Vec<u32>,
    /// The digest of all of it.
    pub digest: Digest,
}

impl Mini {
    /// A mini-block with its digest.
    #[must_use]
    pub fn sealed(mut self) -> Arc<Self> {
        let hasher = Hasher::new("mbft mini-block")
            .number(u64::from(self.epoch))
            .number(u64::from(self.group))
            .number(self.slot)
            .digest(&self.previous)
            .number(self.base)
            .digest(&self.batch.digest());
        let doubtful = self.doubtful.iter();
        let hasher = doubtful.fold(hasher, |hasher, place| hasher.number(u64::from(*place)));
        self.digest = hasher.finish();
        Arc::new(self)
    }

    /// Bytes on the wire.
    pub fn size(&self) -> u32 {
        let doubtful = 4 * u32::try_from(self.doubtful.len()).unwrap_or(u32::MAX);
        HEAD_BYTES
            .saturating_add(self.batch.size())
            .saturating_add(doubtful)
    }

    /// What a member of its group signs.
    pub fn vote(&self, phase: Phase, view: u64) -> Vote {
        Vote {
            phase,
            epoch: self.epoch,
            group: self.group,
            slot: self.slot,
            view,
            mini: self.digest,
        }
    }
}

impl PartialEq for Mini {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

/// The head of a mini-block on the wire.
const HEAD_BYTES: u32 = 140;

/// The two rounds of a group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// This mini-block, and no other, in this slot and view. The primary says so by proposing it.
    Speculative,
    /// A quorum has said so.
    Local,
}

/// One member's vote for a mini-block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vote {
    /// In which round.
    pub phase: Phase,
    /// In which epoch.
    pub epoch: u32,
    /// In which group.
    pub group: u16,
    /// At which slot.
    pub slot: u64,
    /// In which view of the group.
    pub view: u64,
    /// For which mini-block.
    pub mini: Digest,
}

impl Body for Vote {
    fn digest(&self) -> Digest {
        let domain = match self.phase {
            Phase::Speculative => "mbft speculative",
            Phase::Local => "mbft local",
        };
        Hasher::new(domain)
            .number(u64::from(self.epoch))
            .number(u64::from(self.group))
            .number(self.slot)
            .number(self.view)
            .digest(&self.mini)
            .finish()
    }
}

/// How many of a group have to sign in a round for the mini-block to be certified: in the first
/// all, in the second a quorum.
pub fn needed(phase: Phase, group: &Committee) -> usize {
    match phase {
        Phase::Speculative => group.n(),
        Phase::Local => group.quorum(),
    }
}

/// Whether a certificate proves a mini-block to those outside its group: all members signed in the
/// first round, or a quorum in the second. A quorum of the first round proves nothing.
pub fn is_certified(
    mini: &Mini,
    proof: &Certificate<Vote>,
    roles: &Roles,
    keyring: &Keyring,
) -> bool {
    let vote = proof.body();
    let Some(group) = roles.group(mini.group) else {
        return false;
    };
    mini.epoch == roles.epoch
        && *vote == mini.vote(vote.phase, vote.view)
        && proof.verify(group, needed(vote.phase, group), keyring)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::crypto::{Crypto, Signer};

    #[test]
    fn only_all_in_the_first_round_or_a_quorum_in_the_second_certify() {
        let roles = Roles::genesis(10, 4, 1, 6);
        let (signers, keyring) = Signer::mint(10, Crypto::Ed25519, 1);
        let mini = Mini {
            epoch: 0,
            group: 0,
            slot: 1,
            previous: Digest::ZERO,
            base: 0,
            batch: Batch::empty(),
            doubtful: Vec::new(),
            digest: Digest::ZERO,
        }
        .sealed();
        let certified = |phase, signed: usize, mini: &Mini, roles: &Roles| {
            let mut proof = Certificate::open(mini.vote(phase, 7));
            for signer in &signers[4..4 + signed] {
                proof.add(&signer.sign(*proof.body()), &roles.groups[0]);
            }
            is_certified(mini, &proof, roles, &keyring)
        };
        assert!(certified(Phase::Speculative, 6, &mini, &roles));
        assert!(!certified(Phase::Speculative, 5, &mini, &roles));
        assert!(certified(Phase::Local, 4, &mini, &roles), "(6 + 1 + 1) / 2");
        assert!(!certified(Phase::Local, 3, &mini, &roles));
        let mut later = roles.clone();
        later.epoch = 1;
        assert!(
            !certified(Phase::Local, 6, &mini, &later),
            "of another epoch"
        );
        let other = Mini {
            slot: 2,
            ..Mini::clone(&mini)
        };
        let mut proof = Certificate::open(mini.vote(Phase::Local, 0));
        for signer in &signers[4..] {
            proof.add(&signer.sign(*proof.body()), &roles.groups[0]);
        }
        assert!(!is_certified(&other.sealed(), &proof, &roles, &keyring));
    }
}
