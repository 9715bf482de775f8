//! The calls that authors write.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::base::random::{Random, Stream};
use crate::base::units::Ratio;
use crate::contract::{Author, AuthorSettings, Mix};

/// Lets two authors write in turn and execute at once; tells each receipt with its kind.
fn run(settings: AuthorSettings, calls: u64) -> Vec<(&'static str, Receipt)> {
    let people = Population::new(4, 20, 200);
    let mut state = State::genesis(&people, Rules::default());
    let mut hosts: Vec<(Author, Random)> = (0..2)
        .map(|me| {
            let random = Random::new(u64::from(me), Stream::Test);
            (Author::new(&people, settings, me, 2), random)
        })
        .collect();
    (0..calls)
        .map(|number| {
            let (author, random) = &mut hosts[(number % 2) as usize];
            let height = 1 + number / 10;
            let call = author.next(random, height.saturating_sub(3));
            assert!(
                (300..=1300).contains(&call.size()),
                "{} {}",
                call.kind(),
                call.size()
            );
            let receipt = state.apply(height, &call);
            author.learn(&call, &receipt);
            (call.kind(), receipt)
        })
        .collect()
}

#[test]
fn valid_calls_are_accepted_and_most_searches_find() {
    let outcomes = run(AuthorSettings::default(), 4000);
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    let mut searches = (0, 0);
    for (kind, receipt) in &outcomes {
        *kinds.entry(kind).or_default() += 1;
        match receipt {
            Receipt::Accepted | Receipt::Suggested(_) => {}
            Receipt::Found(_) => searches.0 += 1,
            Receipt::Refused(Code::TooFewResults | Code::TooBroad) => searches.1 += 1,
            Receipt::Refused(code) => panic!("{kind}: {code}"),
        }
    }
    assert!(searches.0 > 4 * searches.1, "{searches:?}");
    let share = |kind| f64::from(kinds[kind]) / outcomes.len() as f64;
    assert!((share("submit") - 0.4).abs() < 0.03, "{kinds:?}");
    assert!((share("search") - 0.2).abs() < 0.03, "{kinds:?}");
    assert!((share("grant") - 0.18).abs() < 0.03, "{kinds:?}");
    assert!(share("confirm") + share("reject") > 0.03, "{kinds:?}");
}

#[test]
fn flawed_calls_are_refused_each_for_its_own_reason() {
    let settings = AuthorSettings {
        invalid: Ratio::from_parts_per_billion(200_000_000),
        ..AuthorSettings::default()
    };
    let mut codes: BTreeMap<Code, u32> = BTreeMap::new();
    for (_, receipt) in run(settings, 4000) {
        if let Receipt::Refused(code) = receipt {
            *codes.entry(code).or_default() += 1;
        }
    }
    let told: BTreeSet<Code> = codes.keys().copied().collect();
    let flaws = BTreeSet::from([
        Code::BadCode,
        Code::Expired,
        Code::PatientSignatureInvalid,
        Code::SelfDealing,
        Code::NonceUsed,
        Code::DuplicateRid,
        Code::DoctorNotOfHospital,
        Code::GrantRevoked,
        Code::GranteeNotFound,
    ]);
    assert!(told.is_superset(&flaws), "{codes:?}");
    let refused: u32 = flaws.iter().map(|code| codes[code]).sum();
    assert!((700..900).contains(&refused), "a fifth of 4000: {codes:?}");
}

#[test]
fn the_same_seed_writes_the_same_calls() {
    let settings = AuthorSettings::default();
    assert_eq!(run(settings, 300), run(settings, 300));
}

#[test]
fn a_mix_names_only_what_it_wants() {
    let mix: Mix = serde_json::from_str(r#"{"submit": 5, "share": 1}"#).unwrap();
    assert_eq!((mix.total(), mix.propose), (6, 0));
    assert!(serde_json::from_str::<Mix>(r#"{"submitt": 5}"#).is_err());
    let settings = AuthorSettings {
        mix,
        ..AuthorSettings::default()
    };
    let kinds: BTreeSet<&str> = run(settings, 400).iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, BTreeSet::from(["grant", "submit"]));
}

#[test]
fn samples_are_valid_and_differ() {
    let state = State::genesis(&Population::new(1, 1, 2), Rules::default());
    let mut digests = BTreeSet::new();
    for number in 0..50 {
        let call = SignedCall::sample(number);
        assert_eq!(state.query(7, &call), Receipt::Accepted);
        assert!(digests.insert(call.digest()));
        assert_eq!(
            (call.kind(), call.signatures(), call.reads_only()),
            ("submit", 2, false)
        );
    }
    assert_eq!(
        SignedCall::sample(3).digest(),
        SignedCall::sample(3).digest()
    );
}
