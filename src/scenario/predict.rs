//! How large a run will be, before it begins: what could never finish is refused at once.

use super::reader::Reader;
use super::schema::{Load, Scenario};
use crate::base::time::Span;

/// Messages of one run at most.
const MESSAGES_MAX: u128 = 10_000_000_000;
/// Transactions of one run at most: each stays in memory.
const TRANSACTIONS_MAX: u128 = 100_000_000;

/// Notes a limit that the run would exceed.
pub fn predict(reader: &mut Reader<'_>, scenario: &Scenario, byzantine: bool) {
    let duration = u128::from(scenario.duration.nanos());
    let asking = scenario.workload.until.unwrap_or(scenario.duration);
    let asking = u128::from(asking.nanos());
    let (nodes, batch) = (scenario.nodes as u128, scenario.batch.max as u128);
    let transactions = match &scenario.workload.load {
        Load::Open { rate, .. } => u128::from(rate.per_kilosecond()) * asking / 1_000_000_000_000,
        // A client asks again at most once in a round trip and the time it thinks, and a node
        // does not answer faster than it executes.
        Load::Closed { clients, think } => {
            let pause = think.saturating_add(round_trip(scenario)).nanos().max(1);
            let asked = u128::from(*clients) * asking / u128::from(pause);
            let work = scenario.machine.execute.max(Span::from_micros(1)).nanos();
            asked.min(duration * u128::from(scenario.machine.cores) / u128::from(work))
        }
    };
    if transactions > TRANSACTIONS_MAX {
        reader.refuse_limit(
            "workload",
            format!("asks for about {transactions} transactions: at most {TRANSACTIONS_MAX}"),
            "shorten `duration`, or lower `rate` or `clients`",
        );
        return;
    }
    // Full batches if there is enough to do, else what comes in the time a batch waits.
    let wait = u128::from(scenario.batch.wait.max(Span::from_millis(1)).nanos());
    let cuts = transactions.min(duration / wait);
    let wanted = cuts.max(transactions / batch);
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
    let (each, formula) = if byzantine {
        (2 * nodes * nodes, "2 n² for each block")
    } else {
        (4 * nodes, "4 n for each block")
    };
    let messages = blocks * each;
    if messages > MESSAGES_MAX {
        reader.refuse_limit(
            "nodes",
            format!(
                "{nodes} nodes and about {blocks} blocks make up to {messages} messages \
                 ({formula}): at most {MESSAGES_MAX}"
            ),
            "use fewer nodes, a shorter `duration`, or larger batches",
        );
    }
}

/// Twice the least latency of the network.
fn round_trip(scenario: &Scenario) -> Span {
    scenario.network.within.latency.least() * 2
}
