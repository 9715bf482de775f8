//! Reads a whole scenario from its tree: the first-level keys, and what must hold between them.

use super::budget;
use super::contract;
use super::execution;
use super::expect;
use super::network;
use super::predict;
use super::protocol::ProtocolSpec;
use super::reader::{Fields, Reader};
use super::said;
use super::schema::{Choice, Machine, Scenario};
use super::tree::{Node, Step, Value, parse_path};
use super::trouble;
use super::workload;
use crate::base::crypto::Crypto;
use crate::base::time::{Span, Time, Window};
use crate::base::units::Bytes;
use crate::contract::{Rules, Wish};
use crate::protocol::mempool::BatchRule;

/// What a scenario may name, handed down by the modules that have it.
#[derive(Clone, Copy, Debug)]
pub struct Known<'k> {
    /// The protocols.
    pub protocols: &'k [ProtocolSpec],
    /// The numeric columns of `runs.csv`.
    pub columns: &'k [&'k str],
    /// The figures an experiment may ask for.
    pub figures: &'k [&'k str],
}

/// What the parts of a scenario must fit; unknown if it is itself wrong.
#[derive(Clone, Copy, Debug)]
pub struct Around {
    /// How many nodes there are.
    pub nodes: Option<usize>,
    /// How long the run lasts.
    pub duration: Option<Span>,
}

/// The first-level keys.
pub const KEYS: &[&str] = &[
    "about",
    "seed",
    "duration",
    "warmup",
    "nodes",
    "protocol",
    "batch",
    "network",
    "machine",
    "crypto",
    "workload",
    "contract",
    "execution",
    "faults",
    "adversaries",
    "budget",
    "memory",
    "expect",
];
/// The keys of `batch`.
pub const BATCH_KEYS: &[&str] = &["max", "bytes", "wait"];
/// The keys of `machine`.
pub const MACHINE_KEYS: &[&str] = &[
    "cores",
    "per_message",
    "per_kilobyte",
    "per_request",
    "sign",
    "verify",
    "execute",
    "sync",
    "shared",
];
/// Nodes at most.
pub const NODES_MAX: u64 = 10_000;
/// The longest run: a hundred years of 365 days.
const DURATION_MAX: Span = Span::from_secs(100 * 365 * 24 * 3600);

/// Reads a scenario. Whatever is wrong is noted in the reader; what is returned then is not to be
/// used.
pub fn scenario<'t>(
    reader: &mut Reader<'t>,
    root: &'t Node,
    known: &Known<'_>,
) -> Option<Scenario> {
    if let Value::Null = root.value {
        reader.refuse_with(
            "the file says nothing",
            "start from one in `scenarios/calm`",
        );
        return None;
    }
    let fields = reader.fields(root, KEYS)?;
    let about = reader.require(fields, "about", "what this scenario shows", Reader::text);
    let seed = reader.require(fields, "seed", "7", |r, n| r.count(n, 0, u64::MAX));
    let duration = reader.require(fields, "duration", "60s", duration);
    let warmup = reader.or(fields, "warmup", Span::ZERO, Reader::quantity);
    let nodes = reader.require(fields, "nodes", "4", |r, n| r.count(n, 1, NODES_MAX));
    let around = Around {
        nodes: nodes.and_then(|nodes| usize::try_from(nodes).ok()),
        duration,
    };
    measured(reader, warmup, duration);
    let protocol = reader.require(fields, "protocol", "pbft", |reader, node| {
        protocol(reader, node, around.nodes, known)
    });
    let byzantine = protocol.as_ref().is_some_and(|(_, byzantine)| *byzantine);
    let batch = reader.or(fields, "batch", BatchRule::default(), batch);
    let network = network_of(reader, fields, around);
    let machine = reader.or(fields, "machine", DEFAULT_MACHINE, machine);
    let crypto = reader.or(fields, "crypto", Crypto::Modelled, crypto);
    let workload = reader.require(fields, "workload", "{ rate: 100/s }", |reader, node| {
        workload::workload(reader, node, byzantine)
    });
    let contract = reader.or(fields, "contract", Rules::default(), contract::contract);
    let execution = execution::field(reader, fields, around.nodes);
    let trouble = trouble::trouble(reader, fields, around, network.as_ref());
    let budget = reader.field(fields, "budget", |r, n| budget::budget(r, n, around));
    let expect = expect_of(reader, fields, known);
    let mut scenario = Scenario {
        about: about?.to_string(),
        seed: seed?,
        duration: duration?,
        warmup,
        nodes: around.nodes?,
        protocol: protocol?.0,
        batch,
        network: network?,
        machine,
        crypto,
        workload: workload?,
        contract,
        execution,
        faults: trouble.faults,
        adversaries: trouble.adversaries,
        budget,
        memory: reader.field(fields, "memory", memory),
        expect,
        draws: trouble.draws,
    };
    scenario.draw();
    fitting(reader, &scenario, known);
    expect::within_model(reader, &mut scenario, byzantine);
    predict::predict(reader, &scenario, byzantine);
    Some(scenario)
}

/// What messages may take: enough for a run, and no more than machines have.
fn memory<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Bytes> {
    let memory: Bytes = reader.quantity(node)?;
    let fits = (1 << 20..=1 << 40).contains(&memory.0);
    if !fits {
        reader.refuse("must be from 1MiB to 1024GiB");
    }
    fits.then_some(memory)
}

/// Something must be left of the run when the warm-up is over.
fn measured(reader: &mut Reader<'_>, warmup: Span, duration: Option<Span>) {
    if duration.is_some_and(|duration| warmup >= duration) {
        let rule = format!("{warmup} is not shorter than the duration: nothing is left to measure");
        reader.refuse_at(&[Step::Key("warmup".into())], rule, None);
    }
}

/// Clients ask for something after the warm-up, and stop before the end or not at all.
fn ending(reader: &mut Reader<'_>, scenario: &Scenario) {
    let (warmup, duration) = (scenario.warmup, scenario.duration);
    let (rule, help) = match scenario.workload.until {
        Some(until) if until <= warmup => (
            format!("nothing is asked for after the warm-up of {warmup}, and nothing measured"),
            "write a later time, or a shorter `warmup`",
        ),
        Some(until) if until > duration => (
            format!("is after the end of the run, which lasts {duration}"),
            "leave it out if clients never stop",
        ),
        Some(_) | None => return,
    };
    let path = ["workload", "until"].map(|key| Step::Key(key.into()));
    reader.refuse_at(&path, rule, Some(help.into()));
}

/// What is said in one place must fit to what is said in another.
fn fitting(reader: &mut Reader<'_>, scenario: &Scenario, known: &Known<'_>) {
    ending(reader, scenario);
    budget::within(reader, scenario);
    expect::forgeries(reader, scenario);
    execution::on_one_chain(reader, scenario, known);
    execution::with_one_face(reader, scenario);
    said::known_kinds(reader, scenario, known);
    hidden(reader, scenario);
}

/// Who asks under an alias is one of those who do not hold the record: there have to be several.
fn hidden(reader: &mut Reader<'_>, scenario: &Scenario) {
    if scenario.workload.mix.weight(Wish::AnonymousShare) == 0 || scenario.nodes > 2 {
        return;
    }
    let key = ["workload", "mix", Wish::AnonymousShare.name()].map(|key| Step::Key(key.into()));
    let nodes = scenario.nodes;
    let rule =
        format!("hides nobody among {nodes} hospitals: everybody knows which one holds a record");
    let help = "write `nodes: 3` or more, or `share`, where who asks says so";
    reader.refuse_at(&key, rule, Some(help.into()));
}

fn crypto<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Crypto> {
    let choices = [("modelled", Crypto::Modelled), ("ed25519", Crypto::Ed25519)];
    reader.choice(node, &choices)
}

fn network_of<'t>(
    reader: &mut Reader<'t>,
    fields: Fields<'t>,
    around: Around,
) -> Option<super::schema::Network> {
    match fields.get("network") {
        Some(node) => reader.inside(Step::Key("network".into()), |reader| {
            network::network(reader, node, around)
        }),
        None => Some(network::single_site(around.nodes.unwrap_or(1))),
    }
}

fn expect_of<'t>(
    reader: &mut Reader<'t>,
    fields: Fields<'t>,
    known: &Known<'_>,
) -> super::schema::Expect {
    let read = |reader: &mut Reader<'t>, node| expect::expect(reader, node, known.columns);
    reader.or(fields, "expect", expect::nothing(), read)
}

fn duration<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Span> {
    let span = reader.positive(node)?;
    if span > DURATION_MAX {
        reader.refuse("must be at most 100 years (876000h)");
        return None;
    }
    Some(span)
}

/// A protocol by name, or as a map from its name to its configuration; and whether it is
/// Byzantine.
fn protocol<'t>(
    reader: &mut Reader<'t>,
    node: &'t Node,
    nodes: Option<usize>,
    known: &Known<'_>,
) -> Option<(Choice, bool)> {
    let names: Vec<&str> = known.protocols.iter().map(|spec| spec.name).collect();
    let (index, config) = match &node.value {
        Value::Scalar { .. } => {
            let choices: Vec<(&str, usize)> = names.iter().copied().zip(0..).collect();
            (reader.choice(node, &choices)?, serde_json::Value::Null)
        }
        Value::Null | Value::List(_) | Value::Map(_) => {
            let (entry, index) = reader.tagged(node, &names)?;
            (index, entry.node.to_json())
        }
    };
    let spec = &known.protocols[index];
    match checked(spec, &config, nodes) {
        Ok(config) => {
            let name = spec.name.to_string();
            Some((Choice { name, config }, spec.byzantine))
        }
        Err(misfits) => {
            for (key, rule) in misfits {
                let mut steps = vec![Step::Key(spec.name.into())];
                steps.extend(parse_path(&key).unwrap_or_default());
                let (rule, help) = match rule.split_once('\n') {
                    Some((rule, help)) => (rule.to_string(), Some(help.to_string())),
                    None => (rule, None),
                };
                if rule.starts_with("unknown key") {
                    reader.refuse_key_at(&steps, rule, help);
                } else {
                    reader.refuse_at(&steps, rule, help);
                }
            }
            None
        }
    }
}

/// A configuration for so many nodes. If their number is itself wrong, that is refused on its own,
/// and the configuration is wrong only if it fits no usual number either.
fn checked(
    spec: &ProtocolSpec,
    config: &serde_json::Value,
    nodes: Option<usize>,
) -> Result<serde_json::Value, super::protocol::Misfits> {
    if let Some(nodes) = nodes {
        return (spec.check)(config, nodes);
    }
    let usual = [7, 16, 100, 1000].iter();
    let fits = usual
        .map(|nodes| (spec.check)(config, *nodes))
        .find(Result::is_ok);
    fits.unwrap_or_else(|| (spec.check)(config, 4))
}

fn batch<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<BatchRule> {
    let fields = reader.fields(node, BATCH_KEYS)?;
    let rule = BatchRule::default();
    let max = reader.field(fields, "max", |r, n| r.count(n, 1, 1_000_000));
    let bytes = reader.or(fields, "bytes", rule.bytes, |reader, node| {
        let bytes: Bytes = reader.quantity(node)?;
        if bytes.0 == 0 || bytes.0 > 64 << 20 {
            reader.refuse("must be from 1B to 64MiB");
            return None;
        }
        Some(bytes)
    });
    Some(BatchRule {
        max: max.and_then(|max| max.try_into().ok()).unwrap_or(rule.max),
        bytes,
        wait: reader.or(fields, "wait", rule.wait, Reader::quantity),
    })
}

/// A machine of a hospital: what one processor core of 2020 takes.
const DEFAULT_MACHINE: Machine = Machine {
    cores: 1,
    per_message: Span::from_micros(5),
    per_kilobyte: Span::from_micros(1),
    per_request: None,
    sign: Span::from_micros(25),
    verify: Span::from_micros(60),
    execute: Span::from_micros(10),
    sync: Span::from_micros(250),
    shared: false,
};

fn machine<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Machine> {
    let fields = reader.fields(node, MACHINE_KEYS)?;
    let standard = DEFAULT_MACHINE;
    let cores = reader.field(fields, "cores", |r, n| r.count(n, 1, 1024));
    let per_request = reader.field(fields, "per_request", Reader::quantity);
    let mut cost = |key, standard| reader.or(fields, key, standard, Reader::quantity);
    Some(Machine {
        cores: cores.and_then(|cores| cores.try_into().ok()).unwrap_or(1),
        per_message: cost("per_message", standard.per_message),
        per_kilobyte: cost("per_kilobyte", standard.per_kilobyte),
        per_request,
        sign: cost("sign", standard.sign),
        verify: cost("verify", standard.verify),
        execute: cost("execute", standard.execute),
        sync: cost("sync", standard.sync),
        shared: reader.or(fields, "shared", standard.shared, Reader::flag),
    })
}

/// The window of a fault or behaviour: all of time if it is not written.
pub fn during<'t>(reader: &mut Reader<'t>, fields: Fields<'t>, around: Around) -> Window {
    reader.or(fields, "during", Window::ALWAYS, |reader, node| {
        let window = reader.window(node)?;
        let duration = around.duration?;
        let end = Time::ZERO + duration;
        if window.from >= end {
            let from = window.from.since(Time::ZERO);
            reader.refuse(format!(
                "begins at {from}, when the run of {duration} is over"
            ));
        } else if window.until.is_some_and(|until| until > end) {
            let until = window
                .until
                .map_or(Span::ZERO, |until| until.since(Time::ZERO));
            reader.refuse_with(
                format!("ends at {until}, but the run lasts {duration}"),
                "leave the end out for a window that stays open: `[20s]`",
            );
        }
        Some(window)
    })
}
