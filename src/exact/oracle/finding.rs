//! What a search has to find, by looking at every record.

use std::collections::BTreeSet;

use super::calls::{is_diagnosis, is_drug, is_procedure};
use super::{Account, Expected, Faults, Life, Oracle, RecordFile, Who};
use crate::contract::access::Purpose;
use crate::contract::call::Order;
use crate::contract::message::RecordId;
use crate::contract::search::{Coding, Feature, Handle, Handles, Query, salt};
use crate::contract::summary::{Summary, Term};
use crate::contract::{Answer, Call, Code, Condition, SignedCall};

/// The records that a search finds, with their patients.
type Found = BTreeSet<(Account, RecordId)>;

impl Oracle {
    /// What a query has to be in itself.
    pub(super) fn query(query: &Query, faults: &mut Faults) {
        faults.when(query.conditions.len() > 6, Code::FieldTooLong);
        for condition in &query.conditions {
            match condition {
                Condition::Has(Feature::Diagnosis(term)) => {
                    faults.when(!is_diagnosis(term.text()), Code::BadCode);
                }
                Condition::Has(Feature::Procedure(term)) => {
                    faults.when(!is_procedure(term.text()), Code::BadCode);
                }
                Condition::Has(Feature::Drug(term)) => {
                    faults.when(!is_drug(term.text()), Code::BadCode);
                }
                Condition::Begins(coding, term) => {
                    faults.when(!begins_a_code(*coding, term.text()), Code::BadCode);
                    faults.when(term.text().len() < 3, Code::UnknownFeature);
                }
                Condition::Ages(from, to) => faults.when(from > to, Code::BadInterval),
                Condition::Quarters(from, to) => faults.when(from > to, Code::BadInterval),
                Condition::Has(_) => {}
            }
        }
        faults.when(query.conditions.is_empty(), Code::EmptyQuery);
    }

    /// What a search has to be behind whose answer somebody asks for contact.
    pub(super) fn asked(search: &Order, height: u64, faults: &mut Faults) {
        let terms = search.terms();
        let Some(query) = query_of(search) else {
            faults.add(Code::Malformed);
            return;
        };
        Self::query(query, faults);
        faults.when(height > terms.valid_until, Code::Expired);
        let ends = u128::from(terms.valid_until);
        faults.when(ends > u128::from(height) + 1000, Code::NotYetValid);
    }

    fn audits(&self) -> bool {
        self.rules.query_budget.is_some() || self.rules.difference_guard
    }

    fn floor(&self, query: &Query) -> usize {
        let floor = match query.purpose {
            Purpose::Research => self.rules.floor_research,
            Purpose::Care | Purpose::SecondOpinion | Purpose::Emergency => self.rules.floor,
        };
        floor.max(1) as usize
    }

    fn findable(&self) -> impl Iterator<Item = &RecordFile> {
        let files = self.records.values();
        files.filter(|file| matches!(file.life, Life::Active | Life::Disputed))
    }

    /// Every record that fulfils all conditions.
    fn find(&self, conditions: &[Condition]) -> Found {
        let fits = |file: &&RecordFile| {
            let case = &file.content().summary;
            conditions.iter().all(|condition| holds(condition, case))
        };
        let found = self.findable().filter(fits);
        found.map(|file| (file.owner, file.content().rid)).collect()
    }

    /// Whether what was found may be told, and how much of it.
    fn answer(&self, query: &Query, faults: &mut Faults) -> Option<Expected> {
        if !faults.0.is_empty() {
            return None;
        }
        let found = self.find(&query.conditions);
        faults.when(found.len() > 500, Code::TooBroad);
        let floor = self.floor(query);
        faults.when(patients(&found) < floor, Code::TooFewResults);
        let about = found.len() / floor * floor;
        let rows = about.saturating_sub(20 * usize::from(query.page)).min(20);
        faults.when(rows == 0, Code::BadPage);
        Some(Expected::Found(about, rows))
    }

    pub(super) fn search(&self, query: &Query, faults: &mut Faults) -> Option<Expected> {
        // Where searches are counted this one is not even looked at.
        faults.when(self.audits(), Code::QueryBudgetExceeded);
        self.answer(query, faults)
    }

    pub(super) fn audited_search(
        &self,
        query: &Query,
        (by, height): (Who, u64),
        faults: &mut Faults,
    ) -> Option<Expected> {
        let answer = self.answer(query, faults)?;
        if self.rules.difference_guard {
            let found = self.find(&query.conditions);
            let mut seen = self.seen.get(&by).into_iter().flatten();
            let floor = self.floor(query);
            faults.when(
                seen.any(|past| is_near(past, &found, floor)),
                Code::TooFewResults,
            );
        }
        if let Some(budget) = self.rules.query_budget {
            let answered = self.searches.get(&by).into_iter().flatten();
            let recent = answered
                .filter(|at| at.saturating_add(1000) > height)
                .count();
            faults.when(recent >= budget as usize, Code::QueryBudgetExceeded);
        }
        Some(answer)
    }

    /// An answered search is counted and remembered.
    pub(super) fn counted(&mut self, query: &Query, by: Who) {
        self.searches.entry(by).or_default().push(self.now);
        let found = self.find(&query.conditions);
        let seen = self.seen.entry(by).or_default();
        seen.retain(|past| *past != found);
        seen.push(found);
        if seen.len() > 100 {
            seen.remove(0);
        }
    }

    /// All conditions that could be suggested.
    pub(super) fn suggest(&self, query: &Query, faults: &mut Faults) -> Option<Expected> {
        faults.when(self.audits(), Code::QueryBudgetExceeded);
        if !faults.0.is_empty() {
            return None;
        }
        let (found, floor) = (self.find(&query.conditions), self.floor(query));
        let all = patients(&found);
        let cases = found
            .iter()
            .map(|(_, rid)| &self.records[rid].content().summary);
        let candidates: BTreeSet<Condition> = cases.flat_map(|case| conditions(case)).collect();
        let narrower = candidates.into_iter().filter(|condition| {
            let narrowed: Vec<Condition> = query
                .conditions
                .iter()
                .chain([condition])
                .copied()
                .collect();
            (floor..all).contains(&patients(&self.find(&narrowed)))
        });
        let narrower: Vec<Condition> = narrower.collect();
        faults.when(all < floor || narrower.is_empty(), Code::TooFewResults);
        Some(Expected::Suggested(narrower))
    }

    /// Whether every row of an answer is a case that was found, as it is, under a handle made for
    /// it, and no two are the same case.
    pub(super) fn shows(&self, call: &SignedCall, answer: &Answer) -> bool {
        let Call::Order(order) = call.call() else {
            return false;
        };
        let cases = answer.rows.iter().map(|row| {
            let rid = self.behind(order, &row.handle)?;
            let file = &self.records[&rid];
            let same = row.summary == file.content().summary;
            (same && row.disputed == (file.life == Life::Disputed)).then_some(rid)
        });
        let cases: Option<BTreeSet<RecordId>> = cases.collect();
        cases.is_some_and(|cases| cases.len() == answer.rows.len())
    }

    /// The record that the answer to a search calls by a handle, whichever row it was in.
    fn behind(&self, search: &Order, name: &Handle) -> Option<RecordId> {
        let query = query_of(search)?;
        let salt = salt(search.terms(), query);
        let row = u16::from_be_bytes([name[0], name[1]]);
        let found = self.find(&query.conditions);
        let mut rids = found.into_iter().map(|(_, rid)| rid);
        rids.find(|rid| Handles::new(&salt).name(row, rid) == *name)
    }

    pub(super) fn ask(&self, search: &Order, name: &Handle, faults: &mut Faults) {
        let terms = search.terms();
        let Some(query) = query_of(search) else {
            return;
        };
        if self.audits() {
            let ordered = matches!(terms.act, crate::contract::call::Act::AuditedSearch(_));
            let who = self.who(&terms.by);
            let made = who.is_ok_and(|who| self.used.contains(&(who, terms.nonce)));
            if !ordered || !made {
                // What was not answered has no rows to look behind.
                faults.add(Code::QueryBudgetExceeded);
                return;
            }
        }
        if !faults.0.is_empty() {
            return;
        }
        let found = self.find(&query.conditions);
        let told = found.len() <= 500 && patients(&found) >= self.floor(query);
        faults.when(found.len() > 500, Code::TooBroad);
        faults.when(patients(&found) < self.floor(query), Code::TooFewResults);
        if !told {
            return;
        }
        match self.behind(search, name) {
            None => faults.add(Code::RecordNotFound),
            Some(rid) => {
                let active = self.records[&rid].life == Life::Active;
                faults.when(!active, Code::IllegalTransition);
            }
        }
    }

    pub(super) fn told(&mut self, search: &Order, name: &Handle) {
        let rid = self.behind(search, name).expect("it was found before");
        *self.mail.entry(self.records[&rid].owner).or_default() += 1;
    }
}

/// The query of an order that searches.
fn query_of(order: &Order) -> Option<&Query> {
    use crate::contract::call::Act;
    match &order.terms().act {
        Act::Search(query) | Act::AuditedSearch(query) => Some(query),
        _ => None,
    }
}

fn patients(found: &Found) -> usize {
    let patients: BTreeSet<Account> = found.iter().map(|(patient, _)| *patient).collect();
    patients.len()
}

/// Whether two sets differ, but in so few patients that the difference points at them.
fn is_near(one: &Found, other: &Found, floor: usize) -> bool {
    let of = |found: &Found| -> BTreeSet<Account> { found.iter().map(|(p, _)| *p).collect() };
    let apart = of(one).symmetric_difference(&of(other)).count();
    let changed: Found = one.symmetric_difference(other).copied().collect();
    [apart, patients(&changed)]
        .into_iter()
        .any(|few| few > 0 && few < floor)
}

/// Whether a text is the beginning of some code.
fn begins_a_code(coding: Coding, text: &[u8]) -> bool {
    let complete = |example: &[u8]| {
        let rest = example.get(text.len()..).unwrap_or(&[]);
        [text, rest].concat()
    };
    match coding {
        Coding::Diagnosis => is_diagnosis(&complete(b"A00")),
        Coding::Procedure => is_procedure(&complete(b"0000000")),
        Coding::Drug => is_drug(&complete(b"A00AA00")),
    }
}

/// Whether a case fulfils a condition.
fn holds(condition: &Condition, case: &Summary) -> bool {
    let codes = |coding| match coding {
        Coding::Diagnosis => &case.diagnoses,
        Coding::Procedure => &case.procedures,
        Coding::Drug => &case.drugs,
    };
    let has = |coding, term: &Term| codes(coding).iter().any(|code| code.text() == term.text());
    match condition {
        Condition::Has(Feature::Diagnosis(term)) => has(Coding::Diagnosis, term),
        Condition::Has(Feature::Procedure(term)) => has(Coding::Procedure, term),
        Condition::Has(Feature::Drug(term)) => has(Coding::Drug, term),
        Condition::Has(Feature::Sex(sex)) => case.sex == *sex,
        Condition::Has(Feature::Age(band)) => case.age_band == *band,
        Condition::Has(Feature::Quarter(quarter)) => case.quarter == *quarter,
        Condition::Has(Feature::Outcome(outcome)) => case.outcome == *outcome,
        Condition::Has(Feature::Department(department)) => case.department == *department,
        Condition::Begins(coding, term) => {
            let mut codes = codes(*coding).iter();
            codes.any(|code| code.text().starts_with(term.text()))
        }
        Condition::Ages(from, to) => *from <= case.age_band && case.age_band <= *to,
        Condition::Quarters(from, to) => *from <= case.quarter && case.quarter <= *to,
    }
}

/// Every condition that names something of a case.
fn conditions(case: &Summary) -> Vec<Condition> {
    let mut all = vec![
        Condition::Has(Feature::Sex(case.sex)),
        Condition::Has(Feature::Age(case.age_band)),
        Condition::Has(Feature::Quarter(case.quarter)),
        Condition::Has(Feature::Outcome(case.outcome)),
        Condition::Has(Feature::Department(case.department)),
    ];
    let has = |feature| Condition::Has(feature);
    all.extend(
        case.diagnoses
            .iter()
            .map(|&term| has(Feature::Diagnosis(term))),
    );
    all.extend(
        case.procedures
            .iter()
            .map(|&term| has(Feature::Procedure(term))),
    );
    all.extend(case.drugs.iter().map(|&term| has(Feature::Drug(term))));
    let groups = case.diagnoses.iter().map(Term::group);
    all.extend(groups.map(|group| Condition::Begins(Coding::Diagnosis, group)));
    all
}
