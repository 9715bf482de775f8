//! What a group shows to those outside it: who leads it, and what it has decided.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::config::{Config, Profile};
use super::evidence::{Evidence, verify_evidence};
use super::judge::Judge;
use super::log::Log;
use super::message::Election;
use super::statement::{Ack, Header, Stage};
use crate::base::crypto::{Body, Certificate, Digest, Keyring};
use crate::base::node::{Committee, NodeId};

/// Who leads which term of a group of these members, if the votes prove it: for those outside the
/// group, who need the public keys and the group's configuration.
pub fn verify_election(
    election: &Election,
    committee: &Committee,
    config: &Config,
    keyring: &Keyring,
) -> Option<(u64, NodeId)> {
    let ballot = *election.certificate.body();
    let group = (committee, config, keyring);
    suffices(&election.certificate, &election.evidence, group)
        .then_some((ballot.term, ballot.candidate))
}

/// A decision with its proof: a certificate of the place or of a later one, and the headers from
/// the place to there.
#[derive(Clone, PartialEq, Debug)]
pub struct Decided {
    /// Votes of a quorum of the round that decides.
    pub certificate: Arc<Certificate<Ack>>,
    /// From the place on, in order; their signatures are not needed.
    pub headers: Vec<Header>,
    /// Why members are missing from the quorum.
    pub evidence: Vec<Arc<Evidence>>,
}

impl Decided {
    /// The proof for a decided place of a log, if the certificate reaches so far.
    pub(super) fn find(
        certificate: &Arc<Certificate<Ack>>,
        index: u64,
        log: &Log,
        evidence: Vec<Arc<Evidence>>,
    ) -> Option<Self> {
        let last = certificate.body();
        if index == 0 || index > last.index || log.chain(last.index) != Some(last.chain) {
            return None;
        }
        let header = |place| Some(*log.header(place)?.body());
        let headers: Option<Vec<Header>> = (index..=last.index).map(header).collect();
        Some(Self {
            certificate: certificate.clone(),
            headers: headers?,
            evidence,
        })
    }
}

/// What a group of these members has decided, and where, if the proof holds: the digest of a batch,
/// or of an exclusion.
pub fn verify_decision(
    decided: &Decided,
    committee: &Committee,
    config: &Config,
    keyring: &Keyring,
) -> Option<(u64, Digest)> {
    let stage = match config.profile {
        Profile::Hardened => Stage::Commit,
        Profile::Sync => Stage::Prepare,
        Profile::Paper => return None,
    };
    let first = decided.headers.first()?;
    let last = decided.headers.last()?;
    let proven = decided.certificate.body();
    let linked = |pair: &[Header]| {
        pair[1].index.checked_sub(1) == Some(pair[0].index) && pair[1].previous == pair[0].chain()
    };
    let holds = decided.headers.windows(2).all(linked)
        && last.mark() == proven.mark()
        && proven.stage == stage
        && suffices(
            &decided.certificate,
            &decided.evidence,
            (committee, config, keyring),
        );
    holds.then_some((first.index, first.content))
}

/// Whether the signers are a quorum of a group, some of whose members are excluded.
fn suffices<B: Body>(
    certificate: &Certificate<B>,
    evidence: &[Arc<Evidence>],
    (committee, config, keyring): (&Committee, &Config, &Keyring),
) -> bool {
    let guilty = evidence.iter();
    let guilty = guilty.filter_map(|proof| verify_evidence(proof, keyring, committee));
    let guilty: BTreeSet<NodeId> = guilty.collect();
    let judge = Judge {
        config,
        committee,
        keyring,
    };
    judge.suffices(certificate, guilty.into_iter())
}
