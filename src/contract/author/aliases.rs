//! Hospitals that ask for records without saying which they are.
//!
//! An alias serves one sharing at a time, and mostly several after one another, which are seen to
//! be of one institution. Now and then a hospital gets another alias, or the authority ends one
//! that is not in use.

use std::sync::Arc;

use super::memory::{Asker, Deed, KnownAlias, KnownShare};
use super::{Author, VALID_BLOCKS, created};
use crate::base::crypto::{Hasher, KeyPair};
use crate::base::random::Random;
use crate::contract::SignedCall;
use crate::contract::access::Purpose;
use crate::contract::call::{Act, Call, Order};
use crate::contract::certificate::Validity;
use crate::contract::identity::{Alias, AliasId, Enrolment, Identity, Party, Standing};
use crate::contract::message::RecordId;
use crate::contract::population::Person;
use crate::contract::search::{Condition, Query};
use crate::contract::share::ShareId;

/// The authority that certifies aliases.
const FOR_ALIASES: u32 = 3;

/// What is wrong with a call under an alias.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AliasFlaw {
    /// Nobody has certified the alias.
    Uncertified,
    /// A hospital signs in the place of the authority.
    Forged,
    /// The authority has ended the alias.
    Ended,
    /// An alias searches.
    Searches,
    /// An alias confirms what another one asked for.
    OthersDelivery,
    /// The holder delivers before the patient has agreed.
    Unapproved,
}

/// All of them.
pub(super) const ALIAS_FLAWS: [AliasFlaw; 6] = [
    AliasFlaw::Uncertified,
    AliasFlaw::Forged,
    AliasFlaw::Ended,
    AliasFlaw::Searches,
    AliasFlaw::OthersDelivery,
    AliasFlaw::Unapproved,
];

impl Author {
    /// The next step of the anonymous sharing that has waited longest, or the first of a new one.
    /// Nothing where nobody certifies aliases.
    pub(super) fn anonymous_share(
        &mut self,
        random: &mut Random,
        height: u64,
    ) -> Option<SignedCall> {
        if !self.population.has_aliases() {
            return None;
        }
        if let Some(share) = self.anonymous.next() {
            return Some(self.go_on(share, height));
        }
        let Some(alias) = self.aliases.next() else {
            return Some(self.certify_alias(random, height));
        };
        match random.below(8) {
            0 => Some(self.end_alias(alias, height)),
            1 | 2 => {
                self.aliases.add(alias);
                Some(self.certify_alias(random, height))
            }
            _ => self.request_under(alias, random, height),
        }
    }

    /// A hospital asks for a record that another one holds.
    fn request_under(
        &mut self,
        alias: KnownAlias,
        random: &mut Random,
        height: u64,
    ) -> Option<SignedCall> {
        let picked = self.records.pick(&self.popularity, random).copied();
        let elsewhere = |doctor| self.population.employer(doctor) != alias.hospital;
        let Some(record) = picked.filter(|record| elsewhere(record.doctor)) else {
            self.aliases.add(alias);
            return None;
        };
        let call = self.by_alias(alias, Act::RequestShare(record.rid), height);
        let share = KnownShare {
            sid: ShareId(created(&call)),
            record,
            to: Asker::Alias(alias),
            patient_first: random.below(2) == 0,
            done: 1,
        };
        Some(self.promise(call, Deed::Share(share)))
    }

    /// A new alias for some hospital, certified by the authority.
    fn certify_alias(&mut self, random: &mut Random, height: u64) -> SignedCall {
        let alias = self.new_alias(random);
        let authority = self.population.authority(FOR_ALIASES);
        let call = self.alias_enrolment(alias, &authority.keys, height);
        self.promise(call, Deed::Alias(alias))
    }

    fn end_alias(&mut self, alias: KnownAlias, height: u64) -> SignedCall {
        let authority = self.population.authority(FOR_ALIASES);
        let whom = Party::Alias(self.alias(alias).id);
        let act = Act::SetStanding(whom, Standing::Ended);
        let by = Party::Authority(authority.id);
        let call = self.order(by, act, height, &authority.keys);
        self.promise(call, Deed::EndAlias(alias))
    }

    fn new_alias(&self, random: &mut Random) -> KnownAlias {
        KnownAlias {
            hospital: random.below(u64::from(self.population.hospitals())) as u32,
            number: self.nonce(),
        }
    }

    /// The enrolment of an alias in the name of the authority, signed with these keys.
    fn alias_enrolment(&self, alias: KnownAlias, keys: &KeyPair, height: u64) -> SignedCall {
        let subject = self.alias(alias).keys;
        let key = subject.public();
        let act = Act::Enrol(Arc::new(Enrolment {
            identity: Identity::Alias(Alias { key }),
            valid: Validity {
                from: 0,
                until: height + VALID_BLOCKS,
            },
        }));
        let authority = Party::Authority(self.population.authority(FOR_ALIASES).id);
        let terms = self.terms(authority, act, height + VALID_BLOCKS);
        SignedCall::signed(Call::Order(Order::new(terms)), keys, Some(&subject))
    }

    /// The keys that a hospital has made for an alias; nobody else could make them.
    fn alias(&self, alias: KnownAlias) -> Person<AliasId> {
        let hospital = self.population.hospital(alias.hospital);
        let seed = Hasher::new("alias of").digest(&hospital.id.0);
        let keys = KeyPair::from_seed(seed.number(alias.number).finish());
        Person {
            id: AliasId::of(&keys.public()),
            keys,
        }
    }

    /// An order under an alias.
    pub(super) fn by_alias(&self, alias: KnownAlias, act: Act, height: u64) -> SignedCall {
        let alias = self.alias(alias);
        self.order(Party::Alias(alias.id), act, height, &alias.keys)
    }

    /// A call with some flaw, if there is anything yet to err about.
    pub(super) fn flawed_alias(
        &self,
        random: &mut Random,
        height: u64,
        flaw: AliasFlaw,
    ) -> Option<SignedCall> {
        if !self.population.has_aliases() {
            return None;
        }
        let nothing = Act::RequestShare(RecordId(self.fresh("no record")));
        match flaw {
            AliasFlaw::Uncertified => Some(self.by_alias(self.new_alias(random), nothing, height)),
            AliasFlaw::Forged => {
                let alias = self.new_alias(random);
                let forger = self.population.hospital(alias.hospital).keys.clone();
                Some(self.alias_enrolment(alias, &forger, height))
            }
            AliasFlaw::Ended => {
                let alias = *self.ended.pick(random)?;
                Some(self.by_alias(alias, nothing, height))
            }
            AliasFlaw::Searches => {
                let alias = *self.aliases.pick(random)?;
                let everybody = Query {
                    conditions: vec![Condition::Ages(0, 18)],
                    purpose: Purpose::Care,
                    page: 0,
                };
                Some(self.by_alias(alias, Act::AuditedSearch(everybody), height))
            }
            AliasFlaw::OthersDelivery => {
                let share = *self.anonymous.pick(random)?;
                let alias = *self.aliases.pick(random)?;
                let act = Act::ConfirmShare(share.sid, share.record.document);
                Some(self.by_alias(alias, act, height))
            }
            AliasFlaw::Unapproved => {
                let share = *self.anonymous.pick(random)?;
                let asked = share.done == 1 || share.done == 2 && !share.patient_first;
                let act = Act::DeliverShare(share.sid, share.record.document);
                let holder = self.population.employer(share.record.doctor);
                asked.then(|| self.by_hospital(holder, act, height))
            }
        }
    }
}
