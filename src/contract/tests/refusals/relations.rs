//! How records hang together.

use super::*;

pub const RELATIONS: &[(Code, Story)] = &[
    (Code::DoctorNotOfHospital, |s| {
        let elsewhere = s.people.hospital(1).id;
        s.submission(0, 8, |c| c.hid = elsewhere)
    }),
    (Code::RecordNotFound, |s| {
        s.by_patient(8, Act::Hide(RecordId(NOBODY)))
    }),
    (Code::RecordNotOfPatient, |s| {
        let rid = s.record(0, 8);
        s.by_patient(9, Act::Hide(rid))
    }),
    (Code::RecordNotOfPatient, |s| {
        let rid = s.record(0, 8);
        let terms = s.care(1, Scope::Records(vec![rid]));
        s.by_patient(9, Act::Grant(terms))
    }),
    (Code::RecordNotOfPatient, |s| {
        let draft = s.proposal(0, 8);
        let call = Call::Confirm {
            rid: draft.content().rid,
            pid: s.people.patient(9).id,
            signed: draft.for_patient(),
        };
        SignedCall::signed(call, &s.patient(9).1, None)
    }),
    (Code::RecordNotOfDoctor, |s| {
        let draft = s.proposal(0, 8);
        s.by_doctor(1, Act::Withdraw(draft.content().rid))
    }),
    (Code::ProposalNotFound, |s| {
        let draft = Draft::new(s.content(0, 8));
        s.confirmation(&draft, 8)
    }),
    (Code::ProposalExpired, |s| {
        let draft = s.proposal(0, 8);
        s.height += PROPOSAL_BLOCKS + 1;
        s.confirmation(&draft, 8)
    }),
    (Code::IllegalTransition, |s| {
        let rid = s.record(0, 8);
        s.by_patient(8, Act::Unhide(rid))
    }),
    (Code::IllegalTransition, |s| {
        let draft = s.proposal(0, 8);
        let reject = s.by_patient(8, Act::Reject(draft.content().rid));
        s.accept(&reject);
        s.confirmation(&draft, 8)
    }),
    (Code::IllegalTransition, |s| {
        // What only one party signed cannot be granted.
        let scope = Scope::Records(vec![s.proposal(0, 8).content().rid]);
        let terms = s.care(1, scope);
        s.by_patient(8, Act::Grant(terms))
    }),
    (Code::IllegalTransition, |s| {
        let whom = s.doctor(0).0;
        standing(s, 1, whom, Standing::Active)
    }),
    (Code::SupersedesNotFound, |s| {
        s.submission(0, 8, |c| c.supersedes = Some(RecordId(Digest([3; 32]))))
    }),
    (Code::SupersedesOtherPatient, |s| {
        let rid = s.record(0, 9);
        s.submission(0, 8, |c| c.supersedes = Some(rid))
    }),
    (Code::AlreadyAmended, |s| {
        let rid = s.record(0, 8);
        let amended = s.submission(0, 8, |c| c.supersedes = Some(rid));
        s.accept(&amended);
        s.submission(0, 8, |c| c.supersedes = Some(rid))
    }),
];
