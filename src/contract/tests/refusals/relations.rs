//! How records hang together.

use super::*;

pub const RELATIONS: &[(Code, Story)] = &[
    (Code::DoctorNotOfHospital, |s| {
        let elsewhere = s.people.hospital(1).id;
        s.submission(0, 8, |c| c.hid = elsewhere)
    }),
    (Code::DoctorNotOfHospital, |s| {
        let terms = s.delegable(1, Scope::All);
        let gid = s.granted(8, terms);
        let child = s.care(2, Scope::All);
        s.by_hospital(1, Act::Delegate(gid, child))
    }),
    (Code::DoctorNotOfHospital, |s| {
        let rid = s.record(0, 8);
        s.emergency([0, 5], rid)
    }),
    (Code::RecordNotFound, |s| {
        s.emergency([0, 4], RecordId(NOBODY))
    }),
    (Code::RecordNotFound, |s| {
        // Names of things of one kind mean nothing among those of another.
        let terms = s.care(1, Scope::All);
        let gid = s.granted(8, terms);
        s.by_patient(8, Act::Dispute(RecordId(gid.0)))
    }),
    (Code::RecordNotFound, |s| {
        // A row that the answer does not have.
        for patient in 8..13 {
            s.record(0, patient);
        }
        let search = Order::new(everybody(s, 8));
        let handle = [0; 16];
        s.by_patient(8, Act::AskContact { search, handle })
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
    (Code::RecordNotOfPatient, |s| {
        let rid = s.record(0, 8);
        s.by_patient(9, Act::Dispute(rid))
    }),
    (Code::RecordNotOfDoctor, |s| {
        let rid = s.record(0, 8);
        s.by_doctor(4, Act::Dispute(rid))
    }),
    (Code::RecordNotOfDoctor, |s| {
        let rid = disputed(s);
        s.by_doctor(
            4,
            Act::Resolve {
                rid,
                suspect: false,
            },
        )
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
    (Code::IllegalTransition, |s| {
        let rid = disputed(s);
        s.by_doctor(0, Act::Dispute(rid))
    }),
    (Code::IllegalTransition, |s| {
        let rid = s.record(0, 8);
        s.resolution((0, 8), rid)
    }),
    (Code::IllegalTransition, |s| {
        // The patient alone does not make a dispute disappear.
        let rid = disputed(s);
        s.by_patient(8, Act::Hide(rid))
    }),
    (Code::IllegalTransition, |s| {
        let rid = disputed(s);
        s.by_doctor(1, Act::RequestShare(rid))
    }),
    (Code::IllegalTransition, |s| {
        let draft = s.proposal(0, 8);
        s.emergency([0, 4], draft.content().rid)
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
