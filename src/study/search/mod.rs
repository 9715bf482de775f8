//! How long searches take, how much they find and how many are refused, by the number of records
//! on the chain and of conditions in the query.
//!
//! Two times are told. The modelled one is a function of what a search goes through, priced at
//! [`PRICES`], and is the same on every machine; the measured one is that of the machine at hand.
//! A scan, which looks at every record, is what the index is compared with: a question that is
//! answered takes it to the last.

pub mod files;
pub mod prices;
pub mod questions;
pub mod register;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::base::crypto::{Digest, Hasher};
use crate::base::random::{Random, Stream};
use crate::contract::message::RecordId;
use crate::contract::search::{
    CONDITIONS_MAX, Handles, Index, MATCHES_MAX, PAGE, Query, Row, Work,
};
use prices::PRICES;
use questions::question;
use register::Register;

/// What the study is about.
pub const ABOUT: &str = "Searches for cases like one at hand, in registers with 10,000 diagnoses.";

/// What is studied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Registers of each size, each with questions of its own.
    pub seeds: u64,
    /// Their sizes.
    pub records: Vec<u32>,
    /// Questions with each number of conditions.
    pub questions: u32,
    /// Questions of those for which a scan is measured, which takes long.
    pub scanned: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seeds: 5,
            records: vec![1_000, 10_000, 100_000, 1_000_000],
            questions: 1_000,
            scanned: 20,
        }
    }
}

/// How records are found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// By sets of places for each feature.
    Index,
    /// By looking at every record.
    Scan,
}

/// What questions of one kind come to: a row of `search.csv`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// Which register and questions.
    pub seed: u64,
    /// Records in the register.
    pub records: u32,
    /// Conditions in each question.
    pub conditions: usize,
    /// How they are found.
    pub method: Method,
    /// Questions asked.
    pub questions: u32,
    /// Questions that are answered, with the usual floor.
    pub answered: u32,
    /// Questions that match more than an answer may be drawn from.
    pub too_broad: u32,
    /// Questions that match too few patients.
    pub too_few: u32,
    /// Records that match the median question.
    pub matches_p50: u32,
    /// Records that match the broadest question.
    pub matches_max: u32,
    /// Records looked at one by one, on average.
    pub looked_mean: f64,
    /// Places in lists gone through, on average.
    pub listed_mean: f64,
    /// Bitmaps gone through, on average.
    pub bitmaps_mean: f64,
    /// What the median question takes by the model, in microseconds.
    pub modelled_us_p50: f64,
    /// What all but one in a hundred take at most by the model, in microseconds.
    pub modelled_us_p99: f64,
    /// What the longest takes by the model, in microseconds.
    pub modelled_us_max: f64,
}

/// How many questions a floor refuses: a row of `floors.csv`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Floor {
    /// Which register and questions.
    pub seed: u64,
    /// Records in the register.
    pub records: u32,
    /// Conditions in each question.
    pub conditions: usize,
    /// Distinct patients that an answer needs.
    pub k_min: u32,
    /// Questions asked.
    pub questions: u32,
    /// Questions that match fewer patients.
    pub refused: u32,
    /// The share of them.
    pub share: f64,
}

/// What questions of one kind take here: a row of `speed.csv`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Speed {
    /// Which register and questions.
    pub seed: u64,
    /// Records in the register.
    pub records: u32,
    /// Conditions in each question.
    pub conditions: usize,
    /// How they are found.
    pub method: Method,
    /// Questions measured.
    pub questions: u32,
    /// What the median question takes, in microseconds: the best of three times.
    pub measured_us_p50: f64,
    /// What all but one in a hundred take at most, in microseconds.
    pub measured_us_p99: f64,
    /// What the longest takes, in microseconds.
    pub measured_us_max: f64,
}

/// All that is found out.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Study {
    /// The same on every machine.
    pub findings: Vec<Finding>,
    /// The same on every machine.
    pub floors: Vec<Floor>,
    /// Different on every machine.
    pub speeds: Vec<Speed>,
}

/// Floors whose effect is studied: those in use for the release of data about patients.
pub const FLOORS: [u32; 4] = [3, 5, 11, 20];
/// The floor of the rules by default.
const FLOOR: u32 = 5;
/// Conditions up to which times are told.
pub const TIMED_MAX: usize = 3;
/// How often a question is put for one measurement.
const REPEATS: u32 = 3;

/// A register in an index, as a chain has it.
struct Library {
    register: Register,
    rids: Vec<RecordId>,
    index: Index,
}

/// What one question comes to.
struct Told {
    /// Records that match, all of them.
    matches: u32,
    /// Distinct patients of these, but not more than the greatest floor.
    patients: u32,
    work: Work,
    /// By the index and by a scan.
    nanos: [u64; 2],
}

impl Library {
    fn new(seed: u64, records: u32) -> Self {
        let register = Register::new(seed, records);
        let rid = |place| RecordId(Hasher::new("rid").number(u64::from(place)).finish());
        let rids: Vec<RecordId> = (0..records).map(rid).collect();
        let mut index = Index::default();
        let cases = register.cases.iter().zip(&register.patients).zip(&rids);
        for (((case, patient), rid), place) in cases.zip(0..) {
            index.insert(place, rid, *patient, case);
        }
        Self {
            register,
            rids,
            index,
        }
    }

    /// Answers a question by the index, as the contract does.
    fn answer(&self, query: &Query) -> usize {
        let salt = Digest::ZERO;
        let Ok(matches) = self.index.search(query, FLOOR) else {
            return 0;
        };
        let Ok((first, places)) = matches.page(&self.index, query.page, &salt) else {
            return 0;
        };
        let handles = Handles::new(&salt);
        let rows = places.iter().zip(first..).map(|(&place, number)| Row {
            handle: handles.name(number, &self.rids[place as usize]),
            summary: self.register.cases[place as usize].clone(),
            region: 0,
            verified: true,
            disputed: false,
            suspect: false,
        });
        rows.collect::<Vec<Row>>().len()
    }

    /// Counts what a question matches by looking at every record.
    fn scan(&self, query: &Query) -> usize {
        let cases = self.register.cases.iter();
        let found = cases.filter(|case| query.conditions.iter().all(|c| c.holds(case)));
        found.count()
    }

    /// What a question comes to, and what it takes by the model.
    fn tell(&self, query: &Query) -> Told {
        let records = self.register.cases.len() as u64;
        let (_, work) = self.index.matching(query, MATCHES_MAX + 1);
        let (all, _) = self.index.matching(query, usize::MAX);
        let patients = self.patients(&all);
        let answered = all.len() <= MATCHES_MAX && patients >= FLOOR;
        let rows = if answered {
            all.len().min(PAGE) as u64
        } else {
            0
        };
        let ordered = if answered { all.len() as u64 } else { 0 };
        let told = PRICES.telling(ordered, rows);
        Told {
            matches: all.len() as u32,
            patients,
            work,
            nanos: [
                PRICES.finding(&work) + told,
                PRICES.scanning(records) + told,
            ],
        }
    }

    /// Distinct patients of records, but not more than the greatest floor.
    fn patients(&self, places: &[u32]) -> u32 {
        let mut patients = Vec::new();
        for place in places {
            let patient = self.register.patients[*place as usize];
            if !patients.contains(&patient) {
                patients.push(patient);
            }
            if patients.len() >= FLOORS[3] as usize {
                break;
            }
        }
        patients.len() as u32
    }

    fn questions(&self, seed: u64, conditions: usize, count: u32) -> Vec<Query> {
        let mut random = Random::new(seed * 10 + conditions as u64, Stream::Placement);
        let records = self.register.cases.len() as u64;
        let ask = |_| {
            let like = &self.register.cases[random.below(records) as usize];
            question(&mut random, like, conditions)
        };
        (0..count).map(ask).collect()
    }
}

/// Carries the study out. `stopwatch` runs something and tells how many seconds it took; `tell`
/// hears of progress.
pub fn study(
    plan: &Plan,
    stopwatch: &dyn Fn(&mut dyn FnMut()) -> f64,
    tell: &dyn Fn(&str),
) -> Study {
    let mut study = Study::default();
    for &records in &plan.records {
        for seed in 1..=plan.seeds {
            tell(&format!("{records} records, seed {seed}"));
            let library = Library::new(seed, records);
            for conditions in 1..=CONDITIONS_MAX {
                let kind = Kind {
                    seed,
                    records,
                    conditions,
                };
                let queries = library.questions(seed, conditions, plan.questions);
                let told: Vec<Told> = queries.iter().map(|query| library.tell(query)).collect();
                study
                    .floors
                    .extend(FLOORS.map(|k_min| kind.floor(k_min, &told)));
                if conditions > TIMED_MAX {
                    continue;
                }
                for method in [Method::Index, Method::Scan] {
                    study.findings.push(kind.finding(method, &told));
                    let measured = match method {
                        Method::Index => &queries[..],
                        Method::Scan => &queries[..queries.len().min(plan.scanned as usize)],
                    };
                    study
                        .speeds
                        .push(kind.speed(method, &library, measured, stopwatch));
                }
            }
        }
    }
    study
}

/// Questions that are taken together.
#[derive(Clone, Copy)]
struct Kind {
    seed: u64,
    records: u32,
    conditions: usize,
}

impl Kind {
    fn finding(&self, method: Method, told: &[Told]) -> Finding {
        let count = |holds: fn(&Told) -> bool| told.iter().filter(|t| holds(t)).count() as u32;
        let mean =
            |of: fn(&Told) -> u64| told.iter().map(of).sum::<u64>() as f64 / told.len() as f64;
        let too_broad = count(|t| t.matches as usize > MATCHES_MAX);
        let too_few = count(|t| t.matches as usize <= MATCHES_MAX && t.patients < FLOOR);
        let matches = sorted(told.iter().map(|t| f64::from(t.matches)));
        let at = method as usize;
        let nanos = sorted(told.iter().map(|t| t.nanos[at] as f64 / 1_000.0));
        let by_index = |mean: f64| if method == Method::Index { mean } else { 0.0 };
        Finding {
            seed: self.seed,
            records: self.records,
            conditions: self.conditions,
            method,
            questions: told.len() as u32,
            answered: told.len() as u32 - too_broad - too_few,
            too_broad,
            too_few,
            matches_p50: percentile(&matches, 50) as u32,
            matches_max: percentile(&matches, 100) as u32,
            looked_mean: match method {
                Method::Index => mean(|t| t.work.looked),
                Method::Scan => f64::from(self.records),
            },
            listed_mean: by_index(mean(|t| t.work.listed)),
            bitmaps_mean: by_index(mean(|t| t.work.bitmaps)),
            modelled_us_p50: percentile(&nanos, 50),
            modelled_us_p99: percentile(&nanos, 99),
            modelled_us_max: percentile(&nanos, 100),
        }
    }

    fn floor(&self, k_min: u32, told: &[Told]) -> Floor {
        let refused = told.iter().filter(|t| t.patients < k_min).count();
        Floor {
            seed: self.seed,
            records: self.records,
            conditions: self.conditions,
            k_min,
            questions: told.len() as u32,
            refused: refused as u32,
            share: refused as f64 / told.len() as f64,
        }
    }

    fn speed(
        &self,
        method: Method,
        library: &Library,
        queries: &[Query],
        stopwatch: &dyn Fn(&mut dyn FnMut()) -> f64,
    ) -> Speed {
        let measure = |query: &Query| {
            let mut best = f64::INFINITY;
            for _ in 0..REPEATS {
                let seconds = stopwatch(&mut || {
                    std::hint::black_box(match method {
                        Method::Index => library.answer(query),
                        Method::Scan => library.scan(query),
                    });
                });
                best = best.min(seconds * 1e6);
            }
            best
        };
        let micros = sorted(queries.iter().map(measure));
        Speed {
            seed: self.seed,
            records: self.records,
            conditions: self.conditions,
            method,
            questions: queries.len() as u32,
            measured_us_p50: percentile(&micros, 50),
            measured_us_p99: percentile(&micros, 99),
            measured_us_max: percentile(&micros, 100),
        }
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The least of ascending values that so many of a hundred do not exceed.
fn percentile(ascending: &[f64], percent: usize) -> f64 {
    let rank = (ascending.len() * percent).div_ceil(100);
    ascending.get(rank.max(1) - 1).copied().unwrap_or(0.0)
}
