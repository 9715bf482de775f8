//! L2: what is agreed on. Transactions, batches, blocks and each node's ledger of them.

pub mod ledger;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use crate::base::crypto::{Digest, Hasher};
use crate::base::node::NodeId;
use crate::contract::{Receipt, SignedCall};

/// Position in the ledger, from 1; 0 is before the first block.
pub type Height = u64;

/// Names one transaction in a run: the client host that sent it and that host's count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(u64);

impl TransactionId {
    /// The `number`th transaction of a client host.
    pub fn new(client: NodeId, number: u64) -> Self {
        assert!(
            number < 1 << 48,
            "a client host sends fewer than 2^48 transactions"
        );
        Self(u64::from(client.0) << 48 | number)
    }

    /// The client host that sent it.
    pub fn client(self) -> NodeId {
        NodeId((self.0 >> 48) as u16)
    }

    /// The client host's count.
    pub fn number(self) -> u64 {
        self.0 & ((1 << 48) - 1)
    }

    /// Both in one number.
    pub fn bits(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.client(), self.number())
    }
}

/// One signed call on its way to the ledger.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Its name; retries keep it, and so are executed once.
    pub id: TransactionId,
    /// The call with its signatures.
    pub call: SignedCall,
    /// The digest of identity and call.
    pub digest: Digest,
}

impl Transaction {
    /// A transaction of a client.
    pub fn new(id: TransactionId, call: SignedCall) -> Arc<Self> {
        let digest = Hasher::new("transaction")
            .number(id.bits())
            .digest(&call.digest())
            .finish();
        Arc::new(Self { id, call, digest })
    }

    /// Bytes on the wire.
    pub fn size(&self) -> u32 {
        16 + self.call.size()
    }
}

/// Transactions in an order, proposed together. Cheap to clone; the digest is made once, when
/// the batch is, because it is a pure function of the content.
#[derive(Clone)]
pub struct Batch(Arc<BatchBody>);

#[derive(Debug)]
struct BatchBody {
    transactions: Vec<Arc<Transaction>>,
    digest: Digest,
    size: u32,
    signatures: u32,
}

impl Batch {
    /// A batch of these transactions in this order.
    pub fn new(transactions: Vec<Arc<Transaction>>) -> Self {
        let mut hasher = Hasher::new("batch");
        for transaction in &transactions {
            hasher = hasher.digest(&transaction.digest);
        }
        let size = transactions
            .iter()
            .map(|transaction| transaction.size())
            .sum();
        let signatures = transactions.iter().map(|t| t.call.signatures()).sum();
        Self(Arc::new(BatchBody {
            transactions,
            digest: hasher.finish(),
            size,
            signatures,
        }))
    }

    /// A batch of nothing, which fills a gap.
    pub fn empty() -> Self {
        Self::new(Vec::new())
    }

    /// The transactions in order.
    pub fn transactions(&self) -> &[Arc<Transaction>] {
        &self.0.transactions
    }

    /// How many transactions there are.
    pub fn len(&self) -> usize {
        self.0.transactions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.transactions.is_empty()
    }

    /// The digest of the ordered content.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// Bytes on the wire.
    pub fn size(&self) -> u32 {
        self.0.size
    }

    /// Signatures of clients that whoever executes the batch must verify.
    pub fn signatures(&self) -> u32 {
        self.0.signatures
    }
}

impl PartialEq for Batch {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for Batch {}

impl fmt::Debug for Batch {
    /// The names of the transactions, which is what stories and traces show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.transactions.iter().map(|t| t.id))
            .finish()
    }
}

/// What became of one transaction of a block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Executed {
    /// It was executed, with this answer.
    Now(Receipt),
    /// It had been executed in an earlier place on the chain, and was not executed again.
    Before,
}

/// A batch at its place in the chain, executed.
#[derive(Debug)]
pub struct Block {
    /// Its place, from 1.
    pub height: Height,
    /// The digest of the block before; zero for the first.
    pub parent: Digest,
    /// What was agreed.
    pub batch: Batch,
    /// The state root after execution.
    pub state: Digest,
    /// What became of each transaction, in the order of the batch.
    pub executed: Vec<Executed>,
    /// The digest of height, parent, batch and state.
    pub digest: Digest,
}
