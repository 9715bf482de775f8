//! What has to be true of a state, and of every change to one, whatever was asked for.
//!
//! The checks look at what is stored and trust none of the checks by which it got there: a call
//! that the contract should have refused leaves something behind that one of these finds. Records,
//! grants, shares and the index say themselves what must hold of them; here it is put together.

use std::fmt;

use super::access::Notice;
use super::call::SignedCall;
use super::identity::{AuthorityId, DoctorId, Party, PatientId, Place, Standing};
use super::message::Draft;
use super::proof::Proof;
use super::records::{Record, Status};
use super::register::Registration;
use super::rules::Authentication;
use super::view::{Key, View};
use super::write::{Change, Write, payload};
use super::{Receipt, State};
use crate::base::crypto::{Digest, PublicKey};

/// Something that always holds of a state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Invariant {
    /// What entered was signed by doctor and patient over the content that is stored.
    Signatures,
    /// Exactly what can be found is in the search index, under exactly its features.
    Index,
    /// A grant is used within its bounds, and nothing is read without a grant that counts, but in
    /// an emergency.
    Consent,
    /// Records, grants, shares and standings change only in the ways that the contract has.
    Transitions,
    /// A refusal changes nothing.
    Refusals,
    /// What a search tells names nobody, and no record.
    Privacy,
    /// Readings are as many as uses of grants and emergencies.
    Readings,
    /// What counts as delivered is the document that the record commits to.
    Deliveries,
    /// Nothing that is done under an alias, or about one, names an institution.
    Anonymity,
    /// What the state root commits to is what is stored.
    Commitment,
}

/// An invariant that does not hold, and a sentence on where.
pub type Broken = (Invariant, String);

impl Invariant {
    /// As written in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Signatures => "both-signatures",
            Self::Index => "exact-index",
            Self::Consent => "consent",
            Self::Transitions => "legal-transitions",
            Self::Refusals => "refusals-change-nothing",
            Self::Privacy => "answers-name-nobody",
            Self::Readings => "readings-add-up",
            Self::Deliveries => "true-deliveries",
            Self::Anonymity => "aliases-name-nobody",
            Self::Commitment => "root-commits",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What is wrong, collected.
#[derive(Default)]
pub(super) struct Wrongs(Vec<Broken>);

impl Wrongs {
    /// Notes what does not hold; the sentence is made only then.
    pub(super) fn unless(
        &mut self,
        holds: bool,
        invariant: Invariant,
        detail: impl FnOnce() -> String,
    ) {
        if !holds {
            self.0.push((invariant, detail()));
        }
    }
}

impl State {
    /// What answers a call, and what would change: the first half of [`State::apply`].
    pub fn plan(&self, height: u64, call: &SignedCall) -> (Receipt, Vec<Write>) {
        let mut view = View::new(self, height, Vec::new());
        let receipt = view.plan(call);
        (receipt, view.into_writes())
    }

    /// What does not hold of this state. Signatures are verified anew of at most `verified`
    /// records, evenly spread: each takes a hundred microseconds.
    pub fn violated_invariants(&self, verified: usize) -> Vec<Broken> {
        let mut wrongs = Wrongs::default();
        self.check_records(verified, &mut wrongs);
        self.check_index(&mut wrongs);
        self.check_readings(&mut wrongs);
        self.check_shares(&mut wrongs);
        self.check_aliases(&mut wrongs);
        self.check_commitment(&mut wrongs);
        wrongs.0
    }

    /// What is wrong with committing these writes to this state, which a call with this answer is
    /// about to do.
    pub fn wrong_writes(
        &self,
        height: u64,
        call: &SignedCall,
        (receipt, writes): (&Receipt, &[Write]),
    ) -> Vec<Broken> {
        let mut wrongs = Wrongs::default();
        let refused = matches!(receipt, Receipt::Refused(_));
        let changes = !refused && !call.reads_only();
        wrongs.unless(writes.is_empty() != changes, Invariant::Refusals, || {
            let count = writes.len();
            format!(
                "a {} with the answer {receipt:?} has {count} writes",
                call.kind()
            )
        });
        if changes {
            self.check_alias(call, writes, &mut wrongs);
        }
        for Write(change) in writes {
            self.check_change(height, call, (change, writes), &mut wrongs);
        }
        wrongs.0
    }

    fn check_change(
        &self,
        height: u64,
        call: &SignedCall,
        (change, writes): (&Change, &[Write]),
        wrongs: &mut Wrongs,
    ) {
        match change {
            Change::Record(record) => self.check_turn(height, call, record, wrongs),
            Change::Grant(grant) => self.check_grant(height, grant, wrongs),
            Change::Share(share) => self.check_stage(height, call, share, wrongs),
            Change::Access(access) => self.check_reading(height, access, writes, wrongs),
            Change::Emergency { doctor, did } => {
                let free = self.may_claim(*doctor, height);
                wrongs.unless(free, Invariant::Consent, || {
                    format!("doctor {:?} claims one emergency too many", did.0)
                });
            }
            Change::Identity(registration) => self.check_registration(registration, wrongs),
            Change::Nonce { by, nonce, .. } => {
                let fresh = !self.used.contains(*by, *nonce);
                wrongs.unless(fresh, Invariant::Transitions, || {
                    format!("the number {nonce} is used twice")
                });
            }
            Change::Payload {
                draft,
                doctor,
                patient,
            } => {
                let payload = payload(draft, *doctor, *patient);
                let fresh = self.payloads.get(&payload).is_none();
                wrongs.unless(fresh, Invariant::Transitions, || {
                    format!(
                        "the document of {:?} is recorded twice",
                        draft.content().rid.0
                    )
                });
            }
            Change::Call(_) | Change::Licence(_) | Change::Mail(_) | Change::Answered { .. } => {}
        }
    }

    /// Whether an identity may come to what it is about to be.
    fn check_registration(&self, registration: &Registration, wrongs: &mut Wrongs) {
        let known = |party: &Party| self.directory.place(party).is_ok();
        let standing = |place: &Place| self.directory.standing(*place);
        let legal = match registration {
            Registration::Admitted(authority) => {
                !known(&Party::Authority(AuthorityId::of(&authority.key)))
            }
            Registration::Expelled(id) => known(&Party::Authority(*id)),
            Registration::Enrolled { enrolment, .. } => !known(&enrolment.identity.party()),
            Registration::Standing {
                place: Place::Alias(_),
                standing: Standing::Suspended,
                ..
            } => false,
            Registration::Certified { place, .. } => standing(place) != Standing::Ended,
            Registration::Standing {
                place,
                standing: next,
                ..
            } => standing(place) != *next && standing(place) != Standing::Ended,
            Registration::Rotated(rotation) => {
                !self.directory.is_pseudonym(&rotation.pid)
                    && standing(&Place::Patient(rotation.at)) != Standing::Ended
            }
            Registration::Closed(pid) => known(&Party::Patient(*pid)),
            Registration::Entrusted { .. } | Registration::Roll => true,
        };
        wrongs.unless(legal, Invariant::Transitions, || {
            format!("the identity {:?} changes unlawfully", registration.key())
        });
    }

    /// Whether a record may come to what it is about to be, and is signed for it.
    fn check_turn(&self, height: u64, call: &SignedCall, new: &Record, wrongs: &mut Wrongs) {
        let rid = new.draft.content().rid;
        let old = self.records.find(&rid).map(|(_, old)| old);
        let legal = may_turn(old, new, height);
        wrongs.unless(legal, Invariant::Transitions, || {
            let (from, to) = (old.map(|old| old.status), new.status);
            format!("record {:?} turns from {from:?} to {to:?}", rid.0)
        });
        let doctor = &self.directory.doctor_at(new.doctor).key;
        let signed_by_doctor = match old {
            Some(old) => old.by_doctor == new.by_doctor,
            None => call.proves(doctor, &new.draft.for_doctor(), &new.by_doctor),
        };
        wrongs.unless(signed_by_doctor, Invariant::Signatures, || {
            format!("record {:?} is not signed by its doctor", rid.0)
        });
        let before = old.and_then(|old| old.by_patient.as_ref());
        let signed_by_patient = match (&new.by_patient, before) {
            (Some(signature), Some(before)) => signature == before,
            (Some(signature), None) => self.proves_patient(call, new, signature),
            (None, _) => !is_entered(new.status) || !self.is_dual(),
        };
        wrongs.unless(signed_by_patient, Invariant::Signatures, || {
            format!("record {:?} is not signed by its patient", rid.0)
        });
    }

    pub(super) fn is_dual(&self) -> bool {
        match self.rules.authentication {
            Authentication::Dual => true,
            Authentication::DoctorOnly => false,
        }
    }

    /// Whether a call carries this signature of the patient of a record.
    fn proves_patient(&self, call: &SignedCall, record: &Record, proof: &Proof) -> bool {
        let key = self.directory.key_of(speaker(record));
        key.is_some_and(|key| call.proves(key, &record.draft.for_patient(), proof))
    }

    /// Records that entered are signed, and replaced by those that say so.
    fn check_records(&self, verified: usize, wrongs: &mut Wrongs) {
        let stride = self.records.len().div_ceil(verified.max(1)).max(1);
        for (at, record) in self.records.iter().enumerate() {
            let content = record.draft.content();
            let entered = is_entered(record.status);
            let signed = record.by_patient.is_some() || !self.is_dual();
            let mut sound = if entered {
                signed
            } else {
                record.by_patient.is_none()
            };
            if sound && verified > 0 && at % stride == 0 {
                sound = self.verifies(record);
            }
            wrongs.unless(sound, Invariant::Signatures, || {
                format!(
                    "record {:?} is {:?} but not signed so",
                    content.rid.0, record.status
                )
            });
            let mut linked = true;
            if let Status::Amended(by) = &record.status {
                linked = self.replaces(by, record);
            }
            if let (true, Some(old)) = (entered, &content.supersedes) {
                let amended = Some(Status::Amended(content.rid));
                linked &= self.status(old) == amended;
            }
            wrongs.unless(linked, Invariant::Transitions, || {
                format!("record {:?} and what replaces it disagree", content.rid.0)
            });
        }
    }

    /// Whether the record of this name entered in the place of an old one of the same parties.
    fn replaces(&self, by: &super::message::RecordId, old: &Record) -> bool {
        let Some((_, new)) = self.records.find(by) else {
            return false;
        };
        let (new_content, old_content) = (new.draft.content(), old.draft.content());
        new_content.supersedes == Some(old_content.rid)
            && is_entered(new.status)
            && new.patient == old.patient
            && new_content.hid == old_content.hid
    }

    /// Whether the signatures that a record keeps are those of its parties.
    fn verifies(&self, record: &Record) -> bool {
        let draft: &Draft = &record.draft;
        let doctor = &self.directory.doctor_at(record.doctor).key;
        let patient = self.directory.key_of(speaker(record));
        let by_patient = record.by_patient.as_ref();
        // For real, whatever is known of them.
        let signed = |key: &PublicKey, message: Digest, proof: &Proof| {
            key.verify(&message.0, &proof.signature())
        };
        signed(doctor, draft.for_doctor(), &record.by_doctor)
            && by_patient
                .is_none_or(|by| patient.is_some_and(|key| signed(key, draft.for_patient(), by)))
    }

    /// The index is what indexing all records that can be found would make.
    fn check_index(&self, wrongs: &mut Wrongs) {
        let records = self.records.iter().enumerate();
        let found = records.filter(|(_, record)| record.status.is_found());
        let cases = found.map(|(at, record)| {
            let content = record.draft.content();
            (at as u32, &content.rid, record.patient, &*content.summary)
        });
        let exact = self.index.is_of(cases);
        wrongs.unless(exact, Invariant::Index, || {
            "the search index is not that of the records that can be found".into()
        });
    }

    /// Every emergency is listed and told, and everything else that was read was granted.
    fn check_readings(&self, wrongs: &mut Wrongs) {
        self.check_uses(wrongs);
        let told = self.mailboxes.values().flatten();
        let told = told.filter(|mail| matches!(mail.notice, Notice::Emergency(_)));
        let emergencies = self.audit.iter().filter(|access| access.gid.is_none());
        let (told, emergencies) = (told.count(), emergencies.count());
        wrongs.unless(told == emergencies, Invariant::Readings, || {
            format!("{emergencies} emergencies are listed but {told} were told")
        });
    }

    /// What was delivered is what the records commit to.
    fn check_shares(&self, wrongs: &mut Wrongs) {
        for share in self.shares.iter() {
            let record = self.records.find(share.rid());
            let document = record.map(|(_, record)| record.draft.content().payload_hash);
            let sound = share.is_delivered_as(document);
            wrongs.unless(sound, Invariant::Deliveries, || {
                format!("share {:?} was delivered as something else", share.sid().0)
            });
        }
    }

    /// The tree holds the digest of every entry as it is.
    fn check_commitment(&self, wrongs: &mut Wrongs) {
        let records = self.records.iter().map(|record| {
            let key = Key::Record(record.draft.content().rid);
            (key, record.entry())
        });
        let grants = self.grants.iter();
        let grants = grants.map(|grant| (Key::Grant(grant.gid()), grant.entry()));
        let shares = self.shares.iter();
        let shares = shares.map(|share| (Key::Share(share.sid()), share.entry()));
        let audit = self.audit.iter();
        let audit = audit.map(|access| (Key::Access(access.order), access.entry()));
        let mail = self.mailboxes.values().flatten();
        let mail = mail.map(|mail| (Key::Mail(mail.to, mail.order), mail.entry()));
        let usage = self.usage.iter().map(|(place, usage)| {
            let party = self.directory.party(*place);
            (Key::Usage(party), usage.entry())
        });
        let claimed = self.emergencies.iter().map(|(&doctor, claimed)| {
            let did = DoctorId::of(&self.directory.doctor_at(doctor).key);
            (Key::Emergencies(did), claimed.entry())
        });
        let entries = records.chain(grants).chain(shares).chain(audit);
        for (key, entry) in entries.chain(mail).chain(usage).chain(claimed) {
            wrongs.unless(
                self.entry(&key) == Some(&entry),
                Invariant::Commitment,
                || {
                    format!(
                        "the root commits to something else under {:?}",
                        key.digest()
                    )
                },
            );
        }
    }

    /// Whether a party's standing lets it act.
    pub(super) fn may_act(&self, place: Place) -> bool {
        self.directory.standing(place) == Standing::Active
    }
}

/// In whose name the patient's signature of a record is: of the patient, or of a custodian.
fn speaker(record: &Record) -> &PatientId {
    record
        .custodian
        .as_ref()
        .unwrap_or(&record.draft.content().pid)
}

/// Whether both parties signed it, at some time.
fn is_entered(status: Status) -> bool {
    match status {
        Status::Active | Status::Amended(_) | Status::Hidden | Status::Disputed => true,
        Status::Proposed | Status::Rejected | Status::Withdrawn => false,
    }
}

/// The ways of a record through its life.
fn may_turn(old: Option<&Record>, new: &Record, height: u64) -> bool {
    let Some(old) = old else {
        return matches!(new.status, Status::Proposed | Status::Active);
    };
    if old.draft.for_doctor() != new.draft.for_doctor() || old.has_expired(height) {
        return false;
    }
    match (old.status, new.status) {
        (Status::Proposed, Status::Active | Status::Rejected | Status::Withdrawn)
        | (Status::Active, Status::Amended(_) | Status::Hidden | Status::Disputed)
        | (Status::Hidden, Status::Active)
        | (Status::Disputed, Status::Active | Status::Amended(_)) => true,
        (
            Status::Proposed
            | Status::Active
            | Status::Amended(_)
            | Status::Hidden
            | Status::Rejected
            | Status::Withdrawn
            | Status::Disputed,
            _,
        ) => false,
    }
}

impl SignedCall {
    /// Whether the call carries this signature, and it is that of the holder of the key over the
    /// message.
    fn proves(&self, key: &PublicKey, message: &Digest, proof: &Proof) -> bool {
        let further = self.further().iter().map(|(_, proof)| proof);
        let mut proofs = self.first().into_iter().chain(self.second()).chain(further);
        proofs.any(|carried| carried == proof && carried.verifies(key, message))
    }
}
