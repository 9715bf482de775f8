//! L7: scenarios under variation.

pub mod plan;
