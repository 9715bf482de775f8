//! The reference kernel: one binary heap of everything that will happen, in the canonical order
//! (time, destination, origin, the origin's count). Slow and obvious; every scenario must give the
//! same fingerprint here and in [`super::window`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::event::Observer;
use super::limit::{self, Load};
use super::message::{Post, Stored};
use super::{Desk, Ended, Simulation};
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::protocol::Protocol;

/// The canonical order. The rank is 0 for changes from outside, 1 + origin for everything else; a
/// node's timers count as messages to itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    time: Time,
    to: NodeId,
    rank: u32,
    count: u64,
}

#[derive(Debug)]
struct Entry<M> {
    key: Key,
    /// A message, or nothing when the host itself has something to do.
    message: Option<Arc<Stored<M>>>,
}

impl<M> PartialEq for Entry<M> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}
impl<M> Eq for Entry<M> {}
impl<M> PartialOrd for Entry<M> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<M> Ord for Entry<M> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

/// Copies of the message being sent wait here until the message itself is known.
#[derive(Debug)]
struct Heap<M> {
    entries: BinaryHeap<Reverse<Entry<M>>>,
    copies: Vec<Key>,
    /// What the messages of all entries take.
    bytes: u64,
    /// The latest wake-up entered for each host, so that most are entered once.
    woken: Vec<Time>,
}

impl<M> Post<M> for Heap<M> {
    fn copy(&mut self, from: NodeId, count: u64, to: NodeId, arrival: Time) {
        self.copies.push(Key {
            time: arrival,
            to,
            rank: u32::from(from.0) + 1,
            count,
        });
    }

    fn message(&mut self, _from: NodeId, stored: Stored<M>) {
        let message = Arc::new(stored);
        self.bytes += self.copies.len() as u64 * limit::bytes_of(&message);
        for key in self.copies.drain(..) {
            self.entries.push(Reverse(Entry {
                key,
                message: Some(message.clone()),
            }));
        }
    }
}

impl<M> Heap<M> {
    /// What is on its way, as if no two copies shared a message.
    fn load(&self) -> Load {
        let copies = self.entries.len() as u64;
        let entries = copies * size_of::<Entry<M>>() as u64;
        let bytes = entries + self.bytes;
        Load { copies, bytes }
    }

    /// Wakes a host when it has something to do by itself; a wake-up that is no longer true is
    /// passed over when its time comes.
    fn wake<P: Protocol>(&mut self, simulation: &mut Simulation<P>, to: NodeId) {
        let host = simulation.host_mut(to);
        let time = host.next_internal();
        if time < Time::MAX && self.woken[to.index()] != time {
            self.woken[to.index()] = time;
            let control = host.internal_precedes(time, NodeId(0));
            let rank = if control { 0 } else { u32::from(to.0) + 1 };
            let key = Key {
                time,
                to,
                rank,
                count: 0,
            };
            self.entries.push(Reverse(Entry { key, message: None }));
        }
    }
}

/// Runs a simulation to its end.
pub fn run<P: Protocol>(mut simulation: Simulation<P>, observer: &mut dyn Observer) -> Ended {
    let hosts = simulation.places.len();
    let woken = vec![Time::MAX; hosts];
    let mut heap = Heap {
        entries: BinaryHeap::new(),
        copies: Vec::new(),
        bytes: 0,
        woken,
    };
    let width = 1 << simulation.window_bits();
    let until = simulation.world.until;
    for host in 0..hosts {
        heap.wake(&mut simulation, NodeId::at(host));
    }
    let mut exhausted = None;
    while exhausted.is_none() {
        let next = heap
            .entries
            .peek()
            .map_or(Time::MAX, |Reverse(entry)| entry.key.time);
        let outage = simulation
            .leader_outages
            .first()
            .map_or(Time::MAX, |o| o.during.from);
        let window_of = |time: Time| Time::from_nanos(time.nanos() / width * width);
        if outage < until && window_of(outage) <= next {
            let start = window_of(outage);
            simulation.crash_leaders(start, Time::from_nanos(start.nanos() + width));
            heap.woken.fill(Time::MAX);
            for host in 0..hosts {
                heap.wake(&mut simulation, NodeId::at(host));
            }
            continue;
        }
        if next >= until {
            break;
        }
        let Reverse(entry) = heap.entries.pop().expect("there is a next entry");
        let time = entry.key.time;
        if let Some(group) = handle(&mut simulation, &mut heap, entry) {
            simulation.collect(group);
            simulation.tell(time, observer);
        }
        exhausted = simulation.gauge.read(time, 1, || heap.load());
    }
    let in_flight = heap
        .entries
        .iter()
        .filter(|Reverse(entry)| entry.message.is_some())
        .count();
    simulation.end(in_flight as u64, exhausted, observer)
}

/// Handles one entry; the group it concerned, or nothing if it was a stale wake-up.
fn handle<P: Protocol>(
    simulation: &mut Simulation<P>,
    heap: &mut Heap<P::Message>,
    Entry { key, message }: Entry<P::Message>,
) -> Option<usize> {
    let place = simulation.places[key.to.index()];
    let group = &mut simulation.groups[place.group as usize];
    let host = &mut group.hosts[place.position as usize];
    let desk = &mut Desk {
        world: &simulation.world,
        local: &mut group.local,
        post: &mut *heap,
    };
    match message {
        Some(stored) => {
            let from = NodeId::at(key.rank as usize - 1);
            desk.post.bytes -= limit::bytes_of(&stored);
            host.deliver(key.time, from, &stored, desk);
        }
        None if host.next_internal() == key.time => {
            desk.post.woken[key.to.index()] = Time::MAX;
            host.run_internal(desk);
        }
        None => return None,
    }
    heap.wake(simulation, key.to);
    Some(place.group as usize)
}
