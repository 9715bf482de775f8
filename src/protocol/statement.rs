//! What a replica says once and for all: votes, acknowledgements and proposals. Observers hold an
//! honest replica to it.

use std::fmt;

use crate::base::node::NodeId;

/// What stands at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holding {
    /// In whose name it is said: the sender's, or that of the seat it speaks for.
    pub by: NodeId,
    /// What kind of statement it is, like `prepare`.
    pub kind: &'static str,
    /// The view or term, with the number of the epoch in it; [`Statement::ANY_VIEW`] for what is
    /// said in none.
    pub view: u64,
    /// The place in the view; 0 if there is one only.
    pub place: u64,
    /// What stands there: the first bytes of a digest, or a number.
    pub what: u64,
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (by, kind, what) = (self.by, self.kind, self.what);
        write!(
            f,
            "{by}: {kind} {what:016x} at {} in view {}",
            self.place, self.view
        )
    }
}

/// One thing that is said with a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Statement {
    /// Something stands at a place, and never anything else.
    Holds(Holding),
    /// The same, and what is sent with it proves that nothing else could: it may be shown to
    /// whoever is late, when its view has been left, too.
    Shows(Holding),
    /// Nothing new is said in views before this one.
    Leaves {
        /// In whose name.
        by: NodeId,
        /// The view.
        view: u64,
    },
}

impl Statement {
    /// The view of what is said of all views: nobody ever leaves it.
    pub const ANY_VIEW: u64 = u64::MAX;
}

/// Takes statements one after the other.
pub type Listener<'a> = &'a mut dyn FnMut(Statement);

/// How many members must have said the same before a replica takes something for proven, itself
/// included, and in which kind of statement; `None` where no quorum of a single committee decides.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Quorums {
    /// Before one leads: votes in the view, at place 0.
    pub leads: Option<(&'static str, usize)>,
    /// Before something is reported as prepared: statements of any of these kinds at its place and
    /// view.
    pub prepared: Option<(&'static [&'static str], usize)>,
    /// Before a block is decided: statements about its batch at its height, all in one view.
    pub decided: Option<(&'static str, usize)>,
    /// Before an entry is decided: logs that hold it.
    pub logged: Option<usize>,
}
