//! How rights end that were given, and requests of which nothing comes.

use super::guards::{DECIDED, GRANTED, HOLDER, RECEIVER, REVOKED};
use super::guards::{after, call_in, content, end, sends, told};
use super::single;
use crate::base::crypto::Hasher;
use crate::base::node::NodeId;
use crate::chain::{Transaction, TransactionId};
use crate::contract::call::Act;
use crate::contract::message::Content;
use crate::contract::{Population, SignedCall};
use crate::protocol::layers::{Config, Layers, Message, Topology};
use crate::stories::calls::{PATIENTS, everything, ordered};
use crate::stories::{Stage, play};

/// Whether the receiver of a grant still has the patient's first record.
fn has_record(stage: &mut Stage<Layers>) -> bool {
    stage.settle(&[]);
    let rid = content(&call_in(stage, 1)).rid;
    stage.inject(HOLDER, RECEIVER, Message::Fetch { rid, tried: 0 });
    sends(stage, "record")
}

/// Whether messages of a kind are sent in a story.
fn brings(stage: &mut Stage<Layers>, story: &str, kind: &str) -> bool {
    stage.take_sent();
    play(stage, story);
    stage.settle(&[]);
    stage.take_sent().contains_key(kind)
}

/// A record node is asked for something that has the name of what was decided; whether it asks for
/// it again when nothing has come of it.
fn asks_again(call: SignedCall, kind: &str) -> bool {
    let mut stage = after(single(), &[DECIDED]);
    let double = Transaction::new(call_in(&stage, 1).id, call);
    stage.inject(NodeId(4), RECEIVER, Message::Forward(double));
    assert!(sends(&mut stage, kind));
    brings(&mut stage, "fire n6 Request\n", kind)
}

#[test]
fn a_refusal_that_comes_before_the_end_does_not_replace_it() {
    let moves = "deliver * mig-request\ndeliver * mig-forward\ndeliver * mig-chunk\n";
    let mut stage = after(single(), &[DECIDED, GRANTED, moves, REVOKED]);
    play(&mut stage, "deliver * mig-done\ndeliver * mig-refuse\n");
    assert!(!has_record(&mut stage));
}

#[test]
fn a_right_ends_where_a_disk_was_lost() {
    let lost = "crash n6\nrestart n6 amnesia\nfire n6 Compare\nsettle\n";
    let story = [DECIDED, "grant n6\nsettle\n", lost].concat();
    let mut stage = after(single(), &[&story]);
    assert!(has_record(&mut stage), "it has come again");
    play(&mut stage, REVOKED);
    assert!(!has_record(&mut stage));
}

/// A right has ended and there is a new one when the disk is lost: the old end does not stand in
/// the way.
#[test]
fn an_old_end_does_not_outlive_a_new_right() {
    let again = "grant n6\nsettle\nrevoke n0 c#1\nsettle\ngrant n6\nsettle\n";
    let lost = "crash n6\nrestart n6 amnesia\nfire n6 Compare\n";
    let mut stage = after(single(), &[DECIDED, again, lost]);
    play(&mut stage, "deliver * compare\ndeliver * erase\nsettle\n");
    play(
        &mut stage,
        "fire n6 Compare\nsettle\nfire n6 Compare\nsettle\n",
    );
    assert!(has_record(&mut stage));
    assert!(!brings(&mut stage, "fire n6 Compare\n", "due"));
}

#[test]
fn what_was_missed_is_not_asked_for_when_the_right_has_ended() {
    let late = "submit n5\ndeliver * add-request\ndeliver * presence\ndeliver * payload\n\
        deliver * pre-prepare\ndeliver * prepare\ndeliver * commit\ndrop n0->n6 deliver\n\
        fire n6 Compare\ndeliver * compare\ndeliver * due\ndrop * record-fetch\n";
    let story = [DECIDED, "grant n6\nsettle\n", late, REVOKED, "settle\n"].concat();
    let mut stage = after(single(), &[&story]);
    assert!(!brings(&mut stage, "fire n6 Missing\n", "record-fetch"));
}

/// The end of one patient's right is told twice, and between the two the hospital learns that it
/// lacks a record of another patient.
#[test]
fn an_end_that_is_known_does_not_put_off_what_is_missed() {
    let mut stage = after(single(), &[DECIDED, "grant n6\nsettle\n", REVOKED]);
    play(&mut stage, "settle\n");
    let people = Population::new(1, 1, PATIENTS);
    let topology = Topology::new(&single(), 8);
    let is_there = |at: &u32| topology.row(&people.patient(*at).id.0, 0) == [HOLDER];
    let other = (2..PATIENTS).find(is_there).expect("there are many");
    let grant = Act::Grant(everything(people.doctor(0).id));
    stage.request(RECEIVER, |number| {
        ordered(people.patient(other), grant.clone(), number)
    });
    play(&mut stage, "settle\n");
    stage.submit_of(HOLDER, other);
    let missed = "deliver * add-request\ndeliver * presence\ndeliver * payload\n\
        deliver * pre-prepare\ndeliver * prepare\ndeliver * commit\ndrop n0->n6 deliver\n\
        fire n6 Compare\ndeliver * compare\ndeliver * due\ndrop * record-fetch\n";
    play(&mut stage, missed);
    let again = Message::Erase(end(&stage, 4));
    stage.inject(NodeId(0), RECEIVER, again);
    play(&mut stage, "deliver * erase\n");
    assert!(told(&mut stage, "fire n6 Missing\nsettle\n").contains("n6: keeps"));
}

#[test]
fn what_has_a_name_that_is_taken_is_asked_for_no_longer() {
    assert!(!asks_again(SignedCall::sample(9), "add-request"));
    let people = Population::new(1, 1, 2);
    let patient = people.patient(1);
    let everything = everything(people.doctor(0).id);
    let grant = ordered(patient, Act::Grant(everything), 9);
    assert!(!asks_again(grant, "register"));
}

/// If each part were answered that has come before, and each answer brought all parts again, they
/// would soon fill every link.
#[test]
fn parts_that_bring_nothing_new_are_not_answered() {
    let config = Config {
        chunk: 1,
        ..single()
    };
    let more = "submit n5\nsettle\nsubmit n5\nsettle\n";
    let mut stage = after(config, &[DECIDED, more, GRANTED]);
    let thrice = "fire n6 Migrate\nfire n6 Migrate\ndeliver * mig-request\n\
        deliver * mig-forward\ndeliver * mig-chunk\n";
    play(&mut stage, thrice);
    let sent = stage.take_sent();
    let counts = ["mig-chunk", "mig-done"].map(|kind| sent.get(kind).copied());
    assert_eq!(counts, [Some(9), Some(1)]);
}

/// A client gives one name to two calls, and the hospital that keeps the first loses its memory.
#[test]
fn only_what_is_kept_on_disk_is_asked_for() {
    let mut stage = after(single(), &["quiet\ndeliver * leader\nsubmit n5\n"]);
    play(
        &mut stage,
        "drop * add-request\ndrop * payload\ncrash n5\nrestart n5\n",
    );
    let id = TransactionId::new(NodeId(8), 0);
    let double = Transaction::new(id, SignedCall::sample(9));
    stage.inject(NodeId(4), HOLDER, Message::Forward(double));
    let decided = told(&mut stage, "settle\nfire n5 Compare\nsettle\n");
    assert!(decided.contains("n5: enters"), "{decided}");
}

/// What calls itself like a record that is kept is refused, and until then it is not forgotten.
#[test]
fn what_has_the_name_of_a_record_is_asked_for_until_it_is_refused() {
    let mut stage = after(single(), &[DECIDED, "fire n5 Compare\nsettle\n"]);
    let namesake = Content {
        payload_hash: Hasher::new("another").finish(),
        nonce: 77,
        ..content(&call_in(&stage, 1)).clone()
    };
    let call = Population::new(1, 1, PATIENTS).submission(namesake, 0, 1);
    let call = Transaction::new(TransactionId::new(NodeId(8), 9), call);
    stage.inject(NodeId(4), HOLDER, Message::Forward(call));
    play(&mut stage, "deliver * request-forward\n");
    play(
        &mut stage,
        "drop * add-request\ndrop * payload\ncrash n5\nrestart n5\n",
    );
    play(&mut stage, "fire n5 Request\nsettle\n");
    assert_eq!(stage.ledger(NodeId(0)).height(), 2);
}

/// The end of a migration by a grant that is taken back, and another grant, are decided one after
/// the other before anybody hears of the first.
#[test]
fn the_end_of_a_migration_is_not_that_of_a_later_one() {
    let moves = "deliver * mig-request\ndeliver * mig-forward\ndeliver * mig-chunk\n";
    let again = "revoke n0 c#1\ngrant n6\ndeliver * register\ndeliver * mig-done\n";
    let mut stage = after(single(), &[DECIDED, GRANTED, moves, again]);
    assert!(brings(&mut stage, "settle\n", "mig-chunk"));
    assert!(has_record(&mut stage));
}

/// Every gateway passes on what a client asks again. A write each time would keep a record node so
/// busy that it falls ever further behind.
#[test]
fn what_is_asked_again_is_not_written_again() {
    for (first, node) in [("submit n5", HOLDER), ("grant n6", RECEIVER)] {
        let mut stage = after(single(), &["quiet\ndeliver * leader\n"]);
        let asked = told(&mut stage, &format!("crash {node} persisting\n{first}\n"));
        assert!(asked.contains("crashes while it writes"), "{asked}");
        play(&mut stage, &format!("restart {node}\nretry {node} c#0\n"));
        let again = format!("crash {node} persisting\nretry {node} c#0\nretry n0 c#0\n");
        let told = told(
            &mut stage,
            &[&again, "deliver * request-forward\n"].concat(),
        );
        assert!(!told.contains("crashes"), "{told}");
    }
}
