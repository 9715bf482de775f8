//! Hand-made runs for the tests of observers: real ledgers, real blocks, invented events.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::chain::ledger::{Executor, Ledger};
use crate::chain::{Batch, Block, Executed, Height, Transaction, TransactionId};
use crate::contract::{SignedCall, State};
use crate::protocol::Report;
use crate::sim::event::{Event, Observer};

/// The client host of every story; the nodes come before it.
pub const CLIENT: NodeId = NodeId(9);

/// Milliseconds since the beginning.
pub fn ms(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

/// The `number`th transaction of the client.
pub fn transaction(number: u64) -> Arc<Transaction> {
    Transaction::new(
        TransactionId::new(CLIENT, number),
        SignedCall::sample(number),
    )
}

/// A batch of the client's transactions with these numbers.
pub fn batch(numbers: &[u64]) -> Batch {
    Batch::new(numbers.iter().map(|&number| transaction(number)).collect())
}

#[derive(Clone)]
/// A run told event by event. Each telling advances the clock by a millisecond.
pub struct Story {
    executor: Executor,
    /// Transactions made so far: a signature is not made twice.
    transactions: BTreeMap<u64, Arc<Transaction>>,
    /// The ledger of each node.
    pub ledgers: Vec<Ledger>,
    /// When the next event happens, in milliseconds.
    pub clock: u64,
    /// What has been told.
    pub events: Vec<(Time, NodeId, Event)>,
}

impl Story {
    /// A run of `nodes` nodes in which nothing has happened.
    pub fn new(nodes: usize) -> Self {
        Self {
            executor: Executor::new(State::default()),
            transactions: BTreeMap::new(),
            ledgers: vec![Ledger::new(); nodes],
            clock: 0,
            events: Vec::new(),
        }
    }

    /// Tells any event at a node.
    pub fn tell(&mut self, node: u16, event: Event) -> &mut Self {
        self.clock += 1;
        self.events.push((ms(self.clock), NodeId(node), event));
        self
    }

    /// The client submits the transactions with these numbers.
    pub fn submit(&mut self, numbers: &[u64]) -> &mut Self {
        for &number in numbers {
            let transaction = self.transaction(number);
            self.tell(CLIENT.0, Event::Submitted { transaction });
        }
        self
    }

    fn transaction(&mut self, number: u64) -> Arc<Transaction> {
        let known = self.transactions.entry(number);
        known.or_insert_with(|| transaction(number)).clone()
    }

    /// The block that a node's next decision of these transactions makes, without telling it.
    pub fn block(&mut self, node: u16, numbers: &[u64]) -> Arc<Block> {
        let transactions = numbers.iter().map(|number| self.transaction(*number));
        let batch = Batch::new(transactions.collect());
        let ledger = &mut self.ledgers[usize::from(node)];
        ledger.append(ledger.height() + 1, &batch, &mut self.executor)
    }

    /// A node decides these transactions as its next block.
    pub fn decide(&mut self, node: u16, numbers: &[u64]) -> &mut Self {
        let block = self.block(node, numbers);
        self.tell(node, Event::Decided { block })
    }

    /// A node decides this very block, whatever its ledger says.
    pub fn decide_block(&mut self, node: u16, block: &Arc<Block>) -> &mut Self {
        let block = block.clone();
        self.tell(node, Event::Decided { block })
    }

    /// The client gets this answer for a transaction that was submitted at the beginning.
    pub fn answer(&mut self, number: u64, height: Height, executed: Executed) -> &mut Self {
        let id = TransactionId::new(CLIENT, number);
        let submitted = self.events.iter().find_map(|(time, _, event)| match event {
            Event::Submitted { transaction } if transaction.id == id => Some(*time),
            _ => None,
        });
        let answered = Event::Answered {
            transaction: id,
            endorsed: None,
            submitted: submitted.unwrap_or(Time::ZERO),
            height: Some(height),
            executed,
        };
        self.tell(CLIENT.0, answered)
    }

    /// The client gets the answer that the chain of a node holds.
    pub fn answer_truly(&mut self, number: u64, height: Height, node: u16) -> &mut Self {
        let ledger = &self.ledgers[usize::from(node)];
        let block = ledger.block(height).expect("the block was decided");
        let id = TransactionId::new(CLIENT, number);
        let place = block.batch.transactions().iter().position(|t| t.id == id);
        let executed = block.executed[place.expect("the transaction is in the block")].clone();
        self.answer(number, height, executed)
    }

    /// A node reports something.
    pub fn report(&mut self, node: u16, report: Report) -> &mut Self {
        self.tell(node, Event::Reported { report })
    }

    /// A node crashes and comes back with its chain up to a height.
    pub fn restart(&mut self, node: u16, height: Height, amnesia: bool) -> &mut Self {
        self.ledgers[usize::from(node)].truncate(height);
        self.tell(node, Event::Crashed);
        self.tell(node, Event::Restarted { height, amnesia })
    }

    /// Lets time pass until this many milliseconds after the beginning.
    pub fn wait_until(&mut self, millis: u64) -> &mut Self {
        self.clock = millis - 1;
        self
    }

    /// Shows everything to an observer.
    pub fn play(&self, observer: &mut impl Observer) {
        for (time, node, event) in &self.events {
            observer.on_event(*time, *node, event);
        }
    }
}
