//! The study by itself, and the index it studies against looking at every record.

use std::collections::BTreeSet;

use super::questions::question;
use super::register::Register;
use super::*;
use crate::contract::search::Condition;

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

/// A small study whose clock stands still but for a fixed time each question.
fn small() -> Study {
    let plan = Plan {
        seeds: 2,
        records: vec![500, 5_000],
        questions: 200,
        scanned: 3,
    };
    let stopwatch = |run: &mut dyn FnMut()| {
        run();
        0.25
    };
    study(&plan, &stopwatch, &|_| {})
}

#[test]
fn a_study_is_the_same_each_time_and_reads_back_as_written() {
    let one = small();
    assert_eq!(one, small());
    let files = one.files();
    let file = |name: &str| {
        let file = files.iter().find(|(own, _)| own == name);
        file.map(|(_, bytes)| bytes.clone())
    };
    assert_eq!(Study::read(file), Ok(one.clone()));
    let unmeasured = Study::read(|name| file(name).filter(|_| name != files::SPEEDS));
    assert_eq!(unmeasured.unwrap().findings, one.findings);
    let broken = Study::read(|_| Some(b"seed\nmany".to_vec())).unwrap_err();
    assert!(broken.starts_with("search.csv: "), "{broken}");
}

#[test]
fn what_a_study_tells_agrees_with_itself() {
    let study = small();
    assert_eq!(study.findings.len(), 2 * 2 * 3 * 2);
    assert_eq!(study.floors.len(), 2 * 2 * 6 * 4);
    for row in &study.findings {
        assert_eq!(row.answered + row.too_broad + row.too_few, row.questions);
        assert!(row.modelled_us_p50 <= row.modelled_us_p99);
        assert!(row.modelled_us_p99 <= row.modelled_us_max);
        assert!(row.matches_p50 <= row.matches_max);
        assert!(row.looked_mean <= f64::from(row.records));
    }
    // A scan takes ten times as long in ten times as many records, the index does not.
    let time = |method, records| {
        let rows = study.findings.iter();
        let mut rows = rows.filter(|f| (f.method, f.records, f.conditions) == (method, records, 3));
        rows.next().unwrap().modelled_us_p50
    };
    assert!(time(Method::Scan, 5_000) > 9.0 * time(Method::Scan, 500));
    assert!(time(Method::Index, 5_000) < 5.0 * time(Method::Index, 500));
    for kind in study.floors.chunks(4) {
        assert!(kind.is_sorted_by(|less, more| less.k_min < more.k_min));
        assert!(kind.is_sorted_by(|less, more| less.refused <= more.refused));
    }
    let share = |conditions| {
        let floors = study.floors.iter();
        let mut floors = floors.filter(|f| (f.conditions, f.k_min) == (conditions, 5));
        floors.next().unwrap().share
    };
    assert!(share(6) > share(1) + 0.2, "more conditions, fewer patients");
    assert!(
        study
            .speeds
            .iter()
            .all(|speed| speed.measured_us_p50 == 250_000.0)
    );
}

/// What a question is told to match is what looking at every record tells.
#[test]
fn a_question_is_told_as_a_scan_would() {
    let library = Library::new(3, 3_000);
    let mut answered = 0;
    for (conditions, query) in (1..=6).flat_map(|n| {
        let queries = library.questions(3, n, 40);
        queries.into_iter().map(move |query| (n, query))
    }) {
        assert_eq!(query.conditions.len(), conditions);
        let told = library.tell(&query);
        let scanned: Vec<u32> = scan(&library.register, &query).collect();
        assert_eq!(told.matches as usize, scanned.len());
        assert!(told.matches > 0, "the case at hand is one");
        let whose = |place: &u32| library.register.patients[*place as usize];
        let patients: BTreeSet<u32> = scanned.iter().map(whose).collect();
        assert_eq!(told.patients as usize, patients.len().min(20));
        assert_eq!(library.scan(&query), scanned.len());
        let rows = library.answer(&query);
        answered += usize::from(rows > 0);
        let told = if patients.len() < 5 || scanned.len() > 500 {
            0
        } else {
            scanned.len() / 5 * 5
        };
        assert_eq!(rows, told.min(20));
    }
    assert!(answered > 40, "{answered}");
}
