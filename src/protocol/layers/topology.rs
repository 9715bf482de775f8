//! Who is who: the nodes of each edge network and of the index network, and where patients are
//! registered when the chain begins. All of it is known to everybody.

use crate::base::crypto::Digest;
use crate::base::node::{Committee, NodeId};
use crate::base::random::mix;

use super::config::Config;

/// The number of an edge network.
pub type Net = u16;

/// What a node is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It takes part in the agreement of its edge network.
    Consensus,
    /// It takes part in the index network, and hears what its edge network hears.
    Index,
    /// It keeps the records of the patients who are registered there.
    Record,
}

/// The nodes of one edge network, in the order of their numbers.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Those who agree.
    pub consensus: Committee,
    /// Its part of the index network.
    pub index: Vec<NodeId>,
    /// Those who keep records.
    pub records: Committee,
    /// All of them.
    pub all: Committee,
    /// All but those who agree.
    pub others: Committee,
}

/// The division of the nodes.
#[derive(Clone, Debug)]
pub struct Topology {
    edges: Vec<Edge>,
    index: Committee,
    size: usize,
    hospitals: usize,
    remote: u64,
}

impl Topology {
    /// Divides n nodes: each edge network has consecutive ones, first those who agree, then those
    /// of the index, then those who keep records.
    pub fn new(config: &Config, n: usize) -> Self {
        let size = n / config.edges.max(1);
        let nodes = |from: usize, to: usize| (from..to).map(NodeId::at).collect::<Vec<_>>();
        let edge = |net: usize| {
            let first = net * size;
            let index = first + config.consensus;
            let records = index + config.index;
            Edge {
                consensus: Committee::new(nodes(first, index)),
                index: nodes(index, records),
                records: Committee::new(nodes(records, first + size)),
                all: Committee::new(nodes(first, first + size)),
                others: Committee::new(nodes(index, first + size)),
            }
        };
        let edges: Vec<Edge> = (0..config.edges).map(edge).collect();
        let index = edges.iter().flat_map(|edge| edge.index.iter().copied());
        Self {
            index: Committee::new(index.collect()),
            edges,
            size,
            hospitals: config.hospitals,
            remote: config.remote,
        }
    }

    /// How many edge networks there are.
    pub fn edges(&self) -> usize {
        self.edges.len()
    }

    /// An edge network, if there is one of this number.
    pub fn find(&self, net: Net) -> Option<&Edge> {
        self.edges.get(usize::from(net))
    }

    /// An edge network that is known to exist.
    pub fn edge(&self, net: Net) -> &Edge {
        self.find(net).expect("networks are named by those in them")
    }

    /// The index network.
    pub fn index(&self) -> &Committee {
        &self.index
    }

    /// The edge network of a node.
    pub fn net_of(&self, node: NodeId) -> Net {
        (node.index() / self.size) as Net
    }

    /// What a node is for.
    pub fn role(&self, node: NodeId) -> Role {
        let edge = self.edge(self.net_of(node));
        if edge.consensus.contains(node) {
            Role::Consensus
        } else if edge.index.contains(&node) {
            Role::Index
        } else {
            Role::Record
        }
    }

    /// The network in which a patient is registered first.
    pub fn home(&self, user: &Digest) -> Net {
        (mix(1, user.prefix()) % self.edges.len() as u64) as Net
    }

    /// The networks in which a patient is registered when the chain begins.
    pub fn homes(&self, user: &Digest) -> Vec<Net> {
        let home = self.home(user);
        let mut homes = vec![home];
        if mix(2, user.prefix()) % 1_000 < self.remote && self.edges.len() > 1 {
            homes.push((home + 1) % self.edges.len() as Net);
        }
        homes
    }

    /// The record nodes of a network at which a patient is registered when the chain begins.
    pub fn row(&self, user: &Digest, net: Net) -> Vec<NodeId> {
        if !self.homes(user).contains(&net) {
            return Vec::new();
        }
        self.pick(net, mix(3, user.prefix()), self.hospitals)
    }

    /// So many record nodes of a network in a row, from one that a number chooses.
    fn pick(&self, net: Net, number: u64, count: usize) -> Vec<NodeId> {
        let members = self.edge(net).records.members();
        let first = (number % members.len() as u64) as usize;
        let at = |place| members[(first + place) % members.len()];
        (0..count.min(members.len())).map(at).collect()
    }

    /// Who keeps a record besides those who are listed, until there are enough: in this order.
    pub fn custodians(&self, rid: &Digest, net: Net) -> Vec<NodeId> {
        let all = self.edge(net).records.n();
        self.pick(net, mix(4, rid.prefix()), all)
    }

    /// Where a record of a patient is entered: one of the record nodes of the home network where
    /// the patient is registered from the beginning.
    pub fn origin(&self, user: &Digest, rid: &Digest) -> NodeId {
        let row = self.row(user, self.home(user));
        row[(mix(5, rid.prefix()) % row.len() as u64) as usize]
    }

    /// The record node at which a hospital, or a doctor, works.
    pub fn serves(&self, party: &Digest) -> NodeId {
        let all: usize = self.edges.iter().map(|edge| edge.records.n()).sum();
        let number = (mix(6, party.prefix()) % all as u64) as usize;
        let each = all / self.edges.len();
        self.edges[number / each].records.members()[number % each]
    }

    /// Which index node of a network looks after something.
    pub fn relay(&self, net: Net, about: &Digest, attempt: u32) -> NodeId {
        let index = &self.edge(net).index;
        let number = mix(7, about.prefix()).wrapping_add(u64::from(attempt));
        index[(number % index.len() as u64) as usize]
    }
}
