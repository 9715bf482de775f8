//! Who may read what: grants by the patient, their end, and the list of every reading.
//!
//! Revoking ends future access from its place in the order of execution on; past readings stay
//! listed. That nothing changed is never a success: what is not granted cannot be revoked.

use std::sync::Arc;

use super::call::{Act, Order};
use super::error::Code;
use super::identity::{Directory, DoctorId, HospitalId, Party, PatientId, Place};
use super::message::{Message, RecordId, RecordKind};
use super::records::{Record, Status};
use super::view::View;
use super::write::Change;
use crate::base::crypto::{Digest, Hasher};

/// The name of a grant: the digest of what the patient signed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct GrantId(pub Digest);

/// To whom a patient grants access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grantee {
    /// To one doctor.
    Doctor(DoctorId),
    /// To a hospital, which signs itself.
    Hospital(HospitalId),
    /// To every doctor of a specialty at a hospital.
    Specialty(u8, HospitalId),
    /// To another patient.
    Patient(PatientId),
}

/// To what a patient grants access.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// To these records.
    Records(Vec<RecordId>),
    /// To all present and future records of these kinds.
    Kinds(Vec<RecordKind>),
    /// To all present and future records.
    All,
}

/// What for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Treatment.
    Care,
    /// Research.
    Research,
    /// Another doctor's opinion.
    SecondOpinion,
}

/// What a patient grants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GrantTerms {
    /// To whom.
    pub grantee: Grantee,
    /// To what.
    pub scope: Scope,
    /// What for.
    pub purpose: Purpose,
    /// The first height at which the grant counts.
    pub from: u64,
    /// The last height at which the grant counts.
    pub until: u64,
    /// How often it may be used.
    pub max_uses: Option<u32>,
}

/// Blocks that a grant may last.
pub const GRANT_BLOCKS_MAX: u64 = 100_000;
/// Records or kinds that one grant may list.
const SCOPE_MAX: usize = 64;

impl GrantTerms {
    /// Whether a hospital is to have access.
    pub(super) fn to_hospital(&self) -> bool {
        matches!(self.grantee, Grantee::Hospital(_))
    }

    /// Adds the terms to a message.
    pub(super) fn write(&self, message: Message) -> Message {
        let message = match &self.grantee {
            Grantee::Doctor(did) => message.number(0).digest(&did.0),
            Grantee::Hospital(hid) => message.number(1).digest(&hid.0),
            Grantee::Specialty(specialty, hid) => message
                .number(2)
                .number(u64::from(*specialty))
                .digest(&hid.0),
            Grantee::Patient(pid) => message.number(3).digest(&pid.0),
        };
        let message = match &self.scope {
            Scope::Records(rids) => {
                let message = message.number(0).number(rids.len() as u64);
                rids.iter().fold(message, |m, rid| m.digest(&rid.0))
            }
            Scope::Kinds(kinds) => {
                let message = message.number(1).number(kinds.len() as u64);
                kinds.iter().fold(message, |m, &kind| m.number(kind as u64))
            }
            Scope::All => message.number(2),
        };
        let max_uses = self.max_uses.map_or(u64::MAX, u64::from);
        message
            .number(self.purpose as u64)
            .number(self.from)
            .number(self.until)
            .number(max_uses)
    }

    /// Whether the list of the scope says something, and not too much.
    pub(super) fn check_form(&self) -> Result<(), Code> {
        let listed = match &self.scope {
            Scope::Records(rids) => rids.len(),
            Scope::Kinds(kinds) => kinds.len(),
            Scope::All => 1,
        };
        match listed {
            0 => Err(Code::EmptyField),
            1..=SCOPE_MAX => Ok(()),
            _ => Err(Code::FieldTooLong),
        }
    }

    /// Whether the interval is one, and short enough when granted at this height.
    pub(super) fn check_time(&self, height: u64) -> Result<(), Code> {
        if self.until > height.saturating_add(GRANT_BLOCKS_MAX) {
            return Err(Code::GrantTooLong);
        }
        if self.from >= self.until {
            return Err(Code::BadInterval);
        }
        Ok(())
    }

    /// Whether the scope includes a record of the granting patient.
    fn covers(&self, rid: &RecordId, record: &Record) -> bool {
        match &self.scope {
            Scope::Records(rids) => rids.contains(rid),
            Scope::Kinds(kinds) => kinds.contains(&record.draft.content().kind),
            Scope::All => true,
        }
    }
}

/// A grant as the chain keeps it.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    order: Arc<Order>,
    patient: u32,
    /// Where the grantee stands; of a specialty its hospital.
    grantee: Place,
    uses: u32,
    revoked: bool,
}

impl Grant {
    /// Its name.
    pub(super) fn gid(&self) -> GrantId {
        GrantId(self.order.message())
    }

    /// How often it was used.
    #[cfg(test)]
    pub(super) fn uses(&self) -> u64 {
        u64::from(self.uses)
    }

    fn terms(&self) -> &GrantTerms {
        match &self.order.terms().act {
            Act::Grant(terms) => terms,
            Act::Enrol(_)
            | Act::SetStanding(..)
            | Act::Reject(_)
            | Act::Withdraw(_)
            | Act::Hide(_)
            | Act::Unhide(_)
            | Act::Revoke(_)
            | Act::Access(..)
            | Act::Search(_) => unreachable!("a grant is made by an order that grants"),
        }
    }

    /// The digest under which the grant is part of the state; the name commits to the terms.
    pub(super) fn entry(&self) -> Digest {
        Hasher::new("grant entry")
            .digest(&self.order.message())
            .number(u64::from(self.uses))
            .number(u64::from(self.revoked))
            .finish()
    }

    /// Whether the grant is for whoever stands at this place.
    fn is_for(&self, place: Place, directory: &Directory) -> bool {
        match (&self.terms().grantee, place) {
            (Grantee::Specialty(specialty, hid), Place::Doctor(at)) => {
                let doctor = directory.doctor_at(at);
                doctor.specialty == *specialty && doctor.hid == *hid
            }
            (
                Grantee::Specialty(..),
                Place::Authority(_) | Place::Hospital(_) | Place::Patient(_),
            ) => false,
            (Grantee::Doctor(_) | Grantee::Hospital(_) | Grantee::Patient(_), place) => {
                self.grantee == place
            }
        }
    }
}

/// One reading of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// Who read.
    pub by: Party,
    /// Which record.
    pub rid: RecordId,
    /// By which grant.
    pub gid: GrantId,
    /// What for.
    pub purpose: Purpose,
    /// At which height.
    pub height: u64,
    /// The digest that the reader signed to ask for it.
    pub order: Digest,
}

impl Access {
    /// The digest under which the reading is part of the state; what was signed names the rest.
    pub(super) fn entry(&self) -> Digest {
        Hasher::new("access entry")
            .digest(&self.order)
            .number(self.height)
            .finish()
    }
}

impl View<'_> {
    /// Refuses to use a grant that begins later.
    pub(super) fn check_begun(&mut self, gid: &GrantId) -> Result<(), Code> {
        match self.grant_of(gid) {
            Some(grant) if self.height() < grant.terms().from => Err(Code::NotYetValid),
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses to use a grant whose giver has frozen or closed the account: grants pause.
    pub(super) fn check_giver(&mut self, gid: &GrantId) -> Result<(), Code> {
        match self.grant_of(gid) {
            Some(grant) => {
                self.patient_at(grant.patient);
                self.directory().check_patient(grant.patient)
            }
            None => Ok(()),
        }
    }

    /// A patient grants access.
    pub(super) fn grant(
        &mut self,
        order: &Arc<Order>,
        terms: &GrantTerms,
        by: Place,
    ) -> Result<(), Code> {
        let Place::Patient(patient) = by else {
            unreachable!("only patients pass the check of roles");
        };
        if let Scope::Records(rids) = &terms.scope {
            self.check_grantable(rids, patient)?;
        }
        let grantee = match terms.grantee {
            Grantee::Doctor(did) => Party::Doctor(did),
            Grantee::Hospital(hid) | Grantee::Specialty(_, hid) => Party::Hospital(hid),
            Grantee::Patient(pid) => Party::Patient(pid),
        };
        let grantee = self.place(&grantee);
        let grantee = grantee.map_err(|_| Code::GranteeNotFound)?;
        self.write(Change::Grant(Grant {
            order: order.clone(),
            patient,
            grantee,
            uses: 0,
            revoked: false,
        }));
        Ok(())
    }

    /// Whether all of these records are the patient's, and confirmed.
    fn check_grantable(&mut self, rids: &[RecordId], patient: u32) -> Result<(), Code> {
        let found = rids.iter().map(|rid| self.record(rid));
        let found: Option<Vec<_>> = found.collect();
        let records = found.ok_or(Code::RecordNotFound)?;
        if records.iter().any(|record| record.patient != patient) {
            return Err(Code::RecordNotOfPatient);
        }
        let mut records = records.iter();
        records.try_for_each(|record| check_entered(record.status))
    }

    /// The giver or the receiver ends a grant.
    pub(super) fn revoke(&mut self, gid: &GrantId, by: Place) -> Result<(), Code> {
        let grant = self.grant_of(gid).ok_or(Code::GrantNotFound)?;
        if !self.is_patient(by, grant.patient) && !grant.is_for(by, self.directory()) {
            return Err(Code::GrantNotYours);
        }
        if grant.revoked {
            return Err(Code::NothingToRevoke);
        }
        self.write(Change::Grant(Grant {
            revoked: true,
            ..grant.clone()
        }));
        Ok(())
    }

    /// The receiver of a grant reads a record.
    pub(super) fn access(
        &mut self,
        order: &Order,
        access: (&GrantId, &RecordId, Purpose),
        by: Place,
    ) -> Result<(), Code> {
        let (gid, rid, purpose) = access;
        let record = self.record(rid).ok_or(Code::RecordNotFound)?;
        check_entered(record.status)?;
        let grant = self.grant_of(gid).ok_or(Code::GrantNotFound)?;
        if !grant.is_for(by, self.directory()) {
            return Err(Code::GrantNotYours);
        }
        if grant.revoked {
            return Err(Code::GrantRevoked);
        }
        let terms = grant.terms();
        if self.height() > terms.until {
            return Err(Code::GrantExpired);
        }
        if terms.max_uses.is_some_and(|max| grant.uses >= max) {
            return Err(Code::GrantExhausted);
        }
        if record.patient != grant.patient || !terms.covers(rid, record) {
            return Err(Code::OutOfScope);
        }
        if terms.purpose != purpose {
            return Err(Code::WrongPurpose);
        }
        self.write(Change::Grant(Grant {
            uses: grant.uses + 1,
            ..grant.clone()
        }));
        self.write(Change::Access(Box::new(Access {
            by: order.terms().by,
            rid: *rid,
            gid: *gid,
            purpose,
            height: 0,
            order: order.message(),
        })));
        Ok(())
    }
}

/// Whether both parties have signed the record: only then can it be granted and read.
fn check_entered(status: Status) -> Result<(), Code> {
    match status {
        Status::Active | Status::Amended(_) | Status::Hidden => Ok(()),
        Status::Proposed | Status::Rejected | Status::Withdrawn => Err(Code::IllegalTransition),
    }
}
