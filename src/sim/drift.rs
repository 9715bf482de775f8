//! Clocks that run fast or slow for some time: what they show, and how long a node waits by them.

use crate::base::time::{Span, Time, Window};

/// How the clock of a node differs from time.
#[derive(Clone, Debug, Default)]
pub struct Drift {
    /// When it is wrong, and how many thousandths of a second it counts in each.
    windows: Vec<(Window, u64)>,
}

impl Drift {
    /// A clock that runs so many thousandths as fast in each window, and right outside. Where
    /// windows overlap their speeds multiply.
    pub fn new(windows: Vec<(Window, u64)>) -> Self {
        Self { windows }
    }

    /// What it shows.
    #[inline]
    pub fn reading(&self, now: Time) -> Time {
        if self.windows.is_empty() {
            return now;
        }
        let (mut at, mut shown) = (Time::ZERO, 0_u128);
        while at < now {
            let until = self.next_turn(at).map_or(now, |turn| turn.min(now));
            shown += counted(until.since(at), self.speed(at));
            at = until;
        }
        Time::from_nanos(narrow(shown / 1_000))
    }

    /// How long it takes until the clock has counted so long from now on. A wait that begins while
    /// the clock is wrong goes on by the right one afterwards.
    #[inline]
    pub fn wait(&self, span: Span, now: Time) -> Span {
        if self.windows.is_empty() {
            return span;
        }
        let (mut at, mut left) = (now, u128::from(span.nanos()) * 1_000);
        loop {
            let speed = self.speed(at);
            // Rounded up: who waits for what is left of a time would wait for nothing, for ever.
            let rest = Span::from_nanos(narrow(left.div_ceil(u128::from(speed))));
            let end = Time::from_nanos(at.nanos().saturating_add(rest.nanos()));
            match self.next_turn(at).filter(|turn| *turn < end) {
                Some(turn) => {
                    left -= counted(turn.since(at), speed);
                    at = turn;
                }
                None => return end.since(now),
            }
        }
    }

    /// Thousandths of a second that it counts in each from a time on.
    fn speed(&self, at: Time) -> u64 {
        let active = self.windows.iter().filter(|(when, _)| when.contains(at));
        let product = active.fold(1_000, |product: u128, (_, speed)| {
            product * u128::from(*speed) / 1_000
        });
        narrow(product).max(1)
    }

    /// When its speed changes next.
    fn next_turn(&self, at: Time) -> Option<Time> {
        let turns = self.windows.iter();
        let turns = turns.flat_map(|(when, _)| [Some(when.from), when.until]);
        turns.flatten().filter(|turn| *turn > at).min()
    }
}

/// Thousandths of nanoseconds that a clock counts.
fn counted(real: Span, speed: u64) -> u128 {
    u128::from(real.nanos()) * u128::from(speed)
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
        let clock = Drift::new(vec![(window(100, Some(200)), 100)]);
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
            (window(10, Some(60)), 3_000),
            (window(40, Some(90)), 250),
            (window(120, None), 1_007),
        ];
        let clock = Drift::new(windows);
        for from in [0, 5, 15, 39, 41, 70, 100, 119, 500] {
            for span in [1, 7_777, 1_000_000, 33_000_001, 900_000_000] {
                let (now, span) = (ms(from), Span::from_nanos(span));
                let wait = clock.wait(span, now);
                let shown = |wait: Span| clock.reading(now + wait).since(clock.reading(now));
                assert!(shown(wait).nanos() + 1 >= span.nanos());
                let sooner = Span::from_nanos(wait.nanos() - 1);
                assert!(shown(sooner) <= span, "from {from} for {span}");
            }
        }
    }
}
