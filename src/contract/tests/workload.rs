//! The calls that authors write.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::base::random::{Random, Stream};
use crate::base::units::Ratio;
use crate::contract::access::Access;
use crate::contract::{Author, AuthorSettings, Mix, Wish};

/// Lets two authors write in turn and execute at once; tells each receipt with its kind, and the
/// state in the end.
fn write(settings: AuthorSettings, calls: u64) -> (Vec<(&'static str, Receipt)>, State) {
    let people = Population::with_aliases(4, 80, 200);
    let mut state = State::genesis(&people, settings.rules);
    let mut hosts: Vec<(Author, Random)> = (0..2)
        .map(|me| {
            let random = Random::new(u64::from(me), Stream::Test);
            (Author::new(&people, settings, me, 2), random)
        })
        .collect();
    let outcomes = (0..calls).map(|number| {
        let (author, random) = &mut hosts[(number % 2) as usize];
        let height = 1 + number / 10;
        let call = author.next(random, height.saturating_sub(3));
        let size = call.size();
        assert!((300..=1300).contains(&size), "{} {size}", call.kind());
        let receipt = state.apply(height, &call);
        author.learn(&call, &receipt);
        (call.kind(), receipt)
    });
    (outcomes.collect(), state)
}

fn run(settings: AuthorSettings, calls: u64) -> Vec<(&'static str, Receipt)> {
    write(settings, calls).0
}

/// Every kind that a scenario can ask for, equally often.
fn everything() -> AuthorSettings {
    AuthorSettings {
        mix: Mix::of(&Wish::ALL.map(|(wish, _)| (wish, 1))),
        ..AuthorSettings::default()
    }
}

/// How often each kind came; panics at a refusal that a valid call can do without.
fn accepted(outcomes: &[(&'static str, Receipt)]) -> BTreeMap<&'static str, u32> {
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    for (kind, receipt) in outcomes {
        *kinds.entry(kind).or_default() += 1;
        // What others do in the meantime decides how many cases there are, and which of them an
        // answer shows.
        let searches = ["search", "audited-search", "suggest", "ask-contact"].contains(kind);
        match receipt {
            Receipt::Accepted | Receipt::Suggested(_) | Receipt::Found(_) => {}
            Receipt::Refused(Code::TooFewResults | Code::TooBroad) if searches => {}
            Receipt::Refused(Code::RecordNotFound | Code::IllegalTransition)
                if *kind == "ask-contact" => {}
            Receipt::Refused(code) => panic!("{kind}: {code}"),
        }
    }
    kinds
}

#[test]
fn valid_calls_are_accepted_and_most_searches_find() {
    let outcomes = run(AuthorSettings::default(), 4000);
    let kinds = accepted(&outcomes);
    let found = |receipt: &Receipt| matches!(receipt, Receipt::Found(_));
    let found = outcomes
        .iter()
        .filter(|(_, receipt)| found(receipt))
        .count();
    assert!(found as u32 > kinds["search"] * 4 / 5, "{found} {kinds:?}");
    let share = |kind| f64::from(kinds[kind]) / outcomes.len() as f64;
    for (kind, expected) in [
        ("submit", 0.4),
        ("search", 0.2),
        ("grant", 0.08),
        ("access", 0.1),
    ] {
        assert!((share(kind) - expected).abs() < 0.03, "{kinds:?}");
    }
    assert!(share("confirm") + share("reject") > 0.03, "{kinds:?}");
}

#[test]
fn every_kind_is_written_and_valid_and_sharings_come_to_their_end() {
    let (outcomes, _) = write(everything(), 8000);
    let kinds = accepted(&outcomes);
    let every = [
        "access",
        "add-custodian",
        "amend",
        "approve-share",
        "ask-contact",
        "confirm",
        "confirm-share",
        "delegate",
        "deliver-share",
        "disable-custodian",
        "dispute",
        "emergency",
        "enable-custodian",
        "enrol",
        "grant",
        "hide",
        "propose",
        "reject",
        "remove-custodian",
        "request-share",
        "resolve",
        "revoke",
        "rotate-key",
        "search",
        "set-standing",
        "submit",
        "suggest",
        "unhide",
    ];
    assert_eq!(kinds.keys().copied().collect::<Vec<_>>(), every);
    assert!(kinds.values().all(|&count| count > 10), "{kinds:?}");
    let (asked, agreed) = (kinds["request-share"], kinds["approve-share"]);
    assert!(
        kinds["confirm-share"] + 4 >= asked,
        "nothing is left lying: {kinds:?}"
    );
    assert!(agreed <= 2 * asked && agreed + 8 >= 2 * asked, "{kinds:?}");
}

#[test]
fn where_searches_are_counted_they_are_ordered() {
    let mut settings = everything();
    settings.rules.query_budget = Some(1_000);
    let kinds = accepted(&run(settings, 2000));
    assert!(
        kinds["audited-search"] > 50 && !kinds.contains_key("search"),
        "{kinds:?}"
    );
    assert!(kinds["ask-contact"] > 10, "{kinds:?}");
}

#[test]
fn where_the_doctor_alone_signs_nobody_else_does() {
    let mut settings = everything();
    settings.rules.authentication = crate::contract::rules::Authentication::DoctorOnly;
    let people = Population::with_aliases(4, 80, 200);
    let mut author = Author::new(&people, settings, 0, 1);
    let mut random = Random::new(1, Stream::Test);
    let submits = (0..200).map(|_| author.next(&mut random, 1));
    let mut submits = submits.filter(|call| call.kind() == "submit");
    assert!(submits.all(|call| call.signatures() == 1));
    accepted(&run(settings, 2000));
}

/// What a pseudonym for each record costs: an enrolment before each, and a grant for each of the
/// records that one grant of all would have covered.
#[test]
fn with_a_pseudonym_for_each_record_no_two_records_are_of_one_patient() {
    let plain = AuthorSettings {
        mix: Mix::of(&[
            (Wish::Submit, 3),
            (Wish::Propose, 2),
            (Wish::Amend, 1),
            (Wish::Grant, 2),
            (Wish::Access, 2),
        ]),
        ..AuthorSettings::default()
    };
    let settings = AuthorSettings {
        pid_per_record: true,
        ..plain
    };
    let (outcomes, state) = write(settings, 6000);
    let kinds = accepted(&outcomes);
    assert!(kinds["enrol"] + 2 >= kinds["submit"], "{kinds:?}");
    assert!(
        kinds["enrol"] < kinds["submit"] + kinds["propose"] + 3,
        "{kinds:?}"
    );
    let plain = accepted(&run(plain, 6000));
    let per_record =
        |kinds: &BTreeMap<&str, u32>| f64::from(kinds["grant"]) / f64::from(kinds["submit"]);
    assert!(
        per_record(&kinds) > per_record(&plain),
        "{kinds:?} {plain:?}"
    );
    let records = state.records.iter();
    let owners: Vec<_> = records.map(|record| record.draft.content().pid).collect();
    let distinct: BTreeSet<_> = owners.iter().collect();
    assert!(owners.len() > 500 && distinct.len() + kinds["amend"] as usize >= owners.len());
}

#[test]
fn who_is_treated_often_is_read_often() {
    let people = Population::with_aliases(4, 80, 200);
    let share_of_ten = |zipf_thousandths| {
        let settings = AuthorSettings {
            mix: Mix::of(&[(Wish::Submit, 2), (Wish::Grant, 2), (Wish::Access, 6)]),
            zipf_thousandths,
            ..AuthorSettings::default()
        };
        let (_, state) = write(settings, 6000);
        let busy = |access: &&Access| {
            let (_, pid) = state.parties_of(&access.rid).unwrap();
            people.patient_number(&pid).unwrap() < 10
        };
        let readings = state.audit();
        readings.iter().filter(busy).count() as f64 / readings.len() as f64
    };
    // Of 200 patients, ten are 5 %; by the law, the first ten are treated as often as the sum of
    // k^-1.2 up to ten is of that up to 200: 69 %.
    let (equal, steep) = (share_of_ten(0), share_of_ten(1_200));
    assert!(
        (equal - 0.05).abs() < 0.02 && (steep - 0.69).abs() < 0.05,
        "{equal} {steep}"
    );
}

#[test]
fn flawed_calls_are_refused_each_for_its_own_reason() {
    let settings = AuthorSettings {
        invalid: Ratio::from_parts_per_billion(200_000_000),
        ..everything()
    };
    let mut codes: BTreeMap<Code, u32> = BTreeMap::new();
    for (_, receipt) in run(settings, 10_000) {
        if let Receipt::Refused(code) = receipt {
            *codes.entry(code).or_default() += 1;
        }
    }
    let told: BTreeSet<Code> = codes.keys().copied().collect();
    let flaws = BTreeSet::from([
        Code::BadCode,
        Code::Expired,
        Code::DoctorSignatureInvalid,
        Code::PatientSignatureInvalid,
        Code::SelfDealing,
        Code::NonceUsed,
        Code::DuplicateRid,
        Code::DoctorNotOfHospital,
        Code::AlreadyAmended,
        Code::RecordNotOfPatient,
        Code::ProposalNotFound,
        Code::IllegalTransition,
        Code::EmptyQuery,
        Code::WrongSigner,
        Code::GranteeNotFound,
        Code::GrantRevoked,
        Code::WrongPurpose,
        Code::WrongRole,
        Code::SecondDoctorSameDept,
        Code::ShareNotFound,
        Code::ShareFinal,
        Code::SameHospital,
        Code::UnknownSigner,
        Code::CertSignatureInvalid,
        Code::CertExpired,
        Code::NotRequester,
        Code::ApprovalMissing,
    ]);
    let missing: Vec<_> = flaws.difference(&told).collect();
    assert!(missing.is_empty(), "{missing:?} of {codes:?}");
    let refused: u32 = flaws.iter().map(|code| codes[code]).sum();
    assert!(
        (1_850..2_200).contains(&refused),
        "a fifth of 10,000: {codes:?}"
    );
}

#[test]
fn the_same_seed_writes_the_same_calls() {
    let settings = AuthorSettings::default();
    assert_eq!(run(settings, 300), run(settings, 300));
}

#[test]
fn a_mix_names_only_what_it_wants() {
    let settings = AuthorSettings {
        mix: Mix::of(&[(Wish::Submit, 5), (Wish::Grant, 1)]),
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
