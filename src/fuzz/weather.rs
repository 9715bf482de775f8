//! Trouble of the network in a drawn scenario.

use super::dice::Dice;
use super::trouble::{LONGEST, share};
use crate::base::node::NodeId;
use crate::base::time::{Span, Time, Window};
use crate::scenario::schema::{Fault, Scenario};

/// One partition after the other, each of them short: leaders come and go, and leave behind what
/// only a part has heard of.
fn partitions_in_a_row(dice: &mut Dice, scenario: &mut Scenario, end: Time) {
    let mut from = dice.window(end, 1).from;
    for _ in 0..dice.within(3, 10) {
        let lasts = dice.millis(50, 400);
        let until = (from + lasts).min(end);
        if until <= from {
            break;
        }
        let mut groups = vec![Vec::new(), Vec::new()];
        let first = dice.node(scenario.nodes);
        for node in (0..scenario.nodes).map(NodeId::at) {
            let apart = node == first || (scenario.nodes > 3 && dice.once_in(3));
            groups[usize::from(!apart)].push(node);
        }
        if groups.iter().all(|group| !group.is_empty()) {
            scenario.faults.push(Fault::Partition {
                groups,
                one_way: false,
                held: false,
                every: None,
                lasts: None,
                during: Window {
                    from,
                    until: Some(until),
                },
            });
        }
        from = until;
    }
}

/// Adds trouble of the network that has passed by `end`, but for messages that come twice.
pub fn add(dice: &mut Dice, scenario: &mut Scenario, end: Time) {
    let nodes = scenario.nodes;
    if nodes > 1 && dice.on("partitions") {
        for _ in 0..dice.within(1, 3) {
            let fault = partition(dice, nodes, end);
            scenario.faults.push(fault);
        }
    }
    if nodes > 2 && dice.rarely("partitions in a row", 3) {
        partitions_in_a_row(dice, scenario, end);
    }
    if dice.on("loss") {
        let some = dice.once_in(2).then(|| dice.some_nodes(nodes, 2));
        scenario.faults.push(Fault::Loss {
            rate: share(dice.one_of(&[1, 5, 20, 60])),
            nodes: some.unwrap_or_default(),
            links: Vec::new(),
            during: dice.window(end, 2 * LONGEST),
        });
    }
    if dice.on("delay") {
        let some = dice.once_in(2).then(|| dice.some_nodes(nodes, 2));
        scenario.faults.push(Fault::Delay {
            by: dice.millis(1, 600),
            nodes: some.unwrap_or_default(),
            during: dice.window(end, LONGEST),
        });
    }
    if dice.on("duplicates") {
        let passes = dice.once_in(2);
        let during = dice.window(end, 2 * LONGEST);
        scenario.faults.push(Fault::Duplicate {
            rate: share(dice.one_of(&[1, 10, 50])),
            during: if passes { during } else { Window::ALWAYS },
        });
    }
    if dice.on("reordering") {
        scenario.faults.push(Fault::Reorder {
            rate: share(dice.one_of(&[5, 20, 50])),
            by: dice.one_of(&[5, 50, 400].map(Span::from_millis)),
            during: dice.window(end, 2 * LONGEST),
        });
    }
}

/// Two groups, or one node and the others, or three groups; some nodes may hear everybody.
fn partition(dice: &mut Dice, nodes: usize, end: Time) -> Fault {
    let parts = if nodes > 2 { dice.within(2, 3) } else { 2 };
    let bridge = nodes > 3 && dice.rarely("a bridge between parts", 4);
    let mut groups = vec![Vec::new(); parts as usize];
    for node in (0..nodes).map(NodeId::at) {
        let place = match node.index() {
            first if first < groups.len() => first,
            _ if bridge && dice.once_in(3) => continue,
            _ => dice.within(0, parts - 1) as usize,
        };
        groups[place].push(node);
    }
    // Which nodes are alone must not depend on their numbers.
    let shift = dice.within(0, nodes as u64 - 1) as usize;
    for group in &mut groups {
        for node in group.iter_mut() {
            *node = NodeId::at((node.index() + shift) % nodes);
        }
        group.sort_unstable();
    }
    let flaps = dice.rarely("flapping partitions", 4);
    let every = dice.millis(20, 400);
    let lasts = Span::from_nanos(every.nanos() / dice.one_of(&[2, 4]));
    Fault::Partition {
        groups,
        one_way: dice.once_in(4),
        held: false,
        every: flaps.then_some(every),
        lasts: flaps.then_some(lasts),
        during: dice.window(end, LONGEST),
    }
}

/// Some nodes are cut off, one after another, and heard again in another order; what is sent
/// meanwhile waits and comes then ("swizzle-clogging" in FoundationDB's documentation, "Simulation
/// and Testing").
pub fn swizzle(dice: &mut Dice, scenario: &mut Scenario, end: Time) {
    let count = scenario.nodes;
    let mut waiting = dice.some_nodes(count, count);
    let step = dice.millis(1, 150);
    let mut from = dice.window(end, 1).from;
    let mut cut = Vec::new();
    while !waiting.is_empty() {
        let next = dice.within(0, waiting.len() as u64 - 1) as usize;
        cut.push((waiting.swap_remove(next), from));
        from = (from + step).min(end);
    }
    let mut until = from;
    while !cut.is_empty() {
        let next = dice.within(0, cut.len() as u64 - 1) as usize;
        let (node, from) = cut.swap_remove(next);
        until = (until + step).min(end);
        let others = (0..count).map(NodeId::at).filter(|other| *other != node);
        if from < until && count > 1 {
            scenario.faults.push(Fault::Partition {
                groups: vec![vec![node], others.collect()],
                one_way: dice.once_in(4),
                held: true,
                every: None,
                lasts: None,
                during: Window {
                    from,
                    until: Some(until),
                },
            });
        }
    }
}
