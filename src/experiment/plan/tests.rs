//! Stories of experiments that are expanded or refused.

use super::*;
use crate::scenario::tests::KNOWN;

/// An experiment beside the good scenarios of the tests.
fn parse(text: &str) -> Result<Plan, Refusal> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/scenario/good/try.yaml");
    Plan::parse(Path::new(path), text, &KNOWN)
}

/// What is said of an experiment, without the path to the checkout.
fn refusal(text: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/scenario/good/");
    parse(text).unwrap_err().to_string().replace(folder, "")
}

#[test]
fn the_product_is_run_with_the_last_axis_fastest() {
    let plan = parse(
        "about: Three axes.\nscenario: least.yaml\nseeds: 2\n\
         sweep:\n  protocol: [raft, { pbft: { view_timeout: 1s } }]\n  nodes: [4, 7]\n\
         zip:\n  batch.max: [1, 10]\n  batch.wait: [1ms, 10ms]\n\
         figures: [latency-by-nodes]\n",
    );
    let error = "the largest seed there is has no successor";
    assert!(
        plan.unwrap_err().to_string().contains("the last seed"),
        "{error}"
    );
    let plan = parse(
        "about: Three axes.\nscenario: forms.yaml\nseeds: 2\n\
         sweep:\n  protocol: [raft, { hotstuff: { view_timeout: 1s } }]\n\
         \x20 workload.clients: [4, 7]\n\
         zip:\n  batch.max: [1, 10]\n  batch.wait: [1ms, 10ms]\n\
         figures: [latency-by-nodes]\n",
    );
    let plan = plan.unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(
        plan.axes,
        ["protocol", "workload.clients", "batch.max", "batch.wait"]
    );
    let labels: Vec<String> = plan
        .points()
        .iter()
        .map(|point| {
            let values: Vec<&str> = point.labels.iter().map(|(_, value)| &**value).collect();
            format!("{} {}", point.index, values.join(" "))
        })
        .collect();
    assert_eq!(
        labels,
        [
            "0 raft 4 1 1ms",
            "1 raft 4 10 10ms",
            "2 raft 7 1 1ms",
            "3 raft 7 10 10ms",
            "4 {hotstuff:{view_timeout:1s}} 4 1 1ms",
            "5 {hotstuff:{view_timeout:1s}} 4 10 10ms",
            "6 {hotstuff:{view_timeout:1s}} 7 1 1ms",
            "7 {hotstuff:{view_timeout:1s}} 7 10 10ms",
        ]
    );
    let last = &plan.points()[7];
    assert_eq!(last.scenario.protocol.config["view_timeout"], "1s");
    assert_eq!((last.scenario.batch.max, last.run(1).seed), (10, 2));
}

#[test]
fn a_bad_value_is_found_in_the_experiment_with_its_point() {
    let said = refusal(
        "about: One value is wrong.\nscenario: full.yaml\n\
         sweep:\n  workload.rate: [100/s, 200/s]\n  nodes: [7, 4]\n\
         \x20 network.withn.latency: [5ms]\n",
    );
    expect_test::expect_file!["expected.txt"].assert_eq(&said);
}

#[test]
fn experiments_that_make_no_sense_are_refused() {
    let long: Vec<String> = (0..2000).map(|n| n.to_string()).collect();
    let long = long.join(", ");
    for (rest, told) in [
        ("sweep: { nodes: [] }", "has no values"),
        ("sweep: { nodes: 4 }", "must be a list of values"),
        ("sweep: {}", "is empty"),
        ("sweep:", "has no value"),
        ("sweep: { nodes: [4, 4] }", "here twice"),
        ("sweep: { seed: [1, 2] }", "write `seeds: 20`"),
        ("sweep: { noeds: [4] }", "did you mean `nodes`?"),
        ("sweep: { 'a..b': [4] }", "is not the key of a scenario"),
        ("sweep: { seed.x: [4] }", "no parts to set"),
        ("sweep: { batch.max: [1, 0] }", "point 1: batch.max = 0"),
        (
            "zip: { nodes: [4, 7], batch.max: [1] }",
            "has 1 values, but `nodes` has 2",
        ),
        (
            "sweep: { nodes: [4] }\nzip: { nodes: [7] }",
            "is in `sweep` already",
        ),
        ("seeds: 0", "must be a whole number from 1"),
        (
            "seeds: 1000000\nsweep: { nodes: [4, 7] }",
            "2 × 1000000 runs",
        ),
        (
            "figures: [throughput-by-node]",
            "did you mean `throughput-by-nodes`?",
        ),
        ("sweeep: { nodes: [4] }", "did you mean `sweep`?"),
    ] {
        let said = refusal(&format!("about: x\nscenario: full.yaml\n{rest}\n"));
        assert!(said.contains(told), "{rest}: {said}");
    }
    let exploding = format!("sweep: {{ nodes: [{long}], batch.max: [{long}] }}");
    let refused = parse(&format!("about: x\nscenario: full.yaml\n{exploding}\n")).unwrap_err();
    assert_eq!(refused.exit_code(), 4, "{refused}");
    let said = refusal("about: x\nscenario: missing.yaml\n");
    assert!(said.contains("missing.yaml cannot be read"), "{said}");
    assert!(said.contains("try.yaml:2:11"), "{said}");
}

#[test]
fn no_damage_to_an_experiment_makes_the_reader_panic() {
    use crate::base::random::{Random, Stream};
    let good = "about: x\nscenario: full.yaml\nseeds: 3\nsweep:\n  batch.max: [1, 2]\n  \
                network.links[0].latency: [5ms, { uniform: [1ms, 2ms] }]\n\
                zip: { warmup: [1s, 2s] }\n";
    assert_eq!(parse(good).unwrap().points().len(), 8);
    let mut random = Random::new(6, Stream::Test);
    for _ in 0..1_000 {
        let mut text: Vec<char> = good.chars().collect();
        for _ in 0..=random.below(3) {
            let place = usize::try_from(random.below(text.len() as u64)).unwrap();
            let other = usize::try_from(random.below(text.len() as u64)).unwrap();
            match random.below(3) {
                0 => text.truncate(place.max(8)),
                1 => text[place] = text[other],
                _ => drop(text.remove(place)),
            }
        }
        let text: String = text.into_iter().collect();
        if let Err(refusal) = parse(&text) {
            assert!(!refusal.problems.is_empty());
        }
    }
}
