//! Answers of one of several chains that nobody honest had decided when they were given: a liar
//! that is merely slow may be the first to decide. Which chain is meant turns out later.

use super::Strand;
use super::chain::Answered;
use super::violation::{Findings, Property, Violation};
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::chain::{Executed, Height, TransactionId};

/// An answer whose chain is not known yet.
#[derive(Clone, Debug)]
pub(super) struct Unplaced {
    time: Time,
    client: NodeId,
    transaction: TransactionId,
    height: Height,
    executed: Executed,
}

impl Unplaced {
    /// Keeps an answer.
    pub fn of(answered: &Answered<'_>) -> Self {
        Self {
            time: answered.now,
            client: answered.client,
            transaction: answered.transaction,
            height: answered.height,
            executed: answered.executed.clone(),
        }
    }

    /// The run is over: some chain has the transaction there, or it was a lie, if all chains are
    /// that long or it was told before `due`, when everything had been decided everywhere.
    pub fn settle(&self, strands: &mut [Strand], due: Option<Time>, out: &mut Findings) {
        let (id, height) = (self.transaction, self.height);
        let has = |strand: &&mut Strand| strand.chain.has(height, id);
        if let Some(strand) = strands.iter_mut().find(has) {
            let answered = Answered {
                now: self.time,
                client: self.client,
                transaction: id,
                height,
                executed: &self.executed,
            };
            strand.chain.answer(&answered, out);
            return;
        }
        let all = strands.iter().all(|strand| strand.chain.top() >= height);
        if all || due.is_some_and(|due| self.time <= due) {
            out.add(Violation {
                time: self.time,
                property: Property::ClientView,
                nodes: vec![self.client],
                height: Some(height),
                detail: format!("{id:?} stands in no chain where its client was told"),
            });
        }
    }
}
