//! L4: the machine room. A [`Simulation`] runs one protocol on virtual nodes under a [`Plan`], and
//! tells an [`event::Observer`] what happens.
//!
//! Two kernels give the same result: [`window`], which is fast, and [`reference`], which is a
//! page of obvious code on one binary heap and the oracle of the tests.

pub mod adversary;
pub mod client;
pub mod contact;
mod counters;
mod drift;
pub mod event;
pub mod lab;
pub mod limit;
pub mod machine;
pub mod message;
pub mod reference;
mod replica;
#[cfg(test)]
mod tests;
mod trouble;
pub mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::crypto::{Crypto, Keyring, Signer};
use crate::base::node::{Committee, NodeId};
use crate::base::random::{Random, Stream, mix};
use crate::base::time::{Span, Time};
use crate::base::units::{Bytes, Ratio};
use crate::chain;
use crate::chain::ledger::Executor;
use crate::chain::policy::Policy;
use crate::contract::author::{Author, AuthorSettings};
use crate::contract::population::Population;
use crate::contract::{Rules, State};
use crate::network::Network;
use crate::protocol::mempool::BatchRule;
use crate::protocol::{FaultModel, Protocol};
use adversary::Adversary;
use client::{Arrivals, ClientHost};
use contact::Channel;
use event::{Event, Observer, Totals};
use limit::{Exhausted, Gauge};
use machine::{Machine, Processor};
use message::{Post, Stored};
use replica::ReplicaHost;
pub use trouble::{Clock, CrashPoint, Disk, Liar, Outage, Point, Slow};

/// What clients do.
#[derive(Clone, Debug)]
pub struct Workload {
    /// When they submit.
    pub arrivals: Arrivals,
    /// When they submit nothing new any more.
    pub until: Time,
    /// Equal replies from so many nodes make an answer.
    pub replies: usize,
    /// How long they wait for an answer before they ask again.
    pub retry: Span,
    /// The nodes they submit to.
    pub gateways: Vec<NodeId>,
    /// The share of their transactions of which they make two with one name, for different nodes.
    pub two_faced: Ratio,
    /// What they submit.
    pub author: AuthorSettings,
    /// How those whom they ask for contact are reached.
    pub contact: Channel,
}

/// How calls are executed, as clients see it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Execution {
    /// They are ordered, then executed.
    #[default]
    OrderExecute,
    /// They are endorsed, then ordered, then validated.
    Validate {
        /// Whose endorsements a transaction needs.
        policy: Policy,
        /// How often a client has a transaction endorsed again that came to nothing.
        retries: u32,
        /// How long it waits before the first time, about; twice as long before each further one.
        backoff: Span,
    },
}

/// Everything about a run but the protocol.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed of all chance.
    pub seed: u64,
    /// Consensus nodes.
    pub nodes: usize,
    /// Client hosts, which follow the nodes in the topology.
    pub client_hosts: usize,
    /// Everything between nodes and client hosts.
    pub network: Network,
    /// The machine of every node.
    pub machine: Machine,
    /// How replicas sign.
    pub crypto: Crypto,
    /// When a leader cuts a batch.
    pub batch: BatchRule,
    /// What clients do.
    pub workload: Workload,
    /// The people behind the calls.
    pub population: Population,
    /// The rules of their contract.
    pub rules: Rules,
    /// How calls are executed.
    pub execution: Execution,
    /// Crashes.
    pub outages: Vec<Outage>,
    /// Crashes in the middle of something.
    pub crash_points: Vec<CrashPoint>,
    /// Slow nodes.
    pub slow: Vec<Slow>,
    /// Clocks that run fast or slow.
    pub clocks: Vec<Clock>,
    /// Dishonest nodes, each once.
    pub liars: Vec<Liar>,
    /// The start of the measured window.
    pub warmup: Time,
    /// The end of the run and of the measured window.
    pub until: Time,
    /// Whether every message becomes an event, as traces need.
    pub trace: bool,
    /// What messages on their way may take of the memory of the machine that simulates.
    pub memory: Bytes,
}

/// What all hosts share and none changes.
#[derive(Debug)]
pub struct World<P: Protocol> {
    config: P::Config,
    committee: Committee,
    seed: u64,
    nodes: usize,
    client_hosts: usize,
    network: Network,
    machine: Machine,
    keyring: Keyring,
    batch: BatchRule,
    workload: Workload,
    execution: Execution,
    slow: Vec<Slow>,
    crash_points: Vec<CrashPoint>,
    clocks: Vec<Clock>,
    liars: Vec<Liar>,
    warmup: Time,
    until: Time,
    /// Only the leader answers clients: one reply is enough, and only crashes are expected.
    leader_answers: bool,
    trace: bool,
}

impl<P: Protocol> World<P> {
    fn is_measured(&self, now: Time) -> bool {
        now >= self.warmup && now < self.until
    }

    /// How nodes execute what is ordered.
    fn execution(&self) -> chain::execution::Execution {
        match &self.execution {
            Execution::OrderExecute => chain::execution::Execution::OrderExecute,
            Execution::Validate { policy, .. } => chain::execution::Execution::Validate {
                policy: Arc::new(policy.clone()),
                keyring: self.keyring.clone(),
            },
        }
    }

    /// What the adversary in a node does, if there is one.
    fn adversary(&self, node: NodeId) -> Option<Adversary<P::Message>> {
        let liar = self.liars.iter().find(|liar| liar.node == node)?;
        let together = |other: &&Liar| other.node == node || (liar.colludes && other.colludes);
        let accomplices: Vec<NodeId> = self
            .liars
            .iter()
            .filter(together)
            .map(|other| other.node)
            .collect();
        let random = Random::new(self.seed, Stream::Adversary(node));
        let acts = liar.acts.clone();
        Some(Adversary::new(acts, &accomplices, self.nodes, random))
    }
}

/// What the hosts of one group share and change, one after another.
#[derive(Debug)]
pub struct Local {
    executor: Executor,
    processors: Vec<Processor>,
    /// What observers will be told, with the key of its order.
    events: Vec<(Time, NodeId, u32, Event)>,
}

/// What a host works with while it handles one input.
#[derive(Debug)]
struct Desk<'a, P: Protocol, S> {
    world: &'a World<P>,
    local: &'a mut Local,
    post: &'a mut S,
}

/// A node or a client host.
#[derive(Debug)]
enum Host<P: Protocol> {
    Replica(Box<ReplicaHost<P>>),
    Client(Box<ClientHost>),
}

impl<P: Protocol> Host<P> {
    #[inline]
    fn next_internal(&self) -> Time {
        match self {
            Self::Replica(replica) => replica.next_internal(),
            Self::Client(client) => client.next_internal(),
        }
    }

    /// Whether what this host does next by itself comes before a message.
    #[inline]
    fn internal_precedes(&self, time: Time, source: NodeId) -> bool {
        match self {
            Self::Replica(replica) => replica.internal_precedes(time, source),
            // Clients hear from nodes only, whose numbers are smaller.
            Self::Client(client) => client.next_internal() < time,
        }
    }

    fn run_internal<S: Post<P::Message>>(&mut self, desk: &mut Desk<'_, P, S>) {
        match self {
            Self::Replica(replica) => replica.run_internal(desk),
            Self::Client(client) => client.run_internal(desk),
        }
    }

    #[inline]
    fn deliver<S: Post<P::Message>>(
        &mut self,
        at: Time,
        from: NodeId,
        stored: &Stored<P::Message>,
        desk: &mut Desk<'_, P, S>,
    ) {
        match self {
            Self::Replica(replica) => replica.deliver(at, from, stored, desk),
            Self::Client(client) => client.deliver(at, from, stored, desk),
        }
    }
}

/// Hosts handled one after another: the unit of parallelism.
#[derive(Debug)]
struct Group<P: Protocol> {
    hosts: Vec<Host<P>>,
    local: Local,
    /// No host does anything by itself earlier.
    next_internal: Time,
}

/// Where a host is.
#[derive(Clone, Copy, Debug)]
struct Place {
    group: u32,
    position: u32,
}

/// Which kernel runs a simulation; the result is the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kernel {
    /// Windows of time, with so many threads.
    Windows {
        /// At least one.
        threads: usize,
    },
    /// One binary heap.
    Heap,
}

/// A run about to start.
#[derive(Debug)]
pub struct Simulation<P: Protocol> {
    world: World<P>,
    groups: Vec<Group<P>>,
    places: Vec<Place>,
    genesis: State,
    /// Crashes of whoever leads, in order of time.
    leader_outages: Vec<Outage>,
    /// How much the run takes.
    gauge: Gauge,
    /// What observers have not been told yet.
    pending: BTreeMap<(Time, NodeId, u32), Event>,
}

/// What is known of a run besides what observers saw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// All counts.
    pub totals: Totals,
    /// Folds every delivery and timer of every node in its order.
    pub hash: u64,
    /// Why the run ended before its time, if it did.
    pub exhausted: Option<Exhausted>,
}

/// Hosts in a group at most, unless they share one machine.
const GROUP_HOSTS: usize = 32;

impl<P: Protocol> Simulation<P> {
    /// A simulation of one protocol under a plan.
    pub fn new(plan: Plan, config: P::Config) -> Self {
        assert!(plan.nodes > 0, "a network has a node");
        assert!(
            plan.network.lookahead() > Span::ZERO,
            "nothing travels in no time"
        );
        assert_eq!(
            plan.network.topology().endpoints(),
            plan.nodes + plan.client_hosts
        );
        let (signers, keyring) = Signer::mint(plan.nodes, plan.crypto, plan.seed);
        let leader_answers = plan.workload.replies == 1 && P::FAULTS == FaultModel::Crash;
        let (mut leader_outages, outages): (Vec<_>, Vec<_>) = plan
            .outages
            .into_iter()
            .partition(|outage| outage.node.is_none());
        leader_outages.sort_by_key(|outage| outage.during.from);
        let world = World {
            config,
            committee: Committee::first(plan.nodes),
            seed: plan.seed,
            nodes: plan.nodes,
            client_hosts: plan.client_hosts,
            network: plan.network,
            machine: plan.machine,
            keyring,
            batch: plan.batch,
            workload: plan.workload,
            execution: plan.execution,
            slow: plan.slow,
            crash_points: plan.crash_points,
            clocks: plan.clocks,
            liars: plan.liars,
            warmup: plan.warmup,
            until: plan.until,
            leader_answers,
            trace: plan.trace,
        };
        let genesis = State::genesis(&plan.population, plan.rules);
        let mut simulation = Self {
            world,
            groups: Vec::new(),
            places: Vec::new(),
            genesis: genesis.clone(),
            leader_outages,
            gauge: Gauge::new(plan.memory),
            pending: BTreeMap::new(),
        };
        simulation.found_nodes(signers, &genesis);
        simulation.found_clients(&plan.population, &genesis);
        for outage in &outages {
            let node = outage.node.expect("outages of the leader were set aside");
            simulation.replica_mut(node).plan_outage(outage);
        }
        simulation
    }

    fn found_nodes(&mut self, signers: Vec<Signer>, genesis: &State) {
        let shared = self.world.machine.shared;
        let size = if shared {
            self.world.nodes
        } else {
            GROUP_HOSTS
        };
        let mut signers = signers.into_iter();
        for first in (0..self.world.nodes).step_by(size) {
            let count = size.min(self.world.nodes - first);
            let mut hosts = Vec::with_capacity(count);
            for position in 0..count {
                let signer = signers.next().expect("there is a signer for each node");
                let processor = if shared { 0 } else { position };
                let id = NodeId::at(first + position);
                let host = ReplicaHost::new(id, processor, signer, &self.world);
                hosts.push(Host::Replica(Box::new(host)));
            }
            let processors = if shared { 1 } else { count };
            self.found_group(hosts, processors, genesis);
        }
    }

    fn found_clients(&mut self, population: &Population, genesis: &State) {
        let count = self.world.client_hosts;
        let hosts = u16::try_from(count).expect("client hosts are numbered like nodes");
        let mut clients: Vec<Host<P>> = (0..hosts)
            .map(|host| {
                let settings = self.world.workload.author;
                let author = Author::new(population, settings, host, hosts);
                let id = NodeId::at(self.world.nodes + usize::from(host));
                Host::Client(Box::new(ClientHost::new(id, author, &self.world)))
            })
            .collect();
        while !clients.is_empty() {
            let rest = clients.split_off(clients.len().min(GROUP_HOSTS));
            self.found_group(clients, 0, genesis);
            clients = rest;
        }
    }

    fn found_group(&mut self, hosts: Vec<Host<P>>, processors: usize, genesis: &State) {
        let group = u32::try_from(self.groups.len()).expect("groups are fewer than hosts");
        self.places.extend((0..hosts.len()).map(|position| Place {
            group,
            position: position as u32,
        }));
        let local = Local {
            executor: Executor::with(genesis.clone(), self.world.execution()),
            processors: vec![Processor::new(self.world.machine.cores); processors],
            events: Vec::new(),
        };
        let next_internal = Time::ZERO;
        self.groups.push(Group {
            hosts,
            local,
            next_internal,
        });
    }

    /// What executes the chain as the nodes do, before the first block.
    pub fn executor(&self) -> Executor {
        Executor::with(self.genesis.clone(), self.world.execution())
    }

    /// Runs to the end of the plan.
    pub fn run(self, kernel: Kernel, observer: &mut dyn Observer) -> Ended {
        match kernel {
            Kernel::Windows { threads } => window::run(self, threads, observer),
            Kernel::Heap => reference::run(self, observer),
        }
    }

    fn host_mut(&mut self, node: NodeId) -> &mut Host<P> {
        let place = self.places[node.index()];
        &mut self.groups[place.group as usize].hosts[place.position as usize]
    }

    fn replica_mut(&mut self, node: NodeId) -> &mut ReplicaHost<P> {
        match self.host_mut(node) {
            Host::Replica(replica) => replica,
            Host::Client(_) => unreachable!("replicas come before client hosts"),
        }
    }

    fn replicas(&self) -> impl Iterator<Item = &ReplicaHost<P>> {
        self.groups
            .iter()
            .flat_map(|group| &group.hosts)
            .filter_map(|host| match host {
                Host::Replica(replica) => Some(&**replica),
                Host::Client(_) => None,
            })
    }

    /// The width of windows: a power of two that no message outruns.
    fn window_bits(&self) -> u32 {
        self.world
            .network
            .lookahead()
            .nanos()
            .ilog2()
            .min(WINDOW_BITS_MAX)
    }

    /// Crashes of the leader are decided at the start of the window they lie in: that is the one
    /// time at which all nodes can be asked whatever the kernel. Returns whether there was one.
    fn crash_leaders(&mut self, window_start: Time, window_end: Time) {
        while let Some(&outage) = self.leader_outages.first()
            && outage.during.from < window_end
        {
            assert!(
                outage.during.from >= window_start,
                "no window is passed over"
            );
            self.leader_outages.remove(0);
            let alive = || self.replicas().filter_map(|r| Some((r.id(), r.status()?)));
            let leading = alive().filter(|(_, status)| status.leads);
            let leader = leading
                .max_by_key(|(_, status)| status.view)
                .map(|(node, _)| node);
            let believed = || alive().max_by_key(|(_, status)| status.view)?.1.leader;
            if let Some(node) = leader.or_else(believed) {
                let from = self.replica_mut(node).surprise(&outage);
                let group = self.places[node.index()].group as usize;
                let next = &mut self.groups[group].next_internal;
                *next = (*next).min(from);
            }
        }
    }

    /// Takes what a group has to tell.
    fn collect(&mut self, group: usize) {
        let events = self.groups[group].local.events.drain(..);
        self.pending
            .extend(events.map(|(time, node, count, event)| ((time, node, count), event)));
    }

    /// Tells the observer what happened before `until`; nothing earlier can come any more.
    fn tell(&mut self, until: Time, observer: &mut dyn Observer) {
        let until = until.min(self.world.until);
        while let Some(first) = self.pending.first_entry()
            && first.key().0 < until
        {
            let ((time, node, _), event) = first.remove_entry();
            observer.on_event(time, node, &event);
        }
    }

    /// Tells what is left, and sums up.
    fn end(
        mut self,
        in_flight: u64,
        exhausted: Option<Exhausted>,
        observer: &mut dyn Observer,
    ) -> Ended {
        let until = self.world.until;
        self.tell(
            exhausted.map_or(until, |exhausted| exhausted.at()),
            observer,
        );
        let mut totals = Totals {
            in_flight,
            ..Totals::default()
        };
        let mut hash = self.world.seed;
        for group in &self.groups {
            for host in &group.hosts {
                let (counters, one) = match host {
                    Host::Replica(replica) => (&replica.counters, replica.hash),
                    Host::Client(client) => (&client.counters, client.hash),
                };
                counters.add_to(&mut totals, Span::ZERO);
                hash = mix(hash, one);
            }
            for processor in &group.local.processors {
                totals.busy += processor.busy();
            }
        }
        Ended {
            totals,
            hash,
            exhausted,
        }
    }
}

/// Wider windows gain nothing and cost bits of the key.
const WINDOW_BITS_MAX: u32 = 20;
