//! The three attacks by which RB-Raft was tried, on the replicas of Raft and of the improved Raft
//! here: a leader that alters what clients ask for, a candidate that wants to depose a living
//! leader, and the interval of audits under an honest and a lying leader.
//!
//! The publication (S. Li, Y. Zou, X. Deng, Z. Luo, H. Liu, "RB-Raft: Raft Consensus Algorithm
//! for Anti-Byzantine Nodes", Application Research of Computers, 2022) tells the numbers of one run
//! each on a network it does not describe. They stand beside ours as they are: Table 1 (altered
//! entries), Tables 2 and 3 (elections), Figure 5 (audits).

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base::node::NodeId;
use crate::base::random::{Random, Stream};
use crate::base::time::{Span, Time};
use crate::chain::{Batch, Transaction, TransactionId};
use crate::contract::{Population, Rules, SignedCall, State};
use crate::observe::{Answer, verdict};
use crate::protocol::iraft::{self, Audit, Iraft};
use crate::protocol::raft::{self, Raft};
use crate::protocol::{Protocol, Report};
use crate::sim::lab::{Bend, Lab, Seen};
use crate::study::table;

/// What the study is about.
pub const ABOUT: &str = "Attacks of a leader on its log, and of a candidate on its leader, as the \
                         authors of RB-Raft tried them.";

/// What is studied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Nodes among which somebody wants to be elected.
    pub nodes: Vec<usize>,
    /// Elections of each kind.
    pub seeds: u64,
    /// Entries of a log, and how many of them the leader alters.
    pub entries: u64,
    /// How many.
    pub altered: u64,
    /// Audits of each leader.
    pub rounds: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            nodes: vec![100, 500],
            seeds: 5,
            entries: 500,
            altered: 10,
            rounds: 14,
        }
    }
}

/// How the leader alters an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alteration {
    /// Another call, with no signature.
    Unsigned,
    /// Another call, with signatures by keys that are not their owners'.
    Forged,
}

/// What came of altered entries: a row of `tampering.csv`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Tampering {
    /// Raft or the improved one.
    pub protocol: String,
    /// How entries are altered.
    pub alteration: Alteration,
    /// Altered entries, each in a run of its own: a leader that is caught leads no more.
    pub altered: u64,
    /// Of how many entries each is one.
    pub entries: u64,
    /// Of the altered, those for which an honest replica convicted the leader.
    pub found: u64,
    /// Message delays from the act to that, at most; nothing if it never happened.
    pub delays_max: Option<f64>,
    /// Of the altered, those that the contract accepted at an honest node.
    pub accepted: u64,
    /// Entries found of ten in the publication, by Raft and by RB-Raft.
    pub published_found: Option<u64>,
}

/// What came of a call for an election: a row of `ballots.csv`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Ballots {
    /// Raft, Raft with pre-votes, or the improved one.
    pub protocol: String,
    /// Nodes.
    pub nodes: usize,
    /// Which run.
    pub seed: u64,
    /// Votes that others gave to the candidate within 20 ms, while the leader lived.
    pub votes: u64,
    /// Pre-votes or shares that they gave.
    pub shares: u64,
    /// Whether the candidate led in the end.
    pub elected: bool,
    /// Votes in the publication.
    pub published_votes: Option<u64>,
    /// Shares in the publication.
    pub published_shares: Option<u64>,
}

/// The interval of audits after a round: a row of `audit.csv`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Interval {
    /// Audits so far.
    pub round: u64,
    /// T of a leader whose entries are as they should be.
    pub honest: u64,
    /// T of one that alters an entry before each audit from the second on.
    pub liar: u64,
}

/// All that is found out.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Study {
    /// Altered entries.
    pub tampering: Vec<Tampering>,
    /// Elections against a living leader.
    pub ballots: Vec<Ballots>,
    /// Audits.
    pub audit: Vec<Interval>,
}

/// The file of altered entries; a folder that has it holds this study.
pub const TAMPERING: &str = "tampering.csv";
/// The file of elections.
pub const BALLOTS: &str = "ballots.csv";
/// The file of audits.
pub const AUDIT: &str = "audit.csv";

impl Study {
    /// The files by name.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        vec![
            (TAMPERING.to_owned(), table::encode(&self.tampering)),
            (BALLOTS.to_owned(), table::encode(&self.ballots)),
            (AUDIT.to_owned(), table::encode(&self.audit)),
        ]
    }

    /// The study from the bytes of its files, in this order.
    ///
    /// # Errors
    /// If a file is not as written; says which, and why.
    pub fn read([tampering, ballots, audit]: [Option<Vec<u8>>; 3]) -> Result<Self, String> {
        Ok(Self {
            tampering: table::decode(TAMPERING, tampering)?,
            ballots: table::decode(BALLOTS, ballots)?,
            audit: table::decode(AUDIT, audit)?,
        })
    }
}

/// Carries the study out; `tell` hears of progress.
pub fn study(plan: &Plan, tell: &dyn Fn(&str)) -> Study {
    let mut study = Study::default();
    for alteration in [Alteration::Unsigned, Alteration::Forged] {
        tell("altered entries");
        let raft = raft::Config::default();
        let unsigned = alteration == Alteration::Unsigned;
        let published = |found: u64| unsigned.then_some(found);
        let row = tampering::<Raft>(plan, &raft, alteration);
        study.tampering.push(Tampering {
            published_found: published(0),
            ..row
        });
        let row = tampering::<Iraft>(plan, &iraft::Config::default(), alteration);
        study.tampering.push(Tampering {
            published_found: published(10),
            ..row
        });
    }
    for &nodes in &plan.nodes {
        for seed in 1..=plan.seeds {
            tell(&format!("elections among {nodes} nodes, seed {seed}"));
            study.ballots.extend(elections(nodes, seed));
        }
    }
    study.audit = audits(plan.rounds);
    study
}

/// How long a message takes in the runs with altered entries.
const DELAY: Span = Span::from_millis(1);
/// How long one takes in elections, at least and at most.
const DELAYS: [Span; 2] = [Span::from_micros(200), Span::from_millis(1)];
/// When somebody leads.
const SETTLED: Span = Span::from_secs(2);
/// How long votes are counted, as in the publication.
const COUNTED: Span = Span::from_millis(20);
/// Nodes in the runs with altered entries.
const FEW: usize = 5;

/// Alters one entry after another, in a run for each.
fn tampering<P: Liable>(plan: &Plan, config: &P::Config, alteration: Alteration) -> Tampering {
    let mut random = Random::new(1, Stream::Placement);
    let mut places: Vec<u64> = (1..=plan.entries).collect();
    let mut row = Tampering {
        protocol: P::NAME.to_owned(),
        alteration,
        altered: plan.altered,
        entries: plan.entries,
        found: 0,
        delays_max: None,
        accepted: 0,
        published_found: None,
    };
    for _ in 0..plan.altered {
        let place = random.below(places.len() as u64) as usize;
        let altered = places.swap_remove(place);
        let trial = trial::<P>(config, (altered, plan.entries), alteration);
        row.accepted += u64::from(trial.accepted);
        if let Some(after) = trial.found {
            let delays = after.nanos() as f64 / DELAY.nanos() as f64;
            row.found += 1;
            row.delays_max = Some(row.delays_max.unwrap_or(0.0).max(delays));
        }
    }
    row
}

/// What came of one altered entry.
#[derive(Default)]
struct Trial {
    found: Option<Span>,
    accepted: bool,
}

/// A client asks for so many entries, of which the leader alters one.
fn trial<P: Liable>(
    config: &P::Config,
    (altered, entries): (u64, u64),
    alteration: Alteration,
) -> Trial {
    let people = Population::new(1, 1, 2);
    let genesis = State::genesis(&people, Rules::default());
    let mut lab = Lab::<P>::new(config, FEW, [DELAY; 2], (genesis, altered));
    lab.run(SETTLED, &mut |_, _, _| {});
    let liar = lab.leader().expect("somebody leads by then");
    let mut trial = Trial::default();
    let (mut act, mut marked) = (Time::MAX, None);
    for number in 1..=entries {
        let mut asked = call(&people, number);
        let id = TransactionId::new(NodeId::at(FEW), number);
        if number == altered {
            act = lab.now();
            let other = alter(&people, &call(&people, entries + number), alteration);
            marked = Some(Transaction::new(id, other.clone()).digest);
            match alteration {
                Alteration::Unsigned => lab.bend(liar, P::bend(Transaction::new(id, other))),
                Alteration::Forged => asked = other,
            }
        }
        let mut witness = |now: Time, node: NodeId, seen: Seen<'_, P>| match seen {
            Seen::Reported(Report::Accuses { culprit, offence }) => {
                if offence.is_proof() && *culprit == liar && node != liar {
                    trial.found.get_or_insert(now.since(act));
                }
            }
            Seen::Executed(block) if node != liar => {
                let done = block.batch.transactions().iter().zip(&block.executed);
                let mut done = done.filter(|(transaction, _)| Some(transaction.digest) == marked);
                trial.accepted |= done.any(|(_, executed)| verdict(executed) == Answer::Accepted);
            }
            Seen::Reported(_) | Seen::Executed(_) | Seen::Arrived { .. } => {}
        };
        let leader = lab.leader().unwrap_or(liar);
        lab.submit(leader, Transaction::new(id, asked), &mut witness);
        lab.run(DELAY * 4, &mut witness);
    }
    trial
}

/// A protocol whose leaders can put another call into an entry.
trait Liable: Protocol {
    /// Puts this transaction in the place of the one of the same name, in every entry that is sent.
    fn bend(other: Arc<Transaction>) -> Bend<Self::Message>;
}

/// The batch with one transaction in the place of its namesake; nothing if there is none.
fn replaced(batch: &Batch, other: &Arc<Transaction>) -> Option<Batch> {
    let namesake = |t: &Arc<Transaction>| t.id == other.id;
    batch.transactions().iter().any(namesake).then(|| {
        let others = batch.transactions().iter();
        let swapped = others.map(|t| {
            if namesake(t) {
                other.clone()
            } else {
                t.clone()
            }
        });
        Batch::new(swapped.collect())
    })
}

impl Liable for Raft {
    fn bend(other: Arc<Transaction>) -> Bend<raft::Message> {
        Box::new(move |_, mut message| {
            if let raft::Message::Append(append) = &mut message {
                for entry in &mut append.entries {
                    if let Some(batch) = replaced(&entry.batch, &other) {
                        entry.batch = batch;
                    }
                }
            }
            message
        })
    }
}

impl Liable for Iraft {
    fn bend(other: Arc<Transaction>) -> Bend<iraft::Message> {
        Box::new(move |signer, mut message| {
            if let iraft::Message::Append(append) = &mut message {
                for entry in &mut append.entries {
                    let own = entry.header.by() == signer.node();
                    let batch = replaced(&entry.content.batch, &other).filter(|_| own);
                    if let Some(batch) = batch {
                        let content = iraft::Content::of(batch);
                        let header = iraft::Header {
                            content: content.digest(),
                            ..*entry.header.body()
                        };
                        *entry = iraft::Entry {
                            header: signer.sign(header),
                            content,
                        };
                    }
                }
            }
            message
        })
    }
}

/// A call that the contract accepts; different numbers differ.
fn call(people: &Population, number: u64) -> SignedCall {
    people.submission(people.content(0, 1, number), 0, 1)
}

/// What a leader puts in the place of a call, without the keys of those who are to have signed it.
fn alter(people: &Population, other: &SignedCall, alteration: Alteration) -> SignedCall {
    let call = other.call().clone();
    let own = &people.hospital(0).keys;
    match alteration {
        Alteration::Unsigned => SignedCall::new(call, None, None),
        Alteration::Forged => SignedCall::signed(call, own, Some(own)),
    }
}

/// Calls for an election while the leader lives, with each protocol.
fn elections(nodes: usize, seed: u64) -> Vec<Ballots> {
    let published = |votes: [u64; 2]| match nodes {
        100 => Some(votes[0]),
        500 => Some(votes[1]),
        _ => None,
    };
    let plain = raft::Config {
        pre_vote: false,
        check_quorum: false,
        ..raft::Config::default()
    };
    let rows = [
        Ballots {
            protocol: "raft-without-pre-vote".to_owned(),
            published_votes: published([87, 416]),
            ..election::<Raft>(&plain, (nodes, seed), given_in_raft)
        },
        Ballots {
            protocol: "raft".to_owned(),
            ..election::<Raft>(&raft::Config::default(), (nodes, seed), given_in_raft)
        },
        Ballots {
            protocol: "iraft".to_owned(),
            published_votes: published([0, 0]),
            published_shares: published([15, 72]),
            ..election::<Iraft>(&iraft::Config::default(), (nodes, seed), given_in_iraft)
        },
    ];
    rows.into()
}

/// What a message gives to a candidate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Given {
    Nothing,
    Share,
    Vote,
}

fn given_in_raft(message: &raft::Message) -> Given {
    if let raft::Message::VoteReply(reply) = message
        && reply.granted
    {
        return Given::Vote;
    }
    if let raft::Message::PreVoteReply(reply) = message
        && reply.granted
    {
        return Given::Share;
    }
    Given::Nothing
}

fn given_in_iraft(message: &iraft::Message) -> Given {
    if let iraft::Message::VoteReply(reply) = message
        && reply.grant.is_some()
    {
        return Given::Vote;
    }
    if let iraft::Message::PreVoteReply(reply) = message
        && reply.share.is_some()
    {
        return Given::Share;
    }
    Given::Nothing
}

/// A follower turns its clock forward until it may call for an election, and does so.
fn election<P: Protocol>(
    config: &P::Config,
    (nodes, seed): (usize, u64),
    given: fn(&P::Message) -> Given,
) -> Ballots {
    let genesis = State::genesis(&Population::new(1, 1, 2), Rules::default());
    let mut lab = Lab::<P>::new(config, nodes, DELAYS, (genesis, seed));
    lab.run(SETTLED, &mut |_, _, _| {});
    let leader = lab.leader().expect("somebody leads by then");
    let candidate = NodeId::at((leader.index() + 1) % nodes);
    let (mut votes, mut shares) = (vec![false; nodes], vec![false; nodes]);
    let mut witness = |_: Time, node: NodeId, seen: Seen<'_, P>| {
        if let Seen::Arrived { from, message } = seen
            && node == candidate
        {
            match given(message) {
                Given::Vote => votes[from.index()] = true,
                Given::Share => shares[from.index()] = true,
                Given::Nothing => {}
            }
        }
    };
    lab.turn_clock(candidate, Span::from_secs(3_600), &mut witness);
    lab.run(COUNTED, &mut witness);
    let count = |given: &[bool]| given.iter().filter(|given| **given).count() as u64;
    Ballots {
        protocol: P::NAME.to_owned(),
        nodes,
        seed,
        votes: count(&votes),
        shares: count(&shares),
        elected: lab.leader() == Some(candidate),
        published_votes: None,
        published_shares: None,
    }
}

/// The interval of audits of an honest leader, and of one that lies from the second round on.
fn audits(rounds: u64) -> Vec<Interval> {
    let config = iraft::Config::default();
    let mut honest = Audit::new(config.audit_start, config.audit_max);
    let mut liar = honest.clone();
    let mut intervals = vec![Interval {
        round: 0,
        honest: honest.interval(),
        liar: liar.interval(),
    }];
    for round in 1..=rounds {
        honest.round(false);
        liar.round(round >= 2);
        intervals.push(Interval {
            round,
            honest: honest.interval(),
            liar: liar.interval(),
        });
    }
    intervals
}
