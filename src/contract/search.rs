//! Search for cases by their features, without locating a patient.
//!
//! An answer never names a patient, doctor, hospital or record. Its rows carry handles that are
//! different in every answer, so that rows of two answers cannot be joined; an answer that fewer
//! than a floor of distinct patients match is refused without telling how many there are; and the
//! count is rounded down. The limit of this: validators see the records themselves, and somebody
//! with enough queries that differ in one condition can narrow a patient down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::State;
use super::access::Purpose;
use super::error::Code;
use super::message::Message;
use super::records::{Record, Status};
use super::summary::{Outcome, Sex, Summary, Term};
use crate::base::crypto::{Digest, Hasher};
use crate::base::random::mix;

/// What a case can be found by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Feature {
    /// A diagnosis, as exactly as it was coded.
    Diagnosis(Term),
    /// The first three characters of a diagnosis.
    DiagnosisGroup(Term),
    /// A procedure.
    Procedure(Term),
    /// A drug.
    Drug(Term),
    /// The sex in the record.
    Sex(Sex),
    /// The age band.
    Age(u8),
    /// The quarter of the treatment.
    Quarter(u16),
    /// How the case went.
    Outcome(Outcome),
    /// The department.
    Department(u8),
}

/// One condition of a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// The case has the feature.
    Has(Feature),
    /// The age band lies between these two, both included.
    Ages(u8, u8),
    /// The quarter lies between these two, both included.
    Quarters(u16, u16),
}

/// A conjunction of conditions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// One to six.
    pub conditions: Vec<Condition>,
    /// What for: the floor for research is higher.
    pub purpose: Purpose,
    /// Which page of the answer, from 0.
    pub page: u16,
}

/// One case found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// A name for the row in this answer only.
    pub handle: Handle,
    /// What is public of the case.
    pub summary: Arc<Summary>,
    /// The region of the hospital.
    pub region: u8,
    /// Whether the doctor who signed may still practise.
    pub verified: bool,
    /// Whether a party of the record says that it is wrong.
    pub disputed: bool,
    /// Whether both parties say that it is to be read with care.
    pub suspect: bool,
}

/// The name of a row in one answer.
pub type Handle = [u8; 16];

/// What a search finds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// How many cases match, rounded down to a multiple of the floor.
    pub about: u32,
    /// One page of them, ordered by handle.
    pub rows: Vec<Row>,
}

/// Distinct patients an answer needs, so that a guess at one is right at most once in five times:
/// the common "cell size of five" rule.
pub const FLOOR: usize = 5;
/// The same for research.
pub const FLOOR_RESEARCH: usize = 11;
/// Cases that an answer may be drawn from.
pub const MATCHES_MAX: usize = 500;
/// Rows on a page.
pub const PAGE: usize = 20;
const CONDITIONS_MAX: usize = 6;

impl Query {
    /// Distinct patients that the answer needs.
    fn floor(&self) -> usize {
        match self.purpose {
            Purpose::Care | Purpose::SecondOpinion | Purpose::Emergency => FLOOR,
            Purpose::Research => FLOOR_RESEARCH,
        }
    }

    /// Adds the query to a message.
    pub(super) fn write(&self, message: Message) -> Message {
        let message = message
            .number(self.purpose as u64)
            .number(u64::from(self.page))
            .number(self.conditions.len() as u64);
        self.conditions
            .iter()
            .fold(message, |message, condition| condition.write(message))
    }

    /// Whether there are conditions, not too many, and their codes and intervals are well formed.
    pub(super) fn check_form(&self) -> Result<(), Code> {
        if self.conditions.len() > CONDITIONS_MAX {
            return Err(Code::FieldTooLong);
        }
        let formed = self.conditions.iter().all(|condition| match condition {
            Condition::Has(Feature::Diagnosis(term)) => term.is_diagnosis(),
            Condition::Has(Feature::DiagnosisGroup(term)) => {
                term.is_diagnosis() && *term == term.group()
            }
            Condition::Has(Feature::Procedure(term)) => term.is_procedure(),
            Condition::Has(Feature::Drug(term)) => term.is_drug(),
            Condition::Has(
                Feature::Sex(_)
                | Feature::Age(_)
                | Feature::Quarter(_)
                | Feature::Outcome(_)
                | Feature::Department(_),
            )
            | Condition::Ages(..)
            | Condition::Quarters(..) => true,
        });
        if formed { Ok(()) } else { Err(Code::BadCode) }
    }

    /// Whether every interval begins before it ends.
    pub(super) fn check_intervals(&self) -> Result<(), Code> {
        let backwards = self.conditions.iter().any(|condition| match condition {
            Condition::Ages(from, to) => from > to,
            Condition::Quarters(from, to) => from > to,
            Condition::Has(_) => false,
        });
        if backwards {
            return Err(Code::BadInterval);
        }
        Ok(())
    }
}

impl Condition {
    /// Adds the condition to a message.
    fn write(&self, message: Message) -> Message {
        let feature = |kind: u64, value: &[u8]| message.number(kind).part(value);
        match self {
            Self::Has(Feature::Diagnosis(term)) => feature(0, term.text()),
            Self::Has(Feature::DiagnosisGroup(term)) => feature(1, term.text()),
            Self::Has(Feature::Procedure(term)) => feature(2, term.text()),
            Self::Has(Feature::Drug(term)) => feature(3, term.text()),
            Self::Has(Feature::Sex(sex)) => feature(4, &[*sex as u8]),
            Self::Has(Feature::Age(band)) => feature(5, &[*band]),
            Self::Has(Feature::Quarter(quarter)) => feature(6, &quarter.to_be_bytes()),
            Self::Has(Feature::Outcome(outcome)) => feature(7, &[*outcome as u8]),
            Self::Has(Feature::Department(department)) => feature(8, &[*department]),
            Self::Ages(from, to) => feature(9, &[*from, *to]),
            Self::Quarters(from, to) => feature(10, &from.to_be_bytes()).part(&to.to_be_bytes()),
        }
    }

    /// Whether a case has the code that the condition asks for, if it asks for one.
    fn names(&self, case: &Summary) -> bool {
        match self {
            Self::Has(Feature::Diagnosis(term)) => case.diagnoses.contains(term),
            Self::Has(Feature::DiagnosisGroup(term)) => {
                case.diagnoses.iter().any(|own| own.group() == *term)
            }
            Self::Has(Feature::Procedure(term)) => case.procedures.contains(term),
            Self::Has(Feature::Drug(term)) => case.drugs.contains(term),
            Self::Has(
                Feature::Sex(_)
                | Feature::Age(_)
                | Feature::Quarter(_)
                | Feature::Outcome(_)
                | Feature::Department(_),
            )
            | Self::Ages(..)
            | Self::Quarters(..) => true,
        }
    }

    /// The features of which a case that fulfils the condition has exactly one.
    fn features(&self) -> (Feature, Feature) {
        match self {
            Self::Has(feature) => (*feature, *feature),
            Self::Ages(from, to) => (Feature::Age(*from), Feature::Age(*to)),
            Self::Quarters(from, to) => (Feature::Quarter(*from), Feature::Quarter(*to)),
        }
    }
}

/// A record in the index: its place, and what of its case can be compared without looking it up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Posting {
    ticket: u32,
    at: u32,
    quarter: u16,
    age_band: u8,
    department: u8,
    sex: Sex,
    outcome: Outcome,
}

/// All conditions of a query that postings can answer, taken together.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    ages: (u8, u8),
    quarters: (u16, u16),
    departments: (u8, u8),
    /// One bit for each sex, and for each outcome.
    sexes: u8,
    outcomes: u8,
}

impl Bounds {
    fn of(query: &Query) -> Self {
        let mut bounds = Self {
            ages: (0, u8::MAX),
            quarters: (0, u16::MAX),
            departments: (0, u8::MAX),
            sexes: u8::MAX,
            outcomes: u8::MAX,
        };
        for condition in &query.conditions {
            match condition {
                Condition::Has(Feature::Sex(sex)) => bounds.sexes &= 1 << *sex as u8,
                Condition::Has(Feature::Outcome(o)) => bounds.outcomes &= 1 << *o as u8,
                Condition::Has(Feature::Age(band)) => narrow(&mut bounds.ages, *band, *band),
                Condition::Ages(from, to) => narrow(&mut bounds.ages, *from, *to),
                Condition::Has(Feature::Quarter(quarter)) => {
                    narrow(&mut bounds.quarters, *quarter, *quarter);
                }
                Condition::Quarters(from, to) => narrow(&mut bounds.quarters, *from, *to),
                Condition::Has(Feature::Department(department)) => {
                    narrow(&mut bounds.departments, *department, *department);
                }
                Condition::Has(
                    Feature::Diagnosis(_)
                    | Feature::DiagnosisGroup(_)
                    | Feature::Procedure(_)
                    | Feature::Drug(_),
                ) => {}
            }
        }
        bounds
    }

    /// Whether a posting keeps all of them.
    fn hold(&self, posting: &Posting) -> bool {
        (self.quarters.0..=self.quarters.1).contains(&posting.quarter)
            & (self.ages.0..=self.ages.1).contains(&posting.age_band)
            & (self.departments.0..=self.departments.1).contains(&posting.department)
            & (self.sexes >> posting.sex as u8 & 1 == 1)
            & (self.outcomes >> posting.outcome as u8 & 1 == 1)
    }
}

/// Narrows an interval to what it shares with another.
fn narrow<T: Ord + Copy>(interval: &mut (T, T), from: T, to: T) {
    *interval = (interval.0.max(from), interval.1.min(to));
}

/// The records that have a feature, in the order in which they entered the index: each gets a
/// ticket, so that adding one is appending.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    by_feature: BTreeMap<Feature, Vec<Posting>>,
    tickets: u32,
}

impl Index {
    /// Adds a record under each of its features and tells its ticket.
    pub(super) fn insert(&mut self, at: u32, case: &Summary) -> u32 {
        self.tickets += 1;
        let posting = Posting {
            ticket: self.tickets,
            at,
            quarter: case.quarter,
            age_band: case.age_band,
            department: case.department,
            sex: case.sex,
            outcome: case.outcome,
        };
        each_feature(case, |feature| {
            let postings = self.by_feature.entry(feature).or_default();
            // Two diagnoses of one group make one posting under the group.
            if postings.last() != Some(&posting) {
                postings.push(posting);
            }
        });
        posting.ticket
    }

    /// Removes what entered with this ticket from each of its features.
    pub(super) fn remove(&mut self, ticket: u32, case: &Summary) {
        each_feature(case, |feature| {
            let Some(postings) = self.by_feature.get_mut(&feature) else {
                return;
            };
            if let Ok(found) = postings.binary_search_by_key(&ticket, |posting| posting.ticket) {
                postings.remove(found);
            }
            if postings.is_empty() {
                self.by_feature.remove(&feature);
            }
        });
    }

    /// Under which features which records are found.
    #[cfg(test)]
    pub(super) fn places(&self) -> BTreeMap<Feature, BTreeSet<u32>> {
        let places = |postings: &Vec<Posting>| postings.iter().map(|posting| posting.at).collect();
        let features = self.by_feature.iter();
        features
            .map(|(feature, list)| (*feature, places(list)))
            .collect()
    }

    /// The lists of which one or another has every case that fulfils the condition.
    fn lists(&self, condition: &Condition) -> impl Iterator<Item = &Vec<Posting>> {
        let (from, to) = condition.features();
        // An interval that ends before it begins was refused before; here it must not panic.
        let features = from.min(to)..=to;
        self.by_feature.range(features).map(|(_, list)| list)
    }
}

/// Calls with every feature of a case; with a group of diagnoses once for each diagnosis in it.
fn each_feature(case: &Summary, mut visit: impl FnMut(Feature)) {
    for &term in &case.diagnoses {
        visit(Feature::Diagnosis(term));
        visit(Feature::DiagnosisGroup(term.group()));
    }
    case.procedures
        .iter()
        .for_each(|&term| visit(Feature::Procedure(term)));
    case.drugs
        .iter()
        .for_each(|&term| visit(Feature::Drug(term)));
    visit(Feature::Sex(case.sex));
    visit(Feature::Age(case.age_band));
    visit(Feature::Quarter(case.quarter));
    visit(Feature::Outcome(case.outcome));
    visit(Feature::Department(case.department));
}

impl State {
    /// The records that fulfil all conditions, up to one more than an answer may be drawn from.
    /// The condition with the fewest candidates leads; a candidate's record is looked up only if
    /// its posting fits and another code is asked for.
    pub(super) fn matching(&self, query: &Query) -> Vec<&Record> {
        let candidates =
            |condition: &&Condition| self.index.lists(condition).map(Vec::len).sum::<usize>();
        let Some(lead) = query.conditions.iter().min_by_key(candidates) else {
            return Vec::new();
        };
        let bounds = Bounds::of(query);
        let codes = query.conditions.iter();
        let codes: Vec<&Condition> = codes.filter(|condition| *condition != lead).collect();
        let mut found = Vec::new();
        for list in self.index.lists(lead) {
            for posting in list.iter().filter(|posting| bounds.hold(posting)) {
                let record = self.records.at(posting.at);
                let case = &record.draft.content().summary;
                if codes.iter().all(|condition| condition.names(case)) {
                    found.push(record);
                }
                if found.len() > MATCHES_MAX {
                    return found;
                }
            }
        }
        found
    }

    /// The records that an answer to a query is drawn from, if there is to be an answer.
    pub(super) fn answerable(&self, query: &Query) -> Result<Vec<&Record>, Code> {
        if query.conditions.is_empty() {
            return Err(Code::EmptyQuery);
        }
        let matches = self.matching(query);
        if matches.len() > MATCHES_MAX {
            return Err(Code::TooBroad);
        }
        if !has_patients(&matches, query.floor()) {
            return Err(Code::TooFewResults);
        }
        Ok(matches)
    }

    /// Answers a query. The salt is different for every query, and so are handles and order.
    pub(super) fn search(&self, query: &Query, salt: &Digest) -> Result<Answer, Code> {
        let matches = self.answerable(query)?;
        let first = usize::from(query.page) * PAGE;
        if first >= matches.len() {
            return Err(Code::BadPage);
        }
        // Which page a record is on depends on the salt too; names are made for one page only.
        let rid = |record: &Record| record.draft.content().rid;
        let place = |record: &Record| mix(salt.prefix(), rid(record).0.prefix());
        let mut order: Vec<(u64, &Record)> = matches.iter().map(|&r| (place(r), r)).collect();
        order.sort_unstable_by(|(a, one), (b, other)| {
            a.cmp(b).then_with(|| rid(one).cmp(&rid(other)))
        });
        let page = order.iter().skip(first).take(PAGE);
        let mut rows: Vec<Row> = page.map(|(_, record)| self.row(salt, record)).collect();
        rows.sort_unstable_by_key(|row| row.handle);
        Ok(Answer {
            about: (matches.len() / query.floor() * query.floor()) as u32,
            rows,
        })
    }

    /// What an answer shows of a record.
    fn row(&self, salt: &Digest, record: &Record) -> Row {
        let hospital = self.directory.hospital(&record.draft.content().hid);
        let hospital = hospital.expect("the hospital of a record is registered");
        Row {
            handle: handle(salt, record),
            summary: record.draft.content().summary.clone(),
            region: self.directory.hospital_at(hospital).region,
            verified: self.directory.check_doctor(record.doctor).is_ok(),
            disputed: record.status == Status::Disputed,
            suspect: record.suspect,
        }
    }
}

/// Whether the records are of at least so many distinct patients.
fn has_patients(records: &[&Record], floor: usize) -> bool {
    let mut patients = BTreeSet::new();
    records.iter().any(|record| {
        patients.insert(record.patient);
        patients.len() >= floor
    })
}

/// The name of a record in one answer.
pub(super) fn handle(salt: &Digest, record: &Record) -> Handle {
    let digest = Hasher::new("handle")
        .digest(salt)
        .digest(&record.draft.content().rid.0)
        .finish();
    digest.0[..16].try_into().expect("a digest has 32 bytes")
}
