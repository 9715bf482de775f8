//! L3: how a committee agrees. What a replica can learn, what it can do, and the traits that
//! protocols and their messages implement. Protocols know neither the network nor one another,
//! except by nesting.

pub mod iraft;
pub mod krbft;
pub mod layers;
pub mod mbft;
pub mod mempool;
mod nesting;
pub mod oath;
pub mod pbft;
mod peer;
pub mod places;
pub mod raft;
pub mod statement;
pub mod tally;

use std::fmt::Debug;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::base::crypto::{Body, Digest, Keyring, Signed, Signer};
use crate::base::node::{Committee, NodeId, PositionSet};
use crate::base::random::Random;
use crate::base::time::{Span, Time};
use crate::chain::ledger::{Executor, Ledger, Snapshot};
use crate::chain::{Batch, Block, Height, Transaction, TransactionId};
use crate::contract::Receipt;
use mempool::BatchRule;
use nesting::Placed;
pub use nesting::{Guise, Inside};
use oath::{Notary, Registrar};
pub use statement::{Holding, Listener, Quorums, Statement};

/// What a replica can learn.
#[derive(Debug)]
pub enum Input<'m, M, T> {
    /// Boot, or return from a crash. Whatever is not durable must be forgotten here.
    Start,
    /// A message arrived. It is stored once per broadcast and lent to each receiver.
    Deliver {
        /// The sender, whose identity the channel guarantees.
        from: NodeId,
        /// What it sent.
        message: &'m M,
    },
    /// A timer fired.
    Timeout(T),
    /// A client asks for a transaction that this node has not executed yet.
    Submit(Arc<Transaction>),
}

/// Who receives a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum To {
    /// One node.
    One(NodeId),
    /// Every member of a committee but the sender.
    All(Committee),
}

/// What a replica can do. Effects take place in order: work delays whatever follows it.
#[derive(Clone, Debug)]
pub enum Effect<M, T> {
    /// Send a message; to a committee it is stored once and delivered many times.
    Send {
        /// The receivers.
        to: To,
        /// What to send.
        message: M,
    },
    /// Start a timer; starting a live timer replaces it.
    SetTimer {
        /// Which.
        timer: T,
        /// When it fires, counted from this effect.
        after: Span,
    },
    /// Stop a timer, if it is live.
    CancelTimer {
        /// Which.
        timer: T,
    },
    /// So many signatures were made.
    Sign(u32),
    /// So many signatures were verified that no arriving message has paid for.
    Verify(u32),
    /// Durable state changed; what follows waits until it is on disk.
    Persist,
    /// A block was decided and executed.
    Execute(Arc<Block>),
    /// A snapshot replaced the ledger up to and including this block.
    Install(Arc<Block>),
    /// A transaction that only reads is answered from the state at this node's head.
    Answer(TransactionId, Receipt),
    /// Something observers should know; no replica reads it.
    Report(Report),
}

/// A batch fixed at a height by a nested protocol, whose parent decides what it means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    /// Consecutive from 1.
    pub height: Height,
    /// What was decided.
    pub batch: Batch,
}

/// What observers are told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Report {
    /// This replica leads the view (term) from now on.
    Leads {
        /// The view or term.
        view: u64,
    },
    /// This replica entered a view (term) as a follower or candidate.
    Enters {
        /// The view or term.
        view: u64,
    },
    /// A prepared certificate: a quorum voted for this digest at this place in this view.
    Prepared {
        /// The view.
        view: u64,
        /// The place.
        height: Height,
        /// The digest of the batch.
        digest: Digest,
    },
    /// The log of this replica now ends with this entry; whatever stood here or beyond is gone.
    Logged {
        /// The place in the log, from 1.
        index: u64,
        /// The term in which a leader created the entry.
        term: u64,
        /// A digest of the whole log up to and including the entry.
        prefix: u64,
    },
    /// The log of this replica restarts after a snapshot that ends with this entry.
    Restarted {
        /// The last entry the snapshot includes.
        index: u64,
        /// Its term.
        term: u64,
        /// The digest of the whole log up to and including it.
        prefix: u64,
    },
    /// This replica names another one as dishonest.
    Accuses {
        /// The accused.
        culprit: NodeId,
        /// Of what.
        offence: Offence,
    },
    /// A rare situation was reached, so that tests can show that they reach it.
    Reached(&'static str),
    /// Who is to keep which record, and who does.
    Shared(Box<layers::Fact>),
}

/// What one replica can prove or suspect of another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Offence {
    /// Two conflicting signed statements for one place.
    Equivocation,
    /// A signed proposal that breaks a rule.
    InvalidProposal,
    /// A digest that does not belong to the content sent with it.
    WrongDigest,
    /// Votes for two candidates in one term, or for one that the voter knows to be behind.
    FalseVote,
    /// Acknowledgements of two different logs.
    FalseAck,
    /// A signed claim that a certificate proves what it does not.
    FalseCertificate,
    /// Nothing was heard in time; a suspicion, never a proof.
    Silence,
    /// Requests wait and a living leader does nothing; a suspicion.
    Stalling,
    /// A call for an election without the evidence it needs; a suspicion.
    Disruption,
    /// An audit of the log went wrong time and again; a suspicion.
    Audit,
    /// More say otherwise than are thought to lie; a suspicion, since more may.
    Outvoted,
}

impl Offence {
    /// Whether the accuser holds a proof that anybody can check. What is not proven is a
    /// suspicion, and convicts nobody.
    pub fn is_proof(self) -> bool {
        match self {
            Self::Equivocation
            | Self::InvalidProposal
            | Self::WrongDigest
            | Self::FalseVote
            | Self::FalseAck
            | Self::FalseCertificate => true,
            Self::Silence | Self::Stalling | Self::Disruption | Self::Audit | Self::Outvoted => {
                false
            }
        }
    }
}

/// What the network and the adversary may know about a message.
pub trait Wire: Clone + Debug + Send + Sync + 'static {
    /// The name of the message in the literature, like `pre-prepare`.
    fn kind(&self) -> &'static str;
    /// The names of all messages that there may be, those of nested protocols included.
    fn kinds() -> Vec<&'static str>;
    /// Bytes on the wire, signatures and payload included.
    fn size(&self) -> u32;
    /// Signatures the receiver must verify before it acts.
    fn signatures(&self) -> u32 {
        1
    }
    /// The nearest well-formed lie: the same message with conflicting content, signed by the
    /// liar. `None` where no such lie is possible.
    fn contradict(&self, _liar: &Signer) -> Option<Self> {
        None
    }
    /// What `victim` would say in this place, with a signature that the liar made up. `None`
    /// where nothing is signed.
    fn forge(&self, _liar: &Signer, _victim: NodeId) -> Option<Self> {
        None
    }
    /// What `me` states once and for all when it sends this.
    fn statements(&self, _me: NodeId, _to: &To, _say: Listener<'_>) {}
    /// What this proves of whoever has signed it, or anything in it. Nothing where nobody signs.
    fn oaths(&self, _notary: &Notary<'_>, _swear: Registrar<'_>) {}
    /// The same message of so much later a view or term, signed by the liar. `None` where it
    /// names none.
    fn inflate(&self, _liar: &Signer, _by: u64) -> Option<Self> {
        None
    }
}

/// Which faults a protocol claims to survive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultModel {
    /// Crashes of a minority.
    Crash,
    /// Arbitrary behaviour of fewer than a third.
    Byzantine,
}

impl FaultModel {
    /// Whether a committee of n still decides if so many are missing, and survives so many liars
    /// among them.
    fn recovers(self, n: usize, missing: usize, liars: usize) -> bool {
        let committee = Committee::first(n);
        let (quorum, survived) = match self {
            Self::Crash => (committee.majority(), true),
            Self::Byzantine => (committee.quorum(), liars <= committee.faulty_max()),
        };
        survived && missing + quorum <= n
    }
}

/// Whom a client asks when its answer is overdue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// The next node in turn.
    Next,
    /// Every node at once.
    All,
}

/// What a replica says of itself when asked from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// The view or term it is in.
    pub view: u64,
    /// Whom it believes to lead that view.
    pub leader: Option<NodeId>,
    /// Whether it leads itself.
    pub leads: bool,
}

/// What a replica is born with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// All replicas of this instance.
    pub committee: Committee,
    /// This replica.
    pub me: NodeId,
    /// When a leader cuts a batch.
    pub batch: BatchRule,
}

/// A rule of a protocol's configuration that is broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Misfit {
    /// The key within the protocol's configuration.
    pub key: &'static str,
    /// What must hold, as a sentence.
    pub rule: String,
}

/// A consensus protocol: one replica as a state machine. It reads no clock, no socket, no file
/// and no coin but those of its context.
///
/// Two fields of every replica are named structs: `durable`, which survives a crash and whose
/// every change is followed by [`Context::persist`] before anything that depends on it is sent,
/// and `volatile`, which [`Input::Start`] resets.
pub trait Protocol: Clone + Debug + Send + Sized + 'static {
    /// As written in a scenario.
    const NAME: &'static str;
    /// One sentence for the list of protocols.
    const ABOUT: &'static str;
    /// What it claims to survive.
    const FAULTS: FaultModel;
    /// Whom clients of this protocol ask again.
    const RETRY: Retry;
    /// Whether parts of the nodes agree among themselves, so that more members of one part may
    /// deviate than it survives although all together survive them.
    const IN_PARTS: bool = false;
    /// Its keys in a scenario, with the paper's values as default.
    type Config: DeserializeOwned + Serialize + Default + Clone + Debug + Send + Sync;
    /// What replicas say to one another.
    type Message: Wire;
    /// Its timers.
    type Timer: Copy + Ord + Debug + Send + 'static;

    /// What is wrong with a configuration for a committee of n, if anything.
    fn check(config: &Self::Config, n: usize) -> Vec<Misfit>;
    /// The longest it takes, after all faults have ended and with every message delivered within
    /// `delay`, until a pending transaction is decided everywhere.
    fn liveness_bound(config: &Self::Config, n: usize, delay: Span) -> Span;
    /// How much longer it takes after trouble that lasted so long, if so many of those who may lead
    /// stay away or lie: waits that double each time grow as long as the trouble meanwhile.
    fn grown_waits(_: &Self::Config, _trouble: Span, _bad: usize) -> Span {
        Span::ZERO
    }
    /// How many of n must have said so before a replica takes something for proven.
    fn quorums(_: &Self::Config, _n: usize) -> Quorums {
        Quorums::default()
    }
    /// How long a view lasts at first if nothing is decided in it, and how many signatures a
    /// replica may have to check before it enters one; `None` if there are few.
    fn view_change(_: &Self::Config, _n: usize) -> Option<(Span, u64)> {
        None
    }
    /// How many of those who answer a client may lie, in a network of n nodes, wherever they are:
    /// one more answers honestly, so that clients who want an honest answer wait for so many and
    /// one more.
    fn tolerates(config: &Self::Config, n: usize) -> usize {
        Committee::first(Self::answering(config, n)).faulty_max()
    }
    /// Whether a network of n nodes still decides without these, and survives these that lie.
    fn recovers(_: &Self::Config, n: usize, missing: &PositionSet, liars: &PositionSet) -> bool {
        Self::FAULTS.recovers(n, missing.len(), liars.len())
    }
    /// Whether one member's word, without any proof, takes others into a later view: a liar who
    /// never ceases to speak of later ones then ends every leader's time, and nothing is promised.
    fn believes_views(_: &Self::Config) -> bool {
        false
    }
    /// Who looks at what this protocol writes into the chain beside transactions, in a network of
    /// n nodes that starts like this executor; nobody, if it writes nothing.
    fn inspector(_: &Self::Config, _: usize, _: Executor) -> Option<Box<dyn Inspector>> {
        None
    }
    /// Tells a configuration what the operator of n nodes has measured before they start: the
    /// usual delay of a message between two of them, by position.
    fn survey(_: &mut Self::Config, _n: usize, _delay: &dyn Fn(usize, usize) -> Span) {}
    /// The chain that a node keeps, of those of a network of n nodes; nothing for a node that keeps
    /// none. Chains are numbered from 0, and nodes of different ones are not compared.
    fn chain_of(_: &Self::Config, _: usize, _: NodeId) -> Option<usize> {
        Some(0)
    }
    /// How many nodes execute what one client asks for, of whom so many have to answer.
    fn answering(_: &Self::Config, n: usize) -> usize {
        n
    }
    /// A replica before its first start.
    fn new(config: &Self::Config, setup: Setup) -> Self;
    /// Takes one input; everything it does is in the context.
    fn step(
        &mut self,
        input: Input<'_, Self::Message, Self::Timer>,
        cx: &mut Context<'_, Self::Message, Self::Timer>,
    );
    /// What it says of itself.
    fn status(&self) -> Status;
}

/// Looks at the blocks of a chain in their order, as somebody who knows the rules of its protocol
/// and believes nobody.
pub trait Inspector: Debug + Send {
    /// The height of the last block that was looked at.
    fn height(&self) -> Height;
    /// Looks at the next block; what is wrong with it, in a sentence each.
    fn inspect(&mut self, block: &Block) -> Vec<String>;
}

/// What surrounds a replica: chance, keys, and its ledger with the execution behind it.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// Signs for this replica.
    pub signer: &'a Signer,
    /// Verifies for everybody.
    pub keyring: &'a Keyring,
    /// This replica's own stream.
    pub random: &'a mut Random,
    /// This node's chain.
    pub ledger: &'a mut Ledger,
    /// Executes what is decided.
    pub executor: &'a mut Executor,
    /// Whether this node is dishonest and answers for signatures without looking.
    pub careless: bool,
}

/// Everything outside the replica, for the length of one step.
#[derive(Debug)]
pub struct Context<'a, M, T> {
    me: NodeId,
    now: Time,
    around: Surroundings<'a>,
    effects: &'a mut Vec<Effect<M, T>>,
    /// Decisions of a nested protocol, which do not reach the ledger by themselves.
    nested: Option<Vec<Placed>>,
}

impl<'a, M, T> Context<'a, M, T> {
    /// A context for one step of the replica on node `me`; only the simulation and the test
    /// stage make one.
    pub fn new(
        me: NodeId,
        now: Time,
        around: Surroundings<'a>,
        effects: &'a mut Vec<Effect<M, T>>,
    ) -> Self {
        Self {
            me,
            now,
            around,
            effects,
            nested: None,
        }
    }

    /// This node.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// The time on this node.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Sends to one node, which is not this one.
    pub fn send(&mut self, to: NodeId, message: M) {
        assert!(to != self.me, "a replica does not send to itself: it acts");
        self.effects.push(Effect::Send {
            to: To::One(to),
            message,
        });
    }

    /// Sends to every member of the committee but this node.
    pub fn broadcast(&mut self, to: &Committee, message: M) {
        self.effects.push(Effect::Send {
            to: To::All(to.clone()),
            message,
        });
    }

    /// Starts a timer, or starts it anew.
    pub fn set_timer(&mut self, timer: T, after: Span) {
        self.effects.push(Effect::SetTimer { timer, after });
    }

    /// Stops a timer.
    pub fn cancel_timer(&mut self, timer: T) {
        self.effects.push(Effect::CancelTimer { timer });
    }

    /// Writes durable state to disk; what follows in this step waits for it, and so does the
    /// node.
    pub fn persist(&mut self) {
        self.effects.push(Effect::Persist);
    }

    /// Tells observers.
    pub fn report(&mut self, report: Report) {
        self.effects.push(Effect::Report(report));
    }

    /// Signs a statement in this node's name.
    pub fn sign<B: Body>(&mut self, body: B) -> Signed<B> {
        if let Some(Effect::Sign(count)) = self.effects.last_mut() {
            *count += 1;
        } else {
            self.effects.push(Effect::Sign(1));
        }
        self.around.signer.sign(body)
    }

    /// Verifies so many signatures of clients, besides those that messages are priced with.
    pub fn verified(&mut self, signatures: u32) {
        if signatures > 0 {
            self.effects.push(Effect::Verify(signatures));
        }
    }

    /// What verifies signatures.
    pub fn keyring(&self) -> &Keyring {
        self.around.keyring
    }

    /// A span drawn from this replica's own stream, at least `low` and below `high`.
    pub fn between(&mut self, low: Span, high: Span) -> Span {
        self.around.random.between(low, high)
    }

    /// Sixty-four fair bits from this replica's own stream.
    pub fn bits(&mut self) -> u64 {
        self.around.random.bits()
    }

    /// This node's chain.
    pub fn ledger(&self) -> &Ledger {
        self.around.ledger
    }

    /// Whether a transaction stands in this node's chain.
    pub fn includes(&self, id: TransactionId) -> bool {
        self.height_of(id).is_some()
    }

    /// The height of the first block of this chain that holds a transaction.
    pub fn height_of(&self, id: TransactionId) -> Option<Height> {
        let block = self.around.ledger.find(id, self.around.executor);
        block.map(|block| block.height)
    }

    /// Whether the signatures of a transaction are those of whom it names, by the keys with which
    /// the chain began: what a node may answer for in the others' name.
    pub fn vouches(&self, transaction: &Transaction) -> bool {
        self.around.careless || self.around.executor.vouches(transaction)
    }

    /// Fixes a batch as the next block, executes it, and returns the digest of the block. In a
    /// nested protocol the decision goes to the parent, and the digest is that of the batch.
    pub fn decide(&mut self, height: Height, batch: &Batch) -> Digest {
        if let Some(decisions) = &mut self.nested {
            let digest = batch.digest();
            let batch = batch.clone();
            decisions.push((self.effects.len(), Decision { height, batch }));
            return digest;
        }
        let block = self
            .around
            .ledger
            .append(height, batch, self.around.executor);
        let digest = block.digest;
        self.effects.push(Effect::Execute(block));
        digest
    }

    /// The state at the head of this node's chain, for a node that is behind; nothing at height
    /// 0.
    pub fn snapshot(&mut self) -> Option<Snapshot> {
        self.around.ledger.snapshot(self.around.executor)
    }

    /// Adopts a snapshot in place of this node's chain; false if it reaches no further.
    pub fn install(&mut self, snapshot: &Snapshot) -> bool {
        let further = self.around.ledger.install(snapshot, self.around.executor);
        if further {
            self.effects.push(Effect::Install(snapshot.block.clone()));
        }
        further
    }

    /// Answers a transaction that only reads from the state at the head, without an entry in the
    /// chain. The caller has made sure that the head is recent enough.
    pub fn answer(&mut self, transaction: &Transaction) {
        assert!(
            transaction.call.reads_only(),
            "only reads are answered without a decision"
        );
        // What is decided later in this step is not seen.
        let around = &mut self.around;
        let receipt = around.ledger.query(transaction, around.executor);
        self.effects.push(Effect::Answer(transaction.id, receipt));
    }
}
