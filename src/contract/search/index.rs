//! Which records have which features.
//!
//! Every feature has the set of places of its records. What every case has exactly one of is kept
//! by place besides, so that a candidate can be compared without looking its record up.

use std::collections::BTreeMap;

use super::postings::Postings;
use super::query::{Coding, Condition, Feature, PREFIX_MIN};
use crate::contract::message::RecordId;
use crate::contract::summary::{Outcome, Sex, Summary, Term};

/// The records of all features.
#[derive(Clone, Debug, Default)]
pub struct Index {
    codes: [Codes; Coding::ALL.len()],
    sexes: Vec<Postings>,
    ages: Vec<Postings>,
    outcomes: Vec<Postings>,
    departments: Vec<Postings>,
    quarters: BTreeMap<u16, Postings>,
    /// By place, also of records that have left the index. Where none was, anything.
    cases: Vec<Case>,
    /// Whose the records are, by place as well.
    patients: Vec<u32>,
    /// The first eight bytes of the names of the records, by place as well.
    tags: Vec<u64>,
    len: u32,
}

/// The records of all codes of one classification, by the codes as numbers.
#[derive(Clone, Debug, Default)]
struct Codes {
    exact: BTreeMap<u64, Postings>,
    /// By the first three characters.
    groups: BTreeMap<u64, Postings>,
}

/// What every case has exactly one of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Case {
    pub(super) quarter: u16,
    pub(super) age_band: u8,
    pub(super) department: u8,
    pub(super) sex: Sex,
    pub(super) outcome: Outcome,
}

impl Index {
    /// Adds the record of a name at a place, of the patient at another, under each of its
    /// features.
    pub fn insert(&mut self, place: u32, rid: &RecordId, patient: u32, summary: &Summary) {
        let case = Case {
            quarter: summary.quarter,
            age_band: summary.age_band,
            department: summary.department,
            sex: summary.sex,
            outcome: summary.outcome,
        };
        let at = place as usize;
        if at >= self.cases.len() {
            self.cases.resize(at + 1, case);
            self.patients.resize(at + 1, 0);
            self.tags.resize(at + 1, 0);
        }
        self.cases[at] = case;
        self.patients[at] = patient;
        self.tags[at] = rid.0.prefix();
        self.len += 1;
        for (coding, codes) in Coding::ALL.into_iter().zip(&mut self.codes) {
            for term in coding.codes(summary) {
                codes.exact.entry(term.key()).or_default().insert(place);
                let group = term.group().key();
                codes.groups.entry(group).or_default().insert(place);
            }
        }
        grown(&mut self.sexes, case.sex as usize).insert(place);
        grown(&mut self.ages, usize::from(case.age_band)).insert(place);
        grown(&mut self.outcomes, case.outcome as usize).insert(place);
        grown(&mut self.departments, usize::from(case.department)).insert(place);
        self.quarters.entry(case.quarter).or_default().insert(place);
    }

    /// Removes the record at a place, which has this summary, from each of its features.
    pub fn remove(&mut self, place: u32, summary: &Summary) {
        self.len -= 1;
        for (coding, codes) in Coding::ALL.into_iter().zip(&mut self.codes) {
            for term in coding.codes(summary) {
                remove(&mut codes.exact, &term.key(), place);
                remove(&mut codes.groups, &term.group().key(), place);
            }
        }
        grown(&mut self.sexes, summary.sex as usize).remove(place);
        grown(&mut self.ages, usize::from(summary.age_band)).remove(place);
        grown(&mut self.outcomes, summary.outcome as usize).remove(place);
        grown(&mut self.departments, usize::from(summary.department)).remove(place);
        remove(&mut self.quarters, &summary.quarter, place);
    }

    /// How many records are in the index.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether no record is in the index.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        let maps = self.codes.iter().flat_map(|c| [&c.exact, &c.groups]);
        let codes: usize = maps.flat_map(BTreeMap::values).map(Postings::bytes).sum();
        let plain = [&self.sexes, &self.ages, &self.outcomes, &self.departments];
        let plain = plain.into_iter().flatten().chain(self.quarters.values());
        let plain: usize = plain.map(Postings::bytes).sum();
        let by_place = size_of::<Case>() + size_of::<u32>() + size_of::<u64>();
        codes + plain + by_place * self.cases.capacity()
    }

    /// The case of a record that is in the index.
    pub(super) fn case(&self, place: u32) -> &Case {
        &self.cases[place as usize]
    }

    /// Whose a record is that is in the index.
    #[inline]
    pub(super) fn patient(&self, place: u32) -> u32 {
        self.patients[place as usize]
    }

    /// The first eight bytes of the name of a record that is in the index.
    #[inline]
    pub(super) fn tag(&self, place: u32) -> u64 {
        self.tags[place as usize]
    }

    /// The cases of the records from a place on; of those that are in the index.
    pub(super) fn cases_from(&self, place: u32) -> &[Case] {
        self.cases.get(place as usize..).unwrap_or_default()
    }

    /// One more than the last place that was ever used.
    pub(super) fn end(&self) -> u32 {
        self.cases.len() as u32
    }

    /// The sets that together hold exactly the records that fulfil a condition.
    pub(super) fn sets(&self, condition: &Condition) -> Vec<&Postings> {
        match condition {
            Condition::Has(Feature::Diagnosis(term)) => self.exact(Coding::Diagnosis, term),
            Condition::Has(Feature::Procedure(term)) => self.exact(Coding::Procedure, term),
            Condition::Has(Feature::Drug(term)) => self.exact(Coding::Drug, term),
            Condition::Begins(coding, term) => self.beginning(*coding, term),
            Condition::Has(Feature::Sex(sex)) => one(self.sexes.get(*sex as usize)),
            Condition::Has(Feature::Outcome(how)) => one(self.outcomes.get(*how as usize)),
            Condition::Has(Feature::Department(number)) => {
                one(self.departments.get(usize::from(*number)))
            }
            Condition::Has(Feature::Age(band)) => one(self.ages.get(usize::from(*band))),
            Condition::Ages(from, to) => {
                let sets = self.ages.iter().take(usize::from(*to) + 1);
                sets.skip(usize::from(*from)).collect()
            }
            Condition::Has(Feature::Quarter(quarter)) => one(self.quarters.get(quarter)),
            // An interval that ends before it begins was refused before; here it must not panic.
            Condition::Quarters(from, to) => {
                let range = self.quarters.range((*from).min(*to)..=*to);
                range.map(|(_, set)| set).collect()
            }
        }
    }

    fn exact(&self, coding: Coding, term: &Term) -> Vec<&Postings> {
        one(self.codes[coding as usize].exact.get(&term.key()))
    }

    /// The sets of codes that begin with a text: that of the group if the text has the length of
    /// a group, else of each code by itself.
    fn beginning(&self, coding: Coding, term: &Term) -> Vec<&Postings> {
        let codes = &self.codes[coding as usize];
        let length = term.text().len();
        if length == PREFIX_MIN {
            return one(codes.groups.get(&term.key()));
        }
        let rest = u64::MAX.checked_shr(8 * length as u32).unwrap_or(0);
        let range = codes.exact.range(term.key()..=term.key() | rest);
        range.map(|(_, set)| set).collect()
    }

    /// Which records are found under which features: a name for every set that is not empty.
    pub(in crate::contract) fn places(&self) -> BTreeMap<String, Vec<u32>> {
        let mut all = BTreeMap::new();
        let mut add = |name: String, set: &Postings| {
            if set.len() > 0 {
                all.insert(name, set.iter().collect());
            }
        };
        for (coding, codes) in Coding::ALL.into_iter().zip(&self.codes) {
            for (key, set) in &codes.exact {
                add(format!("{coding:?} {key:x}"), set);
            }
            for (key, set) in &codes.groups {
                add(format!("{coding:?} {key:x}.."), set);
            }
        }
        let plain = [&self.sexes, &self.ages, &self.outcomes, &self.departments];
        let names = ["sex", "age", "outcome", "department"];
        for (name, sets) in names.into_iter().zip(plain) {
            for (value, set) in sets.iter().enumerate() {
                add(format!("{name} {value}"), set);
            }
        }
        for (quarter, set) in &self.quarters {
            add(format!("quarter {quarter}"), set);
        }
        all
    }
}

/// The set, if there is one.
fn one(set: Option<&Postings>) -> Vec<&Postings> {
    set.into_iter().collect()
}

/// The set with a number, which is made if it is not there.
fn grown(sets: &mut Vec<Postings>, number: usize) -> &mut Postings {
    if number >= sets.len() {
        sets.resize(number + 1, Postings::default());
    }
    &mut sets[number]
}

/// Removes a place from a set, and the set if nothing is left of it.
fn remove<K: Ord>(sets: &mut BTreeMap<K, Postings>, key: &K, place: u32) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(place);
        if set.len() == 0 {
            sets.remove(key);
        }
    }
}
