//! The stories of MBFT, and MBFT in rough weather.

mod overdue;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::calls::PATIENTS;
use super::{AT_ONCE, Chaos, Stage, Weather, check};
use crate::base::crypto::{Certificate, Crypto, Digest, Signer};
use crate::base::node::{Committee, NodeId};
use crate::base::time::Span;
use crate::chain::{Batch, Transaction, TransactionId};
use crate::contract::SignedCall;
use crate::protocol::mbft::{
    Config, GroupChange, Mbft, Message, Mini, Phase, Publish, Recovery, Selection, SubmitTo,
};
use crate::protocol::mempool::BatchRule;

/// A network of so many groups of four under four.
fn of(groups: usize) -> Config {
    Config {
        groups: Some(groups),
        ..Config::default()
    }
}

/// The same, whose blocks are published without transactions.
fn sparse(groups: usize) -> Config {
    Config {
        publish: Publish::Sparse,
        selection: Selection::Fixed,
        ..of(groups)
    }
}

/// Tells a story; whether anything went wrong that must not.
fn tell(config: Config, n: usize, name: &str) -> Option<String> {
    let stage = check::<Mbft>(config, n, &format!("mbft/{name}.txt"));
    stage.violation().map(str::to_owned)
}

#[test]
fn decides() {
    assert_eq!(tell(of(1), 8, "decides"), None);
}

#[test]
fn slow_path() {
    assert_eq!(tell(of(1), 8, "slow-path"), None);
}

#[test]
fn silent_group_primary() {
    assert_eq!(tell(of(1), 8, "silent-group-primary"), None);
}

#[test]
fn keeps_what_was_accepted() {
    assert_eq!(tell(of(1), 8, "keeps-what-was-accepted"), None);
}

#[test]
fn withheld_mini_block() {
    assert_eq!(tell(of(1), 8, "withheld-mini-block"), None);
}

#[test]
fn silent_upper_primary() {
    assert_eq!(tell(of(1), 8, "silent-upper-primary"), None);
}

#[test]
fn missed_block() {
    assert_eq!(tell(of(1), 8, "missed-block"), None);
}

#[test]
fn lying_group_primary() {
    assert_eq!(tell(of(1), 8, "lying-group-primary"), None);
}

#[test]
fn lying_upper_primary() {
    assert_eq!(tell(of(1), 8, "lying-upper-primary"), None);
}

#[test]
fn two_groups() {
    assert_eq!(tell(of(2), 12, "two-groups"), None);
}

#[test]
fn window() {
    let config = Config { window: 2, ..of(1) };
    assert_eq!(tell(config, 8, "window"), None);
}

#[test]
fn returns_from_a_crash() {
    assert_eq!(tell(of(1), 8, "returns-from-a-crash"), None);
}

#[test]
fn a_missed_body_is_fetched() {
    assert_eq!(tell(sparse(1), 8, "sparse"), None);
}

#[test]
fn order_before_its_view() {
    assert_eq!(tell(of(1), 8, "order-before-view"), None);
}

#[test]
fn what_came_late_is_not_ordered_again() {
    assert_eq!(tell(sparse(1), 8, "late-request"), None);
}

#[test]
fn who_has_signed_keeps_what_was_ordered_anew() {
    let config = Config {
        window: 2,
        ..sparse(1)
    };
    assert_eq!(tell(config, 8, "ordered-anew"), None);
}

/// What one large block costs, by kind, to which every group has contributed; `slow` if the
/// primaries give up waiting for the answers of all before the first has come.
fn cost(n: usize, config: &Config, slow: bool) -> BTreeMap<&'static str, usize> {
    let rule = BatchRule {
        max: 1000,
        wait: Span::from_millis(50),
        ..BatchRule::default()
    };
    let mut stage: Stage<Mbft> = Stage::new(config.clone(), n, rule);
    let (groups, m, h) = (config.groups_of(n), config.group_size, config.upper_size);
    for patient in 1..PATIENTS {
        stage.submit_of(NodeId(0), patient);
    }
    stage.settle(&[]);
    stage.take_sent();
    let primaries: Vec<NodeId> = (0..groups).map(|g| NodeId::at(h + g * m)).collect();
    for primary in &primaries {
        stage.fire_named(*primary, "Batch");
        if slow {
            stage.fire_named(*primary, "Fast");
        }
    }
    stage.settle(&[]);
    assert!((0..n).all(|node| stage.ledger(NodeId::at(node)).height() == 1));
    assert_eq!(stage.unexecuted(NodeId(0)), [0; 0], "every group took part");
    stage.take_sent()
}

#[test]
fn a_large_block_costs_what_the_formula_says() {
    for (n, g, m, h, fast, slow) in [
        (8, 1, 4, 4, 38, 44),
        (12, 2, 4, 4, 52, 64),
        (20, 4, 4, 4, 80, 104),
        (40, 9, 4, 4, 150, 204),
        (100, 24, 4, 4, 360, 504),
        (101, 13, 7, 10, 557, 713),
    ] {
        let config = Config {
            group_size: m,
            upper_size: h,
            ..of(g)
        };
        let kinds = |slow: bool| {
            let mut expected = BTreeMap::from([
                ("order-request", g * (m - 1)),
                ("speculative-reply", g * (m - 1)),
                ("mini-block", g * h),
                ("pre-prepare", h - 1),
                ("prepare", (h - 1) * (h - 1)),
                ("commit", h * (h - 1)),
                ("large-block", n - h),
            ]);
            if slow {
                expected.insert("commit-request", g * (m - 1));
                expected.insert("local-commit", g * (m - 1));
            }
            expected
        };
        for (late, total) in [(false, fast), (true, slow)] {
            let cost = cost(n, &config, late);
            assert_eq!(cost, kinds(late), "{n} nodes in {g} groups");
            assert_eq!(
                cost.values().sum::<usize>(),
                total,
                "{n} nodes in {g} groups"
            );
        }
    }
}

#[test]
fn publishing_without_transactions_costs_as_many_messages() {
    for (n, groups) in [(8, 1), (12, 2), (21, 4)] {
        assert_eq!(
            cost(n, &sparse(groups), false),
            cost(n, &of(groups), false),
            "{n} nodes in {groups} groups"
        );
    }
}

#[test]
fn a_speaker_alone_is_sent_one_mini_block_of_each_group() {
    let config = Config {
        submit_to: SubmitTo::Speaker,
        ..of(3)
    };
    assert_eq!(cost(17, &config, false)["mini-block"], 3);
    let total: usize = cost(17, &config, false).values().sum();
    assert_eq!(total, 3 * (2 * 3 + 1) + 2 * 4 * 3 + 13);
}

#[test]
fn no_schedule_forks_and_every_one_heals() {
    for seed in 0..150 {
        let n = 8 + (seed % 6) as usize;
        Chaos::rough(n, seed).survive::<Mbft>(of(1 + usize::from(n >= 12)));
    }
}

#[test]
fn no_schedule_forks_heads_and_every_one_heals() {
    for seed in 0..150 {
        let n = 8 + (seed % 6) as usize;
        Chaos::rough(n, seed).survive::<Mbft>(sparse(1 + usize::from(n >= 12)));
    }
}

#[test]
fn no_schedule_of_elections_forks_and_every_one_heals() {
    for seed in 0..150 {
        let n = 9 + (seed % 6) as usize;
        let selections = [Selection::Weighted, Selection::Uniform, Selection::Vrf];
        let config = Config {
            cycle: 8,
            election: 6,
            selection: selections[(seed % 3) as usize],
            recovery: [Recovery::Shares, Recovery::LateOnly][(seed % 2) as usize],
            ..of(1 + usize::from(n >= 12))
        };
        let chaos = Chaos {
            steps: 1_500,
            ..Chaos::rough(n, seed)
        };
        chaos.survive::<Mbft>(config);
    }
}

#[test]
fn a_liar_in_every_committee_forks_nothing() {
    for seed in 0..150 {
        let liars = [0, 4, 8].map(|first| NodeId(first + (seed % 4) as u16));
        let chaos = Chaos {
            steps: 1_000,
            liars: liars.to_vec(),
            weather: Weather {
                lie: 40,
                ..Weather::ROUGH
            },
            ..Chaos::rough(13, seed)
        };
        chaos.survive::<Mbft>(of(2));
        chaos.survive::<Mbft>(sparse(2));
        let stage = chaos.endure::<Mbft>(of(2));
        for (by, culprit) in stage.convictions() {
            assert!(liars.contains(culprit), "{seed}: {by} convicts {culprit}");
        }
    }
}

/// A mini-block of the first group of a network of eight.
fn mini(slot: u64, base: u64) -> Arc<Mini> {
    let transaction = Transaction::new(
        TransactionId::new(NodeId(8), base),
        SignedCall::sample(base),
    );
    Mini {
        epoch: 0,
        group: 0,
        slot,
        previous: Digest::ZERO,
        base,
        batch: Batch::new(vec![transaction]),
        doubtful: Vec::new(),
        digest: Digest::ZERO,
    }
    .sealed()
}

/// The same, which all members of the group have signed.
fn certified(slot: u64, base: u64) -> Message {
    let (signers, _) = Signer::mint(8, Crypto::Modelled, 1);
    let group = Committee::new((4..8).map(NodeId).collect());
    let mini = mini(slot, base);
    let mut proof = Certificate::open(mini.vote(Phase::Speculative, 0));
    for signer in &signers[4..] {
        assert!(proof.add(&signer.sign(*proof.body()), &group));
    }
    let proof = Arc::new(proof);
    Message::MiniBlock { mini, proof }
}

#[test]
fn who_is_sent_its_own_words_again_does_not_answer_itself() {
    let mut stage: Stage<Mbft> = Stage::new(of(1), 8, AT_ONCE);
    let (signers, _) = Signer::mint(8, Crypto::Modelled, 1);
    let mini = mini(1, 0);
    let vote = signers[4].sign(mini.vote(Phase::Speculative, 0));
    stage.inject(NodeId(7), NodeId(4), Message::Order { vote, mini });
    stage.settle(&[]);
    assert_eq!(stage.take_sent(), BTreeMap::new(), "it would have to vote");
    // The same of a view that was asked for and is open.
    stage.crash(NodeId(4));
    stage.submit(NodeId(0));
    stage.fire_named(NodeId(0), "Forward");
    stage.settle(&[]);
    stage.fire_named(NodeId(5), "Group");
    stage.fire_named(NodeId(6), "Group");
    stage.settle(&[]);
    assert_eq!(stage.take_sent()["group-new-view"], 3);
    let change = Arc::new(signers[6].sign(GroupChange {
        epoch: 0,
        group: 0,
        view: 1,
        slot: 1,
        accepted: None,
        proven: None,
    }));
    for (member, told) in [(5, 1), (6, 0)] {
        let message = Message::GroupChange(change.clone());
        stage.inject(NodeId(7), NodeId(member), message);
        stage.settle(&[]);
        let sent = stage.take_sent().into_values().sum::<usize>();
        assert_eq!(sent, told, "n{member} tells n6 that the view is open");
    }
}

#[test]
fn of_two_certified_mini_blocks_of_one_slot_one_enters_the_chain() {
    for first in [0, 1] {
        let mut stage: Stage<Mbft> = Stage::new(of(1), 8, AT_ONCE);
        // A whole group lies: the upper group hears of both, half of it of each one first.
        for member in 0..4 {
            for turn in [first + member, first + member + 1] {
                let message = certified(1, u64::from(turn % 2));
                stage.inject(NodeId(4), NodeId(member), message);
            }
        }
        stage.settle(&[]);
        let ledgers = (0..8).map(|node| stage.ledger(NodeId(node)).height());
        assert!(ledgers.eq([1; 8]), "one block, and nothing after it");
        let block = stage.ledger(NodeId(7)).block(1).unwrap();
        assert_eq!(block.batch.len(), 1);
        assert_eq!(stage.violation(), None);
        // Whichever it was, the other comes too late.
        stage.inject(NodeId(4), NodeId(0), certified(1, 0));
        stage.inject(NodeId(4), NodeId(0), certified(1, 1));
        stage.settle(&[]);
        assert_eq!(stage.ledger(NodeId(0)).height(), 1);
    }
}
