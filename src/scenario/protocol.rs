//! What a scenario needs to know about protocols, handed down from the catalogue: a scenario
//! names none itself.

use serde_json::{Map, Value};

use super::nearest::nearest;
use crate::protocol::{FaultModel, Protocol};

/// A protocol as far as a scenario can see it.
#[derive(Clone, Copy, Debug)]
pub struct ProtocolSpec {
    /// As written in a scenario.
    pub name: &'static str,
    /// Whether it claims to survive dishonest nodes.
    pub byzantine: bool,
    /// Reads a configuration for so many nodes: the whole of it with every default, or what is
    /// wrong with it.
    pub check: fn(config: &Value, nodes: usize) -> Result<Value, Misfits>,
}

/// What is wrong with a configuration: key path (like `timeouts.view`, empty for the whole) and
/// rule. A second line of the rule, if there is one, is a suggestion.
pub type Misfits = Vec<(String, String)>;

impl ProtocolSpec {
    /// The specification of a protocol.
    pub const fn of<P: Protocol>() -> Self {
        Self {
            name: P::NAME,
            byzantine: matches!(P::FAULTS, FaultModel::Byzantine),
            check: check_config::<P>,
        }
    }
}

/// Reads the configuration of a protocol and lets it check the result.
///
/// Every key is tried by itself first, because the reader of a whole stops at its first error
/// and does not say where it was.
///
/// # Errors
/// Every key that is unknown, of the wrong type, or against a rule of the protocol.
pub fn check_config<P: Protocol>(config: &Value, nodes: usize) -> Result<Value, Misfits> {
    let known = serde_json::to_value(P::Config::default()).unwrap_or(Value::Null);
    let reads = |value: Value| match serde_json::from_value::<P::Config>(value) {
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    };
    let empty = Map::new();
    let entries = match config {
        Value::Object(entries) => entries,
        Value::Null => &empty,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            let rule = format!("must be a map with keys of {}", P::NAME);
            return Err(vec![(String::new(), rule)]);
        }
    };
    let mut misfits = Vec::new();
    for (key, value) in entries {
        let known = known.get(key);
        let single = |value: &Value| Value::Object(Map::from_iter([(key.clone(), value.clone())]));
        if let Some(error) = reads(single(value)) {
            let inner = inner_misfits(key, value, &|value| reads(single(value)));
            // What only lacks its neighbours is judged when the whole is read.
            if inner.is_empty() && !error.contains("missing field") {
                misfits.push((key.clone(), in_own_words(&error, value, known)));
            }
            misfits.extend(inner);
        }
    }
    if !misfits.is_empty() {
        return Err(misfits);
    }
    let config: P::Config = serde_json::from_value(Value::Object(entries.clone()))
        .map_err(|error| vec![(String::new(), error.to_string())])?;
    let misfits = P::check(&config, nodes);
    if !misfits.is_empty() {
        let misfit = |misfit: crate::protocol::Misfit| (misfit.key.to_string(), misfit.rule);
        return Err(misfits.into_iter().map(misfit).collect());
    }
    serde_json::to_value(&config).map_err(|error| vec![(String::new(), error.to_string())])
}

/// The parts of a nested map that are wrong by themselves. A part that only lacks its neighbours
/// is not.
fn inner_misfits(path: &str, value: &Value, reads: &dyn Fn(&Value) -> Option<String>) -> Misfits {
    let Value::Object(parts) = value else {
        return Vec::new();
    };
    let mut misfits = Vec::new();
    for (key, part) in parts {
        let single = |part: &Value| Value::Object(Map::from_iter([(key.clone(), part.clone())]));
        let Some(error) = reads(&single(part)) else {
            continue;
        };
        if error.contains("missing field") {
            continue;
        }
        let path = format!("{path}.{key}");
        let inner = inner_misfits(&path, part, &|part| reads(&single(part)));
        if inner.is_empty() {
            misfits.push((path, in_own_words(&error, part, None)));
        }
        misfits.extend(inner);
    }
    misfits
}

/// The reader's error as a sentence that says what to write.
fn in_own_words(error: &str, value: &Value, default: Option<&Value>) -> String {
    let names: Vec<&str> = error.split('`').skip(1).step_by(2).collect();
    if let (Some((&written, valid)), true) = (
        names.split_first(),
        error.starts_with("unknown field") || error.starts_with("unknown variant"),
    ) {
        let what = if error.starts_with("unknown field") {
            "unknown key"
        } else {
            "unknown choice"
        };
        let help = match nearest(written, valid.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None if valid.is_empty() => "there are no keys here".into(),
            None => format!("the names here are {}", valid.join(", ")),
        };
        return format!("{what} `{written}`\n{help}");
    }
    match (value, default) {
        (Value::Number(number), Some(Value::String(example))) => {
            format!("`{number}` has no unit\nwrite a quantity like `{example}`, the default")
        }
        (_, Some(default)) if error.starts_with("invalid") => {
            let told = error
                .replace("u64", "a whole number")
                .replace("u32", "a whole number");
            let told = told
                .replace("u16", "a whole number")
                .replace("usize", "a whole number");
            format!("{told}\nthe default is `{default}`")
        }
        _ => error.into(),
    }
}
