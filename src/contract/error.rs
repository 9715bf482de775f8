//! Refusals: one code per check that can fail, numbered in the order in which the checks run.

use std::fmt;

/// Why the contract refuses a call. The first digit pair is the group of checks: 10 and 11 form,
/// 12 time, 13 and 14 identity, 15 signatures, 16 replay, 17 relations between things, 18 and 19
/// access, 20 sharing, 21 search, 22 ordering. Of several failing checks the one with the least
/// number answers.
///
/// The codes that speak of the bytes of a call come from decoding it, because a decoded call
/// cannot have such a flaw. Those of the group 22, and that a transaction comes again, are set by
/// the ledger, which alone knows the place of a transaction.
///
/// The specification also has 224, for a call that belongs on another ledger. Here there is one
/// ledger and every node executes all of it, so no call can belong elsewhere; what was signed for
/// another chain is [`Code::WrongChain`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u16)]
pub enum Code {
    /// The bytes of a call begin with an action that the contract does not have.
    UnknownTx = 100,
    /// The bytes of a call end too early, or where they cannot be read.
    Malformed = 101,
    /// A field that must say something is empty.
    EmptyField = 102,
    /// A field is longer than its bound.
    FieldTooLong = 103,
    /// The bytes of a call have a digest, key or signature of the wrong length.
    BadHashLength = 104,
    /// A medical code does not have the form its classification prescribes.
    BadCode = 105,
    /// A list of medical codes is longer than its bound.
    TooManyCodes = 106,
    /// An age band above the last one.
    BadAgeBand = 107,
    /// The bytes of a call name a choice that there is not.
    BadEnum = 108,
    /// A list names the same code twice.
    DuplicateCode = 109,
    /// The record outside the chain is larger than the hospitals agreed to keep.
    BodyTooLarge = 110,
    /// The bytes of a call go on after its end.
    TrailingBytes = 111,
    /// The call was signed for another chain.
    WrongChain = 112,
    /// The signers let the call lapse at an earlier height.
    Expired = 120,
    /// What the call relies on begins at a later height.
    NotYetValid = 121,
    /// The grant would last longer than any grant may.
    GrantTooLong = 122,
    /// An interval ends before it begins.
    BadInterval = 123,
    /// Somebody signed in the name of a party that is not registered, or speaks of an alias that
    /// nobody has certified.
    UnknownSigner = 130,
    /// No certification authority has this name.
    UnknownCa = 131,
    /// The certification authority was revoked.
    CaRevoked = 132,
    /// The certification authority's own time has run out.
    CaExpired = 133,
    /// The certificate was not signed by the authority that it names.
    CertSignatureInvalid = 134,
    /// The certificate has run out, or the authority has ended the alias that it is for.
    CertExpired = 135,
    /// No doctor has this name.
    UnknownDoctor = 136,
    /// The doctor is suspended.
    DoctorSuspended = 137,
    /// The doctor's certificate was revoked for good.
    DoctorRevoked = 138,
    /// No patient has this pseudonym.
    UnknownPatient = 139,
    /// The patient has frozen the own account.
    PatientFrozen = 140,
    /// The patient's account is closed for good.
    PatientClosed = 141,
    /// No hospital has this name.
    UnknownHospital = 142,
    /// The hospital is suspended.
    HospitalSuspended = 143,
    /// The hospital has left the consortium.
    HospitalClosed = 144,
    /// A call that parties of the caller's kind may not make.
    WrongRole = 145,
    /// A pseudonym is not the digest of the public key it comes with.
    PidKeyMismatch = 146,
    /// Another doctor practises with this licence.
    LicenceTaken = 147,
    /// An identity of this name is registered already.
    IdTaken = 148,
    /// Somebody acts for a patient who is no enabled custodian of that patient.
    CustodianNotEnabled = 149,
    /// The doctor did not sign.
    DoctorSignatureMissing = 150,
    /// The doctor's signature does not verify.
    DoctorSignatureInvalid = 151,
    /// The patient did not sign.
    PatientSignatureMissing = 152,
    /// The patient's signature does not verify.
    PatientSignatureInvalid = 153,
    /// Doctor and patient both signed, but not the same bytes.
    SignedDifferentContent = 154,
    /// Doctor and patient are the same person.
    SelfDealing = 155,
    /// Fewer parties signed than have to.
    QuorumNotReached = 156,
    /// The signature is not that of the party that the call names.
    WrongSigner = 157,
    /// The signer has used this number before.
    NonceUsed = 160,
    /// The number is not one that a signer may use.
    NonceOutOfRange = 161,
    /// A record of this name exists.
    DuplicateRid = 162,
    /// The doctor has recorded the same content for the patient before.
    DuplicatePayload = 163,
    /// The transaction was executed in an earlier place. The ledger says so, by the name that a
    /// client gives a transaction and keeps when it asks again; the contract, which does not know
    /// that name, calls a call that comes again under another one [`Code::NonceUsed`].
    DuplicateTx = 164,
    /// The doctor works at another hospital.
    DoctorNotOfHospital = 170,
    /// No record has this name.
    RecordNotFound = 171,
    /// The record is another patient's.
    RecordNotOfPatient = 172,
    /// The record is another doctor's.
    RecordNotOfDoctor = 173,
    /// No proposal has this name.
    ProposalNotFound = 174,
    /// The proposal waited too long.
    ProposalExpired = 175,
    /// What is asked for cannot follow from the present status.
    IllegalTransition = 176,
    /// The record to be replaced does not exist.
    SupersedesNotFound = 177,
    /// The record to be replaced is of another patient or hospital.
    SupersedesOtherPatient = 178,
    /// The record to be replaced was replaced before.
    AlreadyAmended = 179,
    /// No grant has this name.
    GrantNotFound = 180,
    /// The grant was neither given by nor given to the caller.
    GrantNotYours = 181,
    /// The grant was revoked.
    GrantRevoked = 182,
    /// The grant has ended.
    GrantExpired = 183,
    /// The grant was used as often as it may be.
    GrantExhausted = 184,
    /// The grant does not cover the record.
    OutOfScope = 185,
    /// The grant was given for another purpose.
    WrongPurpose = 186,
    /// The grant is for somebody who is not registered.
    GranteeNotFound = 187,
    /// The grant may not be passed on, or not to such a grantee.
    DelegationNotAllowed = 188,
    /// What is passed on reaches further than the grant it comes from.
    ChildExceedsParent = 189,
    /// The grant was revoked before.
    NothingToRevoke = 190,
    /// Without this custodian nobody could act for the patient.
    NoCustodianLeft = 191,
    /// The doctor has claimed emergencies as often as the rules allow for now.
    EmergencyLimit = 192,
    /// The two doctors of an emergency are of one department.
    SecondDoctorSameDept = 193,
    /// No sharing has this name.
    ShareNotFound = 200,
    /// The sharing is at its end, or this step of it is done.
    ShareFinal = 201,
    /// The caller is neither the patient nor the hospital that holds the record.
    NotHolder = 202,
    /// The caller is not the hospital or the alias that is to receive the record.
    NotRequester = 203,
    /// The hospital that asks for the record holds it.
    SameHospital = 204,
    /// What was delivered is not what the record commits to.
    HashMismatch = 205,
    /// The sharing waited too long.
    ShareExpired = 206,
    /// Patient and holder have not both approved.
    ApprovalMissing = 207,
    /// The query has no condition.
    EmptyQuery = 210,
    /// The query asks for a feature that no case can have.
    UnknownFeature = 211,
    /// The query matches more records than an answer may be drawn from.
    TooBroad = 212,
    /// The query matches too few patients to answer without pointing at one.
    TooFewResults = 213,
    /// The answer has no such page.
    BadPage = 214,
    /// The caller has searched as often as the rules allow for now.
    QueryBudgetExceeded = 215,
    /// Something that was read when the call was endorsed has changed since.
    MvccConflict = 220,
    /// A search made when the call was endorsed would match something else by now.
    PhantomConflict = 221,
    /// Too few endorsements, or not of those whom the policy names.
    EndorsementMissing = 222,
    /// Those who endorsed the call did not come to the same result.
    EndorsementMismatch = 223,
}

impl Code {
    /// Every code, by its number.
    pub const ALL: &[Self] = &[
        Self::UnknownTx,
        Self::Malformed,
        Self::EmptyField,
        Self::FieldTooLong,
        Self::BadHashLength,
        Self::BadCode,
        Self::TooManyCodes,
        Self::BadAgeBand,
        Self::BadEnum,
        Self::DuplicateCode,
        Self::BodyTooLarge,
        Self::TrailingBytes,
        Self::WrongChain,
        Self::Expired,
        Self::NotYetValid,
        Self::GrantTooLong,
        Self::BadInterval,
        Self::UnknownSigner,
        Self::UnknownCa,
        Self::CaRevoked,
        Self::CaExpired,
        Self::CertSignatureInvalid,
        Self::CertExpired,
        Self::UnknownDoctor,
        Self::DoctorSuspended,
        Self::DoctorRevoked,
        Self::UnknownPatient,
        Self::PatientFrozen,
        Self::PatientClosed,
        Self::UnknownHospital,
        Self::HospitalSuspended,
        Self::HospitalClosed,
        Self::WrongRole,
        Self::PidKeyMismatch,
        Self::LicenceTaken,
        Self::IdTaken,
        Self::CustodianNotEnabled,
        Self::DoctorSignatureMissing,
        Self::DoctorSignatureInvalid,
        Self::PatientSignatureMissing,
        Self::PatientSignatureInvalid,
        Self::SignedDifferentContent,
        Self::SelfDealing,
        Self::QuorumNotReached,
        Self::WrongSigner,
        Self::NonceUsed,
        Self::NonceOutOfRange,
        Self::DuplicateRid,
        Self::DuplicatePayload,
        Self::DuplicateTx,
        Self::DoctorNotOfHospital,
        Self::RecordNotFound,
        Self::RecordNotOfPatient,
        Self::RecordNotOfDoctor,
        Self::ProposalNotFound,
        Self::ProposalExpired,
        Self::IllegalTransition,
        Self::SupersedesNotFound,
        Self::SupersedesOtherPatient,
        Self::AlreadyAmended,
        Self::GrantNotFound,
        Self::GrantNotYours,
        Self::GrantRevoked,
        Self::GrantExpired,
        Self::GrantExhausted,
        Self::OutOfScope,
        Self::WrongPurpose,
        Self::GranteeNotFound,
        Self::DelegationNotAllowed,
        Self::ChildExceedsParent,
        Self::NothingToRevoke,
        Self::NoCustodianLeft,
        Self::EmergencyLimit,
        Self::SecondDoctorSameDept,
        Self::ShareNotFound,
        Self::ShareFinal,
        Self::NotHolder,
        Self::NotRequester,
        Self::SameHospital,
        Self::HashMismatch,
        Self::ShareExpired,
        Self::ApprovalMissing,
        Self::EmptyQuery,
        Self::UnknownFeature,
        Self::TooBroad,
        Self::TooFewResults,
        Self::BadPage,
        Self::QueryBudgetExceeded,
        Self::MvccConflict,
        Self::PhantomConflict,
        Self::EndorsementMissing,
        Self::EndorsementMismatch,
    ];

    /// The number by which the specification of the contract knows the check.
    pub const fn number(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E{} {self:?}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_listed_once_each_in_the_order_of_the_checks() {
        assert!(Code::ALL.is_sorted_by(|one, next| one < next));
        let variants = include_str!("error.rs").lines().filter(|line| {
            let number = line
                .strip_suffix(',')
                .and_then(|line| line.split_once(" = "));
            number.is_some_and(|(_, number)| number.parse::<u16>().is_ok())
        });
        assert_eq!(variants.count(), Code::ALL.len());
    }
}
