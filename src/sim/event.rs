//! What happens in a run, as observers see it: few events, in one global order of
//! (time, node, the node's own count).

use std::sync::Arc;

use crate::base::node::NodeId;
use crate::base::time::{Span, Time};
use crate::chain::{Block, Executed, Height, Transaction, TransactionId};
use crate::protocol::oath::Oath;
use crate::protocol::{Report, Statement};

/// Something that happened at one node at one time.
#[derive(Clone, Debug)]
pub enum Event {
    /// A client host sent a transaction for the first time.
    Submitted {
        /// The transaction.
        transaction: Arc<Transaction>,
    },
    /// A client host of two faces sent another transaction under the name of the one that it has
    /// just submitted.
    Doubled {
        /// The other one.
        transaction: Arc<Transaction>,
    },
    /// A client host had a transaction endorsed and sent the result to be ordered, under a name of
    /// its own.
    Endorsed {
        /// What is to be ordered.
        transaction: Arc<Transaction>,
        /// The transaction that the client submitted.
        of: TransactionId,
        /// How often it was endorsed before.
        round: u32,
    },
    /// A client host holds as many equal replies as it asked for.
    Answered {
        /// Which transaction.
        transaction: TransactionId,
        /// Under which name it was ordered, if another one.
        endorsed: Option<TransactionId>,
        /// When it was first sent.
        submitted: Time,
        /// Where it stands in the chain; nothing for a read answered without an entry.
        height: Option<Height>,
        /// The answer.
        executed: Executed,
    },
    /// Two people talk outside the chain, because one asked the contract for contact.
    Contacted {
        /// What asked for it.
        transaction: TransactionId,
        /// When that was first sent.
        asked: Time,
    },
    /// A replica decided and executed a block.
    Decided {
        /// The block as this node executed it.
        block: Arc<Block>,
    },
    /// A replica adopted a snapshot that ends with this block.
    Installed {
        /// The last block the snapshot includes.
        block: Arc<Block>,
    },
    /// A replica told something.
    Reported {
        /// What.
        report: Report,
    },
    /// An honest node has sent what it states once and for all.
    Stated {
        /// What.
        statement: Statement,
    },
    /// An honest node holds what somebody has signed; only when a trace is asked for.
    Heard {
        /// What.
        oath: Oath,
    },
    /// A node stopped.
    Crashed,
    /// A node came back.
    Restarted {
        /// The height of the chain it found on its disk.
        height: Height,
        /// Whether the disk was lost, so that it has forgotten what it promised.
        amnesia: bool,
    },
    /// A copy of a message left; only when a trace is asked for.
    Sent {
        /// For whom.
        to: NodeId,
        /// The kind of message.
        kind: &'static str,
        /// Its size.
        bytes: u32,
        /// When it will arrive; nothing if it is lost on the way.
        arrival: Option<Time>,
    },
    /// A copy of a message was handled; only when a trace is asked for.
    Delivered {
        /// From whom.
        from: NodeId,
        /// The kind of message.
        kind: &'static str,
    },
    /// A timer fired; only when a trace is asked for.
    Fired {
        /// Which, as its debug text.
        timer: String,
    },
}

/// Whoever looks at a run.
pub trait Observer {
    /// Is told of everything, in order of (time, node, the node's count).
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event);

    /// Whether it wants to be told of every message and timer, too, which are many.
    fn wants_messages(&self) -> bool {
        true
    }
}

/// Copies and bytes of one kind of message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Volume {
    /// Copies; a message to k receivers counts k.
    pub count: u64,
    /// Bytes of all copies.
    pub bytes: u64,
}

/// What the nodes counted while they ran; consensus messages only, unless said otherwise.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Consensus messages of the whole run by kind, in alphabetical order.
    pub by_kind: Vec<(&'static str, Volume)>,
    /// Consensus messages sent inside the measured window.
    pub measured: Volume,
    /// Messages between clients and nodes inside the measured window.
    pub client_measured: Volume,
    /// Consensus messages by the second they were sent in.
    pub per_second: Vec<u64>,
    /// Signatures made by replicas in the measured window.
    pub signatures: u64,
    /// Signatures verified by replicas in the measured window, those of clients included.
    pub verifications: u64,
    /// Copies sent, of every message in the run.
    pub sent: u64,
    /// Copies added by duplication.
    pub duplicated: u64,
    /// Copies handled by their receiver.
    pub delivered: u64,
    /// Copies lost in the network.
    pub lost: u64,
    /// Copies that found their receiver crashed.
    pub dropped: u64,
    /// Copies on the way when the run ended.
    pub in_flight: u64,
    /// Inputs handled, timers included: the events of the run.
    pub events: u64,
    /// The time every processor of all nodes was busy, in nanoseconds.
    pub busy: Span,
}
