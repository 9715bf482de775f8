//! What a replica says once and for all: votes, acknowledgements and proposals. Observers hold an
//! honest replica to it.

use crate::base::node::NodeId;

/// One thing that is said with a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Statement {
    /// Something stands at a place, and never anything else.
    Holds {
        /// In whose name it is said: the sender's, or that of the seat it speaks for.
        by: NodeId,
        /// What kind of statement it is, like `prepare`.
        kind: &'static str,
        /// The view or term, with the number of the epoch in it; [`Self::ANY_VIEW`] for what is
        /// said in none.
        view: u64,
        /// The place in the view; 0 if there is one only.
        place: u64,
        /// What stands there: the first bytes of a digest, or a number.
        what: u64,
    },
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
