//! Sparse publication: what nodes outside the upper group keep of a large block is its annex and
//! one digest of its transactions. The transactions themselves go to the group they belong to,
//! which has agreed on them, and to the upper group, which executes them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::large::{Large, MiniRef};
use super::mini::Mini;
use super::{Cx, Mbft, Message, Publish, Published, Role, Timer};
use crate::base::crypto::{DIGEST_BYTES, Digest, Hasher};
use crate::base::node::NodeId;
use crate::chain::{Annex, Batch, TransactionId};

/// A large block without its transactions: enough to verify its certificate.
#[derive(Debug)]
pub struct Head {
    /// What the upper group has written.
    pub large: Large,
    /// The digest of the transactions in their order.
    pub contents: Digest,
    /// The digest of the whole block, which follows from the two: what the upper group signs.
    whole: Digest,
}

impl Head {
    fn new(large: Large, contents: Digest) -> Self {
        let whole = Batch::digest_with(&contents, &large.digest());
        Self {
            large,
            contents,
            whole,
        }
    }

    /// A block without its transactions. What has no annex has no transactions either.
    pub fn of(batch: &Batch) -> Batch {
        let Some(large) = batch.annex::<Large>() else {
            return batch.clone();
        };
        let transactions = batch.transactions().iter().map(|t| &t.digest);
        let head = Self::new(large.clone(), Batch::digest_of(transactions, None));
        Batch::with_annex(Vec::new(), Arc::new(head))
    }

    /// The nearest other head: of a block proposed in the microsecond beside.
    pub fn twin(&self) -> Batch {
        let large = Large {
            micros: self.large.micros ^ 1,
            ..self.large.clone()
        };
        let head = Self::new(large, self.contents);
        Batch::with_annex(Vec::new(), Arc::new(head))
    }
}

impl Annex for Head {
    fn digest(&self) -> Digest {
        Hasher::new("mbft head").digest(&self.whole).finish()
    }

    fn size(&self) -> u32 {
        self.large.size().saturating_add(DIGEST_BYTES)
    }

    fn vouches(&self, _: usize) -> bool {
        false
    }
}

/// What the upper group has written into a block, with its transactions or without.
pub fn large_of(batch: &Batch) -> Option<&Large> {
    let head = || batch.annex::<Head>().map(|head| &head.large);
    batch.annex::<Large>().or_else(head)
}

/// The digest that the upper group has signed.
pub(super) fn signed_digest(batch: &Batch) -> Digest {
    batch
        .annex::<Head>()
        .map_or(batch.digest(), |head| head.whole)
}

/// The mini-blocks of its own group that a member keeps for the others.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf {
    /// By slot.
    minis: BTreeMap<u64, Arc<Mini>>,
    ids: BTreeSet<TransactionId>,
    /// Those that this member has accepted in open slots, whatever was ordered there since: one
    /// that is certified may still be included, and then whoever signed it is asked for it.
    pending: BTreeMap<(u64, Digest), Arc<Mini>>,
    /// Those that are in the chain and not here, with those who have signed them.
    missing: BTreeMap<u64, (Digest, Vec<NodeId>)>,
    /// Whom to ask next.
    turn: usize,
}

impl Shelf {
    fn put(&mut self, mini: Arc<Mini>) {
        let ids = mini.batch.transactions().iter().map(|t| t.id);
        self.ids.extend(ids);
        self.missing.remove(&mini.slot);
        self.minis.insert(mini.slot, mini);
    }

    /// Whether a transaction of the own group is in the chain, as far as its mini-blocks are here.
    pub fn has(&self, id: TransactionId) -> bool {
        self.ids.contains(&id)
    }

    /// Whether all that is in the chain is here.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty()
    }

    /// Takes out the mini-block that the chain has at a slot, if it was accepted here, and forgets
    /// those that it does not have there or before.
    fn settle(&mut self, slot: u64, digest: Digest) -> Option<Arc<Mini>> {
        let settled = self.pending.remove(&(slot, digest));
        self.pending.retain(|(pending, _), _| *pending > slot);
        settled
    }

    /// The mini-block of a digest.
    fn find(&self, digest: &Digest) -> Option<&Arc<Mini>> {
        let mut latest = self.minis.values().rev();
        latest.find(|mini| mini.digest == *digest)
    }
}

impl Mbft {
    /// Whether blocks are published without their transactions.
    pub(super) fn is_sparse(&self) -> bool {
        self.config.publish == Publish::Sparse
    }

    /// Whether this node keeps blocks without their transactions.
    pub(super) fn keeps_heads(&self) -> bool {
        self.is_sparse() && self.role() != Role::Upper
    }

    /// A block as those outside the upper group are told of it.
    pub(super) fn as_published(&self, published: Published) -> Published {
        match self.config.publish {
            Publish::Full => published,
            Publish::Sparse => Published {
                batch: Head::of(&published.batch),
                proof: published.proof,
            },
        }
    }

    /// A block as this node keeps it.
    pub(super) fn as_kept(&self, published: &Published) -> Published {
        match self.keeps_heads() {
            true => self.as_published(published.clone()),
            false => published.clone(),
        }
    }

    /// Whether a transaction is in the chain, as far as this node can tell.
    pub(super) fn has(&self, id: TransactionId, cx: &Cx<'_>) -> bool {
        cx.includes(id) || self.durable.shelf.has(id)
    }

    /// A block was decided: keeps the mini-block of the own group, or finds out that it is missing.
    pub(super) fn shelve(&mut self, batch: &Batch) -> bool {
        let Some(member) = self.durable.member.as_ref().filter(|_| self.keeps_heads()) else {
            return false;
        };
        let minis = large_of(batch).map_or(&[][..], |large| &large.minis);
        let Some(mini) = minis.iter().find(|mini| mini.group == member.group) else {
            return false;
        };
        let proven = member.proven.iter().map(|(mini, _)| mini);
        let proven = { proven }
            .find(|proven| proven.digest == mini.mini)
            .cloned();
        let pending = self.durable.shelf.settle(mini.slot, mini.mini);
        let here = pending.or(proven);
        let missed = here.is_none();
        match here {
            Some(here) => self.durable.shelf.put(here),
            None => self.miss(mini),
        }
        missed
    }

    /// A mini-block was accepted: whoever signs it answers for having it until its slot is settled.
    pub(super) fn keep_pending(&mut self, mini: &Arc<Mini>) {
        if self.keeps_heads() {
            let key = (mini.slot, mini.digest);
            self.durable.shelf.pending.insert(key, mini.clone());
        }
    }

    /// Boot, or return from a crash: keeps what is in the chain, and finds out what is missing.
    pub(super) fn look_through_shelf(&mut self, cx: &mut Cx<'_>) {
        if !self.keeps_heads() {
            return;
        }
        let mut known = std::mem::take(&mut self.durable.shelf);
        let Role::Member(group) = self.role() else {
            return;
        };
        for height in 1..=cx.ledger().height() {
            let block = cx.ledger().block(height).expect("the chain has no gap");
            let minis = large_of(&block.batch).map_or(&[][..], |large| &large.minis);
            let Some(mini) = minis.iter().find(|mini| mini.group == group) else {
                continue;
            };
            let kept = known.minis.remove(&mini.slot);
            let pending = known.settle(mini.slot, mini.mini);
            match kept.filter(|kept| kept.digest == mini.mini).or(pending) {
                Some(kept) => self.durable.shelf.put(kept),
                None => self.miss(mini),
            }
        }
        self.durable.shelf.pending = known.pending;
        // What is left was in blocks that the crash has undone, and which come again.
        for mini in known.minis.into_values() {
            self.keep_pending(&mini);
        }
        self.ask_for_bodies(cx);
    }

    /// A mini-block of the own group is in the chain and not here.
    fn miss(&mut self, mini: &MiniRef) {
        let group = &self.volatile.register.roles.groups[usize::from(mini.group)];
        let signers = mini.signers.iter().map(|at| group.members()[at]);
        let signers = signers.filter(|signer| *signer != self.setup.me).collect();
        let missing = (mini.mini, signers);
        self.durable.shelf.missing.insert(mini.slot, missing);
    }

    /// What of a block may wait on this node, and waits no more.
    pub(super) fn settled_by(&self, batch: &Batch) -> Batch {
        let (Some(head), Some(member)) = (batch.annex::<Head>(), &self.durable.member) else {
            return batch.clone();
        };
        let mut minis = head.large.minis.iter();
        let own = minis.find(|mini| mini.group == member.group);
        let kept = own.and_then(|own| self.durable.shelf.minis.get(&own.slot));
        kept.map_or(Batch::empty(), |kept| kept.batch.clone())
    }

    /// Asks for mini-blocks of the own group that are missing: those who have signed them, in turn.
    pub(super) fn ask_for_bodies(&mut self, cx: &mut Cx<'_>) {
        let shelf = &mut self.durable.shelf;
        let Some((_, signers)) = shelf.missing.values().next() else {
            return;
        };
        cx.set_timer(Timer::Bodies, self.config.publish_timeout);
        if signers.is_empty() {
            return;
        }
        let whom = signers[shelf.turn % signers.len()];
        let wanted = shelf.missing.values().map(|(digest, _)| *digest);
        let wanted = wanted.take(ASKED_MAX).collect();
        shelf.turn += 1;
        cx.send(whom, Message::FetchMinis(wanted));
    }

    /// Another member of the group lacks mini-blocks that are in the chain.
    pub(super) fn give_bodies(&self, from: NodeId, wanted: &[Digest], cx: &mut Cx<'_>) {
        for digest in wanted.iter().take(ASKED_MAX) {
            if let Some(mini) = self.durable.shelf.find(digest).cloned() {
                cx.send(from, Message::Body(mini));
            }
        }
    }

    /// Another member sends a mini-block that is in the chain.
    pub(super) fn on_body(&mut self, mini: &Arc<Mini>, cx: &mut Cx<'_>) {
        let missing = self.durable.shelf.missing.get(&mini.slot);
        let own = self.durable.member.as_ref().map(|member| member.group);
        let wanted = missing.is_some_and(|(digest, _)| *digest == mini.digest);
        if !wanted || own != Some(mini.group) {
            return;
        }
        self.durable.shelf.put(mini.clone());
        cx.persist();
        self.volatile.desk.mempool.settle(&mini.batch);
        cx.report(crate::protocol::Report::Reached("body-fetched"));
        if self.durable.shelf.is_whole() {
            self.durable.shelf.turn = 0;
            cx.cancel_timer(Timer::Bodies);
            self.hear_early_order(cx);
        }
        self.watch_group(false, cx);
    }
}

/// Mini-blocks in one answer at most.
const ASKED_MAX: usize = 32;
