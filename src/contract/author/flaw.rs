//! Calls that the contract has to refuse, each for another reason.

use std::sync::Arc;

use super::Author;
use crate::base::random::Random;
use crate::contract::SignedCall;
use crate::contract::access::{Grantee, Purpose};
use crate::contract::identity::DoctorId;
use crate::contract::summary::{Summary, Term};

/// What is wrong with a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flaw {
    /// Another patient signed.
    WrongPatient,
    /// The doctor is the patient.
    SelfDealing,
    /// The signatures have lapsed.
    Expired,
    /// A code that no classification has.
    BadCode,
    /// The doctor works elsewhere.
    OtherHospital,
    /// The patient used the number before.
    NonceReused,
    /// The record exists.
    DuplicateRecord,
    /// A grant for nobody.
    UnknownGrantee,
    /// A grant that was revoked.
    RevokedGrant,
}

const FLAWS: [Flaw; 9] = [
    Flaw::WrongPatient,
    Flaw::SelfDealing,
    Flaw::Expired,
    Flaw::BadCode,
    Flaw::OtherHospital,
    Flaw::NonceReused,
    Flaw::DuplicateRecord,
    Flaw::UnknownGrantee,
    Flaw::RevokedGrant,
];

impl Author {
    /// A call with some flaw; with a wrong signature if there is nothing yet to err about.
    pub(super) fn flawed(&mut self, random: &mut Random, height: u64) -> SignedCall {
        let flaw = FLAWS[random.below(FLAWS.len() as u64) as usize];
        let flawed = match flaw {
            Flaw::WrongPatient => None,
            Flaw::SelfDealing => self.self_dealing(random, height),
            Flaw::Expired | Flaw::BadCode | Flaw::OtherHospital => {
                self.ill_formed(random, height, flaw)
            }
            Flaw::NonceReused | Flaw::DuplicateRecord => self.repeated(random, height, flaw),
            Flaw::UnknownGrantee => self.granted_to_nobody(random, height),
            Flaw::RevokedGrant => {
                let grant = self.revoked.pick(random).copied();
                grant.map(|grant| self.access_by(&grant, height))
            }
        };
        flawed.unwrap_or_else(|| {
            let (content, doctor, patient) = self.content(random, height);
            let other = (patient + 1) % self.population.patients();
            self.population.submission(content, doctor, other)
        })
    }

    fn self_dealing(&self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let doctor = random.below(u64::from(self.population.doctors())) as u32;
        let patient = self.population.own(doctor)?;
        let content = self.content_of(random, height, doctor, patient);
        Some(self.population.submission(content, doctor, patient))
    }

    /// A submission that is wrong in itself.
    fn ill_formed(&self, random: &mut Random, height: u64, flaw: Flaw) -> Option<SignedCall> {
        let (mut content, doctor, patient) = self.content(random, height);
        match flaw {
            Flaw::Expired => content.valid_until = height.saturating_sub(1),
            Flaw::BadCode => {
                content.summary = Arc::new(Summary {
                    diagnoses: vec![Term::new("FLU")],
                    ..Summary::clone(&content.summary)
                });
            }
            Flaw::OtherHospital => {
                let elsewhere = self.population.employer(doctor) + 1;
                if elsewhere == 1 && self.population.hospitals() == 1 {
                    return None;
                }
                let elsewhere = elsewhere % self.population.hospitals();
                content.hid = self.population.hospital(elsewhere).id;
            }
            Flaw::WrongPatient
            | Flaw::SelfDealing
            | Flaw::NonceReused
            | Flaw::DuplicateRecord
            | Flaw::UnknownGrantee
            | Flaw::RevokedGrant => return None,
        }
        Some(self.population.submission(content, doctor, patient))
    }

    /// A submission that repeats something of an earlier one.
    fn repeated(&self, random: &mut Random, height: u64, flaw: Flaw) -> Option<SignedCall> {
        let earlier = *self.records.pick(random)?;
        let (doctor, patient) = (earlier.doctor, earlier.patient);
        let mut content = self.content_of(random, height, doctor, patient);
        if flaw == Flaw::NonceReused {
            content.nonce = earlier.nonce;
        } else {
            content.rid = earlier.rid;
        }
        Some(self.population.submission(content, doctor, patient))
    }

    fn granted_to_nobody(&self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let record = *self.records.pick(random)?;
        let nobody = DoctorId(self.fresh("nobody"));
        Some(self.grant_to(Grantee::Doctor(nobody), Purpose::Care, &record, height))
    }
}
