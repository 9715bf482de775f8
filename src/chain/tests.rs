//! Ledgers that came to the same block in different ways, and proofs against its header.

use std::sync::Arc;

use super::ledger::{Executor, Ledger};
use super::{Batch, Block, Executed, Transaction, TransactionId};
use crate::base::node::NodeId;
use crate::base::random::{Random, Stream};
use crate::contract::message::RecordId;
use crate::contract::tree::{verify, verify_call};
use crate::contract::{
    Author, AuthorSettings, Call, Key, Population, Receipt, Rules, SignedCall, State,
};

/// Blocks of the story.
const BLOCKS: u64 = 12;

fn genesis(people: &Population) -> State {
    State::genesis(people, Rules::default())
}

/// Batches of an author's calls, and the calls of them that are accepted, in order.
fn batches(people: &Population) -> (Vec<Batch>, Vec<SignedCall>) {
    let mut random = Random::new(9, Stream::Test);
    let mut author = Author::new(people, AuthorSettings::default(), 0, 1);
    let mut state = genesis(people);
    let mut accepted = Vec::new();
    let mut number = 0;
    let mut write = |height: u64| {
        let mut transact = || {
            let call = author.next(&mut random, height);
            let receipt = state.apply(height, &call);
            author.learn(&call, &receipt);
            if receipt == Receipt::Accepted {
                accepted.push(call.clone());
            }
            number += 1;
            Transaction::new(TransactionId::new(NodeId(9), number), call)
        };
        Batch::new((0..20).map(|_| transact()).collect())
    };
    let batches = (1..=BLOCKS).map(&mut write).collect();
    (batches, accepted)
}

/// A record of which the block says that it was entered.
fn entered(block: &Block) -> RecordId {
    let mut executed = block.batch.transactions().iter().zip(&block.executed);
    let submitted = executed.find_map(|(transaction, executed)| match transaction.call.call() {
        Call::Submit(draft) if *executed == Executed::Now(Receipt::Accepted) => {
            Some(draft.content().rid)
        }
        Call::Submit(_) | Call::Propose(_) | Call::Confirm { .. } | Call::Order(_) => None,
    });
    submitted.expect("a block of this length has a record")
}

/// Executes batches from a height on as a machine that shares nothing with others.
fn follow(ledger: &mut Ledger, executor: &mut Executor, batches: &[Batch]) -> Arc<Block> {
    for batch in batches {
        ledger.append(ledger.height() + 1, batch, executor);
    }
    ledger.head().expect("there is a block").clone()
}

#[test]
fn a_header_proves_a_record_and_every_accepted_call() {
    let people = Population::new(3, 6, 30);
    let (batches, accepted) = batches(&people);
    let mut executor = Executor::new(genesis(&people));
    let mut ledger = Ledger::new();
    let first = follow(&mut ledger, &mut executor, &batches[..1]);
    let head = follow(&mut ledger, &mut executor, &batches[1..]);
    let state = ledger.state(&mut executor);
    let key = Key::Record(entered(&first));
    let (entry, proof) = (state.entry(&key), state.prove(&key).unwrap());
    assert!(entry.is_some() && verify(&head.state, &key.digest(), entry, &proof));
    assert!(!verify(&first.state, &key.digest(), entry, &proof));
    assert_eq!(state.calls(), accepted.len() as u64);
    for (place, call) in (0..).zip(&accepted) {
        let proof = state.prove_call(place).unwrap();
        assert!(verify_call(&head.state, place, &call.digest(), &proof));
        assert!(!verify_call(&head.state, place + 1, &call.digest(), &proof));
    }
}

#[test]
fn a_snapshot_and_a_replay_lead_to_the_same_blocks() {
    let people = Population::new(3, 6, 30);
    let (batches, _) = batches(&people);
    let mut executor = Executor::new(genesis(&people));
    let mut ledger = Ledger::new();
    for at in 1..batches.len() {
        follow(&mut ledger, &mut executor, &batches[at - 1..at]);
        let snapshot = ledger.snapshot(&mut executor).unwrap();
        // Another machine, which has executed nothing before.
        let mut elsewhere = Executor::new(genesis(&people));
        let mut behind = Ledger::new();
        assert!(behind.install(&snapshot, &mut elsewhere));
        let caught_up = follow(&mut behind, &mut elsewhere, &batches[at..]);
        let mut alone = Executor::new(genesis(&people));
        let replayed = follow(&mut Ledger::new(), &mut alone, &batches);
        assert_eq!(caught_up.digest, replayed.digest, "from block {at} on");
        assert_eq!(caught_up.state, replayed.state);
        assert_eq!(caught_up.executed, replayed.executed);
        assert_eq!(behind.state(&mut elsewhere).root(), replayed.state);
    }
}

#[test]
fn who_joins_by_a_snapshot_answers_where_a_transaction_took_effect() {
    let people = Population::new(3, 6, 30);
    let (batches, _) = batches(&people);
    let mut executor = Executor::new(genesis(&people));
    let mut ledger = Ledger::new();
    let first = follow(&mut ledger, &mut executor, &batches[..1]);
    let second = follow(&mut ledger, &mut executor, &batches[1..2]);
    // Another machine joins, and what stands in the first block is decided once more.
    let mut elsewhere = Executor::new(genesis(&people));
    let mut joined = Ledger::new();
    let snapshot = ledger.snapshot(&mut executor).unwrap();
    assert!(joined.install(&snapshot, &mut elsewhere));
    follow(&mut joined, &mut elsewhere, &batches[..1]);
    // A third one joins by what the second one knows.
    let mut later = Ledger::new();
    let snapshot = joined.snapshot(&mut elsewhere).unwrap();
    let mut third = Executor::new(genesis(&people));
    assert!(later.install(&snapshot, &mut third));
    for block in [first, second] {
        for transaction in block.batch.transactions() {
            let answers = [
                joined.find(transaction.id, &elsewhere),
                later.find(transaction.id, &third),
            ];
            for answer in answers {
                let answer = answer.expect("it took effect before the snapshot");
                assert_eq!(answer.digest, block.digest);
            }
        }
    }
}
