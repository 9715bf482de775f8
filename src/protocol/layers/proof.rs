//! The headers that a node has: consensus nodes make them of what they can prove, and ask others
//! for what they cannot.

use std::sync::Arc;

use super::header::Header;
use super::inner::Word;
use super::table::Sum;
use super::{Cx, Layers, Message};
use crate::chain::{Block, Height};

impl Layers {
    /// Keeps the proof while the agreement still has it.
    pub(super) fn keep_header(&mut self, block: &Arc<Block>, cx: &mut Cx<'_>) {
        let lazy = matches!(self.durable.group, Some(super::inner::Inner::Raft(_)));
        if !lazy {
            self.header_at(block.height, cx);
        }
    }

    /// The header of a block of this network, if this node can prove it.
    pub(super) fn header_at(&mut self, height: Height, cx: &mut Cx<'_>) -> Option<Arc<Header>> {
        if let Some(header) = self.durable.headers.get(&(self.net, height)) {
            return Some(header.clone());
        }
        let block = cx.ledger().block(height)?.clone();
        let word = Word {
            height,
            digest: block.batch.digest(),
        };
        let believed = self.config.believes_words();
        let group = self.durable.group.as_mut()?;
        let proof = group.proof_of(word, believed, cx)?;
        let header = Header::of(self.net, &block, proof);
        let key = (self.net, height);
        self.durable.headers.insert(key, header.clone());
        Some(header)
    }

    /// Asks another consensus node for a header that this one cannot prove: it was told of the
    /// block by a checkpoint. Whoever needs it asks again.
    pub(super) fn ask_for_header(&mut self, height: Height, cx: &mut Cx<'_>) {
        let turn = cx.now().nanos() / self.config.ack_timeout.nanos().max(1);
        let members = &self.topology.edge(self.net).consensus;
        // What is repeated as often as a turn comes round would always be this node's own turn.
        let turns = [turn, turn + 1].map(|turn| members.leader(turn));
        if let Some(to) = turns.into_iter().find(|to| *to != cx.me()) {
            let (through, sum) = (height.saturating_sub(1), Sum::default());
            cx.send(to, Message::Compare { through, sum });
        }
    }

    /// Headers that another consensus node can prove.
    pub(super) fn on_headers_at_edge(&mut self, headers: &[Arc<Header>], cx: &mut Cx<'_>) {
        for header in headers {
            let key = (header.net, header.height);
            let news = header.net == self.net && !self.durable.headers.contains_key(&key);
            if news && self.admit(header, cx) {
                cx.persist();
            }
        }
    }

    /// Keeps a header whose signatures hold; says whether they do.
    pub(super) fn admit(&mut self, header: &Arc<Header>, cx: &Cx<'_>) -> bool {
        let holds = header.verify(&self.topology, &self.config, cx.keyring());
        if holds {
            let key = (header.net, header.height);
            self.durable.headers.insert(key, header.clone());
        }
        holds
    }
}
