//! What holds of the index.

use super::{Case, Coding, Index};
use crate::contract::message::RecordId;
use crate::contract::search::postings::{Postings, split};
use crate::contract::summary::Summary;

impl Postings {
    /// Whether a place is in the set.
    fn has(&self, place: u32) -> bool {
        let (key, low) = split(place);
        self.chunk(key).is_some_and(|chunk| chunk.contains(low))
    }
}

impl Index {
    /// Whether the index holds exactly these records, given by place, name, patient and summary,
    /// under exactly its features. Every pair of record and feature is looked for, and there are
    /// no more pairs than these.
    pub(in crate::contract) fn is_of<'a>(
        &self,
        records: impl Iterator<Item = (u32, &'a RecordId, u32, &'a Summary)>,
    ) -> bool {
        let (mut count, mut pairs) = (0, 0);
        let mut all = true;
        for (place, rid, patient, summary) in records {
            count += 1;
            pairs += pairs_of(summary);
            all &= self.has(place, summary);
            all &= self.patients.get(place as usize) == Some(&patient);
            all &= self.tags.get(place as usize) == Some(&rid.0.prefix());
        }
        let codes = self.codes.iter();
        let codes = codes.flat_map(|codes| codes.exact.values().chain(codes.groups.values()));
        let plain = [&self.sexes, &self.ages, &self.outcomes, &self.departments];
        let plain = plain.into_iter().flatten().chain(self.quarters.values());
        let sum: u64 = codes.chain(plain).map(|set| u64::from(set.len())).sum();
        all && count == self.len && pairs == sum
    }

    /// Whether a record is found under each of its features.
    fn has(&self, place: u32, summary: &Summary) -> bool {
        let under = |set: Option<&Postings>| set.is_some_and(|set| set.has(place));
        let coded = Coding::ALL
            .into_iter()
            .zip(&self.codes)
            .all(|(coding, codes)| {
                let mut terms = coding.codes(summary).iter();
                terms.all(|term| {
                    under(codes.exact.get(&term.key()))
                        && under(codes.groups.get(&term.group().key()))
                })
            });
        let case = Case {
            quarter: summary.quarter,
            age_band: summary.age_band,
            department: summary.department,
            sex: summary.sex,
            outcome: summary.outcome,
        };
        coded
            && under(self.sexes.get(summary.sex as usize))
            && under(self.ages.get(usize::from(summary.age_band)))
            && under(self.outcomes.get(summary.outcome as usize))
            && under(self.departments.get(usize::from(summary.department)))
            && under(self.quarters.get(&summary.quarter))
            && self.cases.get(place as usize) == Some(&case)
    }
}

/// Under how many features a record is found.
fn pairs_of(summary: &Summary) -> u64 {
    let coded = Coding::ALL.into_iter().map(|coding| {
        let terms = coding.codes(summary);
        let mut groups: Vec<u64> = terms.iter().map(|term| term.group().key()).collect();
        groups.sort_unstable();
        groups.dedup();
        (terms.len() + groups.len()) as u64
    });
    // Sex, age, outcome, department and quarter.
    coded.sum::<u64>() + 5
}
