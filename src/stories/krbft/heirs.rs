//! Leaders that take the seat of another one, and what they have missed.

use super::super::Stage;
use super::{certified_blocks, paper, settled};
use crate::base::node::NodeId;
use crate::protocol::krbft::{Config, Krbft};

/// With checkpoints so close together that a story reaches them.
fn near(config: Config) -> Config {
    let mut config = config;
    config.committee.checkpoint_interval = 4;
    config.committee.window = 8;
    config
}

/// The next block is decided, and everything arrives.
fn decide(stage: &mut Stage<Krbft>, blocks: usize) {
    for _ in 0..blocks {
        stage.submit(NodeId(0));
        stage.settle(&[]);
    }
}

#[test]
fn who_leads_first_when_the_watermark_is_far_above_learns_of_it() {
    for config in [paper(), certified_blocks()] {
        let mut stage = settled(near(config), 4, 4);
        decide(&mut stage, 9);
        stage.crash(NodeId(4));
        stage.fire_named(NodeId(5), "Group(Election");
        stage.settle(&[]);
        decide(&mut stage, 1);
        assert_eq!(stage.ledger(NodeId(5)).height(), 9, "10 is above 0 + 8");
        stage.fire_named(NodeId(5), "Committee(CatchUp");
        stage.settle(&[]);
        decide(&mut stage, 1);
        for node in [5, 6, 7] {
            assert_eq!(stage.ledger(NodeId(node)).height(), 11, "n{node}");
        }
    }
}
