//! What holds of every answer to a search.

use std::collections::BTreeSet;

use super::Answer;
use crate::base::crypto::Digest;
use crate::contract::State;
use crate::contract::call::{Call, SignedCall};
use crate::contract::identity::{DoctorId, HospitalId};
use crate::contract::invariants::{Broken, Invariant};

/// Bytes in a row that show where a name was copied from: by chance the same ones turn up once in
/// 2^64 places.
const TELLING: usize = 8;

impl State {
    /// Whether a row of the answer to a call tells a part of a name: of a record that matches, or
    /// of its patient, doctor or hospital. The handle is all there is to look at, because nothing
    /// else in a row is long enough to hold as much as that of a name.
    ///
    /// The answer may have been given by a state some blocks older or newer than this one; names
    /// that only that one knows are not looked for.
    pub fn betrayal(&self, call: &SignedCall, answer: &Answer) -> Option<Broken> {
        let Call::Order(order) = call.call() else {
            return None;
        };
        let query = order.terms().act.search()?;
        let rows = answer.rows.iter();
        let mut parts: Vec<&[u8]> = rows.flat_map(|row| row.handle.windows(TELLING)).collect();
        parts.sort_unstable();
        let told = |name: &Digest| {
            let mut words = name.0.windows(TELLING);
            words.any(|word| parts.binary_search(&word).is_ok())
        };
        let names = self.names_behind(self.index.search(query, 1).ok()?.places());
        let name = names.iter().find(|name| told(name))?;
        let detail = format!("an answer tells a part of the name {name:?}");
        Some((Invariant::Privacy, detail))
    }

    /// All names that have to do with these records.
    fn names_behind(&self, places: &[u32]) -> BTreeSet<Digest> {
        let mut names = BTreeSet::new();
        for place in places {
            let record = self.records.at(*place);
            let content = record.draft.content();
            let doctor = self.directory.doctor_at(record.doctor);
            let hospital = self.directory.hospital_at(record.hospital);
            let pseudonyms = self.directory.pseudonyms(record.patient);
            names.extend(pseudonyms.map(|pid| pid.0));
            names.extend([
                content.rid.0,
                content.payload_hash,
                content.contact,
                DoctorId::of(&doctor.key).0,
                HospitalId::of(&hospital.key).0,
            ]);
        }
        names
    }
}
