//! What a replica takes for proven has to have been said by a quorum.

use super::*;
use crate::protocol::{Holding, Quorums, Statement};

/// A node says something in its own name.
fn says(story: &mut Story, node: u16, kind: &'static str, (view, place): (u64, u64), what: u64) {
    let statement = Statement::Holds(Holding {
        by: NodeId(node),
        kind,
        view,
        place,
        what,
    });
    story.tell(node, Event::Stated { statement });
}

/// What a story breaks where these quorums of four are needed.
fn broken_with(quorums: Quorums, story: &Story, dishonest: &[usize]) -> Vec<Property> {
    let setup = CheckSetup {
        quorums,
        ..setup(dishonest)
    };
    let end = ms(story.clock);
    let verdict = watch(story, setup).finish(end, &judge(story.clock, 1), &Totals::default());
    let details = verdict.violations.iter().map(|v| &v.detail);
    details.for_each(|detail| assert!(!detail.contains([',', '"']), "{detail}"));
    verdict.violations.iter().map(|v| v.property).collect()
}

#[test]
fn what_is_prepared_was_said_by_a_quorum_in_that_view() {
    let quorums = Quorums {
        prepared: Some((&["prepare", "header"], 3)),
        ..Quorums::default()
    };
    let what = batch(&[1]).digest().prefix();
    let mut story = calm();
    says(&mut story, 1, "prepare", (0, 9), what);
    says(&mut story, 2, "prepare", (1, 9), what);
    says(&mut story, 3, "prepare", (0, 9), what + 1);
    let mut early = story.clone();
    early.report(0, prepared(0, 9, 1));
    let unsound = [Property::CertificateSoundness];
    assert_eq!(broken_with(quorums, &early, &[]), unsound);
    assert_eq!(
        broken_with(quorums, &early, &[3]),
        [],
        "who knows what a liar says"
    );
    says(&mut story, 2, "header", (0, 9), what);
    story.report(0, prepared(0, 9, 1));
    assert_eq!(
        broken_with(quorums, &story, &[]),
        [],
        "its own vote may come later"
    );
}

#[test]
fn whoever_leads_was_voted_for() {
    let quorums = Quorums {
        leads: Some(("vote", 3)),
        ..Quorums::default()
    };
    let mut story = calm();
    for (voter, candidate) in [(2, 2), (1, 2), (0, 0)] {
        says(&mut story, voter, "vote", (7, 0), candidate);
    }
    let mut early = story.clone();
    early.report(2, Report::Leads { view: 7 });
    assert_eq!(
        broken_with(quorums, &early, &[]),
        [Property::CertificateSoundness]
    );
    says(&mut story, 3, "vote", (7, 0), 2);
    story.report(2, Report::Leads { view: 7 });
    assert_eq!(broken_with(quorums, &story, &[]), []);
}

#[test]
fn commits_of_two_views_decide_nothing_together() {
    let quorums = Quorums {
        decided: Some(("commit", 3)),
        ..Quorums::default()
    };
    let commits = |views: [u64; 3]| {
        let mut story = Story::new(4);
        story.submit(&[1]);
        let what = batch(&[1]).digest().prefix();
        for (node, view) in (1..).zip(views) {
            says(&mut story, node, "commit", (view, 1), what);
            says(&mut story, node, "commit", (view, 2), what + 1);
        }
        story.decide(0, &[1]).answer_truly(1, 1, 0);
        broken_with(quorums, &story, &[])
    };
    assert_eq!(commits([4, 4, 2]), []);
    assert_eq!(commits([4, 3, 2]), [Property::CertificateSoundness]);
}

#[test]
fn what_is_decided_is_in_the_logs_of_a_majority() {
    let quorums = Quorums {
        logged: Some(3),
        ..Quorums::default()
    };
    let logs = |prefixes: [u64; 4]| {
        let mut story = Story::new(4);
        story.submit(&[1]);
        for (node, prefix) in (0..).zip(prefixes) {
            story.report(node, logged(1, prefix / 10, prefix));
        }
        story.decide(0, &[1]).answer_truly(1, 1, 0);
        broken_with(quorums, &story, &[])
    };
    assert_eq!(logs([10, 10, 20, 10]), []);
    assert_eq!(logs([10, 20, 20, 10]), [Property::CertificateSoundness]);
}
