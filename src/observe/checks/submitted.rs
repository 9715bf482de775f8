//! What clients have submitted, by its name: nothing else may be decided, and nothing altered.

use crate::base::crypto::Digest;
use crate::chain::Transaction;
use crate::chain::by_transaction::ByTransaction;

/// What clients have submitted.
#[derive(Clone, Debug)]
pub(super) struct Submitted {
    first: ByTransaction<Digest>,
    /// What clients of two faces have submitted besides under the same names.
    other: ByTransaction<Digest>,
}

impl Default for Submitted {
    fn default() -> Self {
        Self {
            first: ByTransaction::new(),
            other: ByTransaction::new(),
        }
    }
}

impl Submitted {
    /// A client submits a transaction.
    pub fn submit(&mut self, transaction: &Transaction) {
        self.first.insert(transaction.id, transaction.digest);
    }

    /// A client submits something else under the same name.
    pub fn double(&mut self, transaction: &Transaction) {
        self.other.insert(transaction.id, transaction.digest);
    }

    /// Why a transaction must not be decided, if it must not.
    pub fn objection(&self, transaction: &Transaction) -> Option<String> {
        let (id, digest) = (transaction.id, transaction.digest);
        let Some(first) = self.first.get(id) else {
            return Some(format!("{id:?} was decided but no client submitted it"));
        };
        let asked = first == digest || self.other.get(id) == Some(digest);
        (!asked).then(|| format!("{id:?} was decided with another content"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::node::NodeId;
    use crate::chain::TransactionId;
    use crate::contract::SignedCall;

    #[test]
    fn only_what_its_client_has_said_is_decided_under_a_name() {
        let named = |name: u64, content: u64| {
            let id = TransactionId::new(NodeId(9), name);
            Transaction::new(id, SignedCall::sample(content))
        };
        let (first, other, third) = (named(1, 1), named(1, 2), named(1, 3));
        let mut submitted = Submitted::default();
        assert!(submitted.objection(&first).is_some(), "nobody has asked");
        submitted.submit(&first);
        assert_eq!(submitted.objection(&first), None);
        assert!(submitted.objection(&other).is_some());
        submitted.double(&other);
        assert_eq!(submitted.objection(&other), None);
        assert!(submitted.objection(&third).is_some());
    }
}
