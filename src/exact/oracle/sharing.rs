//! Records on their way to another hospital.

use super::{Faults, Life, Oracle, ShareFile, Step, Who};
use crate::base::crypto::Digest;
use crate::contract::Code;
use crate::contract::call::Order;
use crate::contract::message::RecordId;
use crate::contract::share::ShareId;

impl Oracle {
    pub(super) fn request(&self, rid: &RecordId, by: Who, faults: &mut Faults) {
        let record = self.records.get(rid);
        match record {
            None => faults.add(Code::RecordNotFound),
            Some(file) => faults.when(file.life != Life::Active, Code::IllegalTransition),
        }
        // Of an alias nobody knows whether it holds the record itself, or is suspended.
        let Who::Doctor(me) = by else {
            return;
        };
        let home = self.doctors[&me].hid;
        Self::note(faults, self.standing(Who::Hospital(home)));
        let here = record.is_some_and(|file| file.content().hid == home);
        faults.when(here, Code::SameHospital);
    }

    pub(super) fn requested(&mut self, order: &Order, rid: &RecordId, by: Who) {
        let to = match by {
            Who::Doctor(me) => Who::Hospital(self.doctors[&me].hid),
            Who::Alias(_) => by,
            Who::Authority(_) | Who::Hospital(_) | Who::Patient(_) => {
                unreachable!("they do not ask for records")
            }
        };
        let record = &self.records[rid];
        let file = ShareFile {
            rid: *rid,
            owner: record.owner,
            from: record.content().hid,
            to,
            since: self.now,
            by_patient: false,
            by_holder: false,
            sent: None,
            step: Step::Open,
        };
        self.shares.insert(ShareId(order.message()), file);
    }

    /// The sharing, if it is there, with what is wrong with going on with it.
    fn open(&self, sid: &ShareId, height: u64, faults: &mut Faults) -> Option<&ShareFile> {
        let Some(share) = self.shares.get(sid) else {
            faults.add(Code::ShareNotFound);
            return None;
        };
        faults.when(share.step != Step::Open, Code::ShareFinal);
        faults.when(
            height > share.since.saturating_add(1000),
            Code::ShareExpired,
        );
        Some(share)
    }

    pub(super) fn approve(&self, sid: &ShareId, (by, height): (Who, u64), faults: &mut Faults) {
        let Some(share) = self.open(sid, height, faults) else {
            return;
        };
        let (patient, holder) = (
            by == Who::Patient(share.owner),
            by == Who::Hospital(share.from),
        );
        faults.when(!patient && !holder, Code::NotHolder);
        let again = patient && share.by_patient || holder && share.by_holder;
        faults.when(again, Code::ShareFinal);
    }

    pub(super) fn approved(&mut self, sid: &ShareId, by: Who) {
        if let Some(share) = self.shares.get_mut(sid) {
            match by {
                Who::Patient(_) => share.by_patient = true,
                Who::Hospital(_) | Who::Doctor(_) | Who::Authority(_) | Who::Alias(_) => {
                    share.by_holder = true;
                }
            }
        }
    }

    pub(super) fn deny(&self, sid: &ShareId, (by, height): (Who, u64), faults: &mut Faults) {
        let Some(share) = self.open(sid, height, faults) else {
            return;
        };
        let concerned = by == Who::Patient(share.owner) || by == Who::Hospital(share.from);
        faults.when(!concerned, Code::NotHolder);
    }

    pub(super) fn denied(&mut self, sid: &ShareId) {
        if let Some(share) = self.shares.get_mut(sid) {
            share.step = Step::Refused;
        }
    }

    pub(super) fn deliver(
        &self,
        (sid, sent): (&ShareId, &Digest),
        (by, height): (Who, u64),
        faults: &mut Faults,
    ) {
        let Some(share) = self.open(sid, height, faults) else {
            return;
        };
        Self::note(faults, self.standing(Who::Patient(share.owner)));
        if let Who::Alias(_) = share.to {
            Self::note(faults, self.may_sign(share.to, height));
        }
        faults.when(share.sent == Some(*sent), Code::ShareFinal);
        faults.when(by != Who::Hospital(share.from), Code::NotHolder);
        faults.when(
            !(share.by_patient && share.by_holder),
            Code::ApprovalMissing,
        );
    }

    pub(super) fn delivered(&mut self, sid: &ShareId, sent: &Digest) {
        if let Some(share) = self.shares.get_mut(sid) {
            share.sent = Some(*sent);
        }
    }

    pub(super) fn confirm_share(
        &self,
        (sid, got): (&ShareId, &Digest),
        (by, height): (Who, u64),
        faults: &mut Faults,
    ) {
        let Some(share) = self.open(sid, height, faults) else {
            return;
        };
        faults.when(by != share.to, Code::NotRequester);
        let promised = self.records[&share.rid].content().payload_hash;
        let right = share.sent == Some(promised) && *got == promised;
        faults.when(!right, Code::HashMismatch);
        faults.when(
            !(share.by_patient && share.by_holder),
            Code::ApprovalMissing,
        );
    }

    pub(super) fn confirmed(&mut self, sid: &ShareId) {
        if let Some(share) = self.shares.get_mut(sid) {
            share.step = Step::Delivered;
        }
    }
}
