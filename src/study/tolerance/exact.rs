//! The probability that safety or liveness is lost, by counting sets of nodes.

use super::{Case, Layout, Placement, Scheme};

/// The probability that so many Byzantine nodes are too many.
pub fn lost(case: Case, byzantine: u64) -> f64 {
    let layout = case.layout;
    let (false_max, members_max) = (layout.false_leaders_max(), layout.members_max());
    let certain = |lost: bool| if lost { 1.0 } else { 0.0 };
    match (case.scheme, case.placement) {
        (Scheme::Flat, Placement::Random | Placement::Adversarial) => {
            certain(byzantine > (layout.nodes() - 1) / 3)
        }
        // One node in each of as many groups as it takes.
        (Scheme::Leaders, Placement::Adversarial) => certain(byzantine > false_max),
        (Scheme::Certified, Placement::Adversarial) => {
            certain(byzantine >= (members_max + 1) * (false_max + 1))
        }
        (Scheme::Leaders, Placement::Random) => false_leaders(layout, byzantine),
        (Scheme::Certified, Placement::Random) => bad_groups(layout, byzantine),
    }
}

/// The probability that more leaders are Byzantine than the committee survives. Every set of one
/// node a group is equally likely to be that of the leaders, and every set of nodes to be the
/// Byzantine ones: the number that is both has a hypergeometric distribution.
fn false_leaders(layout: Layout, byzantine: u64) -> f64 {
    let honest = layout.nodes() - byzantine;
    let drawn = |bad: u64| choose(byzantine, bad) * choose(honest, layout.groups - bad);
    let bad = layout.false_leaders_max() + 1..=layout.groups;
    bad.map(drawn).sum::<u128>() as f64 / choose(layout.nodes(), layout.groups) as f64
}

/// The probability that more groups have too many Byzantine members than the committee survives:
/// the sets of Byzantine nodes, counted group by group.
fn bad_groups(layout: Layout, byzantine: u64) -> f64 {
    let (groups, most) = (layout.groups as usize, byzantine as usize);
    // Sets so far, by the nodes and the bad groups in them.
    let mut sets = vec![vec![0_u128; groups + 1]; most + 1];
    sets[0][0] = 1;
    for _ in 0..groups {
        let mut further = vec![vec![0_u128; groups + 1]; most + 1];
        for (taken, by_bad) in sets.iter().enumerate() {
            for (bad, &count) in by_bad.iter().enumerate().filter(|(_, count)| **count > 0) {
                for members in 0..=layout.size.min((most - taken) as u64) {
                    let worse = usize::from(members > layout.members_max());
                    let ways = choose(layout.size, members);
                    further[taken + members as usize][bad + worse] += count * ways;
                }
            }
        }
        sets = further;
    }
    let too_many = layout.false_leaders_max() as usize + 1;
    let lost: u128 = sets[most][too_many..].iter().sum();
    lost as f64 / choose(layout.nodes(), byzantine) as f64
}

/// The number of sets of `k` among `n`, at most a hundred.
fn choose(n: u64, k: u64) -> u128 {
    if k > n {
        return 0;
    }
    let k = k.min(n - k);
    // Each partial product is itself a number of sets, so it divides.
    (0..k).fold(1, |sets, i| sets * u128::from(n - i) / u128::from(i + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_counted() {
        let row = |n| (0..=n).map(|k| choose(n, k)).collect::<Vec<_>>();
        assert_eq!(row(5), [1, 5, 10, 10, 5, 1]);
        assert_eq!(choose(3, 4), 0);
        assert_eq!(choose(100, 50), 100_891_344_545_564_193_334_812_497_256);
    }

    /// A layout so small that all sets can be listed: four groups of four.
    #[test]
    fn every_set_of_a_small_layout_is_counted_once() {
        let layout = Layout { groups: 4, size: 4 };
        for byzantine in 0..=16_u64 {
            let (mut all, mut bad) = (0_u64, 0_u64);
            for set in 0_u32..1 << 16 {
                if u64::from(set.count_ones()) != byzantine {
                    continue;
                }
                all += 1;
                let members = (0..4).map(|group| (set >> (4 * group) & 0xf).count_ones());
                bad += u64::from(members.filter(|members| *members > 1).count() > 1);
            }
            let counted = bad as f64 / all as f64;
            assert!((bad_groups(layout, byzantine) - counted).abs() < 1e-12);
        }
    }
}
