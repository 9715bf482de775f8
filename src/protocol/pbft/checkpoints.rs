//! Checkpoints: where a quorum has executed the same, the past can be forgotten.

use crate::base::crypto::{Certificate, Digest, Signed};
use crate::chain::Height;
use crate::protocol::Report;
use crate::protocol::tally::Counted;

use super::message::{Checkpoint, Message};
use super::{Cx, Pbft};

impl Pbft {
    /// This replica has executed up to a checkpoint.
    pub(super) fn mark(&mut self, height: Height, block: Digest, cx: &mut Cx<'_>) {
        let checkpoint = self.checkpoint(height, self.volatile.chain, block);
        if height <= self.durable.records.low() {
            // Blocks below a stable checkpoint that a crash took are given back by others.
            return;
        }
        self.volatile.marks.push(checkpoint);
        self.volatile.dirty = true;
        self.announce(checkpoint, cx);
    }

    pub(super) const fn checkpoint(
        &self,
        height: Height,
        chain: Digest,
        block: Digest,
    ) -> Checkpoint {
        Checkpoint {
            since: self.views.first,
            height,
            chain,
            block,
        }
    }

    /// Tells everybody of a checkpoint.
    pub(super) fn announce(&mut self, checkpoint: Checkpoint, cx: &mut Cx<'_>) {
        let vote = cx.sign(checkpoint);
        self.volatile.outbox.push(Message::Checkpoint(vote.clone()));
        // Our own vote.
        if !self.voiced {
            self.count_checkpoint(&vote, cx);
        }
    }

    /// Another replica has executed up to a checkpoint.
    pub(super) fn on_checkpoint(&mut self, vote: &Signed<Checkpoint>, cx: &mut Cx<'_>) {
        let height = vote.body().height;
        let due = height.is_multiple_of(self.config.checkpoint_interval);
        let ours = self.views.own(vote.body());
        if !due || !ours || !vote.verify(cx.keyring()) {
            return;
        }
        if self.in_window(height) {
            self.count_checkpoint(vote, cx);
        } else if height > self.durable.records.low() {
            self.note_ahead(vote.by(), cx);
        } else if let Some(last) = self.durable.stable.last_mut() {
            // Late votes still tell who has come this far.
            last.add(vote, &self.setup.committee);
        }
    }

    fn count_checkpoint(&mut self, vote: &Signed<Checkpoint>, cx: &mut Cx<'_>) {
        let height = vote.body().height;
        let tally = self.volatile.checkpoints.entry(height).or_default();
        match tally.count(vote, &self.setup.committee) {
            Counted::Fresh(votes) if votes >= self.quorum => {
                let certificate = tally.certificate(vote.body()).cloned();
                self.on_stable(certificate.expect("it has just been counted"), cx);
            }
            Counted::Conflict => self.accuse(vote.by(), cx),
            Counted::Fresh(_) | Counted::Repeated | Counted::Stranger => {}
        }
    }

    /// A checkpoint is proven to be stable. The caller has verified the proof.
    pub(super) fn on_stable(&mut self, certificate: Certificate<Checkpoint>, cx: &mut Cx<'_>) {
        let checkpoint = *certificate.body();
        if checkpoint.height <= self.durable.records.low() {
            return;
        }
        if self.volatile.marks.contains(&checkpoint) {
            self.stabilise(certificate, cx);
        } else if checkpoint.height > self.volatile.executed {
            let known = self.volatile.target.as_ref();
            if known.is_none_or(|known| known.body().height < checkpoint.height) {
                self.volatile.target = Some(certificate);
            }
            self.expect_catching_up(cx);
        } else {
            // Only more liars than the protocol tolerates certify another chain than ours.
            cx.report(Report::Reached("certified-chain-differs"));
        }
    }

    /// Raises the low watermark to a checkpoint this replica has executed.
    fn stabilise(&mut self, certificate: Certificate<Checkpoint>, cx: &mut Cx<'_>) {
        let low = certificate.body().height;
        self.durable.records.forget(low);
        self.volatile.marks.retain(|mark| mark.height > low);
        self.durable.stable.push(certificate);
        self.volatile.ballots.forget(low);
        self.volatile.checkpoints.retain(|height, _| *height > low);
        self.volatile.dirty = true;
        let reached = |c: &Certificate<Checkpoint>| c.body().height <= low;
        if self.volatile.target.as_ref().is_some_and(reached) {
            self.volatile.target = None;
        }
        self.volatile.ahead.clear();
        self.propose(cx);
    }

    /// A target may have been reached by execution.
    pub(super) fn check_target(&mut self, cx: &mut Cx<'_>) {
        let executed = self.volatile.executed;
        let reached = |c: &&Certificate<Checkpoint>| c.body().height <= executed;
        if self.volatile.target.as_ref().filter(reached).is_some()
            && let Some(certificate) = self.volatile.target.take()
        {
            self.on_stable(certificate, cx);
        }
    }
}
