//! What the steps of a search cost in the model.

use crate::contract::search::Work;

/// Prices of steps, in picoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prices {
    /// Every question.
    pub question: u64,
    /// A set that a condition names.
    pub set: u64,
    /// A candidate looked at.
    pub looked: u64,
    /// A place in a list that is merged or intersected.
    pub listed: u64,
    /// A bitmap over 65,536 places that is merged or intersected.
    pub bitmap: u64,
    /// A match that is put in order.
    pub ordered: u64,
    /// A row of a page with its handle.
    pub row: u64,
    /// A record that a scan looks at.
    pub scanned: u64,
}

/// Prices fitted once, by least squares over questions to a million records, on one core of a
/// server of 2024, with the registers' memory warm. They scale the modelled times and change no
/// ratio between numbers of records.
pub const PRICES: Prices = Prices {
    question: 150_000,
    set: 10_000,
    looked: 2_500,
    listed: 500,
    bitmap: 280_000,
    ordered: 3_600,
    row: 135_000,
    scanned: 10_000,
};

impl Prices {
    /// Nanoseconds that finding takes by an index.
    pub fn finding(&self, work: &Work) -> u64 {
        let steps = [
            (work.sets, self.set),
            (work.looked, self.looked),
            (work.listed, self.listed),
            (work.bitmaps, self.bitmap),
        ];
        let steps = steps.iter().map(|(count, price)| count * price);
        (self.question + steps.sum::<u64>()) / 1_000
    }

    /// Nanoseconds that finding takes by a scan.
    pub fn scanning(&self, records: u64) -> u64 {
        (self.question + records * self.scanned) / 1_000
    }

    /// Nanoseconds that it takes to put the matches in order and tell a page of them.
    pub fn telling(&self, ordered: u64, rows: u64) -> u64 {
        (ordered * self.ordered + rows * self.row) / 1_000
    }
}
