//! What a follower does with what its leader sends.

use std::sync::Arc;

use super::content::Entry;
use super::message::{
    Answer, Append, Election, Heartbeat, HeartbeatReply, Message, Reply, Snapshot, Warrant,
};
use super::statement::{Mark, Stage};
use super::{Cx, Iraft, Monitors, Mutant, Profile, Role};
use crate::base::crypto::Signed;
use crate::base::node::{Committee, NodeId};
use crate::base::time::Span;
use crate::protocol::Report;

impl Iraft {
    /// Accepts the sender as the leader of its term, or says why not.
    fn obey(
        &mut self,
        from: NodeId,
        term: u64,
        election: Option<&Arc<Election>>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Answer> {
        if let Some(election) = election {
            self.learn(&election.evidence, cx);
        }
        if self.is_distrusted(from) {
            return Err(Answer::Refused);
        }
        if term < self.durable.term {
            return Err(Answer::Stale);
        }
        let present = term == self.durable.term;
        if !present || self.volatile.leader != Some(from) {
            self.recognise(from, term, election, cx)?;
        }
        let [low, _] = self.config.election_timeout;
        self.volatile.rested = cx.now();
        self.volatile.dead_from = cx.now() + Span::from_nanos(low.nanos() / 3 * 2);
        self.volatile.lazy = None;
        self.volatile.vain = 0;
        Ok(())
    }

    /// Looks at why somebody else leads a term.
    fn recognise(
        &mut self,
        from: NodeId,
        term: u64,
        election: Option<&Arc<Election>>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Answer> {
        let present = term == self.durable.term;
        let known = self.volatile.election.clone().filter(|_| present);
        let named = |e: &Arc<Election>| {
            let ballot = e.certificate.body();
            (ballot.term, ballot.candidate) == (term, from)
        };
        let own = known.as_ref().filter(|known| named(known));
        let shown = election.or(own).filter(|e| named(e)).cloned();
        let shown = shown.filter(|e| self.suffices(&e.certificate, cx));
        if self.config.election_proof && shown.is_none() {
            return Err(Answer::Unproven);
        }
        if let Some(election) = shown.as_ref().filter(|_| present) {
            self.judge_election(election, cx);
        }
        let other = present && known.is_some_and(|known| !named(&known));
        if present && (self.leads() || other) {
            // Two leaders of one term: somebody has voted twice. Neither is followed where a wait
            // is all that decides.
            if self.config.profile == Profile::Sync {
                self.abandon_leader(cx);
            }
            return Err(Answer::Stale);
        }
        if present && self.volatile.abandoned {
            return Err(Answer::Refused);
        }
        if !present || !matches!(self.volatile.role, Role::Follower) {
            self.follow(term, shown.clone().map(Warrant::Elected), cx);
        }
        if let Some(election) = shown {
            self.durable.warrant = Some(Warrant::Elected(election.clone()));
            self.volatile.election = Some(election);
            self.volatile.dirty = true;
        }
        self.volatile.leader = Some(from);
        self.volatile.progressed = cx.now();
        self.volatile.audience = None;
        self.forget_leader();
        self.forward_pending(from, cx);
        Ok(())
    }

    /// Nothing is known of a new leader's log.
    pub(super) fn forget_leader(&mut self) {
        self.volatile.verified = 0;
        self.volatile.in_step = false;
        self.volatile.early.clear();
        self.volatile.audience = None;
        self.volatile.word = 0;
        self.volatile.looked = 0;
        self.volatile.passed_over = None;
        self.volatile.told_again.clear();
    }

    pub(super) fn on_append(&mut self, from: NodeId, append: &Append, cx: &mut Cx<'_>) {
        if let Err(answer) = self.obey(from, append.term, append.election.as_ref(), cx) {
            self.refuse(from, answer, cx);
            return;
        }
        self.volatile.word = self.volatile.word.max(append.commit);
        let previous = append.previous.index;
        let gap = previous > self.durable.log.last_index();
        let has_room = self.volatile.early.len() < self.config.pipeline;
        if gap && self.volatile.in_step && has_room {
            self.volatile.early.insert(previous, append.clone());
            return;
        }
        let mut commit = append.commit;
        let mut replies = vec![self.take(from, append, cx)];
        while let Some(next) = self.next_early() {
            commit = commit.max(next.commit);
            replies.push(self.take(from, &next, cx));
        }
        self.sync(cx);
        for reply in replies {
            self.answer(from, reply, cx);
        }
        self.vote_for_prepared(cx);
        if self.volatile.leader == Some(from) {
            // Never beyond what is verified: the rest of the log may be another leader's.
            let word = self.durable.log.mark(commit.min(self.volatile.verified));
            self.take_word(word.unwrap_or_default(), cx);
        }
        self.decide_what_is_proven(cx);
        if self.config.profile == Profile::Sync {
            self.note_quorum(cx);
        }
        if self.volatile.leader == Some(from) {
            self.forward_restored(from, cx);
        }
    }

    /// What was proposed in vain waits again, for this leader.
    fn restore(&mut self, entries: &[Entry]) {
        for entry in entries.iter().rev() {
            self.volatile.mempool.restore(&entry.content.batch);
        }
        self.volatile.restored |= !entries.is_empty();
    }

    pub(super) fn forward_restored(&mut self, leader: NodeId, cx: &mut Cx<'_>) {
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

    /// Appends entries to the log if they follow on it, and votes on those of the leader's term.
    fn take(&mut self, from: NodeId, append: &Append, cx: &mut Cx<'_>) -> Reply {
        let answer = self.check(from, append, cx).and_then(|()| {
            if let Some(hint) = self.parts_before(append.previous) {
                let previous = append.previous.index;
                return Err(Answer::Conflict { previous, hint });
            }
            append
                .entries
                .iter()
                .try_for_each(|entry| self.store(entry, cx))
        });
        if let Err(answer) = answer {
            return self.bare(answer);
        }
        let end = append.previous.index + append.entries.len() as u64;
        self.volatile.in_step = true;
        self.volatile.verified = self.volatile.verified.max(end);
        let mut reply = self.bare(Answer::Matched(end));
        if self.durable.misled || !self.is_bound() {
            return reply;
        }
        for entry in &append.entries {
            let index = entry.header.body().index;
            let mark = self.durable.log.mark(index);
            let own = mark.filter(|mark| mark.term == self.durable.term);
            if let Some(mark) = own.filter(|_| index == end || index > append.commit) {
                reply.acks.push(self.vote_on(Stage::Prepare, mark, cx));
                reply.echo = Some(entry.header.clone());
                reply.told = self.told(index);
            }
        }
        reply
    }

    /// Checks what can be checked without the log: that the entries follow on one another, are
    /// signed, and hold what an honest leader proposes.
    fn check(&mut self, from: NodeId, append: &Append, cx: &mut Cx<'_>) -> Result<(), Answer> {
        let mut previous = append.previous;
        for entry in &append.entries {
            let header = *entry.header.body();
            let by = entry.header.by();
            let fits = header.index.checked_sub(1) == Some(previous.index)
                && header.previous == previous.chain
                && (previous.term..=append.term).contains(&header.term)
                && (header.term < append.term || by == from)
                && self.setup.committee.contains(by)
                && header.content == entry.content.digest()
                && entry.header.verify(cx.keyring());
            if !fits {
                return Err(Answer::Refused);
            }
            self.judge_header(&entry.header, cx);
            if self.config.audit {
                self.audit(&entry.header, &entry.content, cx);
            } else if self.judge_content(&entry.header, &entry.content, cx) {
                return Err(Answer::Refused);
            }
            previous = header.mark();
        }
        if self.durable.convicted.contains_key(&from) {
            return Err(Answer::Refused);
        }
        Ok(())
    }

    /// Puts an entry into the log, in the place of another leader's if need be.
    fn store(&mut self, entry: &Entry, cx: &mut Cx<'_>) -> Result<(), Answer> {
        let header = *entry.header.body();
        let held = self.durable.log.chain(header.index);
        // What is compacted is decided, and so the same in every leader's log.
        let is_held = || held.is_some_and(|held| held == header.chain());
        if header.index <= self.durable.log.base().index || is_held() {
            return Ok(());
        }
        if self.durable.log.chain(header.index - 1) != Some(header.previous) {
            // Below it something else is decided here: only liars bring that about.
            return Err(Answer::Stale);
        }
        if held.is_some() {
            // What is replaced ends with an entry of this leader, here or further on: it takes back
            // what it has proposed, or what it has proposed that on.
            let twice = self.durable.log.last().term == self.durable.term;
            if header.index <= self.volatile.commit || (twice && !self.gives_way(header.index)) {
                // Only a dishonest leader lacks what is decided, or takes back what it signed.
                return Err(Answer::Stale);
            }
            if twice {
                self.durable.misled = true;
                self.volatile.verified = self.volatile.verified.min(header.index - 1);
                cx.report(Report::Reached(
                    "a follower gives up what its leader takes back",
                ));
            }
            self.cut(header.index);
        }
        self.log_entry(entry.clone(), cx);
        if header.term == self.durable.term {
            self.note_served(&entry.content.batch, cx);
        } else {
            self.volatile.mempool.note_proposed(&entry.content.batch);
        }
        if let Some(evidence) = &entry.content.exclude {
            self.learn(std::slice::from_ref(evidence), cx);
        }
        Ok(())
    }

    /// Whether an entry may be replaced by another one of the same leader: where nobody is
    /// convicted such a leader stays, and a quorum may have been told the other story. With two
    /// rounds a vote of the first binds nobody to the entry, and it is not cast again; what this
    /// replica has held to in this term nothing else can be certified for.
    pub(super) fn gives_way(&self, index: u64) -> bool {
        let lock = self.durable.lock.as_ref().map(|lock| lock.body());
        let held = lock.is_some_and(|ack| ack.term == self.durable.term && index <= ack.index);
        self.config.two_rounds() && !held
    }

    /// Takes entries out of the log that another leader left there.
    pub(super) fn cut(&mut self, from: u64) {
        let gone = self.durable.log.truncate(from);
        if let Some(lock) = &self.durable.lock {
            let locked = lock.body().index;
            self.durable.branch.keep(from, &gone, locked);
        }
        self.restore(&gone);
    }

    /// Puts what this replica is held to back into its log, before it stands for election on it.
    pub(super) fn return_to_branch(&mut self, cx: &mut Cx<'_>) {
        let Some((from, entries)) = self.durable.branch.take() else {
            return;
        };
        let gone = self.durable.log.truncate(from);
        self.restore(&gone);
        for entry in entries {
            self.log_entry(entry, cx);
        }
        self.volatile.dirty = true;
    }

    /// Whether the log holds what binds the leader: what a quorum knew to be certified when it
    /// voted.
    fn is_bound(&self) -> bool {
        let Some(election) = &self.volatile.election else {
            return true;
        };
        let mark = election.certificate.body().mark;
        !self.config.two_rounds()
            || mark.index <= self.durable.log.base().index
            || self.durable.log.chain(mark.index) == Some(mark.chain)
            || self.broken(Mutant::IgnorePreparedCertificate)
    }

    /// Where the leader may try next if its log does not contain ours up to this place.
    fn parts_before(&self, previous: Mark) -> Option<u64> {
        let log = &self.durable.log;
        if previous.index > log.last_index() {
            return Some(log.last_index() + 1);
        }
        let held = log.chain(previous.index);
        if previous.index <= log.base().index || held == Some(previous.chain) {
            return None;
        }
        let first = log.first_of_term(previous.index);
        Some(first.max(self.volatile.commit + 1))
    }

    fn bare(&self, answer: Answer) -> Reply {
        Reply {
            term: self.durable.term,
            answer,
            acks: Vec::new(),
            echo: None,
            warrant: None,
            told: None,
        }
    }

    /// Sends an answer to the leader, and what was signed along with it to whoever watches.
    fn answer(&mut self, leader: NodeId, reply: Reply, cx: &mut Cx<'_>) {
        let votes = !reply.acks.is_empty();
        let message = Message::AppendReply(Box::new(reply));
        if !votes {
            cx.send(leader, message);
            return;
        }
        let audience = match &self.volatile.audience {
            Some(audience) => audience.clone(),
            None => self.find_audience(leader),
        };
        match audience.members() {
            [one] => cx.send(*one, message),
            _ => cx.broadcast(&audience, message),
        }
        self.volatile.audience = Some(audience);
    }

    /// The leader and its monitors, without this replica.
    fn find_audience(&self, leader: NodeId) -> Committee {
        let members = self.members();
        let monitors = match self.config.profile {
            Profile::Sync => Monitors::All,
            Profile::Paper | Profile::Hardened => self.config.monitors,
        };
        let one_honest = self.config.one_honest_of(members.len());
        let mut heard = monitors.after(leader, &members, one_honest);
        heard.push(leader);
        heard.retain(|node| *node != self.setup.me);
        heard.sort_unstable();
        heard.dedup();
        Committee::new(heard)
    }

    /// Answers what is not accepted.
    fn refuse(&mut self, to: NodeId, answer: Answer, cx: &mut Cx<'_>) {
        self.sync(cx);
        let stale = answer == Answer::Stale;
        let reply = Reply {
            warrant: self.durable.warrant.clone().filter(|_| stale),
            ..self.bare(answer)
        };
        cx.send(to, Message::AppendReply(Box::new(reply)));
    }

    pub(super) fn on_heartbeat(&mut self, from: NodeId, heartbeat: &Heartbeat, cx: &mut Cx<'_>) {
        let obeys = self.obey(from, heartbeat.term, heartbeat.election.as_ref(), cx);
        let commit = heartbeat.commit;
        // One chain up to there: the logs are equal.
        let held = self.durable.log.chain(commit.index) == Some(commit.chain);
        let holds = obeys.is_ok() && held;
        if obeys.is_ok() {
            self.volatile.word = self.volatile.word.max(commit.index);
        }
        if holds {
            // Where everybody waits for himself, more than the entry is needed: that this replica
            // has voted on it, which it forgets in a crash. The leader is to send it once more.
            let enough = match self.config.profile {
                Profile::Sync => commit.index.min(self.volatile.commit),
                Profile::Paper | Profile::Hardened => commit.index,
            };
            self.volatile.verified = self.volatile.verified.max(enough);
        }
        self.sync(cx);
        let stale = obeys == Err(Answer::Stale);
        let reply = HeartbeatReply {
            term: self.durable.term,
            round: heartbeat.round,
            matched: if obeys.is_ok() {
                self.volatile.verified
            } else {
                0
            },
            locked: self.volatile.locked,
            decided: self.volatile.commit,
            unproven: obeys == Err(Answer::Unproven),
            warrant: self.durable.warrant.clone().filter(|_| stale),
        };
        if obeys != Err(Answer::Refused) {
            cx.send(from, Message::HeartbeatReply(reply));
        }
        if holds {
            self.take_word(commit, cx);
        }
    }

    pub(super) fn on_snapshot(&mut self, from: NodeId, snapshot: &Snapshot, cx: &mut Cx<'_>) {
        let obeys = self.obey(from, snapshot.term, snapshot.election.as_ref(), cx);
        let genuine = self.config.profile != Profile::Hardened
            && self.setup.committee.contains(snapshot.last.by())
            && snapshot.last.verify(cx.keyring());
        if let Err(answer) = obeys {
            self.refuse(from, answer, cx);
            return;
        }
        let answer = if genuine {
            self.adopt(snapshot, cx);
            Answer::Matched(snapshot.last.body().index)
        } else {
            Answer::Refused
        };
        self.sync(cx);
        let reply = self.bare(answer);
        cx.send(from, Message::SnapshotReply(Box::new(reply)));
        self.forward_restored(from, cx);
    }

    /// Replaces ledger and log up to the snapshot, unless this replica has come as far.
    fn adopt(&mut self, snapshot: &Snapshot, cx: &mut Cx<'_>) {
        let index = snapshot.last.body().index;
        let header: &Signed<_> = &snapshot.last;
        if index > self.volatile.commit && cx.install(&snapshot.point) {
            let (gone, decided) = self.durable.log.restart(header);
            if decided {
                for entry in gone {
                    self.volatile.mempool.settle(&entry.content.batch);
                }
            } else {
                self.restore(&gone);
            }
            self.volatile.commit = index;
            self.volatile.dirty = true;
            self.volatile.early.clear();
            for evidence in &snapshot.excluded {
                self.exclude(evidence, cx);
            }
            self.report_base(cx);
            for index in index + 1..=self.durable.log.last_index() {
                let mark = self.durable.log.mark(index).expect("it is held");
                self.report_entry(mark, cx);
            }
        }
        self.volatile.in_step = true;
        self.volatile.verified = self.volatile.verified.max(index);
    }
}
