//! What is drawn can be run, is the same again as text, and correct protocols survive it.

use super::*;
use crate::catalog::{Names, PROTOCOLS};

fn search<T>(test: impl FnOnce(&Search<'_>) -> T) -> T {
    let names = Names::all();
    test(&Search {
        entries: PROTOCOLS.iter().collect(),
        known: names.known(),
        first: 1,
        seeds: 4,
        overrides: &[],
        jobs: 2,
    })
}

#[test]
fn whatever_is_drawn_is_a_valid_scenario_that_reads_back_as_itself() {
    search(|search| {
        for entry in PROTOCOLS {
            for seed in 0..200 {
                let case = draw::draw(entry, &search.known, seed, &[]);
                let case = case.unwrap_or_else(|refusal| {
                    panic!("{} {seed}: {refusal}", entry.spec.name);
                });
                let text = case.scenario.to_yaml();
                let read = Scenario::parse("again", &text, &[], None, &search.known).unwrap();
                assert_eq!(read, case.scenario, "{} {seed}", entry.spec.name);
                let again = draw::draw(entry, &search.known, seed, &[]).unwrap();
                assert_eq!(again.scenario, case.scenario);
            }
        }
    });
}

#[test]
fn correct_protocols_survive_and_threads_make_no_difference() {
    search(|both| {
        let report = both.run(&mut |_| true).unwrap();
        assert_eq!(report.len(), PROTOCOLS.len());
        for (name, tally) in &report {
            assert_eq!(tally.seeds, both.seeds);
            let found: Vec<_> = tally
                .findings
                .iter()
                .map(|f| (f.seed, &f.failure))
                .collect();
            assert!(found.is_empty(), "{name}: {found:?}");
        }
    });
}
