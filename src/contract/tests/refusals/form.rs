//! Form and time.

use super::*;

fn summarised(stage: &mut Stage, change: fn(&mut Summary)) -> SignedCall {
    stage.submission(0, 8, |content| {
        let mut summary = Summary::clone(&content.summary);
        change(&mut summary);
        content.summary = Arc::new(summary);
    })
}

pub const FORM: &[(Code, Story)] = &[
    (Code::Malformed, |s| {
        // A search is asked for that is none.
        let hide = s.terms(s.patient(8).0, Act::Hide(RecordId(NOBODY)));
        let act = Act::AskContact {
            search: Order::new(hide),
            handle: [0; 16],
        };
        s.by_patient(8, act)
    }),
    (Code::EmptyField, |s| {
        s.submission(0, 8, |c| c.rid = RecordId(NOBODY))
    }),
    (Code::EmptyField, |s| summarised(s, |x| x.diagnoses.clear())),
    (Code::EmptyField, |s| {
        let terms = s.care(0, Scope::Records(vec![]));
        s.by_patient(8, Act::Grant(terms))
    }),
    (Code::EmptyField, |s| {
        enrolment(s, |doctor| doctor.real_name.clear())
    }),
    (Code::FieldTooLong, |s| {
        enrolment(s, |doctor| doctor.licence = "L".repeat(129))
    }),
    (Code::FieldTooLong, |s| {
        let terms = s.care(0, Scope::Records(vec![RecordId(Digest::ZERO); 65]));
        s.by_patient(8, Act::Grant(terms))
    }),
    (Code::BadCode, |s| {
        summarised(s, |x| x.diagnoses[0] = Term::new("flu"))
    }),
    (Code::BadCode, |s| {
        let term = Term::new("E1-");
        search(s, vec![Condition::Begins(Coding::Diagnosis, term)])
    }),
    (Code::TooManyCodes, |s| {
        summarised(s, |x| x.drugs = vec![Term::new("A10BA02"); 17])
    }),
    (Code::BadAgeBand, |s| summarised(s, |x| x.age_band = 19)),
    (Code::DuplicateCode, |s| {
        summarised(s, |x| x.diagnoses = vec![Term::new("I10"); 2])
    }),
    (Code::BodyTooLarge, |s| {
        s.submission(0, 8, |c| c.payload_bytes = PAYLOAD_MAX + 1)
    }),
    (Code::WrongChain, |s| {
        s.submission(0, 8, |c| c.chain = CHAIN + 1)
    }),
    (Code::WrongChain, |s| {
        let (by, keys) = s.patient(8);
        let mut terms = s.terms(by, Act::Hide(RecordId(Digest::ZERO)));
        terms.chain = CHAIN + 1;
        SignedCall::order(terms, &keys)
    }),
    (Code::Expired, |s| s.submission(0, 8, |c| c.valid_until = 9)),
    (Code::Expired, |s| {
        let (by, keys) = s.patient(8);
        let mut terms = s.terms(by, Act::Hide(RecordId(Digest::ZERO)));
        terms.valid_until = 9;
        SignedCall::order(terms, &keys)
    }),
    (Code::NotYetValid, |s| {
        let mut terms = s.care(1, Scope::All);
        terms.from += 5;
        let (rid, gid) = (s.record(0, 8), s.granted(8, terms));
        s.by_doctor(1, Act::Access(gid, rid, Purpose::Care))
    }),
    (Code::NotYetValid, |s| {
        // The handles of an answer live for the last thousand blocks of its order.
        let mut search = everybody(s, 8);
        search.valid_until = s.height + 1001;
        let search = Order::new(search);
        let handle = [0; 16];
        s.by_patient(8, Act::AskContact { search, handle })
    }),
    (Code::Expired, |s| {
        let mut search = everybody(s, 8);
        search.valid_until = s.height - 1;
        let search = Order::new(search);
        let handle = [0; 16];
        s.by_patient(8, Act::AskContact { search, handle })
    }),
    (Code::GrantTooLong, |s| {
        let mut terms = s.care(1, Scope::All);
        terms.until = s.height + 100_001;
        s.by_patient(8, Act::Grant(terms))
    }),
    (Code::BadInterval, |s| {
        let mut terms = s.care(1, Scope::All);
        terms.until = terms.from;
        s.by_patient(8, Act::Grant(terms))
    }),
    (Code::BadInterval, |s| {
        search(s, vec![Condition::Ages(5, 4)])
    }),
];
