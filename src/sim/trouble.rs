//! What goes wrong with nodes: crashes, slow machines, wrong clocks, and dishonesty.

use serde::{Serialize, Serializer};

use super::adversary::Act;
use crate::base::node::NodeId;
use crate::base::time::{Span, Window};
use crate::base::units::Ratio;

/// What a crash does to the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Disk {
    /// Everything written survives, finished or not.
    Keep,
    /// What was not synced is lost.
    #[default]
    Unsynced,
    /// Everything is lost: the node comes back without memory.
    Lost,
}

/// A crash of one node and, if the window closes, its return.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outage {
    /// Which node; nothing means whoever leads when it begins.
    pub node: Option<NodeId>,
    /// From the crash to the return.
    pub during: Window,
    /// What is left on the disk.
    pub disk: Disk,
}

/// In the middle of what a node stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Point {
    /// It is about to make something durable, and does not.
    BeforeWrite,
    /// It has just made something durable, and does no more.
    AfterWrite,
    /// It is about to send something, and does not.
    BeforeSend,
    /// It has just sent something, and does no more.
    AfterSend,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::BeforeWrite,
        Self::AfterWrite,
        Self::BeforeSend,
        Self::AfterSend,
    ];

    /// As written in a scenario.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeWrite => "before-write",
            Self::AfterWrite => "after-write",
            Self::BeforeSend => "before-send",
            Self::AfterSend => "after-send",
        }
    }

    /// Whether it is about a message.
    pub fn is_sending(self) -> bool {
        self == Self::BeforeSend || self == Self::AfterSend
    }
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A place in the work of a node at which it stops, as chance has it. What was written by then is
/// on disk, and no more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CrashPoint {
    /// Which node; nothing means whoever leads.
    pub node: Option<NodeId>,
    /// The place.
    pub at: Point,
    /// With which kinds of messages, where it is about sending; none listed means all.
    pub kinds: Vec<String>,
    /// In which share of all cases.
    pub probability: Ratio,
    /// How long the node is down.
    pub down: Span,
    /// When.
    pub during: Window,
}

/// A node whose clock runs fast or slow for some time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clock {
    /// Which node.
    pub node: NodeId,
    /// How many thousandths of a second it counts in each.
    pub speed_thousandths: u64,
    /// When.
    pub during: Window,
}

/// A node that computes more slowly for some time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slow {
    /// Which node.
    pub node: NodeId,
    /// By which factor.
    pub factor: u64,
    /// When.
    pub during: Window,
}

/// A dishonest node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Liar {
    /// Which node.
    pub node: NodeId,
    /// What it does, in the order in which it does it.
    pub acts: Vec<Act>,
    /// Whether it acts on one plan with the others that do.
    pub colludes: bool,
}
