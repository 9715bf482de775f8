//! Who does what in an epoch, and to which group a transaction belongs.

use std::sync::Arc;

use crate::base::crypto::{Digest, Hasher};
use crate::base::node::{Committee, NodeId, PositionSet};
use crate::chain::Transaction;

/// What one node does in an epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Agrees on large blocks.
    Upper,
    /// Agrees on the mini-blocks of the group of this number.
    Member(u16),
    /// Takes requests of clients and follows the chain.
    Backup,
}

/// Who does what in an epoch. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Roles {
    /// Counted from 0.
    pub epoch: u32,
    /// The upper group; its order is that of its primaries.
    pub upper: Committee,
    /// The low-level groups; the order in each is that of its primaries.
    pub groups: Arc<[Committee]>,
    /// All nodes outside the upper group, to whom large blocks are sent.
    pub outside: Arc<[NodeId]>,
    by_node: Arc<[Role]>,
}

impl Roles {
    /// The roles of n nodes, of whom these are drawn in this order.
    pub fn new(epoch: u32, n: usize, upper: Committee, groups: Vec<Committee>) -> Self {
        let mut by_node = vec![Role::Backup; n];
        for member in upper.members() {
            by_node[member.index()] = Role::Upper;
        }
        for (number, group) in groups.iter().enumerate() {
            for member in group.members() {
                let free = by_node[member.index()] == Role::Backup;
                assert!(free, "nobody has two roles");
                by_node[member.index()] = Role::Member(number as u16);
            }
        }
        let outside = (0..n).map(NodeId::at);
        let outside = outside.filter(|node| by_node[node.index()] != Role::Upper);
        Self {
            epoch,
            upper,
            groups: groups.into(),
            outside: outside.collect(),
            by_node: by_node.into(),
        }
    }

    /// The roles with which the chain begins: the first nodes are the upper group, those that
    /// follow the low-level groups, the rest is left over.
    pub fn genesis(n: usize, upper: usize, groups: usize, size: usize) -> Self {
        let run = |from: usize, count: usize| {
            Committee::new((from..from + count).map(NodeId::at).collect())
        };
        let groups = (0..groups).map(|group| run(upper + group * size, size));
        Self::new(0, n, run(0, upper), groups.collect())
    }

    /// What a node does.
    pub fn of(&self, node: NodeId) -> Role {
        self.by_node[node.index()]
    }

    /// How many nodes there are.
    pub fn n(&self) -> usize {
        self.by_node.len()
    }

    /// A group by its number.
    pub fn group(&self, number: u16) -> Option<&Committee> {
        self.groups.get(usize::from(number))
    }

    /// The nodes that the member of the upper group at a position tells of the block at a height:
    /// every node outside is told by one member, each time by another. Members that are absent are
    /// stood in for by those after them.
    pub fn audience(&self, position: usize, height: u64, absent: &PositionSet) -> Vec<NodeId> {
        let turns = self.upper.n();
        let teller = |place: u64| {
            let first = ((place + height) % turns as u64) as usize;
            let present = (first..first + turns).map(|member| member % turns);
            { present }.find(|m| !absent.contains(*m)).unwrap_or(first)
        };
        let mine = |place: &(u64, &NodeId)| teller(place.0) == position;
        let outside = (0..).zip(self.outside.iter());
        outside.filter(mine).map(|(_, node)| *node).collect()
    }

    /// A digest of all of it.
    pub fn digest(&self) -> Digest {
        let all = std::iter::once(&self.upper).chain(self.groups.iter());
        let hasher = Hasher::new("mbft roles").number(u64::from(self.epoch));
        all.fold(hasher, |hasher, committee| {
            let hasher = hasher.number(committee.n() as u64);
            let members = committee.members().iter();
            members.fold(hasher, |hasher, node| hasher.number(u64::from(node.0)))
        })
        .finish()
    }
}

/// Which of the active groups a transaction belongs to: that of the pseudonym it concerns. Changes
/// of the register, which concern nobody's records, belong to the first.
///
/// # Panics
/// If no group is active.
pub fn shard(transaction: &Transaction, epoch: u32, active: &[u16]) -> u16 {
    let Some(key) = transaction.call.call().subject() else {
        return active[0];
    };
    let hash = Hasher::new("mbft shard").number(u64::from(epoch));
    let place = hash.digest(&key).finish().prefix() % active.len() as u64;
    active[place as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_outside_is_told_once_and_each_time_by_another() {
        let roles = Roles::genesis(14, 4, 2, 4);
        assert_eq!(roles.of(NodeId(3)), Role::Upper);
        assert_eq!(roles.of(NodeId(4)), Role::Member(0));
        assert_eq!(roles.of(NodeId(11)), Role::Member(1));
        assert_eq!(roles.of(NodeId(13)), Role::Backup);
        let mut absent = PositionSet::new();
        let all = absent.clone();
        let teller = |node: NodeId, height| {
            let tells = |position: &usize| roles.audience(*position, height, &all).contains(&node);
            let tellers: Vec<usize> = (0..4).filter(tells).collect();
            assert_eq!(tellers.len(), 1, "{node} at {height}");
            tellers[0]
        };
        for node in roles.outside.iter() {
            let mut tellers: Vec<usize> = (1..=4).map(|height| teller(*node, height)).collect();
            tellers.sort_unstable();
            assert_eq!(tellers, [0, 1, 2, 3], "{node} hears of all four in turn");
        }
        absent.insert(3);
        absent.insert(0);
        let told: Vec<usize> = (0..4)
            .map(|p| roles.audience(p, 1, &absent).len())
            .collect();
        assert_eq!(told, [0, 7, 3, 0], "others speak for those that are absent");
    }
}
