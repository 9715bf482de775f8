//! A run as text for people: one line an event, in order.
//!
//! ```text
//!    0.012345678  n3    <- n0  pre-prepare
//! ```

use std::fmt::{self, Display};
use std::io::{self, Write};

use crate::base::node::NodeId;
use crate::base::time::{Time, Window};
use crate::chain::{Block, Height, Transaction};
use crate::protocol::{Offence, Report, Statement};
use crate::sim::event::{Event, Observer};

use super::verdict;

/// Which events are printed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter {
    /// Those inside this window.
    pub during: Window,
    /// Those at these nodes and client hosts; at all if there are none here.
    pub nodes: Vec<NodeId>,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            during: Window::ALWAYS,
            nodes: Vec::new(),
        }
    }
}

impl Filter {
    /// Whether what happens then and there passes.
    pub fn passes(&self, now: Time, node: NodeId) -> bool {
        let here = self.nodes.is_empty() || self.nodes.contains(&node);
        here && self.during.contains(now)
    }
}

/// Prints a run.
#[derive(Debug)]
pub struct Trace<W: Write> {
    out: W,
    filter: Filter,
    /// The first failure to write; after it nothing is written any more.
    error: Option<io::Error>,
}

impl<W: Write> Trace<W> {
    /// Prints what passes the filter.
    pub fn new(out: W, filter: Filter) -> Self {
        Self {
            out,
            filter,
            error: None,
        }
    }

    /// Flushes and gives the writer back, or the first error there was, such as a closed pipe.
    pub fn finish(mut self) -> io::Result<W> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write> Observer for Trace<W> {
    fn on_event(&mut self, now: Time, node: NodeId, event: &Event) {
        // What can be proven of others is for forensics: whoever reads a trace knows who said it.
        let spared = matches!(event, Event::Heard { .. });
        if self.error.is_some() || spared || !self.filter.passes(now, node) {
            return;
        }
        // Padding applies to strings: what is printed is made one first.
        let (time, node) = (now.to_string(), node.to_string());
        let line = writeln!(self.out, "{time:>14}  {node:<5} {}", Line(now, event));
        self.error = line.err();
    }
}

/// What follows time and node.
pub(super) struct Line<'a>(pub Time, pub &'a Event);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(now, event) = self;
        match event {
            Event::Submitted { transaction } => write_call(f, "submits", transaction),
            Event::Doubled { transaction } => write_call(f, "also submits as", transaction),
            Event::Endorsed {
                transaction,
                of,
                round,
            } => write!(
                f,
                "has {of:?} endorsed as {:?}, round {round}",
                transaction.id
            ),
            Event::Answered {
                transaction,
                endorsed,
                submitted,
                height,
                executed,
            } => {
                let (after, answer) = (now.since(*submitted), verdict(executed).name());
                write!(f, "has {transaction:?} {answer} after {after}")?;
                match (height, endorsed) {
                    (Some(height), Some(name)) => write!(f, " at height {height} as {name:?}"),
                    (Some(height), None) => write!(f, " at height {height}"),
                    (None, _) => write!(f, " from a read"),
                }
            }
            Event::Contacted { transaction, asked } => {
                let after = now.since(*asked);
                write!(f, "is in contact by {transaction:?} after {after}")
            }
            Event::Decided { block } => write!(f, "decides {}", Content(block)),
            Event::Installed { block } => write!(f, "installs {}", Content(block)),
            Event::Reported { report } => write_report(f, report),
            Event::Stated { statement } => write_statement(f, *statement),
            Event::Heard { .. } => Ok(()),
            Event::Crashed => write!(f, "crashes"),
            Event::Restarted { height, amnesia } => write_restart(f, *height, *amnesia),
            Event::Sent {
                to,
                kind,
                bytes,
                arrival,
            } => {
                write!(f, "-> {to}  {kind}  {bytes} B")?;
                match arrival {
                    Some(arrival) => write!(f, "  arrives {arrival}"),
                    None => write!(f, "  lost"),
                }
            }
            Event::Delivered { from, kind } => write!(f, "<- {from}  {kind}"),
            Event::Fired { timer } => write!(f, "fires {timer}"),
        }
    }
}

fn write_call(f: &mut fmt::Formatter<'_>, does: &str, transaction: &Transaction) -> fmt::Result {
    let kind = transaction.call.kind();
    write!(f, "{does} {:?} {kind}", transaction.id)
}

fn write_restart(f: &mut fmt::Formatter<'_>, height: Height, amnesia: bool) -> fmt::Result {
    write!(f, "restarts at height {height}")?;
    if amnesia {
        write!(f, " without its disk")?;
    }
    Ok(())
}

fn write_statement(f: &mut fmt::Formatter<'_>, statement: Statement) -> fmt::Result {
    match statement {
        Statement::Holds(it) | Statement::Shows(it) => write!(f, "says as {it}"),
        Statement::Leaves { by, view } => write!(f, "says as {by}: nothing before view {view}"),
    }
}

fn write_report(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    match report {
        Report::Leads { view } => write!(f, "leads view {view}"),
        Report::Enters { view } => write!(f, "enters view {view}"),
        Report::Prepared {
            view,
            height,
            digest,
        } => write!(f, "prepared {digest:?} at height {height} in view {view}"),
        Report::Logged {
            index,
            term,
            prefix,
        } => write!(f, "logs entry {index} of term {term}, prefix {prefix:016x}"),
        Report::Restarted {
            index,
            term,
            prefix,
        } => write!(
            f,
            "starts its log after entry {index} of term {term}, prefix {prefix:016x}"
        ),
        Report::Accuses { culprit, offence } => {
            let offence = match offence {
                Offence::Equivocation => "equivocation",
                Offence::InvalidProposal => "an invalid proposal",
                Offence::WrongDigest => "a wrong digest",
                Offence::FalseVote => "a false vote",
                Offence::FalseAck => "a false acknowledgement",
                Offence::FalseCertificate => "a false certificate",
                Offence::Silence => "silence",
                Offence::Stalling => "stalling",
                Offence::Disruption => "disruption",
                Offence::Audit => "a failed audit",
                Offence::Outvoted => "saying what others deny",
            };
            write!(f, "accuses {culprit} of {offence}")
        }
        Report::Reached(situation) => write!(f, "reached {situation}"),
        Report::Shared(fact) => write!(f, "{fact}"),
    }
}

/// Transactions of a block that are named; a long list helps nobody.
const NAMED_MAX: usize = 4;

struct Content<'a>(&'a Block);

impl Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let block = self.0;
        write!(f, "height {} {:?} [", block.height, block.digest)?;
        let transactions = block.batch.transactions();
        for (index, transaction) in transactions.iter().take(NAMED_MAX).enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{:?}", transaction.id)?;
        }
        match transactions.len().saturating_sub(NAMED_MAX) {
            0 => write!(f, "]"),
            more => write!(f, " and {more} more]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, ms};
    use super::*;
    use crate::base::time::Span;
    use crate::chain::Executed;

    fn told() -> Story {
        let mut story = Story::new(3);
        story.submit(&[1]);
        story.tell(
            0,
            Event::Sent {
                to: NodeId(1),
                kind: "pre-prepare",
                bytes: 700,
                arrival: Some(ms(3)),
            },
        );
        story.tell(
            1,
            Event::Delivered {
                from: NodeId(0),
                kind: "pre-prepare",
            },
        );
        story.report(
            1,
            Report::Accuses {
                culprit: NodeId(2),
                offence: Offence::Silence,
            },
        );
        story.answer(1, 1, Executed::Before);
        story.restart(2, 0, true);
        story
    }

    fn text(filter: Filter) -> String {
        let mut trace = Trace::new(Vec::new(), filter);
        told().play(&mut trace);
        String::from_utf8(trace.finish().unwrap()).unwrap()
    }

    #[test]
    fn a_run_reads_line_by_line() {
        // The bar keeps the alignment, which the expectation would take for its indentation.
        let lines = text(Filter::default());
        let shown: String = lines.lines().map(|line| format!("|{line}\n")).collect();
        expect_test::expect![[r#"
            |   0.001000000  n9    submits n9#1 submit
            |   0.002000000  n0    -> n1  pre-prepare  700 B  arrives 0.003000000
            |   0.003000000  n1    <- n0  pre-prepare
            |   0.004000000  n1    accuses n2 of silence
            |   0.005000000  n9    has n9#1 repeated after 4ms at height 1
            |   0.006000000  n2    crashes
            |   0.007000000  n2    restarts at height 0 without its disk
        "#]]
        .assert_eq(&shown);
    }

    #[test]
    fn a_filter_keeps_a_window_and_some_nodes() {
        let during = Window {
            from: ms(3),
            until: Some(ms(3) + Span::from_millis(2)),
        };
        let filter = Filter {
            during,
            ..Filter::default()
        };
        assert_eq!(text(filter).lines().count(), 2);
        let nodes = vec![NodeId(2), NodeId(0)];
        let filter = Filter {
            nodes,
            ..Filter::default()
        };
        let lines = text(filter);
        let at: Vec<&str> = lines.lines().map(|line| &line[16..18]).collect();
        assert_eq!(at, ["n0", "n2", "n2"]);
    }

    #[test]
    fn a_long_block_names_a_few_transactions() {
        let block = Story::new(1).block(0, &[1, 2, 3, 4, 5, 6]);
        let text = Content(&block).to_string();
        assert!(text.ends_with("[n9#1 n9#2 n9#3 n9#4 and 2 more]"), "{text}");
    }

    /// A reader that goes away after some lines.
    struct Closing(usize);

    impl Write for Closing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.0 -= 1;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_reported_and_stops_nothing() {
        let mut trace = Trace::new(Closing(2), Filter::default());
        told().play(&mut trace);
        let error = trace.finish().err().map(|error| error.kind());
        assert_eq!(error, Some(io::ErrorKind::BrokenPipe));
    }
}
