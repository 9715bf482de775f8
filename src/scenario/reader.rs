//! Reads a tree and collects every problem on the way, instead of stopping at the first.
//!
//! Every method returns what it could read, or `None` after it has noted the problem; callers
//! carry on with a default, so one mistake does not hide the next.

use std::str::FromStr;
use std::sync::Arc;

use super::error::{Kind, PROBLEMS_MAX, Problem, Refusal};
use super::nearest::nearest;
use super::schema::{decimal, show_decimal};
use super::tree::{Entry, Node, Step, Value, shorten};
use crate::base::time::{Span, Time, Window};
use crate::base::units::UnitError;

/// Walks a tree; knows where it is and what it has found wrong.
pub struct Reader<'t> {
    root: &'t Node,
    path: Vec<Step>,
    problems: Vec<Problem>,
    more: usize,
}

/// The entries of a map, and the keys it may have.
#[derive(Clone, Copy)]
pub struct Fields<'t> {
    entries: &'t [Entry],
    keys: &'t [&'static str],
}

impl<'t> Fields<'t> {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&'t Node> {
        let entry = self.entries.iter().find(|entry| &*entry.key == key)?;
        Some(&entry.node)
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Whether a key that is not there was probably meant by one that is unknown, among the
    /// first of them.
    fn meant(&self, key: &str) -> bool {
        self.entries.iter().take(50).any(|entry| {
            !self.keys.contains(&&*entry.key)
                && nearest(&entry.key, self.keys.iter().copied()) == Some(key)
        })
    }
}

impl<'t> Reader<'t> {
    /// A reader at the root of a tree.
    pub fn new(root: &'t Node) -> Self {
        Self {
            root,
            path: Vec::new(),
            problems: Vec::new(),
            more: 0,
        }
    }

    /// The refusal, if anything is wrong.
    pub fn finish(self) -> Option<Refusal> {
        (!self.problems.is_empty()).then(|| Refusal::new(self.problems, self.more))
    }

    /// How many problems there are so far.
    pub fn noted(&self) -> usize {
        self.problems.len() + self.more
    }

    /// The name that was probably meant, unless nobody will see it.
    pub fn near<'n>(
        &self,
        written: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Option<&'n str> {
        match self.problems.len() {
            PROBLEMS_MAX.. => None,
            _ => nearest(written, names),
        }
    }

    /// Notes a problem with the value here.
    pub fn refuse(&mut self, rule: impl Into<String>) {
        self.note(false, rule, None);
    }

    /// Notes a problem with the value here, and what to write instead.
    pub fn refuse_with(&mut self, rule: impl Into<String>, help: impl Into<String>) {
        self.note(false, rule, Some(help.into()));
    }

    /// Notes a problem with the key here rather than its value.
    pub fn refuse_key(&mut self, rule: impl Into<String>, help: Option<String>) {
        self.note(true, rule, help);
    }

    /// Notes a problem with the value of a key below here.
    pub fn refuse_at(&mut self, steps: &[Step], rule: impl Into<String>, help: Option<String>) {
        self.note_at(steps, false, rule.into(), help);
    }

    /// Notes a problem with a key below here rather than its value.
    pub fn refuse_key_at(&mut self, steps: &[Step], rule: String, help: Option<String>) {
        self.note_at(steps, true, rule, help);
    }

    fn note_at(&mut self, steps: &[Step], key: bool, rule: String, help: Option<String>) {
        let length = self.path.len();
        self.path.extend_from_slice(steps);
        self.note(key, rule, help);
        self.path.truncate(length);
    }

    /// Notes that the scenario, right as it may be, asks for too much.
    pub fn refuse_limit(&mut self, key: &str, rule: impl Into<String>, help: &str) {
        let before = self.problems.len();
        self.refuse_at(&[Step::Key(key.into())], rule, Some(help.into()));
        if let Some(problem) = self.problems.get_mut(before) {
            problem.kind = Kind::Limit;
        }
    }

    fn note(&mut self, key: bool, rule: impl Into<String>, help: Option<String>) {
        if self.problems.len() >= PROBLEMS_MAX {
            self.more += 1;
            return;
        }
        let mut problem = Problem::in_tree(self.root, &self.path, key, rule);
        problem.suggestion = help;
        self.problems.push(problem);
    }

    /// Reads below a step.
    pub fn inside<T>(&mut self, step: Step, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let result = read(self);
        self.path.pop();
        result
    }

    /// The entries of a map that may have these keys; others are noted.
    pub fn fields(&mut self, node: &'t Node, keys: &'static [&'static str]) -> Option<Fields<'t>> {
        let Value::Map(entries) = &node.value else {
            let example = keys.first().map_or("key", |key| key);
            self.expected(node, &format!("a map with keys, like `{{ {example}: … }}`"));
            return None;
        };
        for entry in entries {
            if !keys.contains(&&*entry.key) {
                self.inside(Step::Key(entry.key.clone()), |reader| reader.unknown(keys));
            }
        }
        Some(Fields { entries, keys })
    }

    /// Notes that the key at the end of the path is none of `keys`.
    fn unknown(&mut self, keys: &[&str]) {
        let Some(Step::Key(key)) = self.path.last().cloned() else {
            return;
        };
        if self.problems.len() >= PROBLEMS_MAX {
            return self.note(true, "", None);
        }
        let help = match nearest(&key, keys.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("the keys here are {}", keys.join(", ")),
        };
        self.note(true, format!("unknown key `{}`", shorten(&key)), Some(help));
    }

    /// Notes that something else was expected here.
    pub fn expected(&mut self, node: &Node, what: &str) {
        let rule = match &node.value {
            Value::Null => format!("has no value: write {what}, or remove the key"),
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {
                format!("must be {what}, but here stands {}", node.describe())
            }
        };
        self.refuse(rule);
    }

    /// What `read` makes of the value of a key; `None` if it is absent or wrong.
    pub fn field<T>(
        &mut self,
        fields: Fields<'t>,
        key: &str,
        read: impl FnOnce(&mut Self, &'t Node) -> Option<T>,
    ) -> Option<T> {
        let node = fields.get(key)?;
        self.inside(Step::Key(key.into()), |reader| read(reader, node))
    }

    /// The value of a key, or the default if it is absent or wrong.
    pub fn or<T>(
        &mut self,
        fields: Fields<'t>,
        key: &str,
        default: T,
        read: impl FnOnce(&mut Self, &'t Node) -> Option<T>,
    ) -> T {
        self.field(fields, key, read).unwrap_or(default)
    }

    /// The value of a key that must be there.
    pub fn require<T>(
        &mut self,
        fields: Fields<'t>,
        key: &str,
        example: &str,
        read: impl FnOnce(&mut Self, &'t Node) -> Option<T>,
    ) -> Option<T> {
        if !fields.has(key) && !fields.meant(key) {
            self.missing(key, example);
        }
        self.field(fields, key, read)
    }

    /// Notes that a key is missing here.
    pub fn missing(&mut self, key: &str, example: &str) {
        let (rule, help) = (
            "is required, and missing",
            format!("write `{key}: {example}`"),
        );
        self.refuse_at(&[Step::Key(key.into())], rule, Some(help));
    }

    /// Any text that is not empty.
    pub fn text(&mut self, node: &'t Node) -> Option<Arc<str>> {
        let Value::Scalar { text, .. } = &node.value else {
            self.expected(node, "text");
            return None;
        };
        if text.trim().is_empty() || text.chars().any(|c| c.is_control() && c != '\n') {
            self.refuse("must be text that is not empty and has no control characters");
            return None;
        }
        Some(text.clone())
    }

    /// A quantity with its unit.
    pub fn quantity<T: FromStr<Err = UnitError>>(&mut self, node: &'t Node) -> Option<T> {
        let written = match &node.value {
            Value::Scalar { text, .. } => &**text,
            Value::Null | Value::List(_) | Value::Map(_) => "",
        };
        if written.is_empty() {
            let error = "?"
                .parse::<T>()
                .err()
                .map_or(String::new(), |e| e.to_string());
            let example = error.split('`').nth(3).unwrap_or("5ms").to_string();
            self.expected(node, &format!("a number and a unit, like `{example}`"));
            return None;
        }
        match written.parse() {
            Ok(quantity) => Some(quantity),
            Err(error) => {
                self.refuse(error.to_string());
                None
            }
        }
    }

    /// A time span greater than zero.
    pub fn positive(&mut self, node: &'t Node) -> Option<Span> {
        let span = self.quantity(node)?;
        if span == Span::ZERO {
            self.refuse("must be longer than zero");
            return None;
        }
        Some(span)
    }

    /// A whole number within bounds.
    pub fn count(&mut self, node: &'t Node, least: u64, greatest: u64) -> Option<u64> {
        let what = match greatest {
            u64::MAX => format!("a whole number from {least}"),
            greatest => format!("a whole number from {least} to {greatest}"),
        };
        let Value::Scalar { text, plain } = &node.value else {
            self.expected(node, &what);
            return None;
        };
        let canonical = *plain
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && (&**text == "0" || !text.starts_with('0'));
        let number = text.parse().ok();
        match number.filter(|number| canonical && (least..=greatest).contains(number)) {
            Some(number) => Some(number),
            None => {
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                let digits = digits.trim_start_matches('0');
                let rule = format!("must be {what}, but here stands {}", node.describe());
                let bare = text.chars().all(|c| c.is_ascii_digit() || c == '_');
                if !canonical && bare && !digits.is_empty() && digits.len() < 20 {
                    self.refuse_with(rule, format!("write the digits alone: `{digits}`"));
                } else {
                    self.refuse(rule);
                }
                None
            }
        }
    }

    /// A decimal number in thousandths, within bounds in thousandths.
    pub fn thousandths(&mut self, node: &'t Node, least: u64, greatest: u64) -> Option<u64> {
        let number = match &node.value {
            Value::Scalar { text, plain: true } => decimal(text),
            Value::Scalar { .. } | Value::Null | Value::List(_) | Value::Map(_) => None,
        };
        let number = number.filter(|number| (least..=greatest).contains(number));
        if number.is_none() {
            self.expected(
                node,
                &format!(
                    "a number from {} to {} with at most three decimals",
                    show_decimal(least),
                    show_decimal(greatest)
                ),
            );
        }
        number
    }

    /// `true` or `false`.
    pub fn flag(&mut self, node: &'t Node) -> Option<bool> {
        match &node.value {
            Value::Scalar { text, plain: true } if &**text == "true" => Some(true),
            Value::Scalar { text, plain: true } if &**text == "false" => Some(false),
            Value::Scalar { .. } | Value::Null | Value::List(_) | Value::Map(_) => {
                self.expected(node, "`true` or `false`");
                None
            }
        }
    }

    /// One of a list of names.
    pub fn choice<T: Copy>(&mut self, node: &'t Node, choices: &[(&str, T)]) -> Option<T> {
        let names = || choices.iter().map(|(name, _)| *name);
        let listed = names().collect::<Vec<_>>().join(", ");
        let Value::Scalar { text, .. } = &node.value else {
            self.expected(node, &format!("one of {listed}"));
            return None;
        };
        let chosen = choices.iter().find(|(name, _)| *name == &**text);
        if chosen.is_none() {
            let rule = match choices {
                [(only, _)] => format!("`{}` does not exist: write `{only}`", shorten(text)),
                _ => format!("`{}` is none of {listed}", shorten(text)),
            };
            match self.near(text, names()) {
                Some(name) => self.refuse_with(rule, format!("did you mean `{name}`?")),
                None => self.refuse(rule),
            }
        }
        chosen.map(|(_, value)| *value)
    }

    /// A choice written as the only key of a map: the key and its value.
    pub fn tagged(&mut self, node: &'t Node, names: &[&str]) -> Option<(&'t Entry, usize)> {
        let entries = match &node.value {
            Value::Map(entries) => &entries[..],
            Value::Null | Value::Scalar { .. } | Value::List(_) => &[],
        };
        let [entry] = entries else {
            let many = entries.iter().map(|entry| shorten(&entry.key));
            let many: Vec<_> = many.take(5).collect();
            if many.is_empty() {
                let (first, all) = (names[0], names.join(", "));
                self.expected(
                    node,
                    &format!("a map like `{first}: {{ … }}`, with one of {all}"),
                );
            } else {
                let rule = format!("must have exactly one key, but has {}", many.join(", "));
                match self.path.last() {
                    Some(Step::Index(_)) => self.refuse_with(rule, "start a new `- ` for each"),
                    Some(Step::Key(_)) | None => self.refuse_with(rule, "keep one of them"),
                }
            }
            return None;
        };
        let index = names.iter().position(|name| *name == &*entry.key);
        if index.is_none() {
            self.inside(Step::Key(entry.key.clone()), |reader| {
                let listed = names.join(", ");
                let near = reader.near(&entry.key, names.iter().copied());
                let help = near.map(|name| format!("did you mean `{name}`?"));
                reader.refuse_key(
                    format!("`{}` is none of {listed}", shorten(&entry.key)),
                    help,
                );
            });
        }
        Some((entry, index?))
    }

    /// Every item of a list; wrong items are noted and left out.
    pub fn list<T>(
        &mut self,
        node: &'t Node,
        what: &str,
        mut read: impl FnMut(&mut Self, &'t Node) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Value::List(items) = &node.value else {
            self.expected(node, what);
            return None;
        };
        let read = |(index, item)| self.inside(Step::Index(index), |reader| read(reader, item));
        Some(items.iter().enumerate().filter_map(read).collect())
    }

    /// `[from, until]`, or `[from]` for what has no end.
    pub fn ends<T>(
        &mut self,
        node: &'t Node,
        what: &str,
        read: impl FnMut(&mut Self, &'t Node) -> Option<T>,
    ) -> Option<(T, Option<T>)> {
        let ends = match &node.value {
            Value::List(ends) if matches!(ends.len(), 1 | 2) => ends.len(),
            Value::List(_) | Value::Null | Value::Scalar { .. } | Value::Map(_) => {
                self.expected(node, what);
                return None;
            }
        };
        let read = self.list(node, what, read)?;
        let whole = read.len() == ends;
        let mut read = read.into_iter().filter(|_| whole);
        Some((read.next()?, read.next()))
    }

    /// `[from, until]`, or `[from]` for a window that never closes.
    pub fn window(&mut self, node: &'t Node) -> Option<Window> {
        let what = "a window `[from, until]`, like `[20s, 40s]`";
        let (from, until): (Span, Option<Span>) = self.ends(node, what, Self::quantity)?;
        if let Some(until) = until.filter(|until| *until <= from) {
            self.refuse_with(
                format!("the window [{from}, {until}] ends before it begins"),
                "write the earlier time first",
            );
            return None;
        }
        Some(Window {
            from: Time::ZERO + from,
            until: until.map(|until| Time::ZERO + until),
        })
    }
}
