//! Makes a failing scenario smaller as long as the same property fails: first what can be left out
//! at all, then nodes, then times and numbers.

use super::{Failure, draw, judge};
use crate::base::distribution::Law;
use crate::base::node::NodeId;
use crate::base::time::{Span, Time, Window};
use crate::base::units::{Rate, Ratio};
use crate::contract::{Mix, Rules, Wish};
use crate::scenario::run::Entry;
use crate::scenario::schema::{
    Adversary, Execution, Fault, Gateways, Liveness, Load, Scenario, Scope, Targets, Victims,
};
use crate::scenario::{Known, Latency};

/// A scenario made smaller.
#[derive(Clone, Debug)]
pub struct Small {
    /// What is left.
    pub scenario: Scenario,
    /// How it fails.
    pub failure: Failure,
    /// How many runs it took.
    pub runs: u64,
}

/// Shrinks one scenario.
pub struct Shrink<'a> {
    /// Its protocol.
    pub entry: &'a Entry,
    /// What scenarios may refer to.
    pub known: Known<'a>,
    /// Runs at most.
    pub runs_max: u64,
}

/// A smaller scenario to be tried, or several.
type Edits = Vec<Scenario>;

impl Shrink<'_> {
    /// Makes it smaller until nothing can be left out any more, or the runs are used up.
    pub fn shrink(&self, scenario: &Scenario, failure: &Failure) -> Small {
        let mut small = Small {
            scenario: scenario.clone(),
            failure: failure.clone(),
            runs: 0,
        };
        let steps: [fn(&Scenario) -> Edits; 7] = [
            shorter,
            without_trouble,
            with_fewer_nodes,
            simpler,
            with_plain_settings,
            with_shorter_windows,
            with_less_load,
        ];
        loop {
            let before = small.runs;
            let mut progress = false;
            for step in steps {
                progress |= self.exhaust(step, &mut small);
            }
            if !progress || small.runs >= self.runs_max || small.runs == before {
                return small;
            }
        }
    }

    /// Takes the first edit that fails alike, time and again; whether there was one.
    fn exhaust(&self, step: fn(&Scenario) -> Edits, small: &mut Small) -> bool {
        let mut progress = false;
        let mut from = 0;
        while small.runs < self.runs_max {
            let edits = step(&small.scenario);
            // Begins where it left off: what did not help before is tried again last.
            let count = edits.len();
            let turn = (0..count).map(|place| (from + place) % count);
            let found = turn.into_iter().find_map(|place| {
                let took = self.fails_alike(&edits[place], small)?;
                Some((place, took))
            });
            let Some((place, (scenario, failure))) = found else {
                return progress;
            };
            (small.scenario, small.failure) = (scenario, failure);
            from = place;
            progress = true;
        }
        progress
    }

    /// The edit as it reads back, if the same property fails in it.
    fn fails_alike(&self, edit: &Scenario, small: &mut Small) -> Option<(Scenario, Failure)> {
        if small.runs >= self.runs_max {
            return None;
        }
        let edit = if edit.expect.liveness == Liveness::Holds {
            draw::settle(self.entry, &self.known, edit).ok()?
        } else {
            Scenario::parse("shrunk", &edit.to_yaml(), &[], None, &self.known).ok()?
        };
        if edit == small.scenario {
            return None;
        }
        small.runs += 1;
        let failure = judge(self.entry, &edit).failure?;
        (failure.property == small.failure.property).then_some((edit, failure))
    }
}

/// The scenario after one change.
fn with(scenario: &Scenario, change: impl FnOnce(&mut Scenario)) -> Scenario {
    let mut changed = scenario.clone();
    change(&mut changed);
    changed
}

/// Lists with all, half, a quarter, … one of so many entries gone, as ranges.
fn cuts(count: usize) -> Vec<std::ops::Range<usize>> {
    let mut cuts = Vec::new();
    let mut size = count;
    while size > 0 {
        let starts = (0..count).step_by(size);
        cuts.extend(starts.map(|start| start..count.min(start + size)));
        size /= 2;
    }
    cuts
}

/// Without some faults and adversaries.
fn without_trouble(scenario: &Scenario) -> Edits {
    let faults = cuts(scenario.faults.len()).into_iter().map(|range| {
        with(scenario, |s| {
            s.faults.drain(range);
        })
    });
    let adversaries = cuts(scenario.adversaries.len()).into_iter().map(|range| {
        with(scenario, |s| {
            s.adversaries.drain(range);
        })
    });
    faults.chain(adversaries).collect()
}

/// Without a node, whose place the later ones take, and with fewer victims of each fault.
fn with_fewer_nodes(scenario: &Scenario) -> Edits {
    let mut edits: Edits = (0..scenario.nodes)
        .rev()
        .map(|gone| with(scenario, |s| remove(s, NodeId::at(gone))))
        .collect();
    for (place, fault) in scenario.faults.iter().enumerate() {
        let victims = victims(fault).len();
        if victims > 1 {
            edits.extend((0..victims).map(|victim| {
                with(scenario, |s| {
                    victims_mut(&mut s.faults[place]).map(|nodes| nodes.remove(victim));
                })
            }));
        }
    }
    edits
}

/// The nodes that a fault names.
fn victims(fault: &Fault) -> Vec<NodeId> {
    let mut fault = fault.clone();
    victims_mut(&mut fault).map_or(Vec::new(), std::mem::take)
}

fn victims_mut(fault: &mut Fault) -> Option<&mut Vec<NodeId>> {
    match fault {
        Fault::Crash {
            nodes: Victims::Nodes(nodes),
            ..
        }
        | Fault::CrashPoint {
            nodes: Victims::Nodes(nodes),
            ..
        }
        | Fault::Clock { nodes, .. }
        | Fault::Loss { nodes, .. }
        | Fault::Delay { nodes, .. }
        | Fault::Slow { nodes, .. } => Some(nodes),
        Fault::Crash {
            nodes: Victims::Leader,
            ..
        }
        | Fault::CrashPoint {
            nodes: Victims::Leader,
            ..
        }
        | Fault::Partition { .. }
        | Fault::Duplicate { .. }
        | Fault::Reorder { .. } => None,
    }
}

/// Removes a node; later ones move up. What befalls or is done by nobody any more goes, too.
fn remove(scenario: &mut Scenario, gone: NodeId) {
    scenario.nodes -= 1;
    let keep = |nodes: &mut Vec<NodeId>| {
        nodes.retain(|node| *node != gone);
        for node in nodes.iter_mut().filter(|node| **node > gone) {
            *node = NodeId::at(node.index() - 1);
        }
    };
    for site in &mut scenario.network.sites {
        keep(&mut site.nodes);
    }
    scenario.faults.retain_mut(|fault| {
        if let Fault::Partition { groups, .. } = fault {
            groups.iter_mut().for_each(keep);
            groups.retain(|group| !group.is_empty());
            return groups.len() > 1;
        }
        victims_mut(fault).is_none_or(|nodes| {
            let all = nodes.is_empty();
            keep(nodes);
            all || !nodes.is_empty()
        })
    });
    scenario.adversaries.retain_mut(|adversary| {
        keep(&mut adversary.nodes);
        if let Targets::Nodes(nodes) = &mut adversary.scope.targets {
            keep(nodes);
            if nodes.is_empty() {
                adversary.scope.targets = Targets::Usual;
            }
        }
        adversary.led > 0 || !adversary.nodes.is_empty()
    });
}

/// A millisecond on every way, one site, machines that cost nothing but their disks' time, plain
/// calls, no endorsements.
fn simpler(scenario: &Scenario) -> Edits {
    let edits: [fn(&mut Scenario); 16] = [
        |s| {
            let network = &mut s.network;
            network.links.clear();
            let mut sites = network.sites.drain(..);
            let mut first = sites.next().expect("a network has a site");
            first.nodes.extend(sites.flat_map(|site| site.nodes));
            first.nodes.sort_unstable();
            network.sites = vec![first];
        },
        |s| s.network.within.latency = Latency::constant(Span::from_millis(1)),
        |s| s.network.ordered = true,
        |s| s.execution = Execution::OrderExecute,
        |s| s.contract = plain_rules(&s.contract),
        |s| s.workload.mix = Mix::of(&[(Wish::Submit, 1)]),
        |s| s.workload.invalid = Ratio::ZERO,
        |s| s.workload.two_faced = Ratio::ZERO,
        |s| s.workload.until = None,
        |s| s.workload.gateways = Gateways::Honest,
        |s| s.machine.sync = Span::ZERO,
        |s| s.machine.cores = 1,
        |s| s.batch.max = 1,
        |s| s.batch.wait = Span::from_millis(2),
        |s| s.adversaries.iter_mut().for_each(|a| a.collude = false),
        |s| {
            if let Load::Open { even, .. } = &mut s.workload.load {
                *even = true;
            }
        },
    ];
    let plain = edits.iter().map(|edit| with(scenario, edit));
    plain.chain(wider(scenario)).collect()
}

/// With behaviours that are not limited in one way or another.
fn wider(scenario: &Scenario) -> Edits {
    let edits: [fn(&mut Scope); 5] = [
        |scope| scope.heights = None,
        |scope| scope.probability = Ratio::ONE,
        |scope| scope.leading = false,
        |scope| scope.targets = Targets::Usual,
        |scope| scope.kinds.clear(),
    ];
    let places = 0..scenario.adversaries.len();
    let pairs = places.flat_map(|place| edits.map(|edit| (place, edit)));
    pairs
        .map(|(place, edit)| with(scenario, |s| edit(&mut s.adversaries[place].scope)))
        .collect()
}

/// The rules of the contract that are recommended; a check that is left out stays so.
fn plain_rules(rules: &Rules) -> Rules {
    #[cfg(any(test, feature = "mutants"))]
    let plain = Rules {
        mutant: rules.mutant,
        ..Rules::default()
    };
    #[cfg(not(any(test, feature = "mutants")))]
    let plain = {
        let _ = rules;
        Rules::default()
    };
    plain
}

/// Without one of the protocol's keys, which then has its default.
fn with_plain_settings(scenario: &Scenario) -> Edits {
    let keys = scenario.protocol.config.as_object();
    let keys = keys.into_iter().flat_map(|map| map.keys());
    keys.filter(|key| *key != "mutant")
        .map(|key| {
            with(scenario, |s| {
                if let Some(map) = s.protocol.config.as_object_mut() {
                    map.remove(key);
                }
            })
        })
        .collect()
}

/// With one window that begins later or ends earlier, or with round ends.
fn with_shorter_windows(scenario: &Scenario) -> Edits {
    let end = Time::ZERO + scenario.duration;
    let mut edits = Vec::new();
    let mut try_all = |window: Window, set: &dyn Fn(&mut Scenario, Window)| {
        let shorter = shorter_windows(window, end);
        edits.extend(
            shorter
                .into_iter()
                .map(|window| with(scenario, |s| set(s, window))),
        );
    };
    for (place, fault) in scenario.faults.iter().enumerate() {
        try_all(fault.during(), &|s, window| {
            *during_mut(&mut s.faults[place]) = window;
        });
    }
    for (place, adversary) in scenario.adversaries.iter().enumerate() {
        try_all(adversary.during, &|s, window| {
            let Adversary { during, .. } = &mut s.adversaries[place];
            *during = window;
        });
    }
    edits
}

/// Half the window, from either end, and one with round ends.
fn shorter_windows(window: Window, end: Time) -> Vec<Window> {
    let from = window.from;
    let until = window.until.unwrap_or(end);
    let half = Span::from_nanos(until.since(from).nanos() / 2);
    let mut shorter = Vec::new();
    if half >= Span::from_millis(1) {
        let until = Some(from + half);
        shorter.push(Window { from, until });
        if window.until.is_some() {
            let from = from + half;
            shorter.push(Window { from, ..window });
        }
    }
    for step in [100, 10, 1].map(Span::from_millis) {
        let down = |time: Time| Time::from_nanos(time.nanos() / step.nanos() * step.nanos());
        let round = Window {
            from: down(from),
            until: window.until.map(|until| down(until).max(down(from) + step)),
        };
        if round != window {
            shorter.push(round);
            break;
        }
    }
    shorter
}

fn during_mut(fault: &mut Fault) -> &mut Window {
    match fault {
        Fault::Partition { during, .. }
        | Fault::Loss { during, .. }
        | Fault::Delay { during, .. }
        | Fault::Duplicate { during, .. }
        | Fault::Reorder { during, .. }
        | Fault::Crash { during, .. }
        | Fault::CrashPoint { during, .. }
        | Fault::Clock { during, .. }
        | Fault::Slow { during, .. } => during,
    }
}

/// Half the load, fewer people.
fn with_less_load(scenario: &Scenario) -> Edits {
    let edits: [fn(&mut Scenario); 4] = [
        |s| match &mut s.workload.load {
            Load::Open { rate, .. } => {
                let half = (rate.per_kilosecond() / 2).max(1_000);
                *rate = Rate::from_per_kilosecond(half);
            }
            Load::Closed { clients, .. } => *clients = (*clients / 2).max(1),
        },
        |s| s.workload.patients = 2,
        |s| s.workload.doctors = 1,
        |s| {
            if let Law::Constant(span) = s.network.within.latency.law {
                let half = Span::from_nanos(span.nanos() / 2).max(Span::from_millis(1));
                s.network.within.latency = Latency::constant(half);
            }
        },
    ];
    edits.iter().map(|edit| with(scenario, edit)).collect()
}

/// A run that ends earlier. How long liveness is waited for is no choice.
fn shorter(scenario: &Scenario) -> Edits {
    if scenario.expect.liveness == Liveness::Holds {
        return vec![with(scenario, |s| s.expect.liveness = Liveness::Any)];
    }
    let tenth = Span::from_nanos(scenario.duration.nanos() / 10);
    let shares = [5, 8, 9].map(|tenths| tenth * tenths);
    let shares = shares
        .into_iter()
        .filter(|span| *span > Span::from_millis(10));
    shares
        .map(|span| {
            let round = Span::from_millis(span.nanos().div_ceil(1_000_000));
            with(scenario, |s| {
                s.duration = round;
                s.faults
                    .retain(|fault| fault.during().from < Time::ZERO + round);
                for fault in &mut s.faults {
                    clip(during_mut(fault), Time::ZERO + round);
                }
                s.adversaries.retain(|a| a.during.from < Time::ZERO + round);
                for adversary in &mut s.adversaries {
                    clip(&mut adversary.during, Time::ZERO + round);
                }
            })
        })
        .collect()
}

/// A window that ends after the run stays open.
fn clip(window: &mut Window, end: Time) {
    if window.until.is_some_and(|until| until > end) {
        window.until = None;
    }
}
