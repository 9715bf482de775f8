//! What the acts of orders look like as bytes: the layouts in which they are signed, read back.

use std::sync::Arc;

use super::reader::Reader;
use super::{KINDS, OUTCOMES, SEXES, party, terms};
use crate::contract::access::{GrantId, GrantTerms, Grantee, Purpose, Scope};
use crate::contract::affair::{Affair, Custody, KeyChange};
use crate::contract::call::{Act, Order};
use crate::contract::certificate::Validity;
use crate::contract::error::Code;
use crate::contract::identity::{
    Alias, Authority, AuthorityId, Doctor, DoctorId, Enrolment, Hospital, HospitalId, Identity,
    Patient, PatientId, Standing, Vouches,
};
use crate::contract::message::RecordId;
use crate::contract::search::{Coding, Condition, Feature, Query};
use crate::contract::share::ShareId;

/// Reads what follows the word for an act.
type Read = fn(&mut Reader<'_>) -> Result<Act, Code>;

/// All acts by their words.
pub(super) const ACTS: [(&str, Read); 30] = [
    ("enrol", |r| {
        let (identity, valid) = (identity(r)?, validity(r)?);
        Ok(Act::Enrol(Arc::new(Enrolment { identity, valid })))
    }),
    ("admit-authority", |r| {
        authority(r).map(Affair::Admit).map(Act::Affair)
    }),
    ("expel-authority", |r| {
        let id = AuthorityId(r.digest()?);
        Ok(Act::Affair(Affair::Expel(id)))
    }),
    ("certify", |r| {
        Ok(Act::Affair(Affair::Certify(party(r)?, validity(r)?)))
    }),
    ("rotate-key", |r| {
        key_change(r).map(Affair::Rotate).map(Act::Affair)
    }),
    ("add-custodian", |r| entrust(Custody::Add, r)),
    ("enable-custodian", |r| entrust(Custody::Enable, r)),
    ("disable-custodian", |r| entrust(Custody::Disable, r)),
    ("remove-custodian", |r| entrust(Custody::Remove, r)),
    ("set-standing", |r| {
        Ok(Act::SetStanding(party(r)?, r.choice(&STANDINGS)?))
    }),
    ("reject", |r| rid(r).map(Act::Reject)),
    ("withdraw", |r| rid(r).map(Act::Withdraw)),
    ("hide", |r| rid(r).map(Act::Hide)),
    ("unhide", |r| rid(r).map(Act::Unhide)),
    ("dispute", |r| rid(r).map(Act::Dispute)),
    ("resolve", |r| {
        let (rid, suspect) = (rid(r)?, r.flag()?);
        Ok(Act::Resolve { rid, suspect })
    }),
    ("grant", |r| grant_terms(r).map(Act::Grant)),
    ("delegate", |r| Ok(Act::Delegate(gid(r)?, grant_terms(r)?))),
    ("revoke", |r| gid(r).map(Act::Revoke)),
    ("access", |r| {
        Ok(Act::Access(gid(r)?, rid(r)?, r.choice(&PURPOSES)?))
    }),
    ("emergency", |r| {
        let (rid, second) = (rid(r)?, DoctorId(r.digest()?));
        Ok(Act::Emergency { rid, second })
    }),
    ("request-share", |r| rid(r).map(Act::RequestShare)),
    ("approve-share", |r| sid(r).map(Act::ApproveShare)),
    ("deny-share", |r| sid(r).map(Act::DenyShare)),
    ("deliver-share", |r| {
        Ok(Act::DeliverShare(sid(r)?, r.digest()?))
    }),
    ("confirm-share", |r| {
        Ok(Act::ConfirmShare(sid(r)?, r.digest()?))
    }),
    ("search", |r| query(r).map(Act::Search)),
    ("audited-search", |r| query(r).map(Act::AuditedSearch)),
    ("suggest", |r| query(r).map(Act::Suggest)),
    ("ask-contact", |r| {
        let (search, handle) = (search(r)?, r.bytes()?);
        Ok(Act::AskContact { search, handle })
    }),
];

/// The order of a search, inside another order.
fn search(reader: &mut Reader<'_>) -> Result<Arc<Order>, Code> {
    let kind = reader.text(Code::BadEnum)?;
    if !["search", "audited-search"].contains(&kind) {
        return Err(Code::BadEnum);
    }
    Ok(Order::new(terms(kind, reader)?))
}

fn rid(reader: &mut Reader<'_>) -> Result<RecordId, Code> {
    reader.digest().map(RecordId)
}

fn gid(reader: &mut Reader<'_>) -> Result<GrantId, Code> {
    reader.digest().map(GrantId)
}

fn sid(reader: &mut Reader<'_>) -> Result<ShareId, Code> {
    reader.digest().map(ShareId)
}

fn hid(reader: &mut Reader<'_>) -> Result<HospitalId, Code> {
    reader.digest().map(HospitalId)
}

fn pid(reader: &mut Reader<'_>) -> Result<PatientId, Code> {
    reader.digest().map(PatientId)
}

fn validity(reader: &mut Reader<'_>) -> Result<Validity, Code> {
    let (from, until) = (reader.number()?, reader.number()?);
    Ok(Validity { from, until })
}

fn authority(reader: &mut Reader<'_>) -> Result<Authority, Code> {
    Ok(Authority {
        key: reader.key()?,
        vouches: reader.choice(&VOUCHES)?,
        valid: validity(reader)?,
    })
}

fn key_change(reader: &mut Reader<'_>) -> Result<KeyChange, Code> {
    Ok(KeyChange {
        of: pid(reader)?,
        to: pid(reader)?,
        key: reader.key()?,
        revoke_all: reader.flag()?,
    })
}

fn entrust(custody: fn(PatientId) -> Custody, reader: &mut Reader<'_>) -> Result<Act, Code> {
    let custody = custody(pid(reader)?);
    Ok(Act::Affair(Affair::Entrust(custody)))
}

fn identity(reader: &mut Reader<'_>) -> Result<Identity, Code> {
    let kind = reader.choice(&VOUCHES)?;
    let key = reader.key()?;
    Ok(match kind {
        Vouches::Hospitals => Identity::Hospital(Hospital {
            key,
            name: reader.text(Code::Malformed)?.to_owned(),
            region: reader.narrow()?,
        }),
        Vouches::Doctors => Identity::Doctor(Doctor {
            key,
            real_name: reader.text(Code::Malformed)?.to_owned(),
            licence: reader.text(Code::Malformed)?.to_owned(),
            hid: hid(reader)?,
            specialty: reader.narrow()?,
            own: reader.digest()?,
        }),
        Vouches::Patients => Identity::Patient(pid(reader)?, Patient { key }),
        Vouches::Aliases => Identity::Alias(Alias { key }),
    })
}

fn grant_terms(reader: &mut Reader<'_>) -> Result<GrantTerms, Code> {
    let grantee = match reader.choice(&[0, 1, 2, 3])? {
        0 => Grantee::Doctor(DoctorId(reader.digest()?)),
        1 => Grantee::Hospital(hid(reader)?),
        2 => Grantee::Specialty(reader.narrow()?, hid(reader)?),
        _ => Grantee::Patient(PatientId(reader.digest()?)),
    };
    Ok(GrantTerms {
        grantee,
        scope: scope(reader)?,
        purpose: reader.choice(&PURPOSES)?,
        from: reader.number()?,
        until: reader.number()?,
        max_uses: match reader.number()? {
            u64::MAX => None,
            uses => Some(u32::try_from(uses).map_err(|_| Code::Malformed)?),
        },
        delegable: reader.flag()?,
    })
}

fn scope(reader: &mut Reader<'_>) -> Result<Scope, Code> {
    Ok(match reader.choice(&[0, 1, 2])? {
        0 => {
            let mut rids = Vec::new();
            for _ in 0..reader.number()? {
                rids.push(rid(reader)?);
            }
            Scope::Records(rids)
        }
        1 => {
            let mut kinds = Vec::new();
            for _ in 0..reader.number()? {
                kinds.push(reader.choice(&KINDS)?);
            }
            Scope::Kinds(kinds)
        }
        _ => Scope::All,
    })
}

fn query(reader: &mut Reader<'_>) -> Result<Query, Code> {
    let purpose = reader.choice(&PURPOSES)?;
    let page = reader.narrow()?;
    let mut conditions = Vec::new();
    for _ in 0..reader.number()? {
        conditions.push(condition(reader)?);
    }
    Ok(Query {
        conditions,
        purpose,
        page,
    })
}

fn condition(reader: &mut Reader<'_>) -> Result<Condition, Code> {
    let has = |feature| Ok(Condition::Has(feature));
    match reader.number()? {
        0 => has(Feature::Diagnosis(reader.term()?)),
        1 => Ok(Condition::Begins(Coding::Diagnosis, reader.term()?)),
        2 => has(Feature::Procedure(reader.term()?)),
        3 => has(Feature::Drug(reader.term()?)),
        4 => {
            let [sex] = reader.bytes()?;
            has(Feature::Sex(
                *SEXES.get(usize::from(sex)).ok_or(Code::BadEnum)?,
            ))
        }
        5 => {
            let [band] = reader.bytes()?;
            has(Feature::Age(band))
        }
        6 => has(Feature::Quarter(u16::from_be_bytes(reader.bytes()?))),
        7 => {
            let [outcome] = reader.bytes()?;
            has(Feature::Outcome(
                *OUTCOMES.get(usize::from(outcome)).ok_or(Code::BadEnum)?,
            ))
        }
        8 => {
            let [department] = reader.bytes()?;
            has(Feature::Department(department))
        }
        9 => {
            let [from, to] = reader.bytes()?;
            Ok(Condition::Ages(from, to))
        }
        10 => {
            let from = u16::from_be_bytes(reader.bytes()?);
            let to = u16::from_be_bytes(reader.bytes()?);
            Ok(Condition::Quarters(from, to))
        }
        11 => Ok(Condition::Begins(Coding::Procedure, reader.term()?)),
        12 => Ok(Condition::Begins(Coding::Drug, reader.term()?)),
        _ => Err(Code::BadEnum),
    }
}

/// The purposes by number.
const PURPOSES: [Purpose; 4] = [
    Purpose::Care,
    Purpose::Research,
    Purpose::SecondOpinion,
    Purpose::Emergency,
];

/// The standings by number.
const STANDINGS: [Standing; 3] = [Standing::Active, Standing::Suspended, Standing::Ended];

/// Whom authorities vouch for, by number.
const VOUCHES: [Vouches; 4] = [
    Vouches::Hospitals,
    Vouches::Doctors,
    Vouches::Patients,
    Vouches::Aliases,
];
