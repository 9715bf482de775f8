//! The judgement of a run, and the accounting that is part of it.

use super::violation::{KEPT_MAX, Property, Violation, Word};
use crate::base::time::{Span, Time};
use crate::sim::event::Totals;

/// What a protocol promises after healing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LivenessJudge {
    /// When the last fault, outage and misbehaviour ends that stands in the way of progress;
    /// [`Time::MAX`] if one never does.
    pub healed_at: Time,
    /// The longest an answer may take from then on, for a client and for the slowest honest node:
    /// the bound of the protocol, and the client's retry and way there and back.
    pub bound: Span,
    /// How long it takes if nothing has grown during the trouble, such as waits that double: what
    /// was answered within it needs no further waiting to be judged.
    pub soon: Span,
    /// Whether after healing the protocol promises progress at all: enough honest nodes are up
    /// and connected, and hold what was decided.
    pub recoverable: bool,
}

/// The judgement of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Whether something happened that must never happen.
    pub safety: Word,
    /// Whether what must happen did.
    pub liveness: Word,
    /// Whether after healing clients were left waiting, promised or not. Where nothing is
    /// promised this is no violation, but a scenario that shows how progress ends expects it.
    pub stalled: bool,
    /// The first violations, in the order they were seen: at most [`KEPT_MAX`].
    pub violations: Vec<Violation>,
    /// All violations.
    pub total: u64,
}

impl Verdict {
    /// Adds a disagreement between two countings of the same thing, if there is one.
    pub fn account(&mut self, end: Time, disagreement: Option<String>) {
        let Some(detail) = disagreement else { return };
        self.safety = Word::Violated;
        self.total += 1;
        if self.violations.len() < KEPT_MAX {
            self.violations.push(accounting(end, detail));
        }
    }
}

pub(super) fn accounting(end: Time, detail: String) -> Violation {
    Violation {
        time: end,
        property: Property::Accounting,
        nodes: Vec::new(),
        height: None,
        detail,
    }
}

/// The instant `span` before `end`, or the beginning.
pub(super) fn before(end: Time, span: Span) -> Time {
    Time::ZERO + end.since(Time::ZERO + span)
}

/// Where the countings of messages contradict one another.
pub(super) fn miscounts(totals: &Totals) -> Vec<String> {
    let made = totals.sent + totals.duplicated;
    let gone = totals.delivered + totals.dropped + totals.lost + totals.in_flight;
    let by_kind: u64 = totals.by_kind.iter().map(|(_, volume)| volume.count).sum();
    let by_second: u64 = totals.per_second.iter().sum();
    let mut found = Vec::new();
    if made != gone {
        found.push(format!("{made} copies were made but {gone} accounted for"));
    }
    if by_kind != by_second {
        found.push(format!(
            "{by_kind} messages by kind but {by_second} by second"
        ));
    }
    found
}
