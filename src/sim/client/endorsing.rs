//! How a client host has transactions endorsed before they are ordered.
//!
//! It asks a least set of endorsers that satisfies the policy, another one each time, so that
//! retries go round all sets that there are. Endorsers that disagree, or a transaction that was
//! ordered and found invalid, send it back to the start after a pause, until its retries are used
//! up. What the contract refuses, and what only reads, ends with the endorsement and is not
//! ordered.

use std::collections::BTreeSet;

use super::{ClientHost, Stage};
use crate::base::node::NodeId;
use crate::base::random::mix;
use crate::base::time::{Span, Time};
use crate::chain::execution::Endorsement;
use crate::chain::policy::Policy;
use crate::chain::{Executed, Height, Transaction, TransactionId};
use crate::contract::{Code, Receipt};
use crate::protocol::Protocol;
use crate::sim::event::Event;
use crate::sim::message::{Payload, Post, Proposal};
use crate::sim::{Desk, Execution, World};

/// What a client host knows of the endorsers.
#[derive(Clone, Debug, Default)]
pub(super) struct Endorsers {
    /// Which of them the next transaction begins with; others each time.
    pub turn: u64,
    /// How often any were asked.
    questions: u64,
    /// Those that did not answer when they were asked last.
    silent: BTreeSet<NodeId>,
}

/// Endorsements on their way to one transaction.
#[derive(Clone, Debug)]
pub(super) struct Gathering {
    /// The question that is asked.
    turn: u64,
    /// The endorsers that were asked.
    asked: Vec<NodeId>,
    got: Vec<Endorsement>,
    /// The lowest height that an endorser told.
    head: Height,
}

/// Bytes of a question besides the transaction.
const PROPOSAL_BYTES: u32 = 48;
/// Sets of endorsers that are looked at for one of which none was silent.
const CHOICES_MAX: usize = 64;
/// One question in so many goes to whom it would if nobody had been silent, so that those who
/// have come back are noticed.
const PROBE_EVERY: u64 = 64;
/// The pause grows no further than by this power of two.
const BACKOFF_DOUBLINGS_MAX: u32 = 6;

impl Gathering {
    /// The endorsers that have not answered.
    fn missing(&self) -> impl Iterator<Item = NodeId> + '_ {
        let answered = |node: &NodeId| self.got.iter().any(|got| got.signed[0].by() == *node);
        self.asked
            .iter()
            .copied()
            .filter(move |node| !answered(node))
    }
}

impl Endorsers {
    /// Nobody was asked yet; the first transaction begins with this turn.
    pub fn starting(turn: u64) -> Self {
        Self {
            turn,
            ..Self::default()
        }
    }

    /// Whom to ask: if possible nobody who was silent, unless it is time to see who is back.
    fn choose(&mut self, policy: &Policy, turn: u64, reads: bool) -> Vec<NodeId> {
        let nodes = policy.nodes();
        let at = |turn: u64| match reads {
            true => vec![nodes[(turn % nodes.len() as u64) as usize]],
            false => policy.choose(turn),
        };
        let probe = self.questions.is_multiple_of(PROBE_EVERY);
        self.questions += 1;
        let answers = |set: &Vec<NodeId>| {
            let silent = set.iter().any(|node| self.silent.contains(node));
            probe || !silent
        };
        let mut others = (turn..).map(at).take(CHOICES_MAX);
        others.find(answers).unwrap_or_else(|| at(turn))
    }
}

impl ClientHost {
    /// Asks endorsers what a transaction would do.
    pub(super) fn propose<P: Protocol, S: Post<P::Message>>(
        &mut self,
        now: Time,
        number: u64,
        desk: &mut Desk<'_, P, S>,
    ) {
        let Execution::Validate { policy, .. } = &desk.world.execution else {
            unreachable!("nothing is endorsed where calls are executed after ordering");
        };
        let Some(pending) = self.pending.get_mut(&number) else {
            return;
        };
        // Only an overdue answer brings a transaction here while it still waits for one.
        if let Stage::Endorsing(gathering) = &pending.stage {
            self.endorsers.silent.extend(gathering.missing());
        }
        // The next set for each further question about one transaction: whichever endorser lies
        // or is behind, sooner or later a set without it is asked.
        let turn = pending.turn;
        pending.turn += 1;
        let reads = pending.transaction.call.reads_only();
        let to = self.endorsers.choose(policy, turn, reads);
        pending.stage = Stage::Endorsing(Gathering {
            turn,
            asked: to.clone(),
            got: Vec::new(),
            head: Height::MAX,
        });
        let transaction = pending.transaction.clone();
        let size = PROPOSAL_BYTES + transaction.size();
        let signatures = transaction.call.signatures();
        let proposal = Proposal {
            transaction,
            height: self.height,
            turn,
        };
        self.send(
            now,
            (Payload::Proposal(proposal), size, signatures),
            &to,
            desk,
        );
    }

    /// Takes an endorsement; the last one of those asked for decides how it goes on.
    pub(super) fn gather<P: Protocol, S: Post<P::Message>>(
        &mut self,
        now: Time,
        proposal: &Proposal,
        endorsement: &Endorsement,
        head: Height,
        desk: &mut Desk<'_, P, S>,
    ) {
        let number = proposal.transaction.id.number();
        let Some(pending) = self.pending.get_mut(&number) else {
            return;
        };
        let Stage::Endorsing(gathering) = &mut pending.stage else {
            return;
        };
        if !endorsement.vouches(&pending.transaction.call, &desk.world.keyring) {
            return; // As good as none.
        }
        let by = endorsement.signed[0].by();
        self.endorsers.silent.remove(&by);
        let known = gathering.got.iter().any(|other| other.signed[0].by() == by);
        if gathering.turn != proposal.turn || known {
            return; // From an earlier question, or delivered twice.
        }
        gathering.got.push(endorsement.clone());
        gathering.head = gathering.head.min(head);
        if gathering.got.len() < gathering.asked.len() {
            return;
        }
        self.height = self.height.max(gathering.head);
        let got = std::mem::take(&mut gathering.got);
        self.conclude(now, number, got, desk);
    }

    /// All endorsers have answered.
    fn conclude<P: Protocol, S: Post<P::Message>>(
        &mut self,
        now: Time,
        number: u64,
        mut got: Vec<Endorsement>,
        desk: &mut Desk<'_, P, S>,
    ) {
        // Endorsements in the order of their nodes, whoever came first.
        got.sort_by_key(|endorsement| endorsement.signed[0].by());
        let effects = got[0].effects.clone();
        if got
            .iter()
            .any(|other| other.effects.digest != effects.digest)
        {
            let code = Code::EndorsementMismatch;
            if !self.postpone(now, number, code, desk.world) {
                let refused = Executed::Now(Receipt::Refused(code));
                self.finish(now, number, (None, None, &refused), desk);
            }
            return;
        }
        if effects.writes.is_empty() {
            let executed = Executed::Now(effects.receipt.clone());
            self.finish(now, number, (None, None, &executed), desk);
            return;
        }
        let signed = got.into_iter().flat_map(|other| other.signed).collect();
        let id = TransactionId::new(self.id, self.name());
        let retry = desk.world.workload.retry;
        let Some(pending) = self.pending.get_mut(&number) else {
            return;
        };
        let call = pending.transaction.call.clone();
        let sent = Transaction::endorsed(id, call, Endorsement { effects, signed });
        pending.stage = Stage::Ordering {
            sent: sent.clone(),
            attempt: 0,
        };
        pending.deadline = now + retry;
        let endorsed = Event::Endorsed {
            transaction: sent.clone(),
            of: pending.transaction.id,
            round: pending.round,
        };
        self.endorsed.insert(id.number(), number);
        self.observe(now, desk.local, endorsed);
        let to = [self.target];
        self.request(now, sent, 0, &to, desk);
    }

    /// Whether a transaction that came to nothing is tried again later, and when: the pause
    /// doubles, and differs by up to a half so that those who met once do not meet again.
    pub(super) fn postpone<P: Protocol>(
        &mut self,
        now: Time,
        number: u64,
        code: Code,
        world: &World<P>,
    ) -> bool {
        let Execution::Validate {
            retries, backoff, ..
        } = &world.execution
        else {
            return false;
        };
        let again = matches!(
            code,
            Code::MvccConflict | Code::PhantomConflict | Code::EndorsementMismatch
        );
        let Some(pending) = self.pending.get_mut(&number) else {
            return false;
        };
        if !again || pending.round >= *retries {
            return false;
        }
        let doublings = pending.round.min(BACKOFF_DOUBLINGS_MAX);
        pending.round += 1;
        pending.stage = Stage::Waiting;
        let pause = backoff.nanos() << doublings;
        let bits = mix(
            mix(world.seed, pending.transaction.id.bits()),
            u64::from(pending.round),
        );
        let drawn = ((u128::from(pause) * u128::from(bits)) >> 64) as u64;
        self.again
            .insert((now + Span::from_nanos(pause / 2 + drawn), number));
        true
    }
}
