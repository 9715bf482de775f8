//! L4: the machine room.

pub mod event;
