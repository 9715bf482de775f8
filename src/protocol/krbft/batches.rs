//! Batches that the present leaders know by their digest only. All that had seen one may have been
//! replaced by now: members keep what their group has voted for, and former leaders what they had.

use super::message::Message;
use super::{Cx, Krbft};
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::chain::{Batch, Height};
use crate::protocol::{Input, Report, pbft};

impl Krbft {
    /// Asks for what this leader has lacked since it looked last, one group after the other. The
    /// other leaders have been asked by then.
    pub(super) fn look_for_batches(&mut self, cx: &mut Cx<'_>) {
        let Some(committee) = self.committee.as_ref().filter(|_| !self.is_short(cx)) else {
            return;
        };
        let lacking = committee.lacks();
        let before = std::mem::replace(&mut self.volatile.lacking, lacking.clone());
        let wanted: Vec<_> = lacking
            .into_iter()
            .filter(|it| before.contains(it))
            .collect();
        if wanted.is_empty() {
            return;
        }
        cx.report(Report::Reached("a leader looks for a lost batch"));
        let groups = self.seats.groups();
        let asked = groups[(self.mine + self.volatile.turn) % groups.len()].clone();
        self.volatile.turn += 1;
        let own = self.batches(&wanted, cx);
        cx.broadcast(&asked, self.bound(Message::BatchFetch(wanted)));
        self.on_batches(&own, cx);
    }

    /// What this replica has of some batches, wherever it keeps them.
    fn batches(&self, wanted: &[(Height, Digest)], cx: &Cx<'_>) -> Vec<(Height, Batch)> {
        let find = |height: Height, digest: &Digest| {
            let seat = self.committee.as_ref();
            let kept = self.durable.memory.kept(height, digest);
            let kept = kept.or_else(|| seat?.kept(height, digest));
            let block = cx.ledger().block(self.base().saturating_add(height));
            let executed = block.map(|block| &block.batch);
            kept.or(executed.filter(|batch| batch.digest() == *digest))
                .cloned()
        };
        let places = wanted.iter().take(self.config.committee.window as usize);
        places
            .filter_map(|(height, digest)| Some((*height, find(*height, digest)?)))
            .collect()
    }

    /// A leader lacks batches.
    pub(super) fn on_batch_fetch(
        &self,
        from: NodeId,
        wanted: &[(Height, Digest)],
        cx: &mut Cx<'_>,
    ) {
        let batches = self.batches(wanted, cx);
        if !batches.is_empty() {
            cx.send(from, self.bound(Message::Batches(batches)));
        }
    }

    /// Somebody has kept what this leader lacks. The seat compares it with the digests.
    pub(super) fn on_batches(&mut self, batches: &[(Height, Batch)], cx: &mut Cx<'_>) {
        if batches.is_empty() {
            return;
        }
        let found = pbft::Blocks {
            batches: batches.to_vec(),
            ..pbft::Blocks::default()
        };
        let message = &pbft::Message::Blocks(Box::new(found));
        let from = self.seat();
        self.run_committee(Input::Deliver { from, message }, cx);
    }
}
