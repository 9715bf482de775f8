//! Practical Byzantine Fault Tolerance: three phases, checkpoints, and changes of view that lose
//! nothing that was decided.
//!
//! # Protocol
//!
//! `n` replicas, `f = ⌊(n−1)/3⌋` of them dishonest, `q = ⌈(n+f+1)/2⌉` a quorum. The leader of
//! view `v` is member `v mod n`.
//!
//! - Upon a client's transaction at the leader: cut batches by the batching rule; give each the
//!   next height `h`, at most `pipeline` at once and none above the high watermark; broadcast
//!   PRE-PREPARE(v, h, d, batch).
//! - Upon a client's transaction elsewhere: forward it to the leader and start the view timer.
//! - Upon PRE-PREPARE from the leader of the present view, if `low < h ≤ low + window` and no
//!   other digest was accepted for (v, h): accept it, broadcast PREPARE(v, h, d).
//! - Upon `q` votes for (v, h, d), the PRE-PREPARE counting as the leader's: *prepared*;
//!   broadcast COMMIT(v, h, d).
//! - Upon *prepared* and `q` COMMITs, the own one among them: *committed*; execute in the order
//!   of heights.
//! - Upon execution of a multiple of `checkpoint_interval`: broadcast CHECKPOINT(h, chain, block).
//!   Upon `q` equal ones: the checkpoint is *stable*, `low = h`, everything below is forgotten.
//! - Upon expiry of the view timer: stop voting; broadcast VIEW-CHANGE(v+1) with the proof of the
//!   stable checkpoint and, for each height above, the proof that a batch was prepared there in
//!   the latest view. It is sent again, after pauses that double up to four times the
//!   time-out, until `q` replicas want that view or a higher one; then a timer twice as long as the
//!   last starts, and upon its expiry the view after is asked for. Executing a batch resets the
//!   length. While that timer runs it is sent again after the longest of the pauses: those whose
//!   `q` lack it wait for it.
//! - Upon executing others for as long as the view timer runs, while the transaction that has
//!   waited longest is not among them: forward it to the leader again. Upon the same once more: ask
//!   for the next view as upon expiry.
//! - Upon `f+1` replicas that want a higher view: join the smallest of those views.
//! - Upon `q` VIEW-CHANGEs for its view at the new leader: NEW-VIEW with them and its proposals:
//!   for each height from the highest stable checkpoint to the highest one prepared, the digest
//!   prepared in the latest view, or that of the empty batch.
//! - Upon NEW-VIEW: check every signature and certificate, compute the proposals again; enter the
//!   view if they are the same, and treat each as a PRE-PREPARE. Batches that are not known here
//!   are fetched by digest.
//! - Messages of a view not entered yet wait for its NEW-VIEW.
//!
//! State transfer: f+1 replicas look after each member. When nothing was executed for twice the
//! view timeout and they have no sign that it has come as far as they have, they send it a STATUS.
//! A replica that learns it is behind (by a status or a checkpoint beyond its own height, by votes
//! of f+1 members above its window or in later views, or by half a timeout without progress)
//! fetches from one member after the other. Up to a checkpoint, blocks are believed if the hash
//! over all batches ends in the certified one; above it, if each comes with `q` COMMITs. Whoever
//! cannot prove a checkpoint that it has executed is shown the proof. The proof of a view is its
//! NEW-VIEW.
//!
//! Durable: the view and whether it was left, and above the stable checkpoint what was accepted
//! and what was proven. A replica that returns resumes there, signs nothing that contradicts it,
//! and asks the others how far they are.
//!
//! # Source
//!
//! Castro, Liskov: Practical Byzantine Fault Tolerance, OSDI 1999, sections 4.2 to 4.5; status
//! messages after Castro, Liskov: Practical Byzantine Fault Tolerance and Proactive Recovery, ACM
//! TOCS 20(4), 2002, section 5.2.
//!
//! # Deviations
//!
//! - Quorums are ⌈(n+f+1)/2⌉ and not 2f+1, which is safe only for n = 3f+1.
//! - Every message is signed; there are no authenticators.
//! - A PRE-PREPARE is the leader's PREPARE with the batch attached: one signed statement, so that a
//!   prepared certificate is `q` signatures on one body.
//! - A replica keeps the commit certificate of a place instead of the prepared one once it has it,
//!   and shows it in a VIEW-CHANGE: it proves as much.
//! - A VIEW-CHANGE also lists proposals accepted and not executed. They convict a leader that
//!   proposed different batches to different replicas.
//! - A replica votes for a re-proposed digest before it has the batch: the proof shows that f+1
//!   honest replicas keep it. It executes when it has it.
//! - A new leader proposes fresh batches only after it has executed what was proposed again.
//! - Executing anything starts the view timer anew, and not only what a replica waits for: a leader
//!   that is merely loaded keeps its view. Fairness has its own rule.
//! - The view timer fires twice: half-way the replica repeats what may have been lost.
//! - Tentative execution and the read-only path are left out.
//!
//! # Messages
//!
//! | kind | from | to | per batch |
//! |---|---|---|---|
//! | `pre-prepare` | the leader | all others | n−1 |
//! | `prepare` | all but the leader | all others | (n−1)² |
//! | `commit` | all | all others | n(n−1) |
//!
//! Together 2n(n−1). Every `checkpoint_interval` heights n(n−1) `checkpoint`s. Otherwise only when
//! something is amiss: `view-change`, `new-view`, `status`, `fetch`, `blocks`; and `forward` when a
//! client asks a replica that does not lead.

mod checkpoints;
mod config;
mod early;
mod heard;
mod justify;
mod lies;
mod log;
mod message;
mod nested;
mod oaths;
mod ordering;
mod restart;
mod transfer;
mod views;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::base::crypto::{Certificate, Digest, Signed};
use crate::base::node::{Committee, NodeId, PositionSet};
use crate::base::time::{Span, Time};
use crate::chain::{Batch, Block, Height, TransactionId};
use crate::protocol::mempool::Mempool;
use crate::protocol::tally::Tally;
use crate::protocol::{
    Context, FaultModel, Input, Misfit, Offence, Protocol, Quorums, Report, Retry, Setup, Status,
};

pub use config::{Config, Mutant};
use early::Early;
pub use heard::Heard;
pub use lies::opposite;
use log::{Ballot, Places, Record};
pub use message::{
    Blocks, Checkpoint, Decided, Fetch, Message, NewView, Phase, VOTE_BYTES, ViewChange, Vote,
};
pub use nested::{Law, Legacy, Views, extend_chain, tells_checkpoint, verify_decision};

/// What a replica waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// The oldest waiting transaction has waited long enough for company.
    Batch,
    /// Something pending is overdue.
    View,
    /// A member that was asked for blocks is overdue, or it is time to ask one.
    CatchUp,
    /// Time to see whether everybody has come as far as this replica.
    Status,
}

/// What the view timer means when it fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Patience {
    /// Nothing is pending; the timer is not set.
    #[default]
    Idle,
    /// Half of the wait for progress is over.
    FirstHalf,
    /// All of it is.
    SecondHalf,
    /// The view was left, and too few others have.
    Gathering,
    /// A quorum has, but some of it want a higher view: nobody can open this one yet.
    Outrun,
    /// A quorum has, and the new leader is overdue.
    Awaiting,
}

/// What survives a crash.
#[derive(Clone, Debug, Default)]
struct Durable {
    /// Whether this replica has ever run before.
    booted: bool,
    /// The view it is in, or asks for.
    view: u64,
    /// The request for that view, while it is not in it.
    change: Option<Arc<Signed<ViewChange>>>,
    /// The proof of the view it entered last; none for view 0.
    new_view: Option<Arc<Signed<NewView>>>,
    /// The highest place that was settled by the proof of the view.
    floor: Height,
    /// Each place above the last stable checkpoint.
    records: Places<Record>,
    /// Proofs of stable checkpoints, ascending.
    stable: Vec<Certificate<Checkpoint>>,
}

/// What a crash erases.
#[derive(Clone, Debug, Default)]
struct Volatile {
    /// The view whose votes count; none while a view is changing.
    active: Option<u64>,
    /// The height of the last batch executed.
    executed: Height,
    /// Heights executed since the last durable write. A crash may take their blocks from the
    /// ledger: until then the records keep their batches.
    unsynced: Vec<Height>,
    /// The hash over all batches executed.
    chain: Digest,
    /// Executed checkpoints that are not stable yet. They follow from the chain.
    marks: Vec<Checkpoint>,
    /// Votes by place.
    ballots: Places<Ballot>,
    /// Transactions of clients.
    mempool: Mempool,
    /// The next height this leader proposes.
    next: Height,
    /// The highest place for which a proposal was accepted in the present view.
    accepted: Height,
    /// Whether the oldest transaction has waited long enough, or the timer for that runs.
    ripe: Ripeness,
    patience: Patience,
    /// What has waited longest when others were executed last.
    oldest: Option<Oldest>,
    /// View changes in a row without progress.
    attempts: u32,
    /// How often the request for a view was repeated, as far as that counts.
    repeated: u32,
    /// Until when the leader of a view that a quorum wants has time to open it.
    awaits_until: Time,
    /// The latest request of each member for a view, by position.
    changes: Vec<Option<Arc<Signed<ViewChange>>>>,
    /// How many of them are for the view this replica asks for.
    companions: usize,
    /// How many are for a higher view.
    higher: usize,
    early: Early,
    /// Checkpoint votes above the stable one.
    checkpoints: BTreeMap<Height, Tally<Checkpoint>>,
    /// The highest checkpoint proven to be stable that this replica has not executed.
    target: Option<Certificate<Checkpoint>>,
    /// Members that spoke of places above the high watermark.
    ahead: PositionSet,
    /// Members that say they have come to a height and view, to be asked in turn.
    sources: VecDeque<(NodeId, Height, u64)>,
    /// Whether the timer to ask runs.
    asking: bool,
    /// Whom to ask next when nobody said so.
    turn: usize,
    /// How many were asked last time without success.
    asked: usize,
    /// Members known to have executed as much as this replica.
    level: PositionSet,
    /// Members this replica has accused.
    accused: PositionSet,
    /// Whether a parent waits for a decision.
    awaited: bool,
    /// Proofs of decisions that a parent has not taken.
    proofs: Vec<Certificate<Vote>>,
    /// Proposals of this replica that the parent has not returned.
    drafts: Vec<Batch>,
    /// Whether something was committed in this step.
    ready: bool,
    /// Whether the durable part has changed in this step.
    dirty: bool,
    /// What this step has prepared. It is so once the vote that completes it is on disk: whoever
    /// stops before that may vote otherwise in the same view.
    prepared: Vec<Report>,
    /// What leaves at the end of this step.
    outbox: Vec<Message>,
}

/// A transaction that is first among those that wait while others are executed.
#[derive(Clone, Copy, Debug)]
struct Oldest {
    id: TransactionId,
    /// The view in which it waits.
    view: u64,
    /// Since when it is first, or since when the leader was told of it again.
    since: Time,
    /// Whether the leader was.
    told: bool,
}

/// Whether it is time to cut a batch that is not full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Ripeness {
    /// Nothing waits.
    #[default]
    Idle,
    /// The timer runs.
    Waiting,
    /// The timer has fired.
    Ripe,
}

/// One replica.
#[derive(Clone, Debug)]
pub struct Pbft {
    config: Config,
    setup: Setup,
    /// The height of the ledger at which the places of this instance begin.
    base: Height,
    /// The last place of this instance.
    last: Height,
    /// The views that are this instance's own; it begins in the first.
    views: Views,
    /// Whether a parent takes the decisions.
    nested: bool,
    /// Whether the parent returns what this replica says once it counts, and not before.
    voiced: bool,
    /// Votes that make a prepared certificate.
    prepare_quorum: usize,
    /// Votes that make a commit certificate.
    commit_quorum: usize,
    /// Members that make every other quorum.
    quorum: usize,
    durable: Durable,
    volatile: Volatile,
}

type Cx<'a> = Context<'a, Message, Timer>;

impl Protocol for Pbft {
    const NAME: &'static str = "pbft";
    const ABOUT: &'static str = "Practical Byzantine Fault Tolerance: three phases, a stable \
                                 leader, survives a third of liars";
    const FAULTS: FaultModel = FaultModel::Byzantine;
    const RETRY: Retry = Retry::All;
    type Config = Config;
    type Message = Message;
    type Timer = Timer;

    fn check(config: &Config, _n: usize) -> Vec<Misfit> {
        let interval = config.checkpoint_interval;
        let rules = [
            (
                "view_timeout",
                config.view_timeout > Span::ZERO,
                "must be longer than no time".to_owned(),
            ),
            (
                "checkpoint_interval",
                interval >= 1,
                "must be at least 1".to_owned(),
            ),
            (
                "window",
                interval == 0 || config.window.is_multiple_of(interval),
                format!("must be a multiple of checkpoint_interval ({interval})"),
            ),
            (
                "window",
                config.window >= interval.saturating_mul(2),
                "must be at least twice checkpoint_interval".to_owned(),
            ),
            (
                "window",
                config.window <= WINDOW_MAX,
                format!("must be at most {WINDOW_MAX}"),
            ),
            (
                "pipeline",
                (1..=config.window).contains(&config.pipeline),
                "must be at least 1 and at most window".to_owned(),
            ),
        ];
        let broken = rules.into_iter().filter(|(_, holds, _)| !holds);
        broken.map(|(key, _, rule)| Misfit { key, rule }).collect()
    }

    /// f leaders in a row fail, each after a wait twice as long as the one before, each change
    /// taking a request and an answer; then three phases. A replica that missed all that hears of
    /// it a status period later and fetches.
    fn liveness_bound(config: &Config, n: usize, delay: Span) -> Span {
        let f = (n.max(1) - 1) / 3;
        let timeout = config.view_timeout;
        let doubled = u32::try_from(f + 1)
            .ok()
            .and_then(|shift| 1_u64.checked_shl(shift))
            .unwrap_or(u64::MAX);
        // A request that was lost is repeated after the longest pause.
        let repeats = timeout * (1 << views::REPEATS_DOUBLED);
        timeout * doubled * 2 + repeats + delay * 4 * (f as u64 + 1) + delay * 8
    }

    fn quorums(_: &Config, n: usize) -> Quorums {
        let quorum = Committee::first(n).quorum();
        Quorums {
            prepared: Some((&["prepare"], quorum)),
            decided: Some(("commit", quorum)),
            ..Quorums::default()
        }
    }

    /// Everybody's view change, and once more a quorum's in the new view, prove what has been
    /// prepared since the last checkpoint.
    fn view_change(config: &Config, n: usize) -> Option<(Span, u64)> {
        let quorum = Committee::first(n).quorum() as u64;
        let places = config.checkpoint_interval + config.pipeline;
        let signatures = (n as u64 + quorum).saturating_mul(quorum * places);
        Some((config.view_timeout, signatures))
    }

    /// The waits of all views that failed add up to the trouble at most, so the last of them is no
    /// longer; it has to end, and doubles for each bad primary that follows.
    fn grown_waits(_: &Config, trouble: Span, bad: usize) -> Span {
        let doublings = (bad + 1).min(32);
        trouble * ((1 << doublings) - 1)
    }

    fn new(config: &Config, setup: Setup) -> Self {
        let committee = &setup.committee;
        assert!(committee.contains(setup.me), "a replica is a member");
        let mut replica = Self {
            config: config.clone(),
            prepare_quorum: 0,
            commit_quorum: 0,
            quorum: committee.quorum(),
            base: 0,
            last: Height::MAX,
            views: Views::ALL,
            nested: false,
            voiced: false,
            setup,
            durable: Durable::default(),
            volatile: Volatile::default(),
        };
        replica.set_quorums();
        replica
    }

    fn step(&mut self, input: Input<'_, Message, Timer>, cx: &mut Cx<'_>) {
        match input {
            Input::Deliver { from, message } => {
                if !self.on_message(from, message, cx) {
                    // Nearly every vote only adds to a count, and nothing follows from it.
                    return;
                }
            }
            Input::Submit(transaction) => self.on_submit(&transaction, cx),
            Input::Timeout(Timer::Batch) => self.on_ripe(cx),
            Input::Timeout(Timer::View) => self.on_overdue(cx),
            Input::Timeout(Timer::CatchUp) => self.on_catch_up(cx),
            Input::Timeout(Timer::Status) => self.on_status_due(cx),
            Input::Start => self.on_start(cx),
        }
        self.finish(cx);
    }

    fn status(&self) -> Status {
        let view = self.durable.view;
        let leader = self.durable.change.is_none().then(|| self.leader(view));
        Status {
            view,
            leader,
            leads: leader == Some(self.setup.me),
        }
    }
}

/// The widest window: its places are kept in memory.
const WINDOW_MAX: u64 = 100_000;

impl Pbft {
    /// Handles a message; false if nothing has changed but a count.
    #[inline]
    fn on_message(&mut self, from: NodeId, message: &Message, cx: &mut Cx<'_>) -> bool {
        match message {
            Message::Prepare { vote, .. } => return self.on_prepare(from, vote, message, cx),
            Message::Commit { vote, .. } => return self.on_commit(from, vote, message, cx),
            Message::PrePrepare { vote, batch } => {
                self.on_pre_prepare(from, (vote, batch), message, cx);
            }
            Message::Checkpoint(vote) => self.on_checkpoint(vote, cx),
            Message::ViewChange { change, again } => self.on_view_change(change, *again, cx),
            Message::NewView(view) => self.on_new_view(view, cx),
            Message::Forward(transactions) => self.on_forward(transactions, cx),
            Message::Status { height, view, ask } => {
                self.on_status(from, (*height, *view), *ask, cx);
            }
            Message::Fetch(fetch) => self.on_fetch(from, fetch, cx),
            Message::Blocks(blocks) => self.on_blocks(from, blocks, cx),
        }
        true
    }

    pub(super) fn report_view(&mut self, cx: &mut Cx<'_>) {
        let view = self.durable.view;
        if self.leads() {
            cx.report(Report::Leads { view });
        } else {
            cx.report(Report::Enters { view });
        }
    }

    /// Ends a step: says and does what follows from it.
    fn finish(&mut self, cx: &mut Cx<'_>) {
        self.flush(cx);
        while std::mem::take(&mut self.volatile.ready) {
            // What our own commit completes is executed after that commit is on disk.
            self.advance(cx);
            self.flush(cx);
        }
        self.invariants();
    }

    /// The block of the ledger at a place of this instance.
    fn block_at<'c>(&self, height: Height, cx: &'c Cx<'_>) -> Option<&'c Arc<Block>> {
        cx.ledger().block(self.base.saturating_add(height))
    }

    /// Sends what this step says, after what it depends on is on disk.
    fn flush(&mut self, cx: &mut Cx<'_>) {
        let late = self.mutant(Mutant::PersistLate);
        if self.volatile.dirty && !late {
            cx.persist();
        }
        for report in self.volatile.prepared.drain(..) {
            cx.report(report);
        }
        for message in self.volatile.outbox.drain(..) {
            cx.broadcast(&self.setup.committee, message);
        }
        if self.volatile.dirty && late {
            cx.persist();
        }
        if std::mem::take(&mut self.volatile.dirty) {
            // A parent has the blocks of this step in its ledger later than this write.
            let reached = cx.ledger().height().saturating_sub(self.base);
            let records = &mut self.durable.records;
            self.volatile.unsynced.retain(|height| {
                if *height > reached {
                    return true;
                }
                if let Some(record) = records.get_mut(*height) {
                    record.executed();
                }
                false
            });
        }
    }

    #[inline]
    fn invariants(&self) {
        let low = self.durable.records.low();
        assert!(self.volatile.ballots.low() == low);
        assert!(self.durable.records.top() <= low + self.config.window);
    }

    /// Who leads a view.
    fn leader(&self, view: u64) -> NodeId {
        self.setup.committee.leader(view)
    }

    /// Whether this replica leads the view it is in.
    fn leads(&self) -> bool {
        self.durable.change.is_none() && self.leader(self.durable.view) == self.setup.me
    }

    /// Whether a height lies between the watermarks.
    #[inline]
    fn in_window(&self, height: Height) -> bool {
        // The ballots begin where the records do.
        let low = self.volatile.ballots.low();
        height > low && height - low <= self.config.window && height <= self.last
    }

    /// Names a liar, once.
    #[cold]
    fn accuse(&mut self, culprit: NodeId, cx: &mut Cx<'_>) {
        let Some(position) = self.setup.committee.position(culprit) else {
            return;
        };
        if self.volatile.accused.insert(position) {
            let offence = Offence::Equivocation;
            cx.report(Report::Accuses { culprit, offence });
        }
    }

    fn set_quorums(&mut self) {
        if self.mutant(Mutant::QuorumTwoFPlusOne) {
            self.quorum = 2 * self.setup.committee.faulty_max() + 1;
        }
        self.prepare_quorum = self.quorum;
        self.commit_quorum = self.quorum;
        if self.mutant(Mutant::PrepareQuorumLow) {
            self.prepare_quorum -= 1;
        }
        if self.mutant(Mutant::CommitQuorumLow) {
            self.commit_quorum -= 1;
        }
        if self.mutant(Mutant::SkipPrepare) {
            self.prepare_quorum = 1;
        }
        if self.mutant(Mutant::SkipCommit) {
            self.commit_quorum = 1;
        }
        if self.mutant(Mutant::ViewChangeQuorumLow) {
            self.quorum -= 1;
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
