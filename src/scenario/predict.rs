//! How large a run will be, before it begins: what could never finish is refused at once.

use super::reader::Reader;
use super::schema::{Load, Scenario};
use crate::base::time::Span;
use crate::base::units::Bytes;
use crate::sim::limit::DELIVERIES_MAX;

/// Transactions of one run at most: each stays in memory.
const TRANSACTIONS_MAX: u128 = 100_000_000;
/// What a transaction takes for the whole run, with its record, its place in the search and what
/// the checks keep of it; and a block at each node. Measured with four to a hundred nodes.
const TRANSACTION_BYTES: u128 = 2_500;
const BLOCK_BYTES: u128 = 250;

/// What a run takes, about: all of it if nothing goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prediction {
    /// What clients ask for.
    pub transactions: u128,
    /// What is decided, if what is asked for is.
    pub blocks: u128,
    /// Messages between nodes.
    pub messages: u128,
}

impl Prediction {
    /// What a scenario will take, of a protocol that survives liars or does not.
    pub fn of(scenario: &Scenario, byzantine: bool) -> Self {
        let (duration, nodes) = (
            u128::from(scenario.duration.nanos()),
            scenario.nodes as u128,
        );
        let transactions = transactions(scenario);
        // Full batches if there is enough to do, else what comes in the time a batch waits.
        let wait = u128::from(scenario.batch.wait.max(Span::from_millis(1)).nanos());
        let cuts = transactions.min(duration / wait);
        let wanted = cuts.max(transactions / scenario.batch.max as u128);
        // No node handles more votes than its processor takes: that is what slows large committees.
        let votes = if byzantine { 2 * nodes } else { 2 };
        let machine = &scenario.machine;
        let price = machine.per_message
            + if byzantine {
                machine.verify
            } else {
                Span::ZERO
            };
        let work = votes * u128::from(price.nanos()) / u128::from(machine.cores.max(1));
        let blocks = duration
            .checked_div(work)
            .map_or(wanted, |able| wanted.min(able));
        let each = if byzantine {
            2 * nodes * nodes
        } else {
            4 * nodes
        };
        Self {
            transactions,
            blocks,
            messages: blocks * each,
        }
    }

    /// The memory that it fills, besides the messages on their way.
    pub fn memory(&self, scenario: &Scenario) -> Bytes {
        let kept = self.blocks * scenario.nodes as u128 * BLOCK_BYTES;
        let memory = self.transactions * TRANSACTION_BYTES + kept;
        Bytes(u64::try_from(memory).unwrap_or(u64::MAX))
    }
}

/// How many transactions clients ask for.
fn transactions(scenario: &Scenario) -> u128 {
    let duration = u128::from(scenario.duration.nanos());
    let asking = scenario.workload.until.unwrap_or(scenario.duration);
    let asking = u128::from(asking.nanos());
    match &scenario.workload.load {
        Load::Open { rate, .. } => u128::from(rate.per_kilosecond()) * asking / 1_000_000_000_000,
        // A client asks again at most once in a round trip and the time it thinks, and a node
        // does not answer faster than it executes.
        Load::Closed { clients, think } => {
            let pause = think.saturating_add(round_trip(scenario)).nanos().max(1);
            let asked = u128::from(*clients) * asking / u128::from(pause);
            let work = scenario.machine.execute.max(Span::from_micros(1)).nanos();
            asked.min(duration * u128::from(scenario.machine.cores) / u128::from(work))
        }
    }
}

/// Notes a limit that the run would exceed.
pub fn predict(reader: &mut Reader<'_>, scenario: &Scenario, byzantine: bool) {
    let Prediction {
        transactions,
        blocks,
        messages,
    } = Prediction::of(scenario, byzantine);
    if transactions > TRANSACTIONS_MAX {
        reader.refuse_limit(
            "workload",
            format!("asks for about {transactions} transactions: at most {TRANSACTIONS_MAX}"),
            "shorten `duration`, or lower `rate` or `clients`",
        );
        return;
    }
    if messages > u128::from(DELIVERIES_MAX) {
        let nodes = scenario.nodes;
        let formula = match byzantine {
            true => "2 n² for each block",
            false => "4 n for each block",
        };
        reader.refuse_limit(
            "nodes",
            format!(
                "{nodes} nodes and about {blocks} blocks make up to {messages} messages \
                 ({formula}): at most {DELIVERIES_MAX}"
            ),
            "use fewer nodes, a shorter `duration`, or larger batches",
        );
    }
}

/// Twice the least latency of the network.
fn round_trip(scenario: &Scenario) -> Span {
    scenario.network.within.latency.least() * 2
}
