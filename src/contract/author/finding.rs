//! Searching for cases, and asking the patients behind them for contact.

use std::sync::Arc;

use super::memory::{Deed, KnownCase};
use super::{Author, order_of};
use crate::base::crypto::KeyPair;
use crate::base::random::Random;
use crate::contract::access::Purpose;
use crate::contract::call::{Act, Call, Order};
use crate::contract::cases;
use crate::contract::error::Code;
use crate::contract::identity::Party;
use crate::contract::rules::WINDOW;
use crate::contract::search::{Condition, Feature, MATCHES_MAX, Query};
use crate::contract::{Receipt, SignedCall};

impl Author {
    /// A doctor or, in one of four cases, a patient searches.
    pub(super) fn search(&mut self, random: &mut Random, height: u64) -> SignedCall {
        let query = self.query(random);
        let act = if self.settings.rules.audits_searches() {
            Act::AuditedSearch(query)
        } else {
            Act::Search(query)
        };
        let (by, keys) = self.asker(random);
        // The handles of an answer live as long as the order that asked for it, and no longer
        // than a window.
        let call = SignedCall::order(self.terms(by, act, height + WINDOW), &keys);
        match order_of(&call).cloned() {
            Some(search) => self.promise(call, Deed::Search(search)),
            None => call,
        }
    }

    /// Somebody asks what to add to a search.
    pub(super) fn suggest(&mut self, random: &mut Random, height: u64) -> SignedCall {
        let query = self.query(random);
        let (by, keys) = self.asker(random);
        self.order(by, Act::Suggest(query), height, &keys)
    }

    /// Whoever found a case asks its patient for contact.
    pub(super) fn contact(&mut self, height: u64) -> Option<SignedCall> {
        let case = self.cases.next()?;
        Some(self.ask(&case, case.search.terms().by, height))
    }

    /// A party asks for contact by a row of an answer.
    pub(super) fn ask(&self, case: &KnownCase, by: Party, height: u64) -> SignedCall {
        let act = Act::AskContact {
            search: case.search.clone(),
            handle: case.handle,
        };
        self.order(by, act, height, &self.keys_of(&by))
    }

    fn keys_of(&self, party: &Party) -> KeyPair {
        let people = &self.population;
        let keys = match party {
            Party::Doctor(did) => people.doctor_number(did).map(|n| &people.doctor(n).keys),
            Party::Patient(pid) => people.patient_number(pid).map(|n| &people.patient(n).keys),
            Party::Hospital(_) | Party::Authority(_) | Party::Alias(_) => None,
        };
        keys.expect("this author asked in the name of a doctor or patient")
            .clone()
    }

    fn asker(&self, random: &mut Random) -> (Party, KeyPair) {
        if random.below(4) == 0 {
            let patient = self.population.patient(self.popularity.draw(random));
            (Party::Patient(patient.id), patient.keys.clone())
        } else {
            let doctor = self.population.doctor(self.any_doctor(random));
            (Party::Doctor(doctor.id), doctor.keys.clone())
        }
    }

    /// Cases like one that could be.
    fn query(&self, random: &mut Random) -> Query {
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
        let known = self.conditions.get(&diagnosis).copied();
        let conditions = known.unwrap_or(1).min(narrower.len());
        Query {
            conditions: narrower[..conditions].to_vec(),
            purpose: Purpose::Care,
            page: 0,
        }
    }

    /// A search was answered: its first undisputed row may be of interest.
    pub(super) fn found(&mut self, search: &Arc<Order>, receipt: &Receipt) {
        let Receipt::Found(answer) = receipt else {
            return;
        };
        if answer.about as usize > MATCHES_MAX / 2 {
            // What is found is only ever more, and soon too much.
            self.adjust(search, Code::TooBroad);
        }
        if let Some(row) = answer.rows.iter().find(|row| !row.disputed) {
            self.cases.add(KnownCase {
                search: search.clone(),
                handle: row.handle,
            });
        }
    }

    /// Asks more narrowly after too broad a question, more broadly after too narrow a one. Of
    /// several such answers to one question only the first counts.
    pub(super) fn adjust(&mut self, search: &Order, code: Code) {
        let asked = search.terms().act.search().map(|query| &query.conditions);
        let Some([Condition::Has(Feature::Diagnosis(diagnosis)), ..]) = asked.map(Vec::as_slice)
        else {
            return;
        };
        let had = asked.map_or(0, Vec::len);
        let conditions = self.conditions.entry(*diagnosis).or_insert(1);
        if *conditions == had && code == Code::TooBroad {
            *conditions = (had + 1).min(5);
        } else if *conditions == had && code == Code::TooFewResults {
            *conditions = had.saturating_sub(1).max(1);
        }
    }

    /// A search for nothing.
    pub(super) fn search_for_nothing(&self, random: &mut Random, height: u64) -> SignedCall {
        let query = Query {
            conditions: Vec::new(),
            ..self.query(random)
        };
        let (by, keys) = self.asker(random);
        let terms = self.terms(by, Act::Search(query), height + WINDOW);
        SignedCall::signed(Call::Order(Order::new(terms)), &keys, None)
    }
}
