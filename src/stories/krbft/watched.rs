//! Leaders that agree on what they tell the supervisors alone, and findings that are lost.

use super::super::Stage;
use super::super::stage::Post;
use super::heirs::settle_but;
use super::{certified_blocks, hardened, paper, settled};
use crate::base::crypto::{Crypto, Signer};
use crate::base::node::NodeId;
use crate::chain::Batch;
use crate::protocol::krbft::{Config, Delivery, GroupBlock, Krbft, Message, Proven};

fn watched(config: Config) -> Config {
    Config {
        supervision: true,
        ..config
    }
}

/// Four groups of four. The leaders of two groups tell nobody outside them of the first block but
/// that it is another one, and show no certificate.
fn two_agree(config: Config) -> Stage<Krbft> {
    let mut stage = settled(watched(config), 4, 4);
    stage.submit(NodeId(0));
    settle_but(&mut stage, |from, to, kind| {
        [0, 4].contains(&from) && kind == "group-block" && to / 4 != from / 4
    });
    let (signers, _) = Signer::mint(16, Crypto::Modelled, 1);
    for liar in [0, 4] {
        let statement = signers[liar].sign(Delivery {
            group: liar as u64 / 4,
            height: 1,
            digest: Batch::empty().digest(),
            proof: None,
        });
        for to in (0..16).filter(|to| to / 4 != liar / 4) {
            let block = Proven {
                batch: Batch::empty(),
                proof: None,
            };
            let told = GroupBlock {
                statement: statement.clone(),
                view: 0,
                block,
            };
            let message = Message::GroupBlock(Box::new(told));
            stage.inject(NodeId::at(liar), NodeId::at(to), message);
        }
    }
    stage.settle(&[]);
    assert_eq!(stage.violation(), None);
    stage
}

#[test]
fn leaders_that_agree_without_a_certificate_bar_nobody_where_blocks_carry_one() {
    for config in [certified_blocks(), hardened()] {
        let told = two_agree(config).take_output();
        assert!(!told.contains("accuses"), "{told}");
    }
}

#[test]
fn leaders_that_agree_against_the_truth_are_convicted_by_those_they_told_it() {
    let stage = two_agree(paper());
    for liar in [0, 4] {
        let knows = |node| stage.convictions().contains(&(NodeId(node), NodeId(liar)));
        assert!((8..16).all(knows), "n{liar}");
    }
}

#[test]
fn a_group_that_has_missed_a_finding_is_shown_it_again() {
    let mut stage = settled(watched(paper()), 4, 4);
    let found = |stage: &mut Stage<Krbft>, node: u16| {
        let told = stage.take_output();
        told.contains(&format!("n{node} accuses n4"))
    };
    stage.submit(NodeId(0));
    while stage.pending() > 0 {
        let (from, to, kind) = stage.letter_at(0);
        // Those outside its group are told another block, and its members are not told of it.
        if kind == "finding" && (4..8).contains(&to.0) {
            stage.post_at(Post::Drop, 0);
        } else if from == NodeId(4) && kind == "group-block" {
            stage.post_at(Post::Lie, 0);
            stage.post_at(Post::Deliver, stage.pending() - 1);
        } else {
            stage.post_at(Post::Deliver, 0);
        }
    }
    assert!(found(&mut stage, 0));
    stage.fire_named(NodeId(4), "Council");
    stage.settle(&[]);
    assert!(found(&mut stage, 6));
}
