//! The contract by itself: no network, no agreement, one core. Calls are signed beforehand, and
//! what their signers know of their signatures spares the contract the arithmetic, which a run
//! prices in simulated time.

use rayon::prelude::*;

use crate::base::random::{Random, Stream, mix};
use crate::contract::access::Purpose;
use crate::contract::call::{Act, Terms};
use crate::contract::identity::Party;
use crate::contract::message::CHAIN;
use crate::contract::search::{Condition, Feature, Query};
use crate::contract::{Author, AuthorSettings, Population, Receipt, Rules, SignedCall, State};

/// Calls of a block: after so many the root is made.
const BLOCK: usize = 500;
const HOSPITALS: u16 = 20;
const DOCTORS: u32 = 1_000;
const PATIENTS: u32 = 10_000;

fn people() -> Population {
    Population::new(HOSPITALS, DOCTORS, PATIENTS)
}

/// A consortium's first state, and calls of the default mix by an author who knows the answers
/// to the earlier ones.
pub fn mixed(count: usize) -> (State, Vec<SignedCall>) {
    let people = people();
    let genesis = State::genesis(&people, Rules::default());
    let mut author = Author::new(&people, AuthorSettings::default(), 0, 1);
    let mut random = Random::new(1, Stream::Test);
    let mut state = genesis.clone();
    let mut write = |number: usize| {
        let height = (number / BLOCK) as u64 + 1;
        let call = author.next(&mut random, height);
        let receipt = state.apply(height, &call);
        author.learn(&call, &receipt);
        call
    };
    (genesis, (0..count).map(&mut write).collect())
}

/// Executes calls in blocks that follow a height, and tells how many were not refused.
pub fn execute(state: &mut State, height: u64, calls: &[SignedCall]) -> usize {
    let mut done = 0;
    for (block, height) in calls.chunks(BLOCK).zip(height + 1..) {
        let receipts = block.iter().map(|call| state.apply(height, call));
        done += receipts
            .filter(|receipt| !matches!(receipt, Receipt::Refused(_)))
            .count();
        state.seal();
        std::hint::black_box(state.root());
    }
    done
}

/// A state that fills with records.
#[derive(Debug)]
pub struct Archive {
    people: Population,
    state: State,
    records: u64,
}

impl Archive {
    /// Without records.
    pub fn empty() -> Self {
        let people = people();
        Self {
            state: State::genesis(&people, Rules::default()),
            people,
            records: 0,
        }
    }

    /// Submissions of so many records that are not there yet.
    pub fn submissions(&self, count: u64) -> Vec<SignedCall> {
        let numbers = self.records..self.records + count;
        let submit = |number: u64| {
            let doctor = (mix(1, number) % u64::from(DOCTORS)) as u32;
            let mut patient = (mix(2, number) % u64::from(PATIENTS)) as u32;
            if self.people.own(doctor) == Some(patient) {
                patient = (patient + 1) % PATIENTS;
            }
            let content = self.people.content(doctor, patient, number);
            self.people.submission(content, doctor, patient)
        };
        numbers.into_par_iter().map(submit).collect()
    }

    /// Enters the next records.
    pub fn enter(&mut self, submissions: &[SignedCall]) {
        let height = self.records / BLOCK as u64;
        let entered = execute(&mut self.state, height, submissions);
        assert_eq!(entered, submissions.len(), "every submission is valid");
        self.records += entered as u64;
    }

    /// Searches with three conditions, of which some find too little and some too much.
    pub fn questions(&self, count: u64) -> Vec<SignedCall> {
        let ask = |number: u64| {
            let like = self
                .people
                .content(0, (number % 1_000) as u32, mix(3, number));
            let case = like.summary;
            let conditions = vec![
                Condition::Has(Feature::Diagnosis(case.diagnoses[0])),
                Condition::Quarters(case.quarter, case.quarter),
                Condition::Ages(case.age_band, case.age_band),
            ];
            let doctor = self.people.doctor((number % u64::from(DOCTORS)) as u32);
            let query = Query {
                conditions,
                purpose: Purpose::Care,
                page: 0,
            };
            let terms = Terms {
                chain: CHAIN,
                by: Party::Doctor(doctor.id),
                act: Act::Search(query),
                nonce: number,
                valid_until: u64::MAX,
            };
            SignedCall::order(terms, &doctor.keys)
        };
        (0..count).map(ask).collect()
    }

    /// Answers searches and tells how many found something.
    pub fn ask(&self, questions: &[SignedCall]) -> usize {
        let receipts = questions.iter().map(|call| self.state.query(1, call));
        receipts
            .filter(|receipt| matches!(receipt, Receipt::Found(_)))
            .count()
    }
}
