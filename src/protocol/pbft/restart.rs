//! Return from a crash: everything volatile is made from what is durable, and nothing is said that
//! contradicts what was said before.

use crate::base::crypto::{Certificate, Digest};
use crate::chain::Height;

use super::log::{Places, Stage};
use super::message::{Message, Phase, Vote};
use super::ordering::extend_chain;
use super::{Cx, Mutant, Pbft, Timer, Volatile};

impl Pbft {
    /// Boot, or return from a crash: everything volatile is made from what is durable.
    pub(super) fn on_start(&mut self, cx: &mut Cx<'_>) {
        let low = self.durable.records.low();
        let again = u64::from(self.mutant(Mutant::ReExecute));
        let executed = cx.ledger().height().saturating_sub(self.base + again);
        let mut stable = self.durable.stable.iter().map(Certificate::body);
        let from = stable.rfind(|checkpoint| checkpoint.height <= executed);
        let mut chain = from.map_or(Digest::ZERO, |checkpoint| checkpoint.chain);
        // Whoever goes on where another has stopped has executed checkpoints that it never told.
        let mut marks = Vec::new();
        for height in from.map_or(1, |checkpoint| checkpoint.height + 1)..=executed {
            let block = self.block_at(height, cx).expect("the ledger has no gap");
            let batch = block.batch.digest();
            chain = extend_chain(&chain, &batch);
            if height > low && height.is_multiple_of(self.config.checkpoint_interval) {
                let decided = if self.nested { batch } else { block.digest };
                marks.push(self.checkpoint(height, chain, decided));
            }
        }
        self.volatile = Volatile {
            active: Some(self.durable.view),
            executed,
            chain,
            marks,
            ballots: Places::above(low),
            ..Volatile::default()
        };
        if self.durable.booted {
            self.resume(cx);
        } else {
            self.durable.booted = true;
            self.volatile.next = executed + 1;
            self.report_view(cx);
        }
    }

    /// Returns from a crash to where the durable part stands.
    fn resume(&mut self, cx: &mut Cx<'_>) {
        let executed = self.volatile.executed;
        for mark in self.volatile.marks.clone() {
            self.announce(mark, cx);
        }
        if let Some(stable) = self.durable.stable.last()
            && stable.body().height > executed
        {
            self.volatile.target = Some(stable.clone());
            self.expect_catching_up(cx);
        }
        if let Some(change) = self.durable.change.clone() {
            self.volatile.active = None;
            let again = true;
            self.volatile.outbox.push(Message::ViewChange {
                change: change.clone(),
                again,
            });
            self.gather(change, cx);
        } else {
            self.vote_again(cx);
            self.report_view(cx);
        }
        self.advance(cx);
        self.ask_all();
        // The crash took the timer with which this replica looks after others, who may lack what
        // was executed last: if nothing more is, nobody else tells them.
        if !self.mutant(Mutant::CarelessAfterCrash) {
            cx.set_timer(Timer::Status, self.config.view_timeout * 2);
        }
        self.watch(true, cx);
    }

    /// Repeats the votes of the present view, which are the same as before the crash.
    fn vote_again(&mut self, cx: &mut Cx<'_>) {
        let view = self.durable.view;
        let places: Vec<_> = self
            .durable
            .records
            .iter()
            .map(|(h, r)| (h, r.clone()))
            .collect();
        let mut last = self.durable.floor.max(self.durable.records.low());
        for (height, record) in places {
            let Some(accepted) = record.accepted.filter(|vote| vote.body().view == view) else {
                continue;
            };
            last = last.max(height);
            self.volatile.accepted = height;
            let batch = self
                .durable
                .records
                .at(height)
                .batch(&accepted.body().digest)
                .cloned();
            self.count_prepare(&accepted, cx);
            if accepted.by() != self.setup.me {
                let vote = cx.sign(*accepted.body());
                // Our own vote.
                if !self.voiced {
                    self.count_prepare(&vote, cx);
                }
                if height > self.volatile.executed {
                    self.volatile.outbox.push(Message::Prepare { vote, batch });
                }
            } else if let Some(batch) = batch
                && height > self.durable.floor
            {
                let vote = accepted.clone();
                self.volatile
                    .outbox
                    .push(Message::PrePrepare { vote, batch });
            }
            let proof = record.proof.filter(|proof| proof.body().view == view);
            if let Some(proof) = proof {
                self.prepared_again(height, proof.body(), cx);
            }
        }
        self.volatile.next = last.max(self.volatile.executed) + 1;
    }

    /// This place was prepared in the present view before the crash.
    fn prepared_again(&mut self, height: Height, proven: &Vote, cx: &mut Cx<'_>) {
        let stage = match proven.phase {
            Phase::Prepare => Stage::Prepared,
            Phase::Commit => Stage::Committed,
        };
        self.volatile.ballots.at(height).stage = stage;
        if stage == Stage::Prepared {
            self.commit(proven, cx);
            self.check_committed(height);
        }
    }
}
