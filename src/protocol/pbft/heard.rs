//! Who has voted for what, as somebody has heard it. A replica that keeps to the protocol votes for
//! one batch at a place in each view and phase; two votes of one that do not agree convict it.

use std::collections::BTreeMap;

use super::message::{Phase, Vote};
use crate::base::crypto::{Digest, Signed};
use crate::base::node::{Committee, NodeId};
use crate::chain::Height;

/// Who, in which view and phase, for what.
type Subject = (NodeId, u64, Phase, Digest);

/// Votes on the places that are under way.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    places: BTreeMap<Height, BTreeMap<Subject, Signed<Vote>>>,
}

/// Votes on one place that are remembered, for each member.
const VOTES_MAX: usize = 16;
/// Executed places of which it is remembered what was heard.
const BEHIND: Height = 16;

impl Heard {
    /// Remembers a vote of one of n members, if it is about a place that is under way when so many
    /// are executed; whether it is news.
    pub fn hear(&mut self, vote: &Signed<Vote>, executed: Height, window: u64, n: usize) -> bool {
        let body = vote.body();
        let low = executed.saturating_sub(BEHIND);
        if body.height < low || body.height > executed.saturating_add(2 * window) {
            return false;
        }
        let first = self.places.first_key_value();
        if first.is_some_and(|(place, _)| *place < low) {
            self.places = self.places.split_off(&low);
        }
        let here = self.places.entry(body.height).or_default();
        let full = here.len() >= VOTES_MAX * n;
        let subject = (vote.by(), body.view, body.phase, body.digest);
        match here.get_mut(&subject) {
            None if full => false,
            None => here.insert(subject, vote.clone()).is_none(),
            Some(known) => {
                // More voices convict more liars.
                if known.voices().len() < vote.voices().len() {
                    *known = vote.clone();
                }
                false
            }
        }
    }

    /// What somebody has voted for at a place in a view and phase.
    pub fn said(
        &self,
        by: NodeId,
        (height, view, phase): (Height, u64, Phase),
    ) -> impl Iterator<Item = &Signed<Vote>> {
        let here = self.places.get(&height).into_iter();
        let (first, last) = (Digest([0; 32]), Digest([u8::MAX; 32]));
        let subjects = (by, view, phase, first)..=(by, view, phase, last);
        here.flat_map(move |here| here.range(subjects.clone()).map(|(_, vote)| vote))
    }

    /// Votes of the same signer that do not agree with one.
    pub fn contradicting(&self, vote: &Signed<Vote>) -> impl Iterator<Item = &Signed<Vote>> {
        let body = *vote.body();
        let said = self.said(vote.by(), (body.height, body.view, body.phase));
        said.filter(move |other| other.body().contradicts(&body))
    }

    /// The proposal of a view's primary that was heard, if somebody is the first to prepare another
    /// one than that: one of the two lies, and others may have heard both.
    pub fn doubtful_proposal(
        &self,
        vote: &Signed<Vote>,
        committee: &Committee,
    ) -> Option<Signed<Vote>> {
        let body = *vote.body();
        if body.phase != Phase::Prepare {
            return None;
        }
        let primary = committee.leader(body.view);
        let of = |by, same: bool| {
            let mut said = self.said(by, (body.height, body.view, body.phase));
            said.find(|other| (other.body().digest == body.digest) == same)
        };
        let others = committee.members().iter().copied();
        let mut others = others.filter(|member| *member != primary && *member != vote.by());
        if vote.by() == primary {
            let differs = others.any(|member| of(member, false).is_some());
            return differs.then(|| vote.clone());
        }
        let first = others.all(|member| of(member, true).is_none());
        let proposal = of(primary, false).filter(|_| first && of(primary, true).is_none());
        proposal.cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::crypto::{Crypto, Signer};

    fn vote(signer: &Signer, height: Height, batch: u8) -> Signed<Vote> {
        signer.sign(Vote {
            phase: Phase::Prepare,
            view: 0,
            height,
            digest: Digest([batch; 32]),
        })
    }

    #[test]
    fn a_second_vote_contradicts_and_the_same_one_is_no_news() {
        let (signers, _) = Signer::mint(4, Crypto::Modelled, 1);
        let mut heard = Heard::default();
        assert!(heard.hear(&vote(&signers[1], 5, 1), 4, 100, 4));
        assert!(!heard.hear(&vote(&signers[1], 5, 1), 4, 100, 4));
        let other = vote(&signers[1], 5, 2);
        assert!(heard.hear(&other, 4, 100, 4));
        assert_eq!(heard.contradicting(&other).count(), 1);
        let of_another = vote(&signers[2], 5, 3);
        assert!(heard.hear(&of_another, 4, 100, 4));
        assert_eq!(heard.contradicting(&of_another).count(), 0);
    }

    #[test]
    fn places_far_away_are_not_heard_of_and_old_ones_forgotten() {
        let (signers, _) = Signer::mint(4, Crypto::Modelled, 1);
        let mut heard = Heard::default();
        assert!(!heard.hear(&vote(&signers[1], 1_000, 1), 4, 100, 4));
        assert!(heard.hear(&vote(&signers[1], 5, 1), 4, 100, 4));
        assert!(heard.hear(&vote(&signers[1], 60, 1), 50, 100, 4));
        assert!(!heard.hear(&vote(&signers[1], 5, 2), 50, 100, 4));
        assert_eq!(heard.contradicting(&vote(&signers[1], 5, 2)).count(), 0);
    }

    #[test]
    fn the_first_who_prepares_something_else_makes_a_proposal_doubtful() {
        let (signers, _) = Signer::mint(4, Crypto::Modelled, 1);
        let committee = Committee::first(4);
        let mut heard = Heard::default();
        let mut doubts = |vote: Signed<Vote>| {
            heard.hear(&vote, 4, 100, 4);
            heard.doubtful_proposal(&vote, &committee)
        };
        let proposal = vote(&signers[0], 5, 1);
        assert_eq!(doubts(proposal.clone()), None);
        assert_eq!(doubts(vote(&signers[1], 5, 1)), None);
        assert_eq!(doubts(vote(&signers[2], 5, 2)), Some(proposal));
        assert_eq!(doubts(vote(&signers[3], 5, 2)), None, "said once");
        // The proposal may come last.
        assert_eq!(doubts(vote(&signers[1], 6, 2)), None);
        let late = vote(&signers[0], 6, 1);
        assert_eq!(doubts(late.clone()), Some(late));
    }
}
