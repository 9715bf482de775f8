//! What a scenario says, resolved: every default filled in, every quantity exact, every random
//! choice of nodes made. Written out as YAML it reads back as itself.

use std::collections::BTreeMap;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

pub use super::adversary::Adversary;
pub use super::budget::Budget;
use super::law::Latency;
use crate::base::crypto::Crypto;
use crate::base::node::NodeId;
use crate::base::time::{Span, Window};
use crate::base::units::{Bandwidth, Bytes, Rate, Ratio};
use crate::chain::policy::Policy;
use crate::contract::{Mix, Rules};
use crate::protocol::mempool::BatchRule;
pub use crate::sim::Point;
pub use crate::sim::adversary::{Behaviour, Heights, Scope, Targets};

/// One run but for its code: the network, the machines, the load, and what goes wrong.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Scenario {
    /// One or two sentences for people.
    pub about: String,
    /// Where all chance of the run comes from.
    pub seed: u64,
    /// How long the run lasts, in simulated time.
    pub duration: Span,
    /// The beginning that is left out of every statistic.
    pub warmup: Span,
    /// Virtual nodes that take part in consensus.
    pub nodes: usize,
    /// What they run.
    pub protocol: Choice,
    /// When a leader cuts a batch.
    pub batch: BatchRule,
    /// What lies between the nodes.
    pub network: Network,
    /// What work costs on every node.
    pub machine: Machine,
    /// Whether consensus messages are really signed.
    pub crypto: Crypto,
    /// What clients ask for.
    pub workload: Workload,
    /// What the consortium agreed on for its contract.
    #[serde(serialize_with = "super::contract::as_map")]
    pub contract: Rules,
    /// In which order transactions are ordered and executed.
    pub execution: Execution,
    /// Honest trouble, in the order in which it applies.
    pub faults: Vec<Fault>,
    /// Dishonest nodes.
    pub adversaries: Vec<Adversary>,
    /// How much may go wrong at one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// What messages on their way may take of the memory of the machine that simulates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// What the run must show.
    pub expect: Expect,
    /// The choices of nodes that chance made, to make them again with another seed.
    #[serde(skip)]
    pub(super) draws: Vec<Draw>,
}

/// A protocol with its configuration; written as a map with one key.
#[derive(Clone, PartialEq, Debug)]
pub struct Choice {
    /// The name, one of the catalogue.
    pub name: String,
    /// Its whole configuration, defaults included, as the protocol's `Config` serialises it.
    pub config: serde_json::Value,
}

/// Sites and the links between them.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Network {
    /// The places and who lives there; every node once.
    #[serde(serialize_with = "sites_as_map")]
    pub sites: Vec<Site>,
    /// The link between any two nodes of one site.
    pub within: Link,
    /// The links between sites; any two sites are joined by a path of them.
    pub links: Vec<SiteLink>,
    /// Whether messages between two nodes arrive in the order in which they were sent.
    pub ordered: bool,
}

/// A place in the network.
#[derive(Clone, PartialEq, Debug)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// Its nodes in ascending order.
    pub nodes: Vec<NodeId>,
}

/// What a message meets on its way.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Link {
    /// How long a message is under way; never zero.
    pub latency: Latency,
    /// Bits a second.
    pub bandwidth: Bandwidth,
}

/// A link between two sites.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct SiteLink {
    /// The two sites, which differ.
    pub between: [String; 2],
    /// How long a message is under way; never zero.
    pub latency: Latency,
    /// Bits a second.
    pub bandwidth: Bandwidth,
}

/// What work costs on a node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Machine {
    /// Processors.
    pub cores: u16,
    /// To take in or send one message.
    pub per_message: Span,
    /// On top, for each 1,000 bytes of it.
    pub per_kilobyte: Span,
    /// To take in a client's request, in place of `per_message`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_request: Option<Span>,
    /// To make one signature.
    pub sign: Span,
    /// To verify one signature.
    pub verify: Span,
    /// To execute one transaction.
    pub execute: Span,
    /// To make a change durable.
    pub sync: Span,
    /// Whether all nodes share the processors of one computer.
    pub shared: bool,
}

/// What lies between patients outside the chain.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Contact {
    /// Between two looks into a mailbox.
    pub poll: Span,
    /// How long a message from one to the other is under way.
    pub latency: Latency,
}

/// What clients ask for.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Workload {
    /// How many requests there are.
    #[serde(flatten)]
    pub load: Load,
    /// When clients stop making new requests; what they have asked for they still wait for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Span>,
    /// Of which kinds.
    pub mix: Mix,
    /// Patients, each with a record.
    pub patients: u32,
    /// Doctors.
    pub doctors: u32,
    /// How unequally patients are chosen: the exponent of Zipf's law in thousandths, 0 for
    /// equally.
    #[serde(serialize_with = "as_thousandths")]
    pub zipf: u32,
    /// Whether every record is of a pseudonym of its own.
    pub pid_per_record: bool,
    /// How patients who are asked for contact are reached outside the chain.
    pub contact: Contact,
    /// Transactions that the contract must refuse.
    pub invalid: Ratio,
    /// Transactions of which the client makes two with one name, for different nodes.
    #[serde(skip_serializing_if = "is_none")]
    pub two_faced: Ratio,
    /// How many equal answers a client waits for.
    pub replies: Replies,
    /// When a client asks again.
    pub retry: Span,
    /// Whom clients talk to.
    pub gateways: Gateways,
}

/// Whether a share is nothing, and need not be written.
fn is_none(share: &Ratio) -> bool {
    *share == Ratio::ZERO
}

/// How many requests there are.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum Load {
    /// Open loop: requests come whether or not earlier ones are answered.
    Open {
        /// All clients together.
        rate: Rate,
        /// Regular arrivals instead of a Poisson process.
        even: bool,
    },
    /// Closed loop: each client asks, waits for the answer, thinks, and asks again.
    Closed {
        /// Clients in all.
        clients: u32,
        /// The mean time between an answer and the next request.
        think: Span,
    },
}

/// How many equal answers a client waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Replies {
    /// The first.
    #[serde(rename = "one")]
    One,
    /// One more than may lie.
    #[serde(rename = "f+1")]
    OneHonest,
    /// A quorum.
    #[serde(rename = "quorum")]
    Quorum,
    /// Every node's.
    #[serde(rename = "all")]
    All,
}

/// Whom clients talk to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gateways {
    /// Honest nodes only.
    Honest,
    /// Every node.
    All,
    /// The last node. In a network of several layers that is one of the lowest.
    Last,
}

/// The path of a transaction.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Execution {
    /// Ordered first, executed by every node in that order.
    OrderExecute,
    /// Endorsed first, then ordered, then validated by every node.
    ExecuteOrderValidate {
        /// Whose endorsements a transaction needs.
        #[serde(serialize_with = "as_text")]
        policy: Policy,
        /// How often a transaction is endorsed again that came to nothing.
        retries: u32,
        /// The pause before the first time, about.
        backoff: Span,
    },
}

/// As it is written.
fn as_text<S: Serializer>(policy: &Policy, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(policy)
}

/// Honest trouble. An empty list of nodes or links means all of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Groups that do not hear one another; nodes in no group hear everybody.
    Partition {
        /// Disjoint groups, at least two.
        groups: Vec<Vec<NodeId>>,
        /// Only what the first group sends to the others is lost.
        one_way: bool,
        /// What is sent meanwhile is not lost but comes when the groups hear one another again.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        held: bool,
        /// How often it begins anew, if it comes and goes.
        #[serde(skip_serializing_if = "Option::is_none")]
        every: Option<Span>,
        /// How long it lasts then.
        #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
        lasts: Option<Span>,
        /// When.
        during: Window,
    },
    /// Messages are lost.
    Loss {
        /// Which share.
        rate: Ratio,
        /// Only messages from or to these nodes.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        nodes: Vec<NodeId>,
        /// Only messages that cross between these pairs of sites.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        links: Vec<[String; 2]>,
        /// When.
        during: Window,
    },
    /// Messages take longer.
    Delay {
        /// How much longer.
        by: Span,
        /// Only messages from or to these nodes.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        nodes: Vec<NodeId>,
        /// When.
        during: Window,
    },
    /// Messages arrive twice.
    Duplicate {
        /// Which share.
        rate: Ratio,
        /// When.
        during: Window,
    },
    /// Messages are held back, so that later ones overtake them.
    Reorder {
        /// Which share.
        rate: Ratio,
        /// For how long at most.
        by: Span,
        /// When.
        during: Window,
    },
    /// Nodes stop, and return at the end of the window.
    Crash {
        /// Which.
        nodes: Victims,
        /// When.
        during: Window,
        /// What they find on their disk when they return.
        disk: Disk,
    },
    /// Nodes stop in the middle of what they do, and return soon.
    #[serde(rename = "crash")]
    CrashPoint {
        /// In the middle of what.
        at: Point,
        /// With which kinds of messages, where it is about sending; none listed means all.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        kinds: Vec<String>,
        /// In which share of all cases.
        probability: Ratio,
        /// For how long they are down.
        down: Span,
        /// Which.
        nodes: Victims,
        /// When.
        during: Window,
    },
    /// The clocks of nodes run fast or slow.
    Clock {
        /// Which.
        nodes: Vec<NodeId>,
        /// How many thousandths of a second a clock counts in each.
        #[serde(serialize_with = "as_thousandths")]
        speed: u32,
        /// When.
        during: Window,
    },
    /// Nodes work more slowly.
    Slow {
        /// Which.
        nodes: Vec<NodeId>,
        /// By how many times, at least 1.
        factor: u32,
        /// When.
        during: Window,
    },
}

/// Who crashes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Victims {
    /// Whoever leads when the window opens.
    Leader,
    /// These nodes.
    #[serde(untagged)]
    Nodes(Vec<NodeId>),
}

/// What a crashed node finds on its disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disk {
    /// Everything that was durable.
    Keep,
    /// Everything but what was being written.
    Unsynced,
    /// Nothing.
    Lost,
}

/// What the run must show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expect {
    /// Whether all nodes agree; nothing is expected outside the protocol's fault model.
    pub safety: Option<Safety>,
    /// Whether everything is answered once faults have ended.
    pub liveness: Liveness,
    /// Bounds on columns of `runs.csv`, by key.
    pub bounds: BTreeMap<String, Bound>,
}

/// Whether all nodes agree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Safety {
    /// They do.
    Holds,
    /// They do not, and the checks notice.
    Violated,
}

/// Whether everything is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Liveness {
    /// It is.
    Holds,
    /// It is not.
    Violated,
    /// Either will do.
    Any,
}

/// A bound on a column of `runs.csv`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bound {
    /// The column with its unit, like `throughput_tps`.
    pub column: String,
    /// Whether the value is the least allowed or the greatest.
    pub side: Side,
    /// The bound in thousandths of the column's unit.
    pub thousandths: u64,
}

/// Which way a bound bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Not less.
    Min,
    /// Not more.
    Max,
}

/// A choice of nodes that chance makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Draw {
    /// Whose nodes.
    pub(super) target: Target,
    /// How many.
    pub(super) count: usize,
}

/// Whose nodes chance chooses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// Those of the fault listed at this place.
    Fault(usize),
    /// Those of the adversary listed at this place.
    Adversary(usize),
    /// Those who are meant by the adversary listed at this place.
    Targets(usize),
}

impl Serialize for Choice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(&self.name, &self.config)])
    }
}

impl Serialize for Expect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(safety) = self.safety {
            map.serialize_entry("safety", &safety)?;
        }
        map.serialize_entry("liveness", &self.liveness)?;
        for (key, bound) in &self.bounds {
            map.serialize_entry(key, &number(bound.thousandths))?;
        }
        map.end()
    }
}

fn sites_as_map<S: Serializer>(sites: &[Site], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(sites.iter().map(|site| (&site.name, &site.nodes)))
}

fn as_thousandths<S: Serializer>(value: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    number(u64::from(*value)).serialize(serializer)
}

/// A decimal number such as `0.8` with at most three decimals, in thousandths.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 3 {
        return None;
    }
    format!("{whole}{fraction:0<3}").parse().ok()
}

/// The shortest decimal number of so many thousandths.
pub(crate) fn show_decimal(thousandths: u64) -> String {
    let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
    text.trim_end_matches('0').trim_end_matches('.').into()
}

/// So many thousandths as a number that is written without quotes.
pub(crate) fn number(thousandths: u64) -> serde_json::Value {
    let number = show_decimal(thousandths).parse();
    serde_json::Value::Number(number.expect("a decimal number is a number in JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_print_as_they_are_read() {
        for (text, value) in [("0.8", 800), ("0", 0), ("12.345", 12_345), ("1.50", 1_500)] {
            assert_eq!(decimal(text), Some(value));
            assert_eq!(decimal(&show_decimal(value)), Some(value));
        }
        for text in [
            "", ".", "1.", ".5", "01", "1e3", "-1", "1.2345", "1_0", "nan", "9e9",
        ] {
            assert_eq!(decimal(text), None, "{text}");
        }
        assert_eq!(decimal("99999999999999999999"), None);
    }
}
