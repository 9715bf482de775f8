//! Who may read what.

use super::{Faults, GrantFile, Oracle, Reading, Who};
use crate::contract::Code;
use crate::contract::access::{GrantId, GrantTerms, Grantee, Purpose, Scope};
use crate::contract::call::{Act, Order};
use crate::contract::identity::{DoctorId, Party};
use crate::contract::message::RecordId;

/// Blocks after which an emergency counts no longer.
const WINDOW: u64 = 1000;

impl Oracle {
    /// What terms of a grant have to be in themselves.
    pub(super) fn terms(terms: &GrantTerms, height: u64, faults: &mut Faults) {
        let listed = match &terms.scope {
            Scope::Records(rids) => rids.len(),
            Scope::Kinds(kinds) => kinds.len(),
            Scope::All => 1,
        };
        faults.when(listed == 0, Code::EmptyField);
        faults.when(listed > 64, Code::FieldTooLong);
        let longest = u128::from(height) + 100_000;
        faults.when(u128::from(terms.until) > longest, Code::GrantTooLong);
        faults.when(terms.from >= terms.until, Code::BadInterval);
    }

    /// Who receives a grant; of a specialty the hospital is what has to be there.
    fn receiver(&self, grantee: &Grantee) -> Result<Option<Who>, Code> {
        let party = match *grantee {
            Grantee::Doctor(did) => Party::Doctor(did),
            Grantee::Hospital(hid) => Party::Hospital(hid),
            Grantee::Patient(pid) => Party::Patient(pid),
            Grantee::Specialty(_, hid) => {
                let hospital = self.who(&Party::Hospital(hid));
                return hospital.map(|_| None).map_err(|_| Code::GranteeNotFound);
            }
        };
        self.who(&party)
            .map(Some)
            .map_err(|_| Code::GranteeNotFound)
    }

    /// Whether somebody received a grant.
    fn receives(&self, grant: &GrantFile, who: Who) -> bool {
        match (&grant.terms.grantee, who) {
            (Grantee::Specialty(specialty, hid), Who::Doctor(did)) => {
                let doctor = &self.doctors[&did];
                doctor.specialty == *specialty && doctor.hid == *hid
            }
            (Grantee::Specialty(..), _) => false,
            (Grantee::Doctor(_) | Grantee::Hospital(_) | Grantee::Patient(_), who) => {
                grant.receiver == Some(who)
            }
        }
    }

    /// Whether a grant was ended, or the one that it is a part of.
    fn has_grant_ended(&self, grant: &GrantFile) -> bool {
        let parent = grant.parent.and_then(|gid| self.grants.get(&gid));
        grant.ended || parent.is_some_and(|parent| parent.ended)
    }

    /// Whether terms include a record.
    fn includes(&self, terms: &GrantTerms, rid: &RecordId) -> bool {
        match &terms.scope {
            Scope::Records(rids) => rids.contains(rid),
            Scope::Kinds(kinds) => {
                let file = self.records.get(rid);
                file.is_some_and(|file| kinds.contains(&file.content().kind))
            }
            Scope::All => true,
        }
    }

    /// The records that somebody lists are those of a patient, and have entered.
    fn listed_records(&self, scope: &Scope, of: usize, faults: &mut Faults) {
        let Scope::Records(rids) = scope else {
            return;
        };
        for rid in rids {
            let Some(file) = self.records.get(rid) else {
                faults.add(Code::RecordNotFound);
                continue;
            };
            faults.when(file.owner != of, Code::RecordNotOfPatient);
            faults.when(!file.life.entered(), Code::IllegalTransition);
        }
    }

    pub(super) fn grant(&self, terms: &GrantTerms, by: Who, faults: &mut Faults) {
        if let Who::Patient(me) = by {
            self.listed_records(&terms.scope, me, faults);
        }
        Self::note(faults, self.receiver(&terms.grantee).map(|_| ()));
        let hospital = matches!(terms.grantee, Grantee::Hospital(_));
        faults.when(terms.delegable && !hospital, Code::DelegationNotAllowed);
    }

    pub(super) fn delegate(
        &self,
        gid: &GrantId,
        terms: &GrantTerms,
        (by, height): (Who, u64),
        faults: &mut Faults,
    ) {
        let doctor = match &terms.grantee {
            Grantee::Doctor(did) => self.doctors.get(did),
            Grantee::Hospital(_) | Grantee::Specialty(..) | Grantee::Patient(_) => None,
        };
        if let Some(doctor) = doctor {
            let elsewhere = Who::Hospital(doctor.hid) != by;
            faults.when(elsewhere, Code::DoctorNotOfHospital);
        }
        Self::note(faults, self.receiver(&terms.grantee).map(|_| ()));
        faults.when(
            terms.delegable || doctor.is_none(),
            Code::DelegationNotAllowed,
        );
        let Some(parent) = self.grants.get(gid) else {
            faults.add(Code::GrantNotFound);
            return;
        };
        Self::note(faults, self.standing(Who::Patient(parent.giver)));
        self.listed_records(&terms.scope, parent.giver, faults);
        self.usable(parent, by, height, faults);
        faults.when(terms.purpose != parent.terms.purpose, Code::WrongPurpose);
        faults.when(!parent.terms.delegable, Code::DelegationNotAllowed);
        faults.when(!self.is_part(terms, parent), Code::ChildExceedsParent);
    }

    /// Whether terms reach no further than a grant: in time, in uses and in what they include.
    fn is_part(&self, terms: &GrantTerms, parent: &GrantFile) -> bool {
        let outer = &parent.terms;
        let time = outer.from <= terms.from && terms.until <= outer.until;
        let uses = match (outer.max_uses, terms.max_uses) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(most), Some(part)) => {
                u64::from(part) + parent.uses + parent.lent <= u64::from(most)
            }
        };
        let scope = match (&outer.scope, &terms.scope) {
            (Scope::All, _) => true,
            (Scope::Kinds(outer), Scope::Kinds(inner)) => inner.iter().all(|k| outer.contains(k)),
            (_, Scope::Records(rids)) => rids.iter().all(|rid| self.includes(outer, rid)),
            (_, _) => false,
        };
        time && uses && scope
    }

    /// What has to be true of a grant that somebody uses.
    fn usable(&self, grant: &GrantFile, by: Who, height: u64, faults: &mut Faults) {
        faults.when(!self.receives(grant, by), Code::GrantNotYours);
        faults.when(self.has_grant_ended(grant), Code::GrantRevoked);
        faults.when(height > grant.terms.until, Code::GrantExpired);
        let gone = grant.uses + grant.lent;
        let spent = grant
            .terms
            .max_uses
            .is_some_and(|most| gone >= u64::from(most));
        faults.when(spent, Code::GrantExhausted);
    }

    pub(super) fn given(&mut self, order: &Order, by: Who) {
        let (terms, parent) = match &order.terms().act {
            Act::Grant(terms) => (terms, None),
            Act::Delegate(gid, terms) => (terms, Some(*gid)),
            _ => unreachable!("only these give"),
        };
        let giver = match (by, parent) {
            (Who::Patient(me), _) => me,
            (_, Some(gid)) => self.grants[&gid].giver,
            (_, None) => unreachable!("only patients give"),
        };
        if let Some(parent) = parent.and_then(|gid| self.grants.get_mut(&gid))
            && parent.terms.max_uses.is_some()
        {
            parent.lent += u64::from(terms.max_uses.unwrap_or(0));
        }
        let file = GrantFile {
            receiver: self.receiver(&terms.grantee).expect("it was looked up"),
            terms: terms.clone(),
            giver,
            uses: 0,
            lent: 0,
            ended: false,
            parent,
        };
        self.grants.insert(GrantId(order.message()), file);
    }

    pub(super) fn revoke(&self, gid: &GrantId, by: Who, faults: &mut Faults) {
        let Some(grant) = self.grants.get(gid) else {
            faults.add(Code::GrantNotFound);
            return;
        };
        let parent = grant.parent.and_then(|gid| self.grants.get(&gid));
        let passed_on = parent.is_some_and(|parent| parent.receiver == Some(by));
        let mine = by == Who::Patient(grant.giver) || passed_on || self.receives(grant, by);
        faults.when(!mine, Code::GrantNotYours);
        faults.when(self.has_grant_ended(grant), Code::NothingToRevoke);
    }

    /// A reading is allowed if a grant counts here and now.
    pub(super) fn access(
        &self,
        (gid, rid, purpose): (&GrantId, &RecordId, Purpose),
        (by, height): (Who, u64),
        faults: &mut Faults,
    ) {
        let record = self.records.get(rid);
        match record {
            None => faults.add(Code::RecordNotFound),
            Some(file) => faults.when(!file.life.entered(), Code::IllegalTransition),
        }
        let Some(grant) = self.grants.get(gid) else {
            faults.add(Code::GrantNotFound);
            return;
        };
        Self::note(faults, self.standing(Who::Patient(grant.giver)));
        self.usable(grant, by, height, faults);
        let inside = record
            .is_some_and(|file| file.owner == grant.giver && self.includes(&grant.terms, rid));
        faults.when(!inside, Code::OutOfScope);
        faults.when(purpose != grant.terms.purpose, Code::WrongPurpose);
    }

    pub(super) fn read(&mut self, order: &Order, gid: &GrantId, rid: &RecordId) {
        if let Some(grant) = self.grants.get_mut(gid) {
            grant.uses += 1;
        }
        self.readings.push(Reading {
            by: order.terms().by,
            rid: *rid,
            gid: Some(*gid),
            height: self.now,
        });
    }

    /// Two doctors of different departments of one hospital, and not too often.
    pub(super) fn emergency(
        &self,
        (rid, second): (&RecordId, &DoctorId),
        (by, height): (Who, u64),
        faults: &mut Faults,
    ) {
        let other = self.who(&Party::Doctor(*second));
        Self::note(faults, other.and_then(|who| self.may_sign(who, height)));
        match self.records.get(rid) {
            None => faults.add(Code::RecordNotFound),
            Some(file) => faults.when(!file.life.entered(), Code::IllegalTransition),
        }
        let Who::Doctor(me) = by else {
            return;
        };
        let doctor = &self.doctors[&me];
        Self::note(faults, self.standing(Who::Hospital(doctor.hid)));
        if let Some(second) = self.doctors.get(second) {
            faults.when(second.hid != doctor.hid, Code::DoctorNotOfHospital);
            faults.when(
                second.specialty == doctor.specialty,
                Code::SecondDoctorSameDept,
            );
        }
        let recent =
            |(who, at): &&(DoctorId, u64)| *who == me && at.saturating_add(WINDOW) > height;
        let claims = self.claims.iter().filter(recent).count();
        faults.when(
            claims >= self.rules.emergencies_max as usize,
            Code::EmergencyLimit,
        );
    }

    pub(super) fn claimed(&mut self, order: &Order, rid: &RecordId) {
        let Party::Doctor(me) = order.terms().by else {
            unreachable!("only doctors claim emergencies");
        };
        self.claims.push((me, self.now));
        self.readings.push(Reading {
            by: order.terms().by,
            rid: *rid,
            gid: None,
            height: self.now,
        });
        *self.mail.entry(self.records[rid].owner).or_default() += 1;
    }

    /// How many things every patient was told, by all names.
    pub fn told_in_all(&self) -> usize {
        self.mail.values().sum()
    }
}
