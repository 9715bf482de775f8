//! What one party asks for: who may, with which signature, and where it is carried out.

use std::sync::Arc;

use super::Receipt;
use super::access::asked;
use super::affair::Affair;
use super::call::{Act, Order, Proof, SignedCall, Terms};
use super::error::Code;
use super::identity::{Party, Place, Standing};
use super::message::CHAIN;
use super::rules::Mutant;
use super::speaker::Signer;
use super::view::View;
use super::write::Change;
use crate::base::crypto::Digest;

/// The last number that a party may use: the last one that every language of clients can write.
pub const NONCE_MAX: u64 = (1 << 53) - 1;

impl View<'_> {
    /// Plans an order: the checks all orders share, then its own. Nobody is harmed by a repeated
    /// search, so the number of one is not looked at.
    pub(super) fn order(&mut self, order: &Arc<Order>, call: &SignedCall) -> Result<Receipt, Code> {
        let terms = order.terms();
        let by = self.admit(order, call)?;
        let reads = call.reads_only();
        if !reads {
            self.check_nonce(by, terms.nonce)?;
        }
        if self.lacks(Mutant::RefusalSpends) {
            self.spend(by, terms.by, terms.nonce);
        }
        let receipt = self.carry_out(order, call, by)?;
        if !reads {
            self.spend(by, terms.by, terms.nonce);
        }
        Ok(receipt)
    }

    /// The groups of checks that come first for every order: form, time, identity and signatures.
    /// Tells where the caller stands in the directory.
    fn admit(&mut self, order: &Order, call: &SignedCall) -> Result<Place, Code> {
        let terms = order.terms();
        let act = &terms.act;
        check_form(terms)?;
        if let Act::Affair(affair) = act {
            self.check_affair_form(affair, &terms.by)?;
        }
        self.check_time(terms)?;
        self.check_further(call)?;
        let by = self.place(&terms.by)?;
        let signer = self.signer_of(act, by, call);
        first_failed([
            self.check_active(act, by),
            self.check_custodian(signer),
            self.check_subject(act, by),
            self.check_certifies(order, by, call),
        ])?;
        self.check_role(act, by)?;
        if let Act::Enrol(enrolment) = act {
            self.check_free(&enrolment.identity)?;
        }
        if let Act::Affair(affair) = act {
            self.check_affair_free(affair, by)?;
        }
        if let Some(signer) = signer {
            self.check_entrusted(signer)?;
        }
        self.check_signatures(order, (by, signer), call)?;
        Ok(by)
    }

    /// Carries out an order of a caller who may give it: the remaining checks and the change.
    fn carry_out(
        &mut self,
        order: &Arc<Order>,
        call: &SignedCall,
        by: Place,
    ) -> Result<Receipt, Code> {
        match &order.terms().act {
            Act::Enrol(enrolment) => self.enrol(enrolment, (order, call), by),
            Act::Affair(affair) => self.settle(affair, (order, call), by)?,
            Act::SetStanding(party, standing) => self.set_standing(party, *standing, by)?,
            Act::Reject(rid) => self.reject(rid, by)?,
            Act::Withdraw(rid) => self.withdraw(rid, by)?,
            Act::Hide(rid) => self.set_hidden(rid, by, true)?,
            Act::Unhide(rid) => self.set_hidden(rid, by, false)?,
            Act::Dispute(rid) => self.dispute(rid, by)?,
            Act::Resolve { rid, suspect } => self.resolve((rid, *suspect), by)?,
            Act::Grant(terms) => self.grant(order, terms, by)?,
            Act::Delegate(parent, terms) => self.delegate(order, (parent, terms), by)?,
            Act::Revoke(gid) => self.revoke(gid, by)?,
            Act::Access(gid, rid, purpose) => self.access(order, (gid, rid, *purpose), by)?,
            Act::Emergency { rid, second } => self.emergency(order, (rid, second), by)?,
            Act::RequestShare(rid) => self.request_share(order, rid, by)?,
            Act::ApproveShare(sid) => self.approve_share(sid, by)?,
            Act::DenyShare(sid) => self.deny_share(sid, by)?,
            Act::DeliverShare(sid, document) => self.deliver_share((sid, document), by)?,
            Act::ConfirmShare(sid, document) => self.confirm_share((sid, document), by)?,
            Act::Search(query) => return self.search(order.terms(), query),
            Act::AuditedSearch(query) => return self.audited_search(order.terms(), query, by),
            Act::Suggest(query) => return self.suggest(query),
            Act::AskContact { search, handle } => self.ask_contact(order, search, handle)?,
        }
        Ok(Receipt::Accepted)
    }

    /// Time: the order has not lapsed, and the intervals it speaks of are sound.
    fn check_time(&mut self, terms: &Terms) -> Result<(), Code> {
        let height = self.height();
        if height > terms.valid_until {
            return Err(Code::Expired);
        }
        match &terms.act {
            Act::Access(gid, ..) => self.check_begun(gid),
            Act::Grant(grant) | Act::Delegate(_, grant) => grant.check_time(height),
            Act::Search(query) | Act::AuditedSearch(query) | Act::Suggest(query) => {
                query.check_intervals()
            }
            Act::AskContact { search, .. } => self.check_answered(search),
            Act::Enrol(enrolment) => enrolment.valid.check_stated(height),
            Act::Affair(affair) => self.check_affair_time(affair),
            Act::SetStanding(..)
            | Act::Reject(_)
            | Act::Withdraw(_)
            | Act::Hide(_)
            | Act::Unhide(_)
            | Act::Dispute(_)
            | Act::Resolve { .. }
            | Act::Revoke(_)
            | Act::Emergency { .. }
            | Act::RequestShare(_)
            | Act::ApproveShare(_)
            | Act::DenyShare(_)
            | Act::DeliverShare(..)
            | Act::ConfirmShare(..) => Ok(()),
        }
    }

    /// Refuses a caller who may not act now. A patient with a frozen account may still thaw it and
    /// take things back; nothing new is given.
    /// What the authority has frozen the authority thaws: somebody else may have the key.
    fn check_active(&mut self, act: &Act, by: Place) -> Result<(), Code> {
        let thaws = matches!(
            act,
            Act::SetStanding(_, Standing::Active) | Act::Affair(Affair::Rotate(_))
        );
        let held = match by {
            Place::Patient(at) => self.directory().is_held(at),
            Place::Authority(_) | Place::Hospital(_) | Place::Doctor(_) | Place::Alias(_) => false,
        };
        match self.check_may_sign(by) {
            Err(Code::PatientFrozen) if act.manner().takes_back && !(thaws && held) => Ok(()),
            checked => checked,
        }
    }

    /// Who signs for the patient that the order is by, if it is one that custodians may sign.
    fn signer_of(&mut self, act: &Act, by: Place, call: &SignedCall) -> Option<Signer> {
        let Place::Patient(patient) = by else {
            return None;
        };
        let custodian = if act.manner().by_custodian {
            self.custodian_in(patient, call)
        } else {
            None
        };
        Some(Signer { patient, custodian })
    }

    /// Refuses a custodian whose signatures do not count now.
    fn check_custodian(&mut self, signer: Option<Signer>) -> Result<(), Code> {
        match signer.and_then(|signer| signer.custodian) {
            Some(at) => self.check_may_sign(Place::Patient(at)),
            None => Ok(()),
        }
    }

    /// Whether those whom the order concerns exist, and may act where they have to.
    fn check_subject(&mut self, act: &Act, by: Place) -> Result<(), Code> {
        match act {
            Act::SetStanding(party, _) => self.place(party).map(|_| ()),
            Act::Enrol(enrolment) => self.check_enrolment(enrolment),
            Act::Affair(affair) => self.check_affair_subject(affair),
            Act::Access(gid, ..) | Act::Delegate(gid, _) => self.check_giver(gid),
            Act::Resolve { rid, .. } => match self.counterpart(rid, by) {
                Some(other) => self.check_may_sign(other),
                None => Ok(()),
            },
            Act::Emergency { second, .. } => {
                let second = self.doctor(second)?;
                self.check_may_sign(Place::Doctor(second))?;
                self.check_own_hospital(by)
            }
            Act::RequestShare(_) => self.check_own_hospital(by),
            Act::DeliverShare(sid, _) => self.check_delivery(sid),
            Act::Reject(_)
            | Act::Withdraw(_)
            | Act::Hide(_)
            | Act::Unhide(_)
            | Act::Dispute(_)
            | Act::Grant(_)
            | Act::Revoke(_)
            | Act::ApproveShare(_)
            | Act::DenyShare(_)
            | Act::ConfirmShare(..)
            | Act::Search(_)
            | Act::AuditedSearch(_)
            | Act::Suggest(_)
            | Act::AskContact { .. } => Ok(()),
        }
    }

    /// Refuses a doctor whose hospital may not act now.
    fn check_own_hospital(&mut self, by: Place) -> Result<(), Code> {
        let Place::Doctor(at) = by else {
            return Ok(());
        };
        let hid = self.doctor_at(at).hid;
        let hospital = self.hospital(&hid)?;
        self.check_standing(Place::Hospital(hospital))
    }

    /// Whether the caller may give such an order.
    fn check_role(&mut self, act: &Act, by: Place) -> Result<(), Code> {
        let concerned = match act {
            Act::Enrol(enrolment) => self.vouches(by, enrolment.identity.vouched_by()),
            Act::Affair(affair) => self.may_settle(affair, by),
            Act::SetStanding(party, _) => self.may_set(by, party),
            Act::Reject(_)
            | Act::Withdraw(_)
            | Act::Hide(_)
            | Act::Unhide(_)
            | Act::Dispute(_)
            | Act::Resolve { .. }
            | Act::Grant(_)
            | Act::Delegate(..)
            | Act::Revoke(_)
            | Act::Access(..)
            | Act::Emergency { .. }
            | Act::RequestShare(_)
            | Act::ApproveShare(_)
            | Act::DenyShare(_)
            | Act::DeliverShare(..)
            | Act::ConfirmShare(..)
            | Act::Search(_)
            | Act::AuditedSearch(_)
            | Act::Suggest(_)
            | Act::AskContact { .. } => true,
        };
        let manner = act.manner();
        let stretched = matches!(by, Place::Alias(_)) && self.lacks(Mutant::AliasAsksAll);
        if concerned && (manner.is_for(by) || stretched && manner.is_for_hospitals()) {
            return Ok(());
        }
        Err(Code::WrongRole)
    }

    /// Whether everybody signed who has to, and nobody else.
    fn check_signatures(
        &mut self,
        order: &Order,
        (by, signer): (Place, Option<Signer>),
        call: &SignedCall,
    ) -> Result<(), Code> {
        let own = match signer {
            Some(signer) => self
                .check_signer(signer, &order.message(), call)
                .map(|_| ()),
            None => self.check_signed(by, call.first(), &order.message()),
        };
        let custodian = signer.and_then(|signer| signer.custodian);
        first_failed([
            own,
            check_subject_signed(order, call),
            self.check_support(order, (by, custodian), call),
        ])
    }

    /// Whether those signed who have to support an order.
    fn check_support(
        &mut self,
        order: &Order,
        (by, custodian): (Place, Option<u32>),
        call: &SignedCall,
    ) -> Result<(), Code> {
        let witness = match &order.terms().act {
            Act::Affair(Affair::Admit(_) | Affair::Expel(_)) => {
                return self.check_consortium(by, order, call);
            }
            Act::Affair(Affair::Rotate(change)) if matches!(by, Place::Authority(_)) => {
                return self.check_custodians(&change.of, order, call);
            }
            Act::AskContact { search, .. } if search.terms().by != order.terms().by => {
                return Err(Code::WrongSigner);
            }
            Act::Emergency { second, .. } => self.doctor(second).ok().map(Place::Doctor),
            Act::Resolve { rid, .. } => self.counterpart(rid, by),
            Act::Enrol(_)
            | Act::Affair(_)
            | Act::SetStanding(..)
            | Act::Reject(_)
            | Act::Withdraw(_)
            | Act::Hide(_)
            | Act::Unhide(_)
            | Act::Dispute(_)
            | Act::Grant(_)
            | Act::Delegate(..)
            | Act::Revoke(_)
            | Act::Access(..)
            | Act::RequestShare(_)
            | Act::ApproveShare(_)
            | Act::DenyShare(_)
            | Act::DeliverShare(..)
            | Act::ConfirmShare(..)
            | Act::Search(_)
            | Act::AuditedSearch(_)
            | Act::Suggest(_)
            | Act::AskContact { .. } => None,
        };
        self.check_witness((witness, custodian), order, call)
    }

    /// Whether a registered party signed a message.
    fn check_signed(
        &mut self,
        by: Place,
        proof: Option<&Proof>,
        message: &Digest,
    ) -> Result<(), Code> {
        let (missing, invalid) = match by {
            Place::Doctor(_) => (Code::DoctorSignatureMissing, Code::DoctorSignatureInvalid),
            Place::Patient(_) => (Code::PatientSignatureMissing, Code::PatientSignatureInvalid),
            Place::Hospital(_) | Place::Authority(_) | Place::Alias(_) => {
                (Code::WrongSigner, Code::WrongSigner)
            }
        };
        let proof = proof.ok_or(missing)?;
        if self.is_signed(by, proof, message) {
            return Ok(());
        }
        Err(invalid)
    }

    /// Whether the one party that has to support an order does, and no other is there but the
    /// custodian who signs for the caller.
    fn check_witness(
        &mut self,
        (witness, custodian): (Option<Place>, Option<u32>),
        order: &Order,
        call: &SignedCall,
    ) -> Result<(), Code> {
        let directory = self.directory();
        let named = witness.map(|place| directory.party(place));
        let custodian = custodian.map(|at| directory.party(Place::Patient(at)));
        let further = call.further().iter();
        let proof = further.clone().find(|(party, _)| Some(*party) == named);
        if let (Some(place), Some(message)) = (witness, order.for_witness()) {
            self.check_signed(place, proof.map(|(_, proof)| proof), &message)?;
        }
        // What nobody has verified shall not look as if it had been.
        let expected: Vec<Party> = [named, custodian].into_iter().flatten().collect();
        let stray = further.clone().any(|(party, _)| !expected.contains(party));
        if stray || further.len() > expected.len() {
            return Err(Code::WrongSigner);
        }
        Ok(())
    }

    /// Refuses a number that the party has used before, or that nobody may use.
    pub(super) fn check_nonce(&mut self, by: Place, nonce: u64) -> Result<(), Code> {
        if self.has_used(by, nonce) && !self.lacks(Mutant::NonceAgain) {
            return Err(Code::NonceUsed);
        }
        if nonce > NONCE_MAX {
            return Err(Code::NonceOutOfRange);
        }
        Ok(())
    }

    /// Plans that a party has used a number.
    pub(super) fn spend(&mut self, by: Place, party: Party, nonce: u64) {
        self.write(Change::Nonce { by, party, nonce });
    }
}

/// Form: right chain, texts and lists within bounds.
fn check_form(terms: &Terms) -> Result<(), Code> {
    match &terms.act {
        Act::Enrol(enrolment) => enrolment.identity.check()?,
        Act::Grant(grant) | Act::Delegate(_, grant) => grant.check_form()?,
        Act::Search(query) | Act::AuditedSearch(query) => query.check_form()?,
        Act::Suggest(query) => {
            query.check_room()?;
            query.check_form()?;
        }
        Act::AskContact { search, .. } => asked(search)?.check_form()?,
        Act::Affair(_)
        | Act::SetStanding(..)
        | Act::Reject(_)
        | Act::Withdraw(_)
        | Act::Hide(_)
        | Act::Unhide(_)
        | Act::Dispute(_)
        | Act::Resolve { .. }
        | Act::Revoke(_)
        | Act::Access(..)
        | Act::Emergency { .. }
        | Act::RequestShare(_)
        | Act::ApproveShare(_)
        | Act::DenyShare(_)
        | Act::DeliverShare(..)
        | Act::ConfirmShare(..) => {}
    }
    if terms.chain != CHAIN {
        return Err(Code::WrongChain);
    }
    Ok(())
}

/// Whether whoever has a new key signed with it, if the order speaks of one.
fn check_subject_signed(order: &Order, call: &SignedCall) -> Result<(), Code> {
    let proven = match (order.terms().act.subject(), call.second()) {
        (Some(key), Some(proof)) => {
            let message = call.call().for_subject();
            message.is_some_and(|message| proof.verifies(key, &message))
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    if proven {
        Ok(())
    } else {
        Err(Code::WrongSigner)
    }
}

/// Of several checks of one group the failed one with the least number.
fn first_failed<const N: usize>(checks: [Result<(), Code>; N]) -> Result<(), Code> {
    let failed = checks.into_iter().filter_map(Result::err).min();
    failed.map_or(Ok(()), Err)
}
