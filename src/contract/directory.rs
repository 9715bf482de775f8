//! All identities of a state. Inside the state an identity is its place in the directory, which no
//! answer and no digest ever shows.
//!
//! A patient whose key changes keeps the place: records, grants and used numbers belong to the
//! place and so follow to the new pseudonym without being touched. The old pseudonym is closed,
//! and names its successor.

mod entry;

use std::collections::{BTreeMap, BTreeSet};

use super::certificate::Certificate;
use super::error::Code;
use super::identity::{
    Alias, AliasId, Authority, AuthorityId, Doctor, DoctorId, Hospital, HospitalId, Identity,
    Party, Patient, PatientId, Standing,
};
use super::names::Names;
use crate::base::crypto::PublicKey;

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
    /// Of an alias.
    Alias(u32),
}

/// A certification authority as the chain keeps it.
#[derive(Clone, Debug)]
struct Office {
    id: AuthorityId,
    who: Authority,
    /// The height at which it was revoked.
    revoked: Option<u64>,
}

/// An identity as the chain keeps it.
#[derive(Clone, Debug)]
struct Member<Id, Who> {
    id: Id,
    who: Who,
    standing: Standing,
    /// The height at which it came to this standing.
    since: u64,
    certificate: Certificate,
}

/// What few patients have.
#[derive(Clone, Debug, Default)]
struct More {
    custodians: Vec<Custodian>,
    /// Earlier keys, the first one first.
    former: Vec<Former>,
    /// Whether the authority froze the account, so that the patient's key cannot thaw it.
    held: bool,
    /// Grants given by calls before this one, by the order of all accepted calls, are void.
    void_before: u64,
}

/// Somebody who may sign for a patient while enabled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Custodian {
    /// The pseudonym by which the patient named the custodian.
    pub(super) pid: PatientId,
    pub(super) place: u32,
    pub(super) enabled: bool,
}

/// A key that a patient no longer uses.
#[derive(Clone, Debug)]
struct Former {
    pid: PatientId,
    key: PublicKey,
    /// The height at which it was given up.
    until: u64,
}

/// A new key for a patient.
#[derive(Clone, Debug)]
pub(super) struct Rotation {
    /// The patient's place.
    pub(super) at: u32,
    pub(super) pid: PatientId,
    pub(super) key: PublicKey,
    /// The certificate for the new key, if an authority made one; otherwise the old key vouches.
    pub(super) certificate: Option<Certificate>,
    /// Whether all grants end.
    pub(super) revoke_all: bool,
}

/// All identities. The maps lead from names to places in the lists.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    offices: Vec<Office>,
    hospitals: Vec<Member<HospitalId, Hospital>>,
    doctors: Vec<Member<DoctorId, Doctor>>,
    patients: Vec<Member<PatientId, Patient>>,
    aliases: Vec<Member<AliasId, Alias>>,
    more: BTreeMap<u32, More>,
    by_ca: Names<AuthorityId>,
    by_hid: Names<HospitalId>,
    by_did: Names<DoctorId>,
    by_pid: Names<PatientId>,
    by_alias: Names<AliasId>,
    licences: BTreeSet<String>,
}

impl Directory {
    /// Registers an authority that was found free.
    pub(super) fn found(&mut self, authority: Authority) -> Place {
        let (id, at) = (AuthorityId::of(&authority.key), self.offices.len() as u32);
        self.by_ca.insert(id, at);
        self.offices.push(Office {
            id,
            who: authority,
            revoked: None,
        });
        Place::Authority(at)
    }

    /// Adds an identity that was found free, as an active one.
    pub(super) fn add(
        &mut self,
        identity: Identity,
        since: u64,
        certificate: Certificate,
    ) -> Place {
        match identity {
            Identity::Hospital(hospital) => {
                let (id, at) = (HospitalId::of(&hospital.key), self.hospitals.len() as u32);
                self.by_hid.insert(id, at);
                let member = Member::new(id, hospital, since, certificate);
                self.hospitals.push(member);
                Place::Hospital(at)
            }
            Identity::Doctor(doctor) => {
                let (id, at) = (DoctorId::of(&doctor.key), self.doctors.len() as u32);
                self.by_did.insert(id, at);
                self.licences.insert(doctor.licence.clone());
                self.doctors
                    .push(Member::new(id, doctor, since, certificate));
                Place::Doctor(at)
            }
            Identity::Patient(pid, patient) => {
                let at = self.patients.len() as u32;
                self.by_pid.insert(pid, at);
                let member = Member::new(pid, patient, since, certificate);
                self.patients.push(member);
                Place::Patient(at)
            }
            Identity::Alias(alias) => {
                let (id, at) = (AliasId::of(&alias.key), self.aliases.len() as u32);
                self.by_alias.insert(id, at);
                let member = Member::new(id, alias, since, certificate);
                self.aliases.push(member);
                Place::Alias(at)
            }
        }
    }

    /// Ends the word of a registered authority at a height.
    pub(super) fn expel(&mut self, id: &AuthorityId, height: u64) -> Place {
        let at = self.by_ca.get(id);
        let at = at.expect("who is expelled is there");
        self.offices[at as usize].revoked = Some(height);
        Place::Authority(at)
    }

    /// Changes the standing of anybody but an authority at a height, and whether an authority alone
    /// can change a patient's again.
    pub(super) fn set_standing(
        &mut self,
        place: Place,
        standing: Standing,
        held: bool,
        height: u64,
    ) {
        match place {
            Place::Authority(_) => unreachable!("authorities have no standing to change"),
            Place::Hospital(at) => self.hospitals[at as usize].turn(standing, height),
            Place::Doctor(at) => self.doctors[at as usize].turn(standing, height),
            Place::Alias(at) => self.aliases[at as usize].turn(standing, height),
            Place::Patient(at) => {
                self.patients[at as usize].turn(standing, height);
                if held || self.more.contains_key(&at) {
                    self.more.entry(at).or_default().held = held;
                }
            }
        }
    }

    /// Gives anybody but an authority another certificate.
    pub(super) fn certify(&mut self, place: Place, certificate: Certificate) {
        match place {
            Place::Authority(_) => unreachable!("nobody certifies authorities"),
            Place::Hospital(at) => self.hospitals[at as usize].certificate = certificate,
            Place::Doctor(at) => self.doctors[at as usize].certificate = certificate,
            Place::Patient(at) => self.patients[at as usize].certificate = certificate,
            Place::Alias(at) => self.aliases[at as usize].certificate = certificate,
        }
    }

    /// Gives a patient another key at a height, by the accepted call of this number. Tells the
    /// name that is given up.
    pub(super) fn rotate(&mut self, rotation: Rotation, height: u64, call: u64) -> PatientId {
        let at = rotation.at;
        let patient = &mut self.patients[at as usize];
        let old = patient.id;
        let more = self.more.entry(at).or_default();
        more.former.push(Former {
            pid: old,
            key: patient.who.key,
            until: height,
        });
        more.held = false;
        if rotation.revoke_all {
            more.void_before = call;
        }
        patient.id = rotation.pid;
        patient.who.key = rotation.key;
        patient.turn(Standing::Active, height);
        if let Some(certificate) = rotation.certificate {
            patient.certificate = certificate;
        }
        self.by_pid.insert(rotation.pid, at);
        old
    }

    /// Replaces the list of those who may sign for a patient.
    pub(super) fn entrust(&mut self, at: u32, custodians: Vec<Custodian>) {
        self.more.entry(at).or_default().custodians = custodians;
    }

    /// Whether a doctor practises with this licence.
    pub(super) fn is_licensed(&self, licence: &str) -> bool {
        self.licences.contains(licence)
    }

    /// The name of a registered party.
    pub(super) fn party(&self, place: Place) -> Party {
        match place {
            Place::Authority(at) => Party::Authority(self.offices[at as usize].id),
            Place::Hospital(at) => Party::Hospital(self.hospitals[at as usize].id),
            Place::Doctor(at) => Party::Doctor(self.doctors[at as usize].id),
            Place::Patient(at) => Party::Patient(self.patients[at as usize].id),
            Place::Alias(at) => Party::Alias(self.aliases[at as usize].id),
        }
    }

    /// Where a party stands in the directory; refuses unknown ones, and patients by a name that
    /// they have given up.
    pub(super) fn place(&self, party: &Party) -> Result<Place, Code> {
        Ok(match party {
            Party::Authority(id) => Place::Authority(self.by_ca.get(id).ok_or(Code::UnknownCa)?),
            Party::Hospital(id) => Place::Hospital(self.hospital(id)?),
            Party::Doctor(id) => Place::Doctor(self.doctor(id)?),
            Party::Patient(id) => Place::Patient(self.patient(id)?),
            Party::Alias(id) => Place::Alias(self.by_alias.get(id).ok_or(Code::UnknownSigner)?),
        })
    }

    /// The place of a hospital.
    pub(super) fn hospital(&self, id: &HospitalId) -> Result<u32, Code> {
        self.by_hid.get(id).ok_or(Code::UnknownHospital)
    }

    /// The place of a doctor.
    pub(super) fn doctor(&self, id: &DoctorId) -> Result<u32, Code> {
        self.by_did.get(id).ok_or(Code::UnknownDoctor)
    }

    /// The place of a patient.
    pub(super) fn patient(&self, id: &PatientId) -> Result<u32, Code> {
        let at = self.by_pid.get(id).ok_or(Code::UnknownPatient)?;
        if self.patients[at as usize].id != *id {
            return Err(Code::PatientClosed);
        }
        Ok(at)
    }

    /// Whether a patient has or had this name.
    pub(super) fn is_pseudonym(&self, id: &PatientId) -> bool {
        self.by_pid.get(id).is_some()
    }

    /// All names of a patient, the present one first.
    pub(super) fn pseudonyms(&self, at: u32) -> impl Iterator<Item = &PatientId> {
        let more = self.more.get(&at);
        let former = more.into_iter().flat_map(|more| &more.former);
        let present = &self.patients[at as usize].id;
        std::iter::once(present).chain(former.map(|former| &former.pid))
    }

    /// The key with which a patient signs, or signed, under a name.
    pub(super) fn key_of(&self, pid: &PatientId) -> Option<&PublicKey> {
        match self.patient(pid) {
            Ok(at) => Some(&self.patient_at(at).key),
            Err(_) => self.former(pid).map(|former| &former.key),
        }
    }

    /// What is known of a name that a patient has given up.
    fn former(&self, pid: &PatientId) -> Option<&Former> {
        let at = self.by_pid.get(pid)?;
        let former = &self.more.get(&at)?.former;
        former.iter().find(|former| former.pid == *pid)
    }

    /// The name that a patient took instead of this one.
    pub(super) fn successor(&self, pid: &PatientId) -> Option<&PatientId> {
        let at = self.by_pid.get(pid)?;
        let names = self.more.get(&at)?.former.iter().map(|former| &former.pid);
        let names = names.chain([self.pid_at(at)]);
        names.skip_while(|name| *name != pid).nth(1)
    }

    /// The authority at a place.
    pub(super) fn authority_at(&self, at: u32) -> &Authority {
        &self.offices[at as usize].who
    }

    /// The hospital at a place.
    pub(super) fn hospital_at(&self, at: u32) -> &Hospital {
        &self.hospitals[at as usize].who
    }

    /// The doctor at a place.
    pub(super) fn doctor_at(&self, at: u32) -> &Doctor {
        &self.doctors[at as usize].who
    }

    /// The patient at a place.
    pub(super) fn patient_at(&self, at: u32) -> &Patient {
        &self.patients[at as usize].who
    }

    /// The alias at a place.
    pub(super) fn alias_at(&self, at: u32) -> &Alias {
        &self.aliases[at as usize].who
    }

    /// Everything that is kept of aliases, as text.
    #[cfg(test)]
    pub(super) fn aliases(&self) -> String {
        format!("{:?} {:?}", self.aliases, self.by_alias)
    }

    /// The keys of all aliases.
    pub(super) fn alias_keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.aliases.iter().map(|alias| &alias.who.key)
    }

    /// The key of whoever stands at a place, if anybody does.
    pub(super) fn key_at(&self, place: Place) -> Option<&PublicKey> {
        match place {
            Place::Authority(at) => Some(&self.offices.get(at as usize)?.who.key),
            Place::Hospital(at) => Some(&self.hospitals.get(at as usize)?.who.key),
            Place::Doctor(at) => Some(&self.doctors.get(at as usize)?.who.key),
            Place::Patient(at) => Some(&self.patients.get(at as usize)?.who.key),
            Place::Alias(at) => Some(&self.aliases.get(at as usize)?.who.key),
        }
    }

    /// The name of the patient at a place.
    pub(super) fn pid_at(&self, at: u32) -> &PatientId {
        &self.patients[at as usize].id
    }

    /// Who may sign for a patient, besides the patient.
    pub(super) fn custodians(&self, at: u32) -> &[Custodian] {
        self.more.get(&at).map_or(&[], |more| &more.custodians)
    }

    /// Whether the authority froze a patient's account.
    pub(super) fn is_held(&self, at: u32) -> bool {
        self.more.get(&at).is_some_and(|more| more.held)
    }

    /// The number of the accepted call before which all grants of a patient are void.
    pub(super) fn void_before(&self, at: u32) -> u64 {
        self.more.get(&at).map_or(0, |more| more.void_before)
    }

    /// How many hospitals are active.
    pub(super) fn active_hospitals(&self) -> usize {
        let standings = self.hospitals.iter().map(|hospital| hospital.standing);
        standings.filter(|s| *s == Standing::Active).count()
    }

    /// Refuses an authority whose word does not count at a height.
    pub(super) fn check_authority(&self, at: u32, height: u64) -> Result<(), Code> {
        let office = &self.offices[at as usize];
        if office.revoked.is_some() {
            return Err(Code::CaRevoked);
        }
        if office.who.valid.is_over(height) {
            return Err(Code::CaExpired);
        }
        Ok(())
    }

    /// Refuses anybody but an authority whose certificate does not count at a height.
    pub(super) fn check_certificate(&self, place: Place, height: u64) -> Result<(), Code> {
        let certificate = self.certificate(place);
        self.check_authority(certificate.ca, height)?;
        if certificate.valid.is_over(height) {
            return Err(Code::CertExpired);
        }
        Ok(())
    }

    /// The certificate of anybody but an authority.
    pub(super) fn certificate(&self, place: Place) -> &Certificate {
        match place {
            Place::Authority(_) => unreachable!("nobody certifies authorities"),
            Place::Hospital(at) => &self.hospitals[at as usize].certificate,
            Place::Doctor(at) => &self.doctors[at as usize].certificate,
            Place::Patient(at) => &self.patients[at as usize].certificate,
            Place::Alias(at) => &self.aliases[at as usize].certificate,
        }
    }

    /// Refuses a doctor who may not act.
    pub(super) fn check_doctor(&self, at: u32) -> Result<(), Code> {
        let standing = self.standing(Place::Doctor(at));
        standing.require(Code::DoctorSuspended, Code::DoctorRevoked)
    }

    /// Refuses a patient who may not act.
    pub(super) fn check_patient(&self, at: u32) -> Result<(), Code> {
        let standing = self.standing(Place::Patient(at));
        standing.require(Code::PatientFrozen, Code::PatientClosed)
    }

    /// Refuses an alias that was ended. An alias is nothing but a key with a certificate, so that
    /// is the end of the certificate.
    pub(super) fn check_alias(&self, at: u32) -> Result<(), Code> {
        let standing = self.standing(Place::Alias(at));
        standing.require(Code::CertExpired, Code::CertExpired)
    }

    /// Refuses a hospital that may not act.
    pub(super) fn check_hospital(&self, at: u32) -> Result<(), Code> {
        let standing = self.standing(Place::Hospital(at));
        standing.require(Code::HospitalSuspended, Code::HospitalClosed)
    }

    /// The standing of a registered party.
    pub(super) fn standing(&self, place: Place) -> Standing {
        match place {
            Place::Authority(_) => Standing::Active,
            Place::Hospital(at) => self.hospitals[at as usize].standing,
            Place::Doctor(at) => self.doctors[at as usize].standing,
            Place::Patient(at) => self.patients[at as usize].standing,
            Place::Alias(at) => self.aliases[at as usize].standing,
        }
    }

    /// Bytes the directory takes in a snapshot, about.
    pub(super) fn bytes(&self) -> u64 {
        96 * (self.offices.len() + self.hospitals.len() + self.patients.len()) as u64
            + 96 * self.aliases.len() as u64
            + 224 * self.doctors.len() as u64
            + 128 * self.more.len() as u64
    }
}

impl<Id, Who> Member<Id, Who> {
    fn new(id: Id, who: Who, since: u64, certificate: Certificate) -> Self {
        Self {
            id,
            who,
            standing: Standing::Active,
            since,
            certificate,
        }
    }

    /// Brings it to another standing at a height.
    fn turn(&mut self, standing: Standing, height: u64) {
        self.standing = standing;
        self.since = height;
    }
}
