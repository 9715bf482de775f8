//! What messages prove of whoever has signed something in them.

use super::content::Entry;
use super::message::{Backing, Election, Message, Warrant};
use super::statement::{Ack, Ballot, Header, Mark, Stage};
use crate::base::crypto::Body;
use crate::base::node::NodeId;
use crate::protocol::Holding;
use crate::protocol::oath::{Binding, Notary, Reader, Registrar};

/// What whoever puts a log up to a place under its name says.
fn place(by: NodeId, kind: &'static str, mark: Mark) -> Holding {
    Holding {
        by,
        kind,
        view: mark.term,
        place: mark.index,
        what: mark.chain.prefix(),
    }
}

impl Binding for Header {
    fn holding(&self, by: NodeId) -> Holding {
        place(by, "header", self.mark())
    }
}

impl Binding for Ack {
    fn holding(&self, by: NodeId) -> Holding {
        let kind = match self.stage {
            Stage::Prepare => "prepare",
            Stage::Commit => "commit",
        };
        place(by, kind, self.mark())
    }
}

impl Binding for Ballot {
    fn holding(&self, by: NodeId) -> Holding {
        Holding {
            by,
            kind: "vote",
            view: self.term,
            place: 0,
            what: self.digest().prefix(),
        }
    }
}

/// Tells what a message proves.
pub(super) fn read(message: &Message, notary: &Notary<'_>, swear: Registrar<'_>) {
    let mut reader = Reader { notary, swear };
    match message {
        Message::Vote(vote) => {
            reader.word(&vote.ballot);
            match &vote.backing {
                Backing::Genesis => {}
                Backing::Head(header) => reader.word(header),
                Backing::Certified(certificate) => reader.words(certificate),
            }
        }
        Message::VoteReply(reply) => {
            if let Some((granted, _)) = &reply.grant {
                reader.word(granted);
            }
        }
        Message::Append(append) => {
            read_entries(&append.entries, &mut reader);
            read_election(append.election.as_deref(), &mut reader);
        }
        Message::AppendReply(reply) | Message::SnapshotReply(reply) => {
            reply.acks.iter().for_each(|ack| reader.word(ack));
            reply.echo.iter().for_each(|header| reader.word(header));
            read_warrant(reply.warrant.as_ref(), &mut reader);
        }
        Message::Prepared(prepared) => {
            reader.words(&prepared.claim.body().certificate);
            reader.word(&prepared.header);
        }
        Message::CommitVote { ack, .. } => reader.word(ack),
        Message::Committed(claim) => reader.words(&claim.body().certificate),
        Message::Heartbeat(beat) => read_election(beat.election.as_deref(), &mut reader),
        Message::HeartbeatReply(reply) => read_warrant(reply.warrant.as_ref(), &mut reader),
        Message::Snapshot(snapshot) => {
            reader.word(&snapshot.last);
            read_election(snapshot.election.as_deref(), &mut reader);
        }
        Message::PreVoteReply(reply) => read_warrant(reply.warrant.as_ref(), &mut reader),
        Message::Proven(proven) => {
            read_entries(&proven.entries, &mut reader);
            reader.words(&proven.proof.certificate);
        }
        // Evidence convicts by itself; the rest signs nothing that binds its sender.
        Message::PreVote(_)
        | Message::CommitNotice { .. }
        | Message::Complaint(_)
        | Message::Evidence(_)
        | Message::Forward(_)
        | Message::Fetch { .. } => {}
    }
}

fn read_entries(entries: &[Entry], reader: &mut Reader<'_, '_>) {
    entries.iter().for_each(|entry| reader.word(&entry.header));
}

fn read_election(election: Option<&Election>, reader: &mut Reader<'_, '_>) {
    let elected = election.map(|election| &election.certificate);
    elected.into_iter().for_each(|proof| reader.words(proof));
}

fn read_warrant(warrant: Option<&Warrant>, reader: &mut Reader<'_, '_>) {
    if let Some(Warrant::Elected(election)) = warrant {
        read_election(Some(election), reader);
    }
}
