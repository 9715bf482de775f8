//! A YAML document as a tree in which every key and value remembers where it was written, so that
//! a refusal can point at it. Overrides and sweep axes edit this tree before it is read.

use std::fmt;
use std::sync::Arc;

/// A text that values were read from: a file, or the value of an override.
#[derive(Debug)]
pub struct Source {
    /// How it is named in refusals: a path, or `--set KEY`.
    pub label: String,
    /// All of it.
    pub text: String,
    /// Whether positions in it mean something to the user.
    pub file: bool,
}

/// Where something is written.
#[derive(Clone, Debug)]
pub struct Place {
    /// In which text.
    pub source: Arc<Source>,
    /// The line, from 1.
    pub line: u32,
    /// The character of the line, from 1.
    pub column: u32,
    /// The characters it covers on that line, at least 1.
    pub width: u32,
}

/// A value and where it is written.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is written.
    pub value: Value,
    /// Where.
    pub place: Place,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A word, number or quoted text.
    Scalar {
        /// The text without quotes.
        text: Arc<str>,
        /// Whether it was written without quotes.
        plain: bool,
    },
    /// Values in order.
    List(Vec<Node>),
    /// Values by key, in the order of the file; keys are distinct.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: Arc<str>,
    /// Where the key is written.
    pub place: Place,
    /// The value.
    pub node: Node,
}

/// One step from a node to a part of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// To the value of a key.
    Key(Arc<str>),
    /// To a place in a list, from 0.
    Index(usize),
}

/// A path as printed and as accepted: `network.links[0].latency`.
pub struct Path<'a>(pub &'a [Step]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if number == 0 => write!(f, "{}", shorten(key))?,
                Step::Key(key) => write!(f, ".{}", shorten(key))?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Reads a dotted path: `network.links.0.latency` and `network.links[0].latency` are the same.
/// `None` if a part of it is empty.
pub fn parse_path(text: &str) -> Option<Vec<Step>> {
    let spread = text.replace('[', ".").replace(']', "");
    spread
        .split('.')
        .map(|part| match part.parse() {
            _ if part.is_empty() => None,
            Ok(index) if part.bytes().all(|byte| byte.is_ascii_digit()) => Some(Step::Index(index)),
            _ => Some(Step::Key(part.into())),
        })
        .collect()
}

/// At most sixty characters of `text`, control characters escaped.
pub fn shorten(text: &str) -> String {
    let mut rest = text.chars();
    let mut shown = String::new();
    for character in rest.by_ref().take(60) {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}

impl Node {
    /// The value of a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.node)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| &*entry.key == key),
            Value::Null | Value::Scalar { .. } | Value::List(_) => None,
        }
    }

    /// Where the value at `path` is written, or as much of the path as exists; the key rather
    /// than the value if `key` and the path ends with one.
    pub fn locate(&self, path: &[Step], key: bool) -> (&Place, Option<&Self>) {
        let mut node = self;
        for (number, step) in path.iter().enumerate() {
            let last = number + 1 == path.len();
            let next = match (step, &node.value) {
                (Step::Key(name), _) => match node.entry(name) {
                    Some(entry) if last && key => return (&entry.place, Some(&entry.node)),
                    entry => entry.map(|entry| &entry.node),
                },
                (Step::Index(index), Value::List(items)) => items.get(*index),
                (Step::Index(_), Value::Null | Value::Scalar { .. } | Value::Map(_)) => None,
            };
            let Some(next) = next else {
                return (&node.place, None);
            };
            node = next;
        }
        (&node.place, Some(node))
    }

    fn nothing(place: &Place) -> Self {
        Self {
            value: Value::Null,
            place: place.clone(),
        }
    }

    /// Puts `value` at `path`. Maps that are missing on the way are made, and so is the item
    /// after the last of a list; a choice written as a
    /// bare name, like `protocol: pbft`, becomes a map when a key below it is set.
    ///
    /// # Errors
    /// A sentence if the path leads through a value that has no such part.
    pub fn set(&mut self, path: &[Step], key: &Place, value: Self) -> Result<(), String> {
        let Some((step, rest)) = path.split_first() else {
            *self = value;
            return Ok(());
        };
        if let (Value::Scalar { text, .. }, Step::Key(name)) = (&self.value, step)
            && text == name
        {
            self.value = Value::Map(Vec::new());
        }
        if let Value::Null = self.value {
            self.value = match step {
                Step::Key(_) => Value::Map(Vec::new()),
                Step::Index(_) => Value::List(Vec::new()),
            };
        }
        match (&mut self.value, step) {
            (Value::Map(entries), step) => {
                let name: Arc<str> = match step {
                    Step::Key(name) => name.clone(),
                    Step::Index(index) => index.to_string().into(),
                };
                let at = entries.iter().position(|entry| entry.key == name);
                let at = at.unwrap_or_else(|| {
                    entries.push(Entry {
                        key: name,
                        place: key.clone(),
                        node: Self::nothing(key),
                    });
                    entries.len() - 1
                });
                entries[at].node.set(rest, key, value)
            }
            (Value::List(items), Step::Index(index)) => {
                let count = items.len();
                if *index == count {
                    items.push(Self::nothing(key));
                }
                match items.get_mut(*index) {
                    Some(item) => item.set(rest, key, value),
                    None => Err(format!(
                        "there is no item {index}: the list has {count}, counted from 0"
                    )),
                }
            }
            (Value::List(_), Step::Key(name)) => Err(format!(
                "`{}` is not an index: here stands a list, whose items are counted from 0",
                shorten(name)
            )),
            (Value::Null | Value::Scalar { .. }, _) => Err(format!(
                "here stands {}, which has no parts to set",
                self.describe()
            )),
        }
    }

    /// What is written here on one line, shortened, for a sentence: `\`[1, 2]\`` or `nothing`.
    pub fn describe(&self) -> String {
        if let Value::Null = self.value {
            return "nothing".into();
        }
        let mut text = String::new();
        self.write_flow(&mut text);
        format!("`{}`", shorten(&text))
    }

    /// Writes as much as can be shown.
    fn write_flow(&self, text: &mut String) {
        if text.len() > 300 {
            return;
        }
        match &self.value {
            Value::Null => text.push('~'),
            Value::Scalar { text: scalar, .. } => text.push_str(&shorten(scalar)),
            Value::List(items) => {
                text.push('[');
                for (number, item) in items.iter().take(60).enumerate() {
                    text.push_str(if number > 0 { ", " } else { "" });
                    item.write_flow(text);
                }
                text.push(']');
            }
            Value::Map(entries) => {
                text.push('{');
                for (number, entry) in entries.iter().take(60).enumerate() {
                    text.push_str(if number > 0 { ", " } else { " " });
                    text.push_str(&shorten(&entry.key));
                    text.push_str(": ");
                    entry.node.write_flow(text);
                }
                text.push_str(" }");
            }
        }
    }

    /// The value on one line without spaces, commas or quotes, to label a point of a sweep:
    /// `pbft`, `{pbft:{view_timeout:1s}}`, `[a;b]`.
    pub fn label(&self) -> String {
        let mut label = String::new();
        self.write_label(&mut label);
        if label.starts_with(['=', '+', '-', '@']) {
            // A spreadsheet would take it for a formula.
            label.insert(0, '_');
        }
        label
    }

    fn write_label(&self, label: &mut String) {
        let plain = |text: &str, label: &mut String| {
            label.extend(text.chars().map(|character| match character {
                ',' => ';',
                '"' | '\'' => '_',
                character if character.is_control() || character.is_whitespace() => '_',
                character => character,
            }));
        };
        match &self.value {
            Value::Null => label.push_str("none"),
            Value::Scalar { text, .. } => plain(text, label),
            Value::List(items) => {
                label.push('[');
                for (number, item) in items.iter().enumerate() {
                    if number > 0 {
                        label.push(';');
                    }
                    item.write_label(label);
                }
                label.push(']');
            }
            Value::Map(entries) => {
                label.push('{');
                for (number, entry) in entries.iter().enumerate() {
                    if number > 0 {
                        label.push(';');
                    }
                    plain(&entry.key, label);
                    label.push(':');
                    entry.node.write_label(label);
                }
                label.push('}');
            }
        }
    }

    /// The same as JSON, for the configuration of a protocol, which only the protocol can read.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Scalar { text, plain: true } => json_scalar(text),
            Value::Scalar { text, plain: false } => (&**text).into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.to_string(), entry.node.to_json()))
                .collect(),
        }
    }
}

/// A bare word as JSON: whole numbers and booleans are what they look like, all else is text.
fn json_scalar(text: &str) -> serde_json::Value {
    let whole = |digits: &str| {
        !digits.is_empty()
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'))
    };
    match text {
        "true" => true.into(),
        "false" => false.into(),
        _ => match (text.parse::<u64>(), text.parse::<i64>()) {
            (Ok(number), _) if whole(text) => number.into(),
            (_, Ok(number)) if text.strip_prefix('-').is_some_and(whole) => number.into(),
            _ => text.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::read::parse;

    fn tree(text: &str) -> Node {
        parse("test", text).unwrap()
    }

    #[test]
    fn paths_are_read_with_dots_or_brackets() {
        let dotted = parse_path("network.links.0.latency").unwrap();
        assert_eq!(
            Some(&dotted),
            parse_path("network.links[0].latency").as_ref()
        );
        assert_eq!(Path(&dotted).to_string(), "network.links[0].latency");
        for bad in ["", ".", "a..b", "a."] {
            assert_eq!(parse_path(bad), None, "{bad}");
        }
    }

    #[test]
    fn setting_a_key_of_a_bare_choice_makes_it_a_map() {
        let mut root = tree("protocol: pbft\nlist: [1, 2]\n");
        let key = root.place.clone();
        let mut set = |path: &str, value: &str| {
            let path = parse_path(path).unwrap();
            root.set(&path, &key, tree(value))
        };
        set("protocol.pbft.view_timeout", "1s").unwrap();
        set("list.1", "[3, 'a, b']").unwrap();
        assert!(set("list.3", "3").unwrap_err().contains("the list has 2"));
        assert!(set("list.x", "3").unwrap_err().contains("not an index"));
        assert!(set("list.0.x", "3").unwrap_err().contains("no parts"));
        set("list.2", "4").unwrap();
        set("new.0.key", "5").unwrap();
        assert_eq!(
            root.label(),
            "{protocol:{pbft:{view_timeout:1s}};list:[1;[3;a;_b];4];new:[{key:5}]}"
        );
    }

    #[test]
    fn only_canonical_numbers_are_numbers() {
        for text in ["012", "1_000", "0x10", "1e3", "+5", "1.5", "no", "1:30"] {
            assert_eq!(json_scalar(text), serde_json::Value::from(text));
        }
        assert_eq!(
            json_scalar("18446744073709551615"),
            serde_json::Value::from(u64::MAX)
        );
        assert_eq!(json_scalar("-3"), serde_json::Value::from(-3));
    }
}
