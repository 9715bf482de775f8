//! Who takes part, and what may change about that.

use std::collections::BTreeSet;

use super::{
    Account, AliasFile, DoctorFile, Expected, Faults, HospitalFile, Office, Oracle, Papers,
    PatientFile, Who,
};
use crate::base::crypto::{Digest, PublicKey};
use crate::contract::affair::{Affair, Custody, KeyChange};
use crate::contract::call::{Order, Proof};
use crate::contract::certificate::Validity;
use crate::contract::identity::{
    AliasId, AuthorityId, DoctorId, Enrolment, HospitalId, Identity, Party, PatientId, Standing,
    Vouches,
};
use crate::contract::{Code, Population, Rules, SignedCall};

impl Oracle {
    /// The beginning: everybody is registered, nothing has happened.
    pub fn new(people: &Population, rules: Rules) -> Self {
        let mut oracle = Self {
            rules,
            now: 0,
            offices: Default::default(),
            hospitals: Default::default(),
            doctors: Default::default(),
            licences: BTreeSet::new(),
            patients: Vec::new(),
            names: Default::default(),
            aliases: Default::default(),
            records: Default::default(),
            documents: BTreeSet::new(),
            grants: Default::default(),
            shares: Default::default(),
            used: BTreeSet::new(),
            readings: Vec::new(),
            claims: Vec::new(),
            mail: Default::default(),
            searches: Default::default(),
            seen: Default::default(),
        };
        let papers = |by: u32| Papers {
            standing: Standing::Active,
            by: people.authority(by).id,
            until: u64::MAX,
        };
        oracle.add_offices(people);
        for person in (0..people.hospitals()).map(|number| people.hospital(number)) {
            let key = person.keys.public();
            oracle.add_hospital(person.id, key, papers(0));
        }
        for number in 0..people.doctors() {
            let person = people.doctor(number);
            let own = people.own(number).map(|own| people.patient(own).id);
            let file = DoctorFile {
                key: person.keys.public(),
                papers: papers(1),
                hid: people.hospital(people.employer(number)).id,
                // Specialties are dealt in turn to the doctors of a hospital; there are eight.
                specialty: (number / people.hospitals() % 8) as u8,
                own: own.map_or(Digest::ZERO, |pid| pid.own_commitment()),
            };
            oracle.doctors.insert(person.id, file);
            oracle.licences.insert(format!("L-{number:06}"));
        }
        for person in (0..people.patients()).map(|number| people.patient(number)) {
            oracle.add_patient(person.id, person.keys.public(), papers(2));
        }
        oracle
    }

    fn add_offices(&mut self, people: &Population) {
        let kinds = [
            Vouches::Hospitals,
            Vouches::Doctors,
            Vouches::Patients,
            Vouches::Aliases,
        ];
        for (number, vouches) in (0..people.authorities()).zip(kinds) {
            let person = people.authority(number);
            let office = Office {
                key: person.keys.public(),
                vouches,
                until: u64::MAX,
                revoked: false,
            };
            self.offices.insert(person.id, office);
        }
    }

    fn add_hospital(&mut self, hid: HospitalId, key: PublicKey, papers: Papers) {
        self.hospitals.insert(hid, HospitalFile { key, papers });
    }

    fn add_patient(&mut self, pid: PatientId, key: PublicKey, papers: Papers) {
        self.names.insert(pid, self.patients.len());
        self.patients.push(PatientFile {
            names: vec![(pid, key)],
            papers,
            held: false,
            custodians: Vec::new(),
        });
    }

    /// The patient whose present name this is.
    pub(super) fn account(&self, pid: &PatientId) -> Result<Account, Code> {
        let account = *self.names.get(pid).ok_or(Code::UnknownPatient)?;
        match self.patients[account].names.last() {
            Some((present, _)) if present == pid => Ok(account),
            _ => Err(Code::PatientClosed),
        }
    }

    /// Who is registered under a name.
    pub(super) fn who(&self, party: &Party) -> Result<Who, Code> {
        let known = |is: bool, who: Who, code: Code| if is { Ok(who) } else { Err(code) };
        match party {
            Party::Authority(id) => known(
                self.offices.contains_key(id),
                Who::Authority(*id),
                Code::UnknownCa,
            ),
            Party::Hospital(id) => known(
                self.hospitals.contains_key(id),
                Who::Hospital(*id),
                Code::UnknownHospital,
            ),
            Party::Doctor(id) => known(
                self.doctors.contains_key(id),
                Who::Doctor(*id),
                Code::UnknownDoctor,
            ),
            Party::Patient(id) => self.account(id).map(Who::Patient),
            Party::Alias(id) => known(
                self.aliases.contains_key(id),
                Who::Alias(*id),
                Code::UnknownSigner,
            ),
        }
    }

    /// The key with which somebody signs now.
    pub(super) fn key(&self, who: Who) -> PublicKey {
        match who {
            Who::Authority(id) => self.offices[&id].key,
            Who::Hospital(id) => self.hospitals[&id].key,
            Who::Doctor(id) => self.doctors[&id].key,
            Who::Alias(id) => self.aliases[&id].key,
            Who::Patient(at) => {
                self.patients[at]
                    .names
                    .last()
                    .expect("a patient has a name")
                    .1
            }
        }
    }

    pub(super) fn papers(&self, who: Who) -> Option<&Papers> {
        match who {
            Who::Authority(_) => None,
            Who::Hospital(id) => Some(&self.hospitals[&id].papers),
            Who::Doctor(id) => Some(&self.doctors[&id].papers),
            Who::Alias(id) => Some(&self.aliases[&id].papers),
            Who::Patient(at) => Some(&self.patients[at].papers),
        }
    }

    fn papers_mut(&mut self, who: Who) -> Option<&mut Papers> {
        match who {
            Who::Authority(_) => None,
            Who::Hospital(id) => self.hospitals.get_mut(&id).map(|file| &mut file.papers),
            Who::Doctor(id) => self.doctors.get_mut(&id).map(|file| &mut file.papers),
            Who::Alias(id) => self.aliases.get_mut(&id).map(|file| &mut file.papers),
            Who::Patient(at) => self.patients.get_mut(at).map(|file| &mut file.papers),
        }
    }

    /// Whether somebody is suspended or at the end.
    pub(super) fn standing(&self, who: Who) -> Result<(), Code> {
        let Some(papers) = self.papers(who) else {
            return Ok(());
        };
        let (suspended, ended) = match who {
            Who::Hospital(_) => (Code::HospitalSuspended, Code::HospitalClosed),
            Who::Doctor(_) => (Code::DoctorSuspended, Code::DoctorRevoked),
            // An alias is its certificate.
            Who::Alias(_) => (Code::CertExpired, Code::CertExpired),
            Who::Patient(_) | Who::Authority(_) => (Code::PatientFrozen, Code::PatientClosed),
        };
        match papers.standing {
            Standing::Active => Ok(()),
            Standing::Suspended => Err(suspended),
            Standing::Ended => Err(ended),
        }
    }

    fn office_counts(&self, id: &AuthorityId, height: u64) -> Result<(), Code> {
        let office = &self.offices[id];
        if office.revoked {
            return Err(Code::CaRevoked);
        }
        if height > office.until {
            return Err(Code::CaExpired);
        }
        Ok(())
    }

    /// Why somebody's signatures do not count at a height.
    pub(super) fn may_sign(&self, who: Who, height: u64) -> Result<(), Code> {
        let Some(papers) = self.papers(who) else {
            let Who::Authority(id) = who else {
                return Ok(());
            };
            return self.office_counts(&id, height);
        };
        self.office_counts(&papers.by, height)?;
        if height > papers.until {
            return Err(Code::CertExpired);
        }
        self.standing(who)
    }

    /// Whether somebody has come to the end.
    fn has_ended(&self, who: Who) -> Result<(), Code> {
        match self.papers(who).map(|papers| papers.standing) {
            Some(Standing::Ended) => self.standing(who),
            Some(Standing::Active | Standing::Suspended) | None => Ok(()),
        }
    }

    /// Notes the fault of a check.
    pub(super) fn note(faults: &mut Faults, checked: Result<(), Code>) {
        if let Err(code) = checked {
            faults.add(code);
        }
    }

    fn is_office_for(&self, who: Who, kind: Vouches) -> bool {
        matches!(who, Who::Authority(id) if self.offices[&id].vouches == kind)
    }

    /// Which authorities certify parties of a kind.
    fn kind_of(party: &Party) -> Option<Vouches> {
        match party {
            Party::Authority(_) => None,
            Party::Hospital(_) => Some(Vouches::Hospitals),
            Party::Doctor(_) => Some(Vouches::Doctors),
            Party::Patient(_) => Some(Vouches::Patients),
            Party::Alias(_) => Some(Vouches::Aliases),
        }
    }

    /// What is wrong with an enrolment whoever asks for it.
    pub(super) fn enrolment(enrolment: &Enrolment, height: u64, faults: &mut Faults) {
        Self::stated(&enrolment.valid, height, faults);
        let texts = match &enrolment.identity {
            Identity::Hospital(h) => vec![&h.name],
            Identity::Doctor(d) => vec![&d.real_name, &d.licence],
            Identity::Patient(..) | Identity::Alias(_) => vec![],
        };
        faults.when(texts.iter().any(|text| text.is_empty()), Code::EmptyField);
        faults.when(
            texts.iter().any(|text| text.len() > 128),
            Code::FieldTooLong,
        );
    }

    /// Nobody vouches for later, nor for no time.
    pub(super) fn stated(valid: &Validity, height: u64, faults: &mut Faults) {
        faults.when(valid.from > height, Code::NotYetValid);
        faults.when(valid.from >= valid.until, Code::BadInterval);
    }

    /// An authority brings somebody in.
    pub(super) fn enrol(
        &mut self,
        (enrolment, order): (&Enrolment, &Order),
        by: Who,
        height: u64,
        call: &SignedCall,
        faults: &mut Faults,
    ) {
        faults.when(height > enrolment.valid.until, Code::CertExpired);
        let (key, kind) = match &enrolment.identity {
            Identity::Hospital(h) => (&h.key, Vouches::Hospitals),
            Identity::Doctor(d) => (&d.key, Vouches::Doctors),
            Identity::Patient(_, p) => (&p.key, Vouches::Patients),
            Identity::Alias(a) => (&a.key, Vouches::Aliases),
        };
        faults.when(!self.is_office_for(by, kind), Code::WrongRole);
        self.certifies(by, order, call, faults);
        self.proves(key, call, faults);
        match &enrolment.identity {
            Identity::Hospital(h) => {
                let taken = self.hospitals.contains_key(&HospitalId::of(&h.key));
                faults.when(taken || self.is_alias(&h.key), Code::IdTaken);
            }
            Identity::Doctor(d) => {
                let taken = self.doctors.contains_key(&DoctorId::of(&d.key));
                faults.when(taken || self.is_alias(&d.key), Code::IdTaken);
                faults.when(self.licences.contains(&d.licence), Code::LicenceTaken);
                let employer = self.who(&Party::Hospital(d.hid));
                Self::note(faults, employer.and_then(|who| self.standing(who)));
            }
            Identity::Patient(pid, p) => {
                faults.when(*pid != PatientId::of(&p.key), Code::PidKeyMismatch);
                faults.when(self.names.contains_key(pid), Code::IdTaken);
            }
            Identity::Alias(a) => {
                let taken = self.is_alias(&a.key)
                    || self.offices.contains_key(&AuthorityId::of(&a.key))
                    || self.hospitals.contains_key(&HospitalId::of(&a.key))
                    || self.doctors.contains_key(&DoctorId::of(&a.key))
                    || self.account(&PatientId::of(&a.key)).is_ok();
                faults.when(taken, Code::IdTaken);
            }
        }
    }

    /// Whether an alias has this key.
    fn is_alias(&self, key: &PublicKey) -> bool {
        self.aliases.contains_key(&AliasId::of(key))
    }

    /// What an accepted enrolment does.
    pub(super) fn enrolled(&mut self, enrolment: &Enrolment, by: Who) -> Expected {
        let Who::Authority(by) = by else {
            unreachable!("only authorities enrol");
        };
        let papers = Papers {
            standing: Standing::Active,
            by,
            until: enrolment.valid.until,
        };
        match &enrolment.identity {
            Identity::Hospital(h) => self.add_hospital(HospitalId::of(&h.key), h.key, papers),
            Identity::Doctor(d) => {
                let file = DoctorFile {
                    key: d.key,
                    papers,
                    hid: d.hid,
                    specialty: d.specialty,
                    own: d.own,
                };
                self.doctors.insert(DoctorId::of(&d.key), file);
                self.licences.insert(d.licence.clone());
            }
            Identity::Patient(pid, p) => self.add_patient(*pid, p.key, papers),
            Identity::Alias(a) => {
                let file = AliasFile { key: a.key, papers };
                self.aliases.insert(AliasId::of(&a.key), file);
            }
        }
        Expected::Done
    }

    /// What an authority certifies it signs itself.
    fn certifies(&self, by: Who, order: &Order, call: &SignedCall, faults: &mut Faults) {
        if let Who::Authority(_) = by {
            let key = self.key(by);
            let signed = |proof: &Proof| Self::signs(&key, &order.message(), proof);
            let signed = call.first().is_some_and(signed);
            faults.when(!signed, Code::CertSignatureInvalid);
        }
    }

    /// Whoever gets a key into the chain holds it.
    fn proves(&self, key: &PublicKey, call: &SignedCall, faults: &mut Faults) {
        let message = call.call().for_subject();
        let proven = message.zip(call.second());
        let proven = proven.is_some_and(|(message, proof)| Self::signs(key, &message, proof));
        faults.when(!proven, Code::WrongSigner);
    }

    /// Somebody changes a standing.
    pub(super) fn set_standing(
        &self,
        (party, standing): (&Party, Standing),
        by: Who,
        faults: &mut Faults,
    ) {
        let whom = self.who(party);
        Self::note(faults, whom.map(|_| ()));
        let office = Self::kind_of(party).is_some_and(|kind| self.is_office_for(by, kind));
        let other = match party {
            Party::Doctor(did) => {
                let employer = self
                    .doctors
                    .get(did)
                    .map(|doctor| Who::Hospital(doctor.hid));
                employer == Some(by)
            }
            Party::Patient(_) => whom == Ok(by),
            Party::Authority(_) | Party::Hospital(_) | Party::Alias(_) => false,
        };
        faults.when(!office && !other, Code::WrongRole);
        if let Some(present) = whom.ok().and_then(|who| self.papers(who)) {
            let useless = present.standing == standing || present.standing == Standing::Ended;
            faults.when(useless, Code::IllegalTransition);
        }
        let pauses = matches!(party, Party::Alias(_)) && standing == Standing::Suspended;
        faults.when(pauses && whom.is_ok(), Code::IllegalTransition);
    }

    /// What an accepted change of a standing does.
    pub(super) fn stands(&mut self, party: &Party, standing: Standing, by: Who) -> Expected {
        let whom = self.who(party).expect("it was looked up");
        if let Some(papers) = self.papers_mut(whom) {
            papers.standing = standing;
        }
        if let Who::Patient(at) = whom {
            let authority = matches!(by, Who::Authority(_));
            self.patients[at].held = authority && standing == Standing::Suspended;
        }
        Expected::Done
    }

    /// Something else about identities.
    pub(super) fn affair(
        &self,
        (affair, order): (&Affair, &Order),
        by: Who,
        height: u64,
        call: &SignedCall,
        faults: &mut Faults,
    ) {
        match affair {
            Affair::Admit(office) => {
                faults.when(height > office.valid.until, Code::CaExpired);
                faults.when(!matches!(by, Who::Hospital(_)), Code::WrongRole);
                let taken = self.offices.contains_key(&AuthorityId::of(&office.key));
                faults.when(taken, Code::IdTaken);
                self.proves(&office.key, call, faults);
            }
            Affair::Expel(id) => {
                let office = self.who(&Party::Authority(*id));
                Self::note(faults, office.and_then(|who| self.may_sign(who, height)));
                faults.when(!matches!(by, Who::Hospital(_)), Code::WrongRole);
            }
            Affair::Certify(party, valid) => {
                faults.when(height > valid.until, Code::CertExpired);
                Self::note(faults, self.who(party).and_then(|who| self.has_ended(who)));
                let kind = Self::kind_of(party);
                let office = kind.is_some_and(|kind| self.is_office_for(by, kind));
                faults.when(!office, Code::WrongRole);
                self.certifies(by, order, call, faults);
            }
            Affair::Rotate(change) => self.rotate((change, order), by, call, faults),
            Affair::Entrust(custody) => self.entrust(custody, by, faults),
        }
    }

    fn rotate(
        &self,
        (change, order): (&KeyChange, &Order),
        by: Who,
        call: &SignedCall,
        faults: &mut Faults,
    ) {
        let whom = self.who(&Party::Patient(change.of));
        Self::note(faults, whom.and_then(|who| self.has_ended(who)));
        let office = self.is_office_for(by, Vouches::Patients);
        faults.when(!office && whom != Ok(by), Code::WrongRole);
        faults.when(
            change.to != PatientId::of(&change.key),
            Code::PidKeyMismatch,
        );
        faults.when(self.names.contains_key(&change.to), Code::IdTaken);
        self.certifies(by, order, call, faults);
        self.proves(&change.key, call, faults);
    }

    fn entrust(&self, custody: &Custody, by: Who, faults: &mut Faults) {
        let Who::Patient(me) = by else {
            faults.add(Code::WrongRole);
            if let Custody::Add(pid) = custody {
                let whom = self.who(&Party::Patient(*pid));
                Self::note(faults, whom.and_then(|who| self.has_ended(who)));
            }
            return;
        };
        let listed = |pid: &PatientId| self.listed(me, pid);
        let myself = |pid: &PatientId| self.account(pid) == Ok(me);
        match custody {
            Custody::Add(pid) => {
                let full = self.patients[me].custodians.len() >= 16;
                faults.when(full, Code::FieldTooLong);
                let whom = self.who(&Party::Patient(*pid));
                Self::note(faults, whom.and_then(|who| self.has_ended(who)));
                faults.when(myself(pid) || listed(pid).is_some(), Code::IdTaken);
            }
            Custody::Enable(pid) | Custody::Disable(pid) => {
                let enable = matches!(custody, Custody::Enable(_));
                match listed(pid) {
                    Some(at) => {
                        let is = self.patients[me].custodians[at].2;
                        faults.when(is == enable, Code::IllegalTransition);
                    }
                    None if myself(pid) && enable => faults.add(Code::IllegalTransition),
                    None if myself(pid) => faults.add(Code::NoCustodianLeft),
                    None => faults.add(Code::CustodianNotEnabled),
                }
            }
            Custody::Remove(pid) => match listed(pid) {
                Some(_) => {}
                None if myself(pid) => faults.add(Code::NoCustodianLeft),
                None => faults.add(Code::CustodianNotEnabled),
            },
        }
    }

    /// Where on a patient's list of custodians somebody is, under a name of then or of now.
    fn listed(&self, me: Account, pid: &PatientId) -> Option<usize> {
        let now = self.account(pid);
        let mut list = self.patients[me].custodians.iter();
        list.position(|(account, name, _)| name == pid || now == Ok(*account))
    }

    /// What an accepted change about identities does.
    pub(super) fn settled(&mut self, affair: &Affair, by: Who) -> Expected {
        match affair {
            Affair::Admit(office) => {
                let file = Office {
                    key: office.key,
                    vouches: office.vouches,
                    until: office.valid.until,
                    revoked: false,
                };
                self.offices.insert(AuthorityId::of(&office.key), file);
            }
            Affair::Expel(id) => {
                if let Some(office) = self.offices.get_mut(id) {
                    office.revoked = true;
                }
            }
            Affair::Certify(party, valid) => {
                let whom = self.who(party).expect("it was looked up");
                if let (Some(papers), Who::Authority(office)) = (self.papers_mut(whom), by) {
                    (papers.by, papers.until) = (office, valid.until);
                }
            }
            Affair::Rotate(change) => self.rotated(change, by),
            Affair::Entrust(custody) => self.entrusted(custody, by),
        }
        Expected::Done
    }

    fn rotated(&mut self, change: &KeyChange, by: Who) {
        let me = self.account(&change.of).expect("it was looked up");
        self.names.insert(change.to, me);
        let file = &mut self.patients[me];
        file.names.push((change.to, change.key));
        file.held = false;
        file.papers.standing = Standing::Active;
        if let Who::Authority(office) = by {
            file.papers.by = office;
        }
        if change.revoke_all {
            let given = self.grants.values_mut().filter(|grant| grant.giver == me);
            given.for_each(|grant| grant.ended = true);
        }
    }

    fn entrusted(&mut self, custody: &Custody, by: Who) {
        let Who::Patient(me) = by else {
            unreachable!("only patients have custodians");
        };
        let (Custody::Add(pid)
        | Custody::Enable(pid)
        | Custody::Disable(pid)
        | Custody::Remove(pid)) = custody;
        let at = self.listed(me, pid);
        let whom = self.account(pid);
        let list = &mut self.patients[me].custodians;
        match (custody, at) {
            (Custody::Add(_), _) => list.push((whom.expect("it was looked up"), *pid, false)),
            (Custody::Enable(_), Some(at)) => list[at].2 = true,
            (Custody::Disable(_), Some(at)) => list[at].2 = false,
            (Custody::Remove(_), Some(at)) => {
                list.remove(at);
            }
            (Custody::Enable(_) | Custody::Disable(_) | Custody::Remove(_), None) => {
                unreachable!("it was found before");
            }
        }
    }
}
