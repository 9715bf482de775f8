//! The committee: PBFT among the seats, each spoken for by the leader of its group.

use std::sync::Arc;

use super::config::Mutant;
use super::message::Message;
use super::{Cx, Krbft, Timer};
use crate::base::node::NodeId;
use crate::chain::{Height, Transaction};
use crate::protocol::{Context, Effect, Guise, Input, Inside, Protocol, Report, Setup, To, pbft};

impl Krbft {
    /// The seat of this replica's group in the committee.
    pub(super) fn new_seat(&self) -> pbft::Pbft {
        let setup = Setup {
            committee: self.seats.committee(),
            me: self.seat(),
            batch: self.setup.batch,
        };
        pbft::Pbft::nested(&self.config.committee, setup, self.base())
            .within(self.views(), self.config.places())
            .voiced(self.config.certifies())
    }

    /// A leader says something in the name of its group.
    pub(super) fn on_committee(
        &mut self,
        from: NodeId,
        (seat, message): (NodeId, &pbft::Message),
        cx: &mut Cx<'_>,
    ) {
        // One voice for each group: the present leader's.
        let holds = self.holder_of(seat) == Some(from) || self.is_of_broken_seat(seat, from);
        if holds && seat != self.seat() {
            self.judge_votes(from, message, cx);
            let from = seat;
            self.run_committee(Input::Deliver { from, message }, cx);
        }
    }

    /// Whether a test lets any member of a group speak for it.
    fn is_of_broken_seat(&self, seat: NodeId, from: NodeId) -> bool {
        let group = self
            .seats
            .group(seat)
            .map(|group| &self.seats.groups()[group]);
        self.config.broken(Mutant::CommitteeCountsNodes)
            && group.is_some_and(|group| group.contains(from))
    }

    /// Clients asked a member.
    pub(super) fn on_request(&mut self, transactions: &[Arc<Transaction>], cx: &mut Cx<'_>) {
        for transaction in transactions {
            if !cx.includes(transaction.id) {
                self.run_committee(Input::Submit(transaction.clone()), cx);
            }
        }
    }

    /// A client asked this replica.
    pub(super) fn on_submit(&mut self, transaction: Arc<Transaction>, cx: &mut Cx<'_>) {
        if self.volatile.seated.is_some() {
            self.run_committee(Input::Submit(transaction), cx);
            return;
        }
        match self.group.status().leader {
            Some(leader) if leader != cx.me() => {
                cx.send(leader, Message::Request(vec![transaction]));
            }
            // Kept until there is a leader.
            Some(_) | None => self.keep_request(transaction),
        }
    }

    /// Runs the seat, if this replica has it, and says what counts.
    pub(super) fn run_committee(
        &mut self,
        input: Input<'_, pbft::Message, pbft::Timer>,
        cx: &mut Cx<'_>,
    ) {
        if self.volatile.taking.is_some() {
            // It is not known yet what the group has said before.
            if let Input::Submit(transaction) = input {
                self.keep_request(transaction);
            }
            return;
        }
        self.step_committee(input, cx);
        self.say_what_counts(cx);
    }

    /// Others have decided what this leader has not: its seat asks them.
    pub(super) fn inquire(&mut self, cx: &mut Cx<'_>) {
        if self.volatile.taking.is_none() && !self.is_short(cx) {
            cx.report(Report::Reached("a leader is behind the others"));
            self.nest_committee(pbft::Pbft::ask, cx);
        }
    }

    pub(super) fn keep_request(&mut self, transaction: Arc<Transaction>) {
        if self.volatile.requests.len() < super::REQUESTS_MAX {
            self.volatile.requests.push(transaction);
        }
    }

    /// Runs the seat, if this replica has it.
    pub(super) fn step_committee(
        &mut self,
        input: Input<'_, pbft::Message, pbft::Timer>,
        cx: &mut Cx<'_>,
    ) {
        if self.volatile.seated.is_none() || self.is_short(cx) {
            return;
        }
        self.nest_committee(|committee, cx| committee.step(input, cx), cx);
    }

    /// Has the seat do something in its own name, and does what it wants done.
    pub(super) fn nest_committee(
        &mut self,
        run: impl FnOnce(&mut pbft::Pbft, &mut Context<'_, pbft::Message, pbft::Timer>),
        cx: &mut Cx<'_>,
    ) {
        let me = self.seat();
        let keyring = self.seat_keys(cx);
        let Some(committee) = &mut self.committee else {
            return;
        };
        let guise = Guise {
            me,
            signer: &cx.signer().for_seat(me),
            keyring: &keyring,
        };
        let inside = cx.nest_as(guise, |cx| run(committee, cx));
        self.follow_committee(inside, cx);
    }

    /// Does what the seat wants done.
    fn follow_committee(&mut self, inside: Inside<pbft::Message, pbft::Timer>, cx: &mut Cx<'_>) {
        let base = self.base();
        let Some(committee) = &mut self.committee else {
            return;
        };
        let proofs = committee.take_proofs();
        let term = self.volatile.seated.unwrap_or(0);
        self.volatile.view = committee.status().view;
        // A checkpoint is of a chain that this replica has only once it executes what is decided.
        let effects = inside.effects.into_iter();
        let (marks, others): (Vec<_>, Vec<_>) = effects.partition(pbft::tells_checkpoint);
        for effect in others {
            match effect {
                Effect::Send { to, message } => self.speak(to, message, cx),
                other => {
                    let report = |told| report(told, term, base);
                    if let Some(effect) = other.without_message(Timer::Committee, report) {
                        cx.perform(effect);
                    }
                }
            }
        }
        let mut proofs = proofs.into_iter().peekable();
        for decision in inside.decisions {
            let proof = proofs.next_if(|proof| proof.body().height == decision.height);
            self.decided(&decision, proof, cx);
        }
        for effect in marks {
            if let Effect::Send { to, message } = effect {
                self.speak(to, message, cx);
            }
        }
    }

    /// Says something in the committee, to whoever holds the seats just now.
    pub(super) fn say(&mut self, to: &To, message: pbft::Message, cx: &mut Cx<'_>) {
        let seat = self.seat();
        let message = self.bound(Message::Committee {
            seat,
            message: Box::new(message),
        });
        match to {
            To::One(other) => {
                if let Some(holder) = self.holder_of(*other).filter(|node| *node != cx.me()) {
                    cx.send(holder, message);
                }
            }
            To::All(_) => {
                for group in self.durable.council.vacant() {
                    if self.volatile.unsent.len() < super::UNSENT_MAX {
                        self.volatile.unsent.push((group, message.clone()));
                    }
                }
                if let Some(holders) = self.durable.council.committee() {
                    cx.broadcast(&holders, message);
                }
            }
        }
    }
}

/// What observers are told of the committee by the leader of a group's term. Whoever holds a seat
/// may contradict whoever held it before, and neither lies: nobody is accused. A view is led by
/// one leader after the other if their group elects again, each in a part of it.
fn report(report: Report, term: u64, base: Height) -> Option<Report> {
    let part = |view: u64| (view << TERM_BITS) | (term & ((1 << TERM_BITS) - 1));
    match report {
        Report::Accuses { .. } => None,
        Report::Leads { view } => Some(Report::Leads { view: part(view) }),
        Report::Enters { view } => Some(Report::Enters { view: part(view) }),
        Report::Prepared {
            view,
            height,
            digest,
        } => Some(Report::Prepared {
            view,
            height: base.saturating_add(height),
            digest,
        }),
        Report::Logged { .. }
        | Report::Restarted { .. }
        | Report::Reached(_)
        | Report::Shared(_) => Some(report),
    }
}

/// Bits of a view's number, as observers are told it, that count the terms of the group that leads.
const TERM_BITS: u32 = 20;
