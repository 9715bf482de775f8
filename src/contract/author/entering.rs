//! How records come in and change: submissions, proposals, amendments, hiding and disputes.

use std::sync::Arc;

use super::memory::{Deed, KnownRecord, Owner};
use super::{Author, VALID_BLOCKS};
use crate::base::random::Random;
use crate::contract::SignedCall;
use crate::contract::call::{Act, Call};
use crate::contract::cases;
use crate::contract::identity::Party;
use crate::contract::message::{Content, Draft, RecordKind};
use crate::contract::rules::Authentication;

/// Documents are this large, and up to as much again.
const PAYLOAD_BYTES: u64 = 64 << 10;

impl Author {
    /// A doctor and a patient who are two people.
    pub(super) fn pair(&self, random: &mut Random) -> (u32, u32) {
        let mut patient = self.popularity.draw(random);
        let doctor = self.any_doctor(random);
        if self.population.own(doctor) == Some(patient) {
            patient = (patient + 1) % self.population.patients();
        }
        (doctor, patient)
    }

    /// What this doctor and this patient write down.
    pub(super) fn content(
        &self,
        random: &mut Random,
        height: u64,
        doctor: u32,
        owner: Owner,
    ) -> Content {
        let kinds = [
            RecordKind::Consultation,
            RecordKind::Admission,
            RecordKind::Laboratory,
            RecordKind::Imaging,
            RecordKind::Prescription,
        ];
        let bits = random.bits();
        let patient = owner.patient;
        Content {
            pid: self.person(owner).id,
            kind: kinds[random.below(kinds.len() as u64) as usize],
            summary: Arc::new(cases::case(bits, patient)),
            payload_bytes: PAYLOAD_BYTES + bits % PAYLOAD_BYTES,
            valid_until: height + VALID_BLOCKS,
            ..self.population.content(doctor, patient, self.nonce())
        }
    }

    /// Doctor and patient enter a record. With a pseudonym for each record, the patient gets one
    /// first.
    pub(super) fn submit(&mut self, random: &mut Random, height: u64) -> SignedCall {
        let (doctor, patient) = self.pair(random);
        if self.settings.pid_per_record {
            return self.enrol(patient, height, |owner| Deed::Enrol {
                owner,
                propose: false,
            });
        }
        self.submit_of(random, height, doctor, Owner::plain(patient))
    }

    /// A record of a pseudonym that is enrolled.
    pub(super) fn enter(&mut self, random: &mut Random, height: u64, owner: Owner) -> SignedCall {
        let doctor = self.other_doctor(random, owner);
        self.submit_of(random, height, doctor, owner)
    }

    /// A doctor who is not the patient, unless there is only one.
    fn other_doctor(&self, random: &mut Random, owner: Owner) -> u32 {
        let doctor = self.any_doctor(random);
        if self.population.own(doctor) == Some(owner.patient) {
            return (doctor + 1) % self.population.doctors();
        }
        doctor
    }

    fn submit_of(
        &mut self,
        random: &mut Random,
        height: u64,
        doctor: u32,
        owner: Owner,
    ) -> SignedCall {
        let content = self.content(random, height, doctor, owner);
        let record = known(&content, doctor, owner);
        let call = self.submission(content, doctor, owner);
        self.promise(call, Deed::Enter(record))
    }

    /// A content signed by those who have to.
    pub(super) fn submission(&self, content: Content, doctor: u32, owner: Owner) -> SignedCall {
        let doctor = &self.population.doctor(doctor).keys;
        let call = Call::Submit(Draft::new(content));
        match self.settings.rules.authentication {
            Authentication::Dual => {
                SignedCall::signed(call, doctor, Some(&self.person(owner).keys))
            }
            Authentication::DoctorOnly => SignedCall::signed(call, doctor, None),
        }
    }

    /// Answers the oldest proposal, mostly by confirming it; without one, proposes.
    pub(super) fn propose(&mut self, random: &mut Random, height: u64) -> SignedCall {
        let Some((draft, record)) = self.proposals.next() else {
            let (doctor, patient) = self.pair(random);
            if self.settings.pid_per_record {
                return self.enrol(patient, height, |owner| Deed::Enrol {
                    owner,
                    propose: true,
                });
            }
            return self.propose_of(random, height, doctor, Owner::plain(patient));
        };
        if random.below(8) == 0 {
            return self.by_owner(record.owner, Act::Reject(record.rid), height);
        }
        let call = SignedCall::confirm(&draft, &self.person(record.owner).keys);
        self.promise(call, Deed::Enter(record))
    }

    /// A proposal to a pseudonym that is enrolled.
    pub(super) fn propose_for(
        &mut self,
        random: &mut Random,
        height: u64,
        owner: Owner,
    ) -> SignedCall {
        let doctor = self.other_doctor(random, owner);
        self.propose_of(random, height, doctor, owner)
    }

    fn propose_of(
        &mut self,
        random: &mut Random,
        height: u64,
        doctor: u32,
        owner: Owner,
    ) -> SignedCall {
        let draft = Draft::new(self.content(random, height, doctor, owner));
        let record = known(draft.content(), doctor, owner);
        let keys = &self.population.doctor(doctor).keys;
        let call = SignedCall::signed(Call::Propose(draft.clone()), keys, None);
        self.promise(call, Deed::Propose(draft, record))
    }

    /// The doctor and the patient of a record replace it.
    pub(super) fn amend(&mut self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let old = self.records.take(&self.popularity, random)?;
        let content = Content {
            supersedes: Some(old.rid),
            ..self.content(random, height, old.doctor, old.owner)
        };
        let new = known(&content, old.doctor, old.owner);
        let call = self.submission(content, old.doctor, old.owner);
        Some(self.promise(call, Deed::Amend { old, new }))
    }

    /// A patient hides a record, or puts one back that was hidden before.
    pub(super) fn hide(&mut self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let back = random.below(2) == 0;
        if let Some(record) = back.then(|| self.hidden.next()).flatten() {
            let call = self.by_owner(record.owner, Act::Unhide(record.rid), height);
            return Some(self.promise(call, Deed::Unhide(record)));
        }
        let record = self.records.take(&self.popularity, random)?;
        let call = self.by_owner(record.owner, Act::Hide(record.rid), height);
        Some(self.promise(call, Deed::Hide(record)))
    }

    /// Doctor or patient dispute a record; or both let one stand that is disputed, now and then
    /// with a warning.
    pub(super) fn dispute(&mut self, random: &mut Random, height: u64) -> Option<SignedCall> {
        let settle = random.below(2) == 0;
        let by_patient = random.below(2) == 0;
        if let Some(record) = settle.then(|| self.disputed.next()).flatten() {
            let suspect = random.below(4) == 0;
            let act = Act::Resolve {
                rid: record.rid,
                suspect,
            };
            let call = self.by_party(&record, act, by_patient, height);
            let call = self.with_other(call, &record, by_patient);
            return Some(self.promise(call, Deed::Resolve(record)));
        }
        let record = self.records.take(&self.popularity, random)?;
        let call = self.by_party(&record, Act::Dispute(record.rid), by_patient, height);
        Some(self.promise(call, Deed::Dispute(record)))
    }

    /// An order by the patient or the doctor of a record.
    fn by_party(&self, of: &KnownRecord, act: Act, by_patient: bool, height: u64) -> SignedCall {
        if by_patient {
            self.by_owner(of.owner, act, height)
        } else {
            self.by_doctor(of.doctor, act, height)
        }
    }

    /// The same with the signature of the other one.
    pub(super) fn with_other(
        &self,
        call: SignedCall,
        of: &KnownRecord,
        by_patient: bool,
    ) -> SignedCall {
        if by_patient {
            let doctor = self.population.doctor(of.doctor);
            call.witnessed(Party::Doctor(doctor.id), &doctor.keys)
        } else {
            let patient = self.person(of.owner);
            call.witnessed(Party::Patient(patient.id), &patient.keys)
        }
    }
}

/// A record as it will be known once it exists.
pub(super) fn known(content: &Content, doctor: u32, owner: Owner) -> KnownRecord {
    KnownRecord {
        rid: content.rid,
        doctor,
        owner,
        nonce: content.nonce,
        document: content.payload_hash,
    }
}
