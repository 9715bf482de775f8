//! The stories of one network of the layers: four consensus nodes n0 to n3, an index node n4, and
//! record nodes n5 to n7. The patient is registered at n5 and n6, or at n5 alone; the doctor to
//! whom grants are made works at n6.

mod between;
mod ends;
mod guards;
mod iraft;
mod leaders;

use super::{AT_ONCE, Stage, check, play};
use crate::protocol::layers::{Auth, Config, Layers, Mutant};

/// One network, without a patient elsewhere.
fn alone() -> Config {
    Config {
        edges: 1,
        index: 1,
        remote: 0,
        ..Config::default()
    }
}

/// The same, with each patient at one hospital.
fn single() -> Config {
    Config {
        hospitals: 1,
        ..alone()
    }
}

fn tell(config: Config, name: &str) {
    let stage = check::<Layers>(config, 8, &format!("layers/{name}.txt"));
    assert_eq!(stage.violation(), None, "{name}");
}

#[test]
fn storage() {
    tell(alone(), "storage");
}

#[test]
fn approval() {
    let config = Config {
        auth: Auth::PerTransfer,
        ..alone()
    };
    tell(config, "approval");
}

#[test]
fn silent_in_the_poll() {
    tell(alone(), "silent-in-the-poll");
}

#[test]
fn false_presence() {
    tell(alone(), "false-presence");
}

#[test]
fn false_presence_believed() {
    let config = Config {
        mutant: Some(Mutant::TrustPresence),
        ..alone()
    };
    tell(config, "false-presence-believed");
}

#[test]
fn lost_delivery() {
    tell(alone(), "lost-delivery");
}

#[test]
fn migration() {
    tell(single(), "migration");
}

#[test]
fn altered_migration() {
    tell(single(), "altered-migration");
}

#[test]
fn stalled_migration() {
    tell(single(), "stalled-migration");
}

#[test]
fn two_grants() {
    tell(single(), "two-grants");
}

#[test]
fn ended() {
    tell(single(), "ended");
}

#[test]
fn altered_delivery() {
    tell(alone(), "altered-delivery");
}

#[test]
fn asked_again() {
    tell(alone(), "asked-again");
}

#[test]
fn found() {
    tell(alone(), "found");
    tell(alone(), "found-beyond-a-gap");
}

/// One network whose members forget what they can prove as soon as all of them have decided it.
fn forgetful() -> Config {
    let mut config = single();
    config.pbft.checkpoint_interval = 1;
    config
}

#[test]
fn proof_kept() {
    tell(forgetful(), "proof-kept");
}

#[test]
fn proof_asked() {
    tell(forgetful(), "proof-asked");
}

#[test]
fn asked_late() {
    tell(alone(), "asked-late");
}

#[test]
fn leader_forgotten() {
    tell(alone(), "leader-forgotten");
}

#[test]
fn leader_missed() {
    tell(alone(), "leader-missed");
}

#[test]
fn to_and_fro() {
    tell(alone(), "to-and-fro");
}

/// A hospital without its disk has more headers to learn than one answer holds.
#[test]
fn who_has_lost_its_disk_asks_until_it_has_everything() {
    let mut stage: Stage<Layers> = Stage::new(alone(), 8, AT_ONCE);
    play(&mut stage, "silent\ndeliver * leader\n");
    for _ in 0..300 {
        play(&mut stage, "submit-read n0\nsettle\n");
    }
    play(&mut stage, "crash n7\nrestart n7 amnesia\n");
    stage.take_sent();
    play(&mut stage, "fire n7 Compare\nsettle\n");
    assert_eq!(stage.take_sent().get("compare"), Some(&2));
}
