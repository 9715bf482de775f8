//! Who may read: grants, what is passed on of them, their end, readings, and emergencies.

use super::memory::{Deed, KnownGrant, KnownRecord, Receiver};
use super::{Author, Task, granted};
use crate::base::random::Random;
use crate::contract::SignedCall;
use crate::contract::access::{GrantTerms, Grantee, Purpose, Scope};
use crate::contract::call::Act;
use crate::contract::identity::Party;
use crate::contract::rules::WINDOW;

/// Blocks that a grant lasts.
const GRANT_BLOCKS: u64 = 90_000;
/// Blocks by which a ledger may be ahead of what an author knows of it.
const LAG_BLOCKS: u64 = 100;

impl Author {
    /// A patient grants access to one record or to all: mostly to a doctor, else to a hospital,
    /// which may pass it on. Where every record is of another pseudonym, a grant of all of them is
    /// a grant of each that is known.
    pub(super) fn grant(&mut self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let record = *self.records.pick(&self.popularity, random)?;
        let people = &self.population;
        let to = if random.below(4) == 0 {
            let hospital = random.below(u64::from(people.hospitals())) as u32;
            Party::Hospital(people.hospital(hospital).id)
        } else {
            Party::Doctor(people.doctor(self.any_doctor(random)).id)
        };
        let all = random.below(4) == 0;
        if all && self.settings.pid_per_record {
            let others = self.records.of(record.owner.patient);
            let others = others.filter(|other| other.rid != record.rid);
            self.tasks
                .extend(others.map(|other| Task::Grant(*other, to)));
        }
        let scope = if all && !self.settings.pid_per_record {
            Scope::All
        } else {
            Scope::Records(vec![record.rid])
        };
        Some(self.grant_to(&record, to, scope, height))
    }

    /// A grant of one record.
    pub(super) fn grant_one(&mut self, record: &KnownRecord, to: Party, height: u64) -> SignedCall {
        self.grant_to(record, to, Scope::Records(vec![record.rid]), height)
    }

    fn grant_to(
        &mut self,
        record: &KnownRecord,
        to: Party,
        scope: Scope,
        height: u64,
    ) -> SignedCall {
        let people = &self.population;
        let (grantee, receiver) = match to {
            Party::Doctor(did) => (
                Grantee::Doctor(did),
                people.doctor_number(&did).map(Receiver::Doctor),
            ),
            Party::Hospital(hid) => (
                Grantee::Hospital(hid),
                people.hospital_number(&hid).map(Receiver::Hospital),
            ),
            Party::Patient(pid) => (Grantee::Patient(pid), None),
            Party::Authority(_) | Party::Alias(_) => unreachable!("they read nothing"),
        };
        let delegable = matches!(to, Party::Hospital(_));
        let terms = terms(grantee, scope, height, delegable);
        let (purpose, until) = (terms.purpose, terms.until);
        let call = self.by_owner(record.owner, Act::Grant(terms), height);
        let Some(receiver) = receiver else {
            return call;
        };
        let grant = KnownGrant {
            gid: granted(&call),
            rid: record.rid,
            owner: record.owner,
            receiver,
            purpose,
            until,
            delegable,
            parent: None,
        };
        self.promise(call, Deed::Grant(grant))
    }

    /// A hospital passes a grant on to one of its doctors, for the one record and a shorter time.
    pub(super) fn delegate(&mut self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let parent = *self.grants.pick(&self.popularity, random)?;
        let Receiver::Hospital(hospital) = parent.receiver else {
            return None;
        };
        let doctor = self.doctor_of(random, hospital)?;
        let grantee = Grantee::Doctor(self.population.doctor(doctor).id);
        let mut terms = terms(grantee, Scope::Records(vec![parent.rid]), height, false);
        terms.purpose = parent.purpose;
        terms.until = parent.until.min(height + GRANT_BLOCKS / 2);
        if !parent.delegable || terms.until <= height {
            return None;
        }
        let until = terms.until;
        let call = self.by_hospital(hospital, Act::Delegate(parent.gid, terms), height);
        let grant = KnownGrant {
            gid: granted(&call),
            receiver: Receiver::Doctor(doctor),
            until,
            delegable: false,
            parent: Some(parent.gid),
            ..parent
        };
        Some(self.promise(call, Deed::Grant(grant)))
    }

    /// A patient ends a grant.
    pub(super) fn revoke(&mut self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let grant = self.grants.take(&self.popularity, random)?;
        let call = self.by_owner(grant.owner, Act::Revoke(grant.gid), height);
        Some(self.promise(call, Deed::Revoke(grant)))
    }

    /// Whoever received a grant reads a record.
    pub(super) fn access(&mut self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let grant = *self.grants.pick(&self.popularity, random)?;
        let call = self.access_by(&grant, grant.purpose, height);
        Some(self.promise(call, Deed::Access(grant)))
    }

    pub(super) fn access_by(
        &self,
        grant: &KnownGrant,
        purpose: Purpose,
        height: u64,
    ) -> SignedCall {
        let act = Act::Access(grant.gid, grant.rid, purpose);
        match grant.receiver {
            Receiver::Doctor(number) => self.by_doctor(number, act, height),
            Receiver::Hospital(number) => self.by_hospital(number, act, height),
        }
    }

    /// A doctor reads a record without a grant, and another of the same hospital agrees. Only
    /// doctors of this host do, so that it knows how many emergencies each has left.
    pub(super) fn emergency(&mut self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let record = *self.records.pick(&self.popularity, random)?;
        let first = self.any_doctor(random);
        let hosts = u32::from(self.hosts);
        if self.population.doctors() >= hosts && first % hosts != u32::from(self.me) {
            return None;
        }
        let second = self.colleague(first, 1)?;
        let claims = self.emergencies.entry(first).or_default();
        claims.retain(|claimed| claimed + WINDOW + LAG_BLOCKS > height);
        if claims.len() >= self.settings.rules.emergencies_max as usize {
            return None;
        }
        claims.push(height);
        Some(self.emergency_of(&record, first, second, height))
    }

    pub(super) fn emergency_of(
        &self,
        record: &KnownRecord,
        first: u32,
        second: u32,
        height: u64,
    ) -> SignedCall {
        let second = self.population.doctor(second);
        let act = Act::Emergency {
            rid: record.rid,
            second: second.id,
        };
        let call = self.by_doctor(first, act, height);
        call.witnessed(Party::Doctor(second.id), &second.keys)
    }

    /// The doctor so many departments further at the same hospital.
    pub(super) fn colleague(&self, doctor: u32, departments: u32) -> Option<u32> {
        let step = departments * self.population.hospitals();
        let doctors = self.population.doctors();
        let further = doctor.checked_add(step).filter(|&other| other < doctors);
        further.or_else(|| doctor.checked_sub(step))
    }
}

/// What a grant says.
pub(super) fn terms(grantee: Grantee, scope: Scope, height: u64, delegable: bool) -> GrantTerms {
    GrantTerms {
        grantee,
        scope,
        purpose: if delegable {
            Purpose::SecondOpinion
        } else {
            Purpose::Care
        },
        from: height,
        until: height + GRANT_BLOCKS,
        max_uses: None,
        delegable,
    }
}
