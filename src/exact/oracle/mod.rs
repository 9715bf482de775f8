//! A second opinion on every call, written from the rules of the contract and not from its code.
//!
//! The contract makes its checks in an order and stops at the first that fails. The oracle knows
//! no order: it notes every rule that a call breaks, and of these the one with the least number
//! has to be the answer. It keeps what it knows in plain maps by name, verifies every signature by
//! arithmetic, and shares nothing with the contract but the calls themselves.

mod access;
mod calls;
mod finding;
mod judge;
mod orders;
mod people;
mod sharing;
mod tests;
mod voices;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::crypto::{Digest, PublicKey};
use crate::contract::access::{GrantId, GrantTerms};
use crate::contract::call::Proof;
use crate::contract::identity::{
    AliasId, AuthorityId, DoctorId, HospitalId, Party, PatientId, Standing, Vouches,
};
use crate::contract::message::{Content, Draft, RecordId};
use crate::contract::share::ShareId;
use crate::contract::{Call, Code, Receipt, Rules, SignedCall};

/// The rules that a call breaks.
#[derive(Default)]
struct Faults(BTreeSet<Code>);

impl Faults {
    /// Notes a rule that is broken.
    fn add(&mut self, code: Code) {
        self.0.insert(code);
    }

    /// Notes a rule, if it is broken.
    fn when(&mut self, broken: bool, code: Code) {
        if broken {
            self.add(code);
        }
    }
}

/// A patient, by the place in a list; a new key changes nothing about that.
type Account = usize;

/// Whoever can sign, under whatever name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Who {
    Authority(AuthorityId),
    Hospital(HospitalId),
    Doctor(DoctorId),
    Patient(Account),
    Alias(AliasId),
}

struct Office {
    key: PublicKey,
    vouches: Vouches,
    until: u64,
    revoked: bool,
}

/// What everybody has who is certified.
#[derive(Clone, Copy)]
struct Papers {
    standing: Standing,
    by: AuthorityId,
    until: u64,
}

struct HospitalFile {
    key: PublicKey,
    papers: Papers,
}

/// A key that some institution has certified, which says nothing of the institution.
struct AliasFile {
    key: PublicKey,
    papers: Papers,
}

struct DoctorFile {
    key: PublicKey,
    papers: Papers,
    hid: HospitalId,
    specialty: u8,
    own: Digest,
}

struct PatientFile {
    /// All names with their keys, the present one last.
    names: Vec<(PatientId, PublicKey)>,
    papers: Papers,
    /// Whether an authority froze the account.
    held: bool,
    /// Custodians, by the name they were given, and whether each is enabled.
    custodians: Vec<(Account, PatientId, bool)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    Proposed,
    Active,
    Amended,
    Hidden,
    Disputed,
    Rejected,
    Withdrawn,
}

impl Life {
    /// Whether both parties have signed.
    fn entered(self) -> bool {
        match self {
            Self::Active | Self::Amended | Self::Hidden | Self::Disputed => true,
            Self::Proposed | Self::Rejected | Self::Withdrawn => false,
        }
    }
}

struct RecordFile {
    draft: Arc<Draft>,
    owner: Account,
    life: Life,
    since: u64,
}

impl RecordFile {
    fn content(&self) -> &Content {
        self.draft.content()
    }
}

struct GrantFile {
    terms: GrantTerms,
    giver: Account,
    /// Who received it; of a specialty nobody in particular.
    receiver: Option<Who>,
    uses: u64,
    lent: u64,
    ended: bool,
    parent: Option<GrantId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Open,
    Delivered,
    Refused,
}

struct ShareFile {
    rid: RecordId,
    owner: Account,
    from: HospitalId,
    /// The hospital or alias that is to have it.
    to: Who,
    since: u64,
    by_patient: bool,
    by_holder: bool,
    sent: Option<Digest>,
    step: Step,
}

/// One reading, as the list of all of them has to show it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reading {
    pub by: Party,
    pub rid: RecordId,
    pub gid: Option<GrantId>,
    pub height: u64,
}

/// What the oracle expects of an accepted call.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Expected {
    Done,
    /// A search, with how many cases and rows it has to show.
    Found(usize, usize),
    /// A suggestion: to add one of these conditions.
    Suggested(Vec<crate::contract::Condition>),
}

/// Everything the oracle knows.
pub struct Oracle {
    rules: Rules,
    /// The height at which what is judged takes effect.
    now: u64,
    offices: BTreeMap<AuthorityId, Office>,
    hospitals: BTreeMap<HospitalId, HospitalFile>,
    doctors: BTreeMap<DoctorId, DoctorFile>,
    licences: BTreeSet<String>,
    patients: Vec<PatientFile>,
    names: BTreeMap<PatientId, Account>,
    aliases: BTreeMap<AliasId, AliasFile>,
    records: BTreeMap<RecordId, RecordFile>,
    documents: BTreeSet<(Account, DoctorId, Digest)>,
    grants: BTreeMap<GrantId, GrantFile>,
    shares: BTreeMap<ShareId, ShareFile>,
    used: BTreeSet<(Who, u64)>,
    readings: Vec<Reading>,
    claims: Vec<(DoctorId, u64)>,
    /// How many things each patient was told.
    mail: BTreeMap<Account, usize>,
    /// The heights of the counted searches of everybody, and the last sets of each.
    searches: BTreeMap<Who, Vec<u64>>,
    seen: BTreeMap<Who, Vec<BTreeSet<(Account, RecordId)>>>,
}

impl Oracle {
    /// What has to be the answer to the next call in the order of the chain. If it is not a
    /// refusal, the call takes effect.
    fn judge(&mut self, height: u64, call: &SignedCall) -> Result<Expected, Code> {
        let mut faults = Faults::default();
        let answer = match call.call() {
            Call::Submit(draft) => self.submit(draft, height, call, &mut faults),
            Call::Propose(draft) => self.propose(draft, height, call, &mut faults),
            Call::Confirm { rid, pid, signed } => {
                self.confirm((rid, pid), signed, height, call, &mut faults)
            }
            Call::Order(order) => self.order(order, height, call, &mut faults),
        };
        match faults.0.first() {
            Some(code) => Err(*code),
            None => Ok(answer.expect("what breaks no rule has an effect")),
        }
    }

    /// Whether the contract answered as it has to; otherwise what it should have said. What it
    /// did is noted as done.
    pub fn check(
        &mut self,
        height: u64,
        call: &SignedCall,
        receipt: &Receipt,
    ) -> Result<(), String> {
        self.check_endorsed((height, height), call, receipt)
    }

    /// The same of a call that was asked at one height and takes effect at another one, in a state
    /// in which nothing that matters to it is different.
    pub fn check_endorsed(
        &mut self,
        (height, now): (u64, u64),
        call: &SignedCall,
        receipt: &Receipt,
    ) -> Result<(), String> {
        self.now = now;
        let expected = self.judge(height, call);
        let agrees = match (&expected, receipt) {
            (Ok(Expected::Done), Receipt::Accepted) => true,
            (Ok(Expected::Found(about, rows)), Receipt::Found(answer)) => {
                answer.about as usize == *about
                    && answer.rows.len() == *rows
                    && self.shows(call, answer)
            }
            (Ok(Expected::Suggested(any)), Receipt::Suggested(condition)) => {
                any.contains(condition)
            }
            (Err(code), Receipt::Refused(told)) => code == told,
            (Ok(_) | Err(_), _) => false,
        };
        if agrees {
            return Ok(());
        }
        let kind = call.kind();
        Err(format!(
            "a {kind} at height {height} should have been {expected:?} and was {receipt:?}"
        ))
    }

    /// Every reading there has to be, in order.
    pub fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// How many grants, records and shares there are.
    pub fn counts(&self) -> [usize; 3] {
        [self.grants.len(), self.records.len(), self.shares.len()]
    }

    /// Whether a signature of this key over this message is there.
    fn signs(key: &PublicKey, message: &Digest, proof: &Proof) -> bool {
        key.verify(&message.0, &proof.signature())
    }
}
