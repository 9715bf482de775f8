//! Changes of the primary of a group.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::large::Certified;
use super::lower::Stage;
use super::message::{GroupChange, GroupView};
use super::mini::{Mini, Phase, is_certified};
use super::{Cx, Mbft, Message, Timer};
use crate::base::crypto::{Digest, Keyring, Signed};
use crate::base::node::{Committee, NodeId, PositionSet};
use crate::base::time::{Span, Time};
use crate::protocol::Report;

/// Whether a request for a view is signed by a member, and everything in it is proven.
fn is_sound(change: &Signed<GroupChange>, group: &Committee, keyring: &Keyring) -> bool {
    let body = change.body();
    let own =
        |mini: &Mini| (mini.epoch, mini.group, mini.slot) == (body.epoch, body.group, body.slot);
    let accepted = body.accepted.as_ref().is_none_or(|(vote, mini)| {
        let view = vote.body().view;
        own(mini)
            && view < body.view
            && *vote.body() == mini.vote(Phase::Speculative, view)
            && vote.by() == group.leader(view)
            && vote.verify(keyring)
    });
    let proven = body.proven.as_ref().is_none_or(|(mini, proof)| {
        let vote = proof.body();
        own(mini)
            && vote.view < body.view
            && *vote == mini.vote(vote.phase, vote.view)
            && proof.verify(group, group.quorum(), keyring)
    });
    group.contains(change.by()) && accepted && proven && change.verify(keyring)
}

/// What must be ordered first in a new view, at a slot: what a quorum is proven to have accepted in
/// the latest view; or else what so many say they accepted that one of them is honest, because all
/// may have; or else nothing in particular.
fn duty(
    changes: &[Arc<Signed<GroupChange>>],
    slot: u64,
    one_honest: usize,
) -> (Option<Arc<Mini>>, Option<Certified>) {
    let bodies = changes.iter().map(|change| change.body());
    let bodies = bodies.filter(|body| body.slot == slot);
    let proven = bodies.clone().filter_map(|body| body.proven.as_ref());
    if let Some(best) = proven.max_by_key(|(_, proof)| (proof.body().view, proof.body().phase)) {
        return (Some(best.0.clone()), Some(best.clone()));
    }
    let mut told: BTreeMap<Digest, (usize, &Arc<Mini>)> = BTreeMap::new();
    for (_, mini) in bodies.filter_map(|body| body.accepted.as_ref()) {
        told.entry(mini.digest).or_insert((0, mini)).0 += 1;
    }
    let enough = told.values().find(|(count, _)| *count >= one_honest);
    (enough.map(|(_, mini)| (*mini).clone()), None)
}

impl Mbft {
    /// How long a member waits for progress: twice as long after each change in a row.
    pub(super) fn group_patience(&self) -> Span {
        self.config.group_timeout * (1 << self.volatile.desk.attempts.min(5))
    }

    /// The group has made no progress in time, or it is time to ask again for a view.
    pub(super) fn on_group_overdue(&mut self, cx: &mut Cx<'_>) {
        self.volatile.desk.timed = false;
        let Some(member) = &self.durable.member else {
            return;
        };
        let over = |until: Time| cx.now() >= until;
        match member.change.clone() {
            Some(change) if !self.volatile.desk.awaits_until.is_some_and(over) => {
                // The others may be content, or have missed the request; or the new primary has
                // opened its view, and this member has missed that.
                self.wait_for_group_view(cx);
                self.tell_group(Message::GroupChange(change), cx);
                self.ask_for_blocks(cx);
            }
            Some(_) | None => self.leave_group_view(cx),
        }
    }

    /// Waits until it is time to ask for a view again, or until its primary has had its time.
    fn wait_for_group_view(&mut self, cx: &mut Cx<'_>) {
        let desk = &mut self.volatile.desk;
        desk.timed = true;
        let left = desk.awaits_until.map(|until| until.since(cx.now()));
        let patience = self.group_patience();
        let half = Span::from_nanos(patience.nanos() / 2);
        let pause = left.map_or(patience, |left| left.min(half));
        cx.set_timer(Timer::Group, pause.min(self.config.group_timeout * 4));
    }

    /// Whether a quorum wants the view this member asks for: from then on the new primary has a
    /// limited time. Who wants a higher view has given this one up, and does not ask for it again
    /// if the request was lost.
    fn await_group_view(&mut self, cx: &mut Cx<'_>) {
        let Some(member) = self.durable.member.as_ref().filter(|m| m.change.is_some()) else {
            return;
        };
        let enough = self.leavers(member.view) >= self.group_quorum();
        if enough && self.volatile.desk.awaits_until.is_none() {
            self.volatile.desk.awaits_until = Some(cx.now() + self.group_patience());
            self.wait_for_group_view(cx);
        }
    }

    /// Stops working in the present view and asks for the next one.
    pub(super) fn leave_group_view(&mut self, cx: &mut Cx<'_>) {
        if let Some(member) = &self.durable.member {
            let next = member.view + 1;
            self.want_group_view(next, cx);
        }
    }

    /// Asks for the view of which the chain proves that it was opened, if this member has missed
    /// that: whoever is there shows it.
    pub(super) fn follow_group_view(&mut self, cx: &mut Cx<'_>) {
        let Some(member) = &self.durable.member else {
            return;
        };
        let proven = self.volatile.register.groups[usize::from(member.group)].view;
        if proven > member.view {
            self.want_group_view(proven, cx);
        }
    }

    fn want_group_view(&mut self, view: u64, cx: &mut Cx<'_>) {
        let open = self.open_slot();
        let Some(member) = &mut self.durable.member else {
            return;
        };
        let change = Arc::new(cx.sign(GroupChange {
            epoch: member.epoch,
            group: member.group,
            view,
            slot: open,
            accepted: member.accepted_in(open),
            proven: member.proven_in(open),
        }));
        member.view = view;
        member.change = Some(change.clone());
        cx.persist();
        cx.cancel_timer(Timer::Fast);
        cx.cancel_timer(Timer::Include);
        self.volatile.desk.stage = Stage::Free;
        self.volatile.desk.verified.clear();
        self.volatile.desk.attempts += 1;
        self.volatile.desk.awaits_until = None;
        self.wait_for_group_view(cx);
        self.tell_group(Message::GroupChange(change.clone()), cx);
        cx.report(Report::Reached("group-view-change"));
        self.note_change(&change, cx);
    }

    /// Returns from a crash that happened while the view was changing.
    pub(super) fn resume_group_change(&mut self, cx: &mut Cx<'_>) {
        let change = self.durable.member.as_ref().and_then(|m| m.change.clone());
        if let Some(change) = change {
            self.wait_for_group_view(cx);
            self.tell_group(Message::GroupChange(change.clone()), cx);
            self.note_change(&change, cx);
        }
    }

    /// The slot after the last in the chain.
    fn open_slot(&self) -> u64 {
        let group = self.durable.member.as_ref().map(|member| member.group);
        group.map_or(0, |group| {
            self.volatile.register.groups[usize::from(group)].slot + 1
        })
    }

    fn group_quorum(&self) -> usize {
        self.group().map_or(usize::MAX, Committee::quorum)
    }

    fn tell_group(&self, message: Message, cx: &mut Cx<'_>) {
        if let Some(group) = self.group() {
            cx.broadcast(group, message);
        }
    }

    /// How many want a view.
    fn companions(&self, view: u64) -> usize {
        let changes = self.volatile.desk.changes.iter().flatten();
        changes.filter(|change| change.body().view == view).count()
    }

    /// How many want a view, or have given it up for a higher one.
    fn leavers(&self, view: u64) -> usize {
        let changes = self.volatile.desk.changes.iter().flatten();
        changes.filter(|change| change.body().view >= view).count()
    }

    /// Another member wants a view.
    pub(super) fn on_group_change(&mut self, change: &Arc<Signed<GroupChange>>, cx: &mut Cx<'_>) {
        let (Some(member), Some(group)) = (&self.durable.member, self.group()) else {
            return;
        };
        let body = change.body();
        // What this node has asked for itself can only come back from somebody who repeats it.
        let own = change.by() == cx.me();
        if own || (body.epoch, body.group) != (member.epoch, member.group) {
            return;
        }
        let entered = body.view == member.view && member.change.is_none();
        if body.view < member.view || entered {
            // It may have missed that the view was opened.
            if let Some(opened) = &self.volatile.desk.opened
                && opened.body().view >= body.view
                && group.contains(change.by())
            {
                cx.send(change.by(), Message::GroupView(opened.clone()));
            }
            return;
        }
        if is_sound(change, group, cx.keyring()) {
            self.note_change(change, cx);
        }
    }

    fn note_change(&mut self, change: &Arc<Signed<GroupChange>>, cx: &mut Cx<'_>) {
        let Some(group) = self.group().cloned() else {
            return;
        };
        let Some(position) = group.position(change.by()) else {
            return;
        };
        let changes = &mut self.volatile.desk.changes;
        changes.resize(group.n(), None);
        let known = changes[position].as_ref();
        if known.is_some_and(|known| known.body().view > change.body().view) {
            // An older request has overtaken a later one.
            return;
        }
        changes[position] = Some(change.clone());
        let view = self.durable.member.as_ref().map_or(0, |member| member.view);
        let higher = changes.iter().flatten().map(|change| change.body().view);
        let higher: Vec<u64> = higher.filter(|wanted| *wanted > view).collect();
        if higher.len() >= group.one_honest()
            && let Some(smallest) = higher.iter().min()
        {
            self.want_group_view(*smallest, cx);
            return;
        }
        self.await_group_view(cx);
        self.open_group_view(&group, cx);
    }

    /// A quorum wants the view this member is to lead: opens it.
    fn open_group_view(&mut self, group: &Committee, cx: &mut Cx<'_>) {
        let Some(member) = &self.durable.member else {
            return;
        };
        let view = member.view;
        let mine = member.change.is_some() && group.leader(view) == cx.me();
        if !mine || self.companions(view) < group.quorum() {
            return;
        }
        let changes = self.volatile.desk.changes.iter().flatten();
        let changes = changes.filter(|change| change.body().view == view);
        let opened = Arc::new(cx.sign(GroupView {
            epoch: member.epoch,
            group: member.group,
            view,
            changes: changes.take(group.quorum()).cloned().collect(),
        }));
        cx.broadcast(group, Message::GroupView(opened.clone()));
        self.enter_group_view(&opened, group, cx);
    }

    /// The new primary opens its view.
    pub(super) fn on_group_view(
        &mut self,
        from: NodeId,
        opened: &Arc<Signed<GroupView>>,
        cx: &mut Cx<'_>,
    ) {
        let (Some(member), Some(group)) = (&self.durable.member, self.group().cloned()) else {
            return;
        };
        let body = opened.body();
        let entered = body.view == member.view && member.change.is_none();
        let mine = (body.epoch, body.group) == (member.epoch, member.group);
        if !mine || body.view < member.view || entered || !group.contains(from) {
            return;
        }
        let mut members = PositionSet::new();
        let distinct = body.changes.iter().all(|change| {
            let position = group.position(change.by());
            position.is_some_and(|position| members.insert(position))
        });
        let justified = |change: &Arc<Signed<GroupChange>>| {
            let wants = change.body();
            (wants.epoch, wants.group, wants.view) == (body.epoch, body.group, body.view)
                && is_sound(change, &group, cx.keyring())
        };
        let sound = distinct
            && members.len() >= group.quorum()
            && opened.by() == group.leader(body.view)
            && opened.verify(cx.keyring())
            && body.changes.iter().all(justified);
        if sound {
            self.enter_group_view(opened, &group, cx);
        }
    }

    /// Enters a view whose proof was checked.
    fn enter_group_view(
        &mut self,
        opened: &Arc<Signed<GroupView>>,
        group: &Committee,
        cx: &mut Cx<'_>,
    ) {
        let slot = self.open_slot();
        let (mini, proven) = duty(&opened.body().changes, slot, group.one_honest());
        let Some(member) = &mut self.durable.member else {
            return;
        };
        member.view = opened.body().view;
        member.change = None;
        cx.persist();
        let desk = &mut self.volatile.desk;
        desk.opened = Some(opened.clone());
        desk.duty = mini.as_ref().map(|mini| (slot, mini.digest));
        desk.timed = false;
        cx.cancel_timer(Timer::Group);
        cx.report(Report::Reached("group-view-opened"));
        if group.leader(member.view) == cx.me() {
            self.begin_group_view(mini, proven, cx);
        }
        self.watch_group(true, cx);
        self.hear_early_order(cx);
    }

    /// Does what the proof of the view demands of its primary: submits again what is certified
    /// already, orders again what others may have accepted, or begins afresh.
    fn begin_group_view(
        &mut self,
        mini: Option<Arc<Mini>>,
        proven: Option<Certified>,
        cx: &mut Cx<'_>,
    ) {
        let Some(member) = &mut self.durable.member else {
            return;
        };
        let before = member.accepted.take().map(|(_, before)| before);
        let row = member.row.cut_from(0);
        for before in before.iter().chain(row.iter().rev()) {
            if Some(before) != mini.as_ref() {
                self.volatile.desk.mempool.restore(&before.batch);
            }
        }
        if self.config.window > 1 {
            member
                .proven
                .take_if(|(proven, _)| Some(&*proven) != mini.as_ref());
        }
        let Some(mini) = mini else {
            return;
        };
        if self.objection(&mini, cx).is_some() {
            // More than f members lie: nobody signs for them.
            self.leave_group_view(cx);
            return;
        }
        let Some(member) = &mut self.durable.member else {
            return;
        };
        cx.report(Report::Reached("group-view-keeps-accepted"));
        self.volatile.desk.mempool.note_proposed(&mini.batch);
        let roles = &self.volatile.register.roles;
        let certified =
            proven.filter(|(mini, proof)| is_certified(mini, proof, roles, cx.keyring()));
        let Some((mini, proof)) = certified else {
            self.put(mini, cx);
            return;
        };
        let vote = cx.sign(mini.vote(Phase::Speculative, member.view));
        member.accepted = Some((vote, mini.clone()));
        member.proven = Some((mini.clone(), proof));
        self.keep_pending(&mini);
        cx.persist();
        self.volatile.desk.stage = Stage::Certified;
        self.submit(true, cx);
    }
}
