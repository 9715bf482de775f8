//! Whole simulations held against theory, and against themselves with one guard broken.
//!
//! Where theory gives a number (messages per block, latency to the nanosecond, Little's law, the
//! time without a leader), the simulation must give the same. Where a guard of a protocol is
//! left out, the checks must notice. Everything goes through scenarios and the public interface.

mod broken;
mod byzantine;
mod counts;
mod determinism;
mod elections;
mod endorsed;
mod forensics;
mod iraft;
mod krbft;
mod latency;
mod layers;
mod limits;
mod mbft;
pub(crate) mod oracle;
mod population;
mod reads;
mod sparse;

use crate::protocol::iraft::Iraft;
use crate::protocol::krbft::Krbft;
use crate::protocol::layers::Layers;
use crate::protocol::mbft::Mbft;
use crate::protocol::pbft::Pbft;
use crate::protocol::raft::Raft;
use crate::scenario::run::{Outcome, run};
use crate::scenario::{COLUMNS, Known, ProtocolSpec, Scenario};
use crate::sim::Kernel;
use crate::sim::event::Observer;

const PROTOCOLS: &[ProtocolSpec] = &[
    ProtocolSpec::of::<Raft>(),
    ProtocolSpec::of::<Iraft>(),
    ProtocolSpec::of::<Pbft>(),
    ProtocolSpec::of::<Mbft>(),
    ProtocolSpec::of::<Krbft>(),
    ProtocolSpec::of::<Layers>(),
];

const KNOWN: Known<'static> = Known {
    protocols: PROTOCOLS,
    columns: COLUMNS,
    figures: &[],
};

/// The kernel of tests that do not compare kernels.
const ONE_THREAD: Kernel = Kernel::Windows { threads: 1 };

/// A machine on which nothing takes time.
const FREE: &str = "machine: { per_message: 0ms, per_kilobyte: 0ms, sign: 0ms, verify: 0ms, \
                    execute: 0ms, sync: 0ms }";

/// Every transaction is a batch of its own, at once.
const ONE_BY_ONE: &str = "batch: { max: 1, wait: 0ms }";

/// A scenario of so many nodes; `lines` are its other first-level keys.
fn yaml(nodes: usize, protocol: &str, duration: &str, lines: &[&str]) -> String {
    let lines = lines.join("\n");
    format!(
        "about: A test.\nseed: 1\nnodes: {nodes}\nprotocol: {protocol}\nduration: {duration}\n\
         {lines}\n"
    )
}

/// A network of one site where every message takes as long and fills no link.
fn constant(latency: &str) -> String {
    format!("network: {{ within: {{ latency: {latency}, bandwidth: unlimited }} }}")
}

/// Reads a scenario.
fn scenario(yaml: &str, seed: u64) -> Scenario {
    let read = Scenario::parse("test.yaml", yaml, &[], Some(seed), &KNOWN);
    read.unwrap_or_else(|refusal| panic!("{refusal}\n{yaml}"))
}

/// Runs a scenario with its protocol.
fn outcome(scenario: &Scenario, kernel: Kernel, guest: Option<&mut dyn Observer>) -> Outcome {
    match scenario.protocol.name.as_str() {
        "raft" => run::<Raft>(scenario, kernel, guest),
        "iraft" => run::<Iraft>(scenario, kernel, guest),
        "krbft" => run::<Krbft>(scenario, kernel, guest),
        "pbft" => run::<Pbft>(scenario, kernel, guest),
        "mbft" => run::<Mbft>(scenario, kernel, guest),
        "layers" => run::<Layers>(scenario, kernel, guest),
        other => panic!("no test runs {other}"),
    }
}

/// The numbers of nodes the tests are fond of, with the faults PBFT survives and its quorums.
const PBFT_SIZES: [(usize, usize, usize); 5] =
    [(4, 1, 3), (5, 1, 4), (6, 1, 4), (7, 2, 5), (10, 3, 7)];
