//! What was promised, and who was left waiting for longer.

use std::collections::BTreeSet;

use super::progress::Stall;
use super::verdict::before;
use super::violation::{Findings, Property, Violation};
use super::{Checks, LivenessJudge};
use crate::base::node::NodeId;
use crate::base::time::{Span, Time};
use crate::chain::Height;

/// An honest node, the height it is at, and the one it should have reached.
type Laggard = (NodeId, Height, Height);

impl Checks {
    /// The judge with the bound that counts: if all was in time as soon as it usually is, it does
    /// not matter that it might have taken longer.
    pub(super) fn patience(&mut self, end: Time, judge: &LivenessJudge) -> LivenessJudge {
        if judge.soon == judge.bound {
            return *judge;
        }
        let soon = LivenessJudge {
            bound: judge.soon,
            ..*judge
        };
        let mut late = Findings::default();
        self.sharing
            .finish((end, &soon, true), &self.present(), &mut late);
        let stalls = self.progress.finish(end, soon.healed_at, soon.bound);
        let in_time = stalls.is_empty()
            && self.lagging(end, soon.bound).is_empty()
            && late.total == late.safety;
        if in_time { soon } else { *judge }
    }

    /// The honest nodes that are up.
    pub(super) fn present(&self) -> BTreeSet<NodeId> {
        let there = self.all_honest().filter(|node| self.up[node.index()]);
        there.collect()
    }

    pub(super) fn add_stalls(&mut self, bound: Span, stalls: &[Stall]) {
        let pending = self.progress.pending();
        for stall in stalls {
            let (time, detail) = match stall {
                Stall::Silence(from, length) => (
                    *from + bound,
                    format!("no client was answered for {length}; {pending} wait at the end"),
                ),
                Stall::Starved { first, due, count } => (
                    *due,
                    format!("{first:?} waits while later ones were answered; {count} such"),
                ),
            };
            self.findings.add(Violation {
                time,
                property: Property::Stall,
                nodes: Vec::new(),
                height: None,
                detail,
            });
        }
    }

    /// The honest nodes that are up and lack what was decided a bound before the end. A node off
    /// the canonical chain has its own violation already.
    fn lagging(&self, end: Time, bound: Span) -> Vec<Laggard> {
        let lags = |node: &NodeId| {
            let chain = &self.strand_of(*node)?.chain;
            let (due, height) = (chain.top_at(before(end, bound)), chain.height(*node));
            (chain.follows(*node) && height < due).then_some((*node, height, due))
        };
        let there = self.present().into_iter();
        there.filter_map(|node| lags(&node)).collect()
    }

    /// Names those who lag behind.
    pub(super) fn add_lagging(&mut self, end: Time, bound: Span) {
        for (node, height, due) in self.lagging(end, bound) {
            self.findings.add(Violation {
                time: end,
                property: Property::Lagging,
                nodes: vec![node],
                height: Some(height),
                detail: format!("{node} is at height {height} but {due} was decided {bound} ago"),
            });
        }
    }
}
