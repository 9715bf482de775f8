//! What a node owes to the chain itself: its secret for the next draw, its shares of others', and
//! word of groups that are missing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::config::{Recovery, Selection};
use super::election::{Part, commitment, threshold};
use super::lower::Desk;
use super::roles::Role;
use super::shamir::Dealing;
use super::system::{Key, System};
use super::{Cx, Mbft, Message, Mutant, Timer};
use crate::base::crypto::{Digest, Hasher, Signed};
use crate::base::node::NodeId;
use crate::chain::{Height, Transaction};

/// What a crash makes a node forget of its duties.
#[derive(Clone, Debug, Default)]
pub(super) struct Duties {
    /// What this node has said, and at which height last.
    said: BTreeMap<Key, Height>,
    /// What others have said that is not in the chain; of a member of the upper group.
    pool: BTreeMap<Key, Signed<System>>,
    /// Whether the upper group waited in vain for something to propose, and whether it waits.
    pub empty: bool,
    pub waits: bool,
}

/// Blocks after which something is said again that is not in the chain.
const PATIENCE: u64 = 2;
/// Statements of all nodes that are kept at most, for each node.
const POOL_FOR_EACH: usize = 8;

impl Mbft {
    /// Says what is due.
    pub(super) fn do_duties(&mut self, cx: &mut Cx<'_>) {
        if self.config.selection != Selection::Fixed {
            match self.volatile.register.part() {
                Part::Work => {}
                Part::Commitment => self.commit_secret(cx),
                Part::Disclosure => self.reveal_secret(cx),
                Part::Extra => {
                    self.reveal_secret(cx);
                    self.show_shares(cx);
                }
            }
        }
        if let Role::Member(group) = self.role()
            && !self.volatile.register.is_active(group)
        {
            let epoch = self.volatile.register.roles.epoch;
            self.say(System::Ready { epoch, group }, cx);
        }
    }

    /// Commits to a secret, which is chosen once and kept.
    fn commit_secret(&mut self, cx: &mut Cx<'_>) {
        let register = &self.volatile.register;
        let (epoch, n) = (register.roles.epoch, register.roles.n());
        if register.election.has_committed(cx.me()) || !register.is_eligible(cx.me()) {
            return;
        }
        let known = self.durable.secret.filter(|(of, _)| *of == epoch);
        let secret = known.map_or_else(
            || {
                let chance = [cx.bits(), cx.bits(), cx.bits(), cx.bits()];
                let hasher = Hasher::new("mbft secret");
                let fold = |hasher: Hasher, bits: &u64| hasher.number(*bits);
                chance.iter().fold(hasher, fold).finish()
            },
            |(_, secret)| secret,
        );
        if known.is_none() {
            self.durable.secret = Some((epoch, secret));
            cx.persist();
        }
        let shares = self.config.recovery == Recovery::Shares;
        let commit = System::Commit {
            epoch,
            commitment: commitment(epoch, cx.me(), &secret),
            dealing: shares.then(|| Dealing::new(secret, threshold(n))),
            holders: u16::try_from(n).unwrap_or(u16::MAX),
        };
        self.say(commit, cx);
    }

    fn reveal_secret(&mut self, cx: &mut Cx<'_>) {
        let register = &self.volatile.register;
        let epoch = register.roles.epoch;
        if let Some((of, secret)) = self.durable.secret
            && of == epoch
            && register.election.owes(cx.me())
        {
            self.say(System::Reveal { epoch, secret }, cx);
        }
    }

    /// Shows this node's shares of the secrets that did not come.
    fn show_shares(&mut self, cx: &mut Cx<'_>) {
        let register = &self.volatile.register;
        let epoch = register.roles.epoch;
        let me = cx.me();
        let shares: Vec<System> = register
            .election
            .wanted_of(me)
            .map(|(of, dealing)| System::Share {
                epoch,
                of,
                share: dealing.open(me),
            })
            .collect();
        for share in shares {
            self.say(share, cx);
        }
    }

    /// Tells the upper group that requests for another group wait, once it is missing.
    pub(super) fn report_backlog(&mut self, group: u16, cx: &mut Cx<'_>) {
        let register = &self.volatile.register;
        let epoch = register.roles.epoch;
        let missing = self.config.miss_max > 0
            && register.groups[usize::from(group)].missed >= self.config.miss_max
            && self.role() != Role::Member(group)
            && !register.has_reported(group, cx.me());
        if missing {
            self.say(System::Backlog { epoch, group }, cx);
        }
    }

    /// Says something to the chain, unless that was just done.
    pub(super) fn say(&mut self, system: System, cx: &mut Cx<'_>) {
        let height = self.volatile.register.height;
        let key = system.key(cx.me());
        let said = self.volatile.duties.said.get(&key);
        if said.is_some_and(|said| height < *said + PATIENCE) {
            return;
        }
        self.volatile.duties.said.insert(key, height);
        let signed = cx.sign(system);
        let upper = self.volatile.register.roles.upper.clone();
        cx.broadcast(&upper, Message::System(signed.clone()));
        self.on_system(&signed, cx);
    }

    /// Somebody says something to the chain.
    pub(super) fn on_system(&mut self, signed: &Signed<System>, cx: &mut Cx<'_>) {
        let register = &self.volatile.register;
        let most = register.roles.n() * POOL_FOR_EACH + register.roles.n() * register.roles.n() / 2;
        let duties = &mut self.volatile.duties;
        if self.durable.upper.is_none() || duties.pool.len() >= most {
            return;
        }
        let known = signed.by().index() < register.roles.n();
        let current = signed.body().epoch() == register.roles.epoch;
        if known && current && signed.verify(cx.keyring()) {
            let key = signed.body().key(signed.by());
            duties.pool.insert(key, signed.clone());
            self.expect_block(cx);
        }
    }

    /// Whether a statement may stand in the next block.
    pub(super) fn admits(&self, signed: &Signed<System>, cx: &Cx<'_>) -> bool {
        let vouches = |transaction: &Transaction| cx.vouches(transaction);
        let unchecked = self.mutant(Mutant::NoRevealCheck);
        self.volatile
            .register
            .admits(signed, cx.keyring(), &vouches, unchecked)
    }

    /// The statements that may stand in the next block.
    pub(super) fn statements(&self, cx: &Cx<'_>) -> Vec<Signed<System>> {
        let pool = self.volatile.duties.pool.values();
        let admitted = pool.filter(|signed| self.admits(signed, cx));
        admitted.cloned().collect()
    }

    /// Whether statements in a proposal may stand there, each once and in the order of their keys.
    pub(super) fn are_admitted(&self, system: &[Signed<System>], cx: &Cx<'_>) -> bool {
        let keys = system.iter().map(|signed| signed.body().key(signed.by()));
        let keys: Vec<Key> = keys.collect();
        keys.windows(2).all(|pair| pair[0] < pair[1])
            && system.iter().all(|signed| self.admits(signed, cx))
    }

    /// The chain has grown: forgets what is said already or too late.
    pub(super) fn forget_statements(&mut self, said: &[Signed<System>]) {
        let epoch = self.volatile.register.roles.epoch;
        let duties = &mut self.volatile.duties;
        for signed in said {
            duties.pool.remove(&signed.body().key(signed.by()));
        }
        duties
            .pool
            .retain(|_, signed| signed.body().epoch() == epoch);
    }

    /// Nothing came that could be proposed, and the election has to go on.
    pub(super) fn on_empty(&mut self, cx: &mut Cx<'_>) {
        self.volatile.duties.waits = false;
        self.volatile.duties.empty = true;
        self.expect_block(cx);
    }

    /// Whether blocks are due even if there is nothing to put in them.
    pub(super) fn is_election(&self) -> bool {
        self.volatile.register.part() != Part::Work
    }

    /// In an election the primary proposes an empty block when it has waited long enough. The
    /// others wait as long before they miss it.
    pub(super) fn wait_for_election(&mut self, cx: &mut Cx<'_>) {
        if self.is_election() && !self.volatile.duties.waits && !self.volatile.duties.empty {
            self.volatile.duties.waits = true;
            cx.set_timer(Timer::Empty, self.config.empty);
        }
    }

    /// The chain has grown: whoever waits for an empty block waits for the next one.
    pub(super) fn wait_anew(&mut self, cx: &mut Cx<'_>) {
        self.volatile.duties.empty = false;
        if std::mem::take(&mut self.volatile.duties.waits) {
            cx.cancel_timer(Timer::Empty);
        }
    }

    /// Leaves the group of the epoch that has ended; what waited in it belongs to others now.
    pub(super) fn retire_from_group(&mut self, cx: &mut Cx<'_>) -> Vec<Arc<Transaction>> {
        self.volatile.duties.said.clear();
        let Some(member) = self.durable.member.take() else {
            return Vec::new();
        };
        let desk = &mut self.volatile.desk;
        let last = member.accepted.iter().map(|(_, mini)| mini);
        for mini in member.row.minis().chain(last) {
            desk.mempool.restore(&mini.batch);
        }
        let waiting = desk.mempool.drain();
        *desk = Desk::default();
        for timer in [Timer::Batch, Timer::Fast, Timer::Include, Timer::Group] {
            cx.cancel_timer(timer);
        }
        waiting
    }

    /// Transactions may belong to other groups now: keeps its own, and passes on the others.
    pub(super) fn deal_again(&mut self, waiting: &[Arc<Transaction>], cx: &mut Cx<'_>) {
        let mut elsewhere: BTreeMap<NodeId, Vec<Arc<Transaction>>> = BTreeMap::new();
        for transaction in waiting {
            if self.has(transaction.id, cx) {
                continue;
            }
            let group = self.shard(transaction);
            if self.role() == Role::Member(group) {
                self.take_in(transaction, cx);
                continue;
            }
            let register = &self.volatile.register;
            let view = register.groups[usize::from(group)].view;
            let primary = register.roles.groups[usize::from(group)].leader(view);
            let others = elsewhere.entry(primary).or_default();
            others.push(transaction.clone());
        }
        for (primary, transactions) in elsewhere {
            cx.send(primary, Message::Forward(transactions));
        }
        self.watch_group(false, cx);
    }

    /// The digest of everybody's credit, as the next block has to state it.
    pub(super) fn credit_root(&self) -> Digest {
        self.volatile.register.credit.root()
    }
}
