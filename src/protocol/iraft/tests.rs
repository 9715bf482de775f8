//! Tests of the whole replica that a story cannot tell: what it does with messages that no honest
//! replica sends, under real signatures.

use std::sync::Arc;

use super::*;
use crate::base::crypto::{Body, Certificate, Crypto, Digest, Keyring, Signed, Signer};
use crate::base::random::{Random, Stream};
use crate::base::time::Time;
use crate::chain::ledger::{Executor, Ledger};
use crate::chain::{Transaction, TransactionId};
use crate::contract::{SignedCall, State};
use crate::protocol::mempool::BatchRule;
use crate::protocol::{Effect, Offence, Surroundings, To};

/// Replica n1 of four, and the keys of all.
struct Node {
    replica: Iraft,
    signers: Vec<Signer>,
    keyring: Keyring,
    ledger: Ledger,
    executor: Executor,
    random: Random,
    now: Time,
}

type Effects = Vec<Effect<Message, Timer>>;

impl Node {
    fn new(config: &Config) -> Self {
        let (signers, keyring) = Signer::mint(4, Crypto::Ed25519, 1);
        let setup = Setup {
            committee: Committee::first(4),
            me: NodeId(1),
            batch: BatchRule::default(),
        };
        let mut node = Self {
            replica: Iraft::new(config, setup),
            signers,
            keyring,
            ledger: Ledger::new(),
            executor: Executor::new(State::default()),
            random: Random::new(1, Stream::Test),
            now: Time::ZERO,
        };
        node.step(Input::Start);
        node
    }

    fn step(&mut self, input: Input<'_, Message, Timer>) -> Effects {
        let mut effects = Vec::new();
        let around = Surroundings {
            signer: &self.signers[1],
            keyring: &self.keyring,
            random: &mut self.random,
            ledger: &mut self.ledger,
            executor: &mut self.executor,
            careless: false,
        };
        let mut cx = Context::new(NodeId(1), self.now, around, &mut effects);
        self.replica.step(input, &mut cx);
        effects
    }

    fn deliver(&mut self, from: u16, message: &Message) -> Effects {
        let from = NodeId(from);
        self.step(Input::Deliver { from, message })
    }

    /// A statement with the signatures of these members.
    fn certificate<B: Body>(&self, body: &B, by: &[usize]) -> Certificate<B> {
        let mut certificate = Certificate::open(body.clone());
        for &member in by {
            let signed = self.signers[member].sign(body.clone());
            assert!(certificate.add(&signed, &Committee::first(4)));
        }
        certificate
    }

    fn election(&self, term: u64, leader: u16, by: &[usize]) -> Arc<Election> {
        let ballot = Ballot {
            term,
            candidate: NodeId(leader),
            mark: Mark::default(),
        };
        Arc::new(Backed {
            certificate: self.certificate(&ballot, by),
            evidence: Vec::new(),
        })
    }

    /// The first entry of n0 in a term, with this content.
    fn append(&self, term: u64, content: Content, election: Option<Arc<Election>>) -> Message {
        let header = self.signers[0].sign(Header {
            term,
            index: 1,
            previous: Digest::ZERO,
            content: content.digest(),
        });
        Message::Append(Append {
            term,
            previous: Mark::default(),
            entries: vec![Entry { header, content }],
            commit: 0,
            election,
        })
    }

    /// A request of n3 for a vote.
    fn vote(&self, term: u64, opening: Option<&[usize]>) -> Message {
        let ballot = Ballot {
            term,
            candidate: NodeId(3),
            mark: Mark::default(),
        };
        let opening = opening.map(|by| {
            Arc::new(Backed {
                certificate: self.certificate(&Share { term }, by),
                evidence: Vec::new(),
            })
        });
        Message::Vote(Box::new(Vote {
            ballot: self.signers[3].sign(ballot),
            opening,
            backing: Backing::Genesis,
        }))
    }
}

fn transaction(number: u64) -> Arc<Transaction> {
    let id = TransactionId::new(NodeId(9), number);
    Transaction::new(id, SignedCall::sample(number))
}

fn content(transactions: Vec<Arc<Transaction>>) -> Content {
    Content::of(Batch::new(transactions))
}

fn accusations(effects: &Effects) -> Vec<(NodeId, Offence)> {
    let accused = effects.iter().filter_map(|effect| match effect {
        Effect::Report(Report::Accuses { culprit, offence }) => Some((*culprit, *offence)),
        _ => None,
    });
    accused.collect()
}

fn answers(effects: &Effects) -> Vec<Answer> {
    let answers = effects.iter().filter_map(|effect| match effect {
        Effect::Send {
            message: Message::AppendReply(reply),
            ..
        } => Some(reply.answer),
        _ => None,
    });
    answers.collect()
}

fn broadcast_evidence(effects: &Effects) -> Option<Arc<Evidence>> {
    effects.iter().find_map(|effect| match effect {
        Effect::Send {
            to: To::All(_),
            message: Message::Evidence(evidence),
        } => Some(evidence.clone()),
        _ => None,
    })
}

/// Whether the replica votes for whoever asks.
fn votes(effects: &Effects) -> bool {
    effects.iter().any(|effect| {
        matches!(effect, Effect::Send { message: Message::VoteReply(reply), .. }
            if reply.grant.is_some())
    })
}

#[test]
fn a_call_for_an_election_needs_the_shares_of_a_quorum() {
    let mut node = Node::new(&Config::default());
    node.now = Time::ZERO + Span::from_secs(1);
    for opening in [None, Some(&[2, 3][..])] {
        let effects = node.deliver(3, &node.vote(900, opening));
        assert_eq!(accusations(&effects), [(NodeId(3), Offence::Disruption)]);
        assert!(!votes(&effects));
        assert_eq!(node.replica.status().view, 0, "its term means nothing");
    }
    let effects = node.deliver(3, &node.vote(1, Some(&[0, 2, 3])));
    assert!(votes(&effects));
    assert_eq!(node.replica.status().view, 1);
}

#[test]
fn a_living_leader_is_not_deposed_by_whoever_asks() {
    let mut node = Node::new(&Config::default());
    let election = node.election(1, 0, &[0, 2, 3]);
    let append = node.append(1, content(Vec::new()), Some(election));
    node.deliver(0, &append);
    assert_eq!(node.replica.status().leader, Some(NodeId(0)));
    let effects = node.deliver(3, &node.vote(900, Some(&[0, 2, 3])));
    assert!(!votes(&effects));
    assert_eq!(node.replica.status().view, 1);
    // Once it misses the leader itself, it gives the vote that it has kept.
    node.now = Time::ZERO + Span::from_secs(2);
    let effects = node.step(Input::Timeout(Timer::Election));
    assert!(votes(&effects));
    assert_eq!(node.replica.status().view, 900);
}

#[test]
fn nobody_follows_a_leader_who_does_not_show_its_votes() {
    let mut node = Node::new(&Config::default());
    for by in [&[][..], &[0, 3]] {
        let election = (!by.is_empty()).then(|| node.election(1, 0, by));
        let append = node.append(1, content(vec![transaction(1)]), election);
        assert_eq!(answers(&node.deliver(0, &append)), [Answer::Unproven]);
    }
    let others = node.election(1, 2, &[0, 2, 3]);
    let append = node.append(1, content(vec![transaction(1)]), Some(others));
    let effects = node.deliver(0, &append);
    assert_eq!(
        answers(&effects),
        [Answer::Unproven],
        "they elected another"
    );
    assert_eq!(node.replica.status().leader, None);
}

#[test]
fn an_entry_that_no_client_signed_convicts_its_leader_at_once() {
    let mut node = Node::new(&Config::default());
    let election = node.election(1, 0, &[0, 2, 3]);
    let honest = transaction(1);
    let bare = SignedCall::new(honest.call.call().clone(), None, None);
    let altered = content(vec![Transaction::new(honest.id, bare)]);
    let effects = node.deliver(0, &node.append(1, altered, Some(election.clone())));
    assert_eq!(
        accusations(&effects),
        [(NodeId(0), Offence::InvalidProposal)]
    );
    assert_eq!(answers(&effects), [Answer::Refused]);
    let evidence = broadcast_evidence(&effects).unwrap();
    let outsider = |evidence| verify_evidence(evidence, &node.keyring, &Committee::first(4));
    assert_eq!(outsider(&evidence), Some(NodeId(0)));
    // From then on it may say what it likes.
    let good = node.append(1, content(vec![honest]), Some(election));
    assert_eq!(answers(&node.deliver(0, &good)), [Answer::Refused]);
}

/// Places for which the replica votes in a round.
fn voted(effects: &Effects, stage: Stage) -> Vec<u64> {
    let acks = effects.iter().flat_map(|effect| match effect {
        Effect::Send {
            message: Message::AppendReply(reply),
            ..
        } => reply.acks.clone(),
        Effect::Send {
            message: Message::CommitVote { ack, .. },
            ..
        } => vec![ack.clone()],
        _ => Vec::new(),
    });
    let of_stage = acks.filter(|ack| ack.body().stage == stage);
    of_stage.map(|ack| ack.body().index).collect()
}

/// A replica that has voted for one story of n0, and was not told the other yet.
fn told(identify: bool) -> (Node, Message, Message) {
    let mut node = Node::new(&Config {
        identify,
        ..Config::default()
    });
    let election = node.election(1, 0, &[0, 2, 3]);
    let story = |number| content(vec![transaction(number)]);
    let one = node.append(1, story(1), Some(election.clone()));
    let other = node.append(1, story(2), Some(election));
    let first = node.deliver(0, &one);
    assert_eq!(answers(&first), [Answer::Matched(1)]);
    assert_eq!(voted(&first, Stage::Prepare), [1]);
    (node, one, other)
}

/// The entry of an append as certified in the first round.
fn prepared(node: &Node, append: &Message) -> Message {
    let Message::Append(append) = append else {
        panic!("it is an append");
    };
    let header = append.entries[0].header.clone();
    let Mark { term, index, chain } = header.body().mark();
    let ack = Ack {
        stage: Stage::Prepare,
        term,
        index,
        chain,
    };
    let certificate = Arc::new(node.certificate(&ack, &[0, 2, 3]));
    let claim = node.signers[0].sign(Claim { certificate });
    Message::Prepared(Box::new(Prepared { claim, header }))
}

#[test]
fn whoever_was_told_two_stories_votes_for_one_and_holds_to_what_is_certified() {
    let (mut judge, _, other) = told(true);
    let effects = judge.deliver(0, &other);
    assert_eq!(accusations(&effects), [(NodeId(0), Offence::Equivocation)]);
    assert_eq!(answers(&effects), [Answer::Refused]);

    let (mut node, one, other) = told(false);
    for restarts in [false, true] {
        if restarts {
            node.step(Input::Start);
        }
        let effects = node.deliver(0, &other);
        assert_eq!(
            answers(&effects),
            [Answer::Matched(1)],
            "it may be certified"
        );
        assert!(voted(&effects, Stage::Prepare).is_empty(), "not by it");
    }
    let certified = prepared(&node, &other);
    let effects = node.deliver(0, &certified);
    assert_eq!(
        voted(&effects, Stage::Commit),
        [1],
        "a quorum vouches for it"
    );
    let effects = node.deliver(0, &one);
    assert_eq!(
        answers(&effects),
        [Answer::Stale],
        "and for nothing else there"
    );
}

/// The entry of an append as decided by these members in a round.
fn proven(node: &Node, append: &Message, stage: Stage, by: &[usize]) -> Proven {
    let Message::Append(append) = append else {
        panic!("it is an append");
    };
    let Mark { term, index, chain } = append.entries[0].header.body().mark();
    let ack = Ack {
        stage,
        term,
        index,
        chain,
    };
    Proven {
        entries: append.entries.clone(),
        proof: Backed {
            certificate: node.certificate(&ack, by),
            evidence: Vec::new(),
        },
    }
}

fn decided(effects: &Effects) -> usize {
    let decided = |effect: &&Effect<_, _>| matches!(effect, Effect::Execute(_));
    effects.iter().filter(decided).count()
}

#[test]
fn decided_entries_are_taken_from_anybody_with_their_proof_and_not_without() {
    let (mut node, one, other) = told(false);
    let good = proven(&node, &other, Stage::Commit, &[0, 2, 3]);
    let mut forged = good.clone();
    let header = *forged.entries[0].header.body();
    forged.entries[0].header = node.signers[2].garbage(header, NodeId(0));
    let mut nothing = good.clone();
    nothing.entries.clear();
    let bad = [
        proven(&node, &other, Stage::Prepare, &[0, 2, 3]),
        proven(&node, &other, Stage::Commit, &[0, 2]),
        Proven {
            entries: proven(&node, &one, Stage::Commit, &[0]).entries,
            ..good.clone()
        },
        forged,
        nothing,
    ];
    for lie in bad {
        let effects = node.deliver(2, &Message::Proven(Box::new(lie.clone())));
        assert_eq!(decided(&effects), 0, "{lie:?}");
    }
    let good = Message::Proven(Box::new(good));
    assert_eq!(decided(&node.deliver(2, &good)), 1);
    assert_eq!(decided(&node.deliver(2, &good)), 0, "it is known");
    let effects = node.deliver(0, &other);
    assert_eq!(answers(&effects), [Answer::Matched(1)]);
    let voted = voted(&effects, Stage::Prepare);
    assert!(voted.is_empty(), "it has voted for the other story");
}

#[test]
fn what_is_held_to_gives_way_to_what_is_decided_in_a_later_term() {
    let (mut node, one, _) = told(true);
    let certified = prepared(&node, &one);
    let effects = node.deliver(0, &certified);
    assert_eq!(voted(&effects, Stage::Commit), [1]);
    // The same leader is elected again, shows another entry to the others, and goes on in the
    // first term with this replica.
    let later = node.append(2, content(vec![transaction(2)]), None);
    let proven = proven(&node, &later, Stage::Commit, &[0, 2, 3]);
    let effects = node.deliver(2, &Message::Proven(Box::new(proven)));
    assert_eq!(decided(&effects), 1);
    assert_eq!(node.replica.status().view, 2);
}

#[test]
fn with_an_audit_wrong_entries_are_borne_until_the_interval_ends() {
    let config = Config {
        profile: Profile::Paper,
        audit: true,
        audit_start: 1,
        ..Config::default()
    };
    let mut node = Node::new(&config);
    let election = node.election(1, 0, &[0, 2, 3]);
    let bare = SignedCall::new(transaction(1).call.call().clone(), None, None);
    let altered = content(vec![Transaction::new(transaction(1).id, bare)]);
    let append = node.append(1, altered, Some(election));
    let effects = node.deliver(0, &append);
    assert_eq!(answers(&effects), [Answer::Matched(1)]);
    let complains = effects.iter().any(|effect| {
        matches!(effect, Effect::Send { message: Message::Complaint(c), .. } if c.body().audit)
    });
    assert!(complains);
    assert_eq!(accusations(&effects), [], "one complaint is no suspicion");
}

#[test]
fn a_group_proves_to_others_who_leads_it() {
    let node = Node::new(&Config::default());
    let (config, committee) = (Config::default(), Committee::first(4));
    let verify =
        |election: &Election| verify_election(election, &committee, &config, &node.keyring);
    let election = node.election(7, 2, &[0, 2, 3]);
    assert_eq!(verify(&election), Some((7, NodeId(2))));
    assert_eq!(verify(&node.election(7, 2, &[2, 3])), None);
}

#[test]
fn the_bound_on_waiting_grows_with_the_leaders_that_may_fail() {
    let bound = |n| Iraft::liveness_bound(&Config::default(), n, Span::from_millis(10));
    assert!(bound(4) > Span::from_secs(2 * 2 + 5));
    assert!(bound(4) < bound(7));
    assert!(bound(4000) >= bound(1000));
    assert_eq!(Iraft::check(&Config::default(), 1), []);
}

/// A follower's word against another's: statements of the same replica under two leaders, which
/// are both honest.
#[test]
fn what_an_honest_follower_says_under_two_leaders_convicts_nobody() {
    let node = Node::new(&Config::default());
    let ack = |term: u64, text: &str| -> Signed<Ack> {
        node.signers[2].sign(Ack {
            stage: Stage::Prepare,
            term,
            index: 7,
            chain: crate::base::crypto::Hasher::new(text).finish(),
        })
    };
    let convicted = |a: Signed<Ack>, b: Signed<Ack>| {
        let evidence = Evidence::DoubleAck(Witness::Word(a), Witness::Word(b));
        verify_evidence(&evidence, &node.keyring, &Committee::first(4))
    };
    assert_eq!(convicted(ack(2, "one"), ack(3, "other")), None);
    assert_eq!(convicted(ack(2, "one"), ack(2, "one")), None);
    assert_eq!(convicted(ack(2, "one"), ack(2, "other")), Some(NodeId(2)));
}
