//! L3: how words travel. A message leaves through its sender's link, one copy after another,
//! crosses the sites on the shortest path, suffers the faults that are active, and arrives.
//!
//! Every draw is a pure function of (seed, purpose, source, the source's count, destination): it
//! does not matter when, or on which thread, it is made. The network sees sizes and addresses,
//! never contents.

pub mod fault;
pub mod regions;
pub mod topology;

use crate::base::node::NodeId;
use crate::base::random::{Keyed, Stream};
use crate::base::time::{Span, Time};
use fault::{Fault, Filter};
use topology::{Path, Topology};

/// One message about to leave, the same for all its copies.
#[derive(Clone, Copy, Debug)]
pub struct Departure {
    /// The sender.
    pub from: NodeId,
    /// The sender's count of messages, which names this one.
    pub count: u64,
    /// When the first copy may start to leave.
    pub at: Time,
    /// Bytes of one copy.
    pub size: u32,
}

/// The sending side of one node's link.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    /// When the last copy so far has left.
    free: Time,
    /// On ordered networks, when the last copy to each destination arrives.
    last: Vec<Time>,
}

/// Everything between the nodes.
#[derive(Clone, Debug)]
pub struct Network {
    topology: Topology,
    filters: Vec<Filter>,
    draws: Keyed,
    ordered: bool,
}

impl Network {
    /// A network over a topology, with faults, for the run with this seed.
    pub fn new(topology: Topology, faults: &[Fault], ordered: bool, seed: u64) -> Self {
        let endpoints = topology.endpoints();
        let filters = faults
            .iter()
            .enumerate()
            .map(|(index, fault)| {
                let index = u16::try_from(index).expect("a scenario has at most 65,536 faults");
                Filter::new(
                    fault.clone(),
                    endpoints,
                    Keyed::new(seed, Stream::Fault(index)),
                )
            })
            .collect();
        Self {
            topology,
            filters,
            draws: Keyed::new(seed, Stream::Latency),
            ordered,
        }
    }

    /// The least time any message takes: within so long no node can influence another.
    pub fn lookahead(&self) -> Span {
        self.topology.least_latency()
    }

    /// The places and links.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// How long the receiving link of a node is busy with one copy of this size.
    pub fn receive(&self, size: u32) -> Span {
        transmission(size, self.topology.ingress_picos_per_byte())
    }

    /// Sends one copy to each of `to`: calls `arrive(destination, when)` for each copy that will
    /// arrive, and returns how many were lost and how many added on the way.
    #[inline]
    pub fn route(
        &self,
        departure: &Departure,
        to: impl Iterator<Item = NodeId>,
        egress: &mut Egress,
        mut arrive: impl FnMut(NodeId, Time),
    ) -> Losses {
        if self.ordered
            || self
                .filters
                .iter()
                .any(|filter| filter.is_active(departure.at))
        {
            return self.route_through_faults(departure, to, egress, arrive);
        }
        let message = self.draws.message(departure.from, departure.count);
        let from = self.topology.home(departure.from);
        let mut free = egress.free.max(departure.at);
        // Neighbours in the order of destinations often share a site: their way is looked up once.
        let mut home = from;
        let mut path = self.topology.path(from, home);
        let mut taken = transmission(departure.size, path.picos_per_byte);
        for destination in to {
            let next = self.topology.home(destination);
            if next != home {
                home = next;
                path = self.topology.path(from, home);
                taken = transmission(departure.size, path.picos_per_byte);
            }
            free += taken;
            arrive(destination, free + self.latency(path, message, destination));
        }
        egress.free = free;
        Losses::default()
    }

    /// The general case: faults edit the fate of each copy in the order of the scenario.
    fn route_through_faults(
        &self,
        departure: &Departure,
        to: impl Iterator<Item = NodeId>,
        egress: &mut Egress,
        mut arrive: impl FnMut(NodeId, Time),
    ) -> Losses {
        let message = self.draws.message(departure.from, departure.count);
        let from = self.topology.home(departure.from);
        let mut losses = Losses::default();
        let mut fate = Vec::new();
        egress.free = egress.free.max(departure.at);
        for destination in to {
            let path = self.topology.path(from, self.topology.home(destination));
            egress.free += transmission(departure.size, path.picos_per_byte);
            let latency = self.latency(path, message, destination);
            fate.clear();
            fate.push(latency);
            let mut held = Span::ZERO;
            for filter in &self.filters {
                held = held.max(filter.apply(departure, destination, &self.topology, &mut fate));
            }
            match fate.len() {
                0 => losses.lost += 1,
                copies => losses.duplicated += copies as u64 - 1,
            }
            for span in &fate {
                let mut arrival = egress.free + held + *span;
                if self.ordered {
                    arrival = egress.in_order(destination, arrival);
                }
                arrive(destination, arrival);
            }
        }
        losses
    }

    /// The latency of one copy: one draw a hop.
    #[inline(always)]
    fn latency(&self, path: &Path, message: u64, destination: NodeId) -> Span {
        if let Some(constant) = path.constant {
            return constant;
        }
        let first = path.hops[0].at(self.draws.draw(message, destination, 0));
        if path.hops.len() == 1 {
            return first;
        }
        let rest = path.hops.iter().enumerate().skip(1);
        rest.fold(first, |latency, (hop, distribution)| {
            latency + distribution.at(self.draws.draw(message, destination, hop as u32))
        })
    }
}

impl Egress {
    /// The arrival of a copy that must not overtake the ones before it to the same destination.
    fn in_order(&mut self, destination: NodeId, arrival: Time) -> Time {
        let index = destination.index();
        if index >= self.last.len() {
            self.last.resize(index + 1, Time::ZERO);
        }
        self.last[index] = self.last[index].max(arrival);
        self.last[index]
    }
}

/// Copies that did not arrive as sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Losses {
    /// Copies that will never arrive.
    pub lost: u64,
    /// Copies added to those sent.
    pub duplicated: u64,
}

/// How long `size` bytes take on a link, rounded up to a nanosecond.
#[inline]
fn transmission(size: u32, picos_per_byte: u64) -> Span {
    Span::from_nanos((u64::from(size) * picos_per_byte).div_ceil(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::distribution::{Distribution, Law};
    use crate::base::time::Window;
    use crate::base::units::{Bandwidth, Ratio};
    use topology::Link;

    fn millis(n: u64) -> Span {
        Span::from_millis(n)
    }

    fn link(law: &Law, bandwidth: &str) -> Link {
        let bandwidth: Bandwidth = bandwidth.parse().unwrap();
        Link {
            latency: Distribution::new(law),
            bandwidth,
        }
    }

    /// Four nodes on one site.
    fn hall(law: &Law, bandwidth: &str, faults: &[Fault], ordered: bool) -> Network {
        let topology = Topology::new(1, vec![0; 4], &link(law, bandwidth), &[]).unwrap();
        Network::new(topology, faults, ordered, 7)
    }

    /// The arrivals of one message of 1,000 bytes from n0 to all others, sent at `at`.
    fn arrivals(network: &Network, count: u64, at: Span) -> Vec<(u16, Span)> {
        let departure = Departure {
            from: NodeId(0),
            count,
            at: Time::ZERO + at,
            size: 1_000,
        };
        let mut arrivals = Vec::new();
        let mut egress = Egress::default();
        network.route(&departure, (1..4).map(NodeId), &mut egress, |to, when| {
            arrivals.push((to.0, when.since(Time::ZERO)));
        });
        arrivals
    }

    #[test]
    fn copies_leave_one_after_another_and_then_travel() {
        let network = hall(&Law::Constant(millis(5)), "8Mbps", &[], false);
        let expected = vec![(1, millis(6)), (2, millis(7)), (3, millis(8))];
        assert_eq!(arrivals(&network, 0, Span::ZERO), expected);
        assert_eq!(network.receive(1_000), millis(1));
        assert_eq!(network.lookahead(), millis(5));
    }

    #[test]
    fn a_partition_loses_what_crosses_it_and_heals() {
        let during = Window {
            from: Time::ZERO + millis(10),
            until: Some(Time::ZERO + millis(20)),
        };
        let split = |one_way, groups: &[&[u16]]| Fault::Partition {
            groups: groups
                .iter()
                .map(|g| g.iter().copied().map(NodeId).collect())
                .collect(),
            one_way,
            held: false,
            flaps: None,
            during,
        };
        let reached = |fault: Fault, at| {
            let network = hall(&Law::Constant(millis(1)), "unlimited", &[fault], false);
            arrivals(&network, 0, at)
                .into_iter()
                .map(|(to, _)| to)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            reached(split(false, &[&[0, 2], &[1]]), millis(9)),
            [1, 2, 3]
        );
        assert_eq!(reached(split(false, &[&[0, 2], &[1]]), millis(10)), [2, 3]);
        assert_eq!(
            reached(split(false, &[&[0, 2], &[1]]), millis(20)),
            [1, 2, 3]
        );
        assert!(reached(split(true, &[&[0], &[1, 2, 3]]), millis(15)).is_empty());
        assert_eq!(
            reached(split(true, &[&[1, 2, 3], &[0]]), millis(15)),
            [1, 2, 3]
        );
    }

    #[test]
    fn a_flapping_partition_comes_and_goes_from_the_beginning_of_its_window() {
        let fault = Fault::Partition {
            groups: vec![vec![NodeId(0)], vec![NodeId(1), NodeId(2), NodeId(3)]],
            one_way: false,
            held: false,
            flaps: Some((millis(10), millis(3))),
            during: Window {
                from: Time::ZERO + millis(5),
                until: Some(Time::ZERO + millis(30)),
            },
        };
        let network = hall(&Law::Constant(millis(1)), "unlimited", &[fault], false);
        let is_cut = |at: &u64| arrivals(&network, 0, millis(*at)).is_empty();
        let cut: Vec<u64> = (0..40).filter(is_cut).collect();
        assert_eq!(cut, [5, 6, 7, 15, 16, 17, 25, 26, 27]);
    }

    #[test]
    fn what_a_partition_holds_comes_when_it_is_over() {
        let at = |ms| Time::ZERO + millis(ms);
        let held = |flaps, from, until: Option<u64>| Fault::Partition {
            groups: vec![vec![NodeId(0)], vec![NodeId(1)]],
            one_way: false,
            held: true,
            flaps,
            during: Window {
                from: at(from),
                until: until.map(at),
            },
        };
        let comes = |faults: &[Fault], sent| {
            let network = hall(&Law::Constant(millis(1)), "unlimited", faults, false);
            let arrivals = arrivals(&network, 0, millis(sent));
            let arrived = arrivals.iter().find(|(to, _)| *to == 1);
            arrived.map(|(_, when)| when.nanos() / 1_000_000)
        };
        let once = held(None, 5, Some(30));
        assert_eq!(comes(std::slice::from_ref(&once), 10), Some(31));
        assert_eq!(comes(std::slice::from_ref(&once), 30), Some(31));
        let both = [once, held(None, 8, Some(20))];
        assert_eq!(comes(&both, 10), Some(31), "when the last of them is over");
        let flaps = Some((millis(10), millis(3)));
        assert_eq!(comes(&[held(flaps, 5, None)], 16), Some(19), "this time");
        assert_eq!(comes(&[held(flaps, 5, Some(17))], 16), Some(18), "at last");
        assert_eq!(comes(&[held(None, 5, None)], 10), None, "it is never over");
    }

    #[test]
    fn loss_and_duplication_happen_as_often_as_they_say() {
        let always = Window::ALWAYS;
        let half: Ratio = "50%".parse().unwrap();
        let copies = |fault: Fault| {
            let network = hall(&Law::Constant(millis(1)), "unlimited", &[fault], false);
            (0..10_000)
                .map(|count| arrivals(&network, count, Span::ZERO).len())
                .sum::<usize>()
        };
        let lost = copies(Fault::Loss {
            rate: half,
            nodes: Vec::new(),
            between: Vec::new(),
            during: always,
        });
        let doubled = copies(Fault::Duplicate {
            rate: half,
            during: always,
        });
        assert!((14_500..15_500).contains(&lost), "{lost}");
        assert!((44_500..45_500).contains(&doubled), "{doubled}");
    }

    #[test]
    fn an_ordered_network_never_lets_one_message_overtake_another() {
        let wild = || Law::Uniform(millis(1), millis(100));
        let overtakes = |ordered| {
            let network = hall(&wild(), "unlimited", &[], ordered);
            let mut egress = Egress::default();
            let mut last = Time::ZERO;
            let mut overtakes = 0;
            for count in 0..100 {
                let at = Time::ZERO + millis(count);
                let departure = Departure {
                    from: NodeId(0),
                    count,
                    at,
                    size: 1,
                };
                network.route(
                    &departure,
                    std::iter::once(NodeId(1)),
                    &mut egress,
                    |_, when| {
                        overtakes += u32::from(when < last);
                        last = when;
                    },
                );
            }
            overtakes
        };
        assert_eq!(overtakes(true), 0);
        assert!(overtakes(false) > 10);
    }

    #[test]
    fn a_delay_adds_to_what_its_nodes_send_and_receive() {
        let slow = |nodes| Fault::Delay {
            by: millis(30),
            nodes,
            during: Window::ALWAYS,
        };
        let to_two = |fault| {
            let network = hall(&Law::Constant(millis(1)), "unlimited", &[fault], false);
            arrivals(&network, 0, Span::ZERO)
        };
        let (near, far) = (millis(1), millis(31));
        assert_eq!(
            to_two(slow(vec![NodeId(2)])),
            [(1, near), (2, far), (3, near)]
        );
        assert_eq!(
            to_two(slow(vec![NodeId(0)])),
            [(1, far), (2, far), (3, far)]
        );
    }
}
