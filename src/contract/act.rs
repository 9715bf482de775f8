//! What one party asks for, and in which manner each of these things is asked for.

use std::sync::Arc;

use super::access::{GrantId, GrantTerms, Purpose};
use super::affair::Affair;
use super::call::Order;
use super::identity::{DoctorId, Enrolment, Party, Place, Standing};
use super::message::{Message, RecordId};
use super::search::{Handle, Query};
use super::share::ShareId;
use crate::base::crypto::{Digest, PublicKey};

/// What one party alone may ask for, or one party with others that sign as well.
#[derive(Clone, Debug)]
pub enum Act {
    /// An authority enrols an identity, which signs as well.
    Enrol(Arc<Enrolment>),
    /// What concerns identities beyond coming and going.
    Affair(Affair),
    /// An authority (or a doctor's hospital, or the patient concerned) changes a standing.
    SetStanding(Party, Standing),
    /// A patient rejects a proposal.
    Reject(RecordId),
    /// A doctor takes a proposal back.
    Withdraw(RecordId),
    /// A patient takes a record out of the search index.
    Hide(RecordId),
    /// A patient puts a hidden record back.
    Unhide(RecordId),
    /// The doctor or the patient of a record says that it is wrong.
    Dispute(RecordId),
    /// The doctor or the patient of a disputed record lets it stand; the other one signs as well.
    Resolve {
        /// The disputed record.
        rid: RecordId,
        /// Whether both think that it is to be read with care.
        suspect: bool,
    },
    /// A patient grants access.
    Grant(GrantTerms),
    /// A hospital passes a part of what it was granted on to one of its doctors.
    Delegate(GrantId, GrantTerms),
    /// The giver or the receiver ends a grant.
    Revoke(GrantId),
    /// The receiver of a grant reads a record; the reading is kept on the chain.
    Access(GrantId, RecordId, Purpose),
    /// A doctor reads a record without a grant, because the patient cannot be asked; a second
    /// doctor signs as well.
    Emergency {
        /// The record.
        rid: RecordId,
        /// The doctor of another department who agrees.
        second: DoctorId,
    },
    /// A doctor asks that the own hospital get a record from the one that holds it; or an
    /// institution asks under an alias, see [`super::share`].
    RequestShare(RecordId),
    /// The patient or the holder agrees to a sharing.
    ApproveShare(ShareId),
    /// The patient or the holder does not, or not any more.
    DenyShare(ShareId),
    /// The holder has sent the document, and says which.
    DeliverShare(ShareId, Digest),
    /// The hospital that asked, or the alias, has received a document, and says which.
    ConfirmShare(ShareId, Digest),
    /// Anybody registered searches for cases. Only reads, and is refused where searches are counted
    /// or remembered.
    Search(Query),
    /// The same as a call in the order of the chain, which counts and remembers it.
    AuditedSearch(Query),
    /// Anybody registered asks which condition to add to a query. Only reads.
    Suggest(Query),
    /// Somebody asks a patient for contact, by a row of an answer to a search.
    AskContact {
        /// The order of the same party that the answer was given to.
        search: Arc<Order>,
        /// The handle of the row.
        handle: Handle,
    },
}

/// The kinds of parties that may ask for something, one bit each.
type Callers = u8;

const AUTHORITY: Callers = 1;
const HOSPITAL: Callers = 2;
const DOCTOR: Callers = 4;
const PATIENT: Callers = 8;
const ALIAS: Callers = 16;
const PEOPLE: Callers = HOSPITAL | DOCTOR | PATIENT;

/// In which manner something is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// The word for it, which is also the action in the signed bytes.
    pub(super) kind: &'static str,
    callers: Callers,
    /// Whether parties besides the asking one sign as well.
    pub(super) witnessed: bool,
    /// Whether a patient gives nothing new by it, and so may ask with a frozen account.
    pub(super) takes_back: bool,
    /// Whether a custodian may sign it for the patient.
    pub(super) by_custodian: bool,
}

impl Manner {
    const fn new(kind: &'static str, callers: Callers) -> Self {
        Self {
            kind,
            callers,
            witnessed: false,
            takes_back: false,
            by_custodian: false,
        }
    }

    const fn witnessed(self) -> Self {
        Self {
            witnessed: true,
            ..self
        }
    }

    const fn taking_back(self) -> Self {
        Self {
            takes_back: true,
            ..self
        }
    }

    const fn by_custodian(self) -> Self {
        Self {
            by_custodian: true,
            ..self
        }
    }

    /// Whether hospitals may ask for it.
    pub(super) fn is_for_hospitals(&self) -> bool {
        self.callers & HOSPITAL != 0
    }

    /// Whether parties of this kind may ask for it at all.
    pub(super) fn is_for(&self, by: Place) -> bool {
        let caller = match by {
            Place::Authority(_) => AUTHORITY,
            Place::Hospital(_) => HOSPITAL,
            Place::Doctor(_) => DOCTOR,
            Place::Patient(_) => PATIENT,
            Place::Alias(_) => ALIAS,
        };
        self.callers & caller != 0
    }
}

impl Act {
    /// The record whose life it is about.
    pub(super) fn record(&self) -> Option<RecordId> {
        match self {
            Self::Reject(rid)
            | Self::Withdraw(rid)
            | Self::Hide(rid)
            | Self::Unhide(rid)
            | Self::Dispute(rid)
            | Self::Resolve { rid, .. } => Some(*rid),
            Self::Enrol(_)
            | Self::SetStanding(..)
            | Self::Grant(_)
            | Self::Delegate(..)
            | Self::Revoke(_)
            | Self::Access(..)
            | Self::Emergency { .. }
            | Self::RequestShare(_)
            | Self::ApproveShare(_)
            | Self::DenyShare(_)
            | Self::DeliverShare(..)
            | Self::ConfirmShare(..)
            | Self::Search(_)
            | Self::AuditedSearch(_)
            | Self::Suggest(_)
            | Self::AskContact { .. }
            | Self::Affair(_) => None,
        }
    }

    /// In which manner it is asked for.
    pub(super) fn manner(&self) -> Manner {
        match self {
            Self::Enrol(_) => Manner::new("enrol", AUTHORITY),
            Self::Affair(affair) => {
                let any = Manner::new(affair.kind(), AUTHORITY | PEOPLE);
                match affair {
                    Affair::Admit(_) | Affair::Expel(_) => any.witnessed(),
                    Affair::Rotate(_) => any.witnessed().taking_back(),
                    Affair::Certify(..) | Affair::Entrust(_) => any,
                }
            }
            Self::SetStanding(..) => Manner::new("set-standing", AUTHORITY | PEOPLE).taking_back(),
            Self::Reject(_) => Manner::new("reject", PATIENT).taking_back().by_custodian(),
            Self::Withdraw(_) => Manner::new("withdraw", DOCTOR),
            Self::Hide(_) => Manner::new("hide", PATIENT).taking_back().by_custodian(),
            Self::Unhide(_) => Manner::new("unhide", PATIENT).by_custodian(),
            Self::Dispute(_) => Manner::new("dispute", DOCTOR | PATIENT)
                .taking_back()
                .by_custodian(),
            Self::Resolve { .. } => Manner::new("resolve", DOCTOR | PATIENT)
                .witnessed()
                .by_custodian(),
            Self::Grant(_) => Manner::new("grant", PATIENT).by_custodian(),
            Self::Delegate(..) => Manner::new("delegate", HOSPITAL),
            Self::Revoke(_) => Manner::new("revoke", PEOPLE).taking_back().by_custodian(),
            Self::Access(..) => Manner::new("access", PEOPLE),
            Self::Emergency { .. } => Manner::new("emergency", DOCTOR).witnessed(),
            Self::RequestShare(_) => Manner::new("request-share", DOCTOR | ALIAS),
            Self::ApproveShare(_) => {
                Manner::new("approve-share", HOSPITAL | PATIENT).by_custodian()
            }
            Self::DenyShare(_) => Manner::new("deny-share", HOSPITAL | PATIENT)
                .taking_back()
                .by_custodian(),
            Self::DeliverShare(..) => Manner::new("deliver-share", HOSPITAL),
            Self::ConfirmShare(..) => Manner::new("confirm-share", HOSPITAL | ALIAS),
            Self::Search(_) => Manner::new("search", PEOPLE),
            Self::AuditedSearch(_) => Manner::new("audited-search", PEOPLE),
            Self::Suggest(_) => Manner::new("suggest", PEOPLE),
            Self::AskContact { .. } => Manner::new("ask-contact", DOCTOR | PATIENT),
        }
    }

    /// The key whose holder has to prove to hold it.
    pub(super) fn subject(&self) -> Option<&PublicKey> {
        match self {
            Self::Enrol(enrolment) => Some(enrolment.identity.key()),
            Self::Affair(affair) => affair.subject(),
            Self::SetStanding(..)
            | Self::Reject(_)
            | Self::Withdraw(_)
            | Self::Hide(_)
            | Self::Unhide(_)
            | Self::Dispute(_)
            | Self::Resolve { .. }
            | Self::Grant(_)
            | Self::Delegate(..)
            | Self::Revoke(_)
            | Self::Access(..)
            | Self::Emergency { .. }
            | Self::RequestShare(_)
            | Self::ApproveShare(_)
            | Self::DenyShare(_)
            | Self::DeliverShare(..)
            | Self::ConfirmShare(..)
            | Self::Search(_)
            | Self::AuditedSearch(_)
            | Self::Suggest(_)
            | Self::AskContact { .. } => None,
        }
    }

    /// The query, of an act that searches.
    pub(super) fn search(&self) -> Option<&Query> {
        if let Self::Search(query) | Self::AuditedSearch(query) = self {
            return Some(query);
        }
        None
    }

    /// Bytes that travel with the act besides what is signed.
    pub(super) fn carried(&self) -> u32 {
        if let Self::AskContact { search, .. } = self {
            return search.size();
        }
        0
    }

    /// Adds the act to a message.
    pub(super) fn write(&self, message: Message) -> Message {
        match self {
            Self::Enrol(enrolment) => enrolment.write(message),
            Self::Affair(affair) => affair.write(message),
            Self::SetStanding(party, standing) => party.write(message).number(*standing as u64),
            Self::Reject(rid)
            | Self::Withdraw(rid)
            | Self::Hide(rid)
            | Self::Unhide(rid)
            | Self::Dispute(rid)
            | Self::RequestShare(rid) => message.digest(&rid.0),
            Self::Resolve { rid, suspect } => message.digest(&rid.0).number(u64::from(*suspect)),
            Self::Grant(terms) => terms.write(message),
            Self::Delegate(gid, terms) => terms.write(message.digest(&gid.0)),
            Self::Revoke(gid) => message.digest(&gid.0),
            Self::Access(gid, rid, purpose) => message
                .digest(&gid.0)
                .digest(&rid.0)
                .number(*purpose as u64),
            Self::Emergency { rid, second } => message.digest(&rid.0).digest(&second.0),
            Self::ApproveShare(sid) | Self::DenyShare(sid) => message.digest(&sid.0),
            Self::DeliverShare(sid, document) | Self::ConfirmShare(sid, document) => {
                message.digest(&sid.0).digest(document)
            }
            Self::Search(query) | Self::AuditedSearch(query) | Self::Suggest(query) => {
                query.write(message)
            }
            Self::AskContact { search, handle } => message.digest(&search.message()).part(handle),
        }
    }
}
