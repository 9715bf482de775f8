//! Runs whose numbers are computed by hand.

use super::summary::nearest_rank;
use super::*;
use crate::base::crypto::Digest;
use crate::base::random::{Random, Stream};
use crate::chain::Transaction;
use crate::contract::call::{Act, Terms};
use crate::contract::identity::Party;
use crate::contract::message::RecordId;
use crate::contract::{Code, Population, Receipt, SignedCall};
use crate::observe::story::{CLIENT, Story, ms};
use crate::protocol::Offence;
use crate::sim::event::Volume;

const ACCEPTED: Executed = Executed::Now(Receipt::Accepted);

fn measured(warmup: u64, until: u64) -> Measured {
    let mut dishonest = PositionSet::new();
    dishonest.insert(3);
    Measured {
        nodes: 4,
        dishonest,
        misbehaving_from: ms(100),
        warmup: ms(warmup),
        until: ms(until),
        chains: Vec::new(),
    }
}

fn measure(story: &Story, measured: Measured) -> Summary {
    let mut metrics = Metrics::new(measured);
    story.play(&mut metrics);
    let summary = metrics.finish(&Totals::default());
    assert_eq!(summary.disagreement(), None);
    summary
}

/// Transactions by when they are submitted and answered, in milliseconds.
fn answered(times: &[(u64, Option<u64>)]) -> Story {
    let mut story = Story::new(4);
    let mut events = Vec::new();
    let call = SignedCall::sample(1);
    for (number, &(submitted, answer)) in (0..).zip(times) {
        let id = TransactionId::new(CLIENT, number);
        let transaction = Transaction::new(id, call.clone());
        events.push((ms(submitted), CLIENT, Event::Submitted { transaction }));
        let told = Event::Answered {
            transaction: id,
            endorsed: None,
            submitted: ms(submitted),
            height: Some(1),
            executed: ACCEPTED,
        };
        events.extend(answer.map(|answer| (ms(answer), CLIENT, told)));
    }
    events.sort_by_key(|(time, ..)| *time);
    story.events = events;
    story
}

#[test]
fn only_the_window_counts() {
    // Before; across its beginning; inside; across its end; never.
    let story = answered(&[
        (100, Some(900)),
        (800, Some(1_200)),
        (1_500, Some(1_700)),
        (1_000, Some(2_999)),
        (2_900, Some(3_000)),
        (2_000, None),
    ]);
    let summary = measure(&story, measured(1_000, 3_000));
    assert_eq!(summary.submitted, 4);
    assert_eq!(
        (summary.committed, summary.accepted, summary.refused),
        (3, 3, 0)
    );
    assert!((summary.throughput_tps - 1.5).abs() < 1e-12);
    assert_eq!(summary.latency_p50_ms, Some(200.0));
    assert_eq!(summary.latency_max_ms, Some(1_999.0));
    assert_eq!(summary.latency_mean_ms, Some(1_099.5));
    assert_eq!(summary.pending, 1);
    let by_second: Vec<u64> = summary.timeline.iter().map(|s| s.committed).collect();
    assert_eq!(by_second, [1, 2, 1, 1]);
    assert_eq!(summary.timeline[1].latency_p50_ms, Some(200.0));
    assert_eq!(summary.timeline[1].latency_p99_ms, Some(400.0));
}

#[test]
fn quantiles_are_values_that_were_seen() {
    let sorted: Vec<u64> = (1..=10).map(|value| value * 10).collect();
    let ranks = [
        (0, 10),
        (1, 10),
        (10, 10),
        (11, 20),
        (50, 50),
        (90, 90),
        (91, 100),
        (100, 100),
    ];
    for (percent, value) in ranks {
        assert_eq!(nearest_rank(&sorted, percent), Some(value), "{percent} %");
    }
    assert_eq!(nearest_rank(&[7], 99), Some(7));
    assert_eq!(nearest_rank(&[], 50), None);
    let story = answered(&(0..100).map(|k| (k, Some(2 * k + 1))).collect::<Vec<_>>());
    let summary = measure(&story, measured(0, 1_000));
    assert_eq!(summary.latency_p90_ms, Some(90.0));
    assert_eq!(summary.latency_p99_ms, Some(99.0));
    assert_eq!(summary.latency_quantiles_ms.len(), 101);
    assert_eq!(summary.latency_quantiles_ms[0], 1.0);
    assert_eq!(summary.latency_quantiles_ms[37], 37.0);
}

#[test]
fn nothing_measured_is_absent_and_not_zero() {
    let mut metrics = Metrics::new(measured(500, 500));
    Story::new(4).submit(&[1]).play(&mut metrics);
    let summary = metrics.finish(&Totals::default());
    assert_eq!((summary.committed, summary.latency_mean_ms), (0, None));
    assert_eq!(
        (summary.messages_per_block, summary.latency_p99_ms),
        (None, None)
    );
    assert!(summary.latency_quantiles_ms.is_empty());
    assert_eq!((summary.throughput_tps, summary.in_system_mean), (0.0, 0.0));
}

#[test]
fn littles_law_holds_exactly_when_nothing_crosses_the_edges() {
    let story = answered(&[
        (1_000, Some(1_400)),
        (1_100, Some(1_300)),
        (1_500, Some(1_900)),
    ]);
    let summary = measure(&story, measured(1_000, 2_000));
    // 400 + 200 + 400 ms of waiting in one second.
    assert!((summary.in_system_mean - 1.0).abs() < 1e-12);
    assert!((summary.little_product - 1.0).abs() < 1e-12);
}

#[test]
fn littles_law_holds_nearly_for_any_steady_run() {
    for seed in 0..20 {
        let mut random = Random::new(seed, Stream::Test);
        let mut draw = |low: u64, high: u64| low + random.below(high - low);
        let times: Vec<_> = (0..3_000)
            .map(|k| (10 * k, Some(10 * k + draw(20, 400))))
            .collect();
        let summary = measure(&answered(&times), measured(5_000, 25_000));
        let (n, xw) = (summary.in_system_mean, summary.little_product);
        assert!(
            (n - xw).abs() < 0.03 * n,
            "seed {seed}: N = {n}, X·W = {xw}"
        );
    }
}

#[test]
fn consensus_is_timed_to_the_first_honest_decision() {
    let mut story = Story::new(4);
    story.submit(&[1, 2]);
    story.wait_until(10).decide(3, &[1, 2]);
    story.wait_until(21).decide(1, &[1, 2]);
    story.wait_until(30).decide(0, &[1, 2]).decide(0, &[]);
    story.answer_truly(1, 1, 0);
    let summary = measure(&story, measured(0, 1_000));
    // Submitted after 1 and 2 ms, decided after 21.
    assert_eq!(summary.consensus_latency_mean_ms, Some(19.5));
    assert_eq!(summary.blocks, 2);
    assert_eq!((summary.pending, summary.committed), (1, 1));
    let late = measure(&story, measured(30, 1_000));
    assert_eq!((late.blocks, late.consensus_latency_mean_ms), (1, None));
}

#[test]
fn what_the_nodes_counted_is_taken_over() {
    let mut metrics = Metrics::new(measured(0, 2_500));
    let mut story = Story::new(4);
    story
        .submit(&[1])
        .decide(0, &[1])
        .decide(1, &[1])
        .decide(0, &[]);
    story.play(&mut metrics);
    let totals = Totals {
        measured: Volume {
            count: 30,
            bytes: 900,
        },
        client_measured: Volume {
            count: 2,
            bytes: 80,
        },
        per_second: vec![20, 10],
        signatures: 5,
        verifications: 6,
        ..Totals::default()
    };
    let summary = metrics.finish(&totals);
    assert_eq!((summary.messages, summary.bytes), (30, 900));
    assert_eq!(summary.messages_per_block, Some(15.0));
    assert_eq!((summary.client_messages, summary.client_bytes), (2, 80));
    assert_eq!((summary.signatures, summary.verifications), (5, 6));
    let by_second: Vec<u64> = summary.timeline.iter().map(|s| s.messages).collect();
    assert_eq!(by_second, [20, 10, 0], "the last second is cut short");
}

#[test]
fn a_change_of_leader_and_the_time_without_one() {
    let mut story = Story::new(4);
    let leads = |view| Report::Leads { view };
    story.report(0, Report::Enters { view: 1 });
    story.wait_until(10).report(0, leads(1));
    story.report(1, leads(0));
    story.wait_until(1_500).tell(0, Event::Crashed);
    story
        .wait_until(1_510)
        .report(2, Report::Enters { view: 2 });
    story.wait_until(1_700).report(2, leads(2));
    story.wait_until(1_800).report(1, leads(3));
    story
        .wait_until(2_100)
        .report(1, Report::Enters { view: 4 });
    story.wait_until(2_150).report(1, leads(4));
    story.wait_until(2_900).tell(1, Event::Crashed);
    let summary = measure(&story, measured(0, 3_000));
    assert_eq!(summary.leader_changes, 2, "n1 took over from itself once");
    let elections = [(1_500, Some(1_700)), (2_100, Some(2_150)), (2_900, None)];
    let elections = elections.map(|(from, until)| Election {
        from: ms(from),
        until: until.map(ms),
    });
    assert_eq!(summary.elections, elections);
    assert_eq!(summary.leaderless_ms, 200.0 + 50.0 + 100.0);
    let leaders: Vec<_> = summary
        .timeline
        .iter()
        .map(|s| (s.leader, s.view))
        .collect();
    let expected = [(Some(NodeId(0)), 1), (Some(NodeId(1)), 3), (None, 4)];
    assert_eq!(leaders, expected);
}

#[test]
fn a_leader_that_returns_to_its_view_leads_it_again() {
    let mut story = Story::new(4);
    story.report(0, Report::Leads { view: 1 });
    story.report(0, Report::Enters { view: 1 });
    story.wait_until(100).restart(0, 0, false);
    story.wait_until(150).report(0, Report::Leads { view: 1 });
    let summary = measure(&story, measured(0, 1_000));
    assert_eq!((summary.leader_changes, summary.elections.len()), (0, 1));
    assert_eq!(summary.leaderless_ms, 50.0);
}

#[test]
fn convictions_are_told_from_suspicions_and_from_slander() {
    let accuses = |culprit, offence| Report::Accuses {
        culprit: NodeId(culprit),
        offence,
    };
    let mut story = Story::new(4);
    story
        .wait_until(110)
        .report(0, accuses(3, Offence::Silence));
    story
        .wait_until(120)
        .report(3, accuses(1, Offence::Equivocation));
    let early = measure(&story, measured(0, 1_000));
    assert_eq!((early.convicted, early.convicted_wrongly), (0, 0));
    assert_eq!(early.identified_after_ms, None);
    story
        .wait_until(130)
        .report(0, accuses(3, Offence::WrongDigest));
    story
        .wait_until(140)
        .report(1, accuses(3, Offence::Equivocation));
    story.report(2, accuses(1, Offence::InvalidProposal));
    let late = measure(&story, measured(0, 1_000));
    assert_eq!((late.convicted, late.convicted_wrongly), (1, 1));
    assert_eq!(late.identified_after_ms, Some(30.0));
}

/// A call of a kind that is not that of the sample.
fn hiding() -> SignedCall {
    let people = Population::new(1, 1, 2);
    let patient = people.patient(1);
    let terms = Terms {
        chain: 1,
        by: Party::Patient(patient.id),
        act: Act::Hide(RecordId(Digest::ZERO)),
        nonce: 1,
        valid_until: 1,
    };
    SignedCall::order(terms, &patient.keys)
}

#[test]
fn kinds_are_counted_and_timed_apart_and_sum_up_to_the_whole() {
    let refused = |code| Executed::Now(Receipt::Refused(code));
    // When submitted, by which call, when answered, by what; the window is from 1 s to 3 s.
    let (submit, hide) = (SignedCall::sample(1), hiding());
    let calls = [
        (900, &submit, 1_100, ACCEPTED),
        (1_000, &submit, 1_040, ACCEPTED),
        (1_000, &submit, 1_060, refused(Code::NonceUsed)),
        (1_200, &hide, 1_210, refused(Code::RecordNotFound)),
        (1_300, &hide, 1_330, refused(Code::RecordNotFound)),
        (1_400, &hide, 1_500, refused(Code::NonceUsed)),
        (2_000, &hide, 3_500, ACCEPTED),
    ];
    let mut story = Story::new(4);
    let mut events = Vec::new();
    for (number, (submitted, call, answer, executed)) in (0..).zip(calls) {
        let id = TransactionId::new(CLIENT, number);
        let transaction = Transaction::new(id, call.clone());
        events.push((ms(submitted), CLIENT, Event::Submitted { transaction }));
        let told = Event::Answered {
            transaction: id,
            endorsed: None,
            submitted: ms(submitted),
            height: Some(1),
            executed,
        };
        events.push((ms(answer), CLIENT, told));
    }
    events.sort_by_key(|(time, ..)| *time);
    story.events = events;
    let summary = measure(&story, measured(1_000, 3_000));
    let [hides, submits] = &summary.kinds[..] else {
        panic!("two kinds: {:?}", summary.kinds);
    };
    assert_eq!((hides.kind, submits.kind), ("hide", "submit"));
    assert_eq!((hides.submitted, hides.accepted, hides.refused), (4, 0, 3));
    assert_eq!(
        (submits.submitted, submits.accepted, submits.refused),
        (2, 2, 1)
    );
    assert_eq!((hides.goodput_tps, submits.goodput_tps), (0.0, 1.0));
    assert_eq!(
        (hides.latency_p50_ms, hides.latency_p99_ms),
        (Some(30.0), Some(100.0))
    );
    assert_eq!(
        submits.latency_mean_ms,
        Some(50.0),
        "not the one from before the window"
    );
    assert_eq!(
        hides.refusals,
        [(Code::NonceUsed, 1), (Code::RecordNotFound, 2)]
    );
    assert_eq!(summary.submitted, hides.submitted + submits.submitted);
    assert_eq!(summary.latency_max_ms, Some(100.0));
}

#[test]
fn conversations_are_timed_from_the_call_that_asked_for_them() {
    let mut story = Story::new(4);
    // When asked and when begun; the window is from 1 s to 3 s.
    for (number, (asked, begun)) in (0..).zip([(500, 1_200), (1_000, 1_300), (1_100, 1_500)]) {
        let contacted = Event::Contacted {
            transaction: TransactionId::new(CLIENT, number),
            asked: ms(asked),
        };
        story.events.push((ms(begun), CLIENT, contacted));
    }
    let contacts = measure(&story, measured(1_000, 3_000)).contacts;
    assert_eq!((contacts.count, contacts.mean_ms), (3, Some(350.0)));
    assert_eq!(
        (contacts.p50_ms, contacts.p99_ms),
        (Some(300.0), Some(400.0))
    );
    let later = measure(&story, measured(1_400, 3_000)).contacts;
    assert_eq!(
        (later.count, later.mean_ms),
        (1, None),
        "asked before the window"
    );
}
