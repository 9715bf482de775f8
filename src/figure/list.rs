//! All figures, by name.

use super::bounds;
use super::by_kind::ByKind;
use super::curve::{self, Along, Curve, Key, YAxis};
use super::networks::{
    APPROVALS_BY_HOSPITALS, BYTES_BY_HOSPITALS, CREDIT_BY_EPOCH, DELIVERY_BY_HOSPITALS,
    LIARS_BY_EPOCH, LOSS_BY_HOSPITAL_LOSS, MIGRATION_BY_RECORDS, STORED_BY_NODES,
    TAIL_LATENCY_BY_REMOTE, THROUGHPUT_BY_CRASHES, THROUGHPUT_BY_EDGES, THROUGHPUT_BY_REMOTE,
};
use super::{Figure, cdf, heat, kinds, timeline};

/// All figures that can be asked for.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "throughput-by-nodes",
        about: "Committed transactions per second along the number of nodes.",
        draw: |tables, context| THROUGHPUT_BY_NODES.draw(tables, context),
    },
    Figure {
        name: "latency-by-nodes",
        about: "Median latency along the number of nodes.",
        draw: |tables, context| LATENCY_BY_NODES.draw(tables, context),
    },
    Figure {
        name: "tail-latency-by-nodes",
        about: "99th percentile of latency along the number of nodes.",
        draw: |tables, context| TAIL_LATENCY_BY_NODES.draw(tables, context),
    },
    Figure {
        name: "messages-by-nodes",
        about: "Messages for each block along the number of nodes, against the formulas.",
        draw: |tables, context| MESSAGES_BY_NODES.draw(tables, context),
    },
    Figure {
        name: "bytes-by-nodes",
        about: "Bytes for each transaction along the number of nodes, against its copies.",
        draw: |tables, context| BYTES_BY_NODES.draw(tables, context),
    },
    Figure {
        name: "capacity-by-nodes",
        about: "Throughput along the number of nodes, against what the busiest link allows.",
        draw: |tables, context| {
            bounds::bandwidth(tables)?;
            CAPACITY_BY_NODES.draw(tables, context)
        },
    },
    Figure {
        name: "identification-by-nodes",
        about: "How long it takes to name a Byzantine node, along the number of nodes.",
        draw: |tables, context| IDENTIFICATION_BY_NODES.draw(tables, context),
    },
    Figure {
        name: "identification-by-all-by-nodes",
        about: "How long it takes until all know a Byzantine node, along the number of nodes.",
        draw: |tables, context| IDENTIFICATION_BY_ALL.draw(tables, context),
    },
    Figure {
        name: "damage-by-nodes",
        about: "Transactions executed in a forked block, along the number of nodes.",
        draw: |tables, context| DAMAGE_BY_NODES.draw(tables, context),
    },
    Figure {
        name: "throughput-by-byzantine",
        about: "Committed transactions per second along the number of Byzantine nodes.",
        draw: |tables, context| THROUGHPUT_BY_BYZANTINE.draw(tables, context),
    },
    Figure {
        name: "tail-latency-by-byzantine",
        about: "99th percentile of latency along the number of Byzantine nodes.",
        draw: |tables, context| TAIL_LATENCY_BY_BYZANTINE.draw(tables, context),
    },
    Figure {
        name: "damage-by-byzantine",
        about: "Transactions executed in a forked block, along the number of Byzantine nodes.",
        draw: |tables, context| DAMAGE_BY_BYZANTINE.draw(tables, context),
    },
    Figure {
        name: "damage-by-behaviour",
        about: "How often safety is lost, and the throughput, by what liars do and how many do it.",
        draw: heat::draw,
    },
    Figure {
        name: "throughput-by-rate",
        about: "Committed transactions per second along the load, against what is offered.",
        draw: |tables, context| THROUGHPUT_BY_RATE.draw(tables, context),
    },
    Figure {
        name: "latency-by-rate",
        about: "Median latency along the load, against Little's law where clients wait.",
        draw: |tables, context| LATENCY_BY_RATE.draw(tables, context),
    },
    Figure {
        name: "latency-by-throughput",
        about: "Median latency along the throughput reached, up to saturation.",
        draw: |tables, context| LATENCY_BY_THROUGHPUT.draw(tables, context),
    },
    Figure {
        name: "latency-by-delay",
        about: "Median latency along the one-way delay, against the number of message delays.",
        draw: |tables, context| LATENCY_BY_DELAY.draw(tables, context),
    },
    Figure {
        name: "throughput-by-batch",
        about: "Committed transactions per second along the largest batch.",
        draw: |tables, context| THROUGHPUT_BY_BATCH.draw(tables, context),
    },
    Figure {
        name: "latency-by-batch",
        about: "Median latency along the largest batch.",
        draw: |tables, context| LATENCY_BY_BATCH.draw(tables, context),
    },
    Figure {
        name: "timeline",
        about: "Committed transactions in each second, with faults and changes of leader.",
        draw: timeline::draw,
    },
    Figure {
        name: "latency-cdf",
        about: "Share of transactions answered within a latency.",
        draw: cdf::latencies,
    },
    Figure {
        name: "downtime-cdf",
        about: "Share of elections that were over within a time.",
        draw: cdf::downtimes,
    },
    Figure {
        name: "messages-by-kind",
        about: "Messages for each block by their kind.",
        draw: kinds::draw,
    },
    Figure {
        name: "goodput-by-kind",
        about: "Accepted calls per second of each kind, along the load or another key.",
        draw: |tables, context| GOODPUT_BY_KIND.draw(tables, context),
    },
    Figure {
        name: "latency-by-kind",
        about: "Median latency of each kind of call, along the load or another key.",
        draw: |tables, context| LATENCY_BY_KIND.draw(tables, context),
    },
    Figure {
        name: "goodput-by-zipf",
        about: "Accepted transactions per second along how unequally patients are treated.",
        draw: |tables, context| GOODPUT_BY_ZIPF.draw(tables, context),
    },
    Figure {
        name: "tail-latency-by-zipf",
        about: "99th percentile of latency along how unequally patients are treated.",
        draw: |tables, context| TAIL_LATENCY_BY_ZIPF.draw(tables, context),
    },
    Figure {
        name: "conflicts-by-zipf",
        about: "Endorsed transactions that conflict, along how unequally patients are treated.",
        draw: |tables, context| CONFLICTS_BY_ZIPF.draw(tables, context),
    },
    Figure {
        name: "throughput-by-endorsers",
        about: "Committed transactions per second along the number of endorsers.",
        draw: |tables, context| THROUGHPUT_BY_ENDORSERS.draw(tables, context),
    },
    Figure {
        name: "latency-by-endorsers",
        about: "Median latency along the number of endorsers.",
        draw: |tables, context| LATENCY_BY_ENDORSERS.draw(tables, context),
    },
    Figure {
        name: "throughput-by-groups",
        about: "Committed transactions per second along the number of groups.",
        draw: |tables, context| THROUGHPUT_BY_GROUPS.draw(tables, context),
    },
    Figure {
        name: "latency-by-groups",
        about: "Median latency along the number of groups.",
        draw: |tables, context| LATENCY_BY_GROUPS.draw(tables, context),
    },
    Figure {
        name: "growth-by-groups",
        about: "Committed transactions per second along the number of groups, against proportion.",
        draw: |tables, context| GROWTH_BY_GROUPS.draw(tables, context),
    },
    Figure {
        name: "throughput-by-edges",
        about: "Committed transactions per second along the number of edge networks.",
        draw: |tables, context| THROUGHPUT_BY_EDGES.draw(tables, context),
    },
    Figure {
        name: "throughput-by-remote",
        about: "Committed transactions per second along the share of patients in two networks.",
        draw: |tables, context| THROUGHPUT_BY_REMOTE.draw(tables, context),
    },
    Figure {
        name: "tail-latency-by-remote",
        about: "99th percentile of latency along the share of patients in two networks.",
        draw: |tables, context| TAIL_LATENCY_BY_REMOTE.draw(tables, context),
    },
    Figure {
        name: "bytes-by-hospitals",
        about: "Bytes for each record along the hospitals of a patient.",
        draw: |tables, context| BYTES_BY_HOSPITALS.draw(tables, context),
    },
    Figure {
        name: "throughput-by-crashes",
        about: "Committed transactions per second along the number of crashed nodes.",
        draw: |tables, context| THROUGHPUT_BY_CRASHES.draw(tables, context),
    },
    Figure {
        name: "stored-by-nodes",
        about: "What each hospital stores along the size of its network, against all of it.",
        draw: |tables, context| STORED_BY_NODES.draw(tables, context),
    },
    Figure {
        name: "approvals-by-hospitals",
        about: "What a patient signs for each record, along the hospitals of a patient.",
        draw: |tables, context| APPROVALS_BY_HOSPITALS.draw(tables, context),
    },
    Figure {
        name: "delivery-by-hospitals",
        about: "Time from a record's decision to its hospitals' disks, along their number.",
        draw: |tables, context| DELIVERY_BY_HOSPITALS.draw(tables, context),
    },
    Figure {
        name: "migration-by-records",
        about: "Time that a migration takes along the records that move.",
        draw: |tables, context| MIGRATION_BY_RECORDS.draw(tables, context),
    },
    Figure {
        name: "loss-by-hospital-loss",
        about: "Records that are lost along the chance that a hospital loses what it has.",
        draw: |tables, context| LOSS_BY_HOSPITAL_LOSS.draw(tables, context),
    },
    Figure {
        name: "liars-by-epoch",
        about: "The share of liars among those who serve in MBFT, along the epochs.",
        draw: |tables, context| LIARS_BY_EPOCH.draw(tables, context),
    },
    Figure {
        name: "credit-by-epoch",
        about: "Mean credit of the honest and of liars in MBFT, along the epochs.",
        draw: |tables, context| CREDIT_BY_EPOCH.draw(tables, context),
    },
    Figure {
        name: "messages-by-groups",
        about: "Messages for each block along the number of groups, against the formulas.",
        draw: |tables, context| MESSAGES_BY_GROUPS.draw(tables, context),
    },
    Figure {
        name: "throughput-by-verify",
        about: "Committed transactions per second along the time to verify a signature.",
        draw: |tables, context| THROUGHPUT_BY_VERIFY.draw(tables, context),
    },
];

const THROUGHPUT: &str = "throughput (transactions/s)";
const LATENCY: &str = "median latency (ms)";

pub(super) const THROUGHPUT_BY_NODES: Curve = Curve {
    title: "Throughput by number of nodes",
    along: Along::Nodes,
    y: THROUGHPUT,
    y_axis: YAxis::Zero,
    measure: |run| run.row.throughput_tps,
    theory: curve::none,
    explains: "",
};

const LATENCY_BY_NODES: Curve = Curve {
    title: "Latency by number of nodes",
    along: Along::Nodes,
    y: LATENCY,
    y_axis: YAxis::Fit,
    measure: |run| run.row.latency_p50_ms,
    theory: curve::none,
    explains: "",
};

pub(super) const TAIL_LATENCY_BY_NODES: Curve = Curve {
    title: "Tail latency by number of nodes",
    y: "99th percentile of latency (ms)",
    measure: |run| run.row.latency_p99_ms,
    ..LATENCY_BY_NODES
};

const MESSAGES_BY_NODES: Curve = Curve {
    title: "Messages by number of nodes",
    along: Along::Nodes,
    y: "consensus messages per block",
    y_axis: YAxis::Log,
    measure: curve::agreement_per_block,
    theory: curve::messages,
    explains: "Heartbeats, checkpoints and elections are left out. Dashed: the count of the \
               literature for one block without faults.",
};

pub(super) const BYTES_BY_NODES: Curve = Curve {
    title: "Bytes on the wire by number of nodes",
    along: Along::Nodes,
    y: "consensus traffic per transaction (KiB)",
    y_axis: YAxis::Log,
    measure: |run| {
        let committed = run.row.committed;
        (committed > 0).then(|| run.row.bytes as f64 / committed as f64 / 1024.0)
    },
    theory: bounds::bytes,
    explains: "Dashed: the copies of its body alone.",
};

const CAPACITY_BY_NODES: Curve = Curve {
    title: "Throughput over narrow links",
    y_axis: YAxis::Log,
    theory: bounds::capacity,
    explains: "Dashed: what the busiest link allows, if it carries nothing but bodies.",
    ..THROUGHPUT_BY_NODES
};

const IDENTIFICATION_BY_NODES: Curve = Curve {
    title: "Time to the first proof against a lying leader",
    along: Along::Nodes,
    y: "time until the first honest node holds a proof (ms)",
    y_axis: YAxis::Fit,
    measure: |run| run.row.identified_after_ms,
    theory: curve::first_proof,
    explains: "Dashed: the delays of two messages.",
};

const IDENTIFICATION_BY_ALL: Curve = Curve {
    title: "Time until all honest nodes know a lying leader",
    y: "time until all honest nodes hold a proof (ms)",
    measure: |run| run.row.identified_by_all_ms,
    theory: curve::last_proof,
    explains: "Dashed: the delays of three messages.",
    ..IDENTIFICATION_BY_NODES
};

const DAMAGE_BY_NODES: Curve = Curve {
    title: "Damage done by a lying leader",
    along: Along::Nodes,
    y: "transactions executed in forked blocks",
    y_axis: YAxis::LogOrNone,
    measure: |run| Some(run.row.misapplied as f64),
    theory: curve::none,
    explains: "",
};

const THROUGHPUT_BY_BYZANTINE: Curve = Curve {
    title: "Throughput by number of Byzantine nodes",
    along: Along::Byzantine,
    ..THROUGHPUT_BY_NODES
};

const TAIL_LATENCY_BY_BYZANTINE: Curve = Curve {
    title: "Tail latency by number of Byzantine nodes",
    along: Along::Byzantine,
    ..TAIL_LATENCY_BY_NODES
};

const DAMAGE_BY_BYZANTINE: Curve = Curve {
    title: "Damage by number of Byzantine nodes",
    along: Along::Byzantine,
    ..DAMAGE_BY_NODES
};

const THROUGHPUT_BY_RATE: Curve = Curve {
    title: "Throughput by load",
    along: Along::Load,
    y: THROUGHPUT,
    y_axis: YAxis::Zero,
    measure: |run| run.row.throughput_tps,
    theory: curve::offered,
    explains: "Dashed: all that is offered is committed.",
};

const LATENCY_BY_RATE: Curve = Curve {
    title: "Latency by load",
    along: Along::Load,
    y: LATENCY,
    y_axis: YAxis::Log,
    measure: |run| run.row.latency_p50_ms,
    theory: curve::little,
    explains: "Dashed: the mean latency that follows from Little's law, clients divided by \
               throughput.",
};

const LATENCY_BY_THROUGHPUT: Curve = Curve {
    title: "Latency by throughput",
    along: Along::Throughput,
    theory: curve::none,
    explains: "",
    ..LATENCY_BY_RATE
};

const LATENCY_BY_DELAY: Curve = Curve {
    title: "Latency by network delay",
    along: Along::Delay,
    y: LATENCY,
    y_axis: YAxis::Fit,
    measure: |run| run.row.latency_p50_ms,
    theory: curve::delays,
    explains: "Dashed: message delays alone, without waiting or work. Raft needs two between \
               nodes, PBFT three, and each two more from the client and back.",
};

const THROUGHPUT_BY_BATCH: Curve = Curve {
    title: "Throughput by batch size",
    along: Along::Batch,
    ..THROUGHPUT_BY_NODES
};

const LATENCY_BY_BATCH: Curve = Curve {
    title: "Latency by batch size",
    along: Along::Batch,
    ..LATENCY_BY_NODES
};

const GOODPUT_BY_KIND: ByKind = ByKind {
    title: "Goodput by kind of call",
    y: "accepted calls per second",
    log: false,
    measure: |row| row.goodput_tps,
};

const LATENCY_BY_KIND: ByKind = ByKind {
    title: "Latency by kind of call",
    y: LATENCY,
    log: true,
    measure: |row| row.latency_p50_ms,
};

const ZIPF: Along = Along::Key(Key {
    ends: "zipf",
    label: "exponent of the law by which patients are treated",
    scale: 1.0,
    steps: false,
});

const GOODPUT_BY_ZIPF: Curve = Curve {
    title: "Goodput by how unequally patients are treated",
    along: ZIPF,
    y: "accepted transactions per second",
    measure: |run| run.row.goodput_tps,
    ..THROUGHPUT_BY_NODES
};

const TAIL_LATENCY_BY_ZIPF: Curve = Curve {
    title: "Tail latency by how unequally patients are treated",
    along: ZIPF,
    ..TAIL_LATENCY_BY_NODES
};

const CONFLICTS_BY_ZIPF: Curve = Curve {
    title: "Conflicts by how unequally patients are treated",
    along: ZIPF,
    y: "endorsed transactions that conflict (%)",
    measure: |run| run.row.conflict_rate.map(|rate| 100.0 * rate),
    ..THROUGHPUT_BY_NODES
};

const ENDORSERS: Along = Along::Key(Key {
    ends: "endorsers",
    label: "endorsers",
    scale: 1.0,
    steps: true,
});

const THROUGHPUT_BY_ENDORSERS: Curve = Curve {
    title: "Throughput by number of endorsers",
    along: ENDORSERS,
    ..THROUGHPUT_BY_NODES
};

const LATENCY_BY_ENDORSERS: Curve = Curve {
    title: "Latency by number of endorsers",
    along: ENDORSERS,
    y_axis: YAxis::Zero,
    ..LATENCY_BY_NODES
};

const GROUPS: Along = Along::Key(Key {
    ends: "groups",
    label: "groups",
    scale: 1.0,
    steps: false,
});

const THROUGHPUT_BY_GROUPS: Curve = Curve {
    title: "Throughput by number of groups",
    along: GROUPS,
    ..THROUGHPUT_BY_NODES
};

const LATENCY_BY_GROUPS: Curve = Curve {
    title: "Latency by number of groups",
    along: GROUPS,
    ..LATENCY_BY_NODES
};

const GROWTH_BY_GROUPS: Curve = Curve {
    title: "Throughput by number of groups",
    along: Along::Key(Key {
        ends: "groups",
        label: "groups of four",
        scale: 1.0,
        steps: false,
    }),
    y_axis: YAxis::Log,
    theory: bounds::linear,
    explains: "Dashed: in proportion to the groups.",
    ..THROUGHPUT_BY_NODES
};

const MESSAGES_BY_GROUPS: Curve = Curve {
    title: "Messages by number of groups",
    along: GROUPS,
    y_axis: YAxis::Zero,
    ..MESSAGES_BY_NODES
};

const THROUGHPUT_BY_VERIFY: Curve = Curve {
    title: "Throughput by the cost of a signature",
    along: Along::Key(Key {
        ends: "verify",
        label: "time to verify one signature (\u{b5}s)",
        scale: 1000.0,
        steps: false,
    }),
    y_axis: YAxis::Log,
    theory: curve::signatures,
    explains: "Dashed: what one processor could do if verifying the signatures of the \
               transactions were all its work.",
    ..THROUGHPUT_BY_NODES
};
