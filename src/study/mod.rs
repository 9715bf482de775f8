//! L7: studies of single parts, without consensus around them.

pub mod draw;
pub mod rbraft;
pub mod search;
mod table;
pub mod tolerance;
