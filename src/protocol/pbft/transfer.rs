//! State transfer: how a replica that is behind learns of it, asks, and believes only proofs.

use std::sync::Arc;

use crate::base::crypto::{Certificate, Digest, Signed};
use crate::base::node::NodeId;
use crate::base::time::Span;
use crate::chain::Height;

use super::log::Stage;
use super::message::{Blocks, Checkpoint, Decided, Fetch, Message, NewView, Phase, Vote};
use super::ordering::extend_chain;
use super::{Cx, Mutant, Pbft, Timer};

/// Blocks that are sent at once even if there are checkpoints between them: whoever got them one by
/// one might never catch up.
const AT_ONCE: u64 = 16;

impl Pbft {
    /// Keeps a message of a view not entered yet. If so many speak in one that an honest one does,
    /// its NEW-VIEW may have been lost.
    #[cold]
    pub(super) fn keep_early(
        &mut self,
        from: NodeId,
        view: u64,
        message: &Message,
        cx: &mut Cx<'_>,
    ) {
        let entered = self.durable.change.is_none();
        if view < self.durable.view || (view == self.durable.view && entered) {
            return;
        }
        if let Some(position) = self.setup.committee.position(from) {
            // Three messages for each place between the watermarks.
            let quota = u32::try_from(3 * self.config.window).unwrap_or(u32::MAX);
            self.volatile.early.keep(position, view, message, quota);
            if self.is_overtaken() {
                self.expect_catching_up(cx);
            }
        }
    }

    /// Whether members are in later views, so many that one of them is honest.
    fn is_overtaken(&self) -> bool {
        let enough = self.setup.committee.one_honest();
        self.volatile.early.senders() >= enough && !self.mutant(Mutant::DeafToLaterViews)
    }

    /// A member speaks of places above our high watermark: if enough do, we are behind.
    #[cold]
    pub(super) fn note_ahead(&mut self, from: NodeId, cx: &mut Cx<'_>) {
        let Some(position) = self.setup.committee.position(from) else {
            return;
        };
        let fresh = self.volatile.ahead.insert(position);
        if fresh && self.volatile.ahead.len() >= self.setup.committee.one_honest() {
            self.expect_catching_up(cx);
        }
    }

    /// Gives the normal case some time; whoever is still behind then asks.
    pub(super) fn expect_catching_up(&mut self, cx: &mut Cx<'_>) {
        if !self.volatile.asking {
            self.volatile.asking = true;
            cx.set_timer(Timer::CatchUp, self.catch_up_pause());
        }
    }

    fn catch_up_pause(&self) -> Span {
        Span::from_nanos(self.config.view_timeout.nanos() / 2)
    }

    /// Time to ask, or to ask somebody else.
    pub(super) fn on_catch_up(&mut self, cx: &mut Cx<'_>) {
        self.volatile.asking = false;
        if self.is_behind() {
            self.ask(cx);
            self.expect_catching_up(cx);
            return;
        }
        while let Some((source, height, view)) = self.volatile.sources.pop_front() {
            if height > self.volatile.executed || view > self.known_view() {
                self.fetch_from(source, cx);
                self.expect_catching_up(cx);
                return;
            }
        }
    }

    /// Asks members in turn, twice as many each time in vain.
    pub fn ask(&mut self, cx: &mut Cx<'_>) {
        let n = self.setup.committee.n();
        self.volatile.asked = (self.volatile.asked * 2).clamp(1, n);
        for _ in 0..self.volatile.asked {
            let member = self.next_in_turn();
            if member != self.setup.me {
                self.fetch_from(member, cx);
            }
        }
    }

    /// One member after the other, beginning with the one after this replica.
    pub(super) fn next_in_turn(&mut self) -> NodeId {
        let committee = &self.setup.committee;
        let own = committee.position(self.setup.me).unwrap_or(0);
        self.volatile.turn = (self.volatile.turn + 1) % committee.n();
        committee.members()[(own + self.volatile.turn) % committee.n()]
    }

    /// Asks one member for everything this replica lacks.
    pub(super) fn fetch_from(&mut self, member: NodeId, cx: &mut Cx<'_>) {
        let fetch = Fetch {
            above: self.volatile.executed,
            low: self.durable.records.low(),
            view: self.known_view(),
            batches: self.missing(),
        };
        cx.send(member, Message::Fetch(fetch));
    }

    /// The last view this replica entered, which it can prove.
    fn known_view(&self) -> u64 {
        let proof = self.durable.new_view.as_ref();
        proof.map_or(self.views.first, |proof| proof.body().view)
    }

    /// Whether the others are certainly further: a certificate says so, or so many that one of
    /// them is honest.
    pub(super) fn is_behind(&self) -> bool {
        self.volatile.target.is_some()
            || self.volatile.ahead.len() >= self.setup.committee.one_honest()
            || self.is_overtaken()
    }

    /// Batches known by their digest only.
    pub(super) fn missing(&self) -> Vec<(Height, Digest)> {
        let records = self.durable.records.iter();
        let unexecuted = records.filter(|(height, _)| *height > self.volatile.executed);
        unexecuted
            .filter_map(|(height, record)| Some((height, record.missing()?)))
            .collect()
    }

    /// Tells everybody how far this replica is, and asks the same.
    pub(super) fn ask_all(&mut self) {
        self.volatile.outbox.push(Message::Status {
            height: self.volatile.executed,
            view: self.known_view(),
            ask: true,
        });
    }

    /// Whether it is on this replica to look after a member: f+1 replicas look after each.
    pub(super) fn guards(&self, member: NodeId) -> bool {
        let committee = &self.setup.committee;
        let (Some(own), Some(theirs)) = (
            committee.position(self.setup.me),
            committee.position(member),
        ) else {
            return false;
        };
        let distance = (own + committee.n() - theirs) % committee.n();
        (1..=committee.one_honest()).contains(&distance)
    }

    /// Nothing was executed for a while: looks whether the members it looks after have come this
    /// far, and tells those that may not have.
    pub(super) fn on_status_due(&mut self, cx: &mut Cx<'_>) {
        let mut missing = Vec::new();
        for (position, member) in self.setup.committee.members().iter().enumerate() {
            if self.guards(*member) && !self.is_level(position) {
                missing.push(*member);
            }
        }
        if missing.is_empty() {
            return;
        }
        cx.set_timer(Timer::Status, self.config.view_timeout * 2);
        for member in missing {
            self.tell(member, true, cx);
        }
    }

    /// Whether a member is known to have come as far as this replica.
    fn is_level(&self, position: usize) -> bool {
        let executed = self.volatile.executed;
        let record = self.durable.records.get(executed);
        let committed = record.and_then(|record| record.decided());
        let stable = self.durable.stable.last();
        let stable = stable.filter(|certificate| certificate.body().height == executed);
        self.volatile.level.contains(position)
            || committed.is_some_and(|proof| proof.positions().contains(position))
            || stable.is_some_and(|proof| proof.positions().contains(position))
    }

    fn tell(&self, member: NodeId, ask: bool, cx: &mut Cx<'_>) {
        let status = Message::Status {
            height: self.volatile.executed,
            view: self.known_view(),
            ask,
        };
        cx.send(member, status);
    }

    /// Another replica says how far it is.
    pub(super) fn on_status(
        &mut self,
        from: NodeId,
        (height, view): (Height, u64),
        ask: bool,
        cx: &mut Cx<'_>,
    ) {
        if !self.setup.committee.contains(from) {
            return;
        }
        if height > self.volatile.executed || view > self.known_view() {
            let waiting = self.volatile.asking;
            self.expect_catching_up(cx);
            if !waiting {
                self.fetch_from(from, cx);
            } else {
                let sources = &mut self.volatile.sources;
                sources.retain(|(source, _, _)| *source != from);
                sources.push_back((from, height, view));
            }
        }
        self.note_level(from, height);
        if ask {
            self.tell(from, false, cx);
        }
    }

    fn note_level(&mut self, member: NodeId, height: Height) {
        let position = self.setup.committee.position(member);
        if let Some(position) = position.filter(|_| height >= self.volatile.executed) {
            self.volatile.level.insert(position);
        }
    }

    /// Shows a member the proof of our view, if it is at least the view it wants.
    pub(super) fn show_view(&self, member: NodeId, wanted: u64, cx: &mut Cx<'_>) {
        let proof = self.durable.new_view.clone();
        if let Some(proof) = proof.filter(|proof| proof.body().view >= wanted) {
            cx.send(member, Message::NewView(proof));
        }
    }

    /// A replica that is behind asks.
    pub(super) fn on_fetch(&mut self, from: NodeId, fetch: &Fetch, cx: &mut Cx<'_>) {
        self.note_level(from, fetch.above);
        let mut answer = self.blocks_above(fetch.above, cx);
        if answer.checkpoint.is_none() {
            // Whoever has missed all votes for it takes nothing above its own high watermark.
            let stable = self.durable.stable.last();
            let unknown = fetch.low.saturating_add(1)..=fetch.above;
            let stable = stable.filter(|proof| unknown.contains(&proof.body().height));
            answer.checkpoint = stable.cloned();
        }
        let newer = |proof: &Arc<Signed<NewView>>| proof.body().view > fetch.view;
        answer.new_view = self.durable.new_view.clone().filter(newer);
        let wanted = fetch.batches.iter().take(self.config.window as usize);
        answer.batches = wanted
            .filter_map(|(height, digest)| {
                let record = self.durable.records.get(*height);
                let kept = record.and_then(|record| record.batch(digest)).cloned();
                let block = self.block_at(*height, cx);
                let executed = block.map(|block| block.batch.clone());
                let executed = executed.filter(|batch| batch.digest() == *digest);
                Some((*height, kept.or(executed)?))
            })
            .collect();
        let empty = answer.blocks.is_empty()
            && answer.checkpoint.is_none()
            && answer.new_view.is_none()
            && answer.batches.is_empty();
        if !empty {
            cx.send(from, Message::Blocks(Box::new(answer)));
        }
    }

    /// Decided blocks above a height: up to the next stable checkpoint if there is one above, and
    /// beyond it to the last of those close by; otherwise those that this replica can prove one by
    /// one.
    fn blocks_above(&self, above: Height, cx: &Cx<'_>) -> Blocks {
        let executed = self.volatile.executed;
        let ahead = |height| height > above && height <= executed;
        let stable = self.durable.stable.iter();
        let mut stable = stable.filter(|proof| ahead(proof.body().height));
        let next = stable.next();
        let near = stable.take_while(|proof| proof.body().height - above <= AT_ONCE);
        let checkpoint = near.last().or(next);
        let last = checkpoint.map_or(executed, |proof| proof.body().height);
        let mut blocks = Vec::new();
        for height in above.saturating_add(1)..=last {
            let record = self.durable.records.get(height);
            let proof = record.and_then(|record| record.decided()).cloned();
            let Some(block) = self.block_at(height, cx) else {
                break;
            };
            if proof.is_none() && checkpoint.is_none() {
                break;
            }
            let proof = proof.filter(|_| checkpoint.is_none());
            let batch = block.batch.clone();
            blocks.push(Decided { batch, proof });
        }
        Blocks {
            height: executed,
            above,
            checkpoint: checkpoint.cloned(),
            blocks,
            ..Blocks::default()
        }
    }

    /// A replica answers.
    pub(super) fn on_blocks(&mut self, from: NodeId, blocks: &Blocks, cx: &mut Cx<'_>) {
        let before = self.volatile.executed;
        for (height, batch) in &blocks.batches {
            let wanted = self.missing().contains(&(*height, batch.digest()));
            if wanted {
                self.durable.records.at(*height).keep(batch);
            }
        }
        if let Some(checkpoint) = &blocks.checkpoint {
            self.adopt_checkpoint(checkpoint, blocks, cx);
        }
        self.adopt_committed(blocks, cx);
        self.advance(cx);
        if let Some(view) = &blocks.new_view {
            self.on_new_view(view, cx);
        }
        if self.volatile.executed > before {
            self.volatile.asked = 0;
            if blocks.height > self.volatile.executed {
                self.fetch_from(from, cx);
            }
        }
    }

    /// Executes up to a proven checkpoint, if the batches are those it stands for. Whoever has come
    /// this far has its low watermark raised.
    fn adopt_checkpoint(
        &mut self,
        proof: &Certificate<Checkpoint>,
        blocks: &Blocks,
        cx: &mut Cx<'_>,
    ) {
        let checkpoint = proof.body();
        let executed = self.volatile.executed;
        let Some(known) = executed.checked_sub(blocks.above) else {
            return;
        };
        let count = checkpoint.height.saturating_sub(executed);
        let fresh = blocks
            .blocks
            .iter()
            .skip(usize::try_from(known).unwrap_or(usize::MAX));
        let fresh: Vec<&Decided> = fresh.take(usize::try_from(count).unwrap_or(0)).collect();
        let chain = fresh.iter().fold(self.volatile.chain, |chain, block| {
            extend_chain(&chain, &block.batch.digest())
        });
        if fresh.len() as u64 != count
            || (count > 0 && chain != checkpoint.chain)
            || !self.views.own(checkpoint)
            || !checkpoint
                .height
                .is_multiple_of(self.config.checkpoint_interval)
            || !proof.verify(&self.setup.committee, self.quorum, cx.keyring())
        {
            return;
        }
        for block in &fresh {
            self.execute(&block.batch, cx);
        }
        self.on_stable(proof.clone(), cx);
        if !fresh.is_empty() {
            self.progressed(cx);
        }
    }

    /// Whoever proposed one batch here and committed another in the same view has lied.
    fn compare_committed(&mut self, proof: &Certificate<Vote>, cx: &mut Cx<'_>) {
        let committed = proof.body();
        let record = self.durable.records.get(committed.height);
        let Some(accepted) = record.and_then(|record| record.accepted.as_ref()) else {
            return;
        };
        let (leader, proposed) = (accepted.by(), accepted.body());
        let position = self.setup.committee.position(leader);
        let signed = position.is_some_and(|position| proof.positions().contains(position));
        if signed && proposed.view == committed.view && proposed.digest != committed.digest {
            self.accuse(leader, cx);
        }
    }

    /// Takes over blocks that each come with a quorum of commits.
    fn adopt_committed(&mut self, blocks: &Blocks, cx: &mut Cx<'_>) {
        for (place, block) in (1..).zip(&blocks.blocks) {
            let height = blocks.above.saturating_add(place);
            let Some(proof) = &block.proof else {
                return;
            };
            if height <= self.volatile.executed {
                continue;
            }
            let body = proof.body();
            let fits = body.phase == Phase::Commit
                && body.height == height
                && body.digest == block.batch.digest()
                && self.views.contains(body.view)
                && self.in_window(height);
            if !fits || !proof.verify(&self.setup.committee, self.commit_quorum, cx.keyring()) {
                return;
            }
            self.compare_committed(proof, cx);
            let record = self.durable.records.at(height);
            record.keep(&block.batch);
            if record.decided().is_none() {
                record.proof = Some(proof.clone());
            }
            if self.volatile.active == Some(body.view) {
                self.volatile.ballots.at(height).stage = Stage::Committed;
            }
        }
    }
}
