//! Reads the rules of the contract, which are fixed before the chain begins.

use serde::Serializer;
use serde::ser::SerializeMap as _;

use super::reader::Reader;
use super::tree::{Node, Value};
use crate::contract::Rules;
use crate::contract::rules::{Authentication, WINDOW};

/// The keys of `contract`.
pub const KEYS: &[&str] = &[
    "authentication",
    "floor",
    "floor_research",
    "query_budget",
    "difference_guard",
    "emergencies_max",
];

/// The keys that are read: where checks can be left out, that as well.
#[cfg(not(any(test, feature = "mutants")))]
const READ: &[&str] = KEYS;
#[cfg(any(test, feature = "mutants"))]
const READ: &[&str] = &[
    KEYS[0], KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], "mutant",
];

const AUTHENTICATIONS: [(&str, Authentication); 2] = [
    ("dual", Authentication::Dual),
    ("doctor-only", Authentication::DoctorOnly),
];
/// A floor above this number of patients answers nothing in any population that can be run.
const FLOOR_MAX: u64 = 1_000_000;
/// What stands for no budget.
const UNLIMITED: &str = "unlimited";

/// Reads `contract`.
pub fn contract<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Rules> {
    let fields = reader.fields(node, READ)?;
    let standard = Rules::default();
    let mut number = |key, least, most, standard| {
        let count = reader.field(fields, key, |r, n| r.count(n, least, most));
        count
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(standard)
    };
    Some(Rules {
        floor: number("floor", 1, FLOOR_MAX, standard.floor),
        floor_research: number("floor_research", 1, FLOOR_MAX, standard.floor_research),
        emergencies_max: number("emergencies_max", 0, WINDOW, standard.emergencies_max),
        authentication: reader.or(fields, "authentication", standard.authentication, |r, n| {
            r.choice(n, &AUTHENTICATIONS)
        }),
        query_budget: reader.or(fields, "query_budget", standard.query_budget, budget),
        difference_guard: reader.or(
            fields,
            "difference_guard",
            standard.difference_guard,
            Reader::flag,
        ),
        #[cfg(any(test, feature = "mutants"))]
        mutant: reader.field(fields, "mutant", mutant),
    })
}

/// The check that is left out.
#[cfg(any(test, feature = "mutants"))]
fn mutant<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<crate::contract::rules::Mutant> {
    let name = reader.text(node)?;
    let mutant = serde_json::from_value(serde_json::Value::String(name.to_string()));
    mutant
        .map_err(|error| reader.refuse(error.to_string()))
        .ok()
}

/// A number of searches, or none at all to count.
fn budget<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Option<u32>> {
    if let Value::Scalar { text, .. } = &node.value
        && &**text == UNLIMITED
    {
        return Some(None);
    }
    let count = reader.count(node, 0, u64::from(u32::MAX))?;
    u32::try_from(count).ok().map(Some)
}

/// The rules as they are read.
pub fn as_map<S: Serializer>(rules: &Rules, serializer: S) -> Result<S::Ok, S::Error> {
    let chosen = AUTHENTICATIONS
        .iter()
        .find(|(_, choice)| *choice == rules.authentication);
    let (name, _) = chosen.expect("every choice has a name");
    let mut map = serializer.serialize_map(Some(KEYS.len()))?;
    map.serialize_entry("authentication", name)?;
    map.serialize_entry("floor", &rules.floor)?;
    map.serialize_entry("floor_research", &rules.floor_research)?;
    match rules.query_budget {
        Some(budget) => map.serialize_entry("query_budget", &budget)?,
        None => map.serialize_entry("query_budget", UNLIMITED)?,
    }
    map.serialize_entry("difference_guard", &rules.difference_guard)?;
    map.serialize_entry("emergencies_max", &rules.emergencies_max)?;
    #[cfg(any(test, feature = "mutants"))]
    if let Some(mutant) = &rules.mutant {
        map.serialize_entry("mutant", mutant)?;
    }
    map.end()
}
