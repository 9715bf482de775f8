//! L1: the medical record contract. It does not know that it is on a chain.
//!
//! The contract is a pure function of state, height and call. A record enters only with the
//! signatures of its doctor (by real name) and its patient (by pseudonym) over the same bytes; the
//! chain keeps a summary and digests, the document stays with its hospital. A refusal is an answer
//! like others: it names the first check that failed, in the fixed order of [`Code`], and leaves
//! the state as it was.
//!
//! `identity` says who takes part, `directory` keeps them with their `certificate`s, `council` and
//! `affair` how they come, change and go. `message` and `call` are what is signed, `speaker` who
//! signs for a patient; `act` is what one party asks for and `order` whether it may. `records`,
//! `access`, `share` and `search` are what the contract is about. `view` is how they read the
//! state, `write` and `register` how they change it and `tree` what commits to it; `invariants`
//! hold of every state; `wire` is calls as bytes. `population` and `author` make the people and the
//! calls of a workload.

pub mod access;
mod act;
pub mod affair;
pub mod author;
pub mod call;
mod cases;
pub mod certificate;
mod council;
mod directory;
pub mod error;
pub mod identity;
pub mod invariants;
pub mod message;
mod names;
mod order;
mod popularity;
pub mod population;
mod proof;
pub mod records;
mod register;
pub mod rules;
pub mod search;
pub mod share;
mod speaker;
pub mod summary;
mod table;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod view;
mod vouch;
pub mod wire;
pub mod write;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

pub use author::{Author, AuthorSettings, Mix, Wish};
pub use call::{Call, SignedCall};
pub use error::Code;
pub use population::Population;
pub use rules::Rules;
pub use search::{Answer, Condition};
pub use view::{Key, Scan, Simulated};
pub use write::Write;

use crate::base::crypto::{Digest, Hasher};
use access::{Access, Emergencies, Grant, GrantId, Mail};
use message::RecordId;
use names::{Names, Numbers};
use records::Record;
use share::{Share, ShareId};
use table::Table;
use tree::{CallProof, EntryProof, Tree};
use view::View;

/// What the contract answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Receipt {
    /// Done.
    Accepted,
    /// What a search found.
    Found(Arc<Answer>),
    /// Which condition to add to a query.
    Suggested(Condition),
    /// Not done, because of this check; nothing has changed.
    Refused(Code),
}

impl Receipt {
    /// Equal answers, equal digests: what an endorser vouches for.
    pub fn digest(&self) -> Digest {
        let hasher = Hasher::new("receipt");
        match self {
            Self::Accepted => hasher.number(0),
            Self::Found(answer) => {
                let hasher = hasher.number(1).number(u64::from(answer.about));
                let rows = answer.rows.iter();
                rows.fold(hasher, |hasher, row| hasher.part(&row.handle))
            }
            Self::Suggested(condition) => {
                // The words of a condition name its kind and all of its values.
                hasher.number(2).part(format!("{condition:?}").as_bytes())
            }
            Self::Refused(code) => hasher.number(u64::from(code.number())),
        }
        .finish()
    }
}

/// The state of all identities, records and grants. The identities of the genesis are shared
/// between copies until one of them changes.
#[derive(Clone, Debug, Default)]
pub struct State {
    rules: Rules,
    directory: Arc<identity::Directory>,
    records: Table<RecordId, Record>,
    /// Documents that a doctor has recorded for a patient, see [`write::payload`].
    payloads: Names<Digest>,
    grants: Table<GrantId, Grant>,
    audit: Vec<Access>,
    /// By doctor.
    emergencies: BTreeMap<u32, Emergencies>,
    /// By patient.
    mailboxes: BTreeMap<u32, Vec<Mail>>,
    shares: Table<ShareId, Share>,
    index: search::Index,
    /// What was answered to whom, as far as the rules count and remember it.
    usage: BTreeMap<identity::Place, search::Usage>,
    /// The numbers that each party has used.
    used: Numbers,
    tree: Tree,
    /// Empty; kept between calls for its memory.
    writes: Vec<Write>,
}

impl State {
    /// The state in which the chain begins: these people are registered, nothing is recorded.
    pub fn genesis(population: &Population, rules: Rules) -> Self {
        Self {
            rules,
            directory: population.directory(),
            records: Table::of_chosen_names(),
            tree: population.tree(),
            ..Self::default()
        }
    }

    /// Executes one call at a height. Total: any answer is a receipt.
    pub fn apply(&mut self, height: u64, call: &SignedCall) -> Receipt {
        self.apply_after(height, call, None)
    }

    /// Executes one call; where there is a genesis, signatures by its keys are trusted.
    fn apply_after(&mut self, height: u64, call: &SignedCall, genesis: Option<&Self>) -> Receipt {
        let memory = std::mem::take(&mut self.writes);
        let trusted = genesis.map(|genesis| &*genesis.directory);
        let mut view = View::new(self, height, memory).trust(trusted);
        let receipt = view.plan(call);
        let mut writes = view.into_writes();
        self.commit(height, &writes);
        writes.clear();
        self.writes = writes;
        receipt
    }

    /// Answers a call without changing anything: a search is answered; of any other call the
    /// caller learns whether it would be accepted, but not what a search would find that has to be
    /// counted first.
    pub fn query(&self, height: u64, call: &SignedCall) -> Receipt {
        match View::new(self, height, Vec::new()).plan(call) {
            Receipt::Found(_) if !call.reads_only() => Receipt::Accepted,
            receipt => receipt,
        }
    }

    /// Plans a call and tells, besides what it would change, everything that the plan relies on.
    pub fn simulate(&self, height: u64, call: &SignedCall) -> Simulated {
        let mut view = View::recording(self, height);
        let receipt = view.plan(call);
        view.into_simulated(receipt)
    }

    /// Hashes what was written since the last time, so that the root and proofs are quick: to be
    /// done at the end of every block.
    pub fn seal(&mut self) {
        self.tree.seal();
    }

    /// The digest of the state and of all calls that led to it: the one in a block's header. It is
    /// the same before the state is sealed, and takes longer.
    pub fn root(&self) -> Digest {
        self.tree.root()
    }

    /// The digest of an entry's present content, if it is one that the tree holds.
    pub fn entry(&self, key: &Key) -> Option<&Digest> {
        self.tree.get(&key.digest())
    }

    /// Proves to whoever knows the root what the state holds under a key, or that it holds
    /// nothing; see [`tree::verify`]. Nothing for what is no entry: of numbers, licences and
    /// documents that were used the calls tell, and the entries made with them.
    pub fn prove(&self, key: &Key) -> Option<EntryProof> {
        key.is_entry().then(|| self.tree.prove(&key.digest()))
    }

    /// How many calls were accepted since the genesis.
    pub fn calls(&self) -> u64 {
        self.tree.calls()
    }

    /// Proves that a call was accepted as the one of this place, counted from 0; see
    /// [`tree::verify_call`]. Nothing if there were fewer.
    pub fn prove_call(&self, place: u64) -> Option<CallProof> {
        self.tree.prove_call(place)
    }

    /// The digest of the live entries alone: equal states, equal digests, however they came about.
    pub fn entries(&self) -> Digest {
        self.tree.entries()
    }

    /// The rules of the chain.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Every reading of a record, in the order of execution.
    pub fn audit(&self) -> &[Access] {
        &self.audit
    }

    /// Bytes a snapshot of the state takes on the wire, about.
    pub fn bytes(&self) -> u64 {
        self.directory.bytes()
            + 600 * self.records.len() as u64
            + 300 * self.grants.len() as u64
            + 160 * self.audit.len() as u64
            + 240 * self.shares.len() as u64
            + 12 * self.used.len() as u64
            + self.usage.values().map(search::Usage::bytes).sum::<u64>()
    }
}

impl View<'_> {
    /// Plans a call: makes every check and notes what would change. A refusal changes nothing.
    fn plan(&mut self, call: &SignedCall) -> Receipt {
        let done = match call.call() {
            Call::Submit(draft) => self.submit(draft, call),
            Call::Propose(draft) => self.propose(draft, call),
            Call::Confirm { rid, pid, signed } => self.confirm((rid, pid), signed, call),
            Call::Order(order) => self.order(order, call),
        };
        match done {
            Ok(_) if call.reads_only() => {}
            Ok(_) => self.write(write::Change::Call(call.digest())),
            Err(_) if self.lacks(rules::Mutant::RefusalSpends) => {}
            Err(_) => self.retract(),
        }
        done.unwrap_or_else(Receipt::Refused)
    }
}

impl SignedCall {
    /// A well-formed, validly signed call for tests of other layers; different numbers differ.
    pub fn sample(number: u64) -> Self {
        static PEOPLE: LazyLock<Population> = LazyLock::new(|| Population::new(1, 1, 2));
        let content = PEOPLE.content(0, 1, number);
        PEOPLE.submission(content, 0, 1)
    }
}
