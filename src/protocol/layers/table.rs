//! The sharing table of an edge network: who is registered where, by what right, and which records
//! there are. It follows from the chain alone, so it is equal wherever the chain is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::config::{Config, Mutant};
use super::header::{Note, Notes};
use super::meaning::{self, Meaning};
use super::message::TransactionRef;
use super::topology::{Net, Topology};
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::base::random::mix;
use crate::chain::{Block, Height, Transaction};
use crate::contract::access::Scope;
use crate::contract::message::{Content, RecordId};

/// How far a registration is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Earlier records are on their way.
    Pending,
    /// The node has what it is entitled to.
    Active,
    /// The authorisation was taken back.
    Closed,
}

/// A patient's registration at a record node.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The grant it rests on; nothing for those of the beginning.
    pub auth: Option<Arc<Transaction>>,
    /// How far it is.
    pub stage: Stage,
    /// Since when.
    pub since: Height,
    /// Records given by this right so far.
    uses: u32,
}

impl Registration {
    /// Whether it rests on this grant, and has not ended.
    pub fn is_open_by(&self, grant: &Transaction) -> bool {
        let by = self.auth.as_ref().map(|auth| auth.id);
        self.stage != Stage::Closed && by == Some(grant.id)
    }

    /// Whether its earlier records are on their way.
    pub fn is_pending(&self) -> bool {
        self.stage == Stage::Pending
    }

    /// Whether it rests on this grant, and its earlier records are on their way.
    pub fn waits_by(&self, grant: &Transaction) -> bool {
        let by = self.auth.as_ref().map(|auth| auth.id);
        self.stage == Stage::Pending && by == Some(grant.id)
    }

    /// Whether a record may be given by this right at a height.
    fn covers(
        &self,
        rid: &RecordId,
        content: &Content,
        (height, config): (Height, &Config),
    ) -> bool {
        let open = self.stage != Stage::Closed || config.lacks(Mutant::ClosedCovers);
        let Some(auth) = &self.auth else {
            return open;
        };
        let Meaning::Registration { terms, .. } = Meaning::of(auth) else {
            return false;
        };
        let scope = match &terms.scope {
            Scope::All => true,
            Scope::Kinds(kinds) => kinds.contains(&content.kind),
            Scope::Records(rids) => rids.contains(rid),
        };
        let left = terms.max_uses.is_none_or(|most| self.uses < most);
        scope && left && height <= terms.until && open
    }
}

/// A record as the table knows it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The call that entered it.
    pub transaction: Arc<Transaction>,
    /// Where in the chain.
    pub height: Height,
    /// Who is to keep it.
    pub nodes: Vec<NodeId>,
    /// The network it comes from, if another one.
    pub from: Option<Net>,
}

impl Entry {
    /// What the record is about.
    pub fn content(&self) -> &Content {
        match Meaning::of(&self.transaction) {
            Meaning::Record(content) => content,
            Meaning::Registration { .. } | Meaning::Revocation { .. } | Meaning::Nothing => {
                unreachable!("only records are entered")
            }
        }
    }
}

/// The end of a registration.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Where in the chain.
    pub height: Height,
    /// The revocation.
    pub by: Arc<Transaction>,
    /// The grant that it has ended.
    pub grant: Arc<Transaction>,
}

impl Ended {
    /// The name of the grant.
    fn auth(&self) -> Option<Digest> {
        match Meaning::of(&self.grant) {
            Meaning::Registration { auth, .. } => Some(auth),
            Meaning::Record(_) | Meaning::Revocation { .. } | Meaning::Nothing => None,
        }
    }
}

/// What a block changed.
#[derive(Clone, Debug)]
pub enum Change {
    /// A record is to be kept.
    Record(RecordId),
    /// A patient is registered at a node.
    Registered {
        /// The patient.
        user: Digest,
        /// The node.
        node: NodeId,
        /// Whether nobody else of the network has the patient's records.
        first: bool,
    },
    /// A registration has ended.
    Closed {
        /// The patient.
        user: Digest,
        /// The node.
        node: NodeId,
        /// What ended it.
        ended: Ended,
    },
    /// A migration is over.
    Moved {
        /// The patient.
        user: Digest,
        /// The node.
        node: NodeId,
        /// The earlier records that the node has.
        records: Vec<RecordId>,
        /// What nobody has.
        lost: Vec<RecordId>,
    },
}

/// Everything that a node of the network is to keep, in few numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sum {
    /// How many records, and ends of registrations.
    pub count: u64,
    /// A sum of their names, in which order does not count.
    pub names: u64,
}

impl Sum {
    /// One record more.
    pub fn add(&mut self, rid: &RecordId) {
        self.add_end(&rid.0);
    }

    /// One end more, of a registration by this grant: so one that was lost is told again.
    pub fn add_end(&mut self, grant: &Digest) {
        self.count += 1;
        self.names = self.names.wrapping_add(mix(8, grant.prefix()));
    }
}

/// The table of one network.
#[derive(Clone, Debug)]
pub struct Table {
    net: Net,
    topology: Arc<Topology>,
    config: Config,
    rows: BTreeMap<Digest, BTreeMap<NodeId, Registration>>,
    /// The grants that the contract here knows.
    grants: BTreeSet<Digest>,
    records: BTreeMap<RecordId, Entry>,
    of: BTreeMap<Digest, Vec<RecordId>>,
    due: BTreeMap<NodeId, (Sum, Vec<RecordId>)>,
    /// Other networks of patients, and since when that is known here.
    remote: BTreeMap<Digest, BTreeMap<Net, Height>>,
    lost: BTreeSet<(NodeId, RecordId)>,
    ended: BTreeMap<NodeId, Vec<Ended>>,
    pending: BTreeMap<NodeId, Vec<(Height, TransactionRef)>>,
    /// The height up to which it follows the chain.
    pub height: Height,
    /// A digest of everything that ever changed.
    pub root: u64,
}

impl Table {
    /// The table with which the chain begins.
    pub fn new(net: Net, topology: &Arc<Topology>, config: &Config) -> Self {
        Self {
            net,
            topology: topology.clone(),
            config: config.clone(),
            rows: BTreeMap::new(),
            grants: BTreeSet::new(),
            records: BTreeMap::new(),
            of: BTreeMap::new(),
            due: BTreeMap::new(),
            remote: BTreeMap::new(),
            lost: BTreeSet::new(),
            ended: BTreeMap::new(),
            pending: BTreeMap::new(),
            height: 0,
            root: 0,
        }
    }

    /// Whether a guard is left out in this test.
    pub fn lacks(&self, guard: Mutant) -> bool {
        self.config.lacks(guard)
    }

    /// Where a patient is registered in this network.
    pub fn row(&self, user: &Digest) -> BTreeMap<NodeId, Registration> {
        if let Some(row) = self.rows.get(user) {
            return row.clone();
        }
        let began = Registration {
            auth: None,
            stage: Stage::Active,
            since: 0,
            uses: 0,
        };
        let nodes = self.topology.row(user, self.net);
        nodes.into_iter().map(|n| (n, began.clone())).collect()
    }

    /// Whether a patient is registered at a node.
    pub fn lists(&self, user: &Digest, node: NodeId) -> bool {
        let row = self.row(user);
        row.get(&node).is_some_and(|r| r.stage != Stage::Closed)
    }

    /// Whether the network has decided a grant of this name.
    pub fn knows_grant(&self, grant: &Digest) -> bool {
        self.grants.contains(grant)
    }

    /// The other networks in which a patient is registered, as far as this one knows.
    pub fn elsewhere(&self, user: &Digest) -> BTreeSet<Net> {
        let homes = self.topology.homes(user).into_iter();
        let noted = self
            .remote
            .get(user)
            .into_iter()
            .flatten()
            .map(|(net, _)| *net);
        homes.chain(noted).filter(|net| *net != self.net).collect()
    }

    /// Up to which height records have to be sent to a node anew; later ones come by themselves.
    pub fn earlier(&self, user: &Digest, node: NodeId) -> Height {
        let net = self.topology.net_of(node);
        let here = self
            .rows
            .get(user)
            .and_then(|row| Some(row.get(&node)?.since));
        let there = self
            .remote
            .get(user)
            .and_then(|nets| nets.get(&net).copied());
        here.or(there).unwrap_or(Height::MAX)
    }

    /// A record that the network has decided.
    pub fn record(&self, rid: &RecordId) -> Option<&Entry> {
        self.records.get(rid)
    }

    /// The records of a patient in the order of the chain.
    pub fn records_of(&self, user: &Digest) -> &[RecordId] {
        self.of.get(user).map_or(&[], Vec::as_slice)
    }

    /// What a node is to keep.
    pub fn due(&self, node: NodeId) -> (Sum, &[RecordId]) {
        let due = self.due.get(&node);
        due.map_or((Sum::default(), &[]), |(sum, rids)| (*sum, rids))
    }

    /// Grants by which patients wait at a node for their earlier records.
    pub fn pending(&self, node: NodeId) -> &[(Height, TransactionRef)] {
        self.pending.get(&node).map_or(&[], Vec::as_slice)
    }

    /// Grants by which patients are registered at a node, and where the chain has them.
    pub fn granted(&self, node: NodeId) -> Vec<(Height, TransactionRef)> {
        let theirs = self.rows.values().filter_map(|row| row.get(&node));
        let open = theirs.filter(|registration| registration.stage != Stage::Closed);
        let by = open.filter_map(|r| Some((r.since, TransactionRef(r.auth.clone()?))));
        by.collect()
    }

    /// What has ended registrations at a node, and where in the chain.
    pub fn ended(&self, node: NodeId) -> &[Ended] {
        self.ended.get(&node).map_or(&[], Vec::as_slice)
    }

    /// The records of a patient that a node is entitled to at this height.
    pub fn entitled(&self, user: &Digest, node: NodeId) -> Vec<RecordId> {
        let row = self.row(user);
        let Some(registration) = row.get(&node) else {
            return Vec::new();
        };
        let covered = |rid: &&RecordId| {
            let entry = &self.records[*rid];
            registration.covers(rid, entry.content(), (self.height, &self.config))
        };
        self.records_of(user)
            .iter()
            .filter(covered)
            .copied()
            .collect()
    }

    /// Follows the next block.
    pub fn apply(&mut self, block: &Block) -> Vec<Change> {
        self.height = block.height;
        let mut changes = Vec::new();
        let none = Notes::default();
        let notes = block.batch.annex::<Notes>().unwrap_or(&none);
        let outcomes = block.batch.transactions().iter().zip(&block.executed);
        for (position, (transaction, executed)) in outcomes.enumerate() {
            if executed.refusal().is_some() {
                continue;
            }
            self.grants.extend(meaning::grants(transaction));
            match Meaning::of(transaction) {
                Meaning::Record(content) => {
                    self.enter(transaction, content, notes.foreign(position));
                    changes.push(Change::Record(content.rid));
                }
                Meaning::Registration { user, party, .. } => {
                    let node = self.topology.serves(&party);
                    changes.extend(self.register(user, node, transaction));
                }
                Meaning::Revocation { auth } => changes.extend(self.revoke(&auth, transaction)),
                Meaning::Nothing => {}
            }
        }
        for note in &notes.0 {
            match note {
                Note::Foreign { .. } => {}
                Note::Moved {
                    user,
                    node,
                    since,
                    lost,
                } => changes.extend(self.moved(*user, (*node, *since), lost)),
                Note::Remote { user, net } => {
                    let nets = self.remote.entry(*user).or_default();
                    nets.entry(*net).or_insert(self.height);
                }
            }
        }
        self.root = mix(self.root, block.height);
        changes
    }

    fn enter(&mut self, transaction: &Arc<Transaction>, content: &Content, from: Option<Net>) {
        let (user, rid) = (content.pid.0, content.rid);
        let mut row = self.row(&user);
        let mut nodes = Vec::new();
        let unchecked = self.config.lacks(Mutant::ScopeUnchecked);
        for (node, registration) in &mut row {
            let some = unchecked && registration.stage != Stage::Closed;
            if some || registration.covers(&rid, content, (self.height, &self.config)) {
                registration.uses += u32::from(registration.auth.is_some());
                nodes.push(*node);
            }
        }
        for custodian in self.topology.custodians(&rid.0, self.net) {
            if nodes.len() >= self.config.min_copies || self.lacks(Mutant::NoCustodians) {
                break;
            }
            let closed = row
                .get(&custodian)
                .is_some_and(|r| r.stage == Stage::Closed);
            if !closed && !nodes.contains(&custodian) {
                nodes.push(custodian);
            }
        }
        if self.rows.contains_key(&user) {
            self.rows.insert(user, row);
        }
        for node in &nodes {
            self.owe(*node, rid);
        }
        self.of.entry(user).or_default().push(rid);
        self.root = mix(self.root, rid.0.prefix());
        let entry = Entry {
            transaction: transaction.clone(),
            height: self.height,
            nodes,
            from,
        };
        self.records.insert(rid, entry);
    }

    fn owe(&mut self, node: NodeId, rid: RecordId) {
        self.root = mix(self.root, u64::from(node.0));
        let (sum, rids) = self.due.entry(node).or_default();
        sum.add(&rid);
        rids.push(rid);
    }

    fn register(&mut self, user: Digest, node: NodeId, auth: &Arc<Transaction>) -> Option<Change> {
        let mut row = self.row(&user);
        let open = |registration: &Registration| registration.stage != Stage::Closed;
        if self.topology.net_of(node) != self.net || row.get(&node).is_some_and(open) {
            return None; // Registered there before, or not of this network.
        }
        let first = !row.values().any(open);
        let registration = Registration {
            auth: Some(auth.clone()),
            stage: Stage::Pending,
            since: self.height,
            uses: 0,
        };
        row.insert(node, registration);
        let waits = (self.height, TransactionRef(auth.clone()));
        self.pending.entry(node).or_default().push(waits);
        self.rows.insert(user, row);
        self.root = mix(self.root, user.prefix() ^ u64::from(node.0));
        Some(Change::Registered { user, node, first })
    }

    fn revoke(&mut self, auth: &Digest, by: &Arc<Transaction>) -> Option<Change> {
        let rests = |registration: &Registration| {
            let grant = registration.auth.as_ref().map(|grant| Meaning::of(grant));
            matches!(grant, Some(Meaning::Registration { auth: named, .. }) if named == *auth)
        };
        let found = self.rows.iter_mut().find_map(|(user, row)| {
            let (node, registration) = row.iter_mut().find(|(_, r)| rests(r))?;
            registration.stage = Stage::Closed;
            let since = registration.since;
            Some((*user, *node, since, registration.auth.clone()?))
        });
        let (user, node, since, grant) = found?;
        let height = self.height;
        let by = by.clone();
        let end = Ended { height, by, grant };
        self.stop_waiting(node, &user, since);
        let ended = self.ended.entry(node).or_default();
        ended.push(end.clone());
        self.root = mix(self.root, !user.prefix());
        let (sum, rids) = self.due.entry(node).or_default();
        let records = &mut self.records;
        rids.retain(|rid| records[rid].content().pid.0 != user);
        *sum = Sum::default();
        rids.iter().for_each(|rid| sum.add(rid));
        let ended = ended.iter().filter_map(Ended::auth);
        ended.for_each(|auth| sum.add_end(&auth));
        for rid in self.of.get(&user).into_iter().flatten() {
            let entry = records.get_mut(rid).expect("it is entered");
            entry.nodes.retain(|holder| *holder != node);
        }
        let ended = end;
        Some(Change::Closed { user, node, ended })
    }

    /// A registration waits for nothing any more.
    fn stop_waiting(&mut self, node: NodeId, user: &Digest, since: Height) {
        let waiting = self.pending.entry(node).or_default();
        waiting.retain(|(height, grant)| {
            let of = match Meaning::of(&grant.0) {
                Meaning::Registration { user, .. } => Some(user),
                Meaning::Record(_) | Meaning::Revocation { .. } | Meaning::Nothing => None,
            };
            *height != since || of != Some(*user)
        });
    }

    fn moved(
        &mut self,
        user: Digest,
        (node, since): (NodeId, Height),
        lost: &[RecordId],
    ) -> Option<Change> {
        let entitled = self.entitled(&user, node);
        let registration = self.rows.get_mut(&user)?.get_mut(&node)?;
        let waits = registration.stage == Stage::Pending && registration.since == since;
        if !waits && !self.config.lacks(Mutant::MovedAgain) {
            return None;
        }
        registration.stage = Stage::Active;
        self.stop_waiting(node, &user, since);
        self.root = mix(self.root, u64::from(node.0) ^ 1);
        for rid in lost {
            self.lost.insert((node, *rid));
        }
        let mut records = Vec::new();
        for rid in entitled {
            if lost.contains(&rid) {
                continue;
            }
            if self.records[&rid].height <= since {
                records.push(rid);
            }
            let known = self.records[&rid].nodes.contains(&node);
            if !known {
                self.owe(node, rid);
                let entry = self.records.get_mut(&rid).expect("it is entered");
                entry.nodes.push(node);
            }
        }
        Some(Change::Moved {
            user,
            node,
            records,
            lost: lost.to_vec(),
        })
    }
}
