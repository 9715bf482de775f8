//! L3: what lies between the nodes.

pub mod regions;
