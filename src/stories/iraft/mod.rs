//! The stories of the improved RAFT, and the improved RAFT in rough weather among liars.

use std::collections::BTreeMap;

use super::{AT_ONCE, Chaos, Stage, Weather};
use crate::base::node::NodeId;
use crate::protocol::iraft::{Config, Iraft, Monitors, Profile};

fn of(profile: Profile) -> Config {
    Config {
        profile,
        ..Config::default()
    }
}

const PROFILES: [Profile; 3] = [Profile::Paper, Profile::Hardened, Profile::Sync];

/// What ten transactions at the leader cost, by kind.
fn cost(config: Config, n: usize) -> BTreeMap<&'static str, usize> {
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
        assert_eq!(cost(unwatched(Profile::Paper), n), each(&plain), "{n}");
        let told = Config {
            commit_notice: true,
            ..unwatched(Profile::Paper)
        };
        let notice = ["append", "append-reply", "commit-notice"];
        assert_eq!(cost(told, n), each(&notice), "{n}");
        let five = [
            "append",
            "append-reply",
            "prepared",
            "commit-vote",
            "committed",
        ];
        assert_eq!(cost(unwatched(Profile::Hardened), n), each(&five), "{n}");
        let mut watched = each(&plain);
        watched.extend((n > 1).then_some(("append-reply", 10 * (n - 1) * (n - 1))));
        assert_eq!(cost(of(Profile::Sync), n), watched, "{n}");
        // Each of f + 1 monitors hears the answers of all others but the leader's.
        let monitors = ((n - 1) / 3 + 1).min(n - 1);
        let mut watched = each(&five);
        let copies = (n - 1) + monitors * n.saturating_sub(2);
        watched.extend((n > 1).then_some(("append-reply", 10 * copies)));
        assert_eq!(cost(of(Profile::Hardened), n), watched, "{n}");
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
