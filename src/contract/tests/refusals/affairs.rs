//! Authorities, certificates, keys and custodians.

use super::*;
use crate::contract::affair::{Affair, CUSTODIANS_MAX, Custody};
use crate::contract::tests::affairs::{key_change, locum, newcomer, office};

/// Admits the authority of newcomer 60 for these heights.
fn admitted(stage: &mut Stage, from: u64, until: u64) -> SignedCall {
    let (mut authority, _) = office();
    authority.valid = Validity { from, until };
    stage.decision(Affair::Admit(authority), &[0, 1, 2])
}

/// Enrols a doctor for these heights.
fn employed(stage: &mut Stage, from: u64, until: u64) -> SignedCall {
    let by = stage.authority(1);
    let doctor = locum(stage, 61);
    stage.enrolment(&by, Identity::Doctor(doctor), (from, until), 61)
}

/// Certifies doctor 0 anew by one of the authorities of the genesis.
fn certified(stage: &mut Stage, authority: u32, from: u64, until: u64) -> SignedCall {
    let by = stage.authority(authority);
    let valid = Validity { from, until };
    let whom = stage.doctor(0).0;
    stage.order(&by, Act::Affair(Affair::Certify(whom, valid)))
}

/// Gives doctor 0 a certificate by an authority that the hospitals then expel.
fn discredited(stage: &mut Stage) {
    let id = stage.admit(|_| {});
    let by = (Party::Authority(id), newcomer(60));
    let whom = stage.doctor(0).0;
    let certify = Affair::Certify(whom, Validity::ALWAYS);
    let certify = stage.order(&by, Act::Affair(certify));
    stage.accept(&certify);
    let expel = stage.decision(Affair::Expel(id), &[0, 1, 2]);
    stage.accept(&expel);
}

fn hidden(stage: &mut Stage, custodian: u32) -> SignedCall {
    let rid = stage.record(0, 8);
    stage.for_patient(8, custodian, Act::Hide(rid))
}

pub const AFFAIRS: &[(Code, Story)] = &[
    (Code::FieldTooLong, |s| {
        for custodian in 10..10 + CUSTODIANS_MAX as u32 {
            s.entrust(8, custodian);
        }
        let whom = s.people.patient(39).id;
        s.entrusting(8, Custody::Add(whom))
    }),
    (Code::NotYetValid, |s| admitted(s, 11, 100)),
    (Code::NotYetValid, |s| employed(s, 11, 100)),
    (Code::NotYetValid, |s| certified(s, 1, 11, 100)),
    (Code::BadInterval, |s| admitted(s, 5, 5)),
    (Code::BadInterval, |s| employed(s, 9, 8)),
    (Code::UnknownCa, |s| {
        s.decision(Affair::Expel(AuthorityId(NOBODY)), &[0, 1, 2])
    }),
    (Code::CaRevoked, |s| {
        // An authority that was expelled enrols nobody,
        s.expel(1);
        enrolment(s, |_| {})
    }),
    (Code::CaRevoked, |s| {
        // nor decides on anybody,
        s.expel(1);
        let whom = s.doctor(0).0;
        standing(s, 1, whom, Standing::Suspended)
    }),
    (Code::CaRevoked, |s| {
        // and those whom it certified sign nothing more: neither a doctor
        discredited(s);
        s.submission(0, 8, |_| {})
    }),
    (Code::CaRevoked, |s| {
        s.expel(2);
        // nor a patient.
        s.by_patient(8, Act::Hide(RecordId(NOBODY)))
    }),
    (Code::CaRevoked, |s| {
        // Of several checks the first answers: the doctor would be suspended, too.
        s.expel(2);
        let whom = s.doctor(0).0;
        after_standing(s, 1, whom, Standing::Suspended)
    }),
    (Code::CaRevoked, |s| {
        let id = s.expel(1);
        s.decision(Affair::Expel(id), &[0, 1, 2])
    }),
    (Code::CaRevoked, |s| {
        let rid = s.record(4, 8);
        discredited(s);
        s.emergency([4, 0], rid)
    }),
    (Code::CaExpired, |s| admitted(s, 5, 9)),
    (Code::CaExpired, |s| {
        let id = s.admit(|authority| authority.valid.until = 20);
        s.height = 21;
        s.decision(Affair::Expel(id), &[0, 1, 2])
    }),
    (Code::CertSignatureInvalid, |s| {
        let (by, thief) = (s.authority(1).0, s.authority(0).1);
        let doctor = s.doctor(0).0;
        let certify = Affair::Certify(doctor, Validity::ALWAYS);
        s.order(&(by, thief), Act::Affair(certify))
    }),
    (Code::CertSignatureInvalid, |s| {
        let call = s.recovery(8, 70, &[]);
        SignedCall::new(call.call().clone(), None, call.second().cloned())
    }),
    (Code::CertExpired, |s| employed(s, 5, 9)),
    (Code::CertExpired, |s| certified(s, 1, 5, 9)),
    (Code::CertExpired, |s| {
        let call = certified(s, 1, 5, 20);
        s.accept(&call);
        s.height = 21;
        s.submission(0, 8, |_| {})
    }),
    (Code::UnknownPatient, |s| {
        s.entrusting(8, Custody::Add(PatientId(NOBODY)))
    }),
    (Code::DoctorRevoked, |s| {
        let whom = s.doctor(0).0;
        let end = standing(s, 1, whom, Standing::Ended);
        s.accept(&end);
        certified(s, 1, 0, 100)
    }),
    (Code::PatientFrozen, |s| {
        // A custodian who cannot sign for the own person cannot for others.
        s.entrust(8, 9);
        let whom = s.patient(9).0;
        let freeze = s.by_patient(9, Act::SetStanding(whom, Standing::Suspended));
        s.accept(&freeze);
        hidden(s, 9)
    }),
    (Code::PatientClosed, |s| {
        let by = s.patient(8);
        let first = s.rotation(&by, 70, false);
        s.accept(&first);
        s.rotation(&by, 71, false)
    }),
    (Code::PatientClosed, |s| {
        let whom = s.patient(8).0;
        let end = standing(s, 2, whom, Standing::Ended);
        s.accept(&end);
        s.recovery(8, 70, &[])
    }),
    (Code::HospitalSuspended, |s| {
        let whom = s.hospital(0).0;
        let suspend = standing(s, 0, whom, Standing::Suspended);
        s.accept(&suspend);
        admitted(s, 0, 100)
    }),
    (Code::WrongRole, |s| {
        let act = Affair::Admit(office().0);
        let (by, keys) = s.authority(0);
        let call = Call::Order(Order::new(s.terms(by, Act::Affair(act))));
        SignedCall::signed(call, &keys, Some(&newcomer(60)))
    }),
    (Code::WrongRole, |s| certified(s, 2, 0, 100)),
    (Code::WrongRole, |s| {
        // A key is changed by its owner.
        let of = s.people.patient(8).id;
        let act = Affair::Rotate(key_change(of, &newcomer(70), false));
        let (by, keys) = s.patient(9);
        let call = Call::Order(Order::new(s.terms(by, Act::Affair(act))));
        SignedCall::signed(call, &keys, Some(&newcomer(70)))
    }),
    (Code::WrongRole, |s| {
        let pid = s.people.patient(8).id;
        s.by_doctor(0, Act::Affair(Affair::Entrust(Custody::Add(pid))))
    }),
    (Code::PidKeyMismatch, |s| {
        let (by, keys) = s.patient(8);
        let mut change = key_change(s.people.patient(8).id, &newcomer(70), false);
        change.to = s.people.patient(9).id;
        let act = Act::Affair(Affair::Rotate(change));
        let call = Call::Order(Order::new(s.terms(by, act)));
        SignedCall::signed(call, &keys, Some(&newcomer(70)))
    }),
    (Code::IdTaken, |s| {
        let call = admitted(s, 0, 100);
        s.accept(&call);
        admitted(s, 0, 100)
    }),
    (Code::IdTaken, |s| {
        // Nobody gets the name that another has given up.
        let (one, other) = (s.patient(8), s.patient(9));
        for (by, to) in [(one, 70), ((patient_of(70)), 71)] {
            let call = s.rotation(&by, to, false);
            s.accept(&call);
        }
        s.rotation(&other, 70, false)
    }),
    (Code::IdTaken, |s| {
        s.entrust(8, 9);
        let whom = s.people.patient(9).id;
        s.entrusting(8, Custody::Add(whom))
    }),
    (Code::IdTaken, |s| {
        let own = s.people.patient(8).id;
        s.entrusting(8, Custody::Add(own))
    }),
    (Code::CustodianNotEnabled, |s| hidden(s, 9)),
    (Code::CustodianNotEnabled, |s| s.submission_for(8, 9)),
    (Code::CustodianNotEnabled, |s| {
        // On the list, but not enabled.
        let whom = s.people.patient(9).id;
        let add = s.entrusting(8, Custody::Add(whom));
        s.accept(&add);
        s.submission_for(8, 9)
    }),
    (Code::CustodianNotEnabled, |s| {
        let whom = s.people.patient(9).id;
        s.entrusting(8, Custody::Enable(whom))
    }),
    (Code::CustodianNotEnabled, |s| {
        // Whom there is not cannot be removed, and nothing is.
        s.entrust(8, 10);
        let whom = s.people.patient(9).id;
        s.entrusting(8, Custody::Remove(whom))
    }),
    (Code::PatientSignatureInvalid, |s| {
        s.entrust(8, 9);
        let call = Call::Submit(Draft::new(s.content(0, 8)));
        let (doctor, thief) = (s.doctor(0).1, s.patient(10).1);
        let custodian = s.people.patient(9).id;
        SignedCall::entrusted(call, Some(&doctor), custodian, &thief)
    }),
    (Code::SelfDealing, |s| {
        // The doctor is the custodian.
        s.entrust(8, 0);
        s.submission_for(8, 0)
    }),
    (Code::QuorumNotReached, |s| {
        s.decision(Affair::Admit(office().0), &[0, 1])
    }),
    (Code::QuorumNotReached, |s| s.recovery(8, 70, &[9])),
    (Code::WrongSigner, |s| {
        // Who has the own key needs nobody.
        let by = s.patient(8);
        let (other, keys) = s.patient(9);
        s.rotation(&by, 70, false).witnessed(other, &keys)
    }),
    (Code::WrongSigner, |s| {
        let call = s.submission(0, 8, |_| {});
        let (other, keys) = s.patient(9);
        let extra = Proof::sign(&keys, call.digest());
        let proofs = (call.first().cloned(), call.second().cloned());
        let further = vec![(other, extra)];
        SignedCall::with_further(call.call().clone(), proofs.0, proofs.1, further)
    }),
    (Code::IllegalTransition, |s| {
        s.entrust(8, 9);
        let whom = s.people.patient(9).id;
        s.entrusting(8, Custody::Enable(whom))
    }),
    (Code::IllegalTransition, |s| {
        let own = s.people.patient(8).id;
        s.entrusting(8, Custody::Enable(own))
    }),
    (Code::NoCustodianLeft, |s| {
        let own = s.people.patient(8).id;
        s.entrusting(8, Custody::Remove(own))
    }),
    (Code::NoCustodianLeft, |s| {
        let own = s.people.patient(8).id;
        s.entrusting(8, Custody::Disable(own))
    }),
];

fn patient_of(number: u8) -> (Party, KeyPair) {
    let keys = newcomer(number);
    (Party::Patient(PatientId::of(&keys.public())), keys)
}
