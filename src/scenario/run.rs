//! From a scenario to its outcome: builds the network and the plan, runs the protocol under the
//! observers, and judges what they saw.

pub use super::outlook::Outlook;
use super::schema::{
    Disk, Execution, Fault, Gateways, Link, Load, Replies, Scenario, Scope, Victims, Workload,
};
use super::{ProtocolSpec, protocol::chains, rehearsal, said::unnamed};
use crate::base::crypto::Digest;
use crate::base::node::{Committee, NodeId, PositionSet};
use crate::base::time::{Span, Time};
use crate::contract::{AuthorSettings, Population, Wish};
use crate::network::fault::Fault as NetworkFault;
use crate::network::topology::{Link as SiteLink, Topology};
use crate::network::{Network, topology::TopologyError};
use crate::observe::checks::{CheckSetup, Checks, Verdict};
use crate::observe::fingerprint::Fingerprint;
use crate::observe::forensics::Forensics;
use crate::observe::metrics::{Measured, Metrics, Summary};
use crate::protocol::Protocol;
use crate::sim::adversary::Act;
use crate::sim::client::Arrivals;
use crate::sim::contact::Channel;
use crate::sim::event::{Event, Observer, Totals};
use crate::sim::limit::{Exhausted, MEMORY};
use crate::sim::machine::Machine;
use crate::sim::{self, Clock, CrashPoint, Kernel, Liar, Outage, Plan, Simulation, Slow};

/// A protocol that can be run by name: type erasure, once.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What scenarios see of it.
    pub spec: ProtocolSpec,
    /// One sentence.
    pub about: &'static str,
    /// Runs a scenario of this protocol.
    pub run: fn(&Scenario, Kernel, Option<&mut dyn Observer>) -> Outcome,
    /// What a scenario of this protocol leaves it to promise.
    pub outlook: fn(&Scenario) -> Outlook,
}

impl Entry {
    /// The entry of a protocol.
    pub const fn of<P: Protocol>() -> Self {
        Self {
            spec: ProtocolSpec::of::<P>(),
            about: P::ABOUT,
            run: run::<P>,
            outlook: Outlook::before::<P>,
        }
    }

    /// Who may watch a scenario of this protocol and prove who lied.
    pub fn forensics(&self, scenario: &Scenario) -> Forensics {
        Forensics::along((self.spec.chains)(
            &scenario.protocol.config,
            scenario.nodes,
        ))
    }
}

/// What a run returns.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was measured.
    pub summary: Summary,
    /// What was checked.
    pub verdict: Verdict,
    /// Equal fingerprints, equal runs.
    pub fingerprint: Digest,
    /// All counts of the kernel.
    pub totals: Totals,
    /// When the last passing fault ends.
    pub healed_at: Time,
    /// How long after that everything may take to be answered.
    pub liveness_bound: Span,
    /// Why the run was given up before its end, if it was: then all the rest is of a part.
    pub exhausted: Option<Exhausted>,
}

/// Everybody who watches a run, and one more who may.
struct Watch<'a> {
    metrics: Metrics,
    checks: Checks,
    fingerprint: Fingerprint,
    guest: Option<&'a mut dyn Observer>,
}

impl Observer for Watch<'_> {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        self.metrics.on_event(now, node, event);
        self.checks.on_event(now, node, event);
        self.fingerprint.on_event(now, node, event);
        if let Some(guest) = &mut self.guest {
            guest.on_event(now, node, event);
        }
    }
}

/// Runs a scenario with one protocol; a guest sees every message too.
///
/// # Panics
/// If the scenario was not validated: it names another protocol or a network that is not
/// connected.
pub fn run<P: Protocol>(
    scenario: &Scenario,
    kernel: Kernel,
    guest: Option<&mut dyn Observer>,
) -> Outcome {
    assert_eq!(
        scenario.protocol.name,
        P::NAME,
        "a scenario is run by its own protocol"
    );
    let cast = rehearsal::cast::<P>(scenario, kernel);
    let scenario = cast.as_ref().unwrap_or(scenario);
    let config = config_of::<P>(scenario);
    run_with::<P>(scenario, config, kernel, guest)
}

/// The configuration that a validated scenario has for its protocol.
pub(super) fn config_of<P: Protocol>(scenario: &Scenario) -> P::Config {
    serde_json::from_value(scenario.protocol.config.clone())
        .expect("a validated configuration is readable")
}

/// What to simulate, with what depends on the protocol: how far apart the nodes of this
/// configuration are, and for how many answers clients wait.
///
/// # Panics
/// If the scenario was not validated: it names a network that is not connected.
pub(super) fn plan_for<P: Protocol>(
    scenario: &Scenario,
    config: &mut P::Config,
    trace: bool,
) -> Plan {
    let mut plan = plan(scenario, trace).expect("a validated network is connected");
    let topology = plan.network.topology();
    let delay = |a, b| topology.usual_latency(NodeId::at(a), NodeId::at(b));
    P::survey(config, plan.nodes, &delay);
    // Of those who execute what one client asks for; everybody, in a network without parts.
    let answering = P::answering(config, scenario.nodes);
    plan.workload.replies = match scenario.workload.replies {
        // Not every protocol survives a third.
        Replies::OneHonest => P::tolerates(config, scenario.nodes) + 1,
        other => replies(other, answering),
    };
    plan
}

/// Runs a scenario with one protocol in another configuration than the scenario's, as tests do
/// that leave out a guard.
///
/// # Panics
/// If the scenario was not validated: it names a network that is not connected.
pub fn run_with<P: Protocol>(
    scenario: &Scenario,
    mut config: P::Config,
    kernel: Kernel,
    guest: Option<&mut dyn Observer>,
) -> Outcome {
    let trace = guest.as_ref().is_some_and(|guest| guest.wants_messages());
    let plan = plan_for::<P>(scenario, &mut config, trace);
    let outlook = Outlook::of::<P>(scenario, &plan, &config);
    let (until, nodes) = (plan.until, scenario.nodes);
    let chains = chains::<P>(&config, nodes);
    let mut dishonest = PositionSet::new();
    for liar in &plan.liars {
        dishonest.insert(liar.node.index());
    }
    let acts = plan.liars.iter().flat_map(|liar| &liar.acts);
    let begins = acts.map(|act| act.during.from).min();
    let measured = Measured {
        nodes,
        dishonest: dishonest.clone(),
        misbehaving_from: begins.unwrap_or(Time::ZERO),
        warmup: plan.warmup,
        until,
        chains: chains.clone(),
    };
    let inspected = config.clone();
    let simulation = Simulation::<P>::new(plan, config);
    let mut watch = Watch {
        metrics: Metrics::new(measured),
        checks: Checks::new(CheckSetup {
            nodes,
            dishonest,
            flat: true,
            in_parts: P::IN_PARTS,
            quorums: P::quorums(&inspected, nodes),
        })
        .along(chains)
        .replaying(&simulation.executor())
        .inspecting(P::inspector(&inspected, nodes, simulation.executor())),
        fingerprint: Fingerprint::new(),
        guest,
    };
    let ended = simulation.run(kernel, &mut watch);
    debug_assert_eq!(unnamed::<P>(&ended.totals), [""; 0], "all kinds have names");
    let summary = watch.metrics.finish(&ended.totals);
    let mut judge = outlook.judge();
    if ended.exhausted.is_some() {
        // Who was not answered by then may have been later.
        judge.healed_at = Time::MAX;
    }
    let until = ended.exhausted.map_or(until, |exhausted| exhausted.at());
    let mut verdict = watch.checks.finish(until, &judge, &ended.totals);
    verdict.account(until, summary.disagreement());
    Outcome {
        summary,
        verdict,
        fingerprint: watch.fingerprint.finish(ended.hash),
        totals: ended.totals,
        healed_at: outlook.healed_at,
        liveness_bound: outlook.bound,
        exhausted: ended.exhausted,
    }
}

/// Everything about the run but the protocol. Adversaries that are given as leaders are nobody
/// yet: who leads shows when the protocol runs.
///
/// # Errors
/// If the network is not connected or has no least latency, which validation refuses earlier.
pub fn plan(scenario: &Scenario, trace: bool) -> Result<Plan, TopologyError> {
    let sites = &scenario.network.sites;
    let client_hosts = sites.len();
    let committee = Committee::first(scenario.nodes);
    let liars = liars(scenario);
    let honest = |node: &NodeId| !liars.iter().any(|liar| liar.node == *node);
    let mut gateways = committee.members().to_vec();
    if scenario.workload.gateways == Gateways::Honest && gateways.iter().any(honest) {
        gateways.retain(honest);
    }
    if scenario.workload.gateways == Gateways::Last {
        gateways.retain(|node| node.index() + 1 == scenario.nodes);
    }
    let hospitals = u16::try_from(scenario.nodes).expect("nodes are numbered with sixteen bits");
    let workload = &scenario.workload;
    Ok(Plan {
        seed: scenario.seed,
        nodes: scenario.nodes,
        client_hosts,
        network: network(scenario, client_hosts)?,
        machine: machine(scenario),
        crypto: scenario.crypto,
        batch: scenario.batch,
        workload: sim::Workload {
            arrivals: match workload.load {
                Load::Open { rate, even } => Arrivals::Open { rate, even },
                Load::Closed { clients, think } => Arrivals::Closed { clients, think },
            },
            until: workload.until.map_or(Time::MAX, |until| Time::ZERO + until),
            replies: replies(workload.replies, scenario.nodes),
            retry: workload.retry,
            gateways,
            two_faced: workload.two_faced,
            author: author(scenario),
            contact: Channel {
                poll: workload.contact.poll,
                latency: workload.contact.latency.distribution(),
            },
        },
        population: population(hospitals, workload),
        execution: execution(&scenario.execution),
        rules: scenario.contract,
        outages: outages(scenario),
        crash_points: crash_points(scenario),
        slow: slow(scenario),
        clocks: clocks(scenario),
        liars,
        warmup: Time::ZERO + scenario.warmup,
        until: Time::ZERO + scenario.duration,
        trace,
        memory: scenario.memory.unwrap_or(MEMORY),
    })
}

/// The people; with an authority for aliases only where somebody asks under one, since it is part
/// of the genesis.
fn population(hospitals: u16, workload: &Workload) -> Population {
    let (doctors, patients) = (workload.doctors, workload.patients);
    if workload.mix.weight(Wish::AnonymousShare) > 0 {
        return Population::with_aliases(hospitals, doctors, patients);
    }
    Population::new(hospitals, doctors, patients)
}

/// How many of so many nodes that execute a call have to answer.
fn replies(replies: Replies, answering: usize) -> usize {
    let committee = Committee::first(answering);
    match replies {
        Replies::One => 1,
        Replies::OneHonest => committee.one_honest(),
        Replies::Quorum => committee.quorum(),
        Replies::All => committee.n(),
    }
}

fn execution(execution: &Execution) -> sim::Execution {
    match execution.clone() {
        Execution::OrderExecute => sim::Execution::OrderExecute,
        Execution::ExecuteOrderValidate {
            policy,
            retries,
            backoff,
        } => sim::Execution::Validate {
            policy,
            retries,
            backoff,
        },
    }
}

/// Who lies, and everything each does.
fn liars(scenario: &Scenario) -> Vec<Liar> {
    let mut liars: Vec<Liar> = Vec::new();
    for adversary in &scenario.adversaries {
        let act = Act {
            behaviour: adversary.behaviour.clone(),
            scope: Scope {
                leading: adversary.scope.leading || adversary.moving,
                ..adversary.scope.clone()
            },
            during: adversary.during,
        };
        for &node in &adversary.nodes {
            match liars.iter_mut().find(|liar| liar.node == node) {
                Some(liar) => {
                    liar.acts.push(act.clone());
                    liar.colludes |= adversary.collude;
                }
                None => liars.push(Liar {
                    node,
                    acts: vec![act.clone()],
                    colludes: adversary.collude,
                }),
            }
        }
    }
    liars
}

fn author(scenario: &Scenario) -> AuthorSettings {
    AuthorSettings {
        mix: scenario.workload.mix,
        invalid: scenario.workload.invalid,
        zipf_thousandths: scenario.workload.zipf,
        pid_per_record: scenario.workload.pid_per_record,
        rules: scenario.contract,
    }
}

fn machine(scenario: &Scenario) -> Machine {
    let machine = &scenario.machine;
    Machine {
        cores: machine.cores,
        per_message: machine.per_message,
        per_kilobyte: machine.per_kilobyte,
        per_request: machine.per_request,
        sign: machine.sign,
        verify: machine.verify,
        execute: machine.execute,
        sync: machine.sync,
        shared: machine.shared,
    }
}

/// Sites and links; each site has one client host, numbered after the nodes.
fn network(scenario: &Scenario, client_hosts: usize) -> Result<Network, TopologyError> {
    let config = &scenario.network;
    let site = |name: &String| {
        let place = config.sites.iter().position(|site| site.name == *name);
        place.expect("a validated link joins known sites")
    };
    let mut homes = vec![0; scenario.nodes + client_hosts];
    for (place, site) in config.sites.iter().enumerate() {
        for node in &site.nodes {
            homes[node.index()] = place as u32;
        }
        homes[scenario.nodes + place] = place as u32;
    }
    let link = |link: &Link| SiteLink {
        latency: link.latency.distribution(),
        bandwidth: link.bandwidth,
    };
    let links: Vec<(usize, usize, SiteLink)> = config
        .links
        .iter()
        .map(|joint| {
            let [a, b] = &joint.between;
            let line = SiteLink {
                latency: joint.latency.distribution(),
                bandwidth: joint.bandwidth,
            };
            (site(a), site(b), line)
        })
        .collect();
    let topology = Topology::new(config.sites.len(), homes, &link(&config.within), &links)?;
    let faults: Vec<NetworkFault> = scenario
        .faults
        .iter()
        .filter_map(|fault| network_fault(fault, &site))
        .collect();
    Ok(Network::new(
        topology,
        &faults,
        config.ordered,
        scenario.seed,
    ))
}

fn network_fault(fault: &Fault, site: &impl Fn(&String) -> usize) -> Option<NetworkFault> {
    match fault.clone() {
        Fault::Partition {
            groups,
            one_way,
            held,
            every,
            lasts,
            during,
        } => Some(NetworkFault::Partition {
            groups,
            one_way,
            held,
            flaps: every.zip(lasts),
            during,
        }),
        Fault::Loss {
            rate,
            nodes,
            links,
            during,
        } => {
            let between = links.iter().map(|[a, b]| (site(a), site(b))).collect();
            Some(NetworkFault::Loss {
                rate,
                nodes,
                between,
                during,
            })
        }
        Fault::Delay { by, nodes, during } => Some(NetworkFault::Delay { by, nodes, during }),
        Fault::Duplicate { rate, during } => Some(NetworkFault::Duplicate { rate, during }),
        Fault::Reorder { rate, by, during } => Some(NetworkFault::Reorder { rate, by, during }),
        Fault::Crash { .. }
        | Fault::CrashPoint { .. }
        | Fault::Clock { .. }
        | Fault::Slow { .. } => None,
    }
}

fn outages(scenario: &Scenario) -> Vec<Outage> {
    let mut outages = Vec::new();
    for fault in &scenario.faults {
        let Fault::Crash {
            nodes,
            during,
            disk,
        } = fault
        else {
            continue;
        };
        let (during, disk) = (
            *during,
            match disk {
                Disk::Keep => sim::Disk::Keep,
                Disk::Unsynced => sim::Disk::Unsynced,
                Disk::Lost => sim::Disk::Lost,
            },
        );
        match nodes {
            Victims::Leader => outages.push(Outage {
                node: None,
                during,
                disk,
            }),
            Victims::Nodes(nodes) => outages.extend(nodes.iter().map(|&node| Outage {
                node: Some(node),
                during,
                disk,
            })),
        }
    }
    outages
}

fn slow(scenario: &Scenario) -> Vec<Slow> {
    let mut slow = Vec::new();
    for fault in &scenario.faults {
        if let Fault::Slow {
            nodes,
            factor,
            during,
        } = fault
        {
            let factor = u64::from(*factor);
            slow.extend(nodes.iter().map(|&node| Slow {
                node,
                factor,
                during: *during,
            }));
        }
    }
    slow
}

fn clocks(scenario: &Scenario) -> Vec<Clock> {
    let mut clocks = Vec::new();
    for fault in &scenario.faults {
        if let Fault::Clock {
            nodes,
            speed,
            during,
        } = fault
        {
            clocks.extend(nodes.iter().map(|&node| Clock {
                node,
                speed_thousandths: u64::from(*speed),
                during: *during,
            }));
        }
    }
    clocks
}

fn crash_points(scenario: &Scenario) -> Vec<CrashPoint> {
    let mut points = Vec::new();
    for fault in &scenario.faults {
        let Fault::CrashPoint {
            at,
            kinds,
            probability,
            down,
            nodes,
            during,
        } = fault
        else {
            continue;
        };
        let point = |node| CrashPoint {
            node,
            at: *at,
            kinds: kinds.clone(),
            probability: *probability,
            down: *down,
            during: *during,
        };
        match nodes {
            Victims::Leader => points.push(point(None)),
            Victims::Nodes(nodes) => points.extend(nodes.iter().map(|&node| point(Some(node)))),
        }
    }
    points
}
