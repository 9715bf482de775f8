//! Who has missed something in MBFT, and what the others owe to it.

use super::super::{AT_ONCE, Stage};
use super::of;
use crate::base::node::NodeId;
use crate::protocol::mbft::{Config, Mbft};
use crate::protocol::pbft;

type Scene = Stage<Mbft>;

fn height(stage: &Scene, node: u16) -> u64 {
    stage.ledger(NodeId(node)).height()
}

/// Checkpoints as often as there can be.
fn often() -> pbft::Config {
    pbft::Config {
        checkpoint_interval: 1,
        window: 2,
        pipeline: 1,
        ..pbft::Config::default()
    }
}

#[test]
fn a_block_at_a_checkpoint_is_published() {
    let config = Config {
        upper_size: 1,
        upper: often(),
        ..of(1)
    };
    let mut stage: Scene = Stage::new(config, 5, AT_ONCE);
    for blocks in 1..=3 {
        stage.submit(NodeId(1));
        stage.settle(&[]);
        assert!(
            (0..5).all(|node| height(&stage, node) == blocks),
            "{blocks}"
        );
    }
}
