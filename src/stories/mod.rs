//! Stories: protocols told as scripts with answers. A file holds commands flush left, prose after
//! `#`, and indented what the replicas did; the file is the test. `UPDATE_EXPECT=1 cargo test
//! stories` writes the answers anew, to be read before they are kept.
//!
//! | command | does |
//! |---|---|
//! | `submit n0` | a client asks n0 for a fresh transaction, `c#0`, `c#1`, … |
//! | `submit-read n0` | a client asks n0 to search, which only reads |
//! | `retry n0 c#1` | a client asks n0 for an earlier transaction |
//! | `deliver n2 [kind]`, `deliver n0->n2 [kind]` | delivers what is on its way now |
//! | `overtake …` | delivers the last of it before all others |
//! | `drop …`, `duplicate …` | loses it; delivers it a second time later |
//! | `lie n0 n1 n2` | what n0 has on its way to n1 and n2 becomes its contradiction |
//! | `settle [n0 n1 …]` | delivers everything (among these nodes) until nothing is on its way |
//! | `fire n1 Election` | the timer whose debug text starts so fires; time moves on to then |
//! | `crash n2`, `crash n2 persisting` | now; or at its next write, of which nothing remains |
//! | `restart n2`, `restart n2 amnesia` | with what it wrote; with nothing |
//! | `status`, `chain`, `agree` | who leads; what each ledger holds; whether they agree |
//! | `silent`, `quiet`, `plain`, `loud` | only answers; decisions; messages; timers and views |
//!
//! In place of a node, `*` stands for any: `drop n0->*`. What is not delivered is held.

mod calls;
mod chaos;
mod conspiracy;
mod exhaust;
mod iraft;
mod krbft;
mod layers;
mod mbft;
mod pbft;
mod print;
mod priority;
mod raft;
mod script;
mod stage;

pub use chaos::{Chaos, Weather};
pub use conspiracy::Conspiracy;
pub use script::{check, check_with, perform, play, tell};
pub use stage::{AT_ONCE, Stage};

/// How many schedules are played where convictions are counted: the usual number, or what is asked
/// for when this is compiled, as in `ACCOUNTABILITY_RUNS=100000 cargo test stories::iraft`.
fn accountability_runs(usual: u64) -> u64 {
    let asked = option_env!("ACCOUNTABILITY_RUNS").map(str::parse);
    asked.map_or(usual, |runs| runs.expect("a number of runs"))
}
