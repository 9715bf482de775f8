//! What one party asks for.

use super::{Expected, Faults, GrantFile, Life, Oracle, Who};
use crate::base::crypto::Digest;
use crate::contract::affair::Affair;
use crate::contract::call::{Act, Order, Proof, Terms};
use crate::contract::identity::{Party, Standing};
use crate::contract::message::{CHAIN, RecordId};
use crate::contract::{Code, SignedCall};

/// Which kinds of parties may ask.
#[derive(Clone, Copy)]
struct Askers {
    authority: bool,
    hospital: bool,
    doctor: bool,
    patient: bool,
    alias: bool,
}

const NOBODY: Askers = Askers {
    authority: false,
    hospital: false,
    doctor: false,
    patient: false,
    alias: false,
};
const PATIENTS: Askers = Askers {
    patient: true,
    ..NOBODY
};
const DOCTORS: Askers = Askers {
    doctor: true,
    ..NOBODY
};
const HOSPITALS: Askers = Askers {
    hospital: true,
    ..NOBODY
};
/// Who wants a record, and who has it then: themselves, or not to be known.
const WANTING: Askers = Askers {
    alias: true,
    ..DOCTORS
};
const RECEIVING: Askers = Askers {
    alias: true,
    ..HOSPITALS
};
const EITHER_PARTY: Askers = Askers {
    doctor: true,
    patient: true,
    ..NOBODY
};
const EITHER_SIDE: Askers = Askers {
    hospital: true,
    patient: true,
    ..NOBODY
};
const PEOPLE: Askers = Askers {
    authority: false,
    hospital: true,
    doctor: true,
    patient: true,
    alias: false,
};
const ANYBODY: Askers = Askers {
    authority: true,
    ..PEOPLE
};

impl Askers {
    fn include(self, who: Who) -> bool {
        match who {
            Who::Authority(_) => self.authority,
            Who::Hospital(_) => self.hospital,
            Who::Doctor(_) => self.doctor,
            Who::Patient(_) => self.patient,
            Who::Alias(_) => self.alias,
        }
    }
}

/// Who may ask for what.
fn askers(act: &Act) -> Askers {
    match act {
        Act::Enrol(_) | Act::Affair(_) | Act::SetStanding(..) => ANYBODY,
        Act::Reject(_) | Act::Hide(_) | Act::Unhide(_) | Act::Grant(_) => PATIENTS,
        Act::Withdraw(_) | Act::Emergency { .. } => DOCTORS,
        Act::RequestShare(_) => WANTING,
        Act::ConfirmShare(..) => RECEIVING,
        Act::Dispute(_) | Act::Resolve { .. } | Act::AskContact { .. } => EITHER_PARTY,
        Act::Delegate(..) | Act::DeliverShare(..) => HOSPITALS,
        Act::ApproveShare(_) | Act::DenyShare(_) => EITHER_SIDE,
        Act::Revoke(_)
        | Act::Access(..)
        | Act::Search(_)
        | Act::AuditedSearch(_)
        | Act::Suggest(_) => PEOPLE,
    }
}

/// Whether a patient with a frozen account may still ask for it: it gives nothing new.
fn takes_back(act: &Act) -> bool {
    matches!(
        act,
        Act::SetStanding(..)
            | Act::Affair(Affair::Rotate(_))
            | Act::Reject(_)
            | Act::Hide(_)
            | Act::Dispute(_)
            | Act::Revoke(_)
            | Act::DenyShare(_)
    )
}

/// Whether a custodian may ask for it in the patient's name.
fn by_custodian(act: &Act) -> bool {
    matches!(
        act,
        Act::Reject(_)
            | Act::Hide(_)
            | Act::Unhide(_)
            | Act::Dispute(_)
            | Act::Resolve { .. }
            | Act::Grant(_)
            | Act::Revoke(_)
            | Act::ApproveShare(_)
            | Act::DenyShare(_)
    )
}

impl Oracle {
    pub(super) fn order(
        &mut self,
        order: &Order,
        height: u64,
        call: &SignedCall,
        faults: &mut Faults,
    ) -> Option<Expected> {
        let terms = order.terms();
        faults.when(terms.chain != CHAIN, Code::WrongChain);
        faults.when(height > terms.valid_until, Code::Expired);
        self.registered(call, faults);
        let asker = self.who(&terms.by);
        Self::note(faults, asker.map(|_| ()));
        let (answer, by) = match asker {
            Ok(by) => {
                faults.when(!askers(&terms.act).include(by), Code::WrongRole);
                self.asker(order, by, height, call, faults);
                (self.own_rules(order, by, height, call, faults), by)
            }
            Err(_) => {
                // Form and time do not depend on who asks.
                self.formal(terms, height, faults);
                return None;
            }
        };
        if !call.reads_only() {
            self.number(by, terms.nonce, faults);
        }
        if !faults.0.is_empty() {
            return None;
        }
        if !call.reads_only() {
            self.used.insert((by, terms.nonce));
        }
        if let Act::AuditedSearch(query) = &terms.act {
            self.counted(query, by);
        }
        Some(answer.unwrap_or_else(|| self.takes_effect(order, by)))
    }

    /// The rules about who asks, and with which signatures.
    fn asker(&self, order: &Order, by: Who, height: u64, call: &SignedCall, faults: &mut Faults) {
        let act = &order.terms().act;
        let held = matches!(by, Who::Patient(at) if self.patients[at].held);
        let thaws = matches!(
            act,
            Act::SetStanding(_, Standing::Active) | Act::Affair(Affair::Rotate(_))
        );
        match self.may_sign(by, height) {
            Err(Code::PatientFrozen) if takes_back(act) && !(thaws && held) => {}
            checked => Self::note(faults, checked),
        }
        let custodian = match by {
            Who::Patient(at) if by_custodian(act) => self.custodian(at, call),
            _ => None,
        };
        if let (Who::Patient(me), Some(custodian)) = (by, custodian) {
            Self::note(faults, self.may_sign(Who::Patient(custodian), height));
            let mut list = self.patients[me].custodians.iter();
            let enabled = list.any(|(who, _, enabled)| *who == custodian && *enabled);
            faults.when(!enabled, Code::CustodianNotEnabled);
        }
        let proof = match custodian {
            Some(custodian) => self.further_by(Who::Patient(custodian), call),
            None => call.first(),
        };
        let signer = custodian.map_or(by, Who::Patient);
        self.signed(signer, proof, &order.message(), faults);
        let proves = matches!(
            act,
            Act::Enrol(_) | Act::Affair(Affair::Admit(_) | Affair::Rotate(_))
        );
        faults.when(!proves && call.second().is_some(), Code::WrongSigner);
        self.supported(
            order,
            (by, custodian.map(Who::Patient)),
            height,
            call,
            faults,
        );
    }

    fn further_by<'c>(&self, who: Who, call: &'c SignedCall) -> Option<&'c Proof> {
        let mut further = call.further().iter();
        let found = further.find(|(party, _)| self.who(party) == Ok(who));
        found.map(|(_, proof)| proof)
    }

    /// Somebody has to have signed a message.
    fn signed(&self, who: Who, proof: Option<&Proof>, message: &Digest, faults: &mut Faults) {
        let (missing, invalid) = match who {
            Who::Doctor(_) => (Code::DoctorSignatureMissing, Code::DoctorSignatureInvalid),
            Who::Patient(_) => (Code::PatientSignatureMissing, Code::PatientSignatureInvalid),
            Who::Hospital(_) | Who::Authority(_) | Who::Alias(_) => {
                (Code::WrongSigner, Code::WrongSigner)
            }
        };
        match proof {
            None => faults.add(missing),
            Some(proof) => {
                let signed = Self::signs(&self.key(who), message, proof);
                faults.when(!signed, invalid);
            }
        }
    }

    /// Those who have to support an order do, and nobody else is there.
    fn supported(
        &self,
        order: &Order,
        (by, custodian): (Who, Option<Who>),
        height: u64,
        call: &SignedCall,
        faults: &mut Faults,
    ) {
        let witness = match &order.terms().act {
            Act::Affair(Affair::Admit(_) | Affair::Expel(_)) => {
                return self.consortium(by, order, height, call, faults);
            }
            Act::Affair(Affair::Rotate(change)) if matches!(by, Who::Authority(_)) => {
                return self.custodians_agree(&change.of, order, height, call, faults);
            }
            Act::Emergency { second, .. } => self.who(&Party::Doctor(*second)).ok(),
            Act::Resolve { rid, .. } => self.other_party(rid, by),
            _ => None,
        };
        if let (Some(witness), Some(message)) = (witness, order.for_witness()) {
            self.signed(witness, self.further_by(witness, call), &message, faults);
        }
        let expected: Vec<Who> = [witness, custodian].into_iter().flatten().collect();
        let further = call.further();
        let mut parties = further.iter().map(|(party, _)| self.who(party).ok());
        let stray = parties.any(|who| !who.is_some_and(|who| expected.contains(&who)));
        faults.when(stray || further.len() > expected.len(), Code::WrongSigner);
    }

    /// The party of a record that somebody is not.
    pub(super) fn other_party(&self, rid: &RecordId, by: Who) -> Option<Who> {
        let file = self.records.get(rid)?;
        let (doctor, patient) = (Who::Doctor(file.content().did), Who::Patient(file.owner));
        match by {
            _ if by == doctor => Some(patient),
            _ if by == patient => Some(doctor),
            _ => None,
        }
    }

    /// What is wrong with an order whoever gives it.
    fn formal(&self, terms: &Terms, height: u64, faults: &mut Faults) {
        match &terms.act {
            Act::Grant(grant) | Act::Delegate(_, grant) => Self::terms(grant, height, faults),
            Act::Search(query) | Act::AuditedSearch(query) => Self::query(query, faults),
            Act::Suggest(query) => {
                Self::query(query, faults);
                faults.when(query.conditions.len() >= 6, Code::FieldTooLong);
            }
            Act::AskContact { search, .. } => Self::asked(search, height, faults),
            Act::Access(gid, ..) => {
                let grant = self.grants.get(gid);
                let early = grant.is_some_and(|grant| height < grant.terms.from);
                faults.when(early, Code::NotYetValid);
            }
            Act::Enrol(enrolment) => Self::enrolment(enrolment, height, faults),
            Act::Affair(Affair::Admit(office)) => Self::stated(&office.valid, height, faults),
            Act::Affair(Affair::Certify(_, valid)) => Self::stated(valid, height, faults),
            _ => {}
        }
    }

    /// The rules of each order; searches are answered here.
    fn own_rules(
        &mut self,
        order: &Order,
        by: Who,
        height: u64,
        call: &SignedCall,
        faults: &mut Faults,
    ) -> Option<Expected> {
        let terms = order.terms();
        self.formal(terms, height, faults);
        match &terms.act {
            Act::Enrol(enrolment) => self.enrol((enrolment, order), by, height, call, faults),
            Act::Affair(affair) => self.affair((affair, order), by, height, call, faults),
            Act::SetStanding(party, to) => self.set_standing((party, *to), by, faults),
            Act::Reject(rid) | Act::Withdraw(rid) => self.proposal(rid, by, height, faults),
            Act::Hide(rid) => self.of_patient(rid, by, Life::Active, faults),
            Act::Unhide(rid) => self.of_patient(rid, by, Life::Hidden, faults),
            Act::Dispute(rid) => self.of_either(rid, by, Life::Active, faults),
            Act::Resolve { rid, .. } => {
                self.of_either(rid, by, Life::Disputed, faults);
                let other = self.other_party(rid, by);
                let counts = other.map_or(Ok(()), |other| self.may_sign(other, height));
                Self::note(faults, counts);
            }
            Act::Grant(grant) => self.grant(grant, by, faults),
            Act::Delegate(gid, grant) => self.delegate(gid, grant, (by, height), faults),
            Act::Revoke(gid) => self.revoke(gid, by, faults),
            Act::Access(gid, rid, purpose) => {
                self.access((gid, rid, *purpose), (by, height), faults);
            }
            Act::Emergency { rid, second } => {
                self.emergency((rid, second), (by, height), faults);
            }
            Act::RequestShare(rid) => self.request(rid, by, faults),
            Act::ApproveShare(sid) => self.approve(sid, (by, height), faults),
            Act::DenyShare(sid) => self.deny(sid, (by, height), faults),
            Act::DeliverShare(sid, sent) => self.deliver((sid, sent), (by, height), faults),
            Act::ConfirmShare(sid, got) => self.confirm_share((sid, got), (by, height), faults),
            Act::Search(query) => return self.search(query, faults),
            Act::AuditedSearch(query) => {
                return self.audited_search(query, (by, height), faults);
            }
            Act::Suggest(query) => return self.suggest(query, faults),
            Act::AskContact { search, handle } => {
                faults.when(search.terms().by != terms.by, Code::WrongSigner);
                self.ask(search, handle, faults);
            }
        }
        None
    }

    /// What an order does that breaks no rule.
    fn takes_effect(&mut self, order: &Order, by: Who) -> Expected {
        match &order.terms().act {
            Act::Enrol(enrolment) => return self.enrolled(enrolment, by),
            Act::Affair(affair) => return self.settled(affair, by),
            Act::SetStanding(party, to) => return self.stands(party, *to, by),
            Act::Reject(rid) => self.turns(rid, Life::Rejected),
            Act::Withdraw(rid) => self.turns(rid, Life::Withdrawn),
            Act::Hide(rid) => self.turns(rid, Life::Hidden),
            Act::Unhide(rid) | Act::Resolve { rid, .. } => {
                self.turns(rid, Life::Active);
            }
            Act::Dispute(rid) => self.turns(rid, Life::Disputed),
            Act::Grant(_) | Act::Delegate(..) => self.given(order, by),
            Act::Revoke(gid) => {
                let ends = |grant: &mut GrantFile| grant.ended = true;
                self.grants.get_mut(gid).map(ends);
            }
            Act::Access(gid, rid, _) => self.read(order, gid, rid),
            Act::Emergency { rid, .. } => self.claimed(order, rid),
            Act::RequestShare(rid) => self.requested(order, rid, by),
            Act::ApproveShare(sid) => self.approved(sid, by),
            Act::DenyShare(sid) => self.denied(sid),
            Act::DeliverShare(sid, sent) => self.delivered(sid, sent),
            Act::ConfirmShare(sid, _) => self.confirmed(sid),
            Act::AskContact { search, handle } => self.told(search, handle),
            Act::Search(_) | Act::AuditedSearch(_) | Act::Suggest(_) => {
                unreachable!("searches are answered before");
            }
        }
        Expected::Done
    }

    fn turns(&mut self, rid: &RecordId, life: Life) {
        if let Some(file) = self.records.get_mut(rid) {
            (file.life, file.since) = (life, self.now);
        }
    }

    /// Doctor or patient decide on a proposal.
    fn proposal(&self, rid: &RecordId, by: Who, height: u64, faults: &mut Faults) {
        let Some(file) = self.records.get(rid) else {
            faults.add(Code::ProposalNotFound);
            return;
        };
        self.party_of(rid, by, faults);
        match file.life {
            Life::Proposed if height > file.since.saturating_add(1000) => {
                faults.add(Code::ProposalExpired);
            }
            Life::Proposed => {}
            _ => faults.add(Code::IllegalTransition),
        }
    }

    /// The caller is the doctor or the patient of a record.
    fn party_of(&self, rid: &RecordId, by: Who, faults: &mut Faults) {
        let file = &self.records[rid];
        match by {
            Who::Doctor(did) => faults.when(did != file.content().did, Code::RecordNotOfDoctor),
            Who::Patient(at) => faults.when(at != file.owner, Code::RecordNotOfPatient),
            Who::Hospital(_) | Who::Authority(_) | Who::Alias(_) => {}
        }
    }

    fn of_either(&self, rid: &RecordId, by: Who, from: Life, faults: &mut Faults) {
        let Some(file) = self.records.get(rid) else {
            faults.add(Code::RecordNotFound);
            return;
        };
        self.party_of(rid, by, faults);
        faults.when(file.life != from, Code::IllegalTransition);
    }

    fn of_patient(&self, rid: &RecordId, by: Who, from: Life, faults: &mut Faults) {
        self.of_either(rid, by, from, faults);
    }
}
