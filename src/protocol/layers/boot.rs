//! How a node begins, and begins again after a crash.

use super::between::Counter;
use super::config::Mutant;
use super::edge::Desk;
use super::index::Inter;
use super::table::Table;
use super::topology::Role;
use super::{Cx, Layers, Timer, Volatile};

impl Layers {
    /// Boot, or return from a crash: what follows from the chain is made anew.
    pub(super) fn start(&mut self, cx: &mut Cx<'_>) {
        self.volatile = Volatile::default();
        match self.role {
            Role::Consensus => {
                let mut table = Table::new(self.net, &self.topology, &self.config);
                for height in 1..=cx.ledger().height() {
                    table.apply(cx.ledger().block(height).expect("the chain has no gap"));
                }
                self.desk = Some(Desk::new(table));
            }
            Role::Index => {
                let mut inter = Inter::new(&self.topology);
                for height in 1..=cx.ledger().height() {
                    inter.apply(cx.ledger().block(height).expect("the chain has no gap"));
                }
                self.counter = Some(Counter::new(inter));
                cx.set_timer(Timer::Relay, self.config.relay_timeout);
            }
            Role::Record => {
                cx.set_timer(Timer::Compare, self.config.compare_every);
                if self.has_begun() {
                    self.report_found(cx);
                    self.compare(cx);
                    cx.set_timer(Timer::Request, self.config.relay_timeout);
                    cx.set_timer(Timer::Migrate, self.config.migration_timeout);
                }
            }
        }
        if let Some(group) = self.durable.group.as_mut() {
            let blocks = group.start(cx);
            self.take(&blocks, cx);
        }
    }

    /// Whether a record node has anything on disk. Its first headers may be the last to come.
    fn has_begun(&self) -> bool {
        let store = &self.durable.store;
        let asked = !store.open.is_empty() || !store.registrations.is_empty();
        let any = asked || !self.durable.headers.is_empty();
        any && (store.through > 0 || !self.mutant(Mutant::NewUntilFirstHeader))
    }
}
