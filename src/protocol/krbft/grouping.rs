//! Which replica belongs to which group, and which replicas supervise which groups.
//!
//! Every rule is a pure function of the members, the number of groups and the epoch, so that all
//! replicas find the same groups without a message. Groups differ in size by one at most: a rule
//! says where a replica would like to be, and if that group is full it goes to the next best one
//! (consistent hashing with bounded loads; V. Mirrokni, M. Thorup, M. Zadimoghaddam, SODA 2018).

use serde::{Deserialize, Serialize};

use crate::base::crypto::{Digest, Hasher};
use crate::base::node::{Committee, NodeId};
use crate::base::time::Span;

/// How replicas are dealt to groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// In the order of the committee: one group is one hospital, or some neighbouring ones.
    Static,
    /// On a ring of hashes, to the group of the next point (Huang, Li, Chen, Wang 2021).
    #[default]
    ConsistentHash,
    /// By the leading bits of the replica's identifier, as in the buckets of Kademlia
    /// (Maymounkov, Mazières 2002; Wang, Zhang et al. 2019 for the name K-RAFT).
    Kademlia,
    /// Around the replicas that have the least delay to the others of their group (K-medoids; Chen,
    /// Li 2019 for K-PBFT).
    Kmedoids,
}

/// Points of one group on the ring.
const POINTS: u64 = 256;
/// Rounds in which medoids move at most; they settle in a few.
const ROUNDS_MAX: usize = 64;
/// Groups that one supervisor watches.
pub const WATCHED: usize = 5;

/// A number by name, to place something on a ring.
fn place(purpose: &str, number: u64, epoch: u64) -> Digest {
    Hasher::new(purpose).number(number).number(epoch).finish()
}

/// Groups in the making: so many of them take one member more than the others.
struct Rooms {
    groups: Vec<Vec<usize>>,
    least: usize,
    larger: usize,
}

impl Rooms {
    fn new(members: usize, groups: usize) -> Self {
        Self {
            groups: vec![Vec::new(); groups],
            least: members / groups,
            larger: members % groups,
        }
    }

    /// Whether a group takes one more.
    fn has_room(&self, group: usize) -> bool {
        let size = self.groups[group].len();
        size < self.least || (size == self.least && self.larger > 0)
    }

    fn put(&mut self, group: usize, member: usize) {
        if self.groups[group].len() == self.least {
            self.larger -= 1;
        }
        self.groups[group].push(member);
    }

    /// Puts a member into the first group of these that has room.
    fn put_first(&mut self, wishes: impl IntoIterator<Item = usize>, member: usize) {
        let group = wishes.into_iter().find(|&group| self.has_room(group));
        self.put(group.expect("there is room for everybody"), member);
    }
}

/// The groups of an epoch, each in the order of the committee. `delay` tells the usual delay
/// between two members by their positions; only [`Grouping::Kmedoids`] asks.
pub fn groups(
    rule: Grouping,
    committee: &Committee,
    count: usize,
    epoch: u64,
    delay: impl Fn(usize, usize) -> Span,
) -> Vec<Committee> {
    let n = committee.n();
    assert!(count > 0 && count <= n, "every group has a member");
    let mut rooms = Rooms::new(n, count);
    match rule {
        Grouping::Static => (0..n).for_each(|member| rooms.put_first(0..count, member)),
        Grouping::ConsistentHash => hash_ring(committee, epoch, &mut rooms),
        Grouping::Kademlia => prefixes(committee, epoch, &mut rooms),
        Grouping::Kmedoids => rooms = medoids(n, count, &delay),
    }
    let members = committee.members();
    let mut groups = rooms.groups;
    for group in &mut groups {
        group.sort_unstable();
    }
    // Groups are numbered by their first member, whatever the rule.
    groups.sort_unstable();
    let named = |group: Vec<usize>| group.into_iter().map(|at| members[at]).collect();
    groups.into_iter().map(named).map(Committee::new).collect()
}

/// Each member goes to the group of the next point on the ring.
fn hash_ring(committee: &Committee, epoch: u64, rooms: &mut Rooms) {
    let count = rooms.groups.len();
    let point = |group: usize, point| place("group point", group as u64 * POINTS + point, epoch);
    let points = (0..count).flat_map(|group| (0..POINTS).map(move |p| (point(group, p), group)));
    let mut ring: Vec<(Digest, usize)> = points.collect();
    ring.sort_unstable();
    for (at, node) in committee.members().iter().enumerate() {
        let key = place("group key", u64::from(node.0), epoch);
        let next = ring.partition_point(|(point, _)| *point < key);
        let (before, after) = ring.split_at(next);
        rooms.put_first(after.iter().chain(before).map(|(_, group)| *group), at);
    }
}

/// Each member goes to the group whose prefix is nearest to its identifier by XOR.
fn prefixes(committee: &Committee, epoch: u64, rooms: &mut Rooms) {
    let count = rooms.groups.len() as u64;
    for (at, node) in committee.members().iter().enumerate() {
        let id = place("node id", u64::from(node.0), epoch).prefix();
        // The groups divide the space of identifiers evenly, in order.
        let centre = |group: u64| ((u128::from(group) * 2 + 1) << 63) / u128::from(count);
        let mut near: Vec<(u64, usize)> = (0..count)
            .map(|group| (centre(group) as u64 ^ id, group as usize))
            .collect();
        near.sort_unstable();
        rooms.put_first(near.into_iter().map(|(_, group)| group), at);
    }
}

/// Groups around medoids: assign to the nearest, move each medoid to the middle of its group, and
/// again until nothing moves.
fn medoids(n: usize, count: usize, delay: &impl Fn(usize, usize) -> Span) -> Rooms {
    let mut centres = far_apart(n, count, delay);
    let mut rooms = assign(n, &centres, delay);
    for _ in 0..ROUNDS_MAX {
        let moved: Vec<usize> = rooms
            .groups
            .iter()
            .map(|group| middle(group, delay))
            .collect();
        if moved == centres {
            break;
        }
        centres = moved;
        rooms = assign(n, &centres, delay);
    }
    rooms
}

/// Members far from one another: the first one, then always the one farthest from all so far.
fn far_apart(n: usize, count: usize, delay: &impl Fn(usize, usize) -> Span) -> Vec<usize> {
    let mut chosen = vec![0];
    while chosen.len() < count {
        let nearest = |at: usize| chosen.iter().map(|&c| delay(at, c)).min();
        let free = (0..n).filter(|at| !chosen.contains(at));
        // Of equals the first: `max_by_key` would take the last.
        let next = free.rev().max_by_key(|&at| nearest(at));
        chosen.push(next.expect("there are more members than groups"));
    }
    chosen
}

/// Everybody to the nearest medoid that has room, the nearest pairs first.
fn assign(n: usize, centres: &[usize], delay: &impl Fn(usize, usize) -> Span) -> Rooms {
    let mut rooms = Rooms::new(n, centres.len());
    let each = |at| centres.iter().enumerate().map(move |(g, &c)| (at, g, c));
    let mut pairs: Vec<(Span, usize, usize)> = (0..n)
        .flat_map(each)
        .map(|(at, group, centre)| {
            let own = if at == centre {
                Span::ZERO
            } else {
                delay(at, centre)
            };
            (own, at, group)
        })
        .collect();
    pairs.sort_unstable();
    let mut placed = vec![false; n];
    for (_, at, group) in pairs {
        if !placed[at] && rooms.has_room(group) {
            rooms.put(group, at);
            placed[at] = true;
        }
    }
    rooms
}

/// The member with the least sum of delays to the others.
fn middle(group: &[usize], delay: &impl Fn(usize, usize) -> Span) -> usize {
    let sum = |at: usize| -> u64 { group.iter().map(|&to| delay(at, to).nanos()).sum() };
    let least = group.iter().copied().min_by_key(|&at| (sum(at), at));
    least.expect("a group has a member")
}

/// A replica that watches what the leaders of several groups tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Supervisor {
    /// The replica, an ordinary member of its own group.
    pub node: NodeId,
    /// The groups it watches, by number.
    pub watches: Vec<usize>,
}

/// The supervisors of an epoch: one for every [`WATCHED`] groups, drawn by hash from the members of
/// the groups that it watches. `exposed` ones are not drawn.
pub fn supervisors(groups: &[Committee], epoch: u64, exposed: &[NodeId]) -> Vec<Supervisor> {
    let numbers: Vec<usize> = (0..groups.len()).collect();
    let watch = |watched: &[usize]| {
        let members = watched.iter().flat_map(|&group| groups[group].members());
        let free = members.copied().filter(|node| !exposed.contains(node));
        let drawn = free.min_by_key(|node| place("supervisor", u64::from(node.0), epoch));
        drawn.map(|node| Supervisor {
            node,
            watches: watched.to_vec(),
        })
    };
    numbers.chunks(WATCHED).filter_map(watch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: [Grouping; 4] = [
        Grouping::Static,
        Grouping::ConsistentHash,
        Grouping::Kademlia,
        Grouping::Kmedoids,
    ];

    /// Three cities far apart, to which members are dealt in turn.
    fn cities(a: usize, b: usize) -> Span {
        match (a == b, a % 3 == b % 3) {
            (true, _) => Span::ZERO,
            (false, true) => Span::from_millis(1),
            (false, false) => Span::from_millis(20 + (a % 3 + b % 3) as u64),
        }
    }

    #[test]
    fn everybody_is_in_one_group_and_groups_differ_by_one() {
        for rule in RULES {
            for n in [4, 7, 12, 22, 50, 100] {
                for count in [1, 2, 3, 4].into_iter().filter(|count| *count <= n) {
                    let groups = groups(rule, &Committee::first(n), count, 3, cities);
                    let mut all: Vec<NodeId> =
                        groups.iter().flat_map(|g| g.members().to_vec()).collect();
                    all.sort_unstable();
                    assert_eq!(all, Committee::first(n).members(), "{rule:?} {n} {count}");
                    let sizes = groups.iter().map(Committee::n);
                    assert_eq!(sizes.clone().min(), Some(n / count), "{rule:?}");
                    assert_eq!(sizes.max(), Some(n.div_ceil(count)), "{rule:?}");
                }
            }
        }
    }

    #[test]
    fn an_epoch_changes_the_groups_of_hashes_and_only_those() {
        let at = |rule, epoch| groups(rule, &Committee::first(20), 4, epoch, cities);
        for rule in RULES {
            assert_eq!(at(rule, 1), at(rule, 1), "the same epoch, the same groups");
            let hashed = matches!(rule, Grouping::ConsistentHash | Grouping::Kademlia);
            assert_eq!(at(rule, 1) != at(rule, 2), hashed, "{rule:?}");
        }
    }

    #[test]
    fn medoids_find_the_cities() {
        let groups = groups(Grouping::Kmedoids, &Committee::first(12), 3, 0, cities);
        for (number, group) in groups.iter().enumerate() {
            let together = |node: &NodeId| node.index() % 3 == number;
            assert!(group.members().iter().all(together), "{groups:?}");
        }
    }

    #[test]
    fn on_a_ring_most_stay_when_one_member_joins() {
        let at = |n| groups(Grouping::ConsistentHash, &Committee::first(n), 4, 0, cities);
        let (before, after) = (at(100), at(101));
        let pairs = |groups: &[Committee]| {
            let mates = |g: &Committee| {
                let nodes = g.members().to_vec();
                let of = |a: NodeId| nodes.iter().map(move |&b| (a, b)).collect::<Vec<_>>();
                nodes.iter().flat_map(|&a| of(a)).collect::<Vec<_>>()
            };
            groups
                .iter()
                .flat_map(mates)
                .collect::<std::collections::BTreeSet<_>>()
        };
        let (before, after) = (pairs(&before), pairs(&after));
        let kept = before.intersection(&after).count() * 100 / before.len();
        assert!(kept > 80, "{kept} % of those together stay together");
    }

    #[test]
    fn one_supervisor_watches_up_to_five_groups_and_is_replaced_when_exposed() {
        let groups = groups(
            Grouping::ConsistentHash,
            &Committee::first(48),
            12,
            0,
            cities,
        );
        let first = supervisors(&groups, 0, &[]);
        let watched: Vec<usize> = first.iter().flat_map(|s| s.watches.clone()).collect();
        assert_eq!(watched, (0..12).collect::<Vec<_>>(), "each group has one");
        assert_eq!(first.len(), 3);
        for supervisor in &first {
            let home = |group: &usize| groups[*group].contains(supervisor.node);
            assert!(supervisor.watches.iter().any(home), "{supervisor:?}");
        }
        let exposed = first[0].node;
        let next = supervisors(&groups, 0, &[exposed]);
        assert_ne!(next[0].node, exposed);
        assert_eq!(next[1..], first[1..], "the others stay");
    }
}
