//! A node that crashes and returns: what is left of it.

use super::ReplicaHost;
use crate::base::time::Time;
use crate::chain::ledger::Ledger;
use crate::protocol::{Input, Protocol};
use crate::sim::event::Event;
use crate::sim::message::Post;
use crate::sim::{Desk, Disk};

impl<P: Protocol> ReplicaHost<P> {
    /// Stops: what is volatile is gone when the node returns, and so is what the disk loses.
    pub(super) fn crash<S>(&mut self, at: Time, disk: Disk, desk: &mut Desk<'_, P, S>) {
        self.up = false;
        self.timers.clear();
        self.look_ahead();
        let image = self.image.take();
        match disk {
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
        self.amnesia = disk == Disk::Lost;
        self.observe(at, desk.local, Event::Crashed);
    }

    /// Boots again, with what is left on the disk.
    pub(super) fn restart<S: Post<P::Message>>(&mut self, at: Time, desk: &mut Desk<'_, P, S>) {
        self.up = true;
        self.ingress_free = at;
        if !desk.world.machine.shared {
            desk.local.processors[self.processor].restart(at);
        }
        let height = self.ledger.height();
        self.observe(
            at,
            desk.local,
            Event::Restarted {
                height,
                amnesia: self.amnesia,
            },
        );
        self.step(at, Input::Start, desk);
    }
}
