//! Makes well-formed calls.
use super::population::Population;
use super::{Receipt, SignedCall};
use crate::base::random::Random;

/// What an author draws.
#[derive(Clone, Debug, Default)]
pub struct AuthorSettings {}

/// Writes calls for one client host.
#[derive(Debug)]
pub struct Author {
    next: u64,
}

impl Author {
    /// An author.
    pub fn new(_population: &Population, _settings: AuthorSettings, me: u16, _hosts: u16) -> Self {
        Self {
            next: u64::from(me) << 32,
        }
    }
    /// The next call.
    pub fn next(&mut self, _random: &mut Random, _height_hint: u64) -> SignedCall {
        self.next += 1;
        SignedCall::sample(self.next)
    }
    /// Told the answers.
    pub fn learn(&mut self, _call: &SignedCall, _receipt: &Receipt) {}
}
