//! Little's law: in every run, as many transactions are on their way as come in a second times
//! the seconds each takes.

use super::{ONE_THREAD, outcome, scenario, yaml};
use crate::observe::metrics::Summary;

const PROTOCOLS: [&str; 2] = ["raft", "pbft"];

fn measure(protocol: &str, load: &str) -> Summary {
    let workload = format!("workload: {{ {load}, patients: 50, doctors: 5 }}");
    let lines = ["warmup: 1s", "batch: { max: 20, wait: 2ms }", &workload];
    let scenario = scenario(&yaml(4, protocol, "3s", &lines), 5);
    outcome(&scenario, ONE_THREAD, None).summary
}

/// Fails unless N = X·W within half a percent.
fn obeys_little(summary: &Summary, what: &str) {
    let (n, xw) = (summary.in_system_mean, summary.little_product);
    assert!(summary.committed > 100, "{what}: {}", summary.committed);
    assert!((n - xw).abs() <= 0.005 * n, "{what}: N = {n}, X·W = {xw}");
}

#[test]
fn closed_loops_hold_their_population() {
    for protocol in PROTOCOLS {
        for clients in [1, 10, 100] {
            let summary = measure(protocol, &format!("clients: {clients}"));
            obeys_little(&summary, &format!("{protocol}, {clients} clients"));
            let population = f64::from(clients);
            let waiting = summary.in_system_mean;
            assert!((waiting - population).abs() < 1e-9, "{protocol}: {waiting}");
        }
    }
}

#[test]
fn who_thinks_is_not_in_the_system() {
    for protocol in PROTOCOLS {
        let summary = measure(protocol, "clients: 20, think: 10ms");
        obeys_little(&summary, protocol);
        // The rest of the population thinks: X·(W + Z) is all of it.
        let thinking = summary.throughput_tps * 0.010;
        let all = summary.in_system_mean + thinking;
        assert!((all - 20.0).abs() < 0.1, "{protocol}: {all}");
    }
}

#[test]
fn open_loops_obey_the_same_law() {
    for protocol in PROTOCOLS {
        for load in ["rate: 200/s", "rate: 1000/s, even: true"] {
            let summary = measure(protocol, load);
            obeys_little(&summary, &format!("{protocol}, {load}"));
        }
    }
}
