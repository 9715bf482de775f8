//! Who may stand for a term, and after whom. Nobody can check that a candidate has waited for its
//! time-out; that it is its turn, everybody can.

use crate::base::crypto::{Digest, Hasher};
use crate::base::node::NodeId;

/// A member's number in the drawing for a term, which nobody can choose.
fn lot(term: u64, seed: &Digest, member: NodeId) -> Digest {
    let hasher = Hasher::new("iraft rank").number(term).digest(seed);
    hasher.number(u64::from(member.0)).finish()
}

/// How many members come before this one in the order of a term. The order follows from the term
/// and the chain up to what is certified, which voters check.
pub(super) fn rank(term: u64, seed: &Digest, members: &[NodeId], member: NodeId) -> u64 {
    let own = (lot(term, seed, member), member);
    let before = |other: &&NodeId| (lot(term, seed, **other), **other) < own;
    members.iter().filter(before).count() as u64
}

/// Whether a member is one of the `most` whose names are closest to the term's by the exclusive
/// or of their digests, as the contacts in a bucket of Kademlia; 0 lets everybody stand.
pub(super) fn is_candidate(term: u64, members: &[NodeId], member: NodeId, most: usize) -> bool {
    if most == 0 {
        return true;
    }
    let target = Hasher::new("iraft bucket of a term").number(term).finish();
    let distance = |node: NodeId| {
        let name = Hasher::new("iraft name").number(u64::from(node.0)).finish();
        let mut distance = name.0;
        distance.iter_mut().zip(target.0).for_each(|(a, b)| *a ^= b);
        distance
    };
    let own = distance(member);
    let closer = members.iter().filter(|other| distance(**other) < own);
    closer.count() < most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members() -> Vec<NodeId> {
        (0..7).map(NodeId::at).collect()
    }

    #[test]
    fn every_term_has_an_order_and_everybody_comes_first_in_some() {
        let members = members();
        let ranks = |term| {
            let one = |member: &NodeId| rank(term, &Digest::ZERO, &members, *member);
            members.iter().map(one).collect::<Vec<u64>>()
        };
        let mut first = vec![0; 7];
        for term in 1..200 {
            let ranks = ranks(term);
            let mut sorted = ranks.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..7).collect::<Vec<u64>>());
            first[ranks.iter().position(|rank| *rank == 0).unwrap()] += 1;
        }
        assert!(first.iter().all(|count| *count > 10), "{first:?}");
    }

    #[test]
    fn a_bucket_holds_as_many_candidates_as_it_may() {
        let members = members();
        for term in 1..20 {
            let stands = |most| {
                let may = |m: &&NodeId| is_candidate(term, &members, **m, most);
                members.iter().filter(may).count()
            };
            assert_eq!([0, 1, 3, 9].map(stands), [7, 1, 3, 7]);
        }
    }
}
