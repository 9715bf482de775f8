//! K-RBFT: groups that elect leaders, and a committee of these leaders that decides.
//!
//! # Protocol
//!
//! `N` replicas in `k` groups of `m` (sizes differ by one at most), dealt by a rule that all
//! compute ([`grouping`]). Each group runs the improved RAFT ([`super::iraft`]) for its elections
//! and its evidence, and logs nothing else with it. Each group has a *seat* in a committee that
//! runs PBFT ([`super::pbft`]), `f₂ = ⌊(k−1)/3⌋`, `q₂ = ⌈(k+f₂+1)/2⌉`; whoever leads the group
//! holds the seat.
//!
//! - Upon winning its group's election for a term: COUNCIL-UPDATE(group, term, votes) to everybody,
//!   and again every `council_refresh`, with its height. It is believed if the term is newer than
//!   that of the known holder and, in `hardened`, the votes prove it.
//! - Upon a client's transaction: hand it to the group's leader, who hands it to the primary. Upon
//!   another leader of the group: hand it everything that waits.
//! - The committee decides as PBFT does. Members of it are the seats; a message counts if it comes
//!   from the present holder.
//! - Upon a decision: the leader executes it and sends GROUP-BLOCK(height, batch, certificate) to
//!   its members. Upon one from its leader, with `q₂` commits if `carry_commit_cert`: a member
//!   writes it to disk and answers GROUP-ACK. Upon `⌊m/2⌋ + 1` copies, the own one among them: the
//!   leader sends GROUP-COMMIT, upon which members execute.
//! - A member that is behind what its leader has told twice in a row asks for the blocks. With
//!   certificates any leader's word does, and anybody may answer. A leader that is behind what
//!   another one has told twice in a row asks the committee.
//! - Members whose clients wait for `progress_timeout` of the group give their leader up.
//!
//! With `group_certified_votes` a seat says nothing before `q₁ = ⌈(m+f₁+1)/2⌉` members,
//! `f₁ = ⌊(m−1)/3⌋`, have signed it: the leader sends VOICE(statement, proofs) to its members; each
//! writes it to disk and answers VOICE-SHARE, unless it contradicts what it remembers:
//!
//! - one proposal for a place in a view, and none in a view that the group has asked to leave;
//! - in a later view only what its NEW-VIEW leaves open;
//! - a PREPARE only of a batch it is shown, and keeps until it is executed;
//! - a COMMIT only with the `q₂` prepares behind it;
//! - a VIEW-CHANGE only with everything that the group has voted to commit;
//! - a CHECKPOINT only of the member's own chain.
//!
//! The signatures go with the statement and stand for the seat in every certificate. A new leader
//! first asks its members what they remember (HAND-OVER), unless its term is the first there is;
//! `q₁` of them know everything that ever counted, and it goes on from there. If they have lent
//! their voices to another request for the view that it asks for itself, it asks for the one after.
//! A lying leader of a group with at most `f₁` liars can be silent, and nothing else.
//!
//! A leader that has lacked a batch for `council_refresh` asks one group after the other for it.
//!
//! With `supervision`, hidden members watch up to five groups each, and are handed the blocks of
//! all of them. Upon one leader against `f₂ + 1` others on one height: FINDING to everybody; its
//! group elects another one. A supervisor that spoke is known, and replaced. Those others may all
//! lie if more than `f₂` do, so a finding convicts nobody. Whoever was told something else by the
//! leader or by one of those others shows both words in an EXPOSURE to everybody, and that does.
//! Where blocks carry certificates, a word without a true one is worth nothing, and there are no
//! findings.
//!
//! Whoever sees two signed things that nobody says who is honest shows them to all in an EXPOSURE,
//! which convicts by itself:
//!
//! - a leader's word that hands over a block names the certificate that comes with it; if that
//!   proves another block, word and certificate;
//! - two votes for one place in one view and phase, with the voice of one member in both. Whoever
//!   is sent a vote of a seat without the voices it needs, which is a draft, asks leaders and that
//!   group whether they know another one (ECHO). So does a leader of a proposal, if another seat
//!   prepares another one (only with certified votes or supervision), and a member of what its
//!   leader has said in a view that decided something else. With `witnesses`, members tell those
//!   of their group at once what they are asked to vote for, and no lie has to come further.
//!
//! Whoever knows a finding or a proof against a member of its group neither follows it nor votes
//! for it. If it leads all the same, for others were down when either was shown, they are shown
//! it again, once in each `council_refresh`; by whom does not matter.
//!
//! With `regroup_every_blocks: N` the groups are dealt anew after each `N` blocks, which are an
//! *epoch*:
//!
//! - Upon execution of the last block of an epoch: leave group and seat, write the number of the
//!   next one to disk, and begin there as at the very start, without a leader. The committee puts
//!   nothing behind that block, and the old leader still counts who has it.
//! - Terms and views of an epoch carry its number above their 24 low bits, so that no statement
//!   counts in two of them; a block is judged by the seats of the epoch that its height belongs to.
//! - Upon a message from a later epoch: ask its sender for the blocks. Upon one from an earlier
//!   epoch: REGROUPED to its sender, who will ask. A leader that learns blocks in this way has its
//!   seat begin again with them.
//! - A new leader always asks what the group remembers: nobody knows of a first one.
//!
//! Durable: the epoch, what the group and the seat keep, who holds the seats, what was vouched for,
//! and the certificates of blocks.
//!
//! What it withstands:
//!
//! | switches | liars that no placement makes harmful |
//! |---|---|
//! | neither | 0: a lying leader forks its own group |
//! | `carry_commit_cert` | `f₂`: the committee hears leaders only, and any liar may lead |
//! | both | `(f₁+1)(f₂+1) − 1`: `f₂ + 1` groups with `f₁ + 1` liars each are needed |
//!
//! Harmful is what forks. To stand still, fewer suffice: a lying leader may have an honest member
//! lend its voice to a request for a view so far away that no other comes to it, and from then on
//! that member holds its tongue in every view before. A group in which enough do has no voice.
//!
//! Clients wait for one answer more than that. (Answers of `f₂ + 1` groups are not enough: one liar
//! in each of them suffices to give them.)
//!
//! # Source
//!
//! D. Huang, L. Li, B. Chen, B. Wang, "RBFT: a new Byzantine fault-tolerant consensus mechanism
//! based on Raft cluster", Journal on Communications 42(3), 2021: groups by consistent hashing,
//! leaders that run PBFT, supervision nodes. The certificates are Castro's and Liskov's, 1999.
//!
//! # Deviations
//!
//! - The published code has no change of view, no certificates, no rule for what supervision nodes
//!   do, and quorums that are one short in places; `paper` has the quorums of the text.
//! - A leader executes a block when the committee has decided it, not when its group has it: with
//!   `f₂ + 1` honest leaders that have decided it, it is durable.
//! - Checkpoints come every 20 blocks by default, since a seat's signature is one for each of its
//!   members, and a change of view shows everything above the last checkpoint; and elections in
//!   groups are half as hasty as in RAFT, since verifying that keeps a leader from its heartbeats.
//! - In `paper` a new leader knows nothing of what its predecessor has said, as published. Its
//!   seat may contradict itself, which counts as a fault of the seat and accuses nobody.
//! - Groups around medoids rest on delays that were measured before the start, and do not follow
//!   the network; so they and those in the order of the nodes are never dealt anew.
//! - Epochs take the place of the committee's checkpoints. What a group has proven against a member
//!   stays with that group: in the next one it begins without it, unless supervisors have found it.
//! - A supervised leader has a block on disk before it tells of it, so that it cannot be made to
//!   contradict itself after a crash.
//! - Without `group_certified_votes` members keep no batches: if every holder that has seen one is
//!   replaced before it is executed, the committee waits for one of them to return.
//! - The reputation of members is the group's (`group: {reputation: true}`): each remembers for
//!   itself who has led well, and elects those first. It decides nothing else.
//!
//! # Messages
//!
//! A block costs `2k(k−1)` in the committee and `3k(m−1)` in the groups: `pre-prepare`, `prepare`,
//! `commit`; `group-block`, `group-ack`, `group-commit`. Certified votes add `4k(m−1)`: `voice` and
//! `voice-share`, twice, once with the batch. Each supervisor adds one `group-block` for each group
//! it watches from outside; a liar that is found, a `finding` from each that finds it and an
//! `exposure` from each that can prove it, to everybody, and a few `echo`. With w witnesses in each
//! group a block costs `2kw(m−2)` of these. Upkeep of an idle second: `council-update`, `k(N−1)`,
//! and the groups' heartbeats.

mod batches;
mod committee;
mod config;
mod council;
mod evidence;
pub mod grouping;
mod memory;
mod message;
mod oaths;
mod patience;
mod regroup;
mod spread;
mod supervise;
#[cfg(test)]
mod tests;
mod voice;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub use config::{Config, Mutant, Profile};
pub use evidence::Exposure;
use memory::Sum;
pub use memory::{Memory, Support};
pub use message::{CouncilUpdate, Delivery, GroupBlock, Message, Proven};
pub use supervise::Finding;

use super::mempool::Mempool;
use super::{Context, FaultModel, Input, Misfit, Protocol, Report, Retry, Setup, Status, To};
use super::{iraft, pbft};
use crate::base::crypto::{Certificate, Digest, Seats};
use crate::base::node::{Committee, NodeId, PositionSet};
use crate::base::time::{Span, Time};
use crate::chain::{Height, Transaction};
use council::{Council, Heard};
use grouping::{Delays, Grouping};
use iraft::Iraft;
use pbft::Pbft;
use spread::{Spread, Stored};
use supervise::Watch;
use voice::Draft;

/// Requests that wait for a leader, at most.
const REQUESTS_MAX: usize = 1_024;

/// Messages that wait for the first holder of a seat, at most.
const UNSENT_MAX: usize = 1_024;

/// The timers of a replica.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// Of the group.
    Group(iraft::Timer),
    /// Of the seat in the committee.
    Committee(pbft::Timer),
    /// Time to repeat who leads.
    Council,
    /// Somebody that was asked for blocks is overdue.
    Fetch,
    /// Requests have waited long.
    Progress,
    /// Members that were asked for their voices are overdue.
    Voice,
}

type Cx<'a> = Context<'a, Message, Timer>;

/// What survives a crash, besides what survives in the group and in the seat.
#[derive(Clone, Debug, Default)]
struct Durable {
    /// How often the groups were dealt anew.
    epoch: u64,
    council: Council,
    /// Supervisors that have shown what they found, and are none any more.
    exposed: Vec<NodeId>,
    /// Whom this replica lets lead no more, on the word of a supervisor or by a proof.
    disowned: Vec<NodeId>,
    /// What supervisors have found against them.
    found: BTreeMap<NodeId, Finding>,
    /// Those of them that are proven to have lied, and the proofs.
    convicted: BTreeMap<NodeId, Exposure>,
    /// What this member has lent its voice to.
    memory: Memory,
    /// Commit certificates of what was applied.
    proofs: BTreeMap<Height, Arc<Certificate<pbft::Vote>>>,
}

/// What a crash erases.
#[derive(Clone, Debug, Default)]
struct Volatile {
    /// The term of the group in which this replica leads it, and so has its seat.
    seated: Option<u64>,
    /// The view of the committee, as far as this replica knows.
    view: u64,
    /// Requests that wait until the group has a leader.
    requests: Vec<Arc<Transaction>>,
    /// The last leader that was told of them, and its term.
    told: Option<(NodeId, u64)>,
    /// What is to be said to seats that nobody has held yet, by group.
    unsent: Vec<(usize, Message)>,
    /// Blocks this leader has handed to its group.
    spreads: BTreeMap<Height, Spread>,
    /// Blocks this member was handed and has not applied.
    stored: BTreeMap<Height, Stored>,
    /// What this leader wants to say, by number.
    drafts: BTreeMap<u64, Draft>,
    /// The next number.
    drafted: u64,
    /// What counts and has not been said.
    said: VecDeque<(To, pbft::Message)>,
    /// The latest view and checkpoint that the members were shown the proofs of.
    shown: (u64, Height),
    /// What this leader knew by its digest only when it looked last.
    lacking: Vec<(Height, Digest)>,
    /// The digest of this member's chain.
    sum: Sum,
    /// What members remember, while a new leader asks them.
    taking: Option<BTreeMap<NodeId, Memory>>,
    /// What this supervisor was told.
    watch: Watch,
    /// What seats have voted for.
    votes: pbft::Heard,
    /// What clients wait for.
    pending: Mempool,
    /// Whether the timer for that runs.
    impatient: bool,
    /// When the last block was applied.
    progressed: Time,
    /// How often in a row this member has given its leader up.
    given_up: u32,
    /// How far each leader has said last that it is.
    heard: BTreeMap<NodeId, Heard>,
    /// Whether somebody was asked for blocks.
    fetching: bool,
    /// Whom to ask next.
    turn: usize,
    /// Whether somebody has spoken from a later epoch.
    overtaken: bool,
    /// Who was told when that this replica is in a later epoch.
    hinted: BTreeMap<NodeId, Time>,
    /// When the proof against somebody was last shown again.
    reminded: BTreeMap<NodeId, Time>,
}

/// One replica.
#[derive(Clone, Debug)]
pub struct Krbft {
    config: Config,
    setup: Setup,
    /// The groups, and what it takes to speak for them.
    seats: Arc<Seats>,
    /// The number of this replica's group.
    mine: usize,
    /// This replica's position in it.
    position: usize,
    /// Whom a leader hands its blocks to.
    audience: Committee,
    /// This replica in its group.
    group: Iraft,
    /// This replica in the committee, since it first led its group.
    committee: Option<Pbft>,
    durable: Durable,
    volatile: Volatile,
}

impl Protocol for Krbft {
    const NAME: &'static str = "krbft";
    const ABOUT: &'static str = "groups of improved RAFT whose leaders run PBFT: few messages, \
                                 and with certified votes more liars than leaders";
    const FAULTS: FaultModel = FaultModel::Byzantine;
    const RETRY: Retry = Retry::All;
    const IN_PARTS: bool = true;
    type Config = Config;
    type Message = Message;
    type Timer = Timer;

    fn check(config: &Config, n: usize) -> Vec<Misfit> {
        config.misfits(n)
    }

    /// A group finds a leader, then the committee decides, each as slowly as it may; both may
    /// happen twice, since a leader may fail that has just been found.
    fn liveness_bound(config: &Config, n: usize, delay: Span) -> Span {
        let group = Iraft::liveness_bound(&config.inner(), n, delay);
        let committee = Pbft::liveness_bound(&config.committee, config.groups, delay);
        let spread = config.council_refresh * 3 + config.fetch_timeout * 2 + delay * 6;
        let again = if config.regroups() { 3 } else { 2 };
        (group + committee) * again + spread
    }

    fn grown_waits(config: &Config, trouble: Span, bad: usize) -> Span {
        let seats = config.groups.saturating_sub(1) / 3;
        Pbft::grown_waits(&config.committee, trouble, bad.min(seats))
    }

    fn tolerates(config: &Config, n: usize) -> usize {
        config.tolerated(n)
    }

    fn recovers(config: &Config, n: usize, missing: &PositionSet, liars: &PositionSet) -> bool {
        let all = Committee::first(n);
        let seats = config.seats(&all, 0);
        let inner = config.inner();
        if config.regroups() {
            return config.bears(n, missing.len()) && liars.len() <= config.tolerated(n);
        }
        let alive = |group: &&Committee| {
            let there = |node: &&NodeId| !missing.contains(node.index());
            let there = group.members().iter().filter(there).count();
            there >= inner.quorum_of(group.n())
        };
        let groups = seats.groups();
        let silent = groups.len() - groups.iter().filter(alive).count();
        let enough = silent + seats.committee().quorum() <= groups.len();
        enough && liars.len() <= config.tolerated(n)
    }

    fn survey(config: &mut Config, n: usize, delay: &dyn Fn(usize, usize) -> Span) {
        if config.grouping == Grouping::Kmedoids {
            config.delays = Delays::new(n, delay);
        }
    }

    fn new(config: &Config, setup: Setup) -> Self {
        let place = regroup::Place::of(config, &setup, 0);
        let mut replica = Self {
            group: place.group,
            committee: None,
            durable: Durable {
                council: Council::new(config.groups, 0),
                ..Durable::default()
            },
            volatile: Volatile::default(),
            position: place.position,
            audience: place.seats.groups()[place.mine].clone(),
            config: config.clone(),
            setup,
            seats: place.seats,
            mine: place.mine,
        };
        replica.audience = replica.find_audience();
        replica
    }

    fn step(&mut self, input: Input<'_, Message, Timer>, cx: &mut Cx<'_>) {
        match input {
            Input::Start => {
                self.volatile = Volatile {
                    view: self.views().first,
                    ..Volatile::default()
                };
                self.start_group(cx);
                self.return_to_epoch(cx);
            }
            Input::Deliver { from, message } => self.on_message(from, message, cx),
            Input::Timeout(Timer::Group(timer)) => self.run_group(Input::Timeout(timer), cx),
            Input::Timeout(Timer::Committee(timer)) => {
                self.run_committee(Input::Timeout(timer), cx);
            }
            Input::Timeout(Timer::Council) => self.on_refresh(cx),
            Input::Timeout(Timer::Progress) => self.on_progress_timeout(cx),
            Input::Timeout(Timer::Voice) => self.on_voice_timeout(cx),
            Input::Timeout(Timer::Fetch) => self.on_fetch_timeout(cx),
            Input::Submit(transaction) => {
                self.wait_for(transaction.clone(), cx);
                self.on_submit(transaction, cx);
            }
        }
        self.regroup_when_due(cx);
    }

    /// A replica leads if it leads the committee.
    fn status(&self) -> Status {
        let view = self.volatile.view;
        let leader = self.primary();
        let leads = self.volatile.seated.is_some() && leader == Some(self.setup.me);
        Status {
            view,
            leader,
            leads,
        }
    }
}

impl Krbft {
    fn on_message(&mut self, from: NodeId, message: &Message, cx: &mut Cx<'_>) {
        let (epoch, message) = message.opened();
        if message.is_bound() && epoch != self.durable.epoch {
            self.on_other_epoch(from, epoch, cx);
            return;
        }
        match message {
            Message::Group(message) => self.run_group(Input::Deliver { from, message }, cx),
            Message::Committee { seat, message } => {
                self.on_committee(from, (*seat, message), cx);
            }
            Message::Request(transactions) => self.on_request(transactions, cx),
            Message::GroupBlock(told) => self.on_group_block(from, told, cx),
            Message::GroupAck { height, digest } => {
                self.on_group_ack(from, (*height, *digest), cx);
            }
            Message::GroupCommit { height, digest, .. } => {
                self.on_group_commit(from, (*height, *digest), cx);
            }
            Message::GroupFetch { above } => self.on_group_fetch(from, *above, cx),
            Message::GroupBlocks {
                above,
                height,
                blocks,
            } => self.on_group_blocks(from, (*above, *height, blocks), cx),
            Message::Voice {
                number,
                message,
                support,
            } => self.on_voice(from, *number, (message, support), cx),
            Message::VoiceShare { number, voices } => {
                self.on_voice_share(from, (*number, voices), cx);
            }
            Message::Finding(finding) => self.on_finding(from, finding, cx),
            Message::Exposure(exposure) => self.on_exposure(exposure, cx),
            Message::Echo(vote) => self.on_echo(vote, cx),
            Message::HandOver => self.on_hand_over(from, cx),
            Message::HandOverReply(memory) => self.on_hand_over_reply(from, memory, cx),
            Message::BatchFetch(wanted) => self.on_batch_fetch(from, wanted, cx),
            Message::Batches(batches) => self.on_batches(batches, cx),
            Message::CouncilUpdate(update) => self.on_council_update(from, update, cx),
            // It is known already; and nobody wraps twice what is said once.
            Message::Regrouped | Message::Later { .. } => {}
        }
    }

    /// Runs this replica in its group.
    fn run_group(&mut self, input: Input<'_, iraft::Message, iraft::Timer>, cx: &mut Cx<'_>) {
        self.nest_group(|group, cx| group.step(input, cx), cx);
    }

    /// Has the group do something. What it decides is only that a term has begun.
    fn nest_group(
        &mut self,
        run: impl FnOnce(&mut Iraft, &mut Context<'_, iraft::Message, iraft::Timer>),
        cx: &mut Cx<'_>,
    ) {
        let epoch = self.durable.epoch;
        let message = |message| regroup::bound(epoch, Message::Group(Box::new(message)));
        cx.nest_reporting(message, Timer::Group, report, |cx| run(&mut self.group, cx));
        self.follow_group(cx);
    }

    /// The members of this replica's group.
    fn members(&self) -> &Committee {
        &self.seats.groups()[self.mine]
    }
}

/// What observers are told of a group. Its terms and its log are not those of the whole.
fn report(report: Report) -> Option<Report> {
    match report {
        Report::Accuses { .. } | Report::Reached(_) => Some(report),
        Report::Leads { .. }
        | Report::Enters { .. }
        | Report::Prepared { .. }
        | Report::Logged { .. }
        | Report::Restarted { .. }
        | Report::Shared(_) => None,
    }
}
