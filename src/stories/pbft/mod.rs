//! The stories of PBFT, and PBFT in rough weather among liars.

use std::collections::BTreeMap;

use super::stage::Volume;
use super::{AT_ONCE, Chaos, Conspiracy, Stage, Weather, check, perform, play};
use crate::base::node::NodeId;
use crate::protocol::pbft::{Config, Mutant, Pbft};

/// Checkpoints so close together that a story reaches them.
fn near() -> Config {
    Config {
        checkpoint_interval: 3,
        window: 6,
        pipeline: 4,
        ..Config::default()
    }
}

fn broken(mutant: Mutant) -> Config {
    Config {
        mutant: Some(mutant),
        ..near()
    }
}

#[test]
fn decides() {
    check::<Pbft>(near(), 4, "pbft/decides.txt");
}

#[test]
fn decides_without_one() {
    check::<Pbft>(near(), 4, "pbft/decides-without-one.txt");
}

#[test]
fn leader_silent() {
    check::<Pbft>(near(), 4, "pbft/leader-silent.txt");
}

#[test]
fn equivocating_leader() {
    check::<Pbft>(near(), 4, "pbft/equivocating-leader.txt");
}

#[test]
fn preserves_decided() {
    check::<Pbft>(near(), 4, "pbft/preserves-decided.txt");
}

#[test]
fn overtaken_new_view() {
    check::<Pbft>(near(), 4, "pbft/overtaken-new-view.txt");
}

#[test]
fn state_transfer() {
    check::<Pbft>(near(), 4, "pbft/state-transfer.txt");
}

#[test]
fn lagging_by_checkpoint() {
    check::<Pbft>(near(), 4, "pbft/lagging-by-checkpoint.txt");
}

#[test]
fn checkpoints_lost() {
    check::<Pbft>(near(), 4, "pbft/checkpoints-lost.txt");
}

#[test]
fn watermark_lost() {
    let stage = check::<Pbft>(near(), 4, "pbft/watermark-lost.txt");
    assert_eq!(stage.status_of(NodeId(0)).view, 0);
}

/// How far n1 and n3 come in a story without a guard.
fn heights_without(guard: Mutant, name: &str) -> [u64; 2] {
    let config = Config {
        mutant: Some(guard),
        ..near()
    };
    let mut stage: Stage<Pbft> = Stage::new(config, 4, AT_ONCE);
    perform(&mut stage, &format!("pbft/{name}.txt"));
    [1, 3].map(|node| stage.ledger(NodeId(node)).height())
}

#[test]
fn lost_request() {
    let stage = check::<Pbft>(near(), 4, "pbft/lost-request.txt");
    assert_eq!(stage.ledger(NodeId(1)).height(), 1);
    let silent = heights_without(Mutant::SilentWhileAwaiting, "lost-request");
    assert_eq!(silent, [0, 0]);
}

#[test]
fn lost_new_view() {
    let stage = check::<Pbft>(near(), 4, "pbft/lost-new-view.txt");
    assert_eq!(stage.ledger(NodeId(3)).height(), 2);
    let deaf = heights_without(Mutant::DeafToLaterViews, "lost-new-view");
    assert_eq!(deaf, [2, 0]);
}

/// n3 misses what the others decide. Then all four crash and return, and whatever they say of it
/// at first is lost. Nothing more is asked for; how far each comes.
fn heights_when_all_return(mutant: Option<Mutant>) -> [u64; 4] {
    let config = Config {
        mutant,
        ..Config::default()
    };
    let mut stage: Stage<Pbft> = Stage::new(config, 4, AT_ONCE);
    let all = [0, 1, 2, 3].map(NodeId);
    for _ in 0..2 {
        stage.submit(NodeId(0));
        stage.settle(&all[..3]);
    }
    // With the next votes, which are lost, the blocks are on disk.
    play(&mut stage, "drop *\nsubmit n0\n");
    play(
        &mut stage,
        "drop *->n3 pre-prepare\ndeliver * pre-prepare\ndrop *\n",
    );
    all.iter().for_each(|node| stage.crash(*node));
    for node in all {
        stage.restart(node, false);
    }
    play(&mut stage, "drop *\n");
    let heights = |stage: &Stage<Pbft>| all.map(|node| stage.ledger(node).height());
    assert_eq!(heights(&stage), [2, 2, 2, 0]);
    play(&mut stage, "fire n0 Status\nsettle\n");
    heights(&stage)
}

/// n0 and n1 look after n3, and have no reason to believe that it has come as far.
#[test]
fn who_missed_the_last_blocks_hears_of_them_though_all_have_crashed() {
    assert_eq!(heights_when_all_return(None), [2; 4]);
    let careless = heights_when_all_return(Some(Mutant::CarelessAfterCrash));
    assert_eq!(careless, [2, 2, 2, 0]);
}

#[test]
fn one_proposal() {
    check::<Pbft>(near(), 4, "pbft/one-proposal.txt");
}

#[test]
fn returns_from_a_crash() {
    check::<Pbft>(near(), 4, "pbft/returns-from-a-crash.txt");
}

#[test]
fn crash_while_writing() {
    check::<Pbft>(near(), 4, "pbft/crash-while-writing.txt");
}

#[test]
fn forged_new_view() {
    check::<Pbft>(near(), 4, "pbft/forged-new-view.txt");
}

#[test]
fn f_silent() {
    check::<Pbft>(near(), 7, "pbft/f-silent.txt");
}

#[test]
fn one_lie_too_many() {
    check::<Pbft>(near(), 4, "pbft/one-lie-too-many.txt");
}

#[test]
fn small_quorum() {
    check::<Pbft>(near(), 5, "pbft/small-quorum.txt");
}

#[test]
fn join() {
    check::<Pbft>(near(), 4, "pbft/join.txt");
}

#[test]
fn gap() {
    check::<Pbft>(near(), 4, "pbft/gap.txt");
}

#[test]
fn leaders_in_a_row() {
    check::<Pbft>(near(), 7, "pbft/leaders-in-a-row.txt");
}

#[test]
fn unfair_leader() {
    const STORY: &str = include_str!("unfair-leader.txt");
    let stage = check::<Pbft>(near(), 4, "pbft/unfair-leader.txt");
    assert_eq!(stage.unexecuted(NodeId(1)), [0; 0]);
    // Whoever does not look for it follows that leader for ever.
    let mut stage = Stage::new(broken(Mutant::NoFairness), 4, AT_ONCE);
    play::<Pbft>(&mut stage, STORY);
    assert_eq!(stage.unexecuted(NodeId(1)), [0]);
}

#[test]
fn absent_minded_leader() {
    check::<Pbft>(near(), 4, "pbft/absent-minded-leader.txt");
}

#[test]
fn left_view() {
    check::<Pbft>(near(), 4, "pbft/left-view.txt");
}

#[test]
fn small_quorum_broken() {
    let config = broken(Mutant::QuorumTwoFPlusOne);
    check::<Pbft>(config, 5, "pbft/small-quorum-broken.txt");
}

#[test]
fn join_broken() {
    check::<Pbft>(broken(Mutant::NoJoinRule), 4, "pbft/join-broken.txt");
}

/// How many messages of each kind one batch takes, in the order of the alphabet.
fn messages_of_a_batch(n: usize, batches: usize) -> Vec<(String, usize)> {
    let mut stage: Stage<Pbft> = Stage::new(near(), n, AT_ONCE);
    for _ in 1..batches {
        stage.submit(NodeId(0));
        stage.settle(&[]);
    }
    stage.set_volume(Volume::Plain);
    stage.take_output();
    stage.submit(NodeId(0));
    stage.settle(&[]);
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for line in stage
        .take_output()
        .lines()
        .filter(|line| line.contains("->"))
    {
        let kind = line.rsplit(' ').next().unwrap_or_default();
        *count.entry(kind.to_owned()).or_default() += 1;
    }
    count.into_iter().collect()
}

#[test]
fn a_batch_takes_two_n_times_n_minus_one_messages() {
    for n in 2..=20 {
        let mut expected = vec![
            ("commit".to_owned(), n * (n - 1)),
            ("pre-prepare".to_owned(), n - 1),
            ("prepare".to_owned(), (n - 1) * (n - 1)),
        ];
        assert_eq!(messages_of_a_batch(n, 1), expected);
        assert_eq!(messages_of_a_batch(n, 2), expected);
        expected.insert(0, ("checkpoint".to_owned(), n * (n - 1)));
        assert_eq!(messages_of_a_batch(n, 3), expected);
    }
    assert_eq!(messages_of_a_batch(1, 1), []);
}

const ROUGH: Weather = Weather {
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

/// A schedule among `liars` dishonest members, who lead first.
fn chaos(n: usize, liars: usize, seed: u64) -> Chaos {
    Chaos {
        steps: 1500,
        weather: ROUGH,
        liars: (0..liars).map(NodeId::at).collect(),
        ..Chaos::rough(n, seed)
    }
}

#[test]
fn honest_replicas_survive_rough_weather() {
    for seed in 0..150 {
        chaos(1 + (seed % 7) as usize, 0, seed).survive::<Pbft>(near());
    }
}

#[test]
fn replicas_survive_rough_weather_among_liars() {
    for seed in 0..200 {
        let n = 4 + (seed % 4) as usize;
        chaos(n, (n - 1) / 3, seed).survive::<Pbft>(near());
    }
}

/// The first of so many seeds that shows a fork or a slander.
fn fork(config: &Config, n: usize, liars: usize, seeds: u64) -> Option<u64> {
    (0..seeds).find(|&seed| {
        let violation = Conspiracy::<Pbft>::new(config.clone(), n, liars, seed).play();
        violation.is_some()
    })
}

#[test]
fn f_conspirators_never_fork_the_chain() {
    for n in [4, 5, 6, 7] {
        assert_eq!(fork(&near(), n, (n - 1) / 3, 300), None, "n = {n}");
    }
}

#[test]
fn conspirators_find_every_missing_guard() {
    for mutant in [
        Mutant::SkipPrepare,
        Mutant::NewViewIgnoresPrepared,
        Mutant::CommitQuorumLow,
        Mutant::PrepareQuorumLow,
        Mutant::AcceptSecondPrePrepare,
        Mutant::NoNewViewVerify,
        Mutant::KeepVotingAfterViewChange,
        Mutant::ViewChangeQuorumLow,
        Mutant::PersistLate,
    ] {
        assert!(fork(&broken(mutant), 4, 1, 3000).is_some(), "{mutant:?}");
    }
}

#[test]
fn quorums_of_2f_plus_1_are_too_small_unless_n_is_3f_plus_1() {
    let config = broken(Mutant::QuorumTwoFPlusOne);
    for n in [5, 6] {
        assert!(fork(&config, n, 1, 200).is_some(), "n = {n}");
    }
    assert_eq!(fork(&config, 4, 1, 200), None);
}

#[test]
fn one_conspirator_too_many_forks_the_chain() {
    for n in [4, 7] {
        assert!(fork(&near(), n, (n - 1) / 3 + 1, 500).is_some(), "n = {n}");
    }
}
