//! How long searches take, how much they find and how many are refused, by the number of records.

pub mod questions;
pub mod register;

#[cfg(test)]
mod tests {
    use super::questions::question;
    use super::register::Register;
    use crate::base::crypto::Hasher;
    use crate::base::random::{Random, Stream};
    use crate::contract::message::RecordId;
    use crate::contract::search::{Condition, Index, Query};

    /// Enough records for several chunks, and for lists and bitmaps in each; some left again.
    #[test]
    fn an_index_finds_what_a_scan_finds() {
        const RECORDS: u32 = 150_000;
        let register = Register::new(5, RECORDS);
        let mut index = Index::default();
        let all = register.cases.iter().zip(&register.patients).zip(0..);
        for ((case, patient), place) in all.clone() {
            let rid = RecordId(Hasher::new("rid").number(u64::from(place)).finish());
            index.insert(place, &rid, *patient, case);
        }
        let hidden = |place: u32| place % 7 == 3;
        for ((case, _), place) in all.filter(|(_, place)| hidden(*place)) {
            index.remove(place, case);
        }
        let mut random = Random::new(6, Stream::Test);
        let mut sizes = [0; 4];
        for turn in 0..300 {
            let like = &register.cases[random.below(RECORDS.into()) as usize];
            let mut query = question(&mut random, like, 1 + turn % 6);
            if turn % 4 == 0 && query.conditions.len() > 1 {
                // Without the code that all others are narrower by.
                query.conditions.remove(0);
            }
            let scanned = scan(&register, &query).filter(|place| !hidden(*place));
            let scanned: Vec<u32> = scanned.collect();
            let (found, work) = index.matching(&query, usize::MAX);
            assert_eq!(found, scanned, "{query:?} {work:?}");
            let (first, _) = index.matching(&query, 501);
            assert_eq!(first, scanned[..scanned.len().min(501)]);
            let decade = [10, 1_000, 10_000].partition_point(|size| *size < found.len());
            sizes[decade] += 1;
        }
        assert!(sizes.iter().all(|count| *count > 5), "{sizes:?}");
        assert_eq!(
            index.len(),
            RECORDS - (0..RECORDS).filter(|p| hidden(*p)).count() as u32
        );
    }

    fn scan(register: &Register, query: &Query) -> impl Iterator<Item = u32> {
        let cases = register.cases.iter().zip(0..);
        let holds = |case| move |condition: &Condition| condition.holds(case);
        cases
            .filter(move |(case, _)| query.conditions.iter().all(holds(case)))
            .map(|(_, place)| place)
    }
}
