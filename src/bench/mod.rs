//! How fast the kernel is by itself, with the barest protocol on either kernel, and the contract.

pub mod contract;
pub mod votes;

use crate::base::crypto::Crypto;
use crate::base::distribution::{Distribution, Law};
use crate::base::node::NodeId;
use crate::base::time::{Span, Time};
use crate::base::units::{Bandwidth, Ratio};
use crate::contract::{AuthorSettings, Population, Rules};
use crate::network::Network;
use crate::network::topology::{Link, Topology};
use crate::protocol::mempool::BatchRule;
use crate::sim::client::Arrivals;
use crate::sim::contact::Channel;
use crate::sim::event::{Event, Observer};
use crate::sim::limit::MEMORY;
use crate::sim::machine::Machine;
use crate::sim::{Ended, Execution, Kernel, Plan, Simulation, Workload};
use votes::Votes;

/// Nobody watches: only the kernel works.
struct Nobody;

impl Observer for Nobody {
    fn on_event(&mut self, _now: Time, _node: NodeId, _event: &Event) {}
}

/// The barest all-to-all voting among `nodes` nodes of a LAN, ready to run.
pub fn voting(nodes: usize, until: Span) -> Simulation<Votes> {
    let law = Law::Lognormal {
        median: Span::from_micros(300),
        p99: Span::from_micros(900),
    };
    let bandwidth = Bandwidth::from_bits_per_second(10_000_000_000);
    let link = Link {
        latency: Distribution::new(&law),
        bandwidth,
    };
    let topology = Topology::new(1, vec![0; nodes + 1], &link, &[]).expect("a LAN is connected");
    let plan = Plan {
        memory: MEMORY,
        seed: 1,
        nodes,
        client_hosts: 1,
        network: Network::new(topology, &[], false, 1),
        machine: Machine::FREE,
        crypto: Crypto::Modelled,
        batch: BatchRule::default(),
        workload: Workload {
            arrivals: Arrivals::Closed {
                clients: 1,
                think: Span::ZERO,
            },
            replies: 1,
            retry: Span::from_secs(1_000),
            gateways: vec![NodeId(0)],
            until: Time::MAX,
            two_faced: Ratio::ZERO,
            author: AuthorSettings::default(),
            contact: Channel::regular(Span::from_secs(1), Span::from_millis(40)),
        },
        population: Population::new(1, 2, 4),
        execution: Execution::OrderExecute,
        rules: Rules::default(),
        outages: Vec::new(),
        crash_points: Vec::new(),
        slow: Vec::new(),
        clocks: Vec::new(),
        liars: Vec::new(),
        warmup: Time::ZERO,
        until: Time::ZERO + until,
        trace: false,
    };
    Simulation::new(plan, ())
}

/// Runs the voting with one kernel.
pub fn vote(simulation: Simulation<Votes>, kernel: Kernel) -> Ended {
    simulation.run(kernel, &mut Nobody)
}
