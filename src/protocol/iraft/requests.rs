//! What clients ask for: it waits here, and goes to the leader.

use std::sync::Arc;

use super::message::Message;
use super::{Cx, Iraft, content};
use crate::base::node::NodeId;
use crate::base::time::Span;
use crate::base::units::Bytes;
use crate::chain::Transaction;
use crate::protocol::mempool::BatchRule;

impl Iraft {
    pub(super) fn on_submit(&mut self, transaction: Arc<Transaction>, cx: &mut Cx<'_>) {
        if !content::is_signed(&transaction.call) {
            return;
        }
        self.volatile.mempool.insert(transaction.clone());
        match self.volatile.leader {
            // Known or not: a client that asks again suspects that a message was lost.
            Some(leader) if leader != cx.me() => {
                cx.send(leader, Message::Forward(vec![transaction]));
            }
            Some(_) => self.cut_batches(cx),
            None => {}
        }
    }

    pub(super) fn on_forward(
        &mut self,
        from: NodeId,
        transactions: &[Arc<Transaction>],
        cx: &mut Cx<'_>,
    ) {
        let mut fresh = Vec::new();
        for transaction in transactions {
            // Whoever proposed what nobody signed would be convicted.
            let signed = content::is_signed(&transaction.call);
            if signed && self.volatile.mempool.insert(transaction.clone()) {
                fresh.push(transaction.clone());
            }
        }
        match self.volatile.leader {
            Some(leader) if leader == cx.me() => self.cut_batches(cx),
            Some(leader) if leader != from && !fresh.is_empty() => {
                cx.send(leader, Message::Forward(fresh));
            }
            // The leader is not known, or sent this itself: kept until a leader is heard.
            Some(_) | None => {}
        }
    }

    /// Sends everything that waits to the leader that was just learnt.
    pub(super) fn forward_pending(&mut self, leader: NodeId, cx: &mut Cx<'_>) {
        let everything = BatchRule {
            max: usize::MAX,
            bytes: Bytes(u64::MAX),
            wait: Span::ZERO,
        };
        if let Some(batch) = self.volatile.mempool.take(&everything) {
            let transactions = batch.transactions().to_vec();
            self.volatile.mempool.restore(&batch);
            cx.send(leader, Message::Forward(transactions));
        }
    }
}
