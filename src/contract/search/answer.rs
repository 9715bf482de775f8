//! What is told of the records that match a query.

use std::sync::Arc;

use super::find::Work;
use super::index::Index;
use super::query::Query;
use crate::base::crypto::{Digest, Hasher};
use crate::contract::error::Code;
use crate::contract::message::RecordId;
use crate::contract::summary::Summary;

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
    /// Whether doctor or patient dispute the record.
    pub disputed: bool,
    /// Whether both, in settling a dispute, called it one to be read with care.
    pub suspect: bool,
}

/// The name of a row: 128 bits of a digest of the salt of its answer and the name of its record.
pub type Handle = [u8; 16];

/// What a search finds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// How many cases match, rounded down to a multiple of the floor. All pages together have as
    /// many rows; which of the cases are left out depends on the salt.
    pub about: u32,
    /// One page of them. The rows of all pages are in the order of their handles.
    pub rows: Vec<Row>,
}

/// Cases that an answer may be drawn from.
pub const MATCHES_MAX: usize = 500;
/// Rows on a page.
pub const PAGE: usize = 20;

/// The records that match a query, if they may be told: not too many, of enough patients.
#[derive(Clone, Debug)]
pub struct Matches {
    places: Vec<u32>,
    floor: usize,
    /// What it took to find them.
    pub work: Work,
}

impl Index {
    /// The records that match a query, which are of at least `floor` distinct patients.
    pub fn search(&self, query: &Query, floor: u32) -> Result<Matches, Code> {
        query.check_features()?;
        let (places, work) = self.matching(query, MATCHES_MAX + 1);
        let floor = floor.max(1) as usize;
        if places.len() > MATCHES_MAX {
            return Err(Code::TooBroad);
        }
        if !self.has_patients(&places, floor) {
            return Err(Code::TooFewResults);
        }
        Ok(Matches {
            places,
            floor,
            work,
        })
    }

    /// Whether records are of at least so many distinct patients.
    fn has_patients(&self, places: &[u32], floor: usize) -> bool {
        let mut patients = Vec::with_capacity(floor);
        for place in places {
            let patient = self.case(*place).patient;
            if !patients.contains(&patient) {
                patients.push(patient);
            }
            if patients.len() >= floor {
                return true;
            }
        }
        false
    }
}

impl Matches {
    /// The places of the records, ascending.
    pub fn places(&self) -> &[u32] {
        &self.places
    }

    /// Distinct patients that the answer needs, and has.
    pub(super) fn floor(&self) -> usize {
        self.floor
    }

    /// How many there are, rounded down to a multiple of the floor.
    pub fn about(&self) -> u32 {
        (self.places.len() / self.floor * self.floor) as u32
    }

    /// The rows of a page by handle and place, in the order of the handles. Refuses a page that
    /// the answer does not have.
    pub fn page(
        &self,
        page: u16,
        salt: &Digest,
        rid: impl Fn(u32) -> RecordId,
    ) -> Result<Vec<(Handle, u32)>, Code> {
        let from = usize::from(page) * PAGE;
        let to = (from + PAGE).min(self.about() as usize);
        if from >= to {
            return Err(Code::BadPage);
        }
        let mut rows = self.named(salt, rid);
        // Only the page itself is sorted; what comes before and after is only set apart.
        if to < rows.len() {
            rows.select_nth_unstable(to);
            rows.truncate(to);
        }
        if from > 0 {
            rows.select_nth_unstable(from);
            rows.drain(..from);
        }
        rows.sort_unstable();
        Ok(rows)
    }

    /// The place of the record that the answer calls by this handle.
    pub fn named_by(
        &self,
        handle: &Handle,
        salt: &Digest,
        rid: impl Fn(u32) -> RecordId,
    ) -> Option<u32> {
        let rows = self.named(salt, rid);
        let before = rows.iter().filter(|(other, _)| other < handle).count();
        let mut rows = rows.iter().filter(|(other, _)| other == handle);
        let (_, place) = rows.next().filter(|_| before < self.about() as usize)?;
        Some(*place)
    }

    /// All records with their handles.
    fn named(&self, salt: &Digest, rid: impl Fn(u32) -> RecordId) -> Vec<(Handle, u32)> {
        // The label and the salt fill the first block of the digest, which all handles share.
        let salted = Hasher::new("row of an answer").digest(salt);
        let named = self.places.iter().map(|&place| {
            let digest = salted.clone().digest(&rid(place).0).finish();
            let handle = digest.0[..16].try_into();
            (handle.expect("a digest has 32 bytes"), place)
        });
        named.collect()
    }
}
