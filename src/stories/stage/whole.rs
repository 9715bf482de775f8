//! The stage as a whole: what tells one state from another.

use std::fmt;

use super::{Actor, Letter, Stage};
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::protocol::{Protocol, Wire as _};

impl<P: Protocol> Stage<P> {
    /// Who sent the message at this place of the queue, to whom, and what kind it is of.
    pub fn letter_at(&self, place: usize) -> (NodeId, NodeId, &'static str) {
        let letter = &self.letters[place];
        (letter.from, letter.to, letter.message.kind())
    }

    /// The message that is due first falls behind all others.
    pub fn put_behind(&mut self) {
        self.letters.rotate_left(1);
    }

    /// Writes down all that what happens next depends on, and all that it is judged by. Of time
    /// only what is left of it matters, except to replicas that remember times; and which
    /// time-outs will be drawn does not matter.
    pub fn describe(&self, into: &mut impl fmt::Write) {
        let described = self.try_describe(into);
        described.expect("a text takes everything");
    }

    fn try_describe(&self, into: &mut impl fmt::Write) -> fmt::Result {
        for actor in &self.actors {
            let Actor {
                replica,
                ledger,
                image: (written, on_disk),
                timers,
                up,
                doomed,
                random: _,
                signer: _,
            } = actor;
            let heads = [ledger, on_disk].map(|ledger| ledger.head().map(|block| block.digest));
            let ahead = |(timer, due): (&P::Timer, &Time)| (*timer, due.since(self.now));
            let timers: Vec<_> = timers.iter().map(ahead).collect();
            write!(into, "{replica:?}{heads:?}{written:?}")?;
            write!(into, "{timers:?}{up}{doomed}")?;
        }
        for Letter { from, to, message } in &self.letters {
            write!(into, "{from}{to}{message:?}")?;
        }
        for ((chain, height), (block, node)) in &self.canon {
            write!(into, "{chain} {height} {:?}{node}", block.digest)?;
        }
        write!(into, "{:?}{:?}", self.leaders, self.logs)
    }
}
