//! What a run may take of the machine that it runs on. Messages on their way are kept in memory,
//! and nodes that are asked for more than they can do let them pile up without end: a run that
//! would fill the memory is given up instead.

use std::fmt;

use super::message::Stored;
use crate::base::time::Time;
use crate::base::units::Bytes;

/// What messages on their way take at most, unless a scenario says otherwise.
pub const MEMORY: Bytes = Bytes(4 << 30);
/// Messages that one run handles at most.
pub const DELIVERIES_MAX: u64 = 10_000_000_000;
/// What a message carries takes twice its bytes on the wire, about (measured with endorsements);
/// and no more than so much, since calls and blocks are shared with others who have them.
const CONTENT_MAX: u64 = 2_048;
/// Deliveries, and turns of a kernel, after which it is asked again what is on its way.
const LOOK_AFTER: (u64, u32) = (1_000_000, 64);

/// Why a run was given up, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exhausted {
    /// So many copies of messages are on their way, and take more than they may.
    Memory {
        /// The simulated time.
        at: Time,
        /// How many.
        copies: u64,
        /// What they may take.
        limit: Bytes,
    },
    /// More messages were handled than in any run.
    Deliveries {
        /// The simulated time.
        at: Time,
    },
}

impl Exhausted {
    /// When the run was given up.
    pub fn at(&self) -> Time {
        match self {
            Self::Memory { at, .. } | Self::Deliveries { at } => *at,
        }
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { at, copies, limit } => write!(
                f,
                "given up after {at} s of simulated time, when {copies} messages are on their way \
                 and take more than {limit} of memory: nodes are asked for more than they can do \
                 (lower `workload.rate`, lengthen `workload.retry`, or allow more with `memory`)"
            ),
            Self::Deliveries { at } => write!(
                f,
                "given up after {at} s of simulated time and {DELIVERIES_MAX} messages (shorten \
                 `duration`, or lower `workload.rate`)"
            ),
        }
    }
}

/// What a message takes, about.
pub fn bytes_of<M>(stored: &Stored<M>) -> u64 {
    size_of::<Stored<M>>() as u64 + CONTENT_MAX.min(2 * u64::from(stored.size))
}

/// What is on its way in a kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// Copies of messages.
    pub copies: u64,
    /// What they and their messages take, about.
    pub bytes: u64,
}

/// Looks now and then at how much a run takes. When it looks depends on what was handled only, so
/// that the same run is given up at the same time.
#[derive(Clone, Debug)]
pub struct Gauge {
    limit: Bytes,
    handled: u64,
    unseen: u64,
    turns: u32,
}

impl Gauge {
    /// A gauge of a run that may take so much.
    pub fn new(limit: Bytes) -> Self {
        Self {
            limit,
            handled: 0,
            unseen: 0,
            turns: 0,
        }
    }

    /// Counts a turn of the kernel that has handled so many messages, the last of them before
    /// `at`; whether the run has to be given up.
    #[inline]
    pub fn read(
        &mut self,
        at: Time,
        handled: u64,
        load: impl FnOnce() -> Load,
    ) -> Option<Exhausted> {
        self.unseen += handled;
        self.turns += 1;
        if self.unseen < LOOK_AFTER.0 && self.turns < LOOK_AFTER.1 {
            return None;
        }
        self.handled += std::mem::take(&mut self.unseen);
        self.turns = 0;
        let Load { copies, bytes } = load();
        let limit = self.limit;
        if bytes > limit.0 {
            return Some(Exhausted::Memory { at, copies, limit });
        }
        (self.handled > DELIVERIES_MAX).then_some(Exhausted::Deliveries { at })
    }
}
