//! Certified votes: what a leader says in the committee counts with the voices of enough members
//! of its group. They keep what they have lent their voices to, and a later leader goes on from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::config::Mutant;
use super::memory::{Bench, Memory, Support, legacy, statements};
use super::message::Message;
use super::{Cx, Krbft, Timer};
use crate::base::crypto::{Digest, Keyring, Signed, Voice};
use crate::base::node::{Committee, NodeId};
use crate::protocol::{Effect, Input, Protocol, Report, To, pbft};

/// Something a leader wants to say.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    to: To,
    message: Arc<pbft::Message>,
    support: Support,
    statements: Vec<Digest>,
    voices: BTreeMap<NodeId, Vec<Voice>>,
}

/// Drafts at once at most.
const DRAFTS_MAX: usize = 4_096;

impl Krbft {
    /// What this replica verifies the committee's word with.
    pub(super) fn seat_keys(&self, cx: &Cx<'_>) -> Keyring {
        cx.keyring().with_seats(self.seats.clone())
    }

    /// Says something in the committee, once it counts.
    pub(super) fn speak(&mut self, to: To, message: pbft::Message, cx: &mut Cx<'_>) {
        if !self.config.certifies() {
            self.say(&to, message, cx);
            return;
        }
        if self.counts(&message, cx) {
            // The seat hears of what it says once that counts.
            let own = message.speaker() == Some(self.seat());
            if own && matches!(to, To::All(_)) {
                self.volatile.said.push_back((to, message));
            } else {
                self.say(&to, message, cx);
            }
            return;
        }
        if matches!(message, pbft::Message::ViewChange { .. }) {
            self.withdraw();
        }
        let statements = statements(&message);
        let mut asked = self.volatile.drafts.values();
        if asked.any(|draft| draft.statements == statements) {
            // Members that have not answered are asked for the same again in due time.
            return;
        }
        let support = self.support(&message, false);
        let message = Arc::new(message);
        if !self.vouch(&message, &support, cx) {
            cx.report(Report::Reached("a member holds its tongue"));
            return;
        }
        let number = self.volatile.drafted;
        self.volatile.drafted += 1;
        let ask = self.bound(Message::Voice {
            number,
            message: message.clone(),
            support: Box::new(support.clone()),
        });
        cx.persist();
        let members = self.members().clone();
        cx.broadcast(&members, ask);
        if self.volatile.drafts.is_empty() {
            cx.set_timer(Timer::Voice, self.config.voice_retry);
        }
        let draft = Draft {
            to,
            message,
            support,
            statements,
            voices: BTreeMap::new(),
        };
        self.volatile.drafts.insert(number, draft);
        if self.volatile.drafts.len() > DRAFTS_MAX {
            self.volatile.drafts.pop_first();
        }
        self.complete(number);
    }

    /// What the seat was about to say in views that it has left, of views that it has entered and
    /// of what is settled is left unsaid, though voices for it may still come. A replica that is
    /// alone says nothing in a view it leaves.
    fn withdraw(&mut self) {
        let Some(committee) = &self.committee else {
            return;
        };
        let view = committee.status().view;
        let enters = committee.active_view().is_none();
        let low = committee.stable().map_or(0, |stable| stable.body().height);
        let stands = |message: &pbft::Message| match message {
            pbft::Message::ViewChange { change, .. } => enters && change.body().view >= view,
            pbft::Message::NewView(new) => new.body().view >= view,
            pbft::Message::Checkpoint(checkpoint) => checkpoint.body().height > low,
            other => {
                let mut votes = other.votes().iter().map(Signed::body);
                votes.all(|vote| vote.view >= view && vote.height > low)
            }
        };
        let drafts = &mut self.volatile.drafts;
        drafts.retain(|_, draft| stands(&draft.message));
        self.volatile.said.retain(|(_, message)| stands(message));
    }

    /// Whether a message states nothing, or nothing that its voices do not suffice for.
    fn counts(&self, message: &pbft::Message, cx: &Cx<'_>) -> bool {
        let keys = self.seat_keys(cx);
        match message {
            pbft::Message::PrePrepare { vote, .. }
            | pbft::Message::Prepare { vote, .. }
            | pbft::Message::Commit { vote, .. } => vote.verify(&keys),
            pbft::Message::Checkpoint(checkpoint) => checkpoint.verify(&keys),
            pbft::Message::ViewChange { change, .. } => change.verify(&keys),
            pbft::Message::NewView(view) => view.verify(&keys),
            pbft::Message::Forward(_)
            | pbft::Message::Status { .. }
            | pbft::Message::Fetch(_)
            | pbft::Message::Blocks(_) => true,
        }
    }

    /// What the members need to see; all of it when they are asked again.
    fn support(&mut self, message: &pbft::Message, again: bool) -> Support {
        let Some(committee) = &self.committee else {
            return Support::default();
        };
        let (proof, batch) = match message {
            pbft::Message::Commit { vote, .. } => (committee.best_proof(vote.body().height), None),
            pbft::Message::Prepare { batch, .. } => (None, batch.clone()),
            pbft::Message::PrePrepare { .. }
            | pbft::Message::Checkpoint(_)
            | pbft::Message::ViewChange { .. }
            | pbft::Message::NewView(_)
            | pbft::Message::Forward(_)
            | pbft::Message::Status { .. }
            | pbft::Message::Fetch(_)
            | pbft::Message::Blocks(_) => (None, None),
        };
        let (shown, settled) = self.volatile.shown;
        let view = committee.new_view();
        let view = view.filter(|view| again || view.body().view > shown);
        let stable = committee.stable();
        let stable = stable.filter(|stable| again || stable.body().height > settled);
        let support = Support {
            proof: proof.cloned(),
            view: view.cloned(),
            stable: stable.cloned(),
            batch,
        };
        let shown = view.map_or(shown, |view| view.body().view);
        let settled = stable.map_or(settled, |stable| stable.body().height);
        self.volatile.shown = (shown, settled);
        support
    }

    /// Lends this member's voice, if nothing it remembers speaks against it.
    fn vouch(&mut self, message: &pbft::Message, support: &Support, cx: &Cx<'_>) -> bool {
        let keyring = self.seat_keys(cx);
        let committee = self.seats.committee();
        let own_chain = match message {
            pbft::Message::Checkpoint(it) => self.volatile.sum.fits(it.body(), cx.ledger()),
            _ => true,
        };
        let bench = Bench {
            law: pbft::Law {
                config: &self.config.committee,
                committee: &committee,
                keyring: &keyring,
                views: self.views(),
            },
            last: self.config.places(),
            seat: self.seat(),
            blind: self.config.broken(Mutant::BlindVoices),
            own_chain,
        };
        self.durable.memory.vouch(message, support, &bench)
    }

    /// The leader wants to say something in the name of the group.
    pub(super) fn on_voice(
        &mut self,
        from: NodeId,
        number: u64,
        (message, support): (&pbft::Message, &Support),
        cx: &mut Cx<'_>,
    ) {
        if !self.is_leader(from) {
            return;
        }
        for vote in message.votes() {
            self.hear_draft(from, vote, cx);
        }
        if !self.vouch(message, support, cx) {
            cx.report(Report::Reached("a member holds its tongue"));
            return;
        }
        cx.persist();
        let voices: Vec<Voice> = statements(message)
            .into_iter()
            .map(|digest| cx.signer().voice(digest))
            .collect();
        cx.perform(Effect::Sign(
            u32::try_from(voices.len()).unwrap_or(u32::MAX),
        ));
        cx.send(from, self.bound(Message::VoiceShare { number, voices }));
    }

    /// A member lends its voice.
    pub(super) fn on_voice_share(
        &mut self,
        from: NodeId,
        (number, voices): (u64, &[Voice]),
        cx: &mut Cx<'_>,
    ) {
        let member = self.members().contains(from);
        let Some(draft) = self.volatile.drafts.get_mut(&number).filter(|_| member) else {
            return;
        };
        let fits = voices
            .iter()
            .map(Voice::digest)
            .eq(draft.statements.iter().copied())
            && voices
                .iter()
                .all(|v| v.by() == from && cx.keyring().hears(v));
        if fits {
            draft.voices.insert(from, voices.to_vec());
            self.complete(number);
            self.say_what_counts(cx);
        }
    }

    /// Whether enough members have lent their voices; this replica's own is among them.
    fn complete(&mut self, number: u64) {
        let needed = self.seats.voices(self.mine);
        let enough = |draft: &&Draft| draft.voices.len() + 1 >= needed;
        if self.volatile.drafts.get(&number).filter(enough).is_some()
            && let Some(draft) = self.volatile.drafts.remove(&number)
        {
            let message = with_voices(&draft);
            self.volatile.said.push_back((draft.to, message));
        }
    }

    /// Says what counts now, to others and to this replica's own seat.
    pub(super) fn say_what_counts(&mut self, cx: &mut Cx<'_>) {
        while let Some((to, message)) = self.volatile.said.pop_front() {
            self.say(&to, message.clone(), cx);
            let from = self.seat();
            let message = &message;
            self.step_committee(Input::Deliver { from, message }, cx);
        }
    }

    /// Asks again those who have not answered, and shows them everything.
    pub(super) fn on_voice_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.volatile.taking.is_some() {
            self.ask_for_memories(cx);
            return;
        }
        self.withdraw();
        let numbers: Vec<u64> = self.volatile.drafts.keys().copied().collect();
        for number in &numbers {
            let Some(draft) = self.volatile.drafts.get(number).cloned() else {
                continue;
            };
            let proof = draft.support.proof.clone();
            let fresh = self.support(&draft.message, true);
            let support = Support {
                proof: fresh.proof.or(proof),
                ..fresh
            };
            let silent = self.members().members().iter().copied();
            let silent = silent.filter(|n| *n != cx.me() && !draft.voices.contains_key(n));
            let ask = self.bound(Message::Voice {
                number: *number,
                message: draft.message.clone(),
                support: Box::new(support),
            });
            cx.broadcast(&Committee::new(silent.collect()), ask);
        }
        if !numbers.is_empty() {
            cx.set_timer(Timer::Voice, self.config.voice_retry);
        }
    }

    /// A new leader asks what the group has said so far.
    pub(super) fn ask_for_memories(&mut self, cx: &mut Cx<'_>) {
        let members = self.members().clone();
        cx.broadcast(&members, self.bound(Message::HandOver));
        cx.set_timer(Timer::Voice, self.config.voice_retry);
    }

    /// The leader asks what this member remembers.
    pub(super) fn on_hand_over(&self, from: NodeId, cx: &mut Cx<'_>) {
        if self.is_leader(from) {
            let memory = Box::new(self.durable.memory.without_batches());
            cx.send(from, self.bound(Message::HandOverReply(memory)));
        }
    }

    /// A member says what it remembers.
    pub(super) fn on_hand_over_reply(&mut self, from: NodeId, memory: &Memory, cx: &mut Cx<'_>) {
        if !self.members().contains(from) || self.is_short(cx) {
            return;
        }
        let needed = self.seats.voices(self.mine);
        let Some(taking) = &mut self.volatile.taking else {
            return;
        };
        taking.insert(from, memory.without_batches());
        if taking.len() + 1 < needed {
            return;
        }
        let taking = self.volatile.taking.take().unwrap_or_default();
        cx.cancel_timer(Timer::Voice);
        let mut memories: Vec<&Memory> = taking.values().collect();
        memories.push(&self.durable.memory);
        let keyring = self.seat_keys(cx);
        let committee = self.seats.committee();
        let law = pbft::Law {
            config: &self.config.committee,
            committee: &committee,
            keyring: &keyring,
            views: self.views(),
        };
        let liars = self.members().faulty_max();
        let mut legacy = legacy(&memories, liars, &law);
        // What it can prove to be decided it can show to seats that have missed it.
        let base = self.base();
        let proofs = self.durable.proofs.range(base.saturating_add(1)..);
        legacy.decided = proofs.map(|(_, proof)| (**proof).clone()).collect();
        cx.report(Report::Reached("a leader goes on where another stopped"));
        self.sit_down(&legacy, cx);
    }

    /// Runs the seat as its group has left it.
    pub(super) fn sit_down(&mut self, legacy: &pbft::Legacy, cx: &mut Cx<'_>) {
        if let Some(committee) = &mut self.committee {
            committee.inherit(legacy);
        }
        self.run_committee(Input::Start, cx);
        self.nest_committee(|committee, cx| committee.go_on(legacy, cx), cx);
        self.say_what_counts(cx);
        for transaction in std::mem::take(&mut self.volatile.requests) {
            self.run_committee(Input::Submit(transaction), cx);
        }
    }
}

/// The message of a draft with the voices that were lent to it.
fn with_voices(draft: &Draft) -> pbft::Message {
    let lent = |place: usize| -> Vec<Voice> {
        draft
            .voices
            .values()
            .map(|voices| voices[place].clone())
            .collect()
    };
    match (*draft.message).clone() {
        pbft::Message::PrePrepare { vote, batch } => pbft::Message::PrePrepare {
            vote: vote.with_voices(&lent(0)),
            batch,
        },
        pbft::Message::Prepare { vote, batch } => pbft::Message::Prepare {
            vote: vote.with_voices(&lent(0)),
            batch,
        },
        pbft::Message::Commit { vote, batch } => pbft::Message::Commit {
            vote: vote.with_voices(&lent(0)),
            batch,
        },
        pbft::Message::Checkpoint(checkpoint) => {
            pbft::Message::Checkpoint(checkpoint.with_voices(&lent(0)))
        }
        pbft::Message::ViewChange { change, again } => pbft::Message::ViewChange {
            change: Arc::new(change.with_voices(&lent(0))),
            again,
        },
        pbft::Message::NewView(view) => {
            let mut body = view.body().clone();
            let proposals = (1..).zip(&view.body().proposals);
            body.proposals = proposals
                .map(|(place, vote): (usize, &Signed<pbft::Vote>)| vote.with_voices(&lent(place)))
                .collect();
            pbft::Message::NewView(Arc::new(view.restated(body).with_voices(&lent(0))))
        }
        other @ (pbft::Message::Forward(_)
        | pbft::Message::Status { .. }
        | pbft::Message::Fetch(_)
        | pbft::Message::Blocks(_)) => other,
    }
}
