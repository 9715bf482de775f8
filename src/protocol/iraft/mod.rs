//! The improved RAFT: a leader replicates a signed, hash-chained log, and whoever contradicts
//! itself is identified.
//!
//! # Protocol
//!
//! `n` replicas, of which the excluded are no members any more. One entry of the log is one batch,
//! so its index is its height. The chain up to an entry is h = H(h' ‖ term ‖ content); its leader
//! signs a *header* (term, index, h', content). A *mark* is (term, index, h). The key `profile`
//! says what decides:
//!
//! | profile | quorum `q` | an entry is decided |
//! |---|---|---|
//! | `paper` | ⌊n/2⌋ + 1 | by the leader's word that `q` hold it |
//! | `hardened` | ⌈(n+f+1)/2⌉, f = ⌊(n−1)/3⌋ | by `q` votes of members who know that `q` hold it |
//! | `sync` | ⌊n/2⌋ + 1 | when `q` hold it and no contradiction came within 2Δ of one's own vote |
//!
//! Elections:
//!
//! - Upon hearing no leader for a time-out drawn from `[T, T')`, and then for as many `rank_slot`s
//!   as there are members before oneself in the order of the next term: ask everybody for a
//!   *share*, SHARE(term), with one's standing: the mark of one's last entry or, in `hardened`, of
//!   the highest certificate one holds. The order is by H(term ‖ chain of the standing ‖ member).
//! - A share is given to a standing no lower than one's own, of a candidate whose turn it is, if
//!   no leader was heard for ⅔ T. `q` shares are the evidence that the term may begin. Whoever is
//!   in that term or a later one shows why that has begun, and the one that asks enters it.
//! - With the evidence: enter the term, vote for oneself, ask for votes with proof of one's mark
//!   (the leader's header, or the certificate). A vote BALLOT(term, candidate, mark) is given once
//!   a term, on the conditions of a share, and comes with the voter's own signed standing. A
//!   request that comes too early is kept, and answered when one misses the leader oneself.
//! - `q` votes elect, and are shown with the first appends: nobody follows whoever lacks them.
//!   In `hardened` the mark in the votes binds the leader: followers vote on its entries only if
//!   their log holds the marked place with its chain.
//!
//! Entries:
//!
//! - Upon a batch: sign its header, append, send to all, write to disk. The first entry of a
//!   leader is empty; only entries of the leader's own term are voted on.
//! - Upon entries from the leader: check that they follow on one's log, that every header is
//!   signed and names its content, and that no call lacks its caller's signature and none comes
//!   twice. Replace what another leader left, write, answer PREPARE(term, index, h) with the
//!   leader's header to the leader and the monitors, who compare it with what they were sent.
//!   What this leader itself has signed is replaced in `hardened` only, and at a price: no
//!   further PREPARE in this term. It matters where nobody is convicted and such a leader stays.
//! - `paper`: upon `q` the leader decides, and says so with the next append or heartbeat, or at
//!   once (`commit_notice`). `sync`: everybody counts everybody's answers, and waits. Where those
//!   of the followers alone are no quorum, the leader shows them the one it has decided by.
//! - `hardened`: upon `q`, a *certificate*: the leader sends it; whoever has the entry holds to it
//!   (its *lock*), writes it to disk and answers COMMIT(term, index, h). Upon `q` of these, a
//!   certificate that decides.
//! - In `hardened`, a follower asks one member after another for what is decided if, for an
//!   election time-out, it lacks what the leader calls decided, if it asks in vain for shares again
//!   and again, or if requests wait. It is given entries with the certificate that decides the last
//!   of them. A leader that serves a quorum may starve the others, and they cannot prove it.
//! - What a lock is about is kept beside the log if a leader not bound by it replaces it there,
//!   and put back before one stands for election on it.
//!
//! Identification. Proofs convict, each by statements that no honest replica makes, and anybody
//! can check them ([`verify_evidence`]): two headers of one term that do not form one log; a
//! header for an unsigned, doubled or otherwise flawed content; ballots for two candidates in one
//! term; a ballot for a mark below the standing signed with it, or below what the voter held to;
//! PREPAREs or COMMITs for two logs at one place of one term; a signed claim about a certificate
//! that is none. Whoever finds a proof broadcasts it, and so does each who learns of it, and again
//! whoever asks in vain for shares: perhaps the others follow somebody convicted. Nobody
//! follows or elects the convicted any more; they are excluded, one after another, by an entry
//! that carries the proof, once the leader has decided an entry of its own term, and as long as
//! enough members remain. Quorums change at the index where that entry is decided.
//!
//! Suspicions (silence, requests that wait for a living leader for `progress_timeout`, requests
//! that wait as long while it serves later ones of the same member, also when it was told again,
//! calls for elections without evidence, failed audits) convict nobody. Complaints of f + 1 members
//! (in majorities: ⌊(n−1)/2⌋ + 1) end a leader's term. Whoever has given the leader up while the
//! others are content follows him again; but in `sync`, where it shows them all these complaints
//! instead, so that they give him up too. After `strikes` suspicions a member is last in this
//! replica's order of candidates, and stands only when nobody else has for the longest election
//! time-out.
//!
//! With `reputation` it orders candidates by what it thinks of them: each begins with 10, wins 1
//! for each block decided under it, up to 20, and loses 5 for each suspicion, silence included.
//! With 15 or more they are trusted and come first, with less than 5 they are untrusted and stand
//! only when nobody else has for the longest election time-out.
//!
//! Durable: term, vote with its standing, log, lock, proofs, exclusions. A replica that returns
//! from a crash says nothing that contradicts what it said; one that lost its disk may.
//!
//! # Source
//!
//! X. Chen, X. Zhao, G. Zeng, Y. An, "Online Patient Communication Model Based on Blockchain",
//! Computer Science 48(11), 2021, says of its algorithm that it "can quickly identify Byzantine
//! nodes" and no more. The parts are those of published variants:
//!
//! | part | from |
//! |---|---|
//! | elections, log, terms | Ongaro, Ousterhout, 2014; pre-votes and membership: Ongaro, 2014 |
//! | hash chain, election certificates, lazy votes, answers to all | Copeland, Zhong, *Tangaroa* |
//! | shares against a living leader, dynamic credit | RB-Raft ("last will", T-value) |
//! | signed ballots, calls signed by clients | B-Raft |
//! | monitors | hhRaft |
//! | complaints | *Tangaroa* ("revolution"), the threshold-signature RBFT |
//! | candidates by distance to the term | KRaft |
//! | two certificates, the bound on a new leader | Castro, Liskov, 1999; Yin et al., 2019 |
//! | the wait of 2Δ | Abraham et al., *Sync HotStuff*, 2020 |
//!
//! Settings that come close to one of them: RAFT: `{profile: paper, monitors: none, dead_proof:
//! false, election_proof: false, lazy_votes: false, rank_slot: 0s, progress_timeout: 0s, identify:
//! false}`. RB-Raft: `{profile: paper, monitors: none, audit: true, rank_slot: 0s}`. B-Raft:
//! `{profile: paper, monitors: none, dead_proof: false, lazy_votes: false, rank_slot: 0s}`. hhRaft:
//! `{profile: paper, monitors: one-honest}`. Tangaroa: `{profile: paper, quorum: byzantine,
//! monitors: all, dead_proof: false, rank_slot: 0s}`. KRaft: `{profile: paper, candidates_max: 3}`.
//!
//! # Deviations
//!
//! - Shares are ordinary signatures and not parts of an encrypted will; they prove as much, and
//!   last for one term. The client's table of proofs is replaced by the clients' signatures: with
//!   many clients nobody has such a table.
//! - What a signature on a call is worth is decided by the contract, which knows the keys, and
//!   which every replica executes: a forged one is refused there by everybody. For the same reason
//!   a wrong execution is not even suspected: there are no others' results to be believed.
//! - An acknowledgement convicts only against another one of the same leader's term. Under another
//!   leader the place holds another entry, and an honest follower acknowledges that too.
//! - A certificate with fewer signers than the full group's quorum counts if those missing from the
//!   group are convicted by proofs that this replica holds; proofs travel with the votes.
//! - Messages that cannot convict (pre-votes, heartbeats, refusals, forwarding) are not signed; the
//!   channel names their sender.
//! - Snapshots are not certified, so `hardened` keeps its whole log and takes none.
//!
//! Known weaknesses. `paper` forks under one liar and no accomplice for every odd n, for even n
//! with one accomplice, and identifies it afterwards. `sync` rests on Δ, and on entries that reach
//! every honest member before the next election: a leader that shows an entry to one member only,
//! with f liars who vote for it, can still have it forgotten. In both a leader that serves a quorum
//! may keep the others behind for good. In `hardened` a leader that is slow, but not as slow as the
//! complaints allow, stays, and so does one that leaves out a client whose requests reach no
//! members with others to compare them with. Without `dead_proof` or `election_proof` a term is
//! believed to have begun if one member says so, as in RAFT: a liar who always speaks of later
//! terms leaves no leader time to decide anything. All profiles presume that keys are known.
//!
//! # Messages
//!
//! A batch costs in `paper` `2(n−1)`: `append`, `append-reply`; with `commit_notice` `3(n−1)`. In
//! `hardened` `5(n−1)`: `append`, `append-reply`, `prepared`, `commit-vote`, `committed`. Of `m`
//! monitors each gets a copy of every answer but its own: `m(n−2)` more `append-reply`. In `sync`
//! everybody does: `n−1` `append` and `(n−1)²` `append-reply`; with two members, or as long as some
//! do not answer, `n−1` `committed` too. An idle heartbeat interval costs
//! `2(n−1)`, an undisturbed election `4(n−1)`: `pre-vote`, `pre-vote-reply`, `vote`, `vote-reply`.
//! `evidence`, `complaint`, `snapshot`, `fetch`, `proven` and `forward` are sent only when
//! something is amiss, or a client asks a follower. A leader signs one header a batch; each vote,
//! share and claim is signed.

mod audit;
mod commit;
mod config;
mod content;
mod election;
mod evidence;
mod fetch;
mod follower;
mod judge;
mod leader;
mod lies;
mod log;
mod message;
mod nested;
mod oaths;
mod peer;
mod proof;
mod rank;
mod requests;
mod state;
mod statement;
mod suspicion;
#[cfg(test)]
mod tests;
mod trust;

use std::ops::Range;

pub use audit::Audit;
pub use config::{Config, Monitors, Mutant, Profile, Quorum};
pub use content::{Content, Entry};
pub use evidence::{Evidence, Witness, verify_evidence};
pub use message::{
    Answer, Append, Backed, Backing, Election, Heartbeat, HeartbeatReply, Message, Opening,
    PreVote, PreVoteReply, Prepared, Proven, Reply, Snapshot, Told, Vote, VoteReply, Warrant,
};
pub use proof::{Decided, verify_decision, verify_election};
pub use statement::{Ack, Ballot, Claim, Complaint, Header, Mark, Share, Stage, Standing, link};

use super::{Context, FaultModel, Input, Misfit, Protocol, Quorums, Report, Retry, Setup, Status};
use crate::base::node::{Committee, NodeId, PositionSet};
use crate::base::time::Span;
use crate::chain::Batch;
use state::{Durable, Role, Volatile};
use trust::Trust;

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

/// One replica.
#[derive(Clone, Debug)]
pub struct Iraft {
    config: Config,
    setup: Setup,
    /// Whether decisions go to a parent protocol instead of this node's ledger.
    nested: bool,
    /// The terms that are this instance's own; it begins in the first.
    terms: Range<u64>,
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

    /// f leaders in a row are bad and each is borne for a progress time-out or two, or found dead;
    /// six elections in a row fail by chance, which makes time-outs grow to the eightfold; then
    /// come the rounds of a decision.
    fn liveness_bound(config: &Config, n: usize, delay: Span) -> Span {
        let bad = (n.max(1) - 1) as u64 / 3 + 1;
        let [_, timeout] = config.election_timeout;
        let distrust = timeout * u64::from(config.reputation);
        let round = config.rank_slot * 2 * n as u64 + delay * 4 + distrust;
        let elections = timeout * (1 + 1 + 1 + 2 + 4 + 8) + round * 6;
        let patience = config.progress_timeout * 2 + timeout * 2 + round;
        elections + patience * bad + config.delta * 2 + delay * 8
    }

    /// Where nobody looks for contradictions, a liar that leads is not found out as long as most
    /// are served: it may keep one follower behind for good.
    fn recovers(config: &Config, n: usize, missing: &PositionSet, liars: &PositionSet) -> bool {
        (config.identify || liars.is_empty())
            && Self::FAULTS.recovers(n, missing.len(), liars.len())
    }

    fn believes_views(config: &Config) -> bool {
        config.believes_terms()
    }

    /// Whoever is excluded counts among those who may have said anything. A leader's own vote is in
    /// certificates only, but its header says as much.
    fn quorums(config: &Config, n: usize) -> Quorums {
        let quorum = config.quorum_of(n);
        Quorums {
            leads: Some(("vote", quorum)),
            prepared: Some((&["prepare", "header"], quorum)),
            ..Quorums::default()
        }
    }

    fn new(config: &Config, setup: Setup) -> Self {
        assert!(setup.committee.contains(setup.me), "a replica is a member");
        Self {
            config: config.clone(),
            setup,
            nested: false,
            terms: 0..election::TERM_MAX + 1,
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
            trust: Trust::new(n),
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
            Message::Complaint(complaint) => self.on_complaint(complaint, cx),
            Message::Evidence(evidence) => self.on_evidence(evidence, cx),
            Message::Forward(transactions) => self.on_forward(from, transactions, cx),
            Message::Fetch { first } => self.on_fetch(from, *first, cx),
            Message::Proven(proven) => self.on_proven(from, proven, cx),
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
            self.durable.misled = false;
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
        volatile.vain = 0;
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
            return lock.map_or(self.origin(), |lock| lock.body().mark());
        }
        self.durable.log.last()
    }

    /// Where the log of this instance begins.
    fn origin(&self) -> Mark {
        Mark {
            term: self.terms.start,
            ..Mark::default()
        }
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
