//! What concerns the identities themselves, beyond coming and going: authorities that the
//! hospitals admit or expel, certificates made anew, keys that patients change, and custodians.
//!
//! Authorities are the business of the consortium, see `council`. A patient's account is the
//! patient's own business: only the patient changes the list of custodians, and changes the key
//! with the old one. Whoever has lost the key needs the authority for patients and more than half
//! of the custodians; without custodians a lost key stays lost.

use super::call::{Order, SignedCall};
use super::certificate::{Certificate, Validity};
use super::directory::{Custodian, Rotation};
use super::error::Code;
use super::identity::{Authority, AuthorityId, Party, PatientId, Place, Vouches};
use super::message::Message;
use super::register::Registration;
use super::view::View;
use crate::base::crypto::PublicKey;

/// One thing that concerns identities.
#[derive(Clone, Debug)]
pub enum Affair {
    /// The hospitals admit an authority: one of them asks, and others sign as well. The authority
    /// proves to hold its key.
    Admit(Authority),
    /// The hospitals expel an authority: from then on it certifies nobody, and those whom it has
    /// certified sign nothing.
    Expel(AuthorityId),
    /// An authority certifies anew one who is registered, for these heights.
    Certify(Party, Validity),
    /// A patient changes the key; or, when it is lost, the authority does with the custodians.
    /// Whoever holds the new key proves it.
    Rotate(KeyChange),
    /// A patient changes who else may sign.
    Entrust(Custody),
}

/// A new key for a patient.
#[derive(Clone, Debug)]
pub struct KeyChange {
    /// The pseudonym so far, which is closed.
    pub of: PatientId,
    /// The pseudonym that the new key is claimed to have.
    pub to: PatientId,
    /// The new key.
    pub key: PublicKey,
    /// Whether all grants end: to be chosen if somebody else may have the old key.
    pub revoke_all: bool,
}

/// A change to the list of a patient's custodians, of whom the patient is always one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Custody {
    /// Another patient may sign as well, once enabled.
    Add(PatientId),
    /// One on the list may sign from now on.
    Enable(PatientId),
    /// One on the list may not sign for now.
    Disable(PatientId),
    /// One is no longer on the list.
    Remove(PatientId),
}

/// Custodians that a patient may have.
pub const CUSTODIANS_MAX: usize = 16;

impl Affair {
    /// The word for it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Admit(_) => "admit-authority",
            Self::Expel(_) => "expel-authority",
            Self::Certify(..) => "certify",
            Self::Rotate(_) => "rotate-key",
            Self::Entrust(Custody::Add(_)) => "add-custodian",
            Self::Entrust(Custody::Enable(_)) => "enable-custodian",
            Self::Entrust(Custody::Disable(_)) => "disable-custodian",
            Self::Entrust(Custody::Remove(_)) => "remove-custodian",
        }
    }

    /// The key whose holder has to prove to hold it.
    pub(super) fn subject(&self) -> Option<&PublicKey> {
        match self {
            Self::Admit(authority) => Some(&authority.key),
            Self::Rotate(change) => Some(&change.key),
            Self::Expel(_) | Self::Certify(..) | Self::Entrust(_) => None,
        }
    }

    /// Adds the affair to a message.
    pub(super) fn write(&self, message: Message) -> Message {
        match self {
            Self::Admit(authority) => authority.write(message),
            Self::Expel(id) => message.digest(&id.0),
            Self::Certify(party, valid) => valid.write(party.write(message)),
            Self::Rotate(change) => message
                .digest(&change.of.0)
                .digest(&change.to.0)
                .part(&change.key.0)
                .number(u64::from(change.revoke_all)),
            Self::Entrust(custody) => message.digest(&custody.whom().0),
        }
    }
}

impl Custody {
    /// Whom it is about.
    fn whom(&self) -> &PatientId {
        let (Self::Add(pid) | Self::Enable(pid) | Self::Disable(pid) | Self::Remove(pid)) = self;
        pid
    }
}

/// The groups of checks, in the order in which all orders meet them.
impl View<'_> {
    /// Form: a patient's list of custodians is bounded.
    pub(super) fn check_affair_form(&mut self, affair: &Affair, by: &Party) -> Result<(), Code> {
        let (Affair::Entrust(Custody::Add(_)), Party::Patient(pid)) = (affair, by) else {
            return Ok(());
        };
        let listed = self.patient(pid).map(|at| self.custodians(at).len());
        if listed.is_ok_and(|listed| listed >= CUSTODIANS_MAX) {
            return Err(Code::FieldTooLong);
        }
        Ok(())
    }

    /// Time: nobody is vouched for in advance.
    pub(super) fn check_affair_time(&self, affair: &Affair) -> Result<(), Code> {
        match affair {
            Affair::Admit(Authority { valid, .. }) | Affair::Certify(_, valid) => {
                valid.check_stated(self.height())
            }
            Affair::Expel(_) | Affair::Rotate(_) | Affair::Entrust(_) => Ok(()),
        }
    }

    /// Identity: whom it concerns is there, and not at an end.
    pub(super) fn check_affair_subject(&mut self, affair: &Affair) -> Result<(), Code> {
        match affair {
            Affair::Admit(authority) if authority.valid.is_over(self.height()) => {
                Err(Code::CaExpired)
            }
            Affair::Admit(_) => Ok(()),
            Affair::Expel(id) => {
                let place = self.place(&Party::Authority(*id))?;
                self.check_may_sign(place)
            }
            Affair::Certify(_, valid) if valid.is_over(self.height()) => Err(Code::CertExpired),
            Affair::Certify(party, _) => {
                let place = self.place(party)?;
                self.check_not_ended(place)
            }
            Affair::Rotate(change) => {
                let place = self.place(&Party::Patient(change.of))?;
                self.check_not_ended(place)
            }
            Affair::Entrust(Custody::Add(pid)) => {
                let place = self.place(&Party::Patient(*pid))?;
                self.check_not_ended(place)
            }
            Affair::Entrust(Custody::Enable(_) | Custody::Disable(_) | Custody::Remove(_)) => {
                Ok(())
            }
        }
    }

    /// Refuses one who will never act again.
    fn check_not_ended(&mut self, place: Place) -> Result<(), Code> {
        match self.check_standing(place) {
            Err(Code::DoctorSuspended | Code::PatientFrozen | Code::HospitalSuspended) => Ok(()),
            checked => checked,
        }
    }

    /// Identity: whether the caller may ask for it.
    pub(super) fn may_settle(&mut self, affair: &Affair, by: Place) -> bool {
        match affair {
            Affair::Admit(_) | Affair::Expel(_) => matches!(by, Place::Hospital(_)),
            Affair::Certify(Party::Authority(_), _) => false,
            Affair::Certify(Party::Hospital(_), _) => self.vouches(by, Vouches::Hospitals),
            Affair::Certify(Party::Doctor(_), _) => self.vouches(by, Vouches::Doctors),
            Affair::Certify(Party::Patient(_), _) => self.vouches(by, Vouches::Patients),
            Affair::Certify(Party::Alias(_), _) => self.vouches(by, Vouches::Aliases),
            Affair::Rotate(change) => {
                self.vouches(by, Vouches::Patients)
                    || self.place(&Party::Patient(change.of)) == Ok(by)
            }
            Affair::Entrust(_) => matches!(by, Place::Patient(_)),
        }
    }

    /// Identity: names belong to their keys and are free, and who is to be a custodian is not one
    /// yet, and else is on the list.
    pub(super) fn check_affair_free(&mut self, affair: &Affair, by: Place) -> Result<(), Code> {
        match affair {
            Affair::Admit(authority) => {
                let id = AuthorityId::of(&authority.key);
                if self.place(&Party::Authority(id)).is_ok() {
                    return Err(Code::IdTaken);
                }
                Ok(())
            }
            Affair::Rotate(change) => {
                if change.to != PatientId::of(&change.key) {
                    return Err(Code::PidKeyMismatch);
                }
                if self.is_pseudonym(&change.to) {
                    return Err(Code::IdTaken);
                }
                Ok(())
            }
            Affair::Entrust(custody) => self.check_listed(custody, by),
            Affair::Expel(_) | Affair::Certify(..) => Ok(()),
        }
    }

    /// The patient counts as one on the list.
    fn check_listed(&mut self, custody: &Custody, by: Place) -> Result<(), Code> {
        let Place::Patient(at) = by else {
            return Err(Code::WrongRole);
        };
        let listed = self.is_same(at, custody.whom()) || self.listed(at, custody.whom()).is_some();
        match custody {
            Custody::Add(_) if listed => Err(Code::IdTaken),
            Custody::Enable(_) | Custody::Disable(_) | Custody::Remove(_) if !listed => {
                Err(Code::CustodianNotEnabled)
            }
            Custody::Add(_) | Custody::Enable(_) | Custody::Disable(_) | Custody::Remove(_) => {
                Ok(())
            }
        }
    }

    /// Whether this is the name of the patient at a place.
    fn is_same(&mut self, at: u32, pid: &PatientId) -> bool {
        self.patient(pid) == Ok(at)
    }

    /// Where on a patient's list a custodian is, by a name of then or of now.
    fn listed(&mut self, at: u32, pid: &PatientId) -> Option<usize> {
        let place = self.patient(pid);
        let mut custodians = self.custodians(at).iter();
        custodians.position(|custodian| custodian.pid == *pid || Ok(custodian.place) == place)
    }

    /// Plans what changes, after the last checks.
    pub(super) fn settle(
        &mut self,
        affair: &Affair,
        (order, call): (&Order, &SignedCall),
        by: Place,
    ) -> Result<(), Code> {
        match affair {
            Affair::Admit(authority) => self.register(Registration::Admitted(authority.clone())),
            Affair::Expel(id) => self.register(Registration::Expelled(*id)),
            Affair::Certify(party, valid) => {
                let place = self.place(party)?;
                if let Some(certificate) = Certificate::by(by, *valid, order, call) {
                    self.register(Registration::Certified {
                        place,
                        party: *party,
                        certificate,
                    });
                }
            }
            Affair::Rotate(change) => {
                let at = self.patient(&change.of)?;
                // A patient's old key vouches for the new one, with the certificate it has.
                let valid = self.directory().certificate(Place::Patient(at)).valid;
                self.register(Registration::Closed(change.of));
                self.register(Registration::Rotated(Rotation {
                    at,
                    pid: change.to,
                    key: change.key,
                    certificate: Certificate::by(by, valid, order, call),
                    revoke_all: change.revoke_all,
                }));
            }
            Affair::Entrust(custody) => self.entrust(custody, by)?,
        }
        Ok(())
    }

    /// Plans another list of custodians. The patient is always one, and cannot be taken off.
    fn entrust(&mut self, custody: &Custody, by: Place) -> Result<(), Code> {
        let Place::Patient(at) = by else {
            return Err(Code::WrongRole);
        };
        let mut custodians = self.custodians(at).to_vec();
        let found = self.listed(at, custody.whom());
        match (custody, found) {
            (Custody::Add(pid), _) => custodians.push(Custodian {
                pid: *pid,
                place: self.patient(pid)?,
                enabled: false,
            }),
            (Custody::Enable(_) | Custody::Disable(_), Some(found)) => {
                let enabled = matches!(custody, Custody::Enable(_));
                if custodians[found].enabled == enabled {
                    return Err(Code::IllegalTransition);
                }
                custodians[found].enabled = enabled;
            }
            (Custody::Remove(_), Some(found)) => {
                custodians.remove(found);
            }
            // What is left is the patient.
            (Custody::Enable(_), None) => return Err(Code::IllegalTransition),
            (Custody::Disable(_) | Custody::Remove(_), None) => return Err(Code::NoCustodianLeft),
        }
        let pid = *self.directory().pid_at(at);
        self.register(Registration::Entrusted {
            at,
            pid,
            custodians,
        });
        Ok(())
    }
}
