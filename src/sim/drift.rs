//! Clocks and processors that run fast or slow for some time: what they have counted or done by
//! then, and how long they take for so much.

use crate::base::time::{Span, Time, Window};

/// So many of so many.
pub type Rate = (u64, u64);

/// How something that goes on evenly goes faster or slower in some windows.
#[derive(Clone, Debug, Default)]
pub struct Drift {
    windows: Vec<(Window, Rate)>,
}

impl Drift {
    /// At this rate in each window, and right outside. Where windows overlap the rates multiply.
    /// No rate is zero.
    pub fn new(windows: Vec<(Window, Rate)>) -> Self {
        assert!(windows.iter().all(|(_, (one, of))| *one > 0 && *of > 0));
        Self { windows }
    }

    /// What a clock shows that began at zero.
    #[inline]
    pub fn reading(&self, now: Time) -> Time {
        if self.windows.is_empty() {
            return now;
        }
        let (mut at, mut shown) = (Time::ZERO, 0);
        while at < now {
            let until = self.next_turn(at).map_or(now, |turn| turn.min(now));
            shown += self.counted(until.since(at), at);
            at = until;
        }
        Time::from_nanos(narrow(shown))
    }

    /// How long so much takes from now on. What begins in a window goes on outside it as it does
    /// there.
    #[inline]
    pub fn wait(&self, span: Span, now: Time) -> Span {
        if self.windows.is_empty() {
            return span;
        }
        let (mut at, mut left) = (now, u128::from(span.nanos()));
        loop {
            let (one, of) = self.rate(at);
            // Rounded up: who waits for what is left of a time would wait for nothing, for ever.
            let rest = narrow(left.saturating_mul(of).div_ceil(one));
            let end = Time::from_nanos(at.nanos().saturating_add(rest));
            match self.next_turn(at).filter(|turn| *turn < end) {
                Some(turn) => {
                    left -= self.counted(turn.since(at), at);
                    at = turn;
                }
                None => return end.since(now),
            }
        }
    }

    /// The rate from a time on.
    fn rate(&self, at: Time) -> (u128, u128) {
        let active = self.windows.iter().filter(|(when, _)| when.contains(at));
        active.fold((1, 1), |(one, of): (u128, u128), (_, rate)| {
            let (next, of_next) = (u128::from(rate.0), u128::from(rate.1));
            (one.saturating_mul(next), of.saturating_mul(of_next))
        })
    }

    /// Nanoseconds that are counted in so long, before the next turn.
    fn counted(&self, real: Span, at: Time) -> u128 {
        let (one, of) = self.rate(at);
        u128::from(real.nanos()).saturating_mul(one) / of
    }

    /// When the rate changes next.
    fn next_turn(&self, at: Time) -> Option<Time> {
        let turns = self.windows.iter();
        let turns = turns.flat_map(|(when, _)| [Some(when.from), when.until]);
        turns.flatten().filter(|turn| *turn > at).min()
    }
}

fn narrow(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Time {
        Time::ZERO + Span::from_millis(millis)
    }

    fn window(from: u64, until: Option<u64>) -> Window {
        Window {
            from: ms(from),
            until: until.map(ms),
        }
    }

    #[test]
    fn a_wait_that_begins_by_a_slow_clock_ends_by_the_right_one() {
        let clock = Drift::new(vec![(window(100, Some(200)), (1, 10))]);
        let wait = |from, span| clock.wait(Span::from_millis(span), ms(from)).nanos() / 1_000_000;
        assert_eq!(wait(0, 50), 50, "before it");
        assert_eq!(wait(100, 10), 100, "a tenth as fast");
        assert_eq!(wait(150, 20), 65, "5 in 50, and 15 by the right clock");
        assert_eq!(wait(50, 70), 160, "50, then 10 in 100, and 10 more");
        assert_eq!(wait(200, 50), 50, "after it");
    }

    #[test]
    fn waiting_moves_the_reading_by_as_much_and_no_sooner() {
        let windows = vec![
            (window(10, Some(60)), (3, 1)),
            (window(40, Some(90)), (1, 4)),
            (window(120, None), (1_007, 1_000)),
        ];
        let clock = Drift::new(windows);
        for from in [0, 5, 15, 39, 41, 70, 100, 119, 500] {
            for span in [1, 7_777, 1_000_000, 33_000_001, 900_000_000] {
                let (now, span) = (ms(from), Span::from_nanos(span));
                let wait = clock.wait(span, now);
                let shown = |wait: Span| clock.reading(now + wait).since(clock.reading(now));
                assert!(shown(wait).nanos() + 3 >= span.nanos());
                let sooner = Span::from_nanos(wait.nanos() - 1);
                assert!(
                    shown(sooner).nanos() <= span.nanos() + 3,
                    "from {from} for {span}"
                );
            }
        }
    }
}
