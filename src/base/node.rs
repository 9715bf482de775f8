//! Nodes, and the committees they form with the arithmetic of quorums.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A virtual machine in the network: `n0`, `n1`, … Client hosts follow the consensus nodes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u16);

impl NodeId {
    /// The position of this node in vectors indexed by node.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The node at `index`.
    pub fn at(index: usize) -> Self {
        Self(u16::try_from(index).expect("a network has at most 65,536 nodes"))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The ordered replicas of one protocol instance. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committee {
    members: Arc<[NodeId]>,
    /// Whether the members are consecutive, which makes `position` a subtraction.
    consecutive: bool,
}

impl Committee {
    /// A committee of `members`, in this order, which decides who leads when.
    pub fn new(members: Vec<NodeId>) -> Self {
        assert!(!members.is_empty(), "a committee has a member");
        let consecutive = members
            .windows(2)
            .all(|pair| pair[1].0 == pair[0].0.wrapping_add(1));
        Self {
            members: members.into(),
            consecutive,
        }
    }

    /// The committee of the nodes `n0` to `n(count-1)`.
    pub fn first(count: usize) -> Self {
        Self::new((0..count).map(NodeId::at).collect())
    }

    /// The members in order.
    pub fn members(&self) -> &[NodeId] {
        &self.members
    }

    /// n, the number of members.
    pub fn n(&self) -> usize {
        self.members.len()
    }

    /// Where in the order `node` stands, if it is a member.
    pub fn position(&self, node: NodeId) -> Option<usize> {
        if self.consecutive {
            let offset = usize::from(node.0.wrapping_sub(self.members[0].0));
            return (offset < self.members.len()).then_some(offset);
        }
        self.members.iter().position(|&member| member == node)
    }

    /// Whether `node` is a member.
    pub fn contains(&self, node: NodeId) -> bool {
        self.position(node).is_some()
    }

    /// Who leads `view`: the members in turn.
    pub fn leader(&self, view: u64) -> NodeId {
        self.members[(view % self.members.len() as u64) as usize]
    }

    /// ⌊n/2⌋ + 1: any two majorities share a member.
    pub fn majority(&self) -> usize {
        self.n() / 2 + 1
    }

    /// f = ⌊(n−1)/3⌋, the dishonest members a Byzantine protocol tolerates.
    pub fn faulty_max(&self) -> usize {
        (self.n() - 1) / 3
    }

    /// ⌈(n+f+1)/2⌉: any two quorums share an honest member, for every n and not only for 3f+1
    /// (where this is the familiar 2f+1).
    pub fn quorum(&self) -> usize {
        (self.n() + self.faulty_max() + 1).div_ceil(2)
    }

    /// f + 1: among so many there is an honest member.
    pub fn one_honest(&self) -> usize {
        self.faulty_max() + 1
    }
}

/// A set of positions in a committee, one bit each; counting is free.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PositionSet {
    /// The positions below 64: of most committees that is all, and sets of votes come and go by
    /// the thousand.
    low: u64,
    /// Those above, 64 to a word.
    high: Vec<u64>,
    len: u32,
}

impl PositionSet {
    /// No positions yet; grows as they come.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a position; false if it was there already.
    pub fn insert(&mut self, position: usize) -> bool {
        let (word, bit) = (position / 64, 1_u64 << (position % 64));
        if word > self.high.len() {
            self.high.resize(word, 0);
        }
        let bits = match word.checked_sub(1) {
            None => &mut self.low,
            Some(above) => &mut self.high[above],
        };
        let fresh = *bits & bit == 0;
        *bits |= bit;
        self.len += u32::from(fresh);
        fresh
    }

    /// Whether a position is in the set.
    pub fn contains(&self, position: usize) -> bool {
        let bits = match (position / 64).checked_sub(1) {
            None => self.low,
            Some(above) => self.high.get(above).copied().unwrap_or_default(),
        };
        bits & (1 << (position % 64)) != 0
    }

    /// Whether every position lies below `limit`; looks at whole words, not at each position.
    pub fn all_below(&self, limit: usize) -> bool {
        let (full, rest) = (limit / 64, limit % 64);
        let mut beyond = self.words().skip(full);
        beyond.next().is_none_or(|word| word >> rest == 0) && beyond.all(|word| word == 0)
    }

    /// How many positions the set has.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets everything but keeps the memory.
    pub fn clear(&mut self) {
        self.low = 0;
        self.high.clear();
        self.len = 0;
    }

    /// The positions in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words().enumerate().flat_map(|(word, bits)| {
            let mut rest = bits;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(word * 64 + bit)
            })
        })
    }

    fn words(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::once(self.low).chain(self.high.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_quorums_always_share_an_honest_member_and_stay_reachable() {
        for n in 1..200 {
            let committee = Committee::first(n);
            let (f, q) = (committee.faulty_max(), committee.quorum());
            assert!(
                2 * q > n + f,
                "two quorums of {n} share more than f members"
            );
            assert!(q <= n - f, "a quorum of {n} forms without the faulty");
            if n == 3 * f + 1 {
                assert_eq!(q, 2 * f + 1);
            }
        }
        assert_eq!(Committee::first(5).quorum(), 4);
    }

    #[test]
    fn positions_follow_the_order_of_the_members() {
        let committee = Committee::new(vec![NodeId(7), NodeId(2), NodeId(9)]);
        assert_eq!(committee.position(NodeId(2)), Some(1));
        assert_eq!(committee.position(NodeId(3)), None);
        assert_eq!(committee.leader(5), NodeId(9));
        assert_eq!(Committee::first(4).position(NodeId(4)), None);
    }

    #[test]
    fn a_position_set_counts_each_member_once() {
        let mut set = PositionSet::new();
        assert!(set.insert(70));
        assert!(!set.insert(70));
        assert!(set.insert(3));
        assert_eq!(
            (set.len(), set.iter().collect::<Vec<_>>()),
            (2, vec![3, 70])
        );
        assert!(!set.contains(4));
        let below = |limit| set.all_below(limit);
        assert_eq!(
            [0, 3, 4, 64, 70, 71, 128, 900].map(below),
            [false, false, false, false, false, true, true, true]
        );
    }
}
