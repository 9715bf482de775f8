//! Tests of the contract as a whole.

mod affairs;
mod aliases;
mod chaos;
mod consent;
mod finding;
mod guarding;
mod judged;
mod laws;
mod life;
mod plans;
mod proofs;
mod published_defects;
mod refusals;
mod sharing;
mod workload;

pub(super) use laws::{acts, author};
use std::sync::Arc;

use super::access::{GrantId, GrantTerms, Grantee, Purpose, Scope};
use super::call::{Act, Terms};
use super::certificate::Validity;
use super::identity::{Enrolment, Identity, Party};
use super::message::{CHAIN, Content, Draft, RecordId};
use super::share::ShareId;
use super::{Call, Code, Population, Receipt, Rules, SignedCall, State};
use crate::base::crypto::{Digest, KeyPair};

/// Doctors 0 to 7 work at hospitals 0 to 3 in turn and are patients 0 to 7 themselves; patients 8
/// to 39 are nobody else.
#[derive(Clone)]
pub(super) struct Stage {
    people: Population,
    state: State,
    height: u64,
    /// Numbers given out.
    count: u64,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self::of(4)
    }

    /// A stage with so many hospitals.
    fn of(hospitals: u16) -> Self {
        let people = Population::with_aliases(hospitals, 8, 40);
        Self {
            state: State::genesis(&people, Rules::default()),
            people,
            height: 10,
            count: 0,
        }
    }

    fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Somebody as a party, with keys.
    fn authority(&self, number: u32) -> (Party, KeyPair) {
        let person = self.people.authority(number);
        (Party::Authority(person.id), person.keys.clone())
    }

    pub(super) fn hospital(&self, number: u32) -> (Party, KeyPair) {
        let person = self.people.hospital(number);
        (Party::Hospital(person.id), person.keys.clone())
    }

    pub(super) fn doctor(&self, number: u32) -> (Party, KeyPair) {
        let person = self.people.doctor(number);
        (Party::Doctor(person.id), person.keys.clone())
    }

    pub(super) fn patient(&self, number: u32) -> (Party, KeyPair) {
        let person = self.people.patient(number);
        (Party::Patient(person.id), person.keys.clone())
    }

    fn terms(&mut self, by: Party, act: Act) -> Terms {
        Terms {
            chain: CHAIN,
            by,
            act,
            nonce: self.number(),
            valid_until: 1_000_000,
        }
    }

    fn order(&mut self, by: &(Party, KeyPair), act: Act) -> SignedCall {
        let terms = self.terms(by.0, act);
        SignedCall::order(terms, &by.1)
    }

    fn content(&mut self, doctor: u32, patient: u32) -> Content {
        let number = self.number();
        self.people.content(doctor, patient, number)
    }

    /// A submission after a change to its content; both parties sign what results.
    fn submission(
        &mut self,
        doctor: u32,
        patient: u32,
        change: impl FnOnce(&mut Content),
    ) -> SignedCall {
        let mut content = self.content(doctor, patient);
        change(&mut content);
        self.people.submission(content, doctor, patient)
    }

    fn apply(&mut self, call: &SignedCall) -> Receipt {
        self.state.apply(self.height, call)
    }

    fn accept(&mut self, call: &SignedCall) {
        assert_eq!(self.apply(call), Receipt::Accepted, "{:?}", call.call());
    }

    fn refuse(&mut self, call: &SignedCall, code: Code) {
        let before = fingerprint(&self.state);
        assert_eq!(
            self.apply(call),
            Receipt::Refused(code),
            "{:?}",
            call.call()
        );
        assert_eq!(fingerprint(&self.state), before, "{code} left a trace");
    }

    /// Enters a record.
    fn record(&mut self, doctor: u32, patient: u32) -> RecordId {
        let call = self.submission(doctor, patient, |_| {});
        self.accept(&call);
        rid(&call)
    }

    /// Enters a proposal.
    fn proposal(&mut self, doctor: u32, patient: u32) -> Arc<Draft> {
        let draft = Draft::new(self.content(doctor, patient));
        let keys = self.doctor(doctor).1;
        let call = SignedCall::signed(Call::Propose(draft.clone()), &keys, None);
        self.accept(&call);
        draft
    }

    fn confirmation(&self, draft: &Draft, patient: u32) -> SignedCall {
        SignedCall::confirm(draft, &self.patient(patient).1)
    }

    /// Lets a patient do something.
    pub(super) fn by_patient(&mut self, patient: u32, act: Act) -> SignedCall {
        let by = self.patient(patient);
        self.order(&by, act)
    }

    /// Lets a doctor do something.
    fn by_doctor(&mut self, doctor: u32, act: Act) -> SignedCall {
        let by = self.doctor(doctor);
        self.order(&by, act)
    }

    /// Enters a grant.
    fn granted(&mut self, patient: u32, terms: GrantTerms) -> GrantId {
        let call = self.by_patient(patient, Act::Grant(terms));
        self.accept(&call);
        gid(&call)
    }

    /// Lets a hospital do something.
    fn by_hospital(&mut self, hospital: u32, act: Act) -> SignedCall {
        let by = self.hospital(hospital);
        self.order(&by, act)
    }

    /// Lets two doctors claim an emergency; the first one reads.
    fn emergency(&mut self, doctors: [u32; 2], rid: RecordId) -> SignedCall {
        let (second, keys) = self.doctor(doctors[1]);
        let did = self.people.doctor(doctors[1]).id;
        let act = Act::Emergency { rid, second: did };
        self.by_doctor(doctors[0], act).witnessed(second, &keys)
    }

    /// Lets a doctor and a patient resolve a dispute; the doctor asks.
    fn resolution(&mut self, (doctor, patient): (u32, u32), rid: RecordId) -> SignedCall {
        let (party, keys) = self.patient(patient);
        let act = Act::Resolve {
            rid,
            suspect: false,
        };
        self.by_doctor(doctor, act).witnessed(party, &keys)
    }

    /// A grant to a hospital that may pass it on, from now on for a hundred blocks.
    fn delegable(&self, hospital: u32, scope: Scope) -> GrantTerms {
        GrantTerms {
            grantee: Grantee::Hospital(self.people.hospital(hospital).id),
            delegable: true,
            ..self.care(0, scope)
        }
    }

    /// Enters a record of patient 8 at hospital 0, and a request for it by doctor 1.
    fn requested(&mut self) -> (RecordId, ShareId) {
        let rid = self.record(0, 8);
        let call = self.by_doctor(1, Act::RequestShare(rid));
        self.accept(&call);
        (rid, ShareId(gid(&call).0))
    }

    /// The same, and both agree.
    fn shared(&mut self) -> (RecordId, ShareId) {
        let (rid, sid) = self.requested();
        let patient = self.by_patient(8, Act::ApproveShare(sid));
        self.accept(&patient);
        let holder = self.by_hospital(0, Act::ApproveShare(sid));
        self.accept(&holder);
        (rid, sid)
    }

    /// The digest of the document of a record.
    fn document(&self, rid: &RecordId) -> Digest {
        let (_, record) = self.state.records.find(rid).unwrap();
        record.draft.content().payload_hash
    }

    /// For care, by a doctor, from now on for a hundred blocks.
    fn care(&self, doctor: u32, scope: Scope) -> GrantTerms {
        GrantTerms {
            grantee: Grantee::Doctor(self.people.doctor(doctor).id),
            scope,
            purpose: Purpose::Care,
            from: self.height,
            until: self.height + 100,
            max_uses: None,
            delegable: false,
        }
    }
}

/// The record that a submission or proposal makes.
fn rid(call: &SignedCall) -> RecordId {
    match call.call() {
        Call::Submit(draft) | Call::Propose(draft) => draft.content().rid,
        Call::Confirm { rid, .. } => *rid,
        Call::Order(_) => panic!("an order makes no record"),
    }
}

/// The grant that an order makes.
fn gid(call: &SignedCall) -> GrantId {
    match call.call() {
        Call::Order(order) => GrantId(order.message()),
        Call::Submit(_) | Call::Propose(_) | Call::Confirm { .. } => panic!("grants nothing"),
    }
}

/// The enrolment of somebody, for ever.
fn enrol(identity: Identity) -> Act {
    Act::Enrol(Arc::new(Enrolment {
        identity,
        valid: Validity::ALWAYS,
    }))
}

/// Everything in the state, byte by byte.
fn fingerprint(state: &State) -> String {
    format!("{state:?}")
}
