//! Who takes part: certification authorities, hospitals, doctors by real name and patients by
//! pseudonym.
//!
//! Those present when the chain begins are part of the genesis that all hospitals agreed on; who
//! comes later is enrolled by the authority for such identities and proves to hold the key. A
//! patient's identity binds no name: only the authority could tell whose it is. Inside the state
//! an identity is its place in the directory, which no answer and no digest ever shows.

use std::collections::{BTreeMap, BTreeSet};

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
}

impl Party {
    /// The number of its kind, and its name.
    pub(super) fn parts(&self) -> (u64, &Digest) {
        match self {
            Self::Authority(id) => (0, &id.0),
            Self::Hospital(id) => (1, &id.0),
            Self::Doctor(id) => (2, &id.0),
            Self::Patient(id) => (3, &id.0),
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
    fn require(self, suspended: Code, ended: Code) -> Result<(), Code> {
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
}

/// A certification authority.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Its key, which also makes its name.
    pub key: PublicKey,
    /// Whom it may vouch for.
    pub vouches: Vouches,
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
    /// Whether it may act.
    pub standing: Standing,
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
    /// Whether the doctor may act.
    pub standing: Standing,
}

/// A patient.
#[derive(Clone, Debug)]
pub struct Patient {
    /// The key, which also makes the pseudonym.
    pub key: PublicKey,
    /// Whether the patient may act.
    pub standing: Standing,
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
        }
    }

    /// The party that it makes.
    pub(super) fn party(&self) -> Party {
        match self {
            Self::Hospital(hospital) => Party::Hospital(HospitalId::of(&hospital.key)),
            Self::Doctor(doctor) => Party::Doctor(DoctorId::of(&doctor.key)),
            Self::Patient(pid, _) => Party::Patient(*pid),
        }
    }

    /// The digest under which it is part of the state with a standing.
    pub(super) fn entry(&self, standing: Standing) -> Digest {
        let action = match self {
            Self::Hospital(_) => "hospital entry",
            Self::Doctor(_) => "doctor entry",
            Self::Patient(..) => "patient entry",
        };
        self.write(Message::new(0, action))
            .number(standing as u64)
            .digest_for("entry")
    }

    /// Which authority may vouch for it.
    pub(super) fn vouched_by(&self) -> Vouches {
        match self {
            Self::Hospital(_) => Vouches::Hospitals,
            Self::Doctor(_) => Vouches::Doctors,
            Self::Patient(..) => Vouches::Patients,
        }
    }

    /// Whether the texts are there and short enough.
    pub(super) fn check(&self) -> Result<(), Code> {
        let texts: &[&String] = match self {
            Self::Hospital(hospital) => &[&hospital.name],
            Self::Doctor(doctor) => &[&doctor.real_name, &doctor.licence],
            Self::Patient(..) => &[],
        };
        if texts.iter().any(|text| text.is_empty()) {
            return Err(Code::EmptyField);
        }
        if texts.iter().any(|text| text.len() > NAME_MAX) {
            return Err(Code::FieldTooLong);
        }
        Ok(())
    }

    /// Adds the identity to a message.
    pub(super) fn write(&self, message: Message) -> Message {
        let message = message.part(&self.key().0);
        match self {
            Self::Hospital(hospital) => message
                .part(hospital.name.as_bytes())
                .number(u64::from(hospital.region)),
            Self::Doctor(doctor) => message
                .part(doctor.real_name.as_bytes())
                .part(doctor.licence.as_bytes())
                .digest(&doctor.hid.0)
                .number(u64::from(doctor.specialty))
                .digest(&doctor.own),
            Self::Patient(pid, _) => message.digest(&pid.0),
        }
    }
}

/// A registered party: what it is and its place in the directory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Place {
    /// Of a certification authority.
    Authority(u32),
    /// Of a hospital.
    Hospital(u32),
    /// Of a doctor.
    Doctor(u32),
    /// Of a patient.
    Patient(u32),
}

/// All identities. The maps lead from names to places in the lists.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    authorities: Vec<Authority>,
    hospitals: Vec<Hospital>,
    doctors: Vec<Doctor>,
    patients: Vec<Patient>,
    by_ca: BTreeMap<AuthorityId, u32>,
    by_hid: BTreeMap<HospitalId, u32>,
    by_did: BTreeMap<DoctorId, u32>,
    by_pid: BTreeMap<PatientId, u32>,
    licences: BTreeSet<String>,
}

impl Directory {
    /// Registers an authority and tells its entry; only the genesis does this.
    pub(super) fn found(&mut self, authority: Authority) -> Digest {
        let id = AuthorityId::of(&authority.key);
        let entry = Hasher::new("authority entry")
            .digest(&id.0)
            .number(authority.vouches as u64)
            .finish();
        self.by_ca.insert(id, self.authorities.len() as u32);
        self.authorities.push(authority);
        entry
    }

    /// Whether a doctor practises with this licence.
    pub(super) fn is_licensed(&self, licence: &str) -> bool {
        self.licences.contains(licence)
    }

    /// The name of a registered party.
    pub(super) fn party(&self, place: Place) -> Party {
        match place {
            Place::Authority(at) => Party::Authority(AuthorityId::of(&self.authority_at(at).key)),
            Place::Hospital(at) => Party::Hospital(HospitalId::of(&self.hospital_at(at).key)),
            Place::Doctor(at) => Party::Doctor(DoctorId::of(&self.doctor_at(at).key)),
            Place::Patient(at) => Party::Patient(PatientId::of(&self.patient_at(at).key)),
        }
    }

    /// Adds an identity that was found free, as an active one, and tells its entry.
    pub(super) fn add(&mut self, identity: Identity) -> Digest {
        let place = match identity {
            Identity::Hospital(mut hospital) => {
                hospital.standing = Standing::Active;
                let at = self.hospitals.len() as u32;
                self.by_hid.insert(HospitalId::of(&hospital.key), at);
                self.hospitals.push(hospital);
                Place::Hospital(at)
            }
            Identity::Doctor(mut doctor) => {
                doctor.standing = Standing::Active;
                let at = self.doctors.len() as u32;
                self.by_did.insert(DoctorId::of(&doctor.key), at);
                self.licences.insert(doctor.licence.clone());
                self.doctors.push(doctor);
                Place::Doctor(at)
            }
            Identity::Patient(pid, mut patient) => {
                patient.standing = Standing::Active;
                let at = self.patients.len() as u32;
                self.by_pid.insert(pid, at);
                self.patients.push(patient);
                Place::Patient(at)
            }
        };
        self.entry(place)
    }

    /// The digest under which an identity with its present standing is part of the state.
    pub(super) fn entry(&self, place: Place) -> Digest {
        let (identity, standing) = match place {
            Place::Authority(_) => unreachable!("authorities have no standing to change"),
            Place::Hospital(at) => {
                let hospital = &self.hospitals[at as usize];
                (Identity::Hospital(hospital.clone()), hospital.standing)
            }
            Place::Doctor(at) => {
                let doctor = &self.doctors[at as usize];
                (Identity::Doctor(doctor.clone()), doctor.standing)
            }
            Place::Patient(at) => {
                let patient = &self.patients[at as usize];
                let pid = PatientId::of(&patient.key);
                (Identity::Patient(pid, patient.clone()), patient.standing)
            }
        };
        identity.entry(standing)
    }

    /// Where a party stands in the directory; refuses unknown ones.
    pub(super) fn place(&self, party: &Party) -> Result<Place, Code> {
        Ok(match party {
            Party::Authority(id) => Place::Authority(*self.by_ca.get(id).ok_or(Code::UnknownCa)?),
            Party::Hospital(id) => Place::Hospital(self.hospital(id)?),
            Party::Doctor(id) => Place::Doctor(self.doctor(id)?),
            Party::Patient(id) => Place::Patient(self.patient(id)?),
        })
    }

    /// The place of a hospital.
    pub(super) fn hospital(&self, id: &HospitalId) -> Result<u32, Code> {
        self.by_hid.get(id).copied().ok_or(Code::UnknownHospital)
    }

    /// The place of a doctor.
    pub(super) fn doctor(&self, id: &DoctorId) -> Result<u32, Code> {
        self.by_did.get(id).copied().ok_or(Code::UnknownDoctor)
    }

    /// The place of a patient.
    pub(super) fn patient(&self, id: &PatientId) -> Result<u32, Code> {
        self.by_pid.get(id).copied().ok_or(Code::UnknownPatient)
    }

    /// The authority at a place.
    pub(super) fn authority_at(&self, at: u32) -> &Authority {
        &self.authorities[at as usize]
    }

    /// The hospital at a place.
    pub(super) fn hospital_at(&self, at: u32) -> &Hospital {
        &self.hospitals[at as usize]
    }

    /// The doctor at a place.
    pub(super) fn doctor_at(&self, at: u32) -> &Doctor {
        &self.doctors[at as usize]
    }

    /// The patient at a place.
    pub(super) fn patient_at(&self, at: u32) -> &Patient {
        &self.patients[at as usize]
    }

    /// Refuses a doctor who may not act.
    pub(super) fn check_doctor(&self, at: u32) -> Result<(), Code> {
        let standing = self.doctor_at(at).standing;
        standing.require(Code::DoctorSuspended, Code::DoctorRevoked)
    }

    /// Refuses a patient who may not act.
    pub(super) fn check_patient(&self, at: u32) -> Result<(), Code> {
        let standing = self.patient_at(at).standing;
        standing.require(Code::PatientFrozen, Code::PatientClosed)
    }

    /// Refuses a hospital that may not act.
    pub(super) fn check_hospital(&self, at: u32) -> Result<(), Code> {
        let standing = self.hospital_at(at).standing;
        standing.require(Code::HospitalSuspended, Code::HospitalClosed)
    }

    /// The standing of a registered party.
    pub(super) fn standing(&self, place: Place) -> Standing {
        match place {
            Place::Authority(_) => Standing::Active,
            Place::Hospital(at) => self.hospital_at(at).standing,
            Place::Doctor(at) => self.doctor_at(at).standing,
            Place::Patient(at) => self.patient_at(at).standing,
        }
    }

    /// Changes the standing of a registered hospital, doctor or patient.
    pub(super) fn set_standing(&mut self, place: Place, standing: Standing) {
        match place {
            Place::Authority(_) => unreachable!("authorities have no standing to change"),
            Place::Hospital(at) => self.hospitals[at as usize].standing = standing,
            Place::Doctor(at) => self.doctors[at as usize].standing = standing,
            Place::Patient(at) => self.patients[at as usize].standing = standing,
        }
    }

    /// Bytes the directory takes in a snapshot, about.
    pub(super) fn bytes(&self) -> u64 {
        64 * (self.authorities.len() + self.hospitals.len() + self.patients.len()) as u64
            + 192 * self.doctors.len() as u64
    }
}
