//! Authorities that come and go, certificates that run out, keys that change, and custodians.

mod accounts;

use super::*;
use crate::base::crypto::Digest;
use crate::contract::affair::{Affair, Custody, KeyChange};
use crate::contract::call::{Order, Proof};
use crate::contract::identity::{
    Authority, AuthorityId, Doctor, DoctorId, Patient, PatientId, Standing, Vouches,
};
use crate::contract::records::Status;
use crate::contract::search::{Condition, Query};
use crate::contract::tree::verify;
use crate::contract::view::Key;

/// Keys of somebody who is not there yet.
pub fn newcomer(number: u8) -> KeyPair {
    KeyPair::from_seed(Digest([number; 32]))
}

fn patient_with(keys: &KeyPair) -> (Party, KeyPair) {
    (Party::Patient(PatientId::of(&keys.public())), keys.clone())
}

/// An authority for doctors with the keys of newcomer 60, at all heights.
pub fn office() -> (Authority, AuthorityId) {
    let authority = Authority {
        key: newcomer(60).public(),
        vouches: Vouches::Doctors,
        valid: Validity::ALWAYS,
    };
    let id = AuthorityId::of(&authority.key);
    (authority, id)
}

/// A doctor of hospital 0 with the keys of a newcomer.
pub fn locum(stage: &Stage, number: u8) -> Doctor {
    Doctor {
        key: newcomer(number).public(),
        real_name: format!("Locum {number}"),
        licence: format!("L-locum-{number}"),
        hid: stage.people.hospital(0).id,
        specialty: 7,
        own: Digest::ZERO,
    }
}

impl Stage {
    /// An affair that the first of these hospitals asks for and the others support.
    pub fn decision(&mut self, affair: Affair, hospitals: &[u32]) -> SignedCall {
        let by = self.hospital(hospitals[0]);
        let subject = newcomer(60);
        let terms = self.terms(by.0, Act::Affair(affair));
        let subject = terms.act.subject().map(|_| &subject);
        let mut call = SignedCall::signed(Call::Order(Order::new(terms)), &by.1, subject);
        for hospital in &hospitals[1..] {
            let (party, keys) = self.hospital(*hospital);
            call = call.witnessed(party, &keys);
        }
        call
    }

    /// Admits the authority of newcomer 60 after a change to it.
    pub fn admit(&mut self, change: impl FnOnce(&mut Authority)) -> AuthorityId {
        let (mut authority, id) = office();
        change(&mut authority);
        let call = self.decision(Affair::Admit(authority), &[0, 1, 2]);
        self.accept(&call);
        id
    }

    /// Expels one of the authorities of the genesis.
    pub fn expel(&mut self, authority: u32) -> AuthorityId {
        let id = self.people.authority(authority).id;
        let call = self.decision(Affair::Expel(id), &[0, 1, 2]);
        self.accept(&call);
        id
    }

    /// An enrolment by somebody for some heights; the subject is a newcomer.
    pub fn enrolment(
        &mut self,
        by: &(Party, KeyPair),
        identity: Identity,
        (from, until): (u64, u64),
        subject: u8,
    ) -> SignedCall {
        let valid = Validity { from, until };
        let act = Act::Enrol(Arc::new(Enrolment { identity, valid }));
        let call = Call::Order(Order::new(self.terms(by.0, act)));
        SignedCall::signed(call, &by.1, Some(&newcomer(subject)))
    }

    /// Enrols a doctor of hospital 0 by the authority of newcomer 60.
    pub fn locum(&mut self, number: u8, valid: (u64, u64)) -> DoctorId {
        let by = (Party::Authority(office().1), newcomer(60));
        let doctor = locum(self, number);
        let did = DoctorId::of(&doctor.key);
        let call = self.enrolment(&by, Identity::Doctor(doctor), valid, number);
        self.accept(&call);
        did
    }

    /// A record of a patient by somebody enrolled later, with keys.
    pub fn submission_by(&mut self, did: DoctorId, keys: &KeyPair, patient: u32) -> SignedCall {
        let mut content = self.content(0, patient);
        content.did = did;
        let patient = self.patient(patient).1;
        SignedCall::signed(Call::Submit(Draft::new(content)), keys, Some(&patient))
    }

    /// Gives a patient the key of a newcomer, with the old key.
    pub fn rotation(&mut self, by: &(Party, KeyPair), to: u8, revoke_all: bool) -> SignedCall {
        let Party::Patient(of) = by.0 else {
            panic!("patients have keys to change");
        };
        let change = key_change(of, &newcomer(to), revoke_all);
        let terms = self.terms(by.0, Act::Affair(Affair::Rotate(change)));
        SignedCall::signed(Call::Order(Order::new(terms)), &by.1, Some(&newcomer(to)))
    }

    /// Gives a patient who has lost the key that of a newcomer, with the help of these others.
    pub fn recovery(&mut self, patient: u32, to: u8, custodians: &[u32]) -> SignedCall {
        let of = self.people.patient(patient).id;
        let (by, keys) = self.authority(2);
        let change = key_change(of, &newcomer(to), true);
        let terms = self.terms(by, Act::Affair(Affair::Rotate(change)));
        let call = Call::Order(Order::new(terms));
        let mut call = SignedCall::signed(call, &keys, Some(&newcomer(to)));
        for custodian in custodians {
            let (party, keys) = self.patient(*custodian);
            call = call.witnessed(party, &keys);
        }
        call
    }

    /// A change to a patient's list of custodians.
    pub fn entrusting(&mut self, patient: u32, custody: Custody) -> SignedCall {
        self.by_patient(patient, Act::Affair(Affair::Entrust(custody)))
    }

    /// Puts somebody on a patient's list, and lets them sign.
    pub fn entrust(&mut self, patient: u32, custodian: u32) {
        let pid = self.people.patient(custodian).id;
        for custody in [Custody::Add(pid), Custody::Enable(pid)] {
            let call = self.entrusting(patient, custody);
            self.accept(&call);
        }
    }

    /// Something that a custodian asks for in a patient's name.
    pub fn for_patient(&mut self, patient: u32, custodian: u32, act: Act) -> SignedCall {
        let by = self.patient(patient).0;
        let call = Call::Order(Order::new(self.terms(by, act)));
        let custodian = self.people.patient(custodian).clone();
        SignedCall::entrusted(call, None, custodian.id, &custodian.keys)
    }

    /// A record by doctor 0 that a custodian signs for a patient.
    pub fn submission_for(&mut self, patient: u32, custodian: u32) -> SignedCall {
        let call = Call::Submit(Draft::new(self.content(0, patient)));
        let custodian = self.people.patient(custodian).clone();
        let doctor = self.doctor(0).1;
        SignedCall::entrusted(call, Some(&doctor), custodian.id, &custodian.keys)
    }
}

/// A new key for a patient.
pub fn key_change(of: PatientId, to: &KeyPair, revoke_all: bool) -> KeyChange {
    KeyChange {
        of,
        to: PatientId::of(&to.public()),
        key: to.public(),
        revoke_all,
    }
}

#[test]
fn two_thirds_of_the_hospitals_are_not_enough() {
    // Of so many hospitals so many have to sign: strictly more than two thirds. One vote of two,
    // or two of four, would be a tie.
    for (hospitals, needed) in [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5)] {
        let mut stage = Stage::of(hospitals);
        let (authority, id) = office();
        for signed in 1..=u32::from(hospitals) {
            let signers: Vec<u32> = (0..signed).collect();
            let call = stage.decision(Affair::Admit(authority.clone()), &signers);
            if signed < needed {
                stage.refuse(&call, Code::QuorumNotReached);
            } else {
                stage.accept(&call);
                break;
            }
        }
        let key = Key::Authority(id);
        let (root, proof) = (stage.state.root(), stage.state.prove(&key).unwrap());
        let entry = stage.state.entry(&key);
        assert!(entry.is_some() && verify(&root, &key.digest(), entry, &proof));
    }
}

#[test]
fn only_distinct_active_hospitals_count() {
    let mut stage = Stage::new();
    let (authority, id) = office();
    let twice = stage.decision(Affair::Admit(authority.clone()), &[0, 1, 1, 1]);
    stage.refuse(&twice, Code::QuorumNotReached);
    let own = stage.decision(Affair::Admit(authority.clone()), &[0, 0, 0]);
    stage.refuse(&own, Code::QuorumNotReached);
    // A doctor's or another key's signature counts for nothing.
    let (doctor, keys) = stage.doctor(2);
    let call = stage.decision(Affair::Admit(authority.clone()), &[0, 1]);
    stage.refuse(
        &call.clone().witnessed(doctor, &keys),
        Code::QuorumNotReached,
    );
    let forged = call.clone().witnessed(stage.hospital(2).0, &keys);
    stage.refuse(&forged, Code::QuorumNotReached);
    let enough = stage.decision(Affair::Admit(authority.clone()), &[0, 1, 2]);
    stage.refuse(&enough.witnessed(doctor, &keys), Code::WrongSigner);
    // Nor that of a suspended hospital; but then there are fewer to agree.
    let suspend = Act::SetStanding(stage.hospital(3).0, Standing::Suspended);
    let by = stage.authority(0);
    let suspend = stage.order(&by, suspend);
    stage.accept(&suspend);
    let call = stage.decision(Affair::Admit(authority.clone()), &[0, 1, 3]);
    stage.refuse(&call, Code::QuorumNotReached);
    let call = stage.decision(Affair::Admit(authority), &[0, 1, 2, 3]);
    stage.accept(&call);
    let expel = stage.decision(Affair::Expel(id), &[0, 1]);
    stage.refuse(&expel, Code::QuorumNotReached);
    let expel = stage.decision(Affair::Expel(id), &[2, 1, 0]);
    stage.accept(&expel);
}

#[test]
fn what_was_signed_before_an_authority_was_expelled_stays() {
    let mut stage = Stage::new();
    stage.admit(|_| {});
    let did = stage.locum(61, (0, 1000));
    let keys = newcomer(61);
    let before = stage.submission_by(did, &keys, 8);
    let later = stage.submission_by(did, &keys, 9);
    stage.accept(&before);
    let terms = GrantTerms {
        grantee: Grantee::Doctor(did),
        ..stage.care(0, Scope::All)
    };
    let gid = stage.granted(8, terms);
    let call = stage.decision(Affair::Expel(office().1), &[0, 1, 2]);
    stage.accept(&call);
    // The record stays, is found and can be read by others.
    assert_eq!(stage.state.status(&rid(&before)), Some(Status::Active));
    let terms = stage.care(1, Scope::Records(vec![rid(&before)]));
    let other = stage.granted(8, terms);
    let read = stage.by_doctor(1, Act::Access(other, rid(&before), Purpose::Care));
    stage.accept(&read);
    // What the locum signs now does not count, whenever it was signed, and for whatever purpose.
    stage.refuse(&later, Code::CaRevoked);
    let by = (Party::Doctor(did), keys.clone());
    let read = stage.order(&by, Act::Access(gid, rid(&before), Purpose::Care));
    stage.refuse(&read, Code::CaRevoked);
    let office = (Party::Authority(office().1), newcomer(60));
    let enrol = locum(&stage, 62);
    let enrol = stage.enrolment(&office, Identity::Doctor(enrol), (0, 99), 62);
    stage.refuse(&enrol, Code::CaRevoked);
    // Another authority's word makes the locum's count again.
    let by = stage.authority(1);
    let valid = Validity::ALWAYS;
    let certify = stage.order(&by, Act::Affair(Affair::Certify(Party::Doctor(did), valid)));
    stage.accept(&certify);
    stage.accept(&later);
}

#[test]
fn certificates_run_out_and_are_renewed() {
    let mut stage = Stage::new();
    stage.admit(|authority| authority.valid.until = 300);
    let did = stage.locum(61, (0, 200));
    let keys = newcomer(61);
    stage.height = 200;
    let last = stage.submission_by(did, &keys, 8);
    stage.accept(&last);
    stage.height = 201;
    let call = stage.submission_by(did, &keys, 8);
    stage.refuse(&call, Code::CertExpired);
    let office = (Party::Authority(office().1), newcomer(60));
    let valid = Validity {
        from: 201,
        until: 5000,
    };
    let renew = Act::Affair(Affair::Certify(Party::Doctor(did), valid));
    let certify = stage.order(&office, renew.clone());
    stage.accept(&certify);
    stage.accept(&call);
    stage.height = 301;
    let call = stage.submission_by(did, &keys, 8);
    stage.refuse(&call, Code::CaExpired);
    let certify = stage.order(&office, renew);
    stage.refuse(&certify, Code::CaExpired);
}

#[test]
fn certificates_can_be_checked_by_anybody_later() {
    let mut stage = Stage::new();
    stage.admit(|_| {});
    let did = stage.locum(61, (0, 200));
    let place = stage.state.directory.place(&Party::Doctor(did)).unwrap();
    let certificate = stage.state.directory.certificate(place);
    let seal = certificate.seal.as_ref().unwrap();
    let key = &stage.state.directory.authority_at(certificate.ca).key;
    assert!(key.verify(&seal.message.0, &seal.proof.signature()));
    assert_eq!((certificate.valid.from, certificate.valid.until), (0, 200));
    assert_eq!(key, &newcomer(60).public());
}

#[test]
fn newcomers_prove_their_keys() {
    let mut stage = Stage::new();
    let (authority, _) = office();
    let call = stage.decision(Affair::Admit(authority), &[0, 1, 2]);
    let stranger = Proof::sign(&newcomer(61), call.call().for_subject().unwrap());
    for second in [None, Some(stranger)] {
        let call = SignedCall::with_further(
            call.call().clone(),
            call.first().cloned(),
            second,
            call.further().to_vec(),
        );
        stage.refuse(&call, Code::WrongSigner);
    }
    let old = stage.patient(8);
    let call = stage.rotation(&old, 70, false);
    let call = SignedCall::new(call.call().clone(), call.first().cloned(), None);
    stage.refuse(&call, Code::WrongSigner);
    let patient = Patient {
        key: newcomer(71).public(),
    };
    let pid = PatientId::of(&patient.key);
    let by = stage.authority(2);
    let identity = Identity::Patient(pid, patient);
    let call = stage.enrolment(&by, identity, (0, 99), 72);
    stage.refuse(&call, Code::WrongSigner);
}
