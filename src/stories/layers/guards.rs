//! What a node believes, sends and keeps, by whom it was told: each case is played with the guard
//! that it needs and without it.

use std::sync::Arc;

use super::single;
use crate::base::crypto::{Certificate, Crypto, Digest, Hasher, Signer};
use crate::base::node::{Committee, NodeId};
use crate::base::time::Span;
use crate::chain::{Height, Transaction, TransactionId};
use crate::contract::access::{GrantTerms, Grantee, Purpose, Scope};
use crate::contract::call::{Act, Terms};
use crate::contract::identity::Party;
use crate::contract::message::{Content, RecordKind};
use crate::contract::{Call, Population, SignedCall};
use crate::protocol::layers::parts::{
    Body, Chunk, End, Header, Item, Proof, Ticket, TransactionRef, Word,
};
use crate::protocol::layers::{Auth, Config, Layers, Message, Mutant, Topology};
use crate::protocol::pbft::{Phase, Vote};
use crate::stories::{AT_ONCE, Stage, perform, play};

/// A record of the patient is decided by everybody.
pub(super) const DECIDED: &str = "quiet\ndeliver * leader\nsubmit n5\nsettle\n";

/// The same, and nobody has been told.
const UNTOLD: &str = "quiet\ndeliver * leader\nsubmit n5\ndeliver * add-request\n\
    deliver * presence\ndeliver * payload\ndeliver * pre-prepare\ndeliver * prepare\n\
    deliver * commit\n";

/// The patient registers at n6, and the leader is asked for the earlier records.
pub(super) const GRANTED: &str = "grant n6\ndeliver * register\ndeliver * pre-prepare\n\
    deliver * prepare\ndeliver * commit\ndeliver * header\n";

/// Who has the record first, who gets it by a grant, and who has no right to it.
pub(super) const HOLDER: NodeId = NodeId(5);
pub(super) const RECEIVER: NodeId = NodeId(6);
const STRANGER: NodeId = NodeId(7);

/// A network of four consensus nodes, an index node and three hospitals, after a story.
pub(super) fn after(config: Config, stories: &[&str]) -> Stage<Layers> {
    let mut stage = Stage::new(config, 8, AT_ONCE);
    play(&mut stage, &stories.concat());
    stage.take_sent();
    stage
}

/// Both hospitals have the patient.
pub(super) fn both(config: Config) -> Config {
    Config {
        hospitals: 2,
        ..config
    }
}

/// What is told from now on, with all messages and facts.
pub(super) fn told(stage: &mut Stage<Layers>, story: &str) -> String {
    play(stage, &["plain\n", story].concat())
}

/// Whether messages of a kind are sent until all is quiet.
pub(super) fn sends(stage: &mut Stage<Layers>, kind: &str) -> bool {
    stage.take_sent();
    stage.settle(&[]);
    stage.take_sent().contains_key(kind)
}

fn signers() -> Vec<Signer> {
    Signer::mint(8, Crypto::Modelled, 1).0
}

/// The header of a block that n0 has, with the votes of all who agree.
fn proven(stage: &Stage<Layers>, height: Height) -> Arc<Header> {
    let block = stage
        .ledger(NodeId(0))
        .block(height)
        .expect("it is decided");
    let vote = Vote {
        phase: Phase::Commit,
        view: 0,
        height,
        digest: block.batch.digest(),
    };
    let mut votes = Certificate::open(vote);
    for signer in &signers()[..4] {
        assert!(votes.add(&signer.sign(vote), &Committee::first(4)));
    }
    Header::of(0, block, Proof::Pbft(Arc::new(votes)))
}

/// The call in a block that n0 has.
pub(super) fn call_in(stage: &Stage<Layers>, height: Height) -> Arc<Transaction> {
    let block = stage
        .ledger(NodeId(0))
        .block(height)
        .expect("it is decided");
    block.batch.transactions()[0].clone()
}

pub(super) fn content(record: &Transaction) -> &Content {
    match record.call.call() {
        Call::Submit(draft) => draft.content(),
        _ => panic!("it enters a record"),
    }
}

/// A record as it would be sent.
fn item(record: Arc<Transaction>, height: Height) -> Box<Item> {
    let body = Body {
        digest: content(&record).payload_hash,
        bytes: 4096,
    };
    Box::new(Item {
        transaction: TransactionRef(record),
        body,
        place: (0, height),
        header: None,
    })
}

/// Whether a header is believed that one node vouches for.
fn vouched_for_by(node: usize, config: Config) -> bool {
    let reader = config.clone();
    let stage = after(config, &[DECIDED]);
    let header = proven(&stage, 1);
    let digest = stage.ledger(NodeId(0)).block(1).map(|b| b.batch.digest());
    let word = Word {
        height: 1,
        digest: digest.unwrap_or(Digest::ZERO),
    };
    let (signers, keyring) = Signer::mint(8, Crypto::Modelled, 1);
    let header = Header {
        proof: Proof::Word(signers[node].sign(word)),
        ..Header::clone(&header)
    };
    header.verify(&Topology::new(&reader, 8), &reader, &keyring)
}

fn vouched_for_by_a_stranger(config: Config) -> bool {
    vouched_for_by(7, config)
}

fn vouched_for_by_a_member(config: Config) -> bool {
    vouched_for_by(1, config)
}

fn takes_what_was_never_decided(config: Config) -> bool {
    let mut stage = after(config, &[DECIDED]);
    let id = TransactionId::new(NodeId(8), 99);
    let record = Transaction::new(id, SignedCall::sample(99));
    stage.inject(STRANGER, RECEIVER, Message::Fetched(item(record, 1)));
    told(&mut stage, "settle\n").contains("keeps")
}

/// The ticket that the patient's grant is, for a node.
fn ticket(stage: &Stage<Layers>, node: NodeId) -> Message {
    Message::MigForward(Box::new(Ticket {
        user: content(&call_in(stage, 1)).pid.0,
        node,
        auth: TransactionRef(call_in(stage, 2)),
        header: proven(stage, 2),
        tried: Vec::new(),
        attempt: 1,
        due: Vec::new(),
        sources: 1,
        known: None,
    }))
}

fn hands_over_twice(config: Config) -> bool {
    let mut stage = after(config, &[DECIDED, "grant n6\nsettle\n"]);
    let ticket = ticket(&stage, RECEIVER);
    stage.inject(NodeId(0), HOLDER, ticket.clone());
    assert!(sends(&mut stage, "mig-chunk"), "it is asked for again");
    stage.inject(NodeId(0), HOLDER, ticket);
    sends(&mut stage, "mig-chunk")
}

/// One of two records has come when the time-out is over that began when they were asked for.
fn asks_for_what_is_coming(config: Config) -> bool {
    let compare_every = Span::from_millis(500);
    let config = Config {
        compare_every,
        ..config
    };
    let two = [DECIDED, "submit n5\nsettle\n", GRANTED];
    let mut stage = after(config, &two);
    told(&mut stage, "drop n6->* mig-request\nfire n5 Compare\n");
    let record = call_in(&stage, 1);
    stage.inject(
        HOLDER,
        RECEIVER,
        Message::MigChunk(Box::new(Chunk {
            user: content(&record).pid.0,
            node: RECEIVER,
            source: HOLDER,
            items: vec![*item(record, 1)],
            due: Vec::new(),
            attempt: 0,
            last: false,
            sources: 1,
        })),
    );
    let kept = told(&mut stage, "deliver n5->n6 mig-chunk\n");
    assert!(kept.contains("n6: keeps"), "{kept}");
    // A timer that does nothing but set itself again fires again.
    let fired = told(&mut stage, "loud\nfire n6 Migrate\n");
    fired.matches("n6 fires Migrate").count() == 1
}

fn hands_over_by_anothers_ticket(config: Config) -> bool {
    let mut stage = after(config, &[DECIDED, "grant n6\nsettle\n"]);
    let stolen = ticket(&stage, STRANGER);
    stage.inject(NodeId(0), HOLDER, stolen);
    sends(&mut stage, "mig-chunk")
}

fn hands_over_if_a_stranger_wants_it(config: Config) -> bool {
    let mut stage = after(config, &[DECIDED, "grant n6\nsettle\n"]);
    let old = ticket(&stage, RECEIVER);
    stage.inject(STRANGER, HOLDER, old);
    sends(&mut stage, "mig-chunk")
}

fn sends_records_to_another_network(config: Config) -> bool {
    let config = Config { edges: 2, ..config };
    let topology = Topology::new(&config, 16);
    let record = SignedCall::sample(0);
    let Call::Submit(draft) = record.call() else {
        panic!("it enters a record")
    };
    let (user, rid) = (draft.content().pid.0, draft.content().rid);
    let holder = topology.row(&user, topology.home(&user))[0];
    let foreign = topology.edge(1 - topology.home(&user)).records.members()[0];
    let mut stage: Stage<Layers> = Stage::new(config, 16, AT_ONCE);
    let story = format!("quiet\ndeliver * leader\nsubmit {holder}\nsettle\n");
    play(&mut stage, &story);
    play(&mut stage, &format!("fire {holder} Compare\nsettle\n"));
    stage.inject(foreign, holder, Message::Fetch { rid, tried: 0 });
    sends(&mut stage, "record")
}

fn sends_records_to_who_is_not_listed(config: Config) -> bool {
    let mut stage = after(both(config), &[UNTOLD]);
    let rid = content(&call_in(&stage, 1)).rid;
    stage.inject(STRANGER, NodeId(0), Message::Fetch { rid, tried: 0 });
    sends(&mut stage, "record")
}

/// The leader is asked again for what is decided, as by a client that missed the answer.
fn decides_what_stands(config: Config) -> bool {
    let mut stage = after(config, &[DECIDED, GRANTED]);
    let again = Message::Forward(call_in(&stage, 2));
    stage.settle(&[]);
    let height = stage.ledger(NodeId(0)).height();
    stage.inject(RECEIVER, NodeId(0), again);
    stage.settle(&[]);
    stage.ledger(NodeId(0)).height() > height
}

fn ends_a_migration_for_anybody(config: Config) -> bool {
    let mut stage = after(config, &[DECIDED, GRANTED]);
    let grant = call_in(&stage, 2).id;
    stage.inject(STRANGER, RECEIVER, Message::MigRefuse(grant));
    stage.settle(&[]);
    stage.ledger(NodeId(0)).height() == 2
}

fn takes_anybody_for_the_leader(config: Config) -> bool {
    let mut stage = after(config, &[DECIDED]);
    stage.inject(STRANGER, HOLDER, Message::Header(Vec::new()));
    stage.settle(&[]);
    stage.status_of(HOLDER).leader == Some(STRANGER)
}

/// The patient has taken the grant back, and n6 has not been told.
pub(super) const REVOKED: &str = "revoke n0 c#1\ndeliver * pre-prepare\ndeliver * prepare\n\
    deliver * commit\n";

/// The end of the grant that the second block has, by what the fourth has, with a header's proof.
pub(super) fn end(stage: &Stage<Layers>, header: Height) -> Box<End> {
    Box::new(End {
        by: TransactionRef(call_in(stage, 4)),
        grant: TransactionRef(call_in(stage, 2)),
        header: proven(stage, header),
    })
}

fn forgets_without_a_proof(config: Config) -> bool {
    let untold = [REVOKED, "drop * erase\n"].concat();
    let mut stage = after(config, &[DECIDED, "grant n6\nsettle\n", &untold]);
    let rid = content(&call_in(&stage, 1)).rid;
    let end = end(&stage, 2);
    stage.inject(STRANGER, RECEIVER, Message::Erase(end));
    stage.settle(&[]);
    stage.inject(HOLDER, RECEIVER, Message::Fetch { rid, tried: 0 });
    !sends(&mut stage, "record")
}

fn takes_records_when_its_right_has_ended(config: Config) -> bool {
    let late = ["submit n5\n", UNTOLD.split_once("n5\n").unwrap().1].concat();
    let story = [&late, REVOKED, "deliver * erase\n"].concat();
    let mut stage = after(config, &[DECIDED, "grant n6\nsettle\n", &story]);
    told(&mut stage, "deliver * deliver\n").contains("keeps")
}

fn is_moved_when_its_right_has_ended(config: Config) -> bool {
    let moves = "deliver * mig-request\ndeliver * mig-forward\ndeliver * mig-chunk\n";
    let story = [
        GRANTED,
        moves,
        "revoke n0 c#1\ndeliver * mig-done\nsettle\n",
    ]
    .concat();
    let mut stage = after(config, &[DECIDED, &story]);
    told(&mut stage, "submit n5\nsettle\n").contains("for [n5, n6]")
}

fn says_what_it_has_and_is_believed(config: Config) -> bool {
    let mut stage = after(config, &[DECIDED, GRANTED, "drop * mig-request\n"]);
    let done = Message::MigDone {
        auth: call_in(&stage, 2),
        have: Vec::new(),
        tried: Vec::new(),
        attempt: 0,
        lost: None,
    };
    stage.inject(RECEIVER, NodeId(0), done);
    !sends(&mut stage, "mig-forward")
}

fn is_listed_beyond_its_grant(config: Config) -> bool {
    let mut stage = after(config, &[DECIDED]);
    let people = Population::new(1, 1, 2);
    let patient = people.patient(1);
    let some = GrantTerms {
        grantee: Grantee::Doctor(people.doctor(0).id),
        scope: Scope::Kinds(vec![RecordKind::Imaging]),
        purpose: Purpose::Care,
        from: 0,
        until: 1_000,
        max_uses: None,
        delegable: false,
    };
    let terms = |nonce| Terms {
        chain: 1,
        by: Party::Patient(patient.id),
        act: Act::Grant(some),
        nonce,
        valid_until: u64::MAX,
    };
    stage.request(RECEIVER, |nonce| {
        SignedCall::order(terms(nonce), &patient.keys)
    });
    stage.settle(&[]);
    assert!(stage.ledger(NodeId(0)).height() > 1, "it is granted");
    told(&mut stage, "submit n5\nsettle\n").contains("for [n5, n6]")
}

fn counts_what_comes_twice(config: Config) -> bool {
    let mut stage = after(both(config), &[UNTOLD, "duplicate * deliver\nsettle\n"]);
    told(&mut stage, "fire n6 Compare\nsettle\n").contains(" due")
}

/// A node is asked to enter a record with the name of the first and another body.
fn enter_namesake(stage: &mut Stage<Layers>, at: NodeId) {
    stage.inject(NodeId(4), at, Message::Forward(another_record(1)));
    stage.settle(&[]);
}

/// A record that has the name of the first one, and is asked for by this one.
fn another_record(number: u64) -> Arc<Transaction> {
    let people = Population::new(1, 1, 2);
    let content = Content {
        payload_hash: Hasher::new("another").finish(),
        nonce: 1,
        ..people.content(0, 1, 0)
    };
    let id = TransactionId::new(NodeId(8), number);
    Transaction::new(id, people.submission(content, 0, 1))
}

/// A client calls two records by one name, and who is to enter one of them keeps its body back.
fn waits_for_a_body_that_never_comes(config: Config) -> bool {
    let mut stage = after(config, &["quiet\ndeliver * leader\n"]);
    for member in 0..4 {
        let version = Message::AddRequest(another_record(0));
        stage.inject(STRANGER, NodeId(member), version);
    }
    stage.settle(&[]);
    play(&mut stage, "submit n5\nsettle\nfire n5 Request\nsettle\n");
    stage.ledger(NodeId(0)).height() == 0
}

fn gives_its_name_to_another(config: Config) -> bool {
    let mut stage = after(both(config), &[DECIDED]);
    enter_namesake(&mut stage, HOLDER);
    let namesake = *item(call_in(&stage, 2), 2);
    let headers = vec![proven(&stage, 2)];
    let items = vec![namesake];
    stage.inject(NodeId(0), RECEIVER, Message::Deliver { headers, items });
    told(&mut stage, "settle\n").contains("keeps")
}

fn keeps_what_was_refused(config: Config) -> bool {
    let mut stage = after(both(config), &[UNTOLD, "drop n0->* deliver\nplain\n"]);
    enter_namesake(&mut stage, RECEIVER);
    told(&mut stage, "fire n6 Compare\nsettle\n").contains("n6: enters")
}

fn loses_what_is_said_to_be_refused(config: Config) -> bool {
    let mut stage = after(both(config), &[UNTOLD]);
    let lie = Header {
        refused: vec![0],
        ..Header::clone(&proven(&stage, 1))
    };
    stage.inject(NodeId(0), HOLDER, Message::Header(vec![Arc::new(lie)]));
    stage.settle(&[]);
    !told(&mut stage, "fire n5 Compare\nsettle\n").contains("enters")
}

fn forgets_before_it_is_acknowledged(config: Config) -> bool {
    let mut stage = after(both(config), &[UNTOLD, "drop n0->* deliver\n"]);
    !told(&mut stage, "fire n0 Ack\nsettle\n").contains("keeps")
}

fn leaves_a_record_to_one(config: Config) -> bool {
    let config = Config {
        min_copies: 2,
        ..config
    };
    let mut stage = after(config, &["deliver * leader\n"]);
    told(&mut stage, "submit n5\nsettle\n").contains("for [n5]\n")
}

fn sends_before_the_patient_approves(config: Config) -> bool {
    let auth = Auth::PerTransfer;
    let mut stage = after(
        Config {
            auth,
            ..both(config)
        },
        &["deliver * leader\n"],
    );
    told(&mut stage, "submit n5\nsettle\n").contains("keeps")
}

fn waits_for_who_is_silent(config: Config) -> bool {
    let silent = "deliver * leader\nsubmit n5\ndeliver * add-request\ndrop * presence\n";
    let stage = after(config, &[silent, "settle\nfire n0 Presence\nsettle\n"]);
    stage.ledger(NodeId(0)).height() == 0
}

fn index_forgets_before_it_is_acknowledged(config: Config) -> bool {
    let config = Config {
        edges: 2,
        remote: 1_000,
        ..config
    };
    let record = SignedCall::sample(0);
    let user = record.call().subject().expect("it is about a patient");
    let topology = Topology::new(&config, 16);
    let (home, holder) = (
        topology.home(&user),
        topology.row(&user, topology.home(&user))[0],
    );
    let mut stage: Stage<Layers> = Stage::new(config, 16, AT_ONCE);
    let agree = "deliver * pre-prepare\ndeliver * prepare\ndeliver * commit\n";
    let story = [
        "quiet\ndeliver * leader\n",
        &format!("submit {holder}\n"),
        "deliver * add-request\ndeliver * presence\ndeliver * payload\n",
        agree,
        "deliver * relay\ndeliver * relay-ic\ndeliver * index-request\n",
        agree,
        "drop * inject\nsettle\n",
    ];
    play(&mut stage, &story.concat());
    stage.take_sent();
    let index = topology.edge(1 - home).index[0];
    play(&mut stage, &format!("fire {index} Relay\n"));
    !stage.take_sent().contains_key("waits")
}

/// A record node has a record of the second block and not the first header when it crashes.
fn forgets_what_it_has_without_the_first_header(config: Config) -> bool {
    let mut stage = after(both(config), &[]);
    !perform(&mut stage, "layers/found-beyond-a-gap.txt").contains("still keeps")
}

/// Whether something happens that a guard prevents.
type Case = fn(Config) -> bool;

const CASES: [(Mutant, Case); 29] = [
    (Mutant::FirstVersionStays, waits_for_a_body_that_never_comes),
    (Mutant::HandOverAgain, hands_over_twice),
    (Mutant::AskWhileItComes, asks_for_what_is_coming),
    (
        Mutant::NewUntilFirstHeader,
        forgets_what_it_has_without_the_first_header,
    ),
    (Mutant::DecideAgain, decides_what_stands),
    (Mutant::NoHeaderProof, vouched_for_by_a_stranger),
    (Mutant::WordIsProof, vouched_for_by_a_member),
    (Mutant::NoInclusionCheck, takes_what_was_never_decided),
    (Mutant::NoTicketCheck, hands_over_by_anothers_ticket),
    (
        Mutant::AnyoneNamesSources,
        hands_over_if_a_stranger_wants_it,
    ),
    (Mutant::AnyoneFetches, sends_records_to_another_network),
    (Mutant::FetchUnlisted, sends_records_to_who_is_not_listed),
    (Mutant::AnyoneRefuses, ends_a_migration_for_anybody),
    (Mutant::AnyoneLeads, takes_anybody_for_the_leader),
    (Mutant::NoEndProof, forgets_without_a_proof),
    (Mutant::TakeAfterEnd, takes_records_when_its_right_has_ended),
    (Mutant::MovedAgain, is_moved_when_its_right_has_ended),
    (Mutant::BelieveDone, says_what_it_has_and_is_believed),
    (Mutant::ScopeUnchecked, is_listed_beyond_its_grant),
    (Mutant::CountAgain, counts_what_comes_twice),
    (Mutant::NamesakeReplaces, gives_its_name_to_another),
    (Mutant::RefusedKept, keeps_what_was_refused),
    (Mutant::RefusedForgotten, loses_what_is_said_to_be_refused),
    (Mutant::ForgetUnacked, forgets_before_it_is_acknowledged),
    (Mutant::NoCustodians, leaves_a_record_to_one),
    (Mutant::NoApproval, sends_before_the_patient_approves),
    (Mutant::WaitForAll, waits_for_who_is_silent),
    (
        Mutant::DropUnconfirmed,
        index_forgets_before_it_is_acknowledged,
    ),
    (Mutant::DeliverToAll, |config| {
        let mut stage = after(config, &["deliver * leader\n"]);
        told(&mut stage, "submit n5\nsettle\n").contains("keeps")
    }),
];

#[test]
fn every_guard_prevents_what_it_is_for() {
    let mut wrong = Vec::new();
    for (mutant, happens) in CASES {
        let broken = Config {
            mutant: Some(mutant),
            ..single()
        };
        if happens(single()) || !happens(broken) {
            wrong.push(mutant);
        }
    }
    assert_eq!(wrong, []);
}
