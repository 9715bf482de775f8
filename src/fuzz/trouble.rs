//! What goes wrong in a drawn scenario: trouble up to a time, and what a protocol must survive for
//! good.

use super::dice::Dice;
use super::switches::Setting;
use super::weather;
use crate::base::node::NodeId;
use crate::base::time::{Time, Window};
use crate::base::units::Ratio;
use crate::scenario::schema::{
    Adversary, Behaviour, Disk, Fault, Point, Scenario, Scope, Targets, Victims,
};

/// The longest of a passing trouble, in milliseconds.
pub(super) const LONGEST: u64 = 1_500;

/// Adds trouble that has passed by `end`, but for nodes that are absent or lie for good: of those
/// no more than the setting bears.
pub fn add(dice: &mut Dice, scenario: &mut Scenario, setting: &Setting, end: Time) {
    let mut bad = Vec::new();
    for _ in 0..setting.absent {
        if dice.on("bad nodes") {
            let node = dice.node(scenario.nodes);
            if !bad.contains(&node) {
                bad.push(node);
            }
        }
    }
    let leads = bad.is_empty() && setting.absent > 0 && setting.liars;
    // What a Byzantine protocol promises it promises among fewer than a third of such nodes.
    let crash_only = scenario.protocol.name == "raft";
    let mut left = if crash_only || setting.liars {
        setting.absent
    } else {
        setting.absent.min((scenario.nodes - 1) / 3)
    };
    for &node in &bad {
        if left > 0 && (setting.liars || (!setting.forgets && dice.once_in(3))) {
            left -= 1;
            misbehaves(dice, scenario, (node, setting.liars), end);
        } else {
            absence(dice, scenario, (node, setting.forgets), end);
        }
    }
    if leads && dice.on("leader lies") {
        let part = act(dice, scenario, true, end);
        let moving = dice.once_in(2) && part.behaviour.speaks();
        if part.behaviour.speaks() && part.behaviour != Behaviour::Twins {
            scenario.adversaries.push(Adversary {
                led: 1,
                moving,
                ..part
            });
        }
    }
    if dice.on("crashes") {
        crashes(dice, scenario, &bad, end);
    }
    if dice.on("slow nodes") {
        let nodes = dice.some_nodes(scenario.nodes, 2);
        let factor = dice.one_of(&[2, 10, 100]);
        let during = dice.window(end, LONGEST);
        scenario.faults.push(Fault::Slow {
            nodes,
            factor,
            during,
        });
    }
    if dice.on("wrong clocks") {
        clocks(dice, scenario, end);
    }
    weather::add(dice, scenario, end);
    shuffle(dice, &mut scenario.faults);
}

/// Clocks that run wrong for a while, and show a wrong time for good.
fn clocks(dice: &mut Dice, scenario: &mut Scenario, end: Time) {
    // MBFT stands still if too many are off by more than the two seconds that it allows.
    let speeds: &[u32] = match &*scenario.protocol.name {
        "mbft" => &[500, 900, 1_100],
        _ => &[100, 500, 900, 1_100, 2_000, 10_000],
    };
    let nodes = dice.some_nodes(scenario.nodes, scenario.nodes);
    let speed = dice.one_of(speeds);
    let during = dice.window(end, 2 * LONGEST);
    scenario.faults.push(Fault::Clock {
        nodes,
        speed,
        during,
    });
}

/// A node that is away for good, or comes back without its disk, as far as that is survived.
fn absence(dice: &mut Dice, scenario: &mut Scenario, (node, forgets): (NodeId, bool), end: Time) {
    let nodes = Victims::Nodes(vec![node]);
    let mut during = dice.window(end, LONGEST);
    let mut disk = dice.one_of(&[Disk::Keep, Disk::Unsynced]);
    if forgets && dice.on("lost disk") {
        disk = Disk::Lost;
    } else {
        dice.features.insert("absent for good");
        during.until = None;
    }
    scenario.faults.push(Fault::Crash {
        nodes,
        during,
        disk,
    });
}

/// One or two behaviours of a node that do not contradict each other.
fn misbehaves(dice: &mut Dice, scenario: &mut Scenario, (node, liar): (NodeId, bool), end: Time) {
    let first = act(dice, scenario, liar, end);
    let mut parts = vec![first];
    if dice.once_in(2) {
        let second = act(dice, scenario, liar, end);
        if [&parts[0], &second]
            .iter()
            .all(|part| part.behaviour.speaks())
        {
            parts.push(second);
        }
    }
    for part in parts {
        if part.behaviour == Behaviour::NoSync || part.behaviour == Behaviour::Twins {
            // What was not written shows when the node stops.
            let during = dice.window(end, 200);
            let (nodes, disk) = (Victims::Nodes(vec![node]), Disk::Unsynced);
            scenario.faults.push(Fault::Crash {
                nodes,
                during,
                disk,
            });
        }
        scenario.adversaries.push(Adversary {
            nodes: vec![node],
            ..part
        });
    }
}

/// What a node does that is no liar, but not well.
fn honest_misbehaviour(dice: &mut Dice) -> Behaviour {
    match dice.within(0, 6) {
        0 => Behaviour::Silent,
        1 => Behaviour::Withhold,
        2 => Behaviour::Late {
            by: dice.millis(1, 400),
        },
        3 => Behaviour::Restless,
        4 => Behaviour::Deaf,
        5 => Behaviour::Selective,
        _ => Behaviour::Flood {
            copies: dice.one_of(&[2, 5]),
        },
    }
}

/// What a liar does; mostly it lies.
fn lie(dice: &mut Dice) -> Behaviour {
    match dice.within(0, 14) {
        0..=2 => Behaviour::Equivocate,
        3 | 4 => Behaviour::DoubleTalk,
        5 => Behaviour::Replay {
            after: dice.millis(1, 2_000),
        },
        6 => Behaviour::Garble,
        7 => Behaviour::Impersonate,
        8 => Behaviour::Inflate {
            by: dice.one_of(&[1, 2, 1_000_000]),
        },
        9 => Behaviour::Amnesia,
        10 => Behaviour::NoSync,
        11 => Behaviour::Twins,
        12 => Behaviour::FalseReply,
        _ => honest_misbehaviour(dice),
    }
}

/// A behaviour, of nobody yet; for some time of the trouble, or for good if it is a liar's or looks
/// like absence.
fn act(dice: &mut Dice, scenario: &Scenario, liar: bool, end: Time) -> Adversary {
    let behaviour = if liar {
        lie(dice)
    } else {
        honest_misbehaviour(dice)
    };
    dice.features.insert(behaviour.name());
    let scope = scope(dice, scenario, &behaviour);
    let whole = scope == Scope::default();
    let lasting = match &behaviour {
        Behaviour::Amnesia => false,
        Behaviour::Silent => whole || liar,
        _ => liar,
    };
    let during = if lasting && dice.once_in(2) {
        Window::ALWAYS
    } else {
        dice.window(end, LONGEST)
    };
    Adversary {
        behaviour,
        scope,
        nodes: Vec::new(),
        led: 0,
        moving: false,
        during,
        collude: dice.once_in(2),
    }
}

/// Which messages a behaviour is about.
fn scope(dice: &mut Dice, scenario: &Scenario, behaviour: &Behaviour) -> Scope {
    let mut scope = Scope::default();
    let disk = matches!(
        behaviour,
        Behaviour::Amnesia | Behaviour::NoSync | Behaviour::Twins
    );
    let own = matches!(behaviour, Behaviour::Restless | Behaviour::FalseReply);
    let by_kind = matches!(behaviour, Behaviour::Withhold | Behaviour::Deaf);
    let speaks = !disk && !own && *behaviour != Behaviour::Silent;
    if by_kind || (speaks && dice.once_in(4)) {
        scope.kinds = kinds(dice, &scenario.protocol.name);
    }
    if matches!(behaviour, Behaviour::Replay { .. }) && scenario.protocol.name == "layers" {
        spare_deliveries(&mut scope);
    }
    if !disk && !own && dice.once_in(4) {
        scope.targets = Targets::Nodes(dice.some_nodes(scenario.nodes, scenario.nodes));
    }
    if !disk && dice.once_in(4) {
        scope.probability = share(dice.one_of(&[10, 50]));
    }
    if !disk && dice.once_in(8) {
        scope.leading = true;
    }
    scope
}

/// What layers hand to record nodes is not said again to others: they would keep it, as
/// `scenarios/byzantine/layers-replayed-deliveries.yaml` shows, and nothing else is promised.
fn spare_deliveries(scope: &mut Scope) {
    let handed = ["deliver", "mig-chunk"];
    scope.kinds.retain(|kind| !handed.contains(&kind.as_str()));
    if scope.kinds.is_empty() {
        let others = PBFT.iter().chain(&IRAFT).chain(&LAYERS);
        let others = others.filter(|kind| !handed.contains(kind));
        scope.kinds = others.map(|kind| (*kind).to_owned()).collect();
    }
}

/// So many percent.
pub(super) fn share(percent: u64) -> Ratio {
    let parts = u32::try_from(percent * 10_000_000).expect("at most a hundred");
    Ratio::from_parts_per_billion(parts)
}

/// Kinds of messages of PBFT.
const PBFT: [&str; 7] = [
    "pre-prepare",
    "prepare",
    "commit",
    "checkpoint",
    "view-change",
    "new-view",
    "blocks",
];

/// Kinds of messages of the improved RAFT.
const IRAFT: [&str; 8] = [
    "append",
    "append-reply",
    "prepared",
    "commit-vote",
    "committed",
    "vote-reply",
    "pre-vote-reply",
    "evidence",
];

/// Kinds of messages of MBFT.
const MBFT: [&str; 10] = [
    "order-request",
    "speculative-reply",
    "local-commit",
    "mini-block",
    "large-block",
    "group-view-change",
    "group-new-view",
    "forward",
    "commitment",
    "disclosure",
];

/// Kinds of messages of the layers.
const LAYERS: [&str; 10] = [
    "presence",
    "payload",
    "deliver",
    "ack",
    "header",
    "relay",
    "inject",
    "mig-chunk",
    "mig-forward",
    "register",
];

/// One or two kinds of messages of a protocol.
fn kinds(dice: &mut Dice, protocol: &str) -> Vec<String> {
    let known: Vec<&str> = match protocol {
        "pbft" => PBFT.to_vec(),
        "iraft" => IRAFT.to_vec(),
        "krbft" => [&PBFT[..], &IRAFT].concat(),
        "mbft" => [&PBFT[..], &MBFT].concat(),
        "layers" => [&PBFT[..], &IRAFT, &LAYERS].concat(),
        _ => vec!["append", "append-reply", "vote", "vote-reply"],
    };
    let mut kinds: Vec<String> = (0..dice.within(1, 2))
        .map(|_| dice.one_of(&known).to_owned())
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// Kinds of messages of a protocol of which there are few: what is asked for and shown, and what is
/// said when something has changed.
fn said_seldom(protocol: &str) -> Vec<&'static str> {
    let pbft = ["status", "fetch", "checkpoint", "view-change", "new-view"];
    let iraft = ["complaint", "fetch", "proven", "commit-notice", "pre-vote"];
    let krbft = [
        "council-update",
        "group-block",
        "group-ack",
        "group-commit",
        "group-fetch",
        "group-blocks",
        "voice",
        "voice-share",
        "finding",
        "exposure",
        "hand-over",
        "hand-over-reply",
        "batch-fetch",
        "batches",
    ];
    let mbft = [
        "commit-request",
        "echo",
        "fetch-mini-blocks",
        "fetch-large-blocks",
        "large-blocks",
        "missed-mini-block",
    ];
    let layers = [
        "leader",
        "request-forward",
        "relay-ic",
        "index-request",
        "remind",
        "waits",
        "mig-request",
        "mig-done",
        "compare",
        "due",
        "record-fetch",
        "record",
        "mig-refuse",
        "erase",
    ];
    match protocol {
        "pbft" => pbft.to_vec(),
        "iraft" => iraft.to_vec(),
        "krbft" => [&krbft[..], &pbft, &iraft].concat(),
        "mbft" => [&mbft[..], &pbft].concat(),
        "layers" => [&layers[..], &pbft, &iraft].concat(),
        _ => vec!["pre-vote", "pre-vote-reply", "heartbeat", "heartbeat-reply"],
    }
}

/// Has those who bend messages of a kind bend some of a kind that is said seldom. What layers hand
/// over is not said again to others, see [`spare_deliveries`].
pub fn pick_seldom(dice: &mut Dice, scenario: &mut Scenario) {
    let protocol = &*scenario.protocol.name;
    let kinds = said_seldom(protocol);
    for adversary in &mut scenario.adversaries {
        let replays = matches!(adversary.behaviour, Behaviour::Replay { .. });
        let spared = replays && protocol == "layers";
        if !adversary.scope.kinds.is_empty() && !spared {
            adversary.scope.kinds = vec![dice.one_of(&kinds).to_owned()];
        }
    }
}

/// Nodes that stop and return with what they wrote: all of them at times, the same one again and
/// again, or whoever leads.
fn crashes(dice: &mut Dice, scenario: &mut Scenario, bad: &[NodeId], end: Time) {
    let nodes = scenario.nodes;
    let crash = |scenario: &mut Scenario, nodes, during, disk| {
        scenario.faults.push(Fault::Crash {
            nodes,
            during,
            disk,
        });
    };
    let disks = [Disk::Unsynced, Disk::Unsynced, Disk::Keep];
    let longest = dice.one_of(&[25, 200, 900]);
    if dice.on("leader crashes") {
        for _ in 0..dice.within(1, 3) {
            let (during, disk) = (dice.window(end, longest), dice.one_of(&disks));
            crash(scenario, Victims::Leader, during, disk);
        }
    }
    if dice.on("restarts again and again") {
        let mortal: Vec<NodeId> = (0..nodes).map(NodeId::at).collect();
        let mortal: Vec<NodeId> = mortal.into_iter().filter(|n| !bad.contains(n)).collect();
        for node in mortal {
            if dice.once_in(2) {
                let disk = dice.one_of(&disks);
                for _ in 0..dice.within(1, 8) {
                    let during = dice.window(end, longest);
                    crash(scenario, Victims::Nodes(vec![node]), during, disk);
                }
            }
        }
    }
    if dice.on("stops in the middle of a step") {
        for _ in 0..dice.within(1, 3) {
            stops(dice, scenario, (bad, longest), end);
        }
    }
    if dice.rarely("all crash at once", 4) {
        let (during, disk) = (dice.window(end, longest), dice.one_of(&disks));
        let everybody = (0..nodes).map(NodeId::at).filter(|n| !bad.contains(n));
        crash(scenario, Victims::Nodes(everybody.collect()), during, disk);
    }
}

/// Nodes that stop before or after a write or a message. Stopping hurts most between what a node
/// promises and what it writes, and where a leader has told one of its followers.
fn stops(dice: &mut Dice, scenario: &mut Scenario, (bad, longest): (&[NodeId], u64), end: Time) {
    let promises: &[&str] = match &*scenario.protocol.name {
        "raft" | "iraft" => &["vote-reply", "vote-reply", "append-reply", "append"],
        "pbft" => &["prepare", "commit", "view-change", "pre-prepare"],
        _ => &[],
    };
    let promise = !promises.is_empty() && dice.once_in(2);
    let (at, kinds) = if promise {
        let at = dice.one_of(&[Point::BeforeSend, Point::AfterSend, Point::AfterSend]);
        (at, vec![dice.one_of(promises).to_owned()])
    } else {
        let at = dice.one_of(&Point::ALL);
        let some = at.is_sending() && dice.once_in(2);
        let kinds = some.then(|| kinds(dice, &scenario.protocol.name));
        (at, kinds.unwrap_or_default())
    };
    let mortal = (0..scenario.nodes).map(NodeId::at);
    let mortal = mortal.filter(|n| !bad.contains(n));
    let nodes = if dice.once_in(4) {
        Victims::Leader
    } else {
        Victims::Nodes(mortal.collect())
    };
    let shares: &[u64] = if promise { &[5, 25, 50] } else { &[1, 5, 25] };
    let longest = dice.one_of(&[2, 20, longest]);
    scenario.faults.push(Fault::CrashPoint {
        at,
        kinds,
        probability: share(dice.one_of(shares)),
        down: dice.millis(1, longest),
        nodes,
        during: dice.window(end, 2 * LONGEST),
    });
}

/// Faults apply in the order in which they are listed.
fn shuffle(dice: &mut Dice, faults: &mut [Fault]) {
    for place in (1..faults.len()).rev() {
        let other = dice.within(0, place as u64) as usize;
        faults.swap(place, other);
    }
}
