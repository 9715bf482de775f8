//! What is decided can be had from any member, with its proof. A leader that serves a quorum and
//! starves somebody else breaks no rule that could be proven to others, and they are content; so
//! whoever is behind helps itself. It takes two certificates: a leader's word, and a wait for
//! contradictions, prove nothing to those who were not there.

use std::sync::Arc;

use super::content::Entry;
use super::message::{Backed, Message, Proven};
use super::statement::{Ack, Stage};
use super::{Cx, Iraft};
use crate::base::crypto::Certificate;
use crate::base::node::NodeId;
use crate::protocol::Report;

/// After asking so often in vain whether a term may begin, the others seem to have a leader.
const VAIN: u32 = 3;

impl Iraft {
    /// Asks for what the leader called decided an election time-out ago, if it is still not here.
    pub(super) fn look_behind(&mut self, cx: &mut Cx<'_>) {
        let word = self.volatile.word;
        let looked = std::mem::replace(&mut self.volatile.looked, word);
        if looked > self.volatile.commit {
            self.fetch(cx);
        }
    }

    /// Nobody leads here, and too few others miss a leader: perhaps they have one, and perhaps one
    /// of whom they have not heard that he lies.
    pub(super) fn ask_in_vain(&mut self, cx: &mut Cx<'_>) {
        self.volatile.vain = self.volatile.vain.saturating_add(1);
        if self.volatile.vain >= VAIN {
            self.fetch(cx);
            self.pass_proofs_on(cx);
        }
    }

    /// Asks the next member in turn, other than the leader, for what is decided.
    pub(super) fn fetch(&mut self, cx: &mut Cx<'_>) {
        if !self.config.two_rounds() || self.leads() {
            return;
        }
        let mut others = self.members();
        others.retain(|node| {
            let serves = Some(*node) != self.volatile.leader && *node != cx.me();
            serves && !self.is_distrusted(*node)
        });
        let turn = self.volatile.fetches;
        self.volatile.fetches = turn.wrapping_add(1);
        if let Some(next) = others.get(turn % others.len().max(1)) {
            cx.report(Report::Reached(
                "a follower asks another one for what is decided",
            ));
            let first = self.volatile.commit + 1;
            cx.send(*next, Message::Fetch { first });
        }
    }

    pub(super) fn on_fetch(&self, from: NodeId, first: u64, cx: &mut Cx<'_>) {
        let proven = self.durable.log.proven(first, self.config.append_max);
        let Some((entries, certificate)) = proven.filter(|_| self.config.two_rounds()) else {
            return;
        };
        let proof = Backed {
            certificate: Certificate::clone(&certificate),
            evidence: self.exclusions(),
        };
        let proven = Proven { entries, proof };
        cx.send(from, Message::Proven(Box::new(proven)));
    }

    /// Takes decided entries, and asks for more.
    pub(super) fn on_proven(&mut self, from: NodeId, proven: &Proven, cx: &mut Cx<'_>) {
        if !self.config.two_rounds() || self.leads() {
            return;
        }
        self.learn(&proven.proof.evidence, cx);
        if !self.is_decided(proven, cx) {
            return;
        }
        let certificate = Arc::new(proven.proof.certificate.clone());
        let term = certificate.body().term;
        if term > self.durable.term {
            // A quorum has voted in it. What this replica has held to in an earlier term does not
            // bind it any more, and its word to an earlier leader is not broken.
            self.follow(term, None, cx);
        }
        if !self.give_way_to(&proven.entries) {
            return;
        }
        for entry in &proven.entries {
            if entry.header.body().index > self.durable.log.last_index() {
                self.log_entry(entry.clone(), cx);
                self.volatile.mempool.note_proposed(&entry.content.batch);
            }
        }
        if certificate.body().index > self.decided_index() {
            self.volatile.decision = Some(certificate.clone());
        }
        self.decide_by(&certificate, cx);
        self.sync(cx);
        self.vote_for_prepared(cx);
        self.decide_what_is_proven(cx);
        if let Some(leader) = self.volatile.leader {
            self.forward_restored(leader, cx);
        }
        let first = self.volatile.commit + 1;
        cx.send(from, Message::Fetch { first });
    }

    /// Whether these are the next entries to decide, and a quorum holds to them.
    fn is_decided(&self, proven: &Proven, cx: &Cx<'_>) -> bool {
        let Ack { stage, term, .. } = *proven.proof.certificate.body();
        let mut last = self.durable.log.mark(self.volatile.commit);
        for Entry { header, content } in &proven.entries {
            let fits = last.is_some_and(|last| {
                header.body().index == last.index + 1
                    && header.body().previous == last.chain
                    && header.body().content == content.digest()
                    && self.setup.committee.contains(header.by())
                    && header.verify(cx.keyring())
            });
            last = fits.then(|| header.body().mark());
        }
        !proven.entries.is_empty()
            && last == Some(proven.proof.certificate.body().mark())
            && stage == Stage::Commit
            && self.terms.contains(&term)
            && self.suffices(&proven.proof.certificate, cx)
    }

    /// Takes out of the log what stands in place of decided entries; false if this replica is bound
    /// to it, which only too many liars bring about.
    fn give_way_to(&mut self, entries: &[Entry]) -> bool {
        let parts = |entry: &&Entry| {
            let header = entry.header.body();
            let held = self.durable.log.chain(header.index);
            held.is_some_and(|held| held != header.chain())
        };
        let Some(index) = entries.iter().find(parts).map(|e| e.header.body().index) else {
            return true;
        };
        if self.durable.log.last().term == self.durable.term {
            // The leader has told another story here: no vote for this one as well.
            if !self.gives_way(index) {
                return false;
            }
            self.durable.misled = true;
        }
        self.volatile.verified = self.volatile.verified.min(index - 1);
        self.cut(index);
        true
    }
}
