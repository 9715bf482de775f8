//! What RAFT replicas say to one another, what it weighs, and how each can lie.

use std::sync::Arc;

use crate::base::crypto::Signer;
use crate::base::node::NodeId;
use crate::chain::ledger::Snapshot as Point;
use crate::chain::{Batch, Transaction};
use crate::protocol::{Holding, Listener, Statement, To, Wire};

/// One place of the log with what stands there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The term in which a leader created it.
    pub term: u64,
    /// What it proposes; empty for the first entry of a leader.
    pub batch: Batch,
}

/// A place in a log, with the term of its entry. Later terms, then longer logs, are more
/// up-to-date (section 5.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Position {
    /// From 1; 0 is before the first entry.
    pub index: u64,
    /// The term of the entry; 0 before the first.
    pub term: u64,
}

impl Position {
    /// Whether a log that ends here is at least as up-to-date as one that ends there.
    pub fn is_up_to_date_with(self, other: Self) -> bool {
        (self.term, self.index) >= (other.term, other.index)
    }
}

/// Asks for a vote, or whether one would be given.
#[derive(Clone, Debug)]
pub struct Vote {
    /// The term to lead.
    pub term: u64,
    /// The end of the candidate's log.
    pub last: Position,
}

/// Answers a request for a vote.
#[derive(Clone, Debug)]
pub struct VoteReply {
    /// The term of the voter.
    pub term: u64,
    /// The term asked for.
    pub asked: u64,
    /// Whether the vote is (or would be) given.
    pub granted: bool,
}

/// Entries to be appended.
#[derive(Clone, Debug)]
pub struct Append {
    /// The leader's term.
    pub term: u64,
    /// The entry before the first one sent.
    pub previous: Position,
    /// At least one.
    pub entries: Vec<Entry>,
    /// How far the leader has committed.
    pub commit: u64,
}

/// What became of entries to be appended, or of a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The logs are equal, on disk, up to this index.
    Matched(u64),
    /// The entry at this index is missing or of another term.
    Conflict {
        /// The index of the entry that should have preceded.
        previous: u64,
        /// Where the leader may try next: the first entry of the conflicting term.
        hint: u64,
    },
    /// The sender's term is over, or it lacks what is decided.
    Stale,
}

/// Answers an append.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The term of the follower.
    pub term: u64,
    /// What became of it.
    pub answer: Answer,
}

/// Says that the leader lives and how far it has committed. The term of the committed entry lets
/// a follower check, by log matching, that it holds the same entries.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// The leader's term.
    pub term: u64,
    /// The last committed entry.
    pub commit: Position,
    /// Counts the leader's heartbeats; an answer proves it led when it sent this one.
    pub round: u64,
}

/// Answers a heartbeat.
#[derive(Clone, Debug)]
pub struct HeartbeatReply {
    /// The term of the follower.
    pub term: u64,
    /// Which heartbeat.
    pub round: u64,
    /// Up to which index the follower knows its log to equal the leader's.
    pub matched: u64,
}

/// The state of the leader's ledger, for a follower that needs entries it no longer holds.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The leader's term.
    pub term: u64,
    /// The last entry it includes.
    pub last: Position,
    /// The digest of the log up to that entry.
    pub prefix: u64,
    /// The block and the state.
    pub point: Point,
}

/// Every message of the protocol.
#[derive(Clone, Debug)]
pub enum Message {
    /// Would you vote for me?
    PreVote(Vote),
    /// I would, or would not.
    PreVoteReply(VoteReply),
    /// Vote for me.
    Vote(Vote),
    /// I do, or do not.
    VoteReply(VoteReply),
    /// Append these entries.
    Append(Append),
    /// What became of them.
    AppendReply(Reply),
    /// I lead.
    Heartbeat(Heartbeat),
    /// So you do.
    HeartbeatReply(HeartbeatReply),
    /// Start from here.
    Snapshot(Snapshot),
    /// What became of the snapshot.
    SnapshotReply(Reply),
    /// Clients asked me; you lead.
    Forward(Vec<Arc<Transaction>>),
}

/// Bytes of a message without content: frame, addresses, term and two numbers.
const HEADER_BYTES: u32 = 48;
/// Bytes an entry takes beyond its batch: term, length, number of transactions.
const ENTRY_BYTES: u32 = 16;

impl Wire for Message {
    fn kind(&self) -> &'static str {
        match self {
            Self::PreVote(_) => "pre-vote",
            Self::PreVoteReply(_) => "pre-vote-reply",
            Self::Vote(_) => "vote",
            Self::VoteReply(_) => "vote-reply",
            Self::Append(_) => "append",
            Self::AppendReply(_) => "append-reply",
            Self::Heartbeat(_) => "heartbeat",
            Self::HeartbeatReply(_) => "heartbeat-reply",
            Self::Snapshot(_) => "snapshot",
            Self::SnapshotReply(_) => "snapshot-reply",
            Self::Forward(_) => "forward",
        }
    }

    fn kinds() -> Vec<&'static str> {
        vec![
            "pre-vote",
            "pre-vote-reply",
            "vote",
            "vote-reply",
            "append",
            "append-reply",
            "heartbeat",
            "heartbeat-reply",
            "snapshot",
            "snapshot-reply",
            "forward",
        ]
    }

    fn size(&self) -> u32 {
        let content: u32 = match self {
            Self::Append(append) => {
                let entries = append.entries.iter();
                16 + entries.map(|e| ENTRY_BYTES + e.batch.size()).sum::<u32>()
            }
            Self::Snapshot(snapshot) => {
                u32::try_from(snapshot.point.size()).unwrap_or(u32::MAX - HEADER_BYTES)
            }
            Self::Forward(transactions) => transactions.iter().map(|t| t.size()).sum(),
            Self::PreVote(_)
            | Self::PreVoteReply(_)
            | Self::Vote(_)
            | Self::VoteReply(_)
            | Self::AppendReply(_)
            | Self::Heartbeat(_)
            | Self::HeartbeatReply(_)
            | Self::SnapshotReply(_) => 0,
        };
        HEADER_BYTES.saturating_add(content)
    }

    /// RAFT trusts its replicas and signs nothing.
    fn signatures(&self) -> u32 {
        0
    }

    fn contradict(&self, _liar: &Signer) -> Option<Self> {
        match self {
            Self::PreVoteReply(reply) => grant(reply).map(Self::PreVoteReply),
            Self::VoteReply(reply) => grant(reply).map(Self::VoteReply),
            Self::Append(append) => {
                if append.entries.iter().all(|entry| entry.batch.is_empty()) {
                    return None;
                }
                let mut lie = append.clone();
                for entry in &mut lie.entries {
                    entry.batch = other(&entry.batch);
                }
                Some(Self::Append(lie))
            }
            Self::PreVote(_)
            | Self::Vote(_)
            | Self::AppendReply(_)
            | Self::Heartbeat(_)
            | Self::HeartbeatReply(_)
            | Self::Snapshot(_)
            | Self::SnapshotReply(_)
            | Self::Forward(_) => None,
        }
    }

    /// A replica votes for one candidate in a term, and a candidate for itself.
    fn statements(&self, me: NodeId, to: &To, say: Listener<'_>) {
        let (term, candidate) = match (self, to) {
            (Self::Vote(vote), _) => (vote.term, me),
            (Self::VoteReply(reply), To::One(to)) if reply.granted => (reply.asked, *to),
            _ => return,
        };
        say(Statement::Holds(Holding {
            by: me,
            kind: "vote",
            view: term,
            place: 0,
            what: u64::from(candidate.0),
        }));
    }

    fn inflate(&self, _liar: &Signer, by: u64) -> Option<Self> {
        let mut lie = self.clone();
        let term = match &mut lie {
            Self::PreVote(vote) | Self::Vote(vote) => &mut vote.term,
            Self::PreVoteReply(reply) | Self::VoteReply(reply) => &mut reply.term,
            Self::Append(append) => &mut append.term,
            Self::AppendReply(reply) | Self::SnapshotReply(reply) => &mut reply.term,
            Self::Heartbeat(beat) => &mut beat.term,
            Self::HeartbeatReply(reply) => &mut reply.term,
            Self::Snapshot(snapshot) => &mut snapshot.term,
            Self::Forward(_) => return None,
        };
        *term = term.saturating_add(by);
        Some(lie)
    }
}

/// A vote given against the rules.
fn grant(reply: &VoteReply) -> Option<VoteReply> {
    (!reply.granted).then_some(VoteReply {
        granted: true,
        ..reply.clone()
    })
}

/// The same transactions in the opposite order; none where that is the same.
fn other(batch: &Batch) -> Batch {
    if batch.len() <= 1 {
        return Batch::empty();
    }
    Batch::new(batch.transactions().iter().rev().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_term_beats_a_longer_log() {
        let at = |term, index| Position { index, term };
        for (mine, theirs, at_least) in [
            (at(2, 1), at(1, 9), true),
            (at(1, 9), at(2, 1), false),
            (at(2, 3), at(2, 3), true),
            (at(2, 3), at(2, 4), false),
        ] {
            assert_eq!(mine.is_up_to_date_with(theirs), at_least);
        }
    }
}
