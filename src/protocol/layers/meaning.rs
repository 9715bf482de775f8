//! What a call means to the layers: whom it registers where, what it takes back, to which grant it
//! refers, and by whom it is found.

use crate::base::crypto::Digest;
use crate::chain::Transaction;
use crate::contract::access::{GrantTerms, Grantee};
use crate::contract::call::{Act, Call, Order};
use crate::contract::identity::Party;
use crate::contract::message::Content;

/// What a transaction means to the sharing table.
#[derive(Clone, Copy, Debug)]
pub enum Meaning<'a> {
    /// A record enters.
    Record(&'a Content),
    /// A patient lets those who work at a record node read: the registration there.
    Registration {
        /// The patient.
        user: Digest,
        /// Where the receiver works.
        party: Digest,
        /// The authorisation, which is the grant itself.
        auth: Digest,
        /// What it allows.
        terms: &'a GrantTerms,
    },
    /// A patient takes an authorisation back.
    Revocation {
        /// The authorisation.
        auth: Digest,
    },
    /// Nothing.
    Nothing,
}

impl<'a> Meaning<'a> {
    /// What a transaction means.
    pub fn of(transaction: &'a Transaction) -> Self {
        match transaction.call.call() {
            Call::Submit(draft) | Call::Propose(draft) => Self::Record(draft.content()),
            Call::Confirm { .. } => Self::Nothing,
            Call::Order(order) => match &order.terms().act {
                Act::Grant(terms) => {
                    let party = match &terms.grantee {
                        Grantee::Doctor(did) => did.0,
                        Grantee::Hospital(hid) | Grantee::Specialty(_, hid) => hid.0,
                        Grantee::Patient(_) => return Self::Nothing,
                    };
                    let Some(user) = transaction.call.call().subject() else {
                        return Self::Nothing;
                    };
                    Self::Registration {
                        user,
                        party,
                        auth: order.message(),
                        terms,
                    }
                }
                Act::Revoke(grant) => Self::Revocation { auth: grant.0 },
                _ => Self::Nothing,
            },
        }
    }
}

/// Whether a call enters the record that has this body.
pub fn announces(transaction: &Transaction, body: &Digest) -> bool {
    matches!(Meaning::of(transaction), Meaning::Record(content) if content.payload_hash == *body)
}

/// The patient whom a call names, or whoever asks, who alone has a network to be found by. Nothing
/// for what concerns the register of identities.
pub fn asker(transaction: &Transaction) -> Option<Digest> {
    match transaction.call.call() {
        Call::Order(order) => match order.terms().by {
            Party::Authority(_) => None,
            Party::Hospital(id) => Some(id.0),
            Party::Doctor(id) => Some(id.0),
            Party::Patient(id) => Some(id.0),
            Party::Alias(id) => Some(id.0),
        },
        call => call.subject(),
    }
}

/// The grant to which a call refers, if it refers to one.
pub fn cites(transaction: &Transaction) -> Option<Digest> {
    match &order(transaction)?.terms().act {
        Act::Revoke(grant) | Act::Delegate(grant, _) | Act::Access(grant, ..) => Some(grant.0),
        _ => None,
    }
}

/// The name of the grant that a call gives or passes on, if it does.
pub fn grants(transaction: &Transaction) -> Option<Digest> {
    let order = order(transaction)?;
    let gives = matches!(order.terms().act, Act::Grant(_) | Act::Delegate(..));
    gives.then(|| order.message())
}

fn order(transaction: &Transaction) -> Option<&Order> {
    match transaction.call.call() {
        Call::Order(order) => Some(order),
        _ => None,
    }
}
