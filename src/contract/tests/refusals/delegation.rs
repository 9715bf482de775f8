//! What a hospital cannot pass on.

use super::*;

/// A delegable grant to hospital 1 after a change, and its delegation to doctor 1 after another.
fn delegated(
    stage: &mut Stage,
    parent: fn(&mut GrantTerms),
    child: fn(&mut GrantTerms),
) -> SignedCall {
    let mut terms = stage.delegable(1, Scope::All);
    parent(&mut terms);
    let gid = stage.granted(8, terms);
    let mut terms = stage.care(1, Scope::All);
    child(&mut terms);
    stage.by_hospital(1, Act::Delegate(gid, terms))
}

pub const DELEGATION: &[(Code, Story)] = &[
    (Code::GrantNotFound, |s| {
        let terms = s.care(1, Scope::All);
        s.by_hospital(1, Act::Delegate(GrantId(NOBODY), terms))
    }),
    (Code::GrantNotYours, |s| {
        let terms = s.delegable(0, Scope::All);
        let gid = s.granted(8, terms);
        let child = s.care(1, Scope::All);
        s.by_hospital(1, Act::Delegate(gid, child))
    }),
    (Code::GrantRevoked, |s| {
        let terms = s.delegable(1, Scope::All);
        let gid = s.granted(8, terms);
        let revoke = s.by_patient(8, Act::Revoke(gid));
        s.accept(&revoke);
        let child = s.care(1, Scope::All);
        s.by_hospital(1, Act::Delegate(gid, child))
    }),
    (Code::GrantRevoked, |s| {
        // With a grant everything ends that was passed on of it.
        let rid = s.record(0, 8);
        let call = delegated(s, |_| {}, |_| {});
        s.accept(&call);
        let revoke = s.by_patient(8, Act::Revoke(parent(&call)));
        s.accept(&revoke);
        s.by_doctor(1, Act::Access(gid(&call), rid, Purpose::Care))
    }),
    (Code::NothingToRevoke, |s| {
        let call = delegated(s, |_| {}, |_| {});
        s.accept(&call);
        let revoke = s.by_patient(8, Act::Revoke(parent(&call)));
        s.accept(&revoke);
        s.by_patient(8, Act::Revoke(gid(&call)))
    }),
    (Code::GrantNotYours, |s| {
        let call = delegated(s, |_| {}, |_| {});
        s.accept(&call);
        s.by_hospital(2, Act::Revoke(gid(&call)))
    }),
    (Code::GrantExpired, |s| {
        let call = delegated(s, |_| {}, |child| child.until += 50);
        s.height += 101;
        call
    }),
    (Code::GrantExhausted, |s| {
        delegated(
            s,
            |parent| parent.max_uses = Some(0),
            |child| child.max_uses = Some(0),
        )
    }),
    (Code::GrantExhausted, |s| {
        // What was passed on is gone.
        let rid = s.record(0, 8);
        let call = delegated(
            s,
            |parent| parent.max_uses = Some(2),
            |child| child.max_uses = Some(2),
        );
        s.accept(&call);
        s.by_hospital(1, Act::Access(parent(&call), rid, Purpose::Care))
    }),
    (Code::WrongPurpose, |s| {
        delegated(s, |_| {}, |child| child.purpose = Purpose::Research)
    }),
    (Code::GranteeNotFound, |s| {
        delegated(
            s,
            |_| {},
            |child| child.grantee = Grantee::Doctor(DoctorId(NOBODY)),
        )
    }),
    (Code::DelegationNotAllowed, |s| {
        delegated(s, |parent| parent.delegable = false, |_| {})
    }),
    (Code::DelegationNotAllowed, |s| {
        delegated(s, |_| {}, |child| child.delegable = true)
    }),
    (Code::DelegationNotAllowed, |s| {
        let terms = s.delegable(1, Scope::All);
        let child = GrantTerms {
            delegable: false,
            ..terms.clone()
        };
        let gid = s.granted(8, terms);
        s.by_hospital(1, Act::Delegate(gid, child))
    }),
    (Code::DelegationNotAllowed, |s| {
        let terms = GrantTerms {
            delegable: true,
            ..s.care(1, Scope::All)
        };
        s.by_patient(8, Act::Grant(terms))
    }),
    (Code::ChildExceedsParent, |s| {
        delegated(s, |_| {}, |child| child.until += 1)
    }),
    (Code::ChildExceedsParent, |s| {
        delegated(s, |_| {}, |child| child.from -= 1)
    }),
    (Code::ChildExceedsParent, |s| {
        delegated(s, |parent| parent.max_uses = Some(3), |_| {})
    }),
    (Code::ChildExceedsParent, |s| {
        delegated(
            s,
            |parent| parent.max_uses = Some(3),
            |child| child.max_uses = Some(4),
        )
    }),
    (Code::ChildExceedsParent, |s| {
        delegated(
            s,
            |parent| parent.scope = Scope::Kinds(vec![RecordKind::Imaging]),
            |_| {},
        )
    }),
    (Code::ChildExceedsParent, |s| {
        delegated(
            s,
            |parent| parent.scope = Scope::Kinds(vec![RecordKind::Imaging]),
            |child| {
                let kinds = vec![RecordKind::Imaging, RecordKind::Admission];
                child.scope = Scope::Kinds(kinds);
            },
        )
    }),
    (Code::ChildExceedsParent, |s| {
        let (one, other) = (s.record(0, 8), s.record(0, 8));
        let terms = s.delegable(1, Scope::Records(vec![one]));
        let gid = s.granted(8, terms);
        let child = s.care(1, Scope::Records(vec![one, other]));
        s.by_hospital(1, Act::Delegate(gid, child))
    }),
    (Code::ChildExceedsParent, |s| {
        // The record is no image, which is all that was granted.
        let rid = s.record(0, 8);
        let terms = s.delegable(1, Scope::Kinds(vec![RecordKind::Imaging]));
        let gid = s.granted(8, terms);
        let child = s.care(1, Scope::Records(vec![rid]));
        s.by_hospital(1, Act::Delegate(gid, child))
    }),
    (Code::RecordNotOfPatient, |s| {
        let rid = s.record(0, 9);
        let terms = s.delegable(1, Scope::All);
        let gid = s.granted(8, terms);
        let child = s.care(1, Scope::Records(vec![rid]));
        s.by_hospital(1, Act::Delegate(gid, child))
    }),
];

/// Of which grant a delegation passes something on.
fn parent(call: &SignedCall) -> GrantId {
    let Call::Order(order) = call.call() else {
        panic!("a delegation is an order");
    };
    let Act::Delegate(parent, _) = &order.terms().act else {
        panic!("it is a delegation");
    };
    *parent
}
