//! Calls at random: what people ask for in good faith or by mistake, and what nobody should.

use std::sync::Arc;

use super::super::chaos::Chaos;
use super::super::*;
use crate::contract::affair::{Affair, Custody, KeyChange};
use crate::contract::call::{Order, Proof};
use crate::contract::certificate::Validity;
use crate::contract::identity::{
    Authority, AuthorityId, Doctor, DoctorId, Enrolment, Hospital, HospitalId, Identity, Patient,
    PatientId, Vouches,
};
use crate::contract::message::RecordKind;
use crate::contract::records::Status;
use crate::contract::search::{Coding, Condition, Query};
use crate::contract::summary::{Summary, Term};

/// Somebody with keys, under the present name.
pub(super) type Somebody = (Party, KeyPair);

/// The patients whose keys change.
const CHANGING: std::ops::Range<u32> = 14..17;

/// Whoever asks the contract for things.
pub struct Caller {
    pub chaos: Chaos,
    /// What was asked before.
    earlier: Vec<SignedCall>,
    contents: Vec<Content>,
    /// Patients whose keys change, as they are now.
    changing: Vec<Somebody>,
    /// A change of keys that is under way.
    change: Option<(usize, Somebody)>,
    /// Authorities that were admitted, or asked to be.
    offices: Vec<(Authority, KeyPair)>,
    /// Doctors that are enrolled later.
    locums: Vec<Somebody>,
    count: u32,
    /// What is asked first: records of many patients.
    first: Vec<SignedCall>,
}

impl Caller {
    pub fn new(seed: u64, rules: Rules) -> Self {
        let mut chaos = Chaos::new(seed);
        chaos.stage.state = State::genesis(&chaos.stage.people, rules);
        let kinds = [
            RecordKind::Laboratory,
            RecordKind::Imaging,
            RecordKind::Admission,
        ];
        let cases = (0..24).map(|n| {
            let change = |content: &mut Content| content.kind = kinds[n as usize % 3];
            chaos.stage.submission(n % 5, 8 + n % 12, change)
        });
        let first: Vec<SignedCall> = cases.collect();
        chaos.rids.extend(first.iter().map(rid));
        Self {
            changing: CHANGING.map(|number| chaos.stage.patient(number)).collect(),
            chaos,
            earlier: Vec::new(),
            contents: Vec::new(),
            change: None,
            offices: Vec::new(),
            locums: Vec::new(),
            count: 0,
            first,
        }
    }

    pub(super) fn below(&mut self, bound: u64) -> u32 {
        self.chaos.below(bound)
    }

    pub(super) fn fresh(&mut self) -> KeyPair {
        self.count += 1;
        let seed = crate::base::crypto::Hasher::new("fresh").number(u64::from(self.count));
        KeyPair::from_seed(seed.finish())
    }

    /// The next call.
    pub fn next(&mut self) -> SignedCall {
        let call = match self.first.pop() {
            Some(call) => call,
            None => self.draw(),
        };
        self.earlier.push(call.clone());
        if let Call::Submit(draft) = call.call() {
            self.contents.push(draft.content().clone());
        }
        call
    }

    fn draw(&mut self) -> SignedCall {
        match self.below(75) {
            0 => self.again(),
            1 => self.alone(),
            2 => self.in_other_hands(),
            3 | 4 => self.repeated(),
            5..=7 => self.damaged(),
            8..=10 => self.custody(),
            11 | 12 => self.by_custodian(),
            13 => self.rotation(),
            14 => self.certification(),
            15 => self.council(),
            16 => self.enrolment(),
            17 => self.with_stray(),
            18 => self.by_locum(),
            19 => self.suggestion(),
            20..=25 | 43..=46 => self.reading(),
            26..=28 => self.sharing(),
            29 => self.emergency(),
            30..=33 => self.granting(),
            34 | 35 => self.hiding(),
            36..=41 => self.aliased(),
            42 => self.taking_back(),
            _ => self.chaos.next(),
        }
    }

    /// Somebody uses one of the last grants, again and again.
    fn reading(&mut self) -> SignedCall {
        let gids = &self.chaos.gids;
        let back = self.chaos.random.below(gids.len().min(3) as u64) as usize;
        let gid = gids[gids.len() - 1 - back];
        let rid = self.chaos.covered(&gid);
        let act = Act::Access(gid, rid, Purpose::Care);
        self.by_right(act)
    }

    /// The owner of a record grants it, or records of another kind; or a hospital passes on what
    /// it was granted last.
    fn granting(&mut self) -> SignedCall {
        let gid = *self
            .chaos
            .gids
            .last()
            .expect("chaos has a name for nothing");
        let delegation = self.chaos.delegation(gid);
        if self.below(3) == 0 {
            return self.by_right(delegation);
        }
        let rid = self.old();
        let doctor = self.below(6);
        let scope = match self.below(3) {
            0 => Scope::Kinds(vec![RecordKind::Imaging]),
            _ => Scope::Records(vec![rid]),
        };
        let max_uses = [None, Some(1), Some(2)][self.below(3) as usize];
        let stage = &self.chaos.stage;
        let terms = match doctor % 3 {
            0 => stage.delegable(doctor % 4, scope),
            _ => stage.care(doctor, scope),
        };
        let act = Act::Grant(GrantTerms { max_uses, ..terms });
        match self.chaos.parties(&rid) {
            Some([_, owner]) => self.chaos.stage.order(&owner, act),
            None => self.by_right(act),
        }
    }

    /// One of the records that were there at first.
    pub(super) fn old(&mut self) -> RecordId {
        let count = self.chaos.rids.len().min(25) as u64;
        self.chaos.rids[self.chaos.random.below(count) as usize]
    }

    /// The patient hides a record, or shows it again.
    fn hiding(&mut self) -> SignedCall {
        let rid = self.old();
        match self.chaos.stage.state.status(&rid) {
            Some(Status::Hidden) => self.by_right(Act::Unhide(rid)),
            Some(Status::Disputed) => self.chaos.stage.resolution((0, 8), rid),
            _ => self.by_right(Act::Hide(rid)),
        }
    }

    /// The next step of one of the last sharings.
    fn sharing(&mut self) -> SignedCall {
        let sids = &self.chaos.sids;
        let back = self.chaos.random.below(sids.len().min(2) as u64) as usize;
        let sid = sids[sids.len() - 1 - back];
        let state = &self.chaos.stage.state;
        let rid = state.shares.find(&sid).map(|(_, share)| *share.rid());
        let document = rid.map_or(Digest::ZERO, |rid| self.chaos.stage.document(&rid));
        let document = [document, Digest([1; 32])][usize::from(self.below(5) == 0)];
        let act = match self.below(5) {
            0..=1 => Act::ApproveShare(sid),
            2 => Act::DeliverShare(sid, document),
            3 => Act::ConfirmShare(sid, document),
            _ => match self.chaos.rids.last() {
                Some(rid) => Act::RequestShare(*rid),
                None => Act::DenyShare(sid),
            },
        };
        self.by_right(act)
    }

    /// Two doctors claim an emergency, mostly two who may.
    fn emergency(&mut self) -> SignedCall {
        let doctors = [[0, 4], [0, 4], [1, 5], [0, 1]][self.below(4) as usize];
        let rid = self.old();
        self.chaos.stage.emergency(doctors, rid)
    }

    /// Lets somebody ask who may, if anybody may.
    pub(super) fn by_right(&mut self, act: Act) -> SignedCall {
        let doctor = self.below(6);
        let by = self.chaos.entitled(&act);
        let by = by.unwrap_or_else(|| self.chaos.stage.doctor(doctor));
        self.chaos.stage.order(&by, act)
    }

    /// Notes what became of a call, and lets time pass.
    pub fn learn(&mut self, call: &SignedCall, receipt: &Receipt, turn: u64) {
        if let (Call::Order(order), Some((at, keys))) = (call.call(), self.change.take())
            && let Act::Affair(Affair::Rotate(_)) = order.terms().act
            && *receipt == Receipt::Accepted
        {
            self.changing[at] = keys;
        }
        self.chaos.learn(call, receipt);
        let leap = u64::from(self.below(300) == 0) * 700;
        self.chaos.stage.height += u64::from(turn.is_multiple_of(5)) + leap;
    }

    /// Something that was asked before, word by word.
    fn again(&mut self) -> SignedCall {
        let count = self.earlier.len() as u64;
        if count == 0 {
            return self.chaos.next();
        }
        let at = self.below(count) as usize;
        self.earlier[at].clone()
    }

    /// A doctor who is the patient.
    fn alone(&mut self) -> SignedCall {
        let doctor = self.below(8);
        self.chaos.stage.submission(doctor, doctor, |_| {})
    }

    /// A submission or a proposal that somebody else signs.
    fn in_other_hands(&mut self) -> SignedCall {
        let (doctor, patient) = (self.below(6), 8 + self.below(5));
        let content = self.chaos.stage.content(doctor, patient);
        let people = &self.chaos.stage.people;
        match self.chaos.random.below(3) {
            0 => people.submission(content, doctor, patient + 1),
            1 => people.submission(content, doctor + 1, patient),
            _ => {
                let keys = people.doctor(doctor + 1).keys.clone();
                SignedCall::signed(Call::Propose(Draft::new(content)), &keys, None)
            }
        }
    }

    /// A submission that repeats something of an earlier one.
    fn repeated(&mut self) -> SignedCall {
        let count = self.contents.len() as u64;
        if count == 0 {
            return self.alone();
        }
        let old = self.contents[self.chaos.random.below(count) as usize].clone();
        let people = &self.chaos.stage.people;
        let parties = (
            people.doctor_number(&old.did),
            people.patient_number(&old.pid),
        );
        let (Some(doctor), Some(patient)) = parties else {
            return self.alone();
        };
        let what = self.below(8);
        self.chaos.stage.submission(doctor, patient, |content| {
            if what & 1 > 0 {
                content.payload_hash = old.payload_hash;
            }
            if what & 2 > 0 {
                content.nonce = old.nonce;
            }
            if what & 4 > 0 {
                content.rid = old.rid;
            }
        })
    }

    /// A submission with two things wrong; parties sign what results.
    fn damaged(&mut self) -> SignedCall {
        let (doctor, patient) = (self.below(6), 8 + self.below(5));
        let damages = [self.below(14), self.below(14)];
        self.chaos.stage.submission(doctor, patient, |content| {
            damages.iter().for_each(|damage| harm(content, *damage));
        })
    }

    /// Patients who look after one another.
    fn somebody(&mut self) -> Somebody {
        match self.below(4) {
            0 => self.changing[self.chaos.random.below(3) as usize].clone(),
            _ => {
                let number = 8 + self.below(6);
                self.chaos.stage.patient(number)
            }
        }
    }

    fn name(&mut self) -> PatientId {
        match self.somebody().0 {
            Party::Patient(pid) => pid,
            Party::Authority(_) | Party::Hospital(_) | Party::Doctor(_) | Party::Alias(_) => {
                unreachable!()
            }
        }
    }

    fn custody(&mut self) -> SignedCall {
        let (by, whom) = (self.somebody(), self.name());
        let custody = match self.below(7) {
            0..=2 => Custody::Add(whom),
            3..=4 => Custody::Enable(whom),
            5 => Custody::Disable(whom),
            _ => Custody::Remove(whom),
        };
        self.chaos
            .stage
            .order(&by, Act::Affair(Affair::Entrust(custody)))
    }

    /// Somebody signs for a patient.
    fn by_custodian(&mut self) -> SignedCall {
        let (patient, custodian) = (self.below(6) + 8, self.somebody());
        let Party::Patient(name) = custodian.0 else {
            unreachable!("patients are custodians")
        };
        let rid = self.chaos.rids[self.chaos.random.below(self.chaos.rids.len() as u64) as usize];
        let stage = &mut self.chaos.stage;
        let owner = stage
            .state
            .parties_of(&rid)
            .map(|(_, pid)| Party::Patient(pid));
        let by = owner.unwrap_or(stage.patient(patient).0);
        let call = match self.chaos.random.below(6) {
            0 => Call::Submit(Draft::new(stage.content(0, patient))),
            1 => {
                let terms = stage.care(1, Scope::All);
                Call::Order(Order::new(stage.terms(by, Act::Grant(terms))))
            }
            2 => Call::Order(Order::new(stage.terms(by, Act::Hide(rid)))),
            3 => Call::Order(Order::new(stage.terms(by, Act::Unhide(rid)))),
            4 => Call::Order(Order::new(stage.terms(by, Act::Dispute(rid)))),
            _ => Call::Order(Order::new(stage.terms(by, Act::RequestShare(rid)))),
        };
        let doctor = stage.doctor(0).1;
        SignedCall::entrusted(call, Some(&doctor), name, &custodian.1)
    }

    /// A patient changes the key, with the old one or with the help of others.
    fn rotation(&mut self) -> SignedCall {
        let at = self.below(3) as usize;
        let (party, keys) = self.changing[at].clone();
        let Party::Patient(of) = party else {
            unreachable!("patients change keys")
        };
        let new = self.fresh();
        let to = PatientId::of(&new.public());
        self.change = Some((at, (Party::Patient(to), new.clone())));
        let change = KeyChange {
            of,
            to,
            key: new.public(),
            revoke_all: self.below(2) == 0,
        };
        let alone = self.below(3) == 0;
        let by = if alone {
            (party, keys)
        } else {
            self.chaos.stage.authority(2)
        };
        let act = Act::Affair(Affair::Rotate(change));
        let call = Call::Order(Order::new(self.chaos.stage.terms(by.0, act)));
        let mut call = SignedCall::signed(call, &by.1, Some(&new));
        for _ in 0..self.below(4) {
            let (name, keys) = self.somebody();
            call = call.witnessed(name, &keys);
        }
        call
    }

    /// Heights that begin or end about now.
    pub(super) fn valid(&mut self) -> Validity {
        let now = self.chaos.stage.height;
        match self.below(6) {
            0 => Validity {
                from: now + 1,
                until: now + 9,
            },
            1 => Validity { from: 5, until: 3 },
            2 => Validity {
                from: now,
                until: now + 20,
            },
            _ => Validity::ALWAYS,
        }
    }

    pub(super) fn office(&mut self, number: u32) -> Somebody {
        let count = self.offices.len() as u64;
        if count > 0 && self.below(3) == 0 {
            let (office, keys) = &self.offices[self.chaos.random.below(count) as usize];
            return (Party::Authority(AuthorityId::of(&office.key)), keys.clone());
        }
        self.chaos.stage.authority(number)
    }

    /// An authority certifies somebody whom the others hardly need.
    fn certification(&mut self) -> SignedCall {
        let (number, whom) = match self.below(4) {
            0 => (2, self.changing[0].0),
            1 => (1, self.chaos.stage.doctor(6).0),
            2 if !self.locums.is_empty() => (1, self.locums[0].0),
            _ => (1, self.chaos.stage.doctor(5).0),
        };
        let (by, valid) = (self.office(number), self.valid());
        let act = Act::Affair(Affair::Certify(whom, valid));
        self.chaos.stage.order(&by, act)
    }

    /// The hospitals admit or expel an authority.
    fn council(&mut self) -> SignedCall {
        let subject = self.fresh();
        let count = self.offices.len() as u64;
        let known = (count > 0).then(|| self.chaos.random.below(count) as usize);
        let valid = self.valid();
        let (affair, keys) = match known.map(|at| self.offices[at].clone()) {
            Some((office, _)) if self.below(2) == 0 => {
                (Affair::Expel(AuthorityId::of(&office.key)), None)
            }
            Some((office, keys)) if self.below(4) == 0 => (Affair::Admit(office), Some(keys)),
            Some(_) | None => {
                let office = Authority {
                    key: subject.public(),
                    vouches: [Vouches::Doctors, Vouches::Patients, Vouches::Aliases]
                        [self.below(3) as usize],
                    valid,
                };
                self.offices.push((office.clone(), subject.clone()));
                (Affair::Admit(office), Some(subject))
            }
        };
        let first = self.below(4);
        let by = self.chaos.stage.hospital(first);
        let terms = self.chaos.stage.terms(by.0, Act::Affair(affair));
        let call = Call::Order(Order::new(terms));
        let mut call = SignedCall::signed(call, &by.1, keys.as_ref());
        for other in (0..4).filter(|other| *other != first) {
            if self.below(4) > 0 {
                let (name, keys) = self.chaos.stage.hospital(other);
                call = call.witnessed(name, &keys);
            }
        }
        call
    }

    /// Somebody new.
    fn enrolment(&mut self) -> SignedCall {
        let (subject, valid) = (self.fresh(), self.valid());
        let key = subject.public();
        let licence = format!("L-{}", self.below(12));
        let hid = self
            .chaos
            .stage
            .people
            .hospital(self.chaos.random.below(4) as u32)
            .id;
        let (number, identity) = match self.below(4) {
            0 => {
                let name = "New Hospital".into();
                let region = 1;
                (0, Identity::Hospital(Hospital { key, name, region }))
            }
            1 => {
                let pid = PatientId::of(&key);
                (2, Identity::Patient(pid, Patient { key }))
            }
            _ => {
                self.locums
                    .push((Party::Doctor(DoctorId::of(&key)), subject.clone()));
                let doctor = Doctor {
                    key,
                    real_name: "A Locum".into(),
                    licence,
                    hid,
                    specialty: 1,
                    own: Digest::ZERO,
                };
                (1, Identity::Doctor(doctor))
            }
        };
        let by = self.office(number);
        let act = Act::Enrol(Arc::new(Enrolment { identity, valid }));
        let call = Call::Order(Order::new(self.chaos.stage.terms(by.0, act)));
        SignedCall::signed(call, &by.1, Some(&subject))
    }

    /// Somebody asks what to ask.
    fn suggestion(&mut self) -> SignedCall {
        let conditions = [
            Condition::Ages(0, 18),
            Condition::Begins(Coding::Diagnosis, Term::new("E11")),
        ];
        let query = Query {
            conditions: conditions[..1 + self.chaos.random.below(2) as usize].to_vec(),
            purpose: Purpose::Care,
            page: 0,
        };
        let doctor = self.below(6);
        self.chaos.stage.by_doctor(doctor, Act::Suggest(query))
    }

    /// A record by somebody who was enrolled later, or by a doctor whose certificate may be over.
    fn by_locum(&mut self) -> SignedCall {
        let patient = 8 + self.below(5);
        let mut content = self.chaos.stage.content(5, patient);
        let mut keys = self.chaos.stage.doctor(5).1;
        if let Some((Party::Doctor(did), locum)) = self.locums.last().cloned()
            && self.below(2) == 0
        {
            (content.did, keys) = (did, locum);
        }
        let call = Call::Submit(Draft::new(content));
        let patient = self.chaos.stage.patient(patient).1;
        SignedCall::signed(call, &keys, Some(&patient))
    }

    /// A call with a signature too many or too few.
    fn with_stray(&mut self) -> SignedCall {
        let call = self.chaos.next();
        let (first, second) = (call.first().cloned(), call.second().cloned());
        let mut further = call.further().to_vec();
        let what = call.call().clone();
        match self.below(5) {
            0 => SignedCall::with_further(what, None, second, further),
            1 => SignedCall::with_further(what, first, None, further),
            2 => {
                further.clear();
                SignedCall::with_further(what, first, second, further)
            }
            3 => {
                let nobody = Party::Hospital(HospitalId(Digest([9; 32])));
                let keys = self.fresh();
                further.push((nobody, Proof::sign(&keys, call.digest())));
                SignedCall::with_further(what, first, second, further)
            }
            _ => {
                let (name, keys) = self.somebody();
                further.push((name, Proof::sign(&keys, call.digest())));
                SignedCall::with_further(what, first, second, further)
            }
        }
    }
}

/// Does one of many kinds of harm to a content.
pub fn harm(content: &mut Content, damage: u32) {
    let summary: &mut Summary = Arc::make_mut(&mut content.summary);
    match damage {
        0 => content.valid_until = 1,
        1 => content.hid = HospitalId(Digest([5; 32])),
        2 => content.chain += 1,
        3 => content.payload_bytes = u64::MAX,
        4 => content.nonce = u64::MAX,
        5 => summary.age_band = 200,
        6 => summary.diagnoses.clear(),
        7 => summary.drugs = vec![Term::new("A10BA02"); 17],
        8 => summary.diagnoses.push(Term::new("flu")),
        9 => content.did = DoctorId(Digest([5; 32])),
        10 => content.pid = PatientId(Digest([5; 32])),
        11 => content.supersedes = Some(RecordId(Digest([5; 32]))),
        12 => content.rid = RecordId(Digest::ZERO),
        _ => summary.diagnoses = vec![Term::new("E119"); 2],
    }
}
