//! Anybody asks for anything, in any order: what holds all the same.

use std::collections::BTreeSet;

use super::*;
use crate::base::random::{Random, Stream};
use crate::contract::access::{Access, Grant};
use crate::contract::affair::{Affair, Custody};
use crate::contract::call::Order;
use crate::contract::identity::{Place, Standing};
use crate::contract::message::RecordKind;
use crate::contract::search::{Condition, Query};
use crate::contract::share;
use crate::contract::tests::affairs::{key_change, newcomer};

/// Names of things that may exist, and everybody who may ask.
pub(super) struct Chaos {
    pub(super) stage: Stage,
    pub(super) random: Random,
    pub(super) rids: Vec<RecordId>,
    proposals: Vec<Arc<Draft>>,
    pub(super) gids: Vec<GrantId>,
    pub(super) sids: Vec<ShareId>,
    /// Aliases that were certified, or should have been.
    pub(super) aliases: Vec<(Party, KeyPair)>,
    searches: Vec<Arc<Order>>,
    handles: Vec<[u8; 16]>,
    /// Who was suspended last.
    suspended: Party,
}

impl Chaos {
    pub(super) fn new(seed: u64) -> Self {
        let stage = Stage::new();
        Self {
            suspended: stage.doctor(0).0,
            stage,
            random: Random::new(seed, Stream::Test),
            rids: vec![RecordId(Digest([7; 32]))],
            proposals: Vec::new(),
            gids: vec![GrantId(Digest([7; 32]))],
            sids: vec![ShareId(Digest([7; 32]))],
            aliases: Vec::new(),
            searches: Vec::new(),
            handles: vec![[0; 16]],
        }
    }

    pub(super) fn below(&mut self, bound: u64) -> u32 {
        self.random.below(bound) as u32
    }

    /// One of a few, so that people meet again.
    fn doctor(&mut self) -> u32 {
        self.below(6)
    }

    fn patient(&mut self) -> u32 {
        8 + self.below(5)
    }

    fn pick<T: Clone>(&mut self, from: impl Fn(&Self) -> &Vec<T>) -> T {
        // The later ones more often: there is more to do with them.
        let count = from(self).len() as u64;
        let back = self.random.below(count).min(self.random.below(count));
        from(self)[(count - 1 - back) as usize].clone()
    }

    fn anybody(&mut self) -> (Party, KeyPair) {
        match self.below(9) {
            0 => {
                let number = self.below(3);
                self.stage.authority(number)
            }
            1 | 2 => {
                let number = self.below(4);
                self.stage.hospital(number)
            }
            3..=5 => {
                let number = self.doctor();
                self.stage.doctor(number)
            }
            _ => {
                let number = self.patient();
                self.stage.patient(number)
            }
        }
    }

    fn grant(&mut self) -> GrantTerms {
        let doctor = self.doctor();
        let grantee = match self.below(4) {
            0 | 1 => Grantee::Doctor(self.stage.people.doctor(doctor).id),
            2 => Grantee::Hospital(self.stage.people.hospital(doctor % 4).id),
            _ => Grantee::Specialty(1, self.stage.people.hospital(doctor % 4).id),
        };
        let scope = match self.below(3) {
            0 => Scope::Records(vec![self.pick(|c| &c.rids)]),
            1 => Scope::Kinds(vec![RecordKind::Consultation]),
            _ => Scope::All,
        };
        let until = self.stage.height + 1 + u64::from(self.below(60));
        let max_uses = self.below(3).checked_sub(1).map(|uses| 3 * uses + 1);
        GrantTerms {
            grantee,
            scope,
            until,
            max_uses,
            delegable: matches!(grantee, Grantee::Hospital(_)) && self.below(2) == 0,
            ..self.stage.care(doctor, Scope::All)
        }
    }

    /// A part of a grant, mostly, for a doctor of the hospital that received it.
    pub(super) fn delegation(&mut self, gid: GrantId) -> Act {
        let mut terms = self.grant();
        let parent = self.stage.state.grants.find(&gid);
        if let Some((_, parent)) = parent
            && let Place::Hospital(hospital) = parent.parties()[0]
            && self.random.below(4) > 0
        {
            let doctor = self.stage.people.doctor(hospital);
            terms = GrantTerms {
                grantee: Grantee::Doctor(doctor.id),
                max_uses: Some(1),
                delegable: false,
                ..parent.terms().clone()
            };
        }
        Act::Delegate(gid, terms)
    }

    pub(super) fn act(&mut self) -> Act {
        let rid = self.pick(|c| &c.rids);
        let sid = self.pick(|c| &c.sids);
        let gid = self.pick(|c| &c.gids);
        let doctor = self.doctor();
        let document = self.document(&sid);
        match self.below(28) {
            0 => Act::Reject(rid),
            1 => Act::Withdraw(rid),
            2 => Act::Hide(rid),
            3 => Act::Unhide(rid),
            4 => Act::Dispute(rid),
            5 => Act::Resolve { rid, suspect: true },
            6..=8 => Act::Grant(self.grant()),
            9 => self.delegation(gid),
            10 => Act::Revoke(gid),
            11..=13 => Act::Access(gid, self.covered(&gid), Purpose::Care),
            14 => Act::Emergency {
                rid,
                second: self.stage.people.doctor(doctor).id,
            },
            15 | 16 => Act::RequestShare(rid),
            17 => Act::ApproveShare(sid),
            18 => Act::DenyShare(sid),
            19 => Act::DeliverShare(sid, document),
            20 => Act::ConfirmShare(sid, document),
            21..=23 => self.search(),
            24 => match self.searches.last() {
                Some(search) => Act::AskContact {
                    search: search.clone(),
                    handle: self.pick(|c| &c.handles),
                },
                None => self.search(),
            },
            25 | 26 => self.affair(),
            _ => {
                let people = [self.anybody().0, self.suspended];
                let whom = people[self.below(2) as usize];
                let standings = [Standing::Active, Standing::Suspended];
                let standing = standings[usize::from(whom != self.suspended)];
                self.suspended = whom;
                Act::SetStanding(whom, standing)
            }
        }
    }

    /// The document that a sharing is about.
    fn document(&self, sid: &ShareId) -> Digest {
        let shared = self.stage.state.shares.find(sid);
        shared.map_or(Digest::ZERO, |(_, share)| {
            self.stage.document(share.sent().1)
        })
    }

    /// Something under one of a few aliases, which are certified as they are needed, or the end of
    /// one.
    fn aliased(&mut self) -> SignedCall {
        if self.aliases.len() < 4 {
            let alias = self.stage.alias(70 + self.aliases.len() as u8);
            self.aliases.push(alias);
        }
        let alias = self.pick(|c| &c.aliases);
        let (rid, sid) = (self.pick(|c| &c.rids), self.pick(|c| &c.sids));
        let act = match self.below(16) {
            0..=6 => Act::RequestShare(rid),
            7..=11 => Act::ConfirmShare(sid, self.document(&sid)),
            12 => {
                let by = self.stage.authority(3);
                let end = Act::SetStanding(alias.0, Standing::Ended);
                return self.stage.order(&by, end);
            }
            _ => self.act(),
        };
        self.stage.order(&alias, act)
    }

    /// Mostly about custodians; now and then the hospitals would have to agree, or a key would
    /// have to be proven, and nobody does.
    fn affair(&mut self) -> Act {
        let (patient, other) = (self.patient(), self.patient());
        let pid = self.stage.people.patient(other).id;
        let custody = [
            Custody::Add(pid),
            Custody::Enable(pid),
            Custody::Enable(pid),
            Custody::Disable(pid),
            Custody::Remove(pid),
        ];
        Act::Affair(match self.below(12) {
            0 => Affair::Expel(self.stage.people.authority(0).id),
            1 => {
                let of = self.stage.people.patient(patient).id;
                Affair::Rotate(key_change(of, &newcomer(99), true))
            }
            2 | 3 => Affair::Certify(self.anybody().0, Validity::ALWAYS),
            _ => Affair::Entrust(custody[self.below(5) as usize]),
        })
    }

    /// An order that a patient gives, signed by somebody else.
    fn entrusted(&mut self, order: Arc<Order>) -> SignedCall {
        let custodian = self.patient();
        let custodian = self.stage.people.patient(custodian);
        SignedCall::entrusted(Call::Order(order), None, custodian.id, &custodian.keys)
    }

    fn search(&mut self) -> Act {
        let query = Query {
            conditions: vec![Condition::Ages(0, 18)],
            purpose: Purpose::Care,
            page: 0,
        };
        if self.below(2) == 0 {
            return Act::Search(query);
        }
        Act::AuditedSearch(query)
    }

    /// The doctor and the patient of a record.
    pub(super) fn parties(&self, rid: &RecordId) -> Option<[(Party, KeyPair); 2]> {
        let (did, pid) = self.stage.state.parties_of(rid)?;
        let people = &self.stage.people;
        Some([
            self.stage.doctor(people.doctor_number(&did)?),
            self.stage.patient(people.patient_number(&pid)?),
        ])
    }

    /// Somebody with keys.
    fn person(&self, party: &Party) -> Option<(Party, KeyPair)> {
        let people = &self.stage.people;
        Some(match party {
            Party::Authority(_) => return None,
            Party::Alias(_) => {
                let mut aliases = self.aliases.iter();
                return aliases.find(|(alias, _)| alias == party).cloned();
            }
            Party::Hospital(hid) => self.stage.hospital(people.hospital_number(hid)?),
            Party::Doctor(did) => self.stage.doctor(people.doctor_number(did)?),
            Party::Patient(pid) => self.stage.patient(people.patient_number(pid)?),
        })
    }

    /// Somebody who may well ask for this.
    pub(super) fn entitled(&mut self, act: &Act) -> Option<(Party, KeyPair)> {
        let either = self.below(2) as usize;
        let state = &self.stage.state;
        let rid = match act {
            Act::Withdraw(rid) => return self.parties(rid).map(|[doctor, _]| doctor),
            Act::Reject(rid) | Act::Hide(rid) | Act::Unhide(rid) => {
                return self.parties(rid).map(|[_, patient]| patient);
            }
            Act::Dispute(rid) | Act::Resolve { rid, .. } => *rid,
            Act::Delegate(gid, _) | Act::Revoke(gid) | Act::Access(gid, ..) => {
                let (_, grant) = state.grants.find(gid)?;
                let places = grant.parties();
                let place = places[usize::from(matches!(act, Act::Revoke(_))) * either];
                return self.person(&state.directory.party(place));
            }
            Act::ApproveShare(sid)
            | Act::DenyShare(sid)
            | Act::DeliverShare(sid, _)
            | Act::ConfirmShare(sid, _) => {
                let (_, share) = state.shares.find(sid)?;
                let [patient, holder, requester] = share.parties();
                let place = match act.manner().kind {
                    "confirm-share" => requester,
                    "deliver-share" => holder,
                    _ => [patient, holder][either],
                };
                return self.person(&state.directory.party(place));
            }
            Act::AskContact { search, .. } => return self.person(&search.terms().by),
            Act::SetStanding(Party::Hospital(_), _) => return Some(self.stage.authority(0)),
            Act::SetStanding(Party::Doctor(_), _) => return Some(self.stage.authority(1)),
            Act::SetStanding(..) => return Some(self.stage.authority(2)),
            Act::Affair(Affair::Certify(Party::Doctor(_), _)) => {
                return Some(self.stage.authority(1));
            }
            Act::Enrol(_)
            | Act::Affair(_)
            | Act::Grant(_)
            | Act::Emergency { .. }
            | Act::RequestShare(_)
            | Act::Search(_)
            | Act::AuditedSearch(_)
            | Act::Suggest(_) => return None,
        };
        let parties = self.parties(&rid)?;
        Some(parties[either].clone())
    }

    /// Who asks for this: mostly somebody who may, or else anybody.
    fn asker(&mut self, act: &Act) -> (Party, KeyPair) {
        if self.below(5) > 0
            && let Some(asker) = self.entitled(act)
        {
            return asker;
        }
        let manner = act.manner();
        loop {
            let asker = self.anybody();
            let place = self.stage.state.directory.place(&asker.0);
            if place.is_ok_and(|place| manner.is_for(place)) || self.below(20) == 0 {
                return asker;
            }
        }
    }

    /// Who signs as well: mostly whoever should.
    fn witness(&mut self, act: &Act, asker: &Party) -> (Party, KeyPair) {
        if self.below(5) == 0 {
            return self.anybody();
        }
        let right = match act {
            Act::Emergency { second, .. } => self.person(&Party::Doctor(*second)),
            Act::Resolve { rid, .. } => {
                let mut parties = self.parties(rid).into_iter().flatten();
                parties.rfind(|(party, _)| party != asker)
            }
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
        right.unwrap_or_else(|| self.anybody())
    }

    pub(super) fn next(&mut self) -> SignedCall {
        let (doctor, patient) = (self.doctor(), self.patient());
        match self.below(12) {
            0 | 1 => {
                let supersedes = (self.below(3) == 0).then(|| self.pick(|c| &c.rids));
                let change = |content: &mut Content| content.supersedes = supersedes;
                let call = self.stage.submission(doctor, patient, change);
                self.rids.push(rid(&call));
                call
            }
            2 => {
                let draft = Draft::new(self.stage.content(doctor, patient));
                let keys = self.stage.doctor(doctor).1;
                self.rids.push(draft.content().rid);
                self.proposals.push(draft.clone());
                SignedCall::signed(Call::Propose(draft), &keys, None)
            }
            3 if !self.proposals.is_empty() => {
                let draft = self.pick(|c| &c.proposals);
                let owner = self.stage.people.patient_number(&draft.content().pid);
                let signer = if self.below(4) == 0 {
                    patient
                } else {
                    owner.unwrap()
                };
                self.stage.confirmation(&draft, signer)
            }
            _ => {
                let act = self.act();
                let by = self.asker(&act);
                let until = self.stage.height + u64::from(self.below(1200)) - 1;
                let witness = self.witness(&act, &by.0);
                let terms = Terms {
                    valid_until: until,
                    ..self.stage.terms(by.0, act)
                };
                let order = Order::new(terms);
                if matches!(by.0, Party::Patient(_)) && self.below(3) == 0 {
                    return self.entrusted(order);
                }
                let call = SignedCall::signed(Call::Order(order.clone()), &by.1, None);
                call.witnessed(witness.0, &witness.1)
            }
        }
    }

    /// Remembers what an answer showed.
    pub(super) fn learn(&mut self, call: &SignedCall, receipt: &Receipt) {
        if let (Call::Order(order), Receipt::Found(answer)) = (call.call(), receipt) {
            self.searches.push(order.clone());
            self.handles = answer.rows.iter().map(|row| row.handle).collect();
        }
        let Call::Order(order) = call.call() else {
            return;
        };
        let word = order.terms().act.manner().kind;
        let accepted = *receipt == Receipt::Accepted;
        // Now and then a name that means nothing.
        let stray = self.below(40) == 0;
        if stray || accepted && ["grant", "delegate"].contains(&word) {
            self.gids.push(GrantId(order.message()));
        }
        if stray || accepted && word == "request-share" {
            self.sids.push(ShareId(order.message()));
        }
    }

    /// A record of whoever gave a grant, if a few tries find one.
    pub(super) fn covered(&mut self, gid: &GrantId) -> RecordId {
        let giver = self.stage.state.grants.find(gid);
        let giver = giver.map(|(_, grant)| grant.parties()[1]);
        for _ in 0..8 {
            let rid = self.pick(|c| &c.rids);
            let record = self.stage.state.records.find(&rid);
            let owner = record.map(|(_, record)| Place::Patient(record.patient));
            if owner.is_some() && owner == giver {
                return rid;
            }
        }
        self.pick(|c| &c.rids)
    }
}

/// What holds of any state.
fn check(state: &State) {
    let used = |state: &State| state.grants.iter().map(Grant::uses).sum::<u64>();
    let by_grant = |access: &&Access| access.gid.is_some();
    let emergencies = |access: &&Access| access.purpose == Purpose::Emergency;
    let audit = state.audit();
    assert_eq!(audit.iter().filter(by_grant).count() as u64, used(state));
    let without = audit.iter().filter(|access| access.gid.is_none());
    assert!(without.clone().all(|access| emergencies(&access)));
    let told = state.mailboxes.values().flatten();
    let told =
        told.filter(|mail| matches!(mail.notice, crate::contract::access::Notice::Emergency(_)));
    assert_eq!(
        told.count(),
        without.count(),
        "of every emergency somebody is told"
    );
    assert!(state.grants.iter().all(Grant::is_within_bounds));
    for share in state.shares.iter() {
        if state.stage(&share.sid()) == Some(share::Stage::Delivered) {
            let (sent, rid) = share.sent();
            let (_, record) = state.records.find(rid).unwrap();
            assert_eq!(sent, Some(record.draft.content().payload_hash));
        }
    }
}

#[test]
fn whatever_anybody_asks_a_refusal_changes_nothing() {
    let mut codes = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    for seed in 0..6 {
        let mut chaos = Chaos::new(seed);
        for turn in 0..600 {
            let call = match turn % 8 {
                3 | 7 => chaos.aliased(),
                _ => chaos.next(),
            };
            let (height, before) = (chaos.stage.height, chaos.stage.state.clone());
            let plan = before.simulate(height, &call);
            let receipt = chaos.stage.apply(&call);
            assert_eq!(plan.receipt, receipt, "seed {seed} turn {turn}");
            let after = &chaos.stage.state;
            let changes = match &receipt {
                Receipt::Refused(code) => {
                    codes.insert(*code);
                    false
                }
                Receipt::Accepted | Receipt::Found(_) | Receipt::Suggested(_) => {
                    kinds.insert(call.kind());
                    !call.reads_only()
                }
            };
            assert_eq!(
                after.root() != before.root(),
                changes,
                "{receipt:?} {call:?}"
            );
            assert_eq!(plan.writes.is_empty(), !changes);
            if !changes {
                assert_eq!(fingerprint(after), fingerprint(&before));
            }
            chaos.learn(&call, &receipt);
            chaos.stage.height += u64::from(turn % 5 == 0) + u64::from(chaos.below(300) == 0) * 700;
        }
        laws::check_records(&chaos.stage.state);
        laws::check_entries(&chaos.stage.state, &chaos.stage.people);
        check(&chaos.stage.state);
    }
    assert!(codes.len() > 32, "{} {codes:?}", codes.len());
    assert!(kinds.len() > 19, "{} {kinds:?}", kinds.len());
}

#[test]
fn in_one_step_or_two_every_record_is_the_same() {
    let mut random = Random::new(31, Stream::Test);
    let (mut one, mut two) = (Stage::new(), Stage::new());
    let mut rids: Vec<RecordId> = Vec::new();
    for number in 0..120 {
        let (doctor, patient) = (random.below(8) as u32, 8 + random.below(4) as u32);
        let mut content = one.people.content(doctor, patient, number);
        if !rids.is_empty() && random.below(3) == 0 {
            content.supersedes = Some(rids[random.below(rids.len() as u64) as usize]);
        }
        if random.below(4) == 0 {
            content.payload_hash = Digest([random.below(9) as u8; 32]);
        }
        let submission = one.people.submission(content.clone(), doctor, patient);
        let draft = Draft::new(content);
        let keys = two.doctor(doctor).1;
        let proposal = SignedCall::signed(Call::Propose(draft.clone()), &keys, None);
        let at_once = one.apply(&submission);
        let proposed = two.apply(&proposal);
        assert_eq!(proposed, at_once, "both ways obey one rule");
        if proposed == Receipt::Accepted {
            let confirmation = two.confirmation(&draft, patient);
            two.accept(&confirmation);
            rids.push(draft.content().rid);
        }
        assert_eq!(one.state.entries(), two.state.entries());
    }
    assert!((20..110).contains(&rids.len()), "{}", rids.len());
}
