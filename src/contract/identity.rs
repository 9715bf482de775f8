//! Who takes part: certification authorities, hospitals, doctors by real name, patients by
//! pseudonym, and institutions that ask under an alias.
//!
//! Those present when the chain begins are part of the genesis that all hospitals agreed on; who
//! comes later is enrolled by the authority for such identities and proves to hold the key. A
//! patient's identity binds no name: only the authority could tell whose it is. The same is true
//! of an alias: that it belongs to an institution of the consortium is all that its certificate
//! says.

use super::certificate::Validity;
pub(super) use super::directory::{Directory, Place};
use super::error::Code;
use super::message::Message;
use crate::base::crypto::{Digest, Hasher, PublicKey};

/// The name of a certification authority.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct AuthorityId(pub Digest);

/// The name of a hospital.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct HospitalId(pub Digest);

/// The name of a doctor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DoctorId(pub Digest);

/// The pseudonym of a patient: the digest of a public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PatientId(pub Digest);

/// The name of an alias, under which an institution asks without saying which it is: the digest of
/// a public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct AliasId(pub Digest);

impl AuthorityId {
    /// The name that belongs to a key.
    pub fn of(key: &PublicKey) -> Self {
        Self(Hasher::new("ca").part(&key.0).finish())
    }
}

impl HospitalId {
    /// The name that belongs to a key.
    pub fn of(key: &PublicKey) -> Self {
        Self(Hasher::new("hid").part(&key.0).finish())
    }
}

impl DoctorId {
    /// The name that belongs to a key.
    pub fn of(key: &PublicKey) -> Self {
        Self(Hasher::new("did").part(&key.0).finish())
    }
}

impl PatientId {
    /// The pseudonym that belongs to a key.
    pub fn of(key: &PublicKey) -> Self {
        Self(Hasher::new("pid").part(&key.0).finish())
    }

    /// What a doctor commits to at registration, so that nobody is doctor and patient of one
    /// record, and nobody learns the doctor's pseudonym from the chain.
    pub fn own_commitment(&self) -> Digest {
        Hasher::new("own").digest(&self.0).finish()
    }
}

impl AliasId {
    /// The name that belongs to a key.
    pub fn of(key: &PublicKey) -> Self {
        Self(Hasher::new("alias").part(&key.0).finish())
    }
}

impl AsRef<Digest> for AuthorityId {
    fn as_ref(&self) -> &Digest {
        &self.0
    }
}

impl AsRef<Digest> for HospitalId {
    fn as_ref(&self) -> &Digest {
        &self.0
    }
}

impl AsRef<Digest> for DoctorId {
    fn as_ref(&self) -> &Digest {
        &self.0
    }
}

impl AsRef<Digest> for PatientId {
    fn as_ref(&self) -> &Digest {
        &self.0
    }
}

impl AsRef<Digest> for AliasId {
    fn as_ref(&self) -> &Digest {
        &self.0
    }
}

/// Any party that can sign.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Party {
    /// A certification authority.
    Authority(AuthorityId),
    /// A hospital.
    Hospital(HospitalId),
    /// A doctor.
    Doctor(DoctorId),
    /// A patient.
    Patient(PatientId),
    /// An institution that does not say which it is.
    Alias(AliasId),
}

impl Party {
    /// The number of its kind, and its name.
    pub(super) fn parts(&self) -> (u64, &Digest) {
        match self {
            Self::Authority(id) => (0, &id.0),
            Self::Hospital(id) => (1, &id.0),
            Self::Doctor(id) => (2, &id.0),
            Self::Patient(id) => (3, &id.0),
            Self::Alias(id) => (4, &id.0),
        }
    }

    /// Adds the party to a message.
    pub(super) fn write(&self, message: Message) -> Message {
        let (kind, id) = self.parts();
        message.number(kind).digest(id)
    }
}

/// Whether an identity may act.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Standing {
    /// It may.
    Active,
    /// Not now: a doctor or hospital is suspended, a patient has frozen the account.
    Suspended,
    /// Never again.
    Ended,
}

impl Standing {
    /// Refuses with one of two codes if the identity may not act.
    pub(super) fn require(self, suspended: Code, ended: Code) -> Result<(), Code> {
        match self {
            Self::Active => Ok(()),
            Self::Suspended => Err(suspended),
            Self::Ended => Err(ended),
        }
    }
}

/// Whom an authority may vouch for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Vouches {
    /// For hospitals.
    Hospitals,
    /// For doctors.
    Doctors,
    /// For patients.
    Patients,
    /// For aliases: that each belongs to some institution of the consortium.
    Aliases,
}

/// A certification authority.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Its key, which also makes its name.
    pub key: PublicKey,
    /// Whom it may vouch for.
    pub vouches: Vouches,
    /// When its word counts.
    pub valid: Validity,
}

/// A hospital.
#[derive(Clone, Debug)]
pub struct Hospital {
    /// Its key, which also makes its name.
    pub key: PublicKey,
    /// Its real name.
    pub name: String,
    /// The region, which search results show instead of the hospital.
    pub region: u8,
}

/// A doctor.
#[derive(Clone, Debug)]
pub struct Doctor {
    /// The key, which also makes the doctor's name on the chain.
    pub key: PublicKey,
    /// The real name: doctors answer for what they sign.
    pub real_name: String,
    /// The licence to practise.
    pub licence: String,
    /// Where the doctor works.
    pub hid: HospitalId,
    /// The specialty, by the consortium's list.
    pub specialty: u8,
    /// The commitment to the doctor's own pseudonym as a patient.
    pub own: Digest,
}

/// A patient.
#[derive(Clone, Debug)]
pub struct Patient {
    /// The key, which also makes the pseudonym.
    pub key: PublicKey,
}

/// An alias of an institution. Nothing here says of which.
#[derive(Clone, Debug)]
pub struct Alias {
    /// The key, made for this alias, which also makes its name.
    pub key: PublicKey,
}

/// An identity to be enrolled.
#[derive(Clone, Debug)]
pub enum Identity {
    /// A hospital.
    Hospital(Hospital),
    /// A doctor.
    Doctor(Doctor),
    /// A patient, with the pseudonym that the key is claimed to have.
    Patient(PatientId, Patient),
    /// An alias.
    Alias(Alias),
}

/// Longest real name, hospital name or licence, in bytes.
const NAME_MAX: usize = 128;

impl Identity {
    /// The key whose holder is enrolled.
    pub fn key(&self) -> &PublicKey {
        match self {
            Self::Hospital(hospital) => &hospital.key,
            Self::Doctor(doctor) => &doctor.key,
            Self::Patient(_, patient) => &patient.key,
            Self::Alias(alias) => &alias.key,
        }
    }

    /// The party that it makes.
    pub(super) fn party(&self) -> Party {
        match self {
            Self::Hospital(hospital) => Party::Hospital(HospitalId::of(&hospital.key)),
            Self::Doctor(doctor) => Party::Doctor(DoctorId::of(&doctor.key)),
            Self::Patient(pid, _) => Party::Patient(*pid),
            Self::Alias(alias) => Party::Alias(AliasId::of(&alias.key)),
        }
    }

    /// Which authority may vouch for it.
    pub(super) fn vouched_by(&self) -> Vouches {
        match self {
            Self::Hospital(_) => Vouches::Hospitals,
            Self::Doctor(_) => Vouches::Doctors,
            Self::Patient(..) => Vouches::Patients,
            Self::Alias(_) => Vouches::Aliases,
        }
    }

    /// Whether the texts are there and short enough.
    pub(super) fn check(&self) -> Result<(), Code> {
        let texts: &[&String] = match self {
            Self::Hospital(hospital) => &[&hospital.name],
            Self::Doctor(doctor) => &[&doctor.real_name, &doctor.licence],
            Self::Patient(..) | Self::Alias(_) => &[],
        };
        if texts.iter().any(|text| text.is_empty()) {
            return Err(Code::EmptyField);
        }
        if texts.iter().any(|text| text.len() > NAME_MAX) {
            return Err(Code::FieldTooLong);
        }
        Ok(())
    }

    /// Adds the identity to a message. Those of different kinds are told apart by who vouches for
    /// them.
    fn write(&self, message: Message) -> Message {
        let message = message.number(self.vouched_by() as u64);
        match self {
            Self::Hospital(hospital) => hospital.write(message),
            Self::Doctor(doctor) => doctor.write(message),
            Self::Patient(pid, patient) => patient.write(pid, message),
            Self::Alias(alias) => alias.write(message),
        }
    }
}

impl Authority {
    /// Adds the authority to a message.
    pub(super) fn write(&self, message: Message) -> Message {
        let message = message.part(&self.key.0).number(self.vouches as u64);
        self.valid.write(message)
    }
}

impl Hospital {
    /// Adds the hospital to a message.
    pub(super) fn write(&self, message: Message) -> Message {
        let message = message.part(&self.key.0).part(self.name.as_bytes());
        message.number(u64::from(self.region))
    }
}

impl Doctor {
    /// Adds the doctor to a message.
    pub(super) fn write(&self, message: Message) -> Message {
        message
            .part(&self.key.0)
            .part(self.real_name.as_bytes())
            .part(self.licence.as_bytes())
            .digest(&self.hid.0)
            .number(u64::from(self.specialty))
            .digest(&self.own)
    }
}

impl Patient {
    /// Adds the patient under a pseudonym to a message.
    pub(super) fn write(&self, pid: &PatientId, message: Message) -> Message {
        message.part(&self.key.0).digest(&pid.0)
    }
}

impl Alias {
    /// Adds the alias to a message.
    pub(super) fn write(&self, message: Message) -> Message {
        message.part(&self.key.0)
    }
}

/// What an authority enrols: an identity, and how long its word for it counts.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// Who is enrolled.
    pub identity: Identity,
    /// When the certificate counts.
    pub valid: Validity,
}

impl Enrolment {
    /// Adds the enrolment to a message.
    pub(super) fn write(&self, message: Message) -> Message {
        self.valid.write(self.identity.write(message))
    }
}
