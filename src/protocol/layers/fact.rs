//! What observers are told of the layers: who is to keep what, and who does. No replica reads it.

use std::fmt;

use super::topology::Net;
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::base::random::mix;
use crate::chain::Height;
use crate::contract::message::RecordId;

/// Something that happened at the node that reports it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// A network has decided a record, which these nodes are to keep.
    Listed {
        /// The network.
        net: Net,
        /// Where in its chain.
        height: Height,
        /// The patient.
        user: Digest,
        /// The record.
        rid: RecordId,
        /// The digest that the chain has of its body.
        body: Digest,
        /// Who is to keep it.
        nodes: Vec<NodeId>,
        /// The network it comes from, if another one.
        from: Option<Net>,
    },
    /// A network has registered a patient at a record node.
    Registered {
        /// The network.
        net: Net,
        /// Where in its chain.
        height: Height,
        /// The patient.
        user: Digest,
        /// The record node.
        node: NodeId,
        /// Whether no other record node of the network has the patient.
        first: bool,
    },
    /// A network has ended a registration.
    Closed {
        /// The network.
        net: Net,
        /// Where in its chain.
        height: Height,
        /// The patient.
        user: Digest,
        /// The record node.
        node: NodeId,
    },
    /// A network has taken note that a record node has all earlier records of a patient.
    Moved {
        /// The network.
        net: Net,
        /// The patient.
        user: Digest,
        /// The record node.
        node: NodeId,
        /// The records.
        records: Vec<RecordId>,
    },
    /// A network has taken note that nobody has the body of a record any more for a node.
    Lost {
        /// The node that should have it.
        node: NodeId,
        /// The record.
        rid: RecordId,
    },
    /// The tables of a network after a block.
    Table {
        /// The chain.
        chain: usize,
        /// The height.
        height: Height,
        /// A digest of everything in them.
        root: u64,
    },
    /// The index has taken note that a patient is registered in a network.
    Known {
        /// The patient.
        user: Digest,
        /// The network.
        net: Net,
    },
    /// This node keeps the body of a record from now on.
    Kept {
        /// The patient.
        user: Digest,
        /// The record.
        rid: RecordId,
        /// The digest of the body.
        body: Digest,
        /// Its bytes.
        bytes: u32,
        /// Whether it was entered here.
        entered: bool,
    },
    /// This node finds after a crash that it keeps the body of a record: the crash may have come
    /// between the write and the report.
    Found {
        /// The patient.
        user: Digest,
        /// The record.
        rid: RecordId,
        /// The digest of the body.
        body: Digest,
        /// Its bytes.
        bytes: u32,
        /// Whether the patient's records are entered here.
        entered: bool,
    },
    /// A patient's records leave this node for another one.
    Handed {
        /// The patient.
        user: Digest,
        /// The receiver.
        to: NodeId,
    },
    /// A patient is asked to approve of one transfer.
    Asked {
        /// The patient.
        user: Digest,
        /// The receiver.
        to: NodeId,
    },
    /// The roles of an epoch of MBFT. They follow from the chain alone, and leave no mark.
    Drawn {
        /// The epoch.
        epoch: u32,
        /// Who is in the upper group or in a low-level one.
        serving: Vec<NodeId>,
        /// Everybody's credit.
        credit: Vec<u8>,
    },
    /// A record was not sent on because too many wait already.
    Overflow {
        /// The record.
        rid: RecordId,
    },
}

impl Fact {
    /// All of it in one number; nothing of what follows from the chain alone.
    pub fn mark(&self) -> Option<u64> {
        let follows = matches!(self, Self::Drawn { .. });
        (!follows).then(|| self.number())
    }

    fn number(&self) -> u64 {
        let fold = |numbers: &[u64]| numbers.iter().fold(0, |sum, number| mix(sum, *number));
        let of = |node: &NodeId| u64::from(node.0);
        match self {
            Self::Listed {
                net,
                height,
                rid,
                nodes,
                ..
            } => {
                let place = [1, u64::from(*net), *height, rid.0.prefix()];
                nodes
                    .iter()
                    .fold(fold(&place), |sum, node| mix(sum, of(node)))
            }
            Self::Registered {
                net,
                height,
                user,
                node,
                ..
            } => fold(&[2, u64::from(*net), *height, user.prefix(), of(node)]),
            Self::Closed {
                net,
                height,
                user,
                node,
            } => fold(&[3, u64::from(*net), *height, user.prefix(), of(node)]),
            Self::Moved {
                net,
                user,
                node,
                records,
            } => {
                let place = [4, u64::from(*net), user.prefix(), of(node)];
                let marks = records.iter().map(|rid| rid.0.prefix());
                marks.fold(fold(&place), mix)
            }
            Self::Lost { node, rid } => fold(&[5, of(node), rid.0.prefix()]),
            Self::Table {
                chain,
                height,
                root,
            } => fold(&[6, *chain as u64, *height, *root]),
            Self::Known { user, net } => fold(&[7, user.prefix(), u64::from(*net)]),
            Self::Kept { rid, body, .. } => fold(&[8, rid.0.prefix(), body.prefix()]),
            Self::Handed { user, to } => fold(&[9, user.prefix(), of(to)]),
            Self::Overflow { rid } => fold(&[10, rid.0.prefix()]),
            Self::Asked { user, to } => fold(&[11, user.prefix(), of(to)]),
            Self::Drawn { epoch, .. } => fold(&[12, u64::from(*epoch)]),
            Self::Found { rid, body, .. } => fold(&[13, rid.0.prefix(), body.prefix()]),
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed {
                net,
                height,
                rid,
                nodes,
                ..
            } => write!(
                f,
                "network {net} lists {} at {height} for {nodes:?}",
                short(&rid.0)
            ),
            Self::Registered {
                net, user, node, ..
            } => write!(f, "network {net} registers {} at {node}", short(user)),
            Self::Closed {
                net, user, node, ..
            } => write!(f, "network {net} closes {} at {node}", short(user)),
            Self::Moved {
                net, user, node, ..
            } => {
                write!(f, "network {net} has moved {} to {node}", short(user))
            }
            Self::Lost { node, rid } => write!(f, "lost for {node}: {}", short(&rid.0)),
            Self::Table {
                chain,
                height,
                root,
            } => write!(f, "table of {chain} at {height}: {:08x}", root >> 32),
            Self::Known { user, net } => write!(f, "the index has {} in {net}", short(user)),
            Self::Kept { rid, entered, .. } => {
                let how = if *entered { "enters" } else { "keeps" };
                write!(f, "{how} {}", short(&rid.0))
            }
            Self::Found { rid, .. } => write!(f, "still keeps {}", short(&rid.0)),
            Self::Handed { user, to } => write!(f, "hands {} to {to}", short(user)),
            Self::Overflow { rid } => write!(f, "does not relay {}", short(&rid.0)),
            Self::Asked { user, to } => {
                write!(f, "asks {} to approve of a transfer to {to}", short(user))
            }
            Self::Drawn { epoch, serving, .. } => write!(f, "epoch {epoch}: {serving:?} serve"),
        }
    }
}

/// The first letters of a name, which is what traces and stories show.
fn short(digest: &Digest) -> String {
    format!("{:06x}", digest.prefix() >> 40)
}
