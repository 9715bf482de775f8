//! What a leader of a replicated log knows of one follower, and how fast it feeds it. RAFT and the
//! improved RAFT feed alike; what else they want to know of a follower is their own.

use std::collections::VecDeque;

use crate::base::time::Time;

/// What a leader knows of one follower.
#[derive(Clone, Debug)]
pub(super) struct Peer<T> {
    /// The next entry to send.
    pub next: u64,
    /// The follower's log equals ours, on its disk, up to here.
    pub matched: u64,
    /// Whether the follower has yet to confirm where our logs agree: one append at a time.
    pub probing: bool,
    /// The entry before the last probe.
    pub probe: u64,
    /// The last index of each append on its way without an answer.
    pub in_flight: VecDeque<u64>,
    /// A heartbeat round after which the append that ends here has been answered, or is lost.
    pub suspect: Option<(u64, u64)>,
    /// The last heartbeat sent, and what had matched by then.
    pub promised: (u64, u64),
    /// When it was last heard.
    pub heard: Time,
    /// When anything was last sent to it.
    pub sent: Time,
    /// What one protocol alone wants to know of it.
    pub own: T,
}

impl<T: Default> Peer<T> {
    pub fn new(last: u64, now: Time) -> Self {
        Self {
            next: last + 1,
            matched: 0,
            probing: true,
            probe: last,
            in_flight: VecDeque::new(),
            suspect: None,
            promised: (0, 0),
            heard: now,
            sent: now,
            own: T::default(),
        }
    }

    pub fn is_ready(&self, last: u64, pipeline: usize) -> bool {
        let window = if self.probing { 1 } else { pipeline };
        self.next <= last && self.in_flight.len() < window
    }

    /// Takes note of a verified match; whether it is news.
    pub fn advance(&mut self, matched: u64) -> bool {
        if matched >= self.probe {
            self.probing = false;
        }
        while self.in_flight.front().is_some_and(|end| *end <= matched) {
            self.in_flight.pop_front();
        }
        let news = matched > self.matched;
        self.matched = self.matched.max(matched);
        self.next = self.next.max(self.matched + 1);
        news
    }

    /// Tries from this entry on, one append at a time.
    pub fn go_back(&mut self, next: u64) {
        self.next = next.max(self.matched + 1);
        self.probing = true;
        self.probe = self.next - 1;
        self.in_flight.clear();
        self.suspect = None;
    }

    /// Sends again what the follower has not answered. While it has yet to confirm where our logs
    /// agree, that is the same probe: nothing says that it lacks what comes before. A snapshot that
    /// was lost goes back further, since no append closes the gap before the place that it ends at.
    pub fn repeat(&mut self) {
        let probe = self.in_flight.front().is_some_and(|end| *end > self.probe);
        let last = if self.probing && probe {
            self.probe
        } else {
            self.matched
        };
        self.go_back(last + 1);
    }

    /// Our logs differ at the entry that this append came after; they may agree before the hint.
    pub fn conflicts(&mut self, previous: u64, hint: u64) {
        let hint = hint.min(previous).max(1);
        if previous <= self.matched {
            self.trust_less(hint);
        } else if !self.probing || previous == self.probe {
            // Otherwise the answer is to an append that was given up.
            self.go_back(hint);
        }
    }

    /// The follower refuses what it confirmed: it has lost its disk. Trusting it less is safe.
    pub fn trust_less(&mut self, hint: u64) {
        self.matched = self.matched.min(hint - 1);
        self.go_back(hint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_opens_with_the_first_match_and_closes_with_a_conflict() {
        let mut peer = Peer::<()>::new(0, Time::ZERO);
        assert!(peer.is_ready(1, 3));
        (peer.next, peer.probe) = (2, 0);
        peer.in_flight.push_back(1);
        assert!(!peer.is_ready(5, 3), "one probe at a time");
        assert!(peer.advance(1));
        peer.in_flight.extend([2, 3]);
        assert!(peer.is_ready(5, 3));
        peer.in_flight.push_back(4);
        assert!(!peer.is_ready(5, 3), "the window is full");
        assert!(!peer.advance(1), "no news");
        peer.go_back(0);
        assert_eq!((peer.next, peer.probe), (2, 1), "never below what matched");
        assert!(peer.is_ready(5, 3));
    }

    #[test]
    fn a_lost_probe_is_repeated_and_a_lost_snapshot_asked_for_anew() {
        let mut peer = Peer::<()>::new(9, Time::ZERO);
        (peer.next, peer.probe) = (11, 9);
        peer.in_flight.push_back(10);
        peer.repeat();
        assert_eq!((peer.next, peer.probe), (10, 9), "the same append");
        // A snapshot ends with the place that it confirms.
        (peer.next, peer.probe) = (10, 9);
        peer.in_flight.push_back(9);
        peer.repeat();
        assert_eq!((peer.next, peer.probe), (1, 0));
    }
}
