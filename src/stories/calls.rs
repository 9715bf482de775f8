//! What the clients of a stage ask for, and the people they are.

use std::sync::LazyLock;

use super::stage::Stage;
use crate::base::node::NodeId;
use crate::contract::access::{GrantId, GrantTerms, Grantee, Purpose, Scope};
use crate::contract::call::{Act, Call, Terms};
use crate::contract::identity::{DoctorId, Party, PatientId};
use crate::contract::population::Person;
use crate::contract::search::Query;
use crate::contract::{Population, Rules, SignedCall, State};
use crate::protocol::Protocol;

/// Those who sign the samples: a hospital with a doctor, and patients, of whom nearly all stories
/// know only the second.
static PEOPLE: LazyLock<Population> = LazyLock::new(|| Population::new(1, 1, PATIENTS));

/// How many patients there are.
pub const PATIENTS: u32 = 256;

/// The state that every node of a stage starts from.
pub fn genesis() -> State {
    State::genesis(&PEOPLE, Rules::default())
}

impl<P: Protocol> Stage<P> {
    /// A client asks a node for a fresh transaction: a record of the one patient of most stories.
    pub fn submit(&mut self, node: NodeId) {
        self.request(node, SignedCall::sample);
    }

    /// The one patient lets the doctor read everything.
    pub fn submit_grant(&mut self, node: NodeId) {
        self.request(node, |number| {
            by_patient(Act::Grant(everything(PEOPLE.doctor(0).id)), number)
        });
    }

    /// The one patient takes the grant of that number back.
    pub fn submit_revocation(&mut self, node: NodeId, grant: u64) {
        let call = by_patient(Act::Grant(everything(PEOPLE.doctor(0).id)), grant);
        let Call::Order(order) = call.call() else {
            unreachable!("a grant is an order")
        };
        let grant = GrantId(order.message());
        self.request(node, |number| by_patient(Act::Revoke(grant), number));
    }

    /// A client asks a node for a fresh transaction: a record of another patient.
    pub fn submit_of(&mut self, node: NodeId, patient: u32) {
        let record = |number| {
            let content = PEOPLE.content(0, patient, number);
            PEOPLE.submission(content, 0, patient)
        };
        self.request(node, record);
    }

    /// A client asks a node to search, which only reads.
    pub fn submit_read(&mut self, node: NodeId) {
        self.request(node, search);
    }
}

/// A doctor, everything, for long.
pub(super) fn everything(doctor: DoctorId) -> GrantTerms {
    GrantTerms {
        grantee: Grantee::Doctor(doctor),
        scope: Scope::All,
        purpose: Purpose::Care,
        from: 0,
        until: 1_000,
        max_uses: None,
        delegable: false,
    }
}

/// What the one patient orders.
fn by_patient(act: Act, nonce: u64) -> SignedCall {
    ordered(PEOPLE.patient(1), act, nonce)
}

/// What a patient orders.
pub(super) fn ordered(patient: &Person<PatientId>, act: Act, nonce: u64) -> SignedCall {
    let terms = Terms {
        chain: 1,
        by: Party::Patient(patient.id),
        act,
        nonce,
        valid_until: u64::MAX,
    };
    SignedCall::order(terms, &patient.keys)
}

/// A search, which only reads.
fn search(number: u64) -> SignedCall {
    let doctor = PEOPLE.doctor(0);
    let query = Query {
        conditions: Vec::new(),
        purpose: Purpose::Care,
        page: 0,
    };
    let terms = Terms {
        chain: 1,
        by: Party::Doctor(doctor.id),
        act: Act::Search(query),
        nonce: number,
        valid_until: u64::MAX,
    };
    SignedCall::order(terms, &doctor.keys)
}
