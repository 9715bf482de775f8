//! Calls with two things wrong: the one with the lower number answers, whichever two they are.

use super::super::*;
use crate::contract::call::{Order, Proof};
use crate::contract::identity::{AliasId, DoctorId, HospitalId, PatientId, Standing};
use crate::contract::share::SHARE_BLOCKS;
use crate::contract::summary::Term;

/// A call in the making, and the stage it is for.
struct Draught {
    stage: Stage,
    content: Content,
    /// Who signs as doctor and as patient.
    doctor: Option<KeyPair>,
    patient: Option<KeyPair>,
    terms: Terms,
    further: Vec<(Party, KeyPair)>,
    /// What is asked under an alias, and with which key.
    confirming: Terms,
    alias: (Party, KeyPair),
}

/// One thing wrong: with which code, with what of a call, and how.
type Wrong = (Code, &'static [&'static str], fn(&mut Draught));

const NOTHING: Digest = Digest([0xee; 32]);

impl Draught {
    /// A stage where some things have happened, and a sound submission and a sound order to read:
    /// by doctor 0, of patient 8, who has granted it; and one that an alias has received a record.
    fn new() -> Self {
        let mut stage = Stage::new();
        let rid = stage.record(0, 8);
        let grant = stage.care(0, Scope::Records(vec![rid]));
        let gid = stage.granted(8, grant);
        let act = Act::Access(gid, rid, Purpose::Care);
        let by = stage.doctor(0).0;
        let alias = stage.alias(70);
        let confirming = sent_to(&mut stage, &alias);
        Self {
            confirming: stage.terms(alias.0, confirming),
            alias,
            content: stage.content(0, 8),
            doctor: Some(stage.doctor(0).1),
            patient: Some(stage.patient(8).1),
            terms: stage.terms(by, act),
            further: Vec::new(),
            stage,
        }
    }

    fn suspend(&mut self, authority: u32, whom: Party) {
        let by = self.stage.authority(authority);
        let act = Act::SetStanding(whom, Standing::Suspended);
        let call = self.stage.order(&by, act);
        self.stage.accept(&call);
    }

    fn summary(&mut self) -> &mut crate::contract::summary::Summary {
        Arc::make_mut(&mut self.content.summary)
    }

    /// The submission as it is by now.
    fn submission(&self) -> SignedCall {
        let draft = Draft::new(self.content.clone());
        let sign = |keys: &Option<KeyPair>, message| keys.as_ref().map(|k| Proof::sign(k, message));
        let first = sign(&self.doctor, draft.for_doctor());
        let second = sign(&self.patient, draft.for_patient());
        SignedCall::with_further(Call::Submit(draft), first, second, self.signed())
    }

    /// The order as it is by now.
    fn order(&self) -> SignedCall {
        let order = Order::new(self.terms.clone());
        let first = self
            .doctor
            .as_ref()
            .map(|k| Proof::sign(k, order.message()));
        SignedCall::with_further(Call::Order(order), first, None, self.signed())
    }

    /// The order under the alias as it is by now.
    fn confirmation(&self) -> SignedCall {
        let order = Order::new(self.confirming.clone());
        let first = Proof::sign(&self.alias.1, order.message());
        SignedCall::with_further(Call::Order(order), Some(first), None, self.signed())
    }

    /// Which sharing the alias confirms, and which document.
    fn confirms(&mut self) -> (&mut ShareId, &mut Digest) {
        match &mut self.confirming.act {
            Act::ConfirmShare(sid, document) => (sid, document),
            _ => unreachable!("it is an order to confirm"),
        }
    }

    fn signed(&self) -> Vec<(Party, Proof)> {
        let sign = |(party, keys): &(Party, KeyPair)| (*party, Proof::sign(keys, NOTHING));
        self.further.iter().map(sign).collect()
    }

    /// What the order reads, and by which grant.
    fn reads(&mut self) -> (&mut GrantId, &mut RecordId, &mut Purpose) {
        match &mut self.terms.act {
            Act::Access(gid, rid, purpose) => (gid, rid, purpose),
            _ => unreachable!("it is an order to read"),
        }
    }

    /// Lets the order use another grant of the record that it reads, after a change to the terms.
    fn regrant(&mut self, change: impl FnOnce(&mut GrantTerms)) {
        let rid = *self.reads().1;
        let mut terms = self.stage.care(0, Scope::Records(vec![rid]));
        change(&mut terms);
        let gid = self.stage.granted(8, terms);
        *self.reads().0 = gid;
    }
}

const SUBMISSION: &[Wrong] = &[
    (Code::EmptyField, &["rid"], |d| {
        d.content.rid.0 = Digest::ZERO;
    }),
    (Code::BadCode, &["diagnoses"], |d| {
        d.summary().diagnoses.push(Term::new("flu"));
    }),
    (Code::TooManyCodes, &["drugs"], |d| {
        let drugs = (0..17).map(|n| Term::new(&format!("A10BA{n:02}")));
        d.summary().drugs = drugs.collect();
    }),
    (Code::BadAgeBand, &["age"], |d| d.summary().age_band = 19),
    (Code::DuplicateCode, &["procedures"], |d| {
        d.summary().procedures = vec![Term::new("0DTJ4ZZ"); 2];
    }),
    (Code::BodyTooLarge, &["bytes"], |d| {
        d.content.payload_bytes = u64::MAX;
    }),
    (Code::WrongChain, &["chain"], |d| d.content.chain = 2),
    (Code::Expired, &["until"], |d| d.content.valid_until = 9),
    (Code::UnknownSigner, &["further"], |d| {
        let nobody = Party::Hospital(HospitalId(NOTHING));
        d.further.push((nobody, d.stage.hospital(1).1));
    }),
    (Code::UnknownDoctor, &["did"], |d| {
        d.content.did = DoctorId(NOTHING);
    }),
    (Code::DoctorSuspended, &["did"], |d| {
        d.suspend(1, d.stage.doctor(0).0);
    }),
    (Code::UnknownPatient, &["pid"], |d| {
        d.content.pid = PatientId(NOTHING);
    }),
    (Code::PatientFrozen, &["pid"], |d| {
        d.suspend(2, d.stage.patient(8).0);
    }),
    (Code::UnknownHospital, &["hid"], |d| {
        d.content.hid = HospitalId(NOTHING);
    }),
    (Code::HospitalSuspended, &["hid"], |d| {
        d.suspend(0, d.stage.hospital(0).0);
    }),
    (Code::DoctorSignatureMissing, &["doctor"], |d| {
        d.doctor = None;
    }),
    (Code::DoctorSignatureInvalid, &["doctor"], |d| {
        d.doctor = Some(d.stage.doctor(1).1);
    }),
    (Code::PatientSignatureMissing, &["patient"], |d| {
        d.patient = None;
    }),
    (Code::PatientSignatureInvalid, &["patient"], |d| {
        d.patient = Some(d.stage.patient(9).1);
    }),
    (Code::SelfDealing, &["pid", "patient"], |d| {
        d.content.pid = d.stage.people.patient(0).id;
        d.patient = Some(d.stage.patient(0).1);
    }),
    (Code::WrongSigner, &["further"], |d| {
        d.further.push(d.stage.hospital(1));
    }),
    (Code::NonceUsed, &["nonce"], |d| {
        let call = d.stage.submission(0, 8, |_| {});
        d.stage.accept(&call);
        d.content.nonce = content_of(&call).nonce;
    }),
    (Code::NonceOutOfRange, &["nonce"], |d| {
        d.content.nonce = u64::MAX;
    }),
    (Code::DuplicateRid, &["rid"], |d| {
        d.content.rid = d.stage.record(0, 9);
    }),
    (Code::DuplicatePayload, &["payload"], |d| {
        let rid = d.stage.record(0, 8);
        d.content.payload_hash = d.stage.document(&rid);
    }),
    (Code::DoctorNotOfHospital, &["hid"], |d| {
        d.content.hid = d.stage.people.hospital(1).id;
    }),
    (Code::IllegalTransition, &["old"], |d| {
        d.content.supersedes = Some(d.stage.proposal(0, 8).content().rid);
    }),
    (Code::SupersedesNotFound, &["old"], |d| {
        d.content.supersedes = Some(RecordId(NOTHING));
    }),
    (Code::SupersedesOtherPatient, &["old"], |d| {
        d.content.supersedes = Some(d.stage.record(0, 9));
    }),
    (Code::AlreadyAmended, &["old"], |d| {
        let rid = d.stage.record(0, 8);
        let amended = d
            .stage
            .submission(0, 8, |content| content.supersedes = Some(rid));
        d.stage.accept(&amended);
        d.content.supersedes = Some(rid);
    }),
];

const READING: &[Wrong] = &[
    (Code::WrongChain, &["chain"], |d| d.terms.chain = 2),
    (Code::Expired, &["until"], |d| d.terms.valid_until = 9),
    (Code::NotYetValid, &["grant", "begins"], |d| {
        d.regrant(|terms| terms.from = 11);
    }),
    (Code::UnknownSigner, &["further"], |d| {
        let nobody = Party::Hospital(HospitalId(NOTHING));
        d.further.push((nobody, d.stage.hospital(1).1));
    }),
    (Code::UnknownDoctor, &["by"], |d| {
        d.terms.by = Party::Doctor(DoctorId(NOTHING));
    }),
    (Code::DoctorSuspended, &["by"], |d| {
        d.suspend(1, d.stage.doctor(0).0);
    }),
    (Code::PatientFrozen, &["giver", "begins"], |d| {
        d.suspend(2, d.stage.patient(8).0);
    }),
    (Code::DoctorSignatureMissing, &["doctor"], |d| {
        d.doctor = None;
    }),
    (Code::DoctorSignatureInvalid, &["doctor"], |d| {
        d.doctor = Some(d.stage.doctor(1).1);
    }),
    (Code::WrongSigner, &["further"], |d| {
        d.further.push(d.stage.hospital(1));
    }),
    (Code::NonceUsed, &["nonce"], |d| {
        let rid = d.stage.record(0, 9);
        let call = d.stage.by_doctor(0, Act::Dispute(rid));
        d.stage.accept(&call);
        d.terms.nonce = nonce_of(&call);
    }),
    (Code::NonceOutOfRange, &["nonce"], |d| {
        d.terms.nonce = u64::MAX;
    }),
    (Code::RecordNotFound, &["rid", "grant"], |d| {
        *d.reads().1 = RecordId(NOTHING);
    }),
    (Code::IllegalTransition, &["rid", "grant"], |d| {
        *d.reads().1 = d.stage.proposal(0, 8).content().rid;
    }),
    (Code::GrantNotFound, &["grant", "giver"], |d| {
        *d.reads().0 = GrantId(NOTHING);
    }),
    (Code::GrantNotYours, &["grant"], |d| {
        let other = Grantee::Doctor(d.stage.people.doctor(1).id);
        d.regrant(|terms| terms.grantee = other);
    }),
    (Code::GrantRevoked, &["ends"], |d| {
        let gid = *d.reads().0;
        let call = d.stage.by_patient(8, Act::Revoke(gid));
        d.stage.accept(&call);
    }),
    (Code::OutOfScope, &["rid", "grant"], |d| {
        *d.reads().1 = d.stage.record(0, 8);
    }),
    (Code::WrongPurpose, &["purpose"], |d| {
        *d.reads().2 = Purpose::Research;
    }),
];

const CONFIRMING: &[Wrong] = &[
    (Code::WrongChain, &["chain"], |d| d.confirming.chain = 2),
    (Code::Expired, &["until"], |d| d.confirming.valid_until = 9),
    (Code::UnknownSigner, &["further"], |d| {
        let nobody = Party::Hospital(HospitalId(NOTHING));
        d.further.push((nobody, d.stage.hospital(1).1));
    }),
    (Code::UnknownSigner, &["by"], |d| {
        d.confirming.by = Party::Alias(AliasId(NOTHING));
    }),
    (Code::CaRevoked, &["office"], |d| {
        d.stage.expel(3);
    }),
    (Code::CertExpired, &["alias"], |d| {
        d.stage.end(d.alias.0);
    }),
    (Code::WrongSigner, &["key"], |d| {
        d.alias.1 = d.stage.hospital(1).1;
    }),
    (Code::WrongSigner, &["further"], |d| {
        d.further.push(d.stage.hospital(1));
    }),
    (Code::NonceUsed, &["nonce", "key"], |d| {
        let rid = d.stage.record(0, 9);
        let call = d.stage.order(&d.alias, Act::RequestShare(rid));
        d.stage.accept(&call);
        d.confirming.nonce = nonce_of(&call);
    }),
    (Code::NonceOutOfRange, &["nonce"], |d| {
        d.confirming.nonce = u64::MAX;
    }),
    (Code::ShareNotFound, &["share"], |d| {
        *d.confirms().0 = ShareId(NOTHING);
    }),
    (Code::ShareFinal, &["share"], |d| {
        let sid = *d.confirms().0;
        let call = d.stage.by_patient(8, Act::DenyShare(sid));
        d.stage.accept(&call);
    }),
    (Code::NotRequester, &["share"], |d| {
        *d.confirms().0 = d.stage.shared().1;
    }),
    (Code::HashMismatch, &["document"], |d| {
        *d.confirms().1 = NOTHING;
    }),
    (Code::ShareExpired, &["share"], |d| {
        d.stage.height += SHARE_BLOCKS + 1;
    }),
];

/// Lets an alias ask for a record, both agree, and the holder deliver; what is left to ask for.
fn sent_to(stage: &mut Stage, alias: &(Party, KeyPair)) -> Act {
    let (rid, sid) = stage.asked_under(alias);
    let document = stage.document(&rid);
    for call in [
        stage.by_patient(8, Act::ApproveShare(sid)),
        stage.by_hospital(0, Act::ApproveShare(sid)),
        stage.by_hospital(0, Act::DeliverShare(sid, document)),
    ] {
        stage.accept(&call);
    }
    Act::ConfirmShare(sid, document)
}

fn content_of(call: &SignedCall) -> &Content {
    match call.call() {
        Call::Submit(draft) => draft.content(),
        Call::Propose(_) | Call::Confirm { .. } | Call::Order(_) => unreachable!("it is one"),
    }
}

fn nonce_of(call: &SignedCall) -> u64 {
    match call.call() {
        Call::Order(order) => order.terms().nonce,
        Call::Submit(_) | Call::Propose(_) | Call::Confirm { .. } => unreachable!("it is one"),
    }
}

/// Whether two things wrong are about different things.
fn apart(one: &Wrong, other: &Wrong) -> bool {
    one.1.iter().all(|about| !other.1.contains(about))
}

/// How the contract answers a draught with these things wrong, as a call of this kind.
fn answer(wrongs: &[&Wrong], call: fn(&Draught) -> SignedCall) -> Receipt {
    let mut draught = Draught::new();
    wrongs.iter().for_each(|(_, _, harm)| harm(&mut draught));
    draught.stage.apply(&call(&draught))
}

fn check(table: &[Wrong], call: fn(&Draught) -> SignedCall) -> usize {
    assert!(table.is_sorted_by_key(|(code, ..)| code.number()));
    assert_eq!(answer(&[], call), Receipt::Accepted, "nothing is wrong");
    let mut pairs = 0;
    for (at, one) in table.iter().enumerate() {
        assert_eq!(answer(&[one], call), Receipt::Refused(one.0));
        for other in table[at..].iter().filter(|other| apart(one, other)) {
            // Whoever is suspended is suspended last: before, things happen on the stage.
            let (codes, told) = ((one.0, other.0), answer(&[other, one], call));
            assert_eq!(told, Receipt::Refused(one.0), "of {codes:?}");
            pairs += 1;
        }
    }
    pairs
}

#[test]
fn of_any_two_things_wrong_with_a_submission_the_first_answers() {
    assert!(check(SUBMISSION, Draught::submission) > 350);
}

#[test]
fn of_any_two_things_wrong_with_a_reading_the_first_answers() {
    assert!(check(READING, Draught::order) > 100);
}

#[test]
fn of_any_two_things_wrong_under_an_alias_the_first_answers() {
    assert!(check(CONFIRMING, Draught::confirmation) > 75);
}
