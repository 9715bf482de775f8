//! Tests of whole replicas that stop in the middle of a step, which a story cannot tell.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;
use crate::base::crypto::{Crypto, Keyring, Signer};
use crate::base::random::{Random, Stream};
use crate::base::time::Time;
use crate::chain::ledger::{Executor, Ledger};
use crate::chain::{Transaction, TransactionId};
use crate::contract::{SignedCall, State};
use crate::protocol::mempool::BatchRule;
use crate::protocol::{Effect, Surroundings, To};

const NODES: usize = 8;

/// An upper group of four and a group of four on a network without delay.
struct Eight {
    replicas: Vec<Mbft>,
    signers: Vec<Signer>,
    keyring: Keyring,
    ledgers: Vec<Ledger>,
    executor: Executor,
    random: Random,
    /// Who sent what to whom.
    letters: VecDeque<(NodeId, To, Message)>,
    /// Who stops before it executes the block at which height.
    fragile: BTreeMap<usize, Height>,
    down: BTreeSet<usize>,
    /// Whose large blocks are kept back, and those.
    deaf: Option<usize>,
    kept: Vec<(NodeId, Message)>,
    /// How often somebody has asked for bodies.
    fetched: usize,
}

impl Eight {
    /// With a checkpoint at every height.
    fn new() -> Self {
        Self::with(&Config::default())
    }

    fn with(config: &Config) -> Self {
        let (signers, keyring) = Signer::mint(NODES, Crypto::Modelled, 1);
        let config = Config {
            groups: Some(1),
            upper: pbft::Config {
                checkpoint_interval: 1,
                window: 2,
                pipeline: 1,
                ..pbft::Config::default()
            },
            ..config.clone()
        };
        let setup = |me| Setup {
            committee: Committee::first(NODES),
            me,
            batch: BatchRule {
                max: 1,
                wait: Span::ZERO,
                ..BatchRule::default()
            },
        };
        let replica = |node| Mbft::new(&config, setup(NodeId::at(node)));
        let mut network = Self {
            replicas: (0..NODES).map(replica).collect(),
            signers,
            keyring,
            ledgers: vec![Ledger::new(); NODES],
            executor: Executor::new(State::default()),
            random: Random::new(1, Stream::Test),
            letters: VecDeque::new(),
            fragile: BTreeMap::new(),
            down: BTreeSet::new(),
            deaf: None,
            kept: Vec::new(),
            fetched: 0,
        };
        for node in 0..NODES {
            network.step(node, Input::Start);
        }
        network
    }

    fn step(&mut self, node: usize, input: Input<'_, Message, Timer>) {
        let before = (self.replicas[node].clone(), self.ledgers[node].clone());
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
        let mut written = None;
        let mut executed = before.1.height();
        for effect in effects {
            match effect {
                Effect::Execute(block) if self.fragile.get(&node) == Some(&block.height) => {
                    // What it has written by now is on disk, and no later block is.
                    match written {
                        Some(height) => self.ledgers[node].truncate(height),
                        None => (self.replicas[node], self.ledgers[node]) = before,
                    }
                    self.down.insert(node);
                    return;
                }
                Effect::Execute(block) => executed = block.height,
                Effect::Persist => written = Some(executed),
                Effect::Send { to, message } => {
                    if let Message::Upper {
                        message: pbft::Message::Checkpoint(vote),
                        ..
                    } = &message
                    {
                        let height = vote.body().height;
                        assert!(height <= executed, "n{node} has not executed {height}");
                    }
                    self.fetched += usize::from(matches!(message, Message::FetchMinis(_)));
                    self.letters.push_back((me, to, message));
                }
                _ => {}
            }
        }
    }

    /// Delivers everything but what goes to nodes that are down.
    fn settle(&mut self) {
        while let Some((from, to, message)) = self.letters.pop_front() {
            for node in 0..NODES {
                let meant = match &to {
                    To::One(one) => one.index() == node,
                    To::All(all) => all.contains(NodeId::at(node)) && node != from.index(),
                };
                if meant && self.deaf == Some(node) && matches!(message, Message::Large(_)) {
                    self.kept.push((from, message.clone()));
                } else if meant && !self.down.contains(&node) {
                    let message = &message;
                    self.step(node, Input::Deliver { from, message });
                }
            }
        }
    }

    fn submit(&mut self, number: u64) {
        let id = TransactionId::new(NodeId::at(NODES), number);
        let transaction = Transaction::new(id, SignedCall::sample(number));
        self.step(4, Input::Submit(transaction));
        self.settle();
    }

    fn heights(&self) -> Vec<Height> {
        self.ledgers.iter().map(Ledger::height).collect()
    }
}

#[test]
fn a_block_survives_that_the_whole_upper_group_stops_before_it_executes_it() {
    let mut network = Eight::new();
    network.submit(0);
    assert_eq!(network.heights(), [1; NODES]);
    network.fragile = (0..4).map(|node| (node, 2)).collect();
    network.submit(1);
    assert_eq!(network.heights(), [1; NODES]);
    network.fragile.clear();
    for node in std::mem::take(&mut network.down) {
        network.step(node, Input::Start);
    }
    network.settle();
    assert_eq!(network.heights(), [2; NODES]);
    network.submit(2);
    assert_eq!(network.heights(), [3; NODES]);
}

#[test]
fn a_body_is_kept_though_a_crash_undoes_its_block() {
    let mut network = Eight::with(&Config {
        publish: Publish::Sparse,
        selection: Selection::Fixed,
        window: 2,
        ..Config::default()
    });
    // n5 hears of the second block before it hears of the first, and stops between the two.
    (network.deaf, network.fragile) = (Some(5), BTreeMap::from([(5, 2)]));
    network.submit(0);
    network.submit(1);
    network.deaf = None;
    for (from, message) in std::mem::take(&mut network.kept).into_iter().rev() {
        let message = &message;
        network.step(5, Input::Deliver { from, message });
    }
    assert!(network.down.remove(&5));
    assert_eq!(network.heights(), [2, 2, 2, 2, 2, 1, 2, 2]);
    network.fragile.clear();
    network.step(5, Input::Start);
    network.fetched = 0;
    while network.heights()[5] < 2 {
        network.step(5, Input::Timeout(Timer::Quiet));
        network.settle();
    }
    assert!(network.replicas[5].durable.shelf.is_whole());
    assert_eq!(network.fetched, 0, "it had the body");
}
