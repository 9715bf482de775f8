//! Sharing a record with another hospital, step by step: each step waits for the answer to the one
//! before it.

use super::memory::{Asker, Deed, KnownShare};
use super::{Author, created};
use crate::base::random::Random;
use crate::contract::SignedCall;
use crate::contract::call::Act;
use crate::contract::share::ShareId;

/// The steps of a sharing: asked for, agreed to by either side, delivered and confirmed.
const STEPS: u8 = 5;

impl Author {
    /// The next step of the sharing that has waited longest, or the first of a new one.
    pub(super) fn share(&mut self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let Some(share) = self.shares.next() else {
            return self.request(random, height);
        };
        Some(self.go_on(share, height))
    }

    /// The next step of a sharing.
    pub(super) fn go_on(&mut self, share: KnownShare, height: u64) -> SignedCall {
        let call = self.share_step(&share, height);
        let done = share.done + 1;
        self.promise(call, Deed::Share(KnownShare { done, ..share }))
    }

    /// A doctor asks for a record of another hospital.
    fn request(&mut self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let record = *self.records.pick(&self.popularity, random)?;
        let hospitals = self.population.hospitals();
        let others = hospitals.checked_sub(1).filter(|&others| others > 0)?;
        let holder = self.population.employer(record.doctor);
        let to = (holder + 1 + random.below(u64::from(others)) as u32) % hospitals;
        let doctor = self.doctor_of(random, to)?;
        let call = self.by_doctor(doctor, Act::RequestShare(record.rid), height);
        let share = KnownShare {
            sid: ShareId(created(&call)),
            record,
            to: Asker::Hospital(to),
            patient_first: random.below(2) == 0,
            done: 1,
        };
        Some(self.promise(call, Deed::Share(share)))
    }

    /// The step that follows on those that are done.
    pub(super) fn share_step(&self, share: &KnownShare, height: u64) -> SignedCall {
        let (sid, document) = (share.sid, share.record.document);
        let holder = self.population.employer(share.record.doctor);
        match share.done {
            1 | 2 if (share.done == 1) == share.patient_first => {
                self.by_owner(share.record.owner, Act::ApproveShare(sid), height)
            }
            1 | 2 => self.by_hospital(holder, Act::ApproveShare(sid), height),
            3 => self.by_hospital(holder, Act::DeliverShare(sid, document), height),
            _ => {
                let act = Act::ConfirmShare(sid, document);
                match share.to {
                    Asker::Hospital(to) => self.by_hospital(to, act, height),
                    Asker::Alias(to) => self.by_alias(to, act, height),
                }
            }
        }
    }

    /// A step is done.
    pub(super) fn shared_so_far(&mut self, share: KnownShare) {
        if share.done < STEPS {
            self.share_goes_on(share);
            return;
        }
        self.shared.add(share);
        if let Asker::Alias(alias) = share.to {
            self.aliases.add(alias);
        }
    }

    /// A sharing has further steps.
    pub(super) fn share_goes_on(&mut self, share: KnownShare) {
        match share.to {
            Asker::Hospital(_) => self.shares.add(share),
            Asker::Alias(_) => self.anonymous.add(share),
        }
    }
}
