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
        let term = Term::new("E119");
        search(s, vec![Condition::Has(Feature::DiagnosisGroup(term))])
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
