//! How the chain reaches every node: the upper group sends each large block, with the certificate
//! that makes it final, to everybody outside; who misses one asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::head::{Head, large_of, signed_digest};
use super::register::views_of;
use super::{Cx, Mbft, Message, Mutant, Published, Role, Timer};
use crate::base::crypto::Certificate;
use crate::base::node::{Committee, NodeId, PositionSet};
use crate::chain::{Batch, Height, Transaction};
use crate::protocol::pbft::{self, Decided};
use crate::protocol::{Input, Report};

/// What a crash makes a node forget of following the chain.
#[derive(Clone, Debug, Default)]
pub(super) struct Follow {
    /// Blocks that came before the ones they follow.
    ahead: BTreeMap<Height, Published>,
    /// Whether the timer runs after which a gap is asked for.
    gap: bool,
    /// Whom to ask next.
    turn: usize,
}

/// Blocks kept that came too early, and blocks in one answer.
const AHEAD_MAX: u64 = 64;
const ANSWER_MAX: usize = 32;

impl Mbft {
    /// The next block is certain: it becomes part of the chain, and whatever depends on it goes on.
    pub(super) fn extend(&mut self, batch: &Batch, published: Option<Published>, cx: &mut Cx<'_>) {
        let height = self.volatile.register.height + 1;
        let audience = self.audience_of(height, cx);
        self.keep_past();
        cx.decide(height, batch);
        let head = cx.ledger().head().cloned();
        let block = head.expect("a block was just decided");
        let (epoch, active) = self.shards();
        let events = self.volatile.register.apply(&block);
        for event in events {
            cx.report(Report::Reached(event));
        }
        if epoch != self.volatile.register.roles.epoch {
            let drawn = Box::new(self.volatile.register.drawn());
            cx.report(Report::Shared(drawn));
        }
        if let Some(published) = &published {
            self.durable.proofs.insert(height, published.proof.clone());
            self.note_view(published.proof.body().view);
        }
        let missed = self.shelve(batch);
        cx.persist();
        if let Some(published) = published.filter(|_| !audience.is_empty()) {
            let published = self.as_published(published);
            cx.broadcast(&Committee::new(audience), Message::Large(published));
        }
        if missed {
            self.ask_for_bodies(cx);
        }
        cx.set_timer(Timer::Quiet, self.config.quiet);
        let mut homeless = Vec::new();
        if epoch == self.volatile.register.roles.epoch {
            self.group_follows(batch, cx);
        } else {
            homeless = self.hand_over(cx);
        }
        let said = large_of(batch).map_or(&[][..], |large| &large.system);
        self.forget_statements(said);
        self.upper_follows(cx);
        if (epoch, active) != self.shards() {
            homeless.extend(self.volatile.desk.mempool.drain());
            self.deal_again(&homeless, cx);
        }
        self.watch_entry(cx);
        self.do_duties(cx);
    }

    /// What decides which group a transaction belongs to.
    fn shards(&self) -> (u32, Vec<u16>) {
        let register = &self.volatile.register;
        (register.roles.epoch, register.active.clone())
    }

    /// The epoch has ended: takes up the next role. What was certified and not included is void,
    /// and its transactions wait again.
    fn hand_over(&mut self, cx: &mut Cx<'_>) -> Vec<Arc<Transaction>> {
        let waiting = self.retire_from_group(cx);
        self.take_role();
        self.found_upper(cx);
        waiting
    }

    /// To whom this node sends the next block, if it agrees on it.
    fn audience_of(&self, height: Height, cx: &Cx<'_>) -> Vec<NodeId> {
        let roles = &self.volatile.register.roles;
        let position = self.durable.upper.as_ref();
        let position = position.and_then(|_| roles.upper.position(cx.me()));
        position.map_or(Vec::new(), |position| {
            roles.audience(position, height, &self.absent(height))
        })
    }

    /// The members of the upper group that did not commit to the block before: others speak for
    /// them.
    fn absent(&self, height: Height) -> PositionSet {
        let mut absent = PositionSet::new();
        let Some(upper) = &self.durable.upper else {
            return absent;
        };
        let before = (height - upper.base).saturating_sub(1);
        if let Some(proof) = upper.pbft.proof_of(before) {
            let members = 0..self.volatile.register.roles.upper.n();
            for silent in members.filter(|member| !proof.positions().contains(*member)) {
                absent.insert(silent);
            }
        }
        absent
    }

    /// The upper group, or one of it, sends a block.
    pub(super) fn on_large(&mut self, published: &Published, cx: &mut Cx<'_>) {
        if self.durable.upper.is_some() {
            return;
        }
        let register = &self.volatile.register;
        let height = match large_of(&published.batch) {
            Some(large) => large.height,
            None => register
                .epoch_base()
                .saturating_add(published.proof.body().height),
        };
        if height == register.height + 1 {
            self.take_over(published, cx);
        } else if height > register.height && height <= register.height + AHEAD_MAX {
            self.volatile.follow.ahead.insert(height, published.clone());
            if !self.volatile.follow.gap {
                self.volatile.follow.gap = true;
                cx.set_timer(Timer::Gap, self.config.publish_timeout);
            }
        }
    }

    /// Takes over the next block if it is proven, and those that were waiting for it.
    fn take_over(&mut self, published: &Published, cx: &mut Cx<'_>) -> bool {
        let published = &self.as_kept(published);
        if !self.is_final(published, cx) {
            cx.report(Report::Reached("refuses-large-block"));
            return false;
        }
        self.extend(&published.batch, Some(published.clone()), cx);
        while self.durable.upper.is_none() {
            let next = self.volatile.register.height + 1;
            let Some(waiting) = self.volatile.follow.ahead.remove(&next) else {
                break;
            };
            let waiting = self.as_kept(&waiting);
            if !self.is_final(&waiting, cx) {
                break;
            }
            self.extend(&waiting.batch, Some(waiting.clone()), cx);
        }
        // Whoever has come into the upper group is sent no blocks from outside any more.
        let outside = self.durable.upper.is_none();
        let height = self.volatile.register.height;
        self.volatile
            .follow
            .ahead
            .retain(|ahead, _| outside && *ahead > height);
        if self.volatile.follow.ahead.is_empty() && self.volatile.follow.gap {
            self.volatile.follow.gap = false;
            cx.cancel_timer(Timer::Gap);
        }
        true
    }

    /// Whether a block is the next one: the upper group of its epoch has committed to it here.
    fn is_final(&self, published: &Published, cx: &Cx<'_>) -> bool {
        if self.mutant(Mutant::NoUpperCertificate) {
            return true;
        }
        let next = self.volatile.register.height + 1;
        let upper = self.volatile.register.upper_at(next);
        let proven = upper.settles(&published.proof, cx.keyring());
        let own_kind = published.batch.annex::<Head>().is_none() || self.keeps_heads();
        own_kind && proven == Some((next, signed_digest(&published.batch)))
    }

    /// The upper group has decided in this view, maybe that of an epoch which is over.
    pub(super) fn note_view(&mut self, view: u64) {
        let first = views_of(self.volatile.register.roles.epoch).first;
        self.volatile.table.view = view.max(first);
    }

    /// Blocks came whose predecessors did not.
    pub(super) fn on_gap(&mut self, cx: &mut Cx<'_>) {
        self.volatile.follow.gap = false;
        if !self.volatile.follow.ahead.is_empty() {
            self.ask_for_blocks(cx);
            self.volatile.follow.gap = true;
            cx.set_timer(Timer::Gap, self.config.publish_timeout);
        }
    }

    /// Nothing came for a while: there may be something that this node has missed.
    pub(super) fn on_quiet(&mut self, cx: &mut Cx<'_>) {
        cx.set_timer(Timer::Quiet, self.config.quiet);
        self.ask_for_blocks(cx);
    }

    /// Asks a member of the upper group, each time another, and in turn somebody else.
    pub(super) fn ask_for_blocks(&mut self, cx: &mut Cx<'_>) {
        let roles = &self.volatile.register.roles;
        let upper = roles.upper.members();
        let turn = self.volatile.follow.turn;
        self.volatile.follow.turn += 1;
        let own = cx.me().index();
        let somebody = NodeId::at((own + 1 + turn / 4) % roles.n());
        // The turns of others do not count, or some members would never have one.
        let member = upper[(own + 1 + turn - turn / 4) % upper.len()];
        let others = turn % 4 == 3 || member == cx.me();
        let whom = if others { somebody } else { member };
        self.fetch_from(whom, cx);
    }

    /// Asks one node for what follows the height reached here.
    pub(super) fn fetch_from(&self, whom: NodeId, cx: &mut Cx<'_>) {
        if whom != cx.me() {
            let above = self.volatile.register.height;
            cx.send(whom, Message::Fetch { above });
        }
    }

    /// A node lacks what follows a height.
    pub(super) fn on_fetch(&mut self, from: NodeId, above: Height, cx: &mut Cx<'_>) {
        let blocks =
            (above.saturating_add(1)..=self.volatile.register.height).map_while(|height| {
                let block = cx.ledger().block(height)?;
                Some(Published {
                    batch: block.batch.clone(),
                    proof: self.durable.proofs.get(&height)?.clone(),
                })
            });
        let blocks = blocks.take(ANSWER_MAX);
        let outside = self.volatile.register.roles.of(from) != Role::Upper;
        if self.keeps_heads() && !outside {
            return;
        }
        let end = self.end_for(from, above.saturating_add(ANSWER_MAX as u64), cx);
        let blocks = blocks.chain(end);
        let blocks: Vec<Published> = match self.is_sparse() && outside {
            true => blocks.map(|block| self.as_published(block)).collect(),
            false => blocks.collect(),
        };
        if !blocks.is_empty() {
            cx.send(from, Message::Blocks(blocks));
        }
    }

    /// The last block of an epoch that is over, for a member of its upper group who comes to a
    /// height before it with what it is sent besides: it has to know that the epoch is over,
    /// because nobody speaks to its PBFT any more.
    fn end_for(&self, from: NodeId, height: Height, cx: &Cx<'_>) -> Option<Published> {
        let end = self.volatile.register.end_of(height, from)?;
        Some(Published {
            batch: cx.ledger().block(end)?.batch.clone(),
            proof: self.durable.proofs.get(&end)?.clone(),
        })
    }

    /// Somebody sends what this node lacks.
    pub(super) fn on_blocks(&mut self, from: NodeId, blocks: &[Published], cx: &mut Cx<'_>) {
        let mut grown = false;
        for (at, published) in blocks.iter().enumerate() {
            let height = match large_of(&published.batch) {
                Some(large) => large.height,
                None => continue,
            };
            if height != self.volatile.register.height + 1 {
                continue;
            }
            if self.durable.upper.is_some() && self.is_outrun(blocks, cx) {
                let epoch = self.volatile.register.roles.epoch;
                (self.durable.upper, self.durable.outrun) = (None, Some(epoch));
            }
            if self.durable.upper.is_some() {
                self.feed_upper(from, &blocks[at..], cx);
                return;
            }
            if !self.take_over(published, cx) {
                return;
            }
            grown = true;
        }
        if grown && blocks.len() >= ANSWER_MAX {
            let above = self.volatile.register.height;
            cx.send(from, Message::Fetch { above });
        }
    }

    /// Gives blocks of the present epoch to its PBFT, which looks at their certificates itself.
    fn feed_upper(&mut self, from: NodeId, blocks: &[Published], cx: &mut Cx<'_>) {
        let above = self.volatile.register.height - self.volatile.register.epoch_base();
        let decided = |published: &Published| Decided {
            batch: published.batch.clone(),
            proof: Some(Certificate::clone(&published.proof)),
        };
        let blocks = pbft::Blocks {
            height: above + blocks.len() as u64,
            above,
            blocks: blocks.iter().map(decided).collect(),
            ..pbft::Blocks::default()
        };
        let message = &pbft::Message::Blocks(Box::new(blocks));
        self.run_upper(Input::Deliver { from, message }, cx);
    }

    /// Whether the last block of the present epoch is among these: its PBFT has ended without this
    /// node, which follows from outside from then on. Only the certificate says so: whoever is not
    /// outrun would leave the others alone with the epoch.
    fn is_outrun(&self, blocks: &[Published], cx: &Cx<'_>) -> bool {
        let register = &self.volatile.register;
        let Some(end) = register.epoch_end() else {
            return false;
        };
        let (reign, place) = (register.upper_at(end), end - register.epoch_base());
        let mut last = blocks.iter().filter(|b| b.proof.body().height == place);
        last.any(|block| {
            let settled = reign.settles(&block.proof, cx.keyring());
            settled == Some((end, signed_digest(&block.batch)))
        })
    }
}
