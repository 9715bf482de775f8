//! What an entry of the log holds, and what makes it one that no honest leader proposes.

use std::sync::Arc;

use super::evidence::{Evidence, verify_evidence};
use super::statement::Header;
use crate::base::crypto::{Digest, Hasher, Keyring, Signed};
use crate::base::node::Committee;
use crate::chain::{Batch, Transaction};
use crate::contract::SignedCall;

/// What stands at a place of the log.
#[derive(Clone, PartialEq, Debug)]
pub struct Content {
    /// Transactions; none in the first entry of a leader, or where a member is excluded.
    pub batch: Batch,
    /// From the commitment of this entry on, whom this convicts is no member.
    pub exclude: Option<Arc<Evidence>>,
}

impl Content {
    /// An entry of transactions.
    pub fn of(batch: Batch) -> Self {
        Self {
            batch,
            exclude: None,
        }
    }

    /// An entry that excludes a convicted member.
    pub fn excluding(evidence: Arc<Evidence>) -> Self {
        Self {
            batch: Batch::empty(),
            exclude: Some(evidence),
        }
    }

    /// The digest that a header names.
    pub fn digest(&self) -> Digest {
        self.with_digest_of(self.batch.digest())
    }

    /// The digest made anew from the calls themselves, for whoever did not receive the
    /// transactions from their clients and trusts nobody's arithmetic.
    pub(super) fn digest_anew(&self) -> Digest {
        let transactions = self.batch.transactions().iter();
        let anew = transactions.map(|t| Transaction::new(t.id, t.call.clone()));
        self.with_digest_of(self.batch.remade(anew.collect()).digest())
    }

    fn with_digest_of(&self, batch: Digest) -> Digest {
        let Some(evidence) = &self.exclude else {
            return batch;
        };
        let hasher = Hasher::new("iraft exclusion").digest(&batch);
        hasher.digest(&evidence.digest()).finish()
    }

    /// Whether no honest leader proposes it: a call without its caller's signature, a transaction
    /// twice, or an exclusion without proof. Signatures that are there are checked against the
    /// registered keys by the contract, which every replica executes.
    pub fn is_flawed(&self, keyring: &Keyring, committee: &Committee) -> bool {
        let transactions = self.batch.transactions();
        let unsigned = transactions.iter().any(|t| !is_signed(&t.call));
        let proven = |evidence: &Arc<Evidence>| verify_evidence(evidence, keyring, committee);
        let unproven = self.exclude.as_ref().is_some_and(|e| proven(e).is_none());
        unsigned || self.batch.repeats() || unproven
    }

    /// Bytes on the wire.
    pub fn size(&self) -> u32 {
        let evidence = self.exclude.as_ref().map_or(0, |evidence| evidence.size());
        self.batch.size().saturating_add(evidence)
    }

    /// What a liar puts in its place: the same transactions backwards, and nothing in the place of
    /// one. Nothing has no opposite.
    pub fn opposite(&self) -> Option<Self> {
        let transactions = self.batch.transactions();
        let backwards = match transactions.len() {
            0 => return None,
            1 => Vec::new(),
            _ => transactions.iter().rev().cloned().collect(),
        };
        Some(Self::of(Batch::new(backwards)))
    }
}

/// Whether a call carries any signature.
pub(super) fn is_signed(call: &SignedCall) -> bool {
    call.signatures() > 0
}

/// One place of the log: what stands there, and the word of the leader who put it there.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Signed by the leader of the entry's term.
    pub header: Signed<Header>,
    /// What the header names.
    pub content: Content,
}

impl Entry {
    /// The term in which a leader created it.
    pub fn term(&self) -> u64 {
        self.header.body().term
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::crypto::{Crypto, Signer};
    use crate::base::node::NodeId;
    use crate::chain::TransactionId;

    fn transaction(number: u64) -> Arc<Transaction> {
        let id = TransactionId::new(NodeId(9), number);
        Transaction::new(id, SignedCall::sample(number))
    }

    /// The transaction as a leader forwards it that has cut the signatures off.
    fn stripped(transaction: &Transaction) -> Arc<Transaction> {
        let call = transaction.call.call().clone();
        Transaction::new(transaction.id, SignedCall::new(call, None, None))
    }

    #[test]
    fn unsigned_and_doubled_transactions_are_flaws() {
        let (_, keyring) = Signer::mint(4, Crypto::Modelled, 1);
        let flawed = |transactions: Vec<Arc<Transaction>>| {
            let content = Content::of(Batch::new(transactions));
            content.is_flawed(&keyring, &Committee::first(4))
        };
        let (one, two) = (transaction(1), transaction(2));
        assert!(!flawed(vec![one.clone(), two.clone()]));
        assert!(!flawed(Vec::new()));
        assert!(flawed(vec![one.clone(), one.clone()]));
        assert!(flawed(vec![one, stripped(&two)]));
    }

    #[test]
    fn a_lie_about_a_digest_is_seen_by_whoever_makes_it_anew() {
        let honest = Content::of(Batch::new(vec![transaction(1)]));
        assert_eq!(honest.digest(), honest.digest_anew());
        let altered = Transaction {
            call: transaction(2).call.clone(),
            ..Transaction::clone(&transaction(1))
        };
        let content = Content::of(Batch::new(vec![Arc::new(altered)]));
        assert_eq!(content.digest(), honest.digest(), "the claim is the same");
        assert_ne!(content.digest_anew(), honest.digest());
    }

    #[test]
    fn the_opposite_is_well_formed_and_another() {
        let batch = |numbers: &[u64]| {
            let transactions = numbers.iter().map(|number| transaction(*number));
            Content::of(Batch::new(transactions.collect()))
        };
        assert_eq!(batch(&[1, 2]).opposite(), Some(batch(&[2, 1])));
        assert_eq!(batch(&[1]).opposite(), Some(batch(&[])));
        assert_eq!(batch(&[]).opposite(), None);
    }
}
