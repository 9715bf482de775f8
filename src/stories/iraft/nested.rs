//! The improved RAFT inside another protocol: the group decides what its parent proposes, and the
//! parent learns who leads it and why.

use std::sync::Arc;

use super::{AT_ONCE, Chaos, hardened, paper};
use crate::base::node::NodeId;
use crate::base::time::Span;
use crate::chain::{Batch, Transaction};
use crate::protocol::iraft::{Config, Iraft, Message, Timer, verify_decision};
use crate::protocol::{
    Context, FaultModel, Input, Misfit, Protocol, Report, Retry, Setup, Status, Wire,
};
use crate::stories::Stage;

/// Has the group inside decide each transaction by itself, through whoever leads it.
#[derive(Clone, Debug)]
struct Parent {
    config: Config,
    setup: Setup,
    child: Iraft,
    waiting: Vec<Arc<Transaction>>,
}

#[derive(Clone, Debug)]
enum Outer {
    Group(Box<Message>),
    Ask(Arc<Transaction>),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct OuterTimer(Timer);

type Cx<'a> = Context<'a, Outer, OuterTimer>;

impl Wire for Outer {
    fn kind(&self) -> &'static str {
        match self {
            Self::Group(message) => message.kind(),
            Self::Ask(_) => "ask",
        }
    }

    fn kinds() -> Vec<&'static str> {
        [Message::kinds(), vec!["ask"]].concat()
    }

    fn size(&self) -> u32 {
        match self {
            Self::Group(message) => message.size(),
            Self::Ask(transaction) => transaction.size(),
        }
    }
}

fn wrap(message: Message) -> Outer {
    Outer::Group(Box::new(message))
}

impl Parent {
    /// Runs the group, and decides what it has decided.
    fn run(&mut self, input: Input<'_, Message, Timer>, cx: &mut Cx<'_>) {
        let decisions = cx.nest(wrap, OuterTimer, |cx| self.child.step(input, cx));
        for decision in decisions {
            self.take(decision.height, &decision.batch, cx);
        }
        self.propose(cx);
    }

    fn take(&mut self, height: u64, batch: &Batch, cx: &mut Cx<'_>) {
        if let Some(proof) = self.child.proof_of(height) {
            let group = (&self.setup.committee, &self.config, cx.keyring());
            let proven = verify_decision(&proof, group.0, group.1, group.2);
            assert_eq!(proven, Some((height, batch.digest())));
            cx.report(Report::Reached("a decision is proven"));
        }
        let decided = |t: &Arc<Transaction>| batch.transactions().iter().any(|d| d.id == t.id);
        self.waiting.retain(|transaction| !decided(transaction));
        if height > cx.ledger().height() {
            cx.decide(height, batch);
        }
    }

    /// Proposes what waits, or asks the leader to.
    fn propose(&mut self, cx: &mut Cx<'_>) {
        let Some((leader, election)) = self.child.election() else {
            return;
        };
        assert_eq!(election.certificate.body().candidate, leader);
        for transaction in std::mem::take(&mut self.waiting) {
            if leader != cx.me() {
                cx.send(leader, Outer::Ask(transaction));
                continue;
            }
            let batch = Batch::new(vec![transaction.clone()]);
            let mut room = false;
            let decisions = cx.nest(wrap, OuterTimer, |cx| {
                room = self.child.propose_batch(batch, cx);
            });
            if !room {
                self.waiting.push(transaction);
            }
            for decision in decisions {
                self.take(decision.height, &decision.batch, cx);
            }
        }
    }
}

impl Protocol for Parent {
    const NAME: &'static str = "parent";
    const ABOUT: &'static str = "decides what the group inside it decides";
    const FAULTS: FaultModel = FaultModel::Byzantine;
    const RETRY: Retry = Retry::All;
    type Config = Config;
    type Message = Outer;
    type Timer = OuterTimer;

    fn check(config: &Config, n: usize) -> Vec<Misfit> {
        Iraft::check(config, n)
    }

    fn liveness_bound(config: &Config, n: usize, delay: Span) -> Span {
        Iraft::liveness_bound(config, n, delay)
    }

    fn new(config: &Config, setup: Setup) -> Self {
        Self {
            config: config.clone(),
            setup: setup.clone(),
            child: Iraft::nested(config, setup),
            waiting: Vec::new(),
        }
    }

    fn step(&mut self, input: Input<'_, Outer, OuterTimer>, cx: &mut Cx<'_>) {
        match input {
            Input::Start => {
                self.waiting.clear();
                self.run(Input::Start, cx);
            }
            Input::Deliver { from, message } => match message {
                Outer::Group(message) => self.run(Input::Deliver { from, message }, cx),
                Outer::Ask(transaction) => {
                    self.waiting.push(transaction.clone());
                    self.propose(cx);
                }
            },
            Input::Timeout(OuterTimer(timer)) => self.run(Input::Timeout(timer), cx),
            Input::Submit(transaction) => {
                self.waiting.push(transaction);
                self.propose(cx);
            }
        }
    }

    fn status(&self) -> Status {
        self.child.status()
    }
}

#[test]
fn a_group_decides_the_batches_of_its_parent() {
    let mut stage: Stage<Parent> = Stage::new(hardened(), 4, AT_ONCE);
    stage.fire_named(NodeId(0), "OuterTimer(Election");
    stage.settle(&[]);
    stage.submit(NodeId(1));
    stage.submit(NodeId(0));
    stage.settle(&[]);
    assert_eq!(stage.ledger(NodeId(3)).height(), 3);
    assert_eq!(stage.unexecuted(NodeId(3)), [0; 0]);
}

#[test]
fn a_leader_decides_again_a_log_longer_than_what_is_watched() {
    let mut stage: Stage<Parent> = Stage::new(paper(), 2, AT_ONCE);
    stage.fire_named(NodeId(0), "OuterTimer(Election");
    stage.settle(&[]);
    for _ in 0..4100 {
        stage.submit(NodeId(0));
        stage.settle(&[]);
    }
    assert_eq!(stage.ledger(NodeId(0)).height(), 4101);
    stage.crash(NodeId(0));
    stage.restart(NodeId(0), false);
    stage.fire_named(NodeId(0), "OuterTimer(Election");
    stage.settle(&[]);
    assert_eq!(stage.ledger(NodeId(0)).height(), 4102);
}

#[test]
fn a_nested_group_survives_rough_weather() {
    for seed in 0..60 {
        Chaos::rough(4, seed).survive::<Parent>(hardened());
        Chaos::rough(3, seed).survive::<Parent>(paper());
    }
}
