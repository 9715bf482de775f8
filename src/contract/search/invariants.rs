//! What holds of every answer to a search.

use super::{Answer, Handle, PAGE, Query};
use crate::base::crypto::Digest;
use crate::contract::State;
use crate::contract::invariants::{Broken, Invariant};
use crate::contract::message::Content;

/// Bytes in a row that show where a name was copied from: by chance the same ones turn up once in
/// 2^64 places.
const TELLING: usize = 8;

/// Matching records whose names are looked for in one answer at most. Where there are more, each
/// answer is held against other ones.
const LOOKED_AT_MAX: usize = 64;

/// How many runs of so many bytes a handle has.
const HANDLE_WORDS: usize = size_of::<Handle>() + 1 - TELLING;

/// Bytes in a row that begin at a multiple of their number. Wherever `TELLING` bytes in a row are
/// copied from, one whole block is among them.
const BLOCK: usize = 4;

/// All runs of so many bytes.
fn words(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let word = |run: &[u8]| run.first_chunk().copied().map(u64::from_be_bytes);
    bytes.windows(TELLING).filter_map(word)
}

/// Words that are looked for in names, and the runs of bytes in them that are as long as a block,
/// by two bytes of theirs: of almost all names, no block is among these, which is soon found.
struct Wanted {
    sorted: Vec<u64>,
    blocks: [u64; 1 << 10],
}

impl Wanted {
    fn new<'a>(told: impl Iterator<Item = &'a [u8]> + Clone) -> Self {
        let mut sorted = Vec::with_capacity(HANDLE_WORDS * PAGE);
        sorted.extend(told.clone().flat_map(words));
        sorted.sort_unstable();
        let mut blocks = [0; 1 << 10];
        for block in told.flat_map(|bytes| bytes.windows(BLOCK)) {
            let (place, bit) = Self::bit(block);
            blocks[place] |= bit;
        }
        Self { sorted, blocks }
    }

    fn bit(block: &[u8]) -> (usize, u64) {
        (
            usize::from(block[0]) << 2 | usize::from(block[1] & 3),
            1 << (block[1] >> 2),
        )
    }

    fn is_in(&self, name: &Digest) -> bool {
        let may_be = name.0.chunks_exact(BLOCK).any(|block| {
            let (place, bit) = Self::bit(block);
            self.blocks[place] & bit != 0
        });
        may_be && words(&name.0).any(|word| self.sorted.binary_search(&word).is_ok())
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
        if answer.rows.is_empty() {
            return None;
        }
        let told = Wanted::new(answer.rows.iter().map(|row| &row.handle[..]));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a handle copies from a name is found wherever it stands in either, if it is long.
    #[test]
    fn eight_bytes_of_a_name_are_found_and_seven_are_not() {
        let name = Digest(std::array::from_fn(|place| 101 + place as u8));
        for (from, to) in (0..=24).flat_map(|from| (0..=8).map(move |to| (from, to))) {
            let mut handle = [0; 16];
            handle[to..to + 7].copy_from_slice(&name.0[from..from + 7]);
            assert!(!Wanted::new([&handle[..]].into_iter()).is_in(&name));
            handle[to + 7] = name.0[from + 7];
            let told = [&[9; 16][..], &handle];
            assert!(Wanted::new(told.into_iter()).is_in(&name), "{from} {to}");
        }
    }
}
