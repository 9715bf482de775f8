//! Institutions that ask for records without saying which they are.

use super::*;
use crate::contract::affair::Affair;
use crate::contract::call::Proof;
use crate::contract::identity::{Alias, AliasId, AuthorityId, Standing, Vouches};
use crate::contract::search::{Condition, Query};
use crate::contract::share::{self, SHARE_BLOCKS, Trace};
use crate::contract::tests::affairs::newcomer;
use crate::contract::wire;

impl Stage {
    /// The enrolment of an alias with the keys of a newcomer, by whoever signs as an authority.
    pub(super) fn alias_enrolment(&mut self, by: &(Party, KeyPair), number: u8) -> SignedCall {
        let key = newcomer(number).public();
        let always = (0, u64::MAX);
        self.enrolment(by, Identity::Alias(Alias { key }), always, number)
    }

    /// An alias with the keys of a newcomer. Which hospital made them nobody on the stage knows.
    pub(super) fn alias(&mut self, number: u8) -> (Party, KeyPair) {
        let by = self.authority(3);
        let call = self.alias_enrolment(&by, number);
        self.accept(&call);
        let keys = newcomer(number);
        (Party::Alias(AliasId::of(&keys.public())), keys)
    }

    /// Enters a record of patient 8 at hospital 0, and a request for it under an alias.
    pub(super) fn asked_under(&mut self, alias: &(Party, KeyPair)) -> (RecordId, ShareId) {
        let rid = self.record(0, 8);
        let call = self.order(alias, Act::RequestShare(rid));
        self.accept(&call);
        (rid, ShareId(gid(&call).0))
    }

    /// Lets the authority end an alias.
    pub(super) fn end(&mut self, alias: Party) {
        let by = self.authority(3);
        let call = self.order(&by, Act::SetStanding(alias, Standing::Ended));
        self.accept(&call);
    }

    /// A sharing that was asked for under an alias, agreed to by patient and holder, and sent: the
    /// record, the sharing and the document.
    fn sent_under(&mut self, alias: &(Party, KeyPair)) -> (RecordId, ShareId, Digest) {
        let (rid, sid) = self.asked_under(alias);
        let document = self.document(&rid);
        for call in [
            self.by_patient(8, Act::ApproveShare(sid)),
            self.by_hospital(0, Act::ApproveShare(sid)),
            self.by_hospital(0, Act::DeliverShare(sid, document)),
        ] {
            self.accept(&call);
        }
        (rid, sid, document)
    }
}

#[test]
fn a_hospital_asks_under_an_alias_and_the_trace_names_everybody_else() {
    let mut stage = Stage::new();
    let alias = stage.alias(70);
    let (rid, sid, document) = stage.sent_under(&alias);
    let confirm = stage.order(&alias, Act::ConfirmShare(sid, document));
    stage.accept(&confirm);
    let expected = Trace {
        by: alias.0,
        rid,
        pid: stage.people.patient(8).id,
        holder: stage.people.hospital(0).id,
        stage: share::Stage::Delivered,
        since: stage.height,
        sent: Some(document),
    };
    assert_eq!(stage.state.trace(&sid), Some(expected));
    assert_eq!(stage.state.violated_invariants(usize::MAX), []);
    assert_eq!(stage.state.trace(&ShareId(rid.0)), None);
}

#[test]
fn without_the_consent_of_patient_and_holder_nothing_is_delivered() {
    let mut stage = Stage::new();
    let alias = stage.alias(70);
    let (rid, sid) = stage.asked_under(&alias);
    let document = stage.document(&rid);
    let holder = stage.by_hospital(0, Act::ApproveShare(sid));
    stage.accept(&holder);
    let deliver = stage.by_hospital(0, Act::DeliverShare(sid, document));
    stage.refuse(&deliver, Code::ApprovalMissing);
    let grab = stage.order(&alias, Act::ConfirmShare(sid, document));
    stage.refuse(&grab, Code::HashMismatch);
    let approve = stage.order(&alias, Act::ApproveShare(sid));
    stage.refuse(&approve, Code::WrongRole);
    let deny = stage.by_patient(8, Act::DenyShare(sid));
    stage.accept(&deny);
    stage.refuse(&deliver, Code::ShareFinal);
    // Nor does one get it by waiting.
    let (_, late) = stage.asked_under(&alias);
    stage.height += SHARE_BLOCKS + 1;
    let approve = stage.by_patient(8, Act::ApproveShare(late));
    stage.refuse(&approve, Code::ShareExpired);
}

#[test]
fn the_patient_may_call_it_off_until_the_record_has_come() {
    let mut stage = Stage::new();
    let alias = stage.alias(70);
    let (_, sid, document) = stage.sent_under(&alias);
    let deny = stage.by_patient(8, Act::DenyShare(sid));
    stage.accept(&deny);
    let confirm = stage.order(&alias, Act::ConfirmShare(sid, document));
    stage.refuse(&confirm, Code::ShareFinal);
}

#[test]
fn only_the_alias_that_asked_confirms_not_even_its_own_institution() {
    let mut stage = Stage::new();
    let (alias, second) = (stage.alias(70), stage.alias(71));
    let (_, sid, document) = stage.sent_under(&alias);
    for other in [second, stage.hospital(1)] {
        let confirm = stage.order(&other, Act::ConfirmShare(sid, document));
        stage.refuse(&confirm, Code::NotRequester);
    }
    // And an alias does not get what was asked for by name.
    let (rid, sid) = stage.shared();
    let document = stage.document(&rid);
    let deliver = stage.by_hospital(0, Act::DeliverShare(sid, document));
    stage.accept(&deliver);
    let confirm = stage.order(&alias, Act::ConfirmShare(sid, document));
    stage.refuse(&confirm, Code::NotRequester);
}

#[test]
fn an_alias_does_nothing_but_ask_for_records_and_confirm_that_they_came() {
    let mut stage = Stage::new();
    let alias = stage.alias(70);
    let mut refused = 0;
    for act in acts(&stage) {
        if matches!(act, Act::RequestShare(_) | Act::ConfirmShare(..)) {
            continue;
        }
        let call = stage.order(&alias, act);
        let Receipt::Refused(code) = stage.apply(&call) else {
            panic!("an alias may {}", call.kind());
        };
        // Before the role come form, time, and whether everybody who is spoken of is there.
        assert!(code <= Code::WrongRole, "{code}: {call:?}");
        refused += u32::from(code == Code::WrongRole);
    }
    assert!(refused > 40, "{refused}");
    let everybody = Query {
        conditions: vec![Condition::Ages(0, 18)],
        purpose: Purpose::Care,
        page: 0,
    };
    for act in [
        Act::Search(everybody.clone()),
        Act::AuditedSearch(everybody.clone()),
        Act::Suggest(everybody),
        Act::SetStanding(alias.0, Standing::Ended),
    ] {
        let call = stage.order(&alias, act);
        stage.refuse(&call, Code::WrongRole);
    }
}

#[test]
fn an_alias_that_was_ended_is_refused_and_stays_ended() {
    let mut stage = Stage::new();
    let alias = stage.alias(70);
    let (rid, sid) = stage.asked_under(&alias);
    stage.end(alias.0);
    let document = stage.document(&rid);
    for act in [Act::RequestShare(rid), Act::ConfirmShare(sid, document)] {
        let call = stage.order(&alias, act);
        stage.refuse(&call, Code::CertExpired);
    }
    let by = stage.authority(3);
    let revive = stage.order(&by, Act::SetStanding(alias.0, Standing::Active));
    stage.refuse(&revive, Code::IllegalTransition);
    let anew = Act::Affair(Affair::Certify(alias.0, Validity::ALWAYS));
    let anew = stage.order(&by, anew);
    stage.refuse(&anew, Code::CertExpired);
    let again = stage.alias_enrolment(&by, 70);
    stage.refuse(&again, Code::IdTaken);
}

#[test]
fn nobody_but_the_authority_for_aliases_decides_on_one() {
    let mut stage = Stage::new();
    let alias = stage.alias(70);
    let others = [
        stage.authority(0),
        stage.hospital(1),
        stage.doctor(1),
        stage.patient(8),
        alias.clone(),
    ];
    for by in &others {
        for act in [
            Act::SetStanding(alias.0, Standing::Ended),
            Act::Affair(Affair::Certify(alias.0, Validity::ALWAYS)),
        ] {
            let call = stage.order(by, act);
            stage.refuse(&call, Code::WrongRole);
        }
    }
    for by in [stage.authority(0), stage.hospital(1)] {
        let call = stage.alias_enrolment(&by, 71);
        stage.refuse(&call, Code::WrongRole);
    }
    let office = stage.authority(3);
    let suspend = stage.order(&office, Act::SetStanding(alias.0, Standing::Suspended));
    stage.refuse(&suspend, Code::IllegalTransition);
}

#[test]
fn a_forged_certificate_makes_no_alias() {
    let mut stage = Stage::new();
    let (office, forger) = (stage.authority(3), stage.hospital(1));
    // In the name of the authority, by a hospital that wants an alias.
    let forged = stage.alias_enrolment(&(office.0, forger.1.clone()), 70);
    stage.refuse(&forged, Code::CertSignatureInvalid);
    // A true one, moved to another key.
    let true_one = stage.alias_enrolment(&office, 71);
    let other = stage.alias_enrolment(&office, 72);
    let first = true_one.first().cloned();
    let moved = SignedCall::new(other.call().clone(), first, other.second().cloned());
    stage.refuse(&moved, Code::CertSignatureInvalid);
    // Nobody gets an alias for a key that somebody else holds.
    let message = true_one.call().for_subject().unwrap();
    let stolen = Some(Proof::sign(&newcomer(73), message));
    let stolen = SignedCall::new(true_one.call().clone(), true_one.first().cloned(), stolen);
    stage.refuse(&stolen, Code::WrongSigner);
    let keys = newcomer(71);
    let alias = (Party::Alias(AliasId::of(&keys.public())), keys);
    let rid = stage.record(0, 8);
    let ask = stage.order(&alias, Act::RequestShare(rid));
    stage.refuse(&ask, Code::UnknownSigner);
    stage.accept(&true_one);
    stage.accept(&ask);
    let ask = stage.order(&(alias.0, forger.1), Act::RequestShare(rid));
    stage.refuse(&ask, Code::WrongSigner);
}

#[test]
fn certificates_run_out_and_end_with_the_authority_behind_them() {
    let mut stage = Stage::new();
    let office = stage.authority(3);
    let key = newcomer(70).public();
    let last = stage.height + 20;
    let call = stage.enrolment(&office, Identity::Alias(Alias { key }), (0, last), 70);
    stage.accept(&call);
    let alias = (Party::Alias(AliasId::of(&key)), newcomer(70));
    let rid = stage.record(0, 8);
    stage.height = last;
    let ask = stage.order(&alias, Act::RequestShare(rid));
    stage.accept(&ask);
    stage.height += 1;
    let ask = stage.order(&alias, Act::RequestShare(rid));
    stage.refuse(&ask, Code::CertExpired);
    let anew = Act::Affair(Affair::Certify(alias.0, Validity::ALWAYS));
    let renewal = stage.order(&office, anew.clone());
    stage.accept(&renewal);
    stage.accept(&ask);
    stage.expel(3);
    let ask = stage.order(&alias, Act::RequestShare(rid));
    stage.refuse(&ask, Code::CaRevoked);
    // The hospitals admit another authority for aliases, which certifies it again.
    let id = stage.admit(|authority| authority.vouches = Vouches::Aliases);
    assert_eq!(id, AuthorityId::of(&newcomer(60).public()));
    let renewal = stage.order(&(Party::Authority(id), newcomer(60)), anew);
    stage.accept(&renewal);
    stage.accept(&ask);
}

#[test]
fn a_key_has_one_name_if_one_of_its_names_is_an_alias() {
    let mut stage = Stage::new();
    let office = stage.authority(3);
    for keys in [
        stage.authority(0).1,
        stage.hospital(1).1,
        stage.doctor(1).1,
        stage.patient(8).1,
    ] {
        let alias = Identity::Alias(Alias { key: keys.public() });
        let terms = stage.terms(office.0, enrol(alias));
        let call = Call::Order(crate::contract::call::Order::new(terms));
        let call = SignedCall::signed(call, &office.1, Some(&keys));
        stage.refuse(&call, Code::IdTaken);
    }
    stage.alias(70);
    let doctor = Identity::Doctor(super::affairs::locum(&stage, 70));
    let by = stage.authority(1);
    let unmasked = stage.enrolment(&by, doctor, (0, u64::MAX), 70);
    stage.refuse(&unmasked, Code::IdTaken);
    let hospital = Identity::Hospital(crate::contract::identity::Hospital {
        key: newcomer(70).public(),
        name: "The Same".into(),
        region: 0,
    });
    let by = stage.authority(0);
    let unmasked = stage.enrolment(&by, hospital, (0, u64::MAX), 70);
    stage.refuse(&unmasked, Code::IdTaken);
}

#[test]
fn an_institution_may_ask_itself_for_what_it_holds_and_is_told_by_nobody() {
    // Hospital 0 holds the record and has made the alias; the chain does not know, and must not.
    let mut stage = Stage::new();
    let alias = stage.alias(70);
    let (_, sid) = stage.asked_under(&alias);
    let deny = stage.by_hospital(0, Act::DenyShare(sid));
    stage.accept(&deny);
    assert_eq!(stage.state.stage(&sid), Some(share::Stage::Denied));
}

#[test]
fn the_invariants_see_a_name_wherever_it_stands() {
    let mut stage = Stage::new();
    let alias = stage.alias(70);
    let (rid, sid) = stage.asked_under(&alias);
    let silent = stage.order(&alias, Act::ConfirmShare(sid, Digest::ZERO));
    let state = &stage.state;
    assert!(!state.names_an_institution(&wire::encode(&silent)));
    let (hospital, doctor) = (stage.people.hospital(1), stage.people.doctor(5));
    let keys = [&hospital.keys, &doctor.keys].map(|keys| Digest(keys.public().0));
    for telling in [hospital.id.0, doctor.id.0, keys[0], keys[1]] {
        let mut stage = stage.clone();
        let call = stage.order(&alias, Act::ConfirmShare(sid, telling));
        assert!(stage.state.names_an_institution(&wire::encode(&call)));
        let wrongs = stage
            .state
            .wrong_writes(stage.height, &call, (&Receipt::Accepted, &[]));
        let seen = wrongs.iter().map(|(invariant, _)| invariant.name());
        assert!(seen.collect::<Vec<_>>().contains(&"aliases-name-nobody"));
    }
    assert!(!state.names_an_institution(&rid.0.0));
}
