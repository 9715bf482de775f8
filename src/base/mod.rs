//! L0: the words everybody uses. Time, nodes and their quorums, chance, digests and signatures.

pub mod crypto;
pub mod distribution;
pub mod node;
pub mod random;
pub mod time;
pub mod units;
