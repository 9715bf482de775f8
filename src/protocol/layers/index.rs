//! The table between networks: in which networks a patient is registered, and which record was
//! sent on to which. It follows from the chain of the index network.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::topology::{Net, Topology};
use crate::base::crypto::{DIGEST_BYTES, Digest, Hasher};
use crate::base::random::mix;
use crate::chain::{Annex, Block, Height};
use crate::contract::message::RecordId;

/// An entry of the index chain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Line {
    /// A patient is registered in a network.
    Add {
        /// The patient.
        user: Digest,
        /// The network.
        net: Net,
    },
    /// A record goes from one network to another, once.
    Relay {
        /// The record.
        rid: RecordId,
        /// From where.
        from: Net,
        /// Where to.
        to: Net,
    },
}

impl Line {
    /// The entry of a record that goes from one network to another.
    pub fn relay(rid: RecordId, from: Net, to: Net) -> Self {
        Self::Relay { rid, from, to }
    }
}

/// The entries of an index block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lines(pub Vec<Line>);

impl Annex for Lines {
    fn digest(&self) -> Digest {
        let hasher = Hasher::new("layers lines");
        let hash = |hasher: Hasher, line: &Line| match line {
            Line::Add { user, net } => hasher.number(0).digest(user).number(u64::from(*net)),
            Line::Relay { rid, from, to } => {
                let hasher = hasher.number(1).digest(&rid.0).number(u64::from(*from));
                hasher.number(u64::from(*to))
            }
        };
        self.0.iter().fold(hasher, hash).finish()
    }

    fn size(&self) -> u32 {
        self.0.len() as u32 * (6 + DIGEST_BYTES)
    }

    fn vouches(&self, _: usize) -> bool {
        false
    }
}

/// The table.
#[derive(Clone, Debug)]
pub struct Inter {
    topology: Arc<Topology>,
    rows: BTreeMap<Digest, BTreeSet<Net>>,
    relays: BTreeSet<(RecordId, Net)>,
    /// A digest of everything that ever changed.
    pub root: u64,
    /// The height up to which it follows the chain.
    pub height: Height,
}

impl Inter {
    /// The table with which the chain begins.
    pub fn new(topology: &Arc<Topology>) -> Self {
        Self {
            topology: topology.clone(),
            rows: BTreeMap::new(),
            relays: BTreeSet::new(),
            root: 0,
            height: 0,
        }
    }

    /// The networks in which a patient is registered.
    pub fn row(&self, user: &Digest) -> BTreeSet<Net> {
        let known = self.rows.get(user).cloned();
        known.unwrap_or_else(|| self.topology.homes(user).into_iter().collect())
    }

    /// Whether an entry is there already.
    pub fn has(&self, line: &Line) -> bool {
        match line {
            Line::Add { user, net } => self.row(user).contains(net),
            Line::Relay { rid, to, .. } => self.relays.contains(&(*rid, *to)),
        }
    }

    /// Follows the next block; the entries that were not there before.
    pub fn apply(&mut self, block: &Block) -> Vec<Line> {
        self.height = block.height;
        let lines = block
            .batch
            .annex::<Lines>()
            .map_or(&[][..], |lines| &lines.0);
        let mut fresh = Vec::new();
        for line in lines {
            if self.has(line) {
                continue;
            }
            match line {
                Line::Add { user, net } => {
                    let mut row = self.row(user);
                    row.insert(*net);
                    self.rows.insert(*user, row);
                    self.root = mix(self.root, user.prefix() ^ u64::from(*net));
                }
                Line::Relay { rid, to, .. } => {
                    self.relays.insert((*rid, *to));
                    self.root = mix(self.root, rid.0.prefix() ^ u64::from(*to));
                }
            }
            fresh.push(*line);
        }
        self.root = mix(self.root, block.height);
        fresh
    }
}
