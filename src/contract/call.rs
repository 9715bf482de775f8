//! Calls, and the signatures they come with.
//!
//! The caller of a call is whoever's key verifies it: a role is never taken on trust from a field.

use std::sync::Arc;

pub use super::act::Act;
use super::identity::{Party, PatientId};
use super::message::{Draft, Message, RecordId, Role};
pub use super::proof::Proof;
use super::search::Query;
use crate::base::crypto::{DIGEST_BYTES, Digest, Hasher, KeyPair, SIGNATURE_BYTES};

/// Everything the contract can be asked to do.
#[derive(Clone, Debug)]
pub enum Call {
    /// Doctor and patient enter a record together.
    Submit(Arc<Draft>),
    /// A doctor proposes a record, which the patient has yet to confirm.
    Propose(Arc<Draft>),
    /// A patient confirms a proposal, with the signature a submission would have carried.
    Confirm {
        /// The proposed record.
        rid: RecordId,
        /// The patient who confirms.
        pid: PatientId,
        /// The digest of what the patient signed.
        signed: Digest,
    },
    /// One party asks for something.
    Order(Arc<Order>),
}

/// What one party signs.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The chain this is meant for.
    pub chain: u32,
    /// Who asks.
    pub by: Party,
    /// For what.
    pub act: Act,
    /// A number this party has not used before.
    pub nonce: u64,
    /// The last height at which the signature counts.
    pub valid_until: u64,
}

/// Terms with the digests that are signed, made once from the terms, which do not change.
#[derive(Debug)]
pub struct Order {
    terms: Terms,
    message: Digest,
    for_subject: Option<Digest>,
    for_witness: Option<Digest>,
    bytes: u32,
}

impl Order {
    /// Lays out the canonical bytes of the terms.
    pub fn new(terms: Terms) -> Arc<Self> {
        let message = Message::new(terms.chain, terms.act.manner().kind);
        let message = terms.by.write(message);
        let message = terms.act.write(message);
        let message = message.number(terms.nonce).number(terms.valid_until);
        let role = match terms.by {
            Party::Authority(_) => Role::Authority,
            Party::Hospital(_) => Role::Hospital,
            Party::Doctor(_) => Role::Doctor,
            Party::Patient(_) => Role::Patient,
            Party::Alias(_) => Role::Alias,
        };
        let proven = terms.act.subject().is_some();
        let witnessed = terms.act.manner().witnessed;
        Arc::new(Self {
            message: message.for_role(role),
            for_subject: proven.then(|| message.for_role(Role::Subject)),
            for_witness: witnessed.then(|| message.for_role(Role::Witness)),
            bytes: message.len() + terms.act.carried(),
            terms,
        })
    }

    /// What is asked for, and by whom.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What the asking party signs; also the name of what the order creates.
    pub fn message(&self) -> Digest {
        self.message
    }

    /// Bytes on the wire, without signatures.
    pub(super) fn size(&self) -> u32 {
        self.bytes
    }

    /// What those sign who support the order besides the asking party, if it takes any.
    pub fn for_witness(&self) -> Option<Digest> {
        self.for_witness
    }
}

/// A call with the signatures it needs.
#[derive(Clone, Debug)]
pub struct SignedCall {
    call: Call,
    first: Option<Proof>,
    second: Option<Proof>,
    further: Vec<(Party, Proof)>,
    digest: Digest,
}

/// Bytes of a call on the wire besides content and signatures: lengths, kind and names of keys.
const ENVELOPE_BYTES: u32 = 160;

impl SignedCall {
    /// A call with given signatures: of a submission the doctor's and the patient's, of an
    /// enrolment the authority's and the subject's, of all others the caller's.
    pub fn new(call: Call, first: Option<Proof>, second: Option<Proof>) -> Self {
        Self::with_further(call, first, second, Vec::new())
    }

    /// A call with given signatures, of which the further ones are by parties that support it,
    /// each by name.
    pub fn with_further(
        call: Call,
        first: Option<Proof>,
        second: Option<Proof>,
        further: Vec<(Party, Proof)>,
    ) -> Self {
        let mut hasher = Hasher::new("call").part(call.kind().as_bytes());
        for message in call.messages().into_iter().flatten() {
            hasher = hasher.digest(&message);
        }
        if let Call::Confirm { rid, pid, .. } = &call {
            hasher = hasher.digest(&rid.0).digest(&pid.0);
        }
        let [one, two] = call.messages();
        let third = call.message_of_others();
        let first = first.map(|proof| proof.held_to(one.as_ref()));
        let second = second.map(|proof| proof.held_to(two.as_ref()));
        for (proof, message) in [(&first, &one), (&second, &two)] {
            let mark = proof.as_ref().map(|proof| proof.mark(message.as_ref()));
            hasher = hasher.part(&mark.unwrap_or_default());
        }
        let held = |(party, proof): (_, Proof)| (party, proof.held_to(third.as_ref()));
        let further: Vec<_> = further.into_iter().map(held).collect();
        for (party, proof) in &further {
            let (kind, id) = party.parts();
            let mark = proof.mark(third.as_ref());
            hasher = hasher.number(kind).digest(id).part(&mark);
        }
        Self {
            digest: hasher.finish(),
            call,
            first,
            second,
            further,
        }
    }

    /// The same call with the signature of one more party that supports it. A call that takes
    /// no such signatures stays as it was.
    #[must_use]
    pub fn witnessed(self, by: Party, keys: &KeyPair) -> Self {
        let Some(message) = self.call.for_witness() else {
            return self;
        };
        let mut further = self.further;
        further.push((by, Proof::sign(keys, message)));
        Self::with_further(self.call, self.first, self.second, further)
    }

    /// A call signed by those who have to, in the order of [`SignedCall::new`]. Keys that are not
    /// theirs make signatures that do not verify.
    pub fn signed(call: Call, first: &KeyPair, second: Option<&KeyPair>) -> Self {
        let [one, two] = call.messages();
        let first = one.map(|message| Proof::sign(first, message));
        let second = two
            .zip(second)
            .map(|(message, keys)| Proof::sign(keys, message));
        Self::new(call, first, second)
    }

    /// The patient's confirmation of a proposal.
    pub fn confirm(draft: &Draft, patient: &KeyPair) -> Self {
        let content = draft.content();
        let call = Call::Confirm {
            rid: content.rid,
            pid: content.pid,
            signed: draft.for_patient(),
        };
        Self::signed(call, patient, None)
    }

    /// An order signed by one party.
    pub fn order(terms: Terms, keys: &KeyPair) -> Self {
        Self::signed(Call::Order(Order::new(terms)), keys, None)
    }

    /// A call that a custodian signs for its patient; of a submission the doctor signs as well. A
    /// call that no patient signs stays without the custodian.
    pub fn entrusted(
        call: Call,
        doctor: Option<&KeyPair>,
        custodian: PatientId,
        keys: &KeyPair,
    ) -> Self {
        let [one, two] = call.messages();
        let (first, for_patient) = match &call {
            Call::Submit(_) => (one.zip(doctor), two),
            Call::Propose(_) => (one.zip(doctor), None),
            Call::Confirm { .. } | Call::Order(_) => (None, one),
        };
        let first = first.map(|(message, keys)| Proof::sign(keys, message));
        let further = for_patient.map(|message| {
            let custodian = Party::Patient(custodian);
            (custodian, Proof::sign(keys, message))
        });
        Self::with_further(call, first, None, further.into_iter().collect())
    }

    /// What is called.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// The signature of the doctor, the authority or the only caller.
    pub fn first(&self) -> Option<&Proof> {
        self.first.as_ref()
    }

    /// The signature of the patient of a submission or the subject of an enrolment.
    pub fn second(&self) -> Option<&Proof> {
        self.second.as_ref()
    }

    /// The signatures of the parties that support the call, each with the party's name.
    pub fn further(&self) -> &[(Party, Proof)] {
        &self.further
    }

    /// The digest of everything in the call, signatures included.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Bytes on the wire.
    pub fn size(&self) -> u32 {
        let content = match &self.call {
            Call::Submit(draft) | Call::Propose(draft) => draft.size(),
            Call::Confirm { .. } => 3 * DIGEST_BYTES,
            Call::Order(order) => order.size(),
        };
        let names = (8 + DIGEST_BYTES) * self.further.len() as u32;
        ENVELOPE_BYTES + content + names + SIGNATURE_BYTES * self.signatures()
    }

    /// Signatures that the call carries, all of which whoever executes it must verify.
    pub fn signatures(&self) -> u32 {
        let positional = u32::from(self.first.is_some()) + u32::from(self.second.is_some());
        positional + self.further.len() as u32
    }

    /// Whether the call only reads.
    pub fn reads_only(&self) -> bool {
        match &self.call {
            Call::Submit(_) | Call::Propose(_) | Call::Confirm { .. } => false,
            Call::Order(order) => matches!(order.terms.act, Act::Search(_) | Act::Suggest(_)),
        }
    }

    /// Whether the call asks a patient for contact.
    pub fn asks_contact(&self) -> bool {
        match &self.call {
            Call::Submit(_) | Call::Propose(_) | Call::Confirm { .. } => false,
            Call::Order(order) => matches!(order.terms.act, Act::AskContact { .. }),
        }
    }

    /// What is searched for, if it is a search.
    pub fn search(&self) -> Option<&Query> {
        match &self.call {
            Call::Submit(_) | Call::Propose(_) | Call::Confirm { .. } => None,
            Call::Order(order) => order.terms.act.search(),
        }
    }

    /// The kind of call, in a word. A submission that replaces a record amends it.
    pub fn kind(&self) -> &'static str {
        match &self.call {
            Call::Submit(draft) if draft.content().supersedes.is_some() => "amend",
            Call::Submit(_) | Call::Propose(_) | Call::Confirm { .. } | Call::Order(_) => {
                self.call.kind()
            }
        }
    }
}

impl Call {
    /// The kind of call, which is also the action in its bytes.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Submit(_) => "submit",
            Self::Propose(_) => "propose",
            Self::Confirm { .. } => "confirm",
            Self::Order(order) => order.terms.act.manner().kind,
        }
    }

    /// Whose affairs the call concerns, as far as it says so itself: a pseudonym, or else a record
    /// or whoever asks. Nothing for what concerns the register of identities.
    pub fn subject(&self) -> Option<Digest> {
        match self {
            Self::Submit(draft) | Self::Propose(draft) => Some(draft.content().pid.0),
            Self::Confirm { pid, .. } => Some(pid.0),
            Self::Order(order) => match (&order.terms.by, order.terms.act.record()) {
                (Party::Authority(_), _) => None,
                (Party::Patient(pid), _) => Some(pid.0),
                (Party::Hospital(_) | Party::Doctor(_) | Party::Alias(_), Some(rid)) => Some(rid.0),
                (by, None) => Some(*by.parts().1),
            },
        }
    }

    /// The messages to be signed.
    fn messages(&self) -> [Option<Digest>; 2] {
        match self {
            Self::Submit(draft) => [Some(draft.for_doctor()), Some(draft.for_patient())],
            Self::Propose(draft) => [Some(draft.for_doctor()), None],
            Self::Confirm { signed, .. } => [Some(*signed), None],
            Self::Order(order) => [Some(order.message), order.for_subject],
        }
    }

    /// What the holder of a new key signs.
    pub fn for_subject(&self) -> Option<Digest> {
        self.messages()[1]
    }

    /// The message that parties sign who are not those of [`Call::messages`]: who support the call,
    /// or sign it in the place of its patient.
    fn message_of_others(&self) -> Option<Digest> {
        let [one, two] = self.messages();
        match self {
            Self::Submit(_) => two,
            Self::Propose(_) => None,
            Self::Confirm { .. } => one,
            Self::Order(order) => order.for_witness.or(one),
        }
    }

    /// The message that parties sign who support the call, if it takes any.
    pub(super) fn for_witness(&self) -> Option<Digest> {
        match self {
            Self::Submit(_) | Self::Propose(_) | Self::Confirm { .. } => None,
            Self::Order(order) => order.for_witness,
        }
    }
}
