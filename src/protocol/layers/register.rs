//! Registrations at a record node: by which grants patients are to be registered there, and by which
//! they are.

use std::sync::Arc;

use super::header::Note;
use super::message::TransactionRef;
use super::migrate::parties;
use super::record::{Wanted, grant_of};
use super::{Cx, Layers, Message};
use crate::chain::{Height, Transaction};

impl Layers {
    /// A patient registers here.
    pub(super) fn register(&mut self, auth: &Arc<Transaction>, cx: &mut Cx<'_>) {
        let Some((user, _)) = parties(auth) else {
            return;
        };
        let began = self.topology.row(&user, self.net).contains(&cx.me());
        let grants = &self.durable.store.grants;
        let known = grant_of(auth).is_some_and(|(grant, _)| grants.contains_key(&grant));
        if !(began || known) {
            let registrations = &mut self.durable.store.registrations;
            let wanted = || Wanted::new(auth);
            registrations.entry(auth.id).or_insert_with(wanted);
            cx.persist();
        }
        if !self.is_asked(auth.id, cx) {
            self.note_asked(auth.id, cx);
            self.tell_leader(Message::Register(auth.clone()), cx);
        }
        self.watch_requests(cx);
    }

    /// The registration is in the chain: the earlier records are asked for.
    pub(super) fn begin_migration(&mut self, auth: &Arc<Transaction>, cx: &mut Cx<'_>) {
        if let Some(wanted) = self.durable.store.registrations.get_mut(&auth.id) {
            wanted.decided = true;
            cx.persist();
            self.hold(auth, cx);
            self.ask_for_records(auth, cx);
        }
    }

    /// A consensus node says by which grants patients are registered here: others may have seen to
    /// the registration, or a crash has taken what was known of it.
    pub(super) fn on_granted(&mut self, grants: &[(Height, TransactionRef)], cx: &mut Cx<'_>) {
        for (height, TransactionRef(auth)) in grants {
            let header = self.durable.headers.get(&(self.net, *height));
            let decided = header.is_some_and(|header| header.position(auth).is_some());
            let registrations = &mut self.durable.store.registrations;
            let begun = registrations.get(&auth.id).is_some_and(|w| w.decided);
            let here = parties(auth).is_some_and(|(_, at)| self.topology.serves(&at) == cx.me());
            if !(decided && here) || begun {
                continue;
            }
            if self.has_moved(auth, *height) {
                self.hold(auth, cx);
            } else {
                let registrations = &mut self.durable.store.registrations;
                registrations
                    .entry(auth.id)
                    .or_insert_with(|| Wanted::new(auth));
                self.begin_migration(auth, cx);
            }
        }
    }

    /// Whether all earlier records have come by a grant that was decided at a height.
    fn has_moved(&self, auth: &Transaction, height: Height) -> bool {
        let Some((_, of)) = grant_of(auth) else {
            return false;
        };
        let headers = &self.durable.headers;
        let later = headers.range((self.net, height)..=(self.net, Height::MAX));
        let notes = later.filter_map(|(_, header)| header.notes.as_ref());
        let mut notes = notes.flat_map(|notes| &notes.0);
        notes.any(|note| match note {
            Note::Moved { user, node, .. } => *user == of && *node == self.setup.me,
            Note::Foreign { .. } | Note::Remote { .. } => false,
        })
    }

    /// A grant counts here, and its patient's records are taken.
    fn hold(&mut self, auth: &Transaction, cx: &mut Cx<'_>) {
        if let Some((grant, user)) = grant_of(auth) {
            let store = &mut self.durable.store;
            let fresh = store.grants.insert(grant, user).is_none();
            if store.ended.remove(&user) || fresh {
                cx.persist();
            }
        }
    }
}
