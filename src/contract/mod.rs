//! L1: the medical record contract. It does not know that it is on a chain.

pub mod author;
pub mod population;

use crate::base::crypto::{Digest, Hasher};

/// A call with the signatures it needs.
#[derive(Clone, Debug)]
pub struct SignedCall {
    /// Placeholder content.
    pub number: u64,
}

impl SignedCall {
    /// A well-formed, validly signed call for tests of other layers; different numbers differ.
    pub fn sample(number: u64) -> Self {
        Self { number }
    }
    /// The digest of everything in the call, signatures included.
    pub fn digest(&self) -> Digest {
        Hasher::new("call").number(self.number).finish()
    }
    /// Bytes on the wire.
    pub fn size(&self) -> u32 {
        512
    }
    /// Signatures that whoever executes the call must verify.
    pub fn signatures(&self) -> u32 {
        1
    }
    /// Whether the call only reads.
    pub fn reads_only(&self) -> bool {
        false
    }
    /// The kind of call, as written in a scenario's `mix`.
    pub fn kind(&self) -> &'static str {
        "submit"
    }
}

/// What the contract answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Receipt {
    /// Done.
    Accepted,
}

/// The state of all records.
#[derive(Clone, Debug, Default)]
pub struct State {
    calls: u64,
}

impl State {
    /// Everybody registered, nothing recorded.
    pub fn genesis(_population: &population::Population) -> Self {
        Self::default()
    }
    /// Executes one call at a height. Total: any answer is a receipt.
    pub fn apply(&mut self, _height: u64, _call: &SignedCall) -> Receipt {
        self.calls += 1;
        Receipt::Accepted
    }
    /// Answers a call that only reads, without changing anything.
    pub fn query(&self, _height: u64, _call: &SignedCall) -> Receipt {
        Receipt::Accepted
    }
    /// The digest of the state: equal states, equal roots.
    pub fn root(&self) -> Digest {
        Hasher::new("state").number(self.calls).finish()
    }
    /// Bytes a snapshot of the state takes on the wire.
    pub fn bytes(&self) -> u64 {
        1024
    }
}
