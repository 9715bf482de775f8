//! The stories of the improved RAFT, and the improved RAFT in rough weather among liars.

mod nested;

use std::collections::BTreeMap;

use super::stage::{Post, Which};
use super::{AT_ONCE, Chaos, Conspiracy, Stage, Weather, accountability_runs, check, perform};
use crate::base::node::NodeId;
use crate::base::time::Span;
use crate::protocol::iraft::{Config, Iraft, Monitors, Mutant, Profile, Quorum, Timer};

fn of(profile: Profile) -> Config {
    Config {
        profile,
        ..Config::default()
    }
}

const PROFILES: [Profile; 3] = [Profile::Paper, Profile::Hardened, Profile::Sync];

fn paper() -> Config {
    of(Profile::Paper)
}

fn hardened() -> Config {
    of(Profile::Hardened)
}

fn sync() -> Config {
    of(Profile::Sync)
}

fn broken(mutant: Mutant, profile: Profile) -> Config {
    Config {
        mutant: Some(mutant),
        ..of(profile)
    }
}

/// Tells a story; whether anything went wrong that must not.
fn tell(config: Config, n: usize, name: &str) -> Option<String> {
    let stage = check::<Iraft>(config, n, &format!("iraft/{name}.txt"));
    stage.violation().map(str::to_owned)
}

#[test]
fn normal_case_of_each_profile() {
    assert_eq!(tell(paper(), 3, "paper"), None);
    assert_eq!(tell(hardened(), 4, "hardened"), None);
    assert_eq!(tell(sync(), 3, "sync"), None);
}

#[test]
fn a_leader_shows_its_quorum_to_followers_who_are_none() {
    assert_eq!(tell(sync(), 2, "sync-of-two"), None);
    assert_eq!(tell(sync(), 4, "sync-without-one"), None);
}

#[test]
fn whoever_returns_without_having_waited_votes_again() {
    let config = Config {
        election_proof: false,
        ..sync()
    };
    assert_eq!(tell(config, 3, "sync-wait-of-a-crash"), None);
}

#[test]
fn a_proof_decides_nothing_but_what_it_is_about() {
    // n0 alone had decided what it forgot.
    assert!(tell(sync(), 3, "sync-stale-proof").is_some());
}

#[test]
fn whoever_gives_the_leader_up_convinces_the_others() {
    assert_eq!(tell(sync(), 4, "given-up-by-one"), None);
}

#[test]
fn whoever_is_starved_by_the_leader_asks_another_member() {
    assert_eq!(tell(hardened(), 4, "starved"), None);
}

#[test]
fn a_term_that_one_alone_has_entered_keeps_nobody_from_the_next() {
    assert_eq!(tell(hardened(), 4, "term-of-one"), None);
    let mute = broken(Mutant::RefuseWithoutReason, Profile::Hardened);
    let height = |config| {
        performed(config, 4, "term-of-one")
            .ledger(NodeId(1))
            .height()
    };
    assert_eq!((height(hardened()), height(mute)), (3, 2));
}

#[test]
fn a_term_that_nobody_proves_is_entered_by_whoever_hears_of_it() {
    let config = Config {
        dead_proof: false,
        ..hardened()
    };
    assert_eq!(tell(config, 4, "term-without-proof"), None);
}

#[test]
fn proofs_that_were_lost_are_shown_again() {
    let config = Config {
        monitors: Monitors::None,
        ..hardened()
    };
    assert_eq!(tell(config.clone(), 4, "lost-proof"), None);
    let once = Config {
        mutant: Some(Mutant::ShowProofsOnce),
        ..config.clone()
    };
    let heard = |config| performed(config, 4, "lost-proof").convictions().len();
    assert_eq!((heard(config), heard(once)), (3, 1));
}

#[test]
fn votes_that_were_lost_are_asked_for_again() {
    assert_eq!(tell(hardened(), 4, "lost-votes"), None);
}

/// Replicas that look for no contradictions.
fn credulous() -> Config {
    Config {
        identify: false,
        ..hardened()
    }
}

#[test]
fn whoever_is_misled_by_a_leader_that_stays_catches_up() {
    assert_eq!(tell(credulous(), 4, "misled"), None);
}

#[test]
fn conspirators_fork_no_two_certificates_of_the_credulous() {
    for n in [4, 5, 7] {
        assert_eq!(caught(&credulous(), n, runs() / 50), None, "{n}");
    }
}

#[test]
fn a_lying_leader_forks_three_in_one_round() {
    assert!(tell(paper(), 3, "fork-of-three").is_some());
}

#[test]
fn a_lying_leader_forks_nobody_who_waits_or_asks_twice() {
    assert_eq!(tell(sync(), 3, "no-fork-of-three"), None);
    assert_eq!(tell(hardened(), 4, "no-fork-of-four"), None);
}

#[test]
fn one_round_loses_what_one_node_decided() {
    let config = Config {
        quorum: Some(Quorum::Byzantine),
        ..paper()
    };
    assert!(tell(config, 7, "tangaroa").is_some());
}

#[test]
fn two_rounds_lose_nothing() {
    assert_eq!(tell(hardened(), 7, "no-tangaroa"), None);
}

#[test]
fn double_vote() {
    assert_eq!(tell(hardened(), 4, "double-vote"), None);
}

#[test]
fn disturber() {
    assert_eq!(tell(hardened(), 4, "disturber"), None);
}

#[test]
fn silent_leader() {
    assert_eq!(tell(hardened(), 4, "silent-leader"), None);
}

#[test]
fn the_next_leader_is_bound_by_what_was_prepared() {
    assert_eq!(tell(hardened(), 4, "prepared"), None);
}

#[test]
fn what_a_follower_holds_to_outlives_another_leader() {
    assert_eq!(tell(hardened(), 4, "branch"), None);
}

#[test]
fn returns_from_a_crash() {
    assert_eq!(tell(hardened(), 4, "returns-from-a-crash"), None);
}

#[test]
fn exclusion() {
    assert_eq!(tell(hardened(), 5, "exclusion"), None);
}

#[test]
fn lazy_vote() {
    assert_eq!(tell(hardened(), 7, "lazy-vote"), None);
}

#[test]
fn a_first_append_that_was_lost_is_sent_again() {
    let config = Config {
        append_max: 1,
        ..hardened()
    };
    assert_eq!(tell(config, 4, "lost-probe"), None);
}

#[test]
fn laggard_is_sent_a_snapshot() {
    let config = Config {
        compact_after: 2,
        ..paper()
    };
    assert_eq!(tell(config, 3, "snapshot"), None);
}

/// What ten transactions at the leader cost, by kind.
fn cost(config: &Config, n: usize) -> BTreeMap<&'static str, usize> {
    // Time stands still on a stage: nobody's wait ends by itself.
    let config = Config {
        uncommitted_max: 100,
        ..config.clone()
    };
    let mut stage: Stage<Iraft> = Stage::new(config, n, AT_ONCE);
    stage.fire_named(NodeId(0), "Election");
    stage.settle(&[]);
    stage.take_sent();
    for _ in 0..10 {
        stage.submit(NodeId(0));
        stage.settle(&[]);
    }
    stage.take_sent()
}

#[test]
fn a_transaction_costs_what_its_profile_costs() {
    for n in [1, 2, 3, 4, 7, 20] {
        let each = |kinds: &[&'static str]| -> BTreeMap<&'static str, usize> {
            let each = kinds.iter().map(|kind| (*kind, 10 * (n - 1)));
            each.filter(|(_, count)| *count > 0).collect()
        };
        let unwatched = |profile| Config {
            monitors: Monitors::None,
            ..of(profile)
        };
        let plain = ["append", "append-reply"];
        assert_eq!(cost(&unwatched(Profile::Paper), n), each(&plain), "{n}");
        let told = Config {
            commit_notice: true,
            ..unwatched(Profile::Paper)
        };
        let notice = ["append", "append-reply", "commit-notice"];
        assert_eq!(cost(&told, n), each(&notice), "{n}");
        let five = [
            "append",
            "append-reply",
            "prepared",
            "commit-vote",
            "committed",
        ];
        assert_eq!(cost(&unwatched(Profile::Hardened), n), each(&five), "{n}");
        let mut watched = each(&plain);
        watched.extend((n > 1).then_some(("append-reply", 10 * (n - 1) * (n - 1))));
        assert_eq!(cost(&of(Profile::Sync), n), watched, "{n}");
        // Each of f + 1 monitors hears the answers of all others but the leader's.
        let monitors = ((n - 1) / 3 + 1).min(n - 1);
        let mut watched = each(&five);
        let copies = (n - 1) + monitors * n.saturating_sub(2);
        watched.extend((n > 1).then_some(("append-reply", 10 * copies)));
        assert_eq!(cost(&of(Profile::Hardened), n), watched, "{n}");
    }
}

#[test]
fn no_schedule_forks_and_every_one_heals() {
    for profile in PROFILES {
        for seed in 0..100 {
            let n = 3 + (seed % 4) as usize;
            Chaos::rough(n, seed).survive::<Iraft>(of(profile));
        }
    }
}

/// Rough weather in which liars lie a lot.
const LYING: Weather = Weather {
    deliver: 300,
    overtake: 25,
    lose: 6,
    duplicate: 4,
    lie: 40,
    fire: 6,
    fire_any: 2,
    submit: 5,
    crash: 1,
    restart: 4,
};

/// A schedule among dishonest members, the first of whom is drawn.
fn among_liars(n: usize, liars: usize, seed: u64) -> Chaos {
    let first = seed as usize;
    Chaos {
        steps: 1500,
        weather: LYING,
        liars: (0..liars).map(|i| NodeId::at((first + i) % n)).collect(),
        ..Chaos::rough(n, seed)
    }
}

#[test]
fn hardened_replicas_survive_a_third_of_liars() {
    for seed in 0..runs() / 15 {
        let n = 4 + (seed % 4) as usize;
        among_liars(n, (n - 1) / 3, seed).survive::<Iraft>(hardened());
    }
}

#[test]
fn conspirators_fork_no_two_certificates() {
    for n in [4, 5, 6, 7] {
        for seed in 0..runs() / 10 {
            let conspiracy = Conspiracy::<Iraft>::new(hardened(), n, (n - 1) / 3, seed);
            assert_eq!(conspiracy.play(), None, "seed {seed}, n = {n}");
        }
    }
}

/// The first of so many conspiracies of f liars among n that convicts an honest replica or forks.
fn caught(config: &Config, n: usize, seeds: u64) -> Option<String> {
    (0..seeds).find_map(|seed| {
        let liars = (n - 1) / 3;
        let conspiracy = Conspiracy::<Iraft>::new(config.clone(), n, liars, seed);
        conspiracy.play()
    })
}

#[test]
fn conspirators_find_every_missing_guard() {
    for (mutant, n) in [
        (Mutant::PaperQuorumInHardened, 5),
        (Mutant::IgnorePreparedCertificate, 4),
        (Mutant::SkipCommitRound, 4),
        (Mutant::VotePersistLate, 4),
        (Mutant::ConvictOnSilence, 4),
        (Mutant::ConvictWithoutSignatureCheck, 7),
        (Mutant::EvidenceWrongTerm, 4),
    ] {
        let found = caught(&broken(mutant, Profile::Hardened), n, 2000);
        println!("{mutant:?}: {found:?}");
        assert!(found.is_some(), "{mutant:?}");
    }
}

#[test]
fn majorities_fork_under_conspirators() {
    assert!(caught(&paper(), 4, 500).is_some());
}

/// No proof that none do: `sync` promises nothing where messages are as late as here.
#[test]
fn conspirators_need_more_than_an_old_proof_to_fork_those_who_wait() {
    assert_eq!(caught(&sync(), 4, 500), None);
}

/// What becomes of a story with replicas of this configuration.
fn performed(config: Config, n: usize, name: &str) -> Stage<Iraft> {
    let mut stage: Stage<Iraft> = Stage::new(config, n, AT_ONCE);
    perform(&mut stage, &format!("iraft/{name}.txt"));
    stage
}

/// Who is convicted when a story of a lie is told to replicas of this configuration, and whether
/// the chain forks.
fn told(config: Config, n: usize, name: &str) -> (Vec<NodeId>, bool) {
    let stage = performed(config, n, name);
    let mut culprits: Vec<NodeId> = stage.convictions().iter().map(|(_, c)| *c).collect();
    culprits.sort_unstable();
    culprits.dedup();
    (culprits, stage.violation().is_some())
}

#[test]
fn who_throws_proofs_away_identifies_nobody() {
    for (name, liar) in [("no-fork-of-four", 0), ("double-vote", 3)] {
        assert_eq!(told(hardened(), 4, name).0, [NodeId(liar)], "{name}");
        let deaf = broken(Mutant::NeverConvict, Profile::Hardened);
        assert_eq!(told(deaf, 4, name).0, [], "{name}");
    }
}

#[test]
fn without_the_wait_a_lying_leader_forks_three() {
    let hasty = broken(Mutant::NoEquivocationWait, Profile::Sync);
    assert!(told(hasty, 3, "no-fork-of-three").1);
    assert!(!told(sync(), 3, "no-fork-of-three").1);
}

/// Any number of liars in any profile: no honest replica is convicted, ever. How many were.
fn accountability(seeds: std::ops::Range<u64>) -> usize {
    let mut convictions = 0;
    for seed in seeds {
        let n = 3 + (seed % 5) as usize;
        let profile = PROFILES[(seed / 5 % 3) as usize];
        let liars = (seed / 15) as usize % (n + 1);
        let chaos = Chaos {
            steps: 500,
            ..among_liars(n, liars, seed)
        };
        let config = Config {
            compact_after: if profile == Profile::Hardened {
                0
            } else {
                seed % 3
            },
            append_max: 1 + (seed % 4) as usize,
            monitors: [Monitors::None, Monitors::OneHonest, Monitors::All][(seed % 3) as usize],
            lazy_votes: seed % 7 != 0,
            ..of(profile)
        };
        let stage = chaos.endure::<Iraft>(config);
        convictions += chaos.convictions(&stage);
    }
    convictions
}

/// How many schedules are played.
fn runs() -> u64 {
    accountability_runs(3000)
}

#[test]
fn no_honest_replica_is_ever_convicted() {
    let runs = runs();
    let convictions = accountability(0..runs);
    println!("{convictions} convictions in {runs} runs, all of liars");
    assert!(convictions > 1000, "{convictions}");
}

/// Serves for about so many heartbeat intervals what n1 and n2 are asked, and n0 hears.
fn serve(stage: &mut Stage<Iraft>, intervals: usize) {
    for _ in 0..intervals {
        stage.fire_named(NodeId(0), "Heartbeat");
        stage.settle(&[]);
        for node in [1, 2].map(NodeId) {
            stage.submit(node);
            stage.settle(&[]);
        }
    }
}

/// n1 and n2 wait for a call that n0 has not heard, and hears when it is told again or not even
/// then. Whom they follow after two progress time-outs in which later calls are served.
fn after_passing_over(hears: bool) -> Option<NodeId> {
    let mut stage: Stage<Iraft> = Stage::new(hardened(), 4, AT_ONCE);
    let forwards = Which {
        from: None,
        to: Some(NodeId(0)),
        kind: Some("forward".into()),
    };
    stage.fire_named(NodeId(0), "Election");
    stage.settle(&[]);
    stage.submit(NodeId(1));
    stage.retry(NodeId(2), 0);
    stage.post(Post::Drop, &forwards);
    for again in [true, false] {
        serve(&mut stage, 30);
        assert_eq!(stage.status_of(NodeId(1)).leader, Some(NodeId(0)));
        for node in [1, 2].map(NodeId) {
            stage.fire_once(node, Timer::Progress);
        }
        if again && !hears {
            stage.post(Post::Drop, &forwards);
        }
        stage.settle(&[]);
    }
    assert_eq!(stage.unexecuted(NodeId(1)).is_empty(), hears);
    stage.status_of(NodeId(1)).leader
}

#[test]
fn a_leader_that_passes_somebody_over_is_told_again_and_then_given_up() {
    assert_eq!(after_passing_over(true), Some(NodeId(0)));
    assert_eq!(after_passing_over(false), None);
}

/// Has n0 lead twice and stall, until the others give it up; then it stands again.
fn after_two_stalls(config: Config) -> Stage<Iraft> {
    let mut stage: Stage<Iraft> = Stage::new(config, 4, AT_ONCE);
    let forwards = Which {
        from: None,
        to: Some(NodeId(0)),
        kind: Some("forward".into()),
    };
    for _ in 0..2 {
        stage.fire_named(NodeId(0), "Election");
        stage.settle(&[]);
        assert_eq!(stage.status_of(NodeId(1)).leader, Some(NodeId(0)));
        for node in [1, 2].map(NodeId) {
            stage.submit(node);
            stage.post(Post::Drop, &forwards);
            stage.fire_named(node, "Progress");
            stage.settle(&[]);
        }
        assert_eq!(stage.status_of(NodeId(1)).leader, None, "it is given up");
    }
    stage.fire_named(NodeId(0), "Election");
    stage.settle(&[]);
    stage
}

#[test]
fn a_leader_that_stalls_again_and_again_comes_after_all_others() {
    let leader = |config| after_two_stalls(config).status_of(NodeId(1)).leader;
    assert_eq!(leader(hardened()), Some(NodeId(0)));
    let reputation = Config {
        reputation: true,
        ..hardened()
    };
    assert_eq!(leader(reputation), None);
    for rank_slot in [Span::ZERO, Span::from_millis(10)] {
        let strikes = Config {
            strikes: 2,
            rank_slot,
            ..hardened()
        };
        let mut stage = after_two_stalls(strikes);
        assert_eq!(stage.status_of(NodeId(1)).leader, None, "{rank_slot}");
        // If nobody else stands in all that time, it leads after all.
        for _ in 0..2 {
            stage.fire_named(NodeId(0), "Election");
            stage.settle(&[]);
        }
        assert_eq!(stage.status_of(NodeId(1)).leader, Some(NodeId(0)));
    }
}

#[test]
fn reputation_costs_no_schedule_its_healing() {
    for seed in 0..40 {
        let config = Config {
            reputation: true,
            ..hardened()
        };
        Chaos::rough(4 + seed as usize % 4, seed).survive::<Iraft>(config);
    }
}
