//! Who takes part, and who may not act.

use super::*;

pub const IDENTITY: &[(Code, Story)] = &[
    (Code::UnknownSigner, |s| {
        let rid = s.record(0, 8);
        let nobody = Party::Doctor(DoctorId(NOBODY));
        let keys = s.doctor(0).1;
        s.emergency([0, 4], rid).witnessed(nobody, &keys)
    }),
    (Code::UnknownCa, |s| {
        let by = (Party::Authority(AuthorityId(NOBODY)), s.authority(0).1);
        let whom = s.doctor(0).0;
        s.order(&by, Act::SetStanding(whom, Standing::Ended))
    }),
    (Code::CertSignatureInvalid, |s| {
        let call = enrolment(s, |_| {});
        let forged = Proof::sign(&s.doctor(0).1, call.call().for_subject().unwrap());
        SignedCall::new(call.call().clone(), Some(forged), call.second().cloned())
    }),
    (Code::UnknownDoctor, |s| {
        s.submission(0, 8, |c| c.did = DoctorId(NOBODY))
    }),
    (Code::DoctorSuspended, |s| {
        let whom = s.doctor(0).0;
        after_standing(s, 1, whom, Standing::Suspended)
    }),
    (Code::UnknownDoctor, |s| {
        let rid = s.record(0, 8);
        let second = DoctorId(NOBODY);
        s.by_doctor(0, Act::Emergency { rid, second })
    }),
    (Code::DoctorSuspended, |s| {
        // Nor does a suspended doctor support an emergency.
        let (rid, whom) = (s.record(0, 8), s.doctor(4).0);
        let suspend = standing(s, 1, whom, Standing::Suspended);
        s.accept(&suspend);
        s.emergency([0, 4], rid)
    }),
    (Code::DoctorRevoked, |s| {
        let whom = s.doctor(0).0;
        after_standing(s, 1, whom, Standing::Ended)
    }),
    (Code::UnknownPatient, |s| {
        s.submission(0, 8, |c| c.pid = PatientId(NOBODY))
    }),
    (Code::PatientFrozen, |s| {
        let whom = s.patient(8).0;
        let freeze = s.by_patient(8, Act::SetStanding(whom, Standing::Suspended));
        s.accept(&freeze);
        s.submission(0, 8, |_| {})
    }),
    (Code::PatientFrozen, |s| {
        let (rid, terms) = (s.record(0, 8), s.care(1, Scope::All));
        let (gid, whom) = (s.granted(8, terms), s.patient(8).0);
        let freeze = s.by_patient(8, Act::SetStanding(whom, Standing::Suspended));
        s.accept(&freeze);
        s.by_doctor(1, Act::Access(gid, rid, Purpose::Care))
    }),
    (Code::PatientFrozen, |s| {
        // A hospital cannot pass on what is paused.
        let terms = s.delegable(1, Scope::All);
        let (gid, whom) = (s.granted(8, terms), s.patient(8).0);
        let freeze = s.by_patient(8, Act::SetStanding(whom, Standing::Suspended));
        s.accept(&freeze);
        let child = s.care(1, Scope::All);
        s.by_hospital(1, Act::Delegate(gid, child))
    }),
    (Code::PatientFrozen, |s| {
        let (_, sid) = s.shared();
        let whom = s.patient(8).0;
        let freeze = s.by_patient(8, Act::SetStanding(whom, Standing::Suspended));
        s.accept(&freeze);
        s.by_hospital(0, Act::DeliverShare(sid, NOBODY))
    }),
    (Code::PatientClosed, |s| {
        let whom = s.patient(8).0;
        after_standing(s, 2, whom, Standing::Ended)
    }),
    (Code::UnknownHospital, |s| {
        s.submission(0, 8, |c| c.hid = HospitalId(NOBODY))
    }),
    (Code::UnknownHospital, |s| {
        enrolment(s, |doctor| doctor.hid = HospitalId(NOBODY))
    }),
    (Code::HospitalSuspended, |s| {
        let whom = s.hospital(0).0;
        after_standing(s, 0, whom, Standing::Suspended)
    }),
    (Code::HospitalSuspended, |s| {
        let (rid, whom) = (s.record(0, 8), s.hospital(1).0);
        let suspend = standing(s, 0, whom, Standing::Suspended);
        s.accept(&suspend);
        s.by_doctor(1, Act::RequestShare(rid))
    }),
    (Code::HospitalClosed, |s| {
        let whom = s.hospital(0).0;
        after_standing(s, 0, whom, Standing::Ended)
    }),
    (Code::WrongRole, |s| {
        s.by_doctor(0, Act::Hide(RecordId(NOBODY)))
    }),
    (Code::WrongRole, |s| {
        let whom = s.patient(8).0;
        s.by_patient(9, Act::SetStanding(whom, Standing::Ended))
    }),
    (Code::WrongRole, |s| {
        let whom = s.doctor(0).0;
        standing(s, 2, whom, Standing::Ended)
    }),
    (Code::WrongRole, |s| {
        let (by, whom) = (s.hospital(1), s.doctor(0).0);
        s.order(&by, Act::SetStanding(whom, Standing::Ended))
    }),
    (Code::WrongRole, |s| {
        // Nobody gives oneself access: a grant is an order of a patient.
        let terms = s.care(0, Scope::All);
        s.by_doctor(0, Act::Grant(terms))
    }),
    (Code::WrongRole, |s| {
        let terms = s.delegable(1, Scope::All);
        let gid = s.granted(8, terms);
        let child = s.care(1, Scope::All);
        s.by_doctor(1, Act::Delegate(gid, child))
    }),
    (Code::WrongRole, |s| {
        let rid = s.record(0, 8);
        s.by_hospital(1, Act::RequestShare(rid))
    }),
    (Code::WrongRole, |s| {
        let (_, sid) = s.requested();
        s.by_doctor(0, Act::ApproveShare(sid))
    }),
    (Code::PidKeyMismatch, |s| {
        enrolled_patient(s, |pid| PatientId(pid.own_commitment()))
    }),
    (Code::LicenceTaken, |s| {
        enrolment(s, |doctor| doctor.licence = "L-000003".into())
    }),
    (Code::IdTaken, |s| {
        let call = enrolled_patient(s, |pid| pid);
        s.accept(&call);
        enrolled_patient(s, |pid| pid)
    }),
];
