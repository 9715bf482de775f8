//! The kinds of messages that a scenario names: what nobody says there is a slip of the pen, and
//! the fault or behaviour that it concerns would do nothing.

use super::reader::Reader;
use super::schema::{Fault, Scenario};
use super::tree::Step;
use super::whole::Known;
use crate::protocol::{Protocol, Wire};
use crate::sim::event::Totals;
use crate::sim::message::HOST_KINDS;

/// The kinds of messages that were sent, and are not among those that a scenario can name.
pub fn unnamed<P: Protocol>(totals: &Totals) -> Vec<&'static str> {
    let known = P::Message::kinds();
    let mut said: Vec<&str> = totals.by_kind.iter().map(|(kind, _)| *kind).collect();
    said.retain(|kind| !known.contains(kind) && !HOST_KINDS.contains(kind));
    said
}

/// Refuses kinds of messages that no protocol has, and lists of which this scenario's has none. A
/// list may name those of others too: one and the same goes with several protocols then.
pub fn known_kinds(reader: &mut Reader<'_>, scenario: &Scenario, known: &Known<'_>) {
    let mut own = HOST_KINDS.to_vec();
    let mut all = HOST_KINDS.to_vec();
    for spec in known.protocols {
        all.extend((spec.kinds)());
        if spec.name == scenario.protocol.name {
            own.extend((spec.kinds)());
        }
    }
    let faults = scenario.faults.iter().enumerate();
    let faults = faults.filter_map(|(place, fault)| match fault {
        Fault::CrashPoint { kinds, .. } => Some(("faults", place, "crash", kinds)),
        _ => None,
    });
    let adversaries = scenario.adversaries.iter().enumerate();
    let adversaries = adversaries.map(|(place, adversary)| {
        let name = adversary.behaviour.name();
        ("adversaries", place, name, &adversary.scope.kinds)
    });
    for (list, place, name, kinds) in faults.chain(adversaries) {
        let path = [list, name, "kinds"].map(|key| Step::Key(key.into()));
        let [list, name, key] = path;
        let steps = vec![list, Step::Index(place), name, key];
        judge(reader, &steps, kinds, (&own, &all), &scenario.protocol.name);
    }
}

fn judge(
    reader: &mut Reader<'_>,
    steps: &[Step],
    kinds: &[String],
    (own, all): (&[&str], &[&str]),
    protocol: &str,
) {
    let mut misspelt = false;
    for (index, kind) in kinds.iter().enumerate() {
        if !all.contains(&kind.as_str()) {
            misspelt = true;
            let rule = format!("no protocol has messages called `{kind}`");
            let meant = reader.near(kind, own.iter().copied());
            let help = match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("`consilium explain {protocol}` lists those of {protocol}"),
            };
            let steps = [steps, &[Step::Index(index)]].concat();
            reader.refuse_at(&steps, rule, Some(help));
        }
    }
    let none = kinds.iter().all(|kind| !own.contains(&kind.as_str()));
    if none && !misspelt && !kinds.is_empty() {
        let rule = format!("{protocol} has no messages called so: nothing would happen");
        let help = format!("`consilium explain {protocol}` lists those of {protocol}");
        reader.refuse_at(steps, rule, Some(help));
    }
}
