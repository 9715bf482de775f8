//! Registrations at a record node: by which grants patients are to be registered there, by which
//! they are, and how that ends.

use std::sync::Arc;

use super::config::Mutant;
use super::header::Note;
use super::meaning::Meaning;
use super::message::{End, TransactionRef};
use super::migrate::parties;
use super::record::{Store, Wanted, grant_of, is_of};
use super::table::Sum;
use super::{Cx, Layers, Message};
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::chain::{Height, Transaction, TransactionId};
use crate::protocol::Report;

impl Layers {
    /// A patient registers here.
    pub(super) fn register(&mut self, auth: &Arc<Transaction>, cx: &mut Cx<'_>) {
        let Some((user, _)) = parties(auth) else {
            return;
        };
        let began = self.topology.row(&user, self.net).contains(&cx.me());
        let grants = &self.durable.store.grants;
        let known = grant_of(auth).is_some_and(|(grant, _)| grants.contains_key(&grant));
        let registrations = &mut self.durable.store.registrations;
        // Every gateway passes on what a client asks again: it is on disk already.
        if !(began || known || registrations.contains_key(&auth.id)) {
            registrations.insert(auth.id, Wanted::new(auth));
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
            Note::Moved {
                user, node, since, ..
            } => *user == of && (*node, *since) == (self.setup.me, height),
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

    /// A patient does not want this node to have the records any more: those that came by that
    /// right are forgotten, and none is taken until there is a right again.
    pub(super) fn on_end(&mut self, end: &End, cx: &mut Cx<'_>) {
        let Meaning::Revocation { auth } = Meaning::of(&end.by.0) else {
            return;
        };
        let me = self.setup.me;
        let user = match Meaning::of(&end.grant.0) {
            Meaning::Registration {
                auth: named,
                user,
                party,
                ..
            } if named == auth && self.topology.serves(&party) == me => Some(user),
            _ => None,
        };
        let proven = end.header.net == self.net
            && end.header.position(&end.by.0).is_some()
            && end
                .header
                .verify(&self.topology, &self.config, cx.keyring());
        let Some(user) = user.filter(|_| proven || self.mutant(Mutant::NoEndProof)) else {
            cx.report(Report::Reached("bad-end"));
            return;
        };
        let store = &mut self.durable.store;
        store.grants.remove(&auth);
        let rests = |wanted: &Wanted| grant_of(&wanted.auth) == Some((auth, user));
        store.registrations.retain(|_, wanted| !rests(wanted));
        if store.ends.insert(auth, user).is_none() {
            store.sum.add_end(&auth);
        }
        cx.persist();
        self.forget_patient(&user);
    }

    /// Forgets a patient's records, unless there is another right to them.
    fn forget_patient(&mut self, user: &Digest) {
        let began = self.topology.row(user, self.net).contains(&self.setup.me);
        let store = &mut self.durable.store;
        if began || store.grants.values().any(|of| of == user) {
            return;
        }
        let any = |store: &Store| {
            store
                .records
                .values()
                .any(|i| is_of(&i.transaction.0, user))
        };
        if !(any(store) | store.ended.insert(*user)) {
            return;
        }
        // Nobody may send them now. What else is missed will be named again, so that this must not
        // be done each time that an end is told which is known.
        self.volatile.clerk.missing.clear();
        store
            .records
            .retain(|_, item| !is_of(&item.transaction.0, user));
        let kept = &store.records;
        store.counted.retain(|rid| kept.contains_key(rid));
        store.sum = Sum::default();
        store.counted.iter().for_each(|rid| store.sum.add(rid));
        let ends = store.ends.keys();
        ends.for_each(|grant| store.sum.add_end(grant));
    }

    /// A registration is over, or never was.
    pub(super) fn on_refuse(&mut self, from: NodeId, id: TransactionId) {
        let consensus = self.topology.edge(self.net).consensus.contains(from);
        if !consensus && !self.mutant(Mutant::AnyoneRefuses) {
            return;
        }
        let store = &mut self.durable.store;
        if let Some(wanted) = store.registrations.remove(&id)
            && let Some((auth, user)) = grant_of(&wanted.auth)
        {
            store.grants.remove(&auth);
            // The end of the right may have come while this grant seemed to be another one.
            if store.ends.values().any(|of| *of == user) {
                self.forget_patient(&user);
            }
        }
    }
}
