//! What must happen in the end, and what the checks remember.

use super::*;

#[test]
fn silence_after_healing_is_a_stall() {
    let mut story = Story::new(4);
    story.submit(&[1, 2]).decide(0, &[1]).answer_truly(1, 1, 0);
    for node in 1..4 {
        story.decide(node, &[1]);
    }
    let ended = |end, judge| {
        let verdict = watch(&story, setup(&[])).finish(ms(end), &judge, &Totals::default());
        let properties: Vec<_> = verdict.violations.iter().map(|v| v.property).collect();
        (verdict.liveness, verdict.stalled, properties)
    };
    let stall = vec![Property::Stall];
    assert_eq!(
        ended(2_000, judge(0, 1_000)),
        (Word::Violated, true, stall.clone())
    );
    assert_eq!(
        ended(2_000, judge(1_000, 1_000)),
        (Word::Holds, false, vec![])
    );
    assert_eq!(
        ended(2_000, judge(999, 1_000)),
        (Word::Violated, true, stall)
    );
    assert_eq!(
        ended(2_000, judge(1_001, 1_000)),
        (Word::Inconclusive, false, vec![])
    );
    let verdict = watch(&story, setup(&[])).finish(ms(2_000), &judge(900, 500), &Totals::default());
    assert_eq!(
        verdict.violations[0].time,
        ms(1_400),
        "a bound after healing"
    );
    let hopeless = LivenessJudge {
        recoverable: false,
        ..judge(0, 1_000)
    };
    assert_eq!(ended(2_000, hopeless), (Word::OutsideModel, true, vec![]));
    let never = LivenessJudge {
        healed_at: Time::MAX,
        ..judge(0, 1_000)
    };
    assert_eq!(ended(2_000, never), (Word::Inconclusive, false, vec![]));
}

#[test]
fn what_was_in_time_as_usual_needs_no_grown_wait_to_be_judged() {
    let patient = LivenessJudge {
        soon: Span::from_millis(500),
        ..judge(0, 5_000)
    };
    let ended = |answered: &[u64], end| {
        let mut story = Story::new(4);
        story.submit(&[1, 2]);
        for node in 0..4 {
            story.decide(node, &[1, 2]);
        }
        for number in answered {
            story.answer_truly(*number, 1, 0);
        }
        let verdict = watch(&story, setup(&[])).finish(ms(end), &patient, &Totals::default());
        verdict.liveness
    };
    assert_eq!(ended(&[1, 2], 400), Word::Inconclusive);
    assert_eq!(ended(&[1, 2], 2_000), Word::Holds);
    assert_eq!(ended(&[1], 2_000), Word::Inconclusive, "it may take longer");
    assert_eq!(ended(&[1], 6_000), Word::Violated);
}

#[test]
fn a_silence_that_ends_is_a_stall_too_and_one_before_healing_is_none() {
    let mut story = Story::new(4);
    story.submit(&[1, 2]);
    for node in 0..4 {
        story.decide(node, &[1, 2]);
    }
    story.wait_until(3_000).answer_truly(1, 1, 0);
    story.wait_until(3_500).answer_truly(2, 1, 0);
    let liveness = |healed| {
        let checks = watch(&story, setup(&[]));
        checks
            .finish(ms(9_000), &judge(healed, 1_000), &Totals::default())
            .liveness
    };
    assert_eq!(liveness(0), Word::Violated);
    assert_eq!(liveness(1_999), Word::Violated);
    assert_eq!(liveness(2_000), Word::Holds);
    assert_eq!(liveness(3_200), Word::Holds);
}

#[test]
fn overload_is_no_stall_but_starvation_is() {
    let overloaded = |starve: bool| {
        let mut story = Story::new(4);
        let numbers: Vec<u64> = (0..100).collect();
        for node in 0..4 {
            story.block(node, &numbers);
        }
        // Ten arrive a second, one is answered in two: the queue grows and nothing else.
        let mut answered = u64::from(starve);
        for number in numbers {
            story.wait_until(100 * number + 10).submit(&[number]);
            if number % 20 == 19 || (starve && number > 1) {
                story.answer(answered, 1, Executed::Before);
                answered += 1;
            }
        }
        let mut checks = Checks::new(setup(&[]));
        for (time, node, event) in &story.events {
            if let Event::Answered { transaction, .. } = event {
                checks.progress.answer(*time, *transaction);
            } else {
                checks.on_event(*time, *node, event);
            }
        }
        checks.finish(ms(10_000), &judge(0, 3_000), &Totals::default())
    };
    assert_eq!(overloaded(false).liveness, Word::Holds);
    let starved = overloaded(true);
    assert_eq!(starved.liveness, Word::Violated);
    assert_eq!(starved.total, 1);
    assert!(
        starved.violations[0].detail.contains("n9#0 waits"),
        "{:?}",
        starved.violations
    );
}

#[test]
fn a_node_that_stays_behind_is_lagging_unless_it_is_down() {
    let mut story = Story::new(4);
    story.submit(&[1]);
    for node in 0..3 {
        story.decide(node, &[1]);
    }
    story.answer_truly(1, 1, 0);
    let lagging = |story: &Story, end| {
        let checks = watch(story, setup(&[]));
        let verdict = checks.finish(ms(end), &judge(0, 100), &Totals::default());
        let properties: Vec<_> = verdict.violations.iter().map(|v| v.property).collect();
        (verdict.liveness, verdict.safety, properties)
    };
    let behind = (Word::Violated, Word::Holds, vec![Property::Lagging]);
    assert_eq!(lagging(&story, 200), behind);
    assert_eq!(
        lagging(&story, 101),
        (Word::Holds, Word::Holds, vec![]),
        "it has time"
    );
    story.tell(3, Event::Crashed);
    assert_eq!(lagging(&story, 200), (Word::Holds, Word::Holds, vec![]));
}

#[test]
fn a_run_of_nothing_shows_no_liveness() {
    let checks = Checks::new(setup(&[]));
    let verdict = checks.finish(ms(9_000), &judge(0, 1), &Totals::default());
    assert_eq!(
        (verdict.safety, verdict.liveness),
        (Word::Holds, Word::Inconclusive)
    );
}

#[test]
fn what_every_node_has_is_forgotten() {
    let mut checks = Checks::new(setup(&[]));
    let mut story = Story::new(4);
    for number in 1..=1_000 {
        story.submit(&[number]);
        for node in 0..4 {
            story.report(node, logged(number, 1, number));
            story.report(node, prepared(1, number, number));
            story.decide(node, &[number]);
        }
        story.play(&mut checks);
        story.events.clear();
    }
    assert_eq!(checks.findings.total, 0);
    assert!(checks.logs.remembered() < 7 * 2 * FORGET_EVERY as usize);
    assert!(checks.logs.remembered() > 0);
}

#[test]
fn violations_beyond_the_first_thousand_are_counted() {
    let mut story = Story::new(4);
    for number in 0..1_500 {
        story.report(0, Report::Leads { view: number });
        story.report(1, Report::Leads { view: number });
    }
    let verdict = watch(&story, setup(&[])).finish(ms(9_000), &judge(0, 1), &Totals::default());
    assert_eq!((verdict.violations.len(), verdict.total), (KEPT_MAX, 1_500));
    assert_eq!(
        verdict.violations[0].to_string(),
        "0.002000000 election-safety n1 n0: n1 leads view 0 which n0 led"
    );
}
