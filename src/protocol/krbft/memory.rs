//! What a group has said in the committee, as each of its members remembers it: a member lends its
//! voice to nothing that contradicts it. Whoever leads the group next finds it here.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::crypto::{Body, Certificate, Digest, Signed};
use crate::base::node::NodeId;
use crate::chain::ledger::Ledger;
use crate::chain::{Batch, Height};
use crate::protocol::pbft::{
    Checkpoint, Law, Legacy, Message, NewView, Phase, ViewChange, Vote, extend_chain,
};

/// What a leader shows to its members besides what it is about to say.
#[derive(Clone, Debug, Default)]
pub struct Support {
    /// Why a place is prepared.
    pub proof: Option<Certificate<Vote>>,
    /// Why the view has begun.
    pub view: Option<Arc<Signed<NewView>>>,
    /// The latest stable checkpoint.
    pub stable: Option<Certificate<Checkpoint>>,
    /// What a prepare is for, unless the view proposes it again.
    pub batch: Option<Batch>,
}

/// What a view proposes again.
#[derive(Clone, Debug, Default)]
struct Opened {
    view: u64,
    /// The last place that it settles.
    floor: Height,
    digests: BTreeMap<Height, Digest>,
}

/// What a member remembers of what its group has said.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Below this view nothing is said any more.
    left: u64,
    /// The request for a view that was made last.
    change: Option<(u64, Digest)>,
    opened: Opened,
    new_view: Option<Arc<Signed<NewView>>>,
    prepares: BTreeMap<(Height, u64), Digest>,
    /// Why the group has voted to commit, in the latest view in which it did.
    commits: BTreeMap<Height, Certificate<Vote>>,
    /// What it has voted to commit, in each view.
    committed: BTreeMap<(Height, u64), Digest>,
    stable: Option<Certificate<Checkpoint>>,
    /// What the group has voted for and this member has not executed: its leaders may go.
    batches: BTreeMap<Height, Vec<Batch>>,
}

/// What a member judges by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bench<'a> {
    pub law: Law<'a>,
    /// The last place that the group decides in this epoch.
    pub last: Height,
    /// The seat of the group.
    pub seat: NodeId,
    /// Whether prepares count for what nobody has seen; only a broken guard makes it so.
    pub blind: bool,
    /// Whether the checkpoint in question, if it is one, is that of the member's own chain.
    pub own_chain: bool,
}

/// The digest of a member's own chain, as far as it has been added up.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    height: Height,
    chain: Digest,
}

impl Sum {
    /// Whether a checkpoint is that of a chain. Only what has been added to the chain since the
    /// last checkpoint is read.
    pub(super) fn fits(&mut self, checkpoint: &Checkpoint, ledger: &Ledger) -> bool {
        if checkpoint.height < self.height || ledger.block(self.height).is_none() {
            *self = Self::default();
        }
        while self.height < checkpoint.height {
            let Some(block) = ledger.block(self.height + 1) else {
                return false;
            };
            self.chain = extend_chain(&self.chain, &block.batch.digest());
            self.height += 1;
        }
        let last = ledger.block(checkpoint.height);
        let last = last.map_or(Digest::ZERO, |block| block.batch.digest());
        checkpoint.chain == self.chain && checkpoint.block == last
    }
}

/// The statements in a message that a seat makes in its own name, by digest; nothing for messages
/// that state nothing.
pub(super) fn statements(message: &Message) -> Vec<Digest> {
    match message {
        Message::PrePrepare { vote, .. }
        | Message::Prepare { vote, .. }
        | Message::Commit { vote, .. } => vec![vote.body().digest()],
        Message::Checkpoint(checkpoint) => vec![checkpoint.body().digest()],
        Message::ViewChange { change, .. } => vec![change.body().digest()],
        Message::NewView(view) => {
            let proposals = view.body().proposals.iter();
            let proposals = proposals.map(|vote| vote.body().digest());
            std::iter::once(view.body().digest())
                .chain(proposals)
                .collect()
        }
        Message::Forward(_) | Message::Status { .. } | Message::Fetch(_) | Message::Blocks(_) => {
            Vec::new()
        }
    }
}

impl Memory {
    /// A member of a group that has said nothing yet, and begins in this view.
    pub(super) fn from(view: u64) -> Self {
        Self {
            left: view,
            opened: Opened {
                view,
                ..Opened::default()
            },
            ..Self::default()
        }
    }

    /// Whether the group may say this; if so, it is remembered.
    pub(super) fn vouch(
        &mut self,
        message: &Message,
        support: &Support,
        bench: &Bench<'_>,
    ) -> bool {
        self.learn(support, bench);
        match message {
            Message::PrePrepare { vote, batch } => {
                let body = vote.body();
                vote.by() == bench.seat
                    && body.digest == batch.digest()
                    && bench.law.committee.leader(body.view) == bench.seat
                    && body.height <= bench.last
                    && self.may_prepare(body)
                    && self.keep(body.height, batch)
            }
            Message::Prepare { vote, .. } => {
                let body = vote.body();
                vote.by() == bench.seat
                    && body.height <= bench.last
                    && (bench.blind || self.sees(body, support))
                    && self.may_prepare(body)
            }
            Message::Commit { vote, .. } => {
                vote.by() == bench.seat && self.may_commit(vote.body(), support, bench)
            }
            Message::Checkpoint(checkpoint) => {
                checkpoint.by() == bench.seat
                    && bench.law.views.own(checkpoint.body())
                    && bench.own_chain
            }
            Message::ViewChange { change, .. } => {
                change.by() == bench.seat && self.may_leave(change.body(), bench)
            }
            Message::NewView(view) => {
                view.by() == bench.seat
                    && bench.law.committee.leader(view.body().view) == bench.seat
                    && self.may_open(view, bench)
            }
            Message::Forward(_)
            | Message::Status { .. }
            | Message::Fetch(_)
            | Message::Blocks(_) => false,
        }
    }

    /// Takes note of what a leader shows.
    fn learn(&mut self, support: &Support, bench: &Bench<'_>) {
        if let Some(view) = &support.view
            && view.body().view > self.opened.view
            && view.verify(bench.law.keyring)
            && let Some(votes) = bench.law.opens(view.body())
        {
            self.open(view, &votes);
        }
        if let Some(stable) = &support.stable {
            let low = self.stable.as_ref().map_or(0, |known| known.body().height);
            let height = stable.body().height;
            if height > low && bench.law.is_reached(stable) {
                self.stable = Some(stable.clone());
                self.prepares.retain(|(place, _), _| *place > height);
                self.committed.retain(|(place, _), _| *place > height);
                self.commits.retain(|place, _| *place > height);
            }
        }
    }

    fn open(&mut self, view: &Arc<Signed<NewView>>, votes: &[Vote]) {
        let body = view.body();
        let low = body.changes.iter().map(|change| change.body().low()).max();
        self.opened = Opened {
            view: body.view,
            floor: votes.last().map_or(low.unwrap_or(0), |vote| vote.height),
            digests: votes
                .iter()
                .map(|vote| (vote.height, vote.digest))
                .collect(),
        };
        self.left = self.left.max(body.view);
        self.new_view = Some(view.clone());
    }

    fn may_open(&mut self, view: &Arc<Signed<NewView>>, bench: &Bench<'_>) -> bool {
        let number = view.body().view;
        if number < self.left || number < self.opened.view {
            return false;
        }
        let Some(votes) = bench.law.opens(view.body()) else {
            return false;
        };
        let known = self
            .new_view
            .as_ref()
            .filter(|_| self.opened.view == number);
        let same = known.is_none_or(|known| known.body().digest() == view.body().digest());
        let fresh = votes.iter().all(|vote| {
            let said = self.prepares.get(&(vote.height, vote.view));
            said.is_none_or(|said| *said == vote.digest)
        });
        if same && fresh {
            self.open(view, &votes);
            for vote in &votes {
                self.prepares.insert((vote.height, vote.view), vote.digest);
            }
        }
        same && fresh
    }

    /// Whether this member knows what a prepare is for, and keeps it from now on. What the view
    /// proposes again was prepared before: enough members have kept it then.
    fn sees(&mut self, vote: &Vote, support: &Support) -> bool {
        let again = self.opened.digests.get(&vote.height) == Some(&vote.digest);
        let shown = support.batch.as_ref();
        let shown = shown.filter(|batch| batch.digest() == vote.digest);
        match shown {
            Some(batch) => self.keep(vote.height, batch),
            None => again || self.kept(vote.height, &vote.digest).is_some(),
        }
    }

    /// Keeps a batch until it is executed; always true.
    fn keep(&mut self, height: Height, batch: &Batch) -> bool {
        let here = self.batches.entry(height).or_default();
        if !here.contains(batch) {
            here.push(batch.clone());
        }
        true
    }

    /// The batch of this digest, if this member has kept it.
    pub(super) fn kept(&self, height: Height, digest: &Digest) -> Option<&Batch> {
        let mut here = self.batches.get(&height)?.iter();
        here.find(|batch| batch.digest() == *digest)
    }

    /// What is executed is in the ledger.
    pub(super) fn executed(&mut self, height: Height) {
        if self
            .batches
            .first_key_value()
            .is_some_and(|(first, _)| *first <= height)
        {
            self.batches = self.batches.split_off(&(height + 1));
        }
    }

    /// What a new leader is told: it asks for the batches that it lacks.
    pub(super) fn without_batches(&self) -> Self {
        Self {
            batches: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// Whether votes are cast in this view, on this place. What was said below a stable checkpoint
    /// is forgotten, so nothing more is said there.
    fn is_open(&self, vote: &Vote) -> bool {
        let stable = self.stable.as_ref();
        vote.view == self.opened.view
            && vote.view >= self.left
            && vote.height > stable.map_or(0, |stable| stable.body().height)
    }

    fn may_prepare(&mut self, vote: &Vote) -> bool {
        let settled = vote.height <= self.opened.floor;
        let again = self.opened.digests.get(&vote.height) == Some(&vote.digest);
        let said = self.prepares.get(&(vote.height, vote.view));
        let may = vote.phase == Phase::Prepare
            && self.is_open(vote)
            && (!settled || again)
            && said.is_none_or(|said| *said == vote.digest);
        if may {
            self.prepares.insert((vote.height, vote.view), vote.digest);
        }
        may
    }

    fn may_commit(&mut self, vote: &Vote, support: &Support, bench: &Bench<'_>) -> bool {
        let Some(proof) = &support.proof else {
            return false;
        };
        let proven = proof.body();
        let same = (proven.height, proven.digest) == (vote.height, vote.digest);
        let current = proven.view == vote.view || proven.phase == Phase::Commit;
        // Of two proofs in one view, if more lie than the committee bears, the first one counts.
        let said = self.committed.get(&(vote.height, vote.view));
        let may = vote.phase == Phase::Commit
            && self.is_open(vote)
            && said.is_none_or(|said| *said == vote.digest)
            && same
            && current
            && bench.law.is_voted(proof);
        if may {
            self.committed.insert((vote.height, vote.view), vote.digest);
            keep_best(&mut self.commits, proof);
        }
        may
    }

    /// A request for a view keeps nothing back that the group has voted to commit.
    fn may_leave(&mut self, change: &ViewChange, bench: &Bench<'_>) -> bool {
        let digest = change.digest();
        let again = self.change == Some((change.view, digest));
        let fresh = change.view > self.left;
        let shows = |(height, ours): (&Height, &Certificate<Vote>)| {
            let shown = change.prepared.iter().map(Certificate::body);
            let mut here = shown.filter(|vote| vote.height == *height);
            let ours = ours.body();
            *height <= change.low()
                || here.any(|vote| vote.phase == Phase::Commit || vote.view >= ours.view)
        };
        let may = again || (fresh && self.commits.iter().all(shows) && bench.law.is_sound(change));
        if may {
            self.left = self.left.max(change.view);
            self.change = Some((change.view, digest));
        }
        may
    }
}

/// Keeps a proof unless a better one of its place is known: a commit is better than any prepare,
/// and a prepare than that of an earlier view.
fn keep_best(proofs: &mut BTreeMap<Height, Certificate<Vote>>, proof: &Certificate<Vote>) {
    let body = proof.body();
    let known = proofs.get(&body.height).map(Certificate::body);
    let better = known.is_none_or(|known| {
        known.phase == Phase::Prepare && (body.phase == Phase::Commit || body.view > known.view)
    });
    if better {
        proofs.insert(body.height, proof.clone());
    }
}

/// What a quorum of a group's members remembers of what the group has said, of which at most
/// `liars` lie. Whatever counted in the committee was remembered by a quorum, and an honest one of
/// them is here.
pub(super) fn legacy(memories: &[&Memory], liars: usize, law: &Law<'_>) -> Legacy {
    let mut proofs: BTreeMap<Height, Certificate<Vote>> = BTreeMap::new();
    let shown = memories.iter().flat_map(|memory| memory.commits.values());
    for proof in shown.filter(|proof| law.is_voted(proof)) {
        keep_best(&mut proofs, proof);
    }
    let views = memories
        .iter()
        .filter_map(|memory| memory.new_view.as_ref());
    let genuine = views.filter(|view| view.verify(law.keyring));
    let new_view = genuine.max_by_key(|view| view.body().view).cloned();
    let view = new_view
        .as_ref()
        .map_or(law.views.first, |view| view.body().view);
    let stable = memories.iter().filter_map(|memory| memory.stable.as_ref());
    let stable = stable.filter(|stable| law.is_reached(stable));
    // More than the liars say at least so much: an honest one does.
    let honest = |mut numbers: Vec<u64>| {
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        numbers.get(liars).copied().unwrap_or(0)
    };
    // What was said in earlier views binds nobody in this one.
    let top = |memory: &&Memory| {
        let here = memory.prepares.keys().filter(|(_, said)| *said == view);
        here.map(|(place, _)| *place).max()
    };
    let wanted = honest(memories.iter().map(|memory| memory.left).collect());
    let requests = memories.iter().filter_map(|memory| memory.change);
    let requests = requests.filter(|(view, _)| *view == wanted);
    Legacy {
        new_view,
        stable: stable.max_by_key(|stable| stable.body().height).cloned(),
        proofs: proofs.into_values().collect(),
        decided: Vec::new(),
        wanted,
        requests: requests.map(|(_, request)| request).collect(),
        top: honest(memories.iter().map(|m| top(m).unwrap_or(0)).collect()),
    }
}

impl Memory {
    /// Bytes on the wire, about.
    pub fn size(&self) -> u32 {
        let proof = |proof: &Certificate<Vote>| 49 + proof.signatures() * 66;
        let proofs = self.commits.values().map(proof).sum::<u32>();
        let said = u32::try_from(self.prepares.len()).unwrap_or(u32::MAX);
        proofs
            .saturating_add(said.saturating_mul(48))
            .saturating_add(64)
    }

    /// Signatures to be verified.
    pub fn signatures(&self) -> u32 {
        self.commits.values().map(Certificate::signatures).sum()
    }
}

impl Support {
    /// Bytes on the wire, about.
    pub fn size(&self) -> u32 {
        let signatures = self.signatures();
        let batch = self.batch.as_ref().map_or(0, Batch::size);
        signatures
            .saturating_mul(66)
            .saturating_add(64)
            .saturating_add(batch)
    }

    /// Signatures to be verified.
    pub fn signatures(&self) -> u32 {
        let proof = self.proof.iter().map(Certificate::signatures);
        let stable = self.stable.iter().map(Certificate::signatures);
        let view = self.view.iter().map(|view| {
            let changes = view.body().changes.iter().map(|change| change.signatures());
            view.signatures() + changes.sum::<u32>()
        });
        proof.chain(stable).chain(view).sum()
    }
}
