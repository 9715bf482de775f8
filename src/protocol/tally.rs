//! Votes counted one per voter and place. Whoever votes twice for different things is caught.

use crate::base::crypto::{Body, Certificate, Signed};
use crate::base::node::Committee;

/// Votes of a committee at one place: one voter, one vote. Each body that was voted for has its
/// own certificate, which grows until it proves a quorum.
#[derive(Clone, Debug)]
pub struct Tally<B> {
    /// The body that was voted for first, which nearly always is the only one.
    first: Option<Certificate<B>>,
    /// Certificates of other bodies; at most one per voter.
    others: Vec<Certificate<B>>,
}

/// What became of one vote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counted {
    /// It counts; so many have now voted for the same.
    Fresh(usize),
    /// The voter has voted for the same before: a message that came twice.
    Repeated,
    /// The voter has voted for something else before: evidence against it.
    Conflict,
    /// The voter is no member.
    Stranger,
}

impl<B> Default for Tally<B> {
    fn default() -> Self {
        Self {
            first: None,
            others: Vec::new(),
        }
    }
}

impl<B: Body> Tally<B> {
    /// No votes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a vote whose signature the caller has verified.
    #[inline]
    pub fn count(&mut self, vote: &Signed<B>, committee: &Committee) -> Counted {
        if let Some(first) = &mut self.first
            && self.others.is_empty()
            && first.add(vote, committee)
        {
            return Counted::Fresh(first.signers());
        }
        self.count_slowly(vote, committee)
    }

    #[cold]
    fn count_slowly(&mut self, vote: &Signed<B>, committee: &Committee) -> Counted {
        let Some(position) = committee.position(vote.by()) else {
            return Counted::Stranger;
        };
        let mut certificates = self.first.iter().chain(&self.others);
        if let Some(given) = certificates.find(|c| c.positions().contains(position)) {
            let same = given.body() == vote.body();
            return if same {
                Counted::Repeated
            } else {
                Counted::Conflict
            };
        }
        let mut certificates = self.first.iter_mut().chain(&mut self.others);
        if let Some(certificate) = certificates.find(|c| c.body() == vote.body()) {
            let added = certificate.add(vote, committee);
            assert!(added, "a member that has not voted can vote");
            return Counted::Fresh(certificate.signers());
        }
        let mut certificate = Certificate::open(vote.body().clone());
        let added = certificate.add(vote, committee);
        assert!(added, "the first vote for a body counts");
        if self.first.is_none() {
            self.first = Some(certificate);
        } else {
            self.others.push(certificate);
        }
        Counted::Fresh(1)
    }

    /// How many voted for `body`.
    pub fn votes(&self, body: &B) -> usize {
        self.certificate(body).map_or(0, Certificate::signers)
    }

    /// How many voted for what most voted for.
    pub fn most(&self) -> usize {
        let all = self.first.iter().chain(&self.others);
        all.map(Certificate::signers).max().unwrap_or(0)
    }

    /// The votes for `body`, if there are any.
    pub fn certificate(&self, body: &B) -> Option<&Certificate<B>> {
        let mut all = self.first.iter().chain(&self.others);
        all.find(|certificate| certificate.body() == body)
    }

    /// The certificate that holds the vote of the member at this position, if it has voted.
    pub fn given_by(&self, position: usize) -> Option<&Certificate<B>> {
        let mut all = self.first.iter().chain(&self.others);
        all.find(|certificate| certificate.positions().contains(position))
    }

    /// A certificate that at least `quorum` members have signed, if there is one.
    pub fn reached(&self, quorum: usize) -> Option<&Certificate<B>> {
        let mut all = self.first.iter().chain(&self.others);
        all.find(|certificate| certificate.signers() >= quorum)
    }

    /// Ends the counting: hands out the votes for `body` and forgets all others.
    pub fn take(&mut self, body: &B) -> Option<Certificate<B>> {
        let Self { first, others } = std::mem::take(self);
        first
            .into_iter()
            .chain(others)
            .find(|certificate| certificate.body() == body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::crypto::{Crypto, Digest, Hasher, Signer};

    #[derive(Clone, PartialEq, Debug)]
    struct Choice(u64);
    impl Body for Choice {
        fn digest(&self) -> Digest {
            Hasher::new("choice").number(self.0).finish()
        }
    }

    #[test]
    fn one_member_has_one_vote_and_a_second_choice_is_evidence() {
        let committee = Committee::first(4);
        let (signers, _) = Signer::mint(5, Crypto::Modelled, 1);
        let mut tally = Tally::new();
        let mut vote =
            |voter: usize, choice| tally.count(&signers[voter].sign(Choice(choice)), &committee);
        assert_eq!(vote(0, 7), Counted::Fresh(1));
        assert_eq!(vote(0, 7), Counted::Repeated);
        assert_eq!(vote(0, 8), Counted::Conflict);
        assert_eq!(vote(1, 8), Counted::Fresh(1));
        assert_eq!(vote(1, 7), Counted::Conflict);
        assert_eq!(vote(2, 7), Counted::Fresh(2));
        assert_eq!(vote(3, 8), Counted::Fresh(2));
        assert_eq!(vote(4, 7), Counted::Stranger);
        assert_eq!((tally.votes(&Choice(7)), tally.votes(&Choice(9))), (2, 0));
        assert_eq!(tally.most(), 2);
        let choice = |position| tally.given_by(position).map(|c| c.body().0);
        assert_eq!([0, 3, 5].map(choice), [Some(7), Some(8), None]);
        assert!(tally.reached(3).is_none());
    }

    #[test]
    fn what_is_taken_proves_the_choice_and_nothing_else_remains() {
        let committee = Committee::first(4);
        for crypto in [Crypto::Modelled, Crypto::Ed25519] {
            let (signers, keyring) = Signer::mint(4, crypto, 1);
            let mut tally = Tally::new();
            for (voter, choice) in [(3, 1), (0, 2), (1, 2), (2, 2)] {
                tally.count(&signers[voter].sign(Choice(choice)), &committee);
            }
            let proof = tally.take(&Choice(2)).unwrap();
            assert!(proof.verify(&committee, 3, &keyring));
            assert_eq!(tally.votes(&Choice(1)), 0);
        }
    }
}
