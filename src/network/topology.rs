//! Where nodes are: sites joined by links, and the shortest path between any two of them.

use petgraph::algo::{astar, connected_components};
use petgraph::graph::{NodeIndex, UnGraph};

use crate::base::distribution::Distribution;
use crate::base::node::NodeId;
use crate::base::time::Span;
use crate::base::units::Bandwidth;

/// A link between two sites, or the local network within one.
#[derive(Clone, Debug)]
pub struct Link {
    /// The latency of one crossing, drawn for each copy.
    pub latency: Distribution,
    /// Bits a second that one sender gets.
    pub bandwidth: Bandwidth,
}

/// The way from one site to another.
#[derive(Clone, Debug)]
pub struct Path {
    /// The latency of each link crossed.
    pub hops: Vec<Distribution>,
    /// The sum of all hops when none varies.
    pub constant: Option<Span>,
    /// What the sender's link takes for one byte: the narrowest link on the way.
    pub picos_per_byte: u64,
}

/// Sites, links, and the home of each node and client host.
#[derive(Clone, Debug)]
pub struct Topology {
    sites: usize,
    homes: Vec<u32>,
    /// From site to site, row by row.
    paths: Vec<Path>,
    ingress_picos_per_byte: u64,
}

/// Why a topology cannot be simulated.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TopologyError {
    /// Some sites cannot reach others.
    #[error("the sites are not connected: {0} separate parts")]
    Disconnected(usize),
    /// A copy could arrive at the instant it is sent.
    #[error("the least latency is zero: nothing travels in no time")]
    NoLookahead,
}

impl Topology {
    /// A topology of `sites` sites, with the home site of each node and client host, the local
    /// network of every site, and the links (site, site, link) between sites. Messages take the
    /// path with the least sum of median latencies.
    pub fn new(
        sites: usize,
        homes: Vec<u32>,
        within: &Link,
        links: &[(usize, usize, Link)],
    ) -> Result<Self, TopologyError> {
        assert!(
            homes.iter().all(|&home| (home as usize) < sites),
            "every home is a site"
        );
        let mut graph: UnGraph<(), &Link> = UnGraph::default();
        let places: Vec<NodeIndex> = (0..sites).map(|_| graph.add_node(())).collect();
        for (a, b, link) in links {
            graph.add_edge(places[*a], places[*b], link);
        }
        let parts = connected_components(&graph);
        if parts > 1 {
            return Err(TopologyError::Disconnected(parts));
        }
        let mut paths = Vec::with_capacity(sites * sites);
        for from in 0..sites {
            for to in 0..sites {
                paths.push(if from == to {
                    Path::new(&[within])
                } else {
                    Path::new(&shortest(&graph, places[from], places[to]))
                });
            }
        }
        if paths.iter().any(|path| path.least() == Span::ZERO) {
            return Err(TopologyError::NoLookahead);
        }
        let ingress_picos_per_byte = within.bandwidth.picos_per_byte();
        Ok(Self {
            sites,
            homes,
            paths,
            ingress_picos_per_byte,
        })
    }

    /// How many nodes and client hosts there are.
    pub fn endpoints(&self) -> usize {
        self.homes.len()
    }

    /// The site of a node.
    #[inline]
    pub fn home(&self, node: NodeId) -> usize {
        self.homes[node.index()] as usize
    }

    /// The way between two sites.
    #[inline]
    pub fn path(&self, from: usize, to: usize) -> &Path {
        &self.paths[from * self.sites + to]
    }

    /// The least latency between any two nodes.
    pub fn least_latency(&self) -> Span {
        self.paths
            .iter()
            .map(Path::least)
            .min()
            .expect("there is a site")
    }

    /// What a message from one node to another usually takes, before faults.
    pub fn usual_latency(&self, from: NodeId, to: NodeId) -> Span {
        self.path(self.home(from), self.home(to)).usual()
    }

    /// The greatest latency between any two nodes, before faults.
    pub fn greatest_latency(&self) -> Span {
        self.paths
            .iter()
            .map(Path::greatest)
            .max()
            .expect("there is a site")
    }

    /// What the receiving link of a node takes for one byte.
    pub fn ingress_picos_per_byte(&self) -> u64 {
        self.ingress_picos_per_byte
    }
}

impl Path {
    fn new(links: &[&Link]) -> Self {
        let hops: Vec<Distribution> = links.iter().map(|link| link.latency.clone()).collect();
        let constants: Option<Vec<Span>> = hops.iter().map(Distribution::constant).collect();
        let narrowest = links
            .iter()
            .map(|link| link.bandwidth.picos_per_byte())
            .max();
        Self {
            constant: constants.map(|spans| spans.into_iter().fold(Span::ZERO, |a, b| a + b)),
            picos_per_byte: narrowest.expect("a path crosses a link"),
            hops,
        }
    }

    /// What a message usually takes: the sum of the medians of all links crossed.
    pub fn usual(&self) -> Span {
        self.hops
            .iter()
            .fold(Span::ZERO, |sum, hop| sum + hop.median())
    }

    fn least(&self) -> Span {
        self.hops
            .iter()
            .fold(Span::ZERO, |sum, hop| sum + hop.least())
    }

    fn greatest(&self) -> Span {
        self.hops
            .iter()
            .fold(Span::ZERO, |sum, hop| sum + hop.greatest())
    }
}

/// The links on the path with the least sum of medians.
fn shortest<'a>(graph: &UnGraph<(), &'a Link>, from: NodeIndex, to: NodeIndex) -> Vec<&'a Link> {
    let weight = |link: &&Link| link.latency.median().nanos();
    let (_, places) = astar(
        graph,
        from,
        |at| at == to,
        |edge| weight(edge.weight()),
        |_| 0,
    )
    .expect("the sites are connected");
    places
        .windows(2)
        .map(|pair| {
            let between = graph.edges_connecting(pair[0], pair[1]);
            let least = between
                .map(|edge| *edge.weight())
                .min_by_key(|link| weight(link));
            least.expect("neighbours on a path are joined")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::distribution::Law;

    fn link(millis: u64, bandwidth: &str) -> Link {
        Link {
            latency: Distribution::new(&Law::Constant(Span::from_millis(millis))),
            bandwidth: bandwidth.parse().unwrap(),
        }
    }

    #[test]
    fn messages_take_the_shortest_way_and_the_narrowest_link_counts() {
        let links = [
            (0, 1, link(10, "1Gbps")),
            (1, 2, link(10, "100Mbps")),
            (0, 2, link(50, "1Gbps")),
        ];
        let topology = Topology::new(3, vec![0, 1, 2], &link(1, "1Gbps"), &links).unwrap();
        let path = topology.path(0, 2);
        assert_eq!(path.constant, Some(Span::from_millis(20)));
        assert_eq!(path.picos_per_byte, 80_000);
        assert_eq!(topology.path(2, 2).constant, Some(Span::from_millis(1)));
        assert_eq!(topology.least_latency(), Span::from_millis(1));
        assert_eq!(topology.greatest_latency(), Span::from_millis(20));
    }

    #[test]
    fn what_cannot_be_simulated_is_refused() {
        let apart = Topology::new(3, vec![0], &link(1, "1Gbps"), &[(0, 1, link(1, "1Gbps"))]);
        assert_eq!(apart.unwrap_err(), TopologyError::Disconnected(2));
        let instant = Topology::new(1, vec![0], &link(0, "1Gbps"), &[]);
        assert_eq!(instant.unwrap_err(), TopologyError::NoLookahead);
    }
}
