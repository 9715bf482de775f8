//! Everything that can be named, one line each.

use crate::experiment::reproduce::{Target, huang2021};
use crate::figure::{FIGURES, Figure};
use crate::protocol::iraft::Iraft;
use crate::protocol::krbft::Krbft;
use crate::protocol::layers::Layers;
use crate::protocol::mbft::Mbft;
use crate::protocol::pbft::Pbft;
use crate::protocol::raft::Raft;
use crate::scenario::run::Entry;
use crate::scenario::{COLUMNS, Known, ProtocolSpec};

/// The protocols.
pub const PROTOCOLS: &[Entry] = &[
    Entry::of::<Raft>(),
    Entry::of::<Iraft>(),
    Entry::of::<Pbft>(),
    Entry::of::<Mbft>(),
    Entry::of::<Krbft>(),
    Entry::of::<Layers>(),
];

/// The publications whose measurements are reproduced.
pub const TARGETS: &[Target] = &[huang2021::TARGET];

/// What scenarios and experiments may refer to.
pub struct Names {
    protocols: Vec<ProtocolSpec>,
    figures: Vec<&'static str>,
}

impl Names {
    /// All of it.
    pub fn all() -> Self {
        Self {
            protocols: PROTOCOLS.iter().map(|entry| entry.spec).collect(),
            figures: FIGURES.iter().map(|figure| figure.name).collect(),
        }
    }

    /// As scenarios take it.
    pub fn known(&self) -> Known<'_> {
        Known {
            protocols: &self.protocols,
            columns: COLUMNS,
            figures: &self.figures,
        }
    }
}

/// The protocol of this name.
pub fn protocol(name: &str) -> Option<&'static Entry> {
    PROTOCOLS.iter().find(|entry| entry.spec.name == name)
}

/// The figure of this name.
pub fn figure(name: &str) -> Option<&'static Figure> {
    FIGURES.iter().find(|figure| figure.name == name)
}
