//! The improved RAFT inside another protocol, which takes its decisions and its leaders.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::content::Content;
use super::evidence::Evidence;
use super::log::Log;
use super::message::Election;
use super::proof::Decided;
use super::{Config, Cx, Iraft};
use crate::base::node::NodeId;
use crate::chain::Batch;
use crate::protocol::{Protocol, Setup};

/// What a parent protocol asks of the replica inside it.
impl Iraft {
    /// A replica whose decisions go to a parent protocol ([`Context::nest`]): it neither reads nor
    /// writes the node's ledger, keeps its whole log, and after a crash decides it from the first
    /// entry again, as far as it is known to be committed.
    pub fn nested(config: &Config, setup: Setup) -> Self {
        Self {
            nested: true,
            ..Self::new(config, setup)
        }
    }

    /// The same in terms of its own, so that nothing said in another instance means anything here:
    /// for members who belong to one group after another.
    #[must_use]
    pub fn in_terms(mut self, terms: Range<u64>) -> Self {
        self.terms = terms;
        self.durable.term = self.terms.start;
        self.durable.log = Log::above(self.origin());
        self
    }

    /// Has the group decide this batch, which is not taken from clients; false if this replica
    /// does not lead, has as many batches in progress as it may, or would be convicted of it: of
    /// a call without a signature, or of a transaction twice.
    pub fn propose_batch(&mut self, batch: Batch, cx: &mut Cx<'_>) -> bool {
        let content = Content::of(batch);
        let flawed = content.is_flawed(cx.keyring(), &self.setup.committee);
        if !self.leads() || !self.has_room() || flawed {
            return false;
        }
        self.propose(content, cx);
        self.finish(cx);
        true
    }

    /// Who leads the group and why: votes of a quorum for a term, which [`verify_election`]
    /// checks. Nothing while no leader is known.
    pub fn election(&self) -> Option<(NodeId, &Arc<Election>)> {
        Some((self.volatile.leader?, self.volatile.election.as_ref()?))
    }

    /// The proof that the group has decided what stands at a place; nothing while this replica has
    /// none that reaches so far. What rests on a leader's word, in profile `paper`, has none.
    pub fn proof_of(&self, index: u64) -> Option<Decided> {
        let lock = self.durable.lock.as_ref();
        let known = self.volatile.decision.as_ref().or(lock);
        let known = known.filter(|_| index <= self.volatile.commit)?;
        Decided::find(known, index, &self.durable.log, self.exclusions())
    }

    /// Whom this replica has convicted, each with the proof.
    pub fn convicted(&self) -> &BTreeMap<NodeId, Arc<Evidence>> {
        &self.durable.convicted
    }

    /// Who has been excluded from the group, in order.
    pub fn excluded(&self) -> &[NodeId] {
        &self.durable.excluded
    }
}
