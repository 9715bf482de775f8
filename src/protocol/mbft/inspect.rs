//! What must hold of every chain of MBFT, whoever made it: one mini-block for each slot, certified
//! by enough members of the group of that epoch, in the order of slots; credit as the chain has it;
//! and signatures that hold wherever a group answers for them.

use super::config::Config;
use super::large::{Large, MiniRef};
use super::mini::needed;
use super::register::Register;
use crate::chain::ledger::Executor;
use crate::chain::{Block, Height};
use crate::protocol::Inspector;

/// Somebody who follows the chain and believes nobody.
#[derive(Debug)]
pub struct Follower {
    register: Register,
    executor: Executor,
}

impl Follower {
    /// Follows the chain of n nodes that starts like this executor.
    pub fn new(config: &Config, n: usize, executor: Executor) -> Self {
        let register = Register::genesis(config, n);
        Self { register, executor }
    }

    /// What is wrong with a mini-block that a block refers to.
    fn wrong(&self, mini: &MiniRef) -> Option<String> {
        let name = format!("mini-block {} of group {}", mini.slot, mini.group);
        let (Some(group), Some(standing)) = (
            self.register.roles.group(mini.group),
            self.register.groups.get(usize::from(mini.group)),
        ) else {
            return Some(format!("{name}: there is no such group"));
        };
        if mini.slot != standing.slot + 1 {
            return Some(format!("{name} follows mini-block {}", standing.slot));
        }
        let needed = needed(mini.phase, group);
        let signers = mini.signers.len();
        let enough = signers >= needed && mini.signers.all_below(group.n());
        (!enough).then(|| format!("{name} has {signers} signatures of {needed}"))
    }
}

impl Inspector for Follower {
    fn height(&self) -> Height {
        self.register.height
    }

    fn inspect(&mut self, block: &Block) -> Vec<String> {
        let mut wrong = Vec::new();
        if let Some(large) = block.batch.annex::<Large>() {
            wrong.extend(large.minis.iter().filter_map(|mini| self.wrong(mini)));
            let groups = large.minis.windows(2);
            if groups
                .into_iter()
                .any(|pair| pair[0].group >= pair[1].group)
            {
                wrong.push("a group has two mini-blocks in one large block".to_owned());
            }
            if large.credit != self.register.credit.root() {
                wrong.push("the credit in the block is not what the chain says".to_owned());
            }
            for signed in &large.system {
                if !self.register.permits(signed.by(), signed.body()) {
                    let (by, kind) = (signed.by(), signed.body().kind());
                    wrong.push(format!("the {kind} of {by} is not what was committed to"));
                }
            }
            if (large.height, large.epoch) != (block.height, self.register.roles.epoch) {
                wrong.push("the block is made for another place".to_owned());
            }
        }
        let transactions = block.batch.transactions().iter().enumerate();
        for (place, transaction) in transactions {
            if block.batch.vouches(place) && !self.executor.vouches(transaction) {
                let id = transaction.id;
                wrong.push(format!(
                    "a group answers for {id:?}, whose signatures do not hold"
                ));
            }
        }
        self.register.apply(block);
        wrong
    }
}
