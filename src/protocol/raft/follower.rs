//! What a follower does with what its leader sends.

use super::log::Replaced;
use super::message::{Answer, Append, Entry, Heartbeat, HeartbeatReply, Position, Reply, Snapshot};
use super::{Cx, Message, Mutant, Raft, Role};
use crate::base::node::NodeId;
use crate::protocol::Report;

impl Raft {
    /// Whether this replica clings to its lead whatever it hears; only a broken guard makes it so.
    pub(super) fn clings(&self) -> bool {
        self.broken(Mutant::NoStepDown) && matches!(self.volatile.role, Role::Leader(_))
    }

    /// Accepts the sender as the leader of its term; false if that term is over, or if this
    /// replica believes to lead it, which only a dishonest voter can bring about.
    fn obey(&mut self, from: NodeId, term: u64, cx: &mut Cx<'_>) -> bool {
        let leads = matches!(self.volatile.role, Role::Leader(_));
        let stays = (leads && term == self.durable.term) || self.clings();
        if term < self.durable.term || stays {
            return false;
        }
        let enters = term > self.durable.term;
        if enters || !matches!(self.volatile.role, Role::Follower) {
            self.follow(term, cx);
        }
        self.volatile.rested = cx.now();
        if enters {
            self.rest(cx);
        }
        if self.volatile.leader != Some(from) {
            self.volatile.leader = Some(from);
            self.forget_leader();
            self.forward_pending(from, cx);
        }
        true
    }

    pub(super) fn on_append(&mut self, from: NodeId, append: &Append, cx: &mut Cx<'_>) {
        if !self.obey(from, append.term, cx) {
            self.reply(from, Answer::Stale, cx);
            return;
        }
        let previous = append.previous.index;
        let gap = previous > self.durable.log.last_index();
        let has_room = self.volatile.early.len() < self.config.pipeline;
        if gap && self.volatile.in_step && has_room {
            self.volatile.early.insert(previous, append.clone());
            return;
        }
        let mut answers = vec![self.take(append, cx)];
        let mut commit = append.commit;
        while let Some(next) = self.next_early() {
            commit = commit.max(next.commit);
            answers.push(self.take(&next, cx));
        }
        if !self.broken(Mutant::LogPersistLate) {
            self.sync(cx);
        }
        for answer in answers {
            self.reply(from, answer, cx);
        }
        // Never beyond what is verified: the rest of the log may be another leader's.
        let verified = if self.broken(Mutant::CommitUnverified) {
            self.durable.log.last_index()
        } else {
            self.volatile.verified
        };
        self.commit_to(commit.min(verified), cx);
        self.forward_restored(from, cx);
    }

    /// Nothing is known of a new leader's log.
    pub(super) fn forget_leader(&mut self) {
        self.volatile.verified = 0;
        self.volatile.in_step = false;
        self.volatile.early.clear();
    }

    /// What was proposed in vain waits again, for this leader.
    fn restore(&mut self, entries: &[Entry]) {
        for entry in entries.iter().rev() {
            self.volatile.mempool.restore(&entry.batch);
        }
        self.volatile.restored |= !entries.is_empty();
    }

    fn forward_restored(&mut self, leader: NodeId, cx: &mut Cx<'_>) {
        if std::mem::take(&mut self.volatile.restored) {
            self.forward_pending(leader, cx);
        }
    }

    /// The next append that waited for a gap to close.
    fn next_early(&mut self) -> Option<Append> {
        let first = *self.volatile.early.first_key_value()?.0;
        if first > self.durable.log.last_index() {
            return None;
        }
        self.volatile.early.remove(&first)
    }

    /// Appends entries to the log if they follow on it (section 5.3).
    fn take(&mut self, append: &Append, cx: &mut Cx<'_>) -> Answer {
        let index = append.previous.index;
        let base = self.durable.log.base().index;
        if let Some(hint) = self.conflict(append.previous) {
            return Answer::Conflict {
                previous: index,
                hint,
            };
        }
        let end = index + append.entries.len() as u64;
        for (index, entry) in (index + 1..).zip(&append.entries) {
            let held = self.durable.log.term(index);
            // What is compacted is decided, and so the same in every leader's log.
            let stays = held.is_some() && self.broken(Mutant::NoTruncate);
            if index <= base || held == Some(entry.term) || stays {
                continue;
            }
            if held.is_some() {
                if index <= self.volatile.commit {
                    // Only a dishonest replica makes a leader that lacks what is decided.
                    return Answer::Stale;
                }
                let gone = self.durable.log.truncate(index);
                self.restore(&gone);
            }
            self.log_entry(entry.clone(), cx);
        }
        if self.broken(Mutant::TruncateAlways) && end.max(base) < self.durable.log.last_index() {
            self.durable.log.truncate(end.max(base) + 1);
            self.volatile.verified = end;
            self.volatile.dirty = true;
        }
        self.volatile.in_step = true;
        self.volatile.verified = self.volatile.verified.max(end);
        Answer::Matched(end)
    }

    /// Where the leader may try next if its log does not contain ours up to this entry.
    fn conflict(&self, previous: Position) -> Option<u64> {
        let log = &self.durable.log;
        if previous.index > log.last_index() {
            return Some(log.last_index() + 1);
        }
        if previous.index <= log.base().index || self.broken(Mutant::NoPrevCheck) {
            return None;
        }
        if log.term(previous.index) == Some(previous.term) {
            return None;
        }
        let first = log.first_of_term(previous.index);
        Some(first.max(self.volatile.commit + 1))
    }

    pub(super) fn on_heartbeat(&mut self, from: NodeId, heartbeat: &Heartbeat, cx: &mut Cx<'_>) {
        let obeys = self.obey(from, heartbeat.term, cx);
        let Position { index, term } = heartbeat.commit;
        // An entry of the same index and term: the logs are equal up to there.
        let holds = obeys && self.durable.log.term(index) == Some(term);
        if holds {
            self.volatile.verified = self.volatile.verified.max(index);
        }
        self.sync(cx);
        let reply = HeartbeatReply {
            term: self.durable.term,
            round: heartbeat.round,
            matched: if obeys { self.volatile.verified } else { 0 },
        };
        cx.send(from, Message::HeartbeatReply(reply));
        if holds {
            self.commit_to(index, cx);
        }
    }

    pub(super) fn on_snapshot(&mut self, from: NodeId, snapshot: &Snapshot, cx: &mut Cx<'_>) {
        let answer = if self.obey(from, snapshot.term, cx) {
            self.adopt(snapshot, cx);
            Answer::Matched(snapshot.last.index)
        } else {
            Answer::Stale
        };
        self.sync(cx);
        let term = self.durable.term;
        cx.send(from, Message::SnapshotReply(Reply { term, answer }));
        self.forward_restored(from, cx);
    }

    /// Replaces ledger and log up to the snapshot, unless this replica has come as far.
    fn adopt(&mut self, snapshot: &Snapshot, cx: &mut Cx<'_>) {
        let Position { index, term } = snapshot.last;
        if index > self.volatile.commit && cx.install(&snapshot.point) {
            let prefix = snapshot.prefix;
            match self.durable.log.restart(snapshot.last, prefix) {
                Replaced::Decided(entries) => {
                    for entry in entries {
                        self.volatile.mempool.settle(&entry.batch);
                    }
                }
                Replaced::Unknown(entries) => self.restore(&entries),
            }
            self.volatile.commit = index;
            self.volatile.dirty = true;
            self.volatile.early.clear();
            cx.report(Report::Restarted {
                index,
                term,
                prefix,
            });
            for index in index + 1..=self.durable.log.last_index() {
                let term = self.durable.log.term(index).expect("it is held");
                let prefix = self.prefix_at(index);
                cx.report(Report::Logged {
                    index,
                    term,
                    prefix,
                });
            }
        }
        self.volatile.in_step = true;
        self.volatile.verified = self.volatile.verified.max(index);
    }

    fn reply(&mut self, to: NodeId, answer: Answer, cx: &mut Cx<'_>) {
        let term = self.durable.term;
        cx.send(to, Message::AppendReply(Reply { term, answer }));
    }
}
