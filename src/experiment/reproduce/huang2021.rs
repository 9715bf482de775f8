//! The measurements of Huang, Li, Chen and Wang (2021), who compared RBFT with PBFT and Raft on
//! one computer, from the spreadsheets they published with their code.

use super::fit::Constant;
use super::{Panel, Point, Quantity, Ratio, Series, Target, Template};

/// The target.
pub const TARGET: Target = Target {
    name: "huang2021",
    about: "RBFT, PBFT and Raft on one computer: latency up to 100 nodes, burst rates up to 24.",
    notes: NOTES,
    panels: &[LATENCY, BURST],
    series: &[
        RAFT,
        PBFT,
        RBFT_MEMBERS,
        RBFT_GROUPS,
        PBFT_BURST,
        RBFT_BURST_MEMBERS,
        RBFT_BURST_GROUPS,
    ],
    ratios: &[
        ratio("PBFT", "Raft"),
        ratio("PBFT", "RBFT 4 groups"),
        ratio("PBFT", "RBFT groups of 10"),
        ratio("RBFT 4 groups", "Raft"),
    ],
};

const NOTES: &[&str] = &[
    "Published: Huang Dongyan, Li Lang, Chen Bin, Wang Bo: RBFT: a new Byzantine fault-tolerant \
     consensus mechanism based on Raft cluster. Journal on Communications 42(3), 2021, pages \
     209-219, doi:10.11959/j.issn.1000-436x.2021043. Values: means over the raw samples in \
     time.xlsx and tps.xlsx of github.com/bigyolo/consensus (2020). What hardware they are from \
     is not told.",
    "Modelled: all nodes run on one computer. Its processor is one queue, first come, first \
     served; taking in a message costs the same whatever it says, one constant for each protocol; \
     everything else is free. In the runs of latency every send waits 30 ms, as in the published \
     code.",
    "Fitted: one cost of a message for each protocol. Raft: on n = 100. PBFT: on n = 20 and \
     n = 100, so that the two errors are of one size. RBFT: on ten groups of ten. All other \
     latencies are predictions.",
    "Clocks: that of Raft starts when the leader has the request, ours when the client sends it: \
     30 ms are taken away. That of PBFT starts at the client and stops with the last of all n \
     replies, which are not delayed in the published code: 30 ms are taken away. That of RBFT \
     counts six waits, one of them for what a leader sends to itself; ours starts at the client \
     and stops with the last reply, eight waits: 60 ms are taken away.",
    "Known differences: published PBFT messages each open a connection and read a key from a \
     file, by concurrent handlers that hinder one another; few nodes are therefore slower and \
     thirteen faster than any one cost allows. Published latencies of Raft hold about 4.5 ms at \
     every size that no message accounts for; they are not modelled. \
     Published latencies of RBFT grow with the number of messages from the first; ours hide the \
     work of up to ten members behind the waits of 30 ms, and so are 8 to 13 % too low there. The \
     single measurements differ by a fifth of their mean.",
    "Burst rate: the transactions of a block divided by the time from its last transaction to its \
     decision. A block is cut every 10 s, so it says how fast a heap of transactions is agreed \
     on, and nothing of the throughput, which was 20 transactions a second for each node. No send \
     waits; the cost of a message is that of the latencies, requests, which are not signed, are \
     free, and the delay of a message within the computer is fitted: for PBFT on n = 4 and \
     n = 24, for RBFT on 4 × 3 and 8 × 3. Ours of PBFT is flat up to seven nodes, where the \
     published rate falls, and falls like it beyond. Ours of RBFT stops with the first decision, \
     before the groups have the block; it rises with the members of a group and falls with the \
     number of groups as published, the latter from six groups on only.",
];

const LATENCY: Panel = Panel {
    name: "huang2021-latency",
    quantity: Quantity::Latency,
    title: "Latency on one computer",
    about: "Huang et al. 2021: every send waits 30 ms; ours less one such wait, which their \
            clocks leave out, for RBFT less two. Fitted: one cost of a message for Raft and RBFT \
            (on n = 100) and for PBFT (on n = 20 and 100).",
    axes: ("nodes, n", "mean latency (ms)"),
};

const BURST: Panel = Panel {
    name: "huang2021-burst",
    quantity: Quantity::BurstTps,
    title: "Burst rate on one computer",
    about: "Huang et al. 2021: a block every 10 s, its transactions divided by the time from the \
            last of them to its decision; no throughput. Fitted: the delay of a message, for PBFT \
            on n = 4 and 24, for RBFT on 12 and 24.",
    axes: ("nodes, n", "burst rate (transactions/s)"),
};

const RAFT_LATENCY: Template = Template {
    name: "huang2021-raft-latency",
    text: include_str!("../../../scenarios/reproduce/huang2021-raft-latency.yaml"),
    constant: Some(Constant {
        key: "machine.per_message",
        range: (1, 2_000),
    }),
};

const PBFT_LATENCY: Template = Template {
    name: "huang2021-pbft-latency",
    text: include_str!("../../../scenarios/reproduce/huang2021-pbft-latency.yaml"),
    constant: Some(Constant {
        key: "machine.per_message",
        range: (1, 2_000),
    }),
};

const PBFT_BURST_RATE: Template = Template {
    name: "huang2021-pbft-burst",
    text: include_str!("../../../scenarios/reproduce/huang2021-pbft-burst.yaml"),
    constant: Some(Constant {
        key: "network.within.latency",
        range: (1, 20_000),
    }),
};

const RBFT_LATENCY: Template = Template {
    name: "huang2021-rbft-latency",
    text: include_str!("../../../scenarios/reproduce/huang2021-rbft-latency.yaml"),
    constant: Some(Constant {
        key: "machine.per_message",
        range: (1, 2_000),
    }),
};

const RBFT_BURST_RATE: Template = Template {
    name: "huang2021-rbft-burst",
    text: include_str!("../../../scenarios/reproduce/huang2021-rbft-burst.yaml"),
    constant: Some(Constant {
        key: "network.within.latency",
        range: (1, 20_000),
    }),
};

const RAFT: Series = Series {
    name: "Raft",
    protocol: "raft",
    template: &RAFT_LATENCY,
    quantity: Quantity::Latency,
    delays: -1,
    source: "github.com/bigyolo/consensus: time.xlsx: sheet Raft: columns L to U: means of 29; \
             ours less one delay of 30 ms: the published clock starts at the leader",
    points: &[
        latency(4.0, &[("nodes", "4")], (94.75, 1.28), Some(6.0)),
        latency(7.0, &[("nodes", "7")], (94.96, 1.02), Some(6.0)),
        latency(13.0, &[("nodes", "13")], (95.49, 3.26), Some(6.0)),
        latency(20.0, &[("nodes", "20")], (95.82, 4.42), Some(6.0)),
        latency(30.0, &[("nodes", "30")], (96.08, 2.58), Some(6.0)),
        latency(40.0, &[("nodes", "40")], (96.56, 2.09), Some(6.0)),
        latency(50.0, &[("nodes", "50")], (96.70, 2.88), Some(6.0)),
        latency(70.0, &[("nodes", "70")], (96.94, 2.24), Some(6.0)),
        latency(90.0, &[("nodes", "90")], (98.51, 6.81), Some(6.0)),
        fitted(latency(
            100.0,
            &[("nodes", "100")],
            (99.05, 5.47),
            Some(6.0),
        )),
    ],
};

const PBFT: Series = Series {
    name: "PBFT",
    protocol: "pbft",
    template: &PBFT_LATENCY,
    quantity: Quantity::Latency,
    delays: -1,
    source: "github.com/bigyolo/consensus: time.xlsx: sheet PBFT: columns L to U: means of 30; \
             ours less one delay of 30 ms: the published replies are not delayed",
    points: &[
        latency(4.0, &[("nodes", "4")], (147.37, 10.36), Some(12.0)),
        latency(7.0, &[("nodes", "7")], (169.01, 8.46), Some(12.0)),
        latency(13.0, &[("nodes", "13")], (249.79, 8.69), Some(20.0)),
        fitted(latency(
            20.0,
            &[("nodes", "20")],
            (528.67, 32.52),
            Some(20.0),
        )),
        latency(30.0, &[("nodes", "30")], (1160.55, 41.33), Some(12.0)),
        latency(40.0, &[("nodes", "40")], (2106.60, 89.19), Some(12.0)),
        latency(50.0, &[("nodes", "50")], (3229.52, 77.71), Some(12.0)),
        latency(70.0, &[("nodes", "70")], (6528.93, 281.50), Some(12.0)),
        latency(90.0, &[("nodes", "90")], (11115.73, 219.91), Some(12.0)),
        fitted(latency(
            100.0,
            &[("nodes", "100")],
            (14142.70, 318.13),
            Some(12.0),
        )),
    ],
};

const PBFT_BURST: Series = Series {
    name: "PBFT",
    protocol: "pbft",
    template: &PBFT_BURST_RATE,
    quantity: Quantity::BurstTps,
    delays: 0,
    source: "github.com/bigyolo/consensus: tps.xlsx: sheet pbft: means over 8 to 15 blocks; ours \
             as it is",
    points: &[
        fitted(burst(
            4.0,
            &[("nodes", "4"), ("workload.rate", "78.60/s")],
            (20750.0, 4845.0),
        )),
        burst(
            5.0,
            &[("nodes", "5"), ("workload.rate", "98.25/s")],
            (18002.0, 4921.0),
        ),
        burst(
            7.0,
            &[("nodes", "7"), ("workload.rate", "137.62/s")],
            (17417.0, 3477.0),
        ),
        burst(
            10.0,
            &[("nodes", "10"), ("workload.rate", "196.30/s")],
            (16784.0, 1148.0),
        ),
        burst(
            12.0,
            &[("nodes", "12"), ("workload.rate", "235.44/s")],
            (14961.0, 2015.0),
        ),
        burst(
            16.0,
            &[("nodes", "16"), ("workload.rate", "312.80/s")],
            (12032.0, 1057.0),
        ),
        burst(
            18.0,
            &[("nodes", "18"), ("workload.rate", "353.88/s")],
            (10520.0, 1609.0),
        ),
        burst(
            20.0,
            &[("nodes", "20"), ("workload.rate", "390.40/s")],
            (8567.0, 534.0),
        ),
        fitted(burst(
            24.0,
            &[("nodes", "24"), ("workload.rate", "446.64/s")],
            (6912.0, 356.0),
        )),
    ],
};

const RBFT_MEMBERS: Series = Series {
    name: "RBFT 4 groups",
    protocol: "krbft",
    template: &RBFT_LATENCY,
    quantity: Quantity::Latency,
    delays: -2,
    source: "github.com/bigyolo/consensus: time.xlsx: sheet RBFT: columns A to H: means of 30; \
             ours less two delays of 30 ms: the published clock runs from the pre-prepare to the \
             acknowledgements of the group and counts a delayed message of each leader to itself",
    points: &[
        latency(
            12.0,
            &[("nodes", "12"), ("protocol.krbft.groups", "4")],
            (214.24, 7.37),
            Some(6.0),
        ),
        latency(
            20.0,
            &[("nodes", "20"), ("protocol.krbft.groups", "4")],
            (229.59, 24.03),
            Some(6.0),
        ),
        latency(
            28.0,
            &[("nodes", "28"), ("protocol.krbft.groups", "4")],
            (234.99, 35.95),
            Some(6.0),
        ),
        latency(
            40.0,
            &[("nodes", "40"), ("protocol.krbft.groups", "4")],
            (269.43, 46.45),
            Some(6.0),
        ),
        latency(
            56.0,
            &[("nodes", "56"), ("protocol.krbft.groups", "4")],
            (298.4, 50.34),
            Some(6.0),
        ),
        latency(
            72.0,
            &[("nodes", "72"), ("protocol.krbft.groups", "4")],
            (330.59, 58.32),
            Some(6.0),
        ),
        latency(
            88.0,
            &[("nodes", "88"), ("protocol.krbft.groups", "4")],
            (380.63, 72.1),
            Some(6.0),
        ),
        latency(
            100.0,
            &[("nodes", "100"), ("protocol.krbft.groups", "4")],
            (399.06, 65.48),
            Some(6.0),
        ),
    ],
};

const RBFT_GROUPS: Series = Series {
    name: "RBFT groups of 10",
    protocol: "krbft",
    template: &RBFT_LATENCY,
    quantity: Quantity::Latency,
    delays: -2,
    source: "github.com/bigyolo/consensus: time.xlsx: sheet RBFT: columns J to P: means of 30; \
             ours less two delays of 30 ms: the published clock runs from the pre-prepare to the \
             acknowledgements of the group and counts a delayed message of each leader to itself",
    points: &[
        latency(
            40.0,
            &[("nodes", "40"), ("protocol.krbft.groups", "4")],
            (269.43, 46.45),
            Some(6.0),
        ),
        latency(
            50.0,
            &[("nodes", "50"), ("protocol.krbft.groups", "5")],
            (281.97, 51.53),
            Some(6.0),
        ),
        latency(
            60.0,
            &[("nodes", "60"), ("protocol.krbft.groups", "6")],
            (325.06, 67.39),
            Some(6.0),
        ),
        latency(
            70.0,
            &[("nodes", "70"), ("protocol.krbft.groups", "7")],
            (368.79, 75.1),
            Some(6.0),
        ),
        latency(
            80.0,
            &[("nodes", "80"), ("protocol.krbft.groups", "8")],
            (394.84, 98.01),
            Some(6.0),
        ),
        latency(
            90.0,
            &[("nodes", "90"), ("protocol.krbft.groups", "9")],
            (433.58, 83.2),
            Some(6.0),
        ),
        fitted(latency(
            100.0,
            &[("nodes", "100"), ("protocol.krbft.groups", "10")],
            (495.83, 93.79),
            Some(6.0),
        )),
    ],
};

const RBFT_BURST_MEMBERS: Series = Series {
    name: "RBFT 4 groups",
    protocol: "krbft",
    template: &RBFT_BURST_RATE,
    quantity: Quantity::BurstTps,
    delays: 0,
    source: "github.com/bigyolo/consensus: tps.xlsx: sheet RBFT: means over 10 or 11 blocks; ours \
             as it is",
    points: &[
        fitted(burst(
            12.0,
            &[
                ("nodes", "12"),
                ("protocol.krbft.groups", "4"),
                ("workload.rate", "233.44/s"),
            ],
            (47162.0, 14414.0),
        )),
        burst(
            16.0,
            &[
                ("nodes", "16"),
                ("protocol.krbft.groups", "4"),
                ("workload.rate", "311.79/s"),
            ],
            (49606.0, 8635.0),
        ),
        burst(
            20.0,
            &[
                ("nodes", "20"),
                ("protocol.krbft.groups", "4"),
                ("workload.rate", "389.32/s"),
            ],
            (58405.0, 18359.0),
        ),
        burst(
            24.0,
            &[
                ("nodes", "24"),
                ("protocol.krbft.groups", "4"),
                ("workload.rate", "467.59/s"),
            ],
            (67251.0, 24635.0),
        ),
    ],
};

const RBFT_BURST_GROUPS: Series = Series {
    name: "RBFT groups of 3",
    protocol: "krbft",
    template: &RBFT_BURST_RATE,
    quantity: Quantity::BurstTps,
    delays: 0,
    source: "github.com/bigyolo/consensus: tps.xlsx: sheet RBFT: means over 10 or 11 blocks; ours \
             as it is",
    points: &[
        burst(
            12.0,
            &[
                ("nodes", "12"),
                ("protocol.krbft.groups", "4"),
                ("workload.rate", "233.44/s"),
            ],
            (47162.0, 14414.0),
        ),
        burst(
            15.0,
            &[
                ("nodes", "15"),
                ("protocol.krbft.groups", "5"),
                ("workload.rate", "292.02/s"),
            ],
            (44251.0, 6764.0),
        ),
        burst(
            18.0,
            &[
                ("nodes", "18"),
                ("protocol.krbft.groups", "6"),
                ("workload.rate", "349.80/s"),
            ],
            (43272.0, 6735.0),
        ),
        burst(
            21.0,
            &[
                ("nodes", "21"),
                ("protocol.krbft.groups", "7"),
                ("workload.rate", "409.30/s"),
            ],
            (41866.0, 5781.0),
        ),
        fitted(burst(
            24.0,
            &[
                ("nodes", "24"),
                ("protocol.krbft.groups", "8"),
                ("workload.rate", "469.35/s"),
            ],
            (34815.0, 5182.0),
        )),
    ],
};

/// A quotient of latencies at 100 nodes.
const fn ratio(of: &'static str, to: &'static str) -> Ratio {
    Ratio {
        of,
        to,
        x: 100.0,
        within: 15.0,
    }
}

/// A mean latency in milliseconds with its standard deviation.
const fn latency(
    x: f64,
    set: &'static [(&'static str, &'static str)],
    (published, deviation): (f64, f64),
    within: Option<f64>,
) -> Point {
    Point {
        x,
        set,
        published,
        deviation,
        fitted: false,
        within,
    }
}

/// A mean burst rate in transactions a second with its standard deviation.
const fn burst(
    x: f64,
    set: &'static [(&'static str, &'static str)],
    measured: (f64, f64),
) -> Point {
    latency(x, set, measured, None)
}

/// The same, with the constant of the scenario fitted on it.
const fn fitted(point: Point) -> Point {
    Point {
        fitted: true,
        ..point
    }
}
