//! What one party asks for: who may, with which signature, and where it is carried out.

use std::sync::Arc;

use super::call::{Act, Order, SignedCall, Terms};
use super::error::Code;
use super::identity::{Identity, Party, Place, Standing, Vouches};
use super::message::CHAIN;
use super::{Receipt, State};

impl State {
    /// Executes an order: the checks all orders share, then its own.
    pub(super) fn order(&mut self, height: u64, order: &Arc<Order>, call: &SignedCall) -> Receipt {
        if matches!(order.terms().act, Act::Search(_)) {
            return self.read(height, call);
        }
        let done = self.admit(height, order, call).and_then(|by| {
            self.carry_out(height, order, by)?;
            self.spend(by, order.terms().nonce);
            Ok(())
        });
        done.map_or_else(Receipt::Refused, |()| Receipt::Accepted)
    }

    /// Answers a search. Nobody is harmed by a repeated one, so its number is not looked at.
    pub(super) fn read(&self, height: u64, call: &SignedCall) -> Receipt {
        let super::Call::Order(order) = call.call() else {
            return Receipt::Refused(Code::WrongRole);
        };
        let Act::Search(query) = &order.terms().act else {
            return Receipt::Refused(Code::WrongRole);
        };
        let found = self
            .admit(height, order, call)
            .and_then(|_| self.search(query, &call.digest()));
        found.map_or_else(Receipt::Refused, |answer| Receipt::Found(Arc::new(answer)))
    }

    /// The groups of checks that come first for every order: form, time, identity, signatures and
    /// replay. Tells where the caller stands in the directory.
    fn admit(&self, height: u64, order: &Order, call: &SignedCall) -> Result<Place, Code> {
        let terms = order.terms();
        check_form(terms)?;
        self.check_time(height, terms)?;
        let by = self.directory.place(&terms.by)?;
        self.check_active(terms, by)?;
        if let Act::Access(gid, ..) = &terms.act {
            self.check_giver(gid)?;
        }
        self.check_subject(&terms.act)?;
        self.check_role(&terms.act, by)?;
        if let Act::Enrol(identity) = &terms.act {
            self.directory.check_free(identity)?;
        }
        self.check_signatures(order, by, call)?;
        if !matches!(terms.act, Act::Search(_)) {
            self.check_nonce(by, terms.nonce)?;
        }
        Ok(by)
    }

    /// Carries out an order of a caller who may give it: the remaining checks and the change.
    fn carry_out(&mut self, height: u64, order: &Arc<Order>, by: Place) -> Result<(), Code> {
        match &order.terms().act {
            Act::Enrol(identity) => self.enrol(identity),
            Act::SetStanding(party, standing) => self.set_standing(party, *standing),
            Act::Reject(rid) => self.reject(height, rid, by),
            Act::Withdraw(rid) => self.withdraw(height, rid, by),
            Act::Hide(rid) => self.set_hidden(rid, by, true),
            Act::Unhide(rid) => self.set_hidden(rid, by, false),
            Act::Grant(terms) => self.grant(order, terms, by),
            Act::Revoke(gid) => self.revoke(gid, by),
            Act::Access(gid, rid, purpose) => self.access(height, order, (gid, rid, *purpose), by),
            Act::Search(_) => unreachable!("searches are answered before"),
        }
    }

    /// Time: the order has not lapsed, and the intervals it speaks of are sound.
    fn check_time(&self, height: u64, terms: &Terms) -> Result<(), Code> {
        if height > terms.valid_until {
            return Err(Code::Expired);
        }
        match &terms.act {
            Act::Access(gid, ..) => self.check_begun(height, gid),
            Act::Grant(grant) => grant.check_time(height),
            Act::Search(query) => query.check_intervals(),
            Act::Enrol(_)
            | Act::SetStanding(..)
            | Act::Reject(_)
            | Act::Withdraw(_)
            | Act::Hide(_)
            | Act::Unhide(_)
            | Act::Revoke(_) => Ok(()),
        }
    }

    /// Refuses a caller who may not act now. A patient with a frozen account may still thaw it and
    /// take things back; nothing new is given.
    fn check_active(&self, terms: &Terms, by: Place) -> Result<(), Code> {
        match by {
            Place::Authority(_) => Ok(()),
            Place::Hospital(at) => self.directory.check_hospital(at),
            Place::Doctor(at) => self.directory.check_doctor(at),
            Place::Patient(at) => match self.directory.check_patient(at) {
                Err(Code::PatientFrozen) if takes_back(&terms.act) => Ok(()),
                checked => checked,
            },
        }
    }

    /// Whether the party spoken of, or its employer, exists.
    fn check_subject(&self, act: &Act) -> Result<(), Code> {
        match act {
            Act::SetStanding(party, _) => self.directory.place(party).map(|_| ()),
            Act::Enrol(identity) => self.directory.check_employer(identity),
            Act::Reject(_)
            | Act::Withdraw(_)
            | Act::Hide(_)
            | Act::Unhide(_)
            | Act::Grant(_)
            | Act::Revoke(_)
            | Act::Access(..)
            | Act::Search(_) => Ok(()),
        }
    }

    /// Whether parties of the caller's kind may give such an order.
    fn check_role(&self, act: &Act, by: Place) -> Result<(), Code> {
        let may = match act {
            Act::Enrol(identity) => self.vouches(by, identity.vouched_by()),
            Act::SetStanding(party, _) => self.may_set(by, party),
            Act::Reject(_) | Act::Hide(_) | Act::Unhide(_) | Act::Grant(_) => {
                matches!(by, Place::Patient(_))
            }
            Act::Withdraw(_) => matches!(by, Place::Doctor(_)),
            Act::Revoke(_) | Act::Access(..) | Act::Search(_) => !matches!(by, Place::Authority(_)),
        };
        if may { Ok(()) } else { Err(Code::WrongRole) }
    }

    /// Whether the caller is an authority for such identities.
    fn vouches(&self, by: Place, whom: Vouches) -> bool {
        match by {
            Place::Authority(at) => self.directory.authority_at(at).vouches == whom,
            Place::Hospital(_) | Place::Doctor(_) | Place::Patient(_) => false,
        }
    }

    /// Whether the caller may change the standing of a party: its authority may, a doctor's
    /// hospital may, and patients decide on themselves.
    fn may_set(&self, by: Place, party: &Party) -> bool {
        match party {
            Party::Authority(_) => false,
            Party::Hospital(_) => self.vouches(by, Vouches::Hospitals),
            Party::Patient(_) => {
                self.vouches(by, Vouches::Patients) || self.directory.place(party) == Ok(by)
            }
            Party::Doctor(did) => {
                let hospital = self.directory.doctor(did).and_then(|at| {
                    let hid = self.directory.doctor_at(at).hid;
                    self.directory.hospital(&hid)
                });
                self.vouches(by, Vouches::Doctors) || hospital.map(Place::Hospital) == Ok(by)
            }
        }
    }

    /// Whether the caller signed, and of an enrolment the subject too.
    fn check_signatures(&self, order: &Order, by: Place, call: &SignedCall) -> Result<(), Code> {
        let (missing, invalid) = match (by, &order.terms().act) {
            (Place::Doctor(_), _) => (Code::DoctorSignatureMissing, Code::DoctorSignatureInvalid),
            (Place::Patient(_), _) => {
                (Code::PatientSignatureMissing, Code::PatientSignatureInvalid)
            }
            (Place::Hospital(_) | Place::Authority(_), _) => (Code::WrongSigner, Code::WrongSigner),
        };
        let enrols = match &order.terms().act {
            Act::Enrol(identity) => Some(identity),
            Act::SetStanding(..)
            | Act::Reject(_)
            | Act::Withdraw(_)
            | Act::Hide(_)
            | Act::Unhide(_)
            | Act::Grant(_)
            | Act::Revoke(_)
            | Act::Access(..)
            | Act::Search(_) => None,
        };
        let proof = call.first().ok_or(missing)?;
        let genuine = proof.verifies(self.directory.key(by), &order.message());
        let Some(identity) = enrols else {
            return if genuine { Ok(()) } else { Err(invalid) };
        };
        if !genuine {
            return Err(Code::CertSignatureInvalid);
        }
        let subject = call.second().zip(call.call().for_subject());
        match subject {
            Some((proof, message)) if proof.verifies(identity.key(), &message) => Ok(()),
            Some(_) | None => Err(Code::WrongSigner),
        }
    }

    /// Adds an identity.
    fn enrol(&mut self, identity: &Identity) -> Result<(), Code> {
        let entry = Arc::make_mut(&mut self.directory).add(identity.clone());
        self.root.add(&entry);
        Ok(())
    }

    /// Changes a standing. What has ended stays so, and what changes nothing is refused.
    fn set_standing(&mut self, party: &Party, standing: Standing) -> Result<(), Code> {
        let place = self.directory.place(party)?;
        let present = self.directory.standing(place);
        if present == standing || present == Standing::Ended {
            return Err(Code::IllegalTransition);
        }
        self.root.remove(&self.directory.entry(place));
        Arc::make_mut(&mut self.directory).set_standing(place, standing);
        self.root.add(&self.directory.entry(place));
        Ok(())
    }
}

/// Form: right chain, texts and lists within bounds.
fn check_form(terms: &Terms) -> Result<(), Code> {
    match &terms.act {
        Act::Enrol(identity) => identity.check()?,
        Act::Grant(grant) => grant.check_form()?,
        Act::Search(query) => query.check_form()?,
        Act::SetStanding(..)
        | Act::Reject(_)
        | Act::Withdraw(_)
        | Act::Hide(_)
        | Act::Unhide(_)
        | Act::Revoke(_)
        | Act::Access(..) => {}
    }
    if terms.chain != CHAIN {
        return Err(Code::WrongChain);
    }
    Ok(())
}

/// Whether an order of a patient gives nothing new.
fn takes_back(act: &Act) -> bool {
    match act {
        Act::SetStanding(..) | Act::Reject(_) | Act::Hide(_) | Act::Revoke(_) => true,
        Act::Enrol(_)
        | Act::Withdraw(_)
        | Act::Unhide(_)
        | Act::Grant(_)
        | Act::Access(..)
        | Act::Search(_) => false,
    }
}
