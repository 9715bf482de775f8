//! The life of a record: proposed, confirmed or submitted at once, replaced, hidden.
//!
//! A record enters only with the signatures of its doctor and its patient over the same bytes, in
//! one step or in two, and both ways end in the same state. What the signatures do not prove is
//! that the content is medically true: doctor and patient together can record a fiction.

use std::sync::Arc;

use super::call::SignedCall;
use super::error::Code;
use super::identity::{DoctorId, Party, PatientId, Place};
use super::message::{CHAIN, Content, Draft, RecordId};
use super::proof::Proof;
use super::rules::{Authentication, Mutant};
use super::speaker::{Signer, check_no_strays};
use super::view::View;
use super::write::Change;
use super::{Receipt, State};
use crate::base::crypto::{Digest, Hasher};

/// Where a record is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Signed by the doctor, waiting for the patient.
    Proposed,
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
    /// Called wrong by one party; searches show it as such.
    Disputed,
}

impl Status {
    /// Whether searches find such a record.
    pub(super) fn is_found(self) -> bool {
        match self {
            Self::Active | Self::Disputed => true,
            Self::Proposed | Self::Amended(_) | Self::Hidden | Self::Rejected | Self::Withdrawn => {
                false
            }
        }
    }
}

/// A record as the chain keeps it.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) draft: Arc<Draft>,
    pub(super) doctor: u32,
    /// The hospital that keeps the document.
    pub(super) hospital: u32,
    pub(super) patient: u32,
    pub(super) status: Status,
    /// The height at which it came to this status.
    pub(super) since: u64,
    pub(super) by_doctor: Proof,
    /// By the patient, or by a custodian for the patient.
    pub(super) by_patient: Option<Proof>,
    /// The custodian who signed for the patient.
    pub(super) custodian: Option<PatientId>,
    /// Whether its parties, in settling a dispute, called it one to be read with care.
    pub(super) suspect: bool,
}

impl Record {
    /// Whether it is a proposal that waited too long. Nobody has to say so: at a height it has.
    pub(super) fn has_expired(&self, height: u64) -> bool {
        self.status == Status::Proposed && height > self.since.saturating_add(PROPOSAL_BLOCKS)
    }

    /// The digest under which the record is part of the state.
    pub(super) fn entry(&self) -> Digest {
        let (status, next) = match &self.status {
            Status::Proposed => (0, None),
            Status::Active => (1, None),
            Status::Amended(by) => (2, Some(by)),
            Status::Hidden => (3, None),
            Status::Rejected => (4, None),
            Status::Withdrawn => (5, None),
            Status::Disputed => (6, None),
        };
        let [for_doctor, for_patient] = [self.draft.for_doctor(), self.draft.for_patient()];
        let by_patient = self.by_patient.as_ref();
        let by_patient = by_patient.map(|proof| proof.mark(Some(&for_patient)));
        Hasher::new("record entry")
            .digest(&for_doctor)
            .part(&self.by_doctor.mark(Some(&for_doctor)))
            .part(&by_patient.unwrap_or_default())
            .part(self.custodian.as_ref().map_or(&[][..], |pid| &pid.0.0))
            .number(self.since)
            .part(&[status, u8::from(self.suspect)])
            .part(next.map_or(&[][..], |rid| &rid.0.0))
            .finish()
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
    hospital: u32,
    signer: Signer,
}

impl<'s> View<'s> {
    /// Doctor and patient enter a record in one step.
    pub(super) fn submit(
        &mut self,
        draft: &Arc<Draft>,
        call: &SignedCall,
    ) -> Result<Receipt, Code> {
        let parties = self.parties(draft, &draft.content().pid, call)?;
        let by_doctor = self.check_by_doctor(draft, parties, call.first())?;
        let by_patient = self.check_by_patient(draft, parties, call)?;
        self.check_two_people(parties)?;
        check_no_strays(call, parties.signer.custodian.is_some())?;
        self.check_new(draft, parties)?;
        let replaced = self.check_relations(draft, parties)?;
        self.enter(Record {
            draft: draft.clone(),
            doctor: parties.doctor,
            hospital: parties.hospital,
            patient: parties.signer.patient,
            status: Status::Active,
            since: 0,
            by_doctor,
            by_patient,
            custodian: self.speaker(),
            suspect: false,
        });
        self.replace(replaced, draft);
        Ok(Receipt::Accepted)
    }

    /// A doctor proposes a record.
    pub(super) fn propose(
        &mut self,
        draft: &Arc<Draft>,
        call: &SignedCall,
    ) -> Result<Receipt, Code> {
        let parties = self.parties(draft, &draft.content().pid, call)?;
        let by_doctor = self.check_by_doctor(draft, parties, call.first())?;
        self.check_two_people(parties)?;
        check_no_strays(call, parties.signer.custodian.is_some())?;
        self.check_new(draft, parties)?;
        self.check_relations(draft, parties)?;
        self.write(Change::Record(Box::new(Record {
            draft: draft.clone(),
            doctor: parties.doctor,
            hospital: parties.hospital,
            patient: parties.signer.patient,
            status: Status::Proposed,
            since: 0,
            by_doctor,
            by_patient: None,
            custodian: None,
            suspect: false,
        })));
        Ok(Receipt::Accepted)
    }

    /// A patient confirms a proposal. The dual rule is checked again as a whole, because much can
    /// have changed since the doctor signed.
    pub(super) fn confirm(
        &mut self,
        (rid, pid): (&RecordId, &PatientId),
        signed: &Digest,
        call: &SignedCall,
    ) -> Result<Receipt, Code> {
        let Some(record) = self.record(rid) else {
            // Without a proposal there is nothing to compare the signed bytes with.
            self.check_further(call)?;
            let signer = self.signer(pid, call)?;
            self.check_entrusted(signer)?;
            self.check_signer(signer, signed, call)?;
            return Err(Code::ProposalNotFound);
        };
        let draft = &record.draft;
        let parties = self.parties(draft, pid, call)?;
        let by_patient = self.check_signer(parties.signer, signed, call)?;
        if *signed != draft.for_patient() {
            return Err(Code::SignedDifferentContent);
        }
        self.check_two_people(parties)?;
        check_no_strays(call, parties.signer.custodian.is_some())?;
        self.check_unused(draft, parties)?;
        self.check_payload(draft, parties)?;
        if !self.is_patient(Place::Patient(parties.signer.patient), record.patient) {
            return Err(Code::RecordNotOfPatient);
        }
        self.check_waiting(record)?;
        let replaced = self.check_relations(draft, parties)?;
        self.enter(Record {
            status: Status::Active,
            by_patient: Some(by_patient),
            custodian: self.speaker(),
            ..record.clone()
        });
        self.replace(replaced, draft);
        Ok(Receipt::Accepted)
    }

    /// A patient rejects a proposal.
    pub(super) fn reject(&mut self, rid: &RecordId, by: Place) -> Result<(), Code> {
        let record = self.record(rid).ok_or(Code::ProposalNotFound)?;
        if !self.is_patient(by, record.patient) {
            return Err(Code::RecordNotOfPatient);
        }
        self.check_waiting(record)?;
        self.turn(record, Status::Rejected);
        Ok(())
    }

    /// A doctor takes a proposal back.
    pub(super) fn withdraw(&mut self, rid: &RecordId, by: Place) -> Result<(), Code> {
        let record = self.record(rid).ok_or(Code::ProposalNotFound)?;
        if by != Place::Doctor(record.doctor) {
            return Err(Code::RecordNotOfDoctor);
        }
        self.check_waiting(record)?;
        self.turn(record, Status::Withdrawn);
        Ok(())
    }

    /// A patient takes a record out of the search, or puts it back.
    pub(super) fn set_hidden(&mut self, rid: &RecordId, by: Place, hide: bool) -> Result<(), Code> {
        let record = self.record(rid).ok_or(Code::RecordNotFound)?;
        if !self.is_patient(by, record.patient) {
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
        self.turn(record, to);
        Ok(())
    }

    /// One party says that a record is wrong.
    pub(super) fn dispute(&mut self, rid: &RecordId, by: Place) -> Result<(), Code> {
        let record = self.record(rid).ok_or(Code::RecordNotFound)?;
        self.check_party_of(record, by)?;
        if record.status != Status::Active {
            return Err(Code::IllegalTransition);
        }
        self.turn(record, Status::Disputed);
        Ok(())
    }

    /// Both parties let a disputed record stand.
    pub(super) fn resolve(
        &mut self,
        (rid, suspect): (&RecordId, bool),
        by: Place,
    ) -> Result<(), Code> {
        let record = self.record(rid).ok_or(Code::RecordNotFound)?;
        self.check_party_of(record, by)?;
        if record.status != Status::Disputed {
            return Err(Code::IllegalTransition);
        }
        self.write(Change::Record(Box::new(Record {
            status: Status::Active,
            suspect,
            ..record.clone()
        })));
        Ok(())
    }

    /// Refuses a doctor or patient who is not one of the two parties of a record.
    fn check_party_of(&mut self, record: &Record, by: Place) -> Result<(), Code> {
        match by {
            Place::Doctor(at) if at == record.doctor => Ok(()),
            Place::Doctor(_) => Err(Code::RecordNotOfDoctor),
            Place::Patient(_) if self.is_patient(by, record.patient) => Ok(()),
            Place::Patient(_) => Err(Code::RecordNotOfPatient),
            Place::Hospital(_) | Place::Authority(_) | Place::Alias(_) => Err(Code::WrongRole),
        }
    }

    /// The other party of a record, if the caller is one of the two.
    pub(super) fn counterpart(&mut self, rid: &RecordId, by: Place) -> Option<Place> {
        let record = self.record(rid)?;
        self.check_party_of(record, by).ok()?;
        Some(match by {
            Place::Doctor(_) => Place::Patient(record.patient),
            Place::Patient(_) | Place::Hospital(_) | Place::Authority(_) | Place::Alias(_) => {
                Place::Doctor(record.doctor)
            }
        })
    }

    /// Form, time and identities: the groups of checks of a draft before signatures. The patient
    /// is the one who is named by the caller.
    fn parties(
        &mut self,
        draft: &Draft,
        pid: &PatientId,
        call: &SignedCall,
    ) -> Result<Parties, Code> {
        let content = draft.content();
        check_draft(content)?;
        if self.height() > content.valid_until {
            return Err(Code::Expired);
        }
        self.check_further(call)?;
        let doctor = self.doctor(&content.did);
        let doctor = doctor.and_then(|at| self.check_may_sign(Place::Doctor(at)).map(|()| at));
        let signer = self.signer(pid, call);
        let known = if *pid == content.pid {
            Ok(0)
        } else {
            self.patient(&content.pid)
        };
        let hospital = self.hospital(&content.hid);
        let hospital =
            hospital.and_then(|at| self.check_standing(Place::Hospital(at)).map(|()| at));
        let (Ok(doctor), Ok(hospital), Ok(signer), Ok(_)) = (doctor, hospital, signer, known)
        else {
            let failed = [doctor.err(), signer.err(), known.err(), hospital.err()];
            let failed = failed.into_iter().flatten().min();
            return Err(failed.expect("one of them failed"));
        };
        self.check_entrusted(signer)?;
        Ok(Parties {
            doctor,
            hospital,
            signer,
        })
    }

    /// The doctor's signature of a draft, if there is one that verifies.
    fn check_by_doctor(
        &mut self,
        draft: &Draft,
        parties: Parties,
        proof: Option<&Proof>,
    ) -> Result<Proof, Code> {
        let proof = proof.ok_or(Code::DoctorSignatureMissing)?;
        if !self.is_signed(Place::Doctor(parties.doctor), proof, &draft.for_doctor()) {
            return Err(Code::DoctorSignatureInvalid);
        }
        Ok(proof.clone())
    }

    /// The patient's signature of a draft, which has to be there and verify, unless the rules of
    /// the chain do without it.
    fn check_by_patient(
        &mut self,
        draft: &Draft,
        parties: Parties,
        call: &SignedCall,
    ) -> Result<Option<Proof>, Code> {
        match self.rules().authentication {
            Authentication::DoctorOnly => Ok(None),
            Authentication::Dual => {
                let signed = self.check_signer(parties.signer, &draft.for_patient(), call);
                signed.map(Some)
            }
        }
    }

    /// Refuses a doctor who is the patient, or the custodian who signs for the patient, under
    /// whatever name.
    fn check_two_people(&mut self, parties: Parties) -> Result<(), Code> {
        let own = self.doctor_at(parties.doctor).own;
        let Signer { patient, custodian } = parties.signer;
        let mut others = [Some(patient), custodian].into_iter().flatten();
        let same = others.any(|at| self.pseudonyms(at).any(|pid| pid.own_commitment() == own));
        if same && !self.lacks(Mutant::SelfDealing) {
            return Err(Code::SelfDealing);
        }
        Ok(())
    }

    /// Refuses a draft that repeats something.
    fn check_new(&mut self, draft: &Draft, parties: Parties) -> Result<(), Code> {
        self.check_unused(draft, parties)?;
        if self.record(&draft.content().rid).is_some() {
            return Err(Code::DuplicateRid);
        }
        self.check_payload(draft, parties)
    }

    fn check_unused(&mut self, draft: &Draft, parties: Parties) -> Result<(), Code> {
        self.check_nonce(
            Place::Patient(parties.signer.patient),
            draft.content().nonce,
        )
    }

    fn check_payload(&mut self, draft: &Draft, parties: Parties) -> Result<(), Code> {
        let again = self.has_payload(draft, parties.doctor, parties.signer.patient);
        if again && !self.lacks(Mutant::DocumentAgain) {
            return Err(Code::DuplicatePayload);
        }
        Ok(())
    }

    /// Whether the doctor works where the draft says, and what it replaces can be replaced.
    fn check_relations(
        &mut self,
        draft: &Draft,
        parties: Parties,
    ) -> Result<Option<&'s Record>, Code> {
        let content = draft.content();
        if self.doctor_at(parties.doctor).hid != content.hid {
            return Err(Code::DoctorNotOfHospital);
        }
        let Some(rid) = &content.supersedes else {
            return Ok(None);
        };
        let old = self.record(rid).ok_or(Code::SupersedesNotFound)?;
        let same = old.patient == parties.signer.patient && old.draft.content().hid == content.hid;
        let same = same || self.lacks(Mutant::OthersReplaced);
        match old.status {
            Status::Hidden | Status::Proposed | Status::Rejected | Status::Withdrawn => {
                Err(Code::IllegalTransition)
            }
            Status::Active | Status::Disputed | Status::Amended(_) if !same => {
                Err(Code::SupersedesOtherPatient)
            }
            Status::Amended(_) => Err(Code::AlreadyAmended),
            Status::Active | Status::Disputed => Ok(Some(old)),
        }
    }

    /// Refuses to decide on a record that is no proposal any more.
    fn check_waiting(&self, record: &Record) -> Result<(), Code> {
        match record.status {
            Status::Proposed if record.has_expired(self.height()) => Err(Code::ProposalExpired),
            Status::Proposed => Ok(()),
            Status::Active
            | Status::Amended(_)
            | Status::Hidden
            | Status::Rejected
            | Status::Withdrawn
            | Status::Disputed => Err(Code::IllegalTransition),
        }
    }

    /// Plans that a record both parties agree on becomes active.
    fn enter(&mut self, record: Record) {
        let (doctor, patient) = (record.doctor, record.patient);
        let draft = record.draft.clone();
        let content = draft.content();
        let owner = Party::Patient(content.pid);
        self.spend(Place::Patient(patient), owner, content.nonce);
        self.write(Change::Record(Box::new(record)));
        self.write(Change::Payload {
            draft,
            doctor,
            patient,
        });
    }

    /// Plans that a draft takes the place of an old record, if it says so.
    fn replace(&mut self, old: Option<&Record>, draft: &Draft) {
        if let Some(old) = old {
            self.turn(old, Status::Amended(draft.content().rid));
        }
    }

    /// Plans another status for a record.
    fn turn(&mut self, record: &Record, status: Status) {
        self.write(Change::Record(Box::new(Record {
            status,
            ..record.clone()
        })));
    }
}

/// The form of a draft.
fn check_draft(content: &Content) -> Result<(), Code> {
    // Nothing is what a draft says to replace when it replaces none; so nothing is called so.
    if content.rid.0 == Digest::ZERO {
        return Err(Code::EmptyField);
    }
    content.summary.check()?;
    if content.payload_bytes > PAYLOAD_MAX {
        return Err(Code::BodyTooLarge);
    }
    if content.chain != CHAIN {
        return Err(Code::WrongChain);
    }
    Ok(())
}

impl State {
    /// The status of a record.
    pub fn status(&self, rid: &RecordId) -> Option<Status> {
        self.records.find(rid).map(|(_, record)| record.status)
    }

    /// Whether a record is a proposal that nobody answered in time.
    pub fn has_expired(&self, rid: &RecordId, height: u64) -> bool {
        let found = self.records.find(rid);
        found.is_some_and(|(_, record)| record.has_expired(height))
    }

    /// Whether the parties of a record called it one to be read with care.
    pub fn is_suspect(&self, rid: &RecordId) -> bool {
        let found = self.records.find(rid);
        found.is_some_and(|(_, record)| record.suspect)
    }

    /// Who made a record and whose it is.
    pub fn parties_of(&self, rid: &RecordId) -> Option<(DoctorId, PatientId)> {
        let (_, record) = self.records.find(rid)?;
        let content = record.draft.content();
        Some((content.did, content.pid))
    }
}
