//! From bytes to a tree with places, in two passes: bytes (size, encoding, control characters)
//! and YAML (syntax, budgets, duplicate keys). The only module that knows the YAML library.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use serde_yaml::granit_parser::{self as yaml, Event, ScalarStyle, ScanError, Span, Tag};

use super::error::{Kind, Problem, Refusal};
use super::tree::{Entry, Node, Place, Source, Value, shorten};

/// Bytes of a file at most.
pub const FILE_MAX: usize = 4 << 20;
/// Keys and values in a document at most, with every alias written out.
const NODES_MAX: usize = 250_000;
/// Lists and maps inside one another at most.
const DEPTH_MAX: usize = 64;
/// Bytes of one value at most.
const SCALAR_MAX: usize = 64 << 10;
/// Bytes of one key at most.
const KEY_MAX: usize = 256;
/// Aliases at most.
const ALIASES_MAX: usize = 1_000;

/// The text of a file.
///
/// # Errors
/// The file cannot be read, is larger than 4 MiB, or is not UTF-8.
pub fn read_file(path: &Path) -> Result<String, Refusal> {
    let name = path.display().to_string();
    let unreadable = |error: std::io::Error| {
        let problem = Problem::of_file(Kind::Unreadable, &name, format!("cannot be read: {error}"));
        Refusal::from(problem)
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // An endless input, such as a device, ends here too.
    let mut limited = file.take(FILE_MAX as u64 + 1);
    limited.read_to_end(&mut bytes).map_err(unreadable)?;
    text_of(&name, &bytes)
}

/// Bytes as text; a byte order mark is dropped.
///
/// # Errors
/// Too many bytes, or not UTF-8.
pub fn text_of(name: &str, bytes: &[u8]) -> Result<String, Refusal> {
    let refuse = |rule: String| {
        let problem = Problem::of_file(Kind::Invalid, name, rule);
        Err(problem.help("save the file as UTF-8 text").into())
    };
    if bytes.len() > FILE_MAX {
        let rule = format!("is larger than {} MiB", FILE_MAX >> 20);
        return Err(Problem::of_file(Kind::Invalid, name, rule).into());
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return refuse("is UTF-16 text, not UTF-8".into());
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(error) => {
            let valid = &bytes[..error.valid_up_to()];
            let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
            let byte = bytes[error.valid_up_to()];
            refuse(format!(
                "is not UTF-8 text: byte 0x{byte:02x} on line {line}"
            ))
        }
    }
}

/// The tree of a file's text.
///
/// # Errors
/// The first error of the syntax, or the budget that is exceeded.
pub fn parse(name: &str, text: &str) -> Result<Node, Refusal> {
    let source = Arc::new(Source {
        label: name.into(),
        text: text.strip_prefix('\u{feff}').unwrap_or(text).into(),
        file: true,
    });
    parse_source(&source).map_err(|problem| (*problem).into())
}

/// The tree of any source.
///
/// # Errors
/// As [`parse`].
pub fn parse_source(source: &Arc<Source>) -> Result<Node, Box<Problem>> {
    check_characters(source)?;
    let mut options = yaml::Options::default();
    options.set_emit_comments(false);
    let mut builder = Builder::new(source);
    for event in yaml::Parser::new_from_str_with_options(&source.text, options) {
        let (event, span) = event.map_err(|error| syntax(source, &error))?;
        builder.take(event, &span)?;
    }
    Ok(builder.root.unwrap_or_else(|| Node {
        value: Value::Null,
        place: start(source),
    }))
}

/// A value as YAML text.
pub fn to_yaml(value: &impl serde::Serialize) -> String {
    serde_yaml::to_string(value).expect("maps with text keys, lists and scalars are all YAML")
}

/// The first character of a source.
pub fn start(source: &Arc<Source>) -> Place {
    Place {
        source: source.clone(),
        line: 1,
        column: 1,
        width: 1,
    }
}

fn place(source: &Arc<Source>, span: &Span) -> Place {
    let width = if span.start.line() == span.end.line() {
        span.end.col().saturating_sub(span.start.col())
    } else {
        usize::MAX
    };
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Place {
        source: source.clone(),
        line: count(span.start.line().max(1)),
        column: count(span.start.col() + 1),
        width: count(width.max(1)),
    }
}

/// Characters that no editor shows have no business in a scenario.
fn check_characters(source: &Arc<Source>) -> Result<(), Box<Problem>> {
    let (mut line, mut column) = (1, 1);
    for character in source.text.chars() {
        match character {
            '\n' => (line, column) = (line + 1, 0),
            '\t' | '\r' => {}
            character if character.is_control() || character == '\u{feff}' => {
                let place = Place {
                    line,
                    column,
                    ..start(source)
                };
                let code = u32::from(character);
                let rule = format!("the control character U+{code:04X} does not belong in YAML");
                return Err(Problem::at(&place, rule).help("remove it").into());
            }
            _ => {}
        }
        column += 1;
    }
    Ok(())
}

/// An error of the syntax, in words that say what to do about the usual mistakes.
fn syntax(source: &Arc<Source>, error: &ScanError) -> Box<Problem> {
    use yaml::ErrorKind as E;
    let place = place(source, &Span::empty(*error.marker()));
    let problem = |rule: &str, help: &str| Box::new(Problem::at(&place, rule).help(help));
    match error.kind() {
        E::TabNotAllowed | E::TabInBlockIndentation | E::TabInIndentation | E::TabInPlainScalar => {
            problem("a tab is not allowed here", "indent with spaces")
        }
        E::UnknownAnchor => problem(
            "this alias has no anchor before it",
            "write `&name` before the value it repeats, and quote a value that begins with `*`",
        ),
        E::UnclosedQuotedScalar => problem("this quote is never closed", "add the closing quote"),
        E::UnclosedFlowCollection { open } => {
            let close = if *open == '[' { ']' } else { '}' };
            problem(
                &format!("this `{open}` is never closed"),
                &format!("add the closing `{close}`"),
            )
        }
        E::MappingValueNotAllowed | E::InvalidColonPlacement => problem(
            "a `:` is not allowed here",
            "start the key on a line of its own, indented like its neighbours, or quote the text",
        ),
        E::InvalidIndentation | E::ExpectedBlockMappingKey => problem(
            "a key is expected here",
            "indent all keys of one section by the same number of spaces",
        ),
        E::InvalidQuotedScalarIndent => problem(
            "this line is still inside a quoted text that begins above",
            "close the quote, or indent the line",
        ),
        E::UnknownQuotedScalarEscape => problem(
            "this text has an unknown escape: in double quotes, `\\` begins one",
            "use single quotes, or write `\\\\` for a backslash",
        ),
        E::ExpectedDocumentStart => problem(
            "a directive (`%`) comes before this line",
            "remove the line that begins with `%`",
        ),
        E::RecursionLimitExceeded => Box::new(Problem::at(&place, too_deep())),
        kind => Box::new(Problem::at(&place, format!("this is not YAML: {kind}"))),
    }
}

fn too_deep() -> String {
    format!("lists and maps are nested more than {DEPTH_MAX} deep")
}

/// A list or map that is not complete yet.
struct Open {
    place: Place,
    anchor: usize,
    parts: Parts,
}

enum Parts {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        known: BTreeMap<Arc<str>, u32>,
        /// The key whose value comes next.
        key: Option<(Arc<str>, Place)>,
    },
}

/// Builds the tree from events.
struct Builder<'s> {
    source: &'s Arc<Source>,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
    aliases: usize,
    /// Complete anchored values with the number of nodes in each.
    anchors: BTreeMap<usize, (Node, usize)>,
    /// The nodes in all of them.
    anchored: usize,
}

type Step = Result<(), Box<Problem>>;

impl<'s> Builder<'s> {
    fn new(source: &'s Arc<Source>) -> Self {
        Self {
            source,
            open: Vec::new(),
            root: None,
            documents: 0,
            nodes: 0,
            aliases: 0,
            anchors: BTreeMap::new(),
            anchored: 0,
        }
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Step {
        let place = place(self.source, span);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let rule = "a second document begins here: a file is one document";
                    return refuse(&place, rule, "remove the `---`, or use a file for each");
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                untagged(tag.as_deref(), &place)?;
                let value = self.scalar(&text, style, &place)?;
                self.add(Node { value, place }, anchor, 1)
            }
            Event::SequenceStart(_, anchor, tag) => {
                untagged(tag.as_deref(), &place)?;
                self.begin(place, anchor, Parts::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                untagged(tag.as_deref(), &place)?;
                let parts = Parts::Map {
                    entries: Vec::new(),
                    known: BTreeMap::new(),
                    key: None,
                };
                self.begin(place, anchor, parts)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, &place),
            Event::UnresolvedAlias(_) => refuse(&place, "this alias has no anchor", "remove it"),
            // Document and stream marks, and presentation that was not asked for.
            _ => Ok(()),
        }
    }

    fn scalar(&self, text: &str, style: ScalarStyle, place: &Place) -> Result<Value, Box<Problem>> {
        if text.len() > SCALAR_MAX {
            let rule = format!("this value is longer than {} KiB", SCALAR_MAX >> 10);
            return Err(Problem::at(place, rule).into());
        }
        let plain = style == ScalarStyle::Plain;
        if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
            return Ok(Value::Null);
        }
        let text = text.into();
        Ok(Value::Scalar { text, plain })
    }

    fn begin(&mut self, place: Place, anchor: usize, parts: Parts) -> Step {
        if self.open.len() >= DEPTH_MAX {
            return Err(Problem::at(&place, too_deep()).into());
        }
        if self.expects_key() {
            return refuse(
                &place,
                "a key is a list or a map here",
                "keys are names; quote text that begins with `[` or `{`",
            );
        }
        self.count(&place, 1)?;
        self.open.push(Open {
            place,
            anchor,
            parts,
        });
        Ok(())
    }

    fn end(&mut self) -> Step {
        let open = self.open.pop().expect("the parser closes what it opened");
        let value = match open.parts {
            Parts::List(items) => Value::List(items),
            Parts::Map { entries, .. } => Value::Map(entries),
        };
        let node = Node {
            value,
            place: open.place,
        };
        // The parts were counted one by one when they were added.
        self.attach(node, open.anchor)
    }

    /// Adds a value of `size` nodes that were not counted yet.
    fn add(&mut self, node: Node, anchor: usize, size: usize) -> Step {
        self.count(&node.place, size)?;
        self.attach(node, anchor)
    }

    fn count(&mut self, place: &Place, size: usize) -> Step {
        self.nodes += size;
        if self.nodes > NODES_MAX {
            let rule = format!("the file has more than {NODES_MAX} values");
            return Err(Problem::at(place, rule).into());
        }
        Ok(())
    }

    /// Puts a complete value where it belongs, and keeps a copy if it has an anchor.
    fn attach(&mut self, node: Node, anchor: usize) -> Step {
        if anchor > 0 {
            let size = size(&node);
            self.anchored += size;
            if self.anchored > NODES_MAX {
                let rule = format!("anchors hold more than {NODES_MAX} values");
                return refuse(&node.place, &rule, "remove anchors inside other anchors");
            }
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut().map(|open| &mut open.parts) {
            None => self.root = Some(node),
            Some(Parts::List(items)) => items.push(node),
            Some(Parts::Map {
                entries,
                known,
                key,
            }) => match key.take() {
                None => *key = Some(as_key(&node, known)?),
                Some((key, place)) => entries.push(Entry { key, place, node }),
            },
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, place: &Place) -> Step {
        self.aliases += 1;
        let Some((_, size)) = self.anchors.get(&anchor) else {
            return refuse(
                place,
                "this alias stands inside the value it repeats",
                "write the value out",
            );
        };
        if self.aliases > ALIASES_MAX || self.nodes + size > NODES_MAX {
            let rule = format!(
                "aliases repeat too much: at most {ALIASES_MAX} aliases, and {NODES_MAX} values \
                 when all are written out"
            );
            return refuse(place, &rule, "write the values out");
        }
        let (node, size) = self.anchors[&anchor].clone();
        self.add(node, 0, size)
    }

    fn expects_key(&self) -> bool {
        let parts = self.open.last().map(|open| &open.parts);
        matches!(parts, Some(Parts::Map { key: None, .. }))
    }
}

/// How many keys and values a tree has.
fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Null | Value::Scalar { .. } => 0,
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|entry| 1 + size(&entry.node)).sum(),
    }
}

fn refuse(place: &Place, rule: &str, help: &str) -> Step {
    Err(Problem::at(place, rule).help(help).into())
}

fn untagged(tag: Option<&Tag>, place: &Place) -> Step {
    let Some(tag) = tag else {
        return Ok(());
    };
    let rule = format!("the tag `{}` is not allowed", shorten(&tag.original()));
    refuse(place, &rule, "remove the tag: types follow from the keys")
}

/// A node as the key of a map, if it can be one and is not there already.
fn as_key(
    node: &Node,
    known: &mut BTreeMap<Arc<str>, u32>,
) -> Result<(Arc<str>, Place), Box<Problem>> {
    let refuse = |rule: &str, help: &str| Err(Problem::at(&node.place, rule).help(help).into());
    let Value::Scalar { text, plain } = &node.value else {
        return refuse("a key is missing before the `:`", "write a name");
    };
    if text.is_empty() {
        return refuse("a key is empty", "write a name");
    }
    if text.len() > KEY_MAX {
        return refuse(
            &format!("a key is longer than {KEY_MAX} bytes"),
            "shorten it",
        );
    }
    if *plain && &**text == "<<" {
        return refuse(
            "merge keys (`<<`) are not supported",
            "repeat the keys, or use an alias for a whole value",
        );
    }
    if let Some(line) = known.insert(text.clone(), node.place.line) {
        let rule = format!("the key `{}` is here twice", shorten(text));
        return refuse(
            &rule,
            &format!("it stands on line {line} already: keep one"),
        );
    }
    Ok((text.clone(), node.place.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_and_key_knows_its_place() {
        let root = parse("test", "a: 1\nb:\n  - x: é, y\n    'long key': \"z\"\n").unwrap();
        let at = |path: &str, key: bool| {
            let path = super::super::tree::parse_path(path).unwrap();
            let place = root.locate(&path, key).0;
            (place.line, place.column, place.width)
        };
        assert_eq!(at("a", false), (1, 4, 1));
        assert_eq!(at("b", true), (2, 1, 1));
        assert_eq!(at("b.0.x", false), (3, 8, 4));
        assert_eq!(at("b.0.long key", true), (4, 5, 10));
        assert_eq!(at("b.0.long key", false), (4, 17, 3));
        assert_eq!(at("b.0.missing", true), (3, 5, 1), "the map that lacks it");
    }

    #[test]
    fn aliases_repeat_values_within_a_budget() {
        let root = parse("test", "a: &x [1, 2]\nb: *x\n").unwrap();
        assert_eq!(root.label(), "{a:[1;2];b:[1;2]}");
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let item = format!("*a{}, ", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{item}]\n"));
        }
        let refusal = parse("bomb", &bomb).unwrap_err();
        assert!(refusal.to_string().contains("aliases repeat too much"));
    }
}
