//! Random runs: honest ones are never suspected, and one lie is never missed.

use super::*;
use crate::base::random::{Random, Stream};
use crate::observe::story::CLIENT;

const NODES: u16 = 4;
const SEEDS: u64 = 60;

/// What a node decides instead of a block at some step, if anything.
type Lie<'a> = &'a mut dyn FnMut(u64, &Arc<Block>) -> Option<Arc<Block>>;

/// A run in which one chain of blocks is decided by all nodes, each at its own pace, through
/// crashes and snapshots. `lie` replaces what a node is told to decide.
fn wander(seed: u64, lie: Lie<'_>) -> Story {
    let mut random = Random::new(seed, Stream::Test);
    let mut story = Story::new(1);
    let mut chain: Vec<Arc<Block>> = Vec::new();
    let mut heights = [0_usize; NODES as usize];
    let mut submitted = 0;
    for step in 0..300 {
        let node = random.below(u64::from(NODES)) as u16;
        let height = heights[usize::from(node)];
        match random.below(20) {
            0..4 => {
                submitted += 1;
                story.submit(&[submitted]);
            }
            4..16 => {
                if height == chain.len() {
                    // A retried transaction may stand in the chain twice.
                    let again = submitted.saturating_sub(random.below(4));
                    let numbers: Vec<u64> = (again.max(1)..=submitted).collect();
                    chain.push(story.block(0, &numbers));
                }
                let block = chain[height].clone();
                let block = lie(step, &block).unwrap_or(block);
                story.decide_block(node, &block);
                heights[usize::from(node)] += 1;
            }
            16..18 if height > 0 => {
                let kept = random.below(height as u64 + 1);
                story.tell(node, Event::Crashed);
                let amnesia = false;
                let height = kept;
                story.tell(node, Event::Restarted { height, amnesia });
                heights[usize::from(node)] = kept as usize;
            }
            18 if height < chain.len() => {
                let block = chain[chain.len() - 1].clone();
                story.tell(node, Event::Installed { block });
                heights[usize::from(node)] = chain.len();
            }
            _ => answer_something(&mut story, &chain, &mut random),
        }
    }
    story
}

/// The client is told what the chain says about some transaction.
fn answer_something(story: &mut Story, chain: &[Arc<Block>], random: &mut Random) {
    let Some(block) = chain.get(random.below(chain.len() as u64 + 1) as usize) else {
        return;
    };
    if let Some(transaction) = block.batch.transactions().first() {
        let answered = Event::Answered {
            transaction: transaction.id,
            endorsed: None,
            submitted: Time::ZERO,
            height: Some(block.height),
            executed: block.executed[0].clone(),
        };
        story.tell(CLIENT.0, answered);
    }
}

#[test]
fn honest_runs_are_never_suspected() {
    let mut decided = 0;
    for seed in 0..SEEDS {
        let story = wander(seed, &mut |_, _| None);
        let checks = watch(&story, setup(&[]));
        decided += checks.strands[0].chain.top();
        let verdict = checks.finish(ms(story.clock), &judge(0, 10_000), &Totals::default());
        assert_eq!(verdict.violations, [], "seed {seed}");
    }
    assert!(
        decided > SEEDS * 20,
        "{decided} blocks are too few to show anything"
    );
}

#[test]
fn one_lie_is_never_missed() {
    let mut told = 0;
    for seed in 0..SEEDS {
        let mut lied = false;
        let story = wander(seed, &mut |step, block| {
            if lied || step < 50 + seed {
                return None;
            }
            lied = true;
            Some(altered(block, |block| {
                block.digest.0[31] ^= 1;
                match seed % 3 {
                    0 => block.batch = batch(&[9_999]),
                    1 => block.state.0[0] ^= 1,
                    _ => block.parent.0[0] ^= 1,
                }
            }))
        });
        told += u64::from(lied);
        let checks = watch(&story, setup(&[]));
        let verdict = checks.finish(ms(story.clock), &judge(0, 10_000), &Totals::default());
        assert_eq!(verdict.safety, Word::Violated, "seed {seed}");
    }
    assert_eq!(told, SEEDS);
}
