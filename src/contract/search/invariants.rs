//! What holds of every answer to a search.

use super::{Answer, Query};
use crate::base::crypto::Digest;
use crate::contract::State;
use crate::contract::invariants::{Broken, Invariant};
use crate::contract::message::Content;

/// Bytes in a row that show where a name was copied from: by chance the same ones turn up once in
/// 2^64 places.
const TELLING: usize = 8;

/// Matching records whose names are looked for in one answer at most. Where there are more, each
/// answer is held against other ones.
const LOOKED_AT_MAX: usize = 128;

/// All runs of so many bytes.
fn words(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let word = |run: &[u8]| run.first_chunk().copied().map(u64::from_be_bytes);
    bytes.windows(TELLING).filter_map(word)
}

/// Words that are looked for, and for each value of its last bits whether one of them ends so:
/// almost all others are told apart by that.
struct Wanted {
    sorted: Vec<u64>,
    endings: [bool; 4096],
}

impl Wanted {
    fn new(words: impl Iterator<Item = u64>) -> Self {
        let mut sorted: Vec<u64> = words.collect();
        sorted.sort_unstable();
        let mut endings = [false; 4096];
        for word in &sorted {
            endings[(word % 4096) as usize] = true;
        }
        Self { sorted, endings }
    }

    fn is_in(&self, name: &Digest) -> bool {
        let ends = |word: &u64| self.endings[(word % 4096) as usize];
        let mut candidates = words(&name.0).filter(ends);
        candidates.any(|word| self.sorted.binary_search(&word).is_ok())
    }
}

impl State {
    /// Whether a row of the answer to a query tells a part of a name: of a record that matches, or
    /// of its patient, doctor or hospital. The handle is all there is to look at, because nothing
    /// else in a row is long enough to hold as much as that of a name.
    ///
    /// The answer may have been given by a state some blocks older or newer than this one; names
    /// that only that one knows are not looked for. Of very many matches every so-manieth is.
    pub fn betrayal(&self, query: &Query, answer: &Answer) -> Option<Broken> {
        let told = Wanted::new(answer.rows.iter().flat_map(|row| words(&row.handle)));
        let matches = self.index.search(query, 1).ok()?;
        let places = matches.places();
        let step = places.len().div_ceil(LOOKED_AT_MAX).max(1);
        let chance = answer.rows.first().map_or(0, |row| row.handle[15]);
        let places = places.iter().skip(usize::from(chance) % step).step_by(step);
        let records = places.map(|place| self.records.at(*place));
        let mut names = records.flat_map(|record| {
            let Content {
                rid, pid, did, hid, ..
            } = record.draft.content();
            [&rid.0, &pid.0, &did.0, &hid.0]
        });
        let name = names.find(|name| told.is_in(name))?;
        let detail = format!("an answer tells a part of the name {name:?}");
        Some((Invariant::Privacy, detail))
    }
}
