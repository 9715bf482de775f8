//! Rows survive their files, and broken files are refused with their line.

use super::*;
use crate::experiment::store::scratch::Scratch;

fn row(point: u64, seed: u64) -> Row {
    let text = |text: &str| text.to_owned();
    Row {
        experiment: text("scale"),
        point,
        protocol: text("pbft"),
        nodes: 7,
        seed,
        status: text("done"),
        fingerprint: text("00ff"),
        safety: text("holds"),
        liveness: text("holds"),
        throughput_tps: Some(0.1 + 0.2),
        latency_p50_ms: Some(1.0),
        blocks: u64::MAX,
        swept: vec![
            (text("protocol"), text("pbft")),
            (text("network.within.latency"), text("[200us, 300us]")),
        ],
        ..Row::default()
    }
}

fn record(point: u64, seed: u64) -> RunRecord {
    let text = |text: &str| text.to_owned();
    RunRecord {
        row: row(point, seed),
        timeline: vec![
            TimelineRow::default(),
            TimelineRow {
                second: 1,
                committed: 5,
                latency_p50_ms: Some(2.5),
                leader: Some(3),
                ..TimelineRow::default()
            },
        ],
        messages: vec![MessageRow {
            kind: text("pre-prepare"),
            count: 6,
            bytes: 600,
        }],
        calls: calls(),
        refusals: vec![RefusalRow {
            kind: text("search"),
            code: text("E213"),
            count: 1,
            reason: text("TooFewResults"),
        }],
        latencies: vec![LatencyRow {
            quantile: 0.5,
            latency_ms: 2.0,
        }],
        elections: vec![
            ElectionRow {
                start_ms: 1.5,
                downtime_ms: Some(300.0),
            },
            ElectionRow {
                start_ms: 59_900.0,
                downtime_ms: None,
            },
        ],
        measures: vec![MeasureRow {
            measure: "migration-ms".into(),
            at: Some(64.0),
            value: 12.5,
        }],
        violations: vec![ViolationRow {
            time_ms: 1.0,
            property: text("agreement"),
            nodes: text("n0 n1"),
            height: Some(4),
            detail: text("two blocks, \"one\" height"),
        }],
        speed: Some(SpeedRow {
            wall_s: 0.25,
            events: 10,
            events_per_s: Some(40.0),
            peak_mib: None,
        }),
    }
}

fn calls() -> Vec<CallRow> {
    vec![
        CallRow {
            kind: "search".to_owned(),
            submitted: 3,
            accepted: 2,
            refused: 1,
            goodput_tps: Some(0.5),
            latency_p50_ms: Some(4.0),
            ..CallRow::default()
        },
        CallRow {
            kind: "submit".to_owned(),
            ..CallRow::default()
        },
    ]
}

fn tables() -> Tables {
    Tables::new(vec![record(1, 8), record(0, 9), record(0, 8)]).unwrap()
}

#[test]
fn what_is_written_reads_back_equal() {
    let folder = Scratch::new("tables");
    let written = tables().write_dir(&folder.0).unwrap();
    assert_eq!(written.len(), 10);
    assert_eq!(Tables::read_dir(&folder.0).unwrap(), tables());
    let order: Vec<(u64, u64)> = tables()
        .records()
        .iter()
        .map(|record| (record.row.point, record.row.seed))
        .collect();
    assert_eq!(order, [(0, 8), (0, 9), (1, 8)]);
}

#[test]
fn an_archive_holds_all_files_in_one() {
    let archive = tables().to_archive();
    let path = Path::new("runs/000012");
    assert_eq!(Tables::from_archive(path, &archive).unwrap(), tables());
    let quiet = Tables::new(vec![RunRecord::default()]).unwrap();
    assert_eq!(
        Tables::from_archive(path, &quiet.to_archive()).unwrap(),
        quiet
    );
    let error = Tables::from_archive(path, b",timeline.csv\n").unwrap_err();
    assert!(error.to_string().contains("000012/runs.csv"), "{error}");
    let cut = &archive[..archive.len() - 12];
    assert!(
        Tables::from_archive(path, cut).is_err(),
        "a torn line is refused"
    );
}

#[test]
fn every_column_is_explained() {
    for (file, columns) in all_columns() {
        for column in columns {
            assert!(column.about.ends_with('.'), "{file} {}", column.name);
        }
    }
}

#[test]
fn the_columns_are_those_promised() {
    let files = tables().files();
    let first = |name: &str| {
        let (_, bytes) = files.iter().find(|(file, _)| file == name).unwrap();
        String::from_utf8(bytes.clone())
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        first("runs.csv"),
        "experiment,point,protocol,nodes,seed,status,fingerprint,safety,liveness,submitted,\
         committed,accepted,refused,throughput_tps,goodput_tps,latency_mean_ms,latency_p50_ms,\
         latency_p90_ms,latency_p99_ms,latency_max_ms,consensus_latency_mean_ms,blocks,messages,\
         bytes,messages_per_block,signatures,verifications,leader_changes,violations,byzantine,\
         convicted,convicted_wrongly,identified_after_ms,simulated_s,client_messages,\
         client_bytes,events,endorsements,retries,conflicts,conflict_rate,contacts,\
         contact_latency_mean_ms,contact_latency_p50_ms,contact_latency_p99_ms,\
         identified_by_all_ms,misapplied,\
         network.within.latency"
    );
    assert_eq!(
        first("timeline.csv"),
        "experiment,point,protocol,seed,second,committed,latency_p50_ms,latency_p99_ms,messages,\
         leader,view"
    );
    assert_eq!(
        first("messages.csv"),
        "experiment,point,protocol,seed,kind,count,bytes"
    );
    assert_eq!(
        first("calls.csv"),
        "experiment,point,protocol,seed,kind,submitted,accepted,refused,goodput_tps,\
         latency_mean_ms,latency_p50_ms,latency_p99_ms"
    );
    assert_eq!(
        first("refusals.csv"),
        "experiment,point,protocol,seed,kind,code,count,reason"
    );
    assert_eq!(
        first("speed.csv"),
        "experiment,point,seed,wall_s,events,events_per_s,peak_mib"
    );
}

#[test]
fn no_value_needs_quotes_and_lines_end_with_a_line_feed() {
    for (name, bytes) in tables().files() {
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            !text.contains(['"', '\r']) && text.ends_with('\n'),
            "{name}"
        );
        let cells = text.lines().next().unwrap().split(',').count();
        assert!(
            text.lines().all(|line| line.split(',').count() == cells),
            "{name}"
        );
    }
}

#[test]
fn a_swept_key_that_says_more_than_its_column_keeps_a_column() {
    let mut run = record(0, 1);
    run.row.swept = vec![("protocol".into(), "pbft: {view_timeout: 1s}".into())];
    let tables = Tables::new(vec![run]).unwrap();
    assert_eq!(tables.swept_keys(), ["protocol.value"]);
}

#[test]
fn files_without_a_row_are_removed_and_one_run_twice_is_refused() {
    let folder = Scratch::new("tables-quiet");
    tables().write_dir(&folder.0).unwrap();
    let mut quiet = record(0, 8);
    (quiet.violations, quiet.refusals, quiet.speed) = (Vec::new(), Vec::new(), None);
    Tables::new(vec![quiet])
        .unwrap()
        .write_dir(&folder.0)
        .unwrap();
    let names = folder.names();
    assert!(!names.contains(&"refusals.csv".to_owned()), "{names:?}");
    assert!(!names.contains(&"violations.csv".to_owned()), "{names:?}");
    assert!(!names.contains(&"speed.csv".to_owned()), "{names:?}");
    let error = Tables::new(vec![record(3, 8), record(3, 8)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the run of scale, point 3, seed 8 appears twice"
    );
}

#[test]
fn numbers_are_found_by_the_name_of_their_column() {
    let row = record(0, 8).row;
    assert_eq!(row.number("nodes"), Some(7.0));
    assert_eq!(row.number("latency_p50_ms"), Some(1.0));
    assert_eq!(row.number("latency_p99_ms"), None);
    assert_eq!(
        row.number("fingerprint"),
        None,
        "text, even if it looks like a number"
    );
    assert_eq!(row.number("nonsense"), None);
}

/// Replaces one file of a good folder and says what reading it answers.
fn broken(name: &str, change: impl Fn(&str) -> Vec<u8>) -> String {
    let folder = Scratch::new(&format!("tables-broken-{name}"));
    tables().write_dir(&folder.0).unwrap();
    let path = folder.0.join(name);
    let text = String::from_utf8(store::get(&path).unwrap().unwrap()).unwrap();
    store::put_one(&path, &change(&text)).unwrap();
    let error = Tables::read_dir(&folder.0).unwrap_err().to_string();
    error.replace(&folder.0.display().to_string(), "DIR")
}

#[test]
fn broken_files_are_refused_with_their_line() {
    let replaced = |from: &'static str, to: &'static str| {
        move |text: &str| text.replacen(from, to, 1).into_bytes()
    };
    assert_eq!(
        broken("runs.csv", replaced("scale,0,pbft,7", "scale,0,pbft,x")),
        "DIR/runs.csv:2: column `nodes`: `x` is not a count"
    );
    assert_eq!(
        broken("runs.csv", replaced("0.30000000000000004", "NaN")),
        "DIR/runs.csv:2: column `throughput_tps`: `NaN` is not a finite number"
    );
    assert_eq!(
        broken(
            "timeline.csv",
            replaced("scale,0,pbft,9,1", "scale,5,pbft,9,1")
        ),
        "DIR/timeline.csv:5: the run of scale, point 5, seed 9 is not in runs.csv"
    );
    assert_eq!(
        broken("messages.csv", replaced(",600", "")),
        "DIR/messages.csv:2: the line has 6 cells where the first line has 7"
    );
    assert_eq!(
        broken("elections.csv", replaced("1.5", "")),
        "DIR/elections.csv:2: column `start_ms`: `` is not a number"
    );
    assert!(broken("latencies.csv", |_| Vec::new()).starts_with("DIR/latencies.csv:1: expected"));
    assert!(broken("runs.csv", |_| b"a,b\n1,2\n".to_vec()).contains("found `a,b`"));
    let garbled = broken("messages.csv", |text| {
        [text.as_bytes(), b"\xff,1\n"].concat()
    });
    assert!(garbled.starts_with("DIR/messages.csv:5: "), "{garbled}");
}

#[test]
fn a_folder_without_runs_is_refused_and_one_with_none_is_empty() {
    let folder = Scratch::new("tables-none");
    assert!(Tables::read_dir(&folder.0).is_err());
    Tables::default().write_dir(&folder.0).unwrap();
    assert_eq!(Tables::read_dir(&folder.0).unwrap(), Tables::default());
}
