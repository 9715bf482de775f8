//! Endorsed calls of the real contract at their place in the chain.

use std::sync::Arc;

use super::execution::{Effects, Endorsed, Endorsement, Execution, Versions};
use super::ledger::{Executor, Ledger, Peer};
use super::policy::Policy;
use super::{Batch, Executed, Transaction, TransactionId};
use crate::base::crypto::{Crypto, Keyring, Signer};
use crate::base::node::NodeId;
use crate::base::random::{Random, Stream};
use crate::contract::access::{GrantId, GrantTerms, Grantee, Purpose, Scope};
use crate::contract::call::{Act, Terms};
use crate::contract::identity::Party;
use crate::contract::message::{CHAIN, RecordId};
use crate::contract::{
    Author, AuthorSettings, Call, Code, Population, Receipt, Rules, SignedCall, State,
};

/// Four hospitals of which two have to endorse, and their chain.
struct Consortium {
    people: Population,
    signers: Vec<Signer>,
    executor: Executor,
    ledger: Ledger,
    peer: Peer,
    named: u64,
}

impl Consortium {
    fn new(crypto: Crypto) -> Self {
        let people = Population::new(4, 8, 40);
        let (signers, keyring) = Signer::mint(4, crypto, 1);
        Self {
            executor: executor(&people, keyring),
            people,
            signers,
            ledger: Ledger::new(),
            peer: Peer::default(),
            named: 0,
        }
    }

    fn effects(&mut self, call: &SignedCall) -> Arc<Effects> {
        let height = self.ledger.height();
        let effects = self
            .peer
            .simulate(call, height, &self.ledger, &mut self.executor);
        Arc::new(effects)
    }

    /// A call with the endorsements of these nodes, simulated now.
    fn endorse(&mut self, call: &SignedCall, by: &[usize]) -> Arc<Transaction> {
        let effects = self.effects(call);
        let sign = |&node: &usize| self.signers[node].sign(Endorsed(effects.digest));
        let signed = by.iter().map(sign).collect();
        self.transact(call, Endorsement { effects, signed })
    }

    fn transact(&mut self, call: &SignedCall, endorsement: Endorsement) -> Arc<Transaction> {
        self.named += 1;
        let id = TransactionId::new(NodeId(9), self.named);
        Transaction::endorsed(id, call.clone(), endorsement)
    }

    /// Orders transactions in one block, and tells what became of them.
    fn order(&mut self, transactions: Vec<Arc<Transaction>>) -> Vec<Option<Code>> {
        let (height, batch) = (self.ledger.height() + 1, Batch::new(transactions));
        let block = self.ledger.append(height, &batch, &mut self.executor);
        let code = |executed: &Executed| match executed {
            Executed::Now(Receipt::Refused(code)) => Some(*code),
            Executed::Now(_) => None,
            Executed::Before => panic!("every name is new"),
        };
        block.executed.iter().map(code).collect()
    }

    fn submission(&mut self, patient: u32) -> (SignedCall, RecordId) {
        self.named += 1;
        let content = self.people.content(0, patient, self.named);
        let rid = content.rid;
        (self.people.submission(content, 0, patient), rid)
    }

    fn by_patient(&mut self, patient: u32, act: Act) -> SignedCall {
        let person = self.people.patient(patient);
        let terms = terms(Party::Patient(person.id), act, &mut self.named);
        SignedCall::order(terms, &self.people.patient(patient).keys)
    }

    fn by_doctor(&mut self, doctor: u32, act: Act) -> SignedCall {
        let person = self.people.doctor(doctor);
        let terms = terms(Party::Doctor(person.id), act, &mut self.named);
        SignedCall::order(terms, &self.people.doctor(doctor).keys)
    }

    /// A record of patient 20 that doctor 1 may read.
    fn granted(&mut self) -> (RecordId, GrantId) {
        let (submission, rid) = self.submission(20);
        let entered = self.endorse(&submission, &[0, 1]);
        assert_eq!(self.order(vec![entered]), [None]);
        let grant = Act::Grant(GrantTerms {
            grantee: Grantee::Doctor(self.people.doctor(1).id),
            scope: Scope::Records(vec![rid]),
            purpose: Purpose::Care,
            from: 0,
            until: 1_000,
            max_uses: None,
            delegable: false,
        });
        let grant = self.by_patient(20, grant);
        let Call::Order(order) = grant.call() else {
            unreachable!("a grant is an order")
        };
        let gid = GrantId(order.message());
        let given = self.endorse(&grant, &[2, 3]);
        assert_eq!(self.order(vec![given]), [None]);
        (rid, gid)
    }
}

fn terms(by: Party, act: Act, named: &mut u64) -> Terms {
    *named += 1;
    Terms {
        chain: CHAIN,
        by,
        act,
        nonce: *named,
        valid_until: 10_000,
    }
}

fn executor(people: &Population, keyring: Keyring) -> Executor {
    let policy = Arc::new(Policy::parse("OutOf(2, n0, n1, n2, n3)", 4).unwrap());
    let genesis = State::genesis(people, Rules::default());
    Executor::with(genesis, Execution::Validate { policy, keyring })
}

#[test]
fn of_ten_readings_by_one_grant_in_one_block_one_is_valid() {
    let mut here = Consortium::new(Crypto::Modelled);
    let (rid, gid) = here.granted();
    let read = |here: &mut Consortium| {
        let reading = here.by_doctor(1, Act::Access(gid, rid, Purpose::Care));
        here.endorse(&reading, &[0, 2])
    };
    let readings: Vec<_> = (0..10).map(|_| read(&mut here)).collect();
    let codes = here.order(readings);
    assert_eq!(codes[0], None);
    assert_eq!(codes[1..], [Some(Code::MvccConflict); 9]);
    // Whoever is endorsed again after that block comes through, and the block keeps the invalid.
    let again = read(&mut here);
    assert_eq!(here.order(vec![again]), [None]);
    assert_eq!(here.ledger.head().unwrap().height, 4);
    assert_eq!(here.ledger.block(3).unwrap().batch.len(), 10);
    let audit = here.ledger.state(&mut here.executor).audit().len();
    assert_eq!(audit, 2, "only the valid ones took effect");
}

#[test]
fn calls_about_different_things_do_not_meet() {
    let mut here = Consortium::new(Crypto::Modelled);
    let each = |patient| {
        let (call, _) = here.submission(patient);
        here.endorse(&call, &[1, 3])
    };
    let calls: Vec<_> = (20..30).map(each).collect();
    assert_eq!(here.order(calls), [None; 10]);
}

#[test]
fn one_call_endorsed_twice_takes_effect_once() {
    let mut here = Consortium::new(Crypto::Modelled);
    let (call, _) = here.submission(20);
    let twice = [here.endorse(&call, &[0, 1]), here.endorse(&call, &[2, 3])];
    assert_eq!(here.order(twice.into()), [None, Some(Code::MvccConflict)]);
    let late = here.effects(&call);
    assert_eq!(
        late.receipt,
        Receipt::Refused(Code::NonceUsed),
        "endorsers see it by then"
    );
}

#[test]
fn who_endorses_is_checked_before_anything_else() {
    for crypto in [Crypto::Modelled, Crypto::Ed25519] {
        let mut here = Consortium::new(crypto);
        let (call, _) = here.submission(20);
        let alone = here.endorse(&call, &[0]);
        let same_twice = here.endorse(&call, &[0, 0]);
        let effects = here.effects(&call);
        let genuine = here.signers[0].sign(Endorsed(effects.digest));
        let forged = here.signers[0].garbage(Endorsed(effects.digest), NodeId(1));
        let other = here.submission(21).0;
        let elsewhere = here.effects(&other).digest;
        let disagrees = here.signers[1].sign(Endorsed(elsewhere));
        let with = |second| Endorsement {
            effects: effects.clone(),
            signed: vec![genuine.clone(), second],
        };
        let (forged, disagrees) = (with(forged), with(disagrees));
        let forged = here.transact(&call, forged);
        let disagrees = here.transact(&call, disagrees);
        let bare = Transaction::new(TransactionId::new(NodeId(9), 900), call.clone());
        let codes = here.order(vec![alone, same_twice, forged, disagrees, bare]);
        let missing = Some(Code::EndorsementMissing);
        let mismatch = Some(Code::EndorsementMismatch);
        assert_eq!(codes, [missing, missing, missing, mismatch, missing]);
        assert_eq!(here.ledger.state(&mut here.executor).audit().len(), 0);
    }
}

#[test]
fn nodes_that_share_nothing_and_nodes_that_lost_blocks_validate_to_the_same_root() {
    let mut here = Consortium::new(Crypto::Modelled);
    let mut random = Random::new(4, Stream::Test);
    let mut author = Author::new(&here.people, AuthorSettings::default(), 0, 1);
    let mut batches = Vec::new();
    for _ in 0..12 {
        let mut block = Vec::new();
        for _ in 0..15 {
            let call = author.next(&mut random, here.ledger.height());
            let effects = here.effects(&call);
            author.learn(&call, &effects.receipt);
            if !effects.writes.is_empty() {
                block.push(here.endorse(&call, &[0, 1]));
            }
        }
        batches.push(Batch::new(block.clone()));
        here.order(block);
    }
    let head = here.ledger.head().unwrap().clone();
    let people = here.people.clone();
    let people = &people;
    let keyring = || Signer::mint(4, Crypto::Modelled, 1).1;
    let mut alone = executor(people, keyring());
    let mut ledger = Ledger::new();
    for batch in &batches {
        ledger.append(ledger.height() + 1, batch, &mut alone);
    }
    assert_eq!(
        ledger.head().unwrap().digest,
        head.digest,
        "executed from the beginning"
    );
    // An endorser that loses half of its blocks simulates on what is left, and then on the rest.
    let probe = here.submission(30).0;
    let at = |peer: &mut Peer, ledger: &Ledger, executor: &mut Executor| {
        peer.simulate(&probe, 3, ledger, executor).digest
    };
    let mut peer = Peer::default();
    let whole = at(&mut peer, &ledger, &mut alone);
    ledger.truncate(6);
    let half = at(&mut peer, &ledger, &mut alone);
    assert_eq!(half, at(&mut Peer::default(), &ledger, &mut alone));
    for batch in &batches[6..] {
        ledger.append(ledger.height() + 1, batch, &mut alone);
    }
    assert_eq!(at(&mut peer, &ledger, &mut alone), whole);
    // A node that adopts a snapshot endorses the same, and goes on to the same root.
    let snapshot = ledger.snapshot(&mut alone).unwrap();
    let mut elsewhere = executor(people, keyring());
    let mut joined = Ledger::new();
    assert!(joined.install(&snapshot, &mut elsewhere));
    assert_eq!(at(&mut Peer::default(), &joined, &mut elsewhere), whole);
    let next = Batch::new(vec![here.endorse(&probe, &[2, 3])]);
    let one = joined.append(13, &next, &mut elsewhere).digest;
    assert_eq!(one, ledger.append(13, &next, &mut alone).digest);
    assert_eq!(
        one,
        here.ledger.append(13, &next, &mut here.executor).digest
    );
}

#[test]
fn a_search_that_would_find_something_else_is_a_phantom() {
    let people = Population::new(4, 8, 40);
    let mut state = State::genesis(&people, Rules::default());
    let doctor = people.doctor(2);
    let diagnosis = people.content(0, 20, 1).summary.diagnoses[0];
    let query = crate::contract::search::Query {
        conditions: vec![crate::contract::Condition::Has(
            crate::contract::search::Feature::Diagnosis(diagnosis),
        )],
        purpose: Purpose::Care,
        page: 0,
    };
    let search = SignedCall::order(
        terms(Party::Doctor(doctor.id), Act::Search(query), &mut 7),
        &doctor.keys,
    );
    let effects = Effects::of(&search, 0, &state, &Versions::default());
    assert_eq!(effects.scans.len(), 1);
    assert!(state.rescan(&effects.scans[0]), "nothing has happened");
    let unrelated = (2..200).map(|number| people.content(0, 21, number));
    let mut unrelated = unrelated.filter(|c| !c.summary.diagnoses.contains(&diagnosis));
    let other = people.submission(unrelated.next().unwrap(), 0, 21);
    assert_eq!(state.apply(1, &other), Receipt::Accepted);
    assert!(
        state.rescan(&effects.scans[0]),
        "what does not match does not matter"
    );
    let found = people.submission(people.content(0, 20, 1), 0, 20);
    assert_eq!(state.apply(2, &found), Receipt::Accepted);
    assert!(!state.rescan(&effects.scans[0]), "one more case matches");
}
