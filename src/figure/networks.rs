//! What the figures of layers, and of crashes and liars in committees, draw.

use super::bounds;
use super::curve::{self, Along, Curve, Key, YAxis};
use super::list::{BYTES_BY_NODES, TAIL_LATENCY_BY_NODES, THROUGHPUT_BY_NODES};
use super::measured::Measured;

pub(super) const THROUGHPUT_BY_EDGES: Curve = Curve {
    title: "Throughput by number of networks",
    along: Along::Key(Key {
        ends: "edges",
        label: "edge networks",
        scale: 1.0,
        steps: false,
    }),
    theory: bounds::linear,
    explains: "Dashed: in proportion to the networks.",
    ..THROUGHPUT_BY_NODES
};

const REMOTE: Along = Along::Key(Key {
    ends: "remote",
    label: "patients of a thousand who are in two networks",
    scale: 1.0,
    steps: false,
});

pub(super) const THROUGHPUT_BY_REMOTE: Curve = Curve {
    title: "Throughput by patients in two networks",
    along: REMOTE,
    ..THROUGHPUT_BY_NODES
};

pub(super) const TAIL_LATENCY_BY_REMOTE: Curve = Curve {
    title: "Tail latency by patients in two networks",
    along: REMOTE,
    y_axis: YAxis::Zero,
    ..TAIL_LATENCY_BY_NODES
};

pub(super) const BYTES_BY_HOSPITALS: Curve = Curve {
    title: "Bytes on the wire by hospitals of a patient",
    along: Along::Key(Key {
        ends: "hospitals",
        label: "hospitals of each patient",
        scale: 1.0,
        steps: true,
    }),
    y_axis: YAxis::Zero,
    theory: curve::none,
    explains: "",
    ..BYTES_BY_NODES
};

pub(super) const THROUGHPUT_BY_CRASHES: Curve = Curve {
    title: "Throughput by number of crashed nodes",
    along: Along::Crashes,
    ..THROUGHPUT_BY_NODES
};

pub(super) const STORED_BY_NODES: Curve = Curve {
    title: "What each hospital stores",
    along: Along::Key(Key {
        ends: "nodes",
        label: "nodes of the network: five that agree, and the hospitals",
        scale: 1.0,
        steps: false,
    }),
    y: "records at each hospital (KiB)",
    y_axis: YAxis::LogAll,
    measure: |run| run.measure("stored-kib-each"),
    theory: curve::all_of_it,
    explains: "Dashed: every hospital stores every record.",
};

const HOSPITALS: Along = Along::Key(Key {
    ends: "hospitals",
    label: "hospitals of each patient",
    scale: 1.0,
    steps: true,
});

pub(super) const APPROVALS_BY_HOSPITALS: Curve = Curve {
    title: "What a patient signs for each record",
    along: HOSPITALS,
    y: "grants and approvals per record",
    y_axis: YAxis::Zero,
    measure: |run| run.measure("approvals-per-record"),
    theory: curve::none,
    explains: "",
};

pub(super) const DELIVERY_BY_HOSPITALS: Curve = Curve {
    title: "Time until a record is where it belongs",
    y: "from decision to disk, mean (ms)",
    y_axis: YAxis::Log,
    measure: |run| run.measure("delivery-ms"),
    ..APPROVALS_BY_HOSPITALS
};

pub(super) const MIGRATION_BY_RECORDS: Measured = Measured {
    title: "Time of a migration by its records",
    measures: &[
        ("migration-ms", "inside a network"),
        ("migration-across-ms", "across networks"),
    ],
    x: "records that move",
    y: "from registration to the end, mean (ms)",
    log: true,
    theory: &[],
    explains: "",
};

pub(super) const LOSS_BY_HOSPITAL_LOSS: Measured = Measured {
    title: "Records lost by the chance that a hospital loses all",
    measures: &[("lost-%", "")],
    x: "chance that a hospital loses what it has (%)",
    y: "records lost (%)",
    log: true,
    theory: &[
        ("p", |p| p),
        ("p\u{b2}", |p| p * p / 1e2),
        ("p\u{b3}", |p| p * p * p / 1e4),
    ],
    explains: "Dashed: the chance that all of so many hospitals lose it.",
};

pub(super) const LIARS_BY_EPOCH: Measured = Measured {
    title: "Liars among those who serve",
    measures: &[("liars-serving-%", "")],
    x: "epoch",
    y: "liars in the committees (%)",
    log: false,
    theory: &[],
    explains: "",
};

pub(super) const CREDIT_BY_EPOCH: Measured = Measured {
    title: "Credit over epochs",
    measures: &[
        ("credit-of-honest", "the honest"),
        ("credit-of-liars", "liars"),
    ],
    y: "mean credit",
    ..LIARS_BY_EPOCH
};
