//! What must hold of every state, whatever led to it.
//!
//! The contract makes these hold one call at a time; here they are looked at from outside, on a
//! state as a whole, by the run's checks and by tests.

use std::collections::BTreeMap;
use std::fmt;

use super::State;
use super::records::{Record, Status};
use super::rules::Authentication;
use super::search::Index;
use super::share::Stage;
use crate::contract::access::GrantId;

/// An invariant of the contract's specification, by its number there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Invariant {
    /// Every entered record has the signatures of both parties over what it says.
    Signed = 1,
    /// A search finds the active and disputed records, each under all of its features, and no
    /// others (also the tenth: the index is the same as one made from nothing).
    Found = 2,
    /// No grant is used more often than it may be.
    Bounded = 3,
    /// Every reading is a use of a grant, or an emergency.
    Audited = 8,
    /// A delivered document is the one that the record commits to.
    Delivered = 9,
}

/// A state in which an invariant does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Breach {
    /// Which.
    pub invariant: Invariant,
    /// How, as a sentence.
    pub detail: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P{}: {}", self.invariant as u8, self.detail)
    }
}

impl State {
    /// Where invariants do not hold. Signatures are verified for real, which takes long, so of at
    /// most so many records, evenly spread.
    pub fn breaches(&self, signatures_max: usize) -> Vec<Breach> {
        let mut breaches = Vec::new();
        let mut breach = |invariant, detail| breaches.push(Breach { invariant, detail });
        let stride = self.records.len().div_ceil(signatures_max.max(1)).max(1);
        let mut index = Index::default();
        for (at, record) in self.records.iter().enumerate() {
            let verify = at % stride == 0;
            if let Some(detail) = self.badly_signed(record, verify) {
                breach(Invariant::Signed, detail);
            }
            if record.status.is_found() {
                let content = record.draft.content();
                index.insert(at as u32, &content.rid, record.patient, &content.summary);
            }
        }
        if index.places() != self.index.places() {
            let detail = "the index is not the one that the records make".into();
            breach(Invariant::Found, detail);
        }
        for detail in self.badly_used() {
            breach(Invariant::Bounded, detail);
        }
        if let Some(detail) = self.badly_audited() {
            breach(Invariant::Audited, detail);
        }
        for detail in self.badly_delivered() {
            breach(Invariant::Delivered, detail);
        }
        breaches
    }

    /// What is wrong with the signatures of a record.
    fn badly_signed(&self, record: &Record, verify: bool) -> Option<String> {
        let rid = record.draft.content().rid;
        let entered = match record.status {
            Status::Proposed | Status::Rejected | Status::Withdrawn => false,
            Status::Active | Status::Amended(_) | Status::Hidden | Status::Disputed => true,
        };
        let alone = self.rules.authentication == Authentication::DoctorOnly;
        let Some(by_patient) = &record.by_patient else {
            return (entered && !alone).then(|| format!("no patient signed {rid:?}"));
        };
        if !entered {
            return Some(format!(
                "{rid:?} is signed by its patient and has not entered"
            ));
        }
        let doctor = &self.directory.doctor_at(record.doctor).key;
        let draft = &record.draft;
        let signer = record.custodian.as_ref().unwrap_or(&draft.content().pid);
        let signer = self.directory.key_of(signer);
        let signed = |message: &[u8]| signer.is_some_and(|key| key.verify(message, by_patient));
        let genuine = !verify
            || (doctor.verify(&draft.for_doctor().0, &record.by_doctor)
                && signed(&draft.for_patient().0));
        (!genuine).then(|| format!("a signature of {rid:?} does not verify"))
    }

    /// Grants used too often, or otherwise than the list of readings says.
    fn badly_used(&self) -> Vec<String> {
        let mut listed: BTreeMap<GrantId, u64> = BTreeMap::new();
        for reading in &self.audit {
            if let Some(gid) = reading.gid {
                *listed.entry(gid).or_default() += 1;
            }
        }
        let mut details = Vec::new();
        for grant in self.grants.iter() {
            let (gid, uses) = (grant.gid(), grant.uses());
            let listed = listed.remove(&gid).unwrap_or(0);
            if !grant.is_within_bounds() {
                details.push(format!(
                    "{gid:?} was used {uses} times, more than it may be"
                ));
            }
            if listed != uses {
                details.push(format!(
                    "{gid:?} counts {uses} uses, but {listed} are listed"
                ));
            }
        }
        let unknown = listed.keys();
        details.extend(unknown.map(|gid| format!("a reading names {gid:?}, which nobody gave")));
        details
    }

    /// Whether readings are as many as uses and emergencies.
    fn badly_audited(&self) -> Option<String> {
        let uses: u64 = self.grants.iter().map(|grant| grant.uses()).sum();
        let emergencies = self.audit.iter().filter(|reading| reading.gid.is_none());
        let emergencies = emergencies.count() as u64;
        let listed = self.audit.len() as u64;
        (listed != uses + emergencies).then(|| {
            format!("{listed} readings are listed for {uses} uses and {emergencies} emergencies")
        })
    }

    /// Sharings that ended with another document than the record's.
    fn badly_delivered(&self) -> Vec<String> {
        let mut details = Vec::new();
        for share in self
            .shares
            .iter()
            .filter(|share| share.stage() == Stage::Delivered)
        {
            let (sent, rid) = share.sent();
            let record = self.records.find(rid).map(|(_, record)| record);
            let promised = record.map(|record| record.draft.content().payload_hash);
            if sent.is_none() || sent != promised {
                details.push(format!("{:?} delivered another document", share.sid()));
            }
        }
        details
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::random::{Random, Stream};
    use crate::contract::access::Access;
    use crate::contract::author::Wish;
    use crate::contract::{Author, AuthorSettings, Mix, Population, Rules};

    /// A state after some hundred calls of all kinds.
    fn lived() -> State {
        let people = Population::new(3, 6, 20);
        let mut random = Random::new(3, Stream::Test);
        let settings = AuthorSettings {
            mix: Mix::of(&[
                (Wish::Submit, 4),
                (Wish::Propose, 3),
                (Wish::Amend, 1),
                (Wish::Hide, 1),
                (Wish::Dispute, 1),
                (Wish::Grant, 4),
                (Wish::Access, 4),
                (Wish::Emergency, 1),
                (Wish::Share, 4),
            ]),
            ..AuthorSettings::default()
        };
        let mut author = Author::new(&people, settings, 0, 1);
        let mut state = State::genesis(&people, Rules::default());
        for turn in 0..600 {
            let call = author.next(&mut random, turn / 10);
            let receipt = state.apply(turn / 10, &call);
            author.learn(&call, &receipt);
        }
        state
    }

    #[test]
    fn a_state_that_came_about_by_calls_has_no_breach_and_any_damage_is_one() {
        let state = lived();
        assert_eq!(state.breaches(usize::MAX), []);
        let found = |damage: &dyn Fn(&mut State)| {
            let mut state = state.clone();
            damage(&mut state);
            let breaches = state.breaches(usize::MAX);
            breaches
                .iter()
                .map(|breach| breach.invariant)
                .collect::<Vec<_>>()
        };
        let active = |record: &Record| record.status == Status::Active;
        let at = state.records.iter().position(active).unwrap() as u32;
        let rid = state.records.at(at).draft.content().rid;
        let change = |edit: fn(&mut Record)| {
            found(&move |state| {
                let mut record = state.records.at(at).clone();
                edit(&mut record);
                state.records.put(at, rid, record);
            })
        };
        assert_eq!(change(|r| r.by_doctor.0[5] ^= 1), [Invariant::Signed]);
        assert_eq!(change(|r| r.by_patient = None), [Invariant::Signed]);
        assert_eq!(change(|r| r.status = Status::Hidden), [Invariant::Found]);
        let proposed = [Invariant::Signed, Invariant::Found];
        assert_eq!(change(|r| r.status = Status::Proposed), proposed);
        let unlisted = [Invariant::Bounded, Invariant::Audited];
        let granted = |reading: &Access| reading.gid.is_some();
        let reading = state.audit.iter().position(granted).unwrap();
        assert_eq!(found(&|state| _ = state.audit.remove(reading)), unlisted);
        let again = |state: &mut State| state.audit.push(state.audit[reading]);
        assert_eq!(found(&again), unlisted);
        let emptied = |state: &mut State| state.directory = Arc::default();
        assert!(
            std::panic::catch_unwind(|| found(&emptied)).is_err(),
            "a bug, not a breach"
        );
    }
}
