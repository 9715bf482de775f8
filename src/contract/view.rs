//! What a call sees of the state, and what it would change.
//!
//! A call is executed in two steps. It is *planned* on the committed state: every check is made,
//! and out come a receipt and the writes, or a refusal and none. The writes are *committed*
//! afterwards, which cannot fail. So a refusal leaves the state as it was by construction, and a
//! plan can be made at one place and committed at another.
//!
//! Whoever plans reads through a `View`, which can keep a list of all that was read: if none of
//! it has changed since, the plan still holds.

use std::sync::Arc;

use super::access::{Emergencies, Grant, GrantId};
use super::call::{Order, Terms};
use super::directory::{Custodian, Directory, Place};
use super::error::Code;
use super::identity::{
    Alias, AliasId, Authority, AuthorityId, Doctor, DoctorId, Hospital, HospitalId, Party, Patient,
    PatientId,
};
use super::message::{Draft, RecordId};
use super::records::Record;
use super::register::Registration;
use super::rules::{Mutant, Rules};
use super::search::{Handle, MATCHES_MAX, Matches, Query, Usage, salt};
use super::share::{Share, ShareId};
use super::write::{Change, Write, payload};
use super::{Receipt, State};
use crate::base::crypto::{Digest, Hasher, PublicKey};

/// The name of one entry of the state, whether it exists or not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Key {
    /// A certification authority.
    Authority(AuthorityId),
    /// A hospital.
    Hospital(HospitalId),
    /// A doctor.
    Doctor(DoctorId),
    /// A licence to practise, by its digest.
    Licence(Digest),
    /// A patient.
    Patient(PatientId),
    /// An alias.
    Alias(AliasId),
    /// The list of hospitals and of which of them may act.
    Roll,
    /// A number that a party has used or not.
    Nonce(Party, u64),
    /// A record.
    Record(RecordId),
    /// A document that a doctor has recorded for a patient or not, by the digest of the three.
    Payload(Digest),
    /// A grant.
    Grant(GrantId),
    /// What the state keeps of the searches of a party.
    Usage(Party),
    /// One reading of a record, by the digest of the order to read it.
    Access(Digest),
    /// The emergencies that a doctor has claimed of late.
    Emergencies(DoctorId),
    /// One thing that a patient was told, by the digest of the order behind it.
    Mail(PatientId, Digest),
    /// A sharing.
    Share(ShareId),
    /// A call that was accepted, by its digest.
    Call(Digest),
}

impl Key {
    /// Where the entry stands in a tree of all entries: no two keys have the same digest.
    pub fn digest(&self) -> Digest {
        // With a word of up to seven letters this takes a single step of the digest.
        let named = |kind: &str, name: &Digest| Hasher::new(kind).digest(name).finish();
        match self {
            Self::Authority(id) => named("ca key", &id.0),
            Self::Hospital(id) => named("hid key", &id.0),
            Self::Doctor(id) => named("did key", &id.0),
            Self::Licence(licence) => named("licence key", licence),
            Self::Patient(id) => named("pid key", &id.0),
            Self::Alias(id) => named("ali key", &id.0),
            Self::Roll => Hasher::new("roll key").finish(),
            Self::Nonce(party, nonce) => {
                let (kind, id) = party.parts();
                let hasher = Hasher::new("nonce key").number(kind).digest(id);
                hasher.number(*nonce).finish()
            }
            Self::Record(rid) => named("rid key", &rid.0),
            Self::Payload(payload) => named("payload key", payload),
            Self::Grant(gid) => named("gid key", &gid.0),
            Self::Usage(party) => {
                let (kind, id) = party.parts();
                Hasher::new("usage key").number(kind).digest(id).finish()
            }
            Self::Access(order) => named("aud key", order),
            Self::Emergencies(did) => named("emergencies key", &did.0),
            Self::Mail(pid, order) => {
                let hasher = Hasher::new("mail key").digest(&pid.0);
                hasher.digest(order).finish()
            }
            Self::Share(sid) => named("sid key", &sid.0),
            Self::Call(call) => named("call key", call),
        }
    }

    /// Whether the state's tree holds such entries. Others are part of calls and entries that it
    /// holds.
    pub(super) fn is_entry(&self) -> bool {
        match self {
            Self::Authority(_)
            | Self::Hospital(_)
            | Self::Doctor(_)
            | Self::Patient(_)
            | Self::Alias(_)
            | Self::Record(_)
            | Self::Grant(_)
            | Self::Usage(_)
            | Self::Access(_)
            | Self::Emergencies(_)
            | Self::Mail(..)
            | Self::Share(_) => true,
            Self::Licence(_) | Self::Roll | Self::Nonce(..) | Self::Payload(_) | Self::Call(_) => {
                false
            }
        }
    }

    /// The document of a draft.
    pub(super) fn payload(draft: &Draft) -> Self {
        let content = draft.content();
        let hasher = Hasher::new("payload").digest(&content.pid.0);
        let hasher = hasher.digest(&content.did.0).digest(&content.payload_hash);
        Self::Payload(hasher.finish())
    }

    /// A licence by its text.
    pub(super) fn licence(text: &str) -> Self {
        Self::Licence(Hasher::new("licence").part(text.as_bytes()).finish())
    }

    /// A registered party.
    pub(super) fn party(party: &Party) -> Self {
        match party {
            Party::Authority(id) => Self::Authority(*id),
            Party::Hospital(id) => Self::Hospital(*id),
            Party::Doctor(id) => Self::Doctor(*id),
            Party::Patient(id) => Self::Patient(*id),
            Party::Alias(id) => Self::Alias(*id),
        }
    }
}

/// A search that a plan relies on, and what it matched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scan {
    /// What was searched for.
    pub query: Query,
    /// The digest of the names of all records that matched.
    pub matched: Digest,
}

/// A plan that was made without carrying it out.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// What the contract would answer.
    pub receipt: Receipt,
    /// All entries that the plan relies on, in ascending order, each once.
    pub reads: Vec<Key>,
    /// All searches that the plan relies on.
    pub scans: Vec<Scan>,
    /// What would change; nothing unless the call is accepted.
    pub writes: Arc<[Write]>,
}

/// What was read.
#[derive(Debug, Default)]
struct Reads {
    keys: Vec<Key>,
    scans: Vec<Scan>,
}

/// The committed state as a call sees it, and the writes that the call has planned so far. What a
/// call writes it does not read again.
#[derive(Debug)]
pub(super) struct View<'s> {
    state: &'s State,
    height: u64,
    reads: Option<Reads>,
    writes: Vec<Write>,
    /// The custodian who signs for the patient that the call is by.
    speaker: Option<PatientId>,
    /// The identities whose signatures somebody answers for.
    trusted: Option<&'s Directory>,
}

impl<'s> View<'s> {
    /// A view that keeps no list of what is read, and puts the writes into this empty list.
    pub(super) fn new(state: &'s State, height: u64, writes: Vec<Write>) -> Self {
        Self {
            state,
            height,
            reads: None,
            writes,
            speaker: None,
            trusted: None,
        }
    }

    /// A view that keeps a list of what is read.
    pub(super) fn recording(state: &'s State, height: u64) -> Self {
        Self {
            reads: Some(Reads::default()),
            ..Self::new(state, height, Vec::new())
        }
    }

    /// The same view, in which signatures by the keys of these identities are trusted.
    pub(super) fn trust(self, trusted: Option<&'s Directory>) -> Self {
        Self { trusted, ..self }
    }

    /// The identities whose signatures somebody answers for.
    pub(super) fn trusted(&self) -> Option<&'s Directory> {
        self.trusted
    }

    /// The writes, of an accepted call.
    pub(super) fn into_writes(self) -> Vec<Write> {
        self.writes
    }

    /// Everything about the plan.
    pub(super) fn into_simulated(self, receipt: Receipt) -> Simulated {
        let Reads { mut keys, scans } = self.reads.unwrap_or_default();
        keys.sort_unstable();
        keys.dedup();
        Simulated {
            receipt,
            reads: keys,
            scans,
            writes: self.writes.into(),
        }
    }

    /// Plans a change.
    pub(super) fn write(&mut self, change: Change) {
        self.writes.push(Write(change));
    }

    /// Plans a change about identities.
    pub(super) fn register(&mut self, registration: Registration) {
        self.write(Change::Identity(Box::new(registration)));
    }

    /// Notes that a custodian signs for the patient that the call is by.
    pub(super) fn speak(&mut self, custodian: PatientId) {
        self.speaker = Some(custodian);
    }

    /// The custodian who signs for the patient that the call is by.
    pub(super) fn speaker(&self) -> Option<PatientId> {
        self.speaker
    }

    /// Drops all planned changes.
    pub(super) fn retract(&mut self) {
        self.writes.clear();
    }

    /// Notes that an entry was looked at.
    fn note(&mut self, key: impl FnOnce() -> Key) {
        if let Some(reads) = &mut self.reads {
            reads.keys.push(key());
        }
    }

    /// The height at which the call is executed.
    pub(super) fn height(&self) -> u64 {
        self.height
    }

    /// The rules of the chain.
    pub(super) fn rules(&self) -> &'s Rules {
        &self.state.rules
    }

    /// Whether a check is left out.
    pub(super) fn lacks(&self, mutant: Mutant) -> bool {
        self.state.rules.lack(mutant)
    }

    /// The identities; for what depends on one of them that was noted before.
    pub(super) fn directory(&self) -> &'s Directory {
        &self.state.directory
    }

    /// Where a party stands in the directory; refuses unknown ones.
    pub(super) fn place(&mut self, party: &Party) -> Result<Place, Code> {
        self.note(|| Key::party(party));
        self.state.directory.place(party)
    }

    /// The place of a hospital.
    pub(super) fn hospital(&mut self, id: &HospitalId) -> Result<u32, Code> {
        self.note(|| Key::Hospital(*id));
        self.state.directory.hospital(id)
    }

    /// The place of a doctor.
    pub(super) fn doctor(&mut self, id: &DoctorId) -> Result<u32, Code> {
        self.note(|| Key::Doctor(*id));
        self.state.directory.doctor(id)
    }

    /// The place of a patient.
    pub(super) fn patient(&mut self, id: &PatientId) -> Result<u32, Code> {
        self.note(|| Key::Patient(*id));
        self.state.directory.patient(id)
    }

    /// Notes that a registered party was looked at.
    fn note_place(&mut self, place: Place) {
        let directory = self.directory();
        self.note(|| Key::party(&directory.party(place)));
    }

    /// The authority at a place.
    pub(super) fn authority_at(&mut self, at: u32) -> &'s Authority {
        self.note_place(Place::Authority(at));
        self.state.directory.authority_at(at)
    }

    /// The hospital at a place.
    pub(super) fn hospital_at(&mut self, at: u32) -> &'s Hospital {
        self.note_place(Place::Hospital(at));
        self.state.directory.hospital_at(at)
    }

    /// The doctor at a place.
    pub(super) fn doctor_at(&mut self, at: u32) -> &'s Doctor {
        self.note_place(Place::Doctor(at));
        self.state.directory.doctor_at(at)
    }

    /// The patient at a place.
    pub(super) fn patient_at(&mut self, at: u32) -> &'s Patient {
        self.note_place(Place::Patient(at));
        self.state.directory.patient_at(at)
    }

    /// The alias at a place.
    fn alias_at(&mut self, at: u32) -> &'s Alias {
        self.note_place(Place::Alias(at));
        self.state.directory.alias_at(at)
    }

    /// Those who may sign for a patient while enabled.
    pub(super) fn custodians(&mut self, at: u32) -> &'s [Custodian] {
        self.note_place(Place::Patient(at));
        self.state.directory.custodians(at)
    }

    /// Whether a patient has or had this name.
    pub(super) fn is_pseudonym(&mut self, pid: &PatientId) -> bool {
        self.note(|| Key::Patient(*pid));
        self.state.directory.is_pseudonym(pid)
    }

    /// How many hospitals are active.
    pub(super) fn active_hospitals(&mut self) -> usize {
        self.note(|| Key::Roll);
        self.state.directory.active_hospitals()
    }

    /// Refuses a party that is suspended or at its end.
    pub(super) fn check_standing(&mut self, place: Place) -> Result<(), Code> {
        self.note_place(place);
        match place {
            Place::Authority(_) => Ok(()),
            Place::Hospital(at) => self.directory().check_hospital(at),
            Place::Doctor(at) => self.directory().check_doctor(at),
            Place::Patient(at) => self.directory().check_patient(at),
            Place::Alias(_) if self.lacks(Mutant::AliasEndless) => Ok(()),
            Place::Alias(at) => self.directory().check_alias(at),
        }
    }

    /// Refuses a party whose signatures do not count now: without a certificate that counts, or
    /// suspended, or at its end.
    pub(super) fn check_may_sign(&mut self, place: Place) -> Result<(), Code> {
        self.note_place(place);
        if let Place::Authority(at) = place {
            return self.directory().check_authority(at, self.height);
        }
        let ca = self.directory().certificate(place).ca;
        self.note_place(Place::Authority(ca));
        match self.directory().check_certificate(place, self.height) {
            Err(Code::CertExpired) if self.lacks(Mutant::LapsedCounts) => {}
            checked => checked?,
        }
        match self.check_standing(place) {
            Err(Code::DoctorSuspended) if self.lacks(Mutant::SuspendedSigns) => Ok(()),
            checked => checked,
        }
    }

    /// The key with which a registered party signs at this height. Who speaks for a patient is
    /// decided here and nowhere else.
    pub(super) fn key_of(&mut self, place: Place) -> &'s PublicKey {
        match place {
            Place::Authority(at) => &self.authority_at(at).key,
            Place::Hospital(at) => &self.hospital_at(at).key,
            Place::Doctor(at) => &self.doctor_at(at).key,
            Place::Patient(at) => &self.patient_at(at).key,
            Place::Alias(at) => &self.alias_at(at).key,
        }
    }

    /// Whether a caller is the patient at a place, under whatever name.
    pub(super) fn is_patient(&mut self, by: Place, patient: u32) -> bool {
        by == Place::Patient(patient)
    }

    /// Whether a licence is taken.
    pub(super) fn is_licensed(&mut self, licence: &str) -> bool {
        self.note(|| Key::licence(licence));
        self.state.directory.is_licensed(licence)
    }

    /// Whether a party has used a number before.
    pub(super) fn has_used(&mut self, place: Place, nonce: u64) -> bool {
        let state = self.state;
        self.note(|| Key::Nonce(state.directory.party(place), nonce));
        state.used.contains(place, nonce)
    }

    /// The record of a name.
    pub(super) fn record(&mut self, rid: &RecordId) -> Option<&'s Record> {
        self.note(|| Key::Record(*rid));
        self.state.records.find(rid).map(|(_, record)| record)
    }

    /// Whether a doctor has recorded a document for a patient before.
    pub(super) fn has_payload(&mut self, draft: &Draft, doctor: u32, patient: u32) -> bool {
        self.note(|| Key::payload(draft));
        let payload = payload(draft, doctor, patient);
        self.state.payloads.get(&payload).is_some()
    }

    /// The grant of a name.
    pub(super) fn grant_of(&mut self, gid: &GrantId) -> Option<&'s Grant> {
        self.note(|| Key::Grant(*gid));
        self.state.grants.find(gid).map(|(_, grant)| grant)
    }

    /// The emergencies that a doctor has claimed of late.
    pub(super) fn emergencies(&mut self, doctor: u32) -> Emergencies {
        let state = self.state;
        self.note(|| Key::Emergencies(DoctorId::of(&state.directory.doctor_at(doctor).key)));
        let claimed = state.emergencies.get(&doctor);
        claimed.cloned().unwrap_or_default()
    }

    /// The sharing of a name.
    pub(super) fn share(&mut self, sid: &ShareId) -> Option<&'s Share> {
        self.note(|| Key::Share(*sid));
        self.state.shares.find(sid).map(|(_, share)| share)
    }

    /// The record that the answer to a search called by a handle.
    pub(super) fn found_as(&mut self, search: &Order, handle: &Handle) -> Result<&'s Record, Code> {
        if let Some(query) = search.terms().act.search() {
            self.scan(query);
        }
        let rid = self.state.found_as(search, handle)?;
        self.record(&rid).ok_or(Code::RecordNotFound)
    }

    /// Answers a search that nothing is kept of. Where the rules count or remember, there is none
    /// such: it is refused before anything is looked at.
    pub(super) fn search(&mut self, terms: &Terms, query: &Query) -> Result<Receipt, Code> {
        self.check_free_search(query)?;
        let matches = self.matches(query)?;
        self.answer(terms, query, &matches)
    }

    /// Suggests a condition to add to a query, which tells something too.
    pub(super) fn suggest(&mut self, query: &Query) -> Result<Receipt, Code> {
        self.check_free_search(query)?;
        self.scan(query);
        self.state.suggest(query).map(Receipt::Suggested)
    }

    /// Answers a search, counts it and remembers what it tells.
    pub(super) fn audited_search(
        &mut self,
        terms: &Terms,
        query: &Query,
        by: Place,
    ) -> Result<Receipt, Code> {
        let matches = self.matches(query)?;
        let rules = self.rules();
        let seen = rules.difference_guard.then(|| self.state.seen(&matches));
        self.note(|| Key::Usage(terms.by));
        let usage = self.state.usage.get(&by);
        let near = |usage: &Usage| seen.as_ref().is_some_and(|s| usage.is_near(s, &matches));
        if usage.is_some_and(near) {
            return Err(Code::TooFewResults);
        }
        let receipt = self.answer(terms, query, &matches)?;
        let spent = |budget| match usage {
            Some(usage) => usage.is_spent(self.height, budget),
            None => budget == 0,
        };
        if rules.query_budget.is_some_and(spent) {
            return Err(Code::QueryBudgetExceeded);
        }
        let party = terms.by;
        self.write(Change::Answered { by, party, seen });
        Ok(receipt)
    }

    fn check_free_search(&self, query: &Query) -> Result<(), Code> {
        query.check_features()?;
        if self.rules().audits_searches() {
            return Err(Code::QueryBudgetExceeded);
        }
        Ok(())
    }

    fn matches(&mut self, query: &Query) -> Result<Matches, Code> {
        self.scan(query);
        self.state.matches(query)
    }

    fn answer(&self, terms: &Terms, query: &Query, matches: &Matches) -> Result<Receipt, Code> {
        let answer = self.state.answer(query, matches, &salt(terms, query))?;
        Ok(Receipt::Found(Arc::new(answer)))
    }

    /// Notes that the plan relies on what a query matches.
    fn scan(&mut self, query: &Query) {
        if let Some(reads) = &mut self.reads {
            reads.scans.push(Scan {
                query: query.clone(),
                matched: self.state.matched(query),
            });
        }
    }
}

impl State {
    /// The digest of the names of all records that match a query; of too many only that they are.
    fn matched(&self, query: &Query) -> Digest {
        let (places, _) = self.index.matching(query, MATCHES_MAX + 1);
        let hasher = Hasher::new("matched").number(places.len() as u64);
        if places.len() > MATCHES_MAX {
            return hasher.finish();
        }
        let rid = |place| self.records.at(place).draft.content().rid;
        places
            .iter()
            .fold(hasher, |hasher, &place| hasher.digest(&rid(place).0))
            .finish()
    }

    /// Whether a search still matches what it matched when a plan relied on it.
    pub fn rescan(&self, scan: &Scan) -> bool {
        self.matched(&scan.query) == scan.matched
    }
}
