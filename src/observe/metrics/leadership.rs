//! Who leads, and for how long nobody does.

use crate::base::node::NodeId;
use crate::base::time::Time;

/// A time without a leader: from the crash of the leader, or from its own step into a later view,
/// to the next report of leadership. A leader that is merely cut off still leads, because nobody
/// can tell from outside; nor does the time before the first leader count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Election {
    /// When the leader was lost.
    pub from: Time,
    /// When the next one reported; nothing if none did before the run ended.
    pub until: Option<Time>,
}

/// Follows the reports of leadership.
#[derive(Clone, Debug, Default)]
pub(super) struct Leadership {
    /// Who leads, if anybody does.
    pub leader: Option<NodeId>,
    /// The latest view that was led.
    pub view: u64,
    /// How often another node took over from the one that led before.
    pub changes: u64,
    /// In order; the last one may be open.
    pub elections: Vec<Election>,
    last: Option<NodeId>,
}

impl Leadership {
    /// A node leads a view. A report of an older view comes too late to matter.
    pub fn leads(&mut self, now: Time, node: NodeId, view: u64) {
        if self.last.is_some() && view < self.view {
            return;
        }
        if self.leader.is_none()
            && let Some(open) = self.elections.last_mut()
        {
            open.until = Some(now);
        }
        self.changes += u64::from(self.last.is_some_and(|last| last != node));
        self.leader = Some(node);
        self.last = Some(node);
        self.view = view;
    }

    /// A node entered a view without leading it.
    pub fn enters(&mut self, now: Time, node: NodeId, view: u64) {
        if view > self.view {
            self.loses(now, node);
        }
    }

    /// A node can no longer lead.
    pub fn loses(&mut self, now: Time, node: NodeId) {
        if self.leader == Some(node) {
            self.leader = None;
            self.elections.push(Election {
                from: now,
                until: None,
            });
        }
    }
}
