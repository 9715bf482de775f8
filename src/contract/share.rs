//! Sharing a record with another hospital: asked for by its doctor, agreed to by the patient and
//! by the hospital that holds the document, delivered outside the chain and confirmed on it.
//!
//! Both have to agree, in any order, and either can say no until the document is delivered. The
//! two hospitals name the document they sent and received; only what the record commits to
//! counts as delivered.

use std::sync::Arc;

use super::State;
use super::call::Order;
use super::error::Code;
use super::identity::Place;
use super::message::RecordId;
use super::records::{Record, Status};
use super::view::View;
use super::write::Change;
use crate::base::crypto::{Digest, Hasher};

/// The name of a sharing: the digest of what the requesting doctor signed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ShareId(pub Digest);

impl AsRef<Digest> for ShareId {
    fn as_ref(&self) -> &Digest {
        &self.0
    }
}

/// How far a sharing has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Asked for.
    Requested,
    /// The patient agrees.
    PatientApproved,
    /// The hospital that holds the document agrees.
    HolderApproved,
    /// Both agree.
    Granted,
    /// The document has arrived.
    Delivered,
    /// One of them does not agree.
    Denied,
    /// One of them does not agree any more.
    Revoked,
}

impl Stage {
    /// Whether nothing can follow.
    fn is_final(self) -> bool {
        match self {
            Self::Delivered | Self::Denied | Self::Revoked => true,
            Self::Requested | Self::PatientApproved | Self::HolderApproved | Self::Granted => false,
        }
    }
}

/// Blocks that a sharing may take from the request on.
pub const SHARE_BLOCKS: u64 = 1_000;

/// A sharing as the chain keeps it. Parties are places.
#[derive(Clone, Debug)]
pub(super) struct Share {
    order: Arc<Order>,
    rid: RecordId,
    patient: u32,
    /// The hospital that holds the document.
    from: u32,
    /// The hospital of the doctor who asks.
    to: u32,
    stage: Stage,
    /// The height of the request, stamped when it is committed.
    since: u64,
    /// The document that the holder says it sent.
    sent: Option<Digest>,
}

/// Who agrees to a sharing or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Patient,
    Holder,
}

impl Share {
    /// Its name.
    pub(super) fn sid(&self) -> ShareId {
        ShareId(self.order.message())
    }

    /// The same as a request of this height.
    pub(super) fn requested_at(self, since: u64) -> Self {
        Self { since, ..self }
    }

    /// How far it has come.
    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// The height of the request.
    pub(super) fn since(&self) -> u64 {
        self.since
    }

    /// The digest under which it is part of the state; the name commits to request and record.
    pub(super) fn entry(&self) -> Digest {
        Hasher::new("share entry")
            .digest(&self.order.message())
            .number(self.stage as u64)
            .number(self.since)
            .part(self.sent.as_ref().map_or(&[][..], |sent| &sent.0))
            .finish()
    }

    /// The patient, the hospital that holds the document, and the one that asks for it.
    #[cfg(test)]
    pub(super) fn parties(&self) -> [Place; 3] {
        let [from, to] = [self.from, self.to].map(Place::Hospital);
        [Place::Patient(self.patient), from, to]
    }

    /// What was sent, and of which record.
    pub(super) fn sent(&self) -> (Option<Digest>, &RecordId) {
        (self.sent, &self.rid)
    }

    /// Whether it waited too long by a height.
    fn has_expired(&self, height: u64) -> bool {
        height > self.since.saturating_add(SHARE_BLOCKS)
    }
}

impl<'s> View<'s> {
    /// A doctor asks for a record.
    pub(super) fn request_share(
        &mut self,
        order: &Arc<Order>,
        rid: &RecordId,
        by: Place,
    ) -> Result<(), Code> {
        let Place::Doctor(doctor) = by else {
            return Err(Code::WrongRole);
        };
        let hid = self.doctor_at(doctor).hid;
        let to = self.hospital(&hid)?;
        let record = self.record(rid).ok_or(Code::RecordNotFound)?;
        if record.status != Status::Active {
            return Err(Code::IllegalTransition);
        }
        let from = self.hospital(&record.draft.content().hid)?;
        if from == to {
            return Err(Code::SameHospital);
        }
        self.write(Change::Share(Box::new(Share {
            order: order.clone(),
            rid: *rid,
            patient: record.patient,
            from,
            to,
            stage: Stage::Requested,
            since: 0,
            sent: None,
        })));
        Ok(())
    }

    /// Patient or holder agrees.
    pub(super) fn approve_share(&mut self, sid: &ShareId, by: Place) -> Result<(), Code> {
        let share = self.open_share(sid)?;
        let side = self.side(share, by)?;
        let stage = match (share.stage, side) {
            (Stage::Requested, Side::Patient) => Stage::PatientApproved,
            (Stage::Requested, Side::Holder) => Stage::HolderApproved,
            (Stage::PatientApproved, Side::Holder) | (Stage::HolderApproved, Side::Patient) => {
                Stage::Granted
            }
            (Stage::PatientApproved, Side::Patient)
            | (Stage::HolderApproved, Side::Holder)
            | (Stage::Granted | Stage::Delivered | Stage::Denied | Stage::Revoked, _) => {
                return Err(Code::ShareFinal);
            }
        };
        self.check_in_time(share)?;
        self.advance(share, stage);
        Ok(())
    }

    /// Patient or holder does not agree; after both had, not any more.
    pub(super) fn deny_share(&mut self, sid: &ShareId, by: Place) -> Result<(), Code> {
        let share = self.open_share(sid)?;
        self.side(share, by)?;
        self.check_in_time(share)?;
        let stage = match share.stage {
            Stage::Granted => Stage::Revoked,
            Stage::Requested
            | Stage::PatientApproved
            | Stage::HolderApproved
            | Stage::Delivered
            | Stage::Denied
            | Stage::Revoked => Stage::Denied,
        };
        self.advance(share, stage);
        Ok(())
    }

    /// The holder says which document it has sent. It may correct itself until the other hospital
    /// has confirmed.
    pub(super) fn deliver_share(
        &mut self,
        (sid, document): (&ShareId, &Digest),
        by: Place,
    ) -> Result<(), Code> {
        let share = self.open_share(sid)?;
        if share.sent == Some(*document) {
            return Err(Code::ShareFinal);
        }
        if by != Place::Hospital(share.from) {
            return Err(Code::NotHolder);
        }
        self.check_in_time(share)?;
        self.check_granted(share)?;
        self.write(Change::Share(Box::new(Share {
            sent: Some(*document),
            ..share.clone()
        })));
        Ok(())
    }

    /// The hospital that asked says which document it has received. What the record commits to,
    /// what was sent and what was received have to be the same.
    pub(super) fn confirm_share(
        &mut self,
        (sid, document): (&ShareId, &Digest),
        by: Place,
    ) -> Result<(), Code> {
        let share = self.open_share(sid)?;
        if by != Place::Hospital(share.to) {
            return Err(Code::NotRequester);
        }
        let record = self.record(&share.rid);
        let expected = record.map(|record: &Record| record.draft.content().payload_hash);
        if share.sent != expected || expected != Some(*document) {
            return Err(Code::HashMismatch);
        }
        self.check_in_time(share)?;
        self.check_granted(share)?;
        self.advance(share, Stage::Delivered);
        Ok(())
    }

    /// Refuses to deliver what belongs to a patient whose account is frozen or closed.
    pub(super) fn check_owner(&mut self, sid: &ShareId) -> Result<(), Code> {
        match self.share(sid) {
            Some(share) => self.check_standing(Place::Patient(share.patient)),
            None => Ok(()),
        }
    }

    /// The sharing of this name, if it is not at its end.
    fn open_share(&mut self, sid: &ShareId) -> Result<&'s Share, Code> {
        let share = self.share(sid).ok_or(Code::ShareNotFound)?;
        if share.stage.is_final() {
            return Err(Code::ShareFinal);
        }
        Ok(share)
    }

    /// On which side of a sharing the caller is asked to agree.
    fn side(&mut self, share: &Share, by: Place) -> Result<Side, Code> {
        if self.is_patient(by, share.patient) {
            return Ok(Side::Patient);
        }
        if by == Place::Hospital(share.from) {
            return Ok(Side::Holder);
        }
        Err(Code::NotHolder)
    }

    fn check_in_time(&self, share: &Share) -> Result<(), Code> {
        if share.has_expired(self.height()) {
            return Err(Code::ShareExpired);
        }
        Ok(())
    }

    fn check_granted(&self, share: &Share) -> Result<(), Code> {
        if share.stage != Stage::Granted {
            return Err(Code::ApprovalMissing);
        }
        Ok(())
    }

    /// Plans another stage of a sharing.
    fn advance(&mut self, share: &Share, stage: Stage) {
        self.write(Change::Share(Box::new(Share {
            stage,
            ..share.clone()
        })));
    }
}

impl State {
    /// How far a sharing has come.
    pub fn stage(&self, sid: &ShareId) -> Option<Stage> {
        self.shares.find(sid).map(|(_, share)| share.stage)
    }

    /// Whether a sharing waited too long by a height.
    pub fn share_has_expired(&self, sid: &ShareId, height: u64) -> bool {
        let found = self.shares.find(sid);
        found.is_some_and(|(_, share)| !share.stage.is_final() && share.has_expired(height))
    }
}
