//! Protocols with one guard left out, in whole simulations of random trouble: the checks notice.
//! With all guards in place they notice nothing.

use super::{scenario, yaml};
use crate::base::node::PositionSet;
use crate::base::random::{Random, Stream};
use crate::base::time::{Span, Time};
use crate::observe::checks::{CheckSetup, Checks, LivenessJudge, Property, Verdict, Word};
use crate::protocol::Protocol;
use crate::protocol::iraft::{self, Iraft};
use crate::protocol::pbft::{self, Pbft};
use crate::protocol::raft::{self, Raft};
use crate::scenario::Scenario;
use crate::scenario::run::plan;
use crate::sim::{Kernel, Simulation};

/// Seeds within which every broken guard shows.
const SEEDS: u64 = 1_000;
/// Seeds on which correct code is clean.
const CLEAN: u64 = 300;

/// Runs a scenario with any configuration of its protocol and judges its safety.
fn judge<P: Protocol>(scenario: &Scenario, config: P::Config) -> Verdict {
    let plan = plan(scenario, false).unwrap();
    let (until, nodes) = (plan.until, plan.nodes);
    let mut dishonest = PositionSet::new();
    for liar in &plan.liars {
        dishonest.insert(liar.node.index());
    }
    let mut checks = Checks::new(CheckSetup {
        nodes,
        dishonest,
        flat: true,
        in_parts: false,
        quorums: crate::protocol::Quorums::default(),
    });
    let ended = Simulation::<P>::new(plan, config).run(Kernel::Heap, &mut checks);
    let nothing_promised = LivenessJudge {
        healed_at: Time::ZERO,
        bound: Span::ZERO,
        soon: Span::ZERO,
        recoverable: false,
    };
    checks.finish(until, &nothing_promised, &ended.totals)
}

/// The configuration a scenario says.
fn config<P: Protocol>(scenario: &Scenario) -> P::Config {
    serde_json::from_value(scenario.protocol.config.clone()).unwrap()
}

/// How a node is absent time and again.
struct Absences {
    /// So often, less one.
    most: u64,
    /// For so many milliseconds.
    longest: u64,
    /// What it loses.
    disk: &'static str,
}

/// Draws the troubles of a run.
struct Dice(Random);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// Absences of one node, one after another.
    fn absences(&mut self, node: u64, kind: &Absences, into: &mut Vec<String>) {
        let mut at = 100 + self.below(600);
        for _ in 0..self.below(kind.most) {
            let back = at + 5 + self.below(kind.longest);
            if back >= 4_900 {
                break; // The run is about to end.
            }
            let disk = kind.disk;
            into.push(format!(
                "crash: {{ nodes: [{node}], during: [{at}ms, {back}ms], disk: {disk} }}"
            ));
            at = back + 20 + self.below(500);
        }
    }

    /// A time in which two groups do not hear one another.
    fn partition(&mut self, nodes: u64, into: &mut Vec<String>) {
        let (mut here, mut there) = (vec![0], vec![nodes - 1]);
        for node in 1..nodes - 1 {
            if self.below(2) == 0 {
                &mut here
            } else {
                &mut there
            }
            .push(node);
        }
        let from = 100 + self.below(2_000);
        let until = from + 50 + self.below(700);
        let one_way = self.below(4) == 0;
        into.push(format!(
            "partition: {{ groups: [{here:?}, {there:?}], during: [{from}ms, {until}ms], \
             one_way: {one_way} }}"
        ));
    }

    fn latency(&mut self) -> &'static str {
        self.one_of(&[
            "2ms",
            "{ uniform: [1ms, 30ms] }",
            "{ uniform: [1ms, 200ms] }",
            "{ lognormal: { median: 8ms, p99: 300ms } }",
        ])
    }
}

const DURATION: &str = "5s";
const LOAD: &str = "workload: { rate: 30/s, patients: 4, doctors: 2, retry: 300ms }";

/// The text of a list under a key, if it has entries.
fn list(key: &str, entries: &[String]) -> String {
    match entries {
        [] => String::new(),
        some => format!("{key}:\n  - {}", some.join("\n  - ")),
    }
}

/// Slow disks, short crashes that lose what is not written, partitions, and latencies up to well
/// above the election time-out.
fn raft_in_trouble(seed: u64) -> Scenario {
    let mut dice = Dice(Random::new(seed, Stream::Test));
    if dice.below(2) == 0 {
        return raft_with_hiccups(dice, seed);
    }
    let nodes = 3 + dice.below(3);
    let mut faults = Vec::new();
    for node in 0..nodes {
        if dice.below(2) == 0 {
            let disk = dice.one_of(&["unsynced", "unsynced", "keep"]);
            let kind = Absences {
                most: 8,
                longest: 200,
                disk,
            };
            dice.absences(node, &kind, &mut faults);
        }
    }
    for _ in 0..dice.below(3) {
        dice.partition(nodes, &mut faults);
    }
    if dice.below(3) == 0 {
        faults.push("loss: { rate: 5% }".into());
    }
    let protocol = format!(
        "{{ raft: {{ election_timeout: {}, heartbeat: 20ms, pre_vote: {}, check_quorum: {} }} }}",
        dice.one_of(&["[40ms, 60ms]", "[60ms, 120ms]", "[100ms, 200ms]"]),
        dice.one_of(&[true, false]),
        dice.one_of(&[true, false]),
    );
    let lines = [
        "batch: { max: 4, wait: 2ms }".to_string(),
        format!("network: {{ within: {{ latency: {} }} }}", dice.latency()),
        format!(
            "machine: {{ sync: {} }}",
            dice.one_of(&["1ms", "5ms", "20ms", "50ms"])
        ),
        LOAD.into(),
        list("faults", &faults),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    scenario(&yaml(nodes as usize, &protocol, DURATION, &lines), seed)
}

/// Three nodes that stop for an instant again and again, often in the middle of a write, while
/// votes are so long under way that elections overlap.
fn raft_with_hiccups(mut dice: Dice, seed: u64) -> Scenario {
    let mut faults = Vec::new();
    for node in 0..3 {
        let kind = Absences {
            most: 20,
            longest: 25,
            disk: "unsynced",
        };
        dice.absences(node, &kind, &mut faults);
    }
    let protocol = format!(
        "{{ raft: {{ election_timeout: {}, pre_vote: false, check_quorum: false }} }}",
        dice.one_of(&["[150ms, 300ms]", "[200ms, 400ms]"]),
    );
    let lines = [
        "network: { within: { latency: { uniform: [1ms, 200ms] } } }".to_string(),
        format!("machine: {{ sync: {} }}", dice.one_of(&["20ms", "50ms"])),
        LOAD.into(),
        list("faults", &faults),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    scenario(&yaml(3, &protocol, DURATION, &lines), seed)
}

/// As many faulty nodes as PBFT survives, each a liar or one that loses its disk; honest nodes that
/// crash with what they have written, partitions, and latencies up to above the view time-out.
fn pbft_in_trouble(seed: u64) -> Scenario {
    let mut dice = Dice(Random::new(seed, Stream::Test));
    let nodes = 4 + dice.below(4);
    let faulty = (nodes - 1) / 3;
    let first = dice.below(2);
    let (mut faults, mut adversaries) = (Vec::new(), Vec::new());
    for node in 0..nodes {
        if (first..first + faulty).contains(&node) {
            if dice.below(4) == 0 {
                let kind = Absences {
                    most: 8,
                    longest: 200,
                    disk: "lost",
                };
                dice.absences(node, &kind, &mut faults);
            } else {
                adversaries.push(format!("equivocate: {{ nodes: [{node}], collude: true }}"));
            }
        } else if dice.below(3) == 0 {
            let kind = Absences {
                most: 8,
                longest: 300,
                disk: "unsynced",
            };
            dice.absences(node, &kind, &mut faults);
        }
    }
    for _ in 0..dice.below(4) {
        dice.partition(nodes, &mut faults);
    }
    if dice.below(3) == 0 {
        faults.push("loss: { rate: 5% }".into());
    }
    let timeout = dice.one_of(&[60, 120, 250]);
    let lines = [
        "batch: { max: 4, wait: 2ms }".to_string(),
        format!("network: {{ within: {{ latency: {} }} }}", dice.latency()),
        format!("machine: {{ sync: {} }}", dice.one_of(&["250us", "5ms"])),
        LOAD.into(),
        list("faults", &faults),
        list("adversaries", &adversaries),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let protocol = format!("{{ pbft: {{ view_timeout: {timeout}ms }} }}");
    scenario(&yaml(nodes as usize, &protocol, DURATION, &lines), seed)
}

/// Any number of liars in any profile, honest nodes that crash with what they have written or are
/// ten times slower, partitions, and latencies up to well above the election time-out.
fn iraft_in_trouble(seed: u64, profile: &str, liars_max: impl Fn(u64) -> u64) -> Scenario {
    let mut dice = Dice(Random::new(seed, Stream::Test));
    let nodes = 3 + dice.below(5);
    let (mut faults, mut adversaries) = (Vec::new(), Vec::new());
    let liars = dice.below(liars_max(nodes) + 1);
    let first = dice.below(nodes);
    for node in 0..nodes {
        if (node + nodes - first) % nodes < liars {
            let act = dice.one_of(&["equivocate", "equivocate", "restless", "silent"]);
            adversaries.push(format!("{act}: {{ nodes: [{node}], collude: true }}"));
            continue;
        }
        if dice.below(3) == 0 {
            let kind = Absences {
                most: 8,
                longest: 300,
                disk: "unsynced",
            };
            dice.absences(node, &kind, &mut faults);
        }
        if dice.below(5) == 0 {
            faults.push(format!("slow: {{ nodes: [{node}], factor: 10 }}"));
        }
    }
    for _ in 0..dice.below(3) {
        dice.partition(nodes, &mut faults);
    }
    if dice.below(3) == 0 {
        faults.push("loss: { rate: 5% }".into());
        faults.push("duplicate: { rate: 5% }".into());
    }
    let lines = [
        "batch: { max: 4, wait: 2ms }".to_string(),
        format!("network: {{ within: {{ latency: {} }} }}", dice.latency()),
        format!("machine: {{ sync: {} }}", dice.one_of(&["250us", "5ms"])),
        LOAD.into(),
        list("faults", &faults),
        list("adversaries", &adversaries),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let timeout = dice.one_of(&["[60ms, 120ms]", "[150ms, 300ms]", "[250ms, 500ms]"]);
    let protocol = format!(
        "{{ iraft: {{ profile: {profile}, election_timeout: {timeout}, heartbeat: 20ms, \
         progress_timeout: 500ms }} }}"
    );
    scenario(&yaml(nodes as usize, &protocol, DURATION, &lines), seed)
}

/// The first seed on which safety is violated, and what was violated first.
fn first_violation(run: impl Fn(u64) -> Verdict) -> Option<(u64, Property, String)> {
    (0..SEEDS).find_map(|seed| {
        let verdict = run(seed);
        let violation = verdict.violations.first()?;
        assert_eq!(verdict.safety, Word::Violated);
        Some((seed, violation.property, violation.to_string()))
    })
}

fn raft_without(guard: raft::Mutant) -> Property {
    let found = first_violation(|seed| {
        let scenario = raft_in_trouble(seed);
        let config = raft::Config {
            mutant: Some(guard),
            ..config::<Raft>(&scenario)
        };
        judge::<Raft>(&scenario, config)
    });
    let (seed, property, text) = found.unwrap_or_else(|| panic!("nobody notices {guard:?}"));
    println!("raft {guard:?}: seed {seed}: {text}");
    property
}

fn pbft_without(guard: pbft::Mutant) -> Property {
    let found = first_violation(|seed| {
        let scenario = pbft_in_trouble(seed);
        let config = pbft::Config {
            mutant: Some(guard),
            ..config::<Pbft>(&scenario)
        };
        judge::<Pbft>(&scenario, config)
    });
    let (seed, property, text) = found.unwrap_or_else(|| panic!("nobody notices {guard:?}"));
    println!("pbft {guard:?}: seed {seed}: {text}");
    property
}

#[test]
fn raft_that_commits_with_one_replica_less_is_caught() {
    raft_without(raft::Mutant::CommitQuorumLow);
}

#[test]
fn raft_that_votes_before_it_has_written_is_caught() {
    let property = raft_without(raft::Mutant::VotePersistLate);
    assert_eq!(property, Property::SelfConsistency);
}

#[test]
fn raft_that_elects_with_one_vote_less_is_caught() {
    let property = raft_without(raft::Mutant::ElectQuorumLow);
    assert_eq!(property, Property::ElectionSafety);
}

#[test]
fn pbft_without_a_prepare_phase_is_caught() {
    let property = pbft_without(pbft::Mutant::SkipPrepare);
    assert_eq!(property, Property::PreparedUniqueness);
}

#[test]
fn pbft_whose_new_view_forgets_what_was_prepared_is_caught() {
    pbft_without(pbft::Mutant::NewViewIgnoresPrepared);
}

#[test]
fn pbft_that_commits_with_one_vote_less_is_caught() {
    pbft_without(pbft::Mutant::CommitQuorumLow);
}

#[test]
fn correct_raft_is_clean_in_the_same_trouble() {
    for seed in 0..CLEAN {
        let scenario = raft_in_trouble(seed);
        let verdict = judge::<Raft>(&scenario, config::<Raft>(&scenario));
        assert_eq!(
            verdict.safety,
            Word::Holds,
            "seed {seed}: {:?}",
            verdict.violations
        );
    }
}

#[test]
fn correct_pbft_is_clean_in_the_same_trouble() {
    for seed in 0..CLEAN {
        let scenario = pbft_in_trouble(seed);
        let verdict = judge::<Pbft>(&scenario, config::<Pbft>(&scenario));
        assert_eq!(
            verdict.safety,
            Word::Holds,
            "seed {seed}: {:?}",
            verdict.violations
        );
    }
}

#[test]
fn correct_iraft_is_clean_in_the_same_trouble() {
    for seed in 0..CLEAN {
        let scenario = iraft_in_trouble(seed, "hardened", |nodes| (nodes - 1) / 3);
        let verdict = judge::<Iraft>(&scenario, config::<Iraft>(&scenario));
        let seen = &verdict.violations;
        assert_eq!(verdict.safety, Word::Holds, "seed {seed}: {seen:?}");
    }
}

/// Whatever the profile and however many lie, even all: no honest node is convicted.
#[test]
fn iraft_convicts_no_honest_node_in_any_trouble() {
    for seed in 0..CLEAN {
        let profile = ["paper", "hardened", "sync"][(seed % 3) as usize];
        let scenario = iraft_in_trouble(seed, profile, |nodes| nodes);
        let verdict = judge::<Iraft>(&scenario, config::<Iraft>(&scenario));
        let slander = |violation: &&crate::observe::checks::Violation| {
            violation.property == Property::AccountabilitySoundness
        };
        let slander = verdict.violations.iter().find(slander);
        assert_eq!(slander, None, "seed {seed}, {profile}");
    }
}

#[test]
fn iraft_that_convicts_on_silence_is_caught() {
    let found = first_violation(|seed| {
        let scenario = iraft_in_trouble(seed, "hardened", |_| 0);
        let config = iraft::Config {
            mutant: Some(iraft::Mutant::ConvictOnSilence),
            ..config::<Iraft>(&scenario)
        };
        judge::<Iraft>(&scenario, config)
    });
    let (seed, property, text) = found.expect("somebody is not heard");
    println!("iraft: seed {seed}: {text}");
    assert_eq!(property, Property::AccountabilitySoundness);
}
