//! What messages prove of members: whatever a seat says in the committee, some of them have put
//! their voices to, and nobody honest puts its own to two things of one place.
//!
//! Certificates prove nothing of members here: they keep no voices where signatures are modelled.
//! And what is said within a group decides no block.

use super::evidence::Exposure;
use super::message::Message;
use crate::base::crypto::{Signed, Voice};
use crate::protocol::oath::{Binding, Notary, Oath, Registrar};
use crate::protocol::pbft::Vote;

/// Tells what a message proves.
pub(super) fn read(message: &Message, notary: &Notary<'_>, swear: Registrar<'_>) {
    match message {
        Message::Committee { message, .. } => read_votes(message.votes(), notary, swear),
        Message::Voice { message, .. } => read_votes(message.votes(), notary, swear),
        Message::Echo(vote) => read_votes(std::slice::from_ref(vote), notary, swear),
        Message::Exposure(exposure) => {
            if let Exposure::Votes(votes) = &**exposure {
                read_votes(votes, notary, swear);
            }
        }
        _ => {}
    }
}

fn read_votes(votes: &[Signed<Vote>], notary: &Notary<'_>, swear: Registrar<'_>) {
    for vote in votes {
        for by in vote.voices().iter().map(Voice::by) {
            if notary.keyring.hears_in(by, vote) {
                swear(Oath::Holds(vote.body().holding(by)));
            }
        }
    }
}
