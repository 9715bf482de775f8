//! Who is guilty of a fork, and what proves it: after honest nodes have decided different blocks,
//! what they hold that others have signed is put side by side.
//!
//! Two things convict, and no honest node ever does either:
//!
//! - to sign two statements of one kind for one place of one view;
//! - to vote in the second phase for a batch, which says that a quorum stands behind it, and to
//!   enter a later view as if nothing of the kind had been proven at its place.
//!
//! In PBFT, a fork among 3f + 1 takes more than f who did (Sheng, Wang, Nayak, Kannan and
//! Viswanath, *BFT Protocol Forensics*, CCS 2021, section 4): those in both quorums, or in the
//! earlier quorum and in the one that opened the later view. As long as no more than 2f lie, every
//! such quorum has an honest member, and honest nodes together hold enough to prove it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::chain::Height;
use crate::protocol::Holding;
use crate::protocol::oath::{Oath, Recall};
use crate::sim::event::{Event, Observer};

/// Two honest nodes that decided different blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fork {
    /// Where; the lowest height at which that happened.
    pub height: Height,
    /// Who.
    pub nodes: [NodeId; 2],
}

/// What nobody who is honest has signed both of, and who holds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Proof {
    /// Two statements for one place.
    Twice([(Holding, NodeId); 2]),
    /// A vote of the second phase that the voter kept back when it left the view.
    KeptBack((Holding, NodeId), (Arc<Recall>, NodeId)),
}

impl Proof {
    /// Whom it convicts.
    pub fn culprit(&self) -> NodeId {
        match self {
            Self::Twice([(holding, _), _]) | Self::KeptBack((holding, _), _) => holding.by,
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice([(first, holder), (second, other)]) => write!(
                f,
                "{first}, held by {holder}, and {:016x}, held by {other}",
                second.what
            ),
            Self::KeptBack((vote, holder), (recall, other)) => write!(
                f,
                "{vote}, held by {holder}, and kept back for view {}, as {other} holds",
                recall.view
            ),
        }
    }
}

/// Whose word something is, of which kind, and for which place of which view: in each of these
/// nobody who is honest says two things.
pub(super) type Place = (NodeId, &'static str, u64, u64);

/// Where something is said.
pub(super) fn place(it: &Holding) -> Place {
    (it.by, it.kind, it.view, it.place)
}

/// A chain and a height in it.
type Spot = (Option<usize>, Height);

/// Collects what honest nodes can prove.
#[derive(Clone, Debug, Default)]
pub struct Forensics {
    /// What was said in each place, and who was first to hold it.
    said: BTreeMap<Place, Vec<(u64, NodeId)>>,
    /// What each node has asked for views with.
    recalled: BTreeMap<NodeId, Vec<(Arc<Recall>, NodeId)>>,
    /// What honest nodes decided in each chain, and who was first.
    decided: BTreeMap<Spot, Vec<(Digest, NodeId)>>,
    /// Which chain each node keeps; of nodes that are not listed all keep the same.
    chains: Vec<Option<usize>>,
    /// Who holds anything: of the dishonest nobody hears what they hold.
    holders: BTreeSet<NodeId>,
    /// Who has lost its disk, and may contradict what it promised.
    forgetful: BTreeSet<NodeId>,
}

/// In which kind of statement a replica votes in the second phase, of those who say what is proven
/// to them when they leave a view.
const COMMIT: &str = "commit";

impl Forensics {
    /// Nothing is known yet of nodes that keep these chains.
    pub fn along(chains: Vec<Option<usize>>) -> Self {
        Self {
            chains,
            ..Self::default()
        }
    }

    /// Whether a node keeps to the protocol: it has heard something before it decides anything.
    fn honest(&self, node: NodeId) -> bool {
        self.holders.contains(&node) && !self.forgetful.contains(&node)
    }

    /// The first fork, if there was one.
    pub fn fork(&self) -> Option<Fork> {
        let forked = self.decided.iter().find_map(|((_, height), blocks)| {
            let [(_, first), (_, second), ..] = blocks.as_slice() else {
                return None;
            };
            Some((*height, [*first, *second]))
        });
        forked.map(|(height, nodes)| Fork { height, nodes })
    }

    /// The first proof against everybody who can be convicted, in order of their names.
    pub fn proofs(&self) -> Vec<Proof> {
        let mut proofs: BTreeMap<NodeId, Proof> = BTreeMap::new();
        let twice = self.said.iter().filter_map(|(place, said)| {
            let [first, second, ..] = said.as_slice() else {
                return None;
            };
            Some(Proof::Twice([
                (holding(place, first.0), first.1),
                (holding(place, second.0), second.1),
            ]))
        });
        let forked = self.fork().map(|fork| fork.height);
        let kept_back = forked.into_iter().flat_map(|at| self.kept_back(at));
        for proof in twice.chain(kept_back) {
            proofs.entry(proof.culprit()).or_insert(proof);
        }
        proofs.into_values().collect()
    }

    /// Votes of the second phase at a height, of which the voters knew nothing when they left.
    fn kept_back(&self, at: Height) -> impl Iterator<Item = Proof> + '_ {
        let votes = self.said.iter().flat_map(|(place, said)| {
            let said = said.iter();
            said.map(move |(what, holder)| (holding(place, *what), *holder))
        });
        let votes = votes.filter(move |(vote, _)| vote.kind == COMMIT && vote.place == at);
        votes.filter_map(|(vote, holder)| {
            let recalled = self.recalled.get(&vote.by)?;
            let later = recalled.iter().find(|(recall, _)| ignores(recall, &vote))?;
            Some(Proof::KeptBack((vote, holder), later.clone()))
        })
    }

    fn hear(&mut self, holder: NodeId, oath: &Oath) {
        self.holders.insert(holder);
        match oath {
            Oath::Holds(it) => {
                let said = self.said.entry(place(it)).or_default();
                if said.iter().all(|(what, _)| *what != it.what) {
                    said.push((it.what, holder));
                }
            }
            Oath::Recalls(recall) => {
                let recalled = self.recalled.entry(recall.by).or_default();
                if recalled.iter().all(|(known, _)| known != recall) {
                    recalled.push((recall.clone(), holder));
                }
            }
        }
    }
}

fn holding((by, kind, view, place): &Place, what: u64) -> Holding {
    Holding {
        by: *by,
        kind,
        view: *view,
        place: *place,
        what,
    }
}

/// Whether somebody who has cast this vote of the second phase does not say, in a later view, that
/// the same or anything later was proven there.
fn ignores(recall: &Recall, vote: &Holding) -> bool {
    let proven = recall.proven.iter();
    let mut there = proven.filter(|(height, _, _)| *height == vote.place);
    recall.view > vote.view
        && recall.settled < vote.place
        && there.all(|(_, view, what)| *view < vote.view && *what != vote.what)
}

impl Observer for Forensics {
    fn on_event(&mut self, _now: Time, node: NodeId, event: &Event) {
        match event {
            Event::Heard { oath } => self.hear(node, oath),
            Event::Decided { block } if self.honest(node) => {
                let chain = self.chains.get(node.index()).copied().flatten();
                let blocks = self.decided.entry((chain, block.height)).or_default();
                if blocks.iter().all(|(digest, _)| *digest != block.digest) {
                    blocks.push((block.digest, node));
                }
            }
            Event::Restarted { amnesia: true, .. } => {
                self.forgetful.insert(node);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(by: u16, view: u64, what: u64) -> Holding {
        Holding {
            by: NodeId(by),
            kind: COMMIT,
            view,
            place: 5,
            what,
        }
    }

    fn recall(by: u16, view: u64, settled: Height, proven: &[(Height, u64, u64)]) -> Oath {
        Oath::Recalls(Arc::new(Recall {
            by: NodeId(by),
            view,
            settled,
            proven: proven.to_vec(),
        }))
    }

    #[test]
    fn only_what_differs_in_one_place_of_one_view_convicts() {
        let mut forensics = Forensics::default();
        for (by, view, what) in [(1, 0, 7), (1, 0, 7), (1, 1, 8), (2, 0, 8)] {
            forensics.hear(NodeId(0), &Oath::Holds(vote(by, view, what)));
        }
        assert_eq!(forensics.proofs(), []);
        forensics.hear(NodeId(3), &Oath::Holds(vote(1, 0, 8)));
        let proofs = forensics.proofs();
        assert_eq!(proofs.len(), 1);
        assert_eq!(proofs[0].culprit(), NodeId(1));
        let words = "n1: commit 0000000000000007 at 5 in view 0, held by n0, and \
                     0000000000000008, held by n3";
        assert_eq!(proofs[0].to_string(), words);
    }

    #[test]
    fn whoever_speaks_of_its_vote_or_has_settled_it_keeps_nothing_back() {
        let cases = [
            (recall(1, 2, 0, &[]), true),
            (recall(1, 1, 0, &[]), false),
            (recall(1, 2, 5, &[]), false),
            (recall(1, 2, 0, &[(4, 1, 7)]), true),
            (recall(1, 2, 0, &[(5, 1, 7)]), false),
            (recall(1, 2, 0, &[(5, 0, 7)]), false),
            (recall(1, 2, 0, &[(5, 0, 8)]), true),
            (recall(1, 3, 0, &[(5, 2, 8)]), false),
        ];
        for (oath, guilty) in cases {
            let Oath::Recalls(recall) = oath else {
                unreachable!("they are all recalled");
            };
            assert_eq!(ignores(&recall, &vote(1, 1, 7)), guilty, "{recall:?}");
        }
    }
}
