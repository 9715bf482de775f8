//! What a scenario leaves a protocol to promise: whether everything must be answered, from when
//! on, and how soon.

use super::run::{config_of, plan_for};
use super::schema::{Behaviour, Disk, Fault, Scenario, Victims};
use crate::base::node::{NodeId, PositionSet};
use crate::base::time::{Span, Time, Window};
use crate::observe::checks::LivenessJudge;
use crate::protocol::{FaultModel, Protocol, Retry};
use crate::sim::{self, Plan};

/// Whether and until when everything must be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outlook {
    /// When the last passing fault and misbehaviour ends.
    pub healed_at: Time,
    /// How long after that everything may take to be answered.
    pub bound: Span,
    /// How long it takes if no waits have grown meanwhile.
    pub soon: Span,
    /// Whether anything is promised at all.
    pub recoverable: bool,
    /// Whether views are over long before what opens them is checked. In the end they last long
    /// enough, but the time until then is no multiple of theirs, and clients that repeat themselves
    /// meanwhile keep everybody from checking.
    pub hurried: bool,
}

impl Outlook {
    /// What a scenario leaves its protocol to promise, before it runs. Of leaders that are
    /// dishonest only their number is known, and the first nodes stand for them.
    pub(super) fn before<P: Protocol>(scenario: &Scenario) -> Self {
        let mut cast = scenario.clone();
        for adversary in &mut cast.adversaries {
            adversary.nodes.extend((0..adversary.led).map(NodeId::at));
        }
        let mut config = config_of::<P>(&cast);
        let plan = plan_for::<P>(&cast, &mut config, false);
        Self::of::<P>(&cast, &plan, &config)
    }

    /// What a scenario leaves a protocol to promise.
    pub(super) fn of<P: Protocol>(scenario: &Scenario, plan: &Plan, config: &P::Config) -> Self {
        let n = scenario.nodes;
        let mut ahead = Ahead::of::<P>(scenario, plan);
        let mut troubled = failing(scenario);
        let mut lying = PositionSet::new();
        for liar in &plan.liars {
            ahead.missing.insert(liar.node.index());
            troubled.insert(liar.node.index());
            lying.insert(liar.node.index());
            for act in &liar.acts {
                ahead.recoverable &= !(act.behaviour.lies() && P::FAULTS == FaultModel::Crash);
                ahead.passes(&act.during, plan.until);
            }
        }
        let missing = &ahead.missing;
        let recoverable = ahead.recoverable
            && P::recovers(config, n, missing, &lying)
            && may_endorse(plan, missing)
            && !(P::believes_views(config) && inflates_for_good(plan));
        let delay = Self::delay(scenario, plan) + ahead.slower;
        let haste = haste(scenario);
        let trouble = ahead.healed_at.since(ahead.begins) + haste;
        // So many leaders in a row may be bad: every node that ever fails or lies, up to f. A
        // committee of 3f + 1 has that f.
        let f = (n - 1) / 3;
        let once = P::liveness_bound(config, 3 * troubled.len().min(f) + 1, delay)
            + scenario.workload.retry * asking::<P>(n, missing)
            + scenario.batch.wait
            + delay * 4
            + haste;
        let soon = with_endorsements(once, scenario, plan, (delay, &troubled));
        let grown = P::grown_waits(config, trouble, missing.len().min(f));
        Self {
            healed_at: ahead.healed_at,
            bound: soon + grown,
            soon,
            recoverable,
            hurried: hurried::<P>(config, plan),
        }
    }

    /// Whoever judges a run by it.
    pub(super) fn judge(&self) -> LivenessJudge {
        LivenessJudge {
            healed_at: self.healed_at,
            bound: self.bound,
            soon: self.soon,
            recoverable: self.recoverable,
        }
    }

    /// What a message takes in all but one case in a thousand: the way, the links at both ends
    /// for a full batch to everybody, and the processing of a round of votes and a batch.
    fn delay(scenario: &Scenario, plan: &Plan) -> Span {
        let n = scenario.nodes as u64;
        let sites = 0..scenario.network.sites.len();
        let rare = u64::MAX / 1000 * 999;
        let way = |from, to| {
            let path = plan.network.topology().path(from, to);
            path.hops
                .iter()
                .fold(Span::ZERO, |sum, hop| sum + hop.at(rare))
        };
        let ways = sites
            .clone()
            .flat_map(|from| sites.clone().map(move |to| (from, to)));
        let longest = ways
            .map(|(from, to)| way(from, to))
            .max()
            .unwrap_or(Span::ZERO);
        let batch = u32::try_from(scenario.batch.bytes.0).unwrap_or(u32::MAX);
        let machine = &plan.machine;
        let votes = machine.receive(300, 1) * n * 3;
        let executed = (machine.execute + machine.verify * 2) * scenario.batch.max as u64;
        let work = machine.receive(batch, 1) + machine.sync * 3 + votes + executed;
        let factor = plan.slow.iter().map(|slow| slow.factor).max().unwrap_or(1);
        longest + plan.network.receive(batch) * n + work * factor
    }
}

/// What goes wrong, and what of it passes.
struct Ahead {
    /// When the first of what passes begins.
    begins: Time,
    /// When the last of it ends.
    healed_at: Time,
    /// Those who are never there again, or come back without what they promised.
    missing: PositionSet,
    /// How much later messages come for good.
    slower: Span,
    /// Whether what does not pass leaves anything to promise.
    recoverable: bool,
}

impl Ahead {
    /// What honest faults there are.
    fn of<P: Protocol>(scenario: &Scenario, plan: &Plan) -> Self {
        let mut ahead = Self {
            begins: Time::MAX,
            healed_at: Time::ZERO,
            missing: PositionSet::new(),
            slower: Span::ZERO,
            recoverable: true,
        };
        for fault in &scenario.faults {
            let passing = ahead.passes(&fault.during(), plan.until);
            match fault {
                Fault::Crash { nodes, disk, .. } => {
                    let forgets = *disk == Disk::Lost;
                    ahead.recoverable &= !(forgets && P::FAULTS == FaultModel::Crash);
                    if !passing || forgets {
                        // Whoever leads then: one node more, whichever it is.
                        let free = (0..scenario.nodes).find(|node| !ahead.missing.contains(*node));
                        count(&mut ahead.missing, nodes, free);
                    }
                }
                Fault::CrashPoint { .. }
                | Fault::Partition { .. }
                | Fault::Loss { .. }
                | Fault::Clock { .. } => ahead.recoverable &= passing,
                Fault::Delay { by, .. } | Fault::Reorder { by, .. } if !passing => {
                    ahead.slower += *by;
                }
                Fault::Delay { .. }
                | Fault::Reorder { .. }
                | Fault::Duplicate { .. }
                | Fault::Slow { .. } => {}
            }
        }
        ahead
    }

    /// Takes note of trouble; whether it ends before the run does.
    fn passes(&mut self, during: &Window, end: Time) -> bool {
        let Some(until) = during.until.filter(|until| *until < end) else {
            return false;
        };
        self.begins = self.begins.min(during.from);
        self.healed_at = self.healed_at.max(until);
        true
    }
}

/// Whether checking what opens a view takes much longer than a view lasts at first.
fn hurried<P: Protocol>(config: &P::Config, plan: &Plan) -> bool {
    P::view_change(config, plan.nodes)
        .is_some_and(|(lasts, signatures)| plan.machine.verify * signatures > lasts * HURRIED)
}

/// So many times as long as a view lasts is much longer.
const HURRIED: u64 = 4;

/// The longest time that a clock counts while it runs fast. Waits that double with every try add up
/// to the time that was counted, and the last of them has to end.
fn haste(scenario: &Scenario) -> Span {
    let counted = |fault: &Fault| {
        let Fault::Clock { speed, during, .. } = fault else {
            return None;
        };
        let real = during.until?.since(during.from).nanos();
        let nanos = u128::from(real) * u128::from(*speed) / 1_000;
        let counted = Span::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        (*speed > 1_000).then_some(counted)
    };
    let longest = scenario.faults.iter().filter_map(counted).max();
    longest.unwrap_or(Span::ZERO)
}

/// How often a client asks until somebody hears who is there. Where nodes are absent, those who ask
/// one after another may at first ask only these: see [`crate::sim::client`].
fn asking<P: Protocol>(n: usize, missing: &PositionSet) -> u64 {
    match P::RETRY {
        Retry::Next if !missing.is_empty() => 2 * n as u64 + 2,
        Retry::Next | Retry::All => 2,
    }
}

/// Every node that is ever down; whoever leads then counts as one more than there are.
fn failing(scenario: &Scenario) -> PositionSet {
    let mut failing = PositionSet::new();
    for fault in &scenario.faults {
        if let Fault::Crash { nodes, .. } | Fault::CrashPoint { nodes, .. } = fault {
            count(&mut failing, nodes, Some(scenario.nodes));
        }
    }
    failing
}

/// Adds those whom an outage hits; whoever leads when it begins counts as the position `leader`.
fn count(positions: &mut PositionSet, victims: &Victims, leader: Option<usize>) {
    let places: Vec<usize> = match victims {
        Victims::Leader => leader.into_iter().collect(),
        Victims::Nodes(nodes) => nodes.iter().map(|node| node.index()).collect(),
    };
    for place in places {
        positions.insert(place);
    }
}

/// Whether a liar never ceases to speak of later views. Where these need no proof, nobody can tell
/// it from a replica that is in a later view and has to be followed there.
fn inflates_for_good(plan: &Plan) -> bool {
    let mut acts = plan.liars.iter().flat_map(|liar| &liar.acts);
    acts.any(|act| {
        let ceases = act.during.until.is_some_and(|until| until < plan.until);
        matches!(act.behaviour, Behaviour::Inflate { .. }) && !ceases
    })
}

/// Whether those who are there in the end are enough to endorse.
fn may_endorse(plan: &Plan, missing: &PositionSet) -> bool {
    let sim::Execution::Validate { policy, .. } = &plan.execution else {
        return true;
    };
    let mut present = PositionSet::new();
    for node in (0..plan.nodes).filter(|node| !missing.contains(*node)) {
        present.insert(node);
    }
    policy.holds(&present)
}

/// How long an answer takes that takes so long once endorsed. Every round may ask each endorser
/// that fails, and may come to nothing; once the protocol has recovered, ordering takes no longer
/// than a batch.
fn with_endorsements(
    once: Span,
    scenario: &Scenario,
    plan: &Plan,
    (delay, troubled): (Span, &PositionSet),
) -> Span {
    let sim::Execution::Validate {
        policy,
        retries,
        backoff,
    } = &plan.execution
    else {
        return once;
    };
    let named = policy.nodes();
    let failing = named.iter().filter(|node| troubled.contains(node.index()));
    let asking = scenario.workload.retry * (failing.count() as u64 + 1);
    let round = asking + scenario.batch.wait + delay * 12;
    (0..*retries).fold(once + asking, |sum, doublings| {
        sum + round + *backoff * (2 << doublings.min(6))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tests::KNOWN;

    #[test]
    fn clocks_that_run_fast_count_more_trouble_than_there_was() {
        let haste = |faults: &str| {
            let least = include_str!("good/least.yaml");
            let text = format!("{least}\nfaults: [{faults}]\n");
            let scenario = Scenario::parse("test.yaml", &text, &[], None, &KNOWN);
            haste(&scenario.unwrap_or_else(|refusal| panic!("{refusal}")))
        };
        let fast = "clock: { nodes: [0], speed: 10, during: [500ms, 2s] }";
        let faster = "clock: { nodes: [1], speed: 100, during: [1s, 1100ms] }";
        let slow = "clock: { nodes: [2], speed: 0.1, during: [1s, 4s] }";
        assert_eq!(haste(fast), Span::from_secs(15));
        assert_eq!(
            haste(&format!("{slow}, {fast}, {faster}")),
            Span::from_secs(15)
        );
        assert_eq!(haste(slow), Span::ZERO);
    }
}
