//! The keys of RAFT in a scenario, and the guards that tests can break.

use serde::{Deserialize, Serialize};

use crate::base::time::Span;
use crate::protocol::Misfit;

/// How transactions that only read are answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// They take a place in the log like any other.
    #[default]
    Log,
    /// The leader answers them once a round of heartbeats has confirmed that it leads.
    Index,
}

/// The keys of RAFT in a scenario.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A follower that hears no leader for a time drawn from this range stands for election.
    pub election_timeout: [Span; 2],
    /// How long a leader is silent at most.
    pub heartbeat: Span,
    /// Whether a candidate asks first whether it would win.
    pub pre_vote: bool,
    /// Whether a leader that hears no majority steps down.
    pub check_quorum: bool,
    /// Appends on their way to one follower without an answer, at most.
    pub pipeline: usize,
    /// Batches proposed and not yet committed, at most: more wait in the mempool, where they grow,
    /// instead of keeping the leader so busy that it falls silent.
    pub uncommitted_max: u64,
    /// Entries in one append, at most.
    pub append_max: usize,
    /// Decided entries that are kept for followers that lag; 0 keeps all.
    pub compact_after: u64,
    /// How reads are answered.
    pub reads: Reads,
    /// Which guard is broken.
    #[cfg(any(test, feature = "mutants"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutant: Option<Mutant>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            election_timeout: [Span::from_millis(150), Span::from_millis(300)],
            heartbeat: Span::from_millis(50),
            pre_vote: true,
            check_quorum: true,
            pipeline: 8,
            uncommitted_max: 8,
            append_max: 64,
            compact_after: 1000,
            reads: Reads::Log,
            #[cfg(any(test, feature = "mutants"))]
            mutant: None,
        }
    }
}

/// A guard that can be broken, to show that stories and checks notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mutant {
    /// One replica less than a majority commits.
    CommitQuorumLow,
    /// One vote less than a majority elects.
    ElectQuorumLow,
    /// A vote is sent before it is on disk.
    VotePersistLate,
    /// Entries of earlier terms are committed by counting (Figure 8).
    CommitOldTerm,
    /// Votes go to logs that are not up-to-date.
    NoUpToDate,
    /// The term of the entry before an append is not compared.
    NoPrevCheck,
    /// A replica votes for everybody who asks.
    DoubleVote,
    /// Neither term nor vote is ever written.
    TermNotPersisted,
    /// Entries are acknowledged before they are on disk.
    LogPersistLate,
    /// Logs are compared by their length only.
    UpToDateIndexOnly,
    /// What another leader left in the log stays there.
    NoTruncate,
    /// An append cuts off whatever follows what it contains.
    TruncateAlways,
    /// Whoever leads ignores later terms.
    NoStepDown,
    /// Every election time-out is the same.
    FixedTimeout,
    /// A leader falls silent when it has nothing to say.
    NoHeartbeat,
    /// Whatever the leader calls committed is decided, verified or not.
    CommitUnverified,
    /// Reads are answered without asking whether somebody else leads.
    StaleRead,
    /// An answer that says no counts as one that says yes.
    CommitOnNack,
}

impl Config {
    /// What is wrong with it.
    pub(super) fn misfits(&self) -> Vec<Misfit> {
        let [low, high] = self.election_timeout;
        let rules = [
            (
                "election_timeout",
                low < high,
                "the shortest election time-out is below the longest, or votes split for ever",
            ),
            (
                "heartbeat",
                self.heartbeat < low && self.heartbeat > Span::ZERO,
                "a heartbeat interval is above zero and below the shortest election time-out",
            ),
            (
                "pipeline",
                self.pipeline >= 1,
                "at least one append is on its way at a time",
            ),
            (
                "uncommitted_max",
                self.uncommitted_max >= 1,
                "at least one batch is proposed at a time",
            ),
            (
                "append_max",
                self.append_max >= 1,
                "an append carries at least one entry",
            ),
        ];
        let broken = rules.into_iter().filter(|(_, holds, _)| !holds);
        broken
            .map(|(key, _, rule)| Misfit {
                key,
                rule: rule.to_owned(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_has_a_default_and_no_other_is_known() {
        let config = read("{ heartbeat: 20ms, reads: index }").unwrap();
        let expected = Config {
            heartbeat: Span::from_millis(20),
            reads: Reads::Index,
            ..Config::default()
        };
        assert_eq!(config, expected);
        assert!(read("{ heart_beat: 20ms }").is_err());
        assert_eq!(
            read("{ election_timeout: [1s, 2s] }").unwrap().misfits(),
            []
        );
    }

    #[test]
    fn each_broken_rule_is_named() {
        for (text, key) in [
            ("{ election_timeout: [150ms, 150ms] }", "election_timeout"),
            ("{ heartbeat: 150ms }", "heartbeat"),
            ("{ heartbeat: 0ms }", "heartbeat"),
            ("{ pipeline: 0 }", "pipeline"),
            ("{ append_max: 0 }", "append_max"),
        ] {
            let misfits = read(text).unwrap().misfits();
            let keys: Vec<&str> = misfits.iter().map(|misfit| misfit.key).collect();
            assert_eq!(keys, [key], "{text}");
        }
    }
}
