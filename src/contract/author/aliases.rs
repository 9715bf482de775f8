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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::base::crypto::Digest;
    use crate::base::random::Stream;
    use crate::contract::{AuthorSettings, Mix, Population, Receipt, Rules, State, Wish, wire};

    fn author(people: &Population) -> Author {
        let settings = AuthorSettings {
            mix: Mix::of(&[(Wish::Submit, 1), (Wish::AnonymousShare, 6)]),
            ..AuthorSettings::default()
        };
        Author::new(people, settings, 0, 1)
    }

    /// The bytes of a call without its signatures, and without the key and the name of an alias.
    fn without_keys(call: &SignedCall, alias: &Person<AliasId>) -> Vec<u8> {
        let mut bytes = wire::encode(call);
        let proofs = call.first().into_iter().chain(call.second());
        let signatures = proofs.map(|proof| proof.signature().0.to_vec());
        let key = alias.keys.public().0.to_vec();
        for part in signatures.chain([key, alias.id.0.0.to_vec()]) {
            let places: Vec<usize> = (0..=bytes.len() - part.len())
                .filter(|&at| bytes[at..].starts_with(&part))
                .collect();
            for at in places {
                bytes[at..at + part.len()].fill(0);
            }
        }
        bytes
    }

    /// What the chain sees of an alias that is certified, asks for a record and receives it, but
    /// for keys and what is made of them.
    fn seen(author: &Author, state: &State, alias: KnownAlias, rid: RecordId) -> Vec<Vec<u8>> {
        let person = author.alias(alias);
        let authority = &author.population.authority(FOR_ALIASES).keys;
        let request = author.by_alias(alias, Act::RequestShare(rid), 9);
        let sid = ShareId(created(&request));
        let confirm = author.by_alias(alias, Act::ConfirmShare(sid, Digest::ZERO), 9);
        let enrolment = author.alias_enrolment(alias, authority, 9);
        let mut state = state.clone();
        let mut seen = vec![without_keys(&enrolment, &person)];
        for call in [enrolment, request] {
            assert_eq!(state.apply(9, &call), Receipt::Accepted);
            seen.push(without_keys(&call, &person));
        }
        let mut confirm = without_keys(&confirm, &person);
        // The name of the sharing is a digest of what the alias signed.
        let at = confirm.windows(32).position(|window| window == sid.0.0);
        confirm.drain(at.unwrap()..at.unwrap() + 32);
        let trace = state.trace(&sid).unwrap();
        assert_eq!(trace.by, Party::Alias(person.id));
        let kept = (trace.rid, trace.pid, trace.holder, trace.stage, trace.since);
        seen.extend([
            confirm,
            format!("{kept:?} {:?} {}", trace.sent, state.bytes()).into_bytes(),
        ]);
        seen
    }

    #[test]
    fn two_aliases_of_one_hospital_look_like_those_of_two() {
        let people = Population::with_aliases(4, 8, 40);
        let mut state = State::genesis(&people, Rules::default());
        let record = people.submission(people.content(0, 9, 1), 0, 9);
        assert_eq!(state.apply(8, &record), Receipt::Accepted);
        let (author, rid) = (author(&people), people.content(0, 9, 1).rid);
        let of = |hospital, number| {
            let alias = KnownAlias { hospital, number };
            seen(&author, &state, alias, rid)
        };
        let [one, same, other] = [of(1, 5), of(1, 6), of(2, 5)];
        assert_eq!(one, same);
        assert_eq!(one, other);
        assert!(one.iter().all(|bytes| !bytes.is_empty()));
    }

    /// Every eight bytes of the names and keys of hospitals and doctors, and what is shown of them
    /// in a text.
    fn secrets(people: &Population) -> (BTreeSet<[u8; 8]>, Vec<String>) {
        let hospitals = (0..people.hospitals()).map(|at| people.hospital(at));
        let hospitals = hospitals.map(|person| (person.id.0, person.keys.public()));
        let doctors = (0..people.doctors()).map(|at| people.doctor(at));
        let doctors = doctors.map(|person| (person.id.0, person.keys.public()));
        let (mut parts, mut texts) = (BTreeSet::new(), Vec::new());
        for (name, key) in hospitals.chain(doctors) {
            for secret in [name, Digest(key.0)] {
                let chunks = secret.0.chunks_exact(8);
                parts.extend(chunks.map(|part| <[u8; 8]>::try_from(part).unwrap()));
                texts.push(format!("{secret:?}"));
            }
        }
        (parts, texts)
    }

    #[test]
    fn nothing_said_or_kept_under_aliases_names_a_hospital() {
        let people = Population::with_aliases(4, 8, 40);
        let mut state = State::genesis(&people, Rules::default());
        let (mut author, mut random) = (author(&people), Random::new(1, Stream::Test));
        let (parts, texts) = secrets(&people);
        let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
        for turn in 0..1_500 {
            let call = author.next(&mut random, turn);
            let receipt = state.apply(turn, &call);
            assert_eq!(receipt, Receipt::Accepted, "{call:?}");
            let by_alias = format!("{:?}", call.call()).contains("by: Alias(");
            if by_alias || ["enrol", "set-standing"].contains(&call.kind()) {
                *kinds.entry(call.kind()).or_default() += 1;
                let bytes = wire::encode(&call);
                assert!(
                    !bytes.windows(8).any(|part| parts.contains(part)),
                    "{call:?}"
                );
            }
            author.learn(&call, &receipt);
        }
        assert_eq!(
            kinds.keys().copied().collect::<Vec<_>>(),
            ["confirm-share", "enrol", "request-share", "set-standing"]
        );
        assert!(kinds.values().all(|&count| count > 10), "{kinds:?}");
        let shares = state.shares.iter().map(|share| format!("{share:?}"));
        let kept = shares.chain([state.directory.aliases()]);
        let mut told = 0;
        for text in kept {
            told += text.len();
            assert!(!texts.iter().any(|secret| text.contains(secret)), "{text}");
        }
        assert!(told > 10_000, "there is something to look at: {told}");
        assert_eq!(state.violated_invariants(0), []);
    }
}
