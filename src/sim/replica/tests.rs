//! What nodes find on their disks when they stop in the middle of something, forget, or run
//! twice: a protocol counts, writes the count down, and says it.

use std::collections::BTreeMap;

use crate::base::crypto::Crypto;
use crate::base::distribution::{Distribution, Law};
use crate::base::node::NodeId;
use crate::base::time::{Span, Time, Window};
use crate::base::units::Ratio;
use crate::contract::Rules;
use crate::contract::author::AuthorSettings;
use crate::contract::population::Population;
use crate::network::Network;
use crate::network::topology::{Link, Topology};
use crate::protocol::mempool::BatchRule;
use crate::protocol::{
    Context, FaultModel, Input, Misfit, Protocol, Report, Retry, Setup, Status, Wire,
};
use crate::sim::adversary::{Act, Behaviour, Scope};
use crate::sim::client::Arrivals;
use crate::sim::contact::Channel;
use crate::sim::event::{Event, Observer};
use crate::sim::machine::Machine;
use crate::sim::{
    Clock, CrashPoint, Disk, Execution, Kernel, Liar, Outage, Plan, Point, Simulation, Workload,
};

/// Counts once a millisecond, and writes every so many counts down.
#[derive(Clone, Debug)]
struct Counter {
    setup: Setup,
    every: u64,
    durable: u64,
}

#[derive(Clone, Debug)]
struct Count(u64);

impl Wire for Count {
    fn kind(&self) -> &'static str {
        "count"
    }
    fn kinds() -> Vec<&'static str> {
        vec!["count"]
    }
    fn size(&self) -> u32 {
        8
    }
}

impl Protocol for Counter {
    const NAME: &'static str = "counter";
    const ABOUT: &'static str = "Counts.";
    const FAULTS: FaultModel = FaultModel::Crash;
    const RETRY: Retry = Retry::All;
    type Config = u64;
    type Message = Count;
    type Timer = u8;

    fn check(_config: &u64, _n: usize) -> Vec<Misfit> {
        Vec::new()
    }
    fn liveness_bound(_config: &u64, _n: usize, delay: Span) -> Span {
        delay
    }
    fn new(config: &u64, setup: Setup) -> Self {
        let (every, durable) = (*config, 0);
        Self {
            setup,
            every,
            durable,
        }
    }
    fn step(&mut self, input: Input<'_, Count, u8>, cx: &mut Context<'_, Count, u8>) {
        match input {
            Input::Start => {
                cx.report(Report::Enters { view: self.durable });
                cx.set_timer(0, Span::from_millis(1));
            }
            Input::Deliver {
                from: NodeId(0),
                message,
            } => {
                cx.report(Report::Leads { view: message.0 });
            }
            Input::Timeout(_) => {
                self.durable += 1;
                if self.durable.is_multiple_of(self.every) {
                    cx.persist();
                }
                let committee = self.setup.committee.clone();
                cx.broadcast(&committee, Count(self.durable));
                cx.set_timer(0, Span::from_millis(1));
            }
            Input::Deliver { .. } | Input::Submit(_) => {}
        }
    }
    fn status(&self) -> Status {
        Status::default()
    }
}

/// What n0 found when it started, and what others heard of it.
#[derive(Default)]
struct Seen {
    found: Vec<u64>,
    heard: BTreeMap<NodeId, Vec<u64>>,
    /// For each start, what had been heard by then at most.
    known: Vec<u64>,
}

impl Observer for Seen {
    fn on_event(&mut self, _: Time, node: NodeId, event: &Event) {
        match event {
            Event::Reported {
                report: Report::Enters { view },
            } if node == NodeId(0) => {
                let known = self.heard.values().flatten().max();
                self.known.push(known.copied().unwrap_or(0));
                self.found.push(*view);
            }
            Event::Reported {
                report: Report::Leads { view },
            } => self.heard.entry(node).or_default().push(*view),
            _ => {}
        }
    }
}

fn millis(from: u64, until: u64) -> Window {
    let at = |millis| Time::ZERO + Span::from_millis(millis);
    Window {
        from: at(from),
        until: Some(at(until)),
    }
}

/// Three nodes for a fifth of a second, with some trouble for n0.
fn seen(trouble: impl FnOnce(&mut Plan)) -> Seen {
    seen_of(1, trouble)
}

/// The same, if only some counts are written down.
fn seen_of(every: u64, trouble: impl FnOnce(&mut Plan)) -> Seen {
    let link = Link {
        latency: Distribution::new(&Law::Constant(Span::from_micros(300))),
        bandwidth: "unlimited".parse().unwrap(),
    };
    let topology = Topology::new(1, vec![0; 4], &link, &[]).unwrap();
    let mut plan = Plan {
        memory: crate::sim::limit::MEMORY,
        seed: 7,
        nodes: 3,
        client_hosts: 1,
        network: Network::new(topology, &[], false, 7),
        machine: Machine::default(),
        crypto: Crypto::Modelled,
        batch: BatchRule::default(),
        workload: Workload {
            arrivals: Arrivals::Closed {
                clients: 1,
                think: Span::from_secs(1),
            },
            replies: 1,
            retry: Span::from_secs(1),
            gateways: vec![NodeId(0)],
            until: Time::MAX,
            two_faced: Ratio::ZERO,
            author: AuthorSettings::default(),
            contact: Channel::regular(Span::from_millis(10), Span::from_millis(4)),
        },
        population: Population::new(1, 2, 4),
        rules: Rules::default(),
        execution: Execution::OrderExecute,
        outages: Vec::new(),
        crash_points: Vec::new(),
        slow: Vec::new(),
        clocks: Vec::new(),
        liars: Vec::new(),
        warmup: Time::ZERO,
        until: Time::ZERO + Span::from_millis(200),
        trace: false,
    };
    trouble(&mut plan);
    let mut seen = Seen::default();
    Simulation::<Counter>::new(plan, every).run(Kernel::Heap, &mut seen);
    seen
}

fn dishonest(behaviour: Behaviour, during: Window) -> Liar {
    let act = Act {
        behaviour,
        scope: Scope::default(),
        during,
    };
    Liar {
        node: NodeId(0),
        acts: vec![act],
        colludes: false,
    }
}

fn is_without_gaps(counts: &[u64]) -> bool {
    counts.windows(2).all(|pair| pair[1] == pair[0] + 1)
}

#[test]
fn what_was_written_when_a_node_stops_is_found_and_no_more() {
    for at in Point::ALL {
        let seen = seen(|plan| {
            plan.crash_points.push(CrashPoint {
                node: Some(NodeId(0)),
                at,
                kinds: Vec::new(),
                probability: "20%".parse().unwrap(),
                down: Span::from_millis(2),
                during: millis(0, 150),
            });
        });
        let heard = &seen.heard[&NodeId(1)];
        assert!(seen.found.len() > 10, "{at:?}: {:?}", seen.found);
        assert!(
            heard.windows(2).all(|pair| pair[0] < pair[1]),
            "{at:?}: {heard:?}"
        );
        for (found, known) in seen.found.iter().zip(&seen.known) {
            assert!(found >= known, "{at:?}: what was said was written");
        }
        // What is not written is counted anew, what is written and not said leaves a gap.
        let gaps = at == Point::AfterWrite || at == Point::BeforeSend;
        assert_eq!(is_without_gaps(heard), !gaps, "{at:?}: {heard:?}");
    }
}

#[test]
fn what_was_not_written_is_lost_in_a_crash_however_long_ago_it_was() {
    let found = |every, disk| {
        let crash = |plan: &mut Plan| {
            plan.outages.push(Outage {
                node: Some(NodeId(0)),
                during: millis(100, 110),
                disk,
            });
        };
        let seen = seen_of(every, crash);
        assert!(seen.known[1] > 60);
        (seen.found[1], seen.known[1])
    };
    let (found_all, known) = found(1, Disk::Unsynced);
    assert!(found_all >= known, "{found_all} {known}");
    // The last write was at 64, and what was said since is forgotten.
    let (found_some, known) = found(64, Disk::Unsynced);
    assert!(found_some == 64 && known > 90, "{found_some} {known}");
    let (found_kept, known) = found(64, Disk::Keep);
    assert!(found_kept >= known, "{found_kept} {known}");
}

#[test]
fn who_is_restored_from_a_copy_counts_again_what_it_said() {
    let forget = |plan: &mut Plan| {
        plan.liars
            .push(dishonest(Behaviour::Amnesia, millis(50, 100)));
    };
    let seen = seen(forget);
    let [0, found] = seen.found[..] else {
        panic!("{:?}", seen.found);
    };
    assert!((30..50).contains(&found) && seen.known[1] > found + 25);
    let heard = &seen.heard[&NodeId(1)];
    let twice = heard.iter().filter(|count| **count == found + 1).count();
    assert_eq!(twice, 2, "{heard:?}");
}

#[test]
fn who_never_wrote_finds_nothing_of_it_after_a_crash() {
    let crash = |plan: &mut Plan| {
        plan.outages.push(Outage {
            node: Some(NodeId(0)),
            during: millis(100, 110),
            disk: Disk::Keep,
        });
    };
    let honest = seen(crash);
    let seen = seen(|plan| {
        crash(plan);
        plan.liars
            .push(dishonest(Behaviour::NoSync, millis(50, 150)));
    });
    assert!(honest.found[1] >= honest.known[1]);
    assert!((30..51).contains(&seen.found[1]), "{:?}", seen.found);
    assert!(seen.known[1] > seen.found[1] + 25);
}

#[test]
fn twins_count_each_for_itself_and_to_its_own_half() {
    let twins = |plan: &mut Plan| {
        plan.liars
            .push(dishonest(Behaviour::Twins, millis(50, 100)));
    };
    let seen = seen(twins);
    let (first, second) = (&seen.heard[&NodeId(1)], &seen.heard[&NodeId(2)]);
    assert!(is_without_gaps(first), "{first:?}");
    // The second stops when the window closes; its half then hears the first again.
    assert!(
        second.windows(2).all(|pair| pair[0] < pair[1]),
        "{second:?}"
    );
    assert!(first.len().abs_diff(second.len()) < 3);
}

#[test]
fn a_fast_clock_counts_more_and_a_slow_one_less() {
    let counts = |speed_thousandths| {
        let clock = |plan: &mut Plan| {
            plan.clocks.push(Clock {
                node: NodeId(0),
                speed_thousandths,
                during: Window::ALWAYS,
            });
        };
        seen(clock).heard[&NodeId(1)].len()
    };
    // A count takes a quarter of a millisecond to write down.
    let [slow, right, fast] = [500, 1_000, 2_000].map(counts);
    assert!((150..165).contains(&right), "{right}");
    assert!(
        (85..92).contains(&slow) && (250..275).contains(&fast),
        "{slow} {fast}"
    );
}
