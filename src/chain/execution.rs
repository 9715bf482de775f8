//! How ordered transactions take effect.
//!
//! **Order-execute**: consensus orders calls, and every node executes them in that order. Two calls
//! that get in each other's way are both executed; the later one sees what the earlier one did.
//!
//! **Execute-order-validate**, as in Hyperledger Fabric (E. Androulaki et al., EuroSys 2018, §3;
//! "Read-Write set semantics" of its documentation): a client has a call *endorsed* before it is
//! ordered. Endorsers simulate it on their own committed state, and sign what it read, in which
//! versions, and what it would write. Consensus orders that without looking inside. Every node then
//! *validates* in order: enough endorsers signed the same result, everything read is still in the
//! same version, every search still finds the same. Then the writes are applied, and the call is
//! not executed again. What does not pass stays in the block, marked invalid.
//!
//! A version is the place of the transaction that wrote last. Reading gives what is committed, also
//! after the transaction's own write; the last write to a key counts; a write without a read never
//! conflicts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::policy::Policy;
use super::{Height, Transaction};
use crate::base::crypto::{Body, Digest, Hasher, Keyring, SIGNATURE_BYTES, Signed, Signer};
use crate::base::node::PositionSet;
use crate::contract::{Code, Key, Receipt, Scan, SignedCall, State, Write};

/// Which of the two it is.
#[derive(Clone, Debug, Default)]
pub enum Execution {
    /// Order, then execute everywhere.
    #[default]
    OrderExecute,
    /// Endorse, order, validate everywhere.
    Validate {
        /// Whose endorsements a transaction needs.
        policy: Arc<Policy>,
        /// Verifies them.
        keyring: Keyring,
    },
}

/// The place of the last write of an entry: height and position in the block. Zero for what the
/// genesis wrote, and for what was never written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Version {
    /// The height of the block.
    pub height: Height,
    /// The place of the transaction in the block, from 0.
    pub position: u32,
}

/// The versions of all entries, and what they say of a transaction that relies on them.
#[derive(Clone, Debug)]
pub struct Versions<K>(BTreeMap<K, Version>);

impl<K: Ord> Default for Versions<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> Versions<K> {
    /// The version of an entry.
    pub fn of(&self, key: &K) -> Version {
        self.0.get(key).copied().unwrap_or_default()
    }

    /// Whether everything a transaction read is still in the version that it read.
    pub fn hold<'k>(&self, reads: impl IntoIterator<Item = &'k (K, Version)>) -> bool
    where
        K: 'k,
    {
        reads
            .into_iter()
            .all(|(key, version)| self.of(key) == *version)
    }

    /// A valid transaction at this place wrote these entries.
    pub fn write(&mut self, at: Version, keys: impl IntoIterator<Item = K>) {
        self.0.extend(keys.into_iter().map(|key| (key, at)));
    }
}

/// What a simulation of a call came to.
#[derive(Clone, Debug)]
pub struct Effects {
    /// The digest of the call.
    call: Digest,
    /// The height at which it was simulated.
    height: Height,
    /// What the contract answers.
    pub receipt: Receipt,
    /// What was read, and in which version.
    pub reads: Vec<(Key, Version)>,
    /// The searches it relies on, with what they found.
    pub scans: Vec<Scan>,
    /// What it would write.
    pub writes: Arc<[Write]>,
    /// The digest of all this, as whoever simulated made it; [`Endorsement`]s are checked against
    /// one made anew.
    pub digest: Digest,
}

/// Bytes of a key with its version, of a search with its digest, and of a write on the wire, about.
const READ_BYTES: u32 = 48;
const SCAN_BYTES: u32 = 96;
const WRITE_BYTES: u32 = 200;

impl Effects {
    /// Simulates a call on a state in which entries have these versions.
    pub fn of(call: &SignedCall, height: Height, state: &State, versions: &Versions<Key>) -> Self {
        let simulated = state.simulate(height, call);
        let version = |key: Key| (key, versions.of(&key));
        let reads: Vec<(Key, Version)> = simulated.reads.into_iter().map(version).collect();
        let effects = Self {
            call: call.digest(),
            height,
            receipt: simulated.receipt,
            reads,
            scans: simulated.scans,
            writes: simulated.writes,
            digest: Digest::ZERO,
        };
        effects.sealed()
    }

    /// The same with the digest that belongs to it.
    fn sealed(self) -> Self {
        Self {
            digest: self.fold(),
            ..self
        }
    }

    /// The lie of a dishonest endorser: the call is answered as it would be, its entry in the list
    /// of accepted calls is written, and nothing that it was made for.
    #[must_use]
    pub fn hollow(mut self) -> Self {
        if let Some((last, _)) = self.writes.split_last() {
            self.writes = Arc::new([last.clone()]);
        }
        self.sealed()
    }

    /// Whether simulating the call, at the same height on a state in which entries have these
    /// versions, comes to this. It does for whatever was endorsed honestly and is valid there:
    /// what a call comes to depends on nothing but what it reads.
    pub fn hold(&self, call: &SignedCall, state: &State, versions: &Versions<Key>) -> bool {
        Self::of(call, self.height, state, versions).digest == self.fold()
    }

    fn fold(&self) -> Digest {
        let hasher = Hasher::new("effects").digest(&self.call);
        let hasher = hasher.number(self.height);
        let hasher = hasher.digest(&self.receipt.digest());
        let hasher = self.reads.iter().fold(hasher, |hasher, (key, version)| {
            let hasher = hasher.digest(&key.digest()).number(version.height);
            hasher.number(u64::from(version.position))
        });
        let scans = self.scans.iter();
        let hasher = scans.fold(hasher, |hasher, scan| hasher.digest(&scan.matched));
        let writes = self.writes.iter();
        writes
            .fold(hasher, |hasher, write| hasher.digest(&write.digest()))
            .finish()
    }

    /// Bytes on the wire.
    pub fn size(&self) -> u32 {
        READ_BYTES * self.reads.len() as u32
            + SCAN_BYTES * self.scans.len() as u32
            + WRITE_BYTES * self.writes.len() as u32
    }
}

/// What an endorser signs: the digest of the effects of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Endorsed(pub Digest);

impl Body for Endorsed {
    fn digest(&self) -> Digest {
        Hasher::new("endorsed").digest(&self.0).finish()
    }
}

/// The effects of a call with the signatures of those who endorse them.
#[derive(Clone, Debug)]
pub struct Endorsement {
    /// The effects that are to be applied.
    pub effects: Arc<Effects>,
    /// Signatures, of whoever the client found.
    pub signed: Vec<Signed<Endorsed>>,
}

impl Endorsement {
    /// One endorser's word.
    pub fn sign(effects: Arc<Effects>, signer: &Signer) -> Self {
        let signed = vec![signer.sign(Endorsed(effects.digest))];
        Self { effects, signed }
    }

    /// The digest of what is endorsed and of who does.
    pub fn digest(&self) -> Digest {
        let hasher = Hasher::new("endorsement").digest(&self.effects.digest);
        let signed = self.signed.iter();
        signed
            .fold(hasher, |hasher, signed| {
                let hasher = hasher.number(u64::from(signed.by().0));
                hasher.digest(&signed.body().0).number(signed.mark())
            })
            .finish()
    }

    /// Bytes on the wire.
    pub fn size(&self) -> u32 {
        self.effects.size() + (SIGNATURE_BYTES + 8) * self.signed.len() as u32
    }

    /// Whether it is of this call, and every signature on it is genuine and on these effects: what
    /// a client looks at before it relies on an endorser.
    pub fn vouches(&self, call: &SignedCall, keyring: &Keyring) -> bool {
        let digest = self.effects.fold();
        let genuine =
            |signed: &Signed<Endorsed>| signed.body().0 == digest && signed.verify(keyring);
        self.effects.call == call.digest() && self.signed.iter().all(genuine)
    }

    /// Checks who signed: enough for the policy, and all of them these effects of this call. The
    /// digest is made anew, because a client may have sent other effects than were signed.
    fn check(&self, call: &SignedCall, policy: &Policy, keyring: &Keyring) -> Result<(), Code> {
        let digest = self.effects.fold();
        let mut endorsed = PositionSet::new();
        for signed in self.signed.iter().filter(|signed| signed.verify(keyring)) {
            if signed.body().0 != digest {
                return Err(Code::EndorsementMismatch);
            }
            endorsed.insert(signed.by().index());
        }
        if self.effects.call != call.digest() || !policy.holds(&endorsed) {
            return Err(Code::EndorsementMissing);
        }
        Ok(())
    }
}

/// Validates an endorsed call at its place in the chain, in the order of Fabric: the endorsements,
/// then the versions read, then the searches; and applies its writes if it passes.
pub fn validate(
    transaction: &Transaction,
    (policy, keyring): (&Policy, &Keyring),
    at: Version,
    state: &mut State,
    versions: &mut Versions<Key>,
) -> Receipt {
    let checked = transaction
        .endorsement
        .as_ref()
        .ok_or(Code::EndorsementMissing)
        .and_then(|endorsement| {
            endorsement.check(&transaction.call, policy, keyring)?;
            let effects = &endorsement.effects;
            if !versions.hold(&effects.reads) {
                return Err(Code::MvccConflict);
            }
            if !effects.scans.iter().all(|scan| state.rescan(scan)) {
                return Err(Code::PhantomConflict);
            }
            Ok(effects)
        });
    match checked {
        Err(code) => Receipt::Refused(code),
        Ok(effects) => {
            apply(effects, at, state, versions);
            effects.receipt.clone()
        }
    }
}

/// Applies effects that were found valid at a place.
pub fn apply(effects: &Effects, at: Version, state: &mut State, versions: &mut Versions<Key>) {
    state.commit(at.height, &effects.writes);
    versions.write(at, effects.writes.iter().map(Write::key));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A transaction of the documented examples: what it reads and what it writes.
    type Example = (&'static [&'static str], &'static [&'static str]);

    /// Which of the transactions of one block are valid, if all were simulated before it.
    fn valid(versions: &mut Versions<&'static str>, block: &[Example]) -> Vec<bool> {
        let read = |(reads, _): &Example| -> Vec<(&'static str, Version)> {
            reads.iter().map(|key| (*key, versions.of(key))).collect()
        };
        let simulated: Vec<Vec<(&'static str, Version)>> = block.iter().map(read).collect();
        let mut all = Vec::new();
        for (position, (reads, (_, writes))) in simulated.iter().zip(block).enumerate() {
            let valid = versions.hold(reads);
            if valid {
                let at = Version {
                    height: 2,
                    position: position as u32,
                };
                versions.write(at, writes.iter().copied());
            }
            all.push(valid);
        }
        all
    }

    /// The world state with k1 to k5 in version 1 of the documentation's example.
    fn five_keys() -> Versions<&'static str> {
        let mut versions = Versions::default();
        let first = Version {
            height: 1,
            position: 0,
        };
        versions.write(first, ["k1", "k2", "k3", "k4", "k5"]);
        versions
    }

    #[test]
    fn the_example_of_the_documentation_comes_out_as_documented() {
        let block: [Example; 5] = [
            (&[], &["k1", "k2"]),
            (&["k1"], &["k3"]),
            (&[], &["k2"]),
            (&["k2"], &["k2"]),
            (&["k5"], &["k6"]),
        ];
        let mut versions = five_keys();
        let valid = valid(&mut versions, &block);
        assert_eq!(valid, [true, false, true, false, true], "T1, T3 and T5");
        let at = |position| Version {
            height: 2,
            position,
        };
        assert_eq!(versions.of(&"k2"), at(2), "the last valid write counts");
        assert_eq!(
            versions.of(&"k3").height,
            1,
            "an invalid one leaves nothing"
        );
        assert_eq!(versions.of(&"k6"), at(4));
    }

    #[test]
    fn of_ten_transfers_between_two_accounts_in_one_block_one_is_valid() {
        let transfer: Example = (&["k1", "k2"], &["k1", "k2"]);
        let valid = valid(&mut five_keys(), &[transfer; 10]);
        assert_eq!(valid.iter().filter(|valid| **valid).count(), 1);
        assert!(valid[0], "the first of them");
    }

    #[test]
    fn blind_writes_never_conflict() {
        let blind: Example = (&[], &["k1"]);
        assert_eq!(valid(&mut five_keys(), &[blind; 4]), [true; 4]);
    }

    #[test]
    fn reading_gives_what_is_committed_also_after_an_own_write() {
        // T4 of the documentation by itself: it reads k2 in the version before its own write.
        let both: Example = (&["k2"], &["k2"]);
        let mut versions = five_keys();
        assert_eq!(valid(&mut versions, &[both]), [true]);
        assert_eq!(versions.of(&"k2").height, 2);
        assert_eq!(valid(&mut five_keys(), &[both, both]), [true, false]);
    }
}
