//! Tests of the whole replica that a story cannot tell: its configuration, and real signatures.

use super::*;
use crate::base::crypto::{Crypto, Keyring, Signer};
use crate::base::node::Committee;
use crate::base::random::{Random, Stream};
use crate::base::time::Time;
use crate::chain::ledger::{Executor, Ledger};
use crate::chain::{Transaction, TransactionId};
use crate::contract::{SignedCall, State};
use crate::protocol::mempool::BatchRule;
use crate::protocol::{Effect, Surroundings, To};

#[test]
fn a_window_holds_at_least_two_whole_intervals() {
    let keys = |config: Config| -> Vec<&str> {
        Pbft::check(&config, 4)
            .iter()
            .map(|misfit| misfit.key)
            .collect()
    };
    let plain = Config::default();
    assert_eq!(keys(plain.clone()), [""; 0]);
    let odd = Config {
        window: 250,
        ..plain.clone()
    };
    assert_eq!(keys(odd), ["window"]);
    let narrow = Config {
        window: 100,
        pipeline: 101,
        ..plain.clone()
    };
    assert_eq!(keys(narrow), ["window", "pipeline"]);
    let nothing = Config {
        view_timeout: Span::ZERO,
        checkpoint_interval: 0,
        ..plain
    };
    assert_eq!(keys(nothing), ["view_timeout", "checkpoint_interval"]);
}

#[test]
fn the_bound_on_waiting_grows_with_the_leaders_that_may_fail() {
    let bound = |n| Pbft::liveness_bound(&Config::default(), n, Span::from_millis(10));
    assert!(bound(4) > Span::from_secs(2 * (1 + 2)));
    assert!(bound(7) > Span::from_secs(2 * (1 + 2 + 4)));
    assert!(bound(4) < bound(7));
    assert!(bound(4000) >= bound(1000), "it does not overflow");
}

#[test]
fn waits_that_trouble_has_doubled_are_as_long_as_it_and_double_for_each_bad_primary() {
    let grown = |bad| Pbft::grown_waits(&Config::default(), Span::from_secs(2), bad);
    assert_eq!(
        grown(0),
        Span::from_secs(2),
        "the last wait may just have begun"
    );
    assert_eq!(grown(2), Span::from_secs(2 + 4 + 8));
    assert!(grown(1000) >= grown(100), "it does not overflow");
}

/// Four replicas with real signatures on a network without delay.
struct Signed4 {
    replicas: Vec<Pbft>,
    signers: Vec<Signer>,
    keyring: Keyring,
    ledgers: Vec<Ledger>,
    executor: Executor,
    random: Random,
    /// Who sent what to whom.
    letters: VecDeque<(NodeId, To, Message)>,
}

impl Signed4 {
    fn new() -> Self {
        Self::with(None)
    }

    /// The same without a guard.
    fn with(mutant: Option<Mutant>) -> Self {
        let (signers, keyring) = Signer::mint(4, Crypto::Ed25519, 1);
        let setup = |me| Setup {
            committee: Committee::first(4),
            me,
            batch: BatchRule {
                wait: Span::ZERO,
                ..BatchRule::default()
            },
        };
        let config = Config {
            checkpoint_interval: 1,
            window: 2,
            pipeline: 1,
            mutant,
            ..Config::default()
        };
        let replica = |node| Pbft::new(&config, setup(NodeId::at(node)));
        let mut stage = Self {
            replicas: (0..4).map(replica).collect(),
            signers,
            keyring,
            ledgers: vec![Ledger::new(); 4],
            executor: Executor::new(State::default()),
            random: Random::new(1, Stream::Test),
            letters: VecDeque::new(),
        };
        for node in 0..4 {
            stage.step(node, Input::Start);
        }
        stage
    }

    fn step(&mut self, node: usize, input: Input<'_, Message, Timer>) {
        let mut effects = Vec::new();
        let around = Surroundings {
            signer: &self.signers[node],
            keyring: &self.keyring,
            random: &mut self.random,
            ledger: &mut self.ledgers[node],
            executor: &mut self.executor,
            careless: false,
        };
        let me = NodeId::at(node);
        let mut cx = Context::new(me, Time::ZERO, around, &mut effects);
        self.replicas[node].step(input, &mut cx);
        for effect in effects {
            if let Effect::Send { to, message } = effect {
                self.letters.push_back((me, to, message));
            }
        }
    }

    /// Delivers everything but what comes from or goes to n0 if that is down.
    fn settle(&mut self, down: Option<NodeId>) {
        while let Some((from, to, message)) = self.letters.pop_front() {
            for node in (0..4).map(NodeId::at) {
                let meant = match &to {
                    To::One(one) => *one == node,
                    To::All(_) => node != from,
                };
                if meant && Some(node) != down && Some(from) != down {
                    let message = &message;
                    self.step(node.index(), Input::Deliver { from, message });
                }
            }
        }
    }

    fn heights(&self) -> Vec<Height> {
        self.ledgers.iter().map(Ledger::height).collect()
    }
}

#[test]
fn real_signatures_carry_a_decision_through_a_view_change() {
    let mut stage = Signed4::new();
    let transaction = |n| Transaction::new(TransactionId::new(NodeId(9), n), SignedCall::sample(n));
    stage.step(0, Input::Submit(transaction(1)));
    stage.settle(None);
    assert_eq!(stage.heights(), [1, 1, 1, 1]);
    let n0 = Some(NodeId(0));
    for node in 1..4 {
        stage.step(node, Input::Submit(transaction(2)));
    }
    for _ in 0..2 {
        stage.settle(n0);
        for node in 1..4 {
            stage.step(node, Input::Timeout(Timer::View));
        }
    }
    stage.settle(n0);
    assert_eq!(stage.heights(), [1, 2, 2, 2]);
    // n0 returns and asks: the proof of the view and the checkpoint convince it.
    stage.step(0, Input::Start);
    stage.settle(None);
    assert_eq!(stage.heights(), [2, 2, 2, 2]);
    assert_eq!(stage.replicas[0].status().leader, Some(NodeId(1)));
}

/// How far the others come after a leader that has them vote for a batch that it gives to nobody,
/// with another one in its place.
fn heights_after_a_batch_that_nobody_has(mutant: Option<Mutant>) -> Vec<Height> {
    let mut stage = Signed4::with(mutant);
    let transaction = |n| Transaction::new(TransactionId::new(NodeId(9), n), SignedCall::sample(n));
    let batch = |n| Batch::new(vec![transaction(n)]);
    let vote = stage.signers[0].sign(Vote {
        phase: Phase::Prepare,
        view: 0,
        height: 1,
        digest: batch(7).digest(),
    });
    for node in 1..4 {
        let message = &Message::PrePrepare {
            vote: vote.clone(),
            batch: batch(1),
        };
        let from = NodeId(0);
        stage.step(node, Input::Deliver { from, message });
        stage.step(node, Input::Submit(transaction(1)));
    }
    for _ in 0..4 {
        stage.settle(Some(NodeId(0)));
        for node in 1..4 {
            stage.step(node, Input::Timeout(Timer::View));
        }
    }
    stage.settle(Some(NodeId(0)));
    stage.heights()[1..].to_vec()
}

#[test]
fn nobody_votes_for_a_batch_that_it_was_not_given() {
    assert_eq!(heights_after_a_batch_that_nobody_has(None), [1, 1, 1]);
    let stuck = heights_after_a_batch_that_nobody_has(Some(Mutant::NoDigestCheck));
    assert_eq!(stuck, [0, 0, 0], "what is prepared must be decided first");
}

#[test]
fn a_checkpoint_of_one_committee_proves_nothing_to_its_successor() {
    let (signers, keyring) = Signer::mint(4, Crypto::Modelled, 1);
    let committee = Committee::first(4);
    let (config, first) = (Config::default(), 1 << 32);
    let law = Law {
        config: &config,
        committee: &committee,
        keyring: &keyring,
        views: Views {
            first,
            end: first * 2,
        },
    };
    let reached = |since| {
        let checkpoint = Checkpoint {
            since,
            height: config.checkpoint_interval,
            chain: Digest::ZERO,
            block: Digest::ZERO,
        };
        let mut certificate = Certificate::open(checkpoint);
        for signer in &signers {
            certificate.add(&signer.sign(checkpoint), &committee);
        }
        certificate
    };
    let change = |since| ViewChange {
        view: first + 1,
        stable: Some(reached(since)),
        prepared: Vec::new(),
        accepted: Vec::new(),
    };
    assert!(law.is_reached(&reached(first)) && law.is_sound(&change(first)));
    // The same members have signed it, in the committee before.
    assert!(!law.is_reached(&reached(0)));
    assert!(!law.is_sound(&change(0)));
}
