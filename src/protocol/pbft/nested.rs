//! PBFT inside another protocol, which proposes the batches, learns what was decided and shows the
//! proof of it to others.

use crate::base::crypto::{Certificate, Digest, Keyring};
use crate::base::node::Committee;
use crate::chain::{Batch, Height};
use crate::protocol::{Protocol, Setup};

use super::message::{Phase, Vote};
use super::{Config, Cx, Pbft};

/// Which place a commit certificate settles with which batch, if a quorum of the committee signed:
/// for those outside it.
pub fn verify_decision(
    proof: &Certificate<Vote>,
    committee: &Committee,
    keyring: &Keyring,
) -> Option<(Height, Digest)> {
    let vote = proof.body();
    let proven =
        vote.phase == Phase::Commit && proof.verify(committee, committee.quorum(), keyring);
    proven.then_some((vote.height, vote.digest))
}

impl Pbft {
    /// An instance whose first place follows a height of the ledger.
    pub fn nested(config: &Config, setup: Setup, base: Height) -> Self {
        Self {
            base,
            ..Self::new(config, setup)
        }
    }

    /// Whether this replica leads and may put a batch at the next place.
    pub fn is_open(&self) -> bool {
        self.may_propose()
    }

    /// The view whose votes count; none while a view is changing.
    pub fn active_view(&self) -> Option<u64> {
        self.volatile.active
    }

    /// The last place that was decided here.
    pub fn decided(&self) -> Height {
        self.volatile.executed
    }

    /// Puts a batch of the parent at the next place; false if this replica may not.
    pub fn propose_batch(&mut self, batch: &Batch, cx: &mut Cx<'_>) -> bool {
        let open = self.may_propose();
        if open {
            self.pre_prepare(batch, cx);
            self.finish(cx);
        }
        open
    }

    /// Whether the parent waits for a decision: while it does, the view timer runs.
    pub fn await_decision(&mut self, awaited: bool, cx: &mut Cx<'_>) {
        if self.volatile.awaited != awaited {
            self.volatile.awaited = awaited;
            self.watch(false, cx);
        }
    }

    /// The proof of what was decided at a place above the last stable checkpoint.
    pub fn proof_of(&self, height: Height) -> Option<&Certificate<Vote>> {
        self.durable.records.get(height)?.decided()
    }
}
