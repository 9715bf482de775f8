//! What a stage prints when a story asks how things stand.

use super::stage::Stage;
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::chain::{Block, Executed, TransactionId};
use crate::protocol::Protocol;

impl<P: Protocol> Stage<P> {
    /// Prints what every replica says of itself.
    pub fn print_status(&mut self) {
        for node in (0..self.n()).map(NodeId::at) {
            let status = self.status_of(node);
            let line = match (self.is_up(node), status.leads, status.leader) {
                (false, _, _) => format!("{node} is down"),
                (true, true, _) => format!("{node} leads view {}", status.view),
                (true, false, Some(leader)) => {
                    format!("{node} follows {leader} in view {}", status.view)
                }
                (true, false, None) => format!("{node} knows no leader in view {}", status.view),
            };
            self.answer(&line);
        }
    }

    /// Prints what every ledger holds, block by block; dots stand for an adopted snapshot.
    pub fn print_chain(&mut self) {
        for node in (0..self.n()).map(NodeId::at) {
            let ledger = self.ledger(node);
            let held: Vec<String> = (1..=ledger.height())
                .map(|height| match ledger.block(height) {
                    Some(block) => show(block),
                    None => "…".to_owned(),
                })
                .collect();
            self.answer(format!("{node}: {}", held.join(" ")).trim_end());
        }
    }

    /// Prints whether every ledger is a prefix of the longest, or where they part.
    pub fn print_agreement(&mut self) {
        let highest = (0..self.n())
            .map(|node| self.ledger(NodeId::at(node)).height())
            .max();
        for height in 1..=highest.unwrap_or(0) {
            let mut held: Vec<(Digest, String, Vec<String>)> = Vec::new();
            for node in (0..self.n()).map(NodeId::at) {
                let Some(block) = self.ledger(node).block(height) else {
                    continue;
                };
                match held
                    .iter_mut()
                    .find(|(digest, _, _)| *digest == block.digest)
                {
                    Some((_, _, nodes)) => nodes.push(node.to_string()),
                    None => held.push((block.digest, show(block), vec![node.to_string()])),
                }
            }
            if held.len() > 1 {
                let sides: Vec<String> = held
                    .iter()
                    .map(|(_, batch, nodes)| format!("{batch} at {}", nodes.join(" ")))
                    .collect();
                self.answer(&format!("fork at height {height}: {}", sides.join(", ")));
                return;
            }
        }
        self.answer("all ledgers agree");
    }
}

/// The transactions of a block, by name; those that were executed before are marked.
pub fn show(block: &Block) -> String {
    let transactions = block.batch.transactions().iter().zip(&block.executed);
    let names: Vec<String> = transactions
        .map(|(transaction, executed)| match executed {
            Executed::Now(_) => name(transaction.id),
            Executed::Before => format!("{} again", name(transaction.id)),
        })
        .collect();
    format!("[{}]", names.join(", "))
}

/// How stories name a transaction.
pub fn name(id: TransactionId) -> String {
    format!("c#{}", id.number())
}
