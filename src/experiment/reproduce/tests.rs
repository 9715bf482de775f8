//! The targets are sound, and the cheap points give what the committed results say.

use std::path::Path;

use super::rows::{self, Row};
use super::*;
use crate::catalog::{Names, PROTOCOLS, TARGETS};
use crate::experiment::store::{self, scratch::Scratch};

/// Gives a test what it takes to run points.
fn with_conduct<T>(texts: &Texts, test: impl FnOnce(&Conduct<'_>) -> T) -> T {
    let names = Names::all();
    let known = names.known();
    test(&Conduct {
        entries: PROTOCOLS,
        known: &known,
        texts,
        done: &|| {},
    })
}

fn committed(target: &str) -> Vec<Row> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    let rows = rows::read_dir(&root.join(format!("reproduce-{target}"))).unwrap();
    rows.expect("the results of every target are committed")
}

#[test]
fn every_target_is_sound() {
    for target in TARGETS {
        with_conduct(&Texts::new(), |conduct| {
            assert_eq!(target.scenarios(conduct).unwrap().len(), target.points());
        });
        for template in target.templates() {
            let series = target.series.iter();
            let series = series.filter(|series| series.template.name == template.name);
            let fitted = series.flat_map(|series| series.points).filter(|p| p.fitted);
            let most = if template.constant.is_some() {
                1..=2
            } else {
                0..=0
            };
            assert!(most.contains(&fitted.count()), "{}", template.name);
        }
        for series in target.series {
            let panel = |panel: &&Panel| panel.quantity == series.quantity;
            assert_eq!(
                target.panels.iter().filter(panel).count(),
                1,
                "{}",
                series.name
            );
            assert!(series.points.windows(2).all(|pair| pair[0].x < pair[1].x));
            for point in series.points {
                let nodes = format!("{}", point.x);
                assert!(
                    point.set.contains(&("nodes", &nodes)),
                    "{} {nodes}",
                    series.name
                );
            }
        }
    }
}

#[test]
fn burst_rates_are_predicted_with_the_cost_of_the_latencies() {
    with_conduct(&Texts::new(), |conduct| {
        let cost = |template: &str| {
            let templates = TARGETS.iter().flat_map(Target::templates);
            let template = templates.into_iter().find(|t| t.name == template).unwrap();
            conduct.scenario(template, &[]).unwrap().machine.per_message
        };
        assert_eq!(cost("huang2021-pbft-burst"), cost("huang2021-pbft-latency"));
    });
}

/// Seven nodes of Raft and of PBFT are run again; neither is a point the constants were fitted on.
#[test]
fn frozen_constants_give_the_committed_values() {
    let target = &TARGETS[0];
    let rows = committed(target.name);
    with_conduct(&Texts::new(), |conduct| {
        for name in ["Raft", "PBFT"] {
            let series = target
                .series
                .iter()
                .find(|series| series.name == name)
                .unwrap();
            let point = series.points.iter().find(|point| point.x == 7.0).unwrap();
            let scenario = conduct.scenario(series.template, point.set).unwrap();
            let ours = conduct.ours(series, &scenario);
            let fresh = target.finding(series, point, ours);
            assert!(!fresh.row.fitted && !fresh.misses());
            let known = |row: &&Row| row.series == name && row.x == 7.0;
            assert_eq!(rows.iter().find(known), Some(&fresh.row));
        }
    });
}

/// Values that are known to be farther away than they may be: few members of a group work while
/// messages wait, and the published ones did not.
const MISSED: &[(&str, f64)] = &[
    ("RBFT 4 groups", 12.0),
    ("RBFT 4 groups", 20.0),
    ("RBFT 4 groups", 28.0),
    ("RBFT 4 groups", 40.0),
    ("RBFT 4 groups", 56.0),
    ("RBFT groups of 10", 40.0),
    ("RBFT groups of 10", 60.0),
];

/// All the committed values are where they are said to be, not only the cheap ones.
#[test]
fn committed_values_are_within_their_bounds() {
    for target in TARGETS {
        let rows = committed(target.name);
        assert_eq!(rows.len(), target.points() + target.ratios.len());
        let points = target
            .series
            .iter()
            .flat_map(|s| s.points.iter().map(move |p| (s, p)));
        for ((series, point), row) in points.zip(&rows) {
            let finding = target.finding(series, point, row.ours);
            assert_eq!(finding.row, *row);
            let latency = series.quantity == Quantity::Latency;
            let missed = latency && MISSED.contains(&(series.name, point.x));
            assert_eq!(finding.misses(), missed, "{row:?}");
        }
        for (ratio, row) in target.ratios.iter().zip(&rows[target.points()..]) {
            assert!(row.error_pct.unwrap().abs() <= ratio.within, "{row:?}");
        }
    }
}

#[test]
fn a_changed_scenario_changes_the_result() {
    let target = &TARGETS[0];
    let series = &target.series[0];
    let text = series
        .template
        .text
        .replace("latency: 30ms", "latency: 40ms");
    let texts = Texts::from([(series.template.name, ("mine.yaml".to_owned(), text))]);
    let ours = |texts: &Texts| {
        with_conduct(texts, |conduct| {
            let scenario = conduct
                .scenario(series.template, series.points[0].set)
                .unwrap();
            conduct.ours(series, &scenario).unwrap()
        })
    };
    // Three delays are left of four: the correction is a delay of the scenario, whatever it is.
    let more = ours(&texts) - ours(&Texts::new());
    assert!((more - 30.0).abs() < 1e-6, "{more}");
    let broken = Texts::from([(
        series.template.name,
        ("mine.yaml".to_owned(), "a: 1".into()),
    )]);
    let refusal = with_conduct(&broken, |conduct| target.reproduce(conduct).unwrap_err());
    assert!(refusal.to_string().contains("mine.yaml"), "{refusal}");
}

#[test]
fn the_table_has_the_promised_columns_and_reads_back() {
    let row = Row {
        target: "huang2021".into(),
        series: "PBFT".into(),
        x: 4.0,
        quantity: "latency_mean".into(),
        unit: "ms".into(),
        published: 147.37,
        ours: Some(130.062),
        error_pct: error(147.37, Some(130.062)),
        fitted: false,
        source: "a sheet; a column".into(),
    };
    let none = Row {
        ours: None,
        error_pct: None,
        fitted: true,
        ..row.clone()
    };
    let all = vec![row, none];
    let text = String::from_utf8(rows::print(&all)).unwrap();
    let first = "target,series,x,quantity,unit,published,ours,error_pct,fitted,source";
    assert_eq!(text.lines().next(), Some(first));
    assert_eq!(text.lines().nth(2).unwrap().matches(",,").count(), 1);
    let folder = Scratch::new("reproduce-rows");
    assert_eq!(rows::read_dir(&folder.0).unwrap(), None);
    store::put_one(&folder.0.join(rows::FILE), text.as_bytes()).unwrap();
    assert_eq!(rows::read_dir(&folder.0).unwrap(), Some(all));
}

#[test]
fn what_is_too_far_away_or_missing_misses() {
    let finding = |error_pct, within| Finding {
        row: Row {
            error_pct,
            ..Row::default()
        },
        deviation: None,
        within,
    };
    assert!(!finding(Some(-5.9), Some(6.0)).misses());
    assert!(finding(Some(-6.1), Some(6.0)).misses());
    assert!(finding(None, Some(6.0)).misses());
    assert!(!finding(Some(50.0), None).misses());
}
