//! Which records fulfil all conditions of a query.
//!
//! The condition with the fewest candidates leads, chunk by chunk. A list of candidates is sifted
//! by the bitmaps of one condition after the other, until so few are left that each is looked at;
//! where candidates come from several lists or a bitmap, they are intersected with those of the
//! other conditions where that is cheap, and looked at where not. So a query takes at most one
//! pass over a bitmap for each feature it names, mostly no more than its most selective condition,
//! and none beyond where enough is found.

use super::index::{Case, Index};
use super::postings::{Block, Chunk, Postings, join, split};
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
    /// Bitmaps over a chunk that were merged or intersected.
    pub bitmaps: u64,
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

/// How many places of a list can be intersected in the time that one candidate is looked at.
const LOOK_COST: usize = 4;
/// How many places of a list can be intersected in the time that a bitmap is.
const BITMAP_COST: usize = 400;
/// Candidates in a chunk that are looked at in any case: intersecting takes a pass over the chunk.
const LOOKED_MIN: usize = 512;
/// Candidates of a list that are looked at in any case, because to look at one costs little more
/// than to find it in a bitmap.
const SIFTED_MIN: usize = 64;
/// Bitmaps of one condition up to which a list is sifted by them.
const SIEVES_MAX: usize = 2;
/// Sets in a chunk up to which a candidate is looked up in each.
const LOOKUPS_MAX: usize = 8;

/// What is asked of every candidate in a chunk.
struct Filter<'a> {
    /// From the first place of the chunk on.
    cases: &'a [Case],
    bounds: Option<Bounds>,
    /// One of each of these must hold the candidate.
    lookups: Vec<Vec<&'a Chunk>>,
}

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

impl<'a> Finding<'a> {
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
        let Some((lead, others)) = self.sources.split_first() else {
            return;
        };
        let lead = lead.chunks(key);
        let candidates: usize = lead.iter().map(|chunk| chunk.len()).sum();
        if candidates == 0 {
            return;
        }
        match lead[..] {
            [Chunk::Few(list)] => return self.sift(key, list.clone()),
            [Chunk::Many(block, _)] => return self.mask(key, Block::clone(block)),
            _ => {}
        }
        let mut crossed = Vec::new();
        let mut filter = self.filter(key);
        for other in others {
            let few = candidates <= LOOKED_MIN;
            if few && other.bounded {
                filter.bounds = Some(self.bounds);
                continue;
            }
            let chunks = other.chunks(key);
            if chunks.is_empty() {
                return;
            }
            match few || cost(&chunks) > LOOK_COST * candidates {
                true if other.bounded => filter.bounds = Some(self.bounds),
                true if chunks.len() <= LOOKUPS_MAX => filter.lookups.push(chunks),
                true | false => crossed.push(chunks),
            }
        }
        if crossed.is_empty() && candidates <= LOOKED_MIN {
            self.look(key, &lead, &filter);
        } else {
            self.intersect(key, (&lead, &crossed), &filter);
        }
    }

    /// Adds those of a list of candidates in the chunk of a key that fulfil all conditions but the
    /// first, which all of them do.
    fn sift(&mut self, key: u16, mut lows: Vec<u16>) {
        let mut filter = self.filter(key);
        for at in 1..self.sources.len() {
            let other = &self.sources[at];
            let few = lows.len() <= SIFTED_MIN;
            if other.bounded && (few || other.sets.len() > SIEVES_MAX) {
                filter.bounds = Some(self.bounds);
                continue;
            }
            let chunks = other.chunks(key);
            if chunks.is_empty() {
                return;
            }
            self.work.listed += lows.len() as u64;
            match chunks[..] {
                [Chunk::Many(one, _)] => keep_if(&mut lows, |low| one.contains(low)),
                [Chunk::Many(one, _), Chunk::Many(two, _)] => {
                    keep_if(&mut lows, |low| one.contains(low) | two.contains(low));
                }
                _ if other.bounded => filter.bounds = Some(self.bounds),
                ref several if few && several.len() <= LOOKUPS_MAX => filter.lookups.push(chunks),
                ref several => {
                    let union = self.union(several);
                    keep_if(&mut lows, |low| union.contains(low));
                }
            }
        }
        self.work.looked += lows.len() as u64;
        if filter.bounds.is_some() {
            keep_if(&mut lows, |low| filter.bounds_hold(low));
        }
        lows.retain(|low| filter.lists_have(*low));
        let room = self.limit - self.found.len();
        let found = lows.into_iter().map(|low| join(key, low));
        self.found.extend(found.take(room));
    }

    /// The same for a bitmap of candidates.
    fn mask(&mut self, key: u16, mut block: Block) {
        let mut filter = self.filter(key);
        for at in 1..self.sources.len() {
            let other = &self.sources[at];
            let chunks = other.chunks(key);
            if chunks.is_empty() {
                return;
            }
            match chunks[..] {
                [Chunk::Many(one, _)] => block.keep(one),
                [Chunk::Many(one, _), Chunk::Many(two, _)] => block.keep_either(one, two),
                _ if other.bounded => {
                    filter.bounds = Some(self.bounds);
                    continue;
                }
                ref several => block.keep(&self.union(several)),
            }
            self.work.bitmaps += chunks.len().min(SIEVES_MAX) as u64;
        }
        self.add(key, block.iter(), &filter);
    }

    /// A filter of the candidates in the chunk of a key that all of them pass.
    fn filter(&self, key: u16) -> Filter<'a> {
        Filter {
            cases: self.index.cases_from(join(key, 0)),
            bounds: None,
            lookups: Vec::new(),
        }
    }

    /// Looks at every candidate.
    fn look(&mut self, key: u16, lead: &[&Chunk], filter: &Filter<'a>) {
        let mut lows = Vec::new();
        lead.iter().for_each(|chunk| chunk.list(&mut lows));
        if lead.len() > 1 {
            lows.sort_unstable();
            lows.dedup();
        }
        self.add(key, lows.into_iter(), filter);
    }

    /// Intersects the candidates with what fulfils other conditions.
    fn intersect(
        &mut self,
        key: u16,
        (lead, crossed): (&[&Chunk], &[Vec<&Chunk>]),
        filter: &Filter<'a>,
    ) {
        let mut block = self.union(lead);
        for other in crossed {
            match other[..] {
                [Chunk::Many(bitmap, _)] => {
                    self.work.bitmaps += 1;
                    block.keep(bitmap);
                }
                ref several => block.keep(&self.union(several)),
            }
        }
        self.add(key, block.iter(), filter);
    }

    /// What is in any of the chunks.
    fn union(&mut self, chunks: &[&Chunk]) -> Block {
        let mut block = Block::EMPTY;
        for chunk in chunks {
            match chunk {
                Chunk::Few(list) => self.work.listed += list.len() as u64,
                Chunk::Many(..) => self.work.bitmaps += 1,
            }
            block.add(chunk);
        }
        block
    }

    /// Adds the candidates that pass the filter, as long as there is room.
    fn add(&mut self, key: u16, lows: impl Iterator<Item = u16>, filter: &Filter<'a>) {
        let room = self.limit - self.found.len();
        let mut looked = 0;
        let lows = lows.inspect(|_| looked += 1);
        let passing = lows.filter(|low| filter.passes(*low)).take(room);
        self.found.extend(passing.map(|low| join(key, low)));
        self.work.looked += looked;
    }
}

impl<'a> Source<'a> {
    /// The parts of the sets in a chunk.
    fn chunks(&self, key: u16) -> Vec<&'a Chunk> {
        self.sets.iter().filter_map(|set| set.chunk(key)).collect()
    }
}

/// Keeps the places that fulfil a condition, in their order. Nothing is decided on the way that a
/// processor would have to foresee, so that it can read of several places at a time.
fn keep_if(lows: &mut Vec<u16>, fulfils: impl Fn(u16) -> bool) {
    let mut kept = 0;
    for at in 0..lows.len() {
        let low = lows[at];
        lows[kept] = low;
        kept += usize::from(fulfils(low));
    }
    lows.truncate(kept);
}

/// What it takes to intersect the union of these chunks, in places of a list.
fn cost(chunks: &[&Chunk]) -> usize {
    let cost = |chunk: &&Chunk| match chunk {
        Chunk::Few(list) => list.len(),
        Chunk::Many(..) => BITMAP_COST,
    };
    chunks.iter().map(cost).sum()
}

impl Filter<'_> {
    #[inline]
    fn passes(&self, low: u16) -> bool {
        self.bounds_hold(low) && self.lists_have(low)
    }

    #[inline]
    fn bounds_hold(&self, low: u16) -> bool {
        let holds = |bounds: &Bounds| bounds.hold(&self.cases[usize::from(low)]);
        self.bounds.as_ref().is_none_or(holds)
    }

    #[inline]
    fn lists_have(&self, low: u16) -> bool {
        let has = |chunks: &Vec<&Chunk>| chunks.iter().any(|chunk| chunk.contains(low));
        self.lookups.iter().all(has)
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
