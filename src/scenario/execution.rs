//! Reads `execution`: whether transactions are executed when they are ordered, or endorsed before.

use super::reader::{Fields, Reader};
use super::schema::{Execution, Scenario};
use super::tree::{Node, Step, Value};
use super::whole::Known;
use crate::base::time::Span;
use crate::base::units::Ratio;
use crate::chain::policy::Policy;

/// The keys of `execution.execute-order-validate`.
pub const KEYS: &[&str] = &["policy", "endorsers", "retries", "backoff"];

const NAMES: [&str; 2] = ["order-execute", "execute-order-validate"];
/// Endorsers of a policy that does not say how many.
const ENDORSERS: usize = 2;
const RETRIES: u32 = 5;
const BACKOFF: Span = Span::from_millis(100);

/// Reads the key `execution`, if it is there.
pub fn field<'t>(reader: &mut Reader<'t>, fields: Fields<'t>, nodes: Option<usize>) -> Execution {
    let read = |reader: &mut Reader<'t>, node| execution(reader, node, nodes);
    reader.or(fields, "execution", Execution::OrderExecute, read)
}

/// Refuses to endorse where nodes do not keep the same chain: what an endorser reads, nobody could
/// validate on another one.
pub fn on_one_chain(reader: &mut Reader<'_>, scenario: &Scenario, known: &Known<'_>) {
    let name = &scenario.protocol.name;
    let mut specs = known.protocols.iter().filter(|spec| spec.name == *name);
    let one = specs.all(|spec| spec.one_chain(&scenario.protocol.config, scenario.nodes));
    if scenario.execution != Execution::OrderExecute && !one {
        let rule = format!("needs one chain that all nodes execute, and {name} has several here");
        let help = "write `execution: order-execute`, or leave it out";
        reader.refuse_at(&[Step::Key("execution".into())], rule, Some(help.into()));
    }
}

/// Refuses clients of two faces where each call goes to endorsers first, who answer for what they
/// are shown.
pub fn with_one_face(reader: &mut Reader<'_>, scenario: &Scenario) {
    if scenario.execution != Execution::OrderExecute && scenario.workload.two_faced > Ratio::ZERO {
        let path = ["workload", "two_faced"].map(|key| Step::Key(key.into()));
        let rule = "is about transactions that are ordered first, and these are endorsed first";
        let help = "write `execution: order-execute`, or leave it out";
        reader.refuse_at(&path, rule, Some(help.into()));
    }
}

/// Reads a name, or a map from the name to its settings.
fn execution<'t>(
    reader: &mut Reader<'t>,
    node: &'t Node,
    nodes: Option<usize>,
) -> Option<Execution> {
    let nodes = nodes.unwrap_or(usize::from(u16::MAX));
    let (index, settings) = match &node.value {
        Value::Scalar { .. } => {
            let choices = [(NAMES[0], 0), (NAMES[1], 1)];
            (reader.choice(node, &choices)?, None)
        }
        Value::Null | Value::List(_) | Value::Map(_) => {
            let (entry, index) = reader.tagged(node, &NAMES)?;
            (index, Some(&entry.node))
        }
    };
    if index == 0 {
        if settings.is_some() {
            reader.refuse_with("has no settings", "write `execution: order-execute`");
            return None;
        }
        return Some(Execution::OrderExecute);
    }
    let Some(settings) = settings else {
        return Some(Execution::ExecuteOrderValidate {
            policy: Policy::all(ENDORSERS.min(nodes)),
            retries: RETRIES,
            backoff: BACKOFF,
        });
    };
    reader.inside(Step::Key(NAMES[1].into()), |reader| {
        let fields = reader.fields(settings, KEYS)?;
        let retries = reader.field(fields, "retries", |r, n| r.count(n, 0, 1_000));
        Some(Execution::ExecuteOrderValidate {
            policy: policy(reader, fields, nodes)?,
            retries: retries.map_or(RETRIES, |retries| retries as u32),
            backoff: reader.or(fields, "backoff", BACKOFF, Reader::positive),
        })
    })
}

/// `and` or `or` of the first so many nodes, or an expression that names them.
fn policy<'t>(reader: &mut Reader<'t>, fields: Fields<'t>, nodes: usize) -> Option<Policy> {
    let endorsers = reader.field(fields, "endorsers", |reader, node| match &node.value {
        Value::Scalar { text, .. } if &**text == "all" => Some(nodes as u64),
        _ => reader.count(node, 1, nodes as u64),
    });
    let count = endorsers.map_or(ENDORSERS.min(nodes), |count| count as usize);
    if !fields.has("policy") {
        return Some(Policy::all(count));
    }
    let written = reader.field(fields, "policy", Reader::text)?;
    match &*written {
        "and" => return Some(Policy::all(count)),
        "or" => return Some(Policy::any(count)),
        _ => {}
    }
    if fields.has("endorsers") {
        let rule = "belongs to `policy: and` or `policy: or`: an expression names its nodes itself";
        reader.refuse_at(&[Step::Key("endorsers".into())], rule, None);
        return None;
    }
    Policy::parse(&written, nodes)
        .map_err(|rule| {
            let help = "write `and`, `or`, or an expression like `AND(n0, OutOf(2, n1, n2, n3))`";
            reader.refuse_at(&[Step::Key("policy".into())], rule, Some(help.into()));
        })
        .ok()
}
