//! Certificates: an authority's word that a party is who it says.
//!
//! A certificate is made by enrolment: the authority signs the order to enrol, and the chain keeps
//! that signature with what was signed, so that anybody can check it later. The chain itself
//! checks it once and then looks at heights only. A signature counts at a height if the
//! certificate of its signer has not run out, nor the authority behind it, and the authority was
//! not revoked. So from the revocation of an authority on it enrols nobody, and those whom it has
//! certified sign nothing new until another authority certifies them again. What they signed
//! before stays as it is: records remain, and grants given earlier can still be used.

use super::call::{Order, SignedCall};
use super::error::Code;
use super::identity::Place;
use super::message::Message;
use super::proof::Proof;
use crate::base::crypto::Digest;

/// Heights from one to another, both included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    /// The first height.
    pub from: u64,
    /// The last height.
    pub until: u64,
}

impl Validity {
    /// At every height.
    pub const ALWAYS: Self = Self {
        from: 0,
        until: u64::MAX,
    };

    /// Adds the heights to a message.
    pub(super) fn write(&self, message: Message) -> Message {
        message.number(self.from).number(self.until)
    }

    /// Refuses to vouch for later at this height, or never. That it is too late is no matter of
    /// time but of identity.
    pub(super) fn check_stated(&self, height: u64) -> Result<(), Code> {
        if self.from > height {
            return Err(Code::NotYetValid);
        }
        if self.from >= self.until {
            return Err(Code::BadInterval);
        }
        Ok(())
    }

    /// Whether it is over at a height.
    pub(super) fn is_over(&self, height: u64) -> bool {
        height > self.until
    }
}

/// A certificate as the chain keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Certificate {
    /// The place of the authority.
    pub(super) ca: u32,
    pub(super) valid: Validity,
    /// What the authority signed; none of those whom the genesis names, which all agreed on.
    pub(super) seal: Option<Box<Seal>>,
}

/// What an authority signed, and its signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seal {
    pub(super) message: Digest,
    pub(super) proof: Proof,
}

impl Certificate {
    /// The certificate of somebody whom the genesis names.
    pub(super) fn of_genesis(ca: u32) -> Self {
        Self {
            ca,
            valid: Validity::ALWAYS,
            seal: None,
        }
    }

    /// The certificate that an authority makes by signing an order; nobody else makes one.
    pub(super) fn by(by: Place, valid: Validity, order: &Order, call: &SignedCall) -> Option<Self> {
        let Place::Authority(ca) = by else {
            return None;
        };
        let seal = Seal {
            message: order.message(),
            proof: call.first()?.clone(),
        };
        Some(Self {
            ca,
            valid,
            seal: Some(Box::new(seal)),
        })
    }

    /// Adds the certificate to a message, but for the authority's name.
    pub(super) fn write(&self, message: Message) -> Message {
        let message = self.valid.write(message);
        match &self.seal {
            Some(seal) => message
                .digest(&seal.message)
                .part(&seal.proof.mark(Some(&seal.message))),
            None => message,
        }
    }
}
