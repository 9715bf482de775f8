//! Nodes that stop in the middle of what they do: before or after a durable write, before or after
//! a message. What they wrote by then is on disk, and no more.

use super::ReplicaHost;
use crate::base::node::NodeId;
use crate::base::random::{Random, Stream};
use crate::base::time::{Time, Window};
use crate::base::units::Ratio;
use crate::protocol::{Effect, Protocol, Wire};
use crate::sim::{CrashPoint, Disk, Outage, Point, World};

/// Where a node stops.
#[derive(Debug)]
pub(super) struct Fragile {
    points: Vec<CrashPoint>,
    random: Random,
    /// The writes of the step that are done, and those that are still to come.
    done: usize,
    to_come: usize,
}

/// What an effect is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// A durable write.
    Write,
    /// A message of this kind.
    Send(&'static str),
}

/// Whether the work is about to be done, or done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Before,
    After,
}

/// What an effect is about, if a node may stop at it.
pub(super) fn point<M: Wire, T>(effect: &Effect<M, T>) -> Option<Work> {
    match effect {
        Effect::Persist => Some(Work::Write),
        Effect::Send { message, .. } => Some(Work::Send(message.kind())),
        Effect::SetTimer { .. }
        | Effect::CancelTimer { .. }
        | Effect::Sign(_)
        | Effect::Verify(_)
        | Effect::Execute(_)
        | Effect::Install(_)
        | Effect::Answer(..)
        | Effect::Report(_) => None,
    }
}

impl Fragile {
    /// Where a node stops; nothing if it never does.
    pub fn of<P: Protocol>(id: NodeId, world: &World<P>) -> Option<Self> {
        let mine = |point: &&CrashPoint| point.node.is_none_or(|node| node == id);
        let points: Vec<CrashPoint> = world.crash_points.iter().filter(mine).cloned().collect();
        (!points.is_empty()).then(|| Self {
            points,
            random: Random::new(world.seed, Stream::Crash(id)),
            done: 0,
            to_come: 0,
        })
    }

    /// Whether the node may stop in what it does now.
    pub fn is_near(&self, now: Time) -> bool {
        self.points.iter().any(|point| point.during.contains(now))
    }

    /// Where the node stops for how long, if it does so at this work.
    fn stop(&mut self, (work, side): (Work, Side), (now, leads): (Time, bool)) -> Option<Outage> {
        let wanted = match (work, side) {
            (Work::Write, Side::Before) => Point::BeforeWrite,
            (Work::Write, Side::After) => Point::AfterWrite,
            (Work::Send(_), Side::Before) => Point::BeforeSend,
            (Work::Send(_), Side::After) => Point::AfterSend,
        };
        for point in &self.points {
            let kind = match work {
                Work::Write => true,
                Work::Send(kind) => {
                    point.kinds.is_empty() || point.kinds.iter().any(|name| name == kind)
                }
            };
            let here = point.at == wanted && kind && point.during.contains(now);
            if here
                && (leads || point.node.is_some())
                && (point.probability == Ratio::ONE || self.random.chance(point.probability))
            {
                let until = Some(now + point.down);
                let during = Window { from: now, until };
                // What was written is in no image any more.
                let disk = Disk::Unsynced;
                let node = None;
                return Some(Outage { node, during, disk });
            }
        }
        None
    }
}

impl<P: Protocol> ReplicaHost<P> {
    /// Takes note of what a step writes.
    pub(super) fn count_writes(&mut self, effects: &[Effect<P::Message, P::Timer>]) {
        if let Some(fragile) = &mut self.fragile {
            let writes = effects.iter().filter(|e| matches!(e, Effect::Persist));
            (fragile.done, fragile.to_come) = (0, writes.count());
        }
    }

    /// Whether the node stops here. Between two writes of one step it does not: what the disk
    /// holds there is in no image.
    pub(super) fn stops(&mut self, work: Option<Work>, now: Time, side: Side) -> bool {
        let (Some(fragile), Some(work)) = (&mut self.fragile, work) else {
            return false;
        };
        if matches!(work, Work::Write) && side == Side::After {
            fragile.done += 1;
            fragile.to_come -= 1;
        }
        if fragile.done > 0 && fragile.to_come > 0 {
            return false;
        }
        let leads = self.protocol.status().leads;
        let Some(outage) = fragile.stop((work, side), (now, leads)) else {
            return false;
        };
        self.halted = true;
        self.plan_outage(&outage);
        true
    }
}
