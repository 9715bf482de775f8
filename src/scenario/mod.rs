//! L6: what to simulate, read from YAML. Bytes become a tree that knows where everything is
//! written; overrides edit the tree; it is read into plain structs with every default filled in;
//! and whatever is wrong is refused together, each problem with its place.

pub(crate) mod adversary;
pub(crate) mod budget;
pub(crate) mod contract;
mod draws;
pub mod error;
mod execution;
pub(crate) mod expect;
pub(crate) mod law;
pub(crate) mod nearest;
pub(crate) mod network;
mod outlook;
pub(crate) mod predict;
pub mod protocol;
pub(crate) mod read;
pub(crate) mod reader;
mod rehearsal;
pub mod run;
mod said;
pub mod schema;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod tree;
pub(crate) mod trouble;
mod unmet;
pub(crate) mod whole;
pub(crate) mod workload;

use std::path::Path;
use std::sync::Arc;

pub use error::{Kind, Problem, Refusal};
pub use expect::beyond_model;
pub use law::{LAWS, Latency};
pub use nearest::nearest;
pub use predict::Prediction;
pub use protocol::{Misfits, ProtocolSpec, check_config};
pub use schema::Scenario;
pub use unmet::unmet;
pub use whole::Known;

use crate::base::crypto::{Digest, Hasher};
use reader::Reader;
use tree::{Node, Source, parse_path};

/// The numeric columns of `runs.csv`, on which `expect` may put bounds.
pub const COLUMNS: &[&str] = &[
    "submitted",
    "committed",
    "accepted",
    "refused",
    "throughput_tps",
    "goodput_tps",
    "latency_mean_ms",
    "latency_p50_ms",
    "latency_p90_ms",
    "latency_p99_ms",
    "latency_max_ms",
    "consensus_latency_mean_ms",
    "blocks",
    "messages",
    "bytes",
    "messages_per_block",
    "signatures",
    "verifications",
    "leader_changes",
    "violations",
    "byzantine",
    "convicted",
    "convicted_wrongly",
    "identified_after_ms",
    "simulated_s",
    "endorsements",
    "retries",
    "conflicts",
    "conflict_rate",
    "contacts",
    "contact_latency_mean_ms",
    "contact_latency_p50_ms",
    "contact_latency_p99_ms",
    "identified_by_all_ms",
    "misapplied",
];

/// Values set from outside: dotted key and YAML text.
pub type Overrides<'a> = &'a [(String, String)];

impl Scenario {
    /// Reads a scenario from a file.
    ///
    /// `overrides` replace or add values by dotted key before anything is judged; `seed` replaces
    /// the scenario's own.
    ///
    /// # Errors
    /// Everything that is wrong with the file or the overrides, at once.
    pub fn load(
        path: &Path,
        overrides: Overrides<'_>,
        seed: Option<u64>,
        known: &Known<'_>,
    ) -> Result<Self, Refusal> {
        let text = read::read_file(path)?;
        Self::parse(&path.display().to_string(), &text, overrides, seed, known)
    }

    /// Reads a scenario from text; `name` stands for the file in refusals.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn parse(
        name: &str,
        text: &str,
        overrides: Overrides<'_>,
        seed: Option<u64>,
        known: &Known<'_>,
    ) -> Result<Self, Refusal> {
        let mut root = read::parse(name, text)?;
        let mut problems = Vec::new();
        for (key, value) in overrides {
            let done = set(&mut root, "--set", key, value);
            problems.extend(done.err());
        }
        if let Some(seed) = seed {
            let done = set(&mut root, "--seed", "seed", &seed.to_string());
            problems.extend(done.err());
        }
        if !problems.is_empty() {
            let problems = problems.into_iter().map(|problem| *problem).collect();
            return Err(Refusal::new(problems, 0));
        }
        Self::from_tree(&root, known)
    }

    /// Reads a scenario from its tree.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn from_tree(root: &Node, known: &Known<'_>) -> Result<Self, Refusal> {
        let mut reader = Reader::new(root);
        let scenario = whole::scenario(&mut reader, root, known);
        match (reader.finish(), scenario) {
            (Some(refusal), _) => Err(refusal),
            (None, Some(scenario)) => Ok(scenario),
            (None, None) => {
                let rule = "cannot be read for a reason that was not found";
                Err(Problem::at(&root.place, rule).into())
            }
        }
    }

    /// The same scenario with another seed: choices of nodes left to chance are made again. The
    /// lists of faults and adversaries must be those that were read, or [`Scenario::settled`].
    #[must_use]
    pub fn with_seed(&self, seed: u64) -> Self {
        let mut scenario = self.clone();
        scenario.seed = seed;
        scenario.draw();
        scenario
    }

    /// The scenario as YAML with every default; it reads back as itself.
    pub fn to_yaml(&self) -> String {
        read::to_yaml(self)
    }

    /// A digest of everything that is said: layout, comments and defaults written out make no
    /// difference.
    pub fn hash(&self) -> Digest {
        let canonical = serde_json::to_vec(self).expect("maps with text keys are JSON");
        Hasher::new("scenario").part(&canonical).finish()
    }
}

/// Sets a dotted key of a tree to a value given as text; `option` names where they come from.
fn set(root: &mut Node, option: &str, key: &str, value: &str) -> Result<(), Box<Problem>> {
    let label = match option {
        "--set" => format!("--set {}", tree::shorten(key)),
        option => option.into(),
    };
    let source = |text: &str| {
        Arc::new(Source {
            label: label.clone(),
            text: text.into(),
            file: false,
        })
    };
    let mut place = read::start(&source(key));
    place.width = u32::try_from(key.chars().count())
        .unwrap_or(u32::MAX)
        .max(1);
    let Some(path) = parse_path(key) else {
        let rule = "this is not a key: write names joined by dots, like `network.within.latency`";
        return Err(Problem::at(&place, rule).into());
    };
    let value = read::parse_source(&source(value))?;
    root.set(&path, &place, value).map_err(|rule| {
        let mut problem = Problem::at(&place, rule);
        problem.key_path = tree::Path(&path).to_string();
        Box::new(problem)
    })
}
