//! A deterministic discrete-event simulator of consensus in a medical-records consortium chain.
//!
//! A simulated clock drives virtual hospital nodes inside one process. Each node runs real
//! consensus code and real contract code; network, machines, faults and dishonest replicas are
//! described in a YAML scenario; what comes out is CSV and figures, the same to the byte for the
//! same scenario and seed, whatever the machine, the build and the number of threads.
//!
//! # The layers
//!
//! A module uses only lower layers; a test reads every `use` and says so.
//!
//! ```text
//! L9  main, cli, catalog    arguments in, exit code out; everything that has a name
//! L8  figure                rows in, pictures out
//! L7  experiment, bench     many runs; how fast they are; parts
//!     study, fuzz           studied by themselves; searches for violations
//! L6  scenario              YAML in, one outcome out
//! L5  observe               those who watch: metrics, checks, fingerprint, trace
//! L4  sim                   the machine room: windows of time, hosts, clients, adversaries
//! L3  protocol    network   how it is agreed; how words travel; neither knows the other
//! L2  chain                 what is agreed on: transactions, blocks, ledgers
//! L1  contract              the medical record
//! L0  base                  time, nodes, chance, digests and signatures
//! ```
//!
//! # The words
//!
//! A *node* is a virtual machine, a *replica* the protocol running on it, a *site* the place it
//! stands in. A *committee* is the ordered replicas of one protocol instance; its *leader*
//! proposes in a *view* (RAFT: a term). A protocol *decides* a *batch* at a *height*; the contract
//! *executes* it, and it becomes a *block*. *Faults* are honest machines in bad weather;
//! *adversaries* are dishonest machines.
//!
//! # The traits
//!
//! There are four. [`protocol::Protocol`] and [`protocol::Wire`] are what a protocol implements,
//! [`sim::event::Observer`] is whoever watches. The fourth, [`sim::message::Post`], is where a
//! node leaves what it sends: the kernel of windows and the reference kernel each have their own,
//! and everything between is the same code, which is why both give the same run.
//!
//! # An example
//!
//! ```
//! use consilium::catalog::{self, Names};
//! use consilium::scenario::Scenario;
//! use consilium::sim::Kernel;
//!
//! let text = "
//! about: Four hospitals agree on a hundred transactions a second.
//! seed: 1
//! duration: 2s
//! nodes: 4
//! protocol: pbft
//! workload: { rate: 100/s, patients: 10 }
//! ";
//! let names = Names::all();
//! let scenario = Scenario::parse("example", text, &[], None, &names.known())?;
//! let entry = catalog::protocol(&scenario.protocol.name).expect("it was validated");
//! let outcome = (entry.run)(&scenario, Kernel::Windows { threads: 1 }, None);
//! assert!(outcome.summary.committed > 150);
//! assert!(outcome.verdict.violations.is_empty());
//! # Ok::<(), consilium::scenario::Refusal>(())
//! ```

pub mod base;
pub mod bench;
pub mod catalog;
pub mod chain;
pub mod cli;
pub mod contract;
#[cfg(test)]
mod exact;
pub mod experiment;
pub mod figure;
pub mod fuzz;
pub mod network;
pub mod observe;
pub mod protocol;
pub mod scenario;
pub mod sim;
#[cfg(test)]
mod stories;
pub mod study;
#[cfg(test)]
mod tidy;
