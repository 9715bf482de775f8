//! L5: those who watch a run. They learn of it only through [`crate::sim::event`], and nothing
//! they do can change it.
//!
//! - [`metrics`] counts and times: a row of the results.
//! - [`checks`] judges: what must never happen, and what must happen in the end.
//! - [`fingerprint`] folds a run into one digest, so that two runs can be compared.
//! - [`accountability`] tells who could have been convicted and was not.
//! - [`forensics`] asks after a fork who is guilty, and can prove it.
//! - [`trace`] prints a run for people, [`diagram`] draws its end, [`perfetto`] and [`shiviz`]
//!   write it for viewers.

pub mod accountability;
pub mod checks;
pub mod diagram;
pub mod fingerprint;
pub mod forensics;
pub mod metrics;
pub mod perfetto;
pub mod shiviz;
#[cfg(test)]
mod story;
pub mod trace;

use crate::chain::Executed;
use crate::contract::{Code, Receipt};

/// What an execution means to the client that asked for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The contract did or found what was asked.
    Accepted,
    /// The contract refused because of this check.
    Refused(Code),
    /// The transaction had been executed at an earlier place in the chain.
    Repeated,
}

/// What an execution means to the client that asked for it. The only place of this layer that
/// looks inside a receipt.
pub fn verdict(executed: &Executed) -> Answer {
    match executed {
        Executed::Now(Receipt::Accepted | Receipt::Found(_) | Receipt::Suggested(_)) => {
            Answer::Accepted
        }
        Executed::Now(Receipt::Refused(code)) => Answer::Refused(*code),
        Executed::Before => Answer::Repeated,
    }
}

/// Whether an endorsed transaction was ordered to no avail, because others wrote what it had read.
pub fn is_conflict(executed: &Executed) -> bool {
    matches!(
        executed.refusal(),
        Some(Code::MvccConflict | Code::PhantomConflict)
    )
}

impl Answer {
    /// As a trace prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused(_) => "refused",
            Self::Repeated => "repeated",
        }
    }
}
