//! Who is drawn for which role: nodes one after another without putting back, in proportion to
//! weights, all in integers; and no more of one organisation in a committee than it may lose.

use super::config::Selection;
use super::roles::Roles;
use crate::base::crypto::{Digest, Hasher};
use crate::base::node::{Committee, NodeId};

/// What a draw is made from.
#[derive(Clone, Debug)]
pub struct Urn<'a> {
    /// The beacon that decides it.
    pub beacon: Digest,
    /// How it is used.
    pub selection: Selection,
    /// Those who may be drawn, ascending, with their weights, which are not zero.
    pub eligible: &'a [(NodeId, u64)],
    /// Those of them who may be drawn for the upper group as long as they are enough.
    pub worthy: &'a [NodeId],
    /// How many organisations the nodes belong to in turn; 0 if each is one of its own.
    pub organisations: usize,
}

/// How many committees of which sizes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// Members of the upper group.
    pub upper: usize,
    /// Members of each low-level group.
    pub group: usize,
    /// Low-level groups at most.
    pub groups: usize,
}

impl Urn<'_> {
    /// All who may be drawn, in the order in which they are.
    fn order(&self) -> Vec<NodeId> {
        match self.selection {
            Selection::Fixed => self.eligible.iter().map(|(node, _)| *node).collect(),
            Selection::Vrf => {
                // What each node's verifiable random function gives for the beacon: nobody can
                // choose it, and all can check it.
                let rank = |node: NodeId| {
                    let hasher = Hasher::new("mbft vrf").digest(&self.beacon);
                    hasher.number(u64::from(node.0)).finish()
                };
                let mut nodes: Vec<NodeId> = self.eligible.iter().map(|(n, _)| *n).collect();
                nodes.sort_by_key(|node| (rank(*node), *node));
                nodes
            }
            Selection::Weighted => self.one_by_one(|weight| weight),
            Selection::Uniform => self.one_by_one(|_| 1),
        }
    }

    fn one_by_one(&self, weigh: impl Fn(u64) -> u64) -> Vec<NodeId> {
        let weighed = self.eligible.iter().map(|(node, w)| (*node, weigh(*w)));
        let mut left: Vec<(NodeId, u64)> = weighed.collect();
        let mut order = Vec::with_capacity(left.len());
        for turn in 0..left.len() as u64 {
            let hasher = Hasher::new("mbft draw").digest(&self.beacon).number(turn);
            let digest = hasher.finish();
            let half = u128::from_be_bytes(digest.0[..16].try_into().expect("half a digest"));
            let sum: u64 = left.iter().map(|(_, weight)| weight).sum();
            let mut point = (half % u128::from(sum.max(1))) as u64;
            let place = left.iter().position(|(_, weight)| {
                let here = point < *weight;
                point = point.saturating_sub(*weight);
                here
            });
            order.push(left.remove(place.unwrap_or(0)).0);
        }
        order
    }

    fn organisation(&self, node: NodeId) -> usize {
        match self.organisations {
            0 => node.index(),
            count => node.index() % count,
        }
    }

    /// Whether a committee of this size may take a node: it survives the organisation it is of.
    fn may_join(&self, node: NodeId, members: &[NodeId], size: usize) -> bool {
        let most = ((size - 1) / 3).max(1);
        let same = |other: &&NodeId| self.organisation(**other) == self.organisation(node);
        members.iter().filter(same).count() < most
    }

    /// The roles of an epoch of n nodes; nothing if those who may be drawn are too few.
    pub fn draw(&self, epoch: u32, n: usize, sizes: Sizes) -> Option<Roles> {
        let mut waiting = self.order();
        let rest = waiting.len().checked_sub(sizes.upper)?;
        let groups = sizes.groups.min(rest / sizes.group);
        if groups == 0 {
            return None;
        }
        let mut take = |members: &mut Vec<NodeId>, size: usize, worthy: bool| {
            let fits = |place: &usize| !worthy || self.worthy.contains(&waiting[*place]);
            let apart = |place: &usize| self.may_join(waiting[*place], members, size);
            let all = 0..waiting.len();
            let best = all.clone().find(|place| fits(place) && apart(place));
            let place = best.or_else(|| all.clone().find(apart));
            let place = place.or_else(|| all.clone().find(fits)).unwrap_or(0);
            members.push(waiting.remove(place));
        };
        let mut upper = Vec::new();
        while upper.len() < sizes.upper {
            take(&mut upper, sizes.upper, true);
        }
        let mut dealt = vec![Vec::new(); groups];
        for _ in 0..sizes.group {
            for members in &mut dealt {
                take(members, sizes.group, false);
            }
        }
        let groups = dealt.into_iter().map(Committee::new).collect();
        Some(Roles::new(epoch, n, Committee::new(upper), groups))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::mbft::Role;

    fn beacon(number: u64) -> Digest {
        Hasher::new("test").number(number).finish()
    }

    const SIZES: Sizes = Sizes {
        upper: 4,
        group: 4,
        groups: 3,
    };

    #[test]
    fn nodes_are_drawn_in_proportion_to_their_weights() {
        // Expected by weight: of the first places of 4,000 draws, a quarter goes to a weight of
        // 100 among four nodes of 100, 100, 150 and 50.
        let weights = [100, 100, 150, 50];
        let nodes = weights.iter().enumerate();
        let eligible: Vec<(NodeId, u64)> = nodes.map(|(at, w)| (NodeId::at(at), *w)).collect();
        let draws = 4_000;
        let mut first = [0_u64; 4];
        for number in 0..draws {
            let urn = Urn {
                beacon: beacon(number),
                selection: Selection::Weighted,
                eligible: &eligible,
                worthy: &[],
                organisations: 0,
            };
            first[urn.order()[0].index()] += 1;
        }
        // Pearson's statistic with three degrees of freedom stays below 16.27 in 999 of 1,000
        // cases; multiplied by all expectations it is an integer.
        let statistic: u64 = first.iter().zip(weights).fold(0, |sum, (count, weight)| {
            let expected = draws * weight / 400;
            sum + count.abs_diff(expected).pow(2) * 1_000 / expected
        });
        assert!(statistic < 16_270, "{first:?}");
    }

    #[test]
    fn everybody_is_drawn_as_often_as_everybody_else() {
        let eligible: Vec<(NodeId, u64)> = (0..20).map(|at| (NodeId::at(at), 60)).collect();
        for selection in [Selection::Uniform, Selection::Weighted, Selection::Vrf] {
            let mut upper = [0_u64; 20];
            for number in 0..5_000 {
                let urn = Urn {
                    beacon: beacon(number),
                    selection,
                    eligible: &eligible,
                    worthy: &[],
                    organisations: 0,
                };
                let roles = urn.draw(1, 20, SIZES).unwrap();
                for (at, count) in upper.iter_mut().enumerate() {
                    *count += u64::from(roles.of(NodeId::at(at)) == Role::Upper);
                }
            }
            // 4 of 20 in 5,000 draws: 1,000 each. The statistic has 19 degrees of freedom; drawing
            // without putting back only makes it smaller. Below 43.82 in 999 of 1,000 cases.
            let statistic: u64 = upper.iter().map(|count| count.abs_diff(1_000).pow(2)).sum();
            assert!(statistic < 43_820, "{selection:?}: {upper:?}");
        }
    }

    #[test]
    fn no_organisation_has_more_than_a_committee_survives_while_there_are_others() {
        let eligible: Vec<(NodeId, u64)> = (0..24).map(|at| (NodeId::at(at), 60)).collect();
        for number in 0..200 {
            let urn = Urn {
                beacon: beacon(number),
                selection: Selection::Uniform,
                eligible: &eligible,
                worthy: &[],
                organisations: 6,
            };
            let roles = urn.draw(1, 24, SIZES).unwrap();
            let mut members: Vec<usize> = roles
                .upper
                .members()
                .iter()
                .map(|n| n.index() % 6)
                .collect();
            members.sort_unstable();
            members.dedup();
            assert_eq!(members.len(), 4, "one of each organisation");
        }
    }

    #[test]
    fn too_few_nodes_draw_nothing() {
        let eligible: Vec<(NodeId, u64)> = (0..7).map(|at| (NodeId::at(at), 60)).collect();
        let urn = Urn {
            beacon: beacon(1),
            selection: Selection::Weighted,
            eligible: &eligible,
            worthy: &[],
            organisations: 0,
        };
        assert_eq!(urn.draw(1, 9, SIZES), None);
    }
}
