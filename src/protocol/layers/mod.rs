//! A medical chain in layers: edge networks of hospitals, each with a chain of its own, and an
//! index network between them. A record is kept only where its patient is registered.
//!
//! # Protocol
//!
//! `n` nodes in `edges` networks of equal size. Each has `consensus` nodes, which agree by
//! `edge_protocol`; `index` nodes, which with those of the other networks agree by
//! `index_protocol`; and record nodes, which keep headers of all blocks of their network and the
//! bodies of the records that are theirs. *The* consensus node is whoever leads just now.
//!
//! The *table* of a network says at which record nodes a patient is registered and by what right.
//! The index says in which networks. Both begin with `hospitals` record nodes for each patient, and
//! for `remote` of a thousand in a second network, and change only by what the chains decide. A
//! patient's grant to somebody is the registration at the record node where the receiver works; it
//! is signed once, and every delivery and migration refers to it. Its end is the patient's
//! revocation.
//!
//! Storage inside a network:
//!
//! - A record node enters a record: ADD-REQUEST to everybody of the network, PAYLOAD to the leader.
//!   Of two calls by one name that one is decided whose body comes first.
//! - With `presence: poll` every record node and index node answers PRESENCE. An answer is a hint:
//!   who receives the record stands in the table.
//! - Upon all answers, or `presence_timeout`: the leader has the call decided. Each consensus node
//!   executes it, which verifies doctor's and patient's signatures.
//! - Upon decision: DELIVER with the body to those listed, HEADER to the others, with the proof
//!   that the block was decided. Who entered the record has it, and is sent the header with the
//!   next one. ACK; without it DELIVER again after `ack_timeout`, `ack_retries` times.
//! - Every `compare_every` a record node tells a consensus node, each in turn, the last header and
//!   the sum of the records it has and the ends of rights it knows. If they differ: DUE, FETCH from
//!   those who have the records, and all ends once more.
//! - What a client asks of a record node that has not seen to it after `relay_timeout` another one
//!   enters where the patient is registered, and registrations a consensus node.
//!
//! Storage between networks:
//!
//! - If the patient is registered elsewhere: RELAY with header and proof to an index node, the next
//!   one after `relay_timeout`; at most `relay_queue` wait.
//! - The index node sends RELAY-IC to an index node of each other network, which has the relay
//!   ordered: each record goes to each network once. Then INJECT to the leader there, which checks
//!   the proof against the consensus nodes of the first network and has its own network decide the
//!   record. What came from elsewhere is never relayed. INJECT is acknowledged once a record node
//!   of the network has the record, or nobody there is to keep it, and RELAY-IC only then. Until
//!   it is, all consensus nodes are told that it WAITS, without the body, after `relay_timeout` and
//!   later each time; a leader that lacks the body asks for INJECT again.
//! - Index nodes hear every ADD-REQUEST and REMIND one consensus node after the other of a record
//!   that does not come, until it does or so many have answered with REMIND that there is none.
//! - What was relayed and nobody in the network has any more comes once more: a consensus node that
//!   is asked in vain has an index node REMIND one of the first network, and that one a consensus
//!   node. INJECT goes to who has asked as well, and the record from there to the record nodes that
//!   lack it: whoever leads may have lost it on purpose.
//!
//! With `auth: per-transfer` what brings records to another record node or network leaves when its
//! patient approves of it, after `approval`; with `reuse` the grant is enough.
//!
//! Migration:
//!
//! - The record node sends REGISTER with the grant. Once it is decided all later records come by
//!   themselves. MIG-REQUEST: the leader sends MIG-FORWARD, with header and proof of the grant as
//!   the ticket, to a record node of the row; that one checks it and sends MIG-CHUNKs of `chunk`
//!   records. Each is checked against the headers. MIG-DONE; the network notes it.
//! - If nobody else of the network has the patient: the ticket goes to an index node, which has the
//!   network entered in the index first, to an index node of another network of the patient, to the
//!   leader there, which has its network note that the patient is elsewhere too, so that what it
//!   decides later is relayed, and to a record node with a list of what was decided before. The
//!   records come back the same way, or straight (`route`).
//! - If a patient is in several networks, they are asked one after the other, the own one first:
//!   what was decided before a patient came to a network is not in its chain. Those asked later are
//!   told what has come, and send records only if they have others.
//! - Upon a bad record, or silence for `migration_timeout`: the next source. As long as records
//!   come nobody else is asked, and a ticket that comes twice brings them once. What nobody has
//!   sent after many rounds is noted as lost. MIG-REFUSE ends what rests on no grant that counts.
//! - Every fifth time all consensus nodes hear MIG-REQUEST, MIG-FORWARD or MIG-DONE: one of those
//!   that do not lead sends the ticket on, and all wait for what is to be noted, or replace whoever
//!   leads. Parts that bring nothing new are not answered.
//! - What refers to a grant that the network of whoever asks does not know, such as its revocation,
//!   a consensus node there passes on to those of all other networks, REQUEST-FORWARD. Where the
//!   grant is known it is decided; the others pass it back. When so many have that none of their
//!   networks decides anything without them, it is decided at home, and refused.
//! - Upon a decided revocation: ERASE with its proof. The record node forgets what it had by that
//!   grant, and takes nothing more; that it really forgets nobody can know.
//!
//! Durable: the chain and the agreement of consensus and index nodes, headers, the bodies kept, and
//! what waits to be entered, registered, relayed or injected.
//!
//! # Source
//!
//! An article on medical block chains that names no authors, on edge chain networks, an index chain
//! network, tables of sharing relations in and between networks, sparse sharing and the reuse of
//! authorisations. It describes the flows and no messages, faults, numbers or agreement.
//!
//! # Deviations
//!
//! - The article has one consensus node, which sends a record to whoever answers that it has the
//!   patient. Here the answer decides nothing, or liars would be sent everything.
//! - The article's migration across networks ends where the request reaches the other network.
//! - A ticket is the decided grant itself, and not a separate statement of f + 1 nodes.
//! - Headers prove inclusion by listing the digests of their transactions.
//! - A record node takes any record of the chain that it is handed: with `min_copies` everybody may
//!   have to keep it. So a liar that has the bodies can have them kept where they do not belong.
//! - The index forgets no network: what is relayed where a patient is no longer nobody keeps.
//! - No proof covers what the contract refused. Headers name it by the word of their sender: who
//!   entered a record that was refused does not count it among its records, and keeps the body
//!   aside in case the word was false. A ticket on a refused grant is stopped by the network that
//!   has the registration.
//! - The word of one consensus node is enough for MIG-REFUSE.
//! - A record of which no index node of its network has heard, and whose leader returns from a
//!   crash before it has left, stays in its network: what lacks elsewhere shows only in what index
//!   nodes remember.
//! - Every network has a contract of its own, which counts its own heights and knows what its own
//!   chain has decided: a grant of single records is refused where they were never relayed, and so
//!   is reading what came by migration. The article does not say which network decides what.
//! - Nobody signs a message of his own here; the channel names the sender, and what is shown to
//!   others carries the proof of the network that decided it.
//! - A call that names neither patient nor party of a network is ordered by one of them.
//!
//! # Messages
//!
//! R record nodes, c consensus nodes, i index nodes of a network; a record kept at k nodes there.
//! Agreement comes on top.
//!
//! | kind | copies |
//! |---|---|
//! | `add-request` | R − 1 + c + i |
//! | `presence` | R − 1 + i, if polled |
//! | `payload` | 1 |
//! | `deliver`, `ack` | k − 1, or k in another network |
//! | `header` | R − k |
//! | `relay`, `relay-ic`, `inject`, three `ack` | 1 of each for every other network |
//! | `register`, `mig-request`, `mig-forward`, `mig-done` | 1 of each for a migration |
//! | `mig-chunk` | ⌈records / `chunk`⌉ |
//!
//! Across networks: three `mig-forward` more, and two more copies of `mig-chunk` via the index.
//! Each further network that is asked: a `mig-request`, up to four `mig-forward`, the `mig-chunk`.
//! A grant to whom has the patient already: a `mig-request` and a `mig-refuse`. `request-forward`
//! comes when a client asks elsewhere, `index-request` when an index node does not lead, `leader`
//! when the leader changes, or a consensus node that does not lead is told, or asked again, what
//! the leader sees to; `waits` and `record-fetch` when what was brought is late; `name-taken` if
//! clients give one name to two calls.

mod approve;
mod between;
mod boot;
mod config;
mod delivery;
mod edge;
mod fact;
mod header;
mod index;
mod inner;
mod lines;
mod meaning;
mod message;
mod migrate;
mod overdue;
mod patience;
mod post;
mod proof;
mod record;
mod recover;
mod register;
mod request;
mod seek;
mod table;
mod topology;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::{Context, FaultModel, Input, Misfit, Protocol, Retry, Setup, Status};
use super::{iraft::Iraft, pbft::Pbft, raft::Raft};
use crate::base::node::{Committee, NodeId, PositionSet};
use crate::base::random::mix;
use crate::base::time::Span;
use crate::chain::{Block, Height, Transaction, TransactionId};
use approve::Awaited;
use between::{Counter, Depot};
use config::Agreement;
pub use config::{Auth, Config, Mutant, Presence, Route};
use edge::Desk;
pub use fact::Fact;
use header::Header;
use inner::{Inner, InnerTimer};
use meaning::Meaning;
pub use message::Message;
use patience::Waiting;
use record::{Clerk, Store};
use seek::Sought;
pub use topology::{Net, Role, Topology};
#[cfg(test)]
pub mod parts;

/// What a node waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// A timer of the agreement.
    Group(InnerTimer),
    /// What waits has waited long enough for company.
    Batch,
    /// Not everybody has said whether it has a patient.
    Presence(TransactionId),
    /// A delivery is not acknowledged.
    Ack,
    /// A request of this node is not decided.
    Request,
    /// What is here is to be compared.
    Compare,
    /// What was missed has not come.
    Missing,
    /// Something is on its way between networks for long.
    Relay,
    /// Records of a migration have not come.
    Migrate,
    /// A patient approves of a transfer.
    Approval,
}

/// What survives a crash, besides the chain.
#[derive(Clone, Debug, Default)]
struct Durable {
    /// The agreement of this node's network, if it takes part.
    group: Option<Inner>,
    /// The headers with their proofs.
    headers: BTreeMap<(Net, Height), Arc<Header>>,
    /// Of a record node.
    store: Store,
    /// Of an index node.
    depot: Depot,
}

/// What a crash takes.
#[derive(Clone, Debug, Default)]
struct Volatile {
    /// Who leads the edge network, as far as this node knows.
    leader: Option<NodeId>,
    /// Of a record node.
    clerk: Clerk,
    /// What leaves when its patient has approved of it.
    awaited: VecDeque<Awaited>,
    /// By which grants to whom records were handed over last, and how often it was asked before.
    handed: VecDeque<((TransactionId, NodeId), u32)>,
    /// What clients have asked for that another node is to see to.
    aside: BTreeMap<TransactionId, (Arc<Transaction>, Waiting)>,
    /// Calls that refer to grants which this network does not know, the latest last.
    sought: VecDeque<Sought>,
}

/// One node.
#[derive(Clone, Debug)]
pub struct Layers {
    config: Config,
    setup: Setup,
    topology: Arc<Topology>,
    net: Net,
    role: Role,
    durable: Durable,
    volatile: Volatile,
    /// Volatile, of a consensus node.
    desk: Option<Desk>,
    /// Volatile, of an index node.
    counter: Option<Counter>,
}

type Cx<'a> = Context<'a, Message, Timer>;

impl Protocol for Layers {
    const NAME: &'static str = "layers";
    const ABOUT: &'static str = "edge networks of hospitals with chains of their own, and an index \
                                 network between them; records only where patients are registered";
    const FAULTS: FaultModel = FaultModel::Byzantine;
    const RETRY: Retry = Retry::All;
    const IN_PARTS: bool = true;
    type Config = Config;
    type Message = Message;
    type Timer = Timer;

    fn check(config: &Config, n: usize) -> Vec<Misfit> {
        config.misfits(n)
    }

    fn liveness_bound(config: &Config, n: usize, delay: Span) -> Span {
        let agreed = config.bound(config.edge_protocol, n.min(config.consensus), delay);
        let asked = config.compare_every * 4 + config.round() * u64::from(config.rounds());
        let told = config.presence_timeout * 2 + config.relay_timeout * 6;
        agreed * 2 + asked + told + config.ack_timeout * 4 + config.approval() * 2 + delay * 8
    }

    fn grown_waits(config: &Config, trouble: Span, bad: usize) -> Span {
        config.grown_waits(trouble, bad)
    }

    /// Every network does without the crashed, and survives the liars, that its agreement allows.
    fn recovers(config: &Config, n: usize, missing: &PositionSet, liars: &PositionSet) -> bool {
        let topology = config.topology(n);
        let survives = |committee: &Committee, agreement: Agreement| {
            let among = |set: &PositionSet| {
                let members = committee.members().iter();
                members.filter(|node| set.contains(node.index())).count()
            };
            let most = match agreement {
                Agreement::Raft => 0,
                Agreement::Iraft if !config.iraft.identify => 0,
                Agreement::Iraft | Agreement::Pbft => committee.faulty_max(),
            };
            among(missing) + agreement.quorum(committee) <= committee.n() && among(liars) <= most
        };
        let net = |net| survives(&topology.edge(net).consensus, config.edge_protocol);
        (0..topology.edges() as Net).all(net)
            && survives(topology.index(), config.index_protocol)
            && (0..topology.edges() as Net).all(|net| {
                // Nothing leaves or enters a network but by an index node of its own.
                let index = &topology.edge(net).index;
                topology.edges() == 1 || index.iter().any(|node| !missing.contains(node.index()))
            })
            && (0..topology.edges() as Net).all(|net| {
                // Of any patient one record node is there.
                let records = topology.edge(net).records.members();
                (0..records.len()).all(|first| {
                    let row = (0..config.hospitals).map(|at| records[(first + at) % records.len()]);
                    row.into_iter().any(|node| !missing.contains(node.index()))
                })
            })
    }

    /// A liar in whichever network lets the others believe what they do.
    fn believes_views(config: &Config) -> bool {
        [config.edge_protocol, config.index_protocol]
            .into_iter()
            .any(|agreement| match agreement {
                Agreement::Raft => Raft::believes_views(&config.raft),
                Agreement::Iraft => Iraft::believes_views(&config.iraft),
                Agreement::Pbft => Pbft::believes_views(&config.pbft),
            })
    }

    fn chain_of(config: &Config, n: usize, node: NodeId) -> Option<usize> {
        let topology = config.topology(n);
        match topology.role(node) {
            Role::Consensus => Some(usize::from(topology.net_of(node))),
            Role::Index => Some(topology.edges()),
            Role::Record => None,
        }
    }

    fn answering(config: &Config, _: usize) -> usize {
        match config.edge_protocol {
            Agreement::Raft => 1,
            Agreement::Iraft | Agreement::Pbft => config.consensus,
        }
    }

    fn new(config: &Config, setup: Setup) -> Self {
        let topology = Arc::new(config.topology(setup.committee.n()));
        let (net, role) = (topology.net_of(setup.me), topology.role(setup.me));
        let group = match role {
            Role::Consensus => Some((config.edge_protocol, &topology.edge(net).consensus)),
            Role::Index => Some((config.index_protocol, topology.index())),
            Role::Record => None,
        };
        let member = |(agreement, committee)| Inner::new(agreement, config, committee, setup.me);
        let durable = Durable {
            group: group.map(member),
            ..Durable::default()
        };
        Self {
            config: config.clone(),
            setup,
            topology,
            net,
            role,
            durable,
            volatile: Volatile::default(),
            desk: None,
            counter: None,
        }
    }

    fn step(&mut self, input: Input<'_, Message, Timer>, cx: &mut Cx<'_>) {
        match input {
            Input::Start => self.start(cx),
            Input::Submit(transaction) => self.on_submit(&transaction, cx),
            Input::Deliver { from, message } => self.on_message(from, message, cx),
            Input::Timeout(timer) => self.on_timer(timer, cx),
        }
        match self.role {
            Role::Consensus => {
                self.announce(cx);
                self.cut(cx);
            }
            Role::Index => self.cut_lines(cx),
            Role::Record => {}
        }
    }

    fn status(&self) -> Status {
        match &self.durable.group {
            Some(_) => self.group_status(),
            None => Status {
                view: 0,
                leader: self.volatile.leader,
                leads: false,
            },
        }
    }
}

impl Layers {
    /// A client asks: what it asks for goes to whom it concerns.
    fn on_submit(&mut self, transaction: &Arc<Transaction>, cx: &mut Cx<'_>) {
        let to = match Meaning::of(transaction) {
            Meaning::Record(content) => self.topology.origin(&content.pid.0, &content.rid.0),
            Meaning::Registration { party, .. } => self.topology.serves(&party),
            Meaning::Revocation { .. } | Meaning::Nothing => {
                let subject = meaning::asker(transaction).unwrap_or(transaction.digest);
                let consensus = &self.topology.edge(self.topology.home(&subject)).consensus;
                if consensus.contains(cx.me()) || self.knows_grant(transaction) {
                    cx.me()
                } else {
                    consensus.leader(mix(9, cx.now().nanos()))
                }
            }
        };
        if to == cx.me() {
            self.on_forward(to, transaction, cx);
        } else {
            cx.send(to, Message::Forward(transaction.clone()));
            self.stand_by(transaction, cx);
        }
    }

    /// What a client asks for concerns this node.
    fn on_forward(&mut self, from: NodeId, transaction: &Arc<Transaction>, cx: &mut Cx<'_>) {
        match (self.role, Meaning::of(transaction)) {
            (Role::Record, Meaning::Record(_)) => self.enter_record(transaction, cx),
            (Role::Record, Meaning::Registration { .. }) => self.register(transaction, cx),
            (
                Role::Consensus,
                Meaning::Registration { .. } | Meaning::Revocation { .. } | Meaning::Nothing,
            ) => {
                if self.lacks_grant(transaction, cx) {
                    self.seek(from, transaction, cx);
                    return;
                }
                let consensus = &self.topology.edge(self.net).consensus;
                let passed = from != cx.me() && consensus.contains(from);
                self.have_decided(passed, transaction, cx);
            }
            (Role::Consensus | Role::Index | Role::Record, _) => {}
        }
    }

    /// Has a call decided in this network, which another consensus node has passed on or not.
    fn have_decided(&mut self, passed: bool, transaction: &Arc<Transaction>, cx: &mut Cx<'_>) {
        // Two who take each other for the leader would pass it to and fro without end.
        let leader = self.group_status().leader.filter(|l| *l != cx.me());
        if let Some(leader) = leader.filter(|_| !passed) {
            cx.send(leader, Message::Forward(transaction.clone()));
        }
        // Whoever has passed it on waits for it, and misses a leader that does nothing.
        self.enqueue(transaction.clone(), None, cx);
    }

    fn on_message(&mut self, from: NodeId, message: &Message, cx: &mut Cx<'_>) {
        match message {
            Message::Group(inside) => {
                if let Some(group) = self.durable.group.as_mut() {
                    let blocks = group.deliver(from, inside, cx);
                    self.take(&blocks, cx);
                }
            }
            Message::Forward(transaction) => self.on_forward(from, transaction, cx),
            Message::AddRequest(transaction) => match self.role {
                Role::Consensus => self.on_add_request(from, transaction, cx),
                Role::Index => self.hear_request(transaction, cx),
                Role::Record if self.config.presence == Presence::Poll => {
                    self.answer_presence(transaction, cx);
                }
                Role::Record => {}
            },
            _ => match self.role {
                Role::Consensus => self.at_consensus(from, message, cx),
                Role::Index => self.at_index(from, message, cx),
                Role::Record => self.at_record(from, message, cx),
            },
        }
    }

    fn hear_leader(&mut self, leader: NodeId) {
        let consensus = self.topology.edge(self.net).consensus.contains(leader);
        if consensus || self.mutant(Mutant::AnyoneLeads) {
            self.volatile.leader = Some(leader);
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Cx<'_>) {
        match timer {
            Timer::Group(timer) => {
                if let Some(group) = self.durable.group.as_mut() {
                    let blocks = group.fire(timer, cx);
                    self.take(&blocks, cx);
                }
            }
            Timer::Batch if self.role == Role::Index => self.on_lines_ripe(),
            Timer::Batch => self.on_batch_ripe(),
            Timer::Presence(id) => self.on_presence_over(id, cx),
            Timer::Ack => self.on_ack_overdue(cx),
            Timer::Request if self.role == Role::Record => self.on_request_overdue(cx),
            Timer::Request => self.on_aside_overdue(cx),
            Timer::Compare => self.on_compare_due(cx),
            Timer::Missing => self.on_still_missing(cx),
            Timer::Relay => self.on_relay_overdue(cx),
            Timer::Migrate => self.on_migration_overdue(cx),
            Timer::Approval => self.on_approved(cx),
        }
    }

    /// Follows what this node's network has decided.
    fn take(&mut self, blocks: &[Arc<Block>], cx: &mut Cx<'_>) {
        match self.role {
            Role::Consensus => self.take_blocks(blocks, cx),
            Role::Index => self.take_lines(blocks, cx),
            Role::Record => {}
        }
    }

    fn group_status(&self) -> Status {
        let group = self.durable.group.as_ref();
        group.map_or(Status::default(), Inner::status)
    }

    /// Whether this node leads its edge network.
    fn leads(&self) -> bool {
        self.desk.is_some() && self.group_status().leads
    }

    fn desk(&mut self) -> &mut Desk {
        self.desk
            .as_mut()
            .expect("only consensus nodes have a desk")
    }

    fn counter(&mut self) -> &mut Counter {
        self.counter
            .as_mut()
            .expect("only index nodes have a counter")
    }

    /// Whether a guard is left out in this test.
    fn mutant(&self, guard: Mutant) -> bool {
        self.config.lacks(guard)
    }
}
