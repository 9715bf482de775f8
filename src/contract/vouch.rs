//! Signatures that somebody answers for: a part of the nodes verifies them in the name of all, and
//! the others execute without looking.
//!
//! Only signatures by the keys with which the chain began can be answered for, because those can be
//! verified without the state at the place of execution. Who executes trusts them as long as the
//! party still has that key; everything else is verified by whoever executes.

use super::call::{Call, Proof, SignedCall};
use super::identity::{Party, Place};
use super::view::View;
use super::{Receipt, State};
use crate::base::crypto::Digest;

impl State {
    /// Whether every signature of a call is by whom it names, with the key that the party has in
    /// this state. No for calls that more than their makers sign.
    pub fn vouches(&self, call: &SignedCall) -> bool {
        let signed = |by: &Party, proof: Option<&Proof>, message: &Digest| {
            let place = self.directory.place(by).ok();
            let key = place.and_then(|place| self.directory.key_at(place));
            key.zip(proof)
                .is_some_and(|(key, proof)| proof.verifies(key, message))
        };
        if !call.further().is_empty() {
            return false;
        }
        match call.call() {
            Call::Submit(draft) => {
                let content = draft.content();
                let (doctor, patient) = (Party::Doctor(content.did), Party::Patient(content.pid));
                signed(&doctor, call.first(), &draft.for_doctor())
                    && signed(&patient, call.second(), &draft.for_patient())
            }
            Call::Propose(draft) => {
                let doctor = Party::Doctor(draft.content().did);
                call.second().is_none() && signed(&doctor, call.first(), &draft.for_doctor())
            }
            Call::Confirm {
                pid,
                signed: message,
                ..
            } => call.second().is_none() && signed(&Party::Patient(*pid), call.first(), message),
            Call::Order(order) => {
                let by = &order.terms().by;
                call.second().is_none() && signed(by, call.first(), &order.message())
            }
        }
    }

    /// Executes a call whose signatures somebody answers for: those by keys of this genesis are not
    /// verified.
    pub fn apply_vouched(&mut self, height: u64, call: &SignedCall, genesis: &Self) -> Receipt {
        self.apply_after(height, call, Some(genesis))
    }
}

impl View<'_> {
    /// Whether the holder of the key at a place signed a message, or somebody answers for it.
    pub(super) fn is_signed(&mut self, by: Place, proof: &Proof, message: &Digest) -> bool {
        let key = self.key_of(by);
        let trusted = self.trusted().and_then(|genesis| genesis.key_at(by));
        trusted == Some(key) || proof.verifies(key, message)
    }
}
