//! Leaders that sign two things, and what becomes known of it; members that sign as if they led.

use std::sync::Arc;

use super::*;
use crate::base::crypto::{Crypto, Seats, Signer};
use crate::protocol::krbft::Message;
use crate::protocol::pbft::{self, ViewChange};

/// Delivers everything in four groups of four, with lies of one leader in messages of a kind to
/// some; who is convicted by whom.
fn convicted(config: Config, liar: u16, kind: &str, to: &[u16]) -> Vec<(NodeId, NodeId)> {
    let mut stage = settled(config, 4, 4);
    stage.submit(NodeId(0));
    pervert(&mut stage, |stage| {
        let (from, receiver, said) = stage.letter_at(0);
        from == NodeId(liar) && to.contains(&receiver.0) && said == kind
    });
    assert_eq!(stage.violation(), None);
    stage.convictions().to_vec()
}

/// Whether all others convict this one and nobody else.
fn all_know(convictions: &[(NodeId, NodeId)], liar: u16) -> bool {
    let others = (0..16).filter(|node| *node != liar);
    let known = |node| convictions.contains(&(NodeId(node), NodeId(liar)));
    convictions.iter().all(|(_, culprit)| culprit.0 == liar) && others.clone().all(known)
}

#[test]
fn a_false_block_with_a_true_certificate_convicts_its_leader() {
    for config in [certified_blocks(), hardened()] {
        let known = convicted(config, 4, "group-block", &[5]);
        assert!(all_know(&known, 4), "{known:?}");
    }
    let believed = convicted(paper(), 4, "group-block", &[5]);
    assert!(believed.is_empty(), "without certificates a word is a word");
}

#[test]
fn a_primary_that_proposes_two_batches_is_convicted_by_its_draft() {
    for fooled in [&[12][..], &[8, 12], &[4, 8, 12]] {
        let known = convicted(hardened(), 0, "pre-prepare", fooled);
        assert!(all_know(&known, 0), "{fooled:?}: {known:?}");
    }
}

#[test]
fn a_primary_whose_word_is_enough_is_convicted_by_what_others_prepare() {
    let watched = Config {
        supervision: true,
        ..paper()
    };
    for fooled in [&[12][..], &[8, 12]] {
        let known = convicted(watched.clone(), 0, "pre-prepare", fooled);
        assert!(all_know(&known, 0), "{fooled:?}: {known:?}");
        let known = convicted(paper(), 0, "pre-prepare", fooled);
        assert!(known.is_empty(), "nobody compares");
    }
}

#[test]
fn a_leader_that_asks_its_members_for_two_votes_is_convicted_by_what_was_decided() {
    for liar in [0, 4] {
        let known = convicted(hardened(), liar, "voice", &[liar + 3]);
        assert!(all_know(&known, liar), "{known:?}");
    }
}

#[test]
fn witnesses_compare_what_members_are_asked_for_before_anything_is_decided() {
    let knows = |witnesses| {
        let config = Config {
            witnesses,
            ..hardened()
        };
        let mut stage = settled(config, 4, 4);
        stage.submit(NodeId(0));
        // The primary has half of its group vote for another batch, so none gets enough voices.
        pervert(&mut stage, |stage| {
            let (from, to, kind) = stage.letter_at(0);
            from == NodeId(0) && to.0 >= 2 && kind == "voice"
        });
        assert_eq!(stage.ledger(NodeId(4)).height(), 0, "nothing counts");
        stage.convictions().to_vec()
    };
    assert!(knows(iraft::Monitors::None).is_empty());
    for witnesses in [iraft::Monitors::OneHonest, iraft::Monitors::All] {
        let known = knows(witnesses);
        assert!(all_know(&known, 0), "{known:?}");
    }
}

#[test]
fn votes_convict_nodes_and_not_their_seats() {
    // The same schedules that convict nobody honest do if a seat answers for all who ever held it.
    let guilty = std::panic::catch_unwind(|| accountability(0..64, Some(Mutant::SeatsAreGuilty)));
    assert!(guilty.is_err(), "no successor contradicts its predecessor");
}

/// Four groups of four; n4 has led the second, and has handed a false block to n5. Those told are
/// shown the proof, the others are not.
fn convicted_before(config: Config, told: impl Fn(u16) -> bool) -> Stage<Krbft> {
    let mut stage = settled(config, 4, 4);
    stage.submit(NodeId(0));
    while stage.pending() > 0 {
        let (from, to, kind) = stage.letter_at(0);
        if kind == "exposure" && !told(to.0) {
            stage.post_at(Post::Drop, 0);
        } else if (from, to, kind) == (NodeId(4), NodeId(5), "group-block") {
            stage.post_at(Post::Lie, 0);
            stage.post_at(Post::Deliver, stage.pending() - 1);
        } else {
            stage.post_at(Post::Deliver, 0);
        }
    }
    stage
}

/// Whether n4 leads its group again, if it asks for it.
fn elected_again(stage: &mut Stage<Krbft>) -> bool {
    for _ in 0..3 {
        stage.fire_named(NodeId(4), "Group(Election");
        stage.settle(&[]);
    }
    stage.take_sent().contains_key("hand-over")
}

#[test]
fn whoever_is_convicted_is_not_elected_again() {
    let again = |config| {
        let mut stage = convicted_before(config, |_| true);
        stage.take_sent();
        elected_again(&mut stage)
    };
    assert!(!again(hardened()));
    assert!(again(broken(Mutant::ConvictedLead)));
}

#[test]
fn a_group_that_has_missed_the_proof_is_shown_it_again() {
    let reminded = |config| {
        // n5 has found it, and is the only one of its group that knows; others do.
        let mut stage = convicted_before(config, |node| !(4..8).contains(&node));
        let knows = |stage: &Stage<Krbft>, node| {
            let known = (NodeId(node), NodeId(4));
            stage.convictions().contains(&known)
        };
        assert!(knows(&stage, 5) && knows(&stage, 0));
        assert!(!knows(&stage, 6) && !knows(&stage, 7));
        // It goes on, and says so.
        stage.fire_named(NodeId(4), "Council");
        stage.settle(&[]);
        knows(&stage, 6) && knows(&stage, 7)
    };
    assert!(reminded(hardened()));
    assert!(!reminded(broken(Mutant::NeverRemind)));
}

/// Whether the committee gets another primary because members of two groups, who do not lead them,
/// ask for one in the names of their seats.
fn followers_depose_the_primary(config: Config) -> bool {
    let mut stage = settled(config, 4, 4);
    let (signers, _) = Signer::mint(16, Crypto::Modelled, 1);
    for (member, group) in [(5, 1), (9, 2)] {
        let seat = Seats::name(group);
        let change = signers[member].for_seat(seat).sign(ViewChange {
            view: 1,
            stable: None,
            prepared: Vec::new(),
            accepted: Vec::new(),
        });
        let wants = pbft::Message::ViewChange {
            change: Arc::new(change),
            again: false,
        };
        for leader in [0, 12] {
            let message = Message::Committee {
                seat,
                message: Box::new(wants.clone()),
            };
            stage.inject(NodeId::at(member), NodeId(leader), message);
        }
    }
    stage.settle(&[]);
    stage.status_of(NodeId(0)).leader != Some(NodeId(0))
}

#[test]
fn nobody_but_its_leader_speaks_for_a_group() {
    assert!(!followers_depose_the_primary(paper()));
    let counts_nodes = Config {
        mutant: Some(Mutant::CommitteeCountsNodes),
        ..paper()
    };
    assert!(followers_depose_the_primary(counts_nodes));
}
