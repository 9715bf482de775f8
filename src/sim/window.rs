//! The kernel: windows of time instead of a heap of events.
//!
//! No message travels faster than the least latency of the network. Within a window not wider than
//! that, no node can influence another, so only the order of deliveries *to one node* matters.
//! Nodes are handled one after the other, their state hot in the cache, or on several threads.
//!
//! A delivery is one 64-bit key, appended to the list of its (lane, group of hosts, window): host
//! within the group, time within the window, source, the source's count. Sorting a list of keys
//! is the canonical order of each host, one host after another. Messages are stored once, in a
//! queue per sender, until their last copy has arrived. A lane is what one thread writes: with
//! several lanes nothing is shared while a window runs, and at the barrier lists change hands
//! without being copied.

use std::collections::{BTreeMap, VecDeque};

use super::event::Observer;
use super::limit::{self, Load};
use super::message::{Post, Stored};
use super::{Desk, Ended, Group, Host, Local, Place, Simulation, World};
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::protocol::Protocol;

/// How a key is divided; the same for a whole run.
#[derive(Clone, Copy, Debug)]
struct Layout {
    time_bits: u32,
    source_bits: u32,
    count_bits: u32,
}

/// The parts of a key but the host.
#[derive(Clone, Copy, Debug)]
struct Delivery {
    time: Time,
    source: NodeId,
    count: u64,
}

impl Layout {
    fn new(time_bits: u32, hosts: usize, group_hosts: usize) -> Self {
        let bits = |count: usize| usize::BITS - count.leading_zeros();
        let source_bits = bits(hosts);
        let count_bits = 64 - bits(group_hosts) - time_bits - source_bits;
        Self {
            time_bits,
            source_bits,
            count_bits,
        }
    }

    #[inline]
    fn pack(self, position: u32, arrival: Time, source: NodeId, count: u64) -> u64 {
        let offset = arrival.nanos() & ((1 << self.time_bits) - 1);
        let place = u64::from(position) << self.time_bits | offset;
        (place << self.source_bits | u64::from(source.0)) << self.count_bits | count
    }

    #[inline]
    fn unpack(self, key: u64, window: u64) -> Delivery {
        let count = key & ((1 << self.count_bits) - 1);
        let rest = key >> self.count_bits;
        let source = NodeId((rest & ((1 << self.source_bits) - 1)) as u16);
        let offset = rest >> self.source_bits & ((1 << self.time_bits) - 1);
        Delivery {
            time: Time::from_nanos(window << self.time_bits | offset),
            source,
            count,
        }
    }

    #[inline]
    fn position(self, key: u64) -> usize {
        (key >> (self.count_bits + self.source_bits + self.time_bits)) as usize
    }
}

/// Windows ahead that have a place in the ring; what lies further goes to an ordered map.
const RING: usize = 1024;

/// Bytes of a list beyond the ring with a key or two, and of its place in the map, about.
const FAR_LIST: u64 = 80;

/// The lists of one group, one a window.
#[derive(Debug)]
struct Ring {
    near: Vec<Vec<u64>>,
    far: BTreeMap<u64, Vec<u64>>,
}

/// What one thread writes while a window runs.
#[derive(Debug)]
struct Lane<M> {
    layout: Layout,
    /// The window that runs.
    window: u64,
    rings: Vec<Ring>,
    /// Which windows of the rings have a list, one bit each.
    occupied: [u64; RING / 64],
    /// Lists to be used again.
    spare: Vec<Vec<u64>>,
    fresh: Vec<(NodeId, Stored<M>)>,
    /// Where each host is, for the lane's own use.
    places: Vec<Place>,
    /// Copies in the lists.
    waiting: u64,
    /// Copies found on arrival after the end of the run.
    late: u64,
}

impl<M> Post<M> for Lane<M> {
    #[inline(always)]
    fn copy(&mut self, from: NodeId, count: u64, to: NodeId, arrival: Time) {
        assert!(
            count >> self.layout.count_bits == 0,
            "a key holds every count of a run"
        );
        let place = self.places[to.index()];
        let key = self.layout.pack(place.position, arrival, from, count);
        let window = arrival.nanos() >> self.layout.time_bits;
        let ahead = window.wrapping_sub(self.window);
        assert!(
            ahead.wrapping_sub(1) < u64::MAX / 2,
            "no message outruns the window"
        );
        self.waiting += 1;
        let ring = &mut self.rings[place.group as usize];
        if ahead < RING as u64 {
            let slot = window as usize % RING;
            self.occupied[slot / 64] |= 1 << (slot % 64);
            let list = &mut ring.near[slot];
            if list.capacity() == 0
                && let Some(spare) = self.spare.pop()
            {
                *list = spare;
            }
            list.push(key);
        } else {
            ring.far.entry(window).or_default().push(key);
        }
    }

    fn message(&mut self, from: NodeId, stored: Stored<M>) {
        self.fresh.push((from, stored));
    }
}

impl<M> Lane<M> {
    fn new(layout: Layout, groups: usize, places: Vec<Place>) -> Self {
        let ring = || Ring {
            near: (0..RING).map(|_| Vec::new()).collect(),
            far: BTreeMap::new(),
        };
        Self {
            layout,
            window: 0,
            rings: (0..groups).map(|_| ring()).collect(),
            occupied: [0; RING / 64],
            spare: Vec::new(),
            fresh: Vec::new(),
            places,
            waiting: 0,
            late: 0,
        }
    }

    /// The first window after the present one for which there is a list.
    fn next_window(&self) -> u64 {
        let near = self.next_near();
        let far = self
            .rings
            .iter()
            .filter_map(|ring| ring.far.first_key_value());
        let far = far.map(|(window, _)| *window).min().unwrap_or(u64::MAX);
        near.map_or(far, |ahead| far.min(self.window + ahead))
    }

    /// How far ahead the first window of the ring is that has a list: word by word from the slot
    /// after the present one on, and around to the present one, which has none.
    fn next_near(&self) -> Option<u64> {
        const WORDS: usize = RING / 64;
        let present = self.window as usize % RING;
        let start = (present + 1) % RING;
        let before = (1 << (start % 64)) - 1;
        (0..=WORDS).find_map(|step| {
            let index = (start / 64 + step) % WORDS;
            let seen = match step {
                0 => !before,
                WORDS => before,
                _ => u64::MAX,
            };
            let word = self.occupied[index] & seen;
            let slot = index * 64 + word.trailing_zeros() as usize;
            (word != 0).then(|| ((slot + RING - present) % RING) as u64)
        })
    }

    /// Moves to a window and takes its lists, one a group, empty where there is none.
    fn open(&mut self, window: u64, lists: &mut [Vec<Vec<u64>>]) {
        self.window = window;
        let slot = window as usize % RING;
        self.occupied[slot / 64] &= !(1 << (slot % 64));
        for (ring, lists) in self.rings.iter_mut().zip(lists) {
            let near = std::mem::take(&mut ring.near[slot]);
            if !near.is_empty() {
                self.waiting -= near.len() as u64;
                lists.push(near);
            }
            if let Some(far) = ring.far.remove(&window) {
                self.waiting -= far.len() as u64;
                lists.push(far);
            }
        }
    }

    fn in_flight(&self) -> u64 {
        self.late + self.waiting
    }

    /// Windows beyond the rings that have a list.
    fn far(&self) -> usize {
        self.rings.iter().map(|ring| ring.far.len()).sum()
    }
}

/// Messages of one sender whose copies are on the way.
#[derive(Debug)]
struct Outbox<M> {
    first: u64,
    messages: VecDeque<Stored<M>>,
    /// What they take.
    bytes: u64,
}

impl<M> Outbox<M> {
    #[inline]
    fn get(&self, count: u64) -> &Stored<M> {
        &self.messages[(count - self.first) as usize]
    }

    /// Adds a message, and forgets the oldest ones if all their copies arrived before `now`.
    fn push(&mut self, stored: Stored<M>, now: Time) {
        while let Some(oldest) = self.messages.front()
            && oldest.last < now
        {
            self.bytes -= limit::bytes_of(oldest);
            self.messages.pop_front();
            self.first += 1;
        }
        self.bytes += limit::bytes_of(&stored);
        self.messages.push_back(stored);
    }
}

/// Deliveries in a window from which on it pays to wake other threads.
const PARALLEL_MIN: usize = 800;

/// The state of the kernel itself.
#[derive(Debug)]
struct Windows<M> {
    layout: Layout,
    lanes: Vec<Lane<M>>,
    outboxes: Vec<Outbox<M>>,
    /// For each group, the lists of the window that runs, one a lane; and room to sort them.
    lists: Vec<Vec<Vec<u64>>>,
    sorters: Vec<Sorter>,
}

/// Runs a simulation to its end with so many threads.
pub(super) fn run<P: Protocol>(
    mut simulation: Simulation<P>,
    threads: usize,
    observer: &mut dyn Observer,
) -> Ended {
    let groups = simulation.groups.len();
    let lanes = threads.clamp(1, groups);
    let hosts = simulation.places.len();
    let widest = simulation
        .groups
        .iter()
        .map(|group| group.hosts.len())
        .max()
        .unwrap_or(1);
    let layout = Layout::new(simulation.window_bits(), hosts, widest);
    let lane = || Lane::new(layout, groups, simulation.places.clone());
    let mut windows: Windows<P::Message> = Windows {
        layout,
        lanes: (0..lanes).map(|_| lane()).collect(),
        outboxes: (0..hosts)
            .map(|_| Outbox {
                first: 0,
                messages: VecDeque::new(),
                bytes: 0,
            })
            .collect(),
        lists: vec![Vec::new(); groups],
        sorters: vec![Sorter::default(); groups],
    };
    let pool = (lanes > 1).then(|| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(lanes - 1);
        pool.build()
            .expect("the system grants the threads asked for")
    });
    let until = simulation.world.until;
    let mut next = Some(0);
    let mut exhausted = None;
    while let Some(window) = next {
        let start = Time::from_nanos(window << layout.time_bits);
        if start >= until {
            break;
        }
        simulation.tell(start, observer);
        let handled = windows.run_one(&mut simulation, window, pool.as_ref());
        let end = Time::from_nanos((window + 1) << layout.time_bits);
        exhausted = simulation
            .gauge
            .read(end.min(until), handled, || windows.load());
        if exhausted.is_some() {
            break;
        }
        // The last window may hold things that happen only after the end.
        next = windows
            .next_window(&simulation)
            .filter(|next| *next > window);
    }
    let in_flight = windows.lanes.iter().map(Lane::in_flight).sum();
    simulation.end(in_flight, exhausted, observer)
}

impl<M: Send + Sync> Windows<M> {
    /// What is on its way.
    fn load(&self) -> Load {
        let copies = self.lanes.iter().map(Lane::in_flight).sum();
        let far: usize = self.lanes.iter().map(Lane::far).sum();
        let messages: u64 = self.outboxes.iter().map(|outbox| outbox.bytes).sum();
        let keys = copies * size_of::<u64>() as u64 + far as u64 * FAR_LIST;
        Load {
            copies,
            bytes: keys + messages,
        }
    }

    /// The first window in which anything happens; nothing when all is over.
    fn next_window<P: Protocol<Message = M>>(&self, simulation: &Simulation<P>) -> Option<u64> {
        let copies = self
            .lanes
            .iter()
            .map(Lane::next_window)
            .min()
            .unwrap_or(u64::MAX);
        let groups = simulation.groups.iter();
        let internal = groups
            .map(|group| group.next_internal)
            .min()
            .unwrap_or(Time::MAX);
        let outage = simulation
            .leader_outages
            .first()
            .map_or(Time::MAX, |o| o.during.from);
        let own = internal.min(outage).nanos() >> self.layout.time_bits;
        let next = copies.min(own);
        (next < Time::MAX.nanos() >> self.layout.time_bits).then_some(next)
    }

    /// Runs one window; how many messages arrived in it.
    fn run_one<P: Protocol<Message = M>>(
        &mut self,
        simulation: &mut Simulation<P>,
        window: u64,
        pool: Option<&rayon::ThreadPool>,
    ) -> u64 {
        let start = Time::from_nanos(window << self.layout.time_bits);
        let end = Time::from_nanos((window + 1) << self.layout.time_bits);
        simulation.crash_leaders(start, end);
        for lane in &mut self.lanes {
            lane.open(window, &mut self.lists);
        }
        let work: usize = self.lists.iter().flatten().map(Vec::len).sum();
        let groups_a_lane = simulation.groups.len().div_ceil(self.lanes.len());
        let turn = Turn {
            world: &simulation.world,
            outboxes: &self.outboxes,
            layout: self.layout,
            window,
            end: end.min(simulation.world.until),
        };
        let chunks = simulation
            .groups
            .chunks_mut(groups_a_lane)
            .zip(self.lists.chunks_mut(groups_a_lane))
            .zip(self.sorters.chunks_mut(groups_a_lane))
            .zip(&mut self.lanes);
        let run = &|(((groups, lists), sorters), lane): Chunk<'_, P>| {
            for ((group, lists), sorter) in groups.iter_mut().zip(lists).zip(sorters) {
                if !lists.is_empty() || group.next_internal < turn.end {
                    turn.run_group(group, lists, sorter, lane);
                }
            }
        };
        match pool {
            Some(pool) if work >= PARALLEL_MIN => pool.in_place_scope(|scope| {
                // The last chunk is for this thread, which would only wait otherwise.
                let mut own = None;
                for chunk in chunks {
                    if let Some(chunk) = own.replace(chunk) {
                        scope.spawn(move |_| run(chunk));
                    }
                }
                own.into_iter().for_each(run);
            }),
            _ => chunks.for_each(run),
        }
        for lane in &mut self.lanes {
            for (from, stored) in lane.fresh.drain(..) {
                self.outboxes[from.index()].push(stored, end);
            }
        }
        for group in 0..simulation.groups.len() {
            simulation.collect(group);
        }
        work as u64
    }
}

/// What one lane works on in one window.
type Chunk<'a, P> = (
    (
        (&'a mut [Group<P>], &'a mut [Vec<Vec<u64>>]),
        &'a mut [Sorter],
    ),
    &'a mut Lane<<P as Protocol>::Message>,
);

/// One window, as all lanes see it.
struct Turn<'a, P: Protocol> {
    world: &'a World<P>,
    outboxes: &'a [Outbox<P::Message>],
    layout: Layout,
    window: u64,
    end: Time,
}

impl<P: Protocol> Turn<'_, P> {
    #[inline]
    fn desk<'a>(
        &'a self,
        local: &'a mut Local,
        post: &'a mut Lane<P::Message>,
    ) -> Desk<'a, P, Lane<P::Message>> {
        Desk {
            world: self.world,
            local,
            post,
        }
    }

    /// Handles all that happens to the hosts of one group in this window.
    fn run_group(
        &self,
        group: &mut Group<P>,
        lists: &mut Vec<Vec<u64>>,
        sorter: &mut Sorter,
        lane: &mut Lane<P::Message>,
    ) {
        sorter.sort(lists, self.layout, group.hosts.len());
        for mut list in lists.drain(..) {
            list.clear();
            lane.spare.push(list);
        }
        if self.world.machine.shared && group.hosts.len() > 1 {
            self.run_by_time(group, &mut sorter.keys, lane);
        } else {
            self.run_by_host(group, sorter, lane);
        }
        let hosts = group.hosts.iter();
        group.next_internal = hosts.map(Host::next_internal).min().unwrap_or(Time::MAX);
    }

    /// Handles one host after the other, each with its state hot in the cache.
    fn run_by_host(&self, group: &mut Group<P>, sorter: &Sorter, lane: &mut Lane<P::Message>) {
        let mut begin = 0;
        for (position, host) in group.hosts.iter_mut().enumerate() {
            let end = sorter.ends[position] as usize;
            let mine = &sorter.keys[begin..end];
            begin = end;
            for (done, &key) in mine.iter().enumerate() {
                let delivery = self.layout.unpack(key, self.window);
                if delivery.time >= self.end {
                    lane.late += (mine.len() - done) as u64;
                    break;
                }
                while host.internal_precedes(delivery.time, delivery.source) {
                    host.run_internal(&mut self.desk(&mut group.local, lane));
                }
                let stored = self.outboxes[delivery.source.index()].get(delivery.count);
                let desk = &mut self.desk(&mut group.local, lane);
                host.deliver(delivery.time, delivery.source, stored, desk);
            }
            while host.next_internal() < self.end {
                host.run_internal(&mut self.desk(&mut group.local, lane));
            }
        }
    }

    /// Handles hosts that share a machine in the order of time, as they compete for it.
    fn run_by_time(&self, group: &mut Group<P>, keys: &mut [u64], lane: &mut Lane<P::Message>) {
        let order = |key: u64| {
            let delivery = self.layout.unpack(key, self.window);
            (
                delivery.time,
                self.layout.position(key),
                delivery.source,
                delivery.count,
            )
        };
        keys.sort_unstable_by_key(|&key| order(key));
        let mut keys = keys.iter().copied().peekable();
        loop {
            let next = keys.peek().map(|&key| order(key));
            let hosts = group.hosts.iter().enumerate();
            let internal = hosts.map(|(at, host)| (host.next_internal(), at)).min();
            let (due, at) = internal.expect("a group has a host");
            let first = match next {
                None => true,
                Some((time, position, source, _)) if at == position => {
                    group.hosts[at].internal_precedes(time, source)
                }
                Some((time, position, _, _)) => (due, at) < (time, position),
            };
            if first {
                if due >= self.end {
                    break;
                }
                group.hosts[at].run_internal(&mut self.desk(&mut group.local, lane));
                continue;
            }
            let (time, position, source, count) = next.expect("a delivery comes first");
            if time >= self.end {
                break;
            }
            keys.next();
            let stored = self.outboxes[source.index()].get(count);
            let desk = &mut self.desk(&mut group.local, lane);
            group.hosts[position].deliver(time, source, stored, desk);
        }
        lane.late += keys.count() as u64;
    }
}

/// Puts the keys of a group in order.
#[derive(Clone, Debug, Default)]
struct Sorter {
    keys: Vec<u64>,
    /// For each host, where its keys end; they begin where those of the host before end.
    ends: Vec<u32>,
}

impl Sorter {
    /// Gathers all lists, host by host (a counting sort), and sorts what each host has, which is
    /// little and in the cache.
    fn sort(&mut self, lists: &[Vec<u64>], layout: Layout, hosts: usize) {
        let total: usize = lists.iter().map(Vec::len).sum();
        self.ends.clear();
        self.ends.resize(hosts, 0);
        for &key in lists.iter().flatten() {
            self.ends[layout.position(key)] += 1;
        }
        // Counts become beginnings, which advance to ends while keys are placed.
        let mut begin = 0;
        for end in &mut self.ends {
            begin += std::mem::replace(end, begin);
        }
        self.keys.clear();
        self.keys.resize(total, 0);
        for &key in lists.iter().flatten() {
            let place = &mut self.ends[layout.position(key)];
            self.keys[*place as usize] = key;
            *place += 1;
        }
        let mut begin = 0;
        for &end in &self.ends {
            self.keys[begin..end as usize].sort_unstable();
            begin = end as usize;
        }
    }
}
