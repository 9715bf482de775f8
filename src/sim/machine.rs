//! What work costs: prices of a node's processor and disk, and the processor as a queue.
//!
//! A processor needs no events of its own. Work that arrives at `a` and costs `c` on a server that
//! is busy until `b` is done at `max(a, b) + c` (Lindley's recursion), in order of arrival.

use serde::{Deserialize, Serialize};

use crate::base::time::{Span, Time};

/// Prices of one node's machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Machine {
    /// Servers of the processor; what they finish is acted on in order of arrival.
    pub cores: u16,
    /// Receiving any message.
    pub per_message: Span,
    /// Receiving each 1,000 bytes of it, in proportion.
    pub per_kilobyte: Span,
    /// Receiving a client's request, in place of `per_message`.
    pub per_request: Option<Span>,
    /// Making one signature.
    pub sign: Span,
    /// Verifying one signature.
    pub verify: Span,
    /// Executing one transaction.
    pub execute: Span,
    /// One durable write.
    pub sync: Span,
    /// Whether all nodes share one machine of this kind, as in a laboratory on one computer.
    pub shared: bool,
}

impl Default for Machine {
    /// A server of the year 2020: Ed25519 at 25 and 60 microseconds, an enterprise SSD.
    fn default() -> Self {
        Self {
            cores: 1,
            per_message: Span::from_micros(5),
            per_kilobyte: Span::from_micros(1),
            per_request: None,
            sign: Span::from_micros(25),
            verify: Span::from_micros(60),
            execute: Span::from_micros(10),
            sync: Span::from_micros(250),
            shared: false,
        }
    }
}

impl Machine {
    /// A machine on which nothing takes time.
    pub const FREE: Self = Self {
        cores: 1,
        per_message: Span::ZERO,
        per_kilobyte: Span::ZERO,
        per_request: None,
        sign: Span::ZERO,
        verify: Span::ZERO,
        execute: Span::ZERO,
        sync: Span::ZERO,
        shared: false,
    };

    /// What receiving a message of `size` bytes with `signatures` to verify costs.
    pub fn receive(&self, size: u32, signatures: u32) -> Span {
        let body = u128::from(self.per_kilobyte.nanos()) * u128::from(size) / 1_000;
        let body = Span::from_nanos(u64::try_from(body).unwrap_or(u64::MAX));
        self.per_message + body + self.verify * u64::from(signatures)
    }

    /// What receiving a client's request of `size` bytes with `signatures` to verify costs.
    pub fn request(&self, size: u32, signatures: u32) -> Span {
        let per_message = self.per_request.unwrap_or(self.per_message);
        Self {
            per_message,
            ..*self
        }
        .receive(size, signatures)
    }
}

/// The processor of a node: one or several servers, the earliest free one takes the next work.
#[derive(Clone, Debug)]
pub struct Processor {
    free: Vec<Time>,
    /// When the last work was acted on: results take effect in order of arrival.
    acted: Time,
    /// The sum of all work done.
    busy: Span,
}

impl Processor {
    /// An idle processor.
    pub fn new(cores: u16) -> Self {
        let cores = usize::from(cores.max(1));
        Self {
            free: vec![Time::ZERO; cores],
            acted: Time::ZERO,
            busy: Span::ZERO,
        }
    }

    /// Takes work that arrives at `at`, and costs so much if it begins at a time; when it will be
    /// done, and by which core.
    #[inline]
    pub fn take(&mut self, at: Time, cost: impl FnOnce(Time) -> Span) -> (Time, usize) {
        let mut core = 0;
        for other in 1..self.free.len() {
            if self.free[other] < self.free[core] {
                core = other;
            }
        }
        let begins = at.max(self.free[core]);
        let cost = cost(begins);
        let done = begins + cost;
        self.free[core] = done;
        self.busy += cost;
        self.acted = self.acted.max(done);
        (self.acted, core)
    }

    /// Keeps a core busy until the work that follows is done too.
    #[inline]
    pub fn extend(&mut self, core: usize, from: Time, until: Time) {
        self.busy += until.since(from);
        self.free[core] = self.free[core].max(until);
        self.acted = self.acted.max(until);
    }

    /// Starts anew at `now`, with nothing to do.
    pub fn restart(&mut self, now: Time) {
        self.free.fill(now);
        self.acted = now;
    }

    /// The sum of all work done.
    pub fn busy(&self) -> Span {
        self.busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::distribution::{Distribution, Law};
    use crate::base::random::{Random, Stream};

    /// The mean time a job waits before it is served, in the unit of the service time, and its
    /// standard error from the means of a hundred long stretches.
    fn waiting(cores: u16, interval: &Law, service: &Law) -> (f64, f64) {
        let (interval, service) = (Distribution::new(interval), Distribution::new(service));
        let mut random = Random::new(5, Stream::Test);
        let mut processor = Processor::new(cores);
        let mut now = Time::ZERO;
        let stretches = 100;
        let mut means = Vec::new();
        for _ in 0..stretches {
            let jobs = 20_000;
            let mut waited = 0.0;
            for _ in 0..jobs {
                now += interval.at(random.bits());
                let cost = service.at(random.bits());
                let free = *processor.free.iter().min().expect("there is a core");
                waited += free.since(now).nanos() as f64;
                processor.take(now, |_| cost);
            }
            means.push(waited / f64::from(jobs));
        }
        let mean = means.iter().sum::<f64>() / f64::from(stretches);
        let square: f64 = means.iter().map(|x| (x - mean) * (x - mean)).sum();
        let error = (square / f64::from(stretches - 1) / f64::from(stretches)).sqrt();
        (mean / 10e6, error / 10e6)
    }

    fn exponential(millis: f64) -> Law {
        Law::Exponential {
            mean: Span::from_nanos((millis * 1e6) as u64),
            floor: Span::ZERO,
        }
    }

    /// Successive stretches are nearly independent at these lengths; 2.63 standard errors on
    /// either side hold the true mean with 99 % for a hundred of them.
    fn assert_within(ours: (f64, f64), theory: f64) {
        let (mean, error) = ours;
        assert!(
            (mean - theory).abs() < 2.63 * error,
            "{mean} ± {error} against {theory}"
        );
        assert!(
            error < theory / 20.0,
            "the interval is narrow enough to mean something: {error}"
        );
    }

    #[test]
    fn waiting_times_are_those_of_queueing_theory() {
        // Utilisation 0.8 with a service time of 10 ms: Pollaczek and Khinchine give a mean wait
        // of ρ/(2(1−ρ)) = 2 services for M/D/1 and ρ/(1−ρ) = 4 for M/M/1.
        let service = Span::from_millis(10);
        assert_within(waiting(1, &exponential(12.5), &Law::Constant(service)), 2.0);
        assert_within(waiting(1, &exponential(12.5), &exponential(10.0)), 4.0);
        // Erlang C with two servers at ρ = 0.8: C = 0.7111, wait = C/(2(1−ρ)) = 1.7778.
        assert_within(waiting(2, &exponential(6.25), &exponential(10.0)), 1.777_8);
    }

    #[test]
    fn what_several_cores_finish_is_acted_on_in_order_of_arrival() {
        let mut processor = Processor::new(2);
        let at = Time::from_nanos;
        assert_eq!(
            processor.take(at(0), |_| Span::from_nanos(100)),
            (at(100), 0)
        );
        assert_eq!(
            processor.take(at(1), |_| Span::from_nanos(10)),
            (at(100), 1)
        );
        assert_eq!(
            processor.take(at(200), |_| Span::from_nanos(10)),
            (at(210), 1)
        );
    }

    #[test]
    fn a_message_costs_its_parts() {
        let machine = Machine::default();
        assert_eq!(
            machine.receive(500, 2),
            Span::from_nanos(5_000 + 500 + 120_000)
        );
        assert_eq!(Machine::FREE.receive(500, 2), Span::ZERO);
        assert_eq!(machine.request(500, 0), machine.receive(500, 0));
        let open = Machine {
            per_request: Some(Span::from_nanos(70)),
            ..machine
        };
        assert_eq!(open.request(500, 0), Span::from_nanos(70 + 500));
        assert_eq!(open.receive(500, 0), machine.receive(500, 0));
    }
}
