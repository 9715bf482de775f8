//! The ledger of one node, and the execution that all nodes of a host group share.
//!
//! Executing one batch after one parent block is a pure function, so its result is remembered:
//! the first node to decide a block executes it, the others of its group look it up. What a node
//! gets is what it would have computed itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::by_transaction::ByTransaction;
use super::execution::{self, Effects, Endorsement, Execution, Version, Versions};
use super::{Batch, Block, Executed, Height, Transaction, TransactionId};
use crate::base::crypto::{Digest, Hasher};
#[cfg(any(test, feature = "mutants"))]
use crate::base::random::mix;
use crate::contract::rules::Mutant;
use crate::contract::{Key, Receipt, SignedCall, State};

/// Everything executing blocks depends on and changes: the contract's state, the names of the
/// transactions executed so far, and where endorsed transactions are validated the versions of
/// all entries.
#[derive(Clone, Debug)]
pub struct World {
    state: State,
    executed: ByTransaction<()>,
    versions: Versions<Key>,
}

/// How ordered transactions take effect, and the state in which the chain began.
type Law<'a> = (&'a Execution, &'a State);

/// A point in the chain with the state there, which a node that is behind can adopt.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The last block the snapshot includes.
    pub block: Arc<Block>,
    /// The state after it.
    pub world: Arc<World>,
    /// What clients are told who ask again.
    answers: Arc<Answers>,
}

/// The blocks in which transactions took effect: a node that has not followed the chain would
/// otherwise answer a client that asks again with a place further on, where the transaction stands
/// once more, and its answer would match nobody's.
type Answers = BTreeMap<TransactionId, Arc<Block>>;

/// The name of a transaction, the height at which it took effect and what came of it.
const ANSWER_BYTES: u64 = 8 + 8 + 8;

impl Snapshot {
    /// Bytes on the wire.
    pub fn size(&self) -> u64 {
        128 + self.world.state.bytes() + ANSWER_BYTES * self.world.executed.len() as u64
    }
}

/// Executes blocks, remembering each result.
#[derive(Clone, Debug)]
pub struct Executor {
    execution: Execution,
    genesis: Arc<World>,
    /// Every block known, by its height; one at each, unless the chain has branches.
    known: BTreeMap<Height, Vec<Arc<Block>>>,
    /// The height of the first block known that holds a transaction.
    places: ByTransaction<Height>,
    /// Those of further blocks that hold it.
    repeated: BTreeMap<TransactionId, Vec<Height>>,
    /// States kept at the ends of branches, by the digest of the block they follow.
    tips: Vec<(Digest, World)>,
    /// States adopted from other nodes, from which a branch can be rebuilt.
    adopted: BTreeMap<Digest, Arc<World>>,
    /// How often it was asked for a block.
    #[cfg(any(test, feature = "mutants"))]
    asked: u64,
}

/// Branch ends kept alive at once. Honest runs have one; an equivocation has a few.
const TIPS_MAX: usize = 4;

impl Executor {
    /// An executor that starts from a state every node agrees on, and executes what is ordered.
    pub fn new(genesis: State) -> Self {
        Self::with(genesis, Execution::OrderExecute)
    }

    /// An executor that starts from a state every node agrees on.
    pub fn with(genesis: State, execution: Execution) -> Self {
        let genesis = Arc::new(World {
            state: genesis,
            executed: ByTransaction::new(),
            versions: Versions::default(),
        });
        Self {
            execution,
            tips: vec![(Digest::ZERO, World::clone(&genesis))],
            genesis,
            known: BTreeMap::new(),
            places: ByTransaction::new(),
            repeated: BTreeMap::new(),
            adopted: BTreeMap::new(),
            #[cfg(any(test, feature = "mutants"))]
            asked: 0,
        }
    }

    /// Whether a test makes what this executor does depend on what it did before, just now.
    #[cfg(any(test, feature = "mutants"))]
    fn strays(&self, mutant: Mutant) -> bool {
        self.genesis.state.rules().lack(mutant) && mix(1, self.asked) & 1 == 1
    }

    #[cfg(not(any(test, feature = "mutants")))]
    #[expect(clippy::unused_self, reason = "the other build asks the rules")]
    const fn strays(&self, _mutant: Mutant) -> bool {
        false
    }

    /// The state in which the chain begins, and how what is ordered takes effect.
    pub fn beginning(&self) -> (&State, &Execution) {
        (&self.genesis.state, &self.execution)
    }

    /// Whether the signatures of a transaction are those of whom it names, by the keys with which
    /// the chain began. Whoever answers for that spares the others from looking; what was endorsed
    /// everybody looks at.
    pub fn vouches(&self, transaction: &Transaction) -> bool {
        transaction.endorsement.is_none() && self.genesis.state.vouches(&transaction.call)
    }

    /// The block that `batch` makes after `parent` (nothing: the genesis) at `height`.
    fn block(&mut self, parent: Option<&Arc<Block>>, height: Height, batch: &Batch) -> Arc<Block> {
        let before = parent.map_or(Digest::ZERO, |block| block.digest);
        #[cfg(any(test, feature = "mutants"))]
        {
            self.asked += 1;
        }
        let mut known = self.known.get(&height).into_iter().flatten();
        let asked = (before, batch.digest());
        if let Some(block) = known.find(|block| (block.parent, block.batch.digest()) == asked) {
            return block.clone();
        }
        let tip = self.tip_after(before, height - 1);
        let late = Height::from(self.strays(Mutant::NodeClock));
        let backwards = self.strays(Mutant::MapOrder);
        let law = (&self.execution, &self.genesis.state);
        let world = &mut self.tips[tip].1;
        let executed = world.execute(height + late, (batch, backwards), law);
        let state = world.state.root();
        let digest = Hasher::new("block")
            .number(height)
            .digest(&before)
            .digest(&batch.digest())
            .digest(&state)
            .finish();
        self.tips[tip].0 = digest;
        let block = Arc::new(Block {
            height,
            parent: before,
            batch: batch.clone(),
            state,
            executed,
            digest,
        });
        self.known.entry(height).or_default().push(block.clone());
        for transaction in batch.transactions() {
            if self.places.get(transaction.id).is_none() {
                self.places.insert(transaction.id, height);
            } else {
                let further = self.repeated.entry(transaction.id);
                further.or_default().push(height);
            }
        }
        block
    }

    /// The block of a height that has this digest.
    fn known(&self, height: Height, digest: Digest) -> Option<&Arc<Block>> {
        let mut known = self.known.get(&height).into_iter().flatten();
        known.find(|block| block.digest == digest)
    }

    /// The heights of all known blocks that hold a transaction.
    fn heights(&self, id: TransactionId) -> impl Iterator<Item = Height> {
        let further = self.repeated.get(&id).into_iter().flatten();
        self.places.get(id).into_iter().chain(further.copied())
    }

    /// Which tip stands right after the block of this digest and height; made again if it moved
    /// on.
    fn tip_after(&mut self, digest: Digest, height: Height) -> usize {
        if let Some(tip) = self.tips.iter().position(|(at, _)| *at == digest) {
            return tip;
        }
        // A second branch grows from inside the chain: execute again what leads there.
        let mut path = Vec::new();
        let mut at = digest;
        let base = loop {
            if at == Digest::ZERO {
                break &self.genesis;
            }
            if let Some(world) = self.adopted.get(&at) {
                break world;
            }
            let block = self.known(height - path.len() as u64, at);
            let block = block.expect("a parent was executed or adopted");
            path.push(block.clone());
            at = block.parent;
        };
        let mut world = World::clone(base);
        let law = (&self.execution, &self.genesis.state);
        path.iter().rev().for_each(|block| world.replay(block, law));
        if self.tips.len() == TIPS_MAX {
            self.tips.remove(0);
        }
        self.tips.push((digest, world));
        self.tips.len() - 1
    }

    /// The state after this block; nothing: the genesis.
    fn world_after(&mut self, block: Option<&Arc<Block>>) -> &World {
        let (digest, height) =
            block.map_or((Digest::ZERO, 0), |block| (block.digest, block.height));
        let tip = self.tip_after(digest, height);
        &self.tips[tip].1
    }

    /// Takes over a state made elsewhere.
    fn adopt(&mut self, snapshot: &Snapshot) {
        let (height, digest) = (snapshot.block.height, snapshot.block.digest);
        if self.known(height, digest).is_none() {
            let known = self.known.entry(height).or_default();
            known.push(snapshot.block.clone());
            self.adopted.insert(digest, snapshot.world.clone());
        }
    }
}

impl World {
    /// Executes a batch in order, unless a test has it backwards; what was executed before is
    /// passed over.
    fn execute(
        &mut self,
        height: Height,
        (batch, backwards): (&Batch, bool),
        law: Law<'_>,
    ) -> Vec<Executed> {
        let (execution, genesis) = law;
        let again = genesis.rules().lack(Mutant::ExecutedAgain);
        let mut each = |(position, transaction): (usize, &Arc<Transaction>)| {
            if self.executed.insert(transaction.id, ()).is_some() && !again {
                return Executed::Before;
            }
            let at = Version {
                height,
                position: position as u32,
            };
            Executed::Now(match execution {
                Execution::OrderExecute if batch.vouches(position) => {
                    self.state.apply_vouched(height, &transaction.call, genesis)
                }
                Execution::OrderExecute => self.state.apply(height, &transaction.call),
                Execution::Validate { policy, keyring } => execution::validate(
                    transaction,
                    (policy, keyring),
                    at,
                    &mut self.state,
                    &mut self.versions,
                ),
            })
        };
        let numbered = batch.transactions().iter().enumerate();
        let executed = if backwards {
            let mut executed: Vec<_> = numbered.rev().map(&mut each).collect();
            executed.reverse();
            executed
        } else {
            numbered.map(&mut each).collect()
        };
        self.state.seal();
        executed
    }

    /// Executes the block after the last one executed here. What was endorsed need not be
    /// validated again: the block says what was valid.
    fn replay(&mut self, block: &Block, law: Law<'_>) {
        let Execution::Validate { .. } = law.0 else {
            self.execute(block.height, (&block.batch, false), law);
            return;
        };
        for (at, transaction, endorsement) in outcomes(block) {
            self.executed.insert(transaction.id, ());
            if let Some(endorsement) = endorsement {
                let effects = &endorsement.effects;
                execution::apply(effects, at, &mut self.state, &mut self.versions);
            }
        }
        self.state.seal();
    }
}

/// The transactions of a block with their places, and with the endorsements of those that were
/// found valid.
fn outcomes(
    block: &Block,
) -> impl Iterator<Item = (Version, &Arc<Transaction>, Option<&Endorsement>)> {
    let outcomes = block.batch.transactions().iter().zip(&block.executed);
    outcomes
        .enumerate()
        .map(|(position, (transaction, executed))| {
            let at = Version {
                height: block.height,
                position: position as u32,
            };
            let endorsement = transaction.endorsement.as_ref();
            let valid = endorsement.filter(|_| executed.refusal().is_none());
            (at, transaction, valid)
        })
}

/// Follows a chain of endorsed transactions as somebody who believes no endorser: simulates every
/// valid one again at its place.
#[derive(Clone, Debug)]
pub struct Audit {
    world: World,
    height: Height,
    head: Digest,
}

impl Audit {
    /// Starts where an executor starts; nothing if it executes after ordering, where there is
    /// nothing to believe.
    pub fn new(executor: &Executor) -> Option<Self> {
        match executor.execution {
            Execution::OrderExecute => None,
            Execution::Validate { .. } => Some(Self {
                world: World::clone(&executor.genesis),
                height: 0,
                head: Digest::ZERO,
            }),
        }
    }

    /// The height of the last block that was followed.
    pub fn height(&self) -> Height {
        self.height
    }

    /// Follows the next block, and names the transactions in it that were found valid and come to
    /// something else at their place than was endorsed. Nothing if the block is not the next one.
    pub fn follow(&mut self, block: &Block) -> Option<Vec<TransactionId>> {
        if (block.height, block.parent) != (self.height + 1, self.head) {
            return None;
        }
        let World {
            state, versions, ..
        } = &mut self.world;
        let mut false_ones = Vec::new();
        for (at, transaction, endorsement) in outcomes(block) {
            if let Some(Endorsement { effects, .. }) = endorsement {
                if !effects.hold(&transaction.call, state, versions) {
                    false_ones.push(transaction.id);
                }
                execution::apply(effects, at, state, versions);
            }
        }
        (self.height, self.head) = (block.height, block.digest);
        Some(false_ones)
    }
}

/// The committed state of an endorser: its own, as it follows from its own chain.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// The state after the block of this digest.
    at: Option<(Height, Digest, World)>,
}

impl Peer {
    /// Simulates a call at a height on the state at the head of a ledger.
    pub fn simulate(
        &mut self,
        call: &SignedCall,
        height: Height,
        ledger: &Ledger,
        executor: &mut Executor,
    ) -> Effects {
        let world = self.follow(ledger, executor);
        Effects::of(call, height, &world.state, &world.versions)
    }

    /// Brings the state to the head of the ledger: forward block by block, or anew if the ledger
    /// has lost blocks or adopted a snapshot.
    fn follow(&mut self, ledger: &Ledger, executor: &mut Executor) -> &World {
        let base = ledger.base.as_ref();
        let base = (
            ledger.base_height(),
            base.map_or(Digest::ZERO, |block| block.digest),
        );
        let holds = |height: Height, digest: Digest| match ledger.block(height) {
            Some(block) => block.digest == digest,
            None => (height, digest) == base,
        };
        let kept = self
            .at
            .take()
            .filter(|(height, digest, _)| holds(*height, *digest));
        let (mut height, mut digest, mut world) = kept.unwrap_or_else(|| {
            (
                base.0,
                base.1,
                executor.world_after(ledger.base.as_ref()).clone(),
            )
        });
        while let Some(block) = ledger.block(height + 1) {
            world.replay(block, (&executor.execution, &executor.genesis.state));
            (height, digest) = (block.height, block.digest);
        }
        &self.at.insert((height, digest, world)).2
    }
}

/// The chain as one node has it.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Blocks from `base + 1` on, without a gap.
    blocks: Vec<Arc<Block>>,
    /// The block before the first one held: the last one of an adopted snapshot.
    base: Option<Arc<Block>>,
    /// Where what was executed up to the base took effect, as the snapshot says.
    answers: Arc<Answers>,
}

impl Ledger {
    /// An empty chain.
    pub fn new() -> Self {
        Self::default()
    }

    /// The height of the last block, 0 without any.
    pub fn height(&self) -> Height {
        self.base_height() + self.blocks.len() as u64
    }

    /// The height of the last block that is no longer held, because the chain was adopted.
    pub fn base_height(&self) -> Height {
        self.base.as_ref().map_or(0, |block| block.height)
    }

    /// The last block.
    pub fn head(&self) -> Option<&Arc<Block>> {
        self.blocks.last().or(self.base.as_ref())
    }

    /// The block at a height, if this node still holds it.
    pub fn block(&self, height: Height) -> Option<&Arc<Block>> {
        let offset = height.checked_sub(self.base_height() + 1)?;
        self.blocks.get(usize::try_from(offset).ok()?)
    }

    /// Executes a batch as the next block. Heights are consecutive: anything else is a bug of the
    /// protocol that decided it.
    pub fn append(&mut self, height: Height, batch: &Batch, executor: &mut Executor) -> Arc<Block> {
        assert_eq!(height, self.height() + 1, "decisions are consecutive");
        let block = executor.block(self.head(), height, batch);
        self.blocks.push(block.clone());
        block
    }

    /// The state at the head, to be given to a node that is behind. Nothing before the first
    /// block.
    pub fn snapshot(&self, executor: &mut Executor) -> Option<Snapshot> {
        let block = self.head()?.clone();
        let world = Arc::new(executor.world_after(Some(&block)).clone());
        let mut answers = Answers::clone(&self.answers);
        for block in &self.blocks {
            let executed = block.batch.transactions().iter().zip(&block.executed);
            for (transaction, _) in executed.filter(|(_, done)| **done != Executed::Before) {
                answers.insert(transaction.id, block.clone());
            }
        }
        Some(Snapshot {
            block,
            world,
            answers: Arc::new(answers),
        })
    }

    /// Adopts a snapshot that reaches further than this ledger; false if it does not.
    pub fn install(&mut self, snapshot: &Snapshot, executor: &mut Executor) -> bool {
        if snapshot.block.height <= self.height() {
            return false;
        }
        executor.adopt(snapshot);
        self.base = Some(snapshot.block.clone());
        self.answers = snapshot.answers.clone();
        self.blocks.clear();
        true
    }

    /// Loses every block above a height: what a crash does to blocks not yet on disk. A ledger
    /// that starts at a snapshot keeps at least the snapshot, whose installation was synced.
    pub fn truncate(&mut self, height: Height) {
        let keep = height.saturating_sub(self.base_height());
        self.blocks
            .truncate(usize::try_from(keep).unwrap_or(usize::MAX));
    }

    /// The first block of this chain that holds a transaction.
    pub fn find(&self, id: TransactionId, executor: &Executor) -> Option<Arc<Block>> {
        if let Some(block) = self.answers.get(&id) {
            return Some(block.clone());
        }
        // The executor remembers the heights in every branch; which of them is ours depends on
        // this chain alone, and not on what other nodes of the group have done.
        let blocks = executor.heights(id).filter_map(|height| self.block(height));
        let holds = |block: &&Arc<Block>| block.batch.transactions().iter().any(|t| t.id == id);
        blocks
            .filter(holds)
            .min_by_key(|block| block.height)
            .cloned()
    }

    /// The state at the head, which the head's header commits to.
    pub fn state<'e>(&self, executor: &'e mut Executor) -> &'e State {
        &executor.world_after(self.head()).state
    }

    /// Answers a call that only reads from the state at the head.
    pub fn query(&self, transaction: &Transaction, executor: &mut Executor) -> Receipt {
        self.state(executor).query(self.height(), &transaction.call)
    }
}
