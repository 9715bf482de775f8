//! Members that wait too long for what clients ask give their leader up: a leader that only takes
//! part in the committee for show is replaced like one that is silent.

use std::sync::Arc;

use super::config::Mutant;
use super::{Cx, Krbft, Timer};
use crate::base::node::NodeId;
use crate::base::time::Span;
use crate::chain::{Batch, Transaction};
use crate::protocol::{Input, Protocol};

impl Krbft {
    /// A client waits for this.
    pub(super) fn wait_for(&mut self, transaction: Arc<Transaction>, cx: &mut Cx<'_>) {
        if self.config.group.progress_timeout == Span::ZERO {
            return;
        }
        self.volatile.pending.insert(transaction);
        if !std::mem::replace(&mut self.volatile.impatient, true) {
            self.volatile.progressed = cx.now();
            cx.set_timer(Timer::Progress, self.patience());
        }
    }

    /// Twice as long each time in a row: the leaders of other groups may be at fault.
    fn patience(&self) -> Span {
        self.config.group.progress_timeout * (1 << self.volatile.given_up.min(3))
    }

    /// A block was applied.
    pub(super) fn progressed(&mut self, batch: &Batch, cx: &Cx<'_>) {
        if self.volatile.pending.has_unsettled() {
            self.volatile.pending.settle(batch);
        }
        self.volatile.progressed = cx.now();
        self.group.praise_leader();
        if !batch.is_empty() {
            self.volatile.given_up = 0;
        }
    }

    pub(super) fn on_progress_timeout(&mut self, cx: &mut Cx<'_>) {
        self.volatile.impatient = false;
        if !self.volatile.pending.has_unsettled() {
            return;
        }
        self.volatile.impatient = true;
        let due = self.volatile.progressed + self.patience();
        if cx.now() < due {
            cx.set_timer(Timer::Progress, due - cx.now());
            return;
        }
        if !self.group.status().leads {
            self.denounce(cx);
        }
        self.volatile.given_up += 1;
        cx.set_timer(Timer::Progress, self.patience());
    }

    /// Complains of the leader to the group.
    fn denounce(&mut self, cx: &mut Cx<'_>) {
        self.nest_group(|group, cx| group.denounce(cx), cx);
    }

    /// Has the group know that this replica lets a member lead no more.
    pub(super) fn bar(&mut self, member: NodeId, cx: &mut Cx<'_>) {
        if self.members().contains(member) && !self.config.broken(Mutant::ConvictedLead) {
            self.nest_group(|group, cx| group.bar(member, cx), cx);
        }
    }

    /// The replica begins in its group, and remembers whom it lets lead no more.
    pub(super) fn start_group(&mut self, cx: &mut Cx<'_>) {
        self.run_group(Input::Start, cx);
        for member in self.durable.disowned.clone() {
            self.bar(member, cx);
        }
    }
}
