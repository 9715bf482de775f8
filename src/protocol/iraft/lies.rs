//! The nearest well-formed lie of each message: all that a liar can say without another's key.

use std::sync::Arc;

use super::content::{Content, Entry};
use super::evidence::Evidence;
use super::message::{
    Append, Heartbeat, Message, PreVoteReply, Prepared, Proven, Reply, Told, VoteReply,
};
use super::statement::{Ack, Claim, Header, Mark, Share, Standing};
use crate::base::crypto::{Certificate, Digest, Signed, Signer};
use crate::base::node::NodeId;

/// The same message with conflicting content, signed by the liar.
pub(super) fn contradict(message: &Message, liar: &Signer) -> Option<Message> {
    match message {
        Message::PreVoteReply(reply) => share_anyway(reply, liar).map(Message::PreVoteReply),
        Message::VoteReply(reply) => Some(Message::VoteReply(Box::new(vote_anyway(reply, liar)?))),
        Message::Append(append) => equivocate(append, liar).map(Message::Append),
        Message::AppendReply(reply) => Some(Message::AppendReply(Box::new(answer_otherwise(
            reply, liar,
        )?))),
        Message::Prepared(prepared) => Some(Message::Prepared(Box::new(Prepared {
            claim: claim_alone(&prepared.claim, liar),
            header: prepared.header.clone(),
        }))),
        Message::CommitVote { ack, told } => {
            let chain = other_chain(told)?;
            let told = told.clone();
            let ack = liar.sign(Ack {
                chain,
                ..*ack.body()
            });
            Some(Message::CommitVote { ack, told })
        }
        Message::Committed(claim) => Some(Message::Committed(claim_alone(claim, liar))),
        Message::Heartbeat(beat) => {
            let chain = other_chain(&beat.told)?;
            let commit = Mark {
                chain,
                ..beat.commit
            };
            Some(Message::Heartbeat(Box::new(Heartbeat {
                commit,
                ..Heartbeat::clone(beat)
            })))
        }
        Message::Evidence(evidence) => Some(Message::Evidence(slander(evidence, liar))),
        Message::Proven(proven) => Some(Message::Proven(Box::new(prove_otherwise(proven, liar)?))),
        // These state nothing: a lie in them is no more than silence or noise.
        Message::PreVote(_)
        | Message::Vote(_)
        | Message::CommitNotice { .. }
        | Message::HeartbeatReply(_)
        | Message::Snapshot(_)
        | Message::SnapshotReply(_)
        | Message::Complaint(_)
        | Message::Fetch { .. }
        | Message::Forward(_) => None,
    }
}

/// The same statements in the name of `victim`, with signatures that are not theirs.
pub(super) fn forge(message: &Message, liar: &Signer, victim: NodeId) -> Option<Message> {
    let mut lie = message.clone();
    match &mut lie {
        Message::PreVoteReply(reply) => {
            let share = reply.share.as_mut()?;
            *share = liar.garbage(*share.body(), victim);
        }
        Message::Vote(vote) => vote.ballot = liar.garbage(*vote.ballot.body(), victim),
        Message::VoteReply(reply) => {
            let (ballot, standing) = reply.grant.as_mut()?;
            *ballot = liar.garbage(*ballot.body(), victim);
            *standing = liar.garbage(*standing.body(), victim);
        }
        Message::Append(append) => {
            for entry in &mut append.entries {
                entry.header = liar.garbage(*entry.header.body(), victim);
            }
        }
        Message::AppendReply(reply) | Message::SnapshotReply(reply) => {
            let last = reply.acks.last_mut()?;
            *last = liar.garbage(*last.body(), victim);
        }
        Message::Prepared(prepared) => {
            prepared.claim = liar.garbage(prepared.claim.body().clone(), victim);
        }
        Message::CommitVote { ack, .. } => *ack = liar.garbage(*ack.body(), victim),
        Message::Committed(claim) => *claim = liar.garbage(claim.body().clone(), victim),
        Message::Complaint(complaint) => *complaint = liar.garbage(*complaint.body(), victim),
        Message::Proven(proven) => {
            for entry in &mut proven.entries {
                entry.header = liar.garbage(*entry.header.body(), victim);
            }
        }
        // Nobody signs these, or somebody else has.
        Message::PreVote(_)
        | Message::Heartbeat(_)
        | Message::HeartbeatReply(_)
        | Message::CommitNotice { .. }
        | Message::Snapshot(_)
        | Message::Evidence(_)
        | Message::Fetch { .. }
        | Message::Forward(_) => return None,
    }
    Some(lie)
}

/// The same in a term that is so much later.
pub(super) fn inflate(message: &Message, liar: &Signer, by: u64) -> Option<Message> {
    let mut lie = message.clone();
    match &mut lie {
        Message::PreVote(vote) => later(&mut vote.term, by),
        Message::PreVoteReply(reply) => {
            later(&mut reply.term, by);
            later(&mut reply.asked, by);
            let term = reply.asked;
            reply.share = reply.share.as_ref().map(|_| liar.sign(Share { term }));
        }
        Message::Vote(vote) => {
            let mut ballot = *vote.ballot.body();
            later(&mut ballot.term, by);
            vote.ballot = liar.sign(ballot);
        }
        Message::VoteReply(reply) => later(&mut reply.term, by),
        Message::Append(append) => later(&mut append.term, by),
        Message::AppendReply(reply) | Message::SnapshotReply(reply) => later(&mut reply.term, by),
        Message::Heartbeat(beat) => later(&mut beat.term, by),
        Message::HeartbeatReply(reply) => later(&mut reply.term, by),
        Message::Snapshot(snapshot) => later(&mut snapshot.term, by),
        Message::CommitNotice { term, .. } => later(term, by),
        Message::CommitVote { ack, .. } => {
            let mut body = *ack.body();
            later(&mut body.term, by);
            *ack = liar.sign(body);
        }
        Message::Complaint(complaint) => {
            let mut body = *complaint.body();
            later(&mut body.term, by);
            *complaint = liar.sign(body);
        }
        // What others have signed names its term for good.
        Message::Prepared(_)
        | Message::Committed(_)
        | Message::Evidence(_)
        | Message::Fetch { .. }
        | Message::Proven(_)
        | Message::Forward(_) => return None,
    }
    Some(lie)
}

fn later(term: &mut u64, by: u64) {
    *term = term.saturating_add(by);
}

/// A share given while a leader lives.
fn share_anyway(reply: &PreVoteReply, liar: &Signer) -> Option<PreVoteReply> {
    reply.share.is_none().then(|| PreVoteReply {
        share: Some(liar.sign(Share { term: reply.asked })),
        ..reply.clone()
    })
}

/// A vote given against the rules.
fn vote_anyway(reply: &VoteReply, liar: &Signer) -> Option<VoteReply> {
    let (term, mark) = (reply.asked.term, reply.asked.mark);
    reply.grant.is_none().then(|| VoteReply {
        term,
        asked: reply.asked,
        grant: Some((liar.sign(reply.asked), liar.sign(Standing { term, mark }))),
    })
}

/// Other content at the same places. The lie of a liar's own entries only: the headers of others
/// cannot be made.
fn equivocate(append: &Append, liar: &Signer) -> Option<Append> {
    let mut previous = append.entries.first()?.header.body().previous;
    let mut lied = false;
    let mut entries = Vec::new();
    for entry in &append.entries {
        if entry.header.by() != liar.node() {
            return None;
        }
        let opposite = entry.content.opposite();
        lied |= opposite.is_some();
        let content = opposite.unwrap_or_else(|| entry.content.clone());
        let header = Header {
            previous,
            content: content.digest(),
            ..*entry.header.body()
        };
        previous = header.chain();
        let header = liar.sign(header);
        entries.push(Entry { header, content });
    }
    lied.then(|| Append {
        entries,
        ..append.clone()
    })
}

/// The chain that ends with the opposite of what was told.
fn other_chain(told: &Told) -> Option<Digest> {
    let (header, content) = told.as_ref()?;
    let content = content.opposite()?.digest();
    Some(Header { content, ..*header }.chain())
}

/// A vote for the opposite of what is in the log.
fn answer_otherwise(reply: &Reply, liar: &Signer) -> Option<Reply> {
    let chain = other_chain(&reply.told)?;
    let mut acks = reply.acks.clone();
    let last = acks.last_mut()?;
    *last = liar.sign(Ack {
        chain,
        ..*last.body()
    });
    Some(Reply {
        acks,
        ..reply.clone()
    })
}

/// A claim with nobody's signature but the liar's.
fn claim_alone(claim: &Signed<Claim>, liar: &Signer) -> Signed<Claim> {
    let ack = *claim.body().certificate.body();
    let certificate = Arc::new(Certificate::open(ack));
    liar.sign(Claim { certificate })
}

/// Another last entry than the one that is decided, signed by the liar, under the same proof.
fn prove_otherwise(proven: &Proven, liar: &Signer) -> Option<Proven> {
    let mut lie = proven.clone();
    let last = lie.entries.last_mut()?;
    last.content = last.content.opposite()?;
    let content = last.content.digest();
    last.header = liar.sign(Header {
        content,
        ..*last.header.body()
    });
    Some(lie)
}

/// Evidence against somebody who did nothing, with signatures that are not theirs.
fn slander(evidence: &Evidence, liar: &Signer) -> Arc<Evidence> {
    let innocent = |node: &NodeId| *node != evidence.culprit() && *node != liar.node();
    let victim = (0..).map(NodeId).find(innocent);
    let victim = victim.expect("of three nodes one is neither culprit nor liar");
    let header = |content: Content| Header {
        term: 1,
        index: 1,
        previous: Digest::ZERO,
        content: content.digest(),
    };
    let nothing = Content::of(crate::chain::Batch::empty());
    let first = header(nothing);
    let second = Header {
        content: Digest::ZERO,
        ..first
    };
    Arc::new(Evidence::Equivocation(
        liar.garbage(first, victim),
        liar.garbage(second, victim),
    ))
}
