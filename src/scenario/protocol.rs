//! What a scenario needs to know about protocols, handed down from the catalogue: a scenario
//! names none itself.

use serde_json::{Map, Value};

use super::nearest::nearest;
use crate::base::node::NodeId;
use crate::protocol::{FaultModel, Protocol, Wire};

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
    /// Which chain each of so many nodes keeps with a configuration, if it keeps one; nothing if
    /// the configuration cannot be read, which has been refused.
    pub chains: fn(config: &Value, nodes: usize) -> Vec<Option<usize>>,
    /// What its messages are called.
    pub kinds: fn() -> Vec<&'static str>,
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
            chains: read_chains::<P>,
            kinds: P::Message::kinds,
        }
    }

    /// Whether with a configuration so many nodes keep one chain, all of them.
    pub fn one_chain(&self, config: &Value, nodes: usize) -> bool {
        let chains = (self.chains)(config, nodes);
        chains.len() == nodes && chains.iter().all(|chain| *chain == Some(0))
    }
}

fn read_chains<P: Protocol>(config: &Value, nodes: usize) -> Vec<Option<usize>> {
    let config = serde_json::from_value::<P::Config>(config.clone());
    config.map_or_else(|_| Vec::new(), |config| chains::<P>(&config, nodes))
}

/// Which chain each of so many nodes keeps, if it keeps one.
pub fn chains<P: Protocol>(config: &P::Config, nodes: usize) -> Vec<Option<usize>> {
    let all = (0..nodes).map(NodeId::at);
    all.map(|node| P::chain_of(config, nodes, node)).collect()
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
            let inner = inner_misfits(key, value, known, &|value| reads(single(value)));
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
fn inner_misfits(
    path: &str,
    value: &Value,
    known: Option<&Value>,
    reads: &dyn Fn(&Value) -> Option<String>,
) -> Misfits {
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
        let known = known.and_then(|known| known.get(key));
        let inner = inner_misfits(&path, part, known, &|part| reads(&single(part)));
        if inner.is_empty() {
            misfits.push((path, in_own_words(&error, part, known)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Span;
    use crate::protocol::{Context, Input, Misfit, Retry, Setup, Status, Wire};
    use serde::{Deserialize, Serialize};

    /// A protocol that does nothing but have a configuration.
    #[derive(Clone, Debug)]
    struct Idle;

    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        view_timeout: Span,
        groups: u16,
        inner: Inner,
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        grouping: Grouping,
        share: u64,
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Grouping {
        RoundRobin,
        ConsistentHash,
    }

    impl Default for Config {
        fn default() -> Self {
            Self {
                view_timeout: Span::from_millis(500),
                groups: 1,
                inner: Inner {
                    grouping: Grouping::RoundRobin,
                    share: 3,
                },
            }
        }
    }

    #[derive(Clone, Debug)]
    struct Word;

    impl Wire for Word {
        fn kind(&self) -> &'static str {
            "word"
        }
        fn kinds() -> Vec<&'static str> {
            vec!["word"]
        }
        fn size(&self) -> u32 {
            1
        }
    }

    impl Protocol for Idle {
        const NAME: &'static str = "idle";
        const ABOUT: &'static str = "Does nothing.";
        const FAULTS: FaultModel = FaultModel::Byzantine;
        const RETRY: Retry = Retry::Next;
        type Config = Config;
        type Message = Word;
        type Timer = u8;

        fn check(config: &Config, n: usize) -> Vec<Misfit> {
            let crowded = usize::from(config.groups) > n;
            let misfit = || Misfit {
                key: "groups",
                rule: format!("{n} nodes do not fill {} groups", config.groups),
            };
            crowded.then(misfit).into_iter().collect()
        }
        fn liveness_bound(_: &Config, _: usize, delay: Span) -> Span {
            delay
        }
        fn new(_: &Config, _: Setup) -> Self {
            Self
        }
        fn step(&mut self, _: Input<'_, Word, u8>, _: &mut Context<'_, Word, u8>) {}
        fn status(&self) -> Status {
            Status::default()
        }
    }

    fn check(config: &Value) -> Result<Value, Misfits> {
        let spec = ProtocolSpec::of::<Idle>();
        assert!(spec.byzantine && spec.name == "idle");
        (spec.check)(config, 4)
    }

    #[test]
    fn a_configuration_is_filled_with_its_defaults() {
        let resolved = check(&serde_json::json!({ "groups": 2 })).unwrap();
        let inner = serde_json::json!({ "grouping": "round-robin", "share": 3 });
        let whole = serde_json::json!({ "view_timeout": "500ms", "groups": 2, "inner": inner });
        assert_eq!(resolved, whole);
        assert_eq!(check(&resolved).unwrap(), whole);
        assert_eq!(check(&Value::Null).unwrap()["groups"], 1);
    }

    #[test]
    fn every_wrong_key_of_a_configuration_is_named() {
        let misfits = check(&serde_json::json!({
            "view_timeuot": "1s",
            "view_timeout": 200,
            "groups": "two",
            "inner": { "grouping": "round-robbin", "share": -1, "shares": 3 },
        }));
        let said: Vec<String> = misfits
            .unwrap_err()
            .into_iter()
            .map(|(key, rule)| format!("{key}: {rule}\n"))
            .collect();
        expect_test::expect![[r#"
            groups: invalid type: string "two", expected a whole number
            the default is `1`
            inner.grouping: unknown choice `round-robbin`
            did you mean `round-robin`?
            inner.share: invalid value: integer `-1`, expected a whole number
            the default is `3`
            inner.shares: unknown key `shares`
            did you mean `share`?
            view_timeout: `200` has no unit
            write a quantity like `500ms`, the default
            view_timeuot: unknown key `view_timeuot`
            did you mean `view_timeout`?
        "#]]
        .assert_eq(&said.concat());
        let refused = check(&serde_json::json!({ "groups": 9 })).unwrap_err();
        assert_eq!(
            refused,
            [("groups".into(), "4 nodes do not fill 9 groups".into())]
        );
        assert!(
            check(&serde_json::json!([1])).unwrap_err()[0]
                .1
                .contains("must be a map")
        );
        let lacking = check(&serde_json::json!({ "inner": { "share": 1 } })).unwrap_err();
        assert!(
            lacking[0].1.contains("missing field `grouping`"),
            "{lacking:?}"
        );
    }
}
