//! The authenticated structure of a state: what a block's state root commits to.
//!
//! A Merkle map holds the digest of every live entry under the digest of its key, and a Merkle
//! log the digests of all calls that were accepted. From the root alone follows whether a state
//! holds an entry, holds none under a key, or has accepted a call; proofs grow with the logarithm
//! of the size. Equal entries after equal calls give equal roots, however they came about.

mod log;
mod map;
#[cfg(test)]
mod tests;

pub use log::{Log, LogProof};
pub use map::{Map, MapProof};

use crate::base::crypto::{Digest, Hasher};

/// The live entries and the accepted calls of a state.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    map: Map,
    log: Log,
}

/// A proof of what a state of a certain root holds under a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntryProof {
    map: MapProof,
    log: Digest,
    calls: u64,
}

/// A proof that a call was accepted on the way to a state of a certain root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallProof {
    log: LogProof,
    map: Digest,
    calls: u64,
}

impl Tree {
    /// Puts the digest of an entry under the digest of its key.
    pub fn set(&mut self, key: &Digest, entry: &Digest) {
        self.map.set(key, entry);
    }

    /// Takes the entry under a key away; false if there is none.
    pub fn remove(&mut self, key: &Digest) -> bool {
        self.map.remove(key)
    }

    /// Appends an accepted call and tells its place among all, from 0.
    pub fn append(&mut self, call: &Digest) -> u64 {
        self.log.append(call)
    }

    /// The digest of the entries alone: equal for equal entries, whatever calls made them.
    pub fn entries(&self) -> Digest {
        self.map.root()
    }

    /// How many calls were accepted.
    pub fn calls(&self) -> u64 {
        self.log.len()
    }

    /// The digest of the entry under a key.
    pub fn get(&self, key: &Digest) -> Option<&Digest> {
        self.map.get(key)
    }

    /// Hashes everything written since the last time, so that [`Self::root`] is quick: to be done
    /// at the end of every block.
    pub fn seal(&mut self) {
        self.map.seal();
    }

    /// The root. Before sealing it is the same, and takes as long as sealing would.
    pub fn root(&self) -> Digest {
        joined(&self.map.root(), &self.log.root(), self.log.len())
    }

    /// Proves what is under a key, or that nothing is.
    pub fn prove(&self, key: &Digest) -> EntryProof {
        EntryProof {
            map: self.map.prove(key),
            log: self.log.root(),
            calls: self.log.len(),
        }
    }

    /// Proves that a call was accepted as the one of this place; nothing if there were fewer.
    pub fn prove_call(&self, place: u64) -> Option<CallProof> {
        Some(CallProof {
            log: self.log.prove(place)?,
            map: self.map.root(),
            calls: self.log.len(),
        })
    }

    /// Bytes of memory that the nodes take, spare room not counted.
    pub fn memory(&self) -> usize {
        self.map.memory() + self.log.memory()
    }
}

/// Whether a proof shows that a state of this root holds the entry under the key, or nothing.
pub fn verify(root: &Digest, key: &Digest, entry: Option<&Digest>, proof: &EntryProof) -> bool {
    // The map's root follows from the proof's way and from what is claimed.
    proof
        .map
        .root(key, entry)
        .is_some_and(|map| joined(&map, &proof.log, proof.calls) == *root)
}

/// Whether a proof shows that a state of this root accepted the call as the one of this place.
pub fn verify_call(root: &Digest, place: u64, call: &Digest, proof: &CallProof) -> bool {
    proof
        .log
        .root(proof.calls, place, call)
        .is_some_and(|log| joined(&proof.map, &log, proof.calls) == *root)
}

impl EntryProof {
    /// Bytes on the wire.
    pub fn size(&self) -> usize {
        40 + self.map.size()
    }
}

impl CallProof {
    /// Bytes on the wire.
    pub fn size(&self) -> usize {
        40 + self.log.size()
    }
}

/// The root of a state.
fn joined(map: &Digest, log: &Digest, calls: u64) -> Digest {
    let hasher = Hasher::new("state").digest(map).digest(log);
    hasher.number(calls).finish()
}
