//! Who decides on others: authorities enrol and certify, suspend and end; the hospitals together
//! admit and expel authorities; a patient's custodians together help with a lost key.
//!
//! The hospitals decide by strictly more than two thirds of those that are active, the custodians
//! by strictly more than half of those enabled. Everybody counts once, and only by a signature
//! over this very order, with a certificate that counts at this height.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::affair::Affair;
use super::call::{Act, Order, Proof, SignedCall};
use super::certificate::Certificate;
use super::error::Code;
use super::identity::{
    AliasId, AuthorityId, DoctorId, Enrolment, HospitalId, Identity, Party, PatientId, Place,
    Standing, Vouches,
};
use super::register::Registration;
use super::rules::Mutant;
use super::view::{Key, View};
use super::write::Change;
use crate::base::crypto::PublicKey;

/// A share of those who decide; strictly more has to sign.
#[derive(Clone, Copy, Debug)]
struct Share {
    numerator: usize,
    denominator: usize,
}

/// Of the active hospitals.
const CONSORTIUM: Share = Share {
    numerator: 2,
    denominator: 3,
};

/// Of the enabled custodians.
const CUSTODIANS: Share = Share {
    numerator: 1,
    denominator: 2,
};

impl Share {
    /// Whether so many of all are more than the share.
    fn is_exceeded(self, signed: usize, all: usize) -> bool {
        signed * self.denominator > all * self.numerator
    }
}

/// Signatures that support an order, counted.
struct Count {
    /// Who counts, each once.
    signed: BTreeSet<Place>,
    /// Whether there is a signature that does not verify, or by somebody who has no say.
    strays: bool,
}

impl View<'_> {
    /// Whether more than two thirds of the hospitals signed, the asking one included.
    pub(super) fn check_consortium(
        &mut self,
        by: Place,
        order: &Order,
        call: &SignedCall,
    ) -> Result<(), Code> {
        let all = self.active_hospitals();
        let mut count = self.count(order, call, |place| matches!(place, Place::Hospital(_)));
        count.signed.insert(by);
        if self.lacks(Mutant::QuorumLow) {
            count.signed.insert(Place::Hospital(u32::MAX));
        }
        count.check(CONSORTIUM, all)
    }

    /// Whether more than half of a patient's enabled custodians signed.
    pub(super) fn check_custodians(
        &mut self,
        pid: &PatientId,
        order: &Order,
        call: &SignedCall,
    ) -> Result<(), Code> {
        let patient = self.patient(pid)?;
        let custodians = self.custodians(patient).iter();
        let enabled: BTreeSet<Place> = custodians
            .filter(|custodian| custodian.enabled)
            .map(|custodian| Place::Patient(custodian.place))
            .collect();
        let count = self.count(order, call, |place| enabled.contains(&place));
        count.check(CUSTODIANS, enabled.len())
    }

    /// Counts those who have a say, sign, and may.
    fn count(
        &mut self,
        order: &Order,
        call: &SignedCall,
        has_say: impl Fn(Place) -> bool,
    ) -> Count {
        let mut count = Count {
            signed: BTreeSet::new(),
            strays: false,
        };
        for (party, proof) in call.further() {
            let place = self.place(party).ok().filter(|place| has_say(*place));
            let verifies = |place| {
                let message = order.for_witness()?;
                proof
                    .verifies(self.key_of(place), &message)
                    .then_some(place)
            };
            match place.and_then(verifies) {
                Some(place) if self.check_may_sign(place).is_ok() => {
                    count.signed.insert(place);
                }
                Some(_) => {}
                None => count.strays = true,
            }
        }
        count
    }

    /// Whether the caller is an authority for such identities.
    pub(super) fn vouches(&mut self, by: Place, whom: Vouches) -> bool {
        match by {
            Place::Authority(at) => self.authority_at(at).vouches == whom,
            Place::Hospital(_) | Place::Doctor(_) | Place::Patient(_) | Place::Alias(_) => false,
        }
    }

    /// Whether the caller may change the standing of a party: its authority may, a doctor's
    /// hospital may, and patients decide on themselves. Of an alias nobody else could know whose
    /// business it is.
    pub(super) fn may_set(&mut self, by: Place, party: &Party) -> bool {
        match party {
            Party::Authority(_) => false,
            Party::Hospital(_) => self.vouches(by, Vouches::Hospitals),
            Party::Alias(_) => self.vouches(by, Vouches::Aliases),
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

    /// Whether what an authority certifies bears its signature.
    pub(super) fn check_certifies(
        &mut self,
        order: &Order,
        by: Place,
        call: &SignedCall,
    ) -> Result<(), Code> {
        let certifies = matches!(
            order.terms().act,
            Act::Enrol(_) | Act::Affair(Affair::Certify(..) | Affair::Rotate(_))
        );
        if !certifies || !matches!(by, Place::Authority(_)) {
            return Ok(());
        }
        let key = self.key_of(by);
        let genuine = |proof: &Proof| proof.verifies(key, &order.message());
        if call.first().is_some_and(genuine) {
            return Ok(());
        }
        Err(Code::CertSignatureInvalid)
    }

    /// Refuses a certificate that has run out before it begins, and a doctor of a hospital that
    /// cannot employ one.
    pub(super) fn check_enrolment(&mut self, enrolment: &Enrolment) -> Result<(), Code> {
        if enrolment.valid.is_over(self.height()) {
            return Err(Code::CertExpired);
        }
        match &enrolment.identity {
            Identity::Doctor(doctor) => {
                let hospital = self.hospital(&doctor.hid)?;
                self.check_standing(Place::Hospital(hospital))
            }
            Identity::Hospital(_) | Identity::Patient(..) | Identity::Alias(_) => Ok(()),
        }
    }

    /// Whether an identity may be added: its name is its own, and name and licence are free. A key
    /// that makes an alias has no other name, nor gets one of a hospital or a doctor later: the two
    /// names would be one institution's.
    pub(super) fn check_free(&mut self, identity: &Identity) -> Result<(), Code> {
        let taken = match identity {
            Identity::Hospital(_) => self.place(&identity.party()).is_ok(),
            Identity::Alias(alias) => {
                self.place(&identity.party()).is_ok() || self.is_named(&alias.key)
            }
            Identity::Doctor(doctor) => {
                if self.is_licensed(&doctor.licence) {
                    return Err(Code::LicenceTaken);
                }
                self.place(&identity.party()).is_ok()
            }
            Identity::Patient(pid, patient) => {
                if *pid != PatientId::of(&patient.key) {
                    return Err(Code::PidKeyMismatch);
                }
                self.is_pseudonym(pid)
            }
        };
        let taken = taken || self.is_disguise(identity);
        if taken {
            return Err(Code::IdTaken);
        }
        Ok(())
    }

    /// Whether somebody who is no alias has a name by this key.
    fn is_named(&mut self, key: &PublicKey) -> bool {
        let names = [
            Party::Authority(AuthorityId::of(key)),
            Party::Hospital(HospitalId::of(key)),
            Party::Doctor(DoctorId::of(key)),
            Party::Patient(PatientId::of(key)),
        ];
        let named = names.iter().any(|name| self.place(name).is_ok());
        named && !self.lacks(Mutant::AliasOfKnownKey)
    }

    /// Whether the key of a hospital or a doctor to be added is that of an alias.
    fn is_disguise(&mut self, identity: &Identity) -> bool {
        match identity {
            Identity::Hospital(_) | Identity::Doctor(_) => {
                let alias = Party::Alias(AliasId::of(identity.key()));
                self.place(&alias).is_ok()
            }
            Identity::Patient(..) | Identity::Alias(_) => false,
        }
    }

    /// Plans that an identity is added, with a certificate by this call.
    pub(super) fn enrol(
        &mut self,
        enrolment: &Arc<Enrolment>,
        (order, call): (&Order, &SignedCall),
        by: Place,
    ) {
        let Some(certificate) = Certificate::by(by, enrolment.valid, order, call) else {
            return;
        };
        self.register(Registration::Enrolled {
            enrolment: enrolment.clone(),
            certificate,
        });
        match &enrolment.identity {
            Identity::Doctor(doctor) => self.write(Change::Licence(Key::licence(&doctor.licence))),
            Identity::Hospital(_) => self.register(Registration::Roll),
            Identity::Patient(..) | Identity::Alias(_) => {}
        }
    }

    /// Plans another standing. What has ended stays so, and what changes nothing is refused. An
    /// alias is not suspended: its institution would rather make another one.
    pub(super) fn set_standing(
        &mut self,
        party: &Party,
        standing: Standing,
        by: Place,
    ) -> Result<(), Code> {
        let place = self.place(party)?;
        let present = self.directory().standing(place);
        let pauses = matches!(place, Place::Alias(_)) && standing == Standing::Suspended;
        if present == standing || present == Standing::Ended || pauses {
            return Err(Code::IllegalTransition);
        }
        self.register(Registration::Standing {
            place,
            party: *party,
            standing,
            held: matches!(by, Place::Authority(_)) && standing == Standing::Suspended,
        });
        if matches!(place, Place::Hospital(_)) {
            self.register(Registration::Roll);
        }
        Ok(())
    }
}

impl Count {
    /// Refuses too few, and then what nobody asked for.
    fn check(&self, share: Share, all: usize) -> Result<(), Code> {
        if !share.is_exceeded(self.signed.len(), all) {
            return Err(Code::QuorumNotReached);
        }
        if self.strays {
            return Err(Code::WrongSigner);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_exceeded_only_by_strictly_more() {
        let least = |share: Share, all| (0..=all).find(|&n| share.is_exceeded(n, all));
        let of_hospitals: Vec<_> = (1..=7).map(|all| least(CONSORTIUM, all)).collect();
        assert_eq!(of_hospitals, [1, 2, 3, 3, 4, 5, 5].map(Some));
        let of_custodians: Vec<_> = (1..=6).map(|all| least(CUSTODIANS, all)).collect();
        assert_eq!(of_custodians, [1, 2, 2, 3, 3, 4].map(Some));
        assert_eq!(least(CUSTODIANS, 0), None, "nobody decides for nobody");
    }
}
