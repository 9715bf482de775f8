//! What stories make up.

pub use super::header::Header;
pub use super::inner::{Proof, Word};
pub use super::message::{Body, Chunk, End, Item, Ticket, TransactionRef};
