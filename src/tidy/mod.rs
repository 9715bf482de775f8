//! The rules of the house, as tests over its own source: a breach fails with its file and line.
//! Every rule is first shown what it must refuse and what it must let pass.
//!
//! What the compiler and clippy already refuse is left to them.

mod source;

use std::fs;
use std::path::Path;

use source::{Source, extent, in_name, line_of, places};

/// Modules of one line do not know one another; each may use those of the lines above.
const LAYERS: [&[&str]; 12] = [
    &["base"],
    &["contract"],
    &["chain"],
    &["protocol", "network"],
    &["sim"],
    &["observe"],
    &["scenario"],
    &["experiment", "bench", "fuzz", "study"],
    &["figure"],
    &["catalog"],
    &["cli"],
    &["main"],
];

/// The last layer that computes in integers only.
const EXACT: &str = "scenario";

/// Where floats begin: the quantiles of distributions, summaries, and the bounds a scenario
/// expects of them.
const FLOATS: [&str; 3] = [
    "src/base/distribution",
    "src/observe/metrics",
    "src/scenario/unmet",
];

const FILE_LINES_MAX: usize = 600;
/// Of the body, without comments and blank lines, as clippy counts them.
const FUNCTION_LINES_MAX: usize = 60;
const COLUMNS_MAX: usize = 100;

/// What the module doc of a protocol explains, in this order.
const HEADINGS: [&str; 4] = ["# Protocol", "# Source", "# Deviations", "# Messages"];

/// What would name a place on somebody's machine. Cut in two, so as not to be a finding itself.
const PLACES: [&str; 5] = [
    concat!("../", "shared"),
    concat!("/wo", "rk/"),
    concat!("/t", "mp/"),
    concat!("/ro", "ot/"),
    concat!("sand", "box"),
];

/// Words that no file may hold but those whose path begins like an exception.
struct Ban {
    words: &'static [&'static str],
    /// Which part of a file the ban concerns.
    part: fn(&Source) -> &str,
    except: &'static [&'static str],
}

const BANS: [Ban; 5] = [
    Ban {
        words: &["TODO", "FIXME", "XXX"],
        part: |source| &source.prose,
        except: &[],
    },
    Ban {
        words: &[
            "unsafe",
            "todo!",
            "unimplemented!",
            "macro_rules!",
            "#[ignore",
        ],
        part: |source| &source.code,
        except: &[],
    },
    Ban {
        words: &["println!", "eprintln!", "print!", "eprint!"],
        part: |source| &source.shipped,
        except: &["src/cli", "src/main"],
    },
    Ban {
        words: &["std::env"],
        part: |source| &source.shipped,
        except: &["src/cli", "src/main"],
    },
    Ban {
        words: &["thread::", "std::thread", "rayon"],
        part: |source| &source.shipped,
        except: &[
            "src/sim/window",
            "src/experiment",
            "src/fuzz",
            "src/bench",
            "src/cli",
        ],
    },
];

/// Which layer a module is in, counted from below.
fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Every use of one of our modules: where it stands, and the module's name.
fn modules_used(source: &Source) -> Vec<(usize, &str)> {
    let code = &source.shipped;
    let root = "super::".repeat(source.module().len());
    let mut used = Vec::new();
    for prefix in ["crate::", "consilium::", &root] {
        if prefix.is_empty() {
            continue;
        }
        for at in code.match_indices(prefix).map(|(at, _)| at + prefix.len()) {
            used.extend(first_names(&code[at..]).map(|(place, name)| (at + place, name)));
        }
    }
    used
}

/// The first name of a path, or those of all paths in the braces that begin here.
fn first_names(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let group = code.starts_with('{').then(|| &code[..extent(code)]);
    let mut depth = 0;
    let ends = group.unwrap_or_default().match_indices(|c| {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        depth == 1 && matches!(c, '{' | ',')
    });
    let starts: Vec<usize> = ends.map(|(at, _)| at + 1).collect();
    let starts = if group.is_some() { starts } else { vec![0] };
    starts.into_iter().filter_map(move |from| {
        let rest = code[from..].trim_start();
        let length = rest.find(|c| !in_name(c)).unwrap_or(rest.len());
        let from = code.len() - rest.len();
        (!rest.starts_with('}')).then_some((from, &rest[..length]))
    })
}

fn layering(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in sources
        .iter()
        .filter(|source| !source.shipped.trim().is_empty())
    {
        let module = source.module();
        let Some(own) = module.first() else { continue };
        let Some(layer) = rank(own) else {
            breaches.push(breach(source, 0, &format!("the module {own} has no layer")));
            continue;
        };
        for (at, used) in modules_used(source) {
            if used != *own && rank(used).is_none_or(|rank| rank >= layer) {
                let text = format!("{own} may not use `{used}`, which is not below it");
                breaches.push(breach(source, at, &text));
            }
        }
    }
    breaches
}

fn minting(sources: &[Source]) -> Vec<String> {
    let others = sources.iter().filter(|source| {
        let path = &source.path;
        !path.starts_with("src/sim") && path != "src/base/crypto/mod.rs"
    });
    let found = others.flat_map(|source| {
        let found = places(&source.shipped, "mint").into_iter();
        found.map(|at| breach(source, at, "only the simulation mints signers"))
    });
    found.collect()
}

fn lengths(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in sources {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            breaches.push(breach(source, 0, &format!("{lines} lines in a file")));
        }
        for at in places(&source.code, "fn") {
            let lines = body_lines(&source.code[at..]);
            if lines > FUNCTION_LINES_MAX {
                breaches.push(breach(source, at, &format!("{lines} lines in a function")));
            }
        }
        for (line, number) in source.text.lines().zip(1..) {
            let columns = line.chars().count();
            if columns > COLUMNS_MAX {
                breaches.push(format!("{}:{number}: {columns} columns", source.path));
            }
        }
    }
    breaches
}

/// The lines of code in the body of the function that begins here; a type has none.
fn body_lines(code: &str) -> usize {
    if !code[2..].trim_start().starts_with(in_name) {
        return 0;
    }
    let item = &code[..extent(code)];
    let body = item
        .find('{')
        .map_or("", |at| &item[at + 1..item.len() - 1]);
    let lines = body.lines().map(str::trim);
    lines.filter(|line| !line.is_empty()).count()
}

fn module_docs(sources: &[Source]) -> Vec<String> {
    let bare = sources
        .iter()
        .filter(|source| !source.text.starts_with("//! "));
    bare.map(|source| breach(source, 0, "no module doc comes first"))
        .collect()
}

fn headings(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in sources {
        let module = source.module();
        let ["protocol", name, ..] = module[..] else {
            continue;
        };
        let implements = |line: &str| line.starts_with("impl") && line.contains("Protocol for ");
        if !source.shipped.lines().any(implements) {
            continue;
        }
        let root = sources
            .iter()
            .find(|root| root.module() == ["protocol", name]);
        let Some(root) = root else { continue };
        let doc = root.text.lines().map_while(|line| line.strip_prefix("//!"));
        let found: Vec<&str> = doc
            .map(str::trim)
            .filter(|line| line.starts_with("# "))
            .collect();
        if found != HEADINGS {
            breaches.push(breach(root, 0, &format!("the headings are {found:?}")));
        }
    }
    breaches
}

fn floats(sources: &[Source]) -> Vec<String> {
    let exact = sources.iter().filter(|source| {
        let module = source.module();
        let layer = module.first().and_then(|module| rank(module));
        layer.is_some_and(|layer| Some(layer) <= rank(EXACT))
            && !FLOATS.iter().any(|path| source.path.starts_with(path))
    });
    let found = exact.flat_map(|source| {
        let words = ["f64", "f32"]
            .iter()
            .flat_map(|word| places(&source.shipped, word));
        words.map(|at| breach(source, at, "a float below the experiments"))
    });
    found.collect()
}

fn bans(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in sources {
        let allowed = |ban: &&Ban| ban.except.iter().any(|path| source.path.starts_with(path));
        for ban in BANS.iter().filter(|ban| !allowed(ban)) {
            for word in ban.words {
                for at in places((ban.part)(source), word) {
                    let line = line_of((ban.part)(source), at);
                    breaches.push(format!("{}:{line}: `{word}`", source.path));
                }
            }
        }
    }
    breaches
}

fn unwrapping(sources: &[Source]) -> Vec<String> {
    let found = sources.iter().flat_map(|source| {
        let found = places(&source.shipped, ".unwrap()").into_iter();
        found.map(|at| breach(source, at, "say with `expect` why it cannot fail"))
    });
    found.collect()
}

/// Here a source is any text of the repository.
fn local_places(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in sources {
        for place in PLACES {
            for (at, _) in source.text.match_indices(place) {
                let line = line_of(&source.text, at);
                breaches.push(format!("{}:{line}: `{place}`", source.path));
            }
        }
    }
    breaches
}

/// A breach at a byte of the code, whose lines are those of the file.
fn breach(source: &Source, at: usize, text: &str) -> String {
    format!("{}:{}: {text}", source.path, line_of(&source.code, at))
}

/// All texts below a folder of the repository, with their paths from its root.
fn texts(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(root.join(folder)).expect("the repository is at hand");
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.expect("the repository is readable");
        let name = entry
            .file_name()
            .into_string()
            .expect("our paths are UTF-8");
        if name == ".git" || (name == "target" && folder.is_empty()) {
            continue;
        }
        let path = if folder.is_empty() {
            name
        } else {
            format!("{folder}/{name}")
        };
        if entry.path().is_dir() {
            found.extend(texts(&path));
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            found.push((path, text));
        }
    }
    found.sort();
    found
}

/// Shows a rule files, of which it must refuse each at the given line, or let pass at line 0.
fn shown(rule: fn(&[Source]) -> Vec<String>, files: &[(&str, &str, usize)]) {
    for &(path, text, line) in files {
        let breaches = rule(&Source::all([(path, text)]));
        match (&breaches[..], line) {
            ([], 0) => {}
            ([first, ..], 1..) if first.starts_with(&format!("{path}:{line}: ")) => {}
            _ => panic!("line {line} of {path} was meant:\n{text}\n{breaches:?}"),
        }
    }
}

/// The whole of `src` keeps a rule.
fn kept(rule: fn(&[Source]) -> Vec<String>) {
    let files = texts("src");
    let rust = files.iter().filter(|(path, _)| path.ends_with(".rs"));
    let breaches = rule(&Source::all(rust.map(|(path, text)| (&**path, &**text))));
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

#[test]
fn a_module_uses_only_what_is_below_it() {
    let grouped = "use crate::{\n    base::{node, time},\n    sim,\n};";
    let tested = "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::sim::Plan;\n}";
    let files = [
        ("src/chain/mod.rs", "\nuse crate::sim::Plan;", 2),
        ("src/chain/mod.rs", "use crate::base::node;", 0),
        ("src/chain/mod.rs", "fn f() {\n    crate::cli::run();\n}", 2),
        ("src/chain/mod.rs", grouped, 3),
        ("src/figure/mod.rs", grouped, 0),
        ("src/chain/mod.rs", "use super::sim::Plan;", 1),
        ("src/chain/ledger.rs", "use super::super::sim::Plan;", 1),
        ("src/chain/ledger.rs", "use super::Batch;", 0),
        ("src/chain/ledger.rs", "/// See [`crate::sim`].", 0),
        ("src/chain/ledger.rs", tested, 0),
        ("src/protocol/raft.rs", "use crate::network::Fate;", 1),
        ("src/network/mod.rs", "use crate::protocol::Wire;", 1),
        (
            "src/protocol/nested.rs",
            "use crate::protocol::raft::Raft;",
            0,
        ),
        ("src/bench/mod.rs", "use crate::experiment::Row;", 1),
        ("src/catalog.rs", "use crate::cli::run;", 1),
        ("src/main.rs", "use consilium::cli::run;", 0),
        ("src/attic.rs", "fn f() {}", 1),
        ("src/cli.rs", "use crate::attic::f;", 1),
    ];
    shown(layering, &files);
    kept(layering);
}

#[test]
fn only_the_simulation_and_tests_mint_signers() {
    let tested = "#[cfg(test)]\nfn f() {\n    Signer::mint(4);\n}";
    let files = [
        (
            "src/protocol/pbft.rs",
            "fn f() {\n    Signer::mint(4);\n}",
            2,
        ),
        ("src/protocol/pbft.rs", tested, 0),
        ("src/sim/mod.rs", "fn f() {\n    Signer::mint(4);\n}", 0),
    ];
    shown(minting, &files);
    kept(minting);
}

#[test]
fn files_functions_and_lines_are_short() {
    let function = |lines: usize| {
        format!(
            "\nfn f(x: [u8; 2]) {{\n{}}}",
            "    x; // So.\n    // So.\n\n".repeat(lines)
        )
    };
    let path = "src/base/mod.rs";
    let files = [
        (path, &*"x\n".repeat(601), 1),
        (path, &"x\n".repeat(600), 0),
        (path, &function(61), 2),
        (path, &function(60), 0),
        (path, &format!("\n{}", "ä".repeat(101)), 2),
        (path, &"ä".repeat(100), 0),
    ];
    shown(lengths, &files);
    kept(lengths);
}

#[test]
fn every_file_says_what_it_is_for() {
    let files = [
        ("src/base/mod.rs", "use std::fmt;", 1),
        ("src/base/mod.rs", "//! Words everybody uses.", 0),
    ];
    shown(module_docs, &files);
    kept(module_docs);
}

#[test]
fn every_protocol_explains_itself_under_four_headings() {
    let code = "impl<T> Protocol for Raft<T> {}";
    let told = HEADINGS.map(|heading| format!("//! {heading}\n//! So it is.\n"));
    let turned = format!("{}{}{}{}{code}", told[1], told[0], told[2], told[3]);
    let files = [
        (
            "src/protocol/raft/mod.rs",
            &*format!("{}{code}", told.concat()),
            0,
        ),
        (
            "src/protocol/raft.rs",
            &format!("{}{code}", told[..3].concat()),
            1,
        ),
        ("src/protocol/raft/mod.rs", &turned, 1),
        ("src/protocol/tally.rs", "//! Counts votes.", 0),
    ];
    shown(headings, &files);
    kept(headings);
}

#[test]
fn what_decides_a_run_computes_in_integers() {
    let files = [
        ("src/sim/mod.rs", "\nfn f(x: f64) {}", 2),
        ("src/network/mod.rs", "const X: f32 = 1.0;", 1),
        ("src/sim/mod.rs", "#[cfg(test)]\nfn f(x: f64) {}", 0),
        ("src/sim/mod.rs", "// Without f64.", 0),
        ("src/base/distribution.rs", "fn f(x: f64) {}", 0),
        ("src/figure/mod.rs", "fn f(x: f64) {}", 0),
    ];
    shown(floats, &files);
    kept(floats);
}

#[test]
fn nothing_banned_is_used() {
    let tested = "#[cfg(test)]\nmod tests {\n    fn f() { std::env::temp_dir(); }\n}";
    let files = [
        ("src/sim/mod.rs", "\n// TODO: think.", 2),
        ("src/sim/mod.rs", "fn f() { \"TODO\"; }", 0),
        (
            "src/sim/mod.rs",
            "#[test]\n#[ignore = \"slow\"]\nfn f() {}",
            2,
        ),
        ("src/sim/mod.rs", "macro_rules! m { () => {} }", 1),
        (
            "src/sim/mod.rs",
            "#![forbid(unsafe_code)] // Nothing is unsafe.",
            0,
        ),
        ("src/sim/mod.rs", "fn f() { unsafe { g() } }", 1),
        ("src/sim/mod.rs", "fn f() { println!(); }", 1),
        ("src/cli/mod.rs", "fn f() { println!(); }", 0),
        ("src/sim/mod.rs", "use std::env;", 1),
        ("src/sim/mod.rs", tested, 0),
        ("src/sim/mod.rs", "use rayon::prelude::*;", 1),
        ("src/sim/window.rs", "use rayon::prelude::*;", 0),
    ];
    shown(bans, &files);
    kept(bans);
}

#[test]
fn nothing_is_unwrapped_outside_tests() {
    let files = [
        ("src/sim/mod.rs", "fn f() {\n    g().unwrap();\n}", 2),
        ("src/sim/mod.rs", "fn f() {\n    g().unwrap_or(1);\n}", 0),
        (
            "src/sim/mod.rs",
            "#[cfg(test)]\nmod tests {\n    fn f() { g().unwrap(); }\n}",
            0,
        ),
    ];
    shown(unwrapping, &files);
    kept(unwrapping);
}

#[test]
fn no_text_names_a_place_on_somebodys_machine() {
    for place in PLACES {
        let text = format!("\nSee {place}notes.md.");
        shown(
            local_places,
            &[
                ("README.md", &text, 2),
                ("README.md", "See docs/notes.md.", 0),
            ],
        );
    }
    let files = texts("");
    assert!(files.iter().any(|(path, _)| path == "Cargo.lock"));
    let breaches = local_places(&Source::all(files.iter().map(|(p, t)| (&**p, &**t))));
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}
