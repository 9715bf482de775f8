//! Reading a record without a grant, in a danger in which the patient cannot be asked.
//!
//! Two doctors of different departments of one hospital answer for it by name; the reading is
//! listed like any other, the patient is told, and no doctor can claim many of them.

use super::contact::{Mail, Notice};
use super::grants::check_entered;
use super::{Access, Purpose};
use crate::base::crypto::{Digest, Hasher};
use crate::contract::call::Order;
use crate::contract::error::Code;
use crate::contract::identity::{DoctorId, Place};
use crate::contract::message::RecordId;
use crate::contract::rules::WINDOW;
use crate::contract::view::View;
use crate::contract::write::Change;

/// The heights at which a doctor has claimed emergencies, of those that still count.
#[derive(Clone, Debug, Default)]
pub(in crate::contract) struct Emergencies(Vec<u64>);

impl Emergencies {
    /// How many still count at a height.
    fn count(&self, height: u64) -> usize {
        let counts = |&&claimed: &&u64| claimed.saturating_add(WINDOW) > height;
        self.0.iter().filter(counts).count()
    }

    /// The same with one more, and without those that count no longer.
    pub(in crate::contract) fn claimed(&self, height: u64) -> Self {
        let counts = |&claimed: &u64| claimed.saturating_add(WINDOW) > height;
        let claims = self.0.iter().copied().filter(counts);
        Self(claims.chain([height]).collect())
    }

    /// The digest under which they are part of the state.
    pub(in crate::contract) fn entry(&self) -> Digest {
        let hasher = Hasher::new("emergencies entry");
        let claims = self.0.iter();
        claims.fold(hasher, |h, &height| h.number(height)).finish()
    }
}

impl View<'_> {
    /// A doctor reads a record in an emergency. Only whoever reads has claimed one, not the
    /// second doctor, who must not be in want of emergencies left to be of help.
    pub(in crate::contract) fn emergency(
        &mut self,
        order: &Order,
        (rid, second): (&RecordId, &DoctorId),
        by: Place,
    ) -> Result<(), Code> {
        let Place::Doctor(doctor) = by else {
            return Err(Code::WrongRole);
        };
        let first = self.doctor_at(doctor);
        let at = self.doctor(second)?;
        let second = self.doctor_at(at);
        if first.hid != second.hid {
            return Err(Code::DoctorNotOfHospital);
        }
        let record = self.record(rid).ok_or(Code::RecordNotFound)?;
        check_entered(record.status)?;
        let claimed = self.emergencies(doctor).count(self.height());
        if claimed >= self.rules().emergencies_max as usize {
            return Err(Code::EmergencyLimit);
        }
        if first.specialty == second.specialty {
            return Err(Code::SecondDoctorSameDept);
        }
        self.write(Change::Emergency {
            doctor,
            did: DoctorId::of(&first.key),
        });
        self.write(Change::Access(Box::new(Access {
            by: order.terms().by,
            rid: *rid,
            gid: None,
            purpose: Purpose::Emergency,
            height: 0,
            order: order.message(),
        })));
        let notice = Notice::Emergency(*rid);
        let to = self.owner(record);
        self.write(Change::Mail(Box::new(Mail::new(order, to, notice))));
        Ok(())
    }
}
