//! What the blocks of one step have put an end to. A crash in the middle of a step may undo the
//! last of its blocks: what was promised before them then counts again, and must not be forgotten.

use super::lower::Member;
use super::upper::Upper;
use super::{Durable, Mbft};
use crate::base::crypto::Digest;
use crate::chain::Height;

/// What a replica was before a block.
#[derive(Clone, Debug)]
struct Before {
    /// How far the chain went.
    height: Height,
    member: Option<Member>,
    /// The upper group's member, if the block ended the epoch.
    upper: Option<Upper>,
    secret: Option<(u32, Digest)>,
}

/// What a replica was before each block of its last step.
#[derive(Clone, Debug, Default)]
pub(super) struct Past(Vec<Before>);

impl Past {
    /// A step begins: the blocks of the last one are on disk.
    pub fn forget(&mut self) {
        self.0.clear();
    }

    /// An epoch ends, and with it what a member of the upper group was.
    pub fn keep_upper(&mut self, upper: Option<Upper>) {
        if let Some(before) = self.0.last_mut() {
            before.upper = upper;
        }
    }
}

impl Mbft {
    /// Keeps what this replica is before the next block.
    pub(super) fn keep_past(&mut self) {
        let Durable { member, secret, .. } = &self.durable;
        let before = Before {
            height: self.volatile.register.height,
            member: member.clone(),
            upper: None,
            secret: *secret,
        };
        self.durable.past.0.push(before);
    }

    /// Returns to what this replica was at a height of the chain, if later blocks were undone.
    pub(super) fn return_to(&mut self, height: Height) {
        let past = std::mem::take(&mut self.durable.past).0;
        let mut undone = past
            .into_iter()
            .skip_while(|before| before.height != height);
        let Some(before) = undone.next() else {
            return;
        };
        self.durable.member = before.member;
        self.durable.secret = before.secret;
        let ended = before
            .upper
            .or_else(|| undone.find_map(|later| later.upper));
        if ended.is_some() {
            self.durable.upper = ended;
        }
    }
}
