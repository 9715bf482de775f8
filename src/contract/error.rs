//! Refusals: one code per check that can fail, numbered in the order in which the checks run.

use std::fmt;

/// Why the contract refuses a call. The first digit pair is the group of checks: 10 form, 12 time,
/// 13 to 14 identity, 15 signatures, 16 replay, 17 relations between things, 18 to 19 access,
/// 21 search. Of several failing checks the one with the least number answers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u16)]
pub enum Code {
    /// A field that must say something is empty.
    EmptyField = 102,
    /// A field is longer than its bound.
    FieldTooLong = 103,
    /// A medical code does not have the form its classification prescribes.
    BadCode = 105,
    /// A list of medical codes is longer than its bound.
    TooManyCodes = 106,
    /// An age band above the last one.
    BadAgeBand = 107,
    /// A list names the same code twice.
    DuplicateCode = 109,
    /// The record outside the chain is larger than the hospitals agreed to keep.
    BodyTooLarge = 110,
    /// The call was signed for another chain.
    WrongChain = 112,
    /// The signers let the call lapse at an earlier height.
    Expired = 120,
    /// The grant begins at a later height.
    NotYetValid = 121,
    /// The grant would last longer than any grant may.
    GrantTooLong = 122,
    /// An interval ends before it begins.
    BadInterval = 123,
    /// No certification authority has this name.
    UnknownCa = 131,
    /// The certificate was not signed by the authority that it names.
    CertSignatureInvalid = 134,
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
    /// The signature is not that of the party that the call names.
    WrongSigner = 157,
    /// The signer has used this number before.
    NonceUsed = 160,
    /// A record of this name exists.
    DuplicateRid = 162,
    /// The doctor has recorded the same content for the patient before.
    DuplicatePayload = 163,
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
    /// The grant was revoked before.
    NothingToRevoke = 190,
    /// The query has no condition.
    EmptyQuery = 210,
    /// The query matches more records than an answer may be drawn from.
    TooBroad = 212,
    /// The query matches too few patients to answer without pointing at one.
    TooFewResults = 213,
    /// The answer has no such page.
    BadPage = 214,
}

impl Code {
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
