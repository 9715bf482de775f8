//! What a consortium agrees on before its chain begins, and what no call changes afterwards.

use serde::{Deserialize, Serialize};

/// Who has to sign a record before it enters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authentication {
    /// Doctor and patient, over the same bytes.
    #[default]
    Dual,
    /// The doctor alone: what records on paper have, and the baseline that shows what the second
    /// signature costs. Whoever runs this has no protection against a doctor who makes things up.
    DoctorOnly,
}

/// The rules of a chain. `Default` is what the specification of the contract recommends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Who has to sign a record.
    pub authentication: Authentication,
    /// Distinct patients that the answer to a search needs, so that a guess at one of them is
    /// right at most once in so many times.
    pub floor: u32,
    /// The same for research.
    pub floor_research: u32,
    /// Searches that a party may make in [`WINDOW`] blocks; without, any number, and searches
    /// need not be ordered.
    pub query_budget: Option<u32>,
    /// Whether a search is refused that differs from an earlier one of the same party by fewer
    /// patients than the floor.
    pub difference_guard: bool,
    /// Emergencies that a doctor may claim in [`WINDOW`] blocks.
    pub emergencies_max: u32,
}

/// Blocks over which budgets are counted.
pub const WINDOW: u64 = 1_000;

impl Default for Rules {
    fn default() -> Self {
        Self {
            authentication: Authentication::Dual,
            floor: 5,
            floor_research: 11,
            query_budget: None,
            difference_guard: false,
            emergencies_max: 3,
        }
    }
}
