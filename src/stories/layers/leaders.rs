//! Leaders that are gone, have forgotten, or are not heard of.

use super::guards::{DECIDED, GRANTED, after, call_in};
use super::single;
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
