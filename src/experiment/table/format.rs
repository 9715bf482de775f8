//! The columns of each file, and how its rows become cells and back.

use super::super::Error;
use super::super::cells::{self, Cells, Column, label};
use super::super::reproduce::rows as reproduce;
use super::calls::{CALLS, REFUSALS};
use super::measures::MEASURES;
use super::{ElectionRow, LatencyRow, MessageRow, Row, SpeedRow, TimelineRow, ViolationRow};

/// The columns of `runs.csv` before those of the swept keys.
pub(super) const RUNS: &[Column] = &[
    col(
        "experiment",
        "Name of the experiment, or of the scenario that was run.",
    ),
    col("point", "Which point of the sweep, from 0."),
    col("protocol", "The consensus protocol."),
    col("nodes", "How many nodes take part in consensus."),
    col("seed", "The seed of all chance in the run."),
    col("status", "How the run ended."),
    col(
        "fingerprint",
        "Digest of everything that happened: equal digests, equal runs.",
    ),
    col(
        "safety",
        "Whether no two nodes decided differently, and nothing was invented: holds or violated.",
    ),
    col(
        "liveness",
        "Whether everything pending was decided once faults had ended: holds or violated.",
    ),
    col(
        "submitted",
        "Transactions that clients sent in the measured window.",
    ),
    col(
        "committed",
        "Transactions answered in the measured window, accepted or refused.",
    ),
    col("accepted", "Of these, the ones the contract accepted."),
    col("refused", "Of these, the ones the contract refused."),
    col(
        "throughput_tps",
        "Committed transactions per second of the measured window.",
    ),
    col(
        "goodput_tps",
        "Accepted transactions per second of the measured window.",
    ),
    col(
        "latency_mean_ms",
        "Mean time from a transaction's first sending to its client's reply quorum.",
    ),
    col(
        "latency_p50_ms",
        "Half of the transactions were answered within this time.",
    ),
    col(
        "latency_p90_ms",
        "90 % of the transactions were answered within this time.",
    ),
    col(
        "latency_p99_ms",
        "99 % of the transactions were answered within this time.",
    ),
    col("latency_max_ms", "The longest time to an answer."),
    col(
        "consensus_latency_mean_ms",
        "Mean time from a transaction's first sending to its first decision by an honest node.",
    ),
    col(
        "blocks",
        "Heights first decided in the measured window by an honest node.",
    ),
    col(
        "messages",
        "Messages among replicas in the measured window; one to k receivers counts k.",
    ),
    col("bytes", "Bytes of those messages."),
    col("messages_per_block", "Those messages divided by blocks."),
    col(
        "signatures",
        "Signatures that replicas made in the measured window.",
    ),
    col(
        "verifications",
        "Signatures that replicas verified in the measured window, those of clients included.",
    ),
    col(
        "leader_changes",
        "How often in the whole run another node took over leadership.",
    ),
    col("violations", "How many violations of a property were seen."),
    col("byzantine", "How many nodes were adversaries."),
    col(
        "convicted",
        "Adversaries that an honest node accused of something provable.",
    ),
    col(
        "convicted_wrongly",
        "Honest nodes that an honest node so accused.",
    ),
    col(
        "identified_after_ms",
        "Time from the beginning of the misbehaviour to the first right accusation.",
    ),
    col("simulated_s", "Simulated seconds."),
    col(
        "client_messages",
        "Messages between clients and nodes in the measured window.",
    ),
    col("client_bytes", "Bytes of those messages."),
    col(
        "events",
        "Inputs that nodes handled in the whole run, timers included.",
    ),
    col(
        "endorsements",
        "Endorsed transactions sent to be ordered in the measured window.",
    ),
    col(
        "retries",
        "Of these, the ones whose transaction had been endorsed before.",
    ),
    col(
        "conflicts",
        "Endorsed transactions decided in the measured window that others had got in the way of.",
    ),
    col(
        "conflict_rate",
        "Conflicts divided by endorsements; 0 where calls are executed after ordering.",
    ),
    col(
        "contacts",
        "Conversations outside the chain that began in the measured window.",
    ),
    col(
        "contact_latency_mean_ms",
        "Mean time from asking the contract for contact to talking.",
    ),
    col(
        "contact_latency_p50_ms",
        "Half of those who asked talked within this time.",
    ),
    col(
        "contact_latency_p99_ms",
        "99 % of those who asked talked within this time.",
    ),
    col(
        "identified_by_all_ms",
        "Time from the beginning of the misbehaviour until every honest node knew the culprit.",
    ),
    col(
        "misapplied",
        "Transactions that honest nodes executed in a forked block, or should have executed there.",
    ),
];

/// All files with their columns, for explanations. `runs.csv` has one more for each swept key.
pub fn all_columns() -> [(&'static str, &'static [Column]); 11] {
    [
        ("runs.csv", RUNS),
        (TIMELINE.file, TIMELINE.columns),
        (MESSAGES.file, MESSAGES.columns),
        (CALLS.file, CALLS.columns),
        (REFUSALS.file, REFUSALS.columns),
        (LATENCIES.file, LATENCIES.columns),
        (ELECTIONS.file, ELECTIONS.columns),
        (VIOLATIONS.file, VIOLATIONS.columns),
        (MEASURES.file, MEASURES.columns),
        (SPEED.file, SPEED.columns),
        (reproduce::FILE, reproduce::COLUMNS),
    ]
}

/// A column.
pub(super) const fn col(name: &'static str, about: &'static str) -> Column {
    Column { name, about }
}

impl Row {
    /// The fixed cells, in the order of [`RUNS`].
    pub(super) fn cells(&self) -> Vec<String> {
        let (count, number) = (|n: u64| n.to_string(), cells::number);
        vec![
            label(&self.experiment),
            count(self.point),
            label(&self.protocol),
            count(self.nodes),
            count(self.seed),
            label(&self.status),
            label(&self.fingerprint),
            label(&self.safety),
            label(&self.liveness),
            count(self.submitted),
            count(self.committed),
            count(self.accepted),
            count(self.refused),
            number(self.throughput_tps),
            number(self.goodput_tps),
            number(self.latency_mean_ms),
            number(self.latency_p50_ms),
            number(self.latency_p90_ms),
            number(self.latency_p99_ms),
            number(self.latency_max_ms),
            number(self.consensus_latency_mean_ms),
            count(self.blocks),
            count(self.messages),
            count(self.bytes),
            number(self.messages_per_block),
            count(self.signatures),
            count(self.verifications),
            count(self.leader_changes),
            count(self.violations),
            count(self.byzantine),
            count(self.convicted),
            count(self.convicted_wrongly),
            number(self.identified_after_ms),
            number(self.simulated_s),
            count(self.client_messages),
            count(self.client_bytes),
            count(self.events),
            count(self.endorsements),
            count(self.retries),
            count(self.conflicts),
            number(self.conflict_rate),
            count(self.contacts),
            number(self.contact_latency_mean_ms),
            number(self.contact_latency_p50_ms),
            number(self.contact_latency_p99_ms),
            number(self.identified_by_all_ms),
            count(self.misapplied),
        ]
    }

    /// Reads the fixed cells; fields are evaluated in the order written, which is that of the
    /// columns.
    pub(super) fn read(cells: &mut Cells<'_>) -> Result<Self, Error> {
        Ok(Self {
            experiment: cells.text(),
            point: cells.count()?,
            protocol: cells.text(),
            nodes: cells.count()?,
            seed: cells.count()?,
            status: cells.text(),
            fingerprint: cells.text(),
            safety: cells.text(),
            liveness: cells.text(),
            submitted: cells.count()?,
            committed: cells.count()?,
            accepted: cells.count()?,
            refused: cells.count()?,
            throughput_tps: cells.number()?,
            goodput_tps: cells.number()?,
            latency_mean_ms: cells.number()?,
            latency_p50_ms: cells.number()?,
            latency_p90_ms: cells.number()?,
            latency_p99_ms: cells.number()?,
            latency_max_ms: cells.number()?,
            consensus_latency_mean_ms: cells.number()?,
            blocks: cells.count()?,
            messages: cells.count()?,
            bytes: cells.count()?,
            messages_per_block: cells.number()?,
            signatures: cells.count()?,
            verifications: cells.count()?,
            leader_changes: cells.count()?,
            violations: cells.count()?,
            byzantine: cells.count()?,
            convicted: cells.count()?,
            convicted_wrongly: cells.count()?,
            identified_after_ms: cells.number()?,
            simulated_s: cells.number()?,
            client_messages: cells.count()?,
            client_bytes: cells.count()?,
            events: cells.count()?,
            endorsements: cells.count()?,
            retries: cells.count()?,
            conflicts: cells.count()?,
            conflict_rate: cells.number()?,
            contacts: cells.count()?,
            contact_latency_mean_ms: cells.number()?,
            contact_latency_p50_ms: cells.number()?,
            contact_latency_p99_ms: cells.number()?,
            identified_by_all_ms: cells.number()?,
            misapplied: cells.count()?,
            swept: Vec::new(),
        })
    }
}

/// How the rows of one file are written and read.
pub(super) struct Format<T> {
    pub(super) file: &'static str,
    /// All columns: those that name the run, then those of the row.
    pub(super) columns: &'static [Column],
    pub(super) cells: fn(&T) -> Vec<String>,
    pub(super) read: fn(&mut Cells<'_>) -> Result<T, Error>,
}

impl<T> Format<T> {
    fn names_protocol(&self) -> bool {
        self.columns[2].name == "protocol"
    }

    /// The cells that name the run.
    pub(super) fn key_cells(&self, row: &Row) -> Vec<String> {
        let mut cells = vec![row.experiment.clone(), row.point.to_string()];
        if self.names_protocol() {
            cells.push(row.protocol.clone());
        }
        cells.push(row.seed.to_string());
        cells
    }

    /// Reads the cells that name the run.
    pub(super) fn read_key(&self, cells: &mut Cells<'_>) -> Result<(String, u64, u64), Error> {
        let (experiment, point) = (cells.text(), cells.count()?);
        if self.names_protocol() {
            cells.text();
        }
        Ok((experiment, point, cells.count()?))
    }
}

pub(super) const TIMELINE: Format<TimelineRow> = Format {
    file: "timeline.csv",
    columns: &[
        col(
            "experiment",
            "Name of the experiment, or of the scenario that was run.",
        ),
        col("point", "Which point of the sweep, from 0."),
        col("protocol", "The consensus protocol."),
        col("seed", "The seed of all chance in the run."),
        col("second", "Second of simulated time, from 0."),
        col("committed", "Transactions answered in that second."),
        col(
            "latency_p50_ms",
            "Median latency of the transactions answered in that second.",
        ),
        col("latency_p99_ms", "99th percentile of the same."),
        col("messages", "Messages among replicas sent in that second."),
        col(
            "leader",
            "Index of the node that led at its end, if one did.",
        ),
        col("view", "The view or term at its end."),
    ],
    cells: |row| {
        vec![
            row.second.to_string(),
            row.committed.to_string(),
            cells::number(row.latency_p50_ms),
            cells::number(row.latency_p99_ms),
            row.messages.to_string(),
            cells::count(row.leader),
            cells::count(row.view),
        ]
    },
    read: |cells| {
        Ok(TimelineRow {
            second: cells.count()?,
            committed: cells.count()?,
            latency_p50_ms: cells.number()?,
            latency_p99_ms: cells.number()?,
            messages: cells.count()?,
            leader: cells.optional_count()?,
            view: cells.optional_count()?,
        })
    },
};

pub(super) const MESSAGES: Format<MessageRow> = Format {
    file: "messages.csv",
    columns: &[
        col(
            "experiment",
            "Name of the experiment, or of the scenario that was run.",
        ),
        col("point", "Which point of the sweep, from 0."),
        col("protocol", "The consensus protocol."),
        col("seed", "The seed of all chance in the run."),
        col("kind", "What the literature calls the message."),
        col(
            "count",
            "Copies sent in the whole run; one to k receivers counts k.",
        ),
        col("bytes", "Bytes of all copies."),
    ],
    cells: |row| {
        vec![
            row.kind.clone(),
            row.count.to_string(),
            row.bytes.to_string(),
        ]
    },
    read: |cells| {
        Ok(MessageRow {
            kind: cells.text(),
            count: cells.count()?,
            bytes: cells.count()?,
        })
    },
};

pub(super) const LATENCIES: Format<LatencyRow> = Format {
    file: "latencies.csv",
    columns: &[
        col(
            "experiment",
            "Name of the experiment, or of the scenario that was run.",
        ),
        col("point", "Which point of the sweep, from 0."),
        col("protocol", "The consensus protocol."),
        col("seed", "The seed of all chance in the run."),
        col("quantile", "Share of the transactions, from 0 to 1."),
        col("latency_ms", "That share was answered within this time."),
    ],
    cells: |row| {
        [row.quantile, row.latency_ms]
            .map(|x| cells::number(Some(x)))
            .to_vec()
    },
    read: |cells| {
        Ok(LatencyRow {
            quantile: cells.required_number()?,
            latency_ms: cells.required_number()?,
        })
    },
};

pub(super) const ELECTIONS: Format<ElectionRow> = Format {
    file: "elections.csv",
    columns: &[
        col(
            "experiment",
            "Name of the experiment, or of the scenario that was run.",
        ),
        col("point", "Which point of the sweep, from 0."),
        col("protocol", "The consensus protocol."),
        col("seed", "The seed of all chance in the run."),
        col("start_ms", "When the leader was lost."),
        col(
            "downtime_ms",
            "How long until the next one; empty if none came before the run ended.",
        ),
    ],
    cells: |row| {
        vec![
            cells::number(Some(row.start_ms)),
            cells::number(row.downtime_ms),
        ]
    },
    read: |cells| {
        Ok(ElectionRow {
            start_ms: cells.required_number()?,
            downtime_ms: cells.number()?,
        })
    },
};

pub(super) const VIOLATIONS: Format<ViolationRow> = Format {
    file: "violations.csv",
    columns: &[
        col(
            "experiment",
            "Name of the experiment, or of the scenario that was run.",
        ),
        col("point", "Which point of the sweep, from 0."),
        col("protocol", "The consensus protocol."),
        col("seed", "The seed of all chance in the run."),
        col("time_ms", "When it was seen."),
        col("property", "What did not hold."),
        col("nodes", "Which nodes show it, apart by spaces."),
        col("height", "At which height of the chain, if at one."),
        col("detail", "What was seen."),
    ],
    cells: |row| {
        vec![
            cells::number(Some(row.time_ms)),
            row.property.clone(),
            row.nodes.clone(),
            cells::count(row.height),
            row.detail.clone(),
        ]
    },
    read: |cells| {
        Ok(ViolationRow {
            time_ms: cells.required_number()?,
            property: cells.text(),
            nodes: cells.text(),
            height: cells.optional_count()?,
            detail: cells.text(),
        })
    },
};

pub(super) const SPEED: Format<SpeedRow> = Format {
    file: "speed.csv",
    columns: &[
        col(
            "experiment",
            "Name of the experiment, or of the scenario that was run.",
        ),
        col("point", "Which point of the sweep, from 0."),
        col("seed", "The seed of all chance in the run."),
        col("wall_s", "Seconds the computer took."),
        col("events", "Inputs that nodes handled."),
        col("events_per_s", "The quotient of both."),
        col("peak_mib", "Most memory in use, in MiB."),
    ],
    cells: |row| {
        vec![
            cells::number(Some(row.wall_s)),
            row.events.to_string(),
            cells::number(row.events_per_s),
            cells::number(row.peak_mib),
        ]
    },
    read: |cells| {
        Ok(SpeedRow {
            wall_s: cells.required_number()?,
            events: cells.count()?,
            events_per_s: cells.number()?,
            peak_mib: cells.number()?,
        })
    },
};
