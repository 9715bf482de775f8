//! What a replica remembers: on disk, and until it crashes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::audit::Audit;
use super::evidence::Evidence;
use super::judge::Watch;
use super::leader::Leader;
use super::log::{Branch, Log};
use super::message::{Append, Election, Prepared, Vote, Warrant};
use super::statement::{Ack, Ballot, Complaint, Share, Standing};
use super::trust::Trust;
use crate::base::crypto::{Certificate, Signed};
use crate::base::node::{Committee, NodeId};
use crate::base::time::{Span, Time};
use crate::chain::TransactionId;
use crate::protocol::mempool::Mempool;
use crate::protocol::tally::Tally;

/// What survives a crash.
#[derive(Clone, Debug, Default)]
pub(super) struct Durable {
    pub term: u64,
    /// The vote given in this term, with what was said beside it.
    pub voted: Option<(Signed<Ballot>, Signed<Standing>)>,
    /// Why this term has begun.
    pub warrant: Option<Warrant>,
    pub log: Log,
    /// Whether this term's leader has had entries of this term replaced in the log: this replica,
    /// which may have voted for the first ones, votes in no first round of this term again.
    pub misled: bool,
    /// What the lock is about, where the log holds something else.
    pub branch: Branch,
    /// The certificate of the latest entry known to be held by a quorum, in profile `hardened`.
    pub lock: Option<Arc<Certificate<Ack>>>,
    pub convicted: BTreeMap<NodeId, Arc<Evidence>>,
    /// Who is no member any more, by entries that are committed.
    pub excluded: Vec<NodeId>,
}

/// What a replica does in its term.
#[derive(Clone, Debug, Default)]
pub(super) enum Role {
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
pub(super) struct Volatile {
    pub role: Role,
    /// Who leads this term, if known.
    pub leader: Option<NodeId>,
    /// Why.
    pub election: Option<Arc<Election>>,
    /// Who hears this replica's answers to the leader.
    pub audience: Option<Committee>,
    /// Whether this term's leader was given up, and is not followed again.
    pub abandoned: bool,
    /// Everything up to here is committed and decided.
    pub commit: u64,
    /// Everything decided up to here is on disk.
    pub written: u64,
    /// Whether durable state changed since it was last written.
    pub dirty: bool,
    /// When the leader was last heard, or a vote given, or an election begun.
    pub rested: Time,
    /// How long after that to stand.
    pub timeout: Span,
    /// From when on the leader counts as dead.
    pub dead_from: Time,
    /// Terms entered since something was last decided.
    pub failed: u32,
    /// Terms passed over because this replica may not stand for them.
    pub skipped: u64,
    /// Times that this replica has asked in vain whether a term may begin, in a row.
    pub vain: u32,
    /// How far this leader says that it has decided.
    pub word: u64,
    /// How far it said so when this replica last looked whether it is behind.
    pub looked: u64,
    /// Times that others were asked for what is decided.
    pub fetches: usize,
    /// The latest term each member has spoken of, by position.
    pub hints: Vec<u64>,
    /// A request for a vote that came while the leader lived.
    pub lazy: Option<Box<Vote>>,
    /// Votes for this replica in this term.
    pub ballots: BTreeMap<NodeId, Signed<Ballot>>,
    /// Up to where the log is known to equal that of this term's leader.
    pub verified: u64,
    /// Whether entries of this leader were accepted, so that a gap means that others are late.
    pub in_step: bool,
    /// Appends of this term that overtook others, by the index they follow.
    pub early: BTreeMap<u64, Append>,
    /// What was signed in this term.
    pub watch: Watch,
    /// Proof of a first round on entries that are not here yet.
    pub prepared: Option<Box<Prepared>>,
    /// Up to which index this replica has voted in the second round in this term.
    pub locked: u64,
    /// Proof of a decision, perhaps on entries that are not here yet.
    pub decision: Option<Arc<Certificate<Ack>>>,
    /// In profile `sync`: when this replica voted on each entry, until it is decided.
    pub acked: VecDeque<(u64, Time)>,
    pub mempool: Mempool,
    /// Whether transactions that were proposed in vain wait again since this step began.
    pub restored: bool,
    /// Whether the batch timer runs.
    pub batching: bool,
    /// Whether what waits has waited enough, and goes as soon as there is room.
    pub ripe: bool,
    /// Whether something was committed, so that more may be proposed.
    pub room_grew: bool,
    /// When something was last decided, or a leader began.
    pub progressed: Time,
    /// What this leader passes over that has waited longest here, and since when.
    pub passed_over: Option<(TransactionId, Time)>,
    /// What this leader was told again because it passed it over.
    pub told_again: BTreeSet<TransactionId>,
    /// Whether the parent waits for a decision.
    pub awaited: bool,
    /// Whether the progress timer runs.
    pub impatient: bool,
    /// Who complains of this term's leader, by position.
    pub complaints: BTreeMap<usize, Signed<Complaint>>,
    /// Members that the parent has seen lie.
    pub barred: Vec<NodeId>,
    /// Suspicions against each member, by position.
    pub strikes: Vec<u32>,
    /// What this replica thinks of each member.
    pub trust: Trust,
    pub audit: Audit,
}
