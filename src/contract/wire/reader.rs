//! Reads parts off the front of bytes.

use crate::base::crypto::{Digest, PublicKey, Signature};
use crate::contract::error::Code;
use crate::contract::proof::Proof;
use crate::contract::summary::Term;

/// What is left to read. Every part has its length before it, in four bytes.
pub(super) struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    /// Reads these bytes from the beginning.
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next part.
    pub(super) fn part(&mut self) -> Result<&'b [u8], Code> {
        let (length, rest) = self.rest.split_first_chunk().ok_or(Code::Malformed)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (part, rest) = rest.split_at_checked(length).ok_or(Code::Malformed)?;
        self.rest = rest;
        Ok(part)
    }

    /// A part of a fixed length that is neither number nor digest.
    pub(super) fn bytes<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Code> {
        self.part()?.try_into().map_err(|_| Code::Malformed)
    }

    /// A number.
    pub(super) fn number(&mut self) -> Result<u64, Code> {
        Ok(u64::from_be_bytes(self.bytes()?))
    }

    /// A number of a narrower type.
    pub(super) fn narrow<T: TryFrom<u64>>(&mut self) -> Result<T, Code> {
        T::try_from(self.number()?).map_err(|_| Code::Malformed)
    }

    /// One of these, by its number.
    pub(super) fn choice<T: Copy>(&mut self, all: &[T]) -> Result<T, Code> {
        let at = usize::try_from(self.number()?).map_err(|_| Code::BadEnum)?;
        all.get(at).copied().ok_or(Code::BadEnum)
    }

    /// Yes or no.
    pub(super) fn flag(&mut self) -> Result<bool, Code> {
        self.choice(&[false, true])
    }

    /// A digest.
    pub(super) fn digest(&mut self) -> Result<Digest, Code> {
        let bytes = self.part()?.try_into();
        Ok(Digest(bytes.map_err(|_| Code::BadHashLength)?))
    }

    /// A public key.
    pub(super) fn key(&mut self) -> Result<PublicKey, Code> {
        let bytes = self.part()?.try_into();
        Ok(PublicKey(bytes.map_err(|_| Code::BadHashLength)?))
    }

    /// A signature after the key that is said to have made it, or nothing for one that is missing.
    pub(super) fn signature(&mut self) -> Result<Option<Proof>, Code> {
        let bytes = self.part()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let (key, signature) = bytes.split_first_chunk().ok_or(Code::BadHashLength)?;
        let signature = signature.try_into().map_err(|_| Code::BadHashLength)?;
        let proof = Proof::received(PublicKey(*key), Signature(signature));
        Ok(Some(proof))
    }

    /// A text; if it is none, that is refused with this code.
    pub(super) fn text(&mut self, otherwise: Code) -> Result<&'b str, Code> {
        std::str::from_utf8(self.part()?).map_err(|_| otherwise)
    }

    /// A medical code, as far as it can be one at all.
    pub(super) fn term(&mut self) -> Result<Term, Code> {
        let text = self.text(Code::BadCode)?;
        let term = Term::new(text);
        if term.text() == text.as_bytes() {
            return Ok(term);
        }
        Err(Code::BadCode)
    }

    /// Refuses anything that is left.
    pub(super) fn finish(self) -> Result<(), Code> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Code::TrailingBytes)
    }
}
