//! The stories of K-RBFT, and K-RBFT in rough weather among liars.

mod dark;
mod guilt;
mod heirs;
mod regroup;
mod watched;

use super::stage::{Post, Which};
use super::{AT_ONCE, Chaos, Conspiracy, Stage, Weather, accountability_runs};
use crate::base::node::NodeId;
use crate::protocol::iraft;
use crate::protocol::krbft::grouping::Grouping;
use crate::protocol::krbft::{Config, Krbft, Mutant, Profile};

/// Groups in the order of the nodes: n0 to n3, n4 to n7, and so on.
fn of(profile: Profile) -> Config {
    Config {
        profile,
        grouping: Grouping::Static,
        ..Config::default()
    }
}

fn paper() -> Config {
    of(Profile::Paper)
}

fn hardened() -> Config {
    of(Profile::Hardened)
}

/// Rough weather in which liars lie a lot.
const LYING: Weather = Weather {
    deliver: 300,
    overtake: 25,
    lose: 4,
    duplicate: 4,
    lie: 40,
    fire: 6,
    fire_any: 1,
    submit: 5,
    crash: 0,
    restart: 4,
};

fn among(liars: &[usize], n: usize, seed: u64) -> Chaos {
    Chaos {
        steps: 6_000,
        weather: LYING,
        liars: liars.iter().map(|node| NodeId::at(*node)).collect(),
        ..Chaos::rough(n, seed)
    }
}

/// Elects the first member of every group of m.
fn settled(config: Config, k: usize, m: usize) -> Stage<Krbft> {
    let mut stage: Stage<Krbft> = Stage::new(config, k * m, AT_ONCE);
    for group in 0..k {
        stage.fire_named(NodeId::at(group * m), "Group(Election");
        stage.settle(&[]);
    }
    stage
}

#[test]
fn everybody_executes_what_the_leaders_decide() {
    for config in [paper(), hardened()] {
        let mut stage = settled(config, 4, 4);
        for _ in 0..3 {
            stage.submit(NodeId(0));
            stage.settle(&[]);
        }
        for node in 0..16 {
            assert_eq!(stage.ledger(NodeId(node)).height(), 3, "n{node}");
        }
        assert_eq!(stage.violation(), None);
    }
}

#[test]
fn a_crashed_leader_is_replaced_and_its_group_goes_on_from_what_it_said() {
    let mut stage = settled(hardened(), 4, 4);
    stage.submit(NodeId(0));
    stage.settle(&[]);
    stage.crash(NodeId(4));
    stage.fire_named(NodeId(5), "Group(Election");
    stage.settle(&[]);
    stage.submit(NodeId(0));
    stage.settle(&[]);
    for node in (0..16).filter(|node| *node != 4) {
        assert_eq!(stage.ledger(NodeId(node)).height(), 2, "n{node}");
    }
    assert_eq!(stage.violation(), None);
}

#[test]
fn no_schedule_forks_and_every_one_heals() {
    for seed in 0..40 {
        Chaos::rough(12, seed).survive::<Krbft>(hardened());
        Chaos::rough(16, seed).survive::<Krbft>(hardened());
    }
}

#[test]
fn liars_in_three_of_four_groups_fork_nothing_certified() {
    for seed in 0..30 {
        let liars = [[0, 4, 8], [0, 1, 5], [1, 6, 11]][(seed % 3) as usize];
        let stage = among(&liars, 16, seed).endure::<Krbft>(hardened());
        assert_eq!(stage.violation(), None, "seed {seed}");
    }
}

fn broken(mutant: Mutant) -> Config {
    Config {
        mutant: Some(mutant),
        ..hardened()
    }
}

/// Leaders are believed by one another, but not by their members.
fn certified_blocks() -> Config {
    Config {
        carry_commit_cert: Some(true),
        ..paper()
    }
}

/// Delivers everything; what liars tell those who are to be fooled is a lie.
fn deceive(stage: &mut Stage<Krbft>, liars: &[u16], fooled: impl Fn(u16) -> bool) {
    pervert(stage, |stage| {
        let (from, to, _) = stage.letter_at(0);
        liars.contains(&from.0) && fooled(to.0)
    });
}

/// Delivers everything, and a lie instead of what is due where there is to be one.
fn pervert(stage: &mut Stage<Krbft>, lies: impl Fn(&Stage<Krbft>) -> bool) {
    for _ in 0..20_000 {
        if stage.pending() == 0 {
            return;
        }
        let lies = lies(stage);
        if lies {
            stage.post_at(Post::Lie, 0);
        }
        let place = if lies { stage.pending() - 1 } else { 0 };
        stage.post_at(Post::Deliver, place);
    }
    panic!("the replicas never fall silent");
}

/// Whether these leaders fork four groups of four by what they tell some of them.
fn fork(config: Config, liars: &[u16], fooled: impl Fn(u16) -> bool) -> bool {
    let mut stage = settled(config, 4, 4);
    stage.submit(NodeId(0));
    deceive(&mut stage, liars, fooled);
    stage.violation().is_some()
}

#[test]
fn two_captured_leaders_of_four_fork_the_committee_unless_groups_certify() {
    let last_group = |node| node >= 12;
    assert!(!fork(certified_blocks(), &[0], last_group), "one is borne");
    assert!(fork(certified_blocks(), &[0, 4], last_group));
    assert!(!fork(hardened(), &[0, 4], last_group));
    assert!(!fork(hardened(), &[0, 4, 8], last_group));
    assert!(fork(broken(Mutant::LoneVoice), &[0, 4], last_group));
}

#[test]
fn a_leader_forks_its_own_group_unless_blocks_carry_certificates() {
    let member = |node| node == 5;
    assert!(fork(paper(), &[4], member));
    assert!(!fork(certified_blocks(), &[4], member));
    assert!(!fork(hardened(), &[4], member));
    assert!(fork(broken(Mutant::FollowersTrustLeader), &[4], member));
}

#[test]
fn a_seat_goes_to_whoever_shows_votes_for_it() {
    let usurps = |config| {
        let mut stage = settled(config, 4, 4);
        stage.fire_named(NodeId(12), "Council");
        deceive(&mut stage, &[12], |_| true);
        assert_eq!(stage.status_of(NodeId(0)).leader, Some(NodeId(0)));
        stage.status_of(NodeId(5)).leader == Some(NodeId(12))
    };
    assert!(usurps(paper()), "the first seat leads the committee");
    assert!(!usurps(hardened()));
    assert!(usurps(broken(Mutant::AnyoneLeads)));
}

#[test]
fn a_supervisor_finds_who_feeds_its_group_another_block() {
    let config = Config {
        supervision: true,
        ..paper()
    };
    let mut stage = settled(config, 4, 4);
    stage.submit(NodeId(0));
    // Enough members hear the truth, so that the one that does not is told to apply it: by then
    // it follows n4 no more.
    deceive(&mut stage, &[4], |node| node != 6 && node != 7);
    assert_eq!(stage.violation(), None);
    let convicted = stage.convictions();
    assert!(convicted.iter().any(|(_, culprit)| *culprit == NodeId(4)));
    assert!(convicted.iter().all(|(_, culprit)| *culprit == NodeId(4)));
}

#[test]
fn lying_leaders_mislead_the_supervisors_and_prove_nothing() {
    let watched = Config {
        supervision: true,
        ..paper()
    };
    let convicted = |config| {
        let mut stage = settled(config, 4, 4);
        stage.submit(NodeId(0));
        // The leaders of three groups tell every member and supervisor the same false block.
        pervert(&mut stage, |stage| {
            let (from, _, kind) = stage.letter_at(0);
            [4, 8, 12].contains(&from.0) && kind == "group-block"
        });
        let convicted = stage.convictions().iter();
        convicted.filter(|(_, culprit)| culprit.0 == 0).count()
    };
    assert_eq!(convicted(watched.clone()), 0);
    let credulous = Config {
        mutant: Some(Mutant::OutvotedIsGuilty),
        ..watched
    };
    assert!(convicted(credulous) > 0, "supervisors were not misled");
}

#[test]
fn a_primary_without_successor_loses_its_view() {
    for config in [paper(), hardened()] {
        let mut stage = settled(config, 4, 4);
        stage.crash(NodeId(0));
        for node in [4, 8, 12] {
            stage.submit(NodeId(node));
        }
        stage.settle(&[]);
        for node in [4, 8, 12, 4, 8, 12] {
            stage.fire_named(NodeId(node), "Committee(View");
            stage.settle(&[]);
        }
        assert_eq!(stage.status_of(NodeId(8)).leader, Some(NodeId(4)));
        for number in stage.unexecuted(NodeId(4)) {
            stage.retry(NodeId(4), number);
        }
        stage.settle(&[]);
        for node in 4..16 {
            assert!(stage.ledger(NodeId(node)).height() > 0, "n{node}");
            assert_eq!(stage.unexecuted(NodeId(node)), [0; 0], "n{node}");
        }
        assert_eq!(stage.violation(), None);
    }
}

#[test]
fn a_primary_that_crashes_with_a_proposal_on_its_way_is_not_contradicted() {
    for delivered in [4, 8, 14, 20, 26, 32, 40, 60, 80] {
        let mut stage = settled(hardened(), 4, 4);
        stage.submit(NodeId(0));
        for _ in 0..delivered {
            if stage.pending() > 0 {
                stage.post_at(Post::Deliver, 0);
            }
        }
        stage.crash(NodeId(0));
        stage.fire_named(NodeId(1), "Group(Election");
        stage.settle(&[]);
        stage.submit(NodeId(1));
        stage.settle(&[]);
        for _ in 0..4 {
            for node in [1, 4, 8, 12] {
                stage.fire_named(NodeId(node), "Committee(View");
                stage.settle(&[]);
            }
        }
        assert_eq!(stage.violation(), None, "after {delivered}");
        for node in (1..16).filter(|node| *node != 0) {
            let height = stage.ledger(NodeId(node)).height();
            assert!(height >= 1, "n{node} after {delivered}");
        }
    }
}

#[test]
fn conspirators_within_the_bound_fork_nothing() {
    for seed in 0..20 {
        let conspiracy = Conspiracy::<Krbft>::new(hardened(), 16, 3, seed);
        assert_eq!(conspiracy.play(), None, "seed {seed}");
    }
}

/// Delivers everything but messages of one kind, which are lost.
fn settle_without(stage: &mut Stage<Krbft>, kind: &str) {
    let lost = Which {
        from: None,
        to: None,
        kind: Some(kind.into()),
    };
    while stage.pending() > 0 {
        stage.post(Post::Drop, &lost);
        if stage.pending() > 0 {
            stage.post_at(Post::Deliver, 0);
        }
    }
}

#[test]
fn leaders_that_go_on_tell_of_checkpoints_that_their_predecessors_could_not() {
    let mut config = hardened();
    config.committee.checkpoint_interval = 2;
    let mut stage = settled(config, 4, 4);
    for _ in 0..2 {
        stage.submit(NodeId(0));
        settle_without(&mut stage, "checkpoint");
    }
    let (old, new) = ([0, 4, 8, 12].map(NodeId), [1, 5, 9, 13].map(NodeId));
    for leader in old {
        stage.crash(leader);
    }
    stage.take_sent();
    for leader in new {
        stage.fire_named(leader, "Group(Election");
        stage.settle(&[]);
    }
    let sent = stage.take_sent();
    let told = sent.get("checkpoint").copied().unwrap_or_default();
    assert!(told >= 4 * 3, "{told} told of the checkpoint at 2");
    assert_eq!(stage.violation(), None);
}

/// All that have seen a batch in four groups of four are lost for ever, just before it is decided,
/// but for members that were asked for their voices; whether the others execute it.
fn survives_its_leaders(config: Config) -> bool {
    let mut stage = settled(config, 4, 4);
    stage.submit(NodeId(0));
    settle_without(&mut stage, "commit");
    for node in [0, 1, 2, 3, 4, 8, 12] {
        stage.crash(NodeId(node));
    }
    let leaders = [5, 9, 13].map(NodeId);
    for leader in leaders {
        stage.fire_named(leader, "Group(Election");
        stage.settle(&[]);
    }
    for leader in leaders {
        stage.submit(leader);
    }
    stage.settle(&[]);
    for timer in ["Committee(View", "Council"].repeat(6) {
        for leader in leaders {
            stage.fire_named(leader, timer);
            stage.settle(&[]);
        }
    }
    assert_eq!(stage.violation(), None);
    (4..16).all(|node| [4, 8, 12].contains(&node) || stage.ledger(NodeId(node)).height() > 0)
}

#[test]
fn a_batch_outlives_all_leaders_that_have_seen_it() {
    assert!(survives_its_leaders(hardened()));
    assert!(!survives_its_leaders(broken(Mutant::BlindVoices)));
}

#[test]
fn groups_that_elect_by_reputation_heal_as_well() {
    for seed in 0..20 {
        let config = Config {
            group: iraft::Config {
                reputation: true,
                ..hardened().group
            },
            ..hardened()
        };
        Chaos::rough(16, seed).survive::<Krbft>(config);
    }
}

/// Any number of liars: no honest replica is convicted. How many were.
fn accountability(seeds: std::ops::Range<u64>, mutant: Option<Mutant>) -> usize {
    let mut convictions = 0;
    for seed in seeds {
        let n = 12 + (seed % 3) as usize * 2;
        let regroups = seed % 4 == 1;
        let hardened = seed / 4 % 2 == 1;
        let witnessed = hardened && seed / 16 % 2 == 1;
        let config = Config {
            supervision: seed % 2 == 0,
            witnesses: [iraft::Monitors::None, iraft::Monitors::OneHonest][usize::from(witnessed)],
            regroup_every_blocks: if regroups { 2 } else { 0 },
            grouping: [Grouping::Static, Grouping::ConsistentHash][usize::from(regroups)],
            carry_commit_cert: regroups.then_some(true),
            mutant,
            ..of([Profile::Paper, Profile::Hardened][usize::from(hardened)])
        };
        let liars = (seed / 8) as usize % (n + 1);
        let chaos = Chaos {
            steps: 1_500,
            liars: (0..liars)
                .map(|i| NodeId::at((seed as usize + i * 5) % n))
                .collect(),
            ..among(&[], n, seed)
        };
        let stage = chaos.endure::<Krbft>(config);
        convictions += chaos.convictions(&stage);
    }
    convictions
}

#[test]
fn no_honest_replica_is_ever_convicted() {
    let runs = accountability_runs(300);
    let convictions = accountability(0..runs, None);
    println!("{convictions} convictions in {runs} runs, all of liars");
    assert!(convictions > 100, "{convictions}");
}
