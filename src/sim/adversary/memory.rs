//! What a dishonest node keeps to say it again later.

use crate::base::random::Random;
use crate::base::time::{Span, Time};
use crate::protocol::Wire;

/// Messages at most; when there are more, chance decides which are forgotten, so that some are
/// always old.
const KEPT_MAX: usize = 512;

/// Messages a node has sent or heard, with the times.
#[derive(Debug)]
pub(super) struct Memory<M> {
    kept: Vec<(Time, M)>,
}

impl<M: Wire> Memory<M> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { kept: Vec::new() }
    }

    /// Keeps a message.
    pub fn keep(&mut self, now: Time, message: &M, random: &mut Random) {
        let fresh = (now, message.clone());
        if self.kept.len() < KEPT_MAX {
            self.kept.push(fresh);
        } else {
            self.kept[random.below(KEPT_MAX as u64) as usize] = fresh;
        }
    }

    /// One of the messages that are so old and that `wanted` takes, each equally likely.
    pub fn draw(
        &self,
        (now, after): (Time, Span),
        wanted: impl Fn(&M) -> bool,
        random: &mut Random,
    ) -> Option<M> {
        let old = |(time, message): &&(Time, M)| now.since(*time) >= after && wanted(message);
        let count = self.kept.iter().filter(old).count() as u64;
        if count == 0 {
            return None;
        }
        let chosen = random.below(count) as usize;
        let (_, message) = self.kept.iter().filter(old).nth(chosen)?;
        Some(message.clone())
    }
}
