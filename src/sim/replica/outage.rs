//! How a node stops and comes back.

use super::{Control, ReplicaHost};
use crate::base::time::{Span, Time, Window};
use crate::chain::ledger::Ledger;
use crate::protocol::{Input, Protocol};
use crate::sim::event::Event;
use crate::sim::message::Post;
use crate::sim::{Desk, Disk, Outage};

impl<P: Protocol> ReplicaHost<P> {
    /// Plans an outage, which begins no earlier than the present. Where one outage ends in the
    /// instant in which another begins, the node stays down.
    pub(in crate::sim) fn plan_outage(&mut self, outage: &Outage) {
        let (from, until) = (outage.during.from, outage.during.until);
        let earlier = |(time, control): &(Time, Control)| {
            *time < from || (*time == from && !matches!(control, Control::Up))
        };
        let place = self.controls.partition_point(earlier);
        self.controls
            .insert(place, (from, Control::Down(outage.disk)));
        if let Some(until) = until {
            let place = self.controls.partition_point(|(time, _)| *time <= until);
            self.controls.insert(place, (until, Control::Up));
        }
        self.look_ahead();
    }

    /// Plans an outage of a node that was not told of it in time: it begins once all is done that
    /// is carried out already, since nothing of that can be undone. If it should be over by then,
    /// it lasts as long from then on. When it begins.
    pub(in crate::sim) fn surprise(&mut self, outage: &Outage) -> Time {
        let mut outage = *outage;
        let Window { from, until } = outage.during;
        let first = self.worked_until + Span::from_nanos(1);
        outage.during.from = from.max(first);
        let over = until.filter(|until| *until <= outage.during.from);
        if let Some(until) = over {
            outage.during.until = Some(outage.during.from + until.since(from));
        }
        self.plan_outage(&outage);
        outage.during.from
    }

    /// An outage begins. A node that is down already has nothing to lose but its disk.
    pub(super) fn go_down<S>(&mut self, at: Time, disk: Disk, desk: &mut Desk<'_, P, S>) {
        self.outages += 1;
        if self.up || disk == Disk::Lost {
            self.crash(at, disk, desk);
        }
    }

    /// An outage ends, and with the last one the node returns.
    pub(super) fn come_back<S: Post<P::Message>>(&mut self, at: Time, desk: &mut Desk<'_, P, S>) {
        self.outages -= 1;
        if self.outages == 0 {
            self.restart(at, desk);
        }
    }

    /// Stops: what is volatile is gone when the node returns, and so is what the disk loses.
    fn crash<S>(&mut self, at: Time, disk: Disk, desk: &mut Desk<'_, P, S>) {
        self.unite();
        let was_up = std::mem::replace(&mut self.up, false);
        self.halted = false;
        self.timers.clear();
        self.look_ahead();
        let image = self.image.take();
        let adopting = std::mem::take(&mut self.adopting);
        match disk {
            Disk::Keep | Disk::Unsynced if self.comes_back_as_copied() => {}
            // A snapshot and the log after it are written as one: the crash comes after that.
            Disk::Keep | Disk::Unsynced if adopting => {
                let head = self.ledger.head().cloned();
                let unseen = head.filter(|block| block.height > self.executed);
                self.executed = self.ledger.height();
                self.synced = self.executed;
                if let Some(block) = unseen {
                    self.observe(at, desk.local, Event::Installed { block });
                }
            }
            Disk::Keep => self.ledger.truncate(self.executed),
            Disk::Unsynced => {
                if let Some(image) = image {
                    self.protocol = image;
                }
                self.ledger.truncate(self.synced);
                self.executed = self.ledger.height();
            }
            Disk::Lost => {
                self.protocol = desk.world.replica(self.id);
                self.ledger = Ledger::new();
                self.executed = 0;
                self.synced = 0;
            }
        }
        self.amnesia |= disk == Disk::Lost;
        if was_up {
            self.observe(at, desk.local, Event::Crashed);
        }
    }

    pub(super) fn restart<S: Post<P::Message>>(&mut self, at: Time, desk: &mut Desk<'_, P, S>) {
        self.up = true;
        self.ingress_free = at;
        if !desk.world.machine.shared {
            desk.local.processors[self.processor].restart(at);
        }
        let height = self.ledger.height();
        let amnesia = std::mem::take(&mut self.amnesia);
        self.observe(at, desk.local, Event::Restarted { height, amnesia });
        self.step(at, Input::Start, desk);
    }
}
