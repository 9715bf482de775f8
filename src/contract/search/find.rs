//! Which records fulfil all conditions of a query.
//!
//! The condition with the fewest candidates leads, chunk by chunk. Where it has few, each is
//! looked at; where it has many, bitmaps are intersected. So a query takes at most one pass over a
//! bitmap for each feature it names, and mostly no more than its most selective condition.

use super::index::{Case, Index};
use super::postings::{Block, Chunk, Postings, WORDS, join, split};
use super::query::{Condition, Feature, Query};

/// What finding took, in the steps that make up its time.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Work {
    /// Sets of places that the conditions name.
    pub sets: u64,
    /// Candidates looked at one by one.
    pub looked: u64,
    /// Places in lists that were merged or intersected.
    pub listed: u64,
    /// Words of bitmaps that were merged or intersected.
    pub words: u64,
}

/// The records that fulfil one condition: all that are in one of these sets.
struct Source<'a> {
    sets: Vec<&'a Postings>,
    /// Of all sets together: at least as many as there are records.
    len: u64,
    /// Whether bounds tell it.
    bounded: bool,
}

/// All conditions of a query on what every case has exactly one of, taken together.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    ages: (u8, u8),
    quarters: (u16, u16),
    departments: (u8, u8),
    /// One bit for each sex, and for each outcome.
    sexes: u8,
    outcomes: u8,
}

/// The places of a chunk that are in one of several sets.
enum Union<'a> {
    One(&'a Chunk),
    Block(Box<Block>),
}

/// Candidates in a chunk up to which each is looked at.
const LOOKED_MAX: usize = 512;

/// A search for the records that fulfil all conditions, under way.
struct Finding<'a> {
    index: &'a Index,
    /// Those of the most selective condition first.
    sources: Vec<Source<'a>>,
    bounds: Bounds,
    limit: usize,
    found: Vec<u32>,
    work: Work,
}

impl Index {
    /// The places of the records that fulfil all conditions, ascending, but not more than `limit`;
    /// and what it took to find them.
    pub fn matching(&self, query: &Query, limit: usize) -> (Vec<u32>, Work) {
        let mut finding = Finding {
            index: self,
            sources: query.conditions.iter().map(|c| self.source(c)).collect(),
            bounds: Bounds::of(query),
            limit,
            found: Vec::new(),
            work: Work::default(),
        };
        finding.run();
        (finding.found, finding.work)
    }

    fn source(&self, condition: &Condition) -> Source<'_> {
        let sets = self.sets(condition);
        Source {
            len: sets.iter().map(|set| u64::from(set.len())).sum(),
            sets,
            bounded: Bounds::tell(condition),
        }
    }
}

impl Finding<'_> {
    fn run(&mut self) {
        self.sources.sort_by_key(|source| source.len);
        let sets = self.sources.iter().map(|source| source.sets.len() as u64);
        self.work.sets = sets.sum();
        for key in 0..=split(self.index.end()).0 {
            if self.found.len() < self.limit {
                self.visit(key);
            }
        }
    }

    /// Adds the places in the chunk of a key.
    fn visit(&mut self, key: u16) {
        let Some(lead) = self.sources.first() else {
            return;
        };
        let chunks = lead.chunks(key);
        match chunks.iter().map(|chunk| chunk.len()).sum() {
            0 => {}
            1..=LOOKED_MAX => self.look(key, &chunks),
            _ => self.intersect(key, &chunks),
        }
    }

    /// Looks at every candidate.
    fn look(&mut self, key: u16, chunks: &[&Chunk]) {
        let mut filters = Vec::new();
        for other in self.sources[1..].iter().filter(|other| !other.bounded) {
            match other.union(key, &mut self.work) {
                Some(filter) => filters.push(filter),
                None => return,
            }
        }
        let mut lows = Vec::new();
        chunks.iter().for_each(|chunk| chunk.list(&mut lows));
        if chunks.len() > 1 {
            lows.sort_unstable();
            lows.dedup();
        }
        self.work.looked += lows.len() as u64;
        let fitting = lows.into_iter().filter(|&low| {
            let case = self.index.case(join(key, low));
            self.bounds.hold(case) && filters.iter().all(|filter| filter.contains(low))
        });
        let room = self.limit - self.found.len();
        self.found
            .extend(fitting.take(room).map(|low| join(key, low)));
    }

    /// Intersects the candidates with what fulfils the other conditions.
    fn intersect(&mut self, key: u16, chunks: &[&Chunk]) {
        let mut block = union(chunks, &mut self.work);
        for other in &self.sources[1..] {
            other.restrict(&mut block, key, &mut self.work);
        }
        let room = self.limit - self.found.len();
        let lows = block.iter().take(room);
        self.found.extend(lows.map(|low| join(key, low)));
    }
}

impl<'a> Source<'a> {
    /// The parts of the sets in a chunk.
    fn chunks(&self, key: u16) -> Vec<&'a Chunk> {
        self.sets.iter().filter_map(|set| set.chunk(key)).collect()
    }

    /// What is in any of the sets, if anything is in this chunk.
    fn union(&self, key: u16, work: &mut Work) -> Option<Union<'a>> {
        match self.chunks(key)[..] {
            [] => None,
            [chunk] => Some(Union::One(chunk)),
            ref chunks => Some(Union::Block(Box::new(union(chunks, work)))),
        }
    }

    /// Keeps of a block what is in any of the sets.
    fn restrict(&self, block: &mut Block, key: u16, work: &mut Work) {
        match self.union(key, work) {
            None => *block = Block::EMPTY,
            Some(Union::One(chunk)) => {
                count(chunk, work);
                block.keep(chunk);
            }
            Some(Union::Block(other)) => {
                work.words += WORDS as u64;
                block.keep_block(&other);
            }
        }
    }
}

impl Union<'_> {
    #[inline]
    fn contains(&self, low: u16) -> bool {
        match self {
            Self::One(chunk) => chunk.contains(low),
            Self::Block(block) => block.contains(low),
        }
    }
}

/// The places that are in any of the chunks.
fn union(chunks: &[&Chunk], work: &mut Work) -> Block {
    let mut block = Block::EMPTY;
    for chunk in chunks {
        count(chunk, work);
        block.add(chunk);
    }
    block
}

/// Counts going through a chunk.
fn count(chunk: &Chunk, work: &mut Work) {
    match chunk {
        Chunk::Few(list) => work.listed += list.len() as u64,
        Chunk::Many(..) => work.words += WORDS as u64,
    }
}

impl Bounds {
    /// What the conditions of a query come to.
    fn of(query: &Query) -> Self {
        let mut bounds = Self {
            ages: (0, u8::MAX),
            quarters: (0, u16::MAX),
            departments: (0, u8::MAX),
            sexes: u8::MAX,
            outcomes: u8::MAX,
        };
        for condition in &query.conditions {
            match condition {
                Condition::Has(Feature::Sex(sex)) => bounds.sexes &= 1 << *sex as u8,
                Condition::Has(Feature::Outcome(how)) => bounds.outcomes &= 1 << *how as u8,
                Condition::Has(Feature::Age(band)) => narrow(&mut bounds.ages, *band, *band),
                Condition::Ages(from, to) => narrow(&mut bounds.ages, *from, *to),
                Condition::Has(Feature::Quarter(quarter)) => {
                    narrow(&mut bounds.quarters, *quarter, *quarter);
                }
                Condition::Quarters(from, to) => narrow(&mut bounds.quarters, *from, *to),
                Condition::Has(Feature::Department(department)) => {
                    narrow(&mut bounds.departments, *department, *department);
                }
                Condition::Has(
                    Feature::Diagnosis(_) | Feature::Procedure(_) | Feature::Drug(_),
                )
                | Condition::Begins(..) => {}
            }
        }
        bounds
    }

    /// Whether a condition is one that bounds take up.
    fn tell(condition: &Condition) -> bool {
        match condition {
            Condition::Has(Feature::Diagnosis(_) | Feature::Procedure(_) | Feature::Drug(_))
            | Condition::Begins(..) => false,
            Condition::Has(
                Feature::Sex(_)
                | Feature::Age(_)
                | Feature::Quarter(_)
                | Feature::Outcome(_)
                | Feature::Department(_),
            )
            | Condition::Ages(..)
            | Condition::Quarters(..) => true,
        }
    }

    /// Whether a case keeps all of them.
    #[inline]
    fn hold(&self, case: &Case) -> bool {
        (self.quarters.0..=self.quarters.1).contains(&case.quarter)
            & (self.ages.0..=self.ages.1).contains(&case.age_band)
            & (self.departments.0..=self.departments.1).contains(&case.department)
            & (self.sexes >> case.sex as u8 & 1 == 1)
            & (self.outcomes >> case.outcome as u8 & 1 == 1)
    }
}

/// Narrows an interval to what it shares with another.
fn narrow<T: Ord + Copy>(interval: &mut (T, T), from: T, to: T) {
    *interval = (interval.0.max(from), interval.1.min(to));
}
