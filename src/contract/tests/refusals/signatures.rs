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
