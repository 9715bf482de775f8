//! The upper group: gathers certified mini-blocks, merges them into a large block, and agrees on it
//! with PBFT.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fairness::Neglected;
use super::large::{Certified, Large, MiniRef};
use super::mini::{Mini, Vote, is_certified};
use super::register::views_of;
use super::roles::Role;
use super::system::System;
use super::{Cx, Mbft, Message, Mutant, Published, SubmitTo, Timer, Verification};
use crate::base::crypto::{Certificate, Digest, Hasher, Signed};
use crate::base::node::{Committee, NodeId};
use crate::base::random::happens;
use crate::base::time::Time;
use crate::chain::{Batch, Height};
use crate::protocol::pbft::{self, Heard, Pbft};
use crate::protocol::{Effect, Input, Inside, Protocol, Report, Setup};

/// The PBFT of one epoch, on a member of its upper group.
#[derive(Clone, Debug)]
pub(super) struct Upper {
    pub epoch: u32,
    /// The height after which the epoch began.
    pub base: Height,
    pub pbft: Pbft,
}

/// A proposal that is not checked yet, because something is missing.
#[derive(Clone, Debug)]
struct Held {
    from: NodeId,
    vote: Signed<pbft::Vote>,
    batch: Batch,
    /// When the missing mini-blocks were asked for last.
    asked: Option<Time>,
}

/// What a crash makes a member of the upper group forget.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// Certified mini-blocks that may still be included.
    pub minis: BTreeMap<Digest, Certified>,
    /// Those that are next in their groups: the first that came of each.
    pub next: BTreeMap<u16, Digest>,
    pub neglected: Neglected,
    /// Whether the primary has waited long enough for more, and whether it waits.
    gathered: bool,
    gathering: bool,
    /// Proposals that are not checked yet, one of each member.
    held: BTreeMap<NodeId, Held>,
    /// Messages of the next epoch, which has not begun here.
    early: Vec<(NodeId, pbft::Message)>,
    /// The view in which the last block was agreed on: its speaker.
    pub view: u64,
    /// What the members of the upper group have voted for.
    pub heard: Heard,
}

/// Mini-blocks of one group that are kept at most, and messages of the next epoch.
const MINIS_MAX: usize = 8;
const EARLY_MAX: usize = 256;

impl Table {
    /// The mini-blocks of a proposal.
    fn carried(&self, message: &pbft::Message) -> Vec<Certified> {
        let pbft::Message::PrePrepare { batch, .. } = message else {
            return Vec::new();
        };
        let minis = batch
            .annex::<Large>()
            .into_iter()
            .flat_map(|large| &large.minis);
        let known = minis.filter_map(|mini| self.minis.get(&mini.mini).cloned());
        known.collect()
    }

    /// The mini-blocks of a group, by slot.
    fn of_group(&self, group: u16) -> Vec<(u64, Digest)> {
        let minis = self.minis.values().map(|(mini, _)| mini);
        let minis = minis.filter(|mini| mini.group == group);
        let mut minis: Vec<_> = minis.map(|mini| (mini.slot, mini.digest)).collect();
        minis.sort_unstable();
        minis
    }

    /// Whether there is no room for a mini-block: earlier slots come first, because the later ones
    /// wait for them.
    fn is_full_for(&self, mini: &Mini) -> bool {
        let kept = self.of_group(mini.group);
        kept.len() >= MINIS_MAX && kept.last().is_some_and(|(last, _)| *last <= mini.slot)
    }

    /// Keeps a mini-block for which there is room.
    fn keep(&mut self, certified: Certified) {
        let kept = self.of_group(certified.0.group);
        if let Some((_, last)) = kept.last().filter(|_| kept.len() >= MINIS_MAX) {
            self.minis.remove(last);
        }
        self.minis.insert(certified.0.digest, certified);
    }
}

/// What became of a proposal.
enum Judged {
    Sound,
    /// It may be sound: these mini-blocks are missing.
    Lacks(Vec<Digest>),
    /// Its place is not reached yet.
    Early,
    Unsound(&'static str),
}

impl Mbft {
    /// To whom a group sends mini-blocks; `again` if the speaker alone did not help.
    pub(super) fn audience(&self, again: bool) -> Committee {
        let upper = &self.volatile.register.roles.upper;
        match self.config.submit_to {
            SubmitTo::Speaker if !again => {
                Committee::new(vec![upper.leader(self.volatile.table.view)])
            }
            SubmitTo::All | SubmitTo::Speaker => upper.clone(),
        }
    }

    /// Starts the PBFT of the present epoch, if this node is in its upper group and has not.
    pub(super) fn found_upper(&mut self, cx: &mut Cx<'_>) {
        let roles = &self.volatile.register.roles;
        let (epoch, base) = (roles.epoch, self.volatile.register.epoch_base());
        let known = self.durable.upper.as_ref();
        if known.is_some_and(|upper| upper.epoch == epoch) {
            return;
        }
        self.durable.past.keep_upper(self.durable.upper.take());
        if roles.of(self.setup.me) != Role::Upper || self.durable.outrun >= Some(epoch) {
            self.volatile.table.early.clear();
            return;
        }
        let setup = Setup {
            committee: roles.upper.clone(),
            ..self.setup.clone()
        };
        let pbft = Pbft::nested(&self.config.upper, setup, base);
        let pbft = pbft.within(views_of(epoch), Height::MAX);
        self.volatile.table.heard = Heard::default();
        self.durable.upper = Some(Upper { epoch, base, pbft });
        self.run_upper(Input::Start, cx);
        for (from, message) in std::mem::take(&mut self.volatile.table.early) {
            self.on_upper(from, (epoch, &[]), &message, cx);
        }
    }

    /// Lets the PBFT take one input.
    pub(super) fn run_upper(
        &mut self,
        input: Input<'_, pbft::Message, pbft::Timer>,
        cx: &mut Cx<'_>,
    ) {
        self.with_upper(|pbft, cx| pbft.step(input, cx), cx);
    }

    /// Lets the PBFT do something, and takes over what it decides.
    fn with_upper(
        &mut self,
        run: impl FnOnce(&mut Pbft, &mut crate::protocol::Context<'_, pbft::Message, pbft::Timer>),
        cx: &mut Cx<'_>,
    ) {
        let Some(upper) = &mut self.durable.upper else {
            return;
        };
        let place = (upper.epoch, upper.base);
        let inside = cx.nest_as(cx.guise(), |cx| run(&mut upper.pbft, cx));
        let Inside { effects, decisions } = inside;
        // Where the last one is at a checkpoint that has become stable at once, the PBFT has
        // forgotten the proof by now.
        let mut proofs = upper.pbft.take_proofs().into_iter().peekable();
        // A checkpoint is of a chain that this node has on disk only once it is extended.
        let (marks, others) = effects.into_iter().partition(pbft::tells_checkpoint);
        self.perform_upper(place, others, cx);
        for decision in decisions {
            if self.durable.upper.is_none() {
                break;
            }
            let proof = proofs.next_if(|proof| proof.body().height == decision.height);
            let published = proof.map(|proof| Published {
                batch: decision.batch.clone(),
                proof: Arc::new(proof),
            });
            self.extend(&decision.batch, published, cx);
        }
        self.perform_upper(place, marks, cx);
    }

    /// Does what the PBFT of an epoch wants done.
    fn perform_upper(
        &self,
        (epoch, base): (u32, Height),
        effects: Vec<Effect<pbft::Message, pbft::Timer>>,
        cx: &mut Cx<'_>,
    ) {
        let carries = self.config.submit_to == SubmitTo::Speaker;
        let table = &self.volatile.table;
        let message = |message| {
            let carried = carries.then(|| table.carried(&message));
            Message::Upper {
                epoch,
                carried: carried.unwrap_or_default(),
                message,
            }
        };
        cx.perform_inside(effects, message, Timer::Upper, |report| {
            Some(placed(report, base))
        });
    }

    /// A member of an upper group says something to another.
    pub(super) fn on_upper(
        &mut self,
        from: NodeId,
        (epoch, carried): (u32, &[Certified]),
        message: &pbft::Message,
        cx: &mut Cx<'_>,
    ) {
        for (mini, proof) in carried {
            self.on_mini_block(from, (mini, proof), cx);
        }
        let Some(upper) = self.durable.upper.as_ref().filter(|u| u.epoch == epoch) else {
            let next = self.volatile.register.roles.epoch + 1 == epoch;
            if next && self.volatile.table.early.len() < EARLY_MAX {
                self.volatile.table.early.push((from, message.clone()));
            }
            return;
        };
        let height = upper.base + upper.pbft.decided();
        if height != self.volatile.register.height {
            return;
        }
        self.judge_votes(message, cx);
        if let pbft::Message::PrePrepare { vote, batch } = message {
            let held = Held {
                from,
                vote: vote.clone(),
                batch: batch.clone(),
                asked: None,
            };
            self.volatile.table.held.insert(from, held);
            return;
        }
        self.run_upper(Input::Deliver { from, message }, cx);
    }

    /// Passes on to the PBFT the proposals that are found sound. What it never hears of it never
    /// votes for.
    pub(super) fn check_proposals(&mut self, cx: &mut Cx<'_>) {
        let held: Vec<NodeId> = self.volatile.table.held.keys().copied().collect();
        for from in held {
            let Some(held) = self.volatile.table.held.remove(&from) else {
                continue;
            };
            match self.judge(&held, cx) {
                Judged::Sound => {
                    let (vote, batch) = (held.vote, held.batch);
                    let message = pbft::Message::PrePrepare { vote, batch };
                    let message = &message;
                    self.run_upper(Input::Deliver { from, message }, cx);
                }
                Judged::Early => {
                    self.volatile.table.held.insert(from, held);
                }
                Judged::Lacks(missing) => {
                    let pause = self.config.publish_timeout;
                    let mut held = held;
                    if held.asked.is_none_or(|asked| cx.now() >= asked + pause) {
                        held.asked = Some(cx.now());
                        cx.send(held.from, Message::FetchMinis(missing));
                    }
                    self.volatile.table.held.insert(from, held);
                }
                Judged::Unsound(reason) => cx.report(Report::Reached(reason)),
            }
        }
    }

    /// Whether a proposal may be voted for.
    fn judge(&self, held: &Held, cx: &Cx<'_>) -> Judged {
        let (Some(upper), body) = (&self.durable.upper, held.vote.body()) else {
            return Judged::Unsound("refuses-proposal-of-another-epoch");
        };
        let height = upper.base + body.height;
        let register = &self.volatile.register;
        if height <= register.height {
            return Judged::Unsound("refuses-old-proposal");
        }
        let entered = upper.pbft.active_view();
        if height > register.height + 1 || entered.is_none_or(|view| body.view > view) {
            return Judged::Early;
        }
        let Some(large) = held.batch.annex::<Large>() else {
            return Judged::Unsound("refuses-block-without-annex");
        };
        let off = cx
            .now()
            .since(large.time())
            .max(large.time().since(cx.now()));
        let vouched = self.config.verification == Verification::Group;
        if (large.height, large.epoch, large.previous) != (height, upper.epoch, register.head)
            || (large.vouched, large.credit) != (vouched, self.credit_root())
        {
            return Judged::Unsound("refuses-wrong-place");
        }
        if large.micros <= register.micros || off > self.config.skew {
            return Judged::Unsound("refuses-wrong-time");
        }
        if large.minis.is_empty() && large.system.is_empty() && !self.is_election() {
            return Judged::Unsound("refuses-empty-block");
        }
        if !self.are_admitted(&large.system, cx) || !self.has_committed(large, cx) {
            return Judged::Unsound("refuses-statement");
        }
        self.judge_minis(large, &held.batch, body.digest)
    }

    /// Whether the signatures in a proposal are those of members who have committed to the block
    /// before.
    fn has_committed(&self, large: &Large, cx: &Cx<'_>) -> bool {
        let Some(proof) = &large.last else {
            return true;
        };
        let upper = self.volatile.register.upper_at(large.height);
        let before = large.height - 1;
        let batch = cx.ledger().block(before).map(|block| block.batch.digest());
        let proven = upper.settles(proof, cx.keyring());
        batch.is_some_and(|batch| proven == Some((before, batch)))
    }

    /// Whether the mini-blocks of a proposal are those that should be next.
    fn judge_minis(&self, large: &Large, batch: &Batch, digest: Digest) -> Judged {
        let register = &self.volatile.register;
        let ascending = large
            .minis
            .windows(2)
            .all(|pair| pair[0].group < pair[1].group);
        let active = |group: u16| register.is_active(group);
        if !ascending || !large.minis.iter().all(|mini| active(mini.group)) {
            return Judged::Unsound("refuses-groups");
        }
        let table = &self.volatile.table;
        let known = |mini: &Digest| table.minis.get(mini).map(|(mini, _)| mini);
        let lacking = large.minis.iter().map(|mini| mini.mini);
        let lacking: Vec<Digest> = lacking.filter(|mini| known(mini).is_none()).collect();
        if !lacking.is_empty() {
            return Judged::Lacks(lacking);
        }
        let minis: Vec<&Arc<Mini>> = large.minis.iter().filter_map(|m| known(&m.mini)).collect();
        if !minis.iter().all(|mini| register.is_next(mini)) {
            return Judged::Unsound("refuses-slot");
        }
        // The digest says which transactions, which annex, and who answers for what.
        let merged = large.clone().with(minis.into_iter());
        if merged.digest() != digest || batch.digest() != digest {
            return Judged::Unsound("refuses-other-content");
        }
        Judged::Sound
    }

    /// A group, or a member of the upper group, sends a mini-block.
    pub(super) fn on_mini_block(
        &mut self,
        from: NodeId,
        (mini, proof): (&Arc<Mini>, &Arc<Certificate<Vote>>),
        cx: &mut Cx<'_>,
    ) {
        let register = &self.volatile.register;
        if self.durable.upper.is_none() || self.volatile.table.minis.contains_key(&mini.digest) {
            return;
        }
        let stands = register.groups.get(usize::from(mini.group));
        let current = mini.epoch == register.roles.epoch;
        let late = stands.is_none_or(|standing| mini.slot <= standing.slot) || !current;
        let full = self.volatile.table.is_full_for(mini);
        let certified = is_certified(mini, proof, &register.roles, cx.keyring())
            || self.mutant(Mutant::NoMiniCertificate);
        if late || full || !certified {
            if late && register.roles.of(from) == Role::Member(mini.group) {
                // Whoever submits it again has missed the block.
                self.on_fetch(from, register.height.saturating_sub(1), cx);
            } else if !certified {
                cx.report(Report::Reached("refuses-certificate"));
            }
            return;
        }
        let certified = (mini.clone(), proof.clone());
        if !self.passes_audit(&certified, cx) {
            return;
        }
        self.volatile.table.keep(certified);
        self.note_next();
        self.expect_block(cx);
    }

    /// Verifies the signatures in some mini-blocks again, the same ones on every member. Who has
    /// answered for signatures that do not hold is reported to the chain.
    fn passes_audit(&mut self, certified: &Certified, cx: &mut Cx<'_>) -> bool {
        let (mini, _) = certified;
        let draw = Hasher::new("mbft audit").digest(&self.volatile.register.beacon);
        let draw = draw.digest(&mini.digest).finish().prefix();
        if !happens(draw, self.config.audit) {
            return true;
        }
        cx.verified(mini.batch.signatures());
        let transactions = (0..).zip(mini.batch.transactions());
        let mut answered = transactions.filter(|(at, _)| !mini.doubtful.contains(at));
        let honest = answered.all(|(_, transaction)| cx.vouches(transaction));
        if !honest {
            cx.report(Report::Reached("audit-finds-forgery"));
            self.say(System::Forged(Box::new(certified.clone())), cx);
        }
        honest
    }

    /// Notes of each group the mini-block that can be included next.
    fn note_next(&mut self) {
        let register = &self.volatile.register;
        let table = &mut self.volatile.table;
        for (digest, (mini, _)) in &table.minis {
            if register.is_next(mini) && register.is_active(mini.group) {
                table.next.entry(mini.group).or_insert(*digest);
            }
        }
    }

    /// While there is something to include, or an empty block is due, the primary has a limited
    /// time for it.
    pub(super) fn expect_block(&mut self, cx: &mut Cx<'_>) {
        if self.durable.upper.is_none() {
            return;
        }
        self.wait_for_election(cx);
        let awaited = !self.volatile.table.next.is_empty()
            || (self.is_election() && self.volatile.duties.empty)
            || !self.statements(cx).is_empty();
        self.with_upper(|pbft, cx| pbft.await_decision(awaited, cx), cx);
    }

    /// The primary has waited long enough for the mini-blocks of other groups.
    pub(super) fn on_gathered(&mut self) {
        self.volatile.table.gathering = false;
        self.volatile.table.gathered = true;
    }

    /// Proposes a large block if this is the primary and it is time.
    pub(super) fn propose(&mut self, cx: &mut Cx<'_>) {
        let Some(upper) = &self.durable.upper else {
            return;
        };
        let level = upper.base + upper.pbft.decided() == self.volatile.register.height;
        if !upper.pbft.is_open() || !level || !self.is_time_to_propose(cx) {
            return;
        }
        let table = &mut self.volatile.table;
        if std::mem::take(&mut table.gathering) {
            cx.cancel_timer(Timer::Gather);
        }
        table.gathered = false;
        let batch = self.next_large(cx);
        self.with_upper(
            |pbft, cx| {
                pbft.propose_batch(&batch, cx);
            },
            cx,
        );
    }

    /// Whether there is enough to propose, or it was waited for long enough.
    fn is_time_to_propose(&mut self, cx: &mut Cx<'_>) -> bool {
        let something = !self.volatile.table.next.is_empty() || !self.statements(cx).is_empty();
        let register = &self.volatile.register;
        let table = &mut self.volatile.table;
        let mut active = register.active.iter();
        let complete = active.all(|group| table.next.contains_key(group));
        if complete || (something && table.gathered) {
            return true;
        }
        if something && !table.gathering {
            table.gathering = true;
            cx.set_timer(Timer::Gather, self.config.gather);
        }
        !something && self.volatile.duties.empty && self.is_election()
    }

    /// The large block of everything that can be included.
    fn next_large(&self, cx: &Cx<'_>) -> Batch {
        let (register, table) = (&self.volatile.register, &self.volatile.table);
        let minis = table.next.values();
        let minis: Vec<&Certified> = minis.filter_map(|d| table.minis.get(d)).collect();
        let upper = self.durable.upper.as_ref();
        let before = register.height.saturating_sub(register.epoch_base());
        let last = upper.and_then(|upper| upper.pbft.proof_of(before));
        let large = Large {
            height: register.height + 1,
            epoch: register.roles.epoch,
            previous: register.head,
            micros: (cx.now().nanos() / 1_000).max(register.micros + 1),
            minis: minis
                .iter()
                .map(|(mini, proof)| MiniRef::of(mini, proof))
                .collect(),
            credit: self.credit_root(),
            system: self.statements(cx),
            last: last.cloned().map(Arc::new),
            vouched: self.config.verification == Verification::Group,
            doubtful: Vec::new(),
        };
        large.with(minis.into_iter().map(|(mini, _)| mini))
    }

    /// The chain has grown: what was included, or can no longer be, is forgotten.
    pub(super) fn upper_follows(&mut self, cx: &mut Cx<'_>) {
        let register = &self.volatile.register;
        let table = &mut self.volatile.table;
        let groups = &register.groups;
        let alive = |mini: &Mini| {
            mini.epoch == register.roles.epoch && mini.slot > groups[usize::from(mini.group)].slot
        };
        table.minis.retain(|_, (mini, _)| alive(mini));
        table.next.clear();
        self.note_next();
        self.wait_anew(cx);
        self.expect_block(cx);
        self.mind_groups(cx);
    }

    /// Another member lacks mini-blocks.
    pub(super) fn on_fetch_minis(&mut self, from: NodeId, wanted: &[Digest], cx: &mut Cx<'_>) {
        if self.keeps_heads() {
            self.give_bodies(from, wanted, cx);
            return;
        }
        let most = self.volatile.register.groups.len();
        for digest in wanted.iter().take(most) {
            if let Some((mini, proof)) = self.volatile.table.minis.get(digest).cloned() {
                cx.send(from, Message::MiniBlock { mini, proof });
            }
        }
    }
}

/// What the PBFT of an epoch reports, with heights of the whole chain.
fn placed(report: Report, base: Height) -> Report {
    match report {
        Report::Prepared {
            view,
            height,
            digest,
        } => Report::Prepared {
            view,
            height: base + height,
            digest,
        },
        Report::Leads { .. }
        | Report::Enters { .. }
        | Report::Logged { .. }
        | Report::Restarted { .. }
        | Report::Accuses { .. }
        | Report::Reached(_)
        | Report::Shared(_) => report,
    }
}
