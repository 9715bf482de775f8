//! The keys of K-RBFT in a scenario, and what follows from them.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::grouping::{self, Delays, Grouping};
use crate::base::crypto::Seats;
use crate::base::node::Committee;
use crate::base::time::Span;
use crate::chain::Height;
use crate::protocol::{Misfit, Protocol, iraft, pbft};

/// What is demanded of leaders.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Everybody believes its leader, as published.
    Paper,
    /// Members believe certificates of the committee, and the committee those of the groups.
    #[default]
    Hardened,
}

/// The keys of K-RBFT in a scenario.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What is demanded of leaders.
    pub profile: Profile,
    /// k, the number of groups and of members of the committee.
    pub groups: usize,
    /// How replicas are dealt to groups.
    pub grouping: Grouping,
    /// Whether a block comes to the members with the committee's commit certificate, and counts
    /// for nothing without; by default as the profile demands.
    pub carry_commit_cert: Option<bool>,
    /// Whether a leader's word in the committee counts only with the signatures of enough members
    /// of its group, who keep it; by default as the profile demands.
    pub group_certified_votes: Option<bool>,
    /// Whether hidden members of several groups compare what the leaders say.
    pub supervision: bool,
    /// Whom members tell what their leader has them vote for, so that two votes come to light.
    pub witnesses: iraft::Monitors,
    /// How often a leader repeats that it leads, and how far it has come.
    pub council_refresh: Span,
    /// How long a member waits for blocks it has asked for.
    pub fetch_timeout: Span,
    /// How long a leader waits for its members' voices before it asks again.
    pub voice_retry: Span,
    /// The protocol inside each group.
    pub group: iraft::Config,
    /// The protocol of the committee.
    pub committee: pbft::Config,
    /// After how many blocks replicas are dealt to groups anew, again and again; 0 is never.
    pub regroup_every_blocks: u64,
    /// How far apart the nodes are, as measured before they start; only `kmedoids` asks.
    #[serde(skip)]
    pub delays: Delays,
    /// Which guard is broken.
    #[cfg(any(test, feature = "mutants"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutant: Option<Mutant>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            groups: 4,
            grouping: Grouping::default(),
            carry_commit_cert: None,
            group_certified_votes: None,
            supervision: false,
            witnesses: iraft::Monitors::None,
            council_refresh: Span::from_secs(1),
            fetch_timeout: Span::from_millis(500),
            voice_retry: Span::from_millis(250),
            group: iraft::Config {
                // A stalled committee changes its view before a group blames its leader.
                progress_timeout: Span::from_secs(4),
                // The proofs of a change of view keep a leader busy for longer than a heartbeat.
                election_timeout: [Span::from_millis(300), Span::from_millis(600)],
                heartbeat: Span::from_millis(100),
                ..iraft::Config::default()
            },
            // A seat's signature is one for each of its members: what a change of view has to
            // show is kept short.
            committee: pbft::Config {
                checkpoint_interval: 20,
                window: 100,
                ..pbft::Config::default()
            },
            regroup_every_blocks: 0,
            delays: Delays::default(),
            #[cfg(any(test, feature = "mutants"))]
            mutant: None,
        }
    }
}

/// A guard that can be broken, to show that stories and checks notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mutant {
    /// Members apply blocks whatever their certificate says.
    FollowersTrustLeader,
    /// Whoever says that it leads a group does.
    AnyoneLeads,
    /// One member speaks for its group.
    LoneVoice,
    /// Members lend their voices to prepares of what they have not seen.
    BlindVoices,
    /// Whoever a supervisor finds alone is convicted on the others' word.
    OutvotedIsGuilty,
    /// Two votes of one seat convict whoever cast the first one, though another may have cast the
    /// second.
    SeatsAreGuilty,
    /// A committee goes on behind the last block of its epoch.
    NoLastPlace,
    /// Any member of a group speaks for its seat, and not its leader alone.
    CommitteeCountsNodes,
    /// One member less than a majority of a group has to have a block.
    GroupAckMinority,
    /// Members follow and elect whom they have seen lie.
    ConvictedLead,
    /// A group that a convicted leader leads is not shown the proof again.
    NeverRemind,
}

/// Bits that count terms and views within an epoch; those above are its number.
const EPOCH_BITS: u32 = 24;
/// Members that a group has at least.
const GROUP_MIN: usize = 3;
/// Groups at least: fewer leaders survive no liar.
const GROUPS_MIN: usize = 4;
/// Nodes at most: higher numbers name seats.
const NODES_MAX: usize = 0xF000;

impl Config {
    /// Whether members believe certificates only.
    pub(super) fn carries(&self) -> bool {
        self.carry_commit_cert
            .unwrap_or(self.profile == Profile::Hardened)
    }

    /// Whether the committee believes groups only.
    pub(super) fn certifies(&self) -> bool {
        self.group_certified_votes
            .unwrap_or(self.profile == Profile::Hardened)
    }

    /// The protocol inside a group, with the profile that suits.
    pub(super) fn inner(&self) -> iraft::Config {
        let profile = match self.profile {
            Profile::Paper => iraft::Profile::Paper,
            Profile::Hardened => iraft::Profile::Hardened,
        };
        iraft::Config {
            profile,
            ..self.group.clone()
        }
    }

    /// Members of a group of m that speak for its seat: so many that two such sets share an honest
    /// one.
    pub(super) fn voices(&self, members: usize) -> usize {
        if self.certifies() && !self.broken(Mutant::LoneVoice) {
            Committee::first(members).quorum()
        } else {
            1
        }
    }

    /// The groups of an epoch and the seats they have.
    pub(super) fn seats(&self, committee: &Committee, epoch: u64) -> Seats {
        let delay = |a, b| self.delays.between(a, b);
        let groups = grouping::groups(self.grouping, committee, self.groups, epoch, delay);
        let voices = groups.iter().map(|group| self.voices(group.n())).collect();
        Seats::new(groups, voices)
    }

    /// Whether replicas are ever dealt to groups anew.
    pub(super) fn regroups(&self) -> bool {
        self.regroup_every_blocks > 0
    }

    /// The epoch in which what follows a height is decided.
    pub(super) fn epoch_after(&self, height: Height) -> u64 {
        height.checked_div(self.regroup_every_blocks).unwrap_or(0)
    }

    /// The epoch that decides a height.
    pub(super) fn epoch_of(&self, height: Height) -> u64 {
        self.epoch_after(height.saturating_sub(1))
    }

    /// The height after which an epoch begins.
    pub(super) fn base(&self, epoch: u64) -> Height {
        epoch.saturating_mul(self.regroup_every_blocks)
    }

    /// How many blocks an epoch has.
    pub(super) fn places(&self) -> Height {
        match self.regroup_every_blocks {
            0 => Height::MAX,
            _ if self.broken(Mutant::NoLastPlace) => Height::MAX,
            blocks => blocks,
        }
    }

    /// The terms of the groups of an epoch.
    pub(super) fn terms(&self, epoch: u64) -> Range<u64> {
        if self.regroups() {
            epoch << EPOCH_BITS..(epoch + 1) << EPOCH_BITS
        } else {
            0..1 << 60
        }
    }

    /// The views of the committee of an epoch.
    pub(super) fn views(&self, epoch: u64) -> pbft::Views {
        if !self.regroups() {
            return pbft::Views::ALL;
        }
        let Range { start, end } = self.terms(epoch);
        pbft::Views { first: start, end }
    }

    /// Liars that every placement leaves harmless, among n replicas.
    pub fn tolerated(&self, n: usize) -> usize {
        let leaders = (self.groups.max(1) - 1) / 3;
        let members = ((n / self.groups.max(1)).max(1) - 1) / 3;
        match (self.carries(), self.certifies()) {
            (false, _) => 0,
            (true, false) => leaders,
            (true, true) => (members + 1) * (leaders + 1) - 1,
        }
    }

    /// Whether the committee decides without so many nodes, in whichever groups they are.
    pub(super) fn bears(&self, n: usize, missing: usize) -> bool {
        let k = self.groups.max(1);
        let inner = self.inner();
        let spare = |members: usize| members - inner.quorum_of(members).min(members);
        let (small, large) = (n / k, n.div_ceil(k));
        let silent = missing / (spare(small).min(spare(large)) + 1);
        silent + Committee::first(k).quorum() <= k
    }

    /// What groups that are dealt anew demand: key, whether it holds, and the rule.
    fn regrouping_rules(&self) -> [(&'static str, bool, String); 3] {
        let hashed = matches!(self.grouping, Grouping::ConsistentHash | Grouping::Kademlia);
        [
            (
                "regroup_every_blocks",
                !self.regroups() || hashed,
                "needs a grouping by hashes: consistent_hash or kademlia".to_owned(),
            ),
            (
                "regroup_every_blocks",
                !self.regroups() || self.carries(),
                "needs carry_commit_cert: who is behind has no leader to believe".to_owned(),
            ),
            (
                "regroup_every_blocks",
                self.regroup_every_blocks < self.committee.checkpoint_interval.max(1),
                "must be less than the committee's checkpoint_interval: there is none in an epoch"
                    .to_owned(),
            ),
        ]
    }

    /// What is wrong with it, for n replicas.
    pub(super) fn misfits(&self, n: usize) -> Vec<Misfit> {
        let k = self.groups;
        let rules = [
            (
                "groups",
                k >= GROUPS_MIN,
                format!("must be at least {GROUPS_MIN}: fewer leaders survive no liar"),
            ),
            (
                "groups",
                n / k.max(1) >= GROUP_MIN,
                format!("must leave every group {GROUP_MIN} of the {n} nodes"),
            ),
            (
                "groups",
                n <= NODES_MAX,
                format!("has {NODES_MAX} nodes at most"),
            ),
            (
                "council_refresh",
                self.council_refresh > Span::ZERO,
                "must be longer than no time".to_owned(),
            ),
            (
                "fetch_timeout",
                self.fetch_timeout > Span::ZERO,
                "must be longer than no time".to_owned(),
            ),
            (
                "voice_retry",
                self.voice_retry > Span::ZERO,
                "must be longer than no time".to_owned(),
            ),
            (
                "witnesses",
                self.certifies() || self.witnesses == iraft::Monitors::None,
                "need group_certified_votes: members are not asked otherwise".to_owned(),
            ),
            (
                "group_certified_votes",
                self.carries() || !self.certifies(),
                "is worth nothing to members without carry_commit_cert".to_owned(),
            ),
        ];
        let rules = rules.into_iter().chain(self.regrouping_rules());
        let broken = rules.filter(|(_, holds, _)| !holds);
        let own = broken.map(|(key, _, rule)| Misfit { key, rule });
        let within = |key, misfits: Vec<Misfit>| {
            misfits.into_iter().map(move |misfit| Misfit {
                key,
                rule: format!("{}: {}", misfit.key, misfit.rule),
            })
        };
        own.chain(within("group", iraft::Iraft::check(&self.inner(), n)))
            .chain(within("committee", pbft::Pbft::check(&self.committee, k)))
            .collect()
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
}
