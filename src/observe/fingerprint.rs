//! One digest of everything that happened in a run: equal runs have equal fingerprints, on every
//! machine, with any number of threads.
//!
//! The integers of each event are folded into one running word, never its text. What is only
//! told when a trace is asked for leaves no mark, so watching more closely changes nothing.

use crate::base::crypto::{Digest, Hasher};
use crate::base::node::NodeId;
use crate::base::random::mix;
use crate::base::time::Time;
use crate::chain::{Block, Executed};
use crate::protocol::{Offence, Report};
use crate::sim::event::{Event, Observer};

use super::{Answer, verdict};

/// Folds a run.
#[derive(Clone, Debug, Default)]
pub struct Fingerprint {
    state: u64,
    events: u64,
}

impl Fingerprint {
    /// Of a run in which nothing has happened.
    pub fn new() -> Self {
        Self::default()
    }

    /// The fingerprint, together with what the kernel folded of all deliveries at all nodes.
    pub fn finish(self, deliveries: u64) -> Digest {
        Hasher::new("fingerprint")
            .number(self.events)
            .number(self.state)
            .number(deliveries)
            .finish()
    }

    fn fold(&mut self, words: &[u64]) {
        for word in words {
            self.state = mix(self.state, *word);
        }
    }

    /// Folds an event with the number of its kind.
    fn event(&mut self, now: Time, node: NodeId, kind: u64, words: &[u64]) {
        self.events += 1;
        self.fold(&[now.nanos(), u64::from(node.0) << 8 | kind]);
        self.fold(words);
    }

    fn block(&mut self, now: Time, node: NodeId, kind: u64, block: &Block) {
        self.event(now, node, kind, &[block.height, block.digest.prefix()]);
    }

    fn report(&mut self, now: Time, node: NodeId, report: &Report) {
        match report {
            Report::Leads { view } => self.event(now, node, 16, &[*view]),
            Report::Enters { view } => self.event(now, node, 17, &[*view]),
            Report::Prepared {
                view,
                height,
                digest,
            } => self.event(now, node, 18, &[*view, *height, digest.prefix()]),
            Report::Logged {
                index,
                term,
                prefix,
            } => self.event(now, node, 19, &[*index, *term, *prefix]),
            Report::Restarted {
                index,
                term,
                prefix,
            } => self.event(now, node, 20, &[*index, *term, *prefix]),
            Report::Accuses { culprit, offence } => {
                let offence = match offence {
                    Offence::Equivocation => 0,
                    Offence::InvalidProposal => 1,
                    Offence::WrongDigest => 2,
                    Offence::Silence => 3,
                    Offence::FalseVote => 4,
                    Offence::FalseAck => 5,
                    Offence::FalseCertificate => 6,
                    Offence::Stalling => 7,
                    Offence::Disruption => 8,
                    Offence::Audit => 9,
                    Offence::Outvoted => 10,
                };
                self.event(now, node, 21, &[u64::from(culprit.0), offence]);
            }
            Report::Shared(fact) => {
                if let Some(mark) = fact.mark() {
                    self.event(now, node, 23, &[mark]);
                }
            }
            Report::Reached(situation) => {
                self.event(now, node, 22, &[situation.len() as u64]);
                for byte in situation.bytes() {
                    self.fold(&[u64::from(byte)]);
                }
            }
        }
    }
}

/// What was executed, as a number.
fn number(executed: &Executed) -> u64 {
    match verdict(executed) {
        Answer::Accepted => 0,
        Answer::Refused(_) => 1,
        Answer::Repeated => 2,
    }
}

impl Observer for Fingerprint {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        match event {
            Event::Submitted { transaction } => {
                let words = [transaction.id.bits(), transaction.digest.prefix()];
                self.event(now, node, 0, &words);
            }
            Event::Doubled { transaction } => {
                let words = [transaction.id.bits(), transaction.digest.prefix()];
                self.event(now, node, 24, &words);
            }
            Event::Endorsed {
                transaction,
                of,
                round,
            } => {
                let digest = transaction.digest.prefix();
                let words = [transaction.id.bits(), digest, of.bits(), u64::from(*round)];
                self.event(now, node, 7, &words);
            }
            Event::Answered {
                transaction,
                endorsed,
                submitted,
                height,
                executed,
            } => {
                if let Some(endorsed) = endorsed {
                    self.event(now, node, 6, &[endorsed.bits()]);
                }
                // Heights begin at 1, so 0 is free for a read that stands nowhere.
                let height = height.unwrap_or(0);
                let words = [
                    transaction.bits(),
                    submitted.nanos(),
                    height,
                    number(executed),
                ];
                self.event(now, node, 1, &words);
            }
            Event::Decided { block } => self.block(now, node, 2, block),
            Event::Installed { block } => self.block(now, node, 3, block),
            Event::Reported { report } => self.report(now, node, report),
            Event::Crashed => self.event(now, node, 4, &[]),
            Event::Restarted { height, amnesia } => {
                self.event(now, node, 5, &[*height, u64::from(*amnesia)]);
            }
            Event::Contacted { transaction, asked } => {
                let words = [transaction.bits(), asked.nanos()];
                self.event(now, node, 6, &words);
            }
            Event::Stated { .. }
            | Event::Sent { .. }
            | Event::Delivered { .. }
            | Event::Heard { .. }
            | Event::Fired { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{CLIENT, Story};
    use super::*;
    use crate::chain::TransactionId;

    fn told() -> Story {
        let mut story = Story::new(3);
        story.submit(&[1, 2]);
        story.report(0, Report::Leads { view: 1 });
        story.decide(0, &[1, 2]).decide(1, &[1, 2]);
        story.answer(1, 1, Executed::Before);
        story.restart(2, 0, false);
        story
    }

    fn fingerprint(story: &Story, deliveries: u64) -> Digest {
        let mut fingerprint = Fingerprint::new();
        story.play(&mut fingerprint);
        fingerprint.finish(deliveries)
    }

    #[test]
    fn equal_runs_have_equal_fingerprints() {
        assert_eq!(fingerprint(&told(), 7), fingerprint(&told(), 7));
    }

    #[test]
    fn every_event_counts_and_so_do_time_node_content_and_deliveries() {
        let plain = fingerprint(&told(), 7);
        assert_ne!(fingerprint(&told(), 8), plain);
        for index in 0..told().events.len() {
            let mut shorter = told();
            shorter.events.remove(index);
            assert_ne!(fingerprint(&shorter, 7), plain, "without event {index}");
            let mut later = told();
            later.events[index].0 = Time::from_nanos(later.events[index].0.nanos() + 1);
            assert_ne!(fingerprint(&later, 7), plain, "event {index} later");
            let mut elsewhere = told();
            elsewhere.events[index].1 = NodeId(5);
            assert_ne!(fingerprint(&elsewhere, 7), plain, "event {index} elsewhere");
        }
        let mut swapped = told();
        swapped.events.swap(0, 1);
        assert_ne!(fingerprint(&swapped, 7), plain, "in another order");
        let answered = |height, number| {
            let mut story = told();
            story.tell(
                CLIENT.0,
                Event::Answered {
                    transaction: TransactionId::new(CLIENT, number),
                    endorsed: None,
                    submitted: Time::ZERO,
                    height,
                    executed: Executed::Before,
                },
            );
            fingerprint(&story, 7)
        };
        assert_ne!(answered(None, 2), answered(Some(1), 2));
        assert_ne!(answered(None, 2), answered(None, 3));
    }

    #[test]
    fn a_trace_leaves_no_mark() {
        let mut traced = told();
        let from = NodeId(1);
        traced.tell(0, Event::Delivered { from, kind: "vote" });
        traced.tell(
            0,
            Event::Fired {
                timer: "Beat".into(),
            },
        );
        assert_eq!(fingerprint(&traced, 7), fingerprint(&told(), 7));
    }
}
