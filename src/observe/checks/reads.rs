//! Whether what clients are told together could have been told by one server that does one thing
//! after the other, each between its question and its answer: *linearizability*.
//!
//! What is on the chain has its place there, and other checks see to it that nobody is told of
//! another one; so the order is known, and nothing has to be searched for. What is left are the
//! reads that are answered without an entry. Each has to see everything that clients were told of
//! before it was asked, and nothing that was decided only after it was answered; and none sees
//! less than one that was answered before it was asked. That is possible just if it is when each
//! read, in the order in which they are asked, stands at the earliest height that gives its answer.
//!
//! Where calls are endorsed before they are ordered, a read is what its endorsers make of it. These
//! may lag behind what its client was told, as in Fabric, and nothing is promised. Nor is anything
//! if some node is dishonest: what it has decided, and may answer from, is not looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chain::Chain;
use super::replay::Replay;
use super::violation::{Findings, Property, Violation};
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::chain::{Executed, Height, Transaction, TransactionId};
use crate::contract::Receipt;

/// The reads of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Reads {
    /// Executes the chain once more, if any read was answered beside it.
    genesis: Option<Box<Replay>>,
    /// What clients were told of is on the chain up to here.
    told: Height,
    /// Reads without an answer.
    asked: BTreeMap<TransactionId, Asked>,
    /// Reads that were answered beside the chain, in the order of their answers.
    answered: Vec<Read>,
}

/// A read that waits.
#[derive(Clone, Debug)]
struct Asked {
    transaction: Arc<Transaction>,
    /// What had been told when it was asked.
    floor: Height,
    /// How many reads had been answered.
    after: usize,
}

/// A read that was answered beside the chain.
#[derive(Clone, Debug)]
struct Read {
    asked: Asked,
    answer: Receipt,
    time: Time,
    client: NodeId,
    /// What had been decided anywhere when it was answered.
    ceiling: Height,
    /// The heights that give its answer.
    fits: Vec<Height>,
}

impl Reads {
    /// Nothing was asked yet of a chain that begins so.
    pub fn from(genesis: Replay) -> Self {
        Self {
            genesis: Some(Box::new(genesis)).filter(|genesis| !genesis.endorses()),
            ..Self::default()
        }
    }

    /// From now on nothing is promised, and nothing that was asked before is judged.
    pub fn give_up(&mut self) {
        *self = Self::default();
    }

    /// A client asks for something.
    pub fn ask(&mut self, transaction: &Arc<Transaction>) {
        if self.genesis.is_some() && transaction.call.reads_only() {
            let asked = Asked {
                transaction: transaction.clone(),
                floor: self.told,
                after: self.answered.len(),
            };
            self.asked.insert(transaction.id, asked);
        }
    }

    /// A client is told of something on the chain.
    pub fn told(&mut self, id: TransactionId, height: Height) {
        self.told = self.told.max(height);
        self.asked.remove(&id);
    }

    /// A client is told what it has read, when `ceiling` is decided.
    pub fn answer(
        &mut self,
        (time, client, id): (Time, NodeId, TransactionId),
        ceiling: Height,
        executed: &Executed,
    ) {
        let asked = self.asked.remove(&id);
        if let (Some(asked), Executed::Now(answer)) = (asked, executed) {
            self.answered.push(Read {
                asked,
                answer: answer.clone(),
                time,
                client,
                ceiling,
                fits: Vec::new(),
            });
        }
    }

    /// The run is over: finds a place for every read.
    pub fn finish(&mut self, chain: &Chain, out: &mut Findings) {
        let Some(replay) = self.genesis.take().filter(|_| !self.answered.is_empty()) else {
            return;
        };
        let last = self.fit(*replay, chain);
        let mut order: Vec<usize> = (0..self.answered.len()).collect();
        order.sort_by_key(|read| (self.answered[*read].asked.after, *read));
        let mut places = vec![0; self.answered.len()];
        // How many answers are looked at, and the highest place of a read among them.
        let mut passed = (0, 0);
        for read in order {
            let Read { asked, fits, .. } = &self.answered[read];
            // Whatever was answered before this was asked was asked before it, and has its place.
            let before = places[passed.0..asked.after].iter().copied();
            passed = (asked.after, before.fold(passed.1, Height::max));
            let floor = asked.floor.max(passed.1);
            if let Some(place) = fits.iter().find(|height| **height >= floor) {
                places[read] = *place;
            } else if self.answered[read].ceiling <= last {
                places[read] = floor;
                out.add(self.answered[read].misplaced(floor));
            }
        }
    }

    /// Executes the chain, and finds the heights that give each answer. How far it is known.
    fn fit(&mut self, mut replay: Replay, chain: &Chain) -> Height {
        let top = self.answered.iter().map(|read| read.ceiling).max();
        let mut order: Vec<usize> = (0..self.answered.len()).collect();
        order.sort_by_key(|read| std::cmp::Reverse(self.answered[*read].asked.floor));
        let mut open: Vec<usize> = Vec::new();
        // What is wrong with the blocks was found before.
        let mut known = Findings::default();
        for height in 0..=top.unwrap_or(0) {
            if height > 0 {
                let Some((time, node, block)) = chain.decided(height) else {
                    return height - 1;
                };
                replay.execute(block, (time, node), &mut known);
            }
            while let Some(read) = order.pop_if(|read| self.answered[*read].asked.floor <= height) {
                open.push(read);
            }
            open.retain(|read| self.answered[*read].ceiling >= height);
            for read in &open {
                let read = &mut self.answered[*read];
                if replay.query(&read.asked.transaction.call) == read.answer {
                    read.fits.push(height);
                }
            }
        }
        top.unwrap_or(0)
    }
}

impl Read {
    /// That it has no place.
    fn misplaced(&self, floor: Height) -> Violation {
        let id = self.asked.transaction.id;
        let ceiling = self.ceiling;
        let told = self.fits.last().map_or_else(
            || String::from("what none of them gives"),
            |height| format!("what height {height} gives"),
        );
        Violation {
            time: self.time,
            property: Property::Linearizability,
            nodes: vec![self.client],
            height: Some(floor),
            detail: format!("{id:?} may see heights {floor} to {ceiling} and was told {told}"),
        }
    }
}
