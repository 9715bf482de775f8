//! `consilium bench`: how fast the simulator is here. Every ratio is of two measurements of one
//! run of the program, because machines differ and are shared.

use super::say::{note, say};
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::clock;
use crate::base::time::Span;
use crate::bench::contract::{self, Archive};
use crate::bench::{vote, voting};
use crate::catalog::{self, Names};
use crate::contract::SignedCall;
use crate::scenario::Scenario;
use crate::scenario::run::Outcome;
use crate::sim::Kernel;

/// One thread, the fast kernel.
const WINDOWS: Kernel = Kernel::Windows { threads: 1 };

/// Rates by number of nodes.
type Rates = BTreeMap<usize, f64>;

/// Submissions that are signed at a time.
const CHUNK: u64 = 10_000;

/// The contract by itself.
struct Contract {
    /// Of calls that a chain orders.
    tx_per_s: f64,
    /// Of these and the searches that a node answers by itself.
    calls_per_s: f64,
    submissions_per_s: f64,
    /// By which the process grew for its records, where the system tells.
    mib: Option<f64>,
    search_us: f64,
}

/// Everything measured.
struct Gauge {
    fast: bool,
    quiet: bool,
}

impl Gauge {
    fn tell(&self, what: &str) {
        if !self.quiet {
            note(format_args!("{what}"));
        }
    }

    /// Deliveries per second of bare voting; the better of two runs.
    fn kernel(&self, nodes: usize, kernel: Kernel) -> f64 {
        let rounds = if self.fast { 4_000_000 } else { 30_000_000 } / (nodes * nodes);
        let until = Span::from_millis(2) * (rounds.max(1) as u64);
        let once = || {
            let simulation = voting(nodes, until);
            let (ended, wall_s) = clock::stopwatch(|| vote(simulation, kernel));
            ended.totals.delivered as f64 / wall_s
        };
        self.tell(&format!("kernel, {nodes} nodes, {kernel:?}"));
        once().max(once())
    }

    /// Deliveries per second of PBFT with real handlers, a priced machine and all checks; the
    /// better of two runs.
    fn pbft(&self, nodes: usize, kernel: Kernel) -> f64 {
        self.tell(&format!("pbft, {nodes} nodes, {kernel:?}"));
        let decisions = if self.fast { 2 } else { 6 } * (1_000_000 / (nodes * nodes)).max(1);
        let once = || {
            let (outcome, wall_s) = decide(nodes, decisions, kernel);
            outcome.totals.delivered as f64 / wall_s
        };
        once().max(once())
    }

    /// What the contract does by itself.
    fn contract(&self) -> Contract {
        let records = if self.fast { 100_000 } else { 1_000_000 };
        self.tell(&format!("contract, {records} records"));
        let before = clock::resident_mib();
        let mut archive = Archive::empty();
        let mut enter_s = 0.0;
        for _ in 0..records / CHUNK {
            let submissions = archive.submissions(CHUNK);
            enter_s += clock::stopwatch(|| archive.enter(&submissions)).1;
        }
        let mib = clock::resident_mib()
            .zip(before)
            .map(|(now, then)| now - then);
        let questions = archive.questions(500);
        let (found, ask_s) = clock::stopwatch(|| archive.ask(&questions));
        assert!(found > 0, "some searches find something");
        drop(archive);
        self.tell("contract, the default mix");
        let calls = if self.fast { 20_000 } else { 100_000 };
        let (genesis, calls) = contract::mixed(calls);
        let rate = |calls: &[SignedCall]| {
            let mut state = genesis.clone();
            let (_, wall_s) = clock::stopwatch(|| contract::execute(&mut state, 0, calls));
            calls.len() as f64 / wall_s
        };
        let ordered = calls.iter().filter(|call| !call.reads_only());
        let ordered: Vec<SignedCall> = ordered.cloned().collect();
        Contract {
            tx_per_s: rate(&ordered).max(rate(&ordered)),
            calls_per_s: rate(&calls).max(rate(&calls)),
            submissions_per_s: records as f64 / enter_s,
            mib,
            search_us: ask_s * 1e6 / questions.len() as f64,
        }
    }

    fn by_nodes(&self, nodes: &[usize], rate: impl Fn(usize) -> f64) -> Rates {
        nodes.iter().map(|&nodes| (nodes, rate(nodes))).collect()
    }
}

/// Lets PBFT decide about so many batches, one after the other, with all checks on.
fn decide(nodes: usize, decisions: usize, kernel: Kernel) -> (Outcome, f64) {
    // One decision takes three rounds of a LAN and the processing of 2n votes at 65 µs.
    let milliseconds = 4 + nodes * 13 / 100 * decisions;
    let yaml = format!(
        "about: One decision after another.\nseed: 1\nduration: {milliseconds}ms\nnodes: {nodes}\n\
         protocol: {{ pbft: {{ view_timeout: 100s, pipeline: 1 }} }}\n\
         batch: {{ max: 10, wait: 1ms }}\n\
         network: {{ within: {{ latency: {{ lognormal: {{ median: 300us, p99: 900us }} }}, \
         bandwidth: 10Gbps }} }}\n\
         workload: {{ clients: 10, retry: 1000s, patients: 100, doctors: 10 }}\n"
    );
    let names = Names::all();
    let scenario = Scenario::parse("bench", &yaml, &[], None, &names.known());
    let scenario = scenario.expect("the scenario of the bench is valid");
    let entry = catalog::protocol("pbft").expect("pbft is in the catalogue");
    clock::stopwatch(|| (entry.run)(&scenario, kernel, None))
}

/// Measures and prints.
pub fn gauge(as_json: bool, fast: bool, quiet: bool) {
    let gauge = Gauge { fast, quiet };
    let small = [100, 1000];
    let wide: &[usize] = if fast {
        &[100, 1000]
    } else {
        &[100, 1000, 4000]
    };
    // Memory first: what the process has held once it never gives back to this figure.
    let (one, _) = decide(1000, 1, WINDOWS);
    let pbft_peak_mib = clock::peak_mib();
    assert!(one.summary.blocks > 0, "a decision was made");
    let contract = gauge.contract();
    let pbft = gauge.by_nodes(&small, |nodes| gauge.pbft(nodes, WINDOWS));
    let pbft_heap = gauge.pbft(1000, Kernel::Heap);
    let kernel = gauge.by_nodes(wide, |nodes| gauge.kernel(nodes, WINDOWS));
    let heap = gauge.by_nodes(&small, |nodes| gauge.kernel(nodes, Kernel::Heap));
    let two = gauge.kernel(1000, Kernel::Windows { threads: 2 });
    let four_thousand = (!fast).then(|| {
        gauge.tell("pbft, one decision of 4096 nodes");
        let (outcome, wall_s) = decide(4096, 1, WINDOWS);
        json!({ "blocks": outcome.summary.blocks, "wall_s": wall_s, "peak_mib": clock::peak_mib() })
    });
    let slowest = kernel.values().copied().fold(f64::INFINITY, f64::min);
    let fastest = kernel.values().copied().fold(0.0, f64::max);
    let result = json!({
        "contract_tx_per_s": contract.tx_per_s.round(),
        "contract_calls_per_s": contract.calls_per_s.round(),
        "contract_submit_per_s": contract.submissions_per_s.round(),
        "contract_million_records_mib": contract.mib,
        "contract_search_us": contract.search_us,
        "heap_deliveries_per_s": by_text(&heap),
        "kernel_deliveries_per_s": by_text(&kernel),
        "pbft_deliveries_per_s": by_text(&pbft),
        "pbft_heap_deliveries_per_s": by_text(&Rates::from([(1000, pbft_heap)])),
        "pbft_peak_mib": pbft_peak_mib,
        "pbft_4096": four_thousand,
        "kernel_over_heap_1000": kernel[&1000] / heap[&1000],
        "pbft_over_heap_1000": pbft[&1000] / pbft_heap,
        "ns_per_delivery_spread": fastest / slowest,
        "threads_speedup": two / kernel[&1000],
    });
    if as_json {
        say(format_args!("{result}"));
    } else {
        print_lines("", &result);
    }
}

fn by_text(rates: &Rates) -> Value {
    rates
        .iter()
        .map(|(nodes, rate)| (nodes.to_string(), json!(rate.round())))
        .collect()
}

/// One line a number, nested names joined by points.
fn print_lines(name: &str, value: &Value) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let name = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}.{key}")
                };
                print_lines(&name, value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            say(format_args!("{name:<36} {value}"));
        }
    }
}
