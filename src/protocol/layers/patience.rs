//! What was sent and waits for an answer: each thing by itself, so that what was sent a moment ago
//! is not sent again because something older is late.

use crate::base::time::{Span, Time};

/// How long something has waited, and how often it was sent again.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    since: Time,
    /// Times that it was late.
    pub tries: u32,
}

impl Waiting {
    /// Something that waits from now on.
    pub fn new(now: Time) -> Self {
        Self {
            since: now,
            tries: 0,
        }
    }

    /// Whether it has waited so long, or twice as long as the last time, up to four times: what
    /// takes several steps elsewhere may take long there.
    pub fn is_later_each_time(&mut self, patience: Span, now: Time) -> bool {
        self.is_late(patience * (1 << self.tries.min(2)), now)
    }

    /// Whether it has waited so long; then it waits anew.
    pub fn is_late(&mut self, patience: Span, now: Time) -> bool {
        let late = self.since + patience <= now;
        if late {
            self.since = now;
            self.tries += 1;
        }
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_waits_anew() {
        let at = |millis| Time::ZERO + Span::from_millis(millis);
        let mut waiting = Waiting::new(at(10));
        assert!(!waiting.is_late(Span::from_millis(5), at(14)));
        assert!(waiting.is_late(Span::from_millis(5), at(15)));
        assert!(!waiting.is_late(Span::from_millis(5), at(16)));
        assert_eq!(waiting.tries, 1);
    }
}
