//! The mailboxes of patients: what the chain tells them, and how others ask to meet.
//!
//! Patients talk outside the chain. Whoever finds a case in an answer can have the opaque handle
//! for contact, which the record carries, put into the mailbox of its patient, and learns nothing
//! by it but that it was done; the patient can find out who asked, and answers or does not.

use crate::base::crypto::{Digest, Hasher};
use crate::contract::State;
use crate::contract::call::{Act, Order};
use crate::contract::error::Code;
use crate::contract::identity::{Party, Patient, PatientId};
use crate::contract::message::RecordId;
use crate::contract::records::{Record, Status};
use crate::contract::rules::WINDOW;
use crate::contract::search::{Handle, Query};
use crate::contract::view::View;
use crate::contract::write::Change;

/// What a patient is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notice {
    /// A doctor has read this record in an emergency.
    Emergency(RecordId),
    /// Somebody asks for contact: the handle that a record of the patient carries for it.
    Contact(Digest),
}

/// One thing that a patient is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mail {
    /// Whose mailbox it is in.
    pub to: PatientId,
    /// Who is behind it.
    pub by: Party,
    /// What it says.
    pub notice: Notice,
    /// At which height it came.
    pub height: u64,
    /// The digest that the one behind it signed.
    pub order: Digest,
    /// The patient by place.
    pub(in crate::contract) patient: u32,
}

impl Mail {
    /// A notice to a patient, by place and name, because of an order.
    pub(super) fn new(order: &Order, (patient, to): (u32, PatientId), notice: Notice) -> Self {
        Self {
            to,
            by: order.terms().by,
            notice,
            height: 0,
            order: order.message(),
            patient,
        }
    }

    /// The digest under which it is part of the state.
    pub(in crate::contract) fn entry(&self) -> Digest {
        let (kind, what) = match &self.notice {
            Notice::Emergency(rid) => (0, &rid.0),
            Notice::Contact(handle) => (1, handle),
        };
        Hasher::new("mail entry")
            .digest(&self.to.0)
            .digest(&self.order)
            .number(kind)
            .digest(what)
            .number(self.height)
            .finish()
    }
}

/// What an order asked for, if it was a search.
pub(in crate::contract) fn asked(search: &Order) -> Result<&Query, Code> {
    search.terms().act.search().ok_or(Code::Malformed)
}

impl View<'_> {
    /// Refuses a search whose handles do not live at this height: they live as long as its order
    /// counts, and no longer than the last [`WINDOW`] blocks of that.
    pub(in crate::contract) fn check_answered(&self, search: &Order) -> Result<(), Code> {
        asked(search)?.check_intervals()?;
        let until = search.terms().valid_until;
        if self.height() > until {
            return Err(Code::Expired);
        }
        if self.height().saturating_add(WINDOW) < until {
            return Err(Code::NotYetValid);
        }
        Ok(())
    }

    /// Whose a record is now, by place and name.
    pub(super) fn owner(&mut self, record: &Record) -> (u32, PatientId) {
        let Patient { key } = self.patient_at(record.patient);
        (record.patient, PatientId::of(key))
    }

    /// Where searches are counted, refuses to look behind one that was not made on the chain.
    fn check_searched(&mut self, search: &Order) -> Result<(), Code> {
        let terms = search.terms();
        let by = self.place(&terms.by)?;
        let ordered = matches!(terms.act, Act::AuditedSearch(_));
        if ordered && self.has_used(by, terms.nonce) {
            return Ok(());
        }
        Err(Code::QueryBudgetExceeded)
    }

    /// Somebody asks the patient behind a row of an answer for contact. The answer is made again:
    /// what would not be answered has no rows.
    pub(in crate::contract) fn ask_contact(
        &mut self,
        order: &Order,
        search: &Order,
        wanted: &Handle,
    ) -> Result<(), Code> {
        if self.rules().audits_searches() {
            self.check_searched(search)?;
        }
        let record = self.found_as(search, wanted)?;
        if record.status != Status::Active {
            return Err(Code::IllegalTransition);
        }
        let notice = Notice::Contact(record.draft.content().contact);
        let to = self.owner(record);
        self.write(Change::Mail(Box::new(Mail::new(order, to, notice))));
        Ok(())
    }
}

impl State {
    /// What a patient was told, in the order in which it came.
    pub fn mailbox(&self, pid: &PatientId) -> &[Mail] {
        let patient = self.directory.patient(pid);
        let mailbox = patient.ok().and_then(|at| self.mailboxes.get(&at));
        mailbox.map_or(&[], |mailbox| mailbox)
    }
}
