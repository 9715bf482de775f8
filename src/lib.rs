//! A deterministic discrete-event simulator of consensus in a medical-records consortium chain.

pub mod base;
pub mod chain;
pub mod contract;
pub mod experiment;
pub mod network;
pub mod protocol;
pub mod scenario;
pub mod sim;
