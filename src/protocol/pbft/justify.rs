//! What a quorum of requests for a view proves, and when a request is to be believed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::crypto::{Certificate, Keyring, Signed};
use crate::base::node::Committee;
use crate::chain::{Batch, Height};

use super::message::{Checkpoint, Phase, ViewChange, Vote};
use super::nested::Views;

/// What follows from a quorum of view changes.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Consequence {
    /// The proof of the highest stable checkpoint; nothing before the first.
    pub stable: Option<Certificate<Checkpoint>>,
    /// What was prepared in the latest view, for each height above where anything was.
    pub prepared: BTreeMap<Height, Vote>,
}

impl Consequence {
    /// What view changes demand of the view after them.
    pub fn of(changes: &[Arc<Signed<ViewChange>>]) -> Self {
        let stable = changes
            .iter()
            .filter_map(|change| change.body().stable.as_ref());
        let stable = stable.max_by_key(|certificate| certificate.body().height);
        let low = stable.map_or(0, |certificate| certificate.body().height);
        let mut prepared: BTreeMap<Height, Vote> = BTreeMap::new();
        let proofs = changes.iter().flat_map(|change| &change.body().prepared);
        for vote in proofs
            .map(Certificate::body)
            .filter(|vote| vote.height > low)
        {
            let latest = prepared.entry(vote.height).or_insert(*vote);
            if vote.view > latest.view {
                *latest = *vote;
            }
        }
        Self {
            stable: stable.cloned(),
            prepared,
        }
    }

    /// The stable height from which proposals begin.
    pub fn low(&self) -> Height {
        self.stable
            .as_ref()
            .map_or(0, |certificate| certificate.body().height)
    }

    /// The last height that is proposed again.
    pub fn top(&self) -> Height {
        self.prepared
            .last_key_value()
            .map_or(self.low(), |(height, _)| *height)
    }

    /// The leader's votes: gaps are filled with the empty batch.
    pub fn votes(&self, view: u64) -> Vec<Vote> {
        let nothing = Batch::empty().digest();
        let vote = |height| Vote {
            phase: Phase::Prepare,
            view,
            height,
            digest: self
                .prepared
                .get(&height)
                .map_or(nothing, |vote| vote.digest),
        };
        (self.low() + 1..=self.top()).map(vote).collect()
    }
}

/// What certificates are checked against.
pub(super) struct Rules<'a> {
    pub committee: &'a Committee,
    pub keyring: &'a Keyring,
    /// Signers of a checkpoint.
    pub quorum: usize,
    /// Signers of a prepared and of a committed certificate.
    pub phases: [usize; 2],
    pub interval: u64,
    pub window: u64,
    pub views: Views,
}

/// Whether every certificate in a request is whole and in its place: ascending, above the
/// checkpoint, not too far, and from an earlier view.
pub(super) fn is_sound(change: &ViewChange, rules: &Rules<'_>) -> bool {
    let low = change.low();
    let stable = change.stable.iter().all(|certificate| {
        low.is_multiple_of(rules.interval)
            && rules.views.own(certificate.body())
            && certificate.verify(rules.committee, rules.quorum, rules.keyring)
    });
    let mut last = low;
    let prepared = change.prepared.iter().all(|certificate| {
        let vote = certificate.body();
        let ascends = vote.height > last;
        last = vote.height;
        let quorum = match vote.phase {
            Phase::Prepare => rules.phases[0],
            Phase::Commit => rules.phases[1],
        };
        ascends
            && vote.view < change.view
            && rules.views.contains(vote.view)
            && certificate.verify(rules.committee, quorum, rules.keyring)
    });
    let near = last.saturating_sub(low) <= rules.window;
    let own = rules.views.contains(change.view);
    own && stable && prepared && near && change.accepted.len() as u64 <= rules.window
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::crypto::{Crypto, Digest, Signer};

    fn digest(number: u8) -> Digest {
        Digest([number; 32])
    }

    fn proof(view: u64, height: Height, number: u8) -> Certificate<Vote> {
        Certificate::open(Vote {
            phase: Phase::Prepare,
            view,
            height,
            digest: digest(number),
        })
    }

    fn change(by: usize, low: Height, prepared: Vec<Certificate<Vote>>) -> Arc<Signed<ViewChange>> {
        let (signers, _) = Signer::mint(4, Crypto::Modelled, 1);
        let checkpoint = Checkpoint {
            since: 0,
            height: low,
            chain: Digest::ZERO,
            block: Digest::ZERO,
        };
        Arc::new(signers[by].sign(ViewChange {
            view: 9,
            stable: (low > 0).then(|| Certificate::open(checkpoint)),
            prepared,
            accepted: Vec::new(),
        }))
    }

    fn proposals(changes: &[Arc<Signed<ViewChange>>]) -> Vec<(Height, Digest)> {
        let votes = Consequence::of(changes).votes(9).into_iter();
        votes.map(|vote| (vote.height, vote.digest)).collect()
    }

    #[test]
    fn a_new_view_proposes_what_was_prepared_last_and_fills_gaps() {
        let nothing = Batch::empty().digest();
        let early = change(0, 0, vec![proof(1, 4, 1), proof(2, 6, 2)]);
        let late = change(1, 3, vec![proof(3, 4, 3), proof(1, 6, 4)]);
        let idle = change(2, 0, Vec::new());
        assert_eq!(
            proposals(&[early.clone(), late, idle.clone()]),
            [(4, digest(3)), (5, nothing), (6, digest(2))],
            "from the highest checkpoint, the latest view wins"
        );
        let ahead = change(3, 6, Vec::new());
        assert_eq!(
            proposals(&[early, ahead]),
            [],
            "a checkpoint settles all below"
        );
        assert_eq!(proposals(&[idle]), []);
    }

    #[test]
    fn only_whole_certificates_in_their_place_justify_a_request() {
        let committee = Committee::first(4);
        let (signers, keyring) = Signer::mint(4, Crypto::Ed25519, 1);
        let mut whole = proof(1, 4, 1);
        for signer in &signers[..3] {
            whole.add(&signer.sign(*whole.body()), &committee);
        }
        assert!(whole.verify(&committee, committee.quorum(), &keyring));
        let mut thin = proof(1, 4, 1);
        thin.add(&signers[0].sign(*thin.body()), &committee);
        let fits = |prepared: Vec<Certificate<Vote>>, view: u64| {
            let change = ViewChange {
                view,
                stable: None,
                prepared,
                accepted: Vec::new(),
            };
            is_sound(
                &change,
                &Rules {
                    committee: &committee,
                    keyring: &keyring,
                    quorum: 3,
                    phases: [3, 3],
                    interval: 100,
                    window: 200,
                    views: Views::ALL,
                },
            )
        };
        assert!(fits(vec![whole.clone()], 2));
        assert!(
            !fits(vec![whole.clone()], 1),
            "prepared in a view that was not yet"
        );
        assert!(!fits(vec![whole.clone(), whole], 2), "one place twice");
        assert!(!fits(vec![thin], 2), "too few signed");
    }
}
