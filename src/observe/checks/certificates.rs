//! Whether what a replica takes for proven was said by as many as it takes. Counting one vote
//! twice, or votes for something else, shows here before anything is decided by it.

use std::collections::BTreeMap;

use super::logs::Logs;
use super::violation::{Property, Violation};
use super::words::Words;
use crate::base::node::{NodeId, PositionSet};
use crate::base::time::Time;
use crate::chain::{Block, Height};
use crate::protocol::{Quorums, Report};

/// What is known of everybody's words when something is said to be proven.
pub(super) struct Witnesses<'a> {
    pub quorums: &'a Quorums,
    pub nodes: usize,
    /// Those who may have said anything to anybody.
    pub deviating: &'a PositionSet,
    pub words: &'a Words,
    pub logs: &'a Logs,
}

impl Witnesses<'_> {
    /// What is wrong with what a replica reports, if anything.
    pub fn judge(&self, (time, node): (Time, NodeId), report: &Report) -> Option<Violation> {
        let (kinds, least, place, what): (&[_], _, _, _) = match *report {
            Report::Leads { view } => {
                let (kind, least) = self.quorums.leads.as_ref()?;
                let own = self.words.said(node, kind, (view, 0))?;
                (std::slice::from_ref(kind), *least, (view, 0), own)
            }
            Report::Prepared {
                view,
                height,
                digest,
            } => {
                let (kinds, least) = self.quorums.prepared?;
                (kinds, least, (view, height), digest.prefix())
            }
            Report::Enters { .. }
            | Report::Logged { .. }
            | Report::Restarted { .. }
            | Report::Accuses { .. }
            | Report::Reached(_)
            | Report::Shared(_) => return None,
        };
        let said = |other: &NodeId| {
            let mut kinds = kinds.iter();
            kinds.any(|kind| self.words.said(*other, kind, place) == Some(what))
        };
        let backers = self.others(node).filter(said).count() + self.given();
        self.enough(backers, least, (time, node), kinds[0], place)
    }

    /// What is wrong with the first decision of a block, if anything.
    pub fn judge_block(&self, (time, node): (Time, NodeId), block: &Block) -> Option<Violation> {
        let height = block.height;
        if let Some(least) = self.quorums.logged {
            let prefix = self.logs.prefix(node, height)?;
            let has = |other: &NodeId| self.logs.holds(*other, height, prefix);
            let backers = self.others(node).filter(has).count() + self.given();
            return self.enough(backers, least, (time, node), "log", (0, height));
        }
        let (kind, least) = self.quorums.decided?;
        let what = block.batch.digest().prefix();
        let mut by_view: BTreeMap<u64, usize> = BTreeMap::new();
        for other in self.others(node) {
            for view in self.words.views_of(other, kind, (height, what)) {
                *by_view.entry(view).or_default() += 1;
            }
        }
        let (view, most) = by_view
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .unwrap_or_default();
        self.enough(
            most + self.given(),
            least,
            (time, node),
            kind,
            (view, height),
        )
    }

    /// The honest but this one, which may say its own part a moment later.
    fn others(&self, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let nodes = (0..self.nodes).map(NodeId::at);
        nodes.filter(move |other| *other != node && !self.deviating.contains(other.index()))
    }

    /// How many count as having said whatever is needed: the replica itself, and whoever deviates.
    fn given(&self) -> usize {
        1 + self.deviating.len()
    }

    fn enough(
        &self,
        backers: usize,
        least: usize,
        (time, node): (Time, NodeId),
        kind: &'static str,
        (view, place): (u64, Height),
    ) -> Option<Violation> {
        (backers < least).then(|| Violation {
            time,
            property: Property::CertificateSoundness,
            nodes: vec![node],
            height: None,
            detail: format!(
                "{node} takes for proven what {backers} at most have said and {least} must: \
                 {kind} at {place} in view {view}"
            ),
        })
    }
}
