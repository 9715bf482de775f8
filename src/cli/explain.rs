//! What can be named, listed and explained. Keys are explained by the page that documents them,
//! so that there is one text.

use super::say::say;
use super::{Failure, ListKind};
use crate::catalog::{PROTOCOLS, TARGETS};
use crate::experiment::table::all_columns;
use crate::figure::FIGURES;
use crate::scenario::LAWS;
use crate::scenario::run::Entry;
use crate::sim::adversary::Behaviour;

/// The reference of all keys.
const KEYS: &str = include_str!("../../scenarios/README.md");

/// A thing with a name.
struct Named {
    kind: ListKind,
    name: String,
    about: String,
}

/// Everything.
fn all() -> Vec<Named> {
    let mut all = Vec::new();
    let mut add = |kind, name: &str, about: &str| {
        all.push(Named {
            kind,
            name: name.to_owned(),
            about: about.to_owned(),
        });
    };
    for entry in PROTOCOLS {
        add(ListKind::Protocols, entry.spec.name, entry.about);
    }
    for figure in FIGURES {
        add(ListKind::Figures, figure.name, figure.about);
    }
    for target in TARGETS {
        add(ListKind::Targets, target.name, target.about);
    }
    let mut section = String::new();
    for line in KEYS.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.trim().replace('`', "");
        }
        let Some((name, about)) = table_line(line) else {
            continue;
        };
        let kind = match section.to_lowercase() {
            s if s.contains("fault") => ListKind::Faults,
            s if s.contains("adversar") && Behaviour::NAMES.contains(&&*name) => {
                ListKind::Behaviours
            }
            s if s.contains("latenc") => ListKind::Latencies,
            s if s.contains("refusal") => ListKind::Refusals,
            _ => ListKind::Keys,
        };
        let law = LAWS.contains(&name.as_str());
        add(if law { ListKind::Latencies } else { kind }, &name, &about);
    }
    for (file, columns) in all_columns() {
        for column in columns {
            add(
                ListKind::Columns,
                column.name,
                &format!("{file}: {}", column.about),
            );
        }
    }
    all
}

/// The name and the rest of a line of a table whose first cell is a code word.
fn table_line(line: &str) -> Option<(String, String)> {
    let mut cells = line.strip_prefix("| `")?.split(" | ");
    let name = cells.next()?.split('`').next()?.to_owned();
    let rest: Vec<&str> = cells.map(|cell| cell.trim_end_matches(" |")).collect();
    Some((
        name,
        rest.join("; ").trim_end_matches('|').trim().to_owned(),
    ))
}

/// Prints one line each.
pub fn list(kind: Option<ListKind>) {
    let all = all();
    let wanted = all
        .iter()
        .filter(|named| kind.is_none_or(|kind| kind == named.kind));
    let wanted: Vec<&Named> = wanted.collect();
    let width = wanted
        .iter()
        .map(|named| named.name.len())
        .max()
        .unwrap_or(0);
    for named in wanted {
        let first = named.about.lines().next().unwrap_or_default();
        say(format_args!("{:width$}  {first}", named.name));
    }
}

/// Explains everything of this name.
pub fn explain(name: &str) -> Result<(), Failure> {
    let all = all();
    let wanted = name.rsplit('.').next().unwrap_or(name);
    let found: Vec<&Named> = all
        .iter()
        .filter(|named| {
            named.name == name || (named.name == wanted && named.kind == ListKind::Keys)
        })
        .collect();
    if found.is_empty() {
        let names: Vec<&str> = all.iter().map(|named| named.name.as_str()).collect();
        let near = crate::scenario::nearest(name, names);
        let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        return Err(Failure::Usage(format!("nothing is called `{name}`{hint}")));
    }
    for named in found {
        say(format_args!(
            "{} ({})",
            named.name,
            format!("{:?}", named.kind).to_lowercase()
        ));
        say(format_args!("  {}", named.about));
        for target in TARGETS.iter().filter(|target| target.name == named.name) {
            for paragraph in target.notes {
                say(format_args!("  {paragraph}"));
            }
        }
        if let Some(entry) = PROTOCOLS.iter().find(|entry| entry.spec.name == named.name) {
            say(format_args!("  keys with their defaults:"));
            for (key, value) in defaults(entry) {
                say(format_args!("    {key}: {value}"));
            }
            let mut kinds = (entry.spec.kinds)();
            kinds.sort_unstable();
            kinds.dedup();
            say(format_args!("  kinds of messages: {}", kinds.join(", ")));
        }
    }
    Ok(())
}

/// The keys of a protocol with their defaults, among as many nodes as it needs for them.
fn defaults(entry: &Entry) -> serde_json::Map<String, serde_json::Value> {
    let sizes = [4, 16, 64, 256].into_iter();
    let mut configs = sizes.map(|nodes| (entry.spec.check)(&serde_json::Value::Null, nodes));
    match configs.find_map(Result::ok) {
        Some(serde_json::Value::Object(keys)) => keys,
        _ => serde_json::Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Code;

    #[test]
    fn every_key_of_a_protocol_is_documented_with_it() {
        for entry in PROTOCOLS {
            let title = format!("Keys of `{}`", entry.spec.name);
            let (_, section) = KEYS.split_once(&title).expect("every protocol has a table");
            let section = section.split("Keys of ").next().unwrap_or_default();
            let keys = defaults(entry);
            assert!(!keys.is_empty(), "{} has no defaults", entry.spec.name);
            for key in keys.keys() {
                assert!(section.contains(&format!("| `{key}` |")), "{title}: {key}");
            }
        }
    }

    #[test]
    fn every_behaviour_and_every_fault_is_listed() {
        let all = all();
        let is_listed = |kind, name: &str| {
            all.iter()
                .any(|named| named.kind == kind && named.name == name)
        };
        for name in Behaviour::NAMES {
            assert!(is_listed(ListKind::Behaviours, name), "{name}");
        }
        for (name, _) in crate::scenario::trouble::FAULTS {
            assert!(is_listed(ListKind::Faults, name), "{name}");
        }
    }

    #[test]
    fn every_refusal_can_be_looked_up_by_its_code() {
        let all = all();
        let mut refusals = all.iter().filter(|named| named.kind == ListKind::Refusals);
        for code in Code::ALL {
            let named = refusals.next().expect("the page has a line for every code");
            assert_eq!(named.name, format!("E{}", code.number()));
            assert!(named.about.starts_with(&format!("{code:?}; ")), "{code}");
        }
        assert!(
            refusals.next().is_none(),
            "the page has codes that the contract has not"
        );
    }
}
