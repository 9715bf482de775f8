//! Leaders that are gone, have forgotten, or are not heard of.

use super::guards::{DECIDED, GRANTED, after, told};
use super::{forgetful, single};
use crate::base::node::NodeId;
use crate::chain::{Transaction, TransactionId};
use crate::contract::SignedCall;
use crate::protocol::layers::{Layers, Message};
use crate::stories::{Stage, play};

/// The other members wait for a request of which the leader does not hear, and replace it.
fn replace_the_leader(stage: &mut Stage<Layers>, untold: &str) {
    let id = TransactionId::new(NodeId(8), 99);
    let request = Transaction::new(id, SignedCall::sample(99));
    for member in [1, 2, 3] {
        let message = Message::AddRequest(request.clone());
        stage.inject(NodeId(5), NodeId(member), message);
    }
    let story = "deliver * add-request\nfire n1 Group(Pbft(View))\nfire n2 Group(Pbft(View))\n\
        fire n3 Group(Pbft(View))\ndeliver * view-change\ndeliver * new-view\n";
    play(stage, &[story, untold, "settle\n"].concat());
    assert_eq!(stage.status_of(NodeId(1)).leader, Some(NodeId(1)));
}

#[test]
fn who_has_missed_the_word_of_the_leader_hears_of_it() {
    let mut stage = after(
        single(),
        &[DECIDED, GRANTED, "drop * mig-request\ncrash n0\n"],
    );
    replace_the_leader(&mut stage, "drop n1->n6 leader\n");
    stage.take_sent();
    for _ in 0..5 {
        play(&mut stage, "fire n6 Migrate\nsettle\n");
    }
    assert!(stage.take_sent().contains_key("mig-forward"));
}

/// What is proposed at places that are taken is proposed again: the leader has lost its disk, and
/// leads on where it began.
#[test]
fn a_leader_that_has_forgotten_its_chain_proposes_again_what_it_has_proposed() {
    let more = "submit n5\nsettle\nsubmit n5\nsettle\n";
    let mut stage = after(
        forgetful(),
        &[DECIDED, more, "crash n0\nrestart n0 amnesia\n"],
    );
    let asked = "deliver * leader\nsubmit n5\nsettle\nfire n0 Presence\nsettle\n";
    play(&mut stage, asked);
    let learns = "fire n1 Group(Pbft(Status))\nfire n0 Group(Pbft(CatchUp))\nsettle\n";
    for _ in 0..3 {
        play(&mut stage, &[learns, "fire n0 Presence\nsettle\n"].concat());
    }
    let last = stage.ledger(NodeId(1)).height();
    let block = stage.ledger(NodeId(1)).block(last).expect("it is decided");
    let asked = TransactionId::new(NodeId(8), 3);
    assert_eq!(block.batch.transactions()[0].id, asked);
}

/// All may have decided, and stopped before anybody was told of it.
#[test]
fn who_returns_from_a_crash_tells_observers_of_its_last_blocks_again() {
    let mut stage = after(single(), &[DECIDED, "submit n5\nsettle\n"]);
    let again = told(&mut stage, "crash n0\nrestart n0\nsettle\n");
    assert!(!again.contains("n0 decides height 1"), "{again}");
    let first = |line: &str| line.contains("n0: network 0 lists") && line.contains(" at 1 ");
    assert!(again.lines().any(first), "{again}");
}

/// Nobody asks for anything but a patient's earlier records, and whoever leads is gone.
#[test]
fn a_leader_who_is_gone_does_not_hold_up_a_migration() {
    let gone = "drop * mig-request\ncrash n0\n";
    let mut stage = after(single(), &[DECIDED, GRANTED, gone]);
    let view = |member| format!("fire {member} Group(Pbft(View))\n");
    let impatient = ["n1", "n2", "n3"].map(view).concat();
    let again = ["fire n6 Migrate\nsettle\n", &impatient, "settle\n"].concat();
    let mut moved = false;
    for _ in 0..15 {
        moved |= told(&mut stage, &again).contains("has moved");
    }
    assert_eq!(stage.status_of(NodeId(1)).leader, Some(NodeId(1)));
    assert!(moved, "it is noted that n6 has the records");
}
