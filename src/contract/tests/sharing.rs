//! Sharing, delegation, emergencies, disputes and contact from beginning to end.

use super::*;
use crate::contract::access::Notice;
use crate::contract::call::Order;
use crate::contract::records::Status;
use crate::contract::search::{Condition, Handle, Query, Row};
use crate::contract::share::{self, SHARE_BLOCKS};

/// Everybody of any age, asked by a doctor: the order and the rows.
fn search(stage: &mut Stage, doctor: u32) -> (std::sync::Arc<Order>, Vec<Row>) {
    let query = Query {
        conditions: vec![Condition::Ages(0, 18)],
        purpose: Purpose::Care,
        page: 0,
    };
    let (by, keys) = stage.doctor(doctor);
    let terms = Terms {
        valid_until: stage.height + 500,
        ..stage.terms(by, Act::Search(query))
    };
    let order = Order::new(terms);
    let call = SignedCall::signed(Call::Order(order.clone()), &keys, None);
    match stage.apply(&call) {
        Receipt::Found(answer) => (order, answer.rows.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn either_side_may_agree_first() {
    use share::Stage::{Delivered, Granted, HolderApproved, PatientApproved, Requested};
    for patient_first in [true, false] {
        let mut stage = Stage::new();
        let (rid, sid) = stage.requested();
        let by_patient = stage.by_patient(8, Act::ApproveShare(sid));
        let by_holder = stage.by_hospital(0, Act::ApproveShare(sid));
        assert_eq!(stage.state.stage(&sid), Some(Requested));
        let (calls, between) = if patient_first {
            ([by_patient, by_holder], PatientApproved)
        } else {
            ([by_holder, by_patient], HolderApproved)
        };
        stage.accept(&calls[0]);
        assert_eq!(stage.state.stage(&sid), Some(between));
        stage.accept(&calls[1]);
        assert_eq!(stage.state.stage(&sid), Some(Granted));
        let document = stage.document(&rid);
        for (hospital, act) in [
            (0, Act::DeliverShare(sid, Digest::ZERO)),
            (0, Act::DeliverShare(sid, document)),
            (1, Act::ConfirmShare(sid, document)),
        ] {
            let call = stage.by_hospital(hospital, act);
            stage.accept(&call);
        }
        assert_eq!(stage.state.stage(&sid), Some(Delivered));
        let late = stage.height + SHARE_BLOCKS + 1;
        assert!(!stage.state.share_has_expired(&sid, late), "it is done");
    }
}

#[test]
fn a_sharing_can_be_called_off_until_it_is_done_and_not_for_ever() {
    let mut stage = Stage::new();
    let (_, sid) = stage.shared();
    let deny = stage.by_patient(8, Act::DenyShare(sid));
    stage.accept(&deny);
    assert_eq!(stage.state.stage(&sid), Some(share::Stage::Revoked));
    let (_, sid) = stage.requested();
    let last = stage.height + SHARE_BLOCKS;
    assert!(!stage.state.share_has_expired(&sid, last));
    assert!(stage.state.share_has_expired(&sid, last + 1));
    stage.height = last;
    let deny = stage.by_hospital(0, Act::DenyShare(sid));
    stage.accept(&deny);
    assert_eq!(stage.state.stage(&sid), Some(share::Stage::Denied));
}

#[test]
fn what_is_passed_on_is_a_part_and_can_be_taken_back() {
    let mut stage = Stage::new();
    let (one, other) = (stage.record(0, 8), stage.record(0, 8));
    let mut terms = stage.delegable(1, Scope::Records(vec![one, other]));
    terms.max_uses = Some(3);
    let parent = stage.granted(8, terms);
    let mut child = stage.care(1, Scope::Records(vec![one]));
    child.max_uses = Some(2);
    let delegate = stage.by_hospital(1, Act::Delegate(parent, child.clone()));
    stage.accept(&delegate);
    let child = gid(&delegate);
    let reads = |gid, rid| Act::Access(gid, rid, Purpose::Care);
    let narrow = stage.by_doctor(1, reads(child, other));
    stage.refuse(&narrow, Code::OutOfScope);
    let foreign = stage.by_hospital(1, reads(child, one));
    stage.refuse(&foreign, Code::GrantNotYours);
    for _ in 0..2 {
        let read = stage.by_doctor(1, reads(child, one));
        stage.accept(&read);
    }
    let third = stage.by_doctor(1, reads(child, one));
    stage.refuse(&third, Code::GrantExhausted);
    let own = stage.by_hospital(1, reads(parent, other));
    stage.accept(&own);
    let more = stage.by_hospital(1, reads(parent, other));
    stage.refuse(&more, Code::GrantExhausted);
    assert_eq!(stage.state.uses(&parent), Some(1));
    assert_eq!(stage.state.uses(&child), Some(2));
    let revoke = stage.by_hospital(1, Act::Revoke(child));
    stage.accept(&revoke);
    assert!(stage.state.is_revoked(&child) && !stage.state.is_revoked(&parent));
}

#[test]
fn with_a_grant_ends_what_was_passed_on_of_it() {
    let mut stage = Stage::new();
    let terms = stage.delegable(1, Scope::All);
    let parent = stage.granted(8, terms);
    let child = stage.care(1, Scope::All);
    let delegate = stage.by_hospital(1, Act::Delegate(parent, child));
    stage.accept(&delegate);
    assert!(!stage.state.is_revoked(&gid(&delegate)));
    let revoke = stage.by_patient(8, Act::Revoke(parent));
    stage.accept(&revoke);
    assert!(stage.state.is_revoked(&gid(&delegate)));
}

#[test]
fn an_emergency_is_listed_told_and_bounded() {
    let mut stage = Stage::new();
    let rid = stage.record(0, 8);
    for number in 0..3 {
        stage.height = 100 + number;
        let call = stage.emergency([0, 4], rid);
        stage.accept(&call);
    }
    let reading = stage.state.audit()[0];
    assert_eq!((reading.gid, reading.purpose), (None, Purpose::Emergency));
    assert_eq!((reading.by, reading.height), (stage.doctor(0).0, 100));
    let mailbox = stage.state.mailbox(&stage.people.patient(8).id);
    assert_eq!(mailbox.len(), 3);
    assert_eq!(mailbox[2].notice, Notice::Emergency(rid));
    assert_eq!((mailbox[2].by, mailbox[2].height), (stage.doctor(0).0, 102));
    assert!(stage.state.mailbox(&stage.people.patient(9).id).is_empty());
    stage.height = 1099;
    let fourth = stage.emergency([0, 4], rid);
    stage.refuse(&fourth, Code::EmergencyLimit);
    let another = stage.emergency([4, 0], rid);
    stage.accept(&another);
    stage.height = 1100;
    stage.accept(&fourth);
    let fifth = stage.emergency([0, 4], rid);
    stage.refuse(&fifth, Code::EmergencyLimit);
}

#[test]
fn a_dispute_shows_until_both_let_the_record_stand() {
    let mut stage = Stage::new();
    let rids: Vec<RecordId> = (8..13).map(|patient| stage.record(0, patient)).collect();
    let flags = |stage: &mut Stage| {
        let (_, rows) = search(stage, 0);
        let disputed = rows.iter().filter(|row| row.disputed).count();
        let suspect = rows.iter().filter(|row| row.suspect).count();
        (rows.len(), disputed, suspect)
    };
    let dispute = stage.by_doctor(0, Act::Dispute(rids[0]));
    stage.accept(&dispute);
    assert_eq!(flags(&mut stage), (5, 1, 0));
    let act = Act::Resolve {
        rid: rids[0],
        suspect: true,
    };
    // Either party may ask for it, and the other one signs as well.
    let (doctor, keys) = stage.doctor(0);
    let resolve = stage.by_patient(8, act).witnessed(doctor, &keys);
    assert_eq!(resolve.signatures(), 2);
    stage.accept(&resolve);
    assert_eq!(flags(&mut stage), (5, 0, 1));
    assert!(stage.state.is_suspect(&rids[0]));
    let again = stage.by_patient(8, Act::Dispute(rids[0]));
    stage.accept(&again);
    let resolve = stage.resolution((0, 8), rids[0]);
    stage.accept(&resolve);
    assert_eq!(flags(&mut stage), (5, 0, 0));
}

#[test]
fn a_disputed_record_can_be_replaced_and_read() {
    let mut stage = Stage::new();
    let rid = stage.record(0, 8);
    let dispute = stage.by_patient(8, Act::Dispute(rid));
    stage.accept(&dispute);
    let terms = stage.care(1, Scope::Records(vec![rid]));
    let gid = stage.granted(8, terms);
    let read = stage.by_doctor(1, Act::Access(gid, rid, Purpose::Care));
    stage.accept(&read);
    let amend = stage.submission(0, 8, |content| content.supersedes = Some(rid));
    stage.accept(&amend);
    let status = stage.state.status(&rid);
    assert_eq!(status, Some(Status::Amended(super::rid(&amend))));
}

#[test]
fn a_patient_is_asked_for_contact_by_a_row_and_nobody_else_is() {
    let mut stage = Stage::new();
    for patient in 8..14 {
        stage.record(0, patient);
    }
    let (order, rows) = search(&mut stage, 1);
    let handle = rows[3].handle;
    let ask = |handle: Handle, search: &std::sync::Arc<Order>| Act::AskContact {
        search: search.clone(),
        handle,
    };
    let call = stage.by_doctor(1, ask(handle, &order));
    stage.height += 500;
    stage.accept(&call);
    let told: Vec<_> = (8..14)
        .flat_map(|patient| stage.state.mailbox(&stage.people.patient(patient).id))
        .collect();
    assert_eq!(told.len(), 1);
    let carried = |content: &&Content| content.pid == told[0].to;
    let contents: Vec<&Content> = stage
        .state
        .records
        .iter()
        .map(|record| record.draft.content())
        .collect();
    let content = contents.into_iter().find(carried).unwrap();
    assert_eq!(told[0].notice, Notice::Contact(content.contact));
    assert_eq!(told[0].by, stage.doctor(1).0);
    let (other, _) = search(&mut stage, 1);
    let joined = stage.by_doctor(1, ask(handle, &other));
    stage.refuse(&joined, Code::RecordNotFound);
    stage.height += 1;
    let late = stage.by_doctor(1, ask(handle, &order));
    stage.refuse(&late, Code::Expired);
}

#[test]
fn a_proposal_expires_by_itself() {
    let mut stage = Stage::new();
    let draft = stage.proposal(0, 8);
    let rid = draft.content().rid;
    assert!(!stage.state.has_expired(&rid, stage.height + 1000));
    assert!(stage.state.has_expired(&rid, stage.height + 1001));
    stage.height += 1001;
    for call in [
        stage.by_patient(8, Act::Reject(rid)),
        stage.by_doctor(0, Act::Withdraw(rid)),
        stage.confirmation(&draft, 8),
    ] {
        stage.refuse(&call, Code::ProposalExpired);
    }
}
