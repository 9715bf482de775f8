//! Small scopes searched to the end: every schedule of a few nodes that departs from the usual one
//! in so many places at most. Usually messages arrive in the order in which they were sent, nobody
//! crashes, and once nothing is on its way the next thing of a short script happens. Departures are
//! a message that falls behind all others, one that is lost or becomes its contradiction, a timer
//! that fires early, a crash between or during writes, and a return. What is not found here needs
//! more departures, more nodes or a longer script.
//!
//! # Source
//!
//! M. Emmi et al.: Delay-Bounded Scheduling, POPL 2011; D. Jackson: Software Abstractions, 2006,
//! for why small scopes suffice more often than not.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hasher};

use super::chaos::fire_first;
use super::stage::{AT_ONCE, Post, Stage, Volume};
use crate::base::node::NodeId;
use crate::protocol::Protocol;
use crate::protocol::iraft::{self, Iraft};
use crate::protocol::pbft::{self, Pbft};
use crate::protocol::raft::{self, Raft};

/// What happens when nothing is on its way.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// The timer that is due first fires.
    Fire,
    /// A client asks a node for something.
    Submit(usize),
}

/// A departure from the usual schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Departure {
    Delay,
    Lose,
    Lie,
    /// Of this node the timer at this place of its list.
    Fire(NodeId, usize),
    Crash(NodeId),
    CrashInWrite(NodeId),
    Restart(NodeId),
}

/// What is searched.
#[derive(Clone, Copy, Debug)]
struct Scope<'a> {
    nodes: usize,
    script: &'a [Next],
    /// Departures in one schedule at most.
    departures: usize,
    /// Whether nodes crash.
    crashes: bool,
    /// Who lies.
    liars: &'a [usize],
}

/// What a search has come to.
#[derive(Debug)]
struct Found {
    /// States looked at, each once for each number of departures left.
    states: usize,
    /// What went wrong first and the departures that led there, if anything did.
    violation: Option<(String, Vec<Departure>)>,
}

/// A text that is only hashed.
struct Digesting(DefaultHasher);

impl fmt::Write for Digesting {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

/// The search so far.
struct Search<'a> {
    scope: Scope<'a>,
    /// With how many departures left each state was reached at best. Two states of one digest would
    /// be taken for one: among millions that is less likely than a fault of the memory.
    seen: BTreeMap<u64, usize>,
    path: Vec<Departure>,
    found: Found,
}

impl Search<'_> {
    /// Whether a state was looked at before with as many departures left.
    fn is_known<P: Protocol>(&mut self, stage: &Stage<P>, done: usize, left: usize) -> bool {
        let mut digest = Digesting(DefaultHasher::new());
        stage.describe(&mut digest);
        digest.0.write_usize(done);
        let best = self.seen.entry(digest.0.finish()).or_insert(usize::MAX);
        let known = *best != usize::MAX && *best >= left;
        if !known {
            *best = left;
        }
        known
    }

    /// Goes on in every way with so much of the script done and so many departures left.
    fn explore<P: Protocol>(&mut self, mut stage: Stage<P>, mut done: usize, left: usize) {
        while self.found.violation.is_none() {
            if let Some(violation) = stage.violation() {
                self.found.violation = Some((violation.to_owned(), self.path.clone()));
                return;
            }
            if self.is_known(&stage, done, left) {
                return;
            }
            self.found.states += 1;
            if left > 0 {
                for departure in self.departures(&stage) {
                    let mut other = stage.clone();
                    depart(&mut other, departure);
                    self.path.push(departure);
                    self.explore(other, done, left - 1);
                    self.path.pop();
                }
            }
            if !self.go_on(&mut stage, &mut done) {
                return;
            }
        }
    }

    /// What usually happens next, if anything does.
    fn go_on<P: Protocol>(&self, stage: &mut Stage<P>, done: &mut usize) -> bool {
        if stage.pending() > 0 {
            stage.post_at(Post::Deliver, 0);
            return true;
        }
        let down = (0..stage.n()).map(NodeId::at).find(|n| !stage.is_up(*n));
        if let Some(node) = down {
            stage.restart(node, false);
            return true;
        }
        let Some(next) = self.scope.script.get(*done) else {
            return false;
        };
        *done += 1;
        match next {
            Next::Fire => fire_first(stage),
            Next::Submit(node) => stage.submit(NodeId::at(*node)),
        }
        true
    }

    /// What may happen instead.
    fn departures<P: Protocol>(&self, stage: &Stage<P>) -> Vec<Departure> {
        let mut all = Vec::new();
        if stage.pending() > 0 {
            let (from, _, _) = stage.letter_at(0);
            let lies = self.scope.liars.contains(&from.index());
            all.push(Departure::Lose);
            // A message that is alone has nothing to fall behind.
            all.extend((stage.pending() > 1).then_some(Departure::Delay));
            all.extend(lies.then_some(Departure::Lie));
        }
        for node in (0..stage.n()).map(NodeId::at) {
            if !stage.is_up(node) {
                all.push(Departure::Restart(node));
                continue;
            }
            let timers = stage.timers(node).len();
            all.extend((0..timers).map(|timer| Departure::Fire(node, timer)));
            if self.scope.crashes {
                all.extend([Departure::Crash(node), Departure::CrashInWrite(node)]);
            }
        }
        all
    }
}

fn depart<P: Protocol>(stage: &mut Stage<P>, departure: Departure) {
    match departure {
        Departure::Delay => stage.put_behind(),
        Departure::Lose => stage.post_at(Post::Drop, 0),
        Departure::Lie => {
            stage.post_at(Post::Lie, 0);
            let last = stage.pending() - 1;
            stage.post_at(Post::Deliver, last);
        }
        Departure::Fire(node, place) => {
            let (timer, _) = stage.timers(node)[place];
            stage.fire(node, timer);
        }
        Departure::Crash(node) => stage.crash(node),
        Departure::CrashInWrite(node) => stage.doom(node),
        Departure::Restart(node) => stage.restart(node, false),
    }
}

/// Looks at every schedule in a scope.
fn search<P: Protocol>(config: &P::Config, scope: Scope<'_>) -> Found {
    let mut stage: Stage<P> = Stage::new(config.clone(), scope.nodes, AT_ONCE);
    stage.set_volume(Volume::Silent);
    let mut search = Search {
        scope,
        seen: BTreeMap::new(),
        path: Vec::new(),
        found: Found {
            states: 0,
            violation: None,
        },
    };
    search.explore(stage, 0, scope.departures);
    search.found
}

/// Departures in one schedule: as many as usual, or more if an environment variable asks for them
/// when this is compiled, as in `EXHAUST_MORE=1 cargo test --release stories::exhaust`.
fn up_to(usual: usize) -> usize {
    let more = option_env!("EXHAUST_MORE").map(str::parse::<usize>);
    usual + more.map_or(0, |more| more.expect("a number of departures"))
}

/// A leader is found, two clients ask two nodes, and two timers fire.
const TWO_CALLS: &[Next] = &[
    Next::Fire,
    Next::Submit(0),
    Next::Fire,
    Next::Submit(1),
    Next::Fire,
    Next::Fire,
];

fn three(departures: usize) -> Scope<'static> {
    Scope {
        nodes: 3,
        script: TWO_CALLS,
        departures,
        crashes: true,
        liars: &[],
    }
}

fn four(departures: usize, liars: &[usize]) -> Scope<'_> {
    Scope {
        nodes: 4,
        script: &[Next::Submit(1), Next::Submit(2), Next::Fire, Next::Fire],
        departures,
        crashes: liars.is_empty(),
        liars,
    }
}

#[track_caller]
fn clean(found: &Found, at_least: usize) {
    println!("{} states", found.states);
    assert!(found.violation.is_none(), "{:?}", found.violation);
    assert!(found.states >= at_least, "{}", found.states);
}

#[test]
fn raft_among_three_survives_any_two_departures() {
    let found = search::<Raft>(&raft::Config::default(), three(up_to(2)));
    clean(&found, 100_000);
}

#[test]
fn improved_raft_among_three_survives_any_departure() {
    let found = search::<Iraft>(&iraft::Config::default(), three(up_to(1)));
    clean(&found, 5_000);
}

#[test]
fn pbft_among_four_survives_any_departure_with_or_without_a_liar() {
    let config = pbft::Config::default();
    clean(&search::<Pbft>(&config, four(up_to(1), &[])), 2_000);
    clean(&search::<Pbft>(&config, four(up_to(1), &[0])), 2_000);
}

#[test]
fn small_scopes_suffice_to_find_broken_guards() {
    for mutant in [
        raft::Mutant::CommitQuorumLow,
        raft::Mutant::ElectQuorumLow,
        raft::Mutant::DoubleVote,
        raft::Mutant::TermNotPersisted,
    ] {
        let config = raft::Config {
            mutant: Some(mutant),
            ..raft::Config::default()
        };
        let found = search::<Raft>(&config, three(2));
        assert!(found.violation.is_some(), "{mutant:?}");
    }
}
