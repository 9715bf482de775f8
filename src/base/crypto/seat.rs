//! Seats: names that groups of nodes speak for. A statement in the name of a seat counts if enough
//! members of its group have signed it, like one signature under a threshold scheme, so that the
//! committee of the seats need not know who holds which of them at the moment.

use super::{Body, Digest, Hasher, Keyring, Proof, Signature, Signed, Signer};
use crate::base::node::{Committee, NodeId, PositionSet};

use std::sync::Arc;

/// Seats begin here, far above all nodes and hosts of a run.
const FIRST: u16 = 0xF000;

/// Which groups speak for which seats.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seats {
    groups: Vec<Committee>,
    /// How many members of each group it takes.
    voices: Vec<usize>,
}

impl Seats {
    /// One seat for each group; a statement counts if so many of its members signed it.
    pub fn new(groups: Vec<Committee>, voices: Vec<usize>) -> Self {
        assert_eq!(groups.len(), voices.len(), "every group has its number");
        assert!(groups.len() < usize::from(u16::MAX - FIRST));
        Self { groups, voices }
    }

    /// The name of the seat of a group.
    pub fn name(group: usize) -> NodeId {
        let seat = u16::try_from(group)
            .ok()
            .and_then(|group| FIRST.checked_add(group));
        NodeId(seat.expect("there are at most 4,095 seats"))
    }

    /// Which group has the seat of this name.
    pub fn group(&self, seat: NodeId) -> Option<usize> {
        let group = usize::from(seat.0.checked_sub(FIRST)?);
        (group < self.groups.len()).then_some(group)
    }

    /// The groups, by number.
    pub fn groups(&self) -> &[Committee] {
        &self.groups
    }

    /// How many members of a group speak for its seat.
    pub fn voices(&self, group: usize) -> usize {
        self.voices[group]
    }

    /// All seats, as a committee.
    pub fn committee(&self) -> Committee {
        Committee::new((0..self.groups.len()).map(Self::name).collect())
    }
}

/// One member's part of a statement in the name of its group's seat. Only a [`Signer`] makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Voice {
    by: NodeId,
    digest: Digest,
    signature: Option<Signature>,
}

impl Voice {
    /// Whose.
    pub fn by(&self) -> NodeId {
        self.by
    }

    /// The digest of the statement.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether the signature is to be computed.
    pub(super) fn is_real(&self) -> bool {
        self.signature.is_some()
    }

    /// Adds who signs, and the signature, to a digest.
    pub(super) fn write(&self, hasher: Hasher) -> Hasher {
        let signature = self.signature.as_ref();
        hasher
            .number(u64::from(self.by.0))
            .part(signature.map_or(&[][..], |signature| &signature.0))
    }
}

impl Signer {
    /// What signs for the same node in the name of a seat.
    pub fn for_seat(&self, seat: NodeId) -> Self {
        Self {
            seat: Some(seat),
            ..self.clone()
        }
    }

    /// This node's voice for the statement with this digest.
    pub fn voice(&self, digest: Digest) -> Voice {
        Voice {
            by: self.by,
            digest,
            signature: self.key.as_ref().map(|key| key.sign(&digest.0)),
        }
    }
}

impl Keyring {
    /// The same keys, for those who know the seats.
    #[must_use]
    pub fn with_seats(&self, seats: Arc<Seats>) -> Self {
        Self {
            keys: self.keys.clone(),
            seats: Some(seats),
        }
    }

    /// Whether the voice of a node is genuine.
    pub fn hears(&self, voice: &Voice) -> bool {
        match (&self.keys, &voice.signature) {
            (None, None) => true,
            (Some(keys), Some(signature)) => keys
                .get(voice.by.index())
                .is_some_and(|key| key.verify(&voice.digest.0, signature)),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    /// Whether a node has put its own voice to a statement, which may need more to count.
    pub fn hears_in<B: Body>(&self, node: NodeId, statement: &Signed<B>) -> bool {
        let digest = statement.body.digest();
        let voices = statement.voices().iter();
        let mut own = voices.filter(|voice| voice.by == node && voice.digest == digest);
        own.any(|voice| self.hears(voice))
    }

    /// Whether enough members of its group speak for a seat.
    pub(super) fn speak_for(
        &self,
        seat: NodeId,
        voices: &[Voice],
        digest: impl FnOnce() -> Digest,
    ) -> bool {
        let Some(seats) = &self.seats else {
            return false;
        };
        let Some(group) = seats.group(seat) else {
            return false;
        };
        let members = &seats.groups[group];
        let digest = digest();
        let mut heard = PositionSet::new();
        for voice in voices {
            if voice.digest == digest
                && let Some(position) = members.position(voice.by)
                && self.hears(voice)
            {
                heard.insert(position);
            }
        }
        heard.len() >= seats.voices[group]
    }
}

impl<B: Body> Signed<B> {
    /// How many signatures this is: one, or those of so many members of a group.
    #[inline]
    pub fn signatures(&self) -> u32 {
        match &self.proof {
            Proof::Modelled | Proof::Garbage | Proof::Ed25519(_) => 1,
            Proof::Voices(voices) => u32::try_from(voices.len()).unwrap_or(u32::MAX),
        }
    }

    /// Whoever has put a voice to it, if it is said in the name of a seat. None has been verified.
    pub fn voices(&self) -> &[Voice] {
        match &self.proof {
            Proof::Voices(voices) => voices,
            Proof::Modelled | Proof::Garbage | Proof::Ed25519(_) => &[],
        }
    }

    /// The same statement with the voice of one node only, if that is among them.
    #[must_use]
    pub fn voiced_by(&self, node: NodeId) -> Option<Self> {
        let voice = self.voices().iter().find(|voice| voice.by == node)?;
        Some(Self {
            proof: Proof::Voices([voice.clone()].into()),
            ..self.clone()
        })
    }

    /// The same signature on a body of the same digest: with other proofs inside.
    ///
    /// # Panics
    ///
    /// If the digest is another one.
    #[must_use]
    pub fn restated(&self, body: B) -> Self {
        assert!(
            body.digest() == self.body.digest(),
            "a signature is on one digest"
        );
        Self {
            body,
            ..self.clone()
        }
    }

    /// The same statement with these voices besides those it has.
    #[must_use]
    pub fn with_voices(&self, others: &[Voice]) -> Self {
        let mut voices = self.voices().to_vec();
        for voice in others {
            if voices.iter().all(|known| known.by != voice.by) {
                voices.push(voice.clone());
            }
        }
        Self {
            proof: Proof::Voices(voices.into()),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::crypto::tests::Word;
    use crate::base::crypto::{Certificate, Crypto};

    #[test]
    fn a_seat_speaks_with_enough_voices_of_its_own_group() {
        for crypto in [Crypto::Modelled, Crypto::Ed25519] {
            let (signers, keyring) = Signer::mint(8, crypto, 1);
            let group = |from: u16| Committee::new((from..from + 4).map(NodeId).collect());
            let seats = Seats::new(vec![group(0), group(4)], vec![3, 3]);
            let committee = seats.committee();
            let keyring = keyring.with_seats(Arc::new(seats));
            let seat = Seats::name(0);
            let draft = signers[0].for_seat(seat).sign(Word(1));
            assert_eq!(draft.by(), seat);
            assert!(!draft.verify(&keyring), "one voice is not enough");
            let voices = |nodes: &[usize], word| {
                let voice = |&node: &usize| signers[node].voice(Word(word).digest());
                nodes.iter().map(voice).collect::<Vec<_>>()
            };
            assert!(!draft.with_voices(&voices(&[1, 1], 1)).verify(&keyring));
            assert!(!draft.with_voices(&voices(&[1, 2], 2)).verify(&keyring));
            assert!(!draft.with_voices(&voices(&[1, 5], 1)).verify(&keyring));
            let whole = draft.with_voices(&voices(&[1, 2], 1));
            assert!(whole.verify(&keyring));
            let mut certificate = Certificate::open(Word(1));
            assert!(certificate.add(&whole, &committee));
            assert!(certificate.verify(&committee, 1, &keyring), "{crypto:?}");
            assert!(!certificate.verify(&committee, 2, &keyring));
        }
    }
}
