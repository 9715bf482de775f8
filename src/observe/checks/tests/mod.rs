//! For each check a run that passes, and runs that fire it and no other.

mod certificates;
mod laws;
mod liveness;
mod safety;
mod sharing;

use std::sync::Arc;

use super::*;
use crate::base::crypto::Digest;
use crate::base::time::Span;
use crate::chain::{Batch, Height, Transaction};
use crate::contract::SignedCall;
use crate::observe::story::{Story, batch, ms, transaction};
use crate::sim::event::Volume;

fn setup(dishonest: &[usize]) -> CheckSetup {
    let mut set = PositionSet::new();
    for node in dishonest {
        set.insert(*node);
    }
    CheckSetup {
        nodes: 4,
        dishonest: set,
        flat: true,
        in_parts: false,
        quorums: crate::protocol::Quorums::default(),
    }
}

fn judge(healed: u64, bound: u64) -> LivenessJudge {
    LivenessJudge {
        healed_at: ms(healed),
        bound: Span::from_millis(bound),
        soon: Span::from_millis(bound),
        recoverable: true,
    }
}

fn watch(story: &Story, setup: CheckSetup) -> Checks {
    let mut checks = Checks::new(setup);
    story.play(&mut checks);
    checks
}

/// The properties that a story breaks, safety only: it ends before liveness can be judged.
#[track_caller]
fn broken(story: &Story, dishonest: &[usize]) -> Vec<Property> {
    let end = ms(story.clock);
    let checks = watch(story, setup(dishonest));
    let verdict = checks.finish(end, &judge(story.clock, 1), &Totals::default());
    let word = match verdict.total {
        0 => Word::Holds,
        _ => Word::Violated,
    };
    assert_eq!(verdict.safety, word, "{:?}", verdict.violations);
    assert_eq!(verdict.liveness, Word::Inconclusive);
    assert!(
        verdict
            .violations
            .iter()
            .all(|v| !v.detail.contains([',', '"']))
    );
    verdict.violations.iter().map(|v| v.property).collect()
}

/// Four nodes decide the same two blocks, and the client is told so.
fn calm() -> Story {
    let mut story = Story::new(4);
    story.submit(&[1, 2, 3]);
    story.report(0, Report::Leads { view: 1 });
    for node in 0..4 {
        story.report(node, logged(1, 1, 10)).decide(node, &[1, 2]);
    }
    story.answer_truly(1, 1, 0).answer_truly(2, 1, 0);
    for node in 0..4 {
        story.report(node, logged(2, 1, 20)).decide(node, &[3, 1]);
    }
    story.answer_truly(3, 2, 0);
    story
}

fn logged(index: u64, term: u64, prefix: u64) -> Report {
    Report::Logged {
        index,
        term,
        prefix,
    }
}

fn prepared(view: u64, height: Height, number: u64) -> Report {
    Report::Prepared {
        view,
        height,
        digest: batch(&[number]).digest(),
    }
}

fn accuses(culprit: u16, offence: Offence) -> Report {
    Report::Accuses {
        culprit: NodeId(culprit),
        offence,
    }
}

/// The same block with something about it changed.
fn altered(block: &Block, change: impl Fn(&mut Block)) -> Arc<Block> {
    let mut altered = Block {
        height: block.height,
        parent: block.parent,
        batch: block.batch.clone(),
        state: block.state,
        executed: block.executed.clone(),
        digest: block.digest,
    };
    change(&mut altered);
    Arc::new(altered)
}
