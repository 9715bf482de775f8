//! L7: studies of single parts, without consensus around them.

pub mod search;
