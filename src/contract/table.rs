//! Entries by name, in the order in which they came.

use super::names::Names;
use crate::base::crypto::Digest;

/// Named entries. Each keeps the place at which it came for ever, so that what refers to it need
/// not look up its name.
#[derive(Clone, Debug)]
pub(super) struct Table<Name, Entry> {
    all: Vec<Entry>,
    places: Names<Name>,
}

impl<Name, Entry> Default for Table<Name, Entry> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            places: Names::default(),
        }
    }
}

impl<Name: Copy + Eq + AsRef<Digest>, Entry> Table<Name, Entry> {
    /// For names that are chosen and no digests.
    pub(super) fn of_chosen_names() -> Self {
        Self {
            all: Vec::new(),
            places: Names::of_chosen(),
        }
    }

    /// The entry of this name and its place.
    pub(super) fn find(&self, name: &Name) -> Option<(u32, &Entry)> {
        let at = self.places.get(name)?;
        Some((at, &self.all[at as usize]))
    }

    /// The entry at a place.
    pub(super) fn at(&self, at: u32) -> &Entry {
        &self.all[at as usize]
    }

    /// The entry of this name as it is, and the place that the name has or would get.
    pub(super) fn slot(&self, name: &Name) -> (u32, Option<&Entry>) {
        match self.find(name) {
            Some((at, entry)) => (at, Some(entry)),
            None => (self.all.len() as u32, None),
        }
    }

    /// Puts an entry into the slot of its name.
    pub(super) fn put(&mut self, at: u32, name: Name, entry: Entry) {
        match self.all.get_mut(at as usize) {
            Some(present) => *present = entry,
            None => {
                self.all.push(entry);
                self.places.insert(name, at);
            }
        }
    }

    /// How many entries there are, whatever became of them.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// All entries in the order in which they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.all.iter()
    }
}
