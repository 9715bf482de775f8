//! How many Byzantine nodes a consortium survives that is divided into groups, by how they came
//! to be where they are.
//!
//! A flat committee of N nodes loses safety or liveness with one more than ⌊(N−1)/3⌋ of them. In
//! two tiers, k groups of m nodes each send their leader into a committee of k, which survives
//! f₂ = ⌊(k−1)/3⌋ false leaders. What makes a leader false depends on the protocol: in the RBFT
//! of Huang et al. (2021), as published, a leader speaks for its group unasked, so that it is
//! enough that the leader is Byzantine. If it has to show a certificate of ⌈(m+f₁+1)/2⌉ members,
//! f₁ = ⌊(m−1)/3⌋, then more than f₁ of the group have to be.
//!
//! Two placements are looked at: by chance, with every set of Byzantine nodes and every leader of
//! a group equally likely; and by an adversary, who puts them where they are worth most and wins
//! the elections of groups in which it has a node. For each the probability that safety or
//! liveness is lost is told twice: exactly, by counting sets in whole numbers, and as the share of
//! simulated placements.

mod exact;
pub mod files;
mod simulated;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

/// What the study is about.
pub const ABOUT: &str = "A hundred hospitals, some of them Byzantine: what one committee of all \
                         survives, and what groups with a committee of their leaders do.";

/// What is studied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// How the nodes are divided, all of them into as many nodes in total.
    pub layouts: Vec<Layout>,
    /// Byzantine nodes at most.
    pub byzantine_max: u64,
    /// Simulated placements of each number of them.
    pub trials: u64,
    /// Where the chance of these comes from.
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        let layout = |groups, size| Layout { groups, size };
        Self {
            layouts: vec![layout(4, 25), layout(10, 10)],
            byzantine_max: 50,
            trials: 40_000,
            seed: 1,
        }
    }
}

/// Equal groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// k: how many groups there are.
    pub groups: u64,
    /// m: the nodes in each.
    pub size: u64,
}

impl Layout {
    /// N: all nodes.
    pub fn nodes(self) -> u64 {
        self.groups * self.size
    }

    /// f₂: the false leaders that the committee survives.
    pub fn false_leaders_max(self) -> u64 {
        (self.groups - 1) / 3
    }

    /// f₁: the Byzantine members that a group with certificates survives.
    pub fn members_max(self) -> u64 {
        (self.size - 1) / 3
    }
}

/// What has to agree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// One committee of all nodes.
    Flat,
    /// A committee of the leaders of groups, who speak for these unasked.
    Leaders,
    /// The same, where each shows a certificate of its group.
    Certified,
}

/// How Byzantine nodes come to be where they are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// By chance, as are the leaders.
    Random,
    /// By an adversary.
    Adversarial,
}

/// What becomes of so many Byzantine nodes: a row of `tolerance.csv`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Row {
    /// All nodes.
    pub nodes: u64,
    /// Groups of equal size.
    pub groups: u64,
    /// Nodes in each.
    pub size: u64,
    /// What has to agree.
    pub scheme: Scheme,
    /// How the Byzantine nodes are placed.
    pub placement: Placement,
    /// How many nodes are Byzantine.
    pub byzantine: u64,
    /// The probability that safety or liveness is lost.
    pub exact: f64,
    /// Simulated placements; one where nothing is left to chance.
    pub trials: u64,
    /// Of these, the ones in which safety or liveness is lost.
    pub lost: u64,
    /// Their share.
    pub simulated: f64,
    /// The lower end of Wilson's 95% interval of the probability, from the simulation alone.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// What is compared: every scheme with every placement that makes a difference.
pub const CASES: [(Scheme, Placement); 5] = [
    (Scheme::Flat, Placement::Random),
    (Scheme::Leaders, Placement::Random),
    (Scheme::Leaders, Placement::Adversarial),
    (Scheme::Certified, Placement::Random),
    (Scheme::Certified, Placement::Adversarial),
];

/// Carries the study out.
pub fn study(plan: &Plan) -> Vec<Row> {
    let mut rows = Vec::new();
    for &layout in &plan.layouts {
        for (scheme, placement) in CASES {
            let case = Case {
                layout,
                scheme,
                placement,
            };
            let most = plan.byzantine_max.min(layout.nodes());
            rows.extend((0..=most).map(|byzantine| case.row(plan, byzantine)));
        }
    }
    rows
}

/// One line of the figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Case {
    layout: Layout,
    scheme: Scheme,
    placement: Placement,
}

impl Case {
    fn row(self, plan: &Plan, byzantine: u64) -> Row {
        let trials = match self.placement {
            Placement::Random => plan.trials,
            Placement::Adversarial => 1,
        };
        let lost = simulated::lost(self, byzantine, (trials, plan.seed));
        let (low, high) = match self.placement {
            Placement::Random => wilson(lost, trials, Z95),
            Placement::Adversarial => (lost as f64, lost as f64),
        };
        let Layout { groups, size } = self.layout;
        Row {
            nodes: self.layout.nodes(),
            groups,
            size,
            scheme: self.scheme,
            placement: self.placement,
            byzantine,
            exact: exact::lost(self, byzantine),
            trials,
            lost,
            simulated: lost as f64 / trials as f64,
            low,
            high,
        }
    }
}

/// What a normal variable exceeds in either direction in one case of twenty.
pub(super) const Z95: f64 = 1.959_963_984_540_054;

/// Wilson's interval of a probability of which so many of the trials came true.
pub(super) fn wilson(hits: u64, trials: u64, z: f64) -> (f64, f64) {
    let (n, share) = (trials as f64, hits as f64 / trials as f64);
    let middle = share + z * z / (2.0 * n);
    let spread = z * libm::sqrt(share * (1.0 - share) / n + z * z / (4.0 * n * n));
    let width = 1.0 + z * z / n;
    // Rounding must not exclude what was never, or always, seen.
    let low = if hits == 0 {
        0.0
    } else {
        (middle - spread) / width
    };
    let high = if hits == trials {
        1.0
    } else {
        (middle + spread) / width
    };
    (low, high)
}
