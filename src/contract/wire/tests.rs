//! What is decoded is what was encoded, and nothing else decodes.

use std::collections::BTreeSet;

use super::*;
use crate::base::crypto::{Digest, KeyPair};
use crate::base::random::{Random, Stream};
use crate::contract::tests::{Stage, acts, author};
use crate::contract::{Population, Receipt, Rules, State};

/// Checks that a call survives.
fn survives(call: &SignedCall) {
    let bytes = encode(call);
    let back = decode(&bytes).unwrap_or_else(|code| panic!("{code}: {call:?}"));
    assert_eq!(back.digest(), call.digest(), "{call:?}");
    assert_eq!(back.size(), call.size());
    assert_eq!(encode(&back), bytes);
}

#[test]
fn calls_survive_the_wire_and_mean_the_same_afterwards() {
    let mut random = Random::new(21, Stream::Test);
    let people = Population::with_aliases(3, 5, 12);
    let (mut here, mut there) = (
        State::genesis(&people, Rules::default()),
        State::genesis(&people, Rules::default()),
    );
    let mut author = author(&people, 0);
    for turn in 0..300 {
        let height = 1 + turn / 4;
        let call = author.next(&mut random, height);
        survives(&call);
        let arrived = decode(&encode(&call)).unwrap();
        let receipt = here.apply(height, &call);
        assert_eq!(there.apply(height, &arrived), receipt);
        author.learn(&call, &receipt);
    }
    assert_eq!(here.root(), there.root());
}

#[test]
fn every_act_survives_with_any_signatures() {
    let stage = Stage::new();
    let keys = KeyPair::from_seed(Digest([1; 32]));
    let mut kinds = BTreeSet::new();
    for act in acts(&stage) {
        let terms = Terms {
            chain: 7,
            by: stage.doctor(1).0,
            act,
            nonce: u64::MAX,
            valid_until: 3,
        };
        let call = SignedCall::order(terms, &keys);
        kinds.insert(call.kind());
        survives(&call);
        survives(&SignedCall::new(call.call().clone(), None, None));
        let (one, two) = (stage.hospital(0), stage.patient(9));
        survives(&call.witnessed(one.0, &one.1).witnessed(two.0, &two.1));
    }
    let words = super::acts::ACTS.iter().map(|(word, _)| *word).collect();
    assert_eq!(kinds, words, "no act is left out");
}

#[test]
fn whatever_decodes_is_what_it_was_decoded_from() {
    let mut random = Random::new(22, Stream::Test);
    let stage = Stage::new();
    let samples: Vec<Vec<u8>> = acts(&stage)
        .into_iter()
        .map(|act| {
            let terms = Terms {
                chain: 1,
                by: stage.patient(8).0,
                act,
                nonce: 1,
                valid_until: 9,
            };
            encode(&SignedCall::order(terms, &stage.patient(8).1))
        })
        .chain([encode(&SignedCall::sample(1))])
        .collect();
    let mut codes = BTreeSet::new();
    let mut decoded = 0;
    for _ in 0..60_000 {
        let mut bytes = samples[random.below(samples.len() as u64) as usize].clone();
        for _ in 0..1 + random.below(3) {
            let at = random.below(bytes.len() as u64) as usize;
            match random.below(4) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes.insert(at + random.below(2) as usize, random.bits() as u8),
                2 => bytes[at] = random.bits() as u8,
                _ => bytes[at] ^= 1 << random.below(8),
            }
        }
        match decode(&bytes) {
            Ok(call) => {
                decoded += 1;
                assert_eq!(encode(&call), bytes, "{call:?}");
            }
            Err(code) => {
                codes.insert(code);
            }
        }
    }
    assert!(decoded > 5_000, "most of the bytes are digests: {decoded}");
    let expected = [
        Code::UnknownTx,
        Code::Malformed,
        Code::BadHashLength,
        Code::BadCode,
        Code::BadEnum,
        Code::TrailingBytes,
    ];
    assert_eq!(codes, BTreeSet::from(expected));
}

/// The bytes of a hiding, which are easy to count in.
pub(crate) fn hiding() -> Vec<u8> {
    let mut stage = Stage::new();
    let act = Act::Hide(RecordId(Digest::ZERO));
    encode(&stage.by_patient(8, act))
}

#[test]
fn bytes_that_are_no_call_are_refused_for_what_is_wrong_with_them() {
    let whole = hiding();
    assert!(decode(&whole).is_ok());
    let changed = |change: fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        decode(&bytes).map(|call| call.digest())
    };
    assert_eq!(changed(|b| b[4] = b'H'), Err(Code::UnknownTx));
    assert_eq!(changed(|b| b[4] = 0xff), Err(Code::UnknownTx));
    assert_eq!(changed(|b| b.truncate(30)), Err(Code::Malformed));
    assert_eq!(changed(|b| b[0] = 0xff), Err(Code::Malformed));
    assert_eq!(changed(|b| b.push(0)), Err(Code::TrailingBytes));
    // After the word come the chain, in 12 bytes, and the kind of the caller, in 12 more.
    assert_eq!(changed(|b| b[8 + 12 + 11] = 9), Err(Code::BadEnum));
    assert_eq!(changed(|b| b[8 + 4] = 1), Err(Code::Malformed));
    // The name of the caller has 32 bytes; with one less the rest no longer fits.
    let shorter = |b: &mut Vec<u8>| {
        b[8 + 24 + 3] = 31;
        b.remove(8 + 24 + 4);
    };
    assert_eq!(changed(shorter), Err(Code::BadHashLength));
}

#[test]
fn numbers_of_choices_are_their_places_in_the_lists() {
    let kinds = KINDS.iter().map(|&kind| kind as usize);
    assert!(kinds.eq(0..KINDS.len()));
    assert!(SEXES.iter().map(|&sex| sex as usize).eq(0..4));
    assert!(OUTCOMES.iter().map(|&outcome| outcome as usize).eq(0..6));
}

#[test]
fn a_call_from_outside_is_believed_only_after_verifying() {
    let call = SignedCall::sample(4);
    let mut bytes = encode(&call);
    let end = bytes.len() - 12;
    bytes[end - 1] ^= 1;
    let forged = decode(&bytes).unwrap();
    let receipt = State::genesis(&Population::new(1, 1, 2), Rules::default()).apply(1, &forged);
    assert_eq!(receipt, Receipt::Refused(Code::PatientSignatureInvalid));
}
