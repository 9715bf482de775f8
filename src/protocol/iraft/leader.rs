//! What a leader does: propose, and replicate to each follower at its own pace.

use std::sync::Arc;

use super::content::{Content, Entry};
use super::message::{
    Answer, Append, Election, Heartbeat, HeartbeatReply, Message, Reply, Snapshot, Told,
};
use super::peer::Peer;
use super::statement::Header;
use super::{Cx, Iraft, Role, Timer};
use crate::base::crypto::Signed;
use crate::base::node::{Committee, NodeId};
use crate::base::time::Time;
use crate::chain::Batch;
use crate::chain::ledger::Snapshot as Point;

/// What a leader knows beyond a follower.
#[derive(Clone, Debug)]
pub(super) struct Leader {
    /// By position in the committee; its own place is unused.
    peers: Vec<Peer>,
    /// Heartbeats sent.
    round: u64,
    /// A snapshot to send, made once for several followers.
    snapshot: Option<(Signed<Header>, Point)>,
    /// Whether it has decided an entry of its term.
    pub confirmed: bool,
}

impl Leader {
    /// A leader at the beginning of its term.
    pub fn new(committee: &Committee, last: u64, now: Time) -> Self {
        Self {
            peers: vec![Peer::new(last, now); committee.n()],
            round: 0,
            snapshot: None,
            confirmed: false,
        }
    }

    /// The latest time by which so many others have been heard.
    pub fn quorum_heard(&self, me: usize, others: usize, now: Time) -> Time {
        let indexed = self.peers.iter().enumerate();
        let heard = indexed.filter(|(position, _)| *position != me);
        let mut heard: Vec<Time> = heard.map(|(_, peer)| peer.heard).collect();
        heard.sort_unstable_by(|a, b| b.cmp(a));
        others.checked_sub(1).map_or(now, |place| heard[place])
    }
}

impl Iraft {
    pub(super) fn leader(&mut self) -> Option<&mut Leader> {
        match &mut self.volatile.role {
            Role::Leader(leader) => Some(leader),
            Role::Follower | Role::PreCandidate(..) | Role::Candidate(_) => None,
        }
    }

    /// The first entry of a term: with it, everything before it is decided.
    pub(super) fn greet(&mut self, cx: &mut Cx<'_>) {
        self.propose(Content::of(Batch::empty()), cx);
        self.cut_batches(cx);
    }

    /// Proposes every batch that is full or has waited enough, and an exclusion before them.
    pub(super) fn cut_batches(&mut self, cx: &mut Cx<'_>) {
        if self.leads()
            && let Some(exclusion) = self.next_exclusion()
        {
            self.propose(exclusion, cx);
        }
        let rule = self.setup.batch;
        let at_once = rule.wait.nanos() == 0;
        let mut cut = false;
        while self.leads()
            && self.has_room()
            && (at_once || self.volatile.ripe || self.volatile.mempool.is_full(&rule))
        {
            self.volatile.ripe = false;
            let Some(batch) = self.volatile.mempool.take(&rule) else {
                break;
            };
            self.propose(Content::of(batch), cx);
            cut = true;
        }
        if cut {
            // Whoever still waits has come after those who left.
            self.stop_batching(cx);
        }
        let waits = self.volatile.batching || self.volatile.ripe;
        if self.leads() && !waits && !self.volatile.mempool.is_empty() {
            self.volatile.batching = true;
            cx.set_timer(Timer::Batch, rule.wait);
        }
    }

    pub(super) fn on_batch_timeout(&mut self, cx: &mut Cx<'_>) {
        self.volatile.batching = false;
        if self.leads() {
            self.volatile.ripe = true;
            self.cut_batches(cx);
        }
    }

    /// Whether another batch may be proposed before an earlier one is committed.
    pub(super) fn has_room(&self) -> bool {
        let open = self.durable.log.last_index() - self.volatile.commit;
        open < self.config.uncommitted_max
    }

    /// Signs and appends a content, sends it and writes it to disk at the same time, and counts
    /// itself only after the write.
    pub(super) fn propose(&mut self, content: Content, cx: &mut Cx<'_>) {
        self.sync(cx);
        let last = self.durable.log.last();
        let header = cx.sign(Header {
            term: self.durable.term,
            index: last.index + 1,
            previous: last.chain,
            content: content.digest(),
        });
        self.log_entry(Entry { header, content }, cx);
        self.replicate(None, cx);
        self.sync(cx);
        self.vote_for_own(last.index + 1, cx);
    }

    /// Sends what they lack to all followers, or to the one at this position, as far as their
    /// windows are open. Those that lack the same get one message.
    fn replicate(&mut self, only: Option<usize>, cx: &mut Cx<'_>) {
        // Ends because each turn closes a window or reaches the end of the log.
        while let Some((next, to)) = self.furthest_behind(only) {
            if next > self.durable.log.base().index {
                self.send_entries(next, &to, cx);
            } else if !self.send_snapshot(&to, cx) {
                return;
            }
        }
    }

    /// The followers that may be sent the lowest entry that any of them lacks, and that entry.
    fn furthest_behind(&self, only: Option<usize>) -> Option<(u64, Vec<usize>)> {
        let Role::Leader(leader) = &self.volatile.role else {
            return None;
        };
        let last = self.durable.log.last_index();
        let pipeline = self.config.pipeline;
        if let Some(position) = only {
            let peer = &leader.peers[position];
            let ready = peer.is_ready(last, pipeline);
            return ready.then(|| (peer.next, vec![position]));
        }
        let me = self.position(self.setup.me);
        let peers = leader.peers.iter().enumerate();
        let ready = || {
            let others = peers.clone().filter(|(position, _)| *position != me);
            others.filter(|(_, peer)| peer.is_ready(last, pipeline))
        };
        let next = ready().map(|(_, peer)| peer.next).min()?;
        let behind = ready().filter(|(_, peer)| peer.next == next);
        Some((next, behind.map(|(position, _)| position).collect()))
    }

    /// Why this replica leads, if one of these has not seen it.
    fn election_for(&mut self, to: &[usize]) -> Option<Arc<Election>> {
        let election = self.volatile.election.clone();
        let leader = self.leader()?;
        let unknown = to.iter().any(|position| !leader.peers[*position].own.knows);
        election.filter(|_| unknown)
    }

    fn send_entries(&mut self, next: u64, to: &[usize], cx: &mut Cx<'_>) {
        let election = self.election_for(to);
        let log = &self.durable.log;
        let entries = log.entries(next, self.config.append_max);
        let previous = log.mark(next - 1).expect("the base or an entry precedes");
        let end = next + entries.len() as u64 - 1;
        let append = Append {
            term: self.durable.term,
            previous,
            entries,
            commit: self.volatile.commit,
            election,
        };
        self.note_sent(to, previous.index, end, cx.now());
        self.multicast(self.nodes(to), Message::Append(append), cx);
    }

    /// Sends the state at the head of the ledger; false without a head, which means that there is
    /// nothing to send yet.
    fn send_snapshot(&mut self, to: &[usize], cx: &mut Cx<'_>) -> bool {
        let base = self.durable.log.base().index;
        let at = self.volatile.commit;
        let cached = self.leader().and_then(|leader| leader.snapshot.clone());
        let fresh = cached.filter(|(last, _)| last.body().index >= base);
        let Some((last, point)) = fresh.or_else(|| {
            let header = self.durable.log.header(at)?.clone();
            Some((header, cx.snapshot()?))
        }) else {
            return false;
        };
        let election = self.election_for(to);
        let index = last.body().index;
        self.note_sent(to, index, index, cx.now());
        if let Some(leader) = self.leader() {
            leader.snapshot = Some((last.clone(), point.clone()));
            for position in to {
                leader.peers[*position].probing = true;
            }
        }
        let snapshot = Snapshot {
            term: self.durable.term,
            last,
            point,
            excluded: self.exclusions(),
            election,
        };
        self.multicast(self.nodes(to), Message::Snapshot(Box::new(snapshot)), cx);
        true
    }

    fn note_sent(&mut self, to: &[usize], previous: u64, end: u64, now: Time) {
        let Some(leader) = self.leader() else { return };
        for position in to {
            let peer = &mut leader.peers[*position];
            peer.next = end + 1;
            peer.in_flight.push_back(end);
            peer.sent = now;
            if peer.probing {
                peer.probe = previous;
            }
        }
    }

    fn nodes(&self, positions: &[usize]) -> Vec<NodeId> {
        let members = self.setup.committee.members();
        let nodes = positions.iter().map(|position| members[*position]);
        nodes.collect()
    }

    /// What a follower says of what it was sent, and what it signed along with it.
    pub(super) fn on_append_reply(&mut self, from: NodeId, reply: &Reply, cx: &mut Cx<'_>) {
        self.read_words(from, reply, cx);
        if !self.hears_peer(from, reply.term, reply.warrant.as_ref(), cx) {
            return;
        }
        let position = self.position(from);
        let last = self.durable.log.last_index();
        let Some(leader) = self.leader() else { return };
        let peer = &mut leader.peers[position];
        match reply.answer {
            Answer::Matched(matched) => {
                peer.own.knows = true;
                // An honest follower never holds more of our log than there is.
                peer.advance(matched.min(last));
            }
            Answer::Conflict { previous, hint } => {
                peer.own.knows = true;
                peer.conflicts(previous, hint);
            }
            Answer::Unproven => {
                peer.own.knows = false;
                peer.repeat();
            }
            Answer::Stale | Answer::Refused => {}
        }
        self.advance(cx);
        self.replicate(Some(position), cx);
    }

    /// Whether this replica leads the term that the answer is of; proof of a later term ends the
    /// lead.
    fn hears_peer(
        &mut self,
        from: NodeId,
        term: u64,
        warrant: Option<&super::Warrant>,
        cx: &mut Cx<'_>,
    ) -> bool {
        if term > self.durable.term {
            self.on_warrant(from, term, warrant, cx);
        }
        let position = self.position(from);
        let current = term == self.durable.term;
        let Some(leader) = self.leader().filter(|_| current) else {
            return false;
        };
        leader.peers[position].heard = cx.now();
        true
    }

    pub(super) fn on_heartbeat_timeout(&mut self, cx: &mut Cx<'_>) {
        let interval = self.config.heartbeat;
        let me = self.position(cx.me());
        let now = cx.now();
        let Some(leader) = self.leader() else { return };
        let silent = |peer: &Peer| peer.sent + interval <= now;
        let indexed = leader.peers.iter().enumerate();
        let due: Vec<usize> = indexed
            .filter(|(position, peer)| *position != me && silent(peer))
            .map(|(position, _)| position)
            .collect();
        self.send_heartbeat(&due, cx);
        let Some(leader) = self.leader() else { return };
        let others = leader.peers.iter().enumerate().filter(|(p, _)| *p != me);
        if let Some(sent) = others.map(|(_, peer)| peer.sent).min() {
            let next = sent + interval;
            cx.set_timer(Timer::Heartbeat, next - now);
        }
    }

    fn send_heartbeat(&mut self, to: &[usize], cx: &mut Cx<'_>) {
        if to.is_empty() {
            return;
        }
        let index = self.volatile.commit;
        let log = &self.durable.log;
        let commit = log.mark(index);
        let commit = commit.expect("the last decided entry is held or the base");
        let told = self.told(index);
        let election = self.election_for(to);
        let term = self.durable.term;
        let Some(leader) = self.leader() else { return };
        leader.round += 1;
        let round = leader.round;
        for position in to {
            let peer = &mut leader.peers[*position];
            peer.sent = cx.now();
            peer.promised = (round, peer.matched);
            if let (None, Some(end)) = (peer.suspect, peer.in_flight.front()) {
                peer.suspect = Some((round, *end));
            }
        }
        let heartbeat = Heartbeat {
            term,
            commit,
            round,
            election,
            told,
        };
        self.multicast(self.nodes(to), Message::Heartbeat(Box::new(heartbeat)), cx);
    }

    /// What stands at a place of the log, for a liar who denies it.
    pub(super) fn told(&self, index: u64) -> Told {
        let entry = self.durable.log.entry(index)?;
        Some((*entry.header.body(), entry.content.clone()))
    }

    pub(super) fn on_heartbeat_reply(
        &mut self,
        from: NodeId,
        reply: &HeartbeatReply,
        cx: &mut Cx<'_>,
    ) {
        if !self.hears_peer(from, reply.term, reply.warrant.as_ref(), cx) {
            return;
        }
        let position = self.position(from);
        let Some(leader) = self.leader() else { return };
        let peer = &mut leader.peers[position];
        peer.own.knows = !reply.unproven;
        if reply.unproven {
            peer.repeat();
        }
        let (round, promised) = peer.promised;
        if reply.round == round && reply.matched < promised {
            // It has returned from a crash: let it confirm the last entry once more.
            peer.trust_less(promised);
        }
        if let Some((_, end)) = peer.suspect.filter(|(round, _)| *round <= reply.round) {
            peer.suspect = None;
            if peer.matched < end {
                // Sent before this heartbeat and still not there: lost.
                peer.repeat();
            }
        }
        self.repeat_proofs(from, reply, cx);
        self.replicate(Some(position), cx);
    }

    /// What is known of a follower.
    pub(super) fn peer(&mut self, node: NodeId) -> Option<&mut Peer> {
        let position = self.position(node);
        Some(&mut self.leader()?.peers[position])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Span;

    #[test]
    fn a_leader_has_heard_a_quorum_when_it_has_heard_its_slowest_member() {
        let mut leader = Leader::new(&Committee::first(5), 0, Time::ZERO);
        let at = |millis| Time::ZERO + Span::from_millis(millis);
        for (peer, millis) in leader.peers.iter_mut().zip([0, 10, 40, 20, 30]) {
            peer.heard = at(millis);
        }
        assert_eq!(leader.quorum_heard(0, 2, at(99)), at(30));
        assert_eq!(leader.quorum_heard(0, 3, at(99)), at(20));
        assert_eq!(leader.quorum_heard(0, 0, at(99)), at(99), "alone");
    }
}
