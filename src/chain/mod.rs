//! L2: what is agreed on. Transactions, batches, blocks and each node's ledger of them.

pub(crate) mod by_transaction;
pub mod execution;
pub mod ledger;
pub mod policy;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod validation_tests;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::base::crypto::{Digest, Hasher};
use crate::base::node::NodeId;
use crate::contract::{Code, Receipt, SignedCall};
use execution::Endorsement;

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
    /// What it was found to do before it was ordered, where that is how calls are executed.
    pub endorsement: Option<Endorsement>,
    /// The digest of identity, call and endorsement.
    pub digest: Digest,
}

impl Transaction {
    /// A transaction of a client.
    pub fn new(id: TransactionId, call: SignedCall) -> Arc<Self> {
        let digest = Hasher::new("transaction")
            .number(id.bits())
            .digest(&call.digest())
            .finish();
        Arc::new(Self {
            id,
            call,
            endorsement: None,
            digest,
        })
    }

    /// A call of a client with what others found it to do.
    pub fn endorsed(id: TransactionId, call: SignedCall, endorsement: Endorsement) -> Arc<Self> {
        let digest = Hasher::new("endorsed transaction")
            .number(id.bits())
            .digest(&call.digest())
            .digest(&endorsement.digest())
            .finish();
        Arc::new(Self {
            id,
            call,
            endorsement: Some(endorsement),
            digest,
        })
    }

    /// Bytes on the wire.
    pub fn size(&self) -> u32 {
        let endorsement = self.endorsement.as_ref().map_or(0, Endorsement::size);
        16 + self.call.size() + endorsement
    }

    /// Signatures that every node verifies before the transaction takes effect: the client's, or,
    /// where endorsers have verified those, the endorsers'.
    pub fn signatures(&self) -> u32 {
        match &self.endorsement {
            None => self.call.signatures(),
            Some(endorsement) => endorsement.signed.len() as u32,
        }
    }

    /// Whether a node executes the call when it is ordered; what was endorsed has been executed.
    pub fn is_executed(&self) -> bool {
        self.endorsement.is_none()
    }
}

/// What a protocol of several layers writes into the chain beside transactions: where they come
/// from, and what its replicas derive their own duties from.
pub trait Annex: Any + fmt::Debug + Send + Sync {
    /// The digest of all of it.
    fn digest(&self) -> Digest;
    /// Bytes on the wire.
    fn size(&self) -> u32;
    /// Whether those who made it answer for the signatures of the transaction at this position,
    /// so that whoever executes it need not verify them.
    fn vouches(&self, position: usize) -> bool;
}

/// Transactions in an order, proposed together. Cheap to clone; the digest is made once, when
/// the batch is, because it is a pure function of the content.
#[derive(Clone)]
pub struct Batch(Arc<BatchBody>);

#[derive(Debug)]
struct BatchBody {
    transactions: Vec<Arc<Transaction>>,
    annex: Option<Arc<dyn Annex>>,
    digest: Digest,
    size: u32,
    signatures: u32,
    executions: u32,
    repeats: bool,
}

impl Batch {
    /// A batch of these transactions in this order.
    pub fn new(transactions: Vec<Arc<Transaction>>) -> Self {
        Self::made(transactions, None)
    }

    /// A batch of these transactions in this order, with what the protocol writes beside them.
    pub fn with_annex(transactions: Vec<Arc<Transaction>>, annex: Arc<dyn Annex>) -> Self {
        Self::made(transactions, Some(annex))
    }

    /// The digest of a batch of transactions with these digests and an annex with this one.
    pub fn digest_of<'d>(
        transactions: impl Iterator<Item = &'d Digest>,
        annex: Option<&Digest>,
    ) -> Digest {
        let contents = transactions
            .fold(Hasher::new("batch"), Hasher::digest)
            .finish();
        annex.map_or(contents, |annex| Self::digest_with(&contents, annex))
    }

    /// The digest of a batch with an annex of this digest, from that of the same batch without.
    pub fn digest_with(contents: &Digest, annex: &Digest) -> Digest {
        let hasher = Hasher::new("batch with annex").digest(contents);
        hasher.digest(annex).finish()
    }

    /// The same with these transactions in the place of its own.
    pub fn remade(&self, transactions: Vec<Arc<Transaction>>) -> Self {
        Self::made(transactions, self.0.annex.clone())
    }

    fn made(transactions: Vec<Arc<Transaction>>, annex: Option<Arc<dyn Annex>>) -> Self {
        let written = annex.as_ref().map(|annex| annex.digest());
        let digest = Self::digest_of(transactions.iter().map(|t| &t.digest), written.as_ref());
        let bodies: u32 = transactions
            .iter()
            .map(|transaction| transaction.size())
            .sum();
        let size = bodies + annex.as_ref().map_or(0, |annex| annex.size());
        let vouched = |position| annex.as_ref().is_some_and(|a| a.vouches(position));
        let signatures = transactions.iter().enumerate();
        let signatures = signatures
            .filter(|(position, _)| !vouched(*position))
            .map(|(_, transaction)| transaction.signatures())
            .sum();
        let executions = transactions.iter().filter(|t| t.is_executed()).count() as u32;
        let mut names: Vec<TransactionId> = transactions.iter().map(|t| t.id).collect();
        names.sort_unstable();
        let repeats = names.windows(2).any(|pair| pair[0] == pair[1]);
        Self(Arc::new(BatchBody {
            transactions,
            annex,
            digest,
            size,
            signatures,
            executions,
            repeats,
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

    /// What the protocol wrote beside the transactions, if it is of this type.
    pub fn annex<A: Annex>(&self) -> Option<&A> {
        let annex: &dyn Any = self.0.annex.as_deref()?;
        annex.downcast_ref()
    }

    /// Whether somebody answers for the signatures of the transaction at this position.
    pub fn vouches(&self, position: usize) -> bool {
        let annex = self.0.annex.as_ref();
        annex.is_some_and(|annex| annex.vouches(position))
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

    /// Whether two of the transactions have one name.
    pub fn repeats(&self) -> bool {
        self.0.repeats
    }

    /// Signatures that whoever executes the batch must verify.
    pub fn signatures(&self) -> u32 {
        self.0.signatures
    }

    /// Calls that whoever executes the batch must execute; endorsed ones are only validated.
    pub fn executions(&self) -> u32 {
        self.0.executions
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

impl Executed {
    /// The check that keeps the transaction from taking effect in this place, if one does.
    pub fn refusal(&self) -> Option<Code> {
        match self {
            Self::Now(Receipt::Accepted | Receipt::Found(_) | Receipt::Suggested(_)) => None,
            Self::Now(Receipt::Refused(code)) => Some(*code),
            Self::Before => Some(Code::DuplicateTx),
        }
    }
}

impl Executed {
    /// The nearest lie: accepted for what was refused, and refused for the rest.
    #[must_use]
    pub fn opposite(&self) -> Self {
        Self::Now(match self.refusal() {
            Some(_) => Receipt::Accepted,
            None => Receipt::Refused(Code::QuorumNotReached),
        })
    }
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
