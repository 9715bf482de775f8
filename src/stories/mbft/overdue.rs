//! Who has missed something in MBFT, and what the others owe to it.

use std::sync::Arc;

use super::super::chaos::fire_first;
use super::super::stage::{Post, Which};
use super::super::{AT_ONCE, Stage};
use super::{certified, of, sparse};
use crate::base::crypto::{Certificate, Digest};
use crate::base::node::NodeId;
use crate::base::time::Span;
use crate::chain::Batch;
use crate::protocol::mbft::{Config, Large, Mbft, Message, Published, Timer};
use crate::protocol::pbft;

type Scene = Stage<Mbft>;

/// All messages of a kind to a node, or from one to another.
fn which(from: Option<u16>, to: Option<u16>, kind: &str) -> Which {
    Which {
        from: from.map(NodeId),
        to: to.map(NodeId),
        kind: Some(kind.to_owned()),
    }
}

fn height(stage: &Scene, node: u16) -> u64 {
    stage.ledger(NodeId(node)).height()
}

/// Whether a timer whose debug text starts so runs on a node.
fn runs(stage: &Scene, node: u16, prefix: &str) -> bool {
    let timers = stage.timers(NodeId(node));
    let mut names = timers.iter().map(|(timer, _)| format!("{timer:?}"));
    names.any(|name| name.starts_with(prefix))
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

/// A network with short epochs, of which n3 has missed the end of the first: all others are beyond
/// it, and n3 has come to this height.
fn outrun(at: u64) -> Scene {
    let config = Config {
        cycle: 60,
        election: 6,
        upper: often(),
        ..of(1)
    };
    let mut stage: Scene = Stage::new(config, 8, AT_ONCE);
    while height(&stage, 0) < 62 {
        if height(&stage, 0) == at && stage.is_up(NodeId(3)) {
            stage.crash(NodeId(3));
        }
        stage.submit(NodeId(4));
        stage.settle(&[]);
        let reached = height(&stage, 0);
        for node in (0..8).filter(|node| *node != 3) {
            if height(&stage, node) < reached {
                stage.fire_named(NodeId(node), "Quiet");
                stage.settle(&[]);
            }
        }
    }
    assert_eq!((height(&stage, 0), height(&stage, 3)), (62, at));
    stage
}

#[test]
fn who_missed_the_end_of_an_epoch_by_much_catches_up() {
    let mut stage = outrun(24);
    stage.restart(NodeId(3), false);
    for _ in 0..4 {
        stage.settle(&[]);
        stage.fire_named(NodeId(3), "Quiet");
    }
    stage.settle(&[]);
    assert_eq!(height(&stage, 3), 62);
    stage.submit(NodeId(4));
    stage.settle(&[]);
    stage.fire_named(NodeId(3), "Upper(CatchUp");
    stage.settle(&[]);
    assert_eq!(height(&stage, 3), 63, "it takes part again");
    assert_eq!(stage.violation(), None);
}

#[test]
fn who_returns_to_an_epoch_that_is_over_takes_no_part_in_it() {
    let mut stage = outrun(24);
    stage.restart(NodeId(3), false);
    stage.post(Post::Drop, &which(Some(3), None, "status"));
    stage.post(Post::Deliver, &which(Some(3), None, "fetch-large-blocks"));
    stage.post(Post::Deliver, &which(None, Some(3), "large-blocks"));
    assert_eq!(height(&stage, 3), 56, "in the election");
    for _ in 0..2 {
        for waits in ["Upper(View", "Upper(CatchUp"] {
            assert!(!runs(&stage, 3, waits), "{:?}", stage.timers(NodeId(3)));
        }
        assert!(!runs(&stage, 3, "Empty"));
        stage.crash(NodeId(3));
        stage.restart(NodeId(3), false);
    }
    stage.settle(&[]);
    stage.fire_named(NodeId(3), "Quiet");
    stage.settle(&[]);
    assert_eq!(height(&stage, 3), 62);
}

/// A block which says that it is of a later epoch, with a proof that nobody has signed.
fn boast(height: u64) -> Message {
    let large = Large {
        height,
        epoch: 1,
        previous: Digest::ZERO,
        micros: 1,
        minis: Vec::new(),
        credit: Digest::ZERO,
        system: Vec::new(),
        last: None,
        vouched: true,
        doubtful: Vec::new(),
    };
    let batch = Batch::with_annex(Vec::new(), Arc::new(large));
    let vote = pbft::Vote {
        phase: pbft::Phase::Commit,
        view: 0,
        height,
        digest: batch.digest(),
    };
    let proof = Arc::new(Certificate::open(vote));
    Message::Blocks(vec![Published { batch, proof }])
}

#[test]
fn word_of_a_later_epoch_without_proof_takes_nobody_out_of_the_upper_group() {
    let mut stage: Scene = Stage::new(of(1), 8, AT_ONCE);
    for member in 0..4 {
        stage.inject(NodeId(7), NodeId(member), boast(1));
        // The last block of the epoch.
        stage.inject(NodeId(7), NodeId(member), boast(5_000));
    }
    stage.settle(&[]);
    stage.submit(NodeId(4));
    stage.settle(&[]);
    assert!((0..8).all(|node| height(&stage, node) == 1));
}

/// n4, the primary of the group, is down, and all others of the group hold a request of n0.
fn without_primary() -> Scene {
    let mut stage: Scene = Stage::new(of(1), 8, AT_ONCE);
    stage.crash(NodeId(4));
    stage.submit(NodeId(0));
    stage.fire_named(NodeId(0), "Forward");
    stage.settle(&[]);
    for member in [5, 6] {
        stage.fire_named(NodeId(member), "Group");
    }
    stage
}

#[test]
fn who_misses_that_a_view_of_the_group_was_opened_asks_before_it_leaves_it() {
    let mut stage = without_primary();
    for _ in 0..2 {
        stage.post(Post::Deliver, &which(None, None, "group-view-change"));
    }
    stage.post(Post::Drop, &which(Some(5), Some(7), "group-new-view"));
    stage.settle(&[]);
    stage.fire_named(NodeId(7), "Group");
    stage.settle(&[]);
    stage.fire_named(NodeId(5), "Fast");
    stage.settle(&[]);
    for node in (0..8).filter(|node| *node != 4) {
        assert_eq!(
            height(&stage, node),
            1,
            "n{node}: three of four are a quorum"
        );
    }
}

#[test]
fn who_has_missed_a_view_of_the_group_learns_of_it_from_the_chain() {
    let mut stage = without_primary();
    stage.settle(&[]);
    stage.fire_named(NodeId(5), "Fast");
    stage.settle(&[]);
    assert_eq!((height(&stage, 0), height(&stage, 4)), (1, 0));
    stage.restart(NodeId(4), false);
    stage.settle(&[]);
    stage.fire_named(NodeId(4), "Quiet");
    stage.settle(&[]);
    stage.take_sent();
    stage.submit(NodeId(5));
    stage.settle(&[]);
    assert_eq!(height(&stage, 4), 2, "all four have answered at once");
    // The same for who knows the block from its own disk.
    stage.crash(NodeId(4));
    stage.restart(NodeId(4), false);
    stage.settle(&[]);
    stage.submit(NodeId(5));
    stage.settle(&[]);
    assert_eq!(height(&stage, 4), 3);
}

#[test]
fn who_waits_for_nothing_does_not_leave_the_view_of_its_group() {
    let mut stage: Scene = Stage::new(of(1), 8, AT_ONCE);
    stage.submit(NodeId(0));
    stage.fire_named(NodeId(0), "Forward");
    stage.post(Post::Deliver, &which(None, None, "forward"));
    assert!(runs(&stage, 7, "Group"), "it has heard of the request");
    stage.post(Post::Drop, &which(None, Some(7), "order-request"));
    stage.settle(&[]);
    stage.fire_named(NodeId(4), "Fast");
    stage.settle(&[]);
    assert!((0..8).all(|node| height(&stage, node) == 1));
    for member in 4..8 {
        assert!(!runs(&stage, member, "Group"), "n{member}");
    }
}

#[test]
fn who_has_fetched_what_it_waited_for_does_not_leave_the_view_of_its_group() {
    let mut stage: Scene = Stage::new(sparse(1), 8, AT_ONCE);
    stage.submit(NodeId(4));
    // n7 hears of the request from a client who has asked twice, and not of the order.
    stage.post(Post::Drop, &which(None, Some(7), "order-request"));
    for _ in 0..2 {
        stage.retry(NodeId(5), 0);
    }
    stage.settle(&[]);
    assert!(runs(&stage, 7, "Group"), "it has heard of the request");
    stage.fire_named(NodeId(4), "Fast");
    stage.settle(&[]);
    assert!((0..8).all(|node| height(&stage, node) == 1));
    assert!(!runs(&stage, 7, "Bodies"), "it has the body");
    assert!(!runs(&stage, 7, "Group"));
}

#[test]
fn a_new_request_does_not_wait_as_long_as_an_old_one_has_to() {
    let mut stage: Scene = Stage::new(of(1), 8, AT_ONCE);
    stage.crash(NodeId(4));
    stage.submit(NodeId(0));
    for _ in 0..3 {
        stage.fire_named(NodeId(0), "Forward");
    }
    let due = |stage: &Scene| {
        let timers = stage.timers(NodeId(0));
        let found = timers.iter().find(|(timer, _)| *timer == Timer::Forward);
        found.expect("requests wait").1
    };
    let old = due(&stage);
    stage.submit(NodeId(0));
    let fresh = due(&stage);
    assert_eq!(old - fresh, Span::from_millis(300 * (8 - 1)));
}

#[test]
fn every_member_of_the_upper_group_is_asked_for_blocks() {
    for node in [4, 1] {
        let mut stage: Scene = Stage::new(of(1), 8, AT_ONCE);
        let mut asked = std::collections::BTreeSet::new();
        for _ in 0..8 {
            stage.fire_named(NodeId(node), "Quiet");
            for place in 0..stage.pending() {
                let (_, to, _) = stage.letter_at(place);
                asked.insert(to);
            }
            stage.settle(&[]);
        }
        for member in (0..4).map(NodeId).filter(|member| *member != NodeId(node)) {
            assert!(asked.contains(&member), "n{node} never asks {member}");
        }
    }
}

#[test]
fn a_mini_block_of_the_next_slot_finds_room_among_those_of_later_ones() {
    let config = Config { window: 4, ..of(1) };
    let mut stage: Scene = Stage::new(config, 8, AT_ONCE);
    for member in 0..4 {
        for slot in (1..=10).rev() {
            stage.inject(NodeId(4), NodeId(member), certified(slot, slot));
        }
    }
    stage.settle(&[]);
    assert!((0..4).all(|node| height(&stage, node) == 1));
}

#[test]
fn who_lacks_a_mini_block_asks_again() {
    let mut stage: Scene = Stage::new(of(1), 8, AT_ONCE);
    stage.crash(NodeId(3));
    stage.submit(NodeId(4));
    for kind in ["order-request", "speculative-reply"] {
        stage.post(Post::Deliver, &which(None, None, kind));
    }
    stage.post(Post::Drop, &which(None, Some(1), "mini-block"));
    for kind in ["mini-block", "pre-prepare"] {
        stage.post(Post::Deliver, &which(None, None, kind));
    }
    stage.post(Post::Drop, &which(Some(1), None, "fetch-mini-blocks"));
    stage.settle(&[]);
    assert_eq!(height(&stage, 0), 0, "two of four are no quorum");
    stage.fire_named(NodeId(1), "Quiet");
    stage.settle(&[]);
    assert_eq!(height(&stage, 0), 1);
}

/// Delivers everything but the mini-blocks of the second group to n0.
fn settle_with_deaf_primary(stage: &mut Scene) {
    while stage.pending() > 0 {
        let (from, to, kind) = stage.letter_at(0);
        let unheard = to == NodeId(0) && kind == "mini-block" && from != NodeId(4);
        let post = if unheard { Post::Drop } else { Post::Deliver };
        stage.post_at(post, 0);
    }
}

#[test]
fn an_upper_primary_that_leaves_out_a_group_is_left() {
    let config = Config {
        miss_max: 0,
        ..of(2)
    };
    let mut stage: Scene = Stage::new(config, 12, AT_ONCE);
    // Patients of both groups.
    let mut of_group = [Vec::new(), Vec::new()];
    for patient in 1..40 {
        stage.submit_of(NodeId(0), patient);
        let (_, to, _) = stage.letter_at(0);
        of_group[usize::from(to == NodeId(8))].push(patient);
        stage.post_at(Post::Drop, 0);
    }
    stage.submit_of(NodeId(8), of_group[1][0]);
    settle_with_deaf_primary(&mut stage);
    for patient in &of_group[0][..6] {
        stage.submit_of(NodeId(4), *patient);
        settle_with_deaf_primary(&mut stage);
        for member in 0..4 {
            stage.fire_named(NodeId(member), "Gather");
            settle_with_deaf_primary(&mut stage);
        }
        // Time goes on.
        stage.fire_named(NodeId(11), "Quiet");
        settle_with_deaf_primary(&mut stage);
    }
    assert!(
        !stage.unexecuted(NodeId(1)).contains(&39),
        "{}",
        height(&stage, 1)
    );
    assert_eq!(stage.violation(), None);
}

#[test]
fn who_is_drawn_for_the_upper_group_waits_for_no_blocks_from_outside() {
    let config = Config {
        cycle: 9,
        election: 6,
        ..of(1)
    };
    let mut stage: Scene = Stage::new(config, 9, AT_ONCE);
    while height(&stage, 8) < 11 {
        let reached = height(&stage, 8);
        if reached == 8 {
            // A liar says that there is more.
            for node in 4..9 {
                let Message::Blocks(blocks) = boast(20) else {
                    unreachable!("it boasts of a block")
                };
                stage.inject(NodeId(0), NodeId(node), Message::Large(blocks[0].clone()));
            }
        }
        stage.submit(NodeId(8));
        stage.settle(&[]);
        while height(&stage, 8) == reached {
            fire_first(&mut stage);
            stage.settle(&[]);
        }
    }
    let drawn = (4..9).filter(|node| runs(&stage, *node, "Upper(Status"));
    let drawn: Vec<u16> = drawn.collect();
    assert_ne!(drawn, [0; 0]);
    for node in drawn {
        assert!(!runs(&stage, node, "Gap"), "n{node}");
    }
}
