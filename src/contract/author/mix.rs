//! Which kinds of call a workload has, and how often each.

use serde::{Serialize, Serializer};

use crate::base::random::Random;

/// A kind of call as a workload asks for it. Some come to several calls of the contract: a
/// proposal and its confirmation, or the steps of a sharing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Wish {
    /// Doctor and patient enter a record together.
    Submit,
    /// A doctor proposes a record, or a patient answers a proposal.
    Propose,
    /// Doctor and patient replace a record by a better one.
    Amend,
    /// A patient takes a record out of the search, or puts it back.
    Hide,
    /// Doctor or patient dispute a record, or both let it stand.
    Dispute,
    /// Somebody searches for cases.
    Search,
    /// Somebody asks which condition to add to a search.
    Suggest,
    /// Somebody asks the patient behind a case that was found for contact.
    Contact,
    /// A patient grants access.
    Grant,
    /// A hospital passes a grant on to one of its doctors.
    Delegate,
    /// A patient revokes a grant.
    Revoke,
    /// A record is read by a grant.
    Access,
    /// A doctor reads a record without a grant, with another doctor's consent.
    Emergency,
    /// The next step of sharing a record with another hospital.
    Share,
    /// A newcomer freezes the account, or thaws it.
    Freeze,
    /// A newcomer changes the key.
    Rotate,
    /// A newcomer names a custodian, or enables, disables or removes the one there is.
    Custodian,
    /// The next step of sharing a record with a hospital that asks under an alias; or some hospital
    /// gets an alias, or the authority ends one.
    AnonymousShare,
}

/// How many kinds there are.
const KINDS: usize = Wish::ALL.len();

impl Wish {
    /// All of them, with their names in a scenario.
    pub const ALL: [(Self, &'static str); 18] = [
        (Self::Submit, "submit"),
        (Self::Propose, "propose"),
        (Self::Amend, "amend"),
        (Self::Hide, "hide"),
        (Self::Dispute, "dispute"),
        (Self::Search, "search"),
        (Self::Suggest, "suggest"),
        (Self::Contact, "contact"),
        (Self::Grant, "grant"),
        (Self::Delegate, "delegate"),
        (Self::Revoke, "revoke"),
        (Self::Access, "access"),
        (Self::Emergency, "emergency"),
        (Self::Share, "share"),
        (Self::Freeze, "freeze"),
        (Self::Rotate, "rotate"),
        (Self::Custodian, "custodian"),
        (Self::AnonymousShare, "anonymous_share"),
    ];
}

impl Wish {
    /// The name in a scenario.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// How often each kind of call is made, in proportion to the sum of all weights.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mix([u32; KINDS]);

impl Mix {
    /// Half of the calls enter records, a fifth searches, and a tenth each gives or takes access,
    /// uses it, and shares.
    pub const USUAL: Self = Self([50, 0, 0, 0, 0, 20, 0, 0, 8, 0, 2, 10, 0, 10, 0, 0, 0, 0]);

    /// These weights, and none for other kinds.
    pub fn of(weights: &[(Wish, u32)]) -> Self {
        let mut mix = Self([0; KINDS]);
        for &(wish, weight) in weights {
            mix.0[wish as usize] = weight;
        }
        mix
    }

    /// The same with another weight of one kind.
    #[must_use]
    pub fn with(mut self, wish: Wish, weight: u32) -> Self {
        self.0[wish as usize] = weight;
        self
    }

    /// The weight of a kind.
    pub fn weight(&self, wish: Wish) -> u32 {
        self.0[wish as usize]
    }

    /// The sum of all weights; zero if nothing would ever be called.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|&weight| u64::from(weight)).sum()
    }

    /// What is to be called next.
    pub(super) fn draw(&self, random: &mut Random) -> Wish {
        let mut point = random.below(self.total());
        for (wish, _) in Wish::ALL {
            match point.checked_sub(u64::from(self.weight(wish))) {
                None => return wish,
                Some(rest) => point = rest,
            }
        }
        unreachable!("the point lies below the sum of the weights")
    }
}

impl Default for Mix {
    /// As usual, with a fifth of the records proposed and confirmed one after the other.
    fn default() -> Self {
        let mut mix = Self::USUAL;
        mix.0[Wish::Submit as usize] = 40;
        mix.0[Wish::Propose as usize] = 10;
        mix
    }
}

impl Serialize for Mix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A mix without aliases is written, and so named by its digest, as before there were any.
        let said = |wish| wish != Wish::AnonymousShare || self.weight(wish) > 0;
        let kinds = Wish::ALL.into_iter().filter(|(wish, _)| said(*wish));
        serializer.collect_map(kinds.map(|(wish, name)| (name, self.weight(wish))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Stream;

    #[test]
    fn every_kind_stands_at_its_own_place() {
        for (place, (wish, _)) in Wish::ALL.iter().enumerate() {
            assert_eq!(*wish as usize, place);
        }
        assert_eq!((Mix::USUAL.total(), Mix::default().total()), (100, 100));
        assert_eq!(Mix::USUAL.weight(Wish::Share), 10);
        assert_eq!(Mix::USUAL.weight(Wish::Search), 20);
    }

    #[test]
    fn kinds_are_drawn_as_often_as_they_weigh() {
        let mix = Mix::of(&[(Wish::Search, 3), (Wish::Share, 1)]);
        let mut random = Random::new(1, Stream::Test);
        let mut searches = 0;
        for _ in 0..10_000 {
            match mix.draw(&mut random) {
                Wish::Search => searches += 1,
                other => assert_eq!(other, Wish::Share),
            }
        }
        assert!((7_350..7_650).contains(&searches), "{searches}");
    }
}
