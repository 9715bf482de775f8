//! Where the sharing of a record stops.

use super::*;
use crate::contract::share::SHARE_BLOCKS;

pub const SHARING: &[(Code, Story)] = &[
    (Code::RecordNotFound, |s| {
        s.by_doctor(1, Act::RequestShare(RecordId(NOBODY)))
    }),
    (Code::ShareNotFound, |s| {
        s.by_patient(8, Act::ApproveShare(ShareId(NOBODY)))
    }),
    (Code::ShareNotFound, |s| {
        s.by_hospital(0, Act::DeliverShare(ShareId(NOBODY), NOBODY))
    }),
    (Code::ShareFinal, |s| {
        let (_, sid) = s.requested();
        let deny = s.by_patient(8, Act::DenyShare(sid));
        s.accept(&deny);
        s.by_hospital(0, Act::ApproveShare(sid))
    }),
    (Code::ShareFinal, |s| {
        let (_, sid) = s.requested();
        let approve = s.by_patient(8, Act::ApproveShare(sid));
        s.accept(&approve);
        s.by_patient(8, Act::ApproveShare(sid))
    }),
    (Code::ShareFinal, |s| {
        let (_, sid) = s.requested();
        let approve = s.by_hospital(0, Act::ApproveShare(sid));
        s.accept(&approve);
        s.by_hospital(0, Act::ApproveShare(sid))
    }),
    (Code::ShareFinal, |s| {
        let (_, sid) = s.shared();
        s.by_patient(8, Act::ApproveShare(sid))
    }),
    (Code::ShareFinal, |s| {
        let (rid, sid) = s.shared();
        let document = s.document(&rid);
        let deliver = s.by_hospital(0, Act::DeliverShare(sid, document));
        s.accept(&deliver);
        s.by_hospital(0, Act::DeliverShare(sid, document))
    }),
    (Code::ShareFinal, |s| {
        let sid = delivered(s);
        s.by_patient(8, Act::DenyShare(sid))
    }),
    (Code::NotHolder, |s| {
        let (_, sid) = s.requested();
        s.by_patient(9, Act::ApproveShare(sid))
    }),
    (Code::NotHolder, |s| {
        // Who is to receive it does not agree for those who own and hold it.
        let (_, sid) = s.requested();
        s.by_hospital(1, Act::ApproveShare(sid))
    }),
    (Code::NotHolder, |s| {
        let (_, sid) = s.requested();
        s.by_hospital(2, Act::DenyShare(sid))
    }),
    (Code::NotHolder, |s| {
        let (_, sid) = s.shared();
        s.by_hospital(1, Act::DeliverShare(sid, NOBODY))
    }),
    (Code::NotRequester, |s| {
        let (_, sid) = s.shared();
        s.by_hospital(0, Act::ConfirmShare(sid, NOBODY))
    }),
    (Code::SameHospital, |s| {
        let rid = s.record(0, 8);
        s.by_doctor(4, Act::RequestShare(rid))
    }),
    (Code::HashMismatch, |s| {
        let (rid, sid) = s.shared();
        let wrong = s.by_hospital(0, Act::DeliverShare(sid, NOBODY));
        s.accept(&wrong);
        let document = s.document(&rid);
        s.by_hospital(1, Act::ConfirmShare(sid, document))
    }),
    (Code::HashMismatch, |s| {
        // What came is not what was sent.
        let (rid, sid) = s.shared();
        let document = s.document(&rid);
        let deliver = s.by_hospital(0, Act::DeliverShare(sid, document));
        s.accept(&deliver);
        s.by_hospital(1, Act::ConfirmShare(sid, NOBODY))
    }),
    (Code::HashMismatch, |s| {
        // Nothing was sent.
        let (rid, sid) = s.shared();
        let document = s.document(&rid);
        s.by_hospital(1, Act::ConfirmShare(sid, document))
    }),
    (Code::ShareExpired, |s| {
        let (_, sid) = s.requested();
        s.height += SHARE_BLOCKS + 1;
        s.by_patient(8, Act::ApproveShare(sid))
    }),
    (Code::ShareExpired, |s| {
        let (_, sid) = s.requested();
        s.height += SHARE_BLOCKS + 1;
        s.by_hospital(0, Act::DenyShare(sid))
    }),
    (Code::ShareExpired, |s| {
        let (rid, sid) = s.shared();
        s.height += SHARE_BLOCKS + 1;
        let document = s.document(&rid);
        s.by_hospital(0, Act::DeliverShare(sid, document))
    }),
    (Code::ApprovalMissing, |s| {
        let (rid, sid) = s.requested();
        let approve = s.by_patient(8, Act::ApproveShare(sid));
        s.accept(&approve);
        let document = s.document(&rid);
        s.by_hospital(0, Act::DeliverShare(sid, document))
    }),
    (Code::ApprovalMissing, |s| {
        // The holder alone does not decide either.
        let (rid, sid) = s.requested();
        let approve = s.by_hospital(0, Act::ApproveShare(sid));
        s.accept(&approve);
        let document = s.document(&rid);
        s.by_hospital(0, Act::DeliverShare(sid, document))
    }),
];

/// A sharing that came to its end.
fn delivered(stage: &mut Stage) -> ShareId {
    let (rid, sid) = stage.shared();
    let document = stage.document(&rid);
    let deliver = stage.by_hospital(0, Act::DeliverShare(sid, document));
    stage.accept(&deliver);
    let confirm = stage.by_hospital(1, Act::ConfirmShare(sid, document));
    stage.accept(&confirm);
    sid
}
