//! What patients do outside the chain: whoever was asked for contact finds the message in the
//! mailbox some time later, and the two talk. The contract posts the message and knows no more.
//!
//! A mailbox is looked into at regular intervals. When in its interval a message comes is chance,
//! and so is how long a word and its answer are under way.

use std::collections::BTreeMap;

use crate::base::distribution::{Distribution, Law};
use crate::base::node::NodeId;
use crate::base::random::{Random, Stream};
use crate::base::time::{Span, Time};
use crate::chain::TransactionId;

/// How patients are reached outside the chain.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Between two looks into a mailbox.
    pub poll: Span,
    /// How long a message between two patients is under way.
    pub latency: Distribution,
}

impl Channel {
    /// A channel whose messages always take the same time.
    pub fn regular(poll: Span, latency: Span) -> Self {
        Self {
            poll,
            latency: Distribution::new(&Law::Constant(latency)),
        }
    }
}

/// The conversations that a client host has asked for and that have not begun.
#[derive(Debug)]
pub(super) struct Contacts {
    random: Random,
    /// By when they begin: who asked, and when.
    coming: BTreeMap<(Time, TransactionId), Time>,
}

impl Contacts {
    pub(super) fn new(seed: u64, host: NodeId) -> Self {
        Self {
            random: Random::new(seed, Stream::Contact(host)),
            coming: BTreeMap::new(),
        }
    }

    /// Contact was asked for by a transaction first sent at `asked`, and the message is in the
    /// mailbox now.
    pub(super) fn posted(
        &mut self,
        now: Time,
        asked: Time,
        transaction: TransactionId,
        channel: &Channel,
    ) {
        let unseen = Span::from_nanos(self.random.below(channel.poll.nanos().max(1)));
        let mut word = || channel.latency.at(self.random.bits());
        let begins = now + unseen + word() + word();
        self.coming.insert((begins, transaction), asked);
    }

    /// When the next conversation begins.
    pub(super) fn next(&self) -> Time {
        let first = self.coming.first_key_value();
        first.map_or(Time::MAX, |((begins, _), _)| *begins)
    }

    /// The conversation that begins at this time: what asked for it, and when that was sent.
    pub(super) fn begin(&mut self, now: Time) -> Option<(TransactionId, Time)> {
        let first = self.coming.first_entry()?;
        let (begins, transaction) = *first.key();
        (begins == now).then(|| (transaction, first.remove()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_talk_after_the_mailbox_was_looked_into_and_a_word_and_its_answer() {
        let channel = Channel::regular(Span::from_secs(1), Span::from_millis(20));
        let mut contacts = Contacts::new(1, NodeId(9));
        let posted = Time::ZERO + Span::from_secs(5);
        for number in 0..1_000 {
            let id = TransactionId::new(NodeId(9), number);
            contacts.posted(posted, Time::ZERO, id, &channel);
        }
        let (mut before, mut sum, mut count) = (Time::ZERO, Span::ZERO, 0);
        while contacts.next() < Time::MAX {
            let now = contacts.next();
            let after = now.since(posted);
            assert!(now >= before && after >= Span::from_millis(40));
            assert!(after < Span::from_millis(1_040));
            assert_eq!(
                contacts.begin(before.min(posted)),
                None,
                "not before its time"
            );
            let (_, asked) = contacts.begin(now).unwrap();
            assert_eq!(asked, Time::ZERO);
            (before, sum, count) = (now, sum + after, count + 1);
        }
        // Half an interval in the mean.
        let mean = sum.nanos() / count / 1_000_000;
        assert!(count == 1_000 && (510..570).contains(&mean), "{mean} ms");
    }
}
