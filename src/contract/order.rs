//! What one party asks for: who may, with which signature, and where it is carried out.

use std::sync::Arc;

use super::Receipt;
use super::access::asked;
use super::call::{Act, Order, Proof, SignedCall, Terms};
use super::error::Code;
use super::identity::{Identity, Party, PatientId, Place, Standing, Vouches};
use super::message::CHAIN;
use super::view::{Key, View};
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
        let receipt = self.carry_out(order, by)?;
        if !reads {
            self.spend(by, terms.by, terms.nonce);
        }
        Ok(receipt)
    }

    /// The groups of checks that come first for every order: form, time, identity and signatures.
    /// Tells where the caller stands in the directory.
    fn admit(&mut self, order: &Order, call: &SignedCall) -> Result<Place, Code> {
        let terms = order.terms();
        check_form(terms)?;
        self.check_time(terms)?;
        self.check_further(call)?;
        let by = self.place(&terms.by)?;
        self.check_active(terms, by)?;
        self.check_subject(&terms.act, by)?;
        self.check_role(&terms.act, by)?;
        if let Act::Enrol(identity) = &terms.act {
            self.check_free(identity)?;
        }
        self.check_signatures(order, by, call)?;
        Ok(by)
    }

    /// Carries out an order of a caller who may give it: the remaining checks and the change.
    fn carry_out(&mut self, order: &Arc<Order>, by: Place) -> Result<Receipt, Code> {
        match &order.terms().act {
            Act::Enrol(identity) => self.enrol(identity),
            Act::SetStanding(party, standing) => self.set_standing(party, *standing)?,
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
            Act::Enrol(_)
            | Act::SetStanding(..)
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

    /// Refuses the support of parties that are not registered.
    fn check_further(&mut self, call: &SignedCall) -> Result<(), Code> {
        let mut further = call.further().iter();
        if further.any(|(party, _)| self.place(party).is_err()) {
            return Err(Code::UnknownSigner);
        }
        Ok(())
    }

    /// Refuses a caller who may not act now. A patient with a frozen account may still thaw it and
    /// take things back; nothing new is given.
    fn check_active(&mut self, terms: &Terms, by: Place) -> Result<(), Code> {
        match self.check_may_act(by) {
            Err(Code::PatientFrozen) if terms.act.manner().takes_back => Ok(()),
            checked => checked,
        }
    }

    /// Refuses a party that may not act now.
    pub(super) fn check_may_act(&mut self, place: Place) -> Result<(), Code> {
        match place {
            Place::Authority(_) => Ok(()),
            Place::Hospital(at) => {
                self.hospital_at(at);
                self.directory().check_hospital(at)
            }
            Place::Doctor(at) => {
                self.doctor_at(at);
                self.directory().check_doctor(at)
            }
            Place::Patient(at) => {
                self.patient_at(at);
                self.directory().check_patient(at)
            }
        }
    }

    /// Whether those whom the order concerns exist, and may act where they have to.
    fn check_subject(&mut self, act: &Act, by: Place) -> Result<(), Code> {
        match act {
            Act::SetStanding(party, _) => self.place(party).map(|_| ()),
            Act::Enrol(identity) => self.check_employer(identity),
            Act::Access(gid, ..) | Act::Delegate(gid, _) => self.check_giver(gid),
            Act::Resolve { rid, .. } => match self.counterpart(rid, by) {
                Some(other) => self.check_may_act(other),
                None => Ok(()),
            },
            Act::Emergency { second, .. } => {
                let second = self.doctor(second)?;
                self.directory().check_doctor(second)?;
                self.check_own_hospital(by)
            }
            Act::RequestShare(_) => self.check_own_hospital(by),
            Act::DeliverShare(sid, _) => self.check_owner(sid),
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
        self.directory().check_hospital(hospital)
    }

    /// Whether the caller may give such an order.
    fn check_role(&mut self, act: &Act, by: Place) -> Result<(), Code> {
        let concerned = match act {
            Act::Enrol(identity) => self.vouches(by, identity.vouched_by()),
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
        if concerned && act.manner().is_for(by) {
            return Ok(());
        }
        Err(Code::WrongRole)
    }

    /// Whether the caller is an authority for such identities.
    fn vouches(&mut self, by: Place, whom: Vouches) -> bool {
        match by {
            Place::Authority(at) => self.authority_at(at).vouches == whom,
            Place::Hospital(_) | Place::Doctor(_) | Place::Patient(_) => false,
        }
    }

    /// Whether the caller may change the standing of a party: its authority may, a doctor's
    /// hospital may, and patients decide on themselves.
    fn may_set(&mut self, by: Place, party: &Party) -> bool {
        match party {
            Party::Authority(_) => false,
            Party::Hospital(_) => self.vouches(by, Vouches::Hospitals),
            Party::Patient(_) => self.vouches(by, Vouches::Patients) || self.place(party) == Ok(by),
            Party::Doctor(did) => {
                let doctor = self.doctor(did);
                let employer = doctor.and_then(|at| {
                    let hid = self.doctor_at(at).hid;
                    self.hospital(&hid)
                });
                self.vouches(by, Vouches::Doctors) || employer.map(Place::Hospital) == Ok(by)
            }
        }
    }

    /// Whether everybody signed who has to, and nobody else.
    fn check_signatures(
        &mut self,
        order: &Order,
        by: Place,
        call: &SignedCall,
    ) -> Result<(), Code> {
        let act = &order.terms().act;
        if let Act::Enrol(identity) = act {
            return self.check_enrolment((order, identity), by, call);
        }
        if let Act::AskContact { search, .. } = act
            && search.terms().by != order.terms().by
        {
            return Err(Code::WrongSigner);
        }
        let own = self.check_signed(by, call.first(), &order.message());
        let witness = match act {
            Act::Emergency { second, .. } => self.doctor(second).ok().map(Place::Doctor),
            Act::Resolve { rid, .. } => self.counterpart(rid, by),
            Act::Enrol(_)
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
        let witnessed = self.check_witness(witness, order, call);
        let failed = [own, witnessed].into_iter().filter_map(Result::err);
        failed.min().map_or(Ok(()), Err)
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
            Place::Hospital(_) | Place::Authority(_) => (Code::WrongSigner, Code::WrongSigner),
        };
        let proof = proof.ok_or(missing)?;
        if proof.verifies(self.key_of(by), message) {
            return Ok(());
        }
        Err(invalid)
    }

    /// Whether the one party that has to support an order does, and no other is there.
    fn check_witness(
        &mut self,
        witness: Option<Place>,
        order: &Order,
        call: &SignedCall,
    ) -> Result<(), Code> {
        let named = witness.map(|place| self.directory().party(place));
        let mut further = call.further().iter();
        let proof = further.clone().find(|(party, _)| Some(*party) == named);
        if let (Some(place), Some(message)) = (witness, order.for_witness()) {
            self.check_signed(place, proof.map(|(_, proof)| proof), &message)?;
        }
        // What nobody has verified shall not look as if it had been.
        if further.any(|(party, _)| Some(*party) != named) || call.further().len() > 1 {
            return Err(Code::WrongSigner);
        }
        Ok(())
    }

    /// Whether an authority vouches for an identity, which holds its key.
    fn check_enrolment(
        &mut self,
        (order, identity): (&Order, &Identity),
        by: Place,
        call: &SignedCall,
    ) -> Result<(), Code> {
        let vouched = call.first().ok_or(Code::WrongSigner)?;
        if !vouched.verifies(self.key_of(by), &order.message()) {
            return Err(Code::CertSignatureInvalid);
        }
        let subject = call.second().zip(call.call().for_subject());
        match subject {
            Some((proof, message)) if proof.verifies(identity.key(), &message) => {
                self.check_witness(None, order, call)
            }
            Some(_) | None => Err(Code::WrongSigner),
        }
    }

    /// Refuses a doctor of a hospital that cannot employ one.
    fn check_employer(&mut self, identity: &Identity) -> Result<(), Code> {
        match identity {
            Identity::Doctor(doctor) => {
                let hospital = self.hospital(&doctor.hid)?;
                self.directory().check_hospital(hospital)
            }
            Identity::Hospital(_) | Identity::Patient(..) => Ok(()),
        }
    }

    /// Whether an identity may be added: its name is its own, and name and licence are free.
    fn check_free(&mut self, identity: &Identity) -> Result<(), Code> {
        match identity {
            Identity::Hospital(_) => {}
            Identity::Doctor(doctor) => {
                if self.is_licensed(&doctor.licence) {
                    return Err(Code::LicenceTaken);
                }
            }
            Identity::Patient(pid, patient) => {
                if *pid != PatientId::of(&patient.key) {
                    return Err(Code::PidKeyMismatch);
                }
            }
        }
        if self.place(&identity.party()).is_ok() {
            return Err(Code::IdTaken);
        }
        Ok(())
    }

    /// Plans that an identity is added.
    fn enrol(&mut self, identity: &Arc<Identity>) {
        self.write(Change::Enrolled(identity.clone()));
        match &**identity {
            Identity::Doctor(doctor) => self.write(Change::Licence(Key::licence(&doctor.licence))),
            Identity::Hospital(_) | Identity::Patient(..) => {}
        }
    }

    /// Plans another standing. What has ended stays so, and what changes nothing is refused.
    fn set_standing(&mut self, party: &Party, standing: Standing) -> Result<(), Code> {
        let place = self.place(party)?;
        let present = self.directory().standing(place);
        if present == standing || present == Standing::Ended {
            return Err(Code::IllegalTransition);
        }
        self.write(Change::Standing {
            place,
            party: *party,
            standing,
        });
        Ok(())
    }

    /// Refuses a number that the party has used before, or that nobody may use.
    pub(super) fn check_nonce(&mut self, by: Place, nonce: u64) -> Result<(), Code> {
        if self.has_used(by, nonce) {
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
        Act::Enrol(identity) => identity.check()?,
        Act::Grant(grant) | Act::Delegate(_, grant) => grant.check_form()?,
        Act::Search(query) | Act::AuditedSearch(query) => query.check_form()?,
        Act::Suggest(query) => {
            query.check_room()?;
            query.check_form()?;
        }
        Act::AskContact { search, .. } => asked(search)?.check_form()?,
        Act::SetStanding(..)
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
