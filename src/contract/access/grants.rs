//! The life of a grant: given, passed on, used, revoked.

use std::sync::Arc;

use super::{Access, Grant, GrantId, GrantTerms, Grantee, Purpose, Scope};
use crate::contract::State;
use crate::contract::call::Order;
use crate::contract::error::Code;
use crate::contract::identity::{Party, Place};
use crate::contract::message::RecordId;
use crate::contract::records::Status;
use crate::contract::view::View;
use crate::contract::write::Change;

impl<'s> View<'s> {
    /// Refuses to use a grant that begins later.
    pub(in crate::contract) fn check_begun(&mut self, gid: &GrantId) -> Result<(), Code> {
        match self.grant_of(gid) {
            Some(grant) if self.height() < grant.terms().from => Err(Code::NotYetValid),
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses to use a grant whose giver has frozen or closed the account: grants pause.
    pub(in crate::contract) fn check_giver(&mut self, gid: &GrantId) -> Result<(), Code> {
        match self.grant_of(gid) {
            Some(grant) => self.check_standing(Place::Patient(grant.patient)),
            None => Ok(()),
        }
    }

    /// A patient grants access.
    pub(in crate::contract) fn grant(
        &mut self,
        order: &Arc<Order>,
        terms: &GrantTerms,
        by: Place,
    ) -> Result<(), Code> {
        let Place::Patient(patient) = by else {
            return Err(Code::WrongRole);
        };
        if let Scope::Records(rids) = &terms.scope {
            self.check_grantable(rids, patient)?;
        }
        let grantee = self.grantee(&terms.grantee)?;
        if terms.delegable && !matches!(terms.grantee, Grantee::Hospital(_)) {
            return Err(Code::DelegationNotAllowed);
        }
        self.write(Change::Grant(Grant {
            custodian: self.speaker(),
            ..Grant::new(order, patient, grantee)
        }));
        Ok(())
    }

    /// A hospital passes a part of a grant on to one of its doctors.
    pub(in crate::contract) fn delegate(
        &mut self,
        order: &Arc<Order>,
        (parent, terms): (&GrantId, &GrantTerms),
        by: Place,
    ) -> Result<(), Code> {
        let doctor = match terms.grantee {
            Grantee::Doctor(did) => self.doctor(&did).ok(),
            Grantee::Hospital(_) | Grantee::Specialty(..) | Grantee::Patient(_) => None,
        };
        if let Some(at) = doctor {
            let hid = self.doctor_at(at).hid;
            if self.hospital(&hid).map(Place::Hospital) != Ok(by) {
                return Err(Code::DoctorNotOfHospital);
            }
        }
        let known = self.grant_of(parent);
        if let (Some(parent), Scope::Records(rids)) = (known, &terms.scope) {
            self.check_grantable(rids, parent.patient)?;
        }
        let parent = self.usable(parent, by)?;
        if terms.purpose != parent.terms().purpose {
            return Err(Code::WrongPurpose);
        }
        let grantee = self.grantee(&terms.grantee)?;
        if !parent.terms().delegable || terms.delegable || doctor.is_none() {
            return Err(Code::DelegationNotAllowed);
        }
        let fits = match (parent.left(), terms.max_uses) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(left), Some(uses)) => uses <= left,
        };
        if !fits || !terms.is_within(parent.terms()) || !self.is_inside(terms, parent) {
            return Err(Code::ChildExceedsParent);
        }
        if let (Some(_), Some(uses)) = (parent.left(), terms.max_uses) {
            self.write(Change::Grant(Grant {
                lent: parent.lent.saturating_add(uses),
                ..parent.clone()
            }));
        }
        self.write(Change::Grant(Grant::new(order, parent.patient, grantee)));
        Ok(())
    }

    /// Whether everything in the scope of the terms is in the scope of a grant as well.
    fn is_inside(&mut self, terms: &GrantTerms, parent: &Grant) -> bool {
        match (&parent.terms().scope, &terms.scope) {
            (Scope::All, Scope::All | Scope::Kinds(_) | Scope::Records(_)) => true,
            (Scope::Kinds(outer), Scope::Kinds(inner)) => inner.iter().all(|k| outer.contains(k)),
            (Scope::Kinds(_) | Scope::Records(_), Scope::Records(inner)) => {
                inner.iter().all(|rid| {
                    let record = self.record(rid);
                    record.is_some_and(|record| parent.terms().covers(rid, record))
                })
            }
            (Scope::Kinds(_) | Scope::Records(_), Scope::All)
            | (Scope::Records(_), Scope::Kinds(_)) => false,
        }
    }

    /// Where a grantee stands; of a specialty its hospital.
    fn grantee(&mut self, grantee: &Grantee) -> Result<Place, Code> {
        let party = match *grantee {
            Grantee::Doctor(did) => Party::Doctor(did),
            Grantee::Hospital(hid) | Grantee::Specialty(_, hid) => Party::Hospital(hid),
            Grantee::Patient(pid) => Party::Patient(pid),
        };
        self.place(&party).map_err(|_| Code::GranteeNotFound)
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

    /// The grant of this name, if the caller received it and it still counts.
    fn usable(&mut self, gid: &GrantId, by: Place) -> Result<&'s Grant, Code> {
        let grant = self.grant_of(gid).ok_or(Code::GrantNotFound)?;
        if !grant.is_for(by, self.directory()) {
            return Err(Code::GrantNotYours);
        }
        if self.is_revoked(grant) {
            return Err(Code::GrantRevoked);
        }
        if self.height() > grant.terms().until {
            return Err(Code::GrantExpired);
        }
        if grant.left() == Some(0) {
            return Err(Code::GrantExhausted);
        }
        Ok(grant)
    }

    /// Whether a grant was revoked, or the one of which it is a part, or all of the patient's.
    fn is_revoked(&mut self, grant: &Grant) -> bool {
        let parent = grant.parent().and_then(|gid| self.grant_of(gid));
        grant.is_void(self.directory()) || parent.is_some_and(|p| p.is_void(self.directory()))
    }

    /// The giver or the receiver ends a grant, and with it what was passed on of it. Of what was
    /// passed on the hospital that did so is a giver as well.
    pub(in crate::contract) fn revoke(&mut self, gid: &GrantId, by: Place) -> Result<(), Code> {
        let grant = self.grant_of(gid).ok_or(Code::GrantNotFound)?;
        let parent = grant.parent().and_then(|gid| self.grant_of(gid));
        let passed_on = parent.is_some_and(|parent| parent.grantee == by);
        let received = grant.is_for(by, self.directory());
        if !self.is_patient(by, grant.patient) && !passed_on && !received {
            return Err(Code::GrantNotYours);
        }
        if self.is_revoked(grant) {
            return Err(Code::NothingToRevoke);
        }
        self.write(Change::Grant(Grant {
            revoked: true,
            ..grant.clone()
        }));
        Ok(())
    }

    /// The receiver of a grant reads a record.
    pub(in crate::contract) fn access(
        &mut self,
        order: &Order,
        (gid, rid, purpose): (&GrantId, &RecordId, Purpose),
        by: Place,
    ) -> Result<(), Code> {
        let record = self.record(rid).ok_or(Code::RecordNotFound)?;
        check_entered(record.status)?;
        let grant = self.usable(gid, by)?;
        let terms = grant.terms();
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
            gid: Some(*gid),
            purpose,
            height: 0,
            order: order.message(),
        })));
        Ok(())
    }
}

/// Whether both parties have signed the record: only then can it be granted and read.
pub(super) fn check_entered(status: Status) -> Result<(), Code> {
    match status {
        Status::Active | Status::Amended(_) | Status::Hidden | Status::Disputed => Ok(()),
        Status::Proposed | Status::Rejected | Status::Withdrawn => Err(Code::IllegalTransition),
    }
}

impl State {
    /// How often a grant was used, if there is one of this name.
    pub fn uses(&self, gid: &GrantId) -> Option<u32> {
        self.grants.find(gid).map(|(_, grant)| grant.uses)
    }

    /// Whether a grant was revoked, or the one of which it is a part.
    pub fn is_revoked(&self, gid: &GrantId) -> bool {
        let Some((_, grant)) = self.grants.find(gid) else {
            return false;
        };
        let parent = grant.parent().and_then(|gid| self.grants.find(gid));
        let is_void = |grant: &Grant| grant.is_void(&self.directory);
        is_void(grant) || parent.is_some_and(|(_, parent)| is_void(parent))
    }
}
