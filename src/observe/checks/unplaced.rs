//! Answers of one of several chains that nobody honest had decided when they were given: a liar
//! that merely repeats itself may be the first to decide. Which chain is meant turns out later.

use super::Strand;
use super::chain::{Answered, Chain};
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
        let answered = Answered {
            now: self.time,
            client: self.client,
            transaction: id,
            height,
            executed: &self.executed,
        };
        let has = |at: &usize| strands[*at].chain.has(height, id);
        if let Some(at) = says(strands, &answered).or_else(|| (0..strands.len()).find(has)) {
            strands[at].chain.answer(&answered, out);
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

/// Of several chains, the one that an answer is about: one that has the transaction there with this
/// result. If a client has given one name to two things, another one may have it there with
/// another result, and nothing is known as long as some chain is not so long.
pub(super) fn chain_of<'s>(
    strands: &'s mut [Strand],
    answered: &Answered<'_>,
) -> Option<&'s mut Chain> {
    let (height, id) = (answered.height, answered.transaction);
    let at = says(strands, answered).or_else(|| {
        let all = strands.iter().all(|strand| strand.chain.top() >= height);
        let has = |at: &usize| strands[*at].chain.has(height, id);
        (0..strands.len()).find(has).filter(|_| all)
    })?;
    Some(&mut strands[at].chain)
}

/// Which of several chains has a transaction where its client was told, with this result.
fn says(strands: &[Strand], answered: &Answered<'_>) -> Option<usize> {
    let (height, id) = (answered.height, answered.transaction);
    let result = |at: &usize| strands[*at].chain.result(height, id);
    (0..strands.len()).find(|at| result(at) == Some(answered.executed))
}
