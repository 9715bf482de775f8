//! What holds of grants and readings.

use super::{Access, Grant, Purpose};
use crate::contract::State;
use crate::contract::identity::Place;
use crate::contract::invariants::{Invariant, Wrongs};
use crate::contract::write::{Change, Write};

impl Grant {
    /// Whether it is used and passed on no more often than it may be.
    fn is_bounded(&self) -> bool {
        let gone = u64::from(self.uses) + u64::from(self.lent);
        let max = self.terms().max_uses;
        max.is_none_or(|max| gone <= u64::from(max))
    }

    /// Whether it lasts at a height.
    fn lasts_at(&self, height: u64) -> bool {
        (self.terms().from..=self.terms().until).contains(&height)
    }

    /// Whether one call may make another grant of this one.
    fn may_become(&self, new: &Self) -> bool {
        let used = new.uses == self.uses + 1 && new.lent == self.lent;
        let passed_on = new.uses == self.uses && new.lent > self.lent;
        let revoked = new.uses == self.uses && new.lent == self.lent;
        self.gid() == new.gid()
            && !self.revoked
            && if new.revoked {
                revoked
            } else {
                used || passed_on
            }
    }
}

impl State {
    /// Whether a doctor may claim one more emergency at a height.
    pub(in crate::contract) fn may_claim(&self, doctor: u32, height: u64) -> bool {
        let claimed = self.emergencies.get(&doctor);
        let claimed = claimed.map_or(0, |claimed| claimed.count(height));
        claimed < self.rules.emergencies_max as usize
    }

    /// Whether a grant may come to what it is about to be.
    pub(in crate::contract) fn check_grant(&self, height: u64, new: &Grant, wrongs: &mut Wrongs) {
        let legal = match self.grants.find(&new.gid()) {
            Some((_, old)) => old.may_become(new),
            None => (new.uses, new.lent, new.revoked) == (0, 0, false),
        };
        wrongs.unless(legal, Invariant::Transitions, || {
            format!("grant {:?} changes in no way that there is", new.gid().0)
        });
        let parent = new.parent().map(|gid| self.grants.find(gid));
        let given = self.may_act(Place::Patient(new.patient)) || new.revoked;
        let inside = parent.is_none_or(|parent| {
            parent.is_some_and(|(_, parent)| {
                parent.patient == new.patient
                    && parent.terms().delegable
                    && parent.terms().from <= new.terms().from
                    && new.terms().until <= parent.terms().until
            })
        });
        let sound = given && inside && new.is_bounded() && new.terms().from < new.terms().until;
        wrongs.unless(sound, Invariant::Consent, || {
            format!("grant {:?} goes too far at height {height}", new.gid().0)
        });
    }

    /// Whether a reading that is about to be listed was agreed to, in the state before it.
    pub(in crate::contract) fn check_reading(
        &self,
        height: u64,
        access: &Access,
        writes: &[Write],
        wrongs: &mut Wrongs,
    ) {
        let record = self.records.find(&access.rid).map(|(_, record)| record);
        let entered = record.is_some_and(|record| record.by_patient.is_some() || !self.is_dual());
        let agreed = match &access.gid {
            None => access.purpose == Purpose::Emergency,
            Some(gid) => self.grants.find(gid).is_some_and(|(_, grant)| {
                let terms = grant.terms();
                let by = self.directory.place(&access.by);
                let mut used = writes.iter().map(|Write(change)| change);
                let used = used.any(|change| {
                    matches!(change, Change::Grant(new)
                        if new.gid() == *gid && new.uses == grant.uses + 1)
                });
                used && grant.lasts_at(height)
                    && !self.is_revoked(gid)
                    && grant.left() != Some(0)
                    && terms.purpose == access.purpose
                    && by.is_ok_and(|by| grant.is_for(by, &self.directory))
                    && self.may_act(Place::Patient(grant.patient))
                    && record.is_some_and(|record| {
                        record.patient == grant.patient && terms.covers(&access.rid, record)
                    })
            }),
        };
        wrongs.unless(entered && agreed, Invariant::Consent, || {
            let (by, rid) = (access.by, access.rid.0);
            format!("{by:?} reads record {rid:?} at height {height} and nobody agreed")
        });
    }

    /// Every reading by grant was within it, and counted once.
    pub(in crate::contract) fn check_uses(&self, wrongs: &mut Wrongs) {
        let mut uses = vec![0_u32; self.grants.len()];
        for access in &self.audit {
            let Some(gid) = &access.gid else {
                wrongs.unless(
                    access.purpose == Purpose::Emergency,
                    Invariant::Consent,
                    || format!("{:?} was read without a grant", access.rid.0),
                );
                continue;
            };
            let found = self.grants.find(gid);
            if let Some((at, _)) = found {
                uses[at as usize] += 1;
            }
            let record = self.records.find(&access.rid);
            let within = found.zip(record).is_some_and(|((_, grant), (_, record))| {
                grant.lasts_at(access.height)
                    && grant.terms().purpose == access.purpose
                    && grant.patient == record.patient
                    && grant.terms().covers(&access.rid, record)
            });
            wrongs.unless(within, Invariant::Consent, || {
                format!("{:?} was read outside grant {:?}", access.rid.0, gid.0)
            });
        }
        for (grant, uses) in self.grants.iter().zip(uses) {
            wrongs.unless(grant.uses == uses, Invariant::Readings, || {
                let counted = grant.uses;
                format!("grant {:?} counts {counted} uses of {uses}", grant.gid().0)
            });
            wrongs.unless(grant.is_bounded(), Invariant::Consent, || {
                format!("grant {:?} is used too often", grant.gid().0)
            });
        }
    }
}
