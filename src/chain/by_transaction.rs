//! A map from transactions. A client host counts its transactions one by one, so most of them
//! have a place of their own in a list; only what is numbered otherwise needs a search.

use std::collections::BTreeMap;

use super::TransactionId;
use crate::base::node::NodeId;

/// How far beyond the end of its host's list a transaction may be numbered and still extend it.
const STRIDE_MAX: u64 = 1 << 10;

/// Something for each of many transactions.
#[derive(Clone, Debug)]
pub(crate) struct ByTransaction<T> {
    /// By client host, then by number.
    hosts: Vec<Vec<Option<T>>>,
    /// What is numbered too far ahead for a list.
    rest: BTreeMap<TransactionId, T>,
    len: usize,
}

impl<T: Copy> ByTransaction<T> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            hosts: Vec::new(),
            rest: BTreeMap::new(),
            len: 0,
        }
    }

    /// How many transactions have something.
    pub fn len(&self) -> usize {
        self.len
    }

    fn slot(&self, id: TransactionId) -> Option<(usize, usize)> {
        let host = id.client().index();
        let number = usize::try_from(id.number()).ok()?;
        (number < self.hosts.get(host)?.len()).then_some((host, number))
    }

    /// Gives a transaction something, in place of what it had, which is returned.
    pub fn insert(&mut self, id: TransactionId, value: T) -> Option<T> {
        let host = id.client().index();
        if host >= self.hosts.len() {
            self.hosts.resize_with(host + 1, Vec::new);
        }
        let list = &mut self.hosts[host];
        let near = id.number() < list.len() as u64 + STRIDE_MAX;
        // What was put aside stays there, so that each transaction has one place.
        let before = if !near || self.rest.contains_key(&id) {
            self.rest.insert(id, value)
        } else {
            let number = usize::try_from(id.number()).expect("it is near the length of a list");
            if number >= list.len() {
                list.resize(number + 1, None);
            }
            list[number].replace(value)
        };
        self.len += usize::from(before.is_none());
        before
    }

    /// What a transaction has.
    pub fn get(&self, id: TransactionId) -> Option<T> {
        let listed = self.slot(id).and_then(|(host, at)| self.hosts[host][at]);
        listed.or_else(|| self.rest.get(&id).copied())
    }

    /// What a transaction has, to be changed.
    pub fn get_mut(&mut self, id: TransactionId) -> Option<&mut T> {
        if let Some((host, at)) = self.slot(id)
            && self.hosts[host][at].is_some()
        {
            return self.hosts[host][at].as_mut();
        }
        self.rest.get_mut(&id)
    }

    /// Takes away what a transaction has.
    pub fn remove(&mut self, id: TransactionId) -> Option<T> {
        let listed = self
            .slot(id)
            .and_then(|(host, at)| self.hosts[host][at].take());
        let value = listed.or_else(|| self.rest.remove(&id))?;
        self.len -= 1;
        Some(value)
    }

    /// All, in no order that means anything, but always the same.
    pub fn iter(&self) -> impl Iterator<Item = (TransactionId, T)> + '_ {
        let listed = self.hosts.iter().enumerate().flat_map(|(host, list)| {
            (0..)
                .zip(list)
                .filter_map(move |(number, value)| Some((id_of(host, number), (*value)?)))
        });
        listed.chain(self.rest.iter().map(|(id, value)| (*id, *value)))
    }
}

fn id_of(host: usize, number: u64) -> TransactionId {
    TransactionId::new(NodeId::at(host), number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::{Random, Stream};

    #[test]
    fn it_is_a_map_whatever_the_numbers_are() {
        for seed in 0..50 {
            let mut random = Random::new(seed, Stream::Test);
            let mut map = ByTransaction::new();
            let mut model = BTreeMap::new();
            for step in 0..2_000_u64 {
                let number = match random.below(4) {
                    0 => random.below(1 << 20),
                    _ => random.below(1 + 2 * step),
                };
                let id = id_of(random.below(3) as usize, number);
                match random.below(3) {
                    0 => assert_eq!(map.remove(id), model.remove(&id)),
                    _ => {
                        assert_eq!(map.insert(id, step), model.insert(id, step));
                    }
                }
                assert_eq!(map.get(id), model.get(&id).copied());
                assert_eq!(map.len(), model.len());
            }
            let all: BTreeMap<_, _> = map.iter().collect();
            assert_eq!(all, model, "seed {seed}");
        }
    }
}
