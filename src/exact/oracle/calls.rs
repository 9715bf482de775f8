//! Records on their way in.

use std::sync::Arc;

use super::{Account, Expected, Faults, Life, Oracle, RecordFile, Who};
use crate::base::crypto::Digest;
use crate::contract::call::Proof;
use crate::contract::identity::{Party, PatientId};
use crate::contract::message::{CHAIN, Content, Draft, RecordId};
use crate::contract::rules::Authentication;
use crate::contract::summary::{Summary, Term};
use crate::contract::{Code, SignedCall};

/// Who signs for a patient.
#[derive(Clone, Copy)]
pub(super) struct Hand {
    pub(super) account: Account,
    pub(super) custodian: Option<Account>,
}

/// The most that a party may count up to: what a double holds exactly.
const LAST_NUMBER: u64 = 9_007_199_254_740_991;

impl Oracle {
    pub(super) fn submit(
        &mut self,
        draft: &Arc<Draft>,
        height: u64,
        call: &SignedCall,
        faults: &mut Faults,
    ) -> Option<Expected> {
        let content = draft.content();
        let hand = self.draft(content, &content.pid, height, call, faults);
        self.doctor_signs(draft, call, faults);
        if let (Some(hand), true) = (hand, self.is_dual()) {
            self.patient_signs(hand, &draft.for_patient(), call, faults);
        }
        self.new_record(content, hand, faults);
        let account = hand?.account;
        faults.0.is_empty().then(|| self.enters(draft, account))
    }

    pub(super) fn propose(
        &mut self,
        draft: &Arc<Draft>,
        height: u64,
        call: &SignedCall,
        faults: &mut Faults,
    ) -> Option<Expected> {
        let content = draft.content();
        let hand = self.draft(content, &content.pid, height, call, faults);
        self.doctor_signs(draft, call, faults);
        self.new_record(content, hand, faults);
        let owner = hand?.account;
        faults.0.is_empty().then(|| {
            let file = RecordFile {
                draft: draft.clone(),
                owner,
                life: Life::Proposed,
                since: self.now,
            };
            self.records.insert(content.rid, file);
            Expected::Done
        })
    }

    pub(super) fn confirm(
        &mut self,
        (rid, pid): (&RecordId, &PatientId),
        signed: &Digest,
        height: u64,
        call: &SignedCall,
        faults: &mut Faults,
    ) -> Option<Expected> {
        let Some(file) = self.records.get(rid) else {
            faults.add(Code::ProposalNotFound);
            let hand = self.hand(pid, height, call, faults)?;
            self.patient_signs(hand, signed, call, faults);
            self.strays(call, hand.custodian, faults);
            return None;
        };
        let draft = file.draft.clone();
        let content = draft.content();
        let hand = self.draft(content, pid, height, call, faults);
        faults.when(*signed != draft.for_patient(), Code::SignedDifferentContent);
        self.unused(content, hand, faults);
        self.relations(content, hand, faults);
        match file.life {
            Life::Proposed if height > file.since.saturating_add(1000) => {
                faults.add(Code::ProposalExpired);
            }
            Life::Proposed => {}
            _ => faults.add(Code::IllegalTransition),
        }
        let hand = hand?;
        self.patient_signs(hand, signed, call, faults);
        faults.when(hand.account != file.owner, Code::RecordNotOfPatient);
        faults
            .0
            .is_empty()
            .then(|| self.enters(&draft, hand.account))
    }

    fn is_dual(&self) -> bool {
        match self.rules.authentication {
            Authentication::Dual => true,
            Authentication::DoctorOnly => false,
        }
    }

    /// What a draft has to be in itself, and that its parties may act. The patient is whom the
    /// caller names.
    fn draft(
        &self,
        content: &Content,
        pid: &PatientId,
        height: u64,
        call: &SignedCall,
        faults: &mut Faults,
    ) -> Option<Hand> {
        faults.when(content.rid.0 == Digest::ZERO, Code::EmptyField);
        summary(&content.summary, faults);
        faults.when(content.payload_bytes > 64 * 1024 * 1024, Code::BodyTooLarge);
        faults.when(content.chain != CHAIN, Code::WrongChain);
        faults.when(height > content.valid_until, Code::Expired);
        let doctor = self.who(&Party::Doctor(content.did));
        Self::note(faults, doctor.and_then(|who| self.may_sign(who, height)));
        let hospital = self.who(&Party::Hospital(content.hid));
        Self::note(faults, hospital.and_then(|who| self.standing(who)));
        let named = self.account(&content.pid);
        Self::note(faults, named.map(|_| ()));
        let hand = self.hand(pid, height, call, faults);
        self.strays(call, hand.and_then(|hand| hand.custodian), faults);
        if let (Some(doctor), Some(hand)) = (self.doctors.get(&content.did), hand) {
            let people = [Some(hand.account), hand.custodian].into_iter().flatten();
            let mut names = people.flat_map(|account| &self.patients[account].names);
            let own = names.any(|(name, _)| name.own_commitment() == doctor.own);
            faults.when(own, Code::SelfDealing);
        }
        hand
    }

    /// Who signs for the patient of this name.
    pub(super) fn hand(
        &self,
        pid: &PatientId,
        height: u64,
        call: &SignedCall,
        faults: &mut Faults,
    ) -> Option<Hand> {
        self.registered(call, faults);
        let account = match self.account(pid) {
            Ok(account) => account,
            Err(code) => {
                faults.add(code);
                return None;
            }
        };
        let custodian = self.custodian(account, call);
        Self::note(faults, self.may_sign(Who::Patient(account), height));
        if let Some(custodian) = custodian {
            Self::note(faults, self.may_sign(Who::Patient(custodian), height));
            let list = &self.patients[account].custodians;
            let enabled = list
                .iter()
                .any(|(who, _, enabled)| *who == custodian && *enabled);
            faults.when(!enabled, Code::CustodianNotEnabled);
        }
        Some(Hand { account, custodian })
    }

    /// Everybody who supports a call is registered.
    pub(super) fn registered(&self, call: &SignedCall, faults: &mut Faults) {
        let unknown = call
            .further()
            .iter()
            .any(|(party, _)| self.who(party).is_err());
        faults.when(unknown, Code::UnknownSigner);
    }

    /// Where a patient signs by the own hand.
    fn own_proof(call: &SignedCall) -> Option<&Proof> {
        match call.call() {
            crate::contract::Call::Submit(_) => call.second(),
            crate::contract::Call::Propose(_)
            | crate::contract::Call::Confirm { .. }
            | crate::contract::Call::Order(_) => call.first(),
        }
    }

    /// The other patient who signs where the patient does not.
    pub(super) fn custodian(&self, patient: Account, call: &SignedCall) -> Option<Account> {
        if Self::own_proof(call).is_some() || call.kind() == "propose" {
            return None;
        }
        let others = call.further().iter().filter_map(|(party, _)| match party {
            Party::Patient(pid) => self.account(pid).ok(),
            Party::Authority(_) | Party::Hospital(_) | Party::Doctor(_) | Party::Alias(_) => None,
        });
        others.into_iter().find(|other| *other != patient)
    }

    /// Nobody signs a draft but its parties and at most one custodian.
    fn strays(&self, call: &SignedCall, custodian: Option<Account>, faults: &mut Faults) {
        let expected = usize::from(custodian.is_some());
        faults.when(call.further().len() > expected, Code::WrongSigner);
    }

    fn doctor_signs(&self, draft: &Draft, call: &SignedCall, faults: &mut Faults) {
        let Some(doctor) = self.doctors.get(&draft.content().did) else {
            return;
        };
        match call.first() {
            None => faults.add(Code::DoctorSignatureMissing),
            Some(proof) => {
                let signed = Self::signs(&doctor.key, &draft.for_doctor(), proof);
                faults.when(!signed, Code::DoctorSignatureInvalid);
            }
        }
    }

    /// The patient or the custodian signs a message.
    pub(super) fn patient_signs(
        &self,
        hand: Hand,
        message: &Digest,
        call: &SignedCall,
        faults: &mut Faults,
    ) {
        let proof = match hand.custodian {
            None => Self::own_proof(call),
            Some(custodian) => {
                let mut named = call.further().iter();
                let named = named.find(|(party, _)| self.who(party) == Ok(Who::Patient(custodian)));
                named.map(|(_, proof)| proof)
            }
        };
        let key = self.key(Who::Patient(hand.custodian.unwrap_or(hand.account)));
        match proof {
            None => faults.add(Code::PatientSignatureMissing),
            Some(proof) => {
                let signed = Self::signs(&key, message, proof);
                faults.when(!signed, Code::PatientSignatureInvalid);
            }
        }
    }

    /// A new record repeats nothing, and fits to what is there.
    fn new_record(&self, content: &Content, hand: Option<Hand>, faults: &mut Faults) {
        faults.when(self.records.contains_key(&content.rid), Code::DuplicateRid);
        self.unused(content, hand, faults);
        self.relations(content, hand, faults);
    }

    fn unused(&self, content: &Content, hand: Option<Hand>, faults: &mut Faults) {
        faults.when(content.nonce > LAST_NUMBER, Code::NonceOutOfRange);
        let Some(Hand { account, .. }) = hand else {
            return;
        };
        let used = self.used.contains(&(Who::Patient(account), content.nonce));
        faults.when(used, Code::NonceUsed);
        let document = (account, content.did, content.payload_hash);
        faults.when(self.documents.contains(&document), Code::DuplicatePayload);
    }

    fn relations(&self, content: &Content, hand: Option<Hand>, faults: &mut Faults) {
        if let Some(doctor) = self.doctors.get(&content.did) {
            faults.when(doctor.hid != content.hid, Code::DoctorNotOfHospital);
        }
        let Some(old) = &content.supersedes else {
            return;
        };
        let Some(old) = self.records.get(old) else {
            faults.add(Code::SupersedesNotFound);
            return;
        };
        if let Some(hand) = hand {
            let same = old.owner == hand.account && old.content().hid == content.hid;
            faults.when(!same, Code::SupersedesOtherPatient);
        }
        match old.life {
            Life::Active | Life::Disputed => {}
            Life::Amended => faults.add(Code::AlreadyAmended),
            Life::Proposed | Life::Hidden | Life::Rejected | Life::Withdrawn => {
                faults.add(Code::IllegalTransition);
            }
        }
    }

    /// A record enters, in the place of the one that it replaces.
    fn enters(&mut self, draft: &Arc<Draft>, owner: Account) -> Expected {
        let content = draft.content();
        self.used.insert((Who::Patient(owner), content.nonce));
        self.documents
            .insert((owner, content.did, content.payload_hash));
        let file = RecordFile {
            draft: draft.clone(),
            owner,
            life: Life::Active,
            since: self.now,
        };
        self.records.insert(content.rid, file);
        if let Some(old) = content
            .supersedes
            .and_then(|old| self.records.get_mut(&old))
        {
            (old.life, old.since) = (Life::Amended, self.now);
        }
        Expected::Done
    }

    /// A number that a party uses once.
    pub(super) fn number(&self, who: Who, nonce: u64, faults: &mut Faults) {
        faults.when(self.used.contains(&(who, nonce)), Code::NonceUsed);
        faults.when(nonce > LAST_NUMBER, Code::NonceOutOfRange);
    }
}

/// What a summary has to be.
fn summary(summary: &Summary, faults: &mut Faults) {
    let lists = [&summary.diagnoses, &summary.procedures, &summary.drugs];
    faults.when(summary.diagnoses.is_empty(), Code::EmptyField);
    let formed = summary
        .diagnoses
        .iter()
        .all(|term| is_diagnosis(term.text()))
        && summary
            .procedures
            .iter()
            .all(|term| is_procedure(term.text()))
        && summary.drugs.iter().all(|term| is_drug(term.text()));
    faults.when(!formed, Code::BadCode);
    let long = lists
        .iter()
        .zip([8, 8, 16])
        .any(|(list, most)| list.len() > most);
    faults.when(long, Code::TooManyCodes);
    faults.when(summary.age_band > 18, Code::BadAgeBand);
    let repeats = |list: &Vec<Term>| {
        let mut sorted = list.clone();
        sorted.sort();
        sorted.windows(2).any(|pair| pair[0] == pair[1])
    };
    faults.when(lists.into_iter().any(repeats), Code::DuplicateCode);
}

/// A letter, a digit, and one to five more of either.
pub(super) fn is_diagnosis(text: &[u8]) -> bool {
    match text {
        [first, second, rest @ ..] => {
            first.is_ascii_uppercase()
                && second.is_ascii_digit()
                && (1..=5).contains(&rest.len())
                && is_plain(rest)
        }
        _ => false,
    }
}

/// Seven letters or digits.
pub(super) fn is_procedure(text: &[u8]) -> bool {
    text.len() == 7 && is_plain(text)
}

/// Letter, two digits, two letters, two digits.
pub(super) fn is_drug(text: &[u8]) -> bool {
    let [a, b, c, d, e, f, g] = text else {
        return false;
    };
    [a, d, e].iter().all(|byte| byte.is_ascii_uppercase())
        && [b, c, f, g].iter().all(|byte| byte.is_ascii_digit())
}

fn is_plain(text: &[u8]) -> bool {
    text.iter()
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}
