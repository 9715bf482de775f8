//! Leaders that agree on what they tell the supervisors alone, and findings that are lost.

use super::super::Stage;
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
