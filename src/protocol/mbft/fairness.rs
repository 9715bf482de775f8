//! Groups that are left out although blocks come: the primary of the upper group is told of their
//! mini-blocks once more, and then it is left.

use std::collections::BTreeMap;

use super::{Cx, Mbft, Message};
use crate::base::crypto::Digest;
use crate::base::time::Time;
use crate::protocol::pbft;
use crate::protocol::{Input, Protocol as _, Report};

/// The next mini-blocks of groups that were not in the last block, by group.
pub(super) type Neglected = BTreeMap<u16, Waits>;

/// A mini-block that could be in the next block while others are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    mini: Digest,
    /// The view in which it waits.
    view: u64,
    /// Since when, or since when the primary was told of it again.
    since: Time,
    /// Whether it was.
    told: bool,
}

impl Mbft {
    /// A block has come. Every one of them gives its primary more time, so that one which leaves
    /// out a group would never be overdue. An honest one puts into a block whatever could be there:
    /// in one time-out it is told what it may not have heard of, and after another one it is left.
    pub(super) fn mind_groups(&mut self, cx: &mut Cx<'_>) {
        let known = std::mem::take(&mut self.volatile.table.neglected);
        let Some(upper) = &self.durable.upper else {
            return;
        };
        let status = upper.pbft.status();
        let (Some(view), Some(primary), false) =
            (upper.pbft.active_view(), status.leader, status.leads)
        else {
            return;
        };
        let timeout = self.config.upper.view_timeout;
        let mut over = false;
        let table = &mut self.volatile.table;
        for (group, mini) in &table.next {
            let same = |waits: &&Waits| (waits.mini, waits.view) == (*mini, view);
            let mut waits = known.get(group).filter(same).copied().unwrap_or(Waits {
                mini: *mini,
                view,
                since: cx.now(),
                told: false,
            });
            if cx.now() >= waits.since + timeout {
                over |= waits.told;
                (waits.told, waits.since) = (true, cx.now());
                if let Some((mini, proof)) = table.minis.get(mini).cloned() {
                    cx.send(primary, Message::MiniBlock { mini, proof });
                }
            }
            table.neglected.insert(*group, waits);
        }
        if over {
            cx.report(Report::Reached("leaves-an-unfair-upper-primary"));
            self.lose_patience(view, cx);
        }
    }

    /// Lets the two halves of the view timer of the upper group's PBFT be over.
    fn lose_patience(&mut self, view: u64, cx: &mut Cx<'_>) {
        for _ in 0..2 {
            let upper = self.durable.upper.as_ref();
            if upper.and_then(|upper| upper.pbft.active_view()) == Some(view) {
                self.run_upper(Input::Timeout(pbft::Timer::View), cx);
            }
        }
    }
}
