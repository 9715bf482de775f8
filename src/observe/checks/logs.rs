//! What replicas report of themselves: who leads, what is prepared, and how their logs grow.
//!
//! Each replica's log is shadowed here, entry by entry, as its term and a digest of everything up
//! to it; two logs are then compared at one place in constant time. Places that every node has
//! decided are forgotten.

use std::collections::{BTreeMap, VecDeque};

use super::violation::{Findings, Property, Violation};
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::chain::Height;

/// One entry of a log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Its place, from 1.
    pub index: u64,
    /// The term it was created in.
    pub term: u64,
    /// A digest of the log up to and including it.
    pub prefix: u64,
}

/// The log of one replica, from `first` on.
#[derive(Clone, Debug)]
struct Shadow {
    first: u64,
    /// Term and prefix of each entry.
    entries: VecDeque<(u64, u64)>,
}

impl Shadow {
    fn get(&self, index: u64) -> Option<(u64, u64)> {
        let offset = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.entries.get(offset).copied()
    }

    /// The log now ends with this entry.
    fn end_with(&mut self, entry: Entry) {
        let end = self.first + self.entries.len() as u64;
        if entry.index < self.first || entry.index > end {
            self.entries.clear();
            self.first = entry.index;
        }
        let keep = usize::try_from(entry.index - self.first).expect("a log fits into memory");
        self.entries.truncate(keep);
        self.entries.push_back((entry.term, entry.prefix));
    }

    /// The log now starts after this entry. What follows stays if the entry was in the log
    /// already: a snapshot that only shortens a log takes nothing from its end.
    fn start_with(&mut self, entry: Entry) {
        if self.get(entry.index) == Some((entry.term, entry.prefix)) {
            self.forget_below(entry.index);
        } else {
            self.first = entry.index;
            self.entries.clear();
            self.entries.push_back((entry.term, entry.prefix));
        }
    }

    fn forget_below(&mut self, index: u64) {
        while self.first < index && self.entries.pop_front().is_some() {
            self.first += 1;
        }
    }
}

/// Elections, prepared certificates and logs of one committee over all nodes.
#[derive(Clone, Debug)]
pub(super) struct Logs {
    /// The view or term each node is in, as far as it told.
    views: Vec<u64>,
    leaders: BTreeMap<u64, NodeId>,
    prepared: BTreeMap<(Height, u64), (Digest, NodeId)>,
    /// The prefix that each place and term stands for.
    entries: BTreeMap<(u64, u64), (u64, NodeId)>,
    shadows: Vec<Shadow>,
    /// The highest decided entry by the term its decider was in; both ascend.
    committed: BTreeMap<u64, (Height, u64)>,
}

impl Logs {
    /// Nothing reported yet.
    pub fn new(nodes: usize) -> Self {
        let shadow = Shadow {
            first: 1,
            entries: VecDeque::new(),
        };
        Self {
            views: vec![0; nodes],
            leaders: BTreeMap::new(),
            prepared: BTreeMap::new(),
            entries: BTreeMap::new(),
            shadows: vec![shadow; nodes],
            committed: BTreeMap::new(),
        }
    }

    /// An honest node entered a view.
    pub fn enter(&mut self, node: NodeId, view: u64) {
        let known = &mut self.views[node.index()];
        *known = (*known).max(view);
    }

    /// An honest node leads a view.
    pub fn lead(&mut self, now: Time, node: NodeId, view: u64, findings: &mut Findings) {
        self.enter(node, view);
        let first = *self.leaders.entry(view).or_insert(node);
        if first != node {
            findings.add(Violation {
                time: now,
                property: Property::ElectionSafety,
                nodes: vec![node, first],
                height: None,
                detail: format!("{node} leads view {view} which {first} led"),
            });
        }
        // A leader of an older term than the decision's may be behind: it decides nothing.
        let Some((_, &(height, prefix))) = self.committed.range(..view).next_back() else {
            return;
        };
        let shadow = &self.shadows[node.index()];
        let missing = match shadow.get(height) {
            Some((_, own)) => own != prefix,
            // Below its first entry the log is covered by a snapshot, which is decided.
            None => height >= shadow.first,
        };
        if missing {
            findings.add(Violation {
                time: now,
                property: Property::LeaderCompleteness,
                nodes: vec![node],
                height: Some(height),
                detail: format!("{node} leads view {view} without the decided entry {height}"),
            });
        }
    }

    /// An honest node holds a prepared certificate.
    pub fn prepare(
        &mut self,
        (now, node): (Time, NodeId),
        (view, height): (u64, Height),
        digest: Digest,
        findings: &mut Findings,
    ) {
        let place = (height, view);
        let (first, by) = *self.prepared.entry(place).or_insert((digest, node));
        if first != digest {
            findings.add(Violation {
                time: now,
                property: Property::PreparedUniqueness,
                nodes: vec![node, by],
                height: Some(height),
                detail: format!("{digest:?} and {first:?} are both prepared in view {view}"),
            });
        }
    }

    /// The log of an honest node ends with this entry, or starts after it.
    pub fn log(&mut self, at: (Time, NodeId), entry: Entry, starts: bool, out: &mut Findings) {
        let (time, node) = at;
        let place = (entry.index, entry.term);
        let (prefix, by) = *self.entries.entry(place).or_insert((entry.prefix, node));
        if prefix != entry.prefix {
            let (index, term) = place;
            out.add(Violation {
                time,
                property: Property::LogMatching,
                nodes: vec![node, by],
                height: Some(index),
                detail: format!("logs differ up to entry {index} of term {term}"),
            });
        }
        let shadow = &mut self.shadows[node.index()];
        if starts {
            shadow.start_with(entry);
        } else {
            shadow.end_with(entry);
        }
    }

    /// What the log of a node is up to a place, if it is known.
    pub fn prefix(&self, node: NodeId, height: Height) -> Option<u64> {
        let (_, prefix) = self.shadows[node.index()].get(height)?;
        Some(prefix)
    }

    /// Whether the log of a node holds what this one does up to a place. What a snapshot covers is
    /// decided.
    pub fn holds(&self, node: NodeId, height: Height, prefix: u64) -> bool {
        let shadow = &self.shadows[node.index()];
        height < shadow.first || self.prefix(node, height) == Some(prefix)
    }

    /// A canonical block was decided at a height, first by this node.
    pub fn commit(&mut self, node: NodeId, height: Height) {
        let Some((term, prefix)) = self.shadows[node.index()].get(height) else {
            return;
        };
        // A block that fills a gap below a snapshot says nothing new.
        if let Some((_, &(highest, _))) = self.committed.last_key_value()
            && highest >= height
        {
            return;
        }
        // The entry was decided in the decider's term or before.
        let view = term.max(self.views[node.index()]);
        self.committed.split_off(&view);
        self.committed.insert(view, (height, prefix));
    }

    /// Every node has decided everything below a height.
    pub fn forget_below(&mut self, height: Height) {
        self.prepared = self.prepared.split_off(&(height, 0));
        self.entries = self.entries.split_off(&(height, 0));
        for shadow in &mut self.shadows {
            shadow.forget_below(height);
        }
    }

    /// How many entries and certificates are remembered.
    #[cfg(test)]
    pub fn remembered(&self) -> usize {
        let shadows: usize = self.shadows.iter().map(|shadow| shadow.entries.len()).sum();
        self.prepared.len() + self.entries.len() + shadows
    }
}
