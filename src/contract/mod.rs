//! L1: the medical record contract. It does not know that it is on a chain.
//!
//! The contract is a pure function of state, height and call. A record enters only with the
//! signatures of its doctor (by real name) and its patient (by pseudonym) over the same bytes; the
//! chain keeps a summary and digests, the document stays with its hospital. A refusal is an answer
//! like others: it names the first check that failed, in the fixed order of [`Code`], and leaves
//! the state as it was.
//!
//! `identity` says who takes part, `message` and `call` what is signed, `order` checks what one
//! party asks for; `records`, `access` and `search` are what the contract is about. `population`
//! and `author` make the people and the calls of a workload.

pub mod access;
pub mod author;
pub mod call;
mod cases;
pub mod error;
pub mod identity;
pub mod message;
mod order;
mod popularity;
pub mod population;
pub mod records;
mod root;
pub mod search;
pub mod summary;
#[cfg(test)]
mod tests;
pub mod tree;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

pub use author::{Author, AuthorSettings, Mix};
pub use call::{Call, SignedCall};
pub use error::Code;
pub use population::Population;
pub use search::Answer;

use crate::base::crypto::{Digest, Hasher};

/// What the contract answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Receipt {
    /// Done.
    Accepted,
    /// What a search found.
    Found(Arc<Answer>),
    /// Not done, because of this check; nothing has changed.
    Refused(Code),
}

/// The state of all identities, records and grants. The identities of the genesis are shared
/// between copies until one of them changes.
#[derive(Clone, Debug, Default)]
pub struct State {
    directory: Arc<identity::Directory>,
    records: records::Records,
    grants: access::Grants,
    index: search::Index,
    /// The numbers that each party has used.
    used: BTreeSet<(identity::Place, u64)>,
    root: root::Sum,
}

impl State {
    /// The state in which the chain begins: these people are registered, nothing is recorded.
    pub fn genesis(population: &Population) -> Self {
        Self {
            directory: population.directory(),
            root: population.root(),
            ..Self::default()
        }
    }

    /// Executes one call at a height. Total: any answer is a receipt.
    pub fn apply(&mut self, height: u64, call: &SignedCall) -> Receipt {
        let done = match call.call() {
            Call::Submit(draft) => self.submit(height, draft, call),
            Call::Propose(draft) => self.propose(height, draft, call),
            Call::Confirm { rid, pid, signed } => self.confirm(height, (rid, pid), signed, call),
            Call::Order(order) => return self.order(height, order, call),
        };
        done.map_or_else(Receipt::Refused, |()| Receipt::Accepted)
    }

    /// Answers a call without changing anything: a search is answered; of any other call the
    /// caller learns what its execution would have answered.
    pub fn query(&self, height: u64, call: &SignedCall) -> Receipt {
        if call.reads_only() {
            return self.read(height, call);
        }
        self.clone().apply(height, call)
    }

    /// The digest of the state: equal states, equal roots, however they came about.
    pub fn root(&self) -> Digest {
        self.root.digest()
    }

    /// Bytes a snapshot of the state takes on the wire, about.
    pub fn bytes(&self) -> u64 {
        self.directory.bytes()
            + 600 * self.records.len() as u64
            + 300 * self.grants.len() as u64
            + 160 * self.audit().len() as u64
            + 12 * self.used.len() as u64
    }

    /// Refuses a number that the party has used before.
    fn check_nonce(&self, place: identity::Place, nonce: u64) -> Result<(), Code> {
        if self.used.contains(&(place, nonce)) {
            return Err(Code::NonceUsed);
        }
        Ok(())
    }

    /// Marks a number as used by a party.
    fn spend(&mut self, place: identity::Place, nonce: u64) {
        self.root.add(&self.nonce_entry(place, nonce));
        self.used.insert((place, nonce));
    }

    /// The digest under which a used number is part of the state.
    fn nonce_entry(&self, place: identity::Place, nonce: u64) -> Digest {
        let key = self.directory.key(place);
        let hasher = Hasher::new("nonce entry").part(&key.0);
        hasher.number(nonce).finish()
    }
}

impl SignedCall {
    /// A well-formed, validly signed call for tests of other layers; different numbers differ.
    pub fn sample(number: u64) -> Self {
        static PEOPLE: LazyLock<Population> = LazyLock::new(|| Population::new(1, 1, 2));
        let content = PEOPLE.content(0, 1, number);
        PEOPLE.submission(content, 0, 1)
    }
}
