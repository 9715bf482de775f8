//! What record nodes keep of every block: enough to check a record that anybody sends them.

use std::sync::Arc;

use super::config::{Config, Mutant};
use super::inner::Proof;
use super::topology::{Net, Topology};
use crate::base::crypto::{DIGEST_BYTES, Digest, Hasher, Keyring, SIGNATURE_BYTES};
use crate::base::node::NodeId;
use crate::chain::{Annex, Batch, Block, Height, Transaction};
use crate::contract::message::RecordId;

/// What a network writes into its chain beside transactions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// The transaction at a position was decided by another network first.
    Foreign {
        /// The position in the batch.
        position: u32,
        /// The other network.
        from: Net,
    },
    /// A record node has all earlier records of a patient but those that are lost.
    Moved {
        /// The patient.
        user: Digest,
        /// The record node.
        node: NodeId,
        /// Where in the chain the patient has registered there: there may be a later time.
        since: Height,
        /// The records that nobody has any more.
        lost: Vec<RecordId>,
    },
    /// A patient is registered in another network too.
    Remote {
        /// The patient.
        user: Digest,
        /// The network.
        net: Net,
    },
}

impl Note {
    fn hash(&self, hasher: Hasher) -> Hasher {
        match self {
            Self::Foreign { position, from } => hasher
                .number(0)
                .number(u64::from(*position))
                .number(u64::from(*from)),
            Self::Moved {
                user,
                node,
                since,
                lost,
            } => {
                let hasher = hasher.number(1).digest(user).number(u64::from(node.0));
                let hasher = hasher.number(*since).number(lost.len() as u64);
                lost.iter()
                    .fold(hasher, |hasher, rid| hasher.digest(&rid.0))
            }
            Self::Remote { user, net } => hasher.number(2).digest(user).number(u64::from(*net)),
        }
    }

    fn size(&self) -> u32 {
        match self {
            Self::Foreign { .. } => 8,
            Self::Moved { lost, .. } => 16 + DIGEST_BYTES * (1 + lost.len() as u32),
            Self::Remote { .. } => 4 + DIGEST_BYTES,
        }
    }
}

/// The notes of a block.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Notes(pub Vec<Note>);

impl Annex for Notes {
    fn digest(&self) -> Digest {
        let hasher = Hasher::new("layers notes");
        let notes = self.0.iter();
        notes
            .fold(hasher, |hasher, note| note.hash(hasher))
            .finish()
    }

    fn size(&self) -> u32 {
        self.0.iter().map(Note::size).sum()
    }

    fn vouches(&self, _: usize) -> bool {
        false
    }
}

impl Notes {
    /// From which other network the transaction at a position comes, if from one.
    pub fn foreign(&self, position: usize) -> Option<Net> {
        self.0.iter().find_map(|note| match note {
            Note::Foreign { position: at, from } if *at as usize == position => Some(*from),
            Note::Foreign { .. } | Note::Moved { .. } | Note::Remote { .. } => None,
        })
    }
}

/// A block without its transactions, and the proof that it was decided.
#[derive(Clone, PartialEq, Debug)]
pub struct Header {
    /// The network.
    pub net: Net,
    /// The place in its chain.
    pub height: Height,
    /// The digests of the transactions in order.
    pub parts: Vec<Digest>,
    /// The notes.
    pub notes: Option<Notes>,
    /// The positions of what the contract refused. No proof covers them: they are the word of
    /// whoever sends the header.
    pub refused: Vec<u32>,
    /// The proof.
    pub proof: Proof,
}

impl Header {
    /// The header of a block.
    pub fn of(net: Net, block: &Block, proof: Proof) -> Arc<Self> {
        let batch = &block.batch;
        let outcomes = (0..).zip(&block.executed);
        let refused = outcomes.filter(|(_, executed)| executed.refusal().is_some());
        Arc::new(Self {
            net,
            height: block.height,
            parts: batch.transactions().iter().map(|t| t.digest).collect(),
            notes: batch.annex::<Notes>().cloned(),
            refused: refused.map(|(position, _)| position).collect(),
            proof,
        })
    }

    /// Whether its network decided it.
    pub fn verify(&self, topology: &Topology, config: &Config, keyring: &Keyring) -> bool {
        let Some(edge) = topology.find(self.net) else {
            return false;
        };
        let notes = self.notes.as_ref().map(Annex::digest);
        let digest = Batch::digest_of(self.parts.iter(), notes.as_ref());
        let place = (self.height, digest);
        config.lacks(Mutant::NoHeaderProof)
            || self.proof.holds(place, &edge.consensus, config, keyring)
    }

    /// The header with other transactions.
    pub fn altered(&self) -> Arc<Self> {
        let other = |part: &Digest| Hasher::new("altered header").digest(part).finish();
        Arc::new(Self {
            parts: self.parts.iter().map(other).collect(),
            ..self.clone()
        })
    }

    /// At which position a transaction stands in the block, if it does.
    pub fn position(&self, transaction: &Transaction) -> Option<usize> {
        self.parts
            .iter()
            .position(|part| *part == transaction.digest)
    }

    /// Whether the contract has refused the transaction at a position.
    pub fn refuses(&self, position: usize) -> bool {
        self.refused
            .iter()
            .any(|refused| *refused as usize == position)
    }

    /// From which other network a transaction at a position comes, if from one.
    pub fn foreign(&self, position: usize) -> Option<Net> {
        self.notes.as_ref()?.foreign(position)
    }

    /// Bytes on the wire.
    pub fn size(&self) -> u32 {
        let notes = self.notes.as_ref().map_or(0, Annex::size);
        let parts = DIGEST_BYTES * self.parts.len() as u32;
        let proof = (2 + SIGNATURE_BYTES) * self.proof.signatures();
        let refused = 4 * self.refused.len() as u32;
        10 + DIGEST_BYTES + parts + notes + refused + proof
    }
}
