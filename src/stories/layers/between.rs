//! What happens between two networks: of each the numbers of four consensus nodes come first, then
//! those of two index nodes and of two record nodes. Every patient is registered in both, at one
//! record node each.

use std::collections::BTreeMap;

use crate::base::crypto::Hasher;
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::chain::{Height, Transaction, TransactionId};
use crate::contract::access::GrantId;
use crate::contract::call::{Act, Call};
use crate::contract::message::{Content, RecordId};
use crate::contract::{Population, SignedCall};
use crate::protocol::layers::{Config, Layers, Message, Mutant, Net, Timer, Topology};
use crate::stories::calls::{everything, ordered};
use crate::stories::{AT_ONCE, Stage, play};

/// Those who agree hear one another.
const AGREE: &str = "deliver * pre-prepare\ndeliver * prepare\ndeliver * commit\n";

/// A record is entered, and decided where it is.
const ENTER: &str = "deliver * add-request\ndeliver * presence\ndeliver * payload\n";

/// Two networks, and a patient.
struct Pair {
    stage: Stage<Layers>,
    topology: Topology,
    people: Population,
    patient: u32,
    /// Where the patient's records are entered, and the other network.
    home: Net,
    away: Net,
}

fn two() -> Config {
    Config {
        remote: 1_000,
        hospitals: 1,
        ..Config::default()
    }
}

/// A patient whose doctor works in the other network, at another record node than the patient's.
fn far(pair: &Pair) -> bool {
    let guest = pair.guest();
    pair.topology.net_of(guest) == pair.away && guest != pair.holder(pair.away)
}

impl Pair {
    fn new(config: Config) -> Self {
        Self::about(config, |_| true)
    }

    /// Two networks and the first patient of whom something is true.
    fn about(config: Config, suits: impl Fn(&Self) -> bool) -> Self {
        let people = Population::new(1, 1, 256);
        let topology = Topology::new(&config, 16);
        let stage = Stage::new(config, 16, AT_ONCE);
        let mut pair = Self {
            stage,
            topology,
            people,
            patient: 0,
            home: 0,
            away: 1,
        };
        let suits = |pair: &mut Self, patient| {
            pair.patient = patient;
            pair.home = pair.topology.home(&pair.people.patient(patient).id.0);
            pair.away = 1 - pair.home;
            suits(pair)
        };
        let found = (1..256).any(|patient| suits(&mut pair, patient));
        assert!(found, "there is such a patient");
        pair.play("quiet\ndeliver * leader\n");
        pair
    }

    fn play(&mut self, story: &str) -> String {
        play(&mut self.stage, story)
    }

    fn content(&self, number: u64) -> Content {
        self.people.content(0, self.patient, number)
    }

    /// A client asks for a record where it is entered.
    fn enter(&mut self, content: Content) {
        let record = self.people.submission(content, 0, self.patient);
        let at = self.holder(self.home);
        self.stage.request(at, |_| record);
    }

    /// The patient's first record is decided at home, and its way ends there.
    fn withheld(&mut self) -> RecordId {
        let content = self.content(0);
        let rid = content.rid;
        self.enter(content);
        self.play(&[ENTER, AGREE, "drop * relay\nsettle\n"].concat());
        rid
    }

    fn order(&self, act: Act, nonce: u64) -> SignedCall {
        ordered(self.people.patient(self.patient), act, nonce)
    }

    /// What the patient lets the doctor do.
    fn granted(&self, nonce: u64) -> SignedCall {
        let doctor = self.people.doctor(0).id;
        self.order(Act::Grant(everything(doctor)), nonce)
    }

    /// The patient registers where the doctor works.
    fn grant(&mut self, nonce: u64) {
        let grant = self.granted(nonce);
        let at = self.guest();
        self.stage.request(at, |_| grant);
    }

    /// The patient takes a grant back where patients ask.
    fn revoke(&mut self, nonce: u64) {
        let grant = self.granted(nonce);
        let Call::Order(order) = grant.call() else {
            panic!("a grant is an order")
        };
        let revoke = self.order(Act::Revoke(GrantId(order.message())), nonce + 100);
        let at = self.member(self.home, 0);
        self.stage.request(at, |_| revoke);
    }

    fn member(&self, net: Net, number: usize) -> NodeId {
        self.topology.edge(net).consensus.members()[number]
    }

    fn index(&self, net: Net, rid: &RecordId) -> NodeId {
        self.topology.relay(net, &rid.0, 0)
    }

    /// Where the patient is registered in a network from the beginning.
    fn holder(&self, net: Net) -> NodeId {
        self.topology
            .row(&self.people.patient(self.patient).id.0, net)[0]
    }

    /// Where the doctor works.
    fn guest(&self) -> NodeId {
        self.topology.serves(&self.people.doctor(0).id.0)
    }

    fn fire(&mut self, node: NodeId, timer: &str) {
        self.play(&format!("fire {node} {timer}\nsettle\n"));
    }

    fn due(&self, node: NodeId, timer: Timer) -> Option<Time> {
        let timers = self.stage.timers(node);
        let found = timers.iter().find(|(set, _)| *set == timer);
        found.map(|(_, due)| *due)
    }

    fn height(&self, net: Net) -> Height {
        self.stage.ledger(self.member(net, 0)).height()
    }

    /// Of the patient's own network and of the other.
    fn heights(&self) -> [Height; 2] {
        [self.height(self.home), self.height(self.away)]
    }

    /// Whether messages of a kind have been sent since the last time.
    fn sent(&mut self, kind: &str) -> bool {
        self.stage.take_sent().contains_key(kind)
    }
}

#[test]
fn what_the_other_network_refuses_is_brought_once() {
    let mut pair = Pair::new(two());
    let old = pair.withheld();
    let amended = Content {
        supersedes: Some(old),
        ..pair.content(1)
    };
    let rid = amended.rid;
    pair.enter(amended);
    pair.play("settle\n");
    assert_eq!(pair.height(pair.home), 2);
    assert_eq!(pair.height(pair.away), 1, "it is refused in a block");
    let index = pair.index(pair.away, &rid);
    pair.stage.take_sent();
    pair.fire(index, "Relay");
    assert!(pair.sent("waits"));
    pair.fire(index, "Relay");
    assert!(!pair.sent("waits"));
}

/// What is sent when the index node of the other network is impatient, if this happened there.
fn named_again(loss: &str) -> BTreeMap<&'static str, usize> {
    let mut pair = Pair::new(two());
    let content = pair.content(0);
    let index = pair.index(pair.away, &content.rid);
    pair.enter(content);
    pair.play(&[ENTER, AGREE].concat());
    pair.play("deliver * relay\ndeliver * relay-ic\ndeliver * index-request\n");
    pair.play(&[AGREE, loss, "settle\n"].concat());
    pair.stage.take_sent();
    pair.fire(index, "Relay");
    pair.stage.take_sent()
}

/// Records are large: if all that waits were sent again and again, an index node that is behind
/// would never catch up.
#[test]
fn what_still_waits_is_sent_again_only_if_its_body_is_lacking() {
    let lacking = named_again("drop * inject\n");
    assert_eq!(lacking.get("inject"), Some(&1), "{lacking:?}");
    assert!(lacking.contains_key("deliver"), "{lacking:?}");
    let late = named_again(&["deliver * inject\n", AGREE, "drop * deliver\n"].concat());
    assert_eq!(late.get("waits"), Some(&4), "{late:?}");
    assert_eq!(late.get("inject"), None, "{late:?}");
}

#[test]
fn what_is_relayed_later_does_not_put_off_what_is_late() {
    let mut pair = Pair::new(two());
    pair.withheld();
    let leader = pair.member(pair.home, 0);
    let first = pair.due(leader, Timer::Relay);
    assert!(first.is_some());
    pair.play(&format!("fire {leader} Presence\n"));
    pair.enter(pair.content(1));
    pair.play(&[ENTER, AGREE, "drop * relay\nsettle\n"].concat());
    assert_eq!(pair.height(pair.home), 2);
    assert_eq!(pair.due(leader, Timer::Relay), first);
}

#[test]
fn what_has_another_networks_place_counts_once_the_own_network_has_decided_it() {
    let mut pair = Pair::about(two(), far);
    pair.withheld();
    // Who entered the record learns that it is decided.
    pair.fire(pair.holder(pair.home), "Compare");
    pair.grant(1);
    pair.play("settle\n");
    let (leader, guest) = (pair.member(pair.home, 0), pair.guest());
    assert_eq!(pair.height(pair.away), 2, "the earlier records have come");
    pair.play(&format!("fire {leader} Relay\n"));
    pair.play("deliver * relay\ndeliver * relay-ic\ndeliver * index-request\n");
    pair.play(&[AGREE, "deliver * inject\n", AGREE].concat());
    pair.play(&format!("drop *->{guest} deliver\nsettle\n"));
    assert_eq!(pair.height(pair.away), 3);
    pair.fire(guest, "Compare");
    assert!(pair.sent("due"), "a header is lacking");
    pair.fire(guest, "Compare");
    assert!(!pair.sent("due"));
}

#[test]
fn who_learns_of_a_block_late_delivers_what_it_is_brought() {
    let mut config = two();
    config.pbft.checkpoint_interval = 1;
    let mut pair = Pair::new(config);
    let content = pair.content(0);
    let index = pair.index(pair.away, &content.rid);
    pair.enter(content);
    pair.play(&[ENTER, AGREE].concat());
    pair.play("deliver * relay\ndeliver * relay-ic\ndeliver * index-request\n");
    pair.play(&[AGREE, "deliver * inject\n"].concat());
    let [old, new, third, fourth] = [0, 1, 2, 3].map(|number| pair.member(pair.away, number));
    let missed = "drop NEW pre-prepare\ndeliver * pre-prepare\ndrop NEW prepare\n\
        deliver * prepare\ndrop NEW commit\ndeliver * commit\ndrop OLD->* deliver\n\
        drop OLD->* header\nsettle\nfire NEW Group(Pbft(CatchUp))\nsettle\n";
    let named = |story: &str| {
        let story = story.replace("NEW", &new.to_string());
        story.replace("OLD", &old.to_string())
    };
    pair.play(&named(missed));
    assert_eq!(pair.stage.ledger(new).height(), 1, "it has caught up");
    // The leader is replaced for the sake of a request of which it does not hear.
    let id = TransactionId::new(NodeId(16), 99);
    let other = Transaction::new(id, SignedCall::sample(99));
    for member in [new, third, fourth] {
        let from = pair.holder(pair.away);
        let request = Message::AddRequest(other.clone());
        pair.stage.inject(from, member, request);
    }
    pair.play("settle\n");
    for member in [new, third, fourth] {
        pair.play(&format!("fire {member} Group(Pbft(View))\n"));
    }
    pair.play("settle\n");
    assert_eq!(pair.stage.status_of(new).leader, Some(new));
    pair.stage.take_sent();
    for _ in 0..4 {
        pair.fire(index, "Relay");
    }
    assert!(pair.sent("deliver"));
}

#[test]
fn what_calls_itself_like_a_record_under_way_does_not_stop_it() {
    let mut pair = Pair::new(two());
    pair.withheld();
    let namesake = Content {
        payload_hash: Hasher::new("another").finish(),
        nonce: 1,
        ..pair.content(0)
    };
    pair.enter(namesake);
    pair.play(&[ENTER, AGREE, "settle\n"].concat());
    assert_eq!(pair.height(pair.home), 2, "it is refused in a block");
    pair.fire(pair.member(pair.home, 0), "Relay");
    assert!(pair.sent("inject"));
}

#[test]
fn an_end_that_is_lost_is_told_again_though_nothing_of_the_own_network_is_there() {
    let mut pair = Pair::about(two(), far);
    pair.withheld();
    pair.fire(pair.holder(pair.home), "Compare");
    pair.grant(1);
    pair.play("settle\n");
    let guest = pair.guest();
    pair.revoke(1);
    let decided = [
        "deliver * request-forward\n",
        AGREE,
        "drop * erase\nsettle\n",
    ];
    pair.play(&decided.concat());
    assert_eq!(pair.height(pair.away), 3, "the grant is taken back");
    pair.stage.take_sent();
    pair.fire(guest, "Compare");
    assert!(pair.sent("erase"));
    pair.fire(guest, "Compare");
    assert!(!pair.sent("erase"));
    let (rid, from) = (pair.content(0).rid, pair.holder(pair.away));
    let fetch = Message::Fetch { rid, tried: 0 };
    pair.stage.inject(from, guest, fetch);
    pair.play("settle\n");
    assert!(!pair.sent("record"));
}

/// A grant that the other network has decided is taken back at home; how many blocks that makes in
/// each network.
fn taken_back(mutant: Option<Mutant>) -> (Pair, [Height; 2]) {
    let config = Config { mutant, ..two() };
    let mut pair = Pair::about(config, far);
    pair.grant(1);
    pair.play("settle\n");
    let before = pair.heights();
    pair.stage.take_sent();
    pair.revoke(1);
    pair.play("settle\n");
    let after = pair.heights();
    (pair, [after[0] - before[0], after[1] - before[1]])
}

#[test]
fn a_grant_is_taken_back_where_it_was_decided() {
    assert_eq!(taken_back(Some(Mutant::NeverSeek)).1, [1, 0], "refused");
    let (mut pair, blocks) = taken_back(None);
    assert_eq!(blocks, [0, 1]);
    assert!(pair.sent("erase"));
    let [home, away] = pair.heights();
    // Nobody knows this one: two of four may lag behind or lie, three do not.
    pair.revoke(2);
    let leader = pair.member(pair.home, 0);
    let passed_back = |number| {
        let from = pair.member(pair.away, number);
        format!("deliver *->{from} request-forward\ndeliver {from}->{leader} request-forward\n")
    };
    let [first, second] = [0, 1].map(passed_back);
    pair.play(&[&first, &second, AGREE].concat());
    assert_eq!(pair.heights(), [home, away]);
    pair.play("settle\n");
    assert_eq!(pair.heights(), [home + 1, away], "it is refused");
}

/// A record is decided, and whoever leads then is gone before anybody else hears of it.
fn left_behind() -> (Pair, NodeId) {
    let mut pair = Pair::new(two());
    let content = pair.content(0);
    let index = pair.index(pair.home, &content.rid);
    pair.enter(content);
    pair.play(&[ENTER, AGREE, "drop * relay\n"].concat());
    let leader = pair.member(pair.home, 0);
    pair.play(&format!("crash {leader}\nsettle\n"));
    for _ in 0..2 {
        pair.fire(pair.holder(pair.home), "Compare");
    }
    pair.stage.take_sent();
    (pair, index)
}

#[test]
fn a_record_leaves_though_whoever_led_is_gone() {
    let (mut pair, index) = left_behind();
    for _ in 0..4 {
        pair.fire(index, "Relay");
    }
    assert!(pair.sent("inject"));
    pair.fire(index, "Relay");
    pair.fire(index, "Relay");
    assert!(!pair.sent("remind"), "it is no longer waited for");
}

#[test]
fn who_hears_nobody_goes_on_waiting() {
    let (mut pair, index) = left_behind();
    for _ in 0..12 {
        pair.play(&format!("fire {index} Relay\ndrop * remind\nsettle\n"));
    }
    pair.stage.take_sent();
    pair.fire(index, "Relay");
    assert!(pair.sent("remind"));
}

#[test]
fn what_is_refused_is_waited_for_no_longer() {
    let mut pair = Pair::new(two());
    let unfounded = Content {
        supersedes: Some(pair.content(7).rid),
        ..pair.content(0)
    };
    let index = pair.index(pair.home, &unfounded.rid);
    pair.enter(unfounded);
    pair.play("settle\n");
    assert_eq!(pair.height(pair.home), 1, "it is refused in a block");
    for _ in 0..6 {
        pair.fire(index, "Relay");
    }
    assert!(pair.sent("remind"));
    pair.fire(index, "Relay");
    assert!(!pair.sent("remind"));
}

#[test]
fn a_record_arrives_though_the_index_node_that_had_it_loses_its_disk() {
    let mut pair = Pair::new(two());
    let content = pair.content(0);
    let (from, to) = (
        pair.index(pair.home, &content.rid),
        pair.index(pair.away, &content.rid),
    );
    pair.enter(content);
    pair.play(&[ENTER, AGREE, "deliver * relay\ndeliver * relay-ic\n"].concat());
    pair.play("drop * index-request\nsettle\n");
    pair.play(&format!("crash {to}\nrestart {to} amnesia\nsettle\n"));
    pair.fire(from, "Relay");
    assert_eq!(pair.height(pair.away), 1);
    pair.stage.take_sent();
    pair.fire(from, "Relay");
    assert!(!pair.sent("relay-ic"), "it is acknowledged");
}

#[test]
fn a_leader_that_is_down_is_missed_by_what_the_index_brings() {
    let mut pair = Pair::new(two());
    let content = pair.content(0);
    let index = pair.index(pair.away, &content.rid);
    let members = [0, 1, 2, 3].map(|number| pair.member(pair.away, number));
    pair.play(&format!("crash {}\n", members[0]));
    pair.enter(content);
    pair.play("settle\n");
    pair.fire(index, "Relay");
    pair.fire(index, "Relay");
    for _ in 0..2 {
        for member in &members[1..] {
            pair.play(&format!("fire {member} Group(Pbft(View))\n"));
        }
        pair.play("settle\n");
    }
    pair.fire(index, "Relay");
    assert_eq!(pair.stage.ledger(members[1]).height(), 1);
}

#[test]
fn a_migration_is_patient_from_when_somebody_hears_it() {
    let mut pair = Pair::about(two(), far);
    let rid = pair.withheld();
    pair.fire(pair.holder(pair.home), "Compare");
    pair.grant(1);
    pair.play(&["deliver * register\n", AGREE, "deliver * header\n"].concat());
    let (guest, from) = (pair.guest(), pair.holder(pair.away));
    for _ in 0..10 {
        let unheard = format!("drop {guest}->* mig-request\nfire {guest} Migrate\n");
        pair.play(&unheard);
    }
    for _ in 0..3 {
        pair.fire(guest, "Migrate");
    }
    let fetch = Message::Fetch { rid, tried: 0 };
    pair.stage.take_sent();
    pair.stage.inject(from, guest, fetch);
    pair.play("settle\n");
    assert!(pair.sent("record"));
}

#[test]
fn a_ticket_that_waits_for_the_index_leaves_once() {
    let config = Config {
        remote: 0,
        index: 1,
        ..two()
    };
    let abroad = |pair: &Pair| pair.topology.net_of(pair.guest()) == pair.away;
    let mut pair = Pair::about(config, abroad);
    pair.grant(0);
    pair.play(&["deliver * register\n", AGREE, "deliver * header\n"].concat());
    let asked = "deliver * mig-request\ndeliver * mig-forward\n";
    let again = format!("fire {} Migrate\n", pair.guest());
    pair.play(&[asked, &again, asked, &again, asked].concat());
    pair.stage.take_sent();
    pair.play("settle\n");
    let sent = pair.stage.take_sent();
    assert_eq!(
        sent.get("mig-forward"),
        Some(&3),
        "through an index node and a leader"
    );
}

#[test]
fn a_request_told_again_of_a_record_that_has_left_is_not_waited_for() {
    let mut pair = Pair::new(two());
    let content = pair.content(0);
    let index = pair.index(pair.home, &content.rid);
    let leader = pair.member(pair.home, 0);
    let record = pair.people.submission(content, 0, pair.patient);
    let at = pair.holder(pair.home);
    pair.stage.request(at, |_| record.clone());
    pair.play("settle\n");
    assert_eq!(pair.heights(), [1, 1]);
    let id = TransactionId::new(NodeId(16), 0);
    let again = Transaction::new(id, record);
    pair.stage.inject(leader, index, Message::AddRequest(again));
    pair.play("settle\n");
    pair.stage.take_sent();
    for _ in 0..12 {
        pair.fire(index, "Relay");
    }
    assert!(!pair.sent("remind"), "it left long ago");
}
