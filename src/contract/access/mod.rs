//! Who may read what: grants by the patient, their end, and the list of every reading.
//!
//! `grants` gives, passes on, uses and revokes them, `emergency` is the way without one, and
//! `contact` the mailbox in which a patient hears of it.
//!
//! Revoking ends future access from its place in the order of execution on; past readings stay
//! listed. That nothing changed is never a success: what is not granted cannot be revoked.

mod contact;
mod emergency;
mod grants;
mod invariants;

use std::sync::Arc;

pub(super) use contact::asked;
pub use contact::{Mail, Notice};
pub(super) use emergency::Emergencies;

use super::call::{Act, Order};
use super::error::Code;
use super::identity::{Directory, DoctorId, HospitalId, Party, PatientId, Place};
use super::message::{Message, RecordId, RecordKind};
use super::records::Record;
use crate::base::crypto::{Digest, Hasher};

/// The name of a grant: the digest of what the patient signed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct GrantId(pub Digest);

impl AsRef<Digest> for GrantId {
    fn as_ref(&self) -> &Digest {
        &self.0
    }
}

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
    /// A danger in which the patient cannot be asked.
    Emergency,
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
    /// Whether the hospital that receives it may pass it on to its doctors.
    pub delegable: bool,
}

/// Blocks that a grant may last.
pub const GRANT_BLOCKS_MAX: u64 = 100_000;
/// Records or kinds that one grant may list.
const SCOPE_MAX: usize = 64;

impl GrantTerms {
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
            .number(u64::from(self.delegable))
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

    /// Whether the interval lies within that of other terms.
    fn is_within(&self, other: &Self) -> bool {
        other.from <= self.from && self.until <= other.until
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
    /// Uses that were passed on, which are gone from this grant whatever becomes of them.
    lent: u32,
    revoked: bool,
    /// The number of the call that gave it, stamped when it is committed.
    given: u64,
    /// Who signed for the patient.
    custodian: Option<PatientId>,
}

impl Grant {
    /// A grant by an order that nobody has used yet.
    fn new(order: &Arc<Order>, patient: u32, grantee: Place) -> Self {
        Self {
            order: order.clone(),
            patient,
            grantee,
            uses: 0,
            lent: 0,
            revoked: false,
            given: 0,
            custodian: None,
        }
    }

    /// The same as given by the call of this number.
    pub(super) fn given_by_call(self, given: u64) -> Self {
        Self { given, ..self }
    }

    /// The number of the call that gave it.
    pub(super) fn given(&self) -> u64 {
        self.given
    }

    /// Its name.
    pub(super) fn gid(&self) -> GrantId {
        GrantId(self.order.message())
    }

    /// How often it was used.
    #[cfg(test)]
    pub(super) fn uses(&self) -> u64 {
        u64::from(self.uses)
    }

    /// The custodian who gave it for the patient.
    #[cfg(test)]
    pub(super) fn custodian(&self) -> Option<PatientId> {
        self.custodian
    }

    /// Who received it, and who gave it.
    #[cfg(test)]
    pub(super) fn parties(&self) -> [Place; 2] {
        [self.grantee, Place::Patient(self.patient)]
    }

    /// Whether it was used and passed on as often as it may be at most.
    #[cfg(test)]
    pub(super) fn is_within_bounds(&self) -> bool {
        let gone = self.uses + self.lent;
        self.terms().max_uses.is_none_or(|max| gone <= max)
    }

    /// What was granted.
    pub(super) fn terms(&self) -> &GrantTerms {
        let (Act::Grant(terms) | Act::Delegate(_, terms)) = &self.order.terms().act else {
            unreachable!("a grant is made by an order that grants");
        };
        terms
    }

    /// The grant of which this one is a part.
    fn parent(&self) -> Option<&GrantId> {
        if let Act::Delegate(parent, _) = &self.order.terms().act {
            return Some(parent);
        }
        None
    }

    /// How often it may still be used, if that is bounded.
    fn left(&self) -> Option<u32> {
        let gone = self.uses.saturating_add(self.lent);
        self.terms().max_uses.map(|max| max.saturating_sub(gone))
    }

    /// The digest under which the grant is part of the state; the name commits to the terms.
    pub(super) fn entry(&self) -> Digest {
        Hasher::new("grant entry")
            .digest(&self.order.message())
            .number(u64::from(self.uses))
            .number(u64::from(self.lent))
            .number(u64::from(self.revoked))
            .number(self.given)
            .part(self.custodian.as_ref().map_or(&[][..], |pid| &pid.0.0))
            .finish()
    }

    /// Whether it was revoked, by itself or with all that the patient gave before.
    fn is_void(&self, directory: &Directory) -> bool {
        self.revoked || self.given < directory.void_before(self.patient)
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
                Place::Authority(_) | Place::Hospital(_) | Place::Patient(_) | Place::Alias(_),
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
    /// By which grant; in an emergency without one.
    pub gid: Option<GrantId>,
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
