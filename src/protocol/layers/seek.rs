//! Where a grant is: it is decided in the network where its receiver works, so what refers to it,
//! and its end above all, is looked for there.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::config::Agreement;
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
    /// When the other networks were asked.
    asked: Time,
    /// Who does not know the grant either.
    denied: BTreeSet<NodeId>,
    /// Whether another consensus node of this network has passed it on.
    passed: bool,
}

/// Calls of which the networks are asked at a time, at most.
const SOUGHT_MAX: usize = 1_000;

impl Layers {
    /// Whether this network does not know the grant to which a call refers, and another one may.
    pub(super) fn lacks_grant(&mut self, transaction: &Transaction, cx: &Cx<'_>) -> bool {
        let several = self.topology.edges() > 1;
        let grant = meaning::cites(transaction).filter(|_| several);
        let open = !cx.includes(transaction.id);
        open && grant.is_some_and(|grant| !self.desk().table.knows_grant(&grant))
    }

    /// A call refers to a grant that this network does not know. The network of whoever asks passes
    /// it on to the others, and has it refused when each of them has passed it back.
    pub(super) fn seek(&mut self, from: NodeId, transaction: &Arc<Transaction>, cx: &mut Cx<'_>) {
        let asker = meaning::asker(transaction).unwrap_or(transaction.digest);
        let home = self.topology.home(&asker) == self.net;
        let net = self.topology.net_of(from);
        let consensus = self.topology.edge(net).consensus.contains(from);
        match (home, consensus && net != self.net) {
            (true, true) => self.on_grant_unknown(from, transaction, cx),
            (true, false) => {
                let passed = consensus && from != cx.me();
                self.ask_for_grant(passed, transaction, cx);
            }
            (false, true) => cx.send(from, Message::Forward(transaction.clone())),
            (false, false) => {}
        }
    }

    /// Passes a call on to those who may know the grant. They have the call decided if they do.
    fn ask_for_grant(&mut self, passed: bool, transaction: &Arc<Transaction>, cx: &mut Cx<'_>) {
        let (now, patience) = (cx.now(), self.config.relay_timeout);
        let sought = &mut self.volatile.sought;
        let known = sought.iter().position(|sought| sought.id == transaction.id);
        if known.is_some_and(|place| sought[place].asked + patience > now) {
            return; // Every gateway passes on what a client asks again.
        }
        if let Some(place) = known {
            sought.remove(place);
        } else if sought.len() >= SOUGHT_MAX {
            sought.pop_front();
        }
        sought.push_back(Sought {
            id: transaction.id,
            asked: now,
            denied: BTreeSet::new(),
            passed,
        });
        for net in self.other_nets() {
            let consensus = self.topology.edge(net).consensus.clone();
            cx.broadcast(&consensus, Message::Forward(transaction.clone()));
        }
    }

    /// A consensus node of another network does not know a grant either. So many that the others
    /// of their networks decide nothing without them: nobody knows it.
    fn on_grant_unknown(&mut self, from: NodeId, transaction: &Arc<Transaction>, cx: &mut Cx<'_>) {
        let sought = &mut self.volatile.sought;
        let Some(place) = sought.iter().position(|s| s.id == transaction.id) else {
            return;
        };
        sought[place].denied.insert(from);
        let sought = &self.volatile.sought[place];
        let enough = |net: Net| {
            let consensus = &self.topology.edge(net).consensus;
            let denied = consensus.members().iter();
            let denied = denied.filter(|node| sought.denied.contains(node)).count();
            denied >= self.deciding(consensus)
        };
        if self.other_nets().into_iter().all(enough) {
            let passed = sought.passed;
            self.volatile.sought.remove(place);
            self.have_decided(passed, transaction, cx);
        }
    }

    /// How many members of an edge network decide.
    fn deciding(&self, consensus: &Committee) -> usize {
        match self.config.edge_protocol {
            Agreement::Raft => consensus.majority(),
            Agreement::Iraft | Agreement::Pbft => consensus.quorum(),
        }
    }

    fn other_nets(&self) -> Vec<Net> {
        let nets = 0..self.topology.edges() as Net;
        nets.filter(|net| *net != self.net).collect()
    }
}
