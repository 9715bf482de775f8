//! Calls that the contract has to refuse, each for another reason.

use std::sync::Arc;

use super::aliases::ALIAS_FLAWS;
use super::consent::terms;
use super::memory::{Owner, Receiver};
use super::{Author, Wish};
use crate::base::random::Random;
use crate::contract::SignedCall;
use crate::contract::access::{Grantee, Purpose, Scope};
use crate::contract::call::Act;
use crate::contract::identity::{DoctorId, Party};
use crate::contract::message::{Content, RecordId};
use crate::contract::rules::Authentication;
use crate::contract::share::ShareId;
use crate::contract::summary::{Summary, Term};

/// What is wrong with a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flaw {
    /// Another patient signed.
    WrongPatient,
    /// Another doctor signed.
    WrongDoctor,
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
    /// What it replaces was replaced before.
    AmendedBefore,
    /// A patient hides a record of another one.
    OthersRecord,
    /// A patient rejects what nobody proposed.
    NoProposal,
    /// Both let a record stand that nobody disputes.
    NotDisputed,
    /// A search without conditions.
    EmptyQuery,
    /// Somebody asks for contact by what another one found.
    OthersSearch,
    /// A grant for nobody.
    UnknownGrantee,
    /// A grant that was revoked.
    RevokedGrant,
    /// A record is read for what it was not granted for.
    WrongPurpose,
    /// A doctor passes a grant on.
    PassedOnByDoctor,
    /// Two doctors of one department claim an emergency.
    SameDepartment,
    /// Somebody agrees to a sharing that nobody asked for.
    NoShare,
    /// A sharing that is over goes on.
    ShareOver,
    /// A hospital asks for what it has.
    OwnRecord,
}

const FLAWS: [Flaw; 22] = [
    Flaw::WrongPatient,
    Flaw::WrongDoctor,
    Flaw::SelfDealing,
    Flaw::Expired,
    Flaw::BadCode,
    Flaw::OtherHospital,
    Flaw::NonceReused,
    Flaw::DuplicateRecord,
    Flaw::AmendedBefore,
    Flaw::OthersRecord,
    Flaw::NoProposal,
    Flaw::NotDisputed,
    Flaw::EmptyQuery,
    Flaw::OthersSearch,
    Flaw::UnknownGrantee,
    Flaw::RevokedGrant,
    Flaw::WrongPurpose,
    Flaw::PassedOnByDoctor,
    Flaw::SameDepartment,
    Flaw::NoShare,
    Flaw::ShareOver,
    Flaw::OwnRecord,
];

impl Author {
    /// A call with some flaw; with a wrong signature if there is nothing yet to err about.
    pub(super) fn flawed(&mut self, random: &mut Random, height: u64) -> SignedCall {
        let aliased = self.settings.mix.weight(Wish::AnonymousShare) > 0;
        let more = if aliased { ALIAS_FLAWS.len() } else { 0 };
        let which = random.below((FLAWS.len() + more) as u64) as usize;
        let Some(&flaw) = FLAWS.get(which) else {
            let flawed = self.flawed_alias(random, height, ALIAS_FLAWS[which - FLAWS.len()]);
            return flawed.unwrap_or_else(|| self.signed_by_another_patient(random, height));
        };
        let flawed = match flaw {
            Flaw::WrongPatient => None,
            Flaw::WrongDoctor => self.signed_by_another_doctor(random, height),
            Flaw::SelfDealing => self.self_dealing(random, height),
            Flaw::Expired => Some(self.submission_but(random, height, |content| {
                content.valid_until = height.saturating_sub(1);
            })),
            Flaw::BadCode => Some(self.submission_but(random, height, |content| {
                content.summary = Arc::new(Summary {
                    diagnoses: vec![Term::new("FLU")],
                    ..Summary::clone(&content.summary)
                });
            })),
            Flaw::OtherHospital => self.of_other_hospital(random, height),
            Flaw::NonceReused | Flaw::DuplicateRecord | Flaw::AmendedBefore => {
                self.repeated(random, height, flaw)
            }
            Flaw::OthersRecord | Flaw::NoProposal | Flaw::NotDisputed | Flaw::OwnRecord => {
                self.about_a_record(random, height, flaw)
            }
            Flaw::EmptyQuery => Some(self.search_for_nothing(random, height)),
            Flaw::OthersSearch => self.ask_for_another(random, height),
            Flaw::UnknownGrantee => self.granted_to_nobody(random, height),
            Flaw::RevokedGrant => {
                let grant = self.revoked.pick(random).copied();
                grant.map(|grant| self.access_by(&grant, grant.purpose, height))
            }
            Flaw::WrongPurpose => {
                let grant = self.grants.pick(&self.popularity, random).copied();
                grant.map(|grant| self.access_by(&grant, Purpose::Research, height))
            }
            Flaw::PassedOnByDoctor => self.passed_on_by_doctor(random, height),
            Flaw::SameDepartment => self.same_department(random, height),
            Flaw::NoShare => {
                let nothing = Act::ApproveShare(ShareId(self.fresh("no share")));
                let patient = self.popularity.draw(random);
                Some(self.by_owner(Owner::plain(patient), nothing, height))
            }
            Flaw::ShareOver => {
                let share = self.shared.pick(random).copied();
                share.map(|share| self.share_step(&share, height))
            }
        };
        flawed.unwrap_or_else(|| self.signed_by_another_patient(random, height))
    }

    /// A submission that another patient signed; where patients do not sign, one that has lapsed.
    fn signed_by_another_patient(&self, random: &mut Random, height: u64) -> SignedCall {
        match self.settings.rules.authentication {
            Authentication::Dual => {
                let (doctor, patient) = self.pair(random);
                let other = (patient + 1) % self.population.patients();
                let content = self.content(random, height, doctor, Owner::plain(patient));
                self.submission(content, doctor, Owner::plain(other))
            }
            Authentication::DoctorOnly => self.submission_but(random, height, |content| {
                content.valid_until = height.saturating_sub(1);
            }),
        }
    }

    fn signed_by_another_doctor(&self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let (doctor, patient) = self.pair(random);
        let owner = Owner::plain(patient);
        let other = (doctor + 1) % self.population.doctors();
        let content = self.content(random, height, doctor, owner);
        (other != doctor).then(|| self.submission(content, other, owner))
    }

    fn self_dealing(&self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let doctor = self.any_doctor(random);
        let owner = Owner::plain(self.population.own(doctor)?);
        let content = self.content(random, height, doctor, owner);
        Some(self.submission(content, doctor, owner))
    }

    /// A submission that is wrong in itself.
    fn submission_but(
        &self,
        random: &mut Random,
        height: u64,
        spoil: impl FnOnce(&mut Content),
    ) -> SignedCall {
        let (doctor, patient) = self.pair(random);
        let owner = Owner::plain(patient);
        let mut content = self.content(random, height, doctor, owner);
        spoil(&mut content);
        self.submission(content, doctor, owner)
    }

    fn of_other_hospital(&self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let (doctor, patient) = self.pair(random);
        let owner = Owner::plain(patient);
        let hospitals = self.population.hospitals();
        let elsewhere = (self.population.employer(doctor) + 1) % hospitals;
        let content = Content {
            hid: self.population.hospital(elsewhere).id,
            ..self.content(random, height, doctor, owner)
        };
        (hospitals > 1).then(|| self.submission(content, doctor, owner))
    }

    /// A submission that repeats something of an earlier one.
    fn repeated(&self, random: &mut Random, height: u64, flaw: Flaw) -> Option<SignedCall> {
        let earlier = if flaw == Flaw::AmendedBefore {
            *self.amended.pick(random)?
        } else {
            *self.records.pick(&self.popularity, random)?
        };
        let (doctor, owner) = (earlier.doctor, earlier.owner);
        let mut content = self.content(random, height, doctor, owner);
        match flaw {
            Flaw::AmendedBefore => content.supersedes = Some(earlier.rid),
            Flaw::NonceReused => content.nonce = earlier.nonce,
            _ => content.rid = earlier.rid,
        }
        Some(self.submission(content, doctor, owner))
    }

    /// An order about a record that is not the caller's, or not in such a state.
    fn about_a_record(&self, random: &mut Random, height: u64, flaw: Flaw) -> Option<SignedCall> {
        let record = *self.records.pick(&self.popularity, random)?;
        let other = Owner::plain((record.owner.patient + 1) % self.population.patients());
        Some(match flaw {
            Flaw::NoProposal => {
                let nothing = RecordId(self.fresh("no proposal"));
                self.by_owner(other, Act::Reject(nothing), height)
            }
            Flaw::NotDisputed => {
                let act = Act::Resolve {
                    rid: record.rid,
                    suspect: false,
                };
                let call = self.by_owner(record.owner, act, height);
                self.with_other(call, &record, true)
            }
            Flaw::OwnRecord => self.by_doctor(record.doctor, Act::RequestShare(record.rid), height),
            _ => self.by_owner(other, Act::Hide(record.rid), height),
        })
    }

    fn ask_for_another(&self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let case = self.cases.pick(random)?;
        let doctor = Party::Doctor(self.population.doctor(self.any_doctor(random)).id);
        (case.search.terms().by != doctor).then(|| self.ask(case, doctor, height))
    }

    fn granted_to_nobody(&self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let record = *self.records.pick(&self.popularity, random)?;
        let nobody = Grantee::Doctor(DoctorId(self.fresh("nobody")));
        let terms = terms(nobody, Scope::Records(vec![record.rid]), height, false);
        Some(self.by_owner(record.owner, Act::Grant(terms), height))
    }

    fn passed_on_by_doctor(&self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let grant = *self.grants.pick(&self.popularity, random)?;
        let Receiver::Doctor(doctor) = grant.receiver else {
            return None;
        };
        let grantee = Grantee::Doctor(self.population.doctor(doctor).id);
        let terms = terms(grantee, Scope::Records(vec![grant.rid]), height, false);
        Some(self.by_doctor(doctor, Act::Delegate(grant.gid, terms), height))
    }

    fn same_department(&self, random: &mut Random, height: u64) -> Option<SignedCall> {
        /// Doctors are dealt to so many departments of each hospital in turn.
        const DEPARTMENTS: u32 = crate::contract::population::SPECIALTIES;
        let record = *self.records.pick(&self.popularity, random)?;
        let first = self.any_doctor(random);
        let second = self.colleague(first, DEPARTMENTS)?;
        Some(self.emergency_of(&record, first, second, height))
    }
}
