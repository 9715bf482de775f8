//! What people do about their own accounts: freeze and thaw them, change keys, and name
//! custodians. Those who do are newcomers whom only this author knows, so that nobody else's calls
//! fail by it.

use std::sync::Arc;

use super::memory::{Custodian, Deed, KnownMember, Owner};
use super::{Author, VALID_BLOCKS};
use crate::base::random::Random;
use crate::contract::SignedCall;
use crate::contract::affair::{Affair, Custody, KeyChange};
use crate::contract::call::{Act, Call, Order};
use crate::contract::certificate::Validity;
use crate::contract::identity::{Enrolment, Identity, Party, Patient, Standing};

/// The authority that vouches for patients.
const FOR_PATIENTS: u32 = 2;

impl Author {
    /// The authority for patients vouches for a new pseudonym, which only it could tell whose
    /// it is.
    pub(super) fn enrol(
        &mut self,
        patient: u32,
        height: u64,
        then: impl FnOnce(Owner) -> Deed,
    ) -> SignedCall {
        let owner = Owner {
            patient,
            pseudonym: Some(self.nonce()),
        };
        let person = self.person(owner);
        let identity = Patient {
            key: person.keys.public(),
        };
        let authority = self.population.authority(FOR_PATIENTS);
        let act = Act::Enrol(Arc::new(Enrolment {
            identity: Identity::Patient(person.id, identity),
            valid: Validity::ALWAYS,
        }));
        let terms = self.terms(Party::Authority(authority.id), act, height + VALID_BLOCKS);
        let call = Call::Order(Order::new(terms));
        let call = SignedCall::signed(call, &authority.keys, Some(&person.keys));
        self.promise(call, then(owner))
    }

    /// Somebody joins, to have an account to do something about.
    fn join(&mut self, random: &mut Random, height: u64) -> SignedCall {
        let patient = self.popularity.draw(random);
        self.enrol(patient, height, |owner| {
            Deed::Member(KnownMember {
                owner,
                frozen: false,
                custodian: Custodian::None,
            })
        })
    }

    /// A newcomer freezes the account, or thaws it.
    pub(super) fn freeze(&mut self, random: &mut Random, height: u64) -> SignedCall {
        let Some(member) = self.members.next() else {
            return self.join(random, height);
        };
        let me = Party::Patient(self.person(member.owner).id);
        let standing = if member.frozen {
            Standing::Active
        } else {
            Standing::Suspended
        };
        let call = self.by_owner(member.owner, Act::SetStanding(me, standing), height);
        let frozen = !member.frozen;
        self.promise(call, Deed::Member(KnownMember { frozen, ..member }))
    }

    /// A newcomer changes the key, and with it the pseudonym.
    pub(super) fn rotate(&mut self, random: &mut Random, height: u64) -> SignedCall {
        let Some(member) = self.thawed_member() else {
            return self.join(random, height);
        };
        let owner = Owner {
            pseudonym: Some(self.nonce()),
            ..member.owner
        };
        let (old, new) = (self.person(member.owner), self.person(owner));
        let act = Act::Affair(Affair::Rotate(KeyChange {
            of: old.id,
            to: new.id,
            key: new.keys.public(),
            revoke_all: random.below(4) == 0,
        }));
        let terms = self.terms(Party::Patient(old.id), act, height + VALID_BLOCKS);
        let call = Call::Order(Order::new(terms));
        let call = SignedCall::signed(call, &old.keys, Some(&new.keys));
        self.promise(call, Deed::Member(KnownMember { owner, ..member }))
    }

    /// A newcomer names a custodian, enables, disables or removes the one there is.
    pub(super) fn entrust(&mut self, random: &mut Random, height: u64) -> SignedCall {
        let Some(member) = self.thawed_member() else {
            return self.join(random, height);
        };
        let other = self.popularity.draw(random);
        let pid = |number| self.population.patient(number).id;
        let (custody, custodian) = match member.custodian {
            Custodian::None => (Custody::Add(pid(other)), Custodian::Listed(other)),
            Custodian::Listed(number) => (Custody::Enable(pid(number)), Custodian::Enabled(number)),
            Custodian::Enabled(number) => {
                (Custody::Disable(pid(number)), Custodian::Disabled(number))
            }
            Custodian::Disabled(number) => (Custody::Remove(pid(number)), Custodian::None),
        };
        let act = Act::Affair(Affair::Entrust(custody));
        let call = self.by_owner(member.owner, act, height);
        let member = KnownMember {
            custodian,
            ..member
        };
        self.promise(call, Deed::Member(member))
    }

    /// The member who has waited longest, if the account is not frozen; a frozen one goes to the
    /// end of the queue.
    fn thawed_member(&mut self) -> Option<KnownMember> {
        let member = self.members.next()?;
        if member.frozen {
            self.members.add(member);
            return None;
        }
        Some(member)
    }
}
