//! The keys of MBFT in a scenario, and the guards that tests can break.

use serde::{Deserialize, Serialize};

use crate::base::time::Span;
use crate::base::units::Ratio;
use crate::protocol::pbft::{self, Pbft};
use crate::protocol::{Misfit, Protocol};

/// Whom a group sends its mini-blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubmitTo {
    /// Every member of the upper group: none of them can keep a mini-block from the others.
    #[default]
    All,
    /// Its speaker alone, as in the published drawing; proposals then carry the bodies.
    Speaker,
}

/// What nodes outside the upper group are told of a large block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Publish {
    /// All of it: every node executes every transaction.
    #[default]
    Full,
    /// What the upper group has written, and the digests of the transactions. These are with the
    /// group they belong to, and with the upper group, which executes them.
    Sparse,
}

/// Who verifies the signatures of clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verification {
    /// The group that a transaction belongs to, for everybody: this is where the throughput comes
    /// from.
    #[default]
    Group,
    /// Every node again when it executes.
    Everyone,
}

/// Who is drawn for the roles of an epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// Nobody: the roles of the first epoch are for ever.
    Fixed,
    /// Nodes in proportion to their credit.
    #[default]
    Weighted,
    /// All with the same chance.
    Uniform,
    /// Those for whom a verifiable random function of the beacon gives the least.
    Vrf,
}

/// What becomes of secrets that are committed to and not revealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recovery {
    /// They are restored from shares, so that withholding them changes nothing.
    #[default]
    Shares,
    /// They are missing from the beacon: who reveals last may choose between two.
    LateOnly,
}

/// Whether conduct counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CreditRule {
    /// It decides who may be drawn, and how likely.
    #[default]
    On,
    /// It counts for nothing.
    Off,
}

/// The keys of MBFT in a scenario.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Low-level groups; as many as the nodes are enough for, if it is not said.
    pub groups: Option<usize>,
    /// Members of each low-level group.
    pub group_size: usize,
    /// Members of the upper group.
    pub upper_size: usize,
    /// Whom a group sends its mini-blocks.
    pub submit_to: SubmitTo,
    /// What nodes outside the upper group are told of a large block.
    pub publish: Publish,
    /// Who verifies the signatures of clients.
    pub verification: Verification,
    /// In which share of mini-blocks the upper group verifies the signatures again.
    pub audit: Ratio,
    /// Who is drawn for the roles of an epoch.
    pub selection: Selection,
    /// Large blocks of an epoch.
    pub cycle: u64,
    /// Blocks at its end in which secrets are committed to, revealed and restored, a third each.
    pub election: u64,
    /// What becomes of secrets that are not revealed.
    pub recovery: Recovery,
    /// Whether conduct counts.
    pub credit: CreditRule,
    /// The least credit with which a node may be drawn.
    pub eligible: u8,
    /// The least credit with which it may be drawn for the upper group, while those are enough.
    pub worthy: u8,
    /// How many organisations the nodes belong to, in turn; 0 if each is one of its own.
    pub organisations: usize,
    /// Blocks in a row without a group, whose requests wait, after which it is suspended; 0 never
    /// suspends any.
    pub miss_max: u32,
    /// Mini-blocks that a group has under way at a time: with more than one, the next is ordered
    /// when the last is certified, and not only when it is in the chain.
    pub window: usize,
    /// How long a group's primary waits for the answers of all its members before it is content
    /// with a quorum and asks twice.
    pub fast_timeout: Span,
    /// How long a member of a group waits for its slot to be settled before it asks for the next
    /// primary; doubles with each change of view in a row, up to 32 times.
    pub group_timeout: Span,
    /// How long a certified mini-block waits for its large block before it is submitted again.
    pub inclusion_timeout: Span,
    /// How long the upper primary waits for the mini-blocks of all groups after the first.
    pub gather: Span,
    /// How long the node that a client asked waits for the group's primary before it tells every
    /// member of the group.
    pub forward_timeout: Span,
    /// How long a node waits for a block that others have before it asks for it.
    pub publish_timeout: Span,
    /// After how much silence a node asks whether there is anything new.
    pub quiet: Span,
    /// How long the upper primary waits for anything to propose in an election, before it proposes
    /// an empty block.
    pub empty: Span,
    /// How far the time in a large block may be from a member's own clock.
    pub skew: Span,
    /// The upper group's PBFT. It has one large block in progress at a time.
    pub upper: pbft::Config,
    /// A guard to be left out, for tests of the checks.
    #[cfg(any(test, feature = "mutants"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutant: Option<Mutant>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            groups: None,
            group_size: 4,
            upper_size: 4,
            submit_to: SubmitTo::All,
            publish: Publish::Full,
            verification: Verification::Group,
            audit: Ratio::ZERO,
            selection: Selection::Weighted,
            cycle: 5_000,
            election: 300,
            recovery: Recovery::Shares,
            credit: CreditRule::On,
            eligible: 40,
            worthy: 70,
            organisations: 0,
            miss_max: 3,
            window: 1,
            fast_timeout: Span::from_millis(60),
            group_timeout: Span::from_millis(500),
            inclusion_timeout: Span::from_secs(1),
            gather: Span::from_millis(100),
            forward_timeout: Span::from_millis(300),
            publish_timeout: Span::from_millis(300),
            quiet: Span::from_secs(2),
            empty: Span::from_millis(400),
            skew: Span::from_secs(2),
            upper: pbft::Config {
                pipeline: 1,
                ..pbft::Config::default()
            },
            #[cfg(any(test, feature = "mutants"))]
            mutant: None,
        }
    }
}

/// Guards that tests leave out, one at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mutant {
    /// The upper group takes a mini-block without looking at its certificate, and primaries do not
    /// wait for one that is whole.
    NoMiniCertificate,
    /// A certificate of the fast path is whole with one signature fewer than the group has members.
    FastWithoutOne,
    /// Nodes outside the upper group take a large block without looking at its certificate.
    NoUpperCertificate,
    /// Revealed secrets are not held against what was committed to.
    NoRevealCheck,
    /// A primary that returns from a crash does not remember what it has ordered.
    ForgetUnderWay,
}

impl Config {
    /// How many low-level groups n nodes make.
    pub fn groups_of(&self, n: usize) -> usize {
        let fit = n.saturating_sub(self.upper_size) / self.group_size.max(1);
        self.groups.unwrap_or(fit)
    }

    /// Who takes up another role must have what it needs there.
    fn publish_rule(&self) -> (&'static str, bool, String) {
        let holds = self.publish == Publish::Full || self.selection == Selection::Fixed;
        let rule = "must be `full` unless `selection` is `fixed`: who takes up another role would \
                    lack the transactions that it needs there";
        ("publish", holds, rule.to_owned())
    }

    fn cycle_rule(&self) -> (&'static str, bool, String) {
        let rule = format!("must be longer than the election ({})", self.election);
        ("cycle", self.cycle > self.election, rule)
    }

    fn window_rule(&self) -> (&'static str, bool, String) {
        let rule = "must be from 1 to 4: the upper group keeps few mini-blocks of each";
        ("window", (1..=4).contains(&self.window), rule.to_owned())
    }

    /// What is wrong with it for n nodes.
    pub(super) fn misfits(&self, n: usize) -> Vec<Misfit> {
        let groups = self.groups_of(n);
        let needed = groups * self.group_size + self.upper_size;
        let positive = |key, span: Span| {
            let rule = "must be longer than no time".to_owned();
            (key, span > Span::ZERO, rule)
        };
        let sizes = "must be at least 1".to_owned();
        let rules = [
            ("group_size", self.group_size >= 1, sizes.clone()),
            ("upper_size", self.upper_size >= 1, sizes),
            (
                "groups",
                groups >= 1 && groups <= usize::from(u16::MAX) && needed <= n,
                format!(
                    "{n} nodes do not make {} groups of {} and an upper group of {}",
                    groups.max(1),
                    self.group_size,
                    self.upper_size
                ),
            ),
            self.window_rule(),
            positive("fast_timeout", self.fast_timeout),
            positive("group_timeout", self.group_timeout),
            positive("inclusion_timeout", self.inclusion_timeout),
            positive("gather", self.gather),
            positive("forward_timeout", self.forward_timeout),
            positive("publish_timeout", self.publish_timeout),
            positive("quiet", self.quiet),
            positive("skew", self.skew),
            positive("empty", self.empty),
            (
                "election",
                self.election >= 6 && self.election.is_multiple_of(3),
                "must be a multiple of 3, and at least 6".to_owned(),
            ),
            self.cycle_rule(),
            (
                "eligible",
                self.eligible <= 60,
                "must be at most 60, which is what newcomers have".to_owned(),
            ),
            self.publish_rule(),
            (
                "upper",
                self.upper.pipeline == 1,
                "must have a pipeline of 1: a large block follows from the one before".to_owned(),
            ),
        ];
        let broken = rules.into_iter().filter(|(_, holds, _)| !holds);
        let upper = Pbft::check(&self.upper, self.upper_size).into_iter();
        broken
            .map(|(key, _, rule)| Misfit { key, rule })
            .chain(upper.map(|misfit| Misfit {
                key: "upper",
                rule: format!("{} {}", misfit.key, misfit.rule),
            }))
            .collect()
    }
}
