//! A run for viewers of traces such as Perfetto's, <https://ui.perfetto.dev>: JSON in the "Trace
//! Event Format" of Chrome.
//!
//! Each node is a process. What happens at it is an instant; a message is a span of its sender from
//! when it leaves until it arrives, and so is the time for which a node is down. Times are
//! simulated microseconds.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::trace::{Filter, Line};
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::sim::event::{Event, Observer};

/// Keeps what passes a filter, as the viewer wants it.
#[derive(Debug)]
pub struct Timeline {
    filter: Filter,
    nodes: BTreeSet<NodeId>,
    /// Copies of messages so far, which number them.
    copies: u64,
    /// An entry a line.
    lines: String,
}

impl Timeline {
    /// Keeps what passes the filter.
    pub fn new(filter: Filter) -> Self {
        Self {
            filter,
            nodes: BTreeSet::new(),
            copies: 0,
            lines: String::new(),
        }
    }

    /// The whole file.
    pub fn draw(mut self) -> String {
        for node in std::mem::take(&mut self.nodes) {
            let name = json!({ "name": node.to_string() });
            let order = json!({ "sort_index": node.0 });
            self.note(Time::ZERO, node, "M", "process_name", &[("args", name)]);
            self.note(
                Time::ZERO,
                node,
                "M",
                "process_sort_index",
                &[("args", order)],
            );
        }
        let entries = self.lines.trim_end_matches(",\n");
        format!("{{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n{entries}\n]}}\n")
    }

    fn note(&mut self, at: Time, node: NodeId, phase: &str, name: &str, more: &[(&str, Value)]) {
        // The format takes zero for the system's idle process.
        let process = u32::from(node.0) + 1;
        let (micros, rest) = (at.nanos() / 1_000, at.nanos() % 1_000);
        let name = Value::from(name);
        write!(
            self.lines,
            "{{\"ph\": \"{phase}\", \"pid\": {process}, \"tid\": 1, \"ts\": {micros}.{rest:03}, \
             \"name\": {name}"
        )
        .expect("a string takes everything");
        for (key, value) in more {
            write!(self.lines, ", \"{key}\": {value}").expect("a string takes everything");
        }
        self.lines.push_str("},\n");
    }
}

impl Observer for Timeline {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        if !self.filter.passes(now, node) {
            return;
        }
        match event {
            Event::Stated { .. } | Event::Heard { .. } => return,
            Event::Sent {
                to,
                kind,
                bytes,
                arrival: Some(arrival),
            } => {
                self.copies += 1;
                let (part, id) = (("cat", "message".into()), ("id", self.copies.into()));
                let args = ("args", json!({ "to": to.to_string(), "bytes": bytes }));
                self.note(now, node, "b", kind, &[part.clone(), id.clone(), args]);
                self.note(*arrival, node, "e", kind, &[part, id]);
            }
            Event::Crashed => self.note(now, node, "B", "down", &[]),
            Event::Restarted { .. } => self.note(now, node, "E", "down", &[]),
            Event::Submitted { .. }
            | Event::Doubled { .. }
            | Event::Endorsed { .. }
            | Event::Answered { .. }
            | Event::Contacted { .. }
            | Event::Decided { .. }
            | Event::Installed { .. }
            | Event::Reported { .. }
            | Event::Sent { .. }
            | Event::Delivered { .. }
            | Event::Fired { .. } => {
                let told = Line(now, event).to_string();
                let name = match event {
                    Event::Sent { kind, .. } => format!("{kind} lost"),
                    Event::Delivered { kind, .. } => (*kind).to_owned(),
                    _ => told.split(' ').next().unwrap_or_default().to_owned(),
                };
                let (scope, args) = (("s", "t".into()), ("args", json!({ "told": told })));
                self.note(now, node, "i", &name, &[scope, args]);
            }
        }
        self.nodes.insert(node);
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, ms};
    use super::*;

    #[test]
    fn a_viewer_is_shown_messages_under_way_and_nodes_that_are_down() {
        let mut story = Story::new(2);
        for arrival in [Some(ms(7)), None] {
            let (to, kind, bytes) = (NodeId(1), "prepare", 100);
            let sent = Event::Sent {
                to,
                kind,
                bytes,
                arrival,
            };
            story.tell(0, sent);
        }
        story.submit(&[1]);
        story.restart(1, 0, true);
        let mut timeline = Timeline::new(Filter::default());
        story.play(&mut timeline);
        let file: Value = serde_json::from_str(&timeline.draw()).unwrap();
        let entries = file["traceEvents"].as_array().unwrap();
        let brief = |entry: &Value| {
            let (phase, name) = (entry["ph"].as_str()?, entry["name"].as_str()?);
            (phase != "M").then(|| format!("{phase} {name} {} {}", entry["pid"], entry["ts"]))
        };
        let brief: Vec<String> = entries.iter().filter_map(brief).collect();
        assert_eq!(
            brief,
            [
                "b prepare 1 1000.0",
                "e prepare 1 7000.0",
                "i prepare lost 1 2000.0",
                "i submits 10 3000.0",
                "B down 2 4000.0",
                "E down 2 5000.0",
            ]
        );
        let names = entries
            .iter()
            .filter(|entry| entry["name"] == "process_name");
        let names: Vec<&Value> = names.map(|entry| &entry["args"]["name"]).collect();
        assert_eq!(names, ["n0", "n1", "n9"]);
    }
}
