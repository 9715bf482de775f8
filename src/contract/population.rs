//! The people of a run, with the keys they sign with, derived from their numbers.
//!
//! Everybody here is part of the genesis. The first doctors are patients of the consortium too:
//! doctor 0 is patient 0, and so on, as long as there are patients.

use std::sync::Arc;

use super::SignedCall;
use super::call::Call;
use super::cases;
use super::certificate::{Certificate, Validity};
use super::identity::{
    Authority, AuthorityId, Directory, Doctor, DoctorId, Hospital, HospitalId, Identity, Patient,
    PatientId, Vouches,
};
use super::message::{CHAIN, Content, Draft, RecordId, RecordKind};
use super::tree::Tree;
use super::view::Key;
use crate::base::crypto::{Digest, Hasher, KeyPair};
use crate::base::random::mix;

/// Somebody with a name on the chain and the keys to it.
#[derive(Clone, Debug)]
pub struct Person<Id> {
    /// The name on the chain.
    pub id: Id,
    /// The keys.
    pub keys: KeyPair,
}

/// Everybody in a run. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Population(Arc<People>);

#[derive(Debug)]
struct People {
    authorities: Vec<Person<AuthorityId>>,
    hospitals: Vec<Person<HospitalId>>,
    doctors: Vec<Person<DoctorId>>,
    patients: Vec<Person<PatientId>>,
    directory: Arc<Directory>,
    tree: Tree,
}

/// Hospitals that share a region, about.
const HOSPITALS_PER_REGION: u32 = 4;
/// Whom the authorities of the genesis vouch for, in their order.
const KINDS: [Vouches; 4] = [
    Vouches::Hospitals,
    Vouches::Doctors,
    Vouches::Patients,
    Vouches::Aliases,
];
/// Specialties that doctors are dealt to.
pub(super) const SPECIALTIES: u32 = 8;

impl Population {
    /// A population of these sizes, of which none is zero, and of at least two patients, so that
    /// every doctor has somebody else to treat. The same sizes give the same people. Making a key
    /// takes about ten microseconds.
    pub fn new(hospitals: u16, doctors: u32, patients: u32) -> Self {
        Self::of((hospitals, doctors, patients), &KINDS[..3])
    }

    /// The same with an authority that certifies aliases; they are made as they are needed.
    pub fn with_aliases(hospitals: u16, doctors: u32, patients: u32) -> Self {
        Self::of((hospitals, doctors, patients), &KINDS)
    }

    fn of((hospitals, doctors, patients): (u16, u32, u32), kinds: &[Vouches]) -> Self {
        assert!(hospitals > 0, "a consortium has a hospital");
        assert!(doctors > 0, "somebody treats");
        assert!(patients > 1, "a doctor does not treat only the own person");
        let people = |label, count| (0..count).map(move |number| keys(label, number));
        let authorities = person(people("authority", kinds.len() as u32), |keys| {
            AuthorityId::of(&keys.public())
        });
        let hospitals = person(people("hospital", u32::from(hospitals)), |keys| {
            HospitalId::of(&keys.public())
        });
        let doctors = person(people("doctor", doctors), |keys| {
            DoctorId::of(&keys.public())
        });
        let patients = person(people("patient", patients), |keys| {
            PatientId::of(&keys.public())
        });
        let mut people = People {
            authorities,
            hospitals,
            doctors,
            patients,
            directory: Arc::default(),
            tree: Tree::default(),
        };
        let mut directory = Directory::default();
        people.register(&mut directory, kinds);
        people.directory = Arc::new(directory);
        people.tree.seal();
        Self(Arc::new(people))
    }

    /// How many hospitals there are.
    pub fn hospitals(&self) -> u32 {
        self.0.hospitals.len() as u32
    }

    /// How many doctors there are.
    pub fn doctors(&self) -> u32 {
        self.0.doctors.len() as u32
    }

    /// How many patients there are.
    pub fn patients(&self) -> u32 {
        self.0.patients.len() as u32
    }

    /// Whether there is an authority for aliases.
    pub fn has_aliases(&self) -> bool {
        self.0.authorities.len() == KINDS.len()
    }

    /// How many authorities there are.
    pub fn authorities(&self) -> u32 {
        self.0.authorities.len() as u32
    }

    /// The authority for hospitals (0), doctors (1), patients (2) or, if there is one, aliases (3).
    pub fn authority(&self, number: u32) -> &Person<AuthorityId> {
        &self.0.authorities[number as usize]
    }

    /// A hospital.
    pub fn hospital(&self, number: u32) -> &Person<HospitalId> {
        &self.0.hospitals[number as usize]
    }

    /// A doctor.
    pub fn doctor(&self, number: u32) -> &Person<DoctorId> {
        &self.0.doctors[number as usize]
    }

    /// A patient.
    pub fn patient(&self, number: u32) -> &Person<PatientId> {
        &self.0.patients[number as usize]
    }

    /// The number of the hospital where a doctor works: doctors are dealt to them in turn.
    pub fn employer(&self, doctor: u32) -> u32 {
        doctor % self.hospitals()
    }

    /// The number under which a doctor is a patient, if at all.
    pub fn own(&self, doctor: u32) -> Option<u32> {
        (doctor < self.patients()).then_some(doctor)
    }

    /// The number of the hospital with this name.
    pub fn hospital_number(&self, hid: &HospitalId) -> Option<u32> {
        self.0.directory.hospital(hid).ok()
    }

    /// The number of the doctor with this name.
    pub fn doctor_number(&self, did: &DoctorId) -> Option<u32> {
        self.0.directory.doctor(did).ok()
    }

    /// The number of the patient with this pseudonym.
    pub fn patient_number(&self, pid: &PatientId) -> Option<u32> {
        self.0.directory.patient(pid).ok()
    }

    /// The identities at genesis.
    pub(super) fn directory(&self) -> Arc<Directory> {
        self.0.directory.clone()
    }

    /// What commits to their entries.
    pub(super) fn tree(&self) -> Tree {
        self.0.tree.clone()
    }

    /// The content of the `number`th record in which a doctor treats a patient at the doctor's
    /// hospital; well formed, and different for every number.
    pub fn content(&self, doctor: u32, patient: u32, number: u64) -> Content {
        let named = |purpose: &str| Hasher::new(purpose).number(number).finish();
        Content {
            chain: CHAIN,
            rid: RecordId(named("rid")),
            pid: self.patient(patient).id,
            did: self.doctor(doctor).id,
            hid: self.hospital(self.employer(doctor)).id,
            kind: RecordKind::Consultation,
            summary: Arc::new(cases::case(mix(0, number), patient)),
            payload_hash: named("payload"),
            payload_bytes: 4096,
            supersedes: None,
            contact: named("contact"),
            nonce: number,
            valid_until: u64::MAX,
        }
    }

    /// A content as doctor and patient submit it; for a valid call they are the ones it names.
    pub fn submission(&self, content: Content, doctor: u32, patient: u32) -> SignedCall {
        let call = Call::Submit(Draft::new(content));
        let (doctor, patient) = (self.doctor(doctor), self.patient(patient));
        SignedCall::signed(call, &doctor.keys, Some(&patient.keys))
    }
}

impl People {
    /// Fills the directory and what commits to its entries.
    fn register(&mut self, directory: &mut Directory, kinds: &[Vouches]) {
        for (authority, &vouches) in self.authorities.iter().zip(kinds) {
            let place = directory.found(Authority {
                key: authority.keys.public(),
                vouches,
                valid: Validity::ALWAYS,
            });
            let key = Key::Authority(authority.id);
            self.tree.set(&key.digest(), &directory.entry(place));
        }
        for number in 0..self.hospitals.len() as u32 {
            let hospital = self.describe_hospital(number);
            self.add(directory, Identity::Hospital(hospital));
        }
        for number in 0..self.doctors.len() as u32 {
            let doctor = self.describe_doctor(number);
            self.add(directory, Identity::Doctor(doctor));
        }
        for number in 0..self.patients.len() {
            let person = &self.patients[number];
            let patient = Patient {
                key: person.keys.public(),
            };
            self.add(directory, Identity::Patient(person.id, patient));
        }
    }

    fn add(&mut self, directory: &mut Directory, identity: Identity) {
        let key = Key::party(&identity.party());
        // The authorities for hospitals, doctors and patients come in this order.
        let certificate = Certificate::of_genesis(identity.vouched_by() as u32);
        let place = directory.add(identity, 0, certificate);
        self.tree.set(&key.digest(), &directory.entry(place));
    }

    fn describe_hospital(&self, number: u32) -> Hospital {
        Hospital {
            key: self.hospitals[number as usize].keys.public(),
            name: format!("Hospital {number}"),
            region: (number / HOSPITALS_PER_REGION) as u8,
        }
    }

    fn describe_doctor(&self, number: u32) -> Doctor {
        let own = match self.patients.get(number as usize) {
            Some(patient) => patient.id.own_commitment(),
            None => Digest::ZERO,
        };
        Doctor {
            key: self.doctors[number as usize].keys.public(),
            real_name: format!("Doctor {number}"),
            licence: format!("L-{number:06}"),
            hid: self.hospitals[number as usize % self.hospitals.len()].id,
            specialty: (number / self.hospitals.len() as u32 % SPECIALTIES) as u8,
            own,
        }
    }
}

/// The keys of somebody.
fn keys(label: &str, number: u32) -> KeyPair {
    let seed = Hasher::new("population")
        .part(label.as_bytes())
        .number(u64::from(number));
    KeyPair::from_seed(seed.finish())
}

/// Names everybody by the own key.
fn person<Id>(
    keys: impl Iterator<Item = KeyPair>,
    name: impl Fn(&KeyPair) -> Id,
) -> Vec<Person<Id>> {
    keys.map(|keys| Person {
        id: name(&keys),
        keys,
    })
    .collect()
}
