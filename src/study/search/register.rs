//! A register of cases to search in: large, with many codes of very different frequency.
//!
//! The workload of the simulations makes do with a few dozen diagnoses; how a search fares with
//! many records depends on rare codes. So this register has a thousand groups of diagnoses of ten
//! codes each, whose frequencies follow the law of Zipf with the exponent one, drugs and
//! procedures that go with the diagnoses, and five records for each patient. The mixture is ours
//! and stands for no statistics.

use std::sync::Arc;

use crate::base::node::NodeId;
use crate::base::random::{Random, Stream, mix};
use crate::contract::summary::{AGE_BAND_MAX, Outcome, Sex, Summary, Term};

/// Groups of diagnoses, from the most frequent on.
const GROUPS: usize = 1_000;
/// Drugs and procedures that go with a group.
const GOING_WITH: u64 = 4;
/// Records of a patient, on average.
const RECORDS_PER_PATIENT: u32 = 5;
/// The first quarter in which anybody was treated, and how many follow: ten years.
const QUARTERS: (u16, u64) = (2014 * 4, 40);

/// Cases, and whose they are.
#[derive(Debug)]
pub struct Register {
    /// The cases, by place.
    pub cases: Vec<Arc<Summary>>,
    /// The patients of the cases, by number.
    pub patients: Vec<u32>,
}

/// Draws numbers below a bound, small ones more often, by the law of Zipf.
#[derive(Debug)]
struct Zipf(Vec<u64>);

impl Zipf {
    fn new(bound: usize) -> Self {
        let weights = (1..=bound as u64).map(|rank| 1_000_000_000 / rank);
        let sums = weights.scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self(sums.collect())
    }

    fn draw(&self, random: &mut Random) -> u64 {
        let point = random.below(*self.0.last().expect("the bound is not zero"));
        self.0.partition_point(|sum| *sum <= point) as u64
    }
}

impl Register {
    /// A register of so many records. The first records of a larger one are not those of a
    /// smaller one.
    pub fn new(seed: u64, records: u32) -> Self {
        let mut random = Random::new(seed, Stream::Workload(NodeId(0)));
        let (groups, codes) = (Zipf::new(GROUPS), Zipf::new(10));
        let people = u64::from((records / RECORDS_PER_PATIENT).max(1));
        let mut register = Self {
            cases: Vec::with_capacity(records as usize),
            patients: Vec::with_capacity(records as usize),
        };
        for _ in 0..records {
            let patient = random.below(people);
            let diagnoses: Vec<(u64, u64)> = (0..1 + random.below(4) * random.below(2))
                .map(|_| (groups.draw(&mut random), codes.draw(&mut random)))
                .collect();
            register.cases.push(Arc::new(case(
                &diagnoses,
                mix(seed, patient),
                random.bits(),
            )));
            register.patients.push(patient as u32);
        }
        register
    }
}

/// The case of a patient by sixty-four bits each.
fn case(diagnoses: &[(u64, u64)], patient: u64, bits: u64) -> Summary {
    let groups = diagnoses.iter().map(|(group, _)| *group);
    let outcomes = [
        Outcome::Improved,
        Outcome::Improved,
        Outcome::Improved,
        Outcome::Cured,
        Outcome::Cured,
        Outcome::Unchanged,
        Outcome::Worse,
        Outcome::Died,
    ];
    let treated = groups.clone().enumerate();
    let drugs = treated.clone().filter(|(at, _)| bits >> at & 3 > 0);
    let operated = treated.filter(|(at, _)| bits >> (8 + at) & 7 == 0);
    // Two throws of a die make the middle ages more frequent.
    let age = (patient & 0xff) % 10 + (patient >> 8 & 0xff) % 10;
    Summary {
        diagnoses: distinct(
            diagnoses
                .iter()
                .map(|&(group, code)| diagnosis(group, code)),
        ),
        drugs: distinct(drugs.map(|(at, group)| drug(group, bits >> (16 + 4 * at)))),
        procedures: distinct(operated.map(|(at, group)| procedure(group, bits >> (32 + 4 * at)))),
        sex: if patient >> 16 & 1 == 0 {
            Sex::Female
        } else {
            Sex::Male
        },
        age_band: (age as u8).min(AGE_BAND_MAX),
        quarter: QUARTERS.0 + (mix(3, bits) % QUARTERS.1) as u16,
        outcome: outcomes[(bits >> 48 & 7) as usize],
        department: (groups.clone().next().unwrap_or(0) % 20) as u8,
    }
}

fn distinct(terms: impl Iterator<Item = Term>) -> Vec<Term> {
    let mut kept = Vec::new();
    for term in terms {
        if !kept.contains(&term) {
            kept.push(term);
        }
    }
    kept
}

/// Two digits and a letter that a number is spread over, the same in all classifications.
fn spread(group: u64) -> (char, u64) {
    let place = group * 387 % GROUPS as u64;
    (char::from(b'A' + (place / 100) as u8 * 2), place % 100)
}

fn diagnosis(group: u64, code: u64) -> Term {
    let (letter, digits) = spread(group);
    Term::new(&format!("{letter}{digits:02}{code}"))
}

fn drug(group: u64, bits: u64) -> Term {
    let (letter, digits) = spread(group);
    Term::new(&format!("{letter}{digits:02}AB{:02}", bits % GOING_WITH))
}

fn procedure(group: u64, bits: u64) -> Term {
    let (letter, digits) = spread(group);
    Term::new(&format!("0{letter}{digits:02}{}ZZ", bits % GOING_WITH))
}
