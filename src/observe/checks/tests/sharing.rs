//! Who has to have what, in the end.

use std::collections::BTreeSet;

use super::judge;
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::base::random::mix;
use crate::base::time::{Span, Time};
use crate::contract::message::RecordId;
use crate::observe::checks::sharing::Sharing;
use crate::observe::checks::violation::Findings;
use crate::protocol::layers::{Fact, Net};

const RECORD: u64 = 1;
const PATIENT: u64 = 2;
const BODY: u64 = 3;

fn digest(number: u64) -> Digest {
    let hasher = crate::base::crypto::Hasher::new("a test of sharing");
    hasher.number(mix(1, number)).finish()
}

/// Network 0 decides a record at a height for these nodes.
fn listed(height: u64, nodes: &[u16]) -> Fact {
    listed_in(0, height, nodes)
}

/// The same in another network, to which network 0 has relayed it.
fn listed_in(net: Net, height: u64, nodes: &[u16]) -> Fact {
    Fact::Listed {
        net,
        height,
        user: digest(PATIENT),
        rid: RecordId(digest(RECORD)),
        body: digest(BODY),
        nodes: nodes.iter().map(|node| NodeId(*node)).collect(),
        from: (net > 0).then_some(0),
    }
}

/// What somebody keeps that was entered there.
fn kept() -> Fact {
    kept_where(true)
}

/// What somebody keeps that was sent there.
fn sent() -> Fact {
    kept_where(false)
}

fn kept_where(entered: bool) -> Fact {
    Fact::Kept {
        user: digest(PATIENT),
        rid: RecordId(digest(RECORD)),
        body: digest(BODY),
        bytes: 9,
        entered,
    }
}

fn found() -> Fact {
    Fact::Found {
        user: digest(PATIENT),
        rid: RecordId(digest(RECORD)),
        body: digest(BODY),
        bytes: 9,
        entered: false,
    }
}

fn registered(height: u64, node: u16) -> Fact {
    registered_in(0, height, node)
}

fn registered_in(net: Net, height: u64, node: u16) -> Fact {
    Fact::Registered {
        net,
        height,
        user: digest(PATIENT),
        node: NodeId(node),
        first: false,
    }
}

fn closed(height: u64, node: u16) -> Fact {
    closed_in(0, height, node)
}

fn closed_in(net: Net, height: u64, node: u16) -> Fact {
    Fact::Closed {
        net,
        height,
        user: digest(PATIENT),
        node: NodeId(node),
    }
}

fn moved(node: u16, records: &[u64]) -> Fact {
    let records = records.iter().map(|record| RecordId(digest(*record)));
    Fact::Moved {
        net: 0,
        user: digest(PATIENT),
        node: NodeId(node),
        records: records.collect(),
    }
}

/// What is wrong in the end if each of these is told by a node, and these nodes are present.
fn wrong(told: &[(u16, Fact)], present: &[u16]) -> Vec<String> {
    let (mut sharing, mut findings) = (Sharing::default(), Findings::default());
    for (node, fact) in told {
        sharing.learn((Time::ZERO, NodeId(*node)), fact, &mut findings);
    }
    let present: BTreeSet<NodeId> = present.iter().map(|node| NodeId(*node)).collect();
    let end = Time::ZERO + Span::from_secs(9);
    sharing.finish((end, &judge(0, 1_000), true), &present, &mut findings);
    findings
        .kept
        .into_iter()
        .map(|found| found.detail)
        .collect()
}

#[test]
fn whoever_is_listed_has_the_record_in_the_end() {
    let told = [(0, listed(1, &[5, 6])), (5, kept())];
    let lacks = "n6 lacks a record that network 0 decided at 1";
    assert_eq!(wrong(&told, &[0, 5, 6]), [lacks]);
    assert_eq!(wrong(&told, &[0, 5]), Vec::<String>::new());
}

#[test]
fn what_is_found_after_a_crash_is_there() {
    let told = [(0, listed(1, &[5, 6])), (5, kept()), (6, found())];
    assert_eq!(wrong(&told, &[0, 5, 6]), Vec::<String>::new());
}

#[test]
fn only_what_somebody_may_still_have_is_missed() {
    let told = [(0, listed(1, &[5, 6]))];
    assert_eq!(wrong(&told, &[0, 5]), Vec::<String>::new());
    // It was entered at one of the two.
    assert_eq!(wrong(&told, &[0, 5, 6]).len(), 2);
}

#[test]
fn a_record_is_missed_where_it_was_relayed_to_and_not_where_it_came_from() {
    let relayed = |keeper| {
        [
            (0, listed(1, &[5, 6])),
            (8, listed_in(1, 1, &[12, 13])),
            (keeper, kept()),
        ]
    };
    assert_eq!(wrong(&relayed(12), &[0, 5, 8, 12]), Vec::<String>::new());
    let lacks = "n12 lacks a record that network 1 decided at 1";
    assert_eq!(wrong(&relayed(5), &[0, 5, 8, 12]), [lacks]);
}

#[test]
fn what_came_from_elsewhere_while_a_right_lasted_may_be_relayed_later() {
    let strange = ["n6 keeps a record that is not for it"];
    // Network 0 sends it to whoever has the patient in network 1, which decides it later.
    let told = [
        (0, listed(1, &[])),
        (8, registered_in(1, 1, 6)),
        (6, sent()),
        (8, closed_in(1, 2, 6)),
        (8, listed_in(1, 3, &[])),
    ];
    assert_eq!(wrong(&told, &[]), Vec::<String>::new());
    // What the own network decides later never came before.
    let told = [
        (0, registered(1, 6)),
        (0, closed(2, 6)),
        (0, listed(3, &[])),
        (6, sent()),
    ];
    assert_eq!(wrong(&told, &[]), strange);
}

#[test]
fn what_a_liar_says_is_decided_excuses_whoever_keeps_it() {
    let (mut sharing, mut findings) = (Sharing::default(), Findings::default());
    sharing.learn((Time::ZERO, NodeId(6)), &sent(), &mut findings);
    let mut innocent = sharing.clone();
    innocent.claim(&listed(1, &[6]));
    let mut total = |sharing: &Sharing| {
        sharing.finish(
            (Time::ZERO, &judge(0, 1_000), false),
            &BTreeSet::new(),
            &mut findings,
        );
        findings.total
    };
    assert_eq!(total(&innocent), 0);
    assert_eq!(total(&sharing), 1);
}

#[test]
fn a_later_registration_brings_what_is_said_to_have_moved() {
    let mut told = vec![
        (0, registered(1, 6)),
        (0, moved(6, &[])),
        (0, listed(2, &[5, 6])),
        (5, kept()),
        (0, closed(3, 6)),
        (0, registered(4, 6)),
        (0, moved(6, &[])),
    ];
    assert_eq!(wrong(&told, &[0, 5, 6]), Vec::<String>::new());
    told.pop();
    told.push((0, moved(6, &[RECORD])));
    let lacks = "n6 was said to have a record that it lacks";
    assert_eq!(wrong(&told, &[0, 5, 6]), [lacks]);
}
