//! A deterministic discrete-event simulator of consensus in a medical-records consortium chain.

pub mod base;
pub mod bench;
pub mod chain;
pub mod contract;
#[cfg(test)]
mod exact;
pub mod experiment;
pub mod figure;
pub mod network;
pub mod observe;
pub mod protocol;
pub mod scenario;
pub mod sim;
#[cfg(test)]
mod stories;
