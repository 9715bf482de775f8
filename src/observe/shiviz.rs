//! A run as a log with vector clocks, which ShiViz, <https://bestchai.bitbucket.io/shiviz/>, draws
//! as a diagram of what may have caused what. Its default parser reads it:
//!
//! ```text
//! n1 {"n0":1,"n1":1}
//! <- n0  pre-prepare
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::trace::{Filter, Line};
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::sim::event::{Event, Observer};

/// For each host, how many of its events are known.
type Clock = BTreeMap<NodeId, u64>;

/// A way from one node to another, for messages of one kind.
type Way = (NodeId, NodeId, &'static str);

/// Keeps what passes a filter; a message counts as cause of what follows if both its ends do.
#[derive(Debug)]
pub struct Causes {
    filter: Filter,
    clocks: BTreeMap<NodeId, Clock>,
    /// What is under way, with when it arrives and what its sender knew. A node handles messages in
    /// the order in which they come.
    under_way: BTreeMap<Way, BTreeSet<(Time, Clock)>>,
    log: String,
}

impl Causes {
    /// Keeps what passes the filter.
    pub fn new(filter: Filter) -> Self {
        Self {
            filter,
            clocks: BTreeMap::new(),
            under_way: BTreeMap::new(),
            log: String::new(),
        }
    }

    /// The log.
    pub fn log(self) -> String {
        self.log
    }

    /// Forgets what has come to a node that was not there.
    fn miss(&mut self, node: NodeId, now: Time) {
        for ((_, to, _), copies) in &mut self.under_way {
            if *to == node {
                copies.retain(|(arrival, _)| *arrival > now);
            }
        }
    }
}

impl Observer for Causes {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        let spared = matches!(event, Event::Heard { .. } | Event::Stated { .. });
        if spared || !self.filter.passes(now, node) {
            return;
        }
        let clock = self.clocks.entry(node).or_default();
        *clock.entry(node).or_default() += 1;
        if let Event::Delivered { from, kind } = event {
            let copies = self.under_way.get_mut(&(*from, node, *kind));
            if let Some((_, known)) = copies.and_then(BTreeSet::pop_first) {
                for (host, count) in known {
                    let known = clock.entry(host).or_default();
                    *known = count.max(*known);
                }
            }
        }
        if let Event::Sent {
            to,
            kind,
            arrival: Some(arrival),
            ..
        } = event
        {
            let copies = self.under_way.entry((node, *to, *kind)).or_default();
            copies.insert((*arrival, clock.clone()));
        }
        let known = clock
            .iter()
            .map(|(host, count)| format!("\"{host}\":{count}"));
        let known: Vec<String> = known.collect();
        let (known, told) = (known.join(","), Line(now, event));
        writeln!(self.log, "{node} {{{known}}}\n{told}").expect("a string takes everything");
        if let Event::Crashed | Event::Restarted { .. } = event {
            self.miss(node, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, ms};
    use super::*;

    #[test]
    fn who_is_told_knows_what_was_known_when_it_was_said() {
        let mut story = Story::new(3);
        let sent = |at| Event::Sent {
            to: NodeId(1),
            kind: "vote",
            bytes: 9,
            arrival: Some(ms(at)),
        };
        let delivered = || Event::Delivered {
            from: NodeId(0),
            kind: "vote",
        };
        // The second overtakes the first.
        story.tell(0, sent(9)).tell(0, sent(5));
        story.tell(1, delivered()).tell(1, delivered());
        let mut causes = Causes::new(Filter::default());
        story.play(&mut causes);
        let log = causes.log();
        let clocks: Vec<&str> = log.lines().step_by(2).collect();
        assert_eq!(
            clocks,
            [
                r#"n0 {"n0":1}"#,
                r#"n0 {"n0":2}"#,
                r#"n1 {"n0":2,"n1":1}"#,
                r#"n1 {"n0":2,"n1":2}"#,
            ]
        );
    }

    #[test]
    fn what_came_while_a_node_was_down_is_the_cause_of_nothing() {
        let mut story = Story::new(2);
        let sent = |at| Event::Sent {
            to: NodeId(1),
            kind: "vote",
            bytes: 9,
            arrival: Some(ms(at)),
        };
        story.tell(0, sent(2));
        story.restart(1, 0, false);
        story.tell(0, sent(5));
        let from = NodeId(0);
        let kind = "vote";
        story.tell(1, Event::Delivered { from, kind });
        let mut causes = Causes::new(Filter::default());
        story.play(&mut causes);
        let log = causes.log();
        let last = log.lines().rev().nth(1).unwrap();
        assert_eq!(last, r#"n1 {"n0":2,"n1":3}"#);
    }
}
