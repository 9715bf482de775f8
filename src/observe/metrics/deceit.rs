//! What liars achieve, and how soon they are known.

use std::collections::BTreeMap;

use super::Measured;
use crate::base::crypto::Digest;
use crate::base::node::{NodeId, PositionSet};
use crate::base::time::{Span, Time};
use crate::chain::{Block, Height};
use crate::protocol::Offence;

/// Follows accusations and forks.
#[derive(Clone, Debug, Default)]
pub(super) struct Deceit {
    /// The dishonest who were accused of something provable, each with the honest who did so.
    pub convicted: BTreeMap<NodeId, PositionSet>,
    /// The honest who were so accused.
    pub convicted_wrongly: PositionSet,
    /// From the beginning of the misbehaviour to the first right accusation.
    pub first: Option<Span>,
    /// The same until every honest node accused one and the same of the dishonest.
    pub all: Option<Span>,
    /// Transactions that an honest node executed in another block than the first that was decided
    /// at its height, or should have executed there.
    pub misapplied: u64,
    /// The first block decided at each height of each chain by an honest node, and how many
    /// transactions it has.
    decided: BTreeMap<(Option<usize>, Height), (Digest, usize)>,
}

impl Deceit {
    /// An honest node accuses somebody.
    pub fn accuse(
        &mut self,
        measured: &Measured,
        (now, by): (Time, NodeId),
        (culprit, offence): (NodeId, Offence),
    ) {
        if !offence.is_proof() {
            return;
        }
        if !measured.dishonest.contains(culprit.index()) {
            self.convicted_wrongly.insert(culprit.index());
            return;
        }
        let accusers = self.convicted.entry(culprit).or_default();
        accusers.insert(by.index());
        let honest = measured.nodes - measured.dishonest.len();
        let after = now.since(measured.misbehaving_from);
        self.first.get_or_insert(after);
        if accusers.len() >= honest {
            self.all.get_or_insert(after);
        }
    }

    /// An honest node decided a block of its chain.
    pub fn decide(&mut self, chain: Option<usize>, block: &Block) {
        let own = (block.digest, block.batch.len());
        let first = *self.decided.entry((chain, block.height)).or_insert(own);
        if first.0 != own.0 {
            self.misapplied += first.1.max(own.1) as u64;
        }
    }
}
