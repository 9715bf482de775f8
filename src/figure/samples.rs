//! Rows as an experiment might leave them, made up from formulas, for the tests of figures.

use crate::base::random::{Random, Stream};
use crate::experiment::manifest::{FaultWindow, Manifest, Resolved};
use crate::experiment::table::{
    CallRow, ElectionRow, LatencyRow, MessageRow, Row, RunRecord, Tables, TimelineRow, ViolationRow,
};

/// What is swept, and by which values.
pub(super) type Sweep<'a> = (&'a str, &'a [&'a str]);

/// A manifest with one fault, for all points.
pub(super) fn manifest(points: u64) -> Manifest {
    let fault = |fault: &str, from_s: f64, until_s: Option<f64>| FaultWindow {
        fault: fault.into(),
        from_s,
        until_s,
    };
    let faults = vec![
        fault("partition", 20.0, Some(40.0)),
        fault("crash of the leader", 45.0, Some(50.0)),
    ];
    let resolved = |point| Resolved::new("scale", point, "about: x\n".into(), faults.clone());
    Manifest {
        command: "consilium sweep scenarios/experiments/scale.yaml".into(),
        version: "0.1.0".into(),
        commit: "0123456789ab".into(),
        experiment: "scale".into(),
        about: "How throughput and latency change with the number of hospitals in a consortium \
                on one wide-area network."
            .into(),
        figures: Vec::new(),
        runs: points,
        scenarios: (0..points).map(resolved).collect(),
    }
}

/// Runs of these protocols along one swept key.
pub(super) fn tables(protocols: &[&str], (key, values): Sweep<'_>, seeds: u64) -> Tables {
    let mut records = Vec::new();
    for protocol in protocols {
        for value in values {
            let point = records.len() as u64 / seeds;
            records.extend((0..seeds).map(|seed| run(protocol, (key, value), point, seed)));
        }
    }
    Tables::new(records).unwrap()
}

/// The means from which one run is made up.
struct Means {
    nodes: f64,
    throughput: f64,
    latency: f64,
    agreement: f64,
    byzantine: bool,
}

fn means(protocol: &str, key: &str, number: f64) -> Means {
    let given = |name: &str, usual: f64| if key.ends_with(name) { number } else { usual };
    let (n, delay) = (given("nodes", 7.0), given("latency", 12.0));
    let rank = super::theme::rank(protocol) as f64;
    let byzantine = protocol != "raft" && protocol != "iraft";
    let (work, hops) = if byzantine {
        (14_000.0, 5.0)
    } else {
        (60_000.0, 4.0)
    };
    let capacity = work / n / (1.0 + 0.2 * rank);
    let throughput = given("rate", 2000.0).min(capacity);
    let messages = if byzantine { 2.0 * n } else { 2.0 };
    Means {
        nodes: n,
        throughput,
        latency: hops * delay + (2.0 + rank) / (1.0 - (throughput / capacity).min(0.97)),
        agreement: messages * (n - 1.0),
        byzantine,
    }
}

fn run(protocol: &str, (key, value): (&str, &str), point: u64, seed: u64) -> RunRecord {
    let mut random = Random::new(seed * 1000 + point, Stream::Test);
    let mut noise = |by: f64| 1.0 + by * (random.bits() as f64 / u64::MAX as f64 - 0.5);
    let number = super::series::quantity(value).unwrap_or(0.0);
    let means = means(protocol, key, number);
    let throughput = means.throughput * noise(0.12);
    let p50 = means.latency * noise(0.15);
    let row = Row {
        experiment: "scale".into(),
        point,
        protocol: protocol.into(),
        nodes: means.nodes as u64,
        seed,
        status: "done".into(),
        fingerprint: format!("{:016x}", point * 7919 + seed),
        safety: if protocol == "raft" && seed == 3 {
            "violated"
        } else {
            "holds"
        }
        .into(),
        liveness: "holds".into(),
        throughput_tps: Some(throughput),
        latency_p50_ms: Some(p50),
        latency_p99_ms: Some(p50 * 2.5 * noise(0.3)),
        blocks: 1000,
        messages_per_block: Some(means.agreement * 1.1),
        identified_after_ms: (protocol == "iraft").then(|| 300.0 * noise(0.5)),
        swept: vec![(key.into(), value.into())],
        ..Row::default()
    };
    RunRecord {
        messages: messages(means.byzantine, means.agreement),
        timeline: (0..60)
            .map(|second| moment(second, throughput * noise(0.1), seed))
            .collect(),
        calls: vec![
            call("search", 0.2 * throughput, 0.1 * p50),
            call("submit", 0.8 * throughput, p50),
        ],
        refusals: Vec::new(),
        latencies: (0..=100).map(|q| latency(q, p50, noise(0.05))).collect(),
        elections: (0..6).map(|k| election(k, 180.0 * noise(1.0))).collect(),
        violations: violations(&row),
        measures: Vec::new(),
        row,
        speed: None,
    }
}

fn messages(byzantine: bool, agreement: f64) -> Vec<MessageRow> {
    let kinds: &[(&str, f64)] = if byzantine {
        &[
            ("pre-prepare", 0.05),
            ("prepare", 0.45),
            ("commit", 0.5),
            ("checkpoint", 0.1),
        ]
    } else {
        &[("append", 0.5), ("append-reply", 0.5), ("heartbeat", 0.1)]
    };
    let row = |(kind, share): &(&str, f64)| MessageRow {
        kind: (*kind).into(),
        count: (agreement * share * 1000.0) as u64,
        bytes: 0,
    };
    kinds.iter().map(row).collect()
}

fn call(kind: &str, goodput: f64, p50: f64) -> CallRow {
    CallRow {
        kind: kind.into(),
        goodput_tps: Some(goodput),
        latency_p50_ms: Some(p50),
        ..CallRow::default()
    }
}

fn moment(second: u64, committed: f64, seed: u64) -> TimelineRow {
    let down = (45..48).contains(&second);
    let leader = u64::from(second >= 48) + u64::from(second >= 20 + seed);
    TimelineRow {
        second,
        committed: if down { 0 } else { committed as u64 },
        leader: (!down).then_some(leader),
        view: Some(leader),
        ..TimelineRow::default()
    }
}

fn latency(percent: u32, median: f64, noise: f64) -> LatencyRow {
    let quantile = f64::from(percent) / 100.0;
    let tail = -libm::log(1.0 - quantile.min(0.999));
    LatencyRow {
        quantile,
        latency_ms: median * (0.6 + 0.58 * tail) * noise,
    }
}

fn election(index: u32, downtime_ms: f64) -> ElectionRow {
    ElectionRow {
        start_ms: f64::from(index) * 10_000.0,
        downtime_ms: Some(downtime_ms),
    }
}

fn violations(row: &Row) -> Vec<ViolationRow> {
    let violation = ViolationRow {
        time_ms: 1234.5678,
        property: "agreement".into(),
        nodes: "n0 n3".into(),
        height: Some(17),
        detail: "two blocks <decided> at one height".into(),
    };
    if row.safety == "violated" {
        vec![violation]
    } else {
        Vec::new()
    }
}
