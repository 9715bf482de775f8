//! The words of a verdict, and what is kept of each violation.

use std::fmt;

use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::chain::Height;
use crate::contract::invariants::Invariant;

/// A property every run is judged by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Property {
    /// Two honest nodes never decide different blocks at one height.
    Agreement,
    /// A node decides consecutive heights, each block on top of the one before.
    TotalOrder,
    /// What is decided was submitted by a client, unaltered.
    Validity,
    /// A transaction is executed at most once, and passed over only if it was executed before.
    ExactlyOnce,
    /// What a node decided at a height it never decides otherwise.
    Irrevocability,
    /// The same batches lead to the same state.
    StateEquality,
    /// Executing the chain once more gives the same receipts and states.
    Replay,
    /// What has to be true of the contract's state, and of every change to it.
    Contract(Invariant),
    /// What was endorsed and found valid is what the contract does at that place.
    Endorsement,
    /// What the layers of a protocol write into the chain follows its rules, and nobody answers for
    /// signatures that do not hold.
    Layers,
    /// What a client is told is what the chain says.
    ClientView,
    /// What clients are told is what one server that does one thing after the other would tell.
    Linearizability,
    /// A view or term has one leader.
    ElectionSafety,
    /// Log entries of one place and term end equal logs.
    LogMatching,
    /// A new leader holds everything decided in earlier terms.
    LeaderCompleteness,
    /// An honest node states one thing at a place of a view, and nothing new in a view it has left.
    SelfConsistency,
    /// What an honest node takes for proven was said by a quorum.
    CertificateSoundness,
    /// In one view, one batch at most is prepared for a height.
    PreparedUniqueness,
    /// Honest nodes are accused of nothing but silence.
    AccountabilitySoundness,
    /// Records are kept where their patients are registered, and nowhere else; tables of one
    /// chain are equal.
    Sharing,
    /// Every message and every answer is counted once.
    Accounting,
    /// After healing, what clients ask for is answered within the bound.
    Stall,
    /// After healing, every honest node that is up has what was decided a bound ago.
    Lagging,
    /// After healing, every record is where it is to be kept, or listed as lost.
    Undelivered,
}

impl Property {
    /// As written in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agreement => "agreement",
            Self::TotalOrder => "total-order",
            Self::Validity => "validity",
            Self::ExactlyOnce => "exactly-once",
            Self::Irrevocability => "irrevocability",
            Self::StateEquality => "state-equality",
            Self::Replay => "replay",
            Self::Contract(invariant) => invariant.name(),
            Self::Endorsement => "endorsement",
            Self::Layers => "layers",
            Self::ClientView => "client-view",
            Self::Linearizability => "linearizability",
            Self::ElectionSafety => "election-safety",
            Self::LogMatching => "log-matching",
            Self::LeaderCompleteness => "leader-completeness",
            Self::SelfConsistency => "self-consistency",
            Self::CertificateSoundness => "certificate-soundness",
            Self::PreparedUniqueness => "prepared-uniqueness",
            Self::AccountabilitySoundness => "accountability-soundness",
            Self::Sharing => "sharing",
            Self::Accounting => "accounting",
            Self::Stall => "stall",
            Self::Lagging => "lagging",
            Self::Undelivered => "undelivered",
        }
    }

    /// Whether it is about what must happen in the end; the others are about what must never
    /// happen.
    pub fn is_liveness(self) -> bool {
        matches!(self, Self::Stall | Self::Lagging | Self::Undelivered)
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A judgement of safety or liveness.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// Nothing wrong was seen, and there was enough to see.
    Holds,
    /// At least one violation was seen.
    Violated,
    /// The run ended too early after the last fault, or nothing was asked of it.
    Inconclusive,
    /// The scenario leaves nothing that the protocol promises to survive.
    OutsideModel,
}

impl Word {
    /// As written in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Violated => "violated",
            Self::Inconclusive => "inconclusive",
            Self::OutsideModel => "outside-model",
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One observed breach of a property. It is data: the run goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// When it was seen.
    pub time: Time,
    /// What was broken.
    pub property: Property,
    /// Who was involved, the one that was seen last first.
    pub nodes: Vec<NodeId>,
    /// Where in the chain or log, if at one place.
    pub height: Option<Height>,
    /// A sentence for people, without comma or quote.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.time, self.property)?;
        for node in &self.nodes {
            write!(f, " {node}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// Violations kept in full at most; beyond that they are only counted.
pub const KEPT_MAX: usize = 1_000;

/// What has been found so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    /// The first ones, in the order they were seen.
    pub kept: Vec<Violation>,
    /// All of them.
    pub total: u64,
    /// Those of safety.
    pub safety: u64,
}

impl Findings {
    /// Adds one.
    pub fn add(&mut self, violation: Violation) {
        self.total += 1;
        self.safety += u64::from(!violation.property.is_liveness());
        if self.kept.len() < KEPT_MAX {
            self.kept.push(violation);
        }
    }

    /// Adds one, if there is one.
    pub fn extend(&mut self, violation: Option<Violation>) {
        if let Some(violation) = violation {
            self.add(violation);
        }
    }
}
