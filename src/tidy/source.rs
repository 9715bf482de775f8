//! A source file as the rules see it: with or without its strings, comments and tests.

/// One file under `src`.
pub struct Source {
    /// Where it is, from the root of the repository, with slashes.
    pub path: String,
    /// What it says.
    pub text: String,
    /// The same without what strings hold.
    pub prose: String,
    /// The same without comments as well.
    pub code: String,
    /// The same without anything that only tests contain.
    pub shipped: String,
}

impl Source {
    /// The files at these paths. What is left of each keeps its line; the rest is blank.
    pub fn all<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Self> {
        let mut sources: Vec<Self> = files
            .into_iter()
            .map(|(path, text)| {
                let code = blank(text, false);
                Self {
                    path: path.to_owned(),
                    text: text.to_owned(),
                    prose: blank(text, true),
                    shipped: without_tests(&code),
                    code,
                }
            })
            .collect();
        let tests: Vec<String> = sources.iter().flat_map(test_modules).collect();
        for source in &mut sources {
            let stem = source.path.strip_suffix(".rs").unwrap_or(&source.path);
            let within = |module: &String| {
                let rest = stem.strip_prefix(module.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            if tests.iter().any(within) {
                source.shipped = "\n".repeat(source.text.lines().count());
            }
        }
        sources
    }

    /// The folders and the file that make its module's path below the crate: none for `lib.rs`.
    pub fn module(&self) -> Vec<&str> {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let stem = inside.strip_suffix(".rs").unwrap_or(inside);
        let mut names: Vec<&str> = stem.split('/').collect();
        if matches!(names.last(), Some(&("mod" | "lib"))) {
            names.pop();
        }
        names
    }
}

/// The line, from 1, on which the byte at `at` stands.
pub fn line_of(text: &str, at: usize) -> usize {
    1 + text[..at].matches('\n').count()
}

/// Where `word` stands in `text`, unless as a part of a longer name.
pub fn places(text: &str, word: &str) -> Vec<usize> {
    let stands_alone = |at: usize| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let glued = |beside: Option<char>, edge: bool| edge && beside.is_some_and(in_name);
        !glued(before, word.starts_with(in_name)) && !glued(after, word.ends_with(in_name))
    };
    let found = text.match_indices(word).map(|(at, _)| at);
    found.filter(|&at| stands_alone(at)).collect()
}

/// Whether a name may contain this.
pub fn in_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How many bytes the item takes that begins where `code` does: up to its closing brace, or to a
/// semicolon outside all brackets.
pub fn extent(code: &str) -> usize {
    let mut depth = 0_i32;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth < 0 || (depth == 0 && matches!(c, '}' | ';')) {
            return at + c.len_utf8();
        }
    }
    code.len()
}

const TEST_ONLY: &str = "#[cfg(test)]";

/// The code with each item blank that only tests contain.
fn without_tests(code: &str) -> String {
    let mut left = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(TEST_ONLY) {
        let item = at + TEST_ONLY.len();
        let end = item + extent(&rest[item..]);
        left.push_str(&rest[..at]);
        left.extend(rest[at..end].chars().map(blanked));
        rest = &rest[end..];
    }
    left + rest
}

/// The modules, as paths without `.rs`, that this file declares for tests only.
fn test_modules(source: &Source) -> Vec<String> {
    let folder: String = source
        .module()
        .iter()
        .map(|name| format!("/{name}"))
        .collect();
    let items = source.code.split(TEST_ONLY).skip(1);
    let declared = items.filter_map(|item| {
        let (name, _) = item[..extent(item)].split_once("mod ")?.1.split_once(';')?;
        name.chars().all(in_name).then_some(name)
    });
    declared.map(|name| format!("src{folder}/{name}")).collect()
}

fn blanked(c: char) -> char {
    if c == '\n' { c } else { ' ' }
}

/// The text with spaces in place of what strings and characters hold and, unless they are kept,
/// of comments.
fn blank(text: &str, keep_comments: bool) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut left = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let (length, keep) = token(&chars, at);
        let comment = chars[at] == '/';
        for &c in &chars[at..at + length] {
            left.push(if keep || (comment && keep_comments) {
                c
            } else {
                blanked(c)
            });
        }
        at += length;
    }
    left
}

/// How long the string, character or comment is that begins here, or one; and whether to keep it.
fn token(chars: &[char], at: usize) -> (usize, bool) {
    let here = &chars[at..];
    let until = |end: &[char], from: usize| {
        let found = here
            .windows(end.len())
            .skip(from)
            .position(|part| part == end);
        found.map_or(here.len(), |place| from + place + end.len())
    };
    let in_a_name = at > 0 && in_name(chars[at - 1]) && chars[at - 1] != 'b';
    match here {
        ['/', '/', ..] => (until(&['\n'], 2).min(here.len()), false),
        ['/', '*', ..] => (until(&['*', '/'], 2), false),
        ['r', '"' | '#', ..] if !in_a_name => {
            let hashes = here[1..].iter().take_while(|&&c| c == '#').count();
            if here.get(1 + hashes) != Some(&'"') {
                return (1, true);
            }
            let end: Vec<char> = std::iter::once('"').chain(vec!['#'; hashes]).collect();
            (until(&end, 2 + hashes), false)
        }
        ['"', ..] | ['\'', '\\', ..] => (quoted(here), false),
        ['\'', _, '\'', ..] => (3, false),
        _ => (1, true),
    }
}

/// How long the quotation is that begins here; what a backslash precedes does not end it.
fn quoted(here: &[char]) -> usize {
    let mut at = 1;
    while at < here.len() && here[at] != here[0] {
        at += if here[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(here.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_comments_are_told_from_code() {
        let text = "a(\"b \\\" c\"); // d\nr#\"e \" f\"#; 'g'; '\\''; h<'i>(); /* j\n */ k";
        let source = &Source::all([("src/a.rs", text)])[0];
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&source.code), "a( ); ; ; ; h<'i>(); k");
        assert_eq!(words(&source.prose), "a( ); // d ; ; ; h<'i>(); /* j */ k");
        assert_eq!(source.code.lines().count(), 3);
    }

    #[test]
    fn what_only_tests_contain_is_set_apart() {
        let files = [
            (
                "src/a/mod.rs",
                "fn b(x: [u8; 2]) {}\n#[cfg(test)]\nmod c;\n#[cfg(test)]\nfn d() {}\nfn e() {}",
            ),
            ("src/a/c.rs", "fn f() {}"),
            ("src/a/c/g.rs", "fn h() {}"),
            ("src/a/cc.rs", "fn i() {}"),
        ];
        let sources = Source::all(files);
        let shipped: Vec<&str> = sources.iter().map(|source| source.shipped.trim()).collect();
        assert!(shipped[0].starts_with("fn b") && shipped[0].ends_with("fn e() {}"));
        assert!(!shipped[0].contains("fn d"));
        assert_eq!(shipped[1..], ["", "", "fn i() {}"]);
    }

    #[test]
    fn a_word_is_not_found_in_a_longer_one() {
        assert_eq!(places("unsafe_code unsafe", "unsafe"), [12]);
        assert_eq!(places("a.unwrap().unwrap_or(b)", ".unwrap()"), [1]);
    }
}
