//! What follows from the chain alone: roles, slots, credit, elections, and which groups take part.
//! A pure function of the committed blocks, the same on every node at the same height.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::config::{Config, CreditRule, Selection};
use super::credit::{Credit, Fault};
use super::draw::{Sizes, Urn};
use super::election::{Election, Part, part};
use super::head::large_of;
use super::large::{Large, MiniRef};
use super::mini::{Mini, Vote, is_certified};
use super::roles::{Role, Roles};
use super::system::System;
use crate::base::crypto::{Certificate, Digest, Hasher, Keyring, Signed};
use crate::base::node::{Committee, NodeId};
use crate::chain::{Block, Height, Transaction};
use crate::protocol::layers::Fact;
use crate::protocol::pbft::{self, Views};

/// Where one group stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// The slot of its last mini-block in the chain; 0 before the first of the epoch.
    pub slot: u64,
    /// The digest of that mini-block.
    pub last: Digest,
    /// The view of the group in which it was certified.
    pub view: u64,
    /// Blocks in a row with mini-blocks of others and none of this group.
    pub missed: u32,
    /// Who says that its requests wait.
    backlog: BTreeSet<NodeId>,
    /// Its members that are there, while it is suspended.
    ready: BTreeSet<NodeId>,
}

/// What follows from the chain up to a height.
#[derive(Clone, PartialEq, Debug)]
pub struct Register {
    config: Arc<Config>,
    /// The height.
    pub height: Height,
    /// The digest of the block there.
    pub head: Digest,
    /// The time in the block there.
    pub micros: u64,
    /// Who does what in the next block.
    pub roles: Roles,
    /// Where each group stands.
    pub groups: Vec<Standing>,
    /// The groups that take part, ascending.
    pub active: Vec<u16>,
    /// Everybody's conduct.
    pub credit: Credit,
    /// The election of the epoch.
    pub election: Election,
    /// The beacon of the last draw.
    pub beacon: Digest,
    /// What those who have committed weigh in the next draw; fixed before any secret is revealed.
    weights: Vec<(NodeId, u64)>,
    /// The view of the upper group in which the last certified block was agreed on.
    upper_view: u64,
    /// The upper groups so far, by epoch.
    uppers: Vec<Reign>,
}

/// The upper group of an epoch.
#[derive(Clone, PartialEq, Debug)]
pub struct Reign {
    epoch: u32,
    /// The height after which it began.
    base: Height,
    members: Committee,
}

impl Reign {
    /// The height that a certificate settles, and with which batch, if it is one of this group's.
    pub fn settles(
        &self,
        proof: &Certificate<pbft::Vote>,
        keyring: &Keyring,
    ) -> Option<(Height, Digest)> {
        let own = views_of(self.epoch).contains(proof.body().view);
        let (place, digest) =
            pbft::verify_decision(proof, &self.members, keyring).filter(|_| own)?;
        Some((self.base.checked_add(place)?, digest))
    }
}

/// Bits of a view of the upper group that count those of an epoch; the others are its number. So
/// what is said in one epoch counts in no other, whoever is in the upper group again.
const VIEW_BITS: u32 = 32;

/// The views of the upper group of an epoch.
pub fn views_of(epoch: u32) -> Views {
    let first = |epoch: u64| epoch << VIEW_BITS;
    Views {
        first: first(u64::from(epoch)),
        end: first(u64::from(epoch) + 1),
    }
}

/// The epoch that a view belongs to.
pub fn epoch_of(view: u64) -> u32 {
    u32::try_from(view >> VIEW_BITS).unwrap_or(u32::MAX)
}

/// What happened in a block that observers should know.
pub type Events = Vec<&'static str>;

impl Register {
    /// Before the first block, of n nodes.
    pub fn genesis(config: &Config, n: usize) -> Self {
        let groups = config.groups_of(n);
        let roles = Roles::genesis(n, config.upper_size, groups, config.group_size);
        Self {
            config: Arc::new(config.clone()),
            height: 0,
            head: Digest::ZERO,
            micros: 0,
            groups: vec![Standing::default(); groups],
            active: (0..groups as u16).collect(),
            credit: Credit::new(n, config.credit == CreditRule::On),
            election: Election::default(),
            beacon: Hasher::new("mbft genesis").number(n as u64).finish(),
            weights: Vec::new(),
            upper_view: 0,
            uppers: vec![Reign {
                epoch: 0,
                base: 0,
                members: roles.upper.clone(),
            }],
            roles,
        }
    }

    /// The height after which the present epoch began.
    pub fn epoch_base(&self) -> Height {
        self.uppers.last().map_or(0, |reign| reign.base)
    }

    /// The part of the epoch in which the next block is.
    pub fn part(&self) -> Part {
        part(&self.config, self.height + 1 - self.epoch_base())
    }

    /// The last height of the epoch; nothing if roles are fixed.
    pub fn epoch_end(&self) -> Option<Height> {
        let ends = self.config.selection != Selection::Fixed;
        ends.then(|| self.epoch_base() + self.config.cycle)
    }

    /// The upper group that agreed on the block at a height.
    pub fn upper_at(&self, height: Height) -> &Reign {
        let mut begun = self.uppers.iter().rev();
        let begun = begun.find(|reign| reign.base < height);
        begun.unwrap_or(&self.uppers[0])
    }

    /// The last height of the epoch that the block after a height belongs to, if that epoch is over
    /// and this node was in its upper group.
    pub fn end_of(&self, height: Height, member: NodeId) -> Option<Height> {
        let mut begun = self.uppers.windows(2);
        let over = begun.find(|pair| (pair[0].base..pair[1].base).contains(&height))?;
        over[0].members.contains(member).then(|| over[1].base)
    }

    /// What observers are told of the roles of the present epoch.
    pub fn drawn(&self) -> Fact {
        let nodes = || (0..self.roles.n()).map(NodeId::at);
        Fact::Drawn {
            epoch: self.roles.epoch,
            serving: nodes()
                .filter(|node| self.roles.of(*node) != Role::Backup)
                .collect(),
            credit: nodes().map(|node| self.credit.of(node)).collect(),
        }
    }

    /// Whether a group takes part.
    pub fn is_active(&self, group: u16) -> bool {
        self.active.binary_search(&group).is_ok()
    }

    /// Whether a mini-block is the next one of its group.
    pub fn is_next(&self, mini: &Mini) -> bool {
        self.groups
            .get(usize::from(mini.group))
            .is_some_and(|group| {
                mini.epoch == self.roles.epoch
                    && mini.slot == group.slot + 1
                    && mini.previous == group.last
            })
    }

    /// Whether a node may be drawn for the next epoch.
    pub fn is_eligible(&self, node: NodeId) -> bool {
        let next = self.roles.epoch + 1;
        self.credit.of(node) >= self.config.eligible && !self.credit.is_jailed(node, next)
    }

    /// Whether a statement may stand in the next block. `vouches` tells whether the signatures of a
    /// transaction hold.
    pub fn admits(
        &self,
        signed: &Signed<System>,
        keyring: &Keyring,
        vouches: &dyn Fn(&Transaction) -> bool,
        unchecked: bool,
    ) -> bool {
        let (by, system) = (signed.by(), signed.body());
        let known = by.index() < self.roles.n() && system.epoch() == self.roles.epoch;
        if !known || !signed.verify(keyring) {
            return false;
        }
        let rules = (&*self.config, self.roles.n());
        match system {
            System::Commit { .. } | System::Reveal { .. } | System::Share { .. } => {
                let fit = !matches!(system, System::Commit { .. }) || self.is_eligible(by);
                fit && self
                    .election
                    .admits((by, system), self.part(), rules, unchecked)
            }
            System::Forged(forged) => {
                let (mini, proof) = &**forged;
                let transactions = (0..).zip(mini.batch.transactions());
                let mut answered = transactions.filter(|(at, _)| !mini.doubtful.contains(at));
                self.is_next(mini)
                    && is_certified(mini, proof, &self.roles, keyring)
                    && answered.any(|(_, transaction)| !vouches(transaction))
            }
            System::Conflict(votes) => {
                let (one, other) = (votes.0.body(), votes.1.body());
                let place = |vote: &Vote| (vote.phase, vote.group, vote.slot, vote.view);
                let culprit = votes.0.by();
                let member = self.roles.group(one.group);
                let member = member.is_some_and(|group| group.contains(culprit));
                let next = self.roles.epoch + 1;
                member
                    && culprit == votes.1.by()
                    && (one.epoch, other.epoch) == (self.roles.epoch, self.roles.epoch)
                    && place(one) == place(other)
                    && one.mini != other.mini
                    && votes.0.verify(keyring)
                    && votes.1.verify(keyring)
                    && !self.credit.is_jailed(culprit, next)
            }
            System::DoubleVote(votes) => self.is_double_vote(votes, keyring),
            System::Backlog { group, .. } => {
                let outside = self.roles.group(*group).is_some_and(|g| !g.contains(by));
                outside && self.is_active(*group) && !self.has_reported(*group, by)
            }
            System::Ready { group, .. } => {
                let inside = self.roles.group(*group).is_some_and(|g| g.contains(by));
                let group = self.groups.get(usize::from(*group));
                let trusted = !self.credit.is_jailed(by, self.roles.epoch + 1);
                inside && trusted && group.is_some_and(|standing| !standing.ready.contains(&by))
            }
        }
    }

    /// Whether a statement about secrets is what its signer may say in the next block.
    pub fn permits(&self, by: NodeId, system: &System) -> bool {
        let rules = (&*self.config, self.roles.n());
        match system {
            System::Commit { .. } | System::Reveal { .. } | System::Share { .. } => {
                let part = self.part();
                self.election.admits((by, system), part, rules, false)
            }
            System::Forged(_)
            | System::Conflict(_)
            | System::DoubleVote(_)
            | System::Backlog { .. }
            | System::Ready { .. } => true,
        }
    }

    /// Whether a member of the present upper group has cast two votes where it has one, and is to
    /// be jailed for it.
    fn is_double_vote(
        &self,
        (one, other): &(Signed<pbft::Vote>, Signed<pbft::Vote>),
        keyring: &Keyring,
    ) -> bool {
        let culprit = one.by();
        self.roles.upper.contains(culprit)
            && culprit == other.by()
            && views_of(self.roles.epoch).contains(one.body().view)
            && one.body().contradicts(other.body())
            && one.verify(keyring)
            && other.verify(keyring)
            && !self.credit.is_jailed(culprit, self.roles.epoch + 1)
    }

    /// Whether a node has said that a group's requests wait.
    pub fn has_reported(&self, group: u16, by: NodeId) -> bool {
        let standing = self.groups.get(usize::from(group));
        standing.is_some_and(|standing| standing.backlog.contains(&by))
    }

    /// Takes the next block into account, and tells what it led to. One without an annex changes
    /// nothing: it fills a place for which a change of view had nothing to propose.
    pub fn apply(&mut self, block: &Block) -> Events {
        assert_eq!(block.height, self.height + 1, "blocks come in order");
        let before = self.part();
        let mut events = Events::new();
        self.height = block.height;
        self.head = block.digest;
        if let Some(large) = large_of(&block.batch) {
            self.take(large, before, &mut events);
        }
        if self.epoch_end() == Some(self.height) {
            self.turn(&mut events);
        } else if before == Part::Commitment && self.part() != before {
            self.weigh();
        }
        events
    }

    fn take(&mut self, large: &Large, part: Part, events: &mut Events) {
        self.micros = large.micros;
        if let Some(proof) = &large.last {
            let upper = self.roles.upper.clone();
            let view = proof.body().view;
            self.credit.certified(&upper, proof.positions());
            self.credit.replaced(&upper, self.upper_view, view);
            self.upper_view = self.upper_view.max(view);
        }
        for mini in &large.minis {
            self.include(mini);
        }
        for signed in &large.system {
            self.hear(signed, part, events);
        }
        if !large.minis.is_empty() {
            self.miss(large, events);
        }
        self.credit.end_block(self.height);
    }

    fn include(&mut self, mini: &MiniRef) {
        let group = self.roles.groups[usize::from(mini.group)].clone();
        let standing = &mut self.groups[usize::from(mini.group)];
        let before = standing.view;
        (standing.slot, standing.last, standing.view) = (mini.slot, mini.mini, mini.view);
        standing.missed = 0;
        standing.backlog.clear();
        self.credit.replaced(&group, before, mini.view);
        self.credit.certified(&group, &mini.signers);
    }

    /// Takes a statement into account.
    fn hear(&mut self, signed: &Signed<System>, part: Part, events: &mut Events) {
        let by = signed.by();
        match signed.body() {
            System::Commit { .. } | System::Reveal { .. } | System::Share { .. } => {
                self.election.take(by, signed.body(), part);
            }
            System::Forged(forged) => {
                let (mini, proof) = &**forged;
                let group = self.roles.groups[usize::from(mini.group)].clone();
                for position in proof.positions().iter() {
                    self.credit
                        .jail(group.members()[position], self.roles.epoch);
                }
                // The slot is used up: the group goes on after it.
                let standing = &mut self.groups[usize::from(mini.group)];
                (standing.slot, standing.last) = (mini.slot, mini.digest);
                events.push("forged-mini-block-refused");
            }
            System::Conflict(votes) => {
                self.credit.jail(votes.0.by(), self.roles.epoch);
                events.push("equivocator-jailed");
            }
            System::DoubleVote(votes) => {
                self.credit.jail(votes.0.by(), self.roles.epoch);
                events.push("equivocator-of-the-upper-group-jailed");
            }
            System::Backlog { group, .. } => {
                self.groups[usize::from(*group)].backlog.insert(by);
            }
            System::Ready { group, .. } => {
                let quorum = self.roles.groups[usize::from(*group)].quorum();
                let standing = &mut self.groups[usize::from(*group)];
                standing.ready.insert(by);
                if standing.ready.len() >= quorum && !self.is_active(*group) {
                    let standing = &mut self.groups[usize::from(*group)];
                    standing.ready.clear();
                    standing.missed = 0;
                    self.active.push(*group);
                    self.active.sort_unstable();
                    events.push("group-rejoins");
                }
            }
        }
    }

    /// Suspends groups that are missing while others say that their requests wait.
    fn miss(&mut self, large: &Large, events: &mut Events) {
        let enough = self.roles.upper.one_honest();
        for group in self.active.clone() {
            if large.minis.iter().any(|mini| mini.group == group) {
                continue;
            }
            let standing = &mut self.groups[usize::from(group)];
            standing.missed += 1;
            let gone = self.config.miss_max > 0
                && standing.missed >= self.config.miss_max
                && standing.backlog.len() >= enough;
            if gone && self.active.len() > 1 {
                standing.backlog.clear();
                standing.ready.clear();
                self.active.retain(|active| *active != group);
                let members = self.roles.groups[usize::from(group)].clone();
                for member in members.members() {
                    self.credit.lose(*member, Fault::Absent);
                }
                events.push("group-suspended");
            }
        }
    }

    /// Fixes what those who have committed weigh: before the first secret is revealed, so that
    /// nobody who knows secrets can still change it.
    fn weigh(&mut self) {
        let nodes = (0..self.roles.n()).map(NodeId::at);
        let committed = nodes.filter(|node| self.election.has_committed(*node));
        let weight = |node| u64::from(self.credit.of(node).max(1));
        self.weights = committed.map(|node| (node, weight(node))).collect();
    }

    /// The epoch ends: the next roles are drawn, or the present ones serve again.
    fn turn(&mut self, events: &mut Events) {
        let n = self.roles.n();
        let epoch = self.roles.epoch + 1;
        let ended = self.election.end(self.roles.epoch, &self.beacon);
        let worth = u64::from(self.config.worthy);
        let worthy = self.weights.iter().filter(|(_, weight)| *weight >= worth);
        let worthy: Vec<NodeId> = worthy.map(|(node, _)| *node).collect();
        let drawn = ended.beacon.and_then(|beacon| {
            let urn = Urn {
                beacon,
                selection: self.config.selection,
                eligible: &self.weights,
                worthy: &worthy,
                organisations: self.config.organisations,
            };
            let sizes = Sizes {
                upper: self.config.upper_size,
                group: self.config.group_size,
                groups: self.config.groups_of(n),
            };
            urn.draw(epoch, n, sizes).map(|roles| (beacon, roles))
        });
        for node in ended.late {
            self.credit.lose(node, Fault::Late);
        }
        for node in ended.withheld {
            self.credit.lose(node, Fault::Withheld);
        }
        match drawn {
            Some((beacon, roles)) => {
                self.beacon = beacon;
                self.roles = roles;
                events.push("roles-drawn");
            }
            None => {
                self.roles.epoch = epoch;
                events.push("election-failed");
            }
        }
        self.credit.begin_epoch(epoch);
        self.weights.clear();
        self.upper_view = views_of(epoch).first;
        self.groups = vec![Standing::default(); self.roles.groups.len()];
        self.active = (0..self.groups.len() as u16).collect();
        self.uppers.push(Reign {
            epoch,
            base: self.height,
            members: self.roles.upper.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::crypto::{Crypto, Signer};
    use crate::protocol::pbft::Phase;

    #[test]
    fn what_an_upper_group_has_decided_settles_nothing_in_a_later_epoch() {
        let (signers, keyring) = Signer::mint(4, Crypto::Ed25519, 1);
        let members = Committee::first(4);
        let reign = |epoch, base| Reign {
            epoch,
            base,
            members: members.clone(),
        };
        let digest = Digest([7; 32]);
        let decided = |view| {
            let vote = pbft::Vote {
                phase: Phase::Commit,
                view,
                height: 3,
                digest,
            };
            let mut proof = Certificate::open(vote);
            for signer in &signers[..3] {
                assert!(proof.add(&signer.sign(vote), &members));
            }
            proof
        };
        let (first, second) = (reign(0, 0), reign(1, 20));
        let (old, new) = (decided(2), decided(views_of(1).first));
        assert_eq!(first.settles(&old, &keyring), Some((3, digest)));
        assert_eq!(second.settles(&old, &keyring), None, "the same four, later");
        assert_eq!(second.settles(&new, &keyring), Some((23, digest)));
        assert_eq!(first.settles(&new, &keyring), None);
    }
}
