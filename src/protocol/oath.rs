//! What somebody has signed, as whoever holds the message can prove to anybody who knows the keys:
//! the material of forensics after a fork.

use std::sync::Arc;

use super::statement::Holding;
use crate::base::crypto::{Body, Certificate, Keyring, Signed};
use crate::base::node::{Committee, NodeId};
use crate::chain::Height;

/// One thing that somebody has signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Oath {
    /// Something stands at a place, and nobody who is honest says so of anything else.
    Holds(Holding),
    /// What was proven to somebody when it left a view.
    Recalls(Arc<Recall>),
}

/// What a replica says is proven to it, when it asks for a view.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recall {
    /// Who says it.
    pub by: NodeId,
    /// The view it asks for: it has left all before.
    pub view: u64,
    /// The height up to which everything is settled.
    pub settled: Height,
    /// For each height above at which something is proven, the view in which it was voted for, and
    /// the first bytes of the batch's digest.
    pub proven: Vec<(Height, u64, u64)>,
}

/// Tells what is signed from what only looks so.
#[derive(Clone, Copy, Debug)]
pub struct Notary<'a> {
    /// The keys of all nodes.
    pub keyring: &'a Keyring,
    /// Those whose positions certificates name: all nodes. Nothing where it is not known who.
    pub committee: Option<&'a Committee>,
}

impl Notary<'_> {
    /// Who has signed a statement, if the signature is genuine.
    pub fn signer<B: Body>(&self, signed: &Signed<B>) -> Option<NodeId> {
        signed.verify(self.keyring).then(|| signed.by())
    }

    /// For what a part of the nodes say to one another: who stands behind a certificate of theirs
    /// nobody else can tell.
    #[must_use]
    pub fn among_some(&self) -> Self {
        Self {
            committee: None,
            ..*self
        }
    }

    /// Who has signed what is certified; nobody if any of the signatures is none.
    pub fn signers<B: Body>(&self, certificate: &Certificate<B>) -> Vec<NodeId> {
        let verifies = |all: &&Committee| certificate.verify(all, 1, self.keyring);
        let Some(committee) = self.committee.filter(verifies) else {
            return Vec::new();
        };
        let members = committee.members();
        let positions = certificate.positions().iter();
        positions.map(|position| members[position]).collect()
    }
}

/// Takes oaths one after the other.
pub type Registrar<'a> = &'a mut dyn FnMut(Oath);

/// A statement that binds whoever signs it: to one thing at a place.
pub trait Binding: Body {
    /// What it says in the name of a signer.
    fn holding(&self, by: NodeId) -> Holding;
}

/// Reads what is signed in a message.
pub struct Reader<'r, 'n> {
    /// Tells what is genuine.
    pub notary: &'r Notary<'n>,
    /// Is told of it.
    pub swear: Registrar<'r>,
}

impl Reader<'_, '_> {
    /// Reads a statement of one signer.
    pub fn word<B: Binding>(&mut self, signed: &Signed<B>) {
        if let Some(by) = self.notary.signer(signed) {
            (self.swear)(Oath::Holds(signed.body().holding(by)));
        }
    }

    /// Reads a statement of several.
    pub fn words<B: Binding>(&mut self, certificate: &Certificate<B>) {
        for by in self.notary.signers(certificate) {
            (self.swear)(Oath::Holds(certificate.body().holding(by)));
        }
    }
}
