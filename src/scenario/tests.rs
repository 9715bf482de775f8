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
    if resolved["groups"].as_u64().is_none_or(|groups| groups > nodes as u64) {
        let rule = format!("must be a number of groups that {nodes} nodes can fill");
        misfits.push(("groups".into(), rule));
    }
    if misfits.is_empty() { Ok(resolved) } else { Err(misfits) }
}

pub(crate) const PROTOCOLS: &[ProtocolSpec] = &[
    ProtocolSpec {
        name: "raft",
        byzantine: false,
        check: toy_check,
    },
    ProtocolSpec {
        name: "pbft",
        byzantine: true,
        check: toy_check,
    },
    ProtocolSpec {
        name: "hotstuff",
        byzantine: true,
        check: toy_check,
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
    for text in [FULL, include_str!("good/least.yaml"), include_str!("good/forms.yaml")] {
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
