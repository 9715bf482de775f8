//! Runs that would fill the memory of the machine they run on are given up, at the same time
//! however many threads run them, and nothing is said of how they might have ended.

use super::{ONE_THREAD, constant, outcome, scenario, yaml};
use crate::base::time::{Span, Time};
use crate::base::units::Bytes;
use crate::observe::checks::Word;
use crate::scenario::run::Outcome;
use crate::sim::Kernel;
use crate::sim::limit::Exhausted;

/// Clients who ask again and again three nodes that take 10 ms for each call.
fn asked(rate: &str, memory: &str, kernel: Kernel) -> Outcome {
    let lines = [
        &format!("workload: {{ rate: {rate}, retry: 100ms }}"),
        &format!("memory: {memory}"),
        "machine: { execute: 10ms }",
        "expect: { safety: holds }",
        &constant("5ms"),
    ];
    let text = yaml(3, "raft", "40s", &lines.map(|line| line as &str));
    outcome(&scenario(&text, 1), kernel, None)
}

#[test]
fn a_run_whose_messages_fill_the_memory_is_given_up_at_the_same_time_by_any_threads() {
    let outcome = asked("2000/s", "8MiB", ONE_THREAD);
    let why = outcome
        .exhausted
        .expect("forty times too much is asked for");
    let Exhausted::Memory { at, copies, limit } = why else {
        panic!("nothing else is scarce: {why}");
    };
    assert_eq!(limit, Bytes(8 << 20));
    assert!(at < Time::ZERO + Span::from_secs(40), "{why}");
    // A request takes a kilobyte, about.
    assert!((2_000..30_000).contains(&copies), "{why}");
    let verdict = &outcome.verdict;
    assert_eq!(
        (verdict.safety, verdict.liveness),
        (Word::Holds, Word::Inconclusive)
    );
    for threads in [2, 3] {
        let again = asked("2000/s", "8MiB", Kernel::Windows { threads });
        assert_eq!(again.exhausted, Some(why));
        assert_eq!(again.fingerprint, outcome.fingerprint);
    }
    assert!(asked("2000/s", "8MiB", Kernel::Heap).exhausted.is_some());
}

#[test]
fn whoever_has_more_memory_goes_on_and_whoever_asks_for_less_needs_no_more() {
    let more = asked("2000/s", "12MiB", ONE_THREAD).exhausted;
    let most = asked("2000/s", "8MiB", ONE_THREAD).exhausted;
    let (more, most) = (more.expect("it is too little"), most.expect("it is less"));
    assert!(more.at() > most.at(), "{more} {most}");
    assert_eq!(asked("20/s", "1MiB", ONE_THREAD).exhausted, None);
    assert_eq!(asked("20/s", "1MiB", Kernel::Heap).exhausted, None);
}
