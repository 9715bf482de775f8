//! Stories of scenarios that are read, refused, edited and written.

use super::*;
use serde_json::Value;

/// A protocol as the catalogue would describe it.
pub(crate) fn toy_check(config: &Value, nodes: usize) -> Result<Value, Misfits> {
    let mut resolved = serde_json::json!({ "view_timeout": "500ms", "groups": 1 });
    let mut misfits = Vec::new();
    for (key, value) in config.as_object().into_iter().flatten() {
        if resolved.get(key).is_some() {
            resolved[key] = value.clone();
        } else {
            let rule = format!("unknown key `{key}`\nthe keys here are groups, view_timeout");
            misfits.push((key.clone(), rule));
        }
    }
    if resolved["groups"]
        .as_u64()
        .is_none_or(|groups| groups > nodes as u64)
    {
        let rule = format!("must be a number of groups that {nodes} nodes can fill");
        misfits.push(("groups".into(), rule));
    }
    if misfits.is_empty() {
        Ok(resolved)
    } else {
        Err(misfits)
    }
}

pub(crate) const PROTOCOLS: &[ProtocolSpec] = &[
    ProtocolSpec {
        name: "raft",
        byzantine: false,
        check: toy_check,
        chains: |_, nodes| vec![Some(0); nodes],
        kinds: || vec!["append", "heartbeat"],
    },
    ProtocolSpec {
        name: "pbft",
        byzantine: true,
        check: toy_check,
        chains: |_, nodes| vec![Some(0); nodes],
        kinds: || vec!["pre-prepare", "prepare", "commit"],
    },
    ProtocolSpec {
        name: "hotstuff",
        byzantine: true,
        check: toy_check,
        chains: |_, nodes| vec![None; nodes],
        kinds: || vec!["pre-prepare", "proposal"],
    },
];

pub(crate) const KNOWN: Known<'static> = Known {
    protocols: PROTOCOLS,
    columns: COLUMNS,
    figures: &["throughput-by-nodes", "latency-by-nodes"],
};

/// Every key of the schema at least once.
pub(crate) const FULL: &str = include_str!("good/full.yaml");

fn parse(text: &str) -> Result<Scenario, Refusal> {
    Scenario::parse("test.yaml", text, &[], None, &KNOWN)
}

#[test]
fn the_resolved_form_reads_back_as_itself() {
    for text in [
        FULL,
        include_str!("good/least.yaml"),
        include_str!("good/forms.yaml"),
        include_str!("good/troubles.yaml"),
    ] {
        let scenario = parse(text).unwrap_or_else(|refusal| panic!("{refusal}"));
        let resolved = scenario.to_yaml();
        let again = parse(&resolved).unwrap_or_else(|refusal| panic!("{refusal}\n{resolved}"));
        assert_eq!(again.to_yaml(), resolved);
        assert_eq!(again.hash(), scenario.hash());
        let mut settled = scenario;
        settled.draws.clear();
        assert_eq!(again, settled);
    }
}

#[test]
fn the_resolved_form_shows_every_default() {
    let least = parse(include_str!("good/least.yaml")).unwrap();
    expect_test::expect_file!["good/resolved.txt"].assert_eq(&least.to_yaml());
}

/// Every bad file with what is said about it. The files cover bytes and syntax (a), names (b),
/// types (c), ranges (d), consistency (e) and the workload (f).
#[test]
fn every_bad_file_is_refused_in_words_that_help() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/scenario/bad");
    let entries = std::fs::read_dir(&folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    names.sort();
    assert!(names.len() >= 100, "the catalogue is whole");
    let mut said = String::new();
    for name in names {
        let bytes = std::fs::read(folder.join(&name)).unwrap();
        let refusal = read::text_of(&name, &bytes)
            .and_then(|text| Scenario::parse(&name, &text, &[], None, &KNOWN))
            .expect_err(&name);
        said.push_str(&format!("{refusal}[exit {}]\n\n", refusal.exit_code()));
    }
    expect_test::expect_file!["bad/expected.txt"].assert_eq(&said);
}

#[test]
fn any_text_survives_being_written_and_read() {
    let least = parse(include_str!("good/least.yaml")).unwrap();
    let long = "A long sentence, which goes on: it has # signs, and more. ".repeat(8);
    for about in [
        "yes",
        "1e3",
        "0x10",
        "~",
        "- a",
        "a: b",
        "#",
        "'",
        "\"",
        "\\",
        "*a",
        "&a",
        "!x",
        "%",
        "@",
        "two\nlines",
        "ends with a newline\n",
        " spaces ",
        "two\n\n  paragraphs\n",
        "é 🏥",
        "<<",
        "{}",
        "[]",
        "|",
        ">",
        "null",
        "true",
        "...",
        "---",
        &long,
    ] {
        let mut scenario = least.clone();
        scenario.about = about.into();
        let written = scenario.to_yaml();
        let again = parse(&written).unwrap_or_else(|refusal| panic!("{refusal}\n{written}"));
        assert_eq!(again.about, about, "{written}");
    }
}

/// What is said of the least scenario with these values set.
fn with(overrides: &[(&str, &str)]) -> Result<Scenario, Refusal> {
    let pair = |(key, value): &(&str, &str)| ((*key).to_string(), (*value).to_string());
    let overrides: Vec<(String, String)> = overrides.iter().map(pair).collect();
    let least = include_str!("good/least.yaml");
    Scenario::parse("least.yaml", least, &overrides, None, &KNOWN)
}

#[test]
fn values_set_from_outside_are_read_like_those_of_the_file() {
    let scenario = with(&[
        ("nodes", "7"),
        ("protocol.pbft.view_timeout", "1s"),
        ("faults", "[{ crash: { nodes: [1] } }]"),
        ("faults.0.crash.disk", "lost"),
        ("network.within.latency", "{ uniform: [1ms, 2ms] }"),
        ("workload", "{ clients: 5 }"),
    ]);
    let scenario = scenario.unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(scenario.nodes, 7);
    assert_eq!(scenario.protocol.config["view_timeout"], "1s");
    let least = scenario.network.within.latency.least();
    assert_eq!(least, crate::base::time::Span::from_millis(1));
    assert!(matches!(
        scenario.faults[0],
        schema::Fault::Crash {
            disk: schema::Disk::Lost,
            ..
        }
    ));
}

#[test]
fn what_lies_just_within_the_rules_is_accepted() {
    let turns = "[{ silent: { nodes: [3], during: [0s, 10s] } }, \
                 { equivocate: { nodes: [3], during: [10s, 60s] } }]";
    for overrides in [
        &[("nodes", "1"), ("workload.rate", "0.001/s")][..],
        &[("nodes", "10000"), ("workload", "{ rate: 0.1/s }")],
        &[("duration", "876000h"), ("workload.rate", "0.001/s")],
        &[("warmup", "59999999999ns")],
        &[("batch", "{ max: 1, bytes: 1B, wait: 0s }")],
        &[("faults", "[{ loss: { rate: 100%, during: [0s, 60s] } }]")],
        &[(
            "faults",
            "[{ slow: { nodes: [3], factor: 1 } }, { crash: { nodes: { random: 4 } } }]",
        )],
        &[("faults", "[{ partition: { groups: [[0], [2]] } }]")],
        &[("adversaries", turns), ("expect", "{ safety: holds }")],
        &[(
            "adversaries",
            "[{ silent: { nodes: [0] } }, { restless: { nodes: [0] } }]",
        )],
        &[
            ("adversaries", "[{ silent: { nodes: [0, 1] } }]"),
            ("expect", "{ safety: violated }"),
        ],
        &[
            ("protocol", "raft"),
            ("adversaries", "[{ silent: { nodes: { random: 4 } } }]"),
        ],
        &[(
            "network",
            "{ sites: [a, b, c], links: [{ between: [a, b], latency: 1ns }, \
           { between: [c, b], latency: { uniform: [1ms, 1ms] } }] }",
        )],
        &[(
            "network",
            "{ sites: { a: [3, 1], b: [0, 2], hub: [] }, links: [{ between: [a, hub], \
           latency: 1ms }, { between: [b, hub], latency: [1ms, 1ms] }] }",
        )],
        &[(
            "expect",
            "{ throughput_max: 0, latency_p99_ms_min: 0.001, messages_max: 1000000 }",
        )],
    ] {
        if let Err(refusal) = with(overrides) {
            panic!("{overrides:?}\n{refusal}");
        }
    }
}

#[test]
fn safety_is_expected_within_the_fault_model_only() {
    let expected = |nodes: &str, adversaries: &str, protocol: &str| {
        let overrides = [
            ("nodes", nodes),
            ("adversaries", adversaries),
            ("protocol", protocol),
        ];
        with(&overrides).unwrap().expect.safety
    };
    let (one, two) = (
        "[{ equivocate: { nodes: [0] } }]",
        "[{ late: { nodes: [0, 1], by: 1s } }]",
    );
    let holds = Some(schema::Safety::Holds);
    for (nodes, adversaries, protocol, safety) in [
        ("4", "[]", "pbft", holds),
        ("4", one, "pbft", holds),
        ("3", one, "pbft", None),
        ("6", two, "pbft", None),
        ("7", two, "pbft", holds),
        ("4", one, "raft", None),
        ("4", two, "raft", holds),
    ] {
        let found = expected(nodes, adversaries, protocol);
        assert_eq!(
            found, safety,
            "{nodes} nodes of {protocol} with {adversaries}"
        );
    }
}

#[test]
fn sites_are_dealt_in_turn_and_regions_are_as_far_apart_as_measured() {
    let network = "{ matrix: aws-2023, sites: [eu-west-1, us-east-1, ap-south-1], links: \
                   [{ between: [us-east-1, eu-west-1], latency: 1ms }] }";
    let scenario = with(&[("network", network), ("nodes", "7")]).unwrap();
    let homes: Vec<String> = scenario
        .network
        .sites
        .iter()
        .map(|s| format!("{:?}", s.nodes))
        .collect();
    assert_eq!(homes, ["[n0, n3, n6]", "[n1, n4]", "[n2, n5]"]);
    let links: Vec<String> = scenario
        .network
        .links
        .iter()
        .map(|link| format!("{} {}", link.between.join(" "), link.latency.least()))
        .collect();
    let expected = [
        "us-east-1 eu-west-1 1ms",
        "eu-west-1 ap-south-1 62032500ns",
        "us-east-1 ap-south-1 94190us",
    ];
    assert_eq!(
        links, expected,
        "what is written overrules what was measured"
    );
}

#[test]
fn mistakes_in_values_from_outside_name_the_option() {
    let mut said = String::new();
    for (key, value) in [
        ("nodes", "seven"),
        ("network.withn.latency", "5ms"),
        ("network.within.latency", "[5ms"),
        ("nodes.count", "5"),
        ("", "5"),
        ("faults.0.crash", "{}"),
        ("batch", ""),
    ] {
        said.push_str(&with(&[(key, value)]).unwrap_err().to_string());
        said.push('\n');
    }
    expect_test::expect_file!["bad/overrides.txt"].assert_eq(&said);
}

#[test]
fn a_seed_from_outside_replaces_the_scenarios_own_and_draws_anew() {
    let parse = |seed| Scenario::parse("full", FULL, &[], seed, &KNOWN).unwrap();
    let (own, other) = (parse(None), parse(Some(8)));
    assert_eq!((own.seed, other.seed), (7, 8));
    assert_eq!(own.with_seed(8), other);
    assert_eq!(other.with_seed(7), own);
    let mut edited = own.clone().settled();
    edited.faults.clear();
    assert_eq!(edited.with_seed(8).adversaries, own.adversaries);
    let drawn: std::collections::BTreeSet<String> = (0..50)
        .map(|seed| format!("{:?}", own.with_seed(seed).adversaries[1].nodes))
        .collect();
    assert_eq!(
        drawn.len(),
        6,
        "every node but the named liar is drawn: {drawn:?}"
    );
}

#[test]
fn files_of_other_editors_are_read() {
    let least = include_str!("good/least.yaml");
    let foreign = format!("\u{feff}{}", least.replace('\n', "\r\n"));
    let text = read::text_of("foreign", foreign.as_bytes()).unwrap();
    assert_eq!(parse(&text).unwrap(), parse(least).unwrap());
    let wrong = text.replace("nodes: 4", "nodes: four");
    assert!(
        parse(&wrong)
            .unwrap_err()
            .to_string()
            .contains("test.yaml:4:8")
    );
}

#[test]
fn files_that_cannot_be_read_are_told_from_bad_ones() {
    let load = |path: &str| Scenario::load(Path::new(path), &[], None, &KNOWN).unwrap_err();
    assert_eq!(load("/nowhere/at-all.yaml").exit_code(), 5);
    assert_eq!(load("/").exit_code(), 5);
    let endless = load("/dev/zero");
    assert!(
        endless.to_string().contains("larger than 4 MiB"),
        "{endless}"
    );
}

#[test]
fn the_hash_is_that_of_the_meaning() {
    let hash = |text: &str| parse(text).unwrap().hash();
    let least = include_str!("good/least.yaml");
    let relaid = format!(
        "# A comment.\n{}\nbatch: {{ max: 200 }}\n",
        least.replace("60s", "1min")
    );
    assert_eq!(hash(least), hash(&relaid));
    assert_ne!(hash(least), hash(&least.replace("nodes: 4", "nodes: 5")));
}

/// Asserts what is said of inputs too large to be shown.
fn refused_with(cases: &[(String, &str)]) {
    for (text, told) in cases {
        let said = match read::text_of("large", text.as_bytes()) {
            Ok(text) => parse(&text)
                .err()
                .map_or(String::new(), |error| error.to_string()),
            Err(refusal) => refusal.to_string(),
        };
        assert!(
            said.contains(told),
            "{told}: {}",
            &said[..said.len().min(2000)]
        );
    }
}

#[test]
fn input_that_is_too_deep_or_too_long_is_refused() {
    let base = include_str!("good/least.yaml");
    let nest = |open: &str, close: &str, depth: usize| {
        format!(
            "{base}faults: {}{}\n",
            open.repeat(depth),
            close.repeat(depth)
        )
    };
    let blocks: String = (0..2000)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    let digits = "9".repeat(60_000);
    refused_with(&[
        (nest("[", "]", 20_000), "nested more than 64"),
        (nest("{a: ", "}", 20_000), "nested more than 64"),
        (format!("{base}{blocks}"), "nested more than 64"),
        (
            format!("{base}x: {}\n", "y".repeat(1 << 20)),
            "longer than 64 KiB",
        ),
        (
            format!("{base}{}: 1\n", "k".repeat(500)),
            "longer than 256 bytes",
        ),
        (
            base.replace("nodes: 4", &format!("nodes: {digits}")),
            "whole number",
        ),
        (" ".repeat(read::FILE_MAX + 1), "larger than 4 MiB"),
    ]);
}

#[test]
fn input_that_has_too_much_of_anything_is_refused() {
    let base = include_str!("good/least.yaml");
    let keys: String = (0..50_000).map(|key| format!("k{key}: 1\n")).collect();
    let anchors: String = (0..20_000).map(|n| format!("  - &a{n} 1\n")).collect();
    let chain: String = (0..60).map(|n| format!("&a{n} [")).collect();
    let chain = format!("{chain}{}{}", "1, ".repeat(9000), "]".repeat(60));
    let sites: String = (0..1000).map(|site| format!("s{site}, ")).collect();
    let links = "    - { between: [s1, sx], latency: 1ms }\n".repeat(9000);
    let crash = "  - crash: { nodes: { random: 4 } }\n";
    let values = "more than 250000 values";
    let drawn = crash.repeat(30_000).replace(": 4", ": 10");
    let many_nodes = base.replace("nodes: 4", "nodes: 10");
    refused_with(&[
        (format!("{base}{keys}"), "and 49980 more"),
        (format!("{base}faults:\n{anchors}"), "and 19980 more"),
        (format!("{base}x: {chain}\n"), "anchors hold"),
        (format!("{base}x: [{}]\n", "1, ".repeat(260_000)), values),
        (format!("{base}x: [{}]\n", "[], ".repeat(260_000)), values),
        (
            format!("{base}x: [{}]\n", "{a: 1}, ".repeat(100_000)),
            values,
        ),
        (
            format!("{base}network:\n  sites: [{sites}]\n  links:\n{links}"),
            "and 8980 more",
        ),
        (format!("{base}faults:\n{}", crash.repeat(40_000)), values),
        (
            format!("{base}faults:\n{}", "  - 0\n".repeat(100_001)),
            "at most 100000",
        ),
        (format!("{many_nodes}faults:\n{drawn}"), "at most 250000"),
        ("---\n".repeat(100_000), "second document"),
    ]);
}

#[test]
fn no_damage_to_a_file_makes_the_reader_panic() {
    use crate::base::random::{Random, Stream};
    let mut random = Random::new(5, Stream::Test);
    let alphabet = b"[]{}:,-&*!|>'\"%@`#\n\t 09azN~\\\x00\xff\xc3";
    let mut refused = 0;
    for round in 0..4_000 {
        let good = [FULL, include_str!("good/forms.yaml")][round % 2];
        let mut bytes = good.as_bytes().to_vec();
        for _ in 0..=random.below(3) {
            let place = usize::try_from(random.below(bytes.len() as u64)).unwrap();
            let letter = random.below(alphabet.len() as u64);
            let letter = alphabet[usize::try_from(letter).unwrap()];
            match random.below(4) {
                0 => bytes.truncate(place.max(8)),
                1 => bytes[place] = letter,
                2 => bytes.insert(place, letter),
                _ => drop(bytes.remove(place)),
            }
        }
        let judged = read::text_of("damaged", &bytes).and_then(|text| parse(&text));
        if let Err(refusal) = judged {
            refused += 1;
            assert!(!refusal.to_string().is_empty());
        }
    }
    assert!(refused > 2_000, "most damage is noticed: {refused}");
}

/// Every key there is, with where it belongs.
fn every_key() -> Vec<&'static str> {
    let mut keys = Vec::new();
    for list in [
        whole::KEYS,
        whole::BATCH_KEYS,
        whole::MACHINE_KEYS,
        budget::KEYS,
        execution::KEYS,
        network::KEYS,
        network::WITHIN_KEYS,
        network::LINK_KEYS,
        workload::KEYS,
        workload::MIX_KEYS,
        workload::CONTACT_KEYS,
        contract::KEYS,
        &law::LAWS,
        &schema::Behaviour::NAMES,
        crate::experiment::plan::KEYS,
    ] {
        keys.extend(list);
    }
    keys.extend(
        trouble::FAULTS
            .iter()
            .flat_map(|(name, keys)| keys.iter().chain([name])),
    );
    keys.extend(adversary::KEYS.iter().copied().flatten());
    keys
}

#[test]
fn every_key_is_documented() {
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/README.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    for key in every_key() {
        assert!(
            manual.contains(&format!("`{key}`")),
            "scenarios/README.md lacks `{key}`"
        );
    }
}

#[test]
fn every_link_of_the_manuals_leads_to_a_file() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for (folder, least) in [(".", 10), ("scenarios", 60)] {
        let manual = std::fs::read_to_string(root.join(folder).join("README.md")).unwrap();
        let links = manual.split("](").skip(1);
        let links = links.map(|rest| rest.split(')').next().unwrap());
        let files: Vec<&str> = links.filter(|link| !link.contains("://")).collect();
        assert!(files.len() > least, "{}", files.len());
        for file in files {
            let file = file.split('#').next().unwrap();
            let there = root.join(folder).join(file).exists();
            assert!(there, "{folder}/README.md leads to {file}");
        }
    }
}
