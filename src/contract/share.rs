//! Sharing a record with another hospital: asked for by its doctor, agreed to by the patient and
//! by the hospital that holds the document, delivered outside the chain and confirmed on it.
//!
//! Both have to agree, in any order, and either can say no until the document is delivered. The
//! two hospitals name the document they sent and received; only what the record commits to
//! counts as delivered.
//!
//! # Under an alias
//!
//! An institution may ask without saying which it is. The published platform for sharing medical
//! records gives this in outline only: requests, approvals and traces are on the chain, identities
//! are hidden behind certified pseudonyms. What follows is our reading of it. An institution makes
//! pairs of keys, as many as it likes, and an authority for aliases certifies of each that it
//! belongs to an institution of the consortium. As with a patient, the enrolment binds no name:
//! that authority alone could tell whose an alias is, and says so nowhere on the chain. An alias
//! asks for records and confirms that they came, and does nothing else. Patient and holder agree or
//! not, as ever, and nothing is delivered to an alias that was ended or has run out. What the chain
//! keeps of such a sharing names the alias and the record, and by that the patient's pseudonym.
//!
//! Anonymous is who asks, and nobody else: records enter by the real name of their doctor and the
//! hospital that keeps them, so everybody knows the holder. The institution is hidden among those
//! that have aliases and do not hold the record, and no better than that. Who asks twice under one
//! alias shows that both requests are of one institution; those under two aliases look like those
//! of two institutions, as far as calls and entries go. What an institution chooses can still give
//! it away: numbers that it counts on from one alias to the next, or heights at which its orders
//! lapse. Outside stay the times at which somebody asks, and the addresses that calls are sent
//! from. If all aliases of an institution end in one block, they are seen to belong together;
//! certificates that run out show nothing.
//!
//! Two things the chain cannot check, since it does not know whose an alias is. An institution may
//! ask for a record that it holds, which harms nobody: the holder recognises its own alias and may
//! let the request lapse. And if an institution is suspended, its aliases go on until the authority
//! ends them. The document finds its way to whoever is behind an alias outside the chain, as it
//! does to a hospital with a name.

mod anonymity;
mod invariants;

use std::sync::Arc;

use super::State;
use super::call::Order;
use super::error::Code;
use super::identity::{HospitalId, Party, PatientId, Place};
use super::message::RecordId;
use super::records::{Record, Status};
use super::rules::Mutant;
use super::view::View;
use super::write::Change;
use crate::base::crypto::{Digest, Hasher};

/// The name of a sharing: the digest of what the requesting doctor or alias signed.
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
    /// The hospital of the doctor who asks, or the alias that does.
    to: Place,
    stage: Stage,
    /// The height of the request, stamped when it is committed.
    since: u64,
    /// The document that the holder says it sent.
    sent: Option<Digest>,
}

/// What the chain shows of a sharing to anybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trace {
    /// Who asked: a doctor by real name, or an alias.
    pub by: Party,
    /// For which record.
    pub rid: RecordId,
    /// The pseudonym of the patient whose record it is, as the record has it.
    pub pid: PatientId,
    /// The hospital that holds the document.
    pub holder: HospitalId,
    /// How far it has come.
    pub stage: Stage,
    /// The height of the request.
    pub since: u64,
    /// The document that the holder says it sent.
    pub sent: Option<Digest>,
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

    /// The patient, the hospital that holds the document, and the hospital or alias that asks.
    #[cfg(test)]
    pub(super) fn parties(&self) -> [Place; 3] {
        let from = Place::Hospital(self.from);
        [Place::Patient(self.patient), from, self.to]
    }

    /// What was sent, and of which record.
    #[cfg(test)]
    pub(super) fn sent(&self) -> (Option<Digest>, &RecordId) {
        (self.sent, &self.rid)
    }

    /// Whether it waited too long by a height.
    fn has_expired(&self, height: u64) -> bool {
        height > self.since.saturating_add(SHARE_BLOCKS)
    }
}

impl<'s> View<'s> {
    /// A doctor or an alias asks for a record.
    pub(super) fn request_share(
        &mut self,
        order: &Arc<Order>,
        rid: &RecordId,
        by: Place,
    ) -> Result<(), Code> {
        let to = match by {
            Place::Doctor(doctor) => {
                let hid = self.doctor_at(doctor).hid;
                Place::Hospital(self.hospital(&hid)?)
            }
            Place::Alias(_) => by,
            Place::Authority(_) | Place::Hospital(_) | Place::Patient(_) => {
                return Err(Code::WrongRole);
            }
        };
        let record = self.record(rid).ok_or(Code::RecordNotFound)?;
        if record.status != Status::Active {
            return Err(Code::IllegalTransition);
        }
        let from = self.hospital(&record.draft.content().hid)?;
        if Place::Hospital(from) == to {
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

    /// Who asked says which document has come. What the record commits to,
    /// what was sent and what was received have to be the same.
    pub(super) fn confirm_share(
        &mut self,
        (sid, document): (&ShareId, &Digest),
        by: Place,
    ) -> Result<(), Code> {
        let share = self.open_share(sid)?;
        if by != share.to && !self.lacks(Mutant::AnybodyConfirms) {
            return Err(Code::NotRequester);
        }
        let record = self.record(&share.rid);
        let expected = record.map(|record: &Record| record.draft.content().payload_hash);
        let right = share.sent == expected && expected == Some(*document);
        if !right && !self.lacks(Mutant::DocumentUnchecked) {
            return Err(Code::HashMismatch);
        }
        self.check_in_time(share)?;
        self.check_granted(share)?;
        self.advance(share, Stage::Delivered);
        Ok(())
    }

    /// Refuses to deliver what belongs to a patient whose account is frozen or closed, and to an
    /// alias that does not count any more: somebody else may have its key, and nobody answers for
    /// it.
    pub(super) fn check_delivery(&mut self, sid: &ShareId) -> Result<(), Code> {
        let Some(share) = self.share(sid) else {
            return Ok(());
        };
        if let Place::Alias(_) = share.to {
            self.check_may_sign(share.to)?;
        }
        self.check_standing(Place::Patient(share.patient))
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
        if share.stage != Stage::Granted && !self.lacks(Mutant::UnapprovedDelivered) {
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

    /// What is known of a sharing.
    pub fn trace(&self, sid: &ShareId) -> Option<Trace> {
        let (_, share) = self.shares.find(sid)?;
        let (_, record) = self.records.find(&share.rid)?;
        let content = record.draft.content();
        Some(Trace {
            by: share.order.terms().by,
            rid: share.rid,
            pid: content.pid,
            holder: content.hid,
            stage: share.stage,
            since: share.since,
            sent: share.sent,
        })
    }

    /// Whether a sharing waited too long by a height.
    pub fn share_has_expired(&self, sid: &ShareId, height: u64) -> bool {
        let found = self.shares.find(sid);
        found.is_some_and(|(_, share)| !share.stage.is_final() && share.has_expired(height))
    }
}
