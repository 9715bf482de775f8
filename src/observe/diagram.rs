//! The end of a run as a sequence diagram in the notation of Mermaid, for documents.
//!
//! ```text
//! sequenceDiagram
//!     participant n0
//!     participant n1
//!     n0->>n1: prepare
//!     Note over n1: decides height 1 …
//! ```

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;

use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::sim::event::{Event, Observer};

use super::trace::{Filter, Line};

/// What the diagram shows of one event.
#[derive(Clone, Debug)]
struct Step {
    from: NodeId,
    to: NodeId,
    text: String,
}

/// Keeps the last steps of a run that pass a filter, and draws them.
#[derive(Debug)]
pub struct Diagram {
    filter: Filter,
    most: usize,
    steps: VecDeque<Step>,
}

impl Diagram {
    /// Keeps so many steps that pass the filter, or all of them.
    pub fn new(filter: Filter, most: Option<usize>) -> Self {
        Self {
            filter,
            most: most.unwrap_or(usize::MAX),
            steps: VecDeque::new(),
        }
    }

    /// The diagram.
    pub fn draw(&self) -> String {
        let mut text = String::from("sequenceDiagram\n");
        let ends = self.steps.iter().flat_map(|step| [step.from, step.to]);
        let participants: BTreeSet<NodeId> = ends.collect();
        for node in participants {
            writeln!(text, "    participant {node}").expect("a string takes everything");
        }
        for step in &self.steps {
            writeln!(text, "    {}", step.text).expect("a string takes everything");
        }
        text
    }
}

impl Observer for Diagram {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        if !self.filter.passes(now, node) {
            return;
        }
        let (from, to, text) = match event {
            Event::Delivered { from, kind } => {
                (*from, node, format!("{from}->>{node}: {}", plain(kind)))
            }
            Event::Sent {
                to,
                kind,
                arrival: None,
                ..
            } => (node, *to, format!("{node}-x{to}: {}", plain(kind))),
            Event::Sent { .. } | Event::Stated { .. } | Event::Heard { .. } => return,
            Event::Submitted { .. }
            | Event::Doubled { .. }
            | Event::Endorsed { .. }
            | Event::Answered { .. }
            | Event::Contacted { .. }
            | Event::Decided { .. }
            | Event::Installed { .. }
            | Event::Reported { .. }
            | Event::Crashed
            | Event::Restarted { .. }
            | Event::Fired { .. } => {
                let said = plain(&Line(now, event).to_string());
                (node, node, format!("Note over {node}: {said}"))
            }
        };
        if self.steps.len() == self.most {
            self.steps.pop_front();
        }
        self.steps.push_back(Step { from, to, text });
    }
}

/// Without the characters that mean something in the notation.
fn plain(text: &str) -> String {
    text.replace('#', "/").replace(';', ",")
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, ms};
    use super::*;

    fn told() -> Story {
        let mut story = Story::new(2);
        for (kind, arrival) in [("prepare", None), ("commit", Some(ms(9)))] {
            let (to, bytes) = (NodeId(1), 100);
            let sent = Event::Sent {
                to,
                kind,
                bytes,
                arrival,
            };
            story.tell(0, sent);
        }
        let from = NodeId(0);
        let kind = "commit";
        story.tell(1, Event::Delivered { from, kind });
        story.submit(&[1]);
        story.restart(1, 0, true);
        story
    }

    #[test]
    fn what_arrives_and_what_is_lost_are_arrows_and_the_rest_are_notes() {
        let mut diagram = Diagram::new(Filter::default(), None);
        told().play(&mut diagram);
        expect_test::expect![[r#"
            sequenceDiagram
                participant n0
                participant n1
                participant n9
                n0-xn1: prepare
                n0->>n1: commit
                Note over n9: submits n9/1 submit
                Note over n1: crashes
                Note over n1: restarts at height 0 without its disk
        "#]]
        .assert_eq(&diagram.draw());
    }

    #[test]
    fn only_the_last_steps_are_kept() {
        let mut diagram = Diagram::new(Filter::default(), Some(2));
        told().play(&mut diagram);
        let drawn = diagram.draw();
        assert_eq!(drawn.lines().count(), 4, "{drawn}");
        assert!(drawn.ends_with("without its disk\n"), "{drawn}");
    }
}
