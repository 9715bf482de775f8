//! Whether honest nodes stand by their words. A replica that contradicts itself has forgotten a
//! promise or never checked for it: that shows long before two nodes decide different blocks.

use std::collections::BTreeMap;

use super::violation::{Findings, Property, Violation};
use crate::base::node::NodeId;
use crate::base::time::Time;
use crate::protocol::{Holding, Statement};

/// Statements of one kind in one name that are remembered at most; of more, those of the earliest
/// views and places are forgotten.
const REMEMBERED_MAX: usize = 1_024;

/// What one node has said of one kind, in one name, by view and place.
#[derive(Clone, Debug)]
struct Said {
    by: NodeId,
    kind: &'static str,
    places: BTreeMap<(u64, u64), u64>,
}

/// What one node has said.
#[derive(Clone, Debug, Default)]
struct Speaker {
    /// Of each kind and name: there are few.
    said: Vec<Said>,
    /// The view before which nothing new is said, by name.
    left: BTreeMap<NodeId, u64>,
}

/// What all nodes have said.
#[derive(Clone, Debug)]
pub(super) struct Words {
    speakers: Vec<Speaker>,
}

impl Words {
    /// Nobody has said anything.
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            speakers: vec![Speaker::default(); nodes],
        }
    }

    /// An honest node says something.
    pub(super) fn hear(
        &mut self,
        (time, node): (Time, NodeId),
        statement: Statement,
        out: &mut Findings,
    ) {
        let speaker = &mut self.speakers[node.index()];
        let Some(detail) = speaker.say(statement) else {
            return;
        };
        out.add(Violation {
            time,
            property: Property::SelfConsistency,
            nodes: vec![node],
            height: None,
            detail: format!("{node} {detail}"),
        });
    }

    /// What a node has said of this kind, in its own name, at a place of a view.
    pub(super) fn said(&self, node: NodeId, kind: &str, place: (u64, u64)) -> Option<u64> {
        self.of(node, kind)?.places.get(&place).copied()
    }

    /// The views in which a node has said this of a place, in its own name.
    pub(super) fn views_of(
        &self,
        node: NodeId,
        kind: &str,
        (place, what): (u64, u64),
    ) -> impl Iterator<Item = u64> + '_ {
        let places = self.of(node, kind).map(|said| &said.places);
        let last = places.and_then(|places| Some(places.last_key_value()?.0.0));
        let below = move |view: u64| {
            let earlier = places?.range(..(view, 0)).next_back()?;
            Some(earlier.0.0)
        };
        std::iter::successors(last, move |view| below(*view))
            .filter(move |view| places.and_then(|p| p.get(&(*view, place))) == Some(&what))
    }

    fn of(&self, node: NodeId, kind: &str) -> Option<&Said> {
        let said = &self.speakers.get(node.index())?.said;
        said.iter()
            .find(|said| said.by == node && said.kind == kind)
    }
}

impl Speaker {
    /// Takes note of a statement; what is wrong with it, if anything.
    fn say(&mut self, statement: Statement) -> Option<String> {
        let (holding, proven) = match statement {
            Statement::Leaves { by, view } => {
                let left = self.left.entry(by).or_default();
                *left = view.max(*left);
                return None;
            }
            Statement::Holds(holding) => (holding, false),
            Statement::Shows(holding) => (holding, true),
        };
        let Holding {
            by,
            kind,
            view,
            place,
            what,
        } = holding;
        let left = self.left.get(&by).copied().unwrap_or(0);
        let said = self.of(by, kind);
        match said.places.insert((view, place), what) {
            Some(before) if before != what => Some(format!(
                "said {kind} for {before:016x} and for {what:016x} at {place} in view {view}"
            )),
            None if view < left && !proven => Some(format!(
                "says {kind} at {place} in view {view} after it has asked for {left}"
            )),
            _ => {
                if said.places.len() > REMEMBERED_MAX {
                    said.places.pop_first();
                }
                None
            }
        }
    }

    fn of(&mut self, by: NodeId, kind: &'static str) -> &mut Said {
        let known = self.said.iter().position(|s| s.by == by && s.kind == kind);
        let place = known.unwrap_or_else(|| {
            let places = BTreeMap::new();
            self.said.push(Said { by, kind, places });
            self.said.len() - 1
        });
        &mut self.said[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(view: u64, place: u64, what: u64) -> Holding {
        Holding {
            by: NodeId(0),
            kind: "prepare",
            view,
            place,
            what,
        }
    }

    fn holds(view: u64, place: u64, what: u64) -> Statement {
        Statement::Holds(holding(view, place, what))
    }

    #[test]
    fn whoever_repeats_itself_is_consistent_and_whoever_contradicts_itself_is_not() {
        let mut speaker = Speaker::default();
        assert_eq!(speaker.say(holds(1, 1, 7)), None);
        assert_eq!(speaker.say(holds(1, 1, 7)), None, "said again");
        assert_eq!(speaker.say(holds(2, 1, 8)), None, "in another view");
        assert_eq!(speaker.say(holds(1, 2, 8)), None, "at another place");
        let detail = speaker.say(holds(1, 1, 8));
        assert!(detail.is_some_and(|detail| detail.contains("at 1 in view 1")));
    }

    #[test]
    fn in_a_view_that_was_left_old_words_may_be_repeated_and_no_new_ones_said() {
        let mut speaker = Speaker::default();
        assert_eq!(speaker.say(holds(1, 1, 7)), None);
        let leaves = Statement::Leaves {
            by: NodeId(0),
            view: 2,
        };
        assert_eq!(speaker.say(leaves), None);
        assert_eq!(speaker.say(holds(1, 1, 7)), None);
        assert!(speaker.say(holds(1, 2, 7)).is_some());
        assert_eq!(speaker.say(holds(2, 2, 7)), None);
        let shown = |what| Statement::Shows(holding(1, 3, what));
        assert_eq!(speaker.say(shown(7)), None, "a crash kept it back before");
        assert!(speaker.say(shown(8)).is_some(), "no proof is for both");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_latest_stays() {
        let mut speaker = Speaker::default();
        let many = REMEMBERED_MAX as u64 + 10;
        for place in 0..many {
            assert_eq!(speaker.say(holds(1, place, 7)), None);
        }
        assert_eq!(speaker.said[0].places.len(), REMEMBERED_MAX);
        assert!(speaker.say(holds(1, many - 1, 8)).is_some());
    }
}
