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
    (Code::OutOfScope, |s| {
        // Consent for one of several records does not open all of them.
        let (mine, other) = (s.record(0, 8), s.record(0, 8));
        let terms = s.care(1, Scope::Records(vec![mine]));
        let gid = s.granted(8, terms);
        let read = s.by_doctor(1, Act::Access(gid, mine, Purpose::Care));
        s.accept(&read);
        s.by_doctor(1, Act::Access(gid, other, Purpose::Care))
    }),
    (Code::RecordNotOfPatient, |s| {
        // Nor is a list granted of which one record is another patient's.
        let (mine, other) = (s.record(0, 8), s.record(0, 9));
        let terms = s.care(1, Scope::Records(vec![mine, other]));
        s.by_patient(8, Act::Grant(terms))
    }),
    (Code::EmergencyLimit, |s| {
        let rid = s.record(0, 8);
        for _ in 0..3 {
            let call = s.emergency([0, 4], rid);
            s.accept(&call);
            s.height += 333;
        }
        s.emergency([0, 4], rid)
    }),
    (Code::SecondDoctorSameDept, |s| {
        let rid = s.record(0, 8);
        s.emergency([0, 0], rid)
    }),
    (Code::QueryBudgetExceeded, |s| {
        s.state = State::genesis(
            &s.people,
            Rules {
                query_budget: Some(9),
                ..Rules::default()
            },
        );
        search(s, vec![Condition::Ages(0, 18)])
    }),
    (Code::QueryBudgetExceeded, |s| {
        s.state = State::genesis(
            &s.people,
            Rules {
                difference_guard: true,
                ..Rules::default()
            },
        );
        let search = Order::new(everybody(s, 8));
        let handle = [0; 16];
        s.by_patient(8, Act::AskContact { search, handle })
    }),
    (Code::TooFewResults, |s| {
        // Nobody is asked for contact by an answer that is not given.
        s.record(0, 8);
        let search = Order::new(everybody(s, 8));
        let handle = [0; 16];
        s.by_patient(8, Act::AskContact { search, handle })
    }),
    (Code::EmptyQuery, |s| search(s, vec![])),
    (Code::UnknownFeature, |s| {
        let begins = Condition::Begins(Coding::Diagnosis, Term::new("E1"));
        search(s, vec![begins])
    }),
    (Code::QueryBudgetExceeded, |s| {
        for patient in 8..16 {
            s.record(0, patient);
        }
        s.state.rules.query_budget = Some(0);
        let query = Query {
            conditions: vec![Condition::Ages(0, 18)],
            purpose: Purpose::Care,
            page: 0,
        };
        s.by_doctor(0, Act::AuditedSearch(query))
    }),
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
