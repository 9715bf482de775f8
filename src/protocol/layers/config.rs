//! The keys of the layers in a scenario, and the guards that tests can break.

use serde::{Deserialize, Serialize};

use super::topology::Topology;
use crate::base::node::Committee;
use crate::base::time::Span;
use crate::protocol::{Misfit, Protocol, iraft, pbft, raft};

/// How a network agrees.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agreement {
    /// RAFT: survives crashes of a minority.
    Raft,
    /// The improved RAFT with two certificates: survives liars below a third.
    Iraft,
    /// PBFT: survives liars below a third.
    #[default]
    Pbft,
}

impl Agreement {
    /// How many members of a committee decide.
    pub fn quorum(self, committee: &Committee) -> usize {
        match self {
            Self::Raft => committee.majority(),
            Self::Iraft | Self::Pbft => committee.quorum(),
        }
    }
}

/// How it is found out who receives a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// Every node is asked, and answers; the table decides all the same.
    #[default]
    Poll,
    /// The table is looked up.
    Table,
}

/// What lets a patient's records go to another node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// The registration there, which rests on a grant that the patient has signed once.
    #[default]
    Reuse,
    /// Besides that the patient's approval of each single transfer.
    PerTransfer,
}

/// How migrated records come from another network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// Back through the index nodes of both networks, which hides the record nodes' addresses.
    #[default]
    ViaIndex,
    /// From record node to record node.
    Direct,
}

/// The keys of the layers in a scenario.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Edge networks.
    pub edges: usize,
    /// Consensus nodes of each.
    pub consensus: usize,
    /// Index nodes of each, which together are the index network.
    pub index: usize,
    /// How the consensus nodes of an edge network agree.
    pub edge_protocol: Agreement,
    /// How the index nodes agree.
    pub index_protocol: Agreement,
    /// Record nodes at which a patient is registered when the chain begins, in each network.
    pub hospitals: usize,
    /// Patients of a thousand who are registered in a second network when the chain begins.
    pub remote: u64,
    /// How it is found out who receives a record.
    pub presence: Presence,
    /// How long answers about presence are waited for.
    pub presence_timeout: Span,
    /// How long an acknowledgement of a delivery is waited for.
    pub ack_timeout: Span,
    /// How often a delivery is repeated before it is left to the comparison of what is held.
    pub ack_retries: u32,
    /// How often a record node compares what it holds with what it should.
    pub compare_every: Span,
    /// How long a relay between networks, or a request at its origin, waits before it is repeated.
    pub relay_timeout: Span,
    /// Records that wait to leave a network, at most; the oldest make room.
    pub relay_queue: usize,
    /// How long a migration waits for the next part.
    pub migration_timeout: Span,
    /// Records in one part of a migration.
    pub chunk: usize,
    /// Record nodes that keep each record at least; custodians keep ciphertext only.
    pub min_copies: usize,
    /// How migrated records come from another network.
    pub route: Route,
    /// What lets a patient's records go to another node: the grant, or an approval each time.
    pub auth: Auth,
    /// How long a patient takes to approve of a transfer, if that is asked each time.
    pub approval: Span,
    /// The keys of RAFT.
    pub raft: raft::Config,
    /// The keys of the improved RAFT.
    pub iraft: iraft::Config,
    /// The keys of PBFT.
    pub pbft: pbft::Config,
    /// Which guard is broken.
    #[cfg(any(test, feature = "mutants"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutant: Option<Mutant>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            edges: 2,
            consensus: 4,
            index: 2,
            edge_protocol: Agreement::Pbft,
            index_protocol: Agreement::Pbft,
            hospitals: 2,
            remote: 200,
            presence: Presence::Poll,
            presence_timeout: Span::from_millis(200),
            ack_timeout: Span::from_millis(500),
            ack_retries: 5,
            compare_every: Span::from_secs(10),
            relay_timeout: Span::from_secs(2),
            relay_queue: 1_000,
            migration_timeout: Span::from_secs(2),
            chunk: 64,
            min_copies: 1,
            route: Route::ViaIndex,
            auth: Auth::Reuse,
            approval: Span::from_secs(2),
            raft: raft::Config::default(),
            iraft: iraft::Config::default(),
            pbft: pbft::Config::default(),
            #[cfg(any(test, feature = "mutants"))]
            mutant: None,
        }
    }
}

/// Times that a migration asks for records in vain, at most.
const ROUNDS_MAX: u32 = 20;

/// The fewest times that a migration asks before it gives anything up: records, or networks that
/// say nothing if all is here that others have.
pub(super) const ROUNDS_MIN: u32 = 8;

/// A guard that can be broken, to show that stories and checks notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mutant {
    /// Whoever says that a patient is present is sent the patient's records.
    TrustPresence,
    /// What came from another network is sent on to others.
    RelayAgain,
    /// The body of a record is not compared with what the chain says of it.
    NoBodyCheck,
    /// Nobody compares what it holds with what it should.
    NeverCompare,
    /// The proof of a header is not looked at.
    NoHeaderProof,
    /// The word of one member proves a decision even where members may lie.
    WordIsProof,
    /// A record is taken though no header says that it was decided.
    NoInclusionCheck,
    /// Records are handed over by a ticket that nobody has checked.
    NoTicketCheck,
    /// Whoever shows a ticket is sent records, and not only those whom the own network names.
    AnyoneNamesSources,
    /// A hospital sends what it has to nodes of other networks that ask.
    AnyoneFetches,
    /// A consensus node hands a record to whoever asks.
    FetchUnlisted,
    /// Whoever says so ends a registration.
    AnyoneRefuses,
    /// Whoever says so leads the network.
    AnyoneLeads,
    /// A registration ends without a proof that it was revoked.
    NoEndProof,
    /// Records are taken after the last right to them has ended.
    TakeAfterEnd,
    /// Later records are for those too whose registration has ended.
    ClosedCovers,
    /// All later records are for whoever has a grant to some.
    ScopeUnchecked,
    /// What is noted as moved a second time is moved a second time, even after the right's end.
    MovedAgain,
    /// Whoever says that all earlier records have come is believed.
    BelieveDone,
    /// A record that comes a second time counts a second time.
    CountAgain,
    /// A record takes the place of one that has its name.
    NamesakeReplaces,
    /// What the contract has refused counts as a record where it was entered.
    RefusedKept,
    /// What the contract is said to have refused is not kept aside.
    RefusedForgotten,
    /// A leader forgets bodies though nobody has acknowledged them.
    ForgetUnacked,
    /// An index node forgets what it has brought though nobody has acknowledged it.
    DropUnconfirmed,
    /// Every record is sent to every hospital of the network.
    DeliverToAll,
    /// Nobody keeps records besides those who are listed, however few they are.
    NoCustodians,
    /// Records leave without the patient's approval where each transfer needs one.
    NoApproval,
    /// What is decided is put to the vote again.
    DecideAgain,
    /// A leader waits for the answers of all, for however long.
    WaitForAll,
    /// A record node without the first header takes itself for a new one.
    NewUntilFirstHeader,
    /// A ticket leaves for another network before the index has the one that it comes from.
    TicketBeforeIndex,
    /// What a network has lost is not asked for where it comes from.
    NeverAskAbroad,
    /// What comes once more goes to whoever leads, and not to who has asked for it.
    ToTheLeaderOnly,
    /// A ticket that comes twice is answered twice.
    HandOverAgain,
    /// Of two calls by one name the first one's body is waited for, even if it never comes.
    FirstVersionStays,
    /// What comes does not put off asking for all of it once more.
    AskWhileItComes,
    /// What refers to a grant is decided where whoever asks has a network, whoever knows the grant.
    NeverSeek,
}

impl Config {
    /// What is wrong with it for n nodes.
    pub(super) fn misfits(&self, n: usize) -> Vec<Misfit> {
        let special = self.edges * (self.consensus + self.index);
        let records = n.saturating_sub(special);
        let each = records.checked_div(self.edges).unwrap_or(0);
        let even = self.edges > 0 && n == special + each * self.edges;
        let rules = [
            (
                "edges",
                even && each >= 1,
                "every edge network has as many nodes: its consensus nodes, its index nodes and \
                 at least one record node",
            ),
            (
                "consensus",
                self.consensus >= 1,
                "an edge network has a consensus node",
            ),
            (
                "index",
                self.index >= 1,
                "an edge network has an index node",
            ),
            (
                "hospitals",
                (1..=each.max(1)).contains(&self.hospitals),
                "a patient is registered at one record node at least, and at no more than there \
                 are",
            ),
            (
                "remote",
                self.remote <= 1_000 && (self.remote == 0 || self.edges > 1),
                "so many of a thousand patients are registered in a second network, if there is \
                 one",
            ),
            (
                "min_copies",
                (1..=each.max(1)).contains(&self.min_copies),
                "a record is kept once at least, and not more often than there are record nodes",
            ),
            (
                "chunk",
                self.chunk >= 1,
                "a part of a migration has a record",
            ),
            (
                "relay_queue",
                self.relay_queue >= 1,
                "there is room for one record that leaves the network",
            ),
        ];
        let broken = rules.into_iter().filter(|(_, holds, _)| !holds);
        broken
            .map(|(key, _, rule)| Misfit {
                key,
                rule: rule.to_owned(),
            })
            .collect()
    }

    /// Whether a guard is left out in this test.
    #[cfg(any(test, feature = "mutants"))]
    pub(super) fn lacks(&self, guard: Mutant) -> bool {
        self.mutant == Some(guard)
    }

    #[cfg(not(any(test, feature = "mutants")))]
    #[expect(clippy::unused_self, reason = "the other build looks at what is set")]
    pub(super) fn lacks(&self, _guard: Mutant) -> bool {
        false
    }

    /// Whether the word of a member of an edge network shows what the network has decided: where
    /// nobody lies.
    pub(super) fn believes_words(&self) -> bool {
        match self.edge_protocol {
            Agreement::Raft => true,
            Agreement::Iraft => self.iraft.profile == iraft::Profile::Paper,
            Agreement::Pbft => false,
        }
    }

    /// How the nodes are divided.
    pub(super) fn topology(&self, n: usize) -> Topology {
        Topology::new(self, n)
    }

    /// How long a transfer waits for its patient.
    pub(super) fn approval(&self) -> Span {
        match self.auth {
            Auth::Reuse => Span::ZERO,
            Auth::PerTransfer => self.approval,
        }
    }

    /// How long a migration waits for what it has asked for.
    pub(super) fn round(&self) -> Span {
        self.migration_timeout + self.approval()
    }

    /// Times that a migration asks for records before those that nobody sends are given up. A round
    /// in which a patient is asked as well takes longer, and fewer of them are as patient.
    pub(super) fn rounds(&self) -> u32 {
        let round = self.round();
        let patience = self.migration_timeout * u64::from(ROUNDS_MAX);
        let rounds = patience.nanos() / round.nanos().max(1);
        u32::try_from(rounds).map_or(ROUNDS_MAX, |rounds| rounds.clamp(ROUNDS_MIN, ROUNDS_MAX))
    }

    /// How much longer a decision takes once the waits of a network's agreement have grown.
    pub(super) fn grown_waits(&self, trouble: Span, bad: usize) -> Span {
        let bad = bad.min(self.consensus.saturating_sub(1) / 3);
        match [self.edge_protocol, self.index_protocol].contains(&Agreement::Pbft) {
            true => pbft::Pbft::grown_waits(&self.pbft, trouble, bad),
            false => Span::ZERO,
        }
    }

    /// The longest a network of this kind and size takes for a decision.
    pub(super) fn bound(&self, agreement: Agreement, size: usize, delay: Span) -> Span {
        match agreement {
            Agreement::Raft => raft::Raft::liveness_bound(&self.raft, size, delay),
            Agreement::Iraft => iraft::Iraft::liveness_bound(&self.iraft, size, delay),
            Agreement::Pbft => pbft::Pbft::liveness_bound(&self.pbft, size, delay),
        }
    }
}
