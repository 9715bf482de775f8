//! The layers: messages for each record, exactly, and bytes on each node.

use super::{FREE, ONE_BY_ONE, ONE_THREAD, constant, outcome, scenario, yaml};
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::observe::checks::Word;
use crate::protocol::Report;
use crate::protocol::layers::Fact;
use crate::scenario::run::Outcome;
use crate::sim::event::{Event, Observer};

/// A calm run in which every record is a block of its own, and ends at rest.
fn calm(nodes: usize, config: &str, seed: u64) -> Outcome {
    let load = "workload: { rate: 4/s, even: true, patients: 40, doctors: 4, mix: { submit: 1 } }";
    let lines = [ONE_BY_ONE, FREE, &constant("1ms"), load];
    let protocol = format!("{{ layers: {{ {config} }} }}");
    let scenario = scenario(&yaml(nodes, &protocol, "5100ms", &lines), seed);
    let outcome = outcome(&scenario, ONE_THREAD, None);
    assert_eq!(outcome.summary.pending, 0, "the run ends at rest");
    assert_eq!(outcome.verdict.violations, [], "{config}");
    assert_eq!(outcome.verdict.safety, Word::Holds);
    outcome
}

/// Copies of one kind in the whole run.
fn copies(outcome: &Outcome, kind: &str) -> u64 {
    let by_kind = &outcome.totals.by_kind;
    let found = by_kind.iter().find(|(name, _)| *name == kind);
    found.map_or(0, |(_, volume)| volume.count)
}

#[test]
fn a_record_kept_in_one_network_costs_what_theory_says() {
    for (c, i, r, k) in [(4, 1, 5, 2), (4, 2, 4, 1), (7, 1, 3, 3), (1, 1, 2, 2)] {
        for poll in [true, false] {
            let presence = if poll { "poll" } else { "table" };
            let config = format!(
                "edges: 1, consensus: {c}, index: {i}, hospitals: {k}, remote: 0, \
                 presence: {presence}"
            );
            let outcome = calm((c + i + r) as usize, &config, 3);
            let records = 21;
            let answers = if poll { r - 1 + i } else { 0 };
            let expected = [
                ("add-request", r - 1 + c + i),
                ("presence", answers),
                ("payload", 1),
                ("deliver", k - 1),
                ("header", r - k),
                ("ack", k - 1),
                ("pre-prepare", c - 1),
                ("prepare", (c - 1) * (c - 1)),
                ("commit", c * (c - 1)),
            ];
            for (kind, each) in expected {
                assert_eq!(copies(&outcome, kind), each * records, "{config}: {kind}");
            }
        }
    }
}

/// What everybody keeps, and what the networks have listed.
#[derive(Default)]
struct Keeping {
    bytes: std::collections::BTreeMap<NodeId, u64>,
    /// Listings of each network, by the number of nodes and whether the record came from another.
    listed: std::collections::BTreeMap<(usize, bool), u64>,
    seen: std::collections::BTreeSet<(u16, u64)>,
    /// Migrations that networks have noted as over.
    moved: std::collections::BTreeSet<(u16, NodeId, u64)>,
    registered: std::collections::BTreeSet<(u16, NodeId, u64)>,
    handed: u64,
    reached: std::collections::BTreeMap<&'static str, u64>,
}

impl Observer for Keeping {
    fn on_event(&mut self, _: Time, node: NodeId, event: &Event) {
        let Event::Reported { report } = event else {
            return;
        };
        match report {
            Report::Shared(fact) => match &**fact {
                Fact::Kept { bytes, .. } => {
                    *self.bytes.entry(node).or_default() += u64::from(*bytes);
                }
                Fact::Listed {
                    net,
                    rid,
                    nodes,
                    from,
                    ..
                } => {
                    if self.seen.insert((*net, rid.0.prefix())) {
                        *self
                            .listed
                            .entry((nodes.len(), from.is_some()))
                            .or_default() += 1;
                    }
                }
                Fact::Moved { net, user, node } => {
                    self.moved.insert((*net, *node, user.prefix()));
                }
                Fact::Registered {
                    net, user, node, ..
                } => {
                    self.registered.insert((*net, *node, user.prefix()));
                }
                Fact::Handed { .. } => self.handed += 1,
                _ => {}
            },
            Report::Reached(what) => *self.reached.entry(what).or_default() += 1,
            _ => {}
        }
    }
}

/// Runs a scenario and looks at who keeps what.
fn watched(text: &str, seed: u64) -> (Outcome, Keeping) {
    let mut keeping = Keeping::default();
    let outcome = outcome(&scenario(text, seed), ONE_THREAD, Some(&mut keeping));
    (outcome, keeping)
}

#[test]
fn a_record_for_two_networks_costs_three_messages_more_and_an_agreement() {
    let (c, i, r, k) = (4, 2, 5, 2);
    let config = format!(
        "{{ layers: {{ edges: 2, consensus: {c}, index: {i}, hospitals: {k}, remote: 1000 }} }}"
    );
    let load = "workload: { rate: 4/s, even: true, patients: 40, doctors: 4, mix: { submit: 1 } }";
    let lines = [ONE_BY_ONE, FREE, &constant("1ms"), load];
    let text = yaml(2 * (c + i + r), &config, "5100ms", &lines);
    let (outcome, keeping) = watched(&text, 3);
    println!("{:?}", outcome.totals.by_kind);
    assert_eq!(outcome.verdict.violations, []);
    let records = 21;
    let (c, i, r, k) = (c as u64, i as u64, r as u64, k as u64);
    assert_eq!(keeping.listed.values().sum::<u64>(), 2 * records);
    let index = 2 * i;
    let expected = [
        ("add-request", r - 1 + c + i),
        ("presence", r - 1 + i),
        ("payload", 1),
        ("relay", 1),
        ("relay-ic", 1),
        ("inject", 1),
        ("deliver", k - 1 + k),
        ("header", 2 * (r - k)),
        ("ack", k - 1 + k + 3),
        ("pre-prepare", 2 * (c - 1) + index - 1),
        ("commit", 2 * c * (c - 1) + index * (index - 1)),
    ];
    for (kind, each) in expected {
        assert_eq!(copies(&outcome, kind), each * records, "{kind}");
    }
}

#[test]
fn only_the_hospitals_of_a_patient_store_the_patients_records() {
    for (k, copies) in [(1, 1), (2, 1), (3, 1), (1, 2)] {
        let config = format!(
            "{{ layers: {{ edges: 2, consensus: 4, index: 1, hospitals: {k}, remote: 500, \
             min_copies: {copies} }} }}"
        );
        let load = "workload: { rate: 50/s, patients: 400, doctors: 8, mix: { submit: 1 } }";
        let lines = [
            "batch: { max: 10, wait: 10ms }",
            FREE,
            &constant("1ms"),
            load,
        ];
        let (outcome, keeping) = watched(&yaml(20, &config, "20s", &lines), 4);
        assert_eq!(outcome.verdict.violations, []);
        let each: u64 = keeping
            .listed
            .iter()
            .map(|((n, _), count)| *n as u64 * count)
            .sum();
        let stored: u64 = keeping.bytes.values().sum();
        let own: u64 = keeping
            .listed
            .iter()
            .filter(|((_, foreign), _)| !foreign)
            .map(|(_, c)| c)
            .sum();
        // The body of a record is 4096 bytes. A few of the last are still on their way.
        let missing = each - stored / 4096;
        println!(
            "{k} {copies}: {each} listed, {missing} on their way, {own} records, {:?}",
            keeping.listed
        );
        assert!(stored % 4096 == 0 && missing < 12, "{missing} are missing");
        let full = own * 10;
        let share = each as f64 / full as f64;
        let expected = 1.5 * k.max(copies) as f64 / 10.0;
        assert!((share - expected).abs() < 0.02, "{share} of {expected}");
    }
}

#[test]
fn earlier_records_follow_a_patient_within_and_across_networks() {
    for (route, agreement) in [
        ("via-index", "pbft"),
        ("direct", "raft"),
        ("via-index", "iraft"),
    ] {
        let config = format!(
            "{{ layers: {{ edges: 2, consensus: 4, index: 2, hospitals: 1, remote: 0, \
             route: {route}, edge_protocol: {agreement}, index_protocol: {agreement} }} }}"
        );
        let load = "workload: { rate: 40/s, patients: 60, doctors: 40, \
                    mix: { submit: 10, grant: 4 } }";
        let lines = [
            "batch: { max: 10, wait: 10ms }",
            FREE,
            &constant("1ms"),
            load,
        ];
        let (outcome, keeping) = watched(&yaml(22, &config, "60s", &lines), 4);
        println!("{route} {agreement} {:?}", outcome.totals.by_kind);
        println!(
            "{:?} {} {} {:?}",
            keeping.reached,
            keeping.registered.len(),
            keeping.moved.len(),
            outcome.verdict
        );
        assert_eq!(outcome.verdict.violations, [], "{route}, {agreement}");
        assert!(keeping.registered.len() > 20);
        let open = keeping.registered.len() - keeping.moved.len();
        assert!(open <= 2, "{open} migrations are not over");
        assert_eq!(outcome.verdict.liveness, Word::Holds);
    }
}

/// The scenarios of the layers that come with the project, as they are.
#[test]
fn every_case_of_trouble_ends_as_its_scenario_says() {
    let mut wrong = Vec::new();
    for folder in ["calm", "weather", "byzantine"] {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let entries = std::fs::read_dir(root.join(folder)).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            if !name.starts_with("layers") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let (outcome, keeping) = watched(&text, 1);
            let expect = scenario(&text, 1).expect;
            let failures = crate::scenario::run::unmet(&expect, &outcome.verdict, |_| None);
            let verdict = &outcome.verdict;
            let first = verdict.violations.first().map(ToString::to_string);
            println!(
                "{name}: {} {} {} of {} pending, {} moved of {}, {:?} {first:?} {failures:?}",
                verdict.safety,
                verdict.liveness,
                outcome.summary.pending,
                outcome.summary.submitted,
                keeping.moved.len(),
                keeping.registered.len(),
                keeping.reached,
            );
            if !failures.is_empty() {
                wrong.push(name);
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}
