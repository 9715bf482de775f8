//! What is refused of aliases, and under them.

use super::*;
use crate::contract::affair::Affair;
use crate::contract::identity::AliasId;
use crate::contract::tests::affairs::newcomer;

/// A request for a record under an alias.
fn request(stage: &mut Stage, alias: &(Party, KeyPair)) -> SignedCall {
    let rid = stage.record(0, 8);
    stage.order(alias, Act::RequestShare(rid))
}

pub const ALIASES: &[(Code, Story)] = &[
    (Code::WrongChain, |s| {
        let (by, keys) = s.alias(70);
        let mut terms = s.terms(by, Act::RequestShare(RecordId(NOBODY)));
        terms.chain += 1;
        SignedCall::order(terms, &keys)
    }),
    (Code::Expired, |s| {
        let (by, keys) = s.alias(70);
        let mut terms = s.terms(by, Act::RequestShare(RecordId(NOBODY)));
        terms.valid_until = s.height - 1;
        SignedCall::order(terms, &keys)
    }),
    (Code::UnknownSigner, |s| {
        let nobody = (Party::Alias(AliasId(NOBODY)), newcomer(70));
        request(s, &nobody)
    }),
    (Code::UnknownSigner, |s| {
        let by = s.authority(3);
        let nobody = Party::Alias(AliasId(NOBODY));
        s.order(&by, Act::SetStanding(nobody, Standing::Ended))
    }),
    (Code::UnknownSigner, |s| {
        let by = s.authority(3);
        let nobody = Party::Alias(AliasId(NOBODY));
        s.order(&by, Act::Affair(Affair::Certify(nobody, Validity::ALWAYS)))
    }),
    (Code::CaRevoked, |s| {
        let alias = s.alias(70);
        s.expel(3);
        request(s, &alias)
    }),
    (Code::CaRevoked, |s| {
        let by = s.authority(3);
        s.expel(3);
        s.alias_enrolment(&by, 70)
    }),
    (Code::CertSignatureInvalid, |s| {
        let (office, forger) = (s.authority(3).0, s.hospital(1).1);
        s.alias_enrolment(&(office, forger), 70)
    }),
    (Code::CertExpired, |s| {
        let alias = s.alias(70);
        s.end(alias.0);
        request(s, &alias)
    }),
    (Code::CertExpired, |s| {
        // Nor does anybody send it anything.
        let alias = s.alias(70);
        let (rid, sid) = s.asked_under(&alias);
        s.end(alias.0);
        let document = s.document(&rid);
        s.by_hospital(0, Act::DeliverShare(sid, document))
    }),
    (Code::WrongRole, |s| {
        let alias = s.alias(70);
        let (rid, _) = s.asked_under(&alias);
        s.order(&alias, Act::Hide(rid))
    }),
    (Code::WrongRole, |s| {
        let by = s.authority(0);
        s.alias_enrolment(&by, 70)
    }),
    (Code::IdTaken, |s| {
        let by = s.authority(3);
        s.alias(70);
        s.alias_enrolment(&by, 70)
    }),
    (Code::WrongSigner, |s| {
        let (alias, other) = (s.alias(70), s.alias(71));
        request(s, &(alias.0, other.1))
    }),
    (Code::WrongSigner, |s| {
        // An alias signs alone: a second signature could tell whose it is.
        let (alias, hospital) = (s.alias(70), s.hospital(1));
        let call = request(s, &alias);
        let proof = Proof::sign(&hospital.1, call.digest());
        let (first, further) = (call.first().cloned(), vec![(hospital.0, proof)]);
        SignedCall::with_further(call.call().clone(), first, None, further)
    }),
    (Code::NonceUsed, |s| {
        let alias = s.alias(70);
        let call = request(s, &alias);
        s.accept(&call);
        call
    }),
    (Code::RecordNotFound, |s| {
        let alias = s.alias(70);
        s.order(&alias, Act::RequestShare(RecordId(NOBODY)))
    }),
    (Code::IllegalTransition, |s| {
        let (alias, rid) = (s.alias(70), disputed(s));
        s.order(&alias, Act::RequestShare(rid))
    }),
    (Code::NotRequester, |s| {
        let (alias, other) = (s.alias(70), s.alias(71));
        let (rid, sid) = s.asked_under(&alias);
        let document = s.document(&rid);
        s.order(&other, Act::ConfirmShare(sid, document))
    }),
    (Code::ApprovalMissing, |s| {
        let alias = s.alias(70);
        let (rid, sid) = s.asked_under(&alias);
        let document = s.document(&rid);
        s.by_hospital(0, Act::DeliverShare(sid, document))
    }),
];
