//! The barest protocol there is: everybody tells everybody, round after round. What it costs is
//! what the kernel costs.

use crate::base::node::{Committee, NodeId};
use crate::base::time::Span;
use crate::protocol::{Context, FaultModel, Input, Misfit, Protocol, Retry, Setup, Status, Wire};

/// One replica: it votes in the next round as soon as it has heard all votes of this one.
#[derive(Clone, Debug)]
pub struct Votes {
    committee: Committee,
    me: NodeId,
    round: u64,
    /// Votes counted in this round and the next: the fastest may be one round ahead.
    counted: [usize; 2],
}

/// A vote in a round.
#[derive(Clone, Debug)]
pub struct Vote {
    round: u64,
}

impl Wire for Vote {
    fn kind(&self) -> &'static str {
        "vote"
    }
    fn kinds() -> Vec<&'static str> {
        vec!["vote"]
    }
    fn size(&self) -> u32 {
        100
    }
}

impl Votes {
    /// Goes on as long as the round is complete.
    fn advance(&mut self, cx: &mut Context<'_, Vote, ()>) {
        while self.counted[0] == self.committee.n() {
            self.counted = [self.counted[1] + 1, 0];
            self.round += 1;
            cx.broadcast(&self.committee, Vote { round: self.round });
        }
    }
}

impl Protocol for Votes {
    const NAME: &'static str = "votes";
    const ABOUT: &'static str = "All-to-all voting without a purpose, to measure the kernel.";
    const FAULTS: FaultModel = FaultModel::Crash;
    const RETRY: Retry = Retry::Next;
    type Config = ();
    type Message = Vote;
    type Timer = ();

    fn check(_config: &(), _n: usize) -> Vec<Misfit> {
        Vec::new()
    }

    fn liveness_bound(_config: &(), _n: usize, delay: Span) -> Span {
        delay
    }

    fn new(_config: &(), setup: Setup) -> Self {
        Self {
            committee: setup.committee,
            me: setup.me,
            round: 0,
            counted: [0, 0],
        }
    }

    fn step(&mut self, input: Input<'_, Vote, ()>, cx: &mut Context<'_, Vote, ()>) {
        match input {
            Input::Start => {
                self.counted[0] = 1; // Our own vote.
                cx.broadcast(&self.committee, Vote { round: self.round });
            }
            Input::Deliver { message, .. } => {
                let ahead = message.round.wrapping_sub(self.round);
                if let Some(counted) = self.counted.get_mut(ahead as usize) {
                    *counted += 1;
                    self.advance(cx);
                }
            }
            Input::Timeout(()) | Input::Submit(_) => {}
        }
    }

    fn status(&self) -> Status {
        Status {
            view: 0,
            leader: Some(self.committee.leader(0)),
            leads: self.me == NodeId(0),
        }
    }
}
