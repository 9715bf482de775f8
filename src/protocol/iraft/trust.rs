//! What a member thinks of the others by what they did as leaders: the optional reputation. It
//! orders candidates and nothing else, since nobody can prove it to anybody.

/// What everybody begins with.
const START: i32 = 10;
/// Nobody is trusted more.
const MOST: i32 = 20;
/// The trusted have at least so much.
const TRUSTED: i32 = 15;
/// The untrusted have less.
const ORDINARY: i32 = 5;
/// A suspicion costs so many correct blocks.
const SUSPICION: i32 = 5;

/// How a member stands; those further up come first in every order of candidates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Class {
    /// Has led well.
    Trusted,
    /// Nothing speaks for or against it.
    Ordinary,
    /// Was suspected too often.
    Untrusted,
}

/// One member's trust in each, by position.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust {
    scores: Vec<i32>,
}

impl Trust {
    /// Nothing is known of n members.
    pub fn new(n: usize) -> Self {
        Self {
            scores: vec![START; n],
        }
    }

    /// A block was decided under this member.
    pub fn praise(&mut self, position: usize) {
        let score = &mut self.scores[position];
        *score = (*score + 1).min(MOST);
    }

    /// This member was suspected.
    pub fn blame(&mut self, position: usize) {
        let score = &mut self.scores[position];
        *score = (*score - SUSPICION).max(0);
    }

    /// How a member stands.
    pub fn class(&self, position: usize) -> Class {
        match self.scores[position] {
            TRUSTED.. => Class::Trusted,
            ORDINARY.. => Class::Ordinary,
            _ => Class::Untrusted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_is_lost_faster_than_it_is_won() {
        let mut trust = Trust::new(2);
        for _ in 0..100 {
            trust.praise(0);
        }
        assert_eq!(trust.class(0), Class::Trusted);
        trust.blame(0);
        assert_eq!(trust.class(0), Class::Trusted);
        let classes = [(); 3].map(|()| {
            trust.blame(0);
            trust.class(0)
        });
        assert_eq!(
            classes,
            [Class::Ordinary, Class::Ordinary, Class::Untrusted]
        );
        assert_eq!(trust.class(1), Class::Ordinary, "of others nothing is said");
        for _ in 0..5 {
            trust.praise(0);
        }
        assert_eq!(trust.class(0), Class::Ordinary, "nobody is lost for ever");
    }
}
