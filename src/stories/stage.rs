//! The stage: a few replicas of one protocol, everything they sent, and whoever holds the script
//! decides what happens next. Time stands still, except that a timer which fires was due.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use super::calls;
use super::print::{name, show};
use crate::base::crypto::{Crypto, Keyring, Signer};
use crate::base::node::{Committee, NodeId};
use crate::base::random::{Random, Stream};
use crate::base::time::{Span, Time};
use crate::chain::ledger::{Executor, Ledger};
use crate::chain::{Block, Height, Transaction, TransactionId};
use crate::contract::SignedCall;
use crate::protocol::mempool::BatchRule;
use crate::protocol::{
    Context, Effect, Input, Protocol, Report, Setup, Status, Surroundings, To, Wire,
};

mod whole;

/// Every transaction is proposed by itself and at once.
pub const AT_ONCE: BatchRule = BatchRule {
    max: 1,
    bytes: crate::base::units::Bytes(1 << 20),
    wait: Span::ZERO,
};

/// How much a stage prints.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Volume {
    /// Only what a story asks for.
    Silent,
    /// Decisions, leaders, accusations.
    Quiet,
    /// Messages as well.
    Plain,
    /// Timers and views as well.
    Loud,
}

/// A message on its way.
#[derive(Clone)]
struct Letter<M> {
    from: NodeId,
    to: NodeId,
    message: Arc<M>,
}

/// One node of the stage.
#[derive(Clone)]
struct Actor<P: Protocol> {
    replica: P,
    ledger: Ledger,
    /// What a restart finds on disk.
    image: (P, Ledger),
    signer: Signer,
    random: Random,
    timers: BTreeMap<P::Timer, Time>,
    up: bool,
    /// Whether it crashes in its next write.
    doomed: bool,
}

/// Which messages a command means.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Sent by this node; nothing means any.
    pub from: Option<NodeId>,
    /// Sent to this node; nothing means any.
    pub to: Option<NodeId>,
    /// Of this kind; nothing means any.
    pub kind: Option<String>,
}

impl Which {
    fn means<M: Wire>(&self, letter: &Letter<M>) -> bool {
        let kind = letter.message.kind();
        self.from.is_none_or(|from| letter.from == from)
            && self.to.is_none_or(|to| letter.to == to)
            && self.kind.as_ref().is_none_or(|meant| meant == kind)
    }
}

/// What a command does with the messages it means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Post {
    /// They arrive.
    Deliver,
    /// They are lost.
    Drop,
    /// They are sent a second time.
    Duplicate,
    /// They become their own contradiction.
    Lie,
}

/// Replicas of one protocol and everything between them.
#[derive(Clone)]
pub struct Stage<P: Protocol> {
    config: P::Config,
    committee: Committee,
    rule: BatchRule,
    actors: Vec<Actor<P>>,
    keyring: Keyring,
    executor: Executor,
    letters: Vec<Letter<P::Message>>,
    /// Messages sent, by kind.
    sent: BTreeMap<&'static str, usize>,
    transactions: Vec<Arc<Transaction>>,
    now: Time,
    volume: Volume,
    out: String,
    /// The first block decided at each height of each chain, by whom.
    canon: BTreeMap<(usize, Height), (Arc<Block>, NodeId)>,
    /// Who reported to lead each view.
    leaders: BTreeMap<u64, NodeId>,
    /// The digest of every log that ends with an entry of this index and term.
    logs: BTreeMap<(u64, u64), u64>,
    violation: Option<String>,
    /// Who convicted whom.
    convictions: Vec<(NodeId, NodeId)>,
}

impl<P: Protocol> Stage<P> {
    /// A stage of n replicas that have all started.
    pub fn new(config: P::Config, n: usize, rule: BatchRule) -> Self {
        Self::seeded(config, n, rule, 1)
    }

    /// The same, with the replicas' own streams taken from this seed.
    pub fn seeded(config: P::Config, n: usize, rule: BatchRule, seed: u64) -> Self {
        let committee = Committee::first(n);
        let (signers, keyring) = Signer::mint(n, Crypto::Modelled, seed);
        let actors = signers
            .into_iter()
            .map(|signer| {
                let me = signer.node();
                let setup = Setup {
                    committee: committee.clone(),
                    me,
                    batch: rule,
                };
                let replica = P::new(&config, setup);
                Actor {
                    image: (replica.clone(), Ledger::new()),
                    replica,
                    ledger: Ledger::new(),
                    signer,
                    random: Random::new(seed, Stream::Replica(me)),
                    timers: BTreeMap::new(),
                    up: true,
                    doomed: false,
                }
            })
            .collect();
        let mut stage = Self {
            config,
            committee,
            rule,
            actors,
            keyring,
            executor: Executor::new(calls::genesis()),
            letters: Vec::new(),
            sent: BTreeMap::new(),
            transactions: Vec::new(),
            now: Time::ZERO,
            volume: Volume::Plain,
            out: String::new(),
            canon: BTreeMap::new(),
            leaders: BTreeMap::new(),
            logs: BTreeMap::new(),
            violation: None,
            convictions: Vec::new(),
        };
        for node in 0..n {
            stage.step(NodeId::at(node), Input::Start);
        }
        stage.out.clear();
        stage
    }

    /// How many nodes there are.
    pub fn n(&self) -> usize {
        self.actors.len()
    }

    /// Sets what is printed from now on.
    pub fn set_volume(&mut self, volume: Volume) {
        self.volume = volume;
    }

    /// What was printed since the last time.
    pub fn take_output(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    /// The first thing that went wrong: a fork, two leaders of one view, or two logs that hold
    /// an entry of one index and term and differ up to it.
    pub fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// Who convicted whom, in order; suspicions convict nobody.
    pub fn convictions(&self) -> &[(NodeId, NodeId)] {
        &self.convictions
    }

    /// Whether a node is running.
    pub fn is_up(&self, node: NodeId) -> bool {
        self.actors[node.index()].up
    }

    /// What the replica on a node says of itself.
    pub fn status_of(&self, node: NodeId) -> Status {
        self.actors[node.index()].replica.status()
    }

    /// Gives a replica a past and starts it again.
    pub fn recast(&mut self, node: NodeId, past: impl FnOnce(&mut P)) {
        let actor = &mut self.actors[node.index()];
        past(&mut actor.replica);
        actor.image = (actor.replica.clone(), actor.ledger.clone());
        self.step(node, Input::Start);
        self.out.clear();
    }

    /// The chain of a node.
    pub fn ledger(&self, node: NodeId) -> &Ledger {
        &self.actors[node.index()].ledger
    }

    /// How many messages of each kind were sent since the last time.
    pub fn take_sent(&mut self) -> BTreeMap<&'static str, usize> {
        std::mem::take(&mut self.sent)
    }

    /// Puts a message of a script's own making on its way.
    pub fn inject(&mut self, from: NodeId, to: NodeId, message: P::Message) {
        let message = Arc::new(message);
        self.letters.push(Letter { from, to, message });
    }

    /// How many messages are on their way.
    pub fn pending(&self) -> usize {
        self.letters.len()
    }

    /// Takes back the announcement of a crash.
    pub fn undoom(&mut self, node: NodeId) {
        self.actors[node.index()].doomed = false;
    }

    /// The live timers of a node with the time each is due.
    pub fn timers(&self, node: NodeId) -> Vec<(P::Timer, Time)> {
        let timers = &self.actors[node.index()].timers;
        timers.iter().map(|(timer, due)| (*timer, *due)).collect()
    }

    fn say(&mut self, volume: Volume, line: &str) {
        if self.volume >= volume {
            writeln!(self.out, "  {line}").expect("a string takes everything");
        }
    }

    /// Prints a line whatever the volume.
    pub fn answer(&mut self, line: &str) {
        self.say(Volume::Silent, line);
    }

    /// A client asks a node for a fresh transaction, made from its number.
    pub(super) fn request(&mut self, node: NodeId, make: impl FnOnce(u64) -> SignedCall) {
        let number = self.transactions.len();
        let id = TransactionId::new(NodeId::at(self.n()), number as u64);
        self.transactions
            .push(Transaction::new(id, make(number as u64)));
        self.retry(node, number);
    }

    /// A client asks a node for a transaction it has asked for before.
    pub fn retry(&mut self, node: NodeId, number: usize) {
        let transaction = self.transactions[number].clone();
        if !self.is_up(node) {
            self.answer(&format!("{node} is down"));
        } else if self
            .ledger(node)
            .find(transaction.id, &self.executor)
            .is_none()
        {
            self.step(node, Input::Submit(transaction));
        } else {
            let line = format!("{node} has executed {}", name(transaction.id));
            self.say(Volume::Quiet, &line);
        }
    }

    /// The transactions this node has not executed, by number, as long as nothing forks.
    pub fn unexecuted(&self, node: NodeId) -> Vec<usize> {
        let decided = self.canon.range(..=(0, self.ledger(node).height()));
        let executed: BTreeSet<TransactionId> = decided
            .flat_map(|(_, (block, _))| block.batch.transactions())
            .map(|transaction| transaction.id)
            .collect();
        (0..self.transactions.len())
            .filter(|number| !executed.contains(&self.transactions[*number].id))
            .collect()
    }

    /// Does something with every message on its way now that is meant.
    pub fn post(&mut self, post: Post, which: &Which) {
        let (meant, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.letters)
            .into_iter()
            .partition(|letter| which.means(letter));
        self.letters = rest;
        if meant.is_empty() {
            self.answer("nothing on its way");
        }
        for letter in meant {
            self.handle(post, letter);
        }
    }

    /// The last message on its way that is meant arrives before all others.
    pub fn overtake(&mut self, which: &Which) {
        match self.letters.iter().rposition(|letter| which.means(letter)) {
            Some(place) => self.post_at(Post::Deliver, place),
            None => self.answer("nothing on its way"),
        }
    }

    /// Does something with the message at this place of the queue.
    pub fn post_at(&mut self, post: Post, place: usize) {
        let letter = self.letters.remove(place);
        self.handle(post, letter);
    }

    fn handle(&mut self, post: Post, letter: Letter<P::Message>) {
        let Letter { from, to, message } = &letter;
        let name = format!("{from}->{to} {}", message.kind());
        match post {
            Post::Deliver if !self.is_up(*to) => {
                self.say(Volume::Plain, &format!("lost {name}: {to} is down"));
            }
            Post::Deliver => {
                self.say(Volume::Plain, &name);
                let (from, to, message) = (*from, *to, message.clone());
                self.step(
                    to,
                    Input::Deliver {
                        from,
                        message: &message,
                    },
                );
            }
            Post::Drop => self.say(Volume::Plain, &format!("lost {name}")),
            Post::Duplicate => {
                self.say(Volume::Plain, &format!("twice {name}"));
                let (from, to, message) = (*from, *to, message.clone());
                self.letters.push(Letter { from, to, message });
                self.letters.push(letter);
            }
            Post::Lie => {
                let (from, to) = (*from, *to);
                let lie = message.contradict(&self.actors[from.index()].signer);
                let verb = if lie.is_some() { "lies" } else { "is honest" };
                self.answer(&format!("{from} {verb} to {to}: {}", message.kind()));
                let message = lie.map_or(message.clone(), Arc::new);
                self.letters.push(Letter { from, to, message });
            }
        }
    }

    /// Delivers in the order of sending, among these nodes, until nothing is on its way.
    pub fn settle(&mut self, among: &[NodeId]) {
        for _ in 0..100_000 {
            let inside = |node: NodeId| among.is_empty() || among.contains(&node);
            let next = self
                .letters
                .iter()
                .position(|letter| inside(letter.from) && inside(letter.to));
            let Some(place) = next else { return };
            self.post_at(Post::Deliver, place);
        }
        panic!("the replicas never fall silent:\n{}", self.out);
    }

    /// A timer fires. One that only sets itself again was not due yet, and fires again.
    pub fn fire(&mut self, node: NodeId, timer: P::Timer) {
        for _ in 0..8 {
            if !self.fire_once(node, timer) {
                return;
            }
        }
    }

    /// A timer fires, if it is live; whether it did nothing but set itself again.
    pub fn fire_once(&mut self, node: NodeId, timer: P::Timer) -> bool {
        let actor = &mut self.actors[node.index()];
        let Some(due) = actor.timers.remove(&timer) else {
            return false;
        };
        self.now = self.now.max(due);
        self.say(Volume::Loud, &format!("{node} fires {timer:?}"));
        let effects = self.step(node, Input::Timeout(timer));
        matches!(effects, Effects { first_sets: Some(set), count: 1 } if set == timer)
    }

    /// Fires the timer of a node whose debug text starts so.
    pub fn fire_named(&mut self, node: NodeId, prefix: &str) {
        let timers = self.timers(node);
        let found = timers
            .iter()
            .find(|(timer, _)| format!("{timer:?}").starts_with(prefix));
        match found {
            Some((timer, _)) => self.fire(node, *timer),
            None => self.answer(&format!("{node} has no timer {prefix}")),
        }
    }

    /// A node loses its memory and what is on its way to it.
    pub fn crash(&mut self, node: NodeId) {
        let actor = &mut self.actors[node.index()];
        actor.up = false;
        actor.doomed = false;
        actor.timers.clear();
        (actor.replica, actor.ledger) = actor.image.clone();
        self.letters.retain(|letter| letter.to != node);
    }

    /// A node crashes in its next write: what it sends before the write leaves, nothing else.
    pub fn doom(&mut self, node: NodeId) {
        self.actors[node.index()].doomed = true;
    }

    /// A node returns with what it wrote, or with nothing.
    pub fn restart(&mut self, node: NodeId, amnesia: bool) {
        let setup = Setup {
            committee: self.committee.clone(),
            me: node,
            batch: self.rule,
        };
        let actor = &mut self.actors[node.index()];
        assert!(!actor.up, "{node} runs: crash it first");
        actor.up = true;
        if amnesia {
            actor.replica = P::new(&self.config, setup);
            actor.ledger = Ledger::new();
            actor.image = (actor.replica.clone(), Ledger::new());
        }
        self.step(node, Input::Start);
    }

    fn step(&mut self, node: NodeId, input: Input<'_, P::Message, P::Timer>) -> Effects<P::Timer> {
        let actor = &mut self.actors[node.index()];
        let mut effects = Vec::new();
        let around = Surroundings {
            signer: &actor.signer,
            keyring: &self.keyring,
            random: &mut actor.random,
            ledger: &mut actor.ledger,
            executor: &mut self.executor,
            careless: false,
        };
        let mut cx = Context::new(node, self.now, around, &mut effects);
        actor.replica.step(input, &mut cx);
        let first_sets = effects.first().and_then(|effect| match effect {
            Effect::SetTimer { timer, .. } => Some(*timer),
            _ => None,
        });
        let summary = Effects {
            first_sets,
            count: effects.len(),
        };
        let mut persisted = false;
        for effect in effects {
            if matches!(effect, Effect::Persist) {
                if self.actors[node.index()].doomed {
                    self.crash(node);
                    self.answer(&format!("{node} crashes while it writes"));
                    return summary;
                }
                persisted = true;
            }
            self.perform(node, effect);
        }
        if persisted {
            let actor = &mut self.actors[node.index()];
            actor.image = (actor.replica.clone(), actor.ledger.clone());
        }
        summary
    }

    fn perform(&mut self, node: NodeId, effect: Effect<P::Message, P::Timer>) {
        match effect {
            Effect::Send { to, message } => self.send(node, &to, message),
            Effect::SetTimer { timer, after } => {
                self.say(Volume::Loud, &format!("{node} sets {timer:?} in {after}"));
                let due = self.now + after;
                self.actors[node.index()].timers.insert(timer, due);
            }
            Effect::CancelTimer { timer } => {
                self.actors[node.index()].timers.remove(&timer);
            }
            Effect::Sign(_) | Effect::Verify(_) | Effect::Persist => {}
            Effect::Execute(block) => {
                let line = format!("{node} decides height {}: {}", block.height, show(&block));
                self.say(Volume::Quiet, &line);
                self.judge(node, &block);
            }
            Effect::Install(block) => {
                self.say(
                    Volume::Quiet,
                    &format!("{node} installs height {}", block.height),
                );
                self.judge(node, &block);
            }
            Effect::Answer(transaction, _) => {
                let line = format!("{node} answers {}", name(transaction));

                self.answer(&line);
            }
            Effect::Report(report) => self.report(node, &report),
        }
    }

    fn send(&mut self, from: NodeId, to: &To, message: P::Message) {
        let message = Arc::new(message);
        let receivers: Vec<NodeId> = match to {
            To::One(to) => vec![*to],
            To::All(committee) => committee.members().to_vec(),
        };
        for to in receivers.into_iter().filter(|to| *to != from) {
            let message = message.clone();
            *self.sent.entry(message.kind()).or_default() += 1;
            self.letters.push(Letter { from, to, message });
        }
    }

    fn report(&mut self, node: NodeId, report: &Report) {
        match report {
            Report::Leads { view } => {
                self.say(Volume::Quiet, &format!("{node} leads view {view}"));
                let first = *self.leaders.entry(*view).or_insert(node);
                if first != node {
                    let text = format!("{first} and {node} both lead view {view}");
                    self.violation.get_or_insert(text);
                }
            }
            Report::Enters { view } => {
                self.say(Volume::Loud, &format!("{node} enters view {view}"));
            }
            Report::Accuses { culprit, offence } => {
                self.answer(&format!("{node} accuses {culprit}: {offence:?}"));
                if offence.is_proof() {
                    self.convictions.push((node, *culprit));
                }
            }
            Report::Reached(what) => self.say(Volume::Loud, &format!("{node} reached: {what}")),
            Report::Logged {
                index,
                term,
                prefix,
            }
            | Report::Restarted {
                index,
                term,
                prefix,
            } => {
                let first = *self.logs.entry((*index, *term)).or_insert(*prefix);
                if first != *prefix {
                    let text = format!("two logs hold term {term} at {index} and differ before");
                    self.violation.get_or_insert(text);
                }
            }
            Report::Shared(fact) if fact.mark().is_none() => {}
            Report::Shared(fact) => self.say(Volume::Plain, &format!("{node}: {fact}")),
            Report::Prepared { .. } => {}
        }
    }

    /// Compares a block with what others decided in its place.
    fn judge(&mut self, node: NodeId, block: &Arc<Block>) {
        let chain = P::chain_of(&self.config, self.n(), node).unwrap_or(0);
        let entry = self.canon.entry((chain, block.height));
        let (first_block, first) = entry.or_insert((block.clone(), node));
        if first_block.digest != block.digest {
            let text = format!("{first} and {node} decided differently at {}", block.height);
            self.violation.get_or_insert(text);
        }
    }
}

/// What a step did, as far as the stage itself must know.
struct Effects<T> {
    first_sets: Option<T>,
    count: usize,
}
