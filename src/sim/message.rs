//! What travels between nodes and clients: a message stored once, and lent to each receiver.

use std::sync::Arc;

use crate::base::crypto::Hasher;
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::chain::execution::Endorsement;
use crate::chain::{Block, Executed, Height, Transaction, TransactionId};

/// The content of a message.
#[derive(Clone, Debug)]
pub enum Payload<M> {
    /// Between replicas.
    Protocol(M),
    /// From a client host to a node.
    Request {
        /// What it asks for.
        transaction: Arc<Transaction>,
        /// How often it has asked before.
        attempt: u32,
    },
    /// From a node to a client host.
    Reply(Reply),
    /// From a client host to an endorser: what would this call do?
    Proposal(Proposal),
    /// From an endorser to a client host.
    Endorsement {
        /// What was asked.
        proposal: Proposal,
        /// The answer.
        endorsement: Endorsement,
        /// The height of the endorser's chain.
        head: Height,
    },
}

/// A question of a client host to an endorser.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The call, as the client wants it executed.
    pub transaction: Arc<Transaction>,
    /// The height at which it is to be simulated, so that all endorsers do the same.
    pub height: Height,
    /// Tells the questions of one host apart.
    pub turn: u64,
}

/// A node's answer to a client host.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Whom the node believes to lead, so that the client asks the right one next time.
    pub leader: Option<NodeId>,
    /// What is answered.
    pub content: Answer,
}

/// What a reply answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Everything of this client in a block.
    Block(Arc<Block>),
    /// One read.
    Read {
        /// Which.
        transaction: TransactionId,
        /// The answer.
        executed: Executed,
    },
}

impl Answer {
    /// The nearest lie: everything that was done was refused, and what was refused was done.
    #[must_use]
    pub fn opposite(&self) -> Self {
        match self {
            Self::Block(block) => Self::Block(Arc::new(Block {
                height: block.height,
                parent: block.parent,
                batch: block.batch.clone(),
                state: block.state,
                executed: block.executed.iter().map(Executed::opposite).collect(),
                digest: Hasher::new("false reply").digest(&block.digest).finish(),
            })),
            Self::Read {
                transaction,
                executed,
            } => Self::Read {
                transaction: *transaction,
                executed: executed.opposite(),
            },
        }
    }
}

/// A message on its way, with what its receivers pay for it.
#[derive(Clone, Debug)]
pub struct Stored<M> {
    /// The content.
    pub payload: Payload<M>,
    /// Bytes of one copy.
    pub size: u32,
    /// Signatures each receiver verifies.
    pub signatures: u32,
    /// Nanoseconds each receiver's link takes for it.
    pub receive_ns: u64,
    /// Nanoseconds each receiver's processor takes before it acts.
    pub handle_ns: u64,
    /// When the last copy arrives; zero if none does.
    pub last: Time,
    /// Whether the second of two replicas sent it that are one dishonest node; their accomplices
    /// are told.
    pub second: bool,
}

/// The kinds of what hosts of clients and nodes say to each other.
pub const HOST_KINDS: [&str; 4] = ["request", "reply", "proposal", "endorsement"];

impl<M: crate::protocol::Wire> Stored<M> {
    /// The name of the message for traces.
    pub fn kind(&self) -> &'static str {
        match &self.payload {
            Payload::Protocol(message) => message.kind(),
            Payload::Request { .. } => "request",
            Payload::Reply(_) => "reply",
            Payload::Proposal(_) => "proposal",
            Payload::Endorsement { .. } => "endorsement",
        }
    }
}

/// Where a node leaves what it sends; each kernel has its own.
pub trait Post<M> {
    /// One copy of the sender's message number `count` will arrive at `arrival`.
    fn copy(&mut self, from: NodeId, count: u64, to: NodeId, arrival: Time);
    /// The sender's next message, all copies of which have been posted. Counts are consecutive.
    fn message(&mut self, from: NodeId, stored: Stored<M>);
}
