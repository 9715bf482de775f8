//! The attacks in small: what each protocol must do, whatever the numbers.

use super::*;

fn small() -> Study {
    let plan = Plan {
        nodes: vec![7, 100],
        seeds: 2,
        entries: 20,
        altered: 3,
        rounds: 12,
    };
    study(&plan, &|_| {})
}

/// Raft has nobody to blame. The improved Raft finds an unsigned call where it arrives; whether a
/// signature is worth something only the contract can say, and it says so under both.
#[test]
fn an_altered_entry_is_found_or_does_nothing() {
    for row in small().tampering {
        let convicts = row.protocol == "iraft" && row.alteration == Alteration::Unsigned;
        assert_eq!(row.found, if convicts { row.altered } else { 0 }, "{row:?}");
        assert_eq!(row.delays_max, convicts.then_some(1.0), "{row:?}");
        assert_eq!(row.accepted, 0, "{row:?}");
    }
}

#[test]
fn only_a_raft_without_pre_votes_deposes_a_leader_that_lives() {
    for row in small().ballots {
        let open = row.protocol == "raft-without-pre-vote";
        assert_eq!(row.elected, open, "{row:?}");
        assert_eq!(row.votes > row.nodes as u64 / 2, open, "{row:?}");
        if !open {
            assert_eq!(row.votes, 0, "{row:?}");
        }
    }
}

#[test]
fn the_interval_of_audits_goes_as_in_the_publication() {
    let audit = small().audit;
    let interval = |round: usize| (audit[round].honest, audit[round].liar);
    assert_eq!(interval(0), (8, 8));
    assert_eq!(interval(9).0, 8);
    assert_eq!(interval(10).0, 16);
    assert!((2..8).all(|round| interval(round).1 >= 1));
    assert_eq!(interval(12).1, 1);
}

#[test]
fn files_are_read_as_they_are_written() {
    let study = small();
    let files = study.files();
    let bytes = |place: usize| Some(files[place].1.clone());
    assert_eq!(Study::read([bytes(0), bytes(1), bytes(2)]), Ok(study));
}
