//! What a node does for clients before ordering: it simulates their calls and signs the outcome.

use std::sync::Arc;

use super::ReplicaHost;
use crate::base::time::Time;
use crate::chain::execution::Endorsement;
use crate::protocol::{Protocol, To};
use crate::sim::Desk;
use crate::sim::message::{Payload, Post, Proposal, Stored};

/// How far the height at which a client wants to be simulated may lie from the node's own.
const HEIGHTS_APART_MAX: u64 = 1_000;

impl<P: Protocol> ReplicaHost<P> {
    /// Simulates a call on the state at this node's head, signs what it comes to, and answers. The
    /// client's signatures were verified when the question was taken in.
    pub(super) fn endorse<S: Post<P::Message>>(
        &mut self,
        core: usize,
        start: Time,
        proposal: &Proposal,
        desk: &mut Desk<'_, P, S>,
    ) {
        let machine = &desk.world.machine;
        let now = start + self.priced(machine.execute + machine.sign, start);
        if now >= self.down_at {
            self.halted = true;
            return;
        }
        desk.local.processors[self.processor].extend(core, start, now);
        if self.is_mute(now, "endorsement") {
            return; // The client asks somebody else in time.
        }
        // A client that has heard nothing for long learns the height with the answer.
        let head = self.ledger.height();
        let height = match proposal.height.abs_diff(head) {
            0..=HEIGHTS_APART_MAX => proposal.height,
            _ => head,
        };
        let executor = &mut desk.local.executor;
        let call = &proposal.transaction.call;
        let mut effects = self.peer.simulate(call, height, &self.ledger, executor);
        if self.forges(now) {
            effects = effects.hollow();
        }
        if now >= desk.world.warmup {
            self.counters.signatures += 1;
        }
        let endorsement = Endorsement::sign(Arc::new(effects), &self.signer);
        let size = 96 + endorsement.size();
        let stored = Stored {
            payload: Payload::Endorsement {
                proposal: proposal.clone(),
                endorsement,
                head,
            },
            size,
            signatures: 0,
            receive_ns: 0,
            handle_ns: 0,
            last: Time::ZERO,
            second: false,
        };
        let client = proposal.transaction.id.client();
        let late = self.holds(now, "endorsement", &To::One(client));
        self.counters.send_client(now, desk.world, 1, size);
        self.post(now + late, std::iter::once(client), stored, desk);
    }
}
