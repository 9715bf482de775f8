//! Where a grant is: it is decided in the network where its receiver works, so what refers to it,
//! and its end above all, is looked for there.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::config::Mutant;
use super::meaning;
use super::topology::Net;
use super::{Cx, Layers, Message};
use crate::base::node::{Committee, NodeId};
use crate::base::time::Time;
use crate::chain::{Transaction, TransactionId};

/// A call that refers to a grant which the network of whoever asks does not know.
#[derive(Clone, Debug)]
pub struct Sought {
    id: TransactionId,
    /// When the other networks were asked last.
    asked: Option<Time>,
    /// Who does not know the grant either.
    denied: BTreeSet<NodeId>,
    /// Whether another consensus node of this network has passed it on.
    passed: bool,
}

/// Calls of which the networks are asked at a time, at most.
const SOUGHT_MAX: usize = 1_000;

impl Layers {
    /// Whether a call refers to a grant that this node's network has decided.
    pub(super) fn knows_grant(&self, transaction: &Transaction) -> bool {
        let grant = meaning::cites(transaction);
        let desk = self.desk.as_ref().zip(grant);
        desk.is_some_and(|(desk, grant)| desk.table.knows_grant(&grant))
    }

    /// Whether a call refers to a grant that this network does not know, and another one may.
    pub(super) fn lacks_grant(&self, transaction: &Transaction, cx: &Cx<'_>) -> bool {
        let several = self.topology.edges() > 1 && !self.mutant(Mutant::NeverSeek);
        let refers = several && meaning::cites(transaction).is_some();
        refers && !self.knows_grant(transaction) && !cx.includes(transaction.id)
    }

    /// A call refers to a grant that this network does not know. The network of whoever asks passes
    /// it on to the others; a consensus node of another network from which it comes does not know
    /// the grant either, or it would not come.
    pub(super) fn seek(&mut self, from: NodeId, transaction: &Arc<Transaction>, cx: &mut Cx<'_>) {
        let asker = meaning::asker(transaction).unwrap_or(transaction.digest);
        let home = self.topology.home(&asker) == self.net;
        let net = self.topology.net_of(from);
        let consensus = self.topology.edge(net).consensus.contains(from);
        match (home, consensus && net != self.net) {
            (true, other) => {
                let passed = consensus && net == self.net && from != cx.me();
                let denied = other.then_some(from);
                self.look_elsewhere(denied, passed, transaction, cx);
            }
            (false, true) => cx.send(from, Message::Forward(transaction.clone())),
            (false, false) => {}
        }
    }

    /// Passes a call on to those who may know the grant, and have the call decided if they do. Once
    /// so many do not that the others of their networks decide nothing without them, nobody does.
    fn look_elsewhere(
        &mut self,
        denied: Option<NodeId>,
        passed: bool,
        transaction: &Arc<Transaction>,
        cx: &mut Cx<'_>,
    ) {
        let (now, patience) = (cx.now(), self.config.relay_timeout);
        let mut sought = self.sought(transaction.id, passed);
        sought.denied.extend(denied);
        let nets = 0..self.topology.edges() as Net;
        let others = nets.filter(|net| *net != self.net);
        let others = others.map(|net| &self.topology.edge(net).consensus);
        let open = |consensus: &Committee| {
            let members = consensus.members().iter().copied();
            let open = members.filter(|node| !sought.denied.contains(node));
            let open: Vec<NodeId> = open.collect();
            (open.len() + self.config.edge_protocol.quorum(consensus) > consensus.n())
                .then_some(open)
        };
        let open: Vec<NodeId> = others.filter_map(open).flatten().collect();
        let passed = sought.passed;
        // Every gateway passes on what a client asks again.
        let asks = sought.asked.is_none_or(|asked| asked + patience <= now);
        if asks {
            sought.asked = Some(now);
        }
        self.volatile.sought.push_back(sought);
        if open.is_empty() {
            self.have_decided(passed, transaction, cx);
        } else if asks {
            cx.broadcast(&Committee::new(open), Message::Forward(transaction.clone()));
        }
    }

    /// What is known of a call that is looked for, which is no longer among the others then.
    fn sought(&mut self, id: TransactionId, passed: bool) -> Sought {
        let sought = &mut self.volatile.sought;
        let known = sought.iter().position(|sought| sought.id == id);
        let known = known.and_then(|place| sought.remove(place));
        if sought.len() >= SOUGHT_MAX {
            sought.pop_front();
        }
        known.unwrap_or(Sought {
            id,
            asked: None,
            denied: BTreeSet::new(),
            passed,
        })
    }
}
