//! What follows from the chain alone: roles, slots, and where everything stands. A pure function of
//! the committed blocks, the same on every node at the same height.

use super::config::Config;
use super::large::{Large, MiniRef};
use super::mini::Mini;
use super::roles::Roles;
use crate::base::crypto::Digest;
use crate::base::node::Committee;
use crate::chain::{Block, Height};

/// Where one group stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// The slot of its last mini-block in the chain; 0 before the first of the epoch.
    pub slot: u64,
    /// The digest of that mini-block.
    pub last: Digest,
    /// The view of the group in which it was certified.
    pub view: u64,
}

/// What follows from the chain up to a height.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Register {
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
    /// The upper groups so far, each with the height after which it began.
    uppers: Vec<(Height, Committee)>,
}

impl Register {
    /// Before the first block, of n nodes.
    pub fn genesis(config: &Config, n: usize) -> Self {
        let groups = config.groups_of(n);
        let roles = Roles::genesis(n, config.upper_size, groups, config.group_size);
        Self {
            height: 0,
            head: Digest::ZERO,
            micros: 0,
            groups: vec![Standing::default(); groups],
            active: (0..groups as u16).collect(),
            uppers: vec![(0, roles.upper.clone())],
            roles,
        }
    }

    /// The height after which the present epoch began.
    pub fn epoch_base(&self) -> Height {
        self.uppers.last().map_or(0, |(base, _)| *base)
    }

    /// The upper group that agreed on the block at a height, and the height after which it began.
    pub fn upper_at(&self, height: Height) -> (Height, &Committee) {
        let begun = self.uppers.iter().rev().find(|(base, _)| *base < height);
        let (base, upper) = begun.unwrap_or(&self.uppers[0]);
        (*base, upper)
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

    /// Takes the next block into account. One without an annex changes nothing: it fills a place
    /// for which a change of view had nothing to propose.
    pub fn apply(&mut self, block: &Block) {
        assert_eq!(block.height, self.height + 1, "blocks come in order");
        self.height = block.height;
        self.head = block.digest;
        let Some(large) = block.batch.annex::<Large>() else {
            return;
        };
        self.micros = large.micros;
        for mini in &large.minis {
            self.include(mini);
        }
    }

    fn include(&mut self, mini: &MiniRef) {
        self.groups[usize::from(mini.group)] = Standing {
            slot: mini.slot,
            last: mini.mini,
            view: mini.view,
        };
    }
}
