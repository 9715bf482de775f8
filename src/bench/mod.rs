//! How fast the simulator is, as rates and as ratios to the reference kernel in the same run.
//! The only module that measures with the wall clock, besides the tool itself.

pub mod votes;

use crate::base::crypto::Crypto;
use crate::base::distribution::{Distribution, Law};
use crate::base::node::NodeId;
use crate::base::time::{Span, Time};
use crate::contract::author::AuthorSettings;
use crate::contract::population::Population;
use crate::network::Network;
use crate::network::topology::{Link, Topology};
use crate::protocol::Protocol;
use crate::protocol::mempool::BatchRule;
use crate::sim::client::Arrivals;
use crate::sim::event::{Event, Observer};
use crate::sim::machine::Machine;
use crate::sim::{Ended, Kernel, Plan, Simulation, Workload};

struct Deaf;
impl Observer for Deaf {
    fn on_event(&mut self, _now: Time, _node: NodeId, _event: &Event) {}
}

/// A LAN of `nodes` nodes and one client host.
pub fn plan(nodes: usize, until: Span, machine: Machine) -> Plan {
    let law = Law::Lognormal {
        median: Span::from_micros(300),
        p99: Span::from_micros(900),
    };
    let link = Link {
        latency: Distribution::new(&law),
        bandwidth: "10Gbps".parse().expect("ok"),
    };
    let topology = Topology::new(1, vec![0; nodes + 1], &link, &[]).expect("a LAN is connected");
    Plan {
        seed: 1,
        nodes,
        client_hosts: 1,
        network: Network::new(topology, &[], false, 1),
        machine,
        crypto: Crypto::Modelled,
        batch: BatchRule {
            max: 10,
            wait: Span::from_millis(1),
            ..BatchRule::default()
        },
        workload: Workload {
            arrivals: Arrivals::Closed {
                clients: 10,
                think: Span::ZERO,
            },
            replies: 1,
            retry: Span::from_secs(100),
            gateways: vec![NodeId(0)],
            author: AuthorSettings::default(),
        },
        population: Population::new(4, 10, 100),
        outages: Vec::new(),
        slow: Vec::new(),
        liars: Vec::new(),
        warmup: Time::ZERO,
        until: Time::ZERO + until,
        trace: false,
    }
}

/// Deliveries per second of wall time.
#[expect(
    clippy::disallowed_types,
    reason = "measuring speed is what this module is for"
)]
pub fn rate<P: Protocol>(plan: Plan, kernel: Kernel) -> (f64, Ended) {
    let simulation = Simulation::<P>::new(plan, P::Config::default());
    let start = std::time::Instant::now();
    let ended = simulation.run(kernel, &mut Deaf);
    let seconds = start.elapsed().as_secs_f64();
    (ended.totals.events as f64 / seconds, ended)
}
