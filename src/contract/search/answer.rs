//! What is told of the records that match a query.

use std::sync::Arc;

use super::find::Work;
use super::index::Index;
use super::query::Query;
use crate::base::crypto::{Digest, Hasher};
use crate::base::random::mix;
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

/// The name of a row in its answer: the number of the row in two bytes, and 112 bits of a digest
/// of the salt of the answer and the name of the record.
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
            let patient = self.patient(*place);
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

    /// The places of the records on a page, and the number of the first of them. Refuses a page
    /// that the answer does not have.
    pub fn page(&self, index: &Index, page: u16, salt: &Digest) -> Result<(u16, Vec<u32>), Code> {
        let from = usize::from(page) * PAGE;
        let to = (from + PAGE).min(self.about() as usize);
        if from >= to {
            return Err(Code::BadPage);
        }
        let mut order = self.order(index, salt);
        // Only the page itself is sorted; what comes before and after is only set apart.
        if to < order.len() {
            order.select_nth_unstable(to);
            order.truncate(to);
        }
        if from > 0 {
            order.select_nth_unstable(from);
        }
        order[from..].sort_unstable();
        let places = order[from..].iter().map(|(_, place)| *place);
        Ok((from as u16, places.collect()))
    }

    /// The place of the record that an answer calls by this handle. The number in it is that of a
    /// row when it was told; the record is still the same if others have come or gone since.
    pub fn named_by(
        &self,
        name: &Handle,
        salt: &Digest,
        rid: impl Fn(u32) -> RecordId,
    ) -> Option<u32> {
        let number = u16::from_be_bytes([name[0], name[1]]);
        let handles = Handles::new(salt);
        let mut places = self.places.iter().copied();
        places.find(|&place| *name == handles.name(number, &rid(place)))
    }

    /// All records with what they are ordered by. Who has the salt but does not know all records
    /// that match cannot tell the order, and learns nothing about names from it.
    fn order(&self, index: &Index, salt: &Digest) -> Vec<(u64, u32)> {
        let tagged = self.places.iter().map(|&place| (index.tag(place), place));
        let mut order: Vec<(u64, u32)> = tagged.collect();
        let all = order
            .iter()
            .fold(0, |sum: u64, (tag, _)| sum.wrapping_add(mix(0, *tag)));
        let key = Hasher::new("order of an answer").digest(salt).number(all);
        let key = key.finish().prefix();
        order.iter_mut().for_each(|(tag, _)| *tag = mix(key, *tag));
        order
    }
}

/// What makes the names of the rows of one answer.
#[derive(Debug)]
pub struct Handles(Hasher);

impl Handles {
    /// Of the answer with a salt.
    pub fn new(salt: &Digest) -> Self {
        // The label and the salt fill the first block of the digest, which all handles share.
        Self(Hasher::new("row of an answer").digest(salt))
    }

    /// The name of the row with a number.
    pub fn name(&self, number: u16, rid: &RecordId) -> Handle {
        let digest = self.0.clone().digest(&rid.0).finish();
        let mut handle = [0; 16];
        handle.copy_from_slice(&digest.0[..16]);
        handle[..2].copy_from_slice(&number.to_be_bytes());
        handle
    }
}
