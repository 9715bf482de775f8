//! What is signed: canonical bytes, every part with its length before it, and for each role a
//! digest of its own, so that a signature made in one role never counts in another.

use std::sync::Arc;

use super::identity::{DoctorId, HospitalId, PatientId};
use super::summary::Summary;
use crate::base::crypto::{Digest, Hasher};

/// The chain that calls are signed for; a call for another one is refused here.
pub const CHAIN: u32 = 1;

/// In which role a party signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// A certification authority, vouching for an identity.
    Authority,
    /// A hospital.
    Hospital,
    /// A doctor, by real name.
    Doctor,
    /// A patient, by pseudonym.
    Patient,
    /// An institution, under an alias.
    Alias,
    /// Whoever is being registered, proving to hold the key.
    Subject,
    /// Whoever supports what another party asks for.
    Witness,
}

impl Role {
    /// The word that separates the signatures of this role from all others.
    const fn label(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::Hospital => "hospital",
            Self::Doctor => "doctor",
            Self::Patient => "patient",
            Self::Alias => "alias",
            Self::Subject => "subject",
            Self::Witness => "witness",
        }
    }
}

/// Canonical bytes in the making.
#[derive(Clone, Debug)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// The message of an action on a chain.
    pub(super) fn new(chain: u32, action: &str) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(b"MREC1");
        Self(bytes).number(u64::from(chain)).part(action.as_bytes())
    }

    /// No bytes yet, of no action.
    pub(super) fn empty() -> Self {
        Self(Vec::with_capacity(512))
    }

    /// The bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Adds bytes.
    #[must_use]
    pub(super) fn part(mut self, bytes: &[u8]) -> Self {
        let length = u32::try_from(bytes.len()).expect("a part of a message is small");
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    /// Adds a number.
    #[must_use]
    pub(super) fn number(self, number: u64) -> Self {
        self.part(&number.to_be_bytes())
    }

    /// Adds a digest.
    #[must_use]
    pub(super) fn digest(self, digest: &Digest) -> Self {
        self.part(&digest.0)
    }

    /// What a party signs in a role.
    pub(super) fn for_role(&self, role: Role) -> Digest {
        self.digest_for(role.label())
    }

    /// The digest of the bytes for a purpose.
    pub(super) fn digest_for(&self, purpose: &str) -> Digest {
        Hasher::new(purpose).part(&self.0).finish()
    }

    /// The bytes themselves.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u32 {
        self.0.len() as u32
    }
}

/// The name of a record, chosen by those who make it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RecordId(pub Digest);

impl AsRef<Digest> for RecordId {
    fn as_ref(&self) -> &Digest {
        &self.0
    }
}

/// What sort of document a record is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RecordKind {
    /// A visit.
    Consultation,
    /// A stay in hospital.
    Admission,
    /// Findings of a laboratory.
    Laboratory,
    /// Findings of imaging.
    Imaging,
    /// A prescription.
    Prescription,
}

/// Everything doctor and patient agree on when a record enters the chain. The document itself
/// stays with the hospital; the chain has its digest and a summary without free text.
#[derive(Clone, Debug)]
pub struct Content {
    /// The chain this is meant for.
    pub chain: u32,
    /// The record's name.
    pub rid: RecordId,
    /// Whose record it is.
    pub pid: PatientId,
    /// Who made it.
    pub did: DoctorId,
    /// Who keeps the document.
    pub hid: HospitalId,
    /// What sort of document it is.
    pub kind: RecordKind,
    /// What is public of it.
    pub summary: Arc<Summary>,
    /// The digest of the document.
    pub payload_hash: Digest,
    /// Bytes of the document.
    pub payload_bytes: u64,
    /// The record that this one replaces.
    pub supersedes: Option<RecordId>,
    /// An opaque handle by which the patient can be asked for contact.
    pub contact: Digest,
    /// A number the patient has not used before.
    pub nonce: u64,
    /// The last height at which the signatures count.
    pub valid_until: u64,
}

/// A content with what its two parties sign. The digests are made once, from the content, which
/// does not change afterwards.
#[derive(Debug)]
pub struct Draft {
    content: Content,
    for_doctor: Digest,
    for_patient: Digest,
    bytes: u32,
}

impl Draft {
    /// Lays out the canonical bytes of a content.
    pub fn new(content: Content) -> Arc<Self> {
        let nothing = Digest::ZERO;
        let summary = content.summary.message();
        let message = Message::new(content.chain, "record")
            .digest(&content.rid.0)
            .digest(&content.pid.0)
            .digest(&content.did.0)
            .digest(&content.hid.0)
            .number(content.kind as u64)
            .digest(&summary.digest_for("summary"))
            .digest(&content.payload_hash)
            .number(content.payload_bytes)
            .digest(content.supersedes.as_ref().map_or(&nothing, |rid| &rid.0))
            .digest(&content.contact)
            .number(content.nonce)
            .number(content.valid_until);
        Arc::new(Self {
            for_doctor: message.for_role(Role::Doctor),
            for_patient: message.for_role(Role::Patient),
            bytes: message.len() + summary.len(),
            content,
        })
    }

    /// What is agreed on.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// What the doctor signs.
    pub fn for_doctor(&self) -> Digest {
        self.for_doctor
    }

    /// What the patient signs.
    pub fn for_patient(&self) -> Digest {
        self.for_patient
    }

    /// Bytes on the wire, without signatures.
    pub fn size(&self) -> u32 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lists_of_parts_have_the_same_bytes() {
        let joined = Message::new(1, "a").part(b"bc").part(b"d");
        let split = Message::new(1, "a").part(b"b").part(b"cd");
        assert_ne!(joined.0, split.0);
        assert_ne!(Message::new(1, "ab").0, Message::new(1, "a").part(b"b").0);
        assert_ne!(Message::new(1, "a").0, Message::new(2, "a").0);
    }

    #[test]
    fn every_role_signs_something_else() {
        let message = Message::new(1, "record");
        let roles = [
            Role::Authority,
            Role::Hospital,
            Role::Doctor,
            Role::Patient,
            Role::Alias,
            Role::Subject,
            Role::Witness,
        ];
        let digests: std::collections::BTreeSet<Digest> =
            roles.iter().map(|&role| message.for_role(role)).collect();
        assert_eq!(digests.len(), roles.len());
    }
}
