//! How the next roles come about: everybody commits to a secret, reveals it, and the secrets make
//! the beacon of the draw. What the withholders keep is restored from the shares they had to deal.

use std::collections::BTreeMap;

use super::config::{Config, Recovery, Selection};
use super::shamir::{Dealing, Share, restore};
use super::system::System;
use crate::base::crypto::{Digest, Hasher};
use crate::base::node::NodeId;

/// A part of the end of an epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    /// Nothing is drawn yet.
    Work,
    /// Secrets are committed to.
    Commitment,
    /// They are revealed.
    Disclosure,
    /// Late ones are still taken, and shares of those that do not come.
    Extra,
}

/// In which part of its epoch a block is, counted from 1.
pub fn part(config: &Config, offset: u64) -> Part {
    if config.selection == Selection::Fixed {
        return Part::Work;
    }
    let third = config.election / 3;
    let last = config.cycle;
    match () {
        () if offset + 3 * third <= last => Part::Work,
        () if offset + 2 * third <= last => Part::Commitment,
        () if offset + third <= last => Part::Disclosure,
        () => Part::Extra,
    }
}

/// The digest of a secret, bound to its owner and epoch.
pub fn commitment(epoch: u32, owner: NodeId, secret: &Digest) -> Digest {
    let hasher = Hasher::new("mbft commitment").number(u64::from(epoch));
    hasher.number(u64::from(owner.0)).digest(secret).finish()
}

/// How many shares restore a secret that was dealt to so many: more than may be dishonest.
pub fn threshold(holders: usize) -> usize {
    (holders.max(1) - 1) / 3 + 1
}

/// What is known of one node's secret.
#[derive(Clone, PartialEq, Debug)]
struct Secret {
    commitment: Digest,
    dealing: Option<Dealing>,
    /// Revealed by its owner.
    revealed: Option<Digest>,
    /// Whether that was late.
    late: bool,
    shares: BTreeMap<NodeId, Share>,
}

impl Secret {
    /// The secret, from its owner or from those it was dealt to.
    fn recovered(&self, of: NodeId, epoch: u32) -> Option<Digest> {
        if self.revealed.is_some() {
            return self.revealed;
        }
        let needed = self.dealing.as_ref()?.threshold();
        let shares: Vec<Share> = self.shares.values().take(needed).copied().collect();
        if shares.len() < needed {
            return None;
        }
        let secret = restore(&shares);
        (commitment(epoch, of, &secret) == self.commitment).then_some(secret)
    }
}

/// The secrets of the draw at the end of an epoch.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Election {
    secrets: BTreeMap<NodeId, Secret>,
}

/// How an election ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// The next beacon; nothing if too few secrets are known.
    pub beacon: Option<Digest>,
    /// Those who committed, ascending: among them is drawn, whatever they revealed.
    pub committed: Vec<NodeId>,
    /// Those who revealed late.
    pub late: Vec<NodeId>,
    /// Those who never did.
    pub withheld: Vec<NodeId>,
}

impl Election {
    /// Whether a node has committed to a secret.
    pub fn has_committed(&self, node: NodeId) -> bool {
        self.secrets.contains_key(&node)
    }

    /// Whether a node's commitment stands and its secret is not revealed.
    pub fn owes(&self, node: NodeId) -> bool {
        let secret = self.secrets.get(&node);
        secret.is_some_and(|secret| secret.revealed.is_none())
    }

    /// The dealings of secrets not revealed of which a node has not shown its share.
    pub fn wanted_of(&self, holder: NodeId) -> impl Iterator<Item = (NodeId, &Dealing)> {
        let unknown = self.secrets.iter().filter(move |(owner, secret)| {
            **owner != holder && secret.revealed.is_none() && !secret.shares.contains_key(&holder)
        });
        unknown.filter_map(|(owner, secret)| Some((*owner, secret.dealing.as_ref()?)))
    }

    /// Whether a statement may be made in a part; `unchecked` leaves out whether a secret is the
    /// one committed to.
    pub fn admits(
        &self,
        (by, system): (NodeId, &System),
        part: Part,
        (config, n): (&Config, usize),
        unchecked: bool,
    ) -> bool {
        match system {
            System::Commit {
                dealing, holders, ..
            } => {
                let dealt = match config.recovery {
                    Recovery::Shares => {
                        let fits = |dealing: &Dealing| dealing.threshold() == threshold(n);
                        dealing.as_ref().is_some_and(fits) && usize::from(*holders) == n
                    }
                    Recovery::LateOnly => dealing.is_none(),
                };
                part == Part::Commitment && dealt && !self.has_committed(by)
            }
            System::Reveal { epoch, secret } => {
                let known = self.secrets.get(&by);
                let fits = known.is_some_and(|known| {
                    known.revealed.is_none()
                        && (unchecked || known.commitment == commitment(*epoch, by, secret))
                });
                matches!(part, Part::Disclosure | Part::Extra) && fits
            }
            System::Share { of, share, .. } => {
                let known = self.secrets.get(of);
                let fits = known.is_some_and(|known| {
                    let dealt = known.dealing.as_ref();
                    known.revealed.is_none()
                        && !known.shares.contains_key(&by)
                        && dealt.is_some_and(|dealing| dealing.is_share_of(by, share))
                });
                part == Part::Extra && by != *of && fits
            }
            System::Forged(_)
            | System::Conflict(_)
            | System::DoubleVote(_)
            | System::Backlog { .. }
            | System::Ready { .. } => false,
        }
    }

    /// Takes an admitted statement into account.
    pub fn take(&mut self, by: NodeId, system: &System, part: Part) {
        match system {
            System::Commit {
                commitment,
                dealing,
                ..
            } => {
                let secret = Secret {
                    commitment: *commitment,
                    dealing: dealing.clone(),
                    revealed: None,
                    late: false,
                    shares: BTreeMap::new(),
                };
                self.secrets.entry(by).or_insert(secret);
            }
            System::Reveal { secret, .. } => {
                if let Some(known) = self.secrets.get_mut(&by) {
                    known.revealed = Some(*secret);
                    known.late = part == Part::Extra;
                }
            }
            System::Share { of, share, .. } => {
                if let Some(known) = self.secrets.get_mut(of) {
                    known.shares.insert(by, *share);
                }
            }
            System::Forged(_)
            | System::Conflict(_)
            | System::DoubleVote(_)
            | System::Backlog { .. }
            | System::Ready { .. } => {}
        }
    }

    /// Ends the election of an epoch: the beacon is made of all secrets that are known, in the
    /// order of their owners, if at least two thirds are.
    pub fn end(&mut self, epoch: u32, before: &Digest) -> Ended {
        let secrets = std::mem::take(&mut self.secrets);
        let next = u64::from(epoch) + 1;
        let mut hasher = Hasher::new("mbft beacon").digest(before).number(next);
        let mut known = 0;
        let (mut late, mut withheld) = (Vec::new(), Vec::new());
        for (owner, secret) in &secrets {
            if let Some(recovered) = secret.recovered(*owner, epoch) {
                hasher = hasher.digest(&recovered);
                known += 1;
            }
            if secret.revealed.is_none() {
                withheld.push(*owner);
            } else if secret.late {
                late.push(*owner);
            }
        }
        let enough = known > 0 && 3 * known >= 2 * secrets.len();
        Ended {
            beacon: enough.then(|| hasher.finish()),
            committed: secrets.into_keys().collect(),
            late,
            withheld,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(recovery: Recovery) -> Config {
        Config {
            recovery,
            cycle: 50,
            election: 12,
            ..Config::default()
        }
    }

    fn secret(node: NodeId) -> Digest {
        Hasher::new("secret").number(u64::from(node.0)).finish()
    }

    /// The end of an election of ten nodes of which these withhold their secrets.
    fn elect(recovery: Recovery, withholders: &[NodeId], helpers: usize) -> Ended {
        let config = config(recovery);
        let rules = (&config, 10);
        let mut election = Election::default();
        let mut say = |by: NodeId, system: System, part: Part| {
            let admitted = election.admits((by, &system), part, rules, false);
            if admitted {
                election.take(by, &system, part);
            }
            admitted
        };
        let nodes: Vec<NodeId> = (0..10).map(NodeId).collect();
        for node in &nodes {
            let commit = System::Commit {
                epoch: 3,
                commitment: commitment(3, *node, &secret(*node)),
                dealing: (recovery == Recovery::Shares)
                    .then(|| Dealing::new(secret(*node), threshold(10))),
                holders: 10,
            };
            assert!(!say(*node, commit.clone(), Part::Work), "too early");
            assert!(say(*node, commit.clone(), Part::Commitment));
            assert!(!say(*node, commit, Part::Commitment), "twice");
        }
        for node in nodes.iter().filter(|node| !withholders.contains(node)) {
            let reveal = |secret| System::Reveal { epoch: 3, secret };
            let other = secret(NodeId(99));
            assert!(
                !say(*node, reveal(other), Part::Disclosure),
                "another secret"
            );
            assert!(say(*node, reveal(secret(*node)), Part::Disclosure));
        }
        for of in withholders {
            for holder in nodes.iter().filter(|node| *node != of).take(helpers) {
                let dealing = Dealing::new(secret(*of), threshold(10));
                let share = |of, share| System::Share {
                    epoch: 3,
                    of,
                    share,
                };
                let own = dealing.open(*holder);
                let wrong = dealing.open(NodeId(77));
                assert!(!say(*holder, share(*of, wrong), Part::Extra), "not its own");
                let taken = say(*holder, share(*of, own), Part::Extra);
                assert_eq!(taken, recovery == Recovery::Shares);
            }
        }
        election.end(3, &Digest::ZERO)
    }

    #[test]
    fn a_withheld_secret_shifts_the_beacon_only_if_nobody_else_can_restore_it() {
        let honest = |recovery| elect(recovery, &[], 0).beacon.unwrap();
        assert_eq!(honest(Recovery::Shares), honest(Recovery::LateOnly));
        let liar = [NodeId(4)];
        let shares = elect(Recovery::Shares, &liar, threshold(10));
        assert_eq!(shares.beacon, Some(honest(Recovery::Shares)));
        assert_eq!(shares.withheld, liar);
        assert_eq!(shares.committed.len(), 10, "who withholds may be drawn");
        let late = elect(Recovery::LateOnly, &liar, threshold(10));
        assert!(
            late.beacon
                .is_some_and(|beacon| beacon != honest(Recovery::LateOnly))
        );
        let few = elect(Recovery::Shares, &liar, threshold(10) - 1);
        assert_eq!(few.beacon, late.beacon, "too few shares restore nothing");
    }

    #[test]
    fn an_election_of_which_a_third_is_missing_fails() {
        let withholders: Vec<NodeId> = (0..4).map(NodeId).collect();
        assert_eq!(elect(Recovery::LateOnly, &withholders, 0).beacon, None);
        assert!(
            elect(Recovery::LateOnly, &withholders[1..], 0)
                .beacon
                .is_some()
        );
        assert!(elect(Recovery::Shares, &withholders, 4).beacon.is_some());
    }

    #[test]
    fn the_last_blocks_of_an_epoch_are_those_of_its_election() {
        let config = config(Recovery::Shares);
        let parts = [38, 39, 42, 43, 46, 47, 50].map(|offset| part(&config, offset));
        use Part::{Commitment, Disclosure, Extra, Work};
        let expected = [
            Work, Commitment, Commitment, Disclosure, Disclosure, Extra, Extra,
        ];
        assert_eq!(parts, expected);
        let fixed = Config {
            selection: Selection::Fixed,
            ..config
        };
        assert_eq!(part(&fixed, 50), Part::Work);
    }
}
