//! Honest trouble of the network: partitions, loss, delay, duplication and reordering.
//!
//! A fault edits the fate of a copy: the list of latencies after which it arrives, empty when it
//! is lost and longer than one when it is duplicated. Faults apply in the order of the scenario,
//! so that they compose. Whether one is active is decided when the message leaves.

use super::Departure;
use super::topology::Topology;
use crate::base::node::NodeId;
use crate::base::random::{Keyed, happens};
use crate::base::time::{Span, Time, Window};
use crate::base::units::Ratio;

/// One fault of the network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing passes between the groups; nodes in no group are not affected.
    Partition {
        /// Disjoint groups of nodes.
        groups: Vec<Vec<NodeId>>,
        /// Only what travels from an earlier group to a later one is lost.
        one_way: bool,
        /// What would be lost waits until the partition is over, if it ever is.
        held: bool,
        /// How often it begins anew and how long it lasts each time, if it comes and goes.
        flaps: Option<(Span, Span)>,
        /// When.
        during: Window,
    },
    /// Copies vanish at random.
    Loss {
        /// How many.
        rate: Ratio,
        /// Only those from or to these nodes; nobody listed means all.
        nodes: Vec<NodeId>,
        /// Only those that travel between these pairs of sites; none listed means all.
        between: Vec<(usize, usize)>,
        /// When.
        during: Window,
    },
    /// Copies from or to some nodes take longer.
    Delay {
        /// By how much.
        by: Span,
        /// From or to whom; nobody listed means everybody.
        nodes: Vec<NodeId>,
        /// When.
        during: Window,
    },
    /// Copies arrive twice at random, the second one up to twice as late.
    Duplicate {
        /// How many.
        rate: Ratio,
        /// When.
        during: Window,
    },
    /// Copies are held back at random, so that later ones overtake them.
    Reorder {
        /// How many.
        rate: Ratio,
        /// By how much at most; drawn uniformly.
        by: Span,
        /// When.
        during: Window,
    },
}

impl Fault {
    /// When the fault is active.
    pub fn during(&self) -> Window {
        match self {
            Self::Partition { during, .. }
            | Self::Loss { during, .. }
            | Self::Delay { during, .. }
            | Self::Duplicate { during, .. }
            | Self::Reorder { during, .. } => *during,
        }
    }
}

/// A fault ready to be applied: node lists turned into tables, and a draw of its own.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    fault: Fault,
    during: Window,
    /// For a partition, the group of each node plus one; for lists of nodes, one if listed.
    table: Vec<u16>,
    /// How often the fault comes and how long it stays.
    flaps: Option<(Span, Span)>,
    /// Whether a list of nodes is empty, so that the fault concerns everybody.
    all: bool,
    draws: Keyed,
}

impl Filter {
    pub(super) fn new(fault: Fault, endpoints: usize, draws: Keyed) -> Self {
        let mut table = vec![0; endpoints];
        let mut mark = |nodes: &[NodeId], value: u16| {
            for node in nodes {
                table[node.index()] = value;
            }
        };
        match &fault {
            Fault::Partition { groups, .. } => {
                for (group, nodes) in groups.iter().enumerate() {
                    mark(nodes, group as u16 + 1);
                }
            }
            Fault::Delay { nodes, .. } | Fault::Loss { nodes, .. } => mark(nodes, 1),
            Fault::Duplicate { .. } | Fault::Reorder { .. } => {}
        }
        let all = table.iter().all(|&mark| mark == 0);
        let flaps = match &fault {
            Fault::Partition { flaps, .. } => *flaps,
            Fault::Loss { .. }
            | Fault::Delay { .. }
            | Fault::Duplicate { .. }
            | Fault::Reorder { .. } => None,
        };
        Self {
            flaps,
            during: fault.during(),
            fault,
            table,
            all,
            draws,
        }
    }

    /// How long the fault stays now that it is active; nothing if it stays for good.
    fn is_over_in(&self, now: Time) -> Option<Span> {
        let left = |(every, lasts): (Span, Span)| {
            let since = now.since(self.during.from).nanos() % every.nanos();
            Span::from_nanos(lasts.nanos() - since)
        };
        let whole = self.during.until.map(|until| until.since(now));
        whole.into_iter().chain(self.flaps.map(left)).min()
    }

    #[inline]
    pub(super) fn is_active(&self, now: Time) -> bool {
        let is_there = |(every, lasts): (Span, Span)| {
            let since = now.since(self.during.from).nanos();
            since % every.nanos() < lasts.nanos()
        };
        self.during.contains(now) && self.flaps.is_none_or(is_there)
    }

    /// Edits the fate of one copy; how long it is held before it travels.
    pub(super) fn apply(
        &self,
        departure: &Departure,
        to: NodeId,
        topology: &Topology,
        fate: &mut Vec<Span>,
    ) -> Span {
        if !self.is_active(departure.at) {
            return Span::ZERO;
        }
        let (from, to_mark) = (self.table[departure.from.index()], self.table[to.index()]);
        let draw = |hop| {
            let message = self.draws.message(departure.from, departure.count);
            self.draws.draw(message, to, hop)
        };
        match &self.fault {
            Fault::Partition { one_way, held, .. } => {
                let crosses = if *one_way {
                    from < to_mark
                } else {
                    from != to_mark
                };
                if from != 0 && to_mark != 0 && crosses {
                    match self.is_over_in(departure.at).filter(|_| *held) {
                        Some(wait) => return wait,
                        None => fate.clear(),
                    }
                }
            }
            Fault::Loss { rate, between, .. } => {
                let concerned = self.all || from != 0 || to_mark != 0;
                let pair = (topology.home(departure.from), topology.home(to));
                let crosses = |&(a, b): &(usize, usize)| pair == (a, b) || pair == (b, a);
                let here = between.is_empty() || between.iter().any(crosses);
                if concerned && here && happens(draw(0), *rate) {
                    fate.clear();
                }
            }
            Fault::Delay { by, .. } => {
                if self.all || from != 0 || to_mark != 0 {
                    fate.iter_mut().for_each(|latency| *latency += *by);
                }
            }
            Fault::Duplicate { rate, .. } => {
                if happens(draw(0), *rate)
                    && let Some(&first) = fate.first()
                {
                    fate.push(first + share(first, draw(1)));
                }
            }
            Fault::Reorder { rate, by, .. } => {
                if happens(draw(0), *rate) {
                    let held = share(*by, draw(1));
                    fate.iter_mut().for_each(|latency| *latency += held);
                }
            }
        }
        Span::ZERO
    }
}

/// A uniform share of a span.
fn share(span: Span, bits: u64) -> Span {
    Span::from_nanos(((u128::from(span.nanos()) * u128::from(bits)) >> 64) as u64)
}
