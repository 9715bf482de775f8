//! What the committee has decided reaches the groups: each leader hands it to its members, who
//! keep it, say so, and apply it once a majority has it. Who has missed a block asks for it.

use std::sync::Arc;

use super::config::Mutant;
use super::message::{Delivery, GroupBlock, Message, Proven};
use super::{Cx, Krbft, Timer};
use crate::base::crypto::{Certificate, Digest};
use crate::base::node::{Committee, NodeId, PositionSet};
use crate::chain::{Batch, Height};
use crate::protocol::{Decision, Input, Protocol, Report, pbft};

/// A block on its way to the members.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    batch: Batch,
    /// Whose majority is to have it.
    members: Committee,
    /// Who has it on disk, by position among them.
    holds: PositionSet,
}

/// A block that a member has on disk and has not applied.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    block: Proven,
    digest: Digest,
    /// Whether a majority of the group has it.
    committed: bool,
}

/// Blocks in one answer at most.
const ANSWER_MAX: u64 = 32;
/// Blocks that a member keeps before it applies them, at most.
const STORED_MAX: usize = 1_024;

impl Krbft {
    /// The committee has decided: this leader applies it and hands it to its group.
    pub(super) fn decided(
        &mut self,
        decision: &Decision,
        proof: Option<Certificate<pbft::Vote>>,
        cx: &mut Cx<'_>,
    ) {
        let batch = &decision.batch;
        let height = &self.base().saturating_add(decision.height);
        let digest = batch.digest();
        let block = Proven {
            batch: batch.clone(),
            proof: proof.map(Arc::new).filter(|_| self.config.carries()),
        };
        self.apply(*height, &block, cx);
        if self.config.supervision {
            // A leader that forgot what it has said of a place might be made to contradict itself.
            cx.persist();
        }
        let statement = cx.sign(Delivery {
            group: self.mine as u64,
            height: *height,
            digest,
            proof: block.proof.as_ref().map(|proof| proof.digest()),
        });
        let message = self.bound(Message::GroupBlock(Box::new(GroupBlock {
            statement,
            view: self.volatile.view,
            block,
        })));
        cx.broadcast(&self.audience, message);
        let mut holds = PositionSet::new();
        holds.insert(self.position);
        let spread = Spread {
            batch: batch.clone(),
            members: self.members().clone(),
            holds,
        };
        self.volatile.spreads.insert(*height, spread);
        if self.volatile.spreads.len() > STORED_MAX {
            self.volatile.spreads.pop_first();
        }
    }

    /// Executes a block and keeps its proof for those who miss it.
    fn apply(&mut self, height: Height, block: &Proven, cx: &mut Cx<'_>) {
        cx.decide(height, &block.batch);
        self.durable
            .memory
            .executed(height.saturating_sub(self.base()));
        if let Some(proof) = &block.proof {
            self.durable.proofs.insert(height, proof.clone());
        }
        self.progressed(&block.batch, cx);
    }

    /// Whether somebody leads this replica's group.
    pub(super) fn is_leader(&self, node: NodeId) -> bool {
        self.volatile.seated.is_none() && self.group.status().leader == Some(node)
    }

    /// Whether a block may be applied on the word of `from`.
    fn is_proven(&self, height: Height, block: &Proven, from: NodeId, cx: &Cx<'_>) -> bool {
        if !self.demands_proof() {
            return self.is_leader(from);
        }
        let digest = block.batch.digest();
        let proof = block.proof.as_ref();
        proof.is_some_and(|proof| self.is_certified(height, &digest, proof, cx))
    }

    /// Whether a leader's word is not enough.
    pub(super) fn demands_proof(&self) -> bool {
        self.config.carries() && !self.config.broken(Mutant::FollowersTrustLeader)
    }

    /// Whether a certificate proves that the committee has put this batch at this height.
    pub(super) fn is_certified(
        &self,
        height: Height,
        digest: &Digest,
        proof: &Certificate<pbft::Vote>,
        cx: &Cx<'_>,
    ) -> bool {
        let epoch = self.config.epoch_of(height);
        let seats = self.seats_of(epoch);
        let keyring = cx.keyring().with_seats(seats.clone());
        let place = height.saturating_sub(self.config.base(epoch));
        self.config.views(epoch).contains(proof.body().view)
            && pbft::verify_decision(proof, &seats.committee(), &keyring) == Some((place, *digest))
    }

    /// A leader hands over a block.
    pub(super) fn on_group_block(&mut self, from: NodeId, told: &GroupBlock, cx: &mut Cx<'_>) {
        let statement = told.statement.body();
        let digest = told.block.batch.digest();
        let proof = told.block.proof.as_ref().map(|proof| proof.digest());
        let genuine = told.statement.by() == from
            && (statement.digest, statement.proof) == (digest, proof)
            && told.statement.verify(cx.keyring());
        if !genuine {
            return;
        }
        let certified = self.judge_block(told, cx);
        if certified || !self.demands_proof() {
            self.compare(from, told, cx);
        }
        if !self.is_leader(from) || statement.group != self.mine as u64 {
            return;
        }
        let height = statement.height;
        self.volatile.view = told.view;
        if height > Self::height(cx) {
            if self.demands_proof() && !certified {
                cx.report(Report::Reached("refuses an uncertified block"));
                return;
            }
            if self.volatile.stored.len() < STORED_MAX {
                let stored = Stored {
                    block: told.block.clone(),
                    digest,
                    committed: false,
                };
                if self.volatile.stored.insert(height, stored).is_none() {
                    self.doubt_leader(&told.block, cx);
                }
            }
            cx.persist();
        }
        cx.send(from, Message::GroupAck { height, digest });
    }

    /// A member has a block on disk.
    pub(super) fn on_group_ack(
        &mut self,
        from: NodeId,
        (height, digest): (Height, Digest),
        cx: &mut Cx<'_>,
    ) {
        let Some(spread) = self.volatile.spreads.get_mut(&height) else {
            return;
        };
        let members = spread.members.clone();
        let low = usize::from(self.config.broken(Mutant::GroupAckMinority));
        let (majority, position) = (members.majority() - low, members.position(from));
        let Some(position) = position else {
            return;
        };
        if spread.batch.digest() != digest || !spread.holds.insert(position) {
            return;
        }
        if spread.holds.len() >= majority {
            let told = spread.batch.clone();
            self.volatile.spreads.remove(&height);
            let message = Message::GroupCommit {
                height,
                digest,
                told,
            };
            cx.broadcast(&members, message);
        }
    }

    /// A majority of the group has a block on disk.
    pub(super) fn on_group_commit(
        &mut self,
        from: NodeId,
        (height, digest): (Height, Digest),
        cx: &mut Cx<'_>,
    ) {
        if !self.is_leader(from) || height <= Self::height(cx) {
            return;
        }
        if let Some(stored) = self.volatile.stored.get_mut(&height)
            && stored.digest == digest
        {
            stored.committed = true;
        }
        self.apply_committed(cx);
    }

    /// Applies what a majority of the group has, in order.
    fn apply_committed(&mut self, cx: &mut Cx<'_>) {
        loop {
            let next = Self::height(cx) + 1;
            if self.config.epoch_of(next) > self.durable.epoch {
                break;
            }
            let ready = self.volatile.stored.get(&next);
            let Some(block) = ready.filter(|s| s.committed).map(|s| s.block.clone()) else {
                break;
            };
            self.apply(next, &block, cx);
            self.volatile.stored.remove(&next);
        }
    }

    /// Asks for what was missed.
    pub(super) fn fetch(&mut self, from: NodeId, cx: &mut Cx<'_>) {
        if !std::mem::replace(&mut self.volatile.fetching, true) {
            let above = Self::height(cx);
            cx.send(from, Message::GroupFetch { above });
            cx.set_timer(Timer::Fetch, self.config.fetch_timeout);
        }
    }

    /// Nobody answered, or not with what was asked for: somebody else is asked.
    pub(super) fn on_fetch_timeout(&mut self, cx: &mut Cx<'_>) {
        self.volatile.fetching = false;
        let overtaken = std::mem::take(&mut self.volatile.overtaken) || self.is_short(cx);
        let behind = self.volatile.seated.is_none() && self.was_told_in_vain(cx);
        if (behind || overtaken) && self.config.carries() {
            let all = self.setup.committee.members();
            let others: Vec<NodeId> = all.iter().copied().filter(|n| *n != cx.me()).collect();
            self.volatile.turn += 1;
            self.fetch(others[self.volatile.turn % others.len()], cx);
        }
    }

    /// Whether a leader has said, since this was last asked, that it is further than this replica.
    fn was_told_in_vain(&mut self, cx: &Cx<'_>) -> bool {
        let height = Self::height(cx);
        let mut heard = self.volatile.heard.values_mut();
        let ahead = heard.find(|heard| heard.height > height && !heard.vain);
        ahead.map(|heard| heard.vain = true).is_some()
    }

    /// Somebody has missed something.
    pub(super) fn on_group_fetch(&self, from: NodeId, above: Height, cx: &mut Cx<'_>) {
        let height = Self::height(cx);
        let last = height.min(above.saturating_add(ANSWER_MAX));
        let blocks = (above.saturating_add(1)..=last).map_while(|height| {
            let batch = cx.ledger().block(height)?.batch.clone();
            let proof = self.durable.proofs.get(&height).cloned();
            let shown = proof.is_some() || !self.config.carries();
            shown.then_some(Proven { batch, proof })
        });
        let blocks: Vec<Proven> = blocks.collect();
        if !blocks.is_empty() {
            let answer = Message::GroupBlocks {
                above,
                height,
                blocks,
            };
            cx.send(from, answer);
        }
    }

    /// What was missed arrives.
    pub(super) fn on_group_blocks(
        &mut self,
        from: NodeId,
        (above, last, blocks): (Height, Height, &[Proven]),
        cx: &mut Cx<'_>,
    ) {
        let seated = self.volatile.seated.is_some();
        if seated && !(self.config.regroups() && self.volatile.fetching) {
            return;
        }
        let before = Self::height(cx);
        for (place, block) in (1..).zip(blocks) {
            let height = above.saturating_add(place);
            if height != Self::height(cx) + 1 {
                continue;
            }
            // The next epoch begins before its first block.
            if self.config.epoch_of(height) > self.durable.epoch {
                break;
            }
            if !self.is_proven(height, block, from, cx) {
                cx.report(Report::Reached("refuses an uncertified block"));
                break;
            }
            self.apply(height, block, cx);
        }
        let height = Self::height(cx);
        self.volatile.stored.retain(|place, _| *place > height);
        self.apply_committed(cx);
        if height > before {
            cx.persist();
            self.volatile.fetching = false;
            cx.cancel_timer(Timer::Fetch);
            if last > Self::height(cx) {
                self.fetch(from, cx);
            }
            if seated {
                self.run_committee(Input::Start, cx);
            }
        }
    }
}
