//! Signatures and replay.

use super::*;

/// The doctor's and the patient's signature, if there.
type Proofs = (Option<Proof>, Option<Proof>);

/// A submission with signatures put in by hand.
fn resigned(stage: &mut Stage, sign: fn(&Stage, &Draft) -> Proofs) -> SignedCall {
    let draft = Draft::new(stage.content(0, 8));
    let (first, second) = sign(stage, &draft);
    SignedCall::new(Call::Submit(draft), first, second)
}

fn by_doctor(stage: &Stage, message: Digest) -> Option<Proof> {
    Some(Proof::sign(&stage.doctor(0).1, message))
}

fn by_patient(stage: &Stage, message: Digest) -> Option<Proof> {
    Some(Proof::sign(&stage.patient(8).1, message))
}

pub const SIGNATURES: &[(Code, Story)] = &[
    (Code::DoctorSignatureMissing, |s| {
        resigned(s, |s, draft| (None, by_patient(s, draft.for_patient())))
    }),
    (Code::DoctorSignatureMissing, |s| {
        // An emergency that no second doctor knows of.
        let (rid, second) = (s.record(0, 8), s.people.doctor(4).id);
        s.by_doctor(0, Act::Emergency { rid, second })
    }),
    (Code::DoctorSignatureMissing, |s| {
        // The second doctor is not the one who is named.
        let (rid, second) = (s.record(0, 8), s.people.doctor(4).id);
        let (other, keys) = s.doctor(5);
        let call = s.by_doctor(0, Act::Emergency { rid, second });
        call.witnessed(other, &keys)
    }),
    (Code::DoctorSignatureInvalid, |s| {
        let (rid, second) = (s.record(0, 8), s.people.doctor(4).id);
        let (named, keys) = (s.doctor(4).0, s.doctor(0).1);
        let call = s.by_doctor(0, Act::Emergency { rid, second });
        call.witnessed(named, &keys)
    }),
    (Code::PatientSignatureMissing, |s| {
        let rid = disputed(s);
        s.by_doctor(
            0,
            Act::Resolve {
                rid,
                suspect: false,
            },
        )
    }),
    (Code::PatientSignatureInvalid, |s| {
        let rid = disputed(s);
        let (named, keys) = (s.patient(8).0, s.doctor(0).1);
        let call = s.by_doctor(0, Act::Resolve { rid, suspect: true });
        call.witnessed(named, &keys)
    }),
    (Code::DoctorSignatureMissing, |s| {
        // Of two missing checks the first answers: the patient's signature is wrong too.
        let rid = disputed(s);
        let by = (s.patient(8).0, s.patient(9).1);
        s.order(
            &by,
            Act::Resolve {
                rid,
                suspect: false,
            },
        )
    }),
    (Code::DoctorSignatureInvalid, |s| {
        // A signature made as a patient does not count as a doctor's, whoever made it.
        resigned(s, |s, draft| {
            let patient = by_patient(s, draft.for_patient());
            (by_doctor(s, draft.for_patient()), patient)
        })
    }),
    (Code::DoctorSignatureInvalid, |s| {
        resigned(s, |s, draft| {
            let swapped = by_doctor(s, draft.for_doctor());
            (by_patient(s, draft.for_patient()), swapped)
        })
    }),
    (Code::PatientSignatureMissing, |s| {
        resigned(s, |s, draft| (by_doctor(s, draft.for_doctor()), None))
    }),
    (Code::PatientSignatureInvalid, |s| {
        resigned(s, |s, draft| {
            let doctor = by_doctor(s, draft.for_doctor());
            (doctor, by_patient(s, draft.for_doctor()))
        })
    }),
    (Code::PatientSignatureInvalid, |s| {
        let (by, _) = s.patient(8);
        let thief = s.patient(9).1;
        s.order(&(by, thief), Act::Hide(RecordId(NOBODY)))
    }),
    (Code::SignedDifferentContent, |s| {
        let (one, other) = (s.proposal(0, 8), s.proposal(0, 8));
        let call = Call::Confirm {
            rid: one.content().rid,
            pid: one.content().pid,
            signed: other.for_patient(),
        };
        SignedCall::signed(call, &s.patient(8).1, None)
    }),
    (Code::SelfDealing, |s| s.submission(3, 3, |_| {})),
    (Code::WrongSigner, |s| {
        let by = (s.hospital(0).0, s.hospital(1).1);
        s.order(&by, Act::Revoke(GrantId(NOBODY)))
    }),
    (Code::WrongSigner, |s| {
        let call = enrolment(s, |_| {});
        SignedCall::new(call.call().clone(), call.first().cloned(), None)
    }),
    (Code::WrongSigner, |s| {
        let call = enrolment(s, |_| {});
        let message = call.call().for_subject().unwrap();
        let stranger = Proof::sign(&s.doctor(0).1, message);
        SignedCall::new(call.call().clone(), call.first().cloned(), Some(stranger))
    }),
    (Code::WrongSigner, |s| {
        // A signature that nobody has asked for, and nobody verifies.
        let rid = s.record(0, 8);
        let call = s.by_patient(8, Act::Hide(rid));
        let extra = Proof::sign(&s.doctor(0).1, call.digest());
        let further = vec![(s.doctor(0).0, extra)];
        SignedCall::with_further(call.call().clone(), call.first().cloned(), None, further)
    }),
    (Code::WrongSigner, |s| {
        // Somebody else's search.
        let search = Order::new(everybody(s, 9));
        let handle = [0; 16];
        s.by_patient(8, Act::AskContact { search, handle })
    }),
    (Code::NonceUsed, |s| {
        let first = s.submission(0, 8, |c| c.nonce = 77);
        s.accept(&first);
        s.submission(1, 8, |c| c.nonce = 77)
    }),
    (Code::NonceUsed, |s| {
        let terms = s.care(1, Scope::All);
        let call = s.by_patient(8, Act::Grant(terms));
        s.accept(&call);
        call
    }),
    (Code::NonceOutOfRange, |s| {
        s.submission(0, 8, |c| c.nonce = NONCE_MAX + 1)
    }),
    (Code::NonceOutOfRange, |s| {
        let (by, keys) = s.patient(8);
        let mut terms = s.terms(by, Act::Hide(RecordId(NOBODY)));
        terms.nonce = u64::MAX;
        SignedCall::order(terms, &keys)
    }),
    (Code::DuplicateRid, |s| {
        let rid = s.record(0, 8);
        s.submission(1, 9, |c| c.rid = rid)
    }),
    (Code::DuplicatePayload, |s| {
        let first = s.submission(0, 8, |c| c.payload_hash = Digest([5; 32]));
        s.accept(&first);
        s.submission(0, 8, |c| c.payload_hash = Digest([5; 32]))
    }),
];
