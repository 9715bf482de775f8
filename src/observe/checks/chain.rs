//! What honest nodes decide: one chain for all (the canonical one, told by whoever decides a
//! height first), and a branch for every departure from it.
//!
//! A block is looked into once, when its digest is first seen; the other nodes that decide it
//! compare digests.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::submitted::Submitted;
use super::violation::{Findings, Property, Violation};
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::base::random::mix;
use crate::base::time::Time;
use crate::chain::by_transaction::ByTransaction;
use crate::chain::{Block, Executed, Height, Transaction, TransactionId};

/// A block as these checks know it.
#[derive(Clone, Copy, Debug)]
struct Place {
    height: Height,
    digest: Digest,
    /// A digest of all batches up to here, which leaves out the states they led to.
    content: u64,
    branch: usize,
}

impl Place {
    /// Before the first block.
    const GENESIS: Self = Self {
        height: 0,
        digest: Digest::ZERO,
        content: 0,
        branch: CANON,
    };
}

/// The branch all others depart from.
const CANON: usize = 0;

/// Blocks that follow one another, up to where they departed from an older branch.
#[derive(Clone, Debug)]
struct Branch {
    /// The older branch, and the last height shared with it.
    from: Option<(usize, Height)>,
    tip: Digest,
    /// Where each transaction was executed: the height, and the position in the batch.
    executed: ByTransaction<(Height, usize)>,
    /// Whether some block before the tip was never seen, so that not all executions are known.
    gap: bool,
}

impl Branch {
    /// A branch without blocks of its own yet.
    fn from(from: Option<(usize, Height)>, gap: bool) -> Self {
        Self {
            from,
            tip: Digest::ZERO,
            executed: ByTransaction::new(),
            gap,
        }
    }
}

/// A block of the canonical chain.
#[derive(Clone, Debug)]
struct Canonical {
    block: Arc<Block>,
    content: u64,
    by: NodeId,
    time: Time,
}

/// The chain of one node.
#[derive(Clone, Copy, Debug)]
struct Head {
    place: Place,
    /// The highest it ever decided, before any crash too.
    peak: Height,
}

/// What a client was told before any honest node decided that height.
#[derive(Clone, Debug)]
struct Claim {
    time: Time,
    client: NodeId,
    transaction: TransactionId,
    executed: Executed,
}

/// A block that arrived at a node.
pub(super) struct Arrival<'a> {
    /// When.
    pub now: Time,
    /// Where.
    pub node: NodeId,
    /// What.
    pub block: &'a Arc<Block>,
    /// Whether it came as the end of a snapshot.
    pub installed: bool,
}

/// An answer a client accepted.
pub(super) struct Answered<'a> {
    /// When.
    pub now: Time,
    /// Who.
    pub client: NodeId,
    /// What it had asked for.
    pub transaction: TransactionId,
    /// Where it was told the transaction stands.
    pub height: Height,
    /// What it was told.
    pub executed: &'a Executed,
}

/// Agreement, order, validity, exactly-once, irrevocability, equal states and true answers.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    heads: Vec<Head>,
    /// By height, from 1; nothing where only a later snapshot was seen.
    canon: Vec<Option<Canonical>>,
    /// How many of them are there.
    held: usize,
    branches: Vec<Branch>,
    /// What the canonical chain passed over, and where, while a block below was not known.
    doubts: Vec<(TransactionId, Height)>,
    /// Blocks outside the canonical chain with their parents.
    forks: BTreeMap<Digest, (Place, Digest)>,
    /// What may be decided.
    pub submitted: Submitted,
    /// What endorsed transactions stand for.
    endorsed: ByTransaction<TransactionId>,
    /// Where on the canonical chain those took effect that were endorsed.
    effective: ByTransaction<Height>,
    claims: BTreeMap<Height, Vec<Claim>>,
}

impl Chain {
    /// Nothing decided yet.
    pub fn new(nodes: usize) -> Self {
        let head = Head {
            place: Place::GENESIS,
            peak: 0,
        };
        Self {
            heads: vec![head; nodes],
            canon: Vec::new(),
            held: 0,
            branches: vec![Branch::from(None, false)],
            doubts: Vec::new(),
            forks: BTreeMap::new(),
            submitted: Submitted::default(),
            endorsed: ByTransaction::new(),
            effective: ByTransaction::new(),
            claims: BTreeMap::new(),
        }
    }

    /// A client sent what it had endorsed, in the place of what it wants.
    pub fn endorse(&mut self, transaction: &Transaction, of: TransactionId) {
        self.submitted.submit(transaction);
        self.endorsed.insert(transaction.id, of);
    }

    /// What a client wanted takes effect once, however often it was endorsed. Says so otherwise.
    fn takes_effect(
        &mut self,
        id: TransactionId,
        height: Height,
        executed: &Executed,
    ) -> Option<String> {
        if executed.refusal().is_some() {
            return None;
        }
        let wanted = self.endorsed.get(id)?;
        let earlier = self.effective.get(wanted);
        self.effective.insert(wanted, height);
        let earlier = earlier?;
        Some(format!(
            "{wanted:?} took effect at height {earlier} already and again as {id:?}"
        ))
    }

    /// The height of a node's chain.
    pub fn height(&self, node: NodeId) -> Height {
        self.heads[node.index()].place.height
    }

    /// How far the canonical chain reaches.
    pub fn top(&self) -> Height {
        self.canon.len() as Height
    }

    /// Whether a node is on the canonical chain.
    pub fn follows(&self, node: NodeId) -> bool {
        self.heads[node.index()].place.branch == CANON
    }

    /// The highest height that was decided no later than `time`.
    pub fn top_at(&self, time: Time) -> Height {
        let before = |slot: &Option<Canonical>| slot.as_ref().is_some_and(|c| c.time <= time);
        self.canon
            .iter()
            .rposition(before)
            .map_or(0, |index| index as Height + 1)
    }

    fn canonical(&self, height: Height) -> Option<&Canonical> {
        let index = usize::try_from(height.checked_sub(1)?).ok()?;
        self.canon.get(index)?.as_ref()
    }

    /// Whether a transaction stands at a height of the canonical chain.
    pub fn has(&self, height: Height, id: TransactionId) -> bool {
        let at = self.branches[CANON].executed.get(id);
        at.is_some_and(|(at, _)| at == height)
            || self.canonical(height).is_some_and(|canonical| {
                let mut transactions = canonical.block.batch.transactions().iter();
                transactions.any(|transaction| transaction.id == id)
            })
    }

    /// The canonical block of a height, who decided it first, and when.
    pub fn decided(&self, height: Height) -> Option<(Time, NodeId, &Arc<Block>)> {
        let canonical = self.canonical(height)?;
        Some((canonical.time, canonical.by, &canonical.block))
    }

    /// An honest node decided or adopted a block. True if it is a new canonical one.
    pub fn arrive(&mut self, arrival: &Arrival<'_>, findings: &mut Findings) -> bool {
        let head = self.heads[arrival.node.index()];
        let ordered = in_order(arrival, &head.place, findings);
        let vacant = self.canonical(arrival.block.height).is_none();
        let place = match self.known(arrival.block.height, arrival.block.digest) {
            Some(place) => place,
            None => self.first_seen(arrival, findings),
        };
        if ordered && place.branch != CANON && head.place.branch == CANON {
            self.depart(arrival, &place, findings);
        }
        let head = &mut self.heads[arrival.node.index()];
        head.place = place;
        head.peak = head.peak.max(place.height);
        vacant && place.branch == CANON
    }

    /// Where a block that was seen before stands.
    fn known(&self, height: Height, digest: Digest) -> Option<Place> {
        if height == 0 && digest == Digest::ZERO {
            return Some(Place::GENESIS);
        }
        if let Some(canonical) = self.canonical(height)
            && canonical.block.digest == digest
        {
            return Some(Place {
                height,
                digest,
                content: canonical.content,
                branch: CANON,
            });
        }
        self.forks.get(&digest).map(|(place, _)| *place)
    }

    /// Finds a place for a new block, and looks into it.
    fn first_seen(&mut self, arrival: &Arrival<'_>, findings: &mut Findings) -> Place {
        let block = arrival.block;
        let parent = self.known(block.height.saturating_sub(1), block.parent);
        let before = parent.map_or_else(|| block.parent.prefix(), |place| place.content);
        let place = Place {
            height: block.height,
            digest: block.digest,
            content: mix(before, block.batch.digest().prefix()),
            branch: self.branch(arrival, parent),
        };
        self.look_into(arrival, place.branch, findings);
        if place.branch == CANON {
            self.extend(arrival, place.content);
            self.resolve_doubts(arrival, findings);
            for claim in self.claims.remove(&place.height).unwrap_or_default() {
                let answered = Answered {
                    now: claim.time,
                    client: claim.client,
                    transaction: claim.transaction,
                    height: place.height,
                    executed: &claim.executed,
                };
                self.compare(&answered, findings);
            }
        } else {
            self.branches[place.branch].tip = block.digest;
            self.forks.insert(block.digest, (place, block.parent));
        }
        place
    }

    /// Which branch a new block belongs to; a new one if it departs from all.
    fn branch(&mut self, arrival: &Arrival<'_>, parent: Option<Place>) -> usize {
        let block = arrival.block;
        let vacant = block.height > 0 && self.canonical(block.height).is_none();
        let follows = match parent {
            Some(place) => place.branch == CANON,
            // The blocks before a snapshot may be seen later, or never.
            None => arrival.installed,
        };
        let precedes = self
            .canonical(block.height + 1)
            .is_none_or(|next| next.block.parent == block.digest);
        if vacant && follows && precedes {
            return CANON;
        }
        if let Some(place) = parent
            && place.branch != CANON
            && self.branches[place.branch].tip == place.digest
        {
            return place.branch;
        }
        let from = parent.map(|place| (place.branch, place.height));
        self.branches.push(Branch::from(from, parent.is_none()));
        self.branches.len() - 1
    }

    /// Puts a new block into the canonical chain.
    fn extend(&mut self, arrival: &Arrival<'_>, content: u64) {
        let index = usize::try_from(arrival.block.height - 1).expect("a chain fits into memory");
        if index >= self.canon.len() {
            self.canon.resize(index + 1, None);
        }
        self.canon[index] = Some(Canonical {
            block: arrival.block.clone(),
            content,
            by: arrival.node,
            time: arrival.now,
        });
        self.held += 1;
        self.branches[CANON].gap = self.held < self.canon.len();
    }

    /// Judges what the canonical chain passed over, once every block of it was seen.
    fn resolve_doubts(&mut self, arrival: &Arrival<'_>, findings: &mut Findings) {
        if self.branches[CANON].gap {
            return;
        }
        for (id, height) in std::mem::take(&mut self.doubts) {
            let earlier = self.executed_at(CANON, id).filter(|at| *at <= height);
            if earlier.is_none() {
                findings.add(Violation {
                    time: arrival.now,
                    property: Property::ExactlyOnce,
                    nodes: vec![arrival.node],
                    height: Some(height),
                    detail: format!("{id:?} was passed over but not executed before"),
                });
            }
        }
    }

    /// Whether each transaction of a new block was submitted as it stands, and is executed once.
    fn look_into(&mut self, arrival: &Arrival<'_>, branch: usize, findings: &mut Findings) {
        let block = arrival.block;
        let breach = |property, detail| Violation {
            time: arrival.now,
            property,
            nodes: vec![arrival.node],
            height: Some(block.height),
            detail,
        };
        let complete = self.complete(branch, block.height);
        let transactions = block.batch.transactions();
        for (position, (transaction, executed)) in
            transactions.iter().zip(&block.executed).enumerate()
        {
            let id = transaction.id;
            let invented = self.submitted.objection(transaction);
            findings.extend(invented.map(|detail| breach(Property::Validity, detail)));
            let wrong = match (self.executed_at(branch, id), executed) {
                (Some(earlier), Executed::Now(_)) => {
                    Some(format!("{id:?} was executed at height {earlier} already"))
                }
                (None, Executed::Before) if complete => {
                    Some(format!("{id:?} was passed over but never executed"))
                }
                (None, Executed::Before) => {
                    if branch == CANON {
                        self.doubts.push((id, block.height));
                    }
                    None
                }
                (Some(_), Executed::Before) => None,
                (None, Executed::Now(_)) => {
                    let place = (block.height, position);
                    self.branches[branch].executed.insert(id, place);
                    None
                }
            };
            findings.extend(wrong.map(|detail| breach(Property::ExactlyOnce, detail)));
            if branch == CANON {
                let twice = self.takes_effect(id, block.height, executed);
                findings.extend(twice.map(|detail| breach(Property::ExactlyOnce, detail)));
            }
        }
    }

    /// The height on a branch at which a transaction was executed.
    fn executed_at(&self, branch: usize, id: TransactionId) -> Option<Height> {
        let mut at = (branch, Height::MAX);
        // A branch departs from an older one: the walk ends at the oldest.
        loop {
            let branch = &self.branches[at.0];
            if let Some((height, _)) = branch.executed.get(id)
                && height <= at.1
            {
                return Some(height);
            }
            at = branch.from?;
        }
    }

    /// Whether every block of a branch below this height was seen. The end of a snapshot may be
    /// the first block that anybody tells of the heights before it.
    fn complete(&self, branch: usize, height: Height) -> bool {
        if branch == CANON && self.top() + 1 < height {
            return false;
        }
        let mut at = branch;
        loop {
            let branch = &self.branches[at];
            let Some((from, _)) = branch.from else {
                return !branch.gap;
            };
            if branch.gap {
                return false;
            }
            at = from;
        }
    }

    /// A node leaves the canonical chain: says in which way.
    fn depart(&self, arrival: &Arrival<'_>, place: &Place, findings: &mut Findings) {
        let (node, height, digest) = (arrival.node, place.height, place.digest);
        let other = self.canonical(height);
        let first = other.map_or(Digest::ZERO, |other| other.block.digest);
        let (property, detail) = match other {
            Some(other) if other.content == place.content => {
                let (mine, theirs) = (arrival.block.state, other.block.state);
                let detail = format!("the same batches led to state {mine:?} and not {theirs:?}");
                (Property::StateEquality, detail)
            }
            Some(_) if height <= self.heads[node.index()].peak => {
                let detail = format!("{node} had decided {first:?} and now decides {digest:?}");
                (Property::Irrevocability, detail)
            }
            Some(other) => {
                let by = other.by;
                let detail = format!("{node} decided {digest:?} where {by} had decided {first:?}");
                (Property::Agreement, detail)
            }
            None => {
                let detail = format!("{node} decided {digest:?} which leads to another chain");
                (Property::Agreement, detail)
            }
        };
        let others = other.map(|other| other.by);
        findings.add(Violation {
            time: arrival.now,
            property,
            nodes: std::iter::once(node).chain(others).collect(),
            height: Some(height),
            detail,
        });
    }

    /// A node came back with its chain up to a height.
    pub fn restart(&mut self, node: NodeId, height: Height) {
        let mut place = self.heads[node.index()].place;
        while place.height > height {
            // Blocks of a branch lead down to the canonical chain, which is held by height.
            let below = match self.forks.get(&place.digest) {
                Some((_, parent)) => self.known(place.height - 1, *parent),
                None if height == 0 => Some(Place::GENESIS),
                None => self
                    .canonical(height)
                    .and_then(|canonical| self.known(height, canonical.block.digest)),
            };
            let Some(below) = below else { return };
            place = below;
        }
        self.heads[node.index()].place = place;
    }

    /// A client accepted an answer.
    pub fn answer(&mut self, answered: &Answered<'_>, findings: &mut Findings) {
        if self.canonical(answered.height).is_some() {
            self.compare(answered, findings);
            return;
        }
        let claims = self.claims.entry(answered.height).or_default();
        claims.push(Claim {
            time: answered.now,
            client: answered.client,
            transaction: answered.transaction,
            executed: answered.executed.clone(),
        });
    }

    /// What became of a transaction at a height of the canonical chain, if it stands there.
    pub fn result(&self, height: Height, id: TransactionId) -> Option<&Executed> {
        let block = &self.canonical(height)?.block;
        let position = match self.branches[CANON].executed.get(id) {
            Some((at, position)) if at == height => position,
            Some(_) | None => {
                let mut transactions = block.batch.transactions().iter();
                transactions.position(|transaction| transaction.id == id)?
            }
        };
        block.executed.get(position)
    }

    /// Whether a client was told what the canonical chain says.
    fn compare(&self, answered: &Answered<'_>, findings: &mut Findings) {
        let (id, height) = (answered.transaction, answered.height);
        if self.canonical(height).is_none() {
            return;
        }
        let detail = match self.result(height, id) {
            None => format!("{id:?} does not stand where its client was told"),
            Some(result) if result != answered.executed => {
                format!("the answer to {id:?} is not the result on the chain")
            }
            Some(_) => return,
        };
        findings.add(Violation {
            time: answered.now,
            property: Property::ClientView,
            nodes: vec![answered.client],
            height: Some(height),
            detail,
        });
    }

    /// The run is over: answers given up to `due` whose height no honest node ever decided were
    /// lies.
    pub fn finish(&self, due: Time, findings: &mut Findings) {
        for (height, claim) in self
            .claims
            .iter()
            .flat_map(|(height, claims)| claims.iter().map(move |claim| (*height, claim)))
            .filter(|(_, claim)| claim.time <= due)
        {
            let id = claim.transaction;
            findings.add(Violation {
                time: claim.time,
                property: Property::ClientView,
                nodes: vec![claim.client],
                height: Some(height),
                detail: format!("{id:?} was answered but no honest node decided its height"),
            });
        }
    }
}

/// Whether a block follows the head of the node it arrived at.
fn in_order(arrival: &Arrival<'_>, head: &Place, findings: &mut Findings) -> bool {
    let block = arrival.block;
    let follows = if arrival.installed {
        block.height > head.height
    } else {
        block.height == head.height + 1 && block.parent == head.digest
    };
    if !follows {
        let (node, height, before) = (arrival.node, block.height, head.height);
        let verb = if arrival.installed {
            "adopted"
        } else {
            "decided"
        };
        let parent = if block.parent == head.digest {
            ""
        } else {
            " with another parent"
        };
        findings.add(Violation {
            time: arrival.now,
            property: Property::TotalOrder,
            nodes: vec![node],
            height: Some(height),
            detail: format!("{node} {verb} height {height} after height {before}{parent}"),
        });
    }
    follows
}
