//! Latencies, to the nanosecond. Where theory says when something happens, it happens then.

use std::collections::BTreeMap;

use super::{FREE, ONE_BY_ONE, ONE_THREAD, PBFT_SIZES, constant, outcome, scenario, yaml};
use crate::base::node::NodeId;
use crate::base::random::{Random, Stream};
use crate::base::time::{Span, Time};
use crate::protocol::Report;
use crate::sim::event::{Event, Observer};

/// Who leads, and how long each client waited, by client host.
#[derive(Default)]
struct Heard {
    leader: Option<NodeId>,
    waits: BTreeMap<usize, Vec<u64>>,
}

impl Observer for Heard {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        match event {
            Event::Reported {
                report: Report::Leads { .. },
            } => self.leader = Some(node),
            // Before that second there is an election, and every host of clients finds the leader.
            Event::Answered { submitted, .. } if submitted.second() >= 3 => {
                let wait = now.since(*submitted).nanos();
                self.waits.entry(node.index()).or_default().push(wait);
            }
            Event::Answered { .. }
            | Event::Submitted { .. }
            | Event::Doubled { .. }
            | Event::Endorsed { .. }
            | Event::Decided { .. }
            | Event::Installed { .. }
            | Event::Reported { .. }
            | Event::Stated { .. }
            | Event::Crashed
            | Event::Restarted { .. }
            | Event::Sent { .. }
            | Event::Delivered { .. }
            | Event::Contacted { .. }
            | Event::Heard { .. }
            | Event::Fired { .. } => {}
        }
    }
}

/// Runs a few transactions, one at a time, and listens.
fn listen(nodes: usize, protocol: &str, seed: u64, lines: &[&str]) -> Heard {
    let load = "workload: { rate: 4/s, even: true, patients: 8, doctors: 2, retry: 900ms }";
    let mut all = vec![ONE_BY_ONE, load];
    all.extend(lines);
    let scenario = scenario(&yaml(nodes, protocol, "8s", &all), seed);
    let mut heard = Heard::default();
    let outcome = outcome(&scenario, ONE_THREAD, Some(&mut heard));
    assert_eq!(outcome.summary.pending, 0);
    assert!(!heard.waits.is_empty());
    heard
}

#[test]
fn with_one_delay_raft_takes_four_of_them_and_pbft_five() {
    let delay = 7_000_003;
    for seed in 0..3 {
        let network = constant("7000003ns");
        for nodes in [3, 4, 5, 7] {
            let heard = listen(nodes, "raft", seed, &[FREE, &network]);
            for wait in heard.waits.values().flatten() {
                assert_eq!(*wait, 4 * delay, "raft with {nodes} nodes");
            }
        }
        for (nodes, _, _) in PBFT_SIZES {
            let heard = listen(nodes, "pbft", seed, &[FREE, &network]);
            for wait in heard.waits.values().flatten() {
                assert_eq!(*wait, 5 * delay, "pbft with {nodes} nodes");
            }
        }
    }
}

#[test]
fn a_slow_disk_adds_one_write_to_raft_and_three_to_pbft() {
    let (delay, write) = (7_000_003, 2_000_001);
    let network = constant("7000003ns");
    let machine = FREE.replace("sync: 0ms", "sync: 2000001ns");
    for nodes in [4, 5, 7] {
        // The leader writes while its followers do.
        let heard = listen(nodes, "raft", 1, &[&machine, &network]);
        for wait in heard.waits.values().flatten() {
            assert_eq!(*wait, 4 * delay + write, "raft with {nodes} nodes");
        }
        // What was proposed, accepted and prepared is on disk before it is said.
        let heard = listen(nodes, "pbft", 1, &[&machine, &network]);
        for wait in heard.waits.values().flatten() {
            assert_eq!(*wait, 5 * delay + 3 * write, "pbft with {nodes} nodes");
        }
    }
}

/// Every node at a site of its own, with one host of clients, and a constant delay between any
/// two: so unequal that all order statistics differ, so equal that no detour is shorter.
struct Map {
    /// In nanoseconds; the diagonal is the way to the clients of the own site.
    delays: Vec<Vec<u64>>,
    yaml: String,
}

impl Map {
    fn draw(nodes: usize, seed: u64) -> Self {
        let mut random = Random::new(seed, Stream::Test);
        let own = 5_000_000;
        let mut delays = vec![vec![own; nodes]; nodes];
        let mut links = String::new();
        let pairs = (0..nodes).flat_map(|a| (a + 1..nodes).map(move |b| (a, b)));
        for (a, b) in pairs {
            let delay = 10_000_000 + random.below(9_999_999);
            (delays[a][b], delays[b][a]) = (delay, delay);
            links.push_str(&format!(
                "\n    - {{ between: [s{a}, s{b}], latency: {delay}ns, \
                     bandwidth: unlimited }}"
            ));
        }
        let sites: Vec<String> = (0..nodes)
            .map(|site| format!("s{site}: [{site}]"))
            .collect();
        let yaml = format!(
            "network:\n  sites: {{ {} }}\n  \
             within: {{ latency: {own}ns, bandwidth: unlimited }}\n  \
             links:{links}",
            sites.join(", ")
        );
        Self { delays, yaml }
    }
}

/// The smallest but `rank - 1` of some values.
fn order_statistic(rank: usize, values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values[rank - 1]
}

/// When the leader of RAFT has committed what it proposed at 0: once a majority of `m` has
/// written it, of which itself is one.
fn raft_commit(map: &Map, leader: usize, writes: &[u64]) -> u64 {
    let majority = map.delays.len() / 2 + 1;
    let written = |node: usize| match node == leader {
        true => writes[node],
        false => 2 * map.delays[leader][node] + writes[node],
    };
    order_statistic(majority, (0..map.delays.len()).map(written))
}

#[test]
fn raft_commits_with_the_fastest_majority() {
    let mut leaders = std::collections::BTreeSet::new();
    for (nodes, seed) in [(3, 1), (4, 2), (5, 3), (5, 4), (6, 5), (7, 6), (9, 7)] {
        let map = Map::draw(nodes, seed);
        let heard = listen(nodes, "raft", seed, &[FREE, &map.yaml]);
        let leader = heard.leader.unwrap().index();
        leaders.insert(leader);
        let commit = raft_commit(&map, leader, &vec![0; nodes]);
        assert_eq!(
            heard.waits.len(),
            nodes,
            "every host of clients is answered"
        );
        for (host, waits) in &heard.waits {
            let way = map.delays[host - nodes][leader];
            for wait in waits {
                assert_eq!(*wait, way + commit + way, "{nodes} nodes, host {host}");
            }
        }
    }
    assert!(leaders.len() > 1, "more than one node led: {leaders:?}");
}

#[test]
fn raft_commits_with_the_majority_that_has_written_first() {
    for (nodes, seed) in [(3, 1), (4, 2), (5, 3), (5, 4), (7, 6)] {
        let map = Map::draw(nodes, seed);
        let machine = FREE.replace("sync: 0ms", "sync: 2ms");
        // The disks of some followers are so slow that others are faster on a longer way.
        let mut writes = vec![2_000_000; nodes];
        let mut faults = String::from("faults:");
        let calm = listen(nodes, "raft", seed, &[&machine, &map.yaml]);
        let leader = calm.leader.unwrap().index();
        for node in (0..nodes).filter(|node| *node != leader && node % 2 == 0) {
            let factor = 3 + node;
            writes[node] *= factor as u64;
            faults.push_str(&format!(
                "\n  - slow: {{ nodes: [{node}], factor: {factor} }}"
            ));
        }
        let some = faults.contains("slow");
        let lines = [machine.as_str(), &map.yaml, if some { &faults } else { "" }];
        let heard = listen(nodes, "raft", seed, &lines);
        assert_eq!(heard.leader, calm.leader, "the slow do not lead");
        let commit = raft_commit(&map, leader, &writes);
        for (host, waits) in &heard.waits {
            let way = map.delays[host - nodes][leader];
            for wait in waits {
                assert_eq!(*wait, way + commit + way, "{nodes} nodes, host {host}");
            }
        }
    }
}

/// A node that writes does nothing else, so a leader on the slowest disk hears of its followers'
/// writes only after its own, though they alone would be a majority.
#[test]
fn raft_never_commits_before_its_leader_has_written() {
    let (nodes, seed, write) = (5, 3, 2_000_000);
    let map = Map::draw(nodes, seed);
    let machine = FREE.replace("sync: 0ms", "sync: 2ms");
    let leader = listen(nodes, "raft", seed, &[&machine, &map.yaml]).leader;
    let leader = leader.unwrap().index();
    let slow = format!("faults: [{{ slow: {{ nodes: [{leader}], factor: 30, during: [2s] }} }}]");
    let heard = listen(nodes, "raft", seed, &[&machine, &map.yaml, &slow]);
    assert_eq!(heard.leader, Some(NodeId::at(leader)));
    let mut writes = vec![write; nodes];
    writes[leader] = 30 * write;
    assert!(raft_commit(&map, leader, &writes) < writes[leader]);
    for (host, waits) in &heard.waits {
        let way = map.delays[host - nodes][leader];
        for wait in waits {
            assert_eq!(*wait, way + writes[leader] + way, "host {host}");
        }
    }
}

/// When each replica of PBFT has executed what the leader proposed at 0. In each phase a replica
/// goes on with the quorum-th vote, its own included.
fn pbft_executions(map: &Map, quorum: usize) -> Vec<u64> {
    let nodes = map.delays.len();
    let accepted: Vec<u64> = (0..nodes)
        .map(|node| if node == 0 { 0 } else { map.delays[0][node] })
        .collect();
    let next = |voted: &[u64]| -> Vec<u64> {
        let arrival = |from: usize, at: usize| match from == at {
            true => voted[at],
            false => voted[from] + map.delays[from][at],
        };
        let nth = |at| order_statistic(quorum, (0..nodes).map(|from| arrival(from, at)));
        // Nobody votes before its own vote in the phase before.
        (0..nodes).map(|at| nth(at).max(voted[at])).collect()
    };
    let prepared = next(&accepted);
    next(&prepared)
}

#[test]
fn pbft_follows_the_recursion_of_order_statistics() {
    for (nodes, faulty, quorum) in PBFT_SIZES {
        for seed in 0..3 {
            let map = Map::draw(nodes, seed);
            let heard = listen(nodes, "pbft", seed, &[FREE, &map.yaml]);
            let executed = pbft_executions(&map, quorum);
            assert_eq!(
                heard.waits.len(),
                nodes,
                "every host of clients is answered"
            );
            for (host, waits) in &heard.waits {
                let way = &map.delays[host - nodes];
                let replies = (0..nodes).map(|node| executed[node] + way[node]);
                let answered = way[0] + order_statistic(faulty + 1, replies);
                for wait in waits {
                    assert_eq!(*wait, answered, "{nodes} nodes, host {host}");
                }
            }
        }
    }
}

#[test]
fn a_batch_waits_as_long_as_it_says() {
    let network = constant("1ms");
    for (protocol, delays) in [("raft", 4), ("pbft", 5)] {
        let load = "workload: { rate: 4/s, even: true, patients: 8, doctors: 2 }";
        let batch = "batch: { max: 100, wait: 30ms }";
        let text = yaml(4, protocol, "6s", &[batch, FREE, &network, load]);
        let mut heard = Heard::default();
        outcome(&scenario(&text, 1), ONE_THREAD, Some(&mut heard));
        let expected = Span::from_millis(delays + 30).nanos();
        for wait in heard.waits.values().flatten() {
            assert_eq!(*wait, expected, "{protocol}");
        }
    }
}
