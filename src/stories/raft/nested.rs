//! RAFT inside another protocol: its decisions go to the parent, after a crash from the first on.

use super::{AT_ONCE, Chaos, plain};
use crate::base::node::NodeId;
use crate::base::time::Span;
use crate::protocol::raft::{Config, Message, Raft, Timer};
use crate::protocol::{Context, FaultModel, Input, Misfit, Protocol, Retry, Setup, Status, Wire};
use crate::stories::Stage;

/// Decides what the RAFT inside it decides.
#[derive(Clone, Debug)]
struct Parent {
    child: Raft,
}

#[derive(Clone, Debug)]
struct Inner(Message);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct InnerTimer(Timer);

impl Wire for Inner {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn kinds() -> Vec<&'static str> {
        Message::kinds()
    }

    fn size(&self) -> u32 {
        self.0.size()
    }
}

impl Protocol for Parent {
    const NAME: &'static str = "parent";
    const ABOUT: &'static str = "decides what the protocol inside it decides";
    const FAULTS: FaultModel = FaultModel::Crash;
    const RETRY: Retry = Retry::Next;
    type Config = Config;
    type Message = Inner;
    type Timer = InnerTimer;

    fn check(config: &Config, n: usize) -> Vec<Misfit> {
        Raft::check(config, n)
    }

    fn liveness_bound(config: &Config, n: usize, delay: Span) -> Span {
        Raft::liveness_bound(config, n, delay)
    }

    fn new(config: &Config, setup: Setup) -> Self {
        Self {
            child: Raft::nested(config, setup),
        }
    }

    fn step(
        &mut self,
        input: Input<'_, Inner, InnerTimer>,
        cx: &mut Context<'_, Inner, InnerTimer>,
    ) {
        let input = match input {
            Input::Start => Input::Start,
            Input::Deliver { from, message } => Input::Deliver {
                from,
                message: &message.0,
            },
            Input::Timeout(InnerTimer(timer)) => Input::Timeout(timer),
            Input::Submit(transaction) => Input::Submit(transaction),
        };
        let decisions = cx.nest(Inner, InnerTimer, |cx| self.child.step(input, cx));
        for decision in decisions {
            if decision.height > cx.ledger().height() {
                cx.decide(decision.height, &decision.batch);
            }
        }
    }

    fn status(&self) -> Status {
        self.child.status()
    }
}

#[test]
fn a_parent_decides_what_the_protocol_inside_decides() {
    let mut stage: Stage<Parent> = Stage::new(plain(), 3, AT_ONCE);
    stage.fire_named(NodeId(0), "InnerTimer(Election");
    stage.settle(&[]);
    stage.submit(NodeId(1));
    stage.settle(&[]);
    assert_eq!(stage.ledger(NodeId(0)).height(), 2);
}

#[test]
fn a_nested_replica_survives_rough_weather() {
    for seed in 0..60 {
        Chaos::rough(3, seed).survive::<Parent>(plain());
    }
}
