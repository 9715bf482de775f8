//! How likely a draw puts too many dishonest nodes into one committee, exactly.
//!
//! Of `n` nodes `b` are dishonest, whoever they are, and committees are drawn without putting back
//! and without weights. The dishonest fall on the nodes like balls on places: all of the
//! `C(n, b)` ways are equally likely. Those in which no committee has more than it bears are the
//! coefficient of `z^b` in the product of a polynomial for each committee, `Σ C(k, i) z^i` up to
//! what a committee of `k` bears, and `(1 + z)` for every node without a role.

use super::draw::Sizes;

/// Ways out of all ways.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chance {
    /// Ways in which it happens.
    pub ways: u128,
    /// All ways.
    pub all: u128,
}

impl Chance {
    /// The share in parts of so many, rounded to the nearest.
    pub fn in_parts(self, parts: u64) -> u64 {
        // The share is at most one, and long division by decimal digits never exceeds the type.
        let (mut rest, mut share, mut scale) = (self.ways, 0_u128, 1_u128);
        while scale < u128::from(parts) {
            rest %= self.all;
            rest *= 10;
            share = share * 10 + rest / self.all;
            scale *= 10;
        }
        let whole = if self.ways == self.all { scale } else { share };
        let up = u128::from(2 * (rest % self.all) >= self.all && self.ways != self.all);
        ((whole + up) * u128::from(parts) / scale) as u64
    }
}

/// `C(n, k)`, if it is less than 2^128.
fn choose(n: usize, k: usize) -> Option<u128> {
    let mut row = vec![0_u128; k + 1];
    row[0] = 1;
    for _ in 0..n {
        for place in (1..=k).rev() {
            row[place] = row[place].checked_add(row[place - 1])?;
        }
    }
    Some(row[k])
}

/// The product of polynomials up to a degree.
fn product(a: &[u128], b: &[u128], degree: usize) -> Option<Vec<u128>> {
    let mut product = vec![0_u128; (a.len() + b.len() - 1).min(degree + 1)];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate().take((degree + 1).saturating_sub(i)) {
            let term = x.checked_mul(*y)?;
            product[i + j] = product[i + j].checked_add(term)?;
        }
    }
    Some(product)
}

/// The polynomial of a committee that bears so many dishonest members.
fn bearing(size: usize, most: usize) -> Option<Vec<u128>> {
    (0..=most.min(size)).map(|bad| choose(size, bad)).collect()
}

/// The chance that among `n` nodes with `b` dishonest ones some group has more than `group_bears`
/// of them, or the upper group more than `upper_bears`. Nothing if the numbers are too large.
pub fn loss(
    n: usize,
    sizes: Sizes,
    b: usize,
    (group_bears, upper_bears): (usize, usize),
) -> Option<Chance> {
    let left = n.checked_sub(sizes.upper + sizes.groups * sizes.group)?;
    let mut ways = bearing(sizes.upper, upper_bears)?;
    let group = bearing(sizes.group, group_bears)?;
    for _ in 0..sizes.groups {
        ways = product(&ways, &group, b)?;
    }
    ways = product(&ways, &bearing(left, left)?, b)?;
    let all = choose(n, b)?;
    let good = ways.get(b).copied().unwrap_or(0);
    Some(Chance {
        ways: all - good,
        all,
    })
}

/// How many dishonest members a committee of this size bears: fewer than a third.
pub fn bears(size: usize) -> usize {
    (size.max(1) - 1) / 3
}

/// The chance that a draw ends progress: some committee has a third of dishonest members.
pub fn loss_of_liveness(n: usize, sizes: Sizes, b: usize) -> Option<Chance> {
    loss(n, sizes, b, (bears(sizes.group), bears(sizes.upper)))
}

/// The chance that a draw ends safety: the upper group has a third of dishonest members, or they
/// can certify what they like in a group because two thirds of it are theirs.
pub fn loss_of_safety(n: usize, sizes: Sizes, b: usize) -> Option<Chance> {
    loss(n, sizes, b, (2 * bears(sizes.group), bears(sizes.upper)))
}

#[cfg(test)]
mod tests {
    use super::super::config::Selection;
    use super::super::draw::Urn;
    use super::super::roles::Roles;
    use super::*;
    use crate::base::crypto::Hasher;
    use crate::base::node::{Committee, NodeId};

    fn sizes(groups: usize, group: usize, upper: usize) -> Sizes {
        Sizes {
            upper,
            group,
            groups,
        }
    }

    #[test]
    fn the_chances_are_those_of_the_hypergeometric_distribution() {
        // Nodes, groups, their size, the upper group's, dishonest nodes; loss of liveness, of
        // safety, and of the upper group alone, in ten-thousandths.
        for (n, g, m, h, b, liveness, safety, upper) in [
            (20, 4, 4, 4, 1, 0, 0, 0),
            (20, 4, 4, 4, 2, 1_579, 316, 316),
            (20, 4, 4, 4, 3, 4_386, 1_018, 877),
            (20, 4, 4, 4, 6, 10_000, 5_517, 3_426),
            (40, 9, 4, 4, 2, 769, 77, 77),
            (40, 9, 4, 4, 4, 4_118, 572, 429),
            (40, 5, 7, 4, 4, 1_081, 429, 429),
            (49, 6, 7, 7, 4, 497, 71, 71),
            (100, 24, 4, 4, 5, 2_774, 175, 116),
            (100, 24, 4, 4, 10, 8_020, 1_137, 488),
            (103, 8, 12, 7, 10, 1_428, 191, 191),
            (104, 13, 7, 13, 10, 2_340, 32, 25),
            (112, 7, 13, 21, 11, 216, 6, 6),
            (112, 7, 13, 21, 22, 5_533, 785, 782),
        ] {
            let sizes = sizes(g, m, h);
            let parts = |chance: Option<Chance>| chance.unwrap().in_parts(10_000);
            let alone = loss(n, sizes, b, (m, bears(h)));
            let found = (
                parts(loss_of_liveness(n, sizes, b)),
                parts(loss_of_safety(n, sizes, b)),
                parts(alone),
            );
            assert_eq!(found, (liveness, safety, upper), "{n} {g} {m} {h} {b}");
        }
    }

    #[test]
    fn the_draw_itself_comes_to_the_same_chances() {
        let all: Vec<(NodeId, u64)> = (0..40).map(|node| (NodeId(node), 60)).collect();
        let sizes = sizes(9, 4, 4);
        let dishonest = |node: &&NodeId| node.0 < 4;
        let draws = 4_000;
        for selection in [Selection::Uniform, Selection::Weighted, Selection::Vrf] {
            let (mut stalls, mut breaks) = (0_u64, 0_u64);
            for number in 0..draws {
                let urn = Urn {
                    beacon: Hasher::new("risk").number(number).finish(),
                    selection,
                    eligible: &all,
                    worthy: &[],
                    organisations: 0,
                };
                let roles: Roles = urn.draw(1, 40, sizes).unwrap();
                let bad =
                    |committee: &Committee| committee.members().iter().filter(dishonest).count();
                let worst = roles.groups.iter().map(bad).max().unwrap();
                stalls += u64::from(worst > 1 || bad(&roles.upper) > 1);
                breaks += u64::from(worst > 2 || bad(&roles.upper) > 1);
            }
            for (count, chance) in [
                (stalls, loss_of_liveness(40, sizes, 4)),
                (breaks, loss_of_safety(40, sizes, 4)),
            ] {
                // Within 3.29 standard deviations of a binomial count in 999 of 1,000 cases.
                let p = chance.unwrap().in_parts(1_000_000);
                let expected = draws * p / 1_000_000;
                let variance = draws * p * (1_000_000 - p) / 1_000_000_000_000;
                let off = count.abs_diff(expected);
                assert!(
                    off * off * 100 <= variance * 1_083,
                    "{selection:?}: {count} of {expected}"
                );
            }
        }
    }

    #[test]
    fn chosen_nodes_need_one_committee_only_and_no_draw_helps_beyond_a_third() {
        // One dishonest node is one too few wherever it falls; two may fall together.
        assert_eq!(loss_of_liveness(100, sizes(24, 4, 4), 1).unwrap().ways, 0);
        assert!(loss_of_liveness(100, sizes(24, 4, 4), 2).unwrap().ways > 0);
        let sure = loss_of_liveness(20, sizes(4, 4, 4), 6).unwrap();
        assert_eq!(sure.ways, sure.all);
        assert!(
            loss_of_liveness(400, sizes(9, 4, 4), 200).is_none(),
            "too large"
        );
    }
}
