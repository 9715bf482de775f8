//! Signatures of calls, with what is known about them.
//!
//! A key and a message have one signature by the rules of Ed25519 (RFC 8032, section 5.1.6: no
//! chance is needed), so whoever makes it has said all about it with these two. Its bytes are
//! computed when somebody asks for them, and digests name it by its key: the message is part of
//! what is signed anyway. A signature from elsewhere comes as bytes, with the key that is said to
//! have made it; if it verifies, it is the same as one made here, and if not, digests name it by
//! its bytes, so that two calls of one digest are always judged alike.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::base::crypto::{Digest, KeyPair, PublicKey, Signature};

/// A signature with what is known about it. That it verifies for the key and the message it was
/// made with is arithmetic and need not be done again. For any other key or message it is verified
/// anew, so nothing is inherited by what was not signed.
#[derive(Clone)]
pub struct Proof {
    /// Whose key made it, or is said to have.
    by: PublicKey,
    /// What that key is known to have signed by it.
    message: Option<Digest>,
    source: Source,
}

/// Where the bytes of a signature come from.
#[derive(Clone)]
enum Source {
    /// These keys make them, of the message that is known.
    Made(KeyPair),
    /// They came from elsewhere.
    Received(Arc<Signature>),
}

impl Proof {
    /// Signs a message.
    pub fn sign(keys: &KeyPair, message: Digest) -> Self {
        Self {
            by: keys.public(),
            message: Some(message),
            source: Source::Made(keys.clone()),
        }
    }

    /// A signature from elsewhere, of which nothing is known but who is said to have made it.
    pub fn received(by: PublicKey, signature: Signature) -> Self {
        Self {
            by,
            message: None,
            source: Source::Received(signature.into()),
        }
    }

    /// The same signature, after it was looked whether it is one of this message, if there is one
    /// to be signed.
    pub(super) fn held_to(mut self, message: Option<&Digest>) -> Self {
        let new = message.filter(|_| self.message.is_none());
        let signed = new.filter(|message| self.by.verify(&message.0, &self.signature()));
        self.message = self.message.or(signed.copied());
        self
    }

    /// Whose key made it, or is said to have.
    pub fn by(&self) -> &PublicKey {
        &self.by
    }

    /// The signature itself.
    pub fn signature(&self) -> Signature {
        match &self.source {
            Source::Received(bytes) => **bytes,
            Source::Made(keys) => {
                let message = self.message.expect("what is signed here is known");
                keys.sign(&message.0)
            }
        }
    }

    /// Whether the holder of this key signed this message.
    pub fn verifies(&self, key: &PublicKey, message: &Digest) -> bool {
        self.is_known_by(key, message) || key.verify(&message.0, &self.signature())
    }

    /// What stands for the signature in a digest of what is signed: the key if it is known to have
    /// signed this message, which is there to be signed, else the bytes. One is half as long as
    /// the other.
    pub(super) fn mark(&self, message: Option<&Digest>) -> Cow<'_, [u8]> {
        if message.is_some() && self.message.as_ref() == message {
            Cow::Borrowed(&self.by.0)
        } else {
            Cow::Owned(self.signature().0.to_vec())
        }
    }

    fn is_known_by(&self, key: &PublicKey, message: &Digest) -> bool {
        self.by == *key && self.message.as_ref() == Some(message)
    }
}

/// Two signatures are the same if one key has signed one message by both; where that is not known
/// of both, if their bytes are.
impl PartialEq for Proof {
    fn eq(&self, other: &Self) -> bool {
        match (&self.message, &other.message) {
            (Some(_), Some(message)) => self.is_known_by(&other.by, message),
            (Some(_) | None, Some(_) | None) => self.signature() == other.signature(),
        }
    }
}

impl Eq for Proof {}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proof({:?} by {:?})", self.message, self.by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(number: u8) -> KeyPair {
        KeyPair::from_seed(Digest([number; 32]))
    }

    #[test]
    fn what_was_made_here_is_what_its_bytes_are_elsewhere() {
        let (keys, message) = (keys(1), Digest([7; 32]));
        let made = Proof::sign(&keys, message);
        let sent = Proof::received(keys.public(), made.signature());
        assert_ne!(
            sent.mark(Some(&message)),
            made.mark(Some(&message)),
            "not looked at yet"
        );
        let arrived = sent.clone().held_to(Some(&message));
        assert_eq!(arrived.mark(Some(&message)), made.mark(Some(&message)));
        assert!(arrived == made && sent == made);
        assert!(arrived.verifies(&keys.public(), &message));
        assert_eq!(made.signature(), keys.sign(&message.0), "as Ed25519 has it");
    }

    #[test]
    fn bytes_that_do_not_verify_stand_for_themselves() {
        let (one, other, message) = (keys(1), keys(2), Digest([7; 32]));
        let mut broken = one.sign(&message.0);
        broken.0[5] ^= 1;
        let false_ones = [
            Proof::received(one.public(), broken),
            Proof::received(other.public(), one.sign(&message.0)),
            Proof::sign(&one, Digest([8; 32])),
        ];
        for proof in false_ones {
            let proof = proof.held_to(Some(&message));
            assert_eq!(
                proof.mark(Some(&message)),
                &proof.signature().0[..],
                "{proof:?}"
            );
        }
    }

    #[test]
    fn a_key_said_to_have_signed_has_not_by_that() {
        let (one, other, message) = (keys(1), keys(2), Digest([7; 32]));
        let claimed = Proof::received(other.public(), one.sign(&message.0)).held_to(Some(&message));
        assert!(!claimed.verifies(&other.public(), &message));
        assert!(
            claimed.verifies(&one.public(), &message),
            "it is what it is"
        );
    }
}
