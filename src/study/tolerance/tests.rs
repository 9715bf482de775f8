//! What is counted and what is simulated, held against one another and against the bounds.

use super::*;

const SMALL: u64 = 3_000;

fn rows(trials: u64) -> Vec<Row> {
    study(&Plan {
        trials,
        ..Plan::default()
    })
}

/// Of the intervals that hold the true value in 95% of cases, some do not. Those of five standard
/// deviations do, all of them.
#[test]
fn the_simulation_agrees_with_the_formula_within_its_interval() {
    let rows = rows(SMALL);
    let random = rows.iter().filter(|row| row.placement == Placement::Random);
    let (mut inside, mut all) = (0, 0);
    for row in random.filter(|row| row.scheme != Scheme::Flat) {
        let (low, high) = wilson(row.lost, row.trials, 5.0);
        assert!(low <= row.exact && row.exact <= high, "{row:?}");
        inside += u32::from(row.low <= row.exact && row.exact <= row.high);
        all += 1;
    }
    assert!(inside * 100 >= all * 92, "{inside} of {all}");
}

#[test]
fn where_nothing_is_left_to_chance_both_are_the_same() {
    for row in rows(SMALL) {
        if row.placement == Placement::Adversarial || row.scheme == Scheme::Flat {
            assert_eq!(row.exact, row.simulated, "{row:?}");
            assert!(row.exact == 0.0 || row.exact == 1.0);
        }
    }
}

/// The least number of Byzantine nodes that can break each, placed as badly as possible.
#[test]
fn the_bounds_are_those_of_the_analysis() {
    let rows = rows(1);
    let first = |groups, scheme, placement| {
        let mut lost = rows.iter().filter(|row| row.exact > 0.0);
        let case =
            |row: &&Row| (row.groups, row.scheme, row.placement) == (groups, scheme, placement);
        lost.find(case).unwrap().byzantine
    };
    for (groups, leaders, certified) in [(4, 2, 18), (10, 4, 16)] {
        assert_eq!(first(groups, Scheme::Flat, Placement::Random), 34);
        // Chance can do at best what the adversary does.
        for placement in [Placement::Random, Placement::Adversarial] {
            assert_eq!(first(groups, Scheme::Leaders, placement), leaders);
            assert_eq!(first(groups, Scheme::Certified, placement), certified);
        }
    }
}

/// Shares of 40,000 trials of an earlier simulation of leaders that are captured by chance.
#[test]
fn shares_known_from_elsewhere_come_out() {
    let rows = rows(1);
    let exact = |groups, byzantine| {
        let mut leaders = rows.iter().filter(|row| row.scheme == Scheme::Leaders);
        let found = leaders.find(|row| row.groups == groups && row.byzantine == byzantine);
        found.unwrap().exact
    };
    for (groups, byzantine, percent) in [
        (4, 10, 5.0),
        (4, 20, 17.6),
        (4, 30, 35.0),
        (10, 10, 0.8),
        (10, 20, 11.0),
        (10, 30, 34.0),
    ] {
        let found = 100.0 * exact(groups, byzantine);
        assert!(
            (found - percent).abs() < 1.0,
            "{groups} groups, {byzantine}: {found}"
        );
    }
}

#[test]
fn rows_are_read_as_they_are_written() {
    let rows = rows(10);
    let (name, bytes) = files::files(&rows).remove(0);
    assert_eq!(name, files::ROWS);
    assert_eq!(files::read(Some(bytes)), Ok(rows));
    assert!(files::read(Some(b"nodes\nmany\n".to_vec())).is_err());
}

#[test]
fn an_interval_never_excludes_what_was_seen() {
    assert_eq!(wilson(0, 100, Z95).0, 0.0);
    assert_eq!(wilson(100, 100, Z95).1, 1.0);
    let (low, high) = wilson(50, 100, Z95);
    assert!((low - 0.4038).abs() < 1e-4 && (high - 0.5962).abs() < 1e-4);
}
