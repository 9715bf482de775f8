//! The index nodes agree on entries: each has what it wants ordered, and whoever leads proposes it.

use std::sync::Arc;

use super::fact::Fact;
use super::index::{Line, Lines};
use super::patience::Waiting;
use super::{Cx, Layers, Message, Timer};
use crate::base::time::Span;
use crate::chain::{Batch, Block, Height};
use crate::protocol::{Report, Status};

impl Layers {
    /// Has an entry ordered: by oneself, or by whoever leads the index.
    pub(super) fn order(&mut self, line: Line, cx: &mut Cx<'_>) {
        if self.counter().inter.has(&line) {
            return;
        }
        let waiting = Waiting::new(cx.now());
        self.durable.depot.lines.entry(line).or_insert(waiting);
        let status = self.group_status();
        match status.leader {
            Some(leader) if leader != cx.me() => cx.send(leader, Message::Line(line)),
            Some(_) | None => {}
        }
        self.wait_for_relays(cx);
    }

    /// Somebody wants an entry ordered.
    pub(super) fn on_line(&mut self, line: Line, cx: &mut Cx<'_>) {
        if !self.counter().inter.has(&line) {
            let waiting = Waiting::new(cx.now());
            self.durable.depot.lines.entry(line).or_insert(waiting);
            self.wait_for_relays(cx);
        }
    }

    /// Proposes entries, if this node leads the index network.
    pub(super) fn cut_lines(&mut self, cx: &mut Cx<'_>) {
        let rule = self.setup.batch;
        let Status { view, leads, .. } = self.group_status();
        let depot = &self.durable.depot;
        let counter = self.counter.as_mut().expect("it takes part in the index");
        if !leads || counter.proposed_in != view {
            counter.proposed.clear();
            counter.proposed_in = view;
        }
        let proposed = &counter.proposed;
        let fresh = depot.lines.keys().filter(|l| !proposed.contains_key(l));
        let lines: Vec<Line> = fresh.take(rule.max).copied().collect();
        let ripe = counter.ripe || rule.wait == Span::ZERO || lines.len() >= rule.max;
        let waits = !depot.lines.is_empty();
        if leads && !lines.is_empty() && ripe {
            let batch = Batch::with_annex(Vec::new(), Arc::new(Lines(lines.clone())));
            let group = self.durable.group.as_mut().expect("it takes part");
            if let Some(blocks) = group.propose(&batch, cx) {
                let place = group.place_of(&batch);
                let counter = self.counter();
                counter.ripe = false;
                let proposed = lines.into_iter().map(|line| (line, place));
                counter.proposed.extend(proposed);
                self.take(&blocks, cx);
            }
        } else if leads && !lines.is_empty() && !counter.batching {
            counter.batching = true;
            cx.set_timer(Timer::Batch, rule.wait);
        }
        let counter = self.counter();
        if counter.awaited != waits {
            counter.awaited = waits;
            let group = self.durable.group.as_mut().expect("it takes part");
            let blocks = group.await_decision(waits, cx);
            self.take(&blocks, cx);
        }
    }

    pub(super) fn on_lines_ripe(&mut self) {
        let counter = self.counter();
        counter.batching = false;
        counter.ripe = true;
    }

    /// Follows decisions of the index network.
    pub(super) fn take_lines(&mut self, blocks: &[Arc<Block>], cx: &mut Cx<'_>) {
        for block in blocks {
            let fresh = self.counter().inter.apply(block);
            for line in block
                .batch
                .annex::<Lines>()
                .map_or(&[][..], |lines| &lines.0)
            {
                self.durable.depot.lines.remove(line);
                self.counter().proposed.remove(line);
            }
            // Something else stands where these were proposed.
            let passed_over = |place: &Option<Height>| place.is_some_and(|p| p <= block.height);
            let proposed = &mut self.counter().proposed;
            proposed.retain(|_, place| !passed_over(place));
            let root = self.counter().inter.root;
            let chain = self.topology.edges();
            let table = Fact::Table {
                chain,
                height: block.height,
                root,
            };
            cx.report(Report::Shared(Box::new(table)));
            for line in fresh {
                match line {
                    Line::Add { user, net } => {
                        cx.report(Report::Shared(Box::new(Fact::Known { user, net })));
                        let held = std::mem::take(&mut self.counter().held);
                        for ticket in held {
                            self.forward_ticket(&ticket, cx);
                        }
                    }
                    Line::Relay { rid, to, .. } => {
                        self.durable.depot.heard.remove(&rid);
                        if to == self.net {
                            self.inject(rid, cx);
                        }
                    }
                }
            }
        }
    }
}
