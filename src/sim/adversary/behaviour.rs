//! What dishonest nodes do, and to which of their messages.

use crate::base::node::NodeId;
use crate::base::time::{Span, Window};
use crate::base::units::Ratio;
use crate::chain::Height;

/// How a dishonest replica departs from its protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Behaviour {
    /// Sends nothing, to replicas and clients alike.
    Silent,
    /// Tells the truth to every other honest replica and its contradiction to the rest.
    /// Accomplices hear the truth, so that they vote for it and lie about it alike.
    Equivocate,
    /// Swallows some kinds of messages.
    Withhold,
    /// Holds what it sends.
    Late {
        /// For so long.
        by: Span,
    },
    /// Its timers fire after a tenth of their time: it calls for elections and view changes.
    Restless,
    /// Endorses that a call is accepted and leaves out what the call was made for.
    ForgeEndorsement,
    /// Answers for signatures of clients without looking at them.
    Careless,
    /// Hears nothing of some kinds of messages.
    Deaf,
    /// Speaks only to its targets; without any, to a half of those it should speak to, which
    /// chance chooses anew for each message.
    Selective,
    /// Tells everybody the truth and its contradiction as well: votes for everything.
    DoubleTalk,
    /// With what it sends, sends something again that it once sent or heard.
    Replay {
        /// How old that is at least.
        after: Span,
    },
    /// Sends everything many times.
    Flood {
        /// So many times in all.
        copies: u32,
    },
    /// Signs what it sends with a signature that does not verify.
    Garble,
    /// With what it sends, sends the same in the name of another node, whose key it lacks.
    Impersonate,
    /// Speaks of later terms and views than it is in.
    Inflate {
        /// So much later.
        by: u64,
    },
    /// When its window closes, it is restored to what it was when the window opened, and has
    /// forgotten what it promised since.
    Amnesia,
    /// Acknowledges durable writes without writing: if it crashes while its window is open, it
    /// comes back as it was when the window opened.
    NoSync,
    /// Runs twice: each of the two hears and speaks to one half of the honest only, and is asked
    /// for every other request.
    Twins,
    /// Tells clients the opposite of what became of their calls.
    FalseReply,
}

/// Those who are meant by a behaviour.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Targets {
    /// Whoever the behaviour usually means: everybody, but for [`Behaviour::Equivocate`] and
    /// [`Behaviour::Selective`].
    #[default]
    Usual,
    /// Everybody.
    All,
    /// Every second one of the honest.
    Half,
    /// These.
    Nodes(Vec<NodeId>),
}

/// Heights from one to before another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heights {
    /// The first.
    pub from: Height,
    /// The first that is none of them, if there is one.
    pub until: Option<Height>,
}

impl Heights {
    /// Whether a height is one of them.
    pub fn contains(self, height: Height) -> bool {
        self.from <= height && self.until.is_none_or(|until| height < until)
    }
}

/// To which messages a behaviour applies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    /// The kinds, as messages name themselves; none listed means all.
    pub kinds: Vec<String>,
    /// The receivers; where it is about what the node hears, the senders.
    pub targets: Targets,
    /// In which share of all cases.
    pub probability: Ratio,
    /// Only while the node leads.
    pub leading: bool,
    /// Only while the node's own chain ends at one of these.
    pub heights: Option<Heights>,
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            kinds: Vec::new(),
            targets: Targets::Usual,
            probability: Ratio::ONE,
            leading: false,
            heights: None,
        }
    }
}

/// One behaviour of one node for some time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Act {
    /// What the node does.
    pub behaviour: Behaviour,
    /// To which of its messages.
    pub scope: Scope,
    /// When.
    pub during: Window,
}

impl Behaviour {
    /// As written in a scenario.
    pub const NAMES: [&'static str; 19] = [
        "silent",
        "equivocate",
        "withhold",
        "late",
        "restless",
        "forge-endorsement",
        "careless",
        "deaf",
        "selective",
        "double-talk",
        "replay",
        "flood",
        "garble",
        "impersonate",
        "inflate",
        "amnesia",
        "no-sync",
        "twins",
        "false-reply",
    ];

    /// As written in a scenario.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Equivocate => "equivocate",
            Self::Withhold => "withhold",
            Self::Late { .. } => "late",
            Self::Restless => "restless",
            Self::ForgeEndorsement => "forge-endorsement",
            Self::Careless => "careless",
            Self::Deaf => "deaf",
            Self::Selective => "selective",
            Self::DoubleTalk => "double-talk",
            Self::Replay { .. } => "replay",
            Self::Flood { .. } => "flood",
            Self::Garble => "garble",
            Self::Impersonate => "impersonate",
            Self::Inflate { .. } => "inflate",
            Self::Amnesia => "amnesia",
            Self::NoSync => "no-sync",
            Self::Twins => "twins",
            Self::FalseReply => "false-reply",
        }
    }

    /// Whether a node that crashes, is slow or is badly connected never looks like this: protocols
    /// that survive crashes only promise nothing then.
    pub fn lies(&self) -> bool {
        match self {
            Self::Equivocate
            | Self::DoubleTalk
            | Self::Replay { .. }
            | Self::Inflate { .. }
            | Self::Amnesia
            | Self::NoSync
            | Self::Twins
            | Self::FalseReply => true,
            // Nobody is deceived by what does not verify, and endorsements have a policy.
            Self::Garble
            | Self::Impersonate
            | Self::ForgeEndorsement
            | Self::Careless
            | Self::Silent
            | Self::Withhold
            | Self::Late { .. }
            | Self::Restless
            | Self::Deaf
            | Self::Selective
            | Self::Flood { .. } => false,
        }
    }

    /// Whether it takes a node that says something.
    pub fn speaks(&self) -> bool {
        match self {
            Self::Silent | Self::Restless | Self::Deaf | Self::Amnesia | Self::NoSync => false,
            Self::Equivocate
            | Self::Withhold
            | Self::Late { .. }
            | Self::ForgeEndorsement
            | Self::Careless
            | Self::Selective
            | Self::DoubleTalk
            | Self::Replay { .. }
            | Self::Flood { .. }
            | Self::Garble
            | Self::Impersonate
            | Self::Inflate { .. }
            | Self::Twins
            | Self::FalseReply => true,
        }
    }

    /// Whether it rewrites the messages that a node is about to send.
    pub(super) fn bends(&self) -> bool {
        match self {
            Self::Silent
            | Self::Equivocate
            | Self::Withhold
            | Self::Late { .. }
            | Self::Selective
            | Self::DoubleTalk
            | Self::Replay { .. }
            | Self::Flood { .. }
            | Self::Garble
            | Self::Impersonate
            | Self::Inflate { .. } => true,
            Self::Restless
            | Self::ForgeEndorsement
            | Self::Careless
            | Self::Deaf
            | Self::Amnesia
            | Self::NoSync
            | Self::Twins
            | Self::FalseReply => false,
        }
    }
}
