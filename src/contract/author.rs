//! The author of a workload: draws calls as the people of a consortium would make them.
//!
//! One author serves one client host. It signs in the name of the people whose keys it has, learns
//! from the answers which records and grants exist, and now and then errs on purpose. It never
//! reads the state: a client does not have it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::access::{GrantId, GrantTerms, Grantee, Purpose, Scope};
use super::call::{Act, Call, Terms};
use super::cases;
use super::error::Code;
use super::identity::Party;
use super::message::{CHAIN, Content, Draft, RecordId, RecordKind};
use super::popularity::Popularity;
use super::population::Population;
use super::search::{Condition, Feature, Query};
use super::{Receipt, SignedCall};
use crate::base::crypto::{Digest, Hasher, KeyPair};
use crate::base::random::Random;
use crate::base::units::Ratio;

mod flaw;
mod memory;

use memory::{KnownGrant, KnownRecord, Memory, Receiver};

/// How often each kind of call is made, in proportion to the sum of all weights. A kind that is
/// not written is not made; without any mix, half of the calls submit records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// Doctor and patient enter a record together.
    #[serde(default)]
    pub submit: u32,
    /// A doctor proposes a record, or a patient answers a proposal.
    #[serde(default)]
    pub propose: u32,
    /// A doctor searches for cases.
    #[serde(default)]
    pub search: u32,
    /// A patient grants a doctor access.
    #[serde(default)]
    pub grant: u32,
    /// A patient revokes a grant.
    #[serde(default)]
    pub revoke: u32,
    /// A record is read.
    #[serde(default)]
    pub access: u32,
    /// A patient shares a record with another hospital.
    #[serde(default)]
    pub share: u32,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            submit: 40,
            propose: 10,
            search: 20,
            grant: 8,
            revoke: 2,
            access: 10,
            share: 10,
        }
    }
}

impl Mix {
    /// The sum of all weights; zero if nothing would ever be called.
    pub fn total(&self) -> u64 {
        self.weights()
            .iter()
            .map(|&(weight, _)| u64::from(weight))
            .sum()
    }

    fn weights(&self) -> [(u32, Wish); 7] {
        [
            (self.submit, Wish::Submit),
            (self.propose, Wish::Propose),
            (self.search, Wish::Search),
            (self.grant, Wish::Grant),
            (self.revoke, Wish::Revoke),
            (self.access, Wish::Access),
            (self.share, Wish::Share),
        ]
    }

    /// What is to be called next.
    fn draw(&self, random: &mut Random) -> Wish {
        let mut point = random.below(self.total());
        for (weight, wish) in self.weights() {
            match point.checked_sub(u64::from(weight)) {
                None => return wish,
                Some(rest) => point = rest,
            }
        }
        unreachable!("the point lies below the sum of the weights")
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wish {
    Submit,
    Propose,
    Search,
    Grant,
    Revoke,
    Access,
    Share,
}

/// How an author writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuthorSettings {
    /// The weights of the kinds of calls.
    pub mix: Mix,
    /// The share of calls that the contract has to refuse.
    pub invalid: Ratio,
    /// The exponent of the law of Zipf by which patients are treated, in thousandths.
    pub zipf_thousandths: u32,
}

impl Default for AuthorSettings {
    fn default() -> Self {
        Self {
            mix: Mix::default(),
            invalid: Ratio::ZERO,
            zipf_thousandths: 800,
        }
    }
}

/// Blocks after which a call lapses.
const VALID_BLOCKS: u64 = 100_000;
/// Blocks that a grant lasts.
const GRANT_BLOCKS: u64 = 90_000;
/// Documents are this large, and up to as much again.
const PAYLOAD_BYTES: u64 = 64 << 10;

/// Draws the calls of one client host.
#[derive(Debug)]
pub struct Author {
    population: Population,
    settings: AuthorSettings,
    popularity: Popularity,
    me: u16,
    hosts: u16,
    /// Calls written so far, which makes their numbers.
    count: u64,
    records: Memory<KnownRecord>,
    grants: Memory<KnownGrant>,
    revoked: Memory<KnownGrant>,
    proposals: VecDeque<Arc<Draft>>,
    /// Proposals whose confirmation, and grants whose end, is not answered yet.
    confirming: BTreeMap<RecordId, Arc<Draft>>,
    revoking: BTreeMap<GrantId, KnownGrant>,
    /// Conditions that a search has; follows how broad the answers are.
    conditions: u8,
}

impl Author {
    /// The author for client host `me` of `hosts`. What different hosts write never collides. The
    /// mix must have a weight that is not zero.
    pub fn new(population: &Population, settings: AuthorSettings, me: u16, hosts: u16) -> Self {
        assert!(me < hosts, "hosts count from zero");
        assert!(settings.mix.total() > 0, "something is called");
        Self {
            popularity: Popularity::new(population.patients(), settings.zipf_thousandths),
            population: population.clone(),
            settings,
            me,
            hosts,
            count: 0,
            records: Memory::new(4096),
            grants: Memory::new(4096),
            revoked: Memory::new(64),
            proposals: VecDeque::new(),
            confirming: BTreeMap::new(),
            revoking: BTreeMap::new(),
            conditions: 1,
        }
    }

    /// The next call, signed, for a ledger that has about this height or is further by now.
    pub fn next(&mut self, random: &mut Random, height_hint: u64) -> SignedCall {
        self.count += 1;
        if random.chance(self.settings.invalid) {
            return self.flawed(random, height_hint);
        }
        let wish = self.settings.mix.draw(random);
        let wished = match wish {
            Wish::Submit => None,
            Wish::Propose => Some(self.propose(random, height_hint)),
            Wish::Search => Some(self.search(random, height_hint)),
            Wish::Grant => self.grant(random, height_hint, false),
            Wish::Share => self.grant(random, height_hint, true),
            Wish::Revoke => self.revoke(random, height_hint),
            Wish::Access => self.access(random, height_hint),
        };
        wished.unwrap_or_else(|| self.submit(random, height_hint))
    }

    /// Learns what became of a call of this author.
    pub fn learn(&mut self, call: &SignedCall, receipt: &Receipt) {
        let accepted = *receipt == Receipt::Accepted;
        match call.call() {
            Call::Submit(draft) if accepted => self.remember(draft),
            Call::Propose(draft) if accepted => self.proposals.push_back(draft.clone()),
            Call::Submit(_) | Call::Propose(_) => {}
            Call::Confirm { rid, .. } => {
                if let Some(draft) = self.confirming.remove(rid).filter(|_| accepted) {
                    self.remember(&draft);
                }
            }
            Call::Order(order) => match &order.terms().act {
                Act::Grant(terms) if accepted => {
                    self.remember_grant(GrantId(order.message()), order.terms().by, terms);
                }
                Act::Revoke(gid) => {
                    if let Some(grant) = self.revoking.remove(gid).filter(|_| accepted) {
                        self.revoked.add(grant);
                    }
                }
                Act::Access(gid, ..) if *receipt == Receipt::Refused(Code::GrantExpired) => {
                    self.grants.forget(|grant| grant.gid == *gid);
                }
                Act::Search(_) | Act::AuditedSearch(_) => self.adjust(receipt),
                Act::Grant(_)
                | Act::Access(..)
                | Act::Enrol(_)
                | Act::Affair(_)
                | Act::SetStanding(..)
                | Act::Reject(_)
                | Act::Withdraw(_)
                | Act::Hide(_)
                | Act::Unhide(_)
                | Act::Dispute(_)
                | Act::Resolve { .. }
                | Act::Delegate(..)
                | Act::Emergency { .. }
                | Act::RequestShare(_)
                | Act::ApproveShare(_)
                | Act::DenyShare(_)
                | Act::DeliverShare(..)
                | Act::ConfirmShare(..)
                | Act::Suggest(_)
                | Act::AskContact { .. } => {}
            },
        }
    }

    fn remember(&mut self, draft: &Draft) {
        let content = draft.content();
        let doctor = self.population.doctor_number(&content.did);
        let patient = self.population.patient_number(&content.pid);
        let (Some(doctor), Some(patient)) = (doctor, patient) else {
            return;
        };
        self.records.add(KnownRecord {
            rid: content.rid,
            doctor,
            patient,
            nonce: content.nonce,
        });
    }

    fn remember_grant(&mut self, gid: GrantId, by: Party, terms: &GrantTerms) {
        let (Party::Patient(pid), Scope::Records(rids)) = (by, &terms.scope) else {
            return;
        };
        let receiver = match terms.grantee {
            Grantee::Doctor(did) => self.population.doctor_number(&did).map(Receiver::Doctor),
            Grantee::Hospital(hid) => self
                .population
                .hospital_number(&hid)
                .map(Receiver::Hospital),
            Grantee::Specialty(..) | Grantee::Patient(_) => None,
        };
        let patient = self.population.patient_number(&pid);
        if let (Some(receiver), Some(patient), Some(&rid)) = (receiver, patient, rids.first()) {
            let purpose = terms.purpose;
            self.grants.add(KnownGrant {
                gid,
                rid,
                patient,
                receiver,
                purpose,
            });
        }
    }

    /// Asks more narrowly after too broad a question, more broadly after too narrow a one.
    fn adjust(&mut self, receipt: &Receipt) {
        match receipt {
            Receipt::Refused(Code::TooBroad) => self.conditions = (self.conditions + 1).min(5),
            Receipt::Refused(Code::TooFewResults) => {
                self.conditions = self.conditions.saturating_sub(1).max(1);
            }
            Receipt::Accepted | Receipt::Found(_) | Receipt::Suggested(_) | Receipt::Refused(_) => {
            }
        }
    }

    /// A number that no author uses twice, nor two authors once.
    fn nonce(&self) -> u64 {
        self.count * u64::from(self.hosts) + u64::from(self.me)
    }

    /// A doctor and a patient who are two people, and what they write down.
    fn content(&self, random: &mut Random, height: u64) -> (Content, u32, u32) {
        let mut patient = self.popularity.draw(random);
        let doctor = random.below(u64::from(self.population.doctors())) as u32;
        if self.population.own(doctor) == Some(patient) {
            patient = (patient + 1) % self.population.patients();
        }
        (
            self.content_of(random, height, doctor, patient),
            doctor,
            patient,
        )
    }

    /// What this doctor and this patient write down.
    fn content_of(&self, random: &mut Random, height: u64, doctor: u32, patient: u32) -> Content {
        let kinds = [
            RecordKind::Consultation,
            RecordKind::Admission,
            RecordKind::Laboratory,
            RecordKind::Imaging,
            RecordKind::Prescription,
        ];
        let bits = random.bits();
        Content {
            kind: kinds[random.below(kinds.len() as u64) as usize],
            summary: Arc::new(cases::case(bits, patient)),
            payload_bytes: PAYLOAD_BYTES + bits % PAYLOAD_BYTES,
            valid_until: height + VALID_BLOCKS,
            ..self.population.content(doctor, patient, self.nonce())
        }
    }

    fn submit(&mut self, random: &mut Random, height: u64) -> SignedCall {
        let (content, doctor, patient) = self.content(random, height);
        self.population.submission(content, doctor, patient)
    }

    /// Answers the oldest proposal, mostly by confirming it; without one, proposes.
    fn propose(&mut self, random: &mut Random, height: u64) -> SignedCall {
        let Some(draft) = self.proposals.pop_front() else {
            let (content, doctor, _) = self.content(random, height);
            let keys = &self.population.doctor(doctor).keys;
            return SignedCall::signed(Call::Propose(Draft::new(content)), keys, None);
        };
        let content = draft.content();
        let patient = self.population.patient_number(&content.pid);
        let patient = self
            .population
            .patient(patient.expect("it was this author's proposal"));
        if random.below(8) == 0 {
            let act = Act::Reject(content.rid);
            return self.order(Party::Patient(patient.id), act, height, &patient.keys);
        }
        let call = SignedCall::confirm(&draft, &patient.keys);
        memory::bound(&mut self.confirming);
        self.confirming.insert(content.rid, draft);
        call
    }

    fn search(&mut self, random: &mut Random, height: u64) -> SignedCall {
        let bits = random.bits();
        let example = cases::case(bits, (bits >> 32) as u32);
        let diagnosis = cases::diagnosis(bits);
        let narrower = [
            Condition::Has(Feature::Diagnosis(diagnosis)),
            Condition::Has(Feature::Sex(example.sex)),
            Condition::Ages(example.age_band.saturating_sub(2), example.age_band + 2),
            Condition::Quarters(example.quarter, example.quarter + 1),
            Condition::Has(Feature::Outcome(example.outcome)),
        ];
        let query = Query {
            conditions: narrower[..usize::from(self.conditions)].to_vec(),
            purpose: Purpose::Care,
            page: 0,
        };
        let doctor = random.below(u64::from(self.population.doctors())) as u32;
        let doctor = self.population.doctor(doctor);
        self.order(
            Party::Doctor(doctor.id),
            Act::Search(query),
            height,
            &doctor.keys,
        )
    }

    /// A patient grants access to one record: another hospital if shared, else some doctor.
    fn grant(&mut self, random: &mut Random, height: u64, share: bool) -> Option<SignedCall> {
        let record = *self.records.pick(random)?;
        let people = &self.population;
        let (grantee, purpose) = if share {
            let home = people.employer(record.doctor);
            let others = u64::from(people.hospitals())
                .checked_sub(1)
                .filter(|&n| n > 0)?;
            let away = (home + 1 + random.below(others) as u32) % people.hospitals();
            (
                Grantee::Hospital(people.hospital(away).id),
                Purpose::SecondOpinion,
            )
        } else {
            let doctor = random.below(u64::from(people.doctors())) as u32;
            (Grantee::Doctor(people.doctor(doctor).id), Purpose::Care)
        };
        Some(self.grant_to(grantee, purpose, &record, height))
    }

    fn grant_to(
        &self,
        grantee: Grantee,
        purpose: Purpose,
        record: &KnownRecord,
        height: u64,
    ) -> SignedCall {
        let terms = GrantTerms {
            grantee,
            scope: Scope::Records(vec![record.rid]),
            purpose,
            from: height,
            until: height + GRANT_BLOCKS,
            max_uses: None,
            delegable: false,
        };
        let patient = self.population.patient(record.patient);
        self.order(
            Party::Patient(patient.id),
            Act::Grant(terms),
            height,
            &patient.keys,
        )
    }

    fn revoke(&mut self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let grant = self.grants.take(random)?;
        let patient = self.population.patient(grant.patient);
        let act = Act::Revoke(grant.gid);
        let call = self.order(Party::Patient(patient.id), act, height, &patient.keys);
        memory::bound(&mut self.revoking);
        self.revoking.insert(grant.gid, grant);
        Some(call)
    }

    fn access(&mut self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let grant = *self.grants.pick(random)?;
        Some(self.access_by(&grant, height))
    }

    fn access_by(&self, grant: &KnownGrant, height: u64) -> SignedCall {
        let act = Act::Access(grant.gid, grant.rid, grant.purpose);
        match grant.receiver {
            Receiver::Doctor(number) => {
                let doctor = self.population.doctor(number);
                self.order(Party::Doctor(doctor.id), act, height, &doctor.keys)
            }
            Receiver::Hospital(number) => {
                let hospital = self.population.hospital(number);
                self.order(Party::Hospital(hospital.id), act, height, &hospital.keys)
            }
        }
    }

    fn order(&self, by: Party, act: Act, height: u64, keys: &KeyPair) -> SignedCall {
        let terms = Terms {
            chain: CHAIN,
            by,
            act,
            nonce: self.nonce(),
            valid_until: height + VALID_BLOCKS,
        };
        SignedCall::order(terms, keys)
    }

    /// A name that nothing has.
    fn fresh(&self, purpose: &str) -> Digest {
        Hasher::new(purpose).number(self.nonce()).finish()
    }
}
