//! The author of a workload: draws calls as the people of a consortium would make them.
//!
//! One author serves one client host. It signs in the name of the people whose keys it has, learns
//! from the answers which records and grants exist, and now and then errs on purpose. It never
//! reads the state: a client does not have it.
//!
//! Whose records are touched follows the same law as who is treated: patients who are treated
//! often are read, amended and shared often as well, and what belongs to them is hot.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::access::GrantId;
use super::call::{Act, Call, Order, Terms};
use super::error::Code;
use super::identity::{Party, PatientId};
use super::message::{CHAIN, Draft};
use super::popularity::Popularity;
use super::population::{Person, Population};
use super::rules::Rules;
use super::summary::Term;
use super::{Receipt, SignedCall};
use crate::base::crypto::{Digest, Hasher, KeyPair};
use crate::base::random::Random;
use crate::base::units::Ratio;

mod aliases;
mod consent;
mod entering;
mod finding;
mod flaw;
mod membership;
mod memory;
mod mix;
mod sharing;

use memory::{
    ByPatient, Deed, KnownAlias, KnownCase, KnownGrant, KnownMember, KnownRecord, KnownShare,
    Latest, Owner, Unanswered,
};
pub use mix::{Mix, Wish};

/// How an author writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuthorSettings {
    /// The weights of the kinds of calls.
    pub mix: Mix,
    /// The share of calls that the contract has to refuse.
    pub invalid: Ratio,
    /// The exponent of the law of Zipf by which patients are treated, in thousandths.
    pub zipf_thousandths: u32,
    /// Whether every record is of a pseudonym of its own, which is enrolled before. Nobody can
    /// tell from the chain which records are of one patient; that costs an enrolment for each
    /// record, and a grant of all of a patient's records is as many grants. And a doctor who
    /// treats the own person is not recognised by it.
    pub pid_per_record: bool,
    /// The rules of the contract that is called.
    pub rules: Rules,
}

impl Default for AuthorSettings {
    fn default() -> Self {
        Self {
            mix: Mix::default(),
            invalid: Ratio::ZERO,
            zipf_thousandths: 800,
            pid_per_record: false,
            rules: Rules::default(),
        }
    }
}

/// Blocks after which a call lapses.
const VALID_BLOCKS: u64 = 100_000;
/// Records, and grants, that an author remembers in all.
const KNOWN_MAX: usize = 4096;
/// Of one patient.
const KNOWN_EACH: usize = 4;

/// Draws the calls of one client host.
#[derive(Debug)]
pub struct Author {
    population: Population,
    settings: AuthorSettings,
    popularity: Popularity,
    me: u16,
    hosts: u16,
    /// Calls written so far, which makes their numbers.
    count: u64,
    unanswered: Unanswered,
    records: ByPatient<KnownRecord>,
    grants: ByPatient<KnownGrant>,
    proposals: Latest<(Arc<Draft>, KnownRecord)>,
    hidden: Latest<KnownRecord>,
    disputed: Latest<KnownRecord>,
    shares: Latest<KnownShare>,
    /// The same of those who ask under an alias.
    anonymous: Latest<KnownShare>,
    /// Aliases under which nothing is asked at present.
    aliases: Latest<KnownAlias>,
    cases: Latest<KnownCase>,
    members: Latest<KnownMember>,
    /// What cannot be used any more, to err with.
    revoked: Latest<KnownGrant>,
    amended: Latest<KnownRecord>,
    shared: Latest<KnownShare>,
    ended: Latest<KnownAlias>,
    /// The heights at which each doctor has claimed emergencies.
    emergencies: BTreeMap<u32, Vec<u64>>,
    /// What follows from earlier calls and is due.
    tasks: VecDeque<Task>,
    /// Conditions that a search for a diagnosis has; follows how broad the answers are.
    conditions: BTreeMap<Term, usize>,
}

/// A call that an earlier one made possible or necessary.
#[derive(Clone, Copy, Debug)]
enum Task {
    /// A record for a pseudonym that is enrolled now.
    Enter(Owner),
    /// The same, to be proposed first.
    Propose(Owner),
    /// The same grant for one more record.
    Grant(KnownRecord, Party),
}

impl Author {
    /// The author for client host `me` of `hosts`. What different hosts write never collides. The
    /// mix must have a weight that is not zero.
    pub fn new(population: &Population, settings: AuthorSettings, me: u16, hosts: u16) -> Self {
        assert!(me < hosts, "hosts count from zero");
        assert!(settings.mix.total() > 0, "something is called");
        Self {
            popularity: Popularity::new(population.patients(), settings.zipf_thousandths),
            population: population.clone(),
            settings,
            me,
            hosts,
            count: 0,
            unanswered: Unanswered::default(),
            records: ByPatient::new(KNOWN_MAX, KNOWN_EACH),
            grants: ByPatient::new(KNOWN_MAX, KNOWN_EACH),
            proposals: Latest::new(KNOWN_MAX),
            hidden: Latest::new(KNOWN_MAX),
            disputed: Latest::new(KNOWN_MAX),
            shares: Latest::new(KNOWN_MAX),
            anonymous: Latest::new(KNOWN_MAX),
            aliases: Latest::new(KNOWN_MAX),
            cases: Latest::new(64),
            members: Latest::new(KNOWN_MAX),
            revoked: Latest::new(64),
            amended: Latest::new(64),
            shared: Latest::new(64),
            ended: Latest::new(64),
            emergencies: BTreeMap::new(),
            tasks: VecDeque::new(),
            conditions: BTreeMap::new(),
        }
    }

    /// The next call, signed, for a ledger that has about this height or is further by now.
    pub fn next(&mut self, random: &mut Random, height_hint: u64) -> SignedCall {
        self.count += 1;
        let height = height_hint;
        if random.chance(self.settings.invalid) {
            return self.flawed(random, height);
        }
        if let Some(task) = self.tasks.pop_front() {
            return match task {
                Task::Enter(owner) => self.enter(random, height, owner),
                Task::Propose(owner) => self.propose_for(random, height, owner),
                Task::Grant(record, to) => self.grant_one(&record, to, height),
            };
        }
        let wished = match self.settings.mix.draw(random) {
            Wish::Submit => None,
            Wish::Propose => Some(self.propose(random, height)),
            Wish::Amend => self.amend(random, height),
            Wish::Hide => self.hide(random, height),
            Wish::Dispute => self.dispute(random, height),
            Wish::Search => Some(self.search(random, height)),
            // Where searches are counted, nothing is suggested without.
            Wish::Suggest if self.settings.rules.audits_searches() => None,
            Wish::Suggest => Some(self.suggest(random, height)),
            Wish::Contact => self.contact(height),
            Wish::Grant => self.grant(random, height),
            Wish::Delegate => self.delegate(random, height),
            Wish::Revoke => self.revoke(random, height),
            Wish::Access => self.access(random, height),
            Wish::Emergency => self.emergency(random, height),
            Wish::Share => self.share(random, height),
            Wish::Freeze => Some(self.freeze(random, height)),
            Wish::Rotate => Some(self.rotate(random, height)),
            Wish::Custodian => Some(self.entrust(random, height)),
            Wish::AnonymousShare => self.anonymous_share(random, height),
        };
        wished.unwrap_or_else(|| self.submit(random, height))
    }

    /// Learns what became of a call of this author.
    pub fn learn(&mut self, call: &SignedCall, receipt: &Receipt) {
        let Some(deed) = self.unanswered.remove(&call.digest()) else {
            return;
        };
        match receipt {
            Receipt::Accepted | Receipt::Found(_) | Receipt::Suggested(_) => {
                self.done(deed, receipt);
            }
            Receipt::Refused(code) => self.failed(&deed, *code),
        }
    }

    /// A call has done what it should.
    fn done(&mut self, deed: Deed, receipt: &Receipt) {
        match deed {
            Deed::Enrol { owner, propose } => self.tasks.push_back(if propose {
                Task::Propose(owner)
            } else {
                Task::Enter(owner)
            }),
            Deed::Member(member) => self.members.add(member),
            Deed::Enter(record) | Deed::Unhide(record) | Deed::Resolve(record) => {
                self.records.add(record.owner.patient, record);
            }
            Deed::Propose(draft, record) => self.proposals.add((draft, record)),
            Deed::Amend { old, new } => {
                self.amended.add(old);
                self.records.add(new.owner.patient, new);
            }
            Deed::Hide(record) => self.hidden.add(record),
            Deed::Dispute(record) => self.disputed.add(record),
            Deed::Grant(grant) => self.grants.add(grant.owner.patient, grant),
            Deed::Revoke(grant) => {
                let of_it = |other: &KnownGrant| other.parent == Some(grant.gid);
                self.grants.forget(grant.owner.patient, of_it);
                self.revoked.add(grant);
            }
            Deed::Access(_) => {}
            Deed::Share(share) => self.shared_so_far(share),
            Deed::Alias(alias) => self.aliases.add(alias),
            Deed::EndAlias(alias) => self.ended.add(alias),
            Deed::Search(search) => self.found(&search, receipt),
        }
    }

    /// A call was refused. What the execution model refused can be tried again; what the contract
    /// refused is not worth remembering.
    fn failed(&mut self, deed: &Deed, code: Code) {
        let again = code.number() >= Code::MvccConflict.number();
        match *deed {
            Deed::Amend { old: record, .. } | Deed::Hide(record) | Deed::Dispute(record)
                if again =>
            {
                self.records.add(record.owner.patient, record);
            }
            Deed::Unhide(record) if again => self.hidden.add(record),
            Deed::Resolve(record) if again => self.disputed.add(record),
            Deed::Revoke(grant) if again => self.grants.add(grant.owner.patient, grant),
            Deed::Share(share) if again && share.done > 1 => self.share_goes_on(KnownShare {
                done: share.done - 1,
                ..share
            }),
            Deed::EndAlias(alias) if again => self.aliases.add(alias),
            Deed::Access(grant) if !again => {
                let same = |other: &KnownGrant| other.gid == grant.gid;
                self.grants.forget(grant.owner.patient, same);
            }
            Deed::Search(ref search) => self.adjust(search, code),
            Deed::Enrol { .. }
            | Deed::Member(_)
            | Deed::Enter(_)
            | Deed::Propose(..)
            | Deed::Amend { .. }
            | Deed::Hide(_)
            | Deed::Unhide(_)
            | Deed::Dispute(_)
            | Deed::Resolve(_)
            | Deed::Grant(_)
            | Deed::Revoke(_)
            | Deed::Access(_)
            | Deed::Share(_)
            | Deed::Alias(_)
            | Deed::EndAlias(_) => {}
        }
    }

    /// A number that no author uses twice, nor two authors once.
    fn nonce(&self) -> u64 {
        self.count * u64::from(self.hosts) + u64::from(self.me)
    }

    /// A name that nothing has.
    fn fresh(&self, purpose: &str) -> Digest {
        Hasher::new(purpose).number(self.nonce()).finish()
    }

    /// A doctor.
    fn any_doctor(&self, random: &mut Random) -> u32 {
        random.below(u64::from(self.population.doctors())) as u32
    }

    /// A doctor of a hospital, if it has one: they are dealt to the hospitals in turn.
    fn doctor_of(&self, random: &mut Random, hospital: u32) -> Option<u32> {
        let (all, hospitals) = (self.population.doctors(), self.population.hospitals());
        let employed = all.saturating_sub(hospital).div_ceil(hospitals);
        let nth = (employed > 0).then(|| random.below(u64::from(employed)) as u32)?;
        Some(hospital + nth * hospitals)
    }

    /// Whoever a record belongs to, under the name that it is known by.
    fn person(&self, owner: Owner) -> Person<PatientId> {
        let patient = self.population.patient(owner.patient);
        let Some(number) = owner.pseudonym else {
            return patient.clone();
        };
        let seed = Hasher::new("pseudonym")
            .digest(&patient.id.0)
            .number(number);
        let keys = KeyPair::from_seed(seed.finish());
        Person {
            id: PatientId::of(&keys.public()),
            keys,
        }
    }

    /// An order by a patient, under the name that a record is known by.
    fn by_owner(&self, owner: Owner, act: Act, height: u64) -> SignedCall {
        let patient = self.person(owner);
        self.order(Party::Patient(patient.id), act, height, &patient.keys)
    }

    fn by_doctor(&self, number: u32, act: Act, height: u64) -> SignedCall {
        let doctor = self.population.doctor(number);
        self.order(Party::Doctor(doctor.id), act, height, &doctor.keys)
    }

    fn by_hospital(&self, number: u32, act: Act, height: u64) -> SignedCall {
        let hospital = self.population.hospital(number);
        self.order(Party::Hospital(hospital.id), act, height, &hospital.keys)
    }

    fn order(&self, by: Party, act: Act, height: u64, keys: &KeyPair) -> SignedCall {
        SignedCall::order(self.terms(by, act, height + VALID_BLOCKS), keys)
    }

    fn terms(&self, by: Party, act: Act, valid_until: u64) -> Terms {
        Terms {
            chain: CHAIN,
            by,
            act,
            nonce: self.nonce(),
            valid_until,
        }
    }

    /// The call, of which is remembered what it will have done.
    fn promise(&mut self, call: SignedCall, deed: Deed) -> SignedCall {
        self.unanswered.add(call.digest(), deed);
        call
    }
}

/// The name of what an order creates.
fn created(call: &SignedCall) -> Digest {
    let Call::Order(order) = call.call() else {
        unreachable!("only orders name what they create by their message");
    };
    order.message()
}

/// The name of the grant that a call makes.
fn granted(call: &SignedCall) -> GrantId {
    GrantId(created(call))
}

/// The order of a call that is one.
fn order_of(call: &SignedCall) -> Option<&Arc<Order>> {
    match call.call() {
        Call::Order(order) => Some(order),
        Call::Submit(_) | Call::Propose(_) | Call::Confirm { .. } => None,
    }
}
