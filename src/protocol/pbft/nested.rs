//! PBFT inside another protocol, which proposes the batches, learns what was decided and shows the
//! proof of it to others.

use std::sync::Arc;

use crate::base::crypto::{Body, Certificate, Digest, Keyring, Signed};
use crate::base::node::{Committee, PositionSet};
use crate::chain::{Batch, Height};
use crate::protocol::{Effect, Protocol, Setup};

use super::justify::{Consequence, Rules, is_sound};
use super::message::{Checkpoint, Message, NewView, Phase, ViewChange, Vote};
use super::{Config, Cx, Pbft, Timer};

pub use super::ordering::extend_chain;

/// What those can check who are no members of the committee.
#[derive(Clone, Copy, Debug)]
pub struct Law<'a> {
    /// The committee's configuration.
    pub config: &'a Config,
    /// Its members.
    pub committee: &'a Committee,
    /// Verifies for everybody.
    pub keyring: &'a Keyring,
    /// The views of the instance.
    pub views: Views,
}

/// The views of an instance. Whoever has other ones has said nothing in it: for members who
/// belong to one committee after another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Views {
    /// In which it begins.
    pub first: u64,
    /// The first that is none of them.
    pub end: u64,
}

impl Views {
    /// Of an instance that is alone.
    pub const ALL: Self = Self {
        first: 0,
        end: u64::MAX,
    };

    /// Whether a view is one of them.
    pub const fn contains(self, view: u64) -> bool {
        self.first <= view && view < self.end
    }

    /// Whether a checkpoint was come to in the instance.
    pub fn own(self, checkpoint: &Checkpoint) -> bool {
        checkpoint.since == self.first
    }
}

impl Law<'_> {
    fn rules(&self) -> Rules<'_> {
        let quorum = self.committee.quorum();
        Rules {
            committee: self.committee,
            keyring: self.keyring,
            quorum,
            phases: [quorum; 2],
            interval: self.config.checkpoint_interval,
            window: self.config.window,
            views: self.views,
        }
    }

    /// Whether a quorum has signed a statement.
    pub fn is_proven<B: Body>(&self, proof: &Certificate<B>) -> bool {
        proof.verify(self.committee, self.committee.quorum(), self.keyring)
    }

    /// Whether a quorum has come to a checkpoint of the instance.
    pub fn is_reached(&self, proof: &Certificate<Checkpoint>) -> bool {
        self.views.own(proof.body()) && self.is_proven(proof)
    }

    /// Whether a quorum has voted so in a view of the instance.
    pub fn is_voted(&self, proof: &Certificate<Vote>) -> bool {
        self.views.contains(proof.body().view) && self.is_proven(proof)
    }

    /// Whether everything in a request for a view is proven.
    pub fn is_sound(&self, change: &ViewChange) -> bool {
        is_sound(change, &self.rules())
    }

    /// What a view proposes again, if it may begin: the votes of its leader. Whether the leader
    /// has signed them is not asked.
    pub fn opens(&self, view: &NewView) -> Option<Vec<Vote>> {
        let mut members = PositionSet::new();
        let justified = view.changes.iter().all(|change| {
            let position = self.committee.position(change.by());
            position.is_some_and(|position| members.insert(position))
                && change.body().view == view.view
                && self.is_sound(change.body())
                && change.verify(self.keyring)
        });
        let votes = Consequence::of(&view.changes).votes(view.view);
        let follows = view
            .proposals
            .iter()
            .map(|vote| *vote.body())
            .eq(votes.iter().copied());
        (justified && members.len() >= self.committee.quorum() && follows).then_some(votes)
    }
}

/// What a replica finds that takes the place of another one.
#[derive(Clone, Debug, Default)]
pub struct Legacy {
    /// The latest stable checkpoint that is known.
    pub stable: Option<Certificate<Checkpoint>>,
    /// The proof of the latest view that is known.
    pub new_view: Option<Arc<Signed<NewView>>>,
    /// What was prepared above the checkpoint, where the other one has voted to commit.
    pub proofs: Vec<Certificate<Vote>>,
    /// What is known to be decided, as far as there are proofs.
    pub decided: Vec<Certificate<Vote>>,
    /// The highest view that it has asked for.
    pub wanted: u64,
    /// What it has asked for it with, as far as that is known.
    pub requests: Vec<Digest>,
    /// The highest place for which it has voted in that view.
    pub top: Height,
}

/// Which place a commit certificate settles with which batch, if a quorum of the committee signed:
/// for those outside it.
pub fn verify_decision(
    proof: &Certificate<Vote>,
    committee: &Committee,
    keyring: &Keyring,
) -> Option<(Height, Digest)> {
    let vote = proof.body();
    let proven =
        vote.phase == Phase::Commit && proof.verify(committee, committee.quorum(), keyring);
    proven.then_some((vote.height, vote.digest))
}

/// Whether a replica tells of a checkpoint: of a chain that its parent has only once it has taken
/// what was decided.
pub const fn tells_checkpoint(effect: &Effect<Message, Timer>) -> bool {
    let Effect::Send { message, .. } = effect else {
        return false;
    };
    matches!(message, Message::Checkpoint(_))
}

impl Pbft {
    /// An instance whose first place follows a height of the ledger.
    pub fn nested(config: &Config, setup: Setup, base: Height) -> Self {
        Self {
            base,
            nested: true,
            ..Self::new(config, setup)
        }
    }

    /// The same with views of its own, and up to a last place.
    #[must_use]
    pub fn within(mut self, views: Views, last: Height) -> Self {
        self.views = views;
        self.last = last;
        self.durable.view = views.first;
        self
    }

    /// The same, in the place of a replica that has been there and of which nothing is known: it
    /// asks the others at its first start.
    #[must_use]
    pub fn succeeding(mut self) -> Self {
        self.durable.booted = true;
        self
    }

    /// The parent returns what this replica says once it counts: until then it does not count
    /// here either.
    #[must_use]
    pub fn voiced(mut self, voiced: bool) -> Self {
        self.voiced = voiced;
        self
    }

    /// Takes over what is proven of a predecessor; before the start.
    pub fn inherit(&mut self, legacy: &Legacy) {
        let durable = &mut self.durable;
        if let Some(stable) = &legacy.stable
            && stable.body().height > durable.records.low()
        {
            let low = stable.body().height;
            durable.records.forget(low);
            durable.stable.push(stable.clone());
        }
        let low = durable.records.low();
        for proof in legacy.decided.iter().chain(&legacy.proofs) {
            let vote = proof.body();
            let near = vote.height > low && vote.height - low <= self.config.window;
            if !near {
                continue;
            }
            let record = durable.records.at(vote.height);
            let known = record.proof.as_ref().map(Certificate::body);
            let better =
                known.is_none_or(|known| known.phase == Phase::Prepare && known.view < vote.view);
            if better {
                record.proof = Some(proof.clone());
            }
        }
    }

    /// Goes on where the predecessor has stopped; after the start. What the predecessor may have
    /// said in a view that is not over is not contradicted.
    pub fn go_on(&mut self, legacy: &Legacy, cx: &mut Cx<'_>) {
        if let Some(proof) = &legacy.new_view {
            self.on_new_view(proof, cx);
        }
        let known = legacy.new_view.as_ref();
        if self.durable.view == known.map_or(self.views.first, |proof| proof.body().view) {
            self.volatile.next = self.volatile.next.max(legacy.top + 1);
        }
        // Whoever has stood by another request for that view stands by none of this replica's.
        let own = self.durable.change.as_ref();
        let own = own.map(|change| (change.body().view, change.body().digest()));
        let rival = |other: &Digest| own.is_some_and(|own| own != (legacy.wanted, *other));
        let excluded = legacy.wanted == self.durable.view && legacy.requests.iter().any(rival);
        if legacy.wanted > self.durable.view || excluded {
            self.leave(legacy.wanted + 1, cx);
        }
        self.finish(cx);
    }

    /// The proof of the view this replica has entered last.
    pub fn new_view(&self) -> Option<&Arc<Signed<NewView>>> {
        self.durable.new_view.as_ref()
    }

    /// The proof of the last stable checkpoint.
    pub fn stable(&self) -> Option<&Certificate<Checkpoint>> {
        self.durable.stable.last()
    }

    /// The best proof of what stands at a place above it.
    pub fn best_proof(&self, height: Height) -> Option<&Certificate<Vote>> {
        self.durable.records.get(height)?.proof.as_ref()
    }

    /// A batch that was accepted here and is not executed.
    pub fn kept(&self, height: Height, digest: &Digest) -> Option<&Batch> {
        self.durable.records.get(height)?.batch(digest)
    }

    /// What this replica knows by its digest only: where the parent finds it, it hands it in as
    /// the batches of a [`super::Blocks`].
    pub fn lacks(&self) -> Vec<(Height, Digest)> {
        self.missing()
    }

    /// The proofs of what was decided since the last call, as far as there are any: of what a
    /// checkpoint proves there is none.
    pub fn take_proofs(&mut self) -> Vec<Certificate<Vote>> {
        std::mem::take(&mut self.volatile.proofs)
    }

    /// Whether this replica leads and may put a batch at the next place.
    pub fn is_open(&self) -> bool {
        self.may_propose()
    }

    /// The view whose votes count; none while a view is changing.
    pub fn active_view(&self) -> Option<u64> {
        self.volatile.active
    }

    /// The last place that was decided here.
    pub fn decided(&self) -> Height {
        self.volatile.executed
    }

    /// Puts a batch of the parent at the next place; false if this replica may not.
    pub fn propose_batch(&mut self, batch: &Batch, cx: &mut Cx<'_>) -> bool {
        let open = self.may_propose();
        if open {
            self.pre_prepare(batch, cx);
            self.finish(cx);
        }
        open
    }

    /// Whether the parent waits for a decision: while it does, the view timer runs.
    pub fn await_decision(&mut self, awaited: bool, cx: &mut Cx<'_>) {
        if self.volatile.awaited != awaited {
            self.volatile.awaited = awaited;
            self.watch(false, cx);
        }
    }

    /// The proof of what was decided at a place above the last stable checkpoint.
    pub fn proof_of(&self, height: Height) -> Option<&Certificate<Vote>> {
        self.durable.records.get(height)?.decided()
    }
}
