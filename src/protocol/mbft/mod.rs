//! Mixed Byzantine fault tolerance: many small groups agree on mini-blocks of their own
//! transactions, and one upper group merges these into the large blocks of a single chain.
//!
//! # Protocol
//!
//! `n` nodes: an upper group of `h`, `g` low-level groups of `m` each, and backup nodes, which take
//! requests of clients and follow. Of a group of `k`, `f = ⌊(k−1)/3⌋` may be dishonest and
//! `q = ⌈(k+f+1)/2⌉` are a quorum. The primary of view `v` of a group is its member `v mod k`.
//!
//! - Upon a client's transaction anywhere: forward it to the primary of the group that its
//!   pseudonym hashes to; if it is not in the chain in time, to all members of that group.
//! - Upon enough transactions at a group's primary, if the group's last mini-block is in the
//!   chain, or certified and fewer than `window` are under way: ORDER-REQUEST(slot, view,
//!   mini-block) to the members.
//! - Upon ORDER-REQUEST, if the slot is the next, the mini-block before is the last one in the
//!   chain or, within the window, the last accepted, and every transaction is of this shard, new,
//!   and signed as the mini-block says: SPECULATIVE-REPLY to the primary. Else no vote.
//! - Upon `m` replies: the *fast certificate*. If only `q` come in time: COMMIT-REQUEST with them;
//!   who has accepted answers LOCAL-COMMIT; upon `q` of these the *slow certificate*.
//! - With either, MINI-BLOCK to the upper group; again if it is not included in time.
//! - Upon MINI-BLOCK in the upper group: keep it if the certificate holds. The primary waits for
//!   those of all groups, or for `gather`, and proposes a large block through [`Pbft`]: it names
//!   the mini-blocks and repeats no bodies.
//! - Upon blocks for as long as the view timer runs that leave out a mini-block which could be in
//!   them: MINI-BLOCK to the primary. Upon the same once more: ask for the next view.
//! - A member votes for a proposal if it has every mini-block named, each is the next of its group,
//!   and the place, the time and the content are right. It asks the proposer for what it lacks.
//! - Upon decision: execute; store; send the block with its `q` commits to a part of the nodes
//!   outside, each of which verifies them and executes. Only now is anything final.
//! - Upon expiry of a group's timer: GROUP-VIEW-CHANGE to the members with what was accepted and
//!   proven in the open slot; with `q` of them the next primary opens its view, and first orders
//!   what is proven in the latest view, or else what f+1 have accepted.
//!   Once `q` want a view its primary has a limited time, in which the request is repeated: who is
//!   in the view shows that it is open. Who learns of a view from a certificate in the chain asks
//!   for it likewise.
//! - Who hears of a block but not of the one before, or of nothing for long, asks. A member of the
//!   upper group of an epoch that is over is sent its last block as well, and leaves the group when
//!   it has verified that: nobody else is there.
//! - *Audit*: of a share of mini-blocks, drawn by their digests, every member of the upper group
//!   verifies the signatures again. Who has answered for one that does not hold is shown to the
//!   chain, with the certificate: its signers lose all credit, and the slot is used up.
//! - *Suspension*: when a group is missing from `miss_max` blocks in a row and f+1 of the nodes say
//!   that its requests wait, its shard goes to the others. It takes part again when `q` of its
//!   members have said that they are there.
//! - *Election*, in the last `election` blocks of an epoch of `cycle`, a third each: nodes of
//!   enough credit COMMIT to a secret and deal it to all, so that ⌊(n−1)/3⌋+1 restore it; they
//!   REVEAL it; late ones still do, and all others show their SHAREs of what is missing. The
//!   secrets in the order of their owners make the next beacon. Among those who have committed it
//!   draws first the upper group and then the low-level ones, by credit as it was when the first
//!   secret could be revealed, and no more of one organisation in a group than it bears. If a third
//!   of the secrets is missing the roles stay. What is on its way is void, and its transactions are
//!   dealt anew.
//! - *Credit* is a number for each node, which follows from committed blocks: signatures in
//!   certificates earn it slowly; absence, a lost view and a secret that is late or withheld cost
//!   it; proven lies cost all of it, and two epochs.
//! - *Evidence*: whoever has heard two votes of a member for one place in one view and phase, in a
//!   group or in the upper one, shows them to the chain. A member of the upper group that is sent
//!   a prepare for another block than the primary has proposed to it shows the proposal to the
//!   others (ECHO), who may have been sent that one.
//! - Views of the upper group count on from the number of the epoch, above 32 low bits: nothing
//!   that was signed in one epoch counts in another, though the same nodes may be drawn again.
//!
//! Published sparsely (`publish: sparse`), a block goes out without transactions: what the upper
//! group has written, and one digest of the transactions. With these a node verifies the
//! certificate and follows roles, slots and credit; whoever shows it the bodies of a block, or a
//! mini-block, is held against the digests. The bodies are with the members of the group they
//! belong to, who keep its mini-blocks and fetch those they have missed from who signed them,
//! before they vote for another; whoever signs a mini-block keeps it until its slot is settled,
//! because a certificate holds though a later view orders another; and with the upper group, which
//! executes them and answers clients. So there are two chains: one with all transactions and the
//! contract's state, and one of heads, without.
//!
//! Two certified mini-blocks of one slot may exist. One is included at most: the upper group
//! accepts only the next slot of each group after the last one in the chain.
//!
//! Durable: the chain with its certificates, the PBFT of the upper group, and of a group's member
//! its view, what it accepted and can prove in open slots, and what it keeps of its shard; and
//! which epoch is over without it.
//!
//! # Source
//!
//! M. Du, Q. Chen, X. Ma: MBFT: A New Consensus Algorithm for Consortium Blockchain, IEEE Access 8,
//! 2020, 87665–87675. The lower groups follow R. Kotla et al.: Zyzzyva, SOSP 2007, with changes of
//! view after I. Abraham et al.: Revisiting Fast Practical Byzantine Fault Tolerance,
//! arXiv:1712.01367.
//!
//! # Deviations
//!
//! The publication names layers, groups, random selection and credit, and leaves open messages,
//! quorums and formulas: those here are one reading of it.
//!
//! - Quorums are ⌈(k+f+1)/2⌉ for every size, and not 2f+1, which is safe only for 3f+1.
//! - The upper group runs PBFT. Nothing is final before it has decided; there are no speculative
//!   answers to clients.
//! - Mini-blocks go to all members of the upper group, not to its speaker alone.
//! - A group has one slot open at a time, or as many as `window` says, each ordered when the one
//!   before is certified. If another mini-block is included than the group went on from, all that
//!   follows is void, because each names the one before.
//! - Transactions that the contract refuses stay in the block, marked, so that clients are told.
//!   Of signatures that do not hold the mini-block says so, and everybody looks again.
//! - Groups send no empty mini-blocks. The upper group agrees on empty blocks in elections only,
//!   and its members give the primary the time that it waits before one.
//! - Who may be drawn is fixed before secrets are revealed, and penalties count from the next
//!   epoch: otherwise withholding a secret would shift the draw even if it is restored.
//! - Credit below that of a newcomer grows back: to be cut off is no fault for ever.
//! - There is no emergency election when the upper group has lost its quorum: the chain halts.
//! - Who keeps a shard's bodies does not execute them: the contract's calls are not confined to one
//!   patient (searches, registers, delegations), so a shard alone has no state that would be right.
//!   Nodes without bodies hence know no result. They pass requests on and cannot see whether these
//!   are in the chain: if a client asks again, they tell the whole group.
//! - Sparse publication needs fixed roles: whoever were drawn for another group or the upper one
//!   would first have to fetch a shard, or all of them.
//! - In full, members of a group are sent the bodies of their own group a second time.
//! - Verifiable random functions and publicly verifiable secret sharing are ideal ones.
//!
//! # Messages
//!
//! | kind | from | to | per large block |
//! |---|---|---|---|
//! | `forward` | where a client asks | the group's primary | one for each transaction |
//! | `order-request` | a group's primary | its members | g(m−1) |
//! | `speculative-reply` | the members | their primary | g(m−1) |
//! | `commit-request`, `local-commit` | the same | the same | 2g(m−1) if anybody is missing |
//! | `mini-block` | a group's primary | the upper group | gh |
//! | `pre-prepare`, `prepare`, `commit` | the upper group | the upper group | 2h(h−1) |
//! | `large-block` | the upper group | all others | n−h |
//!
//! Together g(2(m−1)+h) + 2h(h−1) + (n−h). Every `checkpoint_interval` blocks h(h−1)
//! `checkpoint`s. In each election every node sends the upper group one `commitment`, one
//! `disclosure`, and an `extra-disclosure` for each secret that is missing. Only when something is
//! amiss: `echo`, `group-view-change`, `group-new-view`, `fetch-mini-blocks`, `fetch-large-blocks`,
//! `large-blocks`, `missed-mini-block`, `evidence`, `backlog`, `ready`, and the messages of PBFT
//! for that.

mod config;
mod credit;
pub mod draw;
mod duties;
mod election;
mod entry;
mod evidence;
mod fairness;
mod follow;
mod head;
mod inspect;
mod large;
mod lower;
mod lower_row;
mod lower_views;
mod message;
mod mini;
mod past;
mod register;
pub mod risk;
mod roles;
mod shamir;
mod system;
#[cfg(test)]
mod tests;
mod upper;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::crypto::{Certificate, Digest};
use crate::base::node::{Committee, NodeId, PositionSet};
use crate::base::time::Span;
use crate::chain::Height;
use crate::chain::ledger::Executor;
use crate::protocol::pbft::{self, Pbft};
use crate::protocol::{
    Context, FaultModel, Input, Inspector, Misfit, Offence, Protocol, Report, Retry, Setup, Status,
};

pub use config::{
    Config, CreditRule, Mutant, Publish, Recovery, Selection, SubmitTo, Verification,
};
use duties::Duties;
use entry::Entry;
use follow::Follow;
use head::Shelf;
pub use head::{Head, large_of};
use inspect::Follower;
pub use large::{Large, MiniRef};
use lower::{Desk, Member};
pub use message::{GroupChange, GroupView, Message, Published};
pub use mini::{Mini, Phase, Vote};
use past::Past;
use register::Register;
pub use roles::{Role, Roles};
pub use system::System;
use upper::{Table, Upper};

/// What a replica waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// The oldest waiting transaction of a group has waited long enough for company.
    Batch,
    /// Not all members of the group have answered.
    Fast,
    /// A certified mini-block is not in the chain.
    Include,
    /// The group's primary is overdue.
    Group,
    /// The upper primary has waited long enough for mini-blocks.
    Gather,
    /// Nothing is there to propose, and the election has to go on.
    Empty,
    /// A request of a client is overdue.
    Forward,
    /// A block is missing.
    Gap,
    /// Mini-blocks of the own group are missing.
    Bodies,
    /// Nothing has come for long.
    Quiet,
    /// A timer of the upper group's PBFT.
    Upper(pbft::Timer),
}

/// What survives a crash, besides the chain.
#[derive(Clone, Debug, Default)]
struct Durable {
    /// Whether this replica has ever run before.
    booted: bool,
    /// The certificates of the blocks of the chain.
    proofs: BTreeMap<Height, Arc<Certificate<pbft::Vote>>>,
    /// The state of a member of a group.
    member: Option<Member>,
    /// The mini-blocks of its own group that a member keeps.
    shelf: Shelf,
    /// The state of a member of the upper group.
    upper: Option<Upper>,
    /// The epoch that is proven to be over and to whose end this replica has not come. What it was
    /// in its upper group is forgotten, and it takes no part in it again.
    outrun: Option<u32>,
    /// The secret of an epoch's election.
    secret: Option<(u32, Digest)>,
    /// What the blocks of the last step have put an end to.
    past: Past,
}

/// What a crash erases.
#[derive(Clone, Debug)]
struct Volatile {
    /// What follows from the chain.
    register: Register,
    entry: Entry,
    desk: Desk,
    table: Table,
    follow: Follow,
    duties: Duties,
    /// Nodes this one has accused.
    accused: PositionSet,
}

impl Volatile {
    fn new(register: Register) -> Self {
        Self {
            register,
            entry: Entry::default(),
            desk: Desk::default(),
            table: Table::default(),
            follow: Follow::default(),
            duties: Duties::default(),
            accused: PositionSet::new(),
        }
    }
}

/// One replica.
#[derive(Clone, Debug)]
pub struct Mbft {
    config: Config,
    setup: Setup,
    durable: Durable,
    volatile: Volatile,
}

type Cx<'a> = Context<'a, Message, Timer>;

impl Protocol for Mbft {
    const NAME: &'static str = "mbft";
    const ABOUT: &'static str = "Mixed Byzantine fault tolerance: small groups certify \
                                 mini-blocks, an upper group merges them into one chain";
    const FAULTS: FaultModel = FaultModel::Byzantine;
    const RETRY: Retry = Retry::Next;
    const IN_PARTS: bool = true;
    type Config = Config;
    type Message = Message;
    type Timer = Timer;

    fn check(config: &Config, n: usize) -> Vec<Misfit> {
        config.misfits(n)
    }

    /// f primaries in a row fail in a group, f in the upper group, each after a wait twice as long
    /// as the one before; a certified mini-block is submitted again, and who missed a block asks.
    fn liveness_bound(config: &Config, n: usize, delay: Span) -> Span {
        let most = config.group_size.max(config.upper_size);
        let f = (n.max(1).min(most) - 1) / 3;
        let n = 3 * f + 1;
        let doubled = 1_u64 << (f + 1).min(16);
        let upper = Pbft::liveness_bound(&config.upper, n, delay);
        let group = config.group_timeout * doubled * 2 + config.group_timeout * 2;
        let entry = config.forward_timeout * 4;
        let waits = config.fast_timeout + config.gather * 2 + config.inclusion_timeout;
        let asking = (config.quiet + config.publish_timeout) * (f as u64 + 2);
        upper + group + entry + waits + asking + delay * 16
    }

    fn grown_waits(config: &Config, trouble: Span, bad: usize) -> Span {
        let most = config.group_size.max(config.upper_size);
        Pbft::grown_waits(&config.upper, trouble, bad.min((most - 1) / 3))
    }

    /// Every group, and the upper one, does without a third of its members. Which nodes are in one
    /// group is known of the first epoch only; later draws go by chance.
    fn recovers(config: &Config, n: usize, missing: &PositionSet, _: &PositionSet) -> bool {
        let groups = config.groups_of(n);
        let roles = Roles::genesis(n, config.upper_size, groups, config.group_size);
        let survives = |committee: &Committee| {
            let lost = committee.members().iter();
            let lost = lost.filter(|member| missing.contains(member.index()));
            lost.count() + committee.quorum() <= committee.n()
        };
        survives(&roles.upper) && roles.groups.iter().all(survives)
    }

    /// Published sparsely, the chain of the upper group has the transactions, and that of all
    /// others their digests.
    fn chain_of(config: &Config, _: usize, node: NodeId) -> Option<usize> {
        let outside = node.index() >= config.upper_size;
        Some(usize::from(config.publish == Publish::Sparse && outside))
    }

    fn answering(config: &Config, n: usize) -> usize {
        match config.publish {
            Publish::Full => n,
            Publish::Sparse => config.upper_size,
        }
    }

    fn inspector(config: &Config, n: usize, executor: Executor) -> Option<Box<dyn Inspector>> {
        Some(Box::new(Follower::new(config, n, executor)))
    }

    fn new(config: &Config, setup: Setup) -> Self {
        let n = setup.committee.n();
        assert_eq!(setup.committee, Committee::first(n), "all nodes take part");
        let volatile = Volatile::new(Register::genesis(config, n));
        Self {
            config: config.clone(),
            setup,
            durable: Durable::default(),
            volatile,
        }
    }

    fn step(&mut self, input: Input<'_, Message, Timer>, cx: &mut Cx<'_>) {
        if !matches!(input, Input::Start) {
            self.durable.past.forget();
        }
        match input {
            Input::Start => self.on_start(cx),
            Input::Submit(transaction) => self.on_submit(&transaction, cx),
            Input::Deliver { from, message } => self.on_message(from, message, cx),
            Input::Timeout(timer) => self.on_timer(timer, cx),
        }
        self.proceed(cx);
    }

    fn status(&self) -> Status {
        match &self.durable.upper {
            Some(upper) => upper.pbft.status(),
            None => {
                let view = self.volatile.table.view;
                Status {
                    view,
                    leader: Some(self.volatile.register.roles.upper.leader(view)),
                    leads: false,
                }
            }
        }
    }
}

impl Mbft {
    /// Boot, or return from a crash: what follows from the chain is made anew.
    fn on_start(&mut self, cx: &mut Cx<'_>) {
        let mut register = Register::genesis(&self.config, self.setup.committee.n());
        for height in 1..=cx.ledger().height() {
            let block = cx.ledger().block(height).expect("the chain has no gap");
            register.apply(block);
        }
        let height = register.height;
        self.durable.proofs.retain(|proven, _| *proven <= height);
        self.return_to(height);
        self.volatile = Volatile::new(register);
        self.look_through_shelf(cx);
        let proof = self.durable.proofs.get(&height);
        self.note_view(proof.map_or(0, |proof| proof.body().view));
        cx.set_timer(Timer::Quiet, self.config.quiet);
        self.take_role();
        let epoch = self.volatile.register.roles.epoch;
        let resumed = self.durable.upper.as_ref();
        let resumed = resumed.is_some_and(|upper| upper.epoch == epoch);
        if resumed {
            self.run_upper(Input::Start, cx);
        } else {
            self.found_upper(cx);
        }
        if std::mem::replace(&mut self.durable.booted, true) {
            self.ask_for_blocks(cx);
        }
        self.resume_group(cx);
        self.expect_block(cx);
        self.do_duties(cx);
    }

    /// Takes up the role of the present epoch.
    fn take_role(&mut self) {
        // A group's member of the epoch before has nothing to promise in this one.
        let epoch = self.volatile.register.roles.epoch;
        match self.role() {
            Role::Member(group) => {
                let known = self.durable.member.as_ref();
                if known.is_none_or(|member| (member.epoch, member.group) != (epoch, group)) {
                    self.durable.member = Some(Member::new(epoch, group));
                }
            }
            Role::Upper | Role::Backup => self.durable.member = None,
        }
    }

    fn on_message(&mut self, from: NodeId, message: &Message, cx: &mut Cx<'_>) {
        match message {
            Message::Forward(transactions) => {
                self.on_forward(transactions, cx);
                self.watch_group(false, cx);
            }
            Message::Order { vote, mini } => self.on_order(from, vote, mini, cx),
            Message::Accept(vote) => self.on_accept(vote, cx),
            Message::CommitRequest(proof) => self.on_commit_request(proof, cx),
            Message::LocalCommit(vote) => self.on_local_commit(vote, cx),
            Message::MiniBlock { mini, proof } => self.on_mini_block(from, (mini, proof), cx),
            Message::GroupChange(change) => self.on_group_change(change, cx),
            Message::GroupView(view) => self.on_group_view(from, view, cx),
            Message::Upper {
                epoch,
                message,
                carried,
            } => self.on_upper(from, (*epoch, carried), message, cx),
            Message::Echo(vote) => self.on_echo(vote, cx),
            Message::Large(published) => self.on_large(published, cx),
            Message::System(signed) => self.on_system(signed, cx),
            Message::FetchMinis(wanted) => self.on_fetch_minis(from, wanted, cx),
            Message::Fetch { above } => self.on_fetch(from, *above, cx),
            Message::Blocks(blocks) => self.on_blocks(from, blocks, cx),
            Message::Body(mini) => self.on_body(mini, cx),
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Cx<'_>) {
        match timer {
            Timer::Batch => self.on_ripe(),
            Timer::Fast => self.on_fast_over(cx),
            Timer::Include => self.on_inclusion_overdue(cx),
            Timer::Group => self.on_group_overdue(cx),
            Timer::Gather => self.on_gathered(),
            Timer::Empty => self.on_empty(cx),
            Timer::Forward => self.on_forward_due(cx),
            Timer::Gap => self.on_gap(cx),
            Timer::Bodies => self.ask_for_bodies(cx),
            Timer::Quiet => self.on_quiet(cx),
            Timer::Upper(timer) => self.run_upper(Input::Timeout(timer), cx),
        }
    }

    /// Does what has become possible.
    fn proceed(&mut self, cx: &mut Cx<'_>) {
        loop {
            let before = self.volatile.register.height;
            self.check_proposals(cx);
            self.propose(cx);
            self.order(cx);
            if self.volatile.register.height == before {
                return;
            }
        }
    }

    /// Names a liar, once.
    fn accuse(&mut self, culprit: NodeId, offence: Offence, cx: &mut Cx<'_>) {
        if self.volatile.accused.insert(culprit.index()) {
            cx.report(Report::Accuses { culprit, offence });
        }
    }

    /// Whether a guard is left out in this test.
    #[cfg(any(test, feature = "mutants"))]
    fn mutant(&self, guard: Mutant) -> bool {
        self.config.mutant == Some(guard)
    }

    #[cfg(not(any(test, feature = "mutants")))]
    #[expect(clippy::unused_self, reason = "the other build asks the configuration")]
    fn mutant(&self, _guard: Mutant) -> bool {
        false
    }
}
