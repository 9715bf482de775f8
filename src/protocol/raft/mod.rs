//! RAFT: a strong leader replicates a log to a majority.
//!
//! # Protocol
//!
//! One entry of the log is one batch, so the index of an entry is its height in the chain.
//!
//! - Upon hearing no leader for an election time-out, drawn anew from `[T_min, T_max)`: ask
//!   everybody for a pre-vote in the next term. Upon a majority of pre-votes: enter that term, vote
//!   for oneself, write both to disk and ask for votes. Upon a majority of votes: lead.
//! - A pre-vote is given for a later term to a log at least as up-to-date as one's own; a vote, in
//!   addition, once a term, and is on disk before it is sent. Neither is given while a leader was
//!   heard within `T_min`.
//! - A new leader appends an empty entry. Upon a batch: append it, send it to every follower whose
//!   window is open, write it to disk meanwhile, then count oneself. Upon a majority that holds an
//!   entry *of the leader's own term*: it and all before it are committed, and decided in order.
//! - Upon entries that follow on one's own log: remove what conflicts, append, write to disk,
//!   answer, and decide what the leader says is committed. Upon others: answer with the first entry
//!   of the conflicting term, where the leader tries next.
//! - Upon a higher term: enter it as a follower, and wait no longer for its sake: only a vote given
//!   and a leader heard put off standing. Upon a lower one: answer with one's own.
//! - A leader that has not heard a majority within `T_max` steps down (check-quorum).
//! - A follower that needs entries which were compacted is sent a snapshot.
//! - With `reads: index`, upon a read: once an entry of the own term is committed and a majority
//!   has answered a heartbeat sent after the read arrived, answer from the state at the head.
//! - Transactions reach the leader by any replica, which keeps them until they are decided and
//!   forwards them again to each new leader. What was executed is not executed twice.
//!
//! # Source
//!
//! D. Ongaro, J. Ousterhout, "In Search of an Understandable Consensus Algorithm (Extended
//! Version)", 2014: elections §5.2, replication and conflict hints §5.3, safety and the commit
//! rule §5.4, compaction §7, clients and reads §8. D. Ongaro, "Consensus: Bridging Theory and
//! Practice", 2014: read index §6.4, check-quorum §6.2, pre-vote §9.6, parallel disk write and
//! pipelining §10.2.
//!
//! # Deviations
//!
//! - Empty appends are messages of their own, `heartbeat`: they carry the committed entry's index
//!   and term instead of the previous entry, so that one message serves every follower. A follower
//!   that holds an entry of that index and term holds the same log up to it (Log Matching).
//! - An append that overtook another one of its term waits at the follower until the gap closes, at
//!   most `pipeline` of them; the paper refuses it. Lost appends are found by heartbeats.
//! - Time-outs are drawn when a replica starts, stands, votes or follows the leader of a new term,
//!   not at each heartbeat; the timer is set anew only when it fires. The time-out's distribution
//!   is the same.
//! - A heartbeat goes to followers to which nothing was sent for one interval, not to all.
//! - A leader proposes at most `uncommitted_max` batches ahead of what is committed; the paper sets
//!   no limit, and a leader without one may be too busy with its backlog to send heartbeats.
//! - A snapshot is the contract's state itself, sent in one message; membership is fixed.
//!
//! # Messages
//!
//! A batch costs `2(n−1)`: n−1 `append` and n−1 `append-reply`; the commit travels on the next
//! `append` or `heartbeat`. An idle heartbeat interval costs `2(n−1)`, an undisturbed election
//! `4(n−1)`: `pre-vote`, `pre-vote-reply`, `vote`, `vote-reply`. A transaction that reaches a
//! follower costs one `forward`. Nothing is signed.

mod config;
mod election;
mod follower;
mod leader;
mod log;
mod message;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use config::{Config, Mutant, Reads};
pub use message::{
    Answer, Append, Entry, Heartbeat, HeartbeatReply, Message, Position, Reply, Snapshot, Vote,
    VoteReply,
};

use super::mempool::{BatchRule, Mempool};
use super::{Context, FaultModel, Input, Misfit, Protocol, Quorums, Report, Retry, Setup, Status};
use crate::base::node::{Committee, NodeId, PositionSet};
use crate::base::time::{Span, Time};
use crate::base::units::Bytes;
use crate::chain::{Batch, Transaction};
use leader::Leader;
use log::Log;

/// The timers of a replica.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// A follower has heard no leader; a leader checks that it hears a majority.
    Election,
    /// A leader has been silent.
    Heartbeat,
    /// A transaction has waited long enough for company.
    Batch,
}

type Cx<'a> = Context<'a, Message, Timer>;

/// What survives a crash.
#[derive(Clone, Debug, Default)]
struct Durable {
    term: u64,
    voted_for: Option<NodeId>,
    log: Log,
}

/// What a replica does in its term.
#[derive(Clone, Debug, Default)]
enum Role {
    #[default]
    Follower,
    /// Asks whether it would win; holds who would vote for it.
    PreCandidate(PositionSet),
    /// Asks for votes; holds who gave them.
    Candidate(PositionSet),
    Leader(Box<Leader>),
}

/// What a crash takes.
#[derive(Clone, Debug, Default)]
struct Volatile {
    role: Role,
    /// Who leads this term, if known.
    leader: Option<NodeId>,
    /// Everything up to here is committed and decided.
    commit: u64,
    /// Everything decided up to here is on disk.
    written: u64,
    /// Whether durable state changed since it was last written.
    dirty: bool,
    /// When the leader was last heard, or a vote given, or an election begun.
    rested: Time,
    /// How long after that to stand.
    timeout: Span,
    /// Up to where the log is known to equal that of this term's leader.
    verified: u64,
    /// Whether entries of this leader were accepted, so that a gap means that others are late.
    in_step: bool,
    /// Appends of this term that overtook others, by the index they follow.
    early: BTreeMap<u64, Append>,
    mempool: Mempool,
    /// Reads to be answered by a leader that is not known yet.
    reads: Vec<Arc<Transaction>>,
    /// Whether transactions that were proposed in vain wait again since this step began.
    restored: bool,
    /// Whether the batch timer runs.
    batching: bool,
    /// Whether what waits has waited enough, and goes as soon as there is room.
    ripe: bool,
    /// Whether something was committed, so that more may be proposed.
    room_grew: bool,
}

/// One replica.
#[derive(Clone, Debug)]
pub struct Raft {
    config: Config,
    setup: Setup,
    /// Whether decisions go to a parent protocol instead of this node's ledger.
    nested: bool,
    durable: Durable,
    volatile: Volatile,
}

impl Protocol for Raft {
    const NAME: &'static str = "raft";
    const ABOUT: &'static str = "a leader elected by a majority replicates a log; survives crashes";
    const FAULTS: FaultModel = FaultModel::Crash;
    const RETRY: Retry = Retry::Next;
    type Config = Config;
    type Message = Message;
    type Timer = Timer;

    fn check(config: &Config, _n: usize) -> Vec<Misfit> {
        config.misfits()
    }

    fn liveness_bound(config: &Config, _n: usize, delay: Span) -> Span {
        // Ten elections, of which each succeeds with probability three quarters or more, and the
        // four hops of a command.
        (config.election_timeout[1] + delay * 2) * 10 + delay * 4
    }

    fn quorums(_: &Config, n: usize) -> Quorums {
        let majority = Committee::first(n).majority();
        Quorums {
            leads: Some(("vote", majority)),
            logged: Some(majority),
            ..Quorums::default()
        }
    }

    fn new(config: &Config, setup: Setup) -> Self {
        Self {
            config: config.clone(),
            setup,
            nested: false,
            durable: Durable::default(),
            volatile: Volatile::default(),
        }
    }

    fn step(&mut self, input: Input<'_, Message, Timer>, cx: &mut Cx<'_>) {
        if !matches!(input, Input::Start) {
            self.forget();
        }
        match input {
            Input::Start => self.start(cx),
            Input::Deliver { from, message } => {
                if self.setup.committee.contains(from) {
                    self.on_message(from, message, cx);
                }
            }
            Input::Timeout(Timer::Election) => self.on_election_timeout(cx),
            Input::Timeout(Timer::Heartbeat) => self.on_heartbeat_timeout(cx),
            Input::Timeout(Timer::Batch) => self.on_batch_timeout(cx),
            Input::Submit(transaction) => self.on_submit(transaction, cx),
        }
        while std::mem::take(&mut self.volatile.room_grew) && self.status().leads {
            self.cut_batches(cx);
        }
        self.sync(cx);
        self.invariants();
    }

    fn status(&self) -> Status {
        Status {
            view: self.durable.term,
            leader: self.volatile.leader,
            leads: matches!(self.volatile.role, Role::Leader(_)),
        }
    }
}

impl Raft {
    /// A replica whose decisions go to a parent protocol ([`Context::nest`]): it neither reads nor
    /// writes the node's ledger, keeps its whole log, and after a crash decides it from the first
    /// entry again, as far as it is committed.
    pub fn nested(config: &Config, setup: Setup) -> Self {
        Self {
            nested: true,
            ..Self::new(config, setup)
        }
    }

    /// Has the group decide this batch, which is not taken from clients; false if this replica
    /// does not lead or has as many batches in progress as it may.
    pub fn propose_batch(&mut self, batch: Batch, cx: &mut Cx<'_>) -> bool {
        let may = self.status().leads && self.has_room();
        if may {
            self.propose(batch, cx);
            self.sync(cx);
            self.invariants();
        }
        may
    }

    /// Forgets what is not durable and waits for a leader.
    fn start(&mut self, cx: &mut Cx<'_>) {
        self.volatile = Volatile::default();
        let last = self.durable.log.last();
        self.volatile.commit = if self.nested {
            self.durable.log.base().index
        } else {
            cx.ledger().height()
        };
        let prefix = self.prefix_at(last.index);
        let Position { index, term } = last;
        cx.report(if last == self.durable.log.base() {
            Report::Restarted {
                index,
                term,
                prefix,
            }
        } else {
            Report::Logged {
                index,
                term,
                prefix,
            }
        });
        self.rest(cx);
    }

    fn on_message(&mut self, from: NodeId, message: &Message, cx: &mut Cx<'_>) {
        match message {
            Message::PreVote(vote) => self.on_pre_vote(from, vote, cx),
            Message::PreVoteReply(reply) => self.on_pre_vote_reply(from, reply, cx),
            Message::Vote(vote) => self.on_vote(from, vote, cx),
            Message::VoteReply(reply) => self.on_vote_reply(from, reply, cx),
            Message::Append(append) => self.on_append(from, append, cx),
            Message::Heartbeat(heartbeat) => self.on_heartbeat(from, heartbeat, cx),
            Message::Snapshot(snapshot) => self.on_snapshot(from, snapshot, cx),
            Message::AppendReply(reply) | Message::SnapshotReply(reply) => {
                self.on_append_reply(from, reply, cx);
            }
            Message::HeartbeatReply(reply) => self.on_heartbeat_reply(from, reply, cx),
            Message::Forward(transactions) => self.on_forward(from, transactions, cx),
        }
    }

    fn on_submit(&mut self, transaction: Arc<Transaction>, cx: &mut Cx<'_>) {
        if self.is_read(&transaction) {
            match self.volatile.leader {
                Some(leader) if leader != cx.me() => {
                    cx.send(leader, Message::Forward(vec![transaction]));
                }
                Some(_) => self.read(transaction, cx),
                None => self.volatile.reads.push(transaction),
            }
            return;
        }
        self.volatile.mempool.insert(transaction.clone());
        match self.volatile.leader {
            // Known or not: a client that asks again suspects that a message was lost.
            Some(leader) if leader != cx.me() => {
                cx.send(leader, Message::Forward(vec![transaction]));
            }
            Some(_) => self.cut_batches(cx),
            None => {}
        }
    }

    fn on_forward(&mut self, from: NodeId, transactions: &[Arc<Transaction>], cx: &mut Cx<'_>) {
        let mut fresh = Vec::new();
        for transaction in transactions {
            if self.is_read(transaction) {
                // Without leadership the read is dropped, and its client asks again.
                self.read(transaction.clone(), cx);
            } else if self.volatile.mempool.insert(transaction.clone()) {
                fresh.push(transaction.clone());
            }
        }
        match self.volatile.leader {
            Some(leader) if leader == cx.me() => self.cut_batches(cx),
            Some(leader) if leader != from && !fresh.is_empty() => {
                cx.send(leader, Message::Forward(fresh));
            }
            // The leader is not known, or sent this itself: kept until a leader is heard.
            Some(_) | None => {}
        }
    }

    /// Sends everything that waits to the leader that was just learnt.
    fn forward_pending(&mut self, leader: NodeId, cx: &mut Cx<'_>) {
        let everything = BatchRule {
            max: usize::MAX,
            bytes: Bytes(u64::MAX),
            wait: Span::ZERO,
        };
        let mut transactions = std::mem::take(&mut self.volatile.reads);
        if let Some(batch) = self.volatile.mempool.take(&everything) {
            transactions.extend(batch.transactions().iter().cloned());
            self.volatile.mempool.restore(&batch);
        }
        if !transactions.is_empty() {
            cx.send(leader, Message::Forward(transactions));
        }
    }

    /// Decides everything up to this index, in order.
    fn commit_to(&mut self, index: u64, cx: &mut Cx<'_>) {
        while self.volatile.commit < index {
            let next = self.volatile.commit + 1;
            let batch = self.batch_at(next);
            cx.decide(next, &batch);
            self.volatile.mempool.settle(&batch);
            self.volatile.commit = next;
        }
    }

    /// Compacts the log. What a compaction forgets is in the ledger, and on disk there: nothing
    /// needs to be written for it. It is done before a step, and never in the step that decides:
    /// a crash may end that step before all that it has decided is executed.
    fn forget(&mut self) {
        let keep = self.config.compact_after;
        let spare = self.volatile.commit.saturating_sub(keep);
        let spare = spare.min(self.volatile.written);
        if !self.nested && keep > 0 && spare > self.durable.log.base().index {
            self.durable.log.compact(spare);
        }
    }

    /// Appends an entry and tells observers.
    fn log_entry(&mut self, entry: Entry, cx: &mut Cx<'_>) {
        let term = entry.term;
        let (index, prefix) = self.durable.log.push(entry);
        self.volatile.dirty = true;
        cx.report(Report::Logged {
            index,
            term,
            prefix,
        });
    }

    /// Enters a later term, or stays in this one, as a follower of nobody yet. A later term alone
    /// is no reason to wait longer before standing: who cannot win would keep others waiting.
    fn follow(&mut self, term: u64, cx: &mut Cx<'_>) {
        assert!(term >= self.durable.term, "terms never decrease");
        let led = matches!(self.volatile.role, Role::Leader(_));
        let entered = term > self.durable.term;
        self.volatile.role = Role::Follower;
        self.volatile.leader = None;
        if entered {
            self.durable.term = term;
            self.durable.voted_for = None;
            self.ballot_changed();
            self.forget_leader();
            cx.report(Report::Enters { view: term });
        }
        if led {
            cx.cancel_timer(Timer::Heartbeat);
            self.stop_batching(cx);
        }
        if led {
            self.rest(cx);
        }
    }

    /// Draws a new time-out and counts it from now.
    fn rest(&mut self, cx: &mut Cx<'_>) {
        let [low, high] = self.config.election_timeout;
        let drawn = cx.between(low, high);
        let fixed = self.broken(Mutant::FixedTimeout);
        self.volatile.timeout = if fixed { low } else { drawn };
        self.volatile.rested = cx.now();
        cx.set_timer(Timer::Election, self.volatile.timeout);
    }

    fn stop_batching(&mut self, cx: &mut Cx<'_>) {
        self.volatile.ripe = false;
        if std::mem::take(&mut self.volatile.batching) {
            cx.cancel_timer(Timer::Batch);
        }
    }

    /// Notes that term or vote changed.
    fn ballot_changed(&mut self) {
        if !self.broken(Mutant::TermNotPersisted) {
            self.volatile.dirty = true;
        }
    }

    /// Writes what changed; comes before every message that depends on it.
    fn sync(&mut self, cx: &mut Cx<'_>) {
        if std::mem::take(&mut self.volatile.dirty) {
            cx.persist();
            self.volatile.written = self.volatile.commit;
        }
    }

    /// Sends to some followers, as one message.
    fn multicast(&self, to: Vec<NodeId>, message: Message, cx: &mut Cx<'_>) {
        match to.as_slice() {
            [] => {}
            [one] => cx.send(*one, message),
            some if some.len() + 1 == self.setup.committee.n() => {
                cx.broadcast(&self.setup.committee, message);
            }
            _ => cx.broadcast(&Committee::new(to), message),
        }
    }

    fn is_read(&self, transaction: &Transaction) -> bool {
        self.config.reads == Reads::Index && transaction.call.reads_only()
    }

    fn batch_at(&self, index: u64) -> Batch {
        let entry = self.durable.log.entry(index);
        entry
            .expect("what is committed is in the log")
            .batch
            .clone()
    }

    fn prefix_at(&self, index: u64) -> u64 {
        let prefix = self.durable.log.prefix(index);
        prefix.expect("the end of the log has a digest")
    }

    fn position(&self, node: NodeId) -> usize {
        let position = self.setup.committee.position(node);
        position.expect("only members are listened to")
    }

    /// Gives a replica a past, which its next start finds on disk.
    #[cfg(test)]
    pub fn remember(&mut self, term: u64, entries: Vec<Entry>) {
        self.durable = Durable {
            term,
            ..Durable::default()
        };
        for entry in entries {
            self.durable.log.push(entry);
        }
    }

    #[cfg(any(test, feature = "mutants"))]
    fn broken(&self, mutant: Mutant) -> bool {
        self.config.mutant == Some(mutant)
    }

    #[cfg(not(any(test, feature = "mutants")))]
    #[allow(clippy::unused_self)]
    const fn broken(&self, _mutant: Mutant) -> bool {
        false
    }

    /// What holds after every step.
    fn invariants(&self) {
        let (log, volatile) = (&self.durable.log, &self.volatile);
        assert!(volatile.commit <= log.last_index(), "decided is logged");
        assert!(log.base().index <= volatile.commit, "forgotten is decided");
        assert!(
            log.last().term <= self.durable.term,
            "no entry of the future"
        );
        assert!(!volatile.dirty, "every durable change is written");
        let me = Some(self.setup.me);
        let leads = matches!(volatile.role, Role::Leader(_));
        assert_eq!(leads, volatile.leader == me, "a leader follows itself");
    }
}
