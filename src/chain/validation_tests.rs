//! Endorsed calls of the real contract at their place in the chain.

use std::sync::Arc;

use super::execution::{Effects, Endorsed, Endorsement, Execution, Versions};
use super::ledger::{Audit, Executor, Ledger, Peer};
use super::policy::Policy;
use super::{Batch, Executed, Transaction, TransactionId};
use crate::base::crypto::{Crypto, Keyring, Signer};
use crate::base::node::NodeId;
use crate::base::random::{Random, Stream};
use crate::contract::access::{GrantId, GrantTerms, Grantee, Purpose, Scope};
use crate::contract::call::{Act, Terms};
use crate::contract::identity::Party;
use crate::contract::message::{CHAIN, RecordId};
use crate::contract::search::{Condition, Feature, Query};
use crate::contract::{
    Author, AuthorSettings, Call, Code, Mix, Population, Receipt, Rules, SignedCall, State, Wish,
};

/// Four hospitals of which two have to endorse, and their chain.
struct Consortium {
    people: Population,
    signers: Vec<Signer>,
    keyring: Keyring,
    executor: Executor,
    ledger: Ledger,
    peer: Peer,
    named: u64,
}

impl Consortium {
    fn new(crypto: Crypto) -> Self {
        let people = Population::with_aliases(4, 8, 40);
        let (signers, keyring) = Signer::mint(4, crypto, 1);
        Self {
            executor: executor(&people, keyring.clone()),
            people,
            signers,
            keyring,
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
        block.executed.iter().map(Executed::refusal).collect()
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

    /// Records of ten patients.
    fn many(&mut self) {
        let each = |patient| {
            let (call, _) = self.submission(patient);
            self.endorse(&call, &[0, 1])
        };
        let calls: Vec<_> = (20..30).map(each).collect();
        assert_eq!(self.order(calls), [None; 10]);
    }

    /// A search for everybody that is to be ordered, simulated now.
    fn search(&mut self) -> Arc<Transaction> {
        let query = Query {
            conditions: vec![Condition::Ages(0, 18)],
            purpose: Purpose::Care,
            page: 0,
        };
        let search = self.by_doctor(2, Act::AuditedSearch(query));
        self.endorse(&search, &[0, 2])
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

/// What becomes of the last transaction of a block.
type Verdict = fn(&mut Consortium) -> Option<Code>;

/// What only the ledger can find wrong with a transaction, each in a block.
const VERDICTS: [(Code, Verdict); 5] = [
    (Code::DuplicateTx, |here| {
        let (call, _) = here.submission(20);
        let once = here.endorse(&call, &[0, 1]);
        here.order(vec![once.clone(), once])[1]
    }),
    (Code::MvccConflict, |here| {
        let (rid, _) = here.granted();
        let hides = [0, 1].map(|_| {
            let hide = here.by_patient(20, Act::Hide(rid));
            here.endorse(&hide, &[0, 1])
        });
        here.order(hides.into())[1]
    }),
    (Code::PhantomConflict, |here| {
        here.many();
        let search = here.search();
        let one_more = here.submission(30).0;
        let one_more = here.endorse(&one_more, &[0, 1]);
        here.order(vec![one_more, search])[1]
    }),
    (Code::EndorsementMissing, |here| {
        let (call, _) = here.submission(20);
        let alone = here.endorse(&call, &[3]);
        here.order(vec![alone])[0]
    }),
    (Code::EndorsementMismatch, |here| {
        // An endorser with a clock of its own comes to something else than the others.
        let (call, _) = here.submission(20);
        let effects = here.effects(&call);
        let later = Effects::of(
            &call,
            77,
            here.ledger.state(&mut here.executor),
            &Versions::default(),
        );
        let signed = vec![
            here.signers[0].sign(Endorsed(effects.digest)),
            here.signers[1].sign(Endorsed(later.digest)),
        ];
        let sent = here.transact(&call, Endorsement { effects, signed });
        here.order(vec![sent])[0]
    }),
];

/// Has the ledger find everything wrong that only it can, and names it.
pub(crate) fn found_by_the_ledger() -> Vec<Code> {
    let found = VERDICTS.iter().map(|(code, verdict)| {
        let told = verdict(&mut Consortium::new(Crypto::Modelled));
        assert_eq!(told, Some(*code));
        *code
    });
    found.collect()
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
fn an_endorsement_counts_for_its_call_and_as_it_was_signed() {
    for crypto in [Crypto::Modelled, Crypto::Ed25519] {
        let mut here = Consortium::new(crypto);
        let (call, _) = here.submission(20);
        let (other, _) = here.submission(21);
        let whole = here.endorse(&call, &[0, 1]).endorsement.clone().unwrap();
        assert!(whole.vouches(&call, &here.keyring));
        assert!(!whole.vouches(&other, &here.keyring));
        let borrowed = here.transact(&other, whole.clone());
        // The client takes a write out and leaves the digest as it was.
        let mut effects = Effects::clone(&whole.effects);
        effects.writes = effects.writes[1..].into();
        let altered = Endorsement {
            effects: Arc::new(effects),
            ..whole.clone()
        };
        assert!(!altered.vouches(&call, &here.keyring));
        let altered = here.transact(&call, altered);
        // It forgets what the call relies on, and has nothing signed that says so.
        let mut effects = Effects::clone(&whole.effects);
        effects.reads.clear();
        let blind = Endorsement {
            effects: Arc::new(effects),
            signed: Vec::new(),
        };
        let blind = here.transact(&call, blind);
        let codes = here.order(vec![borrowed, altered, blind]);
        let (missing, mismatch) = (Code::EndorsementMissing, Code::EndorsementMismatch);
        assert_eq!(codes, [Some(missing), Some(mismatch), Some(missing)]);
        let honest = here.transact(&call, whole);
        assert_eq!(here.order(vec![honest]), [None]);
    }
}

#[test]
fn transactions_that_differ_in_a_signature_only_are_told_apart() {
    let mut here = Consortium::new(Crypto::Modelled);
    let (call, _) = here.submission(20);
    let effects = here.effects(&call);
    let first = here.signers[0].sign(Endorsed(effects.digest));
    let with = |second| Endorsement {
        effects: effects.clone(),
        signed: vec![first.clone(), second],
    };
    let genuine = with(here.signers[1].sign(Endorsed(effects.digest)));
    let forged = with(here.signers[0].garbage(Endorsed(effects.digest), NodeId(1)));
    let id = TransactionId::new(NodeId(9), 900);
    let [genuine, forged] = [genuine, forged].map(|e| Transaction::endorsed(id, call.clone(), e));
    assert_ne!(genuine.digest, forged.digest);
    // A node that knows the block of one does not take it for the block of the other.
    let batches = [genuine, forged].map(|transaction| Batch::new(vec![transaction]));
    let [one, two] = batches.map(|batch| {
        let mut ledger = Ledger::new();
        ledger.append(1, &batch, &mut here.executor).executed[0].clone()
    });
    assert_eq!(one, Executed::Now(Receipt::Accepted));
    assert_eq!(
        two,
        Executed::Now(Receipt::Refused(Code::EndorsementMissing))
    );
}

#[test]
fn those_who_satisfy_the_policy_can_lie_and_an_audit_names_the_lie() {
    let mut here = Consortium::new(Crypto::Modelled);
    let mut audit = Audit::new(&here.executor).unwrap();
    let (call, rid) = here.submission(20);
    let hollow = Arc::new(Effects::clone(&here.effects(&call)).hollow());
    let sign = |here: &Consortium, node: usize, effects: &Arc<Effects>| {
        here.signers[node].sign(Endorsed(effects.digest))
    };
    // One liar: an honest endorser signs something else, and nothing comes of it.
    let effects = here.effects(&call);
    let signed = vec![sign(&here, 0, &hollow), sign(&here, 1, &effects)];
    let apart = here.transact(&call, Endorsement { effects, signed });
    assert_eq!(here.order(vec![apart]), [Some(Code::EndorsementMismatch)]);
    let next =
        |here: &Consortium, audit: &mut Audit| audit.follow(here.ledger.head().unwrap()).unwrap();
    assert_eq!(next(&here, &mut audit), []);
    // Two liars: the call is accepted, and the record that it was made for is not there.
    let signed = vec![sign(&here, 0, &hollow), sign(&here, 1, &hollow)];
    let effects = hollow;
    let together = here.transact(&call, Endorsement { effects, signed });
    let lie = together.id;
    assert_eq!(here.order(vec![together]), [None]);
    let state = here.ledger.state(&mut here.executor);
    assert_eq!((state.calls(), state.status(&rid)), (1, None));
    assert_eq!(next(&here, &mut audit), [lie]);
    let head = here.ledger.head().unwrap();
    assert_eq!(audit.follow(head), None, "a block is followed once");
}

#[test]
fn whatever_is_endorsed_honestly_and_valid_is_what_the_contract_does() {
    let mut here = Consortium::new(Crypto::Modelled);
    let mut audit = Audit::new(&here.executor).unwrap();
    let mut random = Random::new(6, Stream::Test);
    let settings = AuthorSettings {
        mix: Mix::of(&Wish::ALL.map(|(wish, _)| (wish, 1))),
        ..AuthorSettings::default()
    };
    let mut author = Author::new(&here.people, settings, 0, 1);
    let (mut valid, mut invalid) = (0, 0);
    for _ in 0..60 {
        // All of a block are simulated on the state before it, so that some get in the way of
        // others.
        let mut block = Vec::new();
        for _ in 0..25 {
            let call = author.next(&mut random, here.ledger.height());
            let effects = here.effects(&call);
            if !effects.writes.is_empty() {
                block.push((call.clone(), here.endorse(&call, &[0, 3])));
            } else {
                author.learn(&call, &effects.receipt);
            }
        }
        let codes = here.order(block.iter().map(|(_, sent)| sent.clone()).collect());
        for ((call, sent), code) in block.iter().zip(codes) {
            let effects = &sent.endorsement.as_ref().unwrap().effects;
            let receipt = code.map_or(effects.receipt.clone(), Receipt::Refused);
            author.learn(call, &receipt);
            *(if code.is_none() {
                &mut valid
            } else {
                &mut invalid
            }) += 1;
        }
        assert_eq!(audit.follow(here.ledger.head().unwrap()), Some(vec![]));
    }
    assert!(valid > 800 && invalid > 10, "{valid} valid, {invalid} not");
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
    let people = Population::with_aliases(4, 8, 40);
    let mut state = State::genesis(&people, Rules::default());
    let doctor = people.doctor(2);
    let diagnosis = people.content(0, 20, 1).summary.diagnoses[0];
    let query = Query {
        conditions: vec![Condition::Has(Feature::Diagnosis(diagnosis))],
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

#[test]
fn a_search_in_a_block_is_valid_unless_a_case_came_before_it_that_it_had_not_seen() {
    let mut here = Consortium::new(Crypto::Modelled);
    here.many();
    let searches = [here.search(), here.search()];
    let one_more = here.submission(30).0;
    let one_more = here.endorse(&one_more, &[0, 1]);
    let [seen, stale] = searches;
    let codes = here.order(vec![seen, one_more, stale]);
    assert_eq!(codes[..2], [None, None], "what comes after does not matter");
    // The second search of the doctor also reads how often the first was made.
    assert_eq!(codes[2], Some(Code::MvccConflict));
    let again = here.search();
    assert_eq!(here.order(vec![again]), [None], "endorsed anew it is valid");
    let (last, hidden) = (here.search(), here.submission(31));
    let entered = here.endorse(&hidden.0, &[0, 1]);
    assert_eq!(here.order(vec![entered]), [None]);
    assert_eq!(here.order(vec![last]), [Some(Code::PhantomConflict)]);
    let answered = here.ledger.block(3).unwrap().executed[0].clone();
    assert!(matches!(answered, Executed::Now(Receipt::Found(_))));
}
