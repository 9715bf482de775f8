//! What messages prove of whoever has signed something in them.

use super::content::Entry;
use super::message::{Backing, Election, Message, Warrant};
use super::statement::{Ack, Ballot, Header, Mark, Stage};
use crate::base::crypto::{Body, Certificate, Signed};
use crate::base::node::NodeId;
use crate::protocol::Holding;
use crate::protocol::oath::{Notary, Oath, Registrar};

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

impl Header {
    /// What the leader who signs it says.
    pub(super) fn holding(&self, by: NodeId) -> Holding {
        place(by, "header", self.mark())
    }
}

impl Ack {
    /// What the follower who signs it says.
    pub(super) fn holding(&self, by: NodeId) -> Holding {
        let kind = match self.stage {
            Stage::Prepare => "prepare",
            Stage::Commit => "commit",
        };
        place(by, kind, self.mark())
    }
}

impl Ballot {
    /// What the voter who signs it says.
    pub(super) fn holding(&self, by: NodeId) -> Holding {
        Holding {
            by,
            kind: "vote",
            view: self.term,
            place: 0,
            what: self.digest().prefix(),
        }
    }
}

/// Reads messages.
struct Reader<'r, 'n> {
    notary: &'r Notary<'n>,
    swear: Registrar<'r>,
}

/// Tells what a message proves.
pub(super) fn read(message: &Message, notary: &Notary<'_>, swear: Registrar<'_>) {
    let mut reader = Reader { notary, swear };
    match message {
        Message::Vote(vote) => {
            reader.ballot(&vote.ballot);
            match &vote.backing {
                Backing::Genesis => {}
                Backing::Head(header) => reader.header(header),
                Backing::Certified(certificate) => reader.acks(certificate),
            }
        }
        Message::VoteReply(reply) => {
            if let Some((granted, _)) = &reply.grant {
                reader.ballot(granted);
            }
        }
        Message::Append(append) => {
            reader.entries(&append.entries);
            reader.election(append.election.as_deref());
        }
        Message::AppendReply(reply) | Message::SnapshotReply(reply) => {
            reply.acks.iter().for_each(|ack| reader.ack(ack));
            reply.echo.iter().for_each(|header| reader.header(header));
            reader.warrant(reply.warrant.as_ref());
        }
        Message::Prepared(prepared) => {
            reader.acks(&prepared.claim.body().certificate);
            reader.header(&prepared.header);
        }
        Message::CommitVote { ack, .. } => reader.ack(ack),
        Message::Committed(claim) => reader.acks(&claim.body().certificate),
        Message::Heartbeat(beat) => reader.election(beat.election.as_deref()),
        Message::HeartbeatReply(reply) => reader.warrant(reply.warrant.as_ref()),
        Message::Snapshot(snapshot) => {
            reader.header(&snapshot.last);
            reader.election(snapshot.election.as_deref());
        }
        Message::Proven(proven) => {
            reader.entries(&proven.entries);
            reader.acks(&proven.proof.certificate);
        }
        // Evidence convicts by itself; the rest signs nothing that binds its sender.
        Message::PreVote(_)
        | Message::PreVoteReply(_)
        | Message::CommitNotice { .. }
        | Message::Complaint(_)
        | Message::Evidence(_)
        | Message::Forward(_)
        | Message::Fetch { .. } => {}
    }
}

impl Reader<'_, '_> {
    fn header(&mut self, header: &Signed<Header>) {
        if let Some(by) = self.notary.signer(header) {
            (self.swear)(Oath::Holds(header.body().holding(by)));
        }
    }

    fn entries(&mut self, entries: &[Entry]) {
        entries.iter().for_each(|entry| self.header(&entry.header));
    }

    fn ack(&mut self, ack: &Signed<Ack>) {
        if let Some(by) = self.notary.signer(ack) {
            (self.swear)(Oath::Holds(ack.body().holding(by)));
        }
    }

    fn acks(&mut self, certificate: &Certificate<Ack>) {
        for by in self.notary.signers(certificate) {
            (self.swear)(Oath::Holds(certificate.body().holding(by)));
        }
    }

    fn ballot(&mut self, ballot: &Signed<Ballot>) {
        if let Some(by) = self.notary.signer(ballot) {
            (self.swear)(Oath::Holds(ballot.body().holding(by)));
        }
    }

    fn election(&mut self, election: Option<&Election>) {
        let Some(certificate) = election.map(|election| &election.certificate) else {
            return;
        };
        for by in self.notary.signers(certificate) {
            (self.swear)(Oath::Holds(certificate.body().holding(by)));
        }
    }

    fn warrant(&mut self, warrant: Option<&Warrant>) {
        if let Some(Warrant::Elected(election)) = warrant {
            self.election(Some(election));
        }
    }
}
