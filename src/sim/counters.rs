//! What one node counts while it runs. Sending is counted once a broadcast, not once a copy.

use super::World;
use super::event::{Totals, Volume};
use crate::base::time::{Span, Time};
use crate::network::Losses;
use crate::protocol::Protocol;

/// Counts of one node or client host.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    by_kind: Vec<(&'static str, Volume)>,
    measured: Volume,
    client_measured: Volume,
    per_second: Vec<u64>,
    pub(super) signatures: u64,
    pub(super) verifications: u64,
    sent: u64,
    duplicated: u64,
    lost: u64,
    pub(super) delivered: u64,
    pub(super) dropped: u64,
    pub(super) events: u64,
}

impl Volume {
    fn add(&mut self, copies: usize, size: u32) {
        self.count += copies as u64;
        self.bytes += copies as u64 * u64::from(size);
    }

    fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.bytes += other.bytes;
    }
}

impl Counters {
    /// A consensus message to `copies` receivers.
    pub(super) fn send<P: Protocol>(
        &mut self,
        now: Time,
        world: &World<P>,
        kind: &'static str,
        copies: usize,
        size: u32,
    ) {
        self.sent += copies as u64;
        if now >= world.until {
            return;
        }
        match self.by_kind.iter_mut().find(|(name, _)| *name == kind) {
            Some((_, volume)) => volume.add(copies, size),
            None => {
                let mut volume = Volume::default();
                volume.add(copies, size);
                self.by_kind.push((kind, volume));
            }
        }
        let second = now.second() as usize;
        if second >= self.per_second.len() {
            self.per_second.resize(second + 1, 0);
        }
        self.per_second[second] += copies as u64;
        if world.is_measured(now) {
            self.measured.add(copies, size);
        }
    }

    /// A message between a node and client hosts.
    pub(super) fn send_client<P: Protocol>(
        &mut self,
        now: Time,
        world: &World<P>,
        copies: usize,
        size: u32,
    ) {
        self.sent += copies as u64;
        if world.is_measured(now) {
            self.client_measured.add(copies, size);
        }
    }

    /// What the network reports of the copies sent.
    pub(super) fn lose(&mut self, losses: Losses) {
        self.lost += losses.lost;
        self.duplicated += losses.duplicated;
    }

    /// Adds these counts to those of the run.
    pub(super) fn add_to(&self, totals: &mut Totals, busy: Span) {
        for (kind, volume) in &self.by_kind {
            match totals.by_kind.binary_search_by_key(kind, |(name, _)| *name) {
                Ok(place) => totals.by_kind[place].1.join(volume),
                Err(place) => totals.by_kind.insert(place, (*kind, *volume)),
            }
        }
        totals.measured.join(&self.measured);
        totals.client_measured.join(&self.client_measured);
        if totals.per_second.len() < self.per_second.len() {
            totals.per_second.resize(self.per_second.len(), 0);
        }
        for (sum, count) in totals.per_second.iter_mut().zip(&self.per_second) {
            *sum += count;
        }
        totals.signatures += self.signatures;
        totals.verifications += self.verifications;
        totals.sent += self.sent;
        totals.duplicated += self.duplicated;
        totals.lost += self.lost;
        totals.delivered += self.delivered;
        totals.dropped += self.dropped;
        totals.events += self.events;
        totals.busy += busy;
    }
}
