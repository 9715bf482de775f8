//! Who takes which message: the part of a node that its role has in what the others say.

use super::{Cx, Layers, Message};
use crate::base::node::NodeId;

impl Layers {
    /// A message for a consensus node. What only the leader does the others leave to it, and say
    /// who it is.
    pub(super) fn at_consensus(&mut self, from: NodeId, message: &Message, cx: &mut Cx<'_>) {
        if self.at_any(from, message, cx) {
            return;
        }
        if !self.leads() {
            self.name_leader(from, cx);
            self.stand_in(from, message, cx);
            return;
        }
        match message {
            Message::Presence {
                id,
                present,
                remote,
            } => self.on_presence(from, *id, (*present, remote), cx),
            Message::Payload { id, body } => self.on_payload(*id, *body, cx),
            Message::Ack(rids) => self.on_ack_to_edge(from, rids, cx),
            Message::Inject(parcel) => self.on_inject(from, parcel, cx),
            Message::Waits(parcel) => self.on_waits(from, parcel, cx),
            Message::Register(auth) => match cx.height_of(auth.id) {
                Some(_) if self.tell_taken(from, auth, cx) => {}
                Some(height) => self.tell_headers(from, height, cx),
                None => self.enqueue(auth.clone(), None, cx),
            },
            Message::MigRequest {
                auth,
                tried,
                attempt,
                known,
            } => self.on_mig_request(from, auth, (tried, *attempt, *known), cx),
            Message::MigForward(ticket) => self.on_mig_forward(from, ticket, cx),
            Message::MigDone {
                auth,
                have,
                tried,
                attempt,
                lost,
            } => {
                let asked = (&tried[..], *attempt, lost.as_deref());
                self.on_mig_done(from, auth, have, asked, cx);
            }
            _ => {}
        }
    }

    /// What any consensus node sees to, whether or not it leads; says whether this is such.
    fn at_any(&mut self, from: NodeId, message: &Message, cx: &mut Cx<'_>) -> bool {
        match message {
            Message::Compare { through, sum } => self.on_compare(from, (*through, *sum), cx),
            Message::Fetch { rid, tried } => self.on_fetch_from_edge(from, (rid, *tried), cx),
            Message::Due { headers, .. } => self.on_headers_at_edge(headers, cx),
            Message::Remind { rid, between } => self.on_remind(from, (*rid, *between), cx),
            Message::Fetched(item) => self.on_fetched_at_edge(item, cx),
            Message::Ack(rids) if self.topology.edge(self.net).index.contains(&from) => {
                self.on_ack_to_edge(from, rids, cx);
            }
            _ => return false,
        }
        true
    }

    /// A message for an index node.
    pub(super) fn at_index(&mut self, from: NodeId, message: &Message, cx: &mut Cx<'_>) {
        match message {
            Message::Leader(leader) => self.hear_leader(*leader),
            Message::Relay(parcel) => self.on_relay(from, parcel, cx),
            Message::RelayIc(parcel) => self.on_relay_ic(from, parcel, cx),
            Message::Ack(rids) => self.on_ack_to_index(from, rids, cx),
            Message::Line(line) => self.on_line(*line, cx),
            Message::Remind { rid, between } => self.pass_reminder(from, *rid, *between, cx),
            Message::Fetch { rid, .. } => self.on_fetch_from_depot(from, rid, cx),
            Message::MigForward(ticket) => self.on_mig_forward(from, ticket, cx),
            Message::MigChunk(chunk) => self.on_mig_chunk(chunk, cx),
            _ => {}
        }
    }

    /// A message for a record node.
    pub(super) fn at_record(&mut self, from: NodeId, message: &Message, cx: &mut Cx<'_>) {
        match message {
            Message::Leader(leader) => self.on_leader(from, *leader, cx),
            Message::Header(headers) => {
                self.hear_leader(from);
                self.on_headers(headers, cx);
            }
            Message::Deliver { headers, items } => self.on_deliver(from, (headers, items), cx),
            Message::Due {
                headers,
                records,
                grants,
            } => {
                self.on_due(from, headers, records, cx);
                self.on_granted(grants, cx);
            }
            Message::Fetch { rid, .. } => self.on_fetch_from_store(from, rid, cx),
            Message::Fetched(item) => {
                self.accept(item, cx);
            }
            Message::MigForward(ticket) => self.on_mig_forward(from, ticket, cx),
            Message::MigChunk(chunk) => self.on_mig_chunk(chunk, cx),
            Message::MigRefuse(id) => self.on_refuse(from, *id),
            Message::Taken { by, header } => self.on_taken(&by.0, header, cx),
            Message::Erase(end) => self.on_end(end, cx),
            _ => {}
        }
    }
}
