//! Search for cases by their features, without locating a patient.
//!
//! An answer never names a patient, doctor, hospital or record. Its rows carry handles that are
//! different in every answer, so that rows of two answers cannot be joined by them; an answer that
//! fewer than a floor of distinct patients match is refused without telling how many there are;
//! and the count is rounded down to a multiple of the floor, in the number and in the rows. Rules
//! may bound how often a party asks and refuse answers that differ from earlier ones in too few
//! patients; such searches are calls in the order of the chain, because what is counted has to be
//! part of the state.
//!
//! The limit of this: validators see the records themselves, and where the rules guard nothing,
//! somebody with enough queries that differ in one condition can narrow a patient down.
//!
//! `query` says what can be asked, `index` where it is found by sets of `postings`, `find` how,
//! `answer` what is told of it; `guard` remembers what was told; `suggest` says what to ask next.

mod answer;
mod find;
mod guard;
mod index;
mod postings;
mod query;
mod suggest;

pub use answer::{Answer, Handle, Handles, MATCHES_MAX, Matches, PAGE, Row};
pub use find::Work;
pub use guard::{SEEN_MAX, Seen, Usage};
pub use index::Index;
pub use query::{CONDITIONS_MAX, Coding, Condition, Feature, PREFIX_MIN, Query};
pub use suggest::CASES_MAX;

use super::State;
use super::access::Purpose;
use super::call::{Order, Terms};
use super::error::Code;
use super::message::{Message, RecordId};
use super::records::Status;
use super::rules::Rules;
use crate::base::crypto::Digest;

impl Rules {
    /// Distinct patients that an answer needs.
    pub fn floor_for(&self, purpose: Purpose) -> u32 {
        match purpose {
            Purpose::Care | Purpose::SecondOpinion | Purpose::Emergency => self.floor,
            Purpose::Research => self.floor_research,
        }
    }

    /// Whether searches are counted or remembered, and so have to be ordered.
    pub fn audits_searches(&self) -> bool {
        self.query_budget.is_some() || self.difference_guard
    }
}

/// What makes the handles of an answer: all of a search but the page and the number of the order.
/// So the pages of one answer go together if their orders end at one height, and a search that
/// ends at another height has other handles.
pub fn salt(terms: &Terms, query: &Query) -> Digest {
    let message = terms.by.write(Message::new(terms.chain, "search"));
    let message = query.write_question(message);
    message.number(terms.valid_until).digest_for("salt")
}

impl State {
    /// The records that match a query, if they may be told under the rules of the chain.
    pub(super) fn matches(&self, query: &Query) -> Result<Matches, Code> {
        self.index
            .search(query, self.rules.floor_for(query.purpose))
    }

    /// What is told of the records that match a query.
    pub(super) fn answer(
        &self,
        query: &Query,
        matches: &Matches,
        salt: &Digest,
    ) -> Result<Answer, Code> {
        let (first, places) = matches.page(&self.index, query.page, salt)?;
        // Names are fetched before any is hashed: memory answers many at once faster.
        let rids: Vec<RecordId> = places.iter().map(|&place| self.rid_at(place)).collect();
        let handles = Handles::new(salt);
        let rows = rids.iter().zip(&places).zip(first..);
        let rows = rows.map(|((rid, place), number)| self.row(handles.name(number, rid), *place));
        Ok(Answer {
            about: matches.about(),
            rows: rows.collect(),
        })
    }

    /// The record that the answer to a search called by a handle. Refuses what the search would be
    /// refused for by now, and a handle that no record has which matches by now.
    pub fn found_as(&self, order: &Order, handle: &Handle) -> Result<RecordId, Code> {
        let query = order.terms().act.search().ok_or(Code::RecordNotFound)?;
        let matches = self.matches(query)?;
        let salt = salt(order.terms(), query);
        let place = matches.named_by(handle, &salt, |place| self.rid_at(place));
        place.map_or(Err(Code::RecordNotFound), |place| Ok(self.rid_at(place)))
    }

    /// What an answer from these records shows.
    pub(super) fn seen(&self, matches: &Matches) -> Seen {
        Seen::of(&self.index, matches)
    }

    /// What to ask besides a query.
    pub(super) fn suggest(&self, query: &Query) -> Result<Condition, Code> {
        let floor = self.rules.floor_for(query.purpose);
        let summary = |place| &*self.records.at(place).draft.content().summary;
        self.index.suggest(query, floor, summary)
    }

    fn rid_at(&self, place: u32) -> RecordId {
        self.records.at(place).draft.content().rid
    }

    /// What an answer shows of a record.
    fn row(&self, handle: Handle, place: u32) -> Row {
        let record = self.records.at(place);
        Row {
            handle,
            summary: record.draft.content().summary.clone(),
            region: self.directory.hospital_at(record.hospital).region,
            verified: self.directory.check_doctor(record.doctor).is_ok(),
            disputed: record.status == Status::Disputed,
            suspect: record.suspect,
        }
    }
}
