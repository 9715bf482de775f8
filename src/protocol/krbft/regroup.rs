//! Epochs: after so many blocks the groups are dealt anew. Everybody does so upon executing the
//! last block of an epoch, so that the groups of each block are a matter of the chain alone. Seats,
//! terms and views of an epoch are its own: what was said in another one means nothing in it.

use std::sync::Arc;

use super::council::Council;
use super::memory::Memory;
use super::message::Message;
use super::{Config, Cx, Krbft, Timer, Volatile};
use crate::base::crypto::Seats;
use crate::base::node::NodeId;
use crate::chain::Height;
use crate::protocol::iraft::{self, Iraft};
use crate::protocol::{Report, Setup, pbft};

/// Where a replica is in an epoch.
pub(super) struct Place {
    pub seats: Arc<Seats>,
    /// The number of its group.
    pub mine: usize,
    /// Its position in it.
    pub position: usize,
    /// The replica in its group, before its first start.
    pub group: Iraft,
}

impl Place {
    /// The place of a replica in an epoch.
    pub fn of(config: &Config, setup: &Setup, epoch: u64) -> Self {
        let seats = Arc::new(config.seats(&setup.committee, epoch));
        let mut groups = seats.groups().iter();
        let mine = groups.position(|group| group.contains(setup.me));
        let mine = mine.expect("everybody is in a group");
        let members = seats.groups()[mine].clone();
        let position = members.position(setup.me);
        let inner = Setup {
            committee: members,
            ..setup.clone()
        };
        let group = Iraft::nested(&config.inner(), inner);
        Self {
            group: if config.regroups() {
                group.in_terms(config.terms(epoch))
            } else {
                group
            },
            position: position.expect("this replica is in its group"),
            seats,
            mine,
        }
    }
}

/// What is said in an epoch.
pub(super) fn bound(epoch: u64, message: Message) -> Message {
    match epoch {
        0 => message,
        epoch => Message::Later {
            epoch,
            message: Box::new(message),
        },
    }
}

impl Krbft {
    /// What is said in the present epoch.
    pub(super) fn bound(&self, message: Message) -> Message {
        bound(self.durable.epoch, message)
    }

    /// The height after which the present epoch begins.
    pub(super) fn base(&self) -> Height {
        self.config.base(self.durable.epoch)
    }

    /// The committee's views in the present epoch.
    pub(super) fn views(&self) -> pbft::Views {
        self.config.views(self.durable.epoch)
    }

    /// The seats of an epoch.
    pub(super) fn seats_of(&self, epoch: u64) -> Arc<Seats> {
        if epoch == self.durable.epoch {
            return self.seats.clone();
        }
        Arc::new(self.config.seats(&self.setup.committee, epoch))
    }

    /// Whether a crash has taken blocks of earlier epochs from this replica's chain.
    pub(super) fn is_short(&self, cx: &Cx<'_>) -> bool {
        Self::height(cx) < self.base()
    }

    /// Asks for the blocks that a crash has taken.
    pub(super) fn return_to_epoch(&mut self, cx: &mut Cx<'_>) {
        if self.is_short(cx) {
            self.on_fetch_timeout(cx);
        }
    }

    /// Goes to the epoch after the one whose last block was executed.
    pub(super) fn regroup_when_due(&mut self, cx: &mut Cx<'_>) {
        let epoch = self.config.epoch_after(Self::height(cx));
        if epoch > self.durable.epoch {
            self.regroup(epoch, cx);
        }
    }

    fn regroup(&mut self, epoch: u64, cx: &mut Cx<'_>) {
        // Members of the old group still say that they have its last blocks.
        let spreads = std::mem::take(&mut self.volatile.spreads);
        if self.volatile.seated.is_some() {
            self.leave_seat(cx);
        }
        for timer in [
            iraft::Timer::Election,
            iraft::Timer::Heartbeat,
            iraft::Timer::Batch,
            iraft::Timer::Progress,
            iraft::Timer::Wait,
        ] {
            cx.cancel_timer(Timer::Group(timer));
        }
        let place = Place::of(&self.config, &self.setup, epoch);
        (self.seats, self.mine, self.position) = (place.seats, place.mine, place.position);
        self.group = place.group;
        self.committee = None;
        self.durable.epoch = epoch;
        let floor = self.config.terms(epoch).start;
        self.durable.council = Council::new(self.config.groups, floor);
        self.durable.memory = Memory::from(self.views().first);
        self.audience = self.find_audience();
        let old = std::mem::take(&mut self.volatile);
        self.volatile = Volatile {
            view: self.views().first,
            requests: old.requests,
            spreads,
            drafted: old.drafted,
            pending: old.pending,
            impatient: old.impatient,
            progressed: old.progressed,
            heard: old.heard,
            fetching: old.fetching,
            turn: old.turn,
            ..Volatile::default()
        };
        cx.persist();
        cx.report(Report::Reached("the groups are dealt anew"));
        self.start_group(cx);
    }

    /// Somebody speaks from another epoch: one of the two is behind.
    pub(super) fn on_other_epoch(&mut self, from: NodeId, epoch: u64, cx: &mut Cx<'_>) {
        if !self.config.regroups() {
            return;
        }
        if epoch > self.durable.epoch {
            self.volatile.overtaken = true;
            self.fetch(from, cx);
            return;
        }
        let told = self.volatile.hinted.get(&from);
        let due = told.is_none_or(|told| cx.now() >= *told + self.config.fetch_timeout);
        if due {
            self.volatile.hinted.insert(from, cx.now());
            cx.send(from, self.bound(Message::Regrouped));
        }
    }
}
