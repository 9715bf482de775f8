//! What must never happen.

use super::*;
use crate::contract::{Code, Receipt};
use crate::observe::story::CLIENT;

#[test]
fn a_calm_run_holds() {
    let story = calm();
    let checks = watch(&story, setup(&[]));
    let verdict = checks.finish(ms(2_000), &judge(0, 1_000), &Totals::default());
    assert_eq!(
        (verdict.safety, verdict.liveness),
        (Word::Holds, Word::Holds)
    );
    assert!(verdict.violations.is_empty());
    assert!(!verdict.stalled);
}

#[test]
fn crashes_snapshots_suspicions_and_new_leaders_break_nothing() {
    let mut story = calm();
    story.restart(1, 1, false).decide(1, &[3, 1]);
    let block = story.ledgers[0].head().cloned().unwrap();
    story.restart(2, 0, false);
    story.tell(2, Event::Installed { block });
    let (index, term, prefix) = (2, 1, 20);
    let restarted = Report::Restarted {
        index,
        term,
        prefix,
    };
    story.report(2, restarted);
    story.report(2, accuses(0, Offence::Silence));
    story.report(2, Report::Leads { view: 2 });
    story
        .report(3, prepared(1, 3, 4))
        .report(3, prepared(2, 3, 5));
    assert_eq!(broken(&story, &[]), []);
}

#[test]
fn two_blocks_at_one_height_break_agreement_once() {
    let mut story = Story::new(4);
    story.submit(&[1, 2, 3, 4]);
    story.decide(0, &[1]).decide(1, &[2]);
    story.decide(1, &[3]).decide(0, &[4]).decide(2, &[1]);
    assert_eq!(broken(&story, &[]), [Property::Agreement]);
    let verdict = watch(&story, setup(&[])).finish(ms(9), &judge(0, 1), &Totals::default());
    let violation = &verdict.violations[0];
    assert_eq!(violation.nodes, [NodeId(1), NodeId(0)]);
    assert_eq!(violation.height, Some(1));
}

#[test]
fn what_the_dishonest_decide_and_report_is_not_looked_at() {
    let mut story = calm();
    story.decide(3, &[77]);
    story.report(3, Report::Leads { view: 1 });
    story.report(3, accuses(0, Offence::Equivocation));
    story.report(3, logged(1, 1, 999));
    assert_eq!(broken(&story, &[3]), []);
}

#[test]
fn a_node_without_its_disk_is_honest_no_more() {
    let mut story = calm();
    story.restart(3, 0, true).decide(3, &[2]);
    story.report(0, accuses(3, Offence::Equivocation));
    assert_eq!(broken(&story, &[]), []);
}

#[test]
fn a_block_out_of_turn_breaks_total_order() {
    let mut skipped = Story::new(4);
    skipped.submit(&[1, 2]).decide(0, &[1]).decide(0, &[2]);
    let second = skipped.ledgers[0].head().cloned().unwrap();
    skipped.decide_block(1, &second);
    assert_eq!(broken(&skipped, &[]), [Property::TotalOrder]);

    let mut uprooted = Story::new(4);
    uprooted.submit(&[1, 2]).decide(0, &[1]);
    let block = uprooted.block(0, &[2]);
    let parent = Digest([7; 32]);
    let block = altered(&block, |block| block.parent = parent);
    uprooted.decide_block(0, &block);
    assert_eq!(broken(&uprooted, &[]), [Property::TotalOrder]);

    let mut backwards = calm();
    let block = backwards.ledgers[0].block(1).cloned().unwrap();
    backwards.tell(2, Event::Installed { block });
    assert_eq!(broken(&backwards, &[]), [Property::TotalOrder]);
}

#[test]
fn an_invented_or_altered_transaction_breaks_validity() {
    let mut invented = Story::new(4);
    invented.submit(&[1]).decide(0, &[1, 2]).decide(1, &[1, 2]);
    assert_eq!(broken(&invented, &[]), [Property::Validity]);

    let mut changed = Story::new(4);
    changed.submit(&[1]);
    let real = changed.block(0, &[1]);
    let forged = Transaction::new(transaction(1).id, SignedCall::sample(99));
    let forged = Batch::new(vec![forged]);
    let block = altered(&real, |block| block.batch = forged.clone());
    changed.decide_block(0, &block);
    assert_eq!(broken(&changed, &[]), [Property::Validity]);
}

#[test]
fn a_second_execution_breaks_exactly_once() {
    let mut twice = Story::new(4);
    twice.submit(&[1]).decide(0, &[1]);
    let first = twice.ledgers[0].head().cloned().unwrap();
    let block = twice.block(0, &[1]);
    assert_eq!(
        block.executed,
        [Executed::Before],
        "the ledger knows better"
    );
    let block = altered(&block, |block| block.executed = first.executed.clone());
    twice.decide_block(0, &block);
    assert_eq!(broken(&twice, &[]), [Property::ExactlyOnce]);
}

#[test]
fn passing_over_what_was_never_executed_breaks_exactly_once() {
    let mut story = Story::new(4);
    story.submit(&[1]);
    let block = story.block(0, &[1]);
    let block = altered(&block, |block| block.executed = vec![Executed::Before]);
    story.decide_block(0, &block);
    assert_eq!(broken(&story, &[]), [Property::ExactlyOnce]);
}

#[test]
fn each_branch_executes_for_itself() {
    let mut story = Story::new(4);
    story.submit(&[1, 2, 3, 4]);
    for node in 0..3 {
        story.decide(node, &[1]);
    }
    story.decide(0, &[2]).decide(1, &[3]);
    // The branch of n1 repeats a transaction it shares, and executes one that the other has.
    story.decide(1, &[1, 2]).decide(0, &[3]);
    assert_eq!(broken(&story, &[]), [Property::Agreement]);
    let block = story.block(1, &[3]);
    let first = story.ledgers[0].block(1).cloned().unwrap();
    let block = altered(&block, |block| block.executed = first.executed.clone());
    story.decide_block(1, &block);
    assert_eq!(
        broken(&story, &[]),
        [Property::Agreement, Property::ExactlyOnce]
    );
}

#[test]
fn deciding_otherwise_after_a_crash_breaks_irrevocability() {
    let mut story = calm();
    story.restart(2, 1, false).decide(2, &[3]);
    assert_eq!(broken(&story, &[]), [Property::Irrevocability]);
}

#[test]
fn another_state_from_the_same_batches_breaks_state_equality() {
    let mut story = Story::new(4);
    story.submit(&[1, 2]).decide(0, &[1]).decide(1, &[1]);
    story.decide(0, &[2]);
    let block = story.block(1, &[2]);
    let other = altered(&block, |block| {
        block.state = Digest([5; 32]);
        block.digest = Digest([6; 32]);
    });
    story.decide_block(1, &other);
    assert_eq!(broken(&story, &[]), [Property::StateEquality]);
}

#[test]
fn a_snapshot_ahead_of_all_is_filled_in_by_those_who_follow() {
    let mut story = Story::new(4);
    story.submit(&[1, 2, 3, 4]);
    let blocks: Vec<_> = [1, 2, 3].map(|number| story.block(3, &[number])).into();
    let block = blocks[2].clone();
    story.decide_block(1, &blocks[0]);
    story.tell(0, Event::Installed { block });
    for block in &blocks[1..] {
        story.decide_block(1, block);
    }
    assert_eq!(broken(&story, &[3]), []);
    // Who departs below the snapshot departs from the chain.
    story.decide_block(2, &blocks[0]);
    let mut departed = Story::new(4);
    departed.submit(&[1, 2, 3, 4]).decide(1, &[1]);
    let block = blocks[2].clone();
    departed.tell(0, Event::Installed { block });
    departed.decide(1, &[4]);
    assert_eq!(broken(&departed, &[3]), [Property::Agreement]);
}

#[test]
fn what_was_executed_below_a_snapshot_is_known_once_all_of_it_was_seen() {
    let mut story = Story::new(4);
    story.submit(&[1, 2, 3]);
    let blocks: Vec<_> = [1, 2].map(|number| story.block(3, &[number])).into();
    let block = blocks[1].clone();
    story.tell(0, Event::Installed { block });
    let passing_over = |story: &mut Story, number| {
        let block = story.block(3, &[number]);
        altered(&block, |block| block.executed = vec![Executed::Before])
    };
    let block = passing_over(&mut story, 1);
    story.decide_block(0, &block);
    assert_eq!(broken(&story, &[3]), [], "it may have been executed before");
    story.decide_block(1, &blocks[0]);
    let block = passing_over(&mut story, 3);
    story.decide_block(0, &block);
    assert_eq!(broken(&story, &[3]), [Property::ExactlyOnce]);
}

/// A liar decides a transaction twice and hands a snapshot to an honest node, which is the first of
/// those who count to tell of any of it.
#[test]
fn what_a_snapshot_ends_with_may_have_been_executed_below_it() {
    let mut told = Story::new(4);
    told.submit(&[1, 2]);
    let blocks: Vec<_> = [[1], [2], [1]]
        .map(|numbers| told.block(3, &numbers))
        .into();
    let install = |story: &mut Story, block: &Arc<Block>| {
        let block = block.clone();
        story.tell(0, Event::Installed { block });
    };
    install(&mut told, &blocks[2]);
    assert_eq!(broken(&told, &[3]), [], "the first block is not known");
    for block in &blocks {
        told.decide_block(1, block);
    }
    assert_eq!(broken(&told, &[3]), [], "it was executed in the first one");

    let mut never = Story::new(4);
    never.submit(&[1, 2, 3]);
    let blocks: Vec<_> = [[1], [2], [3]]
        .map(|numbers| never.block(3, &numbers))
        .into();
    let end = altered(&blocks[2], |block| block.executed = vec![Executed::Before]);
    install(&mut never, &end);
    never.decide_block(1, &blocks[0]);
    assert_eq!(broken(&never, &[3]), [], "it may be in the second one");
    never.decide_block(1, &blocks[1]);
    assert_eq!(broken(&never, &[3]), [Property::ExactlyOnce]);
}

#[test]
fn an_untrue_answer_breaks_the_clients_view() {
    let mut result = calm();
    result.answer(2, 1, Executed::Before);
    assert_eq!(broken(&result, &[]), [Property::ClientView]);

    let mut place = calm();
    place.answer_truly(1, 1, 0).answer(2, 2, Executed::Before);
    assert_eq!(broken(&place, &[]), [Property::ClientView]);

    let mut repeated = calm();
    repeated.answer(1, 2, Executed::Before);
    assert_eq!(
        broken(&repeated, &[]),
        [],
        "it does stand there, as a repetition"
    );
}

#[test]
fn an_answer_ahead_of_the_chain_is_compared_when_the_chain_gets_there() {
    let mut story = Story::new(4);
    story.submit(&[1]).block(3, &[1]);
    story.answer_truly(1, 1, 3).decide(0, &[1]);
    assert_eq!(broken(&story, &[3]), []);

    let mut lie = Story::new(4);
    lie.submit(&[1])
        .answer(1, 1, Executed::Before)
        .decide(0, &[1]);
    assert_eq!(broken(&lie, &[3]), [Property::ClientView]);

    let mut void = Story::new(4);
    void.submit(&[1]).answer(1, 1, Executed::Before);
    assert_eq!(broken(&void, &[3]), [], "it may still come");
    let verdict = watch(&void, setup(&[3])).finish(ms(99), &judge(0, 50), &Totals::default());
    assert_eq!(verdict.violations[0].property, Property::ClientView);
    assert_eq!(verdict.safety, Word::Violated);
}

#[test]
fn two_leaders_of_one_view_break_election_safety() {
    let mut story = calm();
    story.report(0, Report::Leads { view: 1 });
    assert_eq!(broken(&story, &[]), [], "the same one may say so again");
    story.report(1, Report::Leads { view: 1 });
    assert_eq!(broken(&story, &[]), [Property::ElectionSafety]);
    let nested = CheckSetup {
        flat: false,
        ..setup(&[])
    };
    let verdict = watch(&story, nested).finish(ms(99), &judge(0, 1), &Totals::default());
    assert_eq!(verdict.safety, Word::Holds, "two groups have a leader each");
    let in_parts = |dishonest: &[usize]| {
        let setup = CheckSetup {
            in_parts: true,
            ..setup(dishonest)
        };
        let verdict = watch(&story, setup).finish(ms(99), &judge(0, 1), &Totals::default());
        verdict.safety
    };
    assert_eq!(in_parts(&[]), Word::Violated);
    assert_eq!(
        in_parts(&[3]),
        Word::Holds,
        "a group of three survives no liar"
    );
}

#[test]
fn different_logs_up_to_one_entry_break_log_matching() {
    let mut story = calm();
    story
        .report(1, logged(3, 2, 30))
        .report(2, logged(3, 3, 31));
    assert_eq!(
        broken(&story, &[]),
        [],
        "entries of different terms may differ"
    );
    story.report(3, logged(3, 2, 32));
    assert_eq!(broken(&story, &[]), [Property::LogMatching]);
}

#[test]
fn a_leader_without_a_decided_entry_breaks_leader_completeness() {
    let lead = |change: &dyn Fn(&mut Story), view| {
        let mut story = calm();
        change(&mut story);
        story.report(3, Report::Leads { view });
        broken(&story, &[])
    };
    let overwrite = |story: &mut Story| {
        story.report(3, logged(2, 2, 21));
    };
    let shorten = |story: &mut Story| {
        story.report(3, logged(1, 1, 10));
    };
    let lengthen = |story: &mut Story| {
        story.report(3, logged(3, 2, 30));
    };
    let snapshot = |story: &mut Story| {
        let (index, term, prefix) = (5, 1, 50);
        let report = Report::Restarted {
            index,
            term,
            prefix,
        };
        story.report(3, report);
    };
    assert_eq!(lead(&overwrite, 3), [Property::LeaderCompleteness]);
    assert_eq!(lead(&shorten, 3), [Property::LeaderCompleteness]);
    assert_eq!(lead(&lengthen, 3), []);
    assert_eq!(lead(&snapshot, 3), [], "a snapshot is of decided entries");
}

#[test]
fn a_leader_elected_too_late_need_not_know_what_a_newer_one_decided() {
    let mut story = Story::new(4);
    story.submit(&[1]);
    story.report(0, Report::Leads { view: 5 });
    story.report(0, logged(1, 5, 10)).decide(0, &[1]);
    story.report(3, Report::Leads { view: 4 });
    assert_eq!(broken(&story, &[]), []);
    story.report(3, Report::Leads { view: 6 });
    assert_eq!(broken(&story, &[]), [Property::LeaderCompleteness]);
}

#[test]
fn a_decision_belongs_to_the_latest_term_it_may_have_been_made_in() {
    let mut story = Story::new(4);
    story.submit(&[1, 2]);
    // n0 never told its term: that of the entry is the least it can be in.
    story.report(0, logged(1, 5, 10)).decide(0, &[1]);
    story.report(3, Report::Leads { view: 4 });
    // n1 is in term 6: whoever is elected in it may have been so before the decision.
    story.report(1, Report::Enters { view: 6 });
    story.report(1, logged(1, 5, 10)).decide(1, &[1]);
    story.report(1, logged(2, 5, 20)).decide(1, &[2]);
    story.report(2, logged(1, 5, 10));
    story.report(2, Report::Leads { view: 6 });
    assert_eq!(broken(&story, &[]), []);
    story.report(2, Report::Leads { view: 7 });
    assert_eq!(broken(&story, &[]), [Property::LeaderCompleteness]);
}

#[test]
fn a_later_decision_in_an_older_term_is_not_forgotten() {
    let mut story = Story::new(4);
    story.submit(&[1, 2]);
    story.report(0, Report::Enters { view: 6 });
    story.report(0, logged(1, 5, 10)).decide(0, &[1]);
    story.report(1, Report::Enters { view: 5 });
    story.report(1, logged(1, 5, 10)).decide(1, &[1]);
    story.report(1, logged(2, 5, 20)).decide(1, &[2]);
    story.report(2, logged(1, 5, 10));
    story.report(2, Report::Leads { view: 7 });
    assert_eq!(broken(&story, &[]), [Property::LeaderCompleteness]);
}

#[test]
fn a_snapshot_says_nothing_of_the_log_it_replaces() {
    let mut story = Story::new(4);
    story.submit(&[1]);
    story.report(0, logged(1, 1, 99));
    let block = story.block(3, &[1]);
    story.tell(0, Event::Installed { block });
    story.report(1, logged(1, 2, 10));
    story.report(1, Report::Leads { view: 3 });
    assert_eq!(broken(&story, &[3]), []);
}

#[test]
fn two_batches_prepared_at_one_place_break_prepared_uniqueness() {
    let mut story = calm();
    story
        .report(0, prepared(1, 3, 4))
        .report(1, prepared(2, 3, 5));
    story
        .report(2, prepared(1, 3, 4))
        .report(2, prepared(1, 4, 5));
    assert_eq!(broken(&story, &[]), []);
    story.report(3, prepared(1, 3, 5));
    assert_eq!(broken(&story, &[]), [Property::PreparedUniqueness]);
}

#[test]
fn accusing_the_honest_breaks_accountability_once() {
    let mut story = calm();
    story.report(0, accuses(3, Offence::Equivocation));
    assert_eq!(broken(&story, &[3]), []);
    story.report(1, accuses(3, Offence::WrongDigest));
    assert_eq!(broken(&story, &[]), [Property::AccountabilitySoundness]);
}

#[test]
fn every_copy_is_accounted_for() {
    let totals = Totals {
        by_kind: vec![("vote", Volume { count: 5, bytes: 9 })],
        per_second: vec![2, 3],
        sent: 10,
        duplicated: 2,
        delivered: 7,
        lost: 2,
        dropped: 1,
        in_flight: 2,
        ..Totals::default()
    };
    let found = |totals: &Totals| {
        let verdict = watch(&calm(), setup(&[])).finish(ms(99), &judge(0, 50), totals);
        let properties = verdict.violations.iter().map(|v| v.property);
        (verdict.safety, properties.collect::<Vec<_>>())
    };
    assert_eq!(found(&totals), (Word::Holds, vec![]));
    let broken = (Word::Violated, vec![Property::Accounting]);
    let lost = Totals {
        in_flight: 1,
        ..totals.clone()
    };
    assert_eq!(found(&lost), broken);
    let unseen = Totals {
        per_second: vec![2, 2],
        ..totals
    };
    assert_eq!(found(&unseen), broken);
    let mut verdict = watch(&calm(), setup(&[])).finish(ms(99), &judge(0, 50), &lost);
    verdict.account(ms(99), Some("two countings differ".into()));
    assert_eq!((verdict.total, verdict.violations.len()), (2, 2));
}

#[test]
fn what_a_client_wants_takes_effect_once_however_often_it_is_endorsed() {
    let endorsed = |story: &mut Story, number: u64, round: u32| {
        let (transaction, of) = (transaction(number), transaction(1).id);
        let event = Event::Endorsed {
            transaction,
            of,
            round,
        };
        story.tell(CLIENT.0, event);
    };
    let story = |first: Receipt| {
        let mut story = Story::new(4);
        story.submit(&[1]);
        for (number, round, receipt) in [(2, 0, first.clone()), (3, 1, Receipt::Accepted)] {
            endorsed(&mut story, number, round);
            let block = story.block(0, &[number]);
            let executed = [Executed::Now(receipt)];
            let block = altered(&block, |block| block.executed = executed.to_vec());
            for node in 0..4 {
                story.decide_block(node, &block);
            }
        }
        story
    };
    let conflict = Receipt::Refused(Code::MvccConflict);
    assert_eq!(broken(&story(conflict), &[]), []);
    let twice = story(Receipt::Accepted);
    assert_eq!(broken(&twice, &[]), [Property::ExactlyOnce]);
}

#[test]
fn of_several_chains_the_one_that_was_meant_may_turn_out_later() {
    // Two chains of two nodes each; the client is told of the second by who is not looked at.
    let answered = |later: bool| {
        let mut story = Story::new(4);
        story.submit(&[1, 2]);
        story.decide(0, &[1]).decide(1, &[1]);
        let block = story.block(2, &[2]);
        story.answer(2, 1, block.executed[0].clone());
        if later {
            story.decide_block(2, &block);
        } else {
            story.decide(3, &[1]);
        }
        let mut checks = Checks::new(setup(&[])).along(vec![Some(0), Some(0), Some(1), Some(1)]);
        story.play(&mut checks);
        let end = ms(story.clock);
        let verdict = checks.finish(end, &judge(story.clock, 1), &Totals::default());
        let properties = verdict.violations.iter().map(|v| v.property);
        properties.collect::<Vec<_>>()
    };
    assert_eq!(answered(true), []);
    assert_eq!(answered(false), [Property::ClientView]);
}

#[test]
fn of_two_chains_with_one_name_the_one_that_gives_the_answer_may_be_the_later() {
    // Both chains have a transaction of that name at that height; only the second gives the answer.
    let answered = |given: Receipt| {
        let mut story = Story::new(4);
        story.submit(&[1]);
        let here = story.block(0, &[1]);
        let there = altered(&here, |block| {
            block.executed = vec![Executed::Now(Receipt::Refused(Code::MvccConflict))];
        });
        story.decide_block(0, &here);
        story.answer(1, 1, Executed::Now(given));
        story.decide_block(2, &there);
        let mut checks = Checks::new(setup(&[])).along(vec![Some(0), Some(0), Some(1), Some(1)]);
        story.play(&mut checks);
        let end = ms(story.clock);
        let verdict = checks.finish(end, &judge(story.clock, 1), &Totals::default());
        let properties = verdict.violations.iter().map(|v| v.property);
        properties.collect::<Vec<_>>()
    };
    assert_eq!(answered(Receipt::Refused(Code::MvccConflict)), []);
    assert_eq!(
        answered(Receipt::Refused(Code::Expired)),
        [Property::ClientView]
    );
}
