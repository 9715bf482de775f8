//! Protocols inside protocols: the parent runs the child in a context of its own, and decides what
//! becomes of what the child does.

use std::sync::Arc;

use super::{Context, Decision, Effect, Report, Surroundings};
use crate::base::crypto::{Keyring, Signer};
use crate::base::node::NodeId;
use crate::chain::Block;

/// In whose name a nested protocol acts.
#[derive(Clone, Copy, Debug)]
pub struct Guise<'a> {
    /// Who the replica is among those it speaks to.
    pub me: NodeId,
    /// Signs for it.
    pub signer: &'a Signer,
    /// Verifies what it is told.
    pub keyring: &'a Keyring,
}

/// After how many effects of a nested protocol it has decided what.
pub(super) type Placed = (usize, Decision);

/// What a nested protocol did in one step.
#[derive(Debug)]
pub struct Inside<M, T> {
    /// In order; none has taken place.
    pub effects: Vec<Effect<M, T>>,
    /// What it has decided.
    pub decisions: Vec<Decision>,
}

impl<'a, M, T> Context<'a, M, T> {
    /// Signs for this node; for the guise of a nested protocol.
    pub fn signer(&self) -> &Signer {
        self.around.signer
    }

    /// Does what a nested protocol wanted done, in words of the parent.
    pub fn perform(&mut self, effect: Effect<M, T>) {
        self.effects.push(effect);
    }

    /// Runs a sub-protocol under another name, and hands what it does to the parent.
    pub fn nest_as<M2, T2>(
        &mut self,
        guise: Guise<'_>,
        run: impl FnOnce(&mut Context<'_, M2, T2>),
    ) -> Inside<M2, T2> {
        let (effects, placed) = self.run_as(guise, run);
        let decisions = placed.into_iter().map(|(_, decision)| decision).collect();
        Inside { effects, decisions }
    }

    /// What a sub-protocol does, and after how many effects it decides what.
    fn run_as<M2, T2>(
        &mut self,
        guise: Guise<'_>,
        run: impl FnOnce(&mut Context<'_, M2, T2>),
    ) -> (Vec<Effect<M2, T2>>, Vec<Placed>) {
        let mut effects = Vec::new();
        let around = Surroundings {
            signer: guise.signer,
            keyring: guise.keyring,
            random: self.around.random,
            ledger: self.around.ledger,
            executor: self.around.executor,
            careless: self.around.careless,
        };
        let mut inner = Context {
            me: guise.me,
            now: self.now,
            around,
            effects: &mut effects,
            nested: Some(Vec::new()),
        };
        run(&mut inner);
        let placed = inner.nested.take();
        let placed = placed.expect("a nested context collects decisions");
        (effects, placed)
    }

    /// Runs a sub-protocol: its messages and timers travel inside ours, its decisions come back
    /// to us.
    pub fn nest<M2, T2>(
        &mut self,
        message: impl Fn(M2) -> M,
        timer: impl Fn(T2) -> T,
        run: impl FnOnce(&mut Context<'_, M2, T2>),
    ) -> Vec<Decision> {
        self.nest_reporting(message, timer, Some, run)
    }

    /// Runs a sub-protocol, and passes on of its reports what `report` makes of them.
    pub fn nest_reporting<M2, T2>(
        &mut self,
        message: impl Fn(M2) -> M,
        timer: impl Fn(T2) -> T,
        report: impl Fn(Report) -> Option<Report>,
        run: impl FnOnce(&mut Context<'_, M2, T2>),
    ) -> Vec<Decision> {
        let inside = self.nest_as(self.guise(), run);
        self.perform_inside(inside.effects, message, timer, report);
        inside.decisions
    }

    /// Runs a sub-protocol whose decisions are the blocks of this node's chain, and returns those
    /// that are new. Each is executed where it is decided among all that is done, as if the
    /// sub-protocol were alone: after the vote that completes it is on disk, and before anything
    /// is said of blocks that are.
    pub fn nest_executing<M2, T2>(
        &mut self,
        message: impl Fn(M2) -> M,
        timer: impl Fn(T2) -> T,
        report: impl Fn(Report) -> Option<Report>,
        run: impl FnOnce(&mut Context<'_, M2, T2>),
    ) -> Vec<Arc<Block>> {
        let (mut effects, placed) = self.run_as(self.guise(), run);
        let (mut blocks, mut done) = (Vec::new(), 0);
        for (place, Decision { height, batch }) in placed {
            if height <= self.ledger().height() {
                continue; // Decided before a crash.
            }
            let before = effects.drain(..place - done).collect();
            self.perform_inside(before, &message, &timer, &report);
            done = place;
            self.decide(height, &batch);
            let block = self.ledger().block(height);
            blocks.push(block.expect("it was just added").clone());
        }
        self.perform_inside(effects, message, timer, report);
        blocks
    }

    /// The name of this node itself.
    pub fn guise(&self) -> Guise<'a> {
        Guise {
            me: self.me,
            signer: self.around.signer,
            keyring: self.around.keyring,
        }
    }

    /// Does what a nested protocol wanted done: its messages and timers travel inside ours, and of
    /// its reports goes on what `report` makes of them.
    pub fn perform_inside<M2, T2>(
        &mut self,
        effects: Vec<Effect<M2, T2>>,
        message: impl Fn(M2) -> M,
        timer: impl Fn(T2) -> T,
        report: impl Fn(Report) -> Option<Report>,
    ) {
        for effect in effects {
            let effect = match effect {
                Effect::Send { to, message: inner } => Effect::Send {
                    to,
                    message: message(inner),
                },
                other => match other.without_message(&timer, &report) {
                    Some(effect) => effect,
                    None => continue,
                },
            };
            self.effects.push(effect);
        }
    }
}

impl<M, T> Effect<M, T> {
    /// What a nested protocol wanted done besides sending, in words of the parent; nothing if the
    /// parent keeps a report to itself.
    pub fn without_message<M2, T2>(
        self,
        timer: impl Fn(T) -> T2,
        report: impl Fn(Report) -> Option<Report>,
    ) -> Option<Effect<M2, T2>> {
        Some(match self {
            Self::Send { .. } => return None,
            Self::SetTimer {
                timer: inner,
                after,
            } => Effect::SetTimer {
                timer: timer(inner),
                after,
            },
            Self::CancelTimer { timer: inner } => Effect::CancelTimer {
                timer: timer(inner),
            },
            Self::Sign(count) => Effect::Sign(count),
            Self::Verify(count) => Effect::Verify(count),
            Self::Persist => Effect::Persist,
            Self::Execute(block) => Effect::Execute(block),
            Self::Install(block) => Effect::Install(block),
            Self::Answer(transaction, receipt) => Effect::Answer(transaction, receipt),
            Self::Report(inner) => Effect::Report(report(inner)?),
        })
    }
}
