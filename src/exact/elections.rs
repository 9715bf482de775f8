//! How long RAFT is without a leader, against a published simulation.
//!
//! D. Ongaro, "Consensus: Bridging Theory and Practice", 2014, chapter 9, simulates elections with
//! AvailSim: five servers, messages take 30 to 40 ms one way, time-outs are drawn from 300 to
//! 600 ms, nothing else takes time, and when the leader fails every server has just set its timer.
//! With one failed server an election takes about 475 ms on average, with two about 650 ms.
//!
//! Its servers are plain RAFT: neither pre-vote nor check-quorum. Here a leader that crashes has
//! sent its last heartbeat half an interval ago on average, and that is on its way for 35 ms: with
//! an interval of 70 ms timers are as fresh at the crash, on average, as they are there.

use std::collections::BTreeMap;

use super::{FREE, scenario, yaml};
use crate::base::node::{NodeId, PositionSet};
use crate::base::random::{Random, Stream};
use crate::base::time::{Span, Time, Window};
use crate::observe::metrics::{Measured, Metrics};
use crate::protocol::raft::{Config, Raft};
use crate::scenario::run::plan;
use crate::sim::{Disk, Kernel, Outage, Simulation};

const SERVERS: usize = 5;
const TIMEOUT: [Span; 2] = [Span::from_millis(300), Span::from_millis(600)];
const LATENCY: [Span; 2] = [Span::from_millis(30), Span::from_millis(40)];
/// From one crash to the next; the crashed server is back long before, with its log complete.
const PERIOD: Span = Span::from_secs(8);
const ABSENCE: Span = Span::from_secs(7);

/// The times without a leader, in milliseconds, of so many crashes of the leader in one run, with
/// `failed` servers down each time, the leader among them.
fn simulated(failed: usize, crashes: u64, config: &Config) -> Vec<f64> {
    let network =
        "network: { within: { latency: { uniform: [30ms, 40ms] }, bandwidth: unlimited } }";
    let load = "workload: { rate: 0.001/s, patients: 8, doctors: 2 }";
    let seconds = PERIOD * (crashes + 1);
    let lines = [FREE, network, load];
    let text = yaml(SERVERS, "raft", &seconds.to_string(), &lines);
    let mut plan = plan(&scenario(&text, 11), false).unwrap();
    for node in 0..failed - 1 {
        plan.outages.push(Outage {
            node: Some(NodeId::at(node)),
            during: Window::ALWAYS,
            disk: Disk::Keep,
        });
    }
    for crash in 1..=crashes {
        let from = Time::ZERO + PERIOD * crash;
        plan.outages.push(Outage {
            node: None,
            during: Window {
                from,
                until: Some(from + ABSENCE),
            },
            disk: Disk::Keep,
        });
    }
    let until = plan.until;
    let mut metrics = Metrics::new(Measured {
        nodes: SERVERS,
        dishonest: PositionSet::new(),
        misbehaving_from: Time::ZERO,
        warmup: Time::ZERO,
        until,
        chains: Vec::new(),
    });
    let ended = Simulation::<Raft>::new(plan, config.clone()).run(Kernel::Heap, &mut metrics);
    let elections = metrics.finish(&ended.totals).elections;
    let length = |from: Time, until: Option<Time>| until.map(|until| in_ms(until.since(from)));
    let lengths: Option<Vec<f64>> = elections.iter().map(|e| length(e.from, e.until)).collect();
    lengths.expect("every election ends before the run does")
}

fn in_ms(span: Span) -> f64 {
    span.nanos() as f64 / 1e6
}

/// A server of the published model.
#[derive(Clone, Copy)]
struct Server {
    term: u64,
    votes: usize,
    timer: Time,
}

impl Server {
    fn new(term: u64, votes: usize, timer: Time) -> Self {
        Self { term, votes, timer }
    }
}

enum Letter {
    Please { from: usize, term: u64 },
    Yes { term: u64 },
    No { term: u64 },
}

/// One election of the published model among so many servers, written for this test alone.
fn modelled(available: usize, random: &mut Random) -> f64 {
    let mut draw = |[low, high]: [Span; 2]| random.between(low, high);
    let fresh = |timer: Span| Server::new(0, 0, Time::ZERO + timer);
    let mut servers: Vec<Server> = (0..available).map(|_| fresh(draw(TIMEOUT))).collect();
    let mut letters: BTreeMap<(Time, u64), (usize, Letter)> = BTreeMap::new();
    let mut posted = 0;
    loop {
        let alarm = (0..available).map(|who| (servers[who].timer, who)).min();
        let (alarm, who) = alarm.unwrap();
        let mut outbox = Vec::new();
        let now = if letters
            .first_key_value()
            .is_none_or(|(key, _)| alarm < key.0)
        {
            let timer = alarm + draw(TIMEOUT);
            let term = servers[who].term + 1;
            servers[who] = Server::new(term, 1, timer);
            let others = (0..available).filter(|other| *other != who);
            outbox.extend(others.map(|other| (other, Letter::Please { from: who, term })));
            alarm
        } else {
            let ((now, _), (to, letter)) = letters.pop_first().unwrap();
            let server = &mut servers[to];
            match letter {
                // All logs are equal: who asks in a later term is voted for.
                Letter::Please { from, term } if term > server.term => {
                    *server = Server::new(term, 0, now + draw(TIMEOUT));
                    outbox.push((from, Letter::Yes { term }));
                }
                Letter::Please { from, .. } => {
                    outbox.push((from, Letter::No { term: server.term }));
                }
                Letter::Yes { term } if term == server.term && server.votes > 0 => {
                    server.votes += 1;
                    if server.votes > SERVERS / 2 {
                        return in_ms(now.since(Time::ZERO));
                    }
                }
                Letter::No { term } if term > server.term => {
                    (server.term, server.votes) = (term, 0);
                }
                Letter::Yes { .. } | Letter::No { .. } => {}
            }
            now
        };
        for (to, letter) in outbox {
            posted += 1;
            letters.insert((now + draw(LATENCY), posted), (to, letter));
        }
    }
}

/// The mean and the value that one in a thousand exceeds.
fn mean_and_tail(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_unstable_by(f64::total_cmp);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (mean, values[values.len() * 999 / 1000])
}

/// RAFT as the published simulation has it.
fn plain() -> Config {
    Config {
        election_timeout: TIMEOUT,
        heartbeat: Span::from_millis(70),
        pre_vote: false,
        check_quorum: false,
        ..Config::default()
    }
}

/// Elections in each case; the published numbers are of 10,000.
const CRASHES: u64 = 3_000;

#[test]
fn elections_last_as_long_as_the_author_of_raft_found() {
    for (failed, published) in [(1, 475.0), (2, 650.0)] {
        let lengths = simulated(failed, CRASHES, &plain());
        assert_eq!(lengths.len() as u64, CRASHES);
        let (mean, tail) = mean_and_tail(lengths);
        let mut random = Random::new(1, Stream::Test);
        let model = (0..20_000).map(|_| modelled(SERVERS - failed, &mut random));
        let (model_mean, model_tail) = mean_and_tail(model.collect());
        println!(
            "{failed} failed, {CRASHES} elections: mean {mean:.1} ms, 99.9 % below {tail:.0} ms; \
             model {model_mean:.1} ms, {model_tail:.0} ms; published {published} ms"
        );
        // Lengths of elections scatter about as widely as they are long, so that the mean of a
        // sample is off by less than twice this in nineteen of twenty samples.
        let error = mean / (CRASHES as f64).sqrt();
        let within =
            |value: f64, goal: f64, share: f64| (value - goal).abs() <= share * goal + 2.0 * error;
        assert!(within(mean, published, 0.05), "{mean} against {published}");
        assert!(within(model_mean, published, 0.05), "{model_mean}");
        assert!(
            within(mean, model_mean, 0.01),
            "{mean} against {model_mean}"
        );
    }
}

#[test]
fn a_pre_vote_costs_a_round_trip_and_saves_split_votes() {
    let pre_vote = Config {
        pre_vote: true,
        ..plain()
    };
    let few = 600;
    let (plain_mean, _) = mean_and_tail(simulated(1, few, &plain()));
    let (mean, _) = mean_and_tail(simulated(1, few, &pre_vote));
    println!("one failed: plain {plain_mean:.1} ms, with pre-vote {mean:.1} ms");
    // A round trip of 60 to 80 ms more, less what fewer split votes save.
    assert!(
        mean > plain_mean && mean < plain_mean + 120.0,
        "{plain_mean} {mean}"
    );
}
