//! What an accepted call changes, and how it becomes part of the state.
//!
//! Writes carry no height: the height at which they are committed is stamped on them. Plans of
//! one call made at different heights are the same as long as they read the same entries.

use std::sync::Arc;

use super::State;
use super::access::{Access, Grant};
use super::identity::{Identity, Party, Place, Standing};
use super::message::Draft;
use super::records::Record;
use super::search::{Seen, Usage};
use super::view::Key;
use crate::base::crypto::{Digest, Hasher};

/// A new entry of the state, or the new content of one. It has no parts that others may change.
#[derive(Clone, Debug)]
pub struct Write(pub(super) Change);

/// What changes. An entry is given as a whole.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// A call is accepted: it enters the list of all calls.
    Call(Digest),
    /// A party has used a number.
    Nonce { by: Place, party: Party, nonce: u64 },
    /// Somebody is enrolled.
    Enrolled(Arc<Identity>),
    /// A licence is taken, by the doctor whose enrolment is another write of the same call.
    Licence(Key),
    /// A party has another standing.
    Standing {
        place: Place,
        party: Party,
        standing: Standing,
    },
    /// A record is new or has changed.
    Record(Box<Record>),
    /// A doctor has recorded a document for a patient.
    Payload {
        draft: Arc<Draft>,
        doctor: u32,
        patient: u32,
    },
    /// A grant is new or has changed.
    Grant(Grant),
    /// A record was read.
    Access(Box<Access>),
    /// A search was answered. What the state keeps of a party's searches has grown by this; it is
    /// not given as a whole, because it is large.
    Answered {
        by: Place,
        party: Party,
        seen: Option<Seen>,
    },
}

impl Write {
    /// Which entry is written.
    pub fn key(&self) -> Key {
        match &self.0 {
            Change::Call(digest) => Key::Call(*digest),
            Change::Nonce { party, nonce, .. } => Key::Nonce(*party, *nonce),
            Change::Enrolled(identity) => Key::party(&identity.party()),
            Change::Licence(key) => *key,
            Change::Standing { party, .. } => Key::party(party),
            Change::Record(record) => Key::Record(record.draft.content().rid),
            Change::Payload { draft, .. } => Key::payload(draft),
            Change::Grant(grant) => Key::Grant(grant.gid()),
            Change::Access(access) => Key::Access(access.order),
            Change::Answered { party, .. } => Key::Usage(*party),
        }
    }

    /// The digest of what is written: equal for equal writes, wherever they were planned.
    pub fn digest(&self) -> Digest {
        let content = match &self.0 {
            Change::Call(_)
            | Change::Nonce { .. }
            | Change::Licence(_)
            | Change::Payload { .. } => Digest::ZERO,
            Change::Enrolled(identity) => identity.entry(Standing::Active),
            Change::Standing { standing, .. } => {
                let hasher = Hasher::new("standing");
                hasher.number(*standing as u64).finish()
            }
            Change::Record(record) => record.entry(),
            Change::Grant(grant) => grant.entry(),
            Change::Access(access) => access.entry(),
            Change::Answered { seen, .. } => {
                seen.as_ref().map_or(Digest::ZERO, |seen| seen.digest())
            }
        };
        let hasher = Hasher::new("write").digest(&self.key().digest());
        hasher.digest(&content).finish()
    }
}

impl State {
    /// Puts planned writes into the state at a height. The plan was made on this state, or on one
    /// that had the same in every entry that the plan read.
    pub fn commit(&mut self, height: u64, writes: &[Write]) {
        for Write(change) in writes {
            self.put(height, change);
        }
    }

    fn put(&mut self, height: u64, change: &Change) {
        match change {
            Change::Call(digest) => self.root.append(digest),
            Change::Nonce { by, nonce, .. } => {
                self.used.insert((*by, *nonce));
            }
            Change::Enrolled(identity) => {
                let entry = Arc::make_mut(&mut self.directory).add(Identity::clone(identity));
                let key = Key::party(&identity.party());
                self.root.set(&key, || None, &entry);
            }
            Change::Licence(_) => {}
            Change::Standing {
                place,
                party,
                standing,
            } => self.put_standing(*place, party, *standing),
            Change::Record(record) => self.put_record(height, record),
            Change::Payload {
                draft,
                doctor,
                patient,
            } => {
                let payload = (*patient, *doctor, draft.content().payload_hash);
                self.payloads.insert(payload);
            }
            Change::Grant(grant) => self.put_grant(grant),
            Change::Access(access) => {
                let access = Access { height, ..**access };
                let key = Key::Access(access.order);
                self.root.set(&key, || None, &access.entry());
                self.audit.push(access);
            }
            Change::Answered { by, party, seen } => {
                let was = self.usage.get(by).map(Usage::entry);
                let usage = self.usage.entry(*by).or_default();
                usage.note(height, seen.as_ref());
                self.root.set(&Key::Usage(*party), || was, &usage.entry());
            }
        }
    }

    fn put_standing(&mut self, place: Place, party: &Party, standing: Standing) {
        let was = self.directory.entry(place);
        Arc::make_mut(&mut self.directory).set_standing(place, standing);
        let is = self.directory.entry(place);
        self.root.set(&Key::party(party), || Some(was), &is);
    }

    /// A record is in the index while it can be found.
    fn put_record(&mut self, height: u64, record: &Record) {
        let rid = record.draft.content().rid;
        let record = Record {
            since: height,
            ..record.clone()
        };
        let (at, old) = self.records.slot(&rid);
        let key = Key::Record(rid);
        self.root
            .set(&key, || old.map(Record::entry), &record.entry());
        let was = old.is_some_and(|old| old.status.is_found());
        let case = &record.draft.content().summary;
        match (was, record.status.is_found()) {
            (false, true) => self.index.insert(at, &rid, record.patient, case),
            (true, false) => self.index.remove(at, case),
            (true, true) | (false, false) => {}
        }
        self.records.put(at, rid, record);
    }

    fn put_grant(&mut self, grant: &Grant) {
        let gid = grant.gid();
        let (at, old) = self.grants.slot(&gid);
        let key = Key::Grant(gid);
        self.root
            .set(&key, || old.map(Grant::entry), &grant.entry());
        self.grants.put(at, gid, grant.clone());
    }
}
