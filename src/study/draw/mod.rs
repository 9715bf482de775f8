//! How likely a draw of MBFT puts more Byzantine nodes into a committee than it bears.
//!
//! Of N nodes some are Byzantine, whoever they are, before the upper group and the low-level groups
//! are drawn. Progress ends if any committee of k has more than ⌊(k−1)/3⌋ of them: of a low-level
//! group only its own transactions wait, of the upper group everything. Safety ends if the upper
//! group has more than that, or if in some group they can certify what they like. For each the
//! probability is told twice: exactly, by counting sets, and as the share of draws by the draw of
//! the protocol itself. An adversary who chooses nodes after the draw needs two in a group of four,
//! whatever N is.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::table;
use super::tolerance::{Z95, wilson};
use crate::base::crypto::Hasher;
use crate::base::node::{Committee, NodeId};
use crate::protocol::mbft::Selection;
use crate::protocol::mbft::draw::{Sizes, Urn};
use crate::protocol::mbft::risk::{bears, loss_of_liveness, loss_of_safety};

/// What the study is about.
pub const ABOUT: &str = "A hundred hospitals, some of them Byzantine, drawn into the groups of \
                         MBFT: how likely a draw ends progress or safety.";

/// The file of rows; a folder that has it holds this study.
pub const ROWS: &str = "draw.csv";

/// What is studied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// All nodes.
    pub nodes: usize,
    /// Members of each low-level group, and of the upper group.
    pub layouts: Vec<(usize, usize)>,
    /// Byzantine nodes at most.
    pub byzantine_max: usize,
    /// Draws.
    pub trials: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            nodes: 100,
            layouts: vec![(4, 4), (7, 7), (7, 13), (13, 19)],
            byzantine_max: 40,
            trials: 4_000,
        }
    }
}

/// What is lost.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Somebody's transactions wait for ever.
    Liveness,
    /// What is decided may be forged or forked.
    Safety,
}

/// What becomes of so many Byzantine nodes: a row of `draw.csv`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Row {
    /// All nodes.
    pub nodes: usize,
    /// Low-level groups.
    pub groups: usize,
    /// Members of each.
    pub group: usize,
    /// Members of the upper group.
    pub upper: usize,
    /// What is lost.
    pub loss: Loss,
    /// How many nodes are Byzantine.
    pub byzantine: usize,
    /// The probability.
    pub exact: f64,
    /// Draws.
    pub trials: u64,
    /// Those in which it is lost.
    pub lost: u64,
    /// Their share.
    pub simulated: f64,
    /// The lower end of Wilson's 95% interval of the probability, from the draws alone.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Parts of a probability that are told apart.
const PARTS: u64 = 1_000_000_000;

/// Carries the study out.
pub fn study(plan: &Plan) -> Vec<Row> {
    let mut rows = Vec::new();
    for &(group, upper) in &plan.layouts {
        let sizes = Sizes {
            upper,
            group,
            groups: (plan.nodes - upper) / group,
        };
        for (loss, least) in [Loss::Liveness, Loss::Safety]
            .into_iter()
            .zip(simulated(plan, sizes))
        {
            rows.extend((0..=plan.byzantine_max).map(|b| row(plan, sizes, loss, (b, &least))));
        }
    }
    rows
}

fn row(plan: &Plan, sizes: Sizes, loss: Loss, (byzantine, least): (usize, &[usize])) -> Row {
    let chance = match loss {
        Loss::Liveness => loss_of_liveness(plan.nodes, sizes, byzantine),
        Loss::Safety => loss_of_safety(plan.nodes, sizes, byzantine),
    };
    let exact = chance.expect("sets of a hundred nodes can be counted");
    let lost = least.iter().filter(|least| **least <= byzantine).count() as u64;
    let (low, high) = wilson(lost, plan.trials, Z95);
    Row {
        nodes: plan.nodes,
        groups: sizes.groups,
        group: sizes.group,
        upper: sizes.upper,
        loss,
        byzantine,
        exact: exact.in_parts(PARTS) as f64 / PARTS as f64,
        trials: plan.trials,
        lost,
        simulated: lost as f64 / plan.trials as f64,
        low,
        high,
    }
}

/// For each draw how many Byzantine nodes it takes to lose liveness, and safety. The nodes turn
/// Byzantine one after another in the order of their numbers, which mean nothing to the draw.
fn simulated(plan: &Plan, sizes: Sizes) -> [Vec<usize>; 2] {
    let all = (0..plan.nodes).map(|node| (NodeId::at(node), 60));
    let all: Vec<(NodeId, u64)> = all.collect();
    let mut least = [Vec::new(), Vec::new()];
    for number in 0..plan.trials {
        let place = sizes.group as u64 * 1_000 + sizes.upper as u64;
        let beacon = Hasher::new("draw study").number(place).number(number);
        let urn = Urn {
            beacon: beacon.finish(),
            selection: Selection::Weighted,
            eligible: &all,
            worthy: &[],
            organisations: 0,
        };
        let roles = urn.draw(1, plan.nodes, sizes);
        let roles = roles.expect("the nodes are enough for the groups");
        let upper = breaking(&roles.upper, bears(sizes.upper));
        let of_groups = |most: usize| {
            let groups = roles.groups.iter().map(|group| breaking(group, most));
            groups.min().unwrap_or(usize::MAX).min(upper)
        };
        least[0].push(of_groups(bears(sizes.group)));
        least[1].push(of_groups(2 * bears(sizes.group)));
    }
    least
}

/// How many nodes have to be Byzantine, in the order of their numbers, for more than so many of a
/// committee to be.
fn breaking(committee: &Committee, most: usize) -> usize {
    let members = committee.members().iter();
    let mut members: Vec<usize> = members.map(|member| member.index()).collect();
    members.sort_unstable();
    members.get(most).map_or(usize::MAX, |member| member + 1)
}

/// The file by name.
pub fn files(rows: &[Row]) -> Vec<(String, Vec<u8>)> {
    vec![(ROWS.to_owned(), table::encode(rows))]
}

/// The rows from the bytes of their file.
///
/// # Errors
/// If the file is not as written; says why.
pub fn read(bytes: Option<Vec<u8>>) -> Result<Vec<Row>, String> {
    table::decode(ROWS, bytes)
}
