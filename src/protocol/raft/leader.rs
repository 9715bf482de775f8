//! What a leader does: propose, replicate to each follower at its own pace, commit, read.

use std::collections::VecDeque;
use std::sync::Arc;

use super::message::{Answer, Append, Entry, Heartbeat, HeartbeatReply, Position, Reply, Snapshot};
use super::{Cx, Message, Mutant, Raft, Role, Timer};
use crate::base::node::{Committee, NodeId};
use crate::base::time::Time;
use crate::chain::ledger::Snapshot as Point;
use crate::chain::{Batch, Transaction};
use crate::protocol::peer;

/// What a leader knows of one follower.
type Peer = peer::Peer<Follower>;

/// What it wants to know of a follower beyond how far its log agrees.
#[derive(Clone, Debug, Default)]
struct Follower {
    /// The latest heartbeat it has answered.
    acked: u64,
}

/// What a leader knows beyond a follower.
#[derive(Clone, Debug)]
pub struct Leader {
    /// By position in the committee; its own place is unused.
    peers: Vec<Peer>,
    /// Heartbeats sent.
    round: u64,
    /// Reads, each with the round that confirms it.
    reads: VecDeque<(u64, Arc<Transaction>)>,
    /// When that round was sent last.
    asked: Time,
    /// Reads that arrived while a round was on its way, or before our first commit.
    waiting: Vec<Arc<Transaction>>,
    /// A snapshot to send, made once for several followers.
    snapshot: Option<(Position, u64, Point)>,
    /// Room for sorting.
    scratch: Vec<u64>,
}

impl Leader {
    /// A leader at the beginning of its term.
    pub fn new(committee: &Committee, last: u64, now: Time) -> Self {
        Self {
            peers: vec![Peer::new(last, now); committee.n()],
            round: 0,
            reads: VecDeque::new(),
            asked: Time::ZERO,
            waiting: Vec::new(),
            snapshot: None,
            scratch: Vec::new(),
        }
    }

    /// The latest time by which so many others have been heard.
    pub fn majority_heard(&self, me: usize, others: usize, now: Time) -> Time {
        let mut heard: Vec<Time> = self.others(me).map(|peer| peer.heard).collect();
        heard.sort_unstable_by(|a, b| b.cmp(a));
        others.checked_sub(1).map_or(now, |place| heard[place])
    }

    fn others(&self, me: usize) -> impl Iterator<Item = &Peer> {
        let indexed = self.peers.iter().enumerate();
        indexed
            .filter(move |(position, _)| *position != me)
            .map(|(_, peer)| peer)
    }

    /// Whether so many of the others hold more than what is committed.
    fn can_commit(&self, me: usize, others: usize, commit: u64) -> bool {
        let beyond = self.others(me).filter(|peer| peer.matched > commit);
        beyond.count() >= others
    }

    /// The greatest value that so many of the others reach; `most` if none are needed.
    fn reached_by(&mut self, me: usize, others: usize, most: u64, of: fn(&Peer) -> u64) -> u64 {
        let Some(place) = others.checked_sub(1) else {
            return most;
        };
        let mut values = std::mem::take(&mut self.scratch);
        values.clear();
        values.extend(self.others(me).map(of));
        let (_, value, _) = values.select_nth_unstable_by(place, |a, b| b.cmp(a));
        let value = *value;
        self.scratch = values;
        value
    }
}

impl Raft {
    fn leader(&mut self) -> Option<&mut Leader> {
        match &mut self.volatile.role {
            Role::Leader(leader) => Some(leader),
            Role::Follower | Role::PreCandidate(_) | Role::Candidate(_) => None,
        }
    }

    /// The first entry of a term: what it commits makes known what earlier terms committed.
    pub(super) fn greet(&mut self, cx: &mut Cx<'_>) {
        self.propose(Batch::empty(), cx);
        self.cut_batches(cx);
    }

    /// Proposes every batch that is full or has waited enough.
    pub(super) fn cut_batches(&mut self, cx: &mut Cx<'_>) {
        let rule = self.setup.batch;
        let at_once = rule.wait.nanos() == 0;
        let mut cut = false;
        while self.has_room()
            && (at_once || self.volatile.ripe || self.volatile.mempool.is_full(&rule))
        {
            self.volatile.ripe = false;
            let Some(batch) = self.volatile.mempool.take(&rule) else {
                break;
            };
            self.propose(batch, cx);
            cut = true;
        }
        if cut {
            // Whoever still waits has come after those who left.
            self.stop_batching(cx);
        }
        let waits = self.volatile.batching || self.volatile.ripe;
        if !waits && !self.volatile.mempool.is_empty() {
            self.volatile.batching = true;
            cx.set_timer(Timer::Batch, rule.wait);
        }
    }

    pub(super) fn on_batch_timeout(&mut self, cx: &mut Cx<'_>) {
        self.volatile.batching = false;
        if self.leader().is_none() {
            return;
        }
        self.volatile.ripe = true;
        self.cut_batches(cx);
    }

    /// Whether another batch may be proposed before an earlier one is committed.
    pub(super) fn has_room(&self) -> bool {
        let open = self.durable.log.last_index() - self.volatile.commit;
        open < self.config.uncommitted_max
    }

    /// Appends a batch, sends it and writes it to disk at the same time, and counts itself only
    /// after the write.
    pub(super) fn propose(&mut self, batch: Batch, cx: &mut Cx<'_>) {
        self.sync(cx);
        let term = self.durable.term;
        self.log_entry(Entry { term, batch }, cx);
        self.replicate(None, cx);
        self.sync(cx);
        self.advance_commit(cx);
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

    fn send_entries(&mut self, next: u64, to: &[usize], cx: &mut Cx<'_>) {
        let log = &self.durable.log;
        let entries = log.entries(next, self.config.append_max);
        let previous = Position {
            index: next - 1,
            term: log.term(next - 1).expect("the base or an entry precedes"),
        };
        let end = next + entries.len() as u64 - 1;
        let append = Append {
            term: self.durable.term,
            previous,
            entries,
            commit: self.volatile.commit,
        };
        self.note_sent(to, previous.index, end, cx.now());
        self.multicast(self.members(to), Message::Append(append), cx);
    }

    /// Sends the state at the head of the ledger; false without a head, which means that there is
    /// nothing to send yet.
    fn send_snapshot(&mut self, to: &[usize], cx: &mut Cx<'_>) -> bool {
        let base = self.durable.log.base().index;
        let at = self.volatile.commit;
        let cached = self.leader().and_then(|leader| leader.snapshot.clone());
        let fresh = cached.filter(|(last, _, _)| last.index >= base);
        let Some((last, prefix, point)) = fresh.or_else(|| {
            let term = self.durable.log.term(at)?;
            let last = Position { index: at, term };
            Some((last, self.prefix_at(at), cx.snapshot()?))
        }) else {
            return false;
        };
        if let Some(leader) = self.leader() {
            leader.snapshot = Some((last, prefix, point.clone()));
        }
        let snapshot = Snapshot {
            term: self.durable.term,
            last,
            prefix,
            point,
        };
        self.note_sent(to, last.index, last.index, cx.now());
        if let Some(leader) = self.leader() {
            for position in to {
                leader.peers[*position].probing = true;
            }
        }
        self.multicast(self.members(to), Message::Snapshot(snapshot), cx);
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

    fn members(&self, positions: &[usize]) -> Vec<NodeId> {
        let members = self.setup.committee.members();
        positions
            .iter()
            .map(|position| members[*position])
            .collect()
    }

    pub(super) fn on_append_reply(&mut self, from: NodeId, reply: &Reply, cx: &mut Cx<'_>) {
        if !self.hears_peer(from, reply.term, cx) {
            return;
        }
        let position = self.position(from);
        match reply.answer {
            Answer::Matched(matched) => self.on_matched(position, matched, cx),
            Answer::Conflict { previous, .. } if self.broken(Mutant::CommitOnNack) => {
                self.on_matched(position, previous, cx);
            }
            Answer::Conflict { previous, hint } => {
                let Some(leader) = self.leader() else { return };
                leader.peers[position].conflicts(previous, hint);
            }
            Answer::Stale => {}
        }
        self.replicate(Some(position), cx);
    }

    /// Whether this replica leads the term that the answer is of; a later term ends the lead.
    fn hears_peer(&mut self, from: NodeId, term: u64, cx: &mut Cx<'_>) -> bool {
        if term > self.durable.term && !self.clings() {
            self.follow(term, cx);
        }
        let position = self.position(from);
        let current = term == self.durable.term;
        let Some(leader) = self.leader().filter(|_| current) else {
            return false;
        };
        leader.peers[position].heard = cx.now();
        true
    }

    fn on_matched(&mut self, position: usize, matched: u64, cx: &mut Cx<'_>) {
        let last = self.durable.log.last_index();
        let commit = self.volatile.commit;
        let Some(leader) = self.leader() else { return };
        // A correct follower never holds more of our log than there is.
        let matched = matched.min(last);
        if leader.peers[position].advance(matched) && matched > commit {
            self.advance_commit(cx);
        }
    }

    /// Commits what a majority holds, if it is of this term (section 5.4.2).
    fn advance_commit(&mut self, cx: &mut Cx<'_>) {
        let me = self.position(cx.me());
        let last = self.durable.log.last_index();
        let low = 1 + usize::from(self.broken(Mutant::CommitQuorumLow));
        let others = self.setup.committee.majority().saturating_sub(low);
        let commit = self.volatile.commit;
        let Some(leader) = self.leader() else { return };
        if !leader.can_commit(me, others, commit) {
            return;
        }
        let held = leader.reached_by(me, others, last, |peer| peer.matched);
        let ours = self.durable.log.term(held) == Some(self.durable.term);
        if held > commit && (ours || self.broken(Mutant::CommitOldTerm)) {
            self.commit_to(held, cx);
            self.volatile.room_grew = true;
            self.start_reads(cx);
        }
    }

    pub(super) fn on_heartbeat_timeout(&mut self, cx: &mut Cx<'_>) {
        let interval = self.config.heartbeat;
        let me = self.position(cx.me());
        let now = cx.now();
        let Some(leader) = self.leader() else { return };
        let silent = |peer: &Peer| peer.sent + interval <= now;
        // Appends are as good as heartbeats to keep the lead, but their answers name no round: one
        // that was lost is sent again, or the reads that wait for it would wait for ever.
        let awaited = leader.reads.front().map(|(round, _)| *round);
        let lost = awaited.filter(|_| leader.asked + interval <= now);
        let owes = |peer: &Peer| lost.is_some_and(|round| peer.own.acked < round);
        let indexed = leader.peers.iter().enumerate();
        let due: Vec<usize> = indexed
            .filter(|(position, peer)| *position != me && (silent(peer) || owes(peer)))
            .map(|(position, _)| position)
            .collect();
        if lost.is_some() {
            leader.asked = now;
        }
        self.send_heartbeat(&due, cx);
        let Some(leader) = self.leader() else { return };
        if let Some(sent) = leader.others(me).map(|peer| peer.sent).min() {
            let next = sent + interval;
            cx.set_timer(Timer::Heartbeat, next - now);
        }
    }

    fn send_heartbeat(&mut self, to: &[usize], cx: &mut Cx<'_>) {
        if to.is_empty() || self.broken(Mutant::NoHeartbeat) {
            return;
        }
        let index = self.volatile.commit;
        let term = self.durable.log.term(index);
        let commit = Position {
            index,
            term: term.expect("the last decided entry is held or the base"),
        };
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
        };
        self.multicast(self.members(to), Message::Heartbeat(heartbeat), cx);
    }

    pub(super) fn on_heartbeat_reply(
        &mut self,
        from: NodeId,
        reply: &HeartbeatReply,
        cx: &mut Cx<'_>,
    ) {
        if !self.hears_peer(from, reply.term, cx) {
            return;
        }
        let position = self.position(from);
        self.on_matched(position, reply.matched, cx);
        let Some(leader) = self.leader() else { return };
        let peer = &mut leader.peers[position];
        peer.own.acked = peer.own.acked.max(reply.round);
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
        self.replicate(Some(position), cx);
        self.finish_reads(cx);
    }

    /// A read waits until this replica is sure that it leads.
    pub(super) fn read(&mut self, transaction: Arc<Transaction>, cx: &mut Cx<'_>) {
        if self.broken(Mutant::StaleRead) {
            cx.answer(&transaction);
        } else if let Some(leader) = self.leader() {
            leader.waiting.push(transaction);
            self.start_reads(cx);
        }
    }

    /// Sends a round of heartbeats for all reads that wait, one round at a time, once an entry of
    /// this term is committed: before, the head may lack what earlier leaders committed.
    fn start_reads(&mut self, cx: &mut Cx<'_>) {
        let commit = self.volatile.commit;
        let ours = self.durable.log.term(commit) == Some(self.durable.term);
        let me = self.position(cx.me());
        let Some(leader) = self.leader() else { return };
        if !ours || leader.waiting.is_empty() || !leader.reads.is_empty() {
            return;
        }
        let everybody: Vec<usize> = (0..leader.peers.len()).filter(|p| *p != me).collect();
        let round = leader.round + 1;
        leader.asked = cx.now();
        let waiting = std::mem::take(&mut leader.waiting);
        leader
            .reads
            .extend(waiting.into_iter().map(|read| (round, read)));
        self.send_heartbeat(&everybody, cx);
        self.finish_reads(cx);
    }

    /// Answers the reads whose round a majority has answered.
    fn finish_reads(&mut self, cx: &mut Cx<'_>) {
        let me = self.position(cx.me());
        let others = self.setup.committee.majority() - 1;
        let Some(leader) = self.leader().filter(|leader| !leader.reads.is_empty()) else {
            return;
        };
        let confirmed = leader.reached_by(me, others, u64::MAX, |peer| peer.own.acked);
        let answered = leader
            .reads
            .partition_point(|(round, _)| *round <= confirmed);
        for (_, read) in leader.reads.drain(..answered) {
            cx.answer(&read);
        }
        if leader.reads.is_empty() {
            self.start_reads(cx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Span;

    fn leader(n: usize, matched: &[u64]) -> Leader {
        let mut leader = Leader::new(&Committee::first(n), 0, Time::ZERO);
        for (peer, matched) in leader.peers.iter_mut().zip(matched) {
            peer.matched = *matched;
        }
        leader
    }

    #[test]
    fn a_majority_holds_what_its_slowest_member_holds() {
        // Position 0 leads and holds 9; the committee needs so many of the others.
        for (n, matched, others, held) in [
            (1, &[0][..], 0, 9),
            (3, &[0, 4, 7], 1, 7),
            (4, &[0, 4, 7, 5], 2, 5),
            (5, &[0, 4, 7, 5, 0], 2, 5),
        ] {
            let mut leader = leader(n, matched);
            assert_eq!(leader.reached_by(0, others, 9, |peer| peer.matched), held);
            assert!(leader.can_commit(0, others, held - 1), "{matched:?}");
            assert!(n == 1 || !leader.can_commit(0, others, held), "{matched:?}");
        }
    }

    #[test]
    fn a_leader_has_heard_a_majority_when_it_has_heard_its_slowest_member() {
        let mut leader = leader(5, &[]);
        let at = |millis| Time::ZERO + Span::from_millis(millis);
        for (peer, millis) in leader.peers.iter_mut().zip([0, 10, 40, 20, 30]) {
            peer.heard = at(millis);
        }
        assert_eq!(leader.majority_heard(0, 2, at(99)), at(30));
        assert_eq!(leader.majority_heard(0, 0, at(99)), at(99), "alone");
    }
}
