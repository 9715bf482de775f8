//! What one party asks for: who may, with which signature, and where it is carried out.

use std::sync::Arc;

use super::Receipt;
use super::call::{Act, Order, SignedCall, Terms};
use super::error::Code;
use super::identity::{Identity, Party, PatientId, Place, Standing, Vouches};
use super::message::CHAIN;
use super::view::{Key, View};
use super::write::Change;

impl View<'_> {
    /// Plans an order: the checks all orders share, then its own. Nobody is harmed by a repeated
    /// search, so the number of one is not looked at.
    pub(super) fn order(&mut self, order: &Arc<Order>, call: &SignedCall) -> Result<Receipt, Code> {
        let terms = order.terms();
        let by = self.admit(order, call)?;
        if let Act::Search(query) = &terms.act {
            let answer = self.search(query, &order.message())?;
            return Ok(Receipt::Found(Arc::new(answer)));
        }
        self.check_nonce(by, terms.nonce)?;
        self.carry_out(order, by)?;
        self.spend(by, terms.by, terms.nonce);
        Ok(Receipt::Accepted)
    }

    /// The groups of checks that come first for every order: form, time, identity and signatures.
    /// Tells where the caller stands in the directory.
    fn admit(&mut self, order: &Order, call: &SignedCall) -> Result<Place, Code> {
        let terms = order.terms();
        check_form(terms)?;
        self.check_time(terms)?;
        let by = self.place(&terms.by)?;
        self.check_active(terms, by)?;
        if let Act::Access(gid, ..) = &terms.act {
            self.check_giver(gid)?;
        }
        self.check_subject(&terms.act)?;
        self.check_role(&terms.act, by)?;
        if let Act::Enrol(identity) = &terms.act {
            self.check_free(identity)?;
        }
        self.check_signatures(order, by, call)?;
        Ok(by)
    }

    /// Carries out an order of a caller who may give it: the remaining checks and the change.
    fn carry_out(&mut self, order: &Arc<Order>, by: Place) -> Result<(), Code> {
        match &order.terms().act {
            Act::Enrol(identity) => {
                self.enrol(identity);
                Ok(())
            }
            Act::SetStanding(party, standing) => self.set_standing(party, *standing),
            Act::Reject(rid) => self.reject(rid, by),
            Act::Withdraw(rid) => self.withdraw(rid, by),
            Act::Hide(rid) => self.set_hidden(rid, by, true),
            Act::Unhide(rid) => self.set_hidden(rid, by, false),
            Act::Grant(terms) => self.grant(order, terms, by),
            Act::Revoke(gid) => self.revoke(gid, by),
            Act::Access(gid, rid, purpose) => self.access(order, (gid, rid, *purpose), by),
            Act::Search(_) => unreachable!("searches are answered before"),
        }
    }

    /// Time: the order has not lapsed, and the intervals it speaks of are sound.
    fn check_time(&mut self, terms: &Terms) -> Result<(), Code> {
        let height = self.height();
        if height > terms.valid_until {
            return Err(Code::Expired);
        }
        match &terms.act {
            Act::Access(gid, ..) => self.check_begun(gid),
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
            Place::Hospital(at) => self.directory().check_hospital(at),
            Place::Doctor(at) => self.directory().check_doctor(at),
            Place::Patient(at) => match self.directory().check_patient(at) {
                Err(Code::PatientFrozen) if takes_back(&terms.act) => Ok(()),
                checked => checked,
            },
        }
    }

    /// Whether the party spoken of, or its employer, exists.
    fn check_subject(&mut self, act: &Act) -> Result<(), Code> {
        match act {
            Act::SetStanding(party, _) => self.place(party).map(|_| ()),
            Act::Enrol(identity) => self.check_employer(identity),
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
    fn check_role(&mut self, act: &Act, by: Place) -> Result<(), Code> {
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

    /// Whether the caller signed, and of an enrolment the subject too.
    fn check_signatures(
        &mut self,
        order: &Order,
        by: Place,
        call: &SignedCall,
    ) -> Result<(), Code> {
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
        let genuine = proof.verifies(self.key_of(by), &order.message());
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

    /// Refuses a number that the party has used before.
    pub(super) fn check_nonce(&mut self, by: Place, nonce: u64) -> Result<(), Code> {
        if self.has_used(by, nonce) {
            return Err(Code::NonceUsed);
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
