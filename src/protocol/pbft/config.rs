//! What a scenario may say about PBFT, and the guards that tests leave out.

use serde::{Deserialize, Serialize};

use crate::base::time::Span;

/// What a scenario may say about PBFT.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long a replica waits for progress before it asks for the next view; doubles with each
    /// view change in a row.
    pub view_timeout: Span,
    /// Heights from one checkpoint to the next.
    pub checkpoint_interval: u64,
    /// Heights from the low watermark to the high one.
    pub window: u64,
    /// Batches the leader has in progress at once.
    pub pipeline: u64,
    /// A guard to be left out, for tests of the checks.
    #[cfg(any(test, feature = "mutants"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutant: Option<Mutant>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            view_timeout: Span::from_secs(1),
            checkpoint_interval: 100,
            window: 200,
            pipeline: 8,
            #[cfg(any(test, feature = "mutants"))]
            mutant: None,
        }
    }
}

/// Guards that tests leave out, one at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mutant {
    /// One prepare fewer than a quorum is enough.
    PrepareQuorumLow,
    /// One commit fewer than a quorum is enough.
    CommitQuorumLow,
    /// There is no prepare phase: a proposal counts as prepared.
    SkipPrepare,
    /// The proposals of a new view ignore what was prepared.
    NewViewIgnoresPrepared,
    /// The proposals of a new view are not checked.
    NoNewViewVerify,
    /// A replica votes on in a view it has asked to leave.
    KeepVotingAfterViewChange,
    /// A second proposal for a place replaces the first.
    AcceptSecondPrePrepare,
    /// Quorums are 2f+1 for every n.
    QuorumTwoFPlusOne,
    /// f+1 replicas that want a higher view are not joined.
    NoJoinRule,
    /// The view timer never grows.
    NoTimerBackoff,
    /// Votes leave before what they depend on is on disk.
    PersistLate,
    /// There is no commit phase: what is prepared is committed.
    SkipCommit,
    /// The digest of a proposal need not be that of its batch.
    NoDigestCheck,
    /// Signatures of votes are not verified.
    NoSignatureCheck,
    /// One request fewer than a quorum is enough for a new view.
    ViewChangeQuorumLow,
    /// What a leader executes hides what it does not.
    NoFairness,
    /// Whoever votes twice is counted twice.
    NoSenderDedup,
    /// What is committed is executed although a place before it is open.
    ExecOutOfOrder,
    /// A replica that returns executes its last batch again.
    ReExecute,
    /// A replica does not ask again for a view while the leader has time to open it.
    SilentWhileAwaiting,
    /// A replica that many have left behind in an earlier view does not ask for theirs.
    DeafToLaterViews,
    /// A replica that returns does not look after others until it executes something.
    CarelessAfterCrash,
}
