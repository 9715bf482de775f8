//! Leaders that take the seat of another one, and what they have missed.

use super::super::stage::Post;
use super::super::{AT_ONCE, Stage};
use super::{certified_blocks, hardened, paper, settle_without, settled};
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

/// Delivers everything but these messages, which are lost: who sends what to whom.
pub(super) fn settle_but(stage: &mut Stage<Krbft>, lost: impl Fn(u16, u16, &str) -> bool) {
    while stage.pending() > 0 {
        let (from, to, kind) = stage.letter_at(0);
        let post = [Post::Deliver, Post::Drop][usize::from(lost(from.0, to.0, kind))];
        stage.post_at(post, 0);
    }
}

/// Leaders repeat that they lead, and how far they are; everything arrives.
fn refresh(stage: &mut Stage<Krbft>, leaders: &[u16]) {
    for leader in leaders {
        stage.fire_named(NodeId(*leader), "Council");
        stage.settle(&[]);
    }
}

#[test]
fn a_new_holder_asks_for_what_its_seat_is_known_to_have() {
    for config in [paper(), certified_blocks(), hardened()] {
        let mut stage = settled(config, 4, 4);
        decide(&mut stage, 1);
        // The last thing that n5 misses before it leads.
        stage.submit(NodeId(0));
        settle_but(&mut stage, |_, to, kind| to == 5 && kind == "group-block");
        stage.crash(NodeId(4));
        stage.fire_named(NodeId(5), "Group(Election");
        settle_without(&mut stage, "status");
        assert_eq!(stage.ledger(NodeId(5)).height(), 1);
        refresh(&mut stage, &[0, 8, 12]);
        assert_eq!(stage.ledger(NodeId(5)).height(), 1, "it may be on its way");
        refresh(&mut stage, &[0]);
        for node in [5, 6, 7] {
            assert_eq!(stage.ledger(NodeId(node)).height(), 2, "n{node}");
        }
    }
}

#[test]
fn a_new_holder_that_is_shown_a_checkpoint_by_its_group_fetches_up_to_it() {
    let mut stage = settled(near(hardened()), 4, 4);
    let missed = |_, to, kind: &str| to == 5 && kind == "group-block";
    decide(&mut stage, 3);
    stage.submit(NodeId(0));
    settle_but(&mut stage, missed);
    // Members vote for a checkpoint once they have executed it.
    for leader in [0, 4, 8, 12] {
        stage.fire_named(NodeId(leader), "Voice");
        settle_but(&mut stage, missed);
    }
    // They are shown that it is stable when they are asked for something more.
    stage.submit(NodeId(0));
    settle_but(&mut stage, missed);
    stage.crash(NodeId(4));
    stage.fire_named(NodeId(5), "Group(Election");
    settle_without(&mut stage, "status");
    assert_eq!(stage.ledger(NodeId(5)).height(), 3);
    stage.fire_named(NodeId(5), "Committee(CatchUp");
    stage.settle(&[]);
    assert!(stage.ledger(NodeId(5)).height() >= 4);
}

#[test]
fn a_holder_that_has_heard_of_no_other_asks_all_the_same() {
    for config in [certified_blocks(), hardened()] {
        let mut stage: Stage<Krbft> = Stage::new(config, 16, AT_ONCE);
        for leader in [0, 8, 12, 4] {
            stage.fire_named(NodeId(leader), "Group(Election");
            settle_but(&mut stage, |from, to, kind| {
                (from, to, kind) == (4, 5, "council-update")
            });
        }
        stage.submit(NodeId(0));
        settle_but(&mut stage, |_, to, kind| to == 5 && kind == "group-block");
        stage.crash(NodeId(4));
        stage.fire_named(NodeId(5), "Group(Election");
        stage.settle(&[]);
        assert_eq!(stage.ledger(NodeId(5)).height(), 1);
    }
}

/// Has the view timers of some leaders run out, again and again.
fn lose_patience(stage: &mut Stage<Krbft>, leaders: &[u16]) {
    for leader in leaders.repeat(3) {
        stage.fire_named(NodeId(leader), "Committee(View");
        stage.settle(&[]);
    }
}

#[test]
fn two_holders_that_have_asked_for_one_view_differently_agree_on_the_next() {
    let mut stage = settled(hardened(), 4, 3);
    // n3 alone hears of what the primary proposes. Two of the primary's group are lost for good.
    stage.submit(NodeId(0));
    settle_but(&mut stage, |_, to, kind| to != 3 && kind == "pre-prepare");
    stage.crash(NodeId(0));
    stage.crash(NodeId(1));
    // It asks for the next view, which no other member hears of.
    for _ in 0..2 {
        stage.fire_named(NodeId(3), "Committee(View");
        settle_but(&mut stage, |from, _, _| from == 3);
    }
    stage.crash(NodeId(3));
    stage.restart(NodeId(3), false);
    // The next holder goes on from what n5 remembers, which is lost for good then.
    stage.fire_named(NodeId(4), "Group(Election");
    settle_but(&mut stage, |from, _, kind| {
        from == 3 && kind == "hand-over-reply"
    });
    stage.crash(NodeId(5));
    for leader in [4, 6, 9] {
        stage.submit(NodeId(leader));
    }
    lose_patience(&mut stage, &[4, 6, 9]);
    let opened = stage.take_sent().get("new-view").copied();
    assert_eq!(opened, None, "two of three ask for view 1");
    // The first holder has the seat again.
    stage.crash(NodeId(4));
    stage.restart(NodeId(4), false);
    stage.fire_named(NodeId(3), "Group(Election");
    stage.settle(&[]);
    lose_patience(&mut stage, &[3, 6, 9]);
    for number in stage.unexecuted(NodeId(6)) {
        stage.retry(NodeId(6), number);
    }
    stage.settle(&[]);
    assert_eq!(stage.unexecuted(NodeId(6)), [0; 0]);
    assert_eq!(stage.violation(), None);
}

#[test]
fn what_can_no_longer_count_is_asked_for_no_more() {
    let mut stage = settled(hardened(), 4, 4);
    let leaders = [0, 4, 8, 12];
    for leader in leaders {
        stage.submit(NodeId(leader));
    }
    let deaf = |_, to, kind: &str| kind == "pre-prepare" || (to == 12 && kind == "voice-share");
    settle_but(&mut stage, deaf);
    for leader in leaders.repeat(2) {
        stage.fire_named(NodeId(leader), "Committee(View");
        settle_but(&mut stage, deaf);
    }
    assert_eq!(stage.status_of(NodeId(12)).view, 1);
    assert_eq!(stage.status_of(NodeId(4)).leader, Some(NodeId(4)));
    // Its group has not lent n12 the voices for its request; the view has begun without it.
    stage.take_sent();
    stage.fire_named(NodeId(12), "Voice");
    assert_eq!(stage.take_sent().get("voice"), None);
}

#[test]
fn a_request_that_nobody_has_answered_is_drafted_once() {
    let mut stage = settled(hardened(), 4, 4);
    stage.submit(NodeId(12));
    let mute = |_, to, kind: &str| to == 0 || (to == 12 && kind == "voice-share");
    for _ in 0..5 {
        stage.fire_named(NodeId(12), "Committee(View");
        settle_but(&mut stage, mute);
    }
    stage.take_sent();
    stage.fire_named(NodeId(12), "Voice");
    assert_eq!(
        stage.take_sent().get("voice"),
        Some(&3),
        "one for each member"
    );
}
