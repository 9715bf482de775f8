//! Finds out who plays the leader that is dishonest: the run is rehearsed up to the moment at
//! which that leader begins to be.
//!
//! Who is dishonest decides which nodes clients ask, and that may decide who leads. So the one
//! who leads at the end of a rehearsal is rehearsed with as the liar, until it leads again. The
//! run itself is then the same as the last rehearsal, as far as that went.

use super::draws::choose;
use super::run::{config_of, plan_for};
use super::schema::{Adversary, Scenario};
use crate::base::node::NodeId;
use crate::base::random::{Random, Stream};
use crate::base::time::{Span, Time, Window};
use crate::protocol::{Protocol, Report};
use crate::sim::event::{Event, Observer};
use crate::sim::{Kernel, Simulation};

/// Rehearsals for one leader at most; whoever leads in the last one has the part.
const REHEARSALS_MAX: usize = 4;

/// Who led last, in the latest view.
#[derive(Default)]
struct Led {
    view: u64,
    leader: Option<NodeId>,
}

impl Observer for Led {
    fn on_event(&mut self, _: Time, node: NodeId, event: &Event) {
        if let Event::Reported {
            report: Report::Leads { view },
        } = event
            && *view >= self.view
        {
            (self.view, self.leader) = (*view, Some(node));
        }
    }
}

/// The scenario with its dishonest leaders named; nothing if it has none.
pub(super) fn cast<P: Protocol>(scenario: &Scenario, kernel: Kernel) -> Option<Scenario> {
    if scenario.adversaries.iter().all(|a| a.led == 0) {
        return None;
    }
    let mut scenario = scenario.clone();
    for index in 0..scenario.adversaries.len() {
        let part = scenario.adversaries[index].clone();
        if part.led == 0 {
            continue;
        }
        if part.moving {
            let cast = successive::<P>(&scenario, kernel, index);
            scenario.adversaries[index] = Adversary {
                nodes: cast,
                led: 0,
                ..part
            };
            continue;
        }
        let mut cast = Vec::new();
        for _ in 0..REHEARSALS_MAX {
            let leader = rehearse::<P>(&scenario, kernel, index, &cast);
            if cast.contains(&leader) {
                break;
            }
            cast = with_others(&scenario, leader, part.led);
        }
        cast.sort_unstable();
        let named = Adversary {
            nodes: cast,
            led: 0,
            ..part
        };
        scenario.adversaries[index] = named;
    }
    Some(scenario)
}

/// A leader, first, and so many in all with those whom chance puts at its side.
fn with_others(scenario: &Scenario, leader: NodeId, count: usize) -> Vec<NodeId> {
    let mut random = Random::new(scenario.seed, Stream::Placement);
    let taken = scenario.dishonest();
    let others = (0..scenario.nodes).map(NodeId::at);
    let others = others.filter(|node| *node != leader && !taken.contains(node));
    let others = choose(&mut random, others.collect(), count - 1);
    [vec![leader], others].concat()
}

/// Who leads when an adversary begins, if these nodes are to be that adversary; the first node
/// if nobody leads yet.
fn rehearse<P: Protocol>(
    scenario: &Scenario,
    kernel: Kernel,
    index: usize,
    cast: &[NodeId],
) -> NodeId {
    let mut scenario = scenario.clone();
    let part = &mut scenario.adversaries[index];
    let opens = part.during.from;
    part.nodes = cast.to_vec();
    part.during = Window {
        from: opens + Span::from_secs(1),
        until: None,
    };
    scenario.duration = opens.since(Time::ZERO) + Span::from_nanos(1);
    scenario.warmup = Span::ZERO;
    let mut config = config_of::<P>(&scenario);
    let plan = plan_for::<P>(&scenario, &mut config, false);
    let mut led = Led::default();
    Simulation::<P>::new(plan, config).run(kernel, &mut led);
    led.leader.unwrap_or(NodeId::at(0))
}

/// Everybody who led in a window, in order.
struct Leaders {
    during: Window,
    first: Led,
    then: Vec<NodeId>,
}

impl Observer for Leaders {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        if now <= self.during.from {
            self.first.on_event(now, node, event);
        } else if self.during.contains(now)
            && let Event::Reported {
                report: Report::Leads { .. },
            } = event
        {
            self.then.push(node);
        }
    }
}

/// Whoever leads, one after another, each of them dishonest while it does: the run is rehearsed
/// with those who are known, and the next who leads is one of them too.
fn successive<P: Protocol>(scenario: &Scenario, kernel: Kernel, index: usize) -> Vec<NodeId> {
    let part = &scenario.adversaries[index];
    let mut cast: Vec<NodeId> = Vec::new();
    for _ in 0..part.led {
        let mut scenario = scenario.clone();
        scenario.adversaries[index].nodes = cast.clone();
        if let Some(until) = part.during.until {
            // Who leads later has no part.
            let end = until.since(Time::ZERO) + Span::from_nanos(1);
            scenario.duration = scenario.duration.min(end);
            scenario.warmup = Span::ZERO;
        }
        let mut config = config_of::<P>(&scenario);
        let plan = plan_for::<P>(&scenario, &mut config, false);
        let mut led = Leaders {
            during: part.during,
            first: Led::default(),
            then: Vec::new(),
        };
        Simulation::<P>::new(plan, config).run(kernel, &mut led);
        let mut leaders = led.first.leader.into_iter().chain(led.then);
        let Some(next) = leaders.find(|node| !cast.contains(node)) else {
            break;
        };
        cast.push(next);
    }
    cast.sort_unstable();
    cast
}
