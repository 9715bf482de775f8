//! Whether records are kept where the tables say, and nowhere else: for protocols whose nodes tell
//! who is to keep what, and who does.
//!
//! | | what holds |
//! |---|---|
//! | J1 | a node keeps a record only if it entered it, or is or was listed for it |
//! | J2 | after healing every listed node has every record, or it is listed as lost |
//! | J3 | who was said to have a patient's earlier records has those of its network |
//! | J4 | a network decides a record once |
//! | J5 | the tables of one chain at one height are equal |
//! | J6 | whose registration has ended is not listed for later records, and keeps none of them |
//! | J6 | nobody who has executed the end of a registration sends records by it |
//! | J7 | the index knows, in the end, each network in which a patient is, and no other |

use std::collections::{BTreeMap, BTreeSet};

use super::LivenessJudge;
use super::violation::{Findings, Property, Violation};
use crate::base::crypto::Digest;
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::chain::Height;
use crate::contract::message::RecordId;
use crate::protocol::layers::{Fact, Net};

/// A record that a network has decided.
#[derive(Clone, Debug)]
struct Listing {
    height: Height,
    time: Time,
    user: Digest,
    body: Digest,
    nodes: Vec<NodeId>,
    /// The network that has relayed it, if one has.
    from: Option<Net>,
    /// Those of them whose registration has ended since. What they get by a later one is what is
    /// said to have moved to them.
    released: BTreeSet<NodeId>,
}

/// A registration that a chain has made.
#[derive(Clone, Debug)]
struct Registration {
    time: Time,
    since: Height,
    /// Whether nobody else of the network had the patient.
    first: bool,
    /// The earlier records that it was said to have.
    moved: Option<Vec<RecordId>>,
    closed: Option<Height>,
}

/// What is known of who shares what.
#[derive(Clone, Debug, Default)]
pub(super) struct Sharing {
    listed: BTreeMap<(Net, RecordId), Listing>,
    registered: BTreeMap<(Net, Digest, NodeId), Registration>,
    /// Who was sent records of a patient, first by whom.
    handed: BTreeMap<(Digest, NodeId), (Time, NodeId)>,
    known: BTreeMap<(Digest, Net), (Time, NodeId)>,
    /// What each node has executed: whose registrations have ended.
    ended: BTreeMap<(NodeId, Digest, NodeId), Height>,
    kept: BTreeMap<(NodeId, RecordId), (Time, Digest, Digest, bool)>,
    lost: BTreeSet<(NodeId, RecordId)>,
    /// Who is to keep a record by a decision of which a liar tells.
    claimed: BTreeSet<(NodeId, RecordId)>,
    tables: BTreeMap<(usize, Height), (u64, NodeId)>,
}

impl Sharing {
    /// A node tells something.
    pub fn learn(&mut self, (time, node): (Time, NodeId), fact: &Fact, out: &mut Findings) {
        let breach = |detail: String| Violation {
            time,
            property: Property::Sharing,
            nodes: vec![node],
            height: None,
            detail,
        };
        match fact {
            Fact::Listed { .. } => self.list((time, node), fact, out),
            Fact::Registered { .. } | Fact::Closed { .. } | Fact::Moved { .. } => {
                self.note_end(node, fact);
                self.register(time, fact);
            }
            Fact::Lost { node, rid } => {
                self.lost.insert((*node, *rid));
            }
            Fact::Table {
                chain,
                height,
                root,
            } => {
                let first = self
                    .tables
                    .entry((*chain, *height))
                    .or_insert((*root, node));
                if first.0 != *root {
                    let other = first.1;
                    out.add(breach(format!(
                        "{node} and {other} have different tables of chain {chain} at {height}"
                    )));
                }
            }
            Fact::Known { user, net } => {
                self.known.entry((*user, *net)).or_insert((time, node));
            }
            Fact::Kept { .. } | Fact::Found { .. } => self.keep((time, node), fact),
            Fact::Handed { user, to } => {
                if let Some(height) = self.ended.get(&(node, *user, *to)) {
                    out.add(breach(format!(
                        "{node} sends {to} records of a patient whose right has ended at {height}"
                    )));
                }
                self.handed.entry((*user, *to)).or_insert((time, node));
            }
            Fact::Overflow { .. } | Fact::Asked { .. } | Fact::Drawn { .. } => {}
        }
    }

    /// A liar tells that its network has decided a record. That excuses whoever keeps it, and
    /// counts for nothing else: a run may end before anybody honest learns of the decision.
    pub fn claim(&mut self, fact: &Fact) {
        if let Fact::Listed { rid, nodes, .. } = fact {
            self.claimed.extend(nodes.iter().map(|node| (*node, *rid)));
        }
    }

    /// A node keeps a record from now on, or finds after a crash that it does.
    fn keep(&mut self, (time, node): (Time, NodeId), fact: &Fact) {
        if let Fact::Kept {
            user,
            rid,
            body,
            entered,
            ..
        }
        | Fact::Found {
            user,
            rid,
            body,
            entered,
            ..
        } = fact
        {
            let kept = (time, *user, *body, *entered);
            let known = self.kept.entry((node, *rid)).or_insert(kept);
            if matches!(fact, Fact::Kept { .. }) {
                *known = kept;
            }
        }
    }

    /// A node has executed the beginning or the end of a registration.
    fn note_end(&mut self, by: NodeId, fact: &Fact) {
        if let Fact::Registered { user, node, .. } = fact {
            self.ended.remove(&(by, *user, *node));
        }
        if let Fact::Closed {
            user, node, height, ..
        } = fact
        {
            self.ended.insert((by, *user, *node), *height);
        }
    }

    /// A network has changed a registration.
    fn register(&mut self, time: Time, fact: &Fact) {
        match fact {
            Fact::Registered {
                net,
                height,
                user,
                node,
                first,
            } => {
                let registration = Registration {
                    time,
                    since: *height,
                    first: *first,
                    moved: None,
                    closed: None,
                };
                let key = (*net, *user, *node);
                let known = self.registered.get(&key);
                if known.is_none_or(|known| known.since < *height) {
                    self.registered.insert(key, registration);
                }
            }
            Fact::Closed {
                net,
                height,
                user,
                node,
            } => {
                if let Some(known) = self.registered.get_mut(&(*net, *user, *node))
                    && known.since < *height
                {
                    known.closed.get_or_insert(*height);
                    self.release((*net, *height), user, *node);
                }
            }
            Fact::Moved {
                net,
                user,
                node,
                records,
            } => {
                if let Some(known) = self.registered.get_mut(&(*net, *user, *node)) {
                    known.moved = Some(records.clone());
                }
            }
            Fact::Listed { .. }
            | Fact::Lost { .. }
            | Fact::Table { .. }
            | Fact::Known { .. }
            | Fact::Kept { .. }
            | Fact::Found { .. }
            | Fact::Handed { .. }
            | Fact::Asked { .. }
            | Fact::Drawn { .. }
            | Fact::Overflow { .. } => unreachable!("these change no registration"),
        }
    }

    /// A registration has ended: what was decided by then is not due to the node any more.
    fn release(&mut self, (net, height): (Net, Height), user: &Digest, node: NodeId) {
        for ((of, _), listing) in &mut self.listed {
            if *of == net && listing.height <= height && listing.user == *user {
                listing.released.insert(node);
            }
        }
    }

    /// A network has decided a record.
    fn list(&mut self, (time, node): (Time, NodeId), fact: &Fact, out: &mut Findings) {
        let Fact::Listed {
            net,
            height,
            user,
            rid,
            body,
            nodes,
            from,
        } = fact
        else {
            return;
        };
        let mut breach = |detail: String| {
            out.add(Violation {
                time,
                property: Property::Sharing,
                nodes: vec![node],
                height: Some(*height),
                detail,
            });
        };
        if let Some(known) = self.listed.get(&(*net, *rid)) {
            if known.height != *height {
                breach(format!("network {net} decides a record at two heights"));
            }
            return;
        }
        for listed in nodes {
            let registration = self.registered.get(&(*net, *user, *listed));
            if registration.is_some_and(|r| r.closed.is_some_and(|closed| closed < *height)) {
                breach(format!(
                    "{listed} is listed after its registration has ended"
                ));
            }
        }
        let listing = Listing {
            height: *height,
            time,
            user: *user,
            body: *body,
            nodes: nodes.clone(),
            from: *from,
            released: BTreeSet::new(),
        };
        self.listed.insert((*net, *rid), listing);
    }

    /// A node lost everything it kept.
    pub fn forget(&mut self, node: NodeId) {
        self.kept.retain(|(keeper, _), _| *keeper != node);
    }

    /// What is wrong in the end. Only those who are present and honest are held to what is to
    /// happen in the end.
    pub fn finish(
        &self,
        (end, judge, judged): (Time, &LivenessJudge, bool),
        present: &BTreeSet<NodeId>,
        out: &mut Findings,
    ) {
        self.judge_keeping(out);
        self.judge_index(out);
        if !judged {
            return;
        }
        let early = |time: Time| time.max(judge.healed_at) + judge.bound <= end;
        let undelivered = |detail: String, nodes: Vec<NodeId>| Violation {
            time: end,
            property: Property::Undelivered,
            nodes,
            height: None,
            detail,
        };
        for ((net, rid), listing) in &self.listed {
            if !early(listing.time) || self.is_gone((*net, rid), listing, present) {
                continue;
            }
            for node in listing.nodes.iter().filter(|node| present.contains(*node)) {
                let key = (*node, *rid);
                let closed = self.registered.get(&(*net, listing.user, *node));
                let closed = closed.is_some_and(|r| r.closed.is_some());
                let excused = closed || listing.released.contains(node);
                if !(excused || self.lost.contains(&key) || self.kept.contains_key(&key)) {
                    let detail = format!(
                        "{node} lacks a record that network {net} decided at {}",
                        listing.height
                    );
                    out.add(undelivered(detail, vec![*node]));
                }
            }
        }
        for ((net, user, node), registration) in &self.registered {
            let known = self.known.contains_key(&(*user, *net));
            let open = registration.closed.is_none() && present.contains(node);
            if early(registration.time) && open && registration.first && !known {
                let detail = format!("the index does not know of {node} in network {net}");
                out.add(undelivered(detail, vec![*node]));
            }
            let lacks = |rid: &&RecordId| !self.kept.contains_key(&(*node, **rid));
            if early(registration.time) && open && registration.moved.is_none() {
                let detail = format!("{node} waits for a patient's earlier records for long");
                out.add(undelivered(detail, vec![*node]));
            }
            let moved = registration.moved.iter().flatten();
            if open && moved.into_iter().any(|rid| lacks(&rid)) {
                let detail = format!("{node} was said to have a record that it lacks");
                out.add(undelivered(detail, vec![*node]));
            }
        }
    }

    /// Whether a record may be gone: it was entered at one of those listed first, and if one of
    /// them is absent, and nobody who is present has the record, nobody else may ever have had it.
    /// Who has it in a network to which it was relayed is not asked by those whence it comes.
    fn is_gone(
        &self,
        (net, rid): (Net, &RecordId),
        listing: &Listing,
        present: &BTreeSet<NodeId>,
    ) -> bool {
        let nets = [Some(net), listing.from];
        let asked = |node: &NodeId| {
            nets.iter().flatten().any(|net| {
                let listed = self.listed.get(&(*net, *rid));
                listed.is_some_and(|listing| listing.nodes.contains(node))
                    || self.registered.contains_key(&(*net, listing.user, *node))
            })
        };
        let absent = listing.nodes.iter().any(|node| !present.contains(node));
        absent
            && !present
                .iter()
                .any(|node| asked(node) && self.kept.contains_key(&(*node, *rid)))
    }

    /// The index has no network in which nobody ever had the patient.
    fn judge_index(&self, out: &mut Findings) {
        let registered = self.registered.keys();
        let theirs: BTreeSet<_> = registered.map(|(net, user, _)| (user, net)).collect();
        for ((user, net), (time, node)) in &self.known {
            if !theirs.contains(&(user, net)) {
                out.add(Violation {
                    time: *time,
                    property: Property::Sharing,
                    nodes: vec![*node],
                    height: None,
                    detail: format!("the index has a patient in network {net} who is not there"),
                });
            }
        }
    }

    /// Whether a registration in a network is, or was, the right to a record that this network has
    /// decided, or to one of another network: that one may have come by a migration before it was
    /// relayed, and the right may have ended in between.
    fn is_right(&self, rid: &RecordId, net: Net, registration: &Registration) -> bool {
        let own = |listing: &&Listing| listing.from.is_none();
        let listing = self.listed.get(&(net, *rid)).filter(own);
        let later = |closed| listing.is_some_and(|listing| listing.height > closed);
        !registration.closed.is_some_and(later)
    }

    /// Nobody keeps what is not for it, or other bytes than the chain says.
    fn judge_keeping(&self, out: &mut Findings) {
        let mut listings: BTreeMap<RecordId, Vec<&Listing>> = BTreeMap::new();
        for ((_, rid), listing) in &self.listed {
            listings.entry(*rid).or_default().push(listing);
        }
        let mut registered: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for ((net, user, node), registration) in &self.registered {
            let theirs = registered.entry((*user, *node)).or_default();
            theirs.push((*net, registration));
        }
        let listed = self.listed.values();
        let listed = listed.flat_map(|l| l.nodes.iter().map(|node| (l.user, *node)));
        let entitled: BTreeSet<_> = listed.chain(registered.keys().copied()).collect();
        for ((user, to), (time, by)) in &self.handed {
            if !entitled.contains(&(*user, *to)) {
                out.add(Violation {
                    time: *time,
                    property: Property::Sharing,
                    nodes: vec![*by, *to],
                    height: None,
                    detail: format!("{by} sends {to} the records of a patient it has not"),
                });
            }
        }
        for ((node, rid), (time, user, body, entered)) in &self.kept {
            let mut rights = registered.get(&(*user, *node)).into_iter().flatten();
            let entitled = *entered || self.claimed.contains(&(*node, *rid));
            let mut theirs = entitled || rights.any(|(net, of)| self.is_right(rid, *net, of));
            let mut genuine = true;
            for listing in listings.get(rid).into_iter().flatten() {
                theirs |= listing.nodes.contains(node);
                genuine &= listing.body == *body;
            }
            if !theirs || !genuine {
                let what = if theirs { "altered" } else { "not for it" };
                out.add(Violation {
                    time: *time,
                    property: Property::Sharing,
                    nodes: vec![*node],
                    height: None,
                    detail: format!("{node} keeps a record that is {what}"),
                });
            }
        }
    }
}
