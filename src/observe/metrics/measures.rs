//! What some protocols are measured by besides what all are: how records are shared in layers, and
//! whom MBFT draws. Each measure has a name, a number, and what it is taken at, if at anything.

use std::collections::{BTreeMap, BTreeSet};

use super::Measured;
use super::summary::in_ms;
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::contract::message::RecordId;
use crate::protocol::layers::{Fact, Net};

/// One number.
#[derive(Clone, PartialEq, Debug)]
pub struct Measure {
    /// What it says.
    pub name: &'static str,
    /// What it is taken at: a count, a share or an epoch.
    pub at: Option<f64>,
    /// The number.
    pub value: f64,
}

/// Follows the facts that honest nodes tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Measures {
    /// When each record was decided first, and its hospitals.
    listed: BTreeMap<RecordId, (Time, BTreeSet<NodeId>)>,
    kept: BTreeMap<(NodeId, RecordId), u32>,
    /// How many records of a patient a node has.
    of: BTreeMap<(NodeId, Digest), usize>,
    /// The sum of the times from decision to disk at those who did not enter a record, and how
    /// many there were.
    delivery: (u128, u64),
    /// When, and whether nobody else of the network had the patient.
    registered: BTreeMap<(Net, Digest, NodeId), (Time, bool)>,
    /// First registrations in a network that the index has not yet.
    unknown: BTreeMap<(Digest, Net), Time>,
    lag: (u128, u64),
    /// How long migrations took, how many records came, and whether from another network.
    moved: BTreeMap<(Net, Digest, NodeId), (u64, usize, bool)>,
    handed: u64,
    asked: u64,
    drawn: BTreeMap<u32, (Vec<NodeId>, Vec<u8>)>,
}

/// Chances that a hospital loses what it has, in percent, for which losses are told.
const LOSSES: [f64; 6] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0];

impl Measures {
    /// An honest node tells something.
    pub(super) fn learn(&mut self, now: Time, node: NodeId, fact: &Fact) {
        match fact {
            Fact::Listed { rid, nodes, .. } => {
                let first = (now, BTreeSet::new());
                self.listed.entry(*rid).or_insert(first).1.extend(nodes);
            }
            Fact::Registered { .. } | Fact::Moved { .. } => self.follow_migration(now, fact),
            Fact::Known { user, net } => {
                if let Some(since) = self.unknown.remove(&(*user, *net)) {
                    add(&mut self.lag, now.since(since).nanos());
                }
            }
            Fact::Kept {
                user,
                rid,
                bytes,
                entered,
                ..
            } => {
                *self.of.entry((node, *user)).or_default() += 1;
                self.kept.insert((node, *rid), *bytes);
                // What came by migration is timed with it.
                let listed = self
                    .listed
                    .get(rid)
                    .filter(|(_, nodes)| nodes.contains(&node));
                if let (false, Some((since, _))) = (*entered, listed) {
                    add(&mut self.delivery, now.since(*since).nanos());
                }
            }
            Fact::Found {
                user, rid, bytes, ..
            } => {
                if self.kept.insert((node, *rid), *bytes).is_none() {
                    *self.of.entry((node, *user)).or_default() += 1;
                }
            }
            Fact::Handed { .. } => self.handed += 1,
            Fact::Asked { .. } => self.asked += 1,
            Fact::Drawn {
                epoch,
                serving,
                credit,
            } => {
                let drawn = (serving.clone(), credit.clone());
                self.drawn.entry(*epoch).or_insert(drawn);
            }
            Fact::Closed { .. }
            | Fact::Lost { .. }
            | Fact::Table { .. }
            | Fact::Overflow { .. } => {}
        }
    }

    /// A migration begins, or is over.
    fn follow_migration(&mut self, now: Time, fact: &Fact) {
        if let Fact::Registered {
            net,
            user,
            node,
            first,
            ..
        } = fact
        {
            let begun = self.registered.entry((*net, *user, *node));
            begun.or_insert((now, *first));
            if *first {
                self.unknown.entry((*user, *net)).or_insert(now);
            }
        }
        if let Fact::Moved {
            net,
            user,
            node,
            records,
        } = fact
            && let Some((since, first)) = self.registered.get(&(*net, *user, *node))
        {
            let took = now.since(*since).nanos();
            let here = self.of.get(&(*node, *user)).copied().unwrap_or(0);
            let moved = (took, here.max(records.len()), *first);
            self.moved.entry((*net, *user, *node)).or_insert(moved);
        }
    }

    /// All measures; none for protocols that tell no facts.
    pub(super) fn summarise(&self, measured: &Measured) -> Vec<Measure> {
        let dishonest = &measured.dishonest;
        // Who keeps no chain keeps records.
        let keepers = measured.chains.iter().filter(|chain| chain.is_none());
        let keepers = keepers.count();
        let mut all = Vec::new();
        if !self.listed.is_empty() {
            self.summarise_sharing(keepers, &mut all);
        }
        for (epoch, (serving, credit)) in &self.drawn {
            let at = Some(f64::from(*epoch));
            let liars = serving.iter().filter(|n| dishonest.contains(n.index()));
            let share = 100.0 * liars.count() as f64 / serving.len().max(1) as f64;
            all.push(measure("liars-serving-%", at, share));
            let points = credit.iter().enumerate();
            let (lying, honest): (Vec<_>, Vec<_>) =
                points.partition(|(node, _)| dishonest.contains(*node));
            for (name, of) in [("credit-of-honest", honest), ("credit-of-liars", lying)] {
                let sum: u64 = of.iter().map(|(_, points)| u64::from(**points)).sum();
                if !of.is_empty() {
                    all.push(measure(name, at, sum as f64 / of.len() as f64));
                }
            }
        }
        all
    }

    fn summarise_sharing(&self, keepers: usize, all: &mut Vec<Measure>) {
        let records = self.listed.len() as f64;
        let stored: u64 = self.kept.values().map(|bytes| u64::from(*bytes)).sum();
        let sizes: BTreeMap<RecordId, u32> =
            self.kept.iter().map(|((_, rid), b)| (*rid, *b)).collect();
        let whole: u64 = sizes.values().map(|bytes| u64::from(*bytes)).sum();
        let kib = |bytes: u64, by: usize| bytes as f64 / 1024.0 / by.max(1) as f64;
        all.push(measure("records", None, records));
        all.push(measure("records-kib", None, kib(whole, 1)));
        all.push(measure("stored-kib-each", None, kib(stored, keepers)));
        let transfers = self.handed;
        let signed = self.registered.len() as u64 + self.asked;
        all.push(measure(
            "transfers-per-record",
            None,
            transfers as f64 / records,
        ));
        all.push(measure(
            "approvals-per-record",
            None,
            signed as f64 / records,
        ));
        if transfers > 0 {
            let each = signed as f64 / transfers as f64;
            all.push(measure("approvals-per-transfer", None, each));
        }
        for (name, (sum, count)) in [("delivery-ms", self.delivery), ("index-lag-ms", self.lag)] {
            if count > 0 {
                all.push(measure(name, None, sum as f64 / 1e6 / count as f64));
            }
        }
        let mut by_size: BTreeMap<(bool, u32), (u128, u64)> = BTreeMap::new();
        for (took, records, across) in self.moved.values().filter(|(_, records, _)| *records > 0) {
            // Migrations of like size together: twice as many records, another class.
            let class = by_size.entry((*across, records.ilog2())).or_default();
            class.0 += u128::from(*took);
            class.1 += 1;
        }
        for ((across, class), (took, count)) in by_size {
            let name = if across {
                "migration-across-ms"
            } else {
                "migration-ms"
            };
            let took = in_ms(u64::try_from(took / u128::from(count)).unwrap_or(u64::MAX));
            // In the middle of its class, so that runs can be compared.
            let size = libm::round(libm::pow(2.0, f64::from(class)) * 1.41);
            all.push(measure(name, Some(size), took));
        }
        for percent in LOSSES {
            // A record is lost if all its hospitals lose it, each by itself.
            let lost = self.listed.values();
            let lost = lost.map(|(_, nodes)| libm::pow(percent / 100.0, nodes.len() as f64));
            let share = 100.0 * lost.sum::<f64>() / records;
            all.push(measure("lost-%", Some(percent), share));
        }
    }
}

fn add(sum: &mut (u128, u64), nanos: u64) {
    sum.0 += u128::from(nanos);
    sum.1 += 1;
}

fn measure(name: &'static str, at: Option<f64>, value: f64) -> Measure {
    Measure { name, at, value }
}
