//! What holds of sharings.

use super::{Share, Stage};
use crate::base::crypto::Digest;
use crate::contract::State;
use crate::contract::call::{Call, SignedCall};
use crate::contract::identity::Party;
use crate::contract::invariants::{Invariant, Wrongs};
use crate::contract::message::RecordId;

impl Stage {
    /// The ways of a sharing through its stages.
    fn may_become(self, next: Self) -> bool {
        match (self, next) {
            (Self::Requested, Self::PatientApproved | Self::HolderApproved | Self::Denied)
            | (Self::PatientApproved | Self::HolderApproved, Self::Granted | Self::Denied)
            | (Self::Granted, Self::Delivered | Self::Revoked) => true,
            (
                Self::Requested
                | Self::PatientApproved
                | Self::HolderApproved
                | Self::Granted
                | Self::Delivered
                | Self::Denied
                | Self::Revoked,
                _,
            ) => false,
        }
    }
}

impl Share {
    /// The record.
    pub(in crate::contract) fn rid(&self) -> &RecordId {
        &self.rid
    }

    /// Whether it is not delivered, or is as this document.
    pub(in crate::contract) fn is_delivered_as(&self, document: Option<Digest>) -> bool {
        self.stage != Stage::Delivered || (self.sent.is_some() && self.sent == document)
    }

    /// Whether it is the same but for what happens to a sharing.
    fn is_same(&self, new: &Self) -> bool {
        (self.sid(), self.rid) == (new.sid(), new.rid)
            && (self.patient, self.from, self.to) == (new.patient, new.from, new.to)
    }
}

/// Who gives an order.
fn caller(call: &SignedCall) -> Option<Party> {
    match call.call() {
        Call::Order(order) => Some(order.terms().by),
        Call::Submit(_) | Call::Propose(_) | Call::Confirm { .. } => None,
    }
}

impl State {
    /// Whether a sharing may come to what it is about to be.
    pub(in crate::contract) fn check_stage(
        &self,
        height: u64,
        call: &SignedCall,
        new: &Share,
        wrongs: &mut Wrongs,
    ) {
        let old = self.shares.find(&new.sid()).map(|(_, old)| old);
        let legal = match old {
            None => new.stage == Stage::Requested && new.sent.is_none(),
            // What was sent may be said again otherwise while it is not confirmed.
            Some(old) if old.stage == new.stage => {
                old.stage == Stage::Granted && old.sent != new.sent
            }
            Some(old) => old.stage.may_become(new.stage) && old.sent == new.sent,
        };
        let alive = old.is_none_or(|old| !old.has_expired(height) && old.is_same(new));
        wrongs.unless(legal && alive, Invariant::Transitions, || {
            let (from, to) = (old.map(|old| old.stage), new.stage);
            format!("share {:?} turns from {from:?} to {to:?}", new.sid().0)
        });
        let received = old.is_some() && new.stage == Stage::Delivered;
        let by_receiver = !received || caller(call) == Some(self.directory.party(new.to));
        wrongs.unless(by_receiver, Invariant::Deliveries, || {
            format!("share {:?} came to somebody who did not ask", new.sid().0)
        });
    }
}
