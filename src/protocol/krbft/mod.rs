//! K-RBFT (in the making).
pub mod grouping;
