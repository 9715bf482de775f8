//! Watches a run and asks the oracle about every transaction on the chain.

use std::collections::{BTreeMap, BTreeSet};

use super::Oracle;
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::chain::execution::{Effects, Version};
use crate::chain::{Block, Executed, Transaction};
use crate::contract::{Code, Receipt, Rules, State};
use crate::scenario::Scenario;
use crate::scenario::run::plan;
use crate::sim::event::{Event, Observer};

/// Judges the chain block by block, each height once, and compares what the nodes have.
///
/// It also makes the state that the blocks lead to, and looks at the list of readings in it: the
/// nodes' roots say that theirs is the same.
pub struct Judge {
    oracle: Oracle,
    state: State,
    /// By the digest of its key, where each entry was written last: by block and place in it.
    written: BTreeMap<Digest, Version>,
    /// The root after every height that was judged.
    pub roots: Vec<Digest>,
    /// How far each node has come, and who came there by a snapshot.
    pub heights: BTreeMap<NodeId, u64>,
    pub installed: BTreeSet<NodeId>,
    pub accepted: BTreeMap<&'static str, u64>,
    pub refused: BTreeMap<u16, u64>,
    pub repeated: u64,
    pub objections: Vec<String>,
}

impl Judge {
    pub fn new(scenario: &Scenario) -> Self {
        let plan = plan(scenario, false).expect("the network is connected");
        let intact = Rules {
            mutant: None,
            ..plan.rules
        };
        Self {
            oracle: Oracle::new(&plan.population, intact),
            state: State::genesis(&plan.population, plan.rules),
            written: BTreeMap::new(),
            roots: Vec::new(),
            heights: BTreeMap::new(),
            installed: BTreeSet::new(),
            accepted: BTreeMap::new(),
            refused: BTreeMap::new(),
            repeated: 0,
            objections: Vec::new(),
        }
    }

    fn arrive(&mut self, node: NodeId, block: &Block) {
        self.heights.insert(node, block.height);
        let at = block.height as usize - 1;
        match self.roots.get(at) {
            Some(root) if *root == block.state => {}
            Some(_) => self
                .objections
                .push(format!("{node} is in another state at {}", block.height)),
            None if at == self.roots.len() => self.judge(block),
            None => self.objections.push(format!("nobody decided before {at}")),
        }
    }

    fn judge(&mut self, block: &Block) {
        self.roots.push(block.state);
        let transactions = block.batch.transactions().iter();
        for (position, (transaction, executed)) in transactions.zip(&block.executed).enumerate() {
            let receipt = match executed {
                Executed::Now(receipt) => receipt,
                Executed::Before => {
                    self.repeated += 1;
                    continue;
                }
            };
            match receipt {
                Receipt::Refused(code) => *self.refused.entry(code.number()).or_default() += 1,
                Receipt::Accepted | Receipt::Found(_) | Receipt::Suggested(_) => {
                    *self.accepted.entry(transaction.call.kind()).or_default() += 1;
                }
            }
            let at = Version {
                height: block.height,
                position: position as u32,
            };
            let judged = match &transaction.endorsement {
                None => self.ordered(block.height, transaction, receipt),
                Some(endorsement) => {
                    self.endorsed(at, transaction, (&endorsement.effects, receipt))
                }
            };
            self.objections.extend(judged.err());
        }
        self.audit(block);
    }

    /// A call that is executed where it is ordered.
    fn ordered(
        &mut self,
        height: u64,
        transaction: &Transaction,
        receipt: &Receipt,
    ) -> Result<(), String> {
        self.state.apply(height, &transaction.call);
        self.oracle.check(height, &transaction.call, receipt)
    }

    /// A call that was simulated before: it is valid if nothing that it read was written since,
    /// and then it has to be what the rules say of it.
    fn endorsed(
        &mut self,
        at: Version,
        transaction: &Transaction,
        (effects, receipt): (&Effects, &Receipt),
    ) -> Result<(), String> {
        let written = |digest: &Digest| self.written.get(digest).copied().unwrap_or_default();
        let mut reads = effects.reads.iter();
        let stale = reads.any(|(key, version)| written(&key.digest()) != *version);
        let (id, call) = (transaction.id, &transaction.call);
        match receipt {
            Receipt::Refused(Code::MvccConflict) if stale => return Ok(()),
            Receipt::Refused(Code::PhantomConflict) if !stale && !effects.scans.is_empty() => {
                return Ok(());
            }
            Receipt::Refused(code) => return Err(format!("nothing makes {id:?} {code}")),
            Receipt::Accepted | Receipt::Found(_) | Receipt::Suggested(_) if stale => {
                return Err(format!("{id:?} relies on what has changed"));
            }
            Receipt::Accepted | Receipt::Found(_) | Receipt::Suggested(_) => {}
        }
        self.state.commit(at.height, &effects.writes);
        let keys = effects.writes.iter().map(|write| write.key().digest());
        self.written.extend(keys.map(|key| (key, at)));
        let heights = (effects.height(), at.height);
        self.oracle.check_endorsed(heights, call, receipt)
    }

    /// The list of readings is the one there has to be, from its beginning on: what was listed
    /// once stays so.
    fn audit(&mut self, block: &Block) {
        self.state.seal();
        let height = block.height;
        if self.state.root() != block.state {
            let objection = format!("the blocks up to {height} lead to another state");
            self.objections.push(objection);
        }
        let listed = self.state.audit().iter();
        let listed = listed.map(|access| (access.by, access.rid, access.gid, access.height));
        let due = self.oracle.readings().iter();
        let due = due.map(|reading| (reading.by, reading.rid, reading.gid, reading.height));
        if !listed.eq(due) {
            let objection = format!("at {height} the list of readings is another");
            self.objections.push(objection);
        }
    }

    /// How many readings are listed.
    pub fn readings(&self) -> usize {
        self.oracle.readings().len()
    }
}

impl Observer for Judge {
    fn on_event(&mut self, _: Time, node: NodeId, event: &Event) {
        match event {
            Event::Decided { block } => self.arrive(node, block),
            Event::Installed { block } => {
                self.installed.insert(node);
                self.arrive(node, block);
            }
            _ => {}
        }
    }
}
