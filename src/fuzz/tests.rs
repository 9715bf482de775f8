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
    search(|search| {
        // The others take minutes without optimisation.
        let quick = ["raft", "pbft"];
        let entries = PROTOCOLS.iter().filter(|e| quick.contains(&e.spec.name));
        let both = Search {
            entries: entries.collect(),
            seeds: 3,
            ..*search
        };
        let report = both.run(&mut |_| true).unwrap();
        assert_eq!(report.len(), quick.len());
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

/// The canary: a guard is left out, the search notices, the scenario is made smaller, written down,
/// read, and fails again in the same way.
#[test]
fn a_broken_guard_is_noticed_and_the_smaller_scenario_replays_from_its_file() {
    let key = "protocol.raft.mutant".to_owned();
    let overrides = [(key, "commit-quorum-low".to_owned())];
    search(|search| {
        let raft = &PROTOCOLS[0];
        let broken = Search {
            entries: vec![raft],
            seeds: 200,
            overrides: &overrides,
            ..*search
        };
        let report = broken.run(&mut |report| report["raft"].findings.is_empty());
        let report = report.unwrap();
        let finding = report["raft"].findings.first().expect("somebody notices");
        let shrink = shrink::Shrink {
            entry: raft,
            known: search.known,
            runs_max: 60,
        };
        let small = shrink.shrink(&finding.scenario, &finding.failure);
        let troubles = |s: &Scenario| s.faults.len() + s.adversaries.len();
        assert!(troubles(&small.scenario) <= troubles(&finding.scenario));
        assert_eq!(small.failure.property, finding.failure.property);
        let text = small.scenario.to_yaml();
        assert!(text.contains("mutant: commit-quorum-low"), "{text}");
        let read = Scenario::parse("again", &text, &[], None, &search.known).unwrap();
        assert_eq!(judge(raft, &read).failure, Some(small.failure.clone()));
        let drawn = diagram(raft, &read, &small.failure);
        assert!(drawn.contains("->>"), "{drawn}");
    });
}

#[test]
fn a_smaller_scenario_that_is_refused_is_not_looked_at_any_further() {
    search(|search| {
        let entry = PROTOCOLS.iter().find(|entry| entry.spec.name == "mbft");
        let entry = entry.expect("it is known");
        let case = draw::draw(entry, &search.known, 1, &[]).unwrap();
        // Too few for its groups: there is no telling what they would promise.
        let mut scenario = case.scenario;
        scenario.nodes = 3;
        scenario.faults.clear();
        scenario.adversaries.clear();
        for site in &mut scenario.network.sites {
            site.nodes.retain(|node| node.index() < 3);
        }
        let refused = draw::settle(entry, &search.known, &scenario).unwrap_err();
        assert!(refused.to_string().contains("group"), "{refused}");
    });
}

#[test]
fn every_guard_that_can_be_left_out_has_a_name() {
    let counts: Vec<(&str, usize)> = PROTOCOLS
        .iter()
        .map(|entry| (entry.spec.name, mutants::of(entry).len()))
        .collect();
    assert!(counts.iter().all(|(_, count)| *count > 0), "{counts:?}");
    assert!(mutants::of_contract().len() > 20);
}
