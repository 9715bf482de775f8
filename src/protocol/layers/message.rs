//! What nodes of the layers say to one another.

use std::sync::Arc;

use super::header::Header;
use super::index::Line;
use super::inner::Inside;
use super::table::Sum;
use super::topology::Net;
use crate::base::crypto::{DIGEST_BYTES, Digest, Hasher, SIGNATURE_BYTES, Signer};
use crate::base::node::NodeId;
use crate::chain::{Height, Transaction, TransactionId};
use crate::contract::message::RecordId;
use crate::protocol::oath::{Notary, Registrar};
use crate::protocol::{Listener, To, Wire};

/// The body of a record: ciphertext, of which only digest and size are modelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Body {
    /// The digest of the bytes, as they are.
    pub digest: Digest,
    /// How many there are.
    pub bytes: u32,
}

impl Body {
    /// Other bytes of the same length.
    fn altered(self) -> Self {
        let digest = Hasher::new("altered body").digest(&self.digest).finish();
        Self { digest, ..self }
    }
}

/// A record with its body, and the header of the block that says so where the receiver has none.
#[derive(Clone, PartialEq, Debug)]
pub struct Item {
    /// The call that entered the record.
    pub transaction: TransactionRef,
    /// The body.
    pub body: Body,
    /// The network that decided it, and where.
    pub place: (Net, Height),
    /// The header, for those who do not keep those of that network.
    pub header: Option<Arc<Header>>,
}

impl Item {
    fn size(&self) -> u32 {
        let header = self.header.as_ref().map_or(0, |header| header.size());
        self.transaction.0.size() + self.body.bytes + 10 + header
    }

    fn signatures(&self) -> u32 {
        self.header.as_ref().map_or(0, |h| h.proof.signatures())
    }

    fn altered(&self) -> Self {
        Self {
            body: self.body.altered(),
            ..self.clone()
        }
    }
}

/// A transaction, compared by its digest.
#[derive(Clone, Debug)]
pub struct TransactionRef(pub Arc<Transaction>);

impl PartialEq for TransactionRef {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

/// A record on its way to another network.
#[derive(Clone, PartialEq, Debug)]
pub struct Parcel {
    /// The record, with the header of the network it comes from.
    pub item: Item,
    /// Where it goes; on the way to the index a network that has lost it, or the one it comes
    /// from.
    pub to: Net,
    /// The other networks of the patient that the first one knows of.
    pub nets: Vec<Net>,
}

/// The right to be sent a patient's records, which anybody can check.
#[derive(Clone, PartialEq, Debug)]
pub struct Ticket {
    /// The patient.
    pub user: Digest,
    /// Who is to have the records.
    pub node: NodeId,
    /// The grant.
    pub auth: TransactionRef,
    /// The header of the block that holds the grant.
    pub header: Arc<Header>,
    /// Who has been asked in vain.
    pub tried: Vec<NodeId>,
    /// How often it was asked for before: others are asked next.
    pub attempt: u32,
    /// What the network that has the records knows of; nothing before it is asked.
    pub due: Vec<RecordId>,
    /// How many networks there are to ask.
    pub sources: usize,
    /// What has come from those asked before, if there are several.
    pub known: Option<Sum>,
}

/// The end of a patient's authorisation, which anybody can check.
#[derive(Clone, PartialEq, Debug)]
pub struct End {
    /// The revocation.
    pub by: TransactionRef,
    /// The grant that it names: the receiver may not know it any more.
    pub grant: TransactionRef,
    /// The header of the block that holds it.
    pub header: Arc<Header>,
}

/// What a migration brings.
#[derive(Clone, PartialEq, Debug)]
pub struct Chunk {
    /// The patient.
    pub user: Digest,
    /// Who is to have the records.
    pub node: NodeId,
    /// Who sends them.
    pub source: NodeId,
    /// Some of the records.
    pub items: Vec<Item>,
    /// All that there should be, in the last part.
    pub due: Vec<RecordId>,
    /// The way they take back.
    pub attempt: u32,
    /// Whether there are no more.
    pub last: bool,
    /// How many networks there are to ask.
    pub sources: usize,
}

/// What a node of the layers says.
#[derive(Clone, Debug)]
pub enum Message {
    /// Inside the agreement of a network.
    Group(Box<Inside>),
    /// This node leads the edge network.
    Leader(NodeId),
    /// What a client asks for, to whom it concerns.
    Forward(Arc<Transaction>),
    /// A record is to be entered; its body comes separately.
    AddRequest(Arc<Transaction>),
    /// Whether the patient of a request is known.
    Presence {
        /// The request.
        id: TransactionId,
        /// Whether the sender has the patient.
        present: bool,
        /// Which other networks have the patient.
        remote: Vec<Net>,
    },
    /// The body of a record that is to be entered.
    Payload {
        /// The request.
        id: TransactionId,
        /// The body.
        body: Body,
    },
    /// Headers, and the records of the last one that are for the receiver.
    Deliver {
        /// The headers.
        headers: Vec<Arc<Header>>,
        /// The records.
        items: Vec<Item>,
    },
    /// Headers alone.
    Header(Vec<Arc<Header>>),
    /// These records have arrived.
    Ack(Vec<RecordId>),
    /// To the index: a record that other networks should have.
    Relay(Box<Parcel>),
    /// Between index nodes.
    RelayIc(Box<Parcel>),
    /// From the index to the other network.
    Inject(Box<Parcel>),
    /// From the index: what was brought still waits. The body stays there until it is asked for.
    Waits(Box<Parcel>),
    /// To whoever leads the index network: to be decided.
    Line(Line),
    /// From the index: a record that was asked for has not come; or, between those networks, the
    /// second lacks what came from the first.
    Remind {
        /// The record.
        rid: RecordId,
        /// The network it comes from, and the one that lacks it.
        between: Option<(Net, Net)>,
    },
    /// A patient registers at the sender.
    Register(Arc<Transaction>),
    /// The sender wants the earlier records of a patient.
    MigRequest {
        /// The authorisation.
        auth: Arc<Transaction>,
        /// Who has been asked in vain.
        tried: Vec<NodeId>,
        /// How often it was asked before.
        attempt: u32,
        /// What has come from one network, if there are others.
        known: Option<Sum>,
    },
    /// On the way to somebody who has the records.
    MigForward(Box<Ticket>),
    /// Records.
    MigChunk(Box<Chunk>),
    /// The sender has these records of a patient.
    MigDone {
        /// The authorisation.
        auth: Arc<Transaction>,
        /// What it has.
        have: Vec<RecordId>,
        /// Who has been asked.
        tried: Vec<NodeId>,
        /// How often.
        attempt: u32,
        /// What nobody has sent for so long that it is given up; nothing before that.
        lost: Option<Vec<RecordId>>,
    },
    /// What the sender has of the chain and of the records.
    Compare {
        /// The last header without a gap.
        through: Height,
        /// All records of this network.
        sum: Sum,
    },
    /// What the receiver should have.
    Due {
        /// Headers it lacks.
        headers: Vec<Arc<Header>>,
        /// Records, with where the chain has them and who else has them.
        records: Vec<(RecordId, Height, Vec<NodeId>)>,
        /// Grants by which patients wait there for their records, and where the chain has them; or
        /// all that count there, if what the receiver has is not what it should have.
        grants: Vec<(Height, TransactionRef)>,
    },
    /// The sender wants the body of a record.
    Fetch {
        /// The record.
        rid: RecordId,
        /// How often it has asked in vain.
        tried: u32,
    },
    /// A record that was asked for.
    Fetched(Box<Item>),
    /// The registration by this grant is over, or there never was one.
    MigRefuse(TransactionId),
    /// What the receiver asks for comes to nothing: something else has its name.
    Taken {
        /// What was decided by that name.
        by: TransactionRef,
        /// The header of the block that holds it.
        header: Arc<Header>,
    },
    /// A patient's authorisation has ended: the receiver is to forget the records.
    Erase(Box<End>),
}

/// Bytes of every message besides its content.
const FRAME_BYTES: u32 = 24;

fn headers_size(headers: &[Arc<Header>]) -> u32 {
    headers.iter().map(|header| header.size()).sum()
}

fn headers_signatures(headers: &[Arc<Header>]) -> u32 {
    headers.iter().map(|header| header.proof.signatures()).sum()
}

fn items_size(items: &[Item]) -> u32 {
    items.iter().map(Item::size).sum()
}

fn sum_size(sum: Option<&Sum>) -> u32 {
    sum.map_or(0, |_| 16)
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Wire for Message {
    /// What is said in the agreement of a network.
    fn statements(&self, me: NodeId, to: &To, say: Listener<'_>) {
        if let Self::Group(message) = self {
            message.statements(me, to, say);
        }
    }

    fn oaths(&self, notary: &Notary<'_>, swear: Registrar<'_>) {
        if let Self::Group(message) = self {
            message.oaths(notary, swear);
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Group(message) => message.kind(),
            Self::Leader(_) => "leader",
            Self::Forward(_) => "request-forward",
            Self::AddRequest(_) => "add-request",
            Self::Presence { .. } => "presence",
            Self::Payload { .. } => "payload",
            Self::Deliver { .. } => "deliver",
            Self::Header(_) => "header",
            Self::Ack(_) => "ack",
            Self::Relay(_) => "relay",
            Self::RelayIc(_) => "relay-ic",
            Self::Inject(_) => "inject",
            Self::Waits(_) => "waits",
            Self::Line(_) => "index-request",
            Self::Remind { .. } => "remind",
            Self::Register(_) => "register",
            Self::MigRequest { .. } => "mig-request",
            Self::MigForward(_) => "mig-forward",
            Self::MigChunk(_) => "mig-chunk",
            Self::MigDone { .. } => "mig-done",
            Self::Compare { .. } => "compare",
            Self::Due { .. } => "due",
            Self::Fetch { .. } => "record-fetch",
            Self::Fetched(_) => "record",
            Self::MigRefuse(_) => "mig-refuse",
            Self::Taken { .. } => "name-taken",
            Self::Erase(_) => "erase",
        }
    }

    fn kinds() -> Vec<&'static str> {
        let own = [
            "leader",
            "request-forward",
            "add-request",
            "presence",
            "payload",
            "deliver",
            "header",
            "ack",
            "relay",
            "relay-ic",
            "inject",
            "waits",
            "index-request",
            "remind",
            "register",
            "mig-request",
            "mig-forward",
            "mig-chunk",
            "mig-done",
            "compare",
            "due",
            "record-fetch",
            "record",
            "mig-refuse",
            "name-taken",
            "erase",
        ];
        [Inside::kinds(), own.to_vec()].concat()
    }

    fn size(&self) -> u32 {
        let node_list = |nodes: &[NodeId]| 2 * count(nodes.len());
        let content = match self {
            Self::Group(message) => return message.size(),
            Self::Leader(_) | Self::MigRefuse(_) => 8,
            Self::Forward(transaction)
            | Self::AddRequest(transaction)
            | Self::Register(transaction) => transaction.size() + SIGNATURE_BYTES,
            Self::Presence { remote, .. } => 10 + 2 * count(remote.len()) + SIGNATURE_BYTES,
            Self::Payload { body, .. } => 8 + DIGEST_BYTES + body.bytes,
            Self::Deliver { headers, items } => headers_size(headers) + items_size(items),
            Self::Header(headers) => headers_size(headers),
            Self::Ack(rids) => DIGEST_BYTES * count(rids.len()) + SIGNATURE_BYTES,
            Self::Relay(p) | Self::RelayIc(p) | Self::Inject(p) => parcel_size(p),
            Self::Waits(parcel) => parcel_size(parcel) - parcel.item.body.bytes,
            Self::Line(_) => 6 + DIGEST_BYTES,
            Self::Remind { between, .. } => DIGEST_BYTES + between.map_or(0, |_| 4),
            Self::Fetch { .. } => DIGEST_BYTES + 4,
            Self::Erase(end) => end.by.0.size() + end.grant.0.size() + end.header.size(),
            Self::Taken { by, header } => by.0.size() + header.size(),
            Self::MigRequest {
                auth, tried, known, ..
            } => 4 + auth.size() + node_list(tried) + sum_size(known.as_ref()),
            Self::MigForward(ticket) => {
                let due = DIGEST_BYTES * count(ticket.due.len());
                let known = sum_size(ticket.known.as_ref());
                let asked = node_list(&ticket.tried) + known;
                4 + due + ticket.auth.0.size() + ticket.header.size() + asked
            }
            Self::MigChunk(chunk) => {
                DIGEST_BYTES * (1 + count(chunk.due.len())) + 9 + items_size(&chunk.items)
            }
            Self::MigDone {
                auth,
                have,
                tried,
                lost,
                attempt: _,
            } => {
                let lost = lost.as_ref().map_or(0, Vec::len);
                4 + auth.size() + DIGEST_BYTES * count(have.len() + lost) + node_list(tried)
            }
            Self::Compare { .. } => 24,
            Self::Due {
                headers,
                records,
                grants,
            } => {
                let granted = grants.iter().map(|(_, grant)| 8 + grant.0.size());
                let each = records
                    .iter()
                    .map(|(_, _, nodes)| DIGEST_BYTES + 8 + node_list(nodes));
                headers_size(headers) + each.sum::<u32>() + granted.sum::<u32>()
            }
            Self::Fetched(item) => item.size(),
        };
        FRAME_BYTES + content
    }

    fn signatures(&self) -> u32 {
        match self {
            Self::Group(message) => message.signatures(),
            Self::Deliver { headers, items } => {
                headers_signatures(headers) + items.iter().map(Item::signatures).sum::<u32>()
            }
            Self::Header(headers) | Self::Due { headers, .. } => headers_signatures(headers),
            Self::Relay(parcel)
            | Self::RelayIc(parcel)
            | Self::Inject(parcel)
            | Self::Waits(parcel) => parcel.item.signatures(),
            Self::MigForward(ticket) => ticket.header.proof.signatures(),
            Self::Erase(end) => end.header.proof.signatures(),
            Self::Taken { header, .. } => header.proof.signatures(),
            Self::MigChunk(chunk) => chunk.items.iter().map(Item::signatures).sum(),
            Self::Fetched(item) => item.signatures(),
            Self::AddRequest(_) | Self::Presence { .. } | Self::Ack(_) | Self::Register(_) => 1,
            Self::Leader(_)
            | Self::Forward(_)
            | Self::Payload { .. }
            | Self::Line(_)
            | Self::Remind { .. }
            | Self::MigRequest { .. }
            | Self::MigDone { .. }
            | Self::Compare { .. }
            | Self::MigRefuse(_)
            | Self::Fetch { .. } => 0,
        }
    }

    fn forge(&self, liar: &Signer, victim: NodeId) -> Option<Self> {
        let Self::Group(message) = self else {
            return None;
        };
        Some(Self::Group(Box::new(message.forge(liar, victim)?)))
    }

    fn inflate(&self, liar: &Signer, by: u64) -> Option<Self> {
        let Self::Group(message) = self else {
            return None;
        };
        Some(Self::Group(Box::new(message.inflate(liar, by)?)))
    }

    /// A liar sends other bytes than the chain says, says that other transactions were decided and
    /// that a patient is there who is not, and wants for itself what others may have.
    fn contradict(&self, liar: &Signer) -> Option<Self> {
        Some(match self {
            Self::Group(message) => Self::Group(Box::new(message.contradict(liar)?)),
            Self::Presence {
                id,
                present,
                remote,
            } => Self::Presence {
                id: *id,
                present: !present,
                remote: remote.clone(),
            },
            Self::Payload { id, body } => Self::Payload {
                id: *id,
                body: body.altered(),
            },
            Self::Deliver { headers, items } => Self::Deliver {
                headers: headers.clone(),
                items: items.iter().map(Item::altered).collect(),
            },
            Self::Relay(parcel) => Self::Relay(Box::new(altered(parcel))),
            Self::RelayIc(parcel) => Self::RelayIc(Box::new(altered(parcel))),
            Self::Inject(parcel) => Self::Inject(Box::new(altered(parcel))),
            Self::Waits(parcel) => Self::Waits(Box::new(altered(parcel))),
            Self::MigChunk(chunk) => Self::MigChunk(Box::new(Chunk {
                items: chunk.items.iter().map(Item::altered).collect(),
                ..Chunk::clone(chunk)
            })),
            Self::Fetched(item) => Self::Fetched(Box::new(item.altered())),
            Self::Header(headers) => {
                Self::Header(headers.iter().map(|header| header.altered()).collect())
            }
            Self::MigForward(ticket) => Self::MigForward(Box::new(Ticket {
                node: liar.node(),
                ..Ticket::clone(ticket)
            })),
            Self::Leader(_)
            | Self::Forward(_)
            | Self::AddRequest(_)
            | Self::Ack(_)
            | Self::Line(_)
            | Self::Remind { .. }
            | Self::Register(_)
            | Self::MigRequest { .. }
            | Self::MigDone { .. }
            | Self::Compare { .. }
            | Self::Due { .. }
            | Self::Fetch { .. }
            | Self::MigRefuse(_)
            | Self::Taken { .. }
            | Self::Erase(_) => return None,
        })
    }
}

fn parcel_size(parcel: &Parcel) -> u32 {
    2 + 2 * count(parcel.nets.len()) + parcel.item.size()
}

fn altered(parcel: &Parcel) -> Parcel {
    Parcel {
        item: parcel.item.altered(),
        ..parcel.clone()
    }
}
