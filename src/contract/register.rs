//! What accepted calls change about identities, and how that becomes part of the state.

use std::sync::Arc;

use super::State;
use super::certificate::Certificate;
use super::directory::{Custodian, Directory, Rotation};
use super::identity::{Authority, AuthorityId, Enrolment, Party, PatientId, Place, Standing};
use super::message::Message;
use super::view::Key;
use crate::base::crypto::{Digest, PublicKey};

/// What changes about identities.
#[derive(Clone, Debug)]
pub(super) enum Registration {
    /// The hospitals admit an authority.
    Admitted(Authority),
    /// The hospitals expel an authority.
    Expelled(AuthorityId),
    /// Somebody is enrolled.
    Enrolled {
        enrolment: Arc<Enrolment>,
        certificate: Certificate,
    },
    /// Somebody has another certificate.
    Certified {
        place: Place,
        party: Party,
        certificate: Certificate,
    },
    /// A party has another standing.
    Standing {
        place: Place,
        party: Party,
        standing: Standing,
        /// Whether only an authority can undo it.
        held: bool,
    },
    /// A patient has another key.
    Rotated(Rotation),
    /// A pseudonym is given up, by the patient whose new key is another write of the same call.
    Closed(PatientId),
    /// Others may sign for a patient.
    Entrusted {
        at: u32,
        pid: PatientId,
        custodians: Vec<Custodian>,
    },
    /// The list of hospitals has changed, by what is another write of the same call.
    Roll,
}

impl Registration {
    /// Which entry is written.
    pub(super) fn key(&self) -> Key {
        match self {
            Self::Admitted(authority) => Key::Authority(AuthorityId::of(&authority.key)),
            Self::Expelled(id) => Key::Authority(*id),
            Self::Enrolled { enrolment, .. } => Key::party(&enrolment.identity.party()),
            Self::Certified { party, .. } | Self::Standing { party, .. } => Key::party(party),
            Self::Rotated(rotation) => Key::Patient(rotation.pid),
            Self::Closed(pid) | Self::Entrusted { pid, .. } => Key::Patient(*pid),
            Self::Roll => Key::Roll,
        }
    }

    /// The digest of what is written, but for the key.
    pub(super) fn content(&self) -> Digest {
        let message = |action| Message::new(0, action);
        let message = match self {
            Self::Admitted(authority) => authority.write(message("admitted")),
            Self::Expelled(_) => message("expelled"),
            Self::Enrolled {
                enrolment,
                certificate,
            } => certificate.write(enrolment.write(message("enrolled"))),
            Self::Certified { certificate, .. } => certificate.write(message("certified")),
            Self::Standing { standing, held, .. } => message("standing")
                .number(*standing as u64)
                .number(u64::from(*held)),
            Self::Rotated(rotation) => rotation.write(message("rotated")),
            Self::Closed(_) => message("closed"),
            Self::Entrusted { custodians, .. } => custodians
                .iter()
                .fold(message("entrusted"), |message, custodian| {
                    custodian.write(message)
                }),
            Self::Roll => message("roll"),
        };
        message.digest_for("registration")
    }
}

impl State {
    /// The key with which a patient signs under a name, or signed before giving the name up.
    pub fn patient_key(&self, pid: &PatientId) -> Option<&PublicKey> {
        self.directory.key_of(pid)
    }

    /// The name that a patient took instead of this one.
    pub fn successor(&self, pid: &PatientId) -> Option<PatientId> {
        self.directory.successor(pid).copied()
    }

    /// Puts a planned change about identities into the state at a height.
    pub(super) fn register(&mut self, height: u64, registration: &Registration) {
        let calls = self.tree.calls();
        let directory: &mut Directory = Arc::make_mut(&mut self.directory);
        let place = match registration {
            Registration::Admitted(authority) => directory.found(authority.clone()),
            Registration::Expelled(id) => directory.expel(id, height),
            Registration::Enrolled {
                enrolment,
                certificate,
            } => {
                let identity = enrolment.identity.clone();
                directory.add(identity, height, certificate.clone())
            }
            Registration::Certified {
                place, certificate, ..
            } => {
                directory.certify(*place, certificate.clone());
                *place
            }
            Registration::Standing {
                place,
                standing,
                held,
                ..
            } => {
                directory.set_standing(*place, *standing, *held, height);
                *place
            }
            Registration::Rotated(rotation) => {
                let old = directory.rotate(rotation.clone(), height, calls);
                let entry = directory.closed_entry(&old);
                let entry = entry.expect("the old name was given up just now");
                self.tree.set(&Key::Patient(old).digest(), &entry);
                Place::Patient(rotation.at)
            }
            Registration::Entrusted { at, custodians, .. } => {
                directory.entrust(*at, custodians.clone());
                Place::Patient(*at)
            }
            Registration::Closed(_) | Registration::Roll => return,
        };
        let entry = self.directory.entry(place);
        self.tree.set(&registration.key().digest(), &entry);
    }
}
