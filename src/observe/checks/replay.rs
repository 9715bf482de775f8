//! Judges what the contract did: executes every block of the canonical chain once more, on a state
//! that no node knows, and holds the nodes' blocks against it.
//!
//! The blocks are executed in order, as far as all before them were seen; a block that only a
//! snapshot brought is waited for. Before each change is made it is looked at by itself, and the
//! state as a whole at the end.

use std::collections::BTreeMap;

use super::violation::{Findings, Property, Violation};
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::chain::by_transaction::ByTransaction;
use crate::chain::execution::{Execution, Version, Versions, validate};
use crate::chain::ledger::Executor;
use crate::chain::{Block, Executed, Height, Transaction, TransactionId};
use crate::contract::invariants::Broken;
use crate::contract::{Key, Receipt, SignedCall, State};

/// Answers to searches that are all looked at; of those that come later one in [`ANSWERS_STEP`]:
/// looking takes as long as searching, and what tells a name in one tells it in the next.
const ANSWERS_ALL: u64 = 2_000;
/// See [`ANSWERS_ALL`].
const ANSWERS_STEP: u64 = 8;

/// Records whose signatures are verified anew at the end of a run.
const VERIFIED_MAX: usize = 32;

/// The chain executed by somebody who takes no part.
#[derive(Clone, Debug)]
pub(super) struct Replay {
    state: State,
    execution: Execution,
    versions: Versions<Key>,
    executed: ByTransaction<()>,
    /// Searches that are not answered.
    searches: BTreeMap<TransactionId, SignedCall>,
    /// Answers to searches so far.
    answers: u64,
    height: Height,
    /// Whether the nodes came to another state, after which nothing can be compared.
    parted: bool,
}

impl Replay {
    /// Nothing is executed yet.
    pub fn new(executor: &Executor) -> Self {
        let (genesis, execution) = executor.beginning();
        Self {
            state: genesis.clone(),
            execution: execution.clone(),
            versions: Versions::default(),
            executed: ByTransaction::new(),
            searches: BTreeMap::new(),
            answers: 0,
            height: 0,
            parted: false,
        }
    }

    /// The height of the next block to execute; nothing if there is no use in it.
    pub fn next(&self) -> Option<Height> {
        (!self.parted).then_some(self.height + 1)
    }

    /// Executes the next block, which a node decided first at a time.
    pub fn execute(&mut self, block: &Block, (time, by): (Time, NodeId), out: &mut Findings) {
        self.height += 1;
        let breach = |property, detail| Violation {
            time,
            property,
            nodes: vec![by],
            height: Some(block.height),
            detail,
        };
        let told = block.batch.transactions().iter().zip(&block.executed);
        for (position, (transaction, told)) in told.enumerate() {
            if self.executed.get(transaction.id).is_some() {
                continue;
            }
            self.executed.insert(transaction.id, ());
            let (receipt, broken) = self.step(transaction, position);
            for (invariant, detail) in broken {
                out.add(breach(Property::Contract(invariant), detail));
            }
            let id = transaction.id;
            // Whether it should have been executed here at all is another question.
            if let Executed::Now(told) = told
                && *told != receipt
            {
                let detail = format!("{id:?} comes to something else when it is executed again");
                out.add(breach(Property::Replay, detail));
            }
        }
        self.state.seal();
        if self.state.root() != block.state {
            self.parted = true;
            let (mine, theirs) = (self.state.root(), block.state);
            let detail = format!("executed again the block leads to {mine:?} and not {theirs:?}");
            out.add(breach(Property::Replay, detail));
        }
    }

    /// Executes one transaction, and tells what is wrong with what it changes.
    fn step(&mut self, transaction: &Transaction, position: usize) -> (Receipt, Vec<Broken>) {
        let (height, call) = (self.height, &transaction.call);
        let (policy, keyring) = match &self.execution {
            Execution::OrderExecute => {
                let (receipt, writes) = self.state.plan(height, call);
                let broken = self.state.wrong_writes(height, call, (&receipt, &writes));
                self.state.commit(height, &writes);
                return (receipt, broken);
            }
            Execution::Validate { policy, keyring } => (policy, keyring),
        };
        let endorsement = transaction.endorsement.as_ref();
        let broken = endorsement.map(|endorsement| {
            let effects = &endorsement.effects;
            let planned = (&effects.receipt, &effects.writes[..]);
            // What was in time when it was endorsed is, however long it took to be ordered.
            self.state.wrong_writes(effects.height(), call, planned)
        });
        let at = Version {
            height,
            position: position as u32,
        };
        let (state, versions) = (&mut self.state, &mut self.versions);
        let receipt = validate(transaction, (policy, keyring), at, state, versions);
        // What is not valid does not take effect, and need not be right.
        let broken = broken.filter(|_| !matches!(receipt, Receipt::Refused(_)));
        (receipt, broken.unwrap_or_default())
    }

    /// Whether calls are endorsed before they are ordered.
    pub fn endorses(&self) -> bool {
        matches!(self.execution, Execution::Validate { .. })
    }

    /// What a read of the state as it is now is told.
    pub fn query(&self, call: &SignedCall) -> Receipt {
        self.state.query(self.height, call)
    }

    /// A client asks for something.
    pub fn asked(&mut self, transaction: &Transaction) {
        if transaction.call.search().is_some() {
            self.searches
                .insert(transaction.id, transaction.call.clone());
        }
    }

    /// A client is told something. Some searches are answered beside the chain, so what is looked
    /// at is what clients are told and not what is in blocks.
    pub fn told(&mut self, id: TransactionId, executed: &Executed) -> Option<Broken> {
        let call = self.searches.remove(&id)?;
        match executed {
            Executed::Now(Receipt::Found(answer)) => {
                self.answers += 1;
                let looks =
                    self.answers <= ANSWERS_ALL || self.answers.is_multiple_of(ANSWERS_STEP);
                let query = call.search().filter(|_| looks)?;
                self.state.betrayal(query, answer)
            }
            Executed::Now(Receipt::Accepted | Receipt::Suggested(_) | Receipt::Refused(_))
            | Executed::Before => None,
        }
    }

    /// The run is over: looks at the state as a whole.
    pub fn finish(&self, end: Time, out: &mut Findings) {
        for (invariant, detail) in self.state.violated_invariants(VERIFIED_MAX) {
            out.add(Violation {
                time: end,
                property: Property::Contract(invariant),
                nodes: Vec::new(),
                height: Some(self.height),
                detail,
            });
        }
    }
}
