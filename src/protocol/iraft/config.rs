//! The keys of the improved RAFT in a scenario, and the guards that tests can break.

use serde::{Deserialize, Serialize};

use crate::base::node::NodeId;
use crate::base::time::Span;
use crate::protocol::Misfit;

/// What is demanded before an entry is decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Majorities and one round, as published: survives crashes, identifies liars, and forks
    /// under the first one.
    Paper,
    /// Quorums of ⌈(n+f+1)/2⌉ and two certificates: survives f = ⌊(n−1)/3⌋ liars on any network.
    #[default]
    Hardened,
    /// Majorities, and a wait of twice the longest delay for a contradiction of the leader.
    Sync,
}

/// Which quorums count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quorum {
    /// ⌊n/2⌋ + 1.
    Majority,
    /// ⌈(n+f+1)/2⌉ with f = ⌊(n−1)/3⌋.
    Byzantine,
}

/// Who is sent a copy of every answer to the leader.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Monitors {
    /// Nobody.
    None,
    /// The f + 1 members after the leader: one of them is honest.
    #[default]
    OneHonest,
    /// Every member.
    All,
}

impl Monitors {
    /// Who that is under a leader, in turn after it, of whom so many have an honest one.
    pub(in crate::protocol) fn after(
        self,
        leader: NodeId,
        members: &[NodeId],
        one_honest: usize,
    ) -> Vec<NodeId> {
        let others = members.len().saturating_sub(1);
        let count = match self {
            Self::None => 0,
            Self::OneHonest => one_honest.min(others),
            Self::All => others,
        };
        let first = members.iter().position(|member| *member == leader);
        let turn = members.iter().cycle();
        let turn = turn.skip(first.map_or(0, |first| first + 1));
        turn.take(count).copied().collect()
    }
}

/// The keys of the improved RAFT in a scenario.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What is demanded before an entry is decided.
    pub profile: Profile,
    /// Quorums other than the profile's.
    pub quorum: Option<Quorum>,
    /// A follower that hears no leader for a time drawn from this range stands for election.
    pub election_timeout: [Span; 2],
    /// How long a leader is silent at most.
    pub heartbeat: Span,
    /// Appends on their way to one follower without an answer, at most.
    pub pipeline: usize,
    /// Batches proposed and not yet committed, at most.
    pub uncommitted_max: u64,
    /// Entries in one append, at most.
    pub append_max: usize,
    /// Decided entries that are kept for followers that lag; 0 keeps all.
    pub compact_after: u64,
    /// Whether the leader of one round tells everybody at once what is committed.
    pub commit_notice: bool,
    /// The longest delay of a message, which profile `sync` trusts.
    pub delta: Span,
    /// Who is sent a copy of every answer to the leader; in profile `sync` everybody is.
    pub monitors: Monitors,
    /// Whether a term begins only when a quorum has signed that it hears no leader.
    pub dead_proof: bool,
    /// Whether a vote asked for while a leader lives is kept until this replica misses it too.
    pub lazy_votes: bool,
    /// Whether a leader has to show the votes that elected it.
    pub election_proof: bool,
    /// How much later each further member in the order of a term may stand; 0 has no order.
    pub rank_slot: Span,
    /// How many members may stand for one term, by their distance to it; 0 lets everybody.
    pub candidates_max: usize,
    /// How long requests wait for a living leader before a replica complains; 0 for ever.
    pub progress_timeout: Span,
    /// Suspicions after which a member is last in every order of candidates.
    pub strikes: u32,
    /// Whether members remember who has led well, and elect those first.
    pub reputation: bool,
    /// Whether entries are checked now and then (the dynamic credit) instead of one by one.
    pub audit: bool,
    /// Entries from one audit to the next, at first.
    pub audit_start: u64,
    /// The same, at most.
    pub audit_max: u64,
    /// Whether contradictions are looked for and proofs acted on.
    pub identify: bool,
    /// Whether the convicted are excluded by an entry of the log.
    pub exclude: bool,
    /// Which guard is broken.
    #[cfg(any(test, feature = "mutants"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutant: Option<Mutant>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            quorum: None,
            election_timeout: [Span::from_millis(150), Span::from_millis(300)],
            heartbeat: Span::from_millis(75),
            pipeline: 8,
            uncommitted_max: 8,
            append_max: 64,
            compact_after: 0,
            commit_notice: false,
            delta: Span::from_millis(50),
            monitors: Monitors::default(),
            dead_proof: true,
            lazy_votes: true,
            election_proof: true,
            rank_slot: Span::from_millis(10),
            candidates_max: 0,
            progress_timeout: Span::from_secs(1),
            strikes: 3,
            reputation: false,
            audit: false,
            audit_start: 8,
            audit_max: 64,
            identify: true,
            exclude: true,
            #[cfg(any(test, feature = "mutants"))]
            mutant: None,
        }
    }
}

/// A guard that can be broken, to show that stories and checks notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mutant {
    /// Whoever leads and is not heard is convicted.
    ConvictOnSilence,
    /// Proofs are thrown away.
    NeverConvict,
    /// Nobody looks at the signatures of a proof.
    ConvictWithoutSignatureCheck,
    /// Headers of different terms convict as well.
    EvidenceWrongTerm,
    /// Majorities are quorums where liars may be.
    PaperQuorumInHardened,
    /// Voters ignore how far they have come, and followers what binds their leader.
    IgnorePreparedCertificate,
    /// Nobody waits for a contradiction of the leader.
    NoEquivocationWait,
    /// Votes leave before they are on disk.
    VotePersistLate,
    /// The second round does not take place.
    SkipCommitRound,
    /// Whoever refuses a share does not show why its own term has begun.
    RefuseWithoutReason,
    /// A proof that was lost is not shown again.
    ShowProofsOnce,
}

impl Config {
    /// Whether an entry needs a certificate of a second round.
    pub(super) fn two_rounds(&self) -> bool {
        self.profile == Profile::Hardened && !self.broken(Mutant::SkipCommitRound)
    }

    /// Whether a later term needs no proof: with one of the two missing a replica may be in a term
    /// that it can prove to nobody, and has to be followed there.
    pub(super) fn believes_terms(&self) -> bool {
        !(self.dead_proof && self.election_proof)
    }

    /// How many of `n` members are a quorum.
    pub(in crate::protocol) fn quorum_of(&self, n: usize) -> usize {
        let usual = match self.profile {
            Profile::Hardened => Quorum::Byzantine,
            Profile::Paper | Profile::Sync => Quorum::Majority,
        };
        let low = self.broken(Mutant::PaperQuorumInHardened);
        match self.quorum.unwrap_or(usual) {
            Quorum::Byzantine if !low => (n + (n - 1) / 3 + 1).div_ceil(2),
            Quorum::Byzantine | Quorum::Majority => n / 2 + 1,
        }
    }

    /// Among so many of `n` members there is one that does not lie, by what the profile assumes.
    pub(super) fn one_honest_of(&self, n: usize) -> usize {
        match self.profile {
            Profile::Hardened => (n - 1) / 3 + 1,
            Profile::Paper | Profile::Sync => (n - 1) / 2 + 1,
        }
    }

    /// How many members remain at least, however many are convicted, of `n` at first.
    pub(super) fn members_min(&self, n: usize) -> usize {
        match self.profile {
            Profile::Hardened => 4.max(n - (n - 1) / 3),
            Profile::Paper | Profile::Sync => n - (n - 1) / 2,
        }
    }

    /// Whether a guard is left out in this test.
    #[cfg(any(test, feature = "mutants"))]
    pub(super) fn broken(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    #[cfg(not(any(test, feature = "mutants")))]
    #[allow(clippy::unused_self)]
    pub(super) const fn broken(&self, _mutant: Mutant) -> bool {
        false
    }

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
                self.heartbeat > Span::ZERO && self.heartbeat * 3 < low * 2,
                "a heartbeat interval is above zero and below two thirds of the shortest election \
                 time-out, after which a leader counts as dead",
            ),
            ("pipeline", self.pipeline >= 1, "must be at least 1"),
            (
                "uncommitted_max",
                (1..=WINDOW_MAX).contains(&self.uncommitted_max),
                "must be at least 1 and at most 1000",
            ),
            ("append_max", self.append_max >= 1, "must be at least 1"),
            (
                "compact_after",
                self.compact_after == 0 || self.profile != Profile::Hardened,
                "must be 0 in profile hardened: no certificate vouches for a snapshot",
            ),
            (
                "delta",
                self.delta > Span::ZERO,
                "must be longer than no time",
            ),
            ("strikes", self.strikes >= 1, "must be at least 1"),
            (
                "audit_start",
                (1..=self.audit_max).contains(&self.audit_start),
                "must be at least 1 and at most audit_max",
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

/// Uncommitted batches at most: what is known of each is kept in memory.
const WINDOW_MAX: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_has_a_default_and_no_other_is_known() {
        let config = read("{ profile: sync, delta: 20ms, monitors: one-honest }").unwrap();
        let expected = Config {
            profile: Profile::Sync,
            delta: Span::from_millis(20),
            ..Config::default()
        };
        assert_eq!(config, expected);
        assert_eq!(config.misfits(), []);
        assert!(read("{ heart_beat: 20ms }").is_err());
    }

    #[test]
    fn each_broken_rule_is_named() {
        for (text, key) in [
            ("{ election_timeout: [150ms, 150ms] }", "election_timeout"),
            ("{ heartbeat: 100ms }", "heartbeat"),
            ("{ heartbeat: 0ms }", "heartbeat"),
            ("{ pipeline: 0 }", "pipeline"),
            ("{ append_max: 0 }", "append_max"),
            ("{ uncommitted_max: 1001 }", "uncommitted_max"),
            ("{ compact_after: 9 }", "compact_after"),
            ("{ profile: sync, delta: 0ms }", "delta"),
            ("{ audit_start: 65 }", "audit_start"),
            ("{ strikes: 0 }", "strikes"),
        ] {
            let misfits = read(text).unwrap().misfits();
            let keys: Vec<&str> = misfits.iter().map(|misfit| misfit.key).collect();
            assert_eq!(keys, [key], "{text}");
        }
        assert_eq!(
            read("{ profile: paper, compact_after: 9 }")
                .unwrap()
                .misfits(),
            []
        );
    }

    #[test]
    fn no_quorum_is_smaller_than_what_a_claim_must_show() {
        for profile in [Profile::Paper, Profile::Hardened, Profile::Sync] {
            let config = Config {
                profile,
                ..Config::default()
            };
            for n in 1..60_usize {
                for members in config.members_min(n).min(n)..=n {
                    let quorum = config.quorum_of(members);
                    assert!(quorum >= super::super::evidence::least_quorum(n));
                    assert!(quorum <= members);
                }
            }
        }
    }
}
