//! Grants and searches.

use super::*;

/// A record of patient 8, a changed grant to doctor 1, and the access by doctor 1.
fn accessed(stage: &mut Stage, change: fn(&mut GrantTerms)) -> SignedCall {
    let rid = stage.record(0, 8);
    let mut terms = stage.care(1, Scope::All);
    change(&mut terms);
    let gid = stage.granted(8, terms);
    stage.by_doctor(1, Act::Access(gid, rid, Purpose::Care))
}

pub const ACCESS: &[(Code, Story)] = &[
    (Code::GrantNotFound, |s| {
        s.by_patient(8, Act::Revoke(GrantId(NOBODY)))
    }),
    (Code::GrantNotYours, |s| {
        let terms = s.care(1, Scope::All);
        let gid = s.granted(8, terms);
        s.by_patient(9, Act::Revoke(gid))
    }),
    (Code::GrantNotYours, |s| {
        let (rid, terms) = (s.record(0, 8), s.care(1, Scope::All));
        let gid = s.granted(8, terms);
        s.by_doctor(2, Act::Access(gid, rid, Purpose::Care))
    }),
    (Code::GrantRevoked, |s| {
        let (rid, terms) = (s.record(0, 8), s.care(1, Scope::All));
        let gid = s.granted(8, terms);
        let revoke = s.by_patient(8, Act::Revoke(gid));
        s.accept(&revoke);
        s.by_doctor(1, Act::Access(gid, rid, Purpose::Care))
    }),
    (Code::GrantExpired, |s| {
        let call = accessed(s, |_| {});
        s.height += 101;
        call
    }),
    (Code::GrantExhausted, |s| {
        accessed(s, |terms| terms.max_uses = Some(0))
    }),
    (Code::OutOfScope, |s| {
        accessed(s, |terms| {
            terms.scope = Scope::Kinds(vec![RecordKind::Imaging]);
        })
    }),
    (Code::OutOfScope, |s| {
        // A grant of all records means all records of the one who grants.
        let (rid, terms) = (s.record(0, 9), s.care(1, Scope::All));
        let gid = s.granted(8, terms);
        s.by_doctor(1, Act::Access(gid, rid, Purpose::Care))
    }),
    (Code::WrongPurpose, |s| {
        accessed(s, |terms| terms.purpose = Purpose::Research)
    }),
    (Code::GranteeNotFound, |s| {
        let mut terms = s.care(1, Scope::All);
        terms.grantee = Grantee::Specialty(1, HospitalId(NOBODY));
        s.by_patient(8, Act::Grant(terms))
    }),
    (Code::NothingToRevoke, |s| {
        let terms = s.care(1, Scope::All);
        let gid = s.granted(8, terms);
        let revoke = s.by_doctor(1, Act::Revoke(gid));
        s.accept(&revoke);
        s.by_patient(8, Act::Revoke(gid))
    }),
    (Code::EmptyQuery, |s| search(s, vec![])),
    (Code::TooBroad, |s| {
        for _ in 0..=crate::contract::search::MATCHES_MAX {
            s.record(0, 8);
        }
        search(s, vec![Condition::Ages(0, 18)])
    }),
    (Code::TooFewResults, |s| {
        // Many records, but of four patients only.
        for number in 0..40 {
            s.record(0, 8 + number % 4);
        }
        search(s, vec![Condition::Ages(0, 18)])
    }),
    (Code::TooFewResults, |s| {
        search(s, vec![Condition::Has(Feature::Sex(Sex::Other))])
    }),
    (Code::BadPage, |s| {
        for patient in 8..16 {
            s.record(0, patient);
        }
        let query = Query {
            conditions: vec![Condition::Ages(0, 18)],
            purpose: Purpose::Care,
            page: 1,
        };
        s.by_doctor(0, Act::Search(query))
    }),
];
