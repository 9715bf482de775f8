//! Reads a story, plays it on a stage and compares the answers with those in the file.

use super::stage::{AT_ONCE, Post, Stage, Volume, Which};
use crate::base::node::NodeId;
use crate::protocol::Protocol;
use crate::protocol::mempool::BatchRule;

/// Plays the story in `src/stories/<path>` with n replicas, each transaction proposed at once.
pub fn check<P: Protocol>(config: P::Config, n: usize, path: &str) -> Stage<P> {
    check_with(config, n, AT_ONCE, path)
}

/// Plays a story with this batching rule; returns the stage as the story leaves it.
pub fn check_with<P: Protocol>(
    config: P::Config,
    n: usize,
    rule: BatchRule,
    path: &str,
) -> Stage<P> {
    let mut stage = Stage::new(config, n, rule);
    tell(&mut stage, path);
    stage
}

/// Plays the story in `src/stories/<path>` on a stage that was prepared.
pub fn tell<P: Protocol>(stage: &mut Stage<P>, path: &str) {
    let told = perform(stage, path);
    expect_test::expect_file![place(path)].assert_eq(&told);
}

/// Plays the story in `src/stories/<path>` whatever comes of it, and returns it with the answers of
/// this stage.
pub fn perform<P: Protocol>(stage: &mut Stage<P>, path: &str) -> String {
    let path = place(path);
    let story = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    play(stage, &story)
}

fn place(path: &str) -> String {
    format!("{}/src/stories/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// Plays a story and returns it with the answers of this stage in place of its own.
pub fn play<P: Protocol>(stage: &mut Stage<P>, story: &str) -> String {
    let mut told = String::new();
    for line in story.lines().filter(|line| !line.starts_with(' ')) {
        told.push_str(line);
        told.push('\n');
        if !line.is_empty() && !line.starts_with('#') {
            command(stage, line);
            told.push_str(&stage.take_output());
        }
    }
    told
}

fn command<P: Protocol>(stage: &mut Stage<P>, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["submit", at] => stage.submit(node(at)),
        ["grant", at] => stage.submit_grant(node(at)),
        ["revoke", at, name] => stage.submit_revocation(node(at), number(name) as u64),
        ["submit-read", at] => stage.submit_read(node(at)),
        ["retry", at, name] => stage.retry(node(at), number(name)),
        ["deliver", rest @ ..] => stage.post(Post::Deliver, &which(rest)),
        ["overtake", rest @ ..] => stage.overtake(&which(rest)),
        ["drop", rest @ ..] => stage.post(Post::Drop, &which(rest)),
        ["duplicate", rest @ ..] => stage.post(Post::Duplicate, &which(rest)),
        ["lie", liar, to @ ..] => {
            for receiver in to {
                stage.post(Post::Lie, &which(&[&format!("{liar}->{receiver}")]));
            }
        }
        ["settle", among @ ..] => {
            let among: Vec<NodeId> = among.iter().map(|name| node(name)).collect();
            stage.settle(&among);
        }
        ["fire", at, timer] => stage.fire_named(node(at), timer),
        ["crash", at] => stage.crash(node(at)),
        ["crash", at, "persisting"] => stage.doom(node(at)),
        ["restart", at] => stage.restart(node(at), false),
        ["restart", at, "amnesia"] => stage.restart(node(at), true),
        ["status"] => stage.print_status(),
        ["chain"] => stage.print_chain(),
        ["agree"] => stage.print_agreement(),
        ["silent"] => stage.set_volume(Volume::Silent),
        ["quiet"] => stage.set_volume(Volume::Quiet),
        ["plain"] => stage.set_volume(Volume::Plain),
        ["loud"] => stage.set_volume(Volume::Loud),
        _ => panic!("not a command of stories: `{line}`"),
    }
}

/// `n2 [kind]`, `n0->n2 [kind]`, `n0->* [kind]`.
fn which(words: &[&str]) -> Which {
    let (route, kind) = match words {
        [route] => (*route, None),
        [route, kind] => (*route, Some((*kind).to_owned())),
        _ => panic!("not a choice of messages: {words:?}"),
    };
    let (from, to) = route.split_once("->").unwrap_or(("*", route));
    let any = |name: &str| (name != "*").then(|| node(name));
    Which {
        from: any(from),
        to: any(to),
        kind,
    }
}

fn node(name: &str) -> NodeId {
    let index = name.strip_prefix('n').and_then(|rest| rest.parse().ok());
    NodeId(index.unwrap_or_else(|| panic!("`{name}` is not a node")))
}

fn number(name: &str) -> usize {
    let number = name.strip_prefix("c#").and_then(|rest| rest.parse().ok());
    number.unwrap_or_else(|| panic!("`{name}` is not a transaction"))
}
