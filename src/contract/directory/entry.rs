//! What commits to identities: the digest of each as it is, and what a change adds to a message.

use super::{Custodian, Directory, Member, More, Place, Rotation};
use crate::base::crypto::Digest;
#[cfg(test)]
use crate::contract::identity::Party;
use crate::contract::identity::PatientId;
use crate::contract::message::Message;

/// The digests under which identities are part of the state.
impl Directory {
    /// The digest of an identity as it is now.
    pub(in crate::contract) fn entry(&self, place: Place) -> Digest {
        match place {
            Place::Authority(at) => {
                let office = &self.offices[at as usize];
                let message = office.who.write(Message::new(0, "authority entry"));
                let message = message.number(u64::from(office.revoked.is_some()));
                let message = message.number(office.revoked.unwrap_or(0));
                message.digest_for("entry")
            }
            Place::Hospital(at) => {
                let hospital = &self.hospitals[at as usize];
                let message = hospital.who.write(Message::new(0, "hospital entry"));
                self.entry_of(hospital, message).digest_for("entry")
            }
            Place::Doctor(at) => {
                let doctor = &self.doctors[at as usize];
                let message = doctor.who.write(Message::new(0, "doctor entry"));
                self.entry_of(doctor, message).digest_for("entry")
            }
            Place::Patient(at) => {
                let patient = &self.patients[at as usize];
                let message = Message::new(0, "patient entry");
                let message = patient.who.write(&patient.id, message);
                let message = self.entry_of(patient, message);
                match self.more.get(&at) {
                    Some(more) => more.write(message),
                    None => message,
                }
                .digest_for("entry")
            }
            Place::Alias(at) => {
                let alias = &self.aliases[at as usize];
                let message = alias.who.write(Message::new(0, "alias entry"));
                self.entry_of(alias, message).digest_for("entry")
            }
        }
    }

    /// Everybody by every name, with the entry.
    #[cfg(test)]
    pub(in crate::contract) fn entries(&self) -> Vec<(Party, Digest)> {
        let closed = self.by_pid.iter().filter_map(|pid| {
            let entry = self.closed_entry(pid)?;
            Some((Party::Patient(*pid), entry))
        });
        let offices = (0..self.offices.len()).map(|at| Place::Authority(at as u32));
        let hospitals = (0..self.hospitals.len()).map(|at| Place::Hospital(at as u32));
        let doctors = (0..self.doctors.len()).map(|at| Place::Doctor(at as u32));
        let patients = (0..self.patients.len()).map(|at| Place::Patient(at as u32));
        let aliases = (0..self.aliases.len()).map(|at| Place::Alias(at as u32));
        let places = offices.chain(hospitals).chain(doctors).chain(patients);
        let places = places.chain(aliases);
        let present = places.map(|place| (self.party(place), self.entry(place)));
        present.chain(closed).collect()
    }

    /// Adds what all identities have to a message.
    fn entry_of<Id, Who>(&self, member: &Member<Id, Who>, message: Message) -> Message {
        let ca = &self.offices[member.certificate.ca as usize].id;
        let message = message
            .number(member.standing as u64)
            .number(member.since)
            .digest(&ca.0);
        member.certificate.write(message)
    }

    /// The digest under which a name that a patient has given up is part of the state.
    pub(in crate::contract) fn closed_entry(&self, pid: &PatientId) -> Option<Digest> {
        let former = self.former(pid)?;
        let next = self.successor(pid)?;
        let message = Message::new(0, "closed patient entry");
        let message = message.part(&former.key.0).digest(&pid.0);
        let message = message.number(former.until).digest(&next.0);
        Some(message.digest_for("entry"))
    }
}

impl More {
    /// Adds it to a message.
    fn write(&self, message: Message) -> Message {
        let message = message.number(self.former.len() as u64);
        let message = match self.former.last() {
            Some(former) => message.digest(&former.pid.0),
            None => message,
        };
        let message = message
            .number(u64::from(self.held))
            .number(self.void_before);
        let custodians = self.custodians.iter();
        custodians.fold(message, |message, custodian| custodian.write(message))
    }
}

impl Custodian {
    /// Adds the custodian to a message.
    pub(in crate::contract) fn write(&self, message: Message) -> Message {
        let message = message.digest(&self.pid.0);
        message.number(u64::from(self.enabled))
    }
}

impl Rotation {
    /// Adds the rotation to a message.
    pub(in crate::contract) fn write(&self, message: Message) -> Message {
        let message = message.digest(&self.pid.0).part(&self.key.0);
        let message = message.number(u64::from(self.revoke_all));
        match &self.certificate {
            Some(certificate) => certificate.write(message),
            None => message,
        }
    }
}
