//! What replicas say to one another, and what it weighs.

use std::sync::Arc;

use super::content::{Content, Entry};
use super::evidence::{Evidence, signatures_size};
use super::statement::{Ack, Ballot, Claim, Complaint, Header, Mark, Share, Standing};
use super::{lies, oaths};
use crate::base::crypto::{Body, Certificate, DIGEST_BYTES, SIGNATURE_BYTES, Signed, Signer};
use crate::base::node::NodeId;
use crate::chain::Transaction;
use crate::chain::ledger::Snapshot as Point;
use crate::protocol::oath::{Binding, Notary, Registrar};
use crate::protocol::{Listener, Statement, To, Wire};

/// A certificate with what it takes to count its signers.
#[derive(Clone, PartialEq, Debug)]
pub struct Backed<B> {
    /// A quorum of signatures.
    pub certificate: Certificate<B>,
    /// Why members are missing from the quorum: those excluded when it was counted.
    pub evidence: Vec<Arc<Evidence>>,
}

/// Why somebody leads a term: votes.
pub type Election = Backed<Ballot>;
/// Why a term may begin: shares.
pub type Opening = Backed<Share>;

/// Why a term has begun, for those who are in an earlier one.
#[derive(Clone, PartialEq, Debug)]
pub enum Warrant {
    /// A quorum heard no leader.
    Dead(Arc<Opening>),
    /// Somebody was elected.
    Elected(Arc<Election>),
}

impl Warrant {
    /// The term.
    pub fn term(&self) -> u64 {
        match self {
            Self::Dead(opening) => opening.certificate.body().term,
            Self::Elected(election) => election.certificate.body().term,
        }
    }
}

/// Would you vote for me?
#[derive(Clone, Debug)]
pub struct PreVote {
    /// The term to lead.
    pub term: u64,
    /// How far the candidate has come.
    pub mark: Mark,
}

/// Answers a pre-vote.
#[derive(Clone, Debug)]
pub struct PreVoteReply {
    /// The term of the voter.
    pub term: u64,
    /// The term asked for.
    pub asked: u64,
    /// The voter's share of the evidence that the term may begin, if it gives it.
    pub share: Option<Signed<Share>>,
    /// Why the term of the voter has begun, if it is not before the one asked for.
    pub warrant: Option<Warrant>,
}

/// What proves a candidate's mark.
#[derive(Clone, Debug)]
pub enum Backing {
    /// Nothing proves the beginning of the log.
    Genesis,
    /// The header of the last entry.
    Head(Signed<Header>),
    /// The certificate of the highest entry that is certified.
    Certified(Arc<Certificate<Ack>>),
}

/// Vote for me.
#[derive(Clone, Debug)]
pub struct Vote {
    /// The candidate's own vote.
    pub ballot: Signed<Ballot>,
    /// Why the term may begin.
    pub opening: Option<Arc<Opening>>,
    /// Why the mark is true.
    pub backing: Backing,
}

/// Answers a request for a vote.
#[derive(Clone, Debug)]
pub struct VoteReply {
    /// The term of the voter.
    pub term: u64,
    /// What was asked for.
    pub asked: Ballot,
    /// The vote, and how far the voter itself has come.
    pub grant: Option<(Signed<Ballot>, Signed<Standing>)>,
}

/// Entries to be appended.
#[derive(Clone, Debug)]
pub struct Append {
    /// The leader's term.
    pub term: u64,
    /// The entry before the first one sent.
    pub previous: Mark,
    /// At least one.
    pub entries: Vec<Entry>,
    /// How far the leader has committed.
    pub commit: u64,
    /// Why it leads, for those who may not know.
    pub election: Option<Arc<Election>>,
}

/// What became of entries to be appended, or of a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The logs are equal, on disk, up to this index.
    Matched(u64),
    /// The log does not hold the entry that should have preceded.
    Conflict {
        /// The index of that entry.
        previous: u64,
        /// Where the leader may try next.
        hint: u64,
    },
    /// The sender's term is over, or it lacks what is decided.
    Stale,
    /// The sender has not shown why it leads.
    Unproven,
    /// The sender is convicted, or what it sent is invalid.
    Refused,
}

/// Content that a replica knows and a liar needs. Not on the wire, and never read by a receiver.
pub type Told = Option<(Header, Content)>;

/// Answers an append or a snapshot.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The term of the follower.
    pub term: u64,
    /// What became of it.
    pub answer: Answer,
    /// Votes on entries of the leader's own term.
    pub acks: Vec<Signed<Ack>>,
    /// The leader's header of the last entry voted on, for those who were sent another.
    pub echo: Option<Signed<Header>>,
    /// Why the follower is in a later term.
    pub warrant: Option<Warrant>,
    /// What the last vote is on.
    pub told: Told,
}

/// A quorum holds the log up to a place: hold to it.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The leader's claim that it is so.
    pub claim: Signed<Claim>,
    /// The leader's header of the place, for those who were sent another.
    pub header: Signed<Header>,
}

/// Says that the leader lives, and how far it has committed.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// The leader's term.
    pub term: u64,
    /// The last committed entry.
    pub commit: Mark,
    /// Counts the leader's heartbeats.
    pub round: u64,
    /// Why it leads, for those who may not know.
    pub election: Option<Arc<Election>>,
    /// What stands at the last committed place.
    pub told: Told,
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
    /// Up to which index it has voted in the second round in this term.
    pub locked: u64,
    /// Up to which index it has decided.
    pub decided: u64,
    /// Whether it has not seen why the sender leads.
    pub unproven: bool,
    /// Why the follower is in a later term.
    pub warrant: Option<Warrant>,
}

/// The state of the leader's ledger, for a follower that needs entries it no longer holds.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The leader's term.
    pub term: u64,
    /// The header of the last entry it includes.
    pub last: Signed<Header>,
    /// The block and the state.
    pub point: Point,
    /// Why those are no members who have been excluded by then.
    pub excluded: Vec<Arc<Evidence>>,
    /// Why it leads, for those who may not know.
    pub election: Option<Arc<Election>>,
}

/// Entries that are decided, from any member.
#[derive(Clone, Debug)]
pub struct Proven {
    /// At least one, in order.
    pub entries: Vec<Entry>,
    /// What decides the last of them, and so all.
    pub proof: Backed<Ack>,
}

/// Every message of the protocol.
#[derive(Clone, Debug)]
pub enum Message {
    /// Would you vote for me?
    PreVote(PreVote),
    /// I would, or would not.
    PreVoteReply(PreVoteReply),
    /// Vote for me.
    Vote(Box<Vote>),
    /// I do, or do not.
    VoteReply(Box<VoteReply>),
    /// Append these entries.
    Append(Append),
    /// What became of them.
    AppendReply(Box<Reply>),
    /// A quorum holds these entries.
    Prepared(Box<Prepared>),
    /// I hold to them.
    CommitVote {
        /// The vote.
        ack: Signed<Ack>,
        /// What it is on.
        told: Told,
    },
    /// A quorum does: they are decided.
    Committed(Signed<Claim>),
    /// The leader has committed up to here, by its own word.
    CommitNotice {
        /// The leader's term.
        term: u64,
        /// The last committed entry.
        commit: Mark,
    },
    /// I lead.
    Heartbeat(Box<Heartbeat>),
    /// So you do.
    HeartbeatReply(HeartbeatReply),
    /// Start from here.
    Snapshot(Box<Snapshot>),
    /// What became of the snapshot.
    SnapshotReply(Box<Reply>),
    /// Requests wait and nothing happens.
    Complaint(Signed<Complaint>),
    /// This convicts a member.
    Evidence(Arc<Evidence>),
    /// Clients asked me; you lead.
    Forward(Vec<Arc<Transaction>>),
    /// What is decided from here on?
    Fetch {
        /// The first entry that the sender lacks.
        first: u64,
    },
    /// This is.
    Proven(Box<Proven>),
}

/// Bytes of a message without content: frame, addresses, term and two numbers.
const HEADER_BYTES: u32 = 48;
/// A statement of one replica: numbers, a digest, name and signature.
const STATEMENT_BYTES: u32 = 24 + DIGEST_BYTES + 2 + SIGNATURE_BYTES;

/// A statement with the signatures of a certificate.
fn certificate_size<B: Body>(certificate: &Certificate<B>) -> u32 {
    24 + DIGEST_BYTES + signatures_size(certificate.signers())
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl<B: Body> Backed<B> {
    /// Bytes on the wire.
    pub fn size(&self) -> u32 {
        let evidence: u32 = self.evidence.iter().map(|evidence| evidence.size()).sum();
        certificate_size(&self.certificate) + evidence
    }

    fn signatures(&self) -> u32 {
        count(self.certificate.signers() + 2 * self.evidence.len())
    }
}

impl Warrant {
    fn size(&self) -> u32 {
        match self {
            Self::Dead(opening) => opening.size(),
            Self::Elected(election) => election.size(),
        }
    }

    fn signatures(&self) -> u32 {
        match self {
            Self::Dead(opening) => opening.signatures(),
            Self::Elected(election) => election.signatures(),
        }
    }
}

impl Entry {
    /// Bytes on the wire.
    pub(super) fn size(&self) -> u32 {
        let header = STATEMENT_BYTES + DIGEST_BYTES;
        header.saturating_add(self.content.size())
    }
}

impl Vote {
    fn size(&self) -> u32 {
        let opening: u32 = self.opening.iter().map(|opening| opening.size()).sum();
        let backing = match &self.backing {
            Backing::Genesis => 0,
            Backing::Head(_) => STATEMENT_BYTES + DIGEST_BYTES,
            Backing::Certified(certificate) => certificate_size(certificate),
        };
        STATEMENT_BYTES + opening + backing
    }

    fn signatures(&self) -> u32 {
        let opening: u32 = self.opening.iter().map(|o| o.signatures()).sum();
        let backing = match &self.backing {
            Backing::Genesis => 0,
            Backing::Head(_) => 1,
            Backing::Certified(certificate) => certificate.signers(),
        };
        1 + opening + count(backing)
    }
}

impl Reply {
    fn size(&self) -> u32 {
        let acks = count(self.acks.len()) * STATEMENT_BYTES;
        let echo = self.echo.iter().count();
        let warrant: u32 = self.warrant.iter().map(Warrant::size).sum();
        acks + count(echo) * (STATEMENT_BYTES + DIGEST_BYTES) + warrant
    }

    fn signatures(&self) -> u32 {
        let warrant: u32 = self.warrant.iter().map(Warrant::signatures).sum();
        count(self.acks.len() + self.echo.iter().count()) + warrant
    }
}

fn claim_size(claim: &Signed<Claim>) -> u32 {
    2 + SIGNATURE_BYTES + certificate_size(&claim.body().certificate)
}

fn claim_signatures(claim: &Signed<Claim>) -> u32 {
    1 + count(claim.body().certificate.signers())
}

fn election_size(election: Option<&Arc<Election>>) -> u32 {
    election.map_or(0, |election| election.size())
}

fn election_signatures(election: Option<&Arc<Election>>) -> u32 {
    election.map_or(0, |election| election.signatures())
}

/// A statement about a place of the log.
impl Wire for Message {
    fn kind(&self) -> &'static str {
        match self {
            Self::PreVote(_) => "pre-vote",
            Self::PreVoteReply(_) => "pre-vote-reply",
            Self::Vote(_) => "vote",
            Self::VoteReply(_) => "vote-reply",
            Self::Append(_) => "append",
            Self::AppendReply(_) => "append-reply",
            Self::Prepared(_) => "prepared",
            Self::CommitVote { .. } => "commit-vote",
            Self::Committed(_) => "committed",
            Self::CommitNotice { .. } => "commit-notice",
            Self::Heartbeat(_) => "heartbeat",
            Self::HeartbeatReply(_) => "heartbeat-reply",
            Self::Snapshot(_) => "snapshot",
            Self::SnapshotReply(_) => "snapshot-reply",
            Self::Complaint(_) => "complaint",
            Self::Evidence(_) => "evidence",
            Self::Forward(_) => "forward",
            Self::Fetch { .. } => "fetch",
            Self::Proven(_) => "proven",
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
            "prepared",
            "commit-vote",
            "committed",
            "commit-notice",
            "heartbeat",
            "heartbeat-reply",
            "snapshot",
            "snapshot-reply",
            "complaint",
            "evidence",
            "forward",
            "fetch",
            "proven",
        ]
    }

    fn size(&self) -> u32 {
        let content: u32 = match self {
            Self::PreVote(_) | Self::CommitNotice { .. } => DIGEST_BYTES,
            Self::PreVoteReply(reply) => {
                let warrant: u32 = reply.warrant.iter().map(Warrant::size).sum();
                count(reply.share.iter().count()) * (2 + SIGNATURE_BYTES) + warrant
            }
            Self::Vote(vote) => vote.size(),
            Self::VoteReply(reply) => {
                DIGEST_BYTES + count(reply.grant.iter().count()) * 2 * STATEMENT_BYTES
            }
            Self::Append(append) => {
                let entries = append.entries.iter().map(Entry::size);
                let entries = entries.fold(DIGEST_BYTES, u32::saturating_add);
                entries.saturating_add(election_size(append.election.as_ref()))
            }
            Self::AppendReply(reply) | Self::SnapshotReply(reply) => reply.size(),
            Self::Prepared(prepared) => {
                claim_size(&prepared.claim) + STATEMENT_BYTES + DIGEST_BYTES
            }
            Self::CommitVote { .. } | Self::Complaint(_) => STATEMENT_BYTES,
            Self::Committed(claim) => claim_size(claim),
            Self::Heartbeat(beat) => DIGEST_BYTES + election_size(beat.election.as_ref()),
            Self::HeartbeatReply(reply) => 16 + reply.warrant.as_ref().map_or(0, Warrant::size),
            Self::Snapshot(snapshot) => {
                let point = u32::try_from(snapshot.point.size()).unwrap_or(u32::MAX);
                let proof = DIGEST_BYTES + election_size(snapshot.election.as_ref());
                let excluded = snapshot.excluded.iter().map(|proof| proof.size());
                let proof = excluded.fold(proof, u32::saturating_add);
                point.saturating_add(proof)
            }
            Self::Evidence(evidence) => evidence.size(),
            Self::Forward(transactions) => transactions.iter().map(|t| t.size()).sum(),
            Self::Fetch { .. } => 0,
            Self::Proven(proven) => {
                let entries = proven.entries.iter().map(Entry::size);
                entries.fold(proven.proof.size(), u32::saturating_add)
            }
        };
        HEADER_BYTES.saturating_add(content)
    }

    /// What can convict its sender is signed; the rest rests on the channel.
    fn signatures(&self) -> u32 {
        match self {
            Self::PreVote(_)
            | Self::CommitNotice { .. }
            | Self::Forward(_)
            | Self::Fetch { .. } => 0,
            Self::PreVoteReply(reply) => {
                let warrant: u32 = reply.warrant.iter().map(Warrant::signatures).sum();
                count(reply.share.iter().count()) + warrant
            }
            Self::Vote(vote) => vote.signatures(),
            Self::VoteReply(reply) => 2 * count(reply.grant.iter().count()),
            Self::Append(append) => {
                count(append.entries.len()) + election_signatures(append.election.as_ref())
            }
            Self::AppendReply(reply) | Self::SnapshotReply(reply) => reply.signatures(),
            Self::Prepared(prepared) => 1 + claim_signatures(&prepared.claim),
            Self::CommitVote { .. } | Self::Complaint(_) => 1,
            Self::Committed(claim) => claim_signatures(claim),
            Self::Heartbeat(beat) => election_signatures(beat.election.as_ref()),
            Self::HeartbeatReply(reply) => reply.warrant.as_ref().map_or(0, Warrant::signatures),
            Self::Snapshot(snapshot) => election_signatures(snapshot.election.as_ref()),
            Self::Evidence(_) => 2,
            Self::Proven(proven) => count(proven.entries.len()) + proven.proof.signatures(),
        }
    }

    fn contradict(&self, liar: &Signer) -> Option<Self> {
        lies::contradict(self, liar)
    }

    fn forge(&self, liar: &Signer, victim: NodeId) -> Option<Self> {
        lies::forge(self, liar, victim)
    }

    /// A leader puts one content at a place of its term, a follower votes for one log up to there
    /// in each round, and everybody for one candidate in a term.
    fn statements(&self, me: NodeId, _to: &To, say: Listener<'_>) {
        match self {
            Self::Vote(vote) => say(Statement::Holds(vote.ballot.body().holding(me))),
            Self::VoteReply(reply) => {
                if let Some((granted, _)) = &reply.grant {
                    say(Statement::Holds(granted.body().holding(me)));
                }
            }
            Self::Append(append) => {
                for header in append.entries.iter().map(|entry| &entry.header) {
                    if header.by() == me {
                        say(Statement::Holds(header.body().holding(me)));
                    }
                }
            }
            Self::AppendReply(reply) | Self::SnapshotReply(reply) => {
                let acks = reply.acks.iter().map(|ack| ack.body().holding(me));
                acks.for_each(|holding| say(Statement::Holds(holding)));
            }
            Self::CommitVote { ack, .. } => say(Statement::Holds(ack.body().holding(me))),
            Self::PreVote(_)
            | Self::PreVoteReply(_)
            | Self::Prepared(_)
            | Self::Committed(_)
            | Self::CommitNotice { .. }
            | Self::Heartbeat(_)
            | Self::HeartbeatReply(_)
            | Self::Snapshot(_)
            | Self::Complaint(_)
            | Self::Evidence(_)
            | Self::Forward(_)
            | Self::Fetch { .. }
            | Self::Proven(_) => {}
        }
    }

    fn oaths(&self, notary: &Notary<'_>, swear: Registrar<'_>) {
        oaths::read(self, notary, swear);
    }

    fn inflate(&self, liar: &Signer, by: u64) -> Option<Self> {
        lies::inflate(self, liar, by)
    }
}
