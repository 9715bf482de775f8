//! How a node begins, and begins again after a crash.

use super::between::Counter;
use super::config::Mutant;
use super::edge::Desk;
use super::index::Inter;
use super::table::Table;
use super::topology::Role;
use super::{Cx, Layers, Timer, Volatile};
use crate::chain::Height;

/// Blocks of which observers hear again after a crash.
const TOLD_AGAIN: Height = 32;

impl Layers {
    /// Boot, or return from a crash: what follows from the chain is made anew.
    pub(super) fn start(&mut self, cx: &mut Cx<'_>) {
        self.volatile = Volatile::default();
        match self.role {
            Role::Consensus => {
                let table = Table::new(self.net, &self.topology, &self.config);
                self.desk = Some(Desk::new(table));
                self.follow_chain(cx);
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

    /// Follows the chain from its beginning. Observers hear again of the last blocks: the crash may
    /// have come when these were on disk and nobody had been told.
    fn follow_chain(&mut self, cx: &mut Cx<'_>) {
        let top = cx.ledger().height();
        for height in 1..=top {
            let block = cx.ledger().block(height).expect("the chain has no gap");
            let block = block.clone();
            let changes = self.desk().table.apply(&block);
            if top - height < TOLD_AGAIN {
                self.report_changes(&block, &changes, cx);
            }
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
