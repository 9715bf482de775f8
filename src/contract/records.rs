//! The life of a record: proposed, confirmed or submitted at once, replaced, hidden.
//!
//! A record enters only with the signatures of its doctor and its patient over the same bytes, in
//! one step or in two, and both ways end in the same state. What the signatures do not prove is
//! that the content is medically true: doctor and patient together can record a fiction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::State;
use super::call::{Proof, SignedCall};
use super::error::Code;
use super::identity::{DoctorId, PatientId, Place};
use super::message::{CHAIN, Draft, RecordId};
use crate::base::crypto::{Digest, Hasher, Signature};

/// Where a record is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Signed by the doctor, waiting for the patient until this height.
    Proposed(u64),
    /// Signed by both; searchable.
    Active,
    /// Replaced by this record.
    Amended(RecordId),
    /// Taken out of the search by the patient.
    Hidden,
    /// Turned down by the patient.
    Rejected,
    /// Taken back by the doctor.
    Withdrawn,
}

/// A record as the chain keeps it.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) draft: Arc<Draft>,
    pub(super) doctor: u32,
    pub(super) patient: u32,
    pub(super) status: Status,
    pub(super) since: u64,
    pub(super) by_doctor: Signature,
    pub(super) by_patient: Option<Signature>,
    /// Where the record is in the index while it is active.
    pub(super) ticket: u32,
}

impl Record {
    /// The digest under which the record is part of the state.
    pub(super) fn entry(&self) -> Digest {
        let (status, detail) = match &self.status {
            Status::Proposed(until) => (0, *until),
            Status::Active => (1, 0),
            Status::Amended(_) => (2, 0),
            Status::Hidden => (3, 0),
            Status::Rejected => (4, 0),
            Status::Withdrawn => (5, 0),
        };
        let next = match &self.status {
            Status::Amended(by) => &by.0,
            Status::Proposed(_)
            | Status::Active
            | Status::Hidden
            | Status::Rejected
            | Status::Withdrawn => &Digest::ZERO,
        };
        Hasher::new("record entry")
            .digest(&self.draft.for_doctor())
            .part(&self.by_doctor.0)
            .part(self.by_patient.as_ref().map_or(&[][..], |s| &s.0[..]))
            .number(self.since)
            .number(status)
            .number(detail)
            .digest(next)
            .finish()
    }
}

/// All records, by the order in which they came, and the ways to find them.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    all: Vec<Record>,
    by_rid: BTreeMap<RecordId, u32>,
    /// Documents that a doctor has recorded for a patient, both by place.
    payloads: BTreeSet<(u32, u32, Digest)>,
}

impl Records {
    /// The record with this name and its place.
    pub(super) fn find(&self, rid: &RecordId) -> Option<(u32, &Record)> {
        let at = *self.by_rid.get(rid)?;
        Some((at, &self.all[at as usize]))
    }

    /// The record at a place.
    pub(super) fn at(&self, at: u32) -> &Record {
        &self.all[at as usize]
    }

    /// How many there are, whatever became of them.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.all.iter()
    }
}

/// Blocks that a proposal waits for its patient.
pub const PROPOSAL_BLOCKS: u64 = 1_000;
/// Bytes of a document at most.
pub const PAYLOAD_MAX: u64 = 64 << 20;

/// The parties of a draft by place.
#[derive(Clone, Copy)]
struct Parties {
    doctor: u32,
    patient: u32,
}

impl State {
    /// Doctor and patient enter a record in one step.
    pub(super) fn submit(
        &mut self,
        height: u64,
        draft: &Arc<Draft>,
        call: &SignedCall,
    ) -> Result<(), Code> {
        let parties = self.parties(height, draft)?;
        let by_doctor = self.check_by_doctor(draft, parties, call.first())?;
        let by_patient = call.second().ok_or(Code::PatientSignatureMissing)?;
        self.check_by_patient(draft, parties, by_patient)?;
        self.check_two_people(draft, parties)?;
        self.check_unused(draft, parties)?;
        if self.records.by_rid.contains_key(&draft.content().rid) {
            return Err(Code::DuplicateRid);
        }
        self.check_payload(draft, parties)?;
        let replaced = self.check_relations(draft, parties)?;
        let record = Record {
            draft: draft.clone(),
            doctor: parties.doctor,
            patient: parties.patient,
            status: Status::Active,
            since: height,
            by_doctor,
            by_patient: Some(*by_patient.signature()),
            ticket: 0,
        };
        let at = self.insert(record);
        self.activated(at, replaced);
        Ok(())
    }

    /// A doctor proposes a record.
    pub(super) fn propose(
        &mut self,
        height: u64,
        draft: &Arc<Draft>,
        call: &SignedCall,
    ) -> Result<(), Code> {
        let parties = self.parties(height, draft)?;
        let by_doctor = self.check_by_doctor(draft, parties, call.first())?;
        self.check_two_people(draft, parties)?;
        self.check_unused(draft, parties)?;
        if self.records.by_rid.contains_key(&draft.content().rid) {
            return Err(Code::DuplicateRid);
        }
        self.check_payload(draft, parties)?;
        self.check_relations(draft, parties)?;
        self.insert(Record {
            draft: draft.clone(),
            doctor: parties.doctor,
            patient: parties.patient,
            status: Status::Proposed(height + PROPOSAL_BLOCKS),
            since: height,
            by_doctor,
            by_patient: None,
            ticket: 0,
        });
        Ok(())
    }

    /// A patient confirms a proposal. The dual rule is checked again as a whole, because much can
    /// have changed since the doctor signed.
    pub(super) fn confirm(
        &mut self,
        height: u64,
        (rid, pid): (&RecordId, &PatientId),
        signed: &Digest,
        call: &SignedCall,
    ) -> Result<(), Code> {
        let found = self.records.find(rid);
        let found = found.map(|(at, record)| (at, record.draft.clone()));
        if let Some((_, draft)) = &found {
            self.parties(height, draft)?;
        }
        let patient = self.directory.patient(pid)?;
        let proof = call.first().ok_or(Code::PatientSignatureMissing)?;
        if !proof.verifies(&self.directory.patient_at(patient).key, signed) {
            return Err(Code::PatientSignatureInvalid);
        }
        // Without a proposal there is nothing to compare the signed bytes with.
        let (at, draft) = found.ok_or(Code::ProposalNotFound)?;
        if *signed != draft.for_patient() {
            return Err(Code::SignedDifferentContent);
        }
        let record = self.records.at(at);
        let parties = Parties {
            doctor: record.doctor,
            patient: record.patient,
        };
        self.check_unused(&draft, parties)?;
        self.check_payload(&draft, parties)?;
        if patient != parties.patient {
            return Err(Code::RecordNotOfPatient);
        }
        self.check_waiting(height, at)?;
        let replaced = self.check_relations(&draft, parties)?;
        let by_patient = *proof.signature();
        self.change(at, |record| {
            record.status = Status::Active;
            record.since = height;
            record.by_patient = Some(by_patient);
        });
        self.activated(at, replaced);
        Ok(())
    }

    /// A patient rejects a proposal.
    pub(super) fn reject(&mut self, height: u64, rid: &RecordId, by: Place) -> Result<(), Code> {
        let (at, record) = self.records.find(rid).ok_or(Code::ProposalNotFound)?;
        if by != Place::Patient(record.patient) {
            return Err(Code::RecordNotOfPatient);
        }
        self.check_waiting(height, at)?;
        self.change(at, |record| record.status = Status::Rejected);
        Ok(())
    }

    /// A doctor takes a proposal back.
    pub(super) fn withdraw(&mut self, height: u64, rid: &RecordId, by: Place) -> Result<(), Code> {
        let (at, record) = self.records.find(rid).ok_or(Code::ProposalNotFound)?;
        if by != Place::Doctor(record.doctor) {
            return Err(Code::RecordNotOfDoctor);
        }
        self.check_waiting(height, at)?;
        self.change(at, |record| record.status = Status::Withdrawn);
        Ok(())
    }

    /// A patient takes a record out of the search, or puts it back.
    pub(super) fn set_hidden(&mut self, rid: &RecordId, by: Place, hide: bool) -> Result<(), Code> {
        let (at, record) = self.records.find(rid).ok_or(Code::RecordNotFound)?;
        if by != Place::Patient(record.patient) {
            return Err(Code::RecordNotOfPatient);
        }
        let (from, to) = if hide {
            (Status::Active, Status::Hidden)
        } else {
            (Status::Hidden, Status::Active)
        };
        if record.status != from {
            return Err(Code::IllegalTransition);
        }
        self.change(at, |record| record.status = to);
        Ok(())
    }

    /// Form, time and identities of a draft: the groups of checks before signatures.
    fn parties(&self, height: u64, draft: &Draft) -> Result<Parties, Code> {
        let content = draft.content();
        content.summary.check()?;
        if content.payload_bytes > PAYLOAD_MAX {
            return Err(Code::BodyTooLarge);
        }
        if content.chain != CHAIN {
            return Err(Code::WrongChain);
        }
        if height > content.valid_until {
            return Err(Code::Expired);
        }
        let doctor = self.directory.doctor(&content.did)?;
        self.directory.check_doctor(doctor)?;
        let patient = self.directory.patient(&content.pid)?;
        self.directory.check_patient(patient)?;
        let hospital = self.directory.hospital(&content.hid)?;
        self.directory.check_hospital(hospital)?;
        Ok(Parties { doctor, patient })
    }

    /// The doctor's signature of a draft, if there is one that verifies.
    fn check_by_doctor(
        &self,
        draft: &Draft,
        parties: Parties,
        proof: Option<&Proof>,
    ) -> Result<Signature, Code> {
        let proof = proof.ok_or(Code::DoctorSignatureMissing)?;
        let key = &self.directory.doctor_at(parties.doctor).key;
        if !proof.verifies(key, &draft.for_doctor()) {
            return Err(Code::DoctorSignatureInvalid);
        }
        Ok(*proof.signature())
    }

    fn check_by_patient(&self, draft: &Draft, parties: Parties, proof: &Proof) -> Result<(), Code> {
        let key = &self.directory.patient_at(parties.patient).key;
        if !proof.verifies(key, &draft.for_patient()) {
            return Err(Code::PatientSignatureInvalid);
        }
        Ok(())
    }

    fn check_two_people(&self, draft: &Draft, parties: Parties) -> Result<(), Code> {
        let doctor = self.directory.doctor_at(parties.doctor);
        if doctor.own == draft.content().pid.own_commitment() {
            return Err(Code::SelfDealing);
        }
        Ok(())
    }

    fn check_unused(&self, draft: &Draft, parties: Parties) -> Result<(), Code> {
        self.check_nonce(Place::Patient(parties.patient), draft.content().nonce)
    }

    fn check_payload(&self, draft: &Draft, parties: Parties) -> Result<(), Code> {
        let payload = (
            parties.patient,
            parties.doctor,
            draft.content().payload_hash,
        );
        if self.records.payloads.contains(&payload) {
            return Err(Code::DuplicatePayload);
        }
        Ok(())
    }

    /// Whether the doctor works where the draft says, and what it replaces can be replaced.
    fn check_relations(&self, draft: &Draft, parties: Parties) -> Result<Option<u32>, Code> {
        let content = draft.content();
        if self.directory.doctor_at(parties.doctor).hid != content.hid {
            return Err(Code::DoctorNotOfHospital);
        }
        let Some(rid) = &content.supersedes else {
            return Ok(None);
        };
        let (at, old) = self.records.find(rid).ok_or(Code::SupersedesNotFound)?;
        let same = old.patient == parties.patient && old.draft.content().hid == content.hid;
        match old.status {
            Status::Hidden | Status::Proposed(_) | Status::Rejected | Status::Withdrawn => {
                Err(Code::IllegalTransition)
            }
            Status::Active | Status::Amended(_) if !same => Err(Code::SupersedesOtherPatient),
            Status::Amended(_) => Err(Code::AlreadyAmended),
            Status::Active => Ok(Some(at)),
        }
    }

    /// Refuses to decide on a record that is no proposal any more.
    fn check_waiting(&self, height: u64, at: u32) -> Result<(), Code> {
        match self.records.at(at).status {
            Status::Proposed(until) if height > until => Err(Code::ProposalExpired),
            Status::Proposed(_) => Ok(()),
            Status::Active
            | Status::Amended(_)
            | Status::Hidden
            | Status::Rejected
            | Status::Withdrawn => Err(Code::IllegalTransition),
        }
    }

    /// Adds a record and tells its place.
    fn insert(&mut self, mut record: Record) -> u32 {
        let at = self.records.all.len() as u32;
        self.root.add(&record.entry());
        self.records.by_rid.insert(record.draft.content().rid, at);
        if record.status == Status::Active {
            record.ticket = self.index.insert(at, &record.draft.content().summary);
        }
        self.records.all.push(record);
        at
    }

    /// Changes a record, and with it the root and the index.
    fn change(&mut self, at: u32, edit: impl FnOnce(&mut Record)) {
        let record = &mut self.records.all[at as usize];
        self.root.remove(&record.entry());
        let was = record.status == Status::Active;
        edit(record);
        self.root.add(&record.entry());
        let is = record.status == Status::Active;
        let summary = &record.draft.content().summary;
        match (was, is) {
            (false, true) => record.ticket = self.index.insert(at, summary),
            (true, false) => self.index.remove(record.ticket, summary),
            (true, true) | (false, false) => {}
        }
    }

    /// Settles what follows when a record becomes active.
    fn activated(&mut self, at: u32, replaced: Option<u32>) {
        let record = self.records.at(at);
        let content = record.draft.content();
        let (rid, nonce) = (content.rid, content.nonce);
        let (patient, doctor) = (record.patient, record.doctor);
        let payload = (patient, doctor, content.payload_hash);
        self.records.payloads.insert(payload);
        self.spend(Place::Patient(patient), nonce);
        if let Some(old) = replaced {
            self.change(old, |record| record.status = Status::Amended(rid));
        }
    }

    /// The status of a record.
    pub fn status(&self, rid: &RecordId) -> Option<Status> {
        self.records.find(rid).map(|(_, record)| record.status)
    }

    /// Who made a record and whose it is.
    pub fn parties_of(&self, rid: &RecordId) -> Option<(DoctorId, PatientId)> {
        let (_, record) = self.records.find(rid)?;
        let content = record.draft.content();
        Some((content.did, content.pid))
    }
}
