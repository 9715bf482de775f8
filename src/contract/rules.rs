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
    /// Which check is left out.
    #[cfg(any(test, feature = "mutants"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutant: Option<Mutant>,
}

/// A check that can be left out, to show that whoever judges the contract notices.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mutant {
    /// A patient's signature need not verify.
    PatientUnchecked,
    /// A custodian need not be enabled.
    CustodianUnchecked,
    /// A doctor may be the patient.
    SelfDealing,
    /// A suspended doctor still signs.
    SuspendedSigns,
    /// A certificate that has run out still counts.
    LapsedCounts,
    /// One hospital less than has to decides.
    QuorumLow,
    /// A number may be used again.
    NonceAgain,
    /// A doctor may record a document again.
    DocumentAgain,
    /// A record may replace another patient's.
    OthersReplaced,
    /// Consent is looked at when it is given and not when it is used: a revoked grant still is.
    RevokedUsable,
    /// The same for a grant that has ended.
    EndedUsable,
    /// The same for a grant whose giver has frozen the account.
    FrozenUsable,
    /// A grant may be used any number of times.
    SpentUsable,
    /// Uses of a grant are not counted.
    UsesUncounted,
    /// A reading is not listed.
    ReadingUnlisted,
    /// A grant is good for any record of the patient.
    ScopeUnchecked,
    /// Any doctor may use a grant.
    AnybodyReads,
    /// A doctor may claim any number of emergencies.
    EmergenciesUnlimited,
    /// Any document counts as delivered.
    DocumentUnchecked,
    /// A record is delivered whether or not patient and holder have agreed.
    UnapprovedDelivered,
    /// Anybody who may confirm a delivery at all may confirm any.
    AnybodyConfirms,
    /// An alias may be made of a key that has a name.
    AliasOfKnownKey,
    /// An alias may ask for whatever a hospital may ask for.
    AliasAsksAll,
    /// An alias that was ended still signs.
    AliasEndless,
    /// The handle of a row is a part of the name of the record.
    HandleTells,
    /// A hidden record is still found.
    HiddenFound,
    /// A refused order uses its number up.
    RefusalSpends,
    /// What was executed before is executed again.
    ExecutedAgain,
    /// What a call comes to depends on when a node executes it.
    NodeClock,
    /// In which order calls of a block are executed depends on the node.
    MapOrder,
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
            #[cfg(any(test, feature = "mutants"))]
            mutant: None,
        }
    }
}

impl Rules {
    /// Whether a check is left out.
    #[cfg(any(test, feature = "mutants"))]
    pub(crate) fn lack(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Whether a check is left out: none is.
    #[cfg(not(any(test, feature = "mutants")))]
    #[allow(clippy::unused_self)]
    pub(crate) const fn lack(&self, _mutant: Mutant) -> bool {
        false
    }
}
