//! What the chain knows of everybody's conduct: a number from 0 to 100 for each node, changed by
//! nothing but facts in committed blocks.

use crate::base::crypto::{Digest, Hasher};
use crate::base::node::{Committee, NodeId, PositionSet};

/// Credit of a node that joins.
const JOINED: u8 = 60;
/// The highest credit there is.
const MOST: u8 = 100;
/// Credit of a node that is released.
const RELEASED: u8 = 30;
/// Signatures in certificates that earn one.
const SIGNATURES_FOR_ONE: u32 = 50;
/// What can be earned in one epoch.
const EARNED_MAX: u8 = 10;
/// What every node below the credit of a newcomer regains in an epoch: nobody is shut out for ever
/// for having been cut off.
const REGAINED: u8 = 5;
/// Epochs for which whoever was proven to lie is not drawn.
const JAILED: u32 = 2;
/// Heights after which it is looked who has signed.
const WINDOW: u64 = 100;

/// Why credit is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Its view was changed.
    Replaced,
    /// It signed fewer than half of its group's certificates.
    Absent,
    /// It revealed its secret late.
    Late,
    /// It committed to a secret and never revealed it.
    Withheld,
}

impl Fault {
    fn costs(self) -> u8 {
        match self {
            Self::Replaced | Self::Absent | Self::Late => 5,
            Self::Withheld => 20,
        }
    }
}

/// The conduct of one node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Conduct {
    points: u8,
    /// Signatures that have not earned anything yet.
    signed: u32,
    /// Earned in this epoch.
    earned: u8,
    /// The epoch in which it may be drawn again.
    jailed: Option<u32>,
    /// Certificates of its committee in this window, and how many it signed.
    window: (u32, u32),
}

/// The conduct of all nodes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credit {
    nodes: Vec<Conduct>,
    /// Whether it counts for anything.
    counts: bool,
}

impl Credit {
    /// All n nodes have just joined.
    pub fn new(n: usize, counts: bool) -> Self {
        let joined = Conduct {
            points: JOINED,
            signed: 0,
            earned: 0,
            jailed: None,
            window: (0, 0),
        };
        Self {
            nodes: vec![joined; n],
            counts,
        }
    }

    /// The credit of a node; all have the same if credit does not count.
    pub fn of(&self, node: NodeId) -> u8 {
        match self.counts {
            true => self.nodes[node.index()].points,
            false => JOINED,
        }
    }

    /// Whether a node is kept from being drawn in an epoch.
    pub fn is_jailed(&self, node: NodeId, epoch: u32) -> bool {
        let until = self.nodes[node.index()].jailed;
        until.is_some_and(|until| epoch < until)
    }

    /// Some members of a committee signed a certificate in a block.
    pub fn certified(&mut self, committee: &Committee, signers: &PositionSet) {
        for (position, member) in committee.members().iter().enumerate() {
            let conduct = &mut self.nodes[member.index()];
            conduct.window.0 += 1;
            if signers.contains(position) {
                conduct.window.1 += 1;
                conduct.signed += 1;
                if conduct.signed >= SIGNATURES_FOR_ONE && conduct.earned < EARNED_MAX {
                    conduct.signed = 0;
                    conduct.earned += 1;
                    conduct.points = (conduct.points + 1).min(MOST);
                }
            }
        }
    }

    /// The primaries from one view to another were replaced.
    pub fn replaced(&mut self, committee: &Committee, before: u64, now: u64) {
        let most = committee.n() as u64;
        for view in before..now.min(before.saturating_add(most)) {
            self.lose(committee.leader(view), Fault::Replaced);
        }
    }

    /// A node loses credit.
    pub fn lose(&mut self, node: NodeId, fault: Fault) {
        let conduct = &mut self.nodes[node.index()];
        conduct.points = conduct.points.saturating_sub(fault.costs());
    }

    /// A node is proven to have lied: it loses everything, and is not drawn for some epochs.
    pub fn jail(&mut self, node: NodeId, epoch: u32) {
        let conduct = &mut self.nodes[node.index()];
        conduct.points = 0;
        conduct.jailed = Some(epoch + 1 + JAILED);
    }

    /// The end of a block at a height: after each window whoever signed too little loses.
    pub fn end_block(&mut self, height: u64) {
        if !height.is_multiple_of(WINDOW) {
            return;
        }
        for node in 0..self.nodes.len() {
            let (certificates, signed) = std::mem::take(&mut self.nodes[node].window);
            if 2 * signed < certificates {
                self.lose(NodeId::at(node), Fault::Absent);
            }
        }
    }

    /// A new epoch begins.
    pub fn begin_epoch(&mut self, epoch: u32) {
        for conduct in &mut self.nodes {
            conduct.earned = 0;
            conduct.window = (0, 0);
            match conduct.jailed {
                Some(until) if epoch >= until => {
                    conduct.jailed = None;
                    conduct.points = RELEASED;
                }
                None if conduct.points < JOINED => {
                    conduct.points = (conduct.points + REGAINED).min(JOINED);
                }
                Some(_) | None => {}
            }
        }
    }

    /// The digest of all of it.
    pub fn root(&self) -> Digest {
        let nodes = self.nodes.iter();
        nodes
            .fold(Hasher::new("mbft credit"), |hasher, conduct| {
                let known = u64::from(conduct.points) << 32 | u64::from(conduct.signed);
                let jailed = conduct.jailed.map_or(0, |until| u64::from(until) + 1);
                hasher.number(known).number(jailed)
            })
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_grows_slowly_falls_fast_and_never_for_ever() {
        let mut credit = Credit::new(4, true);
        let group = Committee::first(4);
        let mut signers = PositionSet::new();
        (0..3).for_each(|position| {
            signers.insert(position);
        });
        for _ in 0..1_000 {
            credit.certified(&group, &signers);
        }
        assert_eq!(credit.of(NodeId(0)), 70, "ten at most in an epoch");
        assert_eq!(credit.of(NodeId(3)), 60);
        credit.end_block(100);
        assert_eq!(credit.of(NodeId(3)), 55, "it signed none of them");
        credit.replaced(&group, 0, 2);
        assert_eq!((credit.of(NodeId(0)), credit.of(NodeId(1))), (65, 65));
        for _ in 0..9 {
            credit.lose(NodeId(3), Fault::Withheld);
        }
        assert_eq!(credit.of(NodeId(3)), 0);
        for epoch in 1..=12 {
            credit.begin_epoch(epoch);
        }
        assert_eq!(credit.of(NodeId(3)), 60, "back where newcomers begin");
        credit.jail(NodeId(0), 12);
        assert!(credit.is_jailed(NodeId(0), 13) && credit.is_jailed(NodeId(0), 14));
        credit.begin_epoch(13);
        assert_eq!(credit.of(NodeId(0)), 0);
        assert!(!credit.is_jailed(NodeId(0), 15));
        credit.begin_epoch(15);
        assert_eq!(credit.of(NodeId(0)), 30);
    }
}
