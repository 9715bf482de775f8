//! Why a scenario or an experiment is refused: every problem of a file at once, each with the
//! place, the key, the value, the rule and, where there is one, the nearest valid name.

use std::fmt;

use super::tree::{Node, Path, Place, Step, shorten};

/// What a refusal means for the exit code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// The scenario or experiment asks for more than a run can take: exit code 4.
    Limit,
    /// The scenario or experiment is wrong: exit code 3.
    Invalid,
    /// The file cannot be read: exit code 5.
    Unreadable,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The kind.
    pub kind: Kind,
    /// The file, or `--set KEY`.
    pub file: String,
    /// The line, from 1; 0 where there is none.
    pub line: usize,
    /// The character in the line, from 1; 0 where there is none.
    pub column: usize,
    /// The key, like `network.links[0].latency`; empty for the file as a whole.
    pub key_path: String,
    /// The value as written, shortened; empty where it is not about one.
    pub value: String,
    /// What is wrong, or what must hold, as a sentence without its full stop.
    pub rule: String,
    /// What to write instead, or the nearest valid name.
    pub suggestion: Option<String>,
    /// In which point of an experiment it occurs.
    pub context: Option<String>,
    /// The line it stands on with a caret under it.
    snippet: Option<Snippet>,
}

/// A part of a line and what to underline in it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Snippet {
    text: String,
    skip: usize,
    width: usize,
}

/// Why a file was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The problems in the order of the file, at most [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// How many more there are.
    pub more: usize,
}

/// Problems that are shown; the rest is counted.
pub const PROBLEMS_MAX: usize = 20;
/// Characters of a line that are shown around a problem.
const LINE_MAX: usize = 100;

impl Problem {
    /// A problem at a place.
    pub fn at(place: &Place, rule: impl Into<String>) -> Self {
        let (line, column) = match place.source.file {
            true => (place.line as usize, place.column as usize),
            false => (0, 0),
        };
        Self {
            kind: Kind::Invalid,
            file: place.source.label.clone(),
            line,
            column,
            key_path: String::new(),
            value: String::new(),
            rule: rule.into(),
            suggestion: None,
            context: None,
            snippet: Snippet::of(place),
        }
    }

    /// A problem of a file as a whole, without a place in it.
    pub fn of_file(kind: Kind, file: &str, rule: impl Into<String>) -> Self {
        Self {
            kind,
            file: file.into(),
            line: 0,
            column: 0,
            key_path: String::new(),
            value: String::new(),
            rule: rule.into(),
            suggestion: None,
            context: None,
            snippet: None,
        }
    }

    /// A problem with what stands at a path of a tree, or with its key.
    pub fn in_tree(root: &Node, path: &[Step], key: bool, rule: impl Into<String>) -> Self {
        let (place, node) = root.locate(path, key);
        let value = match (node, path.last()) {
            (Some(_), Some(Step::Key(name))) if key => shorten(name),
            (Some(node), _) => node.describe(),
            (None, _) => String::new(),
        };
        Self {
            key_path: Path(path).to_string(),
            value,
            ..Self::at(place, rule)
        }
    }

    /// The same with a suggestion.
    #[must_use]
    pub fn help(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }
}

impl Snippet {
    fn of(place: &Place) -> Option<Self> {
        let line = place.source.text.lines().nth(place.line as usize - 1)?;
        let column = place.column as usize - 1;
        // Long lines are shown from a little before the problem.
        let from = if column + place.width as usize <= LINE_MAX {
            0
        } else {
            column.saturating_sub(20)
        };
        let shown = line.chars().skip(from).take(LINE_MAX);
        let text: String = shown
            .map(|character| match character {
                character if character.is_control() => ' ',
                character => character,
            })
            .collect();
        let text = text.trim_end().to_string();
        let room = text.chars().count().saturating_sub(column - from).max(1);
        Some(Self {
            text,
            skip: column - from,
            width: (place.width as usize).clamp(1, room),
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: ")?;
        if !self.key_path.is_empty() {
            write!(f, "{}: ", self.key_path)?;
        }
        writeln!(f, "{}", self.rule)?;
        let number = match self.line {
            0 => String::new(),
            line => line.to_string(),
        };
        let margin = " ".repeat(number.len());
        write!(f, "{margin} --> {}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        writeln!(f)?;
        if let Some(snippet) = &self.snippet {
            let (skip, carets) = (" ".repeat(snippet.skip), "^".repeat(snippet.width));
            writeln!(f, "{margin} |")?;
            writeln!(f, "{number} | {}", snippet.text)?;
            writeln!(f, "{margin} | {skip}{carets}")?;
        }
        let told = self.rule.contains(self.value.trim_matches('`'));
        if !told {
            writeln!(f, "{margin} = found: {}", self.value)?;
        }
        if let Some(suggestion) = &self.suggestion {
            writeln!(f, "{margin} = help: {suggestion}")?;
        }
        if let Some(context) = &self.context {
            writeln!(f, "{margin} = in: {context}")?;
        }
        Ok(())
    }
}

impl Refusal {
    /// A refusal for these problems, in the order of the file and without repetitions.
    pub fn new(mut problems: Vec<Problem>, more: usize) -> Self {
        assert!(!problems.is_empty(), "a refusal has a reason");
        let order = |problem: &Problem| (problem.line == 0, problem.line, problem.column);
        problems
            .sort_by(|a, b| (order(a).0, &a.file, order(a)).cmp(&(order(b).0, &b.file, order(b))));
        problems.dedup();
        let more = more + problems.len().saturating_sub(PROBLEMS_MAX);
        problems.truncate(PROBLEMS_MAX);
        Self { problems, more }
    }

    /// A refusal, if there are problems.
    pub fn of(problems: Vec<Problem>) -> Option<Self> {
        (!problems.is_empty()).then(|| Self::new(problems, 0))
    }

    /// The gravest kind among the problems.
    pub fn kind(&self) -> Kind {
        let kinds = self.problems.iter().map(|problem| problem.kind);
        kinds.max().expect("a refusal has a reason")
    }

    /// What the process exits with: 3 refused, 4 a limit, 5 reading.
    pub fn exit_code(&self) -> u8 {
        match self.kind() {
            Kind::Invalid => 3,
            Kind::Limit => 4,
            Kind::Unreadable => 5,
        }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::new(vec![problem], 0)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        if self.more > 0 {
            writeln!(f, "\n… and {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}
