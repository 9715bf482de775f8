//! How many nodes there are and how their protocol is set. Only settings are drawn that are meant
//! to be safe with the liars they come with.

use serde_json::{Value, json};

use super::dice::Dice;
use crate::base::time::Span;

/// A protocol, set.
#[derive(Debug)]
pub struct Setting {
    /// How many nodes there are.
    pub nodes: usize,
    /// The keys that are written.
    pub config: Value,
    /// How many nodes may be absent for good, or without their disk where that is survived.
    pub absent: usize,
    /// Whether those may lie instead.
    pub liars: bool,
    /// Whether a lost disk is survived.
    pub forgets: bool,
    /// Whether endorsements before ordering are tried with it.
    pub endorses: bool,
}

/// A setting of a protocol whose messages usually take no longer than `reach`. A protocol that is
/// not known here keeps its defaults.
pub fn setting(dice: &mut Dice, protocol: &str, reach: Span) -> Setting {
    match protocol {
        "raft" => raft(dice, reach),
        "iraft" => iraft(dice, reach),
        "pbft" => pbft(dice, reach),
        "krbft" => krbft(dice, reach),
        "mbft" => mbft(dice, reach),
        "layers" => layers(dice, reach),
        _ => Setting {
            nodes: 4,
            config: json!({}),
            absent: 1,
            liars: false,
            forgets: false,
            endorses: false,
        },
    }
}

/// The longer of so many times the reach and so many milliseconds.
fn times(reach: Span, factor: u64, least: u64) -> Span {
    let exact = (reach * factor).max(Span::from_millis(least));
    Span::from_millis(exact.nanos().div_ceil(1_000_000))
}

/// This part of a span.
fn part(span: Span, divisor: u64) -> Span {
    Span::from_nanos(span.nanos() / divisor)
}

/// How many appends are on their way to one follower, and how many entries each has: few only where
/// answers come fast, or a follower that lags never catches up with the load.
fn appends(dice: &mut Dice, reach: Span) -> (u64, u64) {
    if reach > Span::from_millis(4) {
        return (8, 64);
    }
    (dice.one_of(&[1, 2, 8]), dice.one_of(&[1, 2, 64]))
}

/// The bounds of a time-out.
fn election_timeout(dice: &mut Dice, reach: Span) -> [Span; 2] {
    let factor = dice.one_of(&[10, 10, 20]);
    let low = times(reach, factor, 40);
    [low, low + part(low, 2) * dice.one_of(&[1, 2, 4])]
}

fn raft_keys(dice: &mut Dice, reach: Span) -> Value {
    let [low, high] = election_timeout(dice, reach);
    let (pipeline, append_max) = appends(dice, reach);
    json!({
        "election_timeout": [low, high],
        "heartbeat": part(low, dice.one_of(&[3, 4, 6])),
        "pre_vote": dice.on("pre-vote"),
        "check_quorum": dice.on("check-quorum"),
        "pipeline": pipeline,
        "uncommitted_max": dice.one_of(&[1, 2, 8]),
        "append_max": append_max,
        "compact_after": if dice.on("log compaction") { dice.within(1, 10) } else { 0 },
        "reads": if dice.on("read index") { "index" } else { "log" },
    })
}

fn raft(dice: &mut Dice, reach: Span) -> Setting {
    let nodes = dice.one_of(&[1, 2, 3, 3, 3, 4, 5, 5, 6, 7]);
    Setting {
        nodes,
        config: raft_keys(dice, reach),
        absent: (nodes - 1) / 2,
        liars: false,
        forgets: false,
        endorses: true,
    }
}

/// The improved RAFT's keys, for a run with liars or without.
fn iraft_keys(dice: &mut Dice, reach: Span, (profile, liars): (&str, bool)) -> Value {
    let [low, high] = election_timeout(dice, reach);
    let (pipeline, append_max) = appends(dice, reach);
    let hardened = profile == "hardened";
    let mut config = json!({
        "profile": profile,
        "election_timeout": [low, high],
        "heartbeat": part(low, dice.one_of(&[2, 4, 6])),
        "pipeline": pipeline,
        "uncommitted_max": dice.one_of(&[1, 2, 8]),
        "append_max": append_max,
        "commit_notice": dice.on("commit notice"),
        "delta": times(reach, 1, 1),
        "monitors": dice.one_of(&["none", "one-honest", "all"]),
        "dead_proof": dice.on("proof that the leader is dead"),
        "lazy_votes": dice.on("lazy votes"),
        "rank_slot": dice.one_of(&["0s", "5ms", "10ms"]),
        "progress_timeout": times(reach, dice.one_of(&[20, 40]), 200),
        "strikes": dice.one_of(&[1, 3]),
        "identify": dice.on("identification"),
        "exclude": dice.on("exclusion"),
    });
    let mut add = |key: &str, value: Value| config[key] = value;
    if !hardened {
        let compact = dice.on("log compaction");
        add(
            "compact_after",
            json!(u64::from(compact) * dice.within(1, 10)),
        );
    }
    if !liars {
        add("election_proof", json!(dice.on("election proof")));
        add("audit", json!(dice.on("audit of the log")));
        add("audit_start", json!(dice.within(1, 8)));
    }
    config
}

fn iraft(dice: &mut Dice, reach: Span) -> Setting {
    let nodes = dice.one_of(&[3, 4, 4, 5, 6, 7]);
    let profile = dice.one_of(&["hardened", "hardened", "hardened", "paper", "sync"]);
    dice.features.insert(match profile {
        "hardened" => "profile hardened",
        "paper" => "profile paper",
        _ => "profile sync",
    });
    let liars = profile == "hardened" && dice.on("liars");
    Setting {
        nodes,
        config: iraft_keys(dice, reach, (profile, liars)),
        absent: if profile == "hardened" {
            (nodes - 1) / 3
        } else {
            (nodes - 1) / 2
        },
        liars,
        forgets: liars,
        endorses: true,
    }
}

fn pbft_keys(dice: &mut Dice, reach: Span, pipelines: &[u64]) -> Value {
    let interval = dice.one_of(&[1, 2, 5, 10, 100]);
    json!({
        "view_timeout": times(reach, dice.one_of(&[10, 20]), dice.one_of(&[60, 120, 250])),
        "checkpoint_interval": interval,
        "window": interval * dice.one_of(&[2, 3, 8]),
        "pipeline": dice.one_of(pipelines).min(2 * interval),
    })
}

fn pbft(dice: &mut Dice, reach: Span) -> Setting {
    let nodes = dice.one_of(&[4, 4, 4, 5, 6, 7, 7, 8, 10]);
    Setting {
        nodes,
        config: pbft_keys(dice, reach, &[1, 2, 8]),
        absent: (nodes - 1) / 3,
        liars: dice.on("liars"),
        forgets: true,
        endorses: true,
    }
}

fn krbft(dice: &mut Dice, reach: Span) -> Setting {
    let groups: usize = dice.one_of(&[4, 4, 4, 5]);
    let members: usize = dice.one_of(&[3, 3, 4]);
    let extra = dice.within(0, 2) as usize;
    // As published a new leader knows nothing of what its group has said: two groups that elect
    // anew fork the chain, without any liar.
    let liars = dice.on("liars");
    let view_timeout = times(reach, 20, dice.one_of(&[120, 250, 500]));
    let low = times(reach, 20, 100);
    let grouping = dice.one_of(&["static", "consistent_hash", "kademlia", "kmedoids"]);
    let hashed = matches!(grouping, "consistent_hash" | "kademlia");
    let regroups = hashed && dice.on("regrouping");
    let config = json!({
        "profile": "hardened",
        "groups": groups,
        "grouping": grouping,
        "supervision": dice.on("supervision"),
        "council_refresh": times(reach, 40, 300),
        "fetch_timeout": times(reach, 10, 200),
        "voice_retry": times(reach, 10, 100),
        "group": {
            "election_timeout": [low, low * 2],
            "heartbeat": part(low, 3),
            "progress_timeout": view_timeout * 4,
        },
        "committee": {
            "view_timeout": view_timeout,
            "checkpoint_interval": 20,
            "window": 100,
            "pipeline": dice.one_of(&[1, 2, 8]),
        },
        "regroup_every_blocks": if regroups { dice.within(3, 15) } else { 0 },
        "witnesses": dice.one_of(&["none", "none", "one-honest", "all"]),
    });
    let smallest = (members - 1) / 3;
    let tolerated = (smallest + 1) * ((groups - 1) / 3 + 1) - 1;
    Setting {
        nodes: groups * members + extra,
        config,
        absent: tolerated.min(2),
        liars,
        forgets: true,
        endorses: true,
    }
}

fn mbft(dice: &mut Dice, reach: Span) -> Setting {
    let groups: usize = dice.one_of(&[1, 1, 2]);
    let (size, upper): (usize, usize) = dice.one_of(&[(4, 4), (4, 4), (5, 4), (4, 6), (7, 7)]);
    let backups = dice.within(0, 2) as usize;
    let elects = dice.on("elections of roles");
    let (cycle, election) = dice.one_of(&[(20, 6), (30, 12), (60, 30)]);
    let mut config = json!({
        "groups": groups,
        "group_size": size,
        "upper_size": upper,
        "submit_to": dice.one_of(&["all", "speaker"]),
        "verification": dice.one_of(&["group", "everyone"]),
        "audit": dice.one_of(&["0%", "10%", "100%"]),
        "selection": if elects { dice.one_of(&["weighted", "uniform", "vrf"]) } else { "fixed" },
        "cycle": cycle,
        "election": election,
        "recovery": dice.one_of(&["shares", "late-only"]),
        "credit": dice.one_of(&["on", "off"]),
        "organisations": dice.one_of(&[0, 0, 3]),
        "miss_max": dice.one_of(&[0, 3]),
        "fast_timeout": times(reach, 4, 20),
        "group_timeout": times(reach, 20, 200),
        "inclusion_timeout": times(reach, 40, 400),
        "gather": times(reach, 2, 10),
        "forward_timeout": times(reach, 10, 150),
        "publish_timeout": times(reach, 10, 150),
        "quiet": times(reach, 40, 500),
        "empty": times(reach, 20, 200),
        "window": dice.one_of(&[1, 1, 2, 4]),
        "publish": if elects { "full" } else { dice.one_of(&["full", "sparse"]) },
    });
    config["upper"] = pbft_keys(dice, reach, &[1]);
    Setting {
        nodes: upper + groups * size + backups,
        config,
        absent: (size.min(upper) - 1) / 3,
        liars: dice.on("liars"),
        forgets: true,
        endorses: false,
    }
}

/// How a network agrees, and whether it survives lies among so many.
fn agreement(dice: &mut Dice, members: usize) -> (&'static str, bool) {
    let name = dice.one_of(&["raft", "iraft", "pbft", "pbft"]);
    (name, name != "raft" && members >= 4)
}

fn layers(dice: &mut Dice, reach: Span) -> Setting {
    let edges: usize = dice.one_of(&[1, 2, 2, 3]);
    let consensus: usize = dice.one_of(&[3, 4, 4]);
    let index: usize = dice.one_of(&[1, 2, 2]);
    let records: usize = dice.one_of(&[2, 3]);
    let (edge_protocol, edges_survive) = agreement(dice, consensus);
    let (index_protocol, index_survives) = agreement(dice, edges * index);
    let survives = edges_survive && index_survives;
    let config = json!({
        "edges": edges,
        "consensus": consensus,
        "index": index,
        "edge_protocol": edge_protocol,
        "index_protocol": index_protocol,
        "hospitals": dice.one_of(&[1, 2, 2]),
        "remote": if edges > 1 { dice.one_of(&[0, 200, 500]) } else { 0 },
        "presence": dice.one_of(&["poll", "table"]),
        "presence_timeout": times(reach, 4, 50),
        "ack_timeout": times(reach, 10, 100),
        "ack_retries": dice.within(0, 5),
        "compare_every": times(reach, 40, dice.one_of(&[1_000, 2_000])),
        "relay_timeout": times(reach, 40, 400),
        "migration_timeout": times(reach, 40, 400),
        "chunk": dice.one_of(&[1, 4, 64]),
        "min_copies": dice.one_of(&[1, 1, 2]),
        "route": dice.one_of(&["via-index", "direct"]),
        "auth": dice.one_of(&["reuse", "per-transfer"]),
        "raft": raft_keys(dice, reach),
        "iraft": iraft_keys(dice, reach, ("hardened", survives)),
        "pbft": pbft_keys(dice, reach, &[1, 2, 8]),
    });
    Setting {
        nodes: edges * (consensus + index + records),
        config,
        absent: 1,
        liars: survives && dice.on("liars"),
        forgets: survives,
        endorses: false,
    }
}
