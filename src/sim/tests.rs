//! Both kernels, any number of threads: the same run. A protocol that does a little of everything
//! is run on plans that have a little of everything.

use super::adversary::{Act, Behaviour, Scope, Targets};
use super::limit::MEMORY;
use super::*;
use crate::base::crypto::{Body, Digest, Hasher, Signed};
use crate::base::distribution::{Distribution, Law};
use crate::base::random::{Random, Stream};
use crate::base::time::Window;
use crate::base::units::Ratio;
use crate::network::fault::Fault;
use crate::network::topology::{Link, Topology};
use crate::protocol::{Context, Input, Misfit, Report, Retry, Setup, Status, Wire};

/// A protocol without a purpose: gossips, signs, persists, sets and cancels timers, decides.
#[derive(Clone, Debug)]
struct Chatter {
    setup: Setup,
    heard: u64,
    decided: u64,
}

#[derive(Clone, PartialEq, Debug)]
struct Word(u64);
impl Body for Word {
    fn digest(&self) -> Digest {
        Hasher::new("word").number(self.0).finish()
    }
}
#[derive(Clone, Debug)]
struct Talk(Signed<Word>);
impl Wire for Talk {
    fn kind(&self) -> &'static str {
        if self.0.body().0.is_multiple_of(2) {
            "even"
        } else {
            "odd"
        }
    }
    fn kinds() -> Vec<&'static str> {
        vec!["even", "odd"]
    }
    fn size(&self) -> u32 {
        100 + (self.0.body().0 % 50) as u32
    }
    fn contradict(&self, liar: &Signer) -> Option<Self> {
        Some(Self(liar.sign(Word(self.0.body().0 + 1))))
    }
    fn forge(&self, liar: &Signer, victim: NodeId) -> Option<Self> {
        Some(Self(liar.garbage(self.0.body().clone(), victim)))
    }
    fn inflate(&self, liar: &Signer, by: u64) -> Option<Self> {
        Some(Self(liar.sign(Word(self.0.body().0 + by))))
    }
}

impl Protocol for Chatter {
    const NAME: &'static str = "chatter";
    const ABOUT: &'static str = "A protocol without a purpose.";
    const FAULTS: FaultModel = FaultModel::Crash;
    const RETRY: Retry = Retry::All;
    type Config = ();
    type Message = Talk;
    type Timer = u8;

    fn check(_config: &(), _n: usize) -> Vec<Misfit> {
        Vec::new()
    }
    fn liveness_bound(_config: &(), _n: usize, delay: Span) -> Span {
        delay
    }
    fn new(_config: &(), setup: Setup) -> Self {
        Self {
            setup,
            heard: 0,
            decided: 0,
        }
    }
    fn step(&mut self, input: Input<'_, Talk, u8>, cx: &mut Context<'_, Talk, u8>) {
        match input {
            Input::Start => {
                self.decided = cx.ledger().height();
                let after = cx.between(Span::from_micros(10), Span::from_millis(5));
                cx.set_timer(0, after);
            }
            Input::Deliver { from, message } => {
                self.heard = mix(self.heard, message.0.body().0 ^ u64::from(from.0));
                if self.heard.is_multiple_of(5) {
                    cx.persist();
                    let talk = Talk(cx.sign(Word(self.heard)));
                    cx.send(from, talk);
                }
                if self.heard.is_multiple_of(7) {
                    cx.cancel_timer(1);
                }
            }
            Input::Timeout(timer) => {
                cx.report(Report::Enters { view: self.heard });
                let talk = Talk(cx.sign(Word(self.heard + u64::from(timer))));
                let committee = self.setup.committee.clone();
                cx.broadcast(&committee, talk);
                let after = cx.between(Span::from_micros(100), Span::from_millis(3));
                cx.set_timer(0, after);
                cx.set_timer(1, Span::from_micros(500));
            }
            Input::Submit(transaction) => {
                self.decided += 1;
                cx.decide(self.decided, &crate::chain::Batch::new(vec![transaction]));
            }
        }
    }
    fn status(&self) -> Status {
        Status {
            view: self.heard,
            leader: None,
            leads: self.heard.is_multiple_of(3),
        }
    }
}

/// Everything an observer is told, folded.
#[derive(Default)]
struct Fold {
    hash: u64,
    events: u64,
    last: Time,
}
impl Observer for Fold {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        assert!(now >= self.last, "observers are told in the order of time");
        self.last = now;
        self.events += 1;
        let text = format!("{now} {node} {event:?}");
        self.hash = text
            .bytes()
            .fold(self.hash, |hash, byte| mix(hash, u64::from(byte)));
    }
}

fn window(from: u64, until: u64) -> Window {
    let at = |millis| Time::ZERO + Span::from_millis(millis);
    Window {
        from: at(from),
        until: Some(at(until)),
    }
}

/// A network drawn by `coin`, which gives a fair number below its argument.
fn network(seed: u64, endpoints: usize, coin: &mut impl FnMut(u64) -> u64) -> Network {
    let micros = Span::from_micros;
    let law = match coin(4) {
        0 => Law::Constant(micros(300)),
        1 => Law::Uniform(micros(200), micros(2_000)),
        2 => Law::Lognormal {
            median: micros(900),
            p99: micros(40_000),
        },
        _ => Law::Uniform(Span::from_nanos(70), micros(2)),
    };
    let bandwidth = if coin(2) == 0 { "unlimited" } else { "50Mbps" };
    let link = Link {
        latency: Distribution::new(&law),
        bandwidth: bandwidth.parse().unwrap(),
    };
    let topology = Topology::new(1, vec![0; endpoints], &link, &[]).unwrap();
    let mut faults = Vec::new();
    if coin(2) == 0 {
        let rate = "5%".parse().unwrap();
        faults.push(Fault::Loss {
            rate,
            nodes: Vec::new(),
            between: Vec::new(),
            during: window(3, 20),
        });
        faults.push(Fault::Duplicate {
            rate,
            during: window(0, 12),
        });
        faults.push(Fault::Reorder {
            rate,
            by: Span::from_millis(4),
            during: window(5, 30),
        });
    }
    Network::new(topology, &faults, coin(4) == 0, seed)
}

fn outages(nodes: usize, coin: &mut impl FnMut(u64) -> u64) -> Vec<Outage> {
    let disks = [Disk::Keep, Disk::Unsynced, Disk::Lost];
    let mut outage = || {
        let node = (coin(3) > 0).then(|| NodeId::at(coin(nodes as u64) as usize));
        let from = coin(20);
        let during = window(from, from + 1 + coin(10));
        Outage {
            node,
            during,
            disk: disks[coin(3) as usize],
        }
    };
    let some = outage().during.from.nanos() / 1_000_000 % 4;
    (0..some).map(|_| outage()).collect()
}

/// Nodes that stop in the middle of something, or none.
fn crash_points(nodes: usize, coin: &mut impl FnMut(u64) -> u64) -> Vec<CrashPoint> {
    let mut point = |_| CrashPoint {
        node: (coin(3) > 0).then(|| NodeId::at(coin(nodes as u64) as usize)),
        at: Point::ALL[coin(4) as usize],
        kinds: Vec::new(),
        probability: "5%".parse().unwrap(),
        down: Span::from_micros(1 + coin(3_000)),
        during: window(2, 25),
    };
    (0..2).map(&mut point).collect()
}

fn machine(coin: &mut impl FnMut(u64) -> u64) -> Machine {
    let shared = Machine {
        shared: true,
        cores: 2,
        per_message: Span::from_micros(1),
        ..Machine::default()
    };
    [Machine::FREE, Machine::default(), shared][coin(3) as usize]
}

/// Any behaviour, whole or for some messages only.
fn act(nodes: usize, coin: &mut impl FnMut(u64) -> u64) -> Act {
    let by = Span::from_micros(700);
    let after = Span::from_millis(2);
    let behaviour = match coin(16) {
        0 => Behaviour::Equivocate,
        1 => Behaviour::Late { by },
        2 => Behaviour::Restless,
        3 => Behaviour::Withhold,
        4 => Behaviour::Deaf,
        5 => Behaviour::Selective,
        6 => Behaviour::DoubleTalk,
        7 => Behaviour::Replay { after },
        8 => Behaviour::Flood { copies: 3 },
        9 => Behaviour::Garble,
        10 => Behaviour::Impersonate,
        11 => Behaviour::Inflate { by: 1 },
        12 => Behaviour::Amnesia,
        13 => Behaviour::NoSync,
        14 => Behaviour::Twins,
        _ => Behaviour::FalseReply,
    };
    let one = vec![NodeId::at(coin(nodes as u64) as usize)];
    let targets = [Targets::Usual, Targets::Half, Targets::Nodes(one)];
    let kinds = [vec![], vec!["odd".to_owned(), "request".to_owned()]];
    let scope = Scope {
        kinds: kinds[coin(2) as usize].clone(),
        targets: targets[coin(3) as usize].clone(),
        probability: ["100%", "40%"][coin(2) as usize].parse().unwrap(),
        leading: coin(4) == 0,
        heights: None,
    };
    Act {
        behaviour,
        scope,
        during: window(2, 25),
    }
}

/// A plan drawn from a seed: every feature is on in some plans and off in others.
fn plan(seed: u64) -> Plan {
    let mut random = Random::new(seed, Stream::Test);
    let mut coin = |sides: u64| random.below(sides);
    let nodes = [1, 3, 4, 7, 40, 70][coin(6) as usize];
    let client_hosts = 1 + coin(3) as usize;
    let acts = (0..=coin(3)).map(|_| act(nodes, &mut coin)).collect();
    let liar = Liar {
        node: NodeId(0),
        acts,
        colludes: true,
    };
    let arrivals = if coin(2) == 0 {
        Arrivals::Open {
            rate: "2000/s".parse().unwrap(),
            even: coin(2) == 0,
        }
    } else {
        Arrivals::Closed {
            clients: 5,
            think: Span::from_micros(coin(100)),
        }
    };
    Plan {
        memory: MEMORY,
        seed,
        nodes,
        client_hosts,
        network: network(seed, nodes + client_hosts, &mut coin),
        machine: machine(&mut coin),
        crypto: Crypto::Modelled,
        batch: BatchRule::default(),
        workload: Workload {
            arrivals,
            replies: 1,
            retry: Span::from_millis(9),
            gateways: (0..nodes).map(NodeId::at).collect(),
            until: Time::MAX,
            two_faced: Ratio::ZERO,
            author: AuthorSettings::default(),
            contact: Channel::regular(Span::from_millis(10), Span::from_millis(4)),
        },
        population: Population::new(1, 2, 4),
        rules: Rules::default(),
        outages: outages(nodes, &mut coin),
        crash_points: crash_points(nodes, &mut coin),
        slow: vec![Slow {
            node: NodeId(0),
            factor: 3,
            during: window(1, 9),
        }],
        clocks: vec![Clock {
            node: NodeId::at(nodes - 1),
            speed_thousandths: 700 + coin(600),
            during: window(1, 20),
        }],
        liars: if coin(2) == 0 { vec![liar] } else { Vec::new() },
        warmup: Time::ZERO + Span::from_millis(4),
        until: Time::ZERO + Span::from_millis(30),
        trace: coin(2) == 0,
        execution: execution(nodes, &mut coin),
    }
}

fn execution(nodes: usize, coin: &mut impl FnMut(u64) -> u64) -> Execution {
    if coin(2) == 0 {
        return Execution::OrderExecute;
    }
    Execution::Validate {
        policy: Policy::all(1 + coin(nodes as u64) as usize),
        retries: coin(3) as u32,
        backoff: Span::from_micros(1 + coin(3_000)),
    }
}

fn outcome(seed: u64, kernel: Kernel) -> (u64, u64, Ended) {
    let mut fold = Fold::default();
    let ended = Simulation::<Chatter>::new(plan(seed), ()).run(kernel, &mut fold);
    (fold.hash, fold.events, ended)
}

#[test]
fn every_kernel_and_any_number_of_threads_give_the_same_run() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..60 {
        let heap = outcome(seed, Kernel::Heap);
        for threads in [1, 2, 8] {
            let windows = outcome(seed, Kernel::Windows { threads });
            assert_eq!(heap, windows, "seed {seed}, {threads} threads");
        }
        let totals = &heap.2.totals;
        assert_eq!(
            totals.sent + totals.duplicated,
            totals.delivered + totals.dropped + totals.lost + totals.in_flight,
            "seed {seed}: every copy is accounted for"
        );
        assert!(seen.insert(heap.2.hash), "seed {seed} repeats another run");
        assert_eq!(
            outcome(seed, Kernel::Heap),
            heap,
            "seed {seed} repeats itself"
        );
    }
}

/// What happened to one node, with the time in milliseconds.
#[derive(Default)]
struct Fates(Vec<(u64, &'static str)>);
impl Observer for Fates {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        if node != NodeId(0) {
            return;
        }
        let millis = now.nanos() / 1_000_000;
        if let Event::Restarted { amnesia, .. } = event {
            let fate = ["returned", "returned without memory"][usize::from(*amnesia)];
            self.0.push((millis, fate));
        } else if matches!(event, Event::Crashed) {
            self.0.push((millis, "crashed"));
        }
    }
}

#[test]
fn outages_that_overlap_are_one_outage() {
    let fates = |outages: &[(u64, u64, Disk)]| {
        let mut plan = plan(1);
        plan.crash_points.clear();
        plan.liars.clear();
        let outage = |&(from, until, disk): &(u64, u64, Disk)| Outage {
            node: Some(NodeId(0)),
            during: window(from, until),
            disk,
        };
        plan.outages = outages.iter().map(outage).collect();
        let mut fates = Fates::default();
        Simulation::<Chatter>::new(plan, ()).run(Kernel::Heap, &mut fates);
        fates.0
    };
    let (keep, lost) = (Disk::Keep, Disk::Lost);
    assert_eq!(
        fates(&[(5, 10, keep), (8, 20, keep)]),
        [(5, "crashed"), (20, "returned")]
    );
    assert_eq!(
        fates(&[(5, 20, keep), (8, 10, lost), (25, 27, keep)]),
        [
            (5, "crashed"),
            (20, "returned without memory"),
            (25, "crashed"),
            (27, "returned")
        ]
    );
    assert_eq!(
        fates(&[(5, 10, keep), (10, 12, keep)]),
        [(5, "crashed"), (12, "returned")],
        "no instant lies between two that touch"
    );
}

/// When a node took in requests, in microseconds.
#[derive(Default)]
struct Intake(Vec<u64>);
impl Observer for Intake {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        if node == NodeId(0) && matches!(event, Event::Delivered { .. }) {
            self.0.push(now.nanos() / 1_000);
        }
    }
}

#[test]
fn work_that_a_crash_interrupts_is_the_last() {
    let template = plan(1);
    let link = Link {
        latency: Distribution::new(&Law::Constant(Span::from_micros(300))),
        bandwidth: "unlimited".parse().unwrap(),
    };
    let topology = Topology::new(1, vec![0; 2], &link, &[]).unwrap();
    let arrivals = Arrivals::Open {
        rate: "2000/s".parse().unwrap(),
        even: true,
    };
    let plan = Plan {
        nodes: 1,
        client_hosts: 1,
        network: Network::new(topology, &[], false, 1),
        machine: Machine {
            execute: Span::from_millis(5),
            ..Machine::FREE
        },
        workload: Workload {
            arrivals,
            gateways: vec![NodeId(0)],
            retry: Span::from_secs(1),
            ..template.workload.clone()
        },
        outages: vec![Outage {
            node: Some(NodeId(0)),
            during: window(12, 40),
            disk: Disk::Keep,
        }],
        crash_points: Vec::new(),
        slow: Vec::new(),
        clocks: Vec::new(),
        liars: Vec::new(),
        trace: true,
        execution: Execution::OrderExecute,
        ..template
    };
    let mut intake = Intake::default();
    Simulation::<Chatter>::new(plan, ()).run(Kernel::Heap, &mut intake);
    // The third transaction would be done at 15.3 ms. The node does not take a fourth instead.
    assert_eq!(intake.0, [300, 5_300, 10_300]);
}
