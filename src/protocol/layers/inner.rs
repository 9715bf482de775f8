//! The agreement inside a network: any of the other protocols, nested.

use std::sync::Arc;

use super::config::{Agreement, Config, Mutant};
use super::{Cx, Message, Timer};
use crate::base::crypto::{Body, Certificate, Digest, Hasher, Keyring, Signed};
use crate::base::node::{Committee, NodeId};
use crate::chain::{Batch, Block, Height};
use crate::protocol::iraft::{self, Iraft};
use crate::protocol::mempool::BatchRule;
use crate::protocol::oath::{Notary, Registrar};
use crate::protocol::pbft::{self, Pbft};
use crate::protocol::raft::{self, Raft};
use crate::protocol::{Input, Listener, Protocol, Report, Setup, Status, To, Wire};

/// A member of a network's agreement.
#[derive(Clone, Debug)]
pub enum Inner {
    /// By RAFT.
    Raft(Box<Raft>),
    /// By the improved RAFT.
    Iraft(Box<Iraft>),
    /// By PBFT.
    Pbft(Box<Proving>),
}

/// A member of PBFT with the proofs of what it has decided last. By then it may have forgotten
/// them: a place is a stable checkpoint at once if all others were there first.
#[derive(Clone, Debug)]
pub struct Proving {
    member: Pbft,
    proofs: Vec<Certificate<pbft::Vote>>,
}

/// What its members say to one another.
#[derive(Clone, Debug)]
pub enum Inside {
    /// By RAFT.
    Raft(raft::Message),
    /// By the improved RAFT.
    Iraft(iraft::Message),
    /// By PBFT.
    Pbft(pbft::Message),
}

/// Their timers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum InnerTimer {
    /// Of RAFT.
    Raft(raft::Timer),
    /// Of the improved RAFT.
    Iraft(iraft::Timer),
    /// Of PBFT.
    Pbft(pbft::Timer),
}

impl Wire for Inside {
    fn statements(&self, me: NodeId, to: &To, say: Listener<'_>) {
        match self {
            Self::Raft(message) => message.statements(me, to, say),
            Self::Iraft(message) => message.statements(me, to, say),
            Self::Pbft(message) => message.statements(me, to, say),
        }
    }

    fn oaths(&self, notary: &Notary<'_>, swear: Registrar<'_>) {
        let notary = &notary.among_some();
        match self {
            Self::Raft(message) => message.oaths(notary, swear),
            Self::Iraft(message) => message.oaths(notary, swear),
            Self::Pbft(message) => message.oaths(notary, swear),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Raft(message) => message.kind(),
            Self::Iraft(message) => message.kind(),
            Self::Pbft(message) => message.kind(),
        }
    }

    fn kinds() -> Vec<&'static str> {
        let parts = [
            raft::Message::kinds(),
            iraft::Message::kinds(),
            pbft::Message::kinds(),
        ];
        parts.concat()
    }

    fn size(&self) -> u32 {
        match self {
            Self::Raft(message) => message.size(),
            Self::Iraft(message) => message.size(),
            Self::Pbft(message) => message.size(),
        }
    }

    fn signatures(&self) -> u32 {
        match self {
            Self::Raft(message) => message.signatures(),
            Self::Iraft(message) => message.signatures(),
            Self::Pbft(message) => message.signatures(),
        }
    }

    fn contradict(&self, liar: &crate::base::crypto::Signer) -> Option<Self> {
        Some(match self {
            Self::Raft(message) => Self::Raft(message.contradict(liar)?),
            Self::Iraft(message) => Self::Iraft(message.contradict(liar)?),
            Self::Pbft(message) => Self::Pbft(message.contradict(liar)?),
        })
    }

    fn forge(&self, liar: &crate::base::crypto::Signer, victim: NodeId) -> Option<Self> {
        Some(match self {
            Self::Raft(message) => Self::Raft(message.forge(liar, victim)?),
            Self::Iraft(message) => Self::Iraft(message.forge(liar, victim)?),
            Self::Pbft(message) => Self::Pbft(message.forge(liar, victim)?),
        })
    }

    fn inflate(&self, liar: &crate::base::crypto::Signer, by: u64) -> Option<Self> {
        Some(match self {
            Self::Raft(message) => Self::Raft(message.inflate(liar, by)?),
            Self::Iraft(message) => Self::Iraft(message.inflate(liar, by)?),
            Self::Pbft(message) => Self::Pbft(message.inflate(liar, by)?),
        })
    }
}

/// A member's word that its network has decided a batch at a height.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word {
    /// The height.
    pub height: Height,
    /// The batch.
    pub digest: Digest,
}

impl Body for Word {
    fn digest(&self) -> Digest {
        let hasher = Hasher::new("layers word").number(self.height);
        hasher.digest(&self.digest).finish()
    }
}

/// Places that a leader may have proposals at, at most.
const PLACES_MAX: Height = 1_000;

/// What shows those outside that a network has decided a batch.
#[derive(Clone, PartialEq, Debug)]
pub enum Proof {
    /// The word of a member: all there is where nobody lies.
    Word(Signed<Word>),
    /// Votes of a quorum.
    Iraft(Arc<iraft::Decided>),
    /// Votes of a quorum.
    Pbft(Arc<Certificate<pbft::Vote>>),
}

impl Proof {
    /// Whether this batch was decided at this height by these members.
    pub fn holds(
        &self,
        (height, digest): (Height, Digest),
        committee: &Committee,
        config: &Config,
        keyring: &Keyring,
    ) -> bool {
        let proven = match self {
            Self::Word(word) => {
                let member = committee.contains(word.by());
                let enough = config.believes_words() || config.lacks(Mutant::WordIsProof);
                let genuine = member && enough && word.verify(keyring);
                genuine.then(|| (word.body().height, word.body().digest))
            }
            Self::Iraft(decided) => {
                iraft::verify_decision(decided, committee, &config.iraft, keyring)
            }
            Self::Pbft(proof) => pbft::verify_decision(proof, committee, keyring),
        };
        proven == Some((height, digest))
    }

    /// Signatures to verify.
    pub fn signatures(&self) -> u32 {
        match self {
            Self::Word(_) => 1,
            Self::Iraft(decided) => decided.certificate.signers() as u32,
            Self::Pbft(proof) => proof.signers() as u32,
        }
    }
}

impl Inner {
    /// A member before its first start. The parent cuts the batches.
    pub fn new(agreement: Agreement, config: &Config, committee: &Committee, me: NodeId) -> Self {
        let setup = Setup {
            committee: committee.clone(),
            me,
            batch: BatchRule::default(),
        };
        match agreement {
            Agreement::Raft => Self::Raft(Box::new(Raft::nested(&config.raft, setup))),
            Agreement::Iraft => Self::Iraft(Box::new(Iraft::nested(&config.iraft, setup))),
            Agreement::Pbft => Self::Pbft(Box::new(Proving {
                member: Pbft::nested(&config.pbft, setup, 0),
                proofs: Vec::new(),
            })),
        }
    }

    /// What it says of itself.
    pub fn status(&self) -> Status {
        match self {
            Self::Raft(member) => member.status(),
            Self::Iraft(member) => member.status(),
            Self::Pbft(m) => m.member.status(),
        }
    }

    /// Boots, or returns from a crash.
    pub fn start(&mut self, cx: &mut Cx<'_>) -> Vec<Arc<Block>> {
        match self {
            Self::Raft(m) => in_raft(cx, |cx| m.step(Input::Start, cx)),
            Self::Iraft(m) => in_iraft(cx, |cx| m.step(Input::Start, cx)),
            Self::Pbft(m) => in_pbft(m, cx, |m, cx| m.step(Input::Start, cx)),
        }
    }

    /// Takes a message of another member.
    pub fn deliver(&mut self, from: NodeId, message: &Inside, cx: &mut Cx<'_>) -> Vec<Arc<Block>> {
        match (self, message) {
            (Self::Raft(m), Inside::Raft(message)) => {
                in_raft(cx, |cx| m.step(Input::Deliver { from, message }, cx))
            }
            (Self::Iraft(m), Inside::Iraft(message)) => {
                in_iraft(cx, |cx| m.step(Input::Deliver { from, message }, cx))
            }
            (Self::Pbft(m), Inside::Pbft(message)) => {
                in_pbft(m, cx, |m, cx| m.step(Input::Deliver { from, message }, cx))
            }
            (Self::Raft(_) | Self::Iraft(_) | Self::Pbft(_), _) => Vec::new(),
        }
    }

    /// A timer fired.
    pub fn fire(&mut self, timer: InnerTimer, cx: &mut Cx<'_>) -> Vec<Arc<Block>> {
        match (self, timer) {
            (Self::Raft(m), InnerTimer::Raft(timer)) => {
                in_raft(cx, |cx| m.step(Input::Timeout(timer), cx))
            }
            (Self::Iraft(m), InnerTimer::Iraft(timer)) => {
                in_iraft(cx, |cx| m.step(Input::Timeout(timer), cx))
            }
            (Self::Pbft(m), InnerTimer::Pbft(timer)) => {
                in_pbft(m, cx, |m, cx| m.step(Input::Timeout(timer), cx))
            }
            (Self::Raft(_) | Self::Iraft(_) | Self::Pbft(_), _) => Vec::new(),
        }
    }

    /// Puts a batch at the next place; nothing if this member may not.
    pub fn propose(&mut self, batch: &Batch, cx: &mut Cx<'_>) -> Option<Vec<Arc<Block>>> {
        let mut taken = false;
        let blocks = match self {
            Self::Raft(m) => in_raft(cx, |cx| taken = m.propose_batch(batch.clone(), cx)),
            Self::Iraft(m) => in_iraft(cx, |cx| taken = m.propose_batch(batch.clone(), cx)),
            Self::Pbft(m) => in_pbft(m, cx, |m, cx| taken = m.propose_batch(batch, cx)),
        };
        taken.then_some(blocks)
    }

    /// The place of a batch that this member has proposed and not decided, where a proposal can be
    /// passed over though its proposer leads on: it has forgotten that there is something at its
    /// place.
    pub fn place_of(&self, batch: &Batch) -> Option<Height> {
        let Self::Pbft(m) = self else {
            return None;
        };
        let (digest, next) = (batch.digest(), m.member.decided() + 1);
        let mut places = next..next + PLACES_MAX;
        places.find(|place| m.member.kept(*place, &digest).is_some())
    }

    /// Says whether something waits to be decided: a leader that does nothing is replaced then.
    pub fn await_decision(&mut self, awaited: bool, cx: &mut Cx<'_>) -> Vec<Arc<Block>> {
        match self {
            // A leader that only crashes is missed as soon as it is silent.
            Self::Raft(_) => Vec::new(),
            Self::Iraft(m) => in_iraft(cx, |cx| m.await_decision(awaited, cx)),
            Self::Pbft(m) => in_pbft(m, cx, |m, cx| m.await_decision(awaited, cx)),
        }
    }

    /// What shows that a batch was decided; nothing if this member cannot show it now. Its word is
    /// enough only where words are believed.
    pub fn proof_of(&self, word: Word, believed: bool, cx: &mut Cx<'_>) -> Option<Proof> {
        match self {
            Self::Raft(_) => Some(Proof::Word(cx.sign(word))),
            Self::Iraft(m) => match m.proof_of(word.height) {
                Some(decided) => Some(Proof::Iraft(Arc::new(decided))),
                None => believed.then(|| Proof::Word(cx.sign(word))),
            },
            Self::Pbft(m) => Some(Proof::Pbft(Arc::new(m.proof_of(word.height)?))),
        }
    }
}

/// Reports of a nested instance are about its own views and places, which nobody else has.
fn pass(report: Report) -> Option<Report> {
    match report {
        Report::Accuses { .. } | Report::Reached(_) => Some(report),
        Report::Leads { .. }
        | Report::Enters { .. }
        | Report::Prepared { .. }
        | Report::Logged { .. }
        | Report::Restarted { .. }
        | Report::Shared(_) => None,
    }
}

type Within<'a, M, T> = crate::protocol::Context<'a, M, T>;

fn in_raft(
    cx: &mut Cx<'_>,
    run: impl FnOnce(&mut Within<'_, raft::Message, raft::Timer>),
) -> Vec<Arc<Block>> {
    let message = |inner| Message::Group(Box::new(Inside::Raft(inner)));
    cx.nest_executing(message, |t| Timer::Group(InnerTimer::Raft(t)), pass, run)
}

fn in_iraft(
    cx: &mut Cx<'_>,
    run: impl FnOnce(&mut Within<'_, iraft::Message, iraft::Timer>),
) -> Vec<Arc<Block>> {
    let message = |inner| Message::Group(Box::new(Inside::Iraft(inner)));
    cx.nest_executing(message, |t| Timer::Group(InnerTimer::Iraft(t)), pass, run)
}

impl Proving {
    /// The proof of what was decided at a place, if it was the last or is not forgotten yet.
    fn proof_of(&self, height: Height) -> Option<Certificate<pbft::Vote>> {
        let mut last = self.proofs.iter();
        let last = last.find(|proof| proof.body().height == height);
        last.or_else(|| self.member.proof_of(height)).cloned()
    }
}

fn in_pbft(
    proving: &mut Proving,
    cx: &mut Cx<'_>,
    run: impl FnOnce(&mut Pbft, &mut Within<'_, pbft::Message, pbft::Timer>),
) -> Vec<Arc<Block>> {
    let message = |inner| Message::Group(Box::new(Inside::Pbft(inner)));
    let timer = |inner| Timer::Group(InnerTimer::Pbft(inner));
    let member = &mut proving.member;
    let blocks = cx.nest_executing(message, timer, pass, |cx| run(member, cx));
    proving.proofs = proving.member.take_proofs();
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::crypto::{Crypto, Signer};
    use crate::base::random::{Random, Stream};
    use crate::base::time::Time;
    use crate::chain::ledger::{Executor, Ledger};
    use crate::contract::State;
    use crate::protocol::Surroundings;

    /// Whether a member of the improved RAFT shows anything of what it cannot prove.
    fn vouches(profile: iraft::Profile) -> bool {
        let mut config = Config {
            edge_protocol: Agreement::Iraft,
            ..Config::default()
        };
        config.iraft.profile = profile;
        let (signers, keyring) = Signer::mint(4, Crypto::Modelled, 1);
        let me = NodeId(0);
        let member = Inner::new(config.edge_protocol, &config, &Committee::first(4), me);
        let around = Surroundings {
            signer: &signers[0],
            keyring: &keyring,
            random: &mut Random::new(1, Stream::Test),
            ledger: &mut Ledger::new(),
            executor: &mut Executor::new(State::default()),
            careless: false,
        };
        let mut effects = Vec::new();
        let mut cx = Cx::new(me, Time::ZERO, around, &mut effects);
        let word = Word {
            height: 1,
            digest: Digest::ZERO,
        };
        let believed = config.believes_words();
        member.proof_of(word, believed, &mut cx).is_some()
    }

    #[test]
    fn a_word_is_given_only_where_it_is_believed() {
        assert!(vouches(iraft::Profile::Paper));
        assert!(!vouches(iraft::Profile::Hardened));
    }
}
