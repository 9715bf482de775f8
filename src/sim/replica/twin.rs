//! One identity that runs twice: two replicas with the key of one node, each of which hears and
//! speaks to a part of the others. Either of them is honest, and together they are not.
//!
//! Bano et al., "Twins: BFT Systems Made Robust", 2020.

use super::ReplicaHost;
use crate::base::node::NodeId;
use crate::base::random::{Random, Stream};
use crate::base::time::Time;
use crate::chain::ledger::{Ledger, Peer};
use crate::chain::{Height, TransactionId};
use crate::protocol::{Protocol, To};

/// The replica that is not at work just now.
#[derive(Debug)]
pub(super) struct Twin<P: Protocol> {
    protocol: P,
    ledger: Ledger,
    peer: Peer,
    random: Random,
    timers: Vec<(Time, u64, P::Timer)>,
    synced: Height,
    executed: Height,
    image: Option<P>,
    /// Whether it is the first of the two, so that the second is at work.
    is_first: bool,
}

impl<P: Protocol> ReplicaHost<P> {
    /// From now on this node is two, which were one so far.
    pub(super) fn part(&mut self, seed: u64) {
        if !self.up {
            return;
        }
        self.twin = Some(Box::new(Twin {
            protocol: self.protocol.clone(),
            ledger: self.ledger.clone(),
            peer: Peer::default(),
            random: Random::new(seed, Stream::Twin(self.id)),
            timers: self.timers.clone(),
            synced: self.synced,
            executed: self.executed,
            image: None,
            is_first: false,
        }));
        self.look_ahead();
    }

    /// The first of the two goes on alone.
    pub(super) fn unite(&mut self) {
        self.turn(false);
        self.twin = None;
        self.look_ahead();
    }

    /// Lets one of the two work, the second or the first.
    pub(super) fn turn(&mut self, second: bool) {
        let Some(twin) = &mut self.twin else {
            return;
        };
        if twin.is_first == second {
            return;
        }
        std::mem::swap(&mut self.protocol, &mut twin.protocol);
        std::mem::swap(&mut self.ledger, &mut twin.ledger);
        std::mem::swap(&mut self.peer, &mut twin.peer);
        std::mem::swap(&mut self.random, &mut twin.random);
        std::mem::swap(&mut self.timers, &mut twin.timers);
        std::mem::swap(&mut self.synced, &mut twin.synced);
        std::mem::swap(&mut self.executed, &mut twin.executed);
        std::mem::swap(&mut self.image, &mut twin.image);
        twin.is_first = second;
    }

    /// Whether the second of two is at work.
    pub(super) fn is_second(&self) -> bool {
        self.twin.as_ref().is_some_and(|twin| twin.is_first)
    }

    /// Whether the second of two hears what this node says, itself as the second of two or not.
    pub(super) fn second_hears(&self, from: NodeId, second: bool) -> bool {
        let adversary = self.adversary.as_ref();
        self.twin.is_some() && adversary.is_some_and(|a| second || a.shows_second_face(from))
    }

    /// Whether the second of two is asked for this: it is every other request.
    pub(super) fn second_is_asked(&self, transaction: TransactionId) -> bool {
        self.twin.is_some() && transaction.number() % 2 == 1
    }

    /// Whether the timer that is due is the second's, while the first is at work.
    pub(super) fn second_is_due(&self) -> bool {
        let first = |timers: &[(Time, u64, P::Timer)]| {
            timers.iter().map(|(at, number, _)| (*at, *number)).min()
        };
        let own = first(&self.timers);
        let other = self.twin.as_ref().and_then(|twin| first(&twin.timers));
        other.is_some_and(|other| own.is_none_or(|own| other < own))
    }

    /// When the earliest timer of the other of two is due.
    pub(super) fn next_of_twin(&self) -> Time {
        let timers = self.twin.iter().flat_map(|twin| &twin.timers);
        timers.map(|(at, _, _)| *at).min().unwrap_or(Time::MAX)
    }

    /// Those of the receivers whom the one at work speaks to.
    pub(super) fn audience(&self, to: To) -> Option<To> {
        match &self.adversary {
            Some(adversary) if self.twin.is_some() => {
                adversary.audience(to, self.id, self.is_second())
            }
            _ => Some(to),
        }
    }
}
