//! How often safety or liveness is lost when nodes are really placed, and looked at one by one.

use super::{Case, Layout, Placement, Scheme};
use crate::base::random::{Random, Stream};

/// In how many of the trials so many Byzantine nodes are too many.
pub fn lost(case: Case, byzantine: u64, (trials, seed): (u64, u64)) -> u64 {
    let layout = case.layout;
    match case.placement {
        Placement::Adversarial => u64::from(is_lost(case, &placed(case, byzantine))),
        Placement::Random => {
            let cases = [layout.groups, layout.size, case.scheme as u64, byzantine];
            let seed = cases
                .into_iter()
                .fold(seed, |seed, part| seed * 1_000 + part);
            let mut random = Random::new(seed, Stream::Placement);
            let mut order: Vec<u64> = (0..layout.nodes()).collect();
            let mut tries = 0..trials;
            let mut lost = 0;
            while tries.next().is_some() {
                let nodes = drawn(layout, byzantine, &mut order, &mut random);
                lost += u64::from(is_lost(case, &nodes));
            }
            lost
        }
    }
}

/// Who is Byzantine, and who leads each group.
struct Nodes {
    byzantine: Vec<bool>,
    leaders: Vec<u64>,
}

/// Nodes that chance makes Byzantine, and leaders that chance makes leaders.
fn drawn(layout: Layout, byzantine: u64, order: &mut [u64], random: &mut Random) -> Nodes {
    let mut nodes = vec![false; order.len()];
    for place in 0..byzantine {
        let other = place + random.below(layout.nodes() - place);
        order.swap(place as usize, other as usize);
        nodes[order[place as usize] as usize] = true;
    }
    let lead = |group| group * layout.size + random.below(layout.size);
    Nodes {
        byzantine: nodes,
        leaders: (0..layout.groups).map(lead).collect(),
    }
}

/// Nodes as an adversary places them: in one group after another as many as make it false, and the
/// rest wherever there is room. Where it has a node in a group, that node leads.
fn placed(case: Case, byzantine: u64) -> Nodes {
    let layout = case.layout;
    let each = match case.scheme {
        Scheme::Leaders => 1,
        Scheme::Flat | Scheme::Certified => layout.members_max() + 1,
    };
    let mut nodes = vec![false; layout.nodes() as usize];
    // The members of all groups, those that make one false before all others.
    let group = |rank: u64| (0..layout.groups).map(move |group| (group, rank));
    let first = (0..layout.groups).flat_map(|group| (0..each).map(move |rank| (group, rank)));
    let rest = (each..layout.size).flat_map(group);
    for (group, rank) in first.chain(rest).take(byzantine as usize) {
        nodes[(group * layout.size + rank) as usize] = true;
    }
    Nodes {
        byzantine: nodes,
        leaders: (0..layout.groups)
            .map(|group| group * layout.size)
            .collect(),
    }
}

/// Whether the nodes that are Byzantine can break safety or liveness.
fn is_lost(case: Case, nodes: &Nodes) -> bool {
    let layout = case.layout;
    let groups = nodes.byzantine.chunks(layout.size as usize);
    let count = |group: &[bool]| group.iter().filter(|byzantine| **byzantine).count() as u64;
    let false_groups = match case.scheme {
        Scheme::Flat => return count(&nodes.byzantine) > (layout.nodes() - 1) / 3,
        Scheme::Leaders => {
            let leaders = nodes.leaders.iter();
            leaders
                .filter(|leader| nodes.byzantine[**leader as usize])
                .count() as u64
        }
        Scheme::Certified => groups
            .filter(|group| count(group) > layout.members_max())
            .count() as u64,
    };
    false_groups > layout.false_leaders_max()
}
