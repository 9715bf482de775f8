//! Calls at random under aliases, and about them; and grants that are taken back.

use std::sync::Arc;

use super::super::*;
use super::caller::{Caller, Somebody};
use crate::contract::affair::Affair;
use crate::contract::call::Order;
use crate::contract::identity::{Alias, AliasId, Enrolment, Identity, Standing};
use crate::contract::search::{Condition, Query};
use crate::contract::share;

/// The authority for aliases of the genesis.
const FOR_ALIASES: u32 = 3;

impl Caller {
    /// Something under an alias, or about one.
    pub(super) fn aliased(&mut self) -> SignedCall {
        let Some(alias) = self.some_alias() else {
            return self.certified();
        };
        match self.below(14) {
            0 | 1 => self.certified(),
            2 | 3 => self.renewed(&alias),
            4..=6 => self.asked(&alias),
            7 => self.early(),
            8..=11 => self.next_step(&alias),
            12 => self.searched(&alias),
            _ => {
                let act = self.chaos.act();
                self.chaos.stage.order(&alias, act)
            }
        }
    }

    /// One of the last aliases, mostly one that was certified.
    fn some_alias(&mut self) -> Option<Somebody> {
        let (back, any) = (self.below(4) as usize, self.below(6) == 0);
        let directory = &self.chaos.stage.state.directory;
        let certified = |alias: &&Somebody| any || directory.place(&alias.0).is_ok();
        let aliases: Vec<&Somebody> = self.chaos.aliases.iter().filter(certified).collect();
        let last = aliases.len().checked_sub(1)?;
        Some(aliases[last - back.min(last)].clone())
    }

    /// An authority certifies an alias, or a hospital does in its name; now and then the key is
    /// one that has a name.
    fn certified(&mut self) -> SignedCall {
        let (subject, valid) = match self.below(9) {
            0 => (self.chaos.stage.hospital(1).1, Validity::ALWAYS),
            1 => (self.chaos.stage.doctor(2).1, Validity::ALWAYS),
            2 | 3 => (self.fresh(), self.valid()),
            _ => (self.fresh(), Validity::ALWAYS),
        };
        let key = subject.public();
        self.chaos
            .aliases
            .push((Party::Alias(AliasId::of(&key)), subject.clone()));
        let mut by = self.chaos.stage.authority(FOR_ALIASES);
        match self.below(8) {
            0 => by = self.office(FOR_ALIASES),
            1 => by.1 = self.chaos.stage.hospital(1).1,
            _ => {}
        }
        let identity = Identity::Alias(Alias { key });
        let act = Act::Enrol(Arc::new(Enrolment { identity, valid }));
        let call = Call::Order(Order::new(self.chaos.stage.terms(by.0, act)));
        SignedCall::signed(call, &by.1, Some(&subject))
    }

    /// An authority ends an alias or certifies it anew; now and then somebody else tries.
    fn renewed(&mut self, alias: &Somebody) -> SignedCall {
        let by = match self.below(5) {
            0 => alias.clone(),
            1 => self.chaos.stage.hospital(1),
            _ => self.chaos.stage.authority(FOR_ALIASES),
        };
        let act = match self.below(4) {
            0 => Act::SetStanding(alias.0, Standing::Suspended),
            1 => Act::Affair(Affair::Certify(alias.0, self.valid())),
            _ => Act::SetStanding(alias.0, Standing::Ended),
        };
        self.chaos.stage.order(&by, act)
    }

    /// An alias asks for a record.
    fn asked(&mut self, alias: &Somebody) -> SignedCall {
        let rid = self.old();
        self.chaos.stage.order(alias, Act::RequestShare(rid))
    }

    /// A sharing, and the document that it is about: one of the last that both have agreed to, or
    /// else the last one.
    fn last_share(&self) -> (ShareId, Digest) {
        let granted =
            |sid: &&ShareId| self.chaos.stage.state.stage(sid) == Some(share::Stage::Granted);
        let sids = &self.chaos.sids;
        let found = sids.iter().rev().take(6).find(granted).or(sids.last());
        let sid = *found.expect("chaos names one for nothing");
        let found = self.chaos.stage.state.shares.find(&sid);
        let document = found.map(|(_, share)| self.chaos.stage.document(share.rid()));
        (sid, document.unwrap_or(Digest::ZERO))
    }

    /// The holder delivers, whether or not the patient agrees.
    fn early(&mut self) -> SignedCall {
        let (sid, document) = self.last_share();
        self.by_right(Act::DeliverShare(sid, document))
    }

    /// A sharing goes on, and in the end some alias confirms it.
    fn next_step(&mut self, alias: &Somebody) -> SignedCall {
        let (sid, document) = self.last_share();
        let state = &self.chaos.stage.state;
        let granted = state.stage(&sid) == Some(share::Stage::Granted);
        let sent = state.trace(&sid).is_some_and(|trace| trace.sent.is_some());
        match (granted, sent) {
            (true, true) if self.below(3) > 0 => {
                let act = Act::ConfirmShare(sid, document);
                self.chaos.stage.order(alias, act)
            }
            (true, true) => self.by_right(Act::ConfirmShare(sid, document)),
            (true, false) => {
                let document = [document, Digest([1; 32])][usize::from(self.below(8) == 0)];
                self.by_right(Act::DeliverShare(sid, document))
            }
            (false, _) => self.by_right(Act::ApproveShare(sid)),
        }
    }

    /// An alias searches, and would be counted.
    fn searched(&mut self, alias: &Somebody) -> SignedCall {
        let query = Query {
            conditions: vec![Condition::Ages(0, 18)],
            purpose: Purpose::Care,
            page: 0,
        };
        self.chaos.stage.order(alias, Act::AuditedSearch(query))
    }

    /// Somebody ends one of the last grants, or freezes the account behind it or thaws it.
    pub(super) fn taking_back(&mut self) -> SignedCall {
        let gid = *self.chaos.gids.last().expect("chaos names one for nothing");
        let act = Act::Revoke(gid);
        if self.below(2) == 0 {
            return self.by_right(act);
        }
        let giver = self.chaos.stage.state.grants.find(&gid);
        let giver = giver.map(|(_, grant)| grant.parties()[1]);
        let Some(place) = giver else {
            return self.by_right(act);
        };
        let directory = &self.chaos.stage.state.directory;
        let (party, standing) = (directory.party(place), directory.standing(place));
        let to = match standing {
            Standing::Active => Standing::Suspended,
            Standing::Suspended | Standing::Ended => Standing::Active,
        };
        self.by_right(Act::SetStanding(party, to))
    }
}
