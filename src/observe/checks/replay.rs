//! Executes the canonical chain once more, as a machine that shares nothing with the nodes, and
//! looks at what comes out: the same answers and the same states (whoever replays the chain ends
//! where the nodes are), records that live as the contract says, and in the end a state in which
//! all of its invariants hold.

use std::sync::Arc;

use super::violation::{Findings, Property, Violation};
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::chain::Block;
use crate::chain::ledger::{Executor, Ledger};
use crate::contract::message::RecordId;
use crate::contract::records::Status;

/// Records whose signatures are verified for real when the run ends: each takes a tenth of a
/// millisecond.
const SIGNATURES_MAX: usize = 500;

/// A chain in the making, beside those of the nodes.
#[derive(Clone, Debug)]
pub(super) struct Replay {
    executor: Executor,
    ledger: Ledger,
    /// Whether the chain could not be followed: then there is nothing to compare with any more.
    lost: bool,
}

impl Replay {
    /// Starts from what this executor starts from.
    pub fn new(executor: Executor) -> Self {
        Self {
            executor,
            ledger: Ledger::new(),
            lost: false,
        }
    }

    /// How far the replay has come.
    pub fn height(&self) -> u64 {
        self.ledger.height()
    }

    /// Whether it goes on.
    pub fn goes_on(&self) -> bool {
        !self.lost
    }

    /// Executes the next block of the canonical chain, which a node decided.
    pub fn follow(&mut self, now: Time, node: NodeId, block: &Arc<Block>, out: &mut Findings) {
        let head = self.ledger.head().map_or(Digest::ZERO, |head| head.digest);
        if block.parent != head {
            self.lost = true; // A fork, which is a violation of its own.
            return;
        }
        let before = self.lives(block);
        let again = self
            .ledger
            .append(block.height, &block.batch, &mut self.executor);
        let differs = if again.executed != block.executed {
            Some("answers otherwise than the node")
        } else if again.digest != block.digest {
            Some("ends in another state than the node")
        } else {
            None
        };
        let breach = |property, detail| Violation {
            time: now,
            property,
            nodes: vec![node],
            height: Some(block.height),
            detail,
        };
        if let Some(how) = differs {
            self.lost = true;
            let detail = format!("executing the chain again {how}");
            out.add(breach(Property::Replay, detail));
        }
        for ((rid, was), (_, is)) in before.into_iter().zip(self.lives(block)) {
            if !may_follow(was, is) {
                let detail = format!("record {rid:?} went from {was:?} to {is:?}");
                out.add(breach(Property::RecordLife, detail));
            }
        }
    }

    /// The records that a block is about, with their present statuses.
    fn lives(&mut self, block: &Block) -> Vec<(RecordId, Option<Status>)> {
        let state = self.ledger.state(&mut self.executor);
        let transactions = block.batch.transactions().iter();
        let rids = transactions.flat_map(|transaction| transaction.call.call().records());
        rids.map(|rid| (rid, state.status(&rid))).collect()
    }

    /// Looks at the last state.
    pub fn finish(mut self, end: Time, out: &mut Findings) {
        let height = self.ledger.height();
        let state = self.ledger.state(&mut self.executor);
        for breach in state.breaches(SIGNATURES_MAX) {
            out.add(Violation {
                time: end,
                property: Property::ContractInvariant,
                nodes: Vec::new(),
                height: Some(height),
                detail: breach.to_string(),
            });
        }
    }
}

/// Whether a record may go from one status to another by any number of calls.
fn may_follow(was: Option<Status>, is: Option<Status>) -> bool {
    let Some(was) = was else { return true };
    let Some(is) = is else { return false };
    match was {
        Status::Proposed => true,
        Status::Rejected | Status::Withdrawn | Status::Amended(_) => is == was,
        Status::Active | Status::Hidden | Status::Disputed => match is {
            Status::Active | Status::Hidden | Status::Disputed | Status::Amended(_) => true,
            Status::Proposed | Status::Rejected | Status::Withdrawn => false,
        },
    }
}
