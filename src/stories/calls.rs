//! What the clients of a stage ask for, and the people they are.

use std::sync::LazyLock;

use crate::contract::access::Purpose;
use crate::contract::call::{Act, Terms};
use crate::contract::identity::Party;
use crate::contract::search::Query;
use crate::contract::{Population, Rules, SignedCall, State};

/// Those who sign the samples: a hospital with a doctor, and two patients.
static PEOPLE: LazyLock<Population> = LazyLock::new(|| Population::new(1, 1, 2));

/// The state that every node of a stage starts from.
pub fn genesis() -> State {
    State::genesis(&PEOPLE, Rules::default())
}

/// A record that enters the chain; different numbers differ.
pub fn submission(number: u64) -> SignedCall {
    SignedCall::sample(number)
}

/// A search, which only reads.
pub fn search(number: u64) -> SignedCall {
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
