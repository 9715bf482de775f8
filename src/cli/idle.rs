//! Faults and behaviours of a scenario that change nothing: whoever wrote them believes that
//! something is survived which never happens.

use super::run::execute;
use crate::base::crypto::Digest;
use crate::scenario::Scenario;
use crate::sim::Kernel;

/// The faults and behaviours without which the run has the same fingerprint, a sentence each.
pub fn idle_parts(scenario: &Scenario, fingerprint: Digest) -> Vec<String> {
    let mut idle = Vec::new();
    let mut judge = |part: String, rest: &Scenario| {
        let outcome = execute(rest, Kernel::Windows { threads: 1 }, None);
        if outcome.fingerprint == fingerprint {
            idle.push(format!(
                "{part} changes nothing: without it the run is the same"
            ));
        }
    };
    for place in 0..scenario.faults.len() {
        let mut rest = scenario.clone();
        rest.faults.remove(place);
        judge(format!("faults[{place}]"), &rest);
    }
    for (place, adversary) in scenario.adversaries.iter().enumerate() {
        let mut rest = scenario.clone();
        rest.adversaries.remove(place);
        let name = adversary.behaviour.name();
        judge(format!("adversaries[{place}] (`{name}`)"), &rest);
    }
    idle
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Names;

    #[test]
    fn what_comes_too_late_or_befalls_nobody_is_told() {
        let text = "about: Half of this does something.\nseed: 1\nduration: 3s\nnodes: 4\n\
            protocol: pbft\nworkload: { rate: 20/s, patients: 20 }\n\
            faults:\n  \
              - crash: { nodes: [1], during: [1s, 1050ms] }\n  \
              - crash: { nodes: [2], at: before-send, down: 20ms, kinds: [view-change] }\n\
            adversaries:\n  \
              - withhold: { nodes: [3], kinds: [commit] }\n  \
              - withhold: { nodes: [3], kinds: [new-view] }\n";
        let names = Names::all();
        let scenario = Scenario::parse("idle.yaml", text, &[], None, &names.known());
        let scenario = scenario.expect("it can be read");
        let whole = execute(&scenario, Kernel::Windows { threads: 1 }, None);
        let same = "changes nothing: without it the run is the same";
        let expected = [
            format!("faults[1] {same}"),
            format!("adversaries[1] (`withhold`) {same}"),
        ];
        assert_eq!(idle_parts(&scenario, whole.fingerprint), expected);
    }
}
