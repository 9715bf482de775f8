//! Digests, keys and signatures.
//!
//! Digests are real SHA-256. A signature of a replica is a [`Signed`] value that only the holder
//! of its [`Signer`] can make, so nobody forges another's: in `modelled` runs that is enough and
//! costs nothing but simulated time; in `ed25519` runs the value also carries a real signature,
//! checked with real arithmetic. Doctors and patients always sign with real keys ([`KeyPair`]).

mod seat;

use std::fmt;
use std::sync::Arc;

use ed25519_dalek::{Signature as RawSignature, Signer as _, SigningKey, VerifyingKey};
use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};

use super::node::{Committee, NodeId, PositionSet};
pub use seat::{Seats, Voice};

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest that stands for "nothing before".
    pub const ZERO: Self = Self([0; 32]);

    /// The first eight bytes as a number, for fingerprints and short print.
    pub fn prefix(&self) -> u64 {
        u64::from_be_bytes(self.0[..8].try_into().expect("a digest has 32 bytes"))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.prefix() >> 32)
    }
}

/// Builds a digest from parts, each with its length before it, so that no two different lists of
/// parts read the same.
#[derive(Clone, Debug)]
pub struct Hasher(Sha256);

impl Hasher {
    /// A digest for one purpose; digests of different purposes never meet.
    #[inline]
    pub fn new(domain: &str) -> Self {
        Self(Sha256::new()).part(domain.as_bytes())
    }

    /// Adds bytes.
    #[inline]
    #[must_use]
    pub fn part(mut self, bytes: &[u8]) -> Self {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a number.
    #[inline]
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.0.update(8_u64.to_be_bytes());
        self.0.update(number.to_be_bytes());
        self
    }

    /// Adds a digest.
    #[inline]
    #[must_use]
    pub fn digest(self, digest: &Digest) -> Self {
        self.part(&digest.0)
    }

    /// The digest of all parts.
    #[inline]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// Joins two digests into one: the node hash of a tree.
///
/// It is SHA-256's compression function, started at the digest of a domain to which a number is
/// added. Every input has the same 64 bytes, so nothing needs padding, and one step of the
/// function does what a [`Hasher`] takes four for.
#[derive(Clone, Copy, Debug)]
pub struct Joint([u32; 8]);

impl Joint {
    /// A joint for one purpose; digests of different purposes or numbers never meet.
    pub fn new(domain: &str) -> Self {
        let start = Hasher::new("joint").part(domain.as_bytes()).finish();
        let word = |at: usize| start.0[at * 4..at * 4 + 4].try_into();
        Self(std::array::from_fn(|at| {
            u32::from_be_bytes(word(at).expect("a digest has eight words"))
        }))
    }

    /// The digest of two digests in this order, under a number.
    #[inline]
    pub fn join(&self, number: u32, left: &Digest, right: &Digest) -> Digest {
        let mut block = [0; 64];
        block[..32].copy_from_slice(&left.0);
        block[32..].copy_from_slice(&right.0);
        let mut state = self.0;
        state[7] = state[7].wrapping_add(number);
        compress256(&mut state, &[block]);
        let mut digest = Digest::ZERO;
        for (bytes, word) in digest.0.chunks_exact_mut(4).zip(state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        digest
    }
}

/// An Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

/// An Ed25519 key pair of a person, an organisation or a replica.
#[derive(Clone)]
pub struct KeyPair(Arc<SigningKey>);

impl KeyPair {
    /// The key pair with this secret seed; the same seed gives the same keys everywhere.
    pub fn from_seed(seed: Digest) -> Self {
        Self(Arc::new(SigningKey::from_bytes(&seed.0)))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// A signature over `message`. Ed25519 is deterministic: no chance is needed.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl PublicKey {
    /// Whether `signature` was made over `message` by the holder of this key. Strict: refuses the
    /// malleable encodings that other implementations may accept.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| {
            key.verify_strict(message, &RawSignature::from_bytes(&signature.0))
                .is_ok()
        })
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({:?})", self.public())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Digest(self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head: [u8; 4] = self.0[..4].try_into().expect("a signature has 64 bytes");
        write!(f, "{:08x}", u32::from_be_bytes(head))
    }
}

/// A statement that replicas sign: it has one canonical digest.
pub trait Body: Clone + PartialEq + fmt::Debug + Send + Sync {
    /// The digest that is signed; includes a domain of its own.
    fn digest(&self) -> Digest;
}

/// How consensus messages are signed in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Crypto {
    /// Unforgeable by construction; priced in simulated time, not computed.
    #[default]
    Modelled,
    /// Every signature made and checked for real.
    Ed25519,
}

/// What makes a signature count.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Proof {
    /// Made by the holder of the signer; nothing to compute.
    Modelled,
    /// Made by an adversary that holds no key for it: never verifies.
    Garbage,
    /// A real signature.
    Ed25519(Signature),
    /// Members of a group that speak for a seat.
    Voices(Arc<[Voice]>),
}

impl Proof {
    /// Whether there is something to compute.
    fn is_real(&self) -> bool {
        match self {
            Self::Modelled | Self::Garbage => false,
            Self::Ed25519(_) => true,
            Self::Voices(voices) => voices.iter().all(Voice::is_real),
        }
    }

    /// Adds the signatures to a digest.
    fn write(&self, hasher: Hasher) -> Hasher {
        match self {
            Self::Modelled | Self::Garbage => hasher,
            Self::Ed25519(signature) => hasher.part(&signature.0),
            Self::Voices(voices) => voices
                .iter()
                .fold(hasher, |hasher, voice| voice.write(hasher)),
        }
    }
}

/// What signs for one node. Only the simulation and the test stage mint signers, one per node.
#[derive(Clone, Debug)]
pub struct Signer {
    by: NodeId,
    key: Option<Arc<KeyPair>>,
    /// The seat in whose name this node signs, if not in its own.
    seat: Option<NodeId>,
}

/// What verifies the signatures of all nodes.
#[derive(Clone, Debug)]
pub struct Keyring {
    keys: Option<Arc<[PublicKey]>>,
    seats: Option<Arc<Seats>>,
}

impl Signer {
    /// The signers of the nodes `n0` to `n(count-1)`, and the keyring that verifies them.
    pub fn mint(count: usize, crypto: Crypto, seed: u64) -> (Vec<Self>, Keyring) {
        let pair = |node: usize| match crypto {
            Crypto::Modelled => None,
            Crypto::Ed25519 => {
                let secret = Hasher::new("replica key")
                    .number(seed)
                    .number(node as u64)
                    .finish();
                Some(Arc::new(KeyPair::from_seed(secret)))
            }
        };
        let signers: Vec<Self> = (0..count)
            .map(|node| Self {
                by: NodeId::at(node),
                key: pair(node),
                seat: None,
            })
            .collect();
        let keys = signers
            .iter()
            .map(|signer| Some(signer.key.as_ref()?.public()))
            .collect();
        let seats = None;
        (signers, Keyring { keys, seats })
    }

    /// Whose signatures these are.
    pub fn node(&self) -> NodeId {
        self.by
    }

    /// Signs a statement.
    pub fn sign<B: Body>(&self, body: B) -> Signed<B> {
        if let Some(seat) = self.seat {
            let voice = self.voice(body.digest());
            return Signed {
                body,
                by: seat,
                proof: Proof::Voices([voice].into()),
            };
        }
        let proof = match &self.key {
            None => Proof::Modelled,
            Some(key) => Proof::Ed25519(key.sign(&body.digest().0)),
        };
        Signed {
            body,
            by: self.by,
            proof,
        }
    }

    /// A well-formed signature of `by` that does not verify: all that a liar can make without
    /// the other's key.
    pub fn garbage<B: Body>(&self, body: B, by: NodeId) -> Signed<B> {
        Signed {
            body,
            by,
            proof: Proof::Garbage,
        }
    }
}

impl Keyring {
    fn accepts(&self, by: NodeId, digest: impl FnOnce() -> Digest, proof: &Proof) -> bool {
        match (proof, &self.keys) {
            (Proof::Modelled, None) => true,
            (Proof::Ed25519(signature), Some(keys)) => keys
                .get(by.index())
                .is_some_and(|key| key.verify(&digest().0, signature)),
            (Proof::Voices(voices), _) => self.speak_for(by, voices, digest),
            (Proof::Garbage, _) | (Proof::Modelled, Some(_)) | (Proof::Ed25519(_), None) => false,
        }
    }
}

/// A statement with the signature of one node. There is no way to make one but [`Signer::sign`].
#[derive(Clone, PartialEq, Debug)]
pub struct Signed<B> {
    body: B,
    by: NodeId,
    proof: Proof,
}

impl<B: Body> Signed<B> {
    /// What is stated.
    #[inline]
    pub fn body(&self) -> &B {
        &self.body
    }

    /// By whom.
    #[inline]
    pub fn by(&self) -> NodeId {
        self.by
    }

    /// A number that differs for what was signed and what only looks so. With statement and signer
    /// it tells any two signatures apart, because each has only one genuine signature.
    pub fn mark(&self) -> u64 {
        match self.proof {
            Proof::Modelled | Proof::Ed25519(_) | Proof::Voices(_) => 0,
            Proof::Garbage => 1,
        }
    }

    /// Whether the signature is genuine.
    #[inline]
    pub fn verify(&self, keyring: &Keyring) -> bool {
        keyring.accepts(self.by, || self.body.digest(), &self.proof)
    }
}

/// Signatures of distinct committee members on one statement. Counts them while it grows, and
/// proves the statement to others once there are enough.
#[derive(Clone, PartialEq, Debug)]
pub struct Certificate<B> {
    body: B,
    signers: PositionSet,
    /// Real signatures by position, in the order they came; empty in modelled runs.
    proofs: Vec<(u16, Proof)>,
    /// How many signatures that are.
    weight: u32,
}

impl<B: Body> Certificate<B> {
    /// A certificate that nobody has signed yet.
    pub fn open(body: B) -> Self {
        Self {
            body,
            signers: PositionSet::new(),
            proofs: Vec::new(),
            weight: 0,
        }
    }

    /// Adds a signature by a member on the same statement. False if the signer is no member, has
    /// signed already, or stated something else. The caller has verified the signature.
    #[inline]
    pub fn add(&mut self, vote: &Signed<B>, committee: &Committee) -> bool {
        let Some(position) = committee.position(vote.by) else {
            return false;
        };
        if vote.body != self.body || !self.signers.insert(position) {
            return false;
        }
        self.weight += vote.signatures();
        if vote.proof.is_real() {
            self.proofs.push((position as u16, vote.proof.clone()));
        }
        true
    }

    /// What is certified.
    pub fn body(&self) -> &B {
        &self.body
    }

    /// How many members have signed.
    #[inline]
    pub fn signers(&self) -> usize {
        self.signers.len()
    }

    /// How many signatures that takes: more than one of each signer that speaks for a group.
    #[inline]
    pub fn signatures(&self) -> u32 {
        self.weight
    }

    /// The digest of statement, signers and signatures: whoever signs it says that it has seen
    /// this very certificate.
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new("certificate").digest(&self.body.digest());
        for position in self.signers.iter() {
            hasher = hasher.number(position as u64);
        }
        for (position, proof) in &self.proofs {
            hasher = proof.write(hasher.number(u64::from(*position)));
        }
        hasher.finish()
    }

    /// The positions of the signers in the committee.
    pub fn positions(&self) -> &PositionSet {
        &self.signers
    }

    /// Whether at least `quorum` members of `committee` genuinely signed.
    pub fn verify(&self, committee: &Committee, quorum: usize, keyring: &Keyring) -> bool {
        if self.signers.len() < quorum || !self.signers.all_below(committee.n()) {
            return false;
        }
        let Some(_) = keyring.keys else {
            return self.proofs.is_empty();
        };
        let mut proven = PositionSet::new();
        let digest = self.body.digest();
        self.proofs.iter().all(|(position, proof)| {
            let position = usize::from(*position);
            self.signers.contains(position)
                && proven.insert(position)
                && keyring.accepts(committee.members()[position], || digest, proof)
        }) && proven.len() == self.signers.len()
    }
}

/// Bytes a signature takes on the wire.
pub const SIGNATURE_BYTES: u32 = 64;
/// Bytes a digest takes on the wire.
pub const DIGEST_BYTES: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// A statement for tests.
    #[derive(Clone, PartialEq, Debug)]
    pub(super) struct Word(pub u64);
    impl Body for Word {
        fn digest(&self) -> Digest {
            Hasher::new("word").number(self.0).finish()
        }
    }

    #[test]
    fn parts_are_told_apart_by_their_lengths() {
        let digest = |parts: &[&str]| {
            parts
                .iter()
                .fold(Hasher::new("t"), |h, part| h.part(part.as_bytes()))
                .finish()
        };
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&["ab"]), digest(&["ab", ""]));
        assert_ne!(Hasher::new("a").finish(), Hasher::new("b").finish());
    }

    #[test]
    fn a_joint_is_the_compression_of_sha_256_from_a_start_of_its_own() {
        // The first block of SHA-256 over 64 bytes is what a joint with its start computes.
        let start = [
            0x6a09_e667,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19,
        ];
        let (left, right) = (Digest([1; 32]), Digest([2; 32]));
        let first = Joint(start).join(0, &left, &right);
        let words = first.0.chunks_exact(4).map(|word| word.try_into().unwrap());
        let mut state = [0; 8];
        state
            .iter_mut()
            .zip(words)
            .for_each(|(state, word)| *state = u32::from_be_bytes(word));
        let mut padding = [0; 64];
        padding[0] = 0x80;
        padding[62..].copy_from_slice(&512_u16.to_be_bytes());
        compress256(&mut state, &[padding]);
        let whole = Sha256::digest([left.0, right.0].concat());
        assert!(state.iter().flat_map(|word| word.to_be_bytes()).eq(whole));
        let (a, b) = (Joint::new("a"), Joint::new("b"));
        let digests = [
            a.join(0, &left, &right),
            a.join(0, &right, &left),
            a.join(1, &left, &right),
            b.join(0, &left, &right),
            Hasher::new("a").digest(&left).digest(&right).finish(),
        ];
        let distinct: std::collections::BTreeSet<Digest> = digests.into();
        assert_eq!(distinct.len(), digests.len());
    }

    #[test]
    fn only_the_holder_of_a_signer_signs_in_either_mode() {
        for crypto in [Crypto::Modelled, Crypto::Ed25519] {
            let (signers, keyring) = Signer::mint(4, crypto, 1);
            let signed = signers[2].sign(Word(5));
            assert!(signed.verify(&keyring), "{crypto:?}");
            assert_eq!((signed.by(), signed.body()), (NodeId(2), &Word(5)));
            assert!(
                !signers[2].garbage(Word(5), NodeId(1)).verify(&keyring),
                "{crypto:?}"
            );
            let mut claimed = signed.clone();
            claimed.by = NodeId(1);
            assert_eq!(claimed.verify(&keyring), crypto == Crypto::Modelled);
        }
    }

    #[test]
    fn a_certificate_counts_distinct_members_on_one_statement() {
        for crypto in [Crypto::Modelled, Crypto::Ed25519] {
            let committee = Committee::first(4);
            let (signers, keyring) = Signer::mint(5, crypto, 1);
            let mut certificate = Certificate::open(Word(1));
            assert!(certificate.add(&signers[0].sign(Word(1)), &committee));
            assert!(
                !certificate.add(&signers[0].sign(Word(1)), &committee),
                "twice"
            );
            assert!(
                !certificate.add(&signers[1].sign(Word(2)), &committee),
                "another word"
            );
            assert!(
                !certificate.add(&signers[4].sign(Word(1)), &committee),
                "no member"
            );
            assert!(certificate.add(&signers[3].sign(Word(1)), &committee));
            assert!(certificate.verify(&committee, 2, &keyring));
            assert!(!certificate.verify(&committee, 3, &keyring));
            let mut forged = certificate.clone();
            forged.body = Word(2);
            assert_eq!(
                forged.verify(&committee, 2, &keyring),
                crypto == Crypto::Modelled
            );
        }
    }
}
