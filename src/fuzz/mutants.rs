//! Guards that are left out on purpose, one at a time: how soon a search notices shows what it is
//! worth. Only in builds that have them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{Finding, Search, draw, judge};
use crate::scenario::run::Entry;
use crate::scenario::{Known, Overrides, Scenario};

/// A guard that can be left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mutant {
    /// The key that names it, like `protocol.raft.mutant`.
    pub key: String,
    /// Its name, like `commit-quorum-low`.
    pub name: String,
}

/// What became of one mutant: a row of `mutants.csv`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Row {
    /// The protocol it was run with.
    pub protocol: String,
    /// The key that names it.
    pub key: String,
    /// Its name.
    pub mutant: String,
    /// The property that noticed first; empty if none did.
    pub property: String,
    /// Seeds until then, or all that were tried.
    pub seeds: u64,
    /// Faults and adversaries of the scenario in which it was noticed.
    pub troubles: usize,
    /// The scenario written by hand in which it was noticed; empty if a seed did.
    #[serde(default)]
    pub scenario: String,
    /// Why it is no surprise that nothing was noticed, if it is known.
    pub reason: String,
}

/// The guards of a protocol that can be left out, those of the protocols inside it and those of the
/// contract included: they are what a reader of scenarios says could be there.
pub fn of(entry: &Entry) -> Vec<Mutant> {
    let name = entry.spec.name;
    let places: &[&str] = match name {
        "krbft" => &["", "group.", "committee."],
        "mbft" => &["", "upper."],
        "layers" => &["", "raft.", "iraft.", "pbft."],
        _ => &[""],
    };
    let keys = places.iter().map(|place| format!("{place}mutant"));
    keys.flat_map(|key| {
        let names = variants(entry, &key);
        names.into_iter().map(move |variant| Mutant {
            key: format!("protocol.{name}.{key}"),
            name: variant,
        })
    })
    .collect()
}

/// The checks of the contract that can be left out.
pub fn of_contract() -> Vec<Mutant> {
    let wrong = serde_json::Value::String("?".into());
    let read = serde_json::from_value::<crate::contract::rules::Mutant>(wrong);
    let said = read.map_or_else(|error| error.to_string(), |_| String::new());
    let mut words = said.split('`').skip(1).step_by(2);
    words.next();
    words
        .map(|name| Mutant {
            key: "contract.mutant".into(),
            name: name.to_owned(),
        })
        .collect()
}

/// What the key of a protocol's configuration can be.
fn variants(entry: &Entry, key: &str) -> Vec<String> {
    let wrong = key.split('.').rev().fold(
        serde_json::json!("?"),
        |value, key| serde_json::json!({ key: value }),
    );
    let misfits = (entry.spec.check)(&wrong, 16).err().unwrap_or_default();
    let said = misfits.into_iter().find(|(at, _)| at == key);
    let said = said.map_or(String::new(), |(_, rule)| rule);
    let (_, names) = said.split_once("the names here are ").unwrap_or_default();
    let names = names.split(", ").filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// A scenario written by hand, as its file has it.
#[derive(Clone, Debug)]
pub struct Directed {
    /// The name of the file.
    pub name: String,
    /// What is in it.
    pub text: String,
}

impl Directed {
    /// The scenario with guards left out, if it is one of this protocol and can have them.
    fn with(&self, entry: &Entry, known: &Known<'_>, overrides: Overrides<'_>) -> Option<Scenario> {
        let scenario = Scenario::parse(&self.name, &self.text, overrides, None, known).ok()?;
        (*scenario.protocol.name == *entry.spec.name).then_some(scenario)
    }
}

/// Those scenarios that are of this protocol and show what they expect while all guards stand.
pub fn directed(entry: &Entry, known: &Known<'_>, all: &[Directed]) -> Vec<Directed> {
    let holds = |one: &&Directed| {
        let scenario = one.with(entry, known, &[]);
        scenario.is_some_and(|scenario| judge(entry, &scenario).failure.is_none())
    };
    all.iter().filter(holds).cloned().collect()
}

/// Tries a mutant with a protocol: seed after seed until something is noticed or `more` says that
/// it is enough, then with scenarios written by hand that hold without it.
pub fn hunt(
    search: &Search<'_>,
    entry: &Entry,
    (mutant, directed): (&Mutant, &[Directed]),
    more: &mut dyn FnMut() -> bool,
) -> Row {
    let overrides = [(mutant.key.clone(), mutant.name.clone())];
    let mut row = Row {
        protocol: entry.spec.name.into(),
        key: mutant.key.clone(),
        mutant: mutant.name.clone(),
        property: String::new(),
        seeds: 0,
        troubles: 0,
        scenario: String::new(),
        reason: String::new(),
    };
    let one = Search {
        entries: vec![entry],
        overrides: &overrides,
        ..*search
    };
    // A seed that fails with all guards standing shows nothing.
    let shows = |finding: &Finding| {
        let whole = draw::draw(entry, &search.known, finding.seed, search.overrides);
        whole.is_ok_and(|case| judge(entry, &case.scenario).failure.is_none())
    };
    let mut seen = 0;
    let mut found: Option<Finding> = None;
    let report = one.run(&mut |report| {
        let findings = report.values().flat_map(|tally| &tally.findings);
        found = findings.clone().skip(seen).find(|f| shows(f)).cloned();
        seen = findings.count();
        found.is_none() && more()
    });
    let tally = report.unwrap_or_default().remove(entry.spec.name);
    row.seeds = tally.unwrap_or_default().seeds;
    if let Some(finding) = found {
        row.property = finding.failure.property.into();
        row.seeds = finding.seed.wrapping_sub(search.first) + 1;
        row.troubles = finding.scenario.faults.len() + finding.scenario.adversaries.len();
        return row;
    }
    let in_files = directed.iter().find_map(|file| {
        let scenario = file.with(entry, &search.known, &overrides)?;
        let failure = judge(entry, &scenario).failure?;
        Some((file, scenario, failure))
    });
    if let Some((file, scenario, failure)) = in_files {
        row.property = failure.property.into();
        row.troubles = scenario.faults.len() + scenario.adversaries.len();
        row.scenario.clone_from(&file.name);
    } else {
        row.reason = reason(&mutant.key, &mutant.name).into();
    }
    row
}

/// What notices a mutant that the search does not, or why nothing does, where that is known.
fn reason(key: &str, name: &str) -> &'static str {
    let place = place(key);
    if place == "contract" {
        return "the judge of the contract's tests notices it";
    }
    let known = |place: &str| {
        let mut rows = KNOWN.iter();
        rows.find(|(at, names, _)| *at == place && names.contains(&name))
    };
    // What notices it in a protocol notices it where that is nested.
    let inner = inner(place).unwrap_or(place);
    let row = known(place).or_else(|| known(inner));
    row.map_or("", |(_, _, reason)| reason)
}

/// The protocol that is nested in this place: the guards are lines of the same code.
fn inner(place: &str) -> Option<&'static str> {
    match place {
        "krbft.group" | "layers.iraft" => Some("iraft"),
        "krbft.committee" | "mbft.upper" | "layers.pbft" => Some("pbft"),
        "layers.raft" => Some("raft"),
        _ => None,
    }
}

/// The place of a key, like `krbft.group`.
fn place(key: &str) -> &str {
    let place = key.trim_start_matches("protocol.");
    place.trim_end_matches("mutant").trim_end_matches('.')
}

/// Says of what nothing noticed where it is nested that the same line was noticed by itself.
fn explain(rows: &mut [Row]) {
    let noticed = |row: &Row| !row.property.is_empty();
    let alone: BTreeSet<(String, String)> = rows
        .iter()
        .filter(|row| noticed(row))
        .map(|row| (place(&row.key).to_owned(), row.mutant.clone()))
        .collect();
    for row in rows {
        let flat = inner(place(&row.key)).filter(|_| !noticed(row) && row.reason.is_empty());
        if let Some(flat) = flat
            && alone.contains(&(flat.to_owned(), row.mutant.clone()))
        {
            row.reason = format!("the same line is noticed in {flat}");
        }
    }
}

/// What else is known of mutants, by the protocol that they are of.
const KNOWN: [(&str, &[&str], &str); 11] = [
    (
        "raft",
        &["commit-old-term", "up-to-date-index-only"],
        "a story notices it",
    ),
    (
        "raft",
        &["vote-persist-late", "term-not-persisted"],
        "schedules on the stage notice it",
    ),
    (
        "raft",
        &["no-heartbeat"],
        "elections take the place of heartbeats",
    ),
    (
        "iraft",
        &[
            "paper-quorum-in-hardened",
            "ignore-prepared-certificate",
            "no-equivocation-wait",
            "vote-persist-late",
            "skip-commit-round",
            "refuse-without-reason",
            "show-proofs-once",
        ],
        "a story notices it",
    ),
    (
        "iraft",
        &["never-convict"],
        "a story notices it; nobody has to convict",
    ),
    (
        "pbft",
        &[
            "persist-late",
            "commit-quorum-low",
            "no-new-view-verify",
            "keep-voting-after-view-change",
            "view-change-quorum-low",
        ],
        "conspirators on the stage notice it",
    ),
    (
        "pbft",
        &[
            "quorum-two-f-plus-one",
            "no-join-rule",
            "no-digest-check",
            "no-fairness",
            "silent-while-awaiting",
            "deaf-to-later-views",
            "careless-after-crash",
        ],
        "a story notices it",
    ),
    (
        "layers",
        &["relay-again"],
        "equivalent: what a network has decided it does not decide again",
    ),
    (
        "layers",
        &[
            "word-is-proof",
            "no-inclusion-check",
            "no-ticket-check",
            "anyone-names-sources",
            "anyone-fetches",
            "fetch-unlisted",
            "anyone-refuses",
            "anyone-leads",
            "no-end-proof",
            "take-after-end",
            "scope-unchecked",
            "moved-again",
            "believe-done",
            "count-again",
            "namesake-replaces",
            "refused-kept",
            "refused-forgotten",
            "forget-unacked",
            "drop-unconfirmed",
            "no-custodians",
            "no-approval",
            "wait-for-all",
            "decide-again",
            "new-until-first-header",
            "never-seek",
            "hand-over-again",
            "ask-while-it-comes",
        ],
        "a story notices it",
    ),
    (
        "krbft",
        &["group-ack-minority"],
        "equivalent: what the committee has decided is lost with no group",
    ),
    (
        "krbft",
        &[
            "followers-trust-leader",
            "anyone-leads",
            "lone-voice",
            "blind-voices",
            "no-last-place",
            "outvoted-is-guilty",
            "seats-are-guilty",
            "committee-counts-nodes",
            "convicted-lead",
            "never-remind",
        ],
        "a story notices it",
    ),
];

/// The rows of a table that was written before, without those that are made anew: a table can be
/// made one protocol after the other. What is known besides of what was not noticed may have
/// changed.
pub fn others(table: &[u8], fresh: &[Row]) -> Vec<Row> {
    let named = |row: &Row| (row.protocol.clone(), row.key.clone(), row.mutant.clone());
    let mut reader = csv::Reader::from_reader(table);
    let known = reader.deserialize().filter_map(Result::ok);
    let others = known.filter(|row: &Row| fresh.iter().all(|new| named(new) != named(row)));
    let explained = |row: Row| Row {
        reason: if row.property.is_empty() {
            reason(&row.key, &row.mutant).into()
        } else {
            String::new()
        },
        ..row
    };
    others.map(explained).collect()
}

/// What a table for people says of a row besides.
fn remark(row: &Row) -> String {
    if row.scenario.is_empty() {
        row.reason.clone()
    } else {
        format!("in the scenario {}", row.scenario)
    }
}

/// The rows as a table for programs and one for people.
pub fn files(mut rows: Vec<Row>) -> Vec<(String, Vec<u8>)> {
    explain(&mut rows);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut text = String::from(
        "| protocol | guard left out | noticed by | seeds | remark |\n|---|---|---|---|---|\n",
    );
    for row in &rows {
        writer.serialize(row).expect("plain rows can be written");
        let place = place(&row.key);
        let by = if row.property.is_empty() {
            "—"
        } else {
            &row.property
        };
        writeln!(
            text,
            "| {place} | {} | {by} | {} | {} |",
            row.mutant,
            row.seeds,
            remark(row)
        )
        .expect("a string takes everything");
    }
    let table = writer.into_inner().expect("memory takes what is written");
    vec![
        ("mutants.csv".into(), table),
        ("mutants.md".into(), text.into_bytes()),
    ]
}
