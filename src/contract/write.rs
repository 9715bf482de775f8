//! What an accepted call changes, and how it becomes part of the state.
//!
//! Writes carry no height: the height at which they are committed is stamped on them. Plans of
//! one call made at different heights are the same as long as they read the same entries.

use std::sync::{Arc, LazyLock};

use super::State;
use super::access::{Access, Grant, Mail};
use super::identity::{DoctorId, Party, Place};
use super::message::Draft;
use super::records::Record;
use super::register::Registration;
use super::search::Seen;
use super::share::Share;
use super::view::Key;
use crate::base::crypto::{Digest, Hasher, Joint};

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
    /// An identity is new or has changed.
    Identity(Box<Registration>),
    /// A licence is taken, by the doctor whose enrolment is another write of the same call.
    Licence(Key),
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
    /// A doctor has claimed one more emergency.
    Emergency { doctor: u32, did: DoctorId },
    /// A patient is told something.
    Mail(Box<Mail>),
    /// A sharing is new or has changed.
    Share(Box<Share>),
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
            Change::Identity(registration) => registration.key(),
            Change::Licence(key) => *key,
            Change::Record(record) => Key::Record(record.draft.content().rid),
            Change::Payload { draft, .. } => Key::payload(draft),
            Change::Grant(grant) => Key::Grant(grant.gid()),
            Change::Access(access) => Key::Access(access.order),
            Change::Emergency { did, .. } => Key::Emergencies(*did),
            Change::Mail(mail) => Key::Mail(mail.to, mail.order),
            Change::Share(share) => Key::Share(share.sid()),
            Change::Answered { party, .. } => Key::Usage(*party),
        }
    }

    /// The digest of what is written: equal for equal writes, wherever they were planned.
    pub fn digest(&self) -> Digest {
        let content = match &self.0 {
            Change::Call(_)
            | Change::Nonce { .. }
            | Change::Licence(_)
            | Change::Payload { .. }
            | Change::Emergency { .. } => Digest::ZERO,
            Change::Identity(registration) => registration.content(),
            Change::Record(record) => record.entry(),
            Change::Grant(grant) => grant.entry(),
            Change::Access(access) => access.entry(),
            Change::Mail(mail) => mail.entry(),
            Change::Share(share) => share.entry(),
            Change::Answered { seen, .. } => {
                seen.as_ref().map_or(Digest::ZERO, |seen| seen.digest())
            }
        };
        let hasher = Hasher::new("write").digest(&self.key().digest());
        hasher.digest(&content).finish()
    }
}

/// The name under which the state remembers that a doctor has recorded a document for a patient.
pub(super) fn payload(draft: &Draft, doctor: u32, patient: u32) -> Digest {
    static JOINT: LazyLock<Joint> = LazyLock::new(|| Joint::new("payload"));
    let mut parties = Digest::ZERO;
    parties.0[..4].copy_from_slice(&doctor.to_be_bytes());
    parties.0[4..8].copy_from_slice(&patient.to_be_bytes());
    JOINT.join(0, &draft.content().payload_hash, &parties)
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
            Change::Call(digest) => {
                self.tree.append(digest);
            }
            Change::Nonce { by, nonce, .. } => {
                self.used.insert(*by, *nonce);
            }
            Change::Identity(registration) => self.register(height, registration),
            Change::Licence(_) => {}
            Change::Record(record) => self.put_record(height, record),
            Change::Payload {
                draft,
                doctor,
                patient,
            } => {
                let payload = payload(draft, *doctor, *patient);
                self.payloads.insert(payload, 0);
            }
            Change::Grant(grant) => self.put_grant(grant),
            Change::Access(access) => {
                let access = Access { height, ..**access };
                let key = Key::Access(access.order);
                self.tree.set(&key.digest(), &access.entry());
                self.audit.push(access);
            }
            Change::Emergency { doctor, did } => self.put_emergency(height, *doctor, did),
            Change::Mail(mail) => {
                let mail = Mail {
                    height,
                    ..Mail::clone(mail)
                };
                let key = Key::Mail(mail.to, mail.order);
                self.tree.set(&key.digest(), &mail.entry());
                self.mailboxes.entry(mail.patient).or_default().push(mail);
            }
            Change::Share(share) => self.put_share(height, share),
            Change::Answered { by, party, seen } => {
                let usage = self.usage.entry(*by).or_default();
                usage.note(height, seen.as_ref());
                let key = Key::Usage(*party);
                self.tree.set(&key.digest(), &usage.entry());
            }
        }
    }

    fn put_emergency(&mut self, height: u64, doctor: u32, did: &DoctorId) {
        let old = self.emergencies.get(&doctor);
        let new = old.cloned().unwrap_or_default().claimed(height);
        let key = Key::Emergencies(*did);
        self.tree.set(&key.digest(), &new.entry());
        self.emergencies.insert(doctor, new);
    }

    fn put_share(&mut self, height: u64, share: &Share) {
        let sid = share.sid();
        let (at, old) = self.shares.slot(&sid);
        let since = old.map_or(height, Share::since);
        let share = share.clone().requested_at(since);
        let key = Key::Share(sid);
        self.tree.set(&key.digest(), &share.entry());
        self.shares.put(at, sid, share);
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
        self.tree.set(&key.digest(), &record.entry());
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
        let given = old.map_or(self.tree.calls(), Grant::given);
        let grant = grant.clone().given_by_call(given);
        self.tree.set(&Key::Grant(gid).digest(), &grant.entry());
        self.grants.put(at, gid, grant);
    }
}
