//! The layers: messages for each record, exactly, and bytes on each node.

use std::collections::{BTreeMap, BTreeSet};

use super::{FREE, ONE_BY_ONE, ONE_THREAD, constant, outcome, scenario, yaml};
use crate::base::crypto::Digest;
use crate::base::node::{NodeId, PositionSet};
use crate::base::time::{Span, Time};
use crate::contract::access::Scope;
use crate::contract::call::{Act, Call};
use crate::contract::message::RecordId;
use crate::observe::checks::{CheckSetup, Checks, LivenessJudge, Property, Word};
use crate::protocol::layers::{Config, Fact, Layers, Mutant};
use crate::protocol::{Protocol, Report};
use crate::scenario::run::{Outcome, plan};
use crate::sim::event::{Event, Observer};
use crate::sim::{Kernel, Simulation};

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
    /// The bytes of each record at each node.
    kept: BTreeMap<(NodeId, RecordId), u64>,
    /// Who is to keep each record in each network, and which other network it comes from.
    listed: BTreeMap<(u16, RecordId), (Vec<NodeId>, Option<u16>)>,
    /// Registrations that networks have made.
    registered: BTreeSet<(u16, NodeId, Digest)>,
    /// Who has handed records to whom.
    handed: Vec<(NodeId, NodeId)>,
    /// Transfers of which patients were asked to approve.
    asked: u64,
    /// Those of the registrations before which a patient was nowhere in the network.
    first: BTreeSet<(u16, NodeId, Digest)>,
    /// When each record of a patient was decided first, and when each registration.
    of: BTreeMap<RecordId, (Digest, Time)>,
    since: BTreeMap<(u16, NodeId, Digest), Time>,
    /// What each grant covers, by patient and time; nothing if everything.
    scopes: BTreeMap<(Digest, Time), Option<Vec<RecordId>>>,
    /// Migrations that networks have noted as over.
    moved: BTreeSet<(u16, NodeId, Digest)>,
    /// Registrations that networks have ended.
    closed: BTreeSet<(u16, NodeId, Digest)>,
    /// Records that networks have noted as lost.
    lost: BTreeSet<(NodeId, RecordId)>,
    /// Situations that nodes were in, and how often.
    reached: BTreeMap<&'static str, u64>,
}

impl Keeping {
    fn share(&mut self, now: Time, node: NodeId, fact: &Fact) {
        match fact {
            Fact::Kept { rid, bytes, .. } | Fact::Found { rid, bytes, .. } => {
                self.kept.insert((node, *rid), u64::from(*bytes));
            }
            Fact::Listed {
                net,
                rid,
                nodes,
                from,
                user,
                ..
            } => {
                self.of.entry(*rid).or_insert((*user, now));
                self.listed.insert((*net, *rid), (nodes.clone(), *from));
            }
            Fact::Moved {
                net, user, node, ..
            } => {
                self.moved.insert((*net, *node, *user));
            }
            Fact::Registered {
                net,
                user,
                node,
                first,
                ..
            } => {
                let key = (*net, *node, *user);
                self.registered.insert(key);
                self.since.entry(key).or_insert(now);
                if *first {
                    self.first.insert(key);
                }
            }
            Fact::Closed {
                net, user, node, ..
            } => {
                self.closed.insert((*net, *node, *user));
            }
            Fact::Lost { node, rid } => {
                self.lost.insert((*node, *rid));
            }
            Fact::Handed { to, .. } => self.handed.push((node, *to)),
            Fact::Asked { .. } => self.asked += 1,
            Fact::Table { .. }
            | Fact::Known { .. }
            | Fact::Drawn { .. }
            | Fact::Overflow { .. } => {}
        }
    }

    fn grant(&mut self, now: Time, call: &Call) {
        let Call::Order(order) = call else {
            return;
        };
        if let (Act::Grant(terms), Some(user)) = (&order.terms().act, call.subject()) {
            let covered = match &terms.scope {
                Scope::Records(rids) => Some(rids.clone()),
                Scope::All | Scope::Kinds(_) => None,
            };
            self.scopes.entry((user, now)).or_insert(covered);
        }
    }

    /// Records that somebody is to keep, once for each.
    fn due(&self) -> BTreeSet<(NodeId, RecordId)> {
        let listed = self.listed.iter();
        let due = |((_, rid), (nodes, _)): (&(u16, RecordId), &(Vec<NodeId>, _))| {
            let rid = *rid;
            let each = nodes.iter().map(move |node| (*node, rid));
            each.collect::<Vec<_>>()
        };
        listed.flat_map(due).collect()
    }
}

impl Observer for Keeping {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        match event {
            Event::Reported {
                report: Report::Shared(fact),
            } => self.share(now, node, fact),
            Event::Reported {
                report: Report::Reached(what),
            } => *self.reached.entry(what).or_default() += 1,
            Event::Decided { block } => {
                for transaction in block.batch.transactions() {
                    self.grant(now, transaction.call.call());
                }
            }
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
    assert_eq!(outcome.verdict.violations, []);
    let records = 21;
    let (c, i, r, k) = (c as u64, i as u64, r as u64, k as u64);
    assert_eq!(keeping.listed.len() as u64, 2 * records);
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
        let due = keeping.due();
        let kept: BTreeSet<_> = keeping.kept.keys().copied().collect();
        assert!(kept.is_subset(&due), "nobody keeps what is not for it");
        let missing = due.len() - kept.len();
        assert!(missing < 12, "{missing} are more than are on their way");
        // The bytes of all records at all hospitals, against those that are there.
        let sizes = keeping.kept.iter().map(|((_, rid), bytes)| (*rid, *bytes));
        let sizes: BTreeMap<RecordId, u64> = sizes.collect();
        let full = 10 * sizes.values().sum::<u64>();
        let stored: u64 = keeping.kept.values().sum();
        let share = stored as f64 / full as f64;
        let expected = 1.5 * f64::from(k.max(copies)) / 10.0;
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
             route: {route}, compare_every: 1s, relay_timeout: 500ms, \
             migration_timeout: 500ms, edge_protocol: {agreement}, \
             index_protocol: {agreement} }} }}"
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
        assert_eq!(outcome.verdict.violations, [], "{route}, {agreement}");
        assert!(keeping.registered.len() > 20);
        let open = keeping.registered.len() - keeping.moved.len();
        assert!(open <= 2, "{open} migrations are not over");
        assert_eq!(outcome.verdict.liveness, Word::Holds);
    }
}

/// A run in which patients register elsewhere now and then, and which ends at rest.
fn migrating(config: &str) -> (Outcome, Keeping) {
    let load = "workload: { rate: 8/s, even: true, patients: 16, doctors: 40, \
                mix: { submit: 10, grant: 3 }, retry: 30s }";
    let lines = [ONE_BY_ONE, FREE, &constant("1ms"), load];
    let config = format!("{{ layers: {{ consensus: 4, hospitals: 1, remote: 0, {config} }} }}");
    let (outcome, keeping) = watched(&yaml(22, &config, "30110ms", &lines), 4);
    assert_eq!(outcome.verdict.violations, [], "{config}");
    assert!(keeping.moved.len() > 20, "{} moved", keeping.moved.len());
    (outcome, keeping)
}

#[test]
fn a_migration_costs_what_theory_says() {
    for (edges, route) in [(1, "via-index"), (2, "via-index"), (2, "direct")] {
        let config = format!("edges: {edges}, index: 2, route: {route}, chunk: 1000");
        let (outcome, keeping) = migrating(&config);
        let all = keeping.moved.len() as u64;
        let abroad = keeping.first.len() as u64;
        let open = keeping.registered.difference(&keeping.moved);
        let open: Vec<_> = open.map(|key| (key, keeping.since[key])).collect();
        assert_eq!(open, [], "all are over");
        assert_eq!(abroad > 0, edges == 2, "{config}: {abroad}");
        let detour = if route == "via-index" { 2 } else { 0 };
        let sent = [
            "register",
            "mig-request",
            "mig-forward",
            "mig-chunk",
            "mig-done",
        ];
        let sent = sent.map(|kind| copies(&outcome, kind));
        println!("{config}: {all} of them {abroad} abroad: {sent:?}");
        // Where a patient is in both networks the other one is asked too, and mostly knows no more.
        let both = |key: &&(u16, NodeId, Digest)| {
            let earlier = |first: &&(u16, NodeId, Digest)| {
                first.2 == key.2 && keeping.since[*first] < keeping.since[*key]
            };
            !keeping.first.contains(*key) && keeping.first.iter().any(|first| earlier(&first))
        };
        let further = keeping.moved.iter().filter(both).count() as u64;
        let is_hospital = |node: &NodeId| node.index() % (22 / edges) >= 6;
        let handed = keeping.handed.iter().filter(|(by, _)| is_hospital(by));
        let handed = handed.count() as u64;
        assert!(
            (all..=all + further).contains(&handed),
            "{config}: {handed}"
        );
        // Who has the patient already is told so.
        let asked = all + further + copies(&outcome, "mig-refuse");
        let chunks = all + detour * abroad + (1 + detour) * further;
        let each = [asked, handed + 3 * (abroad + further), chunks, all];
        assert_eq!(
            sent[1..],
            each,
            "{config}: {all}, {abroad} abroad, {further}"
        );
        assert_eq!(edges == 1, further == 0, "{config}");
    }
}

/// A run of three networks; how many of the earlier records that patients have granted did come to
/// where they went, and how many did not.
fn come_together(seed: u64) -> (usize, usize) {
    let config = "{ layers: { edges: 3, consensus: 4, index: 2, hospitals: 1, remote: 0 } }";
    let load = "workload: { rate: 20/s, even: true, patients: 16, doctors: 40, \
                mix: { submit: 10, grant: 3 }, retry: 30s }";
    let lines = [ONE_BY_ONE, FREE, &constant("1ms"), load];
    let scenario = scenario(&yaml(27, config, "40s", &lines), seed);
    let mut keeping = Keeping::default();
    let outcome = outcome(&scenario, ONE_THREAD, Some(&mut keeping));
    assert_eq!(outcome.verdict.violations, []);
    let (mut came, mut lacking) = (0, 0);
    for key in &keeping.moved {
        let (_, node, user) = *key;
        let since = keeping.since[key];
        for (rid, (of, entered)) in &keeping.of {
            let scope = keeping.scopes.get(&(user, since));
            let covered = scope.is_some_and(|rids| rids.as_ref().is_none_or(|r| r.contains(rid)));
            if *of != user || *entered >= since || !covered {
                continue;
            }
            match keeping.kept.contains_key(&(node, *rid)) {
                true => came += 1,
                false => lacking += 1,
            }
        }
    }
    (came, lacking)
}

#[test]
fn a_patients_records_come_together_from_all_networks() {
    for seed in 1..4 {
        let (came, lacking) = come_together(seed);
        assert!(came > 100 && lacking == 0, "{seed}: {came}, {lacking}");
    }
}

#[test]
fn each_transfer_has_its_own_approval_if_it_must() {
    let run = |auth: &str| {
        let config = format!(
            "{{ layers: {{ edges: 2, consensus: 4, index: 2, hospitals: 3, remote: 500, \
             auth: {auth}, approval: 300ms }} }}"
        );
        let load = "workload: { rate: 4/s, even: true, patients: 40, doctors: 4, \
                    mix: { submit: 10, grant: 2, revoke: 1 } }";
        let lines = [ONE_BY_ONE, FREE, &constant("1ms"), load];
        let (outcome, keeping) = watched(&yaml(22, &config, "30010ms", &lines), 3);
        assert_eq!(outcome.verdict.violations, [], "{auth}");
        let relays = copies(&outcome, "relay");
        (
            keeping.handed.len() as u64 + relays,
            keeping.asked,
            keeping.kept.len(),
        )
    };
    let (transfers, asked, kept) = run("reuse");
    assert_eq!(asked, 0, "the grant is enough");
    let (again, asked, later) = run("per-transfer");
    println!("{transfers} {again} {asked} {kept} {later}");
    assert!(
        kept.abs_diff(later) <= 12,
        "what is on its way arrives: {kept}, {later}"
    );
    assert!(transfers.abs_diff(asked) <= 8, "{asked} of {transfers}");
}

#[test]
fn a_record_is_lost_with_all_its_hospitals_and_with_no_fewer() {
    for (hospitals, min_copies) in [(1, 1), (2, 1), (3, 1), (1, 2)] {
        let config = format!(
            "{{ layers: {{ edges: 1, consensus: 4, index: 1, hospitals: {hospitals}, remote: 0, \
             min_copies: {min_copies} }} }}"
        );
        let load = "workload: { rate: 20/s, even: true, patients: 400, doctors: 8, \
                    mix: { submit: 1 } }";
        let lines = [ONE_BY_ONE, FREE, &constant("1ms"), load];
        let (outcome, keeping) = watched(&yaml(10, &config, "20040ms", &lines), 4);
        assert_eq!(outcome.verdict.violations, []);
        let listed = keeping.listed.iter();
        let number = |nodes: &[NodeId]| nodes.iter().map(|node| node.index() - 5).collect();
        let keepers: BTreeMap<RecordId, Vec<usize>> = listed
            .map(|((_, rid), (nodes, _))| (*rid, number(nodes)))
            .collect();
        let copies = usize::max(hospitals, min_copies);
        for (rid, nodes) in &keepers {
            assert_eq!(nodes.len(), copies, "{hospitals}, {min_copies}: {rid:?}");
        }
        // Each of five hospitals is lost with a chance of one fifth: all sets of them, weighed.
        let mut loss = 0.0;
        for gone in 0_u32..32 {
            let weight = (0..5).fold(1.0, |weight, hospital| {
                weight * if gone >> hospital & 1 == 1 { 0.2 } else { 0.8 }
            });
            let lost = |nodes: &&Vec<usize>| nodes.iter().all(|node| gone >> node & 1 == 1);
            let lost = keepers.values().filter(lost).count();
            loss += weight * lost as f64 / keepers.len() as f64;
        }
        let expected = libm::pow(0.2, copies as f64);
        assert!((loss - expected).abs() < 1e-9, "{loss} of {expected}");
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
            let failures = crate::scenario::unmet(&expect, &outcome.verdict, |_| None);
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

/// Whether a scenario that comes with the project breaks something where a guard is left out, if it
/// is `judged` also something that is to happen in the end.
fn breaks(path: &str, mutant: Option<Mutant>, judged: bool) -> bool {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut scenario = scenario(&std::fs::read_to_string(root.join(path)).unwrap(), 1);
    if !judged {
        scenario.duration = Span::from_secs(20);
    }
    let config: Config = serde_json::from_value(scenario.protocol.config.clone()).unwrap();
    let plan = plan(&scenario, false).unwrap();
    let mut dishonest = PositionSet::new();
    for liar in &plan.liars {
        dishonest.insert(liar.node.index());
    }
    let (until, nodes) = (plan.until, plan.nodes);
    let checks = Checks::new(CheckSetup {
        nodes,
        dishonest,
        flat: true,
        in_parts: false,
        quorums: crate::protocol::Quorums::default(),
    });
    let chains = (0..nodes).map(|at| Layers::chain_of(&config, nodes, NodeId::at(at)));
    let mut checks = checks.along(chains.collect());
    let config = Config { mutant, ..config };
    let ended = Simulation::<Layers>::new(plan, config).run(Kernel::Heap, &mut checks);
    let judge = LivenessJudge {
        healed_at: Time::ZERO + Span::from_secs(30),
        bound: Span::from_secs(60),
        soon: Span::from_secs(60),
        recoverable: judged,
    };
    let verdict = checks.finish(until, &judge, &ended.totals);
    let about = |of: Property| matches!(of, Property::Sharing | Property::Undelivered);
    verdict.violations.iter().any(|v| about(v.property))
}

#[test]
fn whatever_guard_is_left_out_somebody_notices() {
    for (path, mutant, judged) in [
        (
            "byzantine/layers-false-presence.yaml",
            Mutant::TrustPresence,
            false,
        ),
        (
            "byzantine/layers-altered-records.yaml",
            Mutant::NoBodyCheck,
            false,
        ),
        (
            "byzantine/layers-withheld-deliveries.yaml",
            Mutant::NeverCompare,
            true,
        ),
    ] {
        assert!(!breaks(path, None, judged), "{path} is clean");
        let noticed = breaks(path, Some(mutant), judged);
        assert!(noticed, "{path} shows {mutant:?}");
    }
}

#[test]
fn a_record_from_elsewhere_is_not_sent_on() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let text = std::fs::read_to_string(root.join("calm/layers.yaml")).unwrap();
    let (outcome, keeping) = watched(&text, 1);
    let arrived = keeping.listed.values().filter(|(_, from)| from.is_some());
    assert_eq!(copies(&outcome, "relay"), arrived.count() as u64);
}

#[test]
fn a_network_needs_an_index_node_of_its_own() {
    let config = Config {
        edges: 3,
        index: 1,
        ..Config::default()
    };
    let recovers = |missing: usize| {
        let mut absent = PositionSet::default();
        absent.insert(missing);
        Layers::recovers(&config, 21, &absent, &PositionSet::default())
    };
    assert!(recovers(0), "the others of its network agree");
    assert!(!recovers(4), "nothing leaves or enters its network");
}
