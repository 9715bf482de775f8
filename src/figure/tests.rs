//! Figures come from rows alone, are the same every time, and show what the rows say.

use super::samples::{Sweep, manifest, tables};
use super::*;
use crate::experiment::store::scratch::Scratch;
use crate::experiment::table::{Row, RunRecord};

const TWO: &[&str] = &["raft", "pbft"];
const NODES: Sweep<'_> = ("nodes", &["4", "7", "16", "100"]);

fn names(tables: &Tables) -> Vec<&'static str> {
    let context = Context {
        manifest: &manifest(1),
    };
    let drawn = draw(tables, &context, None).unwrap();
    drawn.into_iter().map(|(figure, _)| figure.name).collect()
}

fn picture(name: &str, tables: &Tables) -> Picture {
    let manifest = manifest(tables.records().len() as u64);
    let context = Context {
        manifest: &manifest,
    };
    (find(name).unwrap().draw)(tables, &context).unwrap()
}

/// The words of a picture, in the order drawn.
fn words(picture: &Picture) -> Vec<String> {
    let texts = picture
        .svg
        .split("</text>")
        .filter_map(|part| part.rsplit_once(">\n"));
    texts
        .map(|(_, text)| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect()
}

#[test]
fn a_sweep_gets_the_figures_its_axis_allows() {
    let always = [
        "timeline",
        "latency-cdf",
        "downtime-cdf",
        "messages-by-kind",
    ];
    let along_any = ["goodput-by-kind", "latency-by-kind"];
    for (sweep, own) in [
        (
            NODES,
            &[
                "throughput-by-nodes",
                "latency-by-nodes",
                "tail-latency-by-nodes",
                "messages-by-nodes",
            ] as &[&str],
        ),
        (
            ("workload.rate", &["100/s", "500/s"]),
            &[
                "throughput-by-rate",
                "latency-by-rate",
                "latency-by-throughput",
            ],
        ),
        (
            ("network.within.latency", &["1ms", "1s"]),
            &["latency-by-delay"],
        ),
        (
            ("batch.max", &["1", "500"]),
            &["throughput-by-batch", "latency-by-batch"],
        ),
        (("faults", &["none", "a; b"]), &[]),
        (("nodes", &["7"]), &[]),
    ] {
        let kinds = along_any.into_iter().filter(|_| !own.is_empty());
        let expected: Vec<&str> = own.iter().copied().chain(always).chain(kinds).collect();
        assert_eq!(names(&tables(TWO, sweep, 3)), expected, "{sweep:?}");
    }
    let identified = names(&tables(&["iraft"], NODES, 3));
    assert!(
        identified.contains(&"identification-by-nodes"),
        "{identified:?}"
    );
}

#[test]
fn a_picture_names_its_axes_its_lines_its_seeds_and_its_formulas() {
    let picture = picture("messages-by-nodes", &tables(TWO, NODES, 5));
    let words = words(&picture);
    for word in [
        "Messages by number of nodes",
        "nodes, n",
        "consensus messages per block",
        "4",
        "7",
        "16",
        "100",
        "Raft",
        "PBFT",
        "Raft: 2(n \u{2212} 1)",
        "PBFT: 2n(n \u{2212} 1)",
        "Median of 5 seeds; band: least to greatest, a 93.8% interval of the median.",
    ] {
        assert!(
            words.iter().any(|found| found == word),
            "{word} in {words:?}"
        );
    }
    assert!(
        picture.caption.contains("Heartbeats"),
        "{}",
        picture.caption
    );
}

/// What is measured without upkeep lies on the formula: marker and dashed line share a place.
#[test]
fn upkeep_is_left_out_of_the_messages_of_a_block() {
    for record in tables(TWO, NODES, 2).records() {
        let n = record.row.nodes as f64;
        let formula = if record.row.protocol == "pbft" {
            2.0 * n * (n - 1.0)
        } else {
            2.0 * (n - 1.0)
        };
        let counted = curve::agreement_per_block(record).unwrap();
        assert!(
            (counted / formula - 1.0).abs() < 1e-3,
            "{counted} against {formula}"
        );
    }
}

#[test]
fn a_timeline_shades_faults_and_marks_changes_of_leader() {
    let picture = picture("timeline", &tables(&["pbft"], ("nodes", &["7"]), 1));
    let words = words(&picture);
    for word in [
        "partition",
        "crash of the leader",
        "leader change",
        "One run for each point.",
    ] {
        assert!(
            words.iter().any(|found| found == word),
            "{word} in {words:?}"
        );
    }
}

#[test]
fn nothing_that_is_no_number_reaches_a_picture() {
    for sweep in [
        NODES,
        ("workload.clients", &["10", "200"]),
        ("batch.max", &["1", "9"]),
    ] {
        let tables = tables(TWO, sweep, 2);
        for figure in names(&tables) {
            let svg = picture(figure, &tables).svg;
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{figure}");
            assert!(
                png::render(&svg).unwrap().starts_with(b"\x89PNG"),
                "{figure}"
            );
        }
    }
}

#[test]
fn a_folder_is_redrawn_to_the_same_bytes() {
    let folder = Scratch::new("redraw");
    let tables = tables(TWO, NODES, 3);
    tables.write_dir(&folder.0).unwrap();
    let mut manifest = manifest(8);
    manifest.figures = vec!["timeline".into(), "throughput-by-nodes".into()];
    manifest.write_dir(&folder.0).unwrap();
    let written = redraw(&folder.0, None).unwrap();
    let written: Vec<_> = written
        .iter()
        .map(|path| path.file_name().unwrap())
        .collect();
    assert_eq!(
        written,
        [
            "throughput-by-nodes.png",
            "throughput-by-nodes.svg",
            "timeline.png",
            "timeline.svg",
            "report.html"
        ]
    );
    for (name, bytes) in files(&tables, &manifest, None).unwrap() {
        assert_eq!(
            store::get(&folder.0.join(&name)).unwrap(),
            Some(bytes),
            "{name}"
        );
    }
    let one = redraw(&folder.0, Some(&["latency-cdf".to_owned()])).unwrap();
    assert_eq!(one.len(), 3, "{one:?}");
    let error = redraw(&folder.0, Some(&["latency-cfd".to_owned()])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no figure `latency-cfd`; did you mean `latency-cdf`?"
    );
}

#[test]
fn a_published_folder_is_redrawn_from_itself_alone() {
    let folder = Scratch::new("publish");
    let dir = folder.0.join("results");
    let written = publish(&dir, &tables(TWO, NODES, 2), &manifest(8)).unwrap();
    assert!(
        written.last().unwrap().ends_with("manifest.yaml"),
        "{written:?}"
    );
    let bytes = || -> Vec<Option<Vec<u8>>> {
        let read = written.iter().map(|path| store::get(path).unwrap());
        read.collect()
    };
    let before = bytes();
    redraw(&dir, None).unwrap();
    assert_eq!(bytes(), before);
    let mut wrong = manifest(8);
    wrong.figures = vec!["pie".into()];
    assert!(publish(&folder.0.join("other"), &tables(TWO, NODES, 2), &wrong).is_err());
    assert_eq!(
        folder.names(),
        ["results"],
        "nothing is written before all is known to be good"
    );
}

#[test]
fn a_folder_of_empty_or_strange_rows_is_no_reason_to_panic() {
    let folder = Scratch::new("redraw-empty");
    Tables::default().write_dir(&folder.0).unwrap();
    assert_eq!(
        redraw(&folder.0, None).unwrap(),
        [folder.0.join("report.html")]
    );
    let value = |x: f64| Some(x);
    let rows = [0.0, -1.0, 1e300, 1e-300].into_iter().enumerate();
    let records = rows.map(|(point, x)| RunRecord {
        row: Row {
            point: point as u64,
            nodes: [0, 1, u64::MAX, 4][point],
            throughput_tps: value(x),
            latency_p50_ms: value(x),
            latency_p99_ms: value(x),
            messages_per_block: value(x),
            swept: vec![
                (
                    "workload.rate".into(),
                    ["0", "1e300", "x", "-5"][point].into(),
                ),
                ("batch.max".into(), ["", "0", "1e-300", "9"][point].into()),
            ],
            ..Row::default()
        },
        latencies: vec![Default::default(); 2],
        elections: vec![Default::default(); 2],
        timeline: vec![Default::default(); 2],
        ..RunRecord::default()
    });
    Tables::new(records.collect())
        .unwrap()
        .write_dir(&folder.0)
        .unwrap();
    redraw(&folder.0, None).unwrap();
}

#[test]
fn the_report_is_complete_and_safe_to_open() {
    let tables = tables(TWO, NODES, 5);
    let mut manifest = manifest(8);
    manifest.about = "<script>alert(1)</script> & more".into();
    let context = Context {
        manifest: &manifest,
    };
    let drawn = draw(&tables, &context, None).unwrap();
    let html = report(&tables, &manifest, &drawn);
    assert!(
        !html.contains("<script"),
        "no script, whatever the texts say"
    );
    assert!(
        !html.contains("href=") && !html.contains("src=\""),
        "nothing is fetched"
    );
    for part in [
        "<meta charset=\"utf-8\">",
        "default-src 'none'",
        "&lt;script&gt;",
        "consilium sweep scenarios/experiments/scale.yaml",
        "40 runs: safety was violated in 4, liveness was violated in none.",
        "violated in 1 of 5",
        "two blocks &lt;decided&gt; at one height",
        "0123456789ab",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert_eq!(html.matches("<svg").count(), drawn.len());
    assert_eq!(
        html.matches("<figure").count(),
        html.matches("</figure>").count()
    );
    assert_eq!(
        html.matches("<tr>").count(),
        1 + 8 + 1 + 4,
        "a line for each point and violation"
    );
}

#[test]
fn names_of_figures_are_unique_and_listed_once() {
    for (index, figure) in FIGURES.iter().enumerate() {
        assert!(
            FIGURES[..index]
                .iter()
                .all(|other| other.name != figure.name)
        );
        assert!(figure.about.ends_with('.'), "{}", figure.name);
    }
    assert!(matches!(
        find("pie"),
        Err(Error::Unknown { nearest: None, .. })
    ));
}
