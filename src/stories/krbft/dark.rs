//! Members whose leader keeps them in the dark, or has them run after what is not there.

use std::sync::Arc;

use super::heirs::settle_but;
use super::{certified_blocks, hardened, settled};
use crate::base::crypto::Certificate;
use crate::base::node::NodeId;
use crate::protocol::iraft::{Ballot, Election, Mark};
use crate::protocol::krbft::{CouncilUpdate, Message};

/// What a leader tells its members of the chain.
const NEWS: [&str; 3] = ["council-update", "group-block", "group-commit"];

#[test]
fn a_member_that_its_leader_tells_nothing_believes_the_certificates_of_others() {
    for config in [certified_blocks(), hardened()] {
        let mut stage = settled(config, 4, 4);
        let dark = |from, to, kind: &str| (from, to) == (4, 5) && NEWS.contains(&kind);
        for _ in 0..3 {
            stage.submit(NodeId(0));
            settle_but(&mut stage, dark);
        }
        assert_eq!(stage.ledger(NodeId(5)).height(), 0);
        for leader in [4, 8, 8] {
            stage.fire_named(NodeId(leader), "Council");
            settle_but(&mut stage, dark);
        }
        assert_eq!(stage.ledger(NodeId(5)).height(), 3);
        assert_eq!(stage.status_of(NodeId(5)).view, 0);
    }
}

#[test]
fn a_leader_that_boasts_keeps_nobody_asking() {
    let mut stage = settled(hardened(), 4, 4);
    let ballot = Ballot {
        term: 1,
        candidate: NodeId(4),
        mark: Mark::default(),
    };
    for _ in 0..2 {
        let update = CouncilUpdate {
            group: 1,
            term: 1,
            election: Arc::new(Election {
                certificate: Certificate::open(ballot),
                evidence: Vec::new(),
            }),
            height: u64::MAX,
            view: 0,
        };
        let message = Message::CouncilUpdate(Box::new(update));
        stage.inject(NodeId(4), NodeId(5), message);
        stage.settle(&[]);
    }
    let mut asked = 0;
    for _ in 0..20 {
        asked += stage.take_sent().get("group-fetch").copied().unwrap_or(0);
        stage.fire_named(NodeId(5), "Fetch");
        stage.settle(&[]);
    }
    assert!((1..=2).contains(&asked), "it has asked {asked} times");
}
