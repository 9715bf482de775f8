//! The improved RAFT: a leader replicates a signed, hash-chained log, and whoever contradicts
//! itself is identified.
mod audit;
mod commit;
mod config;
mod content;
mod election;
mod evidence;
mod follower;
mod judge;
mod leader;
mod lies;
mod log;
mod message;
mod peer;
mod rank;
mod statement;
mod suspicion;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub use config::{Config, Monitors, Mutant, Profile, Quorum};
pub use content::{Content, Entry};
pub use evidence::{Evidence, Witness, verify_evidence};
pub use message::{
    Answer, Append, Backing, Election, Heartbeat, HeartbeatReply, Message, PreVote, PreVoteReply,
    Prepared, Reply, Snapshot, Told, Vote, VoteReply, Warrant,
};
pub use statement::{Ack, Ballot, Claim, Complaint, Header, Mark, Share, Stage, Standing, link};

use super::mempool::{BatchRule, Mempool};
use super::tally::Tally;
use super::{Context, FaultModel, Input, Misfit, Protocol, Report, Retry, Setup, Status};
use crate::base::crypto::{Certificate, Signed};
use crate::base::node::{Committee, NodeId, PositionSet};
use crate::base::time::{Span, Time};
use crate::base::units::Bytes;
use crate::chain::{Batch, Transaction};
use audit::Audit;
use judge::Watch;
use leader::Leader;
use log::{Branch, Log};

/// The timers of a replica.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// A follower has heard no leader; a leader checks that it hears a quorum.
    Election,
    /// A leader has been silent.
    Heartbeat,
    /// A transaction has waited long enough for company.
    Batch,
    /// Requests have waited long for the leader.
    Progress,
    /// A contradiction of the leader would have arrived by now.
    Wait,
}

type Cx<'a> = Context<'a, Message, Timer>;

/// What survives a crash.
#[derive(Clone, Debug, Default)]
struct Durable {
    term: u64,
    /// The vote given in this term, with what was said beside it.
    voted: Option<(Signed<Ballot>, Signed<Standing>)>,
    /// Why this term has begun.
    warrant: Option<Warrant>,
    log: Log,
    /// What the lock is about, where the log holds something else.
    branch: Branch,
    /// The certificate of the latest entry known to be held by a quorum, in profile `hardened`.
    lock: Option<Arc<Certificate<Ack>>>,
    convicted: BTreeMap<NodeId, Arc<Evidence>>,
    /// Who is no member any more, by entries that are committed.
    excluded: Vec<NodeId>,
}

/// What a replica does in its term.
#[derive(Clone, Debug, Default)]
enum Role {
    #[default]
    Follower,
    /// Asks whether a term may begin; holds whose shares it has.
    PreCandidate(u64, Tally<Share>),
    /// Asks for votes; holds who gave them.
    Candidate(Tally<Ballot>),
    Leader(Box<Leader>),
}

/// What a crash takes.
#[derive(Clone, Debug, Default)]
struct Volatile {
    role: Role,
    /// Who leads this term, if known.
    leader: Option<NodeId>,
    /// Why.
    election: Option<Arc<Election>>,
    /// Who hears this replica's answers to the leader.
    audience: Option<Committee>,
    /// Whether this term's leader was given up, and is not followed again.
    abandoned: bool,
    /// Everything up to here is committed and decided.
    commit: u64,
    /// Whether durable state changed since it was last written.
    dirty: bool,
    /// When the leader was last heard, or a vote given, or an election begun.
    rested: Time,
    /// How long after that to stand.
    timeout: Span,
    /// From when on the leader counts as dead.
    dead_from: Time,
    /// Terms entered since something was last decided.
    failed: u32,
    /// Terms passed over because this replica may not stand for them.
    skipped: u64,
    /// The latest term each member has spoken of, by position.
    hints: Vec<u64>,
    /// A request for a vote that came while the leader lived.
    lazy: Option<Box<Vote>>,
    /// Votes for this replica in this term.
    ballots: BTreeMap<NodeId, Signed<Ballot>>,
    /// Up to where the log is known to equal that of this term's leader.
    verified: u64,
    /// Whether entries of this leader were accepted, so that a gap means that others are late.
    in_step: bool,
    /// Appends of this term that overtook others, by the index they follow.
    early: BTreeMap<u64, Append>,
    /// What was signed in this term.
    watch: Watch,
    /// Proof of a first round on entries that are not here yet.
    prepared: Option<Box<Prepared>>,
    /// Up to which index this replica has voted in the second round in this term.
    locked: u64,
    /// Proof of a decision, perhaps on entries that are not here yet.
    decision: Option<Arc<Certificate<Ack>>>,
    /// In profile `sync`: when this replica voted on each entry, until it is decided.
    acked: VecDeque<(u64, Time)>,
    mempool: Mempool,
    /// Whether transactions that were proposed in vain wait again since this step began.
    restored: bool,
    /// Whether the batch timer runs.
    batching: bool,
    /// Whether what waits has waited enough, and goes as soon as there is room.
    ripe: bool,
    /// Whether something was committed, so that more may be proposed.
    room_grew: bool,
    /// When something was last decided, or a leader began.
    progressed: Time,
    /// Whether the progress timer runs.
    impatient: bool,
    /// Who complains of this term's leader.
    complaints: PositionSet,
    /// Suspicions against each member, by position.
    strikes: Vec<u32>,
    audit: Audit,
}

/// One replica.
#[derive(Clone, Debug)]
pub struct Iraft {
    config: Config,
    setup: Setup,
    /// Whether decisions go to a parent protocol instead of this node's ledger.
    nested: bool,
    durable: Durable,
    volatile: Volatile,
}

impl Protocol for Iraft {
    const NAME: &'static str = "iraft";
    const ABOUT: &'static str = "RAFT with a signed, hash-chained log: identifies liars, and with \
                                 two certificates survives a third of them";
    const FAULTS: FaultModel = FaultModel::Byzantine;
    const RETRY: Retry = Retry::All;
    type Config = Config;
    type Message = Message;
    type Timer = Timer;

    fn check(config: &Config, _n: usize) -> Vec<Misfit> {
        config.misfits()
    }

    /// f leaders in a row are bad and each is borne for a progress time-out, or found dead; ten
    /// elections in a row may fail by chance, with time-outs that grow eightfold at most; then come
    /// the rounds of a decision.
    fn liveness_bound(config: &Config, n: usize, delay: Span) -> Span {
        let bad = (n.max(1) - 1) as u64 / 3 + 1;
        let order = config.rank_slot * 2 * n as u64;
        let election = config.election_timeout[1] * 4 + order + delay * 4;
        let patience = config.progress_timeout * 2 + election * 2;
        election * 10 + patience * bad + config.delta * 2 + delay * 8
    }

    fn new(config: &Config, setup: Setup) -> Self {
        assert!(setup.committee.contains(setup.me), "a replica is a member");
        Self {
            config: config.clone(),
            setup,
            nested: false,
            durable: Durable::default(),
            volatile: Volatile::default(),
        }
    }

    fn step(&mut self, input: Input<'_, Message, Timer>, cx: &mut Cx<'_>) {
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
            Input::Timeout(Timer::Progress) => self.on_progress_timeout(cx),
            Input::Timeout(Timer::Wait) => self.on_wait_over(cx),
            Input::Submit(transaction) => self.on_submit(transaction, cx),
        }
        self.finish(cx);
    }

    fn status(&self) -> Status {
        Status {
            view: self.durable.term,
            leader: self.volatile.leader,
            leads: self.leads(),
        }
    }
}

/// What a parent protocol asks of the replica inside it.
impl Iraft {
    /// A replica whose decisions go to a parent protocol ([`Context::nest`]): it neither reads nor
    /// writes the node's ledger, keeps its whole log, and after a crash decides it from the first
    /// entry again, as far as it is known to be committed.
    pub fn nested(config: &Config, setup: Setup) -> Self {
        Self {
            nested: true,
            ..Self::new(config, setup)
        }
    }

    /// Has the group decide this batch, which is not taken from clients; false if this replica
    /// does not lead, or has as many batches in progress as it may.
    pub fn propose_batch(&mut self, batch: Batch, cx: &mut Cx<'_>) -> bool {
        if !self.leads() || !self.has_room() {
            return false;
        }
        self.propose(Content::of(batch), cx);
        self.finish(cx);
        true
    }

    /// Who leads the group and why: votes of a quorum for a term, which [`verify_election`]
    /// checks. Nothing while no leader is known.
    pub fn election(&self) -> Option<(NodeId, &Arc<Election>)> {
        Some((self.volatile.leader?, self.volatile.election.as_ref()?))
    }

    /// Whom this replica has convicted, each with the proof.
    pub fn convicted(&self) -> &BTreeMap<NodeId, Arc<Evidence>> {
        &self.durable.convicted
    }

    /// Who has been excluded from the group, in order.
    pub fn excluded(&self) -> &[NodeId] {
        &self.durable.excluded
    }
}

/// Who leads which term of a group of these members, if the votes prove it: for those outside the
/// group, who need the public keys and the group's configuration.
pub fn verify_election(
    election: &Election,
    committee: &Committee,
    config: &Config,
    keyring: &crate::base::crypto::Keyring,
) -> Option<(u64, NodeId)> {
    let proofs = election.evidence.iter();
    let guilty = proofs.filter_map(|proof| verify_evidence(proof, keyring, committee));
    let guilty: std::collections::BTreeSet<NodeId> = guilty.collect();
    let judge = judge::Judge {
        config,
        committee,
        keyring,
    };
    let ballot = *election.certificate.body();
    judge
        .suffices(&election.certificate, guilty.iter().copied())
        .then_some((ballot.term, ballot.candidate))
}

impl Iraft {
    /// What every step ends with.
    fn finish(&mut self, cx: &mut Cx<'_>) {
        while std::mem::take(&mut self.volatile.room_grew) && self.leads() {
            self.cut_batches(cx);
        }
        self.be_impatient(cx);
        self.sync(cx);
        self.invariants();
    }

    /// Forgets what is not durable and waits for a leader.
    fn start(&mut self, cx: &mut Cx<'_>) {
        let n = self.setup.committee.n();
        self.volatile = Volatile {
            hints: vec![0; n],
            strikes: vec![0; n],
            dead_from: cx.now(),
            progressed: cx.now(),
            audit: Audit::new(self.config.audit_start, self.config.audit_max),
            ..Volatile::default()
        };
        self.volatile.commit = if self.nested {
            self.durable.log.base().index
        } else {
            cx.ledger().height()
        };
        // Observers know the rest of the log, which is on disk.
        let last = self.durable.log.last();
        if last == self.durable.log.base() {
            self.report_base(cx);
        } else {
            self.report_entry(last, cx);
        }
        self.decide_what_is_proven(cx);
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
            Message::Prepared(prepared) => self.on_prepared(from, prepared, cx),
            Message::CommitVote { ack, .. } => self.on_commit_vote(from, ack, cx),
            Message::Committed(claim) => self.on_committed(from, claim, cx),
            Message::CommitNotice { term, commit } => {
                self.on_commit_notice(from, *term, *commit, cx);
            }
            Message::HeartbeatReply(reply) => self.on_heartbeat_reply(from, reply, cx),
            Message::Complaint(complaint) => self.on_complaint(from, complaint, cx),
            Message::Evidence(evidence) => self.on_evidence(evidence, cx),
            Message::Forward(transactions) => self.on_forward(from, transactions, cx),
        }
    }

    fn on_submit(&mut self, transaction: Arc<Transaction>, cx: &mut Cx<'_>) {
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
            if self.volatile.mempool.insert(transaction.clone()) {
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
        if let Some(batch) = self.volatile.mempool.take(&everything) {
            let transactions = batch.transactions().to_vec();
            self.volatile.mempool.restore(&batch);
            cx.send(leader, Message::Forward(transactions));
        }
    }

    /// Enters a later term, or stays in this one, as a follower of nobody yet.
    fn follow(&mut self, term: u64, warrant: Option<Warrant>, cx: &mut Cx<'_>) {
        assert!(term >= self.durable.term, "terms never decrease");
        let led = self.leads();
        let entered = term > self.durable.term;
        self.volatile.role = Role::Follower;
        self.volatile.leader = None;
        if entered {
            self.durable.term = term;
            self.durable.voted = None;
            self.durable.warrant = warrant;
            self.volatile.dirty = true;
            self.forget_term();
            self.volatile.failed = self.volatile.failed.saturating_add(1);
            cx.report(Report::Enters { view: term });
        }
        if led {
            self.volatile.dead_from = cx.now();
            cx.cancel_timer(Timer::Heartbeat);
            self.stop_batching(cx);
        }
        if led || entered {
            self.rest(cx);
        }
    }

    /// Forgets what concerns the term that is over.
    fn forget_term(&mut self) {
        let volatile = &mut self.volatile;
        volatile.election = None;
        volatile.abandoned = false;
        volatile.watch.forget();
        volatile.ballots.clear();
        volatile.prepared = None;
        volatile.locked = 0;
        volatile.acked.clear();
        volatile.complaints.clear();
        volatile.skipped = 0;
        let term = self.durable.term;
        if volatile
            .lazy
            .as_ref()
            .is_some_and(|vote| vote.ballot.body().term < term)
        {
            volatile.lazy = None;
        }
        self.forget_leader();
    }

    /// Draws a new time-out and counts it from now.
    fn rest(&mut self, cx: &mut Cx<'_>) {
        let [low, high] = self.config.election_timeout;
        // One election may fail by chance; after more of them time-outs may be too short.
        let patience = 1 << self.volatile.failed.saturating_sub(2).min(3);
        self.volatile.timeout = cx.between(low, high) * patience;
        self.volatile.rested = cx.now();
        cx.set_timer(Timer::Election, self.volatile.timeout);
    }

    fn stop_batching(&mut self, cx: &mut Cx<'_>) {
        self.volatile.ripe = false;
        if std::mem::take(&mut self.volatile.batching) {
            cx.cancel_timer(Timer::Batch);
        }
    }

    /// Writes what changed; comes before every message that depends on it.
    fn sync(&mut self, cx: &mut Cx<'_>) {
        if std::mem::take(&mut self.volatile.dirty) {
            cx.persist();
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

    /// Appends an entry and tells observers.
    fn log_entry(&mut self, entry: Entry, cx: &mut Cx<'_>) {
        let mark = self.durable.log.push(entry);
        self.volatile.dirty = true;
        self.report_entry(mark, cx);
    }

    /// The logs of honest replicas match only where leaders are honest: not between certificates.
    fn report_entry(&self, mark: Mark, cx: &mut Cx<'_>) {
        if self.config.profile == Profile::Paper {
            cx.report(Report::Logged {
                index: mark.index,
                term: mark.term,
                prefix: mark.chain.prefix(),
            });
        }
    }

    /// Tells observers that the log begins anew.
    fn report_base(&self, cx: &mut Cx<'_>) {
        let base = self.durable.log.base();
        if self.config.profile == Profile::Paper {
            cx.report(Report::Restarted {
                index: base.index,
                term: base.term,
                prefix: base.chain.prefix(),
            });
        }
    }

    fn batch_at(&self, index: u64) -> Batch {
        let entry = self.durable.log.entry(index);
        let entry = entry.expect("what is committed is in the log");
        entry.content.batch.clone()
    }

    fn leads(&self) -> bool {
        matches!(self.volatile.role, Role::Leader(_))
    }

    fn position(&self, node: NodeId) -> usize {
        let position = self.setup.committee.position(node);
        position.expect("only members are listened to")
    }

    /// Whether a node still belongs to the group.
    fn is_member(&self, node: NodeId) -> bool {
        !self.durable.excluded.contains(&node)
    }

    /// Those who still belong to the group, in order.
    fn members(&self) -> Vec<NodeId> {
        let members = self.setup.committee.members().iter().copied();
        members.filter(|node| self.is_member(*node)).collect()
    }

    /// How many members have to agree.
    fn quorum(&self) -> usize {
        let n = self.setup.committee.n() - self.durable.excluded.len();
        self.config.quorum_of(n)
    }

    /// How far this replica has come, by what its profile trusts: its log, or the latest
    /// certificate.
    fn standing(&self) -> Mark {
        if self.config.two_rounds() {
            let lock = self.durable.lock.as_ref();
            return lock.map_or(Mark::default(), |lock| lock.body().mark());
        }
        self.durable.log.last()
    }

    fn broken(&self, mutant: Mutant) -> bool {
        self.config.broken(mutant)
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
        assert_eq!(
            self.leads(),
            volatile.leader == me,
            "a leader follows itself"
        );
    }
}
