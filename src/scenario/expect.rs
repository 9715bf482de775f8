//! Reads what a run must show, and refuses what it cannot show: safety beyond the fault model.

use std::collections::BTreeMap;

use super::nearest::nearest;
use super::reader::Reader;
use super::schema::{
    Adversary, Behaviour, Bound, Execution, Expect, Liveness, Safety, Scenario, Side,
};
use super::tree::{Node, Step, Value, shorten};
use crate::base::node::{NodeId, PositionSet};

/// The greatest bound, in thousandths.
const BOUND_MAX: u64 = 1_000_000_000_000_000;

/// No expectations.
pub fn nothing() -> Expect {
    Expect {
        safety: None,
        liveness: Liveness::Any,
        bounds: BTreeMap::new(),
    }
}

/// Reads `expect`; bounds may name these columns.
pub fn expect<'t>(reader: &mut Reader<'t>, node: &'t Node, columns: &[&str]) -> Option<Expect> {
    let Value::Map(entries) = &node.value else {
        reader.expected(node, "a map, like `{ safety: holds }`");
        return None;
    };
    let mut expect = nothing();
    for entry in entries {
        reader.inside(Step::Key(entry.key.clone()), |reader| match &*entry.key {
            "safety" => {
                let choices = [("holds", Safety::Holds), ("violated", Safety::Violated)];
                expect.safety = reader.choice(&entry.node, &choices);
            }
            "liveness" => {
                let choices = [
                    ("holds", Liveness::Holds),
                    ("violated", Liveness::Violated),
                    ("any", Liveness::Any),
                ];
                expect.liveness = reader
                    .choice(&entry.node, &choices)
                    .unwrap_or(Liveness::Any);
            }
            key => {
                if let Some(bound) = bound(reader, key, &entry.node, columns) {
                    expect.bounds.insert(key.into(), bound);
                }
            }
        });
    }
    for (key, bound) in &expect.bounds {
        let opposite = |other: &&Bound| other.column == bound.column && other.side == Side::Max;
        let most = expect.bounds.values().find(opposite);
        if bound.side == Side::Min && most.is_some_and(|most| most.thousandths < bound.thousandths)
        {
            let rule = "is greater than the `_max` of the same column: no run meets both";
            reader.refuse_at(&[Step::Key(key.clone().into())], rule, None);
        }
    }
    Some(expect)
}

/// A column with the units that may be left out at its end taken off.
fn stem(column: &str) -> &str {
    ["_tps", "_ms", "_s"]
        .iter()
        .find_map(|unit| column.strip_suffix(unit))
        .unwrap_or(column)
}

fn bound<'t>(
    reader: &mut Reader<'t>,
    key: &str,
    node: &'t Node,
    columns: &[&str],
) -> Option<Bound> {
    let (name, side) = match (key.strip_suffix("_min"), key.strip_suffix("_max")) {
        (Some(name), _) => (name, Some(Side::Min)),
        (None, Some(name)) => (name, Some(Side::Max)),
        (None, None) => (key, None),
    };
    let whole = columns.iter().find(|column| **column == name);
    let column = whole.or_else(|| columns.iter().find(|column| stem(column) == name));
    let (Some(column), Some(side)) = (column, side) else {
        let stems = columns.iter().map(|column| stem(column));
        let help = match (column, nearest(name, stems)) {
            (Some(_), _) => format!("write `{name}_min` or `{name}_max`"),
            (None, Some(near)) => match side {
                Some(Side::Min) => format!("did you mean `{near}_min`?"),
                Some(Side::Max) => format!("did you mean `{near}_max`?"),
                None if ["safety", "liveness"].contains(&near) => format!("did you mean `{near}`?"),
                None => format!("did you mean `{near}_min` or `{near}_max`?"),
            },
            (None, None) => match nearest(key, ["safety", "liveness"]) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "expect `safety`, `liveness`, or a numeric column of runs.csv with `_min` \
                         or `_max`, like `throughput_min`"
                    .into(),
            },
        };
        reader.refuse_key(
            format!("unknown expectation `{}`", shorten(key)),
            Some(help),
        );
        return None;
    };
    Some(Bound {
        column: (*column).into(),
        side,
        thousandths: reader.thousandths(node, 0, BOUND_MAX)?,
    })
}

/// What takes a scenario out of the model in which its protocol promises safety, as a sentence.
pub fn beyond_model(scenario: &Scenario, byzantine: bool) -> Option<String> {
    let name = &scenario.protocol.name;
    if let Execution::ExecuteOrderValidate { policy, .. } = &scenario.execution {
        let forgers = scenario.forgers();
        let mut set = PositionSet::new();
        for node in &forgers {
            set.insert(node.index());
        }
        if policy.holds(&set) {
            let names: Vec<String> = forgers.iter().map(NodeId::to_string).collect();
            let names = names.join(", ");
            return Some(format!(
                "{names} forge endorsements and satisfy the policy {policy} alone"
            ));
        }
    }
    if !byzantine {
        let mut adversaries = scenario.adversaries.iter();
        let liar = adversaries.find(|adversary| adversary.behaviour.lies())?;
        let who = match liar.nodes.first() {
            Some(node) => format!("node {}", node.0),
            None => "the leader".to_owned(),
        };
        let lie = match liar.behaviour.name() {
            "equivocate" => "equivocates".to_owned(),
            other => format!("lies (`{other}`)"),
        };
        return Some(format!("{who} {lie}, and {name} survives crashes only"));
    }
    let (dishonest, bound) = (scenario.dishonest_count(), (scenario.nodes - 1) / 3);
    (dishonest > bound).then(|| {
        format!(
            "{dishonest} of {} nodes are dishonest, and {name} survives at most {bound}",
            scenario.nodes
        )
    })
}

/// Refuses to forge endorsements where nothing is endorsed.
pub fn forgeries(reader: &mut Reader<'_>, scenario: &Scenario) {
    if scenario.execution != Execution::OrderExecute {
        return;
    }
    let mut adversaries = scenario.adversaries.iter();
    let forges = |adversary: &Adversary| adversary.behaviour == Behaviour::ForgeEndorsement;
    if let Some(place) = adversaries.position(forges) {
        let name = Behaviour::ForgeEndorsement.name();
        let (list, name) = (Step::Key("adversaries".into()), Step::Key(name.into()));
        let rule = "has nothing to forge: with `order-execute` nothing is endorsed";
        let help = "write `execution: execute-order-validate`, or leave the behaviour out";
        reader.refuse_at(&[list, Step::Index(place), name], rule, Some(help.into()));
    }
}

/// Refuses to expect safety beyond the fault model, and expects it within if nothing is written.
pub fn within_model(reader: &mut Reader<'_>, scenario: &mut Scenario, byzantine: bool) {
    match (beyond_model(scenario, byzantine), scenario.expect.safety) {
        (Some(reason), Some(Safety::Holds)) => {
            let steps = [Step::Key("expect".into()), Step::Key("safety".into())];
            let rule = format!("`holds` is outside the fault model: {reason}");
            let help = "write `safety: violated` to show the violation, or leave `safety` out";
            reader.refuse_at(&steps, rule, Some(help.into()));
        }
        (None, None) => scenario.expect.safety = Some(Safety::Holds),
        (None, Some(_)) | (Some(_), None | Some(Safety::Violated)) => {}
    }
}
